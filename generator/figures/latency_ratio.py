"""Speed against dense: a point a level with its interval, and the line where nothing is gained."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from generator.figures.style import INK, legend, look


@dataclass(frozen=True)
class Series:
    """One model at one shape: (level, ratio, low, high).

    `place` is the model's in the study and decides the colour; the markers of all shapes but its
    first are hollow.
    """

    label: str
    points: tuple[tuple[float, float, float, float], ...]
    place: int = 0
    hollow: bool = False


def draw(series: Sequence[Series]) -> Figure:
    """Ratios of dense time to the pruned model's: above 1 is faster."""
    figure = Figure(figsize=(6.4, 3.4 + 0.1 * len(series)))
    axes = figure.subplots()
    levels = sorted({point[0] for one in series for point in one.points})
    place = {level: index for index, level in enumerate(levels)}
    apart = min(0.1, 0.8 / max(len(series), 1))
    for index, one in enumerate(series):
        shift = apart * (index - (len(series) - 1) / 2)
        axes.errorbar(
            [place[point[0]] + shift for point in one.points],
            [point[1] for point in one.points],
            yerr=(
                [max(0.0, point[1] - point[2]) for point in one.points],
                [max(0.0, point[3] - point[1]) for point in one.points],
            ),
            linestyle="none", capsize=2.5, label=one.label,
            markerfacecolor="none" if one.hollow else look(one.place)["color"], **look(one.place),
        )  # fmt: skip
    axes.axhline(1, color=INK, linewidth=1)
    axes.set_ylim(0, max([1.6, *(1.1 * point[3] for one in series for point in one.points)]))
    axes.set_xticks(range(len(levels)), [f"{100 * level:g} %" for level in levels])
    axes.set_xlabel("weights removed")
    axes.set_ylabel("speed, dense = 1×")
    legend(axes, loc="lower center", ncols=2, fontsize=9)
    return figure
