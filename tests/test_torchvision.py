"""Logits and gradients equal to torchvision's, with its random weights copied in the order of registration."""

import pytest
import torch
import torchvision

from cnncourse.models import MODELS


def twins(name, **theirs):
    """Our network and torchvision's with the same weights, in float64 so that rounding does not hide a difference."""
    torch.manual_seed(0)
    reference = getattr(torchvision.models, name)(num_classes=10, **theirs).double()
    ours = MODELS[name](num_classes=10).double()
    theirs = list(reference.state_dict().values())
    mine = ours.state_dict()
    assert [v.shape for v in mine.values()] == [v.shape for v in theirs]
    ours.load_state_dict(dict(zip(mine, theirs, strict=True)))
    return ours, reference


@pytest.mark.parametrize("name, size", [("vgg11", 224), ("vgg11_bn", 224), ("resnet18", 64), ("resnet34", 64),
                                        ("resnet50", 64), ("resnet101", 64), ("resnet152", 64)])
def test_logits_and_gradients_equal_torchvisions(name, size):
    ours, reference = twins(name)
    x = torch.randn(2, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for net in (ours, reference):
        net.train()
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()
    logits, expected = ours(x), reference(x)
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    logits.square().sum().backward()
    expected.square().sum().backward()
    largest = max(p.grad.abs().max() for p in reference.parameters())
    for mine, theirs in zip(ours.parameters(), reference.parameters(), strict=True):
        assert (mine.grad - theirs.grad).abs().max() <= 1e-9 * largest
