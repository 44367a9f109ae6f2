#!/usr/bin/env bash
# torchvision 0.29.2, torch 2.15.0: what create_feature_extractor returns for one node depends on which other nodes are
# asked for. One would guess that a node's output is what that node computed. But it is handed over without a copy, and
# ReLU(inplace=True), which most networks of torchvision have, overwrites it on the way; if nothing after the node is
# asked for, that ReLU is removed from the graph and the value stays. So an activation "before ReLU", looked at beside
# deeper ones, is the one after it.
# Seen, resnet18: "bn1" alone has a minimum of -1.35, with "layer1" beside it 0. Forward hooks give yet other values:
# theirs are overwritten by `out += identity`, too, which tracing turns into an addition that makes a new tensor, so
# that "layer1.0.bn2" is itself in the extractor and the output of the whole block in a hook.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

torch.manual_seed(0)
net, images = resnet18().eval(), torch.randn(2, 3, 64, 64)


def value(node, *others):
    with torch.no_grad():
        return create_feature_extractor(net, [node, *others])(images)[node]


alone, beside = value("bn1"), value("bn1", "layer1")
print("bn1: minimum alone", alone.min().item(), "beside layer1", beside.min().item())
with torch.no_grad():
    assert torch.equal(alone, net.bn1(net.conv1(images)))
assert alone.min() < -1 and beside.min() == 0 and torch.equal(beside, alone.relu())
hooked = []
handle = net.layer1[0].bn2.register_forward_hook(lambda module, inputs, output: hooked.append(output))
alone, beside, block = value("layer1.0.bn2"), value("layer1.0.bn2", "layer2"), value("layer1.0.relu_1")
hooked.clear()
with torch.no_grad():
    net(images)
handle.remove()
print("layer1.0.bn2: minimum", beside.min().item(), "in a hook", hooked[0].min().item())
assert torch.equal(alone, beside) and beside.min() < -1 and torch.equal(hooked[0], block)
PYTHON
