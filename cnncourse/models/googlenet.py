"""GoogLeNet.

C. Szegedy, W. Liu, Y. Jia, P. Sermanet, S. Reed, D. Anguelov, D. Erhan, V. Vanhoucke, A. Rabinovich: Going deeper with
convolutions. CVPR 2015. Reproduces Table 1 and Figures 2 (b) and 3: 6,998,552 parameters, 13,378,280 with both heads.

Departures from the paper: poolings pad by one pixel where the paper's maps need it; the initialisation, which the paper
does not give, is Xavier's with biases of 0.2, as in the authors' contemporaries' release for Caffe.
The small form takes 32 x 32 images, and adds batch normalisation, which the paper did not have.

Shapes: images N x 3 x 224 x 224 in, logits N x num_classes out.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from ..layers import LocalResponseNorm

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


def conv(n_in, n_out, size, stride=1, batch_norm=False):
    norm = [nn.BatchNorm2d(n_out)] if batch_norm else []
    return nn.Sequential(nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=not batch_norm), *norm, nn.ReLU())


class Inception(nn.Module):
    """Figure 2 (b): four looks at the same map, their channels stacked; 1x1 convolutions squeeze before 3x3 and 5x5."""

    def __init__(self, n_in, n1x1, n3x3, n5x5, pool_proj, batch_norm=False):
        super().__init__()
        (reduce3, n3), (reduce5, n5) = n3x3, n5x5
        self.branch1 = conv(n_in, n1x1, 1, batch_norm=batch_norm)
        self.branch2 = nn.Sequential(conv(n_in, reduce3, 1, batch_norm=batch_norm),
                                     conv(reduce3, n3, 3, batch_norm=batch_norm))
        self.branch3 = nn.Sequential(conv(n_in, reduce5, 1, batch_norm=batch_norm),
                                     conv(reduce5, n5, 5, batch_norm=batch_norm))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1),
                                     conv(n_in, pool_proj, 1, batch_norm=batch_norm))
        self.n_out = n1x1 + n3 + n5 + pool_proj

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


def auxiliary_head(n_in, num_classes):
    """Section 5: a small classifier on a 14 x 14 map; its loss counts 0.3, and after training it is dropped."""
    return nn.Sequential(
        nn.AvgPool2d(5, 3),                                           # n_in x 4 x 4
        conv(n_in, 128, 1),                                           # 128  x 4 x 4
        nn.Flatten(),
        nn.Linear(128 * 4 * 4, 1024), nn.ReLU(), nn.Dropout(0.7),  # 1024
        nn.Linear(1024, num_classes))


def head(n_in, num_classes):
    """Average pooling over the whole map: the position of the object no longer matters, and no map size is assumed."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(n_in, num_classes))


class GoogLeNet(nn.Module):
    """Table 1, one line a row. `heads=True` builds the two auxiliary classifiers, on 4a and 4d."""

    def __init__(self, num_classes: int = 1000, heads: bool = False):
        super().__init__()
        self.conv1 = conv(3, 64, 7, stride=2)                                      # 64   x 112 x 112
        self.pool1 = nn.Sequential(nn.MaxPool2d(3, 2, padding=1), LocalResponseNorm())  # 64 x 56 x 56
        self.conv2 = nn.Sequential(conv(64, 64, 1), conv(64, 192, 3))              # 192  x 56 x 56
        self.pool2 = nn.Sequential(LocalResponseNorm(), nn.MaxPool2d(3, 2, padding=1))  # 192 x 28 x 28
        self.inception3a = Inception(192, *TABLE["3a"])                            # 256  x 28 x 28
        self.inception3b = Inception(256, *TABLE["3b"])                            # 480  x 28 x 28
        self.pool3 = nn.MaxPool2d(3, 2, padding=1)                                 # 480  x 14 x 14
        self.inception4a = Inception(480, *TABLE["4a"])                            # 512  x 14 x 14
        self.inception4b = Inception(512, *TABLE["4b"])                            # 512  x 14 x 14
        self.inception4c = Inception(512, *TABLE["4c"])                            # 512  x 14 x 14
        self.inception4d = Inception(512, *TABLE["4d"])                            # 528  x 14 x 14
        self.inception4e = Inception(528, *TABLE["4e"])                            # 832  x 14 x 14
        self.pool4 = nn.MaxPool2d(3, 2, padding=1)                                 # 832  x 7 x 7
        self.inception5a = Inception(832, *TABLE["5a"])                            # 832  x 7 x 7
        self.inception5b = Inception(832, *TABLE["5b"])                            # 1024 x 7 x 7
        if heads:
            self.aux1 = auxiliary_head(512, num_classes)
            self.aux2 = auxiliary_head(528, num_classes)
        self.head = head(1024, num_classes)                                        # num_classes
        self.input_shape = (3, 224, 224)
        initialise(self)

    def forward(self, x: Tensor, heads: bool = False) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Logits N x num_classes; with heads=True a tuple (logits, logits of the head on 4a, of the head on 4d)."""
        x = self.pool2(self.conv2(self.pool1(self.conv1(x))))
        x = self.pool3(self.inception3b(self.inception3a(x)))
        after_4a = self.inception4a(x)
        after_4d = self.inception4d(self.inception4c(self.inception4b(after_4a)))
        x = self.pool4(self.inception4e(after_4d))
        logits = self.head(self.inception5b(self.inception5a(x)))
        return (logits, self.aux1(after_4a), self.aux2(after_4d)) if heads else logits


class SmallGoogLeNet(nn.Sequential):
    """Table 1 for 32 x 32 images, with batch normalisation and a stem that keeps the map's size.

    `width` is the number of channels of conv1 (the paper's 64); it scales every layer.
    """

    def __init__(self, num_classes: int = 10, width: int = 64):
        def inception(n_in, row):
            n1x1, n3x3, n5x5, pool_proj = TABLE[row]
            return Inception(scale(n_in), scale(n1x1), map(scale, n3x3), map(scale, n5x5), scale(pool_proj), True)

        def scale(n):
            return n * width // 64

        super().__init__(OrderedDict(
            conv1=conv(3, width, 3, batch_norm=True),               # 64   x 32 x 32
            conv2=conv(width, 3 * width, 3, batch_norm=True),       # 192  x 32 x 32
            pool2=nn.MaxPool2d(3, 2, padding=1),                    # 192  x 16 x 16
            inception3a=inception(192, "3a"),                       # 256  x 16 x 16
            inception3b=inception(256, "3b"),                       # 480  x 16 x 16
            pool3=nn.MaxPool2d(3, 2, padding=1),                    # 480  x 8 x 8
            inception4a=inception(480, "4a"),                       # 512  x 8 x 8
            inception4b=inception(512, "4b"),                       # 512  x 8 x 8
            inception4c=inception(512, "4c"),                       # 512  x 8 x 8
            inception4d=inception(512, "4d"),                       # 528  x 8 x 8
            inception4e=inception(528, "4e"),                       # 832  x 8 x 8
            pool4=nn.MaxPool2d(3, 2, padding=1),                    # 832  x 4 x 4
            inception5a=inception(832, "5a"),                       # 832  x 4 x 4
            inception5b=inception(832, "5b"),                       # 1024 x 4 x 4
            head=head(scale(1024), num_classes)))                   # num_classes
        self.input_shape = (3, 32, 32)


def initialise(net: GoogLeNet) -> None:
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, 0.2)


def googlenet(**kw) -> GoogLeNet: return GoogLeNet(**kw)
def googlenet_small(**kw) -> SmallGoogLeNet: return SmallGoogLeNet(**kw)
