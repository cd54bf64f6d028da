"""Methods: which keeps most at a level, at which levels, and at which cost; the control beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from generator import contests, pairs
from generator.exhibits import Column, Drawing, Table
from generator.exports import answers
from generator.figures import kept_by_method
from generator.figures.kept_by_method import Row
from generator.pages import side_by_side
from generator.pairs import Pair
from generator.render import NONE, Markdown, escape, level_name, listed
from generator.report import Report
from generator.sentences import contest, tasks
from generator.sentences import quality as sentences
from generator.sentences.findings import in_words
from generator.verdicts import fixed_score

MOST_ROWS = 16
EXAMPLE = 0.5
NOTHING = Markdown("")


@dataclass(frozen=True)
class Labelled:
    """Methods side by side on tasks with labels, by the records of one study."""

    title: Markdown
    control: Markdown
    figure: Drawing | None
    table: Table
    answers: Table | None


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    lead: Markdown
    shown: tuple[side_by_side.Shown, ...]
    labelled: tuple[Labelled, ...]
    costs: Table | None
    note: Markdown
    methods: tuple[str, ...]
    named: tuple[str, ...]
    apart: Markdown
    seeds: Markdown
    fewer: bool


def context(report: Report) -> Context:
    """Every method on record, and the control."""
    every = contests.contests(report)
    texts = [one for one in every if one.of_text]
    parts = [*report.apart, report]
    lead = contest.main_point(report)
    labelled = tuple(
        one
        for place, part in enumerate(parts)
        if (one := _labelled(report, part, place)).table.rows
    )
    if not lead and labelled:
        lead, labelled = (
            labelled[-1].control,
            (*labelled[:-1], replace(labelled[-1], control=NOTHING)),
        )
    return Context(
        lead=lead,
        shown=tuple(side_by_side.shown(one, place) for place, one in enumerate(texts)),
        labelled=labelled,
        costs=side_by_side.costs(every),
        note=report.note(report.measured),
        methods=report.methods,
        named=tuple(_named(parts)),
        apart=Markdown("; ".join(map(_apart, report.apart))),
        seeds=listed([str(seed) for seed in report.seeds]),
        fewer=_fewer(report),
    )


def _named(parts: Sequence[Report]) -> Iterator[str]:
    """What a page has to explain: the methods that were shown a text, and whether any was repaired."""
    for part in parts:
        for method in map(part.study.method, part.compared):
            if method.samples:
                yield method.method
                yield "repair" * method.repair


def _apart(part: Report) -> Markdown:
    """A study by its title, the machine and the day of its last answer."""
    made = [one.record.provenance for one in part.held if one.record.provenance]
    latest = max(made, key=lambda one: one.date, default=None)
    on = f", on {escape(latest.machine.processor)}, {latest.date}" if latest else ""
    return Markdown(f"{escape(part.study.title)}{on}")


def _labelled(report: Report, part: Report, place: int) -> Labelled:
    """What a study's methods keep on tasks with labels; the report's own study has the plain name."""
    own = part is report
    some = [pair for pair in pairs.pairs(part) if part.dense(pair.row.name, pair.task.name) or own]
    name = "methods" if own else f"methods-{place + 1}"
    return Labelled(
        title=Markdown("Every model, against the control") if own else escape(part.study.title),
        control=sentences.control(some),
        figure=_figure(part, some, name),
        table=_table(part, some, name),
        answers=None if own else replace(answers.compared(part), name=f"{name}-answers"),
    )


def control_name(report: Report) -> str:
    """The study's method that is run with seeds; empty where there is none."""
    with_seeds = {cell.method for cell in report.by_cell if cell.seed is not None}
    names = [method.name for method in report.study.methods]
    return next((name for name in names if name in with_seeds), "")


def _fewer(report: Report) -> bool:
    """Whether the control was asked at fewer levels than the first method."""
    control = {cell.level for cell in report.by_cell if cell.seed is not None}
    own = {c.level for c in report.by_cell if c.method == report.method and c.task is not None}
    return control < own


def _figure(report: Report, some: Sequence[Pair], name: str) -> Drawing | None:
    """The level of those that most methods were asked at, at which they differ most."""
    once, found = contests.once(some), []
    for level in _most_asked(report):
        rows = [row for pair in once if (row := _row(report, pair, level)).kept][:MOST_ROWS]
        if rows:
            kept = [dict(row.kept) for row in rows]
            found.append((sentences.apart_at(kept), -abs(level - EXAMPLE), level, rows, kept))
    if not found:
        return None
    _, _, level, rows, kept = max(found, key=lambda one: one[:2])
    finding = sentences.kept_at(level, kept)
    return Drawing(
        name=name,
        title=finding,
        subtitle="Mean over model-task pairs; marks: each pair"
        + (", bars: the range of seeds." if report.seeds else "."),
        alt=Markdown(
            f"{finding}. Drawn: what each method keeps of dense's gain over a fixed answer at "
            f"{level_name(level)}, a row a model-task pair."
        ),
        draw=partial(kept_by_method.draw, rows),
    )


def _most_asked(report: Report) -> list[float]:
    """The levels that most methods were asked at; of a method and a control alone the example's, if any."""
    asked: dict[float, set[str | None]] = {}
    for cell in report.by_cell:
        if cell.level and cell.task is not None and cell.method is not None:
            asked.setdefault(cell.level, set()).add(cell.method)
    most = max(map(len, asked.values()), default=0)
    found = sorted(level for level, methods in asked.items() if len(methods) == most)
    few = len(report.compared) < 2 and EXAMPLE in found
    return [EXAMPLE] if few else found


def _row(report: Report, pair: Pair, level: float) -> Row:
    """What each method keeps of a pair's gain over a fixed answer; nothing of a text, or without a label."""
    name, task = pair.row.name, pair.task.name
    dense = report.dense(name, task)
    label = report.label(pair.row), tasks.title(pair.task)
    if dense is None:
        return Row(*label, ())
    floor = fixed_score(dense)
    gain = dense.value - floor
    if gain <= 0:
        return Row(*label, ())
    kept: list[tuple[str, tuple[float, ...]]] = []
    for view in map(report.under, report.compared):
        found = view.evaluation(name, task, level)
        if found and found.not_a_label < found.n:
            kept.append((view.method, ((found.value - floor) / gain,)))
    runs = [one for one in report.control(name, task, level) if one.not_a_label < one.n]
    control = tuple((one.value - floor) / gain for one in runs)
    if control:
        kept.append((control_name(report), control))
    return Row(*label, tuple(kept))


def _table(report: Report, some: Sequence[Pair], name: str) -> Table:
    """A row a method: at each level, for how many pairs no loss from dense is seen."""
    levels = [level for level in sorted(report.study.levels) if level]
    once = contests.once(some)
    found = {
        method: [contests.without_loss(report.under(method), once, level) for level in levels]
        for method in report.compared
    }
    if control := control_name(report):
        seeds = report.seeds
        found[control] = [
            contests.without_loss(report, once, level, control, seeds) for level in levels
        ]
    rows = [(method, *kept) for method, kept in found.items() if any(kept)]
    asked = {count[1] for kept in found.values() for count in kept if count}
    one = asked.pop() if len(asked) == 1 else None
    of = f"Of {in_words(one, 'model-task pair')}" if one else "Model-task pairs, of those asked,"
    return Table(
        name=name,
        caption=f"{of} those without a loss seen"
        + ("; of the control, those that lose under no seed." if control else "."),
        columns=(
            Column("method", right=False),
            *(
                Column(str(level_name(level)), partial(_of, bool(one)), parts=("without", "asked"))
                for level in levels
            ),
        ),
        rows=tuple(rows),
    )


def _of(alike: bool, value: tuple[int, int] | None) -> str:
    """How many of those asked; of how many is not said again where it is `alike` in all cells."""
    if value is None:
        return NONE
    return str(value[0]) if alike else f"{value[0]} of {value[1]}"
