"""Challenges of making language models sparse, each tied to evidence here or in a cited source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.records.share import share
from experiments.records.study import StudyModel
from generator.layers import emptied, short
from generator.render import Markdown, escape, level_name, listed, percent, points, score, whole
from generator.report import Report
from generator.sentences.quality import METRIC_NAMES, as_stored, latency_sentence, written


@dataclass(frozen=True)
class Context:
    """The evidence of this report, challenge by challenge; empty where it has none."""

    collapse: tuple[Markdown, ...]
    hidden: tuple[Markdown, ...]
    embeddings: tuple[Markdown, ...]
    noise: Markdown
    speed: tuple[Markdown, ...]
    bytes: tuple[Markdown, ...]
    note: Markdown
    reviews: bool


def context(report: Report) -> Context:
    """Look through the records for what each challenge predicts."""
    return Context(
        collapse=tuple(_collapse(report)),
        hidden=tuple(_hidden(report)),
        embeddings=tuple(_embeddings(report)),
        noise=_noise(report),
        speed=tuple(
            Markdown(f"**{escape(view.pruned_label(row))}**. {latency_sentence(found.rows)}")
            for view, row in report.by_method(report.measured)
            if (found := view.latency(row.name))
        ),
        bytes=tuple(_bytes(report)),
        note=report.note(report.measured),
        reviews=any(task.name in ("reviews", "sst2") for task in report.study.tasks),
    )


def _collapse(report: Report) -> Iterator[Markdown]:
    """Layers that a global threshold empties."""
    for view, row in report.by_method(report.measured):
        if not (pruned := view.prunings(row.name)):
            continue
        empty = [(one, emptied(one)) for one in pruned if emptied(one)]
        if empty:
            first, gone = empty[0]
            names = listed([short(layer.name) for layer in gone[:3]])
            yield Markdown(
                f"**{escape(view.pruned_label(row))}**: layers are first emptied at "
                f"{level_name(first.level)}: {len(gone)} of {len(first.layers)}, {names} among them."
            )
        else:
            yield Markdown(
                f"**{escape(view.pruned_label(row))}**: no layer is emptied at any level tried."
            )


def _hidden(report: Report) -> Iterator[Markdown]:
    """Answers whose accuracy looks fine although the model says one thing to everything."""
    for task in report.study.tasks:
        found = [
            (view.pruned_label(row), level, answer)
            for view, row in report.by_method(report.measured)
            for level in report.study.levels
            if (answer := view.evaluation(row.name, task.name, level))
            and answer.constant_prediction
            and answer.metric == "mcc"
        ]
        if found:
            name, level, answer = max(found, key=lambda one: one[2].accuracy)
            yield Markdown(
                f"On {escape(task.name)} {escape(name)} at {level_name(level)} answers one thing to "
                f"all {answer.n} sentences and still has an accuracy of {percent(answer.accuracy)}; "
                f"its {METRIC_NAMES[answer.metric]} is {score(answer.value, answer.metric)}."
            )


def _embeddings(report: Report) -> Iterator[Markdown]:
    """What 90 % of the prunable weights is of all parameters."""
    for row in report.measured:
        found = report.inspection(row.name)
        one = report.pruning(row.name, 0.9)
        if found and one:
            total = found.totals.parameters_deduplicated.count
            prunable, zeros = share(one.prunable, total), share(one.zeros, total)
            yield Markdown(
                f"**{escape(report.label(row))}**: {percent(prunable)} of the parameters are "
                f"prunable, so 90 % of those is {percent(zeros)} of all."
            )


def _noise(report: Report) -> Markdown:
    """What a loss had to be to count as one, over the comparisons with dense of each origin."""
    groups = report.by_origin(report.measured).values()
    return Markdown(" ".join(filter(None, (_smallest(report, rows) for rows in groups))))


def _smallest(report: Report, rows: Sequence[StudyModel]) -> str:
    losses = [
        loss
        for view, row in report.by_method(rows)
        for task in report.study.tasks
        for level in report.study.levels
        if (loss := view.loss(row.name, task.name, level))
    ]
    if not losses:
        return ""
    of = " of the rows marked (recorded)" if report.note(rows) else ""
    least = min(one.smallest_detectable for one in losses)
    most = max(one.smallest_detectable for one in losses)
    return (
        f"Over {len(losses)} comparison{'s'[: len(losses) - 1]}{of} with dense, McNemar's test would "
        f"have called a net loss in accuracy significant {_from_to(least, most)}"
    )


def _from_to(least: float, most: float) -> str:
    """From which loss on, or between which losses where that is not the same everywhere."""
    low, high = (points(loss).removeprefix("+") for loss in (least, most))
    if low == high:
        return f"from {low} points on."
    return f"from {low} to {high} points, depending on how many answers changed."


def _bytes(report: Report) -> Iterator[Markdown]:
    """Files before and after masking."""
    for view, row in report.by_method(report.measured):
        weighed = view.footprint(row.name)
        dense = {r.bytes for r in as_stored(weighed, "dense").values()} if weighed else set()
        if weighed and len(dense) == 1:
            packed = list(as_stored(weighed, "gzip").values())
            yield Markdown(
                f"**{escape(view.pruned_label(row))}**: {written(report.inspection(row.name))}, dense, has "
                f"the same {whole(dense.pop())} bytes at every level; only compressing it shows the "
                f"zeros: by gzip it takes {percent(packed[0].ratio)} of that before anything is pruned "
                f"and {percent(packed[-1].ratio)} at {level_name(packed[-1].level)}."
            )
