"""Convolution written out, and local response normalisation as its paper prints it.

Shapes: images N x C x H x W, weights C_out x C_in x K x K, bias C_out.
The first two functions are for reading; `torch.nn.functional.conv2d` does the same faster.
"""

import torch.nn.functional as F
from torch import Tensor, nn


def conv2d_loops(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolution as its definition: each output is a sum over one window of all input channels."""
    x = F.pad(x, (padding,) * 4)
    n, _, height, width = x.shape
    n_out, _, k, _ = weight.shape
    out = x.new_empty(n, n_out, (height - k) // stride + 1, (width - k) // stride + 1)
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
    height = (x.shape[2] + 2 * padding - k) // stride + 1
    out = out.unflatten(2, (height, -1))
    return out if bias is None else out + bias[:, None, None]


class LocalResponseNorm(nn.Module):
    """b = a / (k + alpha * sum of a^2 over n neighbouring channels) ^ beta (AlexNet, Section 3.3).

    `nn.LocalResponseNorm` divides alpha by n and has k = 1 by default, so the paper's alpha of 1e-4 is its 5e-4.
    """

    def __init__(self, n: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0):
        super().__init__()
        self.n, self.alpha, self.beta, self.k = n, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        return F.local_response_norm(x, self.n, self.n * self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"n={self.n}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
