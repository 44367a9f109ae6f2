"""Rows of the errata on sizes and windows."""

import pytest
import torch
import torch.nn.functional as F
from rows import fails, proves, torchvisions
from scipy.signal import convolve2d
from torch import nn

from cnncourse.models import MODELS


def side(layer, n):
    """The columns that a layer gives for n x n pixels."""
    return layer(torch.zeros(1, 1, n, n)).shape[3]


@proves("5 pixels, kernel 3")
def test_the_sum_belongs_to_a_larger_kernel(row):
    assert row.right() == side(nn.Conv2d(1, 1, 3, padding=1), 5) == 5
    assert 5 + 2 * 2 - 4 + 1 == side(nn.Conv2d(1, 1, 4, padding=2), 5) == 6


@proves('"Same" padding')
def test_same_padding_counts_dilation_and_is_uneven_for_even_kernels(row):
    x = torch.zeros(1, 3, 9, 11)
    assert all(row.right(d=d)(x).shape[2:] == (9, 11) for d in (1, 2, 3))
    assert nn.Conv2d(3, 4, 3, padding=1, dilation=2)(x).shape[2:] != (9, 11)  # (k - 1) / 2, with dilation
    with pytest.warns(UserWarning, match="even kernel"):
        assert nn.Conv2d(3, 4, 4, padding="same")(x).shape[2:] == (9, 11)


@proves("`F.conv2d` is the convolution")
def test_a_turned_kernel_makes_the_convolution_of_mathematics(row):
    x, weight = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 3, 3)
    expected = torch.tensor(convolve2d(x[0, 0], weight[0, 0], mode="valid"))
    torch.testing.assert_close(row.right(x=x, weight=weight)[0, 0], expected)
    assert not torch.allclose(F.conv2d(x, weight)[0, 0], expected, atol=1e-2)


@proves("Sharing weights prevents")
def test_lenet_learns_noise_by_heart(row):
    images, labels, net = torch.randn(32, 1, 28, 28), torch.randint(10, (32,)), MODELS["lenet5"]()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
    assert (net(images).argmax(1) == labels).all()


@proves("Pooling makes a network invariant")
def test_a_pooling_forgets_a_shift_inside_a_window_and_no_other(row):
    dots = torch.eye(8).view(8, 1, 1, 8)  # a white dot in each of eight columns
    pooled = F.max_pool2d(dots, (1, 2))
    assert torch.equal(pooled[2], pooled[3]) and not torch.equal(pooled[3], pooled[4])
    assert len(row.right(maps=dots).unique()) == 1


@proves("`nn.AvgPool2d(2, stride=0)`")
def test_a_stride_of_zero_is_refused(row):
    fails(RuntimeError, "stride should not be zero", row.wrong(), torch.zeros(1, 1, 8, 8))
    assert row.right().stride == 2


@proves("Average pooling is hardly")
def test_an_average_over_the_map_ends_later_networks(row):
    for net in (torchvisions("resnet18"), torchvisions("googlenet", init_weights=False)):
        assert type(net.avgpool) is type(row.right()) and net.avgpool.output_size in (1, (1, 1))
