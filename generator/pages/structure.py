"""Structure: how many weights are near zero, by layer, and that nothing in them says where to cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from experiments.records.inspection import Inspection, TensorRow
from experiments.records.share import share
from experiments.records.study import StudyModel
from generator import layers
from generator.exhibits import Column, Drawing, Table, spread
from generator.figures import heat_map, rms_curve
from generator.figures.rms_curve import Curve
from generator.pairs import pretrained
from generator.render import NONE, Markdown, code, escape, listed, number, percent, whole
from generator.report import Report
from generator.sentences import structure as sentences

MOST = 8  # rows of a table
JOINED = "\u2060–\u2060"  # a dash at which no line ends
HEATS = 3  # heat maps; every model's page has its own numbers


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    finding: Markdown
    of: Markdown
    curve: Drawing | None
    no_curve: bool
    totals: Table
    note: Markdown
    storage: Markdown
    heats: tuple[Drawing, ...]
    norms: Table
    thresholds: Table


class Extreme(NamedTuple):
    """A layer, and how it compares."""

    layer: str
    value: float


def context(report: Report) -> Context:
    """Every inspected model; the finding is of the pretrained ones where there are any."""
    rows = [row for row in report.measured if _prunable(report, row)]
    main = pretrained(rows) or rows
    models = [_prunable(report, row) for row in main]
    curves = list(_curves(report, rows))
    return Context(
        finding=sentences.finding(models),
        of=_of(main, rows),
        curve=_drawing(report, rows, curves, sentences.title(models)) if curves else None,
        no_curve=bool(rows) and not curves,
        totals=_totals(report, report.measured),
        note=report.note(report.measured),
        storage=_dequantised(report, rows),
        heats=tuple(_heat(report, row) for row in main[:HEATS]),
        norms=_norms(report, rows),
        thresholds=_thresholds(report, rows),
    )


def _prunable(report: Report, row: StudyModel) -> list[TensorRow]:
    found = report.inspection(row.name)
    return layers.prunable(found) if found else []


def _inspection(report: Report, row: StudyModel) -> Inspection:
    found = report.inspection(row.name)
    assert found is not None
    return found


def _of(main: Sequence[StudyModel], rows: Sequence[StudyModel]) -> Markdown:
    """Of which models the finding is."""
    if not main:
        return Markdown("")
    names = listed([row.name for row in main]) if len(main) < 4 else f"{len(main)} models"
    return Markdown(f"{names}{', pretrained' if len(main) < len(rows) else ''}")


# ---- the distribution ---------------------------------------------------------------------------


def _curves(report: Report, rows: Sequence[StudyModel]) -> Iterator[Curve]:
    """Every model's curve: of its own record, else by the thresholds of its near zeros."""
    for row in rows:
        found = _inspection(report, row)
        points = [(point.threshold, point.below) for point in found.rms_curve]
        points = points or list(_by_thresholds(layers.prunable(found)))
        if len(points) > 1:
            yield Curve(report.label(row), tuple(points), report.study.models.index(row))


def _by_thresholds(some: Sequence[TensorRow]) -> Iterator[tuple[float, float]]:
    """The shares below each multiple of the RMS that near zeros were counted at, from 0 on."""
    asked = [near.threshold for near in some[0].near_zero if near.relative_to == "rms"]
    total = sum(one.count for one in some)
    for threshold in sorted(asked) if total else ():
        counts = [
            near.count
            for one in some
            for near in one.near_zero
            if (near.relative_to, near.threshold) == ("rms", threshold)
        ]
        if len(counts) == len(some):
            yield threshold, sum(counts) / total


def _drawing(
    report: Report, rows: Sequence[StudyModel], curves: Sequence[Curve], title: str
) -> Drawing:
    count = "one model" if len(curves) == 1 else f"{len(curves)} models"
    return Drawing(
        name="rms-curve",
        title=title,
        subtitle=f"Prunable weights by magnitude in units of their matrix's RMS, {count}, beside a "
        f"normal distribution. {_dates(report, rows)}",
        alt=Markdown(
            f"{escape(title)}. Drawn: the weights of {count} by magnitude in units of their RMS, and "
            "those of a normal distribution."
        ),
        draw=partial(rms_curve.draw, curves),
    )


def _dates(report: Report, rows: Sequence[StudyModel]) -> str:
    """When the models were inspected."""
    found = [report.provenance(kind="inspection", model=row.name) for row in rows]
    days = sorted({one.date for one in found if one})
    return f"Inspected {' to '.join(dict.fromkeys([days[0], days[-1]]))}." if days else ""


# ---- tables -------------------------------------------------------------------------------------


def _totals(report: Report, rows: Sequence[StudyModel]) -> Table:
    """A row a model: exact zeros, near zeros, and the layer that is least like a normal curve."""
    return Table(
        name="structure",
        caption="Prunable weights as they came. Mean |w| / RMS of a normal curve is 0.80.",
        columns=(
            Column("model", right=False),
            Column("prunable weights", whole),
            Column("exact zeros", whole),
            Column("below 0.1 RMS", percent),
            Column("by layer", _range, parts=("low", "high")),
            Column("least normal: mean |w| / RMS", _least, right=False, parts=("layer", "ratio")),
        ),
        rows=tuple(_row(report, row) for row in rows),
        records=_records(report, rows),
        picked=tuple(range(MOST)) if len(rows) > MOST else None,
    )


def _records(report: Report, rows: Sequence[StudyModel]) -> tuple[str, ...]:
    """The inspection of each row."""
    return tuple(report.record(kind="inspection", model=row.name) for row in rows)


def _row(report: Report, row: StudyModel) -> tuple[object, ...]:
    found, some = _inspection(report, row), _prunable(report, row)
    shares = [one for tensor in some if (one := layers.near_zero([tensor])) is not None]
    least = layers.least_normal(some)
    return (
        report.label(row),
        found.totals.prunable.count,
        found.totals.prunable.zeros,
        layers.near_zero(some) if some else None,
        (min(shares), max(shares)) if shares else None,
        Extreme(least[0].name, least[1]) if least else None,
    )


def _range(value: tuple[float, float] | None) -> Markdown:
    r"""The least and the greatest share.

    >>> _range((0.08, 0.157))
    '8.0\u2060–\u206015.7 %'
    """
    if value is None:
        return Markdown(NONE)
    low, high = percent(value[0]).removesuffix(" %"), percent(value[1])
    return Markdown(f"{low}{JOINED}{high}")


def _least(value: Extreme | None) -> Markdown:
    if value is None:
        return Markdown(NONE)
    return Markdown(f"{value.value:.2f} in {code(layers.short(value.layer))}")


def _norms(report: Report, rows: Sequence[StudyModel]) -> Table:
    """Of each model the layer with the largest sum of magnitudes."""
    found = [(row, _prunable(report, row)) for row in rows]
    largest = [
        (row, max(some, key=lambda one: (one.l1 or 0.0, one.name)), sum(t.l1 or 0.0 for t in some))
        for row, some in found
        if some
    ]
    return Table(
        name="l1-norms",
        caption="The layer with the largest L1 norm, the sum of its magnitudes.",
        columns=(
            Column("model", right=False),
            Column("layer", lambda name: code(layers.short(name)), right=False),
            Column("L1 norm", partial(number, digits=4)),
            Column("share of the model's", percent),
            Column("mean |w|", number),
        ),
        rows=tuple(
            (report.label(row), one.name, one.l1, share(one.l1 or 0.0, total), layers.mean(one))
            for row, one, total in largest
        ),
        records=_records(report, [row for row, _, _ in largest]),
        picked=tuple(range(MOST)) if len(largest) > MOST else None,
    )


def _thresholds(report: Report, rows: Sequence[StudyModel]) -> Table:
    """The distribution's numbers, for its CSV."""
    return Table(
        name="rms-curve",
        columns=(
            Column("model", right=False),
            Column("times the RMS", number),
            Column("share below", percent),
            Column("of a normal", percent),
        ),
        rows=tuple(
            (curve.label, at, below, rms_curve.below(at))
            for curve in _curves(report, rows)
            for at, below in curve.points
        ),
    )


def _dequantised(report: Report, rows: Sequence[StudyModel]) -> Markdown:
    """The models whose numbers are what blocks of codes stand for."""
    names = [report.label(row) for row in rows if sentences.storage(_inspection(report, row))]
    if not names:
        return Markdown("")
    who = listed(names) if len(names) < 4 else f"{len(names)} models"
    have = "has" if len(names) == 1 else "have"
    return Markdown(
        f"{who} {have} quantised or packed weights: measured are the numbers that the codes stand for."
    )


# ---- the heat map -------------------------------------------------------------------------------


def _heat(report: Report, row: StudyModel) -> Drawing:
    some = _prunable(report, row)
    kinds, blocks = sorted({one.role for one in some}), layers.grouped(some, layers.block)
    chosen = list(blocks)
    if picked := spread(len(chosen), heat_map.MOST):
        chosen = [chosen[place] for place in picked]
    values = [
        [layers.near_zero(cell) if cell else None for block in chosen
         for cell in [[one for one in blocks[block] if one.role == kind]]]
        for kind in kinds
    ]  # fmt: skip
    known = {(k, b): v for k, line in zip(kinds, values) for b, v in zip(chosen, line) if v}
    title = f"{row.name}: near zero everywhere alike"
    if known:
        kind, block = max(known, key=known.__getitem__)
        title = f"{row.name}: most near zero in {kind}, block {block}"
    return Drawing(
        name=f"near-zero-{report.stem(row)}",
        title=title,
        subtitle="Percent of weights below 0.1 of their matrix's RMS, by kind of matrix and block.",
        alt=f"{title}. Drawn: percent of weights below 0.1 RMS by kind of matrix and block.",
        draw=partial(heat_map.draw, kinds, chosen, values, axis="block", top=_deep(values)),
    )


def _deep(values: Sequence[Sequence[float | None]]) -> float:
    """Where a heat map's ink is deepest: above the greatest share, in steps of a tenth, and 20 % at least.

    >>> _deep([[0.08, 0.157]]), _deep([[0.35]]), _deep([[1.0]])
    (0.2, 0.4, 1.0)
    """
    most = max((one for line in values for one in line if one is not None), default=0.0)
    return min(max(int(10 * most) + 1, 2), 10) / 10
