import io
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import in_a_process_of_its_own, needs_posix
from two_processes import Headed

from cnncourse import data, experiment, train
from cnncourse.data import load
from cnncourse.models import MODELS
from cnncourse.recipes import PROFILES, RECIPES
from cnncourse.runs import files
from cnncourse.runs.checkpoints import load_checkpoint
from cnncourse.runs.record import Record
from cnncourse.train import run_epoch


@pytest.fixture(scope="module")
def few():
    return load("digits", size=28, limit=64)


def untimed(record):
    measured = ("seconds", "images_per_second", "peak_memory")
    return [{k: v for k, v in row.items() if k not in measured} for row in record.rows]


def test_the_same_seed_gives_the_same_curve_bit_for_bit(few):
    first, second, other = (experiment.run("mnist_cnn", few, "adam", epochs=2, seed=s) for s in (5, 5, 6))
    assert untimed(first) == untimed(second) and first.test == second.test
    assert untimed(first) != untimed(other)


def test_a_run_leaves_its_checkpoint_and_its_record_as_plain_json_with_its_provenance(few, tmp_path):
    record = experiment.run("lenet5", few, epochs=2, out=tmp_path)
    assert Record.load(tmp_path / "record.json") == record
    assert [row["epoch"] for row in record.rows] == [1, 2] and record.test["examples"] == 382
    assert record.config["recipe"]["epochs"] == 2 and record.config["parameters"] == 61_706
    assert all((row["peak_memory"] or 1e9) > 1e8 and row["images_per_second"] > 0 for row in record.rows)
    stored = json.loads((tmp_path / "record.json").read_text())
    assert stored["versions"]["torch"] and stored["machine"]["cores"] >= 1 and not list(tmp_path.glob("*.partial"))
    net = MODELS["lenet5"]()
    saved = load_checkpoint(tmp_path / "checkpoint.pt", net)
    assert Record.from_json(saved["record"]) == record
    assert run_epoch(net, few.batches("test", 64))["accuracy"] == record.test["accuracy"]


def test_the_progress_line_counts_steps_and_a_resumed_run_begins_where_it_stopped(few, tmp_path, capsys):
    steps = len(few.batches("train", RECIPES["lenet"].batch_size))
    experiment.run("lenet5", few, "lenet", epochs=2, out=tmp_path)
    experiment.run("lenet5", few, "lenet", epochs=2, out=tmp_path, resume=True)
    first, again = (line.strip().split("\r") for line in capsys.readouterr().err.strip().split("\n"))
    assert f" 0/{2 * steps} " in first[0] and f" {2 * steps}/{2 * steps} " in first[-1] and steps > 1
    assert "epoch 2, validation accuracy" in first[-1] and f" {2 * steps}/{2 * steps} " in again[0]


def test_the_best_checkpoint_is_chosen_by_validation(few, tmp_path):
    record = experiment.run("mnist_cnn", few, "adam", epochs=4, out=tmp_path)
    net = MODELS["mnist_cnn"]()
    best = load_checkpoint(tmp_path / "best.pt", net)
    accuracies = record.column("validation_accuracy")
    assert Record.from_json(best["record"]).column("validation_accuracy")[-1] == max(accuracies)
    assert run_epoch(net, few.batches("validation", 64))["accuracy"] == max(accuracies)


@needs_posix
@pytest.mark.soak
@in_a_process_of_its_own
def test_a_kill_between_the_two_checkpoints_of_the_best_epoch_does_not_lose_it(few, tmp_path, monkeypatch):
    def accuracies_will_be(*values):
        rest = iter(values)
        monkeypatch.setattr(train, "run_epoch", lambda model, batches, optimizer=None, *args, **options: (
            run_epoch(model, batches, optimizer, *args, **options) | ({} if optimizer else {"accuracy": next(rest)})))

    monkeypatch.setattr(experiment, "behaviour_of", lambda config: None)  # it runs epochs of its own
    child = os.fork()
    if not child:
        save, saved = files.save_checkpoint, []

        def dying(*args, **extra):
            saved.append(len(Record.from_json(extra["record"]).rows))
            if saved[-2:] == [2, 2]:  # the second of the two
                os._exit(9)
            save(*args, **extra)

        files.save_checkpoint = dying
        accuracies_will_be(0.1, 0.9, 0.2)
        try:
            experiment.run("mnist_cnn", few, "adam", epochs=3, out=tmp_path)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    accuracies_will_be(0.9, 0.2)
    record = experiment.run("mnist_cnn", few, "adam", epochs=3, out=tmp_path, resume=True)
    assert record.column("validation_accuracy") == [0.1, 0.9, 0.2]
    best = load_checkpoint(tmp_path / "best.pt", MODELS["mnist_cnn"]())
    assert len(Record.from_json(best["record"]).rows) == 2


def test_interruption_leaves_the_finished_epochs_on_disk(few, tmp_path, monkeypatch):
    calls = []

    def interrupted(*args, **options):
        calls.append(args)
        if len(calls) == 4:  # training and validation of the first epoch, training of the second
            raise KeyboardInterrupt
        return run_epoch(*args, **options)

    monkeypatch.setattr(experiment, "behaviour_of", lambda config: None)  # it runs epochs of its own
    monkeypatch.setattr(train, "run_epoch", interrupted)
    with pytest.warns(UserWarning, match="stopped by hand, after 1 of 3 epochs"):
        record = experiment.run("mnist_cnn", few, "adam", epochs=3, out=tmp_path)
    assert len(record.rows) == 1 and record.test is None and Record.load(tmp_path / "record.json").rows == record.rows
    monkeypatch.undo()
    resumed = experiment.run("mnist_cnn", few, "adam", epochs=3, out=tmp_path, resume=True)
    assert untimed(resumed) == untimed(experiment.run("mnist_cnn", few, "adam", epochs=3))


def test_interruption_of_the_last_look_at_the_test_images_leaves_the_record(few, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run_epoch", interrupted)
    with pytest.warns(UserWarning, match="stopped by hand, after 2 of 2 epochs"):
        record = experiment.run("mnist_cnn", few, "adam", epochs=2, out=tmp_path)
    assert len(record.rows) == 2 and record.test is None


def test_a_finished_run_is_not_overwritten_by_another(few, tmp_path):
    experiment.run("mnist_cnn", few, "adam", epochs=1, out=tmp_path)
    with pytest.raises(ValueError, match="holds a run of 1 epochs: resume it, or choose another directory"):
        experiment.run("mnist_cnn", few, "adam", epochs=1, seed=1, out=tmp_path)
    assert Record.load(tmp_path / "record.json").config["seed"] == 0
    (tmp_path / "checkpoint.pt").rename(tmp_path / "elsewhere.pt")
    for resume, epochs in ((True, 1), (False, 1), (True, 3)):
        with pytest.raises(ValueError, match="a run of 1 epochs, but not the checkpoint.pt from which it would go on"):
            experiment.run("mnist_cnn", few, "adam", epochs=epochs, out=tmp_path, resume=resume)
    (tmp_path / "elsewhere.pt").rename(tmp_path / "checkpoint.pt")
    (tmp_path / "record.json").unlink()  # as after a kill between the two files
    with pytest.raises(ValueError, match="holds a run of 1 epochs"):
        experiment.run("mnist_cnn", few, "adam", epochs=1, seed=1, out=tmp_path)


def linear(pixels=784):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(pixels, 10))


class Changed(torch.nn.Module):
    """Logits as `change` makes them of a linear layer's, which takes the images as `prepare` makes them."""

    def __init__(self, change=lambda logits: logits, prepare=lambda images: images):
        super().__init__()
        self.linear, self.change, self.prepare = linear(), change, prepare

    def forward(self, x):
        return self.change(self.linear(self.prepare(x)))


def test_a_network_that_changes_its_images_in_place_goes_on(few, tmp_path):
    again = {"data": few, "recipe": "adam", "epochs": 1, "out": tmp_path}
    whole = experiment.run(Changed(prepare=lambda images: images.sub_(0.5)), **again)
    assert untimed(experiment.run(Changed(prepare=lambda images: images.sub_(0.5)), **again, resume=True)) == untimed(
        whole)


@pytest.mark.parametrize("lr, ending", [(1e-3, nullcontext()), (1e30, pytest.raises(train.Diverged))])
def test_the_owners_gradients_are_as_before(lr, ending, few):
    net = linear()
    gradient = net[1].bias.grad = torch.ones(10)
    with ending:
        experiment.run(net, few, replace(RECIPES["adam"], optimizer="sgd", lr=lr), epochs=1)
    assert net[1].bias.grad is gradient and gradient.eq(1).all() and net[1].weight.grad is None


class Counting(Changed):
    """Counts its images in attributes that are no buffers, and fails after some."""

    def __init__(self, limit):
        super().__init__(prepare=self.counted)
        self.count, self.seen, self.sizes, self.table, self.limit = torch.zeros(1), [], set(), {}, limit
        self.wide = torch.zeros(1).expand(9)

    def counted(self, images):
        self.count += len(images)
        self.seen.append(len(images))
        self.sizes.add(len(images))
        self.table[len(images)] = True
        if self.count > self.limit:
            raise RuntimeError("too many images")
        return images


def test_what_changes_in_place_in_attributes_is_as_before_after_the_trial_and_a_run_that_fails(few):
    net, images = Counting(1e9), few.train.images[:32]
    few = replace(few, train=few.train.first(32), validation=few.validation.first(32), test=few.test.first(32))
    experiment.run(net, few, "adam", epochs=1)
    assert (net.count.item(), net.seen, net.sizes, net.table) == (96, [32] * 3, {32}, {32: True}) and len(images) == 32
    failing = Counting(40)
    seen, wide = failing.seen, failing.wide
    with pytest.raises(ValueError, match="Counting cannot be trained on, after 0 of 1 epochs: too many images"):
        experiment.run(failing, few, "adam", epochs=1)
    assert (failing.count.item(), failing.seen, failing.sizes, failing.table) == (0, [], set(), {})
    assert failing.seen is seen and failing.wide is wide and wide.tolist() == [0] * 9


class OwnTrain(Changed):
    def train(self, loader, epochs):
        pass


class OwnEval(Changed):
    def eval(self, loader):
        pass


def test_an_own_method_train_is_named_and_an_own_method_eval_is_no_hindrance(few, tmp_path):
    with pytest.raises(ValueError, match="set to evaluation mode .*'epochs'.: a method `train` of its own stands in"):
        experiment.run(OwnTrain(), few, "adam", epochs=1)
    assert len(experiment.run(OwnEval(), few, "adam", epochs=1, out=tmp_path).rows) == 1


def test_auxiliary_heads_are_trained_where_forward_has_them(few):
    net = Changed()
    net.auxiliary_heads = 1  # an attribute of its own
    assert untimed(experiment.run(net, few, "adam", epochs=1)) == untimed(experiment.run(
        Changed(), few, "adam", epochs=1))


def test_a_last_batch_of_one_image_is_tried_before_the_first_epoch(few, monkeypatch):
    squeezed = Changed(lambda logits: logits[None].squeeze())
    assert len(experiment.run(squeezed, few, "adam", epochs=1).rows) == 1
    monkeypatch.setattr(experiment, "fit", None)
    with pytest.raises(ValueError, match="outputs of 10 for 1 image, where logits of 1 x 10 .*; squeeze.. takes away"):
        experiment.run(squeezed, replace(few, validation=few.validation.first(65)), "adam", epochs=1)
    with pytest.raises(ValueError, match="Changed cannot take one image of 1 x 28 x 28 .*: IndexError: Dimension out"):
        experiment.run(Changed(lambda logits: logits.squeeze().log_softmax(1)),
                       replace(few, test=few.test.first(1)), "adam", epochs=1)


def shaped(*input_shape):
    net = linear(math.prod(input_shape))
    net.input_shape = input_shape
    return net


def test_workers_change_nothing_about_the_curve(tmp_path):
    """A DataLoader draws a random number; it must not be one of those that dropout draws."""
    lazy = load("shapes", size=65, limit=64)
    lazy = replace(lazy, validation=lazy.validation.first(32), test=lazy.test.first(32))
    alone, helped = (experiment.run(Dropping(), lazy, "adam", epochs=1, speed=experiment.Speed(workers=n))
                     for n in (0, 2))
    assert untimed(alone) == untimed(helped)


class Dropping(torch.nn.Sequential):
    input_shape = (3, 65, 65)

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(torch.nn.Flatten(), torch.nn.Dropout(), torch.nn.Linear(3 * 65 * 65, 10))


def test_a_network_whose_part_is_called_module_is_evaluated_as_a_whole(few):
    class Negated(torch.nn.Module):
        input_shape = (1, 28, 28)

        def __init__(self):
            super().__init__()
            self.module = MODELS["mnist_cnn"]()

        def forward(self, x):
            return -self.module(x)

    net = Negated()
    row = experiment.run(net, few, "adam", epochs=2).rows[-1]
    assert row["validation_loss"] == run_epoch(net, few.batches("validation", 64))["loss"]


@needs_posix
@pytest.mark.soak
@pytest.mark.parametrize("model, options, size, channels", [
    ("mnist_cnn", {}, 28, 1), ("vgg11_small_bn", {"width": 8}, 32, 3)], ids=["plain", "dropout and batch norm"])
@in_a_process_of_its_own
def test_a_run_killed_at_random_moments_goes_on_to_the_same_curve(model, options, size, channels, tmp_path):
    """A child process trains and is killed, 24 times in all, wherever it is: in a step, or while it writes."""
    images, rng, kills = load("digits", size=size, channels=channels, limit=128), random.Random(0), 0

    def train_all(**where):
        return experiment.run(model, images, "adam", epochs=8, options=options, **where)

    whole, started = train_all(), time.monotonic()
    train_all()
    usual = time.monotonic() - started
    while True:
        child = os.fork()
        if not child:
            signal.alarm(120)  # a progress bar's thread that held a lock at the fork is not in the child to release it
            try:
                train_all(out=tmp_path, resume=True)
                os._exit(0)
            finally:
                os._exit(1)
        if kills < 12:
            time.sleep(rng.uniform(0.1, 0.7) * usual)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills += 1
        elif status or kills >= 12:
            break
        else:  # it was done before it could be killed: start again from nothing, and kill sooner
            usual /= 2
            for path in tmp_path.iterdir():
                path.unlink()
    record = Record.load(tmp_path / "record.json")
    assert status == 0 and untimed(record) == untimed(whole) and record.test == whole.test


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(few, tmp_path):
    def refused(words, model="mnist_cnn", data=few, recipe="adam", **others):
        with pytest.raises(ValueError, match=words):
            experiment.run(model, data, recipe, epochs=2, out=tmp_path, resume=True, **others)

    experiment.run("mnist_cnn", few, "adam", epochs=2, out=tmp_path)
    refused("another run: its seed is 0, not 1", seed=1)
    refused("another run: its model is mnist_cnn, not lenet5", model="lenet5")
    refused("another run: its lr is 0.001, not 0.5;", recipe=replace(RECIPES["adam"], lr=0.5))
    refused("another run: its autocast is False, not True;", speed=experiment.Speed(autocast=True))
    refused("another run: its mean is", data=replace(few, mean=1 - few.mean))  # other images under the same name
    refused("another run: its std is", data=replace(few, std=few.std / 2))
    for other in (data.Split(few.train.images, (few.train.labels + 1) % 10),
                  data.Split(few.train.images.flip(3), few.train.labels)):
        refused("another run: its images and labels are not those given", data=replace(few, train=other))
    checkpoint = tmp_path / "checkpoint.pt"
    whole = checkpoint.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + bytes(64) + whole[middle + 64:], b"", bytes(64) + whole[64:],
                    bytes(999), whole[:-30]):
        checkpoint.write_bytes(damaged)
        refused("checkpoint.pt is damaged")
    checkpoint.write_bytes(b"<html>")
    refused("checkpoint.pt is no checkpoint of this course")
    torch.save({"model": print}, checkpoint)
    refused("checkpoint.pt is not read, and stays as it is, .* could be code")  # which is not run
    good = torch.load(io.BytesIO(whole), weights_only=True)
    for record in ("{", "[1]", '{"config": {}}'):
        torch.save(good | {"record": record}, checkpoint)
        refused("holds no run of this course")


def test_numbers_of_numpy_in_a_recipe_are_kept_as_pythons_and_the_run_goes_on(few, tmp_path):
    recipe = replace(RECIPES["adam"], lr=np.logspace(-3, -1, 5)[1], batch_size=np.int64(32), weight_decay=np.float32(0))
    where = {"seed": np.int64(2), "epochs": np.int64(1), "out": tmp_path}
    whole = experiment.run("mnist_cnn", few, recipe, **where)
    again = experiment.run("mnist_cnn", few, recipe, **where, resume=True)
    kept = Record.load(tmp_path / "record.json").config
    assert untimed(again) == untimed(whole) and kept["recipe"]["batch_size"] == 32 and kept["seed"] == 2


def test_a_reworded_reason_does_not_end_a_run(few, tmp_path):
    whole = experiment.run("mnist_cnn", few, "adam", epochs=1, out=tmp_path)
    reworded = replace(RECIPES["adam"], source="elsewhere", why={"lr": "in other words"})
    again = experiment.run("mnist_cnn", few, reworded, epochs=1, out=tmp_path, resume=True)
    assert untimed(again) == untimed(whole)


def test_of_two_runs_in_one_directory_the_first_stops_and_says_so(few, tmp_path, monkeypatch):
    fit = experiment.fit

    def late(*args):
        monkeypatch.setattr(experiment, "fit", fit)
        experiment.run("mnist_cnn", few, "adam", epochs=1, seed=1, out=tmp_path)
        yield from fit(*args)

    monkeypatch.setattr(experiment, "fit", late)
    with pytest.raises(ValueError, match="another run writes into .* as well, and this one stops after 1 epochs"):
        experiment.run("mnist_cnn", few, "adam", epochs=2, out=tmp_path)
    assert Record.load(tmp_path / "record.json").config["seed"] == 1


def test_an_unwritable_directory_is_refused_before_anything_is_trained(few, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setattr(train, "run_epoch", None)
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OSError, match="is a file, or lies in one: choose a directory"):
            experiment.run("mnist_cnn", few, epochs=2, out=out)


@needs_posix
def test_a_full_disk_ends_the_run_and_leaves_the_last_checkpoint_whole(few, tmp_path):
    """A limit on the size of files stands for the disk: after the first epoch, with Adam's state, it no longer fits."""
    code = ("import resource, signal, sys; from cnncourse import __main__ as cli\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))\n"
            "sys.argv = ['', 'train', 'mnist_cnn', '--recipe', 'adam', '--epochs', '1', '--out', sys.argv[1]]\n"
            "sys.exit(cli.main())")
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    *_, last = done.stderr.splitlines()
    assert done.returncode == 2 and "could not be written, and is as it was before: make room on the disk" in last
    assert Record.from_json(load_checkpoint(tmp_path / "checkpoint.pt", MODELS["mnist_cnn"]())["record"]).rows == []
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:FutureWarning")
@pytest.mark.parametrize("call, words", [
    (lambda d: experiment.run("lenet5", d, options={"num_classes": 5}), "num_classes is no option: the data say"),
    (lambda d: experiment.run(MODELS["lenet5"](), d, options={"width": 8}), "this LeNet5 is built already"),
    (lambda d: experiment.run("lenet5", d, resume=True), "the checkpoint in a directory: name it with `out`"),
    (lambda d: experiment.run(torch.nn.Linear(3, 10), "digits"), "Linear has no `input_shape`"),
    (lambda d: experiment.run("resnet2", d), "no model 'resnet2': did you mean resnet"),
    (lambda d: experiment.run("lenet5", d, "fast"), "no recipe 'fast'"),
    (lambda d: experiment.run("vgg16_small", d), r"cannot take images of 1 x 28 x 28 .*channels=3, size=32"),
    (lambda d: experiment.run(MODELS["alexnet_small"](), load("shapes", size=16, limit=64)), "cannot take .* 3 x 16"),
    (lambda d: experiment.run("lenet5", replace(d, classes=d.classes[:4])), "label . of the train images"),
    (lambda d: experiment.run("lenet5", d, epochs=0), "epochs is a whole number, 1 or more, not 0"),
    (lambda d: experiment.run("lenet5", d, seed=None), "seed is a whole number, 0 or more, not None"),
    (lambda d: experiment.run("lenet5", d, seed=2**32), r"seed is a whole number below 2\*\*32, not 4294967296"),
    (lambda d: experiment.run("lenet5", d, out=""), "path of a directory, and this one is empty"),
    (lambda d: experiment.run("lenet5", [d]), "data are their name or a data.Data, as .* not a list"),
    (lambda d: experiment.run("lenet5", str(Path(__file__).parent)), "is a directory: the data are then 'folder', and"),
    (lambda d: experiment.run("lenet5", d, batch_size=0), "batch_size is a whole number, 1 or more, not 0"),
    (lambda d: experiment.run("lenet5", d, batch_size=99999), "choose a batch size of at most .* with --batch-size or"),
    (lambda d: experiment.run("lenet5", d, speed={"device": "cpu"}), "speed is an experiment.Speed, not a dict"),
    (lambda d: experiment.run("lenet5", d, out=["run"]), "`out` is the path of a directory, not a list"),
    (lambda d: replace(RECIPES["short"], milestones=(30, 60)), r"from 0 to 1, not \(30, 60\): divide epochs by those"),
    (lambda d: replace(RECIPES["short"], milestones=None), "milestones is given in shares .*, not None"),
    (lambda d: replace(RECIPES["short"], warm_up=2), "warm_up is given in shares of the training, from 0 to 1, not 2"),
    (lambda d: replace(RECIPES["short"], lr="1e-3"), "lr is a number, 0 or more, not '1e-3'"),
    (lambda d: experiment.run(Changed(torch.mean), d), "gives a single number for 2 images, where logits of 2 x 10"),
    (lambda d: experiment.run(Changed(lambda y: (y.mean(), y)), d), "a single number as the first of 2 outputs for 2"),
    (lambda d: experiment.run(shaped(1, 8, 12), "digits"), "takes images of 1 x 8 x 12, and those that are loaded by"),
    (lambda d: experiment.run(shaped(1, 28, 12), d), "cannot take images of 1 x 28 x 28 .* for images of 1 x 28 x 12"),
    (lambda d: experiment.run(torch.jit.script(linear(5)), d), "cannot take .*: RuntimeError: .*mat1 and mat2 shapes"),
    (lambda d: replace(RECIPES["short"], optimizer="adamw"), "no optimizer 'adamw': did you mean adam"),
    (lambda d: replace(RECIPES["short"], schedule="cosinus"), "no schedule 'cosinus': did you mean cosine"),
])
def test_what_does_not_fit_is_refused_before_anything_runs(call, words, few):
    with pytest.raises(ValueError, match=words):
        call(few)


def test_every_recipe_and_profile_names_things_that_exist():
    from cnncourse.data import AUGMENTATIONS, DATA_SETS

    net = MODELS["mnist_cnn"]()
    for recipe in RECIPES.values():
        optimizer = recipe.make_optimizer(net)
        recipe.make_scheduler(optimizer, 100)
        assert recipe.augment is None or recipe.augment in AUGMENTATIONS
        assert set(recipe.why) <= set(recipe.__dataclass_fields__)
    assert list(PROFILES) == ["tiny", "laptop", "full"]
    assert all(p.grey in DATA_SETS and p.colour in DATA_SETS for p in PROFILES.values())


def test_the_papers_hyper_parameters_are_theirs():
    alexnet, vgg, googlenet, resnet = (RECIPES[n] for n in ("alexnet", "vgg", "googlenet", "resnet_cifar"))
    assert (alexnet.lr, alexnet.momentum, alexnet.weight_decay, alexnet.batch_size) == (0.01, 0.9, 5e-4, 128)
    assert (vgg.lr, vgg.momentum, vgg.weight_decay, vgg.batch_size, vgg.epochs) == (0.01, 0.9, 5e-4, 256, 74)
    assert (googlenet.momentum, googlenet.gamma, googlenet.head_weight) == (0.9, 0.96, 0.3)
    assert [share * googlenet.epochs for share in googlenet.milestones[:2]] == [8, 16]
    assert (resnet.lr, resnet.momentum, resnet.weight_decay, resnet.batch_size) == (0.1, 0.9, 1e-4, 128)
    assert 64_000 - 352 < resnet.epochs * 45_000 / 128 <= 64_000  # within an epoch of the paper's iterations
    optimizer = resnet.make_optimizer(MODELS["mnist_cnn"]())
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.9, 1e-4)
    found = rates("resnet_cifar", 64)
    assert found[31] == 0.1 and found[32] == pytest.approx(0.01) and found[48] == pytest.approx(0.001)


def rates(recipe, steps):
    """The learning rate of each step."""
    optimizer, found = RECIPES[recipe].make_optimizer(MODELS["mnist_cnn"]()), []
    scheduler = RECIPES[recipe].make_scheduler(optimizer, steps)
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    return found


def test_a_run_of_another_version_is_refused_and_one_older_than_the_proofs_goes_on(few, tmp_path, monkeypatch):
    again = {"model": "mnist_cnn", "data": few, "recipe": "adam", "epochs": 1, "out": tmp_path}
    experiment.run(**again)
    monkeypatch.setattr(experiment, "behaviour_of", lambda config: {"train_loss": [1.0]})
    with pytest.raises(ValueError, match="another version of the network or of the training: train_loss .* became"):
        experiment.run(**again, resume=True)
    path = tmp_path / "checkpoint.pt"
    checkpoint = torch.load(path)
    record = json.loads(checkpoint["record"])
    for key in ("behaviour", "digests", "std"):
        del record["config"][key]
    for key in ("kinds", "logits"):
        del checkpoint[key]
    torch.save(checkpoint | {"record": json.dumps(record)}, path)
    assert len(experiment.run(**again, resume=True).rows) == 1


def test_a_run_goes_on_on_another_processor_only_when_asked(few, tmp_path, monkeypatch):
    again = {"model": "mnist_cnn", "data": few, "recipe": "adam", "epochs": 2, "out": tmp_path}
    whole = experiment.run(**again)
    monkeypatch.setattr("cnncourse.runs.record.processor", lambda: "another")
    with pytest.raises(ValueError, match=r"made on another processor \(.*, this is another\).*resume=\"anywhere\""):
        experiment.run(**again, resume=True)
    assert untimed(experiment.run(**again, resume="anywhere")) == untimed(whole)


def test_every_field_of_a_recipe_reaches_the_training(monkeypatch):
    seen, net = [], Headed()
    net.input_shape = (3, 2, 2)
    monkeypatch.setattr(experiment, "fit", lambda *args: seen.append(args) or iter(()))
    images = load("digits", size=2, channels=3, limit=64)
    three = {split: replace(getattr(images, split), labels=getattr(images, split).labels % 3)
             for split in ("train", "validation", "test")}
    recipe = replace(RECIPES["laptop_smooth"], batch_size=32, head_weight=0.2, augment="flip")
    experiment.run(net, replace(images, classes=("a", "b", "c"), **three), recipe, epochs=2)
    (_, training, _, optimizer, epochs, scheduler, loss, *_), = seen
    assert loss.func is train.with_heads and loss.keywords == {"weight": 0.2, "label_smoothing": 0.1}
    batches, group = training.batches, optimizer.param_groups[0]
    assert (batches.flip, batches.pad, len(batches), epochs) == (True, 0, 2, 2)
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 5e-4, True)
    assert scheduler.total_steps == 4


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8, 100])
def test_one_cycle_works_for_any_number_of_steps_and_ends_low(steps):
    found = rates("short", steps)
    assert max(found) == pytest.approx(0.1, rel=0.05)
    assert steps < 3 or found[-1] < 1e-4


def test_a_file_that_is_no_record_is_refused(tmp_path):
    for content in (b'{"config": ', b"\xff\xfe", b"[1]", b'{"mine": 1}', b'{"config": 1}', b'{"config": {}, "rows": 5}',
                    b""):
        (tmp_path / "r.json").write_bytes(content)
        with pytest.raises(ValueError, match="r.json is not a training record, and stays as it is; take another file"):
            Record.load(tmp_path / "r.json")
    with pytest.raises(ValueError, match="is not a training record"):
        Record.load(tmp_path)
