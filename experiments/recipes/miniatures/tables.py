"""Reads and writes the tab-separated tables of the miniatures: a header, no quoting, UTF-8, LF.

Touches disk.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path


def line(fields: Sequence[str]) -> str:
    r"""One line of a table; a field that holds a tab or a line break is refused.

    >>> line(["1", "Good."])
    '1\tGood.\n'
    """
    for field in fields:
        if any(mark in field for mark in "\t\n\r"):
            raise ValueError(
                f"a tab or line break in {field!r}: the table has no quoting, take it out first"
            )
    return "\t".join(fields) + "\n"


def write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table, making its folder if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line(columns) + "".join(map(line, rows)), encoding="utf-8", newline="\n")


def read(path: Path) -> list[dict[str, str]]:
    """Every line of a table, by column name."""
    header, *rows = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    columns = header.split("\t")
    return [dict(zip(columns, row.split("\t"), strict=True)) for row in rows]
