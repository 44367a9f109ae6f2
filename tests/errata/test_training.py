"""Rows of the errata on first weights, learning rate and seed, on losses and their means, and on evaluating, comparing
and saving."""

import io
import math
import pickle
import warnings
from itertools import count

import pytest
import torch
import torch.nn.functional as F
from rows import code, fails, proves, scope, torchvisions
from torch import nn
from torch.optim.lr_scheduler import StepLR

from cnncourse.recipes import RECIPES


@proves("More parameters make")
def test_a_gradient_vanishes_by_small_weights_and_not_by_the_width(row):
    def arrives(width, scale):
        layers = [layer for _ in range(12) for layer in (nn.Linear(width, width), nn.ReLU())]
        for layer in layers[::2]:
            nn.init.normal_(layer.weight, std=scale * (2 / width) ** 0.5)
            nn.init.zeros_(layer.bias)
        x = torch.randn(256, width, requires_grad=True)
        out = nn.Sequential(*layers)(x)
        gradient, = torch.autograd.grad(out, x, torch.randn_like(out))
        return gradient.square().mean().item() ** 0.5  # of numbers that leave with a size of 1

    assert all(1 / 3 < arrives(width, 1) < 3 and arrives(width, 0.5) < 1e-3 for width in (50, 500))


@proves("`torch.initial_seed()`")
def test_the_initial_seed_is_told_and_not_set(row):
    def drawn(prepare):
        prepare()
        return torch.rand(1).item()

    assert drawn(row.wrong) != drawn(row.wrong) and drawn(row.right) == drawn(row.right)


@proves("`lr_decay = 0.0005`")
def test_weight_decay_draws_weights_to_zero_and_a_schedule_lowers_the_rate(row):
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.01, weight_decay=5e-4)
    scheduler, rates = row.right(optimizer=optimizer), []
    for _ in range(31):
        rates.append(optimizer.param_groups[0]["lr"])
        weight.grad = torch.zeros(1)
        optimizer.step()
        scheduler.step()
    assert weight < 1 and set(rates[:30]) == {0.01} and rates[30] < 0.01


@proves("`scheduler.step()` as the first")
def test_a_scheduler_that_steps_first_is_an_epoch_early_and_warned_of(row):
    def epochs_with_the_first_rate(early):
        optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.1)
        scheduler = StepLR(optimizer, 30)
        for epoch in count():
            if early:
                row.wrong(scheduler=scheduler)
            if optimizer.param_groups[0]["lr"] < 0.1:
                return epoch
            optimizer.step() if early else row.right(optimizer=optimizer, scheduler=scheduler)

    with pytest.warns(UserWarning, match="before `optimizer.step"):
        assert epochs_with_the_first_rate(early=True) == 29
    with warnings.catch_warnings(action="error"):
        assert epochs_with_the_first_rate(early=False) == 30


@proves("The paper's hyper-parameters")
def test_resnets_recipe_divides_the_rate_twice_by_ten(row):
    recipe = RECIPES["resnet_cifar"]
    assert row.right() == (0.5, 0.75) and recipe.gamma == 0.1 and recipe.schedule == "steps"


# Losses and their means


@proves("`loss.item() / batch_size`")
def test_the_loss_is_already_a_mean(row):
    loss = F.cross_entropy(torch.zeros(256, 10), torch.zeros(256, dtype=torch.long))
    return [round(row.wrong(loss=loss, batch_size=256), 5), round(row.right(loss=loss), 4)]


@proves("The sum of the batches' losses, divided by the number of images")
def test_a_sum_of_means_by_the_number_of_images_is_too_small(row):
    sizes = [128] * 78 + [16]
    means = [math.log(10)] * len(sizes)
    assert math.isclose(row.right(means=means, sizes=sizes), math.log(10))
    return [sum(sizes), round(sum(means) / sum(sizes), 3)]


@proves("`total += loss`")
def test_a_total_of_tensors_keeps_what_a_gradient_needs(row):
    assert row.wrong().total.requires_grad and isinstance(row.right().total, float)


@proves("A sum of losses, drawn")
def test_the_first_of_ten_epochs_sums_is_that_of_one(row):
    losses = [40 * 1] * 21
    assert [sum(losses[max(0, end - 10):end]) for end in (1, 11, 21)] == [40, 400, 400]


# Evaluating, comparing and saving


@proves("`with torch.no_grad(): net(x)`")
def test_training_mode_uses_the_batch_and_moves_averages_without_gradients_too(row):
    net = scope()["net"].train()
    x, before = torch.rand(6, 3, 8, 8), net[1].running_mean.clone()
    exec(code(row.often)[0], scope() | {"net": net})
    assert not torch.equal(net[1].running_mean, before)
    assert not torch.allclose(net(x)[0], net(x[:2])[0])  # the answer depends on the neighbours
    before = net[1].running_mean.clone()
    row.right(net=net)
    assert torch.allclose(net(x)[0], net(x[:2])[0], atol=1e-6) and torch.equal(net[1].running_mean, before)


@proves("`net.eval()` switches")
def test_eval_keeps_gradients(row):
    x = scope()["x"]
    assert row.wrong()(x).requires_grad and not row.right(x=x).logits.requires_grad


@proves("`torch.save(net, file)`")
def test_a_saved_network_is_refused_and_a_state_dict_is_read(row):
    whole, state = io.BytesIO(), io.BytesIO()
    row.wrong(file=whole)
    row.right(file=state)
    whole.seek(0), state.seek(0)
    fails(pickle.UnpicklingError, "Weights only load failed", torch.load, whole)
    scope()["net"].load_state_dict(torch.load(state))


def call():
    raise InterruptedError("called")


class Trap:
    def __reduce__(self):
        return call, ()


@proves("`torch.load(file, weights_only=False)`")
def test_a_pickle_calls_a_function_unless_only_weights_are_loaded(row):
    for load, error, words in ((row.wrong, InterruptedError, "called"),
                               (row.right, pickle.UnpicklingError, "Weights only load failed")):
        file = io.BytesIO()
        torch.save({"weights": Trap()}, file)
        file.seek(0)
        fails(error, words, load, file=file)


@proves("`F.cross_entropy(net(x), labels)`")
def test_a_loss_refuses_the_three_outputs_of_torchvisions_googlenet(row):
    with torch.device("meta"):
        names = {"x": torch.zeros(2, 3, 224, 224), "labels": torch.zeros(2, dtype=torch.long)}
        net = torchvisions("googlenet", init_weights=False)
        fails(TypeError, "must be Tensor, not GoogLeNetOutputs", row.wrong, net=net, **names)
        assert isinstance(row.right()(names["x"]), torch.Tensor)
