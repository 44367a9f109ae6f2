"""Exercises of lesson 7."""

import copy
import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import nn

from ..arithmetic import conv_parameters, linear_parameters
from . import exercise, named
from .checking.networks import behaviour


def as_tensors(value, *case):
    """Compared with the tolerance of tensors: in single precision a small deviation differs in its fifth digit."""
    parts = named("the mean", "the deviation")(value)
    return {name: torch.as_tensor(part, dtype=torch.double) for name, part in parts.items()}


@exercise(minutes=4, level="easy",
          hints=("What do you divide the squared distances from the mean by?",
                 "The mean is taken from the same few numbers and lies closer to them than the true one. Dividing by "
                 "one less makes up for that.",
                 "The root of `sum((v - mean) ** 2 for v in values) / (len(values) - 1)`"),
          cases=lambda rng: [([n / 200 for n in rng.sample(range(100, 200), k)],) for k in (2, 3, 5)] + [
              ([0.5, 0.75, 1.0, 0.75, 0.0],)],
          observe=as_tensors)
def mean_and_deviation(values):
    """Mean and sample standard deviation of a list of accuracies, one a seed, at least two: a tuple of two numbers."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(variance)


mean_and_deviation.mistakes_as_edits(
    ("sum(values) / len(values)", "sum(values) / (len(values) - 1)",
     "You divide by one less in the mean as well. That belongs to the deviation alone."),
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
     "one."),
    ("math.sqrt(variance)", "math.sqrt(variance * (len(values) - 1))",
     "You took the root of the sum of squares and did not divide it. Divide by the number of seeds less one first."),
    ("math.sqrt(variance)", "math.sqrt(variance * (len(values) - 1)) / (len(values) - 1)",
     "You divided behind the root. The sum of squares is divided first, then comes the root."),
    ("math.sqrt(variance)", "(max(values) - min(values)) / 2",
     "You took half of the distance from the smallest to the largest. That looks at two runs only."),
    ("math.sqrt(variance)", "variance * (len(values) - 1) / len(values)",
     "You divided by the number of seeds, and the root is missing as well: divide by one less, then take the root."),
    ("math.sqrt(variance)", "math.sqrt(variance * (len(values) - 1) / max(1, len(values) - 2))",
     "You divided by the number of seeds less two. One less is right: only the mean was taken from the numbers."),
    ("(value - mean) ** 2", "value ** 2",
     "You squared the values themselves. Subtract the mean from each of them first."),
    ("mean = sum(values) / len(values)", "mean = sorted(values)[len(values) // 2]",
     "Your first number is the middle one of the sorted values, the median. The mean is asked for."),
    ("math.sqrt(variance)", "sum(abs(value - mean) for value in values) / (len(values) - 1)",
     "You added the distances from the mean without squaring them, or took the root of each square. Sum the squares, "
     "divide, and take one root at the end."),
    ("mean, math.sqrt(variance)",
     "(sorted(values)[(len(values) - 1) // 2] + sorted(values)[len(values) // 2]) / 2, math.sqrt(variance)",
     "Your deviation is right. Your first number is the median; the mean is asked for."),
    ("mean, math.sqrt(variance)", "(max(values) + min(values)) / 2, math.sqrt(variance)",
     "Your deviation is right. Your first number is the middle between the smallest and the largest, not the mean."),
    ("mean, math.sqrt(variance)", "100 * mean, 100 * math.sqrt(variance)",
     "Both numbers are right, in per cent. The accuracies are shares, and the answer is asked on their scale."))


def contests(rng):
    """The runs of a few networks. The first cases separate all mistakes: some overlap, some touch, one is far behind,
    some have equal means, equal best or equal worst runs."""
    return [([[0.92, 0.9], [0.88, 0.91], [0.88, 0.8], [0.5, 0.6], [0.75, 0.1]],),
            ([[0.25, 0.75], [0.5, 0.5], [0.75, 0.5], [0.5, 0.625], [0.875, 0.875], [0.25, 0.25]],), ([[0.5], [0.75]],),
            ([[0.25, 0.5], [0.75, 0.625], [0.5, 0.75], [0.375, 0.25]],),
            ([[0.5, 0.25], [0.5, 0.25], [1.0, 0.75]],), ([[0.5, 0.499], [0.501, 0.502]],),
            ([[0.875, 0.5], [0.625, 0.5625]],)] + [
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
    ("sum(min(a) > max(b) or min(b) > max(a) for a, b in combinations(runs, 2))",
     "sum(any(min(a) > max(b) for b in runs) for a in runs)",
     "You count the networks that are ahead of some other one. Asked are pairs."),
    ("min(a) > max(b) or min(b) > max(a)",
     "all(x > y for x, y in zip(a, b, strict=False)) or all(x < y for x, y in zip(a, b, strict=False))",
     "You compare seed by seed. The rule sets the worst run of one against the best of the other, whatever the seeds."),
    ("sum(", "2 * sum(", "You counted each pair twice, as A against B and as B against A."),
    (" or min(b) > max(a)", "",
     "You asked only whether the network that stands first in the list is ahead. The later one may be ahead as well."),
    ("min(a) > max(b) or min(b) > max(a)", "sum(a) / len(a) != sum(b) / len(b)",
     "You compared the means, and those nearly always differ. The rule compares the worst run of one with the best of "
     "the other."),
    ("min(a) > max(b) or min(b) > max(a)", "max(a) != max(b)",
     "You compared the best run of one with the best of the other. The rule sets the *worst* run of one against it."),
    ("min(a) > max(b) or min(b) > max(a)", "min(a) != min(b)",
     "You compared the worst run of one with the worst of the other. The rule sets it against the *best*."),
    ("min(a) > max(b) or min(b) > max(a)", "True", "You counted all pairs, and asked nothing of them."),
    ("min(a) > max(b) or min(b) > max(a)", "min(b) > max(a)",
     "You asked only whether the network that stands later in the list is ahead. The first may be ahead as well."),
    ("min(a) > max(b) or min(b) > max(a)", "min(a) > max(b) and min(b) > max(a)",
     "You ask that each of the two be ahead of the other, which is never so. One of the two is enough: `or`."),
    ("min(a) > max(b) or min(b) > max(a)", "a[0] > b[-1] or b[0] > a[-1]",
     "You compared the first run with the last. They do not come sorted: take the smallest and the largest."),
    ("min(a) > max(b) or min(b) > max(a)", "sum(a) / len(a) > max(b) or sum(b) / len(b) > max(a)",
     "You set the *mean* of one against the best of the other. The rule takes the worst run."),
    ("min(a) > max(b) or min(b) > max(a)", "min(a) > sum(b) / len(b) or min(b) > sum(a) / len(a)",
     "You set the worst run of one against the *mean* (or the median) of the other. The rule takes the best."),
    ("sum(min(a) > max(b) or min(b) > max(a) for a, b in combinations(runs, 2))",
     "sum(min(a) >= max(b) for a in runs for b in runs)",
     "You count a pair in which the worst run of one *equals* the best of the other. A network whose runs are all "
     "equal is then ahead of itself as well."),
    ("min(a) > max(b) or min(b) > max(a)", "min(a) > min(b) and max(a) > max(b) or min(b) > min(a) and max(b) > max(a)",
     "You compared worst with worst and best with best. The rule sets the *worst* run of one against the *best* of the "
     "other."),
    ("combinations(runs, 2)", "zip(sorted(runs, key=sum), sorted(runs, key=sum)[1:])",
     "You sorted the networks and compared neighbours only. Each network is compared with each other one."),
    ("combinations(runs, 2)", "zip(runs, runs[1:])",
     "You compared neighbours in the list only. Each network is compared with each other one."),
    ("sum(min(a) > max(b) or min(b) > max(a) for a, b in combinations(runs, 2))",
     "sum(all(min(a) > max(b) for b in runs if b is not a) for a in runs)",
     "You counted networks that are ahead of all others. Asked are pairs."),
    ("combinations(runs, 2))", "combinations(runs, 2)) / (len(runs) * (len(runs) - 1) / 2)",
     "You divided by the number of pairs. Asked is how many they are."),
    ("combinations(runs, 2))", "combinations(runs, 2)) + len(runs)",
     "You counted each network as a pair with itself."),
    ("sum(min(a) > max(b) or min(b) > max(a) for a, b in combinations(runs, 2))",
     "int(min(runs[0]) > max(runs[1]) or min(runs[1]) > max(runs[0]))",
     "You looked at the first pair only. Is the `return` inside the loop?"),
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
          cases=lambda rng: [(4, 10, 8), (10, 80, 30), (5, 20, 16), (7, 8, 10), (1, 3, 10), (3, 5, 5), (49, 1, 49),
                             (900, 50, 2), (3, 59, 3)] + [
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
    ("epochs * macs // other_macs", "int(epochs * (macs / other_macs))",
     "You divide first. The quotient is rounded, and `int` makes 0 of 0.99999. Multiply first, then divide."),
    ("epochs * macs // other_macs", "int(epochs / (other_macs / macs))",
     "You divide by a quotient. It is rounded, and `int` makes 58 of 58.99999. Multiply first, then divide."),
    ("epochs * ", "", "This is how many epochs the other network may train for *one* of the first."),
    ("//", "/", "An epoch is trained as a whole: drop the fraction."),
    ("epochs * macs", "(epochs * macs - 1)",
     "Where the epochs fit exactly you leave one out. Equal MACs are allowed: it must not use *more*."),
    ("// other_macs", "// other_macs + 1", "One epoch too many: the last one goes beyond the budget."),
    ("epochs * macs // other_macs", "max(epochs, epochs * macs // other_macs)",
     "You never give less than `epochs`. A more expensive network may only train for fewer."),
    ("epochs * macs // other_macs", "max(1, epochs * macs // other_macs)",
     "You give at least one epoch, also where not even one fits into the budget. Then it is 0."),
    ("epochs * macs // other_macs", "min(epochs, epochs * macs // other_macs)",
     "You never give more than `epochs`. A cheaper network may train longer."),
    ("epochs * macs // other_macs", "epochs * macs // other_macs - epochs",
     "These are the epochs beyond those of the first network. Asked are all of them."),
    (" // other_macs", "", "This is the budget in MACs per image. How often do the other network's MACs fit into it?"),
    ("epochs * macs // other_macs", "epochs * round(macs / other_macs)",
     "You rounded the ratio before you multiplied it. Multiply by the epochs first, then drop the fraction."))


def tower(width):
    """Parameters of the network of `matching_width`, also for a width between two whole ones."""
    return 9 * (3 * width + 2 * width**2 + 8 * width**2) + 7 * width + 10 * (4 * width + 1)


def near_the_middle(rng):
    """Targets near the middle between two widths: a count that is wrong by `off` chooses the other one from there on.
    A wrong count is too small by 10 (the last bias), 7 w, 7 w + 10, 18 w (a grey image), 30 w, 36 w, 40 w + 10 or 74 w.
    22 below the middle a width with a fraction is rounded the other way."""
    width = rng.randint(5, 7)
    middle = (tower(width) + tower(width + 1)) // 2
    wrong = [10, 22, 7 * width + 3, 7 * width + 13, 18 * width + 9, 30 * width + 15, 36 * width + 18, 40 * width + 30,
             74 * width + 60]
    off = [1] + [(a + b) // 2 for a, b in zip(wrong, wrong[1:], strict=False)]
    large = rng.randint(20, 30)
    return [(middle - n,) for n in off] + [(middle + 1,), (middle + 30,), (tower(large) + 1,), (tower(large) - 1,),
                                           ((tower(large) + tower(large + 1)) // 2 - 100,)] + [
        (tower(n),) for n in (1, 150, 260)]  # a search may end too early; who builds each network needs time


@exercise(minutes=10, level="medium",
          hints=("Write the number of parameters as a function of the width first. The channels are 3, width, 2 width, "
                 "4 width.",
                 "`conv_parameters` and `linear_parameters` count one layer each, with biases. Then try one width "
                 "after the other.",
                 "`min(range(1, 1000), key=lambda width: abs(count(width) - target))`"),
          cases=near_the_middle)
def matching_width(target):
    """The width whose number of parameters is nearest to `target`. The network: three 3x3 convolutions with `width`,
    2 `width` and 4 `width` outputs, from 3 channels on, an average over the map, and a linear layer to 10 classes. All
    layers have biases."""
    def count(width):
        channels = (3, width, 2 * width, 4 * width)
        convolutions = sum(conv_parameters(a, b, 3) for a, b in zip(channels, channels[1:], strict=False))
        return convolutions + linear_parameters(4 * width, 10)
    return min(range(1, 1000), key=lambda width: abs(count(width) - target))


matching_width.mistakes_as_edits(
    ("min(range(1, 1000), key=lambda width: abs(count(width) - target))",
     "max(width for width in range(1, 1000) if count(width) <= target)",
     "You took the largest width that stays below the target. The next one may be nearer."),
    ("min(range(1, 1000), key=lambda width: abs(count(width) - target))",
     "min(width for width in range(1, 1000) if count(width) >= target)",
     "You took the first width that reaches the target. The one before may be nearer."),
    (" + linear_parameters(4 * width, 10)", "", "Your count leaves out the linear layer at the end."),
    ("min(range(1, 1000), key=lambda width: abs(count(width) - target))", "max(1, round(16 * target / count(16)))",
     "You took the parameters to grow in proportion to the width. Both ends of a convolution grow with it: twice the "
     "width has nearly four times the parameters."),
    ("conv_parameters(a, b, 3)", "conv_parameters(3, b, 3)",
     "In your count only the outputs of a convolution grow with the width. Its inputs are the outputs of the one "
     "before."),
    ("conv_parameters(a, b, 3)", "a * b * 9", "Your count leaves out the biases of the convolutions."),
    ("conv_parameters(a, b, 3)", "a * b * 9", "linear_parameters(4 * width, 10)", "40 * width",
     "Your count leaves out the biases, in the convolutions and in the linear layer."),
    ("linear_parameters(4 * width, 10)", "40 * width", "Your count leaves out the ten biases of the linear layer."),
    ("conv_parameters(a, b, 3)", "(conv_parameters(a, b, 3) + 2 * b)",
     "Your count has two numbers more for each channel, as a batch normalisation has. This network has none."),
    ("linear_parameters(4 * width, 10)", "linear_parameters(width, 10)",
     "Your linear layer takes `width` numbers. The last convolution gives out four times as many."),
    ("(3, width", "(1, width", "Your first convolution takes one channel. The images have three."),
    ("conv_parameters(a, b, 3)", "conv_parameters(a, b, 1)", "Your convolutions have a window of 1 x 1. It is 3 x 3."),
    ("width, 2 * width, 4 * width)", "width, width, width)", "linear_parameters(4 * width", "linear_parameters(width",
     "All your layers have `width` outputs. They have `width`, 2 `width` and 4 `width`."),
    ("abs(count(width) - target)", "max(count(width) / target, target / count(width))",
     "You took the width whose count is nearest as a ratio. Nearest means the smallest difference."),
    ("min(range(1, 1000), key=lambda width: abs(count(width) - target))",
     "count(min(range(1, 1000), key=lambda width: abs(count(width) - target)))",
     "This is the number of parameters. Asked is the width."),
    ("min(range(1, 1000), key=lambda width: abs(count(width) - target))", "max(1, round((target / 90) ** 0.5))",
     "You took the parameters to be 90 times the square of the width. The other terms count as well: biases, the first "
     "convolution, the linear layer."),
    ("min(range(1, 1000), key=lambda width: abs(count(width) - target))",
     "max(1, round((-74 + (74**2 + 360 * (target - 10)) ** 0.5) / 180))",
     "You solve for the width and round it. Between two widths the parameters grow faster and faster, so the nearest "
     "width is not always the one with the nearest number of parameters: compare the numbers."),
    ("range(1, 1000)", "range(2, 1000, 2)", "You tried even widths only. Odd ones are allowed."),
    ("range(1, 1000)", "range(1, 20)", "Your search ends too early: the width may be larger."))


def answers(rng, ranks, classes):
    """Logits of an image for each rank, in which its right class stands."""
    logits = torch.randn(len(ranks), classes, generator=torch.Generator().manual_seed(rng.randrange(10**6)))
    return logits, logits.argsort(1, descending=True)[torch.arange(len(ranks)), torch.tensor(ranks)]


@exercise(minutes=8, level="medium",
          hints=("`logits.topk(5, dim=1).indices` has the five most likely classes of each image, N x 5.",
                 "Compare them with `labels[:, None]`, which is N x 1, and ask of each row whether *any* agrees.",
                 "The error is `1 - (logits.topk(k, dim=1).indices == labels[:, None]).any(dim=1).float().mean()`, for "
                 "k = 1 and k = 5; `.item()` makes a number of it."),
          cases=lambda rng: [answers(rng, *case) for case in (
              ([0, 0, 0, 1, 2, 4, 5, 9, 3, 3], 12), ([0, 0, 1, 4, 5, 6, 3, 3, 3, 3, 3, 3], 7), ([0], 9), ([5], 8),
              ([0, 4, 7, 5], 10), ([5, 0, 4, 6, 5], 30))],
          observe=named("the top-1 error", "the top-5 error"))
def error_rates(logits, labels):
    """Top-1 and top-5 error of logits (N x classes) and labels (N): a tuple of two numbers between 0 and 1."""
    hits = logits.topk(5, dim=1).indices == labels[:, None]
    top1, top5 = hits[:, 0].float().mean().item(), hits.any(dim=1).float().mean().item()
    return 1 - top1, 1 - top5


error_rates.mistakes_as_edits(
    ("top1, top5 = hits[:, 0].float().mean().item(), hits.any(dim=1).float().mean().item()",
     "top1, top5 = 1 - (~hits[:, 0]).sum().item(), 1 - (~hits.any(dim=1)).sum().item()",
     "You count the images with a wrong answer. An error is their share: divide by the number of images."),
    ("hits.any(dim=1)", "(logits.argsort(1)[:, :5] == labels[:, None]).any(dim=1)",
     "Your five classes are those with the smallest logits: `argsort` begins with the smallest. Take the largest."),
    ("1 - top1, 1 - top5", "top1, top5", "These are the accuracies. An error is the share of wrong answers."),
    ("1 - top1, 1 - top5", "1 - top5, 1 - top1", "Both errors are right, but the top-1 error comes first."),
    ("1 - top5", "1 - top1",
     "Your top-5 error is the top-1 error again: it looks at the first answer only. Any of the five may be the right "
     "one."),
    ("topk(5", "topk(6", "hits.any", "hits[:, 1:].any",
     "Your five leave out the most likely class, and count a right first answer as wrong. The first is one of the "
     "five."),
    ("hits.any", "hits[:, :4].any", "Your top-5 error looks at four classes. A slice ends *before* its second number."),
    ("hits.any(dim=1)", "torch.isin(labels, logits.topk(5, dim=1).indices)",
     "You look for each label among the five classes of *all* images. Compare it with the five of its own row."),
    ("hits.any(dim=1)", "hits.all(dim=1)",
     "Your top-5 error is always 1. Either you ask that all five be the right class, where one label can agree with "
     "one of them (*any*); or you compare the label with the scores (`values`) in place of their places (`indices`)."),
    ("hits.any(dim=1).float()", "hits.float()",
     "You average over the five places as well. Ask of each image whether any of the five is right, then average."),
    (".mean().item(), hits", ".sum().item() / logits.shape[1], hits", "any(dim=1).float().mean().item()",
     "any(dim=1).float().sum().item() / logits.shape[1]",
     "You divide by the number of classes. The error is a share of the images."),
    ("return 1 - top1, 1 - top5", "return len(labels) * (1 - top1), len(labels) * (1 - top5)",
     "These are numbers of wrong answers. The error is their share of all images."),
    ("return 1 - top1, 1 - top5", "return 100 * (1 - top1), 100 * (1 - top5)",
     "Your errors are in per cent. The task wants numbers between 0 and 1."),
    ("return 1 - top1, 1 - top5", "return 1 - top1, top1 - top5",
     "Your second number is a difference of the two. The top-5 error is 1 less the share with a hit among five."),
    ("hits.any(dim=1)", "hits[:, 4]",
     "Your top-5 error looks at the fifth class alone. Any of the five may be the right one."),
    ("1 - top1, 1 - top5",
     "len(labels) * (1 - top1) / logits.shape[1], len(labels) * (1 - top5) / logits.shape[1]",
     "You divide the number of wrong answers by the number of classes. The error is a share of the images."),
    ("hits.any", "hits[:, 1:].any",
     "Your top-5 error leaves out the most likely class. The first is one of the five."),
    ("topk(5", "topk(6",
     "Your top-5 error looks at more than five classes."),
    ("indices == labels", "values == labels",
     "You compare logits with labels. `topk`, `max` and `sort` give values *and* indices: take the indices."),
    ("top1, top5 = hits[:, 0].float().mean().item()", "top1, top5 = 0.0",
     "Your top-1 error is always 1: you compare logits with labels. `max` gives values *and* indices, and the classes "
     "are the indices."),
    ("topk(5, dim=1", "topk(5, dim=1, largest=False",
     "You took the classes with the smallest logits. `sort` and `argsort` begin with the smallest."))


class Member(nn.Sequential):
    """A network that counts how often it was copied."""
    copies = 0

    def __deepcopy__(self, memo):
        other = Member(*copy.deepcopy(list(self), memo)).train(self.training)
        other.copies = self.copies + 1
        return other


def teams(rng):
    """Networks of different widths, so that no two are alike. Their images are N x 4, their classes 3."""
    seed = rng.randrange(10**6)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return [([Member(nn.Linear(4, n), nn.BatchNorm1d(n), nn.ReLU(), nn.Linear(n, 3)) for n in widths],)
                for widths in ((5, 9), (6, 8, 11), (7,), (4, 5, 6, 7, 8))]


@exercise(minutes=12, level="hard",
          hints=("Two things: how the module keeps the networks, and what it averages.",
                 "In `nn.ModuleList(nets)` PyTorch finds the parameters of the networks; in a plain list it does not.",
                 "`forward`: `torch.stack([F.softmax(net(x), dim=1) for net in self.nets]).mean(0)`"),
          cases=teams, observe=lambda net, nets: behaviour(net, 3 * torch.randn(6, 4), torch.randn(1, 4)) | {
              "copies of the networks": sum(isinstance(m, Member) and m.copies > 1 for m in net.modules())})
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


@ensemble.mistake
def chain(nets):
    """`nn.Sequential` feeds each network with the answer of the one before. Each of them is to see the images."""
    return nn.Sequential(*nets, nn.Softmax(dim=1))


ensemble.mistakes_as_edits(
    ("nn.ModuleList(nets)", "nn.ModuleList(copy.deepcopy(nets))",
     "Your module owns copies of the networks. When it is trained, the networks themselves stay as they were."),
    ("nn.ModuleList(nets)", "nn.ModuleList(net.eval() for net in nets)",
     "The result is right, but the networks that you were given are in evaluation mode afterwards. Leave their mode as "
     "it is: whoever calls the ensemble sets it, with `train()` and `eval()`."),
    ("nn.ModuleList(nets)", "list(nets)",
     "Your module has no parameters: it keeps the networks in a plain Python list, where PyTorch does not look. They "
     "would not be saved, trained or moved to a GPU with it. There is a list made for modules."),
    ("F.softmax(net(x), dim=1)", "net(x)", ".mean(0)", ".mean(0).softmax(1)",
     "You averaged the logits first and took the softmax of the mean. A network with large logits then outvotes the "
     "others. Each network's softmax comes first."),
    ("F.softmax(net(x), dim=1)", "net(x)",
     "You averaged the logits. They are not probabilities: a softmax is missing."),
    ("F.softmax(net(x), dim=1)", "net(x)", ".mean(0)", ".softmax(0).mean(0)",
     "Your softmax runs over the networks, not over the classes: take it of each network's answer, over dimension 1."),
    ("F.softmax(net(x), dim=1)", "F.log_softmax(net(x), dim=1)", ".mean(0)", ".mean(0).exp()",
     "You averaged the logarithms, which gives the geometric mean: its rows do not sum to one. The mean of the "
     "probabilities themselves is asked for."),
    ("return torch.stack([F.softmax(net(x), dim=1) for net in self.nets]).mean(0)",
     "first, *others = [F.softmax(net(x), dim=1) for net in self.nets]\n            for other in others:\n"
     "                first = (first + other) / 2\n            return first",
     "You halve after each network, so that the last one counts one half and those before it less and less. Add all of "
     "them, then divide once."),
    (".mean(0)", ".sum(0)",
     "You added the probabilities without dividing by the number of networks. Each row must sum to one."),
    ("dim=1", "dim=0",
     "Your softmax runs over the images of the batch, not over the classes. Of N x classes, the classes are dimension "
     "1."),
    ("F.softmax(net(x), dim=1)", "F.one_hot(net(x).argmax(1), net(x).shape[1]).float()",
     "You let each network vote for one class and counted. The probabilities say more: how sure each of them is."),
    ("in self.nets]", "in self.nets[:1]]", "Your answer is that of the first network alone."),
    (".mean(0)", ".prod(0)", "You multiplied the probabilities. The mean is asked for."),
    (".mean(0)", ".max(0).values", "You took the largest probability of each class. The mean is asked for."),
    (".mean(0)", ".median(0).values", "You took the median of each class. The mean is asked for."),
    (".mean(0)", ".sum(0) / 2", "You divide by two. There may be another number of networks."),
    (".mean(0)", ".sum(0) / 3", "You divide by three. There may be another number of networks."),
    (".mean(0)", ".mean(0).softmax(1)",
     "There is a softmax too many: the mean of probabilities is one already, and its rows sum to one."),
    (".mean(0)", ".mean(1)",
     "Your mean runs over the images: networks x classes come out. The networks are dimension 0 of the stack."),
    (".mean(0)", ".mean(0).argmax(1)", "You return the most likely class. The mean probabilities are asked for."),
    ("F.softmax(net(x), dim=1)", "torch.sigmoid(net(x))",
     "You took the sigmoid. It looks at each class alone; the rows of a softmax sum to one."),
    ("F.softmax(net(x), dim=1)", "F.log_softmax(net(x), dim=1)",
     "You averaged logarithms of probabilities. Average the probabilities themselves."))
