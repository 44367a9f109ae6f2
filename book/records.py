"""The page "Recorded runs": what the course has trained for hours, from the records that it ships."""

import shlex
from pathlib import Path

import torch

from cnncourse.models import MODELS
from cnncourse.plots import bought, curves
from cnncourse.runs.record import Record
from cnncourse.runs.shipped import recorded, summary
from cnncourse.trace import costs

FIGURES = Path(__file__).parent / "records"
INTRODUCTION = """# Recorded runs

A lesson trains for seconds. What takes hours has been run once, on the real data, and recorded: each run is a small
file with its recipe, its seed, the rows of its curve, the versions of the packages, the machine, and a fingerprint of
the network's code. `cnncourse records` lists them and says which no longer show what the recipe and the code of today
would give; a test refuses to ship such a record. The lessons draw them beside their own short runs.

Accuracies are means over the seeds, with the lowest and the highest in brackets. Those in training are of the last
epoch, with its augmentation and its dropout; the test images of each run were looked at once, at the end. Minutes
are those of training, most of them on one core of a shared machine. Each seed leads to its whole record.
"""
# Title: (what the runs say, what the figure shows, whether a run belongs here).
BOUGHT = """## What accuracy was bought with

Lesson 7. All runs on CIFAR-10 with augmentation from a start that learns, against three prices: epochs, the
multiply-accumulates of all steps (three times those of an image forwards), and hours, which are those of shared
machines with one to four cores. A point is the mean of the seeds; a line goes from the lowest to the highest.

```{image} records/bought.svg
:alt: Three panels with the same points: test accuracy against epochs, multiply-accumulates and hours. Points that lie \
one above the other at ten epochs lie far apart in multiply-accumulates; longer runs of ResNet-20 lie above dearer \
ones of larger networks.
```
"""
FAST = """## What bfloat16 changes

With `--fast`, `cnncourse train` compiles the network, and computes its convolutions in bfloat16 where the processor
can. Ten epochs of ResNet-20 by the recipe `laptop`, seeds 0, 1 and 2, end at 85.75, 85.31 and 85.84 % of the test
images in float32, as above, and at 85.91, 85.94 and 85.50 % so. The means, 85.6 and 85.8 %, lie closer together than
the seeds of either do. The second three are not among the records. This makes the first of them again:

```
cnncourse train resnet20 --data cifar10 --recipe laptop --epochs 10 --fast --seed 0 --out DIRECTORY
```
"""
PUBLISHED = """## What others have published

Test accuracy in per cent on CIFAR-10, as each source says. No two of them count alike: they differ in the number
of training images, in the epoch that is taken, and in the images by which it is chosen.

| source | what it is | ResNet-20 | ResNet-56 |
|---|---|---|---|
| He et al. 2016, Table 6 | 64,000 steps of 128 images | 91.25 | 93.03 |
| the repository `chenyaofo/pytorch-cifar-models`, its logs | one run, 200 epochs of 50,000 images, last epoch, \
projections for shortcuts | 92.56 | 94.21 |
| `akamaster/pytorch_resnet_cifar10`, its README | 200 epochs, the epoch that is best on the *test* images | 91.73 | \
93.39 |
| the same, issue 18 | six runs of one recipe by a reader, best epochs | | 91.58, 92.05, 92.60, 92.60, 92.71, 93.11 |
| the same, issue 28 | a reader's run | 88.73 | |
| `KellerJordan/ResNet-PyTorch-CIFAR10`, its README | one run | | 91.69 |

Six runs of one recipe lie 1.5 points apart. A difference of half a point between two single numbers of this table says
nothing about their recipes.

`cnncourse verify resnet20` says of runs, those recorded here or your own, whether they agree with the paper. It takes
the spread from the paper: five trainings of ResNet-110 have a deviation of 0.16 points (Table 6). A mean of n other
trainings then lies, 95 times of 100, within 2.78 x 0.16 x √(1 + 1/n) points of the paper's single number, 2.78 being
Student's t for five trainings. That ResNet-20 spreads as ResNet-110 does is an assumption.
"""
COPIES = """## Near copies across the splits

A test image that is a copy of a training image asks for nothing but memory. So for each test and validation image we
searched for the nearest training image, as it is and mirrored: nearest by the mean difference of their pixels, in grey
levels of 255. The columns count the images whose nearest is equal, and those whose nearest is at most 5, 10 and 15
levels away.

| set, part | images | as it is: 0, 5, 10, 15 | mirrored: 0, 5, 10, 15 |
|---|---|---|---|
| digits, test | 382 | 0, 0, 2, 47 | 0, 0, 0, 9 |
| digits, validation | 258 | 0, 0, 5, 36 | 0, 0, 0, 6 |
| shapes, test | 1,000 | 0, 0, 0, 0 | 0, 0, 0, 0 |
| shapes, validation | 1,000 | 0, 0, 0, 0 | 0, 0, 0, 0 |
| MNIST, test | 10,000 | 0, 995, 2,895, 7,318 | 0, 162, 865, 1,587 |
| MNIST, validation | 5,000 | 0, 484, 1,517, 3,729 | 0, 76, 428, 794 |
| Fashion-MNIST, test | 10,000 | 0, 61, 1,697, 4,982 | 0, 10, 525, 2,770 |
| Fashion-MNIST, validation | 5,000 | 0, 34, 831, 2,494 | 0, 4, 255, 1,338 |
| CIFAR-10, test | 10,000 | 0, 1, 32, 236 | 0, 6, 27, 116 |
| CIFAR-10, validation | 5,000 | 0, 0, 6, 111 | 0, 2, 11, 61 |

No image has an equal on another side. Near is not yet copied: two ones on black ground, two trousers or two clear
skies are close though nobody copied them, so the columns for MNIST and Fashion-MNIST mostly count what is alike. A
copy also has its bright and dark places where the original has them. In CIFAR-10, 43 test images as they are and 14
mirrored lie within 15 levels *and* correlate with their neighbour by more than 0.95 (validation: 22 and 10). We
looked at the first 26 of the 43 and at all 14: they show the same photograph, but for one pair of the 14. The nearest
are mirrored: test image 4838 of training image 43583, 6341 of 10991, 3187 of 41581, 4602 of 21989, 7817 of 38842, as
`data.load` counts them.

The effect is small. These 57 images move the accuracy by 0.57 points if a network knows all of them from memory
alone; of one that is right on nine images in ten anyhow, by 0.06. {cite:t}`barz2020` searched CIFAR with the features
of a network and with their own eyes: 3.3 % of the test images of CIFAR-10 and 10 % of those of CIFAR-100 are near
copies to them. Other crops and colours of one photograph, which they count too, are not found by comparing pixels.
CIFAR-100 was not searched here.
"""
SECTIONS = {
    "LeNet-5": (
        "The same network and the same recipe on digits and on pieces of clothing: the second task is harder.",
        "Loss and accuracy over 24 epochs. Digits are ahead of clothing from the first epoch to the last.",
        lambda config: config["model"] == "lenet5"),
    "Depth, with shortcuts and without": (
        "Lesson 6. The plain network of 56 layers is worse than the one of 20, on the training images too. With "
        "shortcuts the order turns round. Every pair of seeds agrees.",
        "Loss and accuracy over ten epochs for four networks. From best to worst: ResNet-56, ResNet-20, plain-20 "
        "and, far behind, plain-56.",
        lambda config: config["model"] in ("plain20", "plain56", "resnet20", "resnet56") and
        config["recipe_name"] == "laptop" and config["recipe"]["epochs"] == 10),
    "What augmentation does": (
        "Lesson 3. Without it the network knows its training images far better than new ones; with it, "
        "the number in training, which is of shifted pictures, is close to that of new ones.",
        "Loss and accuracy over ten epochs, with augmentation and without. Without it the dashed training curve and "
        "the solid validation curve part; with it they stay close together.",
        lambda config: config["model"] == "resnet20" and config["recipe"]["epochs"] == 10),
    "AlexNet": (
        "Lesson 3. One tower for small images, from He's start. Training is measured with dropout and augmentation at "
        "work, and meets validation in the last epoch.",
        "Loss and accuracy over ten epochs; the dashed training curve begins on the worse side of the solid one and "
        "meets it in the last.",
        lambda config: config["model"] == "alexnet_small"),
    "GoogLeNet": (
        "Lesson 5. All the channels of Table 1, on small images. Validation is ahead in the first epoch, when the "
        "training number is a mean over fast progress, and behind at the end.",
        "Loss and accuracy over ten epochs. The solid validation curve begins on the better side of the dashed "
        "training curve, stands still in the fourth and fifth epoch, and ends a few points away on the worse side.",
        lambda config: config["model"] == "googlenet_small"),
    "ResNet-20 for longer": (
        "Lesson 7. The recipe `laptop` with its own 24 epochs; the runs above stop it at ten.",
        "Loss and accuracy of ResNet-20 over 24 epochs. Training ends a few points above validation.",
        lambda config: config["recipe_name"] == "laptop" and config["recipe"]["epochs"] == 24),
    "Beside the paper's accuracy, in a third of its epochs": (
        "Lesson 6. The paper reports 91.25 % for this network after 182 epochs of these images. With a rate that rises "
        "once and falls to zero, 60 are enough in the mean of three seeds; the lowest stays below. This is a second "
        "look at the test images: a first recipe, with three times the rate, had come to 91.2 % (two seeds), and "
        "neither there nor on the validation images can the two be told apart. Weights of one run come with the "
        "course: `weights.trained(\"resnet20\")`.",
        "Loss and accuracy of ResNet-20 over 60 epochs. Validation swings by many points while the rate is high, and "
        "rises steadily in the last third.",
        lambda config: config["recipe_name"] == "cifar_long"),
    "The paper's own recipe, in full": (
        "Lesson 6. 182 epochs of ResNet-20 as the paper describes them, one seed. For 91 epochs at a rate of 0.1 "
        "validation stays below 88 %; the first epoch at 0.01 gains more than six points. After the second division of "
        "the rate, in epoch 137, training still rises, validation by a few tenths of a point at most. "
        "`cnncourse verify resnet20` sets the result beside the paper's.",
        "Loss and accuracy of ResNet-20 over 182 epochs. Validation swings for the first half, below 88 percent, jumps "
        "to 91 in one epoch, and stays there; training rises on to 99.",
        lambda config: config["recipe_name"] == "resnet_cifar"),
    "VGG-16 from three starts, with SGD": (
        "Lesson 4. From PyTorch's default start the loss stays at ln 10, that of guessing; from He's start the network "
        "learns, and with batch normalisation it learns faster: every pair of seeds agrees in accuracy, in "
        "every epoch.",
        "Loss and accuracy over ten epochs. The default start gives two horizontal lines at the level of guessing; "
        "He's start learns, and batch normalisation is ahead of it.",
        lambda config: config["model"].startswith("vgg16") and config["recipe_name"] == "laptop_gentle"),
    "VGG-16 from three starts, with Adam": (
        "Lesson 4. With Adam the default start leaves the line in the first epoch, and stays behind the other two.",
        "Loss and accuracy over ten epochs. All three starts learn. The default start is last in accuracy in every "
        "epoch, and He's start is first from the third.",
        lambda config: config["model"].startswith("vgg16") and config["recipe_name"] == "laptop_adam"),
}


def page() -> str:
    FIGURES.mkdir(exist_ok=True)
    parts, every, shown = [INTRODUCTION], recorded(), []
    for number, (title, (words, picture, belongs)) in enumerate(SECTIONS.items(), 1):
        runs = [record for record in every if belongs(record.config)]
        shown += runs
        for record in runs:
            record.config["label"] = name(record, runs)
        curves(runs).savefig(FIGURES / f"{number}.svg")
        parts += [f"## {title}\n\n{words}\n", f"```{{image}} records/{number}.svg\n:alt: {picture}\n```\n",
                  table(runs)]
    if left := [record.name for record in every if record not in shown]:
        raise ValueError(f"no section of book/records.py shows {', '.join(left)}")
    draw_bought([record for record in every if record.config["data"] == "cifar10" and not record.config["options"]
                 and record.config["recipe_name"] != "laptop_unaugmented"])
    return "\n".join([*parts, FAST, BOUGHT, PUBLISHED, COPIES])


def draw_bought(runs: list[Record]) -> None:
    for record in runs:
        record.config["label"] = f"{name(record, [record])}, {record.config['recipe_name']}, {len(record.rows)} epochs"
    with torch.device("meta"):
        macs = {model: costs(MODELS[model]()).macs for model in {record.config["model"] for record in runs}}
    bought(runs, macs).savefig(FIGURES / "bought.svg")


def name(record: Record, runs: list[Record]) -> str:
    """What tells the runs of a section apart: the network, its options, and data and recipe where they differ."""
    config = record.config
    words = [config["model"], *(f"{key}={value}".lower() for key, value in config["options"].items())]
    return ", ".join(words + [config[key] for key in ("data", "recipe_name") if len({r.config[key] for r in runs}) > 1])


def table(runs: list[Record]) -> str:
    lines = ["| network | seeds | in training | on test images | minutes | on |", "|---|---|---|---|---|---|"]
    commands = {}
    for row in summary(runs):
        group = [record for record in runs if record.series == row.run]
        seeds = ", ".join(f"{{download}}`{record.config['seed']} <../cnncourse/runs/records/{record.name}.json>`"
                          for record in group)
        lines.append(f"| {name(group[0], runs)} | {seeds} | {row.training} | {row.test} | {row.minutes} | {row.on} |")
        commands[command(group[0])] = None
    return "\n".join([*lines, "", "```", *commands, "```", ""])


def command(record: Record) -> str:
    """The one that has made it, and makes it again."""
    config = record.config
    words = ["cnncourse", "train", config["model"], "--data", config["data"], "--recipe", config["recipe_name"],
             "--epochs", str(config["recipe"]["epochs"])]
    for key, value in config["options"].items():
        words += ["--option", f"{key}={str(value).lower()}"]
    return shlex.join([*words, *["--autocast"] * config["speed"]["autocast"], "--seed", "0", "--out", "DIRECTORY"])
