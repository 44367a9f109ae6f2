"""Architecture pictures: what they say is true, sizes and blues follow the stated scales, and all can be read."""

import re
from functools import cache
from inspect import getdoc
from itertools import pairwise
from math import sqrt
from xml.etree import ElementTree

import pytest
import torch
import torchvision
from conftest import command, from_book
from facts import build

from cnncourse import trace
from cnncourse.models import MODELS
from cnncourse.show.architecture import CHANNELS, DEPTH, MAP, QUANTITIES, WIDTH, draw

SVG = "{http://www.w3.org/2000/svg}"
CUBOID = re.compile(r"M(\S+) (\S+)h(\S+)v(\S+)h\S+zl(\S+) ")
each = pytest.mark.parametrize("name", MODELS)


@cache
def table(name):
    return trace.stages(build(name))


@cache
def layers_of_torchvision():
    with torch.device("meta"):
        return trace.stages(torchvision.models.vgg16(), (3, 224, 224), depth=2)


def sizes(row):
    return [int(n) for n in [*row.output.split(" x "), 1, 1][:3]]


def parse(svg):
    """Of an SVG: its blocks as (left, top, across, up, oblique, shade), and the words under each."""
    root, blocks = ElementTree.fromstring(svg), []
    for shape in root:
        if found := CUBOID.match(shape.get("d", "")):
            x, y, across, up, oblique = map(float, found.groups())
            blocks.append((x, y - oblique, across, up, oblique, float(shape.get("fill-opacity"))))
        elif shape.get("rx"):
            edges = [float(shape.get(name)) for name in ("x", "y", "width", "height")]
            blocks.append((*edges, 0.0, float(shape.get("fill-opacity"))))
    words = ["".join(group.itertext()).split() for group in root.iter(f"{SVG}g") if len(group) == 4]
    return root, blocks, words


@each
def test_every_stage_has_its_name_its_shape_and_its_number(name):
    for colour in QUANTITIES:
        picture = draw({name: table(name)}, colour)
        _, blocks, words = parse(picture.svg)
        assert len(blocks) == len(words) == len(table(name)) - 1
        for row, (first, *rest) in zip(table(name), words, strict=False):
            shape, number, unit = re.fullmatch(r"(.+) ([\d.]+) ?([KMG]?)B?", " ".join(rest)).groups()  # 7 x 7 39.6 MB
            assert (first, shape) == (row.name, row.output)
            value = float(number) * {"": 1, "K": 1e3, "M": 1e6, "G": 1e9}[unit]
            assert value == pytest.approx(getattr(row, colour), rel=0.005)  # three digits
        assert len(picture._repr_html_()) < 30_000


@each
def test_edges_follow_the_square_roots_of_channels_rows_and_columns(name):
    shapes = [sizes(row) for row in table(name)[:-1]]
    most, largest = max(c for c, *_ in shapes), max(max(h, w) for _, h, w in shapes)
    _, blocks, _ = parse(draw({name: table(name)}).svg)
    for row, (c, h, w), (_, _, *edges, _) in zip(table(name), shapes, blocks, strict=False):
        oblique = DEPTH * MAP * sqrt(w / largest) if "x" in row.output else 0  # a vector has none
        assert edges == pytest.approx([CHANNELS * sqrt(c / most), MAP * sqrt(h / largest), oblique], abs=0.06)


@each
def test_more_of_the_quantity_is_bluer_and_the_most_is_full_blue(name):
    for colour in QUANTITIES:
        amounts = [getattr(row, colour) for row in table(name)[:-1]]
        _, blocks, _ = parse(draw({name: table(name)}, colour).svg)
        assert [shade for *_, shade in blocks] == pytest.approx([a / max(amounts) for a in amounts], abs=0.0006)


def test_the_key_gives_numbers_from_nothing_to_the_most():
    svg = draw({"VGG-16": table("vgg16")}, "parameters").svg
    swatches = re.findall(r'height="15" fill="#0072B2" fill-opacity="([\d.]+)"', svg)
    assert list(map(float, swatches)) == [0, 0.25, 0.5, 0.75, 1]
    assert ">0</text>" in svg and ">30.9 M</text>" in svg and svg.count(">124 M</text>") == 2  # head and key
    assert "parameters of a stage" in svg and "Square-root scales" in svg and "fully connected" in svg


def test_networks_in_one_picture_share_their_scales():
    alone = parse(draw({"a": table("resnet50")}).svg)[1]
    _, both, _ = parse(draw({"a": table("vgg16"), "b": table("resnet50")}).svg)
    vgg, resnet = both[:6], both[6:]
    assert vgg[0][2:5] == resnet[0][2:5]  # block1 and conv1 give 64 x 112 x 112
    assert [shade for *_, shade in resnet] == pytest.approx(  # in blues of VGG-16, whose stages compute more
        [row.macs / table("vgg16")[2].macs for row in table("resnet50")[:-1]], abs=0.0006)
    assert max(shade for *_, shade in alone) == 1


@each
def test_blocks_stand_in_order_inside_the_picture_and_none_on_another(name):
    root, blocks, _ = parse(draw({name: table(name), "once more": table(name)}).svg)
    _, _, width, height = map(float, root.get("viewBox").split())
    assert width <= WIDTH
    for x, y, across, up, oblique, _ in blocks:
        assert 0 <= x and x + across + oblique <= width and 0 <= y and y + up + oblique <= height
    for one, two in pairwise(blocks):
        assert one[0] + one[2] + one[4] < two[0] or two[0] < one[0] and one[1] + one[3] + one[4] < two[1]


def test_networks_of_fifty_layers_and_long_names_are_broken_into_rows():
    for rows in (trace.stages(build("vgg19_bn"), depth=2), layers_of_torchvision()):
        root, blocks, _ = parse(draw({"layers": rows}).svg)
        assert len(blocks) == len(rows) - 1 and float(root.get("width")) <= WIDTH
        assert len({y for _, y, *_ in blocks}) > 4


def test_a_picture_is_named_described_and_followed_by_its_table():
    picture = draw({"VGG-16": table("vgg16"), "R & D <50>": table("resnet50")}, "memory")
    root, *_ = parse(picture.svg)
    assert root.get("role") == "img" and root[0].text == "VGG-16 and R & D <50>"
    assert "VGG-16: 6 stages, from block1 with 64 x 112 x 112 to head with 1000." in root[1].text
    assert "54.6 MB of activation memory in block1" in root[1].text
    html = picture._repr_html_()
    assert html.index("</svg>") < html.index("<details>") < html.index(table("vgg16")._repr_html_())
    assert "<50>" not in html and "\n\n" not in html  # Markdown would end the figure at an empty line
    assert repr(picture) == f"VGG-16\n{table('vgg16')}\n\nR & D <50>\n{table('resnet50')}"


def test_a_table_without_its_total_is_drawn_without_a_sum():
    layers = trace.Table(row for row in trace.stages(build("vgg16"), depth=2) if row.parameters)
    *chosen, total = layers
    assert len(parse(draw({"VGG-16": chosen}).svg)[1]) == 16
    assert ">VGG-16</text>" in draw({"VGG-16": chosen}).svg and "VGG-16: 15.5 G MACs" in draw({"VGG-16": layers}).svg


def test_a_stage_named_total_is_drawn_and_only_the_last_row_is_the_sum():
    net = torch.nn.Sequential()
    net.total, net.last = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 8, 3)
    svg = draw({"a": trace.stages(net, (3, 8, 8))}).svg
    _, blocks, words = parse(svg)
    assert len(blocks) == 2 and [name for name, *_ in words] == ["total", "last"]
    assert "a: 2 stages, from total with 4 x 6 x 6" in svg and svg.count("a: 8.5 K MACs") == 1


def test_one_stage_is_no_plural():
    assert "a: 1 stage, from ReLU with 3 x 8 x 8 to" in draw({"a": trace.stages(torch.nn.ReLU(), (3, 8, 8))}).svg


@pytest.mark.parametrize("networks, colour, message", [
    ({"a": table("lenet5")}, "parameter", "no quantity to colour by 'parameter': did you mean parameters"),
    ({}, "macs", "not nothing"),
    (table("lenet5"), "macs", "by their titles are expected.*not Table"),
    ({"a": trace.Table()}, "macs", "the table of a has no stage to draw"),
    ({"a": table("lenet5")[-1:]}, "macs", "the table of a has no stage to draw"),
    ({"a": torch.nn.ReLU()}, "macs", "the table of a is of kind ReLU: draw what trace.stages gives"),
    ({"a": trace.diff(build("vgg11"), build("vgg16"))}, "macs", "of kind Difference: draw what trace.stages gives"),
    ({"a": [trace.Stage("tokens", "8", 1, None, 1, 1)]}, "macs", "the MACs of tokens are unknown: colour by"),
    ({"a": [trace.Stage("tokens", "197 x 768", 1, 1, 1, 1)]}, "macs", "tokens of a gives 197 x 768"),
])
def test_what_cannot_be_drawn_is_refused_in_one_sentence(networks, colour, message):
    with pytest.raises(ValueError, match=message):
        draw(networks, colour)


def test_a_file_is_an_svg_with_a_background(tmp_path, capsys):
    words = ["plain20", "resnet20", "--colour", "parameters", "--picture", tmp_path / "both.svg"]
    assert command("compare", *words) == 0 and "both.svg" in capsys.readouterr().out
    root, blocks, _ = parse((tmp_path / "both.svg").read_text())
    assert len(blocks) == 10 and "background: Canvas; color: CanvasText" in root.get("style")
    with pytest.raises(ValueError, match="name it both.svg, not both.png"):
        draw({"a": table("lenet5")}).save(tmp_path / "both.png")


def test_the_books_page_shows_every_network_once_with_its_docstring_in_the_order_of_models():
    book = from_book("pictures")
    page = book["gallery"]({name: table(name) for name in MODELS})
    places = [page.index(f"### `{name}`\n\n{getdoc(MODELS[name])}\n\n{draw({name: table(name)})._repr_html_()}\n")
              for name in MODELS]
    assert places == sorted(places)
    assert page.count("<svg ") == len(MODELS) + len(book["PAIRS"]) and len(page) < 1_000_000


def test_the_books_pairs_differ_as_the_page_says():
    for row, residual in zip(table("plain20"), table("resnet20"), strict=True):
        assert (row.output, row.parameters, row.macs) == (residual.output, residual.parameters, residual.macs)
    alexnet = {row.name: row.parameters for row in table("alexnet")}
    assert alexnet["fc6"] + alexnet["fc7"] > 0.8 * alexnet["total"]
    assert table("resnet50")[-1].macs < table("vgg16")[-1].macs / 3
    for vgg, resnet in zip(table("vgg16")[1:5], table("resnet50")[2:6], strict=True):
        assert sizes(resnet)[1:] == sizes(vgg)[1:] and sizes(resnet)[0] >= 2 * sizes(vgg)[0]


# In a browser: what letters really measure.

PAGE = """<html lang="en"><head><title>Pictures</title></head><body style="background: {0}; color: {1}"><main>{2}</main>
</body></html>"""
BOXES = """svg => {
    const origin = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('path, rect, text')].map(e => {
        const box = e.getBoundingClientRect();
        const word = e.tagName === 'text' ? e.textContent : '';
        return [word, box.left - origin.x, box.top - origin.y, box.right - origin.x, box.bottom - origin.y];
    }).filter(([word, left, , right]) => right > left);
}"""
SHORT = trace.stages(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), (3, 8, 8))
SHOWN = {name: {name: table(name)} for name in ("lenet5", "alexnet", "vgg16", "googlenet", "inception_v3", "resnet20")}
SHOWN |= {"two": SHOWN["vgg16"] | {"resnet50": table("resnet50")}, "layers": {"layers": layers_of_torchvision()}}
SHOWN |= {f"a title of {n} words": {" ".join(["normalisation"] * n): SHORT} for n in (10, 18)}


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page(viewport={"width": WIDTH + 100, "height": 800})  # nothing shrinks
    yield page
    page.close()


@pytest.mark.parametrize("shown", SHOWN)
def test_letters_lie_inside_the_picture_and_on_nothing_else(page, shown):
    page.set_content(PAGE.format("#fff", "#000", draw(SHOWN[shown], "memory")._repr_html_()))
    width, height = page.eval_on_selector("svg", "svg => [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height]")
    boxes = page.eval_on_selector("svg", BOXES)
    assert len(boxes) > 10
    for i, (word, left, top, right, bottom) in enumerate(boxes):
        assert left >= -0.5 and top >= 0 and right <= width + 1 and bottom <= height, word
        for other, x, y, x_end, y_end in boxes[i + 1:]:
            if word or other:
                assert right <= x or x_end <= left or bottom <= y or y_end <= top, (word, other)


@pytest.mark.parametrize("background, ink", [("#ffffff", "rgb(33, 37, 41)"), ("#121212", "rgb(206, 214, 221)")])
def test_letters_and_lines_have_the_pages_ink_light_and_dark(page, background, ink):
    page.set_content(PAGE.format(background, ink, draw({"ResNet-20": table("resnet20")})._repr_html_()))
    inks = page.evaluate("""[...document.querySelectorAll('svg text')].map(e => getComputedStyle(e).fill).concat(
        [...document.querySelectorAll('svg path, svg rect')].map(e => getComputedStyle(e).stroke))""")
    assert set(inks) == {ink}


@pytest.mark.parametrize("width", [390, 1280])
def test_no_rule_of_accessibility_is_broken(page, width):
    from axe_playwright_python.sync_playwright import Axe

    page.set_viewport_size({"width": width, "height": 800})
    pictures = [draw({name: table(name)}) for name in ("alexnet", "googlenet")]
    page.set_content(PAGE.format("#fff", "#000", "<h1>Pictures</h1>" + "".join(p._repr_html_() for p in pictures)))
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    results = Axe().run(page).response
    assert [violation["id"] for violation in results["violations"]] == []
    assert "svg-img-alt" in {rule["id"] for rule in results["passes"]}
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # the pictures scroll, the page does not
