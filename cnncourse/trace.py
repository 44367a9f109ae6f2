"""Lessons 1 to 8: what a network does to a shape, stage by stage, without running its arithmetic.

Works on any nn.Module that calls its direct children: parameters are replaced by stand-ins on PyTorch's meta device,
which know shapes but hold no numbers, so that VGG-16's table needs neither 550 MB nor a second.
"""

from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from .arithmetic import grow


@dataclass(frozen=True)
class Stage:
    """One stage, for one image.

    output: shape without the batch, C x H x W or features. parameters: numbers that training changes. macs:
    multiply-accumulates of convolutions and linear layers. memory: bytes of all layer outputs in float32, which
    training keeps for the backward pass. field: receptive field, in input pixels along the longer side; it may exceed
    the image, where it sees padding.
    """

    name: str
    output: str
    parameters: int
    macs: int
    memory: int
    field: int


@dataclass(frozen=True)
class Difference:
    """One stage of two networks; `changed` lists layers that only the second has (+) or only the first (-)."""

    stage: str
    first: str
    second: str
    parameters: int
    macs: int
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
        for texts, value in zip(zip(*self.cells(), strict=True), vars(self[0]).values(), strict=True):
            width = max(map(len, texts))
            columns.append([text.rjust(width) if isinstance(value, int) else text.ljust(width) for text in texts])
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
    sign = "+" if value and isinstance(row, Difference) else ""
    return f"{value:{sign},}" if isinstance(value, int) else value


def stages(model: nn.Module, input_shape: tuple[int, int, int] | None = None, depth: int = 1) -> Table:
    """The direct children of `model` in the order in which they are called, with a row for their total.

    input_shape: C x H x W, by default the network's own `input_shape`. Children that are not called are left out; a
    child that is called twice has two rows with its parameters, which count once in the total. A plain list of modules
    is always opened, and a layer without children is its own stage.
    depth: how many levels of nn.Sequential to open; torchvision's networks hide their layers one level down.
    Raises ValueError where the network cannot take such an image, where a layer gives anything but one tensor, where
    one is called behind the back of its child, and for 1d and 3d convolutions.
    """
    if input_shape is None and not hasattr(model, "input_shape"):
        raise ValueError(f"{type(model).__name__} has no `input_shape` that says which images it takes: give "
                         "input_shape=(channels, height, width)")
    rows, running = Table(), []  # running: of each stage that is being computed, its memory, and the FLOPs before it
    storages = set()  # those seen: a view, or the same tensor again, is not new memory
    flops = FlopCounterMode(display=False)

    def enter(module, inputs):
        running.append([0, flops.get_total_flops()])
        storages.add(inputs[0].untyped_storage())

    def measure(module, _, output):
        if not running:
            raise ValueError(f"{type(model).__name__} calls a {type(module).__name__} of one of its children without "
                             "calling that child: let the child's own forward call it")
        storage = single(module, output).untyped_storage()
        if storage not in storages:
            running[-1][0] += 4 * output.numel()
            storages.add(storage)

    def leave(name, module, output):
        memory, before = running.pop()
        rows.append(row(name, module, output, flops.get_total_flops() - before, memory))

    children = opened(model, depth) or [(type(model).__name__, model)]
    shared = dict.fromkeys(m for _, child in children for m in child.modules())  # a layer of two children counts once
    handles = [m.register_forward_hook(measure) for m in shared]
    for name, child in children:
        handles += [child.register_forward_pre_hook(enter)]
        handles += [child.register_forward_hook(lambda m, _, out, name=name: leave(name, m, out))]
    try:
        with flops, Fields():
            output = single(model, on_meta(model, input_shape or model.input_shape))
    finally:
        for handle in handles:
            handle.remove()
    rows.append(row("total", model, output, flops.get_total_flops(), sum(row.memory for row in rows)))
    return rows


def row(name: str, module: nn.Module, output: Tensor, flops: int, memory: int) -> Stage:
    """A FLOP is half a multiply-accumulate."""
    field = max(field for field, jump in getattr(output, "axes", PIXEL))
    return Stage(name, " x ".join(map(str, output.shape[1:])), parameters(module), flops // 2, memory, field)


def opened(model: nn.Module, depth: int, prefix: str = "") -> list[tuple[str, nn.Module]]:
    """Children by name; those that are plain Sequentials are replaced by their own children, `depth` - 1 times, and
    plain lists of modules, which are never called themselves, always."""
    found = []
    for name, child in model.named_children():
        listed = type(child) in (nn.ModuleList, nn.ModuleDict)
        if listed or depth > 1 and type(child) is nn.Sequential:
            found += opened(child, depth - (not listed), f"{prefix}{name}.")
        else:
            found.append((prefix + name, child))
    return found


def costs(model: nn.Module, input_shape: tuple[int, int, int] | None = None) -> Stage:
    """Parameters, MACs and memory of the whole network, for one image: the last row of `stages`."""
    return stages(model, input_shape)[-1]


def activations(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """What each stage gives for the images x (N x C x H x W), by its name, in the order in which they are called."""
    found: dict[str, Tensor] = {}
    handles = [child.register_forward_hook(lambda m, _, out, name=name: found.update({name: out.detach()}))
               for name, child in opened(model, 1)]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found


def diff(first: nn.Module, second: nn.Module, input_shape: tuple[int, int, int] | None = None) -> Table:
    """Two networks side by side, stage by stage: output shapes, and what the second has more (+) or less (-).

    Stages are paired by name, or, where most names differ, by output shape. Layers that differ in an option are listed,
    so that networks of equal shapes can be told apart. input_shape: by default each network's own.
    """
    (*ones, total_of_first), (*twos, total_of_second) = (stages(net, input_shape) for net in (first, second))
    same_names = len({one.name for one in ones} & {two.name for two in twos}) > max(len(ones), len(twos)) / 2
    keys = [[stage.name if same_names else stage.output for stage in found] for found in (ones, twos)]
    pairs = []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs += zip(ones[i:i_end], twos[j:j_end], strict=True)
        else:
            pairs += [(one, ABSENT) for one in ones[i:i_end]] + [(ABSENT, two) for two in twos[j:j_end]]
    had, has = ({ABSENT.name: Counter()} | {name: kinds(child) for name, child in opened(net, 1)}
                for net in (first, second))
    return Table([*(difference(one, two, had[one.name], has[two.name]) for one, two in pairs),
                  difference(total_of_first, total_of_second, kinds(first), kinds(second))])


def difference(one: Stage, two: Stage, had: Counter, has: Counter) -> Difference:
    """had, has: what `kinds` says of the stage in the first network and in the second."""
    changed = [f"{sign}{n} {kind}" for sign, more in (("+", has - had), ("-", had - has)) for kind, n in more.items()]
    return Difference(" / ".join(dict.fromkeys([one.name, two.name])), one.output, two.output,
                      two.parameters - one.parameters, two.macs - one.macs, ", ".join(changed))


def kinds(module: nn.Module) -> Counter:
    """How many layers of each kind, with their options but not their widths: Counter({'conv 3x3': 2, ...})."""
    return Counter(kind(m) for m in module.modules()
                   if not any(m.children()) and not isinstance(m, nn.Identity | nn.ReLU | nn.Flatten))


def kind(layer: nn.Module) -> str:
    def size(value, short=False):
        rows, columns = value if isinstance(value, tuple) else (value, value)
        return f"{rows}" if short and rows == columns else f"{rows}x{columns}"

    def unusual(**usual):
        """The options that are not as usual, such as " stride 2"."""
        found = {name: size(getattr(layer, name), short=True) for name in usual}
        return "".join(f" {name} {text}" for name, text in found.items() if text != str(usual[name]))

    match layer:
        case nn.Conv2d():
            return (f"conv {size(layer.kernel_size)}" + unusual(stride=1, padding=0, groups=1)
                    + " no bias" * (layer.bias is None))
        case nn.MaxPool2d() | nn.AvgPool2d():
            name = "max" if isinstance(layer, nn.MaxPool2d) else "average"
            return f"{name} pool {size(layer.kernel_size)}" + unusual(stride=1, padding=0) + " ceil" * layer.ceil_mode
        case nn.AdaptiveAvgPool2d():
            return f"average pool to {size(layer.output_size)}"
        case nn.BatchNorm2d():
            return f"batch norm eps {layer.eps:g}"
        case nn.Linear():
            return "linear" + " no bias" * (layer.bias is None)
        case nn.Dropout():
            return f"dropout {layer.p:g}"
    return str(layer)


PIXEL = ((1, 1), (1, 1))  # (field, jump) of rows and of columns, before the first layer


class Fields(TorchDispatchMode):
    """Receptive fields, from the operations themselves, whichever module or function calls them.

    Each tensor gets an attribute `axes`: (field, jump) of its rows and of its columns, as in
    `arithmetic.receptive_field`. Where branches meet, the largest field counts.
    """

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        outputs = function(*args, **(kwargs or {}))
        inputs = [t for a in args for t in (a if isinstance(a, list | tuple) else [a]) if isinstance(t, Tensor)]
        known = [getattr(t, "axes", PIXEL) for t in inputs] or [PIXEL]
        before = [max(axis) for axis in zip(*known, strict=True)]  # rows, columns
        output = outputs[0] if isinstance(outputs, tuple) else outputs
        if isinstance(output, Tensor):
            windows = window(function.overloadpacket.__name__, args, output)
            output.axes = tuple(grow(*axis, k, s) for axis, (k, s) in zip(before, windows, strict=True))
        return outputs


def window(name: str, args: tuple, output: Tensor) -> list[tuple[int, int]]:
    """((kernel, stride) along rows, the same along columns) of one operation; (1, 1) where it looks at single pixels.
    """
    def two(value):
        value = [value] if isinstance(value, int) else list(value)
        return value * 2 if len(value) == 1 else value

    if name == "convolution":
        kernel, stride, dilation = args[1].shape[2:], two(args[3]), two(args[5])
        if len(kernel) != 2:
            raise ValueError(f"images have rows and columns, but a {len(kernel)}d convolution is given: use nn.Conv2d")
        return [(d * (k - 1) + 1, s) for k, s, d in zip(kernel, stride, dilation, strict=True)]
    if name in ("max_pool2d_with_indices", "avg_pool2d"):
        kernel = two(args[1])
        return list(zip(kernel, two(args[2]) if len(args) > 2 and args[2] else kernel, strict=True))
    if name == "slice" and args[1] in (2, 3) and len(args) > 4:  # option A keeps every second pixel
        return [(1, args[4] if axis == args[1] else 1) for axis in (2, 3)]
    if name == "_adaptive_avg_pool2d":
        return [(n // m, n // m) for n, m in zip(args[0].shape[2:], output.shape[2:], strict=True)]
    if name == "mean" or name in ("view", "reshape") and args[0].ndim == 4 and output.ndim == 2:
        return [(n, 1) for n in args[0].shape[2:]]  # pooled over the whole map, or flattened: all of it counts
    return [(1, 1), (1, 1)]


def on_meta(model: nn.Module, input_shape: tuple[int, int, int]) -> Tensor:
    """The output of `model` for one image of this shape, as a tensor that has a shape but no values.

    Raises ValueError where the network cannot take such an image.
    """
    # Each module's own, once: where a layer has two names, PyTorch would put a stand-in back for its weight.
    state = {f"{path}.{name}".removeprefix("."): tensor.to("meta") for path, module in model.named_modules()
             for name, tensor in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))}
    was_training = {m: m.training for m in model.modules()}
    model.eval()  # in training, batch normalisation refuses a batch of one
    try:
        with torch.no_grad():
            return functional_call(model, state, torch.empty(1, *input_shape, device="meta"), tie_weights=False)
    except RuntimeError as error:
        shape = " x ".join(map(str, input_shape))
        raise ValueError(f"{type(model).__name__} cannot take an image of {shape}: {error}") from error
    finally:
        for module, training in was_training.items():
            module.training = training


def single(module: nn.Module, output: object) -> Tensor:
    """The output, where it is one tensor."""
    if not isinstance(output, Tensor):
        raise ValueError(f"{type(module).__name__} gives an output of kind {type(output).__name__}, where one tensor "
                         "is expected: wrap it in a module that returns the tensor alone")
    return output


def parameters(module: nn.Module) -> int:
    """Numbers that training changes. Running statistics of batch normalisation are not among them."""
    return sum(p.numel() for p in module.parameters())
