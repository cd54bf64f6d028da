"""What methods keep at one level: a row a model-task pair, a mark a method, from nothing to all of dense."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from generator.figures.labels import plain
from generator.figures.style import INK, MUTED, WIDTH, look, percent_axis

ROOM, MARKER = 80, 6  # letters that a line of the legend has room for, and what a marker takes


@dataclass(frozen=True)
class Row:
    """A pair: by method the share kept, one value a seed; 0 is a fixed answer, 1 is dense."""

    model: str
    task: str
    kept: tuple[tuple[str, tuple[float, ...]], ...]


def columns(names: Sequence[str]) -> int:
    """How many names stand side by side: as many as have room by the longest.

    >>> columns(["magnitude", "random"]), columns(["magnitude by layer, repaired", "ALPS"])
    (4, 2)
    """
    longest = max(map(len, names), default=1)
    return max(1, min(4, ROOM // (longest + MARKER)))


def draw(rows: Sequence[Row]) -> Figure:
    """Methods have a colour and a marker each; of several seeds the range is a bar."""
    figure = Figure(figsize=(WIDTH, 1.3 + 0.38 * max(len(rows), 1)))
    axes = figure.subplots()
    methods = list(dict.fromkeys(name for row in rows for name, _ in row.kept))
    for place, method in enumerate(methods):
        ink = look(place) | {"linestyle": "none"}
        values = [(y, dict(row.kept).get(method)) for y, row in enumerate(rows)]
        for y, kept in values:
            if kept:
                axes.plot([min(kept), max(kept)], [y, y], color=ink["color"], linewidth=2)
        at = [(sum(kept) / len(kept), y) for y, kept in values if kept]
        axes.plot([x for x, _ in at], [y for _, y in at], label=plain(method), **ink)
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.axvline(0, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.1)
    names = [f"{plain(row.model, 24)}\n{plain(row.task, 24)}" for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x")
    percent_axis(axes, "x")
    axes.set_xlabel("kept: 0 % a fixed answer, 100 % dense")
    if methods:
        figure.legend(loc="outside upper left", ncols=columns(methods), fontsize=9)
    return figure
