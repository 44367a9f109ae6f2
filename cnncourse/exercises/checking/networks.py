"""What a network does, however it is written, and where it differs from the right one."""

import math
import re
from collections import Counter
from contextlib import suppress
from itertools import zip_longest

import torch
from torch import Tensor, nn

from .values import WrongForm, describe, detached, in_a_row, numbers, same, tensors, told


def behaviour(net: nn.Module, x: Tensor, *others: Tensor, merged: tuple[tuple[int, ...], ...] = ()) -> "Behaviour":
    """What a network does, whatever its layers are called and in whichever order they are written; empty where its
    `forward` returns nothing yet.

    Each parameter is filled with numbers that depend on its shape alone; that a layer is idle or used twice shows in
    the gradients. x, and others of other sizes, for evaluation alone: N x C x H x W, or what the network takes. merged:
    rows of layers that may also be one layer, one after another, for example ((64, 96, 16),).
    """
    if not isinstance(net, nn.Module):
        raise WrongForm(f"A network, an `nn.Module`, is asked for. Your answer gives {describe(net)}.")
    trains = net.training
    dtype = next((p.dtype for p in net.parameters() if p.is_floating_point()), x.dtype)
    if dtype in (torch.half, torch.bfloat16):
        net, dtype = net.float(), torch.float32
    x, *others = (t.to(dtype) if t.is_floating_point() else t for t in (x, *others))
    if any(map(nn.parameter.is_lazy, net.parameters())):
        with torch.no_grad():
            net.eval()(x)
    rows = {sum(parts): parts for parts in merged}

    def layers(values):  # as if what is merged were not
        return [part for v in values if v is not None
                for part in (v.split(rows[len(v)]) if v.ndim and len(v) in rows else [v])]

    parameters = dict(net.named_parameters())
    with torch.no_grad():
        for part in layers(parameters.values()):
            part.copy_(numbers(part.shape))
        evaluated = net.eval()(x.clone())
        if evaluated is None or evaluated is ...:
            return Behaviour(net, x)
        asked = {f"an input of {' x '.join(map(str, t.shape))}": t for t in others}
        asked["inputs a hundred times as large"] = 100 * x  # an activation may be cut off far above
        further = {}
        for name, t in asked.items():
            try:
                out = net(t.clone())
            except Exception as error:
                out = told(error)
            further[f"the output in evaluation for {name}"] = out
    torch.default_generator.manual_seed(0)
    start = x.clone().requires_grad_(x.is_floating_point())
    given = start.clone()
    trained = net.train()(given)
    gradients = gradients_from(trained, {"": start, **parameters})
    found = Behaviour(net, x)
    found.update({
        "the number of parameters": sum(p.numel() for p in parameters.values()),
        "the output in evaluation": evaluated, **further, "the output in training": detached(trained),
        "whether it comes in training mode": trains or same(evaluated, detached(trained)),
        "the input after the forward pass": given.detach(), "the gradient of the input": gradients.pop("", None),
        "parameters that no gradient reaches": [name for name in parameters if gradients.get(name) is None],
        "the gradients of the parameters": in_a_row(layers(gradients.values())),
        "the running averages after a step": in_a_row(layers(
            average for name, average in net.named_buffers() if name.rpartition(".")[2].startswith("running_")))})
    return found


def gradients_from(output, inputs: dict[str, Tensor]) -> dict[str, Tensor | None]:
    """What a network's output sends back to each of its inputs and parameters that wants a gradient; None where nothing
    arrives. Raises WrongForm where a tensor that is needed for it was overwritten."""
    inputs = {name: t for name, t in inputs.items() if t.requires_grad}
    score = [(t * numbers(t.shape)).sum() for t in tensors(output) if t.requires_grad]
    if not score:
        return dict.fromkeys(inputs)
    try:
        found = torch.autograd.grad(sum(score), list(inputs.values()), allow_unused=True)
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        raise WrongForm("Your network changes a tensor in place that the gradients need: its input, or one in between. "
                        "Look for `inplace=True`, `+=` and functions that end in `_`.") from None
    return dict(zip(inputs, found, strict=True))


class Behaviour(dict):
    """What `behaviour` finds, with the network and its input, from which the message is made."""

    def __init__(self, net: nn.Module, x: Tensor):
        super().__init__()
        self.net, self.x = net, x

    def __or__(self, more: dict) -> "Behaviour":
        both = Behaviour(self.net, self.x)
        both.update({**self, **more} if self else {})
        return both

    def cause(self, right: "Behaviour") -> str | None:
        """Which part of the network differs from the right one, as far as can be seen."""
        hidden = [f"`{name}`" for module in self.net.modules() for name, value in vars(module).items()
                  if name != "_modules" and isinstance(value, list | tuple | dict)
                  and any(isinstance(v, nn.Module) for v in (value.values() if isinstance(value, dict) else value))]
        if hidden:
            return (f"Layers stand in a plain Python list or dict ({', '.join(hidden)}), where PyTorch does not find "
                    "their parameters. `nn.ModuleList`, `nn.ModuleDict` or `nn.Sequential` hold them.")
        if not self["the number of parameters"] and right["the number of parameters"]:
            return ("Your network has no parameters. Make its layers once, in `__init__`, and keep them in `self`: a "
                    "layer that is made in `forward` is a new one at each call.")
        if self["the gradient of the input"] is None is not right["the gradient of the input"]:
            return ("No gradient passes through your network, so that nothing in front of it could learn. Look for "
                    "`no_grad`, `detach`, `.data`, `.item()`, numpy, or a tensor made anew.")
        key = "whether it comes in training mode"
        if self[key] != right[key]:
            return ("Your network comes in evaluation mode (`eval()`), so that a training would leave out its dropout "
                    "and use averages that nobody has measured. Return it as it was built.")
        idle = self["parameters that no gradient reaches"]
        frozen = [name for name, p in self.net.named_parameters() if name in idle and not p.requires_grad]
        if frozen:
            return f"Your network cannot learn: `{frozen[0]}` has `requires_grad=False`."
        if idle and idle != right["parameters that no gradient reaches"]:
            return (f"No gradient reaches {', '.join(f'`{name}`' for name in idle[:4])}. Is the layer built and never "
                    "used, another one used in its place, its result thrown away, or the gradient cut off?")
        if all(same(self.get(name), value) for name, value in right.items() if "gradient" not in name):
            return ("The numbers are right, but what goes back through your network is not: on one of its ways a "
                    "gradient is cut off. Look for `detach`, `.data` and `no_grad`.")
        return self.in_passing(right) or self.in_layers(right)

    def in_passing(self, right: "Behaviour") -> str | None:
        """What one pass does that it should not: a layer used twice, a changed input, chance, something in training."""
        uses = [seen.uses() for seen in (self, right)]
        again = [name for name, n in uses[0].items() if n > 1 and max(uses[1].values(), default=0) == 1]
        if again:
            return (f"One pass uses the layer `{again[0]}` {uses[0][again[0]]} times, each time with the same weights. "
                    "Is another layer meant in one of these places?")
        if not same(self["the input after the forward pass"], right["the input after the forward pass"]):
            return ("Your network writes into the images that it is given, which belong to whoever called it. Look for "
                    "`inplace=True`, `+=` and functions that end in `_`.")
        with suppress(Exception), torch.no_grad():
            if not same(*(self.net.eval()(self.x.clone()) for _ in range(2))):
                return ("Your network gives another answer each time that it is asked, in evaluation as well. Is a "
                        "layer made in `forward`, new at each call? Or is there an `F.dropout` without "
                        "`training=self.training`?")
        key = "the output in evaluation"
        if same(self[key], right[key]) and not same(self["the output in training"], right["the output in training"]):
            return self.other_layer(right) or (
                "Your network is right in evaluation and does something else in training. Look for a dropout, a "
                "normalisation over the batch, or `self.training`.")
        return None

    def in_layers(self, right: "Behaviour") -> str | None:
        """Whether the channels are in another order, or which layer is another one."""
        mine, others = (seen["the output in evaluation"] for seen in (self, right))
        if isinstance(mine, Tensor) and mine.ndim > 2 and mine.shape == others.shape:
            order, free = [], list(range(mine.shape[1]))
            for c in range(mine.shape[1]):  # some may be equal, such as those that a ReLU has set to zero
                order += [d for d in free if same(mine[:, c], others[:, d])][:1]
                free = [d for d in free if d not in order]
            if not free and order != sorted(order):
                return ("The channels that come out are the right ones in another order: yours stand in the places "
                        f"{', '.join(map(str, order))} of the right one.")
        for kind in ("", "BatchNorm"):  # where an activation is a function and no layer, the normalisations alone
            mine, others = (Counter(text for m in net.modules() if not list(m.children())
                                    and (text := layer_text(m)).startswith(kind)) for net in (self.net, right.net))
            more, missing = list(mine - others), list(others - mine)
            if mine.total() == others.total() and more and (  # layers of two kinds: written in another way
                    len(more) == 1 or more[0].partition("(")[0] == missing[0].partition("(")[0]):
                return f"Your network holds `{more[0]}`. The right one holds `{missing[0]}` there."
        here, there = ([type(m).__name__ for m in net.modules()] for net in (self.net, right.net))
        extra = [kind for kind in here if ("Norm" in kind or "Drop" in kind) and kind not in there]
        return f"Your network holds a layer `{extra[0]}`. The right one has none." if extra else self.other_layer(right)

    def uses(self) -> Counter:
        """How often one pass uses each layer that has parameters."""
        found, hooks = Counter(), []
        for name, module in self.net.named_modules():
            if module._parameters:
                hooks.append(module.register_forward_hook(lambda *_, name=name: found.update([name])))
        with suppress(Exception), torch.no_grad():
            self.net.eval()(self.x.clone())
        for hook in hooks:
            hook.remove()
        return found

    def other_layer(self, right: "Behaviour") -> str | None:
        """Where the layers of two networks part that are rows of layers and nothing else."""
        rows = [in_order(seen.net) for seen in (self, right)]
        if None in rows or rows[0] == rows[1]:
            return None
        for i, (mine, other) in enumerate(zip_longest(*rows)):
            if mine != other:
                other = f"that of the solution is `{other}`" if other else "the solution ends before it"
                return (f"Layer {i} of your network, counted from 0, is `{mine}`, {other}." if mine else
                        f"Your network ends with layer {i - 1}, counted from 0: of layer {i}, {other}.")

    def parts(self, right: "Behaviour") -> str:
        """Where the network differs, as far as counts and channels say it; empty where most channels are wrong."""
        counts = [seen["the number of parameters"] for seen in (self, right)]
        if counts[0] != counts[1]:
            return f"Your network has {counts[0]} parameters, the right one {counts[1]}."
        mine, others = (seen["the output in evaluation"] for seen in (self, right))
        if not isinstance(mine, Tensor) or mine.shape != others.shape or mine.ndim < 3:
            return ""
        wrong = [str(c) for c in range(mine.shape[1]) if not same(mine[:, c], others[:, c])]
        few = wrong and 2 * len(wrong) <= mine.shape[1]
        return f"Of the channels that come out, {', '.join(wrong)} are not right." if few else ""

    def example(self, right: "Behaviour", call: str) -> str | None:
        """A few lines to paste and run, with what comes out and what should."""
        shape = (1, *self.x.shape[1:])
        for fill in (0.1, -0.1):
            outputs = []
            for net in (self.net, right.net):
                with suppress(Exception), torch.no_grad():
                    for parameter in net.parameters():
                        nn.init.constant_(parameter, fill)
                    dtype = next((p.dtype for p in net.parameters()), self.x.dtype)
                    outputs.append(net.eval()(torch.linspace(-1, 1, math.prod(shape), dtype=dtype).reshape(shape)))
            if not call or len(outputs) < 2 or not all(isinstance(output, Tensor) for output in outputs):
                return None
            shapes = [tuple(output.shape) for output in outputs]
            seen = {"shape": shapes} if shapes[0] != shapes[1] else {
                "mean()": [t.mean().item() for t in outputs],
                "square().mean()": [t.square().mean().item() for t in outputs]}
            size = outputs[1].abs().max().item()  # a mean of large numbers may be 0 up to rounding
            for what, values in seen.items():
                if what != "shape" and abs(values[0] - values[1]) <= 1e-4 * max(size, size**2):  # both may be 0
                    continue
                values = values if what == "shape" else [f"{value:.5g}" for value in values]
                return (f"{self.parts(right) or 'Your network is another one than the right one.'} Paste and run:\n\n"
                        f"```python\nnet = {call}\n"
                        f"for p in net.parameters():\n    nn.init.constant_(p, {fill})\n"
                        f"net.eval()(torch.linspace(-1, 1, {math.prod(shape)}).reshape{shape}).{what}\n```\n\n"
                        f"Your network gives `{values[0]}`, the right one `{values[1]}`.")
        return None


def layer_text(layer: nn.Module) -> str:
    """A layer as it is printed, without differences that change nothing."""
    if isinstance(layer, nn.LocalResponseNorm):  # PyTorch's divides alpha, the course's own does not
        return (f"LocalResponseNorm(n={layer.size}, alpha={layer.alpha / layer.size:g}, beta={layer.beta}, "
                f"k={float(layer.k)})")
    text = repr(layer).replace("(inplace=True)", "()").replace("inplace=True", "inplace=False")
    if getattr(layer, "padding", None) == "same":
        sides = tuple(d * (k - 1) // 2 for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
        text = text.replace("padding=same", f"padding={sides}")
    return re.sub(r"=\((\d+), \1\)", r"=\1", text)


def in_order(net: nn.Module) -> list[str] | None:
    """The layers of a row of layers, as text; None where a class of its own decides what is done with them."""
    if type(net) is nn.Sequential:
        rows = [in_order(layer) for layer in net]
        return None if None in rows else [text for row in rows for text in row]
    known = type(net).__module__.startswith(("torch.nn", __package__.partition(".")[0]))
    return [layer_text(net)] if known and not list(net.children()) else None
