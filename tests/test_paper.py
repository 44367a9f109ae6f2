"""Counts of the papers, to the unit. MACs: outputs x kernel x input channels / groups; batch 1; bias and the rest 0."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnncourse.models import MODELS
from cnncourse.trace import macs, on_meta, parameters, stages

COUNTS = {  # name: (parameters, MACs)
    "lenet5": (61_706, 416_520),
    "mnist_cnn": (44_426, 281_640),
    "alexnet": (60_965_224, 724_406_816),
    "alexnet_small": (1_790_154, 77_036_544),
    "vgg11": (132_863_336, 7_609_090_048),
    "vgg13": (133_047_848, 11_308_466_176),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
    "vgg11_bn": (132_868_840, 7_609_090_048),
    "vgg13_bn": (133_053_736, 11_308_466_176),
    "vgg16_bn": (138_365_992, 15_470_264_320),
    "vgg19_bn": (143_678_248, 19_632_062_464),
    "vgg11_small": (9_750_922, 153_293_824),
    "vgg16_small": (15_245_130, 313_725_952),
    "vgg11_small_bn": (9_756_426, 153_293_824),
    "vgg16_small_bn": (15_253_578, 313_725_952),
    "googlenet": (6_998_552, 1_582_671_872),
    "googlenet_small": (5_979_178, 475_506_688),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet152": (60_192_808, 11_513_626_624),
    "plain18": (11_515_688, 1_794_805_760),
    "plain34": (21_623_848, 3_644_493_824),
    "resnet18_small": (11_173_962, 555_422_720),
    "resnet20": (269_722, 40_551_040),
    "resnet32": (464_154, 68_862_592),
    "resnet44": (658_586, 97_174_144),
    "resnet56": (853_018, 125_485_696),
    "resnet110": (1_727_962, 252_887_680),
    "plain20": (269_722, 40_551_040),
    "plain56": (853_018, 125_485_696),
}


def build(name, **kw):
    with torch.device("meta"):
        return MODELS[name](**kw)


def test_every_model_has_its_counts_here():
    assert list(COUNTS) == list(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_and_macs_are_the_papers(name):
    net = build(name)
    total = stages(net)[-1]
    assert (total.parameters, total.macs) == COUNTS[name]
    assert sum(row.parameters for row in stages(net)[:-1]) == total.parameters
    with FlopCounterMode(display=False) as counter:  # a second tool, which counts two operations a MAC
        on_meta(net, net.input_shape)
    assert counter.get_total_flops() == 2 * total.macs


def test_alexnet_layers_are_the_papers():
    rows = {row.name: row for row in stages(build("alexnet"))}
    assert [rows[f"conv{i}"].parameters for i in range(1, 6)] == [34_944, 307_456, 885_120, 663_936, 442_624]
    assert [rows[f"conv{i}"].macs for i in range(1, 6)] == [
        105_415_200, 223_948_800, 149_520_384, 112_140_288, 74_760_192]
    assert [rows[n].output for n in ("conv1", "pool1", "pool2", "conv5", "pool5")] == [
        "96 x 55 x 55", "96 x 27 x 27", "256 x 13 x 13", "256 x 13 x 13", "256 x 6 x 6"]
    assert stages(build("alexnet", groups=1))[-1].parameters == 62_378_344


def test_googlenet_modules_are_table_1():
    rows = {row.name: row for row in stages(build("googlenet"))}
    expected = {
        "3a": (163_696, 128_049_152), "3b": (388_736, 304_267_264), "4a": (376_176, 73_608_192),
        "4b": (449_160, 87_908_352), "4c": (510_104, 99_850_240), "4d": (605_376, 118_515_712),
        "4e": (868_352, 169_996_288), "5a": (1_043_456, 51_079_168), "5b": (1_444_080, 70_697_984)}
    found = {name: (rows[f"inception{name}"].parameters, rows[f"inception{name}"].macs) for name in expected}
    assert found == expected
    assert rows["inception5b"].output == "1024 x 7 x 7"


def test_googlenet_heads_add_their_parameters_and_keep_the_logits():
    assert parameters(build("googlenet", heads=True)) == 13_378_280
    net = MODELS["googlenet"](num_classes=10, heads=True).eval()
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits, aux1, aux2 = net(x, heads=True)
        assert torch.equal(net(x), logits)
    assert logits.shape == aux1.shape == aux2.shape == (1, 10)
    assert not torch.allclose(aux1, aux2)


def test_small_vgg_scales_every_layer_with_width():
    narrow = MODELS["vgg16_small"](width=16)
    full = MODELS["vgg16_small"]()
    for small, large in zip(narrow.parameters(), full.parameters(), strict=True):
        assert small.shape[0] in (large.shape[0] // 4, 10)


@pytest.mark.parametrize("name", ["vgg16", "alexnet"])
def test_dropout_follows_the_two_hidden_fully_connected_layers(name):
    order = [type(m).__name__ for m in build(name).modules() if isinstance(m, nn.Linear | nn.ReLU | nn.Dropout)]
    assert order[-7:] == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert {m.p for m in build(name).modules() if isinstance(m, nn.Dropout)} == {0.5}


def test_alexnet_starts_with_the_papers_biases():
    net = MODELS["alexnet"](num_classes=10)
    biases = {n: float(net.get_submodule(n).state_dict()[k].mean())
              for n, k in [(f"conv{i}", "0.bias") for i in range(1, 6)] + [("fc6", "1.bias"), ("fc7", "0.bias")]}
    assert biases == {"conv1": 0, "conv2": 1, "conv3": 0, "conv4": 1, "conv5": 1, "fc6": 1, "fc7": 1}
    assert abs(net.fc7[0].weight.std().item() - 0.01) < 1e-4


def test_shortcuts_of_option_a_have_no_parameters_and_append_zero_channels():
    net = MODELS["resnet20"]()
    shortcut = net.conv3_x[0].shortcut
    x = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    y = shortcut(x)
    assert parameters(shortcut) == 0
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2]) and y[:, 16:].abs().max() == 0


def test_plain_nets_add_nothing():
    plain, x = MODELS["plain20"]().eval(), torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    block = plain.conv2_x[0]
    torch.testing.assert_close(block(x), block.residual(x).relu())


def test_bottlenecks_stride_in_the_3x3():
    strides = [m.stride[0] for m in build("resnet50").conv3_x[0].residual if isinstance(m, nn.Conv2d)]
    assert strides == [1, 2, 1]


def test_no_model_works_in_place():
    for name in MODELS:
        assert not any(getattr(m, "inplace", False) for m in build(name).modules()), name


def test_lenet_refuses_sizes_that_do_not_pad_to_32():
    with pytest.raises(ValueError, match="28x28.*not 30x30"):
        MODELS["lenet5"](size=30)
    assert parameters(MODELS["lenet5"](channels=3, size=32)) == 62_006


def test_cifar_depths_are_6n_plus_2():
    from cnncourse.models.resnet import CifarResNet

    with pytest.raises(ValueError, match="6n \\+ 2"):
        CifarResNet(18)
    weights = [m for m in CifarResNet(20).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == 20


def test_macs_of_layers_without_weights_are_zero():
    assert macs(nn.ReLU(), torch.empty(1, 3)) == 0
