"""Running a study: only the cells without a record are asked, and every answer is kept at once.

Reads and writes the stores; `workers` do the work. Imports no torch itself, so that a study that is all
measured costs no more than reading its records.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from experiments.checkpoint.locate import without_folder
from experiments.cores import usable_cores
from experiments.errors import ReportError
from experiments.records.cell import Cell
from experiments.records.command import command
from experiments.records.provenance import Digests, machine, today, versions
from experiments.records.record import Held, Record
from experiments.records.store import Memory, Recorded, Results
from experiments.records.study import Asking, Study, StudyModel
from experiments.study import failures
from experiments.study.kinds import KINDS, TIMED_THREADS
from experiments.study.plan import (
    WEIGHTS,
    Plan,
    Planned,
    jobs_of,
    joins,
    make_plan,
    questions,
    shown,
    sides,
)
from experiments.study.study import LoadedStudy
from experiments.study.workers import DIGESTS, Say, readable, run_jobs

Known = dict[Cell, Held]


@dataclass
class Outcome:
    """The records a site is made of, and a line for each thing that is not there.

    `apart` are those of studies that were published apart, each by itself. `log` holds the tracebacks of
    what failed, where anything did.
    """

    held: list[Held] = field(default_factory=list)
    apart: list[list[Held]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    log: Path | None = None


def run_study(
    loaded: LoadedStudy,
    results: Results,
    recorded: Recorded,
    *,
    workers: int | None = None,
    fresh: bool = False,
    say: Say,
) -> Outcome:
    """Answer every cell of a study that has no record yet, and gather all of them."""
    today()  # a clock set wrongly is told before there is anything to date
    digests = Digests(results.folder / DIGESTS, anew=fresh)
    plan = make_plan(loaded, digests)
    digests.save()
    log = results.folder / failures.LOG
    log.unlink(missing_ok=True)
    for skipped in plan.skipped:
        say(f"not asked: {skipped}")
    for failure in plan.failures:
        say(f"cannot be measured: {failure}")
    known = {} if fresh else _known(plan.here, results)
    if fresh:
        for identity in {one.identity.get(WEIGHTS) for one in plan.here} - {None}:
            shutil.rmtree(results.folder / WEIGHTS / str(identity), ignore_errors=True)
    wanted = [one for one in plan.here if one.cell not in known]
    outcome = Outcome(failures=list(plan.failures))
    for damaged in results.damaged:
        say(str(damaged))
    asked = [one for one in wanted if not joins(one.cell)]
    waiting = {one.cell: (one, sides(one.cell)) for one in wanted if joins(one.cell)}

    def take(answered: Sequence[Planned]) -> None:
        """Take up what was answered just now, and join it with what it is held against."""
        known.update(_known(answered, results))
        for cell, (one, needed) in list(waiting.items()):
            if all(side in known for side in needed):
                del waiting[cell]
                try:
                    results.put(_joined(one, [known[side].record for side in needed]))
                except Exception as error:  # it costs no other cell
                    why = failures.noted(error, shown(cell), results.folder)
                    outcome.failures.append(f"{shown(cell)}: {why}")
                known.update(_known([one], results))

    take([])
    if asked:
        count = workers or usable_cores()
        outcome.failures += run_jobs(asked, loaded.study.levels, results, count, say, take)
    outcome.held = [known[one.cell] for one in plan.here if one.cell in known]
    _fill(plan, recorded, results.sound, outcome)
    outcome.apart, gone = apart(plan.study, recorded)
    outcome.failures += gone
    results.sound.save()
    outcome.held.append(Held(study_record(loaded.name, plan.study), "here"))
    outcome.failures = list(map(failures.Places(loaded).hidden, outcome.failures))
    outcome.log = log if log.exists() else None
    return outcome


def _known(planned: Sequence[Planned], results: Results) -> Known:
    found = ((one.cell, results.find(one.cell, one.identity)) for one in planned)
    return {cell: Held(stored, "here") for cell, stored in found if stored is not None}


def _fill(plan: Plan, recorded: Recorded, sound: Memory, outcome: Outcome) -> None:
    """Take the recorded rows' answers, and name each that is not there."""
    for cell in plan.recorded:
        stored = recorded.find(cell, sound)
        if stored is None:
            outcome.failures.append(f"{shown(cell)}: no record of it in {recorded.folder.name}/")
        else:
            outcome.held.append(Held(stored, "recorded"))
    outcome.failures += [str(damaged) for damaged in recorded.damaged]


def apart(study: Study, recorded: Recorded) -> tuple[list[list[Held]], list[str]]:
    """The records of each study that one compares methods by, and a line for each that is not there."""
    found: list[list[Held]] = []
    lines: list[str] = []
    for name in study.compare:
        own = recorded.apart(name)
        held = [Held(one, "recorded") for one in own.every()]
        lines += map(str, own.damaged)
        if held:
            found.append(held)
            lines += missing(held)
        else:
            lines.append(f"study {name}: no records of it in {recorded.folder.name}/{name}/")
    return found, lines


def missing(published: Sequence[Held], asking: Asking | None = None) -> Iterator[str]:
    """Each question of the published study that no published record answers."""
    answered = {one.cell for one in published}
    studies = [one.record.answer for one in published if isinstance(one.record.answer, Study)]
    if not studies:
        build = asking.command if asking else "gen build"
        yield f"nothing is recorded; `{build}`, then `{build.replace('gen build', 'gen record', 1)}`"
    for study in studies:
        for model in study.models:
            cells = [] if model.measure == "later" else questions(study, model)
            yield from (f"{shown(cell)}: not recorded" for cell in cells if cell not in answered)


def _joined(planned: Planned, records: Sequence[Record]) -> Record:
    """The comparison of two answers to a task."""
    assert planned.task is not None
    start = perf_counter()
    answer = KINDS[planned.cell.kind].function(planned.task, *(one.answer for one in records))
    sides = [record.provenance for record in records if record.provenance is not None]
    provenance = replace(
        sides[0],
        date=today(),
        command=command(),
        seconds=round(perf_counter() - start, 3),
        machine=machine(TIMED_THREADS),
        versions=versions(),
        joins=tuple(side.date for side in sides),
    )
    return Record(
        cell=planned.cell, identity=planned.identity, provenance=provenance, answer=answer
    )


def study_record(name: str, study: Study) -> Record:
    """The study itself as a record, so that it can cross the wall, without folders of this machine."""
    models = tuple(
        replace(
            model,
            checkpoint=without_folder(model.checkpoint),
            tasks={task: without_folder(path) for task, path in model.tasks.items()},
        )
        for model in study.models
    )
    return Record(
        cell=Cell(kind="study", model=name),
        identity={},
        provenance=None,
        answer=replace(study, models=models),
    )


GAPS = ("missing ", "failed ")  # how a line of a forecast begins that names what is not to be had


def forecast(
    loaded: LoadedStudy, results: Results, recorded: Recorded, *, fresh: bool
) -> Iterator[str]:
    """What a build would do, a line each: cells to measure, and rows that wait or are recorded."""
    plan = make_plan(loaded, Digests(results.folder / DIGESTS))
    known = {} if fresh else _known(plan.here, results)
    wanted = [one for one in plan.here if one.cell not in known]
    asked = [one for one in wanted if not joins(one.cell)]
    _, unreadable = readable(jobs_of(asked, plan.study.levels, command()))
    yield from (f"measure  {shown(one.cell)}" for one in wanted)
    for cell in plan.recorded:
        found = recorded.find(cell, results.sound) is not None
        yield f"{'recorded' if found else 'missing '} {shown(cell)}"
    for model in loaded.study.models:
        if model.measure == "later":
            yield f"later    {model.name}: {model.why}"
    yield from (f"not asked {skipped}" for skipped in plan.skipped)
    yield from (f"failed   {failure}" for failure in [*plan.failures, *unreadable])
    yield f"{len(wanted)} of {len(plan.here)} cells to measure here"


def promote(loaded: LoadedStudy, results: Results, recorded: Recorded) -> tuple[int, Path]:
    """Copy this machine's records of a study into `recorded/`, all of them or none; how many, and where.

    Records that no published study asks for any more are removed.

    Raises:
        ReportError: where one is missing, or two were made on other machines or with other packages:
            what is published together was measured together.
    """
    plan = make_plan(loaded, Digests(results.folder / DIGESTS))
    known = _known(plan.here, results)
    missing = [*plan.failures, *(shown(one.cell) for one in plan.here if one.cell not in known)]
    if missing:
        raise ReportError(
            f"{loaded.name}",
            f"a record of every cell, {len(missing)} are missing, the first: {missing[0]}",
            "run `gen build` first; nothing was published",
        )
    records = [held.record for held in known.values()]
    if loaded.study.apart:
        recorded = recorded.apart(loaded.name)
    _refuse_generations(loaded.name, records)
    for record in records:
        recorded.put(record)
    recorded.put(study_record(loaded.name, plan.study))
    recorded.keep(set(_asked(recorded)))
    return len(records), recorded.folder


def _refuse_generations(name: str, records: Sequence[Record]) -> None:
    """Raise where records come of more than one machine, or of more than one version of a package."""
    found: dict[str, Record] = {}
    for record in records:
        assert record.provenance is not None
        made = record.provenance
        facts = {"processor": made.machine.processor, **made.versions}
        found.setdefault(json.dumps(facts, sort_keys=True), record)
    if len(found) > 1:
        one, other = map(json.loads, list(found)[:2])
        apart = next(key for key in {**one, **other} if one.get(key) != other.get(key))
        raise ReportError(
            f"{name}, {shown(list(found.values())[1].cell)}",
            f"{apart} {one.get(apart)} as in other records, found {other.get(apart)}",
            "measure all of it again by `gen build --fresh`; nothing was published",
        )


def _asked(recorded: Recorded) -> Iterator[Cell]:
    """Every question of every published study, and the studies themselves."""
    for record in recorded.all():
        if isinstance(study := record.answer, Study):
            yield record.cell
            for model in study.models:
                yield from questions(study, model)


def status(loaded: LoadedStudy, results: Results, recorded: Recorded) -> Iterator[dict[str, Any]]:
    """For each row: how many cells it has, and how many have a record."""
    digests = Digests(results.folder / DIGESTS)
    plan = make_plan(loaded, digests)
    digests.save()
    known = _known(plan.here, results)
    for model in plan.study.models:
        cells = [] if model.measure == "later" else list(questions(plan.study, model))
        found = [cell for cell in cells if cell in known]
        if model.measure == "recorded":
            found = [cell for cell in cells if recorded.find(cell, results.sound)]
        yield {
            "model": model.name,
            "measure": model.measure,
            "cells": len(cells),
            "answered": len(found),
            "why": "; ".join([model.why] * bool(model.why) + _not_asked(model)),
        }


def _not_asked(model: StudyModel) -> list[str]:
    return [f"not asked {task}: {reason}" for task, reason in model.skipped.items()]
