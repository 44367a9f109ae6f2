"""The page "From paper to code": where each stage of each network stands in its paper, as its line in the file says."""

import ast
import inspect
import sys
from itertools import groupby
from types import ModuleType
from typing import NamedTuple

import torch

from cnncourse.models import MODELS

INTRODUCTION = """# From paper to code

Every stage of every network, with its output and the place in its paper that it reproduces. This page is generated from
the files in `cnncourse/models`, and a test refuses a stage that names neither a source nor "not in the paper".
"""


class Stage(NamedTuple):
    name: str
    code: str
    output: str
    source: str


def networks() -> dict[type, list[str]]:
    """The classes behind MODELS, each with the names of its forms."""
    found: dict[type, list[str]] = {}
    for name, factory in MODELS.items():
        with torch.device("meta"):
            found.setdefault(type(factory()), []).append(name)
    return found


def stages(network: type) -> list[Stage]:
    """The stages of `network` in the order of its file. The comment at the end of a stage's line holds its output and,
    after a comma, its source."""
    lines = inspect.getsource(network).splitlines(keepends=True)
    found = []
    for name, value in assigned(ast.parse("".join(lines))):
        output, _, source = lines[value.end_lineno - 1].partition("#")[2].partition(", ")
        if output:
            found.append(Stage(name, ast.unparse(value), " ".join(output.split()), source.strip()))
    return found


def assigned(owner: ast.AST) -> list[tuple[str, ast.expr]]:
    """Names and values of `super().__init__(OrderedDict(name=value))` and of `self.name = value`, line by line."""
    found = []
    for node in ast.walk(owner):
        match node:
            case ast.Expr(ast.Call(args=[ast.Call(ast.Name("OrderedDict"), keywords=keywords)])):
                found += [(keyword.arg, keyword.value) for keyword in keywords]
            case ast.Assign([ast.Attribute(ast.Name("self"), name)], value):
                found.append((name, value))
    return sorted(found, key=lambda item: item[1].lineno)


def parts(module: ModuleType, classes: list[type]) -> list[tuple[str, str]]:
    """The other functions and classes of a file, with their docstrings."""
    return [(f"`{name}`", " ".join(inspect.getdoc(part).split())) for name, part in vars(module).items()
            if (inspect.isclass(part) or inspect.isfunction(part)) and part.__module__ == module.__name__
            and part.__doc__ and part not in classes and name not in MODELS]


def page() -> str:
    text = [INTRODUCTION]
    for file, group in groupby(networks().items(), key=lambda item: item[0].__module__):
        forms = dict(group)
        title, _, rest = inspect.getdoc(sys.modules[file]).partition("\n")
        text.append(f"## {title.rstrip('.')}\n{rest}\n")
        for network, names in forms.items():
            text.append(f"### `{network.__name__}`\n\n{inspect.getdoc(network)}\n\nForms: `{'`, `'.join(names)}`.\n")
            text.append(table("Stage", "Code", "Output", "In the paper",
                              rows=[(s.name, f"`{s.code}`", s.output, s.source) for s in stages(network)]))
        text.append(f"### Building blocks of `{file.rpartition('.')[2]}.py`\n")
        text.append(table("Name", "What it is", rows=parts(sys.modules[file], list(forms))))
    return "\n".join(text)


def table(*titles: str, rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [titles, ["---"] * len(titles), *rows]) + "\n"
