"""What fewer bits save, with zeros and without, for the pages of words. Pure."""

import re
from collections.abc import Sequence

from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection
from generator import verdicts
from generator.pairs import Pair
from generator.render import Markdown, level_name, size
from generator.sentences.findings import some_of
from generator.sentences.sizes import Weighed, alive_up_to
from generator.verdicts import Course

NOTHING = Markdown("")


def fewest(inspected: Inspection) -> int | None:
    """The fewest bits of any block format a file holds, by its name (Q4_1: 4); None where it holds none."""
    kinds = (re.match(r"I?Q(\d)", tensor.stored_as) for tensor in inspected.tensors)
    return min((int(kind[1]) for kind in kinds if kind), default=None)


def halves(weighed: Footprint, form: str) -> dict[float, int]:
    """Bytes of the whole file in one format in 16 bits, by level; of what is stored so, nothing."""
    half = verdicts.half_precision(weighed)
    if half is None or half == verdicts.precisions(weighed)[0]:
        return {}
    return {level: row.bytes for level, row in verdicts.file_rows(weighed, form, half).items()}


def blocks(
    name: Markdown, file: int, width: int, weighed: Footprint, courses: Sequence[Course]
) -> Markdown:
    """What few bits save, and from which level on zeros in bit masks of 16 bits save as much.

    The courses of all that the model was asked say whether anything is left of it there.
    """
    dense = halves(weighed, "dense").get(0.0)
    if not dense:
        return NOTHING
    masks = halves(weighed, "bitmask")
    level = next((at for at, bytes_ in sorted(masks.items()) if bytes_ < file), None)
    text = (
        f"{name} came in {width}-bit blocks of {size(file, 2)}; in 16 bits it takes "
        f"{size(dense, 2)}."
    )
    if level is None:
        return Markdown(f"{text} No level of zeros in bit masks takes less.")
    states = [one.at(level) for one in courses]
    dead = bool(states) and all(one is not None and one.dead for one in states)
    lost = ", where it beats no fixed answer" if dead else ""
    return Markdown(
        f"{text} Zeros in bit masks take less than the file that came only from {level_name(level)} on "
        f"({size(masks[level], 2)}){lost}."
    )


def halved(name: Markdown, weighed: Footprint) -> Markdown:
    """What half the bits save."""
    half = halves(weighed, "dense").get(0.0)
    if not half:
        return NOTHING
    stored = verdicts.file_rows(weighed, "dense", verdicts.precisions(weighed)[0])[0.0].bytes
    return Markdown(
        f"With half the bits to a weight, {name} takes {size(half, 2)} instead of {size(stored, 2)}."
    )


def compete(found: Sequence[tuple[Weighed, Sequence[Pair]]]) -> Markdown:
    """For how many models a file of fewer bits beats zeros at the last level at which all still answers.

    Of models that were asked something, and of which there is a file of fewer bits.
    """
    judged = []
    for one, some in found:
        masks = next(iter(one.masks.values()), {})
        level = alive_up_to(some)
        if some and one.rivals.smallest < one.rivals.dense:
            judged.append(one.rivals.smallest < masks.get(level, one.rivals.dense))
    if not judged:
        return NOTHING
    return Markdown(
        "While a model answers all it was asked, fewer bits take less than zeros at full width, for "
        f"{some_of(sum(judged), len(judged))}."
    )
