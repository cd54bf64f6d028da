"""Layers of a checkpoint as pages sort, group and measure them: each by its own scale, its RMS. Pure."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from experiments.records.inspection import Inspection, TensorRow
from experiments.records.pruning import Layer, Pruning
from experiments.records.share import share

NEAR = 0.1  # times a tensor's RMS: what is below it is called near zero, everywhere
NORMAL = math.sqrt(2 / math.pi)  # mean |w| / RMS of a normal distribution around zero
BELL = (0.55, 0.84)  # of the same: below are a few large among tiny ones, a uniform has 0.87


def prunable(found: Inspection) -> list[TensorRow]:
    """The prunable layers of a checkpoint, in order of depth, then of name."""
    return sorted((one for one in found.tensors if one.prunable), key=_place)


def _place(tensor: TensorRow) -> tuple[bool, int, list[tuple[int, str]]]:
    return tensor.stack == "decoder", tensor.depth or 0, natural(tensor.name)


def natural(name: str) -> list[tuple[int, str]]:
    """A key by which names sort with their numbers as numbers.

    >>> sorted(["h.10.b", "h.2.b", "h.1.b", "h.2.a"], key=natural)
    ['h.1.b', 'h.2.a', 'h.2.b', 'h.10.b']
    """
    parts = re.findall(r"0*([0-9]+)|([^0-9]+)", name)  # no int(): it refuses what is too long
    return [(len(digits), digits) if digits else (-1, letters) for digits, letters in parts]


def block(tensor: TensorRow) -> str:
    """A block's name, like "encoder 0"; of a model of one stack its number alone."""
    return f"{tensor.stack} {'' if tensor.depth is None else tensor.depth}".strip()


def grouped(
    tensors: Iterable[TensorRow], by: Callable[[TensorRow], str]
) -> dict[str, list[TensorRow]]:
    """Tensors by what a function says of them, in their order."""
    made: dict[str, list[TensorRow]] = defaultdict(list)
    for tensor in tensors:
        made[by(tensor)].append(tensor)
    return dict(made)


def near_zero(tensors: Sequence[TensorRow]) -> float | None:
    """The share of weights below 0.1 of their own tensor's RMS; None where that is not on record."""
    counts = [near_count(one) for one in tensors]
    known = [one for one in counts if one is not None]
    if len(known) < len(counts):
        return None
    return share(sum(known), sum(one.count for one in tensors))


def near_count(tensor: TensorRow) -> int | None:
    """How many weights of a tensor lie below 0.1 of its RMS."""
    asked = ("rms", NEAR)
    return next((n.count for n in tensor.near_zero if (n.relative_to, n.threshold) == asked), None)


def rms(tensor: TensorRow) -> float | None:
    """The root mean square of a tensor's weights."""
    return None if tensor.l2 is None or not tensor.count else tensor.l2 / math.sqrt(tensor.count)


def mean(tensor: TensorRow) -> float | None:
    """The mean magnitude of a tensor's weights."""
    return None if tensor.l1 is None or not tensor.count else tensor.l1 / tensor.count


def mean_to_rms(tensor: TensorRow) -> float | None:
    """The mean magnitude over the RMS: 0.80 of a normal distribution, 1 where all are alike."""
    scale, middle = rms(tensor), mean(tensor)
    return None if not scale or middle is None else middle / scale


def least_normal(tensors: Iterable[TensorRow]) -> tuple[TensorRow, float] | None:
    """The layer whose mean magnitude over RMS is farthest from a normal's, with that ratio."""
    known = [(one, ratio) for one in tensors if (ratio := mean_to_rms(one)) is not None]
    return max(known, key=lambda pair: abs(pair[1] - NORMAL), default=None)


def bell_shaped(tensors: Iterable[TensorRow]) -> bool | None:
    """Whether every layer's mean magnitude over RMS is that of one bell; None where none is known."""
    ratios = [ratio for one in tensors if (ratio := mean_to_rms(one)) is not None]
    return all(BELL[0] < ratio < BELL[1] for ratio in ratios) if ratios else None


def short(name: str) -> str:
    """A layer's name without what all have in common.

    >>> short("transformer.h.0.attn.c_attn.weight"), short("led.decoder.layers.1.fc2.weight")
    ('h.0.attn.c_attn', 'decoder.layers.1.fc2')
    """
    parts = name.removesuffix(".weight").split(".")
    start = next((i for i, part in enumerate(parts) if part.isdecimal()), 1)
    begin = max(0, start - 2) if "encoder" in parts or "decoder" in parts else max(0, start - 1)
    return ".".join(parts[begin:])


def emptied(pruning: Pruning) -> list[Layer]:
    """The layers of which nothing is left."""
    return [layer for layer in pruning.layers if layer.count and layer.zeros == layer.count]


def extremes(pruning: Pruning) -> tuple[Layer, Layer] | None:
    """The layers that lose the least and the most; None where none has weights."""
    known = [layer for layer in pruning.layers if layer.sparsity is not None]
    if not known:
        return None
    by = {layer.name: layer.sparsity or 0.0 for layer in known}
    return min(known, key=lambda one: by[one.name]), max(known, key=lambda one: by[one.name])
