"""Lesson 2: the training loop. It knows nothing of models: what a network's own loss needs comes in as `loss`.

`for row in fit(...): record.append(row)`: the caller prints, plots, saves or stops.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from .loop.failures import Failed, in_a_sentence
from .loop.processes import for_evaluation
from .loop.totals import LOST, Diverged, Totals  # noqa: F401  Diverged is for those who loop over `fit`

Loss = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]


class Row(TypedDict):
    """What `fit` yields after each epoch. The training numbers are taken while the weights change, with augmentation
    and dropout; the validation numbers after the epoch, without."""

    epoch: int  # from 1
    train_loss: float
    train_accuracy: float  # 0 to 1
    validation_loss: float
    validation_accuracy: float
    lr: float  # the learning rate at the end of the epoch
    seconds: float  # of training alone
    images_per_second: float


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


@in_a_sentence
def run_epoch(model: nn.Module, batches: Iterable, optimizer: Optimizer | None = None,
              scheduler: LRScheduler | None = None, loss: Loss = cross_entropy, autocast: bool = False) -> dict:
    """One pass over `batches`: training with an optimizer, evaluation without.

    scheduler: advanced after each step. Returns loss and accuracy (0 to 1) as means over examples (of all processes),
    the number of examples, and seconds. Raises Diverged, naming the step, when the loss is not a finite number, or
    when it is above a million in training; ValueError, in one sentence, where there are no batches, or they do not go
    together with the network, the loss and the optimizer.
    """
    training = optimizer is not None
    model.train(training)
    totals = Totals(limit=LOST if training else math.inf)
    with torch.set_grad_enabled(training):
        for images, labels in batches:
            with torch.autocast(images.device.type, torch.bfloat16, enabled=autocast):
                batch_loss, logits = loss(model, images, labels)
            totals.add(batch_loss.detach(), logits.detach(), labels)
            if training:
                optimizer.zero_grad()
                batch_loss.backward()
                optimizer.step()
                if scheduler is not None:
                    scheduler.step()
    return totals.means()


def fit(model: nn.Module, training: Iterable, validation: Iterable, optimizer: Optimizer, epochs: int,
        scheduler: LRScheduler | ReduceLROnPlateau | None = None, loss: Loss = cross_entropy, autocast: bool = False,
        start: int = 0) -> Iterator[Row]:
    """Train until `epochs` are done, evaluating after each; yields a Row an epoch. Stop by leaving the loop.

    scheduler: advanced after each step, or, one that waits for a plateau, after each epoch, by the validation loss.
    start: epochs that are done already, in a training that goes on. Raises as `run_epoch`.
    """
    if not isinstance(epochs, Integral):
        raise Failed(f"epochs is a whole number, not {epochs!r}")
    plateau = isinstance(scheduler, ReduceLROnPlateau)
    for epoch in range(start + 1, epochs + 1):
        train = run_epoch(model, training, optimizer, None if plateau else scheduler, loss, autocast)
        held_out = run_epoch(for_evaluation(model), validation, autocast=autocast)
        if plateau:
            scheduler.step(held_out["loss"])
        yield Row(epoch=epoch,
                  train_loss=train["loss"], train_accuracy=train["accuracy"],
                  validation_loss=held_out["loss"], validation_accuracy=held_out["accuracy"],
                  lr=optimizer.param_groups[0]["lr"],
                  seconds=train["seconds"], images_per_second=train["examples"] / train["seconds"])
