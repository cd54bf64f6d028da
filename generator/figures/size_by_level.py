"""Bytes against level: a line a storage format."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from generator.figures.style import INK, MARKERS, SERIES, legend


def draw(levels: Sequence[float], ratios: Mapping[str, Sequence[float]]) -> Figure:
    """`ratios` holds bytes over dense bytes, one value a level, by format."""
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.subplots()
    for index, (name, values) in enumerate(ratios.items()):
        axes.plot(
            range(len(levels)), values, label=name,
            color=SERIES[index % len(SERIES)], marker=MARKERS[index % len(MARKERS)],
        )  # fmt: skip
    axes.axhline(1, color=INK, linewidth=1)
    axes.set_xticks(range(len(levels)), [f"{100 * level:g} %" for level in levels])
    if any(value > 0 for values in ratios.values() for value in values):
        axes.set_yscale("log")
        ticks = [0.05, 0.1, 0.25, 0.5, 1, 2, 4]
        axes.set_yticks(ticks, [f"{tick:g}×" for tick in ticks])
        axes.minorticks_off()
    axes.set_xlabel("weights removed")
    axes.set_ylabel("bytes, dense = 1×")
    legend(axes, loc="lower left", fontsize=9.5)
    return figure
