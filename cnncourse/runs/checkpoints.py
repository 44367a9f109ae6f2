"""Checkpoints: all that a training needs to go on, in a file that is whole or not there."""

import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .. import replacing

# What reading a damaged file can raise.
DAMAGED = (RuntimeError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError, zipfile.BadZipFile)


def save_checkpoint(path: str | Path, model: nn.Module, optimizer: Optimizer,
                    scheduler: LRScheduler | None = None, **extra) -> None:
    """Write all that a training needs to go on.

    extra: more plain values to keep, such as the epoch or the record's rows.
    """
    random = {"cpu": torch.get_rng_state()} | (
        {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {}) | (
        {"mps": torch.mps.get_rng_state()} if torch.backends.mps.is_available() else {})
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": random,
             "scheduler": scheduler.state_dict() if scheduler is not None else None, **extra}
    try:
        with replacing(path) as beside:
            torch.save(state, beside)
    except RuntimeError as error:  # PyTorch's word for a full disk
        raise OSError(f"{path} could not be written, and is as it was before: make room on the disk, and go on from "
                      f"it ({str(error).splitlines()[0]})") from error


def read_checkpoint(path: str | Path) -> dict:
    """What `save_checkpoint` wrote. Raises FileNotFoundError where there is none, ValueError for a damaged file."""
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load itself does not look at the checksums
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["model"].keys()
        return checkpoint
    except DAMAGED as error:
        raise ValueError(f"{path} is damaged, or is no checkpoint of this course: delete it and train again") from error


def load_checkpoint(path: str | Path, model: nn.Module, optimizer: Optimizer | None = None,
                    scheduler: LRScheduler | None = None) -> dict:
    """Put a checkpoint's weights into `model`; with an optimizer also its state, that of a scheduler if one is given,
    and that of the random numbers that dropout draws. Returns the whole checkpoint.

    Raises as `read_checkpoint`, and ValueError for a checkpoint of another network, naming the first tensor that
    differs, and for a scheduler whose state cannot be restored. Then nothing is changed.
    """
    checkpoint = read_checkpoint(path)
    if scheduler is not None and (optimizer is None or checkpoint["scheduler"] is None):
        raise ValueError(f"{path} cannot restore the scheduler: " + (
            "give the optimizer as well" if optimizer is None else "it was saved without one, so leave it out"))
    require_equal_shapes(checkpoint["model"], model, path)
    model.load_state_dict(checkpoint["model"])
    if optimizer is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
        if scheduler is not None:
            scheduler.load_state_dict(checkpoint["scheduler"])
        torch.set_rng_state(checkpoint["random"]["cpu"])
        if "cuda" in checkpoint["random"] and torch.cuda.is_available():
            torch.cuda.set_rng_state(checkpoint["random"]["cuda"])
        if "mps" in checkpoint["random"] and torch.backends.mps.is_available():
            torch.mps.set_rng_state(checkpoint["random"]["mps"])
    return checkpoint


def require_equal_shapes(theirs: dict[str, Tensor], model: nn.Module, path: str | Path) -> None:
    """Raises ValueError, naming the first tensor that differs, where the file at `path` is of another network."""
    ours = model.state_dict()
    for name in dict.fromkeys([*ours, *theirs]):
        there, here = (tuple(state[name].shape) if name in state else "missing" for state in (theirs, ours))
        if there != here:
            raise ValueError(f"{path} holds another network: {name} is {there} there and {here} in this "
                             f"{type(model).__name__}; build the network with the name and options it was trained with")
