"""Exercises of lesson 2."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import behaviour, exercise


@exercise(minutes=8, level="medium",
          hints=("Four rows of the table: C1, S2, C3, S4. Two convolve, two average. Where does the tanh stand?",
                 "C1 gives as many rows as it gets: what does a 5x5 kernel lose, and which `padding` gives it back?",
                 "`nn.Sequential(convolution, nn.Tanh(), nn.AvgPool2d(2), ...)`, and the same three once more. C3 has "
                 "no padding."),
          cases=lambda chance: [(1,), (3,), (chance.randint(4, 9),)],
          observe=lambda net, channels: behaviour(net, torch.randn(2, channels, 28, 28)))
def features(channels):
    """The rows C1 to S4 of LeNet-5's table as one module: images N x `channels` x 28 x 28 in, maps N x 16 x 5 x 5 out.

    Each convolution is followed by a tanh, and sub-sampling is a plain average.
    """
    return nn.Sequential(nn.Conv2d(channels, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2))


@features.also_right
class Features(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.C3 = nn.Conv2d(6, 16, 5)
        self.C1 = nn.Conv2d(channels, 6, 5)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.C1(F.pad(x, (2, 2, 2, 2)))), 2)
        return F.avg_pool2d(self.C3(x).tanh(), 2)


@features.mistake
def no_padding(channels):
    """The last maps are 4x4, not 5x5: C1 loses two pixels on each side, because it has no padding."""
    return nn.Sequential(nn.Conv2d(channels, 6, 5), nn.Tanh(), nn.AvgPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2))


@features.mistake
def padded_twice(channels):
    """The last maps are 7x7: C3 has padding as well. Only C1 has; C3 may shrink the map from 14 to 10 rows."""
    return nn.Sequential(nn.Conv2d(channels, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
                         nn.Conv2d(6, 16, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2))


@features.mistake
def rectified(channels):
    """Every output is zero or more, so there is a ReLU in it. LeNet-5 bends with tanh, which has two signs."""
    return nn.Sequential(nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2))


@features.mistake
def largest_of_four(channels):
    """You keep the largest of four neighbours, as later networks do. LeNet-5 takes their average."""
    return nn.Sequential(nn.Conv2d(channels, 6, 5, padding=2), nn.Tanh(), nn.MaxPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.Tanh(), nn.MaxPool2d(2))


@features.mistake
def averaged_first(channels):
    """The tanh stands behind the average. An average of bent numbers is not the bent average: convolve, bend, then
    shrink."""
    return nn.Sequential(nn.Conv2d(channels, 6, 5, padding=2), nn.AvgPool2d(2), nn.Tanh(),
                         nn.Conv2d(6, 16, 5), nn.AvgPool2d(2), nn.Tanh())


@features.mistake
def bent_once(channels):
    """C3 has no tanh. Count the activations: one behind each convolution."""
    return nn.Sequential(nn.Conv2d(channels, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
                         nn.Conv2d(6, 16, 5), nn.AvgPool2d(2))


@exercise(minutes=2, level="easy",
          hints=("What probability does such a network give to the right class?",
                 "Cross-entropy is the negative logarithm of that probability, to the base e.",
                 "$-\\ln(1/K)$ can be written without the minus and without the fraction."),
          cases=lambda chance: [(2,), (10,), (chance.randint(20, 900),), (1000,)])
def loss_at_start(classes):
    """The cross-entropy of an untrained network that gives each of `classes` classes the same probability."""
    return math.log(classes)


@loss_at_start.also_right
def loss_of_equal_logits(classes):
    return F.cross_entropy(torch.zeros(1, classes, dtype=torch.double), torch.tensor([0])).item()


@loss_at_start.mistake
def always_ten(classes):
    """That is the loss for ten classes, whatever number is asked for."""
    return math.log(10)


@loss_at_start.mistake
def base_ten(classes):
    """This logarithm has the base 10. Cross-entropy uses the natural one: for ten classes it is 2.303, not 1."""
    return math.log10(classes)


@loss_at_start.mistake
def in_bits(classes):
    """This logarithm has the base 2 and counts bits. PyTorch's cross-entropy uses the base e."""
    return math.log2(classes)


@loss_at_start.mistake
def negative(classes):
    """The sign is wrong. The logarithm of a probability is negative, and the loss is minus that."""
    return math.log(1 / classes)


@loss_at_start.mistake
def probability(classes):
    """That is the probability of the right class. The loss is its negative logarithm."""
    return 1 / classes


@loss_at_start.mistake
def share_of_errors(classes):
    """That is the share of wrong answers that guessing gives. The loss looks at probabilities, not at answers."""
    return 1 - 1 / classes


def network_and_batch(chance, steps):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(chance.randrange(2**31))
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))  # in a deeper one a step before backward() raises
        images, labels = torch.randn(12, 1, 4, 4), torch.arange(12) % 3
    return net, images, labels, torch.optim.SGD(net.parameters(), lr=0.3), steps


@exercise(minutes=8, level="medium",
          hints=("Each step is the five lines of the table, in their order. What must be kept of each?",
                 "`loss.item()` is the loss as a number. It belongs to the weights of the forward pass that gave it.",
                 "In a loop over `range(steps)`: logits, loss, `zero_grad`, `backward`, `step`, and then "
                 "`losses.append(loss.item())`."),
          cases=lambda chance: [network_and_batch(chance, 3), network_and_batch(chance, 5)])
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


@learn.also_right
def forgets_first(model, images, labels, optimizer, steps):
    losses, criterion = [], nn.CrossEntropyLoss()
    for _ in range(steps):
        model.zero_grad()
        losses.append(criterion(model(images), labels))
        losses[-1].backward()
        optimizer.step()
    return [loss.item() for loss in losses]


@learn.mistake
def never_forgets(model, images, labels, optimizer, steps):
    """The first two losses are right. Then the gradients of all steps so far add up: they must be forgotten in every
    step, not only before the first."""
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@learn.mistake
def never_moves(model, images, labels, optimizer, steps):
    """All losses are equal, so no weight has moved. Either `optimizer.step()` is missing, or it finds no gradients,
    because they are forgotten just before it or computed only after it."""
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
    return losses


@learn.mistake
def moves_late(model, images, labels, optimizer, steps):
    """Each step moves the weights by the gradients of the step before: `optimizer.step()` comes too early. First
    compute the gradients of this loss, then move."""
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        optimizer.step()
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
    return losses


@learn.mistake
def softmax_twice(model, images, labels, optimizer, steps):
    """The loss is taken of probabilities. `F.cross_entropy` wants the scores as the network gives them, and applies
    softmax itself."""
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images).softmax(dim=1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@learn.mistake
def summed(model, images, labels, optimizer, steps):
    """The loss is the sum over the images, so that steps and numbers grow with the batch. Cross-entropy's default, the
    mean, is asked for."""
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels, reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@learn.mistake
def returns_in_the_loop(model, images, labels, optimizer, steps):
    """Your list holds one loss only. The `return` stands inside the loop, so that the function ends after its first
    step, or the list is made anew in each step."""
    return learn.function(model, images, labels, optimizer, 1)


@learn.mistake
def looks_afterwards(model, images, labels, optimizer, steps):
    """Your list begins with the loss after the first step: you ask the network again once its weights have moved. The
    loss that gave the gradients is asked for."""
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        losses.append(F.cross_entropy(model(images), labels).item())
    return losses


def answers(chance, n, classes):
    """(logits N x classes, labels N), of which somewhat more than half are right."""
    generator = torch.Generator().manual_seed(chance.randrange(2**31))
    labels = torch.randint(classes, (n,), generator=generator)
    return torch.randn(n, classes, generator=generator) + 2 * F.one_hot(labels, classes), labels


@exercise(minutes=4, level="easy",
          hints=("The answer to an image is the class with its largest score. Along which dimension do you search?",
                 "`logits.argmax(dim=1)` has one class an image. Compare it with the labels: True is 1, False is 0.",
                 "The number of equal ones, divided by the number of labels."),
          cases=lambda chance: [answers(chance, 10, 10), answers(chance, 57, 4),
                                (torch.tensor([[2.0, 1.0], [9.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 0]))])
def accuracy(logits, labels):
    """The share of images whose label is the class with the largest score: a number from 0 to 1.

    logits: N x classes, the scores. labels: N, the right classes.
    """
    return (logits.argmax(dim=1) == labels).sum().item() / len(labels)


@accuracy.also_right
def accuracy_by_numpy(logits, labels):
    return np.mean(logits.softmax(dim=1).max(dim=1)[1].numpy() == labels.numpy())


@accuracy.mistake
def along_the_images(logits, labels):
    """You search along dimension 0, the images: that gives the image with the highest score of each class. Each image
    needs its own answer."""
    return (logits.argmax(dim=0) == labels).sum().item() / len(labels)


@accuracy.mistake
def softmax_along_the_images(logits, labels):
    """The softmax runs along dimension 0 and makes the images compete with each other. The classes of one image should;
    and the largest score can be found without any softmax."""
    return (logits.softmax(dim=0).argmax(dim=1) == labels).sum().item() / len(labels)


@accuracy.mistake
def whole_division(logits, labels):
    """The division is a whole one (`//`), which rounds every share below 1 down to 0."""
    return (logits.argmax(dim=1) == labels).sum().item() // len(labels)


@accuracy.mistake
def count(logits, labels):
    """That is the number of right answers. The share is asked for, so that sets of different size can be compared."""
    return (logits.argmax(dim=1) == labels).sum().item()


@accuracy.mistake
def errors(logits, labels):
    """That is the share of wrong answers. The share of right ones is asked for."""
    return (logits.argmax(dim=1) != labels).sum().item() / len(labels)


@accuracy.mistake
def per_cent(logits, labels):
    """That is in per cent. A number from 0 to 1 is asked for."""
    return 100 * (logits.argmax(dim=1) == labels).sum().item() / len(labels)


@accuracy.mistake
def mean_probability(logits, labels):
    """That is the mean probability of the right class. Accuracy counts answers: right with 51 % counts as much as right
    with 99 %."""
    return logits.softmax(dim=1)[range(len(labels)), labels].mean().item()


def training_of_six_epochs(chance):
    """One row an epoch; training, validation and test accuracy are best at three different epochs, none the last."""
    best_training, best_validation, best_test, worst_validation = chance.sample(range(5), 4)
    training, validation, test = ([round(chance.uniform(0.6, 0.8), 4) for _ in range(6)] for _ in range(3))
    training[best_training], validation[best_validation], test[best_test] = 0.91, 0.87, 0.89
    validation[worst_validation] = 0.34
    return [{"epoch": i, "train_accuracy": a, "validation_accuracy": b, "test_accuracy": c}
            for i, (a, b, c) in enumerate(zip(training, validation, test, strict=True), 1)]


@exercise(minutes=5, level="easy",
          hints=("Two things are asked: which epoch, and which number of it. Only one kind of image may choose.",
                 "The validation images choose. The test images then say what the chosen network is worth.",
                 "`max(rows, key=lambda row: row[...])` is the row with the largest value; take one number out of it."),
          cases=lambda chance: [(training_of_six_epochs(chance),) for _ in range(3)])
def promise(rows):
    """Choose the best epoch of a training honestly, and return the accuracy to promise to others.

    rows: one dict an epoch with epoch, train_accuracy, validation_accuracy and test_accuracy. No two rows are equal.
    """
    return max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]


@promise.also_right
def promise_by_loop(rows):
    best = rows[0]
    for row in rows[1:]:
        if row["validation_accuracy"] > best["validation_accuracy"]:
            best = row
    return best["test_accuracy"]


@promise.mistake
def chosen_by_test(rows):
    """You chose the epoch by its test accuracy. The best of several test accuracies is better than what fresh images
    will show."""
    return max(row["test_accuracy"] for row in rows)


@promise.mistake
def chosen_by_training(rows):
    """You chose the epoch by its training accuracy, which also grows while the network learns its images by heart."""
    return max(rows, key=lambda row: row["train_accuracy"])["test_accuracy"]


@promise.mistake
def last(rows):
    """You took the last epoch. That is honest, but it is no choice: an earlier network did better on the validation
    images."""
    return rows[-1]["test_accuracy"]


@promise.mistake
def lowest(rows):
    """You chose the epoch with the lowest validation accuracy. The smallest value is wanted of a loss, not of an
    accuracy."""
    return min(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]


@promise.mistake
def what_it_was_chosen_by(rows):
    """The epoch is right, the number is not: you promise the validation accuracy, by which you have just chosen."""
    return max(row["validation_accuracy"] for row in rows)


@promise.mistake
def number_of_the_epoch(rows):
    """You return which epoch is best. How good is that network on images that nobody has chosen by?"""
    return max(rows, key=lambda row: row["validation_accuracy"])["epoch"]


def losses_and_sizes(chance):
    n = chance.randint(4, 7)
    return [chance.uniform(0.5, 2.5) for _ in range(n)], [128] * (n - 1) + [chance.randint(5, 30)]


@exercise(minutes=4, level="easy",
          hints=("Of how many images does each number speak?",
                 "A batch's loss times its size is the sum over its images.",
                 "All these sums together, divided by all images: `sum(loss * n ...) / sum(sizes)`, with `zip`."),
          cases=lambda chance: [losses_and_sizes(chance) for _ in range(3)])
def mean_loss(losses, sizes):
    """The mean loss of an epoch over all its images.

    losses: a list with the loss of each batch, which is already the mean over its images. sizes: images in each batch.
    """
    return sum(loss * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)


@mean_loss.also_right
def mean_loss_by_numpy(losses, sizes):
    return np.average(losses, weights=sizes)


@mean_loss.mistake
def mean_of_means(losses, sizes):
    """That is the mean over the batches. The last batch is smaller, and its images would count too much."""
    return sum(losses) / len(losses)


@mean_loss.mistake
def shrinks_with_the_batch(losses, sizes):
    """You add up means and divide by images: the number is too small by about the batch size. What has to be added up,
    if you want to divide by images?"""
    return sum(losses) / sum(sizes)


@mean_loss.mistake
def per_batch(losses, sizes):
    """The sum over the images is right, but you divide it by the number of batches."""
    return sum(loss * n for loss, n in zip(losses, sizes, strict=True)) / len(losses)


@mean_loss.mistake
def undivided(losses, sizes):
    """That is the sum over all images. It grows with the data; the mean does not."""
    return sum(loss * n for loss, n in zip(losses, sizes, strict=True))


@mean_loss.mistake
def equal_batches(losses, sizes):
    """You take all batches to be as large as the first. The last one is smaller."""
    return sum(loss * sizes[0] for loss in losses) / sum(sizes)


@exercise(minutes=8, level="medium",
          hints=("Follow one side of the image: C1 keeps it, S2 halves it, C3 takes 4 away, S4 halves it again.",
                 "C5 sees all that S4 gives: 16 maps, each side x side. Halves are rounded down.",
                 "A layer has outputs x (inputs of one output + 1) parameters. One output of C1 has 25 x `channels` "
                 "inputs, one of C3 has 25 x 6."),
          cases=lambda chance: [(28, 1, 10), (35, 3, chance.randint(2, 9)),
                                (chance.randint(40, 64), chance.randint(2, 4), 100)])
def lenet_parameters(side, channels, classes):
    """The parameters of each trained layer of today's LeNet-5, as a dict with the keys C1, C3, C5, F6 and output.

    The images have `channels` channels and `side` x `side` pixels. C1 pads by 2. Each of C5's 120 outputs sees all of
    S4, however large it is. F6 has 84 outputs.
    """
    side = (side // 2 - 4) // 2
    return {"C1": 6 * (25 * channels + 1), "C3": 16 * (25 * 6 + 1), "C5": 120 * (16 * side * side + 1),
            "F6": 84 * (120 + 1), "output": classes * (84 + 1)}


@lenet_parameters.also_right
def counted_by_pytorch(side, channels, classes):
    maps = features.function(channels)(torch.zeros(1, channels, side, side))
    layers = {"C1": nn.Conv2d(channels, 6, 5), "C3": nn.Conv2d(6, 16, 5), "C5": nn.Conv2d(16, 120, maps.shape[2:]),
              "F6": nn.Linear(120, 84), "output": nn.Linear(84, classes)}
    return {name: sum(p.numel() for p in layer.parameters()) for name, layer in layers.items()}


@lenet_parameters.mistake
def without_biases(side, channels, classes):
    """The biases are missing: one for each output of a layer, and one for each map of a convolution."""
    side = (side // 2 - 4) // 2
    return {"C1": 6 * 25 * channels, "C3": 16 * 25 * 6, "C5": 120 * 16 * side * side, "F6": 84 * 120,
            "output": classes * 84}


def with_side(side, channels, classes):
    return lenet_parameters.function(28, channels, classes) | {"C5": 120 * (16 * side * side + 1)}


@lenet_parameters.mistake
def always_five(side, channels, classes):
    """C5 is right for images of 28 x 28 only, where S4 has 5 x 5 pixels. Larger images leave larger maps."""
    return with_side(5, channels, classes)


@lenet_parameters.mistake
def unpadded(side, channels, classes):
    """C5 is too small: you let C1 take 4 from the side, but it pads by 2 on each side and keeps it."""
    return with_side(((side - 4) // 2 - 4) // 2, channels, classes)


@lenet_parameters.mistake
def pooled_once(side, channels, classes):
    """C5 is about four times too large: S4 halves the map again before C5 sees it."""
    return with_side(side // 2 - 4, channels, classes)


@lenet_parameters.mistake
def rounded_up(side, channels, classes):
    """You round halves up. A 2 x 2 window that does not fit any more is left out, so an odd side loses its last row."""
    return with_side(math.ceil((math.ceil(side / 2) - 4) / 2), channels, classes)


@lenet_parameters.mistake
def grey(side, channels, classes):
    """C1 is counted for grey images. Each of its kernels has 25 weights for every channel of the image."""
    return lenet_parameters.function(side, 1, classes)


@lenet_parameters.mistake
def flat_kernels(side, channels, classes):
    """C3 is too small: each of its 16 kernels has 25 weights for every one of the six maps below, not 25 in all."""
    return lenet_parameters.function(side, channels, classes) | {"C3": 16 * (25 + 1)}
