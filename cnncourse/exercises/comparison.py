"""Exercises of lesson 7."""

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import nn

from ..arithmetic import conv_parameters, linear_parameters
from . import behaviour, exercise


@exercise(minutes=4, level="easy",
          hints=("What do you divide the squared distances from the mean by?",
                 "The mean is taken from the same few numbers and lies closer to them than the true one. Dividing by "
                 "one less makes up for that.",
                 "The root of `sum((v - mean) ** 2 for v in values) / (len(values) - 1)`"),
          cases=lambda rng: [([rng.uniform(0.5, 1) for _ in range(n)],) for n in (2, 3, 5)])
def mean_and_deviation(values):
    """Mean and sample standard deviation of a list of accuracies, one a seed, at least two: a tuple of two numbers."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance)


mean_and_deviation.mistakes_as_edits(
    ("(len(values) - 1)", "len(values)",
     "You divided by the number of seeds. These seeds are a sample, and their mean comes from the sample too: divide "
     "by one less."),
    ("mean, math.sqrt(variance)", "math.sqrt(variance), mean", "Both numbers are right, but the mean comes first."),
    ("math.sqrt(variance)", "variance",
     "This is the variance, in squared units. Its root is the standard deviation."),
    ("math.sqrt(variance)", "math.sqrt(variance / len(values))",
     "You divided by the root of the number of seeds as well: this says how well the *mean* is known. Asked is how far "
     "apart the runs lie."),
    ("math.sqrt(variance)", "max(values) - min(values)",
     "The largest minus the smallest is a spread, but not the standard deviation. It also grows with the number of "
     "seeds."),
    ("math.sqrt(variance)", "sum(abs(value - mean) for value in values) / len(values)",
     "You averaged the distances from the mean without squaring them. That is the mean deviation, not the standard "
     "one."))


def contests(rng):
    """The runs of a few networks. The first case separates all mistakes: two overlap, two touch, one is far behind."""
    return [([[0.9, 0.92], [0.88, 0.91], [0.8, 0.88], [0.5, 0.6], [0.1, 0.75]],)] + [
        ([[rng.uniform(m - 0.1, m + 0.1) for _ in range(3)] for m in (0.5, 0.6, 0.7, 0.8)],) for _ in range(3)]


@exercise(minutes=8, level="medium",
          hints=("Take each pair of networks once: `itertools.combinations(runs, 2)`.",
                 "A pair passes in one of two ways: the worst run of the first is above the best of the second, or the "
                 "other way round.",
                 "Count the pairs `a, b` for which `min(a) > max(b) or min(b) > max(a)`."),
          cases=contests)
def passing_pairs(runs):
    """The number of pairs of networks that the rule of the worst run can tell apart. `runs` holds a list of accuracies
    for each network, one a seed."""
    return sum(min(a) > max(b) or min(b) > max(a) for a, b in combinations(runs, 2))


passing_pairs.mistakes_as_edits(
    ("sum(", "2 * sum(", "You counted each pair twice, as A against B and as B against A."),
    (" or min(b) > max(a)", "",
     "You asked only whether the network that stands first in the list is ahead. The later one may be ahead as well."),
    ("min(a) > max(b) or min(b) > max(a)", "sum(a) / len(a) != sum(b) / len(b)",
     "You compared the means, and those nearly always differ. The rule compares the worst run of one with the best of "
     "the other."),
    ("min(a) > max(b) or min(b) > max(a)", "min(a) >= max(b) or min(b) >= max(a)",
     "You let a pair pass in which the worst run of one equals the best of the other. The worst must be *better*."),
    ("min(a) > max(b) or min(b) > max(a)", "len({x > y for x, y in zip(a, b)}) == 1",
     "You compared the runs seed by seed. The runs of two networks do not belong together in pairs: compare the worst "
     "of one with the best of the other."),
    ("min(a) > max(b) or min(b) > max(a)", "min(a) <= max(b) and min(b) <= max(a)",
     "You counted the pairs that the rule can *not* tell apart."))


@exercise(minutes=3, level="easy",
          hints=("How many MACs per image has the first network used after all its epochs?",
                 "Divide those by the MACs per image of the other network. Both see the same images in an epoch.",
                 "`epochs * macs // other_macs`: an epoch that does not fit completely is not begun."),
          cases=lambda rng: [(4, 10, 8), (10, 80, 30), (5, 20, 16)] + [
              (rng.randint(5, 20), rng.randint(40, 90) * 10**6, rng.randint(3, 30) * 10**6)
              for _ in range(3)])
def equal_epochs(epochs, macs, other_macs):
    """A network with `macs` MACs per image was trained for so many epochs. How many whole epochs may another network
    with `other_macs` train, so that it does not use more MACs?"""
    return epochs * macs // other_macs


equal_epochs.mistakes_as_edits(
    ("macs // other_macs", "other_macs // macs",
     "Your fraction stands upside down: a cheaper network may train longer, not shorter."),
    ("epochs * macs // other_macs", "math.ceil(epochs * macs / other_macs)",
     "You rounded up. An epoch that is only begun within the budget ends outside it."),
    ("epochs * macs // other_macs", "round(epochs * macs / other_macs)",
     "You rounded to the nearest number, which is sometimes upwards. The last epoch then goes beyond the budget."),
    ("macs // other_macs", "(macs // other_macs)",
     "You rounded the ratio before you multiplied it. Multiply by the epochs first."),
    ("epochs * ", "", "This is how many epochs the other network may train for *one* of the first."),
    ("//", "/", "An epoch is trained as a whole: drop the fraction."))


def tower(width):
    """Parameters of the network of `matching_width`, also for a width between two whole ones."""
    return 9 * (3 * width + 2 * width**2 + 8 * width**2) + 7 * width + 10 * (4 * width + 1)


@exercise(minutes=10, level="medium",
          hints=("Write the number of parameters as a function of the width first. The channels are 3, width, 2 width, "
                 "4 width.",
                 "`conv_parameters` and `linear_parameters` count one layer each, with biases. Then try one width "
                 "after the other.",
                 "`min(range(1, 500), key=lambda width: abs(count(width) - target))`"),
          cases=lambda rng: [(round(tower(rng.randint(4, 7) + part)),) for part in (0.1, 0.4, 0.6)] + [
              (tower(rng.randint(20, 30)) + 1,)])  # rounding up, down and to the nearest differ
def matching_width(target):
    """The width whose number of parameters is nearest to `target`. The network: three 3x3 convolutions with `width`,
    2 `width` and 4 `width` outputs, from 3 channels on, an average over the map, and a linear layer to 10 classes. All
    layers have biases."""
    def count(width):
        channels = (3, width, 2 * width, 4 * width)
        convolutions = sum(conv_parameters(a, b, 3) for a, b in zip(channels, channels[1:], strict=False))
        return convolutions + linear_parameters(4 * width, 10)
    return min(range(1, 500), key=lambda width: abs(count(width) - target))


matching_width.mistakes_as_edits(
    ("min(range(1, 500), key=lambda width: abs(count(width) - target))",
     "max(width for width in range(1, 500) if count(width) <= target)",
     "You took the largest width that stays below the target. The next one may be nearer."),
    ("min(range(1, 500), key=lambda width: abs(count(width) - target))",
     "min(width for width in range(1, 500) if count(width) >= target)",
     "You took the first width that reaches the target. The one before may be nearer."),
    (" + linear_parameters(4 * width, 10)", "", "Your count leaves out the linear layer at the end."),
    ("min(range(1, 500), key=lambda width: abs(count(width) - target))", "max(1, round(16 * target / count(16)))",
     "You took the parameters to grow in proportion to the width. Both ends of a convolution grow with it: twice the "
     "width has nearly four times the parameters."),
    ("conv_parameters(a, b, 3)", "conv_parameters(3, b, 3)",
     "In your count only the outputs of a convolution grow with the width. Its inputs are the outputs of the one "
     "before."))


def answers(rng, n):
    """Logits of n images for n classes, so that no shape betrays a wrong dimension. A class in every rank is right."""
    logits = torch.randn(n, n, generator=torch.Generator().manual_seed(rng.randrange(10**6)))
    rank = torch.tensor([0, 0, 0, 1, 2, 4, 5, n - 1] + [3] * (n - 8))
    return logits, logits.argsort(1, descending=True)[torch.arange(n), rank]


@exercise(minutes=8, level="medium",
          hints=("`logits.topk(5, dim=1).indices` has the five most likely classes of each image, N x 5.",
                 "Compare them with `labels[:, None]`, which is N x 1, and ask of each row whether *any* agrees.",
                 "The error is `1 - (logits.topk(k, dim=1).indices == labels[:, None]).any(dim=1).float().mean()`, for "
                 "k = 1 and k = 5; `.item()` makes a number of it."),
          cases=lambda rng: [answers(rng, n) for n in (10, 12, 16)])
def error_rates(logits, labels):
    """Top-1 and top-5 error of logits (N x classes) and labels (N): a tuple of two numbers between 0 and 1."""
    hits = logits.topk(5, dim=1).indices == labels[:, None]
    top1, top5 = hits[:, 0].float().mean().item(), hits.any(dim=1).float().mean().item()
    return 1 - top1, 1 - top5


error_rates.mistakes_as_edits(
    ("1 - top1, 1 - top5", "top1, top5", "These are the accuracies. An error is the share of wrong answers."),
    ("1 - top1, 1 - top5", "1 - top5, 1 - top1", "Both errors are right, but the top-1 error comes first."),
    ("1 - top5", "1 - top1",
     "Your top-5 error is the top-1 error again: it looks at the first answer only. Any of the five may be the right "
     "one."),
    ("topk(5", "topk(6", "hits.any", "hits[:, 1:].any",
     "Your five leave out the most likely class, and count a right first answer as wrong. The first is one of the "
     "five."),
    ("hits.any", "hits[:, :4].any", "Your top-5 error looks at four classes. A slice ends *before* its second number."),
    ("logits.topk", "logits.T.topk",
     "You ranked the images of a class, not the classes of an image. Classes are dimension 1."),
    ("topk(5, dim=1", "topk(5, dim=1, largest=False",
     "You took the classes with the smallest logits. `sort` and `argsort` begin with the smallest."))


def teams(rng):
    """Networks of different widths, so that no two are alike. Their images are N x 4, their classes 3."""
    seed = rng.randrange(10**6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [([nn.Sequential(nn.Linear(4, n), nn.ReLU(), nn.Linear(n, 3)) for n in widths],)
                for widths in ((5, 9), (6, 8, 11), (4, 7, 10, 13))]


@exercise(minutes=12, level="hard",
          hints=("Two things: how the module keeps the networks, and what it averages.",
                 "In `nn.ModuleList(nets)` PyTorch finds the parameters of the networks; in a plain list it does not.",
                 "`forward`: `torch.stack([F.softmax(net(x), dim=1) for net in self.nets]).mean(0)`"),
          cases=teams, observe=lambda net, nets: behaviour(net, 3 * torch.randn(6, 4)))
def ensemble(nets):
    """One module of several networks: for images x it returns the mean of their softmax probabilities, N x classes. The
    module owns the networks, so that its parameters are all of theirs."""
    class Ensemble(nn.Module):
        def __init__(self):
            super().__init__()
            self.nets = nn.ModuleList(nets)

        def forward(self, x):
            return torch.stack([F.softmax(net(x), dim=1) for net in self.nets]).mean(0)
    return Ensemble()


ensemble.mistakes_as_edits(
    ("nn.ModuleList(nets)", "list(nets)",
     "Your module has no parameters: it keeps the networks in a plain Python list, where PyTorch does not look. They "
     "would not be saved, trained or moved to a GPU with it. There is a list made for modules."),
    ("F.softmax(net(x), dim=1)", "net(x)", ".mean(0)", ".mean(0).softmax(1)",
     "You averaged the logits first and took the softmax of the mean. A network with large logits then outvotes the "
     "others. Each network's softmax comes first."),
    ("F.softmax(net(x), dim=1)", "net(x)",
     "You averaged the logits. They are not probabilities: a softmax is missing."),
    (".mean(0)", ".sum(0)",
     "You added the probabilities without dividing by the number of networks. Each row must sum to one."),
    ("dim=1", "dim=0",
     "Your softmax runs over the images of the batch, not over the classes. Of N x classes, the classes are dimension "
     "1."),
    ("F.softmax(net(x), dim=1)", "F.one_hot(net(x).argmax(1), net(x).shape[1]).float()",
     "You let each network vote for one class and counted. The probabilities say more: how sure each of them is."))
