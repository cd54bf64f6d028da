"""How figures look: one set of inks, drawn once and written for a light and for a dark page.

Pure: a figure becomes SVG text, the same bytes every time.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullLocator

from generator.exhibits import spread
from generator.render import escape_controls

WIDTH = 5.0  # inches: what is written in a figure is legible on a page of 360 pixels
FONTS = ["DejaVu Sans", "sans-serif"]  # measured by the first, shown by what a reader has

# Every colour that differs by theme, as drawn (light) and on a dark page. The series are those of Okabe and
# Ito (2008), which the colour-blind tell apart: two of them darkened, on the dark page one lightened, until
# they stand out from the page 3 : 1; their black, which SVG leaves out, is a grey.
INK, MUTED, GRID = "#1f2328", "#59636e", "#d9dee3"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b97f00", "#2b8fcb", "#4d4d4d")
FACES: dict[str, dict[str, str]] = {
    "light": {},
    "dark": {
        INK: "#e6e8eb",
        MUTED: "#a3abb5",
        GRID: "#3d434c",
        SERIES[0]: "#3d9be0",
        SERIES[1]: "#f0772a",
        SERIES[2]: "#1fc79a",
        SERIES[3]: "#e29cc3",
        SERIES[4]: "#e6a117",
        SERIES[5]: "#7cc8f2",
        SERIES[6]: "#c9ced4",
    },
}
REMOVED = "% of prunable weights removed"  # the name of an axis of levels
MOST_LEVELS = 12  # that an axis names
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": FONTS,
    "font.sans-serif": [
        "DejaVu Sans",
        "Verdana",
    ],  # as wide as the first; named at every text of an SVG
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 2.0,
    "lines.markersize": 6.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "sparsity-report",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


def look(place: int) -> dict[str, Any]:
    """The colour and the marker of a model by its place: no two of the first 49 are alike.

    >>> look(0) == look(7), look(0)["color"] == look(7)["color"]
    (False, True)
    """
    turn, colour = divmod(place, len(SERIES))
    return {"color": SERIES[colour], "marker": MARKERS[(colour + turn) % len(MARKERS)]}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in this style, on the backend that needs no screen.

    A letter that the font has not is no matter: a reader's own has it.
    """
    matplotlib.use("svg")
    with (
        warnings.catch_warnings(),
        matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE, "backend": "svg"}),
    ):
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        yield


def faces(figure: Figure) -> dict[str, bytes]:
    """A figure as SVG for the light and for the dark page: drawn once, inks exchanged, no date.

    Its words are text, in which no letter stands that XML has no place for.
    """
    for words in figure.findobj(Text):
        words.set_text("\n".join(map(escape_controls, words.get_text().split("\n"))))
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = same_everywhere(re.sub(r"[ \t]+$", "", text.getvalue(), flags=re.MULTILINE))
    return {face: compact(_inked(drawn, inks)).encode() for face, inks in FACES.items()}


WORDS = r">[^<>]*(?=<)|<!--.*?-->"  # of an SVG: what is between its tags


def _outside_words(pattern: str, made: Callable[[re.Match[str]], str], drawn: str) -> str:
    """SVG in whose tags every match of a pattern is replaced, and no word of whose text."""
    kept_or = re.compile(f"({WORDS})|(?:{pattern})", re.DOTALL)
    return kept_or.sub(lambda match: match[1] or made(match), drawn)


def same_everywhere(drawn: str) -> str:
    """SVG without what differs by processor: the last bits of a logarithm, in places and in names.

    Matplotlib names shapes by a digest of their places; here they are numbered as they come. Places
    are rounded to a thousandth of a point.

    >>> same_everywhere('<path id="p0123456789" d="M 1.23449999 2"/><use href="#p0123456789"/>')
    '<path id="shape-1" d="M 1.234 2"/><use href="#shape-1"/>'
    >>> same_everywhere('<text x="1.23449999">0.00001</text>')
    '<text x="1.234">0.00001</text>'
    """
    names: dict[str, str] = {}

    def numbered(match: re.Match[str]) -> str:
        return match["sign"] + names.setdefault(match["name"], f"shape-{len(names) + 1}")

    def rounded(match: re.Match[str]) -> str:
        return match["scale"] or f"{round(float(match[0]), 3) + 0.0:.12g}"

    name = r"""(?P<sign>id="|#)(?P<name>\w*[0-9a-f]{10})(?=[")])"""
    place = r"(?P<scale>scale\([^)]*\))|-?\d+\.\d{4,}|(?<!\w)-0(?![\d.])"
    return _outside_words(place, rounded, _outside_words(name, numbered, drawn))


def compact(drawn: str) -> str:
    """SVG of half the size: a style stands once, as a class; groups have no names, lines no indent.

    What says that it is an SVG, in eleven lines of metadata, goes too.

    >>> compact('<style>*{}</style>\\n <g id="g1"><path style="fill: red"/>\\n  <use style="fill: red"/>')
    '<style>*{}.a{fill: red}</style>\\n<g><path class="a"/>\\n<use class="a"/>'
    """
    classes: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        return f'class="{classes.setdefault(match["style"], _letters(len(classes)))}"'

    short = _outside_words('style="(?P<style>[^"]*)"', named, drawn)
    short = _outside_words(r'<g id="[^"]*"', lambda match: "<g", short)
    short = re.sub(r"\s*<metadata>.*?</metadata>", "", short, count=1, flags=re.DOTALL)
    rules = "".join(f".{name}{{{style}}}" for style, name in classes.items())
    short = short.replace("</style>", f"{rules}</style>", 1)
    return re.sub(r"^[ \t]+(?=<)", "", short, flags=re.MULTILINE)


def _letters(place: int) -> str:
    """A short name.

    >>> _letters(0), _letters(25), _letters(26)
    ('a', 'z', 'ba')
    """
    more, last = divmod(place, 26)
    return f"{_letters(more) if more else ''}{chr(ord('a') + last)}"


def _inked(drawn: str, inks: Mapping[str, str]) -> str:
    return _outside_words("#[0-9a-f]{6}", lambda match: inks.get(match[0], match[0]), drawn)


def level_axis(axes: Axes, levels: Sequence[float]) -> None:
    """An x axis of levels at equal steps, in percent; its name has the sign, so that most levels fit."""
    shown = spread(len(levels), MOST_LEVELS) or range(len(levels))
    axes.set_xticks(shown, [f"{100 * levels[place]:g}" for place in shown])


def percent_axis(axes: Axes, which: str = "y") -> None:
    """Label an axis of fractions in percent."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(lambda value, _: f"{100 * value:g} %")


def magnitude_axis(axes: Axes, low: float, high: float) -> None:
    """A logarithmic x axis from `low` to `high`, labelled at powers of ten in plain digits."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    axes.set_xticks([10.0**power for power in powers], [f"{10.0**power:g}" for power in powers])
    axes.xaxis.set_minor_formatter(lambda value, _: "")


def plain_log_axis(axes: Axes) -> None:
    """A logarithmic y axis labelled in plain digits, from a million on in powers of ten."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    wide = high / low > 30
    axes.yaxis.set_major_locator(
        LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 3.0, 5.0), numticks=9)
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: _plain_digits(value))


def _plain_digits(value: float) -> str:
    """A tick's number.

    >>> _plain_digits(20.0), _plain_digits(50000.0), _plain_digits(1e6)
    ('20', '50\u202f000', '1e6')
    """
    if value >= 1e6:
        digits, _, power = f"{value:.0e}".partition("e")
        return f"{digits}e{int(power)}"
    return f"{value:,.0f}".replace(",", "\u202f") if value >= 1000 else f"{value:g}"


def text_on(fraction: float) -> str:
    """The ink that reads on a heat map's cell of this value, whatever the page."""
    return "#ffffff" if fraction > 0.55 else "#10151c"


HEAT = "YlGnBu"
