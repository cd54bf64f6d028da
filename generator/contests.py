"""Methods side by side: what each leaves of a model's answers to a task, at each level and pattern. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from experiments.records.cell import DENSE
from experiments.records.cost import Cost
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.study import StudyMethod, StudyModel, StudyTask
from generator.pairs import Pair, of_method, pairs
from generator.render import Markdown, level_name
from generator.report import Report, is_miniature
from generator.verdicts import bounds_of

UNSTRUCTURED = "unstructured"


@dataclass(frozen=True, order=True)
class Asked:
    """How much is removed: a level anywhere, or a level by an N:M pattern."""

    level: float
    pattern: str = ""

    @property
    def title(self) -> Markdown:
        """As a column is headed.

        >>> Asked(0.5).title, Asked(0.5, "2:4").title
        ('50 %', '2:4')
        """
        return Markdown(self.pattern) if self.pattern else level_name(self.level)


@dataclass(frozen=True)
class Contender:
    """A method by whatever pattern: what the study calls each of its runs, by how much they remove."""

    name: str
    method: StudyMethod
    runs: dict[Asked, str]


@dataclass(frozen=True)
class Contest:
    """A model's answers to a task by several methods. `report` has the records it is of."""

    report: Report
    row: StudyModel
    task: StudyTask
    contenders: tuple[Contender, ...]

    @property
    def asked(self) -> list[Asked]:
        """What any of them was asked at, rising."""
        return sorted({asked for one in self.contenders for asked in one.runs})

    @property
    def dense(self) -> Evaluation | Perplexity | None:
        """The unpruned model's answers."""
        return self.report.answer(self.row.name, self.task.name, 0.0)

    @property
    def of_text(self) -> bool:
        """Whether it is about how well a text is predicted."""
        return isinstance(self.dense, Perplexity)

    def answer(self, one: Contender, asked: Asked) -> Evaluation | Perplexity | None:
        """What a contender leaves; None where it was not asked."""
        if (name := one.runs.get(asked)) is None:
            return None
        return self.report.under(name).answer(self.row.name, self.task.name, asked.level)

    def change(self, one: Contender, asked: Asked) -> Comparison | PerplexityChange | None:
        """The same against dense."""
        if (name := one.runs.get(asked)) is None:
            return None
        view, where = self.report.under(name), (self.row.name, self.task.name, asked.level)
        return view.loss(*where) or view.perplexity_change(*where)

    def cost(self, one: Contender) -> Cost | None:
        """What it takes: the median of seconds over all that it was asked at, and the most memory."""
        found = [
            cost
            for asked, name in one.runs.items()
            if (
                cost := self.report.find(
                    Cost, model=self.row.name, method=name, level=asked.level, seed=None
                )
            )
        ]
        if not found:
            return None
        peaks = [cost.peak_bytes for cost in found if cost.peak_bytes is not None]
        return Cost(
            task=found[0].task,
            samples=found[0].samples,
            tokens=found[0].tokens,
            seconds=median(cost.seconds for cost in found),
            peak_bytes=max(peaks, default=None),
        )

    def best(self, asked: Asked) -> tuple[Contender, Evaluation | Perplexity] | None:
        """The contender that keeps most, with its answers; the first of equal ones."""
        sign = -1 if self.of_text else 1
        found = [(one, got) for one in self.contenders if (got := self.answer(one, asked))]
        return max(found, key=lambda pair: sign * pair[1].value, default=None)


def contests(report: Report) -> list[Contest]:
    """Every model and task that several methods were asked of, by this report's records and those apart."""
    return [one for part in (*report.apart, report) for one in _of(part)]


def _of(report: Report) -> Iterator[Contest]:
    contenders = contenders_of(report)
    for pair in of_method(report.under(report.methods[0])) if report.methods else []:
        here = [
            one
            for one in contenders
            if any(
                report.under(name).answer(pair.row.name, pair.task.name, asked.level)
                for asked, name in one.runs.items()
            )
        ]
        if len(here) > 1:
            yield Contest(report, pair.row, pair.task, tuple(here))


def contenders_of(report: Report) -> list[Contender]:
    """The methods on record, those that differ in their pattern alone as one, called as the plain one."""
    found: dict[tuple[object, ...], Contender] = {}
    methods = [report.study.method(name) for name in report.compared]
    for one in sorted(methods, key=lambda one: one.pattern != UNSTRUCTURED):
        pattern = "" if one.pattern == UNSTRUCTURED else one.pattern
        key = _key(one, scope="" if pattern else one.scope)
        same = next((k for k in found if pattern and k[1:] == key[1:]), key)
        contender = found.setdefault(same, Contender(one.name, one, {}))
        for level in one.levels:
            contender.runs[Asked(level, pattern)] = one.name
    places = {one.name: place for place, one in enumerate(report.study.methods)}
    return sorted(found.values(), key=lambda one: places[one.name])


def _key(one: StudyMethod, scope: str) -> tuple[object, ...]:
    """What two runs of a method have in common; the scope, which a pattern has not, comes first."""
    return scope, one.method, one.repair, one.allocation, one.calibration, one.samples


@dataclass(frozen=True)
class Held:
    """On the pairs asked of both, how many show no loss at a level: by a method, and by the report's own.

    `which` says of what models they are.
    """

    method: str
    own: str
    level: float
    without: int
    own_without: int
    asked: int
    which: str = "model-task"


def held(report: Report) -> list[Held]:
    """How each other method stands to the report's own, level by level, on the pairs asked of both."""
    own, *others = report.compared or ("",)
    every = once(pairs(report))
    found = []
    for method in others:
        view = report.under(method)
        for level in report.study.levels_of(method):
            both = [pair for pair in every if without_loss(view, [pair], level)]
            theirs = without_loss(view, both, level)
            mine = without_loss(report.under(own), both, level)
            if theirs and mine and theirs[1] == mine[1]:
                which = (
                    "miniature" if all(is_miniature(pair.row) for pair in both) else "model-task"
                )
                found.append(Held(method, own, level, theirs[0], mine[0], mine[1], which))
    return found


def once(some: Sequence[Pair]) -> list[Pair]:
    """The pairs of the first method: each model and task once."""
    return list({(pair.row.name, pair.task.name): pair for pair in reversed(some)}.values())[::-1]


def without_loss(
    report: Report,
    some: Sequence[Pair],
    level: float,
    method: str = "",
    seeds: Sequence[int | None] = (None,),
) -> tuple[int, int] | None:
    """Pairs of which no run at a level shows a loss from dense, and how many were asked."""
    asked = without = 0
    for pair in some:
        where = {"model": pair.row.name, "task": pair.task.name, "level": level, "against": DENSE}
        name = method or report.method
        labels = [report.find(Comparison, method=name, seed=seed, **where) for seed in seeds]
        texts = [report.find(PerplexityChange, method=name, seed=seed, **where) for seed in seeds]
        found = [one for one in (*labels, *texts) if one is not None]
        if found:
            asked += 1
            without += not any(_lost(one) for one in found)
    return (without, asked) if asked else None


def _lost(one: Comparison | PerplexityChange) -> bool:
    """Whether the whole interval says that it is worse than dense."""
    if isinstance(one, PerplexityChange):
        return one.ratio_interval is None or one.ratio_interval[0] > 1
    return bounds_of(one)[1] < 0
