"""Several processes under torchrun: the same curve as one, one writer, and an error that ends all of them."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from two_processes import batches, network, optimizer_of

from cnncourse.data import load
from cnncourse.loop.processes import Seeded
from cnncourse.runs.record import Record
from cnncourse.train import cross_entropy, run_epoch, with_heads

pytestmark = pytest.mark.soak


def started(*words, processes=2):
    several = ["torch.distributed.run", f"--nproc-per-node={processes}"] if processes > 1 else []
    return subprocess.run([sys.executable, *(["-m", *several] if several else []), *map(str, words)],
                          capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def test_two_processes_give_the_curve_of_one(tmp_path):
    """LeNet-5 has neither batch norm nor dropout: the mean of two half gradients is the whole batch's."""
    for folder, processes in (("one", 1), ("two", 2)):
        done = started("-m", "cnncourse", "train", "lenet5", "--epochs", 2, "--out", tmp_path / folder,
                       processes=processes)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("test accuracy") == 1  # one process prints and writes
    one, two = (Record.load(tmp_path / folder / "record.json") for folder in ("one", "two"))
    for a, b in zip(one.rows, two.rows, strict=True):
        for quantity in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
            assert b[quantity] == pytest.approx(a[quantity], abs=1e-4)
        images = [row["images_per_second"] * row["seconds"] for row in (a, b)]
        assert images[0] == pytest.approx(images[1])  # the two share each batch; neither takes all of it
    assert two.config["processes"] == 2 and two.test["examples"] == 382


@pytest.mark.parametrize("kind", ["batch norm", "heads"])
def test_two_processes_equal_one_that_takes_their_parts_apart(kind, tmp_path):
    """Batch norm takes its statistics over each process's own images, and evaluation those of the first."""
    done = started(Path(__file__).parent / "two_processes.py", kind, tmp_path / "state.pt")
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "state.pt", weights_only=True)
    validation_loss = found.pop("validation_loss")
    loss = with_heads if kind == "heads" else cross_entropy
    first = network(kind).train()
    nets = [first, copy.deepcopy(first)]
    optimizers = [optimizer_of(net) for net in nets]
    for images, labels in batches(kind):
        for rank, net in enumerate(nets):
            net.zero_grad()
            loss(net, images[rank::2], labels[rank::2])[0].backward()
        for a, b in zip(*(net.parameters() for net in nets), strict=True):
            a.grad = b.grad = (a.grad + b.grad) / 2
        for optimizer in optimizers:
            optimizer.step()
    assert list(found) == list(first.state_dict())
    for name, value in first.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert validation_loss == pytest.approx(run_epoch(first, batches(kind))["loss"], rel=1e-4)


def test_a_failing_process_ends_the_run_with_its_own_error(tmp_path):
    done = started("-m", "cnncourse", "train", "lenet5", "--recipe", "nonsense", "--out", tmp_path)
    assert done.returncode and "there is no recipe 'nonsense'" in done.stderr


def test_one_failing_process_ends_all_with_its_own_error(tmp_path):
    """The second fails in the second epoch, while the first waits for its gradients."""
    (tmp_path / "failing.py").write_text("""
import os, sys
from cnncourse import experiment, train
from cnncourse import __main__ as cli
experiment.behaviour_of = lambda config: None  # it runs epochs of its own
epochs, run_epoch = [], train.run_epoch
def fails(*args, **options):
    epochs.append(args)
    if os.environ["RANK"] == "1" and len(epochs) == 3:
        raise ValueError("an error of the second process")
    return run_epoch(*args, **options)
train.run_epoch = fails
sys.exit(cli.main())
""")
    done = started(tmp_path / "failing.py", "train", "lenet5", "--epochs", 5, "--out", tmp_path / "run")
    assert done.returncode and "cnncourse: an error of the second process" in done.stderr
    assert len(Record.load(tmp_path / "run" / "record.json").rows) == 1


def test_two_processes_resumed_go_on_to_the_same_curve_with_dropout_and_one_without_a_share_of_a_set(tmp_path):
    """Each process draws its own dropout. Of the one validation image the second process gets nothing."""
    (tmp_path / "resumed.py").write_text("""
import itertools, sys
from dataclasses import replace
from cnncourse import experiment
from cnncourse.data import load
images = load("digits", size=32, channels=3, limit=128)
images = replace(images, validation=images.validation.first(1))
fit, epochs = experiment.fit, int(sys.argv[2])
experiment.fit = lambda *args: itertools.islice(fit(*args), epochs)
experiment.run("vgg11_small", images, "adam", epochs=3, out=sys.argv[1], resume=True, options={"width": 8})
""")
    for folder, epochs in (("whole", 3), ("parts", 1), ("parts", 2)):
        done = started(tmp_path / "resumed.py", tmp_path / folder, epochs)
        assert done.returncode == 0, done.stderr
    whole, parts = (Record.load(tmp_path / folder / "record.json") for folder in ("whole", "parts"))
    assert parts.column("train_loss") == whole.column("train_loss") and len(parts.rows) == 3


def test_each_process_draws_its_own_dropout():
    drawn = []
    for rank in (0, 1):
        iter(Seeded(load("digits").batches("train", 64), 0, rank))
        drawn.append(torch.rand(4))
    assert not torch.equal(*drawn)


def test_one_program_may_train_several_times(tmp_path):
    (tmp_path / "seeds.py").write_text("""
from cnncourse import experiment
from cnncourse.data import load
images = load("digits", size=28, limit=64)
for seed in range(4):
    experiment.run("mnist_cnn", images, "adam", epochs=1, seed=seed)
""")
    done = started(tmp_path / "seeds.py")
    assert done.returncode == 0, done.stderr


def test_the_first_process_of_a_machine_downloads_before_the_others_look_for_the_files(tmp_path):
    (tmp_path / "downloading.py").write_text("""
import os, sys, time
from pathlib import Path
from cnncourse import experiment
file, load = Path(sys.argv[1]), experiment.load
def slow(*args, **options):
    if os.environ["LOCAL_RANK"] == "0":
        time.sleep(1)
        file.touch()
    if not file.exists():
        raise FileNotFoundError("a second download")
    return load(*args, **options)
experiment.load = slow
experiment.run("mnist_cnn", "digits", "adam", epochs=1)
""")
    done = started(tmp_path / "downloading.py", tmp_path / "images")
    assert done.returncode == 0, done.stderr
