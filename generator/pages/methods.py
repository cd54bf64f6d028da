"""Methods: which keeps most at a level, and at which levels; the control beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from experiments.records.cell import DENSE
from experiments.records.evaluation import Comparison
from experiments.records.perplexity import PerplexityChange
from generator import pairs
from generator.exhibits import Column, Drawing, Table
from generator.figures import kept_by_method
from generator.figures.kept_by_method import Row
from generator.pairs import Pair
from generator.render import NONE, Markdown, level_name, listed
from generator.report import Report
from generator.sentences import quality as sentences
from generator.sentences import tasks
from generator.sentences.findings import in_words
from generator.verdicts import bounds_of, fixed_score

MOST_ROWS = 16
EXAMPLE = 0.5


@dataclass(frozen=True)
class Context:
    """What the page shows."""

    lead: Markdown
    figure: Drawing | None
    table: Table
    note: Markdown
    methods: tuple[str, ...]
    seeds: Markdown
    fewer: bool


def context(report: Report) -> Context:
    """Every method on record, and the control."""
    some = pairs.pairs(report)
    return Context(
        lead=sentences.control(some),
        figure=_figure(report, some),
        table=_table(report, some),
        note=report.note(report.measured),
        methods=report.methods,
        seeds=listed([str(seed) for seed in report.seeds]),
        fewer=_fewer(report),
    )


def control_name(report: Report) -> str:
    """The study's method that is run with seeds; empty where there is none."""
    with_seeds = {cell.method for cell in report.by_cell if cell.seed is not None}
    return next((method for method in report.study.methods if method in with_seeds), "")


def _fewer(report: Report) -> bool:
    """Whether the control was asked at fewer levels than the first method."""
    control = {cell.level for cell in report.by_cell if cell.seed is not None}
    own = {c.level for c in report.by_cell if c.method == report.method and c.task is not None}
    return control < own


def _figure(report: Report, some: Sequence[Pair]) -> Drawing | None:
    levels = [level for level in report.study.levels if level]
    level = EXAMPLE if EXAMPLE in levels else next(iter(levels), None)
    if level is None:
        return None
    rows = [row for pair in _once(some) if (row := _row(report, pair, level)).kept][:MOST_ROWS]
    if not rows:
        return None
    finding = sentences.kept_at(level, [dict(row.kept) for row in rows])
    return Drawing(
        name="methods",
        title=finding,
        subtitle="Median over model-task pairs; marks: each pair, bars: the range of seeds.",
        alt=Markdown(
            f"{finding}. Drawn: what each method keeps of dense's gain over a fixed answer at "
            f"{level_name(level)}, a row a model-task pair."
        ),
        draw=partial(kept_by_method.draw, rows),
    )


def _once(some: Sequence[Pair]) -> list[Pair]:
    """The pairs of the first method: each model and task once."""
    return list({(pair.row.name, pair.task.name): pair for pair in reversed(some)}.values())[::-1]


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
    for view, _ in report.by_method([pair.row]):
        found = view.evaluation(name, task, level)
        if found and found.not_a_label < found.n:
            kept.append((view.method, ((found.value - floor) / gain,)))
    runs = [one for one in report.control(name, task, level) if one.not_a_label < one.n]
    control = tuple((one.value - floor) / gain for one in runs)
    if control:
        kept.append((control_name(report), control))
    return Row(*label, tuple(kept))


def _table(report: Report, some: Sequence[Pair]) -> Table:
    """A row a method: at each level, for how many pairs no loss from dense is seen."""
    levels = [level for level in sorted(report.study.levels) if level]
    once = _once(some)
    found = {
        method: [_without_loss(report.under(method), once, level) for level in levels]
        for method in report.methods
    }
    if control := control_name(report):
        seeds = report.seeds
        found[control] = [_without_loss(report, once, level, control, seeds) for level in levels]
    rows = [(method, *kept) for method, kept in found.items() if any(kept)]
    asked = {count[1] for kept in found.values() for count in kept if count}
    one = asked.pop() if len(asked) == 1 else None
    of = f"Of {in_words(one, 'model-task pair')}" if one else "Model-task pairs, of those asked,"
    return Table(
        name="methods",
        caption=f"{of} those without a loss seen; of the control, those that lose under no seed.",
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


def _without_loss(
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
