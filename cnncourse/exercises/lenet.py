"""Exercises of lesson 2."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from . import exercise
from .checking.networks import behaviour


@exercise(minutes=8, level="medium",
          hints=("Four rows of the table: C1, S2, C3, S4. Two convolve, two average. Where does the tanh stand?",
                 "C1 gives as many rows as it gets: what does a 5x5 kernel lose, and which `padding` gives it back?",
                 "`nn.Sequential(convolution, nn.Tanh(), nn.AvgPool2d(2), ...)`, and the same three once more. C3 has "
                 "no padding."),
          cases=lambda rng: [(1,), (3,), (rng.randint(4, 9),)],
          observe=lambda net, channels: behaviour(net, torch.randn(3, channels, 28, 28), torch.randn(1, channels, 28,
              28)))
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
    ("2), nn.Tanh()", "2)", "C1 has no tanh. Count the activations: one behind each convolution."),
    ("2), nn.Tanh()", "2)", "5), nn.Tanh()", "5)",
     "There is no tanh. Without one, the four layers together are one linear map; there is one behind each "
     "convolution."),
    ("5), nn.Tanh(), nn.AvgPool2d(2)", "5), nn.AvgPool2d(2), nn.Tanh()",
     "Behind C3 the tanh stands after the average. Convolve, bend, then shrink, as behind C1."),
    ("2), nn.Tanh(), nn.AvgPool2d(2)", "2), nn.AvgPool2d(2), nn.Tanh()",
     "Behind C1 the tanh stands after the average. Convolve, bend, then shrink, as behind C3."),
    ("5), nn.Tanh()", "5), nn.ReLU()", "Behind C3 stands a ReLU. LeNet-5 bends with tanh, there too."),
    ("2), nn.Tanh()", "2), nn.ReLU()", "Behind C1 stands a ReLU. LeNet-5 bends with tanh, there too."),
    ("2), nn.Tanh()", "2), nn.Sigmoid()", "5), nn.Tanh()", "5), nn.Sigmoid()",
     "Every output lies between 0 and 1: you bend with the logistic function. LeNet-5 bends with tanh."),
    ("AvgPool2d(2))", "MaxPool2d(2))", "S4 keeps the largest of four neighbours. It takes their average, as S2 does."),
    ("AvgPool2d(2),", "MaxPool2d(2),", "S2 keeps the largest of four neighbours. It takes their average, as S4 does."),
    (", nn.AvgPool2d(2))", ")", "S4 is missing: the last maps are 10x10."),
    ("AvgPool2d(2))", "AvgPool2d(2), nn.Flatten())",
     "You flatten the maps at the end. Maps are asked for, N x 16 x 5 x 5; C5 comes later."),
    ("AvgPool2d(2))", "AvgPool2d(2), nn.Tanh())", "There is a tanh more than in the table: none stands behind S4."),
    ("(channels,", "(1,",
     "C1 takes one channel, whatever is asked. The images have `channels` of them."),
    ("padding=2", 'padding=2, padding_mode="reflect"', "Your padding mirrors the image. C1 pads with zeros."),
    ("5), nn.Tanh()", "5)", "C3 has no tanh. Count the activations: one behind each convolution."))


@exercise(minutes=2, level="easy",
          hints=("What probability does such a network give to the right class?",
                 "Cross-entropy is the negative logarithm of that probability, to the base e.",
                 "$-\\ln(1/K)$ can be written without the minus and without the fraction."),
          cases=lambda rng: [(2,), (3,), (10,), (rng.randint(20, 900),), (1000,), (5000,)])
def loss_at_start(classes):
    """The cross-entropy of an untrained network that gives each of `classes` classes the same probability."""
    return math.log(classes)


loss_at_start.mistakes_as_edits(
    ("log(classes)", "log(10)", "That is the loss for ten classes, whatever number is asked for."),
    ("math.log", "math.log10",
     "This logarithm has the base 10. Cross-entropy uses the natural one: for ten classes it is 2.303, not 1."),
    ("log(classes)", "log(classes - 1)", "You take one class less. The right class counts as well."),
    ("log(classes)", "log(classes + 1)", "You take one class more than there is."),
    ("math.log(classes)", "math.log(classes) / classes",
     "You divide by the number of classes. The loss of an image has one term only, that of the right class."),
    ("math.log(classes)", "classes * math.log(classes)",
     "You add up all classes. The loss of an image has one term only, that of the right class."),
    ("math.log(classes)", "-math.log(1 - 1 / classes)",
     "You take the logarithm of the probability of all wrong classes. The right class has the probability 1 / "
     "classes."),
    ("math.log(classes)", "-1 / classes",
     "That is the negative probability, as it comes out where the logarithm is forgotten (`F.nll_loss` of "
     "probabilities)."),
    ("math.log", "math.log2",
     "This logarithm has the base 2 and counts bits. PyTorch's cross-entropy uses the base e."),
    ("log(classes)", "log(1 / classes)",
     "The sign is wrong. The logarithm of a probability is negative, and the loss is minus that."),
    ("math.log(classes)", "1 / classes",
     "That is the probability of the right class. The loss is its negative logarithm."),
    ("math.log(classes)", "math.log(math.e + classes - 1) - 1",
     "That is the loss of a network that is right and sure, behind a second softmax. This one knows nothing yet."),
    ("math.log(classes)", "(1 - 1 / classes) ** 2",
     "That is a squared error. The loss is the negative logarithm of the probability of the right class."),
    ("math.log(classes)", "math.log(classes) - (classes - 1) * math.log(1 - 1 / classes)",
     "You count each wrong class not being there, as for yes or no by class. Cross-entropy has one term an image."),
    ("math.log(classes)", "1 - 1 / classes",
     "That is the share of wrong answers that guessing gives. The loss looks at probabilities, not at answers."))


def network_and_batch(rng, steps, n=12, momentum=0, climbs=False):
    """A case of `learn`. Where it climbs, the loss rises, and the gradients are large enough to be clipped."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(rng.randrange(2**31))
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))  # in a deeper one a step before backward() raises
        images, labels = torch.randn(n, 1, 4, 4) * (10 if climbs else 1), torch.arange(n) % 3
    # With momentum an optimizer made anew takes other steps, whichever rate it has.
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02 if climbs else 0.3, momentum=momentum, maximize=climbs)
    return net, images, labels, optimizer, steps


def learnt_at_once(steps):
    """A case of `learn`: from the second step on the loss is exactly 0, and whoever stops there stops too early."""
    with torch.random.fork_rng(devices=[]):
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    for p in net.parameters():
        nn.init.zeros_(p)
    images = 100 * torch.eye(16)[:3].reshape(3, 1, 4, 4)
    return net, images, torch.arange(3), torch.optim.SGD(net.parameters(), lr=0.3), steps


@exercise(minutes=8, level="medium",
          hints=("Each step is the five lines of the table, in their order. What must be kept of each?",
                 "`loss.item()` is the loss as a number. It belongs to the weights of the forward pass that gave it.",
                 "In a loop over `range(steps)`: logits, loss, `zero_grad`, `backward`, `step`, and then "
                 "`losses.append(loss.item())`."),
          cases=lambda rng: [network_and_batch(rng, 3), network_and_batch(rng, 5, 300, 0.5), network_and_batch(rng, 1),
                             network_and_batch(rng, 3, 300, climbs=True), learnt_at_once(3)])
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
     "All losses are equal. Either no weight has moved: `optimizer.step()` is missing, or it finds no gradients, "
     "because they are forgotten just before it or computed only after it. Or the network is asked once, before the "
     "loop, and not again in each step. Or it is a copy, and the optimizer moves the weights of the original."),
    ("optimizer.step()", "", "optimizer.zero_grad()", "optimizer.step(); optimizer.zero_grad()",
     "Each step moves the weights by the gradients of the step before: `optimizer.step()` comes too early. First "
     "compute the gradients of this loss, then move."),
    ("optimizer.zero_grad()", "optimizer.zero_grad() if not losses else None",
     "The first two losses are right. Then the gradients add up: you forget them before the first step only, and they "
     "must be forgotten in every step."),
    ("optimizer.step()", "optimizer.step(); optimizer.step()",
     "Each step moves the weights twice by the same gradients: `optimizer.step()` runs two times."),
    ("loss.backward()", "loss.backward(retain_graph=True); loss.backward()",
     "`backward()` runs two times in each step. The gradients add up, so that each step is twice as long."),
    ("losses = []", "losses, raw = [], []", "losses.append(loss.item())",
     "raw.append(loss.item()); losses.append(sum(raw) / len(raw))",
     "You return the mean of all losses so far. The loss of each step by itself is asked for."),
    ("range(steps)", "range(steps + 1)", "Your list has one loss too many: the loop takes a step more than asked."),
    ("range(steps)", "range(steps - 1)", "Your list has one loss too few: the loop takes a step less than asked."),
    ("losses = []", "losses, again = [], torch.optim.SGD(model.parameters(), lr=0.1)", "optimizer.step()",
     "again.step()",
     "You make an optimizer of your own. Use the one that is given, which has its learning rate."),
    ("losses = []", "losses, again = [], torch.optim.SGD(model.parameters(), lr=0.01)", "optimizer.step()",
     "again.step()", "You make an optimizer of your own, with the learning rate 0.01. Use the one that is given."),
    ("losses = []", 'losses, again = [], torch.optim.SGD(model.parameters(), lr=optimizer.param_groups[0]["lr"])',
     "optimizer.step()", "again.step()",
     "You make an optimizer of your own, or move the weights by hand, without the momentum of the one that is given."),
    ("losses = []", "losses, again = [], torch.optim.Adam(model.parameters())", "optimizer.step()", "again.step()",
     "You make an optimizer of your own, Adam. Use the one that is given."),
    ("optimizer.zero_grad()",
     "if losses and loss.item() > losses[-1]:\n            break\n        optimizer.zero_grad()",
     "You stop where the loss rises. As many steps are asked for as `steps` says, whatever the loss does."),
    ("loss.backward()", "loss.backward(); nn.utils.clip_grad_norm_(model.parameters(), 1)",
     "You clip the gradients. The step takes them as `backward()` has computed them."),
    ("F.cross_entropy(model(images), labels)", "F.nll_loss(model(images), labels)",
     "`F.nll_loss` wants logarithms of probabilities. `F.cross_entropy` takes the scores and does both."),
    ("F.cross_entropy(model(images), labels)", "F.nll_loss(model(images).softmax(dim=1), labels)",
     "`F.nll_loss` of probabilities takes no logarithm at all. `F.cross_entropy` takes the scores and does both."),
    ("F.cross_entropy(model(images), labels)", "F.mse_loss(model(images), F.one_hot(labels, 3).float())",
     "Your loss is the mean square of differences. Cross-entropy is asked for: `F.cross_entropy`."),
    ("F.cross_entropy(model(images), labels)", "-F.cross_entropy(model(images), labels)",
     "Your loss has a minus: the steps make it worse. `F.cross_entropy` has its minus already."),
    ("loss.item()", "loss", "Your list holds tensors with their graphs, which keep all that was computed for each loss "
     "in memory. Keep `loss.item()`, the plain number."),
    ("F.cross_entropy(model(images), labels)", "F.cross_entropy(model(images), labels) / len(labels)",
     "You divide the loss by the number of images. `F.cross_entropy` gives their mean already."),
    (", labels)", ", labels, label_smoothing=0.1)",
     "You smooth the labels (`label_smoothing`). Plain cross-entropy is asked for."),
    ("F.cross_entropy(model(images), labels)",
     "F.cross_entropy(model(images[(i := len(losses) % len(labels)):i + 1]), labels[i:i + 1])",
     "Each step sees one image, in turn. All of them belong to each step."),
    ("loss.item()", "round(loss.item(), 2)", "You round the losses. Return them as they are."),
    ("return losses", "return losses[-1]", "You return the last loss. The list of all is asked for."),
    ("return losses", "return sum(losses) / len(losses)", "You return the mean of the losses. The list is asked for."),
    ("F.cross_entropy(model(images), labels)", "F.cross_entropy(model(images).detach().requires_grad_(), labels)",
     "The network is cut off from the loss (`detach`, a new tensor), so that no gradient reaches its weights, and no "
     "step moves them."),
    ("model(images)", "model(images).softmax(dim=1)",
     "The loss is taken of probabilities. `F.cross_entropy` wants the scores as the network gives them, and applies "
     "softmax itself."),
    (", labels)", ', labels, reduction="sum")', "loss.item()", "loss.item() / len(labels)",
     "The numbers in your list are means, but the steps follow the sum over the images, so that they grow with the "
     "batch."),
    ("losses = []", "losses, half = [], len(images) // 2",
     "F.cross_entropy(model(images), labels)",
     "F.cross_entropy(*((model(images[:half]), labels[:half]) if len(losses) % 2 == 0 else "
     "(model(images[half:]), labels[half:])))",
     "Each step sees one half of the images, in turn. All of them belong to each step."),
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
          cases=lambda rng: [(torch.tensor([[2.0, 1.0], [9.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 0])),
                             (torch.tensor([[2.0, 1.0], [0.5, 1.0]]), torch.tensor([0, 1])),  # all right
                             *((torch.tensor([[-1.0, -3.0, -2.0]]), torch.tensor([label])) for label in (0, 2)),
                             (torch.tensor([[-1.0, -3.0, -2.0], [4.0, 5.0, 3.0]]), torch.tensor([2, 1])),
                             answers(rng, 10, 10), answers(rng, 57, 4), answers(rng, 300, 12)])
def accuracy(logits, labels):
    """The share of images whose label is the class with the largest score: a number from 0 to 1.

    logits: N x classes, the scores. labels: N, the right classes.
    """
    return (logits.argmax(dim=1) == labels).sum().item() / len(labels)


accuracy.mistakes_as_edits(
    ("(logits.argmax(dim=1) == labels)", "(logits.topk(2, dim=1).indices == labels[:, None])",
     "You count an image as right where its label is among the two largest scores. It has to be the largest."),
    ("dim=1", "dim=0",
     "You search along dimension 0, the images: that gives the image with the highest score of each class. Each image "
     "needs its own answer."),
    ("logits.argmax", "logits.softmax(dim=0).argmax",
     "The softmax runs along dimension 0 and makes the images compete with each other. The classes of one image "
     "should; and the largest score can be found without any softmax."),
    ("/", "//", "The division is a whole one (`//`), which rounds every share below 1 down to 0."),
    (" / len(labels)", "",
     "That is the number of right answers. The share is asked for, so that sets of different size can be compared."),
    ("logits.argmax(dim=1)", "logits.max(dim=1)[0]",
     "You compare the largest scores with the labels. `max` gives scores and their places: take the places, "
     "`max(1)[1]` "
     "or `argmax`."),
    ("argmax(dim=1)", "argmin(dim=1)", "You take the class with the smallest score."),
    ("argmax(dim=1)", "argmax()", "Without a dimension, `argmax` gives one place among all scores of all images."),
    ("len(labels)", "logits.shape[1]", "You divide by the number of classes. Divide by the number of images."),
    ("len(labels)", "logits.numel()", "You divide by the number of scores. Divide by the number of images."),
    ("len(labels)", "10", "You divide by ten, whatever the number of images is."),
    (".sum().item() / len(labels)", "",
     "You return for each image whether it is right. The share of right ones is asked "
     "for: their mean."),
    ("logits.argmax", "logits.abs().argmax", "You drop the sign of the scores. A score of -9 is a small one."),
    ("(logits.argmax(dim=1) == labels)", "(logits.softmax(dim=1)[range(len(labels)), labels] > 0.5)",
     "You count images whose class has more than half of the probability. The largest score may have less."),
    ("(logits.argmax(dim=1) == labels)", "(logits[range(len(labels)), labels] > 0)",
     "You count images whose score for the right class is above zero. It has to be the largest of its row."),
    ("return (logits.argmax(dim=1) == labels).sum().item() / len(labels)",
     "return round((logits.argmax(dim=1) == labels).sum().item() / len(labels), 2)",
     "You round the share. Return it as it is."),
    ("(logits.argmax(dim=1) == labels).sum().item()", "logits.softmax(dim=1).amax(dim=1).sum().item()",
     "That is how sure the network is on average, right or wrong. The labels play no part in it."),
    (".sum().item() / len(labels)", ".any()", "You ask whether any is right. The share of right ones is asked for."),
    (".sum().item() / len(labels)", ".all()", "You ask whether all are right. The share of right ones is asked for."),
    ("argmax(dim=1) == labels).sum().item() / len(labels)", "argmax(dim=1) == labels)[:-1].float().mean().item()",
     "You leave out the last image."),
    ("(logits.argmax(dim=1) == labels).sum().item() / len(labels)",
     "torch.stack([(logits.argmax(dim=1) == labels)[labels == c].float().mean() for c in labels.unique()]).mean()",
     "You take the share of each class and average over the classes. Each image counts alike."),
    ("len(labels)", "32", "You divide by 32, whatever the number of images is."),
    ("==", "!=", "That is the share of wrong answers. The share of right ones is asked for."),
    ("return", "return 100 *", "That is in per cent. A number from 0 to 1 is asked for."),
    ("(logits.argmax(dim=1) == labels)", "logits.softmax(dim=1)[range(len(labels)), labels]",
     "That is the mean probability of the right class. Accuracy counts answers: right with 51 % counts as much as "
     "right with 99 %."))


def training(validation, test, train):
    """Rows from accuracies in per cent."""
    shares = ([round(x / 100, 4) for x in values] for values in (validation, test, train))
    return [{"epoch": i, "train_accuracy": c, "validation_accuracy": a, "test_accuracy": b}
            for i, (a, b, c) in enumerate(zip(*shares, strict=True), 1)]


def trainings(rng):
    """Trainings of 1 to 14 epochs. The best of each accuracy stands now at the beginning, now in the middle and now at
    the end, and validation is now above test and now below."""
    drawn = [[[x / 100 for x in rng.sample(range(4001, 9000, 2), n)] for _ in range(3)]  # four digits: rounding shows
             for n in (5, 6, 7, 7, 7)]
    return [(training(*three),) for three in [
        ([70, 60], [72, 75], [80, 90]), ([60, 70], [65, 63], [90, 80]), ([50], [48], [60]),
        ([50, 56, 45, 60], [51, 57, 46, 61], [51, 70, 90, 72]),
        ([60, 90, 70, 75, 65], [62, 81, 77, 79, 66], [70, 75, 80, 85, 90]),
        ([72, 80, 78, 85, 79], [75, 88, 76, 81, 70], [70, 75, 92, 88, 91]),
        ([84, 60, 70, 75, 34], [71, 82, 60, 79, 66], [85, 80, 95, 79, 88]),
        ([70.1, 70.4, 60], [66, 65, 72], [75, 80, 85]),
        ([70, 62, 61, 72, 63, 64, 65, 75, 66, 67, 68, 69, 71, 80],  # better again after 2, 3 and 5 worse epochs
         [71, 60, 74, 68, 76, 79, 61, 73, 65, 83, 77, 64, 81, 70], range(72, 86)),
        (range(60, 72), range(80, 68, -1), range(70, 82)), (range(71, 59, -1), range(69, 81), range(70, 82)), *drawn]]


@exercise(minutes=5, level="easy",
          hints=("Two things are asked: which epoch, and which number of it. Only one kind of image may choose.",
                 "The validation images choose. The test images then say what the chosen network is worth.",
                 "`max(rows, key=lambda row: row[...])` is the row with the largest value; take one number out of it."),
          cases=trainings)
def promise(rows):
    """Choose the best epoch of a training honestly, and return the accuracy to promise to others.

    rows: one dict an epoch with epoch, train_accuracy, validation_accuracy and test_accuracy. No two rows are equal.
    """
    return max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]


promise.mistakes_as_edits(
    ('max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]',
     'sum(max(rows, key=lambda row: row["validation_accuracy"])[f"{part}_accuracy"] for part in '
     '("validation", "test")) / 2',
     "The epoch is right. You promise the mean of both accuracies; that of the validation images is too good, since "
     "they have chosen the epoch."),
    ('"validation_accuracy"', '"test_accuracy"',
     "You chose the epoch by its test accuracy. The best of several test accuracies is better than what fresh images "
     "will show."),
    ('"validation_accuracy"', '"train_accuracy"',
     "You chose the epoch by its training accuracy, which also grows while the network learns its images by heart."),
    ('max(rows, key=lambda row: row["validation_accuracy"])', "rows[-1]",
     "You took the last epoch. That is honest, but it is no choice: an earlier network did better on the validation "
     "images."),
    ('["test_accuracy"]', '["train_accuracy"]',
     "The epoch is right, the number is not: you promise the accuracy on images that the network has learnt from."),
    ('["test_accuracy"]', "", "You return the whole row of the best epoch. One number of it is asked for."),
    ('max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]', 'max(r["test_accuracy"] for r in rows)',
     "You took the best test accuracy of all epochs. That chooses by the test images."),
    ('max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]',
     'sum(r["test_accuracy"] for r in rows) / len(rows)',
     "You took the mean over the epochs. One network is chosen: promise what that one does."),
    ('max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]',
     '(lambda r: min(r["validation_accuracy"], r["test_accuracy"]))(max(rows, key=lambda r: r["validation_accuracy"]))',
     "The epoch is right. But you promise the smaller of validation and test: the test accuracy is the honest number, "
     "even where it is higher."),
    ('max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]',
     '(lambda r: max(r["validation_accuracy"], r["test_accuracy"]))(max(rows, key=lambda r: r["validation_accuracy"]))',
     "The epoch is right. But you promise the larger of validation and test: the network was chosen by the first."),
    ('row["validation_accuracy"]', 'row["validation_accuracy"] + row["test_accuracy"]',
     "You chose by validation and test together. The test images must have no say in the choice."),
    ('row["validation_accuracy"]', 'row["validation_accuracy"] * row["test_accuracy"]',
     "You chose by the product of validation and test. The test images must have no say in the choice."),
    ('row["validation_accuracy"]', 'min(row["validation_accuracy"], row["test_accuracy"])',
     "You chose by the smaller of validation and test. The test images must have no say in the choice."),
    ('row["validation_accuracy"]', 'row["validation_accuracy"] + row["train_accuracy"]',
     "You chose by validation and training together. Training accuracy says nothing about fresh images."),
    ('row["validation_accuracy"]', 'row["validation_accuracy"] - row["train_accuracy"]',
     "You chose the epoch in which training and validation lie closest. The best is the one with the highest "
     "validation accuracy."),
    ('row["validation_accuracy"]', '-abs(row["validation_accuracy"] - row["train_accuracy"])',
     "You chose the smallest distance between training and validation. The best epoch is the one with the highest "
     "validation accuracy."),
    ('max(rows, key=lambda row: row["validation_accuracy"])["test_accuracy"]', 'min(r["test_accuracy"] for r in rows)',
     "You took the lowest test accuracy of all epochs. One network is chosen: promise what that one does."),
    ('max(rows, key=lambda row: row["validation_accuracy"])', "rows[0]", "You took the first epoch. Choose one."),
    *(("max(rows,", "max(next((rows[:i] for i in range(1, len(rows)) if rows[i]['epoch'] - max(rows[:i + 1], "
       f"key=lambda row: row['validation_accuracy'])['epoch'] == {patience}), rows),",
       f"You stop once validation has not risen for {patience} epochs. A later one may be better: look at all.")
      for patience in (2, 3, 5)),
    ("max(rows,", "max(rows[:-1] or rows,", "You leave the last epoch out of the choice."),
    ("max(rows,", "max(rows[1:] or rows,", "You leave the first epoch out of the choice."),
    ('max(rows, key=lambda row: row["validation_accuracy"])',
     'rows[max(rows, key=lambda row: row["validation_accuracy"])["epoch"] % len(rows)]',
     "You take the row behind the best one: epochs count from 1, places in a list from 0."),
    ('max(rows, key=lambda row: row["validation_accuracy"])',
     'next((a for a, b in zip(rows, rows[1:]) if b["validation_accuracy"] < a["validation_accuracy"]), rows[-1])',
     "You stop at the first epoch behind which validation falls. A later one may be better: look at all."),
    ("max(", "min(",
     "You chose the epoch with the lowest validation accuracy. The smallest value is wanted of a loss, not of an "
     "accuracy."),
    ('"test_accuracy"', '"validation_accuracy"',
     "The epoch is right, the number is not: you promise the validation accuracy, by which you have just chosen."),
    ('"test_accuracy"', '"epoch"',
     "You return which epoch is best. How good is that network on images that nobody has chosen by?"))


def losses_and_sizes(rng, n):
    """Of an epoch of n batches, the last of which is smaller."""
    size = rng.choice((16, 50, 100))
    return [rng.randint(50, 250) / 100 for _ in range(n)], [size] * (n - 1) + [rng.randint(1, size // 2)]


@exercise(minutes=4, level="easy",
          hints=("Of how many images does each number speak?",
                 "A batch's loss times its size is the sum over its images.",
                 "All these sums together, divided by all images: `sum(loss * n ...) / sum(sizes)`, with `zip`."),
          cases=lambda rng: [([1.0, 2.0], [3, 1]), ([0.5], [7]), ([0.25, 1.5, 0.75], [128, 128, 40]),
                             *(losses_and_sizes(rng, n) for n in (4, 12))])
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
    ("loss * n", "loss / n", " / sum(sizes)", " / len(sizes)",
     "You divide each loss by its batch. It is a mean already: multiply by the images to get their sum."),
    ("loss * n", "loss / n", " / sum(sizes)", "",
     "You divide each loss by its batch and add up. It is a mean already: multiply by the images to get their sum."),
    (" * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)", " for loss in losses)",
     "You add up the means of the batches. The mean over all images is asked for."),
    ("zip(losses, sizes, strict=True)) / sum(sizes)",
     "zip(losses[:-1] or losses, sizes[:-1] or sizes, strict=True)) / sum(sizes[:-1] or sizes)",
     "You leave out the last batch. Its images count as much as all others."),
    ("sum(sizes)", "(sizes[0] * len(sizes))",
     "You divide by as many images as if all batches were full. The last one is smaller."),
    ("sum(sizes)", "(sum(sizes) - 1)", "You divide by one image too few."),
    ("loss * n for", "loss * 128 for", "You take 128 images for each batch. The sizes are given."),
    ("zip(losses, sizes", "zip(losses, sizes[::-1]",
     "Your sizes stand in another order, from the end or sorted: each loss belongs to the size at its own place."),
    ("/ sum(sizes)", "// sum(sizes)", "You divide with `//`, which drops all digits behind the point."),
    (" for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)",
     " for loss, n in zip(losses[:1], sizes[:1], strict=True)) / sum(sizes)",
     "Only the first batch is in your sum. Does a `return` stand inside the loop?"),
    ("loss * n", "loss / n", "sum(sizes)", "sum(1 / n for n in sizes)",
     "You weight each loss by one divided by its images. A larger batch counts more, not less."),
    ("sum(loss * n for loss, n in zip(losses, sizes, strict=True)) / sum(sizes)",
     "sum(losses) * sum(sizes) / len(losses)",
     "You multiply the mean of the losses by all images. Each loss is multiplied by the images of its own batch."),
    ("loss * n", "loss * n**2", "sum(sizes)", "sum(n**2 for n in sizes)", "You count the size of a batch twice."),
    (" / sum(sizes)", "", "That is the sum over all images. It grows with the data; the mean does not."),
    ("loss * n", "loss * sizes[0]", "You take all batches to be as large as the first. The last one is smaller."))


@exercise(minutes=8, level="medium",
          hints=("Follow one side of the image: C1 keeps it, S2 halves it, C3 takes 4 away, S4 halves it again.",
                 "C5 sees all that S4 gives: 16 maps, each side x side. Halves are rounded down.",
                 "A layer has outputs x (inputs of one output + 1) parameters. One output of C1 has 25 x `channels` "
                 "inputs, one of C3 has 25 x 6."),
          cases=lambda rng: [(28, 1, 10), (35, 3, rng.randint(2, 9)), (38, 2, 7), (41, 2, 7),
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
    ("outputs * (inputs + 1)", 'outputs * (inputs + 1) if name != "C3" else 1516',
     "You count C3 as it was in 1998, where most maps saw a part of S2 only. Today's form connects all."),
    ('"output": (classes, 84)', '"output": (classes, 120)', "Your output layer reads C5. It reads F6, 84 numbers."),
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
    ("16 * side * side", "16 * side", "C5 is too small: S4 has side x side pixels, you count one axis."),
    ("16 * side * side", "side * side", "C5 is too small: you leave out that S4 has 16 maps."),
    ("16 * side * side", "16 * channels * side * side",
     "C5 counts the channels of the image. It sees the 16 maps of S4, whatever the image had."),
    ("(side // 2 - 4) // 2", "side // 4 - 4", "C5 is too small: C3 takes 4 before S4 halves, not after."),
    ("(side // 2 - 4) // 2", "side // 4", "C5 is too large: C3 has no padding and takes 4 from the side."),
    ("(side // 2 - 4) // 2", "side", "C5 sees the maps of S4, not the image: follow the side through four layers."),
    ("(side // 2 - 4) // 2", "((side + 4) // 2 - 4) // 2",
     "C5 is too large: the padding of C1 replaces what its kernel takes away, so that the side stays."),
    ("(side // 2 - 4) // 2", "(side / 2 - 4) / 2", "You divide with `/`: an odd side leaves half a pixel. Use `//`."),
    ("(side // 2 - 4) // 2", "round((side / 2 - 4) / 2)",
     "You round to the nearest number. A window has to fit in: round "
     "down at each layer."),
    ("25 * 6)", "25 * 6 * channels)",
     "C3 counts the channels of the image. It sees the six maps of S2, whatever the image had."),
    ("(6, 25 * channels)", "(6, 25)", "(16, 25 * 6)", "(16, 25)",
     "C1 and C3 are counted as if one map came in. Each kernel has 25 weights for every map below."),
    ("(84, 120)", "(120, 84)", "F6 is the wrong way round: it has 84 outputs, and each sees the 120 of C5."),
    ("(classes, 84)", "(84, classes)", "The output layer is the wrong way round: it has as many outputs as classes."),
    ("(classes, 84)", "(10, 84)", "The output layer is counted for ten classes, whatever is asked."),
    ("outputs * (inputs + 1)", "outputs * inputs + 1", "You count one bias a layer. There is one for each output."),
    ("return {name: outputs * (inputs + 1)", "return {name: outputs * (inputs + (name[0] != 'C'))",
     "The biases of the convolutions are missing: one for each map."),
    ("return {name: outputs * (inputs + 1)", "return {name: outputs * (inputs + (name[0] == 'C'))",
     "The biases of F6 and the output are missing: one for each output."),
    ("25 * 6)", "25 * channels)",
     "You take the channels of the image for those that C3 sees. It sees the six maps of S2."),
    ("return {name: outputs * (inputs + 1)", "return {name: outputs * (inputs + (name != 'output'))",
     "The biases of the output layer are missing: one for each class."),
    ("return {name: outputs * (inputs + 1)",
     "return {name: outputs * (inputs + (channels if name == 'C1' else 1))",
     "You count a bias of C1 for each channel of the image. There is one for each of its six maps."),
    ("side // 2 - 4", "(side + 1) // 2 - 4",
     "You round up in S2. A 2 x 2 window that does not fit any more is left out, so an odd side loses its last row."),
    ("side // 2 - 4", "side // 2 - 5",
     "C5 is too small: you let C3 take 5 from the side. A window of 5 takes 4, as it stands in its first place too."),
    ("25 * 6", "25",
     "C3 is too small: each of its 16 kernels has 25 weights for every one of the six maps below, not 25 in all."))
