"""Bytes against level: a line a storage format."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from generator.figures.style import INK, MARKERS, SERIES, WIDTH

TICKS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4)


def draw(levels: Sequence[float], ratios: Mapping[str, Sequence[float]]) -> Figure:
    """`ratios` holds bytes over dense bytes, one value a level, by format."""
    figure = Figure(figsize=(WIDTH, 3.9))
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
        every = [value for values in ratios.values() for value in values if value > 0]
        low, high = min([0.8, *every]) / 1.25, max([1.0, *every]) * 1.25
        ticks = [tick for tick in TICKS if low <= tick <= high]
        axes.set_yticks(ticks, [f"{tick:g}×" for tick in ticks])
        axes.set_ylim(low, high)
        axes.minorticks_off()
    axes.set_xlabel("weights removed")
    axes.set_ylabel("bytes, dense = 1×")
    if ratios:
        figure.legend(loc="outside lower center", ncols=3, fontsize=9.5)
    return figure
