"""What a network does to a shape, stage by stage, without running its arithmetic.

Works on any nn.Module: parameters are replaced by stand-ins on PyTorch's meta device, which know shapes but hold no
numbers, so that VGG-16's table needs neither 550 MB nor a second.
"""

from dataclasses import astuple, dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call


@dataclass(frozen=True)
class Stage:
    """One stage: its output shape without the batch (C x H x W or features), parameters, and MACs for one image."""

    name: str
    output: str
    parameters: int
    macs: int


class Table(list):
    """Rows of equal dataclasses, shown as a table in a notebook and as aligned text in a terminal."""

    def cells(self) -> list[list[str]]:
        heads = [{"macs": "MACs"}.get(name, name) for name in self[0].__dataclass_fields__]
        return [heads] + [[f"{x:,}" if isinstance(x, int) else str(x) for x in astuple(row)] for row in self]

    def __repr__(self) -> str:
        rows = self.cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(cell.ljust(w) if i < 2 else cell.rjust(w)
                                   for i, (cell, w) in enumerate(zip(row, widths, strict=True))) for row in rows)

    def _repr_html_(self) -> str:
        def line(tag, row):
            return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in row) + "</tr>"

        head, *rows = self.cells()
        body = "".join(line("td", row) for row in rows)
        return f"<table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table>"


def stages(model: nn.Module, input_shape: tuple[int, int, int] | None = None) -> Table:
    """The direct children of `model` in the order in which they are called, with a row for their total.

    input_shape: C x H x W, by default the network's own `input_shape`. Children that are not called are left out.
    """
    rows, calls = [], []

    def enter(module, _):
        calls.append(0)

    def leave(name, module, output):
        rows.append(Stage(name, shape_of(output), parameters(module), calls.pop()))

    def multiply(module, _, output):
        if calls:
            calls[-1] += macs(module, output)

    handles = []
    for name, child in model.named_children():
        handles += [child.register_forward_pre_hook(enter)]
        handles += [m.register_forward_hook(multiply) for m in child.modules()]
        handles += [child.register_forward_hook(lambda m, _, out, name=name: leave(name, m, out))]
    try:
        output = on_meta(model, input_shape or model.input_shape)
    finally:
        for handle in handles:
            handle.remove()
    rows.append(Stage("total", shape_of(output), parameters(model), sum(row.macs for row in rows)))
    return Table(rows)


def on_meta(model: nn.Module, input_shape: tuple[int, int, int]) -> Tensor:
    """The output of `model` for one image of this shape, as a tensor that has a shape but no values.

    Raises ValueError where the network cannot take such an image.
    """
    state = {k: v.to("meta") for k, v in model.state_dict(keep_vars=True).items()}
    was_training = model.training
    model.eval()  # in training, batch normalisation refuses a batch of one
    try:
        return functional_call(model, state, torch.empty(1, *input_shape, device="meta"))
    except RuntimeError as error:
        shape = " x ".join(map(str, input_shape))
        raise ValueError(f"{type(model).__name__} cannot take an image of {shape}: {error}") from error
    finally:
        model.train(was_training)


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
