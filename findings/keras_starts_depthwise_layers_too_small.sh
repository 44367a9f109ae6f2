#!/usr/bin/env bash
# keras 3.15.1: DepthwiseConv2D and the depthwise part of SeparableConv2D start with weights that are too small by the
# root of the number of channels with "he_normal" and other initializers that scale by the inputs of a unit. One would
# guess what Conv2D(groups=channels) gets, which is the same layer: each of its outputs sees 3x3 inputs, 9. But the
# initializer knows the kernel's shape alone, and a depthwise kernel of (3, 3, channels, 1) is read as one that sees all
# channels. Without batch normalisation a signal shrinks by that factor at each layer. The other way round PyTorch's
# nn.init.kaiming_normal_(mode="fan_out"), with which torchvision 0.29.2 starts mobilenet_v2, takes the weights of
# groups, (channels, 1, 3, 3), for ones that each feed all channels; timm divides by groups.
# https://github.com/keras-team/keras/issues/11773, https://github.com/pytorch/pytorch/issues/23854
# Seen, 3x3, root of 2/9 being 0.47: keras with 64 channels 0.059 for both, Conv2D(groups=64) 0.47; 256 channels 0.03.
# PyTorch, 64 channels: fan_in 0.47, fan_out 0.059; mobilenet_v2's last depthwise layer, 960 channels: 0.015.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    keras==3.15.1 numpy
KERAS_HOME="$folder" KERAS_BACKEND=torch "$folder/venv/bin/python" - <<'PYTHON'
import keras
import torch
from keras import layers
from torch import nn
from torchvision.models import mobilenet_v2

keras.utils.set_random_seed(0)


def built(layer, channels=64):
    layer.build((None, 8, 8, channels))
    kernel = layer.depthwise_kernel if isinstance(layer, layers.SeparableConv2D) else layer.kernel
    return kernel.value.std().item()


def by_torch(mode):
    return nn.init.kaiming_normal_(nn.Conv2d(64, 64, 3, groups=64).weight, mode=mode, nonlinearity="relu").std().item()


def close(found, expected):
    return abs(found / expected - 1) < 0.15


right = (2 / 9) ** 0.5
found = {"DepthwiseConv2D": built(layers.DepthwiseConv2D(3, depthwise_initializer="he_normal")),
         "SeparableConv2D": built(layers.SeparableConv2D(8, 3, depthwise_initializer="he_normal")),
         "Conv2D(groups)": built(layers.Conv2D(64, 3, groups=64, kernel_initializer="he_normal")),
         "256 channels": built(layers.DepthwiseConv2D(3, depthwise_initializer="he_normal"), 256),
         "fan_in": by_torch("fan_in"), "fan_out": by_torch("fan_out"),
         "mobilenet_v2": mobilenet_v2().features[17].conv[1][0].weight.std().item()}
print(f"{right:.3f} expected,", {name: round(spread, 3) for name, spread in found.items()})
assert close(found["Conv2D(groups)"], right) and close(found["fan_in"], right)
assert all(close(found[name], right / 8) for name in ("DepthwiseConv2D", "SeparableConv2D", "fan_out"))
assert close(found["256 channels"], right / 16) and close(found["mobilenet_v2"], right / 960**0.5)
PYTHON
