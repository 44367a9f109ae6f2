"""The doctor says what to do, whatever is missing, and never shows a traceback."""

import hashlib
import shutil
import sys
from collections import namedtuple
from importlib import metadata
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest

from cnncourse.datasets import checksums
from cnncourse.tools import doctor
from cnncourse.tools.doctor import Check, checks, render

GB = 1e9


@pytest.fixture
def without_torch(monkeypatch):
    """Importing torch fails, as if it were not installed; this also makes the tests fast."""
    for name in ("torch", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def look(tmp_path, without_torch):
    """look("disk"): that one check, made now, with an empty folder of data sets."""
    return lambda name: next(check for check in checks(tmp_path) if check.name == name)


def test_a_complete_environment_needs_nothing(tmp_path):
    found = checks(tmp_path)
    assert [check for check in found if check.ok is False] == []
    torch = next(check for check in found if check.name == "PyTorch")
    assert torch.ok and metadata.version("torch") in torch.found and metadata.version("torchvision") in torch.found
    assert render(found).endswith("\nEverything needed is here.")


def test_a_mismatched_pair_is_found_by_using_it_and_both_versions_are_told(look, monkeypatch):
    nms = Mock(side_effect=RuntimeError("operator torchvision::nms does not exist"))
    pair = {"torch": SimpleNamespace(zeros=lambda *_: 0), "torchvision": SimpleNamespace(ops=SimpleNamespace(nms=nms))}
    for name, module in pair.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(doctor, "version", {"torch": "2.15.0+cpu", "torchvision": "0.29.2+cu130"}.get)
    ok, found, advice = doctor.pytorch()
    assert ok is False and "torchvision::nms" in found and "2.15.0+cpu" in found and "0.29.2+cu130" in found
    assert "together" in advice


def test_a_pair_that_fails_at_its_import_is_a_fault_too(monkeypatch, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    ok, found, advice = doctor.pytorch()
    assert ok is False and "torchvision::nms" in found and "together" in advice


@pytest.mark.parametrize("usable, free, ok", [(2, 2, True), (2, 1, None), (1, 1, True), (8, 3, None)])
def test_other_work_is_noted_where_it_takes_a_core_from_the_course(usable, free, ok, look, monkeypatch):
    monkeypatch.setattr(doctor, "usable_cores", lambda: usable)
    monkeypatch.setattr(doctor, "idle_cores", lambda: free)
    check = look("load")
    assert check.ok is ok and f"keeps {usable - free} of {usable} cores busy" in check.found


def test_nothing_at_all_installed_is_told_without_a_traceback(tmp_path, without_torch, monkeypatch):
    for name in ("psutil", "packaging", "packaging.requirements", "jupyter_client", "jupyter_client.kernelspec"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("requires", "version"):
        monkeypatch.setattr(metadata, name, Mock(side_effect=metadata.PackageNotFoundError("it")))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = checks(tmp_path / "not" / "there")
    faults = {check.name for check in found if check.ok is False}
    assert faults == {"PyTorch", "other packages", "Jupyter kernel"}
    lab = [check for check in found if check.advice.endswith('python -m pip install -c constraints.txt -e ".[lab]"')]
    assert [(check.name, check.ok) for check in lab] == [
        ("memory", None), ("other packages", False), ("Jupyter kernel", False)]
    assert all("pip install" in check.advice for check in found if check.ok is False)  # none of them the GPU's
    assert "Traceback" not in render(found)


def test_a_missing_package_and_one_too_old_are_named(look, monkeypatch):
    needs = ["numpy>=999", "surely-not-installed>=1", "not-for-students>=1; extra == 'dev'", "psutil>=5"]
    monkeypatch.setattr(metadata, "requires", lambda _: needs)
    check = look("other packages")
    assert check.ok is False and "pip install" in check.advice
    assert check.found == f"surely-not-installed is missing; numpy {metadata.version('numpy')} is not >=999"
    monkeypatch.setattr(metadata, "requires", lambda _: ["numpy>=1", "not-opened-by-it>=1; extra == 'lab'"])
    check = look("other packages")
    assert check.ok is None and check.found == "without not-opened-by-it, which open and run notebooks"


@pytest.mark.parametrize(
    "given, ok", [((3, 10, 9), False), ((3, 11, 0), True), ((3, 14, 5), True), ((3, 15, 0), None)]
)
def test_python_is_right_from_3_11_to_3_14_and_a_newer_one_is_noted(given, ok, monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", given)
    found, _, advice = doctor.python()
    assert found is ok and (ok or "3.14" in advice)


@pytest.mark.parametrize("free, ok", [(0.5, False), (3, None), (20, True)])
def test_disk_is_enough_to_work_or_also_to_install(free, ok, look, monkeypatch):
    usage = namedtuple("usage", "total used free")(100 * GB, 0, free * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    check = look("disk")
    assert check.ok is ok and f"{free:.1f} GB" in check.found and (ok or "6 to 7 GB" in check.advice)


@pytest.mark.parametrize("total, ok", [(1.2, False), (1.8, None), (8, True)])
def test_memory_is_a_fault_below_1_5_gb_and_a_note_below_2(total, ok, look, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=total * GB, available=GB))
    assert look("memory").ok is ok


def test_a_kernel_of_another_python_is_noted(look, monkeypatch, tmp_path):
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    other = SimpleNamespace(argv=[str(tmp_path / "python")])
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda *_: other)
    assert look("Jupyter kernel").ok is None and str(tmp_path) in look("Jupyter kernel").found
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", Mock(side_effect=NoSuchKernel("python3")))
    assert look("Jupyter kernel").ok is False and "pip install" in look("Jupyter kernel").advice


def test_every_file_of_a_data_set_is_looked_at(look, tmp_path, monkeypatch):
    assert look("data sets").ok is None and "digits and shapes" in look("data sets").advice
    monkeypatch.setattr(checksums, "MD5", {name: dict.fromkeys(files, hashlib.md5(b"").hexdigest())
                                           for name, files in checksums.MD5.items()})  # as if whole files were empty
    whole = {name: [tmp_path / file for file in files] for name, files in checksums.MD5.items()}
    for path in whole["cifar10"]:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert look("data sets").found == f"in {tmp_path}: cifar10; absent: mnist, fashion_mnist, cifar100"
    for path in sum(whole.values(), []):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert look("data sets").ok is True
    whole["mnist"][1].unlink()
    check = look("data sets")
    assert check.ok is None and "; incomplete: mnist (without train-labels-idx1-ubyte)" in check.found
    whole["cifar100"][0].write_bytes(b"<!DOCTYPE html>")
    check = look("data sets")
    assert check.ok is False and check.found.endswith(f"; damaged: {whole['cifar100'][0]} is a web page")
    assert check.advice.endswith(f'cnncourse data get NAME --root "{tmp_path}"')


def test_a_proxy_is_noted_without_showing_its_password(look, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert look("proxy").ok is True
    monkeypatch.setenv("HTTPS_PROXY", "http://student:secret@server:3128")
    check = look("proxy")
    assert check.ok is None and "HTTPS_PROXY" in check.found and "--proxy" in check.advice
    assert "secret" not in render([check])


@pytest.mark.parametrize(
    "system, program", [("posix", ".venv/bin/cnncourse run"), ("nt", r".venv\Scripts\cnncourse run")]
)
def test_without_make_the_three_commands_are_given(system, program, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(doctor, "os", SimpleNamespace(name=system))
    ok, _, advice = doctor.make()
    assert ok is None and program in advice and "venv .venv" in advice and "constraints.txt" in advice


def test_the_last_line_is_the_first_fault_and_notes_are_no_faults():
    note, good = Check("GPU", None, "none", "ignore"), Check("make", True, "here", "unseen")
    first, second = Check("disk", False, "0 GB", "Free some."), Check("PyTorch", False, "missing", "Install it.")
    text = render([note, good, first, second])
    assert text.splitlines()[-1] == "Do this first (disk): Free some."
    assert "Install it." in text and "unseen" not in text
    assert render([note, good]).splitlines()[-1] == "Everything needed is here."
