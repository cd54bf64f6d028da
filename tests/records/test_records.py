"""Records: whatever can be answered survives its JSON form, and damage is told by its place."""

import json
import math
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.records.cell import Cell
from experiments.records.record import ANSWERS, Machine, Provenance, Record
from experiments.records.record_json import SCHEMA, UNSUMMED, decode, encode, to_json
from experiments.records.store import UNREADABLE
from experiments.records.study import Study

FINITE = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, FINITE)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@pytest.mark.parametrize("kind", ANSWERS)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_record_of_every_kind_survives_its_json_form(kind: str, data: st.DataObject) -> None:
    record = Record(
        cell=data.draw(st.builds(Cell, kind=st.just(kind))),
        identity=data.draw(st.dictionaries(st.text(), st.text(), max_size=3)),
        provenance=data.draw(st.from_type(Provenance)),
        answer=data.draw(st.from_type(ANSWERS[kind])),
    )
    text = encode(record)
    assert decode(text) == record
    assert encode(decode(text)) == text


@given(JSON)
def test_our_layout_of_json_is_the_same_json(value: object) -> None:
    assert json.loads(to_json(value)) == value


def test_what_is_not_a_number_becomes_null() -> None:
    value = {"a": [math.nan, 1, (math.inf, -math.inf)], "b": {"c": math.nan}}
    assert json.loads(to_json(value)) == {"a": [None, 1, [None, None]], "b": {"c": None}}


def test_lists_of_numbers_stand_on_one_line() -> None:
    assert to_json([1, -2.5, 3]) == "[1, -2.5, 3]"
    assert to_json(["a, b", 1]) == '[\n "a, b",\n 1\n]'
    assert to_json([[1, 2], [3]]) == "[\n [1, 2],\n [3]\n]"


STUDY = Study(title="t", levels=(0.5,), methods=(), tasks=(), models=())
PROVENANCE = Provenance(
    date="2026-01-01",
    command="gen build",
    seconds=1.0,
    machine=Machine(processor="p", cores=2, threads=1, memory_bytes=8, system="Linux"),
    versions={},
)


ROW = {"name": "n", "family": "f", "checkpoint": "c"}


def changed(where: str, value: Any) -> str:
    """A good record's text with one place replaced, or taken away where the value is `...`."""
    record = Record(
        cell=Cell(kind="study", model="m"), identity={}, provenance=PROVENANCE, answer=STUDY
    )
    document = {**json.loads(encode(record)), "schema": UNSUMMED}
    del document["checksum"]
    *path, last = where.split(".")
    inner = document
    for key in path:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("schema", SCHEMA + 1, r"schema 3, written by a newer version than this one, of 2"),
        ("schema", ..., "not a record of schema 2"),
        ("schema", True, "not a record of schema 2"),
        ("schema", "2", "not a record of schema 2"),
        ("schema", SCHEMA, "bytes that are not those its checksum is of"),
        ("checksum", "0" * 64, "checksum: no such field"),
        ("colour", "red", "colour: no such field"),
        ("cell", ..., "cell: expected object, got null"),
        ("cell.kind", "guess", "cell.kind: unknown kind 'guess'"),
        ("cell.model", 3, "cell.model: expected str, got int"),
        ("cell.level", "0.5", r"cell.level: expected float \| null, got str"),
        ("cell.level", True, r"cell.level: expected float \| null, got bool"),
        ("cell.level", math.nan, "cell.level: expected a finite number, got nan"),
        ("cell.seed", 1.0, r"cell.seed: expected int \| null, got float"),
        ("cell.seed", True, r"cell.seed: expected int \| null, got bool"),
        ("cell.colour", "red", "cell.colour: no such field"),
        ("cell.model", ..., "cell: object missing required field model"),
        ("identity", [], "identity: expected object, got array"),
        ("identity", {"version": 1}, r"identity\[...\]: expected str, got int"),
        ("provenance.machine.cores", None, "provenance.machine.cores: expected int, got null"),
        ("provenance.machine.speed", 3, "provenance.machine.speed: no such field"),
        ("provenance.seconds", None, "provenance.seconds: expected float, got null"),
        ("answer.levels", 0.5, "answer.levels: expected array, got float"),
        ("answer.levels", [0.5, "x"], r"answer.levels\[1\]: expected float, got str"),
        ("answer.levels", [0.5, -math.inf], r"answer.levels\[1\]: expected a finite number, got -inf"),
        ("answer.models", [{}], r"answer.models\[0\]: object missing required field name"),
        ("answer.models", [ROW, ROW | {"size": 1}], r"answer.models\[1\].size: no such field"),
    ],
)  # fmt: skip
def test_a_damaged_record_says_where(where: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(changed(where, value))


def test_a_number_too_large_for_a_float_is_none() -> None:
    """Python reads 1e999 as infinity."""
    text = changed("cell.level", 0.25).replace("0.25", "1e999")
    with pytest.raises(ValueError, match=r"cell.level: expected a finite number, got inf"):
        decode(text)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_not_written_but_named(number: float) -> None:
    study = replace(STUDY, levels=(0.5, number))
    record = Record(cell=Cell(kind="study", model="m"), identity={}, provenance=None, answer=study)
    with pytest.raises(ValueError, match=rf"answer.levels\[1\]: .* finite number, got {number}"):
        encode(record)


def test_the_checksum_is_the_sha_256_of_the_lines_after_it() -> None:
    record = Record(cell=Cell(kind="study", model="é"), identity={}, provenance=None, answer=STUDY)
    first, schema, checksum, *body = encode(record).encode().splitlines(keepends=True)
    assert (first, schema) == (b"{\n", b' "schema": 2,\n')
    assert checksum == f' "checksum": "{sha256(b"".join(body)).hexdigest()}",\n'.encode()


def test_a_record_with_any_byte_changed_or_lost_is_none() -> None:
    """Every byte with every bit flipped, every length, and lines that end otherwise."""
    record = Record(
        cell=Cell(kind="study", model="m"), identity={"a": "b"}, provenance=PROVENANCE, answer=STUDY
    )
    whole = encode(record).encode()
    flipped = (
        whole[:at] + bytes([byte ^ 1 << bit]) + whole[at + 1 :]
        for at, byte in enumerate(whole)
        for bit in range(8)
    )
    cut = (whole[:length] for length in range(len(whole)))
    for damaged in (*flipped, *cut, whole.replace(b"\n", b"\r\n"), whole + b"\n", b" " + whole):
        with pytest.raises(UNREADABLE):
            decode(damaged)
    assert decode(whole) == record


PUBLISHED = Path(__file__).parents[2] / "recorded"


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_published_record_is_written_as_it_was_read(kind: str) -> None:
    """Line by line and in order; fields that are newer than the record stand between."""
    files = sorted([*PUBLISHED.glob(f"{kind}/*.json"), *PUBLISHED.glob(f"*/{kind}/*.json")])
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        again = encode(decode(text))
        assert decode(again) == decode(text), path.name
        written = iter([line.rstrip(",") for line in again.splitlines()])
        assert all(line.rstrip(",") in written for line in text.splitlines()), path.name


def test_a_whole_number_will_do_for_a_float_and_an_unknown_place_is_left_at_its_default() -> None:
    assert decode(changed("cell.level", 1)).cell.level == 1.0
    assert decode(changed("cell.level", ...)).cell.level is None


def test_only_a_study_does_without_provenance() -> None:
    assert decode(changed("provenance", None)).provenance is None
    for kind in set(ANSWERS) - {"study"}:
        document = json.loads(changed("cell.kind", kind)) | {"provenance": None}
        with pytest.raises(ValueError, match="provenance: expected object"):
            decode(json.dumps(document))


@pytest.mark.parametrize("text", ["", "null", "[]", "3", "{}", "{"])
def test_what_is_no_record_at_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a record|Expecting"):
        decode(text)
