"""Convolution arithmetic on paper: a sheet of questions with fresh numbers, and its key. Plain Python, no torch.

A question is a function that draws its numbers. The key shows each formula with the numbers put in, and beside it what
the usual mistakes give, so that a wrong number on paper points to its cause. Where several causes give one number, the
student's formula tells which.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from random import Random
from string import ascii_lowercase
from typing import Any

from .. import __version__, write_text
from ..arithmetic import conv_parameters, linear_parameters, output_size, receptive_field, unseen

Work = tuple[str, int]  # a formula as it is written on paper, with the numbers put in, and what it gives


@dataclass(frozen=True)
class Part:
    """A number to find, or a sentence to write, such as `words`. `ask` is empty where a table asks."""

    ask: str
    points: int
    work: Work = ("", 0)
    slips: dict[str, Work] = field(default_factory=dict)  # what is usually done wrong, and how that is written down
    words: str = ""

    @property
    def answer(self) -> str:
        return self.words or f"{self.work[1]:,}"


@dataclass(frozen=True)
class Question:
    title: str
    given: str
    parts: tuple[Part, ...]

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)


def fair(question: Question) -> bool:
    """Whether no mistake happens to give the right number, and no two mistakes of a part are written alike."""
    return all(value != part.work[1] for part in question.parts for _, value in part.slips.values()) and all(
        len({formula for formula, _ in part.slips.values()}) == len(part.slips) for part in question.parts)


def one_of(rng: Random, values: Sequence) -> Any:
    """A value drawn by `random()`, the one method that gives the same numbers in every version of Python."""
    return values[int(rng.random() * len(values))]


def conv(n_in: int, n_out: int, k: int, s: int = 1, p: int = 0, d: int = 1, groups: int = 1, bias: bool = True) -> str:
    """A convolution as it is written in PyTorch, without the options that have PyTorch's default."""
    options = {f"stride={s}": s > 1, f"padding={p}": p > 0, f"dilation={d}": d > 1, f"groups={groups}": groups > 1,
               "bias=False": not bias}
    return f"nn.Conv2d({', '.join([str(n_in), str(n_out), str(k), *(text for text, on in options.items() if on)])})"


def pool(k: int, s: int) -> str:
    return f"nn.MaxPool2d({k})" if s == k else f"nn.MaxPool2d({k}, stride={s})"


def times(*factors: int, plus: int = 0) -> Work:
    """A product, perhaps with a number added: as a formula, and what it gives, like all functions below."""
    return "*".join(map(str, factors)) + (f" + {plus}" if plus else ""), prod(factors) + plus


def rows(n: int, k: int, s: int = 1, p: int = 0) -> Work:
    """The output size; k is the whole window, with dilation."""
    padded = f"{n} + 2*{p}" if p else n
    return f"floor(({padded} - {k}) / {s}) + 1", output_size(n, k, s, p)


def rounded_up(n: int, k: int, s: int) -> Work:
    """The output size with `ceil_mode`."""
    return f"ceil(({n} - {k}) / {s}) + 1", -((k - n) // s) + 1


def padded_once(n: int, k: int, s: int, p: int) -> Work:
    """The output size with the padding of one side."""
    return f"floor(({n} + {p} - {k}) / {s}) + 1", (n + p - k) // s + 1


STEPS = "steps were counted; the window has also stood where it starts"
PADDED_ONCE = "the padding was added once; it stands on both sides"
ROUNDED_UP = "rounded up; a window that does not fit is left out"
UNSTRIDED = "stride 1; a pooling whose stride is not written strides by its window"
NO_BIAS = "the biases are missing"
ONE_MAP = "one channel alone"


def whole(rng: Random) -> Question:
    c, width, k, s = (one_of(rng, drawn) for drawn in ((1, 3, 4), (6, 8, 12, 16, 24), (3, 5, 7), (2, 3, 4)))
    p, out = one_of(rng, range(1, k // 2 + 1)), one_of(rng, range(9, 33))
    n = k - 2 * p + s * (out - 1)
    given = f"An image of {c} x {n} x {n} goes through `{conv(c, width, k, s, p)}`."
    return Question("The shape that comes out", given, (
        Part("How many rows come out?", 2, rows(n, k, s, p), {
            STEPS: (f"({n} + 2*{p} - {k}) / {s}", (n + 2 * p - k) // s),
            "the padding was forgotten": rows(n, k, s),
            PADDED_ONCE: padded_once(n, k, s, p)}),
        Part("How many channels come out?", 1, times(width), {
            "these are the channels that go in": times(c),
            "an output channel sums over all input channels, and is one map": times(c, width)})))


def floored(rng: Random) -> Question:
    k, s, out = (one_of(rng, drawn) for drawn in ((5, 7, 9, 11), (2, 3, 4), range(8, 21)))
    n = k + s * (out - 1) + one_of(rng, range(1, s))
    last = n - unseen(n, k, s)
    given = f"`{conv(1, 1, k, s)}` slides over an image with {n} columns, which are counted from 1, from the left."
    return Question("A division with a remainder", given, (
        Part("How many columns come out?", 2, rows(n, k, s), {
            ROUNDED_UP: rounded_up(n, k, s),
            "all columns were divided into steps; the first window takes its own off":
                (f"floor({n} / {s})", n // s)}),
        Part("Which is the last column of the image that a window sees?", 2, (f"({out} - 1)*{s} + {k}", last), {
            "the remainder was overlooked": times(n),
            "the last window begins there": (f"({out} - 1)*{s} + 1", last - k + 1)}),
        Part("How many columns does no window see?", 1, (f"{n} - {last}", n - last), {
            "the remainder of all columns; the first window takes its own off": (f"{n} % {s}", n % s)})))


def dilated(rng: Random) -> Question:
    n, k, d, even = (one_of(rng, drawn) for drawn in (range(24, 49), (3, 5), (2, 3, 4), (4, 6, 8)))
    window, half = d * (k - 1) + 1, even // 2
    given = f"`{conv(8, 8, k, d=d)}` slides over an image of 8 x {n} x {n}."
    return Question("Dilation, and a map that keeps its size", given, (
        Part("How many columns does its window cover?", 1, (f"{d}*({k} - 1) + 1", window), {
            "there is no gap behind the last weight": times(d, k),
            "the dilation was forgotten": times(k)}),
        Part("How many rows come out?", 1, (f"{n} - {window} + 1", n - window + 1), {
            "the dilation was forgotten": (f"{n} - {k} + 1", n - k + 1),
            STEPS: (f"{n} - {window}", n - window)}),
        Part(f"With which padding do {n} rows come out?", 2, (f"{d}*({k} - 1) / 2", window // 2), {
            "that is for both sides together; a padding is given for one side": (f"{d}*({k} - 1)", window - 1),
            "the dilation was forgotten": (f"({k} - 1) / 2", k // 2)}),
        Part(f"Now `{conv(8, 8, even, p=half)}` stands in its place. How many rows come out?", 2,
             (f"{n} + 2*{half} - {even} + 1", n + 1), {
            "without dilation, equal padding never keeps the size with an even kernel": times(n),
            PADDED_ONCE: (f"{n} + {half} - {even} + 1", n - half + 1)})))


def pooled(rng: Random) -> Question:
    channels, (k, s) = one_of(rng, (6, 16, 24, 64)), one_of(rng, ((2, 2), (3, 2), (3, 3)))
    n = k + s * one_of(rng, range(5, 20)) + one_of(rng, range(1, s))
    up = rounded_up(n, k, s)
    return Question("Pooling, with either rounding", f"Maps of {channels} x {n} x {n} go through `{pool(k, s)}`.", (
        Part("How many rows come out?", 1, rows(n, k, s), {
            "rounded up; PyTorch rounds down unless it is told otherwise": up,
            **({UNSTRIDED: (f"{n} - {k} + 1", n - k + 1)} if s == k else {})}),
        Part("How many rows come out with `ceil_mode=True`?", 1, up, {"rounded down": rows(n, k, s)}),
        Part("How many channels come out?", 1, times(channels), {"every channel is pooled by itself": times(1)}),
        Part("How many parameters does the layer have?", 1, times(0), {
            "a maximum has nothing to learn": times(channels, k, k)})))


def seen(rng: Random) -> Question:
    k1, s1, k2, k3, k4, s4 = (one_of(rng, drawn) for drawn in ((3, 5, 7), (1, 2), (3, 4), (3, 5), (3, 5), (1, 2)))
    chain = [(k1, s1), (k2, 2), (k3, 1), (k4, s4)]
    layers = [conv(3, 8, k1, s1), pool(k2, 2), conv(8, 16, k3), conv(16, 16, k4, s4)]
    listed = "\n".join(f"{number}. `{text}`" for number, text in enumerate(layers, 1))
    (two, jump), (four, _) = receptive_field(chain[:2]), receptive_field(chain)
    added = ("each layer adds its window without the column that is seen already" if s1 == 1 else
             "both the overlap and the stride were forgotten")
    return Question("What one output sees", f"A large image goes through four layers.\n\n{listed}", (
        Part("How many columns of the image does one output of layer 2 see?", 2,
             (f"1 + ({k1} - 1)*1 + ({k2} - 1)*{s1}", two), {
            added: times(k1, plus=k2),
            "the stride of a layer counts for later layers only": (f"{k1} + ({k2} - 1)*{jump}", k1 + (k2 - 1) * jump)}),
        Part("How many columns of the image does one output of layer 4 see?", 3,
             (f"{two} + ({k3} - 1)*{jump} + ({k4} - 1)*{jump}", four), {
            "the strides were forgotten":
                (f"1 + {' + '.join(f'({k} - 1)' for k, _ in chain)}", k1 + k2 + k3 + k4 - 3),
            "each layer adds its window less one, times the jump":
                (f"{two} + {k3}*{jump} + {k4}*{jump}", two + (k3 + k4) * jump)}),
        Part("An output of layer 4 and its right neighbour see two windows of the image. How many columns apart do "
             "they begin?", 1, times(s1, 2, 1, s4), {
            "strides multiply": (f"{s1} + 2 + 1 + {s4}", s1 + 3 + s4),
            "the last stride alone": times(s4)})))


def counted(rng: Random) -> Question:
    a, b, k = (one_of(rng, drawn) for drawn in ((4, 6, 8, 16), (8, 10, 12, 16, 20, 32), (3, 5)))
    weights = b * a * k * k
    return Question("Parameters of a convolution", f"Look at `{conv(a, b, k)}`.", (
        Part("How many weights does it have, without biases?", 2, times(b, a, k, k), {
            f"an output channel has a kernel for each of {a} input channels": times(b, k, k),
            "a kernel is a square": times(b, a, k)}),
        Part("How many biases does it have?", 1, times(b), {
            "one for each pair of channels; the sum over the inputs gets a single bias": times(a, b),
            "a bias belongs to an output channel": times(a)}),
        Part(f"Now `bias=False` is written, and `nn.BatchNorm2d({b})` follows. How many parameters do the two layers "
             "have together?", 1, (f"{b}*{a}*{k}*{k} + 2*{b}", weights + 2 * b), {
            "the normalisation learns a factor and a summand for each channel": times(b, a, k, k, plus=b),
            "running mean and variance are measured, not learned": (f"{b}*{a}*{k}*{k} + 4*{b}", weights + 4 * b)})))


def grouped(rng: Random) -> Question:
    g, into, out = (one_of(rng, drawn) for drawn in ((2, 4), (3, 4, 6, 8), (3, 4, 5, 9, 10)))
    a, b = g * into, g * out
    depthwise, pointwise = conv(a, a, 3, groups=a, bias=False), conv(a, b, 1, bias=False)
    return Question("Groups", f"Look at `{conv(a, b, 3, groups=g, bias=False)}`.", (
        Part("How many input channels does one output channel see?", 1, (f"{a} / {g}", into), {
            "the groups were forgotten": times(a),
            "that many output channels belong to a group": (f"{b} / {g}", out)}),
        Part("How many weights does the layer have?", 2, times(b, into, 3, 3), {
            "the groups were forgotten": times(b, a, 3, 3),
            f"one group alone; there are {g}": times(out, into, 3, 3)}),
        Part(f"Now `{depthwise}` and then `{pointwise}` stand in its place. How many weights do these two have "
             "together?", 2, (f"{a}*3*3 + {b}*{a}", a * 9 + b * a), {
            f"with {a} groups an output channel sees one input channel":
                (f"{a}*{a}*3*3 + {b}*{a}", a * a * 9 + b * a),
            f"each output channel of a 1x1 convolution still has a weight for each of {a} channels":
                times(a, 3, 3, plus=b)})))


def costly(rng: Random) -> Question:
    a, b, k, out = (one_of(rng, drawn) for drawn in ((1, 3, 4, 8), (6, 8, 10, 16), (3, 5), range(8, 25, 2)))
    n = 2 * out
    given = f"An image of {a} x {n} x {n} goes through `{conv(a, b, k, 2, k // 2)}`."
    return Question("What a layer costs", given, (
        Part("How many numbers come out, all channels together?", 1, times(b, out, out), {
            ONE_MAP: times(out, out),
            "the stride was forgotten": times(b, n, n)}),
        Part("How many multiply-accumulates (MACs) does the layer need?", 2, times(b, out, out, a, k, k), {
            "a window for every pixel that goes in; count those that come out": times(b, n, n, a, k, k),
            "these are the weights; each is used at every place of a map": times(b, a, k, k)}),
        Part("The image becomes twice as high and twice as wide. By which factor do the MACs grow?", 1, times(2, 2), {
            "rows and columns both double": times(2)}),
        Part("By which factor does the number of weights grow, when the image becomes twice as high and as wide?", 1,
             times(1), {
            "a kernel is the same on every image": times(2, 2)})))


def dense(rng: Random) -> Question:
    n, units, k = (one_of(rng, drawn) for drawn in ((8, 10, 12, 16, 20, 24), (10, 16, 20, 32), (3, 5)))
    formula, full = times(3, n, n, units, plus=units)
    given = (f"An image of 3 x {n} x {n} goes through a fully connected layer with {units} outputs. Another network "
             f"has `{conv(3, units, k)}` in its place. Both have biases.")
    return Question("Fully connected against convolution", given, (
        Part("How many parameters does the fully connected layer have?", 2, (formula, full), {
            NO_BIAS: times(3, n, n, units),
            "an image has three numbers for each pixel": times(n, n, units, plus=units)}),
        Part("How many parameters does the convolution have?", 1, times(3, k, k, units, plus=units), {
            NO_BIAS: times(3, k, k, units),
            "an output channel has a kernel for each of 3 input channels": times(k, k, units, plus=units)}),
        Part(f"The image becomes 3 x {2 * n} x {2 * n}. How many parameters must the fully connected layer have now?",
             2, times(3, 2 * n, 2 * n, units, plus=units), {
            "there are four times as many pixels": (f"2*({formula})", 2 * full),
            "the biases do not grow": (f"4*({formula})", 4 * full)})))


def tabulated(rng: Random) -> Question:
    c, n, k, w1, w2, p = (one_of(rng, drawn) for drawn in ((1, 3), range(24, 41), (3, 5), (4, 6, 8), (10, 12, 16),
                                                              (0, 1)))
    n1 = output_size(n, k)
    n2 = output_size(n1, 2, 2)
    n3 = output_size(n2, 3, p=p)
    n4 = output_size(n3, 2, 2)
    features = w2 * n4 * n4
    first, second, last = conv_parameters(c, w1, k), conv_parameters(w1, w2, 3), linear_parameters(features, 10)
    given = f"""Each image of a batch, {c} x {n} x {n}, goes through these layers, from top to bottom. Find the
numbers (a) to (i).

| layer | rows that come out | parameters |
|---|---|---|
| `{conv(c, w1, k)}` | (a) | (b) |
| `{pool(2, 2)}` | (c) | 0 |
| `{conv(w1, w2, 3, p=p)}` | (d) | (e) |
| `{pool(2, 2)}` | (f) | 0 |
| `nn.Flatten()` | numbers for each image: (g) | 0 |
| `nn.Linear(` (g) `, 10)` | | (h) |
| all together | | (i) |"""
    return Question("A whole network", given, (
        Part("", 1, (f"{n} - {k} + 1", n1), {STEPS: (f"{n} - {k}", n1 - 1)}),
        Part("", 1, times(w1, c, k, k, plus=w1), {NO_BIAS: times(w1, c, k, k)}),
        Part("", 1, rows(n1, 2, 2), {UNSTRIDED: (f"{n1} - 2 + 1", n1 - 1)}),
        Part("", 1, (f"{n2} + 2*{p} - 3 + 1", n3), {
            "the padding was forgotten" if p else "there is no padding; the border is lost":
                (f"{n2} + 2*{1 - p} - 3 + 1", n2 - 2 * p)}),
        Part("", 1, times(w2, w1, 3, 3, plus=w2), {
            f"an output channel has a kernel for each of {w1} input channels": times(w2, 3, 3, plus=w2)}),
        Part("", 1, rows(n3, 2, 2), {UNSTRIDED: (f"{n3} - 2 + 1", n3 - 1)}),
        Part("", 1, times(w2, n4, n4), {
            ONE_MAP: times(n4, n4), "rows and columns both count": times(w2, n4)}),
        Part("", 1, times(features, 10, plus=10), {NO_BIAS: times(features, 10)}),
        Part("", 1, (f"{first} + {second} + {last}", first + second + last), {
            "the fully connected layer is missing": times(first, plus=second)})))


def mistaken(rng: Random) -> Question:
    n, k, s, p = (one_of(rng, drawn) for drawn in (range(30, 61), (3, 5), (2, 3), (1, 2)))
    window = 2 * (k - 1) + 1
    right = rows(n, window, s, p)
    slips = {
        PADDED_ONCE: padded_once(n, window, s, p),
        STEPS: (f"floor(({n} + 2*{p} - {window}) / {s})", right[1] - 1),
        ROUNDED_UP: (f"ceil(({n} + 2*{p} - {window}) / {s}) + 1", rounded_up(n + 2 * p, window, s)[1]),
        f"the window covers {window} columns; there is no gap behind its last weight": rows(n, 2 * k, s, p),
        f"the dilation was forgotten; the window covers {window} columns": rows(n, k, s, p)}
    slips = {cause: work for cause, work in slips.items() if work[1] != right[1]}
    cause = one_of(rng, list(slips))
    formula, value = slips[cause]
    given = (f"An image of 3 x {n} x {n} goes through `{conv(3, 8, k, s, p, 2)}`. Somebody computes how many rows come "
             f"out:\n\n    {formula} = {value}")
    return Question("Find the mistake", given, (
        Part("What is wrong? One sentence.", 2, words=cause),
        Part("How many rows really come out?", 2, right, slips)))


def refused(rng: Random) -> Question:
    c, n, k, w1, w2 = (one_of(rng, drawn) for drawn in ((1, 3), range(18, 33, 2), (3, 5), (6, 8), (12, 16)))
    n2 = output_size(output_size(n, k), 2, 2)
    n3 = output_size(n2, 3)
    features = w2 * n3 * n3
    if one_of(rng, ("a convolution", "the last layer")) == "a convolution":
        line, wrong, mended = 4, one_of(rng, (c, 2 * w1)), conv(w1, w2, 3)
        arrives, slip = (w1,), {"a convolution asks for channels, whatever the map's size": times(w1, n2, n2)}
        layers = conv(wrong, w2, 3), f"nn.Linear({features}, 10)"
    else:
        line, wrong, mended = 7, one_of(rng, (w2, w2 * n2 * n2)), f"nn.Linear({features}, 10)"
        arrives, slip = (w2, n3, n3), {ONE_MAP: times(n3, n3)}
        layers = conv(w1, w2, 3), f"nn.Linear({wrong}, 10)"
    lines = [conv(c, w1, k), "nn.ReLU()", pool(2, 2), layers[0], "nn.ReLU()", "nn.Flatten()", layers[1]]
    code = "\n".join(f"    {text + ',':25}# line {number}" for number, text in enumerate(lines, 1))
    given = (f"A batch of images, each {c} x {n} x {n}, is given to this network, and one line raises an error.\n\n"
             f"```python\nnet = nn.Sequential(\n{code}\n)\n```")
    return Question("A shape that does not fit", given, (
        Part("Which line is it?", 1, times(line), {"this line takes any shape": times(line - 1)}),
        Part("How many channels (or numbers for each image, if that is what the line asks for) arrive at this line?", 2,
             times(*arrives), {"the line expects that many": times(wrong)} | slip),
        Part("Write the line as it must be.", 1, words=f"`{mended}`")))


RULES = """\
Images and maps are given as channels x rows x columns. Layers are written as in PyTorch: input channels, output
channels, kernel, then the options; an option that is not written has PyTorch's default. Write the formula with the
numbers put in beside each result: it counts as well."""
MARKING = """\
Under each answer stand wrong numbers that are usual, each with its cause. Where several causes give one number, the
student's formula tells which. A right formula with a slip in the sum loses one point at most. A wrong number that is
used again loses its points once: go on with the student's own number."""
SPACE = "&nbsp;"  # a paragraph that shows nothing: room to write in
QUESTIONS: tuple[Callable[[Random], Question], ...] = (
    whole, floored, dilated, pooled, seen, counted, grouped, costly, dense, tabulated, mistaken, refused)


def questions(rng: Random) -> list[Question]:
    """One question of each kind, drawn again until it is fair."""
    return [next(filter(fair, (template(rng) for _ in range(1000)))) for template in QUESTIONS]


def drawn(seed: int) -> list[Question]:
    """The questions of a seed."""
    return questions(Random(f"convolution arithmetic {seed}"))


def sheet(asked: list[Question]) -> str:
    """What the students get. Nothing in it depends on an answer."""
    lines = [RULES]
    for number, question in enumerate(asked, 1):
        lines += [f"## {number}. {question.title} ({points(question.points)})", question.given]
        for letter, part in zip(ascii_lowercase, question.parts, strict=False):
            if part.ask:
                lines.append(f"({letter}) {part.ask} *{points(part.points)}*")
            lines += [SPACE] * (part.points if part.ask else 1)
    return "\n\n".join(lines) + "\n"


def key(asked: list[Question]) -> str:
    """The answers with their working, and under each what the usual mistakes give."""
    lines = [MARKING]
    for number, question in enumerate(asked, 1):
        lines += ["", f"## {number}. {question.title} ({points(question.points)})", ""]
        for letter, part in zip(ascii_lowercase, question.parts, strict=False):
            lines.append(f"- ({letter}) **{part.answer}**{working(part.work[0])} ({points(part.points)})")
            lines += [f"  - {value:,}{working(formula)}: {cause}" for cause, (formula, value) in part.slips.items()]
    return "\n".join(lines) + "\n"


def working(formula: str) -> str:
    return "" if formula.isdecimal() or not formula else f" = `{formula}`"


def points(number: int) -> str:
    return f"{number} point{'s' if number > 1 else ''}"


def code(asked: list[Question]) -> str:
    """The name of a sheet in place of its seed, from which anybody could make the key."""
    return hashlib.sha256(sheet(asked).encode()).hexdigest()[:6]


def pages(seed: int) -> tuple[str, str]:
    """(exam.md, key.md)."""
    asked = drawn(seed)
    name, total = code(asked), points(sum(question.points for question in asked))
    return (f"# Convolution arithmetic: sheet {name}\n\nName:\n\n{SPACE}\n\n{total}, about a point a minute. A pocket "
            f"calculator helps.\n\n{sheet(asked)}",
            f"# Convolution arithmetic: key to sheet {name}\n\nMade by `cnncourse exam --seed {seed}` of cnncourse "
            f"{__version__}; {total}.\n\n{key(asked)}")


def write(seed: int, folder: Path) -> list[Path]:
    """Writes exam.md and key.md. Raises FileExistsError where one of them is there already, and
    NotADirectoryError where `folder` is a file; then neither is written.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: name a directory with --out")
    targets = [folder / "exam.md", folder / "key.md"]
    for target in targets:
        if target.exists():
            raise FileExistsError(f"{target} is there already and is kept: name another directory with --out")
    folder.mkdir(parents=True, exist_ok=True)
    for target, text in zip(targets, pages(seed), strict=True):
        write_text(target, text)
    return targets
