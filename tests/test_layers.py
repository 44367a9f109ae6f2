"""Layers written out equal PyTorch's; local response normalisation equals its paper, fast or plain."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd import forward_ad

from cnncourse.layers import (
    Conv2d,
    LocalResponseNorm,
    conv2d_im2col,
    conv2d_loops,
    local_response_norm,
    pad_same,
    pool2d_loops,
)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("convolve", [conv2d_loops, conv2d_im2col])
@pytest.mark.parametrize("stride, padding", [(1, 0), (1, 2), (2, 1), (3, 0)])
def test_written_out_convolution_equals_pytorch(convolve, stride, padding):
    x, weight, bias = random(2, 3, 9, 7), random(4, 3, 3, 3, seed=1), random(4, seed=2)
    for b in (None, bias):
        expected = F.conv2d(x, weight, b, stride, padding)
        torch.testing.assert_close(convolve(x, weight, b, stride, padding), expected)


def test_the_convolution_layer_registers_what_it_trains_and_equals_pytorchs():
    layer, theirs = Conv2d(3, 4, 3, padding="same").double(), nn.Conv2d(3, 4, 3, padding="same").double()
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {"weight": (4, 3, 3, 3), "bias": (4,)}
    theirs.load_state_dict(layer.state_dict())
    x = random(2, 3, 8, 8)
    torch.testing.assert_close(layer(x), theirs(x))
    layer(x).square().sum().backward()
    assert layer.weight.grad.abs().min() > 0
    bound = (6 / (3 * 9 + 4 * 9)) ** 0.5
    assert bound * 0.9 < layer.weight.abs().max() <= bound and layer.bias.abs().max() == 0
    assert Conv2d(1, 1, 5)(torch.zeros(1, 1, 9, 9)).shape == (1, 1, 5, 5)
    with pytest.raises(ValueError, match="'valid' or 'same', not 'full'"):
        Conv2d(1, 1, 3, padding="full")


@pytest.mark.parametrize("size", range(4, 12))
@pytest.mark.parametrize("k, stride", [(3, 1), (3, 2), (2, 2), (5, 3), (1, 2)])
def test_same_padding_gives_the_size_over_the_stride_rounded_up(size, k, stride):
    x = torch.ones(1, 1, size, size)
    padded = pad_same(x, k, stride)
    assert F.max_pool2d(padded, k, stride).shape[-1] == -(-size // stride)
    zeros = padded.shape[-1] - size
    assert torch.equal(padded, F.pad(x, (zeros // 2, zeros - zeros // 2) * 2))  # the right and the bottom get more


@pytest.mark.parametrize("k, stride, padding", [(2, 2, 0), (3, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_written_out_pooling_equals_pytorch(k, stride, padding):
    x = random(2, 3, 9, 8) - 5  # all negative: padding with zeros would win
    assert torch.equal(pool2d_loops(x, k, stride, padding), F.max_pool2d(x, k, stride, padding))
    torch.testing.assert_close(pool2d_loops(x, k, stride, padding, reduce=torch.Tensor.mean),
                               F.avg_pool2d(x, k, stride, padding))


@pytest.mark.parametrize("normalise", [local_response_norm, LocalResponseNorm()])
def test_local_response_norm_is_the_formula_that_the_paper_prints(normalise):
    a = 50 * random(2, 12, 3, 3).abs()
    expected = torch.empty_like(a)
    for i in range(12):
        neighbours = a[:, max(0, i - 2): min(12, i + 3)]
        expected[:, i] = a[:, i] / (2 + 1e-4 * (neighbours**2).sum(1)) ** 0.75
    torch.testing.assert_close(normalise(a), expected)
    dividing_alpha = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2)(a)
    assert ((dividing_alpha - expected).abs() / expected).max() > 0.1
    torch.testing.assert_close(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)(a), expected)


@pytest.mark.parametrize("n, beta", [(5, 0.75), (3, 0.75), (1, 0.75), (5, 0.5)])
def test_the_written_gradient_is_that_of_the_formula(n, beta):
    x = (30 * random(2, 7, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(LocalResponseNorm(n, 1e-2, beta), x)
    weight = random(2, 7, 3, 2, seed=1)
    fast, = torch.autograd.grad((LocalResponseNorm(n, 1e-2, beta)(x) * weight).sum(), x)
    plain, = torch.autograd.grad((local_response_norm(x, n, 1e-2, beta) * weight).sum(), x)
    torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_fast_local_response_norm_keeps_six_digits_in_single_precision(memory_format):
    x = (20 * random(2, 96, 27, 27, dtype=torch.float32)).to(memory_format=memory_format).requires_grad_()
    weight = random(2, 96, 27, 27, seed=1, dtype=torch.float32)
    y = LocalResponseNorm()(x)
    gradient, = torch.autograd.grad((y * weight).sum(), x)
    exact = x.detach().double().requires_grad_()
    expected = local_response_norm(exact)
    expected_gradient, = torch.autograd.grad((expected * weight).sum(), exact)
    for found, wanted in ((y, expected), (gradient, expected_gradient)):
        assert (found - wanted).abs().max() <= 1e-6 * wanted.abs().max()
        assert found.is_contiguous(memory_format=memory_format)


def dual_numbers(layer, x, g):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(layer(forward_ad.make_dual(x, g))).tangent


WAYS = {
    "vmap": lambda layer, x, g: torch.func.vmap(lambda a: layer(a[None])[0])(x),
    "vmap over another argument": lambda layer, x, g: torch.func.vmap(lambda s: layer(x) * s)(g[0, 0]),
    "jvp": lambda layer, x, g: torch.func.jvp(layer, (x,), (g,))[1],
    "vjp": lambda layer, x, g: torch.func.vjp(layer, x)[1](g)[0],
    "dual numbers": dual_numbers,
    "jacobian": lambda layer, x, g: torch.autograd.functional.jacobian(layer, x, vectorize=True),
    "hessian": lambda layer, x, g: torch.autograd.functional.hessian(lambda a: (layer(a) * g).sum(), x),
    "fx": lambda layer, x, g: torch.fx.symbolic_trace(nn.Sequential(layer))(x),
    "jit": lambda layer, x, g: torch.jit.trace(layer, x)(x[:1]),
    "an empty batch": lambda layer, x, g: layer(x[:0]),
    "a parameter": lambda layer, x, g: layer(nn.Parameter(x)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("way", WAYS)
def test_fast_local_response_norm_gives_way_where_pytorch_records_or_transforms(way):
    x, g = 10 * random(2, 7, 2, 3), random(2, 7, 2, 3, seed=1)
    ours, theirs = LocalResponseNorm(alpha=1e-2), nn.LocalResponseNorm(5, 5e-2, 0.75, 2.0)
    torch.testing.assert_close(WAYS[way](ours, x, g), WAYS[way](theirs, x, g))


def test_the_second_derivative_is_that_of_the_formula():
    x = (10 * random(2, 7, 2, 2)).requires_grad_()
    assert torch.autograd.gradgradcheck(LocalResponseNorm(alpha=1e-2), x)


def test_windows_of_channels_are_odd():
    with pytest.raises(ValueError, match="odd number of channels.*not 4"):
        LocalResponseNorm(4)
