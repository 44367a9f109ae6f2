#!/usr/bin/env bash
# torch 2.15.0: F.interpolate(mode="bicubic", antialias=True) enlarges to other pixels than antialias=False. One would
# guess that antialias, a blur before pixels are dropped, does nothing where none are, as with "bilinear". But it picks
# another cubic curve, too: the one of Pillow and Keys (a = -0.5); without it the curve is OpenCV's (a = -0.75), which
# overshoots more at an edge. torchvision's Resize on tensors goes through the same function, with antialias by default.
# keras 3.15.1 inherits it: ops.image.resize(interpolation="bicubic"), which does not antialias by default, has OpenCV's
# curve with the backend torch and Keys' with jax.
# Seen, a row of 0 0 0 1 1 1 doubled: largest pixel 1.1055 without, 1.0703 with antialias, in torch, and in keras with
# torch; 1.0703 in both cases with jax 0.10.2; Pillow 13.0.0 1.0703, OpenCV 5.0.0.93 1.1055. Bilinear, torch: 1 in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    pillow==13.0.0 opencv-python-headless==5.0.0.93 keras==3.15.1 jax==0.10.2 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy
import torch
from PIL import Image
from torch.nn.functional import interpolate

image = numpy.tile(numpy.float32([0, 0, 0, 1, 1, 1]), (6, 1))


def by_torch(mode, antialias):
    return interpolate(torch.tensor(image)[None, None], size=(12, 12), mode=mode, antialias=antialias).numpy().max()


found = {"without": by_torch("bicubic", False), "with": by_torch("bicubic", True),
         "Pillow": numpy.asarray(Image.fromarray(image).resize((12, 12), Image.Resampling.BICUBIC)).max(),
         "OpenCV": cv2.resize(image, (12, 12), interpolation=cv2.INTER_CUBIC).max()}
print({name: round(float(value), 4) for name, value in found.items()})
assert all(abs(found[name] - 1.1055) < 1e-3 for name in ("without", "OpenCV")), found
assert all(abs(found[name] - 1.0703) < 1e-3 for name in ("with", "Pillow")), found
assert abs(by_torch("bilinear", False) - 1) < 1e-6 and abs(by_torch("bilinear", True) - 1) < 1e-6
PYTHON
for backend in torch jax; do
    JAX_PLATFORMS=cpu KERAS_HOME="$folder" KERAS_BACKEND=$backend "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy
from keras import ops

image = numpy.tile(numpy.float32([0, 0, 0, 1, 1, 1]).reshape(1, 1, 6, 1), (1, 6, 1, 1))
found = [ops.convert_to_numpy(ops.image.resize(image, (12, 12), interpolation="bicubic", antialias=antialias)).max()
         for antialias in (False, True)]
print("keras", keras.backend.backend(), found)
expected = [1.1055, 1.0703] if keras.backend.backend() == "torch" else [1.0703, 1.0703]
assert numpy.allclose(found, expected, atol=1e-3), found
PYTHON
done
