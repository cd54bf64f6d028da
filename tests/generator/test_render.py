"""Values become Markdown: numbers rounded honestly, and names that nothing can run or break."""

import csv
import io
import math
import re
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import markdown
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mkdocs.utils.yaml import yaml_load
from synthetic import HOSTILE

from generator.exhibits import Column, Drawing, Table
from generator.render import (
    Markdown,
    change,
    code,
    environment,
    escape,
    heading,
    interval,
    listed,
    number,
    percent,
    plain,
    points,
    score,
    size,
    whole,
)

ROOT = Path(__file__).parents[2]
SPECIALS = st.text("<>&|`*_[](){}#!-=+~:;.\\\"'/?^$%@,1a é\n\t", max_size=24)
LINES = st.from_regex(
    r"[ ]{0,5}([-+*=?!>#~:]{1,4}|[0-9]{1,3}[.)]|/{3}|\[.\]:?) ?\w{0,8}", fullmatch=True
)
NAMES = st.one_of(SPECIALS, LINES, st.text(max_size=24), st.sampled_from(HOSTILE))


# ---- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "digits", "shown"),
    [
        (0.5, 1, "50.0 %"),
        (0.79123, 1, "79.1 %"),
        (0.99805, 1, "99.8 %"),
        (0.99805, 0, ">99 %"),
        (0.9995, 1, ">99.9 %"),
        (0.9994, 1, "99.9 %"),
        (1 - 1e-12, 1, ">99.9 %"),
        (0.0004, 1, "<0.1 %"),
        (1e-12, 1, "<0.1 %"),
        (0.001, 1, "0.1 %"),
        (0.004, 0, "<1 %"),
        (0.0, 1, "0 %"),
        (-0.0, 1, "0 %"),
        (1.0, 1, "100 %"),
        (1, 0, "100 %"),
        (-0.0004, 1, "0.0 %"),
        (-0.25, 1, "−25.0 %"),
        (2.4, 1, "240.0 %"),
        (None, 1, "–"),
    ],
)
def test_a_percentage_is_rounded_but_0_and_100_are_kept_for_none_and_all(
    fraction: float | None, digits: int, shown: str
) -> None:
    assert percent(fraction, digits) == shown


@given(total=st.integers(1, 10**12), data=st.data(), digits=st.integers(0, 3))
def test_100_percent_means_every_weight_and_0_percent_none(
    total: int, data: st.DataObject, digits: int
) -> None:
    part = data.draw(st.integers(0, total))
    shown = percent(part / total, digits)
    assert (shown == "100 %") == (part == total)
    assert not re.match(r"100\.", shown)
    assert (shown == "0 %") == (part == 0)
    assert not re.match(r"0(\.0+)? %", shown) or part == 0


FORMS = {
    "percent": percent,
    "points": points,
    "accuracy": lambda x: score(x, "accuracy"),
    "mcc": lambda x: score(x, "mcc"),
    "change": lambda x: change(x, "mcc"),
    "number": number,
}


@pytest.mark.parametrize("form", FORMS)
@given(value=st.floats(-1, 1))
@example(-0.0)
@example(-0.0004)
@example(-5e-324)
def test_nothing_is_shown_as_minus_zero(form: str, value: float) -> None:
    shown = FORMS[form](value)
    assert "-" not in shown.replace("e-", "")
    digits = re.search(r"[−+]([\d.]+)", shown)
    assert digits is None or float(digits[1]) != 0


@pytest.mark.parametrize(
    ("difference", "shown"),
    [(-0.0312, "−3.1"), (0.02, "+2.0"), (-0.0004, "0.0"), (0.0004, "0.0"), (0, "0.0"), (None, "–")],
)
def test_a_difference_of_fractions_is_signed_unless_it_rounds_to_zero(
    difference: float | None, shown: str
) -> None:
    assert points(difference) == shown


@pytest.mark.parametrize(
    ("value", "metric", "shown"),
    [
        (0.791, "accuracy", "79.1 %"),
        (0.791, "exact_match", "79.1 %"),
        (1.0, "accuracy", "100 %"),
        (-0.03, "mcc", "−0.030"),
        (-0.0004, "mcc", "0.000"),
        (None, "mcc", "–"),
        (None, "accuracy", "–"),
    ],
)
def test_a_score_is_shown_in_its_metric_s_own_unit(
    value: float | None, metric: str, shown: str
) -> None:
    assert score(value, metric) == shown


@pytest.mark.parametrize(
    ("value", "metric", "shown"),
    [
        (-0.0312, "accuracy", "−3.1"),
        (0.25, "mcc", "+0.250"),
        (-0.25, "mcc", "−0.250"),
        (-0.0004, "mcc", "0.000"),
        (None, "mcc", "–"),
    ],
)
def test_a_difference_of_scores_is_in_points_or_a_signed_correlation(
    value: float | None, metric: str, shown: str
) -> None:
    assert change(value, metric) == shown


def test_an_interval_names_its_unit_once_and_a_missing_one_is_a_dash() -> None:
    assert interval((0.1, 0.25), lambda x: f"{x:.2f}") == "[0.10, 0.25]"
    assert interval((0.9, 1.0), percent) == "[90.0, 100]"
    assert interval((-0.04, 0.01), points) == "[−4.0, +1.0]"
    assert interval(None, percent) == "–"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (999_499, "999 kB"),
        (999_999, "1.00 MB"),
        (1_000_000, "1.00 MB"),
        (3_856_236, "3.86 MB"),
        (999_999_999, "1.00 GB"),
        (7_000_000_000, "7.00 GB"),
        (123_456_789_012, "123 GB"),
        (1_500_000_000_000, "1500 GB"),
    ],
)
def test_bytes_are_shown_in_decimal_units_with_three_digits(count: int, shown: str) -> None:
    assert size(count) == shown


@given(st.integers(0, 10**14))
def test_a_size_always_has_a_unit_and_never_an_exponent(count: int) -> None:
    number_, unit = size(count).split(" ")
    scale = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[unit]
    assert re.fullmatch(r"\d+(\.\d+)?", number_)
    assert math.isclose(float(number_) * scale, count, rel_tol=0.0051)


def test_whole_numbers_are_grouped_by_thin_spaces_that_do_not_break() -> None:
    assert whole(0) == "0"
    assert whole(999) == "999"
    assert whole(84_934_656) == "84\u202f934\u202f656"
    assert whole(2**31) == "2\u202f147\u202f483\u202f648"
    assert whole(None) == "–"


def test_a_number_has_significant_digits_and_none_is_made_up_for_what_is_not_one() -> None:
    assert number(0.02719) == "0.0272"
    assert number(12.3456, digits=4) == "12.35"
    assert number(-0.5) == "−0.5"
    assert number(-0.0) == "0"
    assert number(None) == number(math.nan) == number(math.inf) == "–"


# ---- names ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What a browser makes of a text: its elements in order, their attributes, and its words."""

    elements: list[str]
    attributes: list[tuple[str, str | None]]
    words: str


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    handle_decl = handle_pi = unknown_decl


@cache
def converter() -> markdown.Markdown:
    """Python-Markdown as the site uses it: its extensions, and MkDocs' own."""
    listed_ = yaml_load((ROOT / "mkdocs.yml").read_text())["markdown_extensions"]
    configured = {
        name: options or {}
        for entry in listed_
        for name, options in (entry.items() if isinstance(entry, dict) else [(entry, {})])
    }
    for builtin in ("toc", "tables", "fenced_code"):
        configured.setdefault(builtin, {})
    configured.pop("fenced_code")  # superfences takes its place
    return markdown.Markdown(extensions=list(configured), extension_configs=configured)


def seen(text: str) -> Seen:
    reader = _Reader()
    reader.feed(converter().reset().convert(text))
    reader.close()
    return Seen(reader.elements, reader.attributes, " ".join("".join(reader.text).split()))


def visible(text: str) -> str:
    """A text as a page can show it: one line, no surrogates, no control characters."""
    whole_ = text.encode("utf-8", "replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in whole_).split())


NEEDS = NAMES.filter(visible)
PLACES = {
    "alone in a paragraph": ("{}", ["p"], "{}"),
    "first in a paragraph": ("{} is a name.", ["p"], "{} is a name."),
    "inside a paragraph": ("Before {} after.", ["p"], "Before {} after."),
    "on a paragraph's second line": ("Before\n{}", ["p"], "Before {}"),
    "in a list": ("- {}\n- b", ["ul", "li", "li"], "{} b"),
    "in bold": ("**{}** is", ["p", "strong"], "{} is"),
    "in an admonition": ('!!! warning "W"\n\n    - {}', ["div", "p", "ul", "li"], "W {}"),
    "in a caption": (
        '<figure markdown="span">\n<figcaption>{}</figcaption>\n</figure>',
        ["figure", "figcaption"],
        "{}",
    ),
}


@pytest.mark.parametrize("place", PLACES)
@given(name=NEEDS)
@example("<![")
@example("a|b")
@example("_x_ __init__")
@example("1. x")
@example("    x")
@example("- x")
@example("===")
@example("--- ")
@example('??? note "x"')
@example("x  ")
@example("&amp;")
def test_any_name_is_shown_as_it_is_wherever_it_stands(place: str, name: str) -> None:
    template, elements, shown = PLACES[place]
    found = seen(template.format(escape(name)))
    assert found.elements == elements
    assert found.words == visible(shown.format(name))


@given(name=NEEDS)
@example("a`b")
@example("h.0.attn_*_w_")
def test_any_name_in_a_fixed_width_face_is_one_code_element(name: str) -> None:
    found = seen(f"Before {code(name)} after.")
    assert found.elements == ["p", "code"]
    assert found.words == visible(f"Before {name} after.")


@given(name=NAMES)
@example("</title><script>alert(1)</script>")
@example("__init__")
@example("a_b_c")
def test_any_name_in_a_heading_is_plain_words_of_it(name: str) -> None:
    words = heading(name)
    found = seen(f"# {words}\n\ntext")
    assert found.elements == ["h1", "a", "p"]
    assert found.words == f"{words}¶ text"
    assert not set("<>&\"'`*[](){}|\\") & set(words)
    for word in words.split():
        assert word == "–" or word in visible(name)


@given(name=NAMES, other=NAMES)
@example("a|b", "`c|d`")
@example("", "")
@example("    ", "|")
def test_any_name_in_a_table_leaves_every_row_its_columns(name: str, other: str) -> None:
    columns = (Column("model", right=False), Column("layer", code), Column("n", whole))
    rows = ((name, other, 1), (other, name, 2))
    found = seen(Table("t", columns, rows, caption=name, records=(name, other)).markdown())
    row = ["tr", "th", "td", "code", "td"]
    caption = ["caption"] if name else []
    head = [*caption, "thead", "tr", "th", "th", "th"]
    assert found.elements == ["table", *head, "tbody", *row, *row, "p", "a"]
    titles = [value for key, value in found.attributes if key == "title"]
    assert [visible(one or "") for one in titles] == [visible(x) for x in (name, other) if x]
    keys = {key for key, _ in found.attributes}
    assert keys <= {"class", "scope", "href", "title", "tabindex"}
    shown = visible(f"{name} model layer n {name} {other} 1 {other} {name} 2 CSV")
    assert found.words.replace(" ", "") == shown.replace(" ", "")


def test_a_pipe_in_a_cell_is_text() -> None:
    table = Table("t", (Column("model"), Column("layer", code)), (("a|b", "c|d"),))
    words = seen(table.markdown()).words
    assert words.replace(" ", "") == "modellayera|bc|dCSV"


def test_a_cell_whose_form_leaves_a_name_as_it_is_is_escaped_all_the_same() -> None:
    table = Table("t", (Column("a", str), Column("b", str)), (("<i>", "<b>"),))
    found = seen(table.markdown())
    assert not {"i", "b"} & set(found.elements)
    assert "<i>" in found.words
    assert "<b>" in found.words


TWO = (
    Column("model", right=False),
    Column("n", whole),
    Column("state", right=False, look=lambda value: {"good": "s0"}.get(value, "")),
    Column("hidden", shown=False),
)


def test_a_table_has_a_caption_and_its_headings_a_scope() -> None:
    """By hand: the row's name and numbers have no class, a look names its own."""
    rows = (("a", 1000, "good", "x"), ("b", 2, "bad", "y"))
    assert Table("t", TWO, rows, caption="What it shows").html() == (
        "<table><caption>What it shows</caption>\n"
        '<thead><tr><th scope="col">model</th><th scope="col">n</th>'
        '<th scope="col">state</th></tr></thead>\n<tbody>\n'
        '<tr><th scope="row">a</th><td>1\u202f000</td><td class="s0">good</td></tr>\n'
        '<tr><th scope="row">b</th><td>2</td><td>bad</td></tr>\n'
        "</tbody></table>"
    )
    assert "<caption>" not in Table("t", TWO, rows).html()


def test_a_row_with_a_record_can_be_reached_by_keyboard_and_says_which_record_it_is() -> None:
    rows = (("a", 1, "good", "x"), ("b", 2, "bad", "y"))
    table = Table("t", TWO, rows, records=("recorded/evaluation/a.json", ""))
    first, second = re.findall(r"<tr[^>]*>(?=<th scope=\"row\")", table.html())
    assert first == '<tr tabindex="0" title="recorded/evaluation/a.json">'
    assert second == "<tr>"


def test_a_csv_has_what_is_not_shown_and_the_record_of_each_row_in_its_last_column() -> None:
    rows = (("a", 1, "good", "x"), ("b", 2, "bad", "y"))
    read = csv_rows(Table("t", TWO, rows, records=("one.json", "")))
    assert read == [
        ["model", "n", "state", "hidden", "record"],
        ["a", "1", "good", "x", "one.json"],
        ["b", "2", "bad", "y", ""],
    ]
    assert csv_rows(Table("t", TWO, rows))[0] == ["model", "n", "state", "hidden"]


def test_a_table_without_rows_is_a_sentence_and_has_its_csv() -> None:
    text = Table("t", TWO, (), caption="What it shows").markdown()
    assert "<table" not in text
    assert text == "Nothing of this has been measured.\n\n[CSV](data/t.csv){ .csv }"


@given(name=NAMES)
@example("```\n# x")
@example("~~~")
def test_any_command_in_a_fence_stays_one_line_of_it(name: str) -> None:
    found = seen(f"```sh\n{plain(name)}\ngen list\n```\n\n# after")
    assert found.elements.count("pre") == 1
    assert found.elements[-2:] == ["h1", "a"]
    assert set(found.elements) <= {"div", "pre", "span", "code", "a", "h1"}
    assert found.words.replace(" ", "") == visible(name).replace("`", "'").replace(" ", "") + (
        "genlistafter¶"
    )


def _no_figure() -> None:
    raise AssertionError("nothing is drawn to show a figure")


@given(name=NEEDS)
@example('" onerror="alert(1)')
@example("](x) ![")
def test_any_name_in_a_figure_s_words_stays_in_its_alt_and_caption(name: str) -> None:
    found = seen(Drawing("size", name, name, name, _no_figure).markdown())  # type: ignore[arg-type]
    assert found.elements == ["figure", "figcaption", "strong", "small", "img", "img"]
    assert found.words.replace(" ", "") == 2 * visible(name).replace(" ", "")
    assert {key for key, _ in found.attributes} == {"alt", "src"}
    alts = [value for key, value in found.attributes if key == "alt"]
    assert [visible(alt or "") for alt in alts] == [visible(name)] * 2


def test_a_figure_without_a_finding_has_no_empty_words() -> None:
    found = seen(Drawing("size", "", "bytes", "bytes by level", _no_figure).markdown())  # type: ignore[arg-type]
    assert found.elements == ["figure", "figcaption", "small", "img", "img"]


def test_what_is_markdown_already_is_not_escaped_again() -> None:
    made = Markdown("**a**")
    assert escape(made) is made
    assert escape(escape("a|b")) == escape("a|b")


def test_words_are_joined_into_a_sentence_and_escaped() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert seen(listed(["a|b", "<i>", "c"])).words == "a|b, <i> and c"


# ---- templates --------------------------------------------------------------------------------


def rendered(template: str, **values: object) -> str:
    return environment(lambda *keys: Markdown("")).from_string(template).render(**values)


def test_a_template_escapes_every_value_and_leaves_markdown_alone() -> None:
    assert rendered("{{ a }} {{ b }}", a="<i>", b=Markdown("<i>")) == "&#60;i&#62; <i>"


def test_a_table_set_deeper_in_a_template_is_still_a_table() -> None:
    table = Table("t", (Column("a"), Column("b")), ((1, 2),))
    text = rendered('??? note "All"\n\n    {{ t.markdown() | indent(4) }}\n', t=table)
    assert [e for e in seen(text).elements if e != "p"] == [
        "details", "summary", "table", "thead", "tr", "th", "th", "tbody", "tr", "th", "td", "a",
    ]  # fmt: skip


def test_a_name_set_deeper_in_a_template_is_still_escaped() -> None:
    assert rendered("{{ a | indent(4) }}", a="<i>") == "&#60;i&#62;"


def test_a_template_that_asks_for_what_is_not_there_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        rendered("{{ nothing }}")


# ---- CSV --------------------------------------------------------------------------------------


def csv_rows(table: Table) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.csv())))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\t=", "\r\n@", "\u3000+"])
def test_no_text_in_a_csv_is_run_by_a_spreadsheet(start: str) -> None:
    table = Table("t", (Column("name"),), ((f"{start}HYPERLINK(1)",),))
    ((cell,),) = csv_rows(table)[1:]
    assert cell[0] == "'"
    assert cell.endswith("HYPERLINK(1)")


def test_a_csv_keeps_numbers_raw_to_ten_digits() -> None:
    columns = (
        Column("level", percent),
        Column("score", percent),
        Column("interval", parts=("low", "high")),
    )
    table = Table(
        "t",
        columns,
        ((0.5, -0.123456789, (-0.5, 1 / 3)), (0.9, None, None), (1 << 40, 0.0, (2e-300, 1e22))),
    )
    assert csv_rows(table) == [
        ["level", "score", "interval low", "interval high"],
        ["0.5", "-0.123456789", "-0.5", "0.3333333333"],
        ["0.9", "", "", ""],
        ["1099511627776", "0.0", "2e-300", "1e+22"],
    ]


@given(st.lists(st.tuples(NAMES, st.floats(allow_nan=False)), max_size=4))
def test_any_name_is_one_cell_of_a_csv(rows: list[tuple[str, float]]) -> None:
    table = Table("t", (Column("name"), Column("value")), tuple(rows))
    read = csv_rows(table)[1:]
    ten = [float(f"{value:.9e}") for _, value in rows]
    assert [float(value) for _, value in read] == ten
    for (name, _), (cell, _) in zip(rows, read, strict=True):
        assert visible(cell) in (visible(name), visible(f"'{name}"), f"' {visible(name)}")
        assert cell.isprintable()
