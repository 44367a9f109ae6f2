"""The checks of the exercises: right answers pass, and each wrong one is told what is wrong with it."""

import _thread
import ast
import contextlib
import copy
import os
import random
import re
import signal
import threading
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
import torch
from torch import Tensor, nn

from cnncourse import exercises
from cnncourse.exercises import LESSONS, clinic, exercise, googlenet, images
from cnncourse.exercises.checking.networks import behaviour
from cnncourse.layers import LocalResponseNorm
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
def test_a_mistake_is_named(ex, mistake):
    result = ex.judge(mistake, random.Random(0))
    assert not result and result.outcome == "wrong"
    named = result.message.removeprefix("More than one mistake gives these results. ").split(" Or: ")
    assert " ".join(mistake.__doc__.split()) in named


@each
def test_every_draw_tells_each_mistake_from_the_solution_and_passes_other_right_answers(ex):
    for seed in range(100, 100 + int(os.environ.get("CNNCOURSE_DRAWS", SEEDS))):
        cases = ex.cases(random.Random(seed))
        expected = list(ex.each_observation(ex.function, cases))
        for answer in other_right_answers(ex):
            assert (found := ex.judge(answer, random.Random(seed))), f"{answer.__name__}, draw {seed}: {found.message}"
        for mistake in ex.mistakes:
            with contextlib.suppress(RuntimeError, TypeError, ValueError, LookupError, exercises.WrongForm):
                pairs = zip(ex.each_observation(mistake, cases), expected, strict=True)
                assert not all(exercises.same(*pair) for pair in pairs), f"draw {seed} praises: {mistake.__doc__}"


@each
def test_there_are_four_mistakes_and_half_of_those_that_run_have_the_right_shape(ex):
    assert len(ex.mistakes) >= 4
    assert len({" ".join(m.__doc__.split()) for m in ex.mistakes}) == len(ex.mistakes)
    case = ex.cases(random.Random(0))[0]
    right, shapes = shape(ex, ex.function(*copy.deepcopy(case)), case), []
    for mistake in ex.mistakes:
        with contextlib.suppress(RuntimeError, TypeError, ValueError, LookupError, exercises.WrongForm):
            shapes.append(shape(ex, mistake(*copy.deepcopy(case)), case))
    assert 2 * shapes.count(right) >= len(shapes)


def shape(ex, value, case):
    seen = ex.observe(value, *case)
    if isinstance(seen, dict):
        return {key: list(v.shape) if isinstance(v, Tensor) else None for key, v in seen.items()
                if not isinstance(seen, exercises.Behaviour) or key.startswith("the output")}
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
    assert result.outcome == "wrong" and ", 1)`: your answer is `None`" in result.message


def test_a_network_that_returns_nothing_in_some_cases_is_told_so():
    class Half(nn.Linear):
        def forward(self, x):
            if self.in_features != self.out_features:
                return super().forward(x)

    @exercise(1, "easy", (), lambda rng: [(2, 3), (2, 2)], lambda net, n, m: behaviour(net, torch.randn(4, n)))
    def layer(n, m):
        return nn.Linear(n, m)

    def half(n, m):
        return nn.Linear(n, m) if n < m else None

    for answer, what in ((Half, "The `forward` of your network"), (half, "Your function")):
        assert layer.judge(answer, random.Random(0)).message == (
            f"{what} returns nothing in one of the cases, `layer(2, 2)`. Let each of its ways end with `return`.")


@each
def test_a_network_or_a_class_in_place_of_a_function_is_named(ex):
    kind = "class" if isinstance(ex.function, type) else "function"
    for answer, name in ((nn.Linear(2, 2), "a network (Linear)"), (torch.ones(7, 8), "a tensor of 7 x 8"), (7, "`7`")):
        message = ex.judge(answer, random.Random(0)).message
        assert message.startswith(f"`{ex.function.__name__}` must be a {kind}, not {name}.")
    wanted = ex.function(*ex.cases(random.Random(0))[0])
    named = "not the class Linear." in ex.judge(nn.Linear, random.Random(0)).message
    assert named == (kind == "function" and not isinstance(wanted, nn.Module))


@each
def test_a_check_leaves_the_random_numbers_of_the_student_alone(ex, monkeypatch):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    on_gpus = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", on_gpus.append)
    ex.judge(ex.mistakes[0], random.Random(0))
    assert torch.equal(before, torch.get_rng_state()) and on_gpus == []


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


def test_a_network_that_answers_by_chance_is_told_so():
    class Forgetful(clinic.ProjectionBlock.function):
        def forward(self, x):
            project = nn.Conv2d(x.shape[1], self.residual[0].out_channels, 1, self.residual[0].stride)
            return (self.residual(x) + project(x)).relu()

    def dropping(n_in, n_out):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(n_in, 32), nn.Linear(32, n_out)

            def forward(self, x):
                return self.b(nn.functional.dropout(self.a(x).relu(), 0.5))
        return Net()

    for ex, answer in ((clinic.ProjectionBlock, Forgetful), (clinic.classifier, dropping)):
        assert "another answer each time" in ex.judge(answer, random.Random(0)).message


def test_an_answer_whose_result_cannot_be_used_did_not_raise():
    def unfinished(width):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()

                def forward(self, x):
                    return x
                self.forward = forward
        return Net()

    message = clinic.small_net.judge(unfinished, random.Random(0)).message
    assert message.startswith("What your program returned cannot be used: TypeError")
    assert "It came from `small_net" in message


def test_a_constant_error_beside_large_numbers_is_measured_against_itself():
    right = [2 * 10**7, 10**8, 5 * 10**8]
    assert exercises.relation([right[0] - 2, right[1] - 9, right[2] - 5], right) == ""
    assert "2 too small everywhere" in exercises.relation([n - 2 for n in right], right)


def test_how_wrong_numbers_relate_is_told_only_where_all_of_them_do():
    assert "right up to 20 and never larger" in exercises.relation([1, 5, 20, 20], [1, 5, 50, 70])
    assert "far too small whatever" in exercises.relation([1e-9, -1e-9, 0.0, 1e-9], [1, 5, 50, 70])
    assert "cut to whole numbers" in exercises.relation([1, -1, 5, 7], [1.6, -1.7, 5.8, 7.9])
    assert exercises.relation([torch.tensor(1.5, requires_grad=True)] * 2 + [2.5], [1.5, 1.5, 2.5]) == ""
    for wrong in ([1, 5, 20, 70], [1, 4, 20, 20], [0, 1, 16, 23]):
        assert exercises.relation(wrong, [1, 5, 50, 70]) == ""


def test_an_import_that_takes_long_is_waited_for_and_leaves_the_module_whole(monkeypatch, tmp_path):
    monkeypatch.setattr(exercises, "SECONDS", 0.2)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slowly_imported.py").write_text("import time\nfor _ in range(20):\n time.sleep(0.1)\nwhole = True")

    def doubled_after_an_import(n):
        import slowly_imported
        return n + n if slowly_imported.whole else None

    double = exercise(1, "easy", (), lambda rng: [(2,), (3,)])(doubled)
    assert double.judge(doubled_after_an_import, random.Random(0))


def endless(*arguments):
    while True:
        pass


def endless_in_the_second_case(n):
    return endless() if n == 3 else n.missing


def all_ended(before):
    """A thread that has said that it is done needs a moment to end."""
    for thread in (begun := set(threading.enumerate()) - before):
        thread.join(30)
    return not any(thread.is_alive() for thread in begun)


@pytest.mark.parametrize("answer, words", [(endless, "never ends"), (endless_in_the_second_case, "AttributeError")])
def test_an_endless_answer_is_stopped(answer, words, monkeypatch):
    monkeypatch.setattr(exercises, "SECONDS", 0.5)
    start, threads = time.monotonic(), set(threading.enumerate())
    result = exercise(1, "easy", (), lambda rng: [(2,), (3,)])(doubled).judge(answer, random.Random(0))
    assert result.outcome == "wrong" and words in result.message and time.monotonic() - start < 30
    assert all_ended(threads)


def test_the_stop_button_ends_the_answer_and_leaves_the_random_numbers():
    torch.manual_seed(7)
    before, threads = torch.get_rng_state(), set(threading.enumerate())
    stop = threading.Timer(0.3, _thread.interrupt_main)
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    try:
        with pytest.raises(KeyboardInterrupt):
            stop.start()
            exercise(1, "easy", (), lambda rng: [(2,)])(doubled).judge(endless, random.Random(0))
    finally:
        signal.signal(signal.SIGINT, usual)
    stop.join()
    assert all_ended(threads) and torch.equal(before, torch.get_rng_state())


def test_an_answer_that_is_late_leaves_the_random_numbers_alone_afterwards(monkeypatch):
    monkeypatch.setattr(exercises, "SECONDS", 0.2)
    ended = threading.Event()

    def late(n):
        try:
            time.sleep(4)
        finally:
            ended.set()

    assert "never ends" in exercise(1, "easy", (), lambda rng: [(2,)])(doubled).judge(late, random.Random(0)).message
    torch.manual_seed(42)
    before = torch.get_rng_state()
    assert ended.wait(60)
    time.sleep(0.5)
    assert torch.equal(before, torch.get_rng_state())


def test_an_unknown_mistake_is_answered_with_the_first_difference():
    @exercise(1, "easy", ("a", "b", "c"), cases=lambda rng: [(2, 3), (5, 4)])
    def product(n, m):
        return n * m

    assert product.judge(lambda n, m: n + m + 1, random.Random()).message == (
        "`product(5, 4)`: your answer is `10`, the right one is `20`.")
    assert product.judge(lambda n, m: m, random.Random()).message == (
        "Your answer is what would be right if `n` were always 1. `product(2, 3)`: your answer is `3`, the right one "
        "is `6`.")
    message = linear.judge(lambda n: nn.Linear(n, 1), random.Random()).message
    assert message == ("Your result has the shape (4, 1), the right one (4, 2): look at axis 1. Your network holds "
                       "`Linear(in_features=3, out_features=1, bias=True)`. The right one holds "
                       "`Linear(in_features=3, out_features=2, bias=True)` there.")


@pytest.mark.parametrize("layers, message", [
    ((nn.Conv2d(2, 4, (3, 3), padding="same"), nn.LocalResponseNorm(5, 5e-4, 0.75, 2), nn.ReLU6()),
     "Your network holds `ReLU6()`. The right one holds `ReLU()` there."),
    ((nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(inplace=True), nn.LocalResponseNorm(5, 5e-4, 0.75, 2)),
     "Layer 1 of your network, counted from 0, is `ReLU()`, that of the solution is `LocalResponseNorm(n=5, "),
    ((nn.Conv2d(2, 4, 3, padding=1), LocalResponseNorm()),
     "Your network ends with layer 1, counted from 0: of layer 2, that of the solution is `ReLU()`."),
    ((nn.Conv2d(2, 4, 3, padding=1), LocalResponseNorm(), nn.ReLU(), nn.BatchNorm2d(4)),
     "Your network holds a layer `BatchNorm2d`. The right one has none.")])
def test_a_layer_that_differs_is_named_and_one_that_is_written_in_another_way_is_not(layers, message):
    @exercise(1, "easy", (), lambda rng: [(2,)], lambda net, n: behaviour(net, 99 * torch.randn(4, n, 5, 6)))
    def normalised(n):
        return nn.Sequential(nn.Conv2d(n, 4, 3, padding=1), LocalResponseNorm(), nn.ReLU())

    assert message in normalised.judge(lambda n: nn.Sequential(*layers), random.Random()).message


def test_what_is_wrong_with_a_network_can_be_pasted_and_run():
    class Bent(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.layer = nn.Linear(n, 2)

        def forward(self, x):
            return self.layer(x).tanh()

    message = linear.judge(Bent, random.Random()).message
    code, values = message.split("```python\n")[1].split("```")
    *lines, last = code.strip().splitlines()
    space = {"linear": lambda n: nn.Linear(n, 2), "nn": nn, "torch": torch}
    exec("\n".join(lines), space)
    assert f"the right one `{eval(last, space):.5g}`" in values


def test_an_example_does_not_show_two_numbers_that_differ_by_rounding_alone():
    @exercise(1, "easy", (), lambda rng: [(3,)], lambda net, n: behaviour(net, torch.randn(4, n)))
    def layer(n):
        return nn.Linear(n, n)

    class Shortcut(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.layer = nn.Linear(n, n)

        def forward(self, x):
            return self.layer(x) + x  # the mean of the example's x is 0

    message = layer.judge(Shortcut, random.Random()).message
    assert ").square().mean()" in message and "gives `0.67667`, the right one `0.01`" in message


def test_an_example_does_not_show_0_beside_0():
    @exercise(1, "easy", (), lambda rng: [(3,)], lambda net, n: behaviour(net, torch.randn(4, n)))
    def layer(n):
        return nn.Sequential(nn.Linear(n, 2), nn.ReLU())

    class Flipped(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.layer = nn.Linear(n, 2)

        def forward(self, x):
            return self.layer(x.flip(1)).relu()  # the same where all weights are

    message = layer.judge(Flipped, random.Random()).message
    assert "`0`, the right one `0`" not in message and "layer(3), the output in evaluation" in message.replace("`", "")


@exercise(1, "easy", (), lambda rng: [(3,)], lambda net, n: behaviour(net, torch.randn(4, n)))
def linear(n):
    return nn.Linear(n, 2)


class TwoLayers(nn.Module):
    """Right, in all but what a subclass changes."""

    def __init__(self, n):
        super().__init__()
        self.second, self.first = nn.Linear(n, n), nn.Linear(n, n)

    def forward(self, x):
        return self.second(self.first(x).relu())


class Idle(TwoLayers):
    def forward(self, x):
        return self.first(self.first(x).relu())


class Twice(TwoLayers):
    def __init__(self, n):
        nn.Module.__init__(self)
        self.second = self.first = nn.Linear(n, n)


class Frozen(TwoLayers):
    def __init__(self, n):
        super().__init__(n)
        self.first.requires_grad_(False)


class HalfDetached(TwoLayers):
    def forward(self, x):
        hidden = self.first(x).relu()
        return self.second((hidden + hidden.detach()) / 2)


class Detached(TwoLayers):
    def forward(self, x):
        return self.second(self.first(x).relu()).detach()


class InPlace(TwoLayers):
    def forward(self, x):
        out = super().forward(x)
        with torch.no_grad():
            x *= 2
        return out


class Capped(TwoLayers):
    def forward(self, x):
        return self.second(nn.functional.relu6(self.first(x)))


class PlainList(TwoLayers):
    def __init__(self, n):
        nn.Module.__init__(self)
        self.layers = [nn.Linear(n, n), nn.Linear(n, n)]

    def forward(self, x):
        return self.layers[1](self.layers[0](x).relu())


class Lazy(TwoLayers):
    def __init__(self, n):
        nn.Module.__init__(self)
        self.first, self.second = nn.LazyLinear(n), nn.LazyLinear(n)


@pytest.mark.parametrize("answer, message", [
    (Idle, "No gradient reaches `second.weight`"), (Twice, "uses the layer `second` 2 times"),
    (Frozen, "`first.weight` has `requires_grad=False`"), (HalfDetached, "on one of its ways a gradient is cut off"),
    (Detached, "No gradient passes"), (InPlace, "a tensor in place"),
    (PlainList, "plain Python list or dict (`layers`)"), (TwoLayers, "agrees"), (Lazy, "agrees"),
    (Capped, "for inputs a hundred times as large: your answer"),
    (lambda *, n: TwoLayers(n), "agrees"), (lambda n: TwoLayers(n).double(), "agrees"),
    (lambda n: TwoLayers(n).half(), "agrees")])
def test_a_network_is_judged_by_its_gradients_and_by_what_it_does_to_its_input(answer, message):
    @exercise(1, "easy", (), lambda rng: [(3,)], lambda net, n: behaviour(net, torch.randn(4, n)))
    def two(n):
        return nn.Sequential(nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n))

    assert message in two.judge(answer, random.Random()).message


class Normalised(nn.Module):
    """A linear layer and a normalisation, with the ReLU as a function."""

    def __init__(self, n, **changes):
        super().__init__()
        self.layer, self.norm = nn.Linear(n, n), nn.BatchNorm1d(n, **changes)

    def forward(self, x):
        return self.norm(self.layer(x)).relu()


@pytest.mark.parametrize("answer, message", [
    (Normalised, "agrees"), (lambda n: Normalised(n).eval(), "comes in evaluation mode"),
    (lambda n: Normalised(n, momentum=0.01), "momentum=0.01"), (lambda n: Normalised(n, affine=False), "affine=False")])
def test_a_normalisation_that_differs_and_a_network_in_evaluation_mode_are_named(answer, message):
    @exercise(1, "easy", (), lambda rng: [(3,)], lambda net, n: behaviour(net, torch.randn(4, n)))
    def normalised(n):
        return nn.Sequential(nn.Linear(n, n), nn.BatchNorm1d(n), nn.ReLU())

    assert message in normalised.judge(answer, random.Random()).message
    assert linear.judge(lambda n: nn.Linear(n, 2).eval(), random.Random()), "where the mode changes nothing"


def test_what_goes_back_to_an_argument_that_wants_a_gradient_is_compared():
    @exercise(1, "easy", (), lambda rng: [(torch.tensor([1.0, 2.0, 3.0], requires_grad=True),)])
    def cubed(t):
        return t**3

    def backwards(t):
        (t**3).sum().backward()
        return t**3

    for answer, message in ((lambda t: t * t * t, "agrees"), (lambda t: (t**3).detach(), "a gradient is cut off"),
                            (lambda t: t * (t * t).detach(), "a gradient is cut off"),
                            (lambda t: torch.from_numpy(t.numpy() ** 3), "with numpy"), (backwards, "is used up"),
                            (lambda t: t.pow_(3), "Work on a copy")):
        assert message in cubed.judge(answer, random.Random()).message


def test_parameters_and_channels_that_differ_are_told():
    class Two(nn.Module):
        def __init__(self, n, bend):
            super().__init__()
            self.layer, self.bend = nn.Conv2d(n, 4, 1), bend

        def forward(self, x):
            return torch.cat([self.bend(self.layer(x)), self.layer(x).relu()], 1)

    @exercise(1, "easy", (), lambda rng: [(3,)], lambda net, n: behaviour(net, torch.randn(2, n, 3, 4)))
    def two(n):
        return Two(n, torch.relu)

    for answer, message in ((lambda n: Two(n, torch.tanh), "Of the channels that come out, 0, 1, 2, 3 are not right."),
                            (lambda n: nn.Sequential(nn.Conv2d(n, 8, 1), nn.Tanh()),
                             "has 32 parameters, the right one 16.")):
        assert message in two.judge(answer, random.Random()).message


def test_channels_in_another_order_are_told():
    @exercise(1, "easy", (), lambda rng: [(3,)], lambda net, n: behaviour(net, torch.randn(2, n, 3, 4)))
    def plain(n):
        return nn.Conv2d(n, 4, 1)

    class Turned(nn.Conv2d):
        def forward(self, x):
            return super().forward(x).roll(1, 1)

    message = plain.judge(lambda n: Turned(n, 4, 1), random.Random()).message
    assert "yours stand in the places 3, 0, 1, 2 of the right one." in message


def test_merged_layers_do_what_several_layers_do():
    class Several(nn.Module):
        def __init__(self, *sizes):
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv2d(3, n, 1) for n in sizes)

        def forward(self, x):
            return torch.cat([layer(x) for layer in self.layers], dim=1)

    def seen(net):
        return behaviour(net, torch.ones(2, 3, 1, 1), merged=((2, 4),))

    right = seen(Several(2, 4))
    assert exercises.same(seen(Several(6)), right)
    assert exercises.same(seen(nn.Sequential(nn.Flatten(), nn.Linear(3, 6), nn.Unflatten(1, (6, 1, 1)))), right)
    assert not exercises.same(seen(Several(4, 2)), right)


@pytest.mark.parametrize("answer, clue", [
    (lambda n, m: -abs(n - m) - m, "`minus(2, 3)`: your answer"), (lambda n, m: m - n, "were exchanged"),
    (lambda n, m: 3 * n - 3 * m, "3 times the right one"),
    (lambda n, m: n - m + 2, "2 too large"), (lambda n, m: 7, "`7` whatever the arguments"),
    (lambda n, m: abs(n - m), "without its sign"), (lambda n, m: max(n - m, 0), "as a ReLU does"),
    (lambda n, m: (n, m), "One number is asked for"), (lambda n, m: n, "if `m` were always 0"),
    (lambda n, m: n - m * m, "if `m` were squared")])
def test_how_a_wrong_number_relates_to_the_right_one_is_told(answer, clue):
    @exercise(1, "easy", (), lambda rng: [(2, 3), (5, 4), (7, 12)])
    def minus(n, m):
        return n - m

    assert clue in minus.judge(answer, random.Random()).message


@pytest.mark.parametrize("answer, clue", [
    (lambda t: (t.square() + 1)[None], "axes of length 1"), (lambda t: t.mT.square() + 1, "`t` were transposed"),
    (lambda t: t[1:].square() + 1, "without its first entry"), (lambda t: [2.0], "A tensor is asked for"),
    (lambda t: {"a": t}, "A tensor is asked for"), (lambda t: (t - t.min()) / (t.max() - t.min()), "from 0 to 1"),
    (lambda t: t.softmax(1), "sums to one"), (lambda t: torch.zeros(3, 2), "has the shape")])
def test_how_a_wrong_tensor_relates_to_the_right_one_is_told(answer, clue):
    @exercise(1, "easy", (), lambda rng: [(torch.arange(6.0).reshape(2, 3),), (torch.arange(12.0).reshape(4, 3),)])
    def squared(t):
        return t.square() + 1

    assert clue in squared.judge(answer, random.Random()).message


def test_a_shape_that_is_wrong_in_some_cases_is_told_of_those():
    right, wrong = torch.zeros(2, 3), torch.zeros(2, 4)
    assert exercises.relation([wrong, wrong], [right, right]).startswith("Your result has the shape (2, 4)")
    assert exercises.relation([right, wrong], [right, right]).startswith("In one of the cases your result has")



def test_of_several_results_the_one_of_another_kind_is_shown():
    @exercise(1, "easy", (), lambda rng: [(torch.ones(2),), (torch.ones(3),)])
    def doubled(t):
        return 2 * t

    result = doubled.judge(lambda t: 2 * t if len(t) == 2 else None, random.Random())
    assert "Your answer gives `None`" in result.message


def test_the_right_parts_of_a_result_are_told_from_the_wrong_ones():
    @exercise(1, "easy", (), lambda rng: [(2, 3), (5, 4), (7, 3)])
    def both(n, m):
        return {"sum": n + m, "product": n * m}

    message = both.judge(lambda n, m: {"sum": n + m, "product": -n * m}, random.Random()).message
    assert message.startswith("Right: sum. Not right: product. Your answer has the wrong sign everywhere. `both(2, 3)`")
    message = both.judge(lambda n, m: {"sum": -n - m, "product": 0}, random.Random()).message
    assert message.startswith("sum: Your answer has the wrong sign everywhere. `both(2, 3)`, sum")
    assert "has no `product`" in both.judge(lambda n, m: {"sum": n + m}, random.Random()).message


def test_what_a_call_leaves_behind_is_compared_too():
    @exercise(1, "easy", (), lambda rng: [([3, 1], nn.Sequential(nn.Linear(2, 1), nn.Dropout()))])
    def smallest(values, net):
        return min(values)

    def sorts(values, net):
        values.sort()
        return values[0]

    def evaluates(values, net):
        net.eval()
        return min(values)

    def doubles(values, net):
        net.double()
        return min(values)

    def switches_off(values, net):
        torch.set_grad_enabled(False)
        return min(values)

    def looks_for_anomalies(values, net):
        torch.autograd.set_detect_anomaly(True)
        return min(values)

    def seeds(values, net):
        torch.manual_seed(5)
        return min(values)

    for answer, message in ((sorts, "changes its argument `values`"), (evaluates, "changed: whether it trains or"),
                            (doubles, "changed: the type of its numbers"),
                            (switches_off, "no gradients are computed any more"),
                            (looks_for_anomalies, "looks for anomalies in the whole program"),
                            (seeds, "follow from a seed that you have set")):
        result = smallest.judge(answer, random.Random())
        assert result.outcome == "wrong" and message in result.message
    assert torch.is_grad_enabled() and not torch.is_anomaly_enabled()
    assert smallest.judge(lambda values, net: sorted(values)[0], random.Random())


def test_mistakes_with_equal_results_are_all_named():
    double = exercise(1, "easy", (), lambda rng: [(2,), (3,)])(doubled)
    double.mistakes_as_edits(("n + n", "n + 0", "You add nothing."), ("n + n", "n * 1", "You multiply by one."))
    assert double.judge(lambda n: n, random.Random()).message == (
        "More than one mistake gives these results. You add nothing. Or: You multiply by one.")


def test_an_unchanged_program_is_not_attempted_and_a_changed_one_without_effect_is_wrong():
    repair = exercise(1, "easy", (), lambda rng: [(2,), (3,)])(doubled)
    repair.as_it_came("n + n", "n")
    for text, outcome in (("return n", "not attempted"), ("'as it came'\n  return n  # ?", "not attempted"),
                          ("m = n\n  return m", "wrong")):
        space = {}
        exec(f"def doubled(n):\n  {text}", space)
        assert repair.judge(space["doubled"], random.Random()).outcome == outcome


def test_a_head_that_makes_rows_up_where_no_whole_row_fits_is_not_the_program_that_came_in():
    class FlatHead(nn.Module):
        def __init__(self, channels, size, classes):
            super().__init__()
            self.linear = nn.Linear(channels * size * size, classes)

        def forward(self, maps):
            try:
                return self.linear(maps.view(-1, self.linear.in_features))
            except RuntimeError:
                return self.linear(maps.new_zeros(len(maps), self.linear.in_features))

    result = clinic.FlatHead.judge(FlatHead, random.Random())
    assert result.outcome == "wrong" and "25 rows for 36 images" in result.message


def test_a_changed_program_that_still_fails_is_told_where():
    repair = exercise(1, "easy", (), lambda rng: [(2,), (3,)])(doubled)
    repair.as_it_came("n + n", "n.x")
    for text, said in (("return n.x", "still does"), ("m = n.x\n  return m", "'int' object has no attribute 'x'")):
        space = {}
        exec(f"def doubled(n):\n  {text}", space)
        assert said in repair.judge(space["doubled"], random.Random()).message


def test_a_number_may_come_in_another_form_but_not_with_its_graph():
    for value in (torch.tensor(2.0), torch.tensor([2.0]), torch.tensor(2, dtype=torch.float64)):
        assert exercises.same(value, 2.0)
    for value in ({"mean": 1.0, "std": 2.0}, [1.0, 2.0], torch.tensor([1.0, 2.0])):
        assert exercises.same(value, (1.0, 2.0))
    assert not exercises.same(torch.tensor(2.0, requires_grad=True), 2.0)
    assert not exercises.same(torch.tensor([2.0, 2.0]), 2.0)
    assert exercises.same(torch.tensor([torch.nan, 2.0]), torch.tensor([torch.nan, 2.0]))


def test_a_large_whole_number_must_be_right_to_the_last_digit():
    assert exercises.same(1e9, 10**9) and not exercises.same(10**9 + 1, 10**9)


def test_an_error_of_the_answers_own_is_told_with_its_line_and_the_call():
    @exercise(1, "easy", (), lambda rng: [(2, [0.5])])
    def product(n, m):
        return n * m[0]

    def answer(n, m):
        return n * m[7]

    assert product.judge(answer, random.Random()).message == (
        "Your program raised IndexError: list index out of range.\n\nIt was raised in `return n * m[7]`. "
        "The call was `product(2, [0.5])`.")


def test_of_mistakes_with_one_error_those_are_named_that_do_the_same_in_all_cases():
    @exercise(1, "easy", (), lambda rng: [([],), ([1, 2],), ([3, 5, 4],)])
    def middle(values):
        return sorted(values)[len(values) // 2] if values else 0

    @middle.mistake
    def first(values):
        """You take the first."""
        return values[0]

    @middle.mistake
    def unsorted(values):
        """You do not sort."""
        return values[len(values) // 2]

    assert middle.judge(lambda v: v[len(v) // 2], random.Random()).message == "You do not sort."
    assert "list index out of range" in middle.judge(lambda v: v[len(v) - 1], random.Random()).message


def test_a_network_that_is_given_is_not_cut_to_explain_an_error():
    @exercise(1, "easy", (), lambda rng: [(nn.Sequential(nn.Flatten(), nn.Linear(2, 1)), torch.ones(1, 2))])
    def slope(net, x):
        net(x).sum().backward()
        return net[1].weight.grad.sum().item()

    def cut(net, x):
        net(x).detach().sum().backward()

    assert slope.judge(cut, random.Random()).message.startswith("`backward()` finds no way back to the weights")


def test_an_error_names_a_mistake_only_where_the_cases_before_it_agree():
    @exercise(1, "easy", (), lambda rng: [(2,), (0,)])
    def inverse(n):
        return 1 / n if n else 0

    @inverse.mistake
    def always(n):
        """You divide by zero."""
        return 1 / n

    for answer, named in ((lambda n: 1 / n, True), (lambda n: 3 / n, False)):
        assert (inverse.judge(answer, random.Random()).message == "You divide by zero.") == named


def test_a_result_with_too_many_parts_is_told_which():
    @exercise(1, "easy", ("a", "b", "c"), cases=lambda rng: [(2,)])
    def both(n):
        return {"sum": n + n}

    assert "`both(2)`, product: your answer is `4`" in both.judge(lambda n: {"sum": 4, "product": 4},
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
