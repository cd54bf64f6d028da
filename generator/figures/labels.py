"""Lines labelled where they end: names beside each other's ends, none on another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

L = TypeVar("L")
MOST = 12  # lines of a panel
SIZE = 9.0  # points of a name
LINE = 1.25  # times that, from one name to the next


@dataclass(frozen=True)
class End:
    """How high a line ends, in data, what it is called, its colour, and what is said below its name."""

    y: float
    name: str
    colour: str
    note: str = ""

    @property
    def rows(self) -> int:
        """How many rows its words take."""
        return 2 if self.note else 1


def first(lines: Sequence[L]) -> tuple[Sequence[L], str]:
    """The lines that have room to be named, and what a title says of those that have none.

    >>> first(["a"]), first([str(place) for place in range(40)])[1]
    ((['a'], ''), ', the first 12 of 40')
    """
    some = lines[:MOST]
    return some, "" if len(some) == len(lines) else f", the first {MOST} of {len(lines)}"


def spread(places: Sequence[float], heights: Sequence[float], most: float = 1.0) -> list[float]:
    """Middles of words of these heights, moved as little as keeps them apart, in order, none above `most`.

    >>> [round(place, 2) for place in spread([0.5, 0.52, 0.1], [0.1, 0.1, 0.1])]
    [0.5, 0.6, 0.1]
    >>> [round(place, 2) for place in spread([1.0, 1.0], [0.1, 0.3])]
    [0.8, 1.0]
    """
    order = sorted(range(len(places)), key=lambda at: (places[at], at))
    moved = list(places)
    for before, at in pairwise(order):
        moved[at] = max(moved[at], moved[before] + (heights[before] + heights[at]) / 2)
    if order:
        moved[order[-1]] = min(moved[order[-1]], most)
    for after, at in pairwise(reversed(order)):
        moved[at] = min(moved[at], moved[after] - (heights[at] + heights[after]) / 2)
    return moved


def name_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Write each line's name beside its end, in its colour.

    Call it when the scales of the axes are final.
    """
    if not ends:
        return
    to_axes = axes.transData + axes.transAxes.inverted()
    x = axes.get_xlim()[0]
    heights = [_inside(float(to_axes.transform((x, end.y))[1])) for end in ends]
    tall = axes.get_window_extent().height or 1.0
    row = LINE * SIZE * axes.figure.dpi / 72 / tall
    for end, height in zip(ends, spread(heights, [row * end.rows for end in ends])):
        words = "\n".join(filter(None, (plain(end.name), end.note)))
        axes.annotate(
            words, (1.015, height), xycoords="axes fraction", va="center", ha="left",
            annotation_clip=False, color=end.colour, fontsize=SIZE,
        )  # fmt: skip


def widest(names: Iterable[str]) -> float:
    """Inches that the widest of these names takes beside a line's end; 0 of none.

    >>> widest([]), widest(["ab"]) < widest(["a", "abc"]) < 0.4
    (0.0, True)
    """
    font = FontProperties(size=SIZE)
    of = text_to_path.get_text_width_height_descent
    return max((of(plain(name), font, ismath=False)[0] / 72 for name in names), default=0.0)


def _inside(height: float) -> float:
    """A height of the axes; what has none on a logarithmic scale is at the bottom.

    >>> _inside(0.4), _inside(1.7), _inside(float("-inf")), _inside(float("nan"))
    (0.4, 1.0, 0.0, 0.0)
    """
    return min(1.0, height) if height > 0 else 0.0


def plain(name: str, most: int = 24) -> str:
    """A name as matplotlib shows it: none is left out for its first letter, none is longer than fits.

    >>> plain("_x"), plain("a" * 40)
    ('\\u2009_x', 'aaaaaaaaaaaaaaaaaaaaaaa…')
    """
    short = name if len(name) <= most else f"{name[: most - 1]}…"
    return f"\u2009{short}" if short[:1] == "_" else short
