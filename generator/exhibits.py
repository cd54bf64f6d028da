"""What a page shows beside its words: tables, kept whole in CSV, and figures. Pure.

A table is HTML, so that it has a caption and its headings a scope; values are escaped as in Markdown.
"""

import csv
import html
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from generator.render import Markdown, escape, escape_controls

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENTITY = re.compile("&#([0-9]+);")
MARKUP = "&<>\"'`"
RECORD = "record"  # the CSV's last column
DIGITS = 10  # of a number in a CSV


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading and how a raw value is shown. Numbers stand right.

    A value of several numbers names its `parts`, which are columns of their own in the CSV, as
    "heading part", or by their own names where the heading is a list of them. What is not `shown` stands
    in the CSV alone. `unit` and `about` describe it there. `look` names how a cell looks, by its value: a
    class of the style sheet.
    """

    heading: str
    form: Callable[[Any], str] = escape
    right: bool = True
    parts: tuple[str, ...] = ()
    shown: bool = True
    unit: str = ""
    about: str = ""
    look: Callable[[Any], str] | None = None

    def headings(self) -> list[str]:
        """The CSV's headings.

        >>> Column("score", parts=("low", "high")).headings(), Column("a, b", parts=("a", "b")).headings()
        (['score low', 'score high'], ['a', 'b'])
        """
        if self.heading == ", ".join(self.parts):
            return list(self.parts)
        return [f"{self.heading} {part}" for part in self.parts] or [self.heading]

    def raw(self, value: Any) -> list[Any]:
        """The CSV's cells."""
        return list(value or [None] * len(self.parts)) if self.parts else [value]


@dataclass(frozen=True)
class Table:
    """A table of raw values: shown as HTML, kept whole in CSV under `name`.

    The first column shown names its row. `records` has for each row the file of the record it is
    made of: the CSV's last column, and what a row says when it has the keyboard's focus. Of many rows
    a page shows those `picked`, by their places; the CSV has them all.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    caption: str = ""
    records: tuple[str, ...] = ()
    picked: tuple[int, ...] | None = None

    def markdown(self) -> Markdown:
        """The table for a page, with a link to its CSV; a sentence where it has no rows."""
        if not self.rows:
            return Markdown(f"Nothing of this has been measured.\n\n{self.link()}")
        return Markdown(f"{self.html()}\n\n{self.link()}")

    def link(self, text: str = "CSV") -> Markdown:
        """A link to its CSV."""
        if self.picked is not None and len(self.picked) < len(self.rows):
            text = f"{text} of all {len(self.rows)} rows"
        return Markdown(f"[{escape(text)}](data/{self.name}.csv){{ .csv }}")

    def html(self) -> Markdown:
        """The table alone, a row a line."""
        shown = [column for column in self.columns if column.shown]
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        first, *rest = shown
        head = f'<th scope="col">{escape(first.heading)}</th>' + "".join(
            f'<th scope="col"{_aligned(column)}>{escape(column.heading)}</th>' for column in rest
        )
        every = list(zip(self.rows, self._records()))
        some = every if self.picked is None else [every[place] for place in self.picked]
        body = "\n".join(self._line(*row) for row in some)
        return Markdown(
            as_html(
                f"<table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
            )
        )

    def of(self, record: str) -> "Table":
        """The same table, every row of it made of this one record."""
        return replace(self, records=(record,) * len(self.rows) if record else ())

    def _records(self) -> Sequence[str]:
        return self.records or ("",) * len(self.rows)

    def _line(self, row: tuple[Any, ...], record: str) -> str:
        pairs = zip(self.columns, row)
        (first, name), *rest = ((column, value) for column, value in pairs if column.shown)
        named = f'<th scope="row">{escape(first.form(name))}</th>'
        others = "".join(
            f"<td{_aligned(c, value)}>{escape(c.form(value))}</td>" for c, value in rest
        )
        focus = f' tabindex="0" title="{escape(record)}"' if record else ""
        return f"<tr{focus}>{named}{others}</tr>"

    def headings(self) -> list[str]:
        """The CSV's headings."""
        own = [plain_value(name) for column in self.columns for name in column.headings()]
        return [*own, RECORD] if self.records else own

    def csv(self) -> str:
        """The raw values, a row a line."""
        return self._csv

    @cached_property
    def _csv(self) -> str:  # for its file, and for what describes that
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.headings())
        for row, record in zip(self.rows, self._records()):
            values = [
                plain_value(part)
                for column, value in zip(self.columns, row)
                for part in (column.raw(value) if column.parts else (value,))
            ]
            writer.writerow([*values, record] if self.records else values)
        return text.getvalue()


def _aligned(column: Column, value: Any = None) -> str:
    looks = column.look(value) if column.look else "" if column.right else "l"
    return f' class="{looks}"' if looks else ""


def as_html(text: str) -> str:
    """Text escaped for Markdown as HTML needs it, where Markdown is not read: what is markup there alone.

    >>> as_html("&#60;b&#62; &#40;a&#41; &#34;")
    '&#60;b&#62; (a) &#34;'
    """
    return ENTITY.sub(
        lambda match: match[0] if chr(int(match[1])) in MARKUP else chr(int(match[1])), text
    )


def spread(count: int, most: int) -> tuple[int, ...] | None:
    """Places of at most so many of a row of things, evenly, the first and the last among them.

    None where they are no more than that.

    >>> spread(3, 8), spread(21, 5)
    (None, (0, 5, 10, 15, 20))
    """
    if count <= most:
        return None
    return tuple(round(step * (count - 1) / (most - 1)) for step in range(most))


def plain_value(value: Any) -> Any:
    """A raw value for a spreadsheet: a text on one line, and none that it would run; a number to ten digits,
    of which an interval means three or four: records have them all.

    What is Markdown is there as a reader sees it, and a member of an enumeration by its value.

    >>> plain_value("=1+1"), plain_value(-1 / 3), plain_value(Markdown("a&#124;b"))
    ("'=1+1", -0.3333333333, 'a|b')
    """
    if isinstance(value, Enum):
        return plain_value(value.value)
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if not isinstance(value, str):
        return value
    return _plain_text(value, isinstance(value, Markdown))


@lru_cache(1 << 12)  # tables repeat their words
def _plain_text(value: str, as_markdown: bool) -> str:
    text = escape_controls(html.unescape(value) if as_markdown else value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn under `name`.

    `title` is its finding, `subtitle` the measure, how many, machine and date; `alt` says to who does
    not see it what the title says and what is drawn.
    """

    name: str
    title: str
    subtitle: str
    alt: str
    draw: Callable[[], "Figure"]

    def markdown(self) -> Markdown:
        """Both faces of the figure, of which the page shows one, below its title."""
        alt = escape(self.alt)
        faces = "".join(
            f"![{alt}](figures/{self.name}-{face}.svg#only-{face})" for face in ("light", "dark")
        )
        said = {"strong": escape(self.title), "small": escape(self.subtitle)}
        words = " ".join(f"<{tag}>{text}</{tag}>" for tag, text in said.items() if text)
        caption = f"<figcaption>{words}</figcaption>"
        return Markdown(f'<figure markdown="span">\n{caption}\n{faces}\n</figure>')


def exhibits(value: Any) -> Iterator[Table | Drawing]:
    """Every table and drawing inside a page's context, in the order of its fields."""
    if isinstance(value, Table | Drawing):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from exhibits(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from exhibits(item)
