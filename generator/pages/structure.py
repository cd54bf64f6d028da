"""Sparsity structure: how many weights are near zero, overall, by depth and by kind of matrix."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.inspection import Inspection, NearZero, TensorRow
from experiments.records.share import share
from experiments.records.study import StudyModel
from generator.exhibits import Column, Drawing, Table
from generator.figures import heat_map, magnitude_curve
from generator.figures.magnitude_curve import Curve
from generator.render import Markdown, code, escape, number, percent, whole
from generator.report import Report
from generator.sentences import quality as sentences

TOP = 10
RELATIVE = ("rms", 0.1)
Centre = tuple[str, float]


@dataclass(frozen=True)
class ModelSection:
    """One model: its near-zeros and where they lie."""

    name: str
    by_depth: Markdown
    by_kind: Markdown
    by_scale: Markdown
    heat: Drawing
    top: Table
    layers: Table


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    checkpoints: tuple[tuple[str, str], ...]
    many: bool

    totals: Table
    note: Markdown
    thresholds: Table
    exact: Markdown
    storage: tuple[Markdown, ...]
    curve: Drawing | None
    sections: tuple[ModelSection, ...]
    threshold: Markdown
    spread: tuple[Markdown, ...]


def context(report: Report) -> Context:
    """Every inspected model."""
    rows = report.measured
    centre = _centre(_inspections(report, rows))
    return Context(
        checkpoints=tuple(report.checkpoints),
        many=len(report.measured) != 1,
        totals=_totals(report, rows),
        note=report.note(rows),
        thresholds=_thresholds(report, rows),
        exact=_exact(report, rows),
        storage=tuple(
            Markdown(f"**{escape(name)}**: {told}")
            for name, found in _inspections(report, rows)
            if (told := sentences.storage(found))
        ),
        curve=_curve(report, rows) if rows else None,
        sections=tuple(_section(report, row, centre) for row in rows),
        threshold=number(centre[1]),
        spread=tuple(filter(None, (_spread(report, row) for row in rows))),
    )


def _centre(found: Sequence[tuple[str, Inspection]]) -> Centre:
    """The absolute threshold that comes nearest to halving the prunable weights of all models."""
    tensors = [tensor for _, one in found for tensor in _prunable(one)]
    asked = [near.threshold for near in _first_near(found) if near.relative_to == "absolute"]
    return "absolute", min(
        asked, key=lambda value: abs((_near(tensors, "absolute", value) or 0) - 0.5), default=0.0
    )


def _spread(report: Report, row: StudyModel) -> Markdown:
    """How far apart the median magnitude and that of the 90th percent lie."""
    half, most = report.pruning(row.name, 0.5), report.pruning(row.name, 0.9)
    if not (half and most and half.threshold and most.threshold):
        return Markdown("")
    return Markdown(
        f"**{escape(report.label(row))}**: half of the prunable weights lie at or below "
        f"{number(half.threshold)}, 90 % at or below {number(most.threshold)}, "
        f"{most.threshold / half.threshold:.1f} times as much."
    )


def _inspections(report: Report, rows: Sequence[StudyModel]) -> list[tuple[str, Inspection]]:
    return [(report.label(r), found) for r in rows if (found := report.inspection(r.name))]


def _totals(report: Report, rows: Sequence[StudyModel]) -> Table:
    """Zeros by each denominator: a sparsity without its denominator says nothing."""
    words = (
        ("prunable", "prunable weights"),
        ("all_weights", "all weights (two and more dimensions)"),
        ("parameters", "parameters stored"),
        ("parameters_deduplicated", "parameters, ties once"),
        ("integer", "integers, apart"),
    )
    return Table(
        name="sparsity-totals",
        columns=(
            Column("model", right=False),
            Column("of", right=False),
            Column("count", whole),
            Column("exact zeros", whole),
            Column("sparsity", percent),
        ),
        rows=tuple(
            (name, shown, total.count, total.zeros, total.sparsity)
            for name, found in _inspections(report, rows)
            for key, shown in words
            for total in [getattr(found.totals, key)]
        ),
    )


def _thresholds(report: Report, rows: Sequence[StudyModel]) -> Table:
    """The fraction of prunable weights that are not near zero, at each threshold."""
    found = _inspections(report, rows)
    asked = [(near.relative_to, near.threshold) for near in _first_near(found)]
    return Table(
        name="near-zero",
        columns=(
            Column("model", right=False),
            *(Column(f"≥ {_words(unit, value)}", percent) for unit, value in asked),
        ),
        rows=tuple(
            (name, *(_far(_prunable(one), unit, value) for unit, value in asked))
            for name, one in found
        ),
    )


def _words(unit: str, value: float) -> str:
    return f"{value:g}" if unit == "absolute" else f"{value:g} RMS"


def _first_near(found: Sequence[tuple[str, Inspection]]) -> tuple[NearZero, ...]:
    return next((_prunable(one)[0].near_zero for _, one in found if _prunable(one)), ())


def _prunable(found: Inspection) -> list[TensorRow]:
    return [tensor for tensor in found.tensors if tensor.prunable]


def _far(tensors: Sequence[TensorRow], unit: str, value: float) -> float | None:
    """The fraction of the tensors' weights that are not below a threshold."""
    near = _near(tensors, unit, value)
    return None if near is None else 1 - near


def _near(tensors: Sequence[TensorRow], unit: str, value: float) -> float | None:
    """The fraction of the tensors' weights below a threshold."""
    below = sum(
        near.count
        for tensor in tensors
        for near in tensor.near_zero
        if (near.relative_to, near.threshold) == (unit, value)
    )
    return share(below, sum(tensor.count for tensor in tensors))


def _exact(report: Report, rows: Sequence[StudyModel]) -> Markdown:
    """How many exact zeros a trained model has by itself."""
    parts = [
        f"{escape(name)} {whole(found.totals.prunable.zeros)} of "
        f"{whole(found.totals.prunable.count)}"
        for name, found in _inspections(report, rows)
    ]
    return Markdown("; ".join(parts))


def _curve(report: Report, rows: Sequence[StudyModel]) -> Drawing:
    curves = [
        Curve(name, tuple((point.threshold, point.below) for point in found.curve))
        for name, found in _inspections(report, rows)
    ]
    return Drawing(
        name="magnitude-curve",
        title="",
        alt="The fraction of each model's prunable weights below a magnitude threshold",
        subtitle="The fraction of prunable weights below each magnitude. Dotted: the report's levels; "
        f"where a curve crosses one is that level's global threshold. {report.note(rows)}".strip(),
        draw=partial(magnitude_curve.draw, curves, report.study.levels),
    )


def _section(report: Report, row: StudyModel, centre: Centre) -> ModelSection:
    found = report.inspection(row.name)
    assert found is not None
    tensors, name = _prunable(found), report.stem(row)
    return ModelSection(
        name=row.name,
        by_depth=_extremes(tensors, "block", centre),
        by_kind=_extremes(tensors, "role", centre),
        by_scale=_by_scale(tensors),
        heat=_heat(row.name, name, tensors, centre),
        top=_top(name, tensors),
        layers=_layers(name, tensors),
    )


def place(tensor: TensorRow) -> str:
    """A block's name, like "encoder 0"."""
    return f"{tensor.stack} {tensor.depth}".strip()


def groups(tensors: Sequence[TensorRow], by: str) -> dict[str, list[TensorRow]]:
    """Tensors by block or by role, in the order of the file."""
    found: dict[str, list[TensorRow]] = defaultdict(list)
    for tensor in tensors:
        found[place(tensor) if by == "block" else tensor.role].append(tensor)
    order = sorted(
        found.items(), key=lambda item: (item[1][0].stack != "encoder", item[1][0].depth or 0)
    )
    return dict(order) if by == "block" else dict(sorted(found.items()))


def _extremes(tensors: Sequence[TensorRow], by: str, centre: Centre) -> Markdown:
    """The group with the fewest near-zeros, and the one with the most."""
    shares = {name: _near(group, *centre) or 0 for name, group in groups(tensors, by).items()}
    if not shares:
        return Markdown("")
    what = "block " if by == "block" else ""
    low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    return Markdown(
        f"from {percent(shares[low])} in {what}{escape(low)} to {percent(shares[high])} in "
        f"{what}{escape(high)}"
    )


def _by_scale(tensors: Sequence[TensorRow]) -> Markdown:
    """The same range with each matrix measured by its own RMS."""
    shares = [_near([tensor], *RELATIVE) or 0 for tensor in tensors] or [0]
    return Markdown(f"from {percent(min(shares))} to {percent(max(shares))}")


def _heat(title: str, name: str, tensors: Sequence[TensorRow], centre: Centre) -> Drawing:
    blocks, roles = list(groups(tensors, "block")), list(groups(tensors, "role"))
    cells: dict[tuple[str, str], list[TensorRow]] = defaultdict(list)
    for tensor in tensors:
        cells[tensor.role, place(tensor)].append(tensor)
    values = [[_near(cells[role, block], *centre) for block in blocks] for role in roles]
    return Drawing(
        name=f"near-zero-{name}",
        title="",
        alt=f"Share of near-zero weights of {title} by kind of matrix and block",
        subtitle=f"{title}: percent of weights with a magnitude below {centre[1]:g}, by kind of matrix and "
        "block.",
        draw=partial(heat_map.draw, roles, blocks, values, axis="block"),
    )


def _top(name: str, tensors: Sequence[TensorRow]) -> Table:
    """The layers with the largest L1 norm."""
    norms = [(tensor.l1 or 0.0, tensor) for tensor in tensors]
    ranked = sorted(norms, key=lambda pair: (-pair[0], pair[1].name))[:TOP]
    return Table(
        name=f"top-layers-{name}",
        columns=(
            Column("layer", code, right=False),
            Column("weights", whole),
            Column("L1 norm", partial(number, digits=4)),
            Column("mean |w|", number),
            Column("largest |w|", number),
        ),
        rows=tuple((t.name, t.count, l1, share(l1, t.count), t.max) for l1, t in ranked),
    )


def _layers(name: str, tensors: Sequence[TensorRow]) -> Table:
    """Every prunable layer at every threshold."""
    asked = tensors[0].near_zero if tensors else ()
    return Table(
        name=f"layers-{name}",
        columns=(
            Column("layer", code, right=False),
            Column("role", right=False),
            Column("weights", whole),
            Column("zeros", whole),
            *(Column(f"< {_words(near.relative_to, near.threshold)}", percent) for near in asked),
        ),
        rows=tuple(
            (
                t.name,
                t.role,
                t.count,
                t.zeros,
                *(share(near.count, t.count) for near in t.near_zero),
            )
            for t in tensors
        ),
    )
