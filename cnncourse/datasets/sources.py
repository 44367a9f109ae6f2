"""Where images come from: `digits`, `shapes` and two photographs are part of the installation, torchvision's sets are
downloaded.

A source is a function of (size, channels, root), as in `data.load`, that returns [(images, labels) for training,
validation and test] and the names of the classes.
"""

import os
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .. import expanded
from . import checksums, shapes
from .batches import Lazy

TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10", "cifar100": "CIFAR100"}


def of_sklearn(file: str) -> Path:
    """A file of scikit-learn's data sets, such as "images/china.jpg". Its own loaders bring scipy.stats and two
    seconds."""
    return Path(find_spec("sklearn").origin).parent / "datasets" / file


def photograph(name: str) -> Tensor:
    """One of scikit-learn's two photographs, "china.jpg" or "flower.jpg": 3 x 427 x 640, values from 0 to 1."""
    return torch.from_numpy(np.array(Image.open(of_sklearn(f"images/{name}")))).permute(2, 0, 1) / 255


def digits(size, channels, root):
    """1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships: 1,200 train, 237 validation, 360 test."""
    rows = np.loadtxt(of_sklearn("data/digits.csv.gz"), delimiter=",")  # 64 pixels from 0 to 16, and the label
    images = torch.from_numpy((rows[:, :-1] * (255 / 16)).round().astype(np.uint8).reshape(-1, 1, 8, 8))
    images, labels = shaped(images, size, channels), torch.from_numpy(rows[:, -1].astype(np.int64))
    order = np.load(Path(__file__).with_name("digits_split.npy"))  # as scikit-learn's train_test_split draws it
    return [(images[i], labels[i]) for i in np.split(order.astype(np.int64), [1200, 1437])], map(str, range(10))


def drawn_shapes(size, channels, root):
    """5,000 train, 1,000 validation and 1,000 test images of ten shapes, drawn at the size asked for (default 32)."""
    size, channels = size or 32, channels or 3
    read = partial(draw, size=size, channels=channels)
    splits = []
    for start, stop in ((0, 5000), (5000, 6000), (6000, 7000)):
        images = Lazy(list(range(start, stop)), (channels, size, size), read)
        labels = torch.arange(start, stop) % len(shapes.SHAPES)
        splits.append((images if size > 64 else images[:], labels))  # 7,000 images of 227 x 227 would fill 1 GB
    return splits, shapes.SHAPES


def draw(numbers: list[int], size: int, channels: int) -> Tensor:
    return shaped(torch.from_numpy(shapes.draw(numbers, size)), size, channels)


def downloaded(size, channels, root, name):
    """One of torchvision's sets, 5,000 of whose training images are held out for validation."""
    from sklearn.model_selection import train_test_split  # brings scipy.stats, which takes two seconds
    from torchvision import datasets  # costs as much as torch itself, and the embedded sets need none of it

    root, title = expanded(root or os.environ.get("CNNCOURSE_DATA") or "~/.cnncourse"), TORCHVISION[name]
    missing, damaged = checksums.look(name, root)
    if damaged:
        raise ValueError(f"{' and '.join(map(str, damaged))} {'are' if damaged[1:] else 'is'} damaged: delete what "
                         f"is damaged, and {title} is downloaded again when it is next loaded")
    try:
        sets = [getattr(datasets, title)(root, train=train, download=bool(missing)) for train in (True, False)]
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"{title} is not there and could not be downloaded ({' '.join(str(error).split())}): put its files at "
            f"{', '.join(map(str, missing))}, or use the embedded data sets 'digits' or 'shapes'") from error
    images = [torch.as_tensor(each.data).reshape(*each.data.shape[:3], -1).permute(0, 3, 1, 2) for each in sets]
    (images, labels), test = [(shaped(x, size, channels), torch.as_tensor(each.targets))
                              for x, each in zip(images, sets, strict=True)]
    train, validation = train_test_split(
        np.arange(len(labels)), test_size=5000, stratify=labels.numpy(), random_state=0)
    return [(images[train], labels[train]), (images[validation], labels[validation]), test], sets[0].classes


def shaped(images: Tensor, size: int | None, channels: int | None) -> Tensor:
    """The same uint8 images with the size and channels asked for. A thousand at a time, because floats take four times
    the memory."""
    if size not in (None, images.shape[2]):
        images = torch.cat([F.interpolate(part.float(), (size, size), mode="bilinear", antialias=True).round().byte()
                            for part in images.split(1000)])
    if channels == 1 and images.shape[1] == 3:
        weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]  # luminance, ITU-R BT.601
        images = torch.cat([(part * weights).sum(1, keepdim=True).round().byte() for part in images.split(1000)])
    return images.expand(-1, 3, -1, -1) if channels == 3 else images


SOURCES = {"digits": digits, "shapes": drawn_shapes} | {name: partial(downloaded, name=name) for name in TORCHVISION}
