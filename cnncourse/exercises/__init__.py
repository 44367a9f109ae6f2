"""Exercises that know which mistake was made. One file a notebook.

An exercise is its solution: a function (or a class) whose docstring is the task, under `@exercise`. Below it stand the
mistakes that students make, each a program that runs, whose docstring is the diagnosis. `check` calls the answer and
the solution with the same random inputs. Where they differ, it looks for the mistake that gives what the answer gave.
So a diagnosis fits however the mistake is written, and a memorised number fails.

    from cnncourse.exercises import vgg as exercises

    def stack(channels):
        ...

    exercises.stack.check(stack)
"""

import ast
import copy
import ctypes
import inspect
import math
import random
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from itertools import zip_longest
from numbers import Number
from reprlib import Repr

import numpy as np
import torch
from torch import Tensor, nn

from ..tools import progress

LESSONS = {"01_convolution_arithmetic": "convolution", "02_lenet": "lenet", "03_alexnet": "alexnet", "04_vgg": "vgg",
           "05_googlenet": "googlenet", "06_resnet": "resnet", "07_comparison": "comparison",
           "08_debugging_clinic": "clinic", "09_your_own_images": "images"}  # notebook → module of its exercises
SECONDS = 20  # that an answer may take for all its inputs


@dataclass(frozen=True)
class Result:
    """What a check found; true only if the answer is correct."""

    outcome: str  # "correct", "wrong" or "not attempted"
    message: str

    def __bool__(self) -> bool:
        return self.outcome == "correct"

    def __repr__(self) -> str:
        return f"{self.outcome.capitalize()}. {self.message}"

    def _repr_markdown_(self) -> str:
        return f"**{self.outcome.capitalize()}.** {self.message}"


class Text(str):
    """Text that a notebook shows as Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)

    __repr__ = str.__str__


@dataclass(eq=False)
class Exercise:
    """Made by `@exercise`; see there."""

    function: Callable
    minutes: int
    level: str
    hints: tuple[str, ...]
    cases: Callable[[random.Random], list[tuple]]
    observe: Callable
    mistakes: list[Callable] = field(default_factory=list)
    broken: Callable | None = None  # the program as it came in, where the exercise is to repair one

    @property
    def name(self) -> str:
        """For example "vgg.stack"."""
        return f"{self.function.__module__.rpartition('.')[2]}.{self.function.__name__}"

    def check(self, answer: Callable) -> Result:
        """Whether an answer is right, and if not, which mistake it holds. Never raises, and never runs on for ever."""
        result = self.judge(answer, random.Random())
        progress.note(self.name, result.outcome, result.message)
        return result

    def hint(self, number: int = 1) -> Text:
        """A hint; each further one says more."""
        number = min(max(number, 1), len(self.hints))
        more = f" There is more in `.hint({number + 1})`." if number < len(self.hints) else ""
        return Text(f"Hint {number} of {len(self.hints)}: {self.hints[number - 1]}{more}")

    def solution(self) -> Text:
        """One right answer, as text."""
        return Text(f"```python\n{source(self.function)}\n```")

    def mistake(self, program: Callable) -> Callable:
        """Decorator: a wrong program, whose docstring says what is wrong with it."""
        self.mistakes.append(program)
        return program

    def edited(self, *texts: str) -> Callable:
        """The solution with other texts in it: what stands there, what is written, and so on in pairs. Raises
        ValueError where a text does not stand there exactly once."""
        program, names = source(self.function), {}
        for old, new in zip(texts[::2], texts[1::2], strict=True):
            if program.count(old) != 1:
                raise ValueError(f"{self.name}: {old!r} stands {program.count(old)} times in the solution, not once")
            program = program.replace(old, new)
        exec(program, vars(sys.modules[self.function.__module__]), names)
        return names[self.function.__name__]

    def mistakes_as_edits(self, *edits: tuple[str, ...]) -> None:
        """Mistakes that differ little from the solution: each is the texts that `edited` takes, and the diagnosis."""
        for *texts, diagnosis in edits:
            program = self.edited(*texts)
            program.__doc__ = diagnosis
            self.mistakes.append(program)

    def as_it_came(self, *texts: str) -> None:
        """Makes the broken program that is to be repaired, as `edited` does."""
        self.broken = self.edited(*texts)

    def judge(self, answer: Callable, rng: random.Random) -> Result:
        """As `check`, with the inputs that `rng` draws, and leaving no trace."""
        if answer is None or answer is ...:
            return Result("not attempted", "Replace the three dots by your answer.")
        cases = self.cases(rng)
        if not self.accepts(answer, cases[0]):
            kind = "class" if isinstance(self.function, type) else "function"
            return Result("wrong", f"`{self.function.__name__}` must be a {kind}, not {describe(answer)}. "
                                   f"Give `check` the {kind} itself, without calling it.")
        outcome, found = within(SECONDS, partial(self.observations, answer, cases))
        if outcome == "late":
            return Result("wrong", f"There was no answer after {SECONDS} seconds. Is there a loop that never ends?")
        if outcome == "error":
            return Result(*self.recognised(cases, error=found) or ("wrong", f"Your program raised {told(found)}"))
        if all(value is None for value in found):
            if worked_on(answer):
                return Result("wrong", "Your function returns nothing. End it with `return` and the result, also where "
                                       "it works in place.")
            return Result("not attempted", "Your function returns nothing yet.")
        expected = self.observations(self.function, cases)
        if same(found, expected):
            return Result("correct", "Your answer agrees with the reference on random inputs.")
        return Result(*self.recognised(cases, found) or ("wrong", self.difference(found, expected, cases)))

    def accepts(self, answer: Callable, case: tuple) -> bool:
        """Whether a call of the answer can give what is wanted. A class gives a network; a network takes images."""
        if isinstance(answer, type) and not isinstance(self.function, type):
            with torch.random.fork_rng(devices=[]):
                return isinstance(self.function(*copy.deepcopy(case)), nn.Module)
        return callable(answer) and not isinstance(answer, nn.Module)

    def observations(self, answer: Callable, cases: list[tuple]) -> list:
        """What the answer gives for each case; None where it returns nothing. Random layers draw the same numbers."""
        seen = []
        for i, case in enumerate(cases):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(i)
                value = answer(*copy.deepcopy(case))
                torch.manual_seed(i)  # however many numbers the answer has drawn
                seen.append(None if value is None or value is ... else self.observe(value, *copy.deepcopy(case)))
        return seen

    def recognised(self, cases: list[tuple], found: list | None = None,
                   error: BaseException | None = None) -> tuple[str, str] | None:
        """Outcome and message for a known program that does the same, where there is one."""
        for program in ([self.broken] if self.broken else []) + self.mistakes:
            outcome, seen = within(SECONDS, partial(self.observations, program, cases))
            if outcome == "error" and error is not None:
                alike = told(seen) == told(error)
            else:
                alike = outcome == "value" and error is None and same(found, seen)
            if alike and program is self.broken:
                return "not attempted", "The program still does what it did when it came in."
            if alike:
                return "wrong", " ".join(inspect.getdoc(program).split())
        return None

    def difference(self, found: list, expected: list, cases: list[tuple]) -> str:
        """A sentence about the first case in which the two differ."""
        there, here, case = next(trio for trio in zip(found, expected, cases, strict=True) if not same(*trio[:2]))
        names = inspect.signature(self.function).parameters
        inputs = ", ".join(f"{name} = {describe(value)}" for name, value in zip(names, case, strict=False))
        where = f"For {inputs}" if inputs else "When called"
        if isinstance(here, dict) and isinstance(there, dict):
            key = next(k for k in {**here, **there} if not same(there.get(k), here.get(k)))
            where, there, here = f"{where}, {key}", there.get(key), here.get(key)
        if isinstance(there, Tensor) and isinstance(here, Tensor) and there.shape == here.shape and here.ndim:
            with suppress(RuntimeError):  # a tensor may hold no numbers
                apart = (there.to(torch.complex128) - here).abs().max().item()
                return f"{where}: the shape is right, the values are not. The largest difference is {apart:.2g}."
        return f"{where}: your answer is {describe(there)}, the right one is {describe(here)}."


def exercise(minutes: int, level: str, hints: tuple[str, ...], cases: Callable[[random.Random], list[tuple]],
             observe: Callable = lambda value, *case: value) -> Callable[[Callable], Exercise]:
    """Decorator that makes an exercise of its solution, whose docstring is the task.

    minutes: that a student needs. level: "easy", "medium" or "hard". hints: the first says where to look, the last
    nearly all. cases: draws the arguments of several calls. observe(value, *arguments): what is compared, of the value
    that a call has returned: numbers, text, tensors, or a dict of them, whose keys name them in the message.
    """
    return lambda function: Exercise(function, minutes, level, tuple(hints), cases, observe)


def of_lesson(lesson: str) -> list[Exercise]:
    """The exercises of a notebook, in their order."""
    module = import_module(f".{LESSONS[lesson]}", __name__)
    return [value for value in vars(module).values() if isinstance(value, Exercise)]


def behaviour(net: nn.Module, x: Tensor) -> dict | None:
    """What a network does, whatever its layers are called and in whichever order they are written; None where its
    `forward` returns nothing yet.

    Each parameter is filled with numbers that depend on its shape alone. x: N x C x H x W, or what the network takes.
    """
    if not isinstance(net, nn.Module):
        raise TypeError(f"a torch.nn.Module is expected, not {describe(net)}")
    with torch.no_grad():
        for parameter in net.parameters():
            generator = torch.Generator().manual_seed(sum(31**i * n for i, n in enumerate(parameter.shape, 1)) % 2**31)
            scale = 1 / math.sqrt(max(1, parameter[0].numel()))
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
        evaluated = net.eval()(x)
        if evaluated is None or evaluated is ...:
            return None
        torch.manual_seed(0)
        return {"the number of parameters": sum(p.numel() for p in net.parameters()),
                "the output in evaluation": evaluated, "the output in training": net.train()(x)}


def worked_on(answer: Callable) -> bool:
    """Whether a function, or the `forward` of a class, does more than a stub, than which no function is shorter."""
    def stub():
        ...

    code = getattr(getattr(answer, "forward", answer), "__code__", None)
    return code is not None and len(code.co_code) > len(stub.__code__.co_code)


def source(program: Callable) -> str:
    """The text of a function or class at the top of its file, without decorators."""
    return definitions(program.__module__)[program.__name__]


@cache
def definitions(module: str) -> dict[str, str]:
    """The text of each function and class of a module, parsed once: `inspect.getsource` parses the file each time."""
    text = inspect.getsource(sys.modules[module])
    lines = text.splitlines()
    return {node.name: "\n".join(lines[node.lineno - 1:node.end_lineno]) for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def within(seconds: float, call: Callable) -> tuple[str, object]:
    """("value", what the call returned), ("error", what it raised) or ("late", None).

    The call runs in a thread, which is the one way to leave an endless loop on every system. The thread is then ended:
    left alone, it would make every later step of the lesson about three times as slow.
    """
    found = []

    def work():
        try:
            found.append(("value", call()))
        except BaseException as error:  # also a student's sys.exit()
            found.append(("error", error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
        return "late", None
    return found[0]


def told(error: BaseException) -> str:
    """Name and message of an error; the name alone where there is no message, or where reading it raises."""
    text = ""
    with suppress(Exception):  # a student's own __str__
        text = str(error)
    return f"{type(error).__name__}: {text}" if text else f"{type(error).__name__}."


def same(a, b) -> bool:
    """Equal up to rounding; False for what cannot be compared."""
    try:
        if isinstance(a, Tensor | np.ndarray) or isinstance(b, Tensor | np.ndarray):
            a, b = (torch.as_tensor(value).to(torch.complex128) for value in (a, b))
            size = b.abs().max().item() if b.numel() else 0
            return a.shape == b.shape and torch.allclose(a, b, rtol=1e-4, atol=1e-5 * max(size, 1e-6))
        if isinstance(b, dict):
            return isinstance(a, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
        if isinstance(b, list | tuple):
            return isinstance(a, list | tuple) and all(same(*pair) for pair in zip_longest(a, b))
        if isinstance(a, Number) and isinstance(b, Number):
            return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
        return type(a) is type(b) and bool(a == b)
    except Exception:  # an answer may return anything, such as 1j or a tensor without numbers
        return False


class Short(Repr):
    def repr_float(self, value: float, level: int) -> str:
        return f"{value:.8g}"


def describe(value) -> str:
    """A value in a few words."""
    if isinstance(value, Tensor) and value.ndim:
        return f"a tensor of {' x '.join(map(str, value.shape))}"
    if isinstance(value, nn.Module):
        return f"a network ({type(value).__name__})"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    with suppress(Exception):  # a student's own __repr__ may raise
        value = value.item() if isinstance(value, Tensor) else value
        if "\n" not in repr(value) and " at 0x" not in repr(value):
            return f"`{Short().repr(value)}`"
    return f"an object of type {type(value).__name__}"
