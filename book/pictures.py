"""The page "Pictures of all networks": every network of the course, drawn from its own table of stages."""

from inspect import getdoc
from itertools import groupby

import torch

from cnncourse.models import MODELS
from cnncourse.show.architecture import draw
from cnncourse.trace import Table, stages

INTRODUCTION = """# Pictures of all networks

Each block is a stage, in the order of execution from left to right. The numbers under a block are the shape of what the
stage gives, channels x rows x columns or the length of a vector, and what its blue stands for: the multiply-accumulates
(MACs) that it needs for one image or, where the key says so, its parameters. Below each picture stands the same as a
table, with parameters, memory and receptive fields. In a notebook

```python
import torch
from cnncourse.show.architecture import draw
from cnncourse.models import MODELS
from cnncourse.trace import stages

with torch.device("meta"):
    net = MODELS["vgg16"]()
draw({"VGG-16": stages(net)}, colour="parameters")
```

draws one, blue by parameters (or by `"macs"`, or by `"memory"`). More than one network in the braces stand one over the
other, on the same scales. `cnncourse compare vgg16 resnet50 --picture both.svg` does it without a notebook.
"""
PAIRS = {
    ("VGG-16 and ResNet-50", "macs"): (
        "ResNet-50 gives many more channels on equally large maps, and still computes far less: most of its "
        "convolutions are 1x1, and those with 3x3 windows work on a quarter of the channels.",
        {"VGG-16": "vgg16", "ResNet-50": "resnet50"}),
    ("AlexNet and GoogLeNet", "parameters"): (
        "Most of AlexNet's parameters sit in fc6 and fc7; GoogLeNet averages each map, and one short linear layer "
        "stands in their place.", {"AlexNet": "alexnet", "GoogLeNet": "googlenet"}),
    ("Plain 20 and ResNet-20", "macs"): (
        "Parameters and MACs are equal, because a shortcut of option A has no parameters and multiplies nothing; only "
        "its padded maps take some memory. What the residual network learns better, it does not owe to more weights.",
        {"plain-20": "plain20", "ResNet-20": "resnet20"}),
    ("LeNet-5 then and now", "parameters"): (
        "In 1998 C3 looked at some of the six maps only, sub-sampling had weights, and the output had none that were "
        "trained.", {"1998": "lenet5_1998", "today": "lenet5"}),
}


def page() -> str:
    with torch.device("meta"):
        return gallery({name: stages(factory()) for name, factory in MODELS.items()})


def gallery(tables: dict[str, Table]) -> str:
    text = [INTRODUCTION, "## Side by side\n"]
    for (title, colour), (sentence, names) in PAIRS.items():
        text.append(f"### {title}\n\n{sentence}\n")
        text.append(f"{draw({label: tables[name] for label, name in names.items()}, colour)._repr_html_()}\n")
    for file, names in groupby(MODELS, key=lambda name: MODELS[name].__module__):
        text.append(f"## Networks of `{file.rpartition('.')[2]}.py`\n")
        for name in names:
            text.append(f"### `{name}`\n\n{getdoc(MODELS[name])}\n\n{draw({name: tables[name]})._repr_html_()}\n")
    return "\n".join(text)
