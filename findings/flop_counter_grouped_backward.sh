#!/usr/bin/env bash
# torch 2.15.0: torch.utils.flop_counter counts the gradient of a grouped convolution's weight as if it had one group,
# so `groups` times too much. One would guess that a backward pass costs about twice the forward, as it does in the
# counter for ResNet-18; the forward counts are right, and the gradient of the input is right. With depthwise
# convolutions the total of a training step is several times too high, without a warning, and so is a share of peak
# speed that is worked out from it.
# Seen (backward / forward): one 3x3 layer of 8 channels 2.0, with 2 groups 3.0, with 8 groups 9.0; torchvision 0.29.2's
# resnet18 2.0, resnext50_32x4d 3.7, mobilenet_v2 18.7, efficientnet_b0 38.7.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models


def ratio(net, channels, size):
    with torch.device("meta"):
        images = torch.empty(2, channels, size, size, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        loss = net.to("meta")(images).sum()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    return round(backward.get_total_flops() / forward.get_total_flops(), 1)


layers = {groups: ratio(nn.Conv2d(8, 8, 3, padding=1, groups=groups), 8, 16) for groups in (1, 2, 8)}
names = ("resnet18", "resnext50_32x4d", "mobilenet_v2", "efficientnet_b0")
nets = {name: ratio(models.get_model(name), 3, 64) for name in names}
print("backward / forward by groups:", layers, "and by network:", nets)
assert layers == {1: 2.0, 2: 3.0, 8: 9.0}, layers
assert nets == {"resnet18": 2.0, "resnext50_32x4d": 3.7, "mobilenet_v2": 18.7, "efficientnet_b0": 38.7}, nets
PYTHON
