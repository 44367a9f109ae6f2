#!/usr/bin/env bash
# albumentations 2.0.8, the last release of that name: with worker processes, Compose draws the same augmentations in
# every epoch, and each worker draws what its neighbour draws. One would guess new ones for every picture, as without
# workers and as with torchvision's transforms. Compose has a generator of its own in place of Python's and PyTorch's,
# which PyTorch seeds anew in each worker and epoch; a worker gets a copy of it as it was when the epoch began, and what
# the workers drew never comes back. With persistent_workers=True the epochs differ, but the workers still draw alike.
# Seen, 8 equal pictures of random brightness in batches of 2, 2 workers, with and without a seed: batches 1 and 2, and
# 3 and 4, and both epochs are equal; without workers, and with torchvision's ColorJitter, all differ.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    albumentations==2.0.8 numpy
NO_ALBUMENTATIONS_UPDATE=1 "$folder/venv/bin/python" - <<'PYTHON'
import albumentations
import numpy
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2


class Greys:
    """Eight equal pictures, each brightened at random, as the value of their pixels."""

    def __init__(self, change):
        self.change = change

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.change()


def by_albumentations(**options):
    change = albumentations.Compose([albumentations.RandomBrightnessContrast((-0.5, 0.5), 0, p=1)], **options)
    return Greys(lambda: float(change(image=numpy.full((4, 4, 3), 0.5, numpy.float32))["image"][0, 0, 0]))


def by_torchvision():
    change = v2.ColorJitter(brightness=0.5)
    return Greys(lambda: float(change(torch.full((3, 4, 4), 0.5))[0, 0, 0]))


def epochs(data, **options):
    loader = DataLoader(data, batch_size=2, multiprocessing_context="fork" if options else None, **options)
    return [[batch.tolist() for batch in loader] for _ in range(2)]


def values(epochs):
    return len({value for epoch in epochs for batch in epoch for value in batch})


for options in ({}, {"seed": 0}):
    first, second = epochs(by_albumentations(**options), num_workers=2)
    print("2 workers,", options, first)
    assert first == second and first[0] == first[1] and first[2] == first[3] and values([first]) == 4
    assert values(epochs(by_albumentations(**options))) == 16
first, second = epochs(by_albumentations(), num_workers=2, persistent_workers=True)
assert first != second and first[0] == first[1] and second[0] == second[1] and values([first, second]) == 8
assert values(epochs(by_torchvision(), num_workers=2)) == 16
PYTHON
