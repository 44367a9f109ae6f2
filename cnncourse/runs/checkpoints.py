"""Checkpoints: all that a training needs to go on, in a file that is whole or not there."""

import pickle
import re
import zipfile
import zlib
from copy import deepcopy
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer, SparseAdam
from torch.optim.lr_scheduler import LRScheduler
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from .. import replacing
from ..loop.devices import random_numbers, set_random_numbers
from .record import plain

# NumPy's numbers, which older checkpoints hold; their function has had two names.
SCALARS = [np.dtype, *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"),
           *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core"))]

OLD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how files begin that PyTorch wrote before 1.6


def save_checkpoint(path: str | Path, model: nn.Module, optimizer: Optimizer | None,
                    scheduler: LRScheduler | None = None, **extra) -> None:
    """Write all that a training needs to go on.

    extra: more plain values to keep, such as the epoch or the record's rows; those of NumPy become Python's. Raises
    ValueError for others, and OSError where the file cannot be written; then it is as it was before.
    """
    require_network(path, model)
    parts = {"optimizer": optimizer, "scheduler": scheduler}
    state = {name: part.state_dict() if part is not None else None for name, part in parts.items()}
    kinds = {name: type(part).__name__ for name, part in parts.items()}
    kept = {"model": model.state_dict(), **plain(state | {"kinds": kinds} | extra), "random": random_numbers()}
    try:
        with replacing(path) as beside:
            torch.save(kept, beside)
            if refused := get_unsafe_globals_in_checkpoint(beside):
                raise pickle.PicklingError(f"it cannot hold {', '.join(refused)}")
    except RuntimeError as error:  # PyTorch's word for a full disk
        raise OSError(f"{path} could not be written, and is as it was before: make room on the disk, and go on from "
                      f"it ({str(error).splitlines()[0]})") from error
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not written: a checkpoint holds tensors, numbers, text, lists and dicts, because "
                         f"others could be code ({str(error).splitlines()[0]})") from error


def read_checkpoint(path: str | Path) -> dict:
    """What `save_checkpoint` wrote, or a file of others with the weights of one network, which then stand under
    "model". Raises FileNotFoundError where there is none, ValueError for a damaged file, and in other words for one
    that holds something else."""
    another = f"{path} is no checkpoint of this course, and stays as it is; take another file or folder"
    if (whole := is_whole(path)) is None:
        raise ValueError(another + reader(path))
    if not whole:  # torch.load itself does not look at the checksums
        raise ValueError(f"{path} is damaged: take an older copy, or delete it and train again")
    try:
        with safe_globals(SCALARS):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} is not read, and stays as it is, because it holds more than tensors and plain "
                         "values, which could be code: where you trust its origin, torch.load(path, "
                         "weights_only=False) reads it") from error
    except Exception as error:  # its kind depends on what the file holds
        raise ValueError(f"{another} ({str(error).splitlines()[0]})") from error
    if not isinstance(checkpoint, dict):
        raise ValueError(another)
    if isinstance(checkpoint.get("model"), dict):
        return checkpoint
    if are_weights(checkpoint):
        return {"model": checkpoint}
    places = [name for name, part in checkpoint.items() if are_weights(part)]
    if len(places) == 1:
        return checkpoint | {"model": checkpoint[places[0]]}
    if places:
        another += f" (several weights are in it: network.load_state_dict(torch.load(path)[{places[0]!r}]) takes one)"
    raise ValueError(another)


def reader(path: str | Path) -> str:
    """What reads a file of another form, as far as it is known."""
    if Path(path).is_dir():
        return ""
    with open(path, "rb") as file:
        head = file.read(20)
    form, read = (("PyTorch before 1.6, which has no checksums", "torch.load(path)") if head.startswith(OLD) else
                  ("safetensors", "safetensors.torch.load_file(path)") if head[8:10] == b'{"' else ("", ""))
    return form and f" (it has the form of {form}: network.load_state_dict({read}) takes weights from it)"


def are_weights(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(part, Tensor) for part in value.values())


def is_whole(path: str | Path) -> bool | None:
    """Whether each byte of a file of PyTorch's is as it was written; None for files of others."""
    if Path(path).is_dir():
        return None
    with open(path, "rb") as file:
        head = file.read(200)
    ours = b"/data.pkl" in head  # how such a file begins
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
            ours = ours or "data.pkl" in names and "constants.pkl" not in names  # TorchScript has both
            return archive.testzip() is None if ours else None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError):
        return False if ours or not head.strip(b"\0") else None


def load_checkpoint(path: str | Path, model: nn.Module, optimizer: Optimizer | None = None,
                    scheduler: LRScheduler | None = None) -> dict:
    """Put a checkpoint's weights into `model`; with an optimizer also its state, that of a scheduler if one is given,
    and that of the random numbers that dropout draws. Returns the whole checkpoint.

    Raises as `read_checkpoint`, and ValueError for a checkpoint of another network, naming the first tensor that
    differs, for a network on the meta device, and for an optimizer or a scheduler whose state it does not hold. Then
    nothing is changed.
    """
    require_network(path, model)
    checkpoint = read_checkpoint(path)
    if scheduler is not None and optimizer is None:
        raise ValueError(f"{path} cannot restore the scheduler: give the optimizer as well")
    for name, part in (("optimizer", optimizer), ("scheduler", scheduler)):
        if part is not None:
            require_state(path, checkpoint, name, part)
    weights = for_network(model, checkpoint["model"], path)
    if optimizer is not None:
        before = random_numbers()
        try:
            set_random_numbers(checkpoint.get("random", {}))  # files of others lack them
        except (TypeError, RuntimeError, AttributeError) as error:
            set_random_numbers(before)
            raise ValueError(f"{path} holds under \"random\" no state of random numbers, and so cannot restore a "
                             "training: leave the optimizer out") from error
    model.load_state_dict(weights)
    if optimizer is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
        if scheduler is not None:
            scheduler.load_state_dict(checkpoint["scheduler"])
    return checkpoint


def require_network(path: object, model: object) -> None:
    if not isinstance(path, str | PathLike) or not isinstance(model, nn.Module):
        raise ValueError("a checkpoint is given as the path of its file, and then the network, an nn.Module, not as a "
                         f"{type(path).__name__} and a {type(model).__name__}")


LAZY = "not known yet"
WRAPPED = r"^((module|_orig_mod)\.)+"  # how names begin in nn.DataParallel, and in what torch.compile gives
HELD = r"^((module|_orig_mod|model|net|network)\.)+"  # and in what Lightning and others build around a network


def shape(value: object) -> tuple[int, ...] | str:
    if not isinstance(value, Tensor):
        return type(value).__name__  # a module's extra state
    if nn.parameter.is_lazy(value):
        return LAZY
    if value.is_meta or value.is_complex() or value.is_quantized or value.layout != torch.strided:
        return f"{tuple(value.shape)} of {value.dtype}, {value.layout}{', without numbers' * value.is_meta}"
    return tuple(value.shape) if value.is_floating_point() else f"{tuple(value.shape)} of whole numbers"


def for_network(model: nn.Module, theirs: dict[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """The weights in the file at `path` under the names that they have in the network, which are others where one of
    both is wrapped, by nn.DataParallel, torch.compile or Lightning. Raises ValueError, naming the first tensor that
    differs, where the file is of another network, and where the network is one that holds no numbers."""
    ours = model.state_dict()
    if all(isinstance(name, str) for name in theirs):
        plain_names, unwrapped = (
            {name if name in ours else names.get(re.sub(begin, "", name), name): theirs[name] for name in theirs}
            for begin in (HELD, WRAPPED) for names in [{re.sub(begin, "", name): name for name in ours}])
        theirs = plain_names if plain_names.keys() >= ours.keys() else unwrapped
    if any(isinstance(tensor, Tensor) and tensor.is_meta for tensor in ours.values()):
        raise ValueError(f"{path} is not loaded, because this {type(model).__name__} was built on PyTorch's meta "
                         "device and has no place for numbers: build it as usual")
    uncounted = {name: count for name, count in ours.items() if name.endswith(".num_batches_tracked")}
    theirs = uncounted | theirs  # PyTorch before 0.4.1 did not count them
    for name in dict.fromkeys([*ours, *theirs]):
        there, here = (shape(state[name]) if name in state else "missing" for state in (theirs, ours))
        if there != here and here != LAZY:
            raise ValueError(f"{path} holds another network: {name} is {there} there and {here} in this "
                             f"{type(model).__name__}; build the network with the name and options it was trained with")
    return theirs


def require_state(path: str | Path, checkpoint: dict, name: str, part: Optimizer | LRScheduler) -> None:
    """Raises ValueError unless a checkpoint holds what `part`, the optimizer or the scheduler, can take."""
    state, here = checkpoint.get(name), type(part).__name__
    if not isinstance(state, dict):
        raise ValueError(f"{path} cannot restore the {name}: it was saved without one, or by another program, so leave "
                         "it out")
    kinds = checkpoint.get("kinds")  # not in the oldest
    there = kinds.get(name, here) if isinstance(kinds, dict) else here
    if there != here:
        raise ValueError(f"{path} holds the state of another {name}: of {there}, not {here}; give that one, or leave "
                         "it out")
    if name == "optimizer":
        tried = deepcopy(part)  # with weights of its own, for a step
        others = not type(part).__module__.startswith("torch.") or isinstance(part, LBFGS | SparseAdam)
        try:
            tried.load_state_dict(deepcopy(state))
            for group, own in zip(tried.param_groups, part.param_groups, strict=True):
                if missing := sorted(own.keys() & part.defaults.keys() - group.keys()):
                    raise ValueError(f"it lacks {', '.join(missing)}")
                for weight in group["params"]:
                    weight.grad = None if nn.parameter.is_lazy(weight) else torch.zeros_like(weight)
            if not others:  # these may want a closure or sparse gradients
                tried.step()
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} holds the state of another optimizer, which {here} cannot take ({error}): give "
                             "that one, or leave it out") from error
    elif missing := sorted(key for key in part.state_dict().keys() - state.keys() if not key.startswith("_")):
        raise ValueError(f"{path} holds the state of another scheduler, which lacks {', '.join(missing)} of {here}: "
                         "give that one, or leave it out")
