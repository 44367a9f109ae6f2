import pytest
import torch
import torch.nn.functional as F

from cnncourse.layers import LocalResponseNorm, conv2d_im2col, conv2d_loops


@pytest.mark.parametrize("convolve", [conv2d_loops, conv2d_im2col])
@pytest.mark.parametrize("stride, padding", [(1, 0), (1, 2), (2, 1), (3, 0)])
def test_written_out_convolution_equals_pytorch(convolve, stride, padding):
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(shape, generator=generator, dtype=torch.float64)
                       for shape in ((2, 3, 9, 7), (4, 3, 3, 3), (4,)))
    for b in (None, bias):
        expected = F.conv2d(x, weight, b, stride, padding)
        torch.testing.assert_close(convolve(x, weight, b, stride, padding), expected)


def test_local_response_norm_is_the_formula_the_paper_prints():
    a = 50 * torch.rand(2, 12, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.empty_like(a)
    for i in range(12):
        neighbours = a[:, max(0, i - 2): min(12, i + 3)]
        expected[:, i] = a[:, i] / (2 + 1e-4 * (neighbours**2).sum(1)) ** 0.75
    torch.testing.assert_close(LocalResponseNorm()(a), expected)
    dividing_alpha = torch.nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2)(a)
    assert ((dividing_alpha - expected).abs() / expected).max() > 0.1
