"""How weights are distributed in units of their own tensor's RMS: a line a model, and the normal curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.figure import Figure

from generator.figures.labels import End, first, name_ends
from generator.figures.style import INK, WIDTH, look, percent_axis

FARTHEST = 3.0  # times the RMS: beyond it lies next to nothing
STEPS = 60
TENTH = 0.1  # times the RMS: weights are counted by steps of it


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


def densities(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The middle of each step of a curve, and the share of weights there in a tenth of an RMS.

    >>> densities([(0.0, 0.0), (0.5, 0.4), (1.5, 0.6)])
    [(0.25, 0.08), (1.0, 0.02)]
    """
    steps = pairwise([(0.0, 0.0), *(point for point in points if point[0] > 0)])
    return [
        ((low + high) / 2, round(TENTH * (after - before) / (high - low), 12))
        for (low, before), (high, after) in steps
        if high > low
    ]


def draw(curves: Sequence[Curve]) -> Figure:
    """Every model's steps on the normal curve, or off it."""
    figure = Figure(figsize=(WIDTH, 3.2))
    axes = figure.subplots()
    curves, others = first(curves)
    axes.set_title(others.removeprefix(", "), fontsize=10)
    last = max((x for curve in curves for x, _ in curve.points), default=FARTHEST)
    last = min(last, FARTHEST) or FARTHEST
    multiples = [last * step / STEPS for step in range(STEPS + 1)]
    normal = [TENTH * math.sqrt(2 / math.pi) * math.exp(-x * x / 2) for x in multiples]
    axes.plot(multiples, normal, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=3)
    ends, highest = [End(normal[-1], "normal", INK)], max(normal)
    for curve in curves:
        points = [(x, y) for x, y in densities(curve.points) if x <= last]
        if points:
            style = {**look(curve.place), "markersize": 4, "linewidth": 1.2}
            axes.plot(*zip(*points), **style)
            ends.append(End(points[-1][1], curve.label, style["color"]))
            highest = max(highest, *(y for _, y in points))
    axes.set_xlim(0, last)
    axes.set_ylim(0, 1.05 * highest)
    axes.set_xlabel("times the RMS of its own matrix")
    axes.set_ylabel("weights in 0.1 RMS")
    percent_axis(axes)
    name_ends(axes, ends)
    return figure
