"""VGG.

K. Simonyan, A. Zisserman: Very deep convolutional networks for large-scale image recognition. ICLR 2015.
Reproduces Table 1, columns A, B, D and E, and the parameter counts of Table 2.

Departures from the paper: weights start from He's initialisation as in torchvision (the paper drew N(0, 0.01) and
started deep nets from a trained net A); the `_bn` forms add batch normalisation, which came a year later. The small
forms, for 32 x 32 images, replace the 123 million parameters of the head by two hidden layers of 512.

Shapes: images N x 3 x 224 x 224 in, logits N x num_classes out.
"""

from collections import OrderedDict

from torch import nn

# Table 1: output channels of the 3x3 convolutions between one pooling and the next.
CONFIGS = {
    "A": ((64,),    (128,),     (256, 256),           (512, 512),           (512, 512)),            # 11 layers
    "B": ((64, 64), (128, 128), (256, 256),           (512, 512),           (512, 512)),            # 13 layers
    "D": ((64, 64), (128, 128), (256, 256, 256),      (512, 512, 512),      (512, 512, 512)),       # 16 layers
    "E": ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512)),  # 19 layers
}


def conv(n_in, n_out, batch_norm):
    norm = [nn.BatchNorm2d(n_out)] if batch_norm else []
    return [nn.Conv2d(n_in, n_out, 3, padding=1), *norm, nn.ReLU()]


def block(n_in, widths, batch_norm):
    """Section 2.1: 3x3 convolutions that keep the map's size, then a 2x2 pooling that halves it."""
    layers = []
    for n_out in widths:
        layers += conv(n_in, n_out, batch_norm)
        n_in = n_out
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def head(n_in, hidden, num_classes):
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(n_in, hidden), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(hidden, num_classes))


class VGG(nn.Sequential):
    """One column of Table 1. `width` is the number of channels in block 1 (the paper's 64) and scales every layer."""

    def __init__(self, config: str, num_classes: int = 1000, batch_norm: bool = False, size: int = 224,
                 hidden: int = 4096, width: int = 64):
        widths = [[n * width // 64 for n in stage] for stage in CONFIGS[config]]
        w1, w2, w3, w4, w5 = widths
        super().__init__(OrderedDict(
            block1=block(3, w1, batch_norm),                                       # 64  x 112 x 112
            block2=block(w1[-1], w2, batch_norm),                                  # 128 x 56 x 56
            block3=block(w2[-1], w3, batch_norm),                                  # 256 x 28 x 28
            block4=block(w3[-1], w4, batch_norm),                                  # 512 x 14 x 14
            block5=block(w4[-1], w5, batch_norm),                                  # 512 x 7 x 7
            head=head(w5[-1] * (size // 32) ** 2, hidden * width // 64, num_classes)))  # num_classes
        self.input_shape = (3, size, size)
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


SMALL = {"size": 32, "hidden": 512, "num_classes": 10}  # five poolings leave a 1 x 1 map


def small(config: str, **kw) -> VGG:
    net = VGG(config, **SMALL | kw)
    for layer in net.head:
        if isinstance(layer, nn.Linear):  # N(0, 0.01) suits 4096 units; after 512 or fewer the signal would vanish
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return net


def vgg11(**kw) -> VGG: return VGG("A", **kw)
def vgg13(**kw) -> VGG: return VGG("B", **kw)
def vgg16(**kw) -> VGG: return VGG("D", **kw)
def vgg19(**kw) -> VGG: return VGG("E", **kw)
def vgg11_bn(**kw) -> VGG: return VGG("A", batch_norm=True, **kw)
def vgg13_bn(**kw) -> VGG: return VGG("B", batch_norm=True, **kw)
def vgg16_bn(**kw) -> VGG: return VGG("D", batch_norm=True, **kw)
def vgg19_bn(**kw) -> VGG: return VGG("E", batch_norm=True, **kw)
def vgg11_small(**kw) -> VGG: return small("A", **kw)
def vgg16_small(**kw) -> VGG: return small("D", **kw)
def vgg11_small_bn(**kw) -> VGG: return small("A", batch_norm=True, **kw)
def vgg16_small_bn(**kw) -> VGG: return small("D", batch_norm=True, **kw)
