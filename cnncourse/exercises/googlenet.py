"""Exercises of lesson 5."""

import torch
import torch.nn.functional as F
from torch import nn

from ..arithmetic import output_size
from ..models.googlenet import TABLE
from . import exercise
from .checking.networks import behaviour
from .checking.values import WrongForm, describe


def numbers(rng, *shape):
    """A tensor of random numbers that `rng` alone decides."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(2**31)))


def random_row(rng):
    """n_in and the six channel numbers of a small module, all different, also from sums of those that may be merged."""
    while True:
        one, reduce3, three, reduce5, five, pool = channels = rng.sample(range(2, 12), 6)
        sums = one + reduce3 + reduce5, reduce3 + reduce5, one + reduce3, one + reduce5
        if len({*channels, *sums}) == 10:
            return rng.randint(12, 15), one, (reduce3, three), (reduce5, five), pool


@exercise(minutes=3, level="easy",
          hints=("Which of the convolutions write into the output, and which into the next convolution?",
                 "Each branch ends with one convolution. What `torch.cat` stacks are its channels.",
                 "Four numbers are added: `one`, `pool`, and the second of each pair."),
          cases=lambda rng: [(192, *TABLE["3a"]), (832, *TABLE["5b"]), random_row(rng), random_row(rng),
                             (480, 64, (97, 131), (18, 33), 37), (5, 7, (6, 8), (9, 10), 11)])
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
    ("one + ", "", "The branch that is a 1x1 convolution alone is missing from your sum."),
    ("three[1] + ", "", "The branch of the 3x3 convolution is missing from your sum."),
    (" + five[1]", "", "The branch of the 5x5 convolution is missing from your sum."),
    ("three[1] + five[1]", "three[0] + five[1]",
     "Of the pair `three` you took the first number, the channels between its two convolutions. The branch gives out "
     "the second."),
    ("three[1] + five[1]", "three[1] + five[0]",
     "Of the pair `five` you took the first number, the channels between its two convolutions. The branch gives out "
     "the second."),
    ("one +", "n_in + one +",
     "You add the channels that come in. They enter each branch; what is stacked is what comes out of the four."),
    ("one + three[1] + five[1] + pool", "one * three[1] * five[1] * pool",
     "You multiply the branches. Their channels are laid one behind the other: add them."),
    ("one + three[1] + five[1] + pool",
     "n_in * one + n_in * three[0] + 9 * three[0] * three[1] + n_in * five[0] + 25 * five[0] * five[1] + n_in * pool",
     "You counted weights. Asked are channels, the numbers that the convolutions at the ends give out."),
    ("one + three[1] + five[1] + pool", "max(one, three[1], five[1], pool)",
     "You took the widest branch. The branches are not added number by number: they are laid one behind the other."))


def budget(rng, k):
    """A case of `reduce_to` whose quotient is nearer to the next whole number, and more than half of n_in."""
    n_in, n_out = rng.randint(90, 300), rng.randint(20, 90)
    cost = n_in + k * k * n_out
    return n_in, n_out, k, rng.randint(n_in // 2 + 1, n_in - 2) * cost + rng.randint(6, 9) * cost // 10


@exercise(minutes=6, level="medium",
          hints=("Write down the multiply-accumulates of both convolutions at one position, with r channels between "
                 "them.",
                 "The 1x1 costs n_in * r. The window costs k * k * r * n_out.",
                 "Both are multiples of r. How often does their common factor fit into `macs`?"),
          cases=lambda rng: [(192, 128, 3, 129_024), (192, 32, 5, 16_000), (7, 3, 3, 195), (10, 2, 3, 1125),
                             (100, 50, 3, 400), (3, 1, 1, 50_002), budget(rng, 3), budget(rng, 5)])
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
    ("macs // (n_in + k * k * n_out)", "round(macs / (n_in + k * k * n_out))",
     "You round to the nearest number, which is sometimes the next one. That costs more than what is allowed."),
    ("macs //", "(macs - 1) //",
     "Where the cost is exactly `macs` you stop one channel too early: at most `macs` are allowed, so all of them."),
    ("macs // (n_in + k * k * n_out)", "macs // (n_in + k * k * n_out) + 1",
     "Your answer is one too large: it is the first number that costs more than `macs`."),
    ("macs // (n_in + k * k * n_out)", "macs // (n_in + k * k * n_out) - 1",
     "Your answer is one too small: one channel more would still fit."),
    (" + k * k * n_out", "", "You pay for the 1x1 convolution only. The large window behind it costs as well."),
    ("n_in + k * k * n_out", "n_in + 1 + k * k * n_out",
     "You count the bias as a multiplication. It is an addition, and no multiply-accumulate of the paper's count."),
    ("n_in + k * k * n_out", "n_out + k * k * n_in",
     "n_in and n_out are exchanged, or the window of k x k stands at the wrong convolution: the 1x1 reads n_in "
     "channels, the window writes n_out."),
    ("n_in + k * k * n_out", "k * k * n_in * n_out",
     "You divided by the cost of the window without a reduction before it. With r channels in between there are two "
     "costs, and both are multiples of r."),
    ("(n_in + k * k * n_out)", "n_in // (k * k * n_out)",
     "You multiply the two costs. They are spent one after the other: add them, then divide."),
    ("macs // (n_in + k * k * n_out)", "(macs - n_in) // (k * k * n_out)",
     "You pay for one channel of the 1x1 convolution. It makes as many as you reduce to, and each costs n_in."),
    ("macs // (n_in + k * k * n_out)", "max(1, macs // (n_in + k * k * n_out))",
     "You never go below 1, or your search begins there. Where one channel costs more than `macs`, none fits: 0."),
    ("macs // (n_in + k * k * n_out)", "min(n_in, macs // (n_in + k * k * n_out))",
     "You never go above n_in. The task sets no limit but the cost."),
    ("macs // (n_in + k * k * n_out)", "min(n_in // 2, macs // (n_in + k * k * n_out))",
     "You never go above half of n_in. The task sets no limit but the cost."),
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
          cases=lambda rng: [random_row(rng), random_row(rng), (13, 3, (5, 4), (5, 7), 6)],
          observe=lambda net, n_in, one, three, five, pool: behaviour(
              net, torch.randn(2, n_in, 7, 9), torch.randn(1, n_in, 1, 6),
              merged=((one, three[0], five[0]), (three[0], five[0]), (one, three[0]), (one, five[0]))))
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
    (", nn.ReLU())", ")", "None of your convolutions is followed by a ReLU. Each of the six needs one."),
    ("conv(n_in, three", "nn.Conv2d(n_in, three",
     "The ReLU behind the reduction of the 3x3 branch is missing. Without it, the 1x1 and the 3x3 are one linear map."),
    ("conv(n_in, five", "nn.Conv2d(n_in, five",
     "The ReLU behind the reduction of the 5x5 branch is missing. Without it, the 1x1 and the 5x5 are one linear map."),
    ("self.one = conv(n_in, one, 1)", "self.one = nn.Conv2d(n_in, one, 1)",
     "The ReLU of the first branch, the 1x1 convolution alone, is missing."),
    ("conv(*three, 3)", "nn.Conv2d(*three, 3, padding=1)", "The ReLU at the end of the 3x3 branch is missing."),
    ("conv(*five, 5)", "nn.Conv2d(*five, 5, padding=2)", "The ReLU at the end of the 5x5 branch is missing."),
    ("conv(n_in, pool, 1)", "nn.Conv2d(n_in, pool, 1)", "The ReLU at the end of the pooling branch is missing."),
    ("[self.one(x), self.three(x), self.five(x), self.pool(x)]",
     "[self.pool(x), self.one(x), self.three(x), self.five(x)]",
     "The pooling branch comes first in your stack. The order is that of the arguments: 1x1, 3x3, 5x5, pooling."),
    ("conv(*five, 5)", "conv(*five, 3)", "The window of your 5x5 branch is 3 x 3."),
    ("conv(*three, 3)", "conv(*three, 5)", "conv(*five, 5)", "conv(*five, 3)",
     "The two windows are exchanged: the 3x3 belongs to `three`, the 5x5 to `five`."),
    ("conv(*three, 3)", "conv(*three, 5)", "The window of your 3x3 branch is 5 x 5."),
    ("conv(*five, 5)", "conv(*five, 3), conv(five[1], five[1], 3)",
     "You built the 5x5 window from two of 3x3. That is the module of a later paper; here it is one 5x5 convolution."),
    ("padding=k // 2)", "padding=k // 2, bias=False)",
     "Your convolutions have no bias. Nothing is said against it here, and no normalisation follows: leave it in."),
    ("nn.ReLU())", "nn.BatchNorm2d(n_out), nn.ReLU())",
     "Your convolutions are followed by batch normalisation. It came a year later; this module has none."),
    ("nn.MaxPool2d(3, stride=1, padding=1), ", "",
     "There is no pooling in your fourth branch: it is a 1x1 convolution alone, like the first."),
    (", conv(n_in, pool, 1)", "",
     "Your pooling branch passes on all its channels. A 1x1 convolution to `pool` channels follows the pooling."))


def map_and_weights(rng):
    """x, weight and bias of a 1x1 convolution, as a case; no two sides are equal."""
    n, n_in, n_out, height, width = rng.sample(range(2, 8), 5)
    return maps_and_matrix(rng, n, n_in, n_out, height, width)


class NoConvolution(torch.Tensor):
    """A tensor that no convolution takes."""

    def __deepcopy__(self, memo):
        return self.detach().clone().requires_grad_()

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if "conv" in getattr(function, "__name__", ""):
            raise WrongForm("You call a convolution. The task is to do without one: as a matrix product over the "
                            "channels.")
        return super().__torch_function__(function, types, args, kwargs or {})


def maps_and_matrix(rng, n, n_in, n_out, height, width):
    tensors = numbers(rng, n, n_in, height, width), numbers(rng, n_out, n_in, 1, 1), numbers(rng, n_out)
    return tuple(tensor.as_subclass(NoConvolution).requires_grad_() for tensor in tensors)


@exercise(minutes=8, level="medium",
          hints=("A matrix product works on the last axis. Where must the channels go?",
                 "`x.permute(0, 2, 3, 1)` has a vector of channels for each pixel. The matrix is `weight[:, :, 0, 0]`.",
                 "Multiply by the matrix transposed, add the bias, and bring the channels back with "
                 "`permute(0, 3, 1, 2)`."),
          cases=lambda rng: [map_and_weights(rng), map_and_weights(rng), maps_and_matrix(rng, 1, 2, 3, 1, 2),
                             maps_and_matrix(rng, 2, 1, 3, 2, 1), maps_and_matrix(rng, 2, 3, 1, 1, 1),
                             maps_and_matrix(rng, 9, 4, 4, 3, 4)])
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
    (" + bias", " - bias", "You subtract the bias. It is added."),
    (" + bias", " + 2 * bias", "You add the bias twice."),
    (" + bias", " + bias.sum()", "You add the sum of all biases to every channel. Each output channel has its own."),
    ("permute(0, 3, 1, 2)", "permute(0, 3, 1, 2).relu()",
     "A ReLU follows your product. A convolution alone gives negative numbers too."),
    ("permute(0, 3, 1, 2)", "permute(0, 3, 1, 2).squeeze()",
     "Your `squeeze` removes every axis of size 1, and so one that belongs to a batch of one, or to a map one pixel "
     "wide."),
    (".permute(0, 3, 1, 2)", "",
     "The channels are still the last axis. PyTorch's maps have them behind the number of the image."))


def answers_of_heads(rng, heads, n, training):
    """Logits of the end and of some heads for n images, and labels, as a case."""
    classes = rng.choice([c for c in (3, 4, 5) if c != n])
    outputs = tuple(numbers(rng, n, classes).requires_grad_() for _ in range(1 + heads))
    return outputs, torch.tensor([rng.randrange(classes) for _ in range(n)]), training


def loss_with_graph(loss, outputs, labels, training):
    if isinstance(loss, tuple | list | dict):
        raise WrongForm(f"One loss is asked for, a tensor of one number. Your answer is {describe(loss)}.")
    if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
        raise WrongForm("Your loss is a number without a graph, so that `loss.backward()` could not reach the network. "
                        "Look for `.item()`, `float`, `detach` and `no_grad`, and return the tensor.")
    return loss.reshape(()) if loss.numel() == 1 else loss


@exercise(minutes=6, level="medium",
          hints=("Which of the outputs count in evaluation?",
                 "`F.cross_entropy(logits, labels)` gives the loss of one output. There is one for each output.",
                 "The first loss counts fully. In training 0.3 times the sum of all others comes on top."),
          cases=lambda rng: [answers_of_heads(rng, *rest) for rest in (
              (2, 2, True), (3, rng.randint(3, 6), True), (1, 1, True), (2, rng.randint(3, 6), False), (3, 2, False),
              (6, 2, True))],
          observe=loss_with_graph)
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
    ("end + 0.3 * sum(heads)", "0.3 * sum(heads)",
     "In training your loss is that of the heads alone. The end counts in full, and each head 0.3 on top."),
    ("end + 0.3 * sum(heads)", "0.3 * (end + sum(heads))",
     "Your 0.3 stands before the end's loss as well, or before the whole sum. The end counts fully."),
    ("end + 0.3 * sum(heads)", "0.7 * end + 0.3 * sum(heads)",
     "Your end counts 0.7. It counts in full, and each head 0.3 on top."),
    ("sum(heads)", "sum(0.3**i * head for i, head in enumerate(heads))",
     "Each of your heads counts less than the one before. Each counts 0.3."),
    ("end + 0.3 * sum(heads)", "0.3 * end + sum(heads)",
     "The weights are exchanged: the end counts fully, each head 0.3."),
    ("if training else end", "if training else (end + sum(heads)) / len(outputs)",
     "In evaluation you average over all outputs. There only the end answers, so only its loss counts."),
    ("sum(heads)", "sum(heads) / len(heads)",
     "You average the heads. Their losses are added, each with its 0.3."),
    ("0.3 * sum", "sum", "In your sum each head counts as much as the end. The paper weighs them down."),
    ("(F.cross_entropy(logits, labels) for logits in outputs)", "outputs",
     "end + 0.3 * sum(heads) if training else end",
     "F.cross_entropy(end + 0.3 * sum(heads) if training else end, labels)",
     "You add the logits and take one loss of the sum. Each head is a classifier with a loss of its own."),
    ("in outputs", "in outputs[:2]", "You count one head. There may be several, and all of them count."),
    ("in outputs", "in outputs[:3]", "You count two heads. There may be others than two, and all of them count."),
    ("end, *heads", "*heads, end",
     "You took the last output for the end. The first one is; the heads come behind it."),
    ("sum(heads)", "(end + sum(heads))",
     "The end counts 1.3 in your sum: it stands among the heads as well. Its weight is one."),
    ("end + 0.3 * sum(heads)", "(1 - 0.3 * len(heads)) * end + 0.3 * sum(heads)",
     "Your weights sum to one. The end counts fully, and the heads come on top."),
    ("end + 0.3 * sum(heads)", "(end + sum(heads)) / len(outputs)",
     "You average over all outputs. The end counts fully, each head 0.3."),
    ("(logits, labels)", "(logits.softmax(1), labels)",
     "You apply a softmax before `F.cross_entropy`, which applies one itself: it takes logits."),
    ("(logits, labels)", "(logits, labels, reduction='sum')",
     "You sum the losses of the images. The loss of one output is their mean, as `F.cross_entropy` gives it."),
    ("F.cross_entropy(logits, labels)", "F.nll_loss(logits, labels)",
     "You took `F.nll_loss`, which wants logarithms of probabilities. For logits it is `F.cross_entropy`."),
    ("0.3 * sum(heads)", "0.3 * sum(head.detach() for head in heads)",
     "The number is right, but no gradient reaches the heads: they do not learn. Look for `.item()`, `float`, "
     "`detach` and `torch.tensor(...)` of a loss."),
    (" if training else end", " if training else end.detach() + 0 * sum(heads)",
     "The number is right, but in evaluation no gradient reaches the end."))


def features_and_classes(rng, height, width):
    channels, classes = rng.sample((2, 3, 4, 6), 2)
    label, other = rng.sample(range(classes), 2)
    return numbers(rng, channels, height, width), numbers(rng, classes, channels), label, other


@exercise(minutes=8, level="medium",
          hints=("Each position has a vector of channels. What does the linear layer make of it, for one class?",
                 "The votes for a class are the channels, weighted by the row of the class and added up.",
                 "Subtract the two rows first. Then weight with `[:, None, None]` and sum over axis 0."),
          cases=lambda rng: [*((torch.tensor([[[1.0, 2.0, 0.5]], [[0.0, 1.0, 3.0]]]),  # (0, 1): of both signs
                                torch.tensor([[1.0, -1.0], [-0.5, 0.5], [2.0, 0.25]]), label, 1) for label in (0, 2)),
                             *(features_and_classes(rng, *sides) for sides in ((1, 2), (3, 1), (5, 7)))])
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
     "You average over the positions, so that one number is left. The map should keep them apart."),
    (".sum(0)", ".sum()",
     "You add up the positions as well, so that one number is left. The map should keep them apart."),
    (".sum(0)", "", "Your result still has an axis of channels. The linear layer adds the weighted channels."),
    ("] - weight", "] + weight",
     "You add the votes for both classes. The question is by how much one is ahead: subtract."),
    (".sum(0)", ".sum(0).abs()",
     "You took the absolute value. Below zero the position speaks for `other`, and that has to show."),
    (".sum(0)", ".sum(0) / features[0].numel()",
     "You divide by the number of positions. The mean of the map does that; the map itself holds whole votes."),
    ("weight[label] - weight[other]", "weight[0] - weight[1]",
     "You always compare the classes 0 and 1. Which two are asked for is in `label` and `other`."),
    ("weight[other]", "weight.mean(0)",
     "You subtract the mean of all classes. One class is asked for, `other`."),
    ("weight[other])", "weight.sum(0) + weight[label])",
     "You subtract the votes for all other classes together. One class is asked for, `other`."),
    ("((weight[label] - weight[other])[:, None, None] * features).sum(0)",
     "(torch.einsum('kc,chw->khw', weight, features).softmax(0)[label]\n"
     "            - torch.einsum('kc,chw->khw', weight, features).softmax(0)[other])",
     "You compare probabilities. Votes are logits, before any softmax."),
    ("((weight[label] - weight[other])[:, None, None] * features).sum(0)",
     "(weight[label][:, None, None] * features).sum(0).relu() "
     "- (weight[other][:, None, None] * features).sum(0).relu()",
     "You cut off each class's negative votes before you subtract. They count: a position may speak against a class."),
    (" * features)", " * features / features.norm(dim=0).clamp(min=1e-9))",
     "You scale the channels of each position to length one. The linear layer takes them as they are."),
    (".sum(0)", ".sum(0).T", "Rows and columns are exchanged: the result is H x W, like the map."),
    (".sum(0)", ".sum(0, keepdim=True)",
     "Your result has one axis too many, of size 1: it is H x W, without `keepdim`."))


@exercise(minutes=6, level="medium",
          hints=("Convolutions always round down. Which layers of torchvision's network round up?",
                 "conv1 has a window of 7, a stride of 2 and padding of 3. The poolings have no padding.",
                 "`arithmetic.output_size(n, k=3, s=2, ceil_mode=True)` for three poolings, and k=2 for the fourth."),
          cases=lambda rng: [(224,), (223,), (230,), (232,), (240,), (60,), (rng.randint(100, 400),),
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
     "You halve after conv1 and round up each time. These are the sizes with padding, as in the course's `googlenet`, "
     "or with windows of 2 in all poolings. They agree at 224, and not at every size."),
    ("(3, 3, 3, 2)", "(3, 3, 3, 3)",
     "Your last number is too small where the map before has an odd side: your fourth pooling has a window of 3, or "
     "rounds down. In torchvision's network it has a window of 2, and rounds up like the others."),
    ("k=7, s=2, p=3", "k=7, s=2",
     "Your conv1 has no padding. It has padding of 3; the poolings have none."),
    ("sizes = [", "sizes = [size, ",
     "Your list begins with the image. It begins with the map after conv1."),
    ("return sizes", "return sizes[:-1]", "Your list ends with pool3. Behind it comes pool4."),
    ("output_size(sizes[-1], k=k, s=2, ceil_mode=True)", "(sizes[-1] - k) // 2 + 2",
     "You add a place for a window that hangs over the edge also where none does."),
    ("(3, 3, 3, 2)", "(3, 3, 2)", "A pooling is missing: there are four, and conv1 comes before them."),
    ("ceil_mode=True)", "p=1, ceil_mode=True)",
     "Your poolings have padding as well as `ceil_mode`. In torchvision's network they have no padding."),
    ("output_size(sizes[-1], k=k, s=2, ceil_mode=True)", "round((sizes[-1] - k) / 2) + 1",
     "You round to the nearest number after the poolings, and Python's `round` takes halves to the even one. With "
     "`ceil_mode` every half goes up."),
    ("output_size(size, k=7, s=2, p=3)", "size // 2",
     "output_size(sizes[-1], k=k, s=2, ceil_mode=True)", "sizes[-1] // 2",
     "You halve the size each time. How an odd size is rounded depends on the window, the padding and `ceil_mode`."),
    ("p=3", "p=3, ceil_mode=True",
     "You round up after conv1. Only poolings can do that: a convolution has no `ceil_mode`."))
