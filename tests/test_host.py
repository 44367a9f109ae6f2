"""What the host leaves to the course is taken for what it is: a container's limits, and a home folder that cannot keep
anything or is not there."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from conftest import command

import cnncourse
from cnncourse import exercises
from cnncourse.loop import threads
from cnncourse.tools import doctor, progress

MACHINE = 8  # cores of the stand-in
UNLIMITED = "9223372036854771712"  # how version 1 says it


@pytest.fixture
def host(tmp_path, monkeypatch):
    """host("0::/a/b", {"a/cpu.max": "50000 100000"}): a machine of 8 cores and 25 GB with these control groups."""
    def write(own, files):
        for path, text in files.items():
            path = tmp_path / "cgroup" / path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        (tmp_path / "own").write_text(own + "\n")

    monkeypatch.setattr(threads, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(threads, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(MACHINE)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: MACHINE)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=int(25e9), available=int(20e9)))
    return write


@pytest.mark.parametrize("own, files, cores", [
    ("0::/", {}, MACHINE),
    ("0::/", {"cpu.max": "50000 100000"}, 1),  # half a core; in its own namespace a container sees itself as the top
    ("0::/", {"cpu.max": "250000 100000"}, 2),
    ("0::/", {"cpu.max": "max 100000"}, MACHINE),
    ("0::/", {"cpu.max": "9900000 100000"}, MACHINE),
    ("0::/user/app", {"user/app/cpu.max": "max 100000", "user/cpu.max": "300000 100000"}, 3),
    ("0::/user/app", {"user/app/cpu.max": "400000 100000", "user/cpu.max": "300000 100000"}, 3),
    ("0::/user/app", {"user/app/x": "", "other/cpu.max": "100000 100000"}, MACHINE),  # a limit of others
    ("4:cpu,cpuacct:/docker/1f\n0::/", {"cpu/docker/1f/cpu.cfs_quota_us": "150000",
                                        "cpu/docker/1f/cpu.cfs_period_us": "50000"}, 3),
    ("4:cpu,cpuacct:/docker/1f", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
    ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, MACHINE),
    ("4:cpuset:/", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, MACHINE),
    ("1:name=systemd:/a:b\n0::/a:b", {"unified/a:b/cpu.max": "200000 100000"}, 2),  # both versions side by side
], ids=lambda value: value if isinstance(value, str) else "")
def test_the_usable_cores_are_those_that_the_control_groups_leave(own, files, cores, host):
    host(own, files)
    assert threads.cores() == cores
    ok, found = doctor.cores()
    assert ok and found.startswith(str(cores)) and ("limit" in found) == (cores < MACHINE)


def test_without_control_groups_the_cores_are_those_of_the_process(host, monkeypatch):
    assert threads.cores() == MACHINE  # neither file is there
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads.cores() == 1


@pytest.mark.parametrize("own, files", [
    ("0::/", {"memory.max": "2000000000", "memory.current": "900000000",
              "memory.stat": "anon 7\ninactive_file 400000000"}),
    ("0::/a/b", {"a/memory.max": "2000000000", "a/memory.current": "500000000", "a/memory.stat": "inactive_file 0",
                 "a/b/memory.max": "max", "a/b/memory.current": "1", "a/b/memory.stat": "inactive_file 0"}),
    ("7:memory:/gone", {"memory/memory.limit_in_bytes": "2000000000", "memory/memory.usage_in_bytes": "900000000",
                        "memory/memory.stat": "inactive_file 0\ntotal_inactive_file 400000000"}),
], ids=["version 2", "of a group around it", "version 1"])
def test_the_memory_is_what_the_container_leaves(own, files, host):
    host(own, files)
    ok, found, _ = doctor.memory()
    assert ok and found == "2.0 GB, of which 1.5 GB are free (a limit for this process: the machine has 25.0 GB)"


def test_a_limit_above_the_machines_memory_is_none(host):
    host("7:memory:/", {"memory/memory.limit_in_bytes": UNLIMITED, "memory/memory.usage_in_bytes": "100",
                        "memory/memory.stat": "inactive_file 0\ntotal_inactive_file 0"})
    assert doctor.memory()[:2] == (True, "25.0 GB, of which 20.0 GB are free")


@pytest.fixture(params=["no home folder", "read-only"])
def no_notes(request, monkeypatch, tmp_path):
    """Notes cannot be kept; returns the reason that must be named."""
    monkeypatch.delenv("CNNCOURSE_PROGRESS")
    monkeypatch.delenv("CNNCOURSE_DATA", raising=False)
    if request.param == "no home folder":
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
        return "this user has no home folder for ~"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    def refused(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refused)
    return "Read-only file system"


def test_where_notes_cannot_be_kept_it_is_said_and_checks_work(no_notes, monkeypatch, capsys, tmp_path):
    exercise = exercises.of_lesson("01_convolution_arithmetic")[0]
    exercise.check(exercise.function)
    capsys.readouterr()
    assert command("progress") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert no_notes in last and "CNNCOURSE_PROGRESS" in last and "kept in" not in last
    ok, found, advice = doctor.notes()
    assert ok is None and no_notes in found and "CNNCOURSE_PROGRESS" in advice
    monkeypatch.undo()
    monkeypatch.setenv("CNNCOURSE_PROGRESS", str(tmp_path / "new" / "notes.jsonl"))
    assert not progress.obstacle() and doctor.notes()[:2] == (True, f"kept in {tmp_path / 'new' / 'notes.jsonl'}")


def test_a_user_without_a_home_folder_gets_the_version_and_sentences(tmp_path, monkeypatch, capsys):
    code = "import os, sys; os.path.expanduser = lambda path: path; from cnncourse.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True)
    assert done.stdout == f"cnncourse {cnncourse.__version__}\n", done.stderr
    monkeypatch.delenv("CNNCOURSE_DATA", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    found = {check.name: check for check in doctor.checks(Path("~/.cnncourse"))}
    assert not any("cannot be checked" in check.found for check in found.values())
    assert found["Jupyter kernel"].advice == "Set HOME to a folder that you can write: Jupyter needs one."
    assert command("train", "lenet5", "--data", "mnist", "--root", "~/sets", "--out", "out") == 2
    message = f"this user has no home folder for {Path('~/sets')}: set HOME, or name another place"
    assert capsys.readouterr().err == f"cnncourse: {message}\n" and not list(tmp_path.iterdir())
