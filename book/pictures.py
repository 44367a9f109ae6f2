"""The page "Pictures of all networks": every network of the course, drawn from its own table of stages."""

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
NETWORKS = {
    "LeNet": {
        "lenet5": "LeNet-5 in today's layers: two convolutions, each with a pooling, and then vectors.",
        "lenet5_1998": "LeNet-5 as printed, where sub-sampling is trained and the output compares with drawn digits.",
        "mnist_cnn": "What tutorials call LeNet: no padding, ReLU and max pooling.",
    },
    "AlexNet": {
        "alexnet": "Two towers: each half of conv2, conv4 and conv5 sees only the channels of its own half.",
        "alexnet_single": "The two towers joined into one: the same shapes, and more to compute in three layers.",
        "alexnet_owt": "What torchvision calls AlexNet: other widths, and no normalisation.",
        "alexnet_small": "One tower for images of 32 x 32 pixels.",
    },
    "VGG": {
        "vgg11": "Column A of Table 1, the shallowest: one or two convolutions a block.",
        "vgg11_lrn": "Column A-LRN: one local response normalisation, which costs memory and helped nothing.",
        "vgg13": "Column B: two convolutions in every block.",
        "vgg16_c": "Column C: the third convolution of the last three blocks has a window of one pixel.",
        "vgg16": "Column D: the same with windows of 3x3, the VGG that most people mean.",
        "vgg19": "Column E, the deepest: four convolutions in each of the last three blocks.",
        "vgg11_bn": "Column A with batch normalisation, which came half a year later.",
        "vgg13_bn": "Column B with batch normalisation.",
        "vgg16_c_bn": "Column C with batch normalisation.",
        "vgg16_bn": "Column D with batch normalisation: more memory for outputs, hardly a parameter more.",
        "vgg19_bn": "Column E with batch normalisation.",
        "vgg11_small": "Column A for 32 x 32 pixels: five poolings leave a single one, and the head is small.",
        "vgg13_small": "Column B for small images.",
        "vgg16_small": "Column D for small images.",
        "vgg19_small": "Column E for small images.",
        "vgg11_small_bn": "Column A for small images, with batch normalisation.",
        "vgg13_small_bn": "Column B for small images, with batch normalisation.",
        "vgg16_small_bn": "Column D for small images, with batch normalisation.",
        "vgg19_small_bn": "Column E for small images, with batch normalisation.",
    },
    "GoogLeNet and Inception": {
        "googlenet": "Nine Inception modules after a stem that shrinks the map three times before the first of them.",
        "googlenet_bn": "What torchvision calls GoogLeNet: batch normalisation, and 3x3 where the paper has 5x5.",
        "googlenet_small": "The same modules for images of 32 x 32 pixels.",
        "inception_v3": "Larger images, and convolutions taken apart into rows and columns.",
    },
    "ResNet for ImageNet": {
        "resnet18": "Basic blocks of two 3x3 convolutions, two of them a stage.",
        "resnet34": "The same blocks, three to six a stage.",
        "resnet50": "As many blocks as ResNet-34, each a bottleneck that gives four times the channels.",
        "resnet101": "Seventeen bottlenecks more than ResNet-50, all of them in conv4_x.",
        "resnet152": "Deeper in conv3_x and conv4_x.",
        "resnet50_v1": "ResNet-50 as printed: the stride stands in the first 1x1 convolution, and some work is saved.",
        "resnet101_v1": "ResNet-101 as printed.",
        "resnet152_v1": "ResNet-152 as printed.",
        "plain18": "ResNet-18 without its shortcuts.",
        "plain34": "ResNet-34 without its shortcuts: deeper than plain-18, and worse.",
    },
    "ResNet for small images": {
        "resnet18_small": "ResNet-18 behind a stem that keeps the 32 x 32 pixels, as tutorials have it.",
        "resnet34_small": "ResNet-34 behind the same stem.",
        "resnet50_small": "ResNet-50 behind the same stem.",
        "resnet101_small": "ResNet-101 behind the same stem.",
        "resnet152_small": "ResNet-152 behind the same stem.",
        "resnet20": "The paper's network for CIFAR-10: three stages, three blocks each, sixteen channels at first.",
        "resnet32": "Five blocks a stage.",
        "resnet44": "Seven blocks a stage.",
        "resnet56": "Nine blocks a stage.",
        "resnet110": "Eighteen blocks a stage.",
        "plain20": "ResNet-20 without its shortcuts: the same parameters and MACs to the last digit.",
        "plain56": "ResNet-56 without its shortcuts, which the paper could not train as well as plain-20.",
    },
}


def page() -> str:
    with torch.device("meta"):
        return gallery({name: stages(factory()) for name, factory in MODELS.items()})


def gallery(tables: dict[str, Table]) -> str:
    text = [INTRODUCTION, "## Side by side\n"]
    for (title, colour), (sentence, names) in PAIRS.items():
        text.append(f"### {title}\n\n{sentence}\n")
        text.append(f"{draw({label: tables[name] for label, name in names.items()}, colour)._repr_html_()}\n")
    for title, networks in NETWORKS.items():
        text.append(f"## {title}\n")
        for name, sentence in networks.items():
            text.append(f"### `{name}`\n\n{sentence}\n\n{draw({name: tables[name]})._repr_html_()}\n")
    return "\n".join(text)
