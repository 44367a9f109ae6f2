"""Lesson 3: AlexNet.

A. Krizhevsky, I. Sutskever, G. Hinton: ImageNet classification with deep convolutional neural networks. NIPS 2012.
Reproduces Figure 2 and Section 3.5: five convolutions and three fully connected layers, 60,965,224 parameters.

The two GPUs are written as two groups in conv2, conv4 and conv5: each half of the channels sees only its own half.
`alexnet_single` joins the halves: 62,378,344 parameters.
Departures from the paper: the input is 227 x 227 (with 224 and no padding conv1 gives maps of 54 x 54, not of the
paper's 55 x 55).
`alexnet_owt` is another network, the one that torchvision calls AlexNet: A. Krizhevsky: One weird trick for
parallelizing convolutional neural networks. arXiv:1404.5997, 2014. Other widths, padding in conv1, no normalisation,
dropout before the layers instead of after them; 61,100,840 parameters, initialised as PyTorch does by default. Its
conv4 has 256 channels, as in the author's released code, where that paper's footnote 1 names 384.
The small form has one tower's channels, hidden layers of 512 units where a tower has 2048, a stem for 32 x 32 images,
and He initialisation.

Shapes: images N x 3 x 227 x 227 (`alexnet_owt`: 224 x 224) in, logits N x num_classes out.
"""

from collections import OrderedDict

from torch import nn

from ..layers import LocalResponseNorm
from .expected_images import Stages, expect_images


def conv(n_in, n_out, size, stride=1, padding=0, groups=1):
    return nn.Sequential(nn.Conv2d(n_in, n_out, size, stride, padding, groups=groups), nn.ReLU())


def fully_connected(n_in, n_out):
    """Section 4.2: dropout of one half on the outputs of the first two fully connected layers."""
    return nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(0.5))


class AlexNet(Stages):
    """Figure 2 and Section 3.5. Pooling windows of 3 overlap, because they step by 2 (Section 3.4)."""

    def __init__(self, num_classes: int = 1000, groups: int = 2):
        super().__init__(OrderedDict(
            conv1=conv(3, 96, 11, stride=4),                                 # 96  x 55 x 55, Figure 2
            norm1=LocalResponseNorm(),                                       # 96  x 55 x 55, Section 3.3
            pool1=nn.MaxPool2d(3, 2),                                        # 96  x 27 x 27, Section 3.4
            conv2=conv(96, 256, 5, padding=2, groups=groups),                # 256 x 27 x 27, Figure 2
            norm2=LocalResponseNorm(),                                       # 256 x 27 x 27, Section 3.3
            pool2=nn.MaxPool2d(3, 2),                                        # 256 x 13 x 13, Section 3.4
            conv3=conv(256, 384, 3, padding=1),                              # 384 x 13 x 13, Figure 2, sees both GPUs
            conv4=conv(384, 384, 3, padding=1, groups=groups),               # 384 x 13 x 13, Figure 2
            conv5=conv(384, 256, 3, padding=1, groups=groups),               # 256 x 13 x 13, Figure 2
            pool5=nn.MaxPool2d(3, 2),                                        # 256 x 6 x 6, Section 3.4
            fc6=nn.Sequential(nn.Flatten(), *fully_connected(256 * 6 * 6, 4096)),  # 4096, Section 4.2
            fc7=fully_connected(4096, 4096),                                 # 4096, Section 4.2
            fc8=nn.Linear(4096, num_classes)))                               # num_classes, Figure 2
        expect_images(self, (3, 227, 227), smallest=227, largest=258)
        initialise(self)


class OneWeirdTrick(Stages):
    """Not in the paper but in "One weird trick" (2014), with torchvision's dropout on the inputs of fc6 and fc7."""

    def __init__(self, num_classes: int = 1000):
        super().__init__(OrderedDict(
            conv1=conv(3, 64, 11, stride=4, padding=2),                      # 64  x 55 x 55, not in the paper
            pool1=nn.MaxPool2d(3, 2),                                        # 64  x 27 x 27, not in the paper
            conv2=conv(64, 192, 5, padding=2),                               # 192 x 27 x 27, not in the paper
            pool2=nn.MaxPool2d(3, 2),                                        # 192 x 13 x 13, not in the paper
            conv3=conv(192, 384, 3, padding=1),                              # 384 x 13 x 13, not in the paper
            conv4=conv(384, 256, 3, padding=1),                              # 256 x 13 x 13, not in the paper
            conv5=conv(256, 256, 3, padding=1),                              # 256 x 13 x 13, not in the paper
            pool5=nn.MaxPool2d(3, 2),                                        # 256 x 6 x 6, not in the paper
            fc6=nn.Sequential(nn.Flatten(), nn.Dropout(0.5),
                              nn.Linear(256 * 6 * 6, 4096), nn.ReLU()),      # 4096, not in the paper
            fc7=nn.Sequential(nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU()),  # 4096, not in the paper
            fc8=nn.Linear(4096, num_classes)))                               # num_classes, not in the paper
        expect_images(self, (3, 224, 224), smallest=223, largest=254)


class SmallAlexNet(Stages):
    """One tower of Figure 2 for 32 x 32 images: the same order of layers, a stem that does not shrink the map."""

    def __init__(self, num_classes: int = 10):
        super().__init__(OrderedDict(
            conv1=conv(3, 48, 5, padding=2),                                 # 48  x 32 x 32, not in the paper
            norm1=LocalResponseNorm(),                                       # 48  x 32 x 32, Section 3.3
            pool1=nn.MaxPool2d(3, 2),                                        # 48  x 15 x 15, Section 3.4
            conv2=conv(48, 128, 5, padding=2),                               # 128 x 15 x 15, Figure 2
            norm2=LocalResponseNorm(),                                       # 128 x 15 x 15, Section 3.3
            pool2=nn.MaxPool2d(3, 2),                                        # 128 x 7 x 7, Section 3.4
            conv3=conv(128, 192, 3, padding=1),                              # 192 x 7 x 7, Figure 2
            conv4=conv(192, 192, 3, padding=1),                              # 192 x 7 x 7, Figure 2
            conv5=conv(192, 128, 3, padding=1),                              # 128 x 7 x 7, Figure 2
            pool5=nn.MaxPool2d(3, 2),                                        # 128 x 3 x 3, Section 3.4
            fc6=nn.Sequential(nn.Flatten(), *fully_connected(128 * 3 * 3, 512)),  # 512, not in the paper
            fc7=fully_connected(512, 512),                                   # 512, not in the paper
            fc8=nn.Linear(512, num_classes)))                                # num_classes, Figure 2
        expect_images(self, (3, 32, 32), smallest=31, largest=38)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)


def initialise(net: AlexNet) -> None:
    """Section 5: weights from N(0, 0.01); biases of 1 in conv2, conv4, conv5 and the hidden fully connected layers."""
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"):
        for layer in net.get_submodule(name).modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.constant_(layer.bias, float(name in {"conv2", "conv4", "conv5", "fc6", "fc7"}))


def alexnet(num_classes: int = 1000) -> AlexNet:
    """Two towers, as printed: 60,965,224 parameters, 724,406,816 MACs, images 3 x 227 x 227."""
    return AlexNet(num_classes)


def alexnet_single(num_classes: int = 1000) -> AlexNet:
    """The two towers joined into one: 62,378,344 parameters, 1,135,256,096 MACs, images 3 x 227 x 227."""
    return AlexNet(num_classes, groups=1)


def alexnet_owt(num_classes: int = 1000) -> OneWeirdTrick:
    """What torchvision calls AlexNet: 61,100,840 parameters, 714,188,480 MACs, images 3 x 224 x 224."""
    return OneWeirdTrick(num_classes)


def alexnet_small(num_classes: int = 10) -> SmallAlexNet:
    """One tower for small images: 1,790,154 parameters, 77,036,544 MACs, images 3 x 32 x 32."""
    return SmallAlexNet(num_classes)
