"""A student's first minute: JupyterLab in a real browser, Run All, and nothing red."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab that serves a copy of the notebooks, so that a test can never change them: (address, folder)."""
    folder = tmp_path_factory.mktemp("lab") / "notebooks"
    shutil.copytree(NOTEBOOKS, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {"HOME": str(folder.parent), "JUPYTER_CONFIG_DIR": str(folder.parent / "jupyter")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
               "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", f"--notebook-dir={folder}"]
    server = subprocess.Popen(command, env=os.environ | home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield address, folder
    finally:
        server.terminate()
        server.wait(20)


def without_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def wait_until(page, status: str, seconds: int) -> None:
    indicator = f'.jp-Notebook-ExecutionIndicator[data-status="{status}"]'
    page.wait_for_selector(indicator, state="attached", timeout=1000 * seconds)


def run_all(browser, address: str, name: str, picture: Path | None = None) -> list[str]:
    """Open a notebook, run all cells and save it; returns the requests to other hosts."""
    foreign = []
    # A tall window: JupyterLab draws only the cells that can be seen.
    page = browser.new_page(viewport={"width": 1200, "height": 30_000 if picture else 1_500})
    page.on("request", lambda r: foreign.append(r.url))
    page.goto(f"{address}/lab/tree/{name}.ipynb?reset")  # without tabs of an earlier visit
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=90_000)  # without a kernel, nothing runs
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    wait_until(page, "busy", 60)
    wait_until(page, "idle", 300)
    page.keyboard.press("Control+s")  # the file holds every cell, the page only those in view
    page.wait_for_timeout(3000)
    if picture:
        page.wait_for_timeout(1500)
        page.locator(".jp-NotebookPanel:visible .jp-Notebook").screenshot(path=picture)
    page.close()
    return [url for url in foreign if url.startswith("http") and not url.startswith(address)]


def test_run_all_in_jupyterlab_shows_no_error_and_asks_no_other_host(browser, lab):
    address, folder = lab
    path = folder / "01_convolution_arithmetic.ipynb"
    nbformat.write(without_outputs(nbformat.read(path, as_version=4)), path)
    assert run_all(browser, address, path.stem) == []
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]
