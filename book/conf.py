"""Sphinx: the notebooks, with their stored outputs, become the chapters of a book."""

import runpy
import shutil
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
# Sphinx reads only below its own directory: before each build the chapters are copied in, and two pages are written:
# the map from papers to code, and the table of what the course covers. Git ignores all of them.
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
(HERE / "paper_to_code.md").write_text(runpy.run_path(str(HERE / "paper_to_code.py"))["page"]())
rows = tomllib.loads((HERE.parent / "tests" / "coverage.toml").read_text()).values()
table = ["# What the course covers", "", "| subject | taught in | proven by |", "|---|---|---|"]
table += [f"| {row['what']} | {row['section']} | `{row['test']}` |" for row in rows]
(HERE / "coverage.md").write_text("\n".join(table))

project = "cnncourse"
author = "The cnncourse authors"
project_copyright = "2026, the cnncourse authors. Text and figures CC BY 4.0, code MIT"
extensions = ["myst_nb"]
exclude_patterns = ["**/.ipynb_checkpoints"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath"]
html_theme = "sphinx_book_theme"
html_title = "Classic convolutional networks"
html_context = {"default_mode": "light"}
