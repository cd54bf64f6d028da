"""Quality against what it costs: a point a level of each model, and the frontier of them all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from generator.figures.style import INK, look, percent_axis, plain_log_axis

PERPLEXITY = "perplexity"
ROOM = 0.08  # of the axes, between two names


@dataclass(frozen=True)
class Point:
    """One level: what it costs, what it scores and the interval of that."""

    level: float
    cost: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A model's points from dense on. `place` is the model's in the study."""

    label: str
    points: tuple[Point, ...]
    place: int = 0


def draw(lines: Sequence[Line], *, metric: str, cost: str) -> Figure:
    """`metric` is perplexity where less is better, MCC, or a fraction; `cost` names the x axis."""
    figure = Figure(figsize=(6.4, 3.9 + 0.1 * len(lines)))
    axes = figure.subplots()
    for line in lines:
        axes.errorbar(
            [point.cost for point in line.points],
            [point.value for point in line.points],
            yerr=(
                [max(0.0, point.value - point.low) for point in line.points],
                [max(0.0, point.high - point.value) for point in line.points],
            ),
            capsize=2, elinewidth=1, markerfacecolor="none",
            **look(line.place) | {"linewidth": 1.2},
        )  # fmt: skip
    every = [point for line in lines for point in line.points]
    best = list(frontier(every, less=metric == PERPLEXITY))
    for line in lines:
        some = [point for point in line.points if point in best]
        axes.plot(
            [point.cost for point in some], [point.value for point in some], linestyle="none",
            **look(line.place),
        )  # fmt: skip
    steps = [(point.cost, point.value) for point in best] or [(1.0, 1.0)]
    axes.step(*zip(*steps), where="post", color=INK, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    _scales(axes, metric)
    _name_levels(axes, best)
    axes.set_xlabel(cost)
    axes.set_ylabel(metric)
    shown = [Line2D([], [], label=line.label, **look(line.place)) for line in lines]
    shown.append(
        Line2D([], [], color=INK, linewidth=1, linestyle=(0, (2, 2)), label="frontier (filled)")
    )
    if every:
        figure.legend(handles=shown, loc="outside lower center", ncols=2, fontsize=9.5)
    return figure


def frontier(points: Sequence[Point], *, less: bool) -> Iterator[Point]:
    """The points to which no other is better in one way and as good in the other, cheapest first.

    >>> a, b, c = (Point(0, cost, value, 0, 0) for cost, value in ((2, 0.9), (1, 0.5), (3, 0.8)))
    >>> [point.cost for point in frontier([a, b, c], less=False)]
    [1, 2]
    """
    sign = -1 if less else 1
    highest = float("-inf")
    for point in sorted(points, key=lambda point: (point.cost, -sign * point.value)):
        if sign * point.value > highest:
            highest = sign * point.value
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
