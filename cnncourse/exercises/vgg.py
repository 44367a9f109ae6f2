"""Exercises of lesson 4."""

import math
from numbers import Number

import torch
from torch import Tensor, nn

from ..arithmetic import linear_parameters
from ..models.vgg import CONFIGS
from . import exercise
from .checking.networks import behaviour
from .checking.values import WrongForm, describe


def random_row(rng):
    """A random row in the notation of Table 1, with every kind of entry and other kernels."""
    entries = ["3-64", "3-13", "1-256", "LRN", "5-31"] + rng.choices(["3-256", "1-128", "7-64", "LRN"],
        k=rng.randint(3, 6))
    rng.shuffle(entries)
    return "3-64", *(" ".join(entries[i:i + 2]) for i in range(0, len(entries), 2))


@exercise(minutes=3, level="easy",
          hints=("Which entries of a block have weights, and which have none?",
                 "`block.split()` gives the entries of a block. All but LRN are convolutions.",
                 "Sum the convolutions over all blocks. What follows after the last block?"),
          cases=lambda rng: [(("3-64 LRN", "5-13 1-31 3-31"),), (("11-96 LRN", "13-32"),),
              (("LRN 3-8", "1-8 LRN 5-8 LRN", "LRN 1-4 LRN"),),
              (CONFIGS["A"] + ("3-512", "3-8"),), (CONFIGS["A-LRN"],), (CONFIGS["C"],),
              (random_row(rng),)])
def layers_with_weights(blocks):
    """How many layers with weights a VGG network has, with its head. blocks: its row of the table, a text a block."""
    return sum(entry != "LRN" for block in blocks for entry in block.split()) + 3


layers_with_weights.mistakes_as_edits(
    ('entry != "LRN"', "1", "You count LRN. It divides by its neighbours' squares, and has no weights."),
    (" + 3", "", "You count the convolutions only. The head has layers with weights, too."),
    ("+ 3", "+ 3 + len(blocks)", "You count the poolings. A pooling takes the largest value, and has no weights."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())', "len(blocks)",
     "You count each block as one layer. A block holds an entry for each of its convolutions."),
    ('entry != "LRN"', 'entry.startswith("3")',
     "You count the entries that begin with 3 only. A 1x1 convolution, or one of 5x5, has weights like any other."),
    ('entry != "LRN"', 'entry[0] in "31"',
     "You count entries that begin with 3 or 1. A row may have other kernels: all but LRN have weights."),
    ("+ 3", "+ 2",
     "You have one layer too few. The head has three linear layers, two hidden ones and the output; and the first "
     "convolution counts."),
    ("+ 3", "+ 4", "You have one layer too many. The head has three linear layers, two hidden ones and the output."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'sum("LRN" not in block for block in blocks)', "You count blocks, and leave out those that hold an LRN."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'sum(len(block.split()) for block in blocks if "LRN" not in block)',
     "You leave out whole blocks that hold an LRN. Their convolutions count."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'len({entry for block in blocks for entry in block.split()} - {"LRN"})',
     "You count each kind of entry once. Two equal convolutions are two layers."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     "sum(len(block) for block in blocks)", "You count letters. `block.split()` gives the entries of a block."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())', 'sum(b.count("3") for b in blocks)',
     "You count threes, also those in numbers of channels, and leave out other kernels."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'sum(block.count(" ") for block in blocks)', "You count the spaces. A block has one entry more than spaces."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'sum(int(entry[0]) for block in blocks for entry in block.split() if entry != "LRN")',
     "You add up kernel sizes. Each convolution is one layer."),
    ('entry != "LRN"', '2 * (entry != "LRN")', "You count weights and bias as two. They are of one layer."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'sum(len(block.split()) - block.endswith("LRN") for block in blocks)',
     "You leave out an LRN only where it ends a block. It may stand anywhere, and more than once."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'len(" ".join(blocks).split()) - blocks[0].split().count("LRN")',
     "You leave out LRN in the first block only. It may stand anywhere."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'len(" ".join(blocks).split()) - ("LRN" in " ".join(blocks))',
     "You leave out one LRN only. There may be several."),
    ('sum(entry != "LRN" for block in blocks for entry in block.split())',
     'sum(entry != "LRN" for entry in blocks[-1].split())',
     "You count the last block only. Is the count made anew in each turn of the loop?"),
    ('entry != "LRN"', 'entry.split("-")[0] in ("3", "1")',
     "You count kernels of 3 and 1 only. A row may have others: all but LRN have weights."),
    ("+ 3", "+ 1", "Your head has one linear layer. VGG's has two hidden ones before it."))


@exercise(minutes=8, level="medium",
          hints=("Two convolutions, and what stands after each of them?",
                 "A 3x3 window loses one row at each side: `padding=1` gives it back.",
                 "`nn.Sequential(convolution, relu, convolution, relu)`; the second takes what the first has made."),
          cases=lambda rng: [(rng.randint(2, 4), rng.randint(5, 8)), (rng.randint(5, 8), rng.randint(2, 4)), (1, 70),
                             (6, 6)],
          observe=lambda net, n_in, n_out: behaviour(net, torch.randn(3, n_in, 9, 11), torch.randn(1, n_in, 4, 5),
                                                     torch.randn(2, n_in, 3, 1)))
def stack(n_in, n_out):
    """Two 3x3 convolutions, from `n_in` to `n_out` channels, each followed by a ReLU. The map keeps its size."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU())


stack.mistakes_as_edits(
    ("nn.ReLU(),", "",
     "The ReLU between the two convolutions is missing. Without it, both together are one linear 5x5 convolution."),
    ("nn.ReLU(),", "", ", nn.ReLU())", ")",
     "There is no ReLU. Without one, both convolutions together are one linear 5x5 convolution."),
    ("nn.ReLU(),", "nn.Tanh(),", ", nn.ReLU())", ", nn.Tanh())", "You bend with tanh. VGG has a ReLU after each."),
    ("nn.ReLU(),", "nn.LeakyReLU(),", ", nn.ReLU())", ", nn.LeakyReLU())",
     "Your ReLU lets a little of the negative through (`LeakyReLU`). VGG's does not."),
    (", nn.ReLU())", ", nn.Sigmoid())", "Your second activation is a logistic function. VGG has a ReLU after each."),
    ("nn.Sequential(nn.Conv2d", "nn.Sequential(nn.ReLU(), nn.Conv2d", ", nn.ReLU())", ")",
     "Your ReLUs stand before the convolutions. In VGG they stand after them."),
    (", nn.ReLU())", ", nn.ReLU(), nn.MaxPool2d(2))",
     "There is a pooling at the end. It ends a block of VGG; here the map keeps its size."),
    (", nn.ReLU())", ", nn.ReLU(), nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU())",
     "You have three convolutions. Two are asked for."),
    ("n_out, n_out, 3, padding=1", "n_out, n_in, 3, padding=1",
     "Your second convolution goes back to `n_in` channels."),
    ("n_out, n_out, 3, padding=1", "n_out, n_out, 3", "The second convolution has no `padding=1`: the map shrinks."),
    ("n_in, n_out, 3, padding=1", "n_in, n_out, 3", "The first convolution has no `padding=1`: the map shrinks."),
    ("n_in, n_out, 3, padding=1", "n_in, n_out, 3, padding=1, bias=False", "n_out, n_out, 3, padding=1",
     "n_out, n_out, 3, padding=1, bias=False", "The convolutions have no bias. VGG's have one."),
    ("n_in, n_out, 3, padding=1", "n_in, n_out, 3, stride=2, padding=1",
     "Your first convolution has a stride of 2, which halves the map. VGG's convolutions have stride 1."),
    ("nn.ReLU(),", "nn.BatchNorm2d(n_out), nn.ReLU(),", ", nn.ReLU())", ", nn.BatchNorm2d(n_out), nn.ReLU())",
     "There is batch normalisation in your stack. It came after VGG, and the task does not ask for it."),
    ("n_out, n_out, 3, padding=1", "n_in, n_out, 3, padding=1",
     "Your second convolution takes `n_in` channels. It works on what the first has made: `n_out`."),
    (", nn.ReLU())", ")", "The ReLU after the second convolution is missing."),
    ("n_in, n_out, 3, padding=1", "n_in, n_out, 3", "n_out, n_out, 3, padding=1", "n_out, n_out, 3",
     "The map shrinks by two rows and columns at each convolution: give each `padding=1`."),
    ("n_in, n_out, 3", "n_in, n_in, 3", "n_out, n_out, 3", "n_in, n_out, 3",
     "The channels grow in the second convolution. In VGG the first one of a block widens, and the second works on "
     "`n_out` channels."))


@stack.mistake
def one_large(n_in, n_out):
    """This is one 5x5 convolution. It sees the same pixels as two of 3x3, in one layer and with one ReLU fewer."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 5, padding=2), nn.ReLU())


@exercise(minutes=6, level="medium",
          hints=("Follow the image to the head first: what do five poolings leave of its height, and of its width?",
                 "Each pooling halves and drops what is left over. Then `512 * rows * columns` numbers enter the head.",
                 "Three linear layers: to 4096, to 4096, to the classes. `arithmetic.linear_parameters` counts each."),
          cases=lambda rng: [(32, 95, 2), (224, 224, 1000), (100, 150, 10), (479, 257, 33),
                             (rng.randint(64, 300), rng.randint(64, 300), rng.randint(2, 200))])
def head_parameters(height, width, classes):
    """How many parameters VGG's head has, with 4096 hidden units, for images of `height` x `width` pixels."""
    n = 512 * (height // 32) * (width // 32)
    return sum(linear_parameters(*sizes) for sizes in ((n, 4096), (4096, 4096), (4096, classes)))


head_parameters.mistakes_as_edits(
    ("512 * (height // 32) * (width // 32)", "512 * height // 32 * width // 32",
     "Without brackets each `//` divides all that stands before it, and rounds only then. First halve each side, then "
     "multiply."),
    ("(height // 32)", "math.ceil(height / 32)", "(width // 32)", "math.ceil(width / 32)",
     "You round up where an odd map is halved. A pooling of 2 with stride 2 drops the last row and column there."),
    ("512 * (height // 32) * (width // 32)", "25088",
     "Your head always takes 25088 numbers. That is right for images of 224 x 224 only: compute the last map."),
    ("512 * (height // 32) * (width // 32)", "512 * max(7, height // 32) * max(7, width // 32)",
     "You never go below 7 x 7. This head is built for the map that the image leaves, however small."),
    ("512 * (height // 32) * (width // 32)", "512 * (height * width // 1024)",
     "You divide the number of pixels. Rows and columns are rounded down each by themselves."),
    ("height // 32", "height / 32", "width // 32", "width / 32",
     "You divide with `/`. Rows are whole numbers: round down."),
    ("height // 32", "round(height / 32)", "width // 32", "round(width / 32)",
     "You round to the nearest number. A pooling drops what is left over: round down."),
    ("height // 32", "height // 16", "width // 32", "width // 16",
     "You halve four times. VGG has five poolings, the last one before the head."),
    ("height // 32", "height // 64", "width // 32", "width // 64", "You halve six times. VGG has five poolings."),
    ("512 * (height", "256 * (height", "You take 256 channels. The last block of VGG has 512."),
    ("512 * (height", "(height", "You leave out the channels: the last map has 512."),
    ("512 * (height // 32) * (width // 32)", "3 * height * width",
     "Your head reads the image. It reads the last map, behind five poolings."),
    ("512 * (height // 32) * (width // 32)", "512 * (height // 32 + width // 32)",
     "You add rows and columns. A map has rows times columns places."),
    ("height // 32", "width // 32", "You square the width. The image may be higher than it is wide."),
    ("512 * (height // 32) * (width // 32)", "512 * (min(height, width) // 32) ** 2",
     "You take the image for a square of its shorter side."),
    ("(4096, classes)", "(4096, 1000)", "Your last layer has 1000 outputs, whatever is asked."),
    (", (4096, classes))", ")", "The last layer is missing: from 4096 units to the classes."),
    ("(4096, 4096), ", "(4096, 4096), (4096, 4096), ", "Your head has four linear layers. VGG's has three."),
    ("(height // 32)", "(height // 32 + 1)", "(width // 32)", "(width // 32 + 1)",
     "You add one to rows and columns. A pooling that halves drops what is left over, and adds nothing."),
    ("sum(linear_parameters(*sizes) for", "-4096 - classes + sum(linear_parameters(*sizes) for",
     "The biases of the second and the third layer are missing: one for each output."),
    ("sum(linear_parameters(*sizes) for", "4096 - classes + sum(linear_parameters(*sizes) for",
     "Your last layer has 4096 biases. There is one for each class."),
    ("sum(linear_parameters(*sizes)", "sum(math.prod(sizes) + 1",
     "You count one bias a layer. There is one for each output of a linear layer."),
    ("((n, 4096), (4096, 4096), (4096, classes))", "((n, classes),)",
     "Your head has one linear layer. VGG's has three: 4096 units, 4096 units, classes."),
    ("width // 32", "height // 32", "You square the height. The image may be wider than it is high."),
    (" * (height // 32) * (width // 32)", "",
     "Only 512 numbers enter your head. Flattening keeps every position of the last map, for each of 512 channels."),
    ("height // 32", "height // 10", "width // 32", "width // 10",
     "You divide each side by 10. Five poolings halve five times in a row: what is the factor of all five?"),
    ("sum(linear_parameters(*sizes) for sizes in ((n, 4096), (4096, 4096), (4096, classes)))",
     "linear_parameters(n, 4096) + linear_parameters(4096, 4096) + 4096 * classes",
     "The biases of the last layer are missing: one for each class."),
    ("(4096, 4096), ", "",
     "Your head has two linear layers. VGG's has three: there is a layer from 4096 to 4096 units between them."),
    ("linear_parameters(*sizes)", "math.prod(sizes)", "The biases are missing: one for each output of a linear layer."))


@exercise(minutes=8, level="medium",
          hints=("Two numbers go along the chain: how far one output sees, and how far apart two neighbours are (the "
                 "jump).",
                 "A window of k adds (k - 1) jumps. A stride multiplies the jump. A pooling does both, in this order.",
                 "Collect (kernel, stride) of all layers so far, and at the end of each block take the first number of "
                 "`arithmetic.receptive_field`."),
          cases=lambda rng: [(("3-64 LRN", "5-13 1-31 3-31"),), (("LRN 3-8", "1-8 LRN 5-8 LRN", "LRN 1-4 LRN"),),
              (CONFIGS["A"] + ("3-512", "3-8"),), (CONFIGS["A-LRN"],), (CONFIGS["C"],),
              (random_row(rng),)])
def fields(blocks):
    """The receptive field after the pooling of each block, in pixels: a list. blocks: a row written like
    those of the table."""
    field, jump, found = 1, 1, []
    for block in blocks:
        for entry in block.split():
            if entry != "LRN":
                field += (int(entry[0]) - 1) * jump
        field, jump = field + jump, 2 * jump
        found.append(field)
    return found


fields.mistakes_as_edits(
    ("2 * jump", "jump",
     "Each window adds the same in your count. After a pooling two neighbours lie twice as far apart in the image, so "
     "that every later window adds twice as much."),
    ("2 * jump", "jump + 2 if jump > 1 else 2",
     "Your jump grows by two at each pooling. Strides multiply: 2, 4, 8 and so on."),
    ("field + jump", "field", "You let the poolings change the jump only. Their window of 2 sees a neighbour, too."),
    ("field + jump", "field + 2 * jump",
     "You double the jump before you add the pooling's window. The window lies on the map that goes into the pooling."),
    ("2 * jump", "jump + 1", "Your jump grows by one at each pooling. Strides multiply: 2, 4, 8 and so on."),
    ("2 * jump", "jump + 2", "You add the stride of each pooling to the jump. Strides multiply: 2, 4, 8 and so on."),
    ("2 * jump", "3 * jump",
     "Your jump grows by the window of 3. It is the stride of the pooling, 2, that multiplies it."),
    ("field + jump, 2 * jump", "field + 2 * jump, 2 * jump",
     "You give the pooling a window of 3, or its whole width. Its window of 2 reaches one jump further."),
    ("(int(entry[0]) - 1)", "int(entry[0])",
     "Each convolution adds one jump too many: the pixel in which the window begins is in the field already."),
    ("field, jump, found = 1", "field, jump, found = 0",
     "You begin with 0. Before any layer a cell sees one pixel: itself."),
    ('if entry != "LRN":\n                field += (int(entry[0]) - 1)',
     'if True:\n                field += (2 if entry == "LRN" else int(entry[0]) - 1)',
     "You give LRN a window of 3. It looks at other channels of the same pixel, and widens nothing."),
    ("found.append(field)", "found.append(jump)",
     "You give the jumps, how far apart neighbours lie. How far one output sees is asked for."),
    ("found.append(field)", "found.append((field, jump))",
     "Your list holds pairs: `receptive_field` gives the field and the jump. The field alone is asked for."),
    ("field, jump = field + jump, 2 * jump\n        found", "found",
     "for block in blocks:", "for block in blocks:\n        field, jump = field + jump, 2 * jump",
     "Your pooling stands before the convolutions of its block. It ends the block."),
    ("int(entry[0]) - 1", 'int(entry.split("-")[1]) - 1',
     "You read the channels for the kernel. In 3-64 the kernel is 3."),
    ("return found", "return found[-1]", "You return the last field only. A list is asked for, one a block."),
    ("return found", "return found[::-1]", "Your list goes from the last block to the first."),
    ("return found", "return [1] + found", "Your list begins with the pixel itself. One number a block is asked for."),
    ("return found", "return [1] + found[:-1]",
     "Your numbers come one block too late: that is what goes into each block."),
    ("return found", "return [f**2 for f in found]",
     "You count the pixels of the square. How wide it is is asked for."),
    ("return found", "return [f + 1 for f in found]",
     "Each number is one too large. An output sees one pixel before any "
     "layer, and nothing is added at the end."),
    ("return found", "return [f - 1 for f in found]", "Each number is one too small: the pixel itself counts."),
    ("for entry in block.split():", "for entry in block.split()[:1]:",
     "You take the first entry of each block only. Every convolution widens the field."),
    ("for block in blocks:", "for block in blocks:\n        field = 1",
     "You begin anew at each block. What a block sees is spread by all blocks before it."),
    ("for block in blocks:", "for block in blocks:\n        field = jump = 1",
     "You take each block by itself. Its cells see through all blocks before it."),
    ("for block in blocks:", "for block in blocks[::-1]:",
     "You begin with the last block. The image enters the first."),
    ("field, jump = field + jump, 2 * jump\n        found.append(field)",
     "found.append(field)\n        field, jump = field + jump, 2 * jump",
     "Your numbers are those before the pooling of each block. Its window of 2 sees a neighbour, too."),
    ("(int(entry[0]) - 1)", "2", "You count each convolution as 3x3. An entry that begins with 1 sees no neighbour."))


@exercise(minutes=3, level="easy",
          hints=("How many products does one output of this convolution add up?",
                 "That number n is channels that come in, times positions of the window.",
                 "He's variance is 2 / n. The deviation is its square root."),
          cases=lambda rng: [(3, 64, 3), (128, 96, 5), (1, 2, 1), (7, 5, 9), (6, 6, 3),
                             (rng.randint(4, 64), rng.randint(65, 99), rng.choice((3, 5, 7)))])
def he_deviation(n_in, n_out, k):
    """The standard deviation of He's start for the weights of a k x k convolution from `n_in` to `n_out` channels."""
    return math.sqrt(2 / (n_in * k * k))


he_deviation.mistakes_as_edits(
    ("math.sqrt", "", "This is the variance. The standard deviation is its square root."),
    (" * k * k", "", "You count channels only. One output adds up products at each position of the window."),
    ("n_in * k", "n_out * k",
     "You count the channels that go out (fan out). The rule of this lesson asks what one output adds up (fan in)."),
    ("k * k", "k", "You multiply by k once. A window has k rows and k columns."),
    ("n_in * k * k", "k * k", "You leave out the channels: one output adds up all that come in."),
    ("n_in * k", "n_in * n_out * k",
     "You count all weights of the layer. One output adds up n_in * k * k products."),
    ("2 / (n_in", "4 / ((n_in + n_out)",
     "You take the mean of what comes in and goes out. The rule of this lesson asks what one output adds up (fan in)."),
    ("2 /", "6 /", "You take 6 / n, which is the bound of a uniform distribution. The deviation comes from 2 / n."),
    ("2 /", "3 /", "Your variance is 3 / n. He's is 2 / n."),
    ("math.sqrt(2 /", "(2**0.5 /", "You take the root of 2 only. The root of n belongs below the line as well."),
    ("(n_in * k * k)", "n_in * k * k",
     "You divide by the channels and multiply by the window. All of n_in * k * k stands below the line: brackets."),
    ("math.sqrt(2 / (n_in * k * k))", "2 / math.sqrt(n_in * k * k)",
     "You take the root of n only. The 2 stands under the root as well."),
    ("math.sqrt(2 / (n_in * k * k))", "math.sqrt(n_in * k * k / 2)",
     "The fraction is upside down: the more products are added up, the smaller the weights."),
    ("2 / (n_in", "2 * (n_in", "You multiply by n. The more products are added up, the smaller the weights."),
    ("n_in * k * k", "n_in + k * k", "You add channels and positions. There are channels times positions products."),
    ("k * k", "k ** 3", "You multiply by k three times. A window has k rows and k columns."),
    ("math.sqrt(2 / (n_in * k * k))", "1 / math.sqrt(2 * n_in * k * k)",
     "The 2 stands below the line. He's variance is 2 / n, not 1 / (2n)."),
    ("n_in * k", "max(n_in, n_out) * k",
     "You take the larger number of channels. The rule of this lesson asks what one output adds up (fan in)."),
    ("math.sqrt(2 / (n_in * k * k))",
     'nn.init.kaiming_normal_(torch.empty(n_out, n_in, k, k), nonlinearity="relu").std().item()',
     "You draw weights and measure them, which gives another number at each call. The rule itself is asked for."),
    ("k * k))", "k * k + 1))", "You count the bias among the products. It starts at zero."),
    ("math.sqrt(2 / (n_in * k * k))", "1 / math.sqrt(3 * n_in * k * k)",
     "This is PyTorch's own start, which is narrower. He's rule is asked for."),
    ("2 /", "1 /",
     "Your variance is 1 / n. It would suit a linear network: a ReLU cuts away half, and the two makes up for it."),
    ("n_in * k", "(n_in + n_out) * k",
     "This is Glorot's rule, for the mean of inputs and outputs. He's rule counts the inputs, with a 2 for the ReLU."))


def up_to_rounding(loss, counts):
    """The loss. What is 0 for a single class comes out as 1e-7 where it is computed in single precision."""
    number = isinstance(loss, Number) or isinstance(loss, Tensor) and loss.numel() == 1
    return 0.0 if number and abs(loss) < 1e-6 else loss


@exercise(minutes=6, level="medium",
          hints=("What probabilities should a network give, if it must give the same for every image?",
                 "Its best answer is how frequent each class is. An image of class k then costs -ln of that share.",
                 "Weight the cost of each class by its share of the images, and add up."),
          cases=lambda rng: [([90, 10],), ([300, 50, 50, 100],), ([7],), ([30, 50, 20],), ([2, 9] * 40,),
                             ([rng.randint(1, 200) for _ in range(rng.randint(3, 8))],)],
          observe=up_to_rounding)
def blind_loss(counts):
    """The lowest cross-entropy loss that a network can reach which answers the same for every image.

    counts: images of each class, for example [90, 10].
    """
    shares = [n / sum(counts) for n in counts if n]
    return -sum(share * math.log(share) for share in shares)


blind_loss.mistakes_as_edits(
    ("-sum(share * math.log(share) for share in shares)", "math.log(len(counts))",
     "You took ln K. That is right for classes that are equally frequent. Here a network can do better without "
     "looking, by giving a frequent class more."),
    ("-sum", "sum", "The sign is wrong. Logarithms of shares are negative, and the loss is minus their mean."),
    ("share * math.log(share)", "math.log(share)",
     "You add up the logarithms. Each is weighted by the share of its class: the loss is a mean over images."),
    ("share * math.log(share)", "share * math.log(share) / len(shares)",
     "You divide by the number of classes, too. The shares have made it a mean already."),
    ("math.log(", "math.log10(", "You took the logarithm to base 10. PyTorch's cross-entropy takes the natural one."),
    ("-sum(share * math.log(share) for share in shares)", "-math.log(min(shares))",
     "You count the images of the rarest class only. All count, each class by its share."),
    ("-sum(share * math.log(share) for share in shares)", "max(shares)",
     "This is the accuracy of always guessing the most frequent class. The loss is made of logarithms."),
    ("share * math.log(share)", "sum(counts) * share * math.log(share)",
     "This is the sum over all images. The loss is their mean."),
    ("-sum(share * math.log(share) for share in shares)", "math.exp(-sum(share * math.log(share) for share in shares))",
     "You raised e to the loss. The loss itself is asked for."),
    ("-sum(share * math.log(share) for share in shares)", "1 - sum(share**2 for share in shares)",
     "This is the chance that two images are of different classes (Gini). The loss is made of logarithms."),
    ("share * math.log(share)", "share * math.log(share) + (1 - share) * math.log(1 - share or 1)",
     "You also count each class not being there, as for yes or no by class. Cross-entropy has one term an image."),
    ("share * math.log(share)", "share * math.log(share * sum(counts))",
     "You take the logarithm of the counts. It is taken of the shares."),
    ("share * math.log(share)", "(1 - share) * math.log(share)",
     "You weight each class by what is not of it. A class weighs by its own share."),
    ("-sum(share * math.log(share) for share in shares)",
     "nn.functional.cross_entropy(torch.tensor([shares]), torch.tensor([shares])).item()",
     "You give shares as scores. `F.cross_entropy` wants scores: the logarithms of the shares."),
    ("-sum(share * math.log(share) for share in shares)",
     "-(torch.tensor(shares) * torch.tensor(counts).float().log_softmax(0)).sum().item()",
     "You give counts as scores. `F.cross_entropy` wants scores: the logarithms of the shares."),
    ("share * math.log(share) for share in shares",
     "n / sum(counts) * math.log((n + 1) / (sum(counts) + len(counts))) for n in counts",
     "You add one to each count before the logarithm. The best answer is how frequent each class is."),
    ("share * math.log(share)", "share * math.log(share + 0.01)",
     "You add a little to the shares before the logarithm. The best answer is how frequent each class is."),
    ("for share in shares)", "for share in (shares[0], 1 - shares[0]))",
     "You count the first class and the rest. There may be any number of classes, also one."),
    ("share * math.log(share)", "sum(counts) * share / len(counts) * math.log(sum(counts) * share / len(counts))",
     "You divide by the number of classes. A share is a class's images divided by all images."),
    ("math.log(", "math.log2(",
     "You took the logarithm to base 2. PyTorch's cross-entropy takes the natural one, `math.log`."),
    ("share * math.log(share)", "math.log(share) / len(shares)",
     "You average over the classes. The loss is a mean over the images, so a frequent class weighs more."),
    ("-sum(share * math.log(share) for share in shares)", "-math.log(max(shares))",
     "You count the images of the most frequent class only. The others cost as well, and more."),
    ("-sum(share * math.log(share) for share in shares)", "1 - max(shares)",
     "This is the share of wrong answers if you always guess the most frequent class. The loss is made of logarithms."))


def weights_of_a_head(rng, n_out, channels, side):
    """Weight, bias and side of a linear layer that reads a map, as a case."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    return (torch.randn(n_out, channels * side * side, generator=generator), torch.randn(n_out, generator=generator),
            side)


def on_two_maps(layer, weight, bias, side):
    if not isinstance(layer, nn.Conv2d):
        raise WrongForm(f"One layer is asked for, an `nn.Conv2d`. Your answer gives {describe(layer)}.")
    channels, dtype = weight.shape[1] // side**2, layer.weight.dtype
    with torch.no_grad():
        return {"what is trained": [name for name, p in layer.named_parameters() if p.requires_grad],
                "the bias": layer.bias if layer.bias is None else layer.bias.detach(),
                "the output for a map of that size": layer(torch.randn(2, channels, side, side).to(dtype)),
                "the output for a larger map": layer(torch.randn(1, channels, 2 * side + 1, 3 * side).to(dtype))}


@exercise(minutes=12, level="hard",
          hints=("One output of the layer is a weighted sum over all channels, rows and columns. Which window computes "
                 "that?",
                 "A window as large as the map, without padding. `nn.Flatten` writes channel after channel, and each "
                 "channel row after row.",
                 "Make `nn.Conv2d(channels, n_out, side)`, and under `torch.no_grad()` copy into its weight "
                 "`weight.reshape(n_out, channels, side, side)`, and the bias."),
          cases=lambda rng: [weights_of_a_head(rng, *sizes) for sizes in (
              (3, 2, 2), (5, 1, 3), (2, 3, 1), (2, 2, 7), (rng.randint(3, 5), rng.randint(2, 4), rng.randint(2, 4)))],
          observe=on_two_maps)
def as_convolution(weight, bias, side):
    """A convolution that computes what a linear layer does behind `nn.Flatten`, on maps of `side` x `side` or larger.

    weight: n_out x (channels * side * side), bias: n_out, both of the linear layer.
    """
    n_out, n_in = weight.shape
    layer = nn.Conv2d(n_in // side**2, n_out, side)
    with torch.no_grad():
        layer.weight.copy_(weight.reshape(layer.weight.shape))
        layer.bias.copy_(bias)
    return layer


as_convolution.mistakes_as_edits(
    ("n_out, side", "n_out, side, bias=False", "layer.bias.copy_(bias)", "",
     "The bias is missing: each output channel is off by one number, the same everywhere."),
    ("weight.reshape(layer.weight.shape)", "weight.unflatten(1, (side, side, -1)).permute(0, 3, 1, 2)",
     "You read each row of the matrix as rows, columns, channels. `nn.Flatten` writes channel after channel."),
    ("layer.weight.shape)", "layer.weight.shape).transpose(2, 3)",
     "Rows and columns of your kernel are exchanged. `nn.Flatten` writes each channel row after row."),
    ("weight.reshape", "weight.T.reshape",
     "You transposed the matrix before you cut it into kernels. A linear layer already stores one row an output."),
    ("layer.weight.shape)", "layer.weight.shape).flip(2, 3)",
     "You turned the kernel upside down. PyTorch's convolution lays the weights on the map as they are."),
    ("n_out, side", "n_out, side, padding=side // 2",
     "Your convolution has padding. On a map of `side` x `side` it must have one place only, where it sees all."),
    ("layer.bias.copy_(bias)", "pass",
     "Your kernel is right. The bias is the random one of the new layer: copy it, too."),
    ("layer.bias.copy_(bias)", "layer.bias.zero_()", "Your kernel is right. The bias is zero: copy the given one."),
    ("layer.bias.copy_(bias)", "layer.bias.copy_(-bias)", "Your kernel is right. The bias has the wrong sign."),
    ("layer.bias.copy_(bias)", "layer.bias.copy_(bias.flip(0))", "Your kernel is right. The bias is turned round."),
    ("layer.weight.copy_(weight.reshape(layer.weight.shape))", "pass",
     "Your bias is right. The kernel is the random one of the new layer: copy the weights, too."),
    ("layer.weight.copy_(weight.reshape(layer.weight.shape))\n        layer.bias.copy_(bias)", "pass",
     "Your layer has the right shape and random numbers: copy the weights and the bias into it."),
    ("layer.weight.shape)", "layer.weight.shape).flip(3)", "Left and right of your kernel are exchanged."),
    ("layer.weight.shape)", "layer.weight.shape).flip(2)", "Top and bottom of your kernel are exchanged."),
    ("layer.weight.shape)", "layer.weight.shape).flip(1)",
     "The channels of your kernel go from the last to the first."),
    ("weight.reshape", "weight.flip(0).reshape", "Your outputs go from the last to the first."),
    ("return layer", "return layer.requires_grad_(False)",
     "The numbers are right. But your layer cannot learn: its parameters have `requires_grad=False`."),
    ("layer.weight.shape))", "layer.weight.shape) / side**2)",
     "You divide by the size of the window, as an average would. The linear layer takes the sum."),
    ("n_out, side", "n_out, side, padding=1",
     "Your convolution has a padding of 1. On a map of `side` x `side` it must have one place only."),
    ("n_in // side**2, n_out, side", "n_in, n_out, 1",
     "Your window is 1 x 1, and takes each number of the map for a channel. It has to be as large as the map."),
    ("n_out, side", "n_out, side, stride=side",
     "Your window jumps by its own width. On a larger map it should stop at every position."))
