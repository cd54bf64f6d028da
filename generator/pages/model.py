"""One model: its verdict, everything that was measured of it by level, and where its numbers come from."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.records.inspection import Inspection, TensorRow
from experiments.records.record import Provenance
from experiments.records.share import share
from experiments.records.study import StudyModel
from generator import explorer, layers
from generator.bibliography import link
from generator.exhibits import Column, Table, spread
from generator.exports import cards
from generator.pages.levels import Levels, levels
from generator.render import NONE, Markdown, code, number, percent, whole
from generator.report import Report, checkpoint_name, is_miniature
from generator.sentences import structure as sentences
from generator.sentences import tasks

MOST = 40  # rows of a folded table; the CSV has them all


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    row: StudyModel
    card: Markdown
    explore: Markdown
    miniature: bool
    inspection: Inspection
    source: Markdown
    storage: Markdown
    note: Markdown
    first: Levels
    others: tuple[Levels, ...]
    uneven: Markdown
    coverage: Table
    kinds: Table
    tensors: Table
    cut: Table
    obtained: Table
    machines: tuple[str, ...]


def context(report: Report, row: StudyModel) -> Context:
    """Everything about one row."""
    found = report.inspection(row.name)
    assert found is not None
    views = [view for view, _ in report.by_method([row])] or [report]
    stem = report.stem(row)
    origins = list(_origins(report, row))
    record = report.record(kind="inspection", model=row.name)
    return Context(
        row=row,
        card=cards.link(report, row),
        explore=explorer.address(report, row),
        miniature=is_miniature(row),
        inspection=found,
        source=link(row.source, "source") if row.source else Markdown(""),
        storage=sentences.storage(found),
        note=report.note([row]),
        first=levels(views[0], row),
        others=tuple(levels(view, row) for view in views[1:]),
        uneven=sentences.uneven(
            report.prunings(row.name), found, method=report.method, miniature=is_miniature(row)
        ),
        coverage=_coverage(f"coverage-{stem}", found).of(record),
        kinds=_kinds(f"near-zero-{stem}", found).of(record),
        tensors=_tensors(f"tensors-{stem}", found).of(record),
        cut=_cut(f"layers-pruned-{stem}", views, row),
        obtained=_obtained(f"obtained-{stem}", origins),
        machines=tuple(dict.fromkeys(_machine(one) for _, one in origins)),
    )


def _coverage(name: str, found: Inspection) -> Table:
    """Every tensor by its role: nothing is skipped silently, and the last row is the sum."""
    tensors: Counter[tuple[str, str, str]] = Counter()
    weights: Counter[tuple[str, str, str]] = Counter()
    for tensor in found.tensors:
        role = ("prunable" if tensor.prunable else "skipped", tensor.role, tensor.reason)
        tensors[role] += 1
        weights[role] += tensor.logical
    total = sum(weights.values())
    rows = [
        (role, verdict, why, tensors[key], weights[key], share(weights[key], total))
        for key in sorted(weights, key=lambda one: (one[0], -weights[one], one[1:]))
        for verdict, role, why in [key]
    ]
    every = ("all", "", "", len(found.tensors), total, share(total, total))
    return Table(
        name=name,
        caption="Every stored tensor by its role.",
        columns=(
            Column("role", right=False),
            Column("verdict", right=False),
            Column("why", right=False),
            Column("tensors", whole),
            Column("weights", whole),
            Column("share", percent),
        ),
        rows=(*rows, every),
        picked=spread(len(rows) + 1, MOST),
    )


def _kinds(name: str, found: Inspection) -> Table:
    """Weights near zero by block and kind of matrix."""
    some = layers.prunable(found)
    kinds = sorted({one.role for one in some})
    blocks = layers.grouped(some, layers.block)
    rows = tuple(
        (block, *(_near([one for one in tensors if one.role == kind]) for kind in kinds))
        for block, tensors in blocks.items()
    )
    return Table(
        name=name,
        caption="Percent of weights below 0.1 of their matrix's RMS, by block and kind.",
        columns=(Column("block", right=False), *(Column(kind, _tenths) for kind in kinds)),
        rows=rows,
        picked=spread(len(rows), MOST),
    )


def _near(tensors: Sequence[TensorRow]) -> float | None:
    return layers.near_zero(tensors) if tensors else None


def _tenths(value: float | None) -> Markdown:
    return Markdown(percent(value).removesuffix(" %"))


def _tensors(name: str, found: Inspection) -> Table:
    """Every tensor, for its CSV."""
    return Table(
        name=name,
        columns=(
            Column("tensor", code, right=False),
            Column("shape"),
            Column("stored as", right=False),
            Column("role", right=False),
            Column("block", right=False),
            Column("verdict", right=False),
            Column("why", right=False),
            Column("weights", whole),
            Column("zeros", whole),
            Column("below 0.1 RMS", whole),
            Column("RMS", number),
            Column("mean |w|", number),
            Column("largest |w|", number),
            Column("L1 norm", number),
        ),
        rows=tuple(
            (
                one.name,
                " × ".join(map(str, one.shape)) or "scalar",
                one.stored_as or one.dtype,
                one.role,
                layers.block(one),
                "prunable" if one.prunable else "skipped",
                one.reason,
                one.logical,
                one.zeros,
                layers.near_count(one),
                layers.rms(one),
                layers.mean(one),
                one.max,
                one.l1,
            )
            for one in sorted(found.tensors, key=lambda one: layers.natural(one.name))
        ),
    )


def _cut(name: str, views: Sequence[Report], row: StudyModel) -> Table:
    """What each level leaves of each layer, for its CSV."""
    rows = [
        (view.method, one.level, layer.name, layer.count, layer.zeros)
        for view in views
        for one in view.prunings(row.name)
        for layer in sorted(one.layers, key=lambda layer: layers.natural(layer.name))
    ]
    return Table(
        name=name,
        columns=(
            Column("method", right=False),
            Column("level", percent),
            Column("layer", code, right=False),
            Column("weights", whole),
            Column("zeros", whole),
        ),
        rows=tuple(rows),
    )


def _origins(report: Report, row: StudyModel) -> Iterator[tuple[str, Provenance]]:
    """How each of a row's measurements was obtained, one of a kind."""
    asked: list[tuple[str, dict[str, object]]] = [("structure", {"kind": "inspection"})]
    for method in report.methods:
        by = f" by {method}" if len(report.methods) > 1 else ""
        asked += [
            (f"bytes{by}", {"kind": "footprint", "method": method}),
            (f"speed{by}", {"kind": "latency", "method": method}),
        ]
    for task in report.tasks_of(row):
        kind = "perplexity" if task.metric == "perplexity" else "evaluation"
        asked.append((tasks.title(task), {"kind": kind, "task": task.name, "level": 0.0}))
    for what, question in asked:
        if found := report.provenance(model=row.name, **question):
            yield what, found


def _obtained(name: str, origins: Sequence[tuple[str, Provenance]]) -> Table:
    return Table(
        name=name,
        caption="Where the numbers of this page come from.",
        columns=(
            Column("what", right=False),
            Column("date", right=False),
            Column("checkpoint", code, right=False),
            Column("SHA-256 starts", _digest, right=False),
            Column("machine", right=False, shown=False),
        ),
        rows=tuple(
            (
                what,
                one.date,
                checkpoint_name(one.checkpoint or NONE),
                one.checkpoint_digest or "",
                _machine(one),
            )
            for what, one in origins
        ),
        picked=spread(len(origins), MOST),
    )


def _digest(value: str) -> Markdown:
    return code(value[:12]) if value else Markdown(NONE)


def _machine(one: Provenance) -> str:
    made = one.machine
    parts = [made.processor, f"{made.cores} cores", f"threads: {made.threads}", made.system]
    return ", ".join([*parts, *([made.gpu] if made.gpu else [])])
