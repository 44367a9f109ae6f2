#!/usr/bin/env bash
# grad-cam 1.5.7 and torchcam 0.5.0: the map of a layer whose output a ReLU(inplace=True) overwrites is made of what
# that ReLU left, together with the gradients of what stood there before: a mixture of two layers. One would guess the
# activations of the layer that was named, so that inplace, which saves memory, changes no picture. Both hooks keep the
# output without a copy (activation.cpu().detach(), output.detach()), and on the CPU these share its memory; by its code
# grad-cam makes a copy on a GPU, where this was not run, so that its map there must be another. DenseNet is hit by the
# layer that grad-cam's README names for it, model.features[-1], since torchvision 0.29.2 calls relu(inplace=True) after
# it. captum 0.9.0 copies, and is right.
# Seen with torch 2.15.0, a convolution, ReLU and a linear layer: least activation with inplace 0 in grad-cam and
# torchcam, without it negative; the maps differ by more than a tenth of their range; captum's are equal. features[-1]
# of a small DenseNet (a batch normalisation): least activation 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    grad-cam==1.5.7 torchcam==0.5.0 captum==0.9.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from captum.attr import LayerActivation
from pytorch_grad_cam import GradCAM
from torch import nn
from torchcam.methods import GradCAM as TorchcamGradCAM
from torchvision.models import DenseNet

torch.manual_seed(0)
image = torch.rand(1, 3, 64, 64)
net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


def grad_cam(net, layer):
    with GradCAM(net, [layer]) as method:
        picture = torch.tensor(method(image, targets=None)[0])
        return picture, method.activations_and_grads.activations[0].min().item()


def torchcam(net, layer):
    with TorchcamGradCAM(net, layer) as method:
        scores = net(image)
        return method(scores.argmax().item(), scores)[0][0], method.hook_a[0].min().item()


def captum(net, layer):
    found = LayerActivation(net, layer).attribute(image)[0].detach()
    return found[0], found.min().item()


for method in (grad_cam, torchcam, captum):
    pictures, least = [], []
    for net[1].inplace in (False, True):
        picture, smallest = method(net.eval(), net[0])
        pictures.append(picture)
        least.append(smallest)
    difference = (pictures[0] - pictures[1]).abs().max().item()
    print(f"{method.__name__}: least activation without and with inplace {least}, maps differ by {difference}")
    if method is captum:
        assert least[0] == least[1] < 0 and difference == 0
    else:
        assert least[0] < 0 and least[1] == 0 and difference > 0.1, (least, difference)
dense = DenseNet(growth_rate=4, block_config=(1, 1, 1, 1), num_init_features=8).eval()
least = dense.features(image).min().item(), grad_cam(dense, dense.features[-1])[1]
print("DenseNet, least output of features[-1], and least activation in grad-cam:", least)
assert least[0] < 0 and least[1] == 0
PYTHON
