"""Reproduce: machine, versions, seeds, digests, commands, and every table as CSV."""

from collections import Counter
from dataclasses import dataclass

from experiments.records.cell import Cell
from experiments.records.record import Provenance
from experiments.records.study import Asking
from generator.exhibits import Column, Table
from generator.render import Markdown, code, listed, size, whole
from generator.report import Report, checkpoint_name

Answered = tuple[str, Cell, Provenance]
ORIGINS = {"here": "measured on the machine that built this site", "recorded": "recorded"}


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    machines: Table
    versions: Table
    records: Table
    note: Markdown
    checkpoints: Table
    data: Table
    dates: tuple[str, str] | None
    commands: tuple[str, ...]
    gaps: tuple[str, ...]
    levels: tuple[float, ...]
    seeds: Markdown
    asking: Asking | None


def context(report: Report) -> Context:
    """Gather the provenance of every record."""
    answers = [
        (held.origin, held.record.cell, held.record.provenance)
        for held in report.held
        if held.record.provenance is not None
    ]
    dates = sorted({provenance.date for _, _, provenance in answers})
    return Context(
        machines=_machines(answers),
        versions=_versions(answers),
        records=_records(report, answers),
        note=report.note(report.measured),
        checkpoints=_checkpoints(answers),
        data=_data(answers),
        dates=(dates[0], dates[-1]) if dates else None,
        commands=tuple(sorted({provenance.command for _, _, provenance in answers})),
        gaps=report.gaps,
        levels=report.study.levels,
        seeds=listed([str(seed) for seed in report.seeds]),
        asking=report.study.asking,
    )


def _machines(answers: list[Answered]) -> Table:
    kinds = Counter((origin, provenance.machine) for origin, _, provenance in answers)
    return Table(
        name="machines",
        columns=(
            Column("numbers", right=False),
            Column("processor", right=False),
            Column("cores", whole),
            Column("threads", whole),
            Column("memory", size),
            Column("system", right=False),
            Column("GPU", right=False),
            Column("records", whole),
        ),
        rows=tuple(
            (
                ORIGINS[origin],
                machine.processor,
                machine.cores,
                machine.threads,
                machine.memory_bytes,
                machine.system,
                machine.gpu or "none",
                count,
            )
            for (origin, machine), count in sorted(kinds.items(), key=lambda item: str(item[0]))
        ),
    )


def _versions(answers: list[Answered]) -> Table:
    found: dict[str, set[str]] = {}
    for _, _, provenance in answers:
        for name, version in provenance.versions.items():
            found.setdefault(name, set()).add(version)
    return Table(
        name="versions",
        columns=(Column("package", right=False), Column("version", right=False)),
        rows=tuple((name, ", ".join(sorted(found[name]))) for name in sorted(found)),
    )


def _records(report: Report, answers: list[Answered]) -> Table:
    """How many records there are of each kind and model, and how long they took."""
    labels = {row.name: report.label(row) for row in report.study.models}
    return Table(
        name="records",
        columns=(
            Column("kind", right=False),
            Column("model", right=False),
            Column("records", whole),
            Column("seconds", lambda x: f"{x:.1f}"),
        ),
        rows=tuple(
            (kind, labels.get(model, model), len(times), round(sum(times), 1))
            for (kind, model), times in sorted(_by_question(answers).items())
        ),
    )


def _by_question(answers: list[Answered]) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for _, cell, provenance in answers:
        found.setdefault((cell.kind, cell.model), []).append(provenance.seconds)
    return found


def _checkpoints(answers: list[Answered]) -> Table:
    rows = {
        (checkpoint_name(p.checkpoint), p.revision or "", p.checkpoint_digest)
        for _, _, p in answers
        if p.checkpoint and p.checkpoint_digest
    }
    columns = (
        Column("checkpoint", code, right=False),
        Column("revision", right=False),
        Column("SHA-256 of weights, configuration and tokenizer", code, right=False),
    )
    stated = any(revision for _, revision, _ in rows)  # of hub ids alone
    shown = (0, 1, 2) if stated else (0, 2)
    return Table(
        name="checkpoints",
        columns=tuple(columns[at] for at in shown),
        rows=tuple(tuple(row[at] for at in shown) for row in sorted(rows)),
    )


def _data(answers: list[Answered]) -> Table:
    rows = {(p.data, p.data_digest) for _, _, p in answers if p.data and p.data_digest}
    return Table(
        name="data",
        columns=(
            Column("task", right=False),
            Column("SHA-256 of its file", code, right=False),
        ),
        rows=tuple(sorted(rows)),
    )
