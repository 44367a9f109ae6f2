"""The instructor's guide: its minutes add up, and what it names is there."""

import re

import nbformat
import pytest
from conftest import ROOT

from cnncourse import exercises
from cnncourse.instructor.editions import has
from cnncourse.models.googlenet import TABLE

GUIDE = (ROOT / "book" / "instructors.md").read_text(encoding="utf-8")
FLAT = " ".join(GUIDE.split())


def section(title):
    """The text under a heading, up to the next one of the same rank or above."""
    mark, rest = GUIDE.split(f"\n{title}\n")
    rank = len(title) - len(title.lstrip("#"))
    return re.split(rf"\n#{{1,{rank}}} ", rest)[0]


def rows(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def headings(lesson):
    notebook = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4)
    return {line.lstrip("# ").strip() for cell in notebook.cells if cell.cell_type == "markdown"
            for line in cell.source.splitlines() if line.startswith("##")}


SCHEDULES = re.findall(r"^### (\d+) minutes: .*$", GUIDE, re.M)
LESSONS = list(exercises.LESSONS)


def test_there_are_schedules_for_an_hour_a_lecture_and_a_half_day():
    assert sorted(map(int, SCHEDULES)) == [50, 90, 90, 210]


@pytest.mark.parametrize("title", re.findall(r"^### \d+ minutes: .*$", GUIDE, re.M))
def test_the_minutes_of_a_schedule_add_up(title):
    *plan, (total, *_) = rows(section(title))[2:]
    assert total == f"**{title.split()[1]}**"
    assert sum(int(minutes) for minutes, *_ in plan) == int(title.split()[1])


def test_every_week_has_ninety_minutes_and_every_exercise_its_place():
    weeks = rows(section("### Nine weeks"))[2:]
    assert [week[1] for week in weeks] == [lesson[:2] for lesson in LESSONS]
    for lesson, (_, _, back, teach, in_class, close, home) in zip(LESSONS, weeks, strict=True):
        minutes = [ex.minutes for ex in exercises.of_lesson(lesson)]
        numbers, spent = in_class.rstrip(")").split("(")
        assert sum(minutes[int(n) - 1] for n in numbers.split(",")) == int(spent), lesson
        assert int(spent) + int(home.strip("()")) == sum(minutes), lesson
        assert int(back) + int(teach) + int(spent) + int(close) == 90, lesson


def test_sections_that_a_schedule_names_are_in_the_lessons():
    known = set().union(*map(headings, LESSONS))
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*]+?)\*(?!\*)", " ".join(section("## Schedules").split())))
    assert len(named) > 25 and named - known == {"Look back"}


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_misconceptions_with_question_answer_and_cure(lesson):
    title = re.search(rf"^### {lesson[:2]} .*$", GUIDE, re.M)[0]
    items = " ".join(section(title).split()).split("- **")[1:]
    known = headings(lesson)
    asked = {" ".join(cell.source.split()) for cell in
             nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4).cells
             if has(cell, "question")}
    assert len(items) >= 3
    for item in items:
        assert re.search(r"\bAsk[:★]", item) and "They " in item, item
        cures = re.findall(r"\*([A-Z][^*]+)\*", item.split("Show ")[1])
        assert cures and set(cures) <= known, (cures, item)
    assert sum("Ask★" in item for item in items) <= len(asked)


def test_the_drawing_of_an_inception_module_has_the_channels_of_3a():
    one, (reduce3, three), (reduce5, five), pooled = TABLE["3a"]
    drawing = section("## On the board").split("**3.")[1].split("```")[1]
    assert f"1x1: {reduce3} " in drawing and f"1x1: {reduce5} " in drawing
    assert f"{one} + {three} + {five} + {pooled} = {one + three + five + pooled} channels" in drawing


def test_its_sums_are_true():
    sums = re.findall(r"(?<![\w.)] )\b(\d[\d.]*(?: ?[-+*] ?\d[\d.]*)+) = (\d[\d.]*)", section("## On the board"))
    assert len(sums) >= 6
    for left, right in sums:
        assert abs(eval(left) - float(right)) < 1e-9, (left, right)


def test_what_it_says_of_the_paper_exam_is_so():
    from cnncourse.instructor import exam

    asked = exam.questions(exam.Random("any"))
    assert len(asked) == 12 and sum(question.points for question in asked) == 60
    assert "twelve questions on convolution arithmetic worth 60 points" in FLAT
    assert [asked[i - 1].title for i in (1, 2, 6)] == ["The shape that comes out", "A division with a remainder",
                                                       "Parameters of a convolution"]


def test_every_command_that_it_names_exists():
    from cnncourse.__main__ import parser

    commands = parser()._subparsers._group_actions[0].choices
    for name in re.findall(r"`?cnncourse ([a-z]+)", GUIDE):
        assert name in commands, name
    targets = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z]+)`", GUIDE):
        assert re.search(rf"^{target}:", targets, re.M), target
