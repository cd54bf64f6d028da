"""The work a worker process does: cells that share one open checkpoint, answered one by one.

Opens models, computes, and yields records; it neither stores nor draws them.
"""

from collections.abc import Iterator
from time import perf_counter

import torch

from experiments import evaluation, export, footprint, inspection, latency, models, pruning
from experiments.checkpoint.folder import Checkpoint
from experiments.methods.table import METHODS
from experiments.open_weights import InPlace
from experiments.plan import TIMED_THREADS, Job, Planned
from experiments.provenance import machine, today, versions
from experiments.pruning import Settings
from experiments.records import Answer, Cell, Provenance, Record
from experiments.tasks.table import Task


def answer(job: Job) -> Iterator[Record]:
    """Answer every cell of a job."""
    models.be_quiet()
    torch.set_num_threads(TIMED_THREADS)
    start = perf_counter()
    for planned, found in _answers(job):
        seconds = perf_counter() - start
        yield _record(planned, found, job.command, seconds)
        start = perf_counter()


def _answers(job: Job) -> Iterator[tuple[Planned, Answer]]:
    if job.timed:
        opened = models.open_model(job.first.checkpoint)
        for planned in job.cells:
            settings = Settings(method=planned.cell.method or "")
            timed = latency.measure(opened, settings, job.levels, threads=TIMED_THREADS)
            yield planned, timed
    elif job.first.task is not None:
        yield from _evaluations(job, job.first.task)
    else:
        yield from _structure(job)


def _structure(job: Job) -> Iterator[tuple[Planned, Answer]]:
    """What is read from the stored tensors: inspection, pruning, footprint."""
    checkpoint = job.first.checkpoint
    stored = export.StoredModel(checkpoint)
    for planned in job.cells:
        cell = planned.cell
        if cell.kind == "inspection":
            yield (
                planned,
                inspection.inspect(
                    stored.tensors, stored.coverage, architecture=models.architecture(checkpoint)
                ),
            )
            continue
        settings = _settings(cell)
        if cell.kind == "pruning":
            (choice,) = pruning.choose(list(stored.prunable.values()), settings, [cell.level or 0])
            yield planned, pruning.describe(list(stored.prunable.values()), choice)
        else:
            choices = pruning.choose(list(stored.prunable.values()), settings, job.levels)
            yield (
                planned,
                footprint.footprint(
                    stored.tensors, stored.prunable, choices, method=settings.method
                ),
            )


def _settings(cell: Cell) -> Settings:
    method = cell.method or "magnitude"
    return Settings(method=method, scope=METHODS[method].scope, seed=cell.seed or 0)


def _evaluations(job: Job, task: Task) -> Iterator[tuple[Planned, Answer]]:
    """Dense and pruned evaluations of one model, pruned in place level after level."""
    opened = models.open_model(job.first.checkpoint)
    question = evaluation.prepare(opened, task)
    weights = InPlace(opened)
    warnings = overlap_warnings(job.first.checkpoint, task)
    for planned in job.cells:
        cell = planned.cell
        if cell.method is not None:
            weights.prune(_settings(cell), cell.level or 0)
        predictions = evaluation.predict(opened, question)
        yield (
            planned,
            evaluation.score(
                question,
                predictions,
                prunable=weights.count,
                zeros=weights.zeros,
                warnings=warnings,
            ),
        )


def overlap_warnings(checkpoint: Checkpoint, task: Task) -> tuple[str, ...]:
    """A flag for each data set of the checkpoint's model card that overlaps the task's sentences."""
    return tuple(
        f"trained on {data}, which overlaps the sentences of {task.name}"
        for data in checkpoint.trained_on()
        if "".join(filter(str.isalnum, data.casefold().rpartition("/")[2])) in task.overlaps
    )


def _record(planned: Planned, found: Answer, command: str, seconds: float) -> Record:
    task = planned.task
    return Record(
        cell=planned.cell,
        identity=planned.identity,
        provenance=Provenance(
            date=today(),
            command=command,
            seconds=round(seconds, 3),
            machine=machine(TIMED_THREADS),
            versions=versions(),
            checkpoint=planned.checkpoint.name,
            checkpoint_digest=planned.identity.get("checkpoint"),
            revision=planned.checkpoint.revision,
            data=task.name if task else None,
            data_digest=planned.identity.get("data"),
            dtype="float32" if task or planned.cell.kind == "latency" else None,
            seed=planned.cell.seed,
        ),
        answer=found,
    )
