"""One's own photographs: a directory with one sub-directory a class."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from .batches import Lazy


def folder(size, channels, root):
    """Photographs in root/<class>/, split 70 : 15 : 15; or in root/train/<class>/ and root/val/<class>/, where `val` is
    the test set and a fifth of `train` the validation set. Each is turned as its EXIF data says, resized so that its
    shorter side is `size` (default 64), and its centre is kept."""
    if root is None or not Path(root).is_dir():
        raise ValueError(f"'folder' needs an existing directory with one sub-directory a class as root, not {root}")
    root, shape = Path(root), (channels or 3, size or 64, size or 64)
    if (root / "train").is_dir() and (root / "val").is_dir():
        *pictures, classes = photographs(root / "train")
        *test, test_classes = photographs(root / "val")
        if test_classes != classes:
            raise ValueError(f"{root}/train holds the classes {classes} but val holds {test_classes}: make them equal")
        train, validation = hold_out(0.2, *pictures)
    else:
        *pictures, classes = photographs(root)
        rest, test = hold_out(0.15, *pictures)
        train, validation = hold_out(0.15 / 0.85, *rest)
    read = partial(decode, shape=shape)
    return [(Lazy(list(paths), shape, read), torch.from_numpy(labels))
            for paths, labels in (train, validation, test)], classes


def photographs(root: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Paths of readable images, labels and class names of root/<class>/. Other files are named and skipped."""
    classes = sorted(d.name for d in root.iterdir() if d.is_dir() and not d.name.startswith("."))
    if len(classes) < 2:
        raise ValueError(f"{root} holds {len(classes)} class directories ({', '.join(classes) or 'none'}); "
                         "a classifier needs at least two, each with its images")
    paths, labels = [], []
    for label, name in enumerate(classes):
        good = [path for path in sorted((root / name).iterdir()) if not path.name.startswith(".") and readable(path)]
        if len(good) < 5:
            raise ValueError(f"{root / name} holds {len(good)} readable images; a class needs at least 5 "
                             "to have some in each of the training, validation and test sets")
        paths += good
        labels += [label] * len(good)
    return np.array(paths), np.array(labels), classes


def hold_out(share: float, paths: np.ndarray, labels: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """[(paths, labels) of the rest, (paths, labels) of those held out]: of each class this share of its images and at
    least one, always the same ones."""
    random = np.random.default_rng(0)
    classes = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    ends = np.floor(share * np.cumsum([len(members) for members in classes]) + 0.5)  # so that all add up to the share
    counts = np.maximum(1, np.diff(ends, prepend=0)).astype(int)
    cuts = list(zip(classes, counts, strict=True))
    rest = random.permutation(np.concatenate([members[n:] for members, n in cuts]))
    held_out = random.permutation(np.concatenate([members[:n] for members, n in cuts]))
    return [(paths[rest], labels[rest]), (paths[held_out], labels[held_out])]


def readable(path: Path) -> bool:
    try:
        decoded(path, (3, 8, 8))
        return True
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow raises all of them
        warnings.warn(f"{path} is skipped: it is not a readable image ({error})", stacklevel=2)
        return False


def decode(paths: list[Path], shape: tuple[int, int, int]) -> Tensor:
    """uint8 N x C x H x W. Raises OSError for a file that is not an image or is cut short."""
    return torch.from_numpy(np.stack([decoded(path, shape) for path in paths]))


def decoded(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    with Image.open(path) as image:
        image.draft(mode, (2 * width, 2 * height))  # a JPEG decoder can skip detail that the resizing would drop
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):  # Pillow's own conversion would clip all above 255 to white
            upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
        upright = upright.convert(mode)
    pixels = np.asarray(ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR))
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
