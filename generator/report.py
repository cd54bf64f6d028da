"""The report: records by question, as pages ask for them. Pure.

Only lookups and trivial ratios: whatever is not in a record is not computed here.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from experiments.records.cell import DENSE, FIXED, Cell
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.pruning import Pruning
from experiments.records.record import Held, Provenance
from experiments.records.store import file_name, kept_name, slug
from experiments.records.study import Study, StudyModel, StudyTask
from generator.render import Markdown
from generator.verdicts import Course, State, state, text_state

T = TypeVar("T")
RECORDED = "recorded"
LONGEST = 60  # letters of a name for a file or an address
SEED = " seed "  # in the name of a run of the control
NOTE = (
    "(recorded): published numbers, made on a machine that Reproduce names and never compared with "
    "numbers measured here."
)


class Report:
    """The records of one study, each with its origin, as the study's first method has them.

    What is run with seeds, and held against by the name of a seed, is the control. `apart` are the
    records of studies by which methods are compared, each by itself.
    """

    def __init__(
        self,
        held: Iterable[Held],
        gaps: Sequence[str] = (),
        apart: Iterable[Iterable[Held]] = (),
    ) -> None:
        given = list(held)
        studies = [o.record.answer for o in given if isinstance(o.record.answer, Study)]
        self.study = (
            studies[0]
            if studies
            else Study(title="Sparsity report", levels=(), methods=(), tasks=(), models=())
        )
        self.held = [_at_asked_levels(one, self.study) if studies else one for one in given]
        self.gaps = tuple(gaps)
        self.apart = tuple(map(Report, apart))
        self.noises: dict[object, float] = {}  # by what timed a row, once it was asked for
        self.states: dict[
            tuple[str, str, str, float], State | None
        ] = {}  # once they were asked for
        self.by_cell = {one.cell: one for one in self.held}
        self.by_question: dict[tuple[object, ...], list[Held]] = {}
        for one in self.by_cell.values():
            asked = (one.cell.model, one.cell.task, one.cell.level)
            self.by_question.setdefault(asked, []).append(one)
        self.origins: dict[str, str] = {}
        for one in self.held:
            if one.cell.kind != Study.kind:
                self.origins.setdefault(one.cell.model, one.origin)
        self.methods = tuple(self._methods())
        self.method = next(iter(self.methods), "")

    def _methods(self) -> Iterator[str]:
        """The study's first method, and those on record that are asked as widely, but for the control.

        Others are compared on one page alone: `compared` has them.
        """
        for place, method in enumerate(self.study.methods):
            wide = method.levels == self.study.levels and not method.models
            if place == 0 or (wide and method.name in self.compared):
                yield method.name

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """Every method that is on record, but for the control, in the study's order."""
        control = {cell.method for cell in self.by_cell if cell.seed is not None}
        found = {cell.method for cell in self.by_cell} - control
        return tuple(one.name for one in self.study.methods if one.name in found)

    def under(self, method: str) -> "Report":
        """The same records as one of the methods has them."""
        view = copy.copy(self)
        view.method = method
        return view

    def by_method(self, rows: Iterable[StudyModel]) -> list[tuple["Report", StudyModel]]:
        """Each row under each method on record, the methods of a row one after the other."""
        return [(self.under(method), row) for row in rows for method in self.methods]

    def find(self, kind: type[T], **question: object) -> T | None:
        """The answer to a question, None where it has not been measured."""
        held = self.by_cell.get(Cell(kind=kind.kind, **question))  # type: ignore
        answer = held.record.answer if held else None
        return answer if isinstance(answer, kind) else None

    def origin(self, model: str) -> str:
        """Where a row's numbers were measured: "here", "recorded", or empty for nowhere."""
        return self.origins.get(model, "")

    def marked(self, row: StudyModel) -> bool:
        """Whether a row is recorded and others are not."""
        return self.mixed and self.origin(row.name) == RECORDED

    def label(self, row: StudyModel) -> str:
        """A row's name where several rows are shown: marked if it is recorded and others are not."""
        return f"{row.name} ({RECORDED})" if self.marked(row) else row.name

    def pruned_title(self, row: StudyModel) -> str:
        """A row's name above what a method did to it: with the method's where there are several."""
        return f"{row.name} by {self.method}" if len(self.methods) > 1 else row.name

    def pruned_label(self, row: StudyModel) -> str:
        """The same where several rows are shown."""
        title = self.pruned_title(row)
        return f"{title} ({RECORDED})" if self.marked(row) else title

    @cached_property
    def mixed(self) -> bool:
        """Whether rows of both origins are shown."""
        return len({self.origin(one.name) for one in self.measured}) > 1

    def note(self, rows: Iterable[StudyModel]) -> Markdown:
        """What the mark of recorded rows means, where one of these rows has it."""
        return Markdown(NOTE if any(map(self.marked, rows)) else "")

    def by_origin(self, rows: Iterable[StudyModel]) -> dict[str, list[StudyModel]]:
        """Rows apart by where their numbers were measured: only within one group may they meet."""
        found: dict[str, list[StudyModel]] = {}
        for row in rows:
            found.setdefault(self.origin(row.name), []).append(row)
        return found

    def stem(self, shown: StudyModel | StudyTask) -> str:
        """A file name for a row or a task, which any name has: the name of a row's own page too."""
        if isinstance(shown, StudyModel):
            return self._stems["model"][self.study.models.index(shown)]
        return self._stems["task"][self.study.tasks.index(shown)]

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        models = [row.name for row in self.study.models]
        tasks = [task.name for task in self.study.tasks]
        return {"model": stems(models), "task": stems(tasks)}

    @property
    def levels(self) -> tuple[float, ...]:
        """Dense and the levels of the report's method, rising."""
        return tuple(sorted({0.0, *self.study.levels_of(self.method)}))

    def pruned_stem(self, row: StudyModel) -> str:
        """A file name for a row under the report's method."""
        first = self.method == self.methods[0]
        return self.stem(row) + ("" if first else f"-{slug(self.method)}")

    def record(self, **question: object) -> str:
        """The file of the record that answers a question; empty where none does."""
        held = self.by_cell.get(Cell(**question))  # type: ignore[arg-type]
        return self.file_of(held) if held else ""

    @staticmethod
    def file_of(held: Held) -> str:
        """The file of a record, as tables name it."""
        if held.origin == RECORDED:
            return f"recorded/{held.cell.kind}/{file_name(held.cell, {})}"
        return f"results/records/{held.cell.kind}/{kept_name(held.cell, held.record.identity)}"

    def place(self, row: StudyModel) -> int:
        """The place of a row under the report's method among all: it decides the colour."""
        models = self.study.models
        return models.index(row) + len(models) * self.methods.index(self.method)

    @property
    def seeds(self) -> list[int]:
        """The seeds with which what depends on chance was run."""
        return sorted({cell.seed for cell in self.by_cell if cell.seed is not None})

    @cached_property
    def measured(self) -> list[StudyModel]:
        """The rows that have at least an inspection: the study's order, but miniatures last."""
        rows = [row for row in self.study.models if self.inspection(row.name)]
        return sorted(rows, key=is_miniature)

    @property
    def waiting(self) -> list[StudyModel]:
        """The rows that are for later."""
        rows = self.study.models
        return [row for row in rows if row.measure == "later" and not self.inspection(row.name)]

    @property
    def checkpoints(self) -> list[tuple[str, str]]:
        """Each measured row with the checkpoint by which it is inspected, pruned, weighed and timed."""
        return [(row.name, checkpoint_name(row.checkpoint)) for row in self.measured]

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

    def answer(self, model: str, task: str, level: float) -> Evaluation | Perplexity | None:
        """A row's answers to a task at a level, or its perplexity on it."""
        return self.evaluation(model, task, level) or self.perplexity(model, task, level)

    def control(self, model: str, task: str, level: float) -> list[Evaluation]:
        """The answers of the model pruned at random, one a seed."""
        found = self._at(Evaluation, model, task, level)
        return [answer for cell, answer in found if cell.seed is not None]

    def loss(self, model: str, task: str, level: float) -> Comparison | None:
        """The pruned model against dense, on the same examples."""
        return self.find(
            Comparison, model=model, method=self.method, level=level, task=task, against=DENSE
        )

    def against_fixed(self, model: str, task: str, level: float) -> Comparison | None:
        """The model pruned by the report's method, dense at level 0, against a fixed answer."""
        method = self.method if level else None
        where = {"model": model, "method": method, "level": level, "task": task}
        return self.find(Comparison, against=FIXED, **where)

    def state(self, model: str, task: str, level: float) -> State | None:
        """What is left of a row's answers to a task at a level; None where that is not on record."""
        asked = self.method, model, task, level
        if asked not in self.states:
            self.states[asked] = self._state(model, task, level)
        return self.states[asked]

    def _state(self, model: str, task: str, level: float) -> State | None:
        if answer := self.evaluation(model, task, level):
            loss = self.loss(model, task, level) if level else None
            known = loss is not None or not level
            return state(answer, loss, self.against_fixed(model, task, level)) if known else None
        if text := self.perplexity(model, task, level):
            found = self.inspection(model)
            vocabulary = found.architecture.vocabulary if found else None
            change = self.perplexity_change(model, task, level) if level else None
            return text_state(text, change, vocabulary) if change or not level else None
        return None

    def course(self, model: str, task: str) -> Course:
        """The states of a row on a task, by rising level, where they are on record."""
        found = [(level, self.state(model, task, level)) for level in sorted(self.study.levels)]
        return Course(tuple((level, one) for level, one in found if one is not None))

    def against_control(self, model: str, task: str, level: float) -> list[Comparison]:
        """The pruned model against each random control of the same level."""
        return self._against_control(Comparison, model, task, level)

    def perplexity(self, model: str, task: str, level: float) -> Perplexity | None:
        """How well the model pruned by the report's method predicts a text; dense at level 0."""
        method = self.method if level else None
        return self.find(Perplexity, model=model, method=method, level=level, task=task)

    def perplexity_change(self, model: str, task: str, level: float) -> PerplexityChange | None:
        """The pruned model against dense, on the same windows."""
        where = {"model": model, "method": self.method, "level": level, "task": task}
        return self.find(PerplexityChange, against=DENSE, **where)

    def perplexity_against_control(
        self, model: str, task: str, level: float
    ) -> list[PerplexityChange]:
        """The pruned model against each random control of the same level."""
        return self._against_control(PerplexityChange, model, task, level)

    def _against_control(self, kind: type[T], model: str, task: str, level: float) -> list[T]:
        """The method's answers of a kind against the control's, by seed."""
        found = ((c, a) for c, a in self._at(kind, model, task, level) if c.method == self.method)
        return [answer for cell, answer in found if SEED in (cell.against or "")]

    def _at(self, kind: type[T], model: str, task: str, level: float) -> Iterator[tuple[Cell, T]]:
        """Every answer of a kind about a model, task and level."""
        for held in self.by_question.get((model, task, level), []):
            if isinstance(answer := held.record.answer, kind):
                yield held.cell, answer

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
            if task.name in model.tasks and self.answer(model.name, task.name, 0.0)
        ]

    def identity(self, **question: object) -> Mapping[str, str]:
        """What the answer to a question depends on; empty where it has not been measured."""
        held = self.by_cell.get(Cell(**question))  # type: ignore[arg-type]
        return held.record.identity if held else {}

    def provenance(self, **question: object) -> Provenance | None:
        """How the answer to a question was obtained."""
        held = self.by_cell.get(Cell(**question))  # type: ignore[arg-type]
        return held.record.provenance if held else None


def _at_asked_levels(one: Held, study: Study) -> Held:
    """A record of all levels at once, without those that the study does not ask."""
    answer = one.record.answer
    if not isinstance(answer, Footprint | Latency):
        return one
    asked = {0.0, *study.levels_of(answer.method)}
    if all(row.level in asked for row in answer.rows):
        return one
    kept: Footprint | Latency
    if isinstance(answer, Latency):
        rows = tuple(row for row in answer.rows if row.level in asked)
        kept = replace(
            answer, rows=rows, trials=tuple(x for x in answer.trials if x.level in asked)
        )
    else:
        kept = replace(answer, rows=tuple(row for row in answer.rows if row.level in asked))
    return replace(one, source=replace(one.record, answer=kept))


def is_miniature(row: StudyModel) -> bool:
    """Whether a row is one of the small models that come with the report."""
    return row.checkpoint.startswith("mini/")


def stems(names: Sequence[str]) -> list[str]:
    """Names for files and addresses: at most LONGEST letters, none empty, none twice.

    Equal ones are numbered by their place.

    >>> stems(["GPT-2 XL", "gpt-2 xl", "✳", "✴"])
    ['gpt-2-xl', 'gpt-2-xl-2', 'unnamed', 'unnamed-4']
    """
    made: list[str] = []
    for place, name in enumerate(names, start=1):
        short = plain = slug(name)[:LONGEST].strip("-.")
        number = place
        while not short or short in made:
            short, number = f"{(plain or 'unnamed')[: LONGEST - 8]}-{number}", number + 1
        made.append(short)
    return made


def checkpoint_name(name: str) -> str:
    """A checkpoint's name as pages show it, without the way up from a study's own folder.

    >>> checkpoint_name("../build/reference/led-cola"), checkpoint_name("mini/gpt2-reviews")
    ('build/reference/led-cola', 'mini/gpt2-reviews')
    """
    while name.startswith("../"):
        name = name.removeprefix("../")
    return name
