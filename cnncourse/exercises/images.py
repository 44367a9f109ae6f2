"""Exercises of lesson 9."""

import random
from collections import OrderedDict

import torch
from torch import Tensor, nn

from . import exercise


def pictures(rng: random.Random, *shape: int) -> Tensor:
    """Random uint8 images, whose channels differ in brightness and in contrast."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    middle = torch.tensor([60, 110, 150.0])[: shape[-3], None, None]
    spread = torch.tensor([15, 30, 45.0])[: shape[-3], None, None]
    light = 25 * torch.randn(shape[0], 1, 1, 1, generator=generator)  # of each image
    return (middle + light + spread * torch.randn(shape, generator=generator)).clamp(0, 255).to(torch.uint8)


@exercise(minutes=5, level="easy",
          hints=("An orientation of 6 says: a viewer must turn the stored picture clockwise by a quarter.",
                 "`torch.rot90(image, k, dims)` turns `k` quarters, counter-clockwise where `dims` is (height, width).",
                 "The image is C x H x W, so the two dimensions are 1 and 2. 3 is a half turn, 8 a quarter "
                 "counter-clockwise, 1 no turn."),
          cases=lambda rng: [(pictures(rng, 1, 3, rng.randint(4, 6), rng.randint(7, 9))[0], orientation)
                             for orientation in (1, 3, 6, 8)])
def upright(image, orientation):
    """The picture as a viewer shows it. `image`: C x H x W as stored. `orientation`: the EXIF number, 1, 3, 6 or 8."""
    return torch.rot90(image, {1: 0, 3: 2, 6: -1, 8: 1}[orientation], (1, 2))


upright.mistakes_as_edits(
    ("6: -1, 8: 1", "6: 1, 8: -1",
     "6 and 8 are exchanged: your quarter turns go the wrong way, and the picture stands on its head. For 6 the stored "
     "picture must be turned clockwise."),
    ("return", "if orientation in (6, 8):\n        return image.transpose(1, 2)\n    return",
     "You exchange rows and columns. That has the right shape and is a mirror image: a turn needs a flip as well."),
    ("return", "if orientation == 3:\n        return image.flip(1)\n    return",
     "For 3 you flip the rows alone. That mirrors the picture: a half turn reverses rows and columns."),
    ("3: 2, 6: -1, 8: 1", "3: 0, 6: 0, 8: 0",
     "Your picture is as it was stored. The number is not 1, so it has to be turned."),
    ("3: 2", "3: 1", "For 3 you turn by a quarter. 3 is a half turn; 6 and 8 are the quarters."))


@exercise(minutes=3, level="easy",
          hints=("Which of the two sides becomes `side`? The other one keeps the proportions.",
                 "Both sides are multiplied by `side` and divided by the shorter one.",
                 "The exact value may have a fraction; torchvision cuts it off, as `//` does."),
          cases=lambda rng: [(640, 427, 256), (300, 401, 256),
                             (rng.randint(500, 900), rng.randint(150, 350), 97),
                             (rng.randint(150, 350), rng.randint(500, 900), 224)])
def resized(width, height, side):
    """The size (width, height) of a picture after `Resize(side)`, where `side` is one number. Fractions are cut off."""
    short = min(width, height)
    return side * width // short, side * height // short


resized.mistakes_as_edits(
    ("side * width // short, side * height // short", "side, side",
     "That is what `Resize((side, side))` makes. One number keeps the proportions: a picture that was no square stays "
     "none."),
    ("min(", "max(",
     "You bring the longer side to `side`. `Resize` brings the shorter one there, so that a crop of `side` always "
     "fits."),
    ("side * width // short, side * height // short", "side * height // short, side * width // short",
     "Width and height are exchanged. The task wants the width first, as PIL gives it; a tensor's shape has the height "
     "first."),
    ("min(width, height)", "height",
     "You always bring the height to `side`. Try a picture that is taller than wide."),
    ("side * width // short, side * height // short", "(side, height) if width < height else (width, side)",
     "The longer side has kept its old length, so the picture is distorted: scale both sides by the same number."))


def places_of(rng: random.Random) -> list[int]:
    """The place of each picture: unequal numbers of pictures a place, in a random order."""
    places = [place for place in range(rng.randint(8, 11)) for _ in range(1 + (3 * place + 1) % 5)]
    rng.shuffle(places)
    return places


@exercise(minutes=10, level="medium",
          hints=("Decide about places, not about pictures. Which places belong to the test set?",
                 "Go through `sorted(set(places))` and stop when the test set holds `share` of the pictures, or more.",
                 "Collect `chosen` places, count their pictures with `places.count(place)`; then return the positions "
                 "`i` with `places[i] in chosen`."),
          cases=lambda rng: [([4, 4, 4, 1, 1, 7, 7, 7, 7, 2, 2, 2], 0.4), ([3, 0, 0, 1, 0, 2, 0, 0, 4, 4], 0.5),
                             *((places_of(rng), 0.3) for _ in range(3))])
def split(places, share):
    """Positions of the test pictures, in order. `places`: the place of each picture. Whole places go to the test set,
    the one of the smallest number first, until it holds at least `share` (0 to 1) of all pictures."""
    chosen, held = set(), 0
    for place in sorted(set(places)):
        if held >= share * len(places):
            break
        chosen.add(place)
        held += places.count(place)
    return [i for i, place in enumerate(places) if place in chosen]


split.mistakes_as_edits(
    ("place in chosen", "i < round(share * len(places))",
     "You choose pictures and never look at `places`. Pictures of one place then stand on both sides."),
    ("in chosen", "in sorted(set(places))[: round(share * len(set(places)))]",
     "You take `share` of the places. They hold unequal numbers of pictures; the share is one of pictures."),
    ("if held >=", "if held + places.count(place) >=",
     "Your test set is one place short: it has to reach `share`, so the place that crosses the line belongs to it."),
    ("in chosen", "not in chosen", "These are the training pictures: the task wants the others."))


@split.mistake
def cuts_a_place(places, share):
    """Your test set has the right number of pictures and cuts a place in two: some of its pictures are for training,
    the others for the test. That is the leak. Take whole places."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    return sorted(order[: round(share * len(places))])


@exercise(minutes=8, level="medium",
          hints=("One mean and one deviation for each channel. Over which of the four dimensions do you average?",
                 "The images are N x C x H x W: average over dimensions 0, 2 and 3. PyTorch takes no mean of uint8 "
                 "numbers, so convert them first. What is the largest value wanted?",
                 "`pixels = train.double() / 255`, then `pixels.mean((0, 2, 3))` and `pixels.std((0, 2, 3))`."),
          cases=lambda rng: [(pictures(rng, 60, 3, 16, 12), pictures(rng, 40, 3, 16, 12) // 2)
                             for _ in range(3)],
          observe=lambda pair, train, test: {"the mean": pair[0], "the standard deviation": pair[1]})
def statistics(train, test):
    """Mean and standard deviation of each channel, for normalisation: two tensors of C numbers, on a scale from 0 to 1.
    `train` and `test`: uint8 images, N x C x H x W. Take what a network may know before the test."""
    pixels = train.double() / 255
    return pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))


statistics.mistakes_as_edits(
    ("train.double()", "torch.cat([train, test]).double()",
     "Your numbers come from the training *and* the test images. What the test images are like is not known before the "
     "test."),
    (" / 255", "", "Your numbers go up to 255. The task, and `Normalize` after `ToTensor`, want pixels from 0 to 1."),
    ("std((0, 2, 3))", "std((2, 3)).mean(0)",
     "Your mean is right. Your standard deviation is taken in each image, then averaged: that leaves out how much "
     "whole images differ in brightness. Take it over all pixels of all images at once."),
    ("mean((0, 2, 3))", "mean().repeat(3)", "std((0, 2, 3))", "std().repeat(3)",
     "All your channels have the same numbers: you averaged over the channels too. Red, green and blue differ."),
    ("mean((0, 2, 3))", "mean(0)", "std((0, 2, 3))", "std(0)",
     "You averaged over dimension 0 alone and got a picture, the mean image. For one number a channel, average over "
     "height and width as well."),
    ("mean((0, 2, 3))", "mean((0, 1, 2))", "std((0, 2, 3))", "std((0, 1, 2))",
     "You averaged over the wrong dimensions: one number for each column came out, not for each channel. "
     "N x C x H x W: the channels are dimension 1, and that is the one to keep."))


@exercise(minutes=6, level="medium",
          hints=("Which parameters does `net.named_parameters()` list? Which of them belong to the last layer?",
                 "A parameter with `requires_grad = False` gets no gradient, and an optimizer leaves it alone.",
                 "`net.requires_grad_(False)` turns all off (mind the underscore at its end); then "
                 "`net.head.requires_grad_(True)`. Return the network at the end."),
          cases=lambda rng: [(small(rng.randint(3, 6), rng.randint(2, 5)),) for _ in range(2)],
          observe=lambda net, _: {"the parameters that are trained": [n for n, p in net.named_parameters()
                                                                      if p.requires_grad],
                                  "layers in evaluation": [n for n, m in net.named_modules() if not m.training]})
def freeze(net):
    """Freeze the network except for its last layer, `net.head`, and return it: training changes the weight and the bias
    of the head, and no other parameter. All layers stay in training mode."""
    net.requires_grad_(False)
    net.head.requires_grad_(True)
    return net


def small(width: int, classes: int) -> nn.Sequential:
    with torch.device("meta"):  # nothing is computed, and no random number drawn
        return nn.Sequential(OrderedDict(
            features=nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                                   nn.Flatten()),
            head=nn.Linear(width, classes)))


freeze.mistakes_as_edits(
    ("net.requires_grad_(False)", "net.requires_grad = False",
     "Nothing is frozen. If you wrote `net.requires_grad = False`: that gives the network a new attribute, and no "
     "parameter hears of it. Look for the method with an underscore at its end, or go through the parameters."),
    ("head.requires_grad_(True)", "head.requires_grad_(False)",
     "Everything is frozen, the head too: there is nothing left to train."),
    ("net.requires", "net.head.requires", "net.head.requires_grad_(True)", "",
     "You froze the head and train the features: the other way round."),
    ("net.requires", "net.features[0].requires",
     "The convolutions are frozen, but batch normalisation has a weight and a bias too, and yours are still trained."),
    ("head.requires", "head.weight.requires", "Of the head you train the weight alone. It has a bias as well."),
    ("net.requires_grad_(False)", "net.features.eval()",
     "`eval()` changes what dropout and batch normalisation do; it freezes no parameter."))


def labels_of(rng: random.Random) -> tuple[Tensor, Tensor, int]:
    """True and predicted labels of 40 pictures: of five classes the last is missing, and errors go mostly one way."""
    true = [rng.randrange(4) for _ in range(40)]
    predicted = [(t + 1) % 4 if rng.random() < 0.4 else t for t in true]
    return torch.tensor(true + [0, 0, 1]), torch.tensor(predicted + [1, 1, 3]), 5


@exercise(minutes=8, level="medium",
          hints=("Entry (i, j) is the number of pictures of class i that were called j.",
                 "A loop over `zip(true, predicted)` is enough: each pair adds one to one entry.",
                 "`matrix = torch.zeros(classes, classes, dtype=torch.long)`; `for t, p in zip(true, predicted): "
                 "matrix[t, p] += 1`."),
          cases=lambda rng: [labels_of(rng) for _ in range(3)])
def confusion(true, predicted, classes):
    """The confusion matrix, classes x classes: how many pictures of each true class (rows) were given each class
    (columns). `true`, `predicted`: labels, N. A class may be missing among them."""
    matrix = torch.zeros(classes, classes, dtype=torch.long)
    for t, p in zip(true, predicted, strict=True):
        matrix[t, p] += 1
    return matrix


confusion.mistakes_as_edits(
    ("[t, p]", "[p, t]",
     "Your matrix is transposed: the true class belongs in the rows, the predicted one in the columns."),
    ("+= 1", "= 1",
     "No entry of yours exceeds one. `matrix[true, predicted] += 1` with whole lists writes each entry once, however "
     "often it is named. Add the pictures one by one."),
    ("return matrix", "return matrix / matrix.sum(1, keepdim=True).clamp(min=1)",
     "Your rows are shares that sum to one. The task wants counts: a share of three pictures looks like one of three "
     "thousand."),
    ("return matrix", "return matrix.diag().diag()",
     "Only the diagonal is filled: the pictures that were recognised. The others are what the matrix is for."),
    ("zeros(classes, classes", "zeros(true.max() + 1, true.max() + 1",
     "Your matrix is too small: a class without a picture keeps its row and its column, of zeros."))


def grad_case(rng: random.Random) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    channels, height, width = rng.randint(6, 8), rng.randint(4, 5), rng.randint(6, 7)
    leaning = torch.linspace(-0.6, 0.6, channels)[:, None, None]  # channels that speak for the class, and against it
    return (torch.randn(channels, height, width, generator=generator).relu(),
            leaning + torch.randn(channels, height, width, generator=generator))


@exercise(minutes=10, level="hard",
          hints=("Each channel gets one weight: how strongly, on average over the map, the score grows with it.",
                 "`gradients.mean((1, 2))` are the weights; the map is the weighted sum of the channels.",
                 "Multiply `activations` by the weights as C x 1 x 1, sum over dimension 0, keep what is positive."),
          cases=lambda rng: [grad_case(rng) for _ in range(3)])
def grad_cam(activations, gradients):
    """The heat map of Grad-CAM, H x W, neither enlarged nor scaled. `activations`: C x H x W, a layer's output for one
    picture. `gradients`: of the same shape, of the class's score with respect to it."""
    weights = gradients.mean((1, 2))
    return (weights[:, None, None] * activations).sum(0).relu()


grad_cam.mistakes_as_edits(
    (".relu()", "",
     "The ReLU at the end is missing: negative places speak for other classes and do not belong to this map."),
    ("weights[:, None, None]", "gradients",
     "You multiply each activation by its own gradient. Grad-CAM averages the gradient over the map first, so that "
     "each channel has one weight."),
    ("weights[:, None, None]", "gradients.mean(0)",
     "You averaged the gradients over the channels, which gives each place a weight. The channels should get one."),
    (".sum(0).relu()", ".relu().sum(0)",
     "You cut the negative parts off each channel before the sum, so nothing can speak against the class. Sum first."),
    ("gradients.mean", "activations.mean", "* activations", "* gradients",
     "Activations and gradients are exchanged: the weights come from the gradients, the map from the activations."),
    ("sum(0)", "sum(1)",
     "You summed over a dimension of the map, and the channels are still there. Sum over the channels, dimension 0."))
