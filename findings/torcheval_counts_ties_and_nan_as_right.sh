#!/usr/bin/env bash
# torcheval 0.0.7: with k of 2 or more, multiclass_accuracy (and MulticlassAccuracy, hit_rate) finds a network perfect
# that gives all classes the same score, or NaN. One would guess k of 10 classes right, 0.2 for k=2, as torchmetrics and
# scikit-learn say, and little or nothing for NaN. It takes no k best classes: a picture is right if fewer than k scores
# are greater than its own class's, and of scores that are equal, or NaN, none is greater. With k=1 it takes argmax, so
# that the same network has 0.1 there. A classifier that starts at zero, as in fine-tuning, has 1.0 before the first
# step; one that diverged ends at 1.0; and one that is always sure of a false class gains from probabilities in half
# precision, since those of all other classes, too small for it, are zeros that tie.
# Seen with torch 2.15.0, 100 pictures, 10 classes, k=2: zero weights 1.0, torchmetrics 1.9.0 and scikit-learn 1.9.1
# 0.2; NaN 1.0, torchmetrics 0.2; logits of a network that is sure and wrong 0.0, its probabilities in float32 0.0, in
# float16 1.0, torchmetrics 0.0, scikit-learn 0.2. Random scores without ties: all agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torcheval==0.0.7 \
    torchmetrics==1.9.0 scikit-learn==1.9.1 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from sklearn.metrics import top_k_accuracy_score
from torcheval.metrics import MulticlassAccuracy
from torcheval.metrics.functional import hit_rate, multiclass_accuracy
from torchmetrics.functional.classification import multiclass_accuracy as other_accuracy

torch.manual_seed(0)
labels = torch.arange(100) % 10


def accuracies(name, scores, by_sklearn=True):
    scores = scores.detach()
    found = {"torcheval": multiclass_accuracy(scores, labels, k=2).item(),
             "torchmetrics": other_accuracy(scores.float(), labels, 10, average="micro", top_k=2).item()}
    if by_sklearn:
        found["scikit-learn"] = top_k_accuracy_score(labels, scores.float(), k=2, labels=range(10))
    print(f"{name}:", {key: round(value, 4) for key, value in found.items()})
    assert MulticlassAccuracy(k=2).update(scores, labels).compute().item() == found["torcheval"]
    assert hit_rate(scores, labels, k=2).mean().item() == found["torcheval"]
    return [round(value, 4) for value in found.values()]


pictures, head = torch.rand(100, 64), torch.nn.Linear(64, 10)
torch.nn.init.zeros_(head.weight)
torch.nn.init.zeros_(head.bias)
assert accuracies("zero weights", head(pictures)) == [1.0, 0.2, 0.2]
assert round(multiclass_accuracy(head(pictures).detach(), labels).item(), 4) == 0.1
assert accuracies("NaN", head(pictures) * float("nan"), by_sklearn=False) == [1.0, 0.2]
logits = torch.randn(100, 10)
expected = (logits.argsort(1, descending=True)[:, :2] == labels[:, None]).any(1).float().mean().item()
assert accuracies("random", logits) == [round(expected, 4)] * 3
wrong = -30 + torch.rand(100, 10) - torch.nn.functional.one_hot(labels, 10)
wrong[torch.arange(100), (labels + 1) % 10] = 0
assert accuracies("sure and wrong, logits", wrong) == accuracies("float32", wrong.softmax(1)) == [0.0] * 3
found, *others = accuracies("float16", wrong.softmax(1).half())
assert found == 1.0 and max(others) < 0.5, (found, others)
PYTHON
