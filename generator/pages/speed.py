"""Size and runtime: bytes and milliseconds, what masking does to them and what sparse formats do."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.footprint import Footprint, FootprintRow
from experiments.records.latency import LatencyRow, LayerTrial
from experiments.records.study import StudyModel
from generator.exhibits import Column, Drawing, Table
from generator.figures import heat_map, latency_ratio, size_by_level
from generator.pages import frontier
from generator.render import (
    Markdown,
    code,
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
from generator.sentences.quality import (
    as_stored,
    dequantised,
    latency_sentence,
    sparse_sentence,
    written,
)

FORMATS = {
    "dense": "dense",
    "gzip": "gzip",
    "zstd": "zstd",
    "bitmask": "bit mask + values",
    "csr32": "CSR, 32-bit indices",
    "csr64": "CSR, 64-bit indices",
}
PLACED = 5  # the version of latencies from which on modes are tried and weights placed anew
OLDER = (
    "Some of these times were recorded before dense was timed in the mode that tries fastest, before weights "
    "were placed anew for every round, and with an earlier sparse product: speeds beside dense can be too "
    "high, and intervals narrower than they should be."
)
EXAMPLE = 0.9  # the level whose numbers stand first, where it was measured


@dataclass(frozen=True)
class SizeSection:
    """One model's bytes."""

    name: str
    break_even: tuple[Markdown, ...]
    sizes: Table
    figure: Drawing


@dataclass(frozen=True)
class TimeSection:
    """One model's milliseconds."""

    name: str
    masked: Markdown
    sparse: Markdown
    skipped: tuple[str, ...]
    dense_by: str
    threads: int
    rounds: tuple[int, int]
    shared: bool
    times: Table
    layers: Table
    layer_figure: Drawing


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    checkpoints: tuple[tuple[str, str], ...]
    many: bool

    headlines: tuple[Markdown, ...]
    timed: tuple[TimeSection, ...]
    weighed: tuple[SizeSection, ...]
    latency_figure: Drawing | None
    processor: Markdown
    note: Markdown
    older: Markdown
    alike: Markdown
    costs: tuple[Drawing, ...]
    compressed: Markdown


def context(report: Report) -> Context:
    """Every model that was weighed and timed."""
    pruned = report.by_method(report.measured)
    timed = [row for row in report.measured if _timed(report, row)]
    return Context(
        checkpoints=tuple(report.checkpoints),
        many=len(report.measured) != 1,
        headlines=tuple(filter(None, (in_short(*one) for one in pruned))),
        timed=tuple(filter(None, (_timing(*one) for one in pruned))),
        weighed=tuple(filter(None, (_weighing(*one) for one in pruned))),
        latency_figure=_latency_figure(report, timed) if timed else None,
        processor=_processors(report, timed),
        note=report.note(report.measured),
        older=_older(report, timed),
        alike=_alike(report, timed),
        costs=frontier.drawings(report),
        compressed=_compressed(report),
    )


def _timed(report: Report, row: StudyModel) -> bool:
    return any(view.latency(row.name) for view, _ in report.by_method([row]))


def _processors(report: Report, timed: Sequence[StudyModel]) -> Markdown:
    """What the rows were timed on: those measured here, and apart those on record."""
    found = []
    for origin, rows in report.by_origin(timed).items():
        asked = [
            view.provenance(kind="latency", model=row.name, method=view.method)
            for view, row in report.by_method(rows)
        ]
        names = listed(sorted({one.machine.processor for one in asked if one}))
        marked = any(map(report.marked, rows))
        found.append(f"{names} for rows marked ({origin})" if marked else names)
    return Markdown("; ".join(found))


def _older(report: Report, timed: Sequence[StudyModel]) -> Markdown:
    """What is known of times of an earlier version, where there are some."""
    asked = (
        report.identity(kind="latency", model=row.name, method=view.method)
        for view, row in report.by_method(timed)
        if view.latency(row.name)
    )
    versions = [identity.get("version", "") for identity in asked]
    placed = all(version.isdecimal() and int(version) >= PLACED for version in versions)
    return Markdown("" if placed else OLDER)


def _alike(report: Report, timed: Sequence[StudyModel]) -> Markdown:
    """How masked, which is dense arithmetic twice, compares with itself."""
    rows = [
        row
        for view, model in report.by_method(timed)
        if (latency := view.latency(model.name))
        for row in latency.rows
    ]
    bounds = [row.ratio_interval for row in rows if row.path == "masked" and row.ratio_interval]
    missing = sum(not low <= 1 <= high for low, high in bounds)
    if not bounds:
        return Markdown("")
    return Markdown(
        f"Of {len(bounds)} such intervals {missing or 'none'} miss{'es' * (missing < 2)} 1; "
        f"{number(0.05 * len(bounds), 2)} are due by chance."
    )


def _weighing(report: Report, row: StudyModel) -> SizeSection | None:
    weighed = report.footprint(row.name)
    if weighed is None:
        return None
    stem, title = report.pruned_stem(row), report.pruned_title(row)
    return SizeSection(
        name=title,
        break_even=tuple(_break_even(weighed, name) for name in FORMATS if name != "dense"),
        sizes=_sizes(stem, weighed),
        figure=Drawing(
            name=f"size-{stem}",
            title="",
            alt=f"Bytes of {title}'s file by format and level",
            subtitle=f"{title}: bytes of the whole file in each format, dense at the stored "
            "precision = 1. What is not prunable stays dense.",
            draw=partial(size_by_level.draw, *_size_lines(weighed)),
        ),
    )


def _timing(report: Report, row: StudyModel) -> TimeSection | None:
    timed = report.latency(row.name)
    if timed is None:
        return None
    pruned = [one.rounds for one in timed.rows if one.level]
    stem, title = report.pruned_stem(row), report.pruned_title(row)
    return TimeSection(
        name=title,
        masked=latency_sentence(timed.rows),
        sparse=sparse_sentence(timed),
        skipped=timed.skipped,
        dense_by=timed.dense_by,
        threads=timed.rows[0].threads,
        rounds=(min(pruned, default=0), max(pruned, default=0)),
        shared=timed.shares_rounds,
        times=_times(stem, timed.rows),
        layers=_layers(stem, timed.trials),
        layer_figure=Drawing(
            name=f"sparse-layers-{stem}",
            title="",
            alt=f"Which of {title}'s layers ran faster sparse",
            subtitle=f"{title}: percent of the layers of a kind that ran faster sparse, by level and "
            "batch × tokens. The others stay dense.",
            draw=partial(heat_map.draw, *_layer_shares(timed.trials), axis="level, batch × tokens"),
        ),
    )


def in_short(report: Report, row: StudyModel) -> Markdown:
    """What removing most weights did to the file and the time: masked, and stored and run sparse."""
    weighed, timed = report.footprint(row.name), report.latency(row.name)
    if weighed is None or timed is None:
        return Markdown("")
    files, masks = as_stored(weighed, "dense"), as_stored(weighed, "bitmask")
    level = EXAMPLE if EXAMPLE in files else max(files)
    same = (
        "the same"
        if files[level].bytes == files[0].bytes
        else (f"instead of {size(files[0].bytes)}")
    )
    dense = timed.rows[0]
    shape = (dense.batch, dense.tokens)
    at = {r.path: r for r in timed.rows if (r.batch, r.tokens) == shape and r.level == level}
    if not {"masked", "sparse"} <= at.keys() or level not in masks:
        return Markdown("")
    masked, sparse = at["masked"], at["sparse"]
    found = report.inspection(row.name)
    came = f" (as it came, {size(found.file_bytes)})" if found and dequantised(found) else ""
    return Markdown(
        f"**{escape(report.pruned_label(row))}** with {level_name(level)} of its prunable weights set to "
        f"zero: {written(found)} takes {size(files[level].bytes)}{came}, {same}; a forward "
        f"pass of {shape[0]} × {shape[1]} tokens takes {masked.median_ms:.2f} ms, {_speed(masked)}. "
        "Stored as bit masks it takes "
        f"{size(masks[level].bytes)}, {percent(masks[level].ratio)} of dense; by arithmetic that skips "
        f"the zeros the pass takes {sparse.median_ms:.2f} ms, {_speed(sparse)}."
    )


def _speed(row: LatencyRow) -> str:
    bounds = interval(row.ratio_interval, lambda x: f"{x:.2f}")
    return f"{row.ratio:.2f} times as fast as dense {bounds}"


def _break_even(weighed: Footprint, name: str) -> Markdown:
    """From which level a format is smaller than dense, by its formula; of a compressor, what it makes."""
    stored = weighed.rows[0].dtype
    rows = as_stored(weighed, name)
    even = next((e for e in weighed.break_even if (e.format, e.dtype) == (name, stored)), None)
    if even is None:
        shown = [rows[level] for level in sorted({0.0, EXAMPLE, max(rows)} & rows.keys())]
        return Markdown(
            f"{FORMATS[name]}: "
            + listed([f"{percent(row.ratio)} of dense {_when(row.level)}" for row in shown])
        )
    if even.sparsity is None:
        return Markdown(f"{FORMATS[name]}: never smaller than dense")
    best = rows[max(rows)]
    return Markdown(
        f"{FORMATS[name]}: smaller than dense once {percent(even.sparsity)} of the prunable weights are "
        f"zero; at {level_name(best.level)} the whole file takes {percent(best.ratio)} of its dense bytes"
    )


def _when(level: float) -> Markdown:
    return Markdown(f"at {level_name(level)}" if level else "before anything is pruned")


def _compressed(report: Report) -> Markdown:
    """Whether plain compression makes a smaller file than bit masks, at the level that stands first."""
    pruned = report.by_method(report.measured)
    weighed = [found for view, row in pruned if (found := view.footprint(row.name))]
    pairs = [
        (as_stored(one, "gzip")[EXAMPLE].bytes, as_stored(one, "bitmask")[EXAMPLE].bytes)
        for one in weighed
        if EXAMPLE in as_stored(one, "gzip") and EXAMPLE in as_stored(one, "bitmask")
    ]
    if not pairs:
        return Markdown("")
    smaller = sum(gzip < masks for gzip, masks in pairs)
    of = f" of {smaller} of {len(pairs)} models" if pairs[1:] else ""
    if not (of or smaller):
        return Markdown("")
    return Markdown(
        f"At {level_name(EXAMPLE)} gzip makes a smaller file than bit masks{of}: it squeezes what is "
        "not prunable too, but has to be unpacked before use, "
        "and a file of bit masks is read as it is."
    )


def _size_lines(weighed: Footprint) -> tuple[list[float], dict[str, list[float]]]:
    levels = sorted(as_stored(weighed, "dense"))
    found = {FORMATS[name]: as_stored(weighed, name) for name in FORMATS}
    return levels, {
        name: [rows[level].ratio for level in levels] for name, rows in found.items() if rows
    }


def _layer_shares(
    trials: Sequence[LayerTrial],
) -> tuple[list[str], list[str], list[list[float | None]]]:
    """Kinds of layers, levels and shapes, and the fraction of each kind that ran faster sparse."""
    roles = list(dict.fromkeys(one.role for one in trials))
    shapes = sorted({(one.batch, one.tokens, one.level) for one in trials})
    shares: list[list[float | None]] = []
    for role in roles:
        line: list[float | None] = []
        for shape in shapes:
            tried = [t for t in trials if t.role == role and (t.batch, t.tokens, t.level) == shape]
            line.append(sum(t.sparse for t in tried) / len(tried) if tried else None)
        shares.append(line)
    names = [f"{100 * level:g} %\n{batch}×{tokens}" for batch, tokens, level in shapes]
    return roles, names, shares


def _layers(name: str, trials: Sequence[LayerTrial]) -> Table:
    """Every layer's trial, for who wants to see which won where."""
    return Table(
        name=f"sparse-layers-{name}",
        columns=(
            Column("layer", code, right=False),
            Column("role", right=False),
            Column("level", level_name),
            Column("batch × tokens", lambda x: f"{x[0]} × {x[1]}", parts=("batch", "tokens")),
            Column("weights left", percent),
            Column("dense ms", partial(number, digits=3)),
            Column("sparse ms", lambda x: "–" if x is None else number(x, digits=3)),
            Column("taken", right=False),
            Column("why", right=False),
        ),
        rows=tuple(
            (
                one.name,
                one.role,
                one.level,
                (one.batch, one.tokens),
                one.density,
                one.dense_ms,
                one.sparse_ms,
                "sparse" if one.sparse else "dense",
                one.reason,
            )
            for one in trials
        ),
    )


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


def _latency_figure(report: Report, rows: Sequence[StudyModel]) -> Drawing:
    pruned = report.by_method(rows)
    timed = [(view, row, found) for view, row in pruned if (found := view.latency(row.name))]
    shapes = dict.fromkeys((r.batch, r.tokens) for *_, found in timed for r in found.rows)
    panels = []
    for batch, tokens in shapes:
        series = []
        for view, row, found in timed:
            here = [r for r in found.rows if (r.batch, r.tokens) == (batch, tokens)]
            sparse, masked = (_points(here, path) for path in ("sparse", "masked"))
            name, place = view.pruned_label(row), view.place(row)
            series.append(latency_ratio.Series(name, sparse, masked, place))
        panels.append(latency_ratio.Panel(f"{batch} × {tokens} tokens", tuple(series)))
    return Drawing(
        name="latency-ratio",
        title="",
        alt="Speed of the masked and the sparse models relative to dense at every level",
        subtitle="Dense time over sparse time, round by round: median and 95 % interval; a dash is the "
        "masked model. The broken line is what skipping every zero of every weight, and nothing else "
        f"taking time, would give. {report.note(rows)}".strip(),
        draw=partial(latency_ratio.draw, panels),
    )


def _points(rows: Sequence[LatencyRow], path: str) -> tuple[latency_ratio.Point, ...]:
    return tuple(
        (row.level, row.ratio, *(row.ratio_interval or (row.ratio, row.ratio)))
        for row in rows
        if row.path == path
    )
