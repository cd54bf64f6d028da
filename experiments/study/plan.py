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
from experiments.pruning.settings import TOKENS
from experiments.quality.tasks.located import located, located_training
from experiments.quality.tasks.table import Task
from experiments.records.cell import DENSE, FIXED, Cell
from experiments.records.cost import Cost
from experiments.records.provenance import Digests, digest_text
from experiments.records.study import Study, StudyMethod, StudyModel
from experiments.study.failures import reason
from experiments.study.fitting import UnfitError, family_as_found, tasks_that_fit
from experiments.study.kinds import KINDS, Kind
from experiments.study.reading import StudyError
from experiments.study.study import LoadedStudy, shown_tasks

WEIGHTS = "weights"  # below results/: what calibration left; in an identity: a digest of what that hangs on


@dataclass(frozen=True)
class Planned:
    """A cell to be answered here: what it depends on, and what it is asked of.

    `method` is that of its name. `shown` is the task whose training text, its `file` here, shows what
    weights multiply; the weights it leaves are those of the digest `identity["weights"]`.
    """

    cell: Cell
    identity: dict[str, str]
    checkpoint: Checkpoint
    task: Task | None = None
    method: StudyMethod | None = None
    shown: Task | None = None

    def files(self) -> list[Path]:
        """What is read to answer it, and was digested to plan it."""
        tasks = [self.task, self.shown]
        data = [task.file for task in tasks if task and task.file]
        return [*self.checkpoint.digested(), *data]

    def stands(self, digests: Digests) -> bool:
        """Whether its files are those that it was planned for."""
        found = _contents(self.checkpoint, self.task, digests)
        if self.shown is not None:
            found["calibration"] = _data(self.shown, digests)
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
        plan.here += _planned(loaded, model, asked, digests, plan.failures)
    except UnfitError:
        raise
    except (ReportError, OSError) as error:
        plan.failures.append(f"{model.name}: {reason(error)}")
    return model


def _planned(
    loaded: LoadedStudy,
    model: StudyModel,
    asked: Mapping[str | None, tuple[Checkpoint, Task | None]],
    digests: Digests,
    failures: list[str],
) -> list[Planned]:
    """A row's cells with their identities; comparisons come after what they join."""
    planned: dict[Cell, Planned] = {}
    study = loaded.study
    depends = {kind.name: kind.depends(study) for kind in KINDS.values()}
    shown = _Shown(loaded, model)
    for cell in questions(study, model):
        if cell.task not in asked:
            continue
        checkpoint, task = asked[cell.task]
        kind = KINDS[cell.kind]
        if kind.joins:
            if all(side in planned for side in sides(cell)):
                identity = joined(kind, [planned[side].identity for side in sides(cell)])
                planned[cell] = Planned(cell, identity | depends[kind.name], checkpoint, task)
            continue
        method = study.method(cell.method) if cell.method is not None else None
        identity = _identity(cell, checkpoint, task, method, digests)
        text = None
        if method is not None and method.samples:
            if (text := shown.by(method, cell)) is None:
                continue
            identity |= _weights(cell, checkpoint, method, text, digests, depends[Cost.kind])
        identity |= depends[kind.name]
        planned[cell] = Planned(cell, identity, checkpoint, task, method, text)
    failures += shown.failures
    return list(planned.values())


class _Shown:
    """The training texts that a row's methods look at weights with, each found once."""

    def __init__(self, loaded: LoadedStudy, model: StudyModel) -> None:
        self.loaded, self.model = loaded, model
        self.failures: list[str] = []
        self._found: dict[str, Task | None] = {}

    def by(self, method: StudyMethod, cell: Cell) -> Task | None:
        """That of a method's own task, else of the cell's, else of the row's first; None where it fails."""
        name = method.calibration or cell.task or next(iter(self.model.tasks), "")
        if name not in self._found:
            self._found[name] = self._find(name, method)
        return self._found[name]

    def _find(self, name: str, method: StudyMethod) -> Task | None:
        if not name:
            why = "no task whose training text shows what weights multiply: name a `calibration`"
            self.failures.append(f"{self.model.name}, {method.name}: {why}")
            return None
        try:
            return located_training(self.loaded.tasks[name])
        except (ReportError, OSError) as error:
            self.failures.append(f"{self.model.name}, {method.name}: {reason(error)}")
            return None


def _weights(
    cell: Cell,
    checkpoint: Checkpoint,
    method: StudyMethod,
    shown: Task,
    digests: Digests,
    depends: Mapping[str, str],
) -> dict[str, str]:
    """What the weights depend on that a method leaves after a text, and a digest of it all."""
    text = _data(shown, digests)
    found = {
        "version": str(KINDS[Cost.kind].version),
        "checkpoint": checkpoint.digest(digests),
        "calibration": text,
        "columns": json.dumps([shown.text, shown.label, shown.labels]),
        "windows": f"{method.samples} of {TOKENS} tokens",
        "level": str(cell.level),
        "seed": str(cell.seed or 0),
        **_settings(method),
        **depends,
    }
    return {"calibration": text, WEIGHTS: digest_text(json.dumps(found, sort_keys=True))}


def _settings(method: StudyMethod) -> dict[str, str]:
    """How a method chooses: its scope, and what is not as usual of it."""
    usual = StudyMethod(name="", method=method.name, scope="", levels=())
    asked = {
        "method": method.method,
        "pattern": method.pattern,
        "repair": str(method.repair),
        "allocation": method.allocation,
    }
    return {"scope": method.scope} | {
        key: value for key, value in asked.items() if value != str(getattr(usual, key))
    }


def joined(kind: Kind, identities: Sequence[dict[str, str]]) -> dict[str, str]:
    """The identity of what joins other answers: a digest of theirs."""
    text = json.dumps(list(identities), sort_keys=True)
    return {"version": str(kind.version), "joins": digest_text(text)}


def _identity(
    cell: Cell,
    checkpoint: Checkpoint,
    task: Task | None,
    method: StudyMethod | None,
    digests: Digests,
) -> dict[str, str]:
    """What an answer of any kind depends on, as text."""
    found = {"version": str(KINDS[cell.kind].version), **_given(checkpoint, task, digests)}
    return found | (_settings(method) if method is not None else {})


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
        found["data"] = _data(task, digests)
    return found


def _data(task: Task, digests: Digests) -> str:
    """The digest of a task's file."""
    assert task.file is not None
    return digests.file(task.file)


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
        alone = cell.task or self.first.shown
        run = "" if cell.method is None or not alone else f", {cell.method}"
        seed = "" if cell.seed is None else f" seed {cell.seed}"
        return f"{cell.model}: {what}{run}{seed}"


def jobs_of(planned: Sequence[Planned], levels: tuple[float, ...], command: str) -> list[Job]:
    """Group cells into jobs: by row, task and run, each timed kind apart. Timed jobs come last.

    What looks at what weights multiply is a run of its own, without a task too.
    """
    groups: dict[tuple[object, ...], list[Planned]] = {}
    for one in planned:
        cell = one.cell
        run = (cell.method, cell.seed) if cell.task or one.shown else ()
        alone = cell.kind if KINDS[cell.kind].timed else None
        groups.setdefault((cell.model, cell.task, alone, *run), []).append(one)
    jobs = [Job(tuple(cells), levels, command) for cells in groups.values()]
    return sorted(jobs, key=lambda job: job.timed)
