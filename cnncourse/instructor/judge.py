"""Judges answers for `grading`, each in a process of its own that begins with PyTorch loaded.

`python -m cnncourse.instructor.judge` reads jobs, one JSON object a line, and writes a verdict, [outcome, message], for
each. It runs nothing of a submission itself: for each answer it forks a child, and ends that child, and all that it has
started, as soon as the verdict is there. The child defines what the answer needs of the submitted notebook, wherever it
stands there, as the student's own check found it. It cannot import the exercises and what it prints goes nowhere. An
answer that searches the interpreter's memory can still find the exercise; such answers do not look like answers.
"""

import __future__

import ast
import asyncio
import ctypes
import dis
import inspect
import json
import linecache
import os
import random
import re
import resource
import secrets
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import CodeType, ModuleType, SimpleNamespace

import psutil
import torch
from IPython.core.inputtransformer2 import TransformerManager

from .. import exercises

SECONDS = 20  # of processor time, for one answer: a machine that is busy with other work takes none of it
PATIENCE = 120  # seconds by the clock: an answer that waits, for input or for a machine, is no wrong answer
LONGEST = 2000  # characters of a message
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign


@dataclass(frozen=True)
class Statement:
    """One at the top of a cell, with the global names that it defines, those whose objects it changes or may change,
    and those that it reads: at once, or when a function is called that it defines."""

    cell: int
    node: ast.stmt
    code: CodeType
    defines: set[str]
    changes: set[str]
    reads: set[str]
    reads_later: set[str]


def statements(cells: list[str], mentions: str) -> tuple[list[Statement], list[BaseException]]:
    """Those of the cells, in order, and why the cells that mention a name and are no Python cannot be read."""
    found, errors, imported, flags = [], [], set(), ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for number, cell in enumerate(cells):
        file = f"<cell {number}>"
        try:
            text = python(cell)
            linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file  # for inspect.getsource
            for node in ast.parse(text, file).body:
                code = compile(ast.Module([node], []), file, "exec", flags, dont_inherit=True)
                flags |= code.co_flags & __future__.annotations.compiler_flag
                bound, reads, later = names(code)
                if isinstance(node, ast.Import | ast.ImportFrom):
                    imported |= bound
                sure = isinstance(node, DEFINITIONS)
                found.append(Statement(number, node, code, bound if sure else set(), set(changed(node, imported)) |
                                       (set() if sure else bound), reads, later))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            errors += [error] if re.search(rf"\b{mentions}\b", cell) else []
    return found, errors


def python(cell: str) -> str:
    """A cell without IPython's own syntax; empty where it is in another language."""
    while begins := re.match(r"\s*%%(\w+).*\n?", cell):
        if begins[1] not in ("time", "capture", "prun"):
            return ""
        cell = cell[begins.end():]
    return TransformerManager().transform_cell(cell)


def names(code: CodeType) -> tuple[set[str], set[str], set[str]]:
    """The global names that code binds, reads at once, and reads in functions."""
    bound, reads, later = set(), set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("STORE_NAME", "DELETE_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"):
            bound.add(step.argval)
        elif step.opname in ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"):
            reads.add(step.argval)
    for inner in (const for const in code.co_consts if isinstance(const, CodeType)):
        _, at_once, in_functions = names(inner)  # a class binds what is its own
        function = inner.co_flags & inspect.CO_OPTIMIZED and not inner.co_name.endswith(("comp>", "genexpr>"))
        later |= in_functions | (at_once if function else set())
        reads |= set() if function else at_once
    return bound, reads, later


def changed(node: ast.stmt, imported: set[str]) -> Iterator[str]:
    """The names whose objects a statement changes: `Block.forward = f`, `WIDTHS[0] = 3`, `WIDTHS.append(3)`; "*" where
    it binds names that are not written. A call of what was imported, such as `torch.manual_seed(0)`, changes none."""
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        yield "*"
    call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    for target in [node.value.func] if call else getattr(node, "targets", [getattr(node, "target", None)]):
        root = target
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if root is not target and isinstance(root, ast.Name) and not (call and root.id in imported):
            yield root.id


def needed(answer: str, offered: list[Statement], check: int) -> list[Statement]:
    """The statements on which an answer rests, in their order, as they stand above the cell of its check, or below it
    what does not stand above."""
    here = sum(statement.cell < check for statement in offered)
    chosen, done, todo = set(), set(), {(answer, here), ("*", here)}

    def touching(name: str, end: int) -> list[int]:
        found = []
        for i in reversed(range(end)):
            statement = offered[i]
            if name == answer and isinstance(statement.node, ast.For | ast.With):
                continue  # the lesson's own loops may use the name
            if name in statement.defines | statement.changes:
                found.append(i)
            if name in statement.defines:
                break
        return found

    while todo:
        name, end = todo.pop()
        done.add((name, end))
        for i in touching(name, end) or touching(name, len(offered)):
            chosen.add(i)
            todo |= {(name, i) for name in offered[i].reads} | {(name, here) for name in offered[i].reads_later}
        todo -= done
    return [offered[i] for i in sorted(chosen)]


def judged(exercise: exercises.Exercise, cells: list[str], check: int) -> tuple[str, str]:
    """(outcome, message) of the answer in a notebook's cells, whose check stands above the cell of this number."""
    name = exercise.function.__name__
    main = sys.modules["__main__"] = ModuleType("__main__")  # as in a notebook, also for pickle
    nothing = SimpleNamespace(run_line_magic=print, run_cell_magic=print, system=print, getoutput=lambda *_: [])
    main.display, main.get_ipython = print, lambda: nothing
    offered, errors = statements(cells, name)
    for statement in needed(name, offered, check):
        try:
            value = eval(statement.code, vars(main))
            if statement.code.co_flags & inspect.CO_COROUTINE:
                asyncio.run(value)
        except BaseException as error:  # the notebook would go on with the next cell
            errors.append(error)
    found = exercise.judge(vars(main).get(name), random.Random())
    if found.outcome == "not attempted" and errors:
        return "wrong", f"Your cell raised {exercises.told(errors[0])}"
    return found.outcome, found.message


def child(exercise: exercises.Exercise, job: dict) -> tuple[str, str]:
    """(outcome, message) of the answer, in a process that has nothing else to do."""
    os.setsid()
    for stream in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # where memory runs out, Linux ends this process before others
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    os.chdir(job["folder"])
    sys.path.insert(0, job["folder"])
    torch.set_num_threads(1)
    exercises.SECONDS = PATIENCE  # the limits above see more than the clock
    for hidden in [name for name in sys.modules if name.startswith("cnncourse.exercises")]:
        sys.modules[hidden] = None  # Python's own way to let an import fail
    del sys.modules["cnncourse"].exercises
    outcome, message = judged(exercise, job["cells"], job["check"])
    if outcome == "not attempted":  # perhaps it stands below its check
        outcome, message = judged(exercise, job["cells"], len(job["cells"]))
    return outcome, message[:LONGEST].encode(errors="replace").decode()


def verdict(job: dict) -> tuple[str, str]:
    """(outcome, message) of a job: "exercise", such as vgg.stack; "cells", the sources of the notebook's code cells;
    "check", how many of them stand above its check; "folder", where it runs. The outcome is "not graded" where nothing
    was found out."""
    module, _, name = job["exercise"].rpartition(".")
    exercise = None
    if module in exercises.LESSONS.values():
        exercise = getattr(import_module(f"cnncourse.exercises.{module}"), name, None)
    if not isinstance(exercise, exercises.Exercise):
        return "not graded", "The installed course has no exercise of this name: grade it by hand."
    token, (reads, writes) = secrets.token_hex(16), os.pipe()
    pid = os.fork()
    if not pid:
        try:
            found = child(exercise, job)
        except BaseException as error:  # what an answer raises does not come here
            found = "not graded", f"The judge failed: {type(error).__name__}: {error}"
        os.write(writes, f"{token}{json.dumps(found)}\n".encode())
        os._exit(0)  # an endless answer would keep its thread
    os.close(writes)
    text, late = b"", False
    try:
        ends = time.monotonic() + PATIENCE
        while not text.endswith(b"\n") and len(text) < 20 * LONGEST:
            late = not select.select([reads], [], [], max(0, ends - time.monotonic()))[0]
            more = b"" if late else os.read(reads, LONGEST)
            if not more:
                break
            text += more
    finally:
        os.close(reads)
        ended_by, used = end(pid)
    if text.startswith(token.encode()) and text.endswith(b"\n"):
        return tuple(json.loads(text.removeprefix(token.encode())))
    if ended_by == signal.SIGXCPU or used >= SECONDS:
        return "wrong", f"There was no answer after {SECONDS} seconds of computing. Is there a loop that never ends?"
    if late:
        return "not graded", (f"There was no answer after {PATIENCE} seconds, in which it computed for {used:.1f}: it "
                              "waits for something, or this machine had too much else to do.")
    if ended_by == signal.SIGKILL:
        return "not graded", "The system ended the program, as it does where memory runs out."
    return "wrong", "The program ended before it gave an answer."


def end(pid: int) -> tuple[int, float]:
    """End a child and all that it has started; returns the signal that ended it, and the seconds that it computed."""
    os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=5)
    return os.WTERMSIG(status), used.ru_utime + used.ru_stime  # the first signal counts, not ours after it


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no verdict
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: what a child leaves behind becomes our child
    torch.optim.SGD([torch.zeros(1)], lr=0.1)  # the first optimizer imports for seconds: not in each child
    for line in sys.stdin:
        print(json.dumps(verdict(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
