#!/usr/bin/env bash
# kornia 0.9.0: where the margin is odd, kornia.geometry.transform.center_crop does not crop but resamples: each pixel
# of its result is the mean of four. One would guess that a crop is a slice, as it is by default in the class of the
# same name, kornia.augmentation.CenterCrop, and in torchvision and albumentations; a picture with fine structure comes
# out grey. Nor do these three agree on the place: torchvision 0.29.2 rounds half the margin to the nearest even number,
# albumentations 2.0.8 and kornia's class round it down, so another library sees other pixels at every second odd
# margin.
# Seen, columns of 0 and 1 in turn, 3x3 of 6x6: kornia's function 0.5 everywhere, its class 1, 0, 1. The upper left
# corner of the crop, 3 of 6: row 2 in torchvision, 1 in the other two; 5 of 10: row 2 in all three.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    kornia==0.9.0 albumentations==2.0.8 numpy
NO_ALBUMENTATIONS_UPDATE=1 "$folder/venv/bin/python" - <<'PYTHON'
import albumentations
import torch
from kornia.augmentation import CenterCrop
from kornia.geometry.transform import center_crop
from torchvision.transforms.v2 import functional

stripes = (torch.arange(6.) % 2).expand(1, 1, 6, 6)
by_function, by_class = center_crop(stripes, (3, 3)), CenterCrop(3)(stripes)
print("kornia's function:", by_function[0, 0, 0].tolist(), "kornia's class:", by_class[0, 0, 0].tolist())
assert torch.allclose(by_function, torch.tensor(0.5), atol=1e-4)
assert torch.equal(by_class, stripes[..., 1:4, 1:4])


def rows(size, crop):
    """Where each library's crop begins, in a picture whose pixels say their row."""
    picture = torch.arange(float(size))[:, None].expand(1, 1, size, size)
    return (int(functional.center_crop(picture, [crop, crop])[0, 0, 0, 0]), int(CenterCrop(crop)(picture)[0, 0, 0, 0]),
            int(albumentations.CenterCrop(crop, crop)(image=picture[0, 0].numpy())["image"][0, 0]))


found = {(size, crop): rows(size, crop) for size, crop in ((6, 3), (10, 5), (10, 7))}
print("first row in torchvision, kornia's class, albumentations:", found)
assert found == {(6, 3): (2, 1, 1), (10, 5): (2, 2, 2), (10, 7): (2, 1, 1)}, found
PYTHON
