"""Notebooks → executed notebooks and a report, through papermill's parameters and nbclient.

A notebook runs in a kernel, which is a process of its own; this process only listens, with one thread a notebook.
A kernel that is killed takes nothing with it, and no kernel outlives this process.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass
from importlib import metadata
from pathlib import Path
from textwrap import shorten

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from tabulate import tabulate
from tqdm import tqdm
from traitlets.config import Config

from .. import pick, write_text
from ..loop.threads import THREAD_LIMITS, cores
from ..recipes import PROFILES

STEP = 0.128  # seconds of the step below, in one thread of the machine on which the profiles' minutes were measured
STEPS = """
import time, torch
from cnncourse.models import MODELS
from cnncourse.train import cross_entropy
net, images, labels = MODELS["resnet20"](), torch.randn(32, 3, 32, 32), torch.zeros(32, dtype=torch.long)
for step in range(-2, 8):
    begun = begun if step > 0 else time.perf_counter()
    cross_entropy(net, images, labels)[0].backward()
if not torch.cuda.is_available() and not torch.backends.mps.is_available():
    print((time.perf_counter() - begun) / 8)
"""
MEASURED = re.compile(r"\*Measured: (?P<seconds>\d+) seconds and (?P<gb>[\d.]+) GB on (?P<cores>\d+) cores.*?\*")


@dataclass(frozen=True)
class Result:
    """What became of one notebook."""

    notebook: str  # the file's name without .ipynb
    status: str  # "passed", "failed" or "timed out"
    seconds: float  # with the kernel's start and end
    peak_mb: int  # the kernel's largest resident memory, in units of 10^6 bytes
    cell: int | None = None  # the failing cell's number, from 1, among all cells of the source notebook
    error: str | None = None  # "ValueError: message", on one line


HEADINGS = ("notebook", "status", "seconds", "peak MB", "cell", "error")


def run(notebooks: list[Path], profile: str, jobs: int, out: Path, timeout: int | None = None,
        parameters: dict | None = None) -> list[Result]:
    """Execute `notebooks`, `jobs` at a time, with the parameter `profile`; a failing one stops no other.

    timeout: seconds that a cell may take, by default the profile's. parameters: further ones of the notebooks.
    Writes out/<name>.ipynb, out/report.json and out/report.md; the results are in the order of the notebooks. Ctrl-C
    ends the kernels, writes the report of those finished, and is raised again.
    Raises ValueError if `jobs` is below 1, for another profile, or if an executed notebook would overwrite its source.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}: give the number of notebooks to run at a time, 1 or more.")
    sources, out = [Path(notebook).resolve() for notebook in notebooks], Path(out).resolve()
    if any(source.parent == out for source in sources):
        raise ValueError(f"{out} holds the notebooks themselves: give another folder for the executed ones.")
    out.mkdir(parents=True, exist_ok=True)
    parameters = {"profile": profile} | (parameters or {})
    timeout = timeout or pick(PROFILES, profile, "profile").cell_seconds
    threads, stop, finished, started = threads_each(jobs), threading.Event(), {}, time.monotonic()
    told_slow = False
    try:
        with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(sources), unit="notebook", disable=None) as bar:
            longest_first = sorted(sources, key=measured, reverse=True)  # so that none begins late and ends last
            futures = {pool.submit(execute, s, parameters, out, timeout, threads, stop): s for s in longest_first}
            try:
                for future in as_completed(futures):
                    finished[futures[future]] = result = future.result()
                    bar.write(f"[{len(finished)}/{len(sources)}] {result.notebook}: {result.status} in "
                              f"{result.seconds:.0f} s", file=sys.stderr)
                    usual = measured(futures[future]) if profile == "tiny" and not told_slow else 0
                    if usual and result.seconds > 4 * usual:
                        told_slow = True
                        bar.write(f"that is over four times its usual {usual} seconds: another program may use the "
                                  "processor (cnncourse doctor says so)", file=sys.stderr)
                    bar.update()
            except BaseException:
                stop.set()  # every kernel is killed, so that leaving the pool is quick
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        results = [finished[source] for source in sources if source in finished]
        seconds = round(time.monotonic() - started, 1)
        settings = {"profile": profile, "jobs": jobs, "threads per kernel": threads, "total seconds": seconds}
        write_report(out, results, {"notebooks finished": f"{len(results)} of {len(sources)}"} | settings | machine())
    return results


def estimate(notebooks: list[Path], profile: str, jobs: int) -> str:
    """How long a run will take on this machine, in words; empty where that is not known to be long.

    A few training steps are measured here and compared with those of the machine on which the minutes were measured.
    """
    minutes = [pick(PROFILES, profile, "profile").minutes.get(path.stem[:2], 0) for path in notebooks]
    if not sum(minutes):
        return ""
    limits = dict.fromkeys(THREAD_LIMITS, str(threads_each(jobs)))
    done = subprocess.run([sys.executable, "-c", STEPS], env=os.environ | limits, capture_output=True, text=True)
    pace = float(done.stdout or 0) / STEP  # nothing is printed where there is a GPU, whose time is not known
    hours = pace * max(max(minutes), sum(minutes) / min(jobs, cores())) / 60
    if hours < 0.5:
        return ""
    length = (f"{60 * hours:.0f} minutes" if hours < 2 else f"{hours:.0f} hours" if hours < 48 else
              f"{hours / 24:.0f} days: a GPU is what it needs")
    return f"by a few training steps, measured here: about {length} (Ctrl-C stops it)"


def measured(source: Path) -> int:
    """The seconds in a notebook's header; 0 where there are none."""
    found = MEASURED.search(source.read_text(encoding="utf-8", errors="replace")) if source.is_file() else None
    return int(found["seconds"]) if found else 0


def update_times(notebooks: list[Path], results: list[Result]) -> None:
    """Write the seconds, memory and machine of a run into the headers of its notebooks."""
    where = f"{cores()} cores ({platform.machine()}, torch {machine()['torch']})"
    for path, result in zip(notebooks, results, strict=True):
        line = f"*Measured: {result.seconds:.0f} seconds and {result.peak_mb / 1000:.1f} GB on {where}.*"
        text = path.read_text(encoding="utf-8")
        if result.status == "passed" and MEASURED.search(text):
            write_text(path, MEASURED.sub(line, text, count=1))


def threads_each(jobs: int) -> int:
    """Threads of each of `jobs` kernels: a share of the cores, and never more than the user has allowed."""
    allowed = [os.environ.get(name, "").partition(",")[0] for name in THREAD_LIMITS]
    return max(1, min([cores() // jobs, *(int(number) for number in allowed if number.isdecimal())]))


def execute(source: Path, parameters: dict, out: Path, timeout: int | None, threads: int,
            stop: threading.Event) -> Result:
    """Execute one notebook. Raises nothing: whatever goes wrong is the result."""
    start, peak, begun, outcome, executed = time.monotonic(), [0], [], {"status": "passed"}, out / source.name
    executed.unlink(missing_ok=True)  # what an earlier run left must not pass for this one's
    try:
        notebook = parameterize_notebook(load_notebook_node(str(source)), parameters, kernel_name="python3",
                                         language="python")
        for cell in notebook.cells:
            cell.update({"outputs": [], "execution_count": None} if cell.cell_type == "code" else {})
        with kernel(notebook, source.parent, timeout, threads) as client, watch(client.km.provisioner.pid, stop, peak):
            for index, cell in enumerate(notebook.cells):
                begun.append(cell)
                client.execute_cell(cell, index)
            client.set_widgets_metadata()
    except Exception as problem:
        status = "timed out" if isinstance(problem, CellTimeoutError) else "failed"
        number = sum("injected-parameters" not in cell.metadata.get("tags", []) for cell in begun)
        outcome = {"status": status, "cell": number or None, "error": describe(problem, timeout)}
    if begun:
        nbformat.write(notebook, executed)
    return Result(source.stem, seconds=round(time.monotonic() - start, 1), peak_mb=peak[0] // 10**6, **outcome)


def describe(problem: Exception, timeout: int | None) -> str:
    """An exception as one line of at most 200 characters."""
    name, message = type(problem).__name__, str(problem)
    if isinstance(problem, CellTimeoutError):
        message = f"the cell was still running after {timeout} seconds"
    if isinstance(problem, CellExecutionError):
        name, message = problem.ename, problem.evalue
    if name == "SystemExit":
        message = "the cell ended the notebook, and those below it did not run"
    return shorten(f"{name}: {message}" if message else name, 200)


@contextmanager
def kernel(notebook: NotebookNode, folder: Path, timeout: int | None, threads: int) -> Iterator[NotebookClient]:
    """What executes the notebook's cells, in a kernel whose working directory is `folder`. On leaving, the kernel has
    ended and its socket files are gone.
    """
    posix = os.name == "posix"  # there, sockets in files need no network, not even the machine's own
    short = "/tmp" if posix and len(tempfile.gettempdir()) > 60 else None  # a socket's path: about 100 characters
    with tempfile.TemporaryDirectory(prefix="cnncourse-", dir=short) as sockets:
        settings = Config(KernelManager={"transport": "ipc" if posix else "tcp",
                                         "connection_file": os.path.join(sockets, "kernel.json")})
        client = NotebookClient(notebook, config=settings, kernel_name="python3", timeout=timeout,
                                raise_on_iopub_timeout=True)  # an output that does not arrive is a failure
        with client.setup_kernel(cwd=str(folder), env=os.environ | dict.fromkeys(THREAD_LIMITS, str(threads))):
            try:
                yield client
            except DeadKernelError:
                code = client.km.provisioner.process.returncode
                hint = ": memory may have run out, so run fewer notebooks at a time" if code == -9 else ""
                raise DeadKernelError(f"the kernel died with exit code {code}{hint}") from None
            except Exception:
                client.shutdown_kernel = "immediate"
                raise


@contextmanager
def watch(pid: int, stop: threading.Event, peak: list[int]) -> Iterator[None]:
    """Keep peak[0] at the process's largest resident memory, in bytes, and kill the process once `stop` is set."""
    process, done = psutil.Process(pid), threading.Event()

    def look():
        with suppress(psutil.Error):  # it has died: nbclient notices too
            while True:
                ended = done.wait(0.1)
                peak[0] = max(peak[0], resident(process))
                if ended:
                    return
                if stop.is_set():
                    process.kill()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def resident(process: psutil.Process) -> int:
    """The largest resident memory so far, in bytes; where the system keeps no record of it, the present one."""
    try:
        words = Path(f"/proc/{process.pid}/status").read_text().split()
        return 1024 * int(words[words.index("VmHWM:") + 1])
    except (OSError, ValueError):
        return process.memory_info().rss


def machine() -> dict:
    """What ran the notebooks. torch is not imported for its version: that takes seconds."""
    return {"python": platform.python_version(), "torch": metadata.version("torch"), "platform": platform.platform(),
            "cores": cores()}


def write_report(out: Path, results: list[Result], about: dict) -> None:
    """Write out/report.json and out/report.md."""
    report = json.dumps({"machine": about, "results": [asdict(result) for result in results]}, indent=2)
    rows = [[value.replace("|", r"\|") if isinstance(value, str) else value for value in astuple(result)]
            for result in results]
    page = "\n".join([tabulate(rows, HEADINGS, "github"), "", total(results), "",
                      *(f"- {name}: {value}" for name, value in about.items())])
    write_text(out / "report.json", f"{report}\n")
    write_text(out / "report.md", f"{page}\n")


def report_table(results: list[Result]) -> str:
    """The results as aligned columns, and a line with the totals."""
    return f"{tabulate(map(astuple, results), HEADINGS, 'plain', floatfmt='.1f')}\n{total(results)}"


def total(results: list[Result]) -> str:
    passed = sum(result.status == "passed" for result in results)
    seconds, peak = sum(r.seconds for r in results), max((r.peak_mb for r in results), default=0)
    return f"{passed} of {len(results)} passed; {seconds:.1f} s in all; at most {peak} MB in one notebook"
