#!/usr/bin/env bash
# torchinfo 1.8.0: "Total mult-adds" counts a linear layer once per image, however many pixels it is applied to. One
# would guess that nn.Linear on the channels of a picture costs what a 1x1 convolution costs, which it equals. ConvNeXt
# of torchvision writes its two large layers of each block so, and comes out as cheap as a fifth of ResNet-18, though it
# costs more than twice as much; convolutions are counted at every pixel, all other layers by their parameters times
# the size of the batch.
# Seen, 4 to 10 channels on 16x16 pixels: 1x1 convolution 10240, linear layer 40. In 1000 millions at 224x224:
# convnext_tiny 0.32, with fvcore 0.1.5.post20221221 4.47; resnet18 1.81 and 1.82.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    torchinfo==1.8.0 fvcore==0.1.5.post20221221 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torchinfo import summary
from torchvision.models import convnext_tiny, resnet18


def by_torchinfo(net, *size):
    return summary(net, size, verbose=0).total_mult_adds


def by_fvcore(net, *size):
    count = FlopCountAnalysis(net.eval(), torch.zeros(size)).unsupported_ops_warnings(False)
    return count.uncalled_modules_warnings(False).total()


convolution = nn.Sequential(nn.Conv2d(4, 10, 1, bias=False))
linear = nn.Sequential(nn.Linear(4, 10, bias=False))
small = {count.__name__: (count(convolution, 1, 4, 16, 16), count(linear, 1, 16, 16, 4))
         for count in (by_torchinfo, by_fvcore)}
print("1x1 convolution and linear layer:", small)
assert small == {"by_torchinfo": (10240, 40), "by_fvcore": (10240, 10240)}, small
for build, wanted in ((resnet18, [1.81, 1.82]), (convnext_tiny, [0.32, 4.47])):
    seen = [round(count(build(), 1, 3, 224, 224) / 1e9, 2) for count in (by_torchinfo, by_fvcore)]
    print(build.__name__, seen)
    assert seen == wanted, seen
PYTHON
