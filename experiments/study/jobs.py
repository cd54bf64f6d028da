"""The work a worker process does: cells that share one open checkpoint, answered one by one.

Opens models, computes, and yields records; it neither stores nor draws them.
"""

from collections.abc import Callable, Iterator
from time import perf_counter

import torch

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models import devices, opening
from experiments.pruning import choosing, inspection
from experiments.pruning.choosing import Settings
from experiments.pruning.methods.table import METHODS
from experiments.pruning.open_weights import InPlace
from experiments.pruning.stored_model import StoredModel
from experiments.quality import answering, evaluation, perplexity
from experiments.quality.tasks.table import Task
from experiments.records.cell import Cell
from experiments.records.provenance import machine, today, versions
from experiments.records.record import Answer, Provenance, Record
from experiments.speed import footprint, latency
from experiments.study.plan import TIMED_THREADS, Job, Planned

Ask = Callable[[Cell], Answer]


def answers(job: Job) -> Iterator[tuple[Cell, Record | str]]:
    """Answer every cell of a job; one that cannot be answered says why and ends no other."""
    opening.be_quiet()
    torch.set_num_threads(TIMED_THREADS)
    ask = _opened(job)
    for planned in job.cells:
        start = perf_counter()
        try:
            found = ask(planned.cell)
        except ReportError as error:
            yield planned.cell, str(error)
        except (RuntimeError, ValueError, MemoryError) as error:  # torch's own refusals
            yield planned.cell, f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            yield planned.cell, _record(planned, found, job.command, perf_counter() - start)


def _opened(job: Job) -> Ask:
    """Open a job's checkpoint once; what answers its cells."""
    if job.timed:
        return _latency(job)
    if (task := job.first.task) is not None:
        ask = _perplexity if task.metric == "perplexity" else _evaluation
        return ask(job.first.checkpoint, task)
    return _structure(job)


def _structure(job: Job) -> Ask:
    """What is read from the stored tensors: inspection, pruning, footprint."""
    checkpoint = job.first.checkpoint
    stored = StoredModel(checkpoint)

    def ask(cell: Cell) -> Answer:
        if cell.kind == "inspection":
            return inspection.inspect(stored)
        settings, tensors = _settings(cell), list(stored.prunable.values())
        if cell.kind == "pruning":
            (choice,) = choosing.choose(tensors, settings, [cell.level or 0])
            return choosing.describe(tensors, choice)
        choices = choosing.choose(tensors, settings, job.levels)
        return footprint.footprint(stored, choices, method=settings.method)

    return ask


def _latency(job: Job) -> Ask:
    """Timings of one open model."""
    opened = opening.open_model(job.first.checkpoint)

    def ask(cell: Cell) -> Answer:
        return latency.measure(opened, _settings(cell), job.levels, threads=TIMED_THREADS)

    return ask


def _evaluation(checkpoint: Checkpoint, task: Task) -> Ask:
    """Dense and pruned answers of one open model, pruned in place level after level."""
    opened = opening.open_model(checkpoint, on=devices.device())
    question = answering.prepare(opened, task)
    weights = InPlace(opened)
    warnings = overlap_warnings(checkpoint, task)

    def ask(cell: Cell) -> Answer:
        if cell.method is not None:
            weights.prune(_settings(cell), cell.level or 0)
        predictions = answering.predict(opened, question)
        return evaluation.score(
            question, predictions, prunable=weights.count, zeros=weights.zeros, warnings=warnings
        )

    return ask


def _perplexity(checkpoint: Checkpoint, task: Task) -> Ask:
    """The same of a text foretold."""
    opened = opening.open_model(checkpoint, on=devices.device())
    text = perplexity.prepare(opened, task)
    weights = InPlace(opened)

    def ask(cell: Cell) -> Answer:
        if cell.method is not None:
            weights.prune(_settings(cell), cell.level or 0)
        losses = perplexity.losses(opened, text)
        return perplexity.score(text, losses, prunable=weights.count, zeros=weights.zeros)

    return ask


def _settings(cell: Cell) -> Settings:
    method = cell.method or "magnitude"
    return Settings(method=method, scope=METHODS[method].scope, seed=cell.seed or 0)


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
            machine=machine(TIMED_THREADS, devices.gpu() if task else None),
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
