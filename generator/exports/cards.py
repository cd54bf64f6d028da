"""What was measured of a model as the block `model-index` of a model card on the hub. Pure.

One result a task and level: unpruned first, then each method's levels by their names. It is YAML for
the head of a README.md; what the fields are, the hub's own documentation says.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.records.cell import Interval
from experiments.records.study import StudyModel, StudyTask
from generator.render import Markdown, escape, escape_controls, level_name
from generator.report import Report

HEAD = "# For the head of this model's README.md, between its two lines of three dashes.\n"
METRICS = {"mcc": "matthews_correlation"}  # names here, and on the hub where they differ


def name(report: Report, row: StudyModel) -> str:
    """The file of a row's card, below the site."""
    return f"data/{report.stem(row)}-model-index.yml"


def link(
    report: Report, row: StudyModel, text: str = "Results for its model card, YAML"
) -> Markdown:
    """A link to it; empty where the row has answered nothing."""
    if not report.tasks_of(row):
        return Markdown("")
    return Markdown(f"[{escape(text)}]({name(report, row)}){{ .csv }}")


def files(report: Report) -> dict[str, bytes]:
    """The card of every row that has answered a task, by its file."""
    rows = [row for row in report.measured if report.tasks_of(row)]
    return {name(report, row): content(report, row) for row in rows}


def content(report: Report, row: StudyModel) -> bytes:
    """One row's card."""
    import yaml

    index = [{"name": escape_controls(row.name), "results": list(_results(report, row))}]
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same bytes, ten times as fast
    text = yaml.dump(
        {"model-index": index}, Dumper=dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return (HEAD + text).encode()


def _results(report: Report, row: StudyModel) -> Iterator[dict[str, Any]]:
    for task in report.tasks_of(row):
        yield from _result(report, row, task, 0.0)
        for view, _ in report.by_method([row]):
            for level in sorted(report.study.levels):
                yield from _result(view, row, task, level)


def _result(
    view: Report, row: StudyModel, task: StudyTask, level: float
) -> Iterator[dict[str, Any]]:
    """What a row answered to a task at a level, if it is on record."""
    model, asked = row.name, task.name
    how = f"{view.method}, {level_name(level)} zeros" if level else "unpruned"
    pruned = {"method": escape_controls(view.method), "level": level} if level else {}
    if answer := view.evaluation(model, asked, level):
        kind, split = "text-classification", answer.split
        metrics = [_metric(answer.metric, how, answer.value, answer.interval, pruned, answer.n)]
        if answer.metric != "accuracy":
            bounds = answer.accuracy_interval
            metrics.append(_metric("accuracy", how, answer.accuracy, bounds, pruned, answer.n))
    elif text := view.perplexity(model, asked, level):
        kind, split = "text-generation", text.split
        metrics = [_metric("perplexity", how, text.value, text.interval, pruned, text.n)]
    else:
        return
    yield {
        "task": {"type": kind, "name": escape_controls(task.question)},
        "dataset": {
            "type": escape_controls(task.name),
            "name": escape_controls(task.name),
            "split": escape_controls(split),
        },
        "metrics": metrics,
    }


def _metric(
    metric: str,
    how: str,
    value: float,
    interval: Interval | None,
    pruned: Mapping[str, Any],
    n: int,
) -> dict[str, Any]:
    bounds = {"interval_95": list(interval)} if interval else {}
    return {
        "type": escape_controls(METRICS.get(metric, metric)),
        "value": value,
        "name": escape_controls(f"{metric}, {how}"),
        "args": {**pruned, "n": n, **bounds},
    }
