"""Lesson 5: Inception v3.

C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna: Rethinking the Inception architecture for computer vision.
CVPR 2016. Reproduces Table 1 with the modules of Figures 5, 6 and 7: 23,834,568 parameters, 27,161,264 with the head.

Departures from the paper, all of them as in the authors' own release and in torchvision: the stem goes from 64 to 80 to
192 channels with a 1x1 and a 3x3 convolution and a pooling, where Table 1 prints three 3x3 convolutions; the reduction
modules (Figure 10) have the release's widths, and the second one has rows and columns of 7; one branch of Figure 5 has
a 5x5 where the figure draws a 3x3.

Shapes: images N x 3 x 299 x 299 in, logits N x num_classes out. Convolutions without padding make the maps shrink.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from .expected_images import Stages, expect_images


def conv(n_in, n_out, size, stride=1, padding=0):
    return nn.Sequential(nn.Conv2d(n_in, n_out, size, stride, padding, bias=False),
                         nn.BatchNorm2d(n_out, eps=0.001), nn.ReLU())


def row(n_in, n_out, size):
    """1 x size: sees its row only."""
    return conv(n_in, n_out, (1, size), padding=(0, size // 2))


def column(n_in, n_out, size):
    """size x 1: sees its column only. A row and a column see as much as size x size, for 2/size of its cost."""
    return conv(n_in, n_out, (size, 1), padding=(size // 2, 0))


class Branches(nn.ModuleList):
    """Several looks at the same map, their channels stacked."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


def pooled(n_in, n_out):
    return nn.Sequential(nn.AvgPool2d(3, 1, padding=1), conv(n_in, n_out, 1))


def module_a(n_in, pool):
    """Figure 5: two 3x3 convolutions in place of GoogLeNet's 5x5. The second branch, a 3x3 in the figure, has a 5x5."""
    return Branches([
        conv(n_in, 64, 1),
        nn.Sequential(conv(n_in, 48, 1), conv(48, 64, 5, padding=2)),
        nn.Sequential(conv(n_in, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, padding=1)),
        pooled(n_in, pool)])


def reduction_b(n_in):
    """Section 5 and Figure 10: halve the map while widening it, with a pooling beside the convolutions."""
    return Branches([
        conv(n_in, 384, 3, stride=2),
        nn.Sequential(conv(n_in, 64, 1), conv(64, 96, 3, padding=1), conv(96, 96, 3, stride=2)),
        nn.MaxPool2d(3, 2)])


def module_c(n_in, n):
    """Section 3.2 and Figure 6: 7x7 convolutions taken apart into rows of 7 and columns of 7."""
    return Branches([
        conv(n_in, 192, 1),
        nn.Sequential(conv(n_in, n, 1), row(n, n, 7), column(n, 192, 7)),
        nn.Sequential(conv(n_in, n, 1), column(n, n, 7), row(n, n, 7), column(n, n, 7), row(n, 192, 7)),
        pooled(n_in, 192)])


def reduction_d(n_in):
    """Section 5 and Figure 10, with a 7x7 taken apart in the second branch."""
    return Branches([
        nn.Sequential(conv(n_in, 192, 1), conv(192, 320, 3, stride=2)),
        nn.Sequential(conv(n_in, 192, 1), row(192, 192, 7), column(192, 192, 7), conv(192, 192, 3, stride=2)),
        nn.MaxPool2d(3, 2)])


def module_e(n_in):
    """Figure 7: on the smallest maps, rows and columns side by side widen the output."""
    def fan(n_in):
        return Branches([row(n_in, 384, 3), column(n_in, 384, 3)])

    return Branches([
        conv(n_in, 320, 1),
        nn.Sequential(conv(n_in, 384, 1), fan(384)),
        nn.Sequential(conv(n_in, 448, 1), conv(448, 384, 3, padding=1), fan(384)),
        pooled(n_in, 192)])


class InceptionV3(Stages):
    """Table 1. heads: build the auxiliary head of Section 4, on the last 17 x 17 map."""

    def __init__(self, num_classes: int = 1000, heads: bool = False):
        super().__init__()
        self.auxiliary_heads = 1 if heads else 0
        self.conv1a = conv(3, 32, 3, stride=2)                                # 32   x 149 x 149, Table 1
        self.conv2a = conv(32, 32, 3)                                         # 32   x 147 x 147, Table 1
        self.conv2b = conv(32, 64, 3, padding=1)                              # 64   x 147 x 147, Table 1
        self.pool1 = nn.MaxPool2d(3, 2)                                       # 64   x 73 x 73, Table 1
        self.conv3b = conv(64, 80, 1)                                         # 80   x 73 x 73, Table 1 has a 3x3
        self.conv4a = conv(80, 192, 3)                                        # 192  x 71 x 71, Table 1
        self.pool2 = nn.MaxPool2d(3, 2)                                       # 192  x 35 x 35, not in the paper
        self.mixed5b = module_a(192, 32)                                      # 256  x 35 x 35, Table 1, Figure 5
        self.mixed5c = module_a(256, 64)                                      # 288  x 35 x 35, Table 1, Figure 5
        self.mixed5d = module_a(288, 64)                                      # 288  x 35 x 35, Table 1, Figure 5
        self.mixed6a = reduction_b(288)                                       # 768  x 17 x 17, Table 1, Figure 10
        self.mixed6b = module_c(768, 128)                                     # 768  x 17 x 17, Table 1, Figure 6
        self.mixed6c = module_c(768, 160)                                     # 768  x 17 x 17, Table 1, Figure 6
        self.mixed6d = module_c(768, 160)                                     # 768  x 17 x 17, Table 1, Figure 6
        self.mixed6e = module_c(768, 192)                                     # 768  x 17 x 17, Table 1, Figure 6
        if heads:
            self.aux = nn.Sequential(OrderedDict(
                pool=nn.AvgPool2d(5, 3),                                      # 768  x 5 x 5
                conv0=conv(768, 128, 1),                                      # 128  x 5 x 5
                conv1=conv(128, 768, 5),                                      # 768  x 1 x 1
                flat=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),    # 768
                fc=nn.Linear(768, num_classes)))                              # num_classes, Section 4, Figure 8
        self.mixed7a = reduction_d(768)                                       # 1280 x 8 x 8, Table 1, Figure 10
        self.mixed7b = module_e(1280)                                         # 2048 x 8 x 8, Table 1, Figure 7
        self.mixed7c = module_e(2048)                                         # 2048 x 8 x 8, Table 1, Figure 7
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5),
                                  nn.Linear(2048, num_classes))               # num_classes, Table 1
        # The auxiliary head needs maps of 17 x 17.
        expect_images(self, (3, 299, 299), *((299, None, 346) if heads else (75, None, 106)))
        narrow = {self.aux.conv1[0]: 0.01, self.aux.fc: 0.001} if heads else {}
        for layer in self.modules():  # the release's: normal, narrower where the auxiliary head is wide
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=narrow.get(layer, 0.1))

    def forward(self, x: Tensor, heads: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Logits N x num_classes; with heads=True a tuple (logits, logits of the auxiliary head)."""
        x = self.pool1(self.conv2b(self.conv2a(self.conv1a(x))))
        x = self.pool2(self.conv4a(self.conv3b(x)))
        x = self.mixed6a(self.mixed5d(self.mixed5c(self.mixed5b(x))))
        after_6e = self.mixed6e(self.mixed6d(self.mixed6c(self.mixed6b(x))))
        logits = self.head(self.mixed7c(self.mixed7b(self.mixed7a(after_6e))))
        # "is", because torch.fx records this with a stand-in for heads, which is neither true nor false.
        return (logits, self.aux(after_6e)) if heads is True else logits


def inception_v3(num_classes: int = 1000, heads: bool = False) -> InceptionV3:
    """Table 1, without the head: 23,834,568 parameters, 5,713,216,096 MACs, images 3 x 299 x 299."""
    return InceptionV3(num_classes, heads)
