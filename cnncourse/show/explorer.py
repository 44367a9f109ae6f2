"""Lesson 1: the convolution explorer: a small image, a window that slides over it, and the reason for every size.

`Explorer(size=8, kernel=3, stride=2)` as the last line of a cell shows it. All that moves is in explorer.js, which the
book uses too; here are only the settings, which can be read and set from Python while it is shown.
"""

import re
from pathlib import Path

import anywidget
from traitlets import Bool, Enum, Int

from .. import pick
from ..arithmetic import output_size

MODULE = Path(__file__).with_suffix(".js")


class Explorer(anywidget.AnyWidget):
    """Settings of one layer on a square image, in pixels, and the chosen output.

    `channels` input channels lead to as many output channels. `ceil` is PyTorch's ceil_mode and counts for pooling
    only, `groups` for convolutions only. Raises ValueError for a name that is no setting, traitlets.TraitError for a
    value out of range; settings that PyTorch refuses are allowed: the explorer says why.
    """

    _esm = MODULE
    operation = Enum(["convolution", "max pooling"], "convolution").tag(sync=True)
    size = Int(8, min=1, max=10).tag(sync=True)
    kernel = Int(3, min=1, max=5).tag(sync=True)
    stride = Int(2, min=1, max=4).tag(sync=True)
    padding = Int(0, min=0, max=3).tag(sync=True)
    dilation = Int(1, min=1, max=3).tag(sync=True)
    ceil = Bool(False).tag(sync=True)
    channels = Int(1, min=1, max=4).tag(sync=True)
    groups = Int(1, min=1, max=4).tag(sync=True)
    channel = Int(0, min=0).tag(sync=True)
    row = Int(0, min=0).tag(sync=True)
    column = Int(0, min=0).tag(sync=True)

    def __init__(self, **settings):
        for name in settings:
            pick(self.settings(), name, "explorer setting")
        super().__init__(**settings)

    @classmethod
    def settings(cls) -> dict:
        """The traits above, by name."""
        return {name: trait for name, trait in Explorer.class_own_traits().items() if not name.startswith("_")}

    def outputs(self) -> int:
        """Rows of the output, and its columns; 0 where PyTorch refuses the settings."""
        pooling = self.operation == "max pooling"
        if self.padding > self.kernel / 2 if pooling else self.channels % self.groups:
            return 0
        try:
            return output_size(self.size, self.kernel, self.stride, self.padding, self.dilation, pooling and self.ceil)
        except ValueError:
            return 0

    def picture(self) -> str:
        """The padded input as text, for places that run no widget: GitHub, or a notebook without a kernel."""
        def seen(i: int) -> set[int]:
            return {i * self.stride - self.padding + self.dilation * m for m in range(self.kernel)}

        own = f"ceil_mode {self.ceil}" if self.operation == "max pooling" else f"groups {self.groups}"
        title = (f"Convolution explorer: {self.operation}, input {self.size} x {self.size}, kernel {self.kernel}, "
                 f"stride {self.stride}, padding {self.padding}, dilation {self.dilation}, channels {self.channels}, "
                 f"{own}")
        last = self.outputs() - 1
        if last < 0:
            return f"{title}\nPyTorch refuses these settings: run the cell to read why."
        row, column = min(self.row, last), min(self.column, last)  # a smaller output may not have the chosen cell
        places = range(-self.padding, max(self.size + self.padding, *(i + 1 for i in seen(last))))
        lines = [" ".join("■" if i in seen(row) and j in seen(column) else "·" if {i, j} <= set(range(self.size))
                          else "p" for j in places) for i in places]
        legend = f"■ seen by the output in row {row}, column {column}   · other pixels   p padding"
        return "\n".join([title, *lines, legend, "Run the cell to change the settings."])

    def _repr_mimebundle_(self, **kwargs):
        """The widget; its picture as text; and, for the book, the element that explorer.js brings to life there."""
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        settings = "".join(f' data-{name}="{str(getattr(self, name)).lower()}"' for name in self.settings())
        html = f'<div class="convolution-explorer"{settings}>\n<pre>{self.picture()}</pre>\n</div>'
        return bundle | {"text/html": html, "text/plain": self.picture()}, metadata


def classic_script() -> str:
    """explorer.js for pages opened from disk, where browsers refuse modules. Load it with `defer`: it mounts itself."""
    plain = re.sub(r"^export (default .*)?", "", MODULE.read_text(encoding="utf-8"), flags=re.M)
    return f"{{\n{plain}\nmount(document);\n}}\n"
