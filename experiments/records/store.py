"""Keeping records on disk: one JSON file a cell, replaced atomically and only when it changes.

`Results` is this machine's store, where a record is found by what it depends on (its identity).
`Recorded` is the published report's, where a record is found by its question alone. What stands in a
file is decoded once: while its bytes are those that were, nobody decodes them before they are looked at.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from experiments.errors import FULL, ReportError, no_room
from experiments.records.cell import Cell
from experiments.records.record import Record
from experiments.records.record_json import decode, encode

READABLE = ("model", "task", "method", "level", "seed", "against")  # in a file's name
in_order = json.JSONEncoder(sort_keys=True).encode
PARTIAL = ".partial"  # of a file that is being written, after its process
ASIDE = ".damaged"  # in the place of .json: what could not be read, for whoever wants to know why
UNREADABLE = (ValueError, OverflowError, RecursionError)


@dataclass(frozen=True, eq=False)
class Stored:
    """A record as its file holds it, decoded where it is looked at.

    `asked` is the question that its file's name stands for. With an `identity`, the record was found by
    content, and is given back under the present title of its model.
    """

    content: bytes
    asked: Cell | None = None
    identity: Mapping[str, str] | None = None

    @property
    def cell(self) -> Cell:
        """The question it answers."""
        return self.asked or self.record.cell

    @cached_property
    def digest(self) -> str:
        """The SHA-256 digest of its file."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def record(self) -> Record:
        """The record itself.

        Raises:
            ValueError: saying what the file holds instead.
        """
        found = decode(self.content)
        asked = self.asked or found.cell
        if self.identity is None:
            same = found.cell == asked
        else:
            titled = replace(found.cell, model=asked.model)
            same = titled == asked and found.identity == self.identity
        if not same:
            raise ValueError("the answer to another question")
        return replace(found, cell=asked)


class Memory(dict[str, Any]):
    """What was once learnt of files, kept in a file of its own; empty where that is lost or damaged."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        try:
            loaded = json.loads(path.read_bytes()) if path else {}
        except (OSError, ValueError):
            loaded = {}
        super().__init__(loaded if isinstance(loaded, dict) else {})
        self.loaded = dict(self)

    def save(self) -> None:
        """Write down what is new, if a place for it was given; one that takes nothing costs time alone."""
        if self.path is not None and self != self.loaded:
            with suppress(OSError, ReportError):
                replace_if_changed(self.path, json.dumps(self, indent=0, sort_keys=True).encode())
            self.loaded = dict(self)


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
    """This machine's records, found by content. Reads and writes below `folder`.

    `sound` remembers the digests of files that were decoded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[Damaged] = []
        self.sound = Memory(folder / "sound.json")

    def path(self, cell: Cell, identity: Mapping[str, str]) -> Path:
        """Where the record of this question about exactly these inputs stands, whatever its model's title."""
        return Path(f"{self.folder}/records/{cell.kind}/{kept_name(cell, identity)}")

    def find(self, cell: Cell, identity: Mapping[str, str]) -> Stored | None:
        """The record, or None where there is none. A damaged one counts as none and is noted."""
        return _find(self.path(cell, identity), self.sound, self.damaged, cell, identity)

    def get(self, cell: Cell, identity: Mapping[str, str]) -> Record | None:
        """The same, decoded."""
        found = self.find(cell, identity)
        return found.record if found else None

    def put(self, record: Record) -> Path:
        """Keep a record; the file appears whole or not at all.

        What stands in its place and cannot be read as this one's record is set aside beside it.
        """
        path = self.path(record.cell, record.identity)
        damaged: list[Damaged] = []
        _find(path, Memory(), damaged, record.cell, record.identity)
        for one in damaged:
            one.path.replace(path.with_suffix(ASIDE))
        replace_if_changed(path, encode(record).encode())
        return path


class Recorded:
    """The published report's records, found by question. Reads and writes below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: list[Damaged] = []

    def apart(self, study: str) -> "Recorded":
        """The records of a study that is published by itself, below these."""
        return Recorded(self.folder / study)

    def path(self, cell: Cell) -> Path:
        """Where the record of this question stands."""
        return Path(f"{self.folder}/{cell.kind}/{file_name(cell, {})}")

    def find(self, cell: Cell, sound: Memory) -> Stored | None:
        """The record of a question, or None. A damaged one counts as none and is noted."""
        return _find(self.path(cell), sound, self.damaged, cell)

    def get(self, cell: Cell) -> Record | None:
        """The same, decoded."""
        found = self.find(cell, Memory())
        return found.record if found else None

    def put(self, record: Record) -> Path:
        """Keep a record under its question, replacing the one before it."""
        path = self.path(record.cell)
        replace_if_changed(path, encode(record).encode())
        return path

    def every(self) -> Iterator[Stored]:
        """Every record, in the order of its file's name; damaged ones are noted and left out."""
        for path in sorted(self.folder.glob("*/*.json")):
            if found := _find(path, Memory(), self.damaged):
                yield found

    def all(self) -> Iterator[Record]:
        """The same, decoded."""
        return (found.record for found in self.every())

    def keep(self, cells: Collection[Cell]) -> None:
        """Remove the records of every other question."""
        for record in list(self.all()):
            if record.cell not in cells:
                self.path(record.cell).unlink(missing_ok=True)


def _find(
    path: Path,
    sound: Memory,
    damaged: list[Damaged],
    asked: Cell | None = None,
    identity: Mapping[str, str] | None = None,
) -> Stored | None:
    """What a file holds; None where there is no file, or, which is noted, no record in it."""
    try:
        found = Stored(path.read_bytes(), asked, identity)
    except FileNotFoundError:
        return None
    except OSError as error:
        damaged.append(Damaged(path, f"what cannot be read ({error.strerror})"))
        return None
    name = f"{path.parent.name}/{path.name}"
    if sound.get(name) == found.digest:
        return found
    try:
        _ = found.record
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200] or "nothing readable"
        damaged.append(Damaged(path, reason))
        return None
    sound[name] = found.digest
    return found


def file_name(cell: Cell, identity: Mapping[str, str]) -> str:
    """A short name a person can read, made unique by a hash of the whole question.

    >>> cell = Cell(kind="pruning", model="GPT-2 XL", method="magnitude", level=0.5)
    >>> file_name(cell, {}).rsplit("--", 1)[0]
    'gpt-2-xl--magnitude--0.5'
    """
    return _file_name(vars(cell), identity)


def kept_name(cell: Cell, identity: Mapping[str, str]) -> str:
    """The name of what is found by content, whatever its model's title."""
    return _file_name(vars(cell) | {"model": None}, identity)


def _file_name(question: Mapping[str, Any], identity: Mapping[str, str]) -> str:
    words = "--".join(slug(str(question[key])) for key in READABLE if question[key] is not None)
    text = in_order([question, dict(identity)])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return "--".join(filter(None, [words[:80], f"{digest}.json"]))


@lru_cache(1 << 12)
def slug(text: str) -> str:
    """Lower-case letters, digits, dots and single dashes: safe in a file name and a URL.

    >>> slug("</title> GPT-2 XL")
    'title-gpt-2-xl'
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.") or "unnamed"


def replace_if_changed(path: Path, content: bytes) -> bool:
    """Write a file whole, by a temporary file and a rename, unless it holds these bytes already.

    Returns whether the file was written. A kill at any moment leaves the old file or the new one.

    Raises:
        ReportError: where the disk is full.
    """
    if path.is_file() and path.read_bytes() == content:
        return False
    try:
        _replace(path, content)
    except OSError as error:
        if error.errno in FULL:
            raise no_room(f"{path}", len(content)) from error
        raise
    return True


def sweep(folder: Path) -> None:
    """Remove what processes that no longer live had begun to write in the folders of a folder."""
    for path in folder.glob(f"*/.*{PARTIAL}"):
        if (owner := path.name[1:].partition("-")[0]).isdigit() and not _lives(int(owner)):
            path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{os.getpid()}-", suffix=PARTIAL)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:  # of the temporary file, which nobody knows
        Path(name).unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror, str(path)) from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
