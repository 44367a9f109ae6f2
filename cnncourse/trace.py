"""Lessons 1 to 8: what a network does to a shape, stage by stage, without running its arithmetic.

Works on any nn.Module: parameters are replaced by stand-ins on PyTorch's meta device, which know shapes but hold no
numbers, so that VGG-16's table needs neither 550 MB nor a second.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from operator import index

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map, tree_map_only

from .tracing.fields import PRODUCTS, Fields, arguments, geometry, tensors
from .tracing.passes import calls, cannot, copied, copy_of, looking, on_meta, settled, stand_ins
from .tracing.words import changes, kind, word


@dataclass(frozen=True)
class Stage:
    """One stage, for one image.

    output: shape without the batch, C x H x W or features. parameters: weights and biases, frozen ones too.
    macs: multiply-accumulates of convolutions and of matrix products, as linear layers and attention have them. memory:
    bytes of all layer outputs in float32, which training keeps for the backward pass. field: receptive field, in input
    pixels along the longer side; it may exceed the image, where it sees padding. macs and field are None, shown as
    "unknown", for an operation that is not understood, and the field behind it.
    """

    name: str
    output: str
    parameters: int
    macs: int | None
    memory: int
    field: int | None


@dataclass(frozen=True)
class Difference:
    """One stage of two networks; `changed` lists the layers and operations that only the second has (+) or only the
    first (-), and those that both have in another order; or says that the same ones are connected otherwise."""

    stage: str
    first: str
    second: str
    parameters: int
    macs: int | None
    changed: str


HEADINGS = {"macs": "MACs", "field": "receptive field", "first": "output of the first", "second": "of the second"}
ABSENT = Stage("-", "", 0, 0, 0, 0)  # beside a stage that only one of two networks has
# Operations that hold products which nobody counts here; those of other libraries may as well.
UNCOUNTED = "_rnn|lstm_mps|conv|attention|^_trilinear|_fwd$|_native_multi_head|mm$|linear$"
HIDING = (nn.LocalResponseNorm | nn.RNNBase | nn.MultiheadAttention  # many operations that one name says better
          | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d)


class Table(list):
    """Rows of equal dataclasses, shown as a table in a notebook and as aligned text in a terminal."""

    def cells(self) -> list[list[str]]:
        """The headings, and the texts of each row."""
        columns = list(vars(self[0]))
        return [[HEADINGS.get(column, column) for column in columns],
                *([cell(row, column) for column in columns] for row in self)]

    def __repr__(self) -> str:
        if not self:
            return "no rows"
        columns = []
        for texts, column in zip(zip(*self.cells(), strict=True), vars(self[0]), strict=True):
            width, words = max(map(len, texts)), any(isinstance(getattr(row, column), str) for row in self)
            columns.append([text.ljust(width) if words else text.rjust(width) for text in texts])
        return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))

    def _repr_html_(self) -> str:
        def line(tag, texts):
            return "<tr>" + "".join(f"<{tag}>{escape(text, quote=False)}</{tag}>" for text in texts) + "</tr>"

        if not self:
            return repr(self)
        headings, *rows = self.cells()
        body = "".join(line("td", row) for row in rows)
        return f"<table><thead>{line('th', headings)}</thead><tbody>{body}</tbody></table>"


def cell(row: object, column: str) -> str:
    value = getattr(row, column)
    if column == "memory":
        return f"{value / 1e6:,.2f} MB"
    if value is None:
        return "unknown"
    sign = "+" if value and isinstance(row, Difference) else ""
    return f"{value:{sign},}" if isinstance(value, int) else value


def stages(model: nn.Module, input_shape: tuple[int, int, int] | None = None, depth: int = 1) -> Table:
    """The direct children of `model` in the order in which they are called, with a row for their total.

    input_shape: C x H x W, by default the network's own `input_shape`. Children that are not called are left out; a
    child that is called twice has two rows with its parameters, which count once in the total. Where layers of a child
    are called and the child is not, as those of a list, each is a stage; a layer without children is its own stage.
    depth: how many levels of nn.Sequential to open; torchvision's networks hide their layers one level down.
    Raises ValueError where the network cannot take such an image.
    """
    return traced(model, input_shape, depth).table()


def costs(model: nn.Module, input_shape: tuple[int, int, int] | None = None) -> Stage:
    """Parameters, MACs and memory of the whole network, for one image: the last row of `stages`."""
    return stages(model, input_shape)[-1]


def traced(model: nn.Module, input_shape: tuple[int, int, int] | None, depth: int = 1) -> "Trace":
    require_layers(model)
    if input_shape is None and not hasattr(model, "input_shape"):
        raise ValueError(f"{type(model).__name__} has no `input_shape` that says which images it takes: give "
                         "input_shape=(channels, height, width)")
    input_shape = sizes(model.input_shape if input_shape is None else input_shape, model)
    traces = []

    def watch(module: nn.Module, image: Tensor) -> AbstractContextManager:
        traces.append(Trace(module, image))
        return traces[-1].watching(depth)

    output = on_meta(model, input_shape, watch)
    if axes(model) not in (0, len(input_shape) - 1) and any(t.shape[:1] != (1,) for t in tensors(output)):
        raise no_image(model, input_shape)  # a layer took the channels for images
    traces[-1].add("total", traces[-1].size, output, (0, 0, 0, 0))
    return traces[-1]


def require_layers(model: nn.Module) -> None:
    """Raises ValueError for what is no network, or one whose layers cannot be watched."""
    if not isinstance(model, nn.Module):
        given = f"the class {model.__name__} itself" if isinstance(model, type) else f"a {type(model).__name__}"
        raise ValueError(f'a network is an nn.Module, such as MODELS["resnet20"](), not {given}')
    if any(isinstance(part, torch.jit.ScriptModule) for part in model.modules()):
        raise ValueError(f"{type(model).__name__} is scripted or has a scripted part, whose layers cannot be watched: "
                         "give the network as it was before torch.jit.script or torch.jit.trace")
    if packed := [type(part).__name__ for part in model.modules() for value in vars(part).values()
                  if isinstance(value, torch.ScriptObject)]:
        raise ValueError(f"{type(model).__name__} has a quantised part, {packed[0]}, whose weights cannot be counted: "
                         "give the network as it was before it was quantised")
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise ValueError(f"{type(model).__name__} only passes images on to a network: give that, its `.module`")


def sizes(input_shape: object, model: nn.Module) -> tuple[int, ...]:
    """The shape as whole numbers: channels, and one for each axis; height and width may become others in the forward
    pass. Raises ValueError for any other."""
    try:
        found = tuple(map(index, input_shape))
    except TypeError:
        found = ()
    if len(found) < 2 or len(found) not in (3, 1 + (axes(model) or len(found) - 1)) or min(found) < 1:
        raise no_image(model, tuple(input_shape.shape) if hasattr(input_shape, "shape") else input_shape)
    return found


def layer_with_axes(model: nn.Module) -> str:
    """The kind of the first convolution, pooling or normalisation, but not of vectors; "" where there is none."""
    kinds = [type(part).__name__ for part in model.modules()]
    return next((kind for kind in kinds if re.search("[123]d$", kind) and not kind.endswith("BatchNorm1d")), "")


def axes(model: nn.Module) -> int:
    """Of the images, by the name of that layer; 0 where it is not known."""
    return int(layer_with_axes(model)[-2:-1] or 0)


def no_image(model: nn.Module, given: object) -> ValueError:
    names = ("height, width", "length", "height, width", "depth, height, width")[axes(model)]
    return ValueError(f"the image for {layer_with_axes(model) or type(model).__name__} has an input_shape of whole "
                      f"numbers, (channels, {names}), not {given!r}")


class Trace(Fields):
    """What a forward pass shows, stage by stage and in all."""

    def __init__(self, model: nn.Module, image: Tensor):
        super().__init__(image)
        self.model, self.image = model, image
        self.kept = {image.untyped_storage()}  # a view, or the same tensor again, is not new memory
        self.memory, self.macs = 0, []  # of each operation; None where they are not known
        self.words = []  # what was called, in order: see `word`
        self.wires = []  # from where the operation of each word took its inputs: see `source`
        self.sources = {image.untyped_storage()._cdata: {None: (-1, 0)}}
        self.starts = []  # how many words there were before each of the modules that are running
        self.begun = self.now()  # when the stage that is running began
        self.rows, self.operations = [], []  # of the stages and the total

    def table(self) -> Table:
        rows = Table()
        for name, size, output, macs, memory, seen in self.rows:
            fields = [self.field(each) for each in seen]
            field = None if None in fields else max(fields, default=None)
            rows.append(Stage(name, output, size, None if None in macs else sum(macs), memory, field))
        return rows

    def now(self) -> tuple[int, int, int, int]:
        return len(self.macs), self.memory, len(self.words), len(self.wires)

    @contextmanager
    def watching(self, depth: int) -> Iterator[None]:
        with calls(self.model, depth, self.enter, self.leave), self:
            yield
        self.size = parameters(self.model)  # with those of layers that the forward pass has made

    def enter(self, module: nn.Module, inputs: tuple, stage: str | None) -> None:
        if stage:
            self.begun = self.now()
        self.kept |= {t.untyped_storage() for t in tensors(inputs)}
        self.starts.append(len(self.words))

    def leave(self, module: nn.Module, output: object, stage: str | None) -> None:
        for t in tensors(output):
            if t.untyped_storage() not in self.kept:
                self.memory += 4 * t.numel()
                self.kept.add(t.untyped_storage())
        start = self.starts.pop()
        inner, built_in = self.words[start:], type(module).__module__.startswith("torch.nn.")
        leaf = not [*module.children()] and module is not self.model
        if isinstance(module, HIDING) or leaf and not built_in:
            self.words[start:] = [(kind(module), ", ".join(text for text, _ in inner))]
        elif leaf and not inner and not isinstance(module, nn.Identity | nn.Flatten | nn.Unflatten):
            self.words.append((kind(module), ""))  # such as dropout, which does nothing here
        if stage and tensors(output):  # others, as the checks of an exported network, only look
            self.add(stage, parameters(module), output, self.begun)

    def add(self, name: str, size: int, output: object, begun: tuple[int, int, int, int]) -> None:
        macs, memory, words, wires = begun
        shapes = ", ".join(" x ".join(map(str, t.shape[t.shape[:1] == (1,):])) or "1" for t in tensors(output))
        self.rows.append((name, size, shapes, self.macs[macs:], self.memory - memory,
                          [self.seen(t) for t in tensors(output)]))
        outside = {}  # by the order in which they are used, since networks may differ before

        def within(source: tuple[int, int] | None) -> object:
            if source is None or source[0] < wires:
                return outside.setdefault(source, len(outside))
            return source[0] - wires, source[1]

        self.operations.append((self.words[words:], [[within(source) for source in sources] for sources in [
            *self.wires[wires:], [self.source(t) for t in tensors(output)]]]))

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if self.image.is_meta:  # and what the forward pass makes or keeps elsewhere, as a constant, is not
            args, kwargs = tree_map_only(Tensor, self.without_numbers, (args, kwargs))
        return super().__torch_dispatch__(op, types, args, kwargs)

    def record(self, op, outputs: object, args: tuple, kwargs: dict) -> None:
        name = op.overloadpacket.__name__
        self.macs.append(macs_of(op, name, arguments(op, args, kwargs)[0], outputs))
        if any(map(self.seen, tensors((args, kwargs)))):
            found = [self.source(t) if self.seen(t) else None for t in tensors((args, kwargs))]
            if text := word(op, args, kwargs, self.seen):
                self.words.append((text, ""))
                self.wires.append(sorted(found, key=repr) if name.strip("_") in ("add", "mul") else found)
            for i, t in enumerate(tensors(outputs)):
                views = self.sources.setdefault(t.untyped_storage()._cdata, {})
                if op._schema.is_mutable:
                    views.clear()
                views[geometry(t)] = views[None] = (len(self.wires) - 1, i) if text else next(filter(None, found[::-1]))
        super().record(op, outputs, args, kwargs)

    def source(self, t: Tensor) -> tuple[int, int] | None:
        """The operation that gave t, by its place in `wires` (the image: -1), and which of its outputs t is."""
        views = self.sources.get(t.untyped_storage()._cdata, {None: None})
        return views.get(geometry(t), views[None])


def macs_of(op, name: str, given: dict, output: object) -> int | None:
    """Multiply-accumulates of an operation that was given this, by name; None where they are not known."""
    if op.namespace not in ("aten", "prims"):
        return None
    if name == "convolution":  # lesson 1: each number of the output sums over a kernel; transposed, each of the input
        return (given["input"] if given["transposed"] else output).numel() * given["weight"][0].numel()
    if name in PRODUCTS:
        a, b = (given[operand] for operand in PRODUCTS[name])
        return a.numel() * (b.shape[-1] if b.ndim > 1 else 1)
    if name.startswith("_scaled_dot_product") and not name.endswith("backward"):  # queries, keys; then their values
        query, key, value = (given[part] for part in ("query", "key", "value"))
        return query[..., 0].numel() * key.shape[-2] * (key.shape[-1] + value.shape[-1])
    return None if re.search(UNCOUNTED, name) else 0


def activations(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What each stage gives for the images x (N x C x H x W), by its name, in the order in which they are called; a
    stage that is called again is named "act (2)", "act (3)" and so on.

    In evaluation mode, as copies; the network and the images stay as they are. Raises ValueError where the network
    cannot take such images.
    """
    require_layers(model)
    if not isinstance(x, Tensor):
        raise ValueError(f"images are a tensor, N x C x H x W, not a {type(x).__name__}: torch.as_tensor makes one")
    if not x.is_meta and any(t.is_meta for t in [*model.parameters(), *model.buffers()]):
        raise ValueError(f"{type(model).__name__} was built on PyTorch's meta device and has no numbers to compute "
                         "with: build it as usual")
    found, times = {}, Counter()

    def leave(module, output, stage):
        if stage:
            times[stage] += 1
            name = f"{stage} ({times[stage]})" if times[stage] > 1 else stage
            found[name] = tree_map(lambda v: v.detach().clone() if isinstance(v, Tensor) else copied(v, {}), output)

    try:
        model = settled(model, x)
        with looking(model), calls(model, 1, lambda *_: None, leave):
            functional_call(model, stand_ins(model, copy_of), x.clone(), tie_weights=False)
    except Exception as error:
        shape, numbers = " x ".join(map(str, x.shape)), str(x.dtype).removeprefix("torch.")
        raise ValueError(cannot(model, f"take images of {shape}, {numbers}", error)) from error
    return found


def diff(first: nn.Module, second: nn.Module, input_shape: tuple[int, int, int] | None = None) -> Table:
    """Two networks side by side, stage by stage: output shapes, and what the second has more (+) or less (-).

    Stages are paired by name, or, where most names differ, by output shape. Layers and other operations that differ in
    an option, or stand elsewhere, are listed, so that networks of equal shapes can be told apart. Where they are the
    same in the same order, but one takes an input from elsewhere, as a concatenation in another order or a skip that
    starts behind a ReLU instead of before it, `changed` is "connected otherwise". input_shape: by default each
    network's own.
    """
    traces = [traced(net, input_shape) for net in (first, second)]
    (*ones, end_of_first), (*twos, end_of_second) = (list(zip(trace.table(), trace.operations, strict=True))
                                                     for trace in traces)
    same_names = len({one.name for one, _ in ones} & {two.name for two, _ in twos}) > max(len(ones), len(twos)) / 2
    keys = [[stage.name if same_names else stage.output for stage, _ in found] for found in (ones, twos)]
    pairs = []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs += zip(ones[i:i_end], twos[j:j_end], strict=True)
        else:
            absent = ABSENT, ([], [])
            pairs += [(one, absent) for one in ones[i:i_end]] + [(absent, two) for two in twos[j:j_end]]
    return Table(difference(*one, *two) for one, two in [*pairs, (end_of_first, end_of_second)])


def difference(one: Stage, had: tuple[list, list], two: Stage, has: tuple[list, list]) -> Difference:
    """had, has: the words of the stage in the first network and in the second, and how they are connected."""
    changed = ", ".join(changes(had[0], has[0])) or "connected otherwise" * (had[0] != [] and had[1] != has[1])
    return Difference(" / ".join(dict.fromkeys([one.name, two.name])), one.output, two.output,
                      two.parameters - one.parameters, None if None in (one.macs, two.macs) else two.macs - one.macs,
                      changed)


def parameters(module: nn.Module) -> int:
    """Weights and biases, frozen ones too. Running statistics of batch normalisation are not among them."""
    return sum(p.numel() for p in module.parameters())
