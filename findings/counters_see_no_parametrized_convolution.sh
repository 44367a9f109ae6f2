#!/usr/bin/env bash
# torchinfo 1.8.0, thop 0.1.1.post2209072238, ptflops 0.7.5 (backend "pytorch"), torch-pruning 1.6.1: a convolution with
# torch.nn.utils.parametrizations.spectral_norm or weight_norm costs nothing, without a word, in a network whose other
# layers are counted; thop counts no parameters of it either. One would guess that a reparametrized layer counts as the
# layer it is. But PyTorch gives it a class of its own, ParametrizedConv2d, and moves its weight to a child module: the
# last three look the class up in a table, torchinfo wants a parameter that is called weight. The older
# torch.nn.utils.weight_norm, which keeps the class, is counted by thop and ptflops. Counters of operations see it.
# Seen, MACs of two 3x3 layers of 4 channels on 16x16 pixels, the second normalised: 36864 of 73728 with the four;
# 73728 with fvcore 0.1.5.post20221221, ptflops' backend "aten" and PyTorch's FlopCounterMode.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    torchinfo==1.8.0 thop==0.1.1.post2209072238 ptflops==0.7.5 torch-pruning==1.6.1 fvcore==0.1.5.post20221221 \
    setuptools numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from fvcore.nn import FlopCountAnalysis
from ptflops import get_model_complexity_info
from thop import profile
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.flop_counter import FlopCounterMode
from torch_pruning.utils import count_ops_and_params
from torchinfo import summary

images = torch.zeros(1, 4, 16, 16)


def by_ptflops(net, backend):
    return get_model_complexity_info(net, (4, 16, 16), as_strings=False, print_per_layer_stat=False, backend=backend)


def by_torch(net):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(images)
    return counter.get_total_flops() / 2


by_class = {"torchinfo": lambda net: summary(net, (1, 4, 16, 16), verbose=0).total_mult_adds,
            "thop": lambda net: profile(net, (images,), verbose=False)[0],
            "ptflops": lambda net: by_ptflops(net, "pytorch")[0],
            "torch-pruning": lambda net: count_ops_and_params(net, images)[0]}
by_operation = {"fvcore": lambda net: FlopCountAnalysis(net, images).unsupported_ops_warnings(False).total(),
                "ptflops, aten": lambda net: by_ptflops(net, "aten")[0], "torch": by_torch}


def net(normalise):
    def layer():
        return nn.Conv2d(4, 4, 3, padding=1, bias=False)

    return nn.Sequential(layer(), normalise(layer())).eval()


for normalise in (parametrizations.spectral_norm, parametrizations.weight_norm):
    for name, macs in (by_class | by_operation).items():
        plain, seen = macs(net(nn.Identity())), macs(net(normalise))
        print(normalise.__name__, name, plain, seen)
        assert plain == 73728 and seen == (36864 if name in by_class else 73728), (name, seen)
assert [by_class[name](net(nn.utils.weight_norm)) for name in ("thop", "ptflops")] == [73728, 73728]
assert profile(net(parametrizations.spectral_norm), (images,), verbose=False)[1] == 144
PYTHON
