"""A forward pass that is watched module by module, with values or without, and leaves the network as it was."""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map_only

from .. import in_short
from .fields import is_mask


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
        like = next(filter(is_lazy, model.parameters()), torch.empty(0))
        model = settled(model, torch.zeros(1, *input_shape, dtype=like.dtype, device=like.device))
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
