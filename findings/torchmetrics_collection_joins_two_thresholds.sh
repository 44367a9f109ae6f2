#!/usr/bin/env bash
# torchmetrics 1.9.0: a MetricCollection with two BinaryAccuracy of different thresholds reports one figure for both,
# for ever, if the two agree on the first batch. One would guess that each metric counts with its own arguments. But by
# default the collection compares the states of its metrics after the first update, whatever their arguments, joins
# those that are equal into a "compute group", and from then on updates one of each group, the first by the alphabet.
# Two metrics of one class that differ in threshold or ignore_index are equal as long as no prediction falls between
# the thresholds and no label is ignored, so that the figures depend on the order of the batches.
# Seen, thresholds 0.5 and 0.9: 1.0 and 1.0 in place of 1.0 and 0.625; with the batches in reverse, or with
# compute_groups=False, 1.0 and 0.625. With ignore_index=0, the first batch without that class: 0.5 in place of 0.75.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchmetrics==1.9.0 numpy
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAccuracy, MulticlassAccuracy

batches = [(torch.tensor([0.99, 0.01, 0.95, 0.02]), torch.tensor([1, 0, 1, 0])),
           (torch.tensor([0.6, 0.7, 0.8, 0.2]), torch.tensor([1, 1, 1, 0]))]
labels = [(torch.tensor([1, 2]), torch.tensor([1, 1])), (torch.tensor([1, 2, 1, 2]), torch.tensor([1, 2, 0, 0]))]


def thresholds():
    return {"low": BinaryAccuracy(threshold=0.5), "strict": BinaryAccuracy(threshold=0.9)}


def classes():
    return {"all": MulticlassAccuracy(3, average="micro"),
            "without 0": MulticlassAccuracy(3, average="micro", ignore_index=0)}


def found(metrics, batches, **options):
    collection = MetricCollection(metrics, **options)
    for predictions, targets in batches:
        collection.update(predictions, targets)
    return {name: round(float(value), 4) for name, value in collection.compute().items()}


right, joined = {"low": 1.0, "strict": 0.625}, found(thresholds(), batches)
print("thresholds:", joined, "apart:", found(thresholds(), batches, compute_groups=False))
assert joined == {"low": 1.0, "strict": 1.0}, joined
assert found(thresholds(), batches[::-1]) == found(thresholds(), batches, compute_groups=False) == right
joined, apart = found(classes(), labels), found(classes(), labels, compute_groups=False)
print("ignore_index:", joined, "apart:", apart)
assert joined == {"all": 0.5, "without 0": 0.5} and apart == {"all": 0.5, "without 0": 0.75}, (joined, apart)
PYTHON
