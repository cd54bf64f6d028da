"""Quality against level: a panel a task, a line a model, with intervals and what no reading scores."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from generator.figures.labels import End, first, name_ends, plain
from generator.figures.style import (
    MUTED,
    REMOVED,
    WIDTH,
    level_axis,
    look,
    percent_axis,
    plain_log_axis,
)

PERPLEXITY = "perplexity"

NEIGHBOURS, APART = 0.09, 0.24  # steps between lines at a level, and between the first and the last


@dataclass(frozen=True)
class Line:
    """A model's scores: level, value and interval bounds (the value itself where there is none).

    `place` is the model's in the study: it decides the colour, the same in every panel. `silent` is the
    level from which on no answer is a label: a score of 0 there is no answer worse than a fixed one.
    """

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    place: int = 0
    silent: float | None = None


@dataclass(frozen=True)
class Panel:
    """A task: its scale, and what an answer given without reading scores; None where that is not known.

    Of a perplexity that is a uniform guess, and nothing above it is drawn: it would say no more.
    """

    title: str
    metric: str
    lines: tuple[Line, ...]
    floor: float | None


def draw(panels: Sequence[Panel]) -> Figure:
    """Levels stand at equal steps: what matters happens in the last percents."""
    rows = max(len(panels), 1)
    figure = Figure(figsize=(WIDTH, 0.5 + 2.3 * rows))
    for axes, panel in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], panels):
        _panel(axes, panel)
        axes.set_xlabel(REMOVED if panel is panels[-1] else "")
    return figure


def capped(panel: Panel, value: float) -> float:
    """A value as it is drawn: a perplexity no higher than a uniform guess.

    >>> capped(Panel("t", "perplexity", (), 100.0), 5e6), capped(Panel("t", "MCC", (), 0.0), 0.4)
    (100.0, 0.4)
    """
    cap = panel.metric == PERPLEXITY and panel.floor is not None
    return min(value, panel.floor or 0.0) if cap else value


def _panel(axes: Axes, panel: Panel) -> None:
    lines, others = first(panel.lines)
    levels = sorted({point[0] for line in lines for point in line.points})
    step = {level: index for index, level in enumerate(levels)}
    apart = min(NEIGHBOURS, APART / max(len(lines) - 1, 1))
    ends = []
    for index, line in enumerate(lines):
        shift = apart * (index - (len(lines) - 1) / 2)
        x = [step[level] + shift for level, *_ in line.points]
        y, low, high = ([capped(panel, point[part]) for point in line.points] for part in (1, 2, 3))
        arms = [
            [max(0.0, a - b) for a, b in zip(y, low)],
            [max(0.0, b - a) for a, b in zip(y, high)],
        ]
        axes.errorbar(x, y, yerr=arms, elinewidth=1, **look(line.place))
        if x:
            colour = look(line.place)["color"]
            ends.append(End(y[-1], line.label, colour, _silent(line)))
    _scale(axes, panel)
    level_axis(axes, levels)
    axes.tick_params(axis="x", labelsize=8.5)
    metric = "" if panel.title == panel.metric else f", {panel.metric}"
    axes.set_title(f"{plain(panel.title, 36)}{metric}{others}", fontsize=10)
    name_ends(axes, ends)


def _silent(line: Line) -> str:
    return "" if line.silent is None else f"no label from {100 * line.silent:g} %"


def _scale(axes: Axes, panel: Panel) -> None:
    """Percent, a correlation, or perplexity on a logarithmic axis; and the line of no reading."""
    if panel.metric == PERPLEXITY:
        plain_log_axis(axes)
    elif panel.metric != "MCC":
        percent_axis(axes)
    if panel.floor is not None:
        guess, above = (
            ("a uniform guess", -11) if panel.metric == PERPLEXITY else ("a fixed answer", 3)
        )
        axes.axhline(panel.floor, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.1)
        axes.annotate(
            guess, (0, panel.floor), xycoords=axes.get_yaxis_transform(),
            xytext=(3, above), textcoords="offset points", color=MUTED, fontsize=8.5,
        )  # fmt: skip
