"""What zeros do to bytes, in sentences: no size is said without what competes with it. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from experiments.records.footprint import Footprint
from experiments.records.study import StudyModel
from generator import verdicts
from generator.pairs import Pair, of_method, rivals_of
from generator.render import Markdown, escape, level_name, size
from generator.report import Report
from generator.sentences.by_method import by_method
from generator.sentences.findings import level_span, some_of
from generator.verdicts import Sizes

EXAMPLE = 0.9
BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16}


@dataclass(frozen=True)
class Weighed:
    """A row's bytes: what competes with its pruned files, and its bit masks by level, per precision.

    `unharmed` is the level up to which no task with something to lose shows a loss, None where none is asked.
    """

    row: StudyModel
    rivals: Sizes
    masks: Mapping[str, Mapping[float, int]]
    unharmed: float | None = None

    def smaller_from(self, dtype: str) -> float | None:
        """The first level at which bit masks of a precision are smaller than every unpruned rival."""
        levels = self.masks.get(dtype, {})
        return next((at for at in sorted(levels) if at and levels[at] < self.rivals.smallest), None)


def weighed(report: Report, row: StudyModel) -> Weighed | None:
    """A row's bytes under the report's method; None where it was not weighed."""
    found, rivals = report.footprint(row.name), rivals_of(report, row)
    if found is None or rivals is None:
        return None
    masks = {
        dtype: {at: one.bytes for at, one in verdicts.file_rows(found, "bitmask", dtype).items()}
        for dtype in verdicts.precisions(found)
    }
    every = of_method(report, [row])
    some = [pair for pair in every if not pair.weak] or every
    return Weighed(row, rivals, masks, unharmed_up_to(some) if some else None)


def bits(dtype: str) -> str:
    """A precision in bits.

    >>> bits("BF16"), bits("F8_E4M3")
    ('16 bits', 'F8_E4M3')
    """
    return f"{BITS[dtype]} bits" if dtype in BITS else dtype


def lead(report: Report) -> Markdown:
    """Whether fewer bits save more than zeros do."""
    return by_method(report, lambda view: fewer_bits(every(view)))


def beyond(report: Report) -> Markdown:
    """Which is the smaller at 90 % zeros, where the lead does not say it."""

    def say(view: Report) -> Markdown:
        there = zeros_win_at_example(found := every(view))
        lines = [together(found), Markdown("") if there == fewer_bits(found) else there]
        return Markdown(" ".join(line for line in lines if line))

    return by_method(report, say)


def together(found: Sequence[Weighed]) -> Markdown:
    """For how many models zeros in 16 bits are smaller than 16 bits alone, where no loss is seen."""
    won = []
    for one in found:
        _, *narrow = one.masks.values()
        if narrow and one.rivals.half is not None and one.unharmed is not None:
            won.append(one.unharmed in narrow[0] and narrow[0][one.unharmed] < one.rivals.half)
    if not any(won):
        return Markdown("")
    return Markdown(f"Both together are smaller than either for {some_of(sum(won), len(won))}.")


def every(report: Report) -> list[Weighed]:
    """Every row that was weighed under the report's method."""
    return [one for row in report.measured if (one := weighed(report, row))]


def fewer_bits(found: Sequence[Weighed]) -> Markdown:
    """The same: 16 bits without a zero against bit masks of the stored precision, where no loss is seen.

    Of the models of which there is a file of fewer bits; where nothing was asked, at 90 % alone.
    """
    won = fewer_bits_win(found, lambda one: one.unharmed)
    if not won:
        return zeros_win_at_example(found)
    some = some_of(sum(won), len(won))
    if 2 * sum(won) < len(won) or not any(won):
        some = some_of(len(won) - sum(won), len(won))
        return Markdown(f"Zeros save more than 16 bits do, where no loss is seen, for {some}.")
    return Markdown(
        "Fewer bits save more than zeros do: where no loss is seen, 16 bits make the smaller file for "
        f"{some}."
    )


def zeros_win_at_example(found: Sequence[Weighed]) -> Markdown:
    """For how many models 90 % zeros in bit masks are smaller than 16 bits, whatever is left of answers."""
    won = [not one for one in fewer_bits_win(found, lambda _: EXAMPLE)]
    if not won:
        return Markdown("")
    some = some_of(sum(won), len(won)) if any(won) else "none"
    return Markdown(
        f"At {level_name(EXAMPLE)}, zeros in bit masks are smaller than 16 bits for {some}."
    )


def fewer_bits_win(
    found: Sequence[Weighed], level_of: Callable[[Weighed], float | None]
) -> list[bool]:
    """Of each model with a file of 16 bits, whether that is smaller than zeros of a level in bit masks.

    At level 0 zeros save nothing. What was not asked, or not weighed at that level, is left out.
    """
    judged = []
    for one in found:
        level, half, dense = level_of(one), one.rivals.half, one.rivals.dense
        masks = {**next(iter(one.masks.values()), {}), 0.0: dense}
        if level in masks and half is not None and half < dense:
            judged.append(half < masks[level])
    return judged


def main_point(found: Sequence[Weighed]) -> Markdown:
    """What to take from it, in short."""
    won = fewer_bits_win(found, lambda one: one.unharmed)
    if not won:
        return zeros_win_at_example(found)
    if 2 * sum(won) < len(won):
        some = some_of(len(won) - sum(won), len(won))
        return Markdown(
            f"Hold zeros against 16 bits: without a loss they make the smaller file for {some}."
        )
    some = some_of(sum(won), len(won))
    return Markdown(
        f"Try 16 bits before zeros: the smaller file for {some}. What rounding costs is not measured."
    )


def same_file(found: Mapping[Markdown, Footprint]) -> Markdown:
    """The largest dense file that has the same bytes at every level, by the name of its model."""
    sizes = {
        name: {row.bytes for row in dense.values()}
        for name, one in found.items()
        if len(dense := verdicts.file_rows(one, "dense", verdicts.precisions(one)[0])) > 1
    }
    same = {name: one.pop() for name, one in sizes.items() if len(one) == 1}
    if not same:
        return Markdown("")
    name = max(same, key=lambda one: same[one])
    return Markdown(f"Dense, {escape(name)} takes {size(same[name], 2)} at every level.")


def smallest(report: Report, row: StudyModel, some: Sequence[Pair]) -> Markdown | None:
    """The smallest file of a row at which no task shows a loss, and what it is.

    The file as it came counts where the answers are its own, not those of one fine-tuned from it.

    Quality is that of the stored numbers; where the file is of fewer bits, rounding is not measured.
    """
    found, rivals = report.footprint(row.name), rivals_of(report, row)
    if found is None or rivals is None:
        return None
    level = unharmed_up_to(some)
    best = verdicts.smallest_file(found, level)
    if rivals.as_came < best.bytes and all(row.tasks[x.task.name] == row.checkpoint for x in some):
        return Markdown(f"{size(rivals.as_came, 2)}, as it came")
    what = f"{level_name(best.level)} zeros" if best.level else "unpruned"
    came = f"; it came as {size(rivals.as_came, 2)}" if rivals.as_came < best.bytes else ""
    return Markdown(f"{size(best.bytes, 2)}, {what}, {bits(best.dtype)}{came}")


def alive_up_to(some: Sequence[Pair]) -> float:
    """The highest level up to which every pair still answers; 0 where one does not at the lowest.

    With no pairs nothing is known of a pruned model's answers: 0.
    """
    if not some:
        return 0.0
    lasts = []
    for pair in some:
        dead = pair.course.dead_from
        levels = [level for level, _ in pair.course.states if dead is None or level < dead]
        lasts.append(max(levels, default=0.0))
    return min(lasts)


def unharmed_up_to(some: Sequence[Pair]) -> float:
    """The highest level up to which no pair shows a loss; 0 where one does at the lowest, and of no pairs."""
    return min((pair.course.unharmed or 0.0 for pair in some), default=0.0)


def example(one: Weighed) -> Markdown:
    """Whether a row takes fewer bytes in 16 bits or with 90 % zeros in bit masks of all its bits."""
    stored = next(iter(one.masks), "")
    pruned = one.masks.get(stored, {}).get(EXAMPLE)
    if pruned is None or one.rivals.half is None or one.rivals.half >= one.rivals.dense:
        return Markdown("")
    halved = size(one.rivals.half, 2)
    return Markdown(
        f"In 16 bits {escape(one.row.name)} takes {halved}, with those zeros at full width "
        f"{size(pruned, 2)}."
    )


def compressed(report: Report) -> Markdown:
    """Whether plain compression makes a smaller file than bit masks, for how many models."""
    return by_method(report, _compressed)


def _compressed(report: Report) -> Markdown:
    judged = []
    for row in report.measured:
        if found := report.footprint(row.name):
            stored = verdicts.precisions(found)[0]
            gzip, masks = (verdicts.file_rows(found, name, stored) for name in ("gzip", "bitmask"))
            if EXAMPLE in gzip and EXAMPLE in masks:
                judged.append(gzip[EXAMPLE].bytes < masks[EXAMPLE].bytes)
    if not judged:
        return Markdown("")
    some = some_of(sum(judged), len(judged)) if any(judged) else "no model"
    return Markdown(
        f"At {level_name(EXAMPLE)} gzip makes a smaller file than bit masks for {some}; it has to be "
        "unpacked before use."
    )


def from_where(found: Sequence[Weighed]) -> Markdown:
    """From which level on bit masks beat every unpruned file, over models, at the stored precision."""
    levels = [one.smaller_from(next(iter(one.masks), "")) for one in found]
    reached = [level for level in levels if level is not None]
    if not reached:
        return Markdown("Masks beat every unpruned file at no level")
    of = f" of {some_of(len(reached), len(levels))}," if len(reached) < len(levels) else ""
    return Markdown(f"Masks beat every unpruned file{of} first at {level_span(reached)}")


def sparse_rows(found: Sequence[Footprint]) -> Markdown:
    """From which level on compressed sparse rows take fewer bytes than bit masks, over models."""
    levels = []
    for one in found:
        stored = verdicts.precisions(one)[0]
        rows, masks = (verdicts.file_rows(one, name, stored) for name in ("csr32", "bitmask"))
        shared = sorted(rows.keys() & masks.keys())
        levels.append(next((at for at in shared if rows[at].bytes < masks[at].bytes), None))
    if not any(levels):
        return Markdown("Compressed sparse rows take more than bit masks at every level tried.")
    start = level_span([level for level in levels if level is not None])
    return Markdown(f"Compressed sparse rows take fewer bytes than bit masks from {start} on.")
