"""The checks of the exercises: right answers pass, and each wrong one is told what is wrong with it."""

import ast
import random
import re
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
import torch
from torch import Tensor, nn

from cnncourse import exercises
from cnncourse.exercises import LESSONS, behaviour, exercise, googlenet, images
from cnncourse.tools import progress

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
WRITTEN = [lesson for lesson, module in LESSONS.items() if find_spec(f"cnncourse.exercises.{module}")]
EVERY = [ex for lesson in WRITTEN for ex in exercises.of_lesson(lesson)]
each = pytest.mark.parametrize("ex", EVERY, ids=lambda ex: ex.name)
programs = pytest.mark.parametrize("ex, mistake", [(ex, m) for ex in EVERY for m in ex.mistakes],
                                   ids=lambda x: x.name if hasattr(x, "name") else x.__name__)
SEEDS = 5


def other_right_answers(ex):
    """Those in right_answers/LESSON.py that are called like the exercise, with _2 and so on behind further ones."""
    module, name = ex.name.split(".")
    written = vars(import_module(f"right_answers.{module}"))
    return [answer for key, answer in written.items() if re.fullmatch(rf"{name}(_\d)?", key)]


@each
def test_the_solution_and_another_right_answer_pass(ex):
    others = other_right_answers(ex)
    assert others, "there is more than one way to write it"
    for answer in (ex.function, *others):
        for seed in range(SEEDS):
            result = ex.judge(answer, random.Random(seed))
            assert result and result.outcome == "correct", f"{answer.__name__}: {result}"


@programs
def test_a_mistake_is_told_apart_from_all_others(ex, mistake):
    for seed in range(SEEDS):
        result = ex.judge(mistake, random.Random(seed))
        assert not result and result.outcome == "wrong"
        assert result.message == " ".join(mistake.__doc__.split())


@each
def test_there_are_four_mistakes_of_the_right_type_and_half_of_them_have_the_right_shape(ex):
    assert len(ex.mistakes) >= 4
    assert len({" ".join(m.__doc__.split()) for m in ex.mistakes}) == len(ex.mistakes)
    case = ex.cases(random.Random(0))[0]
    expected = ex.function(*case)
    answers = [mistake(*case) for mistake in ex.mistakes]
    kind = nn.Module if isinstance(expected, nn.Module) else type(expected)
    assert all(isinstance(answer, kind | int | float if kind in (int, float) else kind) for answer in answers)
    right = shape(ex, expected, case)
    assert 2 * sum(shape(ex, answer, case) == right for answer in answers) >= len(answers)


def shape(ex, value, case):
    seen = ex.observe(value, *case)
    if isinstance(seen, dict):
        return {key: list(v.shape) if isinstance(v, Tensor) else None for key, v in seen.items()}
    return list(seen.shape) if isinstance(seen, Tensor) else len(seen) if isinstance(seen, list | tuple) else None


class Unreadable(Exception):
    def __repr__(self):
        raise RuntimeError("no")

    __str__ = __repr__


def unreadable(*arguments):
    raise Unreadable


@each
def test_garbage_is_wrong_and_never_raises(ex):
    garbage = ["text", 7, float("nan"), [], lambda *a: "text", lambda *a: float("nan"), lambda *a: torch.zeros(1, 7),
               lambda: 0, lambda *a: 1 / 0, lambda *a: [None], lambda *a: nn.Identity(), lambda *a: exit(1),
               lambda *a: {}, lambda *a: torch.full((2, 3), float("nan")), type]
    garbage += [lambda *a: 1j, lambda *a: 10**400, lambda *a: torch.zeros((), device="meta"), lambda *a: Unreadable(),
                lambda *a: {"more": 1}, unreadable]
    for answer in garbage:
        result = ex.judge(answer, random.Random(0))
        assert not result and result.outcome == "wrong" and len(result.message) > 10


@each
def test_a_stub_is_not_attempted(ex):
    for answer in (None, ..., lambda *a: None, lambda *a: ...):
        assert ex.judge(answer, random.Random(0)).outcome == "not attempted"
    if ex.broken:
        assert "came in" in ex.judge(ex.broken, random.Random(1)).message


@each
def test_an_answer_that_forgets_to_return_is_told_so(ex):
    def forgetful(*arguments):
        ex.function(*arguments)

    result = ex.judge(forgetful, random.Random(0))
    assert result.outcome == "wrong" and "End it with `return`" in result.message


def test_a_class_whose_forward_forgets_to_return_is_told_so():
    class Forgetful(nn.Linear):
        def __init__(self, *arguments):
            super().__init__(1, 1)

        def forward(self, x):
            self.seen = x

    result = googlenet.Inception.judge(Forgetful, random.Random(0))
    assert result.outcome == "wrong" and "End it with `return`" in result.message


def test_an_answer_that_returns_nothing_in_some_cases_is_told_which():
    result = images.upright.judge(lambda image, turn: image.flip(1, 2) if turn == 3 else None, random.Random(0))
    assert result.outcome == "wrong" and "orientation = `1`: your answer is `None`" in result.message


@each
def test_a_network_or_a_class_in_place_of_a_function_is_named(ex):
    kind = "class" if isinstance(ex.function, type) else "function"
    for answer, name in ((nn.Linear(2, 2), "a network (Linear)"), (torch.ones(2, 3), "a tensor of 2 x 3"), (7, "`7`")):
        message = ex.judge(answer, random.Random(0)).message
        assert message.startswith(f"`{ex.function.__name__}` must be a {kind}, not {name}.")
    wanted = ex.function(*ex.cases(random.Random(0))[0])
    named = "not the class Linear." in ex.judge(nn.Linear, random.Random(0)).message
    assert named == (kind == "function" and not isinstance(wanted, nn.Module))


@each
def test_a_check_leaves_the_random_numbers_of_the_student_alone(ex):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    ex.judge(ex.mistakes[0], random.Random(0))
    assert torch.equal(before, torch.get_rng_state())


@each
def test_an_exercise_says_its_task_minutes_level_and_three_hints(ex):
    assert len(ex.function.__doc__) > 30 and 1 <= ex.minutes <= 30 and len(ex.hints) >= 3
    assert ex.level in ("easy", "medium", "hard")
    assert ex.hints[0] in ex.hint() and ex.hints[-1] in ex.hint(len(ex.hints)) and ex.hints[-1] in ex.hint(99)
    definition = ast.parse(ex.solution().strip("`").removeprefix("python")).body[0]
    assert definition.name == ex.function.__name__ and not definition.decorator_list


@pytest.mark.parametrize("lesson", WRITTEN)
def test_every_exercise_stands_in_its_notebook_unanswered(lesson):
    cells = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4).cells
    written = exercises.of_lesson(lesson)
    assert len(written) >= 5
    stubs = [i for i, c in enumerate(cells) if "exercise" in c.metadata.get("tags", [])]
    named = [ast.parse(cells[i].source).body[-1].name for i in stubs]
    assert named == [ex.function.__name__ for ex in written], "each needs a cell tagged `exercise`, in the same order"
    for ex, i in zip(written, stubs, strict=True):
        name = ex.function.__name__
        task, stub = cells[i - 1], ast.parse(cells[i].source).body[-1]
        assert re.search(rf"\*{ex.minutes} minutes, {ex.level}\.\*", task.source), name
        assert parameters(stub) == parameters(ast.parse(exercises.source(ex.function)).body[0])
        check = next(c for c in cells[i + 1:] if c.cell_type == "code" and "check" in c.metadata.get("tags", []))
        assert check.source == f"exercises.{name}.check({name})"
        assert "Not attempted" in check.outputs[0].data["text/plain"], f"{name} is answered in the student's notebook"


def parameters(definition) -> list[str]:
    if isinstance(definition, ast.ClassDef):
        definition = next(f for f in definition.body if isinstance(f, ast.FunctionDef) and f.name == "__init__")
    return [argument.arg for argument in definition.args.args]


def test_an_edit_of_the_solution_is_a_mistake_and_must_fit_in_one_place():
    double = exercise(1, "easy", (), lambda rng: [(2,), (3,)])(doubled)
    double.mistakes_as_edits(("n + n", "n + 1", "You add one."),
                             ("(n)", "(m)", "n + n", "3 * m", "You take three times the number."))
    assert double.judge(lambda n: 1 + n, random.Random()).message == "You add one."
    assert double.judge(lambda n: n + n + n, random.Random()).message == "You take three times the number."
    for old in ("n", "n * 2"):
        with pytest.raises(ValueError, match="times in the solution, not once"):
            double.mistakes_as_edits((old, "1", ""))


def doubled(n):
    return n + n


def test_an_endless_answer_is_stopped(monkeypatch):
    monkeypatch.setattr(exercises, "SECONDS", 0.5)

    def endless(*arguments):
        while True:
            pass

    start = time.monotonic()
    result = EVERY[0].judge(endless, random.Random(0))
    assert result.outcome == "wrong" and "never ends" in result.message and time.monotonic() - start < 30


def test_an_unknown_mistake_is_answered_with_the_first_difference():
    @exercise(1, "easy", ("a", "b", "c"), cases=lambda rng: [(2, 3), (5, 4)])
    def product(n, m):
        return n * m

    assert product.judge(lambda n, m: n + m + 1, random.Random()).message == (
        "For n = `5`, m = `4`: your answer is `10`, the right one is `20`.")
    layer = exercise(1, "easy", (), lambda rng: [(3,)], lambda net, n: behaviour(net, torch.ones(1, n)))(
        lambda n: nn.Linear(n, 2))
    message = layer.judge(lambda n: nn.Linear(n, 1), random.Random()).message
    assert "the number of parameters: your answer is `4`, the right one is `8`" in message


def test_a_result_with_too_many_parts_is_told_which():
    @exercise(1, "easy", ("a", "b", "c"), cases=lambda rng: [(2,)])
    def both(n):
        return {"sum": n + n}

    assert "For n = `2`, product: your answer is `4`" in both.judge(lambda n: {"sum": 4, "product": 4},
                                                                   random.Random()).message


def test_checks_are_noted_and_blanks_are_not(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNCOURSE_PROGRESS", str(tmp_path / "deep" / "progress.jsonl"))
    ex = EVERY[0]
    for answer in (..., ex.mistakes[0], ex.function):
        ex.check(answer)
    assert [line["outcome"] for line in progress.attempts()[ex.name]] == ["wrong", "correct"]
    with progress.path().open("a") as file:
        file.write('\n{"exercise": "cut by a cra')
    progress.note(ex.name, "correct")
    assert [line["outcome"] for line in progress.attempts()[ex.name]] == ["wrong", "correct", "correct"]
    monkeypatch.setenv("CNNCOURSE_PROGRESS", str(tmp_path / "deep"))  # a directory: it cannot be written
    assert ex.check(ex.function)


def test_results_read_as_text_and_as_markdown():
    result = EVERY[0].judge(..., random.Random())
    assert repr(result) == "Not attempted. Replace the three dots by your answer."
    assert result._repr_markdown_().startswith("**Not attempted.** ")
