"""The page "What the counters say": other tools' costs beside the course's. Measured once; a test repeats those of the
tools that the course installs."""

import torch
from torch import nn
from torch.nn import functional as F

from cnncourse.layers import Conv2d
from cnncourse.models import MODELS
from cnncourse.trace import costs

VERSIONS = {"torch": "2.15.0", "torchinfo": "1.8.0", "fvcore": "0.1.5.post20221221", "ptflops": "0.7.5",
            "thop": "0.1.1.post2209072238", "torchlens": "2.36.1"}
TOOLS = ("flop_counter / 2", "torchinfo", "fvcore", "ptflops", "ptflops, aten", "thop")
MORE = {  # than the course's MACs, for one image in evaluation mode, in the order of TOOLS
    "lenet5":        (0,     6_518,          0,     19_126,     6_518,      1_576),
    "lenet5_1998":   (0,     6_530,          0,     12_812,     6_508,          0),
    "alexnet":       (0,   659_272,          0,  3_493_416,   659_272,          0),
    "alexnet_small": (0,   104_074,          0,    558_602,   104_074,          0),
    "vgg11_small":   (0,   152_586,          0,    707_594,   152_586,          0),
    "vgg11_lrn":     (0, 7_435_240,          0, 37_757_928, 7_435_240,          0),
    "googlenet":     (0, 3_227_160,     50_176, 16_334_072, 3_227_160,     51_200),
    "googlenet_bn":  (0,    15_560,  6_502_496, 18_757_416,     1_000, 12_955_840),
    "inception_v3":  (0,    35_432, 18_066_048, 45_989_096,     1_000, 38_005_472),
    "resnet20":      (0,     1_386,    380_928,    761_866,        10,    757_824),
    "plain20":       (0,     1_386,    380_928,    761_866,        10,    757_824),
    "resnet50":      (0,    54_120, 22_328_320, 43_252_712,     1_000, 44_558_336),
}


class Computes(nn.Module):
    """A forward pass that is written on the spot, with a layer or a weight."""

    def __init__(self, forward, layer):
        super().__init__()
        self.compute, self.layer = forward, layer

    def forward(self, x):
        return self.compute(x, self.layer)


def conv(n_in: int, k: int, **options) -> nn.Conv2d:
    return nn.Conv2d(n_in, 8, k, **{"padding": k // 2} | options)


OPERATIONS = {  # the network; torchinfo's mult-adds, TorchLens' MACs and its field, None where it says that it has none
    "`F.conv2d` with a weight of one's own": (
        lambda: Computes(lambda x, w: F.conv2d(x, w, padding=1), nn.Parameter(torch.ones(8, 3, 3, 3))),
        0, 221_184, 3),
    "`nn.MaxPool2d(3, 1, dilation=2)` behind a 3x3": (
        lambda: nn.Sequential(conv(3, 3), nn.MaxPool2d(3, 1, dilation=2)), 229_376, 221_184, 7),
    "`x.chunk(2, 1)[1]` between a 5x5 and a 3x3": (
        lambda: nn.Sequential(conv(3, 5), Computes(lambda x, c: c(x.chunk(2, 1)[1]), nn.Conv2d(4, 4, 3, padding=1))),
        774_144, 761_856, None),
    "`nn.Linear` on N x H x W x C between two 3x3": (
        lambda: nn.Sequential(conv(3, 3), Computes(lambda x, linear: linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
                                                   nn.Linear(8, 8)), conv(8, 3)), 827_464, 876_544, 5),
    "the course's `layers.Conv2d`, twice, with a pooling": (
        lambda: nn.Sequential(Conv2d(3, 8, 3), nn.MaxPool2d(2), Conv2d(8, 8, 3)), 300_296, 291_744, None),
    "`nn.ConvTranspose2d` behind a 3x3 with stride 2": (
        lambda: nn.Sequential(conv(3, 3, stride=2), nn.ConvTranspose2d(8, 8, 3, 2, 1, 1)), 655_360, 202_752, 5),
    "attention over patches of 4x4": (
        lambda: nn.Sequential(conv(3, 4, stride=4, padding=0), nn.Flatten(2), Computes(
            lambda x, attend: attend(*3 * [x.transpose(1, 2)])[0], nn.MultiheadAttention(8, 2, batch_first=True))),
        25_088, 106_496, None),
}
PAGE = """# What the counters say

Several tools count what a network costs, and hardly two of them agree. The course counts multiply-accumulates (MACs) of
convolutions and linear layers, without biases, for one image. The table says what each tool reports *more* than that,
for the same image and the same network in evaluation mode. The differences are small beside the whole, up to five per
cent for LeNet-5 and below two for the others. Between two networks they may be the whole difference. So count all
networks of a comparison with one tool, and name the tool beside its numbers.

{table}

Measured with {versions}. A test repeats the columns of flop_counter and of torchinfo; the others were measured once.
TorchLens, which runs the network and records each operation, reports the course's MACs for all twelve.

## Operations that are no layers

What a network computes between its layers, a tool that looks at layers does not see. The course and TorchLens look at
operations. For small networks and images of 3 x 32 x 32:

{operations}

The *field* is the receptive field of the output, which torchinfo does not give. Where TorchLens has no formula it says
so, and offers the gradient of a real forward pass instead; for the transposed convolution it calls its number an upper
bound. Where the course has none, its tables say "unknown". A field of 32 is the whole image.

## What each of them counts

- **`torch.utils.flop_counter`**, a part of PyTorch, counts what the course counts, but multiplications and additions
  apart: its "FLOPs" are two for each MAC. That holds forwards. Backwards it counts the gradient of a grouped
  convolution's weight `groups` times: MobileNetV2's backward pass comes out as 18.7 forward passes, where about two are
  right.
- **torchinfo** counts one more for each output that has a bias, and each parameter of batch normalisation once, however
  large the map. It looks at names: a number that a module of one's own calls neither weight nor bias costs nothing. A
  linear layer counts once for an image, at however many places of a map it is applied: torchvision's ConvNeXt-T, which
  writes its large layers so, comes out 14 times too cheap. Its unit is the "mult-add", and it writes millions of them
  as `Units.MEGABYTES`.
- **fvcore** leaves biases out. It counts two for each number that batch normalisation gives, and one for each number
  that adaptive average pooling reads. ReLU is free. It warns of what it does not know: tanh, average and max pooling,
  the addition of a shortcut, the course's local response normalisation. What it calls "FLOPs" are MACs.
- **ptflops** counts one more for each output that has a bias, two for each number that batch normalisation gives, and
  one for each number that ReLU or a pooling reads, some of them twice (see below). Tanh and the `+` of a shortcut are
  free; of the course's local response normalisation it sees one multiplication of several.
- **ptflops with `backend="aten"`** stands on flop_counter, counts MACs, and one more for each output that has a bias.
- **thop** leaves biases out. It counts four for each number that batch normalisation gives, one for each output of
  average pooling, and one more for each number that adaptive average pooling reads. ReLU, tanh, max pooling and the
  course's local response normalisation are free.

Two examples, worked out. LeNet-5 has 4,704 + 1,600 + 120 + 84 + 10 outputs with a bias: these are torchinfo's 6,518.
The batch normalisations of ResNet-20 have 1,376 parameters and give 188,416 numbers; the average at the end reads 4,096
and gives 64, and the last layer has 10 biases. torchinfo counts 1,376 + 10, fvcore 2 x 188,416 + 4,096, and thop
4 x 188,416 + 4,096 + 64.

## What to mind

- **A batch counts as often as it has images.** Give one image, or divide.
- **ptflops counts some layers twice:** `nn.ReLU`, `nn.MaxPool2d`, `nn.AvgPool2d` and `nn.AdaptiveAvgPool2d`, once as
  the module and once as the function that the module calls. `F.relu` counts once. The same network, written in two
  ways, has two costs.
- **fvcore counts in the mode that it finds:** in training batch normalisation is five for each number, not two.
- **torchinfo and thop thaw what was frozen.** They put the network into evaluation mode, and afterwards every layer
  into the mode that the outermost module had. A batch normalisation that its own `eval()` had frozen trains again.
- **ptflops leaves the network in evaluation mode,** and its aten backend leaves hooks behind. Call `net.train()` before
  you go on.
- **thop leaves keys in the state dict,** `total_ops` and `total_params`: a new network refuses it, unless loaded with
  `strict=False`. It also finds only 59,956 of the 60,000 parameters of `lenet5_1998`, because it overlooks those that a
  module of one's own registers itself.
- **fvcore and flop_counter move running averages:** they run the network in the mode that they find, and in training
  one forward pass is enough.
- **torchinfo draws its image at random,** so that whatever draws random numbers afterwards draws others, the weights of
  the next network for example. With `input_data=` in place of `input_size=` it draws none.

Count a network of its own, built for nothing else and before the seed is set, and none of the last five can hurt.
"""


def page() -> str:
    rows = [("network", "the course", *TOOLS), ("---", *["---:"] * (1 + len(TOOLS)))]
    for name, more in MORE.items():
        with torch.device("meta"):
            rows.append((f"`{name}`", f"{costs(MODELS[name]()).macs:,}", *(f"{n:+,}" if n else "0" for n in more)))
    operations = [("network", "MACs", "torchinfo", "TorchLens", "field", "TorchLens"), ("---", *["---:"] * 5)]
    for name, (build, torchinfo, torchlens, field) in OPERATIONS.items():
        ours = costs(build(), (3, 32, 32))
        operations.append((name, f"{ours.macs:,}", f"{torchinfo:,}", f"{torchlens:,}", str(ours.field or "unknown"),
                           str(field or "none")))
    return PAGE.format(table=markdown(rows), operations=markdown(operations),
                       versions=", ".join(f"{name} {version}" for name, version in VERSIONS.items()))


def markdown(rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
