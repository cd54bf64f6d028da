"""What zeros are a share of, and where large weights are, for the pages of words. Pure."""

import math
from collections.abc import Mapping, Sequence

from experiments.records.inspection import Inspection
from experiments.records.pruning import Pruning
from experiments.records.share import share
from generator import layers
from generator.render import Markdown, level_name, percent, short_count, speedup

NOTHING = Markdown("")


def zeros(name: Markdown, inspected: Inspection) -> Markdown:
    """How many weights are zero, or near it, before anything is done."""
    total = inspected.totals.prunable
    if not total.count:
        return NOTHING
    prunable = [tensor for tensor in inspected.tensors if tensor.prunable]
    near = layers.near_zero(prunable)
    exact = f"{percent(total.sparsity)} are" if total.zeros else "none is"
    close = (
        f"; {percent(near, 0)} are below a tenth of their matrix's RMS" if near is not None else ""
    )
    return Markdown(
        f"Of the {short_count(total.count)} prunable weights of {name}, {exact} exactly zero as "
        f"stored{close}."
    )


def feed_forward(name: Markdown, inspected: Inspection) -> Markdown:
    """The share of prunable weights that stand in feed-forward layers: all that experts can spare."""
    prunable = [tensor for tensor in inspected.tensors if tensor.prunable]
    inside = sum(one.count for one in prunable if one.role.startswith("feed-forward"))
    held = share(inside, sum(one.count for one in prunable))
    if not held:
        return NOTHING
    return Markdown(
        f"In {name}, feed-forward layers hold {percent(held, 0)} of the prunable weights."
    )


def denominator(
    inspected: Mapping[Markdown, Inspection], pruned: Mapping[Markdown, Pruning]
) -> Markdown:
    """What a level of the prunable weights is of all parameters, ties counted once."""
    shares = {
        name: part
        for name, one in pruned.items()
        if name in inspected
        and (part := share(one.zeros, inspected[name].totals.parameters_deduplicated.count))
    }
    if not shares:
        return NOTHING
    low, high = min(shares, key=lambda x: shares[x]), max(shares, key=lambda x: shares[x])
    span = f"{percent(shares[low], 0)} of all parameters of {low}"
    if low != high:
        span = f"{percent(shares[low], 0)} ({low}) to {percent(shares[high], 0)} ({high}) of all parameters"
    return Markdown(f"{level_name(pruned[low].level)} of the prunable weights is {span}.")


def unequal(pruned: Mapping[Markdown, Sequence[Pruning]], level: float) -> Markdown:
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
    return Markdown(f"The largest weight of {name} is {speedup(most)} times the RMS of its matrix.")
