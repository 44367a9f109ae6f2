#!/usr/bin/env bash
# pillow 13.0.0: rotate and transform of a 16-bit picture (mode I;16, as a 16-bit grey PNG opens) with BILINEAR or
# BICUBIC give a picture of false, almost black pixels, without an error. One would guess what NEAREST gives, but
# smooth, or an error, as from most of Pillow's filters for this mode. resize with BILINEAR is right, rotate by 90
# degrees, too, and so are modes I and F. The functions that blend choose by `image8`, which this mode has, and take its
# bytes for pixels; only the nearest-pixel function knows of two bytes. The documentation calls the support for this
# mode limited, no more. A data set of 16-bit X-ray pictures that is augmented by rotation through Pillow trains on
# noise.
# Seen, every pixel 40000, 9x9, turned by 10 degrees, the middle pixel: NEAREST 40000, BILINEAR and BICUBIC below 256,
# in mode I 40000 each; resize to 5x5 40000. After shifting nothing (EXTENT, same size) pixels are the bytes 64 and 156.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pillow==13.0.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import io

import numpy
from PIL import Image

file = io.BytesIO()
Image.fromarray(numpy.full((9, 9), 40000, "uint16")).save(file, "PNG")
picture = Image.open(file)
assert picture.mode == "I;16" and numpy.asarray(picture).min() == 40000
for name in ("NEAREST", "BILINEAR", "BICUBIC"):
    how = Image.Resampling[name]
    turned = {mode: picture.convert(mode).rotate(10, how).getpixel((4, 4)) for mode in ("I;16", "I", "F")}
    turned["quarter turn"] = picture.rotate(90, how).getpixel((4, 4))
    turned["resized"] = picture.resize((5, 5), how).getpixel((2, 2))
    print(name, turned)
    sixteen = turned.pop("I;16")
    assert sixteen == 40000 if name == "NEAREST" else sixteen < 256, sixteen
    assert all(abs(pixel - 40000) < 1 for pixel in turned.values()), turned
same = picture.transform(picture.size, Image.Transform.EXTENT, (0, 0, 9, 9), Image.Resampling.BILINEAR)
print("the same extent:", numpy.unique(numpy.asarray(same)))
assert set(numpy.unique(numpy.asarray(same))) == {64, 156} and 156 * 256 + 64 == 40000
PYTHON
