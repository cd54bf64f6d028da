"""What is said of one model at one level, in parts of a sentence: its answers, its speed, its bytes.

Pure. Numbers and fixed words alone, no name: the same text stands in HTML and in a script's data.
"""

import math
from collections.abc import Callable
from functools import partial

from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import FootprintRow
from experiments.records.latency import LatencyRow
from experiments.records.perplexity import Perplexity, PerplexityChange
from generator.render import percent, perplexity, size, speedup, whole
from generator.verdicts import Sizes, Speed, State

UNDECIDED = "what decides its state is not on record"
MANY = 1e6  # a perplexity from which on it is only said to be larger


def about(value: float) -> str:
    """A number in two digits, never with an exponent.

    >>> about(34.12), about(48419.2), about(2.3e12), about(0.0)
    ('34', '48\u202f000', 'over a million', '0')
    """
    if value >= MANY:
        return "over a million"
    short = float(f"{value:.2g}")
    return str(whole(round(short))) if short >= 10 else f"{short:g}"


def shown_perplexity(value: float) -> str:
    """A perplexity as pages have it.

    >>> shown_perplexity(12.345), shown_perplexity(2.31e12)
    ('12.35', 'over a million')
    """
    return "over a million" if value >= MANY else str(perplexity(value))


def outward(loss: float, steps: int = 100) -> float:
    """A loss rounded up to whole hundredths, so that it still bounds it.

    >>> outward(0.0312), outward(0.03)
    (0.04, 0.03)
    """
    return math.ceil(loss * steps - 1e-9) / steps


def ceiling(ratio: float) -> str:
    """A ratio rounded up, so that it still bounds it: to hundredths below ten, else to two digits.

    >>> ceiling(2.601), ceiling(12.1), ceiling(131), ceiling(130)
    ('2.61', '13', '140', '130')
    """
    if ratio <= 9.99:
        return f"{outward(ratio):.2f}"
    unit = 10 ** (math.floor(math.log10(ratio)) - 1)
    return about(math.ceil(ratio / unit - 1e-9) * unit)


def spread(bounds: tuple[float, float] | None, value: float, form: Callable[[float], str]) -> str:
    """An interval around a value as +a/−b; nothing where there is none.

    >>> spread((0.25, 0.5), 0.375, lambda x: f"{x:.3f}")
    '+0.125/−0.125'
    """
    if bounds is None:
        return ""
    low, high = bounds
    return f"+{form(high - value)}/−{form(value - low)}"


def brief_score(value: float, metric: str) -> str:
    """A score as a sentence has it: whole percent, or a correlation of two decimals.

    >>> brief_score(0.812, "accuracy"), brief_score(-0.031, "mcc"), brief_score(-0.001, "mcc")
    ('81 %', 'MCC −0.03', 'MCC 0.00')
    """
    if metric != "mcc":
        return str(percent(value, 0))
    text = f"{value:.2f}"
    return "MCC " + (text.replace("-", "−") if float(text) else text.lstrip("-"))


def lost(loss: Comparison) -> str:
    """How much a model lost, and at most.

    >>> from types import SimpleNamespace as Any
    >>> lost(Any(metric="mcc", difference=-0.031, difference_interval=(-0.0512, -0.01)))
    '0.03 lost, 0.06 at most'
    """
    low, _ = loss.difference_interval or loss.accuracy_difference_interval
    if loss.metric == "mcc" and loss.difference_interval:
        return f"{-loss.difference:.2f} lost, {outward(-low):.2f} at most"
    fall = loss.difference if loss.difference_interval else loss.accuracy_difference
    return f"{about(-100 * fall)} points lost, {100 * outward(-low):.0f} at most"


def kept(loss: Comparison) -> str:
    """The most that a model without a loss seen may have lost.

    >>> from types import SimpleNamespace as Any
    >>> kept(Any(metric="accuracy", difference_interval=(-0.0112, 0.02)))
    'at most 2 points lost'
    """
    low, _ = loss.difference_interval or loss.accuracy_difference_interval
    if low >= 0:
        return "nothing lost"
    if loss.metric == "mcc" and loss.difference_interval:
        return f"at most {outward(-low):.2f} lost"
    most = 100 * outward(-low)
    return f"at most {most:.0f} point{'s' if most > 1 else ''} lost"


def answers(
    answer: Evaluation, loss: Comparison | None, state: State | None, fixed: float, weak: bool
) -> str:
    """What a model's answers are worth, after its state: a number, and what bounds or beats it.

    `loss` is None for dense, which may be `weak` to begin with; `fixed` is a fixed answer's score.
    """
    value = brief_score(answer.value, answer.metric)
    rival = f"a fixed answer {brief_score(fixed, answer.metric).removeprefix('MCC ')}"
    if state is None:
        return f"{value}; {UNDECIDED}"
    if state is State.NO_LABEL:
        return f"{whole(answer.not_a_label)} of {whole(answer.n)}"
    if state is State.FLOOR:
        return f"{value}, {rival}"
    if loss is None:
        return f"{value}, {rival}" + ("; weak to begin with" if weak else "")
    said = lost(loss) if state is State.LOSS else kept(loss)
    return f"{value}, {said}" + ("; weak to begin with" if weak else "")


def of_a_text(state: State) -> str:
    """A state's name where a text is predicted: its floor is a uniform guess, not a fixed answer.

    >>> of_a_text(State.FLOOR), of_a_text(State.LOSS)
    ('no better than a uniform guess', 'loss')
    """
    return "no better than a uniform guess" if state is State.FLOOR else state.value


def text(
    answer: Perplexity, change: PerplexityChange | None, state: State | None, guess: float | None
) -> str:
    """The same of a predicted text, against dense and against a uniform guess."""
    value = f"perplexity {about(answer.value)}"
    if state is None:
        return f"{value}; {UNDECIDED}"
    rival = f", a uniform guess {about(guess)}" if guess else ""
    if state is State.FLOOR or change is None or change.ratio_interval is None:
        return value + rival
    _, most = change.ratio_interval
    if most <= 1:
        return f"{value}, no worse than dense"
    if state is State.LOSS:
        return f"{value}, {speedup(change.ratio)} times dense, {ceiling(most)} at most"
    return f"{value}, at most {ceiling(most)} times dense"


def pace(row: LatencyRow, verdict: Speed) -> str:
    """What a path's time is beside dense.

    >>> from types import SimpleNamespace as Any
    >>> pace(Any(ratio=1.31), Speed.FASTER), pace(Any(ratio=0.9), Speed.SLOWER)
    ('1.3 times as fast as dense', 'slower than dense, 0.90 times as fast')
    """
    ratio = speedup(row.ratio)
    if verdict is Speed.SAME:
        return "no faster than dense"
    if verdict is Speed.SLOWER:
        return f"slower than dense, {ratio} times as fast"
    return f"{ratio} times as fast as dense"


def file(row: FootprintRow, rivals: Sizes, *, pruned: bool) -> str:
    """What the smallest file takes, beside those unpruned that it competes with: in two digits, or in
    three where two would make it the same as the smallest of them.

    >>> from types import SimpleNamespace as Any
    >>> file(Any(bytes=27_700_000), Sizes(dense=90_900_000, as_came=90_900_000, half=45_400_000), pruned=True)
    'the file takes 28 MB; unpruned in 16 bits 45 MB, as it came 91 MB'
    """
    alike = size(row.bytes, 2) == size(rivals.smallest, 2) and row.bytes != rivals.smallest
    form = partial(size, digits=3 if alike else 2)
    takes = f"the file takes {form(row.bytes)}"
    if not pruned:
        bits = " in 16 bits" if row.bytes == rivals.half else ""
        came = "" if rivals.as_came == row.bytes else f", as it came {form(rivals.as_came)}"
        return f"{takes}{bits}{came}"
    named = {
        "unpruned in 16 bits": rivals.half,
        "as it came": rivals.as_came,
        "unpruned": rivals.dense if rivals.half is None else None,
    }
    weighed = {name: count for name, count in named.items() if count is not None}
    if rivals.smallest <= row.bytes:
        name = min(weighed, key=weighed.__getitem__)
        return f"no smaller file: {form(row.bytes)}, {name} {form(rivals.smallest)}"
    if len(set(weighed.values())) == 1:
        return f"{takes}, unpruned {form(rivals.smallest)}"
    others = ", ".join(f"{name} {form(count)}" for name, count in weighed.items())
    return f"{takes}; {others}"
