"""Exercises of lesson 9."""

import random
from collections import OrderedDict

import torch
from torch import Tensor, nn

from . import exercise
from .checking.values import WrongForm


def pictures(rng: random.Random, *shape: int) -> Tensor:
    """Random uint8 images from 9 to 240, whose channels differ in brightness and in contrast."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    middle = torch.tensor([60, 110, 150.0])[: shape[-3], None, None]
    spread = torch.tensor([15, 30, 45.0])[: shape[-3], None, None]
    light = 25 * torch.randn(shape[0], 1, 1, 1, generator=generator)  # of each image
    return (middle + light + spread * torch.randn(shape, generator=generator)).clamp(9, 240).to(torch.uint8)


@exercise(minutes=5, level="easy",
          hints=("An orientation of 6 says: a viewer must turn the stored picture clockwise by a quarter.",
                 "`torch.rot90(image, k, dims)` turns `k` quarters, counter-clockwise where `dims` is (height, width).",
                 "The image is C x H x W, so the two dimensions are 1 and 2. 3 is a half turn, 8 a quarter "
                 "counter-clockwise, 1 no turn."),
          cases=lambda rng: [(pictures(rng, 1, 3, rng.randint(4, 6), rng.randint(7, 9))[0], orientation)
                             for orientation in (1, 3, 6, 8)] + [
              (pictures(rng, 1, 3, rng.randint(7, 9), rng.randint(4, 6))[0], orientation) for orientation in (6, 8)] + [
              (torch.arange(1, 13).reshape(2, 2, 3), orientation) for orientation in (1, 3, 6, 8)])  # to paste and run
def upright(image, orientation):
    """The picture as a viewer shows it. `image`: C x H x W as stored. `orientation`: the EXIF number, 1, 3, 6 or 8."""
    return torch.rot90(image, {1: 0, 3: 2, 6: -1, 8: 1}[orientation], (1, 2))


upright.mistakes_as_edits(
    ("6: -1, 8: 1", "6: 1, 8: -1",
     "6 and 8 are exchanged: your quarter turns go the wrong way, and the picture stands on its head. For 6 the stored "
     "picture must be turned clockwise."),
    ("return", "if orientation in (6, 8):\n        return image.transpose(1, 2)\n    return",
     "You exchange rows and columns. That has the right shape and is a mirror image: a turn needs a flip as well."),
    ("return", "if orientation == 6:\n        return image.transpose(1, 2)\n    return",
     "For 6 you exchange rows and columns. That is a mirror image: a turn needs a flip as well."),
    ("return", "if orientation == 8:\n        return image.transpose(1, 2)\n    return",
     "For 8 you exchange rows and columns. That is a mirror image: a turn needs a flip as well."),
    ("3: 2, 6: -1, 8: 1", "3: 1, 6: 2, 8: -1",
     "You count quarter turns in the order of the numbers. The EXIF numbers do not count turns: 3 is a half turn, 6 a "
     "quarter clockwise, 8 a quarter counter-clockwise."),
    ("return", "if orientation == 3:\n        return image.flip(1)\n    return",
     "For 3 you flip the rows alone. That mirrors the picture: a half turn reverses rows and columns."),
    ("3: 2, 6: -1, 8: 1", "3: 0, 6: 0, 8: 0",
     "Your picture is as it was stored. The number is not 1, so it has to be turned."),
    ("3: 2", "3: 1", "For 3 you turn by a quarter. 3 is a half turn; 6 and 8 are the quarters."),
    ("return", "if orientation == 3:\n        return image.flip(2)\n    return",
     "For 3 you flip the columns alone. That mirrors the picture: a half turn reverses rows and columns."),
    ("3: 2", "3: 0", "For 3 you leave the picture as it was stored. It is a half turn."),
    ("8: 1", "8: -1", "For 8 you turn as for 6. 8 is the quarter turn counter-clockwise."),
    ("6: -1", "6: 1", "For 6 you turn as for 8. 6 is the quarter turn clockwise."),
    ("3: 2, 6: -1, 8: 1", "3: 0, 6: -1, 8: 0", "You turn for 6 only. 3 and 8 are turned as well."),
    ("3: 2, 6: -1, 8: 1", "3: 1, 6: -1, 8: 2",
     "3 and 8 are exchanged: 3 is a half turn, 8 a quarter turn counter-clockwise."),
    ("1: 0", "1: 1", "For 1 you turn the picture. It is stored as it is shown."),
    ("1: 0", "1: 2", "For 1 you turn the picture by half. It is stored as it is shown."),
    ("return", "if orientation == 3:\n        return image.flip(0, 1, 2)\n    return",
     "For 3 you flip the channels as well. The image is C x H x W: a half turn reverses dimensions 1 and 2."),
    ("(1, 2))", "(1, 2)).permute(1, 2, 0)", "The picture is upright, and its channels went to the end."),
    ("{1: 0, 3: 2, 6: -1, 8: 1}[orientation]", "orientation",
     "You turned by as many quarters as the number says. It is no number of quarters: 3 is a half turn, 6 and 8 are a "
     "quarter each, 1 is none."),
    ("(1, 2))", "(0, 1))",
     "You turned in the plane of channels and rows. The image is C x H x W: rows and columns are dimensions 1 and 2."),
    ("(1, 2))", "(0, 2))",
     "You turned in the plane of channels and columns. Rows and columns of C x H x W are dimensions 1 and 2."),
    ("(1, 2))", "(1, 2)).flip(0)", "The picture is upright, and its channels are in reverse order: red became blue."),
    ("(1, 2))", "(1, 2)) / 255", "The picture is upright, and its numbers are divided by 255. Leave them as they are."),
    ("return", "if orientation in (6, 8):\n        return image.reshape(len(image), *image.shape[:0:-1])\n    return",
     "You cut the numbers anew with a reshape or a view. That gives the shape of a turned picture, and mixes its rows: "
     "turn or flip instead."))


@exercise(minutes=3, level="easy",
          hints=("Which of the two sides becomes `side`? The other one keeps the proportions.",
                 "Both sides are multiplied by `side` and divided by the shorter one.",
                 "The exact value may have a fraction; torchvision cuts it off, as `//` does."),
          cases=lambda rng: [(640, 427, 256), (300, 401, 256), (21, 35, 97), (100, 160, 224), (7, 11, 5),
                             (50, 50, 80), (90, 700, 32), (720, 320, 224), (230, 112, 224),
                             (rng.randint(500, 900), rng.randint(150, 350), 97),
                             (rng.randint(150, 350), rng.randint(500, 900), 224)])
def resized(width, height, side):
    """The size (width, height) of a picture after `Resize(side)`, where `side` is one number. Fractions are cut off."""
    short = min(width, height)
    return side * width // short, side * height // short


resized.mistakes_as_edits(
    ("return side * width // short, side * height // short", "return side, side * max(width, height) // short",
     "You put the shorter side first. The pair is (width, height)."),
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
     "The longer side has kept its old length, so the picture is distorted: scale both sides by the same number."),
    ("side * width // short, side * height // short", "min(width, side), min(height, side)",
     "You cut both sides off at `side`, as a crop does. `Resize` scales both by the same number."),
    ("side * width // short, side * height // short",
     "(side * width // short, side * height // short) if short > side else (width, height)",
     "You never enlarge. `Resize` brings the shorter side to `side` in both directions."),
    ("side * width // short, side * height // short", "round(side * width / short), round(side * height / short)",
     "You round to the nearest number. The task cuts fractions off."),
    ("side * width // short, side * height // short", "-(-side * width // short), -(-side * height // short)",
     "You round up. The task cuts fractions off."),
    ("side * width // short, side * height // short", "side * width / short, side * height / short",
     "Your sides are not whole. A picture has whole pixels: cut the fraction off."),
    ("side * width // short, side * height // short", "int(width * (side / short)), int(height * (side / short))",
     "You divide first. The quotient is rounded, and `int` makes 96 of 96.99999. Multiply first, then divide."),
    ("side * width // short, side * height // short",
     "(side, int(height * (side / short))) if width < height else (int(width * (side / short)), side)",
     "You divide `side` by the shorter side first. The quotient is rounded, and `int` makes 503 of 503.99999. Multiply "
     "first, then divide."),
    ("side * width // short, side * height // short", "int(width / short * side), int(height / short * side)",
     "You divide the two sides first. The quotient is rounded, and `int` makes 459 of 459.99999. Multiply first, then "
     "divide."),
    ("side * width // short, side * height // short", "side * (width // short), side * (height // short)",
     "You rounded the ratio of the sides before you multiplied by `side`. Multiply first."),
    ("side * width // short, side * height // short",
     "(side, side * width // height) if width < height else (side * width // height, side)",
     "Where the picture is taller than wide your fraction stands upside down: the longer side must stay the longer."),
    ("side * width // short, side * height // short", "width * (side // short), height * (side // short)",
     "You rounded the factor before you multiplied by it. Multiply first."),
    ("min(width, height)", "width", "You always bring the width to `side`. Try a picture that is wider than tall."),
    ("side * width // short, side * height // short", "width * short // side, height * short // side",
     "Your factor stands upside down: multiply by `side`, divide by the shorter side."),
    ("side * width // short, side * height // short", "side * max(width, height) // short, side",
     "You put the longer side first. The task wants the width first, whichever is longer."))


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
                             ([2, 10, 1, 1, 1, 2, 10, 10, 10, 2, 2], 0.3), ([16, 3, 16, 3, 16], 0.4),
                             ([2, 0, 2, 1], 1.0), ([0, 1, 1, 1, 1, 1, 1], 0.4),
                             ([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2], 0.4),
                             *((places_of(rng), 0.3) for _ in range(3))])
def split(places, share):
    """Positions of the test pictures, in order. `places`: the place of each picture. Whole places go to the test set,
    the one of the smallest number first, until it holds at least `share` (above 0, at most 1) of all pictures."""
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
    ("if held >=", "if held + places.count(place) >",
     "You stop before the place that would go over `share`. The test set has to hold at least `share`, so this place "
     "belongs to it."),
    ("place in chosen", "i < int(share * len(places))",
     "You take pictures from the front of the list and never look at `places`. Pictures of one place then stand on "
     "both sides."),
    ("return [i for i, place in enumerate(places) if place in chosen]",
     "return sorted(sorted(range(len(places)), key=lambda i: places[i])[: -int(-share * len(places) // 1)])",
     "You stop as soon as there are enough pictures, in the middle of a place: some of its pictures are for training, "
     "the others for the test. That is the leak. Take whole places."),
    ("in chosen", "in sorted(set(places))[: -int(-share * len(set(places)) // 1)]",
     "You take `share` of the places, rounded up. They hold unequal numbers of pictures; the share is one of "
     "pictures."),
    ("return [i for i, place in enumerate(places) if place in chosen]",
     "return sorted(place for place in places if place in chosen)",
     "You return the place of each test picture. Asked are the positions of these pictures in the list."),
    ("if held >=", "if held + places.count(place) / 2 >",
     "You stop where the share is nearest. The test set has to reach it, so the place that crosses the line belongs to "
     "it."),
    ("in chosen", "not in chosen", "These are the training pictures: the task wants the others."),
    ("held >= share", "held > share",
     "Where the share is reached exactly you take one place more. At least `share` is enough."),
    ("share * len(places)", "int(share * len(places))",
     "You cut the fraction of a picture off, so your test set may hold a little less than `share`."),
    ("share * len(places)", "round(share * len(places))",
     "You round the number of pictures, so your test set may hold a little less than `share`."),
    ("sorted(set(places))", "sorted(set(places), reverse=True)",
     "You begin with the place of the largest number. The smallest comes first."),
    ("sorted(set(places))", "dict.fromkeys(places)",
     "You take the places in the order in which they appear. The one of the smallest number comes first: sort."),
    ("sorted(set(places))", "set(places)",
     "You go through a set as it comes. It looks sorted for small numbers and is not: sort it."),
    ("sorted(set(places))", "sorted(set(places), key=str)",
     "You sorted the places as text, and there 10 comes before 2. Sort numbers."),
    ("sorted(set(places))", "sorted(set(places), key=lambda place: (places.count(place), place))",
     "You begin with the place of fewest pictures. The one of the smallest *number* comes first."),
    ("sorted(set(places))", "range(max(places))",
     "The last place never comes into your test set: `range` ends before its second number."),
    ("return [i for i, place in enumerate(places) if place in chosen]", "return sorted(chosen)",
     "You return the places. Asked are the positions of their pictures in the list."),
    ("return [i for i, place in enumerate(places) if place in chosen]",
     "return [i for wanted in sorted(chosen) for i, place in enumerate(places) if place == wanted]",
     "These are the right pictures, place by place. The task wants the positions in order."))


@split.mistake
def cuts_a_place(places, share):
    """Your test set has the right number of pictures and cuts a place in two: some of its pictures are for training,
    the others for the test. That is the leak. Take whole places."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    return sorted(order[: round(share * len(places))])


def mean_and_deviation(pair, train, test):
    mean, deviation = pair.values() if isinstance(pair, dict) else pair
    return {"the mean": mean, "the standard deviation": deviation}


@exercise(minutes=8, level="medium",
          hints=("One mean and one deviation for each channel. Over which of the four dimensions do you average?",
                 "The images are N x C x H x W: average over dimensions 0, 2 and 3. PyTorch takes no mean of uint8 "
                 "numbers, so convert them first. What is the largest value wanted?",
                 "`pixels = train.double() / 255`, then `pixels.mean((0, 2, 3))` and `pixels.std((0, 2, 3))`."),
          cases=lambda rng: [(pictures(rng, 60, 3, 16, 12), pictures(rng, 40, 3, 16, 12) // 2),
                             (pictures(rng, 300, 1, 5, 9), pictures(rng, 70, 1, 5, 9) // 2)],
          observe=mean_and_deviation)
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
    ("pixels.std((0, 2, 3))", "torch.cat([train / 255, test / 255]).std((0, 2, 3))",
     "Your mean is right. Your deviation comes from the training *and* the test images, and what the test images are "
     "like is not known before the test."),
    ("mean((0, 2, 3))", "mean().expand(train.shape[1])", "std((0, 2, 3))", "std().expand(train.shape[1])",
     "All your channels have the same numbers: you averaged over the channels too. Red, green and blue differ."),
    ("/ 255", "/ train.max()",
     "You divided by the brightest pixel that there is. The scale from 0 to 1 is that of 255, whatever is in the set."),
    ("train.double() / 255", "(train.double() - train.min()) / (train.max() - train.min())",
     "You stretched the pixels that there are to 0 to 1. The scale is that of 255, whatever is in the set."),
    ("/ 255", "/ 256", "You divided by 256. The largest value of a byte is 255."),
    ("train.double()", "test.double()", "Your numbers come from the test images. Take the training images."),
    ("std((0, 2, 3))", "var((0, 2, 3))",
     "Your second numbers are variances. Their roots are the standard deviations."),
    ("pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))",
     "(rows := pixels.reshape(pixels.shape[1], -1)).mean(1), rows.std(1)",
     "You cut the images into C rows with a reshape. These rows are not the channels: keep dimension 1 and average "
     "over the rest."),
    ("train.double()", "train[:1].double()",
     "Your numbers come from the first training image alone. Take all training images."),
    ("pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))",
     "(pixels.mean((0, 2, 3)) + (test / 255).mean((0, 2, 3))) / 2, "
     "(pixels.std((0, 2, 3)) + (test / 255).std((0, 2, 3))) / 2",
     "You averaged the numbers of the training images and of the test images. The test images may not have a say."),
    ("pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))",
     "torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])",
     "These are ImageNet's numbers. Measure those of the training images."),
    ("std((0, 2, 3))", "mean((2, 3)).std(0)",
     "Your deviations are those between the means of whole images. Take them over all pixels of all images."),
    ("train.double() / 255", "(train // 255).double()",
     "You divided whole numbers by `//`, so that all but the brightest pixels became 0. Divide with `/`."),
    ("pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))", "pixels.std((0, 2, 3)), pixels.mean((0, 2, 3))",
     "Both are right, but the mean comes first."),
    ("pixels.std((0, 2, 3))", "255 * pixels.std((0, 2, 3))",
     "Your mean is on the scale from 0 to 1, your standard deviation on that to 255. Divide both."),
    ("mean((0, 2, 3))", "mean((0, 2, 3), keepdim=True)", "std((0, 2, 3))", "std((0, 2, 3), keepdim=True)",
     "The numbers are right, in a tensor of 1 x C x 1 x 1. The task wants C numbers: leave `keepdim` out."),
    ("mean((0, 2, 3))", "mean()", "std((0, 2, 3))", "std()",
     "There is one number for all channels. Red, green and blue differ: keep dimension 1 and average over the rest."),
    ("mean((0, 2, 3))", "mean((2, 3))", "std((0, 2, 3))", "std((2, 3))",
     "You kept the images apart: there are N x C numbers. Average over dimension 0 as well."),
    ("mean((0, 2, 3))", "mean((1, 2, 3))", "std((0, 2, 3))", "std((1, 2, 3))",
     "There is one number for each image. N x C x H x W: keep dimension 1, the channels, and average over the rest."),
    ("pixels.mean((0, 2, 3))", "pixels.transpose(0, 1).flatten(1).median(1).values",
     "Your first numbers are medians. The mean is asked for."),
    ("mean((0, 2, 3))", "mean(0)", "std((0, 2, 3))", "std(0)",
     "You averaged over dimension 0 alone and got a picture, the mean image. For one number a channel, average over "
     "height and width as well."),
    ("mean((0, 2, 3))", "mean((0, 1, 2))", "std((0, 2, 3))", "std((0, 1, 2))",
     "You averaged over the wrong dimensions: one number for each column came out, not for each channel. "
     "N x C x H x W: the channels are dimension 1, and that is the one to keep."))


def frozen(net, _):
    if not hasattr(net, "features"):
        raise WrongForm("Return the whole network, `net`, with its parts `features` and `head`.")
    return {"the parameters that are trained": [n for n, p in net.named_parameters() if p.requires_grad],
            "layers in evaluation": [n for n, m in net.named_modules() if not m.training],
            "the settings of batch normalisation": [(m.momentum, m.track_running_stats, m.eps) for m in net.modules()
                                                    if isinstance(m, nn.BatchNorm2d)]}


@exercise(minutes=6, level="medium",
          hints=("Which parameters does `net.named_parameters()` list? Which of them belong to the last layer?",
                 "A parameter with `requires_grad = False` gets no gradient, and an optimizer leaves it alone.",
                 "`net.requires_grad_(False)` turns all off (mind the underscore at its end); then "
                 "`net.head.requires_grad_(True)`. Return the network at the end."),
          cases=lambda rng: [(small(rng.randint(3, 6), rng.randint(2, 5), bricks),) for bricks in (1, 3)],
          observe=frozen)
def freeze(net):
    """Freeze the network except for its last layer, `net.head`, and return it: training changes the weight and the bias
    of the head, and no other parameter. All layers stay in training mode."""
    net.requires_grad_(False)
    net.head.requires_grad_(True)
    return net


def small(width: int, classes: int, bricks: int) -> nn.Sequential:
    """The layers of one brick stand directly in the features, those of more deeper."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(width)
        layers = [nn.Sequential(nn.Conv2d(n, width, 3), nn.BatchNorm2d(width), nn.ReLU())
                  for n in (3, width, width)[:bricks]]
        layers = layers[0] if bricks == 1 else layers
        return nn.Sequential(OrderedDict(
            features=nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), head=nn.Linear(width, classes)))


freeze.mistakes_as_edits(
    ("net.requires_grad_(False)", "net.requires_grad = False",
     "Nothing is frozen. If you wrote `net.requires_grad = False`: that gives the network a new attribute, and no "
     "parameter hears of it. Look for the method with an underscore at its end, or go through the parameters."),
    ("net.head.requires_grad_(True)", "net.head = nn.Linear(net.head.in_features, net.head.out_features)",
     "The head is a new layer, and what the old one had learned is lost. Leave the head as it is."),
    ("head.requires_grad_(True)", "head.requires_grad_(False)",
     "Everything is frozen, the head too: there is nothing left to train."),
    ("net.requires", "net.head.requires", "net.head.requires_grad_(True)", "",
     "You froze the head and train the features: the other way round."),
    ("net.requires_grad_(False)", "for p in net.features[0].parameters():\n        p.requires_grad = False",
     "Only the first layer of the features is frozen. `net.features.parameters()` goes through all of them."),
    ("net.requires_grad_(False)", "for layer in net.features:\n        for p in layer.parameters(recurse=False):\n"
     "            p.requires_grad = False",
     "You froze the layers that stand directly in the features. Layers may lie deeper, as in this lesson's bricks: "
     "`parameters()` finds all of them."),
    ("net.requires_grad_(False)", "for layer in net.modules():\n        if isinstance(layer, nn.Conv2d):\n"
     "            layer.requires_grad_(False)",
     "The convolutions are frozen, but batch normalisation has a weight and a bias too, and yours are still trained."),
    ("head.requires", "head.weight.requires", "Of the head you train the weight alone. It has a bias as well."),
    ("net.requires_grad_(False)", "net.features.eval()",
     "`eval()` changes what dropout and batch normalisation do; it freezes no parameter."),
    ("net.requires_grad_(False)", "net.eval()\n    net.requires_grad_(False)",
     "The right parameters are frozen, and the network is in evaluation mode. All layers stay in training mode."),
    ("net.requires_grad_(False)", "net.features.eval()\n    net.requires_grad_(False)",
     "The right parameters are frozen, and the features are in evaluation mode. All layers stay in training mode."),
    ("net.requires_grad_(False)", "for name, p in net.features.named_parameters():\n"
     "        p.requires_grad = not name.endswith('weight')",
     "You froze the weights and left the biases. They are parameters too."),
    ("head.requires_grad_(True)", "head.bias.requires_grad_(True)",
     "Of the head you train the bias alone. It has a weight as well."))


def labels_of(rng: random.Random) -> tuple[Tensor, Tensor, int]:
    """True and predicted labels of 40 pictures: of five classes the last is missing, and errors go mostly one way."""
    true = [rng.randrange(4) for _ in range(40)]
    predicted = [(t + 1) % 4 if rng.random() < 0.4 else t for t in true]
    return torch.tensor(true + [0, 0, 1, 2, 3]), torch.tensor(predicted + [1, 1, 3, 2, 3]), 5


@exercise(minutes=8, level="medium",
          hints=("Entry (i, j) is the number of pictures of class i that were called j.",
                 "A loop over `zip(true, predicted)` is enough: each pair adds one to one entry.",
                 "`matrix = torch.zeros(classes, classes, dtype=torch.long)`; `for t, p in zip(true, predicted): "
                 "matrix[t, p] += 1`."),
          cases=lambda rng: [(torch.tensor([1, 0, 1, 1, 0]), torch.tensor([0, 0, 1, 0, 0]), 3), labels_of(rng),
                             labels_of(rng), (torch.tensor([1]), torch.tensor([0]), 2),
                             (torch.zeros(300, dtype=torch.long), torch.zeros(300, dtype=torch.long), 2)])
def confusion(true, predicted, classes):
    """The confusion matrix, classes x classes: how many pictures of each true class (rows) were given each class
    (columns). `true`, `predicted`: labels, N. A class may be missing among them."""
    matrix = torch.zeros(classes, classes, dtype=torch.long)
    for t, p in zip(true, predicted, strict=True):
        matrix[t, p] += 1
    return matrix


confusion.mistakes_as_edits(
    ("dtype=torch.long", "dtype=torch.uint8",
     "Your numbers are too short for the counts: `uint8` begins again at 0 behind 255, `int8` goes below 0 behind 127. "
     "Count in `torch.long`."),
    ("[t, p]", "[p, t]",
     "Your matrix is transposed: the true class belongs in the rows, the predicted one in the columns."),
    ("+= 1", "= 1",
     "No entry of yours exceeds one. Either you write a 1 where you should add one; or `matrix[true, predicted] += 1` "
     "with whole lists writes each entry once, however often it is named. Add the pictures one by one."),
    ("return matrix", "return matrix / matrix.sum(1, keepdim=True).clamp(min=1)",
     "Your rows are shares that sum to one. The task wants counts: a share of three pictures looks like one of three "
     "thousand."),
    ("return matrix", "return matrix.diag().diag()",
     "Only the diagonal is filled: the pictures that were recognised. The others are what the matrix is for."),
    ("zeros(classes, classes", "zeros(true.max() + 1, true.max() + 1",
     "Your matrix is too small: a class without a picture keeps its row and its column, of zeros."),
    ("zeros(classes, classes", "ones(classes, classes", "Every entry is one too large: begin with zeros."),
    ("matrix[t, p] += 1", "matrix[t, p] += t != p", "The diagonal is empty: pictures that were recognised count too."),
    ("matrix[t, p] += 1", "matrix[t, p] += 1\n        matrix[p, t] += 1",
     "You enter each picture twice, also with the classes exchanged. Rows are true classes, columns predicted ones."),
    ("matrix[t, p] += 1", "matrix[t - 1, p - 1] += 1",
     "Your rows and columns are shifted by one. Labels count from 0, and so do rows."),
    ("return matrix", "return matrix / matrix.sum(0).clamp(min=1)",
     "Your columns are shares that sum to one. The task wants counts."),
    ("return matrix", "return matrix.sum(0).repeat(classes, 1)",
     "All your rows are the same. `[[0] * classes] * classes` is one row, named several times: what is added to one "
     "shows in all."),
    ("return matrix", "return matrix / matrix.sum()", "Your entries are shares of all pictures. Counts are wanted."),
    ("return matrix", "return 100 * matrix / matrix.sum()",
     "Your entries are per cent of all pictures. The task wants counts."),
    ("matrix[t, p] += 1", "matrix[t, p] += 1\n        break",
     "You counted the first picture only. Is the `return` inside the loop?"),
    ("zip(true, predicted, strict=True)", "zip(true[:-1], predicted[:-1], strict=True)",
     "The last picture is not counted."),
    ("zip(true, predicted, strict=True)", "zip(true[1:], predicted[1:], strict=True)",
     "The first picture is not counted."))


def grad_case(rng: random.Random, channels: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    height, width = rng.randint(4, 5), rng.randint(6, 7)
    leaning = torch.linspace(-0.6, 0.6, channels)[:, None, None]  # channels that speak for the class, and against it
    return (torch.randn(channels, height, width, generator=generator).relu(),
            leaning + torch.randn(channels, height, width, generator=generator))


@exercise(minutes=10, level="hard",
          hints=("Each channel gets one weight: how strongly, on average over the map, the score grows with it.",
                 "`gradients.mean((1, 2))` are the weights; the map is the weighted sum of the channels.",
                 "Multiply `activations` by the weights as C x 1 x 1, sum over dimension 0, keep what is positive."),
          cases=lambda rng: [(torch.tensor([[[1.0, -2.0]], [[3.0, 1.0]]]),
                              torch.tensor([[[-2.0, 1.0]], [[2.0, -0.5]]])),
                             (torch.tensor([[[1.0, 2.0], [0.0, 3.0]]]), torch.tensor([[[1.0, 3.0], [4.0, 6.0]]])),
                             grad_case(rng, rng.randint(6, 8)), grad_case(rng, 20)])
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
     "You summed over a dimension of the map, and the channels are still there. Sum over the channels, dimension 0."),
    (".relu()", ".abs()",
     "You took absolute values at the end. Negative places speak against the class: a ReLU sets them to zero."),
    ("gradients.mean((1, 2))", "gradients.sum((1, 2))",
     "Your weights are sums over the map. They are means: this map is larger by the number of places."),
    (".sum(0)", ".mean(0)", "You averaged over the channels. The map is their weighted sum."),
    (".relu()", ".relu() / (weights[:, None, None] * activations).sum(0).relu().max()",
     "Your map is divided by its maximum. The task wants it unscaled."),
    ("return (weights[:, None, None] * activations).sum(0).relu()",
     "heat = (weights[:, None, None] * activations).sum(0).relu()\n"
     "    return (heat - heat.min()) / (heat.max() - heat.min())",
     "Your map is stretched to the range from 0 to 1. The task wants it unscaled."),
    ("gradients.mean((1, 2))", "gradients.relu().mean((1, 2))",
     "You cut negative gradients off before the average. They count: the ReLU comes at the end, on the map."),
    ("gradients.mean((1, 2))", "gradients.mean((1, 2)).relu()",
     "You cut negative weights off, so nothing can speak against the class. The ReLU comes at the end, on the map."),
    ("gradients.mean((1, 2))", "gradients.abs().mean((1, 2))",
     "Your gradients have lost their sign before the average. A channel may speak against the class."),
    ("gradients.mean((1, 2))", "gradients.mean((1, 2)).abs()",
     "Your weights have lost their sign. A channel may speak against the class."),
    ("gradients.mean((1, 2))", "gradients.amax((1, 2))", "Your weights are maxima over the map. They are means."),
    ("gradients.mean((1, 2))", "gradients.mean(2)", "weights[:, None", "weights[:, :",
     "You averaged the gradients over the columns alone, so each row has a weight of its own. A channel has one."),
    ("gradients.mean((1, 2))", "gradients.mean(1)", "weights[:, None, None]", "weights[:, None]",
     "You averaged the gradients over the rows alone, so each column has a weight of its own. A channel has one."),
    ("gradients.mean((1, 2))", "gradients.flatten(1).median(1).values", "Your weights are medians. They are means."),
    ("gradients.mean((1, 2))", "gradients.mean((1, 2)) / gradients.mean((1, 2)).sum()",
     "You divided the weights by their sum. They are used as they are."),
    ("* activations", "* activations.relu()",
     "You cut negative activations off before the sum. The ReLU comes at the end, on the map."),
    ("gradients.mean((1, 2))", "gradients.square().mean((1, 2))", "You squared the gradients. Average them alone."),
    ("gradients.mean((1, 2))", "gradients.mean((1, 2)).softmax(0)",
     "You put the weights through a softmax. They are used as they are, also below zero."),
    ("gradients.mean((1, 2))", "gradients.mean().repeat(len(gradients))",
     "You averaged over the channels as well: all of them have one weight. Each has its own."),
    ("weights[:, None, None] * ", "", "You added the activations without weights. The gradients say what each channel "
     "counts."),
    ("(weights[:, None, None] * activations)", "gradients",
     "You added the gradients. They give the weights; the map is made of the activations."),
    (".relu()", ".relu().T", "Rows and columns of your map are exchanged: it is H x W, like the layer's."),
    (".sum(0)", ".sum(0, keepdim=True)", "Your map has one axis too many, of size 1: it is H x W, without `keepdim`."),
    (".sum(0)", "", "The channels are still there: add them up."))
