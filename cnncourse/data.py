"""Data sets → batches (images, labels).

Images are uint8, N x C x H x W, values 0 to 255; labels are int64, N. The split into training, validation and test
images is fixed for each data set and does not depend on any training seed.
Embedded, without a network: `digits` and `shapes`. Through torchvision: `mnist`, `fashion_mnist`, `cifar10` and
`cifar100`. `folder` is a directory of one's own photographs, one sub-directory a class.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader

from . import expanded, pick
from .datasets import checksums, shapes

SPLIT_SEED = 0  # of the fixed splits; never a training seed
FEW = 1000  # images decoded to estimate mean and standard deviation of a lazy set


class Lazy:
    """Images that are drawn or decoded when they are indexed: `lazy[indices]` → uint8 N x C x H x W."""

    def __init__(self, items: list, shape: tuple[int, int, int], read: Callable[[list], Tensor]):
        self.items, self.image_shape, self.read = items, shape, read
        self.shape = (len(items), *shape)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, indices: Tensor | slice) -> Tensor:
        if isinstance(indices, slice):
            indices = torch.arange(len(self))[indices]
        return self.read([self.items[i] for i in indices.tolist()])

    __getitems__ = __getitem__  # how a DataLoader's worker asks for a batch


@dataclass(frozen=True)
class Split:
    """Images (a uint8 tensor or Lazy, N x C x H x W) and their labels (int64, N)."""

    images: Tensor | Lazy
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int | None) -> "Split":
        """The first n images (those for training are mixed, in a fixed order), or all where there are fewer."""
        if isinstance(self.images, Lazy):
            lazy = self.images
            return Split(Lazy(lazy.items[:n], lazy.image_shape, lazy.read), self.labels[:n])
        return Split(self.images[:n], self.labels[:n])


@dataclass(frozen=True)
class Data:
    """Three sets of images, class names, and the training images' mean and standard deviation per channel (of 0-1;
    of the first thousand, where photographs are decoded when they are needed)."""

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    augment: str = "crop_flip"  # what leaves the classes as they are: a mirrored 3 is no digit, a cut arrow no arrow

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C x H x W."""
        return tuple(self.train.images.shape[1:])

    def first(self, n: int) -> "Data":
        """The same data with at most n images in each set."""
        return replace(self, train=self.train.first(n), validation=self.validation.first(n), test=self.test.first(n))

    def batches(self, split: str, batch_size: int, augment: str = "none", seed: int = 0, device: str = "cpu",
                **options) -> "Batches":
        """Batches of "train" (shuffled), "validation" or "test" (in order). options: further ones of `Batches`."""
        images = pick({"train": self.train, "validation": self.validation, "test": self.test}, split, "split")
        return Batches(images, batch_size, self.mean, self.std, augment, split == "train", seed, device, **options)


# Augmentation by name: (pad by this share of the height and crop at random, mirror at random), drawn for each image.
AUGMENTATIONS = {"none": (0, False), "flip": (0, True), "crop": (1 / 8, False), "crop_flip": (1 / 8, True),
                 "nudge_flip": (1 / 16, True)}


class Batches:
    """Iterable of (images, labels): images float N x C x H x W, normalised to mean 0 and deviation 1 per channel.

    Each pass over it is one epoch. In training (`shuffle`) a last batch that is not full is left out of that epoch: its
    few images would give a noisy step, and batch normalisation's running averages would end on them.
    Order and augmentation depend on `seed` and the number of the epoch alone, so that equal seeds give equal batches,
    and a resumed training sets `epoch` and goes on as if never stopped.

    device: where images in memory live and are augmented. memory_format: as the network wants its images. workers:
    processes that decode images which are not in memory; the batches are the same for any number. share: (rank, number)
    of processes that train together: each takes its part of every batch.
    """

    def __init__(self, split: Split, batch_size: int, mean: Tensor, std: Tensor, augment: str = "none",
                 shuffle: bool = False, seed: int = 0, device: str = "cpu",
                 memory_format: torch.memory_format = torch.contiguous_format, workers: int = 0,
                 share: tuple[int, int] = (0, 1)):
        if not 1 <= batch_size:
            raise ValueError(f"a batch holds at least one image, not {batch_size}")
        if shuffle and batch_size > len(split):
            raise ValueError(f"a batch of {batch_size} is larger than the {len(split)} training images: "
                             f"choose a batch size of at most {len(split)}")
        if shuffle and batch_size % share[1]:
            raise ValueError(f"a batch of {batch_size} cannot be shared equally by {share[1]} processes: choose a "
                             f"batch size that {share[1]} divides")
        if len(mean) != split.images.shape[1]:
            raise ValueError(f"mean and std are of {len(mean)} channels but the images have {split.images.shape[1]}: "
                             "take those of the same images, as `load` does")
        crop, self.flip = pick(AUGMENTATIONS, augment, "augmentation")
        images = split.images
        self.pad = max(1, int(crop * images.shape[2])) if crop else 0
        self.images = images.to(device) if isinstance(images, Tensor) else images
        self.labels = split.labels.to(device)
        self.mean, self.std = (255 * x.to(device)[:, None, None] for x in (mean, std))
        self.batch_size, self.shuffle, self.seed, self.device = batch_size, shuffle, seed, device
        self.memory_format, self.workers, self.share = memory_format, workers, share
        self.epoch = 0

    def __len__(self) -> int:
        full, rest = divmod(len(self.labels), self.batch_size)
        return full if self.shuffle else full + (rest > 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        self.epoch += 1
        n = len(self.labels)
        order = torch.randperm(n, generator=generator) if self.shuffle else torch.arange(n)
        mine = slice(self.share[0], None, self.share[1])
        batches = [(batch, self.draw(len(batch), generator)) for batch in order.split(self.batch_size)[: len(self)]]
        batches = [(batch[mine], places[mine], mirrored[mine]) for batch, (places, mirrored) in batches]
        batches = [parts for parts in batches if len(parts[0])]  # the last of an evaluation may be too small to share
        for (batch, places, mirrored), images in zip(batches, self.read([b[0] for b in batches]), strict=True):
            images = augmented(images.to(self.device), self.pad, places, mirrored)
            images = images.to(torch.float32, memory_format=self.memory_format)
            yield images.sub_(self.mean).div_(self.std), self.labels[batch]

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Where each of n images is cropped, (dy, dx), and whether it is mirrored."""
        places, mirrored = torch.zeros(n, 2, dtype=torch.long), torch.zeros(n, dtype=torch.bool)
        if self.pad:
            places = torch.randint(0, 2 * self.pad + 1, (2, n), generator=generator).T
        if self.flip:
            mirrored = torch.rand(n, generator=generator) < 0.5
        return places, mirrored

    def read(self, indices: list[Tensor]) -> Iterable[Tensor]:
        """The uint8 images of each batch: looked up in memory, or decoded, by worker processes where there are any."""
        if isinstance(self.images, Tensor) or not self.workers:
            return (self.images[i] for i in indices)
        return DataLoader(self.images, batch_sampler=indices, num_workers=self.workers, collate_fn=torch.as_tensor,
                          generator=torch.Generator())  # else it draws a number from those of dropout


def augmented(images: Tensor, pad: int, places: Tensor, mirrored: Tensor) -> Tensor:
    """Each image padded with black, cropped at its own place (dy, dx), and mirrored by its own coin."""
    n, _, height, width = images.shape
    if pad:
        windows = F.pad(images, (pad,) * 4).unfold(2, height, 1).unfold(3, width, 1)  # N x C x 2p+1 x 2p+1 x H x W
        images = windows[torch.arange(n), :, *places.T]
    if mirrored.any():
        images = torch.where(mirrored[:, None, None, None].to(images.device), images.flip(3), images)
    return images


def load(name: str, size: int | None = None, channels: int | None = None, root: str | Path | None = None,
         limit: int | None = None) -> Data:
    """Training, validation and test images of a data set, with its class names.

    size: height and width in pixels (default: the set's own; photographs 64). channels: 1 grey or 3 RGB (default: the
    set's own). root: where torchvision's files lie or go (default: $CNNCOURSE_DATA, else ~/.cnncourse), or the
    directory of a `folder`. limit: use only so many training images.
    Raises ValueError for an unknown name, channels or a size that the set has not, an unusable folder, or a file that
    is damaged; FileNotFoundError where files are missing.
    """
    if channels not in (None, 1, 3):
        raise ValueError(f"images have 1 channel (grey) or 3 (RGB), not {channels}")
    if size is not None and size < 1:
        raise ValueError(f"the image size must be at least 1 pixel, not {size}")
    splits, classes = pick(DATA_SETS, name, "data set")(size, channels, root)
    train, validation, test = (reshaped(split, size, channels) for split in splits)
    train = train.first(limit)
    few = train.images[:FEW] if isinstance(train.images, Lazy) else train.images
    augment = {"digits": "crop", "mnist": "crop", "shapes": "nudge_flip"}.get(name, "crop_flip")
    return Data(name, train, validation, test, tuple(classes), *statistics(few), augment)


def statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel of uint8 images, of values from 0 to 1. They follow from how often each
    of the 256 values occurs: the pixels themselves as doubles would take many times the memory of the images."""
    values = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.stack([channel.flatten().bincount(minlength=256) for channel in images.transpose(0, 1)]).double()
    pixels = counts.sum(1)
    mean = counts @ values / pixels
    std = ((values - mean[:, None]) ** 2 * counts).sum(1).div(pixels - 1).sqrt()
    return mean.float(), std.clamp(min=1e-3).float()  # a set of one flat colour must not divide by zero


def with_channels(images: Tensor, channels: int | None) -> Tensor:
    if channels == 1 and images.shape[1] == 3:
        weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]  # luminance, ITU-R BT.601
        return torch.cat([(part * weights).sum(1, keepdim=True).round().byte() for part in images.split(1000)])
    if channels == 3 and images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    return images


def with_size(images: Tensor, size: int | None) -> Tensor:
    if size in (None, images.shape[2]):
        return images
    return torch.cat([F.interpolate(part.float(), (size, size), mode="bilinear", antialias=True).round().byte()
                      for part in images.split(1000)])


def reshaped(split: Split, size: int | None, channels: int | None) -> Split:
    """The same images with the size and channels asked for. Lazy images are already drawn or decoded that way."""
    if isinstance(split.images, Lazy):
        return split
    return Split(with_channels(with_size(split.images, size), channels), split.labels)


def cut(indices: np.ndarray, labels: np.ndarray, size: int | float) -> tuple[np.ndarray, np.ndarray]:
    """(rest, part): `size` images (a number or a share), the same share of each class, always the same ones."""
    from sklearn.model_selection import train_test_split  # brings scipy.stats, which takes two seconds

    return train_test_split(indices, test_size=size, stratify=labels[indices], random_state=SPLIT_SEED)


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
    labels = torch.from_numpy(rows[:, -1].astype(np.int64))
    order = np.load(Path(__file__).parent / "datasets" / "digits_split.npy")  # what `cut` gives for 360, then for 237
    train, validation, test = np.split(order.astype(np.int64), [1200, 1437])
    return [Split(images[i], labels[i]) for i in (train, validation, test)], [str(d) for d in range(10)]


def drawn_shapes(size, channels, root):
    """5,000 train, 1,000 validation and 1,000 test images of ten shapes, drawn at the size asked for (default 32)."""
    size, channels = size or 32, channels or 3
    read = partial(draw, size=size, channels=channels)
    splits = []
    for start, stop in ((0, 5000), (5000, 6000), (6000, 7000)):
        numbers = list(range(start, stop))
        labels = torch.tensor(numbers) % len(shapes.CLASSES)
        images = Lazy(numbers, (channels, size, size), read)
        splits.append(Split(images if size > 64 else images[:], labels))  # 7,000 images of 227 x 227 would fill 1 GB
    return splits, shapes.CLASSES


def draw(numbers: list[int], size: int, channels: int) -> Tensor:
    return with_channels(torch.from_numpy(shapes.draw(numbers, size)), channels)


def from_torchvision(name: str, class_name: str, files: str, validation: int):
    """A loader for one of torchvision's sets. `files`: what must lie under root for it to be found."""

    def loader(size, channels, root):
        from torchvision import datasets  # costs as much as torch itself, and the embedded sets need none of it

        root = expanded(root or os.environ.get("CNNCOURSE_DATA") or "~/.cnncourse")
        missing, damaged = checksums.look(name, root)
        if damaged:
            raise ValueError(f"{' and '.join(map(str, damaged))} {'are' if damaged[1:] else 'is'} damaged: delete what "
                             f"is damaged, and {class_name} is downloaded again when it is next loaded")
        cls = getattr(datasets, class_name)
        try:
            sets = [cls(root, train=train, download=bool(missing)) for train in (True, False)]
        except (OSError, RuntimeError) as error:
            whole = len(missing) == len(checksums.MD5[name])
            what = "" if whole else f" as a whole ({', '.join(path.name for path in missing)} missing)"
            raise FileNotFoundError(
                f"{class_name} is not under {root}{what} and could not be downloaded ({' '.join(str(error).split())}): "
                f"put {files} there, or use the embedded data sets 'digits' or 'shapes'") from error
        (images, labels), (test_images, test_labels) = (
            (torch.as_tensor(s.data), torch.as_tensor(s.targets)) for s in sets)
        images, test_images = (x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2) for x in (images, test_images))
        keep, hold = cut(np.arange(len(labels)), labels.numpy(), validation)
        splits = [Split(images[keep], labels[keep]), Split(images[hold], labels[hold]), Split(test_images, test_labels)]
        return splits, sets[0].classes

    return loader


def folder(size, channels, root):
    """Photographs in root/<class>/, split 70 : 15 : 15; or in root/train/<class>/ and root/val/<class>/, where `val` is
    the test set and a fifth of `train` the validation set. Each is turned as its EXIF data says, resized so that its
    shorter side is `size` (default 64), and its centre is kept."""
    if root is None or not Path(root).is_dir():
        raise ValueError(f"'folder' needs an existing directory with one sub-directory a class as root, not {root}")
    root, shape = Path(root), (channels or 3, size or 64, size or 64)
    try:
        if (root / "train").is_dir() and (root / "val").is_dir():
            paths, labels, classes = photographs(root / "train")
            train, validation = of_each(np.arange(len(paths)), labels, 0.2)
            test_paths, test_labels, test_classes = photographs(root / "val")
            if test_classes != classes:
                raise ValueError(f"train/ holds the classes {classes} but val/ holds {test_classes}: make them equal")
            test = np.arange(len(paths), len(paths) + len(test_paths))
            paths, labels = paths + test_paths, np.concatenate([labels, test_labels])
        else:
            paths, labels, classes = photographs(root)
            rest, test = of_each(np.arange(len(paths)), labels, 0.15)
            train, validation = of_each(rest, labels, 0.15 / 0.85)
    except ValueError as error:
        raise ValueError(f"{root} cannot be used as a data set: {error}") from error

    read = partial(decode, shape=shape)
    return [Split(Lazy([paths[i] for i in part], shape, read), torch.from_numpy(labels[part]))
            for part in (train, validation, test)], classes


def of_each(indices: np.ndarray, labels: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """(rest, taken): of each class this share of its images and at least one, always the same ones."""
    random = np.random.default_rng(SPLIT_SEED)
    classes = [random.permutation(indices[labels[indices] == label]) for label in np.unique(labels[indices])]
    ends = np.floor(share * np.cumsum([len(members) for members in classes]) + 0.5)  # so that all add up to the share
    counts = np.maximum(1, np.diff(ends, prepend=0)).astype(int)
    return tuple(random.permutation(np.concatenate(parts)) for parts in (
        [members[n:] for members, n in zip(classes, counts, strict=True)],
        [members[:n] for members, n in zip(classes, counts, strict=True)]))


def photographs(root: Path) -> tuple[list[Path], np.ndarray, list[str]]:
    """Readable images, labels and class names of root/<class>/. Files that are not images are named and skipped."""
    classes = sorted(d.name for d in root.iterdir() if d.is_dir() and not d.name.startswith("."))
    if len(classes) < 2:
        raise ValueError(f"{root} holds {len(classes)} class directories ({', '.join(classes) or 'none'}); "
                         "a classifier needs at least two, each with its images")
    paths, labels = [], []
    for label, name in enumerate(classes):
        good = [path for path in sorted((root / name).iterdir()) if not path.name.startswith(".") and readable(path)]
        if len(good) < 5:
            raise ValueError(f"class '{name}' holds {len(good)} readable images; it needs at least 5 "
                             "to have some in each of the training, validation and test sets")
        paths += good
        labels += [label] * len(good)
    return paths, np.array(labels), classes


def readable(path: Path) -> bool:
    try:
        decoded(path, (3, 8, 8))
        return True
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # Pillow raises all of them
        warnings.warn(f"{path} is skipped: it is not a readable image ({error})", stacklevel=2)
        return False


def decode(paths: list[Path], shape: tuple[int, int, int]) -> Tensor:
    return torch.from_numpy(np.stack([decoded(path, shape) for path in paths]))


def decoded(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """uint8 C x H x W. Raises OSError for a file that is not an image or is cut short."""
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


DATA_SETS = {
    "digits": digits,
    "shapes": drawn_shapes,
    "mnist": from_torchvision("mnist", "MNIST", "its four files MNIST/raw/*-ubyte", validation=5000),
    "fashion_mnist": from_torchvision("fashion_mnist", "FashionMNIST", "its four files FashionMNIST/raw/*-ubyte",
                                      validation=5000),
    "cifar10": from_torchvision("cifar10", "CIFAR10", "the directory cifar-10-batches-py/", validation=5000),
    "cifar100": from_torchvision("cifar100", "CIFAR100", "the directory cifar-100-python/", validation=5000),
    "folder": folder,
}
