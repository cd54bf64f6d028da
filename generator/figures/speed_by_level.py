"""Speed against level: a panel a shape, a line a model, the noise band and the arithmetic limit."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from generator.figures.labels import End, first, name_ends
from generator.figures.style import INK, MUTED, REMOVED, WIDTH, level_axis, look, plain_log_axis

HEADROOM = 1.15


@dataclass(frozen=True)
class Line:
    """A model's speeds: level, ratio to dense and its interval's bounds. `place` is the model's."""

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    place: int = 0


@dataclass(frozen=True)
class Panel:
    """A shape, its lines, and the share of 1 within which a speed is noise."""

    title: str
    lines: tuple[Line, ...]
    noise: float


def draw(panels: Sequence[Panel]) -> Figure:
    """Logarithmic, above 1 is faster; levels at equal steps."""
    rows = max(len(panels), 1)
    figure = Figure(figsize=(WIDTH, 0.5 + 2.2 * rows))
    for axes, panel in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], panels):
        _panel(axes, panel)
        axes.set_xlabel(REMOVED if panel is panels[-1] else "")
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    lines, others = first(panel.lines)
    points = [point for line in lines for point in line.points]
    levels = sorted({point[0] for point in points})
    step = {level: index for index, level in enumerate(levels)}
    apart = min(0.08, 0.5 / max(len(lines), 1))
    axes.axhspan(1 / (1 + panel.noise), 1 + panel.noise, color=MUTED, alpha=0.25, linewidth=0)
    axes.axhline(1, color=INK, linewidth=0.8)
    ends = []
    for index, line in enumerate(lines):
        shift = apart * (index - (len(lines) - 1) / 2)
        x = [step[level] + shift for level, *_ in line.points]
        y = [ratio for _, ratio, _, _ in line.points]
        arms = (
            [max(0.0, ratio - low) for _, ratio, low, _ in line.points],
            [max(0.0, high - ratio) for _, ratio, _, high in line.points],
        )
        axes.errorbar(x, y, yerr=arms, elinewidth=1, **look(line.place))
        if x:
            ends.append(End(y[-1], line.label, look(line.place)["color"]))
    high = HEADROOM * max([1.5, *(point[3] for point in points)])
    low = min([1.0, *(point[2] for point in points if point[2] > 0)]) / HEADROOM
    limits = [(step[level], 1 / (1 - level)) for level in levels if level < 1]
    axes.plot(*zip(*limits or [(0, 1)]), color=INK, linestyle=(0, (4, 3)), linewidth=1.1)
    inside = [(x, y) for x, y in limits if 1 < y < high / 1.1]
    if inside:
        # Above its curve, where no model's line can be; right of it where the curve begins there.
        left = inside[-1][0] > len(levels) / 3
        axes.annotate(
            "arithmetic limit", inside[-1], xytext=(-6, 1) if left else (7, -3),
            textcoords="offset points", ha="right" if left else "left", fontsize=8.5, color=INK,
        )  # fmt: skip
    axes.set_ylim(low, high)
    plain_log_axis(axes)
    level_axis(axes, levels)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.set_ylabel("times as fast")
    axes.set_title(f"{panel.title}{others}", fontsize=10)
    name_ends(axes, ends)
