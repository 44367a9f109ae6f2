"""The values that calls give and leave behind: compared, described, and written as code."""

import copy
import math
from contextlib import suppress
from numbers import Number
from reprlib import Repr

import numpy as np
import torch
from torch import Tensor, nn

MODES = "whether it trains or evaluates (`train()`, `eval()`)"


class WrongForm(Exception):
    """Raised by `observe`: the answer is not of the form that the task asks for. The text is the diagnosis."""


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


def tensors(value) -> list[Tensor]:
    """The tensors in a value that may be a tensor, or a tuple, list or dict of such."""
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors(part)]


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
                "the type of its numbers (`dtype`)": [t.dtype for t in value.state_dict().values()],
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


def told(error: BaseException) -> str:
    """Name and message of an error; the name alone where there is no message, or where reading it raises."""
    text = ""
    with suppress(Exception):  # a student's own __str__
        text = str(error)
    return f"{type(error).__name__}: {text}" if text else f"{type(error).__name__}."


def written(value) -> str | None:
    """A value as Python code of at most some 200 characters; None where it cannot be written so."""
    text = None
    with suppress(Exception):
        if isinstance(value, Tensor) and value.numel() <= 40:
            inner = written(value.tolist())
            text = inner and f"torch.tensor({inner})"
        elif isinstance(value, list | tuple | dict):
            parts = ([written(key) + ": " + written(part) for key, part in value.items()] if isinstance(value, dict)
                     else [written(part) for part in value])
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
