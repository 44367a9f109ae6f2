#!/usr/bin/env bash
# segmentation-models-pytorch 0.6.0: SoftCrossEntropyLoss and SoftBCEWithLogitsLoss divide by all pixels, those with
# ignore_index included. One would guess the mean over the pixels that count, as in torch.nn.CrossEntropyLoss, whose
# ignore_index and "mean" it takes over, and as in FocalLoss of the same library, which drops such pixels first. Here
# they are set to 0 before the mean is taken, so that loss and gradient shrink with the share of ignored pixels in the
# batch; without ignored pixels the losses agree with PyTorch's.
# Seen, 3 of 4 pixels ignored: a quarter of PyTorch's cross entropy and of its gradient, also with labels smoothed by
# 0.1, and of its binary cross entropy; FocalLoss is the one of the other pixels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    segmentation-models-pytorch==0.6.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from segmentation_models_pytorch.losses import FocalLoss, SoftBCEWithLogitsLoss, SoftCrossEntropyLoss
from torch.nn import functional

torch.manual_seed(0)
logits, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
marked = labels.clone()
marked[:, :3] = 255


def with_gradient(loss, *arguments, **options):
    inputs = logits.clone().requires_grad_()
    value = loss(inputs, *arguments, **options)
    value.backward()
    return value.item(), inputs.grad


for smoothing in (0.0, 0.1):
    loss = SoftCrossEntropyLoss(smooth_factor=smoothing, ignore_index=255)
    options = {"ignore_index": 255, "label_smoothing": smoothing}
    for targets, share in ((labels, 1), (marked, 0.25)):
        (theirs, gradient), (value, wanted) = (with_gradient(loss, targets),
                                               with_gradient(functional.cross_entropy, targets, **options))
        print(f"smoothing {smoothing}, share of pixels that count {share}: {theirs:.4f}, PyTorch {value:.4f}")
        assert abs(theirs - share * value) < 1e-5 and torch.allclose(gradient, share * wanted, atol=1e-6)
first, truth = logits[:, :1], (labels[:, None] > 0).float()
theirs = SoftBCEWithLogitsLoss(ignore_index=255)(first, truth.masked_fill(marked[:, None] == 255, 255))
value = functional.binary_cross_entropy_with_logits(first[:, :, 3:], truth[:, :, 3:])
focal = (FocalLoss("multiclass", ignore_index=255)(logits, marked),
         FocalLoss("multiclass")(logits[:, :, 3:], labels[:, 3:]))
print(f"binary: {theirs.item():.4f}, PyTorch {value.item():.4f}; focal {focal[0].item():.4f} and {focal[1].item():.4f}")
assert torch.isclose(theirs, value / 4) and torch.isclose(*focal)
PYTHON
