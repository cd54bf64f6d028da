"""Size and runtime: bytes and milliseconds, and why masking changes neither."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records import Footprint, FootprintRow, LatencyRow, StudyModel
from generator.figures import latency_ratio, size_by_level
from generator.render import (
    Column,
    Drawing,
    Markdown,
    Table,
    escape,
    interval,
    level_name,
    listed,
    number,
    percent,
    size,
    whole,
)
from generator.report import Report
from generator.sentences import latency_sentence, written

FORMATS = {
    "dense": "dense",
    "bitmask": "bit mask + values",
    "csr32": "CSR, 32-bit indices",
    "csr64": "CSR, 64-bit indices",
}


@dataclass(frozen=True)
class ModelSection:
    """One model's bytes and milliseconds."""

    name: str
    headline: Markdown
    break_even: tuple[Markdown, ...]
    speed: Markdown
    threads: int
    rounds: int
    sizes: Table
    size_figure: Drawing
    times: Table


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    checkpoints: tuple[tuple[str, str], ...]

    sections: tuple[ModelSection, ...]
    latency_figure: Drawing | None
    processor: Markdown
    note: Markdown


def context(report: Report) -> Context:
    """Every model that was weighed and timed."""
    sections = tuple(
        section for row in report.measured if (section := _section(report, row)) is not None
    )
    timed = [row for row in report.measured if report.latency(row.name)]
    return Context(
        checkpoints=tuple(report.checkpoints),
        sections=sections,
        latency_figure=_latency_figure(report, timed) if timed else None,
        processor=_processors(report, timed),
        note=report.note(report.measured),
    )


def _processors(report: Report, timed: Sequence[StudyModel]) -> Markdown:
    """What the rows were timed on: those measured here, and apart those on record."""
    found = []
    for origin, rows in report.by_origin(timed).items():
        asked = [
            report.provenance(kind="latency", model=row.name, method=report.method) for row in rows
        ]
        names = listed(sorted({one.machine.processor for one in asked if one}))
        marked = any(report.label(row) != row.name for row in rows)
        found.append(f"{names} for rows marked ({origin})" if marked else names)
    return Markdown("; ".join(found))


def _section(report: Report, row: StudyModel) -> ModelSection | None:
    weighed, timed = report.footprint(row.name), report.latency(row.name)
    if weighed is None or timed is None:
        return None
    return ModelSection(
        name=row.name,
        headline=in_short(report, row),
        break_even=tuple(_break_even(weighed, name) for name in FORMATS if name != "dense"),
        speed=latency_sentence(timed.rows),
        threads=timed.rows[0].threads,
        rounds=timed.rows[0].rounds,
        sizes=_sizes(report.stem(row), weighed),
        size_figure=Drawing(
            name=f"size-{report.stem(row)}",
            alt=f"Bytes of {row.name}'s prunable weights by format and level",
            caption=f"{row.name}: bytes of the prunable weights in each format, dense at the stored "
            "precision = 1.",
            draw=partial(size_by_level.draw, *_size_lines(weighed)),
        ),
        times=_times(report.stem(row), timed.rows),
    )


def in_short(report: Report, row: StudyModel) -> Markdown:
    """The file before and after masking most weights, in one sentence."""
    weighed, timed = report.footprint(row.name), report.latency(row.name)
    if weighed is None or timed is None:
        return Markdown("")
    level = next((r.level for r in weighed.rows if r.level == 0.9), weighed.rows[-1].level)
    files = {r.level: r.bytes for r in weighed.rows if (r.of, r.format) == ("file", "dense")}
    same = "the same" if files[level] == files[0] else f"instead of {size(files[0])}"
    first = timed.rows[0]
    dense, masked = (
        next(
            (
                r
                for r in timed.rows
                if (r.path, r.batch, r.tokens) == (path, first.batch, first.tokens)
                and r.level == at
            ),
            None,
        )
        for path, at in (("dense", 0.0), ("masked", level))
    )
    if dense is None or masked is None:
        return Markdown("")
    return Markdown(
        f"**{escape(report.label(row))}** with {level_name(level)} of its prunable weights set to zero: "
        f"{written(report.inspection(row.name))} takes {size(files[level])}, {same}; a forward pass "
        f"of {first.batch} × {first.tokens} tokens takes {masked.median_ms:.2f} ms instead of "
        f"{dense.median_ms:.2f} ms, "
        f"{masked.ratio:.2f} times as fast "
        f"{interval(masked.ratio_interval, lambda x: f'{x:.2f}')}."
    )


def _break_even(weighed: Footprint, name: str) -> Markdown:
    """From which measured level a format is smaller than dense."""
    rows = [r for r in weighed.rows if (r.of, r.format) == ("prunable", name)]
    smaller = [row for row in rows if row.ratio < 1]
    if not smaller:
        return Markdown(f"{FORMATS[name]}: never smaller than dense at the levels tried")
    best = smaller[-1]
    return Markdown(
        f"{FORMATS[name]}: smaller than dense from {level_name(smaller[0].level)} on; at "
        f"{level_name(best.level)} it takes {percent(best.ratio)} of the dense bytes"
    )


def _size_lines(weighed: Footprint) -> tuple[list[float], dict[str, list[float]]]:
    rows = [row for row in weighed.rows if row.of == "prunable"]
    levels = sorted({row.level for row in rows})
    return levels, {
        FORMATS[name]: [row.ratio for row in rows if row.format == name] for name in FORMATS
    }


def _sizes(name: str, weighed: Footprint) -> Table:
    def cells(row: FootprintRow) -> tuple[object, ...]:
        what = "whole file" if row.of == "file" else "prunable weights"
        return row.level, what, FORMATS.get(row.format, row.format), row.dtype, row.bytes, row.ratio

    return Table(
        name=f"size-{name}",
        columns=(
            Column("level", level_name),
            Column("of", right=False),
            Column("format", right=False),
            Column("stored as", right=False),
            Column("bytes", whole),
            Column("of dense", percent),
        ),
        rows=tuple(cells(row) for row in weighed.rows),
    )


def _times(name: str, rows: tuple[LatencyRow, ...]) -> Table:
    return Table(
        name=f"latency-{name}",
        columns=(
            Column("level", level_name),
            Column("path", right=False),
            Column("batch × tokens", lambda x: f"{x[0]} × {x[1]}", parts=("batch", "tokens")),
            Column("median ms", partial(number, digits=3)),
            Column("p10–p90 ms", lambda x: f"{x[0]:.3g}–{x[1]:.3g}", parts=("p10", "p90")),
            Column("first call ms", partial(number, digits=3)),
            Column("speed", lambda x: f"{x:.2f}×"),
            Column(
                "95 % interval", lambda x: interval(x, lambda y: f"{y:.2f}"), parts=("low", "high")
            ),
            Column("max difference", partial(number, digits=2)),
        ),
        rows=tuple(
            (
                row.level,
                row.path,
                (row.batch, row.tokens),
                row.median_ms,
                (row.p10_ms, row.p90_ms),
                row.cold_ms,
                row.ratio,
                row.ratio_interval,
                row.max_abs_difference,
            )
            for row in rows
        ),
    )


def _latency_figure(report: Report, rows: list[StudyModel]) -> Drawing:
    series = []
    for row in rows:
        timed = report.latency(row.name)
        shapes = dict.fromkeys((r.batch, r.tokens) for r in timed.rows) if timed else {}
        for index, shape in enumerate(shapes):
            points = tuple(
                (r.level, r.ratio, *(r.ratio_interval or (r.ratio, r.ratio)))
                for r in (timed.rows if timed else ())
                if (r.batch, r.tokens) == shape and r.path == "masked"
            )
            label = f"{report.label(row)}, {shape[0]} × {shape[1]}"
            place = report.study.models.index(row)
            series.append(latency_ratio.Series(label, points, place, hollow=index > 0))
    return Drawing(
        name="latency-ratio",
        alt="Speed of the masked models relative to dense at every level",
        caption="Dense time over masked time, round by round: median and 95 % interval. At 1 nothing "
        f"is gained. {report.note(rows)}".strip(),
        draw=partial(latency_ratio.draw, series),
    )
