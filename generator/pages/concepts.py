"""Concepts: sparsification, pruning, quantization, distillation, MoEfication, each done once on a model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection, NearZero
from experiments.records.share import share
from experiments.records.study import StudyModel
from generator.exhibits import Drawing
from generator.figures import magnitude_density
from generator.pages.brief import at_most, brief_count, brief_size, task_name
from generator.pages.collapse import Pair, chosen, pairs
from generator.pages.costs import of_file, of_half
from generator.render import Markdown, escape, level_name, number, percent
from generator.report import Report

NOTHING = Markdown("")
NEAR = 0.1  # of its matrix's RMS: a weight below that is called near zero
STUDENTS = ("wang2020minilm", "sanh2019distilbert")  # papers of distilled models, as rows cite them


@dataclass(frozen=True)
class Context:
    """What the page shows; empty where it is not on record."""

    zeros: Markdown
    best: Markdown
    gone: Markdown
    cut: Drawing | None
    bits: Markdown
    student: Markdown
    halved: bool
    feed_forward: Markdown
    note: Markdown


def context(report: Report) -> Context:
    """The example is the model that stands pruning best, for quantization the one stored in fewest bits."""
    some = chosen(report)
    cases = pairs(report, some.rows)
    best = max(cases, key=lambda pair: (pair.unharmed, _lead(report, pair)), default=None)
    row = best.row if best else next(iter(some.rows), None)
    name = escape(report.label(row)) if row else NOTHING
    inspected = report.inspection(row.name) if row else None
    student = next((one for one in some.rows if one.cite in STUDENTS), None)
    return Context(
        zeros=zeros(name, inspected) if inspected else NOTHING,
        best=_best(report, best, len(cases)) if best else NOTHING,
        gone=gone(best) if best else NOTHING,
        cut=_cut(report, row, best) if row else None,
        bits=_bits(report, some.rows, cases),
        student=_student(report, student) if student else NOTHING,
        halved=bool(student and "minilm-l6" in student.checkpoint.lower()),
        feed_forward=feed_forward(name, inspected) if inspected else NOTHING,
        note=report.note(some.rows),
    )


def _lead(report: Report, pair: Pair) -> float:
    """By how much the unpruned model beats always naming one class."""
    dense = report.dense(pair.row.name, pair.task.name)
    return dense.accuracy - dense.majority if dense else 0.0


def zeros(name: Markdown, inspected: Inspection) -> Markdown:
    """How many weights are zero, or near it, before anything is done."""
    total = inspected.totals.prunable
    if not total.count:
        return NOTHING
    prunable = [tensor for tensor in inspected.tensors if tensor.prunable]
    near = [x.count for tensor in prunable for x in tensor.near_zero if _near(x)]
    exact = f"{percent(total.sparsity)} are" if total.zeros else "none is"
    close = (
        f"; {percent(share(sum(near), total.count), 0)} are below a tenth of their matrix's RMS"
        if near
        else ""
    )
    return Markdown(
        f"Of the {brief_count(total.count)} prunable weights of {name}, {exact} exactly zero as "
        f"stored{close}."
    )


def _near(one: NearZero) -> bool:
    return one.relative_to == "rms" and one.threshold == NEAR


def _best(report: Report, pair: Pair, cases: int) -> Markdown:
    where = pair.row.name, pair.task.name, pair.unharmed
    loss, dense = report.loss(*where), report.dense(*where[:2])
    return best(escape(report.label(pair.row)), pair, dense, loss, cases)


def best(
    name: Markdown, pair: Pair, dense: Evaluation | None, loss: Comparison | None, cases: int
) -> Markdown:
    """How little the pair that stands pruning best may have lost at its last level without a loss."""
    of = f", the best of {cases} cases" if cases > 1 else ""
    if not pair.unharmed:
        first = level_name(min(pair.states))
        return Markdown(f"Even {name} on {task_name(pair.task)} shows a loss at {first}{of}.")
    at = f"At {level_name(pair.unharmed)} zeros {name}"
    if dense is None or loss is None:
        return Markdown(f"{at} shows no loss on {task_name(pair.task)}{of}.")
    lost = at_most(-loss.accuracy_difference_interval[0])
    return Markdown(f"{at} loses at most {lost} points on {task_name(pair.task)}{of}.")


def gone(pair: Pair) -> Markdown:
    """From which level on the pair no longer beats a fixed answer."""
    if pair.gone is None:
        return Markdown(f"It beats a fixed answer up to {level_name(max(pair.states))}.")
    return Markdown(f"From {level_name(pair.gone)} on it beats no fixed answer.")


def _cut(report: Report, row: StudyModel, best: Pair | None) -> Drawing | None:
    inspected, level = report.inspection(row.name), best.unharmed if best else 0.0
    cuts = [(p.level, p.threshold) for p in report.prunings(row.name) if p.threshold]
    if not cuts or inspected is None:
        return None
    level, threshold = next((cut for cut in cuts if cut[0] == level), cuts[0])
    finding = (
        f"{level_name(level)} of the prunable weights of {report.label(row)} lie below "
        f"{number(threshold, 2)}"
    )
    return Drawing(
        name="concept-pruning",
        title=f"{finding}",
        subtitle=f"{report.label(row)}: magnitudes of its prunable weights, and where each level cuts.",
        alt=f"Histogram of magnitudes: {finding}, where that level cuts",
        draw=partial(
            magnitude_density.draw, [(p.threshold, p.below) for p in inspected.curve], cuts
        ),
    )


def _bits(report: Report, rows: Sequence[StudyModel], cases: Sequence[Pair]) -> Markdown:
    """Of the first model stored in blocks of fewer bits, else of the first weighed in two widths."""
    weighed = [(row, one) for row in rows if (one := report.footprint(row.name))]
    for row, one in weighed:
        inspected = report.inspection(row.name)
        if inspected and (blocks := _blocks(inspected)):
            levels = [pair.gone for pair in cases if pair.row == row]
            dead = None if None in levels or not levels else max(x for x in levels if x is not None)
            return blocks_of(escape(report.label(row)), inspected.file_bytes, blocks, one, dead)
    for row, one in weighed:
        if text := halved(escape(report.label(row)), one):
            return text
    return NOTHING


def _blocks(inspected: Inspection) -> int | None:
    """The fewest bits of any block format a file holds, by its name (Q4_1: 4)."""
    kinds = (re.match(r"I?Q(\d)", tensor.stored_as) for tensor in inspected.tensors)
    return min((int(kind[1]) for kind in kinds if kind), default=None)


def blocks_of(
    name: Markdown, file: int, width: int, weighed: Footprint, dead: float | None
) -> Markdown:
    """What few bits save, and from which level on zeros in bit masks of 16 bits save as much.

    `dead` is the level from which on nothing the model was asked beats a fixed answer.
    """
    dense = of_half(weighed, "dense").get(0.0)
    if not dense:
        return NOTHING
    masks = of_half(weighed, "bitmask")
    level = next((at for at, size in sorted(masks.items()) if size < file), None)
    text = (
        f"{name} came in {width}-bit blocks of {brief_size(file)}; in 16 bits it takes "
        f"{brief_size(dense)}."
    )
    if level is None:
        return Markdown(f"{text} No level of zeros in bit masks takes less.")
    lost = ", where it beats no fixed answer" if dead is not None and level >= dead else ""
    return Markdown(
        f"{text} Zeros in bit masks take less only from {level_name(level)} on "
        f"({brief_size(masks[level])}){lost}."
    )


def halved(name: Markdown, weighed: Footprint) -> Markdown:
    """What half the bits save."""
    stored, half = of_file(weighed, "dense").get(0.0), of_half(weighed, "dense").get(0.0)
    if not stored or not half:
        return NOTHING
    return Markdown(
        f"With half the bits to a weight, {name} takes {brief_size(half)} instead of {brief_size(stored)}."
    )


def _student(report: Report, row: StudyModel) -> Markdown:
    dense = [
        (task_name(task), one)
        for task in report.tasks_of(row)
        if (one := report.dense(row.name, task.name)) and one.metric == "accuracy"
    ]
    best = max(dense, key=lambda one: one[1].accuracy, default=None)
    return student(escape(report.label(row)), report.inspection(row.name), best)


def student(
    name: Markdown, inspected: Inspection | None, best: tuple[Markdown, Evaluation] | None
) -> Markdown:
    """A row that was itself distilled: its size, and what it gets right unpruned."""
    if inspected is None:
        return NOTHING
    count = brief_count(inspected.totals.parameters_deduplicated.count)
    if best is None:
        return Markdown(f"{name} is a student of {count} parameters.")
    task, answers = best
    return Markdown(
        f"{name}, a student of {count} parameters, gets {percent(answers.accuracy, 0)} of {task} right "
        "unpruned."
    )


def feed_forward(name: Markdown, inspected: Inspection) -> Markdown:
    """The share of prunable weights that stand in feed-forward layers: all that experts can spare."""
    prunable = [tensor for tensor in inspected.tensors if tensor.prunable]
    inside = sum(t.count for t in prunable if t.role.startswith("feed-forward"))
    held = share(inside, sum(t.count for t in prunable))
    if not held:
        return NOTHING
    return Markdown(
        f"In {name}, feed-forward layers hold {percent(held, 0)} of the prunable weights."
    )
