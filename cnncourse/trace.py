"""What a network does to a shape, stage by stage, without running its arithmetic.

Works on any nn.Module that calls its direct children: parameters are replaced by stand-ins on PyTorch's meta device,
which know shapes but hold no numbers, so that VGG-16's table needs neither 550 MB nor a second.
"""

from collections import Counter
from dataclasses import dataclass, fields
from difflib import SequenceMatcher

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

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


HEADS = {"macs": "MACs", "field": "receptive field", "first": "output of the first", "second": "of the second"}


class Table(list):
    """Rows of equal dataclasses, shown as a table in a notebook and as aligned text in a terminal."""

    def cells(self) -> list[list[str]]:
        columns = [field.name for field in fields(self[0])]
        sign = "+" if isinstance(self[0], Difference) else ""
        return [[HEADS.get(name, name) for name in columns]] + [
            [cell(name, getattr(row, name), sign) for name in columns] for row in self]

    def __repr__(self) -> str:
        rows = self.cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        numeric = [field.type in (int, "int") for field in fields(self[0])]
        return "\n".join("  ".join(text.rjust(w) if right else text.ljust(w)
                                   for text, w, right in zip(row, widths, numeric, strict=True)).rstrip()
                         for row in rows)

    def _repr_html_(self) -> str:
        def line(tag, row):
            return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in row) + "</tr>"

        head, *rows = self.cells()
        body = "".join(line("td", row) for row in rows)
        return f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"


def cell(column: str, value: int | str, sign: str) -> str:
    if column == "memory":
        return f"{value / 1e6:,.2f} MB"
    return f"{value:{sign if value else ''},}" if isinstance(value, int) else value


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
    rows, open_stages, storages = [], [], {}  # storages are kept, so that no later tensor gets the same address
    receptive = Fields()

    def enter(module, inputs):
        open_stages.append([0, 0])  # MACs, memory
        known(inputs[0])

    def leave(name, module, output):
        rows.append(Stage(name, shape_of(output), parameters(module), *open_stages.pop(), receptive.longer(output)))

    def known(tensor):
        storage = tensor.untyped_storage()  # a view, or the same tensor again, is not new memory
        before = len(storages)
        storages[storage._cdata] = storage
        return len(storages) == before

    def measure(module, _, output):
        if not open_stages:
            raise ValueError(f"{type(model).__name__} calls a {type(module).__name__} of one of its children without "
                             "calling that child: let the child's own forward call it")
        open_stages[-1][0] += macs(module, single(module, output))
        if not known(output):
            open_stages[-1][1] += 4 * output.numel()

    children = opened(model, depth) or [(type(model).__name__, model)]
    shared = dict.fromkeys(m for _, child in children for m in child.modules())  # a layer of two children counts once
    handles = [m.register_forward_hook(measure) for m in shared]
    for name, child in children:
        handles += [child.register_forward_pre_hook(enter)]
        handles += [child.register_forward_hook(lambda m, _, out, name=name: leave(name, m, out))]
    try:
        with receptive:
            output = single(model, on_meta(model, input_shape or model.input_shape))
    finally:
        for handle in handles:
            handle.remove()
    rows.append(Stage("total", shape_of(output), parameters(model), sum(row.macs for row in rows),
                      sum(row.memory for row in rows), receptive.longer(output)))
    return Table(rows)


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


def diff(first: nn.Module, second: nn.Module, input_shape: tuple[int, int, int] | None = None, depth: int = 1) -> Table:
    """Two networks side by side, stage by stage: output shapes, and what the second has more (+) or less (-).

    Stages are paired by name, or, where most names differ, by output shape. Layers that differ in an option are listed,
    so that networks of equal shapes can be told apart. input_shape: by default each network's own.
    """
    rows = [stages(net, input_shape, depth)[:-1] for net in (first, second)]
    layers = [{name: kinds(child) for name, child in opened(net, depth)} for net in (first, second)]
    names = [[row.name for row in table] for table in rows]
    same_names = len(set(names[0]) & set(names[1])) > max(map(len, names)) / 2
    keys = names if same_names else [[row.output for row in table] for table in rows]
    pairs = []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs += zip(rows[0][i:i_end], rows[1][j:j_end], strict=True)
        else:
            pairs += [(row, None) for row in rows[0][i:i_end]] + [(None, row) for row in rows[1][j:j_end]]
    table = Table()
    for one, two in pairs:
        a, b = (layers[i][row.name] if row else Counter() for i, row in enumerate((one, two)))
        title = " / ".join(dict.fromkeys(row.name if row else "-" for row in (one, two)))
        table.append(difference(title, one, two, a, b))
    totals = [sum(counts.values(), Counter()) for counts in layers]
    table.append(difference("total", costs(first, input_shape), costs(second, input_shape), *totals))
    return table


def difference(stage: str, one: Stage | None, two: Stage | None, a: Counter, b: Counter) -> Difference:
    changed = [f"{sign}{n} {kind}" for sign, more in (("+", b - a), ("-", a - b)) for kind, n in more.items()]
    return Difference(stage, one.output if one else "", two.output if two else "",
                      (two.parameters if two else 0) - (one.parameters if one else 0),
                      (two.macs if two else 0) - (one.macs if one else 0), ", ".join(changed))


def kinds(module: nn.Module) -> Counter:
    """How many layers of each kind, with their options but not their widths: Counter({'conv 3x3': 2, ...})."""
    return Counter(kind(m) for m in module.modules()
                   if not any(m.children()) and not isinstance(m, nn.Identity | nn.ReLU | nn.Flatten))


def kind(layer: nn.Module) -> str:
    def square(size):
        return size if isinstance(size, tuple) else (size, size)

    def option(word, size, usual):
        rows, columns = square(size)
        return "" if rows == columns == usual else f" {word} {rows if rows == columns else f'{rows}x{columns}'}"

    match layer:
        case nn.Conv2d():
            return "conv {}x{}".format(*layer.kernel_size) + option("stride", layer.stride, 1) + option(
                "padding", layer.padding, 0) + option("groups", layer.groups, 1) + " no bias" * (layer.bias is None)
        case nn.MaxPool2d() | nn.AvgPool2d():
            name = "max" if isinstance(layer, nn.MaxPool2d) else "average"
            return f"{name} pool " + "{}x{}".format(*square(layer.kernel_size)) + option(
                "stride", layer.stride, 1) + option("padding", layer.padding, 0) + " ceil" * layer.ceil_mode
        case nn.AdaptiveAvgPool2d():
            return "average pool to {}x{}".format(*square(layer.output_size))
        case nn.BatchNorm2d():
            return f"batch norm eps {layer.eps:g}"
        case nn.Linear():
            return "linear" + " no bias" * (layer.bias is None)
        case nn.Dropout():
            return f"dropout {layer.p:g}"
    return str(layer)


class Fields(TorchDispatchMode):
    """Receptive fields, from the operations themselves, whichever module or function calls them.

    Each tensor carries (field, jump) for its rows and for its columns, as in `arithmetic.receptive_field`. Where
    branches meet, the largest field counts.
    """

    def __init__(self):
        super().__init__()
        self.known = WeakTensorKeyDictionary()

    def of(self, tensor: Tensor) -> tuple[tuple[int, int], ...]:
        return self.known.get(tensor, ((1, 1), (1, 1)))

    def longer(self, tensor: Tensor) -> int:
        return max(field for field, jump in self.of(tensor))

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        outputs = function(*args, **(kwargs or {}))
        inputs = [t for a in args for t in (a if isinstance(a, list | tuple) else [a]) if isinstance(t, Tensor)]
        seen = [self.known[t] for t in inputs if t in self.known] or [((1, 1), (1, 1))]
        before = [max(axis) for axis in zip(*seen, strict=True)]  # rows, columns
        output = outputs[0] if isinstance(outputs, tuple) else outputs
        windows = window(function.overloadpacket.__name__, args, output)
        if isinstance(output, Tensor):
            self.known[output] = tuple(grow(*axis, k, s) for axis, (k, s) in zip(before, windows, strict=True))
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
    state = {k: v.to("meta") for k, v in (*model.named_parameters(), *model.named_buffers())}  # shared ones once
    was_training = {m: m.training for m in model.modules()}
    model.eval()  # in training, batch normalisation refuses a batch of one
    try:
        with torch.no_grad():
            return functional_call(model, state, torch.empty(1, *input_shape, device="meta"))
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


def macs(module: nn.Module, output: Tensor) -> int:
    """Multiply-accumulates of one image in a convolution or a linear layer; all other layers count as zero."""
    if isinstance(module, nn.Conv2d):
        return output[0].numel() * module.weight[0].numel()
    if isinstance(module, nn.Linear):
        return output[0].numel() * module.in_features
    return 0


def shape_of(output: Tensor) -> str:
    return " x ".join(map(str, output.shape[1:]))
