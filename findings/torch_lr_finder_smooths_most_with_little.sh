#!/usr/bin/env bash
# torch-lr-finder 0.2.2: the smaller the smoothing factor of range_test, the more it smooths, down to 0, which smooths
# not at all. One would guess that the default, smooth_f=0.05, smooths lightly, and that 0.01 is nearly 0. The factor is
# the share of the new loss, not that of the old ones: at 0.05 the curve is some 20 steps late, a fifth of the default
# test. The rate where the loss is lowest and the suggested one, where it falls fastest, come out too high, and the
# divergence that ends the test is looked for in the smooth curve, long after the loss has diverged. MONAI 1.6.1 has a
# copy, LearningRateFinder, with the same default. The description says only that 0 turns it off, and an answer in
# https://github.com/davidtvs/pytorch-lr-finder/issues/106 advises more smooth_f where a curve is rough.
# Seen with torch 2.15.0, one weight, loss its square, SGD, which diverges for rates above 1, rates 0.0001 to 10 in 100
# steps; the test ends at, finds the lowest loss at, suggests: smooth_f=0 1.6, 1.1, 0.030; 0.01 7.9, 6.3, 0.11; 0.05
# 7.1, 5.6, 0.067; 0.5 3.9, 3.5, 0.034; 0.95 1.6, 1.2, 0.030.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torch-lr-finder==0.2.2 \
    monai==1.6.1 numpy
MPLBACKEND=Agg TQDM_DISABLE=1 "$folder/venv/bin/python" - <<'PYTHON'
import numpy
import torch
from monai.optimizers import LearningRateFinder
from torch import nn
from torch_lr_finder import LRFinder

loader = torch.utils.data.DataLoader([(torch.ones(1, 1, 1), torch.zeros(1, 1, 1))])


def tested(finder, **smoothing):
    net = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(net.weight)
    test = finder(net, torch.optim.SGD(net.parameters(), 1e-4), nn.MSELoss(), device="cpu")
    test.range_test(loader, end_lr=10, num_iter=100, **smoothing)
    return test


def expected(smoothing):
    weight, losses = 1.0, []
    for rate in numpy.geomspace(1e-4, 10, 100):
        losses.append(smoothing * weight**2 + (1 - smoothing) * losses[-1] if losses else weight**2)
        weight *= 1 - 2 * rate
        if losses[-1] > 5 * min(losses):
            break
    return losses


seen = {0.0: [1.6, 1.1, 0.03], 0.01: [7.9, 6.3, 0.11], 0.05: [7.1, 5.6, 0.067], 0.5: [3.9, 3.5, 0.034],
        0.95: [1.6, 1.2, 0.03]}
for smoothing, figures in seen.items():
    test = tested(LRFinder, smooth_f=smoothing)
    rates, losses = test.history["lr"], test.history["loss"]
    assert numpy.allclose(losses, expected(smoothing or 1.0), rtol=1e-3), smoothing
    found = [float(f"{rate:.2g}") for rate in (rates[-1], rates[numpy.argmin(losses)], test.plot()[1])]
    print(f"smooth_f {smoothing}: ended at {found[0]}, lowest loss at {found[1]}, suggested {found[2]}")
    assert found == figures, (found, figures)
for finder in (LRFinder, LearningRateFinder):
    assert numpy.allclose(tested(finder).history["loss"], expected(0.05), rtol=1e-3), finder
PYTHON
