"""What the records say, in sentences. Pure: every number in them comes from a record."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint, FootprintRow
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency, LatencyRow
from experiments.records.perplexity import PerplexityChange
from experiments.records.study import StudyModel, StudyTask
from generator.render import (
    Markdown,
    change,
    escape,
    interval,
    level_name,
    listed,
    percent,
    perplexity,
    points,
    score,
    times,
    whole,
)
from generator.report import Report

PERPLEXITY = "perplexity"
METRIC_NAMES = {"accuracy": "accuracy", "exact_match": "exact match", "mcc": "MCC"}


@dataclass(frozen=True)
class Step:
    """One level of one model on one task: its answers and its difference from dense."""

    level: float
    evaluation: Evaluation
    loss: Comparison

    @property
    def lost(self) -> bool:
        """Whether the whole interval of the difference lies below zero; of accuracy's where MCC's is none."""
        loss = self.loss
        return (loss.difference_interval or loss.accuracy_difference_interval)[1] < 0

    @property
    def given_up(self) -> bool:
        """Whether it no longer tells sentences apart: one answer to everything, or no label at all."""
        answers = self.evaluation
        return answers.constant_prediction or answers.not_a_label == answers.n


PLAIN = ("", "F64", "F32", "F16", "BF16", "F8_E4M3FNUZ", "F8_E5M2FNUZ")


def written(found: Inspection | None) -> str:
    """What of a checkpoint is weighed: its file, or where that holds blocks, what they stand for."""
    blocks = found is not None and dequantised(found)
    return "the file of its dequantised 32-bit numbers" if blocks else "the file"


def dequantised(found: Inspection) -> bool:
    """Whether a checkpoint's file holds blocks, so that what is weighed is not that file."""
    return any(tensor.stored_as not in PLAIN for tensor in found.tensors)


def as_stored(weighed: Footprint, name: str, of: str = "file") -> dict[float, FootprintRow]:
    """The rows of one format at the stored precision, which stands first, by level."""
    stored = weighed.rows[0].dtype
    asked = (name, of, stored)
    return {row.level: row for row in weighed.rows if (row.format, row.of, row.dtype) == asked}


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
    if task.metric == PERPLEXITY:
        return _predicted(report, model, task)
    dense = report.dense(model.name, task.name)
    taken = steps(report, model.name, task.name)
    if dense is None or not taken:
        return Markdown("")
    parts = [
        f"{_about(report, model, task)}: {METRIC_NAMES[dense.metric]} "
        f"{score(dense.value, dense.metric)} "
        f"{interval(dense.interval, lambda x: score(x, dense.metric))} unpruned."
    ]
    if dense.constant_prediction:
        parts.append("It gives one answer to everything, so there is nothing to lose.")
    else:
        parts += _losses(dense, taken)
    return Markdown(" ".join(parts))


def _about(report: Report, model: StudyModel, task: StudyTask) -> str:
    return f"**{escape(report.pruned_label(model))}**, {escape(task.name)}"


def _losses(dense: Evaluation, taken: Sequence[Step]) -> list[str]:
    """Up to where no loss shows, what the first loss is, and where the model gives up."""
    unharmed = list(takewhile(lambda step: not (step.lost or step.given_up), taken))
    parts = []
    if little := _little(dense):
        parts.append(little)
        first = next((step for step in taken if step.lost), None)
    else:
        first = next(iter(taken[len(unharmed) :]), None)
        parts += [_no_loss(step) for step in unharmed[-1:]]
    if first:
        start = "Already at" if first == taken[0] else "At"
        parts.append(f"{start} {level_name(first.level)} it changes by {_difference(first)}.")
    return [*parts, *_given_up(taken)]


def _little(dense: Evaluation) -> str:
    """That a score is none to lose: naming one class always scores as much, its interval granted."""
    floor = 0.0 if dense.metric == "mcc" else dense.majority
    if dense.interval is None or dense.interval[0] > floor:
        return ""
    below = dense.interval[1] < floor
    what = "That is below" if below else "The interval includes"
    return f"{what} a constant answer's {score(floor, dense.metric)}, so there is little to lose."


def _no_loss(step: Step) -> str:
    return (
        f"Up to {level_name(step.level)} removed no loss shows: {_difference(step)} "
        f"({_needed(step)})."
    )


def _given_up(taken: Sequence[Step]) -> list[str]:
    silent = [step.level for step in taken if step.evaluation.not_a_label == step.evaluation.n]
    constant = [step.level for step in taken if step.evaluation.constant_prediction]
    parts = []
    if constant:
        parts.append(f"At {_levels(constant)} it gives one answer to everything.")
    if silent:
        parts.append(f"At {_levels(silent)} not one of its answers is a label.")
    return parts


def _predicted(report: Report, model: StudyModel, task: StudyTask) -> Markdown:
    """How far one model can be pruned before it predicts a text less well."""
    dense = report.perplexity(model.name, task.name, 0.0)
    found = [
        (at, report.perplexity_change(model.name, task.name, at)) for at in report.study.levels
    ]
    changes = [(level, one) for level, one in found if one]
    if dense is None or not changes:
        return Markdown("")
    parts = [
        f"{_about(report, model, task)}: perplexity {perplexity(dense.value)} "
        f"{interval(dense.interval, perplexity)} unpruned."
    ]
    if not (judged := [(level, one) for level, one in changes if one.ratio_interval]):
        return Markdown(" ".join([*parts, _unjudged(changes[-1])]))
    changes = judged
    unharmed = list(takewhile(lambda step: not _worse(step[1]), changes))
    for level, one in unharmed[-1:]:
        parts.append(
            f"Up to {level_name(level)} removed no loss shows: {times(one.ratio)} times as high "
            f"{interval(one.ratio_interval, times)}."
        )
    for level, one in changes[len(unharmed) :][:1]:
        start = "At" if unharmed else "Already at"
        parts.append(
            f"{start} {level_name(level)} it is {times(one.ratio)} times as high "
            f"{interval(one.ratio_interval, times)}."
        )
    return Markdown(" ".join(parts))


def _unjudged(change: tuple[float, PerplexityChange]) -> str:
    """A change that has no interval: nothing tells it from chance."""
    level, one = change
    why = f" ({escape(one.no_interval)})" if one.no_interval else ""
    return (
        f"At {level_name(level)} removed it is {times(one.ratio)} times as high, without an "
        f"interval{why}: whether that is chance cannot be told."
    )


def _worse(change: PerplexityChange) -> bool:
    """Whether the whole interval says that a text is predicted less well."""
    return change.ratio_interval is not None and change.ratio_interval[0] > 1


def _levels(levels: Sequence[float]) -> Markdown:
    return listed([level_name(level) for level in levels])


def _difference(step: Step) -> str:
    metric = step.loss.metric
    unit = "" if metric == "mcc" else " points"
    shown = f"{change(step.loss.difference, metric)}{unit}"
    if step.loss.difference_interval is None:
        found = step.loss.accuracy_difference
        bounds = interval(step.loss.accuracy_difference_interval, points)
        return f"{shown}, without an interval, accuracy by {points(found)} points {bounds}"
    return f"{shown} {interval(step.loss.difference_interval, lambda x: change(x, metric))}"


def _needed(step: Step) -> str:
    """What a loss would have had to be to count as one, and what answering without reading scores."""
    least = points(step.loss.smallest_detectable).removeprefix("+")
    return (
        f"McNemar's test would call a net loss of {least} points of accuracy significant; always "
        f"naming one class scores {percent(step.evaluation.majority)}"
    )


def control_sentence(report: Report, model: StudyModel, task: StudyTask) -> Markdown:
    """At which levels the method beats removing weights at random, for every seed."""
    judged = _judged(report, model, task)
    if not judged:
        return Markdown("")
    beaten = [level for level, verdicts in judged.items() if all(v > 0 for v in verdicts)]
    worse = [level for level, verdicts in judged.items() if all(v < 0 for v in verdicts)]
    seeds = max(map(len, judged.values()))
    what = f"beats removal at random at {_levels(beaten) if beaten else 'no level'}"
    if worse:
        what += f", and does worse at {_levels(worse)}"
    note = f"all {seeds} seeds" if seeds > 1 else "one seed"
    return Markdown(f"{_about(report, model, task)}: {report.method} {what} ({note}).")


def _judged(report: Report, model: StudyModel, task: StudyTask) -> dict[float, list[int]]:
    """By level, against each seed: 1 where the whole interval says better, -1 worse, else 0."""
    found = {}
    for level in report.study.levels:
        asked = model.name, task.name, level
        bounds = [one.difference_interval for one in report.against_control(*asked)]
        ratios = [one.ratio_interval for one in report.perplexity_against_control(*asked)]
        verdicts = [_sign(*bound) if bound else 0 for bound in bounds]
        verdicts += [-_sign(ratio[0] - 1, ratio[1] - 1) if ratio else 0 for ratio in ratios]
        if verdicts:
            found[level] = verdicts
    return found


def _sign(low: float, high: float) -> int:
    """The sign of an interval that lies on one side of zero."""
    return (low > 0) - (high < 0)


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
        f"Over {len(masked)} levels and shapes the masked model ran {span}; {_some(faster)} of the "
        f"intervals lie above 1, {_some(slower)} below."
    )


def _some(rows: Sequence[LatencyRow]) -> str:
    return str(len(rows) or "none")


def sparse_sentence(timed: Latency) -> Markdown:
    """From which level on the sparse path is faster than dense, shape by shape."""
    parts = []
    for batch, tokens in dict.fromkeys((row.batch, row.tokens) for row in timed.rows):
        if not (some := timed.sparse(batch, tokens)):
            continue
        start, best = timed.break_even(batch, tokens), some[-1]
        what = (
            "not surely faster than dense at the highest level tried"
            if start is None
            else f"faster than dense from {level_name(start)} on"
        )
        parts.append(
            f"{batch} × {tokens} tokens: {what}, at {level_name(best.level)} {best.ratio:.2f} times "
            f"as fast {interval(best.ratio_interval, lambda x: f'{x:.2f}')}"
        )
    return Markdown("; ".join(parts))
