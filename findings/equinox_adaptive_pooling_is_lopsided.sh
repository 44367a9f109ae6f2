#!/usr/bin/env bash
# equinox 0.13.8: nn.AdaptiveAvgPool1d, 2d and 3d and the Max ones use other windows than PyTorch's layers of the same
# names: where the size is not a multiple of the target, the first windows are one pixel larger, and none overlap. One
# would guess PyTorch's windows, which are mirrored in the middle, so that the pooling of a mirrored picture is the
# mirrored pooling; here it is not, and weights that were carried over from PyTorch meet other features. The layers'
# documentation says only "downsampling using average for the target shape". The code cuts the row in two and gives the
# remainder of the division to the head.
# Seen with jax 0.10.2, the row 0, 1, 2, 3, 4 to 3: 0.5, 2.5, 4 in equinox, 0.5, 2, 3.5 by PyTorch's rule (from
# floor(i*5/3) to ceil((i+1)*5/3)); mirrored before or after the pooling: different in equinox, equal by that rule; 6 to
# 3: equal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet equinox==0.13.8 jax==0.10.2 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import equinox
import numpy

pool = equinox.nn.AdaptiveAvgPool1d(3)


def by_equinox(row):
    return numpy.asarray(pool(row[None]))[0]


def by_rule(row):
    size = len(row)
    return numpy.float32([row[i * size // 3:-((i + 1) * size // -3)].mean() for i in range(3)])


five, six = numpy.arange(5, dtype="float32"), numpy.arange(6, dtype="float32")
for pooled in (by_equinox, by_rule):
    print(pooled.__name__, "row", pooled(five), "mirrored before", pooled(five[::-1]), "and after", pooled(five)[::-1])
assert numpy.allclose(by_equinox(five), [0.5, 2.5, 4]) and numpy.allclose(by_rule(five), [0.5, 2, 3.5])
assert not numpy.allclose(by_equinox(five[::-1]), by_equinox(five)[::-1])
assert numpy.allclose(by_rule(five[::-1]), by_rule(five)[::-1])
assert numpy.allclose(by_equinox(six), by_rule(six))
square = numpy.asarray(equinox.nn.AdaptiveAvgPool2d(3)(numpy.tile(five, (1, 5, 1))))[0]
print("2d:", square[0])
assert numpy.allclose(square, [0.5, 2.5, 4])
PYTHON
