"""Quality against what it costs: a panel a task, a point a level of each model, and their frontier."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullLocator

from generator.figures.labels import End, first, name_ends, plain
from generator.figures.style import INK, WIDTH, look, percent_axis, plain_log_axis

Interval = tuple[float, float]

PERPLEXITY = "perplexity"
ROOM = 0.09  # of the axes, between two names
EDGE = (
    0.87  # of the axes: farther right a level stands left of its point, clear of the lines' names
)


@dataclass(frozen=True)
class Point:
    """One level: what it costs and what it scores, each with its interval.

    A cost without one is exact, as bytes are; a score without one may be any.
    """

    level: float
    cost: float
    value: float
    interval: Interval | None
    cost_interval: Interval | None = None

    @property
    def costs(self) -> Interval:
        """What it surely costs at least, and at most."""
        return self.cost_interval or (self.cost, self.cost)

    @property
    def bounds(self) -> Interval:
        """What it surely scores at least, and at most."""
        return self.interval or (-math.inf, math.inf)

    @property
    def arms(self) -> Interval:
        """How far its interval reaches below and above its score."""
        low, high = self.interval or (self.value, self.value)
        return max(0.0, self.value - low), max(0.0, high - self.value)


@dataclass(frozen=True)
class Line:
    """A model's points from dense on. `place` is the model's in the study."""

    label: str
    points: tuple[Point, ...]
    place: int = 0


@dataclass(frozen=True)
class Panel:
    """A task: its name, its metric (perplexity, where less is better, MCC, or a fraction), its lines."""

    title: str
    metric: str
    lines: tuple[Line, ...]


def draw(panels: Sequence[Panel], *, cost: str) -> Figure:
    """`cost` names the x axis. Filled points are on the frontier."""
    rows = max(len(panels), 1)
    figure = Figure(figsize=(WIDTH, 0.5 + 2.6 * rows))
    for axes, panel in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], panels):
        _panel(axes, panel)
        axes.set_xlabel(cost if panel is panels[-1] else "")
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    lines, others = first(panel.lines)
    for line in lines:
        axes.errorbar(
            [point.cost for point in line.points],
            [point.value for point in line.points],
            yerr=tuple([point.arms[side] for point in line.points] for side in (0, 1)),
            elinewidth=1, markerfacecolor="none",
            **look(line.place) | {"linewidth": 1.2},
        )  # fmt: skip
    less = panel.metric == PERPLEXITY
    best = list(frontier([point for line in lines for point in line.points], less=less))
    for line in lines:
        some = [point for point in line.points if point in best]
        axes.plot(
            [point.cost for point in some], [point.value for point in some], linestyle="none",
            **look(line.place),
        )  # fmt: skip
    _scales(axes, panel.metric)
    _name_points(axes, lines, best)
    axes.set_ylabel("perplexity" if less else panel.metric)
    axes.set_title(f"{plain(panel.title, 36)}{others}", fontsize=10)


def frontier(points: Sequence[Point], *, less: bool) -> Iterator[Point]:
    """The points that no other surely beats, cheapest first.

    One beats another where by their intervals it costs no more and scores no less, and is surely better
    in one of the two. What intervals cannot tell apart is on the frontier together, or not at all.

    >>> def at(cost, low, high): return Point(0, cost, (low + high) / 2, (low, high))
    >>> [point.cost for point in frontier([at(1, 0.4, 0.6), at(2, 0.5, 0.7), at(3, 0.1, 0.3)], less=False)]
    [1, 2]
    """
    for point in sorted(points, key=lambda point: point.cost):
        if not any(_beats(other, point, less=less) for other in points):
            yield point


def _beats(one: Point, other: Point, *, less: bool) -> bool:
    """Whether one is surely no dearer and no worse than another, and surely better in one of the two."""
    (low, high), (others_low, others_high) = one.bounds, other.bounds
    if less:
        low, high, others_low, others_high = -high, -low, -others_high, -others_low
    dearest, others_cheapest = one.costs[1], other.costs[0]
    if dearest > others_cheapest or low < others_high:
        return False
    return dearest < others_cheapest or low > others_high


def _name_points(axes: Axes, lines: Sequence[Line], best: Sequence[Point]) -> None:
    """Names on the right, at the height of the dense point; levels along the frontier where there is room."""
    name_ends(
        axes,
        [End(line.points[0].value, line.label, look(line.place)["color"]) for line in lines],
    )
    to_axes = axes.transData + axes.transAxes.inverted()
    named: list[tuple[float, float]] = []
    for point in reversed([point for point in best if point.level]):
        x, y = to_axes.transform((point.cost, point.value))
        if any(abs(x - other) < ROOM and abs(y - height) < ROOM for other, height in named):
            continue
        named.append((x, y))
        left = x > EDGE
        axes.annotate(
            f"{100 * point.level:g} %", (point.cost, point.value), xytext=(-5 if left else 5, -11),
            textcoords="offset points", ha="right" if left else "left", fontsize=8, color=INK,
        )  # fmt: skip


def _scales(axes: Axes, metric: str) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(_ticks(high / low))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.08, y=0.12)
    if metric == PERPLEXITY:
        plain_log_axis(axes)
    elif metric != "MCC":
        percent_axis(axes)


def _ticks(ratio: float) -> Locator:
    """Where an axis is marked whose greatest value is so many times its least, never too close to read."""
    if ratio < 5:
        return MaxNLocator(5)
    return LogLocator(subs=(1.0,) if ratio > 30 else (1.0, 2.0, 5.0), numticks=12)
