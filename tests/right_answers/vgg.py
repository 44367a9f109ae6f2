"""Other right answers to the exercises of lesson 4."""

from itertools import accumulate

import torch
from torch import nn

from cnncourse.arithmetic import receptive_field


def layers_with_weights(blocks):
    row = " ".join(blocks)
    return len(row.split()) - row.count("LRN") + 3


class stack(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.second = nn.Conv2d(n_out, n_out, 3, padding="same")
        self.first = nn.Conv2d(n_in, n_out, 3, padding="same")

    def forward(self, x):
        return self.second(self.first(x).relu()).relu()


def head_parameters(height, width, classes):
    for _ in range(5):
        height, width = height // 2, width // 2
    return (512 * height * width + 1) * 4096 + 4097 * (4096 + classes)


def fields(blocks):
    grown = [sum(int(entry[0]) - 1 for entry in block.split() if entry != "LRN") for block in blocks]
    return list(accumulate(((n + 1) * 2**i for i, n in enumerate(grown)), initial=1))[1:]


def fields_2(blocks):
    layers, found = [], []
    for block in blocks:
        layers += [(int(entry[0]), 1) for entry in block.split() if entry != "LRN"] + [(2, 2)]
        found.append(receptive_field(layers)[0])
    return found


def he_deviation(n_in, n_out, k):
    return (n_in * k**2 / 2) ** -0.5


def blind_loss(counts):
    counts = torch.tensor(counts, dtype=torch.float64)
    return nn.functional.cross_entropy(counts.log()[None], counts[None] / counts.sum()).item()


def as_convolution(weight, bias, side):
    kernel = weight.unflatten(1, (-1, side, side))
    layer = nn.Conv2d(kernel.shape[1], len(bias), (side, side))
    layer.weight, layer.bias = nn.Parameter(kernel), nn.Parameter(bias)
    return layer


def stack_2(*, n_in, n_out):
    return nn.Sequential(*(layer for n in (n_in, n_out) for layer in (nn.Conv2d(n, n_out, 3, 1, 1), nn.ReLU(True))))


def fields_3(blocks):
    return dict(enumerate(fields(blocks)))


def as_convolution_2(weight, bias, side):
    layer = nn.LazyConv2d(len(bias), side).double()
    layer(torch.zeros(1, weight.shape[1] // side**2, side, side, dtype=torch.double))
    layer.load_state_dict({"weight": weight.reshape(layer.weight.shape), "bias": bias})
    return layer
