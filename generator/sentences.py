"""What the records say, in sentences. Pure: every number in them comes from a record."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.records import (
    Comparison,
    Evaluation,
    Inspection,
    LatencyRow,
    StudyModel,
    StudyTask,
)
from generator.render import (
    Markdown,
    change,
    escape,
    interval,
    level_name,
    listed,
    percent,
    points,
    score,
    whole,
)
from generator.report import Report

METRIC_NAMES = {"accuracy": "accuracy", "exact_match": "exact match", "mcc": "MCC"}


@dataclass(frozen=True)
class Step:
    """One level of one model on one task: its answers and its difference from dense."""

    level: float
    evaluation: Evaluation
    loss: Comparison

    @property
    def lost(self) -> bool:
        """Whether the whole interval of the difference lies below zero."""
        bounds = self.loss.difference_interval
        return bounds is not None and bounds[1] < 0

    @property
    def given_up(self) -> bool:
        """Whether it no longer tells sentences apart: one answer to everything, or no label at all."""
        answers = self.evaluation
        return answers.constant_prediction or answers.not_a_label == answers.n


PLAIN = ("", "F64", "F32", "F16", "BF16")


def storage(found: Inspection) -> Markdown:
    """What of a checkpoint is not the numbers that were trained: dequantised, or packed."""
    blocks = Counter(t.stored_as for t in found.tensors if t.stored_as not in PLAIN)
    parts = []
    if blocks:
        kinds = listed([f"{kind} ({count:,})" for kind, count in blocks.most_common()])
        parts.append(
            f"Its file holds {whole(sum(blocks.values()))} of its {whole(len(found.tensors))} tensors in "
            f"quantised blocks. They are measured dequantised {kinds}: the 32-bit numbers that the "
            "blocks stand for, not the numbers that were trained."
        )
    if found.packed_weights:
        by = sorted({tensor.packed for tensor in found.tensors if tensor.packed})
        parts.append(
            f"{whole(found.packed_weights)} of its weights are packed by {listed(by)}: "
            "not measured."
        )
    return Markdown(" ".join(parts))


def steps(report: Report, model: str, task: str) -> list[Step]:
    """The levels at which both the answers and the difference are on record."""
    found = []
    for level in report.study.levels:
        answers, loss = report.evaluation(model, task, level), report.loss(model, task, level)
        if answers and loss:
            found.append(Step(level, answers, loss))
    return found


def finding(report: Report, model: StudyModel, task: StudyTask) -> Markdown:
    """How far one model can be pruned on one task, in a few sentences."""
    dense = report.dense(model.name, task.name)
    taken = steps(report, model.name, task.name)
    if dense is None or not taken:
        return Markdown("")
    parts = [
        f"**{escape(model.name)}**, {escape(task.name)}: {METRIC_NAMES[dense.metric]} "
        f"{score(dense.value, dense.metric)} "
        f"{interval(dense.interval, lambda x: score(x, dense.metric))} unpruned."
    ]
    if dense.constant_prediction:
        parts.append("It gives one answer to everything, so there is nothing to lose.")
    else:
        parts += _losses(taken)
    return Markdown(" ".join(parts))


def _losses(taken: Sequence[Step]) -> list[str]:
    """Up to where no loss shows, what the first loss is, and where the model gives up."""
    unharmed = []
    for step in taken:
        if step.lost or step.given_up:
            break
        unharmed.append(step)
    parts = []
    if unharmed:
        last = unharmed[-1]
        parts.append(
            f"Up to {level_name(last.level)} removed no loss shows: {_difference(last)} "
            f"({_needed(last)})."
        )
    rest = taken[len(unharmed) :]
    if rest:
        first = rest[0]
        start = "Already at" if not unharmed else "At"
        parts.append(f"{start} {level_name(first.level)} it changes by {_difference(first)}.")
    silent = [step.level for step in taken if step.evaluation.not_a_label == step.evaluation.n]
    constant = [step.level for step in taken if step.evaluation.constant_prediction]
    if constant:
        parts.append(f"At {_levels(constant)} it gives one answer to everything.")
    if silent:
        parts.append(f"At {_levels(silent)} not one of its answers is a label.")
    return parts


def _levels(levels: Sequence[float]) -> Markdown:
    return listed([level_name(level) for level in levels])


def _difference(step: Step) -> str:
    metric = step.loss.metric
    unit = "" if metric == "mcc" else " points"
    bounds = interval(step.loss.difference_interval, lambda x: change(x, metric))
    return f"{change(step.loss.difference, metric)}{unit} {bounds}"


def _needed(step: Step) -> str:
    """What a loss would have had to be to count as one, and what answering without reading scores."""
    least = points(step.loss.smallest_detectable).removeprefix("+")
    return (
        f"McNemar's test would call a net loss of {least} points of accuracy significant; always "
        f"naming one class scores {percent(step.evaluation.majority)}"
    )


def control_sentence(report: Report, model: StudyModel, task: StudyTask) -> Markdown:
    """At which levels the method beats removing weights at random, for every seed."""
    beaten, worse, tried, seeds = [], [], [], 0
    for level in report.study.levels:
        rivals = report.against_control(model.name, task.name, level)
        if not rivals:
            continue
        tried.append(level)
        seeds = max(seeds, len(rivals))
        bounds = [rival.difference_interval for rival in rivals]
        if all(bound is not None and bound[0] > 0 for bound in bounds):
            beaten.append(level)
        if all(bound is not None and bound[1] < 0 for bound in bounds):
            worse.append(level)
    if not tried:
        return Markdown("")
    levels = listed([level_name(level) for level in beaten])
    what = (
        f"beats removal at random at {levels}" if beaten else "beats removal at random at no level"
    )
    if worse:
        what += f", and does worse at {_levels(worse)}"
    note = f"all {seeds} seeds" if seeds > 1 else "one seed"
    return Markdown(
        f"**{escape(model.name)}**, {escape(task.name)}: {report.method} {what} ({note})."
    )


def latency_sentence(rows: Sequence[LatencyRow]) -> Markdown:
    """Whether masked weights ran faster than dense ones anywhere."""
    masked = [row for row in rows if row.path == "masked"]
    faster = [row for row in masked if row.ratio_interval and row.ratio_interval[0] > 1]
    slower = [row for row in masked if row.ratio_interval and row.ratio_interval[1] < 1]
    if not masked:
        return Markdown("")
    low, high = min(row.ratio for row in masked), max(row.ratio for row in masked)
    span = f"between {low:.2f} and {high:.2f} times as fast as dense"
    if not faster and not slower:
        return Markdown(
            f"Over {len(masked)} levels and shapes the masked model ran {span}, and every interval "
            "of that ratio includes 1: no difference in speed shows."
        )
    return Markdown(
        f"Over {len(masked)} levels and shapes the masked model ran {span}; the interval lies above "
        f"1 in {len(faster)} and below 1 in {len(slower)} of them. By chance alone about one 95 % "
        "interval in twenty misses the true ratio."
    )
