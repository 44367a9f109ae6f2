"""Where images come from: `digits`, `shapes` and two photographs are part of the installation, other sets are
downloaded.

A source is a function of (size, channels, root), as in `data.load`, that returns [(images, labels) for training,
validation and test] and the names of the classes.
"""

import os
import pickle
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .. import expanded
from . import checksums, downloads, shapes
from .batches import Lazy

CLASSES = {  # the files of the others name their own
    "mnist": ["0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven",
              "8 - eight", "9 - nine"],
    "fashion_mnist": ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                      "Ankle boot"],
}


def of_sklearn(file: str) -> Path:
    """A file of scikit-learn's data sets, such as "images/china.jpg". Its own loaders bring scipy.stats and two
    seconds."""
    return Path(find_spec("sklearn").origin).parent / "datasets" / file


def photograph(name: str) -> Tensor:
    """One of scikit-learn's two photographs, "china.jpg" or "flower.jpg": 3 x 427 x 640, values from 0 to 1."""
    return torch.from_numpy(np.array(Image.open(of_sklearn(f"images/{name}")))).permute(2, 0, 1) / 255


def digits(size, channels, root):
    """1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships: 1,157 train, 258 validation, 382 test.

    The file holds 14 forms, one hand each, with the same sequence of about 130 labels: nine forms are for training, two
    for validation, three for testing, so that nobody writes on two sides. The training images are mixed, because
    the first of them are taken where fewer are asked for.
    """
    rows = np.loadtxt(of_sklearn("data/digits.csv.gz"), delimiter=",")  # 64 pixels from 0 to 16, and the label
    images = torch.from_numpy((rows[:, :-1] * (255 / 16)).round().astype(np.uint8).reshape(-1, 1, 8, 8))
    images, labels = shaped(images, size, channels), torch.from_numpy(rows[:, -1].astype(np.int64))
    mixed = np.random.RandomState(0).permutation(1157)  # the generator whose numbers no version of NumPy changes
    return [(images[i], labels[i]) for i in (mixed, slice(1157, 1415), slice(1415, None))], map(str, range(10))


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
    """One of the sets that are downloaded, 5,000 of whose training images are held out for validation."""
    from sklearn.model_selection import train_test_split  # brings scipy.stats, which takes two seconds

    root = expanded(root or os.environ.get("CNNCOURSE_DATA") or "~/.cnncourse")
    if not all((root / file).is_file() for file in checksums.MD5[name]):
        downloads.get(name, root)
    sets, classes = (handwriting if name in CLASSES else cifar)(name, root)
    (images, labels), test = [(shaped(torch.from_numpy(images), size, channels), torch.from_numpy(labels))
                              for images, labels in sets]
    train, validation = train_test_split(
        np.arange(len(labels)), test_size=5000, stratify=labels.numpy(), random_state=0)
    return [(images[train], labels[train]), (images[validation], labels[validation]), test], classes


def handwriting(name: str, root: Path) -> tuple[list, list[str]]:
    """[(images, labels) for training and test] and the classes of MNIST or Fashion-MNIST. torchvision would read other
    files than those verified, where its older format lies beside them, and its import costs as much as torch's."""
    contents = [checksums.read(name, file, root) for file in checksums.MD5[name]]
    return [(np.frombuffer(images, np.uint8, offset=16).reshape(-1, 1, 28, 28).copy(),  # after a header
             np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))
            for images, labels in (contents[:2], contents[2:])], CLASSES[name]


def cifar(name: str, root: Path) -> tuple[list, list[str]]:
    """The same of CIFAR-10 or CIFAR-100, whose files are pickles: safe, because `read` knows every byte."""
    *batches, meta = [pickle.loads(checksums.read(name, file, root), encoding="latin1")
                      for file in checksums.MD5[name]]
    fine = "fine_" if name == "cifar100" else ""
    return [(np.concatenate([batch["data"] for batch in part]).reshape(-1, 3, 32, 32),
             np.concatenate([batch[f"{fine}labels"] for batch in part], dtype=np.int64))
            for part in (batches[:-1], batches[-1:])], meta[f"{fine}label_names"]


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


SOURCES = {"digits": digits, "shapes": drawn_shapes} | {
    name: partial(downloaded, name=name) for name in checksums.MD5}
