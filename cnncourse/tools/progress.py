"""Which exercises have been checked, with what outcome and which mistake: a line a check, in the student's own file.

Nothing leaves the machine. The file is $CNNCOURSE_PROGRESS, else ~/.cnncourse/progress.jsonl. For a class, what its
students hand over is counted. Standard library only.
"""

import json
import os
import re
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from .. import expanded


def path() -> Path:
    return expanded(os.environ.get("CNNCOURSE_PROGRESS") or "~/.cnncourse/progress.jsonl")


def obstacle() -> str:
    """Why no notes can be kept; empty where they can."""
    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        path().open("a", encoding="utf-8").close()
    except OSError as error:
        return str(error)
    return ""


def note(exercise: str, outcome: str, message: str = "") -> None:
    """Add a line for an attempt, with what was said of a wrong one. A file that cannot be written stops no lesson."""
    if outcome == "not attempted":
        return
    line = {"exercise": exercise, "outcome": outcome, "time": datetime.now(UTC).isoformat("T", "seconds")}
    line = json.dumps(line | ({"mistake": message} if outcome == "wrong" else {}))
    with suppress(OSError):
        path().parent.mkdir(parents=True, exist_ok=True)
        with path().open("a", encoding="utf-8") as file:
            file.write("\n" + line)  # in this order, a line that a crash has cut does not spoil the next


def attempts() -> dict[str, list[dict]]:
    """The lines by exercise, oldest first. Lines that a crash has cut are left out."""
    found: dict[str, list[dict]] = {}
    with suppress(OSError):  # no file yet, or none that can be read: `obstacle` says why
        for text in path().read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError, KeyError, TypeError):
                line = json.loads(text)
                found.setdefault(line["exercise"], []).append(line)
    return found


def of_class(folder: Path) -> tuple[dict[str, dict[str, list]], list[str]]:
    """{student: {exercise: [(outcome, message), ...]}} of the reports (.json) anywhere in a folder and of the notebooks
    that nbgrader has put into its `autograded`; and the names of the files that are neither."""
    found: dict[str, dict[str, list]] = {}
    left = []
    for path in sorted([*folder.rglob("*.json"), *folder.glob("autograded/*/*/*.ipynb")]):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            graded = path.suffix == ".ipynb"
            student = path.parts[-3] if graded else path.stem
            rows = verdicts(content) if graded else [(exercise, line["outcome"], str(line.get("mistake", "")))
                                                     for exercise, lines in content["checks"].items() for line in lines]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # anybody can write such a file
            left.append(str(path.relative_to(folder)))
            continue
        for exercise, outcome, message in rows:
            found.setdefault(student, {}).setdefault(exercise, []).append((outcome, message))
    return found, left


def verdicts(notebook: dict) -> list[tuple[str, str, str]]:
    """(exercise, outcome, message) of each check of a graded notebook."""
    found = []
    for cell in notebook["cells"]:
        mark = cell["metadata"].get("nbgrader", {})
        for output in cell.get("outputs", []) if mark.get("grade") else []:
            outcome, _, message = "".join(output.get("evalue", output.get("text", ""))).partition(". ")
            found.append((mark["grade_id"].replace("-", ".", 1), outcome.lower(), message))
    return found


def overview(found: dict[str, dict[str, list]], exercise: str, known: list[str]) -> list[str]:
    """Lines for one exercise: how many solved it, and which mistakes were made by how many. Empty if none tried.

    known: the mistakes that the check has a name for. Other messages count as one where they differ in numbers, or in
    what is quoted, alone; the first of them stands for all.
    """
    tried = [tries for tries in (student.get(exercise, []) for student in found.values())
             if any(outcome in ("correct", "wrong") for outcome, _ in tries)]
    examples = [{named(message, known): message.partition("\n")[0] for outcome, message in tries if outcome == "wrong"}
                for tries in tried]
    made = Counter(name for example in examples for name in example)
    first = {name: text for example in reversed(examples) for name, text in example.items()}
    solved = sum(any(outcome == "correct" for outcome, _ in tries) for tries in tried)
    lines = [f"{exercise.partition('.')[2]}: solved by {solved} of the {len(tried)} who tried"] if tried else []
    return lines + [f"  {count:3} x  {f'for example: {first[name]}' if VARIES in name else name}"
                    for name, count in made.most_common()]


VARIES = "..."


def named(message: str, known: list[str]) -> str:
    """The known mistakes that a message tells of, or its first line without numbers and quotations."""
    varying = r"`[^`]*`|(?<!\w)'[^']*'|(?<!\w)-?\d[\w.+-]*(?<!\.)"
    return (" Or: ".join(name for name in known if name in message) or
            re.sub(varying, VARIES, message.partition("\n")[0]) or "a mistake whose name was not kept")
