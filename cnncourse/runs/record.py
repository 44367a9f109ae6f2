"""The record of one training run: what was run, on what, and what came out. Standard library only."""

import json
import platform
from collections import Counter, OrderedDict
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .. import write_text
from ..loop.threads import cores


def versions() -> dict[str, str]:
    """Versions of the packages that a training result can depend on."""
    found = {"python": platform.python_version()}
    for name in ("cnncourse", "torch", "torchvision", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> dict[str, str | int]:
    """Where it ran, in words that name no person and no path."""
    return {"system": platform.system(), "processor": processor(), "cores": cores()}


def processor() -> str:
    """The name that Linux gives it, or what Python knows of it: at least the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.processor()) or platform.machine()


def as_recorded(recipe) -> dict:
    """A recipe as JSON gives it back."""
    return asdict(recipe) | {"milestones": list(recipe.milestones)}


def plain(value):
    """The same value with Python's own numbers, text and lists in place of NumPy's, in dicts and lists as well."""
    if type(value).__module__ == "numpy":
        return value.tolist()
    if isinstance(value, dict):
        kind = type(value) if type(value) in (Counter, OrderedDict) else dict
        return kind({plain(key): plain(each) for key, each in value.items()})
    for kind in (list, tuple, set):
        if isinstance(value, kind):
            return kind(map(plain, value))
    return value


@dataclass
class Record:
    """One run. `rows` holds one dict an epoch, as `train.fit` yields them; `test` the one look at the test set."""

    config: dict
    rows: list[dict] = field(default_factory=list)
    test: dict | None = None
    versions: dict = field(default_factory=versions)
    machine: dict = field(default_factory=machine)

    @property
    def series(self) -> str:
        """What the seeds of a run have in common, for example "vgg16_small-he_init=false-cifar10-laptop-10epochs".

        What changes a curve is in it: rounding to bfloat16, another device, several processes.
        """
        of = self.config
        options = [f"{key}={json.dumps(value)}" for key, value in of["options"].items()]
        how = [*["bfloat16"] * of["speed"]["autocast"], *[of["device"]] * (of["device"] != "cpu"),
               *[f"{of['processes']}processes"] * (of["processes"] > 1)]
        return "-".join([of["model"], *options, of["data"], of["recipe_name"] or "own",
                         f"{of['recipe']['epochs']}epochs", *how])

    @property
    def name(self) -> str:
        """The series and the seed: two runs of one name give one curve."""
        return f"{self.series}-{self.config['seed']}"

    def append(self, row: dict) -> None:
        self.rows.append(row)

    def column(self, name: str) -> list[float]:
        """One value an epoch, for example of "validation_accuracy"."""
        return [row[name] for row in self.rows]

    def save(self, path: str | Path) -> None:
        """Write JSON."""
        write_text(path, self.as_json())

    def as_json(self) -> str:
        """Raises ValueError where something in it has no form in JSON."""
        try:
            return json.dumps(plain(asdict(self)), indent=1)
        except TypeError as error:
            raise ValueError(f"a record holds numbers, text, lists and dicts: {error}") from error

    @classmethod
    def load(cls, path: str | Path) -> "Record":
        """Raises ValueError where there is something else than a record."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except (ValueError, TypeError, IsADirectoryError) as error:
            raise ValueError(f"{path} is not a training record, and stays as it is; take another file or folder "
                             f"({error})") from error

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Raises ValueError or TypeError where the text is not that of a record."""
        record = cls(**json.loads(text))
        if not isinstance(record.config, dict) or not isinstance(record.rows, list):
            raise TypeError("its config is no dict, or its rows are no list")
        return record
