"""Exercises of lesson 2."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import behaviour, exercise


@exercise(minutes=8, level="medium",
          hints=("Four rows of the table: C1, S2, C3, S4. Two convolve, two average. Where does the tanh stand?",
                 "C1 gives as many rows as it gets: what does a 5x5 kernel lose, and which `padding` gives it back?",
                 "`nn.Sequential(convolution, nn.Tanh(), nn.AvgPool2d(2), ...)`, and the same three once more. C3 has "
                 "no padding."),
          cases=lambda rng: [(1,), (3,), (rng.randint(4, 9),)],
          observe=lambda net, channels: behaviour(net, torch.randn(2, channels, 28, 28)))
def features(channels):
    """The rows C1 to S4 of LeNet-5's table as one module: images N x `channels` x 28 x 28 in, maps N x 16 x 5 x 5 out.

    Each convolution is followed by a tanh, and sub-sampling is a plain average.
    """
    return nn.Sequential(nn.Conv2d(channels, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2))


features.mistakes_as_edits(
    (", padding=2", "", "The last maps are 4x4, not 5x5: C1 loses two pixels on each side, because it has no padding."),
    ("16, 5", "16, 5, padding=2",
     "The last maps are 7x7: C3 has padding as well. Only C1 has; C3 may shrink the map from 14 to 10 rows."),
    ("2), nn.Tanh()", "2), nn.ReLU()", "5), nn.Tanh()", "5), nn.ReLU()",
     "Every output is zero or more, so there is a ReLU in it. LeNet-5 bends with tanh, which has two signs."),
    ("AvgPool2d(2),", "MaxPool2d(2),", "AvgPool2d(2))", "MaxPool2d(2))",
     "You keep the largest of four neighbours, as later networks do. LeNet-5 takes their average."),
    ("nn.Tanh(), nn.AvgPool2d(2),", "nn.AvgPool2d(2), nn.Tanh(),",
     "nn.Tanh(), nn.AvgPool2d(2))", "nn.AvgPool2d(2), nn.Tanh())",
     "The tanh stands behind the average. An average of bent numbers is not the bent average: convolve, bend, then "
     "shrink."),
    ("5), nn.Tanh()", "5)", "C3 has no tanh. Count the activations: one behind each convolution."))


@exercise(minutes=2, level="easy",
          hints=("What probability does such a network give to the right class?",
                 "Cross-entropy is the negative logarithm of that probability, to the base e.",
                 "$-\\ln(1/K)$ can be written without the minus and without the fraction."),
          cases=lambda rng: [(2,), (10,), (rng.randint(20, 900),), (1000,)])
def loss_at_start(classes):
    """The cross-entropy of an untrained network that gives each of `classes` classes the same probability."""
    return math.log(classes)


loss_at_start.mistakes_as_edits(
    ("log(classes)", "log(10)", "That is the loss for ten classes, whatever number is asked for."),
    ("math.log", "math.log10",
     "This logarithm has the base 10. Cross-entropy uses the natural one: for ten classes it is 2.303, not 1."),
    ("math.log", "math.log2",
     "This logarithm has the base 2 and counts bits. PyTorch's cross-entropy uses the base e."),
    ("log(classes)", "log(1 / classes)",
     "The sign is wrong. The logarithm of a probability is negative, and the loss is minus that."),
    ("math.log(classes)", "1 / classes",
     "That is the probability of the right class. The loss is its negative logarithm."),
    ("math.log(classes)", "1 - 1 / classes",
     "That is the share of wrong answers that guessing gives. The loss looks at probabilities, not at answers."))


def network_and_batch(rng, steps):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.randrange(2**31))
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))  # in a deeper one a step before backward() raises
        images, labels = torch.randn(12, 1, 4, 4), torch.arange(12) % 3
    return net, images, labels, torch.optim.SGD(net.parameters(), lr=0.3), steps


@exercise(minutes=8, level="medium",
          hints=("Each step is the five lines of the table, in their order. What must be kept of each?",
                 "`loss.item()` is the loss as a number. It belongs to the weights of the forward pass that gave it.",
                 "In a loop over `range(steps)`: logits, loss, `zero_grad`, `backward`, `step`, and then "
                 "`losses.append(loss.item())`."),
          cases=lambda rng: [network_and_batch(rng, 3), network_and_batch(rng, 5)])
def learn(model, images, labels, optimizer, steps):
    """Train `model` for `steps` steps on the same images and labels, with cross-entropy.

    Return a list: the loss of each step, as it was before the weights moved.
    """
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


learn.mistakes_as_edits(
    ("optimizer.zero_grad()", "",
     "The first two losses are right. Then the gradients of all steps so far add up: they must be forgotten in every "
     "step, not only before the first."),
    ("optimizer.step()", "",
     "All losses are equal, so no weight has moved. Either `optimizer.step()` is missing, or it finds no gradients, "
     "because they are forgotten just before it or computed only after it."),
    ("optimizer.step()", "", "optimizer.zero_grad()", "optimizer.step(); optimizer.zero_grad()",
     "Each step moves the weights by the gradients of the step before: `optimizer.step()` comes too early. First "
     "compute the gradients of this loss, then move."),
    ("model(images)", "model(images).softmax(dim=1)",
     "The loss is taken of probabilities. `F.cross_entropy` wants the scores as the network gives them, and applies "
     "softmax itself."),
    (", labels)", ', labels, reduction="sum")',
     "The loss is the sum over the images, so that steps and numbers grow with the batch. Cross-entropy's default, "
     "the mean, is asked for."),
    ("    return", "        return",
     "Your list holds one loss only. The `return` stands inside the loop, so that the function ends after its first "
     "step, or the list is made anew in each step."),
    ("loss.item()", "F.cross_entropy(model(images), labels).item()",
     "Your list begins with the loss after the first step: you ask the network again once its weights have moved. The "
     "loss that gave the gradients is asked for."))


def answers(rng, n, classes):
    """(logits N x classes, labels N), of which somewhat more than half are right."""
    generator = torch.Generator().manual_seed(rng.randrange(2**31))
    labels = torch.randint(classes, (n,), generator=generator)
    return torch.randn(n, classes, generator=generator) + 2 * F.one_hot(labels, classes), labels


@exercise(minutes=4, level="easy",
          hints=("The answer to an image is the class with its largest score. Along which dimension do you search?",
                 "`logits.argmax(dim=1)` has one class an image. Compare it with the labels: True is 1, False is 0.",
                 "The number of equal ones, divided by the number of labels."),
          cases=lambda rng: [answers(rng, 10, 10), answers(rng, 57, 4),
                             (torch.tensor([[2.0, 1.0], [9.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 0]))])
def accuracy(logits, labels):
    """The share of images whose label is the class with the largest score: a number from 0 to 1.

    logits: N x classes, the scores. labels: N, the right classes.
    """
    return (logits.argmax(dim=1) == labels).sum().item() / len(labels)


accuracy.mistakes_as_edits(
    ("dim=1", "dim=0",
     "You search along dimension 0, the images: that gives the image with the highest score of each class. Each image "
     "needs its own answer."),
    ("logits.argmax", "logits.softmax(dim=0).argmax",
     "The softmax runs along dimension 0 and makes the images compete with each other. The classes of one image "
     "should; and the largest score can be found without any softmax."),
    ("/", "//", "The division is a whole one (`//`), which rounds every share below 1 down to 0."),
    (" / len(labels)", "",
     "That is the number of right answers. The share is asked for, so that sets of different size can be compared."),
    ("==", "!=", "That is the share of wrong answers. The share of right ones is asked for."),
    ("return", "return 100 *", "That is in per cent. A number from 0 to 1 is asked for."),
    ("(logits.argmax(dim=1) == labels)", "logits.softmax(dim=1)[range(len(labels)), labels]",
     "That is the mean probability of the right class. Accuracy counts answers: right with 51 % counts as much as "
     "right with 99 %."))


def training_of_six_epochs(rng):
    """One row an epoch; training, validation and test accuracy are best at three different epochs, none the last."""
    best_training, best_validation, best_test, worst_validation = rng.sample(range(5), 4)
    training, validation, test = ([round(rng.uniform(0.6, 0.8), 4) for _ in range(6)] for _ in range(3))
    training[best_training], validation[best_validation], test[best_test] = 0.91, 0.87, 0.89
    validation[worst_validation] = 0.34
    return [{"epoch": i, "train_accuracy": a, "validation_accuracy": b, "test_accuracy": c}
            for i, (a, b, c) in enumerate(zip(training, validation, test, strict=True), 1)]


@exercise(minutes=5, level="easy",
          hints=("Two things are asked: which epoch, and which number of it. Only one kind of image may choose.",
                 "The validation images choose. The test images then say what the chosen network is worth.",
                 "`max(rows, key=lambda row: row[...])` is the row with the largest value; take one number out of it."),
          cases=lambda rng: [(training_of_six_epochs(rng),) for _ in range(3)])
def promise(rows):
    """Choose the best epoch of a training honestly, and return the accuracy to promise to others.

    rows: one dict an epoch with epoch, train_accuracy, validation_accuracy and test_accuracy. No two rows are equal.
    """
    return max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]


promise.mistakes_as_edits(
    ('"validation_accuracy"', '"test_accuracy"',
     "You chose the epoch by its test accuracy. The best of several test accuracies is better than what fresh images "
     "will show."),
    ('"validation_accuracy"', '"train_accuracy"',
     "You chose the epoch by its training accuracy, which also grows while the network learns its images by heart."),
    ('max(rows, key=lambda row: row["validation_accuracy"])', "rows[-1]",
     "You took the last epoch. That is honest, but it is no choice: an earlier network did better on the validation "
     "images."),
    ("max(", "min(",
     "You chose the epoch with the lowest validation accuracy. The smallest value is wanted of a loss, not of an "
     "accuracy."),
    ('"test_accuracy"', '"validation_accuracy"',
     "The epoch is right, the number is not: you promise the validation accuracy, by which you have just chosen."),
    ('"test_accuracy"', '"epoch"',
     "You return which epoch is best. How good is that network on images that nobody has chosen by?"))


def losses_and_sizes(rng):
    n = rng.randint(4, 7)
    return [rng.uniform(0.5, 2.5) for _ in range(n)], [128] * (n - 1) + [rng.randint(5, 30)]


@exercise(minutes=4, level="easy",
          hints=("Of how many images does each number speak?",
                 "A batch's loss times its size is the sum over its images.",
                 "All these sums together, divided by all images: `sum(loss * n ...) / sum(sizes)`, with `zip`."),
          cases=lambda rng: [losses_and_sizes(rng) for _ in range(3)])
def mean_loss(losses, sizes):
    """The mean loss of an epoch over all its images.

    losses: a list with the loss of each batch, which is already the mean over its images. sizes: images in each batch.
    """
    return sum(loss * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)


mean_loss.mistakes_as_edits(
    ("loss * n", "loss", "sum(sizes)", "len(sizes)",
     "That is the mean over the batches. The last batch is smaller, and its images would count too much."),
    ("loss * n", "loss",
     "You add up means and divide by images: the number is too small by about the batch size. What has to be added "
     "up, if you want to divide by images?"),
    ("sum(sizes)", "len(sizes)", "The sum over the images is right, but you divide it by the number of batches."),
    (" / sum(sizes)", "", "That is the sum over all images. It grows with the data; the mean does not."),
    ("loss * n", "loss * sizes[0]", "You take all batches to be as large as the first. The last one is smaller."))


@exercise(minutes=8, level="medium",
          hints=("Follow one side of the image: C1 keeps it, S2 halves it, C3 takes 4 away, S4 halves it again.",
                 "C5 sees all that S4 gives: 16 maps, each side x side. Halves are rounded down.",
                 "A layer has outputs x (inputs of one output + 1) parameters. One output of C1 has 25 x `channels` "
                 "inputs, one of C3 has 25 x 6."),
          cases=lambda rng: [(28, 1, 10), (35, 3, rng.randint(2, 9)),
                             (rng.randint(40, 64), rng.randint(2, 4), 100)])
def lenet_parameters(side, channels, classes):
    """The parameters of each trained layer of today's LeNet-5, as a dict with the keys C1, C3, C5, F6 and output.

    The images have `channels` channels and `side` x `side` pixels. C1 pads by 2. Each of C5's 120 outputs sees all of
    S4, however large it is. F6 has 84 outputs.
    """
    side = (side // 2 - 4) // 2
    layers = {"C1": (6, 25 * channels), "C3": (16, 25 * 6), "C5": (120, 16 * side * side), "F6": (84, 120),
              "output": (classes, 84)}
    return {name: outputs * (inputs + 1) for name, (outputs, inputs) in layers.items()}


lenet_parameters.mistakes_as_edits(
    ("(inputs + 1)", "inputs",
     "The biases are missing: one for each output of a layer, and one for each map of a convolution."),
    ("(side // 2 - 4) // 2", "5",
     "C5 is right for images of 28 x 28 only, where S4 has 5 x 5 pixels. Larger images leave larger maps."),
    ("(side // 2 - 4) // 2", "((side - 4) // 2 - 4) // 2",
     "C5 is too small: you let C1 take 4 from the side, but it pads by 2 on each side and keeps it."),
    ("(side // 2 - 4) // 2", "side // 2 - 4",
     "C5 is about four times too large: S4 halves the map again before C5 sees it."),
    ("(side // 2 - 4) // 2", "math.ceil((math.ceil(side / 2) - 4) / 2)",
     "You round halves up. A 2 x 2 window that does not fit any more is left out, so an odd side loses its last row."),
    ("25 * channels", "25",
     "C1 is counted for grey images. Each of its kernels has 25 weights for every channel of the image."),
    ("25 * 6", "25",
     "C3 is too small: each of its 16 kernels has 25 weights for every one of the six maps below, not 25 in all."))
