#!/usr/bin/env bash
# ema-pytorch 0.8.3: EMA.forward_eval, described as the function that calls the averaged network "with no grad + eval",
# puts nothing into evaluation mode and leaves gradients out only. It remembers the mode before the call and restores it
# after, but never sets another one. A network that is copied while it trains stays in training mode: its dropout drops
# pixels, its normalisation uses the batch at hand, and every call moves the running averages of the averaged network.
# One would guess that it gives the same result twice, and the result of ema.eval() followed by the plain call.
# Seen: two calls with one batch differ; the averages count 2 more batches; after ema.eval() both are as guessed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 ema-pytorch==0.8.3 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from ema_pytorch import EMA
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 2))
ema, images = EMA(net, update_after_step=0, update_every=1), torch.randn(8, 1, 8, 8)
for _ in range(3):
    net(images)
    ema.update()
norm = ema.ema_model[1]


def called():
    """Whether two calls with one batch agree, how many batches they were counted as, whether the averages moved."""
    count, mean = int(norm.num_batches_tracked), norm.running_mean.clone()
    first, second = ema.forward_eval(images), ema.forward_eval(images)
    assert not first.requires_grad
    return (torch.equal(first, second), int(norm.num_batches_tracked) - count,
            not torch.equal(norm.running_mean, mean))


found = {"at first": called()}
ema.eval()
found["after ema.eval()"] = called()
print("equal, batches counted, averages moved:", found)
assert found == {"at first": (False, 2, True), "after ema.eval()": (True, 0, False)}, found
PYTHON
