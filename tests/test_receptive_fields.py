"""Receptive fields from the graph are those of the formula, and those of the gradient."""

import pytest
import torch
from facts import FACTS, build
from torch import nn

from cnncourse.trace import stages

# The smallest width at which the map has not vanished: only rows are measured, so columns can be few.
WIDTHS = {"lenet5": 28, "mnist_cnn": 28, "alexnet": 67, "alexnet_owt": 63, "googlenet_bn": 15, "inception_v3": 75}


class OneChannel(nn.Module):
    """A convolution of the same geometry that averages: all weights are positive, and one channel is enough."""

    def __init__(self, conv):
        super().__init__()
        self.options = {"stride": conv.stride, "padding": conv.padding}
        self.weight = torch.full((1, 1, *conv.kernel_size), 1 / conv.weight[0, 0].numel(), dtype=torch.float64)

    def forward(self, x):
        return nn.functional.conv2d(x.mean(1, keepdim=True), self.weight, **self.options)


def thin(name):
    """The same graph with one channel everywhere, positive weights and no maxima: gradient flows wherever it can."""
    net = build(name)
    for parent in list(net.modules()):
        for child, layer in parent.named_children():
            if isinstance(layer, nn.Conv2d):
                layer = OneChannel(layer)
            elif isinstance(layer, nn.MaxPool2d):
                layer = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
            elif isinstance(layer, nn.BatchNorm2d | nn.Tanh | nn.Flatten) or child == "head":
                layer = nn.Identity()
            setattr(parent, child, layer)
    return net.eval()


def rows_seen(net, stage, height, width):
    """First and last row of the image that the middle of this stage's map sees, and the first that its neighbour sees.
    """
    x = torch.ones(1, net.input_shape[0], height, width, dtype=torch.float64, requires_grad=True)
    maps = {}
    handle = net.get_submodule(stage).register_forward_hook(lambda m, _, out: maps.update({stage: out}))
    if isinstance(net, nn.Sequential):  # layers after this stage might not take a strip
        y = x
        for name, child in net.named_children():
            y = child(y)
            if name == stage.split(".")[0]:
                break
    else:
        net(x)
    handle.remove()
    middle, seen = maps[stage].shape[2] // 2, []
    for row in (middle, middle + 1):
        gradient, = torch.autograd.grad(maps[stage][0, :, row].sum(), x, retain_graph=True)
        seen.append(gradient.abs().sum(dim=(0, 1, 3)).nonzero())
    return int(seen[0].min()), int(seen[0].max()), int(seen[1].min())


@pytest.mark.parametrize("name", FACTS["fields"])
def test_fields_are_those_of_the_papers_and_of_the_gradient(name):
    expected, width = FACTS["fields"][name], WIDTHS.get(name, 32 if name.startswith("vgg") else 1)
    traced = {row.name: row.field for row in stages(build(name))}
    assert {stage: traced[stage] for stage in expected} == expected
    net, jumps = thin(name), FACTS["jumps"].get(name, {})
    for stage, field in expected.items():
        first, last, next_first = rows_seen(net, stage, field + 64, width)
        assert last - first + 1 == field, stage
        assert next_first - first == jumps.get(stage, next_first - first), stage


@pytest.mark.parametrize("name", FACTS["last_convolution"])
def test_fields_before_the_last_pooling_of_vgg(name):
    field = FACTS["last_convolution"][name]
    rows = stages(build(name), depth=2)
    last = [row for row in rows if row.name.startswith("block5") and row.parameters][-1]
    assert last.field == field
    first, last, _ = rows_seen(thin(name), last.name, field + 64, 32)
    assert last - first + 1 == field
