#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93: cv2.dnn resizes by another factor than the ONNX file says where the new size is not a
# whole number: the output has the right shape and other pixels. One would guess that `scales` is the factor, as the
# standard, torch and onnxruntime have it. cv2.dnn takes from `scales` only the output's size, rounds it down, and
# divides sizes to have its factor; a file that states `sizes` is read rightly. torch.onnx.export writes
# nn.Upsample(scale_factor) as `scales`, so that an encoder and decoder that halve and enlarge odd sizes drift apart.
# Seen, rows of 0, 1, 2, 3, 4, linear: halved 0.5, 2.5 in onnx.reference 1.23.2 and onnxruntime 1.32.0, 0.75, 3.25 in
# cv2.dnn; times 1.5, the last of 7 is 3.83 in the two, 4 in cv2.dnn; nearest, times 1.5: 0 0 1 2 2 3 4 in the two, 0 1
# 1 2 3 3 4 in cv2.dnn. Of 4 pixels, and with the size in place of the factor, all are equal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 opencv-python-headless==5.0.0.93 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import cv2
import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def resized(width, factor, mode, by="scales"):
    image = numpy.tile(numpy.arange(width, dtype="float32"), (1, 1, width, 1))
    shape = [1, 1, int(factor * width), int(factor * width)]
    value = numpy.float32([1, 1, factor, factor]) if by == "scales" else numpy.int64(shape)
    names = ["x", "", "scales"] if by == "scales" else ["x", "", "", "sizes"]
    graph = helper.make_graph([helper.make_node("Resize", names, ["y"], mode=mode)], "resize",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, image.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
                              [numpy_helper.from_array(value, by)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    written = model.SerializeToString()
    net = cv2.dnn.readNetFromONNX(numpy.frombuffer(written, "uint8"))
    net.setInput(image)
    found = {"onnx.reference": ReferenceEvaluator(model).run(None, {"x": image})[0][0, 0, 1],
             "onnxruntime": onnxruntime.InferenceSession(written).run(None, {"x": image})[0][0, 0, 1],
             "cv2.dnn": net.forward()[0, 0, 1]}
    for name, pixels in found.items():
        print(f"{width} pixels times {factor}, {mode}, by {by}: {name} {pixels.round(2)}")
    assert numpy.allclose(found["onnx.reference"], found["onnxruntime"], atol=1e-4)
    return found["onnxruntime"], found["cv2.dnn"]


def equal(one, other):
    return numpy.allclose(one, other, atol=1e-4)


runtime, opencv = resized(5, 0.5, "linear")
assert equal(runtime, [0.5, 2.5]) and equal(opencv, [0.75, 3.25])
runtime, opencv = resized(5, 1.5, "linear")
assert equal(runtime[-1], 3.8333) and equal(opencv[-1], 4)
runtime, opencv = resized(5, 1.5, "nearest")
assert equal(runtime, [0, 0, 1, 2, 2, 3, 4]) and equal(opencv, [0, 1, 1, 2, 3, 3, 4])
for width, factor, by in ((4, 0.5, "scales"), (4, 1.5, "scales"), (5, 0.5, "sizes"), (5, 1.5, "sizes")):
    assert equal(*resized(width, factor, "linear", by))
PYTHON
