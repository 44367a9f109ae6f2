"""Several processes that train one network together, as torchrun starts them. Alone, all of this does nothing."""

import atexit
import os
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


def join_others(device: str) -> tuple[int, int, str]:
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


def first_alone(load: Callable[[], T]) -> T:
    """What `load` returns, called by the first process of each machine before the others: it downloads what is
    missing, and they find it."""
    later = distributed.is_initialized() and int(os.environ["LOCAL_RANK"]) > 0
    if later:
        distributed.barrier()
    loaded = load()
    if distributed.is_initialized() and not later:
        distributed.barrier()
    return loaded


def shared(model: nn.Module) -> nn.Module:
    """The network whose gradients, and whose statistics on GPUs, are those of all processes' images."""
    if not distributed.is_initialized():
        return model
    if next(model.parameters()).device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return DistributedDataParallel(model)


def for_evaluation(model: nn.Module) -> nn.Module:
    """The network without the exchange of gradients, in all processes with the buffers of the first: each has seen
    other images."""
    alone = model.module if isinstance(model, DistributedDataParallel) else model
    if distributed.is_initialized():
        for buffer in alone.buffers():
            distributed.broadcast(buffer, 0)
    return alone


def summed(numbers: list[float]) -> list[float]:
    """The sum of each number over all processes."""
    if not distributed.is_initialized():
        return numbers
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"  # Apple's GPUs have no float64
    sums = torch.tensor(numbers, dtype=torch.float64, device=device)
    distributed.all_reduce(sums)
    return sums.tolist()


class Seeded:
    """Batches before whose every epoch a process sets its own random numbers: dropout draws other units for other
    images, and a resumed training the same ones, although the checkpoint holds those of the first process alone."""

    def __init__(self, batches, seed: int, rank: int):
        self.batches, self.seed, self.rank = batches, seed, rank

    def __iter__(self):
        torch.manual_seed(1_000_003 * self.seed + 1_009 * self.rank + self.batches.epoch)
        return iter(self.batches)
