"""LeNet-5, and the small network that tutorials train on MNIST.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition.
Proceedings of the IEEE 86(11), 1998. Reproduces Figure 2 and the layer sizes of Section II.B.

Departures of `lenet5` from the paper: C3 sees all six maps of S2 (the paper's Table I connects 60 of 96 pairs),
sub-sampling is plain average pooling without trained coefficients, tanh is not scaled, and the output is a linear layer
instead of radial basis functions: 61,706 parameters instead of 60,000.

Shapes: images N x 1 x 28 x 28 in, logits N x 10 out. The paper pads its digits to 32 x 32; C1 does it here.
"""

from collections import OrderedDict

from torch import nn


class LeNet5(nn.Sequential):
    """Figure 2. `size` is the image's height and width, 28 or 32; C1 pads it to the paper's 32."""

    def __init__(self, num_classes: int = 10, channels: int = 1, size: int = 28):
        padding = {28: 2, 32: 0}
        if size not in padding:
            raise ValueError(f"LeNet-5 takes images of 28x28 (padded to 32) or 32x32 pixels, not {size}x{size}")
        super().__init__(OrderedDict(
            C1=nn.Sequential(nn.Conv2d(channels, 6, 5, padding=padding[size]), nn.Tanh()),  # 6   x 28 x 28
            S2=nn.AvgPool2d(2),                                                               # 6   x 14 x 14
            C3=nn.Sequential(nn.Conv2d(6, 16, 5), nn.Tanh()),                                 # 16  x 10 x 10
            S4=nn.AvgPool2d(2),                                                               # 16  x 5 x 5
            C5=nn.Sequential(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),                 # 120
            F6=nn.Sequential(nn.Linear(120, 84), nn.Tanh()),                                  # 84
            output=nn.Linear(84, num_classes)))                                               # num_classes
        self.input_shape = (channels, size, size)


class MNISTCNN(nn.Sequential):
    """ReLU, max pooling and no padding: what became of LeNet-5 in tutorials. 44,426 parameters at 1 x 28 x 28."""

    def __init__(self, num_classes: int = 10, channels: int = 1, size: int = 28):
        side = ((size - 4) // 2 - 4) // 2  # 28 -> 24 -> 12 -> 8 -> 4
        if side < 1:
            raise ValueError(f"mnist_cnn needs images of at least 16x16 pixels, not {size}x{size}")
        super().__init__(OrderedDict(
            conv1=nn.Sequential(nn.Conv2d(channels, 6, 5), nn.ReLU()),                          # 6  x 24 x 24
            pool1=nn.MaxPool2d(2),                                                              # 6  x 12 x 12
            conv2=nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU()),                                # 16 x 8 x 8
            pool2=nn.MaxPool2d(2),                                                              # 16 x 4 x 4
            fc1=nn.Sequential(nn.Flatten(), nn.Linear(16 * side * side, 120), nn.ReLU()),       # 120
            fc2=nn.Sequential(nn.Linear(120, 84), nn.ReLU()),                                   # 84
            fc3=nn.Linear(84, num_classes)))                                                    # num_classes
        self.input_shape = (channels, size, size)


def lenet5(**kw) -> LeNet5: return LeNet5(**kw)
def mnist_cnn(**kw) -> MNISTCNN: return MNISTCNN(**kw)
