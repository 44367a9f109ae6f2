"""The runs that the course ships: whole, with their provenance, and honest about what has changed since."""

import copy
import inspect
import platform
from dataclasses import asdict
from functools import partial
from math import log
from types import ModuleType

import pytest
import torch
from conftest import command
from torch import nn

from cnncourse import experiment, plots, train
from cnncourse.data import AUGMENTATIONS, load
from cnncourse.models import MODELS, resnet
from cnncourse.recipes import RECIPES, Recipe
from cnncourse.runs import behaviour, shipped
from cnncourse.runs.record import Record, machine
from cnncourse.runs.shipped import RECORDS, outdated

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
    for key, value, words in (("model", "mnist_cnn_2", "no such model any more"),
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


def with_other_eps(monkeypatch):
    made = nn.BatchNorm2d.__init__
    monkeypatch.setattr(nn.BatchNorm2d, "__init__", lambda self, n, **options: made(self, n, eps=1.1e-5, **options))


CHANGES = {
    "zero_grad forgotten": lambda patch: patch.setattr(torch.optim.Optimizer, "zero_grad", lambda self, **_: None),
    "a border of the crop": lambda patch: patch.setitem(AUGMENTATIONS, "crop_flip", (1 / 16, True)),
    "no mirror images": lambda patch: patch.setitem(AUGMENTATIONS, "crop_flip", (1 / 8, False)),
    "eps of batch normalisation": with_other_eps,
    "the schedule": lambda patch: patch.setattr(Recipe, "make_scheduler", lambda *_: None),
    "a rate": lambda patch: patch.setattr(behaviour, "RATE", 1.01 * behaviour.RATE),
    "smoothed labels": lambda patch: patch.setattr(
        behaviour, "loss_of", lambda *_: partial(train.cross_entropy, label_smoothing=0.1)),
    "order of the images": lambda patch: patch.setattr(torch, "randperm", lambda n, **_: torch.arange(n)),
}


@pytest.fixture
def recorded_resnet():
    behaviour.behaviour.cache_clear()
    yield experiment.recorded("resnet20", data="cifar10", recipe="laptop", epochs=10)[0]
    behaviour.behaviour.cache_clear()


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_is_old_where_a_training_would_do_something_else(change, recorded_resnet, monkeypatch):
    CHANGES[change](monkeypatch)
    assert outdated(recorded_resnet).startswith("a training does something else today: its ")


def test_words_names_and_other_networks_leave_a_record_current(recorded_resnet, monkeypatch):
    text = inspect.getsource(resnet)
    for was, becomes in (("def conv(", "def convolution("), (" conv(", " convolution("), ("(conv(", "(convolution("),
                         ('"""ResNet-20', '"""Another sentence on ResNet-20'),
                         ("class Residual", "class New(nn.Module):\n    eps = 1e-3\n\n\nclass Residual")):
        text = text.replace(was, becomes)
    other = ModuleType("cnncourse.models.other")
    exec(text, vars(other))
    assert not hasattr(other, "conv") and other.New.eps == 1e-3
    monkeypatch.setitem(MODELS, "resnet20", other.resnet20)
    assert outdated(recorded_resnet) == ""


def test_a_dropout_of_another_share_is_seen_though_none_is_drawn(monkeypatch):
    config = experiment.recorded("alexnet_small")[0].config | {"image_shape": [3, 32, 32], "model": "vgg11_small_bn"}
    config["options"] = {"width": 4}
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the run's own numbers on a GPU"))
    behaviour.behaviour.cache_clear()
    found = behaviour.behaviour_of(config)
    assert found["dropout"] == [0.5, 0.5]
    assert behaviour.difference(found | {"dropout": [0.5, 0.4]}, found) == "dropout [0.5, 0.4] became [0.5, 0.5]"


def test_the_processor_has_a_name_on_every_system(monkeypatch):
    info = "processor\t: 0\nmodel name\t: Some CPU 9000\nflags\t: fast\n"
    monkeypatch.setattr("cnncourse.runs.record.Path.read_text", lambda *_, **__: info)
    assert machine()["processor"] == "Some CPU 9000"
    monkeypatch.setattr("cnncourse.runs.record.Path.read_text", lambda *_, **__: "processor\t: 0\n")
    assert machine()["processor"] == (platform.processor() or platform.machine())


def test_a_network_without_a_file_can_be_trained(record):
    network = type("Written", (torch.nn.Sequential,), {"__module__": "builtins", "input_shape": (1, 28, 28)})
    net = network(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    assert experiment.run(net, load("digits", size=28, limit=64), "adam", epochs=1).config["behaviour"] is None


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
    three, one = shipped.summary([*runs, other])
    assert three == shipped.Runs("mnist_cnn-digits-adam-1epochs", "0, 1, 2", "33.3% [25.0% - 45.0%]",
                                    "66.7% [50.0% - 90.0%]", 2, "cpu", "current")
    assert one.run == "mnist_cnn-width=8-digits-adam-1epochs-bfloat16" and one.on == "cpu, bfloat16"
    assert "[" not in one.test


def test_records_are_listed_and_drawn(record, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(shipped, "RECORDS", tmp_path)
    record.save(tmp_path / f"{record.name}.json")
    old = copy.deepcopy(record)
    old.config |= {"seed": 1, "recipe": record.config["recipe"] | {"lr": 7.0}}
    old.save(tmp_path / f"{old.name}.json")
    assert command("records", "--plot", tmp_path / "curves.png") == 0
    _, row, _ = capsys.readouterr().out.splitlines()
    assert row.split()[:3] == ["mnist_cnn-digits-adam-1epochs", "0,", "1"]
    assert row.endswith("cpu  seed 1: the recipe's lr changed")
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    drawn, draw = [], plots.curves
    monkeypatch.setattr(plots, "curves", lambda runs: drawn.extend(runs) or draw(runs))
    other, longer = copy.deepcopy(record), copy.deepcopy(record)
    other.config |= {"data": "mnist"}
    longer.config |= {"recipe": record.config["recipe"] | {"epochs": 2}}
    longer.append(longer.rows[0] | {"epoch": 2})
    for run in (other, longer):
        run.save(tmp_path / f"{run.name}.json")
    assert command("records", "--plot", tmp_path / "curves.png") == 0
    # runs on other data or of another length are no seeds of the same
    assert len(drawn) == 4 and len({run.config["label"] for run in drawn}) == 3
    assert command("records", "resnet20", "--plot", tmp_path / "none.png") == 2
    assert "no record is of these models" in capsys.readouterr().err


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
