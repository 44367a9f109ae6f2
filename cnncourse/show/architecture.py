"""Lessons 2 to 7: architecture pictures: networks drawn as rows of blocks, from the tables of `trace.stages`.

A picture is one SVG of plain elements. Lines and letters have the colour of the text around it, and more of a quantity
is more of one blue, so that it reads on light and dark pages and in grey; the numbers stand under the blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from math import sqrt
from pathlib import Path

from .. import pick, write_text
from ..trace import Stage, Table

QUANTITIES = {"parameters": "parameters", "macs": "MACs", "memory": "of activation memory"}
BLUE = "#0072B2"  # of Okabe and Ito, as in plots
WIDTH = 840  # of the longest row, in pixels: what a notebook leaves for a figure. A narrower page shrinks it,
SHRINK = 0.8  # but no further than to this part, so that letters stay readable; then it scrolls
MAP, CHANNELS, DEPTH = 120, 72, 0.3  # pixels for the largest map and for the most channels; oblique edges are shorter
LETTER, TITLE = 12, 14  # height of letters, and of those in a title
LINE, GAP = 15, 10  # from a line of text to the next; least space between columns
EDGES = ("Height and depth: rows and columns of the map. Width: channels. Square-root scales.",
         "Flat and dotted: a vector, which fully connected layers give.")


@dataclass(frozen=True, repr=False)
class Picture:
    """Tables by the titles of their networks, and the SVG drawn from them, which a notebook shows above the tables."""

    tables: dict[str, Table]
    svg: str

    def __repr__(self) -> str:
        return "\n\n".join(f"{title}\n{table}" for title, table in self.tables.items())

    def _repr_html_(self) -> str:
        titles = escape(" and ".join(self.tables))
        tables = "".join(f"<p>{escape(title)}</p>{table._repr_html_()}" for title, table in self.tables.items())
        return (f'<figure style="margin: 0">{scrolling(f"Picture: {titles}", self.svg)}<details>'
                f'<summary>The same as a table</summary>{scrolling(f"Table: {titles}", tables)}</details></figure>')

    def save(self, path: str | Path) -> None:
        """Write an .svg file. Its background is the reader's, light or dark."""
        if Path(path).suffix != ".svg":
            raise ValueError(f"a picture is an SVG file: name it {Path(path).stem}.svg, not {Path(path).name}")
        style = 'style="color-scheme: light dark; background: Canvas; color: CanvasText; '
        write_text(path, self.svg.replace('style="', style, 1))


def draw(networks: Mapping[str, Table], colour: str = "macs") -> Picture:
    """One block a stage, in the order of execution; several networks stand one over the other, on the same scales.

    networks: tables of `trace.stages` by the titles to write over them. colour: parameters, macs or memory.
    A block is as high and as deep as its map and as wide as its channels, all on square-root scales: with a quarter of
    the channels it is half as wide. A last row named "total" is not drawn: its amount stands beside the title. Raises
    ValueError for an unknown quantity, also of one stage, and for what is no table of stages.
    """
    pick(QUANTITIES, colour, "quantity to colour by")
    if not isinstance(networks, Mapping) or not networks:
        raise ValueError('tables by their titles are expected, such as {"VGG-16": trace.stages(net)}, not '
                         f"{type(networks).__name__ if networks else 'nothing'}")
    stages = {title: stages_of(title, table) for title, table in networks.items()}
    every = [stage for found in stages.values() for stage in found]
    if unknown := [row.name for table in networks.values() for row in table if getattr(row, colour) is None]:
        raise ValueError(f"the {QUANTITIES[colour]} of {unknown[0]} are unknown: colour by parameters or memory")
    channels, *pixels = zip(*map(shape, every), strict=True)
    most = max(getattr(stage, colour) for stage in every)
    parts, widths, y = [], [], 0.0
    for title, found in stages.items():
        total = [f"{amount(getattr(row, colour), colour)} {QUANTITIES[colour]}" for row in networks[title][len(found):]]
        heading = ": ".join([title, *total])
        parts.append(text(0, y + LINE, heading, anchor="start", first=f' font-weight="bold" font-size="{TITLE}"'))
        widths.append(0.6 * TITLE * len(heading))
        y += 2 * LINE
        for row in in_rows([block(stage, colour, max(channels), max(map(max, pixels)), most) for stage in found]):
            part, width, y = drawn(row, y)
            parts.append(part)
            widths.append(width)
    part, width, y = key(colour, most, y)
    width, height = round(max(width, *widths)), round(y)
    summary = " ".join(sentence(title, found, colour) for title, found in stages.items())
    return Picture({title: Table(table) for title, table in networks.items()}, (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'style="min-width: {SHRINK * width:.0f}px; max-width: 100%; height: auto" font-family="sans-serif" '
        f'font-size="{LETTER}" fill="currentColor"><title>{escape(" and ".join(stages))}</title>\n'
        f'<desc>{escape(summary)}</desc>\n' + "\n".join([*parts, part]) + "\n</svg>"))


def stages_of(title: str, table: Table) -> list[Stage]:
    """The table without its total, which is its last row; a stage before it may have the same name."""
    rows = table if isinstance(table, list) else [table]
    for row in rows:
        if not isinstance(row, Stage):
            raise ValueError(f"the table of {title} is of kind {type(row).__name__}: draw what trace.stages gives")
        if row.output.count(" x ") not in (0, 2):
            raise ValueError(f"{row.name} of {title} gives {row.output}, not C x H x W or the length of a vector")
    stages = rows[:-1] if rows and rows[-1].name == "total" else rows
    if not stages:
        raise ValueError(f"the table of {title} has no stage to draw: give all that trace.stages gives")
    return stages


def shape(stage: Stage) -> list[int]:
    """Channels, rows and columns; the map of a vector is a single pixel."""
    return [*map(int, stage.output.split(" x ")), 1, 1][:3]


@dataclass(frozen=True)
class Block:
    """A stage as it is drawn. Edges in pixels; an oblique edge of 0 makes it a vector. shade: from 0 to 1."""

    lines: tuple[str, str, str, str]  # name, shape in two lines, amount
    across: float
    up: float
    oblique: float
    shade: float

    @property
    def column(self) -> float:
        """Pixels that it needs in its row, also where letters are wide."""
        return max(self.across + self.oblique, 0.62 * LETTER * max(map(len, self.lines))) + GAP

    def svg(self, left: float, middle: float) -> str:
        a, u, o = (f"{edge:.1f}" for edge in (self.across, self.up, self.oblique))
        x, y = f"{left:.1f}", f"{middle + (self.oblique - self.up) / 2:.1f}"  # upper left corner of the front
        paint = f'fill="{BLUE}" fill-opacity="{self.shade:.3f}" stroke="currentColor"'
        if self.oblique:
            top, side = f"l{o} -{o}h{a}l-{o} {o}z", f"m{a} 0l{o} -{o}v{u}l-{o} {o}z"
            return f'<path d="M{x} {y}h{a}v{u}h-{a}z{top}{side}" {paint}/>'
        end, dots = min(self.across, self.up) / 2, 5 * (max(self.across - self.up, 0) // 5)
        return (f'<rect x="{x}" y="{y}" width="{a}" height="{u}" rx="{end:.1f}" {paint}/>'
                f'<path d="M{left + (self.across - dots) / 2:.1f} {middle:.1f}h{dots:.1f}" stroke="currentColor" '
                'stroke-width="2.5" stroke-linecap="round" stroke-dasharray="0 5"/>')


def block(stage: Stage, colour: str, deepest: int, largest: int, most: int) -> Block:
    """On the scales of the most channels, the largest map and the amount for which the blue is full."""
    channels, height, width = shape(stage)
    vector = stage.output.isdigit()
    lines = (stage.output, "") if vector else (f"{channels} x", f"{height} x {width}")
    return Block((stage.name, *lines, amount(getattr(stage, colour), colour)), CHANNELS * sqrt(channels / deepest),
                 MAP * sqrt(height / largest), 0 if vector else DEPTH * MAP * sqrt(width / largest),
                 getattr(stage, colour) / (most or 1))


def in_rows(blocks: list[Block]) -> list[list[Block]]:
    """As few rows as fit into WIDTH, with about as many blocks in each."""
    for n in range(1, len(blocks) + 1):
        rows = [blocks[len(blocks) * i // n:len(blocks) * (i + 1) // n] for i in range(n)]
        if max(sum(block.column for block in row) for row in rows) <= WIDTH:
            break
    return rows


def drawn(row: list[Block], y: float) -> tuple[str, float, float]:
    """Blocks side by side from y downwards, with arrows into, between and out of them: SVG, width and lower end."""
    height = max(block.up + block.oblique for block in row)
    air = min(24, (WIDTH - sum(block.column for block in row)) / len(row))  # where there is room
    middle, x, end, parts = y + height / 2, 0.0, 0.0, []
    for block in row:
        column = block.column + max(air, 0)
        left = x + (column - block.across - block.oblique) / 2
        parts += [arrow(end, left, middle), block.svg(left, middle),
                  text(x + column / 2, y + height + LINE + 3, *block.lines, first=' font-weight="bold"')]
        end, x = left + block.across + block.oblique, x + column
    return "\n".join([*parts, arrow(end, x, middle)]), x, y + height + 6 * LINE


def arrow(start: float, end: float, y: float) -> str:
    return f'<path d="M{start + 1:.1f} {y:.1f}H{end - 1:.1f}m-3 -3l3 3l-3 3" fill="none" stroke="currentColor"/>'


def key(colour: str, most: int, y: float) -> tuple[str, float, float]:
    """What the blues and the edges mean: SVG, width and lower end."""
    step, parts = 60, []
    for i in range(5):
        parts += [f'<rect x="{step * i + 0.5}" y="{y:.1f}" width="{step}" height="{LINE}" fill="{BLUE}" '
                  f'fill-opacity="{i / 4}" stroke="currentColor"/>',
                  text(step * (i + 0.5), y + 2 * LINE, amount(most * i / 4, colour))]
    parts += [text(5.2 * step, y + 0.8 * LINE, f"{QUANTITIES[colour].removeprefix('of ')} of a stage", anchor="start"),
              text(0, y + 3.5 * LINE, *EDGES, anchor="start")]
    return "\n".join(parts), 0.55 * LETTER * max(map(len, EDGES)), y + (3 + len(EDGES)) * LINE


def text(x: float, y: float, *lines: str, anchor: str = "middle", first: str = "") -> str:
    """Lines below each other. y: the foot of the first line's letters; first: its attributes."""
    written = [f'<text x="{x:.1f}" y="{y + LINE * i:.1f}"{"" if i else first}>{escape(line)}</text>'
               for i, line in enumerate(lines)]
    return f'<g text-anchor="{anchor}">{" ".join(written)}</g>'


def amount(value: float, colour: str) -> str:
    """With three digits: "1.58 G", and "39.6 MB" of memory."""
    unit = "B" if colour == "memory" else ""
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if value >= 0.9995 * scale:  # three digits round it up
            return f"{value / scale:.3g} {letter}{unit}"
    return f"{value:.3g} {unit}".strip()


def sentence(title: str, stages: list[Stage], colour: str) -> str:
    """The picture in words."""
    most = max(stages, key=lambda stage: getattr(stage, colour))
    number = "1 stage" if len(stages) == 1 else f"{len(stages)} stages"
    return (f"{title}: {number}, from {stages[0].name} with {stages[0].output} to {stages[-1].name} with "
            f"{stages[-1].output}. The most of one stage: {amount(getattr(most, colour), colour)} "
            f"{QUANTITIES[colour]} in {most.name}.")


def scrolling(name: str, content: str) -> str:
    """What is wider than a telephone scrolls by itself, also by keyboard."""
    return f'<div role="group" aria-label="{name}" tabindex="0" style="overflow-x: auto">{content}</div>'
