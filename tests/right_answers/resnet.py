"""Other right answers to the exercises of lesson 6."""

import torch
import torch.nn.functional as F
from torch import nn

from cnncourse.models.resnet import Basic, projection


def zero_shortcut(x, n_out):
    picked = F.max_pool2d(x, 1, 2)
    return torch.cat([picked, picked.new_zeros(len(x), n_out - x.shape[1], *picked.shape[2:])], 1)


def halving_block(n_in, n_out):
    return Basic(n_in, n_out, 2, projection)


def layers(n, stages, convolutions):
    return 1 + sum(n * convolutions for _ in range(stages)) + 1


def extra_macs(n_in, width, size):
    return 3 * n_in * width * size * size // 4


def dimension(first, second):
    try:
        torch.zeros(first) + torch.zeros(second)
    except RuntimeError as error:
        return int(str(error)[-1])


def quiet(net):
    for child in net.modules():
        if hasattr(child, "residual"):
            child.residual[-1].weight.data.fill_(0)
    return net


class halving_block_2(nn.Module):
    """Lazy layers, the shortcut defined first, a linear layer for its 1x1."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.norm = nn.LazyBatchNorm2d()
        self.shortcut = nn.LazyLinear(n_out, bias=False)
        self.residual = nn.Sequential(nn.LazyConv2d(n_out, 3, 2, 1, bias=False), nn.LazyBatchNorm2d(),
                                      nn.ReLU(inplace=True), nn.LazyConv2d(n_out, 3, 1, 1, bias=False),
                                      nn.LazyBatchNorm2d())

    def forward(self, x):
        out = self.norm(self.shortcut(x[:, :, ::2, ::2].movedim(1, -1)).movedim(-1, 1))
        out += self.residual(x)
        return out.relu_()


def layers_2(*, n, stages, convolutions):
    return torch.tensor([2.0 + n * stages * convolutions])


def quiet_2(net):
    for block in net.modules():
        if hasattr(block, "residual"):
            block.residual[-1].weight = nn.Parameter(torch.zeros_like(block.residual[-1].weight))
    return net
