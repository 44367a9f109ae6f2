"""Exercises of lesson 5."""

import torch
import torch.nn.functional as F
from torch import nn

from ..arithmetic import output_size
from ..models.googlenet import TABLE
from . import behaviour, exercise


def numbers(rng, *shape):
    """A tensor of random numbers that `rng` alone decides."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(2**31)))


def random_row(rng):
    """n_in and the six channel numbers of a small module, all different."""
    one, reduce3, three, reduce5, five, pool = rng.sample(range(2, 9), 6)
    return rng.randint(9, 12), one, (reduce3, three), (reduce5, five), pool


@exercise(minutes=3, level="easy",
          hints=("Which of the convolutions write into the output, and which into the next convolution?",
                 "Each branch ends with one convolution. What `torch.cat` stacks are its channels.",
                 "Four numbers are added: `one`, `pool`, and the second of each pair."),
          cases=lambda rng: [(192, *TABLE["3a"]), (832, *TABLE["5b"]), random_row(rng), random_row(rng)])
def channels_out(n_in, one, three, five, pool):
    """Channels that an Inception module gives out. `three` and `five` are pairs: (after reduction, after window)."""
    return one + three[1] + five[1] + pool


channels_out.mistakes_as_edits(
    ("three[1] + five[1]", "sum(three) + sum(five)",
     "You add the reductions as well. Their channels go into the next window, not into the output."),
    ("three[1] + five[1]", "three[0] + five[0]",
     "You took the first number of each pair. It is what goes into the large window, not what comes out of it."),
    (" + pool", " + n_in",
     "In your module the pooling passes on all its channels. Here a 1x1 convolution follows it."),
    (" + pool", "", "The pooling branch is missing from your sum."),
    ("one + three[1] + five[1] + pool", "max(one, three[1], five[1], pool)",
     "You took the widest branch. The branches are not added number by number: they are laid one behind the other."))


@exercise(minutes=6, level="medium",
          hints=("Write down the multiply-accumulates of both convolutions at one position, with r channels between "
                 "them.",
                 "The 1x1 costs n_in * r. The window costs k * k * r * n_out.",
                 "Both are multiples of r. How often does their common factor fit into `macs`?"),
          cases=lambda rng: [(192, 128, 3, 129_024), (192, 32, 5, 16_000),
                             (rng.randint(90, 300), rng.randint(20, 90), rng.choice((3, 5)),
                              rng.randint(20_000, 90_000))])
def reduce_to(n_in, n_out, k, macs):
    """The largest number of channels to which a 1x1 convolution may reduce `n_in`, so that it and the k x k convolution
    to `n_out` channels behind it cost at most `macs` multiply-accumulates a position.
    """
    return macs // (n_in + k * k * n_out)


reduce_to.mistakes_as_edits(
    ("n_in + ", "", "You pay for the large window only. The 1x1 convolution before it costs as well."),
    ("k * k", "k", "Your window costs k products for each pair of channels. It has k rows and k columns."),
    ("macs // (n_in + k * k * n_out)", "-(-macs // (n_in + k * k * n_out))",
     "You round up. One channel more costs more than what is allowed."),
    ("n_in + k * k * n_out", "k * k * (n_in + n_out)",
     "Your reduction has a window of k x k, too. It is a 1x1 convolution."),
    ("//", "/",
     "Your answer is not whole. A channel is there or not: round down, as one more would cost too much."))


@exercise(minutes=12, level="medium",
          hints=("Four branches see the same x. Build each in `__init__`, and stack their outputs in `forward`.",
                 "Six convolutions are needed. A function that makes one, with its padding and its ReLU, saves most of "
                 "the writing.",
                 "Pooling: `nn.MaxPool2d(3, stride=1, padding=1)`, then a 1x1 convolution to `pool` channels. The last "
                 "line is `torch.cat([...], dim=1)`."),
          cases=lambda rng: [random_row(rng) for _ in range(3)],
          observe=lambda net, n_in, *row: behaviour(net, torch.randn(2, n_in, 7, 9)))
class Inception(nn.Module):
    """An Inception module with its reductions. `three` and `five` are pairs: (after the reduction, after the window).

    Every convolution is followed by a ReLU. The branches are stacked in the order of the arguments.
    """

    def __init__(self, n_in, one, three, five, pool):
        super().__init__()

        def conv(n_in, n_out, k):
            return nn.Sequential(nn.Conv2d(n_in, n_out, k, padding=k // 2), nn.ReLU())

        self.one = conv(n_in, one, 1)
        self.three = nn.Sequential(conv(n_in, three[0], 1), conv(*three, 3))
        self.five = nn.Sequential(conv(n_in, five[0], 1), conv(*five, 5))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv(n_in, pool, 1))

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1)


Inception.mistakes_as_edits(
    ("conv(n_in, three", "nn.Conv2d(n_in, three", "conv(n_in, five", "nn.Conv2d(n_in, five",
     "A ReLU is missing behind the reductions. Without it, the 1x1 and the window behind it are one linear map."),
    (", nn.ReLU())", ")", "conv(*three", "nn.ReLU(), conv(*three", "conv(*five", "nn.ReLU(), conv(*five",
     "A ReLU is missing at the end of the branches: your output has values below zero."),
    ("conv(n_in, three[0], 1), conv(*three, 3)", "conv(n_in, three[1], 3)",
     "conv(n_in, five[0], 1), conv(*five, 5)", "conv(n_in, five[1], 5)",
     "Your large windows look at all channels that come in. A 1x1 convolution goes before each of them."),
    ("self.three(x), self.five(x)", "self.five(x), self.three(x)",
     "The branches are stacked in another order. The next layer would find other channels where it expects these."),
    ("nn.MaxPool2d(3, stride=1, padding=1), conv(n_in, pool, 1)",
     "conv(n_in, pool, 1), nn.MaxPool2d(3, stride=1, padding=1)",
     "In your pooling branch the 1x1 convolution comes first. Here it follows the pooling."),
    ("Max", "Avg", "You take the average of each 3x3 window. The module takes its maximum."),
    (", conv(n_in, pool, 1)", "",
     "Your pooling branch passes on all its channels. A 1x1 convolution to `pool` channels follows the pooling."))


def map_and_weights(rng):
    """x, weight and bias of a 1x1 convolution, as a case; no two sides are equal."""
    n, n_in, n_out, height, width = rng.sample(range(2, 8), 5)
    return numbers(rng, n, n_in, height, width), numbers(rng, n_out, n_in, 1, 1), numbers(rng, n_out)


@exercise(minutes=8, level="medium",
          hints=("A matrix product works on the last axis. Where must the channels go?",
                 "`x.permute(0, 2, 3, 1)` has a vector of channels for each pixel. The matrix is `weight[:, :, 0, 0]`.",
                 "Multiply by the matrix transposed, add the bias, and bring the channels back with "
                 "`permute(0, 3, 1, 2)`."),
          cases=lambda rng: [map_and_weights(rng) for _ in range(3)])
def per_pixel(x, weight, bias):
    """What a 1x1 convolution gives, as a matrix product. x: N x C x H x W, weight: n_out x C x 1 x 1, bias: n_out."""
    return (x.permute(0, 2, 3, 1) @ weight[:, :, 0, 0].T + bias).permute(0, 3, 1, 2)


per_pixel.mistakes_as_edits(
    (" + bias", "", "The bias is missing: each output channel is off by one number, the same at every pixel."),
    ("x.permute(0, 2, 3, 1)", "x.reshape(len(x), *x.shape[2:], -1)",
     "You cut x into vectors with a reshape. The numbers that lie side by side in memory belong to one channel and to "
     "neighbouring pixels: move the channels to the end first."),
    ("permute(0, 3, 1, 2)", "reshape(len(x), -1, *x.shape[2:])",
     "You bring the product back with a reshape. It has the right shape, but takes the channels of one pixel for "
     "neighbouring pixels: move the axis instead."),
    ("weight[:, :, 0, 0].T", "weight.reshape(weight.shape[1], -1)",
     "You turned the matrix round with a reshape. That keeps their order and cuts them elsewhere: transpose."),
    ("(0, 3, 1, 2)", "(0, 3, 2, 1)",
     "Rows and columns of your maps are exchanged: look at the axes that you bring back."),
    (".permute(0, 3, 1, 2)", "",
     "The channels are still the last axis. PyTorch's maps have them behind the number of the image."))


def answers_of_heads(rng, training):
    """Logits of the end and of two or three heads, and labels, as a case."""
    n, classes = rng.randint(3, 6), rng.randint(3, 6)
    outputs = tuple(numbers(rng, n, classes) for _ in range(3 + training * rng.randint(0, 1)))
    return outputs, torch.tensor([rng.randrange(classes) for _ in range(n)]), training


@exercise(minutes=6, level="medium",
          hints=("Which of the outputs count in evaluation?",
                 "`F.cross_entropy(logits, labels)` gives the loss of one output. There is one for each output.",
                 "The first loss counts fully. In training 0.3 times the sum of all others comes on top."),
          cases=lambda rng: [answers_of_heads(rng, training) for training in (True, True, True, False, False)])
def total_loss(outputs, labels, training):
    """The loss of a network with auxiliary heads. outputs: logits of the end, then those of each head.

    training: whether the network trains; the heads count 0.3 each, and not at all in evaluation.
    """
    end, *heads = (F.cross_entropy(logits, labels) for logits in outputs)
    return end + 0.3 * sum(heads) if training else end


total_loss.mistakes_as_edits(
    (" if training else end", "",
     "You count the heads in evaluation, too. There only the end answers, so only its loss says how good it is."),
    (" + 0.3 * sum(heads) if training else end", "",
     "In training your loss is that of the end alone, so nothing reaches the heads. There each of them counts 0.3."),
    ("if training", "if not training",
     "Your heads count in evaluation and not in training. It is the other way round."),
    ("end + 0.3 * sum(heads)", "0.3 * (end + sum(heads))",
     "Your 0.3 stands before the end's loss as well, or before the whole sum. The end counts fully."),
    ("sum(heads)", "sum(heads) / len(heads)",
     "You average the heads. Their losses are added, each with its 0.3."),
    ("0.3 * sum", "sum", "In your sum each head counts as much as the end. The paper weighs them down."),
    ("(F.cross_entropy(logits, labels) for logits in outputs)", "outputs",
     "end + 0.3 * sum(heads) if training else end",
     "F.cross_entropy(end + 0.3 * sum(heads) if training else end, labels)",
     "You add the logits and take one loss of the sum. Each head is a classifier with a loss of its own."),
    ("in outputs", "in outputs[:2]", "You count one head. There may be several, and all of them count."))


def features_and_classes(rng):
    channels, height, width, classes = rng.sample(range(3, 9), 4)
    label, other = rng.sample(range(classes), 2)
    return numbers(rng, channels, height, width).relu(), numbers(rng, classes, channels), label, other


@exercise(minutes=8, level="medium",
          hints=("Each position has a vector of channels. What does the linear layer make of it, for one class?",
                 "The votes for a class are the channels, weighted by the row of the class and added up.",
                 "Subtract the two rows first. Then weight with `[:, None, None]` and sum over axis 0."),
          cases=lambda rng: [features_and_classes(rng) for _ in range(3)])
def speaks_for(features, weight, label, other):
    """At each position of the last map: votes for `label` less votes for `other`.

    features: channels x H x W, before the average. weight: classes x channels, of the linear layer behind it.
    Result: H x W; its mean is by how much the weights prefer `label`.
    """
    return ((weight[label] - weight[other])[:, None, None] * features).sum(0)


speaks_for.mistakes_as_edits(
    (" - weight[other]", "",
     "These are the votes for `label` alone. Where `other` has as many, nothing is decided."),
    ("weight[label] - weight[other]", "weight[other] - weight[label]",
     "The sign is turned round: your map is high where the image speaks for `other`."),
    ("((weight[label] - weight[other])[:, None, None] * features).sum(0)", "features.mean(0)",
     "You average the channels and leave out the weights. This map is the same for every class."),
    ("sum(0)", "sum(0).relu()",
     "You cut off the votes below zero. They count in the mean as well: those positions speak for `other`."),
    ("sum(0)", "mean(0)",
     "You take the mean of the weighted channels. The linear layer adds them; the mean is over positions."),
    ("sum(0)", "sum(0).mean()",
     "You average over the positions, so that one number is left. The map should keep them apart."))


@exercise(minutes=6, level="medium",
          hints=("Convolutions always round down. Which layers of torchvision's network round up?",
                 "conv1 has a window of 7, a stride of 2 and padding of 3. The poolings have no padding.",
                 "`arithmetic.output_size(n, k=3, s=2, ceil_mode=True)` for three poolings, and k=2 for the fourth."),
          cases=lambda rng: [(224,), (223,), (230,), (240,), (rng.randint(100, 400),),
                             (rng.randint(100, 400),)])
def map_sizes(size):
    """Sides of the map after conv1, pool1, pool2, pool3 and pool4 of torchvision's network: a list of five numbers.

    size: side of the image in pixels.
    """
    sizes = [output_size(size, k=7, s=2, p=3)]
    for k in (3, 3, 3, 2):
        sizes.append(output_size(sizes[-1], k=k, s=2, ceil_mode=True))
    return sizes


map_sizes.mistakes_as_edits(
    (", ceil_mode=True", "",
     "You round down after the poolings. With `ceil_mode` a last window that hangs over the edge counts."),
    ("(3, 3, 3, 2)", "(3, 3, 3, 3)", "ceil_mode=True", "p=1",
     "These are the sizes with padding, as in the course's `googlenet`. They agree at 224, and not at every size."),
    ("(3, 3, 3, 2)", "(3, 3, 3, 3)",
     "Your fourth pooling has a window of 3. In torchvision's network it has one of 2."),
    ("output_size(size, k=7, s=2, p=3)", "size // 2",
     "output_size(sizes[-1], k=k, s=2, ceil_mode=True)", "sizes[-1] // 2",
     "You halve the size each time. How an odd size is rounded depends on the window, the padding and `ceil_mode`."),
    ("p=3", "p=3, ceil_mode=True",
     "You round up after conv1. Only poolings can do that: a convolution has no `ceil_mode`."))
