"""What is installed, what is missing and what to do about it, in plain words.

Whatever is missing must not stop it from speaking: beyond the standard library, a check imports what it looks for.
"""

from __future__ import annotations  # so that a Python too old for the course is told so

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .. import expanded
from ..datasets import checksums
from ..loop.threads import control_groups, idle_cores
from ..loop.threads import cores as usable_cores

COMMAND = 'python -m pip install -c constraints.txt -e ".[lab]"'
INSTALL = f"Install the course again, in its folder: {COMMAND}"
LAB = f"Install what opens and runs notebooks as well, in the folder of the course: {COMMAND}"
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
    with suppress(FileNotFoundError):  # where there is no home folder, the working folder shows the disk
        root = expanded(root)
    looks = {
        "Python": python,
        "disk": lambda: disk(Path(root)),
        "memory": memory,
        "load": load,  # before the other checks make some
        "PyTorch": pytorch,
        "other packages": packages,
        "Jupyter kernel": kernel,
        "cores": cores,
        "GPU": gpu,
        "data sets": lambda: data_sets(Path(root)),
        "notes": notes,
        "proxy": proxy,
        "make": make,
    }
    found = []
    for name, look in looks.items():
        try:
            found.append(Check(name, *look()))
        except Exception as error:  # a broken package can raise anything at all
            found.append(Check(name, False, f"cannot be checked, {type(error).__name__}: {error}", INSTALL))
    return found


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
    if sys.version_info[:2] < (3, 11):  # noqa: UP036
        return False, platform.python_version(), "Install Python 3.11 to 3.14 and make a new environment with it."
    newer = "Newer than those that the course was tried with: if an installation fails, take Python 3.14."
    return sys.version_info[:2] <= (3, 14) or None, platform.python_version(), newer


def disk(root: Path) -> tuple:
    folder = next(parent for parent in [root.absolute(), *root.absolute().parents] if parent.exists())
    free = min(shutil.disk_usage(place).free for place in (folder, Path.cwd()))
    found = f"{free / GB:.1f} GB free"
    if free < 1 * GB:
        return False, found, "Free some disk: working takes about 1 GB, a new installation 6 to 7 GB."
    return free >= 7 * GB or None, found, "Enough to work with, but a new installation takes 6 to 7 GB."


def memory() -> tuple:
    """That of the machine, or what a container leaves of it."""
    try:
        import psutil
    except ImportError:
        return None, "unknown without psutil", LAB
    total, free = psutil.virtual_memory().total, psutil.virtual_memory().available
    machine = total
    for allowed, used in limits():
        total, free = min(total, allowed), min(free, allowed - used)
    found = f"{total / GB:.1f} GB, of which {free / GB:.1f} GB are free"
    found += f" (a limit for this process: the machine has {machine / GB:.1f} GB)" if total < machine else ""
    if total < 1.5 * GB:
        return False, found, "Use a machine with at least 2 GB of memory: the notebooks would be killed on this one."
    return total >= 2 * GB or None, found, 'Close other programs, and run one notebook at a time: "--jobs 1".'


def limits() -> Iterator[tuple[int, int]]:
    """(bytes allowed, bytes used) of each control group around this process that limits memory. Used is what the
    system could not give back at once: copies of files that nobody reads do not count."""
    for group in control_groups("memory"):
        for allowed, used in (("memory.max", "memory.current"),  # version 2 and version 1
                              ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            with suppress(OSError, ValueError):  # "max"
                about = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
                files = int(about.get("total_inactive_file", about["inactive_file"]))
                yield int((group / allowed).read_text()), int((group / used).read_text()) - files


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

    every = [Requirement(line) for line in metadata.requires("cnncourse") or []]
    lessons, with_lab = ([r for r in every if not r.marker or r.marker.evaluate({"extra": extra})]
                         for extra in ("", "lab"))
    missing = [r.name for r in lessons if version(r.name) is None]
    wrong = [r for r in lessons if version(r.name) and not r.specifier.contains(version(r.name), prereleases=True)]
    faults = [f"{name} is missing" for name in missing]
    faults += [f"{r.name} {version(r.name)} is not {r.specifier}" for r in wrong]
    if not faults and (lab := [r.name for r in with_lab if version(r.name) is None]):
        return None, f"without {', '.join(lab)}, which open and run notebooks", LAB
    return not faults, "; ".join(faults) or f"all {len(with_lab)} in the versions needed", INSTALL


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def kernel() -> tuple:
    """A kernel named python3 in the home folder goes before the environment's own, and may be another Python's."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except (ImportError, KeyError) as error:  # KeyError: Jupyter's word for no kernel of this name
        return False, f"missing ({error})", LAB
    except RuntimeError as error:  # there is no home folder
        return False, str(error), "Set HOME to a folder that you can write: Jupyter needs one."
    if Path(program).is_absolute() and Path(program).parent != Path(sys.executable).parent:
        advice = 'If notebooks miss packages, remove that kernel: "jupyter kernelspec remove python3".'
        return None, f"python3 runs {program}, not this Python", advice
    return True, "python3 runs this Python"


def cores() -> tuple:
    here = os.cpu_count() or 1
    limit = f", a limit for this process: the machine has {here}" if usable_cores() < here else ""
    return True, f"{usable_cores()}{limit}"


def load() -> tuple:
    """Threads that share a core with other work wait for each other at every layer."""
    here, free = usable_cores(), idle_cores()
    advice = ("What else runs slows training: close it. A program that imports the course now leaves those cores "
              "alone; one that ran before stays slow until you start it again.")
    return free == here or None, f"other work keeps {here - free} of {here} cores busy", advice


def gpu() -> tuple:
    try:
        import torch
    except Exception:
        return None, "unknown without PyTorch; the course needs none"
    if torch.cuda.is_available():
        return None, f"CUDA: {torch.cuda.get_device_name()}; networks are trained on it"
    mps = torch.backends.mps.is_available()
    return None, "MPS; networks are trained on it" if mps else "none: the course needs none"


def data_sets(root: Path) -> tuple:
    """All files by their checksums: what a broken download has left would only be found when a network learns it."""
    whole, states = [], {"absent": [], "incomplete": [], "damaged": []}
    for name, files in checksums.MD5.items():
        try:
            missing, damaged = checksums.look(name, root)
        except OSError as error:  # a file that this user may not read
            states["incomplete"].append(f"{name} ({error})")
            continue
        states["damaged"] += [f"{path} {fault}" for path, fault in damaged.items()]
        came = sum(path.stat().st_size for path in (root / f"{packed}.partial" for packed in checksums.PACKED[name])
                   if path.exists())
        if missing and came:
            states["incomplete"].append(f"{name} (half downloaded, {came / 1e6:.1f} MB)")
        elif len(missing) == len(files):
            states["absent"].append(name)
        elif missing:
            states["incomplete"].append(f"{name} (without {', '.join(path.name for path in missing)})")
        elif not damaged:
            whole.append(name)
    faults = [f"; {state}: {', '.join(names)}" for state, names in states.items() if names]
    found = f"in {root}: {', '.join(whole) or 'none'}{''.join(faults)}"
    command = f'cnncourse data get NAME --root "{root}"'
    if states["damaged"]:
        return False, found, f"Put the right files in the place of those damaged: {command}"
    advice = "digits and shapes come with the course, the others are downloaded when first used, or before a class with"
    return not faults or None, found, f"Nothing to do: {advice} {command}"


def notes() -> tuple:
    """What `cnncourse progress` shows is kept in the home folder, if that can be written."""
    from . import progress

    advice = "Checks work without; to keep their outcomes, set CNNCOURSE_PROGRESS to a file that you can write."
    why = progress.obstacle()
    return not why or None, f"cannot be kept: {why}" if why else f"kept in {progress.path()}", advice


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
    commands = ["python -m venv .venv", f'{folder}pip install -c constraints.txt -e ".[lab]"', f"{folder}cnncourse run"]
    return None, "missing, and not needed", "In its place: " + ", then ".join(commands) + "."
