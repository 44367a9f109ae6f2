#!/usr/bin/env bash
# onnxoptimizer 0.4.2: optimize, by default, turns Pad with zeros and a pooling after it into one pooling with `pads`,
# and in three cases into another function. One would guess that what is on by default keeps the numbers, as
# onnxruntime's fusion of such pairs does. MaxPool skips its own padding as if it were -inf, so that zeros around
# negative values win no more; at the start of Keras' ResNet50V2 such a pair stands behind a convolution without ReLU.
# AveragePool with `pads` and without count_include_pad gets count_include_pad=1, so that its own padding counts, too.
# And with auto_pad the pads that are moved there are ignored, and the size changes. onnxsim 0.8.1 has its own copy of
# this pass and is right. https://github.com/onnx/optimizer/pull/318 and https://github.com/onnxsim/onnxsim/issues/290
# describe the first case. Seen, 6x6, a margin of zeros, 3x3, stride 2: MaxPool of -1, first row 0, 0, 0 in
# onnx.reference 1.23.2, onnxruntime 1.32.0 and NumPy, -1, -1, -1 after optimize; AveragePool of 1 with pads 1, corner
# 1/4, then 1/9; AveragePool with auto_pad SAME_UPPER 4x4, then 3x3. Otherwise equal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 onnxoptimizer==0.4.2 \
    onnxsim==0.8.1 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
import onnx
import onnxoptimizer
import onnxruntime
import onnxsim
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def run(model, image, level="DISABLE"):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_{level}_ALL")
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": image})[0][0, 0]


def pooled(pool, pixel, **settings):
    image = numpy.full((1, 1, 6, 6), pixel, "float32")
    nodes = [helper.make_node("Pad", ["x", "margin", "zero"], ["padded"]),
             helper.make_node(pool, ["padded"], ["y"], kernel_shape=[3, 3], strides=[2, 2], **settings)]
    graph = helper.make_graph(nodes, "pooling", [helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, "h", "w"])],
                              [numpy_helper.from_array(numpy.int64([0, 0, 1, 1, 0, 0, 1, 1]), "margin"),
                               numpy_helper.from_array(numpy.float32(0), "zero")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    new, simplified = onnxoptimizer.optimize(model), onnxsim.simplify(model)[0]
    for one in (model, new, simplified):
        onnx.checker.check_model(one, full_check=True)
    before, after = run(model, image), run(new, image)
    others = run(model, image, "ENABLE"), run(simplified, image), ReferenceEvaluator(model).run(None, {"x": image})[0]
    assert all(numpy.allclose(before, other) for other in others), others
    print(pool, settings, before.shape, before[0], "optimized:", [node.op_type for node in new.graph.node], after[0])
    return before, after


before, after = pooled("MaxPool", -1)
windows = numpy.lib.stride_tricks.sliding_window_view(numpy.pad(-numpy.ones((6, 6)), 1), (3, 3))[::2, ::2]
assert (before == windows.max((2, 3))).all() and (before[0] == 0).all() and (after == -1).all()
before, after = pooled("AveragePool", 1, pads=[1, 1, 1, 1])
assert before[0, 0] == 1 / 4 and abs(after[0, 0] - 1 / 9) < 1e-6 and before.shape == after.shape == (4, 4)
assert [found.shape for found in pooled("AveragePool", 1, auto_pad="SAME_UPPER")] == [(4, 4), (3, 3)]
assert numpy.allclose(*pooled("AveragePool", 1))
PYTHON
