"""Exercises of lesson 8: programs that came in broken, to be repaired.

Each solution is the repaired program, `as_it_came` the broken one, and the mistakes are repairs that silence the
symptom and leave the program wrong.
"""

import io
import math
import re
import zipfile
from contextlib import suppress

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.resnet import Basic, zero_padding
from . import exercise, named
from .checking.networks import behaviour
from .checking.values import WrongForm, same, tensors, told

batch_size = 16  # a setting of the notebook: a program that reads it from there must find it here too


def made(rng, build, *arguments):
    """What `build(*arguments)` makes of random numbers; those of the student are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(rng.randrange(2**31))
        return build(*arguments)


def leaves(rng, *shapes):
    """Random tensors that want a gradient, so large that a cut far above zero shows."""
    return [made(rng, torch.randn, *shape).mul_(10).requires_grad_() for shape in shapes]


def sized(net, x):
    """Behaviour of a network that may learn its sizes from the first batch."""
    net(x)
    return behaviour(net, x)


# Tracebacks that point elsewhere


@exercise(minutes=3, level="easy",
          hints=("The message names an object, a `ReLU`. Where does the program ask a ReLU for something called `nn`?",
                 "Python reads on over the end of a line inside brackets. What stands between the two layers there?",
                 "In a list of layers each one ends with a comma. Look for the one that ends with something smaller."),
          cases=lambda rng: [(rng.randint(5, 9), rng.randint(2, 4)) for _ in range(3)],
          observe=lambda net, n_in, n_out: behaviour(net, torch.randn(4, n_in)))
def head(n_in, n_out):
    """Three linear layers: `n_in` to 32 to 16 to `n_out`. After each of the first two come a ReLU and a dropout of
    0.5."""
    return nn.Sequential(
        nn.Linear(n_in, 32), nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(32, 16), nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(16, n_out))


head.as_it_came("16), nn.ReLU(),", "16), nn.ReLU().")
head.mistakes_as_edits(
    ("16), nn.ReLU(),", "16),",
     "The message is gone, and a ReLU with it. Only one sign was wrong in this program; both layers around it belong "
     "there."),
    ("nn.Dropout(0.5),\n        nn.Linear(16", "nn.Linear(16",
     "The message is gone, and the second dropout with it. In evaluation nobody will notice; in training the network "
     "is another one."),
    ("16), nn.ReLU(),\n        nn.Dropout(0.5),", "16),",
     "The whole line with the error is gone. The program runs, but the second hidden layer has neither ReLU nor "
     "dropout, and two linear layers in a row are no more than one."),
    ("nn.Dropout(0.5),\n        nn.Linear(16, n_out)", "nn.Linear(16, n_out), nn.Dropout(0.5)",
     "The dropout came to stand behind the last layer, where it sets half of the answers to zero. It belongs where "
     "it stood, behind the second ReLU."),
    ("n_in, 32), nn.ReLU(),", "n_in, 32),", "The first ReLU is gone. It was right as it came."),
    ("nn.Linear(16, n_out)", "nn.Linear(16, n_out), nn.ReLU()",
     "A ReLU follows the last layer. Logits may be negative."),
    ("nn.Linear(16, n_out)", "nn.Linear(16, n_out), nn.Softmax(1)",
     "A softmax follows the last layer. The program ended with logits."),
    ("nn.ReLU(),\n        nn.Dropout(0.5),\n        nn.Linear(32", "nn.ReLU(),\n        nn.Linear(32",
     "The first dropout is gone. It was right as it came."),
    ("nn.ReLU(),\n        nn.Dropout(0.5),\n        nn.Linear(32", "nn.ReLU(),\n        nn.Linear(32",
     "nn.Dropout(0.5),\n        nn.Linear(16", "nn.Linear(16",
     "Both dropouts are gone. They were right as they came."))


@exercise(minutes=4, level="easy",
          hints=("You see a `forward`. Whose is it? Ask the class for the names that it holds.",
                 "In Python the indentation alone says what belongs to what.",
                 "`forward` must begin in the same column as `__init__`. Move it, and change nothing in it."),
          cases=lambda rng: [(width,) for width in (5, rng.randint(6, 9))],
          observe=lambda net, width: behaviour(net, torch.randn(4, 1, 6, 7), torch.randn(1, 1, 6, 7)))
def small_net(width):
    """A 3x3 convolution with padding 1 from 1 to `width` channels, a ReLU, the mean of each map, and a linear layer to
    ten classes."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = nn.Conv2d(1, width, 3, padding=1)
            self.head = nn.Linear(width, 10)

        def forward(self, x):
            maps = self.maps(x).relu()
            return self.head(maps.mean(dim=(2, 3)))

    return Net()


small_net.as_it_came("def forward", "    def forward", "maps = self.maps", "    maps = self.maps",
                     "return self.head", "    return self.head")
small_net.mistakes_as_edits(
    ("self.maps(x).relu()", "x", "self.head(maps.mean(dim=(2, 3)))", "maps",
     "There is a `forward` now, and PyTorch is content, but it is not the one that the program holds: no layer is "
     "used in it."),
    ("(x).relu()", "(x)",
     "This `forward` was written anew, without the ReLU. The program already holds a right one: find out why PyTorch "
     "does not see it."),
    ("(x).relu()", "(x)", "mean(dim=(2, 3))", "mean(dim=(2, 3)).relu()",
     "The ReLU stands after the mean here. A mean of a map with negative numbers is another number than the mean of "
     "what a ReLU leaves of it. The old `forward` had the right order."),
    ("self.head(maps", "(maps",
     "This `forward` ends at the means of the maps: the linear layer is never called, and no ten classes come out. "
     "The old one had all three steps."),
    ("maps.mean", "maps.sum", "This `forward` adds up each map. The old one took the mean."),
    ("maps.mean", "maps.amax", "This `forward` takes the maximum of each map. The old one took the mean."),
    ("self.head(maps.mean(dim=(2, 3)))", "self.head(maps.mean(dim=(2, 3))).softmax(1)",
     "A softmax ends this `forward`. The old one gave logits."),
    ("padding=1", "padding=0", "The convolution has lost its padding. Nothing in `__init__` was wrong."))


@exercise(minutes=3, level="easy",
          hints=("The message does not speak of your list. Which other object stands before a square bracket?",
                 "Round brackets call, square brackets look something up.",
                 "The second argument is the axis along which to join. Keep both arguments, change the brackets."),
          cases=lambda rng: [(leaves(rng, *[shape] * n),) for n, shape in (
              (2, (1, 2, 1, 3)), (1, (2, 3, 4, 5)), (rng.randint(3, 5), (2, 3, 4, 5)), (7, (1, 1, 2, 1)))])
def joined(branches):
    """The outputs of several branches, all of the same shape N x C x H x W, one behind the other along the channels,
    after a ReLU."""
    return torch.cat(branches, 1).relu()


joined.as_it_came("(branches, 1)", "[branches, 1]")
joined.mistakes_as_edits(
    ("(branches, 1)", "(branches)",
     "The brackets are right now, and the axis is gone: without one, `torch.cat` joins along axis 0. Two images seen "
     "by three branches became six images."),
    ("torch.cat", "torch.stack",
     "`torch.stack` lays the branches on a new axis, so the result has five. The channels are an axis that is "
     "already there."),
    (".relu()", "", "The ReLU is lost: negative numbers come out."),
    ("(branches, 1)", "(branches, 2)", "They are joined along the rows. N x C x H x W: the channels are dimension 1."),
    ("(branches, 1)", "(branches[::-1], 1)", "They are joined in reverse order. The first branch comes first."),
    ("(branches, 1)", "(branches).reshape(len(branches[0]), -1, *branches[0].shape[2:])",
     "The shape is right, the numbers are not: they were joined along the batch and then pressed into shape, which "
     "mixes different images. A reshape never moves an axis."))


# Messages about shapes


@exercise(minutes=4, level="easy",
          hints=("Two matrices are named, four numbers. Which one is yours, and which comes from the images?",
                 "Each of the five blocks halves the map. How large is the last one for images of 64 pixels?",
                 "The linear layer takes `16 * (size // 32) ** 2` numbers."),
          cases=lambda rng: [(64,), (32,), (96,), (128,)],
          observe=lambda net, size: sized(net, torch.randn(2, 3, size, size)))
def vgg_for(size):
    """A small VGG for images of `size` by `size` pixels, a multiple of 32: five blocks of convolution, ReLU and
    pooling, then one linear layer from all numbers of the last map to ten classes."""
    layers, n_in = [], 3
    for n_out in (4, 8, 8, 16, 16):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        n_in = n_out
    last = size // 2**5
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * last * last, 10))


vgg_for.as_it_came("    last = size // 2**5\n", "", "16 * last * last", "16")
vgg_for.mistakes_as_edits(
    ("16 * last * last", "64",
     "That number fits images of 64 pixels and no others. The function is given `size`: compute the number from it."),
    ("nn.Flatten()", "nn.AdaptiveAvgPool2d(1), nn.Flatten()", "16 * last * last", "16",
     "It runs at every size, because the last map is averaged to one number for each channel. That is a good "
     "network, and another one: the head is to take all numbers of the last map."),
    ("*layers", "nn.Upsample(size=32), *layers", "16 * last * last", "16",
     "The images are shrunk to 32 pixels before the network sees them. It runs, and what larger images would have "
     "shown is thrown away. Change the head."),
    ("nn.Flatten()", "nn.MaxPool2d(last), nn.Flatten()", "16 * last * last", "16",
     "One more pooling leaves a single pixel, and the old head fits. But what the larger map held is lost again just "
     "before the end: the head is to take all numbers of the last map."))


@exercise(minutes=4, level="easy",
          hints=("How many rows has the first matrix of the message, and how many images has the batch?",
                 "`view` is told the number of rows, and fits the columns to it. Who tells it?",
                 "The number of images is `len(maps)`; or let `maps.flatten(1)` keep the first axis as it is."),
          cases=lambda rng: [tuple(leaves(rng, (n, *sides), (math.prod(sides), classes))) for n, sides, classes in (
              *((n, (4, 4, 4), 10) for n in (8, 16, rng.randint(2, 7), 1, 20)), (3, (2, 3, 5), 7), (3, (1, 2, 1), 2))])
def logits(maps, weight):
    """The last layer by hand: each image's maps, C x H x W, written in one row, times the matrix `weight`. One row
    comes out for each image, however many there are."""
    rows = maps.flatten(1)
    return rows @ weight


logits.as_it_came("maps.flatten(1)", "maps.view(batch_size, -1)")
logits.mistakes_as_edits(
    ("maps.flatten(1)", "maps.view(-1, 64)",
     "64 is what an image has in these maps alone. Keep the first axis, and others fit as well."),
    ("maps.flatten(1)", "maps.view(8, -1)",
     "Another fixed number. It fits a batch of 8 images and no other: the next set of images will have another "
     "remainder."),
    ("maps.flatten(1)", "F.pad(maps.flatten(1), (0, 0, 0, batch_size - len(maps)))",
     "The batch was filled up with images of zeros, and they come out as answers: there are more rows than images. "
     "Whoever counts the right ones will count these too."),
    ("maps.flatten(1)", "maps.view(batch_size, -1)", "@ weight", "@ weight[:rows.shape[1]]",
     "The matrix was cut to fit the rows. But the rows are wrong: each holds a part of an image only."),
    ("maps.flatten(1)", "maps.permute(0, 2, 3, 1).flatten(1)",
     "The channels went to the end before the maps were written in a row. The matrix expects channel after channel, as "
     "`flatten` finds them."),
    ("maps.flatten(1)", "maps.reshape(len(weight), -1).T",
     "The shape is right, the numbers are not. `view` cuts the numbers in the order in which they lie in memory, and "
     "turning the result does not bring an image's numbers back into one row."))


@exercise(minutes=4, level="easy",
          hints=("How large is the map that reaches the pooling, and how large is its window?",
                 "The window was right for three stages. What does one stage more do to the map?",
                 "Whatever its size, the whole map is to be averaged: `nn.AdaptiveAvgPool2d(1)`."),
          cases=lambda rng: [(4,), (5,), (3,), (2,), (1,), (6,)],
          observe=lambda net, stages: sized(net, torch.randn(2, 3, 32, 32)))
def pooled(stages):
    """For images of 32 by 32 pixels: `stages` convolutions with ReLU, of which all but the first halve the map and
    double the channels, then the mean of each map, and a linear layer to ten classes."""
    layers, width = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()], 4
    for _ in range(stages - 1):
        layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()]
        width = 2 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


pooled.as_it_came("AdaptiveAvgPool2d(1)", "AvgPool2d(8)")
pooled.mistakes_as_edits(
    ("AdaptiveAvgPool2d(1)", "AvgPool2d(4)",
     "A window of 4 fits the map of four stages and no other. The function is given `stages`: the whole map is to be "
     "averaged for each number of them."),
    ("AdaptiveAvgPool2d(1)", "AvgPool2d(8, padding=4)",
     "The padding silences the message and fills the window with zeros, which are counted in the mean: for four "
     "stages it comes out four times too small."),
    ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d",
     "The largest number of each map is not its mean. The window has the right size now, the kind of pooling has "
     "changed."),
    ("nn.AdaptiveAvgPool2d(1), ", "", "nn.Linear(width, 10)", "nn.LazyLinear(10)",
     "The pooling is gone, and the linear layer takes the map's single pixels. It runs, with far more weights: count "
     "them. The mean of each map is wanted."),
    ("for _", "for stage", "stride=2", "stride=2 if stage < 2 else 1",
     "The fourth stage does not halve the map any more. That makes the map fit the window and changes the network, "
     "which now computes on more pixels. The window is what does not fit."))


@exercise(minutes=5, level="medium",
          hints=("Dimension 3 of N x C x H x W: count from 0. Which one is it?",
                 "It is the width. The residual has 16 columns, `x` has 32: the channels are fine.",
                 "Take every second row and column of `x` with a slice of step 2."),
          cases=lambda rng: [
              tuple(leaves(rng, (images, 2 * n, h, w), (images, n, 2 * h, 2 * w))) for images, n, h, w in
              ((2, 4, 6, 8), (1, 1, 1, 2), (3, rng.randint(4, 5), rng.randint(6, 7), rng.randint(8, 11)))])
def added(residual, x):
    """relu(residual + shortcut). The residual has twice the channels of `x`, and half its rows and columns. The
    shortcut gives every second row and column of `x`, beginning with the first, and channels of zeros behind those of
    `x`."""
    more = residual.shape[1] - x.shape[1]
    shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, more))
    return (residual + shortcut).relu()


added.as_it_came("x[:, :, ::2, ::2]", "x")
added.mistakes_as_edits(
    ("x[:, :, ::2, ::2]", "x[:, :, :residual.shape[2], :residual.shape[3]]",
     "It fits, since `x` was cut to the size of the residual. But that is its upper left quarter: three quarters of "
     "the image never reach the sum."),
    ("x[:, :, ::2, ::2]", "F.avg_pool2d(x, 2)",
     "It fits, by averages over 2x2 pixels. That is a sensible shortcut, and another one: every second row and "
     "column is asked for."),
    ("x[:, :, ::2, ::2]", "x", "return (residual", "return (F.interpolate(residual, size=x.shape[2:])",
     "Here the residual was enlarged to the size of `x`. The message is gone, and so is the halving: the next stage "
     "gets a map four times too large."),
    ("x[:, :, ::2, ::2]", "F.max_pool2d(x, 2)",
     "It fits, by the largest of 2x2 pixels. That is another shortcut: every second row and column is asked for."),
    ("x[:, :, ::2, ::2]", "x[:, :, 1::2, 1::2]",
     "You begin with the second row and column. Every second one is taken from the first on."),
    ("(residual + shortcut).relu()", "residual + shortcut", "The ReLU after the sum is lost."),
    ("(residual + shortcut).relu()", "residual + shortcut.relu()",
     "The ReLU went to the shortcut alone. It belongs to the sum, as it came."),
    ("(residual + shortcut).relu()", "residual.relu() + shortcut.relu()",
     "There is a ReLU on each summand. One ReLU follows the sum, as it came."),
    ("(residual + shortcut).relu()", "residual.relu() + shortcut",
     "The ReLU stands before the sum. It belongs to the sum, as it came."),
    ("return (residual + shortcut)", "return residual",
     "The shortcut is not added any more: the message is gone, and so is `x`."),
    ("0, more", "more, 0",
     "The width is right now, but the channels of zeros stand before those of `x`. They were right as they came: the "
     "message was not about channels."),
    ("F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, more))", "x[:, :, ::2, ::2].repeat(1, 2, 1, 1)",
     "The channels of `x` were repeated to make them twice as many. Channels of zeros are asked for, and they were "
     "right as they came."))


@exercise(minutes=5, level="medium",
          hints=("Write down the size that each of the two summands has, and the size that each should have.",
                 "With stride 2 the map of 32 pixels should come out with 16. Which summand has not 16, and why?",
                 "A block halves its map once: only the first of the two 3x3 convolutions has the stride."),
          cases=lambda rng: [*((rng.randint(2, 4), rng.randint(5, 7), stride) for stride in (2, 1, 3)), (3, 3, 1)],
          observe=lambda net, n_in, n_out, stride: behaviour(net, torch.randn(2, n_in, 36, 72)))
class Block(nn.Module):
    """A residual block. Residual: 3x3 convolution with the stride, normalisation, ReLU, 3x3 convolution, normalisation.
    Shortcut: 1x1 convolution with the stride, normalisation. After the sum a ReLU."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out))
        self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        return (self.residual(x) + self.shortcut(x)).relu()


Block.as_it_came("n_out, n_out, 3", "n_out, n_out, 3, stride")
Block.mistakes_as_edits(
    ("1, stride, bias=False), nn.BatchNorm2d(n_out))", "1, stride, bias=False))",
     "The shortcut has lost its normalisation."),
    ("n_out, n_out, 3", "n_out, n_out, 3, stride", "1, stride", "1, stride**2",
     "Both summands agree now, on the wrong size: with stride 2 the map comes out with a quarter of its rows and "
     "columns. Which of the two was right as it came?"),
    ("n_in, n_out, 3, stride", "n_in, n_out, 3", "n_out, n_out, 3", "n_out, n_out, 3, stride",
     "The shapes are right. But the stride went from the first convolution and stayed in the second, so that the "
     "first computes on all pixels, and the numbers are others. The task says which of the two has it."),
    ("n_out, n_out, 3", "n_out, n_out, 3, stride",
     "(n_out))\n        self", "(n_out), nn.Upsample(scale_factor=stride))\n        self",
     "The residual is made too small and then enlarged again. The shapes agree, and what was thrown away does not "
     "come back. Ask why it was too small."),
    ("(self.residual(x) + self.shortcut(x)).relu()", "self.residual(x).relu() + self.shortcut(x)",
     "The ReLU stands before the sum. It follows the sum."),
    ("(self.residual(x) + self.shortcut(x)).relu()", "(self.residual(x).relu() + self.shortcut(x)).relu()",
     "A second ReLU stands at the end of the residual, so that it can only add. The one after the sum is enough."),
    ("(self.residual(x) + self.shortcut(x)).relu()", "self.residual(x) + self.shortcut(x)",
     "The ReLU after the sum is missing."),
    ("nn.BatchNorm2d(n_out), nn.ReLU(),", "nn.BatchNorm2d(n_out),",
     "The ReLU between the two convolutions of the residual is missing."),
    ("3, stride", "3", "1, stride", "1",
     "No convolution has a stride any more. The message is gone, and the block no longer makes the map smaller."))


# Failures on the way back


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


@exercise(minutes=5, level="medium",
          hints=("In evaluation, and without a backward pass, nothing fails. What does a layer do in training alone?",
                 "The way back through a ReLU needs the numbers that the ReLU gave out. Who has written over them?",
                 "Two layers write over their input. For one of them that is harmless; take `inplace` from the other."),
          cases=lambda rng: [(rng.randint(5, 9), rng.randint(2, 4)) for _ in range(3)],
          observe=lambda net, n_in, n_out: behaviour(net, torch.randn(4, n_in)))
def classifier(n_in, n_out):
    """A linear layer to 32 units, a ReLU, a dropout of 0.5 and a linear layer to `n_out` classes, which can be
    trained."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(32, n_out))


classifier.as_it_came("nn.Dropout(0.5)", "nn.Dropout(0.5, inplace=True)")
classifier.mistakes_as_edits(
    (" nn.Dropout(0.5),", "",
     "The message is gone, and the dropout with it: in training the network is another one. The dropout itself is "
     "not the fault."),
    ("nn.ReLU(inplace=True), ", "",
     "The message is gone, and the ReLU with it: two linear layers without one between them are a single linear map."),
    ("nn.Dropout", "Cut(), nn.Dropout",
     "Nothing fails any more because nothing goes back: `detach` cuts the way of the gradient, and the first layer "
     "will never learn."),
    (" nn.Dropout(0.5),", "", "(32, n_out)", "(32, n_out), nn.Dropout(0.5)",
     "The dropout was moved behind the last layer. There it does not disturb the ReLU, and sets half of the answers "
     "to zero."),
    (" nn.Dropout(0.5),", "", "nn.Linear(n_in", "nn.Dropout(0.5), nn.Linear(n_in",
     "The dropout was moved before the first layer, where it blanks half of the input. It belongs to the 32 units."))


# Networks that do not learn


def at_the_start(net, width):
    """How the network is built, and how much the logits of 16 different pictures differ before any training."""
    if not isinstance(net, nn.Module):
        raise WrongForm("A network, an `nn.Module`, is asked for.")
    pictures = (torch.randn(16, 3, 1, 1) + 0.5 * torch.randn(16, 3, 8, 8)).double()  # each of another colour
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    norms = [layer for layer in net.modules() if "Norm" in type(layer).__name__]
    outputs, read = [], []

    def remember(layer, inputs, output):
        if layer in convolutions:
            read.append(inputs[0])
        if read:
            outputs.append((len(read), output))  # of a convolution, or of a normalisation behind it
        return output.clone()  # which a ReLU may overwrite

    def amount(values):
        spread = values.std(dim=0).max().item()
        return ("far too much" if spread >= 100 else "enough" if spread > 2e-3 else "a little" if spread > 5e-7 else
                "almost nothing" if spread > 1e-11 else "nothing")

    hooks = [layer.register_forward_hook(remember) for layer in [*convolutions, *norms]]
    with torch.no_grad():
        differ = amount(net.double().train()(pictures))  # float32 rounds the smallest to 0
    arrives = amount(min(read, key=lambda values: values.std(dim=0).max())) if read else "nothing"
    outputs.clear()
    read.clear()
    for layer in convolutions:  # behind weights of one sign a ReLU has nothing to cut off
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=math.sqrt(2 / (9 * layer.in_channels)))
    logits = net.eval()(pictures)
    for hook in hooks:
        hook.remove()
    numbers, maps = zip(*outputs, strict=True) if outputs and logits.requires_grad else ((), ())
    gradients = torch.autograd.grad(logits.sum(), maps) if maps else ()
    return {"the number of 3x3 convolutions": len(convolutions),
            "their output channels": sorted({layer.out_channels for layer in convolutions}),
            "the number of those that a ReLU follows": len({i for i, g in zip(numbers, gradients, strict=True)
                                                            if (g == 0).float().mean().item() > 0.01}),
            "whether a shortcut passes a convolution": not norms
            and not all(torch.equal(there, here.relu()) for there, here in zip(read[1:], maps, strict=False)),
            "the number of classes": logits.shape[1],
            "what the logits of different images differ by": differ,
            "what of it every convolution sees": arrives,
            "whether the same image has the same logits twice": torch.equal(logits, net(pictures))}


@exercise(minutes=6, level="medium",
          hints=("Before any training, look at the logits of very different images. What do they have in common?",
                 "PyTorch's own initial weights are too small for a ReLU: each layer passes on less than half of it.",
                 "`nn.init.kaiming_normal_` on each convolution's weight, with `nonlinearity=\"relu\"`; or a "
                 "`nn.BatchNorm2d` behind each convolution."),
          cases=lambda rng: [(rng.randint(24, 32),), (64,)], observe=at_the_start)
def deep(width):
    """Sixteen 3x3 convolutions to `width` channels, each followed by a ReLU, the mean of each map and a linear layer to
    two classes. Before any training the logits of different images already differ, by more than 0.002 and less than 100
    (standard deviation)."""
    layers, n_in = [], 3
    for _ in range(16):
        convolution = nn.Conv2d(n_in, width, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        layers += [convolution, nn.ReLU()]
        n_in = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))


deep.as_it_came("convolution = nn.Conv2d(n_in, width, 3, padding=1)\n        ", "",
                'nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")\n        ', "",
                "[convolution,", "[nn.Conv2d(n_in, width, 3, padding=1),")
deep.mistakes_as_edits(
    ("layers += [convolution, nn.ReLU()]", "layers += [convolution]",
     "A ReLU follows none of your convolutions, and no other function is asked for. With nothing between them the "
     "sixteen would be a single linear map."),
    ("range(16)", "range(6)",
     "A network of six convolutions learns, that is true. But the task is a deep one: you have removed the patient. "
     "Let the signal through all sixteen."),
    ("kaiming_normal_", "normal_", 'nonlinearity="relu"', "std=0.01",
     "Even less arrives than before: your weights are far too small. A deviation of 0.01, for example, was right for "
     "AlexNet, with eight layers of mostly thousands of inputs; here a layer has a few hundred, and there are sixteen "
     "of them."),
    ("kaiming_normal_", "normal_", ', nonlinearity="relu"', "",
     "Now each layer makes its input larger, and after sixteen of them the logits are astronomical. Between too "
     "small and too large lies a deviation that depends on the number of inputs of a layer."),
    ("kaiming_normal_", "xavier_normal_", ', nonlinearity="relu"', "",
     "Better by orders of magnitude, and still each layer passes on less than it gets. Xavier's deviation, for "
     "example, is made for layers without a ReLU, which throws half of its input away: sixteen halves leave almost "
     "nothing."))


def weights_and_biases(net, width):
    """Deviation of the weights and mean of weights and biases, whether a forward pass leaves them, and behaviour."""
    found = {}
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    for i, layer in enumerate(sorted(convolutions, key=lambda layer: layer.in_channels)[:2], 1):
        deviation = layer.weight.std().item()
        found |= {f"in convolution {i}, the deviation of the weights": round(deviation, 2),
                  f"in convolution {i}, whether that is 0.01": 0.009 < deviation < 0.011,
                  f"in convolution {i}, the mean of the weights": round(layer.weight.mean().item(), 2) + 0.0,
                  f"in convolution {i}, the mean of the biases": round(layer.bias.mean().item(), 1) + 0.0}
    for which in ("one", "a second"):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.fill_(0.5)  # as if training had moved it
            net(torch.randn(1, 3, 12, 12))
        kept = all((parameter == 0.5).all() for parameter in net.parameters())
        found[f"what training has learned after {which} more forward pass"] = "kept" if kept else "lost"
    seen = behaviour(net, torch.randn(2, 3, 12, 13)) if kept else {}
    return seen and {**found, **seen} or found


@exercise(minutes=5, level="medium",
          hints=("The method is right. Which line of the program runs it?",
                 "A method runs when somebody calls it. It needs the layers, so they must be there already.",
                 "`self.initialise()` as the last line of `__init__`."),
          cases=lambda rng: [(16,), (rng.randint(16, 24),)], observe=weights_and_biases)
class Tower(nn.Module):
    """Two 5x5 convolutions, 3 to `width` to `width` channels, each followed by a ReLU. It starts with weights of mean 0
    and deviation 0.01, and with biases of 0 in the first convolution and 1 in the second."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(3, width, 5)
        self.second = nn.Conv2d(width, width, 5)
        self.initialise()

    def initialise(self):
        for layer, bias in ((self.first, 0.0), (self.second, 1.0)):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        return self.second(self.first(x).relu()).relu()


Tower.as_it_came("        self.initialise()\n", "")
Tower.mistakes_as_edits(
    ("        self.initialise()\n", "", "return self.second", "self.initialise()\n        return self.second",
     "The method is called in `forward`. So every forward pass draws new weights, and what a step of training has "
     "learned is lost at the next image."),
    ("        self.initialise()\n", "        self.fresh = True\n", "return self.second",
     "if self.fresh:\n            self.initialise()\n        self.fresh = False\n        return self.second",
     "The method runs at the first forward pass. Weights that were loaded before it, or looked at, are not those. It "
     "belongs to `__init__`, where the layers are made."),
    (", (self.second, 1.0)", ",",
     "The second convolution still has the weights that PyTorch gave it. Was the method called before that layer was "
     "there, or does it leave that layer out?"),
    ("1.0", "0.0",
     "All biases are zero now. The method that the program holds sets those of the second convolution to 1: call it, "
     "and do not write it anew."),
    ("std=0.01", "std=0.1",
     "The deviation of the weights is 0.1 now. That is the root of 0.01, as if 0.01 were the variance; the task "
     "gives the deviation, and so does `std`."),
    ("(self.first, 0.0), (self.second, 1.0)", "(self.first, 1.0), (self.second, 0.0)",
     "The biases are exchanged: 0 in the first convolution, 1 in the second, as the method has it."),
    ("std=0.01", "mean=1.0, std=0.01", "The weights have a mean of 1. It is 0."),
    ("nn.init.normal_(layer.weight, std=0.01)", "nn.init.constant_(layer.weight, 0.01)",
     "All weights are 0.01. They are random, with mean 0 and *deviation* 0.01."),
    ("nn.init.normal_(layer.weight, std=0.01)", "nn.init.uniform_(layer.weight, -0.01, 0.01)",
     "Your weights have a deviation of about 0.006, as numbers have that are spread evenly from -0.01 to 0.01, or cut "
     "off there. The method that the program holds is right."),
    ("self.second(self.first(x).relu()).relu()", "self.second(self.first(x).relu())",
     "The ReLU behind the second convolution is gone. `forward` was right as it came."),
    ("self.first(x).relu()", "self.first(x)",
     "The ReLU behind the first convolution is gone. `forward` was right as it came."))


# The state of a notebook


def two_runs(cells):
    """Sum and number of batches when the cells run, and when those after the first run again with smaller batches; and
    the sum when the last one runs once more by itself."""
    if not isinstance(cells, list | tuple) or len(cells) != 3 or not all(isinstance(cell, str) for cell in cells):
        raise WrongForm("Three cells are asked for, as a list of three texts, so that each can be run by itself.")
    images, size = torch.randint(1, 9, (1003,)).float(), 7  # the last batch is smaller
    kernel, seen = {"images": images, "batch_size": size}, {}
    for run, again in (("first", cells), ("second", cells[1:])):
        for cell in again:
            exec(cell, kernel)
        seen |= {f"in the {run} run, the total": kernel["total"],
                 f"in the {run} run, the number of batches": len(kernel["loader"]),
                 f"after the {run} run, `images` and `batch_size` are those from before":
                     kernel["images"] is images and same(kernel["batch_size"], size)}
        kernel["batch_size"] = size = 4
    exec(cells[-1], kernel)
    return seen | {"after the last cell alone has run once more, the total": kernel["total"]}


@exercise(minutes=5, level="medium",
          hints=("Everything works once. Which name means something else after the first run?",
                 "A `for` loop gives its variable a new value at each step, and in a notebook that name stays.",
                 "Give the loop a variable of its own, such as `batch`, in both lines that use it."),
          cases=lambda rng: [()], observe=two_runs)
def cells():
    """Three cells of a notebook, in which `images` and `batch_size` exist already. They make `loader` and `total`, the
    sum over all images. The second and the third can be run again, also when `batch_size` has changed."""
    return ["from torch.utils import data",
            "loader = data.DataLoader(images, batch_size)",
            "total = 0\n"
            "for batch in loader:\n"
            "    total += batch.sum().item()"]


cells.as_it_came("for batch", "for data", "batch.sum", "data.sum")
cells.mistakes_as_edits(
    ("loader = data", "if 'loader' not in globals(): loader = data",
     "The second cell runs again without a message, since it does nothing: the loader of the first run stays, with "
     "the old size of the batches."),
    ("for batch", "for images", "batch.sum", "images.sum",
     "The loop has a new variable, and this name was taken too: after the first run `images` is only the last batch. "
     "No message this time; the second total is wrong."),
    ("for batch", r"def add(total):\n    for batch", '"    total', '"        total', "item()", r"item()\nadd(total)",
     "A function keeps its loop variable to itself, which is a good idea. It keeps its sum to itself too: `total` in "
     "the notebook stays 0."),
    ("images, batch_size", "images, 16",
     "The size of the batches is a number now. When `batch_size` changes, the loader does not hear of it."),
    ("images, batch_size", "images, batch_size, drop_last=True",
     "The last batch is dropped where it is smaller. The sum is over all images."),
    ("batch.sum", "batch.mean", "The means of the batches are added up. The sum over all images is wanted."),
    (r'"total = 0\n"', "", "import data", r"import data\ntotal = 0",
     "The loop has a name of its own now. But `total = 0` went into the first cell, which does not run again: the "
     "second run adds to the sum of the first."),
    (r'"total = 0\n"', "", "images, batch_size)", r"images, batch_size)\ntotal = 0",
     "The loop has a name of its own now. But `total = 0` went into the second cell: when the third runs again by "
     "itself, it adds to the sum of the run before."))


@exercise(minutes=5, level="medium",
          hints=("Restart the kernel in your head: which names does the function get, and which does it make?",
                 "Three names come from nowhere. Two of them mean arguments of the function, one a list that it makes.",
                 "`network` is `model`, `num_epochs` is `epochs`, and `loss_history` is `history`."),
          cases=lambda rng: [(made(rng, nn.Linear, 6, 3), made(rng, torch.randn, 8, 6),
                              torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]), n)
                             for n in (4, rng.randint(2, 3), rng.randint(5, 6))] + [
              (made(rng, nn.Linear, 3, 3), 8 * torch.eye(3), torch.arange(3), 12)],  # the loss falls to nearly 0
          observe=lambda history, *case: as_tensor(history))
def losses(model, images, labels, epochs):
    """Trains `model` for `epochs` steps of gradient descent with learning rate 0.1, each on all images. Returns the
    loss before each step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    history = []
    for _ in range(epochs):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


losses.as_it_came("model.parameters", "network.parameters", "range(epochs)", "range(num_epochs)",
                  "return history", "return loss_history")
losses.mistakes_as_edits(
    ("model.parameters()", "nn.Linear(images.shape[1], 3).parameters()",
     "The name exists now, and it is another network: the optimizer moves its weights, while the loss is that of "
     "`model`. So the loss never changes."),
    ("optimizer =", "model = nn.Linear(images.shape[1], 3)\n    optimizer =",
     "A network is trained, but one that the function made itself. The caller's `model` is never used."),
    ("range(epochs)", "range(10)",
     "The number of epochs was given a value of its own, so whatever the caller asks for, ten come out."),
    ("return history", "return []",
     "The list that is returned was made to silence the last NameError, and nothing is ever put into it."),
    ("        optimizer.zero_grad()\n", "",
     "`zero_grad` is gone, so each step goes along the sum of all gradients so far."),
    ("        optimizer.zero_grad()\n        loss.backward()", "        loss.backward()\n        optimizer.zero_grad()",
     "The gradients are set to zero between `backward` and `step`: nothing is learned. Before `backward` they are."),
    ("        optimizer.step()\n", "", "`step` is gone: the weights never move."),
    ("        optimizer.zero_grad()\n        loss.backward()\n        optimizer.step()\n",
     "        for image, label in zip(images, labels):\n            optimizer.zero_grad()\n"
     "            F.cross_entropy(model(image[None]), label[None]).backward()\n            optimizer.step()\n",
     "There is a step for each image. One step on all images was asked for in each epoch."),
    ("lr=0.1", "lr=0.01", "The learning rate is not 0.1."),
    ("lr=0.1", "lr=0.1, momentum=0.9", "The optimizer has a momentum now. Plain gradient descent is asked for."),
    ("torch.optim.SGD", "torch.optim.Adam", "The optimizer is Adam now. Gradient descent is asked for: SGD."),
    ("history.append(loss.item())", "history.append(F.cross_entropy(model(images), labels).item())",
     "The loss is taken after the step. The one before each step is asked for."),
    ("(model(images), labels)", "(model(images).softmax(1), labels)",
     "A softmax stands before `F.cross_entropy`, which applies one itself."),
    ("(model(images), labels)", "(model(images), labels, reduction='sum')",
     "The losses of the images are summed. Their mean is what the program computed."),
    ("return history", "return history[:1]", "The list ends after the first step. Is `return` inside the loop?"))


# The second sitting: programs that run


def batches_of(*sizes, classes=4):
    """Random images (3 x 6 x 6) and labels, one batch for each size."""
    return [(torch.randn(n, 3, 6, 6), torch.randint(classes, (n,))) for n in sizes]


def network_with_batchnorm(channels=3, classes=4, gain=1):
    """A small network whose running averages have moved. gain: of its last weights."""
    net = nn.Sequential(nn.Conv2d(channels, 5, 3), nn.ReLU(), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(80, classes))
    for _ in range(3):
        net(1 + 2 * torch.randn(16, channels, 6, 6))
    net[-1].weight.data *= gain
    return net


def as_tensor(numbers, *case):
    """Compared with the tolerance of tensors: a sum in another order differs in its last digits."""
    parts = list(numbers.values()) if isinstance(numbers, dict) else numbers
    if any(t.requires_grad for t in tensors(numbers)):
        raise WrongForm("The number still carries its graph, which keeps all that it was computed from in memory. "
                        "A plain number is wanted: `.item()`, or `torch.no_grad()` around the computation.")
    parts = torch.as_tensor(parts, dtype=torch.double)
    return parts.reshape(()) if parts.numel() == 1 and not isinstance(numbers, list | tuple) else parts


# 14. A batch of 36 becomes one of 25

def seen_of_head(head, channels, size, classes):
    seen = behaviour(head, torch.randn(36, channels, size, size))
    for n in (7, 1):
        try:
            seen[f"the output for a batch of {n}"] = head(torch.randn(n, channels, size, size)).detach()
        except Exception:
            seen[f"the output for a batch of {n}"] = "an error"
    for sides in ((size - 1, size - 1), (size + 1, size + 1), (size, size + 1), (size - 1, size)):
        for n in (size**2, size**2 - 1, 8 * size**2):  # whole rows can be made of the first and of the last
            maps, fits = torch.randn(n, channels, *sides, requires_grad=True), "as asked"
            with suppress(Exception):  # the linear layer refuses them, as it should
                rows = head(maps)
                if not isinstance(rows, Tensor):
                    fits = "neither an error nor a tensor"
                elif len(rows) != n:
                    fits = f"{len(rows)} rows for {n} images"
                else:  # a pooling may pass on the largest pixels alone: of many images no place is without any
                    effect = torch.zeros(1, 1)
                    if rows.requires_grad:
                        effect, = torch.autograd.grad(rows.sum(), maps, allow_unused=True, materialize_grads=True)
                    if not effect.flatten(1).any(1).all() or n > size**2 and not effect.any(0).all():
                        fits = "rows on which some pixels have no effect"
            seen[f"what comes out for {n} maps of {sides[0]} x {sides[1]}, an error or one row for each"] = fits
    return seen


@exercise(minutes=4, level="easy",
          hints=("Which of the two numbers that `view` gets is known for certain: the rows or the columns?",
                 "`-1` lets PyTorch choose. It then chooses the number of images.",
                 "Keep the first dimension and let PyTorch work out the second: `maps.flatten(1)`."),
          cases=lambda rng: [(rng.randint(2, 5), size, rng.randint(2, 9)) for size in (6, 5)],
          observe=seen_of_head)
class FlatHead(nn.Module):
    """A linear layer from maps of channels x size x size to `classes` logits. One image, one row: maps of another size
    must never give another number of rows."""

    def __init__(self, channels, size, classes):
        super().__init__()
        self.linear = nn.Linear(channels * size * size, classes)

    def forward(self, maps):
        return self.linear(maps.flatten(1))


FlatHead.as_it_came("maps.flatten(1)", "maps.view(-1, self.linear.in_features)")
FlatHead.mistakes_as_edits(
    ("maps.flatten(1)", "maps.reshape(36, -1)",
     "The number 36 stands in the program. It was the size of one batch on one day: the last batch of an epoch is "
     "smaller. Ask the maps how many images there are."),
    ("maps.flatten(1)", "maps.permute(0, 2, 3, 1).flatten(1)",
     "The rows are right, the order within a row is not: channels come last now. The weights were trained for rows "
     "in which all pixels of the first channel come first."),
    ("channels * size * size", "channels", "maps.flatten(1)", "maps.mean(dim=(2, 3))",
     "Averaging each map gives one row for each image, but it is another network: the linear layer has lost most of "
     "its weights, and with them where in the map something was. Repair the flattening only."),
    ("maps.flatten(1)", "maps.reshape(self.linear.in_features, -1).T",
     "The shape is right, the numbers are not. You write the maps in as many rows as the layer has inputs and turn "
     "the result round: a row then holds pixels of all images, since `reshape` cuts in the order of the memory."))


# 15. A loss that is a hundred times too small

def to_paste():
    """Two small batches of images, 3 x 1 x 1, and labels. With `nn.Flatten()` as network the pixels are the logits."""
    images = torch.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 1.0], [0.0, 2.0, 0.0]])[..., None, None]
    return [(images[:2], torch.tensor([1, 0])), (images[2:], torch.tensor([2]))]


@exercise(minutes=4, level="easy",
          hints=("What does `F.cross_entropy` return for a batch: a sum or a mean?",
                 "A sum of means, divided by a number of images: the units do not fit.",
                 "Undo the mean with `* len(labels)` before you add, and divide by the number of images at the end."),
          cases=lambda rng: [made(rng, lambda sizes=sizes: (nn.Sequential(nn.Flatten(), nn.Linear(108, 4)).eval(),
                                                            batches_of(*sizes)))
                             for sizes in ((8, 8, rng.randint(2, 5)), (6, 1), (20,))] + [
              (nn.Flatten().eval(), to_paste())],
          observe=as_tensor)
def mean_loss(net, batches):
    """The mean cross-entropy over all images of all batches, as a number. The last batch may be smaller."""
    total, count = 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            total += F.cross_entropy(net(images), labels).item() * len(labels)
            count += len(labels)
    return total / count


mean_loss.as_it_came(" * len(labels)", "")
mean_loss.mistakes_as_edits(
    (" * len(labels)", "", "total / count", "total / len(batches)",
     "Divided by the number of batches, the size is right, but each image of the small last batch counts more than "
     "any other. Weigh each batch's mean by its number of images."),
    ("F.cross_entropy(net(images), labels).item() * len(labels)",
     "F.cross_entropy(net(images), labels, reduction='sum').item()", "total / count", "total / len(batches)",
     "This is the sum over all images, divided by the number of batches. Divide it by the number of images."),
    (" * len(labels)", "", "total / count", "total * len(labels) / count",
     "Every batch is weighed with the size of the last one. Weigh each with its own size, before you add."),
    ("* len(labels)", "* len(batches[0][1])",
     "Every batch is weighed with the size of the first one. The last batch is smaller: take each batch's own size."),
    ("in batches:", "in batches[:-1]:",
     "The last batch is left out. The batches that remain have one size, which makes the sum easy, but some images "
     "are never counted."),
    ("count += len(labels)", "count += 8",
     "The number of images is counted in eights. The last batch may be smaller."),
    ("(net(images), labels)", "(net(images).softmax(1), labels)",
     "A softmax stands before `F.cross_entropy`, which applies one itself."),
    ("total += F.cross_entropy(net(images), labels).item()",
     "total += F.cross_entropy(net(images), labels, reduction='sum').item()",
     "The loss of a batch is a sum already, and you multiply it by the number of images once more."),
    ("total / count", "total",
     "This is the sum over all images: twice the images, twice the loss. Divide by their number, once, at the end."))


# 16. A normalisation that does nothing

def pixels_of(*sizes):
    """Random images, one set for each size, whose channels differ in brightness."""
    return tuple((torch.rand(n, 3, 16, 16) * torch.tensor([90.0, 250.0, 160.0]).reshape(3, 1, 1)
                  + torch.rand(1, 1, 16, 16) * 5).byte() for n in sizes)


@exercise(minutes=5, level="medium",
          hints=("What are mean and deviation of each channel, before and after?",
                 "`Normalize(mean, std)` subtracts and divides. It measures nothing.",
                 "Measure `training / 255` over images, rows and columns, `dim=(0, 2, 3)`, and normalise `images` with "
                 "these numbers."),
          cases=lambda rng: [(training // darker, images) for n, darker in ((9, 1), (1, 1), (9, 8))
                             for training, images in [made(rng, pixels_of, 64, n)]])
def standardised(training, images):
    """Images, N x 3 x H x W with pixels from 0 to 255, made ready for a network: in each channel the training images
    would get mean 0 and deviation 1. `training`: the training images; `images`: those to be changed."""
    pixels = training / 255
    mean, std = (statistic(dim=(0, 2, 3)).reshape(3, 1, 1) for statistic in (pixels.mean, pixels.std))
    return (images / 255 - mean) / std


standardised.as_it_came("    pixels = training / 255\n", "",
                        "(statistic(dim=(0, 2, 3)).reshape(3, 1, 1) for statistic in (pixels.mean, pixels.std))",
                        "torch.zeros(3, 1, 1), torch.ones(3, 1, 1)")
standardised.mistakes_as_edits(
    ("(images / 255 - mean) / std", "images / 255 / std", "The pixels are divided, and the mean is not subtracted."),
    ("(images / 255 - mean) / std",
     "(images / 255 - (images / 255).mean((2, 3), keepdim=True)) / (images / 255).std((2, 3), keepdim=True)",
     "Each image is normalised by itself, so that a dark one cannot be told from a bright one. Measure the training "
     "images, all together."),
    ("training / 255", "images / 255",
     "The numbers are measured on `images` themselves. Then the same photograph looks different in another batch, "
     "and the network meets test images that were shifted in another way than those it learned from."),
    ("pixels = training / 255", "pixels = torch.cat([training, images]) / 255",
     "The numbers are measured on the training images and on `images` together. Measure the training images alone."),
    ("pixels.mean, pixels.std)", "pixels.mean, lambda dim: pixels.mean((2, 3)).std(0))",
     "You divide by the deviation between the means of whole images. Take it over all pixels of all images."),
    ("(images / 255 - mean) / std", "images / 255 / std - mean",
     "You divide first and subtract the mean then. Subtract the mean first; the rest is divided."),
    ("(images / 255 - mean) / std", "(images / 255 - pixels.amin((0, 2, 3)).reshape(3, 1, 1))"
     " / (pixels.amax((0, 2, 3)) - pixels.amin((0, 2, 3))).reshape(3, 1, 1)",
     "You stretch the pixels to the range from 0 to 1. Mean 0 and deviation 1 are asked for."),
    ("- mean) / std", "- 0.5) / 0.5",
     "A mean and a deviation of 0.5 only move the pixels to the range from -1 to 1. Nobody has measured that their "
     "mean is then 0: look at it channel by channel."),
    ("statistic(dim=(0, 2, 3)).reshape(3, 1, 1)", "statistic()",
     "One mean and one deviation for all three channels: dark blue pixels stay darker than the others. Keep the "
     "channels apart."),
    ("dim=(0, 2, 3)).reshape(3, 1, 1)", "dim=0)",
     "You measure each pixel by itself. One mean and one deviation for each channel are asked for: over images, rows "
     "and columns."),
    ("pixels.mean, pixels.std", "pixels.mean, pixels.var",
     "You divide by the variance. Its root is the deviation."),
    ("(images / 255 - mean) / std", "images / 255 - mean / std",
     "Brackets are missing: a division comes before a subtraction. First the mean is subtracted, then the rest is "
     "divided."),
    ("statistic(dim=(0, 2, 3))", "statistic(dim=(2, 3)).mean(0)",
     "The deviation is taken in each image, then averaged: that leaves out how much whole images differ. Take it over "
     "all pixels of all images at once."),
    ("(images / 255 - mean) / std", "(images / 255 - mean)",
     "The mean is subtracted, and the deviation is left as it is."),
    ("images / 255 -", "images -",
     "The numbers are measured on pixels from 0 to 1, and the images keep theirs from 0 to 255. Divide both."),
    ("- mean", "+ mean", "You add the mean. Subtract it."),
    ("(images / 255 - mean)", "(images / 255 - (images / 255).mean((2, 3), keepdim=True))",
     "Each image loses its own mean, so that all become equally bright. One mean for each channel, of the training "
     "images, is taken from all."),
    ("(images / 255 - mean) / std", "(images / 255 - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1))"
     " / torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)",
     "These are ImageNet's numbers. Measure those of the training images."),
    ("training / 255", "training.float()",
     "The numbers are measured on pixels from 0 to 255 and used on pixels from 0 to 1. Divide both by 255, or "
     "neither."))


# 17. One formula, two meanings of alpha

@exercise(minutes=4, level="medium",
          hints=("Read the formula in the documentation of `nn.LocalResponseNorm` and compare it with the one printed "
                 "in the paper, symbol by symbol.",
                 "PyTorch takes the mean of the squares over n channels, the paper their sum.",
                 "A sum is n times a mean, so PyTorch's layer needs `alpha * n`."),
          cases=lambda rng: [(50 * made(rng, torch.randn, 2, c, 4, 5), n, alpha, beta, k)
                             for c, n, alpha, beta, k in ((9, 5, 3e-4, 0.75, 2.0), (9, 3, 1e-4, 0.75, 2.0),
                                                          (9, 7, 1e-4, 0.5, 1.5), (2, 5, 3e-4, 1.0, 1.0),
                                                          (9, 3, 1e-4, 0.75, 0.5))] + [
              (torch.tensor([10.0, 20.0, 30.0]).reshape(1, 3, 1, 1), 3, 0.01, 0.75, 2.0)])  # to paste and run
def response_norm(x, n, alpha, beta, k):
    """Local response normalisation as AlexNet's paper prints it: each value is divided by (k + alpha * s) ** beta,
    where s is the sum of the squares at the same pixel in n neighbouring channels."""
    return nn.LocalResponseNorm(n, alpha * n, beta, k)(x)


response_norm.as_it_came("alpha * n", "alpha")
response_norm.mistakes_as_edits(
    ("alpha * n", "alpha / n",
     "The right factor on the wrong side: PyTorch has divided by n once already, and you divide once more."),
    ("alpha * n", "alpha * n * n", "PyTorch has divided by n once. You multiply by it twice."),
    ("alpha * n", "alpha * 5", "The 5 is that of AlexNet. The factor is `n`."),
    ("alpha * n, beta, k", "alpha * n, k=k", "`beta` is not handed on: PyTorch takes 0.75 then."),
    ("alpha * n, beta, k", "alpha * n, k, beta",
     "`beta` and `k` are exchanged. PyTorch's order is size, alpha, beta, k."),
    ("nn.LocalResponseNorm(n, alpha * n, beta, k)(x)", "x / (k + alpha * x.square().sum(1, keepdim=True)) ** beta",
     "The sum runs over all channels. It runs over n neighbours, fewer at the ends."),
    ("nn.LocalResponseNorm(n, alpha * n, beta, k)(x)", "x * (x / nn.LocalResponseNorm(n, alpha * n, beta, k)(x))",
     "You multiply by the power. Divide by it."),
    ("alpha * n", "5e-4",
     "0.0005 stands in the program. That is right for AlexNet, with its five channels and its alpha, and for nothing "
     "else: compute it from `n` and `alpha`."),
    ("nn.LocalResponseNorm(n, alpha * n, beta, k)(x)",
     "x / (k + alpha * n * n * F.avg_pool2d(x.square(), n, 1, padding=n // 2)) ** beta",
     "The sum runs over neighbouring pixels of one channel. The paper's neighbours are channels, at the same pixel."),
    ("beta, k)(x)", "beta)(x)",
     "Your alpha is right, and `k` is not handed on: PyTorch takes 1 then, where the paper has 2."))


# 18. Projections everywhere

@exercise(minutes=5, level="medium",
          hints=("For how many of the blocks does the shape change, and how many use their projection?",
                 "`is` asks whether two names stand for one object. Each `.shape` is a new object.",
                 "Compare with `!=`. And a layer that is never used should not be built: decide in `__init__`, from "
                 "`n_in`, `n_out` and `stride`."),
          cases=lambda rng: [(n, m, stride) for n in [rng.randint(3, 5)]
                             for m, stride in ((n, 1), (n, 2), (2 * n, 1), (2 * n, 2), (n, 3), (n - 1, 1))],
          observe=lambda net, n_in, n_out, stride: behaviour(net, torch.randn(2, n_in, 8, 8)))
class ProjectionBlock(nn.Module):
    """y = relu(residual(x) + shortcut(x)). The shortcut is a 1x1 convolution where the shape changes, and x itself
    where it does not. No block holds weights that it never uses."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.residual = nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.BatchNorm2d(n_out))
        changes = stride != 1 or n_in != n_out
        self.project = nn.Conv2d(n_in, n_out, 1, stride) if changes else nn.Identity()

    def forward(self, x):
        return (self.residual(x) + self.project(x)).relu()


ProjectionBlock.as_it_came("        changes = stride != 1 or n_in != n_out\n", "", " if changes else nn.Identity()", "",
                           "        return (self.residual(x) + self.project(x)).relu()",
                           "        out = self.residual(x)\n"
                           "        if x.shape is not out.shape:\n"
                           "            x = self.project(x)\n"
                           "        return (x + out).relu()")
ProjectionBlock.mistakes_as_edits(
    ("changes =", "self.changes =", " if changes else nn.Identity()", "",
     "self.project(x)", "(self.project(x) if self.changes else x)",
     "The outputs are right. But every block still builds its projection, and where the shape stays, those weights "
     "are never used: they get no gradient, and they count in every table of parameters."),
    ("stride != 1 or ", "",
     "Only the channels are compared. A stride of 2 changes the shape as well, also where the channels stay."),
    (" or n_in != n_out", "", "Only the stride is looked at. The number of channels can change at stride 1 as well."),
    ("nn.Conv2d(n_in, n_out, 1, stride) if changes else nn.Identity()", "zero_padding(n_in, n_out, stride)",
     "Where the shape changes you take every second pixel and add channels of zeros. That shortcut exists, and saves "
     "the weights; a 1x1 convolution is asked for."),
    ("self.project(x)", "(self.project(x) if isinstance(self.project, nn.Conv2d) else 0)",
     "Where the shape stays your block leaves `x` out of the sum, so that it has no shortcut there."),
    ("(self.residual(x) + self.project(x)).relu()", "self.residual(x) + self.project(x)",
     "The ReLU after the sum is lost."))


# 19. A residual that can only add

@exercise(minutes=5, level="medium",
          hints=("What is the smallest number that the residual branch can give?",
                 "A ReLU inside the branch, as its last layer, makes sure that the branch never takes anything away.",
                 "Take the last ReLU out of the branch and apply it to the sum."),
          cases=lambda rng: [(rng.randint(3, 6),) for _ in range(2)],
          observe=lambda net, channels: behaviour(net, torch.randn(2, channels, 7, 6)))
class SumBlock(nn.Module):
    """A residual block as in Figure 2 of ResNet's paper: convolution, ReLU, convolution (each convolution with batch
    normalisation), then the sum with x, and the second ReLU on that sum."""

    def __init__(self, channels):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))

    def forward(self, x):
        return (x + self.residual(x)).relu()


SumBlock.as_it_came("channels))", "channels), nn.ReLU())", "(x + self.residual(x)).relu()", "x + self.residual(x)")
SumBlock.mistakes_as_edits(
    ("channels))", "channels), nn.ReLU())",
     "The sum has its ReLU now, but the branch has kept its own. So the branch still cannot take anything away from "
     "x."),
    ("(x + self.residual(x)).relu()", "x + self.residual(x)",
     "The branch may be negative now, but nothing follows the sum. The second ReLU has to move, not to go: without "
     "it the sum goes on as it is."),
    ("channels), nn.ReLU(),", "channels),",
     "The ReLU between the two convolutions is gone. They are one linear map then. It is the one at the branch's end "
     "that stands in the wrong place."),
    ("(x + self.residual(x)).relu()", "x.relu() + self.residual(x)",
     "The ReLU went to x, before the sum. The shortcut is to carry x as it is, and the sum is what the ReLU belongs "
     "to."),
    ("nn.BatchNorm2d(channels), nn.ReLU()", "nn.ReLU(), nn.BatchNorm2d(channels)",
     "The first ReLU stands before the batch normalisation. It was right as it came: behind it."),
    (", nn.BatchNorm2d(channels))", ")\n        self.norm = nn.BatchNorm2d(channels)", "x + self.residual(x)",
     "self.norm(x + self.residual(x))",
     "The second batch normalisation stands behind the sum, where it changes x as well. It belongs to the branch."),
    ("x + self.residual(x)", "self.residual(x)", "x is not added any more."))


# 20. One block too many

@exercise(minutes=4, level="easy",
          hints=("How many blocks come out for a depth of 1?",
                 "The first block is there before the loop begins.",
                 "`range(depth - 1)`."),
          cases=lambda rng: [(n, 2 * n, depth, stride) for n in [rng.randint(2, 4)]
                             for depth, stride in ((3, 2), (1, 2), (2, 1))] + [(3, 3, 2, 1)],
          observe=lambda net, n_in, n_out, depth, stride: behaviour(net, torch.randn(2, n_in, 8, 8)))
def blocks_in_stage(n_in, n_out, depth, stride):
    """A stage of `depth` blocks. The first goes from `n_in` to `n_out` channels with the stride; the others keep the
    shape."""
    blocks = [Basic(n_in, n_out, stride, zero_padding)]
    for _ in range(depth - 1):
        blocks.append(Basic(n_out, n_out, 1, zero_padding))
    return nn.Sequential(*blocks)


blocks_in_stage.as_it_came("depth - 1", "depth")
blocks_in_stage.mistakes_as_edits(
    ("depth - 1", "2", "A stage has three blocks here, whatever `depth` says."),
    ("for _ in range(depth - 1):\n        blocks.append(Basic(n_out, n_out, 1, zero_padding))",
     "blocks += [Basic(n_out, n_out, 1, zero_padding)] * (depth - 1)",
     "The number of blocks is right, but a list times a number repeats one object: the later blocks share one set of "
     "weights. Count the parameters. Each block has to be made anew."),
    ("n_out, n_out, 1", "n_out, n_out, stride",
     "The number of blocks is right, but each of them strides, so the map shrinks again and again. Only the first "
     "block of a stage changes the shape."),
    ("n_out, n_out, 1", "n_in, n_in, 1", "*blocks", "*reversed(blocks)",
     "The number of blocks is right, but the last block changes the shape. In the paper the first one does, so that "
     "all others work on the small map."),
    ("depth - 1", "depth - 2",
     "Now there is one block too few. The one before the loop counts, and the loop has to make all the others."))


# 21. The best epoch

def first_of_equals(value, rows):
    """Of epochs that are equal in validation, the last one is as good a choice as the first."""
    best = max(row["validation"] for row in rows)
    first, *_, last = [(row["epoch"], row["test"]) for row in rows if row["validation"] == best] * 2
    return first if same(value, last) else value


@exercise(minutes=3, level="easy",
          hints=("Which set decides, and which set reports? May one set do both?",
                 "The largest of many noisy numbers is larger than the truth.",
                 "Take the row with the largest `validation` accuracy, and return its `epoch` and its `test`."),
          cases=lambda rng: [(accuracy_rows(rng),), (accuracy_rows(rng),), (equal_rows(rng),), (second_best(),)],
          observe=first_of_equals)
def reported(rows):
    """(epoch, test accuracy) of the best epoch, as a paper may report it. `rows`: one dict for each epoch, with
    `epoch`, `train`, `validation` and `test`, the last three being accuracies."""
    best = max(rows, key=lambda row: row["validation"])
    return best["epoch"], best["test"]


reported.as_it_came('row["validation"]', 'row["test"]')
reported.mistakes_as_edits(
    ('best["test"]', 'best["validation"]',
     "The validation set has chosen, and now it reports as well. Its best value is too good for the same reason: "
     "report the test accuracy of the chosen epoch."),
    ('best["test"]', 'max(row["test"] for row in rows)',
     "The epoch is chosen rightly, but the accuracy is the best test accuracy of any epoch. Report the one of the "
     "chosen epoch."),
    ('row["validation"]', '(row["validation"], row["test"])',
     "Among epochs with equal validation accuracy the test accuracy chooses. That is the leak again, where it is hard "
     "to see: take the first of them, or the last."),
    ('row["validation"]', 'row["validation"] + row["test"]',
     "Validation and test choose together. The test set may not have a say."),
    ('row["validation"]', 'round(row["validation"], 2)',
     "You round before you compare, and so choose an epoch that is worse in validation."),
    ("max(rows", "min(rows", "You chose the epoch that is worst in validation."),
    ('best["epoch"]', "rows.index(best)", "You return the place in the list, counted from 0. Asked is `epoch`."),
    ('best["epoch"]', "rows.index(best) + 1",
     "You return the place in the list, counted from 1. Asked is `epoch`: not every epoch need have a row."),
    ('row["validation"]', 'row["validation"] - row["train"]',
     "The distance between validation and training chooses. Choose by the validation accuracy alone."),
    ('best["epoch"], best["test"]', 'best["test"], best["epoch"]', "Both are right, but the epoch comes first."),
    ('best["test"]', 'sum(row["test"] for row in rows) / len(rows)',
     "The accuracy is the mean over all epochs. Report that of the chosen epoch."),
    ('row["validation"]', 'row["train"]',
     "The training accuracy chooses. It goes on rising when the network has long begun to learn its images by heart: "
     "choose with images that it has not trained on."),
    ('max(rows, key=lambda row: row["validation"])', "rows[-1]",
     "The last epoch is an honest choice if it was fixed in advance. The task is to choose the best one, by a set "
     "that is not the test set."))


def accuracy_rows(rng):
    """Seven epochs in which each set has its best value at another epoch, and none at the last."""
    best = dict(zip(("train", "validation", "test"), rng.sample(range(6), 3), strict=True))
    return [{"epoch": i + 1} | {key: rng.uniform(0.5, 0.7) + 0.2 * (i == where)
                                for key, where in best.items()} for i in range(7)]


def second_best():
    """Every tenth of fifty epochs. The third row is second in validation and in the test, and first in both together,
    and in validation less training; the first is first in training and validation together."""
    rows = (10, 0.99, 0.84, 0.5), (20, 0.7, 0.9, 0.55), (30, 0.6, 0.85, 0.8), (40, 0.6, 0.5, 0.85), (50, 0.6, 0.5, 0.6)
    return [dict(zip(("epoch", "train", "validation", "test"), row, strict=True)) for row in rows]


def equal_rows(rng):
    """Seven epochs, of which three are equally good in validation, and the one in between is best in the test. The
    first epoch is a little worse in validation and best in training."""
    rows = [{"epoch": i + 1, "train": 0.5 + 0.01 * i, "validation": 0.7 + 0.01 * i, "test": 0.5 + 0.01 * i}
            for i in range(7)]
    rows[0] |= {"train": 0.99, "validation": 0.898}
    first = rng.randint(1, 2)
    for i, test in zip((first, first + 1, first + 3), (0.6, 0.9, 0.65), strict=True):
        rows[i] |= {"validation": 0.9, "test": test}
    return rows


# 22. Validation in training mode

@exercise(minutes=6, level="medium",
          hints=("Which layers behave differently in training and in evaluation, and in which mode is the network when "
                 "it is validated?",
                 "`torch.no_grad()` switches gradients off. It does not change the mode.",
                 "`net.eval()` before the validation, and `net.train()` before the next epoch's first batch."),
          cases=lambda rng: [made(rng, lambda epochs, lr: (network_with_batchnorm(), batches_of(6, 6), batches_of(9)[0],
                                                           epochs, lr), *case) for case in ((2, 0.1), (3, 0.2))] + [
              made(rng, lambda: (nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(108, 4)), batches_of(6, 6),
                                 batches_of(9)[0], 2, 0.1))],
          observe=as_tensor)
def validation_losses(net, training, validation, epochs, lr):
    """Train for some epochs with SGD; after each, the loss on `validation`, one batch, in evaluation mode. All training
    is done in training mode. Returns the list of validation losses."""
    optimizer = torch.optim.SGD(net.parameters(), lr)
    losses = []
    for _ in range(epochs):
        net.train()
        for images, labels in training:
            optimizer.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            losses.append(F.cross_entropy(net(validation[0]), validation[1]).item())
    return losses


validation_losses.as_it_came("        net.train()\n", "", "        net.eval()\n", "")
validation_losses.mistakes_as_edits(
    ("        net.train()\n        for", "        net.eval()\n        for",
     "        net.eval()\n        with", "        net.train()\n        with",
     "The two modes are exchanged: `train()` is for the training, `eval()` for the validation."),
    ("        net.train()\n", "",
     "The first epoch is right. After it the network stays in evaluation mode, and goes on training there. Switch "
     "back before the next epoch."),
    ("net.eval()", "[layer.eval() for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]",
     "Only batch normalisation is in evaluation mode. Dropout goes on dropping: `net.eval()` switches all layers."),
    ("            optimizer.zero_grad()\n", "",
     "`zero_grad` is gone, so each step goes along the sum of all gradients so far."),
    ("            optimizer.step()\n", "", "`step` is gone: the weights never move."),
    ("net.parameters(), lr", "net.parameters(), 0.1", "The learning rate is 0.1, whatever `lr` says."),
    ("net.parameters(), lr", "net.parameters(), 0.01", "The learning rate is a number now. It is given: `lr`."),
    ("net.parameters(), lr", "net.parameters(), lr, momentum=0.9", "The optimizer has a momentum now."),
    ("net(validation[0]), validation[1])", "net(images), labels)",
     "The loss is that of the last training batch. Take the validation batch."),
    ("    return losses", "    return losses[-1:] * epochs",
     "All your numbers are the last one. Validate after each epoch."),
    ("net.train()", "net.eval()",
     "The network is in evaluation mode from the first batch on, also where it trains: batch normalisation never "
     "looks at a batch. Switch only for the validation."),
    ("        net.train()\n", "", "net.eval()", "net.train(not net.training)",
     "The two modes are exchanged: the network trains in evaluation mode and is validated in training mode after a "
     "change."),
    ("losses = []", "losses = [F.cross_entropy(net.eval()(validation[0]), validation[1]).item()]",
     "return losses", "return losses[:-1]",
     "The modes are right, and the loss is taken too early: before the training of each epoch, not after it. The "
     "first number is that of the untrained network."))


# 23. Evaluation mode keeps the graph

def tensors_of(value, net, batches):
    if not isinstance(value, list | tuple) or not all(isinstance(out, torch.Tensor) for out in value):
        raise WrongForm("A list of tensors is asked for, one for each batch.")
    return {"the number of tensors": len(value), "tensors that carry a graph": sum(out.requires_grad for out in value),
            "their type": sorted({str(out.dtype) for out in value}), "the logits": [out.detach() for out in value]}


@exercise(minutes=4, level="medium",
          hints=("Ask one of the outputs for its `requires_grad`.",
                 "`eval()` changes what batch normalisation and dropout do. Whether PyTorch remembers how a number was "
                 "computed is another switch.",
                 "Put the loop under `with torch.no_grad():`, and leave `net.eval()` where it is."),
          cases=lambda rng: [made(rng, lambda: (network_with_batchnorm(), [
              images for images, _ in batches_of(6, 6, rng.randint(2, 5))])) for _ in range(2)],
          observe=tensors_of)
def logits_of(net, batches):
    """A list with the logits of each batch, computed in evaluation mode. None of them carries a graph, which would keep
    the intermediate results of all batches in memory."""
    net.eval()
    with torch.no_grad():
        return [net(images) for images in batches]


logits_of.as_it_came("with torch.no_grad():\n        return", "return")
logits_of.mistakes_as_edits(
    ("    net.eval()\n", "",
     "The graph is gone, but so is `net.eval()`: batch normalisation now normalises each batch by itself. The two "
     "switches are independent, and evaluation needs both."),
    ("return [net(images) for images in batches]", "for images in batches:\n            return [net(images)]",
     "Only the first batch comes back: `return` stands inside the loop and ends it."),
    ("net(images) for images in batches", "net(torch.cat(batches))",
     "One graph is not kept, but now all images go through the network together, which needs as much memory at once "
     "as was short. Keep one tensor for each batch."),
    ("net(images)", "net(images).argmax(dim=1)", "These are the classes. The logits are asked for."),
    ("net(images)", "net(images).softmax(dim=1)",
     "Both switches are right, but these are probabilities: a softmax was applied. The task wants what the network "
     "gives, and so does `F.cross_entropy`."))


# 24. A file that does not open elsewhere

def found_in_file(content, net):
    if not isinstance(content, bytes | bytearray):
        raise WrongForm("The content of the file is asked for, as `bytes`: `file.getvalue()`.")
    if not content:
        raise WrongForm("Your file is empty. Was it saved somewhere else, or read at its end? `getvalue()` gives all.")
    fresh = network_with_batchnorm()
    fresh[2].reset_running_stats()
    loaded = None
    try:
        loaded = torch.load(io.BytesIO(content), weights_only=True)
        keys = fresh.load_state_dict(loaded, strict=False)
    except Exception as error:
        if not zipfile.is_zipfile(io.BytesIO(content)):
            raise WrongForm("`torch.load` reads what `torch.save` has written, and your file is none of that. Did "
                            "`pickle` write it?") from None
        if isinstance(loaded, dict) and any(type(part) in (list, tuple) for part in loaded.values()):
            raise WrongForm("The numbers of your file stand in lists. `load_state_dict` wants tensors, as the state "
                            "dict holds them: save it as it is.") from None
        code = re.search(r"GLOBAL (\S+)", str(error))
        raise WrongForm(f"On another machine `torch.load` refuses your file: it holds `{code[1]}`, the name of a piece "
                        "of code. A state dict holds tensors and their names." if code else
                        f"`torch.load` does not read your file: {told(error)}" if loaded is None else
                        f"`load_state_dict` does not take what your file holds: {told(error)}") from None
    if keys.unexpected_keys and not loaded.keys() & fresh.state_dict().keys():
        raise WrongForm(f"No name in your file fits: it holds `{keys.unexpected_keys[0]}`, and the network wants "
                        f"`{keys.missing_keys[0]}`. Save the state dict as it is, under no key of your own.")
    with torch.no_grad():
        return {"tensors without a value": ", ".join(keys.missing_keys),
                "names that do not fit": ", ".join(keys.unexpected_keys),
                "the number of batches that were measured": fresh[2].num_batches_tracked.item(),
                "the output in evaluation": fresh.eval()(torch.ones(2, 3, 6, 6))}


@exercise(minutes=5, level="medium",
          hints=("What is in the file: numbers only, or also the name of a class that must exist where it is loaded?",
                 "A state dict is a plain dict from names to tensors. It holds the weights, and also what batch "
                 "normalisation has measured.",
                 "`torch.save(net.state_dict(), file)`."),
          cases=lambda rng: [(made(rng, network_with_batchnorm),)],
          observe=found_in_file)
def bytes_of(net):
    """The content of a file that holds all a trained network has learned or measured. On another machine it is opened
    with `fresh.load_state_dict(torch.load(file))`."""
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    return file.getvalue()


bytes_of.as_it_came("net.state_dict()", "net")
bytes_of.mistakes_as_edits(
    ("net.state_dict()", "dict(net.named_parameters())",
     "The file holds the parameters, but not what batch normalisation has measured: its running averages are "
     "buffers. The weights come back, and the network answers differently."),
    ("net.state_dict()", '{"model": net.state_dict()}',
     "The tensors lie one level deeper, under a key of your own. That is a good form for a checkpoint, but the "
     "loader of this task gives what it finds straight to `load_state_dict`."),
    ("net.state_dict()", "list(net.parameters())",
     "The file holds a list of tensors without names. `load_state_dict` needs to know which is which, and running "
     "averages are not among the parameters."),
    ("net.state_dict()", "{name: tensor.half() for name, tensor in net.state_dict().items()}",
     "The numbers were rounded to 16 bits, which halves the file. It loads without a word, and the network answers a "
     "little differently from the one that was trained."))


# 25. 4,160 parameters are missing

@exercise(minutes=5, level="medium",
          hints=("Which layer with 64 channels before and after it has 64 * 64 + 64 parameters?",
                 "Look at the row \"convolution, 3x3\" of Table 1: what stands in its column \"#3x3 reduce\"? And what "
                 "follows each convolution, by Section 5?",
                 "A 1x1 convolution from `width` to `width` before the 3x3, and a ReLU after each of the three."),
          cases=lambda rng: [(rng.randint(2, 4), width) for width in (6, rng.choice((17, 19)))],
          observe=lambda net, n_in, width: behaviour(net, torch.randn(2, n_in, 32, 32)))
def googlenet_stem(n_in, width):
    """The first rows of GoogLeNet's Table 1: 7x7 convolution with stride 2, pooling, 1x1 convolution that keeps the
    width, 3x3 convolution to three times the width, pooling. A ReLU follows each convolution, and each has a bias."""
    return nn.Sequential(nn.Conv2d(n_in, width, 7, 2, padding=3), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
                         nn.Conv2d(width, width, 1), nn.ReLU(),
                         nn.Conv2d(width, 3 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))


googlenet_stem.as_it_came("padding=3), nn.ReLU()", "padding=3)", "nn.Conv2d(width, width, 1), nn.ReLU(),", "",
                          "padding=1), nn.ReLU()", "padding=1)")
googlenet_stem.mistakes_as_edits(
    ("padding=3), nn.ReLU()", "padding=3)", "width, 1), nn.ReLU()", "width, 1)", "padding=1), nn.ReLU()", "padding=1)",
     "The count is right now. But a count cannot see a ReLU: two convolutions in a row, with nothing between them, "
     "are one linear map, and nothing in this stem is ever cut off at zero."),
    ("nn.Conv2d(width, width, 1), nn.ReLU(),", "",
     "The ReLUs are there, and the parameters are still missing. A ReLU has none: a whole layer is absent."),
    ("nn.Conv2d(width, width, 1), nn.ReLU(),", "",
     "padding=1), nn.ReLU()", "padding=1), nn.ReLU(), nn.Conv2d(3 * width, 3 * width, 1), nn.ReLU()",
     "The 1x1 stands behind the 3x3, on three times the width, and has about nine times the parameters that were "
     "missing. It prepares the 3x3, so it comes before it."),
    ("padding=3), nn.ReLU()", "padding=3)", "nn.Conv2d(width, width, 1), nn.ReLU(),", "",
     "padding=1), nn.ReLU()", "padding=1), nn.Conv2d(3 * width, 3 * width, 1)",
     "The 1x1 stands behind the 3x3, on three times the width. It prepares the 3x3, so it comes before it. And a ReLU "
     "follows each convolution."),
    ("padding=3), nn.ReLU()", "padding=3)", "width, 1), nn.ReLU()", "width, 1, bias=False)", "padding=1), nn.ReLU()",
     "padding=1)", "The new layer has no bias. And a ReLU follows each convolution."),
    ("padding=3), nn.ReLU()", "padding=3)", "The ReLU behind the 7x7 convolution is missing."),
    ("3, padding=1), nn.ReLU()", "3, padding=1)", "The ReLU behind the 3x3 convolution is missing."),
    ("width, 1)", "width, 3, padding=1)", "The new convolution has a window of 3 x 3. It is a 1x1."),
    ("nn.Conv2d(width, width, 1)", "nn.Conv2d(width, 3 * width, 1)", "nn.Conv2d(width, 3 * width, 3",
     "nn.Conv2d(3 * width, 3 * width, 3",
     "The 1x1 widens. It keeps the width, and the 3x3 makes it three times as wide."),
    ("nn.MaxPool2d(3, 2, padding=1))", "nn.Identity())", "The last pooling is missing."),
    ("width, 1)", "width, 1, bias=False)",
     "Nearly: the new layer has no bias, and one number for each channel is still missing."),
    ("width, 1), nn.ReLU()", "width, 1)",
     "The new 1x1 convolution has no ReLU. Together with the 3x3 behind it, it is one linear map."))


# 26. Three at once

def dim_and_bright(n, brightest):
    """Random images (1 x 6 x 6, pixels below `brightest`), some much darker than others, and labels."""
    light = torch.linspace(30, brightest, n).reshape(n, 1, 1, 1)
    return (torch.rand(n, 1, 6, 6) * light).byte(), torch.randint(4, (n,))


@exercise(minutes=10, level="hard",
          hints=("Three things depend on how the images are packed. Two of them give an image another answer beside "
                 "other neighbours, and one gives it another weight.",
                 "Follow one image: its pixels before the network, the network itself, its share of the result.",
                 "Divide by 255; `net.eval()`; and let each batch count by its number of images."),
          cases=lambda rng: [(*made(rng, lambda n, brightest: (network_with_batchnorm(1, gain=10), *dim_and_bright(
              n, brightest)), rng.randint(17, 21), brightest), size)
                             for size, brightest in ((4, 115), (8, 115), (8, 255))] + [
              (nn.Flatten(), torch.cat([255 * images for images, _ in to_paste()]).div(4).byte(),
               torch.tensor([1, 0, 2]), 2)],
          observe=lambda pair, *case: {name: as_tensor(value) for name, value in
                                       named("the mean loss", "the accuracy")(pair).items()})
def evaluation_report(net, images, labels, batch_size):
    """(mean loss, accuracy) over all images. `images`: pixels from 0 to 255; the network was trained on pixels / 255.
    The result must not depend on the batch size, nor on the order of the images."""
    net.eval()
    loss = accuracy = 0.0
    for batch, answers in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        with torch.no_grad():
            logits = net(batch / 255)
        share = len(answers) / len(labels)
        loss += share * F.cross_entropy(logits, answers).item()
        accuracy += share * (logits.argmax(dim=1) == answers).float().mean().item()
    return loss, accuracy


# of each bug: what stands in the solution, what stood there
wrong_scale = "batch / 255", "batch / batch.max()"
wrong_mode = "net.eval()", "net.train()"
wrong_mean = "len(answers) / len(labels)", "1 / len(labels.split(batch_size))"
evaluation_report.as_it_came("    net.eval()\n", "", "loss = accuracy = 0.0", "losses, accuracies = [], []",
                             "        with", "        pixels = batch / batch.max()\n        with",
                             "batch / 255", "pixels", "        share = len(answers) / len(labels)\n", "",
                             "loss += share * F.cross_entropy(logits, answers).item()",
                             "losses.append(F.cross_entropy(logits, answers).item())",
                             "accuracy += share * (logits.argmax(dim=1) == answers).float().mean().item()",
                             "accuracies.append((logits.argmax(dim=1) == answers).float().mean().item())",
                             "return loss, accuracy",
                             "return sum(losses) / len(losses), sum(accuracies) / len(accuracies)")
evaluation_report.mistakes_as_edits(
    ("loss += share", "loss += 1 / len(labels.split(batch_size))",
     "The accuracy counts each image once. The loss still counts each batch once, however small the last one is."),
    ("batch / 255", "batch / 256", "You divide by 256. The largest value of a byte is 255."),
    (*wrong_scale,
     "Two of three are found. The one that is left stands before the network: what does a dark image look like when "
     "it is alone in its batch, and what beside a bright one?"),
    (*wrong_mode,
     "Two of three are found. The one that is left is in the network: the answer to one image still depends on the "
     "other images of its batch."),
    (*wrong_mean,
     "Two of three are found. Each image now gets the same answer in every batch. What is left is how the batches "
     "are put together: the last one is smaller."),
    (*wrong_scale, *wrong_mode,
     "One of three is found: every image counts the same. But the same image still gets another answer in another "
     "batch, for two reasons."),
    (*wrong_scale, *wrong_mean,
     "One of three is found: the network is in evaluation mode. Look at what comes before the network and at what "
     "comes after it."),
    (*wrong_mode, *wrong_mean,
     "One of three is found: each image gets the pixels it was trained with. Look at the network's mode and at the "
     "last line."),
    (*wrong_mode, "images.split(batch_size), labels.split(batch_size)", "[images], [labels]",
     "All images go through the network at once, so the batch size no longer matters. But the network is in training "
     "mode: the answer to one image still depends on all the others."),
    ("batch / 255", "batch / images.max()",
     "The pixels are divided by the brightest one of all that are given. The network was trained on pixels / 255."),
    ("batch / 255", "batch.float()", "The pixels go from 0 to 255. The network was trained on pixels / 255."),
    ("batch / 255", "batch / batch.amax((1, 2, 3), keepdim=True)",
     "Each image is divided by its own brightest pixel. The network was trained on pixels / 255."),
    ("len(answers) / len(labels)", "batch_size / len(labels)",
     "Each batch counts as if it were full. The last one is smaller: take its own number of images."),
    ("share * F.cross_entropy(logits, answers)", "F.cross_entropy(logits, answers, reduction='sum')",
     "The loss is the sum over all images. Divide by their number."),
    ("return loss, accuracy", "return accuracy, loss", "Both are right, but the loss comes first."),
    ("return loss, accuracy", "return loss, 1 - accuracy", "The second number is the error, not the accuracy."),
    ("return loss, accuracy", "return loss, 100 * accuracy",
     "The accuracy is in per cent. A share between 0 and 1 is asked for."))
