"""Model-task pairs: what verdicts say of each of them, and of the models that are timed and weighed. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from experiments.records.latency import LatencyRow
from experiments.records.record import Machine
from experiments.records.study import StudyModel, StudyTask
from generator import verdicts
from generator.report import Report, is_miniature
from generator.verdicts import Course, Sizes, Speed, State

Shape = tuple[int, int]
SENTENCE: Shape = (1, 32)  # batch × tokens: where one shape stands for all
EIGHT: Shape = (8, 32)
TOKEN: Shape = (1, 1)


@dataclass(frozen=True)
class Pair:
    """A model and a task under one method, with the states of the levels. `view` is the report by it."""

    view: Report
    row: StudyModel
    task: StudyTask
    course: Course
    weak: bool

    @property
    def label(self) -> str:
        """Its model's name, with the method's where there are several."""
        return self.view.pruned_label(self.row)

    @property
    def able(self) -> bool:
        """Whether unpruned it is not already without an answer worth losing, as far as that is on record."""
        dense = self.view.state(self.row.name, self.task.name, 0.0)
        return dense is None or not dense.dead


def pairs(report: Report, rows: Iterable[StudyModel] | None = None) -> list[Pair]:
    """Every pair of which a state is on record, model by model, under each method."""
    found = []
    for row in report.measured if rows is None else rows:
        for task in report.tasks_of(row):
            for view, _ in report.by_method([row]):
                course = view.course(row.name, task.name)
                if course.states:
                    found.append(Pair(view, row, task, course, is_weak(report, row, task)))
    return found


def of_method(view: Report, rows: Iterable[StudyModel] | None = None) -> list[Pair]:
    """The same under the view's own method alone."""
    return [pair for pair in pairs(view, rows) if pair.view.method == view.method]


def is_weak(report: Report, row: StudyModel, task: StudyTask) -> bool:
    """Whether dense has little to lose on a task."""
    if answer := report.dense(row.name, task.name):
        return verdicts.weak(answer, report.against_fixed(row.name, task.name, 0.0))
    return report.state(row.name, task.name, 0.0) is State.FLOOR


def pretrained(rows: Iterable[StudyModel]) -> list[StudyModel]:
    """The rows that are no miniatures, which are trained here so that everything runs in minutes."""
    return [row for row in rows if not is_miniature(row)]


def chosen(report: Report) -> list[StudyModel]:
    """The rows a page of words takes its numbers from: pretrained before miniatures, all of one origin."""
    groups = report.by_origin(pretrained(report.measured) or report.measured)
    return groups.get("here") or next(iter(groups.values()), [])


class Timer(NamedTuple):
    """What timed a row: a machine, and whether that is another than the one that measures here."""

    machine: Machine
    recorded: bool = False


def timer(report: Report, row: StudyModel) -> Timer | None:
    """What timed a row under the report's method.

    Records of two origins are apart though their machines read alike: processors of one name differ.
    """
    held = report.provenance(kind="latency", model=row.name, method=report.method)
    return Timer(held.machine, report.marked(row)) if held else None


def by_machine(report: Report, rows: Iterable[StudyModel]) -> dict[Timer, list[StudyModel]]:
    """The timed rows apart by machine: milliseconds and speeds of two are never shown together.

    A row of which methods were timed on two machines is with both.
    """
    found: dict[Timer, list[StudyModel]] = {}
    for view, row in report.by_method(rows):
        if (one := timer(view, row)) and row not in found.get(one, []):
            found.setdefault(one, []).append(row)
    return found


def timed_on(
    report: Report, rows: Iterable[StudyModel], one: Timer | None
) -> list[tuple[Report, StudyModel]]:
    """Each row under each method that was timed on a machine."""
    return [
        (view, row)
        for view, row in report.by_method(rows)
        if view.latency(row.name) and timer(view, row) == one
    ]


def foremost(report: Report) -> Timer | None:
    """The machine whose speeds stand where those of one alone can: of rows measured here, then of most."""
    found = by_machine(report, report.measured)

    return max(found, key=lambda one: (not one.recorded, len(found[one])), default=None)


def timed_rows(views: Iterable[tuple[Report, StudyModel]]) -> list[LatencyRow]:
    """Every time of these rows, each under its view's method."""
    timed = [view.latency(row.name) for view, row in views]
    return [one for latency in timed if latency for one in latency.rows]


def noise_of(report: Report, row: StudyModel) -> float:
    """The noise threshold of the machine that a row was timed on."""
    own = timer(report, row)
    if own not in report.noises:
        report.noises[own] = verdicts.noise(timed_rows(timed_on(report, report.measured, own)))
    return report.noises[own]


def rivals_of(report: Report, row: StudyModel) -> Sizes | None:
    """What a row's pruned files compete with; None where it was not weighed."""
    weighed, inspected = report.footprint(row.name), report.inspection(row.name)
    return verdicts.sizes(weighed, inspected) if weighed and inspected else None


@dataclass(frozen=True)
class Timed:
    """A level's speed at one shape, and what may be said of it."""

    row: LatencyRow
    verdict: Speed


def speeds(report: Report, row: StudyModel, shape: Shape = SENTENCE) -> dict[float, Timed]:
    """The sparse path's speed by level, under the report's method; empty where it was not timed.

    Where no map was sparse it is the masked path, whose ratio is noise: neither faster nor slower.
    """
    timed = report.latency(row.name)
    if timed is None:
        return {}
    threshold = noise_of(report, row)
    return {
        one.level: Timed(one, verdicts.speed(one, threshold) if timed.skips(one) else Speed.SAME)
        for one in timed.sparse(*shape)
    }


def faster_levels(report: Report, row: StudyModel, shape: Shape = SENTENCE) -> list[float] | None:
    """The levels at which a row runs faster than dense; None where it was not timed."""
    found = speeds(report, row, shape)
    return [at for at, one in found.items() if one.verdict is Speed.FASTER] if found else None


def shapes(report: Report, rows: Iterable[StudyModel]) -> list[Shape]:
    """The shapes at which these rows were timed, in the order of their records."""
    timed = timed_rows(report.by_method(rows))
    return list(dict.fromkeys((one.batch, one.tokens) for one in timed if one.path != "2:4"))
