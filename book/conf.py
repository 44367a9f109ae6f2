"""Sphinx: the notebooks, with their stored outputs, become the chapters of a book."""

import runpy
import shutil
from pathlib import Path

HERE = Path(__file__).parent
# Sphinx reads only below its own directory: before each build the chapters are copied in, and the map from papers to
# code is written. Git ignores both.
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
(HERE / "paper_to_code.md").write_text(runpy.run_path(str(HERE / "paper_to_code.py"))["page"]())

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
