"""How wrong results relate to the right ones, in sentences: clues where no known mistake fits."""

import math
from collections.abc import Callable
from numbers import Number

import numpy as np
import torch
from torch import Tensor

from .networks import Behaviour
from .values import describe, same

CAUSES = {  # of errors whose own words lead astray: a part of them, and the sentence that is told
    "leaf Variable that requires grad": (
        "Your program writes into a tensor that gradients are computed for: one that it is given, which belongs to "
        "whoever called it, or a weight. Work on a copy (`clone`); weights are set under `torch.no_grad()`."),
    "does not have a grad_fn": (
        "`backward()` finds no way back to the weights: the forward pass ran under `no_grad`, or `detach`, `.item()` "
        "or numpy stand between it and the loss."),
    "call numpy() on Tensor that requires grad": (
        "Your program computes with numpy, and there no gradient passes. Compute with tensors.")}


def of(kind: type, change: Callable) -> Callable:
    """A change of values of one type; others raise."""
    def changed(value):
        if not (type(value) is kind or kind is Tensor and isinstance(value, Tensor)):
            raise TypeError
        return change(value)
    return changed


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
    kinds = {Tensor if isinstance(value, Tensor | np.ndarray) else Number if isinstance(value, Number) else
             list if isinstance(value, list | tuple) else type(value) for value in expected}
    if kinds == {list}:
        return of_lists(found, expected)
    if kinds not in ({Number}, {Tensor}):
        return ""
    return (of_single(found) if kinds == {Number} else of_shapes(found, expected)) or of_all(found, expected)


def of_lists(found: list, expected: list) -> str:
    """How wrong lists relate to the right ones."""
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


def of_single(found: list) -> str:
    """Whether something else than one number came out."""
    wrong = [v for v in found if isinstance(v, complex) or not isinstance(v, Number)
             and not (isinstance(v, Tensor | np.ndarray) and math.prod(v.shape) == 1)]
    if wrong:
        return f"One number is asked for. Your answer gives {describe(wrong[0])}."
    return ""


def of_shapes(found: list, expected: list) -> str:
    """How the shapes of wrong tensors, their axes and their range relate to those of the right ones."""
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
    return ""


def of_all(found: list, expected: list) -> str:
    """What turns all of the right numbers into the wrong ones: a sign, a factor, a sum, a rounding, a limit."""
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
