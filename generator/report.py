"""The report: records by question, as pages ask for them. Pure.

Only lookups and trivial ratios: whatever is not in a record is not computed here.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeVar

from experiments.records.cell import Cell
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.pruning import Pruning
from experiments.records.record import Held, Provenance
from experiments.records.study import Study, StudyModel, StudyTask
from generator.render import Markdown

T = TypeVar("T")
CONTROL = "random"
RECORDED = "recorded"
NOTE = (
    "(recorded): published numbers, made on a machine that Reproduce names and never compared with "
    "numbers measured here."
)


class Report:
    """The records of one study, each with its origin."""

    def __init__(self, held: Iterable[Held], gaps: Sequence[str] = ()) -> None:
        self.held = list(held)
        self.gaps = tuple(gaps)
        self.by_cell = {one.cell: one for one in self.held}
        self.by_run: dict[tuple[object, ...], list[Held]] = {}
        for one in self.by_cell.values():
            run = (one.cell.model, one.cell.task, one.cell.method, one.cell.level)
            self.by_run.setdefault(run, []).append(one)
        self.origins: dict[str, str] = {}
        for one in self.held:
            if one.cell.kind != Study.kind:
                self.origins.setdefault(one.cell.model, one.origin)
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
        return self.origins.get(model, "")

    def label(self, row: StudyModel) -> str:
        """A row's name where several rows are shown: marked if it is recorded and others are not."""
        marked = self.mixed and self.origin(row.name) == RECORDED
        return f"{row.name} ({RECORDED})" if marked else row.name

    @cached_property
    def mixed(self) -> bool:
        """Whether rows of both origins are shown."""
        return len({self.origin(one.name) for one in self.measured}) > 1

    def note(self, rows: Iterable[StudyModel]) -> Markdown:
        """What the mark of recorded rows means, where one of these rows has it."""
        return Markdown(NOTE if any(self.label(row) != row.name for row in rows) else "")

    def by_origin(self, rows: Iterable[StudyModel]) -> dict[str, list[StudyModel]]:
        """Rows apart by where their numbers were measured: only within one group may they meet."""
        found: dict[str, list[StudyModel]] = {}
        for row in rows:
            found.setdefault(self.origin(row.name), []).append(row)
        return found

    def stem(self, shown: StudyModel | StudyTask) -> str:
        """A file name for a row or a task: its place in the study, so that any name will do."""
        if isinstance(shown, StudyModel):
            return f"model-{self.study.models.index(shown) + 1}"
        return f"task-{self.study.tasks.index(shown) + 1}"

    @property
    def seeds(self) -> list[int]:
        """The seeds with which what depends on chance was run."""
        return sorted({cell.seed for cell in self.by_cell if cell.seed is not None})

    @cached_property
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
        return [(row.name, checkpoint_name(row.checkpoint)) for row in self.measured]

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
        return list(self._runs(Evaluation, model, task, CONTROL, level))

    def loss(self, model: str, task: str, level: float) -> Comparison | None:
        """The pruned model against dense, on the same examples."""
        return self.find(
            Comparison, model=model, method=self.method, level=level, task=task, against="dense"
        )

    def against_control(self, model: str, task: str, level: float) -> list[Comparison]:
        """The pruned model against each random control of the same level."""
        return list(self._runs(Comparison, model, task, self.method, level))

    def perplexity(self, model: str, task: str, level: float) -> Perplexity | None:
        """How well the model pruned by the report's method foretells a text; dense at level 0."""
        method = self.method if level else None
        return self.find(Perplexity, model=model, method=method, level=level, task=task)

    def perplexity_change(self, model: str, task: str, level: float) -> PerplexityChange | None:
        """The pruned model against dense, on the same windows."""
        where = {"model": model, "method": self.method, "level": level, "task": task}
        return self.find(PerplexityChange, against="dense", **where)

    def perplexity_control(self, model: str, task: str, level: float) -> list[Perplexity]:
        """How well the model pruned at random foretells it, one a seed."""
        return list(self._runs(Perplexity, model, task, CONTROL, level))

    def perplexity_against_control(
        self, model: str, task: str, level: float
    ) -> list[PerplexityChange]:
        """The pruned model against each random control of the same level."""
        return list(self._runs(PerplexityChange, model, task, self.method, level))

    def _runs(self, kind: type[T], model: str, task: str, method: str, level: float) -> Iterator[T]:
        """Answers of a kind by seed: the control's own, or a method's against each of them."""
        for held in self.by_run.get((model, task, method, level), []):
            answer, rival = held.record.answer, (held.cell.against or "").startswith(CONTROL)
            if isinstance(answer, kind) and (rival or method == CONTROL):
                yield answer

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
            if task.name in model.tasks
            and (self.dense(model.name, task.name) or self.perplexity(model.name, task.name, 0.0))
        ]

    def provenance(self, **question: object) -> Provenance | None:
        """How the answer to a question was obtained."""
        held = self.by_cell.get(Cell(**question))  # type: ignore[arg-type]
        return held.record.provenance if held else None


def checkpoint_name(name: str) -> str:
    """A checkpoint's name as pages show it, without the way up from a study's own folder.

    >>> checkpoint_name("../build/reference/led-cola"), checkpoint_name("mini/gpt2-reviews")
    ('build/reference/led-cola', 'mini/gpt2-reviews')
    """
    while name.startswith("../"):
        name = name.removeprefix("../")
    return name
