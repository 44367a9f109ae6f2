"""Reads facts.toml, the numbers that the networks must reproduce."""

import tomllib
from inspect import signature
from pathlib import Path

import torch

from cnncourse.models import MODELS, resnet

FACTS = tomllib.loads((Path(__file__).parent / "facts.toml").read_text())
WITH_HEADS = [name for name, factory in MODELS.items() if "heads" in signature(factory).parameters]
SHORTCUTS = {"A": resnet.zero_padding, "B": resnet.projection, "C": resnet.projection_always}


def build(name, shortcut=None, **options):
    """A network that knows shapes but holds no numbers."""
    if shortcut:
        options["shortcut"] = SHORTCUTS[shortcut]
    with torch.device("meta"):
        return MODELS[name](**options)


def all_of(net, kind):
    return [layer for layer in net.modules() if isinstance(layer, kind)]


def label(row):
    return row["model"] + "".join(f"-{k}={v}" for k, v in row.get("options", {}).items())
