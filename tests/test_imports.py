"""The arrows of the package: which room may know which. Anything else is a design change, to be made knowingly.

A room is a folder of the package, or a module at its top.
"""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cnncourse

PACKAGE = Path(cnncourse.__file__).parent
ALLOWED = {
    "__init__": {"loop"},
    "__main__": {"datasets", "exercises", "experiment", "instructor", "loop", "models", "plots", "recipes", "runs",
                 "show", "tools", "trace"},
    "data": {"datasets"},
    "exercises": {"arithmetic", "layers", "models", "tools"},
    "experiment": {"data", "loop", "models", "recipes", "runs", "train"},
    "instructor": {"arithmetic", "exercises"},
    "layers": {"arithmetic"},
    "models": {"layers"},
    "runs": {"data", "loop", "models", "recipes", "trace", "train"},
    "show": {"arithmetic", "trace"},
    "tools": {"data", "datasets", "layers", "loop", "models", "recipes", "runs", "train"},
    "trace": {"tracing"},
    "train": {"loop"},
    "weights": {"models", "runs"},
}


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
    found = {name for name in found if name in modules or f"{name}.__init__" in modules}
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


MODULES = {path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}


def test_rooms_know_only_what_the_design_allows():
    found = {}
    for path, name in MODULES.items():
        room = name.partition(".")[0]
        found.setdefault(room, set()).update({other.partition(".")[0] for other in siblings(path)} - {room})
    assert {room: known for room, known in found.items() if known} == ALLOWED


def test_no_import_goes_in_a_circle_from_file_to_file_or_from_room_to_room():
    TopologicalSorter({name: siblings(path) for path, name in MODULES.items()}).prepare()  # it raises CycleError
    TopologicalSorter(ALLOWED).prepare()


def test_no_function_of_the_package_is_longer_than_60_lines():
    long = {f"{name}.{node.name}": node.end_lineno - node.lineno + 1 for path, name in MODULES.items()
            for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    assert not {name: lines for name, lines in long.items() if lines > 60}


def loaded_by(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["arithmetic", "recipes", "plots", "runs.record", "datasets.shapes",
                                    "datasets.checksums", "datasets.downloads", "instructor.exam", "show.explorer",
                                    "__main__", "tools.execute", "tools.doctor", "tools.progress", "loop.threads"])
def test_light_modules_do_not_bring_torch(module):
    assert "torch" not in loaded_by(f"import cnncourse.{module}")


@pytest.mark.parametrize("module", ["arithmetic", "datasets.checksums", "runs.record", "tools.progress",
                                    "loop.threads"])
def test_modules_of_the_standard_library_alone_do_not_bring_numpy(module):
    assert "numpy" not in loaded_by(f"import cnncourse.{module}")


def test_models_weights_and_experiments_bring_neither_torchvision_nor_compilers():
    loaded = loaded_by("import cnncourse.experiment, cnncourse.trace, cnncourse.weights")
    assert loaded.isdisjoint({"torchvision", "torch._dynamo", "triton"})


@pytest.mark.parametrize("words", [["--help"], ["doctor", "--help"], ["train", "--help"], ["run", "--help"],
                                   ["data", "--help"]])
def test_help_answers_without_torch(words):
    code = (f"import sys\nfrom cnncourse.__main__ import main\ntry:\n    main({words})\n"
            "except SystemExit as end:\n    assert not end.code and 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(" ".join(["usage: cnncourse", *words[:-1]]))
