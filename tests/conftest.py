"""Every test runs on few threads, because several test processes share the cores, on the processor, where equal seeds
give equal numbers, and on the same random numbers."""

import functools
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["CNNCOURSE_PROGRESS"] = os.path.join(tempfile.mkdtemp(), "progress.jsonl")  # tests solve nothing

import pytest  # noqa: E402
import torch  # noqa: E402

torch.backends.mps.is_available = functools.cache(lambda: False)  # PyTorch itself asks for a cached function

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals, forks and sockets of POSIX")


def from_book(name: str) -> dict:
    """What a module of the book's folder defines, by name."""
    return runpy.run_path(str(ROOT / "book" / f"{name}.py"))


def real_data(*names: str) -> Path:
    """The folder of the data sets that are downloaded; skips the test where one of these is not in it."""
    from cnncourse import expanded
    from cnncourse.datasets.checksums import look

    root = expanded(os.environ.get("CNNCOURSE_DATA") or "~/.cnncourse")
    if absent := [name for name in names if look(name, root)[0]]:
        pytest.skip(f"{' and '.join(absent)} not under {root}: set CNNCOURSE_DATA")
    return root


def command(*words) -> int:
    """The exit status of `cnncourse` with these words, in this process."""
    from cnncourse.__main__ import main

    return main([*map(str, words)])


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.fixturenames:
            item.add_marker("soak")


def in_a_process_of_its_own(test):
    """Decorator for tests that fork: PyTorch cannot go backwards in a child whose parent has started its threads, and
    which tests ran before in this process is chance."""
    @functools.wraps(test)
    def run(*args, **kwargs):
        if "CNNCOURSE_ALONE" in os.environ:
            return test(*args, **kwargs)
        name = os.environ["PYTEST_CURRENT_TEST"].rpartition(" (")[0]
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", name], capture_output=True,
                              cwd=ROOT, env=os.environ | {"CNNCOURSE_ALONE": "1"}, text=True)
        assert done.returncode == 0, done.stdout
    return run


@pytest.fixture(autouse=True)
def same_random_numbers():
    torch.manual_seed(0)


def patient(make, **options):
    made = make(**options)
    getattr(made, "context", made).set_default_timeout(300_000)  # for windows that the page opens as well
    return made


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, driven by Playwright. Without it, tests that need it are skipped; in CI they fail."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no chromium here (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright  # of the developer's environment

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        for name in ("new_page", "new_context"):  # half a minute is too short for a page where others use the processor
            setattr(browser, name, functools.partial(patient, getattr(browser, name)))
        yield browser
        browser.close()
