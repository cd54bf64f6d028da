"""The sparse path: an open model's prunable linear maps, each by the arithmetic that was measured faster.

A global level leaves layers of very different density, so each is timed dense and sparse where it
stands, within passes of the whole model, and takes the faster. Reads the clock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from experiments.models import products
from experiments.models.products import Product
from experiments.speed import sparse_linear
from experiments.speed.linear_maps import LinearMap, linear_maps
from experiments.speed.sparse_linear import SparseWeight
from experiments.speed.stopwatch import Clock, Lane, time_rounds, timed, turn

PASSES = 5
WORTH = 0.95  # of dense time at most: a gain within the noise of trials is none
PAYS = 0.98  # the same of whole passes
PAIRS = 5  # of whole passes
NO_ZEROS = "no weight is zero"
UNCALLED = "its module is not called"
STACKED = "a stack of experts, which stays dense and is not timed by itself"
NO_GAIN = "it was the faster, but whole passes were not"


@dataclass(frozen=True)
class Trial:
    """How long a map took in two neighbouring passes of the model, in seconds.

    Of all such pairs sparse did better beside dense in three of four, so that luck wins nothing;
    `reason` says why not sparse.
    """

    name: str
    dense: float
    sparse: float | None
    reason: str = ""

    @property
    def faster(self) -> bool:
        """Whether sparse was the faster, by more than trials scatter."""
        return not self.reason and self.sparse is not None and self.sparse < WORTH * self.dense

    @property
    def fastest(self) -> float:
        """The seconds of the way it takes."""
        return self.sparse if self.sparse is not None and self.faster else self.dense


def unfit(one: LinearMap) -> str:
    """Why the sparse product cannot take a map's place; empty where it can."""
    weight = one.weight
    if one.stacked:
        return STACKED
    if not products.plain(one.module):
        return products.own_forward(one.module)
    if weight.device.type != "cpu":
        return f"on {weight.device.type}, the sparse product is for processors"
    if weight.dtype != torch.float32:
        return f"{str(weight.dtype).removeprefix('torch.')}, the sparse product is of float32"
    if weight.ndim != 2 or not weight.numel():
        return f"of shape {tuple(weight.shape)}, no matrix"
    return NO_ZEROS if bool(weight.all()) else ""


@dataclass(frozen=True)
class SparseProduct:
    """The product of a linear map's weights that skips those that are zero."""

    held: SparseWeight
    bias: sparse_linear.Floats | None

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs (… × inputs of the map) to outputs (… × outputs), in float32, without a gradient."""
        if inputs.dtype != torch.float32:
            raise ValueError(f"{inputs.dtype} inputs to a sparse product of float32")
        if inputs.requires_grad and torch.is_grad_enabled():
            raise ValueError("a gradient asked of a sparse product, which has none")
        given = inputs.detach() if inputs.requires_grad else inputs
        threads = torch.get_num_threads()
        outputs = sparse_linear.multiply(self.held, given.numpy(), self.bias, threads=threads)
        if threads > 1 and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)  # numba's pool, when it is made, resets what both share
        return torch.from_numpy(outputs)

    def placed(self) -> "SparseProduct":
        """The same of weights that lie elsewhere in memory."""
        held = self.held
        return replace(
            self,
            held=replace(
                held,
                values=held.values.copy(),
                columns=held.columns.copy(),
                starts=held.starts.copy(),
                order=held.order.copy(),
            ),
        )


def sparse_product(module: nn.Module, weight: Tensor) -> SparseProduct:
    """The sparse product of a linear map's weights, laid out as the module's own."""
    rows = weight.t() if isinstance(module, Conv1D) else weight
    bias: Any = module.bias
    return SparseProduct(
        sparse_linear.sparse_weight(rows.detach().numpy()),
        None if bias is None else bias.detach().numpy(),
    )


def compile_ahead() -> None:
    """Have the loops ready that a product runs on as many threads as there are now.

    They are compiled, or fetched from numba's cache, when they are first called.
    """
    SparseProduct(sparse_linear.sparse_weight(np.ones((1, 1), np.float32)), None)(torch.ones(1, 1))


def sparse_products(maps: Sequence[LinearMap]) -> dict[str, SparseProduct]:
    """The sparse product of every map that has one, by name."""
    return {one.name: sparse_product(one.module, one.weight) for one in maps if not unfit(one)}


def trials(
    call: Callable[[], object],
    maps: Sequence[LinearMap],
    dense: Mapping[str, Product],
    sparse: Mapping[str, Product],
    *,
    passes: int = PASSES,
    clock: Clock = perf_counter,
) -> list[Trial]:
    """Time every map in pairs of passes of the model, `call`: all dense and all sparse, in turn first.

    The first pair is not counted. A pair is compared in itself, since a processor may change its
    clock from one to the next. Where a map is called several times in a pass its times add up. Stacks
    of experts go as they are.
    """
    modes = [dict(dense), {**dense, **sparse}]
    seconds: list[list[dict[str, float]]] = [[], []]
    for number in range(passes + 1):
        for mode in turn(len(modes), number):
            spent: dict[str, float] = {}
            named = {
                one.module: timed(one.name, modes[mode][one.name], spent, clock)
                for one in maps
                if not one.stacked
            }
            with products.multiplying(named):
                call()
            if number:
                seconds[mode].append(spent)
    return [_trial(one, *seconds, fit=one.name in sparse) for one in maps]


def _trial(
    one: LinearMap,
    dense: Sequence[Mapping[str, float]],
    sparse: Sequence[Mapping[str, float]],
    *,
    fit: bool,
) -> Trial:
    if one.name not in dense[0]:
        return Trial(one.name, 0.0, None, STACKED if one.stacked else UNCALLED)
    if not fit:
        return Trial(one.name, median(spent[one.name] for spent in dense), None, unfit(one))
    pairs = [(mine[one.name], other[one.name]) for mine, other in zip(dense, sparse)]
    pairs.sort(key=lambda pair: pair[1] / (pair[0] or 1))
    return Trial(one.name, *pairs[3 * len(pairs) // 4])


def pays(dense: Lane, sparse: Lane, *, clock: Clock) -> bool:
    """Whether whole passes were the faster sparse, in three of four pairs, beyond their scatter."""
    theirs, ours = time_rounds([dense, sparse], rounds=PAIRS, clock=clock)
    ratios = sorted(mine / (other or 1) for mine, other in zip(ours, theirs))
    return ratios[3 * len(ratios) // 4] < PAYS


def fallen_back(found: Sequence[Trial]) -> list[Trial]:
    """The trials of maps that all stay dense, since the whole path does not pay."""
    return [replace(trial, reason=NO_GAIN) if trial.faster else trial for trial in found]


@dataclass(frozen=True)
class Tried:
    """The trials of a model's maps on several pieces of its work, and the maps that sparse won on all."""

    pieces: tuple[tuple[Trial, ...], ...]
    sparse: frozenset[str]

    @property
    def last(self) -> tuple[Trial, ...]:
        """The trials on the last of the pieces."""
        return self.pieces[-1]


@contextmanager
def faster(model: nn.Module, *pieces: Callable[[], object]) -> Iterator[Tried]:
    """Try the model's maps on pieces of its work; inside the block each takes its faster way.

    Sparse has to be the faster on every piece. Where no map can be sparse nothing is run, and the
    trials say why.
    """
    maps = linear_maps(model)
    sparse = sparse_products(maps)
    found = [[Trial(one.name, 0.0, None, unfit(one)) for one in maps] for _ in pieces]
    if sparse:
        dense = {one.name: products.usual(one.module) for one in maps if not one.stacked}
        found = [trials(piece, maps, dense, sparse) for piece in pieces]
    won = [{trial.name for trial in some if trial.faster} for some in found]
    taken = set.intersection(*won)
    own = {one.module: sparse[one.name] for one in maps if one.name in taken}
    if own:
        without = {one.module: dense[one.name] for one in maps if not one.stacked}
        lanes = (
            Lane(partial(products.multiplying, one), pieces[-1]) for one in (without, without | own)
        )
        if not pays(*lanes, clock=perf_counter):
            own, taken, found = {}, set(), [fallen_back(some) for some in found]
    tried = Tried(tuple(map(tuple, found)), frozenset(taken))
    with products.multiplying(own):
        yield tried
