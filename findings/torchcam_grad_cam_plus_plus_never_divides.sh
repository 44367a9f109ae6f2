#!/usr/bin/env bash
# torchcam 0.5.0: GradCAMpp weights each channel with the sum of the third powers of its positive gradients. One would
# guess the weights of the Grad-CAM++ paper, as its documentation has them: each pixel's positive gradient times its
# squared gradient, divided by a term with twice that square and the activations. The division is written, but on
# `alpha[idx][mask]`, which is a copy in PyTorch, so that its result is dropped: activations never enter the weights,
# and a channel with a third of another's gradient has a 27th of its weight. grad-cam 1.5.7 divides. Of one network and
# picture the two draw different Grad-CAM++ maps, while their Grad-CAM maps agree.
# Seen with torch 2.15.0, two channels, gradients 3/64 and 1/64 at each pixel: torchcam's weights 27 to 1, the paper's
# and grad-cam's 1.3 to 1; the maps differ by more than a tenth of their range, those of GradCAM by less than 1e-5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    torchcam==0.5.0 grad-cam==1.5.7 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torchcam import methods

torch.manual_seed(0)
images = 10 * torch.rand(1, 2, 8, 8)
net = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2, bias=False)).eval()
with torch.no_grad():
    net[3].weight.copy_(torch.tensor([[3.0, 1.0], [0.0, 0.0]]))


def by_torchcam(method):
    with method(net, net[0]) as extractor:
        return extractor(0, net(images.requires_grad_()))[0][0].detach()


def by_grad_cam(method):
    with method(net, [net[0]]) as cam:
        return torch.tensor(cam(images, [ClassifierOutputTarget(0)])[0])


def ratio(weights):
    return (weights[0, 0] / weights[0, 1]).item()


with methods.GradCAMpp(net, net[0]) as extractor:
    weights = extractor._get_weights(0, net(images.requires_grad_()))[0]
gradients = torch.tensor([3.0, 1.0]).reshape(1, 2, 1, 1).expand(1, 2, 8, 8) / 64
activations = images.detach().sum((2, 3), keepdim=True)
paper = (gradients * gradients**2 / (2 * gradients**2 + activations * gradients**3)).sum((2, 3))
with GradCAMPlusPlus(net, [net[0]]) as cam:
    other = cam.get_cam_weights(None, None, None, images.detach().numpy(), gradients.numpy())
print("weights:", weights, "paper:", paper, "grad-cam:", other)
assert torch.allclose(weights, gradients.pow(3).sum((2, 3))) and abs(ratio(weights) - 27) < 1e-3
assert torch.allclose(torch.tensor(other), paper, rtol=0.01) and 1.2 < ratio(paper) < 1.4, ratio(paper)
plus = (by_torchcam(methods.GradCAMpp) - by_grad_cam(GradCAMPlusPlus)).abs().max().item()
plain = (by_torchcam(methods.GradCAM) - by_grad_cam(GradCAM)).abs().max().item()
print(f"maps differ by {plus:.3f} with Grad-CAM++, {plain:.6f} with Grad-CAM")
assert plus > 0.1 and plain < 1e-5, (plus, plain)
PYTHON
