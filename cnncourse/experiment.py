"""The one module that joins the others: model + data + recipe → Record."""

import ast
import atexit
import hashlib
import inspect
import math
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial, wraps
from json import JSONDecodeError
from pathlib import Path
from statistics import fmean

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from . import THREADS_ARE_OURS, cores, layers, pick
from .data import Batches, Data, load
from .models import MODELS
from .recipes import RECIPES, Recipe
from .record import Record, peak_memory
from .trace import Table, on_meta
from .train import Speed, cross_entropy, fit, load_checkpoint, read_checkpoint, run_epoch, save_checkpoint, with_heads

FAST = Speed()
LOOK, SLOW = 5.0, 3.0  # seconds between two looks at the pace of the steps, and how much slower is told
LINE = ("epoch {epoch:3d}  loss {train_loss:.4f}  accuracy {train_accuracy:.2%}  "
        "validation loss {validation_loss:.4f}  accuracy {validation_accuracy:.2%}  {seconds:.1f} s")
RECORDS = Path(__file__).parent / "records"  # of the runs that the course ships


def put_back(run: Callable) -> Callable:
    """`run`, after which a network that the caller gave lies on the device on which it lay before, however the run
    has ended: the caller goes on with it where the images are."""
    @wraps(run)
    def wrapped(model: str | nn.Module, *args, **options) -> Record:
        weight = next(model.parameters(), None) if isinstance(model, nn.Module) else None
        before = None if weight is None else weight.device
        try:
            return run(model, *args, **options)
        finally:
            if before is not None:
                model.to(before)
    return wrapped


@put_back
def run(model: str | nn.Module, data: str | Data = "digits", recipe: str | Recipe | None = None,
        epochs: int | None = None, seed: int = 0, out: str | Path | None = None, device: str | None = None,
        root: str | Path | None = None, label: str | None = None, verbose: bool = False, resume: bool = False,
        options: dict | None = None, speed: Speed = FAST, workers: int = 0) -> Record:
    """Train a network on a data set by a recipe, look at the test images once, and return the Record.

    model: a name in MODELS, or a network (it is trained in place). options: of the network that is built by name.
    data: a name, loaded with the size and channels that the network takes, or loaded Data.
    recipe: a name in RECIPES or a Recipe; by default "short" for networks with batch normalisation,
    else "lenet" for those below 100,000 parameters and "adam" for larger ones.
    epochs: in place of the recipe's. seed: of weights, order, augmentation and dropout; equal seeds, equal curves.
    out: a directory that receives, after every epoch, `record.json`, `checkpoint.pt` and, when the validation accuracy
    is the best so far, `best.pt`. resume: go on from its checkpoint, as if the run had never stopped.
    root: as in `data.load`. label: the name that plots show. verbose: print a line an epoch. workers: processes that
    decode photographs. device: "cpu", "cuda" or "mps"; by default that of `device_at_hand`. A network that was given is
    put back where it lay. speed: switches of the step. Ctrl-C ends the training after the epochs that are done, and
    returns their record.

    Raises ValueError for unknown names, images that do not fit the network, a checkpoint of another run and a
    directory that holds a run, if it is not resumed; FileNotFoundError where a data set is missing; train.Diverged for
    a lost training.
    """
    options = options or {}
    if resume and out is None:
        raise ValueError("to resume is to go on from the checkpoint in a directory: name it with `out`")
    if "num_classes" in options:
        raise ValueError("num_classes is no option: the data say how many classes there are")
    if isinstance(model, str):
        name, factory = model, partial(pick(MODELS, model, "model"), **options)
        try:
            with torch.device("meta"):  # shapes without numbers: a quick look at what the network takes
                sketch = factory()
        except TypeError as error:
            raise ValueError(f"{name} cannot be built with the options {options}: {error}") from error
    else:
        name, sketch = type(model).__name__, model
        if options:
            raise ValueError(f"options are for a network that is built by its name: this {name} is built already")
    rank, processes, device = together(device or device_at_hand())
    speed = speed.on(device)
    if isinstance(data, str):
        if not hasattr(sketch, "input_shape"):
            raise ValueError(f"{name} has no `input_shape` that says which images it takes: give the data themselves, "
                             "from data.load(name, size, channels)")
        channels, size, _ = sketch.input_shape
        later = processes > 1 and int(os.environ["LOCAL_RANK"]) > 0
        if later:  # the first process of each machine downloads what is missing
            distributed.barrier()
        data = load(data, size=size, channels=channels, root=root)
        if processes > 1 and not later:
            distributed.barrier()
    torch.manual_seed(seed)
    if isinstance(model, str):
        model = factory(num_classes=len(data.classes))
    model.to(device, memory_format=speed.memory_format)
    check_fits(model, name, data)
    recipe_name = recipe if isinstance(recipe, str) else None if recipe else default_recipe(model)
    recipe = recipe if isinstance(recipe, Recipe) else pick(RECIPES, recipe_name, "recipe")
    recipe = replace(recipe, epochs=epochs or recipe.epochs, augment=recipe.augment or data.augment)

    placed = {"device": device, "memory_format": speed.memory_format, "workers": workers, "share": (rank, processes)}
    training = data.batches("train", recipe.batch_size, recipe.augment, seed, **placed)
    validation, test = (data.batches(split, 64, **placed) for split in ("validation", "test"))
    optimizer = recipe.make_optimizer(model, speed.fused)
    steps = len(training)  # of an epoch
    scheduler = recipe.make_scheduler(optimizer, recipe.epochs * steps)
    heads = any(child.startswith("aux") for child, _ in model.named_children())
    loss = partial(with_heads, weight=recipe.head_weight) if heads else cross_entropy
    loss = partial(loss, label_smoothing=recipe.label_smoothing)

    record = Record({
        "model": name, "options": options, "data": data.name,
        "label": label or ", ".join([name, *(f"{key}={value}" for key, value in options.items())]),
        "train_images": len(data.train), "image_shape": list(data.image_shape), "classes": list(data.classes),
        "other_images": [len(data.validation), len(data.test)], "mean": [round(m, 4) for m in data.mean.tolist()],
        "parameters": sum(p.numel() for p in model.parameters()), "seed": seed, "recipe_name": recipe_name,
        "recipe": asdict(recipe) | {"milestones": list(recipe.milestones)}, "code": code_hash(type(model)),
        "processes": processes, "device": torch.device(device).type, "speed": asdict(speed)})
    record.machine["threads"] = torch.get_num_threads()
    if torch.device(device).type == "cuda":
        record.machine["gpu"] = torch.cuda.get_device_name(device)
    files = Files(Path(out), record, model, optimizer, scheduler) if out is not None else None
    start = files.resume() if files and resume else 0
    if files and not resume:
        files.require_none()
    training.epoch = start
    if files and not start:
        files.save()

    trained = torch.compile(model) if speed.compile else model
    if processes > 1:
        if torch.device(device).type == "cuda":
            trained = nn.SyncBatchNorm.convert_sync_batchnorm(trained)
        trained = DistributedDataParallel(trained)
        training = Seeded(training, seed, rank)
    bar = tqdm(total=recipe.epochs * steps, initial=start * steps, unit="step", mininterval=1, disable=rank > 0,
               desc=f"{record.config['label']} on {data.name}, seed {seed}")
    try:
        for row in fit(trained, Counted(training, bar), validation, optimizer, recipe.epochs, scheduler, loss,
                       speed.autocast, start):
            record.append(row | memory(device))
            bar.set_postfix_str(f"epoch {row['epoch']}, validation accuracy {row['validation_accuracy']:.1%}")
            if files:
                files.save()
            if verbose and rank == 0:
                tqdm.write(LINE.format(**row))
        result = run_epoch(model, test)
    except KeyboardInterrupt:
        record.config["stopped"] = f"by hand, after {len(record.rows)} of {recipe.epochs} epochs"
        warnings.warn(f"training stopped {record.config['stopped']}; the record holds these", stacklevel=3)
        return record
    finally:
        bar.close()
    record.test = {k: v for k, v in result.items() if k in ("loss", "accuracy", "examples")}
    if files:
        files.save()
    return record


class Seeded:
    """Batches before whose every epoch a process sets its own random numbers: dropout draws other units for other
    images, and a resumed training the same ones, although the checkpoint holds those of the first process alone."""

    def __init__(self, batches: Batches, seed: int, rank: int):
        self.batches, self.seed, self.rank = batches, seed, rank

    def __iter__(self):
        torch.manual_seed(1_000_003 * self.seed + 1_009 * self.rank + self.batches.epoch)
        return iter(self.batches)


class Counted:
    """Batches that move a progress bar on, one step each: an epoch may take minutes. Where steps become much slower
    than they were, a warning says so once."""

    def __init__(self, batches: Batches | Seeded, bar: tqdm):
        self.batches, self.bar, self.fastest, self.said = batches, bar, math.inf, False

    def __iter__(self):
        steps, since = 0, time.perf_counter()
        for batch in self.batches:
            yield batch
            self.bar.update()
            steps += 1
            if (seconds := time.perf_counter() - since) > LOOK:
                self.look(seconds / steps)
                steps, since = 0, time.perf_counter()

    def look(self, pace: float) -> None:
        """pace: seconds a step."""
        self.fastest = min(self.fastest, pace)
        if pace > SLOW * self.fastest and not self.said and not self.bar.disable:
            self.said = True
            warnings.warn(f"a step takes {pace / self.fastest:.0f} times as long as before: another program uses the "
                          "processor. Close it, or train in one thread: stop this run, set OMP_NUM_THREADS=1 and start "
                          "it again (--resume goes on with it)", stacklevel=2)


class Files:
    """What a run leaves in its directory: all of it is written beside and renamed, by the first process alone."""

    def __init__(self, out: Path, record: Record, *state):
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.record, self.state = out, record, state

    def save(self) -> None:
        if distributed.is_initialized() and distributed.get_rank():
            return
        accuracies = self.record.column("validation_accuracy")
        done = {"record": self.record.as_json()}
        if accuracies and accuracies[-1] >= max(accuracies):  # first: what is killed in between does this epoch again
            save_checkpoint(self.out / "best.pt", *self.state, **done)
        save_checkpoint(self.out / "checkpoint.pt", *self.state, **done)
        self.record.save(self.out / "record.json")

    def stored(self) -> Record | None:
        """The record in the checkpoint, which may be an epoch ahead of the file beside it."""
        path = self.out / "checkpoint.pt"
        try:
            return Record.from_json(read_checkpoint(path)["record"]) if path.exists() else None
        except (KeyError, TypeError, JSONDecodeError) as error:
            raise ValueError(f"{path} holds no run of this course: choose another directory") from error

    def require_none(self) -> None:
        """A finished epoch may have taken hours: another run must not take its place without a word."""
        path = self.out / "record.json"
        found = [Record.load(path)] if path.exists() else []
        if epochs := max((len(record.rows) for record in [*found, self.stored()] if record), default=0):
            raise ValueError(f"{self.out} holds a run of {epochs} epochs: resume it, or choose another directory")

    def resume(self) -> int:
        """Load the checkpoint, if there is one; returns the number of epochs that are done."""
        path, then = self.out / "checkpoint.pt", self.stored()
        if then is None:
            return 0
        now = self.record.config
        try:
            theirs, ours = (
                {key: config[key] for key in ("model", "options", "data", "train_images", "image_shape", "seed",
                                              "processes", "device", "code")}
                | {key: config.get(key, now[key]) for key in ("classes", "other_images", "mean")}  # not in the oldest
                | config["speed"] | config["recipe"] for config in (then.config, now))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} holds no run of this course: choose another directory") from error
        for key in (key for key in ours if key not in ("why", "source")):
            if theirs.get(key) != ours[key]:
                raise ValueError(f"{path} is of another run: its {key} is {theirs.get(key)}, not {ours[key]}; repeat "
                                 "its arguments, or choose another directory")
        load_checkpoint(path, *self.state)
        self.record.rows[:] = then.rows
        if THREADS_ARE_OURS:  # another number would round otherwise
            torch.set_num_threads(min(then.machine.get("threads", torch.get_num_threads()), cores()))
            self.record.machine["threads"] = torch.get_num_threads()
        return len(then.rows)


def devices() -> list[str]:
    """The kinds of device that PyTorch finds on this machine, the fastest first."""
    return [*["cuda"] * torch.cuda.is_available(), *["mps"] * torch.backends.mps.is_available(), "cpu"]


@cache
def device_at_hand() -> str:
    """Where a network is trained if nobody says where: on the GPU that is found and works, else on the processor. The
    first call prints which GPU it is."""
    processes, rank = int(os.environ.get("LOCAL_WORLD_SIZE", 1)), os.environ.get("LOCAL_RANK", "0")  # of torchrun
    room = {"cuda": torch.cuda.device_count(), "mps": int("WORLD_SIZE" not in os.environ)}  # each process takes a GPU
    for device in (kind for kind in devices() if processes <= room.get(kind, 0)):
        try:  # PyTorch also finds GPUs that are too old for it, or full
            images, weights = torch.ones(2, 1, 1, 3, 3, device=f"cuda:{rank}" if device == "cuda" else device)
            nn.functional.conv2d(images, weights).item()
        except RuntimeError as error:
            warnings.warn(f"there is a GPU ({device}), but PyTorch cannot compute on it: training stays on the "
                          f"processor ({str(error).splitlines()[0]})", stacklevel=3)
            continue
        if rank == "0":
            print(f"Training on the GPU: {torch.cuda.get_device_name() if device == 'cuda' else 'Apple, by MPS'}")
        return device
    return "cpu"


def together(device: str) -> tuple[int, int, str]:
    """(rank, number of processes, device of this one): (0, 1, device) unless torchrun has started several."""
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if processes > 1 and device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)
    if processes == 1:
        return 0, 1, device
    if not distributed.is_initialized():  # once a process: the runs of one program share it
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        atexit.register(distributed.destroy_process_group)
    return distributed.get_rank(), processes, device


def memory(device: str) -> dict[str, int]:
    """Bytes that this process, and its part of a GPU, have held at most."""
    found = {"peak_memory": peak_memory()}
    if torch.device(device).type == "cuda":
        found["peak_device_memory"] = torch.cuda.max_memory_allocated()
    return found


def code_hash(network: type) -> str:
    """Of the code that makes the network what it is: its file and layers.py, without comments and docstrings.

    Empty for a network that has no file, such as one written in a notebook.
    """
    try:
        files = [inspect.getsource(sys.modules[network.__module__]), inspect.getsource(layers)]
    except (OSError, TypeError):
        return ""
    trees = [ast.parse(text) for text in files]
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    whole = {"show_empty": True} if sys.version_info >= (3, 13) else {}  # Python 3.12 and 3.13 print trees differently
    text = "".join(ast.dump(tree, **whole).replace(", type_params=[]", "") for tree in trees)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def recorded(*models: str, data: str | None = None, recipe: str | None = None,
             epochs: int | None = None) -> list[Record]:
    """The runs that the course ships, by name: all, or those of these models, this data, this recipe, this length."""
    found = [Record.load(path) for path in sorted(RECORDS.glob("*.json"))]
    wanted = {"data": data, "recipe_name": recipe}
    return [record for record in found if (not models or record.config["model"] in models)
            and all(value in (None, record.config[key]) for key, value in wanted.items())
            and epochs in (None, len(record.rows))]


def outdated(record: Record) -> str:
    """Why a record no longer shows what its recipe and its network would give today; empty where it does."""
    config = record.config
    if config["model"] not in MODELS:
        return "there is no such model any more"
    if config["code"] != code_hash(inspect.get_annotations(MODELS[config["model"]])["return"]):
        return "the model's code has changed"
    if config["recipe_name"] is not None:
        recipe = RECIPES.get(config["recipe_name"])
        if recipe is None:
            return "there is no such recipe any more"
        now = asdict(recipe) | {"milestones": list(recipe.milestones)}
        free = ("epochs", "why", "source", *["augment"] * (recipe.augment is None))  # None takes the data set's own
        changed = [key for key in now if key not in free and now[key] != config["recipe"].get(key)]
        if changed:
            return f"the recipe's {', '.join(changed)} changed"
    return ""


@dataclass(frozen=True)
class Runs:
    """Recorded runs that differ in their seeds alone. Accuracies are means [lowest - highest] over the seeds, in
    training those of the last epoch, taken with its augmentation and dropout; minutes are those of training, the mean.
    """

    run: str
    seeds: str
    training: str
    test: str
    minutes: int
    on: str
    state: str  # "current", or what has changed since


def summary(records: list[Record]) -> Table:
    """A row for all seeds of a run."""
    def spread(shares):
        return f"{fmean(shares):.1%}" + f" [{min(shares):.1%} - {max(shares):.1%}]" * (len(shares) > 1)

    groups = {}
    for record in records:
        groups.setdefault(record.series, []).append(record)
    table = Table()
    for run, group in groups.items():
        config = group[0].config
        changed = [f"seed {record.config['seed']}: {what}" for record in group if (what := outdated(record))]
        table.append(Runs(
            run, ", ".join(str(record.config["seed"]) for record in group),
            spread([record.rows[-1]["train_accuracy"] for record in group]),
            spread([record.test["accuracy"] for record in group]),
            round(fmean(sum(record.column("seconds")) for record in group) / 60),
            config["device"] + ", bfloat16" * config["speed"]["autocast"], "; ".join(changed) or "current"))
    return table


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
