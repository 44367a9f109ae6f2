"""Lesson 4: VGG.

K. Simonyan, A. Zisserman: Very deep convolutional networks for large-scale image recognition. ICLR 2015.
Reproduces Table 1, all six columns, and the parameter counts of Table 2.

Departures from the paper: weights start from He's initialisation as in torchvision (Section 3.1 draws from a normal
distribution of variance 0.01, and starts deep nets from a trained net A); the `_bn` forms add batch normalisation,
which came half a year later. The small forms, for 32 x 32 images, replace the 123 million parameters of the head by two
hidden layers of 512.

Shapes: images N x 3 x 224 x 224 in, logits N x num_classes out.
"""

from collections import OrderedDict
from inspect import getdoc

from torch import nn

from .. import pick
from ..layers import LocalResponseNorm
from .expected_images import Stages, expect_images

# Table 1 in the paper's notation: "3-64" is a 3x3 convolution with 64 output channels. A 2x2 pooling ends each block.
CONFIGS = {
    "A":     ("3-64",      "3-128",       "3-256 3-256",             "3-512 3-512",             "3-512 3-512"),
    "A-LRN": ("3-64 LRN",  "3-128",       "3-256 3-256",             "3-512 3-512",             "3-512 3-512"),
    "B":     ("3-64 3-64", "3-128 3-128", "3-256 3-256",             "3-512 3-512",             "3-512 3-512"),
    "C":     ("3-64 3-64", "3-128 3-128", "3-256 3-256 1-256",       "3-512 3-512 1-512",       "3-512 3-512 1-512"),
    "D":     ("3-64 3-64", "3-128 3-128", "3-256 3-256 3-256",       "3-512 3-512 3-512",       "3-512 3-512 3-512"),
    "E":     ("3-64 3-64", "3-128 3-128", "3-256 3-256 3-256 3-256", "3-512 3-512 3-512 3-512", "3-512 3-512 3-512 3-512"),  # noqa: E501
}


def conv(n_in, n_out, size, batch_norm):
    norm = [nn.BatchNorm2d(n_out)] if batch_norm else []
    return [nn.Conv2d(n_in, n_out, size, padding=size // 2), *norm, nn.ReLU()]


def block(n_in, entries, width, batch_norm):
    """Section 2.1: convolutions that keep the map's size, then a 2x2 pooling that halves it."""
    layers = []
    for entry in entries.split():
        if entry == "LRN":
            layers.append(LocalResponseNorm())
        else:
            size, n_out = map(int, entry.split("-"))
            layers += conv(n_in, n_out * width // 64, size, batch_norm)
            n_in = n_out * width // 64
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def head(n_in, hidden, num_classes):
    """Section 2.1: three fully connected layers; Section 3.1: dropout of one half after the first two."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(n_in, hidden), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(hidden, num_classes))


class VGG(Stages):
    """One column of Table 1. width: channels of block 1, the paper's 64, with which all layers grow or shrink. hidden:
    units of the first two layers of the head. he_init: start from He's initialisation; False keeps PyTorch's own, from
    which deep nets without norm do not learn.
    """

    def __init__(self, config: str, num_classes: int = 1000, batch_norm: bool = False, size: int = 224,
                 hidden: int = 4096, width: int = 64, he_init: bool = True):
        side = size // 32  # of the last map, after five poolings
        if side < 1:
            raise ValueError(f"five poolings halve the map five times: VGG needs size=32 or more, not {size}")
        w1, w2, w3, w4 = (n * width // 64 for n in (64, 128, 256, 512))
        b1, b2, b3, b4, b5 = pick(CONFIGS, config, "configuration of Table 1")
        super().__init__(OrderedDict(
            block1=block(3, b1, width, batch_norm),                                # 64  x 112 x 112, Table 1
            block2=block(w1, b2, width, batch_norm),                               # 128 x 56 x 56, Table 1
            block3=block(w2, b3, width, batch_norm),                               # 256 x 28 x 28, Table 1
            block4=block(w3, b4, width, batch_norm),                               # 512 x 14 x 14, Table 1
            block5=block(w4, b5, width, batch_norm),                               # 512 x 7 x 7, Table 1
            head=head(w4 * side**2, hidden * width // 64, num_classes)))           # num_classes, Table 1, Section 2.1
        expect_images(self, (3, size, size), smallest=32 * side, largest=32 * side + 31)
        if he_init:
            initialise(self)


def initialise(net: VGG) -> None:
    """He et al. 2015, as in torchvision: variance 2 / (outputs of a weight's kernel) for convolutions."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)


# Five poolings leave a 1 x 1 map. Tutorials have this head for CIFAR-10, and hidden=4096 for CIFAR-100's 100 classes.
SMALL = {"size": 32, "hidden": 512, "num_classes": 10}


def factory(counts, config, batch_norm=False):
    """A function that builds this column of Table 1; its docstring says what it counts."""
    def build(num_classes: int = 1000, he_init: bool = True) -> VGG:
        return VGG(config, num_classes, batch_norm, he_init=he_init)

    column = config + " with batch normalisation" * batch_norm
    build.__doc__ = f"Column {column}: {counts}, images 3 x 224 x 224.\n\n{getdoc(VGG)}"
    return build


def small_factory(counts, config, batch_norm=False):
    """The same for small images."""
    def build(num_classes: int = 10, width: int = 64, hidden: int = 512, he_init: bool = True) -> VGG:
        net = VGG(config, num_classes, batch_norm, SMALL["size"], hidden, width, he_init)
        for layer in net.head if he_init else ():
            if isinstance(layer, nn.Linear):  # N(0, 0.01) suits 4096 units; after 512 or fewer the signal would vanish
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        return net

    column = config + " with batch normalisation" * batch_norm
    build.__doc__ = f"Column {column}: {counts}, images 3 x 32 x 32.\n\n{getdoc(VGG)}"
    return build


vgg11 = factory("132,863,336 parameters, 7,609,090,048 MACs", "A")
vgg11_lrn = factory("132,863,336 parameters, 7,609,090,048 MACs", "A-LRN")
vgg13 = factory("133,047,848 parameters, 11,308,466,176 MACs", "B")
vgg16_c = factory("133,638,952 parameters, 11,770,888,192 MACs", "C")
vgg16 = factory("138,357,544 parameters, 15,470,264,320 MACs", "D")
vgg19 = factory("143,667,240 parameters, 19,632,062,464 MACs", "E")
vgg11_bn = factory("132,868,840 parameters, 7,609,090,048 MACs", "A", batch_norm=True)
vgg13_bn = factory("133,053,736 parameters, 11,308,466,176 MACs", "B", batch_norm=True)
vgg16_bn = factory("138,365,992 parameters, 15,470,264,320 MACs", "D", batch_norm=True)
vgg19_bn = factory("143,678,248 parameters, 19,632,062,464 MACs", "E", batch_norm=True)
vgg11_small = small_factory("9,750,922 parameters, 153,293,824 MACs", "A")
vgg13_small = small_factory("9,935,434 parameters, 228,791,296 MACs", "B")
vgg16_small = small_factory("15,245,130 parameters, 313,725,952 MACs", "D")
vgg19_small = small_factory("20,554,826 parameters, 398,660,608 MACs", "E")
vgg11_small_bn = small_factory("9,756,426 parameters, 153,293,824 MACs", "A", batch_norm=True)
vgg13_small_bn = small_factory("9,941,322 parameters, 228,791,296 MACs", "B", batch_norm=True)
vgg16_small_bn = small_factory("15,253,578 parameters, 313,725,952 MACs", "D", batch_norm=True)
vgg19_small_bn = small_factory("20,565,834 parameters, 398,660,608 MACs", "E", batch_norm=True)
