"""The report: records by question, as pages ask for them. Pure.

Only lookups and trivial ratios: whatever is not in a record is not computed here.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from experiments.records import (
    Cell,
    Comparison,
    Evaluation,
    Footprint,
    Held,
    Inspection,
    Latency,
    Provenance,
    Pruning,
    Study,
    StudyModel,
    StudyTask,
)

T = TypeVar("T")
CONTROL = "random"


class Report:
    """The records of one study, each with its origin."""

    def __init__(self, held: Iterable[Held], gaps: Sequence[str] = ()) -> None:
        self.held = list(held)
        self.gaps = tuple(gaps)
        self.by_cell = {one.record.cell: one for one in self.held}
        studies = [o.record.answer for o in self.held if isinstance(o.record.answer, Study)]
        self.study = (
            studies[0]
            if studies
            else Study(title="Sparsity report", levels=(), methods=(), tasks=(), models=())
        )

    def find(self, kind: type[T], **question: object) -> T | None:
        """The answer to a question, None where it has not been measured."""
        held = self.by_cell.get(Cell(kind=kind.kind, **question))  # type: ignore
        answer = held.record.answer if held else None
        return answer if isinstance(answer, kind) else None

    def origin(self, model: str) -> str:
        """Where a row's numbers were measured: "here", "recorded", or empty for nowhere."""
        return next((o.origin for o in self.held if o.record.cell.model == model), "")

    @property
    def seeds(self) -> list[int]:
        """The seeds with which what depends on chance was run."""
        return sorted({cell.seed for cell in self.by_cell if cell.seed is not None})

    @property
    def measured(self) -> list[StudyModel]:
        """The rows that have at least an inspection, in the study's order."""
        return [row for row in self.study.models if self.inspection(row.name)]

    @property
    def waiting(self) -> list[StudyModel]:
        """The rows that are for later."""
        rows = self.study.models
        return [row for row in rows if row.measure == "later" and not self.inspection(row.name)]

    @property
    def checkpoints(self) -> list[tuple[str, str]]:
        """Each measured row with the checkpoint by which it is inspected, pruned, weighed and timed."""
        return [(row.name, row.checkpoint) for row in self.measured]

    @property
    def method(self) -> str:
        """The method the report is about: the study's first."""
        return self.study.methods[0] if self.study.methods else ""

    def inspection(self, model: str) -> Inspection | None:
        """How sparse a row's checkpoint is."""
        return self.find(Inspection, model=model)

    def pruning(self, model: str, level: float) -> Pruning | None:
        """What the report's method removed at a level."""
        return self.find(Pruning, model=model, method=self.method, level=level)

    def prunings(self, model: str) -> list[Pruning]:
        """The same, level by level."""
        found = (self.pruning(model, level) for level in self.study.levels)
        return [one for one in found if one is not None]

    def dense(self, model: str, task: str) -> Evaluation | None:
        """The unpruned model's answers."""
        return self.find(Evaluation, model=model, level=0.0, task=task)

    def evaluation(self, model: str, task: str, level: float) -> Evaluation | None:
        """The answers of the model pruned by the report's method; dense at level 0."""
        if level == 0:
            return self.dense(model, task)
        return self.find(Evaluation, model=model, method=self.method, level=level, task=task)

    def control(self, model: str, task: str, level: float) -> list[Evaluation]:
        """The answers of the model pruned at random, one a seed."""
        return [
            held.record.answer
            for cell, held in self.by_cell.items()
            if (cell.model, cell.task, cell.method, cell.level) == (model, task, CONTROL, level)
            and isinstance(held.record.answer, Evaluation)
        ]

    def loss(self, model: str, task: str, level: float) -> Comparison | None:
        """The pruned model against dense, on the same examples."""
        return self.find(
            Comparison, model=model, method=self.method, level=level, task=task, against="dense"
        )

    def against_control(self, model: str, task: str, level: float) -> list[Comparison]:
        """The pruned model against each random control of the same level."""
        return [
            held.record.answer
            for cell, held in self.by_cell.items()
            if (cell.model, cell.task, cell.method, cell.level) == (model, task, self.method, level)
            and (cell.against or "").startswith(CONTROL)
            and isinstance(held.record.answer, Comparison)
        ]

    def footprint(self, model: str) -> Footprint | None:
        """What the row's checkpoint weighs."""
        return self.find(Footprint, model=model, method=self.method)

    def latency(self, model: str) -> Latency | None:
        """How long the row's checkpoint takes."""
        return self.find(Latency, model=model, method=self.method)

    def tasks_of(self, model: StudyModel) -> list[StudyTask]:
        """The tasks a row was asked and has answered."""
        return [
            task
            for task in self.study.tasks
            if task.name in model.tasks and self.dense(model.name, task.name)
        ]

    def provenance(self, **question: object) -> Provenance | None:
        """How the answer to a question was obtained."""
        held = self.by_cell.get(Cell(**question))  # type: ignore[arg-type]
        return held.record.provenance if held else None
