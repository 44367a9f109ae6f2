"""Lesson 2: LeNet-5 as of 1998 and as of today, and the small network that tutorials train on MNIST.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition.
Proceedings of the IEEE 86(11), 1998. Reproduces Figure 2, Table I and Section II.B: 60,000 trainable parameters.

Departures of `lenet5_1998` from the paper: the output is minus the distances, so that the largest output wins and
cross-entropy is the paper's equation 9 without its constant j; the ten bitmaps are drawn afresh.
Departures of `lenet5` besides: C3 sees all six maps of S2, sub-sampling is plain average pooling, tanh is not scaled,
and the output is a linear layer: 61,706 parameters, initialised as PyTorch does by default.

Shapes: images N x 1 x 28 x 28 in, logits N x 10 out. The paper pads its digits to 32 x 32; C1 does it here.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .expected_images import Stages, expect_images

# Table I: which maps of S2 each of the 16 maps of C3 sees.
TABLE_I = ((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
           (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
           (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
           (0, 1, 2, 3, 4, 5))

# In the manner of Figure 3: each class as a bitmap of 12 rows and 7 columns, a row written as one octal number.
BITMAPS = """
    000 034 042 101 101 101 101 101 101 042 034 000
    000 010 030 050 010 010 010 010 010 010 076 000
    000 034 042 101 001 002 004 010 020 040 177 000
    000 076 101 001 001 036 001 001 001 101 076 000
    000 004 014 024 044 104 104 177 004 004 004 000
    000 177 100 100 174 002 001 001 001 102 074 000
    000 036 040 100 100 134 142 101 101 042 034 000
    000 177 001 002 002 004 004 010 010 020 020 000
    000 034 042 101 042 034 042 101 101 042 034 000
    000 034 042 101 101 043 035 001 001 002 074 000"""


class LeNet5(Stages):
    """Figure 2 in today's layers. `size` is the image's height and width, 28 or 32; C1 pads it to the paper's 32."""

    def __init__(self, num_classes: int = 10, channels: int = 1, size: int = 28):
        if size not in (28, 32):
            raise ValueError(f"LeNet-5 takes images of 28x28 (padded to 32) or 32x32 pixels, not {size}x{size}")
        padding = (32 - size) // 2
        super().__init__(OrderedDict(
            C1=nn.Sequential(nn.Conv2d(channels, 6, 5, padding=padding), nn.Tanh()),  # 6   x 28 x 28, Figure 2
            S2=nn.AvgPool2d(2),                                            # 6   x 14 x 14, Figure 2, plain average
            C3=nn.Sequential(nn.Conv2d(6, 16, 5), nn.Tanh()),              # 16  x 10 x 10, Figure 2, sees all maps
            S4=nn.AvgPool2d(2),                                            # 16  x 5 x 5, Figure 2, plain average
            C5=nn.Sequential(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),  # 120, Figure 2
            F6=nn.Sequential(nn.Linear(120, 84), nn.Tanh()),               # 84, Figure 2
            output=nn.Linear(84, num_classes)))                            # num_classes, Figure 2, not bitmaps
        expect_images(self, (channels, size, size), smallest=size, largest=size + 3)


class LeNet5of1998(Stages):
    """Figure 2 and Section II.B, with trained sub-sampling, scaled tanh and the fixed bitmaps of the ten digits."""

    def __init__(self, num_classes: int = 10):
        if num_classes != 10:
            raise ValueError(f"lenet5_1998 has a bitmap for each of the 10 digits, not for {num_classes} classes: "
                             "take lenet5, whose output layer is linear")
        super().__init__(OrderedDict(
            C1=nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), Squash()),          # 6   x 28 x 28, Figure 2, Appendix A
            S2=nn.Sequential(SubSampling(6), Squash()),                         # 6   x 14 x 14, Figure 2, Section II.B
            C3=nn.Sequential(PartialConvolution(TABLE_I, 5), Squash()),         # 16  x 10 x 10, Figure 2, Table I
            S4=nn.Sequential(SubSampling(16), Squash()),                        # 16  x 5 x 5, Figure 2, Section II.B
            C5=nn.Sequential(nn.Conv2d(16, 120, 5), Squash(), nn.Flatten()),    # 120, Figure 2, Section II.B
            F6=nn.Sequential(nn.Linear(120, 84), Squash()),                     # 84, Figure 2, Section II.B
            output=Bitmaps()))                                                  # 10, Figure 2, Equation 7
        expect_images(self, (1, 28, 28), smallest=28, largest=31)
        for layer in self.modules():  # Appendix A: uniform within 2.4 / (inputs of a unit)
            if isinstance(layer, nn.Conv2d | nn.Linear):
                bound = 2.4 / layer.weight[0].numel()
                nn.init.uniform_(layer.weight, -bound, bound)
                nn.init.uniform_(layer.bias, -bound, bound)


class Squash(nn.Module):
    """Appendix A: 1.7159 tanh(2/3 a), which maps 1 to 1 and -1 to -1."""

    def forward(self, a: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * a)


class SubSampling(nn.Module):
    """Section II.B, S2: the four inputs are added, multiplied by one trained number a map, and shifted by another."""

    def __init__(self, n_maps):
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((n_maps, 1, 1), 0.25))  # starts as the average
        self.bias = nn.Parameter(torch.zeros(n_maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return 4 * F.avg_pool2d(x, 2) * self.coefficient + self.bias  # exporters to ONNX drop divisor_override


class PartialConvolution(nn.Module):
    """Table I: each output map has its own convolution, over the input maps that its row of the table names."""

    def __init__(self, table, size):
        super().__init__()
        self.table = table
        self.maps = nn.ModuleList(nn.Conv2d(len(seen), 1, size) for seen in table)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([conv(x[:, seen]) for conv, seen in zip(self.maps, self.table, strict=True)], dim=1)


class Bitmaps(nn.Module):
    """Equation 7: squared distance of F6 to each class's bitmap of -1 and +1. Fixed, not trained; here with a minus."""

    def __init__(self):
        super().__init__()
        rows = [int(row, 8) for row in BITMAPS.split()]
        pixels = torch.tensor([[row >> bit & 1 for bit in range(6, -1, -1)] for row in rows])
        self.register_buffer("bitmaps", 2.0 * pixels.view(10, 84) - 1)

    def forward(self, x: Tensor) -> Tensor:
        return -(x[:, None] - self.bitmaps).square().sum(dim=2)


class MNISTCNN(Stages):
    """Not in the paper: ReLU, max pooling, no padding, as tutorials have it."""

    def __init__(self, num_classes: int = 10):
        super().__init__(OrderedDict(
            conv1=nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU()),                         # 6  x 24 x 24, not in the paper
            pool1=nn.MaxPool2d(2),                                                      # 6  x 12 x 12, not in the paper
            conv2=nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU()),                        # 16 x 8 x 8, not in the paper
            pool2=nn.MaxPool2d(2),                                                      # 16 x 4 x 4, not in the paper
            fc1=nn.Sequential(nn.Flatten(), nn.Linear(16 * 4 * 4, 120), nn.ReLU()),     # 120, not in the paper
            fc2=nn.Sequential(nn.Linear(120, 84), nn.ReLU()),                           # 84, not in the paper
            fc3=nn.Linear(84, num_classes)))                                            # num_classes, not in the paper
        expect_images(self, (1, 28, 28), smallest=28, largest=31)


def lenet5(num_classes: int = 10, channels: int = 1, size: int = 28) -> LeNet5:
    """LeNet-5 in today's layers: 61,706 parameters, 416,520 MACs, images 1 x 28 x 28."""
    return LeNet5(num_classes, channels, size)


def lenet5_1998(num_classes: int = 10) -> LeNet5of1998:
    """LeNet-5 as printed: 60,000 parameters, 325,680 MACs, images 1 x 28 x 28."""
    return LeNet5of1998(num_classes)


def mnist_cnn(num_classes: int = 10) -> MNISTCNN:
    """What tutorials call LeNet: 44,426 parameters, 281,640 MACs, images 1 x 28 x 28."""
    return MNISTCNN(num_classes)
