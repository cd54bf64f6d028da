"""A heat map of fractions: rows by columns, each cell with its number, empty where there is none."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from generator.figures.style import HEAT, INK, WIDTH, text_on

MOST = 12  # columns whose numbers can be read
LINE = 60  # letters that stand beside each other below a map; labels of more are turned


def draw(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    axis: str,
    top: float = 1.0,
    bottom: float = 0.0,
) -> Figure:
    """`values` holds fractions, one list a row; None leaves a cell empty.

    The palest ink is that of `bottom`, the deepest that of `top`.
    """
    widths = [max(map(len, column.split("\n"))) for column in columns]
    crowded = sum(widths) + 2 * len(widths) > LINE
    letters = max(widths, default=0) if crowded else 0
    height = 1.1 + 0.36 * max(len(rows), 1) + 0.09 * letters
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots()
    grid = np.array(
        [[np.nan if value is None else value for value in row] for row in values], float
    ).reshape(len(rows), len(columns))
    axes.pcolormesh(grid, cmap=HEAT, vmin=bottom, vmax=top, edgecolor="none")
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            if value is not None:
                axes.text(
                    x + 0.5, y + 0.5, label(value), ha="center", va="center", fontsize=8.5,
                    color=text_on((value - bottom) / (top - bottom)),
                )  # fmt: skip
    turned: dict[str, Any] = {"rotation": 90} if crowded else {}
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, color=INK, **turned)
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows, color=INK)
    axes.set_xlabel(axis)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def label(fraction: float) -> str:
    """Percent without its sign, 0 and 100 only when exact.

    >>> label(1.0), label(0.9999), label(0.0), label(0.0001), label(0.5)
    ('100', '>99', '0', '<1', '50')
    """
    if fraction in (0, 1):
        return "100" if fraction else "0"
    rounded = round(100 * fraction)
    return "<1" if rounded < 1 else ">99" if rounded > 99 else str(rounded)
