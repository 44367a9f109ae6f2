import math
import os
import random
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import lr_scheduler
from two_processes import Headed

from cnncourse.loop.totals import Diverged
from cnncourse.models import MODELS
from cnncourse.runs.checkpoints import load_checkpoint, save_checkpoint
from cnncourse.train import fit, run_epoch, with_heads


def batches(sizes, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(n, 4, generator=generator), torch.randint(classes, (n,), generator=generator)) for n in sizes]


@pytest.mark.parametrize("labels", [torch.tensor([2, 0]), torch.tensor([[0, 0, 1.0], [0.5, 0.3, 0.2]]),
                                    torch.tensor([[2, 2, 2, 0], [0, 1, 2, 0]])], ids=["classes", "shares", "map"])
def test_accuracy_is_a_share_of_the_examples_whatever_the_labels(labels):
    maps = labels.shape[1:] == (4,)
    logits = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])[(..., *[None] * maps)].expand(2, 3, *[4] * maps)
    row = run_epoch(nn.Identity(), [(logits, labels), (logits[:1], labels[:1])])
    assert row["accuracy"] == pytest.approx((0.75 + 0.25 + 0.75) / 3 if maps else 2 / 3)


def test_loss_and_accuracy_are_means_over_examples_not_over_batches():
    net, parts = nn.Linear(4, 3), batches([10, 1])
    row = run_epoch(net, parts)
    x, y = torch.cat([a for a, _ in parts]), torch.cat([b for _, b in parts])
    assert row["loss"] == pytest.approx(F.cross_entropy(net(x), y).item(), rel=1e-6)
    assert row["accuracy"] == pytest.approx((net(x).argmax(1) == y).float().mean().item())
    assert row["examples"] == 11


def test_evaluation_changes_nothing_and_runs_in_eval_mode():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    first, second = run_epoch(net, batches([8])), run_epoch(net, batches([8]))
    assert first["loss"] == second["loss"]
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_one_training_step_is_gradient_descent():
    net, [(x, y)] = nn.Linear(4, 3, bias=False), batches([8])
    F.cross_entropy(net(x), y).backward()
    expected = net.weight.detach() - 0.5 * net.weight.grad
    run_epoch(net, [(x, y)], torch.optim.SGD(net.parameters(), lr=0.5))
    torch.testing.assert_close(net.weight.detach(), expected)


@pytest.mark.parametrize("make, rates", [
    (lambda optimizer: lr_scheduler.MultiStepLR(optimizer, [4], 0.1), [1.0, 0.1, 0.1]),
    (lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=1e6, threshold_mode="abs"),
     [1.0, 0.1, 0.01])], ids=["steps", "plateau"])
def test_the_schedule_advances_every_step_and_one_that_waits_for_a_plateau_every_epoch(make, rates):
    net = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    rows = list(fit(net, batches([4, 4]), batches([4]), optimizer, 3, make(optimizer)))
    assert [row["lr"] for row in rows] == pytest.approx(rates)


def test_an_untrained_network_starts_at_the_logarithm_of_the_classes():
    net = nn.Linear(4, 10)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    assert run_epoch(net, batches([50], classes=10))["loss"] == pytest.approx(math.log(10))


def test_a_lost_training_stops_and_names_the_step():
    good = batches([4, 4])
    bad = [(torch.full((4, 4), math.nan), torch.zeros(4, dtype=torch.long))]
    net = nn.Linear(4, 3)
    with pytest.raises(Diverged, match="nan at step 3"):
        run_epoch(net, good + bad, torch.optim.SGD(net.parameters(), lr=0.1))
    assert net.weight.isfinite().all()  # the bad step was not taken


def test_a_training_far_from_any_loss_stops_while_its_numbers_are_still_finite():
    net = nn.Linear(4, 3)
    wild = torch.optim.SGD(net.parameters(), lr=1e9)
    with pytest.raises(Diverged, match=r"became \d.*e\+\d+ at step 2"):
        run_epoch(net, batches([4, 4, 4]), wild)
    assert run_epoch(net, batches([50]))["loss"] > 1e6  # an evaluation only reports


def test_rows_so_far_survive_a_lost_training():
    net, rows = nn.Linear(4, 3), []

    class SecondEpochIsBad:
        epochs = 0

        def __iter__(self):
            self.epochs += 1
            factor = 1 if self.epochs == 1 else math.inf
            return ((factor * x, y) for x, y in batches([4]))

    with pytest.raises(Diverged):
        for row in fit(net, SecondEpochIsBad(), batches([4]), torch.optim.SGD(net.parameters(), lr=0.1), 5):
            rows.append(row)
    assert [row["epoch"] for row in rows] == [1]


def fitted(net=None, training=None, optimizer=None, epochs=1, validation=None, **options):
    net = net or nn.Linear(4, 3)
    optimizer = optimizer or torch.optim.SGD(nn.Module.parameters(net), lr=0.1)
    return list(fit(net, batches([6]) if training is None else training, validation or batches([6]), optimizer, epochs,
                    **options))


def failing():
    yield X, Y
    raise KeyError("lost")


X, Y = batches([6])[0]
GIVEN = {
    "labels of another kind": ({"training": [(X, Y.float())]}, "Long.*: at step 1 the images are float32, 6 x 4 and "
                               "the labels float32, 6; expected are logits, N x classes, and labels of int64, N, from"),
    "labels beyond the outputs": ({"training": [(X, Y), (X, Y + 1)]}, "Target 3 is out of bounds: at step 2 .*"
                                  "int64, 6, from 1 to 3; expected are logits, N x classes, and labels .* to classes"),
    "in validation": ({"validation": [(X, Y + 1)]}, "Target 3 is out of bounds: at step 1"),
    "images of bytes": ({"training": [(X.byte(), Y)]}, "images are uint8, 6 x 4, from .*; expected are "
                        "images of float32, as the weights are$"),
    "fewer labels": ({"training": [(X, Y[:5])]}, "labels int64, 5, .*; expected are a label for each image$"),
    "a frozen network": ({"net": nn.Linear(4, 3).requires_grad_(False)}, "expected are logits from weights that are"),
    "LBFGS": ({"optimizer": torch.optim.LBFGS}, "expected are an optimizer whose step takes no closure"),
    "a loss alone": ({"loss": lambda net, x, y: F.cross_entropy(net(x), y)}, "expected are from loss.network, images, "
                     "labels. the mean of the batch and the logits"),
    "no loss": ({"loss": None}, "'NoneType' .*expected are from loss"),
    "another device": ({"net": nn.Linear(4, 3, device="meta")}, "are on the device cpu, but the weights on meta"),
    "arrays": ({"training": [(X.numpy(), Y)]}, "tensors, N x C x H x W and N, .*, not a ndarray and int64, 6, from 0"),
    "one example": ({"training": [(X[0], Y[0])]}, "not float32, 4 and int64, a single number"),
    "dicts": ({"training": [{"x": X, "y": Y}]}, "a batch is a pair of images and labels, not a dict of 2"),
    "tensors": ({"training": (X, Y)}, "a batch is a pair of images and labels, not float32, 6 x 4"),
    "no iterable": ({"training": 3}, "batches are what gives pairs .*, not a int"),
    "a data set that fails": ({"training": map(int, ["a"])}, "'a': this came after 0 batches and before another one"),
    "one that fails later": ({"training": failing()}, "KeyError: 'lost': this came after 1 batches and before another"),
    "the class of an optimizer": ({"optimizer": nn.Linear}, "optimizer is an object, such as SGD.*, not the class"),
    "the name of a schedule": ({"scheduler": "step"}, "the scheduler is an object, such as StepLR.*, not a str"),
    "a function": ({"net": lambda x: x, "optimizer": 1}, "a network is an nn.Module, not a function"),
    "another network's weights": ({"optimizer": torch.optim.SGD(nn.Linear(4, 3).parameters(), lr=1)}, "the optimizer "
                                  "holds no weight of this Linear, which would stay as it is: build it with"),
    "half an epoch": ({"epochs": 1.5}, "epochs is a whole number, not 1.5"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_what_does_not_go_together_is_said_in_one_sentence(case):
    given, words = GIVEN[case]
    if case == "LBFGS":
        given = {"net": (net := nn.Linear(4, 3)), "optimizer": torch.optim.LBFGS(net.parameters())}
    with pytest.raises(ValueError, match=words) as error:
        fitted(**given)
    assert "\n" not in str(error.value)


def test_a_network_with_its_own_loss_brings_it_along():
    seen = []

    def loss(model, images, labels):
        seen.append(len(images))
        logits = model(images)
        return 2 * F.cross_entropy(logits, labels), logits

    net = nn.Linear(4, 3)
    assert run_epoch(net, batches([6]), loss=loss)["loss"] == pytest.approx(2 * run_epoch(net, batches([6]))["loss"])
    assert seen == [6]

    def vector(*given):
        mean, logits = loss(*given)
        return mean[None], logits

    assert run_epoch(net, batches([6]), loss=vector) | {"seconds": 0} == run_epoch(net, batches([6]), loss=loss) | {
        "seconds": 0}


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    net = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, net, optimizer, epoch=1)

    def full_disk(_, file):
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, net, optimizer, epoch=2)
    monkeypatch.undo()
    assert torch.load(path, weights_only=True)["epoch"] == 1
    assert list(tmp_path.iterdir()) == [path]  # half a file would keep a full disk full


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    sync, found = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda file: found.append([p.name for p in tmp_path.iterdir()]) or sync(file))
    net = nn.Linear(4, 3)
    save_checkpoint(tmp_path / "checkpoint.pt", net, torch.optim.SGD(net.parameters(), lr=0.1))
    assert found == [["checkpoint.pt.partial"]]


def test_a_checkpoint_goes_back_into_its_network_and_into_no_other(tmp_path):
    path, net = tmp_path / "checkpoint.pt", MODELS["resnet20"]()
    save_checkpoint(path, net, torch.optim.SGD(net.parameters(), lr=0.1), epoch=7)
    again, other = MODELS["resnet20"](), MODELS["resnet20"](num_classes=4)
    assert load_checkpoint(path, again)["epoch"] == 7
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))
    before = {k: v.clone() for k, v in other.state_dict().items()}
    with pytest.raises(ValueError, match=r"another network: head.2.weight is \(10, 64\) there and \(4, 64\) in this"):
        load_checkpoint(path, other)
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())
    with pytest.raises(ValueError, match="C1.0.weight is missing there and"):
        load_checkpoint(path, MODELS["lenet5"]())


@pytest.mark.parametrize("there, here", [
    (nn.DataParallel, nn.Sequential), (torch.compile, nn.Sequential), (lambda net: nn.DataParallel(torch.compile(net)),
                                                                       nn.DataParallel),
    (nn.Sequential, torch.compile)], ids=["parallel", "compiled", "both", "compiled now"])
def test_weights_of_a_wrapped_network_go_into_the_network(there, here, tmp_path):
    net = nn.Sequential(OrderedDict(module=nn.Linear(4, 3)))  # which has a part of this name itself
    again = nn.Sequential(OrderedDict(module=nn.Linear(4, 3)))
    plain = nn.Sequential
    save_checkpoint(tmp_path / "checkpoint.pt", net if there is plain else there(net), None)
    load_checkpoint(tmp_path / "checkpoint.pt", again if here is plain else here(again))
    assert torch.equal(again.module.weight, net.module.weight)


@pytest.mark.parametrize("change", [lambda t: t.to_sparse(), lambda t: t.to("meta"), lambda t: t.cfloat(),
                                    lambda t: (100 * t).char(),
                                    lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8)],
                         ids=["sparse", "meta", "complex", "whole numbers", "quantized"])
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_tensors_that_a_network_cannot_take_are_refused_before_any_is_loaded(change, tmp_path):
    net = small()
    state, before = small().state_dict(), [p.clone() for p in net.parameters()]
    torch.save({"model": state | {"0.bias": change(state["0.bias"])}}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="0.bias is .* there and"):
        load_checkpoint(tmp_path / "checkpoint.pt", net)
    assert all(map(torch.equal, net.parameters(), before))


def test_a_scheduler_that_cannot_be_restored_is_refused_and_nothing_is_changed(tmp_path):
    path, net = tmp_path / "checkpoint.pt", MODELS["mnist_cnn"]()
    save_checkpoint(path, net, torch.optim.SGD(net.parameters(), lr=0.1))
    again = MODELS["mnist_cnn"]()
    before = [p.clone() for p in again.parameters()]
    optimizer = torch.optim.SGD(again.parameters(), lr=0.7)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(ValueError, match="it was saved without one, or by another program, so leave it out"):
        load_checkpoint(path, again, optimizer, scheduler)
    with pytest.raises(ValueError, match="give the optimizer as well"):
        load_checkpoint(path, again, scheduler=scheduler)
    assert all(map(torch.equal, before, again.parameters())) and optimizer.param_groups[0]["lr"] == 0.7


def small():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3))


def stepped(net, kind, **options):
    optimizer = getattr(torch.optim, kind)(net.parameters(), lr=0.1, **options)
    net(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    return optimizer


def test_what_is_kept_in_a_checkpoint_is_plain_or_refused_when_it_is_saved(tmp_path):
    path, net = tmp_path / "checkpoint.pt", small()
    optimizer = torch.optim.SGD(net.parameters(), lr=np.logspace(-3, -1, 5)[1])
    save_checkpoint(path, net, optimizer, accuracy=np.float64(0.9), counts={"seen": [np.int32(7)]}, curve=np.arange(2))
    found = load_checkpoint(path, small(), torch.optim.SGD(net.parameters(), lr=1.0))
    assert found["accuracy"] == 0.9 and found["counts"] == {"seen": [7]} and found["curve"] == [0, 1]
    assert type(found["accuracy"]) is float and type(found["optimizer"]["param_groups"][0]["lr"]) is float
    before = path.read_bytes()
    for value in (tmp_path, print, net, lambda: None, iter([])):
        with pytest.raises(ValueError, match="checkpoint.pt is not written: a checkpoint holds tensors, numbers, text"):
            save_checkpoint(path, net, optimizer, value=value)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def saved(what, path):
    torch.save(what, path)


FOREIGN = {
    "older form": (lambda path: torch.save(small().state_dict(), path, _use_new_zipfile_serialization=False),
                   r"form of PyTorch before 1.6, .*: network.load_state_dict\(torch.load\(path\)\) takes weights"),
    "safetensors": (lambda path: path.write_bytes(b"\x40" + bytes(7) + b'{"weight":{}}'),
                    r"safetensors.torch.load_file"),
    "whole network": (lambda path: saved(small(), path), "not read, .* could be code: where you trust its origin"),
    "tensor": (lambda path: saved(torch.zeros(2), path), ""),
    "two networks": (lambda path: saved({"state_dict": small().state_dict(), "ema": small().state_dict()}, path),
                     r"several weights are in it: .*torch.load\(path\)\['state_dict'\]\) takes one"),
    "arrays": (lambda path: np.savez(path, a=np.zeros(3)), ""),
    "page": (lambda path: path.write_text("<html>"), ""),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_of_others_is_not_called_damaged(kind, tmp_path):
    write, words = FOREIGN[kind]
    path = tmp_path / "file.npz"
    write(path)
    with pytest.raises(ValueError, match=words or "is no checkpoint of this course, and stays as it is") as error:
        load_checkpoint(path, small())
    assert "damaged" not in str(error.value) and "delete" not in str(error.value)


@pytest.mark.parametrize("begin", ["", "module.", "_orig_mod.", "model.", "module.net."])
@pytest.mark.parametrize("wrap", [lambda weights: weights, lambda weights: {"state_dict": weights, "epoch": 3},
                                  lambda weights: {"model_state_dict": weights, "optimizer_state_dict": {"state": {}}}],
                         ids=["alone", "Lightning", "tutorial"])
def test_the_weights_in_a_file_of_others_are_found_wherever_they_lie(wrap, begin, tmp_path):
    net, again = small(), small()
    saved(wrap({begin + name: value for name, value in net.state_dict().items()}), tmp_path / "last_week.pth")
    load_checkpoint(tmp_path / "last_week.pth", again)
    assert torch.equal(net[2].weight, again[2].weight)
    with pytest.raises(ValueError, match="cannot restore the optimizer: it was saved without one, or by another"):
        load_checkpoint(tmp_path / "last_week.pth", again, torch.optim.Adam(again.parameters()))


def test_a_file_with_more_than_the_network_is_refused_for_what_it_has_more(tmp_path):
    weights = {f"model.{name}": value for name, value in small().state_dict().items()}
    saved({"state_dict": weights | {"criterion.weight": torch.ones(2)}}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"criterion.weight is \(2,\) there and missing in this Sequential"):
        load_checkpoint(tmp_path / "last.ckpt", small())


def test_weights_from_before_batches_were_counted_are_taken(tmp_path):
    net, again = nn.Sequential(nn.BatchNorm2d(3)), nn.Sequential(nn.BatchNorm2d(3))
    net[0].running_mean += 1
    saved({name: value for name, value in net.state_dict().items() if "tracked" not in name}, tmp_path / "2017.pth")
    load_checkpoint(tmp_path / "2017.pth", again)
    assert torch.equal(again[0].running_mean, net[0].running_mean)


def test_an_older_checkpoint_with_numbers_of_numpy_is_read(tmp_path):
    torch.save({"model": small().state_dict(), "accuracy": np.float64(0.9)}, tmp_path / "checkpoint.pt")
    assert load_checkpoint(tmp_path / "checkpoint.pt", small())["accuracy"] == 0.9


def test_a_damaged_checkpoint_is_called_so_wherever_it_is_damaged(tmp_path):
    path, net, draw = tmp_path / "checkpoint.pt", small(), random.Random(0)
    save_checkpoint(path, net, stepped(net, "Adam"))
    whole = path.read_bytes()
    for _ in range(40):
        at = draw.randrange(len(whole) - 64)
        for damaged in (whole[:at], whole[:at] + bytes(range(64)) + whole[at + 64:]):
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match="checkpoint.pt is damaged: take an older copy, or delete it"):
                load_checkpoint(path, net)


def require_refused_and_unchanged(path, net, optimizer, words):
    def state():
        return repr((net.state_dict(), optimizer.state_dict(), torch.get_rng_state().sum()))

    before = state()
    with pytest.raises(ValueError, match=words):
        load_checkpoint(path, net, optimizer)
    assert state() == before


@pytest.mark.parametrize("saved_with, loaded_with, words", [
    (lambda net: stepped(net, "Adam"), lambda net: stepped(net, "SGD", momentum=0.9), "of Adam, not SGD; give that"),
    (lambda net: stepped(net, "Adam"), lambda net: stepped(net, "AdamW"), "of Adam, not AdamW"),
    (lambda net: stepped(net, "SGD"), lambda net: stepped(net, "Adam"), "of SGD, not Adam"),
    (lambda net: None, lambda net: stepped(net, "Adam"), "cannot restore the optimizer: it was saved without one"),
    (lambda net: stepped(net, "Adam"), lambda net: stepped(net[0], "Adam"), "which Adam cannot take .* group"),
    (lambda net: stepped(net[:2], "Adam"), lambda net: torch.optim.Adam(net[2].parameters()), "which Adam cannot take"),
])
def test_the_state_of_another_optimizer_is_refused_and_nothing_is_changed(saved_with, loaded_with, words, tmp_path):
    path, net, again = tmp_path / "checkpoint.pt", small(), small()
    save_checkpoint(path, net, saved_with(net))
    optimizer = loaded_with(again)
    require_refused_and_unchanged(path, again, optimizer, words)


@pytest.mark.parametrize("spoil, words", [
    *(({"random": state}, 'under "random" no state of random numbers, .*: leave the optimizer out')
      for state in (42, {"cpu": [1]}, {"cpu": torch.zeros(3, dtype=torch.uint8)})),
    ({"kinds": ["Adam"], "optimizer": 1}, "cannot restore the optimizer"),
])
def test_a_checkpoint_with_parts_of_others_is_refused_and_nothing_is_changed(spoil, words, tmp_path):
    path, net, again = tmp_path / "checkpoint.pt", small(), small()
    save_checkpoint(path, net, stepped(net, "Adam"))
    torch.save(torch.load(path) | spoil, path)
    optimizer = torch.optim.Adam(again.parameters())
    require_refused_and_unchanged(path, again, optimizer, words)
    save_checkpoint(path, net, stepped(net, "Adam"))
    torch.save(torch.load(path) | {"kinds": ["Adam"], "random": {}}, path)
    load_checkpoint(path, again, optimizer)
    assert torch.equal(again[0].weight, torch.load(path)["model"]["0.weight"])


def test_a_folder_and_a_network_without_numbers_are_named(tmp_path):
    save_checkpoint(tmp_path / "checkpoint.pt", small(), None)
    with pytest.raises(ValueError, match="is no checkpoint of this course, and stays as it is; take another file"):
        load_checkpoint(tmp_path, small())
    with pytest.raises(ValueError, match="not loaded, because this Sequential was built on PyTorch's meta device"):
        load_checkpoint(tmp_path / "checkpoint.pt", small().to("meta"))


def test_the_optimizer_of_an_older_checkpoint_is_compared_by_its_options(tmp_path):
    path, net = tmp_path / "checkpoint.pt", small()
    save_checkpoint(path, net, stepped(net, "Adam"))
    older = torch.load(path)
    del older["kinds"]
    torch.save(older, path)
    with pytest.raises(ValueError, match="which SGD cannot take .it lacks dampening, momentum.: give that one"):
        load_checkpoint(path, net, stepped(net, "SGD", momentum=0.9))
    load_checkpoint(path, net, stepped(net, "Adam"))


@pytest.mark.parametrize("change", [lambda found: found["state"][0].update(exp_avg_sq=torch.zeros(2)),
                                    lambda found: found["state"][0].pop("step"),
                                    lambda found: found["param_groups"][0].update(lr="0.1")],
                         ids=["shape", "missing", "text"])
def test_the_state_of_an_optimizer_with_which_it_cannot_make_a_step_is_refused(change, tmp_path):
    path, net, again = tmp_path / "checkpoint.pt", small(), small()
    save_checkpoint(path, net, stepped(net, "Adam"))
    checkpoint = torch.load(path)
    change(checkpoint["optimizer"])
    torch.save(checkpoint, path)
    require_refused_and_unchanged(path, again, torch.optim.Adam(again.parameters()), "which Adam cannot take")


@pytest.mark.parametrize("make", [lambda net: stepped(net, "Adam"), lambda net: torch.optim.LBFGS(net.parameters())],
                         ids=["Adam", "LBFGS"])
def test_the_trial_of_a_state_leaves_the_state_the_schedule_and_the_weights(make, tmp_path):
    def state():
        return repr((net.state_dict(), optimizer.state_dict(), scheduler.state_dict()))

    path, net = tmp_path / "checkpoint.pt", small()
    optimizer = make(net)
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    save_checkpoint(path, net, optimizer, scheduler)
    before = state()
    load_checkpoint(path, net, optimizer, scheduler)
    assert state() == before


def test_a_schedule_of_others_that_lacks_what_the_scheduler_needs_is_refused_and_nothing_is_changed(tmp_path):
    path, net = tmp_path / "checkpoint.pt", small()
    optimizer = stepped(net, "SGD")
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 9)
    before = scheduler.state_dict()
    for state, lacks in (({}, "T_max, base_lrs"), (lr_scheduler.StepLR(optimizer, 1).state_dict(), "T_max, eta_min")):
        torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": state}, path)
        with pytest.raises(ValueError, match=f"state of another scheduler, which lacks {lacks}.* of CosineAnnealingLR"):
            load_checkpoint(path, net, optimizer, scheduler)
    assert scheduler.state_dict() == before


def test_paths_and_networks_in_each_others_places_or_places_that_cannot_be_are_named(tmp_path):
    path, net = tmp_path / "checkpoint.pt", small()
    for call in (load_checkpoint, lambda *given: save_checkpoint(*given, None)):
        for given, words in (((net, path), "not as a Sequential and a .*Path"), ((None, net), "not as a NoneType"),
                             ((path, net.state_dict()), "a OrderedDict"), ((path, nn.Linear), "a type")):
            with pytest.raises(ValueError, match=f"the path of its file, and then the network.*{words}"):
                call(*given)
    with pytest.raises(OSError, match="is a directory: name a file in it"):
        save_checkpoint(tmp_path, net, None)
    with pytest.raises(OSError, match="there is no directory .*gone for checkpoint.pt: make it, or take another"):
        save_checkpoint(tmp_path / "gone" / "checkpoint.pt", net, None)


def test_the_state_of_another_scheduler_is_refused(tmp_path):
    path, net = tmp_path / "checkpoint.pt", small()
    optimizer = stepped(net, "SGD")
    save_checkpoint(path, net, optimizer, lr_scheduler.StepLR(optimizer, 1))
    with pytest.raises(ValueError, match="another scheduler: of StepLR, not OneCycleLR; give that one"):
        load_checkpoint(path, net, optimizer, lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=9))


def test_batches_that_are_used_up_are_named():
    images = iter([(torch.zeros(2, 1, 28, 28), torch.tensor([0, 1]))])
    net = MODELS["mnist_cnn"]()
    assert run_epoch(net, images)["examples"] == 2
    with pytest.raises(ValueError, match="no batches: give images, in something that can be iterated in every epoch"):
        run_epoch(net, images)


def test_auxiliary_heads_add_their_share_of_the_loss():
    net, images, labels = Headed(), torch.randn(8, 3, 2, 2), torch.randint(3, (8,))
    logits, aux = net(images, heads=True)
    expected = F.cross_entropy(logits, labels) + 0.3 * F.cross_entropy(aux, labels)
    torch.testing.assert_close(with_heads(net, images, labels, 0.3)[0], expected)


def test_autocast_computes_in_bfloat16():
    kinds = []

    def loss(model, images, labels):
        logits = model(images)
        kinds.append(logits.dtype)
        return F.cross_entropy(logits, labels), logits

    for autocast in (True, False):
        run_epoch(nn.Linear(4, 3), [(torch.randn(2, 4), torch.tensor([0, 1]))], loss=loss, autocast=autocast)
    assert kinds == [torch.bfloat16, torch.float32]
