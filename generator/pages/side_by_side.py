"""Methods side by side on a text that a model predicts, and what each took: parts of the page Methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from generator.contests import Contender, Contest
from generator.exhibits import Column, Drawing, Table
from generator.figures import quality_by_level
from generator.figures.quality_by_level import Line, Panel
from generator.render import NONE, Markdown, escape, perplexity, quiet, whole
from generator.sentences import contest, tasks
from generator.sentences.quality import PERPLEXITY

MOST_METHODS = 8


@dataclass(frozen=True)
class Shown:
    """Methods side by side on a text that a model predicts: a figure, a row a method, and what is said."""

    title: Markdown
    said: tuple[Markdown, ...]
    figure: Drawing | None
    table: Table


def shown(one: Contest, place: int) -> Shown:
    """A contest on a text; `place` is its own among those of a page."""
    name = "methods-text" + (f"-{place + 1}" if place else "")
    row, task = escape(one.report.label(one.row)), escape(tasks.title(one.task))
    lines = contest.order(one), contest.repaired(one), contest.allocated(one)
    return Shown(
        title=Markdown(f"{row}, {task}"),
        said=tuple(filter(None, lines)),
        figure=_curves(one, name),
        table=_by_level(one, name),
    )


def _curves(one: Contest, name: str) -> Drawing | None:
    """Quality by level, a line a method; what is asked by a pattern alone is in the table."""
    lines = []
    for place, contender in enumerate(_picked(one)):
        points = []
        for asked in one.asked:
            got = None if asked.pattern else one.answer(contender, asked)
            if got is not None:
                low, high = got.interval or (got.value, got.value)
                points.append((asked.level, got.value, low, high))
        if points:
            lines.append(Line(contender.name, tuple(points), place))
    if not lines or one.dense is None:
        return None
    inspected = one.report.inspection(one.row.name)
    guess = float(inspected.architecture.vocabulary or 0) if inspected else 0.0
    panel = Panel(tasks.title(one.task), PERPLEXITY, tuple(lines), guess or None)
    finding = contest.best(one)
    return Drawing(
        name=name,
        title=finding,
        subtitle=Markdown(
            f"Perplexity of {whole(one.dense.n)} tokens by {escape(one.row.name)}, lower is better. "
            "Bars: 95 % intervals."
        ),
        alt=Markdown(
            f"{finding}. Drawn: perplexity against the share of weights removed, a line a method."
        ),
        draw=partial(quality_by_level.draw, [panel]),
    )


def _picked(one: Contest) -> list[Contender]:
    """The methods that are shown: the report's own, and of the others those that keep most, in order."""
    at = contest.example(one)

    def rank(contender: Contender) -> float:
        got = one.answer(contender, at)
        return got.value if got else float("inf")

    first, *others = one.contenders
    kept = sorted(others, key=rank)[: MOST_METHODS - 1]
    return [first, *(other for other in others if other in kept)]


def _by_level(one: Contest, name: str) -> Table:
    """A row a method, a column a level or pattern."""
    rows = []
    for contender in one.contenders:
        cost = one.cost(contender)
        got = [one.answer(contender, asked) for asked in one.asked]
        rows.append(
            (
                contender.name,
                *(
                    (answer.value, *(answer.interval or (None, None))) if answer else None
                    for answer in got
                ),
                cost.seconds / 60 if cost else None,
                cost.peak_bytes if cost else None,
            )
        )
    shown = {contender.name for contender in _picked(one)}
    dense = perplexity(one.dense.value) if one.dense else NONE
    return Table(
        name=name,
        caption=f"Perplexity; dense has {dense}.",
        columns=(
            Column("method", right=False),
            *(
                Column(str(asked.title), _with_interval, parts=("perplexity", "low", "high"))
                for asked in one.asked
            ),
            Column(
                "minutes",
                contest.minutes,
                unit="min",
                about="of one core, to choose and to mend",
            ),
            Column("memory", contest.memory, unit="bytes", about="the most that its process held"),
        ),
        rows=tuple(rows),
        picked=tuple(place for place, row in enumerate(rows) if row[0] in shown),
    )


def _with_interval(value: tuple[float, float | None, float | None] | None) -> Markdown:
    """A perplexity with its interval in a quieter tone."""
    if value is None:
        return Markdown(NONE)
    middle, low, high = value
    bounds = None if low is None or high is None else (low, high)
    return Markdown(f"{perplexity(middle)} {quiet(bounds, middle, perplexity)}".strip())


def costs(every: Sequence[Contest]) -> Table | None:
    """What choosing by calibration took, a row a model and method; in the CSV alone."""
    rows = {
        (one.row.name, contender.name): (
            cost.task,
            cost.samples,
            cost.tokens,
            cost.seconds,
            cost.peak_bytes,
        )
        for one in every
        for contender in one.contenders
        if (cost := one.cost(contender))
    }
    if not rows:
        return None
    return Table(
        name="costs",
        columns=(
            Column("model"), Column("method"),
            Column("text", about="the task whose training text was shown"),
            Column("windows"), Column("tokens"), Column("seconds", unit="s of one core"),
            Column("memory", unit="bytes", about="the most that its process held"),
        ),
        rows=tuple((*names, *values) for names, values in rows.items()),
    )  # fmt: skip
