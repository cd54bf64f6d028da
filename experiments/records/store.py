"""Keeping records on disk: one JSON file a cell, replaced atomically and only when it changes.

`Results` is this machine's store, where a record is found by what it depends on (its identity).
`Recorded` is the published report's, where a record is found by its question alone.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.records.cell import Cell
from experiments.records.record import Record
from experiments.records.record_json import decode, encode


@dataclass(frozen=True)
class Damaged:
    """A file that should hold a record and does not."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.path.parent.name}/{self.path.name}: expected a record, found {self.reason}; "
            "it counts as missing"
        )


class Results:
    """This machine's records, found by content. Reads and writes below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[Damaged] = []

    def path(self, cell: Cell, identity: Mapping[str, str]) -> Path:
        """Where the record of this question about exactly these inputs stands."""
        return self.folder / "records" / cell.kind / file_name(cell, identity)

    def get(self, cell: Cell, identity: Mapping[str, str]) -> Record | None:
        """The record, or None where there is none. A damaged one counts as none and is noted."""
        found = read(self.path(cell, identity))
        if isinstance(found, Damaged):
            self.damaged.append(found)
            return None
        if found is None or dict(found.identity) != dict(identity):
            return None
        return found

    def put(self, record: Record) -> Path:
        """Keep a record; the file appears whole or not at all."""
        path = self.path(record.cell, record.identity)
        replace_if_changed(path, encode(record).encode())
        return path


class Recorded:
    """The published report's records, found by question. Reads and writes below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[Damaged] = []

    def path(self, cell: Cell) -> Path:
        """Where the record of this question stands."""
        return self.folder / cell.kind / file_name(cell, {})

    def get(self, cell: Cell) -> Record | None:
        """The record of a question, or None. A damaged one counts as none and is noted."""
        found = read(self.path(cell))
        if isinstance(found, Damaged):
            self.damaged.append(found)
            return None
        return found

    def put(self, record: Record) -> Path:
        """Keep a record under its question, replacing the one before it."""
        path = self.path(record.cell)
        replace_if_changed(path, encode(record).encode())
        return path

    def all(self) -> Iterator[Record]:
        """Every record, in the order of its file's name; damaged ones are noted and left out."""
        for path in sorted(self.folder.glob("*/*.json")):
            found = read(path)
            if isinstance(found, Damaged):
                self.damaged.append(found)
            elif found is not None:
                yield found

    def keep(self, cells: Collection[Cell]) -> None:
        """Remove the records of every other question."""
        for record in list(self.all()):
            if record.cell not in cells:
                self.path(record.cell).unlink(missing_ok=True)


def read(path: Path) -> Record | Damaged | None:
    """The record in a file, None where there is no file, or what is wrong with it."""
    try:
        return decode(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OverflowError, RecursionError) as error:
        return Damaged(path, " ".join(str(error).split())[:200] or "nothing readable")


def file_name(cell: Cell, identity: Mapping[str, str]) -> str:
    """A short name a person can read, made unique by a hash of the whole question.

    >>> cell = Cell(kind="pruning", model="GPT-2 XL", method="magnitude", level=0.5)
    >>> file_name(cell, {}).rsplit("--", 1)[0]
    'gpt-2-xl--magnitude--0.5'
    """
    parts = [cell.model, cell.task, cell.method, cell.level, cell.seed, cell.against]
    words = "--".join(slug(str(part)) for part in parts if part is not None)
    question = json.dumps([asdict(cell), dict(identity)], sort_keys=True)
    digest = hashlib.sha256(question.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{words[:80]}--{digest}.json"


def slug(text: str) -> str:
    """Lower-case letters, digits, dots and single dashes: safe in a file name and a URL.

    >>> slug("</title> GPT-2 XL")
    'title-gpt-2-xl'
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "unnamed"


def replace_if_changed(path: Path, content: bytes) -> bool:
    """Write a file whole, by a temporary file and a rename, unless it holds these bytes already.

    Returns whether the file was written. A kill at any moment leaves the old file or the new one.
    """
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True
