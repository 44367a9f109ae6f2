"""Exercises of lesson 7."""

import math
import statistics
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..arithmetic import conv_parameters, linear_parameters
from . import behaviour, exercise


@exercise(minutes=4, level="easy",
          hints=("What do you divide the squared distances from the mean by?",
                 "The mean is taken from the same few numbers and lies closer to them than the true one. Dividing by "
                 "one less makes up for that.",
                 "The root of `sum((v - mean) ** 2 for v in values) / (len(values) - 1)`"),
          cases=lambda chance: [([chance.uniform(0.5, 1) for _ in range(n)],) for n in (2, 3, 5)])
def mean_and_deviation(values):
    """Mean and sample standard deviation of a list of accuracies, one a seed, at least two: a tuple of two numbers."""
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


@mean_and_deviation.also_right
def by_the_library(values):
    return statistics.fmean(values), torch.tensor(values, dtype=torch.float64).std().item()


@mean_and_deviation.mistake
def of_the_whole_population(values):
    """You divided by the number of seeds. These seeds are a sample, and their mean comes from the sample too: divide by
    one less."""
    return statistics.fmean(values), statistics.pstdev(values)


@mean_and_deviation.mistake
def deviation_first(values):
    """Both numbers are right, but the mean comes first."""
    return statistics.stdev(values), statistics.fmean(values)


@mean_and_deviation.mistake
def no_root(values):
    """This is the variance, in squared units. Its root is the standard deviation."""
    return statistics.fmean(values), statistics.variance(values)


@mean_and_deviation.mistake
def standard_error(values):
    """You divided by the root of the number of seeds as well: this says how well the *mean* is known. Asked is how far
    apart the runs lie."""
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


@mean_and_deviation.mistake
def largest_minus_smallest(values):
    """The largest minus the smallest is a spread, but not the standard deviation. It also grows with the number of
    seeds."""
    return statistics.fmean(values), max(values) - min(values)


@mean_and_deviation.mistake
def mean_distance(values):
    """You averaged the distances from the mean without squaring them. That is the mean deviation, not the standard one.
    """
    mean = statistics.fmean(values)
    return mean, statistics.fmean(abs(value - mean) for value in values)


def contests(chance):
    """The runs of a few networks. The first case separates all mistakes: two overlap, two touch, one is far behind."""
    return [([[0.9, 0.92], [0.88, 0.91], [0.8, 0.88], [0.5, 0.6], [0.1, 0.75]],)] + [
        ([[chance.uniform(m - 0.1, m + 0.1) for _ in range(3)] for m in (0.5, 0.6, 0.7, 0.8)],) for _ in range(3)]


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


@passing_pairs.also_right
def each_way_once(runs):
    return len([1 for a in runs for b in runs if min(a) > max(b)])


@passing_pairs.mistake
def both_ways(runs):
    """You counted each pair twice, as A against B and as B against A."""
    return 2 * each_way_once(runs)


@passing_pairs.mistake
def one_way(runs):
    """You asked only whether the network that stands first in the list is ahead. The later one may be ahead as well."""
    return sum(min(a) > max(b) for a, b in combinations(runs, 2))


@passing_pairs.mistake
def means_compared(runs):
    """You compared the means, and those nearly always differ. The rule compares the worst run of one with the best of
    the other."""
    return sum(statistics.fmean(a) != statistics.fmean(b) for a, b in combinations(runs, 2))


@passing_pairs.mistake
def touching(runs):
    """You let a pair pass in which the worst run of one equals the best of the other. The worst must be *better*."""
    return sum(min(a) >= max(b) or min(b) >= max(a) for a, b in combinations(runs, 2))


@passing_pairs.mistake
def seed_by_seed(runs):
    """You compared the runs seed by seed. The runs of two networks do not belong together in pairs: compare the worst
    of one with the best of the other."""
    return sum(len({x > y for x, y in zip(a, b, strict=True)}) == 1 for a, b in combinations(runs, 2))


@passing_pairs.mistake
def cannot_tell(runs):
    """You counted the pairs that the rule can *not* tell apart."""
    return math.comb(len(runs), 2) - each_way_once(runs)


@exercise(minutes=3, level="easy",
          hints=("How many MACs per image has the first network used after all its epochs?",
                 "Divide those by the MACs per image of the other network. Both see the same images in an epoch.",
                 "`epochs * macs // other_macs`: an epoch that does not fit completely is not begun."),
          cases=lambda chance: [(4, 10, 8), (10, 80, 30), (5, 20, 16)] + [
              (chance.randint(5, 20), chance.randint(40, 90) * 10**6, chance.randint(3, 30) * 10**6)
              for _ in range(3)])
def equal_epochs(epochs, macs, other_macs):
    """A network with `macs` MACs per image was trained for so many epochs. How many whole epochs may another network
    with `other_macs` train, so that it does not use more MACs?"""
    return epochs * macs // other_macs


@equal_epochs.also_right
def rounded_down(epochs, macs, other_macs):
    return math.floor(epochs * macs / other_macs)


@equal_epochs.mistake
def upside_down(epochs, macs, other_macs):
    """Your fraction stands upside down: a cheaper network may train longer, not shorter."""
    return epochs * other_macs // macs


@equal_epochs.mistake
def rounded_up(epochs, macs, other_macs):
    """You rounded up. An epoch that is only begun within the budget ends outside it."""
    return math.ceil(epochs * macs / other_macs)


@equal_epochs.mistake
def to_the_nearest(epochs, macs, other_macs):
    """You rounded to the nearest number, which is sometimes upwards. The last epoch then goes beyond the budget."""
    return round(epochs * macs / other_macs)


@equal_epochs.mistake
def rounded_too_early(epochs, macs, other_macs):
    """You rounded the ratio before you multiplied it. Multiply by the epochs first."""
    return epochs * (macs // other_macs)


@equal_epochs.mistake
def ratio_alone(epochs, macs, other_macs):
    """This is how many epochs the other network may train for *one* of the first."""
    return macs // other_macs


@equal_epochs.mistake
def not_whole(epochs, macs, other_macs):
    """An epoch is trained as a whole: drop the fraction."""
    return epochs * macs / other_macs


def tower(width):
    """Parameters of the network of `matching_width`."""
    return (conv_parameters(3, width, 3) + conv_parameters(width, 2 * width, 3)
            + conv_parameters(2 * width, 4 * width, 3) + linear_parameters(4 * width, 10))


def between(chance):
    """Targets at several places between the counts of two neighbouring widths: rounding up, down and to the nearest
    differ, and so does a count without the linear layer."""
    found = []
    for share in (0.1, 0.4, 0.6):
        width = chance.randint(4, 7)
        found.append((round(tower(width) + share * (tower(width + 1) - tower(width))),))
    return [*found, (tower(chance.randint(20, 60)) + 1,)]


@exercise(minutes=10, level="medium",
          hints=("Write the number of parameters as a function of the width first. The channels are 3, width, 2 width, "
                 "4 width.",
                 "`conv_parameters` and `linear_parameters` count one layer each, with biases. Then try one width "
                 "after the other.",
                 "`min(range(1, 500), key=lambda width: abs(count(width) - target))`"),
          cases=between)
def matching_width(target):
    """The width whose number of parameters is nearest to `target`. The network: three 3x3 convolutions with `width`,
    2 `width` and 4 `width` outputs, from 3 channels on, an average over the map, and a linear layer to 10 classes. All
    layers have biases."""
    def count(width):
        channels = (3, width, 2 * width, 4 * width)
        convolutions = sum(conv_parameters(a, b, 3) for a, b in zip(channels, channels[1:], strict=False))
        return convolutions + linear_parameters(4 * width, 10)
    return min(range(1, 500), key=lambda width: abs(count(width) - target))


@matching_width.also_right
def step_by_step(target):
    width = 1
    while tower(width + 1) <= target:
        width += 1
    return width if target - tower(width) < tower(width + 1) - target else width + 1


@matching_width.mistake
def always_below(target):
    """You took the largest width that stays below the target. The next one may be nearer."""
    return max(width for width in range(1, 200) if tower(width) <= target)


@matching_width.mistake
def always_above(target):
    """You took the first width that reaches the target. The one before may be nearer."""
    return min(width for width in range(1, 200) if tower(width) >= target)


@matching_width.mistake
def no_linear_layer(target):
    """Your count leaves out the linear layer at the end."""
    return min(range(1, 200), key=lambda width: abs(tower(width) - linear_parameters(4 * width, 10) - target))


@matching_width.mistake
def in_proportion(target):
    """You took the parameters to grow in proportion to the width. Both ends of a convolution grow with it: twice the
    width has nearly four times the parameters."""
    return max(1, round(16 * target / tower(16)))


@matching_width.mistake
def inputs_forgotten(target):
    """In your count only the outputs of a convolution grow with the width. Its inputs are the outputs of the one
    before."""
    def count(width):
        return sum(conv_parameters(3, n, 3) for n in (width, 2 * width, 4 * width)) + linear_parameters(4 * width, 10)
    return min(range(1, 2000), key=lambda width: abs(count(width) - target))


def answers(chance):
    """Logits of n images for n classes, so that no shape betrays a wrong dimension. A class in every rank is right."""
    found = []
    for n in (10, 12, 16):
        generator = torch.Generator().manual_seed(chance.randrange(10**6))
        logits = torch.randn(n, n, generator=generator)
        rank = torch.tensor([0, 0, 0, 1, 2, 4, 5, n - 1] + [3] * (n - 8))
        found.append((logits, logits.argsort(1, descending=True)[torch.arange(n), rank]))
    return found


@exercise(minutes=8, level="medium",
          hints=("`logits.topk(5, dim=1).indices` has the five most likely classes of each image, N x 5.",
                 "Compare them with `labels[:, None]`, which is N x 1, and ask of each row whether *any* agrees.",
                 "The error is `1 - (logits.topk(k, dim=1).indices == labels[:, None]).any(dim=1).float().mean()`, for "
                 "k = 1 and k = 5; `.item()` makes a number of it."),
          cases=answers)
def error_rates(logits, labels):
    """Top-1 and top-5 error of logits (N x classes) and labels (N): a tuple of two numbers between 0 and 1."""
    return tuple(1 - (logits.topk(k, dim=1).indices == labels[:, None]).any(dim=1).float().mean().item()
                 for k in (1, 5))


@error_rates.also_right
def by_ranks(logits, labels):
    own = logits[range(len(labels)), labels]
    rank = (logits > own[:, None]).sum(1)  # classes that were held more likely than the true one
    return (rank > 0).double().mean().item(), (rank > 4).double().mean().item()


def error(candidates, labels):
    """1 - the share of labels among their candidates, N x k."""
    return 1 - (candidates == labels[:, None]).any(1).double().mean().item()


def ranked(logits, descending=True):
    return logits.argsort(1, descending=descending)


@error_rates.mistake
def accuracies(logits, labels):
    """These are the accuracies. An error is the share of wrong answers."""
    return 1 - error(ranked(logits)[:, :1], labels), 1 - error(ranked(logits)[:, :5], labels)


@error_rates.mistake
def top_five_first(logits, labels):
    """Both errors are right, but the top-1 error comes first."""
    return error(ranked(logits)[:, :5], labels), error(ranked(logits)[:, :1], labels)


@error_rates.mistake
def first_twice(logits, labels):
    """Your top-5 error is the top-1 error again: it looks at the first answer only. Any of the five may be the right
    one."""
    return error(ranked(logits)[:, :1], labels), error(ranked(logits)[:, :1], labels)


@error_rates.mistake
def without_the_first(logits, labels):
    """Your five leave out the most likely class, and count a right first answer as wrong. The first is one of the five.
    """
    return error(ranked(logits)[:, :1], labels), error(ranked(logits)[:, 1:6], labels)


@error_rates.mistake
def four(logits, labels):
    """Your top-5 error looks at four classes. A slice ends *before* its second number."""
    return error(ranked(logits)[:, :1], labels), error(ranked(logits)[:, :4], labels)


@error_rates.mistake
def over_the_images(logits, labels):
    """You ranked the images of a class, not the classes of an image. Classes are dimension 1."""
    return error(ranked(logits.T)[:, :1], labels), error(ranked(logits.T)[:, :5], labels)


@error_rates.mistake
def least_likely(logits, labels):
    """You took the classes with the smallest logits. `sort` and `argsort` begin with the smallest."""
    return error(ranked(logits, False)[:, :1], labels), error(ranked(logits, False)[:, :5], labels)


def teams(chance):
    """Networks of different widths, so that no two are alike. Their images are N x 4, their classes 3."""
    seed = chance.randrange(10**6)
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
            return sum(F.softmax(net(x), dim=1) for net in self.nets) / len(self.nets)
    return Ensemble()


class Team(nn.Module):
    """Any way to join the logits of several networks, M x N x classes."""

    def __init__(self, nets):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(torch.stack([net(x) for net in self.nets]))


@ensemble.also_right
class Stacked(Team):
    def join(self, logits):
        return logits.softmax(2).mean(0)


@ensemble.mistake
class PlainList(nn.Module):
    """Your module has no parameters: it keeps the networks in a plain Python list, where PyTorch does not look. They
    would not be saved, trained or moved to a GPU with it. There is a list made for modules."""

    def __init__(self, nets):
        super().__init__()
        self.nets = list(nets)

    def forward(self, x):
        return torch.stack([net(x).softmax(1) for net in self.nets]).mean(0)


@ensemble.mistake
class MeanOfLogits(Team):
    """You averaged the logits first and took the softmax of the mean. A network with large logits then outvotes the
    others. Each network's softmax comes first."""

    def join(self, logits):
        return logits.mean(0).softmax(1)


@ensemble.mistake
class NoSoftmax(Team):
    """You averaged the logits. They are not probabilities: a softmax is missing."""

    def join(self, logits):
        return logits.mean(0)


@ensemble.mistake
class Summed(Team):
    """You added the probabilities without dividing by the number of networks. Each row must sum to one."""

    def join(self, logits):
        return logits.softmax(2).sum(0)


@ensemble.mistake
class OverTheImages(Team):
    """Your softmax runs over the images of the batch, not over the classes. Of N x classes, the classes are dimension
    1."""

    def join(self, logits):
        return logits.softmax(1).mean(0)


@ensemble.mistake
class MajorityVote(Team):
    """You let each network vote for one class and counted. The probabilities say more: how sure each of them is."""

    def join(self, logits):
        return F.one_hot(logits.argmax(2), logits.shape[2]).float().mean(0)
