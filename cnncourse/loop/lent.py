"""A network that a training borrows: used as its owner set it up, and given back as it was."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy


class Kept:
    """What a use of a network can change: weights, buffers, gradients, modes, other attributes, where and in which
    order of memory its numbers lie, and the layers that are lazy. Of attributes, tensors, lists, dicts and sets are
    kept as they are now; what else changes in itself, or within these, is not."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.modules = [(module, type(module), dict(vars(module)),
                         {name: copied(value) if isinstance(value, Tensor) else value.copy()
                          for name, value in vars(module).items() if changes_in_place(value)})
                        for module in model.modules()]
        self.tensors = {name: (tensor, type(tensor), copied(tensor), None if is_lazy(tensor) else tensor.grad)
                        for name, tensor in tensors_of(model).items()}

    def restore(self) -> None:
        """Undo whatever was done, once: from then on the network has what was kept."""
        for module, kind, attributes, copies in self.modules:
            module.__class__ = kind
            vars(module).clear()
            vars(module).update(attributes)
            for name, copy in copies.items():  # in place: the handles of hooks know these dicts
                if isinstance(copy, Tensor):
                    attributes[name].data = copy
                elif isinstance(copy, list):
                    attributes[name][:] = copy
                else:
                    attributes[name].clear()
                    attributes[name].update(copy)
        for tensor, kind, value, grad in self.tensors.values():
            tensor.grad = None
            tensor.data = value
            tensor.grad = grad
            tensor.__class__ = kind

    def settle(self) -> None:
        """Keep what was learned, but where and in which order of memory the numbers lay; gradients are as before."""
        for name, tensor in tensors_of(self.model).items():
            _, kind, value, grad = self.tensors.get(name, (None, None, tensor.detach(), None))
            if value.shape != tensor.shape:  # that of a lazy layer, or of a buffer that has grown
                value = torch.empty(tensor.shape, dtype=tensor.dtype, device=value.device)
            tensor.grad = None
            tensor.data = value.copy_(tensor.detach())
            tensor.grad = grad


@contextmanager
def lent(model: nn.Module) -> Iterator[None]:
    """A block that uses a network: one that fails leaves it unchanged, and one that does not leaves only what was
    learned, so that its owner can go on with it where the images are. Raises ValueError for one without values."""
    for tensor in filter(lambda tensor: not is_lazy(tensor), tensors_of(model).values()):
        if tensor.is_meta or tensor.is_inference():
            raise ValueError(f"{type(model).__name__} cannot be trained, because it was built on PyTorch's meta device "
                             "or in inference mode: build it as usual")
    before = Kept(model)
    for tensor, *_, grad in before.tensors.values():
        if grad is not None:
            tensor.grad = None  # set aside: a backward pass would add to it in place, and a move would take it along
    try:
        yield
    except BaseException:
        before.restore()
        raise
    before.settle()


class Borrowed(nn.Module):
    """A network as a training uses it: of several outputs the first counts, and parts that rest stay in evaluation."""

    def __init__(self, network: nn.Module, resting: list[str]):
        super().__init__()
        self.network, self.resting, self.several = network, resting, 0

    def forward(self, images: Tensor, **options) -> Tensor:
        outputs = self.network(images, **options)
        if options or not isinstance(outputs, tuple | list) or not outputs:
            return outputs
        self.several = len(outputs)
        return outputs[0]

    def train(self, mode: bool = True) -> nn.Module:
        super().train(mode)
        for name in self.resting:
            self.network.get_submodule(name).train(False)
        return self


def resting(model: nn.Module) -> list[str]:
    """The parts that stay in evaluation mode while the others train: those that their owner put there, in a network
    that is in training mode itself, or with weights that are all frozen."""
    return [name for name, part in model.named_modules() if name and not part.training and (model.training or frozen(
        part))]


def described(model: nn.Module) -> str:
    """A short text for the layers of a network, their options, and which of them are frozen or rest."""
    still = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    text = re.sub(" at 0x[0-9a-f]+", "", repr(model))  # the addresses of functions
    return sha256(f"{text} {still} {resting(model)}".encode()).hexdigest()[:16]


def frozen(part: nn.Module) -> bool:
    weights = list(part.parameters())
    return bool(weights) and not any(weight.requires_grad for weight in weights)


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))


def changes_in_place(value: object) -> bool:
    return isinstance(value, dict | list | set) or isinstance(value, Tensor) and not value.is_inference()


def copied(tensor: Tensor) -> Tensor:
    if is_lazy(tensor):
        return torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return tensor.detach().clone()
