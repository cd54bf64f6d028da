"""Labelled sentences read from a file: tsv, csv, jsonl, parquet or Arrow. Reads files only."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from experiments.errors import ReportError

UNLABELLED = {"", "-1"}


@dataclass(frozen=True, kw_only=True)
class Examples:
    """One split of a task. `references` are indices into `labels`, one a text.

    `clusters` says which examples belong together (minimal pairs), None where none do.
    """

    split: str
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    references: tuple[int, ...]
    clusters: tuple[str, ...] | None = None

    def sample(self, limit: int | None) -> "Examples":
        """At most `limit` examples, evenly spaced over the file, which may be sorted by label."""
        n = len(self.texts)
        if limit is None or limit >= n:
            return self
        rows = [index * n // limit for index in range(limit)]
        return Examples(
            split=f"{self.split}, {limit} of {n}",
            labels=self.labels,
            texts=tuple(self.texts[row] for row in rows),
            references=tuple(self.references[row] for row in rows),
            clusters=tuple(self.clusters[row] for row in rows) if self.clusters else None,
        )


def read_examples(
    path: Path,
    *,
    text: str,
    label: str,
    labels: tuple[str, ...] | None = None,
    columns: tuple[str, ...] | None = None,
    cluster: str | None = None,
    split: str = "evaluation",
) -> Examples:
    """Read a labelled file. `labels` fixes the labels and their order; without it they are sorted.

    A file may hold a label's place among `labels`, from 0, instead of its name. `columns` names the
    columns of a tsv file without a header.

    Raises:
        ReportError: where the file, a column, a text or a label is not as it must be.
    """
    rows = read_rows(path, columns)
    for column in (text, label, *([cluster] if cluster else [])):
        if not rows or column not in rows[0]:
            have = ", ".join(rows[0]) if rows else "no rows"
            raise ReportError(f"{path}", f"a column {column!r}, found {have}", "name the column")
    answers = [_label(row.get(label)) for row in rows]
    if all(answer in UNLABELLED for answer in answers):
        raise ReportError(f"{path}", "labels, this split is unlabelled", "give a labelled split")
    if labels and all(answer in UNLABELLED or answer.isdecimal() for answer in answers):
        places = {str(place): name for place, name in enumerate(labels)}
        answers = [places.get(answer, answer) for answer in answers]
    known = labels or in_order(set(answers) - UNLABELLED)
    for number, (row, answer) in enumerate(zip(rows, answers), start=1):
        if not str(row.get(text) or "").strip():
            raise ReportError(f"{path}, row {number}", "a text, found none", "remove the row")
        if answer in UNLABELLED:
            raise ReportError(f"{path}, row {number}", "a label, found none", "remove the row")
        if answer not in known:
            raise ReportError(
                f"{path}, row {number}",
                f"a label of {', '.join(known)}, found {answer!r}",
                "correct or remove the row",
            )
    if len(known) < 2:
        raise ReportError(f"{path}", "two labels or more", "check the label column")
    return Examples(
        split=split,
        labels=known,
        texts=tuple(str(row[text]) for row in rows),
        references=tuple(known.index(answer) for answer in answers),
        clusters=tuple(str(row[cluster]) for row in rows) if cluster else None,
    )


def read_text(path: Path) -> str:
    """A plain text, whole; a byte-order mark is not part of it.

    Raises:
        ReportError: where it cannot be read, or holds nothing.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ReportError(f"{path}", "a text file", "check the path") from None
    except ValueError as error:
        raise ReportError(f"{path}", f"text in UTF-8 ({error})", "convert it") from None
    if not text.strip():
        raise ReportError(f"{path}", "a text, found none", "give another file")
    return text


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels sorted: by value where all are whole numbers, else by name.

    >>> in_order({"10", "9", "0"}), in_order({"b", "a"})
    (('0', '9', '10'), ('a', 'b'))
    """
    names = sorted(labels)
    return tuple(sorted(names, key=int) if all(name.isdecimal() for name in names) else names)


def read_rows(path: Path, columns: Sequence[str] | None = None) -> list[Mapping[str, Any]]:
    """The rows of a file as mappings, by its suffix. A byte-order mark is not part of a name.

    A tsv has no quoting: a stray quotation mark is a character like another. `columns` names those
    of a tsv without a header.
    """
    readers: dict[str, Callable[[bytes], Iterable[Mapping[str, Any]]]] = {
        ".tsv": partial(_tsv, columns=columns),
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".parquet": _parquet,
        ".arrow": _arrow,
    }
    reader = readers.get(path.suffix)
    if reader is None:
        raise ReportError(f"{path}", f"a file of {', '.join(readers)}", "convert or rename it")
    try:
        return list(reader(path.read_bytes()))
    except FileNotFoundError:
        raise ReportError(f"{path}", "a labelled file", "check the path") from None
    except (ValueError, csv.Error) as error:
        raise ReportError(f"{path}", f"a {path.suffix[1:]} file ({error})", "repair it") from None


def _tsv(content: bytes, columns: Sequence[str] | None) -> Iterable[Mapping[str, Any]]:
    lines = io.StringIO(content.decode("utf-8-sig"), newline=None)
    return _whole(csv.DictReader(lines, columns, delimiter="\t", quoting=csv.QUOTE_NONE))


def _csv(content: bytes) -> Iterable[Mapping[str, Any]]:
    lines = io.StringIO(content.decode("utf-8-sig"), newline="")
    return _whole(csv.DictReader(lines, strict=True))


def _whole(reader: "csv.DictReader[str]") -> Iterable[Mapping[str, Any]]:
    """Its rows; one with a field too many is damaged: a text may have been cut in two."""
    for row in reader:
        if extra := row.pop(None, None):
            have = f"{len(row) + len(extra)} fields for {len(row)} columns"
            raise ValueError(f"line {reader.line_num} has {have}")
        yield row


def _jsonl(content: bytes) -> Iterable[Mapping[str, Any]]:
    for line in content.decode("utf-8-sig").split("\n"):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("a line that is no object")
            yield row


def _parquet(content: bytes) -> Iterable[Mapping[str, Any]]:
    import pyarrow.parquet

    rows: list[Mapping[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    return rows


def _arrow(content: bytes) -> Iterable[Mapping[str, Any]]:
    import pyarrow.ipc

    rows: list[Mapping[str, Any]] = pyarrow.ipc.open_stream(content).read_all().to_pylist()
    return rows


def _label(value: object) -> str:
    """A label's name; whole numbers and booleans are named by their digits."""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return "" if value is None else str(value).strip()
