"""Images → batches: mixed, augmented and normalised as a whole batch at a time."""

from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from .. import pick

# Augmentation by name: (pad by this share of the height and crop at random, mirror at random), drawn for each image.
AUGMENTATIONS = {"none": (0, False), "flip": (0, True), "crop": (1 / 8, False), "crop_flip": (1 / 8, True),
                 "nudge_flip": (1 / 16, True)}


class Lazy:
    """Images that are drawn or decoded when they are indexed: `lazy[indices]` → uint8 N x C x H x W.

    kept: those that are in memory already. rows: where in it each image is; a row beyond its end is in memory nowhere.
    """

    def __init__(self, items: list, shape: tuple[int, int, int], read: Callable[[list], Tensor],
                 kept: Tensor | None = None, rows: Tensor | None = None):
        self.items, self.image_shape, self.read = items, shape, read
        self.shape = (len(items), *shape)
        self.kept = torch.empty(0, *shape, dtype=torch.uint8) if kept is None else kept
        self.rows = torch.arange(len(items)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, indices: Tensor | slice) -> Tensor:
        indices = torch.arange(len(self))[indices]
        return self.joined(indices, self.read([self.items[i] for i in self.missing(indices).tolist()]))

    __getitems__ = __getitem__  # how a DataLoader's worker asks for a batch

    def missing(self, indices: Tensor) -> Tensor:
        """Those of the indices whose images are not in memory."""
        return indices[self.rows[indices] >= len(self.kept)]

    def joined(self, indices: Tensor, missing: Tensor) -> Tensor:
        """The images of all indices, given those that are missing in memory."""
        if not len(self.kept):
            return missing
        rows = self.rows[indices]
        images = self.kept[rows.clamp(max=len(self.kept) - 1)]
        images[rows >= len(self.kept)] = missing
        return images

    def part(self, indices: Tensor) -> "Lazy":
        return Lazy([self.items[i] for i in indices.tolist()], self.image_shape, self.read, self.kept,
                    self.rows[indices])

    def first(self, n: int | None) -> "Lazy":
        return self.part(torch.arange(len(self))[:n])


class Batches:
    """Iterable of (images, labels) from a `data.Split`: images are float N x C x H x W, of mean 0 and deviation 1.

    Each pass over it is one epoch. In training (`shuffle`) a last batch that is not full is left out of that epoch: its
    few images would give a noisy step, and batch normalisation's running averages would end on them.
    Order and augmentation depend on `seed` and the number of the epoch alone, so that equal seeds give equal batches,
    and a resumed training sets `epoch` and goes on as if never stopped.

    device: where images in memory live and are augmented. memory_format: as the network wants its images. workers:
    processes that decode images which are not in memory; the batches are the same for any number. share: (rank, number)
    of processes that train together: each takes its part of every batch.
    """

    def __init__(self, split, batch_size: int, mean: Tensor, std: Tensor, augment: str = "none",
                 shuffle: bool = False, seed: int = 0, device: str = "cpu",
                 memory_format: torch.memory_format = torch.contiguous_format, workers: int = 0,
                 share: tuple[int, int] = (0, 1)):
        if not 1 <= batch_size:
            raise ValueError(f"a batch holds at least one image, not {batch_size}")
        if shuffle and batch_size > len(split):
            raise ValueError(f"a batch of {batch_size} is larger than the {len(split)} training images: "
                             f"choose a batch size of at most {len(split)}, with --batch-size or batch_size=")
        if shuffle and batch_size % share[1]:
            raise ValueError(f"a batch of {batch_size} cannot be shared equally by {share[1]} processes: choose a "
                             f"batch size that {share[1]} divides")
        if len(mean) != split.images.shape[1]:
            raise ValueError(f"mean and std are of {len(mean)} channels but the images have {split.images.shape[1]}: "
                             "take those of the same images, as `load` does")
        crop, self.flip = pick(AUGMENTATIONS, augment, "augmentation")
        images = split.images
        self.pad = max(1, int(crop * images.shape[2])) if crop else 0
        self.images = images.to(device) if isinstance(images, Tensor) else images
        self.labels = split.labels.to(device)
        self.mean, self.std = (255 * x.to(device)[:, None, None] for x in (mean, std))
        self.batch_size, self.shuffle, self.seed, self.device = batch_size, shuffle, seed, device
        self.memory_format, self.workers, self.share = memory_format, workers, share
        self.epoch = 0

    def __len__(self) -> int:
        full, rest = divmod(len(self.labels), self.batch_size)
        return full if self.shuffle else full + (rest > 0)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        self.epoch += 1
        n = len(self.labels)
        order = torch.randperm(n, generator=generator) if self.shuffle else torch.arange(n)
        rank, processes = self.share
        batches = [batch for batch in order.split(self.batch_size)[: len(self)] if len(batch) > rank]  # none is empty
        mine = [batch[rank::processes] for batch in batches]
        for batch, indices, images in zip(batches, mine, self.read(mine), strict=True):
            images = self.augmented(images.to(self.device), len(batch), generator)
            images = images.to(torch.float32, memory_format=self.memory_format)
            yield images.sub_(self.mean).div_(self.std), self.labels[indices]

    def read(self, indices: list[Tensor]) -> Iterable[Tensor]:
        """The uint8 images of each batch: looked up in memory, or decoded, by worker processes where there are any."""
        images = self.images
        if isinstance(images, Tensor) or not self.workers or not len(images.missing(torch.arange(len(images)))):
            return (images[i] for i in indices)
        missing = DataLoader(Lazy(images.items, images.image_shape, images.read), num_workers=self.workers,
                             batch_sampler=[images.missing(i) for i in indices], collate_fn=torch.as_tensor,
                             generator=torch.Generator())  # else it draws a number from those of dropout
        return map(images.joined, indices, missing)

    def augmented(self, images: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """Each image padded with black, cropped at its own place, and mirrored by its own coin. Places and coins are
        drawn for all n images of the batch, of which `images` are this process's share."""
        mine = slice(self.share[0], None, self.share[1])
        if self.pad:
            down, right = torch.randint(0, 2 * self.pad + 1, (2, n), generator=generator)[:, mine]
            height, width = images.shape[2:]
            crops = F.pad(images, (self.pad,) * 4)
            crops = crops.unfold(2, height, 1).unfold(3, width, 1)  # N x C x 2p+1 x 2p+1 x H x W
            images = crops[torch.arange(len(images)), :, down, right]
        if self.flip:
            mirrored = torch.rand(n, generator=generator)[mine, None, None, None] < 0.5
            images = torch.where(mirrored.to(images.device), images.flip(3), images)
        return images
