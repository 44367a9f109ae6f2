"""One environment, written several ways: every file names the same packages, Pythons and commands."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT, command
from packaging.requirements import Requirement

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED, EXTRAS = PROJECT["dependencies"], PROJECT["optional-dependencies"]
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
IMPORT_NAMES = {"PIL": "pillow", "sklearn": "scikit-learn"}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
JOBS = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
COLAB = ROOT / "tests" / "colab_packages.txt"


def requirement(text):
    return re.match(r"([\w.-]+)\s*(.*)", text).groups()


def test_conda_and_pip_install_the_same_packages_in_the_same_ranges():
    conda = dict(requirement(d) for d in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
                 if isinstance(d, str))
    assert conda.pop("python") == PROJECT["requires-python"] == f">={PYTHONS[0]}"  # a newer Python is not refused
    conda.pop("pip")
    assert {CONDA_NAMES.get(name, name): range for name, range in conda.items()} == dict(
        map(requirement, NEEDED + EXTRAS["lab"]))


def test_constraints_pin_every_dependency_by_name_and_version_only():
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    wanted = {requirement(d)[0] for d in NEEDED + [d for e in EXTRAS.values() for d in e]} - {"cnncourse"}
    assert wanted <= pinned
    assert {"torch==2.15.0", "torchvision==0.29.2"} <= set(lines)


def test_every_place_names_the_same_pythons():
    words = f"Python {PYTHONS[0]} to {PYTHONS[-1]}"
    assert words in (ROOT / "README.md").read_text() and words in (ROOT / "book/index.md").read_text()
    assert f"PYTHONS := {' '.join(PYTHONS)}\n" in (ROOT / "Makefile").read_text()
    assert [JOBS[name]["strategy"]["matrix"]["python"] for name in ("course", "without-make")] == [PYTHONS, PYTHONS]


def test_the_commands_without_make_are_those_that_run_weekly_on_windows_and_macos():
    section = (ROOT / "README.md").read_text().split("### Without make")[1].split("###")[0]
    told = [line.replace(".venv\\Scripts\\", "$BIN/") for line in re.findall("^    (.*)", section, re.MULTILINE)]
    assert told.pop().startswith("$BIN/jupyter lab")
    assert told == [step["run"] for step in JOBS["without-make"]["steps"] if "run" in step]


def imports(tree):
    """The absolute names of all modules that a syntax tree imports, from a module of the package or from a notebook."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]


def test_the_lessons_import_nothing_but_the_dependencies_so_that_a_hosted_edition_installs_little():
    code = []
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        code += [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    names = {name for source in code for name in imports(ast.parse(source))}
    script = f"import sys, importlib\nfor n in {sorted(n for n in names if n.startswith('cnncourse'))}:\n" \
             "    try: importlib.import_module(n)\n    except ModuleNotFoundError: pass  # a function of a module\n" \
             "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('cnncourse')), sep='\\n')"
    files = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "explorer.py" in files and "execute.py" not in files
    names |= {name for file in files.splitlines() for name in imports(ast.parse(Path(file).read_text()))}
    used = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"cnncourse"}
    assert {IMPORT_NAMES.get(name, name) for name in used} <= {requirement(d)[0] for d in NEEDED}


def test_what_colab_has_is_new_enough_for_the_lessons():
    there = dict(line.split("==") for line in COLAB.read_text().splitlines()[1:])
    needed = [Requirement(line) for line in NEEDED]
    assert [r.name for r in needed if r.name in there and there[r.name] not in r.specifier] == []
    assert {r.name for r in needed if r.name not in there} <= {"captum", "torchinfo"}


def test_a_hosted_edition_moves_no_package_that_colab_has():
    uv = shutil.which("uv", path=Path(sys.executable).parent) or shutil.which("uv")
    if not uv:
        pytest.skip("uv is not installed")
    done = subprocess.run([uv, "pip", "compile", "--quiet", "pyproject.toml", "-c", str(COLAB),
                           "--only-binary", ":all:", "--python-version", "3.13", "--python-platform", "linux"],
                          capture_output=True, text=True, cwd=ROOT, env=os.environ | {
                              "UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "4", "UV_PYTHON_DOWNLOADS": "never"})
    if "Failed to fetch" in done.stderr or "Request failed" in done.stderr:
        pytest.skip("the package index does not answer")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("answer, sentence", [
    (1, "The course needs Python 3.11 or newer, and ./python is not: install one of Python 3.11 3.12 3.13 3.14,"),
    (0, "one of Python 3.11 3.12 3.13 3.14 (this is Python 3.15.0)")])
def test_a_python_that_cannot_be_used_is_told_which_ones_can(answer, sentence, tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    program = f"#!/bin/sh\ncase $1 in --version) echo Python 3.15.0;; -c) exit {answer};; *) exit 1;; esac\n"
    (tmp_path / "python").write_text(program)
    (tmp_path / "python").chmod(0o755)
    done = subprocess.run(["make", "--no-print-directory", ".venv/student", "PYTHON=./python"], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode != 0 and len(done.stdout.splitlines()) == 1 and sentence in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_a_command_whose_package_is_not_installed_says_what_to_install(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "cnncourse.tools.execute", raising=False)
    monkeypatch.setitem(sys.modules, "nbclient", None)
    assert command("run", "01") == 2
    assert capsys.readouterr().err == ("cnncourse: run needs nbclient, which is not installed: in the folder of the "
                                       'course, python -m pip install -c constraints.txt -e ".[lab]"\n')
