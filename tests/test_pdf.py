"""What is printed: whole, numbered, with contents that lead to the right page; and a booklet without an answer."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
from conftest import NOTEBOOKS, ROOT, from_book
from pypdf import PdfReader

from cnncourse.instructor import exam, quiz


def texts(path: Path) -> list[str]:
    """The words of each page."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(path).pages]


def test_the_booklet_has_every_task_and_question_with_contents_that_are_right_and_no_answer(browser, tmp_path):
    from_book("paper")["booklet"](browser.new_page(), tmp_path)
    pages = texts(tmp_path / "booklet.pdf")
    assert [page.split()[0] for page in pages[1:]] == [str(number) for number in range(2, len(pages) + 1)]
    whole = " ".join(pages).replace(" ", "")
    for path in NOTEBOOKS:
        title, *cells = nbformat.read(path, as_version=4).cells
        title = title.source.splitlines()[0].lstrip("# ")
        number = int(re.search(re.escape(title) + r" (\d+)", pages[0])[1])
        assert title in pages[number - 1]
        for cell in cells:
            for heading in re.findall(r"^### ((?:Exercise|Case) .*)", cell.source, re.MULTILINE):
                if cell.cell_type == "markdown":
                    assert re.sub(r"[\s`]|\\$", "", heading) in whole, heading
        for item in quiz.of_lesson(path):
            for answer in item.answers:
                words = re.sub(r"<[^>]*>|\s", "", answer.feedback)
                assert "\\" in words or words[:60] not in whole, answer.feedback
    assert whole.count("D.") >= 20 and "Right:" not in whole


def test_a_sheet_and_its_key_are_printed_as_they_stand(browser, tmp_path):
    exam.write(4711, tmp_path)
    from_book("paper")["exam"](browser.new_page(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"exam.md", "exam.pdf", "key.md", "key.pdf"}
    for name in ("exam", "key"):
        whole, text = " ".join(texts(tmp_path / f"{name}.pdf")), (tmp_path / f"{name}.md").read_text()
        assert all(heading in whole for heading in re.findall("^## (.*)", text, re.MULTILINE))
        codes = re.findall(r"`([^`\n]+)`", text)
        assert len(codes) > 20 and all(code.replace(" ", "") in whole.replace(" ", "") for code in codes)


def test_a_book_is_unfolded_and_each_chapter_begins_a_page_that_the_contents_name(browser, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text("extensions = ['myst_parser']\n")
    (source / "index.md").write_text("# The book\n\n## About it\n\nWords.\n\n```{toctree}\n1\n2\n3\n```\n")
    for n in (1, 2, 3):
        folded = f"<details><summary>Hint</summary>\n\nFolded {n}\n\n</details>\n\n"
        (source / f"{n}.md").write_text(f"# Chapter {n}\n\n## Part of {n}\n\n{folded}" + "A line.\n\n" * 60 * n +
                                        f"### Detail of {n}\n")
    subprocess.run([sys.executable, "-m", "sphinx", "-q", "-b", "singlehtml", "-D", "html_theme=basic", source,
                    tmp_path / "page"], check=True)
    from_book("paper")["book"](browser.new_page(), tmp_path)
    pages, read = texts(tmp_path / "book.pdf"), PdfReader(tmp_path / "book.pdf")
    contents = next(page for page in pages if "Contents" in page)
    starts = [int(n) for n in re.findall(r"Chapter \d (\d+) Part of", contents)]
    assert len(starts) == 3 and all(later - earlier > 1 for earlier, later in pairwise(starts))
    for n, start in enumerate(starts, 1):
        assert pages[start - 1].startswith(f"{start} Chapter {n} Part of {n} Hint Folded {n}")
        assert f"Detail of {n}" not in contents
    titles = [entry.title for entry in read.outline if not isinstance(entry, list)]
    assert "¶" not in " ".join(pages) and {"Chapter 1", "Chapter 3"} <= set(titles)


def test_a_deck_is_printed_a_page_a_slide(browser, tmp_path):
    from_book("slides")["build"](NOTEBOOKS[3:4], tmp_path)
    from_book("paper")["slides"](browser.new_page(), tmp_path)
    pages = texts(tmp_path / "04_vgg.pdf")
    cells = nbformat.read(NOTEBOOKS[3], as_version=4).cells
    shown = [cell.metadata.get("slideshow", {}).get("slide_type") for cell in cells]
    assert len(pages) == shown.count("slide") + shown.count("subslide")
    assert "4. VGG" in pages[0] and "Take-aways" in pages[-1]
    box = PdfReader(tmp_path / "04_vgg.pdf").pages[0].mediabox
    assert abs(box.width / box.height - 16 / 9) < 0.01


def test_without_chromium_a_sentence_says_what_to_install(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "book" / "paper.py", "booklet", tmp_path / "new"],
                          env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1 and not (tmp_path / "new").exists()
    assert done.stderr == "A PDF needs Chromium, which is not installed (Debian: apt install chromium).\n"
