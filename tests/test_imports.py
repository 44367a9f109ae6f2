"""The arrows of the package: which module may know which. Anything else is a design change, to be made knowingly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cnncourse

PACKAGE = Path(cnncourse.__file__).parent
ALLOWED = {
    "__main__": {"cli"},
    "architecture": {"trace"},
    "bench": {"data", "layers", "models", "train"},
    "cli": {"architecture", "bench", "doctor", "editions", "exam", "execute", "exercises", "experiment", "models",
            "plots", "progress", "recipes", "record", "trace", "train"},
    "data": {"checksums", "shapes"},
    "doctor": {"checksums", "progress"},
    "editions": {"exercises"},
    "exam": {"arithmetic"},
    "exercises.__init__": {"progress"},
    "execute": {"recipes"},
    "experiment": {"data", "layers", "models", "recipes", "record", "trace", "train"},
    "explorer": {"arithmetic"},
    "grading": {"exercises"},
    "layers": {"arithmetic"},
    "models.__init__": {"models.alexnet", "models.googlenet", "models.inception", "models.lenet", "models.resnet",
                        "models.vgg"},
    "models.alexnet": {"inputs", "layers"},
    "models.googlenet": {"inputs", "layers"},
    "models.inception": {"inputs"},
    "models.lenet": {"inputs"},
    "models.resnet": {"inputs"},
    "models.vgg": {"inputs", "layers"},
    "photographs": {"data"},
    "trace": {"arithmetic"},
    "weights": {"models"},
}


ORACLES = {"arithmetic", "data", "layers", "trace", "train", "transforms", "weights"}  # of exercises, with the models


def siblings(path: Path) -> set[str]:
    """Modules of the package that a file imports at run time, wherever in the file."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    found = set()
    tree = ast.parse(path.read_text())
    typing_only = {id(n) for branch in ast.walk(tree) if isinstance(branch, ast.If) and "TYPE_CHECKING" in
                   ast.unparse(branch.test) for n in ast.walk(branch)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            base = list(parts[: len(parts) - node.level])
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {".".join([*base, name]) for name in names}
        elif isinstance(node, ast.ImportFrom) and node.module == "cnncourse":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cnncourse."):
            found.add(node.module.removeprefix("cnncourse."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("cnncourse.") for a in node.names if a.name.startswith("cnncourse.")}
    modules = {".".join(p.relative_to(PACKAGE).with_suffix("").parts) for p in PACKAGE.rglob("*.py")}
    return {name for name in found if name in modules or f"{name}.__init__" in modules}


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


@pytest.mark.parametrize("module", ["arithmetic", "record", "recipes", "shapes", "cli", "exam", "execute", "doctor",
                                    "explorer", "plots", "progress"])
def test_light_modules_do_not_bring_torch(module):
    assert "torch" not in loaded_by(f"import cnncourse.{module}")


@pytest.mark.parametrize("module", ["arithmetic", "checksums", "record", "progress"])
def test_modules_of_the_standard_library_alone_do_not_bring_numpy(module):
    assert "numpy" not in loaded_by(f"import cnncourse.{module}")


def test_the_models_do_not_bring_torchvision():
    assert "torchvision" not in loaded_by("import cnncourse.models, cnncourse.trace, cnncourse.experiment")


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--help"], ["train", "--help"], ["run", "--help"]])
def test_help_answers_without_torch(words):
    code = (f"import sys\nfrom cnncourse.cli import main\nsys.argv[1:] = {words}\ntry:\n    main()\n"
            "except SystemExit as end:\n    assert not end.code and 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(" ".join(["usage: cnncourse", *words[:-1]]))
