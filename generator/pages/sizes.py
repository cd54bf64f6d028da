"""Bytes: what zeros save on disk, beside fewer bits and the file as it came; a row a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from generator.exhibits import Column, Drawing, Table
from generator.figures import size_by_level
from generator.figures.size_by_level import Line, Panel
from generator.render import Markdown, escape, level_name, size
from generator.report import Report
from generator.sentences import sizes as sentences
from generator.sentences.findings import in_words
from generator.sentences.sizes import EXAMPLE, Weighed, bits

MOST_ROWS = 8
MOST_PANELS = 3
NEVER = "never"
Found = Sequence[tuple[Report, Weighed]]  # files, each under a method


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    lead: Markdown
    beyond: Markdown
    examples: tuple[Markdown, ...]
    compressed: Markdown
    sparse_rows: Markdown
    figure: Drawing | None
    note: Markdown
    table: Table
    all: Table


def context(report: Report) -> Context:
    """Every model that was weighed."""
    found = [
        (view, one)
        for view, row in report.by_method(report.measured)
        if (one := sentences.weighed(view, row))
    ]
    first = [one for view, one in found if view.method == report.method]
    return Context(
        lead=sentences.lead(report),
        beyond=sentences.beyond(report),
        examples=tuple(filter(None, map(sentences.example, first)))[:MOST_PANELS],
        compressed=sentences.compressed(report),
        sparse_rows=sentences.sparse_rows(
            [files for row in report.measured if (files := report.footprint(row.name))]
        ),
        figure=_figure(found, sentences.from_where(first)) if found else None,
        note=report.note(one.row for _, one in found),
        table=_table(found, report.study.levels),
        all=_all(report),
    )


def _figure(found: Found, finding: Markdown) -> Drawing:
    shown = found[:MOST_PANELS]
    return Drawing(
        name="bytes",
        title=finding,
        subtitle="Whole files, exact, at the stored precision; other lines: 16 bits, and unpruned files.",
        alt=Markdown(
            f"{finding}. Drawn: bytes by level of {in_words(len(shown), 'file')}, beside unpruned rivals."
        ),
        draw=partial(size_by_level.draw, [_panel(view, one) for view, one in shown]),
    )


def _panel(report: Report, one: Weighed) -> Panel:
    lines = tuple(
        Line(f"masks, {bits(dtype)}", tuple(sorted(levels.items())))
        for dtype, levels in one.masks.items()
    )
    rivals = {f"dense, {bits(next(iter(one.masks)))}": one.rivals.dense}
    if one.rivals.half is not None:
        rivals["dense, 16 bits"] = one.rivals.half
    if one.rivals.as_came not in rivals.values():
        rivals["as it came"] = one.rivals.as_came
    return Panel(report.pruned_label(one.row), lines, tuple(rivals.items()))


def _table(found: Found, levels: Sequence[float]) -> Table:
    """A row a model: unpruned files, and bit masks at one level with the first level that beats them all."""
    example = EXAMPLE if EXAMPLE in levels else max(levels, default=EXAMPLE)
    never = NEVER if any(levels) else None
    rows, records = [], []
    for view, one in found[:MOST_ROWS]:
        stored, *others = one.masks
        half = others[0] if others else None
        rows.append(
            (
                view.pruned_label(one.row),
                one.rivals.dense,
                one.rivals.as_came,
                one.rivals.half,
                one.masks[stored].get(example),
                one.masks[half].get(example) if half else None,
                one.smaller_from(stored) or never,
                (one.smaller_from(half) or never) if half else None,
            )
        )
        records.append(view.record(kind="footprint", model=one.row.name, method=view.method))
    at = level_name(example)
    return Table(
        name="bytes-verdicts",
        caption="Whole files, read as they are; the level from which on bit masks beat every unpruned one.",
        columns=(
            Column("model", right=False),
            Column("unpruned", _size, unit="B", about="at the stored precision"),
            Column("as it came", _size, unit="B"),
            Column("unpruned, 16 bits", _size, unit="B"),
            Column(f"masks at {at}", _size, unit="B"),
            Column(f"masks at {at}, 16 bits", _size, unit="B"),
            Column("smaller than all from", _level),
            Column("smaller than all from, 16 bits", _level),
        ),
        rows=tuple(rows),
        records=tuple(records),
    )


def _size(value: int | None) -> str:
    return "–" if value is None else size(value, 2)


def _level(value: float | str | None) -> str:
    return level_name(value) if isinstance(value, float) else escape(value or "–")


def _all(report: Report) -> Table:
    """Every file of every format, precision and level."""
    rows, records = [], []
    for view, row in report.by_method(report.measured):
        found = view.footprint(row.name)
        for one in found.rows if found else ():
            rows.append(
                (
                    row.name,
                    view.method,
                    one.level,
                    one.of,
                    one.format,
                    one.dtype,
                    one.bytes,
                    one.ratio,
                )
            )
            records.append(view.record(kind="footprint", model=row.name, method=view.method))
    return Table(
        name="bytes",
        columns=(
            Column("model"), Column("method"), Column("level", unit="share of prunable weights"),
            Column("of", about="the whole file, or the prunable weights alone"),
            Column("format", about="dense, gzip or zstd of dense, bit masks, rows with 32 or 64-bit indices"),
            Column("precision"), Column("bytes", unit="B"),
            Column("ratio", about="to dense of the same precision and level 0"),
        ),
        rows=tuple(rows),
        records=tuple(records),
    )  # fmt: skip
