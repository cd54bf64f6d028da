"""The density of one model's magnitudes, with the thresholds that its levels cut at."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from generator.figures.style import INK, MUTED, SERIES, WIDTH, magnitude_axis, percent_axis


def draw(points: Sequence[tuple[float, float]], cuts: Sequence[tuple[float, float]]) -> Figure:
    """`points` are (threshold, fraction below); `cuts` are (level, threshold)."""
    figure = Figure(figsize=(WIDTH, 3.3))
    axes = figure.subplots()
    edges = [threshold for threshold, _ in points]
    shares = [high - low for (_, low), (_, high) in pairwise(points)]
    if shares:
        axes.stairs(shares, edges, fill=True, color=SERIES[0], alpha=0.35, linewidth=0)
        axes.stairs(shares, edges, color=SERIES[0])
    top = max(shares, default=0.0) or 1.0
    for index, (level, threshold) in enumerate(cuts):
        at = top * (1.24 - 0.1 * (index % 3))
        axes.plot([threshold, threshold], [0, at + 0.05 * top], color=INK, linewidth=1.1)
        last = index == len(cuts) - 1  # the others' lines stand on its left
        axes.annotate(
            f"{100 * level:g} %", (threshold, at), xytext=(3 if last else -3, 0), fontsize=9,
            textcoords="offset points", ha="left" if last else "right", color=MUTED,
        )  # fmt: skip
    occupied = [edge for edge, share in zip(edges, shares) if share > 0.0005]
    if occupied:
        magnitude_axis(axes, occupied[0], 2.5 * occupied[-1])
    axes.set_ylim(0, 1.32 * top)
    percent_axis(axes)
    axes.set_xlabel("magnitude")
    axes.set_ylabel("share of prunable weights")
    return figure
