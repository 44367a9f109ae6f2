"""The map from papers to code: every stage of every network names its source, or says that the paper has none."""

import re
import sys

import pytest
from conftest import from_book
from facts import WITH_HEADS, build

from cnncourse import trace
from cnncourse.models import MODELS

MAP = from_book("paper_to_code")
NETWORKS = MAP["networks"]()
SOURCE = re.compile(r"(Section|Table|Figure|Equation|Appendix) (\d|I|A\b)")
DEPARTURES = {  # (network, stage) that no paper of their file has
    "MNISTCNN": ["conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3"],
    "OneWeirdTrick": ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7", "fc8"],
    "SmallAlexNet": ["conv1", "fc6", "fc7"],
    "SmallGoogLeNet": ["conv1"],
    "InceptionV3": ["pool2"],
    "SmallResNet": ["conv1"],
}
each = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)


def test_every_network_is_on_the_map_with_all_its_stages_in_their_order():
    assert sorted(name for forms in NETWORKS.values() for name in forms) == sorted(MODELS)
    for network, forms in NETWORKS.items():
        for name in forms:
            net = build(name, **{"heads": True} if name in WITH_HEADS else {})
            assert type(net) is network
            assert [name for name, _ in net.named_children()] == [stage.name for stage in MAP["stages"](network)]


@each
def test_every_stage_names_its_source_or_is_a_known_departure(network):
    stages = MAP["stages"](network)
    assert [s.name for s in stages if s.source == "not in the paper"] == DEPARTURES.get(network.__name__, [])
    for stage in stages:
        assert SOURCE.match(stage.source) or stage.source == "not in the paper", stage


@pytest.mark.parametrize("file", sorted({network.__module__ for network in NETWORKS}))
def test_every_file_states_its_paper_and_its_departures(file):
    text = sys.modules[file].__doc__
    assert re.search(r"\b(19|20)\d\d\. Reproduces |\.\nReproduces ", text)
    assert re.search(r"^Departures .*from the paper", text, re.MULTILINE)


def test_special_sources_stand_in_the_line_of_their_stage():
    found = {(n.__name__, s.name): s.source for n in NETWORKS for s in MAP["stages"](n)}
    assert found["LeNet5of1998", "C3"] == "Figure 2, Table I"
    assert found["LeNet5of1998", "output"] == "Figure 2, Equation 7"
    assert found["AlexNet", "norm1"] == "Section 3.3"
    assert found["AlexNet", "fc7"] == "Section 4.2"
    assert found["VGG", "head"] == "Table 1, Section 2.1"
    assert found["GoogLeNet", "inception4e"] == "Table 1, Figure 2 (b)"
    assert found["GoogLeNet", "aux1"] == "Section 5"
    assert found["InceptionV3", "mixed6c"] == "Table 1, Figure 6"
    assert found["ResNet", "conv1"] == "Table 1"
    assert found["CifarResNet", "conv4_x"] == "Section 4.2"


@each
def test_the_shapes_at_the_end_of_the_lines_are_true(network):
    net = build(NETWORKS[network][0])
    stated = {stage.name: stage.output for stage in MAP["stages"](network)}
    for row in trace.stages(net)[:-1]:
        output = re.sub(r"^(\d+)e", r"\1", stated[row.name])  # the first ResNet's blocks have an expansion of 1
        assert output.replace("num_classes", row.output) == row.output


def test_the_page_shows_every_network_stage_and_departure():
    page = MAP["page"]()
    for file in {network.__module__ for network in NETWORKS}:
        for paragraph in sys.modules[file].__doc__.split("\n\n")[1:]:
            assert paragraph.strip() in page
    for network, forms in NETWORKS.items():
        section = page.split(f"### `{network.__name__}`\n")[1].split("\n##")[0]
        assert all(f"`{name}`" in section for name in forms)
        for stage in MAP["stages"](network):
            assert f"| {stage.name} | `{stage.code}` | {stage.output} | {stage.source} |" in section
