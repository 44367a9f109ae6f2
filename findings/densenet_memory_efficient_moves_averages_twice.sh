#!/usr/bin/env bash
# torchvision 0.29.2, torch 2.15.0: models.densenet121(memory_efficient=True) trains other running averages than
# memory_efficient=False. One would guess that the option costs time and nothing else, as its documentation says: the
# layers' outputs in training, the loss and the gradients are the same. But the forward pass that is repeated for the
# gradient moves the averages of batch normalisation again, and only some layers are repeated: the first normalisation
# of each of the 58 dense layers counts two batches a step, all others one, so that in evaluation the two networks
# differ.
# Seen after one step from equal weights: 58 of 121 normalisations count 2 batches; their running means moved 1.9 times
# as far; gradients equal; the logits in evaluation differ.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch import nn
from torchvision.models import densenet121


def stepped(memory_efficient):
    torch.manual_seed(0)
    net, images = densenet121(memory_efficient=memory_efficient), torch.randn(4, 3, 64, 64)
    net(images).square().mean().backward()
    norms = {name: layer for name, layer in net.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    with torch.no_grad():
        return norms, [p.grad for p in net.parameters()], net.eval()(images)


(plain, gradients, logits), (efficient, gradients_2, logits_2) = stepped(False), stepped(True)
counts = [int(layer.num_batches_tracked) for layer in efficient.values()]
twice = [name for name, layer in efficient.items() if layer.num_batches_tracked == 2]
moved = [float((efficient[name].running_mean.norm() / plain[name].running_mean.norm())) for name in twice]
print("layers that count 1 and 2 batches:", counts.count(1), counts.count(2), "means moved", min(moved), max(moved))
print("logits in evaluation", logits[0, :3].tolist(), "and", logits_2[0, :3].tolist())
assert {int(layer.num_batches_tracked) for layer in plain.values()} == {1}
assert counts.count(2) == 58 and len(counts) == 121 and all(name.endswith("norm1") for name in twice), twice
assert all(abs(times - 1.9) < 0.01 for times in moved)
assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in zip(gradients, gradients_2, strict=True))
assert not torch.allclose(logits, logits_2, rtol=0.01)
PYTHON
