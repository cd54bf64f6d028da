"""Speed against dense: a panel a shape, a line a model, and what the arithmetic left over allows."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from generator.figures.style import INK, MUTED, WIDTH, look, plain_log_axis

Point = tuple[float, float, float, float]
HEADROOM = 1.6


@dataclass(frozen=True)
class Series:
    """One model at one shape, its sparse and its masked times: (level, ratio, low, high).

    `place` is the model's in the study and decides the colour and the marker.
    """

    label: str
    sparse: tuple[Point, ...]
    masked: tuple[Point, ...] = ()
    place: int = 0


@dataclass(frozen=True)
class Panel:
    """One shape: how much is put in at once."""

    title: str
    series: tuple[Series, ...]


def draw(panels: Sequence[Panel]) -> Figure:
    """Ratios of dense time to the pruned model's, logarithmic: above 1 is faster."""
    rows = max(len(panels), 1)
    models = {one.label: one for panel in panels for one in panel.series}
    figure = Figure(figsize=(WIDTH, 0.6 + 2.9 * rows + 0.11 * len(models)))
    for axes, panel in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], panels):
        _panel(axes, panel)
        axes.set_xlabel("weights removed")
    named = [Line2D([], [], label=label, **look(one.place)) for label, one in models.items()]
    if named:
        masked = Line2D([], [], color=MUTED, marker="_", linestyle="none", markersize=9)
        limit = Line2D([], [], color=INK, linestyle=(0, (4, 3)), linewidth=1.2)
        figure.legend(
            [*named, masked, limit],
            [*models, "masked", "limit: 1 / (1 − level)"],
            loc="outside lower center", ncols=2, fontsize=9.5,
        )  # fmt: skip
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    points = [point for one in panel.series for point in (*one.sparse, *one.masked)]
    levels = sorted({point[0] for point in points})
    place = {level: index for index, level in enumerate(levels)}
    apart = min(0.1, 0.6 / max(len(panel.series), 1))
    for index, one in enumerate(panel.series):
        shift = apart * (index - (len(panel.series) - 1) / 2)
        ink = look(one.place)
        axes.plot(
            [place[level] + shift for level, *_ in one.masked],
            [ratio for _, ratio, _, _ in one.masked],
            color=ink["color"], marker="_", linestyle="none", markersize=9,
        )  # fmt: skip
        axes.errorbar(
            [place[level] + shift for level, *_ in one.sparse],
            [ratio for _, ratio, _, _ in one.sparse],
            yerr=(
                [max(0.0, ratio - low) for _, ratio, low, _ in one.sparse],
                [max(0.0, high - ratio) for _, ratio, _, high in one.sparse],
            ),
            capsize=2.5, elinewidth=1.2, **ink,
        )  # fmt: skip
    axes.axhline(1, color=INK, linewidth=1)
    limits = [(place[level], 1 / (1 - level)) for level in levels if level < 1]
    axes.plot(*zip(*limits or [(0, 1)]), color=INK, linestyle=(0, (4, 3)), linewidth=1.2)
    high = max([2.0, *(point[3] for point in points)])
    low = min([1.0, *(point[2] for point in points if point[2] > 0)])
    axes.set_ylim(low / 1.25, HEADROOM * high)
    plain_log_axis(axes)
    axes.set_xticks(range(len(levels)), [f"{100 * level:g} %" for level in levels])
    axes.set_ylabel("speed, dense = 1×")
    axes.set_title(panel.title)
