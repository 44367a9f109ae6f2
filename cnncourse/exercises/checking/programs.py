"""A student's program: called, given a limit of time, read, and cleared up after."""

import ast
import ctypes
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import torch
from torch import nn

SWITCHES = {  # of the whole program: how each is read and set, and what it means that an answer has changed it
    "the gradients": (torch.is_grad_enabled, torch.set_grad_enabled,
                      "no gradients are computed any more in the whole program. `with torch.no_grad():` ends where its "
                      "block ends."),
    "the dtype": (torch.get_default_dtype, torch.set_default_dtype,
                  "new tensors have another type in the whole program."),
    "the seed": (torch.initial_seed, lambda seed: None,  # `judge` keeps the random numbers
                 "all random numbers of the program follow from a seed that you have set. Leave `manual_seed` to "
                 "whoever calls your function."),
    "anomalies": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly,
                  "PyTorch looks for anomalies in the whole program, which makes it slow."),
    "algorithms": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms,
                   "the whole program may use deterministic algorithms alone.")}


def set_back(switches: dict) -> None:
    """Sets those of the whole program that have been changed to what they were."""
    for name, value in switches.items():
        read, write, _ = SWITCHES[name]
        if read() != value:
            write(value)


def called(answer: Callable, names: list[str], arguments: tuple):
    """What an answer returns, which may want its arguments by name."""
    by_name = False
    with suppress(ValueError, TypeError):  # no signature
        by_name = any(p.kind is p.KEYWORD_ONLY for p in inspect.signature(answer).parameters.values())
        inspect.signature(answer).bind(*arguments)
        by_name = False
    return answer(**dict(zip(names, arguments, strict=False))) if by_name else answer(*arguments)


def within(seconds: float | None, call: Callable) -> tuple[str, object]:
    """("value", what the call returned), ("error", what it raised) or ("late", None). On a computer that is busy with
    other things, the seconds are those of this process, and six times as long is waited.

    The call runs in a thread, which is the one way to leave an endless loop on every system. The thread is then ended:
    left alone, it would make every later step of the lesson about three times as slow. The time of an import does not
    count, up to ten minutes: half a module would spoil what the notebook does later.
    """
    found, done = [], threading.Event()  # an interrupted `join` would call the thread ended

    def work():
        try:
            found.append(("value", call()))
        except BaseException as error:  # also a student's sys.exit()
            found.append(("error", error))
        finally:
            done.set()

    thread = threading.Thread(target=work, daemon=True)
    begun, worked = time.monotonic(), time.process_time()
    start = begun
    thread.start()
    late = True
    try:
        while not done.is_set() and (
                seconds is None or time.monotonic() < start + seconds
                or time.process_time() < worked + seconds and time.monotonic() < start + 6 * seconds):
            now, so_far = time.monotonic(), time.process_time()
            done.wait(None if seconds is None else seconds / 20)
            if imports(thread) and now < begun + 600:
                start += time.monotonic() - now
                worked += time.process_time() - so_far
        late = not done.is_set()
    finally:  # also where the stop button of the notebook ends the wait
        for _ in range(20 * (not done.is_set())):  # what runs may catch it: then again, for two seconds
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
            if done.wait(0.1):
                break
    return ("late", None) if late else found[0]


def imports(thread: threading.Thread) -> bool:
    """Whether a thread is importing a module."""
    frames = traceback.walk_stack(sys._current_frames().get(thread.ident))
    return any(frame.f_code.co_filename == "<frozen importlib._bootstrap>" for frame, _ in frames)


def code_of(program: Callable):
    """The code of a function, or of the `forward` (or `__init__`) that a class has of its own."""
    if isinstance(program, type):
        program = vars(program).get("forward") or vars(program).get("__init__")
    return getattr(inspect.unwrap(program) if callable(program) else program, "__code__", None)


def written_alike(answer: Callable, program: Callable) -> bool:
    """Whether two programs are the same, apart from comments and docstrings."""
    def text(part):
        if isinstance(part, type):
            return {name: text(value) for name, value in vars(part).items() if hasattr(value, "__code__")}
        code = getattr(part, "__code__", part)
        doc = getattr(part, "__doc__", None)
        return (code.co_code, code.co_names, code.co_varnames, [text(c) if hasattr(c, "co_code") else repr(c)
                                                                for c in code.co_consts if c is not None and c != doc])

    return callable(answer) and hasattr(code_of(answer), "co_code") and text(answer) == text(program)


def worked_on(answer: Callable) -> bool:
    """Whether a function, or a class, does more than a stub."""
    class Stub(nn.Module):
        def __init__(self):
            super().__init__()

        def forward(self):
            ...

    def longer(part, stub):
        return hasattr(part, "__code__") and len(part.__code__.co_code) > len(stub.__code__.co_code)

    if isinstance(answer, type):
        return longer(getattr(answer, "forward", None), Stub.forward) or longer(answer.__init__, Stub.__init__)
    return longer(answer, Stub.forward)


def source(program: Callable) -> str:
    """The text of a function or class at the top of its file, without decorators."""
    return definitions(program.__module__)[program.__name__]


@cache
def definitions(module: str) -> dict[str, str]:
    """The text of each function and class of a module, parsed once: `inspect.getsource` parses the file each time."""
    text = inspect.getsource(sys.modules[module])
    lines = text.splitlines()
    return {node.name: "\n".join(lines[node.lineno - 1:node.end_lineno]) for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef | ast.ClassDef)}
