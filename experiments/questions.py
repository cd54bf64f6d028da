"""One question about one checkpoint, as the `gen` commands put it: answered and printed, not kept.

Each function takes what a command was given and returns the answer as plain data.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments import evaluation, export, footprint, inspection, latency, models, pruning
from experiments.checkpoint.locate import locate, miniatures
from experiments.comparison import compare
from experiments.errors import UsageError, unknown_name
from experiments.jobs import overlap_warnings
from experiments.methods.table import METHODS, method
from experiments.metrics import METRICS
from experiments.open_weights import prunable_tensors
from experiments.provenance import usable_cores
from experiments.pruning import Settings
from experiments.records import Evaluation
from experiments.tasks.table import TASKS, Task, task

DEFAULT_LEVELS = (0.10, 0.50, 0.90, 0.95, 0.99)


def inspect(model: str, thresholds: Sequence[float]) -> dict[str, Any]:
    """Every tensor of a checkpoint and the totals."""
    stored = export.StoredModel(locate(model, relative_to=Path()))
    found = inspection.inspect(
        stored.tensors,
        stored.coverage,
        architecture=models.architecture(stored.checkpoint),
        absolute=tuple(thresholds) or inspection.ABSOLUTE,
    )
    return {"tensors": [asdict(row) for row in found.tensors], "totals": asdict(found.totals)}


def prune(
    model: str,
    *,
    level: float | None,
    method_name: str,
    scope: str | None,
    pattern: str,
    seed: int,
    include_head: bool,
    out: Path,
    force: bool,
) -> dict[str, Any]:
    """Prune a checkpoint into a folder; what was removed."""
    if pattern != pruning.UNSTRUCTURED:
        kept, group = pruning.parse_pattern(pattern)
        level = (group - kept) / group if level is None else level
    if level is None:
        raise UsageError("no --level", "a level from 0 to 1", "give --level 0.9, say")
    settings = Settings(
        method=method_name,
        scope=scope or method(method_name).scope,
        pattern=pattern,
        seed=seed,
    )
    checkpoint = locate(model, relative_to=Path())
    told = export.prune_to_folder(
        checkpoint, settings, level, out, include_head=include_head, force=force
    )
    return export.document(told)


def evaluate(
    model: str, tasks: Sequence[Task], *, limit: int | None, batch: int, against: str | None
) -> list[dict[str, Any]]:
    """A checkpoint's answers to tasks, each with its difference from another's where given."""
    models.be_quiet()
    found = [_evaluation(model, one, limit, batch) for one in tasks]
    rows = [_evaluation_row(answer) for answer in found]
    if against is not None:
        for one, answer, row in zip(tasks, found, rows):
            other = _evaluation(against, one, limit, batch)
            joined = compare(answer, other, clusters=one.load().sample(limit).clusters)
            row["difference"] = joined.difference
            row["difference_interval"] = joined.difference_interval
            row["p_value"] = joined.p_value
    return rows


def _evaluation(model: str, asked: Task, limit: int | None, batch: int) -> Evaluation:
    checkpoint = locate(model, relative_to=Path())
    opened = models.open_model(checkpoint)
    question = evaluation.prepare(opened, asked, limit=limit)
    predictions = evaluation.predict(opened, question, batch=batch)
    tensors = prunable_tensors(opened.model)
    return evaluation.score(
        question,
        predictions,
        prunable=pruning.sum_of(tensors),
        zeros=sum(int((tensor.weights == 0).sum()) for tensor in tensors),
        warnings=overlap_warnings(checkpoint, asked),
    )


SHOWN = (
    "task", "split", "n", "metric", "value", "interval", "accuracy", "accuracy_interval",
    "answered_by", "label_mapping", "constant_prediction", "majority", "not_a_label", "truncated",
    "prunable", "zeros", "warnings",
)  # fmt: skip


def _evaluation_row(answer: Evaluation) -> dict[str, Any]:
    document = asdict(answer)
    return {key: document[key] for key in SHOWN}


def task_from_file(path: Path, *, text: str, label: str, metric: str) -> Task:
    """A task made of the user's own labelled sentences."""
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    return Task(
        name=path.stem,
        question=f"Which {label} does a sentence of {path.name} carry?",
        file=path,
        metric=metric,
        text=text,
        label=label,
    )


def bundled_tasks(names: Sequence[str]) -> list[Task]:
    """The tasks of those names."""
    return [task(name) for name in names]


def time(
    model: str,
    levels: Sequence[float],
    *,
    batches: Sequence[int],
    tokens: Sequence[int],
    threads: int | None,
) -> list[dict[str, Any]]:
    """Milliseconds of a forward pass at every batch and length."""
    models.be_quiet()
    opened = models.open_model(locate(model, relative_to=Path()))
    shapes = [(batch, length) for batch in batches for length in tokens]
    found = latency.measure(
        opened,
        Settings(),
        tuple(levels) or DEFAULT_LEVELS,
        shapes=shapes or latency.SHAPES,
        threads=threads or usable_cores(),
    )
    return [asdict(row) for row in found.rows]


def weigh(model: str, levels: Sequence[float]) -> list[dict[str, Any]]:
    """Bytes of each storage format at every level."""
    stored = export.StoredModel(locate(model, relative_to=Path()))
    asked = [level for level in (tuple(levels) or DEFAULT_LEVELS) if level > 0]
    choices = pruning.choose(list(stored.prunable.values()), Settings(), asked)
    found = footprint.footprint(stored.tensors, stored.prunable, choices, method="magnitude")
    return [asdict(row) for row in found.rows]


def table_of(what: str) -> list[dict[str, Any]]:
    """The models that are bundled, or the methods or tasks there are."""
    if what == "models":
        return [{"name": name} for name in miniatures()]
    if what == "methods":
        return [
            {"name": name, "scope": row.scope, "nested": row.nested, "summary": row.summary}
            for name, row in METHODS.items()
        ]
    return [
        {"name": name, "metric": row.metric, "question": row.question}
        for name, row in TASKS.items()
    ]
