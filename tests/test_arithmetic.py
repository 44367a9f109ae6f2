import itertools

import pytest
import torch
from torch import nn

from cnncourse import arithmetic


def test_output_size_is_pytorchs_for_convolutions():
    for n, k, s, p, d in itertools.product(range(4, 14), range(1, 6), range(1, 4), range(3), range(1, 3)):
        layer = nn.Conv2d(1, 1, k, s, p, d, device="meta")
        x = torch.empty(1, 1, n, n, device="meta")
        if n + 2 * p < d * (k - 1) + 1:
            with pytest.raises(ValueError, match="does not fit"):
                arithmetic.output_size(n, k, s, p, d)
        else:
            assert arithmetic.output_size(n, k, s, p, d) == layer(x).shape[-1]


def test_output_size_is_pytorchs_for_pooling_with_either_rounding():
    for n, k, s, ceil_mode in itertools.product(range(1, 24), range(1, 7), range(1, 5), (False, True)):
        for p in range(k // 2 + 1):
            layer, case = nn.MaxPool2d(k, s, p, ceil_mode=ceil_mode), (n, k, s, p, ceil_mode)
            try:
                expected = layer(torch.empty(1, 1, n, n, device="meta")).shape[-1]
            except RuntimeError:
                with pytest.raises(ValueError, match="does not fit"):
                    arithmetic.output_size(n, k, s, p, ceil_mode=ceil_mode)
            else:
                assert arithmetic.output_size(n, k, s, p, ceil_mode=ceil_mode) == expected, case


def test_unseen_columns_are_those_without_gradient():
    for n, k, s in itertools.product(range(5, 15), range(1, 5), range(1, 5)):
        x = torch.zeros(1, 1, n, n, requires_grad=True)
        nn.functional.conv2d(x, torch.ones(1, 1, k, k), stride=s).sum().backward()
        seen = x.grad[0, 0, 0].nonzero().max().item() + 1
        assert arithmetic.unseen(n, k, s) == n - seen


def test_alexnet_on_224_pixels_does_not_give_55():
    assert arithmetic.output_size(224, 11, 4) == 54
    assert arithmetic.output_size(227, 11, 4) == 55


def test_same_padding_refuses_even_kernels():
    assert [arithmetic.same_padding(k) for k in (1, 3, 5, 7)] == [0, 1, 2, 3]
    assert arithmetic.same_padding(3, d=2) == 2
    with pytest.raises(ValueError, match="odd kernel"):
        arithmetic.same_padding(4)


def test_receptive_fields_are_those_of_the_papers():
    lenet = [(5, 1), (2, 2), (5, 1), (2, 2), (5, 1)]
    assert [arithmetic.receptive_field(lenet[:i]) for i in range(1, 6)] == [(5, 1), (6, 2), (14, 2), (16, 4), (32, 4)]
    assert arithmetic.receptive_field([(3, 1), (3, 1)]) == arithmetic.receptive_field([(5, 1)]) == (5, 1)
    alexnet = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
    assert arithmetic.receptive_field(alexnet) == (195, 32)
