"""Which images a network takes: it refuses others in one sentence, where PyTorch would stop somewhere in the middle."""

from functools import partial

from torch import nn


def expect_images(net: nn.Module, input_shape: tuple[int, int, int], smallest: int = 1, largest: int | None = None,
                  one_pixel: int = 0) -> None:
    """Give `net` its `input_shape` (C x H x W) and let it refuse any other kind of image with a ValueError.

    smallest, largest: heights and widths in pixels that work. one_pixel: images up to this size leave a last map of
    one pixel, in which batch normalisation cannot train on a single image.
    """
    net.input_shape = input_shape
    net.register_forward_pre_hook(partial(check, smallest=smallest, largest=largest, one_pixel=one_pixel))


def check(net: nn.Module, inputs: tuple, smallest: int, largest: int | None, one_pixel: int) -> None:
    name, shape, channels = type(net).__name__, tuple(inputs[0].shape), net.input_shape[0]
    given = " x ".join(map(str, shape))
    if len(shape) != 4:
        usual = " x ".join(map(str, net.input_shape))
        raise ValueError(f"{name} takes a batch of images N x {usual}, not a tensor of {given}"
                         + (": add the batch axis with images[None]" if len(shape) == 3 else ""))
    if shape[1] != channels:
        raise ValueError(f"{name} takes images of {channels} channel{'s' * (channels > 1)}, not {shape[1]} "
                         f"(N x C x H x W is {given}): load the images with channels={channels}")
    height, width = shape[2:]
    if min(height, width) < smallest:
        raise ValueError(f"{name} needs images of at least {smallest} x {smallest} pixels, not {height} x {width}: "
                         "enlarge the images, or take a network for small ones")
    if largest is not None and max(height, width) > largest:
        raise ValueError(f"{name} takes images of at most {largest} x {largest} pixels, not {height} x {width}, "
                         "because its first fully connected layer has a fixed number of inputs: resize the images")
    if net.training and shape[0] == 1 and max(height, width) <= one_pixel:
        raise ValueError(f"batch normalisation cannot train on one image of {height} x {width} pixels: the last map "
                         f"of {name} is one pixel, and one number has no variance; give at least 2 images, or call "
                         ".eval() first")
