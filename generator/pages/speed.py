"""Time: from which level skipping zeros pays, by shape; a row a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.record import Machine
from experiments.records.study import StudyModel
from generator import pairs, verdicts
from generator.exhibits import Column, Drawing, Table
from generator.figures import speed_by_level
from generator.figures.speed_by_level import Line, Panel
from generator.pairs import EIGHT, SENTENCE, TOKEN, Shape, Timed
from generator.render import Markdown, escape, level_name, listed, number, quiet, speedup
from generator.report import Report
from generator.sentences import speed as sentences
from generator.sentences.speed import shape_name
from generator.verdicts import Speed

MOST_ROWS = 8
SHOWN = (0.5, 0.9, 0.99)
MOST_PANELS = 3


@dataclass(frozen=True)
class OnMachine:
    """What one machine timed: never shown together with another's."""

    machine: Markdown
    noise: Markdown
    figure: Drawing
    table: Table


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    lead: Markdown
    others: tuple[Markdown, ...]
    masked: Markdown
    slower: Markdown
    machines: tuple[OnMachine, ...]
    dense_by: Markdown
    rounds: tuple[int, int]
    skipped: tuple[Markdown, ...]
    all: Table
    layers: Table


def context(report: Report) -> Context:
    """Every model that was timed."""
    machines = pairs.by_machine(report, report.measured)
    shapes = [shape for shape in pairs.shapes(report, report.measured) if shape != SENTENCE]
    timed = [
        (view, row, found)
        for view, row in report.by_method(report.measured)
        if (found := view.latency(row.name))
    ]
    rounds = [one.rounds for _, _, found in timed for one in found.rows if one.level]
    return Context(
        lead=sentences.lead(report, SENTENCE),
        others=tuple(filter(None, (sentences.lead_of(report, shape) for shape in shapes))),
        masked=sentences.masked(pairs.timed_rows(report, report.measured)),
        slower=sentences.slower(report),
        machines=tuple(
            _machine(report, place, machine, rows)
            for place, (machine, rows) in enumerate(machines.items())
        ),
        dense_by=listed(list(dict.fromkeys(found.dense_by for _, _, found in timed))),
        rounds=(min(rounds, default=0), max(rounds, default=0)),
        skipped=tuple(
            dict.fromkeys(
                Markdown(escape(reason)) for _, _, found in timed for reason in found.skipped
            )
        ),
        all=_all(report),
        layers=_layers(report),
    )


def _machine(report: Report, place: int, machine: Machine, rows: Sequence[StudyModel]) -> OnMachine:
    noise = pairs.noise_of(report, rows[0])
    name = machine_name(machine)
    shapes = [shape for shape in (SENTENCE, EIGHT, TOKEN) if shape in pairs.shapes(report, rows)]
    rest = [shape for shape in pairs.shapes(report, rows) if shape not in shapes]
    shown = [*shapes, *rest][:MOST_PANELS]
    panels = [_panel(report, rows, shape, noise) for shape in shown]
    finding = sentences.reach(report, rows, shown[0]) if shown else Markdown("")
    stem = "speed" if not place else f"speed-{place + 1}"
    return OnMachine(
        machine=name,
        noise=sentences.threshold(noise),
        figure=Drawing(
            name=stem,
            title=finding,
            subtitle=Markdown(
                f"Times as fast as dense, whole passes; {name}; {escape(_dates(report, rows))}. Grey: noise."
            ),
            alt=Markdown(
                f"{finding} Drawn: speed against level for {listed(list(map(shape_name, shown)))}, with the "
                "arithmetic limit."
            ),
            draw=partial(speed_by_level.draw, panels),
        ),
        table=_table(report, stem, rows, shown),
    )


def machine_name(machine: Machine) -> Markdown:
    """A machine as a subtitle names it."""
    threads = f"{machine.threads} thread{'s' if machine.threads > 1 else ''}"
    gpu = f", {machine.gpu}" if machine.gpu else ""
    return Markdown(f"{escape(machine.processor)}{escape(gpu)}, {threads}")


def _dates(report: Report, rows: Sequence[StudyModel]) -> str:
    """When these rows were timed."""
    asked = [
        view.provenance(kind="latency", model=row.name, method=view.method)
        for view, row in report.by_method(rows)
    ]
    dates = sorted({one.date for one in asked if one})
    return f"{dates[0]} to {dates[-1]}" if dates[1:] else "".join(dates)


def _panel(report: Report, rows: Sequence[StudyModel], shape: Shape, noise: float) -> Panel:
    lines = [
        Line(view.pruned_label(row), tuple(map(_point, found.values())), view.place(row))
        for view, row in report.by_method(rows)
        if (found := pairs.speeds(view, row, shape))
    ]
    return Panel(shape_name(shape), tuple(lines), noise)


def _point(one: Timed) -> tuple[float, float, float, float]:
    low, high = one.row.ratio_interval or (one.row.ratio, one.row.ratio)
    return one.row.level, one.row.ratio, low, high


def _table(report: Report, name: str, rows: Sequence[StudyModel], shapes: Sequence[Shape]) -> Table:
    """A row a model: its dense milliseconds, and how many times as fast at three levels of each shape."""
    levels = [level for level in SHOWN if level in report.study.levels] or [
        level for level in report.study.levels if level
    ][:3]
    lines, records = [], []
    for view, row in report.by_method(rows)[:MOST_ROWS]:
        found = view.latency(row.name)
        if found is None:
            continue
        dense = {(r.batch, r.tokens): r.median_ms for r in found.rows if r.path == "dense"}
        cells: list[object] = []
        for shape in shapes:
            some = pairs.speeds(view, row, shape)
            cells += [dense.get(shape), *(some.get(level) for level in levels)]
        lines.append((view.pruned_label(row), *(_raw(cell) for cell in cells)))
        records.append(view.record(kind="latency", model=row.name, method=view.method))
    columns = [Column("model", right=False)]
    for shape in shapes:
        columns.append(Column(f"{_short(shape)} dense", _ms, unit="ms"))
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
        caption="Milliseconds of dense, and times as fast: batch × tokens.",
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


def _ms(value: float | None) -> str:
    return number(value, 3)


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
        for one in found.rows if found else ():
            said = verdicts.speed(one, noise).value if one.path == "sparse" else None
            rows.append(
                (
                    row.name, view.method, one.level, one.path, one.batch, one.tokens, one.threads,
                    one.rounds, one.cold_ms, one.median_ms, (one.p10_ms, one.p90_ms), one.ratio,
                    one.ratio_interval, said, one.max_abs_difference,
                )
            )  # fmt: skip
            records.append(view.record(kind="latency", model=row.name, method=view.method))
    return Table(
        name="latency",
        columns=(
            Column("model"), Column("method"), Column("level", unit="share of prunable weights"),
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
            Column("model"), Column("method"), Column("kind of layer"),
            Column("level", unit="share of prunable weights"), Column("batch", unit="sentences"),
            Column("tokens"), Column("layers tried"), Column("layers sparse"),
        ),
        rows=tuple(rows),
        records=tuple(records),
    )  # fmt: skip
