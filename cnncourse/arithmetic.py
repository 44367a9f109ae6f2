"""Lesson 1: output size, receptive field, parameters and costs of convolutions. Plain Python, no torch.

Letters: n input size, k kernel size, s stride, p padding on each side, d dilation (all in pixels, one axis).
A MAC is one multiply-accumulate; biases, normalisation, activations and pooling count as zero MACs.
"""

from math import ceil, floor


def output_size(n: int, k: int, s: int = 1, p: int = 0, d: int = 1, ceil_mode: bool = False) -> int:
    """Positions that a window of size k takes along an axis of n pixels: floor((n + 2p - d(k-1) - 1) / s) + 1.

    With ceil_mode (PyTorch's pooling option) the division rounds up, but no window may start behind the last pixel.
    Raises ValueError when the window does not fit even once, and for sizes, strides and dilations below 1 and negative
    padding.
    """
    if min(n, k, s, d) < 1 or p < 0:
        raise ValueError(f"n={n}, k={k}, s={s}, p={p}, d={d}: padding must be at least 0, all others at least 1")
    window = d * (k - 1) + 1
    steps = (n + 2 * p - window) / s
    out = (ceil(steps) if ceil_mode else floor(steps)) + 1
    if ceil_mode and (out - 1) * s >= n + p:
        out -= 1
    if out < 1:
        raise ValueError(f"a window of {window} does not fit into {n} + 2*{p} pixels: enlarge the input or the padding")
    return out


def unseen(n: int, k: int, s: int = 1, p: int = 0, d: int = 1) -> int:
    """Columns of the padded input, at its right edge, that no window reaches because the division was not whole."""
    return (n + 2 * p - d * (k - 1) - 1) % s


def same_padding(k: int, d: int = 1) -> int:
    """Padding on each side that keeps the size at stride 1: d(k-1)/2. Raises ValueError where that is not whole."""
    if d * (k - 1) % 2:
        raise ValueError(f"k={k}, d={d}: an even window needs one more pixel on one side; use an odd kernel")
    return d * (k - 1) // 2


def receptive_field(layers: list[tuple[int, int]]) -> tuple[int, int]:
    """(field, jump) in input pixels after a chain of layers given as (kernel, stride).

    field: how many input pixels one output sees; it grows by (k-1)*jump. jump: input pixels between two neighbouring
    outputs; it is multiplied by each stride. For a dilated layer give its window d(k-1)+1 as kernel.
    """
    field, jump = 1, 1
    for k, s in layers:
        field, jump = grow(field, jump, k, s)
    return field, jump


def grow(field: int, jump: int, k: int, s: int) -> tuple[int, int]:
    """(field, jump) after one more layer of kernel k and stride s."""
    return field + (k - 1) * jump, jump * s


def conv_parameters(n_in: int, n_out: int, k: int, groups: int = 1, bias: bool = True) -> int:
    """Weights n_out x (n_in/groups) x k x k, and one bias per output channel."""
    return n_out * (n_in // groups) * k * k + bias * n_out


def conv_macs(n_in: int, n_out: int, k: int, out_height: int, out_width: int, groups: int = 1) -> int:
    """Every one of the n_out x H x W outputs costs (n_in/groups) x k x k multiply-accumulates."""
    return n_out * out_height * out_width * (n_in // groups) * k * k


def linear_parameters(n_in: int, n_out: int, bias: bool = True) -> int:
    """Weights n_out x n_in, and one bias per output."""
    return n_in * n_out + bias * n_out
