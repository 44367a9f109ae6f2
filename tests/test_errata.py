"""The page book/errata.md: each row has a proof, its code runs and does better, and its numbers are computed.

A row is an item of its lists: what is often written, why it is wrong, what to write instead, and where to see it. A
proof is a function that gets the row, tries both its pieces of code, and returns the numbers that the row states. Rows
on what happened in a paper or in a whole training are proven where they are told: in the lesson that they link to.
"""

import io
import math
import pickle
import re
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from matplotlib import pyplot
from prose import asserted, claims, printed, proven
from scipy.signal import convolve2d
from torch import nn
from torch.optim.lr_scheduler import StepLR

from cnncourse import trace
from cnncourse.models import MODELS, alexnet, resnet
from cnncourse.recipes import RECIPES

matplotlib.use("Agg")
BOOK = Path(__file__).parents[1] / "book"
PAGE = (BOOK / "errata.md").read_text()
LINKS = dict(re.findall(r"^\[(.+?)\]: (.+)$", PAGE, re.MULTILINE))
PROOFS = {}
BY_LESSON = {  # the beginnings of the rows that a linked lesson proves, and words of its proof
    "A random fifth": "a split by groups", "A method that sets": "called by nobody",
    "Names that another": "a name is not defined", "`num_classes` is": "an argument that a function ignores",
    "A loss of 0.727": "it has learned nothing", "ReLUs train six": "one network and one goal",
    "The best epoch": "Take 200 networks that know nothing", "Three networks, one seed": "three *training* losses",
    "6.7 % error": "averaging alone lowers the error", "GoogLeNet beat": "a tenth of a point",
    "Deeper is better": "the error level off", "The stem is ordinary": "not strictly necessary",
    "Deep plain networks fail because they": "this is not overfitting",
    "The loss becomes": "the way in which the function is written",
    "Deep plain networks fail because the gradient": "the first layer receives by far the most",
    "A shortcut is a gate": "highway networks have gates",
}


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    """Other tests, in the same process, count the open ones."""
    yield
    pyplot.close("all")


class Row:
    """A row of the page. `wrong` and `right` evaluate its code, with some names given other values."""

    def __init__(self, item):
        often, self.why, last = " ".join(item.split()).split("\\ ")
        self.often, (self.instead, self.see) = often.strip("*"), last.removeprefix("*Instead:* ").split(" *See* ")

    def wrong(self, **names):
        return run(code(self.often)[0], scope() | names)

    def right(self, **names):
        return run(code(self.instead)[0], scope() | names)


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
        scheduler=StepLR(optimizer, 30), logits=torch.rand(6, 10, generator=g),
        labels=torch.arange(6), label=1, loss=torch.tensor(2.3026, requires_grad=True), means=[1.0, 2.0], sizes=[3, 1],
        loader=[(images, torch.arange(6))], dataset=SimpleNamespace(classes=["cat", "dog"]), line="\tx",
        rows=[{"validation_accuracy": 0.5, "test_accuracy": 0.9}, {"validation_accuracy": 0.6, "test_accuracy": 0.8}])
    exec(re.search("```python\n(.+?)```", PAGE, re.DOTALL)[1], names)
    return names


ROWS = [Row(item) for item in re.findall(r"^- (.+\n(?:  .+\n)*)", PAGE, re.MULTILINE)]


def proves(*starts):
    def register(proof):
        for start in starts:
            assert start not in PROOFS
            PROOFS[start] = proof
        return proof
    return register


def meta(name, **options):
    with torch.device("meta"):
        return MODELS[name](**options)


def shapes(name):
    return {row.name: tuple(map(int, row.output.split(" x "))) for row in trace.stages(meta(name))}


def fails(error, words, function, *arguments, **names):
    with pytest.raises(error, match=re.escape(words)):
        function(*arguments, **names)


def test_every_row_is_proven_once_here_or_in_its_lesson():
    starts = [*PROOFS, *BY_LESSON]
    for row in ROWS:
        assert len([s for s in starts if row.often.startswith(s)]) == 1, row.often
    for start in starts:
        assert len([row for row in ROWS if row.often.startswith(start)]) == 1, start
    assert len({row.often for row in ROWS}) == len(ROWS) > 100  # the welcome says so


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.often[:40])
def test_what_to_write_instead_runs(row):
    assert row.often and row.why and row.instead
    for text in code(row.instead):
        run(text, scope())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.often[:40])
def test_the_proof_of_a_row_holds_and_gives_its_numbers(row):
    proof, = [p for start, p in PROOFS.items() if row.often.startswith(start)] or [lambda row: ()]
    known, shown = {float(number) for number in proof(row) or ()}, set()
    words, found = [words for start, words in BY_LESSON.items() if row.often.startswith(start)], []
    for label in re.findall(r"\[(.+?)\]", row.see):
        path = (BOOK / LINKS[label]).resolve()
        source = BOOK.parent / "notebooks" / path.name if path.suffix == ".ipynb" else path
        assert source.exists(), label
        if path.suffix == ".ipynb" and words:
            every = nbformat.read(source, as_version=4).cells
            cells = [c for c in every if c.cell_type == "code"]
            known, shown = known | asserted(cells), shown | printed(cells)
            found += [c for c in every if words[0] in " ".join(c.source.split())]
    assert bool(words) == bool(found), f"no lesson says: {words}"
    for number, *claim in claims(f"{row.often} {row.why} {row.instead}"):
        assert proven(*claim, shown, known), f"nothing proves {number}"


# Sizes and windows


@proves("5 pixels, kernel 3")
def _(row):
    assert row.right() == 5 and 5 + 2 * 2 - 4 + 1 == 6 == F.conv1d(torch.zeros(1, 1, 5), torch.zeros(1, 1, 4),
                                                                    padding=2).shape[2]


@proves("The division (n + 2p")
def _(row):
    assert row.right(n=224, k=7, s=2, p=3) == 112 == nn.Conv2d(1, 1, 7, 2, 3)(torch.zeros(1, 1, 224, 224)).shape[3]
    return [(224 + 2 * 3 - 7) / 2 + 1]


@proves("A pooling gives the same")
def _(row):
    x = torch.zeros(1, 1, 112, 112)
    assert nn.MaxPool2d(3, stride=2)(x).shape[3] == 55 and row.right()(x).shape[3] == 56


@proves('"Same" padding')
def _(row):
    x = torch.zeros(1, 3, 9, 11)
    assert all(row.right(d=d)(x).shape[2:] == (9, 11) for d in (1, 2, 3))
    assert nn.Conv2d(3, 4, 3, padding=1, dilation=2)(x).shape[2:] != (9, 11)  # (k - 1) / 2, with dilation
    with pytest.warns(UserWarning, match="even kernel"):
        assert nn.Conv2d(3, 4, 4, padding="same")(x).shape[2:] == (9, 11)


@proves("`nn.Conv2d(n_in, n_out, 3, stride=2, padding")
def _(row):
    fails(ValueError, "padding='same' is not supported for strided", row.wrong)
    x = torch.ones(1, 3, 224, 224)
    padded = scope()["pad_same"](x, 3, 2)
    assert padded.shape[2:] == (225, 225) and not padded[:, :, -1].any() and not padded[..., -1].any()
    assert row.right(x=x).shape[2:] == (112, 112)


@proves("`F.conv2d` is the convolution")
def _(row):
    x, weight = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 3, 3)
    expected = torch.tensor(convolve2d(x[0, 0], weight[0, 0], mode="valid"))
    assert torch.allclose(row.right(x=x, weight=weight)[0, 0], expected, atol=1e-5)
    assert not torch.allclose(F.conv2d(x, weight)[0, 0], expected, atol=1e-2)


@proves("A convolutional network takes")
def _(row):
    conv = nn.Conv2d(3, 3, 5)
    assert conv(torch.zeros(1, 3, 9, 300)).shape[2:] == (5, 296)
    fails(RuntimeError, "to have 3 channels", conv, torch.zeros(1, 1, 9, 9))
    fails(RuntimeError, "Kernel size can't be greater than actual input size", conv, torch.zeros(1, 3, 4, 9))
    fixed = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10))
    fails(RuntimeError, "mat1 and mat2 shapes cannot be multiplied", fixed, torch.zeros(1, 3, 9, 9))
    assert all(row.right()(torch.zeros(1, 3, size, size)).shape == (1, 10) for size in (1, 8, 9))


@proves("Sharing weights prevents")
def _(row):
    torch.manual_seed(0)
    images, labels, net = torch.randn(32, 1, 28, 28), torch.randint(10, (32,)), MODELS["lenet5"]()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
    assert (net(images).argmax(1) == labels).all()


@proves("Pooling makes a network invariant")
def _(row):
    dots = torch.eye(8).view(8, 1, 1, 8)  # a white dot in each of eight columns
    pooled = F.max_pool2d(dots, (1, 2))
    assert torch.equal(pooled[2], pooled[3]) and not torch.equal(pooled[3], pooled[4])
    assert len(row.right(maps=dots).unique()) == 1


@proves("Pooling reduces the number")
def _(row):
    def net(between, after):
        return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), between, nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(),
                             nn.Linear(8 * after * after, 10))
    without, pooled = net(nn.Identity(), 32), net(nn.MaxPool2d(2), 16)
    for n in (without, pooled):
        assert trace.parameters(n[0]) + trace.parameters(n[2]) == 808
    assert row.right(net=pooled) < row.right(net=without)
    return [trace.parameters(without[4]), trace.parameters(pooled[4])]


@proves("Pooling halves")
def _(row):
    x = torch.zeros(1, 1, 28, 28)
    assert nn.MaxPool2d(3, stride=1)(x).shape[3] == 26 and row.right()(x).shape[3] == 14


@proves("Padding means the same")
def _(row):
    ones = torch.ones(1, 1, 4, 4)
    fails(RuntimeError, "pad should be at most half", nn.MaxPool2d(2, padding=2), ones)
    assert (F.max_pool2d(-ones, 3, 1, padding=1) == -1).all() and (row.right()(ones) == 1).all()
    return [round(F.avg_pool2d(ones, 3, 1, padding=1)[0, 0, 0, 0].item(), 3)]


@proves("`nn.AvgPool2d(2, stride=0)`")
def _(row):
    fails(RuntimeError, "stride should not be zero", lambda: row.wrong()(torch.zeros(1, 1, 8, 8)))
    assert row.right().stride == 2


@proves("Average pooling is hardly")
def _(row):
    with torch.device("meta"):
        nets = torchvision.models.resnet18(), torchvision.models.googlenet(init_weights=False)
    for net in nets:
        assert type(net.avgpool) is type(row.right()) and net.avgpool.output_size in (1, (1, 1))


@proves("Twice the channels")
def _(row):
    macs = scope()["conv_macs"](3, 4, 3, 56, 56)
    assert row.right() == 4 * macs == 4 * 3 * 4 * 9 * 56 * 56


@proves("More layers need fewer")
def _(row):
    assert row.right() < run(code(row.instead)[1], scope())
    return [trace.parameters(meta("vgg11")), trace.parameters(meta("vgg19"))]


# Images on their way to the network


@proves("`v2.Resize(256)`")
def _(row):
    photograph = torch.zeros(3, 300, 400)
    assert row.wrong()(photograph).shape == (3, 256, 341) and row.right()(photograph).shape == (3, 256, 256)


@proves("`v2.RandomResizedCrop(224)`")
def _(row):
    torch.manual_seed(0)
    photograph = torch.arange(400.0).expand(3, 300, 400)  # each column has its own number
    parts = [row.wrong()(photograph) for _ in range(5)]
    assert len({round(float(part.max() - part.min())) for part in parts}) > 1
    assert row.right()(photograph).amax() - row.right()(photograph).amin() != 0
    part = row.right()(photograph)
    assert part.max() - part.min() == 223


@proves("`v2.CenterCrop(227)`")
def _(row):
    crop, photograph, icon = row.wrong(), torch.ones(3, 300, 400), torch.ones(3, 100, 100)
    assert row.right()(icon).shape == (3, 227, 227) and (row.right()(icon) == 1).all()
    kept, black = crop(photograph).numel() / photograph.numel(), (crop(icon) == 0).float().mean().item()
    return [round(100 * kept, 1), round(100 * black, 1)]


@proves("`v2.Compose([v2.RandomCrop(32)")
def _(row):
    image = torch.arange(1.0, 1025).view(1, 32, 32)
    torch.manual_seed(0)
    assert len({tuple(row.wrong()(image).flatten().tolist()) for _ in range(9)}) == 1
    assert row.wrong()(image).shape == (1, 40, 40)
    views = [row.right()(image) for _ in range(9)]
    assert len({tuple(v.flatten().tolist()) for v in views}) > 1 and {v.shape for v in views} == {(1, 32, 32)}


@proves("`v2.Normalize([0.0]")
def _(row):
    train = torch.rand(50, 3, 8, 8)
    assert torch.equal(row.wrong()(train[:, :1]), train[:, :1])
    ready = row.right(x=train, train=train)
    assert torch.allclose(ready.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(ready.std((0, 2, 3)), torch.ones(3), atol=1e-3)


@proves("`v2.Normalize([0.5]")
def _(row):
    dark = torch.linspace(0, 1, 64).square().view(1, 8, 8)
    out = row.wrong()(dark)
    assert (out.min(), out.max()) == (-1, 1) and abs(out.mean()) > 0.2


@proves("`plt.imshow(picture[0])`")
def _(row):
    picture = torch.rand(3, 8, 8)
    assert row.wrong(picture=picture).get_array().shape == (8, 8)
    assert np.allclose(row.wrong(picture=picture).get_array(), picture[0])
    assert row.right(picture=picture).get_array().shape == (8, 8, 3)


@proves("`plt.title(label)`")
def _(row):
    label = torch.tensor(1)
    assert row.wrong(label=label).get_text() == "tensor(1)" and row.right(label=label).get_text() == "dog"


@proves("Grey images go")
def _(row):
    first = nn.Conv2d(3, 8, 3)
    fails(RuntimeError, "to have 3 channels, but got 1", first, torch.zeros(2, 1, 8, 8))
    assert first(row.right(grey=torch.zeros(2, 1, 8, 8))).shape[0] == 2


@proves("`nn.Conv2d(1, 8, 3)(digits)`")
def _(row):
    fails(RuntimeError, "to have 1 channels, but got 5 channels", row.wrong, digits=torch.zeros(5, 28, 28))
    assert row.right(digits=torch.zeros(5, 28, 28)).shape == (5, 8, 26, 26)


@proves("`for data, label in loader`")
def _(row):
    for loop, outlives in ((row.often.strip("`") + ": pass", True), (code(row.instead)[0], False)):
        kernel = scope() | {"data": torch.utils.data}
        exec(loop, kernel)
        assert (kernel["data"] is not torch.utils.data) == outlives


@proves("AlexNet's crops")
def _(row):
    assert 32 * 32 * 2 == 2048 and scope()["output_size"](256, 224) == 33
    return [2048, row.right()]


# Building a network


@proves("`nn.Sequential(nn.ReLU(). nn")
def _(row):
    fails(AttributeError, "'ReLU' object has no attribute 'nn'", row.wrong)
    assert len(row.right()) == 2


@proves("`nn.Sequential(nn.Linear(n_in, 8), nn.ReLU(), nn.Dropout(0.5, in")
def _(row):
    x = torch.ones(2, 3)
    assert row.wrong()(x).shape == (2, 8)
    fails(RuntimeError, "modified by an inplace operation", row.wrong()(x).sum().backward)
    row.wrong().eval()(x).sum().backward()
    row.right()(x).sum().backward()


@proves("`nn.ReLU(inplace=True)`")
def _(row):
    for layer, overwrites in ((row.wrong(), True), (row.right(), False)):
        x = torch.tensor([-1.0])
        layer(x)
        assert (x.item() == 0) == overwrites
    x = torch.tensor([-1.0])
    F.relu(x)
    assert x.item() == -1


@proves("`def forward` below")
def _(row):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(2, 2)

            def forward(self, x):
                return self.head(x)

    assert "head" in str(Net())
    fails(NotImplementedError, 'missing the required "forward" function', row.right, net=Net())


@proves("A tab among")
def _(row):
    text = "def f(x):\n        if x:\n                return 1\n\telse:\n                return 2\n"
    fails(TabError, "inconsistent use of tabs", compile, text, "cell", "exec")
    compile(text.expandtabs(8), "cell", "exec")
    assert "\\t" in repr(text)


@proves("`maps.view(-1, 256 * 6 * 6)`")
def _(row):
    maps = torch.zeros(36, 256, 5, 5)
    assert row.wrong(maps=maps).shape == (25, 9216) and row.right(maps=maps).shape == (36, 6400)


@proves("`maps.view(batch_size, -1)`")
def _(row):
    maps = torch.zeros(8, 1024, 1, 1)
    assert row.wrong(maps=maps).shape == (16, 512) and row.right(maps=maps).shape == (8, 1024)


@proves("`nn.Linear(512, 4096)`")
def _(row):
    assert row.right(size=32).in_features == 512
    with torch.device("meta"):
        return [row.right(size=224).in_features]


@proves("100 outputs for ten")
def _(row):
    first = F.cross_entropy(torch.zeros(4, 100), torch.arange(4)).item()
    assert math.isclose(first, math.log(100), rel_tol=1e-5) and row.right().head[-1].out_features == 10
    return [round(math.log(100), 3), round(math.log(10), 3)]


@proves("`nn.Sequential([nn.ReLU()")
def _(row):
    fails(TypeError, "list is not a Module subclass", row.wrong)
    assert len(row.right()) == 2


@proves("`class Net(nn.Model)`")
def _(row):
    assert not hasattr(nn, "Model") and issubclass(row.right().Net, nn.Module)


@proves("`torch.stack([a, b])`")
def _(row):
    a = torch.zeros(2, 16, 8, 8)
    assert row.wrong(a=a, b=a).shape == (2, 2, 16, 8, 8) and row.right(a=a, b=a).shape == (2, 32, 8, 8)


@proves("`torch.cat(a, b)`")
def _(row):
    a = torch.zeros(2, 16, 8, 8)
    fails(TypeError, "must be tuple of Tensors", row.wrong, a=a, b=a)
    assert torch.cat([a, a]).shape == (4, 16, 8, 8) and row.right(a=a, b=a).shape == (2, 32, 8, 8)


@proves("`torch.add[a, b]`")
def _(row):
    fails(TypeError, "is not subscriptable", row.wrong)
    assert not row.right().any()  # in the scope b is -a


@proves("`nn.Dropout2d(0.4)")
def _(row):
    with pytest.warns(UserWarning, match="Received a 2-D input to dropout2d, which is deprecated"):
        row.wrong()
    with warnings.catch_warnings(action="error"):
        row.right()
    kept = nn.Dropout2d(0.5)(torch.ones(8, 8, 4, 4)).flatten(2)
    assert ((kept == 0).all(2) | (kept == 2).all(2)).all()  # whole channels


@proves("`net.forward(x)`")
def _(row):
    calls, names = [], scope()
    names["net"].eval().register_forward_hook(lambda *_: calls.append(1))
    assert torch.equal(row.wrong(net=names["net"]), row.right(net=names["net"])) and len(calls) == 1


@proves("`nn.Sequential(nn.Conv2d(n_in, n_out, 3), nn.Batch")
def _(row):
    torch.manual_seed(0)
    block, x = row.wrong(), torch.randn(8, 3, 8, 8)
    before = block(x)
    before.square().mean().backward()
    assert block[0].bias.grad.abs().max() < 1e-5
    with torch.no_grad():
        block[0].bias += 5
    assert torch.allclose(block(x), before, atol=1e-4) and row.right()[0].bias is None


@proves("`net.modules()` gives")
def _(row):
    with torch.device("meta"):
        net = torchvision.models.vgg16()
    assert len(list(row.wrong(net=net))) == 42 and len(row.right(net=net)) == 39


@proves("`isinstance(layer")
def _(row):
    assert row.wrong() is True and row.right() is nn.Conv2d


@proves("`nn.AvgPool2d(8)`")
def _(row):
    fails(RuntimeError, "Output size is too small", row.wrong(), torch.zeros(1, 4, 4, 4))
    assert row.wrong()(torch.zeros(1, 4, 16, 16)).numel() == 16
    assert all(row.right()(torch.zeros(1, 4, n, n)).numel() == 4 for n in (4, 8, 16))


@proves("`F.pad(maps, (0, 0, 0, 0, 4, 4))`")
def _(row):
    maps = torch.zeros(1, 32, 3, 5)
    assert row.wrong(maps=maps).shape == (1, 40, 3, 5) and row.right(maps=maps).shape == (1, 32, 11, 13)
    assert F.pad(maps, (0, 0, 0, 0, 0, -16)).shape == (1, 16, 3, 5)


@proves("`nn.init.xavier_uniform(weight)`")
def _(row):
    with pytest.warns(FutureWarning, match="deprecated in favor of `nn.init.xavier_uniform_`"):
        row.wrong()
    with warnings.catch_warnings(action="error"):
        row.right()


@proves("`net.cuda()`")
def _(row):
    if not torch.cuda.is_available():
        with pytest.raises((RuntimeError, AssertionError)):
            row.wrong()
    assert next(row.right().parameters()).is_cuda == torch.cuda.is_available()


# First weights, learning rate and seed


def spread(net, images):
    with torch.no_grad():
        return net(images).std(0).mean().item()


@proves("The first weights take care")
def _(row):
    torch.manual_seed(0)
    layers = [layer for i in range(16) for layer in (nn.Conv2d(3 if i == 0 else 24, 24, 3, padding=1), nn.ReLU())]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 2))
    images = torch.randn(32, 3, 8, 8)
    assert spread(net, images) < 1e-6
    for layer in layers[::2]:
        row.right(weight=layer.weight)
        nn.init.zeros_(layer.bias)
    assert spread(net, images) > 1e-3


@proves("`torch.initial_seed()`")
def _(row):
    def drawn(prepare):
        prepare()
        return torch.rand(1).item()
    assert drawn(row.wrong) != drawn(row.wrong) and drawn(row.right) == drawn(row.right)


@proves("`lr_decay = 0.0005`")
def _(row):
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.01, weight_decay=5e-4)
    scheduler = row.right(optimizer=optimizer)
    rates = []
    for _ in range(31):
        rates.append(optimizer.param_groups[0]["lr"])
        weight.grad = torch.zeros(1)
        optimizer.step()
        if len(rates) == 29:
            assert weight.item() < 1 and set(rates) == {0.01}  # 29 steps of decay, and the rate is what it was
        scheduler.step()
    assert rates[30] < rates[29]


@proves("`scheduler.step()` as the first")
def _(row):
    def first_low(early):
        optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
        scheduler = StepLR(optimizer, 30)
        for epoch in range(40):
            if early:
                row.wrong(scheduler=scheduler)
            if optimizer.param_groups[0]["lr"] < 0.1:
                return epoch  # so many epochs had the first rate
            if early:
                optimizer.step()
            else:
                row.right(optimizer=optimizer, scheduler=scheduler)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        assert first_low(early=True) == 29
    with warnings.catch_warnings(action="error"):
        assert first_low(early=False) == 30


@proves("The paper's hyper-parameters")
def _(row):
    recipe = RECIPES["resnet_cifar"]
    assert row.right() == (0.5, 0.75) and recipe.gamma == 0.1 and recipe.schedule == "steps"


@proves("More parameters make")
def _(row):
    def arrives(width, scale):
        torch.manual_seed(0)
        layers = [layer for _ in range(12) for layer in (nn.Linear(width, width), nn.ReLU())]
        for layer in layers[::2]:
            nn.init.normal_(layer.weight, std=scale * (2 / width) ** 0.5)
            nn.init.zeros_(layer.bias)
        x = torch.randn(256, width, requires_grad=True)
        out = nn.Sequential(*layers)(x)
        gradient, = torch.autograd.grad(out, x, torch.randn_like(out))
        return gradient.square().mean().item() ** 0.5  # of numbers that leave with a size of 1
    assert all(1 / 3 < arrives(width, 1) < 3 for width in (50, 500))
    assert all(arrives(width, 0.5) < 1e-3 for width in (50, 500))


# Losses and their means


@proves("`nn.CrossEntropyLoss()(logits.softmax(1)")
def _(row):
    sure, labels = 100 * torch.eye(10), torch.arange(10)
    assert row.right(logits=sure, labels=labels) < 1e-6
    return [round(row.wrong(logits=sure, labels=labels).item(), 4)]


@proves("`loss.item() / batch_size`")
def _(row):
    loss = F.cross_entropy(torch.zeros(256, 10), torch.zeros(256, dtype=torch.long))
    return [round(row.wrong(loss=loss, batch_size=256), 5), round(row.right(loss=loss), 4)]


@proves("The sum of the batches' losses, divided by the number of images")
def _(row):
    sizes = [128] * 78 + [16]
    means = [math.log(10)] * len(sizes)
    assert math.isclose(row.right(means=means, sizes=sizes), math.log(10))
    return [sum(sizes), round(sum(means) / sum(sizes), 3)]


@proves("The sum of the batches' losses, divided by the number of batches")
def _(row):
    assert 128 / 16 == 8 and sum([0.5, 0.9]) / 2 != (0.5 * 128 + 0.9 * 16) / 144


@proves("`total += loss`")
def _(row):
    assert row.wrong().total.requires_grad and isinstance(row.right().total, float)


@proves("A sum of losses, drawn")
def _(row):
    total, drawn = 0, []
    for epoch in range(21):
        total += 40 * 1
        if epoch % 10 == 0:
            drawn.append(total)
            total = 0
    assert drawn == [40, 400, 400]


# Evaluating, comparing and saving


@proves("`with torch.no_grad(): net(x)`")
def _(row):
    net = scope()["net"].train()
    before = net[1].running_mean.clone()
    exec(code(row.often)[0], scope() | {"net": net})
    assert not torch.equal(net[1].running_mean, before)
    x = torch.rand(6, 3, 8, 8)
    assert not torch.allclose(net(x)[0], net(x[:2])[0])  # the answer depends on the neighbours
    before = net[1].running_mean.clone()
    row.right(net=net)
    assert torch.allclose(net(x)[0], net(x[:2])[0], atol=1e-6) and torch.equal(net[1].running_mean, before)


@proves("`net.eval()` switches")
def _(row):
    x = scope()["x"]
    assert row.wrong()(x).requires_grad and not row.right(x=x).logits.requires_grad


@proves("`torch.save(net, file)`")
def _(row):
    whole, state = io.BytesIO(), io.BytesIO()
    row.wrong(file=whole)
    row.right(file=state)
    whole.seek(0), state.seek(0)
    fails(pickle.UnpicklingError, "Weights only load failed", torch.load, whole)
    scope()["net"].load_state_dict(torch.load(state))


class Called(Exception):
    pass


def call():
    raise Called


class Trap:
    def __reduce__(self):
        return call, ()


@proves("`torch.load(file, weights_only=False)`")
def _(row):
    file = io.BytesIO()
    torch.save({"weights": Trap()}, file)
    file.seek(0)
    with pytest.raises(Called):
        row.wrong(file=file)
    file.seek(0)
    fails(pickle.UnpicklingError, "Weights only load failed", row.right, file=file)


@proves("`F.cross_entropy(net(x), labels)`")
def _(row):
    with torch.device("meta"):
        x, labels = torch.zeros(2, 3, 224, 224), torch.zeros(2, dtype=torch.long)
        theirs = torchvision.models.googlenet(init_weights=False)
        fails(TypeError, "must be Tensor, not GoogLeNetOutputs", row.wrong, net=theirs, x=x, labels=labels)
        assert isinstance(row.right()(x), torch.Tensor)


# LeNet-5 and AlexNet


@proves("LeNet-5 has ReLUs")
def _(row):
    kinds = {type(layer).__name__ for layer in row.right().modules()}
    assert not kinds & {"ReLU", "MaxPool2d", "Dropout"} and {"Squash", "SubSampling"} <= kinds
    assert trace.parameters(row.right().output) == 0 and trace.parameters(row.right().S2) == 12


@proves("LeNet-5 of the paper")
def _(row):
    return [trace.parameters(meta("lenet5")), row.right()]


@proves("AlexNet takes 224")
def _(row):
    output_size = scope()["output_size"]
    assert [run(text, scope()) for text in code(row.instead)] == [55, 55] and output_size(224, 11, 4) == 54

    def numbers(size):  # that arrive at fc6
        for k, s in ((11, 4), (3, 2), (3, 2), (3, 2)):
            size = output_size(size, k, s)
        return 256 * size * size
    return [(224 - 11) / 4 + 1, numbers(224), numbers(227)]


@proves("Local response normalisation stands", "AlexNet pools first", "The third convolution", "The fifth convolution")
def _(row):
    names = [stage.name for stage in row.right()[:-1]]
    assert names[:3] == ["conv1", "norm1", "pool1"] and names[3:6] == ["conv2", "norm2", "pool2"]
    net, found = meta("alexnet"), shapes("alexnet")
    assert [type(layer).__name__ for layer in net.conv1] == ["Conv2d", "ReLU"]
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [96, 256, 384, 384, 256]
    assert [layer.in_channels for layer in convolutions[2:4]] == [256, 384]
    assert found["conv5"] == (256, 13, 13) and found["pool5"] == (256, 6, 6)
    maps = 50 * torch.rand(1, 8, 9, 9)
    norm, pool = alexnet.LocalResponseNorm(), nn.MaxPool2d(3, 2)
    assert not torch.allclose(pool(norm(maps)), norm(pool(maps)))
    before, after = (sum(math.prod(found[name]) for name in pair) for pair in (("conv1", "conv2"), ("pool1", "pool2")))
    return [round(before / after, 1)]


@proves("Local response normalisation looks")
def _(row):
    maps = 50 * torch.rand(1, 9, 3, 3)
    moved = maps.clone()
    moved[..., 0, 0] = 200  # another pixel
    assert torch.equal(row.right(maps=moved)[..., 1, 1], row.right(maps=maps)[..., 1, 1])
    moved = maps.clone()
    moved[:, 5] = 200  # another channel
    assert not torch.equal(row.right(maps=moved)[:, 4], row.right(maps=maps)[:, 4])


@proves("`nn.LocalResponseNorm(5, alpha=1e-4")
def _(row):
    maps = torch.full((1, 9, 1, 1), 50.0)
    printed = 50 / (2 + 1e-4 * 5 * 50**2) ** 0.75
    assert math.isclose(row.right()(maps)[0, 4].item(), printed, rel_tol=1e-5)
    return [round(100 * (row.wrong()(maps)[0, 4].item() / printed - 1), 1)]


@proves("AlexNet: 62 million")
def _(row):
    two, one, found = row.right(), trace.costs(meta("alexnet_single")), shapes("alexnet")
    neurons = sum(math.prod(shape) for name, shape in found.items() if name.startswith(("conv", "fc")))
    often = [62e6, 650_000, 630e6]
    assert round(one.parameters / 1e6) == 62 and not {two.parameters, neurons, two.macs} & set(often)
    return [*often, two.parameters, one.parameters, neurons, round(two.macs / 1e6) * 1e6]


@proves("A table with two towers")
def _(row):
    two, one = (trace.costs(meta(name)) for name in ("alexnet", "alexnet_single"))
    assert row.right().groups == 2 and trace.parameters(row.right()) == trace.parameters(meta("alexnet").conv2)
    groups = {name: layer.groups for name, layer in meta("alexnet").named_modules() if isinstance(layer, nn.Conv2d)}
    assert [name[:5] for name, n in groups.items() if n == 2] == ["conv2", "conv4", "conv5"]
    return [one.parameters - two.parameters, one.macs - two.macs]


@proves("AlexNet's dropout stands")
def _(row):
    with torch.device("meta"):
        theirs = [type(layer).__name__ for layer in torchvision.models.alexnet().classifier]
    assert theirs == ["Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear"]
    net = meta("alexnet")
    for name in ("fc6", "fc7"):
        kinds = [type(layer).__name__ for layer in getattr(net, name) if not isinstance(layer, nn.Flatten)]
        assert kinds == ["Linear", "ReLU", "Dropout"]


@proves("AlexNet's biases of 1")
def _(row):
    net = MODELS["alexnet_small"]()
    alexnet.initialise(net)
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert (layer.bias == (name[:5] in ("conv2", "conv4", "conv5") or name[:3] in ("fc6", "fc7"))).all()
            assert abs(layer.weight.std() - 0.01) < 1e-3
    return [0.01]


@proves("torchvision's `alexnet`")
def _(row):
    with torch.device("meta"):
        theirs = torchvision.models.alexnet()
        kinds = {type(layer).__name__ for layer in theirs.modules()}
        assert trace.parameters(row.right()) == trace.parameters(theirs) and "LocalResponseNorm" not in kinds
    assert all(layer.groups == 1 for layer in theirs.modules() if isinstance(layer, nn.Conv2d))
    assert theirs.features[0].out_channels == 64
    return [trace.parameters(theirs)]


# VGG


def kernels(net):
    return [layer.kernel_size[0] for layer in net.modules() if isinstance(layer, nn.Conv2d)]


@proves("1x1 convolutions are at the heart")
def _(row):
    assert {name for name in MODELS if name.startswith("vgg") and 1 in kernels(meta(name))} == {"vgg16_c"}
    assert kernels(meta("vgg16_c")).count(1) == 3 and len(kernels(meta("vgg16_c"))) == 13
    fields = [trace.stages(meta(name))[-3].field for name in ("vgg13", "vgg16_c", "vgg16")]
    assert set(kernels(meta("vgg16"))) == {3} and fields[0] == fields[1] < fields[2]


@proves("A 1x1 convolution extracts")
def _(row):
    values, matrix = torch.tensor([5.0, 3]).view(1, 2, 1, 1), torch.tensor([[1.0, -1]])
    assert row.right(matrix=matrix, maps=values).item() == 2 == F.conv2d(values, matrix[..., None, None]).item()


@proves("Two 3x3 convolutions are the same")
def _(row):
    assert row.right() == (5, 1)
    x, first, second = torch.randn(1, 4, 9, 9), torch.randn(8, 4, 3, 3), torch.randn(6, 8, 3, 3)
    composed = F.conv2d(first.transpose(0, 1), second.flip(2, 3), padding=2).transpose(0, 1)
    assert torch.allclose(F.conv2d(F.conv2d(x, first), second), F.conv2d(x, composed), atol=1e-3)
    assert not torch.allclose(F.conv2d(F.conv2d(x, first).relu(), second), F.conv2d(x, composed), atol=1)
    conv_parameters = scope()["conv_parameters"]
    return [2 * conv_parameters(64, 64, 3, bias=False), conv_parameters(64, 64, 5, bias=False)]


@proves("Each block halves")
def _(row):
    found = [shapes("vgg16")[f"block{i}"] for i in range(1, 6)]
    assert found == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]


@proves("VGG's convolutions and poolings")
def _(row):
    layers = list(meta("vgg16").modules())
    assert all(layer.padding == (1, 1) for layer in layers if isinstance(layer, nn.Conv2d))
    pools = [layer for layer in layers if isinstance(layer, nn.MaxPool2d)]
    assert len(pools) == 5 and all(str(pool) == str(row.right()) and pool.padding == 0 for pool in pools)


@proves("VGG has dropout")
def _(row):
    kinds = [type(layer).__name__ for layer in meta("vgg16").modules() if not list(layer.children())]
    assert kinds.count("Dropout") == 2
    assert kinds[-7:] == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]


# GoogLeNet


@proves("Inception v3 is GoogLeNet")
def _(row):
    later, net = meta("inception_v3"), row.right()
    assert later.input_shape == (3, 299, 299) and net.input_shape == (3, 224, 224)
    return [trace.parameters(later), trace.parameters(net)]


@proves("The stem is 7x7")
def _(row):
    net = meta("googlenet")
    stem = [layer for layer in [*net.conv1.modules(), *net.conv2.modules()] if not list(layer.children())]
    assert [layer.kernel_size[0] for layer in stem if isinstance(layer, nn.Conv2d)] == [7, 1, 3]
    assert sum(isinstance(layer, nn.ReLU) for layer in stem) == 3
    reduce = [layer for layer in stem if isinstance(layer, nn.Conv2d)][1]
    assert (reduce.in_channels, reduce.out_channels) == (64, 64)
    return [trace.parameters(reduce)]


@proves("The auxiliary heads")
def _(row):
    with torch.device("meta"):
        net = row.right()
        assert len(net(torch.zeros(2, 3, 224, 224), heads=True)) == 3
    order = [name for name, _ in net.named_children()]
    assert [name for name in order if name.startswith("aux")] == ["aux1", "aux2"]
    assert not [row for row in trace.stages(net) if row.name.startswith("aux")]
    return [RECIPES["googlenet"].head_weight]


@proves("torchvision's `googlenet`")
def _(row):
    with torch.device("meta"):
        theirs = torchvision.models.googlenet(aux_logits=False, init_weights=False)
        assert trace.parameters(theirs) == trace.parameters(run(code(row.instead)[-1], scope()))
    assert theirs.inception3a.branch3[1].conv.kernel_size == (3, 3) and theirs.maxpool1.ceil_mode
    assert isinstance(theirs.conv1.bn, nn.BatchNorm2d) and 5 in kernels(meta("googlenet"))
    return [trace.parameters(theirs)]


@proves("A network with a `width`")
def _(row):
    wide, narrow = meta("googlenet_small"), row.right()
    assert trace.parameters(narrow) < trace.parameters(wide) / 8
    fails(RuntimeError, "to have 64 channels, but got 32", nn.Sequential(nn.Conv2d(3, 32, 1), nn.Conv2d(64, 8, 1)),
          torch.zeros(1, 3, 8, 8))


# ResNet


@proves("W_s is a square")
def _(row):
    assert row.right(n_in=16).weight.shape == (32, 16, 1, 1)
    shortcut = resnet.projection(16, 32, 2)
    assert shortcut[0].weight.shape == (32, 16, 1, 1) and isinstance(resnet.projection(16, 16, 1), nn.Identity)


@proves("A solid line")
def _(row):
    x = torch.zeros(1, 64, 56, 56)
    padded = nn.Conv2d(64, 64, 1, padding=1)(x)
    assert padded.shape[3] == 58 and torch.equal(row.right()(x), x)
    fails(RuntimeError, "(58) must match the size of tensor b (56)", torch.add, padded, x)


@proves("A ResNet has no pooling")
def _(row):
    net = meta("resnet34")
    assert kernels(net)[0] == 7 and [stage.name for stage in row.right()[:2]] == ["conv1", "pool1"]
    assert isinstance(net.pool1, nn.MaxPool2d) and any(isinstance(m, nn.AdaptiveAvgPool2d) for m in net.head.modules())


@proves("ResNet-34 is VGG-19")
def _(row):
    net, vgg19 = row.right(), trace.costs(meta("vgg19"))
    assert shapes("resnet34")["pool1"] == (64, 56, 56)
    assert sum(isinstance(layer, nn.Linear) for layer in meta("resnet34").modules()) == 1
    return [round(net.macs / 1e9, 2), round(vgg19.macs / 1e9, 2)]


@proves("The first 1x1 of a bottleneck")
def _(row):
    def strides(net):
        return [layer.stride[0] for layer in net.conv3_x[0].residual if isinstance(layer, nn.Conv2d)]
    later, paper = meta("resnet50"), meta("resnet50_v1")
    assert strides(later) == [1, 2, 1] and strides(paper) == [2, 1, 1]
    with torch.device("meta"):
        assert torchvision.models.resnet50().layer2[0].conv2.stride == (2, 2)
    assert trace.parameters(later) == trace.parameters(paper)
    return [trace.costs(later).macs, trace.costs(paper).macs]


@proves("No ReLU follows")
def _(row):
    kinds = [type(layer).__name__ for layer in row.right().residual]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d"]


@proves("The ReLU stands before")
def _(row):
    residual, shortcut = torch.tensor([-2.0]), torch.tensor([3.0])
    assert F.relu(residual) + shortcut >= shortcut > row.right(residual=residual, shortcut=shortcut) == 1


@proves("The last block of a stage")
def _(row):
    net = meta("resnet34")
    for stage in (net.conv3_x, net.conv4_x, net.conv5_x):
        assert [block.residual[0].stride[0] for block in stage] == [2] + [1] * (len(stage) - 1)
    assert shapes("resnet34")["conv2_x"] == (64, 56, 56)


@proves("Every shortcut has")
def _(row):
    with torch.device("meta"):
        everywhere = resnet.ResNet(resnet.Bottleneck, (3, 4, 6, 3), shortcut=resnet.projection_always)
    assert sum(isinstance(m, resnet.Bottleneck) for m in everywhere.modules()) == 16
    assert 1.5 < trace.parameters(everywhere) / trace.parameters(meta("resnet50")) < 2
    assert isinstance(row.right(), nn.Identity)


@proves("`if a.size() is not")
def _(row):
    a, b = torch.zeros(2, 3), torch.zeros(2, 3)
    assert eval(code(row.often)[0].removeprefix("if "), {"a": a, "b": b}) and not row.right(a=a, b=b)


@proves("First one block, then")
def _(row):
    def layers(net):
        return sum(isinstance(layer, nn.Conv2d | nn.Linear) for layer in net.modules())
    net = row.right()
    assert layers(net) == 20
    for stage in (net.conv2_x, net.conv3_x, net.conv4_x):
        width = stage[-1].residual[0].out_channels
        stage.append(resnet.Basic(width, width, 1, resnet.zero_padding))
    assert layers(net) == 26 and net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@proves("Both convolutions of a block")
def _(row):
    block, x = row.right(), torch.zeros(2, 16, 16, 16)
    assert block(x).shape == (2, 32, 8, 8)
    [layer for layer in block.residual if isinstance(layer, nn.Conv2d)][1].stride = (2, 2)
    assert block.residual(x).shape[3] == 4 and block.shortcut(x).shape[3] == 8
    fails(RuntimeError, "(4) must match the size of tensor b (8)", block, x)


@proves("Every block of a stage gets")
def _(row):
    x = torch.zeros(2, 32, 32, 32)
    blocks = nn.Sequential(*(resnet.Basic(32, 32, 2, resnet.zero_padding) for _ in range(5)))
    assert blocks(x).shape[3] == 1 and row.right()(x).shape == x.shape


@proves('"The size of tensor a (16)')
def _(row):
    a, b = torch.zeros(2, 32, 16, 16), torch.zeros(2, 16, 32, 32)
    fails(RuntimeError, row.often.split('"')[1], torch.add, a, b)
    assert row.right(a=a, b=b) == (16, 32)
    fails(RuntimeError, "at non-singleton dimension 1", torch.add, a, torch.zeros(2, 16, 16, 16))


@proves("ResNet-18 for CIFAR-10")
def _(row):
    nets = [run(text, scope()) for text in code(row.instead)]
    assert (kernels(nets[0]), len(kernels(nets[0]))) == ([3] * 19, 6 * 3 + 1)
    widths = [{layer.out_channels for layer in net.modules() if isinstance(layer, nn.Conv2d)} for net in nets]
    assert widths == [{16, 32, 64}, {64, 128, 256, 512}]
    return [trace.parameters(net) for net in nets]


@proves("Keras counts")
def _(row):
    found = row.right()
    assert found.total - found.non_trainable > trace.parameters(meta("resnet50")) and found.non_trainable > 0
    return [found.total, trace.parameters(meta("resnet50"))]
