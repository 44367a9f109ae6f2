"""What shapes cannot tell: options of layers and their places, initial weights, and choices behind equal shapes."""

import math

import pytest
import torch
import torch.nn.functional as F
from facts import all_of, build
from torch import nn

from cnncourse.layers import LocalResponseNorm
from cnncourse.models import MODELS, googlenet, lenet
from cnncourse.trace import parameters


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", MODELS)
def test_batch_norm_has_pytorchs_constants_or_where_it_comes_from_tensorflow_its_eps(name):
    eps = 1e-3 if name in ("googlenet_bn", "googlenet_small", "inception_v3") else 1e-5
    for norm in all_of(build(name), nn.BatchNorm2d):
        assert (norm.eps, norm.momentum, norm.affine, norm.track_running_stats) == (eps, 0.1, True, True), name


@pytest.mark.parametrize("name", MODELS)
def test_a_convolution_has_a_bias_unless_batch_norm_follows_and_brings_it(name):
    """VGG with batch norm keeps its biases, as torchvision does, so that its weights fit."""
    layers = list(build(name).modules())
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d):
            assert (layer.bias is None) == (isinstance(after, nn.BatchNorm2d) and not name.startswith("vgg")), name
    assert all(layer.bias is not None for layer in layers if isinstance(layer, nn.Linear)), name


@pytest.mark.parametrize("name", MODELS)
def test_batch_norm_is_in_the_networks_that_came_after_it(name):
    older = name.startswith(("lenet", "mnist", "alexnet", "vgg")) and not name.endswith("_bn") or name == "googlenet"
    assert older == (not all_of(build(name), nn.BatchNorm2d)), f"{name}: a network after 2015 has batch norm"


@pytest.mark.parametrize("name, n", [("alexnet", 2), ("alexnet_single", 2), ("alexnet_small", 2), ("vgg11_lrn", 1),
                                     ("googlenet", 2), ("alexnet_owt", 0), ("googlenet_bn", 0), ("vgg11", 0)])
def test_local_response_norm_has_the_papers_constants(name, n):
    norms = all_of(build(name), LocalResponseNorm)
    assert [(m.n, m.alpha, m.beta, m.k) for m in norms] == n * [(5, 1e-4, 0.75, 2.0)]


def test_normalisation_stands_between_relu_and_pooling():
    names = " ".join(name for name, _ in build("alexnet").named_children())
    assert names == "conv1 norm1 pool1 conv2 norm2 pool2 conv3 conv4 conv5 pool5 fc6 fc7 fc8"
    assert [type(m).__name__ for m in build("vgg11_lrn").block1] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    net = build("googlenet")
    assert [type(m).__name__ for m in net.pool1] == ["MaxPool2d", "LocalResponseNorm"]
    assert [type(m).__name__ for m in net.pool2] == ["LocalResponseNorm", "MaxPool2d"]


HEAD = {  # what stands between the last map and the logits, without Flatten
    "alexnet": "Linear ReLU 0.5 Linear ReLU 0.5 Linear", "alexnet_single": "Linear ReLU 0.5 Linear ReLU 0.5 Linear",
    "alexnet_small": "Linear ReLU 0.5 Linear ReLU 0.5 Linear", "alexnet_owt": "0.5 Linear ReLU 0.5 Linear ReLU Linear",
    **{name: "Linear ReLU 0.5 Linear ReLU 0.5 Linear" for name in MODELS if name.startswith("vgg")},
    "googlenet": "0.4 Linear", "googlenet_small": "0.4 Linear", "googlenet_bn": "0.2 Linear",
    "inception_v3": "0.5 Linear", "resnet50": "Linear", "resnet20": "Linear"}


@pytest.mark.parametrize("name", HEAD)
def test_dropout_has_the_papers_place_and_rate(name):
    net = build(name)
    parts = [net.fc6, net.fc7, net.fc8] if name.startswith("alexnet") else [net.head]
    layers = [m for part in parts for m in part.modules() if isinstance(m, nn.Linear | nn.ReLU | nn.Dropout)]
    assert " ".join(str(m.p) if isinstance(m, nn.Dropout) else type(m).__name__ for m in layers) == HEAD[name]
    assert len(all_of(net, nn.Dropout)) == HEAD[name].count("0.")


def pools(net):
    return [(type(m).__name__[:3], m.kernel_size, m.stride, m.padding, m.ceil_mode)
            for m in all_of(net, nn.MaxPool2d | nn.AvgPool2d)]


@pytest.mark.parametrize("name, expected", [
    ("lenet5", 2 * [("Avg", 2, 2, 0, False)]),
    ("mnist_cnn", 2 * [("Max", 2, 2, 0, False)]),
    ("alexnet", 3 * [("Max", 3, 2, 0, False)]),
    ("alexnet_owt", 3 * [("Max", 3, 2, 0, False)]),
    ("vgg16", 5 * [("Max", 2, 2, 0, False)]),
    ("resnet50", [("Max", 3, 2, 1, False)]),
    ("resnet18_small", []),
    ("resnet20", []),
    ("googlenet", 2 * [("Max", 3, 2, 1, False)] + 2 * [("Max", 3, 1, 1, False)] + [("Max", 3, 2, 1, False)]
     + 5 * [("Max", 3, 1, 1, False)] + [("Max", 3, 2, 1, False)] + 2 * [("Max", 3, 1, 1, False)]),
    ("googlenet_bn", 2 * [("Max", 3, 2, 0, True)] + 2 * [("Max", 3, 1, 1, False)] + [("Max", 3, 2, 0, True)]
     + 5 * [("Max", 3, 1, 1, False)] + [("Max", 2, 2, 0, True)] + 2 * [("Max", 3, 1, 1, False)]),
    ("inception_v3", 2 * [("Max", 3, 2, 0, False)] + 3 * [("Avg", 3, 1, 1, False)] + [("Max", 3, 2, 0, False)]
     + 4 * [("Avg", 3, 1, 1, False)] + [("Max", 3, 2, 0, False)] + 2 * [("Avg", 3, 1, 1, False)])])
def test_poolings_have_the_papers_windows_strides_and_rounding(name, expected):
    assert pools(build(name)) == expected


def test_no_network_works_in_place():
    for name in MODELS:
        assert not any(getattr(m, "inplace", False) for m in build(name).modules()), name


# LeNet-5

def test_table_i_connects_60_pairs_of_maps():
    assert [len(row) for row in lenet.TABLE_I] == 6 * [3] + 9 * [4] + [6]
    assert sum(map(len, lenet.TABLE_I)) == 60
    assert len({row for row in lenet.TABLE_I}) == 16 and all(
        sum(source in row for row in lenet.TABLE_I) == 10 for source in range(6))


def test_maps_of_c3_see_their_row_of_table_i_and_nothing_else():
    net = lenet.lenet5_1998()
    maps = torch.zeros(1, 6, 14, 14)
    before = net.C3[0](maps)
    for source in range(6):
        changed = maps.clone()
        changed[:, source] = random(14, 14)
        sees = (net.C3[0](changed) != before).flatten(2).any(dim=2)[0]
        assert [i for i in range(16) if sees[i]] == [i for i, row in enumerate(lenet.TABLE_I) if source in row]


def test_squashing_keeps_one_and_sub_sampling_adds_scales_and_shifts():
    squash = lenet.Squash()
    assert squash(torch.tensor([1.0, -1.0])).tolist() == pytest.approx([1, -1], abs=1e-4)
    assert squash(torch.tensor(1e6)).item() == pytest.approx(1.7159)
    layer, x = lenet.SubSampling(2), random(1, 2, 4, 4)
    with torch.no_grad():
        layer.coefficient[1], layer.bias[1] = 3, 0.5
    expected = 4 * F.avg_pool2d(x, 2)
    torch.testing.assert_close(layer(x)[:, 0], 0.25 * expected[:, 0])
    torch.testing.assert_close(layer(x)[:, 1], 3 * expected[:, 1] + 0.5)


def test_the_output_of_1998_is_the_distance_to_fixed_bitmaps():
    output = lenet.lenet5_1998().output
    assert parameters(output) == 0 and set(output.bitmaps.unique().tolist()) == {-1, 1}
    assert torch.equal(output(output.bitmaps).argmax(1), torch.arange(10))
    assert torch.equal(output(output.bitmaps).diagonal(), torch.zeros(10))
    flipped = output.bitmaps[:1].clone()
    flipped[0, :3] *= -1
    assert output(flipped)[0, 0].item() == -3 * 2**2
    distances = torch.cdist(output.bitmaps, output.bitmaps, p=1) / 2 + 84 * torch.eye(10)
    assert distances.min() >= 7  # pixels by which any two digits differ


# Equal shapes, other numbers

def test_googlenets_heads_pool_windows_of_5_not_of_4():
    maps = random(1, 512, 14, 14)
    paper, adaptive = F.avg_pool2d(maps, 5, 3), F.adaptive_avg_pool2d(maps, 4)
    assert paper.shape == adaptive.shape and not torch.allclose(paper, adaptive)
    assert torch.equal(googlenet.PAPER.auxiliary_pool()(maps), paper)
    assert torch.equal(googlenet.TENSORFLOW.auxiliary_pool()(maps), adaptive)


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn", "inception_v3"])
def test_heads_are_asked_for_and_do_not_change_the_logits(name):
    net = MODELS[name](num_classes=10, heads=True).eval()
    x = random(1, *net.input_shape)
    with torch.no_grad():
        logits, *others = net(x, heads=True)
        assert torch.equal(net(x), logits)
    assert len(others) == (1 if name == "inception_v3" else 2)
    assert all(other.shape == (1, 10) and not torch.equal(other, logits) for other in others)


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])
def test_googlenets_heads_drop_seven_tenths_before_their_last_layer(name):
    net = build(name, heads=True)
    for head in (net.aux1, net.aux2):
        assert [type(m).__name__ for m in head][-4:] == ["Linear", "ReLU", "Dropout", "Linear"] and head[-2].p == 0.7


@pytest.mark.parametrize("name, strides", [("resnet50", [1, 2, 1]), ("resnet50_v1", [2, 1, 1])])
def test_bottlenecks_stride_in_the_3x3_and_those_of_the_paper_in_the_first_1x1(name, strides):
    net = build(name)
    for stage in (net.conv3_x, net.conv4_x, net.conv5_x):
        assert [m.stride[0] for m in all_of(stage[0].residual, nn.Conv2d)] == strides
        assert all(m.stride == (1, 1) for block in stage[1:] for m in all_of(block.residual, nn.Conv2d))
    assert all(m.stride == (1, 1) for m in all_of(net.conv2_x, nn.Conv2d))


def test_option_a_keeps_every_second_pixel_and_appends_zeros():
    shortcut = MODELS["resnet20"]().conv3_x[0].shortcut
    x = random(1, 16, 8, 8)
    y = shortcut(x)
    assert parameters(shortcut) == 0 and y.shape == (1, 32, 4, 4)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2]) and y[:, 16:].abs().max() == 0


@pytest.mark.parametrize("option, projections", [("A", 0), ("B", 3), ("C", 8)])
def test_options_a_b_and_c_project_nowhere_where_shapes_change_and_everywhere(option, projections):
    net = build("resnet18", shortcut=option)
    shortcuts = [block.shortcut for stage in (net.conv2_x, net.conv3_x, net.conv4_x, net.conv5_x) for block in stage]
    assert sum(bool(parameters(shortcut)) for shortcut in shortcuts) == projections


def test_residual_blocks_add_before_the_last_relu_and_plain_ones_add_nothing():
    x = random(2, 16, 8, 8)
    residual, plain = (MODELS[name]().eval().conv2_x[1] for name in ("resnet20", "plain20"))
    torch.testing.assert_close(residual(x), (residual.residual(x) + x).relu())
    torch.testing.assert_close(plain(x), plain.residual(x).relu())
    assert isinstance(residual.residual[-1], nn.BatchNorm2d)


# Initial weights

def std_of(layer):
    return layer.weight.std().item()


def test_alexnet_starts_as_section_5_says():
    net = MODELS["alexnet"](num_classes=10)
    layers = all_of(net, nn.Conv2d | nn.Linear)
    assert [round(std_of(layer), 3) for layer in layers] == 8 * [0.01]
    assert [layer.bias.unique().tolist() for layer in layers] == [[0], [1], [0], [1], [1], [1], [1], [0]]


@pytest.mark.parametrize("name", ["vgg11", "vgg11_bn", "vgg11_lrn"])
def test_vgg_starts_as_torchvisions(name):
    net = MODELS[name](num_classes=10)
    for conv in all_of(net, nn.Conv2d):
        assert std_of(conv) == pytest.approx(math.sqrt(2 / (conv.out_channels * 9)), rel=0.05)
    assert [round(std_of(linear), 3) for linear in all_of(net, nn.Linear)] == 3 * [0.01]
    assert all(layer.bias.abs().max() == 0 for layer in all_of(net, nn.Conv2d | nn.Linear))


@pytest.mark.parametrize("name", ["vgg11", "vgg16_small", "vgg16_small_bn"])
def test_vgg_keeps_pytorchs_own_start_where_asked(name):
    for layer in all_of(MODELS[name](num_classes=10, he_init=False), nn.Conv2d | nn.Linear):
        bound = 1 / math.sqrt(layer.weight[0].numel())  # uniform: its deviation is the bound / sqrt(3)
        assert std_of(layer) == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert 0 < layer.bias.abs().max() <= bound


@pytest.mark.parametrize("name", ["alexnet_small", "vgg11_small"])
def test_small_networks_start_with_he_in_every_linear_layer(name):
    for layer in all_of(MODELS[name](), nn.Linear):
        assert std_of(layer) == pytest.approx(math.sqrt(2 / layer.in_features), rel=0.05)
        assert layer.bias.abs().max() == 0


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet20"])
def test_resnet_starts_with_he_by_fan_out_and_batch_norm_at_identity(name):
    net = MODELS[name]()
    for conv in all_of(net, nn.Conv2d):
        fan_out = conv.out_channels * conv.kernel_size[0] ** 2
        assert std_of(conv) == pytest.approx(math.sqrt(2 / fan_out), rel=0.1)
    assert all((m.weight == 1).all() and (m.bias == 0).all() for m in all_of(net, nn.BatchNorm2d))  # zero_init off
    bound = 1 / math.sqrt(net.head[2].in_features)
    assert bound * 0.9 < net.head[2].weight.abs().max() <= bound


def test_googlenet_starts_with_xavier_and_biases_of_one_fifth():
    for layer in all_of(MODELS["googlenet"](heads=True), nn.Conv2d | nn.Linear):
        size = layer.weight[0, 0].numel()
        fan_in, fan_out = layer.weight.shape[1] * size, layer.weight.shape[0] * size
        assert layer.weight.abs().max().item() == pytest.approx(math.sqrt(6 / (fan_in + fan_out)), rel=0.02)
        assert (layer.bias == 0.2).all()


def test_torchvisions_googlenet_and_inception_start_narrow():
    net = MODELS["googlenet_bn"](heads=True)
    assert {round(std_of(layer), 2) for layer in all_of(net, nn.Conv2d | nn.Linear)} == {0.01}
    assert all(linear.bias.abs().max() > 0 for linear in all_of(net, nn.Linear))  # PyTorch's default, untouched
    net = MODELS["inception_v3"](heads=True)
    stds = {name: std_of(m) for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert round(stds.pop("aux.conv1.0"), 3) == 0.01 and round(stds.pop("aux.fc"), 4) == 0.001
    assert {round(std, 2) for std in stds.values()} == {0.1}


def test_lenet_of_1998_starts_within_its_fan_in():
    for layer in all_of(MODELS["lenet5_1998"](), nn.Conv2d | nn.Linear):
        bound = 2.4 / layer.weight[0].numel()
        assert bound * 0.75 < layer.weight.abs().max() <= bound
