"""One source, several editions: what each holds, what it must not hold, and grading that is not fooled."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from test_exercises import WRITTEN

from cnncourse import __main__ as cli
from cnncourse import exercises
from cnncourse.exercises import vgg
from cnncourse.instructor import editions, grading
from cnncourse.tools.progress import note

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
lessons = pytest.mark.parametrize("lesson", WRITTEN)


def read(lesson):
    return nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)


@lessons
def test_in_the_edition_with_solutions_every_check_is_correct(lesson):
    notebook = editions.with_solutions(read(lesson), lesson)
    space, checked = {}, 0
    for cell in (c for c in notebook.cells if c.cell_type == "code"):
        if "check" in cell.metadata.get("tags", []):
            assert eval(cell.source, space), cell.source
            checked += 1
        elif "exercise" in cell.metadata.get("tags", []) or checked == 0 and "from cnncourse.exercises" in cell.source:
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


def test_the_links_of_the_hosted_edition_open_the_notebook_that_has_the_installing_cell(tmp_path, monkeypatch, capsys):
    out = tmp_path / "class of {2026}"
    monkeypatch.setattr(sys, "argv", ["cnncourse", "export", "04", "--hosted", "someone/course.2", "--out", str(out)])
    assert cli.main() == 0
    said = capsys.readouterr().out
    assert "commit these as class of {2026}/ at the top of someone/course.2, on its branch main" in said
    notebook = nbformat.read(out / "04_vgg.ipynb", as_version=4)
    assert "git+https://github.com/someone/course.2'" in notebook.cells[1].source
    place = "github{}/someone/course.2/blob/main/class%20of%20%7B2026%7D/04_vgg.ipynb)"
    assert f"(https://colab.research.google.com/{place.format('')}" in notebook.cells[0].source
    assert f"(https://kaggle.com/kernels/welcome?src=https://{place.format('.com')}" in notebook.cells[0].source


@pytest.mark.parametrize("given", ["owner", "https://github.com/a/b", "github.com/a/b", "a b/c", "a/b c", "a/b/", "/b",
                                   "", "a/b/c", "a/..", "a/b.git", "a/b\n", "git@github.com:a/b", "a/b#c"])
def test_what_is_no_repository_is_refused_before_anything_is_written(given, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cnncourse", "export", "--hosted", given, "--out", str(tmp_path / "colab")])
    assert cli.main() == 2 and list(tmp_path.iterdir()) == []
    assert f"takes the OWNER/NAME of a repository on GitHub, such as octocat/cnncourse, not {given!r}" in (
        capsys.readouterr().err)


def test_every_edition_is_written_and_the_source_is_not(tmp_path, monkeypatch, capsys):
    for words in (["--solutions"], ["--clean"], ["--hosted", "a/b"], ["--nbgrader"]):
        monkeypatch.setattr(sys, "argv", ["cnncourse", "export", "04", *words, "--out", str(tmp_path / words[0])])
        assert cli.main() == 0
    assert len(list(tmp_path.rglob("04_vgg.ipynb"))) == 4 and (tmp_path / "--nbgrader/nbgrader_config.py").exists()
    monkeypatch.setattr(sys, "argv", ["cnncourse", "export", "04", "--clean", "--out", str(NOTEBOOKS)])
    assert cli.main() == 2 and "choose another directory" in capsys.readouterr().err


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
    first, second = editions.hand_out([NOTEBOOKS / name for name in names], mine)
    assert "no readable notebook: give it another name" in first and second == f"{mine / names[1]}: copied"
    assert (mine / names[0]).read_text() == text
    (mine / names[0]).rename(mine / "damaged.ipynb")
    assert editions.hand_out([NOTEBOOKS / names[0]], mine) == [f"{mine / names[0]}: copied"]
    (mine / ".cnncourse.json").write_text(text[:5])  # the list of what was copied
    assert "kept as it is" in editions.hand_out([NOTEBOOKS / names[0]], mine)[0]


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
    monkeypatch.setattr(sys, "argv", ["cnncourse", "progress", "--report", str(tmp_path / "report.json")])
    assert cli.main() == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("04_vgg"))
    assert " 1 of" in line and "stack" not in line.split("left: ")[1].split(", ")
    report = json.loads((tmp_path / "report.json").read_text())
    row = next(row for row in report["exercises"] if row["exercise"] == "vgg.stack")
    assert row["state"] == "solved" and row["attempts"] == 2 and len(report["checks"]["vgg.stack"]) == 2


RIGHT = """
def stack(n_in, n_out):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU())
"""
ANSWERS = {
    "right": (RIGHT, 1, "Correct."),
    "wrong": (RIGHT.replace(", padding=1", ""), 0, "The map shrinks"),
    "blank": (None, 0, "Not attempted"),
    "endless": ("def stack(n_in, n_out):\n    while True:\n        pass", 0, "never ends"),
    "patched": ("import cnncourse.exercises as e\n"
                "e.Exercise.check = e.Exercise.judge = lambda *a: e.Result('correct', '')\n", 0, "cnncourse.exercises"),
    "copied": ("def stack(n_in, n_out):\n    return exercises.stack.function(n_in, n_out)", 0, "exercises"),
    "shown": ("stack = exercises.stack.solution()", 0, "exercises"),
    "liar": ("import os\nprint('correct')\nos._exit(0)", 0, "ended before"),
}


def test_nbgrader_grades_right_wrong_blank_endless_and_cheating_submissions(tmp_path, monkeypatch):
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
    nbformat.write(editions.assignment(course, "04_vgg"), source)
    (tmp_path / "nbgrader_config.py").write_text(editions.CONFIGURATION)

    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # nbgrader calls alembic by name

    def nbgrader(*words):
        done = subprocess.run([sys.executable, "-m", "nbgrader", *words], cwd=tmp_path, env=os.environ | {"PATH": path},
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done

    nbgrader("generate_assignment", "04")
    release = nbformat.read(tmp_path / "release" / "04" / "04.ipynb", as_version=4)
    assert "nn.ReLU()" not in release.cells[2].source and "in place of the three dots" in release.cells[2].source
    for student, (answer, _, _) in ANSWERS.items():
        theirs = copy.deepcopy(release)
        if answer is not None:
            theirs.cells[2].source = answer
        theirs.cells[3].source = "result = 'I have passed'"  # a locked cell comes back
        target = tmp_path / "submitted" / student / "04" / "04.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(theirs, target)
    nbgrader("autograde", "04", "--create")
    nbgrader("generate_feedback", "04")
    nbgrader("export", "--to=grades.csv")
    rows = [line.split(",") for line in (tmp_path / "grades.csv").read_text().splitlines()]
    score, most, who = (rows[0].index(key) for key in ("raw_score", "max_score", "student_id"))
    points = {row[who]: float(row[score]) / float(row[most]) for row in rows[1:]}
    assert points == {student: share for student, (_, share, _) in ANSWERS.items()}
    for student, (_, _, words) in ANSWERS.items():
        page = (tmp_path / "feedback" / student / "04" / "04.html").read_text()
        assert words in page, student


def test_a_cell_of_the_instructors_own_and_a_lost_answer_do_not_end_the_grading():
    def graded(name):
        return nbformat.v4.new_code_cell("", metadata={"nbgrader": {"grade": True, "grade_id": name}})

    notebook = nbformat.v4.new_notebook(cells=[graded("own-question"), graded("vgg-stack")])
    grading.Grade().preprocess(notebook, {})
    assert not notebook.cells[0].outputs and "Not attempted" in notebook.cells[1].outputs[0].evalue


def test_an_answer_may_print_and_import_what_it_likes():
    answer = "import math\nprint('hello')\n" + RIGHT
    imports = "from torch import nn\nfrom cnncourse.exercises import vgg as exercises"
    assert grading.verdict("vgg.stack", imports, answer)[0] == "correct"
