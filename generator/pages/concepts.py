"""Concepts: sparsification, pruning, quantization, distillation, MoEfication."""

from dataclasses import dataclass
from functools import partial

from experiments.records.share import share
from generator.exhibits import Drawing
from generator.figures import magnitude_density
from generator.render import Markdown, escape, percent, size, whole
from generator.report import Report


@dataclass(frozen=True)
class Context:
    """What the page shows. The example is the first measured model."""

    cut: Drawing | None
    zeros: Markdown
    bits: Markdown
    feed_forward: Markdown


def context(report: Report) -> Context:
    """One model of the report is the example throughout."""
    row = next(iter(report.measured), None)
    return Context(
        cut=_cut(report, row.name) if row and report.prunings(row.name) else None,
        zeros=_zeros(report, row.name) if row else Markdown(""),
        bits=_bits(report, row.name) if row else Markdown(""),
        feed_forward=_feed_forward(report, row.name) if row else Markdown(""),
    )


def _cut(report: Report, model: str) -> Drawing:
    found = report.inspection(model)
    points = [(point.threshold, point.below) for point in found.curve] if found else []
    cuts = [(p.level, p.threshold) for p in report.prunings(model) if p.threshold]
    return Drawing(
        name="concept-pruning",
        title="",
        alt=f"Histogram of {model}'s weight magnitudes with the cuts of each level",
        subtitle=f"The magnitudes of {model}'s prunable weights, and where each level cuts: "
        "everything left of a line becomes zero.",
        draw=partial(magnitude_density.draw, points, cuts),
    )


def _zeros(report: Report, model: str) -> Markdown:
    found = report.inspection(model)
    if found is None:
        return Markdown("")
    total = found.totals.prunable
    return Markdown(
        f"{escape(model)} holds {whole(total.count)} prunable weights, of which "
        f"{whole(total.zeros)} are exactly zero before anything is done"
    )


def _bits(report: Report, model: str) -> Markdown:
    """How many bytes the example takes as stored, and would take in fewer bits."""
    found = report.inspection(model)
    if found is None:
        return Markdown("")
    kinds = sorted({tensor.dtype for tensor in found.tensors if tensor.prunable})
    count = found.totals.prunable.count
    return Markdown(
        f"{escape(model)} is stored as {escape(', '.join(kinds))}, {size(found.file_bytes)} in all; its "
        f"{whole(count)} prunable weights alone would take {size(count)} at 8 bits each and "
        f"{size(count / 2)} at 4, scales not counted"
    )


def _feed_forward(report: Report, model: str) -> Markdown:
    """The share of prunable weights that stand in feed-forward layers."""
    found = report.inspection(model)
    if found is None:
        return Markdown("")
    prunable = [tensor for tensor in found.tensors if tensor.prunable]
    inside = sum(t.count for t in prunable if t.role.startswith("feed-forward"))
    held = share(inside, sum(t.count for t in prunable))
    return Markdown(
        f"in {escape(model)} the feed-forward layers hold {percent(held)} of the prunable weights"
    )
