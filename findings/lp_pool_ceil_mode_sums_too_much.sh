#!/usr/bin/env bash
# torch 2.15.0: nn.LPPool2d(1, 2, ceil_mode=True), documented as sum pooling, gives more than the sum where a window
# hangs over the edge: the mean of what is there times the size of a whole window. One would guess the sum of what is
# there, and that sums over windows that do not overlap add up to the sum of the map. onnx 1.23.2's reference evaluator
# does the same for its operator LpPool, onnxruntime 1.32.0 sums what is there.
# Seen, 5x5 ones, p=1, in the last row of windows: torch and onnx.reference 4, 4, 4; onnxruntime 2, 2, 1. All windows:
# 36 in torch, 25 in onnxruntime.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 onnx==1.23.2 \
    onnxruntime==1.32.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import onnxruntime
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

ones = torch.ones(1, 1, 5, 5)
node = helper.make_node("LpPool", ["x"], ["y"], p=1, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
graph = helper.make_graph([node], "sums", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 5, 5])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 3, 3])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
found = {"torch": torch.nn.LPPool2d(1, 2, ceil_mode=True)(ones).numpy(),
         "onnx.reference": ReferenceEvaluator(model).run(None, {"x": ones.numpy()})[0],
         "onnxruntime": onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": ones.numpy()})[0]}
for name, sums in found.items():
    print(name, "last row", sums[0, 0, -1].tolist(), "all", sums.sum())
    wanted = [2, 2, 1] if name == "onnxruntime" else [4, 4, 4]
    assert sums[0, 0, -1].tolist() == wanted and sums.sum() == (25 if name == "onnxruntime" else 36), sums
PYTHON
