"""Bytes against level: a panel a model, a line a precision of bit masks, the unpruned files as levels."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from generator.figures.labels import End, name_ends, plain
from generator.figures.style import MUTED, REMOVED, WIDTH, level_axis, look


@dataclass(frozen=True)
class Line:
    """A format's bytes by level."""

    label: str
    points: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class Panel:
    """A model: its pruned files by level, and its unpruned ones, each with its bytes."""

    title: str
    lines: tuple[Line, ...]
    rivals: tuple[tuple[str, int], ...]


def draw(panels: Sequence[Panel]) -> Figure:
    """Linear from nothing: what is half as high takes half the bytes. Levels at equal steps."""
    rows = max(len(panels), 1)
    figure = Figure(figsize=(WIDTH, 0.5 + 2.1 * rows))
    for axes, panel in zip(figure.subplots(rows, 1, squeeze=False)[:, 0], panels):
        _panel(axes, panel)
        axes.set_xlabel(REMOVED if panel is panels[-1] else "")
    return figure


def _panel(axes: Axes, panel: Panel) -> None:
    levels = sorted({level for line in panel.lines for level, _ in line.points})
    step = {level: index for index, level in enumerate(levels)}
    names: list[tuple[float, str, str]] = []
    for index, line in enumerate(panel.lines):
        y = [size / 1e6 for _, size in line.points]
        axes.plot([step[level] for level, _ in line.points], y, **look(index))
        if y:
            names.append((y[-1], line.label, look(index)["color"]))
    for label, size in panel.rivals:
        axes.axhline(size / 1e6, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.1)
        names.append((size / 1e6, label, MUTED))
    axes.set_ylim(0, 1.12 * max([1e-6, *(height for height, _, _ in names), *(
        size / 1e6 for line in panel.lines for _, size in line.points
    )]))  # fmt: skip
    name_ends(axes, [End(y, name, colour) for y, name, colour in names])
    level_axis(axes, levels)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.set_ylabel("MB")
    axes.set_title(plain(panel.title), fontsize=10)
