"""The site's tables described for other programs: a Frictionless Data Package. Pure.

Every CSV with its columns (name, type, unit, what it means), what it was measured with and when.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from experiments.records.command import asked
from experiments.records.record import Held, Provenance
from generator.exhibits import RECORD, Column, Table, plain_value
from generator.exports.glossary import Meaning, meaning
from generator.render import escape_controls
from generator.report import Report

NAME = "data/datapackage.json"
PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
# A column of the first holds numbers of rows of the others.
FOREIGN = {"records": {"machine": "machines", "versions": "versions"}}


def content(report: Report, tables: Iterable[Table]) -> bytes:
    """The file that describes these tables of a report."""
    by_file = {Report.file_of(one): one for one in report.held if one.record.provenance}
    every = list(by_file.values())
    described = sorted(tables, key=lambda one: one.name)
    names = {one.name for one in described}
    document = {
        "$schema": PROFILE,
        "name": "sparsity-report",
        "title": escape_controls(report.study.title),
        "description": "Every table of the report. Shares are fractions of 1, empty cells not measured.",
        **_obtained(every),
    }
    lines = [json.dumps(_resource(one, names, by_file, every)) for one in described]
    head = json.dumps(document, indent=1).removesuffix("\n}")
    listed = ",\n  ".join(lines)  # a line each
    return f'{head},\n "resources": [\n  {listed}\n ]\n}}\n'.encode()


def _resource(
    table: Table, names: set[str], by_file: Mapping[str, Held], every: Sequence[Held]
) -> dict[str, Any]:
    """One table. One that does not say which records it is of is of all."""
    text = table.csv().encode()
    own = [by_file[name] for name in dict.fromkeys(table.records) if name in by_file]
    stated = {"title": escape_controls(table.caption)} if table.caption else {}
    return {
        "name": table.name,
        "type": "table",
        "path": f"{table.name}.csv",
        **stated,
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": len(text),
        "hash": f"sha256:{hashlib.sha256(text).hexdigest()}",
        "rows": len(table.rows),
        **_obtained(own or every),
        "schema": {"fields": list(fields(table)), **_foreign(table, names)},
    }


def _foreign(table: Table, names: set[str]) -> dict[str, Any]:
    keys = [
        {"fields": [column], "reference": {"resource": other, "fields": [column]}}
        for column, other in FOREIGN.get(table.name, {}).items()
        if other in names
    ]
    return {"foreignKeys": keys} if keys else {}


def fields(table: Table) -> Iterator[dict[str, str]]:
    """Every column of a table's CSV."""
    for place, column in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        parted = [column.raw(cell) for cell in cells] if column.parts else []
        for part, heading in enumerate(column.headings()):
            kind = kind_of((cell[part] for cell in parted) if parted else cells)
            yield _field(heading, kind, _said(table, column, heading))
    if table.records:
        yield _field(RECORD, "string", meaning(table.name, RECORD))


def _said(table: Table, column: Column, heading: str) -> Meaning | None:
    """What a column says of itself, else what its heading means."""
    known = meaning(table.name, heading)
    unit = column.unit or (known.unit if known else "")
    if column.about and not column.parts:
        return Meaning(column.about, unit)
    return Meaning(known.about, unit) if known else Meaning(column.about, unit)


def _field(heading: str, kind: str, said: Meaning | None) -> dict[str, str]:
    field = {"name": str(plain_value(heading)), "type": kind}
    if said and said.about:
        field["description"] = escape_controls(said.about)
    if said and said.unit:
        field["unit"] = said.unit
    return field


def kind_of(values: Iterable[Any]) -> str:
    """The type of a column in the words of Table Schema; of one without values "any".

    >>> kind_of([1, None]), kind_of([1, 0.5]), kind_of([True]), kind_of(["1", 2]), kind_of([None])
    ('integer', 'number', 'boolean', 'string', 'any')
    """
    found = {type(value) for value in values if value is not None}
    if not found:
        return "any"
    if found == {bool}:
        return "boolean"
    if found == {int}:
        return "integer"
    return "number" if found <= {int, float} else "string"


def _obtained(held: Iterable[Held]) -> dict[str, Any]:
    """When records were made, and by which commands."""
    found = [one.record.provenance for one in held]
    known: list[Provenance] = [one for one in found if one is not None]
    if not known:
        return {}
    dates = sorted({one.date for one in known})
    commands = sorted({escape_controls(asked(one.command)) for one in known})
    return {"measured": {"first": dates[0], "last": dates[-1], "commands": commands}}
