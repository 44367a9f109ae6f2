"""Lesson 5: what Keras' `summary()` says of a network, derived from its PyTorch form. TensorFlow is not needed.

Batch normalisation keeps two statistics a channel, the moving mean and the moving variance. Keras counts them as
non-trainable parameters; PyTorch keeps them as buffers, which `parameters()` leaves out.
"""

from typing import NamedTuple

from torch import nn


class Totals(NamedTuple):
    """The last three lines of `summary()`, in numbers that a network stores."""

    total: int
    trainable: int
    non_trainable: int


def totals(net: nn.Module, conv_bias: bool = False, norm_scale: bool = True) -> Totals:
    """Keras' totals for `net`, also on the meta device, with nothing frozen.

    conv_bias: every convolution has a bias, also before batch normalisation, as in `keras.applications.ResNet50`.
    norm_scale: False leaves out batch normalisation's factor (gamma), as in `keras.applications.InceptionV3`.
    """
    channels = sum(layer.num_features for layer in net.modules() if isinstance(layer, nn.BatchNorm2d))
    trainable = sum(p.numel() for p in net.parameters()) - (0 if norm_scale else channels)
    if conv_bias:
        trainable += sum(layer.out_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)
                         and layer.bias is None)
    return Totals(trainable + 2 * channels, trainable, 2 * channels)
