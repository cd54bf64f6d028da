"""One model by level: what is left of its answers, how fast it runs, what it weighs; panels on one axis."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from generator.figures.labels import End, name_ends, widest
from generator.figures.style import (
    GRID,
    INK,
    MUTED,
    REMOVED,
    SERIES,
    WIDTH,
    level_axis,
    look,
    percent_axis,
)

TALL, ABOVE, BELOW = 1.45, 0.3, 0.5  # inches of a panel, of its title, of the axis of levels
LEFT, GAP = 0.6, 0.14  # of a panel's numbers; beside the names on its right
LOWEST = -0.25  # of the gain: what is farther below stands at the edge


@dataclass(frozen=True)
class Line:
    """A line's points as (level, value, low, high), the value itself where there is no interval.

    `dead` has the levels that are marked ×: no better than without reading.
    """

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    dead: tuple[float, ...] = ()


@dataclass(frozen=True)
class Strip:
    """The three panels; one without lines is left out. `rivals` are sizes to be smaller than, by name."""

    levels: tuple[float, ...]
    quality: tuple[Line, ...] = ()
    speed: tuple[Line, ...] = ()
    noise: float = 0.0
    sizes: tuple[Line, ...] = ()
    rivals: tuple[tuple[str, float], ...] = field(default=())


def draw(strip: Strip) -> Figure:
    """Levels stand at equal steps: what matters happens in the last percents."""
    drawn = [
        (some, panel)
        for some, panel in (
            (strip.quality, _quality),
            (strip.speed, _speed),
            (strip.sizes, _sizes),
        )
        if some
    ]
    rows = max(len(drawn), 1)
    names = [
        *(line.label for some, _ in drawn for line in some),
        *(name for name, _ in strip.rivals),
    ]
    figure = Figure(figsize=(WIDTH, BELOW + rows * (ABOVE + TALL)))
    figure.set_layout_engine("none")
    panels = figure.subplots(
        rows, 1, sharex=True, squeeze=False, gridspec_kw=_margins(rows, widest(names))
    )[:, 0]
    for axes, (_, panel) in zip(panels, drawn):
        panel(axes, strip)
    level_axis(panels[-1], strip.levels)
    panels[-1].set_xlim(-0.3, max(len(strip.levels) - 1, 0) + 0.3)
    panels[-1].set_xlabel(REMOVED)
    return figure


def _margins(rows: int, names: float) -> dict[str, float]:
    """Where the panels stand, as shares of the figure: known beforehand, nothing is drawn to be measured."""
    height = BELOW + rows * (ABOVE + TALL)
    return {
        "left": LEFT / WIDTH,
        "right": 1 - (names + GAP) / WIDTH,
        "bottom": BELOW / height,
        "top": 1 - ABOVE / height,
        "hspace": ABOVE / TALL,
    }


def _lines(axes: Axes, strip: Strip, lines: Sequence[Line]) -> list[End]:
    """Draw lines with their intervals; where each ends, and its name."""
    at = {level: place for place, level in enumerate(strip.levels)}
    ends = []
    for place, line in enumerate(lines):
        points = [(at[one[0]], *one[1:]) for one in line.points if one[0] in at]
        if not points:
            continue
        style = {**look(place), "markersize": 4.5, "linewidth": 1.5}
        x, y = [point[0] for point in points], [point[1] for point in points]
        arms = (
            [max(0.0, value - low) for _, value, low, _ in points],
            [max(0.0, high - value) for _, value, _, high in points],
        )
        axes.errorbar(x, y, yerr=arms, elinewidth=1, **style)
        gone = [(point[0], point[1]) for point in points if strip.levels[point[0]] in line.dead]
        if gone:
            axes.plot(*zip(*gone), linestyle="none", marker="x", markersize=9, color=INK, zorder=4)
        ends.append(End(y[-1], line.label, style["color"]))
    return ends


def _quality(axes: Axes, strip: Strip) -> None:
    """The gain over a fixed answer, dense = 100 %."""
    shown = [
        Line(
            one.label,
            tuple((at, _bounded(a), _bounded(b), _bounded(c)) for at, a, b, c in one.points),
            one.dead,
        )
        for one in strip.quality
    ]  # fmt: skip
    ends = _lines(axes, strip, shown)
    axes.axhline(0, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
    axes.set_ylim(LOWEST - 0.07, 1.25)
    axes.set_yticks([0, 0.5, 1])
    percent_axis(axes)
    axes.set_title("quality: × no better than a fixed answer (0 %)")
    name_ends(axes, ends)


def _bounded(gain: float) -> float:
    return min(max(gain, LOWEST), 1.2)


def _speed(axes: Axes, strip: Strip) -> None:
    """Times as fast as dense, and the band in which a ratio says nothing."""
    axes.axhspan(1 - strip.noise, 1 + strip.noise, color=GRID, linewidth=0)
    axes.axhline(1, color=MUTED, linewidth=1)
    ends = _lines(axes, strip, strip.speed)
    values = [value for line in strip.speed for _, *some in line.points for value in some]
    axes.set_ylim(min([0.9, *values]) - 0.05, max([1.2, *values]) * 1.08)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.set_title("speed: dense = 1×, grey: noise")
    name_ends(axes, ends)


def _sizes(axes: Axes, strip: Strip) -> None:
    """Megabytes of the file, and what it competes with."""
    ends = _lines(axes, strip, strip.sizes)
    for place, (name, value) in enumerate(strip.rivals, start=len(strip.sizes)):
        colour = SERIES[place % len(SERIES)]
        axes.axhline(value, color=colour, linestyle=(0, (4, 3)), linewidth=1.2)
        ends.append(End(value, name, colour))
    tops = [value for line in strip.sizes for _, value, *_ in line.points]
    axes.set_ylim(0, 1.12 * max([*tops, *(value for _, value in strip.rivals)], default=1) or 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title("bytes: megabytes of the file")
    name_ends(axes, ends)
