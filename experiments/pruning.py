"""Pruning: choosing the weights a level removes, and saying what went.

The choice is exact: of n weights in a ranking group the round-half-even(level * n) smallest go, ties
in canonical order. Works on arrays in memory or mapped from a file; touches no disk itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.coverage import Entry
from experiments.errors import ReportError, UsageError
from experiments.magnitudes import (
    Cut,
    Keys,
    Weights,
    cuts,
    magnitude_of_key,
    removed_count,
)
from experiments.masks import Mask, below_cut, n_of_m, smallest_of_each_row
from experiments.methods.table import METHODS
from experiments.records import Layer, Pruning

UNSTRUCTURED = "unstructured"
SCOPES = ("global", "layer", "row")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to prune: a method, the scope over which it ranks, a pattern, a seed."""

    method: str = "magnitude"
    scope: str = "global"
    pattern: str = UNSTRUCTURED
    seed: int = 0


@dataclass(frozen=True)
class Prunable:
    """A prunable tensor: its coverage entry and its weights, as stored."""

    entry: Entry
    weights: Weights


class Choice:
    """Which weights one level removes, tensor by tensor. Its cuts are of keys of `bits` bits."""

    def __init__(
        self, settings: Settings, level: float, group_cuts: dict[str, Cut], *, bits: int
    ) -> None:
        self.settings, self.level, self.cuts, self.bits = settings, level, group_cuts, bits

    def mask(self, tensor: Prunable) -> Mask:
        """True = kept, in the shape of the tensor."""
        keys = rank(tensor, self.settings, bits=self.bits)
        axis = tensor.entry.input_axis
        if self.settings.pattern != UNSTRUCTURED:
            kept, group = parse_pattern(self.settings.pattern)
            return n_of_m(keys, kept, group, input_axis=axis)
        if self.settings.scope == "row":
            return smallest_of_each_row(keys, self.level, input_axis=axis)
        return below_cut(keys, self.cuts[tensor.entry.name])


def choose(
    tensors: Sequence[Prunable], settings: Settings, levels: Sequence[float]
) -> list[Choice]:
    """The choice each level makes among the tensors; one ranking pass serves all levels.

    Raises:
        ReportError: where there is no weight to prune, or one is NaN or infinite (its tensor named).
        UsageError: where a level does not fit the pattern or a tensor's shape.
    """
    ordered = sorted(tensors, key=lambda tensor: tensor.entry.name.encode())
    if not ordered:
        raise ReportError("the checkpoint", "prunable weights", "see `gen inspect` for why not")
    refuse_non_finite(ordered)
    if settings.pattern != UNSTRUCTURED:
        _check_pattern(ordered, settings.pattern, levels)
    bits = _key_bits(ordered, settings)
    if settings.pattern != UNSTRUCTURED or settings.scope == "row":
        return [Choice(settings, level, {}, bits=bits) for level in levels]
    groups = [ordered] if settings.scope == "global" else [[tensor] for tensor in ordered]
    found: list[dict[str, Cut]] = [{} for _ in levels]
    for group in groups:
        for cut_of, shared in zip(found, _group_cuts(group, settings, levels, bits)):
            cut_of.update(shared)
    return [Choice(settings, level, cut, bits=bits) for level, cut in zip(levels, found)]


def _key_bits(tensors: Iterable[Prunable], settings: Settings) -> int:
    """The width at which the tensors' keys compare: that of the widest."""
    nothing = (replace(tensor, weights=tensor.weights[:0]) for tensor in tensors)
    return max((8 * rank(tensor, settings).itemsize for tensor in nothing), default=32)


def _group_cuts(
    group: Sequence[Prunable], settings: Settings, levels: Sequence[float], bits: int
) -> Iterator[dict[str, Cut]]:
    """One cut a level, its ties handed out to the group's tensors in their order."""

    def stream() -> Iterable[Keys]:
        return (rank(tensor, settings, bits=bits) for tensor in group)

    size = sum(tensor.weights.size for tensor in group)
    shared = cuts(stream, [removed_count(level, size) for level in levels], bits=bits)
    left = [cut.ties for cut in shared]
    found: list[dict[str, Cut]] = [{} for _ in levels]
    for tensor, keys in zip(group, stream()):
        for index, cut in enumerate(shared):
            ties = min(left[index], int(np.count_nonzero(keys == cut.key))) if left[index] else 0
            left[index] -= ties
            found[index][tensor.entry.name] = Cut(cut.key, ties)
    yield from found


def rank(tensor: Prunable, settings: Settings, *, bits: int = 0) -> Keys:
    """The method's keys for one tensor, widened to `bits` where a group mixes widths."""
    method = METHODS[settings.method]
    weights = tensor.weights.astype(np.float64) if bits == 64 else tensor.weights
    keys = method.keys(weights, name=tensor.entry.name, seed=settings.seed)
    return keys.astype(np.uint64) if bits == 64 else keys


def refuse_non_finite(tensors: Iterable[Prunable]) -> None:
    """Raise for the first tensor that holds a NaN or an infinity: it has no place in a ranking."""
    for tensor in tensors:
        if not np.isfinite(tensor.weights).all():
            raise ReportError(
                f"tensor {tensor.entry.name}",
                "finite weights, found NaN or infinity",
                "repair the checkpoint; `gen inspect` counts them",
            )


def parse_pattern(pattern: str) -> tuple[int, int]:
    """N and M of an N:M pattern: N kept of every M.

    >>> parse_pattern("2:4")
    (2, 4)
    """
    kept, colon, group = pattern.partition(":")
    if not (colon and kept.isdecimal() and group.isdecimal() and 0 < int(kept) <= int(group)):
        raise UsageError(
            f"pattern {pattern!r}", "N:M with 0 < N <= M, N of every M kept", "give 2:4, say"
        )
    return int(kept), int(group)


def _check_pattern(tensors: Iterable[Prunable], pattern: str, levels: Sequence[float]) -> None:
    kept, group = parse_pattern(pattern)
    for level in levels:
        if level != (group - kept) / group:
            raise UsageError(
                f"level {level} with pattern {pattern}",
                f"level {(group - kept) / group}",
                "leave --level out or give that",
            )
    for tensor in tensors:
        width = tensor.weights.shape[tensor.entry.input_axis]
        if width % group:
            raise UsageError(
                f"pattern {pattern}",
                f"input dimensions divisible by {group}, {tensor.entry.name} has {width}",
                "choose another M or an unstructured pattern",
            )


def masked(tensor: Prunable, choice: Choice) -> Weights:
    """A copy of a tensor's weights, of their own dtype, with the removed ones zero."""
    weights = np.array(tensor.weights)
    weights[~choice.mask(tensor)] = 0
    return weights


def describe(tensors: Sequence[Prunable], choice: Choice) -> Pruning:
    """What a choice leaves: zeros of every prunable tensor after it, and in all."""
    settings, layers = choice.settings, []
    for tensor in sorted(tensors, key=lambda tensor: tensor.entry.name.encode()):
        kept = np.count_nonzero(tensor.weights[choice.mask(tensor)])
        count = tensor.weights.size
        layers.append(Layer(name=tensor.entry.name, count=count, zeros=count - int(kept)))
    before = sum(int(t.weights.size) - int(np.count_nonzero(t.weights)) for t in tensors)
    return Pruning(
        level=choice.level,
        method=settings.method,
        scope=settings.scope,
        pattern=settings.pattern,
        prunable=sum(layer.count for layer in layers),
        zeros=sum(layer.zeros for layer in layers),
        zeros_before=before,
        threshold=_threshold(tensors, choice),
        layers=tuple(layers),
    )


def _threshold(tensors: Sequence[Prunable], choice: Choice) -> float | None:
    """The largest magnitude removed, where one number says it: magnitude ranked over the model."""
    keys = {cut.key for cut in choice.cuts.values()}
    single = choice.settings.method == "magnitude" and choice.settings.scope == "global"
    if not single or len(keys) != 1 or not removed_count(choice.level, sum_of(tensors)):
        return None
    return magnitude_of_key(keys.pop(), choice.bits)


def sum_of(tensors: Iterable[Prunable]) -> int:
    """How many weights the tensors hold together."""
    return sum(int(tensor.weights.size) for tensor in tensors)
