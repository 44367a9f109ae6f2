#!/usr/bin/env bash
# timm 1.0.31: average poolings with padding "same" count the padded zeros as pixels, whatever count_include_pad says.
# One would guess that count_include_pad=False leaves them out, as in torch.nn.AvgPool2d, whose argument it is. timm
# pads the picture first, so that the pooling that gets the argument sees no padding; a note in its code leaves the
# question open. A network is hit by it, too: resnet50d and its relatives ask for count_include_pad=False in the
# shortcuts, and have this pooling there where output_stride turns stride into dilation. Then the last row and column of
# the shortcut are halved, and the corner quartered; with output_stride=32 no edge is.
# Seen with torch 2.15.0, pictures of ones: create_pool2d("avg", 3, 2, padding="same", count_include_pad=False) on 4x4:
# 1, 2/3, 2/3, 4/9, in place of 1 everywhere, as AvgPool2d(padding=1) has it; the shortcut of resnet50d's last stage:
# with output_stride=8 1 inside, 0.5 at two edges, 0.25 in the corner; with 32, on 7x7, 1 everywhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    timm==1.0.31 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import timm
import torch
from timm.layers import create_pool2d
from torch import nn

pool = create_pool2d("avg", 3, 2, padding="same", count_include_pad=False)
same = pool(torch.ones(1, 1, 4, 4))[0, 0]
plain = nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)(torch.ones(1, 1, 4, 4))
print("same:", same, "torch, padding 1:", plain)
assert torch.allclose(same, torch.tensor([[1, 2 / 3], [2 / 3, 4 / 9]])) and plain.eq(1).all()

shortcuts = {stride: timm.create_model("resnet50d", output_stride=stride).layer4[0].downsample[0] for stride in (8, 32)}
pooled = {stride: shortcut(torch.ones(1, 1, 7, 7))[0, 0] for stride, shortcut in shortcuts.items()}
print(pooled)
assert pooled[8][:-1, :-1].eq(1).all() and pooled[8][-1, :-1].eq(0.5).all() and pooled[8][:-1, -1].eq(0.5).all()
assert pooled[8][-1, -1] == 0.25 and pooled[32].eq(1).all()
PYTHON
