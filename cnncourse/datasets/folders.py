"""One's own photographs: a directory with one sub-directory a class."""

import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, partial
from numbers import Integral
from os import PathLike
from pathlib import Path
from threading import get_ident

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .. import expanded
from .batches import Lazy

KEPT = 2**30  # bytes: so much of a folder stays in memory once it is decoded, 87,000 pictures of 64 x 64
PARTS = {"train": "train", "training": "train", "trainval": "train",
         "val": "validation", "valid": "validation", "validation": "validation",
         "dev": "validation", "test": "test", "testing": "test", "eval": "test", "evaluation": "test"}
ASIDE = {"__macosx", "__pycache__", "@eadir", "thumbs.db", "desktop.ini"}  # what systems leave between pictures
ORIENTATION = 0x0112  # the EXIF field that says how a viewer must turn the stored picture


@dataclass(frozen=True)
class Stock:
    """What a folder holds. Of each picture that can be read: its path, label, part ("train", "validation" or "test";
    "train" where the folder is not divided), and ((width, height), mode, EXIF orientation) as stored. images: these
    pictures. skipped: why each other file is left out. notes: what a reader should know, a sentence each."""

    classes: list[str]
    paths: list[Path]
    labels: np.ndarray
    parts: np.ndarray
    stored: list[tuple[tuple[int, int], str, int]]
    images: Lazy
    skipped: dict[Path, str]
    notes: list[str]


def folder(size, channels, root):
    """Photographs in root/<class>/, split 70 : 15 : 15; or in root/train/<class>/ with root/val/<class>/ and
    root/test/<class>/, or one of these: then that is the test set, and a fifth of `train` the validation set. The
    default of `size` is 64. `take_stock` says what becomes of each file; what it has returned can be given as root."""
    if isinstance(root, Stock) and (size or channels):
        raise ValueError("the pictures of a Stock have their size and channels already: load it without these")
    stock = root if isinstance(root, Stock) else take_stock(root, (channels or 3, size or 64, size or 64))
    for note in stock.notes:
        warnings.warn(note, stacklevel=3)
    train, validation, test = (np.flatnonzero(stock.parts == part) for part in ("train", "validation", "test"))
    share = 0.2
    if not len(test) and len(validation):
        validation, test = test, validation
    elif not len(test):
        (train, test), share = hold_out(0.15, train, stock.labels), 0.15 / 0.85
    if len(validation):
        train = np.random.default_rng(0).permutation(train)
    else:
        train, validation = hold_out(share, train, stock.labels)
    return [(stock.images.part(torch.from_numpy(numbers)), torch.from_numpy(stock.labels[numbers]))
            for numbers in (train, validation, test)], stock.classes


def take_stock(root: str | Path, shape: tuple[int, int, int] = (3, 64, 64), least: int = 5) -> Stock:
    """Decodes each picture below root once, to C x H x W: turned as its EXIF data says, laid over white where it is
    transparent, scaled until it covers H x W, the middle kept. The first KEPT bytes of pictures stay in memory, the
    others are decoded whenever they are needed. Files that cannot be read are skipped.

    A class's pictures may lie in folders of its own, and all classes in a folder deeper, or in train/, val/ and test/
    (or below such names as train_data and seg_test); these three may also divide each class.
    Raises ValueError, one sentence, for another shape, or a folder that is none of this or has fewer than `least`
    pictures of a class.
    """
    require_shape(shape)
    root = existing(root)
    files, notes = layout(root)
    kept = torch.empty(min(len(files), KEPT // math.prod(shape)), *shape, dtype=torch.uint8)
    good, stored, skipped, odd, first_of, doubled, parted, twice = [], [], {}, {}, {}, [], [], []
    looks = looked_at([path for *_, path in files], shape)
    for (part, name, path), (pixels, told, warned) in zip(files, looks, strict=True):
        if pixels is None:
            skipped[path] = told
            continue
        if len(good) < len(kept):
            kept.numpy()[len(good)] = pixels
        if warned:
            odd[path] = warned
        good.append((part, name, path))
        stored.append(told)
        side, other, twin = first_of.setdefault(hash(pixels.tobytes()), (part, name, path))
        if twin != path:
            (doubled if other != name else parted if side != part else twice).append(
                " and ".join(file.relative_to(root).as_posix() for file in (twin, path)))
    for found, become in ((skipped, "skipped"), (odd, "used as far as Pillow can read")):
        for why in dict.fromkeys(found.values()):
            names = [path.relative_to(root).as_posix() for path in found if found[path] == why]
            notes.append(f"{listed(names)} {'is' if len(names) == 1 else 'are'} {become}: {why}")
    if doubled:
        notes.append(f"the same picture lies in two classes, {listed(doubled)}: leave it where it belongs")
    if parted:
        notes.append(f"the same picture lies in two parts, {listed(parted)}: its answer is known before the test, "
                     "leave it in one")
    if twice:
        notes.append(f"the same picture lies twice in a class, {listed(twice)}: where one of them is held out, its "
                     "answer is known before the test, so leave one")
    classes = sorted({name for _, name, _ in files})
    counts = {part: Counter(name for other, name, _ in good if other == part) for part in {part for part, *_ in files}}
    for name in classes:
        if counts["train"][name] < least:
            told = f"class {name} of {root} has {counts['train'][name]} pictures to train with and needs {least}"
            raise ValueError("; ".join([told, *(note for note in notes if " skipped: " in note)]))
        if lacking := [part for part in counts if not counts[part][name]]:
            alike = [other for other in classes if other != name and other.casefold() == name.casefold()]
            raise ValueError(f"class {name} of {root} has no {lacking[0]} pictures: " + (
                f"{alike[0]} is another name, so write both in the same way" if alike else
                "put some there, or take it out of the other parts"))
    if few := [f"{name} ({counts['train'][name]})" for name in classes if counts["train"][name] < 20]:
        notes.append(f"fewer than 20 pictures of {listed(few)}: an accuracy on the few held out is only a hint")
    parts, names, paths = zip(*good, strict=True)
    images = Lazy(list(paths), shape, partial(decode, shape=shape), kept[: len(paths)])
    return Stock(classes, list(paths), np.array([classes.index(name) for name in names]), np.array(parts), stored,
                 images, skipped, notes)


def require_shape(shape: tuple[int, int, int]) -> None:
    if not (isinstance(shape, tuple | list) and len(shape) == 3 and shape[0] in (1, 3)
            and all(isinstance(pixels, Integral) and pixels > 0 for pixels in shape)):
        raise ValueError("shape is (channels, height, width), with 1 or 3 channels, such as (3, 64, 64), not "
                         f"{shape!r}")


def existing(root: str | Path) -> Path:
    if not isinstance(root, str | PathLike):
        raise ValueError("a folder of photographs needs an existing directory with one sub-directory a class as root, "
                         f"not {'None' if root is None else type(root).__name__}")
    root = expanded(root)
    if root.is_dir():
        return root
    if root.exists():
        raise ValueError(f"{root} is a file: unpack it if it is an archive, and give the directory that has one "
                         "sub-directory a class")
    beside = [path.name for path in root.parent.iterdir() if path.is_dir()] if root.parent.is_dir() else []
    near = get_close_matches(root.name, beside)
    raise ValueError(f"{root} is no existing directory: " +
                     (f"did you mean {' or '.join(near)}?" if near else "give one with one sub-directory a class"))


def layout(root: Path) -> tuple[list[tuple[str, str, Path]], list[str]]:
    """[(part, class, file)] and sentences about what is left aside."""
    classes, notes = class_folders(root)
    divided = parts_of(classes)
    some = all if len(set(divided.values())) > 1 else any  # beside test/, train/ may hold pictures of no class
    flat = [name for name, files in classes.items() if some(file.parent == root / name for file in files)]
    below = {file.relative_to(root).parts[1].lower() for files in classes.values() for file in files}
    if trains := [name for name, part in divided.items() if part == "train" and name not in flat]:
        for part in divided.values():
            if len(same := [name for name in divided if divided[name] == part]) > 1:
                raise ValueError(f"{' and '.join(same)} are both for {part}, by their names: leave one of them in "
                                 f"{root}, or rename one")
        notes += [f"{name} stands beside {trains[0]} and is left aside" for name in classes if name not in divided]
        found = []
        for name, part in sorted(divided.items(), key=lambda pair: list(PARTS.values()).index(pair[1])):
            inner, inner_notes = class_folders(root / name)
            if list(inner) == [name]:  # as archives are often unpacked
                inner, inner_notes = class_folders(root / name / name)
            found += [(part, kind, file) for kind, files in inner.items() for file in files]
            notes += [f"{name}: {note}" for note in inner_notes]
        classes = {kind for _, kind, _ in found}
    elif len(classes) == len(divided) and len(set(divided.values())) > 1:
        raise ValueError(f"{root} is divided into {', '.join(divided)}, but there is no train with one sub-directory a "
                         "class")
    elif len(classes) == 1 and not flat:
        return layout(root / next(iter(classes)))
    elif "train" in [PARTS.get(name) for name in below] and below <= set(PARTS):
        found = [(PARTS[file.relative_to(root).parts[1].lower()], kind, file)
                 for kind, files in classes.items() for file in files]
    else:
        found = [("train", kind, file) for kind, files in classes.items() for file in files]
        inner = [{file.relative_to(root / name).parts[0] for file in files} for name, files in classes.items()]
        if inner and not flat and len(inner[0]) > 1 and all(names == inner[0] for names in inner):
            notes.append(f"{listed(list(classes))} are taken for the classes, and each of them holds "
                         f"{listed(sorted(inner[0]))}: if these are the classes, name the folders train, val and test")
    if len(classes) < 2:
        told = f" ({'; '.join(notes)})" if notes else ""
        raise ValueError(f"{root} holds {len(classes)} class directories with pictures: {', '.join(classes) or 'none'}"
                         f"{told}; give a directory with at least two, each with the pictures of one class")
    return found, notes


def parts_of(names: Iterable[str]) -> dict[str, str]:
    """{name: part} of those names that tell a part in one of their words, such as seg_train, TestData and val2017.
    Where a name tells it and nothing else, such names alone are for this part."""
    told = {}
    for name in names:
        words = re.sub(r"(set|data)\b", "", " ".join(re.findall("[a-z]+", name.lower()))).split()
        if len(parts := {PARTS[word] for word in words if word in PARTS}) == 1:
            told[name], = parts
    plain = {part for name, part in told.items() if name.lower() in PARTS}
    return {name: part for name, part in told.items() if part not in plain or name.lower() in PARTS}


def class_folders(root: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """{class: files of root/<class>/, however deep}, and sentences about what in root is none."""
    entries = [path for path in sorted(root.iterdir()) if not aside(path.name)]
    below = {path.name: [file for file in sorted(path.rglob("*")) if (file.is_file() or file.is_symlink())
                         and not any(map(aside, file.relative_to(path).parts))] for path in entries if path.is_dir()}
    classes = {name: files for name, files in below.items()
               if any(file.suffix.lower() in suffixes() for file in files) or any(map(opens, files[:20]))}
    notes = []
    if empty := [name for name in below if name not in classes]:
        notes.append(f"{listed(empty)} without a picture: left aside")
    if loose := [path.name for path in entries if path.name not in below and path.suffix.lower() in suffixes()]:
        notes.append(f"{listed(loose)} in no class directory: left aside")
    if packed := [path.name for path in entries if path.name.lower().endswith((".zip", ".tar", "gz", ".7z", ".rar"))]:
        notes.append(f"{listed(packed)} left aside: unpack what belongs to the pictures")
    return classes, notes


def aside(name: str) -> bool:
    return name.startswith(".") or name.lower() in ASIDE


def opens(file: Path) -> bool:
    """Whether a file is a picture by its content, whatever its name says."""
    try:
        with Image.open(file):
            return True
    except Exception:  # as in `looked_at`
        return False


@cache
def suffixes() -> set[str]:
    return {".heic", ".heif", *Image.registered_extensions()}


def listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def hold_out(share: float, numbers: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the rest, those held out) of the pictures with these numbers: of each class this share and at least one, always
    the same ones."""
    random = np.random.default_rng(0)
    classes = [random.permutation(numbers[labels[numbers] == label]) for label in np.unique(labels)]
    ends = np.floor(share * np.cumsum([len(members) for members in classes]) + 0.5)  # so that all add up to the share
    counts = np.maximum(1, np.diff(ends, prepend=0)).astype(int)
    cuts = list(zip(classes, counts, strict=True))
    return (random.permutation(np.concatenate([members[n:] for members, n in cuts])),
            random.permutation(np.concatenate([members[:n] for members, n in cuts])))


def looked_at(paths: list[Path], shape: tuple[int, int, int]) -> Iterator[tuple[np.ndarray | None, object, str]]:
    """Of each file its (pixels, what is stored), or (None, why it cannot be read), and what Pillow warns of, or ""."""
    warned = {}

    def attempt(path: Path):
        try:
            found = look(path, shape)
        except Exception as error:  # a damaged file makes Pillow raise nearly every kind
            found = None, reason(path, error)
        return *found, warned.pop(get_ident(), "")

    def keep(message: Warning, *_):  # Pillow warns in the thread that reads the file, and does not name it
        warned[get_ident()] = str(message).partition(".")[0]

    # Pillow decodes without Python's lock
    with warnings.catch_warnings(), ThreadPoolExecutor(torch.get_num_threads()) as threads:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module="PIL")
        warnings.showwarning = keep
        for i in range(0, len(paths), 256):  # decoded ahead of their use
            yield from threads.map(attempt, paths[i : i + 256])


def reason(path: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return "more pixels than Pillow opens; save it smaller"
    if not isinstance(error, OSError):
        return f"damaged, or no picture: {str(error).partition(' (')[0] or type(error).__name__}"
    if not isinstance(error, UnidentifiedImageError):
        return error.strerror or str(error).partition(" (")[0]
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] == b"ftyp" and start[8:11] in (b"hei", b"hev", b"mif", b"msf"):
        return ("HEIC, the format of many phones, which Pillow cannot read; save it as JPEG (macOS: Preview, Export; "
                "iPhone, for new ones: Settings, Camera, Formats, Most Compatible)")
    return "not a picture that Pillow knows" if start else "an empty file"


def decode(paths: list[Path], shape: tuple[int, int, int]) -> Tensor:
    """uint8 N x C x H x W. Raises OSError, which names the file, for one that is not an image or is cut short, and
    ValueError for a shape that cannot be, or one path."""
    require_shape(shape)
    if isinstance(paths, str | PathLike):
        raise ValueError(f"`decode` takes a list of files, not {str(paths)!r}: give [path]")
    pixels = np.empty((len(paths), *shape), np.uint8)
    for i, path in enumerate(paths):
        try:
            pixels[i] = look(path, shape)[0]
        except FileNotFoundError:
            raise
        except Exception as error:
            raise OSError(f"{path} cannot be read: {reason(Path(path), error)}") from error
    return torch.from_numpy(pixels)


def look(path: Path, shape: tuple[int, int, int]) -> tuple[np.ndarray, tuple[tuple[int, int], str, int]]:
    """(uint8 C x H x W, what is stored: ((width, height), mode, EXIF orientation)). The pixels are those of Resize and
    CenterCrop of torchvision, but for the fine detail of JPEGs, which their decoder leaves out to save time."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    with Image.open(path) as image:
        sixteen_bits = image.mode[0] not in "IF" and ";16" in str(image.tile)  # the next line may empty `tile`
        turn = image.getexif().get(ORIENTATION, 1)
        stored = image.size, image.mode, turn
        drafted = image.draft(mode, (2 * width, 2 * height))
        ImageOps.exif_transpose(image, in_place=True)
        if sixteen_bits and 0 < max(high for _, high in image.getextrema()[:3]) < 16:
            raise OSError("its 16 bits a colour use the lower 12 alone, which Pillow leaves out; save it with 8")
        wide, high = drafted[1][2:] if drafted else image.size
        if drafted and turn in (5, 6, 7, 8):
            wide, high = high, wide
        x = (image.width - wide) * (turn in (2, 3, 6, 7))  # the last column and row of a draft may be a part of one,
        y = (image.height - high) * (turn in (3, 4, 7, 8))  # and is the first in a picture that is turned
        across, down = max(width, int(height * wide / high)), max(height, int(width * high / wide))
        left, top = round((across - width) / 2), round((down - height) / 2)
        box = (x + wide * left / across, y + high * top / down,
               x + wide * (left + width) / across, y + high * (top + height) / down)
        image = eight_bits(image).convert(mode).resize((width, height), Image.Resampling.BILINEAR, box)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1), stored


def eight_bits(image: Image.Image) -> Image.Image:
    """The picture laid over white where it is transparent; one of 16 or 32 bits or of floats scaled to 0 to 255."""
    if image.mode[0] in "IF":
        return Image.fromarray(scaled(np.asarray(image)))
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image


def scaled(values: np.ndarray) -> np.ndarray:
    """uint8 of grey values: white is the smallest of 255, 4095 and 65535 that none exceeds, or 1 for floats. Where some
    are negative or larger, black is the lowest value and white the highest."""
    tops = (*(1,) * (values.dtype.kind == "f"), 2**8 - 1, 2**12 - 1, 2**16 - 1)
    values = np.where(np.isfinite(values), values, 0).astype(np.float64)
    low, high = values.min(), values.max()
    white = next((top for top in tops if low >= 0 and high <= top), None)
    if white is None:
        values, white = values - low, (high - low) or 1
    return (values * (255 / white) + 0.5).astype(np.uint8)
