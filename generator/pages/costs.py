"""What zeros do to time and bytes, and where they are: a sentence a function. Pure."""

import math
from collections.abc import Mapping, Sequence

from experiments.records.footprint import Footprint
from experiments.records.inspection import Inspection
from experiments.records.latency import Latency
from experiments.records.pruning import Pruning
from experiments.records.share import share
from generator.pages.brief import brief_ratio, brief_size
from generator.render import Markdown, level_name, percent

NOTHING = Markdown("")
NOISE = 0.05  # a ratio nearer to 1 than this is no gain worth a sentence


def masked(timed: Sequence[Latency], noun: str) -> Markdown:
    """How fast dense arithmetic is on weights of which some are zero."""
    ratios = [row.ratio for one in timed for row in one.rows if row.path == "masked"]
    if not ratios:
        return NOTHING
    low, high = brief_ratio(min(ratios)), brief_ratio(max(ratios))
    verdict = "Zeros alone save no time: m" if max(ratios) < 1 + NOISE else "M"
    return Markdown(f"{verdict}asked {noun}s run {low} to {high} times as fast as dense ones.")


def skipped(timed: Sequence[Latency], level: float) -> Markdown:
    """What skipping zeros gains at a level, the last at which any model is unharmed."""
    rows = [row for one in timed for row in one.rows if row.path == "sparse"]
    ratios = [row.ratio for row in rows if row.level == level]
    if not level or not ratios:
        return NOTHING
    low, high = brief_ratio(min(ratios)), brief_ratio(max(ratios))
    gain = "little" if max(ratios) < 1.1 else f"up to {high} times"
    return Markdown(
        f"Skipping them gains {gain} at {level_name(level)}, the last level with no loss seen: "
        f"{low} to {high} times dense speed."
    )


def same_file(weighed: Mapping[Markdown, Footprint]) -> Markdown:
    """The largest dense file that has the same bytes at every level."""
    sizes = {name: set(of_file(one, "dense").values()) for name, one in weighed.items()}
    same = {name: one.pop() for name, one in sizes.items() if len(one) == 1}
    if not same:
        return NOTHING
    name = max(same, key=lambda one: same[one])
    return Markdown(
        f"Nor do they save bytes: dense, {name} takes {brief_size(same[name])} at every level."
    )


def of_file(weighed: Footprint, form: str) -> dict[float, int]:
    """Bytes of the whole file in one format, in the stored dtype, by level."""
    return _bytes(weighed, form, _dtypes(weighed)[0])


def of_half(weighed: Footprint, form: str) -> dict[float, int]:
    """The same in 16 bits where what is stored has 32; else nothing."""
    stored, *others = _dtypes(weighed)
    return _bytes(weighed, form, others[0]) if stored == "F32" and others else {}


def _dtypes(weighed: Footprint) -> list[str]:
    return list(dict.fromkeys(row.dtype for row in weighed.rows)) or [""]


def _bytes(weighed: Footprint, form: str, dtype: str) -> dict[float, int]:
    asked = (form, "file", dtype)
    return {r.level: r.bytes for r in weighed.rows if (r.format, r.of, r.dtype) == asked}


def bits(weighed: Mapping[Markdown, Footprint], level: float) -> Markdown:
    """Whether half the bits, unpruned, take fewer bytes than zeros in bit masks of all the bits."""
    sizes = {}
    for name, one in weighed.items():
        halved, zeros = of_half(one, "dense").get(0.0), of_file(one, "bitmask").get(level)
        if halved and zeros:
            sizes[name] = (halved, zeros, of_half(one, "bitmask").get(level))
    won = [name for name, (halved, zeros, _) in sizes.items() if halved < zeros]
    if not sizes:
        return NOTHING
    name = min(sizes, key=lambda one: sizes[one][0] / sizes[one][1])
    halved, zeros, both = sizes[name]
    other = f"; both together, {brief_size(both)}" if both else ""
    return Markdown(
        f"Halving the bits of {name} leaves {brief_size(halved)}, {level_name(level)} zeros in bit "
        f"masks {brief_size(zeros)}. Fewer bits win so in {len(won)} of {len(sizes)}{other}."
    )


def denominator(
    inspected: Mapping[Markdown, Inspection], zeros: Mapping[Markdown, Pruning]
) -> Markdown:
    """What a level of the prunable weights is of all parameters, ties counted once."""
    shares = {
        name: part
        for name, one in zeros.items()
        if name in inspected
        and (part := share(one.zeros, inspected[name].totals.parameters_deduplicated.count))
    }
    if not shares:
        return NOTHING
    low, high = min(shares, key=lambda x: shares[x]), max(shares, key=lambda x: shares[x])
    span = f"{percent(shares[low], 0)} of all parameters of {low}"
    if low != high:
        span = f"{percent(shares[low], 0)} ({low}) to {percent(shares[high], 0)} ({high}) of all parameters"
    return Markdown(f"{level_name(zeros[low].level)} of the prunable weights is {span}.")


def layers(pruned: Mapping[Markdown, Sequence[Pruning]], level: float) -> Markdown:
    """The model whose matrices lose the most different shares at a level."""
    spread = {}
    for name, prunings in pruned.items():
        one = next((x for x in prunings if x.level == level and x.scope == "global"), None)
        if one and (shares := [x for layer in one.layers if (x := layer.sparsity) is not None]):
            spread[name] = (min(shares), max(shares))
    if not spread:
        return NOTHING
    name = max(spread, key=lambda one: spread[one][1] - spread[one][0])
    low, high = spread[name]
    return Markdown(
        f"At {level_name(level)} over all, the matrices of {name} lose {percent(low, 0)} to "
        f"{percent(high, 0)} of their weights."
    )


def emptied(pruned: Mapping[Markdown, Sequence[Pruning]]) -> Markdown:
    """Where a matrix first loses all its weights, or up to which level none does."""
    tried = [(one.level, name, one) for name, prunings in pruned.items() for one in prunings]
    for level, name, one in sorted(tried, key=lambda x: x[0]):
        if gone := sum(layer.zeros == layer.count > 0 for layer in one.layers):
            return Markdown(
                f"The first to be emptied are {gone} of {len(one.layers)} of {name}, at "
                f"{level_name(level)}."
            )
    if not tried:
        return NOTHING
    last = level_name(max(level for level, _, _ in tried))
    return Markdown(f"None is emptied up to {last}.")


def largest(inspected: Mapping[Markdown, Inspection]) -> Markdown:
    """The largest weight of any model, in units of its own matrix's RMS."""
    ratios = [
        (tensor.max / (tensor.l2 / math.sqrt(tensor.count)), name)
        for name, one in inspected.items()
        for tensor in one.tensors
        if tensor.prunable and tensor.count and tensor.max and tensor.l2
    ]
    if not ratios:
        return NOTHING
    most, name = max(ratios)
    return Markdown(
        f"The largest weight of {name} is {brief_ratio(most)} times the RMS of its matrix."
    )
