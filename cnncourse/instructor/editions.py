"""One source, several editions: notebooks → the student's own copies, solutions, a clean form to recall from, nbgrader.

A notebook is read, changed by one of these functions, and written elsewhere.
"""

import ast
import hashlib
import inspect
import json
import re
from pathlib import Path
from urllib.parse import quote

import nbformat
from nbformat import NotebookNode

from .. import exercises, replacing, write_text
from ..exercises import Exercise

COPIED = ".cnncourse.json"  # in the student's folder: which version of each notebook was copied there
EXPORTED = "cnncourse_exported"  # in an exported notebook's metadata: its stamp
UNREADABLE = "unreadable"  # in place of a fingerprint


def has(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def fingerprint(notebook: NotebookNode) -> str:
    """Of what a person writes: the cells' sources, without outputs."""
    return hashlib.sha256(json.dumps([cell.source for cell in notebook.cells]).encode()).hexdigest()


def hand_out(notebooks: list[Path], folder: Path) -> list[str]:
    """Copy the notebooks into the student's folder; returns a sentence for each.

    A notebook in which the student has written is never touched: a newer one of the course is put beside it, as
    NAME.new.ipynb.
    """
    folder.mkdir(parents=True, exist_ok=True)
    list_of_copies = folder / COPIED
    try:
        copied = dict(json.loads(list_of_copies.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # nothing is known of what is there: nothing of it is replaced
        copied = {}
    said = []
    for path in notebooks:
        ours, target = path.read_text(encoding="utf-8"), folder / path.name
        version = fingerprint(nbformat.reads(ours, as_version=4))
        theirs = written_in(target) if target.exists() else None
        if theirs is None:
            write_text(target, ours)
            said.append(f"{target}: copied")
        elif theirs == UNREADABLE:
            said.append(f"{target}: kept, but it is no readable notebook: give it another name to get a fresh copy")
            continue
        elif version in (theirs, copied.get(path.name)):
            said.append(f"{target}: kept as it is")
        elif theirs == copied.get(path.name):
            write_text(target, ours)
            said.append(f"{target}: replaced by the newer one; nothing was written in it")
        else:
            beside = target.with_suffix(".new.ipynb")
            while beside.exists() and written_in(beside) != copied.get(beside.name):
                beside = beside.with_name(f"{beside.name.removesuffix('.ipynb')}.new.ipynb")  # answers there, too
            write_text(beside, ours)
            copied[beside.name] = version
            said.append(f"{target}: your answers are kept; the newer notebook is {beside.name}")
        copied[path.name] = version
    write_text(list_of_copies, json.dumps(copied, indent=1))
    return said


def require_no_answers(folder: Path) -> None:
    """Raises ValueError where `hand_out` has made the folder: nothing must take the place of a student's notebooks."""
    if (folder / COPIED).exists():
        raise ValueError(f"{folder} holds a student's own notebooks: choose another directory")


def require_empty(folder: Path) -> None:
    """Raises FileExistsError where there is a file in the folder, or in its place."""
    there = [folder.name] if folder.is_file() else sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    if there:
        raise FileExistsError(f"{folder} holds {', '.join(there[:3])}, which {'are' if len(there) > 1 else 'is'} kept: "
                              "name a new or empty directory with --out")


def put_alone(folder: Path, name: str, content: bytes) -> Path:
    """Write a file into a new or empty folder; returns its path. Raises FileExistsError as `require_empty`."""
    require_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / name) as beside:
        beside.write_bytes(content)
    return folder / name


def written_in(path: Path) -> str:
    """The fingerprint of a student's file, which may be damaged."""
    try:
        return fingerprint(nbformat.read(path, as_version=4))
    except (ValueError, AttributeError, TypeError, nbformat.ValidationError):  # no JSON, or JSON that is no notebook
        return UNREADABLE


def put(target: Path, notebook: NotebookNode) -> str:
    """Write an exported notebook, but not over one that was edited since; returns what to say."""
    notebook.metadata[EXPORTED] = stamp(notebook)
    if target.exists():
        try:
            there = nbformat.read(target, as_version=4)
            edited = there.metadata.get(EXPORTED) != stamp(there)
        except (ValueError, AttributeError, TypeError, nbformat.ValidationError):  # whatever it is, it is not ours
            edited = True
        if edited:
            return f"{target}: kept, because it was edited; move it away, or export into another directory"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, nbformat.writes(notebook))
    return str(target)


def stamp(notebook: NotebookNode) -> str:
    """Of what an instructor edits: sources, and nbgrader's points."""
    edited = [[cell.source, cell.metadata.get("nbgrader")] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(edited, sort_keys=True).encode()).hexdigest()


def put_configuration(folder: Path) -> str:
    """Write nbgrader's configuration, beside one that is there and says something else; returns what to say."""
    target = folder / "nbgrader_config.py"
    if not target.exists() or target.read_text(encoding="utf-8") == CONFIGURATION:
        write_text(target, CONFIGURATION)
        return str(target)
    beside = folder / "nbgrader_config.new.py"
    write_text(beside, CONFIGURATION)
    return f"{target}: kept, because it was edited; the course's own is {beside.name}"


def sections(path: Path) -> dict[str, str]:
    """The title of the section in which each exercise of a lesson stands, by the exercise's name."""
    title, found = "", []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            title = ([line[3:] for line in cell.source.splitlines() if line.startswith("## ")] or [title])[-1]
        found += [title] if has(cell, "exercise") else []
    return {exercise.name: title for exercise, title in zip(exercises.of_lesson(path.stem), found, strict=True)}


def with_solutions(notebook: NotebookNode, lesson: str) -> NotebookNode:
    """Every exercise answered by the package's solution. Not executed: outputs are those of the blank notebook."""
    answers = iter(exercises.of_lesson(lesson))
    for cell in notebook.cells:
        if has(cell, "exercise"):
            cell.source = answer(next(answers))
        if cell.cell_type == "code" and has(cell, "check"):
            blank(cell)
    return notebook


def answer(exercise: Exercise) -> str:
    """The solution's text, under the imports that it needs."""
    text = exercises.source(exercise.function)
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    module = inspect.getmodule(exercise.function)
    lines = []
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            node.names = [name for name in node.names if (name.asname or name.name.split(".")[0]) in used]
            if isinstance(node, ast.ImportFrom) and node.level == 2:  # ..layers is cnncourse.layers for a notebook
                node.module, node.level = ".".join(filter(None, ["cnncourse", node.module])), 0
            if node.names:
                lines.append(ast.unparse(node))
    return "\n".join([*lines, "", "", text] if lines else [text])


def clean(notebook: NotebookNode, lesson: str = "") -> NotebookNode:
    """Code without its outputs, and headings: what is left to recall a lesson from, whichever it is."""
    notebook.cells = [cell for cell in notebook.cells if not has(cell, "question")]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            blank(cell)
        else:
            cell.source = "\n".join(line for line in cell.source.splitlines() if line.startswith("#"))
    notebook.cells = [cell for cell in notebook.cells if cell.source]
    return notebook


def blank(cell: NotebookNode) -> None:
    cell.outputs, cell.execution_count = [], None


def hosted(notebook: NotebookNode, place: str, repository: str) -> NotebookNode:
    """A notebook that runs on Colab and Kaggle: links that open it there, and a first cell that installs the course.

    repository: "owner/name" on GitHub, of the instructor's copy of the course. place: where in it the notebook will be,
    on the branch main. Raises ValueError where `repository` is not of this form.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]+/(?!\.+$)[\w.-]+(?<!\.git)", repository, re.ASCII):
        raise ValueError(f"--hosted takes the OWNER/NAME of a repository on GitHub, such as octocat/cnncourse, "
                         f"not {repository!r}")
    place = f"{repository}/blob/main/{quote(place)}"
    links = (f"[Open in Colab](https://colab.research.google.com/github/{place}) · "
             f"[Open in Kaggle](https://kaggle.com/kernels/welcome?src=https://github.com/{place})")
    notebook.cells[0].source += f"\n\n{links}"
    install = (f"import importlib.util\n\nif importlib.util.find_spec('cnncourse') is None:\n"
               f"    get_ipython().run_line_magic('pip', 'install --quiet git+https://github.com/{repository}')")
    notebook.cells.insert(1, nbformat.v4.new_code_cell(install))
    return notebook


def assignment(notebook: NotebookNode, lesson: str) -> NotebookNode:
    """The instructor's source for nbgrader: stub and marked solution, then a check that counts a point a minute."""
    written = iter(exercises.of_lesson(lesson))
    imports = next(cell for cell in notebook.cells if cell.cell_type == "code" and "import" in cell.source)
    mark(imports, "imports", locked=True)
    for cell in notebook.cells:
        if has(cell, "exercise"):
            current = next(written)
            cell.source += f"\n\n\n### BEGIN SOLUTION\n{answer(current)}\n### END SOLUTION"
            mark(cell, f"answer-{current.name.replace('.', '-')}", solution=True)
        elif cell.cell_type == "code" and has(cell, "check"):
            cell.source = f"result = {cell.source}\nassert result, result"
            mark(cell, current.name.replace(".", "-"), locked=True, grade=True, points=current.minutes)
    return notebook


def mark(cell: NotebookNode, name: str, **values) -> None:
    """nbgrader's metadata."""
    cell.metadata.nbgrader = {"grade": False, "grade_id": name, "locked": False, "schema_version": 3, "solution": False,
                              "task": False} | values
    blank(cell)


EDITIONS = {"solutions": with_solutions, "clean": clean, "nbgrader": assignment}
CONFIGURATION = '''"""How nbgrader grades the exercises of cnncourse."""

from contextlib import suppress

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "cnncourse"
c.ClearSolutions.code_stub = {"python": "# Write your answer in place of the three dots."}
c.Autograde.sanitize_preprocessors = [
    "nbgrader.preprocessors.ClearOutput",
    "cnncourse.instructor.grading.Restore",  # in place of nbgrader.preprocessors.DeduplicateIds
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "cnncourse.instructor.grading.Grade",  # in place of nbgrader.preprocessors.Execute
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "cnncourse.instructor.grading.LeaveOpen",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
with suppress(ImportError):  # nbgrader leaves a configuration out that raises; where the course is missing, it says so
    from cnncourse.instructor.grading import tell_at_the_end

    tell_at_the_end()
'''
