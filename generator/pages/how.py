"""How it is done: the rule of global L1 pruning, and how unevenly one threshold falls on layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from experiments.records.inspection import Inspection
from experiments.records.pruning import Pruning
from experiments.records.study import StudyModel
from generator import layers
from generator.exhibits import Column, Drawing, Table, spread
from generator.figures import heat_map
from generator.pairs import pretrained
from generator.render import Markdown, level_name, number, whole
from generator.report import Report
from generator.sentences import structure as sentences

MOST = 12  # rows of a folded table


@dataclass(frozen=True)
class Uneven:
    """One method's zeros by block and kind of matrix in one model."""

    heat: Drawing
    said: Markdown


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    example_model: str
    example_level: float
    example_prunable: int
    example_zeros: int
    uneven: tuple[Uneven, ...]
    emptied: Markdown
    cuts: Table
    control: int


def context(report: Report) -> Context:
    """The rule by one example; layers of the first pretrained model under each method."""
    rows = [row for row in report.measured if report.prunings(row.name)]
    example = _example(report, rows)
    shown = next(iter([*pretrained(report.measured), *report.measured]), None)
    views = report.by_method([shown]) if shown else []
    every = report.by_method(report.measured)
    return Context(
        example_model=rows[0].name if rows else "",
        example_level=example.level if example else 0.0,
        example_prunable=example.prunable if example else 0,
        example_zeros=example.zeros if example else 0,
        uneven=tuple(one for view, row in views if (one := _uneven(view, row))),
        emptied=sentences.emptied(
            [(view.pruned_label(row), view.prunings(row.name)) for view, row in every]
        ),
        cuts=_cuts(every),
        control=len(report.seeds),
    )


def _example(report: Report, rows: Sequence[StudyModel]) -> Pruning | None:
    """The pruning by which the rule is shown: at half, where that is on record."""
    first = report.prunings(rows[0].name) if rows else []
    return next((one for one in first if one.level == 0.5), first[0] if first else None)


def _uneven(view: Report, row: StudyModel) -> Uneven | None:
    one, found = sentences.usual(view.prunings(row.name)), view.inspection(row.name)
    if one is None or found is None:
        return None
    kinds, blocks, values = _grid(one, found)
    if not kinds:
        return None
    title = f"At {level_name(one.level)} overall, layers lose from {_span(one)}"
    return Uneven(
        heat=Drawing(
            name=f"layer-zeros-{view.pruned_stem(row)}",
            title=title,
            subtitle=f"Percent of zeros by kind of matrix and block: {view.pruned_title(row)}, "
            f"{whole(one.prunable)} prunable weights, by {view.method}.",
            alt=f"{title}. Drawn: percent of zeros by kind of matrix and block of "
            f"{view.pruned_title(row)}.",
            draw=partial(heat_map.draw, kinds, blocks, values, axis="block", bottom=_pale(values)),
        ),
        said=sentences.ends(one),
    )


def _span(pruning: Pruning) -> str:
    ends = layers.extremes(pruning)
    if ends is None:
        return "nothing"
    return " to ".join(sentences.rounded(one.sparsity) for one in ends)


def _grid(
    pruning: Pruning, found: Inspection
) -> tuple[list[str], list[str], list[list[float | None]]]:
    """Shares of zeros, a row a kind of matrix, a column a block; of many blocks some, evenly."""
    place = {one.name: (one.role, layers.block(one)) for one in layers.prunable(found)}
    zeros: dict[tuple[str, str], tuple[int, int]] = {}
    for layer in pruning.layers:
        if layer.name in place:
            some, all_ = zeros.get(place[layer.name], (0, 0))
            zeros[place[layer.name]] = some + layer.zeros, all_ + layer.count
    kinds = sorted({kind for kind, _ in zeros})
    blocks = list(dict.fromkeys(block for _, block in place.values()))
    if picked := spread(len(blocks), heat_map.MOST):
        blocks = [blocks[at] for at in picked]
    values = [[_share(zeros.get((kind, block))) for block in blocks] for kind in kinds]
    return kinds, blocks, values


def _pale(values: Sequence[Sequence[float | None]]) -> float:
    """Where a heat map's ink begins: below the least share, in steps of a tenth, short of all.

    >>> _pale([[0.69, 0.99]]), _pale([[1.0, None]]), _pale([[0.05]])
    (0.6, 0.9, 0.0)
    """
    least = min((one for line in values for one in line if one is not None), default=0.0)
    return min(int(10 * least), 9) / 10


def _share(counted: tuple[int, int] | None) -> float | None:
    return counted[0] / counted[1] if counted and counted[1] else None


def _cuts(every: Sequence[tuple[Report, StudyModel]]) -> Table:
    """Where each level cuts: the rows of a few models are shown, the CSV has all."""
    rows = [
        (view.pruned_label(row), one.level, one.prunable, one.zeros, one.threshold,
         len(layers.emptied(one)))
        for view, row in every
        for one in view.prunings(row.name)
    ]  # fmt: skip
    records = [
        view.record(kind="pruning", model=row.name, method=view.method, level=one.level)
        for view, row in every
        for one in view.prunings(row.name)
    ]
    first = [len(list(some)) for _, some in groupby(rows, key=lambda one: one[0])][:1]
    shown = min(first[0], MOST) if first else 0
    return Table(
        name="cuts",
        caption="Where each level cuts.",
        columns=(
            Column("model", right=False),
            Column("level", level_name),
            Column("prunable weights", whole),
            Column("zeros", whole),
            Column("largest |w| removed", partial(number, digits=4)),
            Column("layers emptied", whole),
        ),
        rows=tuple(rows),
        records=tuple(records),
        picked=tuple(range(shown)) if shown < len(rows) else None,
    )
