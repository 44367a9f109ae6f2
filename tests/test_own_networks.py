"""A network that a student wrote is trained as it was given, or refused in one sentence before the first step; and a
run that fails leaves nothing behind."""

import itertools
import warnings
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from test_experiment import untimed
from torch import nn

from cnncourse import experiment
from cnncourse.data import load
from cnncourse.experiment import Speed
from cnncourse.loop.totals import Diverged
from cnncourse.recipes import RECIPES


@pytest.fixture(scope="module")
def few():
    images = load("digits", limit=64)
    return replace(images, validation=images.validation.first(32), test=images.test.first(32))


class Small(nn.Module):
    """Of digits of 8 x 8. `ending` is what a student does with the maps."""

    def __init__(self, ending=lambda maps: maps.flatten(1), classes=10):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.drop, self.head = nn.Dropout(), nn.Linear(144, classes)
        self.ending = ending

    def forward(self, x):
        return self.head(self.drop(self.ending(self.norm(self.conv(x)))))


class Computing(Small):
    def forward(self, x):
        scale = torch.tensor([1.0]) / max(1.0, x.std().item())
        return super().forward(torch.from_numpy(x.numpy()) * scale)


class Several(Small):
    def forward(self, x):
        logits = super().forward(x)
        return (logits, x.flatten(1), None) if self.training else logits


def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Dropout(), nn.Flatten(),
                         nn.LazyLinear(10))


def viewing(maps):
    return maps.view(len(maps), -1)


def everything(net):
    """All that an owner can see of a network."""
    return (str(net), [module.training for module in net.modules()],
            [(name, value.tolist(), value.stride(), value.device) for name, value in net.state_dict().items()],
            [p.grad for p in net.parameters()])


def normed():
    return nn.Sequential(nn.Flatten(), nn.utils.parametrizations.spectral_norm(nn.Linear(64, 10)))


@pytest.mark.parametrize("make", [Computing, lazy, normed], ids=["item, numpy, tensor", "lazy", "spectral norm"])
def test_whatever_gives_logits_is_trained(make, few):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        record = experiment.run(make(), few, "adam", epochs=2)
    assert record.test["examples"] == 32 and record.config["speed"]["channels_last"]


def test_a_view_after_convolutions_is_trained_in_the_usual_memory_format_and_that_is_said(few):
    with pytest.warns(UserWarning, match="Small cannot compute in the memory format channels_last, and is trained in"):
        fallen_back = experiment.run(Small(viewing), few, "adam", epochs=2)
    usual = experiment.run(Small(viewing), few, "adam", epochs=2, speed=Speed(channels_last=False))
    assert untimed(fallen_back) == untimed(usual) and not fallen_back.config["speed"]["channels_last"]


def test_a_part_may_be_without_a_gradient_in_the_first_steps(few):
    class Skipping(Small):
        calls = 0

        def __init__(self):
            super().__init__()
            self.more = nn.Linear(10, 10)

        def forward(self, x):
            self.calls += 1
            return self.more(super().forward(x)) if self.calls > 5 else super().forward(x)

    net = Skipping()
    before = net.more.weight.clone()
    experiment.run(net, few, "short", epochs=2, batch_size=8)
    assert not torch.equal(net.more.weight, before)


def test_probabilities_in_place_of_logits_are_trained_and_that_is_said(few):
    with pytest.warns(UserWarning, match="Returning gives probabilities, where logits are expected: leave out its"):
        experiment.run(Returning(lambda logits: logits.softmax(1)), few, "adam", epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        experiment.run(Returning(lambda logits: logits.log_softmax(1)), few, "adam", epochs=1)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_a_trained_network_keeps_its_memory_format(order, few):
    net = Small().to(memory_format=order)
    before = [value.stride() for value in net.state_dict().values()]
    experiment.run(net, few, "adam", epochs=1)
    assert [value.stride() for value in net.state_dict().values()] == before
    assert net(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_of_several_outputs_the_first_is_trained_and_that_is_said(few):
    with pytest.warns(UserWarning, match="Several gives 3 outputs: the first, as its logits, is trained alone"):
        several = experiment.run(Several(), few, "adam", epochs=2)
    assert untimed(several) == untimed(experiment.run(Small(), few, "adam", epochs=2))


@pytest.mark.filterwarnings("ignore:GoogLeNet gives 3 outputs")
def test_torchvisions_googlenet_is_trained_with_its_heads(few):
    from torchvision.models import googlenet

    images = load("shapes", size=65, limit=8)
    images = replace(images, validation=images.validation.first(4), test=images.test.first(4))
    net = googlenet(num_classes=10, init_weights=False)
    record = experiment.run(net, images, replace(RECIPES["adam"], batch_size=4), epochs=1)
    assert len(record.rows) == 1 and type(net(torch.zeros(2, 3, 65, 65))) is torch.Tensor


def test_the_trial_leaves_no_trace_in_the_curve(few, monkeypatch):
    whole = experiment.run(Small(), few, "adam", epochs=2)
    monkeypatch.setattr(experiment, "tried", lambda model, name, data, images, labels, loss, speed: (model, speed))
    assert untimed(experiment.run(Small(), few, "adam", epochs=2)) == untimed(whole)


def freeze_head(net):
    net.requires_grad_(False).eval()
    net.head = nn.Linear(144, 10)


@pytest.mark.parametrize("prepare, averages_move, weights_move", [
    (lambda net: None, True, True),
    (lambda net: net.eval(), True, True),  # as a network comes out of an earlier training
    (lambda net: net.norm.requires_grad_(False), True, False),  # as in every loop of PyTorch
    (lambda net: net.norm.eval(), False, True),
    (lambda net: net.norm.requires_grad_(False).eval(), False, False),
    (freeze_head, False, False),
], ids=["new", "evaluated before", "frozen", "resting", "frozen and resting", "all but a new head"])
def test_frozen_parts_and_parts_in_evaluation_mode_stay_as_their_owner_set_them(prepare, averages_move, weights_move,
                                                                                few):
    net = Small()
    prepare(net)
    mean, weight = net.norm.running_mean.clone(), net.norm.weight.clone()
    experiment.run(net, few, "adam", epochs=1)
    assert torch.equal(net.norm.running_mean, mean) != averages_move
    assert torch.equal(net.norm.weight, weight) != weights_move


class InAList(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = [nn.Conv2d(1, 4, 3)], nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.first[0](x).mean((2, 3)))


class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Conv2d(1, 4, 3), None

    def forward(self, x):
        x = self.first(x).flatten(1)
        self.head = self.head or nn.Linear(x.shape[1], 10)
        return self.head(x)


REFUSED = {
    "other classes": (lambda: Small(classes=7), "7 outputs but 'digits' has 10 classes"),
    "other size": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), "cannot take images of 1 x 8 x 8 .*shapes"),
    "features first": (lambda: Returning(lambda logits: (logits[:, :7], logits)),
                       "7 outputs but 'digits' has 10 classes: of the 2 things that its forward returns, the first is"),
    "layers in a list": (InAList, "weights that are none of its parameters, which no training changes; put layers of"),
    "layers made in forward": (Late, "make layers in __init__ and not in forward"),
    "a map": (lambda: nn.Conv2d(1, 10, 8), "outputs of 2 x 10 x 1 x 1 for 2 images, where logits of 2 x 10 are"),
    "nothing": (lambda: Returning(lambda logits: None), "gives nothing, where a tensor of logits is expected"),
    "whole numbers": (lambda: Returning(torch.Tensor.long), "gives logits of torch.int64, where floats such as"),
    "a dict": (lambda: Returning(lambda logits: {"out": logits}), "gives dict, where a tensor of logits is expected"),
    "a slip": (lambda: Small(lambda maps: maps.flaten(1)), "AttributeError: 'Tensor' object has no attribute 'flaten'"),
    "detached": (lambda: Returning(torch.Tensor.detach), "its logits come from no weight that is trained"),
    "in place": (lambda: Small(lambda maps: torch.sigmoid(maps).mul_(2).flatten(1)), "modified by an inplace"),
    "double": (lambda: Small().double(), "images are float32, and its .float"),
    "no weights": (lambda: nn.Flatten(), "Flatten has no weights to train: give it a layer"),
    "all frozen": (lambda: Small().requires_grad_(False), "no weights to train: all have requires_grad=False"),
    "meta": (lambda: nn.Linear(8, 10, device="meta"), "built on PyTorch's meta device"),
    "a class": (lambda: Small, "a network is its name or an nn.Module, not the class Small itself"),
    "exported": (lambda: torch.export.export(Small(), (torch.zeros(2, 1, 8, 8),)).module(),
                 "GraphModule cannot be set to evaluation mode .* give the network as it was before torch.export"),
    "lazy, unfit": (lambda: nn.Sequential(nn.LazyConv2d(4, 9), nn.Flatten(), nn.LazyLinear(10)), "Kernel size can't"),
    "lazy, unused": (lambda: nn.Sequential(nn.Flatten(), Unused()), "a lazy layer that its forward does not call"),
}


class Returning(Small):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        return self.change(super().forward(x))


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.LazyLinear(10), nn.LazyLinear(10)

    def forward(self, x):
        return self.used(x)


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_trained_is_refused_in_one_sentence_and_stays_as_it_was(case, few, monkeypatch):
    make, words = REFUSED[case]
    monkeypatch.setattr(experiment, "fit", None)
    net = make()
    seen = everything if case not in ("a class", "meta", "lazy, unfit", "lazy, unused") else str
    before = seen(net)
    with pytest.raises(ValueError, match=words) as error:
        experiment.run(net, few, "adam", epochs=1)
    assert seen(net) == before and "\n" not in str(error.value)


def test_a_run_that_fails_leaves_weights_averages_modes_and_attributes(few, monkeypatch):
    class Noting(Small):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x)

    net = Noting()
    net.norm.eval()
    before = everything(net)
    with pytest.raises(Diverged):
        experiment.run(net, few, replace(RECIPES["adam"], optimizer="sgd", lr=1e30), epochs=3)
    assert everything(net) == before and net.calls == 0
    lazies = lazy()
    with pytest.raises(Diverged):
        experiment.run(lazies, few, replace(RECIPES["adam"], optimizer="sgd", lr=1e30), epochs=3)
    assert str(lazies) == str(lazy()) and lazies(torch.zeros(2, 1, 12, 12)).shape == (2, 10)  # still of any size


class Fixed(nn.Module):
    """For two images at a time and no more."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(x.reshape(2, -1))


class Sparse(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(1, 4, sparse=True), nn.Linear(4, 10)

    def forward(self, x):
        return self.head(self.table(torch.zeros(len(x), dtype=torch.int64)))


@pytest.mark.parametrize("make, words", [(Fixed, "mat1 and mat2"), (Sparse, "Adam does not support sparse gradients")])
def test_what_fails_after_the_trial_is_said_in_one_sentence_and_leaves_the_network(make, words, few):
    net = make()
    before = everything(net)
    with pytest.raises(ValueError, match=f"{make.__name__} cannot be trained on, after 0 of 1 epochs: .*{words}"):
        experiment.run(net, few, "adam", epochs=1)
    assert everything(net) == before


def resting():
    net = Several()
    net.norm.requires_grad_(False).eval()
    return net


@pytest.mark.filterwarnings("ignore:Several gives 3 outputs", "ignore:Small cannot compute in the memory format")
@pytest.mark.parametrize("make", [lazy, resting, lambda: Small(viewing)], ids=["lazy", "several, resting", "view"])
def test_a_resumed_run_of_an_own_network_goes_on_to_the_same_curve(make, few, tmp_path, monkeypatch):
    whole = experiment.run(make(), few, "adam", epochs=3)
    fit = experiment.fit
    monkeypatch.setattr(experiment, "fit", lambda *args: itertools.islice(fit(*args), 1))
    experiment.run(make(), few, "adam", epochs=3, out=tmp_path)
    monkeypatch.undo()
    resumed = experiment.run(make(), few, "adam", epochs=3, out=tmp_path, resume=True)
    assert untimed(resumed) == untimed(whole) and resumed.test == whole.test


class Functional(nn.Module):
    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.function = nn.Linear(64, 16), nn.Linear(16, 10), function

    def forward(self, x):
        return self.second(self.function(self.first(x.flatten(1))))


def sequential(layer):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), layer, nn.Linear(16, 10))


def frozen():
    net = sequential(nn.ReLU())
    net[1].requires_grad_(False)
    return net


@pytest.mark.parametrize("first, second, words", [
    (lambda: sequential(nn.ReLU()), lambda: sequential(nn.ReLU()), None),
    (lambda: sequential(nn.ReLU()), lambda: sequential(nn.Tanh()), "its layers are not those given"),
    (lambda: sequential(nn.Dropout(0.5)), lambda: sequential(nn.Dropout(0.2)), "its layers are not those given"),
    (frozen, lambda: sequential(nn.ReLU()), "its layers are not those given"),
    (lambda: Functional(F.relu), lambda: Functional(F.relu), None),
    (lambda: Functional(F.relu), lambda: Functional(torch.tanh), "this network gives other logits than it gave then"),
    (lambda: Functional(F.dropout), lambda: Functional(F.dropout), None),  # it drops units always
], ids=["same", "layer", "dropout", "frozen", "same function", "function", "random"])
def test_a_run_goes_on_with_the_network_it_had_and_with_no_other_of_its_class(first, second, words, few, tmp_path):
    experiment.run(first(), few, "adam", epochs=1, out=tmp_path)
    net = second()
    before = everything(net)
    if words is None:
        assert len(experiment.run(net, few, "adam", epochs=1, out=tmp_path, resume=True).rows) == 1
        return
    with pytest.raises(ValueError, match=f"checkpoint.pt is of another run: .*{words}"):
        experiment.run(net, few, "adam", epochs=1, out=tmp_path, resume=True)
    assert everything(net) == before


def test_a_compiler_that_gives_up_is_told_from_a_network_that_does(few, monkeypatch):
    """As in PyTorch 2.15, where a process was killed while it compiled: every later one meets its empty file."""
    class InductorError(RuntimeError):
        __module__ = "torch._inductor.exc"

    class Compiled(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x):
            raise InductorError("ImportError: c2.main.so: file too short\n\nSet TORCHDYNAMO_VERBOSE=1 for the rest")

    monkeypatch.setattr(torch, "compile", Compiled)
    with pytest.raises(ValueError, match=r"gave up \(ImportError: c2.main.so: file too short\): it needs a C"):
        experiment.run(Small(), few, "adam", epochs=1, speed=Speed(compile=True))


def test_no_network_is_trained_on_a_device_that_is_not_there(few):
    with pytest.raises(ValueError, match="cannot compute on the device 'gpu' here: choose from "):
        experiment.run(Small(), few, "adam", speed=Speed(device="gpu"))
