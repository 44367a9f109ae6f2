"""The convolution explorer: a small image, a window that slides over it, and the reason for every size.

`Explorer(size=8, kernel=3, stride=2)` as the last line of a cell shows it. All that moves is in explorer.js, which the
book uses too; here are only the settings, which can be read and set from Python while it is shown.
"""

import re
from pathlib import Path

import anywidget
from traitlets import Bool, Enum, Int

MODULE = Path(__file__).with_suffix(".js")


class Explorer(anywidget.AnyWidget):
    """Settings of one layer on a square image, in pixels, and the chosen output.

    `channels` input channels lead to as many output channels. `ceil` is PyTorch's ceil_mode and counts for pooling
    only, `groups` for convolutions only. Raises traitlets.TraitError for a value out of range; settings that PyTorch
    refuses are allowed: the explorer says why.
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

    def picture(self) -> str:
        """The padded input as text, for places that run no widget: GitHub, or a notebook without a kernel."""
        def seen(i: int) -> set[int]:
            return {i * self.stride - self.padding + self.dilation * m for m in range(self.kernel)}

        places = range(-self.padding, self.size + self.padding)
        rows, columns = seen(self.row), seen(self.column)
        lines = [" ".join("■" if row in rows and column in columns else "·" if {row, column} <= set(range(self.size))
                          else "0" for column in places) for row in places]
        title = (f"Convolution explorer: {self.operation}, input {self.size} x {self.size}, kernel {self.kernel}, "
                 f"stride {self.stride}, padding {self.padding}, dilation {self.dilation}, groups {self.groups}")
        legend = f"■ seen by the output in row {self.row}, column {self.column}   · other pixels   0 padding"
        return "\n".join([title, *lines, legend, "Run the cell to change the settings."])

    def _repr_mimebundle_(self, **kwargs):
        """The widget; its picture as text; and, for the book, the element that explorer.js brings to life there."""
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        settings = "".join(f' data-{name}="{str(getattr(self, name)).lower()}"' for name in Explorer.class_own_traits()
                           if not name.startswith("_"))
        html = f'<div class="convolution-explorer"{settings}>\n<pre>{self.picture()}</pre>\n</div>'
        return bundle | {"text/html": html, "text/plain": self.picture()}, metadata


def classic_script() -> str:
    """explorer.js for pages opened from disk, where browsers refuse modules. Load it with `defer`: it mounts itself."""
    plain = re.sub(r"^export (default .*)?", "", MODULE.read_text(encoding="utf-8"), flags=re.M)
    return f"{{\n{plain}\nmount(document);\n}}\n"
