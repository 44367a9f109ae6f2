#!/usr/bin/env bash
# torchmetrics 1.9.0: multiclass metrics with average="macro" and ignore_index average over the ignored class, too, as
# soon as one picture is predicted as that class. One would guess the mean over the other classes, as scikit-learn has
# it with `labels`, and as it is here while nobody predicts the ignored class. The targets of that class are dropped,
# but a class is left out of the mean only if it has neither targets nor predictions; one false prediction brings it in,
# with a score of 0. The mistake is then counted twice, and of 2 classes a third of the score is lost at once.
# Seen, targets 1 1 2 2, class 0 ignored, predictions 1 1 2 0: accuracy and recall 0.5, F1 0.56, in place of 0.75 and
# 0.83 as in scikit-learn 1.9.1; predictions 1 1 2 1: recall 0.75 in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchmetrics==1.9.0 \
    scikit-learn==1.9.1 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from sklearn.metrics import f1_score, recall_score
from torchmetrics.functional import classification

targets = [1, 1, 2, 2]


def macro(metric, predicted):
    return metric(torch.tensor(predicted), torch.tensor(targets), 3, average="macro", ignore_index=0).item()


def by_sklearn(score, predicted):
    return score(targets, predicted, labels=[1, 2], average="macro")


ignored, other = [1, 1, 2, 0], [1, 1, 2, 1]
found = [macro(metric, ignored) for metric in (classification.multiclass_accuracy, classification.multiclass_recall,
                                               classification.multiclass_f1_score)]
right = [by_sklearn(score, ignored) for score in (recall_score, f1_score)]
print("torchmetrics", found, "scikit-learn", right)
assert torch.allclose(torch.tensor(found), torch.tensor([0.5, 0.5, 5 / 9])), found
assert [round(value, 3) for value in right] == [0.75, 0.833], right
assert macro(classification.multiclass_recall, other) == by_sklearn(recall_score, other) == 0.75
PYTHON
