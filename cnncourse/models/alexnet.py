"""AlexNet.

A. Krizhevsky, I. Sutskever, G. Hinton: ImageNet classification with deep convolutional neural networks. NIPS 2012.
Reproduces Figure 2 and Section 3.5: five convolutions and three fully connected layers, 60,965,224 parameters.

The two GPUs are written as two groups in conv2, conv4 and conv5: each half of the channels sees only its own half.
Departures from the paper: the input is 227 x 227 (with 224 and no padding conv1 gives 54, not the paper's 55 maps).
The small form has one tower's channels, a stem for 32 x 32 images, and He initialisation.

Shapes: images N x 3 x 227 x 227 in, logits N x num_classes out.
"""

from collections import OrderedDict

from torch import nn

from ..layers import LocalResponseNorm


def conv(n_in, n_out, size, stride=1, padding=0, groups=1):
    return nn.Sequential(nn.Conv2d(n_in, n_out, size, stride, padding, groups=groups), nn.ReLU())


def fully_connected(n_in, n_out):
    """Section 4.2: dropout of one half on the outputs of the first two fully connected layers."""
    return nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(0.5))


class AlexNet(nn.Sequential):
    """Figure 2. Pooling windows of 3 overlap, because they step by 2 (Section 3.4)."""

    def __init__(self, num_classes: int = 1000, groups: int = 2):
        super().__init__(OrderedDict(
            conv1=conv(3, 96, 11, stride=4),                                 # 96  x 55 x 55
            norm1=LocalResponseNorm(),                                       # Section 3.3
            pool1=nn.MaxPool2d(3, 2),                                        # 96  x 27 x 27
            conv2=conv(96, 256, 5, padding=2, groups=groups),                # 256 x 27 x 27
            norm2=LocalResponseNorm(),
            pool2=nn.MaxPool2d(3, 2),                                        # 256 x 13 x 13
            conv3=conv(256, 384, 3, padding=1),                              # 384 x 13 x 13, sees both GPUs
            conv4=conv(384, 384, 3, padding=1, groups=groups),               # 384 x 13 x 13
            conv5=conv(384, 256, 3, padding=1, groups=groups),               # 256 x 13 x 13
            pool5=nn.MaxPool2d(3, 2),                                        # 256 x 6 x 6
            fc6=nn.Sequential(nn.Flatten(), *fully_connected(256 * 6 * 6, 4096)),  # 4096
            fc7=fully_connected(4096, 4096),                                 # 4096
            fc8=nn.Linear(4096, num_classes)))                               # num_classes
        self.input_shape = (3, 227, 227)
        initialise(self)


class SmallAlexNet(nn.Sequential):
    """One tower of Figure 2 for 32 x 32 images: the same order of layers, a stem that does not shrink the map."""

    def __init__(self, num_classes: int = 10):
        super().__init__(OrderedDict(
            conv1=conv(3, 48, 5, padding=2),                                 # 48  x 32 x 32
            norm1=LocalResponseNorm(),
            pool1=nn.MaxPool2d(3, 2),                                        # 48  x 15 x 15
            conv2=conv(48, 128, 5, padding=2),                               # 128 x 15 x 15
            norm2=LocalResponseNorm(),
            pool2=nn.MaxPool2d(3, 2),                                        # 128 x 7 x 7
            conv3=conv(128, 192, 3, padding=1),                              # 192 x 7 x 7
            conv4=conv(192, 192, 3, padding=1),                              # 192 x 7 x 7
            conv5=conv(192, 128, 3, padding=1),                              # 128 x 7 x 7
            pool5=nn.MaxPool2d(3, 2),                                        # 128 x 3 x 3
            fc6=nn.Sequential(nn.Flatten(), *fully_connected(128 * 3 * 3, 512)),  # 512
            fc7=fully_connected(512, 512),                                   # 512
            fc8=nn.Linear(512, num_classes)))                                # num_classes
        self.input_shape = (3, 32, 32)
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


def alexnet(**kw) -> AlexNet: return AlexNet(**kw)
def alexnet_small(**kw) -> SmallAlexNet: return SmallAlexNet(**kw)
