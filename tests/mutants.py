"""`make mutants`: apply each mistake of mutants.toml to a copy of the package, and see its tests fail."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MUTANTS = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text())["mutant"]
PASSED, FAILED = 0, 1  # pytest's exit status; others mean that the tests could not run


def tested(tests: list[str], only: str = "", file: str = "", was: str = "", becomes: str = "", **_) -> tuple:
    """pytest's exit status, its output, and the names of the tests that failed, for a copy of the package in which a
    text of one file, if one is named, becomes another."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cnncourse", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        if file:
            target = Path(folder) / "cnncourse" / file
            target.write_text(target.read_text().replace(was, becomes))
        command = [sys.executable, "-m", "pytest", "-q", "-k", only, *(f"tests/{name}" for name in tests)]
        done = subprocess.run(command + ["-x"] * bool(file), cwd=folder, capture_output=True, text=True,
                              env=os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"})
        failed = Path(folder) / ".pytest_cache" / "v" / "cache" / "lastfailed"
        names = json.loads(failed.read_text()) if failed.exists() else []
        return done.returncode, done.stdout, {name.removeprefix("tests/") for name in names}


def main() -> int:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    caught, names = 0, set()
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, (status, _, failed) in zip(MUTANTS, pool.map(lambda m: tested(**m), MUTANTS), strict=True):
            names |= failed
            noticed = status == FAILED and failed != set()
            caught += noticed
            verdict = "caught" if noticed else "SURVIVED"
            print(f"{verdict:8}  {mutant['file']:20} {mutant['mistake']}", flush=True)
    status, output, _ = tested(sorted(names))
    if status != PASSED:
        print(f"{output[-3000:]}\nthe unchanged package fails too, so that a failure proves nothing")
        return 1
    print(f"{caught} of {len(MUTANTS)} caught, by {len(names)} tests that pass without the mistakes")
    return int(caught < len(MUTANTS))


if __name__ == "__main__":
    sys.exit(main())
