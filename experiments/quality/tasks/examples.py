"""Labelled sentences: the rows of a file as texts and their labels. Reads files only."""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.errors import ReportError
from experiments.quality.tasks.rows import Rows, UnfitError, decoded, read_rows

UNLABELLED = {"", "-1"}
WHOLE = re.compile(r"(-?\d+)\.0+")  # a whole number, as a column of floats writes it
SEED = 0  # of the examples that are drawn where not all are asked for


@dataclass(frozen=True, kw_only=True)
class Examples:
    """One split of a task. `references` are indices into `labels`, one a text.

    `clusters` says which examples belong together (minimal pairs), None where none do. `skipped` is
    how many rows of the file had no text or no label.
    """

    split: str
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    references: tuple[int, ...]
    clusters: tuple[str, ...] | None = None
    skipped: int = 0

    def sample(self, limit: int | None) -> "Examples":
        """At most `limit` examples, drawn by a fixed seed, clusters whole; in the order of the file.

        Raises:
            ReportError: where all that were drawn have one label.
        """
        n = len(self.texts)
        if limit is None or limit >= n:
            return self
        rows = sorted(self._drawn(limit))
        found = {self.labels[self.references[row]] for row in rows}
        if len(found) < 2:
            raise ReportError(
                f"{limit} of the {n} examples in {self.split}",
                f"two labels or more among them, drew {', '.join(found) or 'none'} alone",
                "give a higher --limit",
            )
        return replace(
            self,
            split=f"{self.split}, {len(rows)} of {n} drawn by seed {SEED}",
            texts=tuple(self.texts[row] for row in rows),
            references=tuple(self.references[row] for row in rows),
            clusters=tuple(self.clusters[row] for row in rows) if self.clusters else None,
        )

    def _drawn(self, limit: int) -> list[int]:
        """Rows of the first clusters, in an order of chance, that a sample has room for.

        The order is that of digests, the same on every machine; a larger sample holds a smaller one.
        """
        together: dict[str, list[int]] = {}
        for row in range(len(self.texts)):
            together.setdefault(self.clusters[row] if self.clusters else str(row), []).append(row)
        units, drawn = list(together.values()), list[int]()
        for place in sorted(range(len(units)), key=_chance):
            if len(drawn) + len(units[place]) > limit:
                break
            drawn += units[place]
        return drawn


def _chance(place: int) -> bytes:
    return hashlib.sha256(f"{SEED} {place}".encode()).digest()


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
    """Read a labelled file. `labels` fixes the labels and their order; without it they are those that
    the file's schema names, else those found, sorted.

    A file may hold a label's place among `labels`, from 0, instead of its name. Rows without a text or
    a label are skipped and counted. `columns` names the columns of a tsv file without a header.

    Raises:
        ReportError: where the file, a column or a label is not as it must be.
    """
    file = read_rows(path, columns)
    for column in (text, label, *([cluster] if cluster else [])):
        _check_column(path, file, column)
    answers = list(_answers(file, label))
    if labels and all(answer in UNLABELLED or answer.isdecimal() for answer in answers):
        places = {str(place): name for place, name in enumerate(labels)}
        answers = [places.get(answer, answer) for answer in answers]
    known = labels or file.names.get(label) or in_order(set(answers) - UNLABELLED)
    _check_labels(path, answers, known)
    texts = [_cell(row.get(text)) for row in file.rows]
    kept = [
        at for at, answer in enumerate(answers) if texts[at].strip() and answer not in UNLABELLED
    ]
    if not kept:
        raise ReportError(
            f"{path}", "rows with a text and a label, found none", "check the columns"
        )
    return Examples(
        split=split,
        labels=known,
        texts=tuple(texts[at] for at in kept),
        references=tuple(known.index(answers[at]) for at in kept),
        clusters=tuple(str(file.rows[at][cluster]) for at in kept) if cluster else None,
        skipped=len(answers) - len(kept),
    )


def _check_column(path: Path, file: Rows, column: str) -> None:
    if not file.rows:
        raise ReportError(f"{path}", "rows below its header, found none", "give another file")
    if (times := file.columns.count(column)) != 1:
        have = ", ".join(file.columns) if not times else f"{times} of that name"
        remedy = "rename the others" if times else "name the column"
        raise ReportError(f"{path}", f"a column {column!r}, found {have}", remedy)


def _check_labels(path: Path, answers: Sequence[str], known: Sequence[str]) -> None:
    if all(answer in UNLABELLED for answer in answers):
        raise ReportError(f"{path}", "labels, this split is unlabelled", "give a labelled split")
    for number, answer in enumerate(answers, start=1):
        if answer not in known and answer not in UNLABELLED:
            raise ReportError(
                f"{path}, row {number}",
                f"a label of {', '.join(known)}, found {answer!r}",
                "correct or remove the row",
            )
    if len(known) < 2:
        raise ReportError(f"{path}", "two labels or more", "check the label column")


def _answers(file: Rows, column: str) -> Iterator[str]:
    """Each row's label by its name, empty where there is none.

    Whole numbers and booleans are named by their digits, and so are floats where all are whole.
    """
    names = file.names.get(column, ())
    cells = [_cell(row.get(column)).strip() for row in file.rows]
    whole = all(cell in UNLABELLED or WHOLE.fullmatch(cell) for cell in cells)
    for row, cell in zip(file.rows, cells):
        value = row.get(column)
        if names and isinstance(value, int) and 0 <= value < len(names):
            yield names[value]
        else:
            yield cell.partition(".")[0] if whole else cell


def _cell(value: object) -> str:
    """A cell's text: none where it is null or no number, digits alone where it is a whole number."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)


def read_text(path: Path) -> str:
    """A plain text, whole; a byte-order mark is not part of it.

    Raises:
        ReportError: where it cannot be read, or holds nothing.
    """
    try:
        text = io.StringIO(decoded(path.read_bytes()), newline=None).read()
    except FileNotFoundError:
        raise ReportError(f"{path}", "a text file", "check the path") from None
    except UnfitError as error:
        raise ReportError(f"{path}", *error.args) from None
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
