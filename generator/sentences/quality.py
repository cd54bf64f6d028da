"""What pruning leaves of answers, in sentences: the state first, the bound second. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from experiments.records.evaluation import Comparison, Evaluation
from generator import pairs
from generator.pairs import Pair
from generator.render import Markdown, escape, level_name, listed, percent
from generator.report import Report
from generator.sentences import tasks
from generator.sentences.by_method import by_method
from generator.verdicts import Course, State, bounds_of

PERPLEXITY = "perplexity"
WIDE = 0.15  # between two levels: of what happened between those farther apart nothing is known
METRIC_NAMES = {"accuracy": "accuracy", "exact_match": "exact match", "mcc": "MCC"}


def lead(report: Report) -> Markdown:
    """How many pairs bear how much, and from where on most do no better than a fixed answer."""
    return by_method(report, lambda view: collapse(_able(view)))


def _able(view: Report) -> list[Course]:
    """The courses of a method's pairs that have something to lose."""
    return [pair.course for pair in pairs.of_method(view) if pair.able]


def collapse(courses: Sequence[Course]) -> Markdown:
    """At which level at least half of the pairs are on the floor first; a collapse, or after a loss.

    How it came to that is said where a level not far below was tried too.

    >>> one = Course(((0.1, State.NO_LOSS), (0.8, State.LOSS), (0.9, State.FLOOR)))
    >>> collapse([one, one])
    'Quality fades before it ends: at 90 % 2 of 2 model-task pairs do no better than a fixed answer.'
    """
    levels = sorted({level for one in courses for level, _ in one.states})
    if not levels:
        return Markdown("")
    level = half_dead(courses)
    if level is not None:
        states = [one for course in courses if (one := course.at(level))]
        dead = sum(one.dead for one in states)
        if len(states) == 1:
            return Markdown(
                f"At {level_name(level)} the one model-task pair does no better than a fixed answer."
            )
        below = max((at for at in levels if at < level), default=level)
        many = f"{dead} of {len(states)} model-task pairs do no better than a fixed answer"
        if level - below > WIDE:
            return Markdown(
                f"At {level_name(level)} {many}. Between {level_name(below)} and that level nothing was "
                "tried."
            )
        how = "collapses rather than fades" if _sudden(courses, level) else "fades before it ends"
        return Markdown(f"Quality {how}: at {level_name(level)} {many}.")
    last = levels[-1]
    states = [one for course in courses if (one := course.at(last))]
    dead = sum(one.dead for one in states)
    count = len(states) - dead
    alive = f"{count or 'none'} of {len(states)} model-task pairs still beat{'s' * (count < 2)}"
    if len(states) == 1:
        alive = "the one model-task pair still beats"
    return Markdown(f"At {level_name(last)}, the highest level tried, {alive} a fixed answer.")


def still_answering(courses: Sequence[Course], which: str) -> Markdown:
    """How many pairs beat a fixed answer at the level where half of them first do not, else the last.

    `which` says of what models they are.

    >>> one = Course(((0.1, State.NO_LOSS), (0.9, State.FLOOR)))
    >>> still_answering([one, one], "pretrained")
    'At 90 % zeros none of 2 pretrained pairs beats a fixed answer'
    """
    levels = sorted({level for one in courses for level, _ in one.states})
    if not levels:
        return Markdown("")
    at = half_dead(courses) or levels[-1]
    states = [one for course in courses if (one := course.at(at))]
    alive = sum(not one.dead for one in states)
    if len(states) == 1:
        still = "still beats" if alive else "no longer beats"
        return Markdown(f"At {level_name(at)} zeros the one {which} pair {still} a fixed answer")
    some = f"{alive or 'none'} of {len(states)} {which} pairs beat{'s' * (alive < 2)}"
    return Markdown(f"At {level_name(at)} zeros {some} a fixed answer")


def half_dead(courses: Sequence[Course]) -> float | None:
    """The first level at which at least half of the pairs are on the floor; None where there is none."""
    for level in sorted({level for one in courses for level, _ in one.states}):
        states = [one for course in courses if (one := course.at(level))]
        if 2 * sum(one.dead for one in states) >= len(states):
            return level
    return None


def _sudden(courses: Sequence[Course], level: float) -> bool:
    """Whether at least half of the pairs on the floor at a level showed no loss when they last answered."""
    gone = [course for course in courses if (one := course.at(level)) and one.dead]
    before = [
        [state for at, state in course.states if at < level and not state.dead] for course in gone
    ]
    return 2 * sum(not seen or seen[-1] is State.NO_LOSS for seen in before) >= len(gone)


def main_point(report: Report) -> Markdown:
    """What to take from it, in short."""
    return by_method(report, lambda view: _asked_first(_able(view)))


def _asked_first(courses: Sequence[Course]) -> Markdown:
    level = half_dead(courses)
    if not courses:
        return Markdown("")
    if level is None:
        here = "most do here" if len(courses) > 1 else "here it does"
        return Markdown(f"Ask first whether it still answers: {here}, at every level tried.")
    states = [one for course in courses if (one := course.at(level))]
    dead = sum(one.dead for one in states)
    these = "the one pair here does" if len(states) == 1 else f"{dead} of {len(states)} here do"
    return Markdown(f"Ask first whether it still answers: at {level_name(level)}, {these} not.")


def bound(loss: Comparison) -> Markdown:
    """At most how much is lost: the lower end of the difference's interval, rounded outward.

    In points, of a correlation as such; nothing where nothing can be lost.
    """
    low = bounds_of(loss)[0]
    if low >= 0:
        return Markdown("nothing lost")
    if loss.metric == "mcc" and loss.difference_interval:
        return Markdown(f"at most {outward(-low, 2)} of MCC lost")
    points = outward(-100 * low, 0)
    return Markdown(f"at most {points} point{'s' * (points != '1')} lost")


def bound_of_text(times_dense: tuple[float, float] | None) -> Markdown | None:
    """The same of a text: how many times dense its perplexity is at most; None without an interval.

    >>> bound_of_text((0.99, 1.0141)), bound_of_text((0.97, 0.99))
    ('at most 1.02 times dense', 'no worse than dense')
    """
    if times_dense is None:
        return None
    _, most = times_dense
    return Markdown(
        f"at most {outward(most, 2)} times dense" if most > 1 else "no worse than dense"
    )


def outward(value: float, digits: int) -> str:
    """A bound rounded so that it holds: up.

    >>> outward(1.21, 0), outward(0.0412, 2), outward(2.0, 0)
    ('2', '0.05', '2')
    """
    scale = 10**digits
    up = -(-round(value * scale, 9) // 1)
    return f"{up / scale:.{digits}f}"


def note(answer: Evaluation) -> str:
    """What a score hides: a model that says one thing, or nothing that is a label; a missing interval."""
    if answer.not_a_label == answer.n:
        return "no answer is a label"
    if answer.not_a_label:
        return f"{answer.not_a_label} answers are no label"
    if answer.constant_prediction:
        return "one answer to everything"
    return f"no interval: {answer.no_interval}" if answer.no_interval else ""


def anomalies(some: Iterable[Pair]) -> tuple[Markdown, ...]:
    """Pairs that answer better with more removed: beyond their intervals, and unexplained."""
    return tuple(
        Markdown(
            f"{escape(pair.label)}, {escape(tasks.title(pair.task))}: better at "
            f"{listed([level_name(level) for level in pair.course.recovered])} than with less removed. "
            "Why is an open question."
        )
        for pair in some
        if pair.course.recovered
    )


def control(some: Sequence[Pair]) -> Markdown:
    """Over all pairs and levels, how often each method is surely better and surely worse than random."""
    parts = []
    for method in dict.fromkeys(pair.view.method for pair in some):
        mine = [pair for pair in some if pair.view.method == method]
        cases = [one for pair in mine for one in against_control(pair).values()]
        better = sum(all(one > 0 for one in verdicts) for verdicts in cases)
        worse = sum(all(one < 0 for one in verdicts) for verdicts in cases)
        also = f", worse in {worse}" if worse else ""
        if len(cases) == 1:
            how = "surely better" if better else "surely worse" if worse else "not surely better"
            parts.append(f"{escape(method)} is {how} in the one case")
        elif cases:
            parts.append(
                f"{escape(method)} is surely better in {better} of {len(cases)} cases{also}"
            )
    if not parts:
        return Markdown("")
    return Markdown(f"Against removal at random at the same level, {'; '.join(parts)}.")


def against_control(pair: Pair) -> dict[float, list[int]]:
    """By level, against each seed: 1 where the whole interval says better, -1 worse, else 0."""
    found = {}
    report = pair.view
    for level in report.study.levels:
        asked = pair.row.name, pair.task.name, level
        bounds = [one.difference_interval for one in report.against_control(*asked)]
        ratios = [one.ratio_interval for one in report.perplexity_against_control(*asked)]
        verdicts = [_sign(*one) if one else 0 for one in bounds]
        verdicts += [-_sign(one[0] - 1, one[1] - 1) if one else 0 for one in ratios]
        if verdicts:
            found[level] = verdicts
    return found


def _sign(low: float, high: float) -> int:
    """The sign of an interval that lies on one side of zero."""
    return (low > 0) - (high < 0)


def kept_at(level: float, kept: Sequence[Mapping[str, Sequence[float]]]) -> Markdown:
    """What methods keep at a level of dense's gain over a fixed answer: the mean over pairs.

    Of more than two the one that keeps most, and the first; where that is the same, the next.

    >>> kept_at(0.5, [{"magnitude": (0.9,), "random": (0.2, 0.4)}])
    'At 50 % magnitude keeps 90 % of the gain over a fixed answer, random 30 %'
    >>> kept_at(0.9, [{"magnitude": (0.4,), "Wanda": (0.6,), "ALPS": (0.95,)}])
    'At 90 % ALPS keeps 95 % of the gain over a fixed answer, magnitude 40 %'
    >>> kept_at(0.5, [{"magnitude": (0.9,), "Wanda": (0.6,), "random": (0.2,)}])
    'At 50 % magnitude keeps 90 % of the gain over a fixed answer, Wanda 60 %'
    """
    means = _means(kept)
    names = list(means)
    if len(names) > 2:
        best, second, *_ = sorted(names, key=lambda name: -means[name])
        names = [best, second if best == names[0] else names[0]]
    shares = [
        f"{escape(name)}{' keeps' * (not place)} {percent(means[name], 0)}"
        + " of the gain over a fixed answer" * (not place)
        for place, name in enumerate(names)
    ]
    return Markdown(f"At {level_name(level)} {', '.join(shares)}")


def apart_at(kept: Sequence[Mapping[str, Sequence[float]]]) -> float:
    """How far apart the means of methods are: the best's and the first's.

    >>> apart_at([{"magnitude": (0.5,), "Wanda": (0.25,), "ALPS": (1.0,)}])
    0.5
    """
    means = _means(kept)
    return max(means.values()) - next(iter(means.values()))


def _means(kept: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, float]:
    """The mean over pairs of what each method keeps, and over its seeds."""
    methods = dict.fromkeys(name for one in kept for name in one)
    return {name: mean(mean(one[name]) for one in kept if name in one) for name in methods}
