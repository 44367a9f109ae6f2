"""Exercises of lesson 3."""

import torch
from torch import nn

from ..arithmetic import output_size
from ..layers import LocalResponseNorm
from . import behaviour, exercise


@exercise(minutes=4, level="easy",
          hints=("Only four of the thirteen layers change the size: conv1 and the three poolings.",
                 "`arithmetic.output_size(n, k, s)` gives the size behind one layer. Its result goes into the next.",
                 "conv1 is `output_size(size, 11, 4)`. Then three times a window of 3 with stride 2."),
          cases=lambda rng: [(n,) for n in (227, 224, 240, 228, 512, *rng.sample(range(67, 900), 3))])
def last_map(size):
    """How many rows has AlexNet's last map, behind pool5, for images of `size` x `size` pixels?"""
    rows = output_size(size, 11, 4)
    for _ in range(3):
        rows = output_size(rows, 3, 2)
    return rows


last_map.mistakes_as_edits(
    ("return rows", "return size // 32",
     "You divided by the product of the strides. A window has a size too: near the edge there is no room for it."),
    ("return rows", "return round(6 * size / 227)",
     "You enlarged the 6 of 227 pixels in proportion. The edge, where no window fits, does not grow with the image."),
    ("range(3)", "range(2)", "This is the map behind conv5. Behind it stands one more pooling."),
    ("return rows", "return -(-(size - 35) // 32)",
     "You rounded up. A window that does not fit is left out, so the division is rounded down."),
    ("rows, 3, 2", "rows, 2, 2",
     "You pooled with windows of 2. AlexNet's pooling windows overlap: look up their size in the plan."),
    ("11, 4", "11, 4, 2",
     "You padded conv1. Later programs do, with 2 pixels, and get the paper's 55 from 224 pixels; this network does "
     "not."),
    ("output_size(size, 11, 4)", "(size - 11) // 4", "output_size(rows, 3, 2)", "(rows - 3) // 2",
     "The formula ends with + 1: the window stands at its first place before it takes any step."))


@exercise(minutes=5, level="easy",
          hints=("Count the MACs of the full convolution and of the grouped one. The answer is the difference.",
                 "A full convolution costs n_in x k x k for each of its n_out x size x size outputs. What does an "
                 "output see in a grouped one?",
                 "An output sees n_in / groups channels in place of n_in: `n_in - n_in // groups` are saved."),
          cases=lambda rng: [(rng.randint(2, 20) * g, rng.randint(2, 20) * g, rng.choice((3, 5)),
                              rng.randint(13, 27), g) for g in (2, 3, 4)])
def saved(n_in, n_out, k, size, groups):
    """How many MACs does a convolution save by `groups`? Kernels are k x k, the output map has size x size pixels."""
    return size**2 * k**2 * n_out * (n_in - n_in // groups)


saved.mistakes_as_edits(
    ("n_out * (n_in - n_in // groups)", "(n_in * n_out - (n_in // groups) * (n_out // groups))",
     "You halved the input and the output channels. That is one group alone, and all groups together make n_out "
     "channels."),
    ("(n_in - n_in // groups)", "n_in // groups",
     "This is what the grouped convolution still costs. With two groups it equals what is saved, with three not."),
    ("(n_in - n_in // groups)", "n_in // 2",
     "You save one half, whatever the number of groups. With three of them an output sees a third of the channels."),
    ("size**2 * ", "", "This is the number of weights saved. Each weight is used at every place of the output map."),
    ("k**2", "k", "The kernel has k rows and k columns: k counts twice."),
    ("size**2", "size", "The output map has size rows and as many columns: size counts twice."))


def loud_maps(rng, *shape):
    """Positive values up to 50, as a ReLU may leave them."""
    return 50 * torch.rand(shape, generator=torch.Generator().manual_seed(rng.randrange(2**31)))


@exercise(minutes=10, level="medium",
          hints=("Work on one channel at a time: `a[:, i]` has the shape N x H x W.",
                 "The neighbours are the slice `a[:, first : last + 1]`. What are first and last for the first "
                 "channel? A slice may end behind the last channel, but a negative start counts from the end.",
                 "Start the slice at `max(0, i - n // 2)` and end it at `i + n // 2 + 1`. Square it, and sum over "
                 "dimension 1."),
          cases=lambda rng: [(loud_maps(rng, 2, channels, 4, 5), n, rng.uniform(1e-3, 1e-2),
                              rng.uniform(0.6, 0.9), rng.uniform(1.5, 3))
                             for channels, n in ((9, 5), (12, 3), (3, 5))])
def normalise(a, n, alpha, beta, k):
    """Local response normalisation as the paper prints it, on maps `a` of N x C x H x W; n is odd."""
    out = torch.empty_like(a)
    for i in range(a.shape[1]):
        near = a[:, max(0, i - n // 2):i + n // 2 + 1]  # fewer than n at both ends
        out[:, i] = a[:, i] / (k + alpha * near.square().sum(dim=1)) ** beta
    return out


normalise.mistakes_as_edits(
    ("alpha *", "alpha / n *",
     "Your alpha is divided by n, which gives the mean of the squares. PyTorch's layer does that; the paper prints a "
     "sum."),
    ("i + n // 2 + 1", "i + n // 2", "The last neighbour is missing: a Python slice ends before its second number."),
    ("max(0, i - n // 2)", "i - n // 2",
     "The first channels are wrong: there the slice starts below zero, and Python counts that from the end, so it is "
     "empty or holds other channels."),
    ("torch.empty_like(a)", "a",
     "You write into the tensor that you read from, so the neighbours before a channel are normalised already. Write "
     "into another one."),
    ("a[:, max(0, i - n // 2):i + n // 2 + 1]", "a[:, [j % a.shape[1] for j in range(i - n // 2, i + n // 2 + 1)]]",
     "Your neighbours go round the corner: the first channel counts the last as its neighbour. At both ends there are "
     "fewer than n."),
    ("near.square().sum(dim=1)", "nn.AvgPool2d(n, 1, n // 2, divisor_override=1)(a.square())[:, i]",
     "You summed over neighbouring pixels of the same channel. The sum runs over channels, at one pixel."),
    ("near.square().sum(dim=1)", "a[:, i].square()",
     "Each channel is divided by a term of its own value only. The sum runs over its n // 2 neighbours on each side "
     "as well."),
    (".square()", "", "The neighbours are summed without being squared."),
    (" ** beta", "", "The power is missing: the sum in brackets is raised to beta before it divides."),
    ("(k + alpha", "(k + (alpha", "** beta", "** beta)",
     "The k stands inside the brackets: add it before you raise to beta, not afterwards."),
    ("i - n // 2", "i - n", "i + n // 2", "i + n",
     "You took n channels on each side. n counts them all: the channel itself and n // 2 on each side."),
    ("a[:, max(0, i - n // 2):i + n // 2 + 1]", "a",
     "You summed over all channels of the pixel, not over the n nearest."))


@exercise(minutes=10, level="medium",
          hints=("Four layers in a row, in the order of the table: conv2 with its ReLU, norm2, pool2.",
                 "The convolution keeps the size of the map, so a window of 5 needs padding. Then there is `groups`.",
                 "`layers.LocalResponseNorm()` has the paper's numbers. `nn.MaxPool2d(3, 2)` is a window of 3 that "
                 "steps by 2."),
          cases=lambda rng: [(4 * rng.randint(1, 2), 4 * rng.randint(2, 3), g) for g in (2, 4, 1)],
          observe=lambda net, n_in, n_out, groups: behaviour(net, 300 * torch.randn(2, n_in, 11, 13)))
def second_stage(n_in, n_out, groups):
    """AlexNet's conv2, norm2 and pool2: one 5x5 convolution in `groups` that keeps the size, ReLU, the paper's local
    response normalisation, overlapping pooling."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 5, padding=2, groups=groups),
                         nn.ReLU(), LocalResponseNorm(), nn.MaxPool2d(3, 2))


second_stage.mistakes_as_edits(
    (", groups=groups", "",
     "Your convolution has more weights than it should: every output channel sees all input channels. Use the option "
     "for groups."),
    ("groups=groups", "groups=2", "You always take two groups. The function is given their number."),
    ("nn.ReLU(), LocalResponseNorm()", "LocalResponseNorm(), nn.ReLU()",
     "The normalisation stands before the ReLU, so negative sums take part in it as well. The paper normalises what "
     "the ReLU has let through."),
    ("LocalResponseNorm(), nn.MaxPool2d(3, 2)", "nn.MaxPool2d(3, 2), LocalResponseNorm()",
     "The pooling stands before the normalisation. That is faster, and another network: compare with the table."),
    ("LocalResponseNorm()", "nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)",
     "You gave PyTorch's layer the paper's alpha. It divides alpha by the number of channels first, so its brake is "
     "five times too weak."),
    ("LocalResponseNorm()", "nn.LocalResponseNorm(5)",
     "You used PyTorch's layer with its own numbers. Its k is 1 and its alpha is divided by the number of channels."),
    ("MaxPool2d(3, 2)", "MaxPool2d(2, 2)",
     "The map has the right size, but your pooling windows lie side by side. They should overlap."),
    (", padding=2", "", "The convolution loses two rows and columns at each side: it needs a padding."),
    ("LocalResponseNorm(), ", "", "The local response normalisation between the ReLU and the pooling is missing."),
    ("nn.ReLU(), ", "", "The ReLU behind the convolution is missing."))


@second_stage.mistake
class ConvolutionsSideBySide(nn.Module):
    """This can do the same, with a convolution of its own for each group. The task asks for one `nn.Conv2d` that holds
    all weights: it has an option for that."""

    def __init__(self, n_in, n_out, groups):
        super().__init__()
        self.towers = nn.ModuleList(nn.Conv2d(n_in // groups, n_out // groups, 5, padding=2) for _ in range(groups))
        self.rest = nn.Sequential(nn.ReLU(), LocalResponseNorm(), nn.MaxPool2d(3, 2))

    def forward(self, x):
        parts = x.chunk(len(self.towers), dim=1)
        return self.rest(torch.cat([tower(part) for tower, part in zip(self.towers, parts, strict=True)], dim=1))


@exercise(minutes=3, level="easy",
          hints=("At how many places can the upper edge of the window be, and at how many its left edge?",
                 "Try small numbers: a window of 2 in a row of 3 pixels stands at two places.",
                 "`height - crop + 1` places down, `width - crop + 1` places across, and each window twice."),
          cases=lambda rng: [(256, 256, 224), (300, 256, 224), (256, 341, 227)] + [
              (rng.randint(40, 60), rng.randint(61, 90), rng.randint(20, 39)) for _ in range(3)])
def views(height, width, crop):
    """How many different windows of crop x crop pixels does a photograph of height x width pixels hold, mirrored ones
    counted?"""
    return 2 * (height - crop + 1) * (width - crop + 1)


views.mistakes_as_edits(
    ("height - crop + 1", "height - crop", "width - crop + 1", "width - crop",
     "You count as the paper does: the steps that a window can take. The place where it starts counts too."),
    ("2 * ", "", "The mirrored windows are missing."),
    ("2 *", "4 *",
     "You mirrored in both directions. AlexNet swaps left and right only: photographs do not stand on their heads."),
    ("(height - crop + 1) * (width - crop + 1)", "(min(height, width) - crop + 1) ** 2",
     "You took the photograph for a square. It has more places across than down, or fewer."),
    ("(height - crop + 1) * (width - crop + 1)", "(height - crop + 1 + width - crop + 1)",
     "You added the places down and across. Each place down goes with every place across."))


def colours(rng, n):
    """n images, directions at right angles, three deviations, and strengths for each image."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    images, random, strengths = (torch.rand(n, 3, 4, 5, generator=generator), torch.randn(3, 3, generator=generator),
                                 torch.randn(n, 3, generator=generator))
    return images, torch.linalg.qr(random).Q, torch.tensor([0.5, 0.2, 0.05]), strengths


@exercise(minutes=8, level="medium",
          hints=("Each image is shifted by one colour: three numbers, the same for all its pixels.",
                 "The shift of one image is `directions @ (strength * spread)`: so much of each column.",
                 "For all images at once: `(strengths * spread) @ directions.T` is N x 3. Two more axes of length 1 "
                 "make it fit to N x 3 x H x W."),
          cases=lambda rng: [colours(rng, n) for n in (2, 3, 4)])
def relight(images, directions, spread, strengths):
    """PCA colour noise on a batch. images: N x 3 x H x W; directions: 3 x 3, one a column; spread: 3 standard
    deviations; strengths: N x 3, for each image how many standard deviations along each direction. Do not clip."""
    return images + ((strengths * spread) @ directions.T)[:, :, None, None]


relight.mistakes_as_edits(
    ("directions.T", "directions", "You took the rows of `directions` for the directions. They are its columns."),
    (" * spread", "",
     "The spread is missing: all three directions are shifted alike, also the one in which photographs hardly differ."),
    ("* spread", "* spread**2",
     "You multiplied by the variances. `spread` holds standard deviations, and the strengths count in these."),
    ("strengths *", "strengths[:1] *", "All images get the shift of the first one. Each has strengths of its own."),
    ("images +", "images + images *",
     "You multiplied the pixels. The colour is added, so that dark pixels move as far as bright ones."),
    (" @ directions.T", "",
     "You shifted red by the first strength, green by the second and blue by the third. The directions are mixtures "
     "of the three colours."),
    ("images + ", "torch.clamp(images + ", "None, None]", "None, None], 0, 1)",
     "The shift is right. But you clipped the result, and the task leaves that to whoever shows the images."))


def masked(rng, p, training):
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    keep = torch.rand(4, 30, generator=generator) >= p
    return torch.rand(4, 30, generator=generator), keep, p, training


@exercise(minutes=5, level="medium",
          hints=("Two cases. Which of them uses `keep`?",
                 "In training a share of 1 - p of the units speaks, and the layers behind get used to such sums.",
                 "In training the kept outputs stay as they are. In evaluation all outputs are made smaller, by the "
                 "share that was kept."),
          cases=lambda rng: [masked(rng, p, training) for p in (0.5, 0.2, rng.uniform(0.6, 0.9))
                             for training in (True, False)])
def paper_dropout(x, keep, p, training):
    """Dropout as the paper scales it. x: outputs N x C; keep: of the same shape, false for what is dropped; p: the
    probability of being dropped."""
    return x * keep if training else (1 - p) * x


paper_dropout.mistakes_as_edits(
    ("x * keep", "x * keep / (1 - p)", "(1 - p) * x", "x",
     "This is PyTorch's dropout: it scales in training. The paper scales in evaluation."),
    ("x * keep if training else (1 - p) * x", "nn.functional.dropout(x, p, training)",
     "You let PyTorch throw its own dice, and scale in its own way. Use `keep`, which says how the dice fell."),
    ("x * keep", "x * keep / (1 - p)", "You scale in training and in evaluation. Either of the two is enough."),
    ("(1 - p) * x", "x",
     "You never scale: in evaluation more units speak than in training, and the sums behind them are too large."),
    ("(1 - p)", "p",
     "You multiply by p, the share that is dropped. With p = 0.5 nobody sees it; with another p the sums do not fit."),
    ("(1 - p) * x", "x / (1 - p)",
     "In evaluation you divide. But there more units speak than in training, so outputs have to become smaller."),
    ("(1 - p) * x", "(1 - p) * x * keep", "You drop in evaluation too. There every unit speaks."),
    (" if training else (1 - p) * x", "",
     "Training and evaluation do the same here: `training` has to make a difference."),
    ("* keep", "* ~keep", "Your mask is the wrong way round: `keep` is true for the outputs that stay."))
