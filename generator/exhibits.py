"""What a page shows beside its words: tables, kept whole in CSV, and figures. Pure.

A table is HTML, so that it has a caption and its headings a scope; values are escaped as in Markdown.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from generator.render import Markdown, escape, escape_controls

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORD = "record"  # the CSV's last column
LINK = "]("  # of Markdown: a row's name may be one, and no value that is escaped


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading and how a raw value is shown. Numbers stand right.

    A value of several numbers names its `parts`, which are columns of their own in the CSV, as
    "heading part". What is not `shown` stands in the CSV alone. `unit` and `about` describe it there.
    """

    heading: str
    form: Callable[[Any], str] = escape
    right: bool = True
    parts: tuple[str, ...] = ()
    shown: bool = True
    unit: str = ""
    about: str = ""

    def headings(self) -> list[str]:
        """The CSV's headings."""
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
        head = "".join(
            f'<th scope="col"{_aligned(column)}>{escape(column.heading)}</th>' for column in shown
        )
        every = list(zip(self.rows, self._records()))
        some = every if self.picked is None else [every[place] for place in self.picked]
        body = "\n".join(self._line(*row) for row in some)
        table = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
        caption = escape(self.caption)
        if LINK not in body:
            above = f"<caption>{caption}</caption>" if caption else ""
            return Markdown(f"<table>{above}\n{table}")
        # Links are followed by mkdocs in what it reads as Markdown, where no caption may stand.
        above = f'<p class="caption">{caption}</p>\n\n' if caption else ""
        table = table.replace("<tbody>", '<tbody markdown="block">')
        return Markdown(f'{above}<table aria-label="{caption}" markdown="block">\n{table}')

    def _records(self) -> Sequence[str]:
        return self.records or ("",) * len(self.rows)

    def _line(self, row: tuple[Any, ...], record: str) -> str:
        pairs = zip(self.columns, row)
        cells = [(column, str(column.form(value))) for column, value in pairs if column.shown]
        (first, name), *rest = cells
        linked = ' markdown="span"' if LINK in name else ""
        named = f'<th scope="row"{_aligned(first)}{linked}>{name}</th>'
        others = "".join(f"<td{_aligned(column)}>{text}</td>" for column, text in rest)
        focus = f' tabindex="0" title="{escape(record)}"' if record else ""
        within = ' markdown="block"' if linked else ""
        return f"<tr{focus}{within}>{named}{others}</tr>"

    def headings(self) -> list[str]:
        """The CSV's headings."""
        own = [name for column in self.columns for name in column.headings()]
        return [*own, RECORD] if self.records else own

    def csv(self) -> str:
        """The raw values, a row a line."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.headings())
        for row, record in zip(self.rows, self._records()):
            cells = zip(self.columns, row)
            values = [plain_value(part) for column, value in cells for part in column.raw(value)]
            writer.writerow([*values, record] if self.records else values)
        return text.getvalue()


def _aligned(column: Column) -> str:
    return "" if column.right else ' class="l"'


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
    """A raw value for a spreadsheet: a text on one line, and none that it would run.

    >>> plain_value("=1+1"), plain_value(-0.5)
    ("'=1+1", -0.5)
    """
    if not isinstance(value, str):
        return value
    text = escape_controls(value)
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
        words = f"<strong>{escape(self.title)}</strong> <small>{escape(self.subtitle)}</small>"
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
