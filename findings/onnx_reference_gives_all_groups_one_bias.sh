#!/usr/bin/env bash
# onnx 1.23.2: onnx.reference computes a depthwise ConvTranspose (group equal to the number of channels, as in learned
# enlargement) with the bias of the first channel in all channels. One would guess that the reference evaluator shows
# what the standard means, above all if it disagrees with a runtime. It calls itself for each group with that group's
# weights, but with the whole bias, of which a call with one channel takes the first number. No error says so; without a
# bias, with group=1, or in Conv, it is right.
# Seen, maps of zeros with the biases 1, 2, 3: 1, 2, 3 in onnxruntime 1.32.0, 1, 1, 1 in onnx.reference.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

rng = numpy.random.default_rng(0)
maps, bias = rng.standard_normal((1, 3, 2, 2)).astype("float32"), numpy.float32([1, 2, 3])


def both(operator, group, x, names):
    weights = numpy.random.default_rng(1).standard_normal((3, 3 // group, 2, 2)).astype("float32")
    constants = [numpy_helper.from_array(one, name) for one, name in ((weights, "w"), (bias, "b")) if name in names]
    node = helper.make_node(operator, ["x", *names], ["y"], group=group, strides=[2, 2])
    graph = helper.make_graph([node], operator, [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return (ReferenceEvaluator(model).run(None, {"x": x})[0],
            onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0])


reference, runtime = both("ConvTranspose", 3, 0 * maps, ["w", "b"])
print("maps of zeros, onnx.reference:", reference[0, :, 0, 0], "onnxruntime:", runtime[0, :, 0, 0])
assert (reference == 1).all() and (runtime == bias[:, None, None]).all()
for operator, group, names in (("ConvTranspose", 3, ["w"]), ("ConvTranspose", 1, ["w", "b"]), ("Conv", 3, ["w", "b"])):
    reference, runtime = both(operator, group, maps, names)
    print(operator, "group", group, *names, "largest difference:", abs(reference - runtime).max())
    assert numpy.allclose(reference, runtime, atol=1e-6)
PYTHON
