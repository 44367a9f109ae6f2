#!/usr/bin/env bash
# torch 2.15.0 on the CPU: the backward pass of BatchNorm2d and InstanceNorm2d is false for a batch of one image whose
# gradient lies in memory channel by channel with the stride C in its first axis, where channels_last has H * W * C.
# The stride of an axis of size 1 says nothing, so one would guess that nothing depends on it. Such gradients come back
# from flatten(2).transpose(1, 2), by which the stem of a vision transformer makes tokens of a map: the gradient of one
# token with respect to the map before the normalisation lands in another place and channel, silently, in training and
# in evaluation mode. Two images, the same numbers in another order in memory, GroupNorm, ReLU and convolutions are
# right. So are saliency maps of such networks for several images at a time, and not for one.
# Seen: the gradient of token 1, channel 0 stands at row 0, column 2, in place of row 0, column 1; with random gradients
# the errors are as large as the gradients, for two images 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch import nn

stem = nn.BatchNorm2d(2, eps=0).eval()  # average 0, deviation 1: it gives back its input
maps = torch.rand(1, 2, 3, 3, requires_grad=True)
tokens = stem(maps).flatten(2).transpose(1, 2)
gradient, = torch.autograd.grad(tokens[0, 1, 0], maps)
print("the gradient of token 1, channel 0, is 1 at (channel, row, column)", gradient[0].nonzero().tolist())
assert gradient[0].nonzero().tolist() == [[0, 0, 2]] and gradient.sum() == 1

torch.manual_seed(0)
for layer, modes in ((nn.BatchNorm2d(8), (True, False)), (nn.InstanceNorm2d(8), (True,)), (nn.GroupNorm(1, 8), (True,)),
                     (nn.Conv2d(8, 8, 3, padding=1), (True,)), (nn.ReLU(), (True,))):
    for training in modes:
        errors = {}
        for images in (1, 2):
            maps = torch.rand(images, 8, 4, 4, requires_grad=True)
            output = layer.train(training)(maps)
            given = torch.randn(images, 16, 8).transpose(1, 2).unflatten(2, (4, 4))
            found, right = (torch.autograd.grad(output, maps, gradient, retain_graph=True)[0]
                            for gradient in (given, given.contiguous()))
            errors[images] = ((found - right).abs().max() / right.abs().max()).item()
        print(f"{type(layer).__name__}, {'training' if training else 'evaluation'}: error for one image {errors[1]:.2g} "
              f"of the largest gradient, for two {errors[2]:.2g}")
        normalises = isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d)
        assert (errors[1] > 0.5) is normalises and errors[2] < 1e-4
PYTHON
