"""The plan: which cells a study asks for, and what each answer depends on.

Reads the files it digests; imports no torch and measures nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate
from experiments.cores import usable_cores
from experiments.errors import ReportError
from experiments.pruning.methods.table import METHODS
from experiments.quality.tasks.located import located
from experiments.quality.tasks.table import Task
from experiments.records.cell import Cell
from experiments.records.provenance import Digests, digest_text, processor, version_of
from experiments.records.study import Study, StudyModel
from experiments.study.study import LoadedStudy

# Raised by hand when a kind's measurement changes, so that older records are not taken for it.
VERSIONS = {
    "inspection": 2,
    "pruning": 2,
    "evaluation": 5,
    "comparison": 2,
    "perplexity": 2,
    "perplexity_change": 2,
    "footprint": 3,
    "latency": 4,
}
JOINED = {"evaluation": "comparison", "perplexity": "perplexity_change"}
DENSE = "dense"
TIMED_THREADS = 1


@dataclass(frozen=True)
class Planned:
    """A cell to be answered here: what it depends on, and what it is asked of."""

    cell: Cell
    identity: dict[str, str]
    checkpoint: Checkpoint
    task: Task | None = None


@dataclass
class Plan:
    """The cells of a study: to be answered here, or taken from what is recorded; and what failed."""

    here: list[Planned] = field(default_factory=list)
    recorded: list[Cell] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def questions(study: Study, model: StudyModel) -> Iterator[Cell]:
    """Every cell of one row of the report, in the order in which pages show them."""
    name = model.name
    yield Cell(kind="inspection", model=name)
    for method, seed in runs(study.methods):
        for level in study.levels:
            yield Cell(kind="pruning", model=name, method=method, level=level, seed=seed)
    yield Cell(kind="footprint", model=name, method=study.methods[0])
    yield Cell(kind="latency", model=name, method=study.methods[0])
    foretold = {task.name for task in study.tasks if task.metric == "perplexity"}
    for task in model.tasks:
        kind = "perplexity" if task in foretold else "evaluation"
        yield Cell(kind=kind, model=name, level=0.0, task=task)
        for method, seed in runs(study.methods):
            for level in study.levels:
                cell = Cell(kind=kind, model=name, method=method, level=level, task=task, seed=seed)
                yield cell
                yield from comparisons(cell, study)


def runs(methods: Sequence[str]) -> Iterator[tuple[str, int | None]]:
    """Each method with each of its seeds; None for a method without chance.

    >>> list(runs(["magnitude", "random"]))
    [('magnitude', None), ('random', 0), ('random', 1), ('random', 2)]
    """
    for method in methods:
        seeds = METHODS[method].seeds
        yield from ((method, seed) for seed in (range(seeds) if seeds > 1 else [None]))


def comparisons(cell: Cell, study: Study) -> Iterator[Cell]:
    """What a pruned evaluation is held against: dense, and each run of the methods after it."""
    yield _comparison(cell, DENSE)
    position = study.methods.index(cell.method or "")
    for method, seed in runs(study.methods[position + 1 :]):
        yield _comparison(cell, method if seed is None else f"{method} seed {seed}")


def _comparison(cell: Cell, against: str) -> Cell:
    return replace(cell, kind=JOINED[cell.kind], against=against)


def joins(cell: Cell) -> bool:
    """Whether it joins two other cells, and is answered from their records."""
    return cell.kind in JOINED.values()


def sides(cell: Cell) -> tuple[Cell, Cell]:
    """The two answers that a comparison joins."""
    kind = next(kind for kind, joined in JOINED.items() if joined == cell.kind)
    asked = replace(cell, kind=kind, against=None)
    if cell.against == DENSE:
        return asked, replace(asked, method=None, level=0.0, seed=None)
    method, _, seed = (cell.against or "").partition(" seed ")
    return asked, replace(asked, method=method, seed=int(seed) if seed else None)


def make_plan(loaded: LoadedStudy, digests: Digests) -> Plan:
    """The cells of every row that is not for later. What cannot be asked is a failure, a line each."""
    plan = Plan()
    for model in loaded.study.models:
        if model.measure == "recorded":
            plan.recorded += questions(loaded.study, model)
        elif model.measure == "here":
            _plan_row(loaded, model, digests, plan)
    return plan


def _plan_row(loaded: LoadedStudy, model: StudyModel, digests: Digests, plan: Plan) -> None:
    """Plan a row's cells; a task whose checkpoint or sentences are not there costs no other cell."""
    asked: dict[str | None, tuple[Checkpoint, Task | None]] = {}
    try:
        asked[None] = locate(model.checkpoint, relative_to=loaded.folder), None
        for name, checkpoint in model.tasks.items():
            try:
                task = located(loaded.tasks[name])
                asked[name] = locate(checkpoint, relative_to=loaded.folder), task
            except (ReportError, OSError) as error:
                plan.failures.append(f"{model.name}, {name}: {error}")
        plan.here += _planned(loaded.study, model, asked, digests)
    except (ReportError, OSError) as error:
        plan.failures.append(f"{model.name}: {error}")


def _planned(
    study: Study,
    model: StudyModel,
    asked: Mapping[str | None, tuple[Checkpoint, Task | None]],
    digests: Digests,
) -> list[Planned]:
    """A row's cells with their identities; comparisons come after what they join."""
    planned: dict[Cell, Planned] = {}
    for cell in sorted(questions(study, model), key=joins):
        if cell.task not in asked:
            continue
        checkpoint, task = asked[cell.task]
        if joins(cell):
            identity = joined(cell.kind, [planned[side].identity for side in sides(cell)])
        else:
            identity = _identity(cell, checkpoint, task, study, digests)
        planned[cell] = Planned(cell, identity, checkpoint, task)
    return list(planned.values())


def joined(kind: str, identities: Sequence[dict[str, str]]) -> dict[str, str]:
    """The identity of what joins other answers: a digest of theirs."""
    text = json.dumps(list(identities), sort_keys=True)
    return {"version": str(VERSIONS[kind]), "joins": digest_text(text)}


def _identity(
    cell: Cell, checkpoint: Checkpoint, task: Task | None, study: Study, digests: Digests
) -> dict[str, str]:
    """Everything an answer depends on, as text."""
    found = {"version": str(VERSIONS[cell.kind]), **_given(checkpoint, task, digests)}
    if cell.method is not None:
        found["scope"] = METHODS[cell.method].scope
    if cell.kind in ("footprint", "latency"):
        found["levels"] = " ".join(map(str, study.levels))
    if cell.kind == "latency":
        found["processor"] = processor()
        found["threads"] = str(TIMED_THREADS)
        found["cores"] = str(usable_cores())
        found["torch"] = version_of("torch") or ""
    return found


@cache  # a row's cells share it, and reading it is most of what a plan takes
def _given(checkpoint: Checkpoint, task: Task | None, digests: Digests) -> dict[str, str]:
    """What the files say that an answer is about."""
    found = {"checkpoint": checkpoint.digest(digests)}
    if task is not None:
        assert task.file is not None
        found["data"] = digests.file(task.file)
        found["metric"] = task.metric
        found["trained on"] = " ".join(checkpoint.trained_on())
        found["columns"] = json.dumps([task.text, task.label, task.cluster, task.labels])
        if any(asked := [task.prompt, *task.choices, task.prefix]):
            found["asked"] = json.dumps(asked)
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
        return self.first.cell.kind == "latency"

    @property
    def title(self) -> str:
        """What it is about, in a few words."""
        cell = self.first.cell
        what = cell.task or ("latency" if self.timed else "structure")
        run = "" if cell.method is None or not cell.task else f", {cell.method}"
        seed = "" if cell.seed is None else f" seed {cell.seed}"
        return f"{cell.model}: {what}{run}{seed}"


def jobs_of(planned: Sequence[Planned], levels: tuple[float, ...], command: str) -> list[Job]:
    """Group cells into jobs: by row, task and run. Timed jobs come last."""
    groups: dict[tuple[object, ...], list[Planned]] = {}
    for one in planned:
        cell = one.cell
        run = (cell.method, cell.seed) if cell.task else (cell.kind == "latency",)
        groups.setdefault((cell.model, cell.task, *run), []).append(one)
    jobs = [Job(tuple(cells), levels, command) for cells in groups.values()]
    return sorted(jobs, key=lambda job: job.timed)
