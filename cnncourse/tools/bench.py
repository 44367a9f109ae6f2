"""Measurements printed as ratios. Two programs take turns in one run, so that a busy or a slow machine slows both."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from ..data import Batches, Split, load, of_sklearn, take_stock
from ..layers import LocalResponseNorm, local_response_norm
from ..loop.devices import Speed
from ..loop.threads import THREAD_LIMITS, cores
from ..models import MODELS
from ..runs.record import Record
from ..runs.shipped import recorded
from ..train import run_epoch

FAST, PLAIN = Speed(), Speed(channels_last=False, fused=False)  # the course's defaults, and PyTorch's
RACE = "cifar_long"  # the recipe that is held against the ResNet paper's


@dataclass(frozen=True)
class Ratio:
    """How many times faster ours is than the other: median [lowest - highest] over the rounds, in wall and CPU time."""

    ours: str
    other: str
    wall: str
    cpu: str


def ratio(ours: str, other: str, run_ours: Callable, run_other: Callable, rounds: int,
          more: float = 1.0) -> Ratio:
    """One uncounted round, then `rounds` in which both run once, in alternating order. A program that returns its own
    (wall, CPU) seconds is believed. more: how many times oftener the other has to run."""
    pairs = []
    for i in range(rounds + 1):
        times = {}
        for run in (run_ours, run_other) if i % 2 else (run_other, run_ours):
            wall, cpu = time.perf_counter(), sum(os.times()[:4])  # with the worker processes that have ended
            told = run()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            spent = time.perf_counter() - wall, max(sum(os.times()[:4]) - cpu, 0.01)
            times[run] = told if isinstance(told, tuple) else spent
        pairs.append([more * a / b for a, b in zip(times[run_other], times[run_ours], strict=True)])
    return Ratio(ours, other, *(f"{median(r):.2f} [{min(r):.2f} - {max(r):.2f}]"
                                for r in zip(*pairs[1:], strict=True)))


def training_step(net: nn.Module, batch: int, speed: Speed = PLAIN, device: str = "cpu") -> Callable:
    """One step of SGD on a fixed random batch of images of the network's size."""
    speed = speed.on(device)
    net = net.train().to(device, memory_format=speed.memory_format)
    shape = getattr(net, "input_shape", (3, 224, 224))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, *shape, generator=generator).to(device, memory_format=speed.memory_format)
    labels = torch.randint(10, (batch,), generator=generator).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, fused=speed.fused)
    model = torch.compile(net) if speed.compile else net

    def step():
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=speed.autocast):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    return step


def models(rounds: int, device: str) -> Iterator[Ratio]:
    """The course's networks against torchvision's classes, and its local response normalisation against PyTorch's."""
    plain, fast = nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), LocalResponseNorm()
    for channels, size, memory_format in ((96, 55, torch.contiguous_format), (192, 56, torch.contiguous_format),
                                          (192, 56, torch.channels_last)):
        x = (20 * torch.randn(32, channels, size, size)).to(device, memory_format=memory_format).requires_grad_()
        gradient = torch.randn_like(x)

        def run(norm, x=x, gradient=gradient):
            torch.autograd.grad(norm(x), x, gradient)

        where = f"LRN 32x{channels}x{size}x{size}" + ", channels last" * (memory_format is torch.channels_last)
        yield ratio(where, "nn.LocalResponseNorm", partial(run, fast), partial(run, plain), rounds)
        yield ratio(where, "the formula", partial(run, fast), partial(run, local_response_norm), rounds)

    for name, theirs, batch in (("alexnet_owt", "alexnet", 32), ("vgg11", "vgg11", 4), ("resnet18", "resnet18", 16),
                                ("googlenet_bn", "googlenet", 16), ("resnet50", "resnet50", 8)):
        options = {"aux_logits": False, "init_weights": False} if theirs == "googlenet" else {}
        other = torchvision.models.get_model(theirs, num_classes=10, **options)
        yield ratio(f"{name} step", "torchvision's", training_step(MODELS[name](num_classes=10), batch, device=device),
                    training_step(other, batch, device=device), rounds)


def epochs(name: str, steps: int, speed: Speed, device: str) -> tuple[Callable, Callable, Callable]:
    """An epoch of `steps` batches of 128 images: by the course's loop, by its loop with one batch reused (the ceiling),
    and by the loop of most tutorials."""
    speed = speed.on(device)
    net = MODELS[name]().to(device, memory_format=speed.memory_format)
    channels, size, _ = net.input_shape
    split = Split(torch.randint(0, 256, (128 * steps, channels, size, size), dtype=torch.uint8),
                  torch.randint(10, (128 * steps,)))
    mean, std = torch.full((channels,), 0.5), torch.full((channels,), 0.25)
    batches = Batches(split, 128, mean, std, "crop_flip", shuffle=True, device=device,
                      memory_format=speed.memory_format)
    one = next(iter(batches))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, fused=speed.fused)
    epoch = partial(run_epoch, torch.compile(net) if speed.compile else net, optimizer=optimizer,
                    autocast=speed.autocast)
    return partial(epoch, batches), partial(epoch, [one] * steps), usual_loop(MODELS[name]().to(device), split, size,
                                                                              device)


def loop(rounds: int, device: str) -> Iterator[Ratio]:
    """The course's training loop against one batch reused, and against the loop of most tutorials."""
    for name, steps in (("lenet5", 60), ("resnet20", 6), ("vgg11_small", 6), ("resnet18_small", 2)):
        epoch, ceiling, tutorial = epochs(name, steps, FAST, device)
        yield ratio(f"{name} epoch", "one batch reused", epoch, ceiling, rounds)
        yield ratio(f"{name} epoch", "the usual loop", epoch, tutorial, rounds)
    for name, steps in (("lenet5", 60), ("resnet20", 6)):
        fast, _, tutorial = epochs(name, steps, Speed.for_hours(device), device)
        yield ratio(f"{name} epoch, --fast", "the usual loop", fast, tutorial, rounds)


def race(rounds: int, device: str) -> Iterator[Ratio]:
    """ResNet-20 on CIFAR-10 to 90 % validation accuracy, and to the end: the course's recipe and loop against the
    paper's schedule in the usual loop. The epochs are those of recorded runs, the time of an epoch is measured here.
    """
    ours, papers = recorded("resnet20", recipe=RACE), recorded("resnet20", recipe="resnet_cifar")
    if not (ours and papers):
        return
    fast, _, tutorial = epochs("resnet20", 6, Speed.for_hours(device), device)
    for words, needed in (("90 % validation accuracy", partial(epochs_to, accuracy=0.9)),
                          ("the end", lambda record: len(record.rows))):
        few, many = (median(needed(record) for record in records) for records in (ours, papers))
        yield ratio(f"resnet20 to {words}: {few:g} epochs", f"the usual loop: {many:g} epochs", fast, tutorial, rounds,
                    many / few)


def epochs_to(record: Record, accuracy: float) -> float:
    reached = (row["epoch"] for row in record.rows if row["validation_accuracy"] >= accuracy)
    return next(reached, inf)


class Pictures(Dataset):
    """Images one by one through PIL, as torchvision's data sets give them."""

    def __init__(self, split: Split, transform: Callable):
        self.images, self.labels = split.images.permute(0, 2, 3, 1).squeeze(3).numpy(), split.labels.tolist()
        self.transform, self.as_picture = transform, transforms.ToPILImage()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int):
        return self.transform(self.as_picture(self.images[i])), self.labels[i]


def usual_loop(net: nn.Module, split: Split, size: int, device: str) -> Callable:
    """An epoch as most tutorials write it: two workers, transforms of each picture, numbers fetched at each step."""
    transform = transforms.Compose([transforms.RandomCrop(size, padding=size // 8), transforms.RandomHorizontalFlip(),
                                    transforms.ToTensor(), transforms.Normalize((0.5,), (0.25,))])
    loader = DataLoader(Pictures(split, transform), batch_size=128, shuffle=True, num_workers=2)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)

    def epoch():
        net.train()
        total = correct = 0
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            logits = net(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
            correct += (logits.argmax(1) == labels).sum().item()

    return epoch


def steps(rounds: int, device: str) -> Iterator[Ratio]:
    """Each switch of `experiment.Speed`, and the defaults together, against a plain step of PyTorch."""
    for name in ("resnet20", "lenet5"):
        for label, speed in (("the defaults", FAST), ("channels_last", replace(PLAIN, channels_last=True)),
                             ("fused", replace(PLAIN, fused=True)), ("autocast", replace(PLAIN, autocast=True)),
                             ("the defaults and compile", replace(FAST, compile=True)),
                             ("--fast", Speed.for_hours(device))):
            yield ratio(f"{name} step, {label}", "plain", training_step(MODELS[name](), 128, speed, device),
                        training_step(MODELS[name](), 128, PLAIN, device), rounds)


def busy(rounds: int, device: str) -> Iterator[Ratio]:
    """The threads that the course chooses, beside another program that keeps a core busy and without one, against
    PyTorch's own (as many as cores, waiting awake) and against one thread."""
    for words, others in (("beside a busy program", 1), ("alone", 0)):
        programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
        try:
            for name, steps in (("lenet5", 40), ("resnet20", 4)):
                ours, one = partial(steps_apart, name, steps), partial(steps_apart, name, steps, OMP_NUM_THREADS="1")
                pytorchs = partial(steps_apart, name, steps, first="import torch", OMP_NUM_THREADS=str(cores()))
                yield ratio(f"{name} step, {words}", "PyTorch's own threads", ours, pytorchs, rounds)
                yield ratio(f"{name} step, {words}", "one thread", ours, one, rounds)
        finally:
            for program in programs:
                program.kill()


def steps_apart(name: str, steps: int, first: str = "", **environment: str) -> tuple[float, float]:
    """(wall, CPU) seconds of training steps in a process of its own, in which `first` runs before the course comes."""
    code = (f"{first}\nimport time\nfrom cnncourse.tools.bench import *\n"
            f"step = training_step(MODELS[{name!r}](), 128, FAST)\nstep()\n"
            f"wall, cpu = time.perf_counter(), time.process_time()\nfor _ in range({steps}): step()\n"
            "print(time.perf_counter() - wall, time.process_time() - cpu)")
    limits = (*THREAD_LIMITS, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    clean = {key: value for key, value in os.environ.items() if key not in limits}
    done = subprocess.run([sys.executable, "-c", code], check=True, env=clean | environment, capture_output=True,
                          text=True)
    wall, cpu = map(float, done.stdout.split())
    return wall, cpu


NOTEBOOK = """
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
NotebookClient(new_notebook(cells=[new_code_cell("import cnncourse.experiment")])).execute()
"""


def process(code: str) -> None:
    """Runs it in a process of its own, with as many threads as this one."""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True,
                   env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())})


def startup(rounds: int, device: str) -> Iterator[Ratio]:
    """What it costs to begin, against `import torch`."""
    for label, code in (("cnncourse --help", "from cnncourse import __main__ as cli; cli.parser().format_help()"),
                        ("import of the models", "import cnncourse.models"),
                        ("import of an experiment", "import cnncourse.experiment"),
                        ("import of torchvision", "import torchvision"),
                        ("a notebook that imports an experiment", NOTEBOOK)):
        yield ratio(label, "import of torch", partial(process, code), partial(process, "import torch"), rounds)


def folders(rounds: int, device: str) -> Iterator[Ratio]:
    """Five epochs of a folder of photographs at 64 x 64, with all that comes before the first, against torchvision's
    ImageFolder with transforms v2 and a DataLoader; and the decoding of every file once against theirs."""
    with TemporaryDirectory() as root:
        draw_photographs(Path(root))
        for workers in (0, 2):
            yield ratio(f"folder, five epochs, {workers} workers", "ImageFolder",
                        partial(epochs_of_folder, root, workers, device),
                        partial(epochs_of_image_folder, root, workers, device), rounds)
        files = ImageFolder(root, v2.Compose(v2_transforms(64)))

        def theirs():
            for _ in files:
                pass

        yield ratio("folder, every file once", "ImageFolder", partial(take_stock, root), theirs, rounds)


def draw_photographs(root: Path) -> None:
    """300 JPEGs of 500 x 333 pixels in four classes, parts of scikit-learn's two photographs."""
    whole = [Image.open(of_sklearn(f"images/{name}.jpg")) for name in ("china", "flower")]
    for i in range(300):
        left, top = i % 140, 7 * i % 94
        path = root / f"class{i % 4}" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        whole[i % 2].crop((left, top, left + 500, top + 333)).save(path, quality=90)


def v2_transforms(size: int) -> list[Callable]:
    return [v2.Resize(size), v2.CenterCrop(size), v2.RandomCrop(size, padding=size // 8), v2.RandomHorizontalFlip(),
            v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.5,) * 3, (0.25,) * 3)]


def epochs_of_folder(root: str, workers: int, device: str) -> None:
    batches = load("folder", 64, root=root).batches("train", 32, "crop_flip", device=device, workers=workers)
    for _ in range(5):
        for images, _ in batches:
            images.sum()


def epochs_of_image_folder(root: str, workers: int, device: str) -> None:
    """Of as many images as the course trains with: 70 in 100."""
    files = ImageFolder(root, v2.Compose(v2_transforms(64)))
    training = Subset(files, torch.randperm(len(files))[: 7 * len(files) // 10].tolist())
    loader = DataLoader(training, batch_size=32, shuffle=True, num_workers=workers, drop_last=True)
    for _ in range(5):
        for images, _ in loader:
            images.to(device).sum()


SUITES = {"models": models, "loop": loop, "race": race, "steps": steps, "busy": busy,
          "folders": folders, "start": startup}
