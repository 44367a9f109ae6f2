"""The runs that the course ships: whole, with their provenance, and honest about what has changed since."""

import copy
import platform
import sys
from dataclasses import asdict
from math import log

import pytest
import torch

from cnncourse import experiment, plots
from cnncourse.data import load
from cnncourse.experiment import RECORDS, outdated
from cnncourse.recipes import RECIPES
from cnncourse.runs.record import Record, machine
from cnncourse.tools import cli

SHIPPED = sorted(RECORDS.glob("*.json"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_records_are_whole_and_current(path):
    record = Record.load(path)
    config = record.config
    assert path.stem == record.name
    assert [row["epoch"] for row in record.rows] == list(range(1, config["recipe"]["epochs"] + 1))
    assert record.test["examples"] == 10_000 and all(row["seconds"] > 0 for row in record.rows)
    assert record.versions["torch"] and record.machine["cores"]
    assert outdated(record) == ""


@pytest.fixture
def record():
    return experiment.run("mnist_cnn", load("digits", size=28, limit=64), "adam", epochs=1)


def test_a_record_says_when_its_model_or_its_recipe_has_changed(record):
    assert outdated(record) == ""
    for key, value, words in (("code", "0" * 16, "the model's code has changed"),
                              ("model", "mnist_cnn_2", "no such model any more"),
                              ("recipe_name", "forgotten", "there is no such recipe any more"),
                              ("recipe", record.config["recipe"] | {"lr": 7.0}, "the recipe's lr changed")):
        old = copy.deepcopy(record)
        old.config[key] = value
        assert words in outdated(old)
    for augment, words in (("crop_flip", "the recipe's augment changed"), ("none", "")):
        old = copy.deepcopy(record)
        old.config["recipe_name"] = "laptop_unaugmented"
        old.config["recipe"] = asdict(RECIPES["laptop_unaugmented"]) | {"augment": augment, "milestones": []}
        assert outdated(old) == words


def test_the_hash_of_a_model_ignores_words_and_sees_numbers(monkeypatch):
    from cnncourse.models import lenet

    source = experiment.inspect.getsource
    before = experiment.code_hash(lenet.LeNet5)
    for was, becomes, same in (('"""Figure 2 in today\'s layers.', '"""Another sentence.', True),
                               ("nn.Conv2d(6, 16, 5)", "nn.Conv2d(6, 16, 3)", False)):
        monkeypatch.setattr(experiment.inspect, "getsource", lambda m, w=was, b=becomes: source(m).replace(w, b))
        assert was in source(lenet) and (experiment.code_hash(lenet.LeNet5) == before) is same


def test_the_processor_has_a_name_on_every_system(monkeypatch):
    info = "processor\t: 0\nmodel name\t: Some CPU 9000\nflags\t: fast\n"
    monkeypatch.setattr("cnncourse.runs.record.Path.read_text", lambda *_, **__: info)
    assert machine()["processor"] == "Some CPU 9000"
    monkeypatch.setattr("cnncourse.runs.record.Path.read_text", lambda *_, **__: "processor\t: 0\n")
    assert machine()["processor"] == (platform.processor() or platform.machine())


def test_a_network_without_a_file_can_be_trained(record):
    network = type("Written", (torch.nn.Sequential,), {"__module__": "builtins", "input_shape": (1, 28, 28)})
    net = network(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    assert experiment.run(net, load("digits", size=28, limit=64), "adam", epochs=1).config["code"] == ""


@pytest.mark.parametrize("changed, words", [
    ({}, "mnist_cnn-digits-adam-1epochs"), ({"options": {"width": 8}}, "mnist_cnn-width=8-digits-adam-1epochs"),
    ({"speed": {"autocast": True}}, "mnist_cnn-digits-adam-1epochs-bfloat16"),
    ({"device": "cuda", "processes": 2}, "mnist_cnn-digits-adam-1epochs-cuda-2processes")])
def test_runs_whose_curves_differ_have_names_that_differ(record, changed, words):
    record.config |= changed | {"seed": 7}
    assert (record.series, record.name) == (words, f"{words}-7")


def test_the_summary_has_a_row_for_all_seeds_of_a_run(record):
    runs = [copy.deepcopy(record) for _ in range(3)]
    for seed, (run, accuracy) in enumerate(zip(runs, (0.5, 0.6, 0.9), strict=True)):
        run.config["seed"], run.test["accuracy"], run.rows[0]["seconds"] = seed, accuracy, 60 * (seed + 1)
        run.rows[0]["train_accuracy"] = accuracy / 2
    other = copy.deepcopy(record)
    other.config |= {"options": {"width": 8}, "speed": other.config["speed"] | {"autocast": True}}
    three, one = experiment.summary([*runs, other])
    assert three == experiment.Runs("mnist_cnn-digits-adam-1epochs", "0, 1, 2", "33.3% [25.0% - 45.0%]",
                                    "66.7% [50.0% - 90.0%]", 2, "cpu", "current")
    assert one.run == "mnist_cnn-width=8-digits-adam-1epochs-bfloat16" and one.on == "cpu, bfloat16"
    assert "[" not in one.test


def test_records_are_listed_and_drawn(record, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "RECORDS", tmp_path)
    record.save(tmp_path / f"{record.name}.json")
    old = copy.deepcopy(record)
    old.config |= {"seed": 1, "code": "0" * 16}
    old.save(tmp_path / f"{old.name}.json")
    monkeypatch.setattr(sys, "argv", ["cnncourse", "records", "--plot", str(tmp_path / "curves.png")])
    assert cli.main() == 0
    _, row, _ = capsys.readouterr().out.splitlines()
    assert row.split()[:3] == ["mnist_cnn-digits-adam-1epochs", "0,", "1"]
    assert row.endswith("cpu  seed 1: the model's code has changed")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    drawn, draw = [], plots.curves
    monkeypatch.setattr(plots, "curves", lambda runs: drawn.extend(runs) or draw(runs))
    other, longer = copy.deepcopy(record), copy.deepcopy(record)
    other.config |= {"data": "mnist"}
    longer.config |= {"recipe": record.config["recipe"] | {"epochs": 2}}
    longer.append(longer.rows[0] | {"epoch": 2})
    for run in (other, longer):
        run.save(tmp_path / f"{run.name}.json")
    assert cli.main() == 0  # runs on other data or of another length are no seeds of the same
    assert len(drawn) == 4 and len({run.config["label"] for run in drawn}) == 3
    monkeypatch.setattr(sys, "argv", ["cnncourse", "records", "resnet20", "--plot", str(tmp_path / "none.png")])
    assert cli.main() == 2 and "no record is of these models" in capsys.readouterr().err


def accuracies(model: str, part: str) -> list[float]:
    """Of the runs of ten epochs on CIFAR-10, one a seed: of the last training epoch, or of the test images."""
    runs = experiment.recorded(model, data="cifar10", recipe="laptop", epochs=10)
    return [run.test["accuracy"] if part == "test" else run.rows[-1]["train_accuracy"] for run in runs]


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("worse, better", [("plain56", "plain20"), ("plain20", "resnet20"), ("resnet20", "resnet56")],
                         ids=["depth harms plain networks", "shortcuts help", "with shortcuts depth helps"])
def test_what_lesson_6_says_of_depth_holds_for_every_pair_of_recorded_seeds(worse, better, part):
    assert max(accuracies(worse, part)) < min(accuracies(better, part))


def test_what_lesson_4_says_of_the_start_holds_in_every_recorded_run():
    """With SGD the default start stays at ln 10; with Adam it leaves it, and stays behind the other two."""
    for recipe, learns in (("laptop_gentle", False), ("laptop_adam", True)):
        runs = experiment.recorded("vgg16_small", "vgg16_small_bn", data="cifar10", recipe=recipe, epochs=10)
        late = [run for run in runs if run.config["options"] == {"he_init": False}]
        early = [run for run in runs if run not in late]
        assert late and len(early) >= 2
        for run in late:
            assert all(abs(loss - log(10)) < 1e-3 for loss in run.column("train_loss")) != learns
            assert (run.test["accuracy"] > 0.5) == learns
            assert all(run.test["accuracy"] < other.test["accuracy"] - 0.05 for other in early)


def test_batch_normalisation_is_ahead_with_sgd_in_every_pair_of_recorded_seeds_and_every_epoch():
    """Lesson 4."""
    he, norm = (experiment.recorded(model, data="cifar10", recipe="laptop_gentle", epochs=10)
                for model in ("vgg16_small", "vgg16_small_bn"))
    he = [run for run in he if not run.config["options"]]
    assert len(he) == len(norm) == 3
    assert max(run.test["accuracy"] for run in he) < min(run.test["accuracy"] for run in norm) - 0.02
    columns = [[run.column("validation_accuracy") for run in runs] for runs in (he, norm)]
    for worse, better in zip(*(zip(*column, strict=True) for column in columns), strict=True):
        assert max(worse) < min(better)


def test_augmentation_closes_the_gap_in_every_pair_of_recorded_seeds():
    """Lesson 3: better known training images, worse known new ones, and nothing else differs."""
    as_they_are, augmented = (experiment.recorded("resnet20", data="cifar10", recipe=recipe, epochs=10)
                              for recipe in ("laptop_unaugmented", "laptop"))
    assert len(as_they_are) == len(augmented) == 3
    gaps, others = ([run.rows[-1]["train_accuracy"] - run.test["accuracy"] for run in runs]
                    for runs in (as_they_are, augmented))
    assert min(gaps) > 0.1 and max(others) < 0.03
    assert max(run.test["accuracy"] for run in as_they_are) < min(run.test["accuracy"] for run in augmented)
    for run in as_they_are + augmented:
        assert run.config["recipe"] | {"augment": "", "source": "", "why": ""} == (
            augmented[0].config["recipe"] | {"augment": "", "source": "", "why": ""})
