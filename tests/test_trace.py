"""Tables of stages, costs, activations and differences."""

import random
import warnings
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torchvision
from facts import build
from torch import nn
from torch.nn.attention.flex_attention import flex_attention
from torch.utils.flop_counter import FlopCounterMode

from cnncourse.layers import Conv2d
from cnncourse.models import MODELS
from cnncourse.trace import Table, activations, costs, diff, stages


def test_a_table_names_every_stage_with_shape_parameters_macs_memory_and_field():
    table = stages(build("lenet5"))
    assert [row.name for row in table] == ["C1", "S2", "C3", "S4", "C5", "F6", "output", "total"]
    first = table[0]
    assert (first.output, first.parameters, first.macs, first.field) == ("6 x 28 x 28", 156, 117_600, 5)
    assert first.memory == 2 * 4 * 6 * 28 * 28  # the convolution's output and the tanh's, 4 bytes a number
    assert table[-1] == costs(build("lenet5")) and table[-1].memory == sum(row.memory for row in table[:-1])


def test_memory_counts_additions_and_concatenations_but_no_views():
    block = nn.Sequential(build("resnet20").conv2_x[0])
    maps = 4 * 16 * 32 * 32
    assert costs(block, (16, 32, 32)).memory == 6 * maps  # conv, norm, relu, conv, norm, and the sum's relu
    flat = nn.Sequential(nn.Flatten(), nn.Flatten(), nn.Dropout(), nn.Identity(), nn.ReLU())
    assert costs(flat, (3, 4, 4)).memory == 4 * 48  # the relu's output alone


def test_tracing_leaves_the_network_as_it_was():
    net = MODELS["resnet20"]().train()
    net.conv2_x.eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    hooked = hooks(net)
    stages(net), diff(net, net)
    assert net.training and not net.conv2_x.training and net.conv3_x.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert hooks(net) == hooked


def test_torchvisions_networks_are_listed_in_the_order_of_their_calls_and_their_sequentials_opened():
    with torch.device("meta"):
        googlenet, vgg11 = torchvision.models.googlenet(init_weights=False), torchvision.models.vgg11()
    names = [row.name for row in stages(googlenet, (3, 224, 224))]
    assert names[:5] == ["conv1", "maxpool1", "conv2", "conv3", "maxpool2"]
    assert names[-4:] == ["avgpool", "dropout", "fc", "total"]  # the heads are not called in eval mode
    closed, opened = stages(vgg11, (3, 224, 224)), stages(vgg11, (3, 224, 224), depth=2)
    assert [row.name for row in closed] == ["features", "avgpool", "classifier", "total"]
    assert opened[0].name == "features.0" and len(opened) == 21 + 1 + 7 + 1 and opened[-1] == closed[-1]


def test_activations_are_those_of_a_forward_pass_in_order():
    net, x = MODELS["mnist_cnn"]().eval(), torch.randn(3, 1, 28, 28)
    maps = activations(net, x)
    assert list(maps) == [name for name, _ in net.named_children()]
    assert torch.equal(maps["fc3"], net(x)) and torch.equal(maps["conv1"], net.conv1(x))


class Noticed(nn.Module):
    """Everything that a look might change: in place, averages, a count, random numbers."""

    def __init__(self):
        super().__init__()
        self.norm, self.relu, self.drop = nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Dropout(0.9)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.count += 1
        return self.drop(self.relu(self.norm(x)))


def test_activations_change_nothing_and_are_not_changed_by_later_layers():
    net = nn.Sequential(nn.ReLU(inplace=True), Noticed()).train()
    net[1].drop.eval()
    x, before = torch.randn(2, 3, 8, 8), {name: t.clone() for name, t in net.state_dict().items()}
    given, numbers = x.clone(), torch.get_rng_state()
    maps = activations(net[1], x)
    assert torch.equal(maps["norm"], given / (1 + 1e-5) ** 0.5) and maps["norm"].min() < 0
    assert torch.equal(maps["drop"], maps["norm"].relu())
    activations(net, x), stages(net, (3, 8, 8))
    assert torch.equal(x, given) and torch.equal(torch.get_rng_state(), numbers)
    assert all(torch.equal(t, before[name]) for name, t in net.state_dict().items())
    assert net[1].training and not net[1].drop.training and hooks(net) == hooks(net.eval()) == [0] * 6


class Keeping(nn.Module):
    """What networks keep from one forward pass to the next, and methods of its own that hide PyTorch's."""

    def __init__(self):
        super().__init__()
        self.conv, self.grid, self.late, self.state = nn.Conv2d(3, 3, 1), None, None, None
        self.calls, self.seen, self.cache, self.mean = 0, [], {}, torch.zeros(1)
        self.register_buffer("filled", None)

    def forward(self, x):
        if self.grid is None:
            self.grid, self.late = torch.linspace(-1, 1, x.shape[-1]), nn.Conv2d(3, 3, 1)
            self.filled = torch.ones(3, 1, 1)
            self.register_buffer("new", torch.ones(1))
        grid = self.cache.setdefault(x.shape[-1], torch.zeros(x.shape[-1]))
        self.calls, self.state = self.calls + 1, x if self.state is None else self.state + x
        self.seen.append(len(x))
        self.mean.mul_(0.9).add_(0.1)
        return self.late(self.conv(x + self.grid + grid)) * self.filled * self.new + self.state

    def train(self, loader, epochs): ...

    def eval(self, loader): ...


@pytest.mark.parametrize("look", [lambda net: costs(net, (3, 8, 8)), lambda net: diff(net, net, (3, 8, 8)),
                                  lambda net: activations(net, torch.zeros(1, 3, 8, 8))], ids=["costs", "diff", "maps"])
def test_what_a_network_keeps_from_a_look_is_forgotten(look):
    net = Keeping()
    look(net)
    assert (net.grid, net.late, net.state, net.filled, net.calls, net.seen, net.cache) == (
        None, None, None, None, 0, [], {})
    assert net.training and list(net.buffers()) == [] and list(net.children()) == [net.conv] and net.mean == 0
    assert net(torch.zeros(2, 3, 8, 8)).shape == (2, 3, 8, 8) and net.seen == [2] and net.grid.device.type == "cpu"
    look(net)
    assert net.calls == 1 and net.filled.device.type == net.state.device.type == "cpu" and list(net.cache) == [8]


class Drawing(nn.Module):
    """Changes its own weights, asks for their gradient, and draws from every generator."""

    def __init__(self, number):
        super().__init__()
        self.conv, self.number = nn.Conv2d(3, 3, 1), number

    def forward(self, x):
        with torch.no_grad():
            self.conv.weight.clamp_(0, 0.1)
            self.conv.weight.data /= 2
        with torch.enable_grad():
            torch.autograd.grad(self.conv(x).sum(), self.conv.weight)
        x = x.relu() if random.random() < 0.5 or np.random.rand() < 0.5 or torch.rand(1).item() < 0.5 else x
        return self.conv(x * (x.mean().item() + 1) if self.number else x)


@pytest.mark.parametrize("number", [False, True])
def test_a_look_changes_no_weight_and_no_random_number_to_come(number):
    def state():
        drawn = random.getstate(), repr(np.random.get_state(legacy=False)), torch.get_rng_state().tolist()
        return *drawn, net.conv.weight.tolist()

    net = Drawing(number)
    before = state()
    stages(net, (3, 8, 8))
    activations(net, torch.ones(2, 3, 8, 8))
    assert state() == before


def test_layers_that_the_forward_pass_makes_count_in_the_total():
    assert [row.parameters for row in stages(Keeping(), (3, 8, 8))] == [12, 24]


def test_lazy_layers_are_looked_at_in_a_copy_and_stay_lazy():
    net, x = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d()), torch.rand(2, 3, 8, 8)
    assert [row.parameters for row in stages(net, (3, 8, 8))] == [112, 8, 120]
    assert list(activations(net, x)) == ["0", "1"] and net.training
    assert [row.parameters for row in stages(nn.Sequential(nn.LazyConv2d(4, 3)).double(), (3, 8, 8))] == [112, 112]
    assert net[0].has_uninitialized_params() and net(torch.rand(2, 5, 8, 8)).shape == (2, 4, 6, 6)


def test_activations_of_a_stage_that_is_called_again_are_named_by_the_call():
    net = Functional()
    net.forward = lambda x: net.second(net.first(net.first(x)))
    maps = activations(net, x := torch.rand(1, 4, 8, 8))
    assert list(maps) == ["first", "first (2)", "second"]
    assert torch.equal(maps["first"], net.first(x)) and torch.equal(maps["first (2)"], net.first(net.first(x)))


def test_differences_tell_networks_of_equal_shapes_apart_and_are_empty_for_equal_ones():
    rows = {row.stage: row for row in diff(build("googlenet"), build("googlenet_bn"))}
    assert rows["pool4"].first == rows["pool4"].second == "832 x 7 x 7"
    assert rows["pool4"].changed == "+1 max pool 2x2 stride 2 ceil, -1 max pool 3x3 stride 2 padding 1"
    assert "-1 conv 5x5 padding 2" in rows["inception3a"].changed
    assert rows["head"].changed == "+1 dropout 0.2, -1 dropout 0.4"
    assert rows["total"].parameters == 6_624_904 - 6_998_552
    assert all((row.parameters, row.macs, row.changed) == (0, 0, "") for row in diff(build("vgg11"), build("vgg11")))


def test_differences_pair_stages_of_other_names_by_their_shapes_and_show_an_added_one_on_one_side():
    with torch.device("meta"):
        theirs = torchvision.models.resnet18()
    rows = diff(build("resnet18"), theirs, (3, 224, 224))
    assert {"conv2_x / layer1", "conv5_x / layer4", "head / fc"} <= {row.stage for row in rows}
    assert (rows[-1].stage, rows[-1].parameters, rows[-1].macs) == ("total", 0, 0)
    rows = {row.stage: row for row in diff(build("resnet18_small"), build("resnet18"), (3, 32, 32))}
    assert rows["- / pool1"].first == "" and rows["- / pool1"].changed == "+1 max pool 3x3 stride 2 padding 1"


def conv(**options):
    return nn.Conv2d(4, 4, 3, **{"padding": 1} | options)


class Functional(nn.Module):
    def __init__(self, *functions):
        super().__init__()
        self.functions, self.first, self.second = functions, conv(), conv()

    def forward(self, x):
        x = self.first(x)
        for function in self.functions:
            x = function(x)
        return self.second(x)


@pytest.mark.parametrize("first, second, changed", [
    ([conv(), conv()], [conv(), nn.ReLU(), conv()], "+1 ReLU"),
    ([conv(), nn.BatchNorm2d(4), nn.ReLU()], [conv(), nn.ReLU(), nn.BatchNorm2d(4)], "1 batch norm eps 1e-05 moved"),
    ([Functional(torch.relu)], [Functional()], "-1 ReLU"),
    ([Functional(torch.relu, torch.tanh)], [Functional(torch.tanh, nn.functional.relu)], "1 ReLU moved"),
    ([Functional(torch.relu)], [conv(), nn.ReLU(inplace=True), conv()], ""),
    ([conv()], [conv(dilation=2, padding=2)], "+1 conv 3x3 padding 2 dilation 2, -1 conv 3x3 padding 1"),
    ([conv(padding=0)], [nn.ConvTranspose2d(4, 4, 3)], "+1 transposed conv 3x3, -1 conv 3x3"),
    ([conv()], [conv(padding_mode="reflect")], "+1 reflection_pad2d 1x1x1x1, +1 conv 3x3, -1 conv 3x3 padding 1"),
    ([nn.BatchNorm2d(4)], [nn.BatchNorm2d(4, momentum=0.2)],
     "+1 batch norm eps 1e-05 momentum 0.2, -1 batch norm eps 1e-05"),
    ([nn.AvgPool2d(3, 1, 1)], [nn.AvgPool2d(3, 1, 1, count_include_pad=False)],
     "+1 average pool 3x3 padding 1 without padding, -1 average pool 3x3 padding 1"),
    ([nn.LeakyReLU(0.1)], [nn.LeakyReLU(0.2)], "+1 leaky_relu 0.2, -1 leaky_relu 0.1"),
    ([nn.GELU()], [nn.GELU("tanh")], "+1 gelu tanh, -1 gelu"),
    ([nn.Softmax(1)], [nn.Softmax(2)], "+1 softmax 2, -1 softmax 1"),
    ([Functional(lambda x: x.sort(3)[0])], [Functional(lambda x: x.sort(3, True)[0])], "+1 sort 3 True, -1 sort 3"),
    ([Functional(lambda x: x.topk(8, 3)[0])], [Functional(lambda x: x.topk(8, 3, False)[0])],
     "+1 topk 8 3 False, -1 topk 8 3"),
    ([nn.Dropout(0.1)], [nn.Dropout2d(0.1)], "+1 Dropout2d(p=0.1, inplace=False), -1 dropout 0.1"),
    ([nn.MultiheadAttention(8, 2)], [nn.MultiheadAttention(8, 4)], "+1 attention, 4 heads, -1 attention, 2 heads"),
    ([nn.MultiheadAttention(8, 2)], [nn.MultiheadAttention(8, 2, dropout=0.3)],
     "+1 attention, 2 heads, dropout 0.3, -1 attention, 2 heads"),
    ([nn.LayerNorm(8)], [nn.LayerNorm((8, 8))], "+1 layer norm eps 1e-05 over 2 axes, -1 layer norm eps 1e-05"),
    ([nn.BatchNorm2d(4, track_running_stats=False)], [nn.InstanceNorm2d(4, affine=True)],  # alike for one image
     f"+1 {nn.InstanceNorm2d(4, affine=True)}, -1 batch norm eps 1e-05 of the batch"),
])
def test_differences_see_order_activations_and_every_option(first, second, changed):
    class Attends(nn.Sequential):
        def forward(self, x):
            return self[0](*3 * [x[0]])[0] if isinstance(self[0], nn.MultiheadAttention) else super().forward(x)

    nets = [nn.Sequential(Attends(*layers)) for layers in (first, second)]
    assert [row.changed for row in diff(*nets, (4, 8, 8))] == [changed, changed]
    assert not any(row.changed for row in diff(nets[0], nets[0], (4, 8, 8)))


class Wired(nn.Module):
    def __init__(self, connect):
        super().__init__()
        self.connect, self.first, self.second = connect, conv(), conv()

    def forward(self, x):
        return self.connect(x, self.first, self.second)


CONNECTIONS = {
    "order of a concatenation": (lambda x, a, b: torch.cat([a(x), x], 1), lambda x, a, b: torch.cat([x, a(x)], 1)),
    "before or behind a ReLU": (lambda x, a, b: (y := a(x)) + b(y.relu()), lambda x, a, b: (y := a(x).relu()) + b(y)),
    "another skip": (lambda x, a, b: b(a(x)) + x, lambda x, a, b: b(y := a(x)) + y),
    "another half": (lambda x, a, b: a(x).chunk(2, 1)[0], lambda x, a, b: a(x).chunk(2, 1)[1]),
    "another output": (lambda x, a, b: (b(y := a(x)), y)[0], lambda x, a, b: (b(y := a(x)), y)[1]),
    "a difference": (lambda x, a, b: a(x) - x, lambda x, a, b: x - a(x)),
    "written in place": (lambda x, a, b: (b((y := a(x)).relu_()), y)[1], lambda x, a, b: (b(a(x).relu_()), x)[1]),
}


@pytest.mark.parametrize("first, second", CONNECTIONS.values(), ids=CONNECTIONS)
def test_equal_operations_that_take_their_inputs_from_elsewhere_are_connected_otherwise(first, second):
    assert diff(Wired(first), Wired(second), (4, 8, 8))[-1].changed == "connected otherwise"
    stage, _ = diff(nn.Sequential(Wired(first)), nn.Sequential(Wired(second)), (4, 8, 8))
    assert stage.changed == "connected otherwise"
    for connect in (first, second):
        assert not any(row.changed for row in diff(Wired(connect), Wired(connect), (4, 8, 8)))


@pytest.mark.parametrize("first, second", [
    (lambda x, a, b: a(x) + x, lambda x, a, b: x + a(x)), (lambda x, a, b: a(x) + x, lambda x, a, b: a(x).add_(x)),
    (lambda x, a, b: b(a(x)).flatten(1), lambda x, a, b: b(a(x).contiguous()).view(1, -1)),
], ids=["sum", "in place", "layout"])
def test_what_computes_the_same_is_connected_alike(first, second):
    assert not any(row.changed for row in diff(Wired(first), Wired(second), (4, 8, 8)))


def test_layers_of_ones_own_are_told_apart_by_what_they_compute():
    class Mine(nn.Module):
        def __init__(self, slope):
            super().__init__()
            self.slope = slope

        def forward(self, x):
            return nn.functional.leaky_relu(x, self.slope)

    rows = diff(nn.Sequential(Mine(0.1)), nn.Sequential(Mine(0.2)), (3, 8, 8))
    assert rows[0].changed == "+1 Mine() of leaky_relu 0.2, -1 Mine() of leaky_relu 0.1"


class Listed(nn.Sequential):
    def forward(self, x):
        for layer in self.layers:  # the list itself is never called
            x = layer(x)
        return x


def test_layers_in_a_list_and_a_layer_alone_are_stages():
    net = Listed(OrderedDict(layers=nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 5, 3)])))
    macs = {row.name: row.macs for row in stages(net, (3, 8, 8))[:-1]}
    assert macs == {"layers.0": 9 * 9 * 64, "layers.1": 15 * 9 * 36}
    assert list(activations(net, torch.zeros(1, 3, 8, 8))) == list(macs)
    alone = stages(nn.Conv2d(3, 5, 3), (3, 8, 8))
    assert [row.name for row in alone] == ["Conv2d", "total"] and alone[-1].macs == 4860


def test_a_layer_that_is_used_twice_has_two_rows_and_what_is_shared_counts_once():
    conv = nn.Conv2d(3, 3, 3, padding=1)
    weight, alone = conv.weight, stages(nn.Sequential(conv), (3, 8, 8))[0]
    table = stages(nn.Sequential(conv, nn.ReLU(), conv), (3, 8, 8))
    assert [row.name for row in table] == ["0", "1", "0", "total"]
    assert table[0] == alone and (table[2].macs, table[2].field) == (alone.macs, 5)
    assert (table[-1].parameters, table[-1].macs) == (3 * 3 * 9 + 3, 2 * 3 * 3 * 9 * 64)
    apart = stages(nn.Sequential(nn.Sequential(conv), nn.Sequential(conv)), (3, 8, 8))
    assert [row.macs for row in apart] == [alone.macs, alone.macs, 2 * alone.macs]
    assert conv.weight is weight
    net = nn.Sequential(conv, nn.Conv2d(3, 3, 3, bias=False))
    net[1].weight = conv.weight
    assert [row.parameters for row in stages(net, (3, 8, 8))] == [84, 81, 84]


class Behind(nn.Sequential):
    def forward(self, x):
        return self[0][0](x)  # a layer of a child, but not the child


def test_layers_that_are_called_behind_their_child_are_stages():
    table = stages(Behind(nn.Sequential(nn.Conv2d(3, 4, 3))), (3, 8, 8))
    assert [(row.name, row.macs) for row in table] == [("0.0", 27 * 4 * 36), ("total", 27 * 4 * 36)]


def test_outputs_other_than_one_tensor_are_listed():
    pool = nn.MaxPool2d(2, return_indices=True)
    assert [row.output for row in stages(nn.Sequential(nn.Sequential(nn.ReLU(), pool)), (3, 8, 8))] == 2 * [
        "3 x 4 x 4, 3 x 4 x 4"]
    assert stages(nn.LSTM(8, 4, batch_first=True), (3, 8))[-1].output == "3 x 4, 1 x 4, 1 x 4"

    class Parts(nn.Module):
        def forward(self, x):
            return {"features": x, "logits": [x.mean((2, 3))]}

    assert stages(nn.Sequential(Parts()), (3, 8, 8))[0].output == "3 x 8 x 8, 3"


def test_convolutions_of_one_and_three_axes_have_macs_and_fields():
    assert [(row.macs, row.field) for row in stages(nn.Conv1d(3, 4, 5), (3, 32))] == 2 * [(15 * 4 * 28, 5)]
    assert [(row.macs, row.field) for row in stages(nn.Conv3d(3, 4, (3, 3, 5)), (3, 8, 8, 8))] == 2 * [
        (3 * 45 * 4 * 6 * 6 * 4, 5)]


def test_batch_normalisation_of_vectors_says_nothing_of_the_image():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.BatchNorm1d(5), nn.ReLU())
    assert costs(net, (3, 8, 8)).macs == 192 * 5


def test_an_image_may_become_a_length_or_a_depth_in_the_forward_pass():
    rows = nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2))
    assert costs(rows, (3, 8, 8)).macs == 3 * 5 * 4 * 60 + 4 * 2
    depth = nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, 3), nn.Flatten())
    assert costs(depth, (3, 8, 8)).macs == 27 * 4 * 6 * 6
    with pytest.raises(ValueError, match=r"for Conv3d .*\(channels, depth, height, width\), not \(3, 8, 8\)"):
        costs(nn.Conv3d(1, 4, 3), (3, 8, 8))  # which takes the channels for a depth, and the image for the channel


def hooks(net):
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]


@pytest.mark.parametrize("net, image, message", [
    (build("alexnet"), (3, 64, 64), "^AlexNet needs images of at least 227 x 227"),
    (nn.Linear(9, 2), (1, 8, 8), "Linear cannot be traced with an image of 1 x 8 x 8"),
    (nn.Sequential(nn.ReLU()), None, "Sequential has no `input_shape`.* give input_shape=.channels, height, width"),
    (nn.Sequential(nn.Conv2d(4, 3, 1)), (3, 8, 8), "Sequential cannot be traced with an image of .*: .* 4 channels"),
    (nn.Sequential(nn.Conv2d(1, 6, 5)), (28, 28), r"for Conv2d .*\(channels, height, width\), not \(28, 28\)"),
    (nn.Sequential(nn.Flatten(), nn.Conv1d(1, 6, 5)), (1, 8, 8), r"for Conv1d .*\(channels, length\), not \(1, 8, 8\)"),
    (nn.Sequential(nn.Conv2d(3, 6, 5)), torch.rand(1, 3, 8, 8), r"not \(1, 3, 8, 8\)"),
    (nn.Linear(64, 2), 64, "the image for Linear .*, not 64"),
    (nn.Linear(64, 2), (), r"not \(\)"),
    (nn.Linear(64, 2), (1, 8, 8.0), r"not \(1, 8, 8.0\)"),
])
def test_what_has_no_row_is_refused_in_one_sentence(net, image, message):
    before = hooks(net)
    with pytest.raises(ValueError, match=message):
        stages(net, image)
    assert hooks(net) == before


SCRIPTED = nn.Sequential(nn.Conv2d(3, 3, 1), torch.jit.script(nn.Sequential(nn.ReLU())))


with warnings.catch_warnings(action="ignore"):
    QUANTISED = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(192, 5)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("net, message", [
    (QUANTISED, "Sequential has a quantised part, LinearPackedParams, .*: give the network as it was before"),
    (SCRIPTED, "Sequential .* has a scripted part.* before torch.jit.script"),
    (SCRIPTED[1], "is scripted .* before torch.jit.script"),
    (nn.DataParallel(nn.Conv2d(3, 3, 1)), "DataParallel only passes images on to a network: give that, its `.module`"),
    ("resnet20", "a network is an nn.Module, .*, not a str"),
    (nn.ReLU, "a network is an nn.Module, .*, not the class ReLU itself"),
])
def test_what_is_no_network_or_hides_its_layers_is_refused_and_keeps_no_hooks(net, message):
    for look in (lambda: stages(net, (3, 8, 8)), lambda: activations(net, torch.zeros(1, 3, 8, 8))):
        with pytest.raises(ValueError, match=message):
            look()
    assert hooks(SCRIPTED[:1]) == [0, 0]


@pytest.mark.parametrize("x, message", [
    (torch.zeros(1, 3, 8, 8).numpy(), "images are a tensor, N x C x H x W, not a ndarray"),
    (torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "Conv2d cannot take images of 2 x 3 x 8 x 8, uint8: "),
    (torch.zeros(2, 1, 8, 8), "Conv2d cannot take images of 2 x 1 x 8 x 8, float32: .* 3 channels"),
    (None, "Conv2d was built on PyTorch's meta device and has no numbers"),
])
def test_activations_of_what_are_no_images_for_the_network_are_refused(x, message):
    net = nn.Conv2d(3, 4, 3, device="meta" if x is None else None)
    with pytest.raises(ValueError, match=message):
        activations(net, torch.zeros(2, 3, 8, 8) if x is None else x)


def test_tables_are_aligned_text_and_html():
    text = repr(stages(build("lenet5"))).splitlines()
    assert text[0].split() == ["name", "output", "parameters", "MACs", "memory", "receptive", "field"]
    assert text[1].split()[-5:] == ["156", "117,600", "0.04", "MB", "5"]
    html = stages(build("lenet5"))._repr_html_()
    assert html.count("<tr>") == 9 and "<th>MACs</th>" in html and "<td>61,706</td>" in html
    assert "+1,849,688,064" in repr(diff(build("vgg11"), build("vgg16")))
    assert repr(Table()) == Table()._repr_html_() == "no rows"


def test_a_function_in_a_table_is_text_and_no_tag():
    class Act(nn.Module):
        def __init__(self, what):
            super().__init__()
            self.what = what

        def extra_repr(self):
            return repr(self.what)

        def forward(self, x):
            return self.what(x)

    found = diff(nn.Sequential(Act(torch.relu)), nn.Sequential(Act(torch.tanh)), (3, 8, 8))
    assert "<built-in method tanh" in repr(found) and "&lt;built-in method tanh" in found._repr_html_()


WEIGHT = torch.ones(5, 3 * 8 * 8)


@pytest.mark.parametrize("forward, macs", [
    (lambda x: nn.functional.conv2d(x, torch.ones(4, 3, 3, 3)), 27 * 4 * 36),
    (lambda x: x.flatten(1) @ WEIGHT.T, 192 * 5),
    (lambda x: torch.einsum("nchw,cd->nhwd", x, torch.ones(3, 7)), 21 * 64),
    (nn.ConvTranspose2d(3, 4, 2, stride=2), 3 * 4 * 4 * 64),
    (nn.ConvTranspose2d(3, 6, 2, stride=2, groups=3), 3 * 2 * 4 * 64),
    (nn.Conv2d(3, 6, 3, padding=1, groups=3), 9 * 6 * 64),
    (Conv2d(3, 4, 3), 27 * 4 * 36),
    (nn.Linear(8, 5), 3 * 8 * 8 * 5),
    (lambda x: nn.functional.scaled_dot_product_attention(x, x, x), 3 * 8 * 8 * 8 * 2),
    (lambda x: nn.functional.scaled_dot_product_attention(x, x[..., :5, :], x[..., :5, :6]), 3 * 8 * 5 * (8 + 6)),
    (lambda x: WEIGHT @ x.flatten(), 192 * 5),
    (lambda x: torch.addmv(WEIGHT[:, 0], WEIGHT, x.flatten()), 192 * 5),
    (lambda x: torch.dot(WEIGHT[0], x.flatten()), 192),
    (lambda x: torch.addbmm(x[0, 0], x[0], x[0]), 3 * 8 * 8 * 8),
])
def test_macs_are_counted_by_the_operation_whoever_calls_it(forward, macs):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = forward

        def forward(self, x):
            return self.layer(x)

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Net()(torch.ones(1, 3, 8, 8))
    assert costs(Net(), (3, 8, 8)).macs == macs
    if counter.get_total_flops():  # none for products with a vector, or for attention on a processor in PyTorch 2.6
        assert counter.get_total_flops() / 2 == macs


class Holding(nn.Module):
    """Applies `layer` to the maps, or rows of them; with `number` by a forward pass that needs numbers."""

    def __init__(self, layer, number=False):
        super().__init__()
        self.conv, self.layer, self.number = nn.Conv2d(3, 4, 3, padding=1), layer, number

    def forward(self, x):
        maps = self.conv(x)
        return self.layer(maps * max(1.0, x.max().item()) if self.number else maps)


def rows(layer):
    return Holding(nn.Sequential(nn.Flatten(2), layer), number=True)


@pytest.mark.filterwarnings("ignore:torch.ao.quantization", "ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [
    lambda: rows(nn.LSTM(64, 5, batch_first=True)),
    lambda: rows(nn.TransformerEncoderLayer(64, 2, 16, batch_first=True)),
    lambda: Holding(lambda maps: nn.functional.bilinear(maps[..., 0], maps[..., 1], torch.ones(5, 8, 8))),
    lambda: Holding(lambda maps: torchvision.ops.deform_conv2d(maps, torch.zeros(1, 18, 6, 6), torch.ones(4, 4, 3, 3))),
], ids=["LSTM on a processor", "transformer on a processor", "bilinear", "deformable convolution"])
def test_macs_that_are_hidden_in_an_operation_are_unknown_and_those_before_it_are_not(make):
    first, *_, last = table = stages(make().eval(), (3, 8, 8))
    assert (first.macs, last.macs) == (27 * 4 * 64, None) and "unknown" in repr(table)
    assert [row.macs for row in diff(make().eval(), make().eval(), (3, 8, 8))][::len(table) - 1] == [0, None]


def test_compiled_networks_are_looked_at_as_they_were_before():
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.rand(2, 3, 8, 8)
    maps, expected = activations(torch.compile(net), x), net(x)
    assert torch.equal(maps["_orig_mod"], expected)
    before = activations(net, x)
    net.compile()
    assert all(torch.equal(t, before[name]) for name, t in activations(net, x).items()) and len(before) == 2
    assert costs(torch.compile(net), (3, 8, 8)) == costs(net, (3, 8, 8))
    part = nn.Sequential(torch.compile(nn.Conv2d(3, 4, 3)), nn.ReLU())  # it has no length, which any() would ask for
    assert costs(part, (3, 8, 8)) == costs(net, (3, 8, 8))


@dataclass
class Answer:
    logits: torch.Tensor


def test_what_holds_tensors_that_are_not_seen_has_no_field_and_is_copied():
    net = Holding(lambda maps: Answer(maps))
    assert [(row.macs, row.field) for row in stages(net, (3, 8, 8))] == [(27 * 4 * 64, 3), (27 * 4 * 64, None)]
    maps = activations(nn.Sequential(Holding(Answer), Emptying()), torch.rand(1, 3, 8, 8))
    assert maps["0"].logits.any()


class Emptying(nn.Module):
    def forward(self, answer):
        return answer.logits.zero_()


@pytest.mark.parametrize("leave", [lambda maps: torch.from_numpy(maps.numpy()),
                                   lambda maps: torch.tensor(maps.tolist())])
def test_numbers_that_were_elsewhere_have_an_unknown_field(leave):
    assert [row.field for row in stages(Holding(leave), (3, 8, 8))] == [3, None]


def test_outputs_without_an_axis_of_images_are_shown_whole():
    assert costs(nn.Sequential(nn.Flatten(0), nn.Linear(192, 5)), (3, 8, 8)).output == "5"
    recurrent = nn.Sequential(nn.Flatten(2), nn.GRU(64, 4, 2, batch_first=True))
    assert costs(recurrent, (3, 8, 8)).output == "3 x 4, 2 x 1 x 4"


@pytest.mark.filterwarnings("ignore:flex_attention")
def test_operations_of_higher_order_and_bare_errors_are_named():
    def attend(maps):
        return flex_attention(maps, maps, maps)

    def refuse(maps):
        assert maps is None

    for layer, words in ((attend, ".*flex_attention"), (refuse, "AssertionError")):
        with pytest.raises(ValueError, match=f"Holding cannot be traced with an image of 3 x 16 x 16: {words}"):
            costs(Holding(layer), (3, 16, 16))


def test_an_exported_network_has_a_total_alone():
    net = MODELS["lenet5"]()
    exported = torch.export.export(net, (torch.zeros(1, 1, 28, 28),)).module()
    total, = stages(exported, (1, 28, 28))
    assert (total.parameters, total.macs, total.field) == (61_706, 416_520, costs(net).field)


def test_the_image_is_of_the_kind_of_most_weights():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.conv = nn.Parameter(torch.ones(1, dtype=torch.float64)), nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x) * self.scale

    assert costs(Scaled(), (3, 8, 8)).parameters == 113 and costs(Scaled().double(), (3, 8, 8)).field == 3


def test_networks_that_need_numbers_or_hold_constants_are_traced():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean, self.layer = torch.ones(1, 3, 1, 1), nn.LazyConv2d(4, 3)

        def forward(self, x):
            x = (x - self.mean) * torch.tensor([1.0, 2.0, 3.0])[:, None, None]
            return self.layer(x) if x.sum().item() < 1e9 else x

    net = Reads()
    assert [(row.name, row.macs, row.field) for row in stages(net, (3, 8, 8))] == [
        ("layer", 3888, 3), ("total", 3888, 3)]
    assert net.layer.has_uninitialized_params()
    half = nn.Conv2d(3, 4, 3).bfloat16()
    assert costs(half, (3, 8, 8)).macs == 3888


class Score(Functional):
    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.second(self.first(x).relu()).sum(), x)[0]


class Mapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x):
        return torch.vmap(lambda image: self.conv(image[:, None]))(x).flatten(1, 2)


def test_networks_that_compute_gradients_map_over_the_batch_or_pool_at_random_are_traced():
    rows = stages(Score(), (4, 8, 8))
    assert (rows[-1].output, rows[0].field, rows[-1].field) == ("4 x 8 x 8", 3, None)
    rows = stages(net := Mapped(), (3, 8, 8))
    assert [(row.output, row.macs, row.field) for row in rows] == [
        ("3 x 2 x 6 x 6", 3 * 2 * 9 * 36, 3), ("6 x 6 x 6", 3 * 2 * 9 * 36, 3)]
    maps = activations(net, x := torch.rand(2, 3, 8, 8))
    assert torch.equal(maps["conv"].view(2, 6, 6, 6), net(x))
    pool = nn.Sequential(nn.FractionalMaxPool2d(2, 5), nn.ReLU())
    assert [(row.output, row.field) for row in stages(pool, (3, 8, 8))] == 3 * [("3 x 5 x 5", None)]
    assert diff(pool, pool, (3, 8, 8))[0].changed == ""


BUILT = {}
for name in torchvision.models.list_models(module=torchvision.models):
    if not name.startswith("regnet"):  # they cannot be built on the meta device
        BUILT[name] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}


@pytest.mark.parametrize("name", BUILT)
def test_totals_of_torchvisions_networks_are_those_of_flop_counter_and_no_field_is_unknown(name):
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        net = torchvision.models.get_model(name, weights=None, **BUILT[name]).eval()
        net(torch.empty(1, 3, 224, 224))
    table = stages(net, (3, 224, 224))
    assert 2 * table[-1].macs == counter.get_total_flops()
    assert table[-1].parameters == sum(p.numel() for p in net.parameters())
    assert all(row.field is not None for row in table)
