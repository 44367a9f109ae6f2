"""What is installed, what is missing and what to do about it, in plain words.

Whatever is missing must not stop it from speaking: beyond the standard library, a check imports what it looks for.
"""

from __future__ import annotations  # so that a Python too old for the course is told so

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from . import cores as usable_cores

INSTALL = 'Install the course again, in its folder: "python -m pip install -c constraints.txt -e ."'
DATA_SETS = {
    "mnist": "MNIST/raw/train-images-idx3-ubyte",
    "fashion_mnist": "FashionMNIST/raw/train-images-idx3-ubyte",
    "cifar10": "cifar-10-batches-py/data_batch_1",
    "cifar100": "cifar-100-python/train",
}
MARKS = {True: "ok", False: "to fix", None: "note"}
GB = 1e9


@dataclass(frozen=True)
class Check:
    """One thing looked at. `ok` is None where there is something to know but nothing to repair."""

    name: str
    ok: bool | None
    found: str
    advice: str = ""


def checks(root: Path) -> list[Check]:
    """Look at everything; `root` is the folder in which data sets are kept. Raises nothing."""
    looks: dict[str, Callable[[], tuple]] = {
        "Python": python,
        "disk": lambda: disk(Path(root)),
        "memory": memory,
        "PyTorch": pytorch,
        "other packages": packages,
        "Jupyter kernel": kernel,
        "cores": cores,
        "GPU": gpu,
        "data sets": lambda: data_sets(Path(root)),
        "proxy": proxy,
        "make": make,
    }
    return [Check(name, *answer(look)) for name, look in looks.items()]


def answer(look: Callable[[], tuple]) -> tuple:
    try:
        return look()
    except Exception as error:  # a broken package can raise anything at all
        return False, f"cannot be checked, {type(error).__name__}: {error}", INSTALL


def render(found: list[Check]) -> str:
    """The checks as lines of text, each advice below its check, and in the last line what to do first."""
    width = max(len(check.name) for check in found)
    lines = []
    for check in found:
        lines.append(f"{MARKS[check.ok]:6}  {check.name:{width}}  {' '.join(check.found.split())}")
        lines += [] if check.ok or not check.advice else [f"{'':{width + 8}}  {check.advice}"]
    first = next((check for check in found if check.ok is False), None)
    last = f"Do this first ({first.name}): {first.advice}" if first else "Everything needed is here."
    return "\n".join([*lines, "", last])


def python() -> tuple:
    right = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return right, platform.python_version(), "Install Python 3.11, 3.12 or 3.13 and make a new environment with it."


def disk(root: Path) -> tuple:
    folder = next(parent for parent in [root.absolute(), *root.absolute().parents] if parent.exists())
    free = min(shutil.disk_usage(folder).free, shutil.disk_usage(Path.cwd()).free)
    found = f"{free / GB:.1f} GB free"
    if free < 1 * GB:
        return False, found, "Free some disk: working takes about 1 GB, a new installation 6 to 7 GB."
    return free >= 7 * GB or None, found, "Enough to work with, but a new installation takes 6 to 7 GB."


def memory() -> tuple:
    import psutil

    about = psutil.virtual_memory()
    found = f"{about.total / GB:.1f} GB, of which {about.available / GB:.1f} GB are free"
    if about.total < 1.5 * GB:
        return False, found, "Use a machine with at least 2 GB of memory: the notebooks would be killed on this one."
    return about.total >= 2 * GB or None, found, 'Close other programs, and run one notebook at a time: "--jobs 1".'


def pytorch() -> tuple:
    """torch and torchvision must be built for each other. Versions do not tell; a compiled operator does."""
    found = ", ".join(f"{name} {version(name) or 'missing'}" for name in ("torch", "torchvision"))
    try:
        import torch
        import torchvision

        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
        return True, found
    except Exception as error:
        together = 'Install the two together, from one source: "python -m pip install --force-reinstall '
        return False, f"{found}; {type(error).__name__}: {error}", together + '-c constraints.txt torch torchvision".'


def packages() -> tuple:
    """The package's own metadata says what it needs."""
    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in metadata.requires("cnncourse") or []]
    needed = [r for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    missing = [r.name for r in needed if version(r.name) is None]
    wrong = [r for r in needed if r.name not in missing and not r.specifier.contains(version(r.name), prereleases=True)]
    faults = [f"{name} is missing" for name in missing]
    faults += [f"{r.name} {version(r.name)} is not {r.specifier}" for r in wrong]
    return not faults, "; ".join(faults) or f"all {len(needed)} in the versions needed", INSTALL


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def kernel() -> tuple:
    """A kernel named python3 in the home folder goes before the environment's own, and may be another Python's."""
    from jupyter_client.kernelspec import KernelSpecManager

    program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    if Path(program).is_absolute() and Path(program).parent != Path(sys.executable).parent:
        advice = 'If notebooks miss packages, remove that kernel: "jupyter kernelspec remove python3".'
        return None, f"python3 runs {program}, not this Python", advice
    return True, "python3 runs this Python"


def cores() -> tuple:
    return True, str(usable_cores())


def gpu() -> tuple:
    try:
        import torch
    except Exception:
        return None, "unknown without PyTorch; the course needs none"
    if torch.cuda.is_available():
        return None, f"CUDA: {torch.cuda.get_device_name()}"
    return None, "MPS" if torch.backends.mps.is_available() else "none: the course needs none"


def data_sets(root: Path) -> tuple:
    here = [name for name, file in DATA_SETS.items() if (root / file).exists()]
    absent = [name for name in DATA_SETS if name not in here]
    found = f"in {root}: {', '.join(here) or 'none'}" + (f"; absent: {', '.join(absent)}" if absent else "")
    advice = "Nothing to do: digits and shapes come with the course, the others are downloaded when first used."
    return not absent or None, found, advice


def proxy() -> tuple:
    given = [name for name in os.environ if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY") and os.environ[name]]
    if not given:
        return True, "none set"
    advice = 'pip uses it; to give pip another: "python -m pip install --proxy http://SERVER:PORT ...".'
    return None, f"set in {', '.join(given)}", advice


def make() -> tuple:
    if shutil.which("make"):
        return True, "here"
    windows = os.name == "nt"
    folder = r".venv\Scripts" + "\\" if windows else ".venv/bin/"
    commands = ["python -m venv .venv", f"{folder}pip install -c constraints.txt -e .", f"{folder}cnncourse run"]
    return None, "missing, and not needed", "In its place: " + ", then ".join(f'"{c}"' for c in commands) + "."
