"""Counts of the papers, to the unit; the numbers are in the docstrings of the networks and in facts.toml."""

import re
from types import ModuleType

import pytest
import torch
from facts import FACTS, WITH_HEADS, build, label
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnncourse import arithmetic, models
from cnncourse.models import MODELS, vgg
from cnncourse.models.googlenet import Inception, NaiveInception
from cnncourse.models.resnet import BottleneckV1, CifarResNet, ResNet
from cnncourse.trace import costs, parameters, stages


def counted(net, **options):
    """MACs of one image, by a second tool; it counts two operations a MAC."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(torch.empty(1, *net.input_shape, device="meta"), **options)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize("name", MODELS)
def test_docstrings_say_what_the_networks_count(name):
    net = build(name)
    found = costs(net)
    assert found.macs == counted(net)
    says = f"{found.parameters:,} parameters, {found.macs:,} MACs"
    images = f"images {' x '.join(map(str, net.input_shape))}"
    doc = MODELS[name].__doc__
    assert says in doc and images in doc, f"the docstring of {name} is to say: {says}, {images}"


def test_counts_in_the_papers_paragraphs_are_those_of_networks():
    counts = {parameters(build(name)) for name in MODELS} | {row["parameters"] for row in FACTS["variant"]}
    for file in (value for value in vars(models).values() if isinstance(value, ModuleType)):
        stated = re.findall(r"\d+(?:,\d{3})+", file.__doc__)
        assert {int(number.replace(",", "")) for number in stated} <= counts, file.__name__


@pytest.mark.parametrize("row", FACTS["variant"], ids=label)
def test_parameters_and_macs_are_to_the_unit(row):
    options = row.get("options", {})
    net = build(row["model"], **options)
    assert parameters(net) == row["parameters"]
    if "macs" in row:
        assert counted(net, **{"heads": True} if options.get("heads") else {}) == row["macs"]


@pytest.mark.parametrize("name", FACTS["printed"])
def test_papers_print_the_count_rounded_or_the_difference_is_explained(name):
    row, found, differs = FACTS["printed"][name], costs(build(name)), False
    for quantity in row.keys() - {"why"}:
        number, unit = row[quantity].split()
        decimals = len(number.partition(".")[2])
        differs |= round(getattr(found, quantity) / {"K": 1e3, "M": 1e6, "G": 1e9}[unit], decimals) != float(number)
    assert differs == ("why" in row)


@pytest.mark.parametrize("name", MODELS)
def test_stages_add_up_to_the_whole_network(name):
    *rows, total = stages(build(name))
    assert sum(row.parameters for row in rows) == total.parameters
    assert sum(row.macs for row in rows) == total.macs


@pytest.mark.parametrize("name", FACTS["stages"])
def test_stages_have_the_parameters_and_macs_of_the_paper(name):
    found = {row.name: [row.parameters, row.macs] for row in stages(build(name))}
    assert {stage: found[stage] for stage in FACTS["stages"][name]} == FACTS["stages"][name]


@pytest.mark.parametrize("name", MODELS)
def test_formulas_agree_with_what_hooks_measure_on_every_layer(name):
    net, seen, macs = build(name), [], []

    def check(layer, inputs, output):
        if isinstance(layer, nn.Linear):
            assert parameters(layer) == arithmetic.linear_parameters(layer.in_features, layer.out_features)
            macs.append(layer.in_features * layer.out_features)
        elif isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            k, s, p = (v if isinstance(v, tuple) else (v, v) for v in (layer.kernel_size, layer.stride, layer.padding))
            ceil_mode = getattr(layer, "ceil_mode", False)
            sizes = [arithmetic.output_size(n, k[i], s[i], p[i], ceil_mode=ceil_mode)
                     for i, n in enumerate(inputs[0].shape[2:])]
            assert list(output.shape[2:]) == sizes
            if isinstance(layer, nn.Conv2d):
                macs.append(output[0].numel() * layer.weight[0].numel())
            if isinstance(layer, nn.Conv2d) and k[0] == k[1]:
                shape = (layer.in_channels, layer.out_channels, k[0])
                assert parameters(layer) == arithmetic.conv_parameters(*shape, layer.groups, layer.bias is not None)
                assert macs[-1] == arithmetic.conv_macs(*shape, *sizes, layer.groups)
        seen.append(layer)

    for layer in net.modules():
        if not any(layer.children()):
            layer.register_forward_hook(check)
    counted(net)
    assert len(seen) > 5 and sum(macs) == costs(net).macs


def test_lenet_has_the_papers_connections():
    outputs = {"C1": 6 * 28 * 28, "S2": 6 * 14 * 14, "C3": 100, "S4": 16 * 5 * 5, "C5": 1, "F6": 1, "output": 84}
    inputs = {"C1": 25 + 1, "S2": 4 + 1, "C3": 1516, "S4": 4 + 1, "C5": 48_120, "F6": 10_164, "output": 10}
    connections = {stage: outputs[stage] * inputs[stage] for stage in outputs}
    assert connections == {"C1": 122_304, "S2": 5_880, "C3": 151_600, "S4": 2_000, "C5": 48_120, "F6": 10_164,
                           "output": 840}
    assert sum(connections.values()) == 340_908
    rows = {row.name: row for row in stages(build("lenet5_1998"))}
    for stage in ("C1", "C3", "C5", "F6"):  # each position of a map uses all of the map's parameters
        positions = {"C1": 28 * 28, "C3": 100}.get(stage, 1)
        assert rows[stage].parameters * positions == connections[stage]


def test_alexnet_splits_into_convolutions_and_fully_connected_layers():
    rows = stages(build("alexnet"))
    conv, fc = ([r for r in rows if r.name.startswith(prefix)] for prefix in ("conv", "fc"))
    assert (sum(r.parameters for r in conv), sum(r.macs for r in conv)) == (2_334_080, 665_784_864)
    assert (sum(r.parameters for r in fc), sum(r.macs for r in fc)) == (58_631_144, 58_621_952)
    single = stages(build("alexnet_single"))
    assert sum(r.parameters for r in single if r.name.startswith("conv")) == 3_747_200


def test_alexnet_has_659_272_neurons_where_the_paper_prints_650_000():
    rows = {row.name: row.output for row in stages(build("alexnet"))}
    sizes = [eval(rows[name].replace("x", "*")) for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7",
                                                             "fc8")]
    assert sizes == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert sum(sizes) == 659_272
    assert sum(sizes) - 290_400 + 55 * 48 * 96 == 622_312  # with the number that Figure 2 prints for conv1


@pytest.mark.parametrize("name", FACTS["vgg_features"])
def test_vgg_heads_are_equal_and_hold_most_parameters(name):
    *blocks, head, total = stages(build(name))
    assert head.parameters == 123_642_856
    assert sum(row.parameters for row in blocks) == FACTS["vgg_features"][name]
    if name == "vgg16":
        assert round(100 * head.parameters / total.parameters, 1) == 89.4


def test_where_table_1_of_googlenet_is_misprinted():
    rows = {row.name: row for row in stages(build("googlenet"))}
    for stage, row in FACTS["misprints"]["googlenet"].items():
        thousands, millions = row["printed"]
        assert abs(rows[stage].parameters / 1e3 / thousands - 1) > 0.02
        assert abs(rows[stage].macs / 1e6 / millions - 1) > 0.05


def test_the_naive_module_triples_the_channels_and_the_cost():
    with torch.device("meta"):
        naive, reduced = nn.Sequential(NaiveInception(192, 64, 128, 32)), nn.Sequential(
            Inception(192, 64, (96, 128), (16, 32), 32))
    one, other = costs(naive, (192, 28, 28)), costs(reduced, (192, 28, 28))
    assert (one.parameters, one.macs, one.output) == (387_296, 303_464_448, "416 x 28 x 28")
    assert (other.parameters, other.macs, other.output) == (163_696, 128_049_152, "256 x 28 x 28")


def test_networks_say_how_many_auxiliary_heads_they_have():
    found = {name: (build(name).auxiliary_heads, build(name, heads=True).auxiliary_heads) for name in WITH_HEADS}
    assert found == {"googlenet": (0, 2), "googlenet_bn": (0, 2), "inception_v3": (0, 1)}


def test_heads_of_googlenet_have_their_parameters():
    net = build("googlenet", heads=True)
    assert (parameters(net.aux1), parameters(net.aux2)) == (3_188_840, 3_190_888)


@pytest.mark.parametrize("depth", FACTS["depths"])
def test_cifar_resnets_count_as_in_table_6(depth):
    with torch.device("meta"):
        net = CifarResNet(int(depth))
    *counts, printed = FACTS["depths"][depth]
    assert [parameters(net), costs(net).macs] == counts
    assert round(counts[0] / 1e6, 2 if counts[0] < 1e6 else 1) == printed
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in net.modules()) == int(depth)


@pytest.mark.parametrize("depth, blocks", [("101", (3, 4, 23, 3)), ("152", (3, 8, 36, 3))])
def test_deeper_resnets_count_as_in_table_1_with_the_stride_as_printed(depth, blocks):
    with torch.device("meta"):
        found = costs(ResNet(BottleneckV1, blocks))
    *counts, printed = FACTS["as_printed"][depth]
    assert [found.parameters, found.macs] == counts and round(found.macs / 1e9, 1) == printed


def test_cifar_depths_are_6n_plus_2():
    with pytest.raises(ValueError, match="6n \\+ 2"):
        CifarResNet(18)


@pytest.mark.parametrize("name, layers", [
    ("vgg11", 11), ("vgg13", 13), ("vgg16_c", 16), ("vgg16", 16), ("vgg19", 19), ("googlenet", 58), ("plain18", 18),
    ("plain34", 34), ("resnet20", 20), ("plain56", 56)])
def test_names_count_the_layers_with_weights(name, layers):
    """GoogLeNet is 22 layers deep, but 58 wide and deep: each module has six convolutions, two of them in a row."""
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in build(name).modules()) == layers


# Networks of widely read tutorials that are not those of the papers, counted from the course's own pieces.

def test_a_tutorials_vgg_with_added_1x1_convolutions_and_a_narrow_head():
    blocks = ["3-64 3-64", "3-128 3-128", "3-256 3-256 3-256 1-256", "3-512 3-512 3-512 1-512",
              "3-512 3-512 3-512 1-512"]
    with torch.device("meta"):
        net = nn.Sequential(*(vgg.block(n_in, row, 16, False)
                              for n_in, row in zip((3, 16, 32, 64, 128), blocks, strict=True)),
                            nn.Flatten(), nn.Linear(6272, 100), nn.Linear(100, 20), nn.Linear(20, 2))
    found = costs(net, (3, 224, 224))
    assert found.parameters == 1_587_330
    assert round(found.macs / 1e9, 3) == 1.005


def test_a_tutorials_googlenet_lacks_the_1x1_convolution_of_the_stem():
    reduce = build("googlenet").conv2[0]
    two_classes = build("googlenet", num_classes=2)
    assert parameters(two_classes) - parameters(reduce) == 5_971_442
    missing = arithmetic.conv_macs(64, 64, 1, 56, 56)
    assert round((costs(build("googlenet")).macs - missing) / 1e9, 3) == 1.570


def test_a_tutorials_resnet_has_a_projection_in_every_block_and_one_more_where_it_shrinks():
    conv = arithmetic.conv_parameters
    weights, total, cost, n_in, size = [], conv(3, 64, 7), arithmetic.conv_macs(3, 64, 7, 112, 112), 64, 56
    for width, depth, shrinks in ((64, 3, True), (128, 4, True), (256, 6, True), (512, 3, False)):
        for i in range(depth):
            down = shrinks and i == depth - 1
            shapes = [(n_in, width, 1), (width, width, 3), (width, 4 * width, 1), (n_in, 4 * width, 1)]
            weights += shapes + down * shapes[3:]  # the unused equaliser stays registered beside the strided one
            size //= 2 if down else 1
            cost += sum(arithmetic.conv_macs(*shape, size, size) for shape in shapes)
            n_in = 4 * width
    total += sum(conv(*shape) for shape in weights) + arithmetic.linear_parameters(2048, 2)
    assert total == 39_423_874
    assert round((cost + 2048 * 2) / 1e9, 3) == 5.368
