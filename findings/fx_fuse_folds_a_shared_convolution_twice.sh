#!/usr/bin/env bash
# torch 2.15.0: torch.fx.experimental.optimization.fuse gives another network where one convolution is called twice. One
# would guess that folding batch normalisation into the convolution before it changes nothing in evaluation, and that a
# convolution is left alone if that cannot be done, as it is if its output is used twice. But the check does not look at
# other calls of the same layer: with a normalisation of its own for each call, as in a detection head that all levels
# share, both are folded into the one set of weights; a call without normalisation gets the folded weights, too.
# https://github.com/pytorch/pytorch/issues/104593 is an issue about the latter.
# Seen, two calls of a convolution, variances 4 and 9 (means 0): the fused network's outputs are one sixth of the
# convolution's, both, in place of a half and a third; normalised once, called twice: both a half, in place of a half
# and the whole. With two convolutions of equal weights: as before fusing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import copy

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

torch.manual_seed(0)


def norm(variance):
    layer = nn.BatchNorm2d(4)
    layer.running_var.fill_(variance)
    return layer


class Head(nn.Module):
    def __init__(self, first, second, shared):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.other = self.conv if shared else copy.deepcopy(self.conv)
        self.first, self.second = first, second

    def forward(self, images):
        return self.first(self.conv(images)), self.second(self.other(images))


def parts(net):
    images = torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        whole = net.conv(images)
        found = [[(output / whole).median().item() for output in one(images)] for one in (net, fuse(net))]
    print("share of the convolution's output, before and after:", found)
    return [[round(share, 3) for share in one] for one in found]


assert parts(Head(norm(4.0), norm(9.0), shared=True).eval()) == [[0.5, 0.333], [0.167, 0.167]]
assert parts(Head(norm(4.0), nn.Identity(), shared=True).eval()) == [[0.5, 1.0], [0.5, 0.5]]
assert parts(Head(norm(4.0), norm(9.0), shared=False).eval()) == [[0.5, 0.333], [0.5, 0.333]]
PYTHON
