"""Exercises that know which mistake was made. One file a notebook.

An exercise is its solution: a function (or a class) whose docstring is the task, under `@exercise`. Below it stand the
mistakes that students make, each a program that runs, whose docstring is the diagnosis. `check` calls the answer and
the solution with the same random inputs, and compares the results and what the calls have left behind. Where they
differ, it looks for the mistakes that give what the answer gave, and names them all. So a diagnosis fits however the
mistake is written, and a memorised number fails.

    from cnncourse.exercises import vgg as exercises

    def stack(channels):
        ...

    exercises.stack.check(stack)
"""

import copy
import inspect
import linecache
import math
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module

import numpy as np
import torch
from torch import Tensor, nn

from ..tools import progress
from .checking.clues import CAUSES, CHANGES, relation
from .checking.networks import Behaviour
from .checking.programs import SWITCHES, called, code_of, set_back, source, within, worked_on, written_alike
from .checking.values import MODES, WrongForm, describe, gradients_of, same, state, tensors, told, written

LESSONS = {"01_convolution_arithmetic": "convolution", "02_lenet": "lenet", "03_alexnet": "alexnet", "04_vgg": "vgg",
           "05_googlenet": "googlenet", "06_resnet": "resnet", "07_comparison": "comparison",
           "08_debugging_clinic": "clinic", "09_your_own_images": "images"}  # notebook → module of its exercises
SECONDS = 20  # that an answer may take for all its inputs
AS_IT_CAME = "The program still does what it did when it came in."


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

    @torch.random.fork_rng(devices=[])
    def judge(self, answer: Callable, rng: random.Random) -> Result:
        """As `check`, with the inputs that `rng` draws, and leaving no trace."""
        if answer is None or answer is ...:
            return Result("not attempted", "Replace the three dots by your answer.")
        cases = self.cases(rng)
        if not self.accepts(answer, cases[0]):
            kind = "class" if isinstance(self.function, type) else "function"
            return Result("wrong", f"`{self.function.__name__}` must be a {kind}, not {describe(answer)}. "
                                   f"Give `check` the {kind} itself, without calling it.")
        found = []
        outcome, error = within(SECONDS, lambda: found.extend(self.each_observation(answer, cases)))
        if outcome == "late":
            return Result("wrong", f"There was no answer after {SECONDS} seconds. Is there a loop that never ends?")
        if outcome == "error":
            return self.of_error(answer, cases, error)
        values = [value for value, _ in found]
        if all(value is None or isinstance(value, Behaviour) and not value for value in values):
            if not worked_on(answer):
                return Result("not attempted", "Your function returns nothing yet.")
            if values[0] is None:
                return Result("wrong", "Your function returns nothing. End it with `return` and the result, also where "
                                       "it works in place.")
            return Result("wrong", "The `forward` of your network returns nothing. End it with `return`.")
        start = time.process_time()
        _, expected = within(None, lambda: list(self.each_observation(self.function, cases)))
        seconds = time.process_time() - start
        for (_, there), (_, here), case in zip(found, expected, cases, strict=True):
            for name, net in zip(here, case, strict=False):  # whoever puts the modes back where they were is right too
                if isinstance(net, nn.Module) and there[name][MODES] == state(net)[MODES]:
                    there[name][MODES] = here[name][MODES]
        if same(found, expected):
            return Result("correct", "Your answer agrees with the reference on random inputs.")
        right = same(values, [value for value, _ in expected])

        def alike(program):  # what a wrong result leaves behind does not count
            return all(same(seen if right else seen[0], there if right else there[0])
                       for seen, there in zip(self.each_observation(program, cases), found, strict=True))

        known = self.recognised(answer, alike)
        if known is not None:
            return known
        for value, (wanted, _), case in zip(values, expected, cases, strict=True):
            if isinstance(wanted, Behaviour) and not value:
                what = "Your function" if value is None else "The `forward` of your network"
                call = self.call(case)
                return Result("wrong", f"{what} returns nothing in one of the cases{f', {call}' if call else ''}. Let "
                                       "each of its ways end with `return`.")
        if right:
            return Result("wrong", self.left_behind(found, expected, cases))
        clue = seconds < 1 and self.as_if(cases, alike, 0.2 + 3 * seconds)
        with suppress(Exception):  # not every value can be set beside the right one
            clue = clue or relation(values, [value for value, _ in expected])
        return Result("wrong", f"{clue or ''} {self.difference(found, expected, cases)}".strip())

    def accepts(self, answer: Callable, case: tuple) -> bool:
        """Whether a call of the answer can give what is wanted. A class gives a network; a network takes images."""
        if isinstance(answer, type) and not isinstance(self.function, type):
            return isinstance(self.function(*copy.deepcopy(case)), nn.Module)
        return callable(answer) and not isinstance(answer, nn.Module)

    def each_observation(self, answer: Callable, cases: list[tuple]) -> Iterable[tuple]:
        """For each case what the answer gives, None where it returns nothing, and what it leaves behind. Random layers
        draw the same numbers."""
        names = list(inspect.signature(self.function).parameters)
        for i, case in enumerate(cases):
            given, value = copy.deepcopy(case), None
            switches = {name: read() for name, (read, *_) in SWITCHES.items()}
            torch.default_generator.manual_seed(i)  # not those of a GPU, which the lesson may use
            try:
                value = called(answer, names, given)
                left = {name: state(argument) for name, argument in zip(names, given, strict=False)}
                left |= {name: read() for name, (read, *_) in SWITCHES.items()}
                left["gradients of the arguments"] = gradients_of(given, value)
                set_back(switches)
                torch.default_generator.manual_seed(i)  # however many numbers the answer has drawn
                seen = None if value is None or value is ... else self.observe(value, *copy.deepcopy(case))
            except BaseException as error:
                with suppress(Exception):
                    error.case, error.returned = case, value is not None
                raise
            finally:
                set_back(switches)
            yield seen, left

    def outcome(self, program: Callable, case: tuple):
        """What one call gives, or its error as text."""
        try:
            return next(iter(self.each_observation(program, [case])))[0]
        except BaseException as error:
            return told(error)

    def recognised(self, answer: Callable, alike: Callable[[Callable], bool]) -> Result | None:
        """What is wrong with all known programs that do the same as the answer, where there are any."""
        def checked(program):
            return within(SECONDS, partial(alike, program)) == ("value", True)

        if self.broken and checked(self.broken):
            outcome = "not attempted" if written_alike(answer, self.broken) else "wrong"
            return Result(outcome, AS_IT_CAME)
        found = dict.fromkeys(" ".join(inspect.getdoc(m).split()) for m in self.mistakes if checked(m))
        if len(found) > 1:
            return Result("wrong", "More than one mistake gives these results. " + " Or: ".join(found))
        return Result("wrong", *found) if found else None

    def as_if(self, cases: list[tuple], alike: Callable[[Callable], bool], seconds: float) -> str:
        """A sentence where the answer is the right one for other arguments, so that the argument is named. Of each
        change the consequences are awaited for some seconds: a padding of 1,000 makes a million sums."""
        names = list(inspect.signature(self.function).parameters)[:len(cases[0])]
        network = isinstance(self.function(*copy.deepcopy(cases[0])), nn.Module)
        changes = [(text, change) for text, change in CHANGES  # a network a thousand layers deep would fill the memory
                   if not network or text in ("one more", "one less")]
        tried = [((i,), f"`{names[i]}` were {text}", change) for i in range(len(names)) for text, change in changes
                 if not isinstance(cases[0][i], nn.Module)]  # half a network is nobody's mistake
        tried += [((i, j), f"`{names[i]}` and `{names[j]}` were exchanged", None)
                  for i in range(len(names)) for j in range(i)]
        end = time.monotonic() + SECONDS / 4
        for places, text, change in tried:
            left = end - time.monotonic()
            if left < 0:
                break

            def program(*arguments, places=places, change=change):
                arguments = list(arguments)
                values = [arguments[i] for i in places]
                for i, value in zip(places, map(change, values) if change else reversed(values), strict=True):
                    arguments[i] = value
                return self.function(*arguments)

            with suppress(Exception):  # not every change suits every argument
                if any(not same(change(case[places[0]]), case[places[0]]) for case in cases) if change else all(
                        type(case[places[0]]) is type(case[places[1]]) for case in cases):
                    if within(min(left, seconds), partial(alike, program)) == ("value", True):
                        return f"Your answer is what would be right if {text}."
        return ""

    def of_error(self, answer: Callable, cases: list[tuple], error: BaseException) -> Result:
        """What is wrong with an answer that raises an error."""
        _, seen = within(SECONDS, lambda: [self.outcome(answer, case) for case in cases])

        def alike(program):  # in all cases, since one error may have many causes
            return bool(seen) and all(same(self.outcome(program, case), there)
                                      for case, there in zip(cases, seen, strict=True))

        known = self.recognised(answer, alike)
        if known is not None and known != Result("wrong", AS_IT_CAME):  # a changed program is told where it fails
            return known
        if isinstance(error, WrongForm):
            return Result("wrong", str(error))
        if isinstance(error, NotImplementedError) and "forward" in told(error):
            return Result("wrong", "Your class has no method called `forward`. Look at how it is spelt, and whether it "
                                   "is indented as far as `__init__`.")
        for part, cause in CAUSES.items():
            if part in told(error):
                return Result("wrong", cause)
        call = self.call(getattr(error, "case", ()))
        lines = [linecache.getline(frame.f_code.co_filename, number).strip()
                 for frame, number in traceback.walk_tb(error.__traceback__)
                 if frame.f_code.co_filename == getattr(code_of(answer), "co_filename", None)]
        clue = [text for text in [isinstance(error, RuntimeError) and self.as_if(cases, alike, 1)] if text]
        where = [f"It was raised in `{lines[-1]}`."] if lines and lines[-1] else []
        if getattr(error, "returned", False):
            first = f"What your program returned cannot be used: {told(error).rstrip('.')}."
            where += [f"It came from {call}."] if call else []
        else:
            first = f"Your program raised {told(error).rstrip('.')}."
            where += [f"The call was {call}."] if call else []
        first = " ".join([first, *clue])
        return Result("wrong", "\n\n".join([first, " ".join(where)]).strip())

    def call(self, case: tuple) -> str:
        """A call to paste and run, as Markdown; empty where its arguments are too long or cannot be written."""
        texts = [written(value) for value in case]
        if None in texts:
            return ""
        text = f"{self.function.__name__}({', '.join(texts)})"
        return f"`{text}`" if len(text) <= 300 else ""

    def difference(self, found: list, expected: list, cases: list[tuple]) -> str:
        """What came out and what should, in the smallest case in which the two differ."""
        differing = [(self.call(case), there, here, case) for (there, _), (here, _), case
                     in zip(found, expected, cases, strict=True) if not same(there, here)]
        call, there, here, case = min(differing, key=lambda four: (not four[0], len(four[0])))
        names = inspect.signature(self.function).parameters
        inputs = ", ".join(f"{name} = {describe(value)}" for name, value in zip(names, case, strict=False))
        where = call or (f"For {inputs}" if inputs else "When called")
        if isinstance(there, Behaviour) and isinstance(here, Behaviour):
            cause = there.cause(here) or there.example(here, call.strip("`"))
            if cause:
                return cause
        if isinstance(here, dict) and isinstance(there, dict):
            key = next(k for k in {**here, **there} if not same(there.get(k), here.get(k)))
            where, there, here = f"{where}, {key}", there.get(key), here.get(key)
        if any(t.requires_grad for t in tensors(there)) and not tensors(here):
            return (f"{where}: your answer holds a tensor with its graph, which keeps everything in memory that it was "
                    "computed from. Plain numbers are asked for: take `.item()`.")
        if isinstance(there, Tensor) and isinstance(here, Tensor) and there.shape == here.shape and here.ndim:
            with suppress(RuntimeError, ValueError):  # a tensor may hold no numbers
                apart = (there.detach().to(torch.complex128) - here.detach()).abs().nan_to_num(math.inf)
                place = [int(i) for i in np.unravel_index(apart.argmax().item(), apart.shape)]
                if not (written(there) and written(here)):
                    return (f"{where}: the shape is right, the values are not. At {place} yours is "
                            f"{describe(there[tuple(place)])}, the right one is {describe(here[tuple(place)])}.")
        return f"{where}: your answer is {describe(there)}, the right one is {describe(here)}."

    def left_behind(self, found: list, expected: list, cases: list[tuple]) -> str:
        """A sentence about what a right answer leaves behind and should not, or should and does not."""
        (_, there), (_, here), case = next(three for three in zip(found, expected, cases, strict=True)
                                           if not same(three[0][1], three[1][1]))
        name = next(key for key in here if not same(there[key], here[key]))
        if name in SWITCHES:
            return f"The result is right. But afterwards {SWITCHES[name][2]}"
        if name == "gradients of the arguments":
            if isinstance(there[name], str):
                return ("The result is right. But its graph is used up: `backward()` belongs to the training loop, not "
                        "into your function.")
            return ("The numbers are right, but what goes back through them is not: a gradient is cut off. Look for "
                    "`detach`, `.data`, `.item()`, `no_grad`, numpy, or a tensor made anew.")
        argument = dict(zip(inspect.signature(self.function).parameters, case, strict=False))[name]
        part = ""
        if isinstance(argument, nn.Module):
            part = ": " + next(key for key in here[name] if not same(there[name][key], here[name][key]))
        if not same(here[name], state(argument)):
            return (f"The result is right. But `{name}` is not afterwards what the task wants it to be{part}. "
                    "Did you work on a copy, or on more than was asked for?")
        if part:
            return f"The result is right. But afterwards `{name}` is changed{part}. Leave it as you found it."
        return (f"The result is right. But your function changes its argument `{name}`, which belongs to whoever "
                "called it. Work on a copy.")


def named(*names: str) -> Callable:
    """An `observe` for results of several numbers, so that the message says which of them is wrong."""
    def observe(value, *case):
        parts = value.values() if isinstance(value, dict) else value
        if (not isinstance(value, dict | list | tuple | Tensor | np.ndarray) or getattr(value, "ndim", 1) == 0
                or len(parts) != len(names)):
            asked = ", ".join(names)
            raise WrongForm(f"{len(names)} numbers are asked for: {asked}. Your answer is {describe(value)}.")
        return dict(zip(names, parts, strict=True))
    return observe


def exercise(minutes: int, level: str, hints: tuple[str, ...], cases: Callable[[random.Random], list[tuple]],
             observe: Callable = lambda value, *case: value) -> Callable[[Callable], Exercise]:
    """Decorator that makes an exercise of its solution, whose docstring is the task.

    minutes: that a student needs. level: "easy", "medium" or "hard". hints: the first says where to look, the last
    nearly all. cases: draws the arguments of several calls; what goes back to those that want a gradient is compared as
    well. observe(value, *arguments): what is compared, of the value that a call has returned: numbers, text, tensors,
    or a dict of them, whose keys name them in the message.
    """
    return lambda function: Exercise(function, minutes, level, tuple(hints), cases, observe)


def of_lesson(lesson: str) -> list[Exercise]:
    """The exercises of a notebook, in their order."""
    module = import_module(f".{LESSONS[lesson]}", __name__)
    return [value for value in vars(module).values() if isinstance(value, Exercise)]
