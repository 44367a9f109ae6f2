"""Exercises of lesson 8: programs that came in broken, to be repaired.

Each solution is the repaired program, `as_it_came` the broken one, and the mistakes are repairs that silence the
symptom and leave the program wrong.
"""

import copy
import io
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from ..layers import local_response_norm
from ..models.resnet import Basic, zero_padding
from . import behaviour, exercise

batch_size = 16  # a setting of the notebook: a program that reads it from there must find it here too


def drawn(chance, *shape):
    """Normal random numbers that leave the student's random numbers alone."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(chance.randrange(2**31)))


def sized(net, x):
    """Behaviour of a network that may learn its sizes from the first batch."""
    net(x)
    return behaviour(net, x)


# Tracebacks that point elsewhere


@exercise(minutes=3, level="easy",
          hints=("The message names an object, a `ReLU`. Where does the program ask a ReLU for something called `nn`?",
                 "Python reads on over the end of a line inside brackets. What stands between the two layers there?",
                 "In a list of layers each one ends with a comma. Look for the one that ends with something smaller."),
          cases=lambda chance: [(chance.randint(5, 9), chance.randint(2, 4)) for _ in range(3)],
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


@head.as_it_came
def head_as_it_came(n_in, n_out):
    return nn.Sequential(
        nn.Linear(n_in, 32), nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(32, 16), nn.ReLU().
        nn.Dropout(0.5),
        nn.Linear(16, n_out))


@head.also_right
class Head(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(n_in, 32), nn.Linear(32, 16), nn.Linear(16, n_out)

    def forward(self, x):
        for layer in (self.first, self.second):
            x = F.dropout(layer(x).relu(), 0.5, self.training)
        return self.third(x)


@head.mistake
def head_without_a_relu(n_in, n_out):
    """The message is gone, and a ReLU with it. Only one sign was wrong in this program; both layers around it belong
    there."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Dropout(0.5),
                         nn.Linear(32, 16), nn.Dropout(0.5), nn.Linear(16, n_out))


@head.mistake
def head_without_a_dropout(n_in, n_out):
    """The message is gone, and the second dropout with it. In evaluation nobody will notice; in training the network is
    another one."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Dropout(0.5),
                         nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, n_out))


@head.mistake
def head_without_both(n_in, n_out):
    """The whole line with the error is gone. The program runs, but the second hidden layer has neither ReLU nor
    dropout, and two linear layers in a row are no more than one."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 16), nn.Linear(16, n_out))


@head.mistake
def head_that_drops_its_answers(n_in, n_out):
    """The dropout came to stand behind the last layer, where it sets half of the answers to zero. It belongs where it
    stood, behind the second ReLU."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Dropout(0.5),
                         nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, n_out), nn.Dropout(0.5))


@exercise(minutes=4, level="easy",
          hints=("You see a `forward`. Whose is it? Ask the class for the names that it holds.",
                 "In Python the indentation alone says what belongs to what.",
                 "`forward` must begin in the same column as `__init__`. Move it, and change nothing in it."),
          cases=lambda chance: [(width,) for width in (5, chance.randint(6, 9))],
          observe=lambda net, width: behaviour(net, torch.randn(4, 1, 6, 7)))
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


@small_net.as_it_came
def small_net_as_it_came(width):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.maps = nn.Conv2d(1, width, 3, padding=1)
            self.head = nn.Linear(width, 10)

            def forward(self, x):
                maps = self.maps(x).relu()
                return self.head(maps.mean(dim=(2, 3)))

    return Net()


@small_net.also_right
def small_net_in_a_row(width):
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(width, 10))


class Small(nn.Module):
    """What the wrong repairs of `small_net` share."""

    def __init__(self, width, forward):
        super().__init__()
        self.maps = nn.Conv2d(1, width, 3, padding=1)
        self.head = nn.Linear(width, 10)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


@small_net.mistake
def small_net_that_returns_its_input(width):
    """There is a `forward` now, and PyTorch is content, but it is not the one that the program holds: no layer is used
    in it."""
    return Small(width, lambda self, x: x)


@small_net.mistake
def small_net_without_relu(width):
    """This `forward` was written anew, without the ReLU. The program already holds a right one: find out why PyTorch
    does not see it."""
    return Small(width, lambda self, x: self.head(self.maps(x).mean(dim=(2, 3))))


@small_net.mistake
def small_net_with_a_late_relu(width):
    """The ReLU stands after the mean here. A mean of a map with negative numbers is another number than the mean of
    what a ReLU leaves of it. The old `forward` had the right order."""
    return Small(width, lambda self, x: self.head(self.maps(x).mean(dim=(2, 3)).relu()))


@small_net.mistake
def small_net_without_its_head(width):
    """This `forward` ends at the means of the maps: the linear layer is never called, and no ten classes come out. The
    old one had all three steps."""
    return Small(width, lambda self, x: self.maps(x).relu().mean(dim=(2, 3)))


@exercise(minutes=3, level="easy",
          hints=("The message does not speak of your list. Which other object stands before a square bracket?",
                 "Round brackets call, square brackets look something up.",
                 "The second argument is the axis along which to join. Keep both arguments, change the brackets."),
          cases=lambda chance: [([drawn(chance, n, 3, 4, 5) for _ in range(3)],) for n in (2, 1, chance.randint(3, 5))])
def joined(branches):
    """The outputs of several branches, all of the same shape N x C x H x W, one behind the other along the channels,
    after a ReLU."""
    return torch.cat(branches, 1).relu()


@joined.as_it_came
def joined_as_it_came(branches):
    return torch.cat[branches, 1].relu()


@joined.also_right
def joined_by_hand(branches):
    n, channels, height, width = branches[0].shape
    maps = torch.empty(n, channels * len(branches), height, width)
    for i, branch in enumerate(branches):
        maps[:, i * channels:(i + 1) * channels] = F.relu(branch)
    return maps


@joined.mistake
def joined_along_the_batch(branches):
    """The brackets are right now, and the axis is gone: without one, `torch.cat` joins along axis 0. Two images seen by
    three branches became six images."""
    return torch.cat(branches).relu()


@joined.mistake
def joined_on_a_new_axis(branches):
    """`torch.stack` lays the branches on a new axis, so the result has five. The channels are an axis that is already
    there."""
    return torch.stack(branches, 1).relu()


@joined.mistake
def joined_without_relu(branches):
    """The ReLU is lost: negative numbers come out."""
    return torch.cat(branches, 1)


@joined.mistake
def joined_and_reshaped(branches):
    """The shape is right, the numbers are not: they were joined along the batch and then pressed into shape, which
    mixes different images. A reshape never moves an axis."""
    return torch.cat(branches).reshape(len(branches[0]), -1, *branches[0].shape[2:]).relu()


# Messages about shapes


def five_blocks():
    """The convolutional part of `vgg_for`, for its wrong repairs."""
    return [layer for n_in, n_out in ((3, 4), (4, 8), (8, 8), (8, 16), (16, 16))
            for layer in (nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]


@exercise(minutes=4, level="easy",
          hints=("Two matrices are named, four numbers. Which one is yours, and which comes from the images?",
                 "Each of the five blocks halves the map. How large is the last one for images of 64 pixels?",
                 "The linear layer takes `16 * (size // 32) ** 2` numbers."),
          cases=lambda chance: [(64,), (32,), (96,)],
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


@vgg_for.as_it_came
def vgg_for_as_it_came(size):
    layers, n_in = [], 3
    for n_out in (4, 8, 8, 16, 16):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        n_in = n_out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 10))


@vgg_for.also_right
def vgg_that_looks(size):
    return nn.Sequential(*five_blocks(), nn.Flatten(), nn.LazyLinear(10))


@vgg_for.mistake
def vgg_for_64(size):
    """That number fits images of 64 pixels and no others. The function is given `size`: compute the number from it."""
    return nn.Sequential(*five_blocks(), nn.Flatten(), nn.Linear(64, 10))


@vgg_for.mistake
def vgg_that_averages(size):
    """It runs at every size, because the last map is averaged to one number for each channel. That is a good network,
    and another one: the head is to take all numbers of the last map."""
    return nn.Sequential(*five_blocks(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


@vgg_for.mistake
def vgg_that_shrinks_the_images(size):
    """The images are shrunk to 32 pixels before the network sees them. It runs, and what larger images would have shown
    is thrown away. Change the head."""
    return nn.Sequential(nn.Upsample(size=32), *five_blocks(), nn.Flatten(), nn.Linear(16, 10))


@vgg_for.mistake
def vgg_that_pools_once_more(size):
    """One more pooling leaves a single pixel, and the old head fits. But what the larger map held is lost again just
    before the end: the head is to take all numbers of the last map."""
    return nn.Sequential(*five_blocks(), nn.MaxPool2d(size // 32), nn.Flatten(), nn.Linear(16, 10))


@exercise(minutes=4, level="easy",
          hints=("How many rows has the first matrix of the message, and how many images has the batch?",
                 "`view` is told the number of rows, and fits the columns to it. Who tells it?",
                 "The number of images is `len(maps)`; or let `maps.flatten(1)` keep the first axis as it is."),
          cases=lambda chance: [(drawn(chance, n, 4, 4, 4), drawn(chance, 64, 10))
                                for n in (8, 16, chance.randint(2, 7))])
def logits(maps, weight):
    """The last layer by hand: each image's maps, C x H x W, written in one row, times the matrix `weight`. One row
    comes out for each image, however many there are."""
    rows = maps.flatten(1)
    return rows @ weight


@logits.as_it_came
def logits_as_it_came(maps, weight):
    rows = maps.view(batch_size, -1)
    return rows @ weight


@logits.also_right
def logits_by_axes(maps, weight):
    return torch.einsum("nchw,chwk->nk", maps, weight.view(*maps.shape[1:], -1))


@logits.mistake
def logits_of_eight(maps, weight):
    """Another fixed number. It fits a batch of 8 images and no other: the next set of images will have another
    remainder."""
    return maps.view(8, -1) @ weight


@logits.mistake
def logits_of_empty_images(maps, weight):
    """The batch was filled up with images of zeros, and they come out as answers: there are more rows than images.
    Whoever counts the right ones will count these too."""
    missing = maps.new_zeros(batch_size - len(maps), *maps.shape[1:])
    return torch.cat([maps, missing]).view(batch_size, -1) @ weight


@logits.mistake
def logits_of_half_images(maps, weight):
    """The matrix was cut to fit the rows. But the rows are wrong: each holds a part of an image only."""
    rows = maps.view(batch_size, -1)
    return rows @ weight[:rows.shape[1]]


@logits.mistake
def logits_of_mixed_images(maps, weight):
    """The shape is right, the numbers are not. `view` cuts the numbers in the order in which they lie in memory, and
    turning the result does not bring an image's numbers back into one row."""
    return maps.reshape(len(weight), -1).T @ weight


def pooled_by(stages, end, last_stride=2):
    """A wrong repair of `pooled`: another end, or another stride in the last stage."""
    layers, width = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()], 4
    for stage in range(2, stages + 1):
        stride = 2 if stage <= 3 else last_stride
        layers += [nn.Conv2d(width, 2 * width, 3, stride, padding=1), nn.ReLU()]
        width = 2 * width
    return nn.Sequential(*layers, *end, nn.Flatten(), nn.LazyLinear(10) if not end else nn.Linear(width, 10))


@exercise(minutes=4, level="easy",
          hints=("How large is the map that reaches the pooling, and how large is its window?",
                 "The window was right for three stages. What does one stage more do to the map?",
                 "Whatever its size, the whole map is to be averaged: `nn.AdaptiveAvgPool2d(1)`."),
          cases=lambda chance: [(4,), (5,), (3,), (2,)],
          observe=lambda net, stages: sized(net, torch.randn(2, 3, 32, 32)))
def pooled(stages):
    """For images of 32 by 32 pixels: `stages` convolutions with ReLU, of which all but the first halve the map and
    double the channels, then the mean of each map, and a linear layer to ten classes."""
    layers, width = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()], 4
    for _ in range(stages - 1):
        layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()]
        width = 2 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))


@pooled.as_it_came
def pooled_as_it_came(stages):
    layers, width = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()], 4
    for _ in range(stages - 1):
        layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()]
        width = 2 * width
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(width, 10))


@pooled.also_right
def pooled_by_the_right_window(stages):
    return pooled_by(stages, [nn.AvgPool2d(32 // 2 ** (stages - 1))])


@pooled.mistake
def pooled_by_four(stages):
    """A window of 4 fits the map of four stages and no other. The function is given `stages`: the whole map is to be
    averaged for each number of them."""
    return pooled_by(stages, [nn.AvgPool2d(4)])


@pooled.mistake
def pooled_with_zeros(stages):
    """The padding silences the message and fills the window with zeros, which are counted in the mean: for four stages
    it comes out four times too small."""
    return pooled_by(stages, [nn.AvgPool2d(8, padding=4)])


@pooled.mistake
def pooled_by_the_maximum(stages):
    """The largest number of each map is not its mean. The window has the right size now, the kind of pooling has
    changed."""
    return pooled_by(stages, [nn.AdaptiveMaxPool2d(1)])


@pooled.mistake
def not_pooled(stages):
    """The pooling is gone, and the linear layer takes the map's single pixels. It runs, with far more weights: count
    them. The mean of each map is wanted."""
    return pooled_by(stages, [])


@pooled.mistake
def pooled_without_a_stride(stages):
    """The fourth stage does not halve the map any more. That makes the map fit the window and changes the network,
    which now computes on more pixels. The window is what does not fit."""
    return pooled_by(stages, [nn.AdaptiveAvgPool2d(1)], last_stride=1)


@exercise(minutes=5, level="medium",
          hints=("Dimension 3 of N x C x H x W: count from 0. Which one is it?",
                 "It is the width. The residual has 16 columns, `x` has 32: the channels are fine.",
                 "Take every second row and column of `x` with a slice of step 2."),
          cases=lambda chance: [(drawn(chance, 2, 2 * n, h, w), drawn(chance, 2, n, 2 * h, 2 * w)) for n, h, w in
                                ((4, 6, 8), (chance.randint(2, 5), chance.randint(4, 7), chance.randint(8, 11)))])
def added(residual, x):
    """relu(residual + shortcut). The residual has twice the channels of `x`, and half its rows and columns. The
    shortcut gives every second row and column of `x`, beginning with the first, and channels of zeros behind those of
    `x`."""
    more = residual.shape[1] - x.shape[1]
    shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, more))
    return (residual + shortcut).relu()


@added.as_it_came
def added_as_it_came(residual, x):
    more = residual.shape[1] - x.shape[1]
    shortcut = F.pad(x, (0, 0, 0, 0, 0, more))
    return (residual + shortcut).relu()


@added.also_right
def added_by_pooling(residual, x):
    shortcut = F.max_pool2d(x, 1, stride=2)
    return F.relu(residual + torch.cat([shortcut, torch.zeros_like(shortcut)], 1))


@added.mistake
def added_to_the_corner(residual, x):
    """It fits, since `x` was cut to the size of the residual. But that is its upper left quarter: three quarters of the
    image never reach the sum."""
    height, width = residual.shape[2:]
    return (residual + F.pad(x[:, :, :height, :width], (0, 0, 0, 0, 0, x.shape[1]))).relu()


@added.mistake
def added_to_the_mean(residual, x):
    """It fits, by averages over 2x2 pixels. That is a sensible shortcut, and another one: every second row and column
    is asked for."""
    return (residual + F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 0, x.shape[1]))).relu()


@added.mistake
def added_to_an_enlarged_residual(residual, x):
    """Here the residual was enlarged to the size of `x`. The message is gone, and so is the halving: the next stage
    gets a map four times too large."""
    enlarged = F.interpolate(residual, size=x.shape[2:])
    return (enlarged + F.pad(x, (0, 0, 0, 0, 0, x.shape[1]))).relu()


@added.mistake
def added_behind_the_zeros(residual, x):
    """The width is right now, but the channels of zeros stand before those of `x`. They were right as they came: the
    message was not about channels."""
    return (residual + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, x.shape[1], 0))).relu()


@added.mistake
def added_without_channels(residual, x):
    """The channels of `x` were repeated to make them twice as many. Channels of zeros are asked for, and they were
    right as they came."""
    return (residual + x[:, :, ::2, ::2].repeat(1, 2, 1, 1)).relu()


def conv(n_in, n_out, size, stride=1):
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False)


class Sum(nn.Module):
    """relu(residual(x) + shortcut(x)), for the wrong repairs of `Block`."""

    def __init__(self, n_in, n_out, first=1, second=1, shortcut=1, enlarge=1):
        super().__init__()
        self.residual = nn.Sequential(conv(n_in, n_out, 3, first), nn.BatchNorm2d(n_out), nn.ReLU(),
                                      conv(n_out, n_out, 3, second), nn.BatchNorm2d(n_out),
                                      nn.Upsample(scale_factor=enlarge))
        self.shortcut = nn.Sequential(conv(n_in, n_out, 1, shortcut), nn.BatchNorm2d(n_out))

    def forward(self, x):
        return (self.residual(x) + self.shortcut(x)).relu()


@exercise(minutes=5, level="medium",
          hints=("Write down the size that each of the two summands has, and the size that each should have.",
                 "With stride 2 the map of 32 pixels should come out with 16. Which summand has not 16, and why?",
                 "A block halves its map once: only the first of the two 3x3 convolutions has the stride."),
          cases=lambda chance: [(chance.randint(2, 4), chance.randint(5, 7), stride) for stride in (2, 1, 3)],
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


@Block.as_it_came
class BlockAsItCame(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out))
        self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x):
        return (self.residual(x) + self.shortcut(x)).relu()


@Block.also_right
def block_of_parts(n_in, n_out, stride):
    return Sum(n_in, n_out, first=stride, shortcut=stride)


@Block.mistake
def block_that_halves_twice(n_in, n_out, stride):
    """Both summands agree now, on the wrong size: with stride 2 the map comes out with a quarter of its rows and
    columns. Which of the two was right as it came?"""
    return Sum(n_in, n_out, first=stride, second=stride, shortcut=stride**2)


@Block.mistake
def block_that_halves_late(n_in, n_out, stride):
    """The shapes are right. But the stride went from the first convolution and stayed in the second, so that the first
    computes on all pixels, and the numbers are others. The task says which of the two has it."""
    return Sum(n_in, n_out, second=stride, shortcut=stride)


@Block.mistake
def block_that_enlarges(n_in, n_out, stride):
    """The residual is made too small and then enlarged again. The shapes agree, and what was thrown away does not come
    back. Ask why it was too small."""
    return Sum(n_in, n_out, first=stride, second=stride, shortcut=stride, enlarge=stride)


@Block.mistake
def block_that_never_halves(n_in, n_out, stride):
    """No convolution has a stride any more. The message is gone, and the block no longer makes the map smaller."""
    return Sum(n_in, n_out)


# Failures on the way back


def trained(net, x):
    """Behaviour, and the gradient that reaches the input in training."""
    seen = behaviour(net, x.clone())
    torch.manual_seed(0)
    x.requires_grad_()
    gradient, = torch.autograd.grad(net(x).square().sum(), x, allow_unused=True)
    return seen | {"the gradient at the input": torch.zeros_like(x) if gradient is None else gradient}


@exercise(minutes=5, level="medium",
          hints=("In evaluation, and without a backward pass, nothing fails. What does a layer do in training alone?",
                 "The way back through a ReLU needs the numbers that the ReLU gave out. Who has written over them?",
                 "Two layers write over their input. For one of them that is harmless; take `inplace` from the other."),
          cases=lambda chance: [(chance.randint(5, 9), chance.randint(2, 4)) for _ in range(3)],
          observe=lambda net, n_in, n_out: trained(net, torch.randn(4, n_in)))
def classifier(n_in, n_out):
    """A linear layer to 32 units, a ReLU, a dropout of 0.5 and a linear layer to `n_out` classes, which can be
    trained."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(32, n_out))


@classifier.as_it_came
def classifier_as_it_came(n_in, n_out):
    return nn.Sequential(
        nn.Linear(n_in, 32),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5, inplace=True),
        nn.Linear(32, n_out))


@classifier.also_right
def classifier_in_another_order(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 32), nn.Dropout(0.5, inplace=True), nn.ReLU(), nn.Linear(32, n_out))


class Cut(nn.Module):
    def forward(self, x):
        return x.detach()


@classifier.mistake
def classifier_without_dropout(n_in, n_out):
    """The message is gone, and the dropout with it: in training the network is another one. The dropout itself is not
    the fault."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, n_out))


@classifier.mistake
def classifier_that_is_cut(n_in, n_out):
    """Nothing fails any more because nothing goes back: `detach` cuts the way of the gradient, and the first layer will
    never learn."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), Cut(), nn.Dropout(0.5), nn.Linear(32, n_out))


@classifier.mistake
def classifier_that_drops_its_answers(n_in, n_out):
    """The dropout was moved behind the last layer. There it does not disturb the ReLU, and sets half of the answers to
    zero."""
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, n_out), nn.Dropout(0.5))


@classifier.mistake
def classifier_that_drops_its_input(n_in, n_out):
    """The dropout was moved before the first layer, where it blanks half of the input. It belongs to the 32 units."""
    return nn.Sequential(nn.Dropout(0.5), nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, n_out))


# Networks that do not learn


def at_the_start(net, width):
    """Depth, and how much the logits of 16 different pictures differ before any training."""
    pictures = torch.randn(16, 3, 1, 1) + 0.5 * torch.randn(16, 3, 8, 8)  # each of another colour
    with torch.no_grad():
        spread = net.double().train()(pictures.double()).std(dim=0).max().item()  # float32 rounds the smallest to 0
    amount = ("far too much" if spread >= 100 else "enough" if spread > 2e-3 else "a little" if spread > 5e-7 else
              "almost nothing" if spread > 1e-11 else "nothing")
    depth = sum(isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) for layer in net.modules())
    return {"the number of 3x3 convolutions": depth, "what the logits of different images differ by": amount}


def sixteen(width, initialise, depth=16):
    """A repair of `deep` by other weights."""
    layers = [nn.Conv2d(width if i else 3, width, 3, padding=1) for i in range(depth)]
    for layer in layers:
        initialise(layer.weight)
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())],
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))


@exercise(minutes=6, level="medium",
          hints=("Before any training, look at the logits of very different images. What do they have in common?",
                 "PyTorch's own initial weights are too small for a ReLU: each layer passes on less than half of it.",
                 "`nn.init.kaiming_normal_` on each convolution's weight, with `nonlinearity=\"relu\"`; or a "
                 "`nn.BatchNorm2d` behind each convolution."),
          cases=lambda chance: [(24,), (chance.randint(24, 32),)], observe=at_the_start)
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


@deep.as_it_came
def deep_as_it_came(width):
    layers, n_in = [], 3
    for _ in range(16):
        layers += [nn.Conv2d(n_in, width, 3, padding=1), nn.ReLU()]
        n_in = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))


@deep.also_right
def deep_and_normalised(width):
    layers = [layer for i in range(16) for layer in
              (nn.Conv2d(width if i else 3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))


@deep.mistake
def not_so_deep(width):
    """A network of six convolutions learns, that is true. But the task is a deep one: you have removed the patient. Let
    the signal through all sixteen."""
    return sixteen(width, nn.init.kaiming_normal_, depth=6)


@deep.mistake
def deep_and_silent(width):
    """Even less arrives than before. A deviation of 0.01 was right for AlexNet, with eight layers of mostly thousands
    of inputs; here a layer has a few hundred, and there are sixteen of them."""
    return sixteen(width, partial(nn.init.normal_, std=0.01))


@deep.mistake
def deep_and_loud(width):
    """Now each layer makes its input larger, and after sixteen of them the logits are astronomical. Between too small
    and too large lies a deviation that depends on the number of inputs of a layer."""
    return sixteen(width, nn.init.normal_)


@deep.mistake
def deep_and_faint(width):
    """Better by orders of magnitude, and still each layer passes on less than it gets. Xavier's deviation, for example,
    is made for layers without a ReLU, which throws half of its input away: sixteen halves leave almost nothing."""
    return sixteen(width, nn.init.xavier_normal_)


def weights_and_biases(net, width):
    """Deviation of the weights and mean of the biases of both convolutions, and whether a forward pass leaves them."""
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    seen = {f"in convolution {i}, {what}": round(value.item(), digits) for i, c in enumerate(convolutions[:2], 1)
            for what, value, digits in (("the deviation of the weights", c.weight.std(), 2),
                                        ("the mean of the biases", c.bias.mean(), 1))}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(0.5)  # as if training had moved it
        net(torch.randn(1, 3, 12, 12))
    kept = all((parameter == 0.5).all() for parameter in net.parameters())
    return seen | {"what training has learned after one more forward pass": "kept" if kept else "lost"}


@exercise(minutes=5, level="medium",
          hints=("The method is right. Which line of the program runs it?",
                 "A method runs when somebody calls it. It needs the layers, so they must be there already.",
                 "`self.initialise()` as the last line of `__init__`."),
          cases=lambda chance: [(16,), (chance.randint(16, 24),)], observe=weights_and_biases)
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


@Tower.as_it_came
class TowerAsItCame(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(3, width, 5)
        self.second = nn.Conv2d(width, width, 5)

    def initialise(self):
        for layer, bias in ((self.first, 0.0), (self.second, 1.0)):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        return self.second(self.first(x).relu()).relu()


@Tower.also_right
def tower_of_two(width):
    net = nn.Sequential(nn.Conv2d(3, width, 5), nn.ReLU(), nn.Conv2d(width, width, 5), nn.ReLU())
    for i, layer in enumerate((net[0], net[2])):
        layer.weight.data = 0.01 * torch.randn_like(layer.weight)
        layer.bias.data.fill_(i)
    return net


@Tower.mistake
class TowerThatForgets(TowerAsItCame):
    """The method is called in `forward`. So every forward pass draws new weights, and what a step of training has
    learned is lost at the next image."""

    def forward(self, x):
        self.initialise()
        return super().forward(x)


@Tower.mistake
class TowerHalfDone(TowerAsItCame):
    """The second convolution still has the weights that PyTorch gave it. Was the method called before that layer was
    there, or does it leave that layer out?"""

    def __init__(self, width):
        super().__init__(width)
        nn.init.normal_(self.first.weight, std=0.01)
        nn.init.zeros_(self.first.bias)


@Tower.mistake
class TowerOfZeros(TowerAsItCame):
    """All biases are zero now. The method that the program holds sets those of the second convolution to 1: call it,
    and do not write it anew."""

    def __init__(self, width):
        super().__init__(width)
        self.initialise()
        nn.init.zeros_(self.second.bias)


@Tower.mistake
class TowerByVariance(TowerAsItCame):
    """The deviation of the weights is 0.1 now. That is the root of 0.01, as if 0.01 were the variance; the task gives
    the deviation, and so does `std`."""

    def __init__(self, width):
        super().__init__(width)
        self.initialise()
        for layer in (self.first, self.second):
            nn.init.normal_(layer.weight, std=0.1)


# The state of a notebook


def two_runs(cells):
    """Sum and number of batches when the cells run, and when those after the first run again with smaller batches."""
    kernel, seen = {"images": torch.randn(24), "batch_size": 8}, {}
    for run, again in (("first", cells), ("second", cells[1:])):
        for cell in again:
            exec(cell, kernel)
        seen |= {f"in the {run} run, the total": kernel["total"],
                 f"in the {run} run, the number of batches": len(kernel["loader"])}
        kernel["batch_size"] = 4
    return seen


@exercise(minutes=5, level="medium",
          hints=("Everything works once. Which name means something else after the first run?",
                 "A `for` loop gives its variable a new value at each step, and in a notebook that name stays.",
                 "Give the loop a variable of its own, such as `batch`, in both lines that use it."),
          cases=lambda chance: [()], observe=two_runs)
def cells():
    """Three cells of a notebook, in which `images` and `batch_size` exist already. They make `loader` and `total`, the
    sum over all images. The second and the third can be run again, also when `batch_size` has changed."""
    return ["from torch.utils import data",
            "loader = data.DataLoader(images, batch_size)",
            "total = 0\n"
            "for batch in loader:\n"
            "    total += batch.sum().item()"]


@cells.as_it_came
def cells_as_they_came():
    return ["from torch.utils import data",
            "loader = data.DataLoader(images, batch_size)",
            "total = 0\n"
            "for data in loader:\n"
            "    total += data.sum().item()"]


@cells.also_right
def cells_with_a_name_of_their_own():
    return ["from torch.utils.data import DataLoader",
            "loader = DataLoader(images, batch_size)",
            "total = sum(data.sum().item() for data in loader)"]


@cells.mistake
def cells_with_an_old_loader():
    """The second cell runs again without a message, since it does nothing: the loader of the first run stays, with the
    old size of the batches."""
    return ["from torch.utils import data",
            "if 'loader' not in globals():\n"
            "    loader = data.DataLoader(images, batch_size)",
            "total = 0\n"
            "for data in loader:\n"
            "    total += data.sum().item()"]


@cells.mistake
def cells_that_lose_the_images():
    """The loop has a new variable, and this name was taken too: after the first run `images` is only the last batch. No
    message this time; the second total is wrong."""
    return ["from torch.utils import data",
            "loader = data.DataLoader(images, batch_size)",
            "total = 0\n"
            "for images in loader:\n"
            "    total += images.sum().item()"]


@cells.mistake
def cells_that_lose_the_total():
    """A function keeps its loop variable to itself, which is a good idea. It keeps its sum to itself too: `total` in
    the notebook stays 0."""
    return ["from torch.utils import data",
            "loader = data.DataLoader(images, batch_size)",
            "total = 0\n"
            "def add():\n"
            "    total = 0\n"
            "    for data in loader:\n"
            "        total += data.sum().item()\n"
            "add()"]


@cells.mistake
def cells_that_go_on_adding():
    """The loop has a name of its own now. But `total = 0` went into the first cell, which does not run again: the
    second run adds to the sum of the first."""
    return ["from torch.utils import data\n"
            "total = 0",
            "loader = data.DataLoader(images, batch_size)",
            "for batch in loader:\n"
            "    total += batch.sum().item()"]


def linear(chance, n_in, n_out):
    """A linear layer whose weights leave the student's random numbers alone."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
    layer.weight.data, layer.bias.data = drawn(chance, n_out, n_in), drawn(chance, n_out)
    return layer


def one_step(model, trained, images, labels):
    """The loss of `model` before a step of gradient descent with the weights of `trained`."""
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    torch.optim.SGD(trained.parameters(), lr=0.1).step()
    model.zero_grad()
    return loss.item()


@exercise(minutes=5, level="medium",
          hints=("Restart the kernel in your head: which names does the function get, and which does it make?",
                 "Three names come from nowhere. Two of them mean arguments of the function, one a list that it makes.",
                 "`network` is `model`, `num_epochs` is `epochs`, and `loss_history` is `history`."),
          cases=lambda chance: [(linear(chance, 6, 3), drawn(chance, 8, 6), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]), n)
                                for n in (4, chance.randint(2, 3), chance.randint(5, 6))])
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


@losses.as_it_came
def losses_as_they_came(model, images, labels, epochs):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)  # noqa: F821
    history = []
    for _ in range(num_epochs):  # noqa: F821
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return loss_history  # noqa: F821


@losses.also_right
def losses_by_hand(model, images, labels, epochs):
    return [one_step(model, model, images, labels) for _ in range(epochs)]


@losses.mistake
def losses_of_an_untouched_model(model, images, labels, epochs):
    """The name exists now, and it is another network: the optimizer moves its weights, while the loss is that of
    `model`. So the loss never changes."""
    network = nn.Linear(images.shape[1], 3)
    return [one_step(model, network, images, labels) for _ in range(epochs)]


@losses.mistake
def losses_of_another_model(model, images, labels, epochs):
    """A network is trained, but one that the function made itself. The caller's `model` is never used."""
    network = nn.Linear(images.shape[1], 3)
    return [one_step(network, network, images, labels) for _ in range(epochs)]


@losses.mistake
def losses_of_ten_epochs(model, images, labels, epochs):
    """The number of epochs was given a value of its own, so whatever the caller asks for, ten come out."""
    num_epochs = 10
    return [one_step(model, model, images, labels) for _ in range(num_epochs)]


@losses.mistake
def losses_that_are_not_there(model, images, labels, epochs):
    """The list that is returned was made to silence the last NameError, and nothing is ever put into it."""
    loss_history = []
    for _ in range(epochs):
        one_step(model, model, images, labels)
    return loss_history


# The second sitting: programs that run


def made(chance, build):
    """What `build()` makes of random numbers; those of the student are left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chance.randrange(2**31))
        return build()


def batches_of(*sizes, classes=4):
    """Random images (3 x 6 x 6) and labels, one batch for each size."""
    return [(torch.randn(n, 3, 6, 6), torch.randint(classes, (n,))) for n in sizes]


def network_with_batchnorm(channels=3, classes=4):
    """A small network whose running averages have moved."""
    net = nn.Sequential(nn.Conv2d(channels, 5, 3), nn.ReLU(), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(80, classes))
    for _ in range(3):
        net(1 + 2 * torch.randn(16, channels, 6, 6))
    return net


def as_tensor(numbers, *case):
    """Compared with the tolerance of tensors: a sum in another order differs in its last digits."""
    return torch.as_tensor(numbers)


# 14. A batch of 36 becomes one of 25

def seen_of_head(head, channels, size, classes):
    def attempt(maps):
        try:
            return head(maps)
        except Exception:
            return "an error"

    seen = behaviour(head, torch.randn(36, channels, size, size))
    seen["the output for a last batch of 7 images"] = attempt(torch.randn(7, channels, size, size))
    rows = attempt(torch.randn(size**2, channels, size - 1, size - 1))
    return seen | {"one row for each image, or an error, where the maps do not fit":
                   rows == "an error" if isinstance(rows, str) else len(rows) == size**2}


@exercise(minutes=4, level="easy",
          hints=("Which of the two numbers that `view` gets is known for certain: the rows or the columns?",
                 "`-1` lets PyTorch choose. It then chooses the number of images.",
                 "Keep the first dimension and let PyTorch work out the second: `maps.flatten(1)`."),
          cases=lambda chance: [(chance.randint(2, 5), size, chance.randint(2, 9)) for size in (6, 5)],
          observe=seen_of_head)
class FlatHead(nn.Module):
    """A linear layer from maps of channels x size x size to `classes` logits. One image, one row: maps of another size
    must never give another number of rows."""

    def __init__(self, channels, size, classes):
        super().__init__()
        self.linear = nn.Linear(channels * size * size, classes)

    def forward(self, maps):
        return self.linear(maps.flatten(1))


@FlatHead.as_it_came
class ChoosesRows(FlatHead.function):
    def forward(self, maps):
        return self.linear(maps.view(-1, self.linear.in_features))


@FlatHead.also_right
class KeepsRows(FlatHead.function):
    def forward(self, maps):
        return self.linear(maps.reshape(len(maps), -1))


@FlatHead.also_right
class AssertsRows(FlatHead.function):
    def forward(self, maps):
        rows = maps.reshape(-1, self.linear.in_features)
        assert len(rows) == len(maps), f"{len(maps)} images gave {len(rows)} rows"
        return self.linear(rows)


@FlatHead.also_right
class PoolsToSize(FlatHead.function):
    def __init__(self, channels, size, classes):
        super().__init__(channels, size, classes)
        self.pool = nn.AdaptiveAvgPool2d(size)

    def forward(self, maps):
        return self.linear(self.pool(maps).flatten(1))


@FlatHead.mistake
class RowsWrittenDown(FlatHead.function):
    """The number 36 stands in the program. It was the size of one batch on one day: the last batch of an epoch is
    smaller. Ask the maps how many images there are."""

    def forward(self, maps):
        return self.linear(maps.reshape(36, -1))


@FlatHead.mistake
class ChannelsLast(FlatHead.function):
    """The rows are right, the order within a row is not: channels come last now. The weights were trained for rows in
    which all pixels of the first channel come first."""

    def forward(self, maps):
        return self.linear(maps.permute(0, 2, 3, 1).flatten(1))


@FlatHead.mistake
class AveragesMaps(nn.Module):
    """Averaging each map gives one row for each image, but it is another network: the linear layer has lost most of
    its weights, and with them where in the map something was. Repair the flattening only."""

    def __init__(self, channels, size, classes):
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, maps):
        return self.linear(maps.mean(dim=(2, 3)))


@FlatHead.mistake
class MixesImages(FlatHead.function):
    """The shape is right, the numbers are not. You write the maps in as many rows as the layer has inputs and turn the
    result round: a row then holds pixels of all images, since `reshape` cuts in the order of the memory."""

    def forward(self, maps):
        return self.linear(maps.reshape(self.linear.in_features, -1).T)


# 15. A loss that is a hundred times too small

@exercise(minutes=4, level="easy",
          hints=("What does `F.cross_entropy` return for a batch: a sum or a mean?",
                 "A sum of means, divided by a number of images: the units do not fit.",
                 "Undo the mean with `* len(labels)` before you add, and divide by the number of images at the end."),
          cases=lambda chance: [made(chance, lambda: (nn.Sequential(nn.Flatten(), nn.Linear(108, 4)),
                                                       batches_of(8, 8, chance.randint(2, 5)))) for _ in range(2)],
          observe=as_tensor)
def mean_loss(net, batches):
    """The mean cross-entropy over all images of all batches, as a number. The last batch may be smaller."""
    total, count = 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            total += F.cross_entropy(net(images), labels).item() * len(labels)
            count += len(labels)
    return total / count


@mean_loss.as_it_came
def sum_of_means_over_images(net, batches):
    total, count = 0.0, 0
    with torch.no_grad():
        for images, labels in batches:
            total += F.cross_entropy(net(images), labels).item()
            count += len(labels)
    return total / count


@mean_loss.also_right
def everything_at_once(net, batches):
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return F.cross_entropy(net(images), labels).item()


@mean_loss.also_right
def sums_of_sums(net, batches):
    total = sum(F.cross_entropy(net(images), labels, reduction="sum").detach() for images, labels in batches)
    return total / sum(len(labels) for _, labels in batches)


@mean_loss.mistake
def over_the_batches(net, batches):
    """Divided by the number of batches, the size is right, but each image of the small last batch counts more than any
    other. Weigh each batch's mean by its number of images."""
    return sum(F.cross_entropy(net(images), labels).item() for images, labels in batches) / len(batches)


@mean_loss.mistake
def times_the_first_batch(net, batches):
    """Every batch is weighed with the size of the first one. The last batch is smaller: take each batch's own size."""
    return sum_of_means_over_images(net, batches) * len(batches[0][1])


@mean_loss.mistake
def without_the_last(net, batches):
    """The last batch is left out. The batches that remain have one size, which makes the sum easy, but some images are
    never counted."""
    return over_the_batches(net, batches[:-1])


@mean_loss.mistake
def never_divided(net, batches):
    """This is the sum over all images: twice the images, twice the loss. Divide by their number, once, at the end."""
    return sum(F.cross_entropy(net(images), labels, reduction="sum").item() for images, labels in batches)


# 16. A normalisation that does nothing

@exercise(minutes=5, level="medium",
          hints=("What are mean and deviation of each channel, before and after?",
                 "`Normalize(mean, std)` subtracts and divides. It measures nothing.",
                 "Measure `training / 255` over images, rows and columns, `dim=(0, 2, 3)`, and normalise `images` with "
                 "these numbers."),
          cases=lambda chance: [made(chance, lambda: tuple(
              (torch.rand(n, 3, 16, 16) * torch.tensor([90.0, 250.0, 160.0]).reshape(3, 1, 1)
               + torch.rand(1, 1, 16, 16) * 5).byte() for n in (64, 9))) for _ in range(2)])
def standardised(training, images):
    """Images, N x 3 x H x W with pixels from 0 to 255, made ready for a network: in each channel the training images
    would get mean 0 and deviation 1. `training`: the training images; `images`: those to be changed."""
    pixels = training / 255
    mean, std = (statistic(dim=(0, 2, 3)).reshape(3, 1, 1) for statistic in (pixels.mean, pixels.std))
    return (images / 255 - mean) / std


@standardised.as_it_came
def by_zero_and_one(training, images):
    mean, std = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
    return (images / 255 - mean) / std


@standardised.also_right
def without_255(training, images):
    pixels = training.double()
    return ((images - pixels.mean(dim=(0, 2, 3), keepdim=True))
            / pixels.std(dim=(0, 2, 3), keepdim=True, correction=0)).float()


@standardised.mistake
def with_their_own(training, images):
    """The numbers are measured on `images` themselves. Then the same photograph looks different in another batch, and
    the network meets test images that were shifted in another way than those it learned from."""
    return standardised.function(images, images)


@standardised.mistake
def by_halves(training, images):
    """A mean and a deviation of 0.5 only move the pixels to the range from -1 to 1. Nobody has measured that their mean
    is then 0: look at it channel by channel."""
    return (images / 255 - 0.5) / 0.5


@standardised.mistake
def one_for_all_channels(training, images):
    """One mean and one deviation for all three channels: dark blue pixels stay darker than the others. Keep the
    channels apart."""
    pixels = training / 255
    return (images / 255 - pixels.mean()) / pixels.std()


@standardised.mistake
def in_other_units(training, images):
    """The numbers are measured on pixels from 0 to 255 and used on pixels from 0 to 1. Divide both by 255, or
    neither."""
    pixels = training.float()
    mean, std = (statistic(dim=(0, 2, 3)).reshape(3, 1, 1) for statistic in (pixels.mean, pixels.std))
    return (images / 255 - mean) / std


# 17. One formula, two meanings of alpha

@exercise(minutes=4, level="medium",
          hints=("Read the formula in the documentation of `nn.LocalResponseNorm` and compare it with the one printed "
                 "in the paper, symbol by symbol.",
                 "PyTorch takes the mean of the squares over n channels, the paper their sum.",
                 "A sum is n times a mean, so PyTorch's layer needs `alpha * n`."),
          cases=lambda chance: [(made(chance, lambda: 50 * torch.rand(2, 9, 4, 5)), n, chance.choice((1e-4, 3e-4)),
                                 0.75, 2.0) for n in (5, 3, 7)])
def response_norm(x, n, alpha, beta, k):
    """Local response normalisation as AlexNet's paper prints it: each value is divided by (k + alpha * s) ** beta,
    where s is the sum of the squares at the same pixel in n neighbouring channels."""
    return nn.LocalResponseNorm(n, alpha * n, beta, k)(x)


@response_norm.as_it_came
def alpha_as_printed(x, n, alpha, beta, k):
    return nn.LocalResponseNorm(n, alpha, beta, k)(x)


@response_norm.also_right
def with_the_course(x, n, alpha, beta, k):
    return local_response_norm(x, n, alpha, beta, k)


@response_norm.also_right
def channel_by_channel(x, n, alpha, beta, k):
    out = torch.empty_like(x)
    for c in range(x.shape[1]):
        near = x[:, max(0, c - n // 2):c + n // 2 + 1]
        out[:, c] = x[:, c] / (k + alpha * near.square().sum(dim=1)) ** beta
    return out


@response_norm.mistake
def alpha_divided(x, n, alpha, beta, k):
    """The right factor on the wrong side: PyTorch has divided by n once already, and you divide once more."""
    return nn.LocalResponseNorm(n, alpha / n, beta, k)(x)


@response_norm.mistake
def alpha_of_alexnet(x, n, alpha, beta, k):
    """0.0005 stands in the program. That is right for AlexNet, with its five channels and its alpha, and for nothing
    else: compute it from `n` and `alpha`."""
    return nn.LocalResponseNorm(n, 5e-4, beta, k)(x)


@response_norm.mistake
def neighbouring_pixels(x, n, alpha, beta, k):
    """The sum runs over neighbouring pixels of one channel. The paper's neighbours are channels, at the same pixel."""
    total = n * n * F.avg_pool2d(x.square(), n, 1, padding=n // 2)
    return x / (k + alpha * total) ** beta


@response_norm.mistake
def without_k(x, n, alpha, beta, k):
    """Your alpha is right, and `k` is not handed on: PyTorch takes 1 then, where the paper has 2."""
    return nn.LocalResponseNorm(n, alpha * n, beta)(x)


# 18. Projections everywhere

@exercise(minutes=5, level="medium",
          hints=("For how many of the blocks does the shape change, and how many use their projection?",
                 "`is` asks whether two names stand for one object. Each `.shape` is a new object.",
                 "Compare with `!=`. And a layer that is never used should not be built: decide in `__init__`, from "
                 "`n_in`, `n_out` and `stride`."),
          cases=lambda chance: [(n, m, stride) for n in [chance.randint(3, 5)]
                                for m, stride in ((n, 1), (n, 2), (2 * n, 1), (2 * n, 2))],
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


class BuildsProjection(nn.Module):
    """The layers of the block as it came in."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.residual = nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.BatchNorm2d(n_out))
        self.project = nn.Conv2d(n_in, n_out, 1, stride)


@ProjectionBlock.as_it_came
class ProjectsAlways(BuildsProjection):
    def forward(self, x):
        out = self.residual(x)
        if x.shape is not out.shape:
            x = self.project(x)
        return (x + out).relu()


@ProjectionBlock.also_right
class ComparesAndDrops(BuildsProjection):
    def __init__(self, n_in, n_out, stride):
        super().__init__(n_in, n_out, stride)
        if (n_in, stride) == (n_out, 1):
            self.project = None

    def forward(self, x):
        out = self.residual(x)
        shortcut = x if x.shape == out.shape else self.project(x)
        return torch.relu(shortcut + out)


@ProjectionBlock.mistake
class ComparesOnly(BuildsProjection):
    """The outputs are right. But every block still builds its projection, and where the shape stays, those weights are
    never used: they get no gradient, and they count in every table of parameters."""

    def forward(self, x):
        out = self.residual(x)
        if x.shape != out.shape:
            x = self.project(x)
        return (x + out).relu()


@ProjectionBlock.mistake
class LooksAtChannels(ProjectionBlock.function):
    """Only the channels are compared. A stride of 2 changes the shape as well, also where the channels stay."""

    def __init__(self, n_in, n_out, stride):
        super().__init__(n_in, n_out, stride)
        if n_in == n_out:
            self.project = nn.Identity()


@ProjectionBlock.mistake
class LooksAtStride(ProjectionBlock.function):
    """Only the stride is looked at. The number of channels can change at stride 1 as well."""

    def __init__(self, n_in, n_out, stride):
        super().__init__(n_in, n_out, stride)
        if stride == 1:
            self.project = nn.Identity()


@ProjectionBlock.mistake
class PadsWithZeros(ProjectionBlock.function):
    """Where the shape changes you take every second pixel and add channels of zeros. That shortcut exists, and saves
    the weights; a 1x1 convolution is asked for."""

    def __init__(self, n_in, n_out, stride):
        super().__init__(n_in, n_out, stride)
        self.project = zero_padding(n_in, n_out, stride)


# 19. A residual that can only add

@exercise(minutes=5, level="medium",
          hints=("What is the smallest number that the residual branch can give?",
                 "A ReLU inside the branch, as its last layer, makes sure that the branch never takes anything away.",
                 "Take the last ReLU out of the branch and apply it to the sum."),
          cases=lambda chance: [(chance.randint(3, 6),) for _ in range(2)],
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


@SumBlock.as_it_came
class ReluThenSum(SumBlock.function):
    def __init__(self, channels):
        super().__init__(channels)
        self.residual.append(nn.ReLU())

    def forward(self, x):
        return x + self.residual(x)


@SumBlock.also_right
class LayerByLayer(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.one, self.two = (nn.Conv2d(channels, channels, 3, padding="same") for _ in range(2))
        self.norm1, self.norm2 = (nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, x):
        y = self.norm2(self.two(F.relu(self.norm1(self.one(x)))))
        return F.relu(y + x)


@SumBlock.mistake
class ReluTwice(ReluThenSum):
    """The sum has its ReLU now, but the branch has kept its own. So the branch still cannot take anything away from
    x."""

    def forward(self, x):
        return (x + self.residual(x)).relu()


@SumBlock.mistake
class NoReluAtAll(SumBlock.function):
    """The branch may be negative now, but nothing follows the sum. The second ReLU has to move, not to go: without it
    the sum goes on as it is."""

    def forward(self, x):
        return x + self.residual(x)


@SumBlock.mistake
class WrongReluTaken(SumBlock.function):
    """The ReLU between the two convolutions is gone. They are one linear map then. It is the one at the branch's end
    that stands in the wrong place."""

    def __init__(self, channels):
        super().__init__(channels)
        del self.residual[2]


@SumBlock.mistake
class ReluOnTheShortcut(SumBlock.function):
    """The ReLU went to x, before the sum. The shortcut is to carry x as it is, and the sum is what the ReLU belongs
    to."""

    def forward(self, x):
        return x.relu() + self.residual(x)


# 20. One block too many

@exercise(minutes=4, level="easy",
          hints=("How many blocks come out for a depth of 1?",
                 "The first block is there before the loop begins.",
                 "`range(depth - 1)`."),
          cases=lambda chance: [(n, 2 * n, depth, 2) for n in [chance.randint(2, 4)] for depth in (3, 1)],
          observe=lambda net, n_in, n_out, depth, stride: behaviour(net, torch.randn(2, n_in, 8, 8)))
def blocks_in_stage(n_in, n_out, depth, stride):
    """A stage of `depth` blocks. The first goes from `n_in` to `n_out` channels with the stride; the others keep the
    shape."""
    blocks = [Basic(n_in, n_out, stride, zero_padding)]
    for _ in range(depth - 1):
        blocks.append(Basic(n_out, n_out, 1, zero_padding))
    return nn.Sequential(*blocks)


@blocks_in_stage.as_it_came
def one_and_depth(n_in, n_out, depth, stride):
    blocks = [Basic(n_in, n_out, stride, zero_padding)]
    for _ in range(depth):
        blocks.append(Basic(n_out, n_out, 1, zero_padding))
    return nn.Sequential(*blocks)


@blocks_in_stage.also_right
def by_a_list_of_strides(n_in, n_out, depth, stride):
    strides, widths = [stride] + [1] * (depth - 1), [n_in] + [n_out] * (depth - 1)
    return nn.Sequential(*(Basic(n, n_out, s, zero_padding) for n, s in zip(widths, strides, strict=True)))


@blocks_in_stage.mistake
def one_object_repeated(n_in, n_out, depth, stride):
    """The number of blocks is right, but a list times a number repeats one object: the later blocks share one set of
    weights. Count the parameters. Each block has to be made anew."""
    return nn.Sequential(Basic(n_in, n_out, stride, zero_padding),
                         *[Basic(n_out, n_out, 1, zero_padding)] * (depth - 1))


@blocks_in_stage.mistake
def stride_everywhere(n_in, n_out, depth, stride):
    """The number of blocks is right, but each of them strides, so the map shrinks again and again. Only the first
    block of a stage changes the shape."""
    return nn.Sequential(*(Basic(n_in if i == 0 else n_out, n_out, stride, zero_padding) for i in range(depth)))


@blocks_in_stage.mistake
def change_at_the_end(n_in, n_out, depth, stride):
    """The number of blocks is right, but the last block changes the shape. In the paper the first one does, so that
    all others work on the small map."""
    return nn.Sequential(*(Basic(n_in, n_in, 1, zero_padding) for _ in range(depth - 1)),
                         Basic(n_in, n_out, stride, zero_padding))


@blocks_in_stage.mistake
def one_too_few(n_in, n_out, depth, stride):
    """Now there is one block too few. The one before the loop counts, and the loop has to make all the others."""
    return nn.Sequential(Basic(n_in, n_out, stride, zero_padding),
                         *(Basic(n_out, n_out, 1, zero_padding) for _ in range(depth - 2)))


# 21. The best epoch

@exercise(minutes=3, level="easy",
          hints=("Which set decides, and which set reports? May one set do both?",
                 "The largest of many noisy numbers is larger than the truth.",
                 "Take the row with the largest `validation` accuracy, and return its `epoch` and its `test`."),
          cases=lambda chance: [(accuracy_rows(chance),) for _ in range(2)])
def reported(rows):
    """(epoch, test accuracy) of a training, as a paper may report it. `rows`: one dict for each epoch, with `epoch`,
    `train`, `validation` and `test`, the last three being accuracies."""
    best = max(rows, key=lambda row: row["validation"])
    return best["epoch"], best["test"]


def accuracy_rows(chance):
    """Seven epochs in which each set has its best value at another epoch, and none at the last."""
    best = dict(zip(("train", "validation", "test"), chance.sample(range(6), 3), strict=True))
    return [{"epoch": i + 1} | {key: chance.uniform(0.5, 0.7) + 0.2 * (i == where)
                                for key, where in best.items()} for i in range(7)]


@reported.as_it_came
def best_on_test(rows):
    best = max(rows, key=lambda row: row["test"])
    return best["epoch"], best["test"]


@reported.also_right
def sorted_by_validation(rows):
    *_, best = sorted(rows, key=lambda row: row["validation"])
    return [best["epoch"], best["test"]]


@reported.mistake
def reports_validation(rows):
    """The validation set has chosen, and now it reports as well. Its best value is too good for the same reason:
    report the test accuracy of the chosen epoch."""
    best = max(rows, key=lambda row: row["validation"])
    return best["epoch"], best["validation"]


@reported.mistake
def best_of_both(rows):
    """The epoch is chosen rightly, but the accuracy is the best test accuracy of any epoch. Report the one of the
    chosen epoch."""
    return reported.function(rows)[0], max(row["test"] for row in rows)


@reported.mistake
def best_on_training(rows):
    """The training accuracy chooses. It goes on rising when the network has long begun to learn its images by heart:
    choose with images that it has not trained on."""
    best = max(rows, key=lambda row: row["train"])
    return best["epoch"], best["test"]


@reported.mistake
def the_last(rows):
    """The last epoch is an honest choice if it was fixed in advance. The task is to choose the best one, by a set that
    is not the test set."""
    return rows[-1]["epoch"], rows[-1]["test"]


# 22. Validation in training mode

def fit_and_validate(net, training, validation, epochs, lr, start, before, after):
    """The program of case 22, with a call at the start of it, before each training and after it."""
    optimizer = torch.optim.SGD(net.parameters(), lr)
    losses = []
    start(net)
    for _ in range(epochs):
        before(net)
        for images, labels in training:
            optimizer.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimizer.step()
        after(net)
        with torch.no_grad():
            losses.append(F.cross_entropy(net(validation[0]), validation[1]).item())
    return losses


def leave(net):
    """Leaves the mode of the network as it is."""


@exercise(minutes=6, level="medium",
          hints=("Which layers behave differently in training and in evaluation, and in which mode is the network when "
                 "it is validated?",
                 "`torch.no_grad()` switches gradients off. It does not change the mode.",
                 "`net.eval()` before the validation, and `net.train()` before the next epoch's first batch."),
          cases=lambda chance: [made(chance, lambda: (network_with_batchnorm(), batches_of(6, 6), batches_of(9)[0],
                                                       2, 0.1)) for _ in range(2)],
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


@validation_losses.as_it_came
def always_in_training(net, training, validation, epochs, lr):
    return fit_and_validate(net, training, validation, epochs, lr, start=leave, before=leave, after=leave)


@validation_losses.also_right
def with_a_copy(net, training, validation, epochs, lr):
    optimizer = torch.optim.SGD(net.parameters(), lr)
    losses = []
    for _ in range(epochs):
        for images, labels in training:
            net.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimizer.step()
        losses.append(F.cross_entropy(copy.deepcopy(net).eval()(validation[0]), validation[1]).detach())
    return losses


@validation_losses.mistake
def never_back(net, training, validation, epochs, lr):
    """The first epoch is right. After it the network stays in evaluation mode, and goes on training there. Switch back
    before the next epoch."""
    return fit_and_validate(net, training, validation, epochs, lr, start=leave, before=leave, after=nn.Module.eval)


@validation_losses.mistake
def evaluation_from_the_start(net, training, validation, epochs, lr):
    """The network is in evaluation mode from the first batch on, also where it trains: batch normalisation never looks
    at a batch. Switch only for the validation."""
    return fit_and_validate(net, training, validation, epochs, lr, start=nn.Module.eval, before=leave, after=leave)


@validation_losses.mistake
def the_wrong_way_round(net, training, validation, epochs, lr):
    """The two modes are exchanged: the network trains in evaluation mode and is validated in training mode after a
    change."""
    return fit_and_validate(net, training, validation, epochs, lr, start=leave, before=leave,
                            after=lambda net: net.train(not net.training))


@validation_losses.mistake
def one_epoch_early(net, training, validation, epochs, lr):
    """The modes are right, and the loss is taken too early: before the training of each epoch, not after it. The first
    number is that of the untrained network."""
    losses = [F.cross_entropy(copy.deepcopy(net).eval()(validation[0]), validation[1]).item()]
    return (losses + validation_losses.function(net, training, validation, epochs, lr))[:epochs]


# 23. Evaluation mode keeps the graph

@exercise(minutes=4, level="medium",
          hints=("Ask one of the outputs for its `requires_grad`.",
                 "`eval()` changes what batch normalisation and dropout do. Whether PyTorch remembers how a number was "
                 "computed is another switch.",
                 "Put the loop under `with torch.no_grad():`, and leave `net.eval()` where it is."),
          cases=lambda chance: [made(chance, lambda: (network_with_batchnorm(), [
              images for images, _ in batches_of(6, 6, chance.randint(2, 5))])) for _ in range(2)],
          observe=lambda value, net, batches: {"the number of tensors": len(value),
                                               "tensors that carry a graph": sum(out.requires_grad for out in value),
                                               "the logits": torch.cat(list(value)).detach()})
def logits_of(net, batches):
    """A list with the logits of each batch, computed in evaluation mode. None of them carries a graph, which would keep
    the intermediate results of all batches in memory."""
    net.eval()
    with torch.no_grad():
        return [net(images) for images in batches]


@logits_of.as_it_came
def evaluation_only(net, batches):
    net.eval()
    return [net(images) for images in batches]


@logits_of.also_right
@torch.inference_mode()
def by_inference_mode(net, batches):
    net.train(False)
    outputs = []
    for images in batches:
        outputs.append(net(images))
    return outputs


@logits_of.also_right
def each_detached(net, batches):
    net.eval()
    return [net(images).detach() for images in batches]


@logits_of.mistake
def no_grad_in_place_of_eval(net, batches):
    """The graph is gone, but so is `net.eval()`: batch normalisation now normalises each batch by itself. The two
    switches are independent, and evaluation needs both."""
    with torch.no_grad():
        return [net(images) for images in batches]


@logits_of.mistake
def returns_in_the_loop(net, batches):
    """Only the first batch comes back: `return` stands inside the loop and ends it."""
    net.eval()
    with torch.no_grad():
        for images in batches:
            return [net(images)]


@logits_of.mistake
def in_one_piece(net, batches):
    """One graph is not kept, but now all images go through the network together, which needs as much memory at once as
    was short. Keep one tensor for each batch."""
    net.eval()
    with torch.no_grad():
        return [net(torch.cat(batches))]


@logits_of.mistake
def probabilities(net, batches):
    """Both switches are right, but these are probabilities: a softmax was applied. The task wants what the network
    gives, and so does `F.cross_entropy`."""
    return [out.softmax(dim=1) for out in logits_of.function(net, batches)]


# 24. A file that does not open elsewhere

def found_in_file(content, net):
    fresh = network_with_batchnorm()
    try:
        keys = fresh.load_state_dict(torch.load(io.BytesIO(content), weights_only=True), strict=False)
    except Exception as error:
        return {"loading it raises": type(error).__name__}
    with torch.no_grad():
        return {"tensors without a value": ", ".join(keys.missing_keys), "names that do not fit": len(
            keys.unexpected_keys), "the output in evaluation": fresh.eval()(torch.ones(2, 3, 6, 6))}


@exercise(minutes=5, level="medium",
          hints=("What is in the file: numbers only, or also the name of a class that must exist where it is loaded?",
                 "A state dict is a plain dict from names to tensors. It holds the weights, and also what batch "
                 "normalisation has measured.",
                 "`torch.save(net.state_dict(), file)`."),
          cases=lambda chance: [made(chance, lambda: (network_with_batchnorm(),))],
          observe=found_in_file)
def bytes_of(net):
    """The content of a file that holds all a trained network has learned or measured. On another machine it is opened
    with `fresh.load_state_dict(torch.load(file))`."""
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    return file.getvalue()


@bytes_of.as_it_came
def whole_object(net):
    file = io.BytesIO()
    torch.save(net, file)
    return file.getvalue()


@bytes_of.also_right
def parameters_and_buffers(net):
    file = io.BytesIO()
    torch.save(dict(net.named_parameters()) | dict(net.named_buffers()), file)
    file.seek(0)
    return file.read()


@bytes_of.mistake
def parameters_only(net):
    """The file holds the parameters, but not what batch normalisation has measured: its running averages are buffers.
    The weights come back, and the network answers differently."""
    file = io.BytesIO()
    torch.save(dict(net.named_parameters()), file)
    return file.getvalue()


@bytes_of.mistake
def one_level_deeper(net):
    """The tensors lie one level deeper, under a key of your own. That is a good form for a checkpoint, but the loader
    of this task gives what it finds straight to `load_state_dict`."""
    file = io.BytesIO()
    torch.save({"model": net.state_dict()}, file)
    return file.getvalue()


@bytes_of.mistake
def tensors_without_names(net):
    """The file holds a list of tensors without names. `load_state_dict` needs to know which is which, and running
    averages are not among the parameters."""
    file = io.BytesIO()
    torch.save(list(net.parameters()), file)
    return file.getvalue()


@bytes_of.mistake
def half_precision(net):
    """The numbers were rounded to 16 bits, which halves the file. It loads without a word, and the network answers a
    little differently from the one that was trained."""
    file = io.BytesIO()
    torch.save({name: tensor.half() for name, tensor in net.state_dict().items()}, file)
    return file.getvalue()


# 25. 4,160 parameters are missing

@exercise(minutes=5, level="medium",
          hints=("Which layer with 64 channels before and after it has 64 * 64 + 64 parameters?",
                 "Look at the row \"convolution, 3x3\" of Table 1: what stands in its column \"#3x3 reduce\"? And what "
                 "follows each convolution, by Section 5?",
                 "A 1x1 convolution from `width` to `width` before the 3x3, and a ReLU after each of the three."),
          cases=lambda chance: [(chance.randint(2, 4), chance.randint(5, 8)) for _ in range(2)],
          observe=lambda net, n_in, width: behaviour(net, torch.randn(2, n_in, 32, 32)))
def googlenet_stem(n_in, width):
    """The first rows of GoogLeNet's Table 1: 7x7 convolution with stride 2, pooling, 1x1 convolution that keeps the
    width, 3x3 convolution to three times the width, pooling. A ReLU follows each convolution, and each has a bias."""
    return nn.Sequential(nn.Conv2d(n_in, width, 7, 2, padding=3), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
                         nn.Conv2d(width, width, 1), nn.ReLU(),
                         nn.Conv2d(width, 3 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1))


@googlenet_stem.as_it_came
def two_convolutions(n_in, width):
    return nn.Sequential(nn.Conv2d(n_in, width, 7, 2, padding=3), nn.MaxPool2d(3, 2, padding=1),
                         nn.Conv2d(width, 3 * width, 3, padding=1), nn.MaxPool2d(3, 2, padding=1))


@googlenet_stem.also_right
def relu_after_pooling(n_in, width):
    layers = []
    for a, b, size, stride, pool in ((n_in, width, 7, 2, True), (width, width, 1, 1, False),
                                     (width, 3 * width, 3, 1, True)):
        layers += [nn.Conv2d(a, b, size, stride, padding=size // 2)]
        layers += [nn.MaxPool2d(3, 2, padding=1)] if pool else []
        layers += [nn.ReLU()]
    return nn.Sequential(*layers)


@googlenet_stem.mistake
def counted_but_not_bent(n_in, width):
    """The count is right now. But a count cannot see a ReLU: two convolutions in a row, with nothing between them, are
    one linear map, and nothing in this stem is ever cut off at zero."""
    return nn.Sequential(*(layer for layer in googlenet_stem.function(n_in, width) if not isinstance(layer, nn.ReLU)))


@googlenet_stem.mistake
def bent_but_not_counted(n_in, width):
    """The ReLUs are there, and the parameters are still missing. A ReLU has none: a whole layer is absent."""
    conv1, pool1, conv2, pool2 = two_convolutions(n_in, width)
    return nn.Sequential(conv1, nn.ReLU(), pool1, conv2, nn.ReLU(), pool2)


@googlenet_stem.mistake
def behind_the_3x3(n_in, width):
    """The 1x1 stands behind the 3x3, on three times the width, and has about nine times the parameters that were
    missing. It prepares the 3x3, so it comes before it."""
    conv1, pool1, conv2, pool2 = two_convolutions(n_in, width)
    return nn.Sequential(conv1, nn.ReLU(), pool1, conv2, nn.ReLU(),
                         nn.Conv2d(3 * width, 3 * width, 1), nn.ReLU(), pool2)


@googlenet_stem.mistake
def reduced_without_bias(n_in, width):
    """Nearly: the new layer has no bias, and one number for each channel is still missing."""
    net = googlenet_stem.function(n_in, width)
    net[3] = nn.Conv2d(width, width, 1, bias=False)
    return net


@googlenet_stem.mistake
def one_relu_forgotten(n_in, width):
    """The new 1x1 convolution has no ReLU. Together with the 3x3 behind it, it is one linear map."""
    net = googlenet_stem.function(n_in, width)
    net[4] = nn.Identity()
    return net


# 26. Three at once

def scores(net, images, labels, batch_size, by_255, evaluating, weighted):
    """The program of case 26 with each of its three bugs repaired or not."""
    net.train(not evaluating)
    rows, weights = [], []
    for batch, answers in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        pixels = batch / (255 if by_255 else batch.max())
        with torch.no_grad():
            logits = net(pixels)
        rows.append([F.cross_entropy(logits, answers).item(), (logits.argmax(dim=1) == answers).float().mean().item()])
        weights.append(len(answers) if weighted else 1)
    return tuple(sum(w * x for w, x in zip(weights, column, strict=True)) / sum(weights)
                 for column in zip(*rows, strict=True))


def dim_and_bright(n):
    """Random images (1 x 6 x 6, pixels from 0 to 255), some much darker than others, and labels."""
    return ((torch.rand(n, 1, 6, 6) * torch.linspace(60, 255, n).reshape(n, 1, 1, 1)).byte(), torch.randint(4, (n,)))


@exercise(minutes=10, level="hard",
          hints=("Three things depend on how the images are packed. Two of them give an image another answer beside "
                 "other neighbours, and one gives it another weight.",
                 "Follow one image: its pixels before the network, the network itself, its share of the result.",
                 "Divide by 255; `net.eval()`; and let each batch count by its number of images."),
          cases=lambda chance: [(*made(chance, lambda: (network_with_batchnorm(channels=1), *dim_and_bright(
              chance.randint(17, 21)))), size) for size in (4, 8)],
          observe=as_tensor)
def evaluation_report(net, images, labels, batch_size):
    """(mean loss, accuracy) over all images. `images`: pixels from 0 to 255; the network was trained on pixels / 255.
    The result must not depend on the batch size, nor on the order of the images."""
    net.eval()
    loss = hits = 0.0
    for batch, answers in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        with torch.no_grad():
            logits = net(batch / 255)
        loss += F.cross_entropy(logits, answers, reduction="sum").item()
        hits += (logits.argmax(dim=1) == answers).sum().item()
    return loss / len(labels), hits / len(labels)


@evaluation_report.as_it_came
def three_bugs(net, images, labels, batch_size):
    return scores(net, images, labels, batch_size, by_255=False, evaluating=False, weighted=False)


@evaluation_report.also_right
def in_one_batch(net, images, labels, batch_size):
    with torch.inference_mode():
        logits = net.eval()(images.float().div(255))
    return F.cross_entropy(logits, labels), (logits.argmax(dim=1) == labels).float().mean()


@evaluation_report.mistake
def scale_left(net, images, labels, batch_size):
    """Two of three are found. The one that is left stands before the network: what does a dark image look like when it
    is alone in its batch, and what beside a bright one?"""
    return scores(net, images, labels, batch_size, by_255=False, evaluating=True, weighted=True)


@evaluation_report.mistake
def mode_left(net, images, labels, batch_size):
    """Two of three are found. The one that is left is in the network: the answer to one image still depends on the
    other images of its batch."""
    return scores(net, images, labels, batch_size, by_255=True, evaluating=False, weighted=True)


@evaluation_report.mistake
def mean_left(net, images, labels, batch_size):
    """Two of three are found. Each image now gets the same answer in every batch. What is left is how the batches are
    put together: the last one is smaller."""
    return scores(net, images, labels, batch_size, by_255=True, evaluating=True, weighted=False)


@evaluation_report.mistake
def scale_and_mode_left(net, images, labels, batch_size):
    """One of three is found: every image counts the same. But the same image still gets another answer in another
    batch, for two reasons."""
    return scores(net, images, labels, batch_size, by_255=False, evaluating=False, weighted=True)


@evaluation_report.mistake
def scale_and_mean_left(net, images, labels, batch_size):
    """One of three is found: the network is in evaluation mode. Look at what comes before the network and at what
    comes after it."""
    return scores(net, images, labels, batch_size, by_255=False, evaluating=True, weighted=False)


@evaluation_report.mistake
def mode_and_mean_left(net, images, labels, batch_size):
    """One of three is found: each image gets the pixels it was trained with. Look at the network's mode and at the
    last line."""
    return scores(net, images, labels, batch_size, by_255=True, evaluating=False, weighted=False)
