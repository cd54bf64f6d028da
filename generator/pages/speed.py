"""Time: from which level skipping zeros pays, by shape; a row a model."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from experiments.records.latency import Latency
from experiments.records.study import StudyModel
from generator import pairs, verdicts
from generator.exhibits import Column, Drawing, Table
from generator.figures import speed_by_level
from generator.figures.speed_by_level import Line, Panel
from generator.pairs import EIGHT, SENTENCE, TOKEN, Shape, Timed, Timer
from generator.render import (
    NONE,
    Markdown,
    decimals,
    escape,
    heading,
    level_name,
    listed,
    quiet,
    speedup,
)
from generator.report import Report
from generator.sentences import speed as sentences
from generator.sentences.speed import machine_name, shape_name
from generator.verdicts import Speed

MOST_ROWS = 8
SHOWN = (0.5, 0.9, 0.99)
MOST_PANELS = 3
PLACED = 5  # the version of timing since which weights are laid anew for every round
OLDER = (
    "of these times were recorded before weights were laid anew for every round, and with an earlier "
    "sparse product: speeds beside dense can be too high, and intervals narrower than they should be."
)
Views = Sequence[tuple[Report, StudyModel]]  # rows, each under a method


@dataclass(frozen=True)
class OnMachine:
    """What one machine timed: never shown together with another's."""

    machine: Markdown
    noise: Markdown
    masked: Markdown
    slower: Markdown
    figure: Drawing
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    lead: Markdown
    others: Markdown
    machines: tuple[OnMachine, ...]
    note: Markdown
    threads: Markdown
    dense_by: Markdown
    rounds: Markdown
    older: Markdown
    shared: bool
    skipped: tuple[tuple[str, str], ...]
    all: Table
    layers: Table


def context(report: Report) -> Context:
    """Every model that was timed."""
    machines = pairs.by_machine(report, report.measured)
    shapes = _ordered(pairs.shapes(report, report.measured))
    timed = [
        (view, row, found)
        for view, row in report.by_method(report.measured)
        if (found := view.latency(row.name))
    ]
    rounds = sorted({one.rounds for _, _, found in timed for one in found.rows if one.level})
    threads = sorted({one.machine.threads for one in machines})
    return Context(
        lead=sentences.lead(report, shapes),
        others=sentences.others(report, shapes),
        machines=tuple(
            _machine(report, place, machine, rows)
            for place, (machine, rows) in enumerate(machines.items())
        ),
        note=report.note(row for rows in machines.values() for row in rows),
        threads=Markdown(f"{_ends(threads)} thread{'s' * (threads != [1])}"),
        dense_by=_modes(found for _, _, found in timed),
        rounds=_ends(rounds),
        older=_older([(view, row) for view, row, _ in timed]),
        shared=any(one.shares_rounds for _, _, one in timed),
        skipped=tuple(
            dict.fromkeys(
                (what, why)
                for _, _, found in timed
                for what, _, why in (reason.partition(": ") for reason in found.skipped)
            )
        ),
        all=_all(report),
        layers=_layers(report),
    )


def _modes(timed: Iterable[Latency]) -> Markdown:
    """The modes that dense ran in, whose names have commas."""
    modes = dict.fromkeys(mode for found in timed for mode in found.dense_by.split("; "))
    return Markdown("; ".join(map(escape, modes)))


def _older(views: Views) -> Markdown:
    """What is known of times of an earlier version, where there are some."""
    asked = (
        view.identity(kind="latency", model=row.name, method=view.method) for view, row in views
    )
    versions = [identity.get("version", "") for identity in asked]
    old = sum(not (version.isdecimal() and int(version) >= PLACED) for version in versions)
    if not old:
        return Markdown("")
    return Markdown(f"{'All' if old == len(versions) else 'Some'} {OLDER}")


def _ends(counts: Sequence[int]) -> Markdown:
    """The least and the greatest of rising counts."""
    return Markdown(
        " to ".join(str(one) for one in dict.fromkeys((counts[0], counts[-1]))) if counts else ""
    )


def _machine(report: Report, place: int, machine: Timer, rows: Sequence[StudyModel]) -> OnMachine:
    views = pairs.timed_on(report, rows, machine)
    noise = pairs.noise_of(*views[0])
    name = machine_name(machine)
    shown = _ordered(pairs.shapes(report, rows))[:MOST_PANELS]
    panels = [_panel(views, shape, noise) for shape in shown]
    finding = sentences.reach(views, shown[0]) if shown else Markdown("")
    finding = finding or Markdown("Dense passes alone")
    stem = "speed" if not place else f"speed-{place + 1}"
    return OnMachine(
        machine=_heading(machine),
        noise=sentences.threshold(noise),
        masked=sentences.masked(pairs.timed_rows(views)),
        slower=sentences.slower(views),
        figure=Drawing(
            name=stem,
            title=finding,
            subtitle=Markdown(
                f"Times as fast as dense, whole passes; {name}; {escape(_dates(views))}. Grey: noise."
            ),
            alt=Markdown(
                f"{finding}. Drawn: speed against level for {listed(list(map(shape_name, shown)))}, with the "
                "arithmetic limit."
            ),
            draw=partial(speed_by_level.draw, panels),
        ),
        tables=_tables(stem, views, shown, report.study.levels),
    )


def _ordered(shapes: Sequence[Shape]) -> list[Shape]:
    """Shapes, those of every report first."""
    known = [shape for shape in (SENTENCE, EIGHT, TOKEN) if shape in shapes]
    return [*known, *(shape for shape in shapes if shape not in known)]


def _heading(timer: Timer) -> Markdown:
    """A machine in plain words."""
    parts = (timer.machine.processor, timer.machine.gpu or "", "recorded" * timer.recorded)
    return heading(" ".join(parts))


def _dates(views: Views) -> str:
    """When these rows were timed."""
    asked = [
        view.provenance(kind="latency", model=row.name, method=view.method) for view, row in views
    ]
    dates = sorted({one.date for one in asked if one})
    return f"{dates[0]} to {dates[-1]}" if dates[1:] else "".join(dates)


def _panel(views: Views, shape: Shape, noise: float) -> Panel:
    lines = [
        Line(view.pruned_label(row), tuple(map(_point, found.values())), view.place(row))
        for view, row in views
        if (found := pairs.speeds(view, row, shape))
    ]
    return Panel(shape_name(shape), tuple(lines), noise)


def _point(one: Timed) -> tuple[float, float, float, float]:
    low, high = one.row.ratio_interval or (one.row.ratio, one.row.ratio)
    return one.row.level, one.row.ratio, low, high


def _tables(
    stem: str, views: Views, shapes: Sequence[Shape], asked: Sequence[float]
) -> tuple[Table, ...]:
    """One of whole sentences, and one of single tokens, which few models are timed with."""
    levels = [level for level in SHOWN if level in asked] or [level for level in asked if level][:3]
    whole = [shape for shape in shapes if shape != TOKEN]
    parts = ((stem, "batch × tokens", whole), (f"{stem}-token", "a token at a time", [TOKEN]))
    made = (_table(name, about, views, some, levels) for name, about, some in parts)
    return tuple(one for one in made if one.rows)


def _table(
    name: str, about: str, views: Views, shapes: Sequence[Shape], levels: Sequence[float]
) -> Table:
    """A row a model: its dense milliseconds, and how many times as fast at three levels of each shape."""
    lines: list[tuple[Any, ...]] = []
    records = []
    for view, row in views[:MOST_ROWS]:
        found = view.latency(row.name)
        if found is None:
            continue
        dense = {(r.batch, r.tokens): r.median_ms for r in found.rows if r.path == "dense"}
        if not dense.keys() & set(shapes):
            continue
        cells: list[object] = []
        for shape in shapes:
            some = pairs.speeds(view, row, shape)
            cells += [dense.get(shape), *(some.get(level) for level in levels)]
        lines.append((view.pruned_label(row), *(_raw(cell) for cell in cells)))
        records.append(view.record(kind="latency", model=row.name, method=view.method))
    columns = [Column("model", right=False)]
    for shape in shapes:
        dense_ms = [line[len(columns)] for line in lines]
        columns.append(Column(f"{_short(shape)} dense", _ms(dense_ms), unit="ms"))
        columns += [
            Column(
                f"{_short(shape)} at {level_name(level)}",
                _speed,
                parts=("ratio", "low", "high", "said"),
            )
            for level in levels
        ]
    return Table(
        name=f"{name}-verdicts",
        caption=f"Milliseconds of dense; times as fast with 95 % interval, where beyond the noise: {about}.",
        columns=tuple(columns),
        rows=tuple(lines),
        records=tuple(records),
    )


def _short(shape: Shape) -> str:
    return f"{shape[0]} × {shape[1]}"


def _raw(cell: object) -> object:
    if isinstance(cell, Timed):
        return (cell.row.ratio, *(cell.row.ratio_interval or (None, None)), cell.verdict.value)
    return cell


def _ms(column: Sequence[float | None]) -> Callable[[float | None], str]:
    """How a column of milliseconds is written: the same decimals down all of it."""
    places = decimals(column)
    return lambda value: escape(NONE if value is None else f"{value:.{places}f}")


def _speed(value: tuple[float, float | None, float | None, str] | None) -> str:
    """A speed beyond the noise; within it that it is no faster."""
    if value is None:
        return escape("–")
    ratio, low, high, said = value
    if said == Speed.SAME.value:
        return escape(said)
    bounds = None if low is None or high is None else (low, high)
    return Markdown(f"{speedup(ratio)}× {quiet(bounds, ratio, lambda x: f'{x:.2f}')}")


def _all(report: Report) -> Table:
    """Every time of every model."""
    rows, records = [], []
    for view, row in report.by_method(report.measured):
        found = view.latency(row.name)
        noise = pairs.noise_of(view, row) if found else 0.0
        timer = pairs.timer(view, row)
        machine = timer.machine.processor if timer else ""
        for one in found.rows if found else ():
            said = verdicts.speed(one, noise).value if one.path == "sparse" else None
            rows.append(
                (
                    row.name, view.method, machine, one.level, one.path, one.batch, one.tokens, one.threads,
                    one.rounds, one.cold_ms, one.median_ms, (one.p10_ms, one.p90_ms), one.ratio,
                    one.ratio_interval, said, one.max_abs_difference,
                )
            )  # fmt: skip
            records.append(view.record(kind="latency", model=row.name, method=view.method))
    return Table(
        name="latency",
        columns=(
            Column("model"), Column("method"), Column("machine"),
            Column("level", unit="share of prunable weights"),
            Column("path", about="dense, masked (dense arithmetic on zeros), sparse, 2:4"),
            Column("batch", unit="sentences"), Column("tokens"), Column("threads"), Column("rounds"),
            Column("first call", unit="ms"), Column("median", unit="ms"),
            Column("quantile", parts=("p10", "p90"), unit="ms"),
            Column("ratio", about="dense time over this path's, median over rounds; above 1 is faster"),
            Column("ratio interval", parts=("low", "high"), about="95 %"),
            Column("said", about="beyond the machine's noise"),
            Column("largest difference", about="of its outputs from plain torch's"),
        ),
        rows=tuple(rows),
        records=tuple(records),
    )  # fmt: skip


def _layers(report: Report) -> Table:
    """By kind of layer, how many were tried at a level and shape, and how many ran sparse."""
    rows, records = [], []
    for view, row in report.by_method(report.measured):
        found = view.latency(row.name)
        tried: dict[tuple[str, float, int, int], list[bool]] = {}
        for one in found.trials if found else ():
            kind = (one.role, one.level, one.batch, one.tokens)
            tried.setdefault(kind, []).append(one.sparse)
        for kind, taken in tried.items():
            rows.append((row.name, view.method, *kind, len(taken), sum(taken)))
            records.append(view.record(kind="latency", model=row.name, method=view.method))
    return Table(
        name="layers-timed",
        columns=(
            Column("model"), Column("method"),
            Column("kind of layer", about="its place in a block"),
            Column("level", unit="share of prunable weights"), Column("batch", unit="sentences"),
            Column("tokens"),
            Column("layers tried", unit="layers", about="dense and sparse, in passes of the model"),
            Column("layers sparse", unit="layers", about="those that took the sparse product"),
        ),
        rows=tuple(rows),
        records=tuple(records),
    )  # fmt: skip
