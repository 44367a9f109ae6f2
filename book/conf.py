"""Sphinx: the notebooks, with their stored outputs, become the chapters of a book that needs no network."""

import importlib.resources
import runpy
import shutil
import tomllib
from pathlib import Path

import nbformat

from cnncourse.show.explorer import classic_script

HERE = Path(__file__).parent
CHAPTERS = runpy.run_path(str(HERE / "chapters.py"))
# Sphinx reads only below its own directory: before each build the notebooks are copied in, and some files are written.
# Git ignores all of them.
COPIES = HERE / "notebooks"
shutil.rmtree(COPIES, ignore_errors=True)
shutil.copytree(HERE.parent / "notebooks", COPIES, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
for name in ("counters", "paper_to_code", "pictures", "records", "tools"):
    (HERE / f"{name}.md").write_text(runpy.run_path(str(HERE / f"{name}.py"))["page"](), encoding="utf-8")
rows = tomllib.loads((HERE.parent / "tests" / "coverage.toml").read_text(encoding="utf-8")).values()
table = ["# What the course covers", "", "| subject | taught in | proven by |", "|---|---|---|"]
table += [f"| {row['what']} | {row['section']} | `{row['test']}` |" for row in rows]
(HERE / "coverage.md").write_text("\n".join(table), encoding="utf-8")
(HERE / "_static" / "explorer.js").write_text(classic_script(), encoding="utf-8")

project = "cnncourse"
author = "The cnncourse authors"
project_copyright = "2026, the cnncourse authors. Text and figures CC BY 4.0, code MIT"
extensions = ["myst_nb", "sphinxcontrib.bibtex"]
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # by default require.js and a widget manager from another host
# The explorer is a widget in JupyterLab; for a page it stores a place where its script begins.
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
myst_enable_extensions = ["dollarmath", "amsmath"]
bibtex_bibfiles = ["references.bib"]
html_theme = "sphinx_book_theme"
html_title = "Classic convolutional networks"
html_context = {"default_mode": "auto"}  # dark where the system is dark
html_theme_options = {"navbar_persistent": []}  # one search field, that of the sidebar
# MathJax comes from a Python package, one file with its fonts. Sphinx loads it on pages with mathematics only.
mathjax_path = "tex-svg.js"
mathjax3_config = {"options": {"enableMenu": False}}  # the menu would make every formula a stop for the Tab key
html_static_path = ["_static", str(importlib.resources.files("sphinx-mathjax-offline") / "static/mathjax/tex-svg.js")]
html_favicon = "_static/favicon.svg"
html_css_files = ["custom.css"]
html_js_files = ["from_disk.js"]


def read(app, docname: str, source: list[str]) -> None:
    """A notebook becomes a chapter as Sphinx reads it."""
    folder, _, lesson = docname.rpartition("/")
    if folder == COPIES.name:
        terms = CHAPTERS["terms"]((HERE / "glossary.md").read_text(encoding="utf-8"))
        source[0] = nbformat.writes(CHAPTERS["chapter"](nbformat.reads(source[0], as_version=4), lesson, terms))


def load_explorer(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Only on pages that show it."""
    if '<div class="convolution-explorer"' in context.get("body", ""):
        app.add_js_file("explorer.js", loading_method="defer")


def setup(app) -> None:
    app.connect("source-read", read)
    app.connect("html-page-context", load_explorer)
