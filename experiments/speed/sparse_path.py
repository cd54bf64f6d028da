"""The sparse path: an open model's prunable linear maps, each by the way that was measured faster.

A global level leaves layers of very different density, so each is timed dense and sparse where it
stands, within passes of the whole model, and takes the faster. Reads the clock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from experiments.models import products
from experiments.models.coverage import prunable_parameters
from experiments.models.products import Product
from experiments.speed import sparse_linear
from experiments.speed.sparse_linear import SparseWeight
from experiments.speed.stopwatch import Clock, turn

PASSES = 5
WORTH = 0.95  # of dense time at most: a gain within the noise of trials is none
NO_ZEROS = "no weight is zero"
UNCALLED = "its module is not called"


@dataclass(frozen=True)
class LinearMap:
    """A prunable linear map of an open model: its tensor's name and role, its module, its weights."""

    name: str
    role: str
    module: nn.Module
    weight: Tensor


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
        return self.sparse is not None and self.sparse < WORTH * self.dense

    @property
    def fastest(self) -> float:
        """The seconds of the way it takes."""
        return self.sparse if self.sparse is not None and self.faster else self.dense


def linear_maps(model: nn.Module) -> list[LinearMap]:
    """The prunable linear maps in canonical order."""
    return [
        LinearMap(
            entry.name, entry.role, model.get_submodule(entry.name.rpartition(".")[0]), weight
        )
        for entry, weight in prunable_parameters(model)
    ]


def unfit(one: LinearMap) -> str:
    """Why the sparse product cannot take a map's place; empty where it can."""
    weight = one.weight
    if not products.plain(one.module):
        return products.own_forward(one.module)
    if weight.device.type != "cpu":
        return f"on {weight.device.type}, the sparse product is for processors"
    if weight.dtype != torch.float32:
        return f"{str(weight.dtype).removeprefix('torch.')}, the sparse product is of float32"
    if weight.ndim != 2 or not weight.numel():
        return f"of shape {tuple(weight.shape)}, no matrix"
    return NO_ZEROS if bool(weight.all()) else ""


def sparse_product(module: nn.Module, weight: Tensor) -> Product:
    """The sparse product of a linear map's weights, laid out as the module's own."""
    rows = weight.t() if isinstance(module, Conv1D) else weight
    held = sparse_linear.sparse_weight(rows.detach().numpy())
    bias: Any = module.bias
    return partial(_multiply, held, None if bias is None else bias.detach().numpy())


def _multiply(held: SparseWeight, bias: sparse_linear.Floats | None, inputs: Tensor) -> Tensor:
    if inputs.dtype != torch.float32:
        raise ValueError(f"{inputs.dtype} inputs to a sparse product of float32")
    if inputs.requires_grad and torch.is_grad_enabled():
        raise ValueError("a gradient asked of a sparse product, which has none")
    given = inputs.detach() if inputs.requires_grad else inputs
    threads = torch.get_num_threads()
    outputs = sparse_linear.multiply(held, given.numpy(), bias, threads=threads)
    if threads > 1 and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)  # numba's pool, when it is made, resets what both share
    return torch.from_numpy(outputs)


def compile_ahead() -> None:
    """Have the loops ready that a product runs on as many threads as there are now.

    They are compiled, or fetched from numba's cache, when they are first called.
    """
    held = sparse_linear.sparse_weight(np.ones((1, 1), np.float32))
    _multiply(held, None, torch.ones(1, 1))


def sparse_products(maps: Sequence[LinearMap]) -> dict[str, Product]:
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
    clock from one to the next. Where a map is called several times in a pass its times add up.
    """
    ways = [dict(dense), {**dense, **sparse}]
    seconds: list[list[dict[str, float]]] = [[], []]
    for number in range(passes + 1):
        for way in turn(len(ways), number):
            spent: dict[str, float] = {}
            timed = {
                one.module: _timed(one.name, ways[way][one.name], spent, clock) for one in maps
            }
            with products.multiplying(timed):
                call()
            if number:
                seconds[way].append(spent)
    return [_trial(one, *seconds, fit=one.name in sparse) for one in maps]


def _trial(
    one: LinearMap,
    dense: Sequence[Mapping[str, float]],
    sparse: Sequence[Mapping[str, float]],
    *,
    fit: bool,
) -> Trial:
    if one.name not in dense[0]:
        return Trial(one.name, 0.0, None, UNCALLED)
    if not fit:
        return Trial(one.name, median(spent[one.name] for spent in dense), None, unfit(one))
    pairs = [(mine[one.name], other[one.name]) for mine, other in zip(dense, sparse)]
    pairs.sort(key=lambda pair: pair[1] / (pair[0] or 1))
    return Trial(one.name, *pairs[3 * len(pairs) // 4])


def _timed(
    name: str, product: Callable[..., Any], spent: dict[str, float], clock: Clock
) -> Callable[..., Any]:
    def multiply(*inputs: Any, **named: Any) -> Any:
        start = clock()
        outputs = product(*inputs, **named)
        spent[name] = spent.get(name, 0.0) + clock() - start
        return outputs

    return multiply


def chosen(
    maps: Sequence[LinearMap], found: Sequence[Trial], sparse: Mapping[str, Product]
) -> dict[nn.Module, Product]:
    """The sparse products of the maps for which they were the faster."""
    return {one.module: sparse[one.name] for one, trial in zip(maps, found) if trial.faster}


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
        dense = {one.name: products.of(one.module) for one in maps}
        found = [trials(piece, maps, dense, sparse) for piece in pieces]
    won = [{trial.name for trial in some if trial.faster} for some in found]
    tried = Tried(tuple(map(tuple, found)), frozenset(set.intersection(*won)))
    own = {one.module: sparse[one.name] for one in maps if one.name in tried.sparse}
    with products.multiplying(own):
        yield tried
