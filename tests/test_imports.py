"""The arrows of the package: which module may know which. Anything else is a design change, to be made knowingly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cnncourse

PACKAGE = Path(cnncourse.__file__).parent
ALLOWED = {
    "__init__": {"tools.threads"},
    "__main__": {"tools.cli"},
    "data": {"datasets.checksums", "datasets.shapes"},
    "datasets.photographs": {"data"},
    "exercises.__init__": {"tools.progress"},
    "experiment": {"data", "layers", "recipes", "runs.record", "tools.threads", "trace", "train"},
    "instructor.exam": {"arithmetic"},
    "instructor.grading": {"exercises"},
    "layers": {"arithmetic"},
    "models.__init__": {"models.alexnet", "models.googlenet", "models.inception", "models.lenet", "models.resnet",
                        "models.vgg"},
    "models.alexnet": {"layers", "models.expected_images"},
    "models.googlenet": {"layers", "models.expected_images"},
    "models.inception": {"models.expected_images"},
    "models.lenet": {"models.expected_images"},
    "models.resnet": {"models.expected_images"},
    "models.vgg": {"layers", "models.expected_images"},
    "runs.behaviour": {"data", "recipes", "train"},
    "runs.record": {"tools.threads"},
    "show.architecture": {"trace"},
    "show.explorer": {"arithmetic"},
    "tools.bench": {"data", "layers", "tools.threads", "train"},
    "tools.cli": {"exercises", "experiment", "instructor.editions", "instructor.exam", "plots", "recipes",
                  "runs.record", "show.architecture", "tools.bench", "tools.doctor", "tools.execute",
                  "tools.progress", "trace", "train"},
    "tools.doctor": {"datasets.checksums", "tools.progress", "tools.threads"},
    "tools.execute": {"recipes", "tools.threads"},
    "trace": {"arithmetic"},
}


ORACLES = {"arithmetic", "data", "layers", "trace", "train", "weights"}  # of exercises, with the models


def siblings(path: Path) -> set[str]:
    """Modules of the package that a file imports at run time, wherever in the file."""
    parts = ("cnncourse", *path.relative_to(PACKAGE).with_suffix("").parts)
    found = set()
    tree = ast.parse(path.read_text())
    typing_only = {id(n) for branch in ast.walk(tree) if isinstance(branch, ast.If) and "TYPE_CHECKING" in
                   ast.unparse(branch.test) for n in ast.walk(branch)}
    for node in (n for n in ast.walk(tree) if id(n) not in typing_only):
        if isinstance(node, ast.ImportFrom):
            base = [*parts[:len(parts) - node.level], *([node.module] if node.module else [])] if node.level else [
                node.module]
            found |= {".".join([*base, alias.name]) for alias in node.names} | {".".join(base)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    modules = {".".join(p.relative_to(PACKAGE).with_suffix("").parts) for p in PACKAGE.rglob("*.py")}
    found = {name.removeprefix("cnncourse.") for name in found}
    return {name for name in found if name in modules or f"{name}.__init__" in modules
            and not any(other.startswith(f"{name}.") for other in found)}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_import_only_what_the_design_allows(path):
    name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    if name.startswith("exercises.") and name not in ALLOWED:
        assert {m for m in siblings(path) if not m.startswith("models")} <= ORACLES
    else:
        assert siblings(path) == ALLOWED.get(name, set())


def loaded_by(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["arithmetic", "recipes", "plots", "runs.record", "datasets.shapes",
                                    "datasets.checksums", "instructor.exam", "show.explorer", "tools.cli",
                                    "tools.execute", "tools.doctor", "tools.progress", "tools.threads"])
def test_light_modules_do_not_bring_torch(module):
    assert "torch" not in loaded_by(f"import cnncourse.{module}")


@pytest.mark.parametrize("module", ["arithmetic", "datasets.checksums", "runs.record", "tools.progress",
                                    "tools.threads"])
def test_modules_of_the_standard_library_alone_do_not_bring_numpy(module):
    assert "numpy" not in loaded_by(f"import cnncourse.{module}")


def test_the_models_do_not_bring_torchvision():
    assert "torchvision" not in loaded_by("import cnncourse.models, cnncourse.trace, cnncourse.experiment")


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--help"], ["train", "--help"], ["run", "--help"]])
def test_help_answers_without_torch(words):
    code = (f"import sys\nfrom cnncourse.tools.cli import main\nsys.argv[1:] = {words}\ntry:\n    main()\n"
            "except SystemExit as end:\n    assert not end.code and 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(" ".join(["usage: cnncourse", *words[:-1]]))
