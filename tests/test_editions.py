"""One source, several editions: what each holds, what it must not hold, and grading that is not fooled."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from conftest import ROOT, command, needs_posix
from nbgrader.api import Gradebook
from test_exercises import WRITTEN

from cnncourse import exercises
from cnncourse.exercises import vgg
from cnncourse.instructor import editions, grading
from cnncourse.tools.progress import named, note, overview

FOLDER = ROOT / "notebooks"
lessons = pytest.mark.parametrize("lesson", WRITTEN)


def read(lesson):
    return nbformat.read(FOLDER / f"{lesson}.ipynb", as_version=4)


@lessons
def test_in_the_edition_with_solutions_every_check_is_correct(lesson):
    notebook = editions.with_solutions(read(lesson), lesson)
    space, checked = {}, 0
    for cell in (c for c in notebook.cells if c.cell_type == "code"):
        if editions.has(cell, "check"):
            assert eval(cell.source, space), cell.source
            checked += 1
        elif editions.has(cell, "exercise") or checked == 0 and "from cnncourse.exercises" in cell.source:
            exec(cell.source, space)
    assert checked == len(exercises.of_lesson(lesson))


@lessons
def test_the_students_notebook_holds_no_solution(lesson):
    notebook = read(lesson)
    for ex in exercises.of_lesson(lesson):
        body = exercises.source(ex.function).split('"""')[-1]  # below the docstring
        lines = [" ".join(line.split()) for line in body.splitlines() if line.strip()]
        for cell in notebook.cells:
            held = [" ".join(line.split()) for line in json.dumps(cell).encode().decode("unicode_escape").splitlines()]
            one = len(lines) == 1 and lines[0].removeprefix("return ") in " ".join(held)  # perhaps amid other text
            assert not (one or all(line in held for line in lines)), f"{ex.name} stands in the notebook"


@lessons
def test_the_clean_edition_holds_code_and_headings_alone(lesson):
    source, cleaned = read(lesson), editions.clean(read(lesson))
    codes = [c.source for c in source.cells if c.cell_type == "code"]
    assert [c.source for c in cleaned.cells if c.cell_type == "code"] == codes
    text = [line for c in cleaned.cells if c.cell_type == "markdown" for line in c.source.splitlines()]
    assert len(text) > 5 and all(line.startswith("#") for line in text)
    assert not any(c.outputs for c in cleaned.cells if c.cell_type == "code")


def test_the_hosted_edition_installs_the_course_only_where_it_is_missing():
    notebook = editions.hosted(read("04_vgg"), "colab/04_vgg.ipynb", "someone/course")
    called = []
    shell = SimpleNamespace(run_line_magic=lambda *words: called.append(words))
    exec(notebook.cells[1].source, {"get_ipython": lambda: shell})
    assert called == []
    exec(notebook.cells[1].source.replace("'cnncourse'", "'no_such_package'"), {"get_ipython": lambda: shell})
    assert called == [("pip", "install --quiet git+https://github.com/someone/course")]


def test_the_links_of_the_hosted_edition_open_the_notebook_that_has_the_installing_cell(tmp_path, capsys):
    out = tmp_path / "class of {2026}"
    assert command("export", "04", "--hosted", "someone/course.2", "--out", out) == 0
    said = capsys.readouterr().out
    assert "commit these as class of {2026}/ at the top of someone/course.2, on its branch main" in said
    notebook = nbformat.read(out / "04_vgg.ipynb", as_version=4)
    assert "git+https://github.com/someone/course.2'" in notebook.cells[1].source
    place = "github{}/someone/course.2/blob/main/class%20of%20%7B2026%7D/04_vgg.ipynb)"
    assert f"(https://colab.research.google.com/{place.format('')}" in notebook.cells[0].source
    assert f"(https://kaggle.com/kernels/welcome?src=https://{place.format('.com')}" in notebook.cells[0].source


@pytest.mark.parametrize("given", ["owner", "https://github.com/a/b", "github.com/a/b", "a b/c", "a/b c", "a/b/", "/b",
                                   "", "a/b/c", "a/..", "a/b.git", "a/b\n", "git@github.com:a/b", "a/b#c"])
def test_what_is_no_repository_is_refused_before_anything_is_written(given, tmp_path, capsys):
    assert command("export", "--hosted", given, "--out", tmp_path / "colab") == 2 and list(tmp_path.iterdir()) == []
    assert f"takes the OWNER/NAME of a repository on GitHub, such as octocat/cnncourse, not {given!r}" in (
        capsys.readouterr().err)


def test_every_edition_is_written(tmp_path):
    for words in (["--solutions"], ["--clean"], ["--hosted", "a/b"], ["--nbgrader"]):
        assert command("export", "04", *words, "--out", tmp_path / words[0]) == 0
    assert len(list(tmp_path.rglob("04_vgg.ipynb"))) == 4 and (tmp_path / "--nbgrader/nbgrader_config.py").exists()


def test_a_students_copy_is_never_overwritten(tmp_path):
    ours = tmp_path / "02_lenet.ipynb"
    course, mine = read("02_lenet"), tmp_path / "mine" / "02_lenet.ipynb"
    nbformat.write(course, ours)
    assert editions.hand_out([ours], mine.parent) == [f"{mine}: copied"]
    assert editions.hand_out([ours], mine.parent) == [f"{mine}: kept as it is"]

    newer = copy.deepcopy(course)
    newer.cells[0].source += "\nA new sentence."
    nbformat.write(newer, ours)
    assert "replaced by the newer one" in editions.hand_out([ours], mine.parent)[0]

    theirs = nbformat.read(mine, as_version=4)
    theirs.cells[3].source += "\nanswer = 42"
    nbformat.write(theirs, mine)
    written = mine.read_text()
    assert "kept as it is" in editions.hand_out([ours], mine.parent)[0]
    newer.cells[0].source += " And another."
    nbformat.write(newer, ours)
    said = editions.hand_out([ours], mine.parent)[0]
    assert "your answers are kept; the newer notebook is 02_lenet.new.ipynb" in said
    assert mine.read_text() == written and "And another." in (mine.parent / "02_lenet.new.ipynb").read_text()
    assert "kept as it is" in editions.hand_out([ours], mine.parent)[0]

    second = mine.parent / "02_lenet.new.ipynb"
    newer.cells[0].source += " A third."
    nbformat.write(newer, ours)
    said = editions.hand_out([ours], mine.parent)[0]
    assert "notebook is 02_lenet.new.ipynb" in said  # nothing was written in that one
    nbformat.write(theirs, second)
    newer.cells[0].source += " A fourth."
    nbformat.write(newer, ours)
    assert "notebook is 02_lenet.new.new.ipynb" in editions.hand_out([ours], mine.parent)[0]
    assert "answer = 42" in second.read_text() and mine.read_text() == written


@pytest.mark.parametrize("text", ["{cut off", "[]", "{}", "", '{"nbformat": 4, "cells": 3}'])
def test_a_damaged_copy_is_kept_and_does_not_keep_the_others_from_being_copied(tmp_path, text):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "01_convolution_arithmetic.ipynb").write_text(text)
    names = ["01_convolution_arithmetic.ipynb", "02_lenet.ipynb"]
    first, second = editions.hand_out([FOLDER / name for name in names], mine)
    assert "no readable notebook: give it another name" in first and second == f"{mine / names[1]}: copied"
    assert (mine / names[0]).read_text() == text
    (mine / names[0]).rename(mine / "damaged.ipynb")
    assert editions.hand_out([FOLDER / names[0]], mine) == [f"{mine / names[0]}: copied"]
    (mine / ".cnncourse.json").write_text(text[:5])  # the list of what was copied
    assert "kept as it is" in editions.hand_out([FOLDER / names[0]], mine)[0]


def test_where_the_list_of_copies_is_lost_no_answer_is(tmp_path):
    course, ours, mine = read("02_lenet"), tmp_path / "02_lenet.ipynb", tmp_path / "mine" / "02_lenet.ipynb"
    nbformat.write(course, ours)
    editions.hand_out([ours], mine.parent)
    theirs = nbformat.read(mine, as_version=4)
    theirs.cells[3].source += "\nanswer = 42"
    nbformat.write(theirs, mine)
    written = mine.read_text()
    (mine.parent / ".cnncourse.json").unlink()
    course.cells[0].source += " A new sentence."
    nbformat.write(course, ours)
    assert "your answers are kept" in editions.hand_out([ours], mine.parent)[0] and mine.read_text() == written


def test_progress_names_what_is_left_and_reports_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CNNCOURSE_PROGRESS", str(tmp_path / "progress.jsonl"))
    note("vgg.stack", "wrong")
    note("vgg.stack", "correct")
    assert command("progress", "--report", tmp_path / "report.json") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("04_vgg"))
    assert " 1 of" in line and "stack" not in line.split("left: ")[1].split(", ")
    report = json.loads((tmp_path / "report.json").read_text())
    row = next(row for row in report["exercises"] if row["exercise"] == "vgg.stack")
    assert row["state"] == "solved" and row["attempts"] == 2 and len(report["checks"]["vgg.stack"]) == 2


def test_an_export_replaces_its_own_files_and_keeps_those_that_an_instructor_has_edited(tmp_path, capsys):
    source, configuration = tmp_path / "source/04_vgg/04_vgg.ipynb", tmp_path / "nbgrader_config.py"

    def exported():
        assert command("export", "04", "--nbgrader", "--out", tmp_path) == 0
        return capsys.readouterr().out.splitlines()

    assert exported()[:2] == [str(source), str(configuration)]
    older = nbformat.read(source, as_version=4)
    older.cells[0].source = "An older title."
    older.metadata[editions.EXPORTED] = editions.stamp(older)
    nbformat.write(older, source)  # as an earlier version of the course wrote it
    assert exported()[0] == str(source) and "An older title." not in source.read_text()

    theirs = nbformat.read(source, as_version=4)
    graded = next(cell for cell in theirs.cells if cell.metadata.get("nbgrader", {}).get("grade"))
    graded.metadata.nbgrader.points += 1  # points are edited in the metadata alone
    nbformat.write(theirs, source)
    configuration.write_text("c.CourseDirectory.course_id = 'ours'")
    before = source.read_bytes()
    first, second = exported()[:2]
    assert first.startswith(f"{source}: kept, because it was edited") and source.read_bytes() == before
    assert "the course's own is nbgrader_config.new.py" in second
    assert configuration.read_text() == "c.CourseDirectory.course_id = 'ours'"
    assert (tmp_path / "nbgrader_config.new.py").read_text() == editions.CONFIGURATION
    source.write_text("[]")
    assert "kept" in exported()[0] and source.read_text() == "[]"


@lessons
def test_each_exercise_has_the_section_that_answers_it(lesson):
    where = editions.sections(FOLDER / f"{lesson}.ipynb")
    assert list(where) == [ex.name for ex in exercises.of_lesson(lesson)]
    titles = [line for cell in read(lesson).cells for line in cell.source.splitlines()]
    assert all(f"## {title}" in titles for title in where.values())


def test_a_class_sees_who_solved_what_which_mistakes_were_made_and_where_they_are_answered(
        tmp_path, monkeypatch, capsys):
    padding = vgg.stack.mistakes[0]
    for student, answers in {"amira": [padding, padding, vgg.stack.function], "ben": [padding, lambda a, b: a / 0],
                             "chloe": [lambda a, b: b / 0], "dora": [...]}.items():
        monkeypatch.setenv("CNNCOURSE_PROGRESS", str(tmp_path / f"{student}.jsonl"))
        for answer in answers:
            vgg.stack.check(answer)
        assert command("progress", "--report", tmp_path / f"{student}.json") == 0
    told = " ".join(padding.__doc__.split())
    assert json.loads((tmp_path / "ben.json").read_text())["checks"]["vgg.stack"][0]["mistake"] == told
    graded = tmp_path / "autograded" / "emil" / "04" / "04.ipynb"
    graded.parent.mkdir(parents=True)
    error = nbformat.v4.new_output("error", ename="wrong", evalue=f"Wrong. {told}", traceback=[])
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[error], metadata={
        "nbgrader": {"grade": True, "grade_id": "vgg-stack"}})]), graded)
    for text, name in (("{", "cut"), ('{"checks": 3}', "other"), ("[]", "list")):
        (tmp_path / f"{name}.json").write_text(text)
    capsys.readouterr()
    assert command("progress", "--class", tmp_path) == 0
    out = capsys.readouterr().out
    assert "of 4 students" in out and "neither report nor graded notebook: cut.json, list.json, other.json" in out
    lines = out[out.index("04 stack"):].splitlines()
    assert lines[0] == "04 stack: solved by 1 of the 4 who tried"
    assert lines[1].split("answered in: ")[1] == "Why 3x3? Two small windows against one large"
    assert lines[2:4] == [f"    3 x  {told}", "    2 x  Your program raised ZeroDivisionError: division by zero."]
    assert command("progress", "--class", tmp_path / "nowhere") == 2 and "is no folder" in capsys.readouterr().err
    assert command("progress", "--class", tmp_path / "autograded") == 2
    assert "no report and no graded notebook lies in" in capsys.readouterr().err


def test_messages_that_differ_in_numbers_alone_are_one_mistake():
    texts = {named(f"For n = `{n}`: your answer is `{n}`, the right one is {n}.5.\nmore", []) for n in (3, -4, 0.1)}
    assert texts == {"For n = ...: your answer is ..., the right one is ...."}
    texts = {named(f"Your program raised NameError: name '{name}' is not defined", []) for name in ("nn", "Conv2d")}
    assert texts == {"Your program raised NameError: name ... is not defined"}
    tries = {"a": {"vgg.stack": [("wrong", "For n = `3`: your answer is `5`, the right one is `7`.")]},
             "b": {"vgg.stack": [("wrong", "For n = `4`: your answer is `1`, the right one is `9`.")]}}
    assert overview(tries, "vgg.stack", [])[1:] == [
        "    2 x  for example: For n = `3`: your answer is `5`, the right one is `7`."]
    assert named("First. Give each `padding=1`. More.", ["Give each `padding=1`."]) == "Give each `padding=1`."
    assert named("More than one. A. Or: B.", ["A.", "B.", "C."]) == "A. Or: B."
    assert named("", []) == "a mistake whose name was not kept"


RIGHT = """
def stack(n_in, n_out):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU())
"""
SAME = RIGHT.replace("stack", "same")
ANSWERS = {
    "right": (RIGHT, 1, "Correct."),
    "wrong": (RIGHT.replace(", padding=1", ""), 0, "The map shrinks"),
    "blank": (None, 0, "Not attempted"),
    "endless": ("def stack(n_in, n_out):\n    while True:\n        pass", 0, "There was no answer after"),
    "patched": ("import cnncourse.exercises as e\n"
                "e.Exercise.check = e.Exercise.judge = lambda *a: e.Result('correct', '')\n", 0, "Not attempted"),
    "copied": ("def stack(n_in, n_out):\n    return exercises.stack.function(n_in, n_out)", 0, "exercises"),
    "shown": ("stack = exercises.stack.solution()", 0, "exercises"),
    "liar": ("import os\ndef stack(n_in, n_out):\n    print('correct')\n    os._exit(0)", 0, "ended before"),
    "cleared": (RIGHT, 1, "Correct."),
    "emptied": (RIGHT, 1, "Correct."),
    "split": (RIGHT, 1, "Correct."),
    "from-the-future": (RIGHT, 1, "Correct."),
    "deleted": (RIGHT, 1, "Correct."),
    "old-format": (RIGHT, 1, "Correct."),
}


def spoil(student, notebook):
    """What happens to a notebook on its way, by the student's name."""
    if student == "cleared":
        for cell in notebook.cells:
            cell.metadata.clear()
    if student == "emptied":
        for cell in notebook.cells:
            cell.metadata.nbgrader = {}
    if student == "split":
        notebook.cells.insert(2, copy.deepcopy(notebook.cells[2]))
        notebook.cells[2].source, notebook.cells[2]["id"] = "import math", "another"
    if student == "from-the-future":
        notebook.cells[3].metadata.nbgrader.schema_version = 99
    if student in ("deleted", "old-format"):
        del notebook.cells[3]
    if student == "old-format":
        notebook.nbformat_minor = 4
        for cell in notebook.cells:
            del cell["id"]
    if student == "elsewhere":
        for cell in notebook.cells:
            if "nbgrader" in cell.metadata:
                cell.metadata.nbgrader.grade_id += "-of-another-course"


@needs_posix
def test_nbgrader_grades_every_submission_and_names_those_that_it_could_not(tmp_path, monkeypatch):
    """The whole way: source, assignment for the students, submissions, grades, feedback."""
    cell = nbformat.v4.new_code_cell
    course = nbformat.v4.new_notebook(cells=[
        cell("from torch import nn\n\nfrom cnncourse.exercises import vgg as exercises"),
        nbformat.v4.new_markdown_cell("### Exercise 1: Two for one"),
        cell('def stack(n_in, n_out):\n    """Two 3x3 convolutions."""\n    ...', metadata={"tags": ["exercise"]}),
        cell("exercises.stack.check(stack)", metadata={"tags": ["check"]})])
    source = tmp_path / "source" / "04" / "04.ipynb"
    source.parent.mkdir(parents=True)
    monkeypatch.setattr(exercises, "of_lesson", lambda lesson: [vgg.stack])
    course = editions.assignment(course, "04_vgg")
    course.cells.append(cell("raise ValueError"))
    editions.mark(course.cells[-1], "vgg-own_question", grade=True, locked=True, points=5)
    nbformat.write(course, source)
    (tmp_path / "nbgrader_config.py").write_text(editions.CONFIGURATION)

    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic by name

    def nbgrader(*words, expected=0):
        done = subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=tmp_path, env=os.environ | {"PATH": path},
                              capture_output=True, text=True)
        assert done.returncode == expected, done.stderr
        return done.stderr

    nbgrader("generate_assignment", "04")
    release = nbformat.read(tmp_path / "release" / "04" / "04.ipynb", as_version=4)
    assert "nn.ReLU()" not in release.cells[2].source and "in place of the three dots" in release.cells[2].source
    for student, (answer, _, _) in ANSWERS.items():
        theirs = copy.deepcopy(release)
        if answer is not None:
            theirs.cells[2].source = answer
        if student not in ("cleared", "emptied"):
            theirs.cells[3].source = "result = 'I have passed'"  # a locked cell comes back
        spoil(student, theirs)
        target = tmp_path / "submitted" / student / "04" / "04.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(theirs, target)
    for student, name, text in (("a-cut", "04.ipynb", '{"cells": ['), ("a-renamed", "04 (1).ipynb", "{}")):
        target = tmp_path / "submitted" / student / "04" / name
        target.parent.mkdir(parents=True)
        target.write_text(text)
    said = nbgrader("autograde", "04", "--create", expected=1).split("not graded, or graded after a repair:\n")[1]
    assert "a-cut, 04: not graded: 04.ipynb is no readable notebook" in said
    assert "a-renamed, 04: not graded: the folder holds 04 (1).ipynb, and no 04.ipynb" in said
    for student in ("cleared", "emptied", "deleted", "old-format"):
        assert f"{student}, 04: repaired: nbgrader's marks were restored: vgg-stack" in said
    assert "split, 04: repaired: cells that bore one mark: answer-vgg-stack" in said
    assert "right, 04: not graded: vgg-own_question: The installed course has no exercise of this name" in said
    nbgrader("generate_feedback", "04")
    nbgrader("export", "--to=grades.csv")
    rows = [line.split(",") for line in (tmp_path / "grades.csv").read_text().splitlines()]
    score, most, who = (rows[0].index(key) for key in ("raw_score", "max_score", "student_id"))
    points = {row[who]: float(row[score]) / (float(row[most]) - 5) for row in rows[1:]}
    assert {student: points[student] for student in ANSWERS} == {name: share for name, (_, share, _) in ANSWERS.items()}
    for student, (_, _, words) in ANSWERS.items():
        page = (tmp_path / "feedback" / student / "04" / "04.html").read_text()
        assert words in page, student
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        states = {name: book.find_grade(name, "04", "04", "right").needs_manual_grade
                  for name in ("vgg-stack", "vgg-own_question")}
    assert states == {"vgg-stack": False, "vgg-own_question": True}

    again = tmp_path / "submitted" / "right" / "04" / "04.ipynb"
    again.write_text(again.read_text().replace("nn.ReLU", "nn.Tanh"))
    assert "right, 04: not graded: handed in again after it was graded" in "".join(grading.shortcomings(tmp_path))


IMPORTS = "from torch import nn\n\nfrom cnncourse.exercises import vgg as exercises"
STUB = "def stack(n_in, n_out):\n    ..."
BRICK = "def brick(a, b):\n    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU())"
OF_BRICKS = "def stack(n_in, n_out):\n    return nn.Sequential(*brick(n_in, n_out), *brick(n_out, n_out))"
CORRECT_IN_THE_NOTEBOOK = {  # cells above the check, and below it
    "a helper in its own cell": ([IMPORTS, BRICK, OF_BRICKS], []),
    "a helper below": ([IMPORTS, OF_BRICKS], [BRICK]),
    "an answer below its check": ([IMPORTS, STUB], [RIGHT]),
    "the last of two answers": ([IMPORTS, RIGHT.replace("ReLU", "Tanh"), RIGHT], []),
    "its own imports": (["import math, torch.nn as nn", "import os, sys\n" + RIGHT], []),
    "prints": ([IMPORTS, "print('hello')\n" + RIGHT.replace("    return", "    print(1)\n    return")], []),
    "an earlier answer": ([IMPORTS, SAME, "def stack(n_in, n_out):\n    return same(n_in, n_out)"], []),
    "a cell magic": ([IMPORTS, "%%time\n" + RIGHT], []),
    "other cells": ([IMPORTS, "%%bash\nls", "%%writefile x.py\n1 +", "no Python at all", RIGHT], []),
    "magics": ([IMPORTS, "%pip install nothing\n!ls\nnn.Conv2d?\n" + RIGHT + "\nfiles = !ls\n%time 1\n??"], []),
    "its own check and hints": ([IMPORTS, RIGHT + "exercises.stack.hint()\nassert exercises.stack.check(stack)"], []),
    "display and await": ([IMPORTS, RIGHT + "display(stack)\nawait something"], []),
    "awaited": ([IMPORTS, "async def three():\n    return 3\nk = await three()\n" + RIGHT.replace("3", "k", 1)], []),
    "display inside": ([IMPORTS, RIGHT.replace("    return", "    display(n_in)\n    return")], []),
    "loops and errors beside it": ([IMPORTS, "while True: pass", "1 / 0\n" + RIGHT + "stack(1)\nraise SystemExit"], []),
    "annotations": ([IMPORTS, "from __future__ import annotations\n" + RIGHT.replace("n_out)", "n_out: No)", 1)], []),
    "a method in another cell": ([IMPORTS, RIGHT.replace("stack", "net"),
                                  "class Stack(nn.Module):\n    def __init__(self, a, b):\n        super().__init__()\n"
                                  "        self.net = net(a, b)\nstack = Stack",
                                  "def forward(self, x):\n    return self.net(x)\nStack.forward = forward",
                                  "def stack(a, b):\n    return Stack(a, b)"], []),
    "a list that grows": ([IMPORTS, "WIDTHS = [5]", "WIDTHS.append(3)\nWIDTHS[0] = 1",
                           RIGHT.replace("3, padding=1", "WIDTHS[1], padding=WIDTHS[0]")], []),
    "a name that changes": ([IMPORTS, "k = 3\nsize = k", "k = 5", RIGHT.replace("3,", "size,")], []),
    "a lesson's loop of that name": ([IMPORTS, RIGHT, "for stack in (1, 2):\n    pass"], []),
    "everything imported": (["from torch.nn import *", RIGHT.replace("nn.", "")], []),
    "its source": ([IMPORTS, "import inspect\n" + RIGHT, "text = inspect.getsource(stack)\ninner = stack",
                    "def stack(*a):\n    assert 'padding' in text\n    return inner(*a)"], []),
}


@needs_posix
@pytest.mark.parametrize("what", CORRECT_IN_THE_NOTEBOOK)
def test_what_the_check_in_the_notebook_calls_correct_is_correct_in_the_grade(what, tmp_path):
    above, below = CORRECT_IN_THE_NOTEBOOK[what]
    job = {"exercise": "vgg.stack", "cells": above + below, "check": len(above), "folder": str(tmp_path)}
    assert grading.verdict(job)[0] == "correct", grading.verdict(job)


@needs_posix
def test_the_judge_stops_at_the_verdict_counts_computing_alone_and_grades_nothing_that_did_not_begin(tmp_path):
    """Several jobs for one judge, so that PyTorch is imported once."""
    started = tmp_path / "started"
    sleeper = (f"import os, subprocess\ndef note(p):\n    with open({str(started)!r}, 'a') as f:\n        "
               "print(p.pid, file=f)\n" + RIGHT.replace("    return", "    for away in (0, 1):\n        note("
               "subprocess.Popen(['sleep', '1000'], start_new_session=bool(away)))\n    return"))
    answers = {"sleeper": sleeper, "loop": "def stack(n_in, n_out):\n    while True:\n        pass",
               "waits": "import time\nstack = time.sleep(1000)",
               "loud": "import os\n" + RIGHT.replace("    return", "    os.write(2, b'\\xff' * 10**6)\n    return"),
               "beside": RIGHT.replace("    return", "    from helper import k\n    open('helper.py')\n    return"),
               "killed": "import os\ndef stack(a, b):\n    os.kill(os.getpid(), 9)", "nowhere": RIGHT, "later": RIGHT}
    (tmp_path / "helper.py").write_text("k = 3")
    jobs = [json.dumps({"exercise": "vgg.stack", "cells": ["from torch import nn", text], "check": 2, "folder": str(
        tmp_path / "none" if name == "nowhere" else tmp_path)}) for name, text in answers.items()]
    code = "from cnncourse.instructor import judge as j; j.SECONDS, j.PATIENCE = {}; j.main()"
    said = {}
    for limits, names in (("60, 600", [name for name in answers if name not in ("loop", "waits")]),
                          ("1, 600", ["loop"]), ("60, 2", ["waits"])):
        asked = "\n".join(job for name, job in zip(answers, jobs, strict=True) if name in names)
        done = subprocess.run([sys.executable, "-c", code.format(limits)], input=asked, capture_output=True, text=True)
        assert len(done.stdout.splitlines()) == len(names), done.stderr
        said |= dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))
    assert [said[name][0] for name in ("sleeper", "loud", "beside", "later")] == ["correct"] * 4
    pids = [int(line) for line in started.read_text().split()]
    assert len(pids) >= 2 and not any(psutil.pid_exists(pid) for pid in pids)
    assert said["loop"][0] == "wrong" and "a loop that never ends" in said["loop"][1]
    assert said["waits"][0] == "not graded" and "it waits for something" in said["waits"][1]
    assert said["killed"][0] == "not graded" and "memory runs out" in said["killed"][1]
    assert said["nowhere"][0] == "not graded" and "The judge failed: FileNotFoundError" in said["nowhere"][1]


@needs_posix
@lessons
def test_the_judge_finds_every_answer_in_a_whole_notebook_with_its_check_or_without(lesson, tmp_path):
    cells = [c for c in editions.with_solutions(read(lesson), lesson).cells if c.cell_type == "code"]
    checks = [i for i, cell in enumerate(cells) if editions.has(cell, "check")]
    for ex, i in zip(exercises.of_lesson(lesson), checks, strict=True):
        job = {"exercise": ex.name, "cells": [cell.source for cell in cells], "folder": str(tmp_path)}
        for check in (i, len(cells)):
            assert grading.verdict(job | {"check": check})[0] == "correct", ex.name


@needs_posix
def test_a_judge_that_has_ended_is_replaced(tmp_path):
    job = {"exercise": "vgg.stack", "cells": [IMPORTS, RIGHT], "check": 2, "folder": str(tmp_path)}
    process = grading.judge()
    process.kill()
    process.wait()
    assert grading.verdict(job)[0] == "not graded" and grading.verdict(job)[0] == "correct"
