"""The plan: which cells a study asks for, and what each answer depends on.

Reads the files it digests; imports no torch and measures nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate
from experiments.errors import ReportError
from experiments.pruning.methods.table import METHODS
from experiments.quality.tasks.located import located
from experiments.quality.tasks.table import Task
from experiments.records.cell import DENSE, FIXED, Cell
from experiments.records.provenance import Digests, digest_text
from experiments.records.study import Study, StudyModel
from experiments.study.failures import reason
from experiments.study.fitting import UnfitError, family_as_found, tasks_that_fit
from experiments.study.kinds import KINDS, Kind
from experiments.study.study import LoadedStudy, StudyError, shown_tasks


@dataclass(frozen=True)
class Planned:
    """A cell to be answered here: what it depends on, and what it is asked of."""

    cell: Cell
    identity: dict[str, str]
    checkpoint: Checkpoint
    task: Task | None = None

    def files(self) -> list[Path]:
        """What is read to answer it, and was digested to plan it."""
        data = [self.task.file] if self.task and self.task.file else []
        return [*self.checkpoint.digested(), *data]

    def stands(self, digests: Digests) -> bool:
        """Whether its files are those that it was planned for."""
        found = _contents(self.checkpoint, self.task, digests)
        return all(self.identity[key] == digest for key, digest in found.items())


@dataclass
class Plan:
    """The cells of a study: to be answered here, or taken from what is recorded; and what failed.

    `study` is the one asked for, its rows with what their checkpoints say of them.
    """

    study: Study
    here: list[Planned] = field(default_factory=list)
    recorded: list[Cell] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> list[str]:
        """What a row that names no tasks is not asked, and why, a line each."""
        return [
            f"{model.name}, {task}: {reason}"
            for model in self.study.models
            for task, reason in model.skipped.items()
        ]


def questions(study: Study, model: StudyModel) -> Iterator[Cell]:
    """Every cell of one row of the report, kind by kind."""
    for kind in KINDS.values():
        yield from kind.questions(study, model)


def joins(cell: Cell) -> bool:
    """Whether it joins two other cells, and is answered from their records."""
    return bool(KINDS[cell.kind].joins)


def sides(cell: Cell) -> tuple[Cell, ...]:
    """The two answers that a comparison joins; the first alone where no model gave the other."""
    asked = replace(cell, kind=KINDS[cell.kind].joins, against=None)
    if cell.against == FIXED:
        return (asked,)
    if cell.against == DENSE:
        return asked, replace(asked, method=None, level=0.0, seed=None)
    method, _, seed = (cell.against or "").partition(" seed ")
    return asked, replace(asked, method=method, seed=int(seed) if seed else None)


def shown(cell: Cell) -> str:
    """A cell in words.

    >>> shown(Cell(kind="pruning", model="GPT-2", method="magnitude", level=0.5))
    'GPT-2, pruning, magnitude 0.5'
    """
    run = f"{cell.method or 'dense'} {cell.level:g}" if cell.level is not None else cell.method
    seed = None if cell.seed is None else f"seed {cell.seed}"
    against = f"against {cell.against}" if cell.against else None
    return ", ".join(filter(None, [cell.model, cell.kind, cell.task, run, seed, against]))


def make_plan(loaded: LoadedStudy, digests: Digests) -> Plan:
    """The cells of every row that is not for later. What cannot be asked is a failure, a line each.

    Raises:
        StudyError: where rows say of their checkpoints what is not so, a line each.
    """
    plan = Plan(loaded.study)
    rows, faults = [], []
    for model in loaded.study.models:
        row = model
        if model.measure == "recorded":
            plan.recorded += questions(loaded.study, model)
        elif model.measure == "here":
            try:
                row = _plan_row(loaded, model, digests, plan)
            except UnfitError as error:
                faults.append(str(error))
        rows.append(row)
    if faults:
        raise StudyError(faults)
    models = tuple(rows)
    plan.study = replace(loaded.study, models=models, tasks=shown_tasks(loaded.tasks, models))
    return plan


def _plan_row(loaded: LoadedStudy, model: StudyModel, digests: Digests, plan: Plan) -> StudyModel:
    """Plan a row's cells; a task whose checkpoint or sentences are not there costs no other cell.

    The row comes back with what its checkpoint says of it.
    """
    asked: dict[str | None, tuple[Checkpoint, Task | None]] = {}
    try:
        base = locate(model.checkpoint, relative_to=loaded.folder)
        asked[None] = base, None
        model = family_as_found(model, base)
        if model.name in loaded.unstated:
            model = tasks_that_fit(model, base, loaded.tasks)
        for name, checkpoint in model.tasks.items():
            try:
                task = located(loaded.tasks[name])
                asked[name] = locate(checkpoint, relative_to=loaded.folder), task
            except (ReportError, OSError) as error:
                plan.failures.append(f"{model.name}, {name}: {reason(error)}")
        plan.here += _planned(loaded.study, model, asked, digests)
    except UnfitError:
        raise
    except (ReportError, OSError) as error:
        plan.failures.append(f"{model.name}: {reason(error)}")
    return model


def _planned(
    study: Study,
    model: StudyModel,
    asked: Mapping[str | None, tuple[Checkpoint, Task | None]],
    digests: Digests,
) -> list[Planned]:
    """A row's cells with their identities; comparisons come after what they join."""
    planned: dict[Cell, Planned] = {}
    depends = {kind.name: kind.depends(study) for kind in KINDS.values()}
    for cell in questions(study, model):
        if cell.task not in asked:
            continue
        checkpoint, task = asked[cell.task]
        kind = KINDS[cell.kind]
        if kind.joins:
            identity = joined(kind, [planned[side].identity for side in sides(cell)])
        else:
            identity = _identity(cell, checkpoint, task, digests)
        planned[cell] = Planned(cell, identity | depends[kind.name], checkpoint, task)
    return list(planned.values())


def joined(kind: Kind, identities: Sequence[dict[str, str]]) -> dict[str, str]:
    """The identity of what joins other answers: a digest of theirs."""
    text = json.dumps(list(identities), sort_keys=True)
    return {"version": str(kind.version), "joins": digest_text(text)}


def _identity(
    cell: Cell, checkpoint: Checkpoint, task: Task | None, digests: Digests
) -> dict[str, str]:
    """What an answer of any kind depends on, as text."""
    found = {"version": str(KINDS[cell.kind].version), **_given(checkpoint, task, digests)}
    if cell.method is not None:
        found["scope"] = METHODS[cell.method].scope
    return found


@cache  # a row's cells share it, and reading it is most of what a plan takes
def _given(checkpoint: Checkpoint, task: Task | None, digests: Digests) -> dict[str, str]:
    """What the files say that an answer is about."""
    found = _contents(checkpoint, task, digests)
    if task is not None:
        found["metric"] = task.metric
        found["trained on"] = " ".join(checkpoint.trained_on())
        found["columns"] = json.dumps([task.text, task.label, task.cluster, task.labels])
        if any(asked := [task.prompt, *task.choices, task.prefix]):
            found["asked"] = json.dumps(asked)
    return found


def _contents(checkpoint: Checkpoint, task: Task | None, digests: Digests) -> dict[str, str]:
    """The digests of the files that an answer is about."""
    found = {"checkpoint": checkpoint.digest(digests)}
    if task is not None:
        assert task.file is not None
        found["data"] = digests.file(task.file)
    return found


@dataclass(frozen=True)
class Job:
    """Cells that one opened checkpoint answers, cheapest order first. `levels` are the study's."""

    cells: tuple[Planned, ...]
    levels: tuple[float, ...]
    command: str

    @property
    def first(self) -> Planned:
        """All cells share its checkpoint and task."""
        return self.cells[0]

    @property
    def timed(self) -> bool:
        """Whether it reads a stopwatch, so that nothing may run beside it."""
        return KINDS[self.first.cell.kind].timed

    @property
    def title(self) -> str:
        """What it is about, in a few words."""
        cell = self.first.cell
        what = cell.task or (cell.kind if self.timed else "structure")
        run = "" if cell.method is None or not cell.task else f", {cell.method}"
        seed = "" if cell.seed is None else f" seed {cell.seed}"
        return f"{cell.model}: {what}{run}{seed}"


def jobs_of(planned: Sequence[Planned], levels: tuple[float, ...], command: str) -> list[Job]:
    """Group cells into jobs: by row, task and run, each timed kind apart. Timed jobs come last."""
    groups: dict[tuple[object, ...], list[Planned]] = {}
    for one in planned:
        cell = one.cell
        run = (cell.method, cell.seed) if cell.task else ()
        alone = cell.kind if KINDS[cell.kind].timed else None
        groups.setdefault((cell.model, cell.task, alone, *run), []).append(one)
    jobs = [Job(tuple(cells), levels, command) for cells in groups.values()]
    return sorted(jobs, key=lambda job: job.timed)
