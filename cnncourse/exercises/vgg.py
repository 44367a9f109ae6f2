"""Exercises of lesson 4."""

import math

import torch
from torch import nn

from ..arithmetic import linear_parameters
from ..models.vgg import CONFIGS
from . import behaviour, exercise


def random_row(rng):
    """A random row in the notation of Table 1, with every kind of entry."""
    entries = ["3-64", "3-128", "1-256", "LRN"] + rng.choices(["3-256", "1-128", "LRN"], k=rng.randint(3, 6))
    rng.shuffle(entries)
    return "3-64", *(" ".join(entries[i:i + 2]) for i in range(0, len(entries), 2))


@exercise(minutes=3, level="easy",
          hints=("Which entries of a block have weights, and which have none?",
                 "`block.split()` gives the entries of a block. All but LRN are convolutions.",
                 "Sum the convolutions over all blocks. What follows after the last block?"),
          cases=lambda rng: [(CONFIGS["A-LRN"],), (CONFIGS["C"],), (random_row(rng),), (random_row(rng),)])
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
     "You leave out the entries that begin with 1. A 1x1 convolution has weights like any other."),
    ("+ 3", "+ 1", "Your head has one linear layer. VGG's has two hidden ones before it."))


@exercise(minutes=8, level="medium",
          hints=("Two convolutions, and what stands after each of them?",
                 "A 3x3 window loses one row at each side: `padding=1` gives it back.",
                 "`nn.Sequential(convolution, relu, convolution, relu)`; the second takes what the first has made."),
          cases=lambda rng: [(rng.randint(2, 4), rng.randint(5, 8)) for _ in range(3)],
          observe=lambda net, n_in, n_out: behaviour(net, torch.randn(2, n_in, 9, 11)))
def stack(n_in, n_out):
    """Two 3x3 convolutions, from `n_in` to `n_out` channels, each followed by a ReLU. The map keeps its size."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(),
                         nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU())


stack.mistakes_as_edits(
    ("nn.ReLU(),", "",
     "The ReLU between the two convolutions is missing. Without it, both together are one linear 5x5 convolution."),
    (", nn.ReLU())", ")", "The ReLU after the second convolution is missing."),
    ("n_in, n_out, 3, padding=1", "n_in, n_out, 3", "n_out, n_out, 3, padding=1", "n_out, n_out, 3",
     "The map shrinks by two rows and columns at each convolution: give each `padding=1`."),
    ("n_in, n_out, 3", "n_in, n_in, 3", "n_out, n_out, 3", "n_in, n_out, 3",
     "The channels grow in the second convolution. In VGG the first one of a block widens, and the second works on "
     "`n_out` channels."))


@stack.mistake
def one_large(n_in, n_out):
    """This is one 5x5 convolution. It sees the same pixels, with more weights and one ReLU fewer than two of 3x3."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 5, padding=2), nn.ReLU())


@exercise(minutes=6, level="medium",
          hints=("Follow the image to the head first: what do five poolings leave of its height, and of its width?",
                 "Each pooling halves and drops what is left over. Then `512 * rows * columns` numbers enter the head.",
                 "Three linear layers: to 4096, to 4096, to the classes. `arithmetic.linear_parameters` counts each."),
          cases=lambda rng: [(224, 224, 1000), (100, 150, 10),
                             (rng.randint(64, 300), rng.randint(64, 300), rng.randint(2, 200))])
def head_parameters(height, width, classes):
    """How many parameters VGG's head has, with 4096 hidden units, for images of `height` x `width` pixels."""
    n = 512 * (height // 32) * (width // 32)
    return sum(linear_parameters(*sizes) for sizes in ((n, 4096), (4096, 4096), (4096, classes)))


head_parameters.mistakes_as_edits(
    ("(height // 32)", "math.ceil(height / 32)", "(width // 32)", "math.ceil(width / 32)",
     "You round up where an odd map is halved. A pooling of 2 with stride 2 drops the last row and column there."),
    ("512 * (height // 32) * (width // 32)", "25088",
     "Your head always takes 25088 numbers. That is right for images of 224 x 224 only: compute the last map."),
    ("width // 32", "height // 32", "You square the height. The image may be wider than it is high."),
    (" * (height // 32) * (width // 32)", "",
     "Only 512 numbers enter your head. Flattening keeps every position of the last map, for each of 512 channels."),
    ("height // 32", "height // 10", "width // 32", "width // 10",
     "You divide each side by 10. Five poolings halve five times in a row: what is the factor of all five?"),
    ("(4096, 4096), ", "",
     "Your head has two linear layers. VGG's has three: there is a layer from 4096 to 4096 units between them."),
    ("linear_parameters(*sizes)", "math.prod(sizes)", "The biases are missing: one for each output of a linear layer."))


@exercise(minutes=8, level="medium",
          hints=("Two numbers go along the chain: how far one output sees, and how far apart two neighbours are (the "
                 "jump).",
                 "A window of k adds (k - 1) jumps. A stride multiplies the jump. A pooling does both, in this order.",
                 "Collect (kernel, stride) of all layers so far, and at the end of each block take the first number of "
                 "`arithmetic.receptive_field`."),
          cases=lambda rng: [(CONFIGS["A-LRN"],), (CONFIGS["C"],), (random_row(rng),), (random_row(rng),)])
def fields(blocks):
    """The receptive field after the pooling of each block, in pixels: a list. blocks: a row of the table."""
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
    ("(int(entry[0]) - 1)", "2", "You count each convolution as 3x3. An entry that begins with 1 sees no neighbour."))


@exercise(minutes=3, level="easy",
          hints=("How many products does one output of this convolution add up?",
                 "That number n is channels that come in, times positions of the window.",
                 "He's variance is 2 / n. The deviation is its square root."),
          cases=lambda rng: [(3, 64, 3), (128, 96, 5),
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
    ("2 /", "1 /",
     "Your variance is 1 / n. It would suit a linear network: a ReLU cuts away half, and the two makes up for it."),
    ("n_in * k", "(n_in + n_out) * k",
     "This is Glorot's rule, for the mean of inputs and outputs. He's rule counts the inputs, with a 2 for the ReLU."))


@exercise(minutes=6, level="medium",
          hints=("What probabilities should a network give, if it must give the same for every image?",
                 "Its best answer is how frequent each class is. An image of class k then costs -ln of that share.",
                 "Weight the cost of each class by its share of the images, and add up."),
          cases=lambda rng: [([90, 10],), ([300, 50, 50, 100],),
                             ([rng.randint(1, 200) for _ in range(rng.randint(3, 8))],)])
def blind_loss(counts):
    """The lowest cross-entropy loss that a network can reach which answers the same for every image.

    counts: images of each class, for example [90, 10].
    """
    shares = [n / sum(counts) for n in counts]
    return -sum(share * math.log(share) for share in shares)


blind_loss.mistakes_as_edits(
    ("-sum(share * math.log(share) for share in shares)", "math.log(len(counts))",
     "You took ln K. That is right for classes that are equally frequent. Here a network can do better without "
     "looking, by giving a frequent class more."),
    ("math.log(", "math.log2(",
     "You took the logarithm to base 2. PyTorch's cross-entropy takes the natural one, `math.log`."),
    ("share * math.log(share)", "math.log(share) / len(shares)",
     "You average over the classes. The loss is a mean over the images, so a frequent class weighs more."),
    ("-sum(share * math.log(share) for share in shares)", "-math.log(max(shares))",
     "You count the images of the most frequent class only. The others cost as well, and more."),
    ("-sum(share * math.log(share) for share in shares)", "1 - max(shares)",
     "This is the share of wrong answers if you always guess the most frequent class. The loss is made of logarithms."))


def weights_of_a_head(rng):
    """Weight, bias and side of a linear layer that reads a map, as a case."""
    n_out, channels, side = rng.randint(3, 5), rng.randint(2, 4), rng.randint(2, 4)
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    return (torch.randn(n_out, channels * side * side, generator=generator), torch.randn(n_out, generator=generator),
            side)


def on_two_maps(layer, weight, bias, side):
    channels = weight.shape[1] // side**2
    with torch.no_grad():
        return {"the output for a map of that size": layer(torch.randn(2, channels, side, side)),
                "the output for a larger map": layer(torch.randn(2, channels, 2 * side + 1, 3 * side))}


@exercise(minutes=12, level="hard",
          hints=("One output of the layer is a weighted sum over all channels, rows and columns. Which window computes "
                 "that?",
                 "A window as large as the map, without padding. `nn.Flatten` writes channel after channel, and each "
                 "channel row after row.",
                 "Make `nn.Conv2d(channels, n_out, side)`, and under `torch.no_grad()` copy into its weight "
                 "`weight.reshape(n_out, channels, side, side)`, and the bias."),
          cases=lambda rng: [weights_of_a_head(rng) for _ in range(3)], observe=on_two_maps)
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
    ("n_out, side", "n_out, side, stride=side",
     "Your window jumps by its own width. On a larger map it should stop at every position."))
