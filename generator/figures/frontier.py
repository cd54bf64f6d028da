"""Quality against what it costs: a point a level of each model, and the frontier of them all."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from generator.figures.style import INK, WIDTH, look, percent_axis, plain_log_axis

Interval = tuple[float, float]

PERPLEXITY = "perplexity"
ROOM = 0.08  # of the axes, between two names


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


def draw(lines: Sequence[Line], *, metric: str, cost: str) -> Figure:
    """`metric` is perplexity where less is better, MCC, or a fraction; `cost` names the x axis."""
    figure = Figure(figsize=(WIDTH, 3.9 + 0.1 * len(lines)))
    axes = figure.subplots()
    for line in lines:
        axes.errorbar(
            [point.cost for point in line.points],
            [point.value for point in line.points],
            yerr=tuple([point.arms[side] for point in line.points] for side in (0, 1)),
            capsize=2, elinewidth=1, markerfacecolor="none",
            **look(line.place) | {"linewidth": 1.2},
        )  # fmt: skip
    every = [point for line in lines for point in line.points]
    less = metric == PERPLEXITY
    best = list(frontier(every, less=less))
    for line in lines:
        some = [point for point in line.points if point in best]
        axes.plot(
            [point.cost for point in some], [point.value for point in some], linestyle="none",
            **look(line.place),
        )  # fmt: skip
    steps = [(point.cost, point.value) for point in staircase(best, less=less)] or [(1.0, 1.0)]
    axes.step(*zip(*steps), where="post", color=INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    _scales(axes, metric)
    _name_levels(axes, best)
    axes.set_xlabel(cost)
    axes.set_ylabel(metric)
    shown = [Line2D([], [], label=line.label, **look(line.place)) for line in lines]
    shown.append(
        Line2D(
            [],
            [],
            color=INK,
            linewidth=1,
            linestyle=(0, (2, 2)),
            label="best estimate by cost (filled: frontier)",
        )
    )
    if every:
        figure.legend(handles=shown, loc="outside lower center", ncols=2, fontsize=9.5)
    return figure


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


def staircase(points: Sequence[Point], *, less: bool) -> Iterator[Point]:
    """Of points by rising cost those whose score is estimated better than that of all before."""
    sign, best = -1 if less else 1, -math.inf
    for point in sorted(points, key=lambda point: (point.cost, -sign * point.value)):
        if sign * point.value > best:
            best = sign * point.value
            yield point


def _name_levels(axes: Axes, points: Sequence[Point]) -> None:
    """The level beside each point of the frontier, the best first, where there is room for it."""
    to_axes = axes.transData + axes.transAxes.inverted()
    named: list[tuple[float, float]] = []
    for point in reversed(points):
        x, y = to_axes.transform((point.cost, point.value))
        if any(abs(x - other) < ROOM and abs(y - height) < ROOM for other, height in named):
            continue
        named.append((x, y))
        name = f"{100 * point.level:g} %" if point.level else "dense"
        axes.annotate(
            name, (point.cost, point.value), xytext=(5, -11), textcoords="offset points",
            fontsize=8.5, color=INK,
        )  # fmt: skip


def _scales(axes: Axes, metric: str) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    wide = high / low > 30
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.08)
    if metric == PERPLEXITY:
        plain_log_axis(axes)
    elif metric != "MCC":
        percent_axis(axes)
