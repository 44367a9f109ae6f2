#!/usr/bin/env bash
# captum 0.9.0: LRP gives false relevances, without a word, for any network whose forward adds with `+`, as
# torchvision's ResNets do. One would guess that the relevances of the pixels add up to about the score, as the method
# wants it, or that captum refuses, as it does for a layer without a rule. On the way back it multiplies the gradient of
# each layer's input by that input, which makes it relevance again. But the gradient of a tensor that also goes through
# a shortcut is a sum, and the shortcut's part, relevance already, is multiplied, too: a pixel x of a residual block
# gets (1 + x) times its relevance, and blocks compound. captum's own Addition_Module in place of `+` is right; it is
# not exported, and only its source says that it is needed. https://github.com/meta-pytorch/captum/issues/1035 shows
# such maps, without the cause. Seen with torch 2.15.0, relu(x + 0.5 x) of one pixel: relevance 9 in place of 3 for x =
# 2, 630 in place of 30 for x = 20; torchvision 0.29.2, resnet18 with random weights, 32x32, score -0.08: the relevances
# add up to 148 million, with Addition_Module to -0.06, each input times gradient, as it should be.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    captum==0.9.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from captum.attr import LRP
from captum.attr._utils.custom_modules import Addition_Module
from torchvision.models.resnet import BasicBlock, resnet18


class Pixel(torch.nn.Sequential):
    def forward(self, x):
        conv, relu, *add = self
        return relu(add[0](x, conv(x)) if add else x + conv(x)).flatten(1)


class Added(BasicBlock):
    def forward(self, x):
        shortcut = self.downsample(x) if self.downsample else x
        return self.relu(self.add(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))), shortcut))


def relevances(net, pictures):
    score = net.eval()(pictures.requires_grad_())[0, 0]
    gradient, = torch.autograd.grad(score, pictures)
    lrp, product = LRP(net).attribute(pictures, target=0).detach(), (gradient * pictures).detach()
    print(f"score {score.item():.3f}, relevances {lrp.sum().item():.6g}, input x gradient {product.sum().item():.3f}")
    return lrp, product


conv = torch.nn.Conv2d(1, 1, 1, bias=False)
torch.nn.init.constant_(conv.weight, 0.5)
for pixel, false in ((2.0, 9.0), (20.0, 630.0)):
    for add, expected in (([], false), ([Addition_Module()], 1.5 * pixel)):
        lrp, product = relevances(Pixel(conv, torch.nn.ReLU(), *add), torch.full((1, 1, 1, 1), pixel))
        assert product.item() == 1.5 * pixel and abs(lrp.item() - expected) < 1e-3, (lrp, expected)
torch.manual_seed(0)
net, pictures = resnet18(), torch.rand(1, 3, 32, 32)
lrp, product = relevances(net, pictures)
assert lrp.sum().abs() > 1e6 * product.sum().abs()
for block in [module for module in net.modules() if isinstance(module, BasicBlock)]:
    block.__class__, block.add = Added, Addition_Module()
lrp, same = relevances(net, pictures)
assert torch.equal(product, same) and (lrp - product).abs().max() < 1e-3 * product.abs().max()
PYTHON
