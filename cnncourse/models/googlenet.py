"""Lesson 5: GoogLeNet, as its paper has it and as torchvision has it.

C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke, A. Rabinovich: Going deeper with
convolutions. CVPR 2015. Reproduces Table 1 and Figures 2 and 3: 6,998,552 parameters, 13,378,280 with both heads.

Departures from the paper: poolings pad by one pixel where the paper's maps need it; the initialisation, which the paper
does not give, is Xavier's with biases of 0.2, as in the authors' contemporaries' release for Caffe.
`googlenet_bn` is torchvision's network, which comes from TensorFlow; `Form` lists how it differs: 6,624,904 parameters.
The small form takes 32 x 32 images, and adds batch normalisation to the paper's table.

Shapes: images N x 3 x 224 x 224 in, logits N x num_classes out.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..layers import LocalResponseNorm
from .expected_images import Stages, expect_images

# Table 1, channels:  1x1  3x3 reduce, 3x3  5x5 reduce, 5x5  pool proj
TABLE = {
    "3a": ( 64,  ( 96, 128),  (16,  32),   32),
    "3b": (128,  (128, 192),  (32,  96),   64),
    "4a": (192,  ( 96, 208),  (16,  48),   64),
    "4b": (160,  (112, 224),  (24,  64),   64),
    "4c": (128,  (128, 256),  (24,  64),   64),
    "4d": (112,  (144, 288),  (32,  64),   64),
    "4e": (256,  (160, 320),  (32, 128),  128),
    "5a": (256,  (160, 320),  (32, 128),  128),
    "5b": (384,  (192, 384),  (48, 128),  128),
}


def conv(n_in, n_out, size, stride=1):
    """Section 5: every convolution is followed by a ReLU."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, size, stride, padding=size // 2), nn.ReLU())


def conv_bn(n_in, n_out, size, stride=1):
    return nn.Sequential(nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False),
                         nn.BatchNorm2d(n_out, eps=0.001), nn.ReLU())


class Branches(nn.ModuleList):
    """Several looks at the same map, their channels stacked."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class NaiveInception(Branches):
    """Figure 2 (a): filters of three sizes and a pooling, side by side. Pooling keeps all n_in channels: maps grow."""

    def __init__(self, n_in, n1x1, n3x3, n5x5):
        super().__init__([conv(n_in, n1x1, 1), conv(n_in, n3x3, 3), conv(n_in, n5x5, 5),
                          nn.MaxPool2d(3, 1, padding=1)])


class Inception(Branches):
    """Figure 2 (b): 1x1 convolutions squeeze the map before the 3x3 and 5x5 ones, and after the pooling."""

    def __init__(self, n_in, n1x1, n3x3, n5x5, pool_proj, conv=conv, large=5):
        (reduce3, n3), (reduce5, n5) = n3x3, n5x5
        super().__init__([
            conv(n_in, n1x1, 1),
            nn.Sequential(conv(n_in, reduce3, 1), conv(reduce3, n3, 3)),
            nn.Sequential(conv(n_in, reduce5, 1), conv(reduce5, n5, large)),
            nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(n_in, pool_proj, 1))])


def auxiliary_head(n_in, num_classes, conv, pool):
    """Section 5: a small classifier on a 14 x 14 map; its loss counts 0.3, and after training it is dropped."""
    return nn.Sequential(
        pool(),                                                       # n_in x 4 x 4
        conv(n_in, 128, 1),                                           # 128  x 4 x 4
        nn.Flatten(),
        nn.Linear(128 * 4 * 4, 1024), nn.ReLU(), nn.Dropout(0.7),     # 1024
        nn.Linear(1024, num_classes))


def head(n_in, num_classes, dropout):
    """Section 5: average pooling over the whole map, then one linear layer.

    The position of the object no longer matters, and no map size is assumed.
    """
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(n_in, num_classes))


def xavier(layer):
    nn.init.xavier_uniform_(layer.weight)
    nn.init.constant_(layer.bias, 0.2)


def narrow_normal(layer):
    nn.init.trunc_normal_(layer.weight, std=0.01)


@dataclass(frozen=True)
class Form:
    """What differs between the paper's network (the defaults) and torchvision's."""

    conv: Callable = conv
    large: int = 5                                                   # the branch that Table 1 calls 5x5
    norm: Callable = LocalResponseNorm                               # beside pool1 and pool2, as in Figure 3
    pool: Callable = lambda: nn.MaxPool2d(3, 2, padding=1)
    pool4: Callable = lambda: nn.MaxPool2d(3, 2, padding=1)
    dropout: float = 0.4                                             # Table 1, before the last layer
    auxiliary_pool: Callable = lambda: nn.AvgPool2d(5, 3)            # Section 5, in the auxiliary heads
    initial: Callable = xavier
    smallest: int = 1                                                # pixels, and up to which the last map is one
    one_pixel: int = 0


PAPER = Form()
TENSORFLOW = Form(conv_bn, large=3, norm=nn.Identity, pool=lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
                  pool4=lambda: nn.MaxPool2d(2, 2, ceil_mode=True), dropout=0.2,
                  auxiliary_pool=lambda: nn.AdaptiveAvgPool2d(4), initial=narrow_normal, smallest=15, one_pixel=46)


class GoogLeNet(Stages):
    """Table 1, one line a row. heads: build the two auxiliary heads, on 4a and 4d."""

    def __init__(self, num_classes: int = 1000, heads: bool = False, form: Form = PAPER):
        def inception(n_in, row):
            """One row of Table 1, as a module of Figure 2 (b)."""
            return Inception(n_in, *TABLE[row], conv=form.conv, large=form.large)

        super().__init__()
        self.auxiliary_heads = 2 if heads else 0
        self.conv1 = form.conv(3, 64, 7, stride=2)                             # 64   x 112 x 112, Table 1
        self.pool1 = nn.Sequential(form.pool(), form.norm())                   # 64   x 56 x 56, Table 1, Figure 3
        self.conv2 = nn.Sequential(form.conv(64, 64, 1), form.conv(64, 192, 3))    # 192  x 56 x 56, Table 1
        self.pool2 = nn.Sequential(form.norm(), form.pool())                   # 192  x 28 x 28, Table 1, Figure 3
        self.inception3a = inception(192, "3a")                                # 256  x 28 x 28, Table 1, Figure 2 (b)
        self.inception3b = inception(256, "3b")                                # 480  x 28 x 28, Table 1, Figure 2 (b)
        self.pool3 = form.pool()                                               # 480  x 14 x 14, Table 1
        self.inception4a = inception(480, "4a")                                # 512  x 14 x 14, Table 1, Figure 2 (b)
        self.inception4b = inception(512, "4b")                                # 512  x 14 x 14, Table 1, Figure 2 (b)
        self.inception4c = inception(512, "4c")                                # 512  x 14 x 14, Table 1, Figure 2 (b)
        self.inception4d = inception(512, "4d")                                # 528  x 14 x 14, Table 1, Figure 2 (b)
        self.inception4e = inception(528, "4e")                                # 832  x 14 x 14, Table 1, Figure 2 (b)
        self.pool4 = form.pool4()                                              # 832  x 7 x 7, Table 1
        self.inception5a = inception(832, "5a")                                # 832  x 7 x 7, Table 1, Figure 2 (b)
        self.inception5b = inception(832, "5b")                                # 1024 x 7 x 7, Table 1, Figure 2 (b)
        if heads:
            self.aux1 = auxiliary_head(512, num_classes, form.conv, form.auxiliary_pool)    # num_classes, Section 5
            self.aux2 = auxiliary_head(528, num_classes, form.conv, form.auxiliary_pool)    # num_classes, Section 5
        self.head = head(1024, num_classes, form.dropout)                      # num_classes, Table 1, Section 5
        fixed = heads and form is PAPER  # its heads need maps of 14 x 14, give or take a pixel
        expect_images(self, (3, 224, 224), *((209, 256) if fixed else (form.smallest, None)), form.one_pixel)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                form.initial(layer)

    def forward(self, x: Tensor, heads: bool = False) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Logits N x num_classes; with heads=True a tuple (logits, logits of the head on 4a, of the head on 4d)."""
        x = self.pool2(self.conv2(self.pool1(self.conv1(x))))
        x = self.pool3(self.inception3b(self.inception3a(x)))
        after_4a = self.inception4a(x)
        after_4d = self.inception4d(self.inception4c(self.inception4b(after_4a)))
        x = self.pool4(self.inception4e(after_4d))
        logits = self.head(self.inception5b(self.inception5a(x)))
        # "is", because torch.fx records this with a stand-in for heads, which is neither true nor false.
        return (logits, self.aux1(after_4a), self.aux2(after_4d)) if heads is True else logits


class SmallGoogLeNet(Stages):
    """Table 1 for 32 x 32 images, with batch normalisation and a stem that keeps the map's size.

    `width` is the number of channels of conv1 (the paper's 64); it scales every layer.
    """

    def __init__(self, num_classes: int = 10, width: int = 64):
        def inception(n_in, row):
            """One row of Table 1, as a module of Figure 2 (b)."""
            n1x1, n3x3, n5x5, pool_proj = TABLE[row]
            return Inception(scale(n_in), scale(n1x1), map(scale, n3x3), map(scale, n5x5), scale(pool_proj), conv_bn)

        def scale(n):
            return n * width // 64

        super().__init__(OrderedDict(
            conv1=conv_bn(3, width, 3),                             # 64   x 32 x 32, not in the paper
            conv2=conv_bn(width, 3 * width, 3),                     # 192  x 32 x 32, Table 1, without its 1x1
            pool2=nn.MaxPool2d(3, 2, padding=1),                    # 192  x 16 x 16, Table 1
            inception3a=inception(192, "3a"),                       # 256  x 16 x 16, Table 1, Figure 2 (b)
            inception3b=inception(256, "3b"),                       # 480  x 16 x 16, Table 1, Figure 2 (b)
            pool3=nn.MaxPool2d(3, 2, padding=1),                    # 480  x 8 x 8, Table 1
            inception4a=inception(480, "4a"),                       # 512  x 8 x 8, Table 1, Figure 2 (b)
            inception4b=inception(512, "4b"),                       # 512  x 8 x 8, Table 1, Figure 2 (b)
            inception4c=inception(512, "4c"),                       # 512  x 8 x 8, Table 1, Figure 2 (b)
            inception4d=inception(512, "4d"),                       # 528  x 8 x 8, Table 1, Figure 2 (b)
            inception4e=inception(528, "4e"),                       # 832  x 8 x 8, Table 1, Figure 2 (b)
            pool4=nn.MaxPool2d(3, 2, padding=1),                    # 832  x 4 x 4, Table 1
            inception5a=inception(832, "5a"),                       # 832  x 4 x 4, Table 1, Figure 2 (b)
            inception5b=inception(832, "5b"),                       # 1024 x 4 x 4, Table 1, Figure 2 (b)
            head=head(scale(1024), num_classes, 0.4)))              # num_classes, Table 1, Section 5
        expect_images(self, (3, 32, 32), one_pixel=8)


def googlenet(num_classes: int = 1000, heads: bool = False) -> GoogLeNet:
    """As printed, without the heads: 6,998,552 parameters, 1,582,671,872 MACs, images 3 x 224 x 224."""
    return GoogLeNet(num_classes, heads)


def googlenet_bn(num_classes: int = 1000, heads: bool = False) -> GoogLeNet:
    """What torchvision calls GoogLeNet: 6,624,904 parameters, 1,498,376,192 MACs, images 3 x 224 x 224."""
    return GoogLeNet(num_classes, heads, TENSORFLOW)


def googlenet_small(num_classes: int = 10, width: int = 64) -> SmallGoogLeNet:
    """Table 1 for small images: 5,979,178 parameters, 475,506,688 MACs, images 3 x 32 x 32."""
    return SmallGoogLeNet(num_classes, width)
