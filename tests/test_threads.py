"""Threads: as many as cores that nobody else uses, soon asleep while they wait, and never more than the user allows."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from tqdm import tqdm

from cnncourse import experiment
from cnncourse.loop import pace, threads
from cnncourse.runs import files


def imported(**environment):
    """What a fresh process prints of its threads after `import cnncourse`."""
    code = "import os, cnncourse\nprint(*map(os.environ.get, ('OMP_NUM_THREADS', 'GOMP_SPINCOUNT')))"
    ours = (*threads.THREAD_LIMITS, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run([sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True,
                          check=True)
    return done.stdout.split()


@pytest.mark.parametrize("looks, free", [
    ([1, 1, 1, 1, 1], 8), ([3, 3, 3, 3, 3], 6), ([9, 9, 1, 9, 9], 8), ([4, 3, 5, 6, 4], 6), ([40] * 5, 1)], ids=str)
def test_a_core_is_taken_where_others_run_at_every_look(looks, free, monkeypatch):
    lines = iter(f"9.99 5.00 2.00 {running}/321 4567\n" for running in looks)
    monkeypatch.setattr(threads, "LOAD", SimpleNamespace(read_text=lambda: next(lines)))
    monkeypatch.setattr(threads, "cores", lambda: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert threads.idle_cores() == free


def test_a_system_that_does_not_say_what_runs_has_all_cores_free(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "LOAD", tmp_path / "loadavg")
    assert threads.idle_cores() == threads.cores()
    (tmp_path / "loadavg").write_text("no numbers")
    assert threads.idle_cores() == threads.cores()


@pytest.mark.skipif(not threads.LOAD.exists() or (os.cpu_count() or 1) < 2, reason="two cores, and Linux")
def test_beside_programs_on_all_other_cores_there_is_one_thread():
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() - 1)]
    try:
        assert imported() == ["1", "10000"]
    finally:
        for program in programs:
            program.kill()


def test_what_the_user_has_chosen_stays():
    assert imported(OMP_NUM_THREADS="3", OMP_WAIT_POLICY="active") == ["3", "None"]
    assert imported(MKL_NUM_THREADS="1", GOMP_SPINCOUNT="7") == ["None", "7"]


@pytest.mark.parametrize("twins, free, chosen", [("1", 3, 3), ("1", 4, None), ("0", 7, 7), ("0", 8, None),
                                                 (None, 7, 7)])
def test_where_torch_was_imported_first_its_threads_are_set_if_a_core_is_taken(twins, free, chosen, tmp_path,
                                                                               monkeypatch):
    """Of 8 cores; of twins, two that share one, PyTorch uses one anyhow."""
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(threads, "idle_cores", lambda: free)
    monkeypatch.setattr(threads, "TWINS", tmp_path / "active")
    if twins:
        threads.TWINS.write_text(f"{twins}\n")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for name in threads.THREAD_LIMITS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "")  # so that it is put back after the test
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads.choose_threads() and asked == [chosen] * (chosen is not None)
    assert os.environ.get("OMP_NUM_THREADS") == (str(chosen) if chosen else None)


def test_a_run_says_once_that_its_steps_have_become_much_slower(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: clock[0])
    batches = pace.Paced(range(300), tqdm(disable=False, file=open(os.devnull, "w")))
    said = []
    monkeypatch.setattr(pace.warnings, "warn", lambda text, **_: said.append((step, text)))
    for step in batches:
        clock[0] += 1 if step < 100 else 2.5 if step < 200 else 9
    assert [step for step, _ in said] == [200]
    assert "9 times as long as before" in said[0][1] and "OMP_NUM_THREADS=1" in said[0][1]


def test_a_resumed_run_goes_on_with_the_threads_it_had(tmp_path, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(files, "cores", lambda: 8)
    try:
        for mine, ours, threads in ((False, 2, 1), (True, 2, 2)):
            torch.set_num_threads(ours)
            out = tmp_path / str(mine)
            experiment.run("mnist_cnn", epochs=1, out=out)
            torch.set_num_threads(1)
            monkeypatch.setattr(files, "THREADS_ARE_OURS", mine)
            record = experiment.run("mnist_cnn", epochs=1, out=out, resume=True)
            assert record.machine["threads"] == torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
