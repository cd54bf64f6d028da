"""Findings: the one sentence, the grid of states, a row a model, and what to take from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.study import Asking, StudyModel
from generator import pairs
from generator.exhibits import Column, Table
from generator.pairs import SENTENCE, Pair
from generator.render import Markdown, escape, listed, short_count, speedup
from generator.report import Report, is_miniature
from generator.sentences import contest, quality, sizes, speed, tasks
from generator.sentences import findings as sentences
from generator.sentences.findings import Outcome, Ran, level_span
from generator.sentences.sizes import unharmed_up_to
from generator.verdicts import LEGEND, Speed, State

LOOKS = {State.NO_LOSS: "s0", State.LOSS: "s1", State.FLOOR: "s2", State.NO_LABEL: "s2"}
MOST_LEVELS = 9  # columns of the grid: of more levels those that say most
MOST_ROWS = 16  # rows of the grid: of more pairs it is on Explore


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    title: str
    headline: Markdown
    lead: tuple[Markdown, ...]
    grid: Table | None
    more: int
    miniatures: bool
    verdicts: Table
    take: tuple[tuple[Markdown, Markdown], ...]
    done: Markdown
    pruned: bool
    note: Markdown
    gaps: tuple[str, ...]
    asking: Asking | None
    build: str


def context(report: Report) -> Context:
    """The whole report in one screen."""
    found = pairs.pairs(report)
    return Context(
        title=report.study.title,
        headline=_headline(report),
        lead=tuple(line for view in map(report.under, report.methods) for line in _lead(view)),
        grid=_grid(report, found[:MOST_ROWS]) if found else None,
        more=max(0, len(found) - MOST_ROWS),
        miniatures=len({is_miniature(row) for row in report.measured}) > 1,
        verdicts=_verdicts(report),
        take=_take(report),
        done=_done(report),
        pruned=bool(_pruned(report)),
        note=report.note(report.measured),
        gaps=report.gaps,
        asking=report.study.asking,
        build=report.study.asking.command if report.study.asking else "gen build",
    )


def outcome(pair: Pair) -> Outcome:
    """What the sentences need of a pair."""
    faster = pairs.faster_levels(pair.view, pair.row)
    return Outcome(
        pair.course, None if faster is None else tuple(faster), not is_miniature(pair.row)
    )


def ran_at(view: Report, row: StudyModel) -> list[Ran]:
    """The sparse path's speed on one sentence, by level."""
    return [
        Ran(level, one.row.ratio, one.verdict) for level, one in pairs.speeds(view, row).items()
    ]


def outcomes(view: Report) -> list[Outcome]:
    """What the sentences need of every pair of the view's method that has something to lose."""
    return [outcome(pair) for pair in pairs.of_method(view) if pair.able]


def _headline(report: Report) -> Markdown:
    """A sentence a method that has answers; of no method's that there are none."""
    said = []
    for view in map(report.under, report.methods):
        models = {pair.row.name for pair in pairs.of_method(view)}
        if judged := outcomes(view):
            said.append(sentences.headline(view.method, len(models), judged))
    return Markdown(" ".join(said)) or sentences.headline(report.method, 0, [])


def _lead(view: Report) -> tuple[Markdown, ...]:
    """What is left at the highest level that half of the pairs bear, and where all models gain time.

    Speeds are one machine's, which is named where there are others: answers beside them are of its models.
    """
    judged = outcomes(view)
    timer = pairs.foremost(view)
    timed = pairs.timed_on(view, view.measured, timer)
    mine = [row for other, row in timed if other.method == view.method]
    ran = [one for row in mine if (one := ran_at(view, row))]
    parts, model = [], "model" if len(mine) == len(view.measured) else "timed model"
    half, fast = sentences.half_kept(judged), sentences.all_faster(ran)
    if half is not None:
        parts.append(sentences.kept(judged, ran, half, model))
    if fast is not None and judged and fast != half:
        theirs = [outcome(pair) for pair in pairs.of_method(view, mine) if pair.able]
        parts.append(sentences.gained(theirs, ran, fast, model))
    if parts and len(view.methods) > 1:
        parts[0] = Markdown(f"By {escape(view.method)}: {parts[0]}")
    if parts and ran and set(pairs.shapes(view, mine)) != {SENTENCE}:
        parts.append(Markdown("A speed here is that of one sentence at a time."))
    if parts and ran and (name := _named(view)):
        models = sentences.some_of(len(mine), len(view.measured))
        parts.append(Markdown(f"Speeds are those of {models}, timed on {name}."))
    return tuple(parts)


def _named(report: Report) -> Markdown:
    """The machine whose speeds the page has, where others timed rows too."""
    several = len(pairs.by_machine(report, report.measured)) > 1
    timer = pairs.foremost(report)
    return speed.machine_name(timer) if several and timer else Markdown("")


def _grid(report: Report, found: Sequence[Pair]) -> Table:
    """The states of every pair, and the speeds of all models below them."""
    levels = _shown_levels(report)
    rows: list[tuple[object, ...]] = [
        (
            (pair.label, tasks.title(pair.task)),
            *(pair.course.at(level) for level in levels),
        )
        for pair in found
    ]
    # A model's first row leads to its page.
    first = {pair.label: pair for pair in reversed(found)}.values()
    pages = {(one.label, tasks.title(one.task)): report.stem(one.row) for one in first}
    spans = [_span(report, level) for level in levels]
    if any(spans):
        rows.append((("speed", _named(report) or "one sentence"), *spans))
    return Table(
        name="states",
        caption=f"{LEGEND}; below: speed. By share of the prunable weights removed."
        if any(spans)
        else f"{LEGEND}. By share of the prunable weights removed.",
        columns=(
            Column("model, task", partial(_pair_name, pages), right=False, parts=("model", "task")),
            *(
                Column(f"{100 * level:.10g} %", _cell, look=_look, about="state at this level")
                for level in levels
            ),
        ),
        rows=tuple(rows),
    )


def _pair_name(pages: Mapping[tuple[str, str], str], value: tuple[str, str]) -> Markdown:
    """A model, as a link where that is known, and what it is asked in a quieter tone."""
    name, what = value
    shown = model_link((name, pages[value])) if value in pages else escape(name)
    return Markdown(f"{shown} <small>{escape(what)}</small>")


def _cell(value: object) -> str:
    return value.sign if isinstance(value, State) else escape(value or "–")


def _look(value: object) -> str:
    return LOOKS[value] if isinstance(value, State) else "q" if value else ""


def _shown_levels(report: Report) -> list[float]:
    """The levels above dense, at most as many as columns stand beside each other."""
    levels = sorted(level for level in report.study.levels if level)
    if len(levels) <= MOST_LEVELS:
        return levels
    step = (len(levels) - 1) / (MOST_LEVELS - 1)
    return [levels[round(place * step)] for place in range(MOST_LEVELS)]


def _span(report: Report, level: float) -> Markdown | None:
    """The speeds of one machine's models at a level, from the least to the greatest."""
    found = [
        one.row.ratio
        for view, row in pairs.timed_on(report, report.measured, pairs.foremost(report))
        if (one := pairs.speeds(view, row).get(level))
    ]
    if not found:
        return None
    low, high = speedup(min(found)), speedup(max(found))
    return low if low == high else Markdown(f"{low}–{high}")


def _verdicts(report: Report) -> Table:
    """A row a model: how far it goes, what that buys, and where it ends."""
    rows = []
    timer = pairs.foremost(report)
    for view, row in report.by_method(report.measured):
        inspected = report.inspection(row.name)
        if inspected is None:
            continue
        every = pairs.of_method(view, [row])
        some = [pair for pair in every if not pair.weak] or every
        here = pairs.timer(view, row) == timer
        kept, dead = [one.course.unharmed for one in some], [one.course.dead_from for one in some]
        rows.append(
            (
                (view.pruned_label(row), report.stem(row)),
                inspected.totals.parameters_deduplicated.count,
                level_span(kept) if some else None,
                _there(view, row, unharmed_up_to(some)) if here and some else None,
                level_span(dead, "never") if some else None,
                sizes.smallest(view, row, some),
            )
        )
    return Table(
        name="verdicts",
        caption=Markdown(
            "How far each model goes, over tasks with something to lose; speed, and file as it is "
            "read, where none is lost."
            + (f" Speeds: those of {name} alone." if (name := _named(report)) else "")
        ),
        columns=(
            Column("model", model_link, right=False, parts=("name", "page")),
            Column("parameters", short_count, unit="1"),
            Column("no loss seen up to", _or_none, about="least and most over its tasks"),
            Column("speed there", _or_none, about="one sentence of 32 tokens, times dense"),
            Column("no better than a fixed answer from", _or_none),
            Column("smallest file without loss", _or_none),
        ),
        rows=tuple(rows),
    )


def model_link(value: tuple[str, str]) -> Markdown:
    """A row's name as a link to its page, in HTML."""
    name, stem = value
    return Markdown(f'<a href="models/{stem}.html">{escape(name)}</a>')


def _or_none(value: object) -> str:
    return escape("–" if value is None else value)


def _there(view: Report, row: StudyModel, level: float) -> Markdown | None:
    """The speed at the highest level without a loss on any task; None where it was not timed."""
    found = pairs.speeds(view, row)
    if not found:
        return None
    one = found.get(level)
    if one is None or one.verdict is Speed.SAME:
        return Markdown("no faster")
    return Markdown(f"{speedup(one.row.ratio)} times")


def _take(report: Report) -> tuple[tuple[Markdown, Markdown], ...]:
    """What each page of evidence says first."""
    lines = {
        "[Quality](quality.md)": quality.main_point(report),
        "[Time](time.md)": speed.main_point(report, SENTENCE),
        "[Bytes](bytes.md)": sizes.main_point(sizes.every(report)),
        "[Methods](methods.md)": contest.beside(report),
    }
    return tuple((Markdown(page), line) for page, line in lines.items() if line)


def _pruned(report: Report) -> list[str]:
    """The methods by which something on record was pruned, weighed or timed."""
    on_record = {cell.method for cell in report.by_cell}
    return [method for method in report.methods if method in on_record]


def _done(report: Report) -> Markdown:
    """How large the measured models are, and what was done to them."""
    sizes_found = [
        one.totals.parameters_deduplicated.count
        for row in report.measured
        if (one := report.inspection(row.name))
    ]
    if not sizes_found:
        return Markdown("")
    low, high = short_count(min(sizes_found)), short_count(max(sizes_found))
    many = len(sizes_found) > 1
    parts = []
    if methods := _pruned(report):
        parts.append(f"pruned in one shot by {listed(methods)}")
    if machines := pairs.by_machine(report, report.measured):
        parts.append(f"timed on {listed(list(map(speed.machine_name, machines)))}")
    size = low if low == high else f"{low} to {high}"
    then = f" {'They were' if many else 'It was'} {' and '.join(parts)}." if parts else ""
    return Markdown(f"{'These models have' if many else 'This model has'} {size} parameters.{then}")
