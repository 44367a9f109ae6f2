#!/usr/bin/env bash
# transformers 5.24.0, accelerate 1.15.0: with gradient_accumulation_steps=4, Trainer trains many image classifiers with
# four times the gradient, and reports four times the loss. One would guess the mean over the batches, so that 4 batches
# of 2 pictures are the step of one batch of 8. A network whose forward takes **kwargs is taken for one that divides its
# loss itself; ResNet, MobileNetV2, RegNet, BEiT and others take **kwargs for other reasons and do not pass them to
# their loss, so that nobody divides. ViT and Swin pass them on; ConvNeXt says that it does not.
# https://github.com/huggingface/transformers/issues/47688 describes it.
# Seen with torch 2.15.0, SGD, 8 copies of one picture, one step, accumulated in 4 parts compared with one batch of 8:
# loss and step of ResNet, MobileNetV2, RegNet and BEiT 4.0 times as large; of ViT, Swin, ConvNeXt 1.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    transformers==5.24.0 accelerate==1.15.0 numpy
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - "$folder/runs" <<'PYTHON'
import copy
import sys

import torch
import transformers

small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
         "patch_size": 8, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
networks = {"ResNet": {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1], "layer_type": "basic"},
            "MobileNetV2": {"depth_multiplier": 0.1, "classifier_dropout_prob": 0.0},
            "RegNet": {"embedding_size": 8, "hidden_sizes": [8] * 4, "depths": [1] * 4, "groups_width": 4},
            "Beit": small | {"drop_path_rate": 0.0},
            "ViT": small,
            "Swin": {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4, "drop_path_rate": 0.0},
            "ConvNext": {"hidden_sizes": [8, 8], "depths": [1, 1], "num_stages": 2}}
torch.manual_seed(0)
picture = torch.randn(3, 32, 32)


def step(start, batch_size, parts):
    net = copy.deepcopy(start)
    arguments = transformers.TrainingArguments(
        sys.argv[1], per_device_train_batch_size=batch_size, gradient_accumulation_steps=parts, num_train_epochs=1,
        learning_rate=0.01, optim="sgd", lr_scheduler_type="constant", max_grad_norm=0, use_cpu=True,
        report_to="none", save_strategy="no", logging_strategy="no", disable_tqdm=True)
    copies = [{"pixel_values": picture, "labels": torch.tensor(1)}] * 8
    result = transformers.Trainer(net, arguments, train_dataset=copies).train()
    assert result.global_step == 1
    bias, before = [*net.parameters()][-1], [*start.parameters()][-1]
    return result.training_loss, (bias - before).norm().item()


for name, settings in networks.items():
    config = getattr(transformers, f"{name}Config")(num_labels=3, image_size=32, **settings)
    start = getattr(transformers, f"{name}ForImageClassification")(config)
    one, accumulated = step(start, 8, 1), step(start, 2, 4)
    ratios = [round(more / less, 1) for more, less in zip(accumulated, one)]
    print(name, "loss and step, accumulated to one batch:", ratios)
    assert ratios == ([1.0, 1.0] if name in ("ViT", "Swin", "ConvNext") else [4.0, 4.0]), (name, ratios)
PYTHON
