"""The training loop. It knows nothing of models: what a network's own loss needs comes in as `loss`.

`for row in fit(...): record.append(row)`: the caller prints, plots, saves or stops.
"""

import math
import pickle
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import ReduceLROnPlateau

from . import replacing

Loss = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]
DAMAGE = (RuntimeError, EOFError, KeyError, TypeError, AttributeError, pickle.UnpicklingError, zipfile.BadZipFile)
CHECK = 50  # steps between two looks at the loss on a GPU, where each look makes the processor wait for it
LOST = 1e6  # no training comes back from such a loss; evaluation with batch normalisation may, in its first epochs


class Diverged(ArithmeticError):
    """The loss is no longer a number."""


@dataclass(frozen=True)
class Speed:
    """Switches that change the time of a step and not the curve, rounding apart. The defaults are the fastest that hold
    on every processor and on Nvidia's GPUs; `on` takes away what another device cannot do. `cnncourse bench steps`
    measures each.

    channels_last: store images as N x H x W x C, as convolutions want them. fused: one call updates all weights.
    autocast: convolutions in bfloat16 (new GPUs and some processors). compile: torch.compile, with a slow start.
    """

    channels_last: bool = True
    fused: bool = True
    autocast: bool = False
    compile: bool = False

    def on(self, device: str) -> "Speed":
        """These switches, without those that are not proven on a device. On Apple's GPUs the backward pass of pooling
        and batch normalisation in channels_last ends the program or gives false gradients (PyTorch's issues 175190 and
        175189)."""
        proven = torch.device(device).type in ("cpu", "cuda")
        return self if proven else replace(self, channels_last=False, fused=False)

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


def cross_entropy(model: nn.Module, images: Tensor, labels: Tensor,
                  label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """The default loss: (mean cross-entropy of the batch, logits N x classes)."""
    logits = model(images)
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing), logits


def with_heads(model: nn.Module, images: Tensor, labels: Tensor, weight: float = 0.3,
               label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """GoogLeNet, Section 5: each auxiliary head adds `weight` times its own cross-entropy."""
    logits, *others = model(images, heads=True)
    losses = [F.cross_entropy(y, labels, label_smoothing=label_smoothing) for y in (logits, *others)]
    return losses[0] + weight * sum(losses[1:]), logits


def run_epoch(model: nn.Module, batches: Iterable, optimizer: torch.optim.Optimizer | None = None,
              scheduler: torch.optim.lr_scheduler.LRScheduler | None = None, loss: Loss = cross_entropy,
              autocast: bool = False) -> dict:
    """One pass over `batches`: training with an optimizer, evaluation without.

    scheduler: advanced after each step. Returns loss and accuracy (0 to 1) as means over examples (of all processes),
    the number of examples, and seconds. Raises Diverged, naming the step, when the loss is not a finite number, or
    when it is above a million in training; ValueError where there are no batches.
    """
    training = optimizer is not None
    limit = LOST if training else math.inf
    model.train(training)
    start, losses, sizes, correct = time.perf_counter(), [], [], torch.zeros(())
    with torch.set_grad_enabled(training):
        for step, (images, labels) in enumerate(batches, 1):
            with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
                batch_loss, logits = loss(model, images, labels)
            losses.append(batch_loss.detach())
            if images.device.type == "cpu":
                require_below(limit, losses, 1)
            elif step % CHECK == 0:
                require_below(limit, losses, CHECK)
            if training:
                optimizer.zero_grad()
                batch_loss.backward()
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
            sizes.append(len(labels))
            correct = correct.to(labels.device) + (logits.detach().argmax(dim=1) == labels).sum()
    values = []
    if losses:  # a process may have no share of a small set
        require_below(limit, losses, CHECK)
        values = torch.stack(losses).tolist()
    total = sum(n * value for n, value in zip(sizes, values, strict=True))
    sums = torch.tensor([total, float(correct), sum(sizes)], dtype=torch.float64)  # Apple's GPUs have no float64
    if distributed.is_initialized():
        sums = sums.to("cuda" if distributed.get_backend() == "nccl" else "cpu")  # also where there was no batch
        distributed.all_reduce(sums)
    total, correct, examples = sums.tolist()
    if not examples:
        raise ValueError("there were no batches: give images, in something that can be iterated in every epoch")
    return {"loss": total / examples, "accuracy": correct / examples, "examples": int(examples),
            "seconds": time.perf_counter() - start}


def require_below(limit: float, losses: list[Tensor], latest: int) -> None:
    """Raises Diverged, naming the step, where one of the latest losses is no number, or not below `limit`."""
    if not (torch.stack(losses[-latest:]) < limit).all():
        step, value = next((i, v.item()) for i, v in enumerate(losses, 1) if not v < limit)
        raise Diverged(f"the loss became {value:.3g} at step {step} of the epoch: lower the learning rate, or "
                       "look for a division by zero or a logarithm of zero in the loss")


def fit(model: nn.Module, training: Iterable, validation: Iterable, optimizer: torch.optim.Optimizer, epochs: int,
        scheduler: torch.optim.lr_scheduler.LRScheduler | ReduceLROnPlateau | None = None, loss: Loss = cross_entropy,
        autocast: bool = False, start: int = 0) -> Iterator[dict]:
    """Train until `epochs` are done, evaluating after each; yields one row an epoch. Stop by leaving the loop.

    scheduler: advanced after each step, or, one that waits for a plateau, after each epoch, by the validation loss.
    start: epochs that are done already, in a training that goes on. A row: epoch (from 1), train_loss, train_accuracy,
    validation_loss, validation_accuracy, lr (at the end of the epoch), seconds (training alone) and images_per_second.
    The training numbers are taken while the weights change, with augmentation and dropout; the validation numbers after
    the epoch, without.
    """
    plateau = isinstance(scheduler, ReduceLROnPlateau)
    # Evaluation needs no gradients, and so no exchange of them.
    alone = model.module if isinstance(model, DistributedDataParallel) else model
    for epoch in range(start + 1, epochs + 1):
        train = run_epoch(model, training, optimizer, None if plateau else scheduler, loss, autocast)
        if distributed.is_initialized():
            for buffer in alone.buffers():  # each process has seen other images: evaluate with those of the first
                distributed.broadcast(buffer, 0)
        held_out = run_epoch(alone, validation, autocast=autocast)
        if plateau:
            scheduler.step(held_out["loss"])
        yield {"epoch": epoch,
               "train_loss": train["loss"], "train_accuracy": train["accuracy"],
               "validation_loss": held_out["loss"], "validation_accuracy": held_out["accuracy"],
               "lr": optimizer.param_groups[0]["lr"],
               "seconds": train["seconds"], "images_per_second": train["examples"] / train["seconds"]}


def save_checkpoint(path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer,
                    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None, **extra) -> None:
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
    except DAMAGE as error:
        raise ValueError(f"{path} is damaged, or is no checkpoint of this course: delete it and train again") from error


def load_checkpoint(path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None,
                    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None) -> dict:
    """Put a checkpoint's weights into `model`; with an optimizer also its state, that of a scheduler if one is given,
    and that of the random numbers that dropout draws. Returns the whole checkpoint.

    Raises as `read_checkpoint`, and ValueError for a checkpoint of another network, naming the first tensor that
    differs, and for a scheduler whose state cannot be restored. Then nothing is changed.
    """
    checkpoint = read_checkpoint(path)
    if scheduler is not None and (optimizer is None or checkpoint["scheduler"] is None):
        raise ValueError(f"{path} cannot restore the scheduler: " + (
            "give the optimizer as well" if optimizer is None else "it was saved without one, so leave it out"))
    theirs, ours = checkpoint["model"], model.state_dict()
    for name in dict.fromkeys([*ours, *theirs]):
        there, here = (tuple(state[name].shape) if name in state else "missing" for state in (theirs, ours))
        if there != here:
            raise ValueError(f"{path} holds another network: {name} is {there} there and {here} in this "
                             f"{type(model).__name__}; build the network with the name and options it was trained with")
    model.load_state_dict(theirs)
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
