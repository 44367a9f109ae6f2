"""What a training does, in a few numbers: those of two short epochs on fixed images, from a fixed seed.

They are the record's proof of origin. Whoever changes a comment, a name or another network of the same file leaves them
as they are; another border of the crop, another eps, a forgotten `zero_grad()` changes them.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from inspect import signature
from math import isclose

import torch
from torch import nn

from ..data import Data, Split, statistics
from ..loop.totals import Diverged
from ..models import MODELS
from ..recipes import Recipe
from ..train import Loss, cross_entropy, fit, with_heads

IMAGES, CLASSES, BATCH, EPOCHS = 4, 10, 2, 2
RATE = 1e-6  # of the recipe's rate: whole steps would make deep networks amplify what processors round otherwise
SAME = 1e-11  # of a number: other processors, threads and versions of PyTorch were within a quarter of it


def loss_of(model: nn.Module, recipe: Recipe) -> Loss:
    """The loss by which a recipe trains a network: that of its auxiliary heads is added, where it has any."""
    heads = getattr(model, "auxiliary_heads", 0)  # their number; another's attribute of this name may be anything
    loss = cross_entropy
    if isinstance(heads, int) and heads:
        with suppress(TypeError):  # where forward has no such option
            signature(model.forward).bind(None, heads=True)
            loss = partial(with_heads, weight=recipe.head_weight)
    return partial(loss, label_smoothing=recipe.label_smoothing)


def behaviour_of(config: dict) -> dict[str, list[float]]:
    """The behaviour of a training as its record describes it; worked out once for the seeds of a run."""
    return behaviour(json.dumps([config[key] for key in ("model", "options", "recipe", "image_shape")]))


@cache
def behaviour(described: str) -> dict[str, list[float]]:
    """Losses of two epochs of a network in MODELS, a number an epoch, and the p of its dropouts.

    The same batches, augmentation, optimizer, schedule and loop as in a run, in double precision, so that no processor
    rounds otherwise. Dropout itself is left out: not every processor draws the same units.
    """
    model, options, recipe, image_shape = json.loads(described)
    recipe = Recipe(**recipe | {"milestones": tuple(recipe["milestones"]), "lr": RATE * recipe["lr"]})
    with torch.random.fork_rng(devices=[]), in_double_precision():
        torch.default_generator.manual_seed(0)
        net = MODELS[model](**options, num_classes=CLASSES)
        dropouts = [layer for layer in net.modules() if isinstance(layer, nn.Dropout)]
        numbers = {"dropout": [layer.p for layer in dropouts]}
        for layer in dropouts:
            layer.p = 0.0
        net.register_forward_pre_hook(lambda _, inputs: (inputs[0].double(), *inputs[1:]))  # images come as float32
        data = noise(image_shape)
        training = data.batches("train", BATCH, recipe.augment)
        optimizer = recipe.make_optimizer(net)
        scheduler = recipe.make_scheduler(optimizer, EPOCHS * len(training))
        rows = []
        with suppress(Diverged):  # also that is a behaviour
            rows.extend(fit(net, training, data.batches("validation", BATCH), optimizer, EPOCHS, scheduler,
                            loss_of(net, recipe)))
    return numbers | {name: [row[name] for row in rows] for name in ("train_loss", "validation_loss")}


def noise(image_shape: tuple[int, int, int]) -> Data:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2 * IMAGES, *image_shape), generator=generator, dtype=torch.uint8)
    train, held_out = (Split(part, torch.arange(IMAGES)) for part in images.split(IMAGES))
    return Data("noise", train, held_out, held_out, tuple(map(str, range(CLASSES))), *statistics(train.images))


@contextmanager
def in_double_precision() -> Iterator[None]:
    """A block in which new tensors of floats are double."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def difference(then: dict, now: dict) -> str:
    """Which of the numbers of two behaviours differs, in words; empty where they are the same."""
    for name in now:
        if len(then.get(name, [])) != len(now[name]) or not all(
                isclose(*pair, rel_tol=SAME) for pair in zip(then[name], now[name], strict=True)):
            return f"{name} {then.get(name)} became {now[name]}"
    return ""
