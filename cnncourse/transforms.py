"""AlexNet's data augmentation and its ten crops at test time, as transforms.

A. Krizhevsky, I. Sutskever, G. Hinton: ImageNet classification with deep convolutional neural networks. NIPS 2012,
Sections 2 and 4.1. Departure from the paper: crops have 227 x 227 pixels, as the course's AlexNet takes, not 224 x 224.
"""

import torch
from torch import Tensor, nn
from torchvision.transforms import v2


class PCAColour(nn.Module):
    """Section 4.1: add p1 a1 l1 + p2 a2 l2 + p3 a3 l3 to every pixel, each a from a Gaussian of mean 0 and `std`.

    Eigenvalues l (3) and eigenvectors p (3 x 3, one a column) are those of the covariance of RGB values from 0 to 1:
    the paper names no scale, but a variance grows with its square, and the same formula on 0 to 255 shifts photos by
    1,400 grey levels instead of 5.5. Programs differ, and some take the square root of l: the often copied 0.2175,
    0.0188, 0.0045 (ImageNet) are variances from 0 to 1, and 55.46, 4.794, 1.148 are these times 255, not times 255^2.

    Takes 3 x H x W or N x 3 x H x W, uint8 or float from 0 to 1 (before any normalisation), and draws three numbers for
    each image at each call, from PyTorch's global generator. uint8 is rounded and clipped; float is not clipped.
    Raises ValueError for eigenvalues of another scale, and for what is not a tensor of RGB images.
    """

    def __init__(self, eigenvalues: Tensor | list, eigenvectors: Tensor | list, std: float = 0.1):
        super().__init__()
        self.std = std
        self.register_buffer("eigenvalues", torch.as_tensor(eigenvalues, dtype=torch.float32))
        self.register_buffer("eigenvectors", torch.as_tensor(eigenvectors, dtype=torch.float32))
        total = self.eigenvalues.sum().item()
        if total > 0.75:  # no variance of values from 0 to 1 exceeds 1/4
            raise ValueError(f"eigenvalues sum to at most 0.75 where colours go from 0 to 1, not to {total:g}: take "
                             "those of pixels divided by 255, as PCAColour.of(images) does")

    @classmethod
    def of(cls, images: Tensor, std: float = 0.1) -> "PCAColour":
        """From training images N x 3 x H x W (a tensor or `data.Lazy`) or one image, uint8 or float from 0 to 1."""
        pixels, total, products = 0, 0.0, 0.0
        for start in range(0, len(images), 100):  # all at once, in double precision, would fill the memory
            part = require_rgb(images[start : start + 100])
            values = part.movedim(-3, 0).flatten(1).double() / (1 if part.is_floating_point() else 255)  # 3 x pixels
            pixels += values.shape[1]
            total += values.sum(1)
            products += values @ values.T
        mean = total / pixels
        eigenvalues, eigenvectors = torch.linalg.eigh(products / pixels - mean.outer(mean))
        return cls(eigenvalues.flip(0), eigenvectors.flip(1), std)

    def forward(self, images: Tensor) -> Tensor:
        a = self.std * torch.randn(*require_rgb(images).shape[:-3], 3, device=self.eigenvalues.device)  # 3 or N x 3
        shift = ((a * self.eigenvalues) @ self.eigenvectors.T)[..., None, None]  # the same for all pixels of an image
        if images.is_floating_point():
            return images + shift.to(images.dtype)
        return (images + 255 * shift).round().clamp(0, 255).to(torch.uint8)


def require_rgb(images: Tensor) -> Tensor:
    if not isinstance(images, Tensor):
        raise ValueError(f"PCAColour takes a tensor, not {type(images).__name__}: put v2.PILToTensor() before it")
    known = images.dtype == torch.uint8 or images.is_floating_point()
    if not known or images.ndim not in (3, 4) or images.shape[-3] != 3:
        raise ValueError("PCAColour takes RGB images 3 x H x W or N x 3 x H x W, uint8 or float from 0 to 1, not "
                         f"{images.dtype} of {' x '.join(map(str, images.shape))}")
    return images


def training(size: int = 227, side: int = 256, colour: PCAColour | None = None) -> v2.Compose:
    """For one image (PIL or 3 x H x W; a batch would share one crop): a random crop of size x size from its central
    side x side square, mirrored half of the time, then `colour`. Raises ValueError where the crop does not fit.

    Section 2: the shorter side is scaled to `side` first. Without that, a crop discards most of a large photograph, and
    a small one is padded with black. Section 4.1 counts 32 * 32 * 2 = 2048 crops and mirrors, but 224 pixels fit into
    256 at 256 - 224 + 1 = 33 places an axis: 33 * 33 * 2 = 2178. Colour is in neither number.
    """
    if size > side:
        raise ValueError(f"a crop of {size} x {size} does not fit into {side} x {side}: choose a larger side")
    return v2.Compose([v2.PILToTensor(), v2.Resize(side), v2.CenterCrop(side), v2.RandomCrop(size),
                       v2.RandomHorizontalFlip(), *([] if colour is None else [colour])])


@torch.no_grad()
def ten_crop(model: nn.Module, images: Tensor, size: int = 227) -> Tensor:
    """Section 4.1, at test time: probabilities N x classes, the mean of the softmax outputs, not of the logits, over
    the four corners and the centre of each image and their mirrors, with dropout off.

    images: N x C x H x W, prepared as the model wants them, in the paper 256 x 256. The model's modes are restored.
    Raises ValueError where images are smaller than size x size.
    """
    height, width = images.shape[-2:]
    if min(height, width) < size:
        raise ValueError(f"ten crops of {size} x {size} need images at least that large, not {height} x {width}: "
                         "enlarge the images or choose a smaller size")
    was_training = {m: m.training for m in model.modules()}
    model.eval()
    try:
        return sum(model(crop).softmax(dim=1) for crop in v2.functional.ten_crop(images, [size, size])) / 10
    finally:
        for module, mode in was_training.items():
            module.training = mode
