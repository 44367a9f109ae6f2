"""Lessons 1 to 9: the papers' hyper-parameters as data, short recipes for a laptop, the profiles of the notebooks."""

from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING

from . import pick

if TYPE_CHECKING:
    from torch import nn, optim


@dataclass(frozen=True)
class Recipe:
    """How to train. `why` gives the reason of each field that is not obvious.

    lr: the (largest) learning rate. schedule: "constant"; "one_cycle" (rises to lr, then falls to zero, step by step);
    "cosine" (falls to zero along half a cosine); "steps" (multiplied by `gamma` at each of `milestones`, which are
    shares of the training, 0 to 1); or "plateau" (multiplied by `gamma` when the validation loss has not fallen for
    more than `patience` epochs). warm_up: share of the training in which the rate rises from a tenth of lr, before
    "cosine" or "steps". label_smoothing: share of each label that is spread over all classes. head_weight: what the
    loss of an auxiliary head counts, where the network has any. augment: a name in `data.AUGMENTATIONS`; None takes the
    data set's own, which leaves its classes as they are. Raises ValueError for another optimizer or schedule, and for
    rates and shares that are none.
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
    patience: int = 5
    warm_up: float = 0.0
    label_smoothing: float = 0.0
    head_weight: float = 0.3
    augment: str | None = None
    why: dict[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self):
        pick(dict.fromkeys(("sgd", "adam")), self.optimizer, "optimizer")
        pick(dict.fromkeys(("constant", "one_cycle", "cosine", "steps", "plateau")), self.schedule, "schedule")
        for name in ("lr", "momentum", "weight_decay", "gamma", "head_weight", "label_smoothing"):
            if not isinstance(getattr(self, name), Real) or not getattr(self, name) >= 0:
                raise ValueError(f"{name} is a number, 0 or more, not {getattr(self, name)!r}")
        for name, shares in (("milestones", self.milestones), ("warm_up", [self.warm_up])):
            if isinstance(shares, str | Real | None) or not all(isinstance(m, Real) and 0 <= m <= 1 for m in shares):
                raise ValueError(f"{name} is given in shares of the training, from 0 to 1, not "
                                 f"{getattr(self, name)!r}: divide epochs by those of the recipe")

    def make_optimizer(self, model: "nn.Module", fused: bool = False) -> "optim.Optimizer":
        """fused: one call updates all weights; not every device can."""
        from torch import optim

        if self.optimizer == "adam":
            return optim.Adam(model.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=fused)
        sgd = optim.SGD(model.parameters(), lr=self.lr, momentum=self.momentum, nesterov=self.nesterov,
                        weight_decay=self.weight_decay, fused=fused)
        if fused and self.momentum:  # which cannot take a weight whose first gradient comes later than that of others
            for weight in filter(lambda weight: weight.requires_grad, model.parameters()):
                sgd.state[weight]["momentum_buffer"] = weight.detach().clone().zero_()
        return sgd

    def make_scheduler(self, optimizer: "optim.Optimizer",
                       steps: int) -> "optim.lr_scheduler.LRScheduler | optim.lr_scheduler.ReduceLROnPlateau | None":
        """A schedule over `steps` optimizer steps, to be advanced after each of them; a plateau's after each epoch."""
        from torch.optim import lr_scheduler

        if self.schedule == "one_cycle" and steps > 2:  # a rise and a fall need three steps
            return lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=steps, pct_start=max(0.25, 2 / steps),
                                           cycle_momentum=False)
        if self.schedule == "plateau":
            return lr_scheduler.ReduceLROnPlateau(optimizer, factor=self.gamma, patience=self.patience)
        rise = round(self.warm_up * steps)
        if self.schedule == "steps":
            main = lr_scheduler.MultiStepLR(optimizer, [round(m * steps) - rise for m in self.milestones], self.gamma)
        elif self.schedule == "cosine":
            main = lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps - rise))
        else:
            return None
        if not rise:
            return main
        slow = lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=rise)
        return lr_scheduler.SequentialLR(optimizer, [slow, main], milestones=[rise])


LAPTOP = Recipe(
    source="this course: CIFAR-10 in twenty minutes on a laptop",
    lr=0.1, nesterov=True, weight_decay=5e-4, batch_size=128, epochs=24, schedule="one_cycle",
    why={"lr": "the ResNet paper's", "weight_decay": "the usual value for short schedules; the paper has 1e-4",
         "schedule": "one cycle reaches in 24 epochs what steps reach in many more (Smith 2018)"})
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
             "epochs": "on digits, 35 take some seconds and end near 96 % on the test writers; MNIST needs 24"}),
    "laptop": LAPTOP,
    "cifar_long": replace(
        LAPTOP, source="this course: ResNet-20 on CIFAR-10 in a third of the paper's epochs", epochs=60,
        why={"epochs": "a third of the paper's 182",
             "lr": "the paper's. Three times as much was ahead after 12 epochs (87.8 against 86.9 % on validation "
             "images, one seed each) and level after 60 (91.5 and 91.4 %, two seeds each)",
             "schedule": "at its end, when the rate is near zero, averages of the weights over 500 steps were worse "
             "than the weights themselves (86.8 against 87.8 %), and are left out"}),
    "laptop_smooth": replace(
        LAPTOP, source="this course: as laptop, with smoothed labels", label_smoothing=0.1,
        why={"label_smoothing": "the network should not become certain (Inception v3, Section 7); its training loss "
             "cannot be compared with that of other recipes"}),
    "laptop_unaugmented": replace(
        LAPTOP, source="this course: as laptop, on the training images as they are", augment="none",
        why={"augment": "to measure what augmentation does: everything else is laptop's"}),
    "laptop_gentle": replace(
        LAPTOP, source="this course: as laptop, for networks without batch normalisation", lr=0.02,
        why={"lr": "VGG-16 for small images begins to learn at 0.02 and falls back to chance on the way to 0.1"}),
    "laptop_adam": Recipe(
        source="this course: as laptop_gentle, with Adam",
        optimizer="adam", lr=3e-4, batch_size=128, epochs=24, schedule="one_cycle",
        why={"lr": "VGG-16 for small images learns at 0.0003 and falls back to chance on the way to Adam's 0.001"}),
    "alexnet": Recipe(
        source="Krizhevsky et al. 2012, Section 5",
        lr=0.01, weight_decay=5e-4, batch_size=128, epochs=90, schedule="plateau", augment="crop_flip",
        why={"weight_decay": "the paper: 'not merely a regularizer: it reduces the model's training error'",
             "schedule": "the paper divided by 10 by hand, when the validation error stopped improving, three times",
             "augment": "Section 4.1 crops 224 of 256 pixels at random, mirrors, and shifts the colours"}),
    "vgg": Recipe(
        source="Simonyan and Zisserman 2015, Section 3.1",
        lr=0.01, weight_decay=5e-4, batch_size=256, epochs=74, schedule="plateau", augment="crop_flip",
        why={"epochs": "the paper stopped after 370 K iterations, 74 epochs",
             "schedule": "the paper divided by 10 when the validation accuracy stopped improving, three times; "
             "here the validation loss decides",
             "augment": "the paper crops 224 pixels of a rescaled image at random, mirrors, and shifts the colours"}),
    "googlenet": Recipe(
        source="Szegedy et al. 2015, Section 6",
        lr=0.01, batch_size=128, epochs=250, schedule="steps", milestones=tuple(8 * i / 250 for i in range(1, 32)),
        gamma=0.96, head_weight=0.3, augment="crop_flip",
        why={"gamma": "the paper: the rate falls by 4 % every 8 epochs", "head_weight": "Section 5: a weight of 0.3",
             "lr": "the paper names neither its first rate, nor its batch size, nor its epochs; these are ours",
             "augment": "the paper crops 8 to 100 % of the area, stretched to the input; it also averages the "
             "weights of its last steps (Polyak), which is left out here"}),
    "resnet": Recipe(
        source="He et al. 2016, Section 3.4 (ImageNet)",
        lr=0.1, weight_decay=1e-4, batch_size=256, epochs=120, schedule="plateau", augment="crop_flip",
        why={"epochs": "the paper: up to 60 x 10^4 iterations of 256 images, 120 epochs",
             "schedule": "divided by 10 when the error plateaus",
             "augment": "the paper scales the shorter side to 256 to 480, crops 224, mirrors, shifts the colours"}),
    "resnet_cifar": Recipe(
        source="He et al. 2016, Section 4.2",
        lr=0.1, weight_decay=1e-4, batch_size=128, epochs=182, schedule="steps", milestones=(0.5, 0.75),
        augment="crop_flip",
        why={"milestones": "divided by 10 at 32 K and 48 K of 64 K iterations",
             "epochs": "64 K iterations of 128, of 45 K training images as here; on all 50 K they are 164 epochs",
             "augment": "4 pixels of zeros on each side, a random crop of 32, and mirroring: Section 4.2"}),
    "tutorial_resnet_steps": Recipe(
        source="a widely read tutorial on ResNet for CIFAR-10, corrected",
        lr=0.1, weight_decay=1e-4, batch_size=256, epochs=150, schedule="steps", milestones=(1 / 3, 2 / 3),
        augment="crop_flip",
        why={"milestones": "at epochs 50 and 100; the tutorial rebuilt its optimizer there and lost the momentum",
             "augment": "the tutorial padded after it had cropped, and chose its best epoch on the test images"}),
    "tutorial_adam": Recipe(
        source="a widely read tutorial on VGG, GoogLeNet and ResNet for 40 photographs, corrected",
        optimizer="adam", lr=2e-4, batch_size=8, epochs=300,
        why={"batch_size": "the tutorial took one image a step: a noisy gradient, and batch norm cannot train",
             "epochs": "its loss stayed at ln 2 = 0.69, which is chance: look at the first epochs before waiting"}),
    "tutorial_timid": Recipe(
        source="a widely read tutorial on ResNet for CIFAR-10, first run",
        lr=1e-4, batch_size=128, epochs=21,
        why={"lr": "a thousandth of the paper's: the curves look calm because hardly anything is learned",
             "augment": "none in the tutorial; the set's own is used here"}),
}


@dataclass(frozen=True)
class Profile:
    """How much a notebook does: which data, how many training images, epochs and seeds.

    cell_seconds: what `cnncourse run` lets a cell take; None lets it take for ever. minutes: of each lesson in one
    thread of the machine on which `execute.STEP` was measured, for profiles of hours.
    """

    grey: str
    colour: str
    images: int | None
    epochs: int
    seeds: int
    cell_seconds: int | None
    minutes: dict[str, float] = field(default_factory=dict)


# Minutes of laptop are measured. Those of full follow from them: as many times as there are more images, epochs, seeds
# and multiply-accumulates to train.
PROFILES = {
    "tiny": Profile(grey="digits", colour="shapes", images=1000, epochs=4, seeds=2, cell_seconds=900),
    "laptop": Profile(grey="digits", colour="shapes", images=5000, epochs=12, seeds=3, cell_seconds=4 * 3600,
                      minutes={"01": 0.5, "02": 1.3, "03": 6.8, "04": 4.5, "05": 2.1, "06": 5.9, "07": 7, "08": 0.2,
                               "09": 1.8}),
    "full": Profile(grey="mnist", colour="cifar10", images=None, epochs=30, seeds=5, cell_seconds=None,
                    minutes={"01": 220, "02": 46, "03": 850, "04": 13_000, "05": 7_100, "06": 990, "07": 7, "08": 0.2,
                             "09": 1.8}),
}


def work(profile: str, shortened: bool = False) -> Profile:
    """What a notebook does in a profile. Shortened: one epoch of 1,000 images and two seeds, which shows that a profile
    of many hours runs to its end. Raises ValueError for another profile."""
    found = pick(PROFILES, profile, "profile")
    return replace(found, images=1000, epochs=1, seeds=2) if shortened else found
