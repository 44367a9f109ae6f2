"""Sphinx: the notebooks, with their stored outputs, become the chapters of a book."""

import shutil
from pathlib import Path

HERE = Path(__file__).parent
# Sphinx reads only below its own directory: the chapters are copied in before each build, and ignored by git.
shutil.copytree(HERE.parent / "notebooks", HERE / "notebooks", dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(".ipynb_checkpoints"))

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
