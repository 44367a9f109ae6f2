#!/usr/bin/env bash
# onnx 1.23.2: onnx.version_converter turns a Softmax over the channels of a map (axis=1, as a segmentation network
# ends) from opset 13 or later into another one at opset 12: it divides by the sum over channels, rows and columns at
# once, and the checker is content. One would guess that a conversion that says nothing keeps the numbers. Until opset
# 12 Softmax flattened all axes from `axis` on; the adapter down only makes `axis` positive, where the way up from 12 to
# 13 writes Flatten, Softmax and Reshape and is right. Hardmax has no adapter of its own up, and is wrong there; Resize
# from opset 10 up gets the defaults of opset 11 (half_pixel, and other rounding) in place of the only rule that opset
# 10 knew.
# Seen with onnxruntime 1.32.0, a map of 1x4x7x6: sum over channels at a pixel, 13: 1, at opset 12: 1/42 on average;
# largest of Softmax 12 -> 13: equal; ones in Hardmax at 12: 1, at 13: 42; a row 0 1 enlarged by 2 with linear Resize:
# 0, 0.5, 1, 1 at opset 10, 0, 0.25, 0.75, 1 at 11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, version_converter

maps = numpy.random.default_rng(0).standard_normal((1, 4, 7, 6)).astype("float32")


def before_and_after(operator, old, new, x=maps, scales=None, **attributes):
    names = ["x"] if scales is None else ["x", "scales"]
    constants = [] if scales is None else [numpy_helper.from_array(numpy.float32(scales), "scales")]
    graph = helper.make_graph([helper.make_node(operator, names, ["y"], **attributes)], operator,
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", old)], ir_version=7)
    converted = version_converter.convert_version(model, new)
    assert converted.opset_import[0].version == new
    for one in (model, converted):
        onnx.checker.check_model(one, full_check=True)
        yield onnxruntime.InferenceSession(one.SerializeToString()).run(None, {"x": x})[0]


down = [found.sum(1) for found in before_and_after("Softmax", 13, 12, axis=1)]
print("Softmax 13 -> 12, sum over channels:", [float(sums.mean()) for sums in down])
assert numpy.allclose(down[0], 1) and numpy.allclose(down[1].sum(), 1) and down[1].max() < 0.5
old, new = before_and_after("Softmax", 12, 13, axis=1)
print("Softmax 12 -> 13, largest difference:", abs(old - new).max())
assert numpy.allclose(old, new)
ones = [int(found.sum()) for found in before_and_after("Hardmax", 12, 13, axis=1)]
print("Hardmax 12 -> 13, ones:", ones)
assert ones == [1, 42], ones
rows = [found.ravel().tolist() for found in
        before_and_after("Resize", 10, 11, numpy.float32([[[[0, 1]]]]), scales=[1, 1, 1, 2], mode="linear")]
print("Resize 10 -> 11:", rows)
assert rows == [[0, 0.5, 1, 1], [0, 0.25, 0.75, 1]], rows
PYTHON
