"""Concepts: sparsification, pruning, quantization, distillation, MoEfication, each done once on a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.evaluation import Evaluation
from experiments.records.inspection import Inspection
from experiments.records.study import StudyModel
from generator import pairs
from generator.exhibits import Drawing
from generator.figures import magnitude_density
from generator.pairs import Pair
from generator.render import Markdown, escape, level_name, number, percent, short_count
from generator.report import Report
from generator.sentences import bits, damage, tasks, weights

NOTHING = Markdown("")
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
    rows = pairs.chosen(report)
    some = [pair for pair in pairs.pairs(report, rows) if pair.able]
    some = [pair for pair in some if pair.view.method == report.method]
    best = max(some, key=lambda pair: (pair.course.unharmed or 0.0, _lead(pair)), default=None)
    row = best.row if best else next(iter(rows), None)
    name = escape(report.label(row)) if row else NOTHING
    inspected = report.inspection(row.name) if row else None
    distilled = next((one for one in rows if one.cite in STUDENTS), None)
    return Context(
        zeros=weights.zeros(name, inspected) if inspected else NOTHING,
        best=damage.best(best, len(some)) if best else NOTHING,
        gone=damage.end(best) if best else NOTHING,
        cut=_cut(report, row, best) if row else None,
        bits=_bits(report, rows, some),
        student=_student(report, distilled) if distilled else NOTHING,
        halved=bool(distilled and "minilm-l6" in distilled.checkpoint.lower()),
        feed_forward=weights.feed_forward(name, inspected) if inspected else NOTHING,
        note=report.note(rows),
    )


def _lead(pair: Pair) -> float:
    """By how much the unpruned model beats always naming one class."""
    dense = pair.view.dense(pair.row.name, pair.task.name)
    return dense.accuracy - dense.majority if dense else 0.0


def _cut(report: Report, row: StudyModel, best: Pair | None) -> Drawing | None:
    inspected, level = report.inspection(row.name), best.course.unharmed if best else None
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
        title=finding,
        subtitle=f"{report.label(row)}: magnitudes of its prunable weights, and where each level cuts.",
        alt=f"Histogram of magnitudes: {finding}, where that level cuts",
        draw=partial(
            magnitude_density.draw, [(p.threshold, p.below) for p in inspected.curve], cuts
        ),
    )


def _bits(report: Report, rows: Sequence[StudyModel], some: Sequence[Pair]) -> Markdown:
    """Of the first model stored in blocks of fewer bits, else of the first weighed in two widths."""
    weighed = [(row, one) for row in rows if (one := report.footprint(row.name))]
    for row, one in weighed:
        inspected = report.inspection(row.name)
        if inspected and (width := bits.fewest(inspected)):
            courses = [pair.course for pair in some if pair.row == row]
            name = escape(report.label(row))
            return bits.blocks(name, inspected.file_bytes, width, one, courses)
    for row, one in weighed:
        if text := bits.halved(escape(report.label(row)), one):
            return text
    return NOTHING


def _student(report: Report, row: StudyModel) -> Markdown:
    dense = [
        (escape(tasks.title(task)), one)
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
    count = short_count(inspected.totals.parameters_deduplicated.count)
    if best is None:
        return Markdown(f"{name} is a student of {count} parameters.")
    task, answers = best
    return Markdown(
        f"{name}, a student of {count} parameters, gets {percent(answers.accuracy, 0)} of {task} right "
        "unpruned."
    )
