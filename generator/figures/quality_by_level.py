"""Quality against level: a panel a task, a line a model, with intervals and what chance gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from generator.figures.style import MUTED, WIDTH, look, percent_axis, plain_log_axis

PERPLEXITY = "perplexity"
AT_RANDOM = "pruned at random"


@dataclass(frozen=True)
class Line:
    """A model's scores: level, value and interval bounds (the value itself where there is none).

    `control` holds level, lowest and highest of its seeds. `place` is the model's in the study: it
    decides the colour, the same in every panel.
    """

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    control: tuple[tuple[float, float, float], ...] = ()
    place: int = 0


@dataclass(frozen=True)
class Panel:
    """A task: its scale and what a constant answer scores, for each line; None where none is one."""

    title: str
    metric: str
    lines: tuple[Line, ...]
    floor: float | None


def draw(panels: Sequence[Panel]) -> Figure:
    """Levels stand at equal steps: what matters happens in the last percents."""
    rows = len(panels)
    models = {line.label for panel in panels for line in panel.lines}
    height = 3.1 if rows < 3 else 2.6
    figure = Figure(figsize=(WIDTH, 0.3 + height * rows + 0.13 * len(models)))
    named: dict[str, Any] = {}
    for axes, panel in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], panels):
        named |= _panel(axes, panel)
    axes.set_xlabel("weights removed")
    if any(line.control for panel in panels for line in panel.lines):
        named[AT_RANDOM] = Line2D([], [], color=MUTED, linestyle=":", linewidth=1.6)
    figure.legend(
        list(named.values()),
        [label.replace("_", "\u2009_", 1) if label[:1] == "_" else label for label in named],
        loc="outside lower center",
        ncols=2,
        fontsize=9.5,
    )
    return figure


def _panel(axes: Axes, panel: Panel) -> dict[str, Any]:
    """One task's lines, by their labels."""
    levels = sorted({point[0] for line in panel.lines for point in line.points})
    step = {level: index for index, level in enumerate(levels)}
    named: dict[str, Any] = {}
    apart = min(0.09, 0.6 / max(len(panel.lines), 1))
    for index, line in enumerate(panel.lines):
        shift = apart * (index - (len(panel.lines) - 1) / 2)
        at = {level: place + shift for level, place in step.items()}
        named[line.label] = axes.errorbar(
            [at[level] for level, *_ in line.points],
            [value for _, value, _, _ in line.points],
            yerr=(
                [max(0.0, value - low) for _, value, low, _ in line.points],
                [max(0.0, high - value) for _, value, _, high in line.points],
            ),
            capsize=2.5, elinewidth=1.2, **look(line.place),
        )  # fmt: skip
        if line.control:
            _control(axes, panel, line, at)
    _scale(axes, panel)
    axes.set_xticks(range(len(levels)), [f"{100 * level:g} %" for level in levels])
    axes.set_title(panel.title)
    axes.set_ylabel(panel.metric)
    return named


def _control(axes: Axes, panel: Panel, line: Line, at: dict[float, float]) -> None:
    """The random control: a dotted line midway on the axis's own scale, and the range of its seeds."""
    colour = look(line.place)["color"]
    x = [at[level] for level, _, _ in line.control if level in at]
    seeds = [(low, high) for level, low, high in line.control if level in at]
    middle = [
        (low * high) ** 0.5 if panel.metric == PERPLEXITY else (low + high) / 2
        for low, high in seeds
    ]
    low, high = [one[0] for one in seeds], [one[1] for one in seeds]
    axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(x, middle, color=colour, linestyle=":", linewidth=1.6)


def _scale(axes: Axes, panel: Panel) -> None:
    """Percent, a correlation, or perplexity on a logarithmic axis; and the constant answer's line."""
    if panel.metric == PERPLEXITY:
        plain_log_axis(axes)
    elif panel.metric != "MCC":
        percent_axis(axes)
    if panel.floor is not None:
        axes.axhline(panel.floor, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.annotate(
            "a constant answer", (0, panel.floor), xycoords=axes.get_yaxis_transform(),
            xytext=(3, 3), textcoords="offset points", color=MUTED, fontsize=9,
        )  # fmt: skip
