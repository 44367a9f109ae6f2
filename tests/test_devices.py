"""Training uses the GPU that is there, without a change by the student, and what comes after it finds the network on
the processor. The GPUs here are stand-ins: what asks for one is noted, and gets the processor."""

import pytest
import torch
from conftest import command
from torch import nn
from torch.overrides import TorchFunctionMode

from cnncourse import experiment, train
from cnncourse.data import load
from cnncourse.loop import devices, lent
from cnncourse.loop.devices import Speed
from cnncourse.loop.totals import Diverged
from cnncourse.models import MODELS
from cnncourse.runs.record import Record

GPUS = ("cuda", "mps")


class Disguise(TorchFunctionMode):
    """Notes which device everything is sent to or made on, and takes the processor for a GPU."""

    def __init__(self):
        super().__init__()
        self.sent, self.fails = [], None  # `fails`: the function that the GPU cannot compute

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is self.fails:
            self.fails = None
            raise RuntimeError("no kernel image is available for execution on the device\nand more")
        if function is torch.Tensor.to or "device" in (kwargs or {}):
            args, kwargs = [self.real(a) for a in args], {key: self.real(a) for key, a in (kwargs or {}).items()}
        return function(*args, **(kwargs or {}))

    def real(self, value):
        if not isinstance(value, str | torch.device):
            return value
        self.sent.append(torch.device(value).type)
        return torch.device("cpu") if self.sent[-1] in GPUS else value


@pytest.fixture
def gpu(request, monkeypatch):
    """A machine with this kind of GPU, or two of Nvidia's."""
    devices.device_at_hand.cache_clear()
    monkeypatch.setattr(devices, "devices", lambda: ["cpu"] if request.param == "none" else [request.param, "cpu"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 * (request.param == "cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "NVIDIA Stand-in")
    monkeypatch.setattr(torch.cuda, "set_device", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: 0)
    monkeypatch.setattr(torch.mps, "get_rng_state", torch.get_rng_state)
    with Disguise() as disguise:
        yield disguise
    devices.device_at_hand.cache_clear()


@pytest.fixture(scope="module")
def few():
    return load("digits", size=28, limit=64)


both = pytest.mark.parametrize("gpu", GPUS, indirect=True)


@pytest.mark.parametrize("found", [[], ["cuda"], ["mps"], ["cuda", "mps"]], ids=str)
def test_the_fastest_device_comes_first(found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in found)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in found)
    assert devices.devices() == [*found, "cpu"]


@pytest.mark.parametrize("gpu, kind, said", [
    ("cuda", "cuda", "Training on the GPU: NVIDIA Stand-in\n"), ("mps", "mps", "Training on the GPU: Apple, by MPS\n"),
    ("none", "cpu", "")], indirect=["gpu"])
def test_the_gpu_that_is_there_is_used_and_named_once(gpu, kind, said, few, capsys):
    records = [experiment.run(model, few, "adam", epochs=1) for model in ("mnist_cnn", MODELS["mnist_cnn"]())]
    assert [record.config["device"] for record in records] == [kind, kind]
    assert capsys.readouterr().out == said
    assert gpu.sent.count(kind) > 20 and set(gpu.sent) & set(GPUS) <= {kind}  # weights, images and labels


@both
def test_a_device_that_is_named_is_obeyed(gpu, few, capsys, tmp_path):
    for cpu in ("cpu", torch.device("cpu")):
        assert experiment.run("mnist_cnn", few, "adam", epochs=1, speed=Speed(device=cpu)).config["device"] == "cpu"
    assert not set(gpu.sent) & set(GPUS) and not capsys.readouterr().out
    for words, kinds in (((), GPUS), (("--device", "cpu"), ("cpu",))):
        out = tmp_path / "-".join(("out", *words))
        assert command("train", "mnist_cnn", "--epochs", "1", "--out", out, *words) == 0
        assert Record.load(out / "record.json").config["device"] in kinds


@both
@pytest.mark.filterwarnings("ignore:training stopped")
@pytest.mark.parametrize("ending", ["done", "lost", "stopped", "refused"])
def test_a_network_that_was_given_lies_afterwards_where_it_lay(gpu, ending, few, monkeypatch):
    """A stand-in for a GPU keeps numbers on the processor: what is seen is that each tensor gets back the place and the
    order in memory that it had."""
    net = MODELS["mnist_cnn"](num_classes=3 if ending == "refused" else 10)
    if ending == "lost":
        nn.init.constant_(net.fc3.weight, float("inf"))
    if ending == "stopped":
        def stopped(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(train, "run_epoch", stopped)
    copies = [lent.copied(tensor) for tensor in net.state_dict().values()]
    rest = iter(copies)
    monkeypatch.setattr(lent, "copied", lambda tensor: next(rest, tensor.clone()))
    strides = [copy.stride() for copy in copies]
    try:
        experiment.run(net, few, "adam", epochs=1)
    except (Diverged, ValueError):
        assert ending in ("lost", "refused")
    assert set(gpu.sent) & set(GPUS)
    tensors = net.state_dict().values()
    assert [tensor.data_ptr() for tensor in tensors] == [copy.data_ptr() for copy in copies]
    assert [tensor.stride() for tensor in tensors] == strides


@both
def test_each_device_has_the_switches_that_are_proven_there(gpu, few, monkeypatch):
    seen = []
    monkeypatch.setattr(experiment, "fit", lambda *args: seen.append(args) or iter(()))
    kind = devices.device_at_hand()
    record = experiment.run("mnist_cnn", few, "adam", speed=Speed(autocast=True, compile=False))
    (model, training, validation, optimizer, *_), = seen
    fast = kind == "cuda"
    assert record.config["speed"] == {"channels_last": fast, "fused": fast, "autocast": True, "compile": False}
    assert model.conv2[0].weight.is_contiguous(memory_format=torch.channels_last) == fast
    assert {training.batches.memory_format, validation.memory_format} == {
        torch.channels_last if fast else torch.contiguous_format}
    assert optimizer.defaults["fused"] == fast


@both
@pytest.mark.parametrize("fails", [torch.ones, torch.conv2d], ids=["memory", "convolution"])
def test_a_gpu_on_which_pytorch_cannot_compute_is_left_alone(gpu, fails, few, capsys):
    gpu.fails = fails
    with pytest.warns(UserWarning, match=r"cannot compute on it: training stays on the processor \(no kernel image"):
        assert experiment.run("mnist_cnn", few, "adam", epochs=1).config["device"] == "cpu"
    assert not capsys.readouterr().out


@pytest.mark.parametrize("gpu, processes, expected", [
    ("cuda", 2, "cuda"), ("cuda", 3, "cpu"), ("mps", 1, "cpu"), ("mps", 2, "cpu")], indirect=["gpu"])
def test_processes_that_train_together_take_a_gpu_each_or_none(gpu, processes, expected, monkeypatch, capsys):
    for rank in range(processes):
        for name, value in {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "LOCAL_RANK": rank}.items():
            monkeypatch.setenv(name, str(value))
        devices.device_at_hand.cache_clear()
        assert devices.device_at_hand() == expected
    assert capsys.readouterr().out.count("Training on the GPU") == (expected == "cuda")
