"""Models: the picks by family, what each is made of, and the rows that wait."""

import shlex
from collections import Counter
from dataclasses import dataclass

from experiments.records.inspection import Inspection
from experiments.records.share import share
from experiments.records.study import StudyModel
from generator.bibliography import link
from generator.exhibits import Column, Table
from generator.render import Markdown, code, percent, whole
from generator.report import Report, checkpoint_name
from generator.sentences import quality as sentences

FAMILIES = ("encoder-only", "decoder-only", "encoder-decoder")


@dataclass(frozen=True)
class ModelSection:
    """One measured model: its shape and its coverage."""

    row: StudyModel
    origin: str
    checkpoint: str
    digest: str
    inspection: Inspection
    storage: Markdown
    ties: int
    coverage: Table
    tensors: Table
    source: Markdown


@dataclass(frozen=True)
class FamilySection:
    """One family: its measured models and those that wait."""

    family: str
    measured: tuple[ModelSection, ...]


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    overview: Table
    note: Markdown
    families: tuple[FamilySection, ...]
    waiting: Table | None
    commands: tuple[tuple[str, str], ...]


def context(report: Report) -> Context:
    """Measured rows by family, then the others with the command that would measure them."""
    families = [
        FamilySection(
            family, tuple(_section(report, r) for r in report.measured if r.family == family)
        )
        for family in FAMILIES
    ]
    return Context(
        overview=_overview(report),
        note=report.note(report.measured),
        families=tuple(section for section in families if section.measured),
        waiting=_waiting(report) if report.waiting else None,
        commands=tuple(
            (row.name, shlex.join(["gen", "inspect", row.checkpoint])) for row in report.waiting
        ),
    )


def _overview(report: Report) -> Table:
    rows = []
    for row in report.measured:
        found = report.inspection(row.name)
        if found is not None:
            shape, totals = found.architecture, found.totals
            rows.append(
                (
                    report.label(row),
                    row.family,
                    shape.name,
                    shape.blocks,
                    shape.width,
                    totals.parameters_deduplicated.count,
                    totals.prunable.count,
                    share(totals.prunable.count, totals.parameters_deduplicated.count),
                    row.licence,
                )
            )
    return Table(
        name="models",
        columns=(
            Column("model", right=False),
            Column("family", right=False),
            Column("architecture", right=False),
            Column("blocks", whole),
            Column("width", whole),
            Column("parameters", whole),
            Column("prunable", whole),
            Column("share", percent),
            Column("licence", right=False, shown=False),
        ),
        rows=tuple(rows),
    )


def _section(report: Report, row: StudyModel) -> ModelSection:
    found = report.inspection(row.name)
    assert found is not None
    provenance = report.provenance(kind="inspection", model=row.name)
    return ModelSection(
        row=row,
        origin=report.origin(row.name),
        checkpoint=checkpoint_name(
            (provenance.checkpoint if provenance else None) or row.checkpoint
        ),
        digest=((provenance.checkpoint_digest if provenance else None) or "")[:12],
        inspection=found,
        storage=sentences.storage(found),
        ties=sum(tensor.tied_to is not None for tensor in found.tensors),
        coverage=_coverage(f"coverage-{report.stem(row)}", found),
        tensors=_tensors(f"tensors-{report.stem(row)}", found),
        source=link(row.source, "source") if row.source else Markdown(""),
    )


def _coverage(name: str, found: Inspection) -> Table:
    """Tensors grouped by verdict, so that nothing is skipped silently."""
    tensors: Counter[tuple[str, str]] = Counter()
    weights: Counter[tuple[str, str]] = Counter()
    for tensor in found.tensors:
        verdict = ("prunable" if tensor.prunable else "skipped", tensor.reason)
        tensors[verdict] += 1
        weights[verdict] += tensor.logical
    total = sum(weights.values())
    return Table(
        name=name,
        columns=(
            Column("verdict", right=False),
            Column("why", right=False),
            Column("tensors", whole),
            Column("weights", whole),
            Column("share", percent),
        ),
        rows=tuple(
            (*verdict, tensors[verdict], weights[verdict], share(weights[verdict], total))
            for verdict in sorted(weights, key=lambda v: (v[0], -weights[v], v[1]))
        ),
    )


def _tensors(name: str, found: Inspection) -> Table:
    return Table(
        name=name,
        columns=(
            Column("tensor", code, right=False),
            Column("shape"),
            Column("stored as", right=False),
            Column("role", right=False),
            Column("verdict", right=False),
            Column("why", right=False),
            Column("weights", whole),
            Column("zeros", whole),
        ),
        rows=tuple(
            (
                tensor.name,
                " × ".join(map(str, tensor.shape)) or "scalar",
                tensor.stored_as or tensor.dtype,
                tensor.role,
                "prunable" if tensor.prunable else "skipped",
                tensor.reason,
                tensor.logical,
                tensor.zeros,
            )
            for tensor in found.tensors
        ),
    )


def _waiting(report: Report) -> Table:
    return Table(
        name="models-waiting",
        columns=(
            Column("model", right=False),
            Column("family", right=False),
            Column("published size"),
            Column("licence", right=False),
            Column("checkpoint", code, right=False),
            Column("why not here", right=False),
        ),
        rows=tuple(
            (
                row.name,
                row.family,
                row.parameters,
                row.licence,
                checkpoint_name(row.checkpoint),
                row.why,
            )
            for row in report.waiting
        ),
    )
