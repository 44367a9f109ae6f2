"""What a network does, in words, and in which words two networks differ."""

from collections import Counter
from collections.abc import Callable

from torch import Tensor, nn

from .fields import arguments, tensors

LAYOUT = {"_reshape_alias", "_to_copy", "_unsafe_view", "alias", "as_strided", "clone", "copy", "detach", "empty_like",
          "expand", "lift_fresh", "new_zeros", "reshape", "squeeze", "t", "unsqueeze", "view"}  # says nothing new
WORDS = {"_softmax": "softmax", "_safe_softmax": "softmax", "add": "addition", "baddbmm": "matrix product",
         "bmm": "matrix product", "cat": "concatenation", "mm": "linear no bias", "addmm": "linear", "relu": "ReLU"}


def kind(layer: nn.Module) -> str:
    """A layer in words, where its operations do not say it."""
    match layer:
        case nn.Dropout():
            return f"dropout {layer.p:g}"
        case nn.MultiheadAttention():
            return f"attention, {layer.num_heads} heads" + f", dropout {layer.dropout:g}" * (layer.dropout > 0)
    return str(layer)


def word(op, args: tuple, kwargs: dict, depends: Callable[[Tensor], object]) -> str:
    """An operation in words, with its options but not its widths: "conv 3x3 padding 1". Empty for what only changes the
    layout. depends: whether the image can change a tensor."""
    given, written = arguments(op, args, kwargs)
    name = op.overloadpacket.__name__.removesuffix("_" if written else "")

    def size(value, short=False):
        value = [value] * 2 if isinstance(value, int) else list(value)
        return f"{value[0]}" if short and len(set(value)) == 1 else "x".join(map(str, value))

    def unusual(**usual):
        """The options that are not as usual, such as " stride 2"."""
        found = {option: size(given[option], short=True) for option in usual if option in given}
        return "".join(f" {option.replace('_', ' ')} {text}" for option, text in found.items()
                       if text != str(usual[option]))

    if name in LAYOUT:
        return ""
    if name.endswith("_backward"):  # of a network that computes gradients
        return name.strip("_")
    if "convolution" in name:
        return ("transposed " * given["transposed"] + f"conv {size(given['weight'].shape[2:])}"
                + unusual(stride=1, padding=0, output_padding=0, dilation=1, groups=1)
                + " no bias" * (given["bias"] is None))
    if "pool" in name and "ceil_mode" in given:
        kernel = size(given["kernel_size"])
        given["stride"] = given["stride"] or given["kernel_size"]
        return (f"{'max' if 'max' in name else 'average'} pool {kernel}" + unusual(stride=1, padding=0, dilation=1)
                + " ceil" * given["ceil_mode"] + " without padding" * (given.get("count_include_pad") is False)
                + (f" divisor {given['divisor_override']}" if given.get("divisor_override") else ""))
    if "adaptive" in name:
        return f"{'max' if 'max' in name else 'average'} pool to {size(given['output_size'])}"
    if name == "mean" and sorted(d % given["self"].ndim for d in given.get("dim") or []) == [2, 3]:
        return "average pool to 1x1"
    if "batch_norm" in name:
        of_batch = given.get("training") or given.get("running_mean") is None
        return (f"batch norm eps {given['eps']:g}" + " of the batch" * of_batch
                + " no scale" * (given["weight"] is None)
                + ("" if given["momentum"] == 0.1 else f" momentum {given['momentum']:g}"))
    if name == "native_layer_norm":
        over = len(given["normalized_shape"])
        return (f"layer norm eps {given['eps']:g}" + f" over {over} axes" * (over > 1)
                + " no scale" * (given["weight"] is None))
    if name == "native_group_norm":
        return f"group norm, {given['group']} groups, eps {given['eps']:g}" + " no scale" * (given["weight"] is None)
    if name == "mm" and depends(given["self"]) and depends(given["mat2"]):
        name = "bmm"
    usual = {argument.name: argument.default_value for argument in op._schema.arguments}
    if name == "cat":
        usual["dim"] = 1
    options = [size(value) if isinstance(value, list) and all(isinstance(n, int) for n in value) else
               f"{value:g}" if isinstance(value, float) else str(value) for option, value in given.items()
               if isinstance(value, int | float | str | list) and not tensors(value) and value != usual[option]
               and (value is not False or usual[option])]
    return " ".join([WORDS.get(name, name.strip("_")), *options])


def changes(had: list, has: list) -> list[str]:
    less, more = unpaired(had, has)
    moved = less & more
    less, more = less - moved, more - moved
    alike = {text for text, _ in less} & {text for text, _ in more}  # told apart by what is in them

    def shown(word: tuple[str, str]) -> str:
        text, inside = word
        return f"{text} of {inside or 'nothing'}" if text in alike else text

    found = Counter()
    for words, before, after in ((more, "+", ""), (less, "-", ""), (moved, "", " moved")):
        for each, n in words.items():
            found[before, shown(each), after] += n
    return [f"{before}{n} {text}{after}" for (before, text, after), n in found.items()]


def unpaired(had: list, has: list) -> tuple[Counter, Counter]:
    """What is not in the longest sequence that both have in common, in either."""
    longest = [[0] * (len(has) + 1) for _ in range(len(had) + 1)]
    for i in range(len(had) - 1, -1, -1):
        for j in range(len(has) - 1, -1, -1):
            longest[i][j] = (longest[i + 1][j + 1] + 1 if had[i] == has[j] else
                             max(longest[i + 1][j], longest[i][j + 1]))
    less, more, i, j = [], [], 0, 0
    while i < len(had) or j < len(has):
        if i < len(had) and j < len(has) and had[i] == has[j]:
            i, j = i + 1, j + 1
        elif j == len(has) or i < len(had) and longest[i + 1][j] >= longest[i][j + 1]:
            less.append(had[i])
            i += 1
        else:
            more.append(has[j])
            j += 1
    return Counter(less), Counter(more)
