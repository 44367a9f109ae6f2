"""cnncourse: readable reference implementations for a course on classic convolutional networks."""

from __future__ import annotations  # the doctor speaks on older Pythons, too

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from .loop import threads  # noqa: F401  before anything imports PyTorch

__version__ = "0.1.0"

T = TypeVar("T")


def pick(table: Mapping[str, T], name: str, kind: str) -> T:
    """table[name]; raises ValueError naming the nearest valid names (or all) where there is none."""
    text = isinstance(name, str)
    if text and name in table:
        return table[name]
    near = get_close_matches(name, table, n=3, cutoff=0.4) if text and not name.isdecimal() else []
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(table)}"
    raise ValueError(f"there is no {kind} '{name}': {hint}")


def in_short(error: Exception) -> str:
    """The first line of an error's message, of TorchScript's the last, after its kind where that is not one of
    PyTorch's usual."""
    kind = "" if isinstance(error, RuntimeError | ValueError) else type(error).__name__
    lines = str(error).strip(" .\n").splitlines() or [""]
    return ": ".join(filter(None, (kind, lines[-1 if "TorchScript" in lines[0] else 0]))) or type(error).__name__


def expanded(path: str | Path) -> Path:
    """The path, in which ~ stands for the home folder. Raises FileNotFoundError where there is none, ValueError
    for what is no path."""
    try:
        return Path(path).expanduser()
    except TypeError:
        raise ValueError(f"a folder is given by its path, not as a {type(path).__name__}") from None
    except RuntimeError as error:
        raise FileNotFoundError(f"this user has no home folder for {path}: set HOME, or name another place") from error


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write to, renamed to it afterwards: a crash leaves the old file or the new one. Where
    writing fails, nothing is left beside it. Raises OSError where `path` cannot be a file."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory: name a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no directory {path.parent} for {path.name}: make it, or take another")
    beside = path.with_name(path.name + ".partial")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())  # a power cut must not find the new name on the disk before what it names
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a file as `replacing` does, with the same bytes on every system."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
