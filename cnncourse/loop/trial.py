"""A step on two real images before a training: what a network cannot do is said in one sentence, and not in an hour."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .. import in_short
from .devices import Speed, random_numbers, set_random_numbers
from .lent import Borrowed, Kept, resting

EVALUATED = 64  # images in a batch of validation and test images


def finish_lazy_layers(model: nn.Module, name: str, images: Tensor) -> None:
    """Layers that take their sizes from the first images get them, and weights that follow from the seed."""
    def lazy() -> list[Tensor]:
        return [tensor for tensor in (*model.parameters(), *model.buffers()) if is_lazy(tensor)]

    if found := lazy():
        training = [module for module in model.modules() if module.training]
        set_mode(model, name, training=False)
        try:
            with torch.no_grad():
                model(images.to(found[0].device, copy=True))  # a network may change them
        except Exception as error:
            raise ValueError(cannot_take(model, name, images, error)) from error
        for module in training:
            module.training = True
        if lazy():
            raise ValueError(f"{name} has a lazy layer that its forward does not call: call it, or leave it out")


def tried(model: nn.Module, name: str, data, images: Tensor, labels: Tensor, loss: Callable,
          speed: Speed) -> tuple[nn.Module, Speed]:
    """(The network as the loop uses it, how it can be trained), after one step without an update, of which nothing
    stays behind in what is `Kept`. Raises ValueError in one sentence where the network cannot be trained on these
    images."""
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ValueError(f"{name} has no weights to train: " + (
            "give it a layer that has some" if next(model.parameters(), None) is None else
            "all have requires_grad=False, so set it to True for one layer at least"))
    speed = replace(speed, fused=speed.fused and all(weight.is_floating_point() for weight in model.parameters()))
    network, random = Borrowed(model, resting(model)), random_numbers()
    for fast in dict.fromkeys((speed.channels_last, False)):
        at, before = replace(speed, channels_last=fast), Kept(model)
        try:
            given = images.to(at.device, memory_format=at.memory_format, copy=True)  # a network may change them
            logits = try_step(network, name, data, given, labels.to(at.device), loss, at)
            break
        except ValueError as error:
            failed = error
        finally:
            before.restore()
            set_random_numbers(random)
    else:
        raise failed
    if at != speed:
        warnings.warn(f"{name} cannot compute in the memory format channels_last, and is trained in the usual one, "
                      f"which takes a little longer ({in_short(failed.__cause__ or failed)})", stacklevel=4)
    if network.several:
        warnings.warn(f"{name} gives {network.several} outputs: the first, as its logits, is trained alone",
                      stacklevel=4)
    if (logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones(())):
        warnings.warn(f"{name} gives probabilities, where logits are expected: leave out its softmax, because the loss "
                      "has one", stacklevel=4)
    return network if network.several or network.resting else model, at


def try_step(network: Borrowed, name: str, data, images: Tensor, labels: Tensor, loss: Callable,
             speed: Speed) -> Tensor:
    """The logits in evaluation mode."""
    own = set(map(id, network.parameters()))
    last_is_alone = any(len(split) % EVALUATED == 1 for split in (data.validation, data.test))
    set_mode(network, name, training=False)
    for some in (images, images[:1])[:1 + last_is_alone]:
        try:
            network.to(speed.device, memory_format=speed.memory_format)
            with torch.no_grad():
                logits = network(some)
        except Exception as error:  # the network may be anybody's
            raise ValueError(cannot_take(network.network, name, some, error)) from error
        require_logits(logits, name, data, len(some), network.several)
    set_mode(network, name, training=True)
    try:
        with torch.autocast(images.device.type, torch.bfloat16, enabled=speed.autocast):
            batch_loss, _ = loss(network, images, labels)
        if not batch_loss.requires_grad:
            raise ValueError("its logits come from no weight that is trained; look for detach(), no_grad() and frozen "
                             "layers")
        if any(id(weight) not in own for weight in weights_of(batch_loss)):
            raise ValueError("it computes with weights that are none of its parameters, which no training changes; put "
                             "layers of a list into an nn.ModuleList, make layers in __init__ and not in forward, or "
                             "set requires_grad=False where they are to stay")
        batch_loss.backward()
    except Exception as error:
        raise ValueError(f"{name} cannot be trained on images of {by(images[0])}: {in_short(error)}") from error
    return logits.float().cpu()


def weights_of(loss: Tensor) -> Iterator[nn.Parameter]:
    """The weights from which a loss was computed, as autograd knows them."""
    steps, seen = [loss.grad_fn], set()
    while steps:
        if (step := steps.pop()) is not None and step not in seen:
            seen.add(step)
            steps += [before for before, _ in step.next_functions]
            if isinstance(weight := getattr(step, "variable", None), nn.Parameter):
                yield weight


def set_mode(network: nn.Module, name: str, training: bool) -> None:
    try:
        network.train(training)
    except Exception as error:
        mode, exported = "training" if training else "evaluation", isinstance(error, NotImplementedError)
        raise ValueError(f"{name} cannot be set to {mode} mode ({in_short(error)}): " + (
            "give the network as it was before torch.export" if exported else
            "a method `train` of its own stands in the place of that of nn.Module, so give it another name")) from error


def require_logits(logits: object, name: str, data, images: int, several: int) -> None:
    """Raises ValueError where these are no logits, images x classes. several: how many outputs there are, of which
    these are the first."""
    if not isinstance(logits, Tensor):
        raise ValueError(f"{name} gives {'nothing' if logits is None else type(logits).__name__}, where a tensor of "
                         "logits is expected: let its forward return them")
    if logits.ndim != 2 or len(logits) != images:
        what = f"outputs of {by(logits)}" if logits.ndim else "a single number"
        what += f" as the first of {several} outputs" * (several > 0)
        squeezed = "; squeeze() takes away the axis of images where there is one, and flatten(1) keeps it"
        raise ValueError(f"{name} gives {what} for {images} image{'s' * (images > 1)}, where logits of {images} x "
                         f"{len(data.classes)} are expected, images x classes" + squeezed * (images == 1))
    if logits.shape[1] != len(data.classes):
        raise ValueError(f"{name} has {logits.shape[1]} outputs but '{data.name}' has {len(data.classes)} classes: " + (
            f"of the {several} things that its forward returns, the first is to be the logits" if several else
            f"build the network with num_classes={len(data.classes)}"))
    if not logits.is_floating_point():
        raise ValueError(f"{name} gives logits of {logits.dtype}, where floats such as float32 are expected: leave out "
                         "what makes others of them, such as long()")


def cannot_take(model: nn.Module, name: str, images: Tensor, error: Exception) -> str:
    takes, kinds = expected(model), {weight.dtype for weight in model.parameters() if weight.is_floating_point()}
    advice = in_short(error)
    if takes not in (None, tuple(images.shape[1:])) and takes[1] != takes[2]:
        advice = f"it was built for images of {takes[0]} x {takes[1]} x {takes[2]}"
    elif takes not in (None, tuple(images.shape[1:])):
        advice = f"load the data with channels={takes[0]}, size={takes[1]}, for which it was built"
    elif not kinds <= {images.dtype}:
        advice += "; images are float32, and its .float() makes weights of the same kind"
    what = "images" if len(images) > 1 else "one image"
    return f"{name} cannot take {what} of {by(images[0])} (channels x height x width): {advice}"


def by(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))


def logits_of(network: nn.Module, images: Tensor) -> Tensor:
    """What a network gives for the same images whenever it has the same weights."""
    random = random_numbers()
    torch.manual_seed(0)  # some drop units always
    network.train(False)  # a network may have another method `eval`
    with torch.no_grad():
        logits = network(images.clone()).float().cpu()  # it may change them
    set_random_numbers(random)
    return logits


def expected(model: nn.Module) -> tuple[int, int, int] | None:
    """C x H x W of the images that a network says it was built for."""
    shape = getattr(model, "input_shape", None)
    named = isinstance(shape, tuple | list) and len(shape) == 3 and all(isinstance(n, int) for n in shape)
    return tuple(shape) if named else None
