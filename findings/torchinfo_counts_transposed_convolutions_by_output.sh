#!/usr/bin/env bash
# torchinfo 1.8.0: the multiply-adds of a transposed convolution with stride s are about s*s times too many. One would
# guess that a layer that turns round a convolution costs what that convolution costs, as torch 2.15.0's own counter has
# it. torchinfo multiplies the weights by the number of output pixels, which is right for a convolution; here each
# weight meets each input pixel once, and between two input pixels there are s. In a U-Net or a generator the decoder's
# share of the cost comes out too large.
# Seen, 3 to 6 channels, 3x3, stride 2, no bias, 8x8 to 17x17: 46818 in torchinfo, 10368 in torch; the convolution back
# from 17x17 to 8x8: 10368 in both; transposed with stride 1, padding 1: 10368 in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchinfo==1.8.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import torchinfo
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def counts(layer, channels, size):
    with FlopCounterMode(display=False) as counter:
        layer(torch.zeros(1, channels, size, size))
    summary = torchinfo.summary(layer, (1, channels, size, size), verbose=0)
    return summary.total_mult_adds, counter.get_total_flops() // 2


for layer, channels, size, wanted in (
        (nn.ConvTranspose2d(3, 6, 3, stride=2, bias=False), 3, 8, (46818, 10368)),
        (nn.Conv2d(6, 3, 3, stride=2, bias=False), 6, 17, (10368, 10368)),
        (nn.ConvTranspose2d(3, 6, 3, padding=1, bias=False), 3, 8, (10368, 10368))):
    found = counts(layer, channels, size)
    print(f"{layer}, {size}x{size}: torchinfo {found[0]}, torch {found[1]}")
    assert found == wanted, found
assert 17 * 17 * 3 * 6 * 9 == 46818 and 8 * 8 * 3 * 6 * 9 == 10368
PYTHON
