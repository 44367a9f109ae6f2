"""Lessons 1, 3 and 8: convolution and pooling written out, and local response normalisation as its paper prints it.

Shapes: images N x C x H x W, weights C_out x C_in x K x K, bias C_out.
What is written out is for reading; `torch.nn.functional` does the same faster.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad

from .arithmetic import output_size


def conv2d_loops(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolution as its definition: each output is a sum over one window of all input channels."""
    x = F.pad(x, (padding,) * 4)
    n, _, height, width = x.shape
    n_out, _, k, _ = weight.shape
    out = x.new_empty(n, n_out, output_size(height, k, stride), output_size(width, k, stride))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            window = x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]  # N x C_in x K x K
            out[:, :, i, j] = (window[:, None] * weight).sum(dim=(2, 3, 4))  # N x C_out
    return out if bias is None else out + bias[:, None, None]


def conv2d_im2col(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """The same as one matrix product: every window becomes a column of length C_in*K*K."""
    n_out, _, k, _ = weight.shape
    columns = F.unfold(x, k, stride=stride, padding=padding)  # N x (C_in*K*K) x positions
    out = weight.flatten(1) @ columns  # N x C_out x positions
    out = out.unflatten(2, (output_size(x.shape[2], k, stride, padding), -1))
    return out if bias is None else out + bias[:, None, None]


class Conv2d(nn.Module):
    """The same as a layer: weight and bias are registered as parameters, so that optimizers and devices find them.

    padding: "valid" adds none and drops what does not fit; "same" gives ceil(size / stride) outputs, see `pad_same`.
    Weights start from Glorot's uniform distribution and biases at zero.
    """

    def __init__(self, n_in: int, n_out: int, k: int, stride: int = 1, padding: str = "valid"):
        if padding not in ("valid", "same"):
            raise ValueError(f"padding is 'valid' or 'same', not {padding!r}")
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_out, n_in, k, k)))
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        if self.padding == "same":
            x = pad_same(x, self.weight.shape[-1], self.stride)
        return conv2d_im2col(x, self.weight, self.bias, self.stride)


def pad_same(x: Tensor, k: int, stride: int = 1) -> Tensor:
    """Pad with zeros until a window of k gives ceil(size / stride) outputs, as "same" means in TensorFlow.

    Where the number of zeros is odd, the right and the bottom get one more. PyTorch's padding="same" refuses strides.
    """
    pads = []
    for size in (x.shape[3], x.shape[2]):  # F.pad wants the last axis first
        zeros = max((-(-size // stride) - 1) * stride + k - size, 0)
        pads += [zeros // 2, zeros - zeros // 2]
    return F.pad(x, pads)


def pool2d_loops(x: Tensor, k: int, stride: int, padding: int = 0, reduce: Callable = Tensor.amax) -> Tensor:
    """Pooling as its definition: each output is the maximum (or, with reduce=Tensor.mean, the mean) of one window.

    Maximum pooling pads with minus infinity, so that padding never wins; mean pooling pads with zeros, and counts them.
    """
    x = F.pad(x, (padding,) * 4, value=0.0 if reduce is Tensor.mean else -torch.inf)
    n, channels, height, width = x.shape
    out = x.new_empty(n, channels, output_size(height, k, stride), output_size(width, k, stride))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = reduce(x[:, :, i * stride : i * stride + k, j * stride : j * stride + k], dim=(2, 3))
    return out


def local_response_norm(x: Tensor, n: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> Tensor:
    """b = a / (k + alpha * sum of a^2 over n neighbouring channels) ^ beta, the formula of AlexNet's Section 3.3.

    x: N x C x H x W. n: odd.
    """
    return x / (k + alpha * around(x.square(), n)) ** beta


def around(x: Tensor, n: int) -> Tensor:
    """Each channel's sum over the n channels around it. x: N x C x H x W."""
    channels = x.shape[1]
    x = F.pad(x, (0, 0, 0, 0, n // 2, n // 2))  # zeros beyond the first and the last channel
    return sum(x[:, i : i + channels] for i in range(n))


class LocalResponseNorm(nn.Module):
    """`local_response_norm` as a layer, several times faster: its gradient is written down instead of recorded.

    n: how many neighbouring channels count, an odd number; the channel itself is one of them.
    `nn.LocalResponseNorm` divides alpha by n and has k = 1 by default, so the paper's alpha of 1e-4 is its 5e-4.
    """

    def __init__(self, n: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0):
        if n < 1 or n % 2 == 0:
            raise ValueError(f"n is an odd number of channels, as many below as above, not {n}")
        super().__init__()
        self.n, self.alpha, self.beta, self.k = n, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        return (FastLRN.apply if plain(x) else local_response_norm)(x, self.n, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"n={self.n}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def plain(x: Tensor) -> bool:
    """Whether x is numbers to compute with at once. Where PyTorch records or transforms the computation (torch.compile,
    torch.export, torch.fx, torch.func and the like) only the formula will do.
    """
    return (not torch.compiler.is_compiling() and not torch.jit.is_tracing() and type(x) is Tensor and x.numel() > 0
            and not torch._C._are_functorch_transforms_active() and not torch._C._functorch.is_legacy_batchedtensor(x)
            and forward_ad.unpack_dual(x).tangent is None)


class FastLRN(torch.autograd.Function):
    """With d = k + alpha * S(a^2), where S sums over neighbouring channels, and a gradient g of the output:

    b = a * d^-beta        gradient of a = g * d^-beta - 2 alpha beta * a * S(g * b / d)

    One image at a time, in the same few buffers, because its maps stay in the processor's cache where those of a batch
    do not. For the same reason the backward pass computes d again: that is faster than fetching it, and only the input
    has to be kept.
    """

    @staticmethod
    def forward(ctx, a, n, alpha, beta, k):
        b = torch.empty_like(a)
        d, scratch = (torch.empty_like(a[:1])[0] for _ in range(2))
        for a_i, b_i in zip(a, b, strict=True):
            denominator(a_i, n, alpha, k, d, scratch)
            negative_power(d, beta, b_i, scratch).mul_(a_i)
        ctx.save_for_backward(a)
        ctx.constants = n, alpha, beta, k
        return b

    @staticmethod
    def backward(ctx, g):
        a, = ctx.saved_tensors
        n, alpha, beta, k = ctx.constants
        if torch.is_grad_enabled() or not plain(g):  # a gradient to differentiate, or several at once
            d = k + alpha * around(a.square(), n)
            return (g * d**-beta - 2 * alpha * beta * a * around(g * a * d ** (-beta - 1), n), *[None] * 4)
        gradient = torch.empty_like(a)
        d, direct, scratch = (torch.empty_like(a[:1])[0] for _ in range(3))
        for a_i, g_i, out in zip(a, g, gradient, strict=True):
            denominator(a_i, n, alpha, k, d, scratch)
            negative_power(d, beta, direct, scratch).mul_(g_i)
            torch.mul(direct, a_i, out=scratch).div_(d)
            torch.addcmul(direct, a_i, neighbours(scratch, n, d), value=-2 * alpha * beta, out=out)
        return gradient, None, None, None, None


def denominator(a: Tensor, n: int, alpha: float, k: float, out: Tensor, scratch: Tensor) -> None:
    """d of one image. All tensors are C x H x W."""
    neighbours(torch.mul(a, a, out=scratch), n, out).mul_(alpha).add_(k)


def neighbours(x: Tensor, n: int, out: Tensor) -> Tensor:
    """S: each channel's sum over the n channels around it."""
    out.copy_(x)
    for step in range(1, n // 2 + 1):
        out[step:] += x[:-step]
        out[:-step] += x[step:]
    return out


def negative_power(d: Tensor, beta: float, out: Tensor, scratch: Tensor) -> Tensor:
    """d^-beta; the paper's 3/4 by two square roots, which are much faster than a power."""
    if beta != 0.75:
        return torch.pow(d, -beta, out=out)
    return torch.sqrt(torch.rsqrt(d, out=scratch), out=out).mul_(scratch)  # d^-1/4 * d^-1/2
