"""Where and how the steps of a training are computed."""

import os
import platform
import warnings
from dataclasses import asdict, dataclass, replace
from functools import cache

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Speed:
    """What changes the time of a training and not its curve, rounding apart. `cnncourse bench steps` measures the
    switches; the defaults are the fastest that hold on every processor and on Nvidia's GPUs.

    device: "cpu", "cuda" or "mps", or a torch.device; by default that of `device_at_hand`. workers: processes that
    decode photographs. channels_last: store images as N x H x W x C, as convolutions want them; a network that cannot
    compute so, for example because of a view, is trained without. fused: one call updates all weights.
    autocast: convolutions in bfloat16 (new GPUs and some processors). compile: torch.compile, with a slow start.
    """

    device: str | torch.device | None = None
    workers: int = 0
    channels_last: bool = True
    fused: bool = True
    autocast: bool = False
    compile: bool = False

    def on(self, device: str) -> "Speed":
        """The same on `device`, without switches that are not proven there. On Apple's GPUs the backward pass of
        pooling and batch normalisation in channels_last ends the program or gives false gradients (PyTorch's issues
        175190 and 175189). Raises ValueError where there is no such device."""
        try:
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"PyTorch cannot compute on the device '{device}' here: choose from "
                             f"{', '.join(devices())}") from error
        proven = torch.device(device).type in ("cpu", "cuda")
        if self.autocast and proven and not computes_in_bfloat16(device):
            warnings.warn("this processor or GPU does not compute in bfloat16: a step in it takes longer than one in "
                          "float32, so leave autocast out", stacklevel=2)
        return replace(self, device=device, **{} if proven else {"channels_last": False, "fused": False})

    @classmethod
    def for_hours(cls, device: str, workers: int = 0) -> "Speed":
        """What pays in a training of many minutes: torch.compile everywhere, and bfloat16 where the device computes in
        it. Its rounding changes a curve as another seed does: the course's runs in both end equally well."""
        return cls(device, workers, autocast=computes_in_bfloat16(device), compile=True)

    @property
    def switches(self) -> dict[str, bool]:
        return {name: value for name, value in asdict(self).items() if name not in ("device", "workers")}

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


def computes_in_bfloat16(device: str) -> bool:
    """Whether products of bfloat16 have instructions of their own there; else each is rounded by hand."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}  # newer than 2.6
    return torch.device(device).type == "cpu" and any("bf16" in name and has for name, has in known.items())


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


def processor_or_gpu(device: str) -> dict[str, int | str]:
    """What of the machine a training uses: threads of the processor, and the name of a GPU."""
    gpu = {"gpu": torch.cuda.get_device_name(device)} if torch.device(device).type == "cuda" else {}
    return {"threads": torch.get_num_threads()} | gpu


def memory(device: str) -> dict[str, int]:
    """Bytes that this process, and its part of a GPU, have held at most."""
    found = {"peak_memory": peak_memory()}
    if torch.device(device).type == "cuda":
        found["peak_device_memory"] = torch.cuda.max_memory_allocated()
    return found


def peak_memory() -> int | None:
    """Bytes of memory that this process has held at most; None where the system does not say (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)


def random_numbers() -> dict[str, Tensor]:
    """The state of the random numbers that are drawn from now on, of each kind of device that is in use."""
    return {"cpu": torch.get_rng_state()} | (
        {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {}) | (
        {"mps": torch.mps.get_rng_state()} if torch.backends.mps.is_available() else {})


def set_random_numbers(state: dict[str, Tensor]) -> None:
    if "cpu" in state:
        torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
