"""A record's JSON: one field a line for people and diffs, checked against the classes when read back.

Pure: text in, records out. A record that does not fit its classes is damaged, and `decode` says where.
"""

import json
import math
import re
import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from experiments.records.cell import Cell
from experiments.records.record import ANSWERS, Provenance, Record
from experiments.records.study import Study

SCHEMA = 1
T = TypeVar("T")


def encode(record: Record) -> str:
    """The JSON text of a record: one field a line, lists of numbers on one line, no NaN."""
    document = {"schema": SCHEMA, **asdict(record)}
    return to_json(document) + "\n"


def to_json(document: object) -> str:
    """JSON for people and diffs: indented, number lists on one line, null for NaN and infinity.

    >>> print(to_json({"a": [1, 2], "b": float("nan")}))
    {
     "a": [1, 2],
     "b": null
    }
    """
    text = json.dumps(without_nan(document), indent=1, ensure_ascii=False, allow_nan=False)
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


def decode(text: str) -> Record:
    """Read a record back.

    Raises:
        ValueError: naming the place where the text is not a record of this schema.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"not a record of schema {SCHEMA}")
    cell = build(Cell, document.get("cell"), "cell")
    if cell.kind not in ANSWERS:
        raise ValueError(f"cell.kind: unknown kind {cell.kind!r}")
    return Record(
        cell=cell,
        identity=build(dict[str, str], document.get("identity"), "identity"),
        provenance=_provenance(document.get("provenance"), cell),
        answer=build(ANSWERS[cell.kind], document.get("answer"), "answer"),
    )


def _provenance(value: object, cell: Cell) -> Provenance | None:
    if value is None and cell.kind == Study.kind:
        return None
    return build(Provenance, value, "provenance")


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
    return cast(T, _build(kind, value, where))


def _build(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
        return None if value is None else _build(options[0], value, where)
    if origin is tuple:
        return _build_tuple(get_args(kind), value, where)
    if origin is not None:
        _expect(isinstance(value, dict), "object", value, where)
        inner = get_args(kind)[1]
        return {key: _build(inner, item, f"{where}.{key}") for key, item in value.items()}
    if is_dataclass(kind):
        return _build_dataclass(cast(Any, kind), value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    exact = isinstance(value, kind) and not (kind is not bool and isinstance(value, bool))
    _expect(exact, kind.__name__, value, where)
    return value


def _build_tuple(inner: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(value, list), "array", value, where)
    kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
    _expect(len(kinds) == len(value), f"{len(kinds)} items", value, where)
    return tuple(_build(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value)))


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    _expect(isinstance(value, dict), "object", value, where)
    hints = get_type_hints(kind)
    names = {item.name for item in fields(kind)}
    if unknown := sorted(set(value) - names):
        raise ValueError(f"{where}.{unknown[0]}: no such field")
    try:
        return kind(**{n: _build(hints[n], v, f"{where}.{n}") for n, v in value.items()})
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _expect(fits: bool, expected: str, value: object, where: str) -> None:
    if not fits:
        raise ValueError(f"{where}: expected {expected}, got {type(value).__name__}")
