"""A student's first minute: JupyterLab in a real browser, Run All, and nothing red."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

VERDICT = ".convolution-explorer .verdict"
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab that serves a copy of the notebooks, so that a test can never change them: (address, folder)."""
    folder = tmp_path_factory.mktemp("lab") / "notebooks"
    shutil.copytree(ROOT / "notebooks", folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {"HOME": str(folder.parent), "JUPYTER_CONFIG_DIR": str(folder.parent / "jupyter")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
               "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", f"--notebook-dir={folder}"]
    server = subprocess.Popen(command, env=os.environ | home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield address, folder
    finally:
        server.terminate()
        server.wait(300)


@pytest.fixture
def run_all(browser, lab):
    """Opens a notebook and runs all its cells: gives the page, which must ask no other host."""
    address, _ = lab
    asked = []

    def opened(name: str, height: int = 1_500):
        page = browser.new_page(viewport={"width": 1200, "height": height})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/lab/tree/{name}.ipynb?reset")  # without tabs of an earlier visit
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # without a kernel, nothing runs
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.get_by_text(re.compile(r"^\[(\*|\d+)\]:$")).first.wait_for()  # it has begun
        page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', state="attached")
        return page

    yield opened
    assert [url for url in asked if url.startswith("http") and not url.startswith(address)] == []


def write(folder: Path, name: str, cells: list) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), folder / f"{name}.ipynb")


def test_run_all_in_jupyterlab_shows_no_error_and_asks_no_other_host(run_all, lab):
    path = lab[1] / "01_convolution_arithmetic.ipynb"
    before = nbformat.read(path, as_version=4)
    for cell in before.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(before, path)
    page = run_all(path.stem)
    with page.expect_response(lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url):
        page.keyboard.press("Control+s")  # the file holds every cell, the page only those in view
    page.close()
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]


def test_the_explorer_in_jupyterlab_keeps_its_arrow_keys_and_tells_python(run_all, lab):
    show = "from cnncourse.show.explorer import Explorer\nexplorer = Explorer(size=6)\nexplorer"
    write(lab[1], "explorer", [nbformat.v4.new_code_cell(code) for code in (show, "explorer.row, explorer.column")])
    page = run_all("explorer")
    page.wait_for_selector(VERDICT)
    verdict = page.inner_text(VERDICT)
    page.locator('.convolution-explorer td[aria-selected="true"]').focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    assert page.locator('.convolution-explorer td[aria-selected="true"]').get_attribute("data-at") == "1,1"
    assert page.evaluate("document.activeElement.dataset.at") == "1,1"
    page.keyboard.press("b")  # to JupyterLab: a new cell below
    page.locator('.convolution-explorer input[name="stride"]').press("ArrowLeft")
    assert "(6 − 3)/1" in page.inner_text(VERDICT) != verdict
    assert page.locator(".jp-CodeCell").count() == 2
    page.locator(".jp-CodeCell .cm-content").nth(1).click()
    page.keyboard.press("Control+Enter")
    page.get_by_text("(1, 1)").wait_for()
    page.close()


def test_the_deck_in_jupyterlab_shows_slides_keeps_notes_back_and_widgets_alive(run_all, lab):
    from playwright.sync_api import expect

    cells = {"slide": nbformat.v4.new_markdown_cell("# The title"),
             "notes": nbformat.v4.new_markdown_cell("What the instructor says."),
             "skip": nbformat.v4.new_code_cell("from cnncourse.show.explorer import Explorer"),
             "subslide": nbformat.v4.new_markdown_cell("Which column is never seen?"),
             "fragment": nbformat.v4.new_code_cell("Explorer(size=6)")}
    for kind, cell in cells.items():
        cell.metadata.slideshow = {"slide_type": kind}
    write(lab[1], "deck", [*cells.values()])
    page = run_all("deck", height=720)
    title, notes, question = (page.locator(".jp-RenderedMarkdown").get_by_text(text) for text in (
        "The title", "What the instructor says.", "Which column is never seen?"))
    fragment = page.locator(".jp-CodeCell").last
    page.wait_for_selector(VERDICT)
    title.click()
    page.locator('[data-jp-item-name="deck"] jp-button').click()
    notes.wait_for(state="hidden")
    assert title.is_visible() and not question.is_visible()
    page.keyboard.press("Space")
    question.wait_for()
    assert not title.is_visible()
    expect(fragment).to_have_css("opacity", "0")
    page.keyboard.press("Space")
    expect(fragment).to_have_css("opacity", "1")
    page.locator('.convolution-explorer input[name="stride"]').press("ArrowLeft")
    assert "(6 − 3)/1" in page.inner_text(VERDICT)
    assert question.is_visible() and not notes.is_visible()
    page.close()
