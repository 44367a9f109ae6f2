"""The training loop. It knows nothing of models: what a network's own loss needs comes in as `loss`.

`for row in fit(...): record.append(row)`: the caller prints, plots, saves or stops.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Loss = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]


class Diverged(ArithmeticError):
    """The loss is no longer a number."""


def cross_entropy(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The default loss: (mean cross-entropy of the batch, logits N x classes)."""
    logits = model(images)
    return F.cross_entropy(logits, labels), logits


def run_epoch(model: nn.Module, batches: Iterable, optimizer: torch.optim.Optimizer | None = None,
              scheduler: torch.optim.lr_scheduler.LRScheduler | None = None, loss: Loss = cross_entropy) -> dict:
    """One pass over `batches`: training with an optimizer, evaluation without.

    Returns loss and accuracy (0 to 1) as means over examples, the number of examples, and seconds.
    Raises Diverged, naming the step, when the loss becomes infinite or not a number.
    """
    training = optimizer is not None
    model.train(training)
    start, examples, total, correct = time.perf_counter(), 0, 0.0, 0
    with torch.set_grad_enabled(training):
        for step, (images, labels) in enumerate(batches, 1):
            batch_loss, logits = loss(model, images, labels)
            value = batch_loss.item()
            if value - value != 0:  # true for infinities and nan alone
                raise Diverged(f"the loss became {value} at step {step} of the epoch: lower the learning rate, or "
                               "look for a division by zero or a logarithm of zero in the loss")
            if training:
                optimizer.zero_grad()
                batch_loss.backward()
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
            examples += len(labels)
            total += value * len(labels)
            correct += (logits.argmax(dim=1) == labels).sum().item()
    return {"loss": total / examples, "accuracy": correct / examples, "examples": examples,
            "seconds": time.perf_counter() - start}


def fit(model: nn.Module, training: Iterable, validation: Iterable, optimizer: torch.optim.Optimizer, epochs: int,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None, loss: Loss = cross_entropy) -> Iterator[dict]:
    """Train for `epochs`, evaluating after each; yields one row an epoch. Stop by leaving the loop that reads the rows.

    A row: epoch (from 1), train_loss, train_accuracy, validation_loss, validation_accuracy, lr (at the end of the
    epoch), seconds (training alone) and images_per_second. The training numbers are taken while the weights change,
    with augmentation and dropout; the validation numbers after the epoch, without.
    """
    for epoch in range(1, epochs + 1):
        train = run_epoch(model, training, optimizer, scheduler, loss)
        held_out = run_epoch(model, validation)
        yield {"epoch": epoch,
               "train_loss": train["loss"], "train_accuracy": train["accuracy"],
               "validation_loss": held_out["loss"], "validation_accuracy": held_out["accuracy"],
               "lr": optimizer.param_groups[0]["lr"],
               "seconds": train["seconds"], "images_per_second": train["examples"] / train["seconds"]}


def save_checkpoint(path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> None:
    """Write weights, optimizer and epoch beside `path` and rename, so that a crash never leaves half a file."""
    path = Path(path)
    beside = path.with_name(path.name + ".partial")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, beside)
    os.replace(beside, path)


def load_checkpoint(path: str | Path, model: nn.Module) -> int:
    """Put the weights of a checkpoint into `model`; returns the epoch after which it was written.

    Raises ValueError, naming the first tensor that differs, where the checkpoint is another network's, and then
    changes nothing; FileNotFoundError where there is none.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    theirs, ours = checkpoint["model"], model.state_dict()
    for name in dict.fromkeys([*ours, *theirs]):
        there, here = (tuple(state[name].shape) if name in state else "missing" for state in (theirs, ours))
        if there != here:
            raise ValueError(f"{path} holds another network: {name} is {there} there and {here} in this "
                             f"{type(model).__name__}; build the network with the name and options it was trained with")
    model.load_state_dict(theirs)
    return checkpoint["epoch"]
