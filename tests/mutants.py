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
FAILED = 1  # pytest's exit status when tests ran and some failed; others mean that they could not run


def caught(mutant: dict) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cnncourse", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        target = Path(folder) / "cnncourse" / mutant["file"]
        target.write_text(target.read_text().replace(mutant["was"], mutant["becomes"]))
        command = [sys.executable, "-m", "pytest", "-x", "-q", *(f"tests/{name}" for name in mutant["tests"])]
        done = subprocess.run(command, cwd=folder, capture_output=True,
                              env=os.environ | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"})
    return done.returncode == FAILED


def main() -> int:
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    survivors = 0
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, dead in zip(MUTANTS, pool.map(caught, MUTANTS), strict=True):
            survivors += not dead
            print(f"{'caught  ' if dead else 'SURVIVED'}  {mutant['file']:20} {mutant['mistake']}", flush=True)
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} caught")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
