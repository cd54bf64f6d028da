"""Pruning: choosing the weights a level removes, and saying what went.

The choice is exact: of n weights in a ranking group the round-half-even(level * n) smallest go, ties
in canonical order. Weights are read block by block, from memory or from a file, and never held.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from math import prod

import ml_dtypes
import numpy as np

from experiments import cores
from experiments.checkpoint.tensor import BLOCK_BYTES, DTYPES, StoredTensor
from experiments.errors import ReportError, UsageError
from experiments.models.coverage import Entry
from experiments.progress import SILENT, Progress
from experiments.pruning import masks
from experiments.pruning.change import Change
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
from experiments.pruning.methods.block import Block
from experiments.pruning.methods.table import METHODS
from experiments.pruning.patterns import UNSTRUCTURED, level_of, parse_pattern
from experiments.pruning.settings import MAGNITUDE, Settings
from experiments.records.pruning import Layer, Pruning

Place = tuple[str, int]
STRETCH = 1 << 23  # weights that one core counts before it takes the next


@dataclass(frozen=True)
class Prunable:
    """A prunable tensor: its coverage entry and its weights, in memory or in a file.

    Or a part of one, of which another stands behind it: `place` is its name and where the part begins.
    """

    entry: Entry
    weights: Weights | StoredTensor

    @property
    def place(self) -> Place:
        """Its canonical name, and where in the tensor of that name it begins."""
        return self.entry.name, self.entry.start

    @property
    def order(self) -> tuple[bytes, int]:
        """What places are sorted by, names bytewise."""
        return self.entry.name.encode(), self.entry.start

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns, as stored; of a stack before them how many."""
        return self.weights.shape

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of the least part that holds whole rows of inputs, these along its first."""
        return self.shape[self.entry.input_axis :]

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
        self, start: int = 0, stop: int | None = None, *, multiple: int = 1, seed: int = 0
    ) -> Iterator[Block]:
        """Its weights a block at a time as methods take them, all but the last a `multiple` long."""
        stop = self.count if stop is None else stop
        best = BLOCK_BYTES // self.dtype.itemsize
        if isinstance(self.weights, StoredTensor):
            best = self.weights.block
        step = max(best // multiple, 1) * multiple
        for at in range(start, stop, step):
            weights = self.span(at, min(at + step, stop))
            yield Block(
                name=self.entry.name, start=self.entry.start + at, weights=weights, seed=seed
            )


class Chosen(ABC):
    """What one level leaves of a checkpoint's weights, by settings; `threshold` as `Choice` has it."""

    settings: Settings
    level: float
    threshold: float | None

    @abstractmethod
    def blocks(self, tensor: Prunable) -> Iterator[Change]:
        """The tensor's weights before and after, block by block in row-major order."""

    def after(self, tensor: Prunable) -> Weights:
        """The tensor's weights after, all of them in its shape."""
        found = np.empty(tensor.count, tensor.dtype)
        at = 0
        for change in self.blocks(tensor):
            change.after(out=found[at : at + change.before.size])
            at += change.before.size
        return found.reshape(tensor.shape)


@dataclass(frozen=True)
class Choice(Chosen):
    """Which weights one level removes, tensor by tensor.

    `cuts` gives for each tensor, by place, the key below which weights go and how many of those equal
    to it; keys are ranked as `dtype`. `threshold` is the largest magnitude removed, where there is one.
    """

    settings: Settings
    level: float
    dtype: np.dtype[np.generic]
    cuts: Mapping[Place, tuple[int, int]] = field(default_factory=dict, repr=False)
    threshold: float | None = None

    def blocks(self, tensor: Prunable) -> Iterator[Change]:
        """The tensor's weights before and after, block by block in row-major order."""
        for block, mask in self._kept(tensor):
            yield Change(block.weights, mask, block.weights)

    def _kept(self, tensor: Prunable) -> Iterator[tuple[Block, Mask]]:
        """The tensor's blocks and which of their weights are kept."""
        if self.settings.pattern == UNSTRUCTURED and self.settings.scope != "row":
            yield from self._kept_by_cut(tensor)
            return
        for block in tensor.blocks(multiple=max(prod(tensor.row), 1), seed=self.settings.seed):
            keys = rank(block, self.settings, self.dtype)
            yield block, self._mask(keys.reshape(-1, *tensor.row)).reshape(-1)

    def _kept_by_cut(self, tensor: Prunable) -> Iterator[tuple[Block, Mask]]:
        key, ties = self.cuts[tensor.place]
        for block in tensor.blocks(seed=self.settings.seed):
            mask, went = masks.below_cut(rank(block, self.settings, self.dtype), key, ties)
            ties -= went
            yield block, mask

    def _mask(self, keys: Keys) -> Mask:
        if self.settings.pattern != UNSTRUCTURED:
            kept, group = parse_pattern(self.settings.pattern)
            return masks.n_of_m(keys, kept, group, input_axis=1)
        return masks.smallest_of_each_row(keys, self.level, input_axis=1)

    def mask(self, tensor: Prunable) -> Mask:
        """True = kept, in the shape of the tensor."""
        parts = [np.ones(0, np.bool_), *(mask for _, mask in self._kept(tensor))]
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
    ordered = sorted(tensors, key=lambda tensor: tensor.order)
    if not ordered:
        raise ReportError("the checkpoint", "prunable weights", "see `gen inspect` for why not")
    check(ordered, settings, levels)
    dtype = common_dtype(tensor.dtype for tensor in ordered)
    if settings.pattern != UNSTRUCTURED or settings.scope == "row":
        for _ in cores.each(check_finite, ordered):
            pass
        return [Choice(settings, level, dtype) for level in levels]
    progress.stage("ranking", sum_of(ordered) * max(1, 8 * dtype.itemsize // DIGIT_BITS))
    layers = [list(parts) for _, parts in groupby(ordered, key=lambda tensor: tensor.entry.name)]
    groups = [ordered] if settings.scope == "global" else layers
    found: list[dict[Place, tuple[int, int]]] = [{} for _ in levels]
    largest: list[float | None] = [None for _ in levels]
    for group in groups:
        for index, (cut, shares) in enumerate(
            _group_cuts(group, settings, levels, dtype, progress)
        ):
            found[index].update(shares)
            if settings.scope == "global" and settings.method == MAGNITUDE and cut.ties:
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
) -> Iterator[tuple[Cut, dict[Place, tuple[int, int]]]]:
    """A level's cut in a ranking group, and each tensor's share of it."""
    stretches = {
        tensor.place: [
            Part(tensor, start, settings, dtype, progress)
            for start in range(0, tensor.count, STRETCH)
        ]
        for tensor in group
    }
    together = [stretch for parts in stretches.values() for stretch in parts]
    counts = [removed_count(level, sum_of(group)) for level in levels]
    nothing = rank(Block(name="", start=0, weights=np.empty(0, dtype)), settings, dtype)
    for cut in cuts(together, counts, bits=8 * nothing.itemsize):
        yield cut, _shares(cut, stretches)


def _shares(cut: Cut, stretches: Mapping[Place, Sequence[Stretch]]) -> dict[Place, tuple[int, int]]:
    """The cut handed out to the tensors, in their order: (key below which weights go, ties)."""
    if cut.ties == cut.tied:
        return dict.fromkeys(stretches, (cut.key + 1 if cut.ties else cut.key, 0))
    found, left = {}, cut.ties
    for place, parts in stretches.items():
        here = sum(cores.each(partial(_equal, cut.key), parts)) if left else 0
        found[place] = (cut.key, min(left, here))
        left -= min(left, here)
    return found


def _equal(key: int, stretch: Stretch) -> int:
    return sum(int(np.count_nonzero(keys == key)) for keys in stretch())


class Part:
    """A part of a tensor that one core ranks: its keys, block by block, as often as they are asked for.

    The first reading refuses a NaN or an infinity, so that later ones need not look for it.
    """

    def __init__(
        self,
        tensor: Prunable,
        start: int,
        settings: Settings,
        dtype: np.dtype[np.generic],
        progress: Progress,
    ) -> None:
        self.tensor, self.start, self.settings = tensor, start, settings
        self.dtype, self.progress = dtype, progress
        self.finite = False

    def __call__(self) -> Iterator[Keys]:
        """The keys, read anew."""
        stop = min(self.start + STRETCH, self.tensor.count)
        for block in self.tensor.blocks(self.start, stop, seed=self.settings.seed):
            self.progress.add(block.weights.size)
            keys = rank(block, self.settings, self.dtype)
            if not self.finite and self.settings.method == MAGNITUDE:
                refuse_non_finite(block.name, keys, self.dtype)
            elif not self.finite:
                refuse_non_finite(block.name, magnitude_keys(block.weights), block.weights.dtype)
            yield keys
        self.finite = True


def rank(block: Block, settings: Settings, dtype: np.dtype[np.generic]) -> Keys:
    """The method's keys for a block, compared as `dtype` with those of other tensors."""
    if block.weights.dtype != dtype:
        block = replace(block, weights=block.weights.astype(dtype))
    return METHODS[settings.method].keys(block)


def refuse_non_finite(name: str, magnitudes: Keys, dtype: np.dtype[np.generic]) -> None:
    """Raise where some of a tensor's magnitudes, as keys, are those of a NaN or an infinity."""
    largest = np.array([ml_dtypes.finfo(dtype).max], dtype)  # type: ignore[no-untyped-call]
    if magnitudes.max(initial=0) > magnitude_keys(largest)[0]:
        raise ReportError(
            f"tensor {name}",
            "finite weights, found NaN or infinity",
            "repair the checkpoint; `gen inspect` counts them",
        )


def check_finite(tensor: Prunable) -> None:
    """Raise a ReportError where a tensor has a NaN or an infinity, its name in it."""
    for block in tensor.blocks():
        refuse_non_finite(block.name, magnitude_keys(block.weights), tensor.dtype)


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
    choice: Chosen,
    then: Callable[[Change], object] = lambda change: None,
) -> tuple[int, int]:
    """The zeros of a tensor before a choice and after it; `then` is given every block, in order."""
    before = after = 0
    for change in choice.blocks(tensor):
        before += change.zeros_before
        after += change.zeros_after
        then(change)
    return before, after


def describe(tensors: Sequence[Prunable], choice: Chosen) -> Pruning:
    """What a choice leaves: zeros of every prunable tensor after it, and in all."""
    return summary(tensors, choice, list(cores.each(partial(zeros, choice=choice), tensors)))


def summary(
    tensors: Sequence[Prunable], choice: Chosen, counted: Sequence[tuple[int, int]]
) -> Pruning:
    """What a choice left, given the zeros before and after of each tensor; parts are told together."""
    settings = choice.settings
    count, zeros = Counter[str](), Counter[str]()
    for tensor, (_, after) in zip(tensors, counted):
        count[tensor.entry.name] += tensor.count
        zeros[tensor.entry.name] += after
    layers = [
        Layer(name=name, count=count[name], zeros=zeros[name])
        for name in sorted(count, key=str.encode)
    ]
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
