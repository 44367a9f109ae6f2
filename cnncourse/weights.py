"""Lessons 2 to 7 and 9: weights from one network into another, torchvision's pretrained ones into ours, and those of a
recorded run of the course's own."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from . import pick, replacing
from .models import MODELS
from .runs.checkpoints import for_network
from .runs.record import Record
from .runs.shipped import RECORDS

# The course's networks that torchvision has too, each with its name there. All of them are trained on ImageNet.
TORCHVISION = {"alexnet_owt": "alexnet", "googlenet_bn": "googlenet"} | {name: name for name in (
    "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn",
    "inception_v3", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152")}
FROM_TENSORFLOW = ("googlenet_bn", "inception_v3")  # their files hold auxiliary heads; trained on pixels from -1 to 1


def copy_in_order(source: nn.Module, target: nn.Module) -> nn.Module:
    """Copy parameters and buffers from `source` to `target` in the order of registration; returns `target`. A
    target on the meta device, which holds no numbers, takes the source's own tensors: both share their memory.

    Names may differ, shapes may not: raises ValueError, naming the first tensor at which the networks part, or which
    has no numbers, and copies nothing.
    """
    ours = numbers_of(target, or_on_meta=True)
    without_numbers = any(tensor.is_meta for tensor in ours.values())
    theirs = numbers_of(source, or_on_meta=without_numbers)
    shapes = ([(key, tuple(tensor.shape)) for key, tensor in state.items()] for state in (theirs, ours))
    end = ("nothing", "more")  # where one of the two has fewer tensors
    for i, (a, b) in enumerate(zip_longest(*shapes, fillvalue=end), 1):
        if a[1] != b[1]:
            raise ValueError(f"the networks part at tensor {i}: {a[0]} {a[1]} in the source ({type(source).__name__}), "
                             f"{b[0]} {b[1]} in the target ({type(target).__name__}); build both with the same layers "
                             "and num_classes")
    target.load_state_dict(dict(zip(ours, theirs.values(), strict=True)), assign=without_numbers)
    return target


def pretrained(name: str, progress: bool = True) -> tuple[nn.Module, Callable]:
    """(network, preprocessing): the course's class in eval mode with torchvision's ImageNet weights (IMAGENET1K_V1).

    preprocessing: turns an image (PIL, or uint8 C x H x W or N x C x H x W) into the network's input: resized, its
    centre cut out, normalised. progress: show a bar while the file is downloaded into torch.hub's folder.
    Raises ValueError for a name without such weights or a damaged file, FileNotFoundError where there is no file and
    none can be downloaded.
    """
    from torchvision import models  # costs as much as torch itself

    theirs = pick(TORCHVISION, str(name), "network with pretrained weights")
    weights = models.get_model_weights(theirs).IMAGENET1K_V1
    state = torch.load(fetched(weights.url, progress), weights_only=True)
    options, normalisation = {}, {}
    if name in FROM_TENSORFLOW:
        options, normalisation = {"aux_logits": False, "init_weights": False}, {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    with torch.device("meta"):  # no memory: the tensors of the file take their places
        source = models.get_model(theirs, **options)
    source.load_state_dict({key: state[key] for key in source.state_dict()}, assign=True)  # without auxiliary heads
    return copy_in_order(source, MODELS[name]()).eval(), weights.transforms(**normalisation)


def trained(name: str) -> tuple[nn.Module, Callable, Record]:
    """(network, preprocessing, record): the network as it was after a run that the course ships with its weights.

    network: in eval mode. preprocessing: turns uint8 images, N x C x H x W of the size of the record's `image_shape`,
    into the network's input. record: that of the run, with the names of the classes.
    Raises ValueError where the course ships no weights of such a network.
    """
    files = {record.config["model"]: (path, record) for path in RECORDS.glob("*.npz")
             for record in [Record.load(path.with_suffix(".json"))]}
    if name not in files:
        raise ValueError(f"the course ships no weights of {name} from a run of its own, only of "
                         f"{', '.join(files) or 'no network yet'}: train it, or take pretrained({name!r})")
    path, record = files[name]
    config = record.config
    mean, std = (255 * torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
    net = MODELS[name](**config["options"], num_classes=len(config["classes"]))
    return load_arrays(path, net).eval(), lambda images: (images - mean) / std, record


def numbers_of(net: nn.Module, or_on_meta: bool = False) -> dict[str, Tensor]:
    """The state dict. Raises ValueError where it holds no numbers yet, and for what is no network. or_on_meta: one on
    the meta device is as good."""
    if not isinstance(net, nn.Module):
        raise ValueError(f"the weights are those of an nn.Module, not of a {type(net).__name__}: give the network")
    state = net.state_dict()
    for key, tensor in state.items():
        if is_lazy(tensor) or tensor.is_meta and not or_on_meta:
            raise ValueError(f"{key} of this {type(net).__name__} has no numbers yet: build the network as usual, not "
                             "on PyTorch's meta device, and call one with lazy layers on an image first")
    return state


def save_arrays(net: nn.Module, path: str | Path) -> None:
    """Write the state dict as a file of NumPy arrays, which runs no code when it is read, as a pickle may. NumPy has no
    bfloat16: these numbers are written as float32. Raises ValueError for a network that holds no numbers."""
    arrays = {key: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()
              for key, tensor in numbers_of(net).items()}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)


def load_arrays(path: str | Path, net: nn.Module) -> nn.Module:
    """Put what `save_arrays` wrote into `net`. Raises ValueError for the weights of another network, naming the first
    tensor that differs, for a network on the meta device, and for any other file; then nothing is changed."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            state = {key: torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
                     for key, array in arrays.items()}
    except (ValueError, TypeError, AttributeError, EOFError, IsADirectoryError, zipfile.BadZipFile,
            zlib.error) as error:  # AttributeError: an archive of PyTorch
        raise ValueError(f"{path} is damaged, or holds no weights of this course: get it again") from error
    net.load_state_dict(for_network(net, state, path))
    return net


def fetched(url: str, progress: bool) -> Path:
    """The file of `url` in torch.hub's folder, downloaded if need be. Its name ends in the first digits of its sha256,
    which torch.hub checks after a download only, and this function always."""
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    expected = path.stem.rpartition("-")[2]
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), expected, progress)
        except (OSError, RuntimeError) as error:  # RuntimeError: what came has another sha256
            raise FileNotFoundError(f"{path.name} is not in {path.parent} and could not be downloaded ({error}): "
                                    f"download {url} on another machine and put it there") from error
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(expected):
        raise ValueError(f"{path} is damaged: its sha256 starts with {found[:len(expected)]}, not with {expected} as "
                         "its name says; delete it and try again")
    return path
