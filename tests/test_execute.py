"""Notebooks are executed as a reader would, and what became of each is told truthfully."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from conftest import needs_posix
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cnncourse.tools import execute
from cnncourse.tools.execute import Result, report_table, run

# The first two cells of every notebook are a title and the parameters: what is listed here begins with cell 3.
NOTEBOOKS = {
    "raises": ["1 + 1", "raise ValueError('bad | news\\nin two lines')", "print('not reached')"],
    "prints": ["import os\nprint(profile)\nprint(os.getcwd())\nprint(os.environ['OMP_NUM_THREADS'])"],
    "hangs": ["1", "2", "import time\nwhile True: time.sleep(1)"],
    "exits": ["import os\nos._exit(3)"],
    "leaves": ["print('this far')\nimport sys\nsys.exit(0)", "print('not reached')"],
    "is_killed": ["1", "import os, signal\nos.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))"],
    "fills_memory": ["import time\nheld = bytearray(b'x') * 200_000_000\ntime.sleep(0.4)\ndel held", "time.sleep(0.4)"],
}
QUICK, SLOW = ["1"], ["import time\nwhile True:\n    try: time.sleep(1)\n    except KeyboardInterrupt: pass"]


def write(folder, name, sources):
    title, cells = new_markdown_cell("# Title"), [new_code_cell(source) for source in sources]
    parameters = new_code_cell("profile = 'none given'", metadata={"tags": ["parameters"]})
    path = folder / f"{name}.ipynb"
    path.write_text(nbformat.writes(new_notebook(cells=[title, parameters, *cells])), encoding="utf-8")
    return path


def command(notebooks, out):
    """This process's Python, running notebooks in a process of its own that heeds Ctrl-C."""
    lines = ["import signal", "from pathlib import Path", "from cnncourse.tools.execute import run"]
    lines += ["signal.signal(signal.SIGINT, signal.default_int_handler)"]
    lines += [f"run([{', '.join(f'Path({str(path)!r})' for path in notebooks)}], 'tiny', 2, Path({str(out)!r}))"]
    return [sys.executable, "-c", "\n".join(lines)]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder, out = tmp_path_factory.mktemp("kurs {2026}"), tmp_path_factory.mktemp("executed {0}")
    (out / "broken.ipynb").write_text("left by an earlier run")
    (folder / "broken.ipynb").write_text("this is no notebook")
    paths = [write(folder, name, sources) for name, sources in NOTEBOOKS.items()] + [folder / "broken.ipynb"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "cores", lambda: 8)
        for name in execute.THREAD_LIMITS:
            patch.delenv(name, raising=False)
        results = run(paths, "laptop", jobs=3, out=out, timeout=4)
    return folder, out, {result.notebook: result for result in results}


def printed(out, name):
    cells = nbformat.read(out / f"{name}.ipynb", as_version=4).cells
    return "".join(output.text for cell in cells for output in cell.get("outputs", []) if "text" in output)


def test_a_failing_notebook_does_not_stop_the_next_and_the_order_is_kept(course):
    results = course[2]
    assert list(results) == [*NOTEBOOKS, "broken"]
    assert [name for name, result in results.items() if result.status == "passed"] == ["prints", "fills_memory"]


def test_the_profile_the_folder_and_the_threads_reach_the_kernel(course):
    folder, out, _ = course
    assert printed(out, "prints").splitlines() == ["laptop", str(folder.resolve()), str(8 // 3)]


def test_a_failure_is_named_by_the_cell_of_the_source_and_the_error_on_one_line(course):
    _, out, results = course
    failed = results["raises"]
    assert (failed.status, failed.cell, failed.error) == ("failed", 4, "ValueError: bad | news in two lines")
    assert "not reached" not in printed(out, "raises")


def test_a_cell_that_takes_too_long_is_timed_out_and_not_passed(course):
    hung = course[2]["hangs"]
    assert (hung.status, hung.cell) == ("timed out", 5)
    assert "4 seconds" in hung.error and 4 <= hung.seconds
    assert len(nbformat.read(course[1] / "hangs.ipynb", as_version=4).cells) == 6  # with the one of the parameters


def test_a_cell_that_leaves_the_notebook_has_failed_although_it_left_with_zero(course):
    _, out, results = course
    left = results["leaves"]
    assert (left.status, left.cell) == ("failed", 3) and "those below it did not run" in left.error
    assert "this far" in printed(out, "leaves") and "not reached" not in printed(out, "leaves")


@pytest.mark.parametrize("given, jobs, threads", [
    ({}, 1, 8), ({}, 3, 2), ({}, 9, 1), ({"OMP_NUM_THREADS": "1"}, 1, 1), ({"OMP_NUM_THREADS": "3"}, 2, 3),
    ({"OMP_NUM_THREADS": "6"}, 2, 4), ({"MKL_NUM_THREADS": "2", "OMP_NUM_THREADS": "4,2"}, 1, 2),
    ({"OMP_NUM_THREADS": "0"}, 1, 1), ({"OMP_NUM_THREADS": "many"}, 1, 8)])
def test_a_kernel_has_its_share_of_the_cores_and_never_more_threads_than_allowed(given, jobs, threads, monkeypatch):
    monkeypatch.setattr(execute, "cores", lambda: 8)
    for name in execute.THREAD_LIMITS:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert execute.threads_each(jobs) == threads


def test_a_kernel_that_dies_has_failed_and_its_exit_code_is_told(course):
    exits, killed = course[2]["exits"], course[2]["is_killed"]
    assert (exits.status, exits.cell, killed.status, killed.cell) == ("failed", 3, "failed", 4)
    assert exits.error == "DeadKernelError: the kernel died with exit code 3"
    assert os.name != "posix" or "memory may have run out" in killed.error


def test_a_file_that_is_no_notebook_has_failed_and_an_older_result_does_not_stand_for_it(course):
    _, out, results = course
    assert results["broken"].status == "failed" and results["broken"].cell is None
    assert not (out / "broken.ipynb").exists()


def test_peak_memory_sees_200_mb_that_were_held_for_a_moment(course):
    results = course[2]
    assert 190 <= results["fills_memory"].peak_mb - results["prints"].peak_mb < 260
    assert results["prints"].peak_mb > 20


def test_both_reports_hold_every_notebook_and_the_machine(course):
    _, out, results = course
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [Result(**row) for row in report["results"]] == list(results.values())
    assert report["machine"]["notebooks finished"] == "8 of 8"
    assert {"python", "torch", "platform", "cores", "jobs", "profile", "total seconds"} <= set(report["machine"])
    page = (out / "report.md").read_text(encoding="utf-8")
    assert all(re.search(rf"^\| {name} +\| {result.status} +\|", page, re.M) for name, result in results.items())
    assert r"bad \| news" in page and not list(out.glob("*.partial"))


def test_the_table_has_aligned_columns_and_a_total():
    results = [Result("a", "passed", 1.5, 90), Result("longer", "timed out", 20.0, 120, 7, "SomeError: why")]
    heading, first, second, total = report_table(results).splitlines()
    assert heading.index("status") == first.index("passed") == second.index("timed out")
    assert second.split()[-3:] == ["7", "SomeError:", "why"] and "None" not in first
    assert total == "1 of 2 passed; 21.5 s in all; at most 120 MB in one notebook"


@needs_posix
@pytest.mark.soak
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_a_run_that_is_stopped_leaves_no_kernel_and_reports_what_had_finished(tmp_path, how):
    out, temporary = tmp_path / "out", tmp_path / "t"
    temporary.mkdir()
    notebooks = [write(tmp_path, "slow", SLOW), write(tmp_path, "quick", QUICK)]
    running = subprocess.Popen([sys.executable, "-m", "cnncourse", "run", *notebooks, "--jobs", "2", "--out", out],
                               stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(temporary)},
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    try:
        assert any("[1/2] quick: passed in " in line for line in running.stderr)  # readable in a pipe, and at once
        kernels = psutil.Process(running.pid).children(recursive=True)
        assert any("ipykernel_launcher" in kernel.cmdline() for kernel in kernels)
        running.send_signal(how)
        assert "stopped; the report of the notebooks that had finished is in" in running.communicate(timeout=300)[1]
    finally:
        running.kill()
    assert running.returncode == 130 and psutil.wait_procs(kernels, timeout=0)[1] == []
    assert list(temporary.iterdir()) == []
    report = json.loads((out / "report.json").read_text())
    assert [row["notebook"] for row in report["results"]] == ["quick"]
    assert report["machine"]["notebooks finished"] == "1 of 2"


def test_a_console_without_the_signs_of_an_error_gets_the_table_all_the_same(tmp_path):
    failing = write(tmp_path, "failing", ["raise ValueError('3 \u2192 4')"])
    done = subprocess.run([sys.executable, "-m", "cnncourse", "run", failing, "--out", tmp_path / "out"],
                          env=os.environ | {"PYTHONIOENCODING": "ascii"}, capture_output=True, text=True)
    assert done.returncode == 1 and "ValueError: 3 ? 4" in done.stdout and "0 of 1 passed" in done.stdout


@pytest.mark.parametrize("step, jobs, words", [
    (0.1, 1, "2 hours"), (0.2, 1, "4 hours"), (0.1, 2, "60 minutes"), (0.1, 3, "60 minutes"), (0.02, 1, ""),
    (3.0, 1, "2 days"), (None, 1, "")])
def test_an_estimate_scales_the_known_minutes_with_a_step_that_is_measured_here(step, jobs, words, monkeypatch):
    minutes = {"01": 30, "02": 60, "03": 30}
    monkeypatch.setitem(execute.PROFILES, "laptop", replace(execute.PROFILES["laptop"], minutes=minutes))
    monkeypatch.setattr(execute, "STEP", 0.1)
    monkeypatch.setattr(execute, "cores", lambda: 2)
    given = []
    monkeypatch.setattr(execute.subprocess, "run", lambda command, env, **_: given.append(env) or SimpleNamespace(
        stdout=f"{step}\n" if step else ""))
    found = execute.estimate([Path(f"0{i}_lesson.ipynb") for i in range(1, 5)], "laptop", jobs)
    assert words in found and bool(words) is bool(found)
    assert given[0]["OMP_NUM_THREADS"] == str(execute.threads_each(jobs))
    assert execute.estimate([Path("09_lesson.ipynb")], "laptop", jobs) == "" and len(given) == 1


def test_the_step_of_the_estimate_is_measured_in_seconds():
    done = subprocess.run([sys.executable, "-c", execute.STEPS], capture_output=True, text=True, check=True,
                          env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    assert not done.stdout or 1e-3 < float(done.stdout) < 100
    assert 0.01 < execute.STEP < 1


@needs_posix
def test_notebooks_run_without_any_network_and_leave_no_files_behind(tmp_path):
    isolated = ["unshare", "--map-root-user", "--net"]  # not even the loopback interface is up
    if not shutil.which("unshare") or subprocess.run([*isolated, "true"], capture_output=True).returncode:
        pytest.skip("this system does not allow network namespaces")
    embedded = "from cnncourse.data import load\nload('digits')\nload('shapes', limit=8)"
    notebooks, out, temporary = [write(tmp_path, "quick", [embedded])], tmp_path / "out", tmp_path / "t"
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    done = subprocess.run([*isolated, *command(notebooks, out)], capture_output=True, text=True, env=environment)
    assert "[1/1] quick: passed" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "quick.ipynb", "t"]
    assert list(temporary.iterdir()) == []


def test_notebooks_are_never_overwritten_by_their_executed_copies(tmp_path):
    notebook = write(tmp_path, "quick", QUICK)
    before = notebook.read_text()
    with pytest.raises(ValueError, match="another folder"):
        run([notebook], "tiny", 1, tmp_path)
    assert notebook.read_text() == before


def test_a_number_of_jobs_below_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match="jobs is 0"):
        run([], "tiny", 0, tmp_path)


def test_the_measured_time_goes_into_the_header_and_the_longest_notebook_begins_first(tmp_path):
    names = ("short", "long", "failed")
    paths = [tmp_path / f"{name}.ipynb" for name in names]
    for path in paths:
        header = nbformat.v4.new_markdown_cell("# A lesson\n\n*Measured: 1 seconds and 0.1 GB on 9 cores (abacus).*")
        nbformat.write(nbformat.v4.new_notebook(cells=[header, nbformat.v4.new_code_cell("print(7)")]), path)
    results = [execute.Result("short", "passed", 12.4, 930), execute.Result("long", "passed", 41.6, 1260),
               execute.Result("failed", "failed", 99.0, 50)]
    execute.update_times(paths, results)
    assert [execute.measured(path) for path in paths] == [12, 42, 1]
    words = nbformat.read(paths[1], as_version=4).cells[0].source
    assert f"42 seconds and 1.3 GB on {execute.cores()} cores" in words and "abacus" not in words
    begun = [result.notebook for result in execute.run(paths, "tiny", 1, tmp_path / "out")]
    assert begun == list(names)  # the report keeps the order
    ended = sorted(paths, key=lambda path: (tmp_path / "out" / path.name).stat().st_mtime_ns)
    assert [path.stem for path in ended] == ["long", "short", "failed"]


def test_a_notebook_that_takes_much_longer_than_usual_is_told_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(execute, "measured", lambda source: 0.1)
    run([write(tmp_path, name, QUICK) for name in ("first", "second")], "tiny", 1, tmp_path / "out")
    assert capsys.readouterr().err.count("over four times its usual 0.1 seconds: another program") == 1
