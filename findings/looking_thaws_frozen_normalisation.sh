#!/usr/bin/env bash
# torchvision 0.29.2, tensorboard 2.21.0 below torch 2.15.0, thop 0.1.1.post2209072238: functions that only look at a
# network put its frozen normalisation back into training mode. One would guess that get_graph_node_names, which returns
# names, SummaryWriter.add_graph, which draws, and thop.profile, which counts, leave a network as it was. They remember
# the mode of the outermost module alone, switch everything, and at the end set everything to that mode: layers that
# were in eval() inside a network that trains, as in fine-tuning with frozen averages, train from then on, and the next
# batch moves their averages. Others set each layer back, or switch nothing; ptflops 0.7.5 leaves all in evaluation
# mode, so that dropout stays off in the training that goes on.
# Seen, a frozen layer after the look: training and moved by the next batch with the three; as before with fvcore
# 0.1.5.post20221221, torch.fx.symbolic_trace and torch.export.export.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" torch==2.15.0 torchvision==0.29.2 \
    tensorboard==2.21.0 thop==0.1.1.post2209072238 ptflops==0.7.5 fvcore==0.1.5.post20221221 setuptools numpy
cd "$folder"
venv/bin/python - <<'PYTHON'
import torch
from fvcore.nn import FlopCountAnalysis
from ptflops import get_model_complexity_info
from thop import profile
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from torchvision.models.feature_extraction import get_graph_node_names

torch.manual_seed(0)
images = torch.randn(4, 3, 8, 8)


def drawn(net):
    with SummaryWriter("runs") as writer:
        writer.add_graph(net, images)


looks = {"get_graph_node_names": get_graph_node_names, "add_graph": drawn,
         "thop": lambda net: profile(net, (images,), verbose=False),
         "ptflops": lambda net: get_model_complexity_info(net, (3, 8, 8), print_per_layer_stat=False),
         "fvcore": lambda net: FlopCountAnalysis(net, images).unsupported_ops_warnings(False).total(),
         "symbolic_trace": torch.fx.symbolic_trace, "export": lambda net: torch.export.export(net, (images,))}
for name, look in looks.items():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
    net[1].eval()
    look(net)
    before = net[1].running_mean.clone()
    assert torch.equal(before, torch.zeros(4))
    net(images)
    seen = net.training, net[1].training, net[3].training, not torch.equal(net[1].running_mean, before)
    print(name, "network, frozen layer and dropout in training mode, averages moved:", seen)
    if name in ("get_graph_node_names", "add_graph", "thop"):
        assert seen == (True, True, True, True), seen
    elif name == "ptflops":
        assert seen == (False, False, False, False), seen
    else:
        assert seen == (True, False, True, False), seen
PYTHON
