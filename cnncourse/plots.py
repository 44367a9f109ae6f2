"""Lessons 1 to 7 and 9: figures. They take data (records, arrays), not models, and return a matplotlib Figure.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; markers and line styles repeat them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .runs.record import Record

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def axes(rows: int = 1, columns: int = 1, width: float = 4.2, height: float = 3.2, **kw):
    """(figure, axes), closed to pyplot so that a notebook shows the returned figure once, not twice."""
    import matplotlib.pyplot as plt  # with the first figure

    figure, grid = plt.subplots(rows, columns, figsize=(width * columns, height * rows), layout="constrained", **kw)
    plt.close(figure)
    return figure, grid


def by_label(records: "Sequence[Record]") -> dict[str, list]:
    groups: dict[str, list] = {}
    for record in records:
        groups.setdefault(record.config["label"], []).append(record)
    return groups


def curves(records: "Sequence[Record]") -> "Figure":
    """Loss and accuracy over the epochs: training dashed, validation solid with markers.

    Records with equal labels are runs of the same thing with other seeds: drawn as their mean, and for the validation
    curves a band from the lowest to the highest, as far as the shortest of them goes.
    """
    groups = by_label(records)
    figure, (left, right) = axes(1, 2, width=4.6)
    for i, (label, group) in enumerate(groups.items()):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
        length = min(len(record.rows) for record in group)
        for ax, quantity, scale in ((left, "loss", 1), (right, "accuracy", 100)):
            epochs = group[0].column("epoch")[:length]
            training, validation = (scale * np.array([r.column(f"{part}_{quantity}")[:length] for r in group])
                                    for part in ("train", "validation"))
            ax.plot(epochs, training.mean(0), color=colour, linestyle="--", linewidth=1)
            ax.plot(epochs, validation.mean(0), color=colour, marker=marker, markersize=4,
                    markevery=max(1, length // 24), label=label)
            if len(group) > 1:
                ax.fill_between(epochs, validation.min(0), validation.max(0), color=colour, alpha=0.2, linewidth=0)
    left.set_ylabel("cross-entropy loss")
    right.set_ylabel("accuracy (%)")
    for ax in (left, right):
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.grid(alpha=0.3)
    right.plot([], [], color="grey", linestyle="--", linewidth=1, label="training (dashed)")
    right.legend(fontsize="small")
    return figure


def bought(records: "Sequence[Record]", macs: dict[str, int]) -> "Figure":
    """Test accuracy against what the training cost: epochs, arithmetic, and time on its own machine.

    Records with equal labels are seeds of the same run: drawn as their mean, with a line from the lowest to the
    highest. macs: of one image, by the model's name; forwards and backwards they are counted three times.
    """
    from matplotlib import ticker

    groups = by_label(records)
    figure, panels = axes(1, 3, width=3.6, height=4.6, sharey=True)
    for i, (label, group) in enumerate(groups.items()):
        accuracy = 100 * np.array([record.test["accuracy"] for record in group])
        config, epochs = group[0].config, len(group[0].rows)
        costs = (epochs, 3e-15 * macs[config["model"]] * config["train_images"] * epochs,
                 np.mean([sum(record.column("seconds")) for record in group]) / 3600)
        repeats = i >= len(MARKERS)  # hollow shapes, and filled ones behind them, where the shapes are used up
        style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[(i + i // len(COLOURS)) % len(MARKERS)],
                 "fillstyle": "full" if repeats else "none", "zorder": 2 if repeats else 3, "markersize": 7}
        for ax, cost in zip(panels, costs, strict=True):
            ax.plot([cost, cost], [accuracy.min(), accuracy.max()], color=style["color"], linewidth=1)
            ax.plot(cost, accuracy.mean(), linestyle="none", label=label, **style)
    for ax, words in zip(panels, ("epochs", "multiply-accumulates (10$^{15}$)", "hours"), strict=True):
        ax.set_xlabel(words)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(ticker.NullLocator())
        ax.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy (%)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    return figure


def images(pictures: Sequence, titles: Sequence[str] = (), columns: int = 8, size: float = 1.1, **kw) -> "Figure":
    """A grid of pictures, each H x W (drawn in grey) or H x W x 3, with optional titles."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure, grid = axes(rows, columns, width=size, height=size * (1.25 if titles else 1), squeeze=False)
    for ax in grid.flat:
        ax.set_axis_off()
    for i, (ax, picture) in enumerate(zip(grid.flat, pictures, strict=False)):
        ax.imshow(picture, **({"cmap": "gray"} | kw))
        if titles:
            ax.set_title(titles[i], fontsize="small", parse_math=False)  # a class may be called $5
    return figure


def confusion(matrix: Sequence, classes: Sequence[str]) -> "Figure":
    """Counts of true class (rows) against predicted class (columns)."""
    matrix = np.asarray(matrix)
    figure, ax = axes(width=5, height=4.6)
    ax.imshow(matrix, cmap="Blues")
    names = [name if len(name) <= 24 else name[:23] + "…" for name in classes]  # else no room is left for the counts
    ax.set_xticks(range(len(classes)), names, rotation=90 if max(map(len, names)) > 2 else 0, parse_math=False)
    ax.set_yticks(range(len(classes)), names, parse_math=False)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    for (i, j), count in np.ndenumerate(matrix):
        if count:
            ax.text(j, i, count, ha="center", va="center", color="white" if count > matrix.max() / 2 else "black")
    return figure
