#!/usr/bin/env bash
# datasets 5.2.0, pillow 13.0.0: a picture that was opened from a file and then changed in place (thumbnail, paste,
# ImageDraw) goes into a data set unchanged. One would guess that the pixels of the picture that was given are stored,
# as they are for a changed copy, such as resize gives. But the feature Image writes down the file's name whenever the
# picture has one, and a picture that was changed in place still has it. With map it depends on where the pictures lie:
# the same function has no effect where the data set names files, and works where it holds their bytes, as after
# save_to_disk and load_from_disk.
# Seen, a black 64x64 picture in a file, thumbnail of 16x16 and one white pixel: from_dict and map give back 64x64 and
# no white; with resize 16x16 and white; the map after save_to_disk 16x16 and white.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" datasets==5.2.0 pillow==13.0.0 numpy
cd "$folder"
HF_HOME="$folder/home" HF_HUB_OFFLINE=1 venv/bin/python - <<'PYTHON'
from datasets import Dataset, Image, disable_progress_bars, load_from_disk
from PIL import Image as Pictures

disable_progress_bars()
Pictures.new("RGB", (64, 64)).save("black.png")


def shrunk(picture):
    picture.thumbnail((16, 16))
    picture.putpixel((0, 0), (255, 255, 255))
    return picture


def resized(picture):
    picture = picture.resize((16, 16))
    picture.putpixel((0, 0), (255, 255, 255))
    return picture


def stored(rows):
    picture = rows[0]["image"]
    return picture.size, picture.getextrema()[0][1]


def mapped(rows, change):
    return rows.map(lambda row: {"image": change(row["image"])})


given = shrunk(Pictures.open("black.png"))
assert given.size == (16, 16) and given.getpixel((0, 0)) == (255, 255, 255)
files = Dataset.from_dict({"image": ["black.png"]}).cast_column("image", Image())
files.save_to_disk("saved")
found = {"from_dict": stored(Dataset.from_dict({"image": [given]})),
         "from_dict, resize": stored(Dataset.from_dict({"image": [resized(Pictures.open("black.png"))]})),
         "map": stored(mapped(files, shrunk)), "map, resize": stored(mapped(files, resized)),
         "map after save_to_disk": stored(mapped(load_from_disk("saved"), shrunk))}
for name, one in found.items():
    print(name, one)
    assert one == (((64, 64), 0) if name in ("from_dict", "map") else ((16, 16), 255)), (name, one)
PYTHON
