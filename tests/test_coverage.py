"""Every subject of the tutorials that the course grew out of has a section that teaches it and a test of it."""

import ast
import re
import tomllib
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
ROWS = tomllib.loads((ROOT / "tests" / "coverage.toml").read_text())
TESTS = {node.name for path in (ROOT / "tests").glob("test_*.py") for node in ast.parse(path.read_text()).body
         if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def headings(place: str) -> set[str]:
    """Of a notebook, by its number; of the README; the book's pages by their names."""
    if place == "book":
        return {path.stem for path in (ROOT / "book").glob("*.md")}
    if place == "README":
        texts = [(ROOT / "README.md").read_text()]
    else:
        notebook = nbformat.read(next((ROOT / "notebooks").glob(f"{place}_*.ipynb")), as_version=4)
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return {heading for text in texts for heading in re.findall(r"^#+ (.+)$", text, re.M)}


def test_at_least_eighty_subjects_are_named_once():
    assert len(ROWS) >= 80 and len({row["what"] for row in ROWS.values()}) == len(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_it_is_taught_and_tested(name):
    row = ROWS[name]
    place, _, heading = row["section"].partition(" ")
    assert heading in headings(place), f"{row['section']} is no section"
    assert row["test"] in TESTS
