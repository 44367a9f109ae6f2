"""Exercises of lesson 6."""

import torch
import torch.nn.functional as F
from torch import nn

from ..models.resnet import Basic, Bottleneck, CifarResNet, projection
from . import exercise
from .checking.networks import behaviour
from .checking.values import WrongForm


def maps(rng):
    """A batch of maps and a number of channels: odd and even sizes, a single row of one image, and a random size."""
    generator = torch.Generator().manual_seed(rng.randrange(10**6))
    sizes = ((2, 3, 8, 8), 5), ((3, 2, 7, 9), 8), ((1, 1, 1, 4), 1 + 2 * rng.randint(1, 3)), ((2, 4, 3, 5), 4)
    sizes += ((2, n := rng.randint(2, 5), 2 * rng.randint(3, 6), 2 * rng.randint(3, 6)), n + 2 * rng.randint(1, 3)),
    return [(torch.randn(size, generator=generator).mul_(10).requires_grad_(), n_out) for size, n_out in sizes]


@exercise(minutes=8, level="medium",
          hints=("Two steps: pick pixels by a slice with a step, then append channels of zeros.",
                 "`F.pad` reads its numbers in pairs, and the first pair belongs to the *last* dimension. The channels "
                 "are the third pair.",
                 "`F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, before, after))`"),
          cases=maps)
def zero_shortcut(x, n_out):
    """Option A with stride 2: of x (N x C x H x W) every second row and column, from the first on, and behind the C
    channels as many channels of zeros as it takes to have `n_out`."""
    return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, n_out - x.shape[1]))


zero_shortcut.mistakes_as_edits(
    ("0, 0, 0, 0, 0, n_out", "0, n_out",
     "Your zeros became new columns. `F.pad` reads its pairs from the last dimension backwards: width, height, "
     "channels."),
    ("[:, :, ::2, ::2]", "",
     "The channels are right, and the map has kept its size: option A keeps only every second row and column."),
    ("0, n_out - x.shape[1]", "n_out - x.shape[1], 0",
     "Your zeros stand in front of the channels. In a pair of `F.pad` the first number pads before, the second "
     "behind."),
    ("0, n_out - x.shape[1]", "(n_out - x.shape[1]) // 2, (n_out - x.shape[1]) // 2",
     "Half of your zeros stand in front of the channels and half behind. That would train as well, but the task wants "
     "all of them behind."),
    ("x[:, :, ::2, ::2]", "F.avg_pool2d(x, 2, ceil_mode=True)",
     "You average neighbouring pixels. Option A computes nothing: it takes every second pixel as it is."),
    ("::2, ::2", "::2", "Only the rows are thinned out. The columns need a step of two as well."),
    ("::2, ::2", ":, ::2", "Only the columns are thinned out. The rows need a step of two as well."),
    ("::2, ::2", "1::2, 1::2",
     "You begin with the second row and column. Every second one is taken from the first on: of 7 there remain 4."),
    ("x[:, :, ::2, ::2]", "F.max_pool2d(x, 2, ceil_mode=True)",
     "You take the largest of neighbouring pixels. Option A computes nothing: it takes every second pixel as it is."),
    ("x[:, :, ::2, ::2]", "x[:, :, : (x.shape[2] + 1) // 2, : (x.shape[3] + 1) // 2]",
     "You cut out the upper left quarter. Every second row and column is taken, from the whole map."),
    ("x[:, :, ::2, ::2]", "x[:, :, : x.shape[2] - x.shape[2] % 2: 2, : x.shape[3] - x.shape[3] % 2: 2]",
     "For an odd side you lose the last row or column: of 7 there remain 4, the first, third, fifth and seventh."),
    ("x[:, :, ::2, ::2]", "x[::2, :, ::2, ::2]",
     "You take every second image as well. The batch is dimension 0, rows and columns are 2 and 3."),
    ("0, n_out - x.shape[1]", "0, n_out",
     "You append `n_out` channels. With the C that are there it shall be `n_out` together."),
    ("F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, n_out - x.shape[1]))", "x[:, :, ::2, ::2]",
     "The pixels are right, and the channels of zeros are missing."),
    ("F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, n_out - x.shape[1]))",
     "x[:, :, ::2, ::2].repeat(1, n_out, 1, 1)[:, :n_out]",
     "You repeat the channels of x. Behind them stand channels of zeros."),
    ("F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, n_out - x.shape[1]))",
     "torch.cat([x[:, :, ::2, ::2], torch.zeros_like(x[:, :, ::2, ::2])], 1)",
     "You double the channels. `n_out` need not be twice as many."),
    ("n_out - x.shape[1])", "n_out - x.shape[1]), value=1", "Your new channels hold ones. They hold zeros."),
    ("n_out - x.shape[1]))", "n_out - x.shape[1])).transpose(2, 3)",
     "Rows and columns of your result are exchanged."))


@exercise(minutes=12, level="hard",
          hints=("Start from `MyBlock`. Which of the two convolutions changes the shape?",
                 "The first convolution takes the stride and the new number of channels; the second keeps the shape. "
                 "The shortcut must arrive at the same shape.",
                 "The shortcut is `nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=2, bias=False), "
                 "nn.BatchNorm2d(n_out))`, and `forward` ends in `F.relu(out + self.shortcut(x))`."),
          cases=lambda rng: [(2, 3), (rng.randint(3, 4), rng.randint(5, 8)), (4, 4)],
          observe=lambda net, n_in, n_out: behaviour(net, torch.randn(3, n_in, 9, 11), torch.randn(1, n_in, 1, 6)))
def halving_block(n_in, n_out):
    """The first block of a stage, as a module: two 3x3 convolutions from `n_in` to `n_out` channels that halve the map,
    and a projection shortcut (option B). No convolution has a bias; each is followed by batch normalisation."""
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.residual = nn.Sequential(
                nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
                nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out))
            self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=2, bias=False), nn.BatchNorm2d(n_out))

        def forward(self, x):
            out = self.residual(x)
            return F.relu(out + self.shortcut(x))
    return Block()


halving_block.mistakes_as_edits(
    ("F.relu(out + self.shortcut(x))", "F.relu(out) + self.shortcut(x)",
     "Your ReLU stands before the addition. So F(x) is never negative, and the block can only add. The sum comes "
     "first, then the ReLU."),
    ("F.relu(out + self.shortcut(x))", "out + self.shortcut(x)", "The ReLU after the addition is missing."),
    ("nn.Conv2d(n_in, n_out, 1, stride=2, bias=False), nn.BatchNorm2d(n_out)", "", " + self.shortcut(x)", "",
     "Nothing is added: this is a block of a plain network. Where is the shortcut?"),
    ("n_out, n_out, 3", "n_out, n_out, 3, stride=2", "1, stride=2", "1, stride=4",
     "The map is a quarter as wide and high as before: both convolutions step by two. One stride a block is enough."),
    ("3, stride=2", "3", "n_out, n_out, 3", "n_out, n_out, 3, stride=2",
     "Your second convolution takes the stride. The shape is the same, but the first one then works on the large map. "
     "In the paper the first one steps."),
    ("1, stride=2, bias=False), nn.BatchNorm2d(n_out)", "1, stride=2, bias=False)",
     "The convolution of your shortcut has no batch normalisation."),
    ("nn.BatchNorm2d(n_out), nn.ReLU(),", "nn.BatchNorm2d(n_out),",
     "The ReLU between the two convolutions is missing. Without it they are one linear map."),
    ("nn.BatchNorm2d(n_out), nn.ReLU(),", "nn.ReLU(), nn.BatchNorm2d(n_out),",
     "Your first ReLU stands before the batch normalisation. Convolution, normalisation, ReLU is the order."),
    ("F.relu(out +", "F.relu(F.relu(out) +",
     "There is one ReLU too many: behind the residual part, before the addition. So F(x) is never negative, and the "
     "block can only add."),
    ("bias=False), nn.BatchNorm2d(n_out))\n            self", "bias=False))\n            self",
     "The second convolution has no batch normalisation."),
    ("bias=False), nn.BatchNorm2d(n_out), nn.ReLU()", "bias=False), nn.ReLU()",
     "The first convolution has no batch normalisation."),
    ("bias=False), nn.BatchNorm2d(n_out), nn.ReLU()", "bias=False), nn.ReLU()",
     "bias=False), nn.BatchNorm2d(n_out))\n            self", "bias=False))\n            self",
     "bias=False), nn.BatchNorm2d(n_out))\n\n", "bias=False))\n\n",
     "There is no batch normalisation at all. One follows each of the three convolutions."),
    ("bias=False), nn.BatchNorm2d(n_out))\n            self", "bias=False))\n            self",
     "F.relu(out + self", "F.relu(self.last(out + self", "self.shortcut(x))", "self.shortcut(x)))",
     "            self.shortcut =", "            self.last = nn.BatchNorm2d(n_out)\n            self.shortcut =",
     "Your last batch normalisation stands behind the addition. It belongs to the second convolution, before the sum."),
    ("1, stride=2, bias=False", "3, stride=2, padding=1, bias=False",
     "The convolution on your shortcut has a window of 3 x 3. A projection is a 1x1."),
    ("nn.Conv2d(n_in, n_out, 1, stride=2, bias=False)",
     "nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(n_in, n_out, 1, bias=False)",
     "Your shortcut averages pixels before its 1x1. That is a later variant; in option B the 1x1 has the stride."),
    ("3, stride=2", "3", "1, stride=2", "1", "Your block does not halve the map: no convolution has a stride of 2."),
    ("1, stride=2, bias=False", "1, stride=2",
     "The convolution of your shortcut has a bias. The batch normalisation behind it subtracts any constant."),
    ("stride=2, padding=1, bias=False", "stride=2, padding=1", "3, padding=1, bias=False", "3, padding=1",
     "Your 3x3 convolutions have biases. The batch normalisation behind each subtracts any constant: `bias=False`."),
    ("out + self", "out - self", "You subtract the shortcut. The block adds it."),
    ("nn.ReLU(),", "nn.ReLU(), nn.Dropout(0.5),", "There is a dropout in your block. ResNet has none."),
    ("nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),",
     "nn.Conv2d(n_in, n_in, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_in), nn.ReLU(),",
     "nn.Conv2d(n_out, n_out, 3", "nn.Conv2d(n_in, n_out, 3",
     "Your first convolution keeps `n_in` channels and the second one changes them. The first goes to `n_out`."),
    ("nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),",
     "nn.BatchNorm2d(n_in), nn.ReLU(), nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False),",
     "nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out))\n            self",
     "nn.BatchNorm2d(n_out), nn.ReLU(), nn.Conv2d(n_out, n_out, 3, padding=1, bias=False))\n            self",
     "nn.Conv2d(n_in, n_out, 1, stride=2, bias=False), nn.BatchNorm2d(n_out)",
     "nn.Conv2d(n_in, n_out, 1, stride=2, bias=False)", "F.relu(out + self.shortcut(x))", "out + self.shortcut(x)",
     "Your normalisation and ReLU stand before the convolutions. That is the block of a later paper (v2); here they "
     "follow, and the last ReLU comes after the sum."),
    ("self.shortcut(x)", "F.relu(self.shortcut(x))",
     "There is a ReLU on your shortcut. It carries a convolution and a batch normalisation, nothing else."),
    ("stride=2, padding=1, bias=False", "stride=2, padding=1", "3, padding=1, bias=False", "3, padding=1",
     "1, stride=2, bias=False", "1, stride=2",
     "Your convolutions have biases. The batch normalisation behind them subtracts any constant: `bias=False`."))


@exercise(minutes=3, level="easy",
          hints=("Count the convolutions inside the blocks first, then what stands before and behind the stages.",
                 "For three stages of two convolutions a block your formula must give 6n + 2.",
                 "`stages * n * convolutions`, one convolution before them, one linear layer behind."),
          cases=lambda rng: [(3, 4, 2), (5, 3, 3), (1, 2, 1), (2, 1, 3), (2, 9, 3)] + [
              (rng.randint(4, 9), rng.randint(2, 3), 4) for _ in range(3)])  # all different: no two formulas agree
def layers(n, stages, convolutions):
    """The layers of a network of `stages` stages, each of `n` blocks with so many convolutions, with one convolution
    before and one linear layer behind. Projections on shortcuts are not counted."""
    return stages * n * convolutions + 2


layers.mistakes_as_edits(
    ("stages * n * convolutions", "6 * n",
     "This is 6n + 2 of the CIFAR networks. It holds for three stages with two convolutions a block, and here both can "
     "be others."),
    ("+ 2", "+ 1",
     "One layer is missing. Besides the blocks there are two: the first convolution and the linear layer."),
    (" + 2", "", "You counted the layers inside the blocks only. What stands before and behind the stages?"),
    (" * convolutions", "", "You counted the blocks. Each block has several layers with weights."),
    ("stages * n", "n", "You took n as the blocks of the whole network. Each stage has n."),
    ("stages * n", "stages * (n + 1)",
     "Your stages have one block too many: the block that changes the shape is one of the n."),
    ("+ 2", "+ 2 + stages - 1",
     "You counted the projections, one for each stage but the first. By convention they do not count as depth."),
    ("+ 2", "+ 2 + stages",
     "You counted a projection for each stage. By convention they do not count as depth."),
    ("stages * n", "stages * (n - 1)", "Your stages have one block too few: the block that changes the shape is one of "
     "the n."),
    ("stages * n * convolutions + 2", "stages * (n * convolutions + 2)",
     "You counted the first convolution and the linear layer once in each stage. The network has them once."),
    ("stages * n * convolutions", "(stages + n * convolutions)",
     "You added the number of stages. There are so many *times* n blocks."),
    ("stages * n * convolutions", "stages * (n + convolutions)",
     "You added the convolutions of a block to the blocks. Each of the n blocks has so many: they are multiplied."),
    ("* convolutions", "* (convolutions + 1)",
     "You counted one layer more in each block, as if the addition or the shortcut were one."),
    ("* convolutions", "* 2", "You took two convolutions a block. Here it can be others: `convolutions`."),
    ("stages * n", "3 * n", "You took three stages. Here it can be others: `stages`."),
    ("stages * n", "(stages - 1) * n", "You left out a stage: all of them have n blocks, the first as well."),
    ("+ 2", "+ 3",
     "You counted one layer too many besides the blocks. There are two: a convolution and a linear layer."),
    ("* convolutions", "* convolutions * 2",
     "You counted the batch normalisations. By convention only convolutions and linear layers count."))


@exercise(minutes=6, level="medium",
          hints=("Which of the three convolutions makes an output of another size in the two forms?",
                 "Only the first 1x1: in version 1 its output has half the rows and half the columns, in version 1.5 "
                 "all of them.",
                 "MACs of that 1x1 on `size**2` positions, minus those on `(size // 2) ** 2`."),
          cases=lambda rng: [(256, 128, 56), (3, 2, 4)] + [
              (4 * rng.randint(2, 9), rng.randint(3, 7), 2 * rng.randint(4, 20)) for _ in range(3)])
def extra_macs(n_in, width, size):
    """How many more MACs a bottleneck of version 1.5 needs than one of version 1, where it halves a map of size x size
    pixels with `n_in` channels; `width` channels are inside. `size` is even."""
    return n_in * width * (size**2 - (size // 2) ** 2)


extra_macs.mistakes_as_edits(
    (" - (size // 2) ** 2", "",
     "This is what the first 1x1 costs in version 1.5. In version 1 it costs something too: take the difference."),
    ("(size**2 - (size // 2) ** 2)", "size**2 // 2",
     "You took half of the positions. A stride of two halves the rows *and* the columns."),
    ("n_in * width", "(n_in * width + 9 * width**2)",
     "You counted the 3x3 as well. Its output has size/2 rows in both forms, so it costs the same."),
    ("n_in * width", "9 * n_in * width",
     "You counted nine weights for each pair of channels. The convolution that differs is a 1x1."),
    ("size**2 - (size // 2) ** 2", "(2 * size) ** 2 - size**2",
     "Your answer is four times too large. `size` is the map that goes in, not the one that comes out; and the first "
     "1x1 makes `width` channels, not four times as many."),
    ("(size**2 - (size // 2) ** 2)", "(size // 2) ** 2",
     "This is what the first 1x1 costs in version 1, a quarter of the positions. Asked is how much *more* version 1.5 "
     "needs."),
    ("n_in * width * (size**2", "9 * width**2 * (size**2",
     "You took the 3x3. Its output has size/2 rows in both forms, so it costs the same; the 1x1 before it differs."),
    ("n_in * width", "width * width",
     "Your 1x1 reads `width` channels. The first one reads `n_in` and writes `width`."),
    ("(size**2 - (size // 2) ** 2)", "((size // 2) ** 2 - size**2)",
     "The sign is turned round: version 1.5 needs more."),
    ("return n_in", "return 3 // 4 * n_in",
     "Your answer is 0 everywhere. Is there a `3 // 4` or a `1 // 2` in it? Both are 0 in Python: multiply first, then "
     "divide."),
    ("(size**2 - (size // 2) ** 2)", "(size - size // 2)",
     "You counted positions along one side. A map has size * size of them."),
    ("n_in *", "", "This is the difference for one input channel. The first 1x1 reads `n_in` of them."),
    ("n_in *", "2 * n_in *",
     "This is twice the difference. Did you count the additions as well, or both 1x1 convolutions? A "
     "multiply-accumulate is one, and only the first 1x1 sees another map."),
    ("n_in * width", "(n_in + 1) * width", "You counted the biases. They are no multiply-accumulates."),
    ("n_in * width * (size**2 - (size // 2) ** 2)",
     "n_in * width * size**2 + 13 * width**2 * (size // 2) ** 2",
     "This is all that the bottleneck costs in version 1.5. Asked is how much more that is than in version 1."),
    (" * width", "", "This is the difference for one output channel. The first 1x1 makes `width` of them."))


def disagreeing(rng):
    """Pairs of shapes that cannot be added. The fixed ones separate all mistakes."""
    fixed = [((2, 3, 4, 6), (2, 3, 4, 4)), ((2, 16, 32, 32), (2, 32, 16, 16)), ((2, 16, 8, 8), (2, 32, 8, 8)),
             ((4, 3, 7, 9), (4, 3, 5, 9)),
             ((2, 16, 8, 1), (2, 32, 4, 8)), ((3, 8, 6, 6), (2, 8, 1, 6)), ((2, 4, 9, 6), (2, 5, 3, 7))]
    shape = [rng.randint(2, 9) for _ in range(4)]
    other = [n + rng.choice((0, 0, 1, 2)) for n in shape]
    other[rng.randrange(4)] += 3
    return fixed + [(tuple(shape), tuple(other))]


@exercise(minutes=6, level="medium",
          hints=("From which end does PyTorch compare, and when does it stop?",
                 "Two sizes fit if they are equal, or if one of them is 1.",
                 "Go through `range(3, -1, -1)` and return the first dimension whose sizes do not fit."),
          cases=disagreeing)
def dimension(first, second):
    """The dimension that the error message names when tensors of these two shapes are added: 0 to 3, counted as PyTorch
    does. The shapes are tuples of four numbers, and they cannot be added. A size of 1 fits any other."""
    for i in (3, 2, 1, 0):
        if first[i] != second[i] and 1 not in (first[i], second[i]):
            return i


dimension.mistakes_as_edits(
    ("(3, 2, 1, 0)", "(0, 1, 2, 3)",
     "You return the first dimension that disagrees. PyTorch compares from the last one: with stride *and* channels "
     "wrong, it names the width."),
    ("return i", "return i + 1", "It is the right dimension, counted from 1. PyTorch counts from 0."),
    (" and 1 not in (first[i], second[i])", "",
     "A size of 1 is stretched to fit any other, without a message. Pass over such dimensions."),
    ("return i", "return 1",
     "You always name the channels. That is the misreading of this section: look at each of the four sizes."),
    ("return i", "return 3 - i",
     "It is the right dimension, counted from the last one. PyTorch counts from the first, the batch, which is 0."),
    ("return i", "return i - 4",
     "It is the right dimension, counted from the end with negative numbers. PyTorch counts from 0."),
    ("1 not in (first[i], second[i])", "first[i] != 1",
     "You pass over a size of 1 in the first shape only. In the second one it is stretched as well."),
    ("1 not in (first[i], second[i])", "second[i] != 1",
     "You pass over a size of 1 in the second shape only. In the first one it is stretched as well."),
    ("first[i] != second[i] and 1 not in (first[i], second[i])",
     "max(first[i], second[i]) % min(first[i], second[i])",
     "You let sizes pass that are multiples of each other. Two sizes fit if they are equal or if one of them is 1."),
    ("first[i] != second[i]", "first[i] > second[i]",
     "You look for a size that is larger in the first shape. It may be larger in the second."),
    ("(3, 2, 1, 0)", "(3, 2, 1)", "You never look at dimension 0, the batch. It may be the one that does not fit."),
    ("return i", "return first[i]", "You return the size itself. Asked is which dimension it is, 0 to 3."),
    ("return i", "return 3",
     "You always name the width. PyTorch compares from there, but it may be another that does not fit."),
    ("for i in (3, 2, 1, 0):", "for i in sorted(range(4), key=lambda i: -abs(first[i] - second[i])):",
     "You name the dimension whose sizes lie furthest apart. PyTorch goes from the last one and stops at the "
     "first that does not fit."),
    ("(3, 2, 1, 0)", "sorted(range(4), key=lambda i: -abs(first[i] - second[i]))",
     " and 1 not in (first[i], second[i])", "",
     "You name the dimension whose sizes lie furthest apart, even where one of them is 1, which fits any other. "
     "PyTorch goes from the last one and stops at the first that does not fit."))


def networks(rng):
    """Small networks of both kinds of blocks, with weights that are not those of a new network."""
    seed = rng.randrange(10**6)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        found = [CifarResNet(14, shortcut=projection),
                 nn.Sequential(Bottleneck(8, 2, 1, projection), nn.Sequential(
                     Basic(8, 8, 1, projection), Bottleneck(8, 2, 1, projection)), Bottleneck(8, 3, 2, projection))]
        for parameter in (p for net in found for p in net.parameters()):
            nn.init.uniform_(parameter, 0.5, 1)
        for buffer in (b for net in found for b in net.buffers() if b.is_floating_point()):
            buffer.uniform_(0.5, 1)
    return [(net,) for net in found]


def numbers_in(net, _):
    """Gammas apart from the other parameters, so that the message can name them."""
    if not isinstance(net, nn.Module):
        raise WrongForm("Return the network itself at the end.")
    gammas = {id(layer.weight) for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)}
    last = {id(block.residual[-1].weight) for block in net.modules() if isinstance(block, Basic | Bottleneck)}
    betas = {id(layer.bias) for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)}
    in_a_row = nn.utils.parameters_to_vector
    return {"the number of blocks whose last gammas are all zero":
            sum(id(p) in last and not p.any() for p in net.parameters()),
            "the last gammas of all blocks in a row": in_a_row(p for p in net.parameters() if id(p) in last),
            "all other gammas in a row": in_a_row(p for p in net.parameters() if id(p) in gammas - last),
            "all betas in a row": in_a_row(p for p in net.parameters() if id(p) in betas),
            "all other parameters in a row": in_a_row(p for p in net.parameters() if id(p) not in gammas | betas),
            "its running averages in a row": in_a_row(b for b in net.buffers() if b.is_floating_point()),
            "parameters that are not trained": [name for name, p in net.named_parameters() if not p.requires_grad],
            "the momentum and eps of the normalisations": [(layer.momentum, layer.eps) for layer in net.modules()
                                                           if isinstance(layer, nn.BatchNorm2d)]}


@exercise(minutes=8, level="medium",
          hints=("`net.modules()` goes through all blocks and layers; the blocks are instances of `Basic` and "
                 "`Bottleneck`.",
                 "In both kinds of block the last layer of `block.residual` is the batch normalisation. Its gammas "
                 "are its `weight`.",
                 "For each block: `nn.init.zeros_(block.residual[-1].weight)`. Return the network at the end."),
          cases=networks, observe=numbers_in)
def quiet(net):
    """Set all gammas of the last batch normalisation in the residual part of every block to zero, in a network of
    `Basic` or `Bottleneck` blocks, and return the network. Everything else stays as it was."""
    for block in net.modules():
        if isinstance(block, Basic | Bottleneck):
            nn.init.zeros_(block.residual[-1].weight)
    return net


quiet.mistakes_as_edits(
    ("Basic | Bottleneck", "nn.BatchNorm2d", "block.residual[-1].weight", "block.weight",
     "All gammas of the network are zero, those of the first layer and of the projections too: no image passes any "
     "more. Only the last normalisation of each residual part is meant."),
    ("[-1]", "[1]",
     "You set the gammas of each block's first normalisation to zero. The convolutions behind it then receive only "
     "zeros to learn from."),
    ("[-1]", "[4]",
     "You took the layer by its number in a basic block. A bottleneck has three layers more, so its last one lies "
     "elsewhere: count from the end."),
    ("].weight", "].bias",
     "You set `bias` to zero. That is beta, which is added; gamma, which multiplies, is called `weight`."),
    ("[-1]", "[-2]",
     "You set the weights of the last convolution to zero. The output is the same at first, but the task names "
     "the gammas."),
    ("            nn.init.zeros_(block.", "            last = block\n    nn.init.zeros_(last.",
     "Only the last block starts at zero. Go through all of them."),
    ("    return net", "            return net",
     "Only the first block starts at zero. Is the `return` inside the loop?"),
    ("Basic | Bottleneck", "Basic",
     "You went through the basic blocks only. The blocks of deeper networks are bottlenecks."),
    ("Basic | Bottleneck", "Bottleneck",
     "You went through the bottlenecks only. The blocks of CIFAR's networks are basic ones."),
    ("net.modules()", "net.children()",
     "You looked at the direct children of the network. Blocks may lie deeper, inside stages: `modules()` finds all."),
    ("nn.init.zeros_(block.residual[-1].weight)",
     "nn.init.zeros_(block.residual[-1].weight)\n            nn.init.zeros_(block.residual[-1].bias)",
     "You set beta to zero as well. Everything but the last gammas stays as it was."),
    ("nn.init.zeros_(block.residual[-1].weight)",
     "nn.init.zeros_(block.residual[-1].weight)\n            for layer in block.shortcut.modules():\n"
     "                if isinstance(layer, nn.BatchNorm2d):\n                    nn.init.zeros_(layer.weight)",
     "You set the gamma of the projections to zero as well. Then nothing passes a block whose shape changes."),
    ("nn.init.zeros_(block.residual[-1].weight)",
     "for layer in block.residual:\n                if isinstance(layer, nn.BatchNorm2d):\n"
     "                    nn.init.zeros_(layer.weight)",
     "You set every gamma of the residual parts to zero. Only the last one of each is meant."),
    ("block.residual[-1].weight", "[m for m in block.modules() if isinstance(m, nn.BatchNorm2d)][-1].weight",
     "You took the last normalisation of the whole block. Where there is a projection that is the one on the shortcut; "
     "the one meant is the last of `block.residual`."),
    ("nn.init.zeros_(", "nn.init.ones_(", "Your gammas are one, as in a new network. They shall be zero."),
    ("            nn.init.zeros_(block.residual[-1].weight)", "            pass",
     "No number of the network has changed. A new name for a parameter, or an attribute of another name, such as "
     "`gamma`, does not write into it."))
