"""Copying by order and loading torchvision's weights, with stand-in files: the real ones need a network."""

import hashlib
import re

import numpy as np
import pytest
import torch
from conftest import real_data
from PIL import Image
from torch import nn
from torchvision import models

from cnncourse import weights
from cnncourse.data import load
from cnncourse.models import MODELS
from cnncourse.runs.shipped import recorded
from cnncourse.trace import parameters
from cnncourse.weights import FROM_TENSORFLOW, TORCHVISION, copy_in_order, load_arrays, pretrained, save_arrays


def test_tensors_of_equal_shapes_are_copied_whatever_their_names():
    source = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    source(torch.rand(5, 3))  # moves the running statistics
    target = nn.ModuleDict({"first": nn.Linear(3, 4), "second": nn.BatchNorm1d(4)})
    assert copy_in_order(source, target) is target
    for copied, original in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
        assert torch.equal(copied, original) and copied.data_ptr() != original.data_ptr()


@pytest.mark.parametrize("layers, words", [
    ([nn.Linear(3, 4), nn.Linear(4, 5)], r"tensor 3: 1.weight \(2, 4\) in the source .*, 1.weight \(5, 4\) in the tar"),
    ([nn.Linear(3, 4)], r"tensor 3: 1.weight \(2, 4\) in the source \(Sequential\), nothing more in the target"),
    ([nn.Linear(3, 4), nn.Linear(4, 2), nn.PReLU()], r"tensor 5: nothing more in the source .*, 2.weight \(1,\) in"),
])
def test_networks_that_part_are_refused_with_the_tensor_and_nothing_is_copied(layers, words):
    target = nn.Sequential(*layers)
    before = [tensor.clone() for tensor in target.state_dict().values()]
    with pytest.raises(ValueError, match=words):
        copy_in_order(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), target)
    assert all(map(torch.equal, target.state_dict().values(), before))


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_weights_belong_to_a_network_of_our_size_and_their_file_names_its_hash(name):
    weights = models.get_model_weights(TORCHVISION[name]).IMAGENET1K_V1
    with torch.device("meta"):  # torchvision counts the head of Inception v3, but not those of GoogLeNet
        ours = MODELS[name](**{"heads": True} if name == "inception_v3" else {})
    assert parameters(ours) == weights.meta["num_params"]
    assert re.search(r"-[0-9a-f]{8}\.pth$", weights.url)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """stand_in(name) → (torchvision's network with random weights, path): these weights in a file named by its hash,
    to which torchvision's address now leads. torch.hub's folder is an empty one."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def make(name):
        heads = {"aux_logits": True, "init_weights": False} if name in FROM_TENSORFLOW else {}
        torch.manual_seed(0)
        network = models.get_model(TORCHVISION[name], **heads)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)  # so that the image is still seen in the logits
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.running_mean, std=0.1)
        file = tmp_path / "new.pth"
        torch.save(network.state_dict(), file)
        path = file.rename(tmp_path / f"{name}-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}.pth")
        weights = models.get_model_weights(TORCHVISION[name]).IMAGENET1K_V1
        monkeypatch.setattr(weights.value, "url", path.as_uri())
        return network, path

    return make


def photograph():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (320, 400, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", ["resnet18", "googlenet_bn", "inception_v3"])
def test_pretrained_networks_answer_an_image_as_torchvisions(name, stand_in, tmp_path):
    theirs, file = stand_in(name)
    ours, preprocessing = pretrained(name, progress=False)
    assert type(ours) is type(MODELS[name]()) and not ours.training
    assert (tmp_path / "hub" / "checkpoints" / file.name).exists()
    theirs.eval().transform_input = name in FROM_TENSORFLOW  # as torchvision sets it for its trained weights
    standard = models.get_model_weights(TORCHVISION[name]).IMAGENET1K_V1.transforms()
    x = preprocessing(photograph())[None]
    assert x.shape == (1, *ours.input_shape)
    with torch.no_grad():
        expected = theirs(standard(photograph())[None])
        torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(ours(x + 0.1), expected, rtol=0.01, atol=0.01)  # another normalisation would show


def test_a_file_already_there_is_used_and_a_damaged_one_is_refused_and_kept(stand_in, tmp_path):
    _, file = stand_in("resnet18")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    path = file.rename(folder / file.name)  # nothing is left at the address
    pretrained("resnet18")
    content = path.read_bytes()
    damaged = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(damaged)
    found = hashlib.sha256(damaged).hexdigest()[:8]
    with pytest.raises(ValueError, match=f"{path.name} is damaged.*with {found}, not with {path.stem[-8:]}.*delete it"):
        pretrained("resnet18")
    assert path.read_bytes() == damaged


@pytest.mark.parametrize("spoil, reason", [(lambda file: file.unlink(), "No such file"),
                                           (lambda file: file.write_bytes(b"please log in"), "invalid hash value")],
                         ids=["absent", "another page"])
def test_a_file_that_cannot_be_downloaded_says_what_to_put_where(spoil, reason, stand_in, tmp_path):
    _, file = stand_in("resnet18")
    spoil(file)
    folder = tmp_path / "hub" / "checkpoints"
    with pytest.raises(FileNotFoundError, match=f"{file.name} is not in {re.escape(str(folder))} .*{reason}.*: "
                       f"download {re.escape(file.as_uri())} on another machine and put it there"):
        pretrained("resnet18", progress=False)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["resnet20", "alexnet", "googlenet"])
def test_networks_without_trained_weights_are_answered_with_the_nearest(name):
    with pytest.raises(ValueError, match=f"no network with pretrained weights '{name}': did you mean .*{name[:6]}"):
        pretrained(name)


def test_a_network_without_numbers_takes_those_of_the_source_and_can_be_trained():
    source = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    with torch.device("meta"):
        target = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    assert copy_in_order(source, target) is target
    pairs = list(zip(target.state_dict().values(), source.state_dict().values(), strict=True))
    assert all(ours.data_ptr() == theirs.data_ptr() for ours, theirs in pairs)
    target(torch.rand(2, 1, 5, 5)).sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in target.parameters())


def test_arrays_bring_a_network_back_without_a_pickle(tmp_path):
    net = MODELS["resnet20"]()
    for buffer in net.buffers():
        buffer.add_(1)
    save_arrays(net, tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as arrays:
        assert set(arrays) == set(net.state_dict())
    other = load_arrays(tmp_path / "net.npz", MODELS["resnet20"]())
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))


def folder_in_place_of(path):
    path.unlink()
    path.mkdir()


def damaged_in_the_middle(path):
    np.savez_compressed(path, weight=np.random.default_rng(0).random((30, 30)))
    content = bytearray(path.read_bytes())
    content[120:200] = bytes(80)
    path.write_bytes(content)


@pytest.mark.parametrize("spoil, words", [
    (lambda path: save_arrays(MODELS["resnet56"](), path), "holds another network: "),
    (lambda path: torch.save({}, path), "is damaged, or holds no weights of this course"),
    (lambda path: path.write_bytes(path.read_bytes()[:1000]), "is damaged, or holds no weights of this course"),
    (lambda path: path.write_text("<html>"), "is damaged, or holds no weights of this course"),
    (lambda path: path.write_bytes(b""), "is damaged, or holds no weights of this course"),
    (folder_in_place_of, "is damaged, or holds no weights of this course"),
    (damaged_in_the_middle, "is damaged, or holds no weights of this course"),
    (lambda path: np.savez(path, a=np.array([{}], dtype=object)), "is damaged, or holds no weights of this course")])
def test_weights_of_another_network_and_other_files_change_nothing(spoil, words, tmp_path):
    path, net = tmp_path / "net.npz", MODELS["resnet20"]()
    save_arrays(net, path)
    spoil(path)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(ValueError, match=words):
        load_arrays(path, net)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_arrays_of_either_order_of_bytes_and_of_bfloat16_come_back(tmp_path):
    path, net = tmp_path / "net.npz", nn.Linear(30, 30)
    np.savez(path, **{key: tensor.numpy().astype(">f4") for key, tensor in net.state_dict().items()})
    assert torch.equal(load_arrays(path, nn.Linear(30, 30)).weight, net.weight)
    save_arrays(net.bfloat16(), path)
    assert torch.equal(load_arrays(path, nn.Linear(30, 30).bfloat16()).weight, net.weight)


@pytest.mark.parametrize("call, words", [
    (lambda path: save_arrays(nn.Linear(2, 2, device="meta"), path), "weight of this Linear has no numbers yet: build"),
    (lambda path: save_arrays(nn.LazyLinear(2), path), "weight of this LazyLinear has no numbers yet"),
    (lambda path: save_arrays(nn.Linear(2, 2).state_dict(), path), "of an nn.Module, not of a OrderedDict: give"),
    (lambda path: copy_in_order(nn.Linear(2, 2, device="meta"), nn.Linear(2, 2)), "this Linear has no numbers"),
    (lambda path: copy_in_order(nn.LazyLinear(2), nn.Linear(2, 2)), "weight of this LazyLinear has no numbers yet"),
    (lambda path: copy_in_order(nn.Linear(2, 2), nn.LazyLinear(2)), "weight of this LazyLinear has no numbers yet"),
    (lambda path: load_arrays(path, nn.Linear(2, 2, device="meta")), "Linear was built on PyTorch's meta device"),
    (lambda path: pretrained(None), "no network with pretrained weights 'None'"),
])
def test_networks_without_numbers_and_what_is_none_are_refused(call, words, tmp_path):
    save_arrays(nn.Linear(2, 2), tmp_path / "net.npz")
    with pytest.raises(ValueError, match=words):
        call(tmp_path / "net.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_a_recorded_runs_weights_come_with_its_preprocessing_and_its_record(tmp_path, monkeypatch):
    record = recorded("resnet20", data="cifar10", recipe="laptop", epochs=10)[0]
    record.config |= {"mean": [0.5, 0.25, 0.0], "std": [0.5, 1.0, 0.1], "classes": list("abcdefghij")}
    record.save(tmp_path / "run.json")
    net = MODELS["resnet20"]()
    save_arrays(net, tmp_path / "run.npz")
    monkeypatch.setattr(weights, "RECORDS", tmp_path)
    found, preprocessing, its = weights.trained("resnet20")
    x = torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)
    assert preprocessing(x).flatten().tolist() == pytest.approx([1.0, 0.75, 10.0]) and its == record
    images = torch.randn(2, 3, 32, 32)
    assert not found.training and torch.equal(found(images), net.eval()(images))
    with pytest.raises(ValueError, match="ships no weights of lenet5 .* own, only of resnet20: train it"):
        weights.trained("lenet5")


def test_the_shipped_resnet_answers_as_its_record_says():
    net, preprocessing, record = weights.trained("resnet20")
    confusion = torch.tensor(record.test["confusion"])
    assert confusion.sum(1).tolist() == [1000] * 10
    assert confusion.diag().sum() / 10_000 == pytest.approx(record.test["accuracy"], abs=2e-3)  # trained in bfloat16
    test = load("cifar10", root=real_data("cifar10")).test
    with torch.no_grad():
        answers = torch.cat([net(preprocessing(images)).argmax(1) for images in test.images.split(500)])
    again = torch.zeros(10, 10, dtype=torch.long).index_put_((test.labels, answers), torch.tensor(1), accumulate=True)
    assert (again - confusion).abs().sum() <= 20  # of 10,000; another processor may round another way
