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

import ast
import copy
import ctypes
import inspect
import linecache
import math
import random
import re
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
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
MODES = "whether it trains or evaluates (`train()`, `eval()`)"
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


class WrongForm(Exception):
    """Raised by `observe`: the answer is not of the form that the task asks for. The text is the diagnosis."""


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
        _, expected = within(None, partial(self.observations, self.function, cases))
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
        if right:
            return Result("wrong", self.left_behind(found, expected, cases))
        clue = seconds < 1 and self.as_if(cases, alike, 0.2 + 3 * seconds)
        with suppress(Exception):  # not every value can be set beside the right one
            clue = clue or relation(values, [value for value, _ in expected])
        return Result("wrong", f"{clue or ''} {self.difference(found, expected, cases)}".strip())

    def accepts(self, answer: Callable, case: tuple) -> bool:
        """Whether a call of the answer can give what is wanted. A class gives a network; a network takes images."""
        if isinstance(answer, type) and not isinstance(self.function, type):
            with torch.random.fork_rng(devices=[]):
                return isinstance(self.function(*copy.deepcopy(case)), nn.Module)
        return callable(answer) and not isinstance(answer, nn.Module)

    def observations(self, answer: Callable, cases: list[tuple]) -> list[tuple]:
        """For each case what the answer gives, None where it returns nothing, and what it leaves behind."""
        return list(self.each_observation(answer, cases))

    def each_observation(self, answer: Callable, cases: list[tuple]) -> Iterable[tuple]:
        """As `observations`, one at a time. Random layers draw the same numbers."""
        names = list(inspect.signature(self.function).parameters)
        for i, case in enumerate(cases):
            given, value = copy.deepcopy(case), None
            switches = {name: read() for name, (read, *_) in SWITCHES.items()}
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(i)
                try:
                    value = called(answer, names, given)
                    left = {name: state(argument) for name, argument in zip(names, given, strict=False)}
                    left |= {name: read() for name, (read, *_) in SWITCHES.items()}
                    left["gradients of the arguments"] = gradients_of(given, value)
                    set_back(switches)
                    torch.manual_seed(i)  # however many numbers the answer has drawn
                    nothing = value is None or value is ...
                    seen = None if nothing else self.observe(value, *copy.deepcopy(case))
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
        with torch.random.fork_rng(devices=[]):
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


class Behaviour(dict):
    """What `behaviour` finds, with the network and its input, from which the message is made."""

    def __init__(self, net: nn.Module, x: Tensor):
        super().__init__()
        self.net, self.x = net, x

    def __or__(self, more: dict) -> "Behaviour":
        both = Behaviour(self.net, self.x)
        both.update({**self, **more} if self else {})
        return both

    def cause(self, right: "Behaviour") -> str | None:
        """Which part of the network differs from the right one, as far as can be seen."""
        hidden = [f"`{name}`" for module in self.net.modules() for name, value in vars(module).items()
                  if name != "_modules" and isinstance(value, list | tuple | dict)
                  and any(isinstance(v, nn.Module) for v in (value.values() if isinstance(value, dict) else value))]
        if hidden:
            return (f"Layers stand in a plain Python list or dict ({', '.join(hidden)}), where PyTorch does not find "
                    "their parameters. `nn.ModuleList`, `nn.ModuleDict` or `nn.Sequential` hold them.")
        if not self["the number of parameters"] and right["the number of parameters"]:
            return ("Your network has no parameters. Make its layers once, in `__init__`, and keep them in `self`: a "
                    "layer that is made in `forward` is a new one at each call.")
        if self["the gradient of the input"] is None is not right["the gradient of the input"]:
            return ("No gradient passes through your network, so that nothing in front of it could learn. Look for "
                    "`no_grad`, `detach`, `.data`, `.item()`, numpy, or a tensor made anew.")
        key = "whether it comes in training mode"
        if self[key] != right[key]:
            return ("Your network comes in evaluation mode (`eval()`), so that a training would leave out its dropout "
                    "and use averages that nobody has measured. Return it as it was built.")
        idle = self["parameters that no gradient reaches"]
        frozen = [name for name, p in self.net.named_parameters() if name in idle and not p.requires_grad]
        if frozen:
            return f"Your network cannot learn: `{frozen[0]}` has `requires_grad=False`."
        if idle and idle != right["parameters that no gradient reaches"]:
            return (f"No gradient reaches {', '.join(f'`{name}`' for name in idle[:4])}. Is the layer built and never "
                    "used, another one used in its place, its result thrown away, or the gradient cut off?")
        if all(same(self.get(name), value) for name, value in right.items() if "gradient" not in name):
            return ("The numbers are right, but what goes back through your network is not: on one of its ways a "
                    "gradient is cut off. Look for `detach`, `.data` and `no_grad`.")
        uses = [seen.uses() for seen in (self, right)]
        again = [name for name, n in uses[0].items() if n > 1 and max(uses[1].values(), default=0) == 1]
        if again:
            return (f"One pass uses the layer `{again[0]}` {uses[0][again[0]]} times, each time with the same weights. "
                    "Is another layer meant in one of these places?")
        if not same(self["the input after the forward pass"], right["the input after the forward pass"]):
            return ("Your network writes into the images that it is given, which belong to whoever called it. Look for "
                    "`inplace=True`, `+=` and functions that end in `_`.")
        with suppress(Exception), torch.no_grad():
            if not same(*(self.net.eval()(self.x.clone()) for _ in range(2))):
                return ("Your network gives another answer each time that it is asked, in evaluation as well. Is a "
                        "layer made in `forward`, new at each call? Or is there an `F.dropout` without "
                        "`training=self.training`?")
        key = "the output in evaluation"
        if same(self[key], right[key]) and not same(self["the output in training"], right["the output in training"]):
            return self.other_layer(right) or (
                "Your network is right in evaluation and does something else in training. Look for a dropout, a "
                "normalisation over the batch, or `self.training`.")
        mine, others = self[key], right[key]
        if isinstance(mine, Tensor) and mine.ndim > 2 and mine.shape == others.shape:
            order, free = [], list(range(mine.shape[1]))
            for c in range(mine.shape[1]):  # some may be equal, such as those that a ReLU has set to zero
                order += [d for d in free if same(mine[:, c], others[:, d])][:1]
                free = [d for d in free if d not in order]
            if not free and order != sorted(order):
                return ("The channels that come out are the right ones in another order: yours stand in the places "
                        f"{', '.join(map(str, order))} of the right one.")
        for kind in ("", "BatchNorm"):  # where an activation is a function and no layer, the normalisations alone
            mine, others = (Counter(text for m in net.modules() if not list(m.children())
                                    and (text := layer_text(m)).startswith(kind)) for net in (self.net, right.net))
            more, missing = list(mine - others), list(others - mine)
            if mine.total() == others.total() and more and (  # layers of two kinds: written in another way
                    len(more) == 1 or more[0].partition("(")[0] == missing[0].partition("(")[0]):
                return f"Your network holds `{more[0]}`. The right one holds `{missing[0]}` there."
        here, there = ([type(m).__name__ for m in net.modules()] for net in (self.net, right.net))
        extra = [kind for kind in here if ("Norm" in kind or "Drop" in kind) and kind not in there]
        return f"Your network holds a layer `{extra[0]}`. The right one has none." if extra else self.other_layer(right)

    def uses(self) -> Counter:
        """How often one pass uses each layer that has parameters."""
        found, hooks = Counter(), []
        for name, module in self.net.named_modules():
            if module._parameters:
                hooks.append(module.register_forward_hook(lambda *_, name=name: found.update([name])))
        with suppress(Exception), torch.no_grad():
            self.net.eval()(self.x.clone())
        for hook in hooks:
            hook.remove()
        return found

    def other_layer(self, right: "Behaviour") -> str | None:
        """Where the layers of two networks part that are rows of layers and nothing else."""
        rows = [in_order(seen.net) for seen in (self, right)]
        if None in rows or rows[0] == rows[1]:
            return None
        for i, (mine, other) in enumerate(zip_longest(*rows)):
            if mine != other:
                other = f"that of the solution is `{other}`" if other else "the solution ends before it"
                return (f"Layer {i} of your network, counted from 0, is `{mine}`, {other}." if mine else
                        f"Your network ends with layer {i - 1}, counted from 0: of layer {i}, {other}.")

    def parts(self, right: "Behaviour") -> str:
        """Where the network differs, as far as counts and channels say it; empty where most channels are wrong."""
        counts = [seen["the number of parameters"] for seen in (self, right)]
        if counts[0] != counts[1]:
            return f"Your network has {counts[0]} parameters, the right one {counts[1]}."
        mine, others = (seen["the output in evaluation"] for seen in (self, right))
        if not isinstance(mine, Tensor) or mine.shape != others.shape or mine.ndim < 3:
            return ""
        wrong = [str(c) for c in range(mine.shape[1]) if not same(mine[:, c], others[:, c])]
        few = wrong and 2 * len(wrong) <= mine.shape[1]
        return f"Of the channels that come out, {', '.join(wrong)} are not right." if few else ""

    def example(self, right: "Behaviour", call: str) -> str | None:
        """A few lines to paste and run, with what comes out and what should."""
        shape = (1, *self.x.shape[1:])
        for fill in (0.1, -0.1):
            outputs = []
            for net in (self.net, right.net):
                with suppress(Exception), torch.no_grad():
                    for parameter in net.parameters():
                        nn.init.constant_(parameter, fill)
                    dtype = next((p.dtype for p in net.parameters()), self.x.dtype)
                    outputs.append(net.eval()(torch.linspace(-1, 1, math.prod(shape), dtype=dtype).reshape(shape)))
            if not call or len(outputs) < 2 or not all(isinstance(output, Tensor) for output in outputs):
                return None
            shapes = [tuple(output.shape) for output in outputs]
            seen = {"shape": shapes} if shapes[0] != shapes[1] else {
                "mean()": [t.mean().item() for t in outputs],
                "square().mean()": [t.square().mean().item() for t in outputs]}
            size = outputs[1].abs().max().item()  # a mean of large numbers may be 0 up to rounding
            for what, values in seen.items():
                if what != "shape" and abs(values[0] - values[1]) <= 1e-4 * max(size, size**2):  # both may be 0
                    continue
                values = values if what == "shape" else [f"{value:.5g}" for value in values]
                return (f"{self.parts(right) or 'Your network is another one than the right one.'} Paste and run:\n\n"
                        f"```python\nnet = {call}\n"
                        f"for p in net.parameters():\n    nn.init.constant_(p, {fill})\n"
                        f"net.eval()(torch.linspace(-1, 1, {math.prod(shape)}).reshape{shape}).{what}\n```\n\n"
                        f"Your network gives `{values[0]}`, the right one `{values[1]}`.")
        return None


def of(kind: type, change: Callable) -> Callable:
    """A change of values of one type; others raise."""
    def changed(value):
        if not (type(value) is kind or kind is Tensor and isinstance(value, Tensor)):
            raise TypeError
        return change(value)
    return changed


CAUSES = {  # of errors whose own words lead astray: a part of them, and the sentence that is told
    "leaf Variable that requires grad": (
        "Your program writes into a tensor that gradients are computed for: one that it is given, which belongs to "
        "whoever called it, or a weight. Work on a copy (`clone`); weights are set under `torch.no_grad()`."),
    "does not have a grad_fn": (
        "`backward()` finds no way back to the weights: the forward pass ran under `no_grad`, or `detach`, `.item()` "
        "or numpy stand between it and the loss."),
    "call numpy() on Tensor that requires grad": (
        "Your program computes with numpy, and there no gradient passes. Compute with tensors.")}
CHANGES = (  # how an argument may be mistaken: in words, and as a function that raises where it does not suit
    *((f"always {n}", of(int, lambda value, n=n: n)) for n in (0, 1, 2, 3, 5, 10, 64, 128, 224, 512, 1000)),
    ("one more", of(int, lambda n: n + 1)), ("one less", of(int, lambda n: n - 1)),
    ("twice as large", of(int, lambda n: 2 * n)), ("half as large", of(int, lambda n: n // 2)),
    ("negative", lambda value: -value), ("without its sign", lambda value: abs(value)),
    ("one minus what it is", of(float, lambda x: 1 - x)), ("squared", lambda value: value**2),
    ("the root of what it is", lambda value: value**0.5), ("always true", of(bool, lambda value: True)),
    ("always false", of(bool, lambda value: False)), ("the opposite", of(bool, lambda value: not value)),
    ("without its first entry", lambda value: value[1:]), ("without its last entry", lambda value: value[:-1]),
    ("in the opposite order", lambda value: value.flip(0) if isinstance(value, Tensor) else value[::-1]),
    ("mirrored (left and right exchanged)", of(Tensor, lambda t: t.flip(-1))),
    ("turned by half a turn", of(Tensor, lambda t: t.flip(-1, -2))),
    ("transposed (rows and columns exchanged)", of(Tensor, lambda t: t.mT if t.ndim > 1 else 1 / 0)),
    ("sorted", of(list, sorted)))


def relation(found: list, expected: list) -> str:
    """A sentence about how wrong results relate to the right ones in all cases; empty where no relation is seen."""
    if all(isinstance(value, Behaviour) and value for value in [*found, *expected]):
        key = "the output in evaluation"
        found, expected = [value[key] for value in found], [value[key] for value in expected]
        if not all(isinstance(value, Tensor) for value in [*found, *expected]):
            return ""
        if rows_sum_to_one(found) and not rows_sum_to_one(expected):
            return "The outputs of each image sum to one, so there is a softmax in your network."
    if all(isinstance(there, dict) and isinstance(here, dict) for there, here in zip(found, expected, strict=True)):
        return of_parts(found, expected)
    if all(isinstance(here, dict) for here in expected):
        given = describe(other_than(found, dict))
        return f"A dict with {', '.join(map(str, expected[0]))} is asked for. Your answer gives {given}."
    if same(found, expected):
        return ""
    kinds = [Tensor if isinstance(value, Tensor | np.ndarray) else Number if isinstance(value, Number) else
             list if isinstance(value, list | tuple) else type(value) for value in expected]
    if set(kinds) == {list}:
        found = [list(v.values()) if isinstance(v, dict) else v.tolist() if isinstance(v, Tensor | np.ndarray) else v
                 for v in found]
        if not all(isinstance(value, list | tuple) for value in found):
            return f"A list or a tuple is asked for. Your answer gives {describe(other_than(found, list | tuple))}."
        lengths = [(len(there), len(here)) for there, here in zip(found, expected, strict=True)]
        wrong = [pair for pair in lengths if pair[0] != pair[1]]
        if wrong:
            return f"Your answer has {wrong[0][0]} entries where the right one has {wrong[0][1]}."
        if all(same(list(there)[::-1], list(here)) for there, here in zip(found, expected, strict=True)):
            return "Your numbers are right, in the opposite order."
        text = relation([x for there in found for x in there], [x for here in expected for x in here])
        first = [next((i for i, pair in enumerate(zip(*both, strict=True)) if not same(*pair)), None)
                 for both in zip(found, expected, strict=True)]
        first = [i for i in first if i is not None]
        return text or (min(first) and f"Your list is right before place {min(first)}, counted from 0.") or ""
    if set(kinds) == {Number}:
        wrong = [v for v in found if isinstance(v, complex) or not isinstance(v, Number)
                 and not (isinstance(v, Tensor | np.ndarray) and math.prod(v.shape) == 1)]
        if wrong:
            return f"One number is asked for. Your answer gives {describe(wrong[0])}."
    elif set(kinds) == {Tensor}:
        if not all(isinstance(value, Tensor | np.ndarray) for value in found):
            return f"A tensor is asked for. Your answer gives {describe(other_than(found, Tensor | np.ndarray))}."
        shapes = [(tuple(there.shape), tuple(here.shape)) for there, here in zip(found, expected, strict=True)]
        wrong = [pair for pair in shapes if pair[0] != pair[1]]
        if wrong and all([n for n in there if n != 1] == [n for n in here if n != 1] for there, here in wrong):
            return f"Your tensor has the shape {wrong[0][0]}, {wrong[0][1]} is asked for: axes of length 1 do not fit."
        if wrong and all(there.ndim > 1 and same(there.mT, here) for there, here in zip(found, expected, strict=True)):
            return "Rows and columns of your result are exchanged."
        if wrong:
            axes = [i for i in range(len(wrong[0][1])) if any(len(a) != len(b) or a[i] != b[i] for a, b in wrong)]
            start = "In one of the cases your" if len(wrong) < len(shapes) else "Your"  # another may be shown behind it
            return (f"{start} result has the shape {wrong[0][0]}, the right one {wrong[0][1]}"
                    + (f": look at axis {axes[0]}." if len(axes) == 1 else "."))
        if rows_sum_to_one(found) and not rows_sum_to_one(expected):
            return "Each row of your result sums to one, as after a softmax."
        zero_to_one = [all(t.ndim and t.is_floating_point() and (t.min(), t.max()) == (0, 1)
                           for t in map(torch.as_tensor, values)) for values in (found, expected)]
        if zero_to_one == [True, False]:
            return "Your result goes from 0 to 1: it is scaled so, or cut off at both ends."
    else:
        return ""
    try:
        a, b = (torch.cat([torch.as_tensor(v).detach().double().reshape(-1) for v in side])
                for side in (found, expected))
    except (RuntimeError, TypeError, ValueError, OverflowError):
        return ""
    if len(a) != len(b) or len(b.unique()) < 2 or not (a.isfinite().all() and b.isfinite().all()):
        return ""
    if len(a.unique()) == 1:
        return f"Your answer is `{a[0].item():.6g}` whatever the arguments are."

    def explained(value):  # what is left is small beside each error, however large the numbers are
        errors = (a - b).abs()
        return ((a - value).abs() <= 0.01 * errors + 1e-4 * errors.max()).all()

    if explained(b):
        return ""
    if explained(0 * b):
        return "Your answer is far too small whatever the arguments are."
    factor = (a * b).sum() / (b * b).sum()
    if explained(-b):
        return "Your answer has the wrong sign everywhere."
    if explained(factor * b):
        return f"Your answer is {factor.item():.5g} times the right one everywhere."
    apart = (a - b).mean().item()
    if explained(b + apart) and len(b.unique()) > 2:
        return f"Your answer is {abs(apart):.5g} too {'large' if apart > 0 else 'small'} everywhere."
    for text, value in (("the right one without its sign", b.abs()), ("one divided by the right one", 1 / b),
                        ("the right one with negative numbers set to zero, as a ReLU does", b.relu()),
                        ("one minus the right one", 1 - b), ("the square of the right one", b**2),
                        ("the root of the right one", b.clamp(min=0).sqrt()), ("a whole number", b.round()),
                        ("cut to whole numbers", b.trunc()), ("rounded down", b.floor()), ("rounded up", b.ceil()),
                        *((f"rounded to {n} digits behind the point", b.round(decimals=n)) for n in (1, 2, 3, 4))):
        if explained(value):
            return f"Your answer is {text} everywhere."
    if 1 < (b > a.max()).sum() < len(b) - 1 and explained(b.clamp(max=a.max())):
        return f"Your answer is right up to {a.max().item():.6g} and never larger. Does a range or a search end there?"
    return ""


def rows_sum_to_one(values: list) -> bool:
    """Whether all values are matrices whose rows sum to one."""
    return all(t.ndim == 2 and same(t.sum(dim=1), torch.ones(len(t))) for t in map(torch.as_tensor, values))


def other_than(values: list, kind: type):
    """The first of some values that is not of a kind."""
    return next(value for value in values if not isinstance(value, kind))


def of_parts(found: list[dict], expected: list[dict]) -> str:
    """Which parts of results are right, and how the first wrong one relates to the right one."""
    missing = [key for key in expected[0] if any(key not in there for there in found)]
    if missing:
        return f"Your answer has no `{missing[0]}`."
    more = [key for there, here in zip(found, expected, strict=True) for key in there if key not in here]
    if more:
        return f"Your answer has `{more[0]}`, which is not asked for."
    keys = [key for key in expected[0] if all(key in here for here in expected)]
    pairs = {key: ([there[key] for there in found], [here[key] for here in expected]) for key in keys}
    right = [str(key) for key in keys if same(*pairs[key])]
    wrong = [key for key in keys if not same(*pairs[key])]
    if not wrong:
        return ""
    parts = f"Not right: {', '.join(map(str, wrong))}. " if right else ""
    parts = f"Right: {', '.join(right)}. {parts}" if 0 < len(right) <= 4 else parts
    clue = relation(*pairs[wrong[0]])
    return f"{parts}{f'{wrong[0]}: ' if clue and len(wrong) > 1 else ''}{clue}".strip()


def layer_text(layer: nn.Module) -> str:
    """A layer as it is printed, without differences that change nothing."""
    if isinstance(layer, nn.LocalResponseNorm):  # PyTorch's divides alpha, the course's own does not
        return (f"LocalResponseNorm(n={layer.size}, alpha={layer.alpha / layer.size:g}, beta={layer.beta}, "
                f"k={float(layer.k)})")
    text = repr(layer).replace("(inplace=True)", "()").replace("inplace=True", "inplace=False")
    if getattr(layer, "padding", None) == "same":
        sides = tuple(d * (k - 1) // 2 for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
        text = text.replace("padding=same", f"padding={sides}")
    return re.sub(r"=\((\d+), \1\)", r"=\1", text)


def in_order(net: nn.Module) -> list[str] | None:
    """The layers of a row of layers, as text; None where a class of its own decides what is done with them."""
    if type(net) is nn.Sequential:
        rows = [in_order(layer) for layer in net]
        return None if None in rows else [text for row in rows for text in row]
    known = type(net).__module__.startswith(("torch.nn", __package__.partition(".")[0]))
    return [layer_text(net)] if known and not list(net.children()) else None


def behaviour(net: nn.Module, x: Tensor, *others: Tensor, merged: tuple[tuple[int, ...], ...] = ()) -> "Behaviour":
    """What a network does, whatever its layers are called and in whichever order they are written; empty where its
    `forward` returns nothing yet.

    Each parameter is filled with numbers that depend on its shape alone; that a layer is idle or used twice shows in
    the gradients. x, and others of other sizes, for evaluation alone: N x C x H x W, or what the network takes. merged:
    rows of layers that may also be one layer, one after another, for example ((64, 96, 16),).
    """
    if not isinstance(net, nn.Module):
        raise WrongForm(f"A network, an `nn.Module`, is asked for. Your answer gives {describe(net)}.")
    trains = net.training
    dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), x.dtype)
    if dtype in (torch.half, torch.bfloat16):
        net, dtype = net.float(), torch.float32
    x, *others = (t.to(dtype) if t.is_floating_point() else t for t in (x, *others))
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in net.parameters()):
        with torch.no_grad():
            net.eval()(x)
    rows = {sum(parts): parts for parts in merged}

    def layers(values):  # as if what is merged were not
        return [part for v in values if v is not None
                for part in (v.split(rows[len(v)]) if v.ndim and len(v) in rows else [v])]

    parameters = dict(net.named_parameters())
    with torch.no_grad():
        for part in layers(parameters.values()):
            part.copy_(numbers(part.shape))
        evaluated = net.eval()(x.clone())
        if evaluated is None or evaluated is ...:
            return Behaviour(net, x)
        asked = {f"an input of {' x '.join(map(str, t.shape))}": t for t in others}
        asked["inputs a hundred times as large"] = 100 * x  # an activation may be cut off far above
        further = {}
        for name, t in asked.items():
            try:
                out = net(t.clone())
            except Exception as error:
                out = told(error)
            further[f"the output in evaluation for {name}"] = out
    torch.manual_seed(0)
    start = x.clone().requires_grad_(x.is_floating_point())
    given = start.clone()
    trained = net.train()(given)
    score = [(t * numbers(t.shape)).sum() for t in tensors(trained) if t.requires_grad]
    inputs = {name: t for name, t in {"": start, **parameters}.items() if t.requires_grad}
    gradients = dict.fromkeys(inputs)
    if score:
        try:
            found = torch.autograd.grad(sum(score), list(inputs.values()), allow_unused=True)
        except RuntimeError as error:
            if "inplace" not in str(error):
                raise
            raise WrongForm("Your network changes a tensor in place that the gradients need: its input, or one in "
                            "between. Look for `inplace=True`, `+=` and functions that end in `_`.") from None
        gradients = dict(zip(inputs, found, strict=True))
    found = Behaviour(net, x)
    found.update({
        "the number of parameters": sum(p.numel() for p in parameters.values()),
        "the output in evaluation": evaluated, **further, "the output in training": detached(trained),
        "whether it comes in training mode": trains or same(evaluated, detached(trained)),
        "the input after the forward pass": given.detach(), "the gradient of the input": gradients.pop("", None),
        "parameters that no gradient reaches": [name for name in parameters if gradients.get(name) is None],
        "the gradients of the parameters": in_a_row(layers(gradients.values())),
        "the running averages after a step": in_a_row(layers(
            average for name, average in net.named_buffers() if name.rpartition(".")[2].startswith("running_")))})
    return found


def numbers(shape: tuple[int, ...]) -> Tensor:
    """Random numbers that depend on the shape alone. Those of a convolution are those of the linear layer that does the
    same, on the channels or on the whole map."""
    rows = [shape[0], math.prod(shape[1:])] if len(shape) > 2 else list(shape)
    generator = torch.Generator().manual_seed(sum(31**i * n for i, n in enumerate(rows, 1)) % 2**31)
    return torch.randn(shape, generator=generator, dtype=torch.float) / math.sqrt(max(1, math.prod(shape[1:])))


def in_a_row(values: list[Tensor]) -> Tensor:
    """All numbers of some tensors, in an order that depends on the numbers and not on the order of the tensors."""
    values = sorted(values, key=lambda v: (v.numel(), (v.detach() * numbers(v.shape)).sum().item()))
    return torch.cat([v.detach().reshape(-1) for v in values]) if values else torch.zeros(0)


def tensors(value) -> list[Tensor]:
    """The tensors in a value that may be a tensor, or a tuple, list or dict of such."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors(part)]


def gradients_of(arguments: tuple, result) -> list[Tensor] | str:
    """What a result sends back to each tensor among the arguments that wants a gradient; zeros where none arrives."""
    wanting = [t for t in tensors(arguments) if t.requires_grad]
    score = [t.sum() if t.numel() == 1 else (t * numbers(t.shape)).sum() for t in tensors(result) if t.requires_grad]
    if any(t.grad is not None for t in wanting):
        return "the graph is used up"
    if not wanting or not score:
        return [torch.zeros_like(t) for t in wanting]
    try:
        found = torch.autograd.grad(sum(score), wanting, allow_unused=True)
    except RuntimeError:
        return "the graph is used up"
    return [torch.zeros_like(t) if gradient is None else gradient for t, gradient in zip(wanting, found, strict=True)]


def detached(value):
    if isinstance(value, dict):
        return {key: detached(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [detached(part) for part in value]
    return value.detach() if isinstance(value, Tensor) else value


def state(value):
    """What a call may change in an argument, as a value that `same` compares."""
    if isinstance(value, nn.Module):
        return {"its numbers (weights or running averages)": [t.detach().clone() for t in value.state_dict().values()],
                MODES: [m.training for m in value.modules()],
                "which parameters are trained (`requires_grad`)": [p.requires_grad for p in value.parameters()]}
    if isinstance(value, torch.optim.Optimizer):
        return copy.deepcopy(value.state_dict())
    if isinstance(value, Tensor):
        return [value.detach().clone(), value.requires_grad]
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: state(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [state(part) for part in value]
    return value if isinstance(value, Number | str | None) else None


SWITCHES = {  # of the whole program: how each is read and set, and what it means that an answer has changed it
    "the gradients": (torch.is_grad_enabled, torch.set_grad_enabled,
                      "no gradients are computed any more in the whole program. `with torch.no_grad():` ends where its "
                      "block ends."),
    "the dtype": (torch.get_default_dtype, torch.set_default_dtype,
                  "new tensors have another type in the whole program."),
    "the seed": (torch.initial_seed, torch.manual_seed,
                 "all random numbers of the program follow from a seed that you have set. Leave `manual_seed` to "
                 "whoever calls your function."),
    "anomalies": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly,
                  "PyTorch looks for anomalies in the whole program, which makes it slow."),
    "algorithms": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms,
                   "the whole program may use deterministic algorithms alone.")}


def set_back(switches: dict) -> None:
    """Sets those of the whole program that have been changed to what they were."""
    for name, value in switches.items():
        read, write, _ = SWITCHES[name]
        if read() != value:
            write(value)


def called(answer: Callable, names: list[str], arguments: tuple):
    """What an answer returns, which may want its arguments by name."""
    by_name = False
    with suppress(ValueError, TypeError):  # no signature
        by_name = any(p.kind is p.KEYWORD_ONLY for p in inspect.signature(answer).parameters.values())
        inspect.signature(answer).bind(*arguments)
        by_name = False
    return answer(**dict(zip(names, arguments, strict=False))) if by_name else answer(*arguments)


def code_of(program: Callable):
    """The code of a function, or of the `forward` (or `__init__`) that a class has of its own."""
    if isinstance(program, type):
        program = vars(program).get("forward") or vars(program).get("__init__")
    return getattr(inspect.unwrap(program) if callable(program) else program, "__code__", None)


def written_alike(answer: Callable, program: Callable) -> bool:
    """Whether two programs are the same, apart from comments and docstrings."""
    def text(part):
        if isinstance(part, type):
            return {name: text(value) for name, value in vars(part).items() if hasattr(value, "__code__")}
        code = getattr(part, "__code__", part)
        doc = getattr(part, "__doc__", None)
        return (code.co_code, code.co_names, code.co_varnames, [text(c) if hasattr(c, "co_code") else repr(c)
                                                                for c in code.co_consts if c is not None and c != doc])

    return callable(answer) and hasattr(code_of(answer), "co_code") and text(answer) == text(program)


def worked_on(answer: Callable) -> bool:
    """Whether a function, or a class, does more than a stub."""
    class Stub(nn.Module):
        def __init__(self):
            super().__init__()

        def forward(self):
            ...

    def longer(part, stub):
        return hasattr(part, "__code__") and len(part.__code__.co_code) > len(stub.__code__.co_code)

    if isinstance(answer, type):
        return longer(getattr(answer, "forward", None), Stub.forward) or longer(answer.__init__, Stub.__init__)
    return longer(answer, Stub.forward)


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


def within(seconds: float | None, call: Callable) -> tuple[str, object]:
    """("value", what the call returned), ("error", what it raised) or ("late", None). On a computer that is busy with
    other things, the seconds are those of this process, and six times as long is waited.

    The call runs in a thread, which is the one way to leave an endless loop on every system. The thread is then ended:
    left alone, it would make every later step of the lesson about three times as slow. The time of an import does not
    count: half a module would spoil what the notebook does later.
    """
    found = []

    def work():
        try:
            found.append(("value", call()))
        except BaseException as error:  # also a student's sys.exit()
            found.append(("error", error))

    thread = threading.Thread(target=work, daemon=True)
    start, worked = time.monotonic(), time.process_time()
    thread.start()
    while thread.is_alive() and (seconds is None or time.monotonic() < start + seconds
                                 or time.process_time() < worked + seconds and time.monotonic() < start + 6 * seconds):
        now, so_far = time.monotonic(), time.process_time()
        thread.join(None if seconds is None else seconds / 20)
        if imports(thread):
            start += time.monotonic() - now
            worked += time.process_time() - so_far
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
        return "late", None
    return found[0]


def imports(thread: threading.Thread) -> bool:
    """Whether a thread is importing a module."""
    frames = traceback.walk_stack(sys._current_frames().get(thread.ident))
    return any(frame.f_code.co_filename == "<frozen importlib._bootstrap>" for frame, _ in frames)


def told(error: BaseException) -> str:
    """Name and message of an error; the name alone where there is no message, or where reading it raises."""
    text = ""
    with suppress(Exception):  # a student's own __str__
        text = str(error)
    return f"{type(error).__name__}: {text}" if text else f"{type(error).__name__}."


def same(a, b) -> bool:
    """Whether an answer a equals the right b up to rounding; False for what cannot be compared. A number may come as a
    tensor of one number without a graph, and several numbers as a list, a tensor or a dict."""
    try:
        if isinstance(b, Tensor | np.ndarray):
            precise = not isinstance(a, Tensor) or a.dtype not in (torch.half, torch.bfloat16)
            a, b = (torch.as_tensor(value).detach().to(torch.complex128) for value in (a, b))
            size = b.abs().nan_to_num(0, 0, 0).max().item() if b.numel() else 0
            rtol, atol = (1e-4, 1e-5) if precise else (1e-2, 1e-2)
            return a.shape == b.shape and torch.allclose(a, b, rtol, atol * max(size, 1e-6), equal_nan=True)
        if isinstance(b, dict):
            return isinstance(a, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in b)
        if isinstance(b, list | tuple):
            a = list(a.values()) if isinstance(a, dict) else list(a) if isinstance(a, Tensor | np.ndarray) else a
            return isinstance(a, list | tuple) and len(a) == len(b) and all(map(same, a, b))
        if isinstance(a, Tensor | np.ndarray) and isinstance(b, Number):
            a = a.item() if isinstance(a, np.ndarray) or not a.requires_grad else None
        if isinstance(a, Number) and isinstance(b, Number):
            precision = 1e-12 if isinstance(b, int) else 1e-6
            return math.isclose(a, b, rel_tol=precision, abs_tol=1e-9) or (a != a and b != b)
        return type(a) is type(b) and bool(a == b)
    except Exception:  # an answer may return anything, such as 1j or a tensor without numbers
        return False


def written(value) -> str | None:
    """A value as Python code of at most some 200 characters; None where it cannot be written so."""
    text = None
    with suppress(Exception):
        if isinstance(value, Tensor) and value.numel() <= 40:
            inner = written(value.tolist())
            text = inner and f"torch.tensor({inner})"
        elif isinstance(value, list | tuple | dict):
            parts = [written(part) for part in value]
            if isinstance(value, dict):
                parts = [f"{key}: {written(part)}" for key, part in zip(parts, value.values(), strict=True)]
            inner = ", ".join(parts) + ("," if isinstance(value, tuple) and len(value) == 1 else "")
            text = {list: "[{}]", tuple: "({})", dict: "{{{}}}"}[type(value)].format(inner)
        elif type(value) is float:
            text = f"{value:.6g}" if math.isfinite(value) else f"float('{value}')"
            text += "" if any(c in text for c in ".enf") else ".0"
        elif isinstance(value, np.generic):
            text = written(value.item())
        elif type(value) is nn.Flatten:
            text = "nn.Flatten()"
        elif isinstance(value, int | str | None):
            text = repr(value)
    return text if text and len(text) <= 220 else None


class Short(Repr):
    def __init__(self):
        super().__init__()
        self.maxstring = 120

    def repr_float(self, value: float, level: int) -> str:
        return f"{value + 0.0:.8g}"  # 0 for -0


def describe(value) -> str:
    """A value in a few words."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, nn.Module):
        return f"a network ({type(value).__name__})"
    if isinstance(value, Tensor) and value.ndim and (value.is_meta or written(value) is None):
        return f"a tensor of {' x '.join(map(str, value.shape))}"
    with suppress(Exception):  # a student's own __repr__ may raise
        value = value.item() if isinstance(value, Tensor | np.generic) and value.ndim == 0 else value
        if isinstance(value, tuple | list | dict | Tensor):
            return f"`{written(value)}`" if written(value) else f"a {type(value).__name__} of {len(value)} entries"
        if "\n" not in repr(value) and " at 0x" not in repr(value):
            return f"`{Short().repr(value)}`"
    return f"an object of type {type(value).__name__}"
