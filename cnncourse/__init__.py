"""cnncourse: readable reference implementations for a course on classic convolutional networks."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

__version__ = "0.1.0"

T = TypeVar("T")


def pick(table: Mapping[str, T], name: str, kind: str) -> T:
    """table[name]; raises ValueError naming the nearest valid names (or all) where there is none."""
    if name in table:
        return table[name]
    near = get_close_matches(name, table, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(table)}"
    raise ValueError(f"there is no {kind} '{name}': {hint}")
