"""Exercises of lesson 1."""

import torch
import torch.nn.functional as F
from torch import nn

from .. import arithmetic
from . import exercise, named
from .checking.networks import behaviour
from .checking.values import WrongForm, describe


def picture(rng, height, width):
    """A grey image of random numbers, of few digits, so that a message can write them."""
    return torch.tensor([[rng.choice((-1, 1)) * rng.randint(1, 9) / 10 for _ in range(width)] for _ in range(height)])


def of_kernel(kernel, rows, columns):
    if not isinstance(kernel, torch.Tensor) or kernel.shape != (5, 5):
        raise WrongForm(f"A kernel is asked for, a tensor of 5 x 5. Your answer gives {describe(kernel)}.")
    row, column = divmod(kernel.abs().argmax().item(), 5)
    return {"how many entries are not zero": kernel.count_nonzero().item(), "the row of the 1": row,
            "the column of the 1": column, "the sum of the kernel": kernel.sum().item(), "the kernel": kernel}


@exercise(minutes=4, level="easy",
          hints=("The kernel that moves nothing has its 1 in the middle, in row 2 and column 2 counted from 0.",
                 "An output is a sum over the window around it. A 1 to the right of the middle fetches the pixel from "
                 "the right. Where does the picture go then?",
                 "To move the picture to the right, fetch from the left: the column of the 1 is `2 - columns`."),
          cases=lambda rng: [(1, 2), (-2, 1), (0, -1), (2, 0), (-1, -2), (0, 0),
                             (rng.randint(-2, 2), rng.randint(-2, 2))],
          observe=of_kernel)
def mover(rows, columns):
    """A kernel, a tensor of 5 x 5, that moves a picture down by `rows` and right by `columns`. Both lie between -2 and
    2; a negative number means up or left."""
    kernel = torch.zeros(5, 5)
    kernel[2 - rows, 2 - columns] = 1
    return kernel


mover.mistakes_as_edits(
    ("2 - rows, 2 - columns", "2 + rows, 2 + columns",
     "The picture moves in the opposite direction. The 1 fetches a pixel from where it stands: one that stands on the "
     "right brings the picture to the left. Only a kernel turned by half a turn, as in mathematics, would do what you "
     "expect."),
    ("2 - rows, 2 - columns", "2 - columns, 2 - rows",
     "Rows and columns are swapped: the first index of a tensor counts rows, from top to bottom."),
    ("2 - rows, 2 - columns", "2 + columns, 2 + rows",
     "Two things at once: rows and columns are swapped, and the picture moves in the opposite direction."),
    ("2 - rows, 2 - columns", "rows, columns",
     "You count from the top left corner of the kernel. The place that moves nothing is its middle, `kernel[2, 2]`."),
    ("2 - columns", "2 + columns",
     "Rows are right, columns go the wrong way. Both axes follow the same rule: the kernel fetches from the opposite "
     "side."),
    ("2 - rows, 2 - columns", "2 - columns, 2 + rows",
     "Two things at once: rows and columns are swapped, and what you make of `rows` has the wrong sign."),
    ("2 - rows, 2 - columns", "2 + columns, 2 - rows",
     "Two things at once: rows and columns are swapped, and what you make of `columns` has the wrong sign."),
    ("2 - rows, 2 - columns", "-rows, -columns",
     "The 1 for no movement stands in the corner here: you count from there. It belongs in the middle, `kernel[2, "
     "2]`."),
    ("2 - rows, 2 - columns", "2 - abs(rows), 2 - abs(columns)",
     "You drop the sign: a negative number moves up or left, a positive one down or right."),
    ("kernel[2 - rows, 2 - columns] = 1", "kernel = torch.roll(torch.eye(5), (-rows, -columns), (0, 1))",
     "`torch.eye` has ones along its whole diagonal. A kernel that moves a picture has a single 1."),
    ("2 - rows, 2 - columns", "2, 2", "Your kernel moves nothing, whatever is asked."),
    ("2 - rows, 2 - columns", "2 - rows, 2", "Your columns stay where they are: only the rows move."),
    ("2 - rows, 2 - columns", "2, 2 - columns", "Your rows stay where they are: only the columns move."),
    ("kernel[2 - rows, 2 - columns] = 1", "kernel[2 - rows, 2] += 0.5; kernel[2, 2 - columns] += 0.5",
     "You move one half of the picture down and the other to the right. One weight does both at once."),
    ("2 - rows, 2 - columns] = 1", "2 - rows, 2 - columns] = kernel[2, 2] = 1",
     "There is a second 1 in the middle: the picture that was not moved is added to the one that was."),
    ("2 - rows", "2 + rows",
     "Columns are right, rows go the wrong way. Both axes follow the same rule: the kernel fetches from the opposite "
     "side."))


@exercise(minutes=10, level="medium",
          hints=("Pad first, with `F.pad(image, (padding,) * 4)`. After that the padding is part of the image.",
                 "Where does the window of output `out[i, j]` begin? Not at row `i`, unless the stride is 1.",
                 "It begins at row `i * stride` and column `j * stride`. The number of rows is "
                 "`(padded height - k) // stride + 1`, and the same holds for the columns."),
          cases=lambda rng: [(picture(rng, 4, 6), picture(rng, 3, 3), 2, 1),
                             (picture(rng, 8, 9), picture(rng, 2, 2), 3, 2),
                             (picture(rng, 5, 1), picture(rng, 1, 1), 1, 0),
                             (picture(rng, 6, 5), picture(rng, 3, 3), 1, 1),
                             (picture(rng, rng.randint(11, 14), 13), picture(rng, 5, 5), 4, 3),
                             (picture(rng, 3, 5), picture(rng, 2, 2), 2, 2)])
def strided(image, kernel, stride, padding):
    """Convolution as in `slide`, with a stride and with zeros around the image. `image` is H x W, `kernel` K x K."""
    image, k = F.pad(image, (padding,) * 4), len(kernel)
    rows, columns = ((n - k) // stride + 1 for n in image.shape)
    out = torch.empty(rows, columns)
    for i in range(rows):
        for j in range(columns):
            window = image[i * stride : i * stride + k, j * stride : j * stride + k]
            out[i, j] = (window * kernel).sum()
    return out


strided.mistakes_as_edits(
    ("window * kernel", "window * kernel.flip(0, 1)",
     "Your kernel is turned by half a turn before it is laid on the image. Mathematics does so; layers, and `slide`, "
     "do not."),
    ("i * stride : i * stride + k, j * stride : j * stride + k", "i : i + k, j : j + k",
     "The output has the right size, but your windows lie side by side, one pixel apart. The stride is missing where "
     "you cut the window out."),
    ("i * stride : i * stride + k, j * stride", "i * stride : i * stride + k, j", "j * stride + k", "j + k",
     "The rows of your windows follow the stride, the columns do not: a window begins at column `j * stride`."),
    ("i * stride : i * stride + k, j", "i : i + k, j",
     "The columns of your windows follow the stride, the rows do not: a window begins at row `i * stride`."),
    ("(window * kernel).sum()", "(window * kernel).max()",
     "You take the largest product, as a pooling does. A convolution takes the sum of the products."),
    ("(window * kernel)", "(window + kernel)", "You add window and kernel. They are multiplied, entry by entry."),
    ("(window * kernel)", "(window @ kernel)",
     "`@` multiplies matrices. Window and kernel are multiplied entry by entry, with `*`."),
    ("(n - k) // stride + 1", "(n - k) // stride",
     "Your output lacks its last row and its last column: a window that takes three steps has stood in four places."),
    ("(n - k) // stride + 1", "-(-(n - k) // stride) + 1",
     "You round up, so that the last window would hang over the edge. A window has to fit inside: round down."),
    ("for n in image.shape)", "for n in (image.shape[0] - 2 * padding, image.shape[1] - 2 * padding))",
     "You count the places in the image as it came. There are more of them in the padded one."),
    ("(padding,) * 4", "(padding, padding)",
     "Your padding stands left and right only. `F.pad` takes four numbers: left, right, top, bottom."),
    ("(padding,) * 4", "(0, 0, padding, padding)",
     "Your padding stands on top and at the bottom only. `F.pad` takes four numbers: left, right, top, bottom."),
    ("(padding,) * 4", "(0, padding, 0, padding)",
     "Your padding stands on the right and at the bottom only. `F.pad` takes four numbers: left, right, top, bottom."),
    ("(padding,) * 4", "(padding,) * 4, value=1.0", "You surround the image with ones. The task asks for zeros."),
    ("F.pad(image, (padding,) * 4)", 'F.pad(image[None], (padding,) * 4, mode="replicate")[0]',
     "You continue the image over its edge (`replicate`). The task asks for zeros."),
    ("F.pad(image, (padding,) * 4)", "F.pad(image, (0, 2 * padding) * 2)",
     "All your zeros stand on the right and at the bottom. Half of them belong on the other sides."),
    ("sum()", "mean()",
     "Your output is the mean of the products. A convolution takes their sum; a blur has its 1/9 in the kernel."),
    ("(padding,) * 4", "(padding, 0, padding, 0)",
     "Your padding counts on two sides only, on the left and above: `F.pad` takes four numbers (left, right, top, "
     "bottom), and the size of the output is counted from `n + 2 * padding`."),
    ("F.pad(image, (padding,) * 4)", "image",
     "The padding is missing: your windows begin inside the image, not on the zeros around it."),
    ("(n - k) // stride + 1", "(n - k + 1) // stride",
     "Your output lacks its last row or column. The starting place is counted after the division: `(n - k) // stride "
     "+ 1`, not `(n - k + 1) // stride`."),
    ("rows, columns = ((n - k) // stride + 1 for n in image.shape)",
     "rows, columns = (len(image) - k) // stride + 1, image.shape[1] - k + 1",
     "j * stride : j * stride + k", "j : j + k",
     "Your stride moves the window down, but not to the right. It holds for both axes."),
    ("rows, columns = ((n - k) // stride + 1 for n in image.shape)",
     "rows, columns = len(image) - k + 1, (image.shape[1] - k) // stride + 1",
     "i * stride : i * stride + k, j", "i : i + k, j",
     "Your stride moves the window to the right, but not down. It holds for both axes."),
    ("(n - k) // stride + 1", "n - stride * (k - 1)", "i * stride : i * stride + k, j * stride : j * stride + k",
     "i : i + stride * (k - 1) + 1 : stride, j : j + stride * (k - 1) + 1 : stride",
     "You spread the kernel, which is a dilation. A stride moves the whole window on."),
    ("(n - k) // stride + 1", "(n - k) // k + 1", "i * stride : i * stride + k, j * stride : j * stride + k",
     "i * k : i * k + k, j * k : j * k + k",
     "Your windows lie side by side, as in a pooling without a number. They begin a stride apart."),
    ("(n - k) // stride + 1", "-(-(n - stride - k) // stride) + 1", "(padding,) * 4", "(padding, padding + stride) * 2",
     "You round up, and your last windows hang over the padded edge. A window has to fit inside: round down."),
    ("(n - k) // stride + 1", "(n + 2 * padding - k) // stride + 1",
     "You count the padding twice: the image that you divide up is the padded one already."),
    ("image.shape", "[min(image.shape)] * 2",
     "Your output is a square of the shorter side. Rows and columns are counted each by themselves."),
    ("image.shape", "[len(image)] * 2",
     "Your output is a square, but the image need not be one. Rows and columns are counted each by themselves."))


@exercise(minutes=6, level="medium",
          hints=("Look at the figure again: with stride 4 pixels are lost in two kinds of places.",
                 "Find the first pixel of every window: `range(0, n - k + 1, s)`.",
                 "Collect the pixels of all windows in a set, so that none counts twice. What is missing from `n`?"),
          cases=lambda rng: [(10, 3, 4), (11, 3, 5), (12, 5, 2), (10, 3, 3), (13, 3, 5), (9, 5, 2), (1, 1, 1),
                             (6, 1, 7), (23, 4, 6), (3, 3, 5), (300, 4, 7),
                             (rng.randint(12, 40), rng.randint(1, 6), rng.randint(1, 8))])
def never_seen(n, k, s):
    """How many of `n` pixels in a row lie in no window, for kernel `k` and stride `s`, without padding? The stride may
    be larger than the kernel."""
    seen = {start + i for start in range(0, n - k + 1, s) for i in range(k)}
    return n - len(seen)


never_seen.mistakes_as_edits(
    ("n - len(seen)", "max(0, s - k) * ((n - k) // s) + n % s",
     "What is left over at the right edge is `(n - k) % s`: the last window begins where one still fits."),
    ("n - len(seen)", "n - ((n - k) // s + 1) * min(k, s)",
     "You count min(k, s) new pixels for each window. The last window has no neighbour behind it and shows all its k."),
    ("n - len(seen)", "(n - k) % s",
     "You count the remainder at the right edge. Where the stride is larger than the kernel, pixels are also lost "
     "between two windows."),
    ("n - len(seen)", "(n - k) // s * max(0, s - k)",
     "You count the gaps between the windows. The remainder at the right edge is missing."),
    ("n - k + 1, s", "n - k, s",
     "You lose the last window where it ends exactly at the edge: `range` stops before its second number, so it must "
     "be `n - k + 1`."),
    ("range(0, n", "range(s, n",
     "One window is missing: the first, if yours begin at column `s` instead of 0, or the last. There are "
     "`(n - k) // s + 1` of them."),
    ("n - k + 1, s", "n, s",
     "Your windows go over the edge. A window has to fit in: it begins at `n - k` at the latest."),
    ("n - k + 1, s) for i in range(k)}", "n, s) for i in range(k) if start + i < n}",
     "Your last window hangs over the edge, and what it sees inside counts as seen. A window has to fit in."),
    ("range(k)}", "range(k + 1) if start + i < n}", "Your windows are one pixel too wide."),
    ("n - len(seen)", "n - k - (n - k) / s * min(s, k)",
     "You divide with `/`. Windows are whole ones: divide with `//`."),
    ("return n - len(seen)", "return len(seen)", "You count the pixels that are seen. The others are asked for."),
    ("n - len(seen)", "(n - k) % s + (s - k) * ((n - k) // s)",
     "Where windows overlap, your gaps become negative. A gap has `max(0, s - k)` pixels."),
    ("n - len(seen)", "(n - k) % s + max(0, s - k)",
     "You count one gap only. There is one behind each window but the last."),
    ("n - len(seen)", "(n - k) % s if s <= k else (s - k) * ((n - k) // s)",
     "Where there are gaps, you forget the remainder at the right edge."),
    ("n - len(seen)", "0 if s <= k else n - ((n - k) // s + 1) * k",
     "With a small stride there are no gaps, but pixels may be left over at the right edge."),
    ("n - len(seen)", "((n - k) // s + 1) * max(0, s - k)",
     "You count a gap behind the last window too, and not the remainder at the right edge."),
    ("n - len(seen)", "max(0, n - ((n - k) // s + 1) * k)",
     "You subtract `k` pixels for each window and cut off at zero. Where windows overlap, a pixel counts only once."),
    ("n - len(seen)", "n - ((n - k) // s + 1) * s",
     "You subtract a stride for each window. A window sees `k` pixels; how far it jumps is another matter."),
    ("n - len(seen)", "n - ((n - k) // s + 1)", "You count places of the window. Each window sees `k` pixels."),
    ("n - len(seen)", "n % s",
     "You divide the whole length. The first window takes `k` pixels, and only what is left is divided into steps."),
    ("n - len(seen)", "n - ((n - k) // s + 1) * k",
     "You subtract `k` pixels for each window. Where windows overlap, a pixel lies in several of them and counts only "
     "once."),
    ("n - len(seen)", "(n - k) % s + ((n - k) // s + 1) * max(0, s - k)",
     "You count one gap too many. Between four windows there are three gaps; what lies behind the last one is the "
     "remainder, and you have that already."))


def convolution(layer):
    """The layer, where it is the `nn.Conv2d` that the task asks for."""
    if not isinstance(layer, nn.Conv2d):
        raise WrongForm(f"One layer is asked for, an `nn.Conv2d`. Your answer gives {describe(layer)}.")
    return layer


@exercise(minutes=5, level="easy",
          hints=("How many pixels does a kernel of `k` weights cover when they stand `d` apart?",
                 "It covers d(k-1)+1. Such a window costs d(k-1) rows, and padding gives back two for each unit. "
                 "Divide with `//`: layers take whole numbers only.",
                 "`nn.Conv2d(n_in, n_out, k, padding=..., dilation=d)`. Try your padding with k = 3 and with k = 5."),
          cases=lambda rng: [(2, 3, 3, 2), (2, 2, 5, 2), (3, 2, 7, 1), (1, 2, 3, 5), (2, 1, 11, 2),
                             (rng.randint(1, 4), rng.randint(1, 4), rng.choice((3, 5)), 3)],
          observe=lambda net, n_in, n_out, k, d: behaviour(convolution(net), torch.randn(2, n_in, 45, 47),
                                                           torch.randn(1, n_in, 21, 20)))
def keep_size(n_in, n_out, k, d):
    """A convolution from `n_in` to `n_out` channels, stride 1, with an odd kernel `k`, dilation `d` and a bias. The map
    keeps its size."""
    return nn.Conv2d(n_in, n_out, k, padding=d * (k - 1) // 2, dilation=d)


keep_size.mistakes_as_edits(
    ("d * (k - 1) // 2", "k // 2",
     "Your padding fits a kernel whose weights are neighbours. With dilation the window is wider, and the map "
     "shrinks."),
    ("d * (k - 1) // 2, dilation=d", "k // 2",
     "The size is right, but your layer has no dilation: it looks at direct neighbours."),
    ("d * (k - 1) // 2", "d", "Padding equal to the dilation is right for kernels of 3 alone."),
    ("k, padding", "d * (k - 1) + 1, padding", ", dilation=d", "",
     "Your kernel fills the whole window with weights. Dilation means that there are still only `k` of them in a row, "
     "with gaps between."),
    (" // 2", "",
     "The map grows. The number that you give as `padding` is added on each side, so it is half of what the window "
     "costs."),
    ("dilation=d", "dilation=d, bias=False", "The bias is missing."),
    ("// 2", "/ 2", "`/` gives 2.0 and the like, and a layer takes whole numbers only: divide with `//`."),
    ("d * (k - 1) // 2", "d * k // 2",
     "Your padding is half of d*k. A dilated kernel covers d(k-1)+1 pixels and costs d(k-1): there are gaps between "
     "the weights, none behind the last."),
    (", padding=d * (k - 1) // 2", "", "The padding is missing: the map shrinks by d(k-1) rows and columns."),
    ("padding=d * (k - 1) // 2, dilation=d", "stride=d, padding=d * (k - 1) // 2",
     "You gave `d` to the stride, which makes the map smaller. It is the dilation."),
    ("n_in, n_out, k, padding", "n_out, n_in, k, padding", "Your layer takes `n_out` channels and gives `n_in`."),
    ("dilation=d", 'dilation=d, padding_mode="reflect"',
     "Your padding mirrors the map at its edge. As everywhere in this lesson it should hold zeros."),
    ("dilation=d", 'dilation=d, padding_mode="replicate"',
     "Your padding repeats the edge of the map. As everywhere in this lesson it should hold zeros."),
    ("dilation=d", 'dilation=d, padding_mode="circular"',
     "Your padding continues the map on its other side. As everywhere in this lesson it should hold zeros."))


@exercise(minutes=3, level="easy",
          hints=("Two layers, so the formula is used twice. What goes into the second?",
                 "First `(n + 4 - 11) // 4 + 1`. The pooling takes that number, and has no padding.",
                 "`size(size(n, 11, 4, 2), 3, 2)`."),
          cases=lambda rng: [*((n,) for n in range(216, 232)), (60,), (rng.randint(60, 500),)])
def stem(n):
    """How many rows are left of `n` after an 11x11 convolution with stride 4 and padding 2, then a 3x3 max pooling with
    stride 2, no padding and PyTorch's rounding?"""
    n = arithmetic.output_size(n, 11, 4, 2)
    return arithmetic.output_size(n, 3, 2)


stem.mistakes_as_edits(
    ("arithmetic.output_size(n, 11, 4, 2)", "n // 4", "arithmetic.output_size(n, 3, 2)", "n // 2",
     "You divide by the strides. A window that has to fit inside the map has fewer places than that: use the formula "
     "for both layers."),
    ("arithmetic.output_size(n, 11, 4, 2)", "(n + 2 - 11) // 4 + 1",
     "In the first layer you add the padding once. It stands on both sides."),
    ("11, 4, 2", "11, 4", "The padding of the convolution is missing."),
    ("arithmetic.output_size(n, 11, 4, 2)", "(n + 4 - 11) // 4", "arithmetic.output_size(n, 3, 2)", "(n - 3) // 2",
     "You count steps. A window that takes three steps has stood in four places: add one, in both layers."),
    ("3, 2", "3, 2, ceil_mode=True",
     "You round up in the pooling. PyTorch rounds down, unless it is told `ceil_mode=True`."),
    ("arithmetic.output_size(n, 11, 4, 2)", "(n + 4 - 11) // 4",
     "In the first layer you count steps. A window that takes three steps has stood in four places: add one."),
    ("return arithmetic.output_size(n, 3, 2)", "return (n - 3) // 2",
     "In the pooling you count steps. A window that takes three steps has stood in four places: add one."),
    ("return arithmetic.output_size(n, 3, 2)", "return n",
     "The pooling is missing: this is what the convolution gives."),
    ("n = arithmetic.output_size(n, 11, 4, 2)", "",
     "The convolution is missing: this is what the pooling alone gives."),
    ("(n, 3, 2)", "(n, 2, 2)", "Your pooling has a window of 2. Here it has 3, with a stride of 2."),
    ("(n, 3, 2)", "(n, 3, 3)", "Your pooling has a stride of 3, as without a number. Here it has 2."),
    ("(n, 3, 2)", "(n, 3)", "Your pooling has no stride. It takes steps of 2."),
    ("n = arithmetic.output_size(n, 11, 4, 2)", "n = -(-(n - 7) // 8)",
     "return arithmetic.output_size(n, 3, 2)", "return n",
     "You round up. A window that does not fit is left out: round down, in both layers."),
    ("return arithmetic.output_size(n, 3, 2)", "return n // 2",
     "You halve in the pooling. A window of 3 that has to fit in has fewer places than half of the rows."),
    ("11, 4, 2", "11, 2, 4", "You exchanged stride and padding of the convolution: the stride is 4, the padding 2."),
    ("11, 4, 2", "11, 4, 4", "Your padding counts four times: 2 stands on each of both sides, 4 in all."),
    ("11, 4, 2)", "11, 4, 2, ceil_mode=True)", "You round up in the convolution. A window has to fit in: round down."),
    ("n = arithmetic.output_size(n, 11, 4, 2)", "n = (n + 4 - 11) / 4 + 1",
     "return arithmetic.output_size(n, 3, 2)", "return (n - 3) / 2 + 1",
     "You divide with `/`. Rows are whole numbers: divide with `//` in both layers."),
    ("n = arithmetic.output_size(n, 11, 4, 2)", "n = (n + 4 - 11) / 4 + 1",
     "return arithmetic.output_size(n, 3, 2)", "return round((n - 3) / 2 + 1)",
     "You round to the nearest number. A window that does not fit is left out: round down, in both layers."),
    ("n = arithmetic.output_size(n, 11, 4, 2)", "n = arithmetic.output_size(n, 11, 8, 2)",
     "return arithmetic.output_size(n, 3, 2)", "return n",
     "You made one convolution with stride 8 of the two layers. The pooling has a window of its own."),
    ("n = arithmetic.output_size(n, 11, 4, 2)", "n = arithmetic.output_size(n, 19, 8, 4)",
     "return arithmetic.output_size(n, 3, 2)", "return n",
     "You made one layer of both, and its window or padding does not fit: both together see 19 pixels, with a padding "
     "of 2."),
    ("return arithmetic.output_size(n, 3, 2)", "return (n - 3) / 2 + 1",
     "In the pooling you divide with `/`. Rows are whole numbers: divide with `//`."),
    ("3, 2", "3, 2, 1", "You give the pooling a padding of 1. Here it has none."),
    ("(n, 3, 2)", "(n, 3, 2, 2)", "You give the pooling the padding of the convolution, 2. Here it has none."))


@exercise(minutes=6, level="medium",
          hints=("Begin with `follow`. Which of its two lines does the dilation change?",
                 "A kernel with dilation covers d(k-1)+1 outputs of the layer before. It adds one less than that, in "
                 "jumps.",
                 "`field + d * (k - 1) * jump`; the jump grows by the stride alone."),
          cases=lambda rng: [([(2, 1, 3)],), ([(3, 2, 1), (2, 1, 1)],), ([(3, 5, 1), (2, 4, 2), (2, 1, 1)],),
                             ([(3, 1, 1), (1, 2, 1), *[(2, 1, 3)] * 10],),
                             ([(3, 1, 1), (3, 1, 2), (3, 1, 4)],), ([(7, 2, 1), (3, 2, 1), (3, 1, 2), (2, 2, 1)],),
                             ([(rng.choice((3, 5)), rng.randint(2, 3), rng.randint(1, 3))
                               for _ in range(4)],)])
def field(chain):
    """The receptive field, in input pixels, of one output after `chain`, a list of layers given as (kernel, stride,
    dilation)."""
    total, jump = 1, 1
    for k, s, d in chain:
        total, jump = total + d * (k - 1) * jump, jump * s
    return total


field.mistakes_as_edits(
    ("d * (k - 1)", "(k - 1)", "The dilation is missing: you treat every kernel as if its weights were neighbours."),
    ("jump * s", "jump * s * d",
     "Your jump grows by the dilation, too. The dilation spreads the weights of its own kernel; neighbouring outputs "
     "stay as far apart as the strides make them."),
    ("jump * s", "jump * d",
     "Your jump grows by the dilation in place of the stride. Strides make neighbouring outputs lie further apart."),
    ("jump * s", "jump + s",
     "You add the strides. Each stride multiplies the jump: after 2 and 2, outputs lie 4 pixels apart."),
    ("jump * s", "jump + s - 1",
     "You add the strides less one. Each stride multiplies the jump: after 2 and 2, outputs lie 4 pixels apart."),
    ("total, jump = 1, 1", "total, jump = 0, 1",
     "You begin with 0. Before any layer an output sees one pixel: itself."),
    ("d * (k - 1) * jump", "d * (k - 1) + 1",
     "You add up the windows. They overlap: each adds one less than its width, in jumps."),
    ("d * (k - 1)", "d * k", "You add d*k for each layer. A dilated kernel reaches d(k-1) further than one pixel."),
    ("d * (k - 1)", "(k - 1 + d - 1)",
     "You add the dilation. It multiplies: between k weights there are k-1 steps of d pixels each."),
    ("d * (k - 1)", "(d + 1) * (k - 1)",
     "Your weights stand d+1 apart. With dilation d they stand d apart; d = 1 is the ordinary kernel."),
    ("d * (k - 1)", "(d - 1) * (k - 1)",
     "Your weights stand d-1 apart. With dilation d they stand d apart; d = 1 is the ordinary kernel."),
    ("in chain", "in reversed(chain)",
     "This is right for the layers in the opposite order. With a jump, which counts the strides of the layers before, "
     "begin with the first layer; with a recursion such as `(r - 1) * s + d * (k - 1) + 1`, begin with the last."),
    ("return total", "return max(d * (k - 1) + 1 for k, s, d in chain)",
     "This is the widest window of a single layer. Each layer sees through those before it, so that they add up."),
    ("jump * s", "jump",
     "The strides are missing. After a layer with stride 2, neighbouring outputs are two input pixels apart, and "
     "every later kernel covers more."),
    ("jump * s", "s", "Your jump is the stride of one layer. It is the product of the strides of all layers before."),
    ("(k - 1) * jump", "(k - 1) * jump * s",
     "You multiply the jump by a layer's own stride before you add its kernel. A kernel spreads over the outputs of "
     "the layer before, so its own stride counts only for those that follow."),
    ("d * (k - 1)", "(d * (k - 1) + 1)",
     "Each layer adds one jump too many: the pixel in which the window begins is already in the field."),
    ("d * (k - 1)", "(d * k - 1)",
     "You take d*k for the width of a dilated kernel. Three weights that stand two apart cover 5 pixels, not 6: there "
     "are gaps between them, none behind the last."))


@exercise(minutes=6, level="medium",
          hints=("How many input channels does one output channel see, when there are `groups` groups?",
                 "One kernel has (n_in / groups) * k * k weights, there are `n_out` kernels, and as many biases.",
                 "MACs: the weights, without the biases, once for every place of the window. Without padding there are "
                 "n - k + 1 places along each axis."),
          observe=named("parameters", "MACs"),
          cases=lambda rng: [(4, 6, 3, 2, 5), (2, 3, 1, 1, 1), (64, 128, 3, 4, 28), (96, 96, 5, 2, 31),
                             (6, 12, 3, 6, 9),
                             (12 * rng.randint(1, 5), 12 * rng.randint(1, 5), 3, rng.choice((2, 3, 4)),
                              rng.randint(8, 60))])
def cost(n_in, n_out, k, groups, n):
    """Two numbers, parameters and MACs, of a grouped convolution with bias, stride 1 and no padding, on an image of
    `n` x `n`."""
    weights = n_out * (n_in // groups) * k * k
    return weights + n_out, weights * (n - k + 1) ** 2


cost.mistakes_as_edits(
    ("return weights + n_out, weights * (n - k + 1) ** 2", "return weights * (n - k + 1) ** 2, weights + n_out",
     "The numbers are right, their order is not: first the parameters, then the MACs."),
    ("weights + n_out, weights *", "weights + n_out, n_out * n_in * k * k *",
     "The parameters are right. Your MACs leave the groups out: an output channel sees the inputs of its group only."),
    ("weights + n_out,", "n_out * n_in * k * k + n_out,",
     "The MACs are right. Your parameters leave the groups out: an output channel sees the inputs of its group only."),
    ("weights + n_out", "weights + n_in", "Your biases are one for each input channel. There is one for each output."),
    ("weights + n_out", "weights + n_out * (n - k + 1) ** 2",
     "You count a bias at each place. A channel has one bias, the same everywhere."),
    ("weights + n_out", "weights + 1", "You count one bias. There is one for each output channel."),
    ("weights + n_out", "weights + groups", "You count one bias a group. There is one for each output channel."),
    ("weights + n_out", "weights + n_out // groups", "You count the biases of one group only."),
    ("(n - k + 1) ** 2", "(n - k + 1)",
     "The parameters are right. For the MACs you count the places along one axis: there are as many along the other."),
    ("n - k + 1", "n - k",
     "The parameters are right. For the MACs you count the steps of the window. It has one more place than steps."),
    ("n - k + 1", "n - k + 3", "The parameters are right. For the MACs you count a padding of 1. Here is none."),
    ("weights * (n", "2 * weights * (n",
     "The parameters are right. For the MACs you count multiplication and addition apart: a MAC is both at once."),
    ("weights + n_out, weights *", "weights + n_out, (n_in // groups) * k * k *",
     "The parameters are right. Your MACs are those of one output channel. There are `n_out`."),
    ("weights + n_out, weights *", "weights + n_out, n_out * k * k *",
     "The parameters are right. Your MACs leave out the channels that come in: each output sums over n_in / groups."),
    ("n_out * (n_in // groups)", "n_out * n_in * groups",
     "You multiply by the groups. Groups save: each output channel sees n_in / groups inputs."),
    ("n_in // groups", "n_in",
     "You count the layer without groups. Each output channel sees the inputs of its own group only."),
    ("n_out * (n_in // groups)", "(n_out // groups) * (n_in // groups)",
     "You divide input and output channels by the groups: that is the cost of one group, and there are several."),
    ("weights + n_out", "weights + n_out * (n_in // groups)",
     "Your weights are right, your biases are too many. An output channel sums over its input channels first and adds "
     "one bias at the end."),
    ("weights + n_out", "weights",
     "The biases are missing among the parameters. There is one for each output channel, with or without groups."),
    ("n - k + 1", "n",
     "The parameters are right. For the MACs you count a window at every input pixel; count the outputs, of which "
     "there are fewer without padding."),
    ("weights * (n", "(weights + n_out) * (n",
     "The parameters are right. Among your MACs are the biases, but adding a bias needs no multiplication: here it "
     "counts as nothing."),
    ("k * k", "k", "Your kernel has `k` weights for each channel. It is a square."))
