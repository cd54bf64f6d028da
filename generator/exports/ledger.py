"""Every record as one table in long form: a row a number of an answer. Pure.

What is of single sentences, windows, tensors or layers is left out: the other tables have layers and
tensors, the records themselves the rest. A file's bytes stand here, not what share of dense they are.
Numbers have the digits of all tables; records have all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from experiments.records.cell import Interval
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.record import Answer, Held, Machine
from experiments.records.study import Study
from generator.exhibits import Column, Table
from generator.report import Report

# Numbers of an answer that are another record's, by kind, or no result.
LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    Evaluation.kind: ("n", "prunable", "zeros"),
    Comparison.kind: ("n", "value", "other_value", "smallest_detectable"),
    Perplexity.kind: ("n", "prunable", "zeros"),
    PerplexityChange.kind: ("n", "value", "other_value"),
    "pruning": ("level",),
}
Packages = tuple[tuple[str, str], ...]  # each with its version
CELL = ("kind", "model", "method", "level", "task", "seed", "against")


@dataclass(frozen=True)
class Scalar:
    """One number of an answer, with its 95 % interval where it has one.

    `part` says of which part of the model, file or input; `level` is that part's own where the question
    is of every level, and `n` of how many rounds where it is a time.
    """

    measure: str
    value: float
    bounds: Interval | None = None
    part: str = ""
    level: float | None = None
    n: int | None = None


def table(report: Report) -> Table:
    """Every record of a report, by its question."""
    machines, versions = machines_of(report), versions_of(report)
    found = sorted(report.by_cell.values(), key=lambda one: _in_order(one))
    rows = (
        (*row, *obtained)
        for one in found
        if one.cell.kind != Study.kind
        for obtained in [_obtained(one, machines, versions)]
        for row in _rows(one)
    )
    return Table(
        name="records",
        caption="Every record in long form: a row a number.",
        columns=(
            *(Column(name) for name in CELL),
            Column("part", about="of the model, the file or the input, where it is not the whole"),
            Column("measure", about="what the number is, named as in the record"),
            Column("value", about="fractions as 0 to 1; milliseconds where the measure ends in ms"),
            Column("low"),
            Column("high"),
            Column("n", about="sentences, tokens or rounds that the number is of"),
            Column("date"),
            Column("machine", about="its number in machines.csv"),
            Column("versions", about="their number in versions.csv"),
            Column("record", about="how the name of its file ends"),
        ),
        rows=tuple(rows),
    )


def scalars(answer: Answer) -> Iterator[Scalar]:
    """The numbers of an answer, in the order of its fields, then those of its parts."""
    left_out = LEFT_OUT.get(answer.kind, ())
    metric = _metric(answer)
    for field in fields(answer):
        value = getattr(answer, field.name)
        if not isinstance(value, int | float) or field.name in left_out:
            continue
        if metric == "accuracy" and field.name in ("accuracy", "accuracy_difference"):
            continue  # which is the value
        name = "interval" if field.name == "value" else f"{field.name}_interval"
        own = field.name in ("value", "difference", "ratio") and metric
        measure = f"{metric}_{field.name}".removesuffix("_value") if own else field.name
        yield Scalar(measure, value, getattr(answer, name, None))
    yield from _parts(answer)


def _metric(answer: Answer) -> str:
    if isinstance(answer, Evaluation | Comparison):
        return answer.metric
    return "perplexity" if isinstance(answer, Perplexity | PerplexityChange) else ""


def _parts(answer: Answer) -> Iterator[Scalar]:
    """The numbers of an answer that has rows of its own."""
    if isinstance(answer, Inspection):
        for field in fields(answer.totals):
            counted = getattr(answer.totals, field.name)
            yield Scalar("count", counted.count, part=field.name)
            yield Scalar("zeros", counted.zeros, part=field.name)
    elif isinstance(answer, Footprint):
        for row in answer.rows:
            part = f"{row.of}, {row.format}, {row.dtype}"
            yield Scalar("bytes", row.bytes, part=part, level=row.level)
        for one in answer.break_even:
            if one.sparsity is not None:
                yield Scalar("break_even", one.sparsity, part=f"{one.format}, {one.dtype}")
    elif isinstance(answer, Latency):
        for timed in answer.rows:
            part = f"{timed.path}, {timed.batch} × {timed.tokens}"
            for name in ("median_ms", "p10_ms", "p90_ms", "cold_ms", "ratio", "max_abs_difference"):
                bounds = timed.ratio_interval if name == "ratio" else None
                yield Scalar(name, getattr(timed, name), bounds, part, timed.level, timed.rounds)


def _rows(held: Held) -> Iterator[tuple[Any, ...]]:
    cell, answer = held.cell, held.record.answer
    for one in scalars(answer):
        level = cell.level if one.level is None else one.level
        asked = (cell.kind, cell.model, cell.method, level, cell.task, cell.seed, cell.against)
        value = int(one.value) if isinstance(one.value, bool) else one.value
        low, high = one.bounds or (None, None)
        yield (*asked, one.part, one.measure, value, low, high, getattr(answer, "n", one.n))


def _obtained(
    held: Held, machines: Mapping[tuple[str, Machine], int], versions: Mapping[Packages, int]
) -> tuple[Any, ...]:
    provenance = held.record.provenance
    if provenance is None:
        return None, None, None, _short(held)
    return (
        provenance.date,
        machines[held.origin, provenance.machine],
        versions[packages(provenance.versions)],
        _short(held),
    )


def _short(held: Held) -> str:
    """The end of the name of a record's file, which no other has."""
    name = Report.file_of(held)
    return name.removesuffix(".json").rpartition("-")[2]


def _in_order(held: Held) -> tuple[Any, ...]:
    """By question: numbers by their size, what is not asked first."""
    asked = (getattr(held.cell, name) for name in CELL)
    return tuple((value is not None, "" if value is None else value) for value in asked)


def machines_of(report: Report) -> dict[tuple[str, Machine], int]:
    """Every machine by where its numbers are from, with the number under which tables name it."""
    found = {
        (held.origin, held.record.provenance.machine)
        for held in report.held
        if held.record.provenance is not None
    }
    return {one: at for at, one in enumerate(sorted(found, key=str), start=1)}


def versions_of(report: Report) -> dict[Packages, int]:
    """Every set of packages and versions, with the number under which tables name it."""
    found = {
        packages(held.record.provenance.versions)
        for held in report.held
        if held.record.provenance is not None
    }
    return {one: at for at, one in enumerate(sorted(found), start=1)}


def packages(versions: Mapping[str, str]) -> Packages:
    """A set of packages and versions that can be a key."""
    return tuple(sorted(versions.items()))
