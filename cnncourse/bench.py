"""Measurements printed as ratios. Two programs take turns in one run, so that a busy or a slow machine slows both."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from .layers import LocalResponseNorm, local_response_norm
from .models import MODELS


@dataclass(frozen=True)
class Ratio:
    """How many times faster ours is than the other: median [lowest - highest] over the rounds, in wall and CPU time."""

    ours: str
    other: str
    wall: str
    cpu: str


def ratio(ours: str, other: str, run_ours: Callable, run_other: Callable, rounds: int) -> Ratio:
    """One uncounted round, then `rounds` in which both run once, in alternating order."""
    wall, cpu = [], []
    for i in range(rounds + 1):
        times = {}
        for run in (run_ours, run_other) if i % 2 else (run_other, run_ours):
            start = time.perf_counter(), time.process_time()
            run()
            times[run] = time.perf_counter() - start[0], time.process_time() - start[1]
        wall.append(times[run_other][0] / times[run_ours][0])
        cpu.append(times[run_other][1] / times[run_ours][1])
    return Ratio(ours, other, *(f"{median(r[1:]):.2f} [{min(r[1:]):.2f} - {max(r[1:]):.2f}]" for r in (wall, cpu)))


def training_step(net: nn.Module, batch: int, memory_format=torch.contiguous_format) -> Callable:
    """One step of plain SGD on a fixed random batch of images of the network's size."""
    net = net.train().to(memory_format=memory_format)
    shape = getattr(net, "input_shape", (3, 224, 224))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, *shape, generator=generator).to(memory_format=memory_format)
    labels = torch.randint(10, (batch,), generator=generator)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()

    return step


def with_pytorchs_norm(net: nn.Module) -> nn.Module:
    """The plain formulation: PyTorch's own local response normalisation in place of the course's."""
    for parent in list(net.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, LocalResponseNorm):
                setattr(parent, name, nn.LocalResponseNorm(layer.n, layer.n * layer.alpha, layer.beta, layer.k))
    return net


def models(rounds: int = 5) -> Iterator[Ratio]:
    """The course's networks against torchvision's classes, and its local response normalisation against PyTorch's."""
    plain, fast = nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), LocalResponseNorm()
    for n, c, size, memory_format in ((32, 96, 55, torch.contiguous_format), (32, 192, 56, torch.contiguous_format),
                                      (32, 192, 56, torch.channels_last)):
        x = (20 * torch.randn(n, c, size, size)).to(memory_format=memory_format).requires_grad_()
        gradient = torch.randn_like(x)

        def run(norm, x=x, gradient=gradient):
            torch.autograd.grad(norm(x), x, gradient)

        where = f"{n}x{c}x{size}x{size}" + ", channels last" * (memory_format is torch.channels_last)
        yield ratio(f"LRN {where}", "nn.LocalResponseNorm", lambda: run(fast), lambda: run(plain), rounds)
        yield ratio(f"LRN {where}", "the formula", lambda: run(fast), lambda: run(local_response_norm), rounds)

    for name, batch, memory_format in (("alexnet", 32, torch.contiguous_format),
                                       ("googlenet", 16, torch.contiguous_format),
                                       ("googlenet", 16, torch.channels_last)):
        ours = training_step(MODELS[name](num_classes=10), batch, memory_format)
        other = training_step(with_pytorchs_norm(MODELS[name](num_classes=10)), batch)
        yield ratio(f"{name} step" + ", channels last" * (memory_format is torch.channels_last),
                    "with nn.LocalResponseNorm", ours, other, rounds)

    for name, theirs, batch in (("alexnet_owt", "alexnet", 32), ("vgg11", "vgg11", 4), ("resnet18", "resnet18", 16),
                                ("googlenet_bn", "googlenet", 16), ("resnet50", "resnet50", 8)):
        options = {"aux_logits": False, "init_weights": False} if theirs == "googlenet" else {}
        other = torchvision.models.get_model(theirs, num_classes=10, **options)
        yield ratio(f"{name} step", "torchvision's", training_step(MODELS[name](num_classes=10), batch),
                    training_step(other, batch), rounds)
