"""Other right answers to the exercises of lesson 6."""

import torch
import torch.nn.functional as F

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
