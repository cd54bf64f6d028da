"""The work a worker process does: cells that share one open checkpoint, answered one by one.

Opens models, computes, and yields records; it neither stores nor draws them.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from time import perf_counter

import torch

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models import devices, opening
from experiments.models.opening import OpenModel
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
from experiments.study.kinds import KINDS, TIMED_THREADS
from experiments.study.plan import Job, Planned

Ask = Callable[[Cell], Answer]


class Opened:
    """A job's checkpoint, opened as its kinds of cells need it, each way once."""

    def __init__(self, job: Job) -> None:
        self.checkpoint, self.levels = job.first.checkpoint, job.levels
        self._task = job.first.task

    @property
    def task(self) -> Task:
        """The task that all cells share."""
        assert self._task is not None
        return self._task

    @cached_property
    def stored(self) -> StoredModel:
        """Its tensors as they are stored."""
        return StoredModel(self.checkpoint)

    @cached_property
    def model(self) -> OpenModel:
        """The model as it runs: a task's where it is fastest, on the processor where it is timed."""
        return opening.open_model(self.checkpoint, on=devices.device() if self._task else "cpu")

    @cached_property
    def weights(self) -> InPlace:
        """The model's prunable weights, to be pruned in place level after level."""
        return InPlace(self.model)

    def prune(self, cell: Cell) -> None:
        """Prune the model as a cell asks, if it does."""
        if cell.method is not None:
            self.weights.prune(settings(cell), cell.level or 0)


def answers(job: Job) -> Iterator[tuple[Cell, Record | str]]:
    """Answer every cell of a job; one that cannot be answered says why and ends no other."""
    opening.be_quiet()
    torch.set_num_threads(TIMED_THREADS)
    opened = Opened(job)
    kinds = dict.fromkeys(planned.cell.kind for planned in job.cells)
    asks: dict[str, Ask] = {kind: KINDS[kind].function(opened) for kind in kinds}
    for planned in job.cells:
        start = perf_counter()
        try:
            found = asks[planned.cell.kind](planned.cell)
        except ReportError as error:
            yield planned.cell, str(error)
        except (RuntimeError, ValueError, MemoryError) as error:  # torch's own refusals
            yield planned.cell, f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            yield planned.cell, _record(planned, found, job.command, perf_counter() - start)


def inspected(opened: Opened) -> Ask:
    """What the stored tensors are before anything is done to them."""
    stored = opened.stored
    return lambda cell: inspection.inspect(stored)


def pruned(opened: Opened) -> Ask:
    """What a level removes of the stored tensors."""
    tensors = list(opened.stored.prunable.values())

    def ask(cell: Cell) -> Answer:
        (choice,) = choosing.choose(tensors, settings(cell), [cell.level or 0])
        return choosing.describe(tensors, choice)

    return ask


def weighed(opened: Opened) -> Ask:
    """Bytes of the stored tensors at every level."""
    stored, levels = opened.stored, opened.levels

    def ask(cell: Cell) -> Answer:
        asked = settings(cell)
        choices = choosing.choose(list(stored.prunable.values()), asked, levels)
        return footprint.footprint(stored, choices, method=asked.method)

    return ask


def timed(opened: Opened) -> Ask:
    """Milliseconds of a pass at every level."""
    model, levels = opened.model, opened.levels
    return lambda cell: latency.measure(model, settings(cell), levels, threads=TIMED_THREADS)


def evaluated(opened: Opened) -> Ask:
    """The model's answers to a task, dense and pruned."""
    model, weights = opened.model, opened.weights
    question = answering.prepare(model, opened.task)
    warnings = overlap_warnings(opened.checkpoint, opened.task)

    def ask(cell: Cell) -> Answer:
        opened.prune(cell)
        predictions = answering.predict(model, question)
        return evaluation.score(
            question, predictions, prunable=weights.count, zeros=weights.zeros, warnings=warnings
        )

    return ask


def predicted(opened: Opened) -> Ask:
    """How well the model predicts a text, dense and pruned."""
    model, weights = opened.model, opened.weights
    text = perplexity.prepare(model, opened.task)

    def ask(cell: Cell) -> Answer:
        opened.prune(cell)
        losses = perplexity.losses(model, text)
        return perplexity.score(text, losses, prunable=weights.count, zeros=weights.zeros)

    return ask


def settings(cell: Cell) -> Settings:
    """How a cell asks to prune: its method, at that method's own scope."""
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
            dtype="float32" if task or KINDS[planned.cell.kind].timed else None,
            seed=planned.cell.seed,
        ),
        answer=found,
    )
