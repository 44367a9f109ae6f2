"""The runs that the course ships, and whether they still show what it does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ..models import MODELS
from ..recipes import RECIPES
from ..trace import Table
from .behaviour import behaviour_of, difference
from .record import Record, as_recorded

RECORDS = Path(__file__).parent / "records"


def recorded(*models: str, data: str | None = None, recipe: str | None = None,
             epochs: int | None = None) -> list[Record]:
    """The runs that the course ships, by name: all, or those of these models, this data, this recipe, this length."""
    found = [Record.load(path) for path in sorted(RECORDS.glob("*.json"))]
    wanted = {"data": data, "recipe_name": recipe}
    return [record for record in found if (not models or record.config["model"] in models)
            and all(value in (None, record.config[key]) for key, value in wanted.items())
            and epochs in (None, len(record.rows))]


def outdated(record: Record) -> str:
    """Why a record no longer shows what its recipe and its network would give today; empty where it does."""
    config = record.config
    if config["model"] not in MODELS:
        return "there is no such model any more"
    if config["recipe_name"] is not None:
        recipe = RECIPES.get(config["recipe_name"])
        if recipe is None:
            return "there is no such recipe any more"
        now = as_recorded(recipe)
        free = ("epochs", "why", "source", *["augment"] * (recipe.augment is None))  # None takes the data set's own
        changed = [key for key in now if key not in free and now[key] != config["recipe"].get(key)]
        if changed:
            return f"the recipe's {', '.join(changed)} changed"
    if config["behaviour"] is None:
        return ""
    changed = difference(config["behaviour"], behaviour_of(config))
    return f"a training does something else today: its {changed}" if changed else ""


@dataclass(frozen=True)
class Runs:
    """Recorded runs that differ in their seeds alone. Accuracies are means [lowest - highest] over the seeds, in
    training those of the last epoch, taken with its augmentation and dropout; minutes are those of training, the mean.
    """

    run: str
    seeds: str
    training: str
    test: str
    minutes: int
    on: str
    state: str  # "current", or what has changed since


def by_series(records: Iterable[Record]) -> dict[str, list[Record]]:
    groups = {}
    for record in records:
        groups.setdefault(record.series, []).append(record)
    return groups


def spread(shares: Sequence[float], digits: int = 1) -> str:
    """The mean, and where there are several the lowest and the highest."""
    words = [f"{share:.{digits}%}" for share in (fmean(shares), min(shares), max(shares))]
    return words[0] + f" [{words[1]} - {words[2]}]" * (len(shares) > 1)


def summary(records: list[Record]) -> Table:
    """A row for all seeds of a run."""
    table = Table()
    for run, group in by_series(records).items():
        config = group[0].config
        changed = [f"seed {record.config['seed']}: {what}" for record in group if (what := outdated(record))]
        table.append(Runs(
            run, ", ".join(str(record.config["seed"]) for record in group),
            spread([record.rows[-1]["train_accuracy"] for record in group]),
            spread([record.test["accuracy"] for record in group]),
            round(fmean(sum(record.column("seconds")) for record in group) / 60),
            config["device"] + ", bfloat16" * config["speed"]["autocast"], "; ".join(changed) or "current"))
    return table
