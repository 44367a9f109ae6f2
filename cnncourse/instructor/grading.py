"""nbgrader grades the exercises with their own checks, in a process of their own.

What a submitted notebook does to `check`, to the exercises or to its kernel does not reach that process: it gets the
text of the answer, cannot import the exercises, and is ended when it takes too long. An answer that searches the
interpreter's memory can still find the exercise there; such answers do not look like answers. `cnncourse export
--nbgrader` writes the configuration that puts `Grade` in the place of nbgrader's own execution.
"""

import json
import os
import random
import secrets
import subprocess
import sys
from importlib import import_module

import nbformat
from nbgrader.preprocessors import NbGraderPreprocessor

SECONDS = 120  # for one answer, with the start of its process


class Grade(NbGraderPreprocessor):
    """Puts the verdict on each answer under its check: an error, which nbgrader takes for no points, or the praise."""

    def preprocess(self, notebook: nbformat.NotebookNode, resources: dict) -> tuple[nbformat.NotebookNode, dict]:
        from .. import exercises  # not in the process that judges an answer

        ours = {each.name.replace(".", "-") for lesson in exercises.LESSONS for each in exercises.of_lesson(lesson)}
        cells = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}
        for name, cell in cells.items():
            if cell.metadata.nbgrader.grade and name in ours:  # an instructor may have added cells
                texts = [cells[key].source if key in cells else "" for key in ("imports", f"answer-{name}")]
                outcome, message = verdict(name.replace("-", "."), *texts)
                text = f"{outcome.capitalize()}. {message}"
                cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) if outcome == "correct" else
                                nbformat.v4.new_output("error", ename="Answer", evalue=text, traceback=[text])]
        return notebook, resources


def verdict(exercise: str, imports: str, answer: str) -> tuple[str, str]:
    """(outcome, message) of one answer, given as text, judged in a fresh process."""
    token = secrets.token_hex(16)
    job = json.dumps({"exercise": exercise, "imports": imports, "answer": answer, "token": token})
    try:
        done = subprocess.run([sys.executable, "-m", __name__], input=job, capture_output=True, text=True,
                              timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "wrong", f"There was no answer after {SECONDS} seconds. Is there a loop that never ends?"
    for line in done.stdout.splitlines():
        if line.startswith(token):
            return tuple(json.loads(line.removeprefix(token)))
    return "wrong", "The program ended before it gave an answer."


def main() -> None:
    """Judge the answer that comes through standard input."""
    job = json.load(sys.stdin)
    module, name = job["exercise"].split(".")
    exercise = getattr(import_module(f"cnncourse.exercises.{module}"), name)
    out, sys.stdout = os.fdopen(os.dup(1), "w"), open(os.devnull, "w")  # what the answer prints is no verdict
    for hidden in [m for m in sys.modules if m.startswith("cnncourse.exercises")]:
        sys.modules[hidden] = None  # Python's own way to let an import fail
    del sys.modules["cnncourse"].exercises
    imports = [line for line in job["imports"].splitlines() if not line.startswith("from cnncourse.exercises")]
    try:
        space = {"__name__": "answer"}
        exec("\n".join(imports), space)
        exec(job["answer"], space)
        found = exercise.judge(space.get(name), random.Random())
        result = found.outcome, found.message
    except BaseException as error:  # whatever an answer does, it is its own mistake
        result = "wrong", f"Your cell raised {type(error).__name__}: {error}"
    print(job["token"] + json.dumps(result), file=out, flush=True)
    os._exit(0)  # an endless answer would keep its thread


if __name__ == "__main__":
    main()
