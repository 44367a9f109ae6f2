"""One environment, written three ways: pyproject.toml, constraints.txt and environment.yml name the same packages."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}


def requirement(text):
    return re.match(r"([\w.-]+)\s*(.*)", text).groups()


def test_conda_and_pip_install_the_same_packages_in_the_same_ranges():
    conda = dict(requirement(d) for d in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
                 if isinstance(d, str))
    assert conda.pop("python") == PROJECT["requires-python"]
    conda.pop("pip")
    assert {CONDA_NAMES.get(name, name): range for name, range in conda.items()} == dict(
        map(requirement, PROJECT["dependencies"]))


def test_constraints_pin_every_dependency_by_name_and_version_only():
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    extras = PROJECT["optional-dependencies"]
    wanted = {requirement(d)[0] for d in PROJECT["dependencies"] + [d for e in extras.values() for d in e]}
    assert wanted <= pinned
    assert {"torch==2.15.0", "torchvision==0.29.2"} <= set(lines)
