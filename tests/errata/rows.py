"""The rows of book/errata.md, and `proves`, which makes a test of what proves a row.

A row is an item of the page's lists: what is often written, why it is wrong, what to write instead, where to see it.
"""

import functools
import inspect
import io
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest
import torch
import torchvision
from facts import all_of, build
from matplotlib import pyplot
from prose import claims, proven
from torch import nn

from cnncourse import trace

matplotlib.use("Agg")
BOOK = Path(__file__).parents[2] / "book"
PAGE = (BOOK / "errata.md").read_text(encoding="utf-8")
PROVEN = []  # the beginnings of the rows that have a test, once all tests of this folder are imported


class Row:
    """A row of the page. `wrong` and `right` evaluate its code, with some names given other values."""

    def __init__(self, item):
        often, self.why, last = " ".join(item.split()).split("\\ ")
        self.often, (self.instead, self.see) = often.strip("*"), last.removeprefix("*Instead:* ").split(" *See* ")

    def wrong(self, **names):
        return run(code(self.often)[0], scope() | names)

    def right(self, **names):
        return run(code(self.instead)[0], scope() | names)

    def has_only(self, known, shown=()):
        """Fails on a number of the row that is neither known nor shown."""
        for number, *claim in claims(f"{self.often} {self.why} {self.instead}"):
            assert proven(*claim, shown, set(map(float, known))), f"nothing proves {number}"


ROWS = [Row(item) for item in re.findall(r"^- (.+\n(?:  .+\n)*)", PAGE, re.MULTILINE)]


def starting(start):
    """The rows that begin so: there should be one."""
    return [row for row in ROWS if row.often.startswith(start)]


def proves(*starts):
    """Makes a test of a proof, for the row that begins so, or for each row of a table: beginning → further arguments.
    A proof returns the numbers of the row that it computed."""
    table = starts[0] if isinstance(starts[0], dict) else dict.fromkeys(starts, ())
    rows = [pytest.param(row, *beside, id=start) for start, beside in table.items() for row in starting(start)]
    PROVEN.extend(table)

    def register(proof):
        @pytest.mark.parametrize(list(inspect.signature(proof).parameters), rows)
        @functools.wraps(proof)
        def test(row, **beside):
            row.has_only(proof(row, **beside) or ())
        return test
    return register


def code(text):
    return re.findall("`(.+?)`", text)


def run(text, names):
    """The value of an expression; of statements, the names that they leave behind."""
    with torch.device("meta") if "s(MODELS" in text else nullcontext():  # what is only counted needs no numbers
        try:
            return eval(text, names)
        except SyntaxError:
            exec(text, names)
            return SimpleNamespace(**{name: value for name, value in names.items() if name.isidentifier()})
        finally:
            pyplot.close("all")  # other tests, in the same process, count the open figures


def scope():
    """What the page says before its lists, and things of which the names say what they are."""
    g = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                        nn.Linear(4, 10))
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    images = torch.rand(6, 3, 8, 8, generator=g)
    names = dict(
        n=28, k=3, s=1, p=1, d=2, n_in=3, n_out=4, classes=10, size=64, batch_size=16, total=0.0,
        x=images, train=images, maps=images, a=images, b=-images, residual=images, shortcut=images, picture=images[0],
        grey=images[:, :1], digits=images[:, 0], features=torch.rand(6, 16), weight=torch.rand(4, 3, 3, 3, generator=g),
        matrix=torch.rand(4, 3, generator=g), net=net, layer=net[0], optimizer=optimizer, file=file,
        scheduler=torch.optim.lr_scheduler.StepLR(optimizer, 30), logits=torch.rand(6, 10, generator=g),
        labels=torch.arange(6), label=1, loss=torch.tensor(2.3026, requires_grad=True), means=[1.0, 2.0], sizes=[3, 1],
        loader=[(images, torch.arange(6))], dataset=SimpleNamespace(classes=["cat", "dog"]), line="\tx",
        rows=[{"validation_accuracy": 0.5, "test_accuracy": 0.9}, {"validation_accuracy": 0.6, "test_accuracy": 0.8}])
    exec(re.search("```python\n(.+?)```", PAGE, re.DOTALL)[1], names)
    return names


# What several proofs ask of PyTorch and of networks.


def fails(error, words, function, *arguments, **names):
    with pytest.raises(error, match=re.escape(words)):
        function(*arguments, **names)


def torchvisions(name, **options):
    with torch.device("meta"):
        return torchvision.models.get_model(name, **options)


def shapes(name):
    return {row.name: tuple(map(int, row.output.split(" x "))) for row in trace.stages(build(name))}


def kernels(net):
    return [conv.kernel_size[0] for conv in all_of(net, nn.Conv2d)]


def kinds(layers):
    return [type(layer).__name__ for layer in layers]
