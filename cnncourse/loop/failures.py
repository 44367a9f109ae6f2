"""What network, batches, loss and optimizer cannot do together, in a sentence: what was given and what is expected."""

from collections.abc import Callable
from functools import wraps
from inspect import signature

from torch import Tensor, nn
from torch.optim import Optimizer

from .. import in_short


class Failed(ValueError):
    """An epoch cannot be computed."""


def in_a_sentence(epoch: Callable) -> Callable:
    """The same epoch, that of `train.run_epoch`, but it raises Failed where what it is given does not go together."""
    @wraps(epoch)
    def watched(*args, **options):
        call = signature(epoch).bind(*args, **options)
        call.apply_defaults()
        given, step, batch = dict(call.arguments), 0, None

        def each():
            nonlocal step, batch
            for batch in given["batches"]:
                step += 1
                yield batch
                batch = None

        require_its_weights(given["model"], given["optimizer"])
        try:
            return epoch(**given | {"batches": each()})
        except Failed:
            raise
        except (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError) as error:
            if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                cause = " ".join(str(error).partition("Set TORCH")[0].split())
                raise Failed(f"torch.compile gave up ({cause}): it needs a C++ compiler, and one that was killed in "
                             "its work leaves damaged files. Delete the folder torchinductor_USER among the temporary "
                             "files, or train without compile") from error
            raise Failed(why(in_short(error), step, batch, **given)) from error

    return watched


def require_its_weights(model: nn.Module, optimizer: Optimizer | None) -> None:
    """Raises Failed where a training would change nothing of the network, without a word."""
    if not isinstance(model, nn.Module):
        raise Failed(f"a network is an nn.Module, not {kind(model)}")
    if isinstance(optimizer, Optimizer):
        own = set(map(id, model.parameters()))
        if not any(id(weight) in own for group in optimizer.param_groups for weight in group["params"]):
            raise Failed(f"the optimizer holds no weight of this {type(model).__name__}, which would stay as it is: "
                         "build it with the network's parameters()")


def why(error: str, step: int, batch: object, model, batches, optimizer, scheduler, loss, autocast) -> str:
    """batch: the one in use, if there is one. step: its number, or that of the last one."""
    for what, part, built in (("optimizer", optimizer, "SGD(network.parameters(), lr=0.1)"),
                              ("scheduler", scheduler, "StepLR(optimizer, 10)")):
        if part is not None and (isinstance(part, type) or not hasattr(part, "step")):
            return f"the {what} is an object, such as {built}, not {kind(part)}"
    if not hasattr(batches, "__iter__") and not hasattr(batches, "__getitem__"):
        return ("batches are what gives pairs of images and labels in every epoch, such as those of data.batches or a "
                f"DataLoader, not {kind(batches)}")
    if batch is None:
        return f"{error}: this came after {step} batches and before another one"
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        return f"a batch is a pair of images and labels, not {kind(batch)}"
    if not all(isinstance(part, Tensor) and part.ndim for part in batch):
        return ("the images and the labels of a batch are tensors, N x C x H x W and N, as a DataLoader makes them, "
                f"not {kind(batch[0])} and {kind(batch[1])}")
    images, labels = batch
    weight = next((weight for weight in model.parameters() if weight.is_floating_point()), images)
    if weight.device != images.device:
        return f"the images are on the device {images.device}, but the weights on {weight.device}: bring both to one"
    expected = [what for what, given in (
        (f"images of {kind(weight).split(',')[0]}, as the weights are", images.dtype == weight.dtype),
        ("a label for each image", len(images) == len(labels)),
        ("logits from weights that are trained", "require grad" not in error),
        ("an optimizer whose step takes no closure", "closure" not in error)) if not given]
    usual = ("logits, N x classes, and labels of int64, N, from 0 to classes - 1"
             if getattr(getattr(loss, "func", loss), "__module__", "") == "cnncourse.train" else
             "from loss(network, images, labels) the mean of the batch and the logits")
    return (f"{error}: at step {step} the images are {kind(images)} and the labels {kind(labels)}; expected are "
            f"{' and '.join(expected) or usual}")


def kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    if isinstance(value, tuple | list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    if not isinstance(value, Tensor):
        return f"a {type(value).__name__}"
    size = " x ".join(map(str, value.shape)) or "a single number"
    whole = not value.is_floating_point() and not value.is_complex() and value.device.type == "cpu" and value.numel()
    return f"{str(value.dtype).removeprefix('torch.')}, {size}" + (
        f", from {value.min()} to {value.max()}" if whole else "")
