"""Hyper-parameters as data: the papers' recipes, short ones for a laptop, and the profiles of the notebooks."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn, optim


@dataclass(frozen=True)
class Recipe:
    """How to train. `why` gives the reason of each field that is not obvious.

    lr: the (largest) learning rate. schedule: "constant", "one_cycle" (rises to lr, then falls to zero, step by step)
    or "steps" (multiplied by `gamma` at each of `milestones`, which are shares of the training, 0 to 1).
    augment: a name in `data.AUGMENTATIONS`; None takes the data set's own, which leaves its classes as they are.
    """

    source: str
    optimizer: str = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    batch_size: int = 128
    epochs: int = 10
    schedule: str = "constant"
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    augment: str | None = None
    why: dict[str, str] = field(default_factory=dict, compare=False)

    def make_optimizer(self, model: "nn.Module") -> "optim.Optimizer":
        from torch import optim

        if self.optimizer == "adam":
            return optim.Adam(model.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        return optim.SGD(model.parameters(), lr=self.lr, momentum=self.momentum, nesterov=self.nesterov,
                         weight_decay=self.weight_decay)

    def make_scheduler(self, optimizer: "optim.Optimizer", steps: int) -> "optim.lr_scheduler.LRScheduler | None":
        """A schedule over `steps` optimizer steps, to be advanced after each of them."""
        from torch.optim import lr_scheduler

        if self.schedule == "one_cycle" and steps > 2:  # a rise and a fall need three steps
            return lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=steps, pct_start=max(0.25, 2 / steps),
                                           cycle_momentum=False)
        if self.schedule == "steps":
            return lr_scheduler.MultiStepLR(optimizer, [round(m * steps) for m in self.milestones], self.gamma)
        return None


RECIPES = {
    "short": Recipe(
        source="this course: for networks with batch normalisation, in minutes on a laptop",
        lr=0.1, nesterov=True, weight_decay=5e-4, batch_size=64, epochs=15, schedule="one_cycle",
        why={"schedule": "one cycle reaches in 15 epochs what steps reach in many more (Smith 2018)",
             "batch_size": "small data sets need many steps more than they need large batches",
             "weight_decay": "the usual value for short schedules; the ResNet paper has 1e-4 for long ones"}),
    "adam": Recipe(
        source="this course: for networks without batch normalisation",
        optimizer="adam", lr=1e-3, batch_size=32, epochs=10, schedule="one_cycle",
        why={"optimizer": "Adam scales each weight's step, so nets without normalisation need less tuning",
             "lr": "Adam's default, reached slowly and left slowly by one cycle",
             "batch_size": "small data sets need many steps more than they need large batches"}),
    "lenet": Recipe(
        source="this course: LeNet-5 and mnist_cnn",
        optimizer="adam", lr=3e-3, batch_size=32, epochs=35, schedule="one_cycle",
        why={"lr": "three times Adam's default: a network of 60,000 weights bears it, AlexNet does not",
             "epochs": "on digits, 35 take some seconds and end near 99 % test accuracy"}),
    "alexnet": Recipe(
        source="Krizhevsky et al. 2012, Section 5",
        lr=0.01, weight_decay=5e-4, batch_size=128, epochs=90, schedule="steps", milestones=(1 / 3, 2 / 3, 0.9),
        augment="crop_flip",
        why={"weight_decay": "the paper: 'not merely a regularizer: it reduces the model's training error'",
             "milestones": "the paper divided by 10 three times, when validation stopped improving; places are ours"}),
    "vgg": Recipe(
        source="Simonyan and Zisserman 2015, Section 3.1",
        lr=0.01, weight_decay=5e-4, batch_size=256, epochs=74, schedule="steps", milestones=(0.4, 0.6, 0.8),
        augment="crop_flip",
        why={"epochs": "the paper stopped after 370 K iterations, 74 epochs",
             "milestones": "the paper divided by 10 three times, when validation stopped improving; places are ours"}),
    "resnet_cifar": Recipe(
        source="He et al. 2016, Section 4.2",
        lr=0.1, weight_decay=1e-4, batch_size=128, epochs=164, schedule="steps", milestones=(0.5, 0.75),
        augment="crop_flip",
        why={"milestones": "divided by 10 at 32 K and 48 K of 64 K iterations",
             "epochs": "64 K iterations of 128 on the paper's 45 K training images are 182 epochs; 164 on all 50 K"}),
}


@dataclass(frozen=True)
class Profile:
    """How much a notebook does: which data, how many training images, epochs and seeds."""

    grey: str
    colour: str
    images: int | None
    epochs: int
    seeds: int


PROFILES = {
    "tiny": Profile(grey="digits", colour="shapes", images=1000, epochs=4, seeds=2),
    "laptop": Profile(grey="digits", colour="shapes", images=5000, epochs=12, seeds=3),
    "full": Profile(grey="mnist", colour="cifar10", images=None, epochs=30, seeds=5),
}
