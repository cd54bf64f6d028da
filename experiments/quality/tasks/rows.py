"""The rows of a file: tsv, csv, jsonl, parquet or Arrow, by its suffix. Reads files only."""

import codecs
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.errors import ReportError

if TYPE_CHECKING:
    import pyarrow

Row = Mapping[str, Any]
BETWEEN = {"commas": ",", "tabs": "\t", "semicolons": ";", "bars": "|"}
PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")
NO_TEXT = {  # how content begins that is no text in UTF-8, and what to do about it
    b"\xff\xfe": ("UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("UTF-16", "save it as UTF-8"),
    b"\x1f\x8b": ("gzip", "unpack it"),
    b"PK\x03\x04": ("zip, as spreadsheets are", "unpack it, or save the sheet as csv"),
    b"PAR1": ("parquet", "name it .parquet"),
    b"ARROW1": ("Arrow", "name it .arrow"),
}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A file's rows. `columns` are the names it states, one of which may stand twice.

    `names` has, by column, what its whole numbers from 0 mean, where the file's schema says so.
    """

    columns: tuple[str, ...]
    rows: Sequence[Row]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class UnfitError(Exception):
    """Content that is not as its reader needs it: what was expected, and what to do."""


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Rows:
    """The rows of a file. A byte-order mark is not part of a name.

    A tsv has no quoting: a stray quotation mark is a character like another. `columns` names those
    of a tsv without a header.

    Raises:
        ReportError: where there is no such file, or it cannot be read, and why.
    """
    readers: dict[str, Callable[[bytes], Rows]] = {
        ".tsv": partial(_tsv, columns=columns),
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".parquet": _parquet,
        ".arrow": _arrow,
    }
    reader = readers.get(path.suffix)
    if reader is None:
        remedy = "unpack it" if path.suffix in PACKED else "convert or rename it"
        raise ReportError(f"{path}", f"a file of {', '.join(readers)}", remedy)
    try:
        content = path.read_bytes()
        if not content.removeprefix(codecs.BOM_UTF8).strip():
            raise UnfitError("rows, found an empty file", "give another file")
        return reader(content)
    except FileNotFoundError:
        raise ReportError(f"{path}", "a labelled file", "check the path") from None
    except UnfitError as error:
        raise ReportError(f"{path}", *error.args) from None
    except (ValueError, csv.Error) as error:
        raise ReportError(f"{path}", f"a {path.suffix[1:]} file ({error})", "repair it") from None


def decoded(content: bytes) -> str:
    """Content as text: UTF-8 is all that is read.

    Raises:
        UnfitError: where it is something else, and what that is.
        ValueError: where it is no UTF-8.
    """
    for start, (kind, remedy) in NO_TEXT.items():
        if content.startswith(start):
            raise UnfitError(f"text in UTF-8, found {kind}", remedy)
    if (at := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, at) + 1
        raise UnfitError(
            f"text in UTF-8, found a NUL byte in line {line}",
            "save it as UTF-8 if it is UTF-16, else remove the byte",
        )
    return content.decode("utf-8-sig")


def _tsv(content: bytes, columns: Sequence[str] | None) -> Rows:
    lines = io.StringIO(decoded(content), newline=None)
    return _whole(lines, "tabs", columns, quoting=csv.QUOTE_NONE)


def _csv(content: bytes) -> Rows:
    return _whole(io.StringIO(decoded(content), newline=""), "commas", None, strict=True)


def _whole(lines: io.StringIO, between: str, columns: Sequence[str] | None, **how: Any) -> Rows:
    """The rows of a table. One with a field too many or too few is damaged: a text was cut in two."""
    csv.field_size_limit(max(csv.field_size_limit(), len(lines.getvalue())))  # of a cell, 131,072
    reader = csv.reader(lines, delimiter=BETWEEN[between], **how)
    header = tuple(columns or next(reader, ()))
    if len(header) == 1:
        _refuse_other_delimiter(header[0], between)
    rows = []
    for fields in reader:
        if not any(map(str.strip, fields)):
            continue  # an empty line
        if len(fields) != len(header):
            have = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
            raise ValueError(f"line {reader.line_num} has {have} for {len(header)} columns")
        rows.append(dict(zip(header, fields)))
    return Rows(columns=header, rows=rows)


def _refuse_other_delimiter(header: str, between: str) -> None:
    for other, mark in BETWEEN.items():
        if mark in header:
            raise UnfitError(
                f"{between} between the columns, found {other}", f"save it with {between}"
            )


def _jsonl(content: bytes) -> Rows:
    rows = []
    for line in decoded(content).split("\n"):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("a line that is no object")
            rows.append(row)
    return Rows(columns=tuple(dict.fromkeys(key for row in rows for key in row)), rows=rows)


def _parquet(content: bytes) -> Rows:
    import pyarrow.parquet

    return _of_table(pyarrow.parquet.read_table(io.BytesIO(content)))


def _arrow(content: bytes) -> Rows:
    """Arrow's stream, as `datasets` keeps it, or its file, as others do."""
    import pyarrow.ipc

    whole = content.startswith(b"ARROW1")
    opened = (pyarrow.ipc.open_file if whole else pyarrow.ipc.open_stream)(content)
    return _of_table(opened.read_all())


def _of_table(table: "pyarrow.Table") -> Rows:
    rows: list[Row] = table.to_pylist()
    return Rows(
        columns=tuple(table.column_names), rows=rows, names=_class_labels(table.schema.metadata)
    )


def _class_labels(metadata: Mapping[bytes, bytes] | None) -> dict[str, tuple[str, ...]]:
    """By column the names that `datasets` keeps in a schema's metadata for its type ClassLabel."""
    stated = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    try:
        features = stated.get("info", {}).get("features", {})
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (AttributeError, KeyError, TypeError):
        raise ValueError("names of labels that are not as `datasets` writes them") from None
