"""How a notebook becomes a chapter: help folded away below each exercise, and links to the glossary.

Functions from notebook to notebook; conf.py calls `chapter` when Sphinx reads a notebook, so that the notebooks
themselves, which the book offers for download, stay as they are.
"""

import copy
import re

import nbformat
from nbformat import NotebookNode

from cnncourse import exercises
from cnncourse.exercises import Exercise
from cnncourse.instructor.editions import has

# Where a term is no prose: code, mathematics, headings, links, what is folded away, and other HTML.
NO_PROSE = r"```.*?```|`[^`]+`|\$\$.*?\$\$|\$[^$]+\$|^#[^\n]*|\[[^]]*\]\([^)]*\)|<details>.*?</details>|<[^>]+>"


def chapter(notebook: NotebookNode, lesson: str, entries: list[str]) -> NotebookNode:
    """entries: the terms of the glossary."""
    return with_help(with_links(notebook, entries), lesson)


def with_help(notebook: NotebookNode, lesson: str) -> NotebookNode:
    """Below each exercise and its check: the hints, one after another, and the solution, each folded away."""
    notebook, cells, answers = copy.deepcopy(notebook), [], iter(exercises.of_lesson(lesson))
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code" and has(cell, "check"):
            cells.append(nbformat.v4.new_markdown_cell(folded(next(answers))))
    notebook.cells = cells
    return notebook


def folded(exercise: Exercise) -> str:
    """In the form of a question's answers."""
    parts = [(f"Hint {i} of {len(exercise.hints)}", hint) for i, hint in enumerate(exercise.hints, 1)]
    parts.append(("A solution", exercise.solution()))
    return "\n".join(f"<details><summary>{title}</summary>\n\n{text}\n\n</details>" for title, text in parts)


def terms(glossary: str) -> list[str]:
    """What the {glossary} directive of a MyST page explains: its lines that are neither indented nor options."""
    entries = re.search(r"^```\{glossary\}\n(.*?)^```", glossary, re.DOTALL | re.MULTILINE)[1]
    return re.findall(r"^[^\s:].*", entries, re.MULTILINE)


def with_links(notebook: NotebookNode, entries: list[str]) -> NotebookNode:
    """Each term, where the text first uses it in plain sight, leads to its entry in the glossary.

    Of two terms that begin at the same word the longer one is meant: "max pooling", not "pooling".
    """
    notebook, waiting = copy.deepcopy(notebook), {entry.lower(): entry for entry in entries}
    words = "|".join(re.escape(term).replace(r"\ ", r"\s+") for term in sorted(entries, key=len, reverse=True))
    pattern = re.compile(rf"{NO_PROSE}|(?<![\w-])({words})(?:e?s)?(?![\w-])", re.DOTALL | re.MULTILINE | re.IGNORECASE)

    def link(match: re.Match) -> str:
        term = match[1] and waiting.pop(" ".join(match[1].lower().split()), None)
        return f"{{term}}`{' '.join(match[0].split())} <{term}>`" if term else match[0]

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = pattern.sub(link, cell.source)
    return notebook
