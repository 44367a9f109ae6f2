"""Exercises of lesson 3."""

import torch
from torch import nn

from ..arithmetic import output_size
from ..layers import LocalResponseNorm
from . import exercise
from .checking.networks import behaviour


@exercise(minutes=4, level="easy",
          hints=("Only four of the thirteen layers change the size: conv1 and the three poolings.",
                 "`arithmetic.output_size(n, k, s)` gives the size behind one layer. Its result goes into the next.",
                 "conv1 is `output_size(size, 11, 4)`. Then three times a window of 3 with stride 2."),
          cases=lambda rng: [(n,) for n in (67, 68, 73, 91, *range(224, 256), 512, 1200,
                                            *rng.sample(range(67, 900), 3))])
def last_map(size):
    """How many rows has AlexNet's last map, behind pool5, for images of `size` x `size` pixels?"""
    rows = output_size(size, 11, 4)
    for _ in range(3):
        rows = output_size(rows, 3, 2)
    return rows


last_map.mistakes_as_edits(
    ("output_size(size, 11, 4)", "(size - 11) // 4", "output_size(rows, 3, 2)", "(rows - 3) // 2 + 1",
     "In conv1 you count the steps of the window, which has one place more than it takes steps: add one, as in the "
     "poolings."),
    ("range(3)", "range(4)", "output_size(rows, 3, 2)", "(rows - 3) // 2 + 1",
     "You pool once too often. There are three poolings: pool1, pool2 and pool5."),
    ("return rows", "return size // 32",
     "You divided by the product of the strides. A window has a size too: near the edge there is no room for it."),
    ("return rows", "return round(6 * size / 227)",
     "You enlarged the 6 of 227 pixels in proportion. The edge, where no window fits, does not grow with the image."),
    ("return rows", "return size // 32 - 1",
     "You take one off the quotient. The windows take away 35 pixels in all, more than one step of 32."),
    ("return rows", "return size // 32 + 1",
     "You add one to the quotient of the whole. Each layer has its own window and its own + 1."),
    ("return rows", "return -(-size // 32) - 2",
     "You round the quotient up and take two off. The windows take away 35 pixels in all: subtract them, divide by 32 "
     "and round down."),
    ("return rows", "return (size - 35) / 32", "You divide with `/`. Rows are whole numbers: round down."),
    ("return rows", "return round((size - 35) / 32)",
     "You round to the nearest number. A window has to fit in: round down."),
    ("return rows", "return (size - 11) // 32",
     "You divide by all strides at once behind conv1. The windows of the poolings take pixels away as well."),
    ("return rows", "return rows**2", "You count all places of the map. Its rows are asked for."),
    ("return rows", "return 256 * rows**2", "You count all numbers of the map. Its rows are asked for."),
    ("range(3)", "range(4)", "You pool four times. There are three poolings: pool1, pool2 and pool5."),
    ("rows = output_size(rows, 3, 2)", "rows = output_size(rows, 3, 2) - 4 * (_ == 0)",
     "Your conv2 loses four rows. It has a padding that keeps them, as conv3 to conv5 have."),
    ("rows, 3, 2", "rows, 3, 2, 1", "You padded the poolings. AlexNet's have no padding."),
    ("rows, 3, 2", "rows, 3, 3", "Your poolings have a stride of 3. AlexNet's windows overlap: look up their stride."),
    ("rows, 3, 2", "rows, 3, 2, ceil_mode=True",
     "You round up in the poolings. A window that does not fit is left out."),
    ("11, 4", "11, 4, ceil_mode=True", "You round up in conv1. A window that does not fit is left out."),
    ("rows = output_size(rows, 3, 2)", "rows = rows // 2",
     "You halve the rows in each pooling. A window of 3 has fewer places than that where the rows are even."),
    ("11, 4", "11, 2", "Your conv1 has a stride of 2. Look it up in the plan."),
    ("11, 4", "7, 4", "Your conv1 has a window of 7. Look it up in the plan."),
    ("11, 4", "11, 4, 1", "You padded conv1 by one pixel. This network does not pad it."),
    ("output_size(size, 11, 4)", "(size - 11) // 4",
     "In conv1 you count the steps of the window. It stands at its first place before it takes any step: add one."),
    ("output_size(rows, 3, 2)", "(rows - 3) // 2",
     "In the poolings you count the steps of the window. It stands at its first place before any step: add one."),
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
                              rng.randint(13, 27), g) for g in (2, 3, 4)] + [
              (4, 6, 3, 7, 2), (2, 3, 5, 1, 1), (16, 32, 3, 5, 16)])
def saved(n_in, n_out, k, size, groups):
    """How many MACs does a convolution save by `groups`? Kernels are k x k, the output map has size x size pixels."""
    return size**2 * k**2 * n_out * (n_in - n_in // groups)


saved.mistakes_as_edits(
    ("n_out * (n_in - n_in // groups)", "(n_in * n_out - (n_in // groups) * (n_out // groups))",
     "You divided the input and the output channels. That is one group alone, and all groups together make n_out "
     "channels."),
    ("(n_in - n_in // groups)", "n_in // groups",
     "This is what the grouped convolution still costs. With two groups it equals what is saved, with three not."),
    ("(n_in - n_in // groups)", "n_in // 2",
     "You save one half, whatever the number of groups. With three of them an output sees a third of the channels."),
    ("size**2 *", "-(size**2) *", "Your sign is wrong: a saving is the larger number minus the smaller one."),
    ("(n_in - n_in // groups)", "n_in",
     "This is what the convolution costs without groups. Subtract what it costs with them."),
    ("(n_in - n_in // groups)", "n_in * (groups - 1)",
     "You multiply by the number of groups. With groups an output sees n_in / groups channels, not groups times n_in."),
    ("(n_in - n_in // groups)", "(n_in - groups)",
     "You subtract the number of groups. With groups an output sees n_in / groups of the n_in channels."),
    ("n_out * (n_in", "(n_out - n_out // groups) * (n_in",
     "You multiply what is saved of the inputs by what would be saved of the outputs. All outputs stay."),
    ("n_out * (n_in", "n_in * (n_in", "You count the input channels twice, and the output channels not at all."),
    ("n_out * (n_in", "(n_in", "You count one output channel. There are `n_out`."),
    ("size**2 *", "2 * size**2 *", "You count multiplication and addition apart. A MAC is both at once."),
    ("size**2 *", "(size - k + 1)**2 *",
     "You count the places of the window on a map of `size`. Here `size` is that of the output: all its pixels count."),
    ("(n_in - n_in // groups)", "(n_in - n_in // groups) + n_out",
     "You count biases. Both convolutions have the same, and adding one is no MAC."),
    ("return size**2 * k**2 * n_out * (n_in - n_in // groups)", "return 1 - 1 / groups",
     "This is the share that is saved. The number of MACs is asked for."),
    ("k**2 * ", "", "You leave the kernel out: an output sums over k x k places of each channel."),
    ("size**2 * ", "", "This is the number of weights saved. Each weight is used at every place of the output map."),
    ("k**2", "k", "The kernel has k rows and k columns: k counts twice."),
    ("size**2", "size", "The output map has size rows and as many columns: size counts twice."))


def loud_maps(rng, *shape):
    """Whole numbers from -50 to 50 without 0, which want a gradient."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    signs = 2.0 * torch.randint(2, shape, generator=generator) - 1
    return (torch.randint(1, 51, shape, generator=generator) * signs).requires_grad_()


@exercise(minutes=10, level="medium",
          hints=("Work on one channel at a time: `a[:, i]` has the shape N x H x W.",
                 "The neighbours are the slice `a[:, first : last + 1]`. What are first and last for the first "
                 "channel? A slice may end behind the last channel, but a negative start counts from the end.",
                 "Start the slice at `max(0, i - n // 2)` and end it at `i + n // 2 + 1`. Square it, and sum over "
                 "dimension 1."),
          cases=lambda rng: [(loud_maps(rng, batch, channels, *size), n, rng.randint(10, 99) / 10000,
                              rng.randint(60, 90) / 100, rng.randint(15, 30) / 10)
                             for batch, channels, size, n in ((1, 6, (1, 1), 3), (2, 9, (4, 5), 5), (3, 12, (2, 1), 3),
                                                              (1, 3, (2, 3), 5), (2, 4, (3, 2), 1),
                                                              (1, 70, (1, 1), 9))])
def normalise(a, n, alpha, beta, k):
    """Local response normalisation as the paper prints it, on maps `a` of N x C x H x W; n is odd."""
    out = torch.empty_like(a)
    for i in range(a.shape[1]):
        near = a[:, max(0, i - n // 2):i + n // 2 + 1]  # fewer than n at both ends
        out[:, i] = a[:, i] / (k + alpha * near.square().sum(dim=1)) ** beta
    return out


normalise.mistakes_as_edits(
    ("near.square().sum(dim=1)", "(near.square().sum(dim=1) - a[:, i] ** 2)",
     "You leave out the channel itself. It is one of the n."),
    ("alpha *", "alpha / n *",
     "Your alpha is divided by n, which gives the mean of the squares. PyTorch's layer does that; the paper prints a "
     "sum."),
    ("(k + alpha * near.square().sum(dim=1))", "(1 + n * alpha / n * near.square().sum(dim=1))",
     "Your k is 1, whatever is given. PyTorch's layer has `k=1` unless it is told: alpha alone is not enough."),
    ("(k + alpha * near.square().sum(dim=1))", "(1 + alpha / n * near.square().sum(dim=1))",
     "Two numbers of PyTorch's layer: its k is 1 unless it is told, and it divides alpha by n."),
    ("** beta", "** 0.75", "Your power is 0.75, whatever is given."),
    ("alpha * near.square().sum(dim=1)", "near.square().sum(dim=1)", "Alpha is missing: it multiplies the sum."),
    ("(k + alpha * near.square().sum(dim=1))", "(alpha + k * near.square().sum(dim=1))",
     "You exchanged k and alpha: alpha multiplies the sum, k is added."),
    ("(k + alpha", "(alpha", "The k is missing: it is added to the sum, inside the brackets."),
    (") ** beta", ") * beta", "You multiply by beta. The brackets are raised to the power beta."),
    ("/ (k", "* (k", "You multiply by the brackets. The channel is divided by them."),
    ("out[:, i] = a[:, i]", "out[:, i] = 1", "You leave out the channel itself, which stands above the line."),
    ("out[:, i] = a[:, i]", "out[:, i] = a[:, i].square()",
     "You squared the channel above the line. Only the neighbours in the sum are squared."),
    (".square()", ".abs()", "You take the neighbours without their sign. They are squared."),
    ("near.square().sum(dim=1)", "near.sum(dim=1).square()", "You square the sum. It is the sum of the squares."),
    ("near.square().sum(dim=1)", "near.square().mean(dim=1)",
     "You took the mean of the squares. The paper prints a sum, which is smaller at the ends."),
    ("near.square().sum(dim=1)", "near.square().sum(dim=1).sqrt()",
     "You took the root of the sum. The power beta alone stands in the formula."),
    ("a[:, max(0, i - n // 2)", "torch.cat([out[:, :i], a[:, i:]], 1)[:, max(0, i - n // 2)",
     "The neighbours before a channel are normalised already when you read them. Take the squares from `a`."),
    ("i + n // 2 + 1", "min(a.shape[1] - 1, i + n // 2 + 1)",
     "Your window never reaches the last channel: a slice ends *before* its second number, so its end may be "
     "`a.shape[1]`."),
    ("max(0, i - n // 2)", "i", "i + n // 2 + 1", "i + n",
     "Your neighbours are those behind the channel only. Half of them stand before it."),
    ("max(0, i - n // 2)", "max(0, i - n + 1)", "i + n // 2 + 1", "i + 1",
     "Your neighbours are those before the channel only. Half of them stand behind it."),
    ("max(0, i - n // 2)", "max(0, i - n // 2 + 1)", "The first neighbour is missing: begin at `i - n // 2`."),
    ("max(0, i - n // 2)", "max(0, i - n)", "i + n // 2 + 1", "i + n + 1",
     "You took n channels on each side, and the channel itself. n counts them all: n // 2 on each side."),
    ("return out", "return out.relu()", "You set negative values to zero. The normalisation keeps the sign."),
    ("torch.empty_like(a)", "torch.empty_like(a); a = a.relu()",
     "You set negative values to zero. Whether a ReLU stands before it is no matter of the normalisation."),
    ("i + n // 2 + 1", "i + n // 2", "The last neighbour is missing: a Python slice ends before its second number."),
    ("i + n // 2 + 1", "min(a.shape[1] - 1, i + n // 2)",
     "The last neighbour is missing. You end the slice at the last index of the sum, as the paper's formula has it, "
     "and a Python slice ends before its second number."),
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
    ("(k + alpha * near.square().sum(dim=1)) ** beta",
     "(2 + 1e-4 * a[:, max(0, i - 2):i + 3].square().sum(dim=1)) ** 0.75",
     "You take the paper's numbers. The function is given its own."),
    ("** beta", "** 0.5", "You take a root. The brackets are raised to the power beta."),
    ("(k + alpha * near.square().sum(dim=1))", "(alpha * (k + near.square().sum(dim=1)))",
     "You multiply k by alpha as well. Alpha multiplies the sum alone."),
    ("alpha * near.square().sum(dim=1)) ** beta", "alpha * near.square().sum(dim=1) ** beta)",
     "You raise the sum alone to the power beta. All that stands in the brackets is raised."),
    ("alpha *", "alpha / n**2 *", "Your alpha is divided by n twice. PyTorch's layer divides once: multiply by n."),
    ("near.square().sum(dim=1)", "sum(a[j].square() for j in range(len(a)))[i].expand_as(a[:, i])",
     "You add up over the images of the batch. Each image is normalised by itself, over its channels."),
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
          observe=lambda net, n_in, n_out, groups: behaviour(net, 300 * torch.randn(2, n_in, 12, 13),
                                                             300 * torch.randn(1, n_in, 11, 14)))
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
     "You gave PyTorch's layer the paper's alpha. It divides alpha by its `size`, 5, first, so its brake is five "
     "times too weak."),
    ("LocalResponseNorm()", "nn.LocalResponseNorm(3, alpha=3e-4, beta=0.75, k=2.0)",
     "Your normalisation adds up 3 channels. The paper adds up 5."),
    ("LocalResponseNorm()", "nn.LocalResponseNorm(5)",
     "You used PyTorch's layer with its own numbers. Its k is 1, and its alpha is divided by its `size`, 5."),
    ("LocalResponseNorm()", "nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75)",
     "You gave PyTorch's layer five times alpha, as it needs, and forgot k: its own is 1, the paper's is 2."),
    ("LocalResponseNorm()", "nn.LocalResponseNorm(n_out, alpha=1e-4 * n_out, beta=0.75, k=2.0)",
     "Your sum runs over more channels: the first number of PyTorch's layer is that of the neighbours, 5 in the "
     "paper."),
    ("LocalResponseNorm()", "nn.LocalResponseNorm(n_out, alpha=5e-4, beta=0.75, k=2.0)",
     "Your layer takes `n_out` for the number of neighbours. The paper has 5."),
    ("LocalResponseNorm()", "nn.LocalResponseNorm(5, alpha=1e-4 * n_out, beta=0.75, k=2.0)",
     "You multiplied alpha by the number of channels. PyTorch's layer divides it by its `size`, 5: multiply by 5."),
    ("LocalResponseNorm(), ", "LocalResponseNorm(), LocalResponseNorm(), ", "You normalise twice."),
    ("LocalResponseNorm()", "nn.Unflatten(1, (groups, -1)), nn.Flatten(0, 1), LocalResponseNorm(), "
     "nn.Unflatten(0, (-1, groups)), nn.Flatten(1, 2)",
     "You normalise each group by itself. The groups belong to the convolution; neighbours are counted over all "
     "channels."),
    ("LocalResponseNorm()", "nn.BatchNorm2d(n_out)",
     "You normalise with batch normalisation, which came three years later. The paper's is local response "
     "normalisation."),
    ("LocalResponseNorm(), nn.MaxPool2d(3, 2)", "LocalResponseNorm()", "The pooling is missing."),
    ("MaxPool2d(3, 2)", "AvgPool2d(3, 2)", "Your pooling takes the mean. AlexNet's takes the largest value."),
    ("MaxPool2d(3, 2)", "MaxPool2d(3, 2, ceil_mode=True)",
     "Your pooling rounds up (`ceil_mode`): its last window hangs over the edge. AlexNet's has to fit in."),
    ("MaxPool2d(3, 2)", "MaxPool2d(3, 2, 1)", "Your pooling has a padding. AlexNet's has none."),
    ("MaxPool2d(3, 2)", "MaxPool2d(3)", "Your pooling takes steps of 3, as without a second number. They should be 2."),
    ("groups=groups", "groups=groups, bias=False", "The convolution has no bias."),
    ("nn.ReLU(), ", "nn.Tanh(), ", "You bend with tanh. AlexNet has a ReLU here."),
    ("groups=groups", "groups=n_in", "Each channel is a group of its own here. The function is given their number."),
    ("n_out, 5, padding=2", "n_out, 3, padding=1", "Your kernel is 3x3. conv2 has 5x5."),
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
          cases=lambda rng: [(3, 2, 2), (256, 256, 224), (300, 256, 224), (256, 341, 227), (1500, 1200, 1100)] + [
              (rng.randint(40, 60), rng.randint(61, 90), rng.randint(20, 39)) for _ in range(3)])
def views(height, width, crop):
    """How many different windows of crop x crop pixels does a photograph of height x width pixels hold, mirrored ones
    counted?"""
    return 2 * (height - crop + 1) * (width - crop + 1)


views.mistakes_as_edits(
    ("height - crop + 1", "height - crop",
     "Down you count the steps of the window. The place where it starts counts too, as across."),
    ("width - crop + 1", "width - crop",
     "Across you count the steps of the window. The place where it starts counts too, as down."),
    ("(height - crop + 1) * (width - crop + 1)", "(height - crop + 1) ** 2",
     "You square the places down. There are more places across, or fewer."),
    ("(height - crop + 1) * (width - crop + 1)", "(width - crop + 1) ** 2",
     "You square the places across. There are more places down, or fewer."),
    ("(height - crop + 1) * (width - crop + 1)", "(max(height, width) - crop + 1) ** 2",
     "You took the photograph for a square of its longer side."),
    ("(height - crop + 1) * (width - crop + 1)", "(height // crop) * (width // crop)",
     "You lay the windows side by side. They may overlap: the window moves by single pixels."),
    ("return 2 * (height - crop + 1) * (width - crop + 1)", "return (height - crop + 1) * (width - crop + 1) + 2",
     "You add two. Each window has a mirrored one: multiply."),
    ("2 *", "8 *", "You turn the windows as well. AlexNet swaps left and right only."),
    ("(height - crop + 1) * (width - crop + 1)", "height * width",
     "You count every pixel as a place. A window near the edge would hang over it."),
    ("(height - crop + 1) * (width - crop + 1)", "((height - crop) * (width - crop) + 1)",
     "You add the one at the end. Along each side there is one place more than steps: add before you multiply."),
    ("height - crop + 1", "height - crop - 1", "width - crop + 1", "width - crop - 1",
     "You take one off the steps. There is one place more than steps."),
    ("height - crop + 1", "height - crop + 2", "width - crop + 1", "width - crop + 2",
     "You count two places more than steps. There is one more."),
    ("height - crop + 1", "height - crop", "width - crop + 1", "width - crop",
     "You count as the paper does: the steps that a window can take. The place where it starts counts too."),
    ("return 2 * (height - crop + 1) * (width - crop + 1)", "return (height - crop + 1) * (width - crop + 1) + 1",
     "You add one. Each window has a mirrored one: multiply."),
    ("return 2 * (height - crop + 1) * (width - crop + 1)", "return 2 * (height * width - crop * crop + 1)",
     "You subtract the pixels of the window. It is places that count, down and across each by themselves."),
    ("2 * ", "", "The mirrored windows are missing."),
    ("2 *", "4 *",
     "You mirrored in both directions. AlexNet swaps left and right only: photographs do not stand on their heads."),
    ("(height - crop + 1) * (width - crop + 1)", "(min(height, width) - crop + 1) ** 2",
     "You took the photograph for a square. It has more places across than down, or fewer."),
    ("(height - crop + 1) * (width - crop + 1)", "(height - crop + 1 + width - crop + 1)",
     "You added the places down and across. Each place down goes with every place across."))


def colours(rng, n):
    """n images, directions at right angles, three deviations, and strengths for each image. Channels hold 0 and 1, so
    that clipping shows."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    images = torch.rand(n, 3, 1 if n == 1 else 4, 2 if n == 1 else 5, generator=generator).round(decimals=1)
    images[..., 0, :2] = torch.tensor([0.0, 1.0])
    directions = torch.linalg.qr(torch.randn(3, 3, generator=generator)).Q.round(decimals=2)
    strengths = torch.randint(3, 25, (n, 3), generator=generator) / 10
    signs = 2 * torch.randint(2, (n, 3), generator=generator) - 1
    signs[:, 0], signs[0, 0] = 1, -1  # an image of each sign at least
    return images, directions, torch.tensor([0.5, 0.2, 0.05]), strengths * signs


@exercise(minutes=8, level="medium",
          hints=("Each image is shifted by one colour: three numbers, the same for all its pixels.",
                 "The shift of one image is `directions @ (strength * spread)`: so much of each column.",
                 "For all images at once: `(strengths * spread) @ directions.T` is N x 3. Two more axes of length 1 "
                 "make it fit to N x 3 x H x W."),
          cases=lambda rng: [colours(rng, n) for n in (1, 3, 4, 9)])
def relight(images, directions, spread, strengths):
    """PCA colour noise on a batch. images: N x 3 x H x W; directions: 3 x 3, one a column; spread: 3 standard
    deviations; strengths: N x 3, for each image how many standard deviations along each direction. Do not clip."""
    return images + ((strengths * spread) @ directions.T)[:, :, None, None]


relight.mistakes_as_edits(
    ("directions.T", "directions", "You took the rows of `directions` for the directions. They are its columns."),
    ("((strengths * spread) @ directions.T)", "(directions @ (strengths * spread).T).reshape(-1, 3)",
     "`directions @ ... .T` has a column for each image. Transpose it: a `reshape` mixes the colours of different "
     "images."),
    ("images + ((strengths * spread) @ directions.T)", "images - ((strengths * spread) @ directions.T)",
     "You subtract the colour. It is added."),
    ("strengths * spread", "strengths + spread", "You add strengths and deviations. They are multiplied."),
    ("strengths * spread", "strengths / spread", "You divide by the deviations. The strengths are multiplied by them."),
    ("* spread", "* spread.sqrt()",
     "You took the roots of `spread`. It holds standard deviations already, not variances."),
    ("((strengths * spread) @ directions.T)", "((strengths @ directions.T) * spread)",
     "You multiply by the deviations behind the directions: they belong to the directions, not to the colours."),
    ("((strengths * spread) @ directions.T)", "((strengths * spread) @ directions.T).sum(1, keepdim=True)",
     "You shift all three colours by their sum. Each colour has its own shift."),
    ("((strengths * spread) @ directions.T)", "((strengths * spread) @ directions.T).mean(0, keepdim=True)",
     "You shift all images by the mean of the batch. Each has strengths of its own."),
    ("strengths *", "strengths[-1:] *", "All images get the shift of the last one. Each has strengths of its own."),
    ("((strengths * spread) @ directions.T)", "((strengths * spread) @ directions.T).flip(1)",
     "Red and blue are exchanged in your shift."),
    ("((strengths * spread) @ directions.T)", "((strengths * spread) @ directions.T).flip(0)",
     "Each image gets the shift of another one: the order of the batch is turned round."),
    ("images + ((strengths", "images * ((strengths", "You multiplied the pixels by the colour. It is added."),
    ("images + ((strengths", "0 * images + ((strengths", "You return the shift. It has to be added to the images."),
    ("directions.T)", "directions.T / 255)", "You divide by 255. Images and strengths are in the same units here."),
    ("strengths *", "torch.randn_like(strengths) *", "You draw strengths of your own. They are given."),
    ("strengths *", "strengths.abs() *", "You drop the sign of the strengths. Negative ones shift the other way."),
    ("(strengths * spread) @ directions.T", "(strengths * spread)[:, :1] @ directions.T[:1]",
     "You go along the first direction only. There are three."),
    ("((strengths * spread) @ directions.T)", "((strengths * spread) @ directions.T).mean(1, keepdim=True)",
     "You shift all three colours by their mean. Each colour has its own shift."),
    (" * spread", "",
     "The spread is missing: all three directions are shifted alike, also the one in which photographs hardly differ."),
    ("* spread", "* spread**2",
     "You multiplied by the variances. `spread` holds standard deviations, and the strengths count in these."),
    ("strengths *", "strengths.cumsum(0) *",
     "The shifts of the images before are still in yours: they add up along the batch."),
    ("strengths *", "strengths[:1] *", "All images get the shift of the first one. Each has strengths of its own."),
    ("images +", "images + images *",
     "You multiplied the pixels. The colour is added, so that dark pixels move as far as bright ones."),
    (" @ directions.T", "",
     "You shifted red by the first strength, green by the second and blue by the third. The directions are mixtures "
     "of the three colours."),
    ("images + ", "torch.clamp(images + ", "None, None]", "None, None], 0, 1)",
     "The shift is right. But you clipped the result, and the task leaves that to whoever shows the images."))


def masked(rng, rows, p, training):
    """Outputs of both signs, in each row of which some are kept and some dropped, not the same in the next row."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    keep = torch.rand(rows, 6, generator=generator) >= p
    keep[:, 0] = torch.arange(rows) % 2 == 0
    keep[:, 1] = ~keep[:, 0]
    x = torch.randint(-9, 10, (rows, 6), generator=generator) / 10 + 0.05
    return x.requires_grad_(), keep, p, training


@exercise(minutes=5, level="medium",
          hints=("Two cases. Which of them uses `keep`?",
                 "In training a share of 1 - p of the units speaks, and the layers behind get used to such sums.",
                 "In training the kept outputs stay as they are. In evaluation `keep` plays no part: all outputs are "
                 "multiplied by the probability of being kept."),
          cases=lambda rng: [masked(rng, rows, p, training)
                             for rows, p in ((1, 0.5), (1, 0.2), (7, rng.randint(60, 90) / 100))
                             for training in (True, False)]
              + [(masked(rng, 2, 0.3, False)[0], torch.ones(2, 6, dtype=torch.bool), 0.3, False)])
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
    ("x * keep if", "x * keep / p if", "(1 - p) * x", "x",
     "You divide by p in training, the share that is dropped. The paper scales in evaluation, by the share that is "
     "kept."),
    ("x * keep if", "x * keep * (1 - p) if", "(1 - p) * x", "x",
     "You make the outputs smaller in training. The paper does so in evaluation."),
    ("x * keep if", "x * keep * (1 - p) if",
     "You make the outputs smaller in training as well. Evaluation alone scales."),
    ("x * keep if training else (1 - p) * x", "(1 - p) * x if training else x * keep",
     "Training and evaluation are exchanged: units are dropped in training."),
    ("x * keep if", "x * keep * p if", "You multiply by p in training. There the kept outputs stay as they are."),
    ("(1 - p)", "0.5", "You multiply by one half, whatever p is."),
    ("x * keep if training else (1 - p) * x", "(1 - p) * x",
     "You never drop anything: in training `keep` says what goes."),
    ("x * keep if training else (1 - p) * x", "x", "Nothing is dropped and nothing is scaled."),
    ("x * keep if", "x[keep] if",
     "In training you return the kept outputs only. The shape stays: what is dropped becomes "
     "zero."),
    ("(1 - p) * x", "x - p", "In evaluation you subtract p. The outputs are multiplied by 1 - p."),
    ("(1 - p) * x", "x / p", "In evaluation you divide by p. The outputs are multiplied by 1 - p."),
    ("(1 - p) * x", "keep.float().mean() * x",
     "In evaluation you scale by the share that the dice have left here. It is the probability that counts, 1 - p."),
    ("x * keep if", "x * (torch.rand_like(x) >= p) if",
     "You throw dice of your own in training. Use `keep`, which says how they fell."),
    ("x * keep if training else (1 - p) * x", "x * keep * (1 - p)",
     "You drop and scale whatever `training` says. It drops in training and scales in evaluation."),
    ("x * keep", 'x.masked_fill(~keep, float("-inf"))',
     "What is dropped becomes minus infinity, as before a softmax. A dropped output is zero."),
    ("x * keep", "x * keep[:1]", "All rows drop what the first one does. `keep` says it for each output."),
    ("x * keep", "x * keep[:, :1]", "You drop whole rows. `keep` says it for each output."),
    ("x * keep", "torch.where(keep, x, x.mean())", "What is dropped becomes the mean. A dropped output is zero."),
    ("* keep", "* ~keep", "Your mask is the wrong way round: `keep` is true for the outputs that stay."))
