"""Whether finished runs agree with a published result, and with the runs that the course ships."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from ..trace import Table
from .record import Record
from .shipped import by_series, recorded, spread

# Test accuracy on CIFAR-10 of one training by the paper's recipe. He et al. 2016, Table 6.
PUBLISHED = {"resnet20": 0.9125, "resnet56": 0.9303}
# How far trainings of one recipe lie apart: Table 6 gives five of ResNet-110 a deviation of 0.16 points. The paper says
# it of no other depth, so the same is taken for all.
PAPER, SEEDS_OF_PAPER, DEVIATION_OF_PAPER = "He et al. 2016, Table 6", 5, 0.0016


@dataclass(frozen=True)
class Verdict:
    """Test accuracy of runs that differ in their seeds alone, mean [lowest - highest], beside the interval in which 95
    of 100 such means would lie if they came from the same recipe as the source's."""

    run: str
    seeds: int
    test: str
    expected: str
    source: str
    verdict: str  # "inside", "below" or "above"


def interval(centre: float, deviation: float, seeds: int, others: int, known: int) -> tuple[float, float]:
    """Where the mean of `seeds` runs is expected: centre is the mean of `others` runs, and deviation was estimated from
    `known`. A prediction interval of Student's t."""
    from scipy.special import stdtrit

    half = stdtrit(known - 1, 0.975) * deviation * sqrt(1 / seeds + 1 / others)
    return centre - half, centre + half


def expectations(group: Sequence[Record]) -> list[tuple[float, float, str]]:
    """(lowest, highest, source) of the published result and of the shipped runs for the mean of these runs."""
    config, found = group[0].config, []
    if config["data"] == "cifar10" and (centre := PUBLISHED.get(config["model"])):
        found.append((*interval(centre, DEVIATION_OF_PAPER, len(group), 1, SEEDS_OF_PAPER), PAPER))
    ours = [record for record in recorded(config["model"]) if record.series == group[0].series]
    ours = [record.test["accuracy"] for record in ours if record not in group]
    if len(ours) > 1:
        found.append((*interval(fmean(ours), stdev(ours), len(group), len(ours), len(ours)),
                      f"{len(ours)} runs that the course ships"))
    return found


def verdicts(records: Sequence[Record]) -> Table:
    """A row for all seeds of a run and each source that says what to expect. Raises ValueError where none does."""
    table = Table()
    for series, group in by_series(records).items():
        reached = [record.test["accuracy"] for record in group]
        mean = fmean(reached)
        for low, high, source in expectations(group):
            table.append(Verdict(
                series, len(group), spread(reached, digits=2), f"{low:.2%} to {high:.2%}",
                source, "below" if mean < low else "above" if mean > high else "inside"))
    if not table:
        raise ValueError("nothing says what to expect of these runs: no published result, and fewer than two shipped "
                         "runs of the same network, data, recipe and length")
    return table
