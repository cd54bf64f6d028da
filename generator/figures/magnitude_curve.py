"""The cumulative curve of magnitudes: the fraction of prunable weights below each threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from generator.figures.style import DASHES, MUTED, SERIES, magnitude_axis, percent_axis


@dataclass(frozen=True)
class Curve:
    """A model's curve as (threshold, fraction below)."""

    label: str
    points: tuple[tuple[float, float], ...]


def draw(curves: Sequence[Curve], levels: Sequence[float] = ()) -> Figure:
    """Thresholds on a logarithmic axis; the report's levels as dotted lines."""
    figure = Figure(figsize=(6.4, 3.6 + 0.11 * len(curves)))
    axes = figure.subplots()
    for index, curve in enumerate(curves):
        style = DASHES[index % len(DASHES)]
        x, y = [at for at, _ in curve.points], [below for _, below in curve.points]
        axes.plot(x, y, color=SERIES[index % len(SERIES)], linestyle=style, label=curve.label)
    for level in levels:
        axes.axhline(level, color=MUTED, linestyle=":", linewidth=1)
    inside = [x for curve in curves for x, below in curve.points if 0.002 < below < 0.9999]
    if inside:
        magnitude_axis(axes, min(inside), 2 * max(inside))
    axes.set_ylim(0, 1.02)
    percent_axis(axes)
    axes.set_xlabel("magnitude threshold")
    axes.set_ylabel("weights below it")
    if curves:
        figure.legend(loc="outside lower center", ncols=2, fontsize=9.5)
    return figure
