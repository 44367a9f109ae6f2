"""The one module that joins the others: model + data + recipe → Record."""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from . import pick
from .data import Data, load
from .models import MODELS
from .recipes import RECIPES, Recipe
from .record import Record
from .trace import on_meta
from .train import fit, run_epoch, save_checkpoint


def run(model: str | nn.Module, data: str | Data = "digits", recipe: str | Recipe | None = None,
        epochs: int | None = None, seed: int = 0, out: str | Path | None = None, device: str = "cpu",
        root: str | Path | None = None, label: str | None = None, verbose: bool = False) -> Record:
    """Train a network on a data set by a recipe, look at the test images once, and return the Record.

    model: a name in MODELS, or a network (it is trained in place).
    data: a name, loaded with the size and channels that the network takes, or loaded Data.
    recipe: a name in RECIPES or a Recipe; by default "short" for networks with batch normalisation,
    else "lenet" for those below 100,000 parameters and "adam" for larger ones.
    epochs: in place of the recipe's. seed: of weights, order, augmentation and dropout; equal seeds, equal curves.
    out: a directory that receives `record.json` and `checkpoint.pt` after every epoch, so that Ctrl-C loses none.
    root: as in `data.load`. label: the name that plots show. verbose: print a line an epoch.
    Raises ValueError for unknown names and images that do not fit the network, train.Diverged for a lost training.
    """
    if isinstance(model, str):
        name, factory = model, pick(MODELS, model, "model")
        with torch.device("meta"):  # shapes without numbers: a quick look at what the network takes
            sketch = factory()
    else:
        name, sketch = type(model).__name__, model
    if isinstance(data, str):
        channels, size, _ = sketch.input_shape
        data = load(data, size=size, channels=channels, root=root)
    torch.manual_seed(seed)
    if isinstance(model, str):
        model = factory(num_classes=len(data.classes))
    model.to(device)
    check_fits(model, name, data)
    if not isinstance(recipe, Recipe):
        recipe = pick(RECIPES, recipe or default_recipe(model), "recipe")
    recipe = replace(recipe, epochs=epochs or recipe.epochs, augment=recipe.augment or data.augment)

    training = data.batches("train", recipe.batch_size, recipe.augment, seed, device)
    validation, test = (data.batches(split, 128, device=device) for split in ("validation", "test"))
    optimizer = recipe.make_optimizer(model)
    scheduler = recipe.make_scheduler(optimizer, recipe.epochs * len(training))

    record = Record({"model": name, "label": label or name, "data": data.name, "train_images": len(data.train),
                     "image_shape": list(data.image_shape), "parameters": sum(p.numel() for p in model.parameters()),
                     "seed": seed, "recipe": asdict(recipe) | {"milestones": list(recipe.milestones)}})

    def save(epoch):
        if out is not None:
            Path(out).mkdir(parents=True, exist_ok=True)
            save_checkpoint(Path(out) / "checkpoint.pt", model, optimizer, epoch)
            record.save(Path(out) / "record.json")

    save(0)
    bar = tqdm(fit(model, training, validation, optimizer, recipe.epochs, scheduler), total=recipe.epochs,
               desc=f"{record.config['label']} on {data.name}, seed {seed}", unit="epoch")
    for row in bar:
        record.append(row)
        save(row["epoch"])
        if verbose:
            tqdm.write("epoch {epoch:3d}  loss {train_loss:.4f}  accuracy {train_accuracy:.2%}  validation loss "
                       "{validation_loss:.4f}  accuracy {validation_accuracy:.2%}  {seconds:.1f} s".format(**row))
        bar.set_postfix_str(f"validation accuracy {row['validation_accuracy']:.1%}", refresh=False)
    record.test = {k: v for k, v in run_epoch(model, test).items() if k in ("loss", "accuracy", "examples")}
    save(recipe.epochs)
    return record


def default_recipe(model: nn.Module) -> str:
    if any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()):
        return "short"
    return "lenet" if sum(p.numel() for p in model.parameters()) < 100_000 else "adam"


def check_fits(model: nn.Module, name: str, data: Data) -> None:
    """Raises ValueError, before anything is run, where the network cannot take these images or has other outputs."""
    try:
        outputs = on_meta(model, data.image_shape).shape[1]
    except ValueError as error:
        channels, size, _ = model.input_shape
        shape = " x ".join(map(str, data.image_shape))
        raise ValueError(f"{name} cannot take images of {shape} (channels x height x width): load the data with "
                         f"channels={channels}, size={size}, for which it was built") from error
    if outputs != len(data.classes):
        raise ValueError(f"{name} has {outputs} outputs but '{data.name}' has {len(data.classes)} classes: "
                         f"build the network with num_classes={len(data.classes)}")
