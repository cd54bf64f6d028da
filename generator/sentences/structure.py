"""What is said of where weights are: how many are near zero, and how evenly one threshold falls. Pure."""

from collections import Counter
from collections.abc import Sequence

from experiments.records.inspection import Inspection, TensorRow
from experiments.records.pruning import Pruning
from generator import layers
from generator.render import Markdown, code, level_name, listed, percent, whole
from generator.verdicts import PLAIN

USUAL = 0.9  # the level at which layers are compared, where it is on record
SOME_ZEROS = 0.01  # of the weights: from there on a checkpoint is not as training left it
STARTED_SMALL = "c_proj"  # in GPT-2, whose initialiser draws these √(2·layers) times smaller


def rounded(share: float | None) -> Markdown:
    """A share in about two digits.

    >>> rounded(0.9116), rounded(0.0797)
    ('91 %', '8.0 %')
    """
    return percent(share, 0 if share is not None and share >= 0.1 else 1)


def finding(models: Sequence[Sequence[TensorRow]]) -> Markdown:
    """How many weights of these models are not near zero, and whether anything says where to cut."""
    every = [tensor for tensors in models for tensor in tensors]
    near = layers.near_zero(every)
    if not any(one.count for one in every):
        return Markdown("No prunable weight is on record.")
    if near is None:
        return Markdown("How many weights are near zero is not on record.")
    shares = [1 - one for tensor in every if (one := layers.near_zero([tensor])) is not None]
    low, high = rounded(min(shares)), rounded(max(shares))
    span = f"{low.removesuffix(' %')} to {high}" if low != high else high
    by = f"by layer from {span}" if low != high else f"{high} in each layer"
    start = f"{rounded(1 - near)} of weights are not near zero, {by}"
    if cut_already(every):
        zeros = rounded(sum(one.zeros or 0 for one in every) / sum(one.count for one in every))
        return Markdown(f"{start}; {zeros} are exactly zero already.")
    if layers.bell_shaped(every):
        return Markdown(f"{start}; each matrix is bell-shaped, so nothing says where to cut.")
    return Markdown(f"{start}; not every matrix is bell-shaped.")


def cut_already(every: Sequence[TensorRow]) -> bool:
    """Whether more than one weight in a hundred is exactly zero."""
    return sum(one.zeros or 0 for one in every) > SOME_ZEROS * sum(one.count for one in every)


def title(models: Sequence[Sequence[TensorRow]]) -> str:
    """The same as the title of the distribution's figure."""
    every = [tensor for tensors in models for tensor in tensors]
    if cut_already(every):
        return "Some of these weights are exactly zero already"
    if layers.bell_shaped(every):
        return "Weights thin out as on a normal curve: no gap says where to cut"
    return "Not every matrix is as a normal curve"


def storage(found: Inspection) -> Markdown:
    """What of a checkpoint is not the numbers that were trained: dequantised, or packed."""
    blocks = Counter(t.stored_as for t in found.tensors if t.stored_as not in PLAIN)
    parts = []
    if blocks:
        count, every = sum(blocks.values()), len(found.tensors)
        kinds = listed([f"{kind} ({count:,})" for kind, count in blocks.most_common(4)])
        parts.append(
            f"{whole(count)} of its {whole(every)} tensors {'is' if count == 1 else 'are'} stored in "
            f"quantised blocks, {kinds}: measured is what the blocks stand for."
        )
    if found.packed_weights:
        by = sorted({tensor.packed for tensor in found.tensors if tensor.packed})
        parts.append(
            f"{whole(found.packed_weights)} of its weights are packed by {listed(by)}: not measured."
        )
    return Markdown(" ".join(parts))


def usual(prunings: Sequence[Pruning]) -> Pruning | None:
    """The pruning in which layers are compared: at 90 %, else at the highest level."""
    at = next((one for one in prunings if one.level == USUAL), None)
    return at or max(prunings, key=lambda one: one.level, default=None)


def ends(pruning: Pruning) -> Markdown:
    """Which layers lose the least and the most, where that differs."""
    found = layers.extremes(pruning)
    if found is None or found[0].sparsity == found[1].sparsity:
        return Markdown("")
    least, most = (code(layers.short(one.name)) for one in found)
    return Markdown(f"The least is lost by {least}, the most by {most}.")


def uneven(
    prunings: Sequence[Pruning], found: Inspection, *, method: str, miniature: bool = False
) -> Markdown:
    """Which layers lose the least and the most at one level; and what of that is the initialiser's."""
    one = usual(prunings)
    ends = layers.extremes(one) if one else None
    if one is None or ends is None:
        return Markdown("")
    least, most = ends
    at = f"At {level_name(one.level)}"
    if least.sparsity == most.sparsity:
        return Markdown(f"{at} every layer loses {rounded(most.sparsity)}.")
    parts = [
        f"{at} {code(layers.short(least.name))} loses {rounded(least.sparsity)} of its weights, "
        f"{code(layers.short(most.name))} {rounded(most.sparsity)}."
    ]
    gone = layers.emptied(one)
    if gone:
        parts.append(f"Of {len(gone)} of {len(one.layers)} layers nothing is left.")
    if miniature and method == "magnitude" and _started_small(found, most.name):
        parts.append(
            f"That is its initialiser's doing: GPT-2 starts {code(STARTED_SMALL)} √(2·layers) times "
            "smaller, and a miniature trains too shortly to outgrow it."
        )
    return Markdown(" ".join(parts))


def _started_small(found: Inspection, name: str) -> bool:
    return found.architecture.name.startswith("GPT2") and f".{STARTED_SMALL}." in name


def emptied(pruned: Sequence[tuple[str, Sequence[Pruning]]]) -> Markdown:
    """The first level at which a model, by name, has layers of which nothing is left."""
    found = sorted(
        ((one.level, name) for name, prunings in pruned for one in prunings if layers.emptied(one)),
        key=lambda pair: pair[0],
    )
    if not found:
        levels = [one.level for _, prunings in pruned for one in prunings]
        return Markdown(
            f"Up to {level_name(max(levels))} no layer of any model is emptied." if levels else ""
        )
    level = found[0][0]
    names = list(dict.fromkeys(name for at, name in found if at == level))
    who = listed(names) if len(names) < 4 else f"{len(names)} models"
    return Markdown(f"A layer is first emptied at {level_name(level)}: in {who}.")
