"""Pruning: choosing the weights a level removes, and saying what went.

The choice is exact: of n weights in a ranking group the round-half-even(level * n) smallest go, ties
in canonical order. Weights are read block by block, from memory or from a file, and never held.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import ml_dtypes
import numpy as np

from experiments import cores
from experiments.checkpoint.tensor import BLOCK_BYTES, DTYPES, StoredTensor
from experiments.errors import ReportError, UsageError
from experiments.models.coverage import Entry
from experiments.progress import SILENT, Progress
from experiments.pruning import masks
from experiments.pruning.magnitudes import (
    DIGIT_BITS,
    Cut,
    Keys,
    Stretch,
    Weights,
    common_dtype,
    cuts,
    magnitude_keys,
    magnitude_of_key,
    removed_count,
)
from experiments.pruning.masks import Mask
from experiments.pruning.methods.table import METHODS
from experiments.pruning.patterns import UNSTRUCTURED, level_of, parse_pattern
from experiments.records.pruning import Layer, Pruning

SCOPES = ("global", "layer", "row")
STRETCH = 1 << 23  # weights that one core counts before it takes the next


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to prune: a method, the scope over which it ranks, a pattern, a seed."""

    method: str = "magnitude"
    scope: str = "global"
    pattern: str = UNSTRUCTURED
    seed: int = 0


@dataclass(frozen=True)
class Prunable:
    """A prunable tensor: its coverage entry and its weights, in memory or in a file."""

    entry: Entry
    weights: Weights | StoredTensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns, as stored."""
        return self.weights.shape

    @property
    def count(self) -> int:
        """How many weights it has."""
        return self.weights.count if isinstance(self.weights, StoredTensor) else self.weights.size

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The dtype of its weights."""
        stored = self.weights
        return DTYPES[stored.dtype] if isinstance(stored, StoredTensor) else stored.dtype

    def span(self, start: int, stop: int) -> Weights:
        """The weights from `start` up to `stop`, row-major: fresh from a file, a view of memory."""
        if isinstance(self.weights, StoredTensor):
            return self.weights.span(start, stop)
        return self.weights.reshape(-1)[start:stop]

    def blocks(
        self, start: int = 0, stop: int | None = None, *, multiple: int = 1
    ) -> Iterator[tuple[int, Weights]]:
        """(where it begins, weights) of about a block each, all but the last a `multiple` long."""
        stop = self.count if stop is None else stop
        best = BLOCK_BYTES // self.dtype.itemsize
        if isinstance(self.weights, StoredTensor):
            best = self.weights.block
        step = max(best // multiple, 1) * multiple
        for at in range(start, stop, step):
            yield at, self.span(at, min(at + step, stop))


class Choice:
    """Which weights one level removes, tensor by tensor.

    `cuts` gives for each tensor, by name, the key below which weights go and how many of those equal
    to it; keys are ranked as `dtype`. `threshold` is the largest magnitude removed, where there is one.
    """

    def __init__(
        self,
        settings: Settings,
        level: float,
        dtype: np.dtype[np.generic],
        cuts: Mapping[str, tuple[int, int]] | None = None,
        threshold: float | None = None,
    ) -> None:
        self.settings, self.level, self.dtype = settings, level, dtype
        self.cuts, self.threshold = cuts or {}, threshold

    def blocks(self, tensor: Prunable) -> Iterator[tuple[Weights, Mask]]:
        """The tensor's weights and their mask, block by block in row-major order."""
        if self.settings.pattern == UNSTRUCTURED and self.settings.scope != "row":
            yield from self._ranked_blocks(tensor)
            return
        rows = tensor.entry.input_axis == 1
        multiple = tensor.shape[1] if rows else tensor.count
        for start, weights in tensor.blocks(multiple=max(multiple, 1)):
            keys = rank(tensor, start, weights, self.settings, self.dtype)
            yield weights, self._mask(keys.reshape(-1, tensor.shape[1]), tensor).reshape(-1)

    def _ranked_blocks(self, tensor: Prunable) -> Iterator[tuple[Weights, Mask]]:
        key, ties = self.cuts[tensor.entry.name]
        for start, weights in tensor.blocks():
            keys = rank(tensor, start, weights, self.settings, self.dtype)
            mask, went = masks.below_cut(keys, key, ties)
            ties -= went
            yield weights, mask

    def _mask(self, keys: Keys, tensor: Prunable) -> Mask:
        axis = tensor.entry.input_axis
        if self.settings.pattern != UNSTRUCTURED:
            kept, group = parse_pattern(self.settings.pattern)
            return masks.n_of_m(keys, kept, group, input_axis=axis)
        return masks.smallest_of_each_row(keys, self.level, input_axis=axis)

    def mask(self, tensor: Prunable) -> Mask:
        """True = kept, in the shape of the tensor."""
        parts = [np.ones(0, np.bool_), *(mask for _, mask in self.blocks(tensor))]
        return np.concatenate(parts).reshape(tensor.shape)


def choose(
    tensors: Sequence[Prunable],
    settings: Settings,
    levels: Sequence[float],
    *,
    progress: Progress = SILENT,
) -> list[Choice]:
    """The choice each level makes among the tensors; the same reading serves all levels.

    Raises:
        ReportError: where there is no weight to prune, or one is NaN or infinite (its tensor named).
        UsageError: where a level does not fit the pattern or a tensor's shape.
    """
    ordered = sorted(tensors, key=lambda tensor: tensor.entry.name.encode())
    if not ordered:
        raise ReportError("the checkpoint", "prunable weights", "see `gen inspect` for why not")
    check(ordered, settings, levels)
    dtype = common_dtype(tensor.dtype for tensor in ordered)
    if settings.pattern != UNSTRUCTURED or settings.scope == "row":
        for _ in cores.each(_check_finite, ordered):
            pass
        return [Choice(settings, level, dtype) for level in levels]
    progress.stage("ranking", sum_of(ordered) * max(1, 8 * dtype.itemsize // DIGIT_BITS))
    groups = [ordered] if settings.scope == "global" else [[tensor] for tensor in ordered]
    found: list[dict[str, tuple[int, int]]] = [{} for _ in levels]
    largest: list[float | None] = [None for _ in levels]
    for group in groups:
        for index, (cut, shares) in enumerate(
            _group_cuts(group, settings, levels, dtype, progress)
        ):
            found[index].update(shares)
            if settings.scope == "global" and settings.method == "magnitude" and cut.ties:
                largest[index] = magnitude_of_key(cut.key, dtype)
    return [
        Choice(settings, level, dtype, shares, threshold)
        for level, shares, threshold in zip(levels, found, largest)
    ]


def _group_cuts(
    group: Sequence[Prunable],
    settings: Settings,
    levels: Sequence[float],
    dtype: np.dtype[np.generic],
    progress: Progress,
) -> Iterator[tuple[Cut, dict[str, tuple[int, int]]]]:
    """A level's cut in a ranking group, and each tensor's share of it."""
    stretches = {
        tensor.entry.name: _stretches(tensor, settings, dtype, progress) for tensor in group
    }
    together = [stretch for parts in stretches.values() for stretch in parts]
    counts = [removed_count(level, sum_of(group)) for level in levels]
    nothing = rank(group[0], 0, np.empty(0, group[0].dtype), settings, dtype)
    for cut in cuts(together, counts, bits=8 * nothing.itemsize):
        yield cut, _shares(cut, stretches)


def _shares(cut: Cut, stretches: Mapping[str, Sequence[Stretch]]) -> dict[str, tuple[int, int]]:
    """The cut handed out to the tensors, in their order: (key below which weights go, ties)."""
    if cut.ties == cut.tied:
        return dict.fromkeys(stretches, (cut.key + 1 if cut.ties else cut.key, 0))
    found, left = {}, cut.ties
    for name, parts in stretches.items():
        here = sum(cores.each(partial(_equal, cut.key), parts)) if left else 0
        found[name] = (cut.key, min(left, here))
        left -= min(left, here)
    return found


def _equal(key: int, stretch: Stretch) -> int:
    return sum(int(np.count_nonzero(keys == key)) for keys in stretch())


def _stretches(
    tensor: Prunable, settings: Settings, dtype: np.dtype[np.generic], progress: Progress
) -> list[Stretch]:
    """The tensor's keys in parts that cores can count side by side."""

    def stretch(start: int) -> Iterable[Keys]:
        for at, weights in tensor.blocks(start, min(start + STRETCH, tensor.count)):
            progress.add(weights.size)
            yield rank(tensor, at, weights, settings, dtype)

    return [partial(stretch, start) for start in range(0, tensor.count, STRETCH)]


def rank(
    tensor: Prunable,
    start: int,
    weights: Weights,
    settings: Settings,
    dtype: np.dtype[np.generic],
) -> Keys:
    """The method's keys for a block of a tensor, compared as `dtype` with those of other tensors.

    Raises:
        ReportError: where a weight is NaN or infinite: it has no place in a ranking.
    """
    refuse_non_finite(tensor, weights)
    ranking = METHODS[settings.method].keys
    wide = weights if weights.dtype == dtype else weights.astype(dtype)
    return ranking(wide, name=tensor.entry.name, start=start, seed=settings.seed)


def refuse_non_finite(tensor: Prunable, weights: Weights) -> None:
    """Raise where a block of the tensor holds a NaN or an infinity."""
    largest = np.array([ml_dtypes.finfo(weights.dtype).max], weights.dtype)  # type: ignore[no-untyped-call]
    if magnitude_keys(weights).max(initial=0) > magnitude_keys(largest)[0]:
        raise ReportError(
            f"tensor {tensor.entry.name}",
            "finite weights, found NaN or infinity",
            "repair the checkpoint; `gen inspect` counts them",
        )


def _check_finite(tensor: Prunable) -> None:
    for _, weights in tensor.blocks():
        refuse_non_finite(tensor, weights)


def check(tensors: Iterable[Prunable], settings: Settings, levels: Sequence[float]) -> None:
    """Raise a UsageError where a level does not fit the pattern, or the pattern a tensor's shape."""
    if (pattern := settings.pattern) == UNSTRUCTURED:
        return
    for level in levels:
        level_of(pattern, level)
    _, group = parse_pattern(pattern)
    for tensor in tensors:
        width = tensor.shape[tensor.entry.input_axis]
        if width % group:
            raise UsageError(
                f"pattern {pattern}",
                f"input dimensions divisible by {group}, {tensor.entry.name} has {width}",
                "choose another M or an unstructured pattern",
            )


def zeros(
    tensor: Prunable,
    choice: Choice,
    then: Callable[[Weights, Mask], object] = lambda weights, mask: None,
) -> tuple[int, int]:
    """The zeros of a tensor before a choice and after it; `then` is given every block, in order."""
    before = after = 0
    for weights, mask in choice.blocks(tensor):
        before += weights.size - masks.left(weights)
        after += weights.size - masks.left(weights, mask)
        then(weights, mask)
    return before, after


def describe(tensors: Sequence[Prunable], choice: Choice) -> Pruning:
    """What a choice leaves: zeros of every prunable tensor after it, and in all."""
    return told(tensors, choice, list(cores.each(partial(zeros, choice=choice), tensors)))


def told(
    tensors: Sequence[Prunable], choice: Choice, counted: Sequence[tuple[int, int]]
) -> Pruning:
    """What a choice left, given the zeros before and after of each tensor."""
    settings = choice.settings
    layers = sorted(
        (
            Layer(name=tensor.entry.name, count=tensor.count, zeros=after)
            for tensor, (_, after) in zip(tensors, counted)
        ),
        key=lambda layer: layer.name.encode(),
    )
    return Pruning(
        level=choice.level,
        method=settings.method,
        scope=settings.scope,
        pattern=settings.pattern,
        prunable=sum(layer.count for layer in layers),
        zeros=sum(layer.zeros for layer in layers),
        zeros_before=sum(before for before, _ in counted),
        threshold=choice.threshold,
        layers=tuple(layers),
    )


def sum_of(tensors: Iterable[Prunable]) -> int:
    """How many weights the tensors hold together."""
    return sum(tensor.count for tensor in tensors)
