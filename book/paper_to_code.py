"""The page "From paper to code": where each stage of each network stands in its paper, read from the model files.

The source of a stage is what the comment at the end of its line names, or else the docstrings of the functions and
classes that build it and the first sentence of its network's. "Not in the paper" in any of them marks a departure.
"""

import ast
import inspect
import re
import sys
from itertools import groupby
from types import ModuleType
from typing import NamedTuple

from cnncourse.models import MODELS

NUMBER = r"(?:\d+(?:\.\d+)*|[IVX]+(?:\.[A-Z])?\b|[A-Z]\b)(?: \([a-z]\))?"
CITATION = re.compile(rf"(?:Section|Table|Figure|[Ee]quation|Appendix)s? {NUMBER}(?:(?:, | and ){NUMBER})*")
DEPARTURE = "not in the paper"
INTRODUCTION = f"""# From paper to code

Every stage of every network, with the place in its paper that it reproduces. This page is generated from the files in
`cnncourse/models`, and a test refuses a stage that names neither a source nor "{DEPARTURE}".
"""


class Stage(NamedTuple):
    name: str
    code: str
    output: str
    source: str
    note: str


def networks() -> dict[type, list[str]]:
    """The classes behind MODELS, each with the names of its forms."""
    found: dict[type, list[str]] = {}
    for name, factory in MODELS.items():
        found.setdefault(factory.__annotations__["return"], []).append(name)
    return found


def stages(network: type) -> list[Stage]:
    """The stages of all forms of `network`, in the order of its file."""
    module = sys.modules[network.__module__]
    lines, tree = inspect.getsource(module).splitlines(), ast.parse(inspect.getsource(module))
    definitions = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    home = definitions[network.__name__]
    definitions |= {node.name: node for node in ast.walk(home) if isinstance(node, ast.FunctionDef)}
    whole = re.split(r"\.\s|\.$", ast.get_docstring(home))[0]

    def rows(owner, *docstrings):
        for name, value in assigned(owner):
            names = [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]
            if name is None:  # **stem(): one of the functions that are called so
                for stem, function in definitions.items():
                    if stem.endswith(f"_{names[0]}"):
                        yield from rows(function, ast.get_docstring(function))
                continue
            comment = " ".join(lines[value.end_lineno - 1].partition("#")[2].split())
            output, _, note = comment.partition(", ")
            builders = [ast.get_docstring(definitions[n]) or "" for n in names if n in definitions]
            text = " ".join([whole, *docstrings, *builders])
            source = ", ".join(dict.fromkeys(CITATION.findall(comment) or CITATION.findall(text)))
            if DEPARTURE in f"{comment} {text}".lower():
                source = DEPARTURE
            yield Stage(name, ast.unparse(value), output, source, "" if note in source else note)

    return list(rows(home))


def assigned(owner: ast.AST) -> list[tuple[str | None, ast.expr]]:
    """Names and values of `OrderedDict(name=value)`, `self.name = value` and `return {"name": value}`."""
    found = []
    for node in ast.walk(owner):
        match node:
            case ast.Expr(ast.Call(args=[ast.Call(ast.Name("OrderedDict"), keywords=keywords)])):
                found += [(keyword.arg, keyword.value) for keyword in keywords]
            case ast.Assign([ast.Attribute(ast.Name("self"), name)], value):
                found.append((name, value))
            case ast.Return(ast.Dict(keys, values)):
                found += [(key.value, value) for key, value in zip(keys, values, strict=True)]
    return sorted(found, key=lambda item: item[1].lineno)


def parts(module: ModuleType) -> list[tuple[str, str]]:
    """The other functions and classes of a file, with their docstrings."""
    return [(f"`{name}`", " ".join(inspect.getdoc(part).split())) for name, part in vars(module).items()
            if (inspect.isclass(part) or inspect.isfunction(part)) and part.__module__ == module.__name__
            and part.__doc__ and part not in networks()]


def page() -> str:
    text = [INTRODUCTION]
    for file, classes in groupby(networks().items(), key=lambda item: item[0].__module__):
        title, _, rest = inspect.getdoc(sys.modules[file]).partition("\n")
        text.append(f"## {title.rstrip('.')}\n{rest}\n")
        for network, forms in classes:
            text.append(f"### `{network.__name__}`\n\n{inspect.getdoc(network)}\n\nForms: `{'`, `'.join(forms)}`.\n")
            text.append(table("Stage", "Code", "Output", "In the paper", "Note",
                              rows=[(s.name, f"`{s.code}`", s.output, s.source, s.note) for s in stages(network)]))
        text.append(f"### Building blocks of `{file.rpartition('.')[2]}.py`\n")
        text.append(table("Name", "What it is", rows=parts(sys.modules[file])))
    return "\n".join(text)


def table(*head: str, rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows]) + "\n"
