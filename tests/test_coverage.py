"""Every subject of the tutorials that the course grew out of has a section that teaches it and a test of it."""

import ast
import re
import tomllib

import nbformat
import pytest
from conftest import ROOT

ROWS = tomllib.loads((ROOT / "tests" / "coverage.toml").read_text())
TESTS = {node.name for path in (ROOT / "tests").rglob("test_*.py") for node in ast.parse(path.read_text()).body
         if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def sections(place: str) -> dict[str, str]:
    """Heading → text below it, up to the next heading of its level, of a notebook, by its number; of the README; of the
    book, a page under its name."""
    if place == "book":
        return {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
    if place == "README":
        lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    else:
        notebook = nbformat.read(next((ROOT / "notebooks").glob(f"{place}_*.ipynb")), as_version=4)
        lines = [line if cell.cell_type == "markdown" else f" {line}"  # a comment is no heading
                 for cell in notebook.cells for line in cell.source.splitlines()]
    found, above = {}, []
    for line in lines:
        if match := re.match(r"(#+) (.+)$", line):
            above = [*(pair for pair in above if pair[0] < len(match[1])), (len(match[1]), match[2])]
        for _, heading in above:
            found[heading] = f"{found.get(heading, '')} {line}"
    return found


def test_at_least_eighty_subjects_are_named_once():
    assert len(ROWS) >= 80 and len({row["what"] for row in ROWS.values()}) == len(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_it_is_taught_and_tested(name):
    row = ROWS[name]
    place, _, heading = row["section"].partition(" ")
    found = sections(place)
    assert heading in found, f"{row['section']} is no section"
    assert row["says"] in " ".join(found[heading].split()), f"{row['section']} does not say: {row['says']}"
    assert row["test"] in TESTS
