"""Figures: whatever is drawn, and however its lines are named, an SVG that only shows."""

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from synthetic import HOSTILE

from generator.figures import (
    frontier,
    heat_map,
    kept_by_method,
    labels,
    level_strip,
    magnitude_density,
    quality_by_level,
    rms_curve,
    size_by_level,
    speed_by_level,
    style,
)
from generator.figures.heat_map import label
from generator.figures.quality_by_level import Line, Panel

LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)
THRESHOLDS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
RISING = (0.0, 0.001, 0.1, 0.6, 0.95, 1.0)


def heat(
    names: Sequence[str] = ("a", "b"),
    *,
    levels: Sequence[float] = LEVELS,
    value: float | None = 0.5,
) -> Figure:
    columns = [f"{100 * level:g} %" for level in levels]
    return heat_map.draw(names, columns, [[value] * len(columns)] * len(names), axis="level")


def speed(
    names: Sequence[str] = ("a", "b"), *, levels: Sequence[float] = LEVELS, value: float = 1.0
) -> Figure:
    points = tuple((level, 3 * value, 2.9 * value, 3.1 * value) for level in levels)
    lines = tuple(speed_by_level.Line(name, points, place) for place, name in enumerate(names))
    return speed_by_level.draw([speed_by_level.Panel(names[0] if names else "", lines, 0.03)])


def kept(names: Sequence[str] = ("a", "b"), *, value: float = 0.8) -> Figure:
    methods = (*names, "random")
    shares = tuple((name, (value, value / 2)[: 1 + (name == "random")]) for name in methods)
    return kept_by_method.draw([kept_by_method.Row(name, name, shares) for name in names])


def cost(
    names: Sequence[str] = ("a", "b"),
    *,
    levels: Sequence[float] = LEVELS,
    value: float = 0.8,
    metric: str = "MCC",
) -> Figure:
    points = tuple(
        frontier.Point(level, 100 * (1.01 - level), value, (value - 0.05, value + 0.05))
        for level in (0.0, *levels)
    )
    lines = tuple(frontier.Line(name, points, place) for place, name in enumerate(names))
    title = names[0] if names else ""
    return frontier.draw([frontier.Panel(title, metric, lines)], cost="megabytes")


def curve(names: Sequence[str] = ("a", "b"), *, below: Sequence[float] = RISING) -> Figure:
    points = tuple(zip((0.0, 0.25, 0.5, 1.0, 2.0, 5.0), below))
    return rms_curve.draw([rms_curve.Curve(name, points, at) for at, name in enumerate(names)])


def strip(
    names: Sequence[str] = ("a", "b"), *, levels: Sequence[float] = LEVELS, value: float = 0.8
) -> Figure:
    points = tuple((level, value, 0.9 * value, 1.1 * value) for level in (0.0, *levels))
    lines = tuple(level_strip.Line(name, points, levels[-1:]) for name in names)
    rivals = tuple((f"{name}, dense", 2 * value) for name in names)
    return level_strip.draw(level_strip.Strip((0.0, *levels), lines, lines, 0.03, lines, rivals))


def density(*, levels: Sequence[float] = LEVELS, below: Sequence[float] = RISING) -> Figure:
    cuts = [(level, 0.01 * level) for level in levels]
    return magnitude_density.draw(list(zip(THRESHOLDS, below)), cuts)


def quality(
    names: Sequence[str] = ("a", "b"),
    *,
    levels: Sequence[float] = LEVELS,
    value: float = 0.8,
    panels: int = 1,
) -> Figure:
    points = tuple((level, value, value - 0.05, value + 0.05) for level in (0.0, *levels))
    lines = tuple(Line(name, points) for name in names)
    title = names[0] if names else ""
    metrics = ("accuracy", "MCC")
    return quality_by_level.draw([Panel(title, metrics[i % 2], lines, 0.5) for i in range(panels)])


def predicted(
    names: Sequence[str] = ("a", "b"),
    *,
    levels: Sequence[float] = LEVELS,
    value: float = 20.0,
    guess: float | None = None,
) -> Figure:
    points = tuple((level, value, 0.9 * value, 1.1 * value) for level in (0.0, *levels))
    lines = tuple(Line(name, points, place) for place, name in enumerate(names))
    return quality_by_level.draw([Panel(names[0] if names else "", "perplexity", lines, guess)])


def bytes_(
    names: Sequence[str] = ("32 bits", "16 bits"), *, levels: Sequence[float] = LEVELS,
    value: int = 500_000,
) -> Figure:  # fmt: skip
    lines = tuple(
        size_by_level.Line(name, tuple((level, value) for level in levels)) for name in names
    )
    rivals = tuple((f"{name}, dense", 2 * value) for name in names)
    return size_by_level.draw([size_by_level.Panel(names[0] if names else "", lines, rivals)])


Draw = Callable[[], Figure]
MANY = tuple(f"transformer.h.{i}.attn.c_attn" for i in range(30))
CASES: dict[str, Draw] = {
    "heat map": heat,
    "heat map of hostile names": partial(heat, HOSTILE),
    "heat map of nothing": partial(heat_map.draw, [], [], [], axis="level"),
    "heat map without values": partial(heat, value=None),
    "heat map of zeros": partial(heat, value=0.0),
    "heat map of one level": partial(heat, levels=(0.5,)),
    "heat map of many layers": partial(heat, MANY),
    "frontier": cost,
    "frontier of hostile names": partial(cost, HOSTILE),
    "frontier of nothing": partial(cost, ()),
    "frontier of one level": partial(cost, levels=()),
    "frontier of zeros": partial(cost, value=0.0),
    "frontier of a perplexity": partial(cost, metric="perplexity", value=40.0),
    "frontier of many models": partial(cost, MANY[:12], metric="accuracy"),
    "speed": speed,
    "speed of hostile names": partial(speed, HOSTILE),
    "speed of nothing": partial(speed, ()),
    "speed without points": partial(speed, levels=()),
    "speed of zeros": partial(speed, value=0.0),
    "speed of one level": partial(speed, levels=(0.5,)),
    "speed of many models": partial(speed, MANY[:12]),
    "rms curve": curve,
    "rms curve of hostile names": partial(curve, HOSTILE),
    "rms curve of nothing": partial(curve, ()),
    "rms curve without points": lambda: rms_curve.draw([rms_curve.Curve("a", ())]),
    "rms curve of zeros": partial(curve, below=[0.0] * 6),
    "rms curve of zeros alone": partial(curve, below=[1.0] * 6),
    "rms curve of many models": partial(curve, MANY[:12]),
    "strip": strip,
    "strip of hostile names": partial(strip, HOSTILE),
    "strip of nothing": partial(level_strip.draw, level_strip.Strip(())),
    "strip of zeros": partial(strip, value=0.0),
    "strip of one level": partial(strip, levels=(0.5,)),
    "strip of many levels": partial(strip, levels=tuple(step / 40 for step in range(1, 40))),
    "magnitude density": density,
    "magnitude density of nothing": partial(magnitude_density.draw, [], []),
    "magnitude density of zeros": partial(density, below=[0.0] * 6),
    "magnitude density of zeros alone": partial(density, below=[1.0] * 6),
    "magnitude density of one level": partial(density, levels=(0.5,)),
    "magnitude density without cuts": partial(density, levels=()),
    "quality": quality,
    "quality of hostile names": partial(quality, HOSTILE),
    "quality of no model": partial(quality, ()),
    "quality of zeros": partial(quality, value=0.0, panels=2),
    "quality of one level": partial(quality, levels=(0.5,)),
    "quality of many models": partial(quality, MANY[:12]),
    "perplexity": predicted,
    "perplexity of hostile names": partial(predicted, HOSTILE),
    "perplexity of no model": partial(predicted, ()),
    "perplexity beyond a million": partial(predicted, value=1e12),
    "perplexity of one level": partial(predicted, levels=(0.5,)),
    "perplexity of many models": partial(predicted, MANY[:12]),
    "methods": kept,
    "methods of hostile names": partial(kept, HOSTILE),
    "methods of nothing": partial(kept, ()),
    "methods of zeros": partial(kept, value=0.0),
    "methods of many models": partial(kept, MANY[:12]),
    "size": bytes_,
    "size of hostile names": partial(bytes_, HOSTILE),
    "size of nothing": partial(bytes_, (), levels=()),
    "size of zeros": partial(bytes_, value=0),
    "size of one level": partial(bytes_, levels=(0.5,)),
    "size of many formats": partial(bytes_, MANY[:12]),
}
ONE_OF_EACH = [
    "frontier", "heat map", "magnitude density", "methods", "perplexity", "quality", "rms curve", "size",
    "speed", "strip",
]  # fmt: skip
HOSTILE_CASES = [name for name in CASES if name.endswith("hostile names")]
SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"


def at(places: Any) -> list[float]:
    """A line's places as plain numbers."""
    return [float(place) for place in places]


def faces(draw: Draw) -> dict[str, bytes]:
    with style.styled():
        return style.faces(draw())


def test_every_figure_of_the_site_is_tested_here() -> None:
    modules = {path.stem for path in Path(style.__file__).parent.glob("*.py")}
    tested = {module.__module__ for module in (frontier.draw, heat_map.draw, kept_by_method.draw,
              level_strip.draw, magnitude_density.draw, quality_by_level.draw, rms_curve.draw,
              size_by_level.draw, speed_by_level.draw)}  # fmt: skip
    assert modules - {"__init__", "style", "labels"} == {one.rpartition(".")[2] for one in tested}


@pytest.mark.parametrize("case", CASES)
def test_a_figure_is_an_svg_that_runs_nothing_and_fetches_nothing(case: str) -> None:
    for content in faces(CASES[case]).values():
        root = ElementTree.fromstring(content)
        assert root.tag == f"{SVG}svg"
        for element in root.iter():
            name = element.tag.removeprefix(SVG)
            assert name not in ("script", "foreignObject", "image", "a", "animate", "set")
            for key, value in element.attrib.items():
                assert not key.lower().startswith("on")
                assert key not in ("href", HREF) or value.startswith("#")
                assert not re.search(r"url\((?!#)|javascript:|@import", value)
            if name == "style":
                assert not re.search(r"url\(|@import", element.text or "")


@pytest.mark.parametrize("case", HOSTILE_CASES)
def test_a_name_in_a_figure_is_drawn_as_it_is(case: str) -> None:
    with style.styled():
        figure = CASES[case]()
        style.faces(figure)
        drawn = " ".join(text.get_text() for text in figure.findobj(Text))
        assert not any(text.get_parse_math() for text in figure.findobj(Text) if text.get_text())
    shown = {"Ba$$e a$b_c$d", HOSTILE[0][:23], HOSTILE[7]}  # a long one is cut
    assert {name for name in shown if name in drawn} == shown


@pytest.mark.parametrize("case", ONE_OF_EACH)
def test_the_same_data_give_the_same_bytes(case: str) -> None:
    assert faces(CASES[case]) == faces(CASES[case])


@pytest.mark.parametrize("draw", [cost, speed, partial(cost, metric="perplexity")])
def test_the_last_bits_of_a_place_change_nothing(draw: Callable[..., Figure]) -> None:
    """Processors differ in them where a logarithm is taken."""
    exact = faces(partial(draw, value=0.8))
    for toward in (0.0, 1.0):
        nearly = faces(partial(draw, value=math.nextafter(0.8, toward)))
        assert nearly == exact
    assert faces(partial(draw, value=0.81)) != exact


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        ('x="-0.00000001" y="-0"', 'x="0" y="0"'),
        ('d="M -1.00049999 0.99951"', 'd="M -1 1"'),
        ('d="" transform="translate(9.87654 1) scale(0.015625)"',
         'd="" transform="translate(9.877 1) scale(0.015625)"'),
        ('id="C0_1_0123456789" id="m9876543210" href="#C0_1_0123456789"',
         'id="shape-1" id="shape-2" href="#shape-1"'),
        ("<!-- 0.00001 -0 -->", "<!-- 0.00001 -0 -->"),
        ('id="DejaVuSans-0" fill="#0b62c4"', 'id="DejaVuSans-0" fill="#0b62c4"'),
    ],
)  # fmt: skip
def test_places_are_rounded_and_shapes_are_numbered(drawn: str, expected: str) -> None:
    assert style.same_everywhere(drawn) == expected


def test_a_reader_s_own_matplotlib_settings_change_nothing() -> None:
    before = faces(CASES["quality"])
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "none", "text.parse_math": True}):
        assert faces(CASES["quality"]) == before


@pytest.mark.parametrize("case", ONE_OF_EACH)
def test_the_dark_face_differs_from_the_light_one_in_colours_alone(case: str) -> None:
    found = faces(CASES[case])
    light, dark = (re.split(rb"(#[0-9a-f]{6}\b)", found[face]) for face in ("light", "dark"))
    assert light[::2] == dark[::2]
    assert light[1::2] != dark[1::2]


@pytest.mark.parametrize("case", ONE_OF_EACH)
def test_every_ink_of_the_light_face_has_its_own_on_the_dark_one(case: str) -> None:
    found = faces(CASES[case])
    inks = set(style.FACES["dark"])
    assert not inks & set(re.findall(r"#[0-9a-f]{6}\b", found["dark"].decode()))


def test_a_figure_carries_no_date_and_no_program() -> None:
    content = faces(CASES["size"])["light"].decode()
    assert not re.search(r"\b20\d\d-\d\d|dc:date|dc:creator|Matplotlib v", content)


def test_lines_and_fills_keep_apart_in_black_and_white() -> None:
    assert len(set(style.MARKERS)) == len(style.SERIES)


def test_a_letter_that_the_font_has_not_is_drawn_as_text_without_a_warning() -> None:
    line = level_strip.Line("声音", ((0.1, 1.0, 0.9, 1.1), (0.5, 0.5, 0.4, 0.6)))
    with style.styled():
        drawn = style.faces(level_strip.draw(level_strip.Strip(levels=LEVELS, quality=(line,))))
    assert "声音" in drawn["light"].decode()


def test_no_two_of_many_models_look_alike() -> None:
    looks = [tuple(style.look(place).values()) for place in range(49)]
    assert len(set(looks)) == len(looks)
    assert len({look[0] for look in looks[:7]}) == len({look[1] for look in looks[:7]}) == 7


def drawn(figure: Figure) -> list[str]:
    style.faces(figure)
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_perplexity_stands_on_a_logarithmic_axis_and_its_floor_is_a_uniform_guess() -> None:
    with style.styled():
        figure = predicted(("a",), guess=1000.0)
        (axes,) = figure.axes
        words = drawn(figure)
    assert axes.get_yscale() == "log"
    assert "a fixed answer" not in words
    assert "a uniform guess" in words
    assert {"100", "1\u202f000"} <= set(words)  # from 20 to the guess
    with style.styled():
        assert "a uniform guess" not in drawn(predicted(("a",)))


def test_a_perplexity_above_a_uniform_guess_is_drawn_at_it() -> None:
    """50 stays where it is; 5000, and the end of its interval, say no more than the guess of 1000."""
    points = ((0.1, 50.0, 40.0, 60.0), (0.9, 5000.0, 900.0, 9000.0))
    with style.styled():
        panel = Panel("t", "perplexity", (Line("a", points),), 1000.0)
        (axes,) = quality_by_level.draw([panel]).axes
        (line,) = [x for x in axes.get_lines() if x.get_marker() in style.MARKERS]
        bars: Any = axes.collections[0].get_paths()
    assert at(line.get_ydata()) == [50.0, 1000.0]
    assert [sorted(y for _, y in path.vertices) for path in bars] == [[40.0, 60.0], [900.0, 1000.0]]


@pytest.mark.parametrize(("metric", "floor"), [("accuracy", 0.55), ("MCC", 0.0)])
def test_what_a_fixed_answer_scores_is_drawn_and_named(metric: str, floor: float) -> None:
    with style.styled():
        panel = Panel("t", metric, (Line("a", ((0.5, 0.8, 0.7, 0.9),)),), floor)
        figure = quality_by_level.draw([panel])
        words = drawn(figure)
    heights = [at(line.get_ydata()) for line in figure.axes[0].get_lines()]
    assert [floor, floor] in heights
    assert "a fixed answer" in words


def test_a_line_that_ends_for_want_of_labels_says_from_where() -> None:
    with style.styled():
        line = Line("LED", ((0.1, 0.8, 0.7, 0.9), (0.5, 0.6, 0.5, 0.7)), silent=0.9)
        words = drawn(quality_by_level.draw([Panel("t", "accuracy", (line,), 0.5)]))
    assert "LED\nno label from 90 %" in words


@pytest.mark.parametrize("case", ["quality", "perplexity", "speed", "frontier"])
def test_every_line_is_named_at_its_end_and_there_is_no_legend(case: str) -> None:
    with style.styled():
        figure = CASES[case]()
        words = drawn(figure)
    assert words.count("b") == 1
    assert not figure.legends
    assert not any(axes.get_legend() for axes in figure.axes)


def test_names_of_lines_that_end_at_one_height_stand_apart() -> None:
    with style.styled():
        figure = speed(tuple("abcdef"))
        style.faces(figure)
        heights = sorted(
            text.get_window_extent().y0
            for text in figure.findobj(Text)
            if text.get_text() in "abcdef" and text.get_text() and text.get_position()[0] > 1
        )
        (high,) = {text.get_window_extent().height for text in figure.findobj(Text)
                   if text.get_text() == "f"}  # fmt: skip
    assert len(heights) == 6
    assert all(above - below > 0.8 * high for below, above in pairwise(heights))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], []),
        ([0.2, 0.9], [0.2, 0.9]),  # far enough apart: where they are
        ([0.9, 0.2], [0.9, 0.2]),  # in the order they came
        ([0.5, 0.5], [0.5, 0.6]),  # of equals the first stays
        ([0.5, 0.5, 0.5], [0.5, 0.6, 0.7]),
        ([1.0, 1.0, 0.2], [0.9, 1.0, 0.2]),  # none above the top
        ([0.95, 1.0], [0.9, 1.0]),
    ],
)
def test_names_are_moved_as_little_as_keeps_them_apart(
    places: list[float], expected: list[float]
) -> None:
    assert labels.spread(places, [0.1] * len(places)) == pytest.approx(expected)


def test_a_name_of_two_rows_keeps_its_neighbours_farther_away() -> None:
    """Middles apart by half the height of both: (0.2 + 0.1) / 2."""
    assert labels.spread([0.5, 0.5], [0.2, 0.1]) == pytest.approx([0.5, 0.65])
    assert labels.spread([1.0, 1.0, 1.0], [0.1, 0.2, 0.1]) == pytest.approx([0.7, 0.85, 1.0])


def test_an_axis_of_levels_names_at_most_twelve_the_first_and_the_last_among_them() -> None:
    levels = [place / 40 for place in range(41)]
    axes = Figure().subplots()
    style.level_axis(axes, levels)
    named = [word.get_text() for word in axes.get_xticklabels()]
    assert (named[0], named[-1]) == ("0", "100")
    assert 6 < len(named) <= 12
    style.level_axis(axes, (0.1, 0.5, 0.99))
    assert [word.get_text() for word in axes.get_xticklabels()] == ["10", "50", "99"]


def test_a_model_has_one_colour_in_every_panel_and_many_keep_to_their_level() -> None:
    points = ((0.5, 2.0, 1.9, 2.1), (0.9, 4.0, 3.9, 4.1))
    lines = tuple(speed_by_level.Line(f"{place}", points, place) for place in range(7))
    panels = [speed_by_level.Panel(title, lines, 0.02) for title in ("1 × 32", "8 × 32")]
    with style.styled():
        both = speed_by_level.draw(panels).axes
        shown = [
            [line for line in axes.get_lines() if line.get_marker() in style.MARKERS]
            for axes in both
        ]
    assert [len(some) for some in shown] == [7, 7]
    colours = [[line.get_color() for line in some] for some in shown]
    assert colours[0] == colours[1]
    assert len(set(colours[0])) == 7
    assert all(abs(at(line.get_xdata())[0]) < 0.5 for line in shown[0])


@pytest.mark.parametrize("count", [2, 7, 12])
def test_methods_of_one_level_stand_beside_it_and_not_beside_another(count: int) -> None:
    """Within an eighth of a step, and no two at one place."""
    points = ((0.5, 50.0, 45.0, 55.0), (0.6, 90.0, 80.0, 99.0))
    lines = tuple(Line(f"{place}", points, place) for place in range(count))
    with style.styled():
        (axes,) = quality_by_level.draw([Panel("novel", "perplexity", lines, None)]).axes
        places = [float(at(line.get_xdata())[1]) for line in axes.get_lines()
                  if line.get_marker() in style.MARKERS]  # fmt: skip
    assert len({round(place, 6) for place in places}) == count
    assert all(abs(place - 1) <= 0.125 for place in places)


def test_the_arithmetic_limit_is_one_over_what_is_left_and_the_noise_a_band_around_1() -> None:
    points = tuple((level, 1.0, 0.9, 1.1) for level in (0.5, 0.9, 0.95, 1.0))
    with style.styled():
        panel = speed_by_level.Panel("1 × 32", (speed_by_level.Line("a", points),), 0.25)
        (axes,) = speed_by_level.draw([panel]).axes
    (limit,) = [line for line in axes.get_lines() if len(at(line.get_xdata())) == 3]
    assert at(limit.get_ydata()) == pytest.approx([2, 10, 20])  # none where nothing is left
    (band,) = axes.patches
    low, high = band.get_extents().transformed(axes.transData.inverted()).intervaly
    assert (low, high) == pytest.approx((0.8, 1.25))  # a quarter more, and a quarter more time


def test_a_method_has_the_mean_of_its_seeds_and_a_bar_from_the_least_to_the_greatest() -> None:
    rows = [kept_by_method.Row("a", "b", (("magnitude", (0.75,)), ("random", (0.25, 0.5, 0.0))))]
    with style.styled():
        figure = kept_by_method.draw(rows)
        (axes,) = figure.axes
        (legend,) = figure.legends
    marks = {line.get_label(): at(line.get_xdata()) for line in axes.get_lines()
             if line.get_marker() in style.MARKERS}  # fmt: skip
    assert marks == {"magnitude": [0.75], "random": [0.25]}
    assert [text.get_text() for text in legend.get_texts()] == ["magnitude", "random"]
    assert [0.0, 0.5] in [at(line.get_xdata()) for line in axes.get_lines()]


def test_sizes_start_at_nothing_and_have_the_unpruned_files_beside_them() -> None:
    with style.styled():
        line = size_by_level.Line("masks", ((0.5, 60_000_000), (0.9, 20_000_000)))
        panel = size_by_level.Panel(
            "m", (line,), (("dense", 100_000_000), ("as it came", 30_000_000))
        )
        figure = size_by_level.draw([panel])
        (axes,) = figure.axes
        words = drawn(figure)
    assert axes.get_ylim()[0] == 0
    heights = [at(one.get_ydata()) for one in axes.get_lines()]
    assert heights == [[60.0, 20.0], [100.0, 100.0], [30.0, 30.0]]
    assert {"masks", "dense", "as it came"} <= set(words)


def test_the_frontier_has_the_points_that_no_other_beats() -> None:
    """Of exact scores, by hand: c costs as much as b and scores less; d costs more and scores as much."""
    costs = {"a": (1.0, 0.5), "b": (2.0, 0.9), "c": (2.0, 0.8), "d": (3.0, 0.9), "e": (4.0, 0.95)}
    points = [frontier.Point(0.5, cost, value, (value, value)) for cost, value in costs.values()]
    best = [(point.cost, point.value) for point in frontier.frontier(points, less=False)]
    assert best == [costs["a"], costs["b"], costs["e"]]
    least = [(point.cost, point.value) for point in frontier.frontier(points, less=True)]
    assert least == [costs["a"]]  # of a perplexity less is better


def test_sizes_that_are_all_zero_are_drawn_or_said() -> None:
    with style.styled():
        figure = CASES["size of zeros"]()
        figure.canvas.draw()
        (axes,) = figure.axes
        words = " ".join(text.get_text() for text in figure.findobj(Text))
        low, high = axes.get_ylim()
    assert "all values are 0" in words or (axes.get_yscale() == "linear" and low <= 0 <= high)


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0.0, "0"), (-0.0, "0"), (1e-9, "<1"), (0.004, "<1"), (0.005, "<1"), (0.006, "1"), (0.5, "50"),
     (0.985, "98"), (0.994, "99"), (0.996, ">99"), (1 - 1e-9, ">99"), (1.0, "100")],
)  # fmt: skip
def test_a_cell_says_0_and_100_only_for_none_and_all(fraction: float, shown: str) -> None:
    assert label(fraction) == shown
