"""Other right answers to the exercises of lesson 5."""

import torch
import torch.nn.functional as F
from torch import nn

from cnncourse.models import googlenet

Inception = googlenet.Inception


def channels_out(n_in, one, three, five, pool):
    (_, n3), (_, n5) = three, five
    return sum([one, n3, n5, pool])


def reduce_to(n_in, n_out, k, macs):
    r = 0
    while n_in * (r + 1) + k**2 * (r + 1) * n_out <= macs:
        r += 1
    return r


def per_pixel(x, weight, bias):
    return torch.einsum("nchw,oc->nohw", x, weight[:, :, 0, 0]) + bias[:, None, None]


def total_loss(outputs, labels, training):
    loss = F.cross_entropy(outputs[0], labels)
    if training:
        for logits in outputs[1:]:
            loss = loss + 0.3 * F.cross_entropy(logits, labels)
    return loss


def speaks_for(features, weight, label, other):
    votes = F.conv2d(features[None], weight[:, :, None, None])[0]
    return votes[label] - votes[other]


def map_sizes(size):
    layers = [nn.Conv2d(1, 1, 7, 2, padding=3), *(nn.MaxPool2d(k, 2, ceil_mode=True) for k in (3, 3, 3, 2))]
    x, sizes = torch.empty(1, 1, size, size, device="meta"), []
    for layer in layers:
        x = layer.to("meta")(x)
        sizes.append(x.shape[-1])
    return sizes
