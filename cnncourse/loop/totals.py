"""The sums of one epoch, and the look at whether its loss is still a number."""

import time

import torch
from torch import Tensor

from .failures import Failed
from .processes import summed

LOST = 1e6  # no training comes back from such a loss; evaluation with batch normalisation may, in its first epochs
EVERY = 50  # steps between two looks at the loss on a GPU, where each look makes the processor wait for it


class Diverged(ArithmeticError):
    """The loss is no number any more, or too large to come back from."""


class Totals:
    """Loss and accuracy of the batches of an epoch. limit: a loss that is not below it raises Diverged."""

    def __init__(self, limit: float):
        self.limit, self.start = limit, time.perf_counter()
        self.losses, self.sizes, self.correct = [], [], torch.zeros(())

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """loss: the mean of a batch. logits: N x classes. labels: N. Where the labels are probabilities, N x classes,
        the largest is the right answer; of an example with many, as the pixels of a map, the share that is right."""
        self.losses.append(loss)
        self.sizes.append(len(labels))
        right = logits.argmax(dim=1) == (labels.argmax(dim=1) if labels.shape == logits.shape else labels)
        self.correct = self.correct.to(labels.device) + right.float()[:, None].flatten(1).mean(dim=1).sum()
        if labels.device.type == "cpu":
            self.require_below_limit(1)
        elif len(self.losses) % EVERY == 0:
            self.require_below_limit(EVERY)

    def require_below_limit(self, latest: int) -> None:
        """Raises Diverged, naming the step, where one of the latest losses is no number, or not below the limit."""
        if not (torch.stack(self.losses[-latest:]) < self.limit).all():
            step, value = next((i, v.item()) for i, v in enumerate(self.losses, 1) if not v < self.limit)
            raise Diverged(f"the loss became {value:.3g} at step {step} of the epoch: lower the learning rate, or "
                           "look for NaN in the images, a batch of none, or a division by zero or a logarithm of zero "
                           "in the loss")

    def means(self) -> dict:
        """Loss and accuracy as means over the examples of all processes, their number, and seconds since the start.
        Raises Failed where there were none."""
        values = []
        if self.losses:  # a process may have no share of a small set
            self.require_below_limit(EVERY)
            values = torch.stack(self.losses).flatten().tolist()  # PyTorch takes a vector of one as well
        loss = sum(n * value for n, value in zip(self.sizes, values, strict=True))
        loss, correct, examples = summed([loss, float(self.correct), sum(self.sizes)])
        if not examples:
            raise Failed("there were no batches: give images, in something that can be iterated in every epoch")
        return {"loss": loss / examples, "accuracy": correct / examples, "examples": int(examples),
                "seconds": time.perf_counter() - self.start}
