"""Lessons 1 to 8: which pixels each number of a tensor sees, followed through the operations of a forward pass.

For each number and each axis of the image: the first and the last pixel that can change it, whatever the weights are.
Padding continues the map, as in `arithmetic.receptive_field`, so that a field may exceed the image. An operation that
is not listed here makes the field unknown, unless all that it reads sees the whole image already.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from math import ceil, inf

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

# Operations by what they do with the numbers they read; without the underscore of those that work in place.
ELEMENTS = {"_prelu_kernel", "_to_copy", "alias", "copy", "detach", "hardswish", "hardtanh", "lift_fresh",  # each from
            "log_sigmoid_forward", "native_dropout", "rrelu_with_noise"}  # one of each input, as PyTorch's pointwise
CONSTANTS = {"empty_like", "fill", "full_like", "new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros",
             "ones_like", "rand_like", "randn_like", "zero", "zeros_like"}
MOVES = {"channel_shuffle", "diagonal", "expand", "flip", "native_channel_shuffle", "permute", "pixel_shuffle",
         "pixel_unshuffle", "repeat", "roll", "select", "slice", "split", "split_with_sizes", "squeeze", "t",
         "transpose", "unbind", "unfold", "unsqueeze"}
REDUCTIONS = {"all", "amax", "amin", "any", "argmax", "argmin", "linalg_vector_norm", "logsumexp", "max", "mean", "min",
              "norm", "prod", "std", "std_mean", "sum", "var", "var_mean"}
MIXTURES = {"_fft_c2c", "_fft_c2r", "_fft_r2c", "_log_softmax", "_safe_softmax", "_softmax", "sort", "topk"}
PRODUCTS = {"addbmm": ("batch1", "batch2"), "addmm": ("mat1", "mat2"), "addmv": ("mat", "vec"),
            "baddbmm": ("batch1", "batch2"),
            "bmm": ("self", "mat2"), "dot": ("self", "tensor"), "mm": ("self", "mat2"), "mv": ("self", "vec")}


@dataclass(frozen=True)
class Seen:
    """What the numbers of one tensor see.

    ends: for each axis of the image the first pixel, and the last one negated, so that of several the smallest counts.
    Each has the tensor's axes, of size 1 where all numbers are alike, and is infinite where nothing is seen.
    steps: by how much each of `ends` grows from one number of the map to the next. sure: else at least this is seen.
    """

    ends: list[Tensor]
    steps: list[float]
    sure: bool = True

    def map(self, change: Callable[[Tensor], Tensor]) -> "Seen":
        return Seen([change(end) for end in self.ends], self.steps, self.sure)


class Fields(TorchDispatchMode):
    """Follows `image`, N x C and its axes, through every operation while it is the current mode."""

    supports_higher_order_operators = True  # to name them

    def __init__(self, image: Tensor):
        super().__init__()
        self.sizes, self.unseen = image.shape[2:], 0 if image.is_meta else None
        self.limits = [limit for n in self.sizes for limit in (0, 1 - n)]  # of ends that see the whole image
        self.storages = {}  # by identity: the storage itself, so that it lives, and what is seen by each view of it
        self.masks = {}  # by identity: storages of constants that may hide what they are added to or multiplied by
        ends = []
        for axis, n in enumerate(self.sizes, start=2):
            pixels = torch.arange(n, dtype=torch.float32, device="cpu")
            pixels = pixels.view([-1 if other == axis else 1 for other in range(image.ndim)])
            ends += [pixels, -pixels]
        self.write(image, Seen(ends, [1, -1] * len(self.sizes)))

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if isinstance(op, HigherOrderOperator):
            raise ValueError(f"what torch's {op.name()} does is not followed")
        if torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), "CompositeImplicitAutograd"):
            with self:  # as those of inference mode are, of several simpler ones
                return op.decompose(*args, **(kwargs or {}))
        outputs = op(*args, **(kwargs or {}))
        self.record(op, outputs, args, kwargs or {})
        return outputs

    def record(self, op, outputs: object, args: tuple, kwargs: dict) -> None:
        given, written = arguments(op, args, kwargs)
        name = op.overloadpacket.__name__.removesuffix("_" if written else "")
        if name in ("copy", "fill", "zero"):
            del given["self"]  # it is not read
        tracked = [seen for t in tensors(given) if (seen := self.seen(t))]
        if not tracked and any(value == -inf if isinstance(value, float) else isinstance(value, Tensor) and
                               value.untyped_storage()._cdata in self.masks for value in tree_leaves(given)):
            self.masks |= {t.untyped_storage()._cdata: t.untyped_storage() for t in tensors(outputs)}
        reshaped = name == "as_strided" or written and name in MOVES  # `seen` finds what is in the memory
        if reshaped or not tracked and not any(map(self.seen, written)) or name in CONSTANTS and not written:
            return
        results = tensors(outputs)
        found = self.follow(op, name, given, tracked, results) if tracked else nothing(len(self.sizes))
        found = found if isinstance(found, list) else [found] * len(results)
        for t, seen in zip(results, found, strict=True):
            self.write(t, seen and aligned(seen, t) or self.unknown(tracked, t.ndim), bool(written))

    def hides(self, t: Tensor) -> bool:
        """Whether a constant may be a mask."""
        return t.dtype == torch.bool or t.untyped_storage()._cdata in self.masks

    def without_numbers(self, t: Tensor) -> Tensor:
        """t on the meta device, where a mask stays known as one."""
        empty = t.to("meta")
        if is_mask(t):
            self.masks[empty.untyped_storage()._cdata] = empty.untyped_storage()
        return empty

    def seen(self, t: Tensor) -> Seen | None:
        """None where the image cannot change t."""
        storage, key = t.untyped_storage(), geometry(t)
        if storage._cdata not in self.storages:
            return None
        _, views = self.storages[storage._cdata]
        if key not in views:
            with _disable_current_modes():  # a hook may ask
                views[key] = gathered(spread(t, views), key)
        return views[key]

    def write(self, t: Tensor, seen: Seen, in_place: bool = False) -> None:
        storage, key = t.untyped_storage(), geometry(t)
        _, views = self.storages.setdefault(storage._cdata, (storage, {}))
        before = views.pop(key, None)
        others = list(views)
        views[key] = seen  # the last one, which counts where they overlap
        if in_place and others and not (before and same(before, seen)):
            memory = spread(t, views)
            views.update({other: gathered(memory, other) for other in others})

    def unknown(self, tracked: list[Seen], ndim: int) -> Seen:
        """What reads only numbers that see the whole image sees it as well."""
        shape = [1] * ndim
        if all(end.amax() <= limit for seen in tracked for end, limit in zip(seen.ends, self.limits, strict=True)):
            lowest = [min(end.amin() for end in ends) for ends in zip(*(seen.ends for seen in tracked), strict=True)]
            return Seen([end.view(shape) for end in lowest], tracked[0].steps)
        return Seen([torch.full(shape, inf, device="cpu") for _ in self.limits], tracked[0].steps, sure=False)

    def field(self, seen: Seen | None) -> int | None:
        """The receptive field along the longer side, in pixels: the largest of all numbers. None if it is unknown, and
        where it is larger at the rim of the map than in its middle, because the two rims were joined; also of what the
        image has not changed, unless it is on the meta device, whose numbers cannot have been elsewhere, as in NumPy.
        """
        if seen is None:
            return self.unseen
        whole = reduce(torch.logical_and, [end <= n for end, n in zip(seen.ends, self.limits, strict=True)])
        if not seen.sure and not whole.any():
            return None
        largest = []
        for n, (first, last) in zip(self.sizes, pairwise(seen.ends), strict=True):
            widths = (1 - first - last).clamp(0)
            largest.append(int(widths.amax()))
            if min(n, largest[-1]) > middle(widths, first - last).amax():
                return None
        return max(largest)

    def follow(self, op, name: str, given: dict, tracked: list[Seen], results: list[Tensor]) -> Seen | list | None:
        """What the results see, all the same or each its own; None where that is not understood."""
        if name in ("where", "masked_fill"):
            mask = given["condition" if name == "where" else "mask"]
            return union(tracked) if self.seen(mask) else None  # a fixed mask hides what it likes
        if name in ELEMENTS or torch.Tag.pointwise in op.tags:
            return None if any(self.hides(t) and not self.seen(t) for t in tensors(given)) else union(tracked)
        if name in ("cat", "stack"):
            return self.joined(given["tensors"], given["dim"], name == "stack", results[0])
        if name in PRODUCTS:
            return self.product(given, *(given[operand] for operand in PRODUCTS[name]))
        if name.startswith("_scaled_dot_product"):
            return self.attention(given)
        x = given.get("self", given.get("input"))
        if len(tracked) > 1 or name.endswith("_backward") or not isinstance(x, Tensor) or not (seen := self.seen(x)):
            return None  # the others are weights that depend on the image
        spatial = x.ndim - 2
        if "batch_norm" in name:
            of_batch = given.get("training") or given.get("running_mean") is None
            return mixture(seen, [axis for axis in range(x.ndim) if axis != 1]) if of_batch else seen
        if "convolution" in name:
            return convolution(given, x, seen, results[0])
        if name in MOVES or name.startswith(("reflection_pad", "replication_pad", "upsample_nearest",
                                             "_upsample_nearest")):
            found = [tensors(op(**given | {op._schema.arguments[0].name: end.expand(x.shape)})) for end in seen.ends]
            return [Seen([compact(end) for end in ends], seen.steps, seen.sure) for ends in zip(*found, strict=True)]
        if name in ("view", "_unsafe_view", "reshape", "_reshape_alias"):
            return seen.map(lambda end: compact(end.expand(x.shape).reshape(results[0].shape)))
        if name in ("index", "index_select", "gather"):
            return indexed(op, given, x, seen)
        if name in REDUCTIONS:
            dims = axes(given.get("dim"), x.ndim)
            return seen.map(lambda end: end.amin(dims, keepdim=given.get("keepdim", False)))
        if name in MIXTURES:
            return mixture(seen, axes(given["dim"], x.ndim))
        if name == "native_layer_norm":
            return mixture(seen, axes(None, x.ndim)[-len(given["normalized_shape"]):])
        if name == "native_group_norm":
            return mixture(seen, axes(None, x.ndim)[2:]).map(lambda end: channels(end, given["group"], given["C"]))
        if name == "constant_pad_nd":
            pads = list(pairwise(given["pad"]))
            for axis, (before, after) in zip(range(x.ndim - 1, -1, -1), pads, strict=False):
                seen = padded(seen, x, axis, before, after)
            return seen
        if name == "im2col":
            return unfolded(given, x, seen)
        if re.fullmatch(r"_?adaptive_(avg|max)_pool\dd", name):
            return covered(seen, x, results[0], lambda n, m, axis: torch.tensor(
                [[o * n // m <= i < ceil((o + 1) * n / m) for i in range(n)] for o in range(m)], device="cpu"))
        if re.fullmatch(r"(avg|max)_pool\dd(_with_indices)?", name):
            kernel = several(given["kernel_size"], spatial)
            return slid(seen, x, results[0], kernel, several(given["stride"] or kernel, spatial),
                        several(given["padding"], spatial), several(given.get("dilation", 1), spatial))
        if name.startswith(("upsample_", "_upsample_")):
            return covered(seen, x, results[0], partial(interpolated, op, given, spatial))
        return None

    def joined(self, parts: list[Tensor], axis: int, new_axis: bool, output: Tensor) -> Seen:
        """Concatenated, or stacked along a new axis."""
        axis, ends = axis % output.ndim, []
        found = [(1 if new_axis else t.shape[axis], self.seen(t) or nothing(len(self.sizes))) for t in parts
                 if new_axis or t.ndim == output.ndim]  # an empty vector may stand before the first part
        for pieces in zip(*(seen.ends for _, seen in found), strict=True):
            pieces = [piece.unsqueeze(axis) if new_axis and piece.ndim else piece.expand([1] * output.ndim)
                      if not piece.ndim else piece for piece in pieces]
            shape = torch.broadcast_shapes(*(piece.narrow(axis, 0, 1).shape for piece in pieces))
            ends.append(compact(torch.cat([piece.expand(*shape[:axis], size, *shape[axis + 1:])
                                           for piece, (size, _) in zip(pieces, found, strict=True)], axis)))
        return Seen(ends, found[0][1].steps, all(seen.sure for _, seen in found))

    def product(self, given: dict, a: Tensor, b: Tensor) -> Seen | None:
        """Rows of a times columns of b, and what is added. None where one of them may be masked: its zeros hide what
        the other sees."""
        added = [t for t in tensors(given) if t is not a and t is not b]
        if any(seen and not seen.sure for seen in map(self.seen, (a, b))) or any(map(self.hides, added)):
            return None
        parts = [self.seen(t) for t in added]
        if seen := self.seen(a):
            parts.append(seen.map(lambda end: end.amin(-1, keepdim=b.ndim > 1)))
        if seen := self.seen(b):
            parts.append(seen.map(lambda end: end.amin(-min(b.ndim, 2), keepdim=a.ndim > 1 or b.ndim > 1)))
        return union([seen for seen in parts if seen])

    def attention(self, given: dict) -> Seen | None:
        """Every query sees all keys and all values."""
        if given.get("is_causal") or any(isinstance(given.get(mask), Tensor) for mask in ("attn_mask", "attn_bias")):
            return None
        sums = {"query": [-1], "key": [-2, -1], "value": [-2]}
        return union([mixture(seen, dims) for name, dims in sums.items() if (seen := self.seen(given[name]))])


def is_mask(t: Tensor) -> bool:
    """Whether a constant consists of zeros and ones, or has an infinity that hides what it is added to."""
    if t.is_meta or t.layout != torch.strided or isinstance(t, nn.Parameter):
        return False
    ones = t == 1
    return bool((t == -inf).any() or (ones | (t == 0)).all() and 0 < ones.sum() < t.numel())


def tensors(values: object) -> list[Tensor]:
    return [t for t in tree_leaves(values) if isinstance(t, Tensor)]


def pairwise(values: list) -> zip:
    return zip(values[::2], values[1::2], strict=True)


def arguments(op, args: tuple, kwargs: dict) -> tuple[dict, list[Tensor]]:
    """What an operation is given, by name and without the tensors that it only writes, and what it writes."""
    given, written = {}, []
    for i, argument in enumerate(op._schema.arguments):
        value = args[i] if i < len(args) else kwargs.get(argument.name, argument.default_value)
        if argument.alias_info and argument.alias_info.is_write:
            written += tensors(value)
        if not argument.is_out:
            given[argument.name] = value
    return given, written


def geometry(t: Tensor) -> tuple:
    return tuple(t.shape), t.stride(), t.storage_offset()


def spread(t: Tensor, views: dict[tuple, Seen]) -> Seen:
    """What each number of the memory under t sees."""
    size, found = t.untyped_storage().nbytes() // t.element_size(), list(views.values())
    ends = [torch.full((size,), inf, device="cpu") for _ in found[0].ends]
    for (shape, stride, offset), seen in views.items():
        if all(step or n == 1 for step, n in zip(stride, shape, strict=True)):  # one that repeats is a view of another
            for memory, end in zip(ends, seen.ends, strict=True):
                memory.as_strided(shape, stride, offset).copy_(end.expand(shape))
    return Seen(ends, found[-1].steps, all(seen.sure for seen in found))


def gathered(memory: Seen, view: tuple) -> Seen:
    return memory.map(lambda end: compact(end.as_strided(*view)))


def nothing(count: int) -> Seen:
    """Numbers that do not depend on the image."""
    return Seen([torch.tensor(inf, device="cpu")] * (2 * count), [0] * (2 * count))


def same(a: Seen, b: Seen) -> bool:
    return a.sure == b.sure and all(map(torch.equal, a.ends, b.ends))


def compact(end: Tensor) -> Tensor:
    """With size 1 along the axes along which nothing changes."""
    for axis, n in enumerate(end.shape):
        if n > 1 and (end.stride(axis) == 0 or torch.equal(end, end.narrow(axis, 0, 1).expand_as(end))):
            end = end.narrow(axis, 0, 1)
    return end


def aligned(seen: Seen, t: Tensor) -> Seen | None:
    """With the axes of t; None where `ends` do not describe it."""
    if any(end.ndim > t.ndim or any(n not in (1, m) for n, m in zip(end.shape[::-1], t.shape[::-1], strict=False))
           for end in seen.ends):
        return None
    return seen.map(lambda end: end.view([1] * (t.ndim - end.ndim) + list(end.shape)))


def union(parts: list[Seen]) -> Seen:
    """Of tensors that are broadcast together."""
    if len(parts) == 1:
        return parts[0]
    ends = [reduce(torch.minimum, several) for several in zip(*(part.ends for part in parts), strict=True)]
    steps = [max(several, key=abs) for several in zip(*(part.steps for part in parts), strict=True)]
    return Seen(ends, steps, all(part.sure for part in parts))


def axes(dim: int | list[int] | None, ndim: int) -> list[int]:
    dims = range(ndim) if dim is None or dim == [] else [dim] if isinstance(dim, int) else dim
    return [axis % ndim for axis in dims] if ndim else []


def several(value: int | list[int], count: int) -> list[int]:
    value = [value] if isinstance(value, int) else list(value)
    return value * count if len(value) == 1 else value


def mixture(seen: Seen, dims: list[int]) -> Seen:
    """Each number along these axes sees what all of them see."""
    return seen.map(lambda end: end.amin(dims, keepdim=True))


def channels(end: Tensor, groups: int, n_out: int) -> Tensor:
    """Each of the n_out channels (axis 1) sees all those of its group."""
    if end.shape[1] == 1:
        return end
    return compact(end.unflatten(1, (groups, -1)).amin(2).repeat_interleave(n_out // groups, 1))


def middle(widths: Tensor, places: Tensor) -> Tensor:
    """The middle third of the map, along the axis along which the numbers' places in the image differ most."""
    places = places.nan_to_num(posinf=0)  # of those that see nothing
    spans = [float((places.amax(axis) - places.amin(axis)).amax()) for axis in range(places.ndim)]
    if not any(spans):
        return widths
    axis = spans.index(max(spans))
    n = widths.shape[axis]
    return widths.narrow(axis, n // 3, n - 2 * (n // 3))


def indexed(op, given: dict, x: Tensor, seen: Seen) -> Seen | None:
    """Picked by tensors of indices. On the meta device they hold no numbers: then all numbers along the axes must be
    alike."""
    indices = given.get("indices", given.get("index"))
    dims = ([axis for axis, index in enumerate(indices) if index is not None] if isinstance(indices, list) else
            [given["dim"] % x.ndim])
    if any(t.is_meta for t in tensors(indices)) and any(end.shape[axis] > 1 for end in seen.ends for axis in dims):
        return None
    read = tree_map_only(Tensor, lambda t: torch.zeros(t.shape, dtype=t.dtype, device="cpu") if t.is_meta else t.cpu(),
                         {name: value for name, value in given.items() if name != "self"})
    return seen.map(lambda end: compact(op(end.expand(x.shape), **read)))


def convolution(given: dict, x: Tensor, seen: Seen, output: Tensor) -> Seen:
    kernel, count = given["weight"].shape[2:], x.ndim - 2
    stride, padding, dilation = (several(given[option], count) for option in ("stride", "padding", "dilation"))
    seen = seen.map(lambda end: channels(end, given["groups"], output.shape[1]))
    if not given["transposed"]:
        return slid(seen, x, output, kernel, stride, padding, dilation)

    def reached(n: int, m: int, axis: int) -> Tensor:
        """A number at i reaches i * stride - padding + dilation * (0 to kernel - 1)."""
        o, i, k = (torch.arange(size, device="cpu") for size in (m, n, kernel[axis]))
        to = i * stride[axis] - padding[axis] + dilation[axis] * k[:, None]
        return (o[:, None, None] == to).any(1)

    return covered(seen, x, output, reached)


def slid(seen: Seen, x: Tensor, output: Tensor, kernel, stride, padding, dilation) -> Seen:
    """Windows on the last axes of x."""
    ends, steps = list(seen.ends), list(seen.steps)
    for i, (k, s, p, d) in enumerate(zip(kernel, stride, padding, dilation, strict=True)):
        axis = x.ndim - len(kernel) + i
        n, m = x.shape[axis], output.shape[axis]
        starts = s * torch.arange(m, device="cpu") - p
        for j, end in enumerate(ends):
            if end.shape[axis] == n and (jump := step(seen, j, x, axis)) is not None:
                stops = starts + d * (k - 1)
                shape = [-1 if other == axis else 1 for other in range(x.ndim)]
                ends[j] = end.narrow(axis, 0, 1) + torch.minimum(jump * starts.view(shape), jump * stops.view(shape))
                steps[j] = s * float(jump.flatten()[0])
            elif end.shape[axis] > 1:
                inputs = torch.arange(n, device="cpu")
                window = starts[:, None] + d * torch.arange(k, device="cpu")
                ends[j] = masked(end, axis, (window[:, :, None] == inputs).any(1))
    return Seen(ends, steps, seen.sure)


def step(seen: Seen, j: int, x: Tensor, axis: int) -> Tensor | None:
    """By how much end j grows along this axis of x, where that is its axis of the image and it grows evenly."""
    if axis != j // 2 + 2 or x.ndim != len(seen.ends) // 2 + 2:
        return None
    if x.shape[axis] == 1:
        return torch.tensor(float(seen.steps[j]), device="cpu")
    jumps = seen.ends[j].diff(dim=axis)
    return jumps.narrow(axis, 0, 1) if torch.equal(jumps, jumps.narrow(axis, 0, 1).expand_as(jumps)) else None


def padded(seen: Seen, x: Tensor, axis: int, before: int, after: int) -> Seen:
    """Cropped where the numbers are negative."""
    ends, n = [], x.shape[axis]
    for j, end in enumerate(seen.ends):
        if end.shape[axis] == n and (jump := step(seen, j, x, axis)) is not None:
            places = torch.arange(-before, n + after, device="cpu")
            places = places.view([-1 if other == axis else 1 for other in range(x.ndim)])
            ends.append(end.narrow(axis, 0, 1) + jump * places)
        else:  # what is appended sees nothing
            sizes = [n if other == axis else size for other, size in enumerate(end.shape)]
            pads = [0, 0] * (x.ndim - 1 - axis) + [before, after]
            ends.append(compact(F.pad(end.expand(sizes), pads, value=inf)))
    return Seen(ends, seen.steps, seen.sure)


def unfolded(given: dict, x: Tensor, seen: Seen) -> Seen:
    """Each window as a column of length channels * kernel."""
    for axis, p in zip((2, 3), several(given["padding"], 2), strict=True):
        seen = padded(seen, x, axis, p, p)
    sizes = [n + 2 * p for n, p in zip(x.shape[2:], several(given["padding"], 2), strict=True)]

    def columns(end: Tensor) -> Tensor:
        found = F.unfold(end.expand(-1, -1, *sizes), given["kernel_size"], given["dilation"], 0, given["stride"])
        found = found.unflatten(1, (end.shape[1], -1)).expand(-1, x.shape[1], -1, -1)
        return compact(found.flatten(1, 2))

    return seen.map(columns)


def covered(seen: Seen, x: Tensor, output: Tensor, mask: Callable[[int, int, int], Tensor]) -> Seen:
    """mask(n, m, axis): for each of m outputs along an axis of the map, which of the n inputs it sees."""
    ends = list(seen.ends)
    for axis in range(2, x.ndim):
        used = mask(x.shape[axis], output.shape[axis], axis - 2)
        ends = [masked(end, axis, used) if end.shape[axis] > 1 else end for end in ends]
    return Seen(ends, seen.steps, seen.sure)


def masked(end: Tensor, axis: int, used: Tensor) -> Tensor:
    return torch.where(used, end.movedim(axis, -1)[..., None, :], inf).amin(-1).movedim(-1, axis)


def interpolated(op, given: dict, count: int, n: int, m: int, axis: int) -> Tensor:
    """Read from what the operation makes of single ones."""
    def along(size, others):
        return [size if other == axis else others for other in range(count)]

    ones = torch.eye(n, device="cpu").view(n, 1, *along(n, 1)).expand(n, 1, *along(n, 2)).contiguous()
    weights = op(**given | {op._schema.arguments[0].name: ones, "output_size": along(m, 2)})
    return weights.movedim(2 + axis, -1).reshape(n, -1, m)[:, 0].T.abs() > 1e-6
