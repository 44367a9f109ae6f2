"""Lesson 6: ResNet.

K. He, X. Zhang, S. Ren, J. Sun: Deep residual learning for image recognition. CVPR 2016.
Reproduces Table 1 (ImageNet) and Section 4.2 / Table 6 (CIFAR: 6n + 2 layers), with the plain nets to compare.

Departures from the paper: bottlenecks take their stride in the 3x3 convolution ("v1.5", as torchvision), the paper in
the first 1x1, which `resnet50_v1` keeps; pool1 is padded by one pixel; batch-norm statistics are running averages.
The small forms give the ImageNet networks a stem for 32 x 32 images, as tutorials do.

Shapes: images N x 3 x 224 x 224 (CIFAR and small forms: 32 x 32) in, logits N x num_classes out.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from .expected_images import Stages, expect_images


def conv(n_in, n_out, size, stride=1):
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False)  # BatchNorm brings the bias


class ZeroPadding(nn.Module):
    """Keep every second pixel, append channels of zeros. No parameters."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.stride, self.extra = stride, n_out - n_in

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


def zero_padding(n_in, n_out, stride):
    """Option A of Section 3.3: identity where shapes agree, otherwise zeros for the new channels."""
    return nn.Identity() if stride == 1 and n_in == n_out else ZeroPadding(n_in, n_out, stride)


def projection_always(n_in, n_out, stride):
    """Option C of Section 4.1: a 1x1 convolution in every shortcut."""
    return nn.Sequential(conv(n_in, n_out, 1, stride), nn.BatchNorm2d(n_out))


def projection(n_in, n_out, stride):
    """Option B of Section 3.3: identity where shapes agree, otherwise a strided 1x1 convolution."""
    return nn.Identity() if stride == 1 and n_in == n_out else projection_always(n_in, n_out, stride)


class NoShortcut(nn.Module):
    """The plain nets of Section 3.3: nothing is added to the block's output."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(())


class Residual(nn.Module):
    """Figure 2 and Equation 1: y = relu(residual(x) + shortcut(x))."""

    def __init__(self, residual, shortcut):
        super().__init__()
        self.residual, self.shortcut = residual, shortcut
        self.relu = nn.ReLU()  # a layer, because guided backpropagation and DeepLift do not see F.relu

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.residual(x) + self.shortcut(x))


class Basic(Residual):
    """Figure 5, left: two 3x3 convolutions."""

    expansion = 1

    def __init__(self, n_in, width, stride, shortcut):
        super().__init__(nn.Sequential(
            conv(n_in, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU(),
            conv(width, width, 3), nn.BatchNorm2d(width)),
            shortcut(n_in, width, stride))


class Bottleneck(Residual):
    """Figure 5, right: 1x1 reduces, 3x3 works on few channels, 1x1 restores."""

    expansion = 4

    def __init__(self, n_in, width, stride, shortcut, first_stride=1):
        super().__init__(nn.Sequential(
            conv(n_in, width, 1, first_stride), nn.BatchNorm2d(width), nn.ReLU(),
            conv(width, width, 3, stride // first_stride), nn.BatchNorm2d(width), nn.ReLU(),
            conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)),
            shortcut(n_in, 4 * width, stride))


class BottleneckV1(Bottleneck):
    """As the paper strides: in the first 1x1 convolution, which then never looks at three of four pixels."""

    def __init__(self, n_in, width, stride, shortcut):
        super().__init__(n_in, width, stride, shortcut, first_stride=stride)


def stage(block, n_in, width, depth, stride, shortcut):
    """Section 3.3: `depth` blocks; only the first changes the shape."""
    n_out = block.expansion * width
    first = block(n_in, width, stride, shortcut)
    return nn.Sequential(first, *(block(n_out, width, 1, shortcut) for _ in range(depth - 1)))


def head(n_in, num_classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, num_classes))


class ResNet(Stages):
    """Table 1, one line a row, for images 3 x 224 x 224; e is the block's expansion."""

    def __init__(self, block, depths, num_classes=1000, shortcut=projection):
        e, (d2, d3, d4, d5) = block.expansion, depths
        super().__init__(OrderedDict(
            conv1=nn.Sequential(conv(3, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU()),  # 64   x 112 x 112, Table 1
            pool1=nn.MaxPool2d(3, 2, padding=1),                        # 64   x 56 x 56, Table 1
            conv2_x=stage(block, 64, 64, d2, 1, shortcut),              # 64e  x 56 x 56, Table 1
            conv3_x=stage(block, 64 * e, 128, d3, 2, shortcut),         # 128e x 28 x 28, Table 1
            conv4_x=stage(block, 128 * e, 256, d4, 2, shortcut),        # 256e x 14 x 14, Table 1
            conv5_x=stage(block, 256 * e, 512, d5, 2, shortcut),        # 512e x 7 x 7, Table 1
            head=head(512 * e, num_classes)))                           # num_classes, Table 1
        expect_images(self, (3, 224, 224), one_pixel=32)
        initialise(self)


class SmallResNet(Stages):
    """Table 1 as tutorials have it for images 3 x 32 x 32: a first layer as in Section 4.2, but of 64 channels."""

    def __init__(self, block, depths, num_classes=10, shortcut=projection):
        e, (d2, d3, d4, d5) = block.expansion, depths
        super().__init__(OrderedDict(
            conv1=nn.Sequential(conv(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU()),     # 64   x 32 x 32, not in the paper
            conv2_x=stage(block, 64, 64, d2, 1, shortcut),              # 64e  x 32 x 32, Table 1
            conv3_x=stage(block, 64 * e, 128, d3, 2, shortcut),         # 128e x 16 x 16, Table 1
            conv4_x=stage(block, 128 * e, 256, d4, 2, shortcut),        # 256e x 8 x 8, Table 1
            conv5_x=stage(block, 256 * e, 512, d5, 2, shortcut),        # 512e x 4 x 4, Table 1
            head=head(512 * e, num_classes)))                           # num_classes, Table 1
        expect_images(self, (3, 32, 32), one_pixel=8)
        initialise(self)


class CifarResNet(Stages):
    """Section 4.2: 6n + 2 layers for images 3 x 32 x 32, with shortcuts of option A where no other is given."""

    def __init__(self, depth, num_classes=10, shortcut=zero_padding):
        n, rest = divmod(depth - 2, 6)
        if rest or n < 1:
            raise ValueError(f"a CIFAR ResNet has 6n + 2 layers (8, 14, 20, ...), not {depth}")
        super().__init__(OrderedDict(
            conv1=nn.Sequential(conv(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),  # 16 x 32 x 32, Section 4.2
            conv2_x=stage(Basic, 16, 16, n, 1, shortcut),                        # 16 x 32 x 32, Section 4.2
            conv3_x=stage(Basic, 16, 32, n, 2, shortcut),                        # 32 x 16 x 16, Section 4.2
            conv4_x=stage(Basic, 32, 64, n, 2, shortcut),                        # 64 x 8 x 8, Section 4.2
            head=head(64, num_classes)))                                         # num_classes, Section 4.2
        expect_images(self, (3, 32, 32), one_pixel=4)
        initialise(self)


def initialise(net: nn.Module) -> None:
    """Section 3.4: He et al. 2015, variance 2 / (outputs of a weight's kernel) for convolutions. The rest is PyTorch's.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def factory(counts, network, *layers, shortcut=projection):
    """A function that builds one `network` of these layers; its docstring says what it counts."""
    def build(num_classes: int = 1000 if network is ResNet else 10, shortcut: Callable = shortcut) -> network:
        return network(*layers, num_classes, shortcut)

    build.__doc__ = f"{counts}.\n\n{network.__doc__}"
    return build


resnet18 = factory("11,689,512 parameters, 1,814,073,344 MACs", ResNet, Basic, (2, 2, 2, 2))
resnet34 = factory("21,797,672 parameters, 3,663,761,408 MACs", ResNet, Basic, (3, 4, 6, 3))
resnet50 = factory("25,557,032 parameters, 4,089,184,256 MACs", ResNet, Bottleneck, (3, 4, 6, 3))
resnet101 = factory("44,549,160 parameters, 7,801,405,440 MACs", ResNet, Bottleneck, (3, 4, 23, 3))
resnet152 = factory("60,192,808 parameters, 11,513,626,624 MACs", ResNet, Bottleneck, (3, 8, 36, 3))
resnet50_v1 = factory("25,557,032 parameters, 3,857,973,248 MACs", ResNet, BottleneckV1, (3, 4, 6, 3))
plain18 = factory("11,515,688 parameters, 1,794,805,760 MACs", ResNet, Basic, (2, 2, 2, 2), shortcut=NoShortcut)
plain34 = factory("21,623,848 parameters, 3,644,493,824 MACs", ResNet, Basic, (3, 4, 6, 3), shortcut=NoShortcut)
resnet18_small = factory("11,173,962 parameters, 555,422,720 MACs", SmallResNet, Basic, (2, 2, 2, 2))
resnet34_small = factory("21,282,122 parameters, 1,159,402,496 MACs", SmallResNet, Basic, (3, 4, 6, 3))
resnet50_small = factory("23,520,842 parameters, 1,297,829,888 MACs", SmallResNet, Bottleneck, (3, 4, 6, 3))
resnet101_small = factory("42,512,970 parameters, 2,509,983,744 MACs", SmallResNet, Bottleneck, (3, 4, 23, 3))
resnet152_small = factory("58,156,618 parameters, 3,722,137,600 MACs", SmallResNet, Bottleneck, (3, 8, 36, 3))
resnet20 = factory("269,722 parameters, 40,551,040 MACs", CifarResNet, 20, shortcut=zero_padding)
resnet56 = factory("853,018 parameters, 125,485,696 MACs", CifarResNet, 56, shortcut=zero_padding)
plain20 = factory("269,722 parameters, 40,551,040 MACs", CifarResNet, 20, shortcut=NoShortcut)
plain56 = factory("853,018 parameters, 125,485,696 MACs", CifarResNet, 56, shortcut=NoShortcut)
