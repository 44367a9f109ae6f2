"""Lessons 1 to 8: what a network does to a shape, stage by stage, without running its arithmetic.

Works on any nn.Module: parameters are replaced by stand-ins on PyTorch's meta device, which know shapes but hold no
numbers, so that VGG-16's table needs neither 550 MB nor a second.
"""

import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from difflib import SequenceMatcher
from operator import index

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map, tree_map_only

from . import in_short
from .fields import PRODUCTS, Fields, arguments, geometry, is_mask, tensors


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


class Table(list):
    """Rows of equal dataclasses, shown as a table in a notebook and as aligned text in a terminal."""

    def cells(self) -> list[list[str]]:
        """The headings, and the texts of each row."""
        columns = list(vars(self[0]))
        return [[HEADINGS.get(column, column) for column in columns],
                *([cell(row, column) for column in columns] for row in self)]

    def __repr__(self) -> str:
        columns = []
        for texts, column in zip(zip(*self.cells(), strict=True), vars(self[0]), strict=True):
            width, words = max(map(len, texts)), any(isinstance(getattr(row, column), str) for row in self)
            columns.append([text.ljust(width) if words else text.rjust(width) for text in texts])
        return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))

    def _repr_html_(self) -> str:
        def line(tag, texts):
            return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"

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


@contextmanager
def calls(model: nn.Module, depth: int, enter: Callable, leave: Callable) -> Iterator[None]:
    """Calls enter(module, inputs, stage) before and leave(module, output, stage) after each module; stage is its name,
    or None where it is inside a stage or is opened itself."""
    names, opened, running = {module: name for name, module in model.named_modules()}, opened_by(model, depth), []

    def before(module, args, kwargs):
        if running or module not in opened:
            running.append(module)
        stage = names[module] or type(module).__name__ if running == [module] else None
        enter(module, unwrapped((args, kwargs)), stage)

    def after(module, args, kwargs, output):
        if module in running:
            while running.pop() is not module:
                pass  # calls that an exception has ended
        stage = names[module] or type(module).__name__ if not running and module not in opened else None
        leave(module, unwrapped(output), stage)

    handles = []
    try:
        for module in names:
            handles += [module.register_forward_pre_hook(before, with_kwargs=True),
                        module.register_forward_hook(after, with_kwargs=True)]
        yield
    finally:
        for handle in handles:
            handle.remove()


def unwrapped(values: object) -> object:
    """With tensors that have all their axes, where torch.vmap hides one, and their memory."""
    def plain(t):
        while torch._C._functorch.is_functorch_wrapped_tensor(t):
            t = torch._C._functorch.get_unwrapped(t)
        return t

    return tree_map_only(Tensor, plain, values)


def opened_by(model: nn.Module, depth: int) -> set[nn.Module]:
    """No stages, because what they call is one: the model and, `depth` - 1 levels down, plain Sequentials."""
    found = {model} if [*model.children()] else set()
    for child in model.children():
        listed = type(child) in (nn.ModuleList, nn.ModuleDict)
        if listed or depth > 1 and type(child) is nn.Sequential:
            found |= opened_by(child, depth - (not listed))
    return found


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


def changes(had: list, has: list) -> list[str]:
    less, more = unpaired(had, has)
    moved = less & more
    less, more = less - moved, more - moved
    alike = {text for text, _ in less} & {text for text, _ in more}  # told apart by what is in them

    def shown(word: tuple[str, str]) -> str:
        text, inside = word
        return f"{text} of {inside or 'nothing'}" if text in alike else text

    found = Counter()
    for words, before, after in ((more, "+", ""), (less, "-", ""), (moved, "", " moved")):
        for each, n in words.items():
            found[before, shown(each), after] += n
    return [f"{before}{n} {text}{after}" for (before, text, after), n in found.items()]


def unpaired(had: list, has: list) -> tuple[Counter, Counter]:
    """What is not in the longest sequence that both have in common, in either."""
    longest = [[0] * (len(has) + 1) for _ in range(len(had) + 1)]
    for i in range(len(had) - 1, -1, -1):
        for j in range(len(has) - 1, -1, -1):
            longest[i][j] = (longest[i + 1][j + 1] + 1 if had[i] == has[j] else
                             max(longest[i + 1][j], longest[i][j + 1]))
    less, more, i, j = [], [], 0, 0
    while i < len(had) or j < len(has):
        if i < len(had) and j < len(has) and had[i] == has[j]:
            i, j = i + 1, j + 1
        elif j == len(has) or i < len(had) and longest[i + 1][j] >= longest[i][j + 1]:
            less.append(had[i])
            i += 1
        else:
            more.append(has[j])
            j += 1
    return Counter(less), Counter(more)


# Operations that hold products which nobody counts here; those of other libraries may as well.
UNCOUNTED = "_rnn|lstm_mps|conv|attention|^_trilinear|_fwd$|_native_multi_head|mm$|linear$"
HIDING = (nn.LocalResponseNorm | nn.RNNBase | nn.MultiheadAttention  # many operations that one name says better
          | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.InstanceNorm3d)
LAYOUT = {"_reshape_alias", "_to_copy", "_unsafe_view", "alias", "as_strided", "clone", "copy", "detach", "empty_like",
          "expand", "lift_fresh", "new_zeros", "reshape", "squeeze", "t", "unsqueeze", "view"}  # says nothing new
WORDS = {"_softmax": "softmax", "_safe_softmax": "softmax", "add": "addition", "baddbmm": "matrix product",
         "bmm": "matrix product", "cat": "concatenation", "mm": "linear no bias", "addmm": "linear", "relu": "ReLU"}


def kind(layer: nn.Module) -> str:
    """A layer in words, where its operations do not say it."""
    match layer:
        case nn.Dropout():
            return f"dropout {layer.p:g}"
        case nn.MultiheadAttention():
            return f"attention, {layer.num_heads} heads" + f", dropout {layer.dropout:g}" * (layer.dropout > 0)
    return str(layer)


def word(op, args: tuple, kwargs: dict, depends: Callable[[Tensor], object]) -> str:
    """An operation in words, with its options but not its widths: "conv 3x3 padding 1". Empty for what only changes the
    layout. depends: whether the image can change a tensor."""
    given, written = arguments(op, args, kwargs)
    name = op.overloadpacket.__name__.removesuffix("_" if written else "")

    def size(value, short=False):
        value = [value] * 2 if isinstance(value, int) else list(value)
        return f"{value[0]}" if short and len(set(value)) == 1 else "x".join(map(str, value))

    def unusual(**usual):
        """The options that are not as usual, such as " stride 2"."""
        found = {option: size(given[option], short=True) for option in usual if option in given}
        return "".join(f" {option.replace('_', ' ')} {text}" for option, text in found.items()
                       if text != str(usual[option]))

    if name in LAYOUT:
        return ""
    if name.endswith("_backward"):  # of a network that computes gradients
        return name.strip("_")
    if "convolution" in name:
        return ("transposed " * given["transposed"] + f"conv {size(given['weight'].shape[2:])}"
                + unusual(stride=1, padding=0, output_padding=0, dilation=1, groups=1)
                + " no bias" * (given["bias"] is None))
    if "pool" in name and "ceil_mode" in given:
        kernel = size(given["kernel_size"])
        given["stride"] = given["stride"] or given["kernel_size"]
        return (f"{'max' if 'max' in name else 'average'} pool {kernel}" + unusual(stride=1, padding=0, dilation=1)
                + " ceil" * given["ceil_mode"] + " without padding" * (given.get("count_include_pad") is False)
                + (f" divisor {given['divisor_override']}" if given.get("divisor_override") else ""))
    if "adaptive" in name:
        return f"{'max' if 'max' in name else 'average'} pool to {size(given['output_size'])}"
    if name == "mean" and sorted(d % given["self"].ndim for d in given.get("dim") or []) == [2, 3]:
        return "average pool to 1x1"
    if "batch_norm" in name:
        of_batch = given.get("training") or given.get("running_mean") is None
        return (f"batch norm eps {given['eps']:g}" + " of the batch" * of_batch
                + " no scale" * (given["weight"] is None)
                + ("" if given["momentum"] == 0.1 else f" momentum {given['momentum']:g}"))
    if name == "native_layer_norm":
        over = len(given["normalized_shape"])
        return (f"layer norm eps {given['eps']:g}" + f" over {over} axes" * (over > 1)
                + " no scale" * (given["weight"] is None))
    if name == "native_group_norm":
        return f"group norm, {given['group']} groups, eps {given['eps']:g}" + " no scale" * (given["weight"] is None)
    if name == "mm" and depends(given["self"]) and depends(given["mat2"]):
        name = "bmm"
    usual = {argument.name: argument.default_value for argument in op._schema.arguments}
    if name == "cat":
        usual["dim"] = 1
    options = [size(value) if isinstance(value, list) and all(isinstance(n, int) for n in value) else
               f"{value:g}" if isinstance(value, float) else str(value) for option, value in given.items()
               if isinstance(value, int | float | str | list) and not tensors(value) and value != usual[option]
               and (value is not False or usual[option])]
    return " ".join([WORDS.get(name, name.strip("_")), *options])


PYTORCHS = vars(nn.Module()).keys()  # attributes of every module


@contextmanager
def looking(model: nn.Module) -> Iterator[None]:
    """In evaluation mode, without gradients, and with copies of what the modules keep in attributes of their own; then
    every mode and attribute, which tensors and layers there are, and the random numbers to come, are as before."""
    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()
    kept = [(module, dict(vars(module)), [(table, table.copy()) for name, table in vars(module).items()
                                          if name in PYTORCHS and isinstance(table, dict | set)])
            for module in model.modules()]
    known = {id(part): part for part in [*model.modules(), *model.parameters(), *model.buffers(),
                                         *(table for *_, tables in kept for table, _ in tables)]}
    try:
        eager = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
        with torch.no_grad(), torch.random.fork_rng(devices=[]), eager:  # what is compiled hides its layers
            for module, attributes, _ in kept:
                vars(module).update({name: copied(value, known) for name, value in attributes.items()
                                     if name not in PYTORCHS})
                module.training = False  # in training, batch normalisation refuses a batch of one
            yield
    finally:
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)
        for module, attributes, tables in kept:
            vars(module).clear()
            vars(module).update(attributes)
            for table, entries in tables:  # in place: the handles of hooks know these dicts
                table.clear()
                table.update(entries)


def copied(value: object, known: dict[int, object]) -> object:
    """A copy that shares what is known; the value itself where it cannot be copied, as a lock."""
    try:
        return deepcopy(value, known)
    except Exception:
        return value


def settled(model: nn.Module, images: Tensor) -> nn.Module:
    """The network itself, or, where it has lazy layers, a copy in evaluation mode whose layers know their widths."""
    if any(map(is_lazy, model.parameters())):
        with looking(model):
            model = deepcopy(model, {id(t): type(t)(device=t.device, dtype=t.dtype)  # which PyTorch does not copy
                                     for t in model.buffers() if is_lazy(t)})
            model(images.clone())
    return model


def on_meta(model: nn.Module, input_shape: tuple[int, int, int],
            watch: Callable[[nn.Module, Tensor], AbstractContextManager]) -> Tensor:
    """The output of `model` for one image of this shape, as a tensor that has a shape but no values.

    A forward pass that needs values, such as one with `.item()`, is given a black image and has the values of that.
    watch(model, image): is entered around the forward pass. Raises ValueError where the network cannot take such an
    image.
    """
    def output(model, device, state):
        dtypes = Counter({torch.float32: 0})  # a network may have a scale of another kind
        for p in filter(Tensor.is_floating_point, model.parameters()):
            dtypes[p.dtype] += p.numel()
        image = torch.zeros(1, *input_shape, dtype=max(dtypes, key=dtypes.get), device=device)
        with looking(model), watch(model, image):
            return functional_call(model, state, image, tie_weights=False)

    try:
        model = settled(model, torch.zeros(1, *input_shape))
        devices = {t.device for t in [*model.parameters(), *model.buffers()]}
        try:
            with torch.device("meta"):
                return output(model, "meta", stand_ins(model, to_meta))
        except Exception:
            if torch.device("meta") in devices:
                raise
            return output(model, next(iter(devices), "cpu"), stand_ins(model, copy_of))
    except Exception as error:
        raise ValueError(cannot(model, f"be traced with an image of {' x '.join(map(str, input_shape))}", error)
                         ) from error


def cannot(model: nn.Module, what: str, error: Exception) -> str:
    """A sentence; that of a network which speaks of itself, as those of the course do, is one already."""
    name, told = type(model).__name__, in_short(error)
    return told if told.startswith(f"{name} ") else f"{name} cannot {what}: {told}"


def stand_ins(model: nn.Module, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """Stand-ins for each module's own parameters and buffers, which a forward pass may change; once, because where a
    layer has two names, PyTorch would put a stand-in back for its weight."""
    return {f"{path}.{name}".removeprefix("."): change(t) for path, module in model.named_modules()
            for named in (module.named_parameters, module.named_buffers) for name, t in named(recurse=False)}


def copy_of(t: Tensor) -> Tensor:
    return t.detach().clone().requires_grad_(t.requires_grad)  # a forward pass may ask for its gradient


def to_meta(t: Tensor) -> Tensor:
    return t if is_mask(t) else t.to("meta")  # a mask when it is used, by `without_numbers`


def parameters(module: nn.Module) -> int:
    """Weights and biases, frozen ones too. Running statistics of batch normalisation are not among them."""
    return sum(p.numel() for p in module.parameters())
