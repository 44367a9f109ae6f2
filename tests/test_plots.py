import warnings

import numpy as np
from pytest import approx

from cnncourse import plots
from cnncourse.runs.record import Record


def record(label, seed, accuracy):
    row = {"train_loss": 1.0, "validation_loss": 2.0, "train_accuracy": 0.5, "validation_accuracy": accuracy}
    return Record({"label": label, "seed": seed}, [{"epoch": e, **row} for e in (1, 2, 3)])


def test_curves_draw_training_and_validation_of_every_label_with_units():
    figure = plots.curves([record("a", 0, 0.4), record("a", 1, 0.6), record("b", 0, 0.9)])
    left, right = figure.axes
    assert left.get_ylabel() == "cross-entropy loss" and right.get_ylabel() == "accuracy (%)"
    assert left.get_xlabel() == right.get_xlabel() == "epoch"
    solid = [line for line in right.lines if line.get_label() in ("a", "b")]
    assert [line.get_ydata()[0] for line in solid] == [50.0, 90.0]  # the mean of two seeds, in per cent
    assert len({line.get_marker() for line in solid}) == len({line.get_color() for line in solid}) == 2
    for ax, trained, validated in ((left, 1.0, 2.0), (right, 50.0, 50.0)):
        dashed = [line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_ydata())]
        assert [list(line.get_ydata()) for line in dashed] == 2 * [3 * [trained]]
        assert [line.get_ydata()[0] for line in ax.lines if line.get_label() == "a"] == [validated]
    assert len(right.collections) == 1  # one band, around the two seeds of "a"


def test_every_label_is_drawn_in_its_own_way_however_many_there_are():
    figure = plots.curves([record(f"run {i}", 0, i / 10) for i in range(10)])
    solid = [line for line in figure.axes[1].lines if str(line.get_label()).startswith("run")]
    assert len({(line.get_color(), line.get_marker()) for line in solid}) == 10


def test_a_run_that_was_stopped_is_drawn_with_the_others_as_far_as_it_went():
    stopped = record("a", 1, 0.6)
    del stopped.rows[2:]
    figure = plots.curves([record("a", 0, 0.4), stopped, record("b", 0, 0.9)])
    assert [len(line.get_ydata()) for line in figure.axes[1].lines if line.get_label() in ("a", "b")] == [2, 3]


def test_what_was_bought_is_drawn_against_epochs_arithmetic_and_hours():
    runs = [record("a", 0, 0.4), record("a", 1, 0.6), record("b", 0, 0.9)]
    for i, run in enumerate(runs):
        run.config |= {"model": "net", "train_images": 1000}
        run.test = {"accuracy": 0.5 + i / 10}
        for row in run.rows:
            row["seconds"] = 600.0
    panels = plots.bought(runs, {"net": 10**9}).axes
    points = [{line.get_label(): (line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines
               if line.get_label() in ("a", "b")} for ax in panels]
    for at, cost in zip(points, (3, 3 * 10**9 * 1000 * 3 / 10**15, 0.5), strict=True):  # three epochs, half an hour
        assert at == {"a": (approx(cost), approx(55)), "b": (approx(cost), approx(70))}
    for run in (runs := [record(f"run {i}", 0, 0.5) for i in range(12)]):
        run.config |= {"model": "net", "train_images": 1000}
        run.test = {"accuracy": 0.5}
        for row in run.rows:
            row["seconds"] = 600.0
    drawn = [line for line in plots.bought(runs, {"net": 10**9}).axes[0].lines if "run" in str(line.get_label())]
    assert len({(line.get_marker(), line.get_fillstyle()) for line in drawn}) == 12  # told apart without colours
    assert {line.get_zorder() for line in drawn if line.get_fillstyle() == "none"} == {3}  # and hollow ones in front
    assert [ax.get_xlabel() for ax in panels] == ["epochs", "multiply-accumulates (10$^{15}$)", "hours"]


def test_a_figure_is_shown_once():
    import matplotlib.pyplot as plt

    plots.curves([record("a", 0, 0.4)])
    assert plt.get_fignums() == []


def test_images_and_confusion_keep_their_titles_and_classes():
    figure = plots.images([np.zeros((4, 4))] * 3, ["x", "y", "z"], columns=2)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["x", "y", "z"]
    figure = plots.confusion([[5, 1], [0, 7]], ["cat", "dog"])
    ax = figure.axes[0]
    assert {t.get_position(): t.get_text() for t in ax.texts} == {(0, 0): "5", (1, 0): "1", (1, 1): "7"}  # column, row
    for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["cat", "dog"]
    assert ax.get_ylabel() == "true class"


def test_a_class_may_have_any_name():
    names = ["$5 and $10", "a whole sentence about what is seen in the picture", "$\\frac$"]
    figure = plots.confusion(np.eye(3), names)
    ax = figure.axes[0]
    assert not any(label.get_parse_math() for label in (*ax.get_xticklabels(), *ax.get_yticklabels()))
    assert max(len(label.get_text()) for label in ax.get_yticklabels()) == 24
    assert not plots.images([np.zeros((4, 4))], names[:1]).axes[0].title.get_parse_math()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of matplotlib's, where names leave no room
        figure.canvas.draw()
