"""`make mutants`: apply each mistake of mutants.toml to a copy of the package, and see its tests fail."""

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
UNCHANGED = {"file": "layers.py", "was": "", "becomes": "",
             "tests": sorted({name for mutant in MUTANTS for name in mutant["tests"]})}


def tested(mutant: dict) -> subprocess.CompletedProcess:
    """The mutant's tests, run on a copy of the package that holds its mistake."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cnncourse", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        target = Path(folder) / "cnncourse" / mutant["file"]
        if mutant["was"]:
            target.write_text(target.read_text().replace(mutant["was"], mutant["becomes"]))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-k", mutant.get("only", ""),
                   *(f"tests/{name}" for name in mutant["tests"])]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True,
                              env=os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"})


def main() -> int:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    caught = 0
    with ThreadPoolExecutor(jobs) as pool:
        runs = zip([UNCHANGED, *MUTANTS], pool.map(tested, [UNCHANGED, *MUTANTS]), strict=True)
        _, done = next(runs)
        if done.returncode != PASSED:
            print(f"{done.stdout[-3000:]}\nthe unchanged package fails too, so that a failure would prove nothing")
            pool.shutdown(cancel_futures=True)
            return 1
        for mutant, done in runs:
            caught += done.returncode == FAILED
            verdict = "caught" if done.returncode == FAILED else "SURVIVED"
            print(f"{verdict:8}  {mutant['file']:20} {mutant['mistake']}", flush=True)
    print(f"{caught} of {len(MUTANTS)} caught")
    return int(caught < len(MUTANTS))


if __name__ == "__main__":
    sys.exit(main())
