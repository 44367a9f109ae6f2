#!/usr/bin/env bash
# timm 1.0.31: create_model(features_only=True, out_indices=(3, 1)) gives the features of level 1 first, while
# feature_info.channels(), .reduction() and .module_name() of the same network list level 3 first. One would guess that
# features come in the order that was asked for, as their description does, or that both are sorted. The features are
# collected as the network runs, the description is picked by the order of out_indices. Where all levels have one width,
# as in a vision transformer, no shape betrays that the description belongs to other features.
# Seen: resnet18 channels() 256, 64, features with 64 and 256 channels; convnext_atto, efficientnet_b0, densenet121
# alike. vit_tiny_patch16_224: module_name() blocks.2, blocks.0, features of blocks 0 and 2.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    timm==1.0.31 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import timm
import torch

torch.manual_seed(0)
images = torch.randn(1, 3, 64, 64)
for name in ("resnet18", "convnext_atto", "efficientnet_b0", "densenet121"):
    net = timm.create_model(name, features_only=True, out_indices=(3, 1)).eval()
    with torch.no_grad():
        features = net(images)
    told = net.feature_info.channels(), net.feature_info.reduction()
    seen = [one.shape[1] for one in features], [64 // one.shape[2] for one in features]
    print(name, "described", told, "given", seen)
    assert seen == tuple(one[::-1] for one in told) and seen[1] in ([4, 16], [8, 32]), (told, seen)
net = timm.create_model("vit_tiny_patch16_224", features_only=True, out_indices=(2, 0)).eval()
hooked = []
for block in (0, 2):
    net.model.blocks[block].register_forward_hook(lambda module, inputs, output: hooked.append(output))
with torch.no_grad():
    features = net(torch.randn(1, 3, 224, 224))
order = [next(block for block, output in zip((0, 2), hooked, strict=True)
              if torch.equal(output[:, 1:], one.flatten(2).transpose(1, 2))) for one in features]
print("vit_tiny_patch16_224 described", net.feature_info.module_name(), "given blocks", order)
assert net.feature_info.module_name() == ["blocks.2", "blocks.0"] and order == [0, 2]
PYTHON
