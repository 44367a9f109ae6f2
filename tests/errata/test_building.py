"""Rows of the errata on building a network."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from rows import fails, proves, scope, torchvisions
from torch import nn


@proves({
    "`nn.Sequential(nn.ReLU(). nn": (AttributeError, "'ReLU' object has no attribute 'nn'", lambda net: len(net) == 2),
    "`nn.Sequential([nn.ReLU()": (TypeError, "list is not a Module subclass", lambda net: len(net) == 2),
    "`torch.cat(a, b)`": (TypeError, "tuple of Tensors", lambda both: both.shape == (6, 6, 8, 8)),
    "`torch.add[a, b]`": (TypeError, "is not subscriptable", lambda total: not total.any())})  # b is -a
def test_it_is_refused_and_what_the_page_writes_is_not(row, error, words, holds):
    fails(error, words, row.wrong)
    assert holds(row.right())


@proves({
    "`nn.Dropout2d(0.4)": (UserWarning, "Received a 2-D input to dropout2d, which is deprecated"),
    "`nn.init.xavier_uniform(weight)`": (FutureWarning, "deprecated in favor of `nn.init.xavier_uniform_`")})
def test_pytorch_warns_and_is_silent_about_what_the_page_writes(row, warning, words):
    with pytest.warns(warning, match=words):
        row.wrong()
    with warnings.catch_warnings(action="error"):
        row.right()


def test_dropout2d_drops_whole_channels():
    kept = nn.Dropout2d(0.5)(torch.ones(8, 8, 4, 4)).flatten(2)
    assert ((kept == 0).all(2) | (kept == 2).all(2)).all()


@proves({
    "`maps.view(-1, 256 * 6 * 6)`": ((36, 256, 5, 5), (25, 9216), (36, 6400)),
    "`maps.view(batch_size, -1)`": ((8, 1024, 1, 1), (16, 512), (8, 1024)),
    "`F.pad(maps, (0, 0, 0, 0, 4, 4))`": ((1, 32, 3, 5), (1, 40, 3, 5), (1, 32, 11, 13))})
def test_maps_get_another_shape_than_meant(row, shape, wrong, right):
    maps = torch.zeros(shape)
    assert (row.wrong(maps=maps).shape, row.right(maps=maps).shape) == (wrong, right)


def test_negative_padding_cuts_channels_off():
    assert F.pad(torch.zeros(1, 32, 3, 5), (0, 0, 0, 0, 0, -16)).shape == (1, 16, 3, 5)


@proves("`torch.stack([a, b])`")
def test_stacking_makes_a_new_axis(row):
    a = torch.zeros(2, 16, 8, 8)
    assert row.wrong(a=a, b=a).shape == (2, 2, 16, 8, 8) and row.right(a=a, b=a).shape == (2, 32, 8, 8)
    assert torch.cat([a, a]).shape == (4, 16, 8, 8)  # without an axis images are joined


@proves("`nn.Sequential(nn.Linear(n_in, 8), nn.ReLU(), nn.Dropout(0.5, in")
def test_dropout_in_place_fails_in_backward_and_only_in_training(row):
    x = torch.ones(2, 3)
    fails(RuntimeError, "modified by an inplace operation", row.wrong()(x).sum().backward)
    row.wrong().eval()(x).sum().backward()
    row.right()(x).sum().backward()


@proves("`nn.ReLU(inplace=True)`")
def test_a_relu_in_place_overwrites_its_input(row):
    for relu, left in ((row.wrong(), 0), (row.right(), -1), (F.relu, -1)):
        x = torch.tensor([-1.0])
        relu(x)
        assert x.item() == left


@proves("`nn.Linear(512, 4096)`")
def test_the_first_linear_layer_of_vgg_depends_on_the_pixels(row):
    with torch.device("meta"):
        assert row.right(size=32).in_features == 512
        return [row.right(size=224).in_features]


@proves("`class Net(nn.Model)`")
def test_pytorch_has_modules_and_no_models(row):
    assert not hasattr(nn, "Model") and issubclass(row.right().Net, nn.Module)


@proves("`net.forward(x)`")
def test_forward_calls_no_hook(row):
    calls, net = [], scope()["net"].eval()
    net.register_forward_hook(lambda *_: calls.append(1))
    assert torch.equal(row.wrong(net=net), row.right(net=net)) and len(calls) == 1


@proves("`nn.Sequential(nn.Conv2d(n_in, n_out, 3), nn.Batch")
def test_a_bias_before_batch_normalisation_changes_and_learns_nothing(row):
    block, x = row.wrong(), torch.randn(8, 3, 8, 8)
    before = block(x)
    before.square().mean().backward()
    assert block[0].bias.grad.abs().max() < 1e-5
    with torch.no_grad():
        block[0].bias += 5
    assert torch.allclose(block(x), before, atol=1e-4) and row.right()[0].bias is None


@proves("`net.modules()` gives")
def test_modules_are_layers_and_containers(row):
    net = torchvisions("vgg16")
    assert len(list(row.wrong(net=net))) == 42 and len(row.right(net=net)) == 39


@proves("`isinstance(layer")
def test_isinstance_is_true_or_false(row):
    assert row.wrong() is True and row.right() is nn.Conv2d


@proves("`nn.AvgPool2d(8)`")
def test_a_fixed_window_suits_maps_of_its_size(row):
    fails(RuntimeError, "Output size is too small", row.wrong(), torch.zeros(1, 4, 4, 4))
    assert row.wrong()(torch.zeros(1, 4, 16, 16)).numel() == 16
    assert all(row.right()(torch.zeros(1, 4, n, n)).numel() == 4 for n in (4, 8, 16))


@proves("`net.cuda()`")
def test_a_network_moves_to_a_gpu_where_there_is_one(row):
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, AssertionError)):
            row.wrong()
    assert next(row.right().parameters()).is_cuda == torch.cuda.is_available()
