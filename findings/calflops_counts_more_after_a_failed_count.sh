#!/usr/bin/env bash
# calflops 0.3.2: after a count that failed, every later count in the same process is too high: doubled after one,
# tripled after two. One would guess that an exception leaves no trace, or that the next call starts anew. The counter
# wraps functions such as torch.nn.functional.linear and takes its wrappers off only when the forward pass returned; the
# next count wraps them once more, and a wrapped call is counted by each wrapper. A notebook in which an image size was
# tried that the network refuses reports false numbers until its kernel is restarted.
# Seen: MACs of a network with 4176 of them: 4176, and 8352 and 12528 after one and two failed counts. fvcore
# 0.1.5.post20221221, asked the same way, stays the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 calflops==0.3.2 \
    transformers==5.24.0 fvcore==0.1.5.post20221221 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from calflops import calculate_flops
from fvcore.nn import FlopCountAnalysis
from torch import nn

net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 2)).eval()
linear = nn.functional.linear


def macs(size):
    return calculate_flops(net, (1, 3, size, size), print_results=False, output_as_string=False)[1]


def macs_by_fvcore(size):
    return FlopCountAnalysis(net, torch.zeros(1, 3, size, size)).unsupported_ops_warnings(False).total()


for count, wanted in ((macs, [4176, 8352, 12528]), (macs_by_fvcore, [4176] * 3)):
    found = [count(8)]
    for _ in range(2):
        try:
            count(9)
        except RuntimeError as error:
            assert "cannot be multiplied" in str(error)
        else:
            raise AssertionError("9x9 was accepted")
        found.append(count(8))
    print(count.__name__, found)
    assert found == wanted, found
assert nn.functional.linear is not linear
PYTHON
