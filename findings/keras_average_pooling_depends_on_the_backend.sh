#!/usr/bin/env bash
# keras 3.15.1: AveragePooling2D(3, strides=2, padding="same") gives other numbers at the lower and right edge with the
# torch backend than with jax, so that weights trained with one backend meet another network in the other. One would
# guess that a layer computes the same everywhere, and that the padding is left out of the mean, as it is with jax. With
# torch it is left out, too, where both sides are padded alike; where "same" needs one more row below than above, keras
# pads by hand, for poolings with copies of the edge (mode "replicate", which is harmless for a maximum), and torch then
# counts the copies as pixels. Sizes of an odd number of pixels are equal, even ones are not.
# Seen with torch 2.15.0 and jax 0.10.2, a row that ends in a 12 after zeros: 3 or 5 wide, 6 in both; 4 wide, 8 with
# torch, 6 with jax.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" keras==3.15.1 torch==2.15.0 \
    jax==0.10.2 numpy
cat > "$folder/last.py" <<'PYTHON'
import keras
import numpy

pool = keras.layers.AveragePooling2D(3, strides=2, padding="same")
found = []
for width in (3, 4, 5):
    image = numpy.zeros((1, width, width, 1), "float32")
    image[:, :, -1] = 12
    found.append(round(float(keras.ops.convert_to_numpy(pool(image))[0, 0, -1, 0]), 4))
print(*found)
PYTHON
for backend in torch jax; do
    found=$(cd "$folder" && KERAS_HOME="$folder" KERAS_BACKEND=$backend venv/bin/python last.py)
    echo "$backend: last mean of rows 3, 4 and 5 wide: $found"
    if [ $backend = torch ]; then wanted="6.0 8.0 6.0"; else wanted="6.0 6.0 6.0"; fi
    test "$found" = "$wanted"
done
