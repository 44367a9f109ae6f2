"""Images that do not fit are refused in one sentence, before the network is run."""

import pytest
import torch
from facts import WITH_HEADS, build
from torch import nn

from cnncourse.models import MODELS, vgg

each = pytest.mark.parametrize("name, options", [(name, {}) for name in MODELS] + [
    (name, {"heads": True}) for name in WITH_HEADS])


def run(net, size, images=2, channels=None, **options):
    with torch.no_grad():
        return net(torch.empty(images, channels or net.input_shape[0], size, size, device="meta"), **options)


def unchecked(net):
    """The same network without its own check: what PyTorch makes of such images."""
    net._forward_pre_hooks.clear()
    return net


@each
def test_networks_name_the_smallest_and_largest_images_that_work(name, options):
    net = build(name, **options).eval()
    check, = net._forward_pre_hooks.values()
    smallest, largest = check.keywords["smallest"], check.keywords["largest"]
    run(net, smallest, **options)
    if smallest > 1:
        with pytest.raises(ValueError, match=f"at least {smallest} x {smallest} pixels, not {smallest - 1} x"):
            run(net, smallest - 1, **options)
    if largest:
        run(net, largest, **options)
        with pytest.raises(ValueError, match=f"at most {largest} x {largest} pixels, not {largest + 1} x"):
            run(net, largest + 1, **options)
    if options and torch.__version__ < (2, 15):
        return  # there, the meta device does not look at the sizes of all layers of Inception's head
    net = unchecked(net)
    for wrong in ([smallest - 1] if smallest > 1 else []) + ([largest + 1] if largest else []):
        with pytest.raises(RuntimeError):
            run(net, wrong, **options)


@each
def test_one_image_in_training_is_refused_where_batch_norm_would_see_one_pixel(name, options):
    net = build(name, **options).train()
    check, = net._forward_pre_hooks.values()
    one_pixel = check.keywords["one_pixel"]
    batch_norm = any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    if not one_pixel:
        assert not batch_norm or name.startswith("vgg")  # VGG's last map is normalised before its pooling
        run(net, net.input_shape[1], images=1, **options)
        return
    with pytest.raises(ValueError, match="cannot train on one image.*at least 2 images"):
        run(net, one_pixel, images=1, **options)
    run(net, one_pixel + 1, images=1, **options)
    run(net, one_pixel, images=2, **options)
    run(net.eval(), one_pixel, images=1, **options)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        run(unchecked(net).train(), one_pixel, images=1, **options)


def test_wrong_channels_and_a_missing_batch_axis_are_named():
    net = MODELS["resnet20"]()
    with pytest.raises(ValueError, match="takes images of 3 channels, not 1 .*channels=3"):
        net(torch.zeros(2, 1, 32, 32))
    with pytest.raises(ValueError, match="N x 3 x 32 x 32, not a tensor of 3 x 32 x 32: .*images.None."):
        net(torch.zeros(3, 32, 32))
    with pytest.raises(ValueError, match="1 channel, not 3"):
        MODELS["lenet5"]()(torch.zeros(2, 3, 28, 28))


def test_sizes_that_a_network_cannot_be_built_for_are_refused():
    with pytest.raises(ValueError, match="28x28.*not 30x30"):
        MODELS["lenet5"](size=30)
    with pytest.raises(ValueError, match="size=32 or more, not 16"):
        vgg.VGG("A", size=16)
    with pytest.raises(ValueError, match="bitmap for each of the 10 digits, not for 3"):
        MODELS["lenet5_1998"](num_classes=3)


def test_networks_with_checks_can_be_copied_and_pickled():
    import copy
    import pickle

    net = pickle.loads(pickle.dumps(copy.deepcopy(MODELS["lenet5"]())))
    with pytest.raises(ValueError, match="at least 28"):
        net(torch.zeros(1, 1, 8, 8))
