"""Exercises of lesson 4."""

import torch
from torch import nn

from . import behaviour, exercise


@exercise(minutes=8, level="medium",
          hints=("Two convolutions, and what stands after each of them?",
                 "A 3x3 window loses one row at each side: `padding=1` gives it back.",
                 "`nn.Sequential(convolution, relu, convolution, relu)`; the second takes what the first has made."),
          cases=lambda chance: [(chance.randint(2, 4), chance.randint(5, 8)) for _ in range(3)],
          observe=lambda net, n_in, n_out: behaviour(net, torch.randn(2, n_in, 9, 11)))
def stack(n_in, n_out):
    """Two 3x3 convolutions, from `n_in` to `n_out` channels, each followed by a ReLU. The map keeps its size."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU())


@stack.also_right
class Stack(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.second = nn.Conv2d(n_out, n_out, 3, padding="same")
        self.first = nn.Conv2d(n_in, n_out, 3, padding="same")

    def forward(self, x):
        return self.second(self.first(x).relu()).relu()


@stack.mistake
def no_relu_between(n_in, n_out):
    """The ReLU between the two convolutions is missing. Without it, both together are one linear 5x5 convolution."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU())


@stack.mistake
def no_relu_at_the_end(n_in, n_out):
    """The ReLU after the second convolution is missing."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.Conv2d(n_out, n_out, 3, padding=1))


@stack.mistake
def no_padding(n_in, n_out):
    """The map shrinks by two rows and columns at each convolution: give each `padding=1`."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3), nn.ReLU(), nn.Conv2d(n_out, n_out, 3), nn.ReLU())


@stack.mistake
def widened_late(n_in, n_out):
    """The channels grow in the second convolution. In VGG the first one of a block widens, and the second works on
    `n_out` channels."""
    return nn.Sequential(nn.Conv2d(n_in, n_in, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU())
