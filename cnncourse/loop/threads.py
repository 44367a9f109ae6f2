"""How many threads PyTorch gets, and how they wait: chosen before it is imported. Standard library only."""

from __future__ import annotations  # the doctor speaks on older Pythons, too

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
CGROUPS, OWN_GROUPS, LOAD, TWINS = map(Path, ("/sys/fs/cgroup", "/proc/self/cgroup", "/proc/loadavg",
                                              "/sys/devices/system/cpu/smt/active"))  # of Linux


def cores() -> int:
    """The number of cores that this process may use, at least 1: those of the machine, or of its container."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for group in control_groups("cpu"):
        with suppress(OSError, ValueError):  # version 2: "max 100000", or microseconds of computing in a period
            allowed, period = (group / "cpu.max").read_text().split()
            here = min(here, int(allowed) // int(period))
        with suppress(OSError):
            allowed, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            here = min(here, allowed // period) if allowed > 0 else here
    return max(1, here)


def control_groups(controller: str) -> Iterator[Path]:
    """The folders in which Linux keeps the limits of this process: those of its own control group, and of all around
    it. A container may see its own as the outermost one. On other systems there are none."""
    try:
        lines = OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1):
        if controller in controllers.split(",") or not controllers:  # version 2 has one tree for all controllers
            for top in [CGROUPS / controller] if controllers else [CGROUPS, CGROUPS / "unified"]:
                own = top / path.lstrip("/")
                yield from (group for group in (own, *own.parents) if group.is_relative_to(top) and group.is_dir())


def idle_cores() -> int:
    """How many of `cores()` other programs leave free, at least 1; all of them where the system is not Linux.

    The least of several looks within 20 milliseconds counts, so that a program that works for a moment is none.
    """
    looks = []
    try:
        for _ in range(5):
            running = LOAD.read_text().split()[3].partition("/")[0]
            looks.append(int(running) - 1)  # this process runs, too
            time.sleep(0.004)
    except (OSError, ValueError, IndexError):
        return cores()
    return max(1, min(cores(), (os.cpu_count() or 1) - min(looks)))


def choose_threads() -> bool:
    """Set what PyTorch reads when it is imported: how its threads wait, and where another program takes a core, how
    many there are. Returns False where the user has chosen their number, which stays.

    After each small operation the threads wait for each other, awake for some milliseconds: where another program takes
    a core, they keep busy the core that it is to have, and a step takes many times as long. A tenth of a millisecond
    loses nothing on a quiet machine, and asleep they leave the core to whom they wait for. And a core that is taken has
    no use for a thread: all others would wait for its share of the work.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # looks before it sleeps, of the OpenMP in PyTorch for Linux
    if any(name in os.environ for name in THREAD_LIMITS):
        return False
    free, twins = idle_cores(), TWINS.exists() and TWINS.read_text().strip() == "1"
    if free < (os.cpu_count() or 1) // (2 if twins else 1):  # PyTorch takes one of two twin cores
        os.environ["OMP_NUM_THREADS"] = str(free)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(free)
    return True


THREADS_ARE_OURS = choose_threads()
