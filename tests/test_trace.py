"""Tables of stages, costs, activations and differences."""

from collections import OrderedDict

import pytest
import torch
import torchvision
from facts import build
from torch import nn

from cnncourse.models import MODELS
from cnncourse.trace import activations, costs, diff, stages


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


def hooks(net):
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()]


pool = nn.MaxPool2d(2, return_indices=True)


@pytest.mark.parametrize("net, image, message", [
    (build("alexnet"), (3, 64, 64), "at least 227 x 227"),
    (nn.Linear(9, 2), (1, 8, 8), "Linear cannot take an image of 1 x 8 x 8"),
    (nn.Sequential(nn.ReLU()), None, "Sequential has no `input_shape`.* give input_shape=.channels, height, width"),
    (Behind(nn.Sequential(nn.Conv2d(3, 3, 1))), (3, 8, 8), "calls a Conv2d .*without calling that child"),
    (nn.Sequential(nn.Conv1d(3, 4, 3)), (3, 32), "a 1d convolution is given: use nn.Conv2d"),
    (nn.Sequential(nn.Conv3d(3, 4, 3)), (3, 8, 8, 8), "a 3d convolution is given: use nn.Conv2d"),
    (nn.Sequential(pool), (3, 8, 8), "MaxPool2d gives an output of kind tuple.* wrap it in a module that returns"),
    (nn.Sequential(nn.Sequential(nn.ReLU(), pool)), (3, 8, 8), "MaxPool2d gives an output of kind tuple"),
    (nn.LSTM(8, 4), (3, 8), "LSTM gives an output of kind tuple"),
])
def test_what_has_no_row_is_refused_in_one_sentence(net, image, message):
    before = hooks(net)
    with pytest.raises(ValueError, match=message):
        stages(net, image)
    assert hooks(net) == before


def test_tables_are_aligned_text_and_html():
    text = repr(stages(build("lenet5"))).splitlines()
    assert text[0].split() == ["name", "output", "parameters", "MACs", "memory", "receptive", "field"]
    assert text[1].split()[-5:] == ["156", "117,600", "0.04", "MB", "5"]
    html = stages(build("lenet5"))._repr_html_()
    assert html.count("<tr>") == 9 and "<th>MACs</th>" in html and "<td>61,706</td>" in html
    assert "+1,849,688,064" in repr(diff(build("vgg11"), build("vgg16")))
