"""The figures of the lessons in one archive, for slides of your own: each with its caption, alt text and licence."""

import base64
import csv
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import nbformat

LICENCE = """\
These figures are under the Creative Commons Attribution 4.0 International licence
(CC BY 4.0, https://creativecommons.org/licenses/by/4.0/): share and adapt them, with credit to "cnncourse".

Figures of lessons 1, 3, 5 and 9 show two photographs that scikit-learn ships, both under CC BY 2.0
(https://creativecommons.org/licenses/by/2.0/): the pagoda by danielbuechele
(https://www.flickr.com/photos/danielbuechele/6061409035/), and the flower by vultilion
(https://www.flickr.com/photos/vultilion/6056698931/). Credit them as well where they are seen.
"""


def of_lesson(path: Path) -> Iterator[tuple[str, bytes, str, str]]:
    """Name, content, caption and alt text of each figure in a notebook's stored outputs. A drawing is SVG, and its
    <desc> says what it shows. Raises ValueError where a figure has no output."""
    for cell in nbformat.read(path, as_version=4).cells:
        described = cell.metadata.get("mystnb", {})
        if "figure" in described:
            name, caption = described.figure.name, described.figure.caption
            shown = {kind: text for output in cell.outputs for kind, text in output.get("data", {}).items()}
            drawn = re.search("<svg.*?</svg>", shown.get("text/html", ""), re.DOTALL)
            if "image/png" in shown:
                yield f"{name}.png", base64.b64decode(shown["image/png"]), caption, described.image.alt
            elif drawn:
                yield f"{name}.svg", drawn[0].encode(), caption, re.search("<desc>(.*?)</desc>", drawn[0])[1]
            else:
                raise ValueError(f"{path} has no output for its figure {name}: execute the notebook first")


def archive(lessons: list[Path]) -> bytes:
    """A zip file: a folder of figures for each lesson, a table of what they show, and the licence."""
    made, table = io.BytesIO(), io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["file", "caption", "alt text", "licence"])
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as files:
        for path in lessons:
            for name, content, caption, alt in of_lesson(path):
                files.writestr(f"{path.stem}/{name}", content)
                rows.writerow([f"{path.stem}/{name}", caption, alt, "CC BY 4.0, see LICENCE.txt"])
        files.writestr("figures.csv", "\ufeff" + table.getvalue())  # the mark by which Excel knows UTF-8
        files.writestr("LICENCE.txt", LICENCE)
    return made.getvalue()
