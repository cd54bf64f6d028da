"""One question about one checkpoint, as the `gen` commands put it: answered and printed, not kept.

Each function takes what a command was given and returns the answer as plain data. What evaluates and
times models is imported where it is used: to inspect and to prune need not wait for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments import export, footprint, inspection, models, pruning
from experiments.checkpoint.folder import Checkpoint
from experiments.coverage import prunable_parameters
from experiments.errors import UsageError
from experiments.methods.table import METHODS
from experiments.progress import Progress
from experiments.provenance import usable_cores
from experiments.pruning import Settings
from experiments.records import Evaluation
from experiments.stored_model import StoredModel
from experiments.study import DEFAULT_LEVELS
from experiments.tasks.table import Task

Say = Callable[[str], object]


def inspect(
    model: Checkpoint, thresholds: Sequence[float], *, say: Say, progress: Progress
) -> dict[str, Any]:
    """Every tensor of a checkpoint and the totals."""
    stored = StoredModel(model)
    count = sum(tensor.count for tensor in stored.tensors)
    size = sum(path.stat().st_size for path in model.weight_files())
    say(f"reading {count:,} numbers in {len(stored.tensors):,} tensors, {size:,} bytes")
    found = inspection.inspect(
        stored, absolute=tuple(thresholds) or inspection.ABSOLUTE, progress=progress
    )
    return {
        "tensors": [asdict(row) for row in found.tensors],
        "totals": asdict(found.totals),
        "packed_weights": found.packed_weights,
    }


def prune(
    model: Checkpoint,
    *,
    level: float | None,
    method_name: str,
    scope: str | None,
    pattern: str,
    seed: int,
    include_head: bool,
    out: Path,
    force: bool,
    say: Say,
    progress: Progress,
) -> dict[str, Any]:
    """Prune a checkpoint into a folder; what was removed."""
    if pattern != pruning.UNSTRUCTURED:
        kept, group = pruning.parse_pattern(pattern)
        level = (group - kept) / group if level is None else level
    if level is None:
        raise UsageError("no --level", "a level from 0 to 1", "give --level 0.9, say")
    settings = Settings(
        method=method_name,
        scope=scope or METHODS[method_name].scope,
        pattern=pattern,
        seed=seed,
    )
    told = export.prune_to_folder(
        model,
        settings,
        level,
        out,
        include_head=include_head,
        force=force,
        say=say,
        progress=progress,
    )
    return export.document(told)


def evaluate(
    model: Checkpoint,
    tasks: Sequence[Task],
    *,
    limit: int | None,
    batch: int,
    against: Checkpoint | None,
) -> list[dict[str, Any]]:
    """A checkpoint's answers to tasks, each with its difference from another's where given."""
    from experiments.comparison import compare

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


def _evaluation(model: Checkpoint, asked: Task, limit: int | None, batch: int) -> Evaluation:
    from experiments import evaluation
    from experiments.jobs import overlap_warnings

    opened = models.open_model(model)
    question = evaluation.prepare(opened, asked, limit=limit)
    predictions = evaluation.predict(opened, question, batch=batch)
    weights = [tensor for _, tensor in prunable_parameters(opened.model)]
    return evaluation.score(
        question,
        predictions,
        prunable=sum(tensor.numel() for tensor in weights),
        zeros=sum(int((tensor == 0).sum()) for tensor in weights),
        warnings=overlap_warnings(model, asked),
    )


SHOWN = (
    "task", "split", "n", "metric", "value", "interval", "accuracy", "accuracy_interval",
    "answered_by", "label_mapping", "constant_prediction", "majority", "not_a_label", "truncated",
    "prunable", "zeros", "warnings",
)  # fmt: skip


def _evaluation_row(answer: Evaluation) -> dict[str, Any]:
    document = asdict(answer)
    return {key: document[key] for key in SHOWN}


def time(
    model: Checkpoint,
    levels: Sequence[float],
    *,
    batches: Sequence[int],
    tokens: Sequence[int],
    threads: int | None,
) -> list[dict[str, Any]]:
    """Milliseconds of a forward pass at every batch and length."""
    from experiments import latency

    models.be_quiet()
    opened = models.open_model(model)
    shapes = [(batch, length) for batch in batches for length in tokens]
    found = latency.measure(
        opened,
        Settings(),
        tuple(levels) or DEFAULT_LEVELS,
        shapes=shapes or latency.SHAPES,
        threads=threads or usable_cores(),
    )
    return [asdict(row) for row in found.rows]


def weigh(model: Checkpoint, levels: Sequence[float]) -> list[dict[str, Any]]:
    """Bytes of each storage format at every level."""
    stored = StoredModel(model)
    asked = [level for level in (tuple(levels) or DEFAULT_LEVELS) if level > 0]
    choices = pruning.choose(list(stored.prunable.values()), Settings(), asked)
    found = footprint.footprint(stored, choices, method="magnitude")
    return [asdict(row) for row in found.rows]
