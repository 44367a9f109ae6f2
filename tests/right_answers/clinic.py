"""Other right answers to the exercises of lesson 8."""

import copy
import io

import torch
import torch.nn.functional as F
from torch import nn

from cnncourse.exercises import clinic
from cnncourse.layers import local_response_norm
from cnncourse.models.resnet import Basic, zero_padding


class head(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(n_in, 32), nn.Linear(32, 16), nn.Linear(16, n_out)

    def forward(self, x):
        for layer in (self.first, self.second):
            x = F.dropout(layer(x).relu(), 0.5, self.training)
        return self.third(x)


def small_net(width):
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(width, 10))


def joined(branches):
    n, channels, height, width = branches[0].shape
    maps = torch.empty(n, channels * len(branches), height, width)
    for i, branch in enumerate(branches):
        maps[:, i * channels:(i + 1) * channels] = F.relu(branch)
    return maps


def vgg_for(size):
    blocks = [layer for n_in, n_out in ((3, 4), (4, 8), (8, 8), (8, 16), (16, 16))
              for layer in (nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
    return nn.Sequential(*blocks, nn.Flatten(), nn.LazyLinear(10))


def logits(maps, weight):
    return torch.einsum("nchw,chwk->nk", maps, weight.view(*maps.shape[1:], -1))


def pooled(stages):
    widths = [3] + [4 * 2**i for i in range(stages)]
    layers = [layer for i in range(stages) for layer in
              (nn.Conv2d(widths[i], widths[i + 1], 3, stride=2 if i else 1, padding=1), nn.ReLU())]
    return nn.Sequential(*layers, nn.AvgPool2d(32 // 2 ** (stages - 1)), nn.Flatten(), nn.Linear(widths[-1], 10))


def added(residual, x):
    shortcut = F.max_pool2d(x, 1, stride=2)
    return F.relu(residual + torch.cat([shortcut, torch.zeros_like(shortcut)], 1))


class Block(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.one = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.two = nn.Conv2d(n_out, n_out, 3, padding="same", bias=False)
        self.three = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n_out) for _ in range(3))

    def forward(self, x):
        one, two, three = self.norms
        return F.relu(two(self.two(one(self.one(x)).relu())) + three(self.three(x)))


def classifier(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 32), nn.Dropout(0.5, inplace=True), nn.ReLU(), nn.Linear(32, n_out))


def deep(width):
    layers = [layer for i in range(16) for layer in
              (nn.Conv2d(width if i else 3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))


def Tower(width):
    net = nn.Sequential(nn.Conv2d(3, width, 5), nn.ReLU(), nn.Conv2d(width, width, 5), nn.ReLU())
    for i, layer in enumerate((net[0], net[2])):
        layer.weight.data = 0.01 * torch.randn_like(layer.weight)
        layer.bias.data.fill_(i)
    return net


def cells():
    return ["from torch.utils.data import DataLoader",
            "loader = DataLoader(images, batch_size)",
            "total = sum(data.sum().item() for data in loader)"]


def losses(model, images, labels, epochs):
    history = []
    while len(history) < epochs:
        loss = F.cross_entropy(model(images), labels)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
        history.append(loss.item())
    return history


class FlatHead(clinic.FlatHead.function):
    def forward(self, maps):
        return self.linear(maps.reshape(len(maps), -1))


class FlatHead_2(clinic.FlatHead.function):
    def forward(self, maps):
        rows = maps.reshape(-1, self.linear.in_features)
        assert len(rows) == len(maps), f"{len(maps)} images gave {len(rows)} rows"
        return self.linear(rows)


class FlatHead_3(clinic.FlatHead.function):
    def __init__(self, channels, size, classes):
        super().__init__(channels, size, classes)
        self.pool = nn.AdaptiveAvgPool2d(size)

    def forward(self, maps):
        return self.linear(self.pool(maps).flatten(1))


def mean_loss(net, batches):
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return F.cross_entropy(net(images), labels).item()


def mean_loss_2(net, batches):
    total = sum(F.cross_entropy(net(images), labels, reduction="sum").detach() for images, labels in batches)
    return total / sum(len(labels) for _, labels in batches)


def standardised(training, images):
    pixels = training.double()
    return ((images - pixels.mean(dim=(0, 2, 3), keepdim=True))
            / pixels.std(dim=(0, 2, 3), keepdim=True, correction=0)).float()


response_norm = local_response_norm


def response_norm_2(x, n, alpha, beta, k):
    out = torch.empty_like(x)
    for c in range(x.shape[1]):
        near = x[:, max(0, c - n // 2):c + n // 2 + 1]
        out[:, c] = x[:, c] / (k + alpha * near.square().sum(dim=1)) ** beta
    return out


class ProjectionBlock(nn.Module):
    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.residual = nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.BatchNorm2d(n_out))
        self.project = None if (n_in, stride) == (n_out, 1) else nn.Conv2d(n_in, n_out, 1, stride)

    def forward(self, x):
        out = self.residual(x)
        shortcut = x if x.shape == out.shape else self.project(x)
        return torch.relu(shortcut + out)


class SumBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.one, self.two = (nn.Conv2d(channels, channels, 3, padding="same") for _ in range(2))
        self.norm1, self.norm2 = (nn.BatchNorm2d(channels) for _ in range(2))

    def forward(self, x):
        y = self.norm2(self.two(F.relu(self.norm1(self.one(x)))))
        return F.relu(y + x)


def blocks_in_stage(n_in, n_out, depth, stride):
    strides, widths = [stride] + [1] * (depth - 1), [n_in] + [n_out] * (depth - 1)
    return nn.Sequential(*(Basic(n, n_out, s, zero_padding) for n, s in zip(widths, strides, strict=True)))


def reported(rows):
    *_, best = sorted(rows, key=lambda row: row["validation"])
    return [best["epoch"], best["test"]]


def validation_losses(net, training, validation, epochs, lr):
    optimizer = torch.optim.SGD(net.parameters(), lr)
    losses = []
    for _ in range(epochs):
        for images, labels in training:
            net.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimizer.step()
        losses.append(F.cross_entropy(copy.deepcopy(net).eval()(validation[0]), validation[1]).detach())
    return losses


@torch.inference_mode()
def logits_of(net, batches):
    net.train(False)
    outputs = []
    for images in batches:
        outputs.append(net(images))
    return outputs


def logits_of_2(net, batches):
    net.eval()
    return [net(images).detach() for images in batches]


def bytes_of(net):
    file = io.BytesIO()
    torch.save(dict(net.named_parameters()) | dict(net.named_buffers()), file)
    file.seek(0)
    return file.read()


def googlenet_stem(n_in, width):
    layers = []
    for a, b, size, stride, pool in ((n_in, width, 7, 2, True), (width, width, 1, 1, False),
                                     (width, 3 * width, 3, 1, True)):
        layers += [nn.Conv2d(a, b, size, stride, padding=size // 2)]
        layers += [nn.MaxPool2d(3, 2, padding=1)] if pool else []
        layers += [nn.ReLU()]
    return nn.Sequential(*layers)


def evaluation_report(net, images, labels, batch_size):
    with torch.inference_mode():
        logits = net.eval()(images.float().div(255))
    return F.cross_entropy(logits, labels), (logits.argmax(dim=1) == labels).float().mean()


def head_2(n_in, n_out):
    return nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.Dropout(), nn.LazyLinear(16), nn.ReLU(), nn.Dropout(),
                         nn.LazyLinear(n_out))


def small_net_2(width):
    return nn.Sequential(nn.LazyConv2d(width, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                         nn.Conv2d(width, 10, 1), nn.Flatten()).double()


def vgg_for_2(size):
    layers = [layer for n in (4, 8, 8, 16, 16)
              for layer in (nn.LazyConv2d(n, 3, padding=1), nn.MaxPool2d(2), nn.ReLU())]
    return nn.Sequential(*layers, nn.Conv2d(16, 10, size // 32), nn.Flatten())


class Tower_2(nn.Module):
    def __init__(self, *, width):
        super().__init__()
        self.second, self.first = nn.Conv2d(width, width, 5), nn.Conv2d(3, width, 5)
        for layer, bias in ((self.first, 0), (self.second, 1)):
            nn.init.trunc_normal_(layer.weight, std=0.01, a=-1, b=1)
            nn.init.constant_(layer.bias, bias)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))))


def deep_2(width):
    layers = [layer for _ in range(16) for layer in (nn.LazyConv2d(width, 3, padding=1), nn.LazyBatchNorm2d(),
                                                     nn.ReLU(inplace=True))]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))
    net(torch.zeros(2, 3, 8, 8))
    return net


def deep_3(width):
    layers = [layer for i in range(16) for layer in
              (nn.Conv2d(width if i else 3, width, 3, padding=1), nn.GroupNorm(1, width), nn.ReLU())]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2))


def reported_2(rows):
    best = rows[0]
    for row in rows:
        if row["validation"] >= best["validation"]:
            best = row
    return {"epoch": best["epoch"], "test": best["test"]}


def logits_of_3(net, batches):
    mode = net.training
    with torch.inference_mode():
        found = [net.eval()(images) for images in batches]
    net.train(mode)
    return tuple(found)


def evaluation_report_2(net, images, labels, batch_size):
    mode = net.training
    with torch.no_grad():
        logits = torch.cat([net.eval()(batch / 255) for batch in images.split(batch_size)])
    net.train(mode)
    return torch.stack([F.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()])
