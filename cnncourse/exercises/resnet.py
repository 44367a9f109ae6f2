"""Exercises of lesson 6."""

import torch
import torch.nn.functional as F
from torch import nn

from ..models.resnet import Basic, Bottleneck, CifarResNet, projection
from . import behaviour, exercise


def maps(rng):
    """A batch of maps and a number of channels: an odd and an even size, and a random one."""
    generator = torch.Generator().manual_seed(rng.randrange(10**6))
    sizes = ((3, 8, 8), (2, 7, 9), (rng.randint(2, 5), 2 * rng.randint(3, 6), 2 * rng.randint(3, 6)))
    return [(torch.randn(2, *size, generator=generator), size[0] + 2 * rng.randint(1, 3)) for size in sizes]


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
    ("::2, ::2", "::2", "Only the rows are thinned out. The columns need a step of two as well."))


@exercise(minutes=12, level="hard",
          hints=("Start from `MyBlock`. Which of the two convolutions changes the shape?",
                 "The first convolution takes the stride and the new number of channels; the second keeps the shape. "
                 "The shortcut must arrive at the same shape.",
                 "The shortcut is `nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=2, bias=False), "
                 "nn.BatchNorm2d(n_out))`, and `forward` ends in `F.relu(out + self.shortcut(x))`."),
          cases=lambda rng: [(rng.randint(2, 4), rng.randint(5, 8)) for _ in range(3)],
          observe=lambda net, n_in, n_out: behaviour(net, torch.randn(3, n_in, 9, 11)))
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
    ("self.shortcut(x)", "F.relu(self.shortcut(x))",
     "There is a ReLU on your shortcut. It carries a convolution and a batch normalisation, nothing else."),
    ("stride=2, padding=1, bias=False", "stride=2, padding=1", "3, padding=1, bias=False", "3, padding=1",
     "1, stride=2, bias=False", "1, stride=2",
     "Your convolutions have biases. The batch normalisation behind them subtracts any constant: `bias=False`."))


@exercise(minutes=3, level="easy",
          hints=("Count the convolutions inside the blocks first, then what stands before and behind the stages.",
                 "For three stages of two convolutions a block your formula must give 6n + 2.",
                 "`stages * n * convolutions`, one convolution before them, one linear layer behind."),
          cases=lambda rng: [(3, 4, 2), (5, 3, 3)] + [(rng.randint(4, 9), rng.randint(2, 3), 4)
                                                      for _ in range(3)])  # all different: no two formulas agree
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
     "You counted the projections, one for each stage but the first. By convention they do not count as depth."))


@exercise(minutes=6, level="medium",
          hints=("Which of the three convolutions makes an output of another size in the two forms?",
                 "Only the first 1x1: in version 1 its output has half the rows and half the columns, in version 1.5 "
                 "all of them.",
                 "MACs of that 1x1 on `size**2` positions, minus those on `(size // 2) ** 2`."),
          cases=lambda rng: [(256, 128, 56)] + [
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
     "You took `size` for the map that comes out. It is the one that goes in."),
    (" * width", "", "This is the difference for one output channel. The first 1x1 makes `width` of them."))


def disagreeing(rng):
    """Pairs of shapes that cannot be added. The fixed ones separate all mistakes."""
    fixed = [((2, 16, 32, 32), (2, 32, 16, 16)), ((2, 16, 8, 8), (2, 32, 8, 8)), ((4, 3, 7, 9), (4, 3, 5, 9)),
             ((2, 16, 8, 1), (2, 32, 4, 8)), ((3, 8, 6, 6), (2, 8, 1, 6))]
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
     "It is the right dimension, counted from the last one. PyTorch counts from the first, the batch, which is 0."))


def networks(rng):
    """Small networks of both kinds of blocks, with weights that are not those of a new network."""
    seed = rng.randrange(10**6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = [CifarResNet(8, shortcut=projection),
                 nn.Sequential(Bottleneck(8, 2, 1, projection), Bottleneck(8, 3, 2, projection))]
        for parameter in (p for net in found for p in net.parameters()):
            nn.init.uniform_(parameter, 0.5, 1)
    return [(net,) for net in found]


def numbers_in(net, _):
    """Gammas apart from the other parameters, so that the message can name them."""
    gammas = {id(layer.weight) for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)}
    in_a_row = nn.utils.parameters_to_vector
    return {"all gammas in a row": in_a_row(p for p in net.parameters() if id(p) in gammas),
            "all other parameters in a row": in_a_row(p for p in net.parameters() if id(p) not in gammas)}


@exercise(minutes=8, level="medium",
          hints=("`net.modules()` goes through all blocks and layers; the blocks are instances of `Basic` and "
                 "`Bottleneck`.",
                 "In both kinds of block the last layer of `block.residual` is the batch normalisation. Its gamma is "
                 "called `weight`.",
                 "For each block: `nn.init.zeros_(block.residual[-1].weight)`. Return the network at the end."),
          cases=networks, observe=numbers_in)
def quiet(net):
    """Set the last gamma of the residual part of every block to zero, in a network of `Basic` or `Bottleneck` blocks,
    and return the network. Everything else stays as it was."""
    for block in net.modules():
        if isinstance(block, Basic | Bottleneck):
            nn.init.zeros_(block.residual[-1].weight)
    return net


quiet.mistakes_as_edits(
    ("Basic | Bottleneck", "nn.BatchNorm2d", "block.residual[-1].weight", "block.weight",
     "All gammas of the network are zero, those of the first layer and of the projections too: no image passes any "
     "more. Only the last one of each residual part is meant."),
    ("[-1]", "[1]",
     "You set the first gamma of each block to zero. The convolutions behind it then receive only zeros to learn "
     "from."),
    ("[-1]", "[4]",
     "You took the layer by its number in a basic block. A bottleneck has three layers more, so its last one lies "
     "elsewhere: count from the end."),
    ("].weight", "].bias",
     "You set `bias` to zero. That is beta, which is added; gamma, which multiplies, is called `weight`."),
    ("[-1]", "[-2]",
     "You set the weights of the last convolution to zero. The output is the same at first, but it is gamma that the "
     "task names."),
    ("            nn.init.zeros_(block.", "            last = block\n    nn.init.zeros_(last.",
     "Only the last block starts at zero. Go through all of them."))
