#!/usr/bin/env bash
# torch 2.15.0: AveragedModel(net, use_buffers=True) averages a network with batch normalisation, and with
# multi_avg_fn=get_ema_multi_avg_fn(0.9) as well; with multi_avg_fn=get_swa_multi_avg_fn(), PyTorch's own function for
# equal weights, it raises at the second update. One would guess that the two ways to ask for the same average do the
# same. The whole-number counter num_batches_tracked, a buffer of each such layer, is what that function cannot divide.
# Seen: the default and EMA update five times; get_swa_multi_avg_fn raises "Integer division with addcdiv is no longer
# supported" at the second.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn


def updated(**options):
    """How often a copy was updated, what that raised, and the weight of its convolution."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    average = AveragedModel(net, use_buffers=True, **options)
    for step in range(1, 6):
        nn.init.constant_(net[0].weight, step)
        net(torch.ones(2, 1, 4, 4))
        try:
            average.update_parameters(net)
        except RuntimeError as error:
            return int(average.n_averaged), str(error), average.module[0].weight.item()
    return int(average.n_averaged), "", average.module[0].weight.item()


default, ema = updated(), updated(multi_avg_fn=get_ema_multi_avg_fn(0.9))
swa = updated(multi_avg_fn=get_swa_multi_avg_fn())
print("default", default, "EMA", ema, "SWA's function", swa)
assert default == (5, "", 3.0)
assert ema[:2] == (5, "")
assert swa[0] == 1 and swa[1].startswith("Integer division with addcdiv is no longer supported"), swa
PYTHON
