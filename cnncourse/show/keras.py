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
    norms = [layer for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    statistics = sum(2 * layer.num_features for layer in norms if layer.track_running_stats)
    trainable = sum(p.numel() for p in net.parameters())
    if not norm_scale:
        trainable -= sum(layer.num_features for layer in norms if layer.affine)
    if conv_bias:
        trainable += sum(layer.out_channels for layer in net.modules()
                         if isinstance(layer, nn.modules.conv._ConvNd) and layer.bias is None)
    return Totals(trainable + statistics, trainable, statistics)
