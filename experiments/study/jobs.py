"""The work a worker process does: cells that share one open checkpoint, answered one by one.

Opens models, computes, and yields records; it neither stores nor draws them.
"""

from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from time import perf_counter

import torch

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models import devices, opening
from experiments.models.opening import OpenModel
from experiments.pruning import choosing, inspection
from experiments.pruning.artefact import Artefact, Recipe, artefact
from experiments.pruning.calibrated import Calibration
from experiments.pruning.open_weights import InPlace, open_to_prune
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.quality import answering, evaluation, perplexity
from experiments.quality.tasks.table import Task
from experiments.records.cell import Cell
from experiments.records.provenance import Digests, changed, machine, stamp_of, today, versions
from experiments.records.record import Answer, Provenance, Record
from experiments.speed import footprint, latency
from experiments.study.kinds import KINDS, TIMED_THREADS
from experiments.study.plan import WEIGHTS, Job, Planned

SMALL = 1 << 28  # bytes of a checkpoint; a larger one is opened again, for its memory is worth more
Ask = Callable[[Planned], Answer]


class Opened:
    """A checkpoint, opened as the kinds of cells about it need it, each way once.

    What calibration leaves of it is kept in the folder `weights`.
    """

    def __init__(
        self, checkpoint: Checkpoint, task: Task | None, levels: tuple[float, ...], weights: Path
    ) -> None:
        self.checkpoint, self.levels = checkpoint, levels
        self._task, self._kept = task, weights
        self._asks: dict[str, Ask] = {}

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
        return open_to_prune(self.checkpoint, on=devices.device() if self._task else "cpu")

    @cached_property
    def weights(self) -> InPlace:
        """The model's prunable weights, to be pruned in place level after level."""
        return InPlace(self.model, self.levels)

    def ask(self, kind: str) -> Ask:
        """What answers cells of a kind; made ready when it is first asked for."""
        if kind not in self._asks:
            self._asks[kind] = KINDS[kind].function(self)
        return self._asks[kind]

    def artefact(self, asked: Planned) -> Artefact:
        """The weights that the calibration of a cell leaves, made now where they are not kept."""
        assert asked.method is not None, "what looks at text is some method"
        assert asked.shown is not None, "what looks at text has one"
        recipe = Recipe(
            settings=settings(asked),
            level=asked.cell.level or 0,
            calibration=Calibration(
                task=asked.shown, samples=asked.method.samples, seed=asked.cell.seed or 0
            ),
            identity=asked.identity[WEIGHTS],
        )
        return artefact(self.checkpoint, recipe, self._kept)

    def prune(self, asked: Planned) -> None:
        """Prune the model as a cell asks, or put its own weights back."""
        if asked.cell.method is None:
            self.weights.restore()
        elif asked.shown is not None:
            self.weights.take(self.artefact(asked).solved)
        else:
            self.weights.prune(settings(asked), asked.cell.level or 0)


@lru_cache(maxsize=1)
def _kept(
    checkpoint: Checkpoint,
    task: Task | None,
    levels: tuple[float, ...],
    weights: Path,
    digests: tuple[str | None, ...],
) -> Opened:
    """The same, kept open: a worker's next job is often about what these digests name."""
    del digests
    return Opened(checkpoint, task, levels, weights)


def _opened(job: Job, weights: Path) -> Opened:
    """A job's checkpoint, opened anew unless it is small and was the last."""
    checkpoint, task, identity = job.first.checkpoint, job.first.task, job.first.identity
    if sum(file.stat().st_size for file in checkpoint.weight_files()) > SMALL:
        _kept.cache_clear()
        return Opened(checkpoint, task, job.levels, weights)
    digests = identity.get("checkpoint"), identity.get("data")
    return _kept(checkpoint, task, job.levels, weights, digests)


def answers(job: Job, digests: Digests, weights: Path) -> Iterator[tuple[Cell, Record | Exception]]:
    """Answer every cell of a job; one that cannot be answered gives its error and ends no other.

    What calibration leaves is kept in the folder `weights`. An answer counts only where the files it is
    about were, before and after, those it was planned for.

    Raises:
        ReportError: where they are no longer, or the checkpoint cannot be opened.
    """
    opening.be_quiet()
    torch.set_num_threads(TIMED_THREADS)
    files = job.first.files()
    stamps = list(map(stamp_of, files))
    if not job.first.stands(digests):
        raise changed(job.first.checkpoint.name)
    opened = _opened(job, weights)
    for kind in dict.fromkeys(planned.cell.kind for planned in job.cells):
        opened.ask(kind)  # what cannot be made ready fails the job, once
    for planned in job.cells:
        start = perf_counter()
        try:
            found = opened.ask(planned.cell.kind)(planned)
        except (ReportError, RuntimeError, ValueError, MemoryError) as error:  # ours, and torch's
            yield planned.cell, error
        else:
            if list(map(stamp_of, files)) != stamps:
                raise changed(job.first.checkpoint.name)
            yield planned.cell, _record(planned, found, job.command, perf_counter() - start)


def inspected(opened: Opened) -> Ask:
    """What the stored tensors are before anything is done to them."""
    stored = opened.stored
    return lambda asked: inspection.inspect(stored)


def pruned(opened: Opened) -> Ask:
    """What a level removes of the stored tensors."""
    stored = opened.stored

    def ask(asked: Planned) -> Answer:
        tensors = list(stored.prunable.values())
        if asked.shown is not None:
            return choosing.describe(tensors, opened.artefact(asked).solved)
        (choice,) = choosing.choose(tensors, settings(asked), [asked.cell.level or 0])
        return choosing.describe(tensors, choice)

    return ask


def solved(opened: Opened) -> Ask:
    """What it took to look at what weights multiply, and to choose."""
    return lambda asked: opened.artefact(asked).cost


def weighed(opened: Opened) -> Ask:
    """Bytes of the stored tensors at every level."""
    stored, levels = opened.stored, opened.levels

    def ask(asked: Planned) -> Answer:
        how = settings(asked)
        choices = choosing.choose(list(stored.prunable.values()), how, levels)
        return footprint.footprint(stored, choices, method=how.method)

    return ask


def timed(opened: Opened) -> Ask:
    """Milliseconds of a pass at every level."""
    model, levels = opened.model, opened.levels
    return lambda asked: latency.measure(model, settings(asked), levels, threads=TIMED_THREADS)


def evaluated(opened: Opened) -> Ask:
    """The model's answers to a task, dense and pruned."""
    model, weights = opened.model, opened.weights
    question = answering.prepare(model, opened.task)
    warnings = overlap_warnings(opened.checkpoint, opened.task)

    def ask(asked: Planned) -> Answer:
        opened.prune(asked)
        predictions = answering.predict(model, question)
        return evaluation.score(
            question, predictions, prunable=weights.count, zeros=weights.zeros, warnings=warnings
        )

    return ask


def predicted(opened: Opened) -> Ask:
    """How well the model predicts a text, dense and pruned."""
    model, weights = opened.model, opened.weights
    text = perplexity.prepare(model, opened.task)

    def ask(asked: Planned) -> Answer:
        opened.prune(asked)
        losses = perplexity.losses(model, text)
        return perplexity.score(text, losses, prunable=weights.count, zeros=weights.zeros)

    return ask


def settings(asked: Planned) -> Settings:
    """How a cell asks to prune."""
    method = asked.method
    if method is None:
        return Settings()
    return Settings(
        method=method.method,
        scope=method.scope,
        pattern=method.pattern,
        seed=asked.cell.seed or 0,
        repair=method.repair,
        allocation=method.allocation,
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
