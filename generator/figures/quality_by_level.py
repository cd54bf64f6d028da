"""Quality against level: a panel a task, a line a model, with intervals and what chance gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from generator.figures.style import MARKERS, MUTED, SERIES, percent_axis


@dataclass(frozen=True)
class Line:
    """A model's scores: level, value and interval bounds (the value itself where there is none).

    `place` is the model's in the study: it decides the colour, the same in every panel.
    """

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    control: tuple[tuple[float, float, float], ...] = ()
    place: int = 0


@dataclass(frozen=True)
class Panel:
    """A task: its scale and what a constant answer scores, for each line."""

    title: str
    metric: str
    lines: tuple[Line, ...]
    floor: float


def draw(panels: Sequence[Panel]) -> Figure:
    """Levels stand at equal steps: what matters happens in the last percents."""
    rows = len(panels)
    models = {line.label for panel in panels for line in panel.lines}
    figure = Figure(figsize=(6.4, 0.3 + 3.1 * rows + 0.2 * len(models)))
    named: dict[str, Any] = {}
    for axes, panel in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], panels):
        levels = sorted({point[0] for line in panel.lines for point in line.points})
        step = {level: index for index, level in enumerate(levels)}
        shown = len(panel.lines)
        for index, line in enumerate(panel.lines):
            shift = 0.09 * (index - (shown - 1) / 2)
            colour = SERIES[line.place % len(SERIES)]
            marker = MARKERS[line.place % len(MARKERS)]
            x = [step[point[0]] + shift for point in line.points]
            y = [point[1] for point in line.points]
            low = [max(0.0, point[1] - point[2]) for point in line.points]
            high = [max(0.0, point[3] - point[1]) for point in line.points]
            named[line.label] = axes.errorbar(
                x, y, yerr=(low, high), color=colour, marker=marker, capsize=2.5,
                elinewidth=1.2,
            )  # fmt: skip
            if line.control:
                axes.fill_between(
                    [step[level] + shift for level, _, _ in line.control],
                    [low for _, low, _ in line.control],
                    [high for _, _, high in line.control],
                    color=colour, alpha=0.16, linewidth=0,
                )  # fmt: skip
                (named[f"{line.label}, at random"],) = axes.plot(
                    [step[level] + shift for level, _, _ in line.control],
                    [(low + high) / 2 for _, low, high in line.control],
                    color=colour, linestyle=":", linewidth=1.6,
                )  # fmt: skip
        axes.axhline(panel.floor, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
        axes.annotate(
            "a constant answer", (0, panel.floor), xytext=(0, 3), textcoords="offset points",
            color=MUTED, fontsize=9,
        )  # fmt: skip
        axes.set_xticks(range(len(levels)), [f"{100 * level:g} %" for level in levels])
        axes.set_title(panel.title)
        axes.set_ylabel(panel.metric)
        if panel.metric != "MCC":
            percent_axis(axes)
    axes.set_xlabel("weights removed")
    ordered = sorted(named.items(), key=lambda item: item[0].endswith(", at random"))
    figure.legend(
        [handle for _, handle in ordered],
        [label.replace("_", "\u2009_", 1) if label[:1] == "_" else label for label, _ in ordered],
        loc="outside lower center",
        ncols=2,
        fontsize=9.5,
    )
    return figure
