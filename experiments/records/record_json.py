"""A record's JSON: one field a line for people and diffs, checked against the classes when read back.

Pure: text in, records out. Its second line is a checksum of all that follows, so that no changed digit is
read as a measurement. A record that does not fit its classes is damaged, and `decode` says where.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from experiments.records.cell import Cell
from experiments.records.record import ANSWERS, Provenance, Record
from experiments.records.study import Study

SCHEMA = 2
UNSUMMED = 1  # the schema before records had a checksum; its fields are a record's still
T = TypeVar("T")


def encode(record: Record) -> str:
    """The JSON text of a record: one field a line, lists of numbers on one line.

    Raises:
        ValueError: naming the place of a number that is not finite.
    """
    document = asdict(record)
    try:
        text = _laid_out(document) + "\n"
    except ValueError:
        refuse_non_finite(document)
        raise
    body = text.removeprefix("{\n")
    return _head(body.encode()) + body


def _head(body: bytes) -> str:
    """How a record begins whose other lines are these."""
    checksum = hashlib.sha256(body).hexdigest()
    return f'{{\n "schema": {SCHEMA},\n "checksum": "{checksum}",\n'


def to_json(document: object) -> str:
    """JSON for people and diffs: indented, number lists on one line, null for NaN and infinity.

    >>> print(to_json({"a": [1, 2], "b": float("nan")}))
    {
     "a": [1, 2],
     "b": null
    }
    """
    return _laid_out(without_nan(document))


def _laid_out(document: object) -> str:
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=dict)
    return re.sub(r"\[\n\s*(-?\d[^\[\]{}\"]*?)\n\s*\]", _on_one_line, text)


def _on_one_line(match: re.Match[str]) -> str:
    return f"[{', '.join(part.strip() for part in match[1].split(','))}]"


def without_nan(value: object) -> object:
    """The same JSON value with null in the place of what is not a number."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def refuse_non_finite(value: object, where: str = "") -> None:
    """Raise a ValueError that names the place of the first NaN or infinity in a JSON value.

    >>> refuse_non_finite({"answer": {"losses": [0.5, float("nan")]}})
    Traceback (most recent call last):
    ValueError: answer.losses[1]: expected a finite number, got nan
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            refuse_non_finite(item, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            refuse_non_finite(item, f"{where}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: expected a finite number, got {value}")


def decode(text: str | bytes) -> Record:
    """Read a record back.

    Raises:
        ValueError: naming the place where the text is not a record of this schema.
    """
    content = text.encode() if isinstance(text, str) else text
    document = _parsed(content)
    schema = document.pop("schema", None) if isinstance(document, dict) else None
    if type(schema) is not int or schema < UNSUMMED:
        raise ValueError(f"not a record of schema {SCHEMA}")
    if schema > SCHEMA:
        raise ValueError(f"schema {schema}, written by a newer version than this one, of {SCHEMA}")
    if schema == SCHEMA:
        document.pop("checksum", None)
        head, _, body = content.partition(b'",\n')
        if head + b'",\n' != _head(body).encode():
            raise ValueError("bytes that are not those its checksum is of")
    cell = build(Cell, document.pop("cell", None), "cell")
    if cell.kind not in ANSWERS:
        raise ValueError(f"cell.kind: unknown kind {cell.kind!r}")
    stated = document.pop("provenance", None)
    unmeasured = stated is None and cell.kind == Study.kind
    record = Record(
        cell=cell,
        identity=build(dict[str, str], document.pop("identity", None), "identity"),
        provenance=None if unmeasured else build(Provenance, stated, "provenance"),
        answer=build(ANSWERS[cell.kind], document.pop("answer", None), "answer"),
    )
    if document:
        raise ValueError(f"{min(document)}: no such field")
    return record


def _parsed(text: bytes) -> Any:
    from msgspec import DecodeError
    from msgspec import json as strict

    try:
        return strict.decode(text)
    except DecodeError:
        refuse_non_finite(json.loads(text))  # which reads NaN, and says where JSON is malformed
        raise


def build(kind: type[T], value: object, where: str) -> T:
    """Build a value of `kind` (a class, or a generic of them) from its JSON form, or say where
    it does not fit.

    >>> from experiments.records.inspection import Count
    >>> build(Count, {"count": 4, "zeros": 1}, "totals")
    Count(count=4, zeros=1)
    >>> build(Count, {"count": "4", "zeros": 1}, "totals")
    Traceback (most recent call last):
    ValueError: totals.count: expected int, got str
    """
    from msgspec import ValidationError, convert

    try:
        found = convert(value, kind)
    except ValidationError as error:
        fault, _, place = str(error).replace("`", "").partition(" - at $")
        raise ValueError(f"{where}{place}: {fault[0].lower()}{fault[1:]}") from None
    _refuse_unknown(value, found, where)
    return found


def _refuse_unknown(value: Any, built: Any, where: str) -> None:
    """Raise where an object of the JSON has a field that the class built from it has not."""
    if type(value) is list and value and type(value[0]) is dict:
        for index, (item, one) in enumerate(zip(value, built)):
            _refuse_unknown(item, one, f"{where}[{index}]")
    elif type(value) is dict and type(built) is not dict:
        known = vars(built)
        if unknown := value.keys() - known.keys():
            raise ValueError(f"{where}.{min(unknown)}: no such field")
        for name, item in value.items():
            if type(item) in (dict, list):
                _refuse_unknown(item, known[name], f"{where}.{name}")
