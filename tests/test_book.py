"""The book as a reader gets it: built without a warning, opened from disk and from a server, with the network off."""

import copy
import gzip
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from conftest import NOTEBOOKS, ROOT, from_book

from cnncourse import exercises

bs4 = pytest.importorskip("bs4", reason="of the developer's environment")
BOOK, PICTURES = ROOT / "build" / "book", ROOT / "build" / "screenshots"
CHAPTERS = from_book("chapters")
# One page of each kind: in both sizes, light and dark, it is photographed for people to look at, and judged by axe.
KINDS = ["index", "notebooks/01_convolution_arithmetic", "explorer", "pictures", "records", "paper_to_code", "keras",
         "counters", "tools", "glossary", "bibliography", "errata", "instructors", "search"]
WIDTHS = {"desktop": 1280, "phone": 390}
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"],
        "preload": False}  # preloading reads style sheets, which a page opened from disk may not
NOT_OURS = {  # (rule, element): why it is no fault of our content
    ("aria-deprecated-role", 'class="citation"'): "docutils gives the entries of a bibliography a role that is no more",
    ("aria-required-children", 'class="citation-list"'): "docutils calls it a list, but its entries no items",
}
FACTS = """() => ({
    width: document.documentElement.scrollWidth,
    formulas: [...document.querySelectorAll(".math")]
        .filter(m => !m.querySelector("mjx-container svg") || m.querySelector("[data-mml-node=merror]"))
        .map(m => m.textContent),
    explorers: document.querySelectorAll("div.convolution-explorer table").length,
    scrolling: [...document.querySelectorAll("pre")].filter(p => p.scrollWidth > p.clientWidth).map(p => p.textContent),
})"""

# For axe: what is folded away is judged too; of code, one token of each kind, because its colours depend on the kind.
UNFOLD = """() => {
    document.querySelectorAll("details").forEach(fold => { fold.open = true; });
    const kinds = new Set();
    for (const token of document.querySelectorAll(".highlight span"))
        if (kinds.size === kinds.add(token.className).size) token.replaceWith(token.textContent);
}"""


@pytest.fixture(scope="module")
def build():
    """Builds the book: the process that did. A notebook that the course no longer has must not become a chapter."""
    (ROOT / "book" / "notebooks").mkdir(exist_ok=True)
    (ROOT / "book" / "notebooks" / "00_gone.ipynb").write_text("{}")
    shutil.rmtree(BOOK, ignore_errors=True)
    return subprocess.run([sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "book", BOOK],
                          cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def book(build):
    """The pages, as {name: soup}."""
    files = [file for file in sorted(BOOK.rglob("*.html")) if "_static" not in file.parts]
    return {file.relative_to(BOOK).with_suffix("").as_posix(): bs4.BeautifulSoup(file.read_text(), "html.parser")
            for file in files}


@pytest.fixture(scope="module")
def prose(book):
    """{name: its text in plain sight}: no code, headings, mathematics and links, but ⟦⟧ round links to the glossary."""
    found = {}
    for name, soup in book.items():
        text = copy.copy(soup.find(id="main-content"))
        for other in text.select(".cell, pre, details, .math, code, h1, h2, h3, h4, script"):
            other.replace_with(" … ")
        for emphasis in text.select("em, strong"):  # half a term in italics is no link
            emphasis.insert_before("|")
            emphasis.insert_after("|")
        for link in text.select("a"):
            link.replace_with(f"⟦{link.text}⟧" if "glossary.html#term-" in link["href"] else " … ")
        found[name] = " ".join(text.get_text().replace("’", "'").split())
    return found


@pytest.fixture(scope="module")
def server(book):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=BOOK))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def visits(browser, book, server):
    """What a reader meets: {(page, from disk or server, size, mode): facts}."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    homes = {"disk": BOOK.as_uri(), "server": server}
    ways = [("disk", "desktop", "light", book), ("server", "phone", "dark", book),
            ("disk", "phone", "light", KINDS), ("server", "desktop", "dark", KINDS)]
    found = {}
    for home, size, mode, names in ways:
        context = browser.new_context(viewport={"width": WIDTHS[size], "height": 900}, color_scheme=mode,
                                      reduced_motion="reduce")
        for name in names:
            judged = (home, size) == ("disk", "desktop") or (home, size, name in KINDS) == ("server", "phone", True)
            picture = PICTURES / f"{name.rpartition('/')[2]}-{size}-{mode}.png" if name in KINDS else None
            with context.new_page() as page:
                found[name, home, size, mode] = visit(page, f"{homes[home]}/{name}.html", judged, picture)
        context.close()
    return found


def visit(page, url: str, judge: bool = False, picture: Path | None = None) -> dict:
    """Requests, complaints of the console, what FACTS says; if asked, axe's violations, and a photograph."""
    requests, complaints = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url, wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise")
    if "search" in url and "?" in url:
        page.wait_for_selector(".search-summary:has-text('finished')")
    facts = page.evaluate(FACTS) | {"requests": requests, "complaints": complaints}
    if picture:
        page.evaluate("document.fonts.ready")
        page.screenshot(path=picture)
    if judge:
        from axe_playwright_python.sync_playwright import Axe

        page.evaluate(UNFOLD)
        rules = Axe().run(page, options=WCAG).response["violations"]
        facts["violations"] = [(rule["id"], node["html"]) for rule in rules for node in rule["nodes"]]
    return facts


def test_the_book_builds_without_a_warning(build):
    assert build.returncode == 0, build.stderr


def test_each_notebook_is_a_chapter_and_its_download_the_notebook_itself(book):
    assert [name for name in book if name.startswith("notebooks/")] == [f"notebooks/{path.stem}" for path in NOTEBOOKS]
    for path in NOTEBOOKS:
        download = book[f"notebooks/{path.stem}"].select_one('a[href$=".ipynb"]')["href"]
        assert (BOOK / "notebooks" / download).read_bytes() == path.read_bytes()


def test_every_link_leads_somewhere(book):
    broken = []
    ids = {BOOK / f"{name}.html": {tag["id"] for tag in soup.find_all(id=True)} for name, soup in book.items()}
    for page, (name, soup) in zip(ids, book.items(), strict=True):
        for tag in soup.select("[href], [src]"):
            address = urlsplit(tag.get("href") or tag.get("src"))
            file = (page.parent / unquote(address.path)).resolve() if address.path else page
            if address.scheme or address.netloc:  # not fetched
                fine = address.scheme == "https"
            else:
                fine = file.is_file() and (not address.fragment or unquote(address.fragment) in ids.get(file, [])
                                           or file not in ids)
            if not fine:
                broken.append((name, address.geturl()))
    assert broken == []


def test_every_picture_says_in_words_what_it_shows(book):
    pictures = [(name, image.get("alt")) for name, soup in book.items() for image in soup.find_all("img")]
    assert len(pictures) > 50
    # Where nobody wrote a text, Sphinx puts the name of the file.
    assert [(name, alt) for name, alt in pictures if not alt or "_images/" in alt] == []


def test_mathjax_is_loaded_where_there_is_mathematics_and_nowhere_else(book):
    with_maths = {name for name, soup in book.items() if soup.select(".math")}
    assert with_maths == {name for name, soup in book.items() if soup.select('script[src*="tex-svg.js"]')}
    assert "index" not in with_maths and len(with_maths) >= len(NOTEBOOKS) - 1


def test_no_mathematics_is_left_raw(prose, visits):
    assert not {key: facts["formulas"] for key, facts in visits.items() if facts["formulas"]}
    assert not {name: found for name, text in prose.items() if (found := re.findall(r"\$\S|\\[(\[a-z].{9}", text))}


def test_the_explorer_lives_where_it_stands_and_its_script_is_loaded_nowhere_else(book, visits):
    places = {name for name, soup in book.items() if soup.select("div.convolution-explorer")}
    assert places == {name for name, soup in book.items() if soup.select('script[src*="explorer.js"]')}
    assert places == {name for (name, *_), facts in visits.items() if facts["explorers"]}
    assert places == {"explorer", "notebooks/01_convolution_arithmetic"}


def test_no_page_asks_another_host_complains_or_scrolls_sideways(visits):
    for key, facts in visits.items():
        own = ("file:", "data:", "http://127.0.0.1:")
        assert [url for url in facts["requests"] if not url.startswith(own)] == [], key
        assert facts["complaints"] == [] and facts["width"] <= WIDTHS[key[2]], (key, facts)


def test_no_code_and_no_printed_table_of_a_lesson_scrolls_sideways_on_a_desktop(visits):
    pages = {key: facts for key, facts in visits.items() if key[0].startswith("notebooks/") and key[2] == "desktop"}
    assert len(pages) > 9 and [(key, text) for key, facts in pages.items() for text in facts["scrolling"]] == []


def test_accessible_at_wcag_2_2_aa(visits):
    found = {(rule, element, key) for key, facts in visits.items() for rule, element in facts.get("violations", [])}
    excused = {known: {(rule, element, key) for rule, element, key in found if rule == known[0] and known[1] in element}
               for known in NOT_OURS}
    assert found == set().union(*excused.values())
    assert all(excused.values())  # an exception that nothing needs is removed


def test_the_first_page_is_small(visits):
    paths = [urlsplit(url).path for url in visits["index", "server", "phone", "dark"]["requests"]]
    files = [(BOOK / path.lstrip("/")).read_bytes() for path in paths]
    raw, compressed = sum(map(len, files)), sum(len(gzip.compress(file)) for file in files)
    assert raw <= 2.5e6 and compressed <= 0.8e6, (raw, compressed)


@pytest.mark.parametrize("home", ["disk", "server"])
def test_search_works_from_disk_and_from_a_server(browser, book, server, home):
    with browser.new_page() as page:
        facts = visit(page, f"{server if home == 'server' else BOOK.as_uri()}/search.html?q=receptive+field")
        title = book["notebooks/01_convolution_arithmetic"].h1.contents[0]
        assert any(title in found for found in page.locator("ul.search li a").all_inner_texts())
        assert facts["complaints"] == []
        summaries = page.locator("ul.search li p.context")  # text around the words: only a server lets pages be read
        if home == "server":
            summaries.first.wait_for()
        assert bool(summaries.count()) == (home == "server")


def test_below_each_exercise_its_hints_and_its_solution_are_folded_away(book):
    for path in NOTEBOOKS:
        checks = book[f"notebooks/{path.stem}"].select("div.tag_check")
        for check, exercise in zip(checks, exercises.of_lesson(path.stem), strict=True):
            n = len(exercise.hints)
            folds = check.find_next_siblings(limit=n + 1)
            titles = [*(f"Hint {i} of {n}" for i in range(1, n + 1)), "A solution"]
            assert [(fold.name, fold.summary.text) for fold in folds] == [("details", title) for title in titles]
            assert not any(fold.has_attr("open") for fold in folds)
            code = folds[-1].select_one("div.highlight-python pre").text
            assert code.strip() == exercises.source(exercise.function).strip()


def test_each_term_of_the_glossary_is_linked_from_its_first_use_in_every_chapter(book, prose):
    terms = CHAPTERS["terms"]((ROOT / "book" / "glossary.md").read_text())
    entries = [tag.contents[0].strip().replace("’", "'") for tag in book["glossary"].select("dl.glossary dt")]
    assert sorted(entries) == sorted(terms)
    longest_first = "|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True))
    for path in NOTEBOOKS:
        text = prose[f"notebooks/{path.stem}"]
        first = {}
        for match in re.finditer(rf"(⟦?)(?<![\w-])({longest_first})(?:e?s)?(?![\w-])", text, re.IGNORECASE):
            first.setdefault(match[2].lower(), bool(match[1]))
        assert not [term for term, linked in first.items() if not linked], path.stem
        assert text.count("⟦") == len(first), path.stem
