"""Lessons 1 to 9: a whole training in one call, which joins the other modules: model + data + recipe → Record."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from tqdm import tqdm

from . import pick
from .data import Batches, Data, load
from .loop.devices import Speed, device_at_hand, memory, processor_or_gpu
from .loop.pace import Paced
from .loop.processes import Seeded, first_alone, join_others, shared
from .models import MODELS
from .recipes import RECIPES, Recipe
from .runs.behaviour import behaviour_of, loss_of
from .runs.files import Files
from .runs.record import Record, as_recorded
from .runs.shipped import recorded  # noqa: F401  lessons lay recorded runs over their own
from .trace import on_meta
from .train import Loss, fit, run_epoch

FAST = Speed()
LINE = ("epoch {epoch:3d}  loss {train_loss:.4f}  accuracy {train_accuracy:.2%}  "
        "validation loss {validation_loss:.4f}  accuracy {validation_accuracy:.2%}  {seconds:.1f} s")


@dataclass
class Prepared:
    """A training that is ready to start."""

    model: nn.Module
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
        speed: Speed = FAST) -> Record:
    """Train a network on a data set by a recipe, look at the test images once, and return the Record.

    model: a name in MODELS, or a network (it is trained in place, and lies afterwards on the device on which it lay).
    options: of the network that is built by name. data: a name, loaded with the size and channels that the network
    takes, or loaded Data. root: as in `data.load`.
    recipe: a name in RECIPES or a Recipe; by default "short" for networks with batch normalisation,
    else "lenet" for those below 100,000 parameters and "adam" for larger ones.
    epochs: in place of the recipe's. seed: of weights, order, augmentation and dropout; equal seeds, equal curves.
    out: a directory that receives, after every epoch, `record.json`, `checkpoint.pt` and, when the validation accuracy
    is the best so far, `best.pt`. resume: go on from its checkpoint, as if the run had never stopped;
    "anywhere": also on another processor than before, where the curve may differ.
    label: the name that plots show. verbose: print a line an epoch. speed: where and how it is computed.
    Ctrl-C ends the training after the epochs that are done, and returns their record.

    Raises ValueError for unknown names, images that do not fit the network, a checkpoint of another run and a
    directory that holds a run, if it is not resumed; FileNotFoundError where a data set is missing; train.Diverged for
    a lost training.
    """
    if resume and out is None:
        raise ValueError("to resume is to go on from the checkpoint in a directory: name it with `out`")
    with put_back(model):
        prepared = prepare(model, data, recipe, epochs, seed, root, label, options or {}, speed)
        if out is None:
            return train(prepared, None, 0, verbose)
        files = Files(Path(out), prepared.record, prepared.model, prepared.optimizer, prepared.scheduler)
        if isinstance(model, str):
            prepared.record.config["behaviour"] = behaviour_of(prepared.record.config)
        return train(prepared, files, files.begin(resume), verbose)


@contextmanager
def put_back(model: str | nn.Module) -> Iterator[None]:
    """A block after which a network lies on the device on which it lay before, however the block has ended: the caller
    goes on with it where the images are."""
    weight = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    before = None if weight is None else weight.device
    try:
        yield
    finally:
        if before is not None:
            model.to(before)


def prepare(model: str | nn.Module, data: str | Data, recipe: str | Recipe | None, epochs: int | None, seed: int,
            root: str | Path | None, label: str | None, options: dict, speed: Speed) -> Prepared:
    """The network, its batches and its optimizer, as in `run`, and a record of them without an epoch."""
    name, build = builder(model, options)
    rank, processes, device = join_others(speed.device or device_at_hand())
    speed = speed.on(device)
    if isinstance(data, str):
        data = first_alone(partial(images_for, name, build, data, root))
    torch.manual_seed(seed)
    model = build(num_classes=len(data.classes)).to(device, memory_format=speed.memory_format)
    check_fits(model, name, data)
    recipe_name = recipe if isinstance(recipe, str) else None if recipe else default_recipe(model)
    recipe = recipe if isinstance(recipe, Recipe) else pick(RECIPES, recipe_name, "recipe")
    recipe = replace(recipe, epochs=epochs or recipe.epochs, augment=recipe.augment or data.augment)

    placed = {"device": device, "memory_format": speed.memory_format, "workers": speed.workers,
              "share": (rank, processes)}
    training = data.batches("train", recipe.batch_size, recipe.augment, seed, **placed)
    validation, test = (data.batches(split, 64, **placed) for split in ("validation", "test"))
    optimizer = recipe.make_optimizer(model, speed.fused)
    scheduler = recipe.make_scheduler(optimizer, recipe.epochs * len(training))
    record = Record({
        "model": name, "options": options, "data": data.name,
        "label": label or ", ".join([name, *(f"{key}={value}" for key, value in options.items())]),
        "train_images": len(data.train), "image_shape": list(data.image_shape), "classes": list(data.classes),
        "other_images": [len(data.validation), len(data.test)], "mean": [round(m, 4) for m in data.mean.tolist()],
        "std": [round(s, 4) for s in data.std.tolist()], "parameters": sum(p.numel() for p in model.parameters()),
        "seed": seed, "recipe_name": recipe_name, "recipe": as_recorded(recipe), "behaviour": None,
        "processes": processes, "device": torch.device(device).type, "speed": speed.switches})
    record.machine |= processor_or_gpu(device)
    loss = loss_of(model, recipe)
    return Prepared(model, training, validation, test, optimizer, scheduler, loss, speed, rank, record)


def train(prepared: Prepared, files: Files | None, start: int, verbose: bool) -> Record:
    """Train from the epoch `start` on, keep every epoch in the record and the files, and look at the test images."""
    model, record, rank = prepared.model, prepared.record, prepared.rank
    training, epochs, steps = prepared.training, record.config["recipe"]["epochs"], len(prepared.training)
    training.epoch = start
    network = shared(torch.compile(model) if prepared.speed.compile else model)
    if record.config["processes"] > 1:
        training = Seeded(training, record.config["seed"], rank)
    bar = tqdm(total=epochs * steps, initial=start * steps, unit="step", mininterval=1, disable=rank > 0,
               desc=f"{record.config['label']} on {record.config['data']}, seed {record.config['seed']}")
    try:
        for row in fit(network, Paced(training, bar), prepared.validation, prepared.optimizer, epochs,
                       prepared.scheduler, prepared.loss, prepared.speed.autocast, start):
            record.append(row | memory(prepared.speed.device))
            bar.set_postfix_str(f"epoch {row['epoch']}, validation accuracy {row['validation_accuracy']:.1%}")
            if files:
                files.save()
            if verbose and rank == 0:
                tqdm.write(LINE.format(**row))
        result = run_epoch(model, prepared.test)
    except KeyboardInterrupt:
        record.config["stopped"] = f"by hand, after {len(record.rows)} of {epochs} epochs"
        warnings.warn(f"training stopped {record.config['stopped']}; the record holds these", stacklevel=3)
        return record
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
    if not hasattr(sketch, "input_shape"):
        raise ValueError(f"{name} has no `input_shape` that says which images it takes: give the data themselves, "
                         "from data.load(name, size, channels)")
    channels, size, _ = sketch.input_shape
    return load(data, size=size, channels=channels, root=root)


def default_recipe(model: nn.Module) -> str:
    if any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()):
        return "short"
    return "lenet" if sum(p.numel() for p in model.parameters()) < 100_000 else "adam"


def check_fits(model: nn.Module, name: str, data: Data) -> None:
    """Raises ValueError, before anything is run, where the network cannot take these images or has other outputs."""
    try:
        outputs = on_meta(model, data.image_shape).shape[1]
    except ValueError as error:
        shape, advice = " x ".join(map(str, data.image_shape)), str(error)
        if hasattr(model, "input_shape"):
            channels, size, _ = model.input_shape
            advice = f"load the data with channels={channels}, size={size}, for which it was built"
        raise ValueError(f"{name} cannot take images of {shape} (channels x height x width): {advice}") from error
    for split in ("train", "validation", "test"):
        labels = getattr(data, split).labels
        wrong = labels[(labels < 0) | (labels >= len(data.classes))]
        if len(wrong):
            raise ValueError(f"label {wrong[0]} of the {split} images of '{data.name}' is none of its "
                             f"{len(data.classes)} classes: labels go from 0 to {len(data.classes) - 1}")
    if outputs != len(data.classes):
        raise ValueError(f"{name} has {outputs} outputs but '{data.name}' has {len(data.classes)} classes: "
                         f"build the network with num_classes={len(data.classes)}")
