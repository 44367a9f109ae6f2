"""Lessons 1 to 9: the images. `load` gives a data set in three splits, `Data.batches` what a network is fed with.

Images are uint8, N x C x H x W, values 0 to 255; labels are int64, N. The split into training, validation and test
images is fixed for each data set and does not depend on any training seed. `datasets/` holds what stands behind: the
sources of the images, the folders of one's own photographs, and how batches are mixed, augmented and normalised.
"""

import hashlib
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor

from . import pick
from .datasets.batches import AUGMENTATIONS, Batches, Lazy
from .datasets.folders import Stock, decode, folder, take_stock
from .datasets.sources import SOURCES, of_sklearn, photograph

__all__ = ["AUGMENTATIONS", "DATA_SETS", "Batches", "Data", "Lazy", "Split", "Stock", "decode", "load", "of_sklearn",
           "photograph", "statistics", "take_stock"]

DATA_SETS = SOURCES | {"folder": folder}


@dataclass(frozen=True)
class Split:
    """Images (a uint8 tensor or Lazy, N x C x H x W) and their labels (int64, N). Raises ValueError for others."""

    images: Tensor | Lazy
    labels: Tensor

    def __post_init__(self):
        images, labels = self.images, self.labels
        require_images(images)
        if not isinstance(labels, Tensor):
            raise ValueError(f"labels are a tensor, not {type(labels).__name__}: torch.from_numpy makes one of an "
                             "array, torch.tensor of a list")
        if labels.dtype != torch.int64 or labels.ndim != 1:
            raise ValueError(f"labels are an int64 tensor with the number of each image's class, not {kind(labels)} of "
                             f"the shape {tuple(labels.shape)}: " + (
                                 "labels.argmax(1) makes numbers of one-hot rows" if labels.ndim == 2 and
                                 labels.shape[1] > 1 else "give labels.flatten().long()"))
        if len(images) != len(labels):
            raise ValueError(f"there are {len(images):,} images but {len(labels):,} labels: give each image its label")

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int | None) -> "Split":
        """The first n images (those for training are mixed, in a fixed order), or all where there are fewer. Raises
        ValueError where n is no number of images."""
        if n is not None and not (isinstance(n, Integral) and n >= 0):
            raise ValueError(f"n (in `load`: limit) is a number of images, not {n!r}")
        images = self.images.first(n) if isinstance(self.images, Lazy) else self.images[:n]
        return Split(images, self.labels[:n])


@dataclass(frozen=True)
class Data:
    """Three sets of images, class names, and the training images' mean and standard deviation per channel (of 0-1;
    of the first thousand, where photographs are decoded when they are needed). Raises ValueError where these do not
    fit together."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    augment: str = "crop_flip"  # what leaves the classes as they are: a mirrored 3 is no digit, a cut arrow no arrow

    def __post_init__(self):
        if not isinstance(self.classes, tuple | list) or not self.classes:
            raise ValueError(f"classes are the names of the classes, a tuple of texts, not {self.classes}")
        if twice := {name for name in self.classes if self.classes.count(name) > 1}:
            raise ValueError(f"two classes are called {min(twice)!r}: give each a name of its own")
        pick(AUGMENTATIONS, self.augment, "augmentation")
        for name in ("train", "validation", "test"):
            split, last = getattr(self, name), len(self.classes) - 1
            if not isinstance(split, Split):
                raise ValueError(f"{name} is a data.Split(images, labels), not {type(split).__name__}")
            if not len(split):
                raise ValueError(f"'{self.name}' has no {name} images: each of the three sets needs some")
            if tuple(split.images.shape[1:]) != self.image_shape:
                raise ValueError(f"the {name} images of '{self.name}' are {by(split.images.shape[1:])}, but those for "
                                 f"training {by(self.image_shape)}: make all of one size")
            wrong = split.labels[(split.labels < 0) | (split.labels > last)]
            if len(wrong):
                raise ValueError(f"label {wrong[0]} of the {name} images of '{self.name}' is none of its "
                                 f"{last + 1} classes: labels go from 0 to {last}")
        images = self.train.images
        if isinstance(images, Tensor) and images.max() <= 1:
            raise ValueError(f"the values of the training images of '{self.name}' go from {images.min()} to "
                             f"{images.max()}, not to 255: scale them to 0 to 255 before they become uint8")
        for name, numbers, least in (("mean", self.mean, 0), ("std", self.std, 1e-6)):
            if not isinstance(numbers, Tensor) or numbers.shape != images.shape[1:2]:
                raise ValueError(f"{name} is a tensor of {images.shape[1]} numbers, one a channel, not {numbers}: "
                                 "`data.statistics(images)` gives mean and std")
            if not ((least <= numbers) & (numbers <= 1)).all():
                raise ValueError(f"{name} is that of pixels from 0 to 1, and cannot be {numbers.tolist()}: "
                                 "`data.statistics(images)` gives mean and std")
            if numbers.requires_grad:
                raise ValueError(f"{name} requires gradients, which training does not give it: give {name}.detach()")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C x H x W."""
        return tuple(self.train.images.shape[1:])

    def first(self, n: int) -> "Data":
        """The same data with at most n images in each set."""
        return replace(self, train=self.train.first(n), validation=self.validation.first(n), test=self.test.first(n))

    def batches(self, split: str, batch_size: int, augment: str = "none", seed: int = 0, device: str = "cpu",
                **options) -> Batches:
        """Batches of "train" (shuffled), "validation" or "test" (in order). options: further ones of `Batches`."""
        images = pick({"train": self.train, "validation": self.validation, "test": self.test}, split, "split")
        return Batches(images, batch_size, self.mean, self.std, augment, split == "train", seed, device, **options)

    def digest(self) -> str:
        """A short text for all images and labels. Those that are decoded when they are needed count by their names, so
        that a folder may move."""
        of = hashlib.sha256()
        for split in (self.train, self.validation, self.test):
            of.update(split.labels.cpu().contiguous().numpy())
            if isinstance(split.images, Lazy):
                of.update(repr([item.parts[-2:] if isinstance(item, Path) else item
                                for item in split.images.items]).encode())
            else:
                of.update(split.images.cpu().contiguous().numpy())
        return of.hexdigest()[:16]


def require_images(images: Tensor | Lazy) -> None:
    """Raises ValueError for images that are not uint8, N x C x H x W."""
    if not isinstance(images, Tensor | Lazy) or isinstance(images, Tensor) and (
            images.is_meta or images.layout != torch.strided):
        what = images.layout if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"images are a dense tensor that has numbers, not {what}: torch.from_numpy makes one of an "
                         "array, torch.tensor of a list")
    shape, given = images.shape, by(images.shape)
    if isinstance(images, Tensor) and images.dtype != torch.uint8:
        found = f" from {images.min():g} to {images.max():g}" if images.is_floating_point() and len(images) else ""
        raise ValueError(f"images are uint8, with values from 0 to 255, not {kind(images)}{found}: scale them to 0 "
                         "to 255, round them, and call .to(torch.uint8)")
    if len(shape) != 4:
        advice = ": images[:, None] adds the one channel of grey images, images[None] makes a set of one image"
        raise ValueError(f"images are a tensor N x C x H x W, not {given}" + advice * (len(shape) == 3))
    for i, place, axes in ((3, "last", "0, 3, 1, 2"), (2, "third and its images last", "3, 2, 0, 1")):
        if shape[i] in (1, 3, 4) and min(shape[i - 2 : i]) > 4:
            raise ValueError(f"images are a tensor N x C x H x W, but {given} has its channels {place}: give "
                             f"images.permute({axes})")


def kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def load(name: str, size: int | None = None, channels: int | None = None, root: str | Path | Stock | None = None,
         limit: int | None = None) -> Data:
    """Training, validation and test images of a data set, with its class names.

    name: "digits" and "shapes" are part of the installation; "mnist", "fashion_mnist", "cifar10" and "cifar100" are
    downloaded; "folder" is a directory of one's own photographs, one sub-directory a class.
    size: height and width in pixels (default: the set's own; photographs 64). channels: 1 grey or 3 RGB (default: the
    set's own). root: where downloaded files lie or go (default: $CNNCOURSE_DATA, else ~/.cnncourse), or the directory
    of a folder, or what `take_stock` says of it. limit: use only so many training images.
    Raises ValueError for an unknown name, channels, a size or a limit that cannot be, an unusable folder, or a file
    that is damaged; FileNotFoundError where files are missing.
    """
    if not isinstance(name, str):
        raise ValueError(f"the name of a data set is a text, such as 'digits', not {name!r}: "
                         "data.load('folder', root=...) takes photographs")
    if channels not in (None, 1, 3):
        raise ValueError(f"images have 1 channel (grey) or 3 (RGB), not {channels!r}")
    if size is not None and not (isinstance(size, Integral) and size >= 1):
        raise ValueError(f"the image size is a number of pixels, at least 1 pixel, not {size!r}")
    if name not in DATA_SETS and Path(name).expanduser().is_dir():
        raise ValueError(f"{name} is a directory: the data are then 'folder', and it is their root")
    splits, classes = pick(DATA_SETS, name, "data set")(size, channels, root)
    train, validation, test = (Split(images, labels) for images, labels in splits)
    train = train.first(limit)
    mean, std = statistics(train.images)
    augment = {"digits": "crop", "mnist": "crop", "shapes": "nudge_flip"}.get(name, "crop_flip")
    return Data(name, train, validation, test, tuple(classes), mean, std, augment)


def statistics(images: Tensor | Lazy) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of uint8 images, of values from 0 to 1; of a Lazy those of the first
    thousand. They follow from how often each of the 256 values occurs: the pixels themselves as doubles would take many
    times the memory of the images. Raises ValueError for others, or none."""
    require_images(images)
    if not len(images):
        raise ValueError("mean and standard deviation are those of at least one image, not of none")
    images = images[:1000] if isinstance(images, Lazy) else images
    values = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.stack([channel.flatten().bincount(minlength=256) for channel in images.transpose(0, 1)]).double()
    pixels = counts.sum(1)
    mean = counts @ values / pixels
    std = ((values - mean[:, None]) ** 2 * counts).sum(1).div(pixels - 1).sqrt()
    return mean.float(), std.clamp(min=1e-3).float()  # a set of one flat colour must not divide by zero
