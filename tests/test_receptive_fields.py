"""Receptive fields from the graph are those of the formula, and those of the gradient."""

from copy import deepcopy
from random import Random

import pytest
import torch
import torchvision
from facts import FACTS, build
from torch import nn
from torch.nn import functional as F

from cnncourse.layers import Conv2d
from cnncourse.trace import calls, stages, traced

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


def conv(n_in=4, n_out=4, k=3, **options):
    return nn.Conv2d(n_in, n_out, k, **{"padding": k // 2} | options)


class Does(nn.Module):
    def __init__(self, forward, *layers):
        super().__init__()
        self.compute, self.layers = forward, nn.ModuleList(layers)

    def forward(self, x):
        return self.compute(x, *self.layers)


def in_place(x):
    y = torch.zeros_like(x)
    y[:, :, 1:] = x[:, :, :-1]
    y[:, 1] += x[:, 0]
    view = y[:, 2]
    view += F.avg_pool2d(x, 3, 1, 1)[:, 0]
    return y


def u_net(x, down, middle, up, last):
    large = down(x)
    small = up(middle(F.avg_pool2d(large, 2)))
    return last(torch.cat([small, large, F.interpolate(F.avg_pool2d(large, 4), scale_factor=4)], 1))


class Permutes(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("order", torch.tensor([2, 0, 1, 3]))

    def forward(self, x):
        return x[:, self.order]


class Masks(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mask", masked())

    def forward(self, y):
        return (y @ y.mT + self.mask).softmax(-1) @ y


NEAR = (torch.arange(64)[:, None] - torch.arange(64)).abs() < 2  # of 8 x 8 patches in a row


def attends(weigh):
    """Each patch to its neighbours alone, by a mask."""
    def forward(x):
        y = x.flatten(2).transpose(1, 2)
        return weigh(y).transpose(1, 2).reshape(x.shape)

    return [conv(3, 4, 4, stride=4, padding=0), Does(forward)], [4, None]


def masked():
    return torch.zeros(64, 64).masked_fill(~NEAR, -torch.inf)


first = conv(3)
KEPT, ZEROS_AND_ONES = masked(), NEAR.float()
CASES = {
    "chunk": ([conv(3, 8), Does(lambda x, c: c(x.chunk(2, 1)[1]), conv())], [3, 5]),
    "split": ([conv(3, 8), Does(lambda x, c: torch.cat([c(x.split(4, 1)[0]), x[:, 4:]], 1), conv())], [3, 5]),
    "unbind": ([first, Does(lambda x, c: c(torch.stack(x.unbind(1)[::-1], 1)), conv())], [3, 5]),
    "half of a concatenation": (
        [Does(lambda x, c: torch.cat([x, c(x)], 1), conv(3, 3)), Does(lambda x: x.chunk(2, 1)[0])], [3, 1]),
    "a mask": ([first, Does(lambda x: torch.where(torch.ones(1, 1, 32, 32) > 0, x, 0 * x)), conv()], [3, None, None]),
    "dilated pooling": ([first, nn.MaxPool2d(3, 1, dilation=2)], [3, 7]),
    "global maximum": ([first, nn.AdaptiveMaxPool2d(1)], [3, 34]),
    "adaptive pooling": ([first, nn.AdaptiveAvgPool2d(5), conv()], [3, 10, 22]),
    "the course's own convolution": (
        [Conv2d(3, 4, 3, padding="same"), nn.AvgPool2d(2), Conv2d(4, 4, 5, 2, "same"), Conv2d(4, 4, 3)],
        [3, 4, 12, 20]),
    "linear on channels": (
        [first, Does(lambda x, layer: layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), nn.Linear(4, 4)), conv()],
        [3, 3, 5]),
    "a mean of flattened maps": ([first, Does(lambda x: x.flatten(2).mean(-1)), nn.Linear(4, 2)], [3, 34, 34]),
    "a flattened map": ([first, nn.Flatten(), nn.Linear(4096, 2)], [3, 3, 34]),
    "transposed": ([conv(3, stride=2), nn.ConvTranspose2d(4, 4, 3, 2, 1, 1), conv(),
                    nn.ConvTranspose2d(4, 4, 4, dilation=2)], [3, 5, 7, 13]),
    "bilinear": ([conv(3, stride=2), nn.Upsample(scale_factor=2, mode="bilinear"), conv()], [3, 5, 7]),
    "nearest": ([conv(3, stride=2), nn.Upsample(scale_factor=2), conv()], [3, 3, 5]),
    "antialiased": ([first, Does(lambda x: F.interpolate(x, size=9, mode="bilinear", antialias=True))], [3, 10]),
    "padding": ([nn.ReflectionPad2d(2), conv(3, padding=0), nn.ReplicationPad2d(1), conv(padding=0),
                 nn.ZeroPad2d((1, 2, 0, 1)), conv(padding=0)], [1, 3, 3, 5, 5, 7]),
    "a rim joined to the other": ([first, Does(lambda x: x.roll((3, 2), (2, 3))), conv()], [3, 3, None]),
    "joined, then pooled": ([first, Does(lambda x: x.roll(3, 2)), conv(), nn.AdaptiveAvgPool2d(1)], [3, 3, None, 36]),
    "shuffled pixels": ([conv(3, 16), nn.PixelShuffle(2), conv(), nn.PixelUnshuffle(2)], [3, 3, 4, 4]),
    "attention": ([conv(3, 8, 4, stride=4, padding=0), nn.Flatten(2), Does(lambda x: x.transpose(1, 2)),
                   nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)], [4, 4, 4, 32]),
    "attention, a mask": attends(lambda y: F.scaled_dot_product_attention(y, y, y, NEAR)),
    "attention, a mask of floats": attends(lambda y: F.scaled_dot_product_attention(y, y, y, masked())),
    "attention, causal": attends(lambda y: F.scaled_dot_product_attention(y, y, y, is_causal=True)),
    "attention, a mask added": attends(lambda y: (y @ y.mT + masked()).softmax(-1) @ y),
    "attention, a mask multiplied": attends(lambda y: (y @ y.mT * NEAR) @ y),
    "attention, a mask filled in": attends(lambda y: (y @ y.mT).masked_fill(~NEAR, -torch.inf).softmax(-1) @ y),
    "attention, a mask kept and added": attends(lambda y: (y @ y.mT + KEPT).softmax(-1) @ y),
    "attention, zeros and ones kept": attends(lambda y: (y @ y.mT * ZEROS_AND_ONES) @ y),
    "attention, a mask kept as a buffer": attends(Masks()),
    "attention, a mask kept and added to a product": attends(
        lambda y: torch.baddbmm(KEPT.to(y), y, y.mT).softmax(-1) @ y),
    "neighbours": ([first, Does(lambda x: x[..., 1:] - x[..., :-1] / 2)], [3, 4]),
    "sums in place": ([first, Does(in_place), conv()], [3, 5, 7]),
    "squeeze and excite": (
        [first, Does(lambda x, layer: x * layer(x.mean((2, 3)))[..., None, None].sigmoid(), nn.Linear(4, 4)), conv()],
        [3, 34, 34]),
    "group and layer norm": ([first, nn.LayerNorm([32]), nn.GroupNorm(2, 4)], [3, 34, 34]),
    "windows": ([Does(lambda x: x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(3)),
                 nn.Linear(48, 4), Does(lambda x: x.permute(0, 3, 1, 2)), conv()], [1, 4, 4, 12]),
    "permuted channels": ([first, Permutes(), conv()], [3, 3, 5]),
    "branches of a U": ([Does(u_net, conv(3), conv(), nn.ConvTranspose2d(4, 4, 2, 2), conv(12))], [10]),
    "an operation that is not listed": ([first, Does(lambda x: x.cumsum(2)), conv()], [3, None, None]),
    "the same, of the whole image": ([first, nn.AdaptiveAvgPool2d(1), Does(lambda x: x.cumsum(1)), conv(k=1)],
                                     [3, 34, 34, 34]),
}


def positive(net):
    """In double precision, with weights that let the gradient through: none is zero, none grows, nothing saturates."""
    for module in list(net.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, nn.MaxPool2d) and layer.dilation == 1:
                setattr(module, name, nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode))
    with torch.no_grad():
        for weight in net.parameters():
            scale = 1 / weight[0].numel() if weight.ndim > 1 else float(weight.max() == 1)
            weight.copy_(scale * (0.5 + torch.rand_like(weight)))
    return net.double().eval()


def agrees_with_the_gradient(net, size, depth, samples, random):
    """Of some numbers of every stage: the first and the last pixel that the gradient reaches are those of the trace.

    Returns how many were compared.
    """
    trace, outputs, compared = traced(net, (3, size, size), depth), [], 0
    x = (torch.rand(1, 3, size, size, dtype=torch.float64) / 10).requires_grad_()
    with calls(net, depth, lambda *_: None, lambda module, output, stage: stage and outputs.append(output)):
        net(x)
    for (*_, (seen,)), output in zip(trace.rows[:-1], outputs, strict=True):
        for _ in range(samples * seen.sure):
            place = tuple(random.randrange(n) for n in output.shape)
            gradient, = torch.autograd.grad(output[place], x, retain_graph=True)
            for axis, (low, high) in enumerate(zip(seen.ends[::2], seen.ends[1::2], strict=True)):
                reached = gradient.abs().sum([0, 1, 3 - axis]).nonzero()
                low, high = (end.expand(output.shape)[place] for end in (low, -high))
                low, high = max(low, 0), min(high, size - 1)
                assert [*reached.aminmax(dim=0)] == [low, high] if len(reached) else low > high  # zeros of a padding
                compared += 1
    return compared


@pytest.mark.parametrize("name", CASES)
def test_fields_of_operations_are_those_of_the_gradient_or_unknown(name):
    layers, fields = CASES[name]
    net = nn.Sequential(*deepcopy(layers))
    assert [row.field for row in stages(net, (3, 32, 32))[:-1]] == fields
    if "maximum" not in name and "dilated" not in name:  # of which only one number counts
        assert agrees_with_the_gradient(positive(net), 32, 1, 4, Random(0))


@pytest.mark.parametrize("name, size", [
    ("shufflenet_v2_x0_5", 160), ("mobilenet_v3_small", 96), ("regnet_y_400mf", 96), ("swin_t", 64)])
def test_fields_of_torchvisions_networks_are_those_of_the_gradient(name, size):
    net = positive(torchvision.models.get_model(name, weights=None))
    assert agrees_with_the_gradient(net, size, 2, 2, Random(0)) > 20
