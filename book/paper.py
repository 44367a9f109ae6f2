"""What is given out on paper, as PDF, printed by Chromium: `make pdf` and `make slides`.

    python book/paper.py book|booklet|exam|slides FOLDER

writes PDFs into FOLDER. book: of the page that Sphinx has built in FOLDER/page. booklet: of the tasks and questions,
without answers. exam: of each .md file in FOLDER, such as a sheet and its key. slides: of each deck in FOLDER.
"""

import io
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader, PdfWriter

from cnncourse.instructor import quiz
from cnncourse.instructor.editions import has

HERE = Path(__file__).parent
MATHJAX = Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax/tex-svg.js"))
STYLE = """
@page { size: A4; margin: 20mm 18mm; @bottom-center { content: counter(page); font: 9pt sans-serif; } }
@page :first { @bottom-center { content: none; } }
body { font: 10.5pt/1.4 "DejaVu Sans", sans-serif; font-variant-ligatures: none; /* so that words are found */
  margin: 0; color: black; background: white; }
h1, h2, h3, h4 { break-after: avoid; line-height: 1.2; }
h1 { font-size: 20pt; } h2 { font-size: 14pt; } h3 { font-size: 12pt; }
.part { break-before: page; }
pre, code { font: 8.5pt/1.35 "DejaVu Sans Mono", monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f4f4; padding: 6px 8px; margin: 6px 0; }
img, svg { max-width: 100%; } img, figure, figcaption, table tr, .task { break-inside: avoid; }
img { max-height: 225mm; }
table { border-collapse: collapse; font-size: 9pt; margin: 8px 0; } th, td { border: 1px solid #999; padding: 2px 6px; }
summary { font-weight: bold; list-style: none; margin-top: 6px; }
.choice { margin: 2px 0 2px 6mm; } .room { height: 26mm; }
nav.contents { break-after: page; } nav.contents a { display: flex; color: black; text-decoration: none; }
nav.contents a span { flex: 1; border-bottom: 1px dotted #777; margin: 0 4px 4px; }
nav.contents .inner { padding-left: 7mm; font-size: 9.5pt; }
/* what only a screen can do */
summary:has(> .collapsed), .headerlink, .related, .sphinxsidebar, .footer, .toctree-wrapper > p { display: none; }
"""
# The contents stand before the first part; their page numbers come from the first of two prints.
CONTENTS = """(headings) => {
  const nav = document.createElement("nav"); nav.className = "contents"; nav.innerHTML = "<h1>Contents</h1>";
  document.querySelectorAll(headings).forEach((heading, i) => {
    const link = document.createElement("a"), copy = heading.cloneNode(true);
    copy.querySelectorAll(".headerlink").forEach((mark) => mark.remove());
    heading.id = "heading" + i; link.href = "#heading" + i;
    link.append(copy.textContent.trim(), document.createElement("span"), document.createElement("b"));
    if (heading.tagName != "H1") link.className = "inner";
    nav.append(link);
  });
  document.querySelector(".part").before(nav);
}"""
NUMBERS = """(pages) => document.querySelectorAll("nav.contents a").forEach((link) => {
  link.lastChild.textContent = pages[link.hash.slice(1)];
})"""


def document(title: str, body: str) -> str:
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
            f'<script src="{MATHJAX.as_uri()}"></script><body>{body}</body></html>')


def printed(page: Page, source: Path, target: Path, headings: str = "", first: Callable = lambda page: None) -> None:
    """A page of HTML as a PDF with page numbers and bookmarks; contents of what the selector `headings` finds."""
    page.goto(source.resolve().as_uri())
    first(page)
    page.evaluate("window.MathJax && MathJax.startup.promise")
    options = {"prefer_css_page_size": True, "print_background": True, "outline": True, "tagged": True}
    if headings:
        page.evaluate(CONTENTS, headings)
        reader = PdfReader(io.BytesIO(page.pdf(**options)))
        page.evaluate(NUMBERS, {name.removeprefix("/"): reader.get_destination_page_number(place) + 1
                                for name, place in reader.named_destinations.items()})
    page.pdf(path=target, **options)
    print(target)


# In Sphinx's single page a chapter's headings have the ranks of the place where its contents are listed.
UNFOLD = """() => {
  for (const link of document.querySelectorAll("link[rel=stylesheet]:not([href*=pygments])")) link.remove();
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  for (const chapter of document.querySelectorAll(".toctree-wrapper > section")) {
    chapter.classList.add("part");
    const headings = [...chapter.querySelectorAll("h1, h2, h3, h4, h5, h6")], rank = headings[0].tagName[1] - 1;
    for (const heading of headings) {
      const raised = document.createElement("h" + (heading.tagName[1] - rank));
      raised.append(...heading.childNodes); heading.replaceWith(raised);
    }
  }
}"""


def book(page: Page, folder: Path) -> None:
    """Sphinx's single page: everything unfolded, each chapter on a new page."""
    def unfolded(page: Page) -> None:
        page.add_style_tag(content=STYLE)
        page.evaluate(UNFOLD)

    printed(page, folder / "page" / "index.html", folder / "book.pdf", ".part > h1, .part > section > h2", unfolded)


def booklet(page: Page, folder: Path) -> None:
    """The tasks with their stubs, the questions with their choices, and room to write; no answer of either."""
    parts = ["<h1>Classic convolutional networks</h1><p>Tasks and questions of the nine lessons. Name:</p>"]
    for path in sorted((HERE.parent / "notebooks").glob("[0-9]*.ipynb")):
        parts.append(of_lesson(path))
    source = folder / "booklet.html"
    source.write_text(document("Tasks and questions", "\n".join(parts)), encoding="utf-8")
    printed(page, source, folder / "booklet.pdf", ".part > h1, .part > h2")


def of_lesson(path: Path) -> str:
    as_html, cells = quiz.to_html(), nbformat.read(path, as_version=4).cells
    questions, tasks, text = [], [], ""
    for number, item in enumerate(quiz.of_lesson(path), 1):
        choices = "".join(f"<p class='choice'>{letter}. {answer.text.removeprefix('<p>')}"
                          for letter, answer in zip("ABCDEFG", item.answers, strict=False))
        asked = f"<p><strong>{number}.</strong> {item.text.removeprefix('<p>')}"
        questions.append(f"<div class='task'>{asked}{choices}</div>")
    for cell in cells:
        if cell.cell_type == "markdown" and not has(cell, "question"):
            text = cell.source if "### " in cell.source else f"{text}\n\n{cell.source}"  # since the last heading
        elif has(cell, "exercise"):
            task = as_html(f"{text}\n\n```python\n{cell.source}\n```")
            tasks.append(f"<div class='task'>{task}</div><div class='room'></div>")
    title = as_html(cells[0].source.splitlines()[0])
    return (f"<section class='part'>{title}<h2>Questions</h2>{''.join(questions)}"
            f"<h2>Tasks</h2>{''.join(tasks)}</section>")


def exam(page: Page, folder: Path) -> None:
    as_html = quiz.to_html()
    for path in sorted(folder.glob("*.md")):
        source = path.with_suffix(".html")
        source.write_text(document(path.stem, as_html(path.read_text(encoding="utf-8"))), encoding="utf-8")
        printed(page, source, path.with_suffix(".pdf"))
        source.unlink()


def slides(page: Page, folder: Path) -> None:
    """A deck as it is shown, a page a slide, with all its fragments."""
    page.set_viewport_size({"width": 1280, "height": 720})
    page.emulate_media(media="screen")
    for source in sorted(folder.glob("*.html")):
        page.goto(source.resolve().as_uri())
        page.wait_for_selector("html[data-ready]")
        deck = PdfWriter()
        for place in page.evaluate("Reveal.getSlides().map((slide) => Reveal.getIndices(slide))"):
            page.evaluate("(place) => Reveal.slide(place.h, place.v, Infinity)", place)
            shown = page.pdf(width="1280px", height="720px", print_background=True, page_ranges="1")
            deck.append(io.BytesIO(shown), import_outline=False)
        deck.write(source.with_suffix(".pdf"))
        print(source.with_suffix(".pdf"))


if __name__ == "__main__":
    what, folder = {"book": book, "booklet": booklet, "exam": exam, "slides": slides}[sys.argv[1]], Path(sys.argv[2])
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("A PDF needs Chromium, which is not installed (Debian: apt install chromium).")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page()
        page.set_default_timeout(0)  # a whole book takes its time
        what(page, folder)
        browser.close()
