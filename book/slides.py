"""Each notebook becomes a deck of slides in build/slides, which asks nothing of another host.

    python book/slides.py [notebooks/04_vgg.ipynb ...]

The cells' own `slideshow` metadata says what is shown (slide, subslide, fragment), spoken (notes) and left out (skip).
"""

import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

from nbconvert import SlidesExporter
from traitlets.config import Config

from cnncourse.show.explorer import classic_script

HERE = Path(__file__).parent
REVEAL = Path(distribution("sphinx-revealjs").locate_file("sphinx_revealjs/_static/revealjs"))
MATHJAX = Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax"))
CONFIG = Config()
CONFIG.SlidesExporter.template_file = str(HERE / "slides.html.j2")
CONFIG.TemplateExporter.exclude_input_prompt = CONFIG.TemplateExporter.exclude_output_prompt = True
CONFIG.HTMLExporter.exclude_anchor_links = True
CONFIG.TagRemovePreprocessor.enabled = True
CONFIG.TagRemovePreprocessor.remove_input_tags = {"hide-input"}  # the book folds the same cells
CONFIG.NbConvertBase.display_data_priority = ["text/html", "text/markdown", "image/svg+xml", "image/png", "text/plain"]
CONFIG.CoalesceStreamsPreprocessor.enabled = True  # a kernel may cut printed text anywhere
CONFIG.CSSHTMLHeaderPreprocessor.style = "a11y-high-contrast-light"


def build(notebooks: list[Path], out: Path) -> None:
    """Write out/NAME.html for each notebook, and out/assets from the wheels of the `book` extra."""
    assets = out / "assets"
    shutil.copytree(REVEAL / "dist", assets, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.map", "*.esm.js"))
    for script in (REVEAL / "plugin" / "notes" / "notes.js", MATHJAX / "tex-svg.js"):
        shutil.copy(script, assets)
    (assets / "explorer.js").write_text(classic_script(), encoding="utf-8")
    exporter = SlidesExporter(config=CONFIG)
    for path in notebooks:
        page, _ = exporter.from_filename(str(path))
        (out / f"{path.stem}.html").write_text(page.replace('.ipynb"', '.html"'), encoding="utf-8")


if __name__ == "__main__":
    given = [Path(name) for name in sys.argv[1:]]
    build(given or sorted((HERE.parent / "notebooks").glob("[0-9]*.ipynb")), HERE.parent / "build" / "slides")
