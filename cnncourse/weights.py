"""Weights from one network into another, and torchvision's pretrained weights into the course's own classes."""

from itertools import zip_longest

from torch import nn


def copy_in_order(source: nn.Module, target: nn.Module) -> nn.Module:
    """Copy parameters and buffers from `source` to `target` in the order of registration; returns `target`.

    Names may differ, shapes may not: raises ValueError, naming the first tensor at which the networks part, and copies
    nothing.
    """
    theirs, ours = source.state_dict(), target.state_dict()
    for i, (a, b) in enumerate(zip_longest(theirs, ours), 1):
        shapes = [f"{name} {tuple(state[name].shape)}" if name else "nothing more"
                  for name, state in ((a, theirs), (b, ours))]
        if a is None or b is None or theirs[a].shape != ours[b].shape:
            raise ValueError(f"{type(source).__name__} and {type(target).__name__} part at tensor {i}: the first has "
                             f"{shapes[0]}, the second {shapes[1]}")
    target.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    return target
