"""What is said of methods side by side: which keeps most, and what helps. Pure."""

from collections import Counter
from collections.abc import Sequence

from generator.contests import Asked, Contender, Contest, Held, contests, held
from generator.render import NONE, Markdown, escape, level_name, listed, number, size
from generator.report import Report
from generator.sentences.findings import in_words

EXAMPLE = 0.5
MANY = 1000  # times dense: above it a number says no more
PUBLISHED = ("alps", "sparsegpt", "wanda", "magnitude")  # the better first, as papers have them
UNIFORM = "uniform"


def example(one: Contest) -> Asked:
    """The level by which methods are held against each other: 50 %, else the lowest most were asked at."""
    levels = [asked for asked in one.asked if not asked.pattern] or one.asked
    at = {asked: sum(asked in contender.runs for contender in one.contenders) for asked in levels}
    return max(levels, key=lambda asked: (asked.level == EXAMPLE, at[asked], -asked.level))


def times_dense(value: float, dense: float) -> Markdown:
    """How many times dense a perplexity is, in two digits.

    >>> times_dense(77.0, 41.5), times_dense(9e9, 41.5)
    ('1.9', 'over 1,000')
    """
    times = value / dense
    return Markdown(f"over {MANY:,}") if times >= MANY else number(times, 2)


def minutes(count: float | None) -> Markdown:
    """Minutes with one decimal.

    >>> minutes(1.53), minutes(None)
    ('1.5', '–')
    """
    return Markdown(NONE if count is None else f"{count:.1f}")


def memory(count: int | None) -> Markdown:
    """Bytes in a unit that a person reads."""
    return Markdown(NONE) if count is None else size(count, 2)


def _times(one: Contest, contender: Contender, asked: Asked) -> Markdown:
    got, dense = one.answer(contender, asked), one.dense
    return times_dense(got.value, dense.value) if got and dense else Markdown(NONE)


def _own_and_best(one: Contest) -> tuple[Asked, Contender, Contender] | None:
    """At the example's level the report's own method and the one that keeps most, where it is another."""
    asked, own = example(one), one.contenders[0]
    found = one.best(asked)
    if found is None or found[0] is own or one.answer(own, asked) is None:
        return None
    return asked, own, found[0]


def best(one: Contest) -> Markdown:
    """Which method keeps most of a text, and what the report's own keeps: a figure's title."""
    if (found := _own_and_best(one)) is None:
        return Markdown(f"At {example(one).title} no other method keeps more")
    asked, own, winner = found
    return Markdown(
        f"At {asked.title} {escape(winner.name)} leaves {_times(one, winner, asked)} times dense perplexity, "
        f"{escape(own.name)} {_times(one, own, asked)}"
    )


def lead(texts: Sequence[Contest]) -> Markdown:
    """The same with the model's name, of the first text on which another method keeps more."""
    for one in texts:
        if found := _own_and_best(one):
            asked, own, winner = found
            return Markdown(
                f"{escape(winner.name)} keeps most of {escape(one.row.name)}: at {asked.title} zeros "
                f"{_times(one, winner, asked)} times dense perplexity, {escape(own.name)} "
                f"{_times(one, own, asked)}."
            )
    return Markdown("")


def main_point(report: Report) -> Markdown:
    """Which method keeps more than the report's own: of a text, else of labels, by whatever study."""
    texts = [one for one in contests(report) if one.of_text]
    return lead(texts) or counted([one for part in (*report.apart, report) for one in held(part)])


def beside(report: Report) -> Markdown:
    """What the first page says of other methods: which keeps more, else which have no row there."""
    if said := main_point(report):
        return said
    others = [escape(name) for name in report.compared if name not in report.methods]
    if not others:
        return Markdown("")
    was = "was" if len(others) == 1 else "were"
    return Markdown(
        f"{listed(others)} {was} tried beside {escape(report.method)}, at fewer levels or on fewer models."
    )


def counted(some: Sequence[Held]) -> Markdown:
    """Where another method keeps the most pairs more whole than the report's own.

    Of equal ones it is the one that keeps most over all levels.

    >>> counted([Held("ALPS", "magnitude", 0.9, 4, 1, 6)])
    'At 90 % ALPS shows no loss in 4 of 6 model-task pairs, magnitude in 1.'
    """
    over_all = Counter[str]()
    for each in some:
        over_all[each.method] += each.without
    one = max(
        some,
        key=lambda each: (each.without - each.own_without, over_all[each.method]),
        default=None,
    )
    if one is None or one.without <= one.own_without:
        return Markdown("")
    return Markdown(
        f"At {level_name(one.level)} {escape(one.method)} shows no loss in {one.without} of "
        f"{one.asked} {one.which} pair{'s' * (one.asked > 1)}, {escape(one.own)} in "
        f"{one.own_without or 'none'}."
    )


def order(one: Contest) -> Markdown:
    """In which order the methods that papers compare stand here, and whether it is theirs."""
    asked = example(one)
    plain = {
        contender.method.method: (got.value, contender.name)
        for contender in one.contenders
        if not contender.method.repair
        and contender.method.allocation == UNIFORM
        and contender.method.method in PUBLISHED
        and (got := one.answer(contender, asked))
        and contender.method.method not in _seen(one, contender)
    }
    if len(plain) < 3:
        return Markdown("")
    here = sorted(plain, key=lambda method: plain[method][0])
    theirs = [method for method in PUBLISHED if method in plain]
    names = listed([str(escape(plain[method][1])) for method in here])
    if here == theirs:
        return Markdown(
            f"The order at {asked.title}, the better first, is that of the papers: {names}."
        )
    papers = listed([str(escape(plain[method][1])) for method in theirs])
    return Markdown(
        f"The order at {asked.title}, the better first, is {names}; papers have {papers}."
    )


def _seen(one: Contest, upto: Contender) -> set[str]:
    """The methods of the contenders before one: of several scopes the first stands for a method."""
    found = set()
    for contender in one.contenders:
        if contender is upto:
            break
        found.add(contender.method.method)
    return found


def repaired(one: Contest) -> Markdown:
    """Which method gains most by having what is kept make up for what went."""
    asked = example(one)
    gains = []
    for plain in one.contenders:
        for mended in one.contenders:
            if _apart_by_repair(plain, mended):
                before, after = one.answer(plain, asked), one.answer(mended, asked)
                if before and after:
                    gains.append((before.value / after.value, plain, mended))
    if not gains:
        return Markdown("")
    gain, plain, mended = max(gains, key=lambda found: found[0])
    if gain <= 1:
        return Markdown(f"Repair of what is kept helps none of them at {asked.title}.")
    return Markdown(
        f"Repair of what is kept helps {escape(plain.name)} most: at {asked.title} "
        f"{_times(one, plain, asked)} times dense becomes {_times(one, mended, asked)}."
    )


def _apart_by_repair(plain: Contender, mended: Contender) -> bool:
    one, other = plain.method, mended.method
    same = all(
        getattr(one, key) == getattr(other, key) for key in ("method", "scope", "allocation")
    )
    return same and other.repair and not one.repair


def allocated(one: Contest) -> Markdown:
    """Whether a level shared out unequally beats one level everywhere, at the level where that was asked."""
    found = []
    for shared in one.contenders:
        if shared.method.allocation == UNIFORM:
            continue
        plain = next(
            (
                other
                for other in one.contenders
                if other.method.allocation == UNIFORM
                and (other.method.method, other.method.repair, other.method.scope)
                == (shared.method.method, shared.method.repair, shared.method.scope)
            ),
            None,
        )
        for asked in shared.runs:
            got = one.answer(shared, asked)
            even = plain and one.answer(plain, asked)
            if got and even and plain and not asked.pattern:
                found.append((got.value / even.value, asked, shared, plain))
    if not found:
        return Markdown("")
    ratio, asked, shared, plain = min(found, key=lambda held: held[0])
    word = "better" if ratio < 1 else "no better"
    return Markdown(
        f"Of {in_words(len(found), 'allocation')} at {asked.title}, {escape(shared.name)} is best, {word} "
        f"than one level everywhere: {_times(one, shared, asked)} against {_times(one, plain, asked)} times "
        "dense."
    )
