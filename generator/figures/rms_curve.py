"""Weights below multiples of their own tensor's RMS, a line a model, beside a normal distribution's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from generator.figures.labels import End, first, name_ends
from generator.figures.style import INK, WIDTH, look, percent_axis

FARTHEST = 3.0  # times the RMS: beyond it lies next to nothing
STEPS = 60


@dataclass(frozen=True)
class Curve:
    """A model's curve as (multiple of the RMS, share below); `place` decides its colour."""

    label: str
    points: tuple[tuple[float, float], ...]
    place: int = 0


def below(multiple: float) -> float:
    """The share of a normal distribution around zero below a multiple of its RMS.

    >>> round(below(1.0), 4)
    0.6827
    """
    return math.erf(multiple / math.sqrt(2))


def draw(curves: Sequence[Curve]) -> Figure:
    """Every model's points on the normal curve, or off it."""
    figure = Figure(figsize=(WIDTH, 3.2))
    axes = figure.subplots()
    curves, others = first(curves)
    axes.set_title(others.removeprefix(", "), fontsize=10)
    last = max((x for curve in curves for x, _ in curve.points), default=FARTHEST)
    last = min(last, FARTHEST) or FARTHEST
    multiples = [last * step / STEPS for step in range(STEPS + 1)]
    normal = [below(x) for x in multiples]
    axes.plot(multiples, normal, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=3)
    ends = [End(normal[-1], "normal", INK)]
    for curve in curves:
        points = [(x, y) for x, y in curve.points if x <= last]
        if points:
            style = {**look(curve.place), "markersize": 4, "linewidth": 1.2}
            axes.plot(*zip(*points), **style)
            ends.append(End(points[-1][1], curve.label, style["color"]))
    axes.set_xlim(0, last)
    axes.set_ylim(0, max([normal[-1], *(end.y for end in ends)]) * 1.05)
    axes.set_xlabel("times the RMS of its own matrix")
    axes.set_ylabel("weights below")
    percent_axis(axes)
    name_ends(axes, ends)
    return figure
