"""The page "What the counters say": its table, and its warnings, for the tools that the course installs."""


import pytest
import torch
import torchinfo
from conftest import ROOT, from_book
from facts import build
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnncourse.models import MODELS
from cnncourse.trace import costs

COUNTERS = from_book("counters")


def mult_adds(name: str, images: int = 1) -> int:
    net = build(name)
    return torchinfo.summary(net, input_size=(images, *net.input_shape), device="meta", verbose=0).total_mult_adds


@pytest.mark.parametrize("name", COUNTERS["MORE"])
def test_torchinfo_and_flop_counter_report_what_the_table_says(name):
    more = dict(zip(COUNTERS["TOOLS"], COUNTERS["MORE"][name], strict=True))
    net = build(name).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.empty(1, *net.input_shape, device="meta"))
    macs = costs(net).macs
    assert counter.get_total_flops() == 2 * (macs + more["flop_counter / 2"]) == 2 * macs
    assert mult_adds(name) == macs + more["torchinfo"]


@pytest.mark.parametrize("name", COUNTERS["OPERATIONS"])
def test_what_operations_cost_and_see_is_what_the_table_says(name):
    """TorchLens' MACs were measured once; they are flop_counter's."""
    build, theirs, torchlens, field = COUNTERS["OPERATIONS"][name]
    ours, image = costs(build(), (3, 32, 32)), torch.zeros(1, 3, 32, 32)
    assert torchinfo.summary(build(), input_data=image, verbose=0).total_mult_adds == theirs
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        build().train()(image)
    assert ours.macs == torchlens == counter.get_total_flops() / 2
    assert ours.field and field in (None, ours.field)


def test_the_table_was_measured_with_the_pinned_versions():
    """Otherwise measure all six columns again."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    versions = COUNTERS["VERSIONS"]
    assert {name: pins[name] for name in ("torch", "torchinfo")} == {n: versions[n] for n in ("torch", "torchinfo")}


def test_torchinfo_counts_each_bias_for_each_output_and_normalisation_once():
    assert mult_adds("lenet5") == 423_038 == 416_520 + 6 * 28 * 28 + 16 * 10 * 10 + 120 + 84 + 10
    norms = [layer for layer in MODELS["resnet20"]().modules() if isinstance(layer, nn.BatchNorm2d)]
    assert COUNTERS["MORE"]["resnet20"][1] == sum(p.numel() for layer in norms for p in layer.parameters()) + 10
    assert mult_adds("resnet20", images=2) == 2 * mult_adds("resnet20")


def test_torchinfo_thaws_what_was_frozen_and_draws_its_image_at_random():
    net, image = MODELS["resnet20"](), torch.zeros(1, 3, 32, 32)
    frozen = net.conv1[1].eval()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    torchinfo.summary(net, input_data=image, verbose=0)
    assert frozen.training
    assert torch.equal(torch.get_rng_state(), before)
    torchinfo.summary(net, input_size=image.shape, verbose=0)
    assert not torch.equal(torch.get_rng_state(), before)


def test_flop_counter_moves_running_averages_in_training():
    net = MODELS["resnet20"]()
    with FlopCounterMode(display=False):
        net(torch.ones(1, 3, 32, 32))
    assert net.training and net.conv1[1].running_mean.any()


def test_the_page_has_a_row_for_each_network_with_the_course_s_macs():
    page = COUNTERS["page"]()
    assert len(COUNTERS["MORE"]) >= 8
    assert "| `lenet5` | 416,520 | 0 | +6,518 | 0 | +19,126 | +6,518 | +1,576 |" in page
    assert all(f"{name} {version}" in page for name, version in COUNTERS["VERSIONS"].items())
