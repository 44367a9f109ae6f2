"""What a run leaves in its directory, and how it goes on from it."""

from collections.abc import Callable
from json import JSONDecodeError
from pathlib import Path

import torch
from torch import Tensor, distributed

from ..loop.threads import THREADS_ARE_OURS, cores
from .behaviour import difference
from .checkpoints import load_checkpoint, read_checkpoint, save_checkpoint
from .record import Record


class Files:
    """What a run leaves in its directory: all of it is written beside and renamed, by the first process alone.

    look: what the network gives for some images, which is always the same with the same weights.
    """

    def __init__(self, out: Path, record: Record, look: Callable[[], Tensor], *state):
        try:
            out.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise NotADirectoryError(f"{out} is a file, or lies in one: choose a directory") from error
        self.out, self.record, self.look, self.state = out, record, look, state
        self.written = None  # the record as this run wrote it last

    def begin(self, resume: bool | str) -> int:
        """The number of epochs that are done: those of the run here, or none, where there must be none."""
        start = self.resume(resume == "anywhere") if resume else self.require_none()
        if not start:
            self.save()
        return start

    def save(self) -> None:
        if distributed.is_initialized() and distributed.get_rank():
            return
        accuracies, path = self.record.column("validation_accuracy"), self.out / "record.json"
        if self.written and path.exists() and path.read_text(encoding="utf-8") != self.written:
            raise ValueError(f"another run writes into {self.out} as well, and this one stops after "
                             f"{len(self.record.rows)} epochs: start it again with another directory")
        self.written = self.record.as_json()
        done = {"record": self.written, "logits": self.look()}
        if accuracies and accuracies[-1] >= max(accuracies):  # first: what is killed in between does this epoch again
            save_checkpoint(self.out / "best.pt", *self.state, **done)
        save_checkpoint(self.out / "checkpoint.pt", *self.state, **done)
        self.record.save(path)

    def stored(self) -> Record | None:
        """The record in the checkpoint, which may be an epoch ahead of the file beside it."""
        path = self.out / "checkpoint.pt"
        try:
            return Record.from_json(read_checkpoint(path)["record"]) if path.exists() else None
        except (KeyError, TypeError, JSONDecodeError) as error:
            raise ValueError(f"{path} holds no run of this course: choose another directory") from error

    def require_none(self) -> int:
        """A finished epoch may have taken hours: another run must not take its place without a word."""
        path = self.out / "record.json"
        found = [Record.load(path)] if path.exists() else []
        then = self.stored()
        if epochs := max((len(record.rows) for record in [*found, then] if record), default=0):
            raise ValueError(f"{self.out} holds a run of {epochs} epochs" + (
                ": resume it, or choose another directory" if then else
                ", but not the checkpoint.pt from which it would go on: bring that back, or choose another directory"))
        return 0

    def resume(self, anywhere: bool) -> int:
        """Load the checkpoint, if there is one; returns the number of epochs that are done. anywhere: also one that was
        made on another processor."""
        path, then = self.out / "checkpoint.pt", self.stored()
        if then is None:
            return self.require_none()
        now = self.record.config
        try:
            theirs, ours = (
                {key: config[key] for key in ("model", "options", "data", "train_images", "image_shape", "seed",
                                              "processes", "device")}
                | {key: config.get(key, now[key]) for key in ("classes", "other_images", "mean", "std")}
                | config.get("digests", now["digests"])  # not in the oldest, as those above
                | config["speed"] | config["recipe"] for config in (then.config, now))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path} holds no run of this course: choose another directory") from error
        for key in (key for key in ours if key not in ("why", "source")):
            if theirs.get(key) != ours[key]:
                what = (f"{key} are not those given" if key in now["digests"] else
                        f"{key} is {theirs.get(key)}, not {ours[key]}")
                raise ValueError(f"{path} is of another run: its {what}; repeat its arguments, or choose another "
                                 "directory")
        shown = then.config.get("behaviour")  # not in the oldest
        if shown and now["behaviour"] and (changed := difference(shown, now["behaviour"])):
            raise ValueError(f"{path} was made by another version of the network or of the training: {changed}; choose "
                             "another directory")
        there, here = (record.machine.get("processor") for record in (then, self.record))
        if there and there != here and not anywhere:
            raise ValueError(f"{path} was made on another processor ({there}, this is {here}), which rounds otherwise, "
                             "so that the curve may differ from here on: go on with --anywhere, in Python "
                             "resume=\"anywhere\", or choose another directory")
        shown = load_checkpoint(path, *self.state).get("logits")
        if shown is not None and not close(self.look(), shown):
            raise ValueError(f"{path} is of another run: with its weights this network gives other logits than it gave "
                             "then; give the network as it was, or choose another directory")
        self.record.rows[:] = then.rows
        if THREADS_ARE_OURS:  # another number would round otherwise
            torch.set_num_threads(min(then.machine.get("threads", torch.get_num_threads()), cores()))
            self.record.machine["threads"] = torch.get_num_threads()
        return len(then.rows)


def close(logits: Tensor, others: Tensor) -> bool:
    """Whether these are the same, rounding apart."""
    largest = others.nan_to_num().abs().max().item()
    return torch.allclose(logits, others, rtol=0, atol=0.01 * largest, equal_nan=True)
