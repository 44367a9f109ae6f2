"""Lesson 9: a folder of photographs to practise on, with the troubles that folders have.

Its pictures are crops of the two photographs that scikit-learn ships, a pagoda and a dahlia. Each photograph is divided
into places, which do not overlap; a place is photographed several times in one light, as a burst would be.
Nothing learned here is true of other flowers or other roofs.
"""

import os
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from .sources import of_sklearn

# What is to be seen at each place, six rows of ten. A dot: two things at once, which is nobody's class.
PLACES = {"china.jpg": ("sss.ssssss", "s.pppsssss", "..pppssss.", "tpppp....t", "tppppp.ttt", "ttt..ttttt"),
          "flower.jpg": ("llllllllll", "lll.ff.lll", "lllfffflll", "ll.ffff.ll", "lll.ffflll", "llll..f.l.")}
SHOTS = {"flower": 5, "leaves": 2, "pagoda": 5, "sky": 2, "trees": 2}  # of each place: the classes are uneven
SHAPES = ((1, 1), (4, 3), (3, 4), (3, 2), (16, 9))  # width to height
TINY, TURNED, GREY, COPIES = 8, 30, 45, 24  # pictures with each trouble
STORED = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
ORIENTATION = 0x0112  # the EXIF field that says how a viewer must turn the stored picture


def build(root: str | Path, seed: int = 0) -> Path:
    """Write root/<class>/<place>_<shot>.jpg, over 200 small JPEGs of five classes, and return root.

    Planted: pictures stored turned, with an EXIF field that says so; smaller copies that carry the number of a place of
    their own; grey ones; ones of 12 pixels; one file cut short; and classes of unequal size. Equal seeds, equal files.
    The folder appears when it is complete. Raises FileExistsError where there is one already.
    """
    root = Path(root)
    if root.exists():
        raise FileExistsError(f"{root} exists already and is left as it is: give a folder that is still to be made")
    root.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=root.parent) as beside:
        write(Path(beside, root.name), np.random.default_rng(seed))
        os.replace(Path(beside, root.name), root)
    return root


def write(root: Path, random: np.random.Generator) -> None:
    pictures = shots(random)
    names = [str(name) for name in random.permutation(sorted(pictures))]
    tiny, turned, grey, copied, broken = np.split(names, np.cumsum([TINY, TURNED, GREY, COPIES]))
    for name in tiny:
        pictures[name].thumbnail((12, 12))
    for name in grey:
        pictures[name] = pictures[name].convert("L")
    free = 1 + max(int(Path(name).name[:4]) for name in pictures)
    for i, name in enumerate(copied):
        width, height = pictures[name].size
        pictures[f"{Path(name).parent}/{free + i:04d}_0.jpg"] = pictures[name].resize((3 * width // 4, 3 * height // 4))
    exif = {name: Image.Exif() for name in pictures}
    for name, (orientation, turn) in zip(turned, cycle(STORED.items()), strict=False):
        exif[name][ORIENTATION] = orientation
        pictures[name] = pictures[name].transpose(turn)
    for name, picture in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(root / name, quality=90, exif=exif[name])
    whole = (root / broken[0]).read_bytes()
    (root / broken[0]).write_bytes(whole[: len(whole) // 2])


def shots(random: np.random.Generator) -> dict[str, Image.Image]:
    """Every shot of every place by "<class>/<place>_<shot>.jpg"; the places are numbered in a random order."""
    initials = {name[0]: name for name in SHOTS}
    photographs = {file: Image.open(of_sklearn(f"images/{file}")) for file in PLACES}
    places = [(photographs[file], initials[letter], row, column) for file, rows in PLACES.items()
              for row, letters in enumerate(rows) for column, letter in enumerate(letters) if letter != "."]
    found = {}
    for number, i in enumerate(random.permutation(len(places)), 1):
        photograph, name, row, column = places[i]
        light = random.uniform(0.7, 1.2) * random.uniform(0.85, 1.15, 3)  # exposure, and the colour of the light
        for k in range(SHOTS[name]):
            found[f"{name}/{number:04d}_{k}.jpg"] = shot(photograph, row, column, light, random)
    return found


def shot(photograph: Image.Image, row: int, column: int, light: np.ndarray, random: np.random.Generator) -> Image.Image:
    """Part of one place, enlarged, with a sensor's noise."""
    shape = np.array(SHAPES[random.integers(len(SHAPES))])
    place = np.array([photograph.width / 10, photograph.height / 6])
    extent = shape * (place / shape).min() * random.uniform(0.7, 1)
    start = place * (column, row) + random.uniform(0, 1, 2) * (place - extent)
    size = (shape / shape.min() * random.integers(60, 180)).astype(int)
    part = photograph.resize(tuple(size.tolist()), Image.Resampling.BICUBIC, (*start, *(start + extent)))
    pixels = np.asarray(part) * light + random.normal(0, 6, (*part.size[::-1], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
