"""Method: global L1 magnitude pruning, its exact counts, and what it does to each layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.pruning import Layer, Pruning
from experiments.records.study import StudyModel
from generator.exhibits import Column, Drawing, Table
from generator.figures import heat_map
from generator.render import Markdown, code, escape, level_name, listed, number, percent, whole
from generator.report import Report

MOST_ROWS = 40


@dataclass(frozen=True)
class ModelSection:
    """One model under one method: the cuts of its levels and what they leave of each layer."""

    name: str
    cuts: Table
    layers: Table
    heat: Drawing
    spread: Markdown
    wiped: tuple[Markdown, ...]


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    checkpoints: tuple[tuple[str, str], ...]
    many: bool

    example_model: str
    example_level: float
    example_prunable: int
    example_zeros: int
    control: int
    sections: tuple[ModelSection, ...]


def context(report: Report) -> Context:
    """Every pruned model."""
    rows = [row for row in report.measured if report.prunings(row.name)]
    first = report.prunings(rows[0].name) if rows else []
    pruned = report.by_method(report.measured)
    example = next((one for one in first if one.level == 0.5), first[0] if first else None)
    return Context(
        checkpoints=tuple(report.checkpoints),
        many=len(report.measured) != 1,
        example_model=rows[0].name if rows else "",
        example_level=example.level if example else 0.0,
        example_prunable=example.prunable if example else 0,
        example_zeros=example.zeros if example else 0,
        control=len(report.seeds),
        sections=tuple(_section(view, row) for view, row in pruned if view.prunings(row.name)),
    )


def _section(report: Report, row: StudyModel) -> ModelSection:
    prunings = report.prunings(row.name)
    name, title = report.pruned_stem(row), report.pruned_title(row)
    return ModelSection(
        name=title,
        cuts=_cuts(name, prunings),
        layers=_layers(name, prunings),
        heat=_heat(title, name, prunings),
        spread=_spread(prunings),
        wiped=tuple(filter(None, map(_wiped, prunings))),
    )


def _cuts(name: str, prunings: Sequence[Pruning]) -> Table:
    return Table(
        name=f"cuts-{name}",
        columns=(
            Column("level", level_name),
            Column("prunable weights", whole),
            Column("k by the rule", whole),
            Column("zeros before", whole),
            Column("zeros after", whole),
            Column("largest |w| removed", partial(number, digits=4)),
            Column("layers emptied", whole),
        ),
        rows=tuple(
            (
                one.level,
                one.prunable,
                round(one.level * one.prunable) if one.scope == "global" else None,
                one.zeros_before,
                one.zeros,
                one.threshold,
                len(emptied(one)),
            )
            for one in prunings
        ),
    )


def emptied(pruning: Pruning) -> list[Layer]:
    """The layers of which nothing is left."""
    return [layer for layer in pruning.layers if layer.zeros == layer.count]


def _layers(name: str, prunings: Sequence[Pruning]) -> Table:
    layers = [layer.name for layer in prunings[0].layers]
    return Table(
        name=f"layers-pruned-{name}",
        columns=(
            Column("layer", code, right=False),
            Column("weights", whole),
            *(Column(str(level_name(one.level)), percent) for one in prunings),
        ),
        rows=tuple(
            (
                layer,
                prunings[0].layers[index].count,
                *(one.layers[index].sparsity for one in prunings),
            )
            for index, layer in enumerate(layers)
        ),
    )


def _heat(title: str, name: str, prunings: Sequence[Pruning]) -> Drawing:
    """Zeros of every layer at every level; of many layers, the most and the least pruned."""
    last = prunings[-1].layers
    order = sorted(range(len(last)), key=lambda i: last[i].sparsity or 0)
    chosen = sorted(order if len(order) <= MOST_ROWS else order[:20] + order[-20:])
    values = [[one.layers[index].sparsity for one in prunings] for index in chosen]
    some = "" if len(chosen) == len(last) else ", the 20 most and the 20 least pruned layers"
    return Drawing(
        name=f"layer-zeros-{name}",
        title="",
        alt=f"Share of zeros in each layer of {title} at every level",
        subtitle=f"{title}: percent of zeros in each layer at every level{some}.",
        draw=partial(
            heat_map.draw,
            [short(last[index].name) for index in chosen],
            [str(level_name(one.level)).removesuffix(" %") for one in prunings],
            values,
            axis="level, %",
        ),
    )


def short(name: str) -> str:
    """A layer's name without what all have in common, for an axis.

    >>> short("transformer.h.0.attn.c_attn.weight")
    'h.0.attn.c_attn'
    """
    parts = name.removesuffix(".weight").split(".")
    start = next((i for i, part in enumerate(parts) if part.isdecimal()), 1)
    begin = max(0, start - 2) if "encoder" in parts or "decoder" in parts else max(0, start - 1)
    return ".".join(parts[begin:])


def _spread(prunings: Sequence[Pruning]) -> Markdown:
    """How unevenly one level falls on the layers."""
    one = next((p for p in prunings if p.level == 0.9), prunings[-1])
    shares = {layer.name: layer.sparsity or 0 for layer in one.layers}
    low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    return Markdown(
        f"At {level_name(one.level)} overall, {code(low)} loses {percent(shares[low])} of its weights "
        f"and {code(high)} {percent(shares[high])}."
    )


def _wiped(pruning: Pruning) -> Markdown:
    gone = emptied(pruning)
    if not gone:
        return Markdown("")
    names = listed([short(layer.name) for layer in gone[:6]])
    more = f" and {len(gone) - 6} more" if len(gone) > 6 else ""
    return Markdown(
        f"At {level_name(pruning.level)} nothing is left of {len(gone)} of {len(pruning.layers)} "
        f"layers: {names}{escape(more)}."
    )
