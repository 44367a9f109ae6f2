"""The page "Networks in other tools": what is quick is tried again here, on a network of each kind."""


import pytest
import torch
from conftest import from_book
from facts import WITH_HEADS, build
from torch import nn

from cnncourse.models import MODELS

TOOLS = from_book("tools")
NETWORKS = ("lenet5", "lenet5_1998", "mnist_cnn", "alexnet_small", "vgg11_small", "googlenet_small", "resnet20",
            "plain20")
NEEDS = {"onnx": ("onnxruntime", "onnxscript"), "safetensors": ("safetensors",)}
SLOW = ("onnx", "compiled")
built = {}


def try_again(name: str, tool: str) -> None:
    for package in NEEDS.get(tool, ()):
        pytest.importorskip(package)
    if name not in built:
        built[name] = TOOLS["built"](name)
    failure = TOOLS["outcome"](tool, *built[name])
    assert bool(failure) == bool(TOOLS["RESULT"]["outcomes"][name][tool]), failure


@pytest.mark.filterwarnings("ignore::UserWarning")  # captum tells of its hooks
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("tool", [tool for tool in TOOLS["TOOLS"] if tool not in SLOW])
def test_a_tool_does_what_the_page_says(tool, name):
    try_again(name, tool)


@pytest.mark.soak
@pytest.mark.parametrize("name, tool", [("lenet5", "onnx"), ("alexnet_small", "onnx"), ("lenet5", "compiled")])
def test_a_slow_tool_does_what_the_page_says(tool, name):
    try_again(name, tool)


@pytest.mark.parametrize("name", WITH_HEADS)
def test_networks_with_heads_are_recorded_by_fx_and_refuse_slices(name):
    net = build(name, heads=True).eval()
    torch.fx.symbolic_trace(net)
    with pytest.raises(TypeError, match="heads beside its stages.*heads=False"):
        net[:-1]


def test_every_kind_of_slice_shares_its_layers_and_keeps_its_names():
    net = MODELS["resnet20"]()
    assert list(net[1:4].state_dict()) == [key for key in net.state_dict() if key.startswith("conv") and key[4] != "1"]
    assert net[:1].conv1 is net.conv1 is net[0] and net[-1] is net.head
    assert list(dict(net[::2].named_children())) == ["conv1", "conv3_x", "head"]
    assert type(net[:0]) is nn.Sequential and net[:-1](torch.zeros(2, 3, 8, 8)).shape == (2, 64, 2, 2)


def test_images_that_come_in_another_way_are_left_to_the_network():
    net = MODELS["lenet5"]()
    twice = torch.zeros(2, 1, 28, 28)
    net.register_forward_pre_hook(lambda _, inputs: inputs[0])  # as captum's DeepLift: a tuple comes, a tensor goes on
    assert net((twice,)).shape == (2, 10)
    with pytest.raises(ValueError, match="at least 28"):
        net(torch.zeros(1, 1, 8, 8))


def test_the_page_says_of_how_many_networks_what_was_tried_and_what_was_found():
    page = TOOLS["page"]()
    outcomes = TOOLS["RESULT"]["outcomes"]
    assert all(f"| `{name}` |" in page for name in outcomes)
    assert f"{len(outcomes)} of the course's\n{len(MODELS)} networks" in page
    failed = {name: [tool for tool, why in tried.items() if why] for name, tried in outcomes.items()}
    assert {tool for tools in failed.values() for tool in tools} == {"deeplift"}
    assert f"torch {TOOLS['RESULT']['versions']['torch']}" in page
