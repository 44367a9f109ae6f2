"""The convolution explorer says what PyTorch does, and can be used by everybody, on a page opened from disk."""

import base64
import itertools
import json
import re

import nbformat
import pytest
import torch
import torch.nn.functional as F
from conftest import NOTEBOOKS
from torch import nn

from cnncourse.show import explorer

NAMES = "operation", "ceil", "size", "kernel", "stride", "padding", "dilation", "channels", "groups"
LAYERS = [("convolution", False), ("max pooling", False), ("max pooling", True)]
CASES = [dict(zip(NAMES, (*layer, *numbers, 1, 1), strict=True)) for layer, numbers in itertools.product(
    LAYERS, itertools.product(range(1, 12), range(1, 7), range(1, 5), range(4), range(1, 4)))]
CASES += [dict(zip(NAMES, ("convolution", False, *numbers), strict=True)) for numbers in itertools.product(
    (3, 6), (1, 3), (1, 2), (0, 1), (1, 2), range(1, 5), range(1, 5))]
ANSWERS = """async ([url, cases]) => {
    const e = await import(url), upTo = (n) => [...Array(n).keys()];
    const answer = (v) => {
        const refused = e.refusal(v), words = e.explain(v).join(" ");
        if (refused) return { refused: refused.pytorch, words };
        const out = upTo(e.outputSize(v));
        const values = upTo(v.channels).map((channel) => out.map((row) => out.map((column) =>
            e.value({ ...v, channel, row, column }))));
        return { values, words, unseen: e.unseen(v), seen: out.map((i) => e.positions(v, i)) };
    };
    const whole = { ...e.START, size: 11 };
    return JSON.stringify({
        answers: JSON.parse(cases).map((v) => answer({ ...e.START, ...v })), start: e.START, ranges: e.RANGES,
        images: upTo(4).map((c) => upTo(11).map((row) => upTo(11).map((column) => e.pixel(whole, c, row, column)))),
        weights: upTo(4).map((o) => upTo(4).map((c) => upTo(6).map((i) => upTo(6).map((j) => e.weight(o, c, i, j))))),
    }, (name, x) => (x === -Infinity ? "-Infinity" : x));
}"""


@pytest.fixture(scope="module")
def module(browser):
    """What the module answers to all cases. As text, because Playwright is slow with large objects."""
    page = browser.new_page()
    url = "data:text/javascript;base64," + base64.b64encode(explorer.MODULE.read_bytes()).decode()
    text = page.evaluate(ANSWERS, [url, json.dumps(CASES)])
    page.close()
    return json.loads(text.replace('"-Infinity"', "-Infinity"))


def pytorch(v, images, weights):
    """What PyTorch gives for one case: C x H x W."""
    x = images[None, : v["channels"], : v["size"], : v["size"]]
    window = v["kernel"], v["stride"], v["padding"], v["dilation"]
    if v["operation"] == "max pooling":
        return F.max_pool2d(x, *window, ceil_mode=v["ceil"])[0]
    layer = nn.Conv2d(v["channels"], v["channels"], *window, groups=v["groups"], bias=False)
    each = v["channels"] // v["groups"]
    kernels = [weights[o, o // each * each :][:each, : v["kernel"], : v["kernel"]] for o in range(v["channels"])]
    with torch.no_grad():
        layer.weight.copy_(torch.stack(kernels))
        return layer(x)[0]


def test_sizes_numbers_and_refusals_are_pytorchs(module):
    images, weights = torch.tensor(module["images"]).float(), torch.tensor(module["weights"]).float()
    refused = 0
    for v, answer in zip(CASES, module["answers"], strict=True):
        try:
            expected = pytorch(v, images, weights)
        except (RuntimeError, ValueError) as error:
            assert answer.get("refused") and answer["refused"] in str(error), (v, answer, str(error))
            assert answer["words"].startswith("PyTorch refuses: "), v
            if "half of" in answer["refused"]:
                words = f"padding {v['padding']} is more than half of the kernel {v['kernel']}, the most that PyTorch"
                assert words in answer["words"] and v["padding"] > v["kernel"] / 2, v
            refused += 1
        else:
            assert "refused" not in answer, (v, answer["refused"])
            assert torch.equal(torch.tensor(answer["values"]).float(), expected), v
            assert f"{expected.shape[1]} x {expected.shape[2]} outputs" in answer["words"], v
    assert len(CASES) > 10_000 and 0.1 < refused / len(CASES) < 0.5


def seen_by_pytorch(v):
    """Which pixels along one axis each output sees: n images with one white row each; n x outputs."""
    rows = torch.eye(v["size"]).view(-1, 1, v["size"], 1).expand(-1, 1, -1, v["size"])
    if v["operation"] == "max pooling":
        out = F.max_pool2d(rows, v["kernel"], v["stride"], v["padding"], v["dilation"], v["ceil"])
    else:
        window = torch.ones(1, 1, v["kernel"], v["kernel"])
        out = F.conv2d(rows, window, None, v["stride"], v["padding"], v["dilation"])
    return out[:, 0].amax(dim=2) > 0


def accepted(module):
    return [(v, answer) for v, answer in zip(CASES, module["answers"], strict=True) if "refused" not in answer]


def test_what_is_seen_and_what_is_said_to_be_lost_is_so_in_pytorch(module):
    for v, answer in accepted(module):
        seen, words = seen_by_pytorch(v), answer["words"]
        missed = (~seen.any(dim=1)).nonzero().flatten().tolist()
        assert answer["unseen"] == missed, v
        if len(missed) == v["size"]:
            assert "see padding only" in words, v
            continue
        inside = [[i for i in positions if 0 <= i < v["size"]] for positions in answer["seen"]]
        assert inside == [column.nonzero().flatten().tolist() for column in seen.T], v
        assert ("Every pixel is seen." in words) == (not missed), v
        edge = re.search(r"the last (?:(\d+) columns are|column is) never seen, nor the last (?:\1 rows|row)\.", words)
        between = re.search(r"No window sees columns? ([\d, and]+), nor", words)
        told = [int(i) for i in re.findall(r"\d+", between[1])] if between else []
        told += range(v["size"] - int(edge[1] or 1), v["size"]) if edge else []
        assert told == missed, (v, words)
        windows = [range(positions[0], positions[-1] + 1) for positions in answer["seen"]]
        lost = [any(column in window for window in windows) for column in missed if column < windows[-1].stop]
        assert ("dilation" in words and "leaves gaps" in words) == any(lost), (v, words)
        assert ("is larger than the window" in words) == (not all(lost)), (v, words)


def test_it_says_whether_the_division_is_whole_and_why_a_window_is_left_out(module):
    for v, answer in accepted(module):
        steps = (v["size"] + 2 * v["padding"] - v["dilation"] * (v["kernel"] - 1) - 1) / v["stride"]
        words, whole, larger = answer["words"], steps.is_integer(), v["ceil"] and len(answer["seen"]) > steps // 1 + 1
        assert ("rounded" in words) == (not whole) and ("rounded up" in words) == larger, v
        assert "is whole" not in words or whole, v
        assert "is not whole" not in words or not whole, v
        assert ("over the edge" in words) == (larger and len(answer["unseen"]) < v["size"]), v
        left_out = re.search(r"a window that starts (.+?): PyTorch leaves it out", words)
        assert bool(left_out) == (v["ceil"] and not whole and not larger), v
        if left_out:  # the window after the last of PyTorch's
            start = seen_by_pytorch(v).shape[1] * v["stride"] - v["padding"]
            assert left_out[1] == "beyond the last column" and start >= v["size"], v


def test_python_and_the_module_have_the_same_settings(module):
    traits = {name: trait for name, trait in explorer.Explorer.class_own_traits().items() if not name.startswith("_")}
    assert {name: trait.default_value for name, trait in traits.items()} == module["start"]
    for name, (_, least, most) in module["ranges"].items():
        assert (traits[name].min, traits[name].max) == (least, most), name


def test_the_picture_without_a_browser_shows_what_an_output_sees_and_says_what_pytorch_refuses(module):
    widget, clamped = explorer.Explorer(row=9, column=9), 0
    for v, answer in zip(CASES, module["answers"], strict=True):
        if any(not least <= v[name] <= most for name, (_, least, most) in module["ranges"].items()) or v["size"] % 3:
            continue
        for name in NAMES:
            widget.set_trait(name, v[name])
        title, *lines = widget.picture().splitlines()
        last = f"ceil_mode {v['ceil']}" if v["operation"] == "max pooling" else f"groups {v['groups']}"
        assert title.endswith(", ".join([*(f"{name} {v[name]}" for name in NAMES[3:8]), last])), v
        if "refused" in answer:
            assert lines == ["PyTorch refuses these settings: run the cell to read why."], v
            continue
        last, image = min(len(answer["seen"]) - 1, 9), range(v["size"])  # there may be no output in row 9
        assert f"in row {last}, column {last} " in lines[-2], v
        seen, places = set(answer["seen"][last]), range(-v["padding"], len(lines) - 2 - v["padding"])
        assert [line.split() for line in lines[:-2]] == [
            ["■" if {i, j} <= seen else "·" if i in image and j in image else "p" for j in places] for i in places], v
        clamped += last < 9
    assert clamped > 100


def test_a_misspelt_setting_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="there is no explorer setting 'strides': did you mean stride"):
        explorer.Explorer(strides=3)


@pytest.fixture
def opened(tmp_path, browser):
    """opened(settings of the explorer, ...) → the explorer on a page opened from disk, as the book has it."""
    pages = []

    def opened(settings="", theme="", **options):
        (tmp_path / "explorer.js").write_text(explorer.classic_script(), encoding="utf-8")
        (tmp_path / "page.html").write_text(
            f'<!doctype html><html lang="en" {theme}><meta charset="utf-8"><title>Explorer</title>'
            '<meta name="viewport" content="width=device-width"><script defer src="explorer.js"></script>'
            '<body><main class="output"><h1>Explorer</h1>'  # a chapter's outputs have this class
            f'<div class="convolution-explorer" {settings}>no script</div></main></html>', encoding="utf-8")
        pages.append(page := browser.new_page(**options))
        page.trouble = []
        page.on("console", lambda message: page.trouble.append(message.text))
        page.on("pageerror", lambda error: page.trouble.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_selector(".convolution-explorer .verdict")
        return page

    yield opened
    for page in pages:
        page.close()


def table(page, kind):
    """The numbers of one table, without the weights in small print."""
    texts = page.locator(f"table.{kind} tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.firstChild.data))")
    return torch.tensor([[float(text.replace("−", "-")) for text in row] for row in texts])


def chosen(page):
    return [page.locator('td[aria-selected="true"]').get_attribute("data-at"),
            page.locator("table.input td.seen").count()]


def test_the_numbers_on_the_page_are_a_convolution(opened):
    page = opened('data-size="7" data-padding="1" data-dilation="2" data-row="1" data-column="1"')
    padded, kernel, output = (table(page, kind) for kind in ("input", "kernel", "output"))
    assert padded.shape == (9, 9) and padded[0].abs().sum() == 0
    assert torch.equal(output, F.conv2d(padded[None, None], kernel[None, None], stride=2, dilation=2)[0, 0])
    products = re.findall(r"(\d)·\(?(−?\d)\)?", page.inner_text(".written"))
    assert len(products) == 9 and page.inner_text(".written").endswith(f"= {int(output[1, 1])}".replace("-", "−"))
    assert sum(int(a) * int(b.replace("−", "-")) for a, b in products) == output[1, 1]
    assert page.trouble == []


def test_keyboard_mouse_and_touch_choose_an_output(opened):
    page = opened()
    assert chosen(page) == ["0,0", 9]
    page.locator('td[tabindex="0"]').focus()
    page.evaluate("addEventListener('keydown', () => document.title = 'the page has seen a key')")
    for key, place in (("ArrowRight", "0,1"), ("ArrowDown", "1,1"), ("End", "1,2"), ("ArrowRight", "1,2"),
                       ("ArrowUp", "0,2"), ("Home", "0,0")):
        page.keyboard.press(key)
        assert chosen(page) == [place, 9]
        assert page.evaluate("document.activeElement.dataset.at") == place
    assert page.title() == "Explorer"  # JupyterLab would have taken the keys for its own
    for key in ("Alt+ArrowRight", "Control+ArrowRight", "Meta+ArrowDown", "Control+End"):  # the browser's own
        page.keyboard.press(key)
        assert chosen(page) == ["0,0", 9], key
    page.locator('table.output td[data-at="2,1"]').click()
    assert chosen(page) == ["2,1", 9]
    assert "Output row 2, column 1 is 10: the sum of 9 products in rows 4, 5 and 6, columns 2, 3 and 4." in \
        page.locator("p[role=status]").all_inner_texts()
    seen = page.locator("table.input td.seen").evaluate_all("cells => cells.map((cell) => cell.dataset.at)")
    assert seen == [f"0,{row},{column}" for row in (4, 5, 6) for column in (2, 3, 4)]
    page.get_by_role("button", name="Next").click()
    assert chosen(page)[0] == "2,2"
    page.locator('table.output td[data-at="0,0"]').hover()
    page.mouse.down()
    page.locator('table.output td[data-at="1,1"]').hover()
    assert chosen(page)[0] == "1,1"  # while the button is down
    page = opened(has_touch=True)
    page.locator('table.output td[data-at="1,2"]').tap()
    assert chosen(page) == ["1,2", 9]


def test_one_choice_is_announced_once(opened):
    page = opened('data-column="2"')
    page.evaluate("""() => {
        window.told = [];
        const note = (changes) => told.push(...changes.flatMap((c) => [...c.addedNodes].map((node) => node.data)));
        new MutationObserver(note).observe(document.querySelectorAll("p[role=status]")[1], { childList: true });
    }""")
    page.get_by_role("button", name="Next").click()
    told, = page.evaluate("told")
    assert told.startswith("Output row 1, column 0 is ")


@pytest.mark.parametrize("kernel, row, words", [
    (1, 0, "the sum of 1 product in row −3, column −3; it lies in the padding."),
    (2, 0, "the sum of 4 products in rows −3 and −2, columns −3 and −2; all in the padding."),
    (2, 2, "the sum of 4 products in rows −1 and 0, columns −1 and 0; 3 of them in the padding."),
    (1, 3, "the sum of 1 product in row 0, column 0.")])
def test_it_says_what_lies_in_the_padding(opened, kernel, row, words):
    page = opened(f'data-kernel="{kernel}" data-stride="1" data-padding="3" data-row="{row}" data-column="{row}"')
    assert page.locator("p[role=status]").last.inner_text().endswith(words)


def test_settings_are_native_inputs_and_a_refusal_gives_pytorchs_reason(opened):
    page = opened()
    assert "(8 − 3)/2 is not whole: the last column is never seen, nor the last row." in page.inner_text(".verdict")
    page.get_by_label("Size").press("ArrowLeft")
    assert "(7 − 3)/2 is whole" in page.inner_text(".verdict")
    page.get_by_label("Size").fill("2")
    assert page.inner_text(".verdict") == "PyTorch refuses: a window of 3 pixels does not fit into 2."
    assert "Kernel size can't be greater than actual input size" in page.inner_text(".pytorch")
    assert page.locator("table").count() == 0 and page.get_by_role("button", name="Play").is_hidden()
    page.get_by_label("Operation").select_option("max pooling")
    page.get_by_label("Size").fill("8")
    page.get_by_label("Round up").check()
    assert "rounded up to 3" in page.inner_text(".verdict") and page.get_by_label("Groups").is_disabled()
    page.get_by_label("Padding").fill("2")
    assert "pad should be at most half of effective kernel size, but got pad=2" in page.inner_text(".pytorch")


def test_groups_show_which_channels_an_output_sees(opened):
    page = opened('data-channels="4" data-groups="2"')
    assert page.locator("table.input caption").all_inner_texts() == ["Input, channel 0", "Input, channel 1"]
    page.get_by_label("Output channel").select_option("3")
    assert page.locator("table.input caption").all_inner_texts() == ["Input, channel 2", "Input, channel 3"]
    assert page.get_by_label("Output channel").input_value() == "3"
    sees = [[text == "sees" for text in row.locator("td").all_inner_texts()]
            for row in page.locator("table.channels tbody tr").all()]
    assert torch.equal(torch.tensor(sees), torch.block_diag(torch.ones(2, 2), torch.ones(2, 2)).bool())
    page.get_by_label("Groups").fill("3")
    assert page.inner_text(".verdict") == "PyTorch refuses: 4 channels cannot be cut into 3 equal groups."


def test_play_moves_until_it_is_paused_and_is_off_where_less_motion_is_wished(opened):
    page = opened()
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector('td[data-at="0,1"][aria-selected="true"]')
    page.get_by_role("button", name="Pause").click()
    before = chosen(page)
    page.wait_for_timeout(1200)
    assert chosen(page) == before
    page = opened(reduced_motion="reduce")
    assert page.get_by_role("button", name="Play").is_disabled()
    page.get_by_role("button", name="Next").click()
    assert chosen(page)[0] == "0,1"


@pytest.mark.parametrize("theme, scheme, dark", [("", "light", False), ("", "dark", True),
                                                 ("light", "dark", False), ("dark", "light", True)])
def test_it_follows_the_theme_and_axe_finds_nothing(opened, theme, scheme, dark):
    from axe_playwright_python.sync_playwright import Axe

    page = opened('data-channels="2" data-padding="1" data-stride="4"', theme and f'data-theme="{theme}"',
                  color_scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.querySelector('.convolution-explorer')).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", colour)[:3])) < 150) == dark
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    assert Axe().run(page, options=rules).response["violations"] == []


WIDE = 'data-size="10" data-kernel="1" data-stride="1" data-padding="3"'


@pytest.mark.parametrize("settings", ["", 'data-channels="4"', WIDE])
def test_it_fits_a_telephone_and_fingers(opened, settings):
    page = opened(settings, viewport={"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    targets = page.locator("button, select, input, table.output tbody td")
    sizes = targets.evaluate_all("all => all.filter((e) => e.offsetParent).map((e) => [e.offsetWidth, e.offsetHeight])")
    assert len(sizes) > 15 and min(map(min, sizes)) >= 24
    height = page.evaluate("scrollY")
    for _ in range(15):
        page.get_by_role("button", name="Next").dispatch_event("click")  # Playwright's click scrolls
    at, box = (page.locator(which).bounding_box() for which in ('td[aria-selected="true"]', ".output-frame"))
    assert box["x"] <= at["x"] and at["x"] + at["width"] <= box["x"] + box["width"]
    assert page.evaluate("scrollY") == height


def test_a_finger_moves_a_wide_output_sideways(opened):
    page = opened(WIDE, viewport={"width": 360, "height": 700}, has_touch=True, is_mobile=True)
    frame = page.locator(".output-frame")
    frame.scroll_into_view_if_needed()
    y, touch = frame.bounding_box()["y"] + 60, page.context.new_cdp_session(page)
    before = frame.evaluate("frame => frame.scrollLeft")
    for kind, x in [("touchStart", 250), *(("touchMove", x) for x in range(240, 90, -10)), ("touchEnd", None)]:
        points = [{"x": x, "y": y}] if x else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(16)
    page.wait_for_function("before => document.querySelector('.output-frame').scrollLeft > before + 50", arg=before)


def test_the_stored_output_shows_something_without_a_kernel_and_carries_no_program():
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    bundles = {c.source: o.data for c in notebook.cells if c.cell_type == "code" for o in c.outputs
               if "application/vnd.jupyter.widget-view+json" in o.get("data", {})}
    assert len(bundles) == 2 and "widgets" not in notebook.metadata
    for source, bundle in bundles.items():
        assert "■" in bundle["text/plain"] and 'class="convolution-explorer" data-' in bundle["text/html"]
        assert bundle["text/plain"] == eval(source, vars(explorer)).picture() and "<script" not in bundle["text/html"]
