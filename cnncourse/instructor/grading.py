"""nbgrader grades the exercises with their own checks, which `judge` runs in another process.

What a submitted notebook does to `check`, to the exercises or to its kernel does not reach that process: it gets the
text of the cells alone. `cnncourse export --nbgrader` writes the configuration that puts these preprocessors in the
place of nbgrader's own, and that names, when all is done, what was not graded.
"""

import atexit
import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor

NOTES = "cnncourse"  # in a graded notebook's metadata: of which file it was made, and what is to be said of it
NOT_GRADED = "not graded"  # an outcome, and the name of the error under its check


class Restore(NbGraderPreprocessor):
    """Puts nbgrader's marks on a submission's cells as the assignment has them.

    Students split and copy cells, and tools clear metadata; nbgrader ends at some of that, and at the rest gives no
    points without a word. A check that is missing comes back below its answer, or at the end.
    """

    def preprocess(self, notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        marks, texts = assigned(resources["nbgrader"])
        lost, doubled, found = [], [], set()
        for cell in reversed(notebook.cells):  # of several with one mark, the last keeps it
            mark = cell.metadata.pop("nbgrader", None)
            name = mark.get("grade_id") if isinstance(mark, dict) else None
            if name in marks and name not in found:
                cell.metadata.nbgrader = marks[name]
                found.add(name)
            elif name in marks:
                doubled.append(name)
        for name in (name for name, mark in marks.items() if mark["grade"] and name not in found):
            lost.append(name)
            same = [cell for cell in notebook.cells if "nbgrader" not in cell.metadata and
                    cell.cell_type == marks[name]["cell_type"] and cell.source.strip() == texts[name].strip()]
            if not same:
                new = nbformat.v4.new_code_cell if marks[name]["cell_type"] == "code" else nbformat.v4.new_markdown_cell
                same = [new(texts[name])]
                if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
                    del same[0]["id"]
                marked = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in notebook.cells]
                place = marked.index(f"answer-{name}") + 1 if f"answer-{name}" in marked else len(marked)
                notebook.cells[place:place] = same
            same[-1].metadata.nbgrader = marks[name]
        file = Path(resources["metadata"]["path"], resources["nbgrader"]["notebook"] + ".ipynb")
        said = [f"{words}: {', '.join(names)}" for words, names in
                (("nbgrader's marks were restored", lost), ("cells that bore one mark", doubled)) if names]
        notebook.metadata[NOTES] = {"file": digest(file), "repaired": said}
        return notebook, resources


class Grade(NbGraderPreprocessor):
    """Puts the verdict on each answer under its check: an error, which nbgrader takes for no points, or the praise."""

    def preprocess(self, notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        folder = str(Path(resources.get("metadata", {}).get("path", ".")).resolve())
        cells, checks, left = [], [], {}
        for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
            mark = cell.metadata.get("nbgrader", {})
            if mark.get("grade") and not mark.get("solution"):  # of the others, nbgrader leaves the points to a person
                checks.append((cell, mark.grade_id, len(cells)))
            else:
                cells.append(cell.source)
        for cell, name, place in checks:
            exercise = name.replace("-", ".", 1)
            outcome, message = verdict({"exercise": exercise, "cells": cells, "check": place, "folder": folder})
            text = f"{outcome.capitalize()}. {message}"
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) if outcome == "correct" else
                            nbformat.v4.new_output("error", ename=outcome, evalue=text, traceback=[text])]
            if outcome == NOT_GRADED:
                left[name] = message
        notebook.metadata.setdefault(NOTES, {})["left"] = left
        return notebook, resources


class LeaveOpen(NbGraderPreprocessor):
    """Takes the points, none, from the checks without a verdict: nbgrader then shows them as to be graded by hand."""

    def preprocess(self, notebook: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        names = resources["nbgrader"]
        with Gradebook(names["db_url"]) as book:
            for name in notebook.metadata.get(NOTES, {}).get("left", {}):
                grade = book.find_grade(name, names["notebook"], names["assignment"], names["student"])
                grade.auto_score, grade.needs_manual_grade = None, True
            book.db.commit()
        return notebook, resources


def assigned(names: dict) -> tuple[dict[str, dict], dict[str, str]]:
    """nbgrader's marks of the assignment's cells, and their sources, by name."""
    with Gradebook(names["db_url"]) as book:
        kept = book.find_notebook(names["notebook"], names["assignment"])
        points = {cell.name: cell.max_score for cell in [*kept.grade_cells, *kept.task_cells]}
        grades, solutions, tasks = ({cell.name for cell in cells} for cells in
                                    (kept.grade_cells, kept.solution_cells, kept.task_cells))
        marks = {cell.name: {"cell_type": cell.cell_type, "checksum": cell.checksum, "grade": cell.name in grades,
                             "grade_id": cell.name, "locked": cell.locked, "schema_version": 3,
                             "solution": cell.name in solutions, "task": cell.name in tasks}
                 for cell in kept.source_cells}
        for name, most in points.items():
            marks[name]["points"] = most
        return marks, {cell.name: cell.source for cell in kept.source_cells}


def verdict(job: dict) -> tuple[str, str]:
    """(outcome, message) of a job; see `judge.verdict`."""
    process = judge()
    try:
        print(json.dumps(job), file=process.stdin, flush=True)
        return tuple(json.loads(process.stdout.readline()))
    except (OSError, ValueError) as error:  # it has ended: the next job gets another
        process.kill()
        judge.cache_clear()
        return NOT_GRADED, f"The process that judges has ended ({type(error).__name__}); its last words stand above."


@cache
def judge() -> subprocess.Popen:
    """The process that judges: it takes seconds to start, and then serves every submission."""
    return subprocess.Popen([sys.executable, "-m", "cnncourse.instructor.judge"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, encoding="utf-8")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shortcomings(course: Path, assignments: str = "*") -> list[str]:
    """A sentence for all that was not graded, or only after a repair, of what lies in the course's `submitted`."""
    said = []
    for submission in sorted(course.glob(f"submitted/*/{assignments}")):
        student, assignment = submission.parent.name, submission.name
        for source in sorted(course.glob(f"source/{assignment}/*.ipynb")):
            handed, graded = submission / source.name, course / "autograded" / student / assignment / source.name
            why = []
            if not handed.exists():
                others = ", ".join(path.name for path in sorted(submission.glob("*"))) or "nothing"
                why = [f"not graded: the folder holds {others}, and no {source.name}"]
            elif not graded.exists():
                why = [f"not graded: {unreadable(handed) or 'nbgrader has not taken it, its messages say why'}"]
            else:
                notes = json.loads(graded.read_text(encoding="utf-8"))["metadata"].get(NOTES, {})
                if notes.get("file") != digest(handed):
                    why = [f"not graded: handed in again after it was graded; nbgrader autograde {assignment} "
                           f"--student {student} --force"]
                why += [f"not graded: {name}: {message}" for name, message in notes.get("left", {}).items()]
                why += [f"repaired: {words}" for words in notes.get("repaired", [])]
            said += [f"{student}, {assignment}: {words}" for words in why]
    return said


def unreadable(path: Path) -> str:
    try:
        nbformat.validate(nbformat.read(path, as_version=4))
    except Exception as error:  # whatever a student's file may hold
        return f"{path.name} is no readable notebook ({' '.join(str(error).split())[:80]})"
    return ""


def tell_at_the_end() -> None:
    """For nbgrader's configuration: after `nbgrader autograde`, say what was not graded."""
    if "autograde" in sys.argv:
        atexit.unregister(tell)  # nbgrader reads its configuration twice
        atexit.register(tell, Path.cwd())


def tell(course: Path) -> None:
    given = [word.rpartition("=")[2] for word in sys.argv]
    assignments = {path.name for path in course.glob("submitted/*/*")} & set(given)
    said = [line for name in sorted(assignments) for line in shortcomings(course, name)]
    print("\nnot graded, or graded after a repair:" if said else "\nevery submission was graded", *said, sep="\n  ",
          file=sys.stderr)
