"""Which exercises have been checked, and with what outcome: one line a check, in a file of the student's own.

Nothing leaves the machine. The file is $CNNCOURSE_PROGRESS, else ~/.cnncourse/progress.jsonl. Standard library only.
"""

import json
import os
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


def note(exercise: str, outcome: str) -> None:
    """Add a line for an attempt. A file that cannot be written stops no lesson."""
    if outcome == "not attempted":
        return
    line = json.dumps({"exercise": exercise, "outcome": outcome, "time": datetime.now(UTC).isoformat("T", "seconds")})
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
