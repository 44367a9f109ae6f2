"""The slides: short, spoken for, and every one of them seen in Chromium, without the network."""

import re
from pathlib import Path

import nbformat
import pytest
from conftest import NOTEBOOKS, from_book

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def slides(path: Path) -> list[list]:
    """The notebook's cells, slide by slide, without those that are skipped; fragments belong to their slide."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        if role(cell) in ("slide", "subslide"):
            found.append([])
        if role(cell) != "skip":
            found[-1].append(cell)
    return found


def role(cell) -> str:
    return cell.metadata.get("slideshow", {}).get("slide_type", "-")


def words(slide: list) -> list[str]:
    """What an audience reads of the Markdown: no notes, no links' addresses, no answers that are still folded."""
    text = "\n".join(c.source for c in slide if c.cell_type == "markdown" and role(c) != "notes")
    text = re.sub(r"</summary>.*?</details>|<[^>]*>|\]\([^)]*\)", " ", text, flags=re.S)
    return re.findall(r"[^\s*#`|$\[-]\S*", text)


@each
def test_a_lesson_has_fifteen_to_twenty_five_slides_of_at_most_forty_words_from_its_title_to_its_take_aways(path):
    deck = slides(path)
    assert 15 <= len(deck) <= 25
    assert {" ".join(found): len(found) for found in map(words, deck) if len(found) > 40} == {}
    assert deck[0][0].source.startswith(f"# {int(path.stem[:2])}. ")
    assert deck[-1][0].source.startswith("## Take-aways")


@each
def test_there_is_something_to_say_while_training_runs(path):
    trained = [slide for slide in slides(path) if any(map(trains, slide))]
    assert trained or path.stem == "08_debugging_clinic"
    for slide in trained:
        assert any(cell.source.startswith("While it trains: ") for cell in slide if role(cell) == "notes")


def trains(cell) -> bool:
    return any(output.get("name") == "stderr" and "epoch" in output.text for output in cell.get("outputs", []))


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder with the built slides."""
    out = tmp_path_factory.mktemp("slides")
    from_book("slides")["build"](NOTEBOOKS, out)
    return out


@pytest.fixture
def deck(browser, built, path):
    """The page of a notebook's slides, opened from disk in a window of 1280 x 720; and what it complains of, a list."""
    page, wrong = browser.new_page(viewport={"width": 1280, "height": 720}), []
    page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.context.on("request", lambda request: request.url.startswith(("http", "ws")) and wrong.append(request.url))
    page.goto((built / f"{path.stem}.html").as_uri())
    page.wait_for_selector("html[data-ready]", state="attached")
    yield page, wrong
    page.context.close()


# What can be seen of the current slide and is wrong: [what, which].
FAULTS = """() => {
    const slide = Reveal.getCurrentSlide(), found = [];
    const parts = slide.querySelectorAll("h1, h2, h3, p, li, summary, pre, table, td, img, svg, button, input");
    for (const part of parts) {
        if (!part.checkVisibility()) continue; // notes, and what is folded; a fragment that waits counts
        const { left, top, right, bottom } = part.getBoundingClientRect();
        const name = part.tagName + ": " + part.textContent.slice(0, 60);
        if (left < 0 || top < 0 || right > innerWidth || bottom > innerHeight) found.push(["outside", name]);
        if (part.matches("pre") && part.scrollWidth > part.clientWidth) found.push(["cut off", name]);
        const size = parseFloat(getComputedStyle(part).fontSize) * part.currentCSSZoom;
        if (part.matches("pre, td, .verdict") && size < 14) found.push(["small", name]);
        if (part.matches("img") && !(part.complete && part.naturalWidth)) found.push(["no picture", part.alt]);
        if (part.matches("img") && part.alt.length < 20) found.push(["no alternative text", part.src.slice(0, 40)]);
        if (part.matches("img") && bottom - top < 200) found.push(["small", part.alt]);
    }
    return found;
}"""


@each
def test_every_slide_is_seen_whole_and_asks_no_other_host(deck, path):
    page, wrong = deck
    seen, last = set(), False
    while not last:
        here = page.evaluate("Reveal.getSlidePastCount() + 1")
        seen.add(here)
        wrong += [(here, *fault) for fault in page.evaluate(FAULTS)]
        for answer in page.locator(".present:not(.stack) > * details:visible summary").all():
            answer.click()
            page.wait_for_timeout(50)
            wrong += [(here, "answer", *fault) for fault in page.evaluate(FAULTS)]
            answer.click()
        last = page.evaluate("Reveal.isLastSlide() && !Reveal.availableFragments().next")
        page.keyboard.press("Space")
    assert len(seen) == len(slides(path)) and wrong == []


@pytest.mark.parametrize("path", NOTEBOOKS[:1], ids=lambda p: p.stem)
def test_the_explorer_gives_the_keys_back_to_the_deck(deck, path):
    page, wrong = deck
    cell = page.locator('.present:not(.stack) > * .convolution-explorer td[data-at="1,1"][aria-selected]')
    while not cell.count():
        page.keyboard.press("Space")
    here = page.evaluate("Reveal.getSlidePastCount()")
    cell.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")  # both to the explorer
    assert page.locator('.present td[aria-selected="true"]').get_attribute("data-at") == "1,2"
    assert page.evaluate("Reveal.getSlidePastCount()") == here
    page.keyboard.press("Escape")
    page.keyboard.press("Space")
    assert page.evaluate("Reveal.getSlidePastCount()") == here + 1 and not page.evaluate("Reveal.isOverview()")
    page.keyboard.press("PageUp")
    cell.click()
    page.keyboard.press("PageDown")  # a presenter's remote control
    assert page.evaluate("Reveal.getSlidePastCount()") == here + 1 and wrong == []


@pytest.mark.parametrize("path", NOTEBOOKS[3:4], ids=lambda p: p.stem)
def test_the_speaker_sees_the_notes_with_formulas_and_the_audience_does_not(deck, path):
    page, wrong = deck
    spoken = [cell.source for slide in slides(path) for cell in slide if role(cell) == "notes"]
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    notes = opened.value.locator(".speaker-controls-notes .value")
    notes.get_by_text(spoken[0][:20]).wait_for()  # the two windows are connected
    for begin in ("While it trains: ", [text for text in spoken if "$" in text][-1][:20]):
        while not page.locator("section.present:not(.stack)", has_text=begin).count():
            page.keyboard.press("Space")
        notes.get_by_text(begin).first.wait_for()
        assert not page.get_by_text(begin).first.is_visible()
    notes.locator("mjx-container svg").first.wait_for()  # typeset a moment after the slide
    assert "$" not in notes.inner_text() and wrong == []
