"""Other right answers to the exercises of lesson 3."""

import torch
import torch.nn.functional as F
from torch import nn

from cnncourse.arithmetic import conv_macs, output_size
from cnncourse.layers import local_response_norm


def last_map(size):
    return (size - 35) // 32


def saved(n_in, n_out, k, size, groups):
    return conv_macs(n_in, n_out, k, size, size) - conv_macs(n_in, n_out, k, size, size, groups)


normalise = local_response_norm


def normalise_2(a, n, alpha, beta, k):
    return nn.LocalResponseNorm(n, n * alpha, beta, k)(a)


class second_stage(nn.Module):
    def __init__(self, n_in, n_out, groups):
        super().__init__()
        self.norm = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
        self.conv = nn.Conv2d(n_in, n_out, 5, padding="same", groups=groups)

    def forward(self, x):
        return F.max_pool2d(self.norm(F.relu(self.conv(x))), 3, stride=2)


def views(height, width, crop):
    return output_size(height, crop) * output_size(width, crop) * 2


def relight(images, directions, spread, strengths):
    shifts = [directions @ (strength * spread) for strength in strengths]
    return torch.stack([image + shift.view(3, 1, 1) for image, shift in zip(images, shifts, strict=True)])


def paper_dropout(x, keep, p, training):
    return x.masked_fill(~keep, 0) if training else x - p * x


def normalise_3(a, n, alpha, beta, k):
    near = F.pad(a**2, (0, 0, 0, 0, n // 2, n // 2)).unfold(1, n, 1)
    return a / (k + alpha * near.sum(-1)) ** beta


def second_stage_2(n_in, n_out, groups):
    return nn.Sequential(nn.ZeroPad2d(2), nn.LazyConv2d(n_out, 5, groups=groups), nn.ReLU(inplace=True),
                         nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), nn.MaxPool2d(3, 2))
