"""Whether runs reach what was published: the interval, the verdict, and the command that trains first."""

import copy
from math import sqrt
from statistics import fmean, stdev

import pytest
from conftest import command
from scipy import stats

from cnncourse.runs.published import expectations, interval, verdicts
from cnncourse.runs.shipped import recorded


def with_accuracies(*accuracies):
    record = recorded("resnet20", data="cifar10", recipe="laptop", epochs=10)[0]
    found = []
    for seed, accuracy in enumerate(accuracies, 5):
        found.append(copy.deepcopy(record))
        found[-1].config["seed"], found[-1].test["accuracy"] = seed, accuracy
    return found


def test_the_interval_holds_95_of_100_new_means_of_the_same_recipe():
    low, high = interval(0.9, 0.002, seeds=3, others=5, known=5)
    assert fmean([low, high]) == pytest.approx(0.9)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 4) * 0.002 * sqrt(1 / 3 + 1 / 5), rel=1e-3)


@pytest.mark.parametrize("accuracies, words", [((0.9125,), "inside"), ((0.9061,), "below"), ((0.9189,), "above"),
                                               ((0.9060, 0.9190, 0.9125), "inside"),
                                               ((0.9070, 0.9072, 0.9073), "below")])
def test_a_mean_is_inside_the_papers_interval_or_it_is_not(accuracies, words):
    row = verdicts(with_accuracies(*accuracies))[0]
    assert (row.seeds, row.verdict) == (len(accuracies), words)
    assert row.expected == {1: "90.62% to 91.88%", 3: "90.74% to 91.76%"}[len(accuracies)]
    assert "Table 6" in row.source


def test_a_new_seed_is_held_against_the_shipped_runs_of_its_recipe_and_never_against_itself():
    ours = [record.test["accuracy"] for record in recorded("resnet20", data="cifar10", recipe="laptop", epochs=10)]
    (_, _, paper), (low, high, source) = expectations(with_accuracies(0.85))
    assert "He et al." in paper and "3 runs" in source
    assert (low + high) / 2 == pytest.approx(fmean(ours))
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, 2) * stdev(ours) * sqrt(1 + 1 / 3), rel=1e-3)
    shipped = recorded("resnet20", data="cifar10", recipe="laptop", epochs=10)
    assert ["2 runs" in words for *_, words in expectations(shipped[:1])] == [False, True]


def test_verify_tells_what_was_reached_and_what_was_expected(capsys):
    assert command("verify", "resnet20", "--data", "cifar10") == 0
    assert "He et al. 2016, Table 6" in capsys.readouterr().out


def test_verify_fails_on_a_record_that_agrees_with_no_source(tmp_path, capsys):
    for accuracy, code in ((0.915, 0), (0.86, 0), (0.88, 1)):
        path = tmp_path / "record.json"
        with_accuracies(accuracy)[0].save(path)
        assert command("verify", "resnet20", path) == code
    assert "below" in capsys.readouterr().out


def test_verify_says_in_a_sentence_what_it_cannot_judge(tmp_path, capsys):
    unfinished = with_accuracies(0.9)[0]
    unfinished.test = None
    unfinished.save(tmp_path / "record.json")
    for arguments, words in ((["resnet20", tmp_path / "record.json"], "let the training end first"),
                             (["vgg11"], "nothing says what to expect"),
                             (["vgg11", "--out", tmp_path], "the course ships no run of vgg11"),
                             (["lenet5", tmp_path / "no.json"], "No such file")):
        assert command("verify", *arguments) == 2
        assert words in capsys.readouterr().err


def test_verify_trains_by_the_recorded_recipe_goes_on_and_judges(tmp_path, capsys, monkeypatch):
    from cnncourse import experiment
    from cnncourse.data import load

    asked, real = [], experiment.run

    def short(model, data, recipe, epochs, seed, out, root, **options):
        asked.append((model, data, recipe, epochs, seed, options["resume"]))
        return real(model, load("digits", size=28, limit=256), recipe, 1, seed, out, **options)

    monkeypatch.setattr(experiment, "run", short)
    for resumed in (False, True):
        assert command("verify", "lenet5", "--data", "mnist", "--out", tmp_path) == 2
        assert asked[-1] == ("lenet5", "mnist", "lenet", 24, 3, resumed)
    assert "nothing says what to expect" in capsys.readouterr().err  # these are digits
