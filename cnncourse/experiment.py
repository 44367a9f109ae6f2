"""Lessons 1 to 9: a whole training in one call, which joins the other modules: model + data + recipe → Record."""

import os
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from . import in_short, pick
from .data import Batches, Data, load
from .loop.devices import Speed, device_at_hand, memory, processor_or_gpu
from .loop.failures import Failed
from .loop.lent import described, lent
from .loop.pace import Paced
from .loop.processes import Seeded, first_alone, join_others, shared
from .loop.trial import EVALUATED, expected, finish_lazy_layers, logits_of, tried
from .models import MODELS
from .recipes import RECIPES, Recipe
from .runs.behaviour import behaviour_of, loss_of
from .runs.files import Files
from .runs.record import Record, as_recorded, plain
from .runs.shipped import recorded  # noqa: F401  lessons lay recorded runs over their own
from .train import Loss, fit, run_epoch

FAST = Speed()
LINE = ("epoch {epoch:3d}  loss {train_loss:.4f}  accuracy {train_accuracy:.2%}  "
        "validation loss {validation_loss:.4f}  accuracy {validation_accuracy:.2%}  {seconds:.1f} s")


@dataclass
class Prepared:
    """A training that is ready to start."""

    model: nn.Module
    network: nn.Module  # the same, as the loop uses it
    images: Tensor  # two of them, to look what the network gives
    data: Data
    training: Batches
    validation: Batches
    test: Batches
    optimizer: Optimizer
    scheduler: LRScheduler | None
    loss: Loss
    speed: Speed
    rank: int  # among the processes that train together
    record: Record


def run(model: str | nn.Module, data: str | Data = "digits", recipe: str | Recipe | None = None,
        epochs: int | None = None, seed: int = 0, out: str | Path | None = None, root: str | Path | None = None,
        label: str | None = None, verbose: bool = False, resume: bool | str = False, options: dict | None = None,
        speed: Speed = FAST, batch_size: int | None = None) -> Record:
    """Train a network on a data set by a recipe, look at the test images once, and return the Record.

    model: a name in MODELS, or a network whose forward takes images and gives logits, N x classes. It is trained in
    place: afterwards it lies on the device and in the memory format in which it lay, and where the run fails it is as
    it was before. Of several outputs, such as those of torchvision's GoogLeNet, the first are the logits, and a warning
    says so. Weights with `requires_grad=False` stay as they are. Batch normalisation with such weights still follows
    the images with its averages, as always in PyTorch; a part that you put in evaluation mode stays in it, so that its
    averages stand still and its dropout is off, if the network itself is in training mode or all weights of the part
    are frozen.
    options: of the network that is built by name. data: a name, loaded with the size and channels that the network
    takes, or loaded Data. root: as in `data.load`.
    recipe: a name in RECIPES or a Recipe; by default "short" for networks with batch normalisation,
    else "lenet" for those below 100,000 parameters and "adam" for larger ones.
    epochs, batch_size: in place of the recipe's. seed: of weights, order, augmentation and dropout; equal seeds, equal
    curves.
    out: a directory that receives, after every epoch, `record.json`, `checkpoint.pt` and, when the validation accuracy
    is the best so far, `best.pt`. resume: go on from its checkpoint, as if the run had never stopped;
    "anywhere": also on another processor than before, where the curve may differ.
    label: the name that plots show. verbose: print a line an epoch. speed: where and how it is computed.
    Ctrl-C ends the training after the epochs that are done, and returns their record.

    Raises ValueError for unknown names, a network that cannot be trained on these images (tried on two of them before
    the first step) or fails later, a checkpoint of another run and a directory that holds a run, if it is not resumed;
    FileNotFoundError where a data set is missing; train.Diverged, an ArithmeticError, for a lost training.
    """
    if resume and out is None:
        raise ValueError("to resume is to go on from the checkpoint in a directory: name it with `out`")
    for given, kind, wanted in ((model, str | nn.Module, "a network is its name or an nn.Module"),
                                (data, str | Data, "data are their name or a data.Data, as data.load gives it or "
                                 "data.Data(...) makes it of three data.Split(images, labels)"),
                                (recipe, str | Recipe | None, "a recipe is its name or a recipes.Recipe"),
                                (out, str | os.PathLike | None, "`out` is the path of a directory"),
                                (speed, Speed, "speed is an experiment.Speed")):
        if not isinstance(given, kind):
            found = f"the class {given.__name__} itself" if isinstance(given, type) else f"a {type(given).__name__}"
            raise ValueError(f"{wanted}, not {found}")
    if out == "":
        raise ValueError("`out` is the path of a directory, and this one is empty: '.' is the folder you are in")
    with lent(model) if isinstance(model, nn.Module) else nullcontext():
        prepared = prepare(model, data, recipe, plain(epochs), plain(seed), root, label, plain(options or {}), speed,
                           plain(batch_size))
        if out is None:
            return train(prepared, None, 0, verbose)
        config, look = prepared.record.config, partial(logits_of, prepared.network, prepared.images)
        files = Files(Path(out), prepared.record, look, prepared.model, prepared.optimizer, prepared.scheduler)
        config["digests"] = {"images and labels": prepared.data.digest()}
        if isinstance(model, str):
            config["behaviour"] = behaviour_of(config)
        else:
            config["digests"]["layers"] = described(model)
        return train(prepared, files, files.begin(resume), verbose)


def prepare(model: str | nn.Module, data: str | Data, recipe: str | Recipe | None, epochs: int | None, seed: int,
            root: str | Path | None, label: str | None, options: dict, speed: Speed,
            batch_size: int | None) -> Prepared:
    """The network, its batches and its optimizer, as in `run`, and a record of them without an epoch."""
    name, build = builder(model, options)
    rank, processes, device = join_others(str(speed.device or device_at_hand()))
    speed = speed.on(device)
    require_whole("seed", seed, 0)
    if seed >= 2**32:  # times a million and more, as for the order of the images, it still fits into 64 bits
        raise ValueError(f"seed is a whole number below 2**32, not {seed}")
    if isinstance(data, str):
        data = first_alone(partial(images_for, name, build, data, root))
    torch.manual_seed(seed)
    model = build(num_classes=len(data.classes))
    images, labels = next(iter(data.batches("train", min(2, len(data.train)))))
    finish_lazy_layers(model, name, images)
    recipe_name = recipe if isinstance(recipe, str) else None if recipe else default_recipe(model)
    recipe = changed(recipe if isinstance(recipe, Recipe) else pick(RECIPES, recipe_name, "recipe"),
                     epochs=epochs, batch_size=batch_size, augment=data.augment)
    loss, few = loss_of(model, recipe), slice(recipe.batch_size)
    network, speed = tried(model, name, data, images[few], labels[few], loss, speed)
    model.to(device, memory_format=speed.memory_format)

    placed = {"device": device, "memory_format": speed.memory_format, "workers": speed.workers,
              "share": (rank, processes)}
    training = data.batches("train", recipe.batch_size, recipe.augment, seed, **placed)
    validation, test = (data.batches(split, EVALUATED, **placed) for split in ("validation", "test"))
    optimizer = recipe.make_optimizer(model, speed.fused)
    scheduler = recipe.make_scheduler(optimizer, recipe.epochs * len(training))
    record = Record({
        "model": name, "options": options, "data": data.name,
        "label": label or ", ".join([name, *(f"{key}={value}" for key, value in options.items())]),
        "train_images": len(data.train), "image_shape": list(data.image_shape), "classes": list(data.classes),
        "other_images": [len(data.validation), len(data.test)], "mean": [round(m, 4) for m in data.mean.tolist()],
        "std": [round(s, 4) for s in data.std.tolist()], "digests": {},
        "parameters": sum(p.numel() for p in model.parameters()), "seed": seed, "recipe_name": recipe_name,
        "recipe": as_recorded(recipe), "behaviour": None, "processes": processes,
        "device": torch.device(device).type, "speed": speed.switches})
    record.machine |= processor_or_gpu(device)
    images = images.to(device, memory_format=speed.memory_format)
    return Prepared(model, network, images, data, training, validation, test, optimizer, scheduler, loss, speed, rank,
                    record)


def train(prepared: Prepared, files: Files | None, start: int, verbose: bool) -> Record:
    """Train from the epoch `start` on, keep every epoch in the record and the files, and look at the test images."""
    network, record, rank = prepared.network, prepared.record, prepared.rank
    training, epochs, steps = prepared.training, record.config["recipe"]["epochs"], len(prepared.training)
    training.epoch = start
    parallel = shared(torch.compile(network) if prepared.speed.compile else network)
    if record.config["processes"] > 1:
        training = Seeded(training, record.config["seed"], rank)
    bar = tqdm(total=epochs * steps, initial=start * steps, unit="step", mininterval=1, disable=rank > 0,
               desc=f"{record.config['label']} on {record.config['data']}, seed {record.config['seed']}")
    try:
        for row in fit(parallel, Paced(training, bar), prepared.validation, prepared.optimizer, epochs,
                       prepared.scheduler, prepared.loss, prepared.speed.autocast, start):
            record.append(row | memory(prepared.speed.device))
            bar.set_postfix_str(f"epoch {row['epoch']}, validation accuracy {row['validation_accuracy']:.1%}")
            if files:
                files.save()
            if verbose and rank == 0:
                tqdm.write(LINE.format(**row))
        result = run_epoch(network, prepared.test)
    except KeyboardInterrupt:
        record.config["stopped"] = f"by hand, after {len(record.rows)} of {epochs} epochs"
        warnings.warn(f"training stopped {record.config['stopped']}; the record holds these", stacklevel=3)
        return record
    except (Failed, RuntimeError, TypeError, AttributeError, LookupError, AssertionError) as error:  # anybody's network
        raise ValueError(f"{record.config['model']} cannot be trained on, after {len(record.rows)} of {epochs} epochs: "
                         f"{in_short(error)}") from error
    finally:
        bar.close()
    record.test = {k: v for k, v in result.items() if k in ("loss", "accuracy", "examples")}
    if files:
        files.save()
    return record


def builder(model: str | nn.Module, options: dict) -> tuple[str, Callable[..., nn.Module]]:
    """(name, function that returns the network): one that builds it, or gives back the network that is there."""
    if "num_classes" in options:
        raise ValueError("num_classes is no option: the data say how many classes there are")
    if not isinstance(model, str):
        name = type(model).__name__
        if options:
            raise ValueError(f"options are for a network that is built by its name: this {name} is built already")
        return name, lambda **classes: model
    factory = pick(MODELS, model, "model")

    def build(**classes) -> nn.Module:
        try:
            return factory(**options, **classes)
        except TypeError as error:
            raise ValueError(f"{model} cannot be built with the options {options}: {error}") from error
    return model, build


def images_for(name: str, build: Callable[..., nn.Module], data: str, root: str | Path | None) -> Data:
    """A data set with the size and channels that the network takes."""
    with torch.device("meta"):  # shapes without numbers: a quick look at what the network takes
        sketch = build()
    if (takes := expected(sketch)) is None:
        raise ValueError(f"{name} has no `input_shape` that says which images it takes: give the data themselves, "
                         "from data.load(name, size, channels)")
    channels, size, width = takes
    if size != width:
        raise ValueError(f"{name} takes images of {channels} x {size} x {width}, and those that are loaded by name are "
                         "square: give a data.Data of your own")
    return load(data, size=size, channels=channels, root=root)


def changed(recipe: Recipe, epochs: int | None, batch_size: int | None, augment: str | None) -> Recipe:
    """A recipe with other epochs and another batch size, where they are given, and the augmentation of the data, where
    it has none of its own."""
    given = {"epochs": epochs, "batch_size": batch_size, "augment": recipe.augment or augment}
    recipe = replace(recipe, **{name: value for name, value in given.items() if value is not None})
    recipe = replace(recipe, **plain(vars(recipe)))
    for what in ("epochs", "batch_size"):
        require_whole(what, getattr(recipe, what), 1)
    return recipe


def require_whole(what: str, number: object, least: int) -> None:
    if not isinstance(number, int) or number < least:
        raise ValueError(f"{what} is a whole number, {least} or more, not {number}")


def default_recipe(model: nn.Module) -> str:
    if any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()):
        return "short"
    return "lenet" if sum(p.numel() for p in model.parameters()) < 100_000 else "adam"
