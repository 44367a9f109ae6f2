"""Other right answers to the exercises of lesson 2."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class features(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.C3 = nn.Conv2d(6, 16, 5)
        self.C1 = nn.Conv2d(channels, 6, 5)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.C1(F.pad(x, (2, 2, 2, 2)))), 2)
        return F.avg_pool2d(self.C3(x).tanh(), 2)


def loss_at_start(classes):
    return F.cross_entropy(torch.zeros(1, classes, dtype=torch.double), torch.tensor([0])).item()


def learn(model, images, labels, optimizer, steps):
    losses, criterion = [], nn.CrossEntropyLoss()
    for _ in range(steps):
        model.zero_grad()
        losses.append(criterion(model(images), labels))
        losses[-1].backward()
        optimizer.step()
    return [loss.item() for loss in losses]


def accuracy(logits, labels):
    return np.mean(logits.softmax(dim=1).max(dim=1)[1].numpy() == labels.numpy())


def promise(rows):
    best = rows[0]
    for row in rows[1:]:
        if row["validation_accuracy"] > best["validation_accuracy"]:
            best = row
    return best["test_accuracy"]


def mean_loss(losses, sizes):
    return np.average(losses, weights=sizes)


def lenet_parameters(side, channels, classes):
    maps = features(channels)(torch.zeros(1, channels, side, side))
    layers = {"C1": nn.Conv2d(channels, 6, 5), "C3": nn.Conv2d(6, 16, 5), "C5": nn.Conv2d(16, 120, maps.shape[2:]),
              "F6": nn.Linear(120, 84), "output": nn.Linear(84, classes)}
    return {name: sum(p.numel() for p in layer.parameters()) for name, layer in layers.items()}


def features_2(channels):
    return nn.Sequential(nn.ZeroPad2d(2), nn.LazyConv2d(6, 5), nn.Tanh(), nn.AvgPool2d(2), nn.LazyConv2d(16, 5),
                         nn.Tanh(), nn.AdaptiveAvgPool2d(5)).double()


def learn_2(*, model, images, labels, optimizer, steps):
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = F.nll_loss(model(images).log_softmax(dim=1), labels)
        loss.backward()
        losses.append(loss.detach())
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return torch.stack(losses)


def mean_loss_2(losses, sizes):
    return (torch.tensor(losses) * torch.tensor(sizes)).sum(0, keepdim=True) / sum(sizes)
