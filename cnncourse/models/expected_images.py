"""What all networks share: a row of stages that can be sliced, and which images they take. Others are refused in one
sentence, where PyTorch would stop somewhere in the middle."""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn


class Stages(nn.Sequential):
    """Stages in the order in which they are called. A slice of them, as in `net[:-1]`, is an nn.Sequential of the same
    layers under the same names, without the check of the images.
    """

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return super().__getitem__(index)
        if getattr(self, "auxiliary_heads", 0):
            raise TypeError(f"{type(self).__name__} has auxiliary heads beside its stages, and a slice would put them "
                            "between: build it with heads=False to slice it")
        return nn.Sequential(OrderedDict([*self._modules.items()][index]))


def expect_images(net: nn.Module, input_shape: tuple[int, int, int], smallest: int = 1, largest: int | None = None,
                  one_pixel: int = 0) -> None:
    """Give `net` its `input_shape` (C x H x W) and let it refuse any other kind of image with a ValueError.

    smallest, largest: heights and widths in pixels that work. one_pixel: images up to this size leave a last map of
    one pixel, in which batch normalisation cannot train on a single image. Only what comes first and is a tensor is
    looked at: tools may give a keyword, a tuple, or a stand-in of their own.
    """
    net.input_shape = input_shape
    net.register_forward_pre_hook(partial(check, smallest=smallest, largest=largest, one_pixel=one_pixel))


def check(net: nn.Module, inputs: tuple, smallest: int, largest: int | None, one_pixel: int) -> None:
    if not inputs or not isinstance(inputs[0], Tensor):
        return
    name, shape, channels = type(net).__name__, tuple(inputs[0].shape), net.input_shape[0]
    if len(shape) != 4:
        raise ValueError(f"{name} takes a batch of images N x {crossed(net.input_shape)}, not a tensor of "
                         + crossed(shape) + (": add the batch axis with images[None]" if len(shape) == 3 else ""))
    if shape[1] != channels:
        raise ValueError(f"{name} takes images of {channels} channel{'s' * (channels > 1)}, not {shape[1]} "
                         f"(N x C x H x W is {crossed(shape)}): load the images with channels={channels}")
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


def crossed(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
