"""Equal to torchvision to the last bit, with its random weights copied in the order of registration."""

import pytest
import torch
from torch import nn
from torchvision import models

from cnncourse.models import MODELS
from cnncourse.weights import FROM_TENSORFLOW, TORCHVISION, copy_in_order

SIZES = {"googlenet_bn": 64, "inception_v3": 107} | {f"resnet{depth}": 64 for depth in (18, 34, 50, 101, 152)}


@pytest.fixture(autouse=True)
def one_thread():
    """Sums that several threads share may be added up in another order the next time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def twins(name, heads=False):
    """(torchvision's network, ours) with equal random weights; those that start at 0 or 1 are drawn too, because with
    them a mistake may not show. Fails where their tensors' shapes differ in their order."""
    theirs = {"aux_logits": heads, "init_weights": False} if name in FROM_TENSORFLOW else {}
    with torch.device("meta"):  # neither network keeps numbers of its own
        reference = models.get_model(TORCHVISION[name], num_classes=10, **theirs).to_empty(device="cpu")
        ours = MODELS[name](num_classes=10, **{"heads": True} if heads else {}).to_empty(device="cpu")
    torch.manual_seed(0)
    for layer in reference.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.normal_(layer.bias, std=0.1)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.running_var, 1, 2)
            nn.init.normal_(layer.bias, std=0.1)
            nn.init.normal_(layer.running_mean, std=0.1)
            layer.num_batches_tracked.fill_(7)
    return reference, copy_in_order(reference, ours)


def images(size):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def in_training(net, outputs):
    """What a step of training leaves: (name, tensor) of each output, of its gradients (None where a parameter has no
    part in it), and of the network's state."""
    found = [(f"output {i}", y.detach()) for i, y in enumerate(outputs)] + list(net.state_dict().items())
    names, parameters = zip(*net.named_parameters(), strict=True)
    for i, y in enumerate(outputs):
        gradients = torch.autograd.grad(y.square().sum(), parameters, retain_graph=True, allow_unused=True)
        found += [(f"gradient of output {i} for {name}", g) for name, g in zip(names, gradients, strict=True)]
    return found


def assert_identical(ours, theirs):
    for (name, a), (their_name, b) in zip(ours, theirs, strict=True):
        assert a is b is None or torch.equal(a, b), f"{name} is not torchvision's {their_name}"


@pytest.mark.parametrize("name", TORCHVISION)
def test_logits_gradients_and_running_statistics_are_torchvisions(name):
    reference, ours = twins(name)
    x = images(SIZES.get(name, 224))
    with torch.no_grad():
        logits, expected = ours.eval()(x), reference.eval()(x)
    assert torch.equal(logits, expected) and not torch.equal(expected[0], expected[1])
    torch.manual_seed(2)  # the same draws for dropout, if it has the same places and probabilities
    theirs = in_training(reference, [reference.train()(x)])
    torch.manual_seed(2)
    assert_identical(in_training(ours, [ours.train()(x)]), theirs)


@pytest.mark.parametrize("name", FROM_TENSORFLOW)
def test_auxiliary_heads_are_torchvisions(name):
    reference, ours = pair = twins(name, heads=True)
    dropouts = [[layer for layer in net.train().modules() if isinstance(layer, nn.Dropout)] for net in pair]
    assert [layer.p for layer in dropouts[0]] == [layer.p for layer in dropouts[1]]
    for layer in sum(dropouts, []):
        layer.eval()  # the heads are called in another order, and would draw other numbers
    x = images(ours.input_shape[1])
    logits, *aux = reference(x)
    theirs = in_training(reference, [logits, *reversed(aux)])  # torchvision names the deeper head first
    assert_identical(in_training(ours, ours(x, heads=True)), theirs)
