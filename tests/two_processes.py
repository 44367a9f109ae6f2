"""Run by torchrun in test_processes.py: some steps with DistributedDataParallel and an evaluation by halves, whose loss
and state it saves."""

import sys

import torch
import torch.nn.functional as F
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from cnncourse.models import MODELS
from cnncourse.train import fit, with_heads


class Headed(nn.Module):
    """A small network with an auxiliary head that `forward` runs when it is asked for, as GoogLeNet's."""

    def __init__(self):
        super().__init__()
        self.auxiliary_heads = 1
        self.trunk, self.aux, self.head = nn.Linear(12, 8), nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x, heads=False):
        x = F.relu(self.trunk(x.flatten(1)))
        return (self.head(x), self.aux(x)) if heads else self.head(x)


def network(kind):
    torch.manual_seed(0)
    return Headed() if kind == "heads" else MODELS["resnet20"](num_classes=3)


def batches(kind, n=3):
    generator = torch.Generator().manual_seed(1)
    shape = (8, 3, 2, 2) if kind == "heads" else (8, 3, 32, 32)
    return [(torch.randn(shape, generator=generator), torch.randint(3, (8,), generator=generator)) for _ in range(n)]


def optimizer_of(net):
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


if __name__ == "__main__":
    kind, path = sys.argv[1:]
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    net = network(kind)
    wrapped = DistributedDataParallel(net)
    share = [(x[rank::2], y[rank::2]) for x, y in batches(kind)]
    row = next(fit(wrapped, share, share, optimizer_of(net), 1, **({"loss": with_heads} if kind == "heads" else {})))
    if rank == 0:
        torch.save(net.state_dict() | {"validation_loss": row["validation_loss"]}, path)
    distributed.destroy_process_group()
