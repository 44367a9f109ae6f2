"""The page book/keras.md: its code runs, gives what Keras gives, and its totals are derived, not copied."""

import ast
import re

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from facts import build
from torch import nn

from cnncourse.layers import pad_same
from cnncourse.models import MODELS
from cnncourse.show.keras import Totals, totals
from cnncourse.trace import parameters

PAGE = (ROOT / "book" / "keras.md").read_text()
DICTIONARY, TOTALS = ([[cell.strip() for cell in line[1:-1].split("|")] for line in part.splitlines()
                       if line.startswith("| ") and not line.startswith("| Keras |")]
                      for part in PAGE.split("## Three totals"))
ENTRIES = {keras: re.findall("`(.+?)`", pytorch) for keras, pytorch, _ in DICTIONARY}


def scope():
    names = dict(
        net=MODELS["mnist_cnn"](), self=nn.Module(), n_in=3, n_out=4, k=3, s=2,
        x=torch.arange(2 * 3 * 8 * 8.0).view(2, 3, 8, 8), a=torch.ones(2, 4, 8, 8), b=torch.zeros(2, 4, 8, 8),
        kernels=torch.arange(3 * 3 * 3 * 4.0).view(3, 3, 3, 4), bias=torch.arange(4.0), weight=torch.ones(4, 3, 3, 3),
        logits=torch.zeros(2, 10), labels=torch.tensor([3, 7]))
    exec(re.search("```python\n(.+?)```", PAGE, re.DOTALL)[1], names)
    return names


def pytorch(start, **names):
    """The value of the PyTorch cell in the one row whose Keras cell starts so."""
    code, = [code for keras, (code,) in ENTRIES.items() if keras.lstrip("`").startswith(start)]
    return eval(code, scope() | names)


@pytest.mark.parametrize("keras", ENTRIES)
def test_every_entry_of_the_dictionary_is_code_that_runs(keras):
    code, = ENTRIES[keras]
    exec(code, scope())
    for words in re.findall("`(.+?)`", keras):
        ast.parse(words)


def test_the_dictionary_names_the_layers_of_the_tutorials():
    keras = " ".join(ENTRIES)
    for name in ("Conv2D", "MaxPooling2D", "AvgPool2D", "AveragePooling2D", "Flatten", "Dense", "softmax", "add([",
                 "BatchNormalization", "Activation", "concatenate", "'same'", "'valid'", "tf.nn.conv2d", "def build",
                 "self.add_weight", "def call", "tf.keras.Model", "summary()", "glorot_uniform", "random_normal",
                 "Dropout", "CategoricalCrossentropy"):
        assert name in keras


@pytest.mark.parametrize("row", TOTALS, ids=lambda row: row[0])
def test_the_totals_of_the_page_are_those_of_the_networks(row):
    code = row[1].strip("`")
    with torch.device("meta"):
        found = eval(code, scope())
    assert [f"{number:,}" for number in found] == row[2:]
    assert found.total == found.trainable + found.non_trainable


def test_networks_without_batch_normalisation_have_one_total():
    assert totals(build("vgg16")) == Totals(138_357_544, 138_357_544, 0)
    assert totals(build("vgg19")) == Totals(143_667_240, 143_667_240, 0)


@pytest.mark.parametrize("name, channels", [("resnet50", 26_560), ("resnet101", 52_672), ("resnet152", 75_712)])
def test_keras_resnets_have_a_bias_and_two_statistics_a_channel_more(name, channels):
    net = build(name)
    ours = parameters(net)
    assert totals(net) == Totals(ours + 2 * channels, ours, 2 * channels)
    assert totals(net, conv_bias=True) == Totals(ours + 3 * channels, ours + channels, 2 * channels)


def test_resnet50_and_inception_v3_have_the_totals_that_keras_prints():
    assert totals(build("resnet50"), conv_bias=True) == Totals(25_636_712, 25_583_592, 53_120)
    assert totals(build("inception_v3"), norm_scale=False) == Totals(23_851_784, 23_817_352, 34_432)


def test_inception_v3_lacks_one_factor_and_has_two_statistics_a_channel():
    net, channels = build("inception_v3"), 17_216
    ours = parameters(net)
    assert totals(net, norm_scale=False) == Totals(ours + channels, ours - channels, 2 * channels)


def test_every_batch_norm_with_statistics_counts_and_a_factor_that_is_not_there_is_not_taken_off():
    net = nn.Sequential(nn.Conv1d(3, 4, 3, bias=False), nn.BatchNorm1d(4), nn.BatchNorm3d(5, affine=False),
                        nn.SyncBatchNorm(6), nn.BatchNorm2d(7, track_running_stats=False), nn.InstanceNorm2d(8))
    trainable = 36 + 2 * (4 + 6 + 7)
    assert totals(net) == Totals(trainable + 30, trainable, 2 * (4 + 5 + 6))
    assert totals(net, norm_scale=False).trainable == trainable - (4 + 6 + 7)
    assert totals(net, conv_bias=True).trainable == trainable + 4


def test_convolutions_that_have_a_bias_get_no_second_one():
    net = build("vgg16_bn")
    assert totals(net, conv_bias=True) == totals(net)


def test_same_with_a_stride_pads_the_bottom_and_the_right():
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    conv, images = pytorch("Conv2D(n_out, k, strides=s, padding='valid'")[0], pad_same(x, 3, 2)
    assert images.shape[2:] == (225, 225) and images[:, :, -1].eq(0).all() and images[:, :, :, -1].eq(0).all()
    symmetric = F.conv2d(x, conv.weight, conv.bias, stride=2, padding=1)
    assert conv(images).shape == symmetric.shape == (1, 4, 112, 112)
    assert not torch.allclose(conv(images), symmetric)


@pytest.mark.parametrize("code, rows", [
    ("Conv2D(n_out, k, strides=s, padding='valid'", 3), ("Conv2D(n_out, k, padding='same')", 8),
    ("MaxPooling2D(k", 3), ("MaxPooling2D(3", 8), ("AveragePooling2D(k", 3), ("AveragePooling2D(3", 8),
    ("ZeroPadding2D", 14), ("BatchNormalization", 8)])
def test_maps_have_the_size_that_keras_gives(code, rows):
    x = torch.ones(1, 4 if code.startswith("Batch") else 3, 8, 8)
    assert pytorch(code)(x).shape[2:] == (rows, rows)


def test_tensorflows_convolution_is_pytorchs_with_the_axes_in_another_order():
    x, kernels, bias = (torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
                        for shape in ((2, 8, 8, 3), (3, 3, 3, 4), (4,)))  # TensorFlow's axes
    windows = x.unfold(1, 3, 2).unfold(2, 3, 2)  # N x rows x columns x C_in x K x K
    expected = (torch.einsum("nijckl,klco->nijo", windows, kernels) + bias).relu()
    found = pytorch("tf.nn.relu(", x=pytorch("images", x=x), weight=pytorch("kernels", kernels=kernels), bias=bias)
    torch.testing.assert_close(found.permute(0, 2, 3, 1), expected)


def test_average_pooling_leaves_the_padding_out():
    ones = torch.ones(1, 1, 4, 4)
    assert pytorch("AveragePooling2D(3")(ones).eq(1).all()
    assert nn.AvgPool2d(3, stride=1, padding=1)(ones)[0, 0, 0, 0] == pytest.approx(4 / 9)


def test_flattened_features_come_in_two_orders():
    x = scope()["x"]
    first, last = pytorch("Flatten", x=x)(x), x.permute(0, 2, 3, 1).flatten(1)  # channels first, channels last
    assert first[1, (2 * 8 + 5) * 8 + 7] == last[1, (5 * 8 + 7) * 3 + 2] == x[1, 2, 5, 7]


def test_batch_normalisation_keeps_99_percent():
    norm, x = pytorch("BatchNormalization"), torch.full((2, 4, 3, 3), 5.0)
    norm(x)
    torch.testing.assert_close(norm.running_mean, torch.full((4,), 0.99 * 0 + 0.01 * 5))
    assert (norm.eps, nn.BatchNorm2d(4).eps, nn.BatchNorm2d(4).momentum) == (1e-3, 1e-5, 0.1)


def test_dropout_names_the_part_that_is_dropped():
    kept = nn.Dropout(0.9)(torch.ones(10_000))
    assert 0.07 < kept.ne(0).float().mean() < 0.13 and kept.max() == pytest.approx(10)
    assert pytorch("Dropout").p == 0.5


def test_the_loss_wants_logits_and_a_softmax_before_it_sets_a_floor():
    logits, labels = torch.tensor([[100.0] + 9 * [0.0]]), torch.tensor([0])
    assert pytorch("CategoricalCrossentropy", logits=logits, labels=labels) < 1e-6
    assert F.cross_entropy(logits.softmax(1), labels).item() == pytest.approx(1.4612, abs=5e-5)
    assert isinstance(pytorch("Dense(n_out, activation='softmax')"), nn.Linear)


def test_initialisers_have_keras_widths():
    torch.manual_seed(0)
    weight = torch.empty(200, 300)
    assert pytorch("random_normal", weight=weight).std() == pytest.approx(0.05, rel=0.02)
    assert pytorch("glorot_uniform", weight=weight).abs().max() == pytest.approx((6 / 500) ** 0.5, rel=0.01)


def test_concatenation_stacks_channels_and_addition_keeps_them():
    assert pytorch("concatenate").shape == (2, 8, 8, 8)
    assert pytorch("add").shape == (2, 4, 8, 8)
