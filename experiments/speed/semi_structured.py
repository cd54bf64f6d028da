"""2:4 sparsity on a GPU: the one pattern whose zeros hardware skips, by core torch's own kernels.

Runs a copy of a model in half precision on the GPU where there is one; says why not elsewhere. Reads
the clock.
"""

import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.sparse import to_sparse_semi_structured
from transformers.pytorch_utils import Conv1D

from experiments.errors import ReportError, UsageError
from experiments.models import products
from experiments.models.opening import OpenModel
from experiments.models.products import Product
from experiments.pruning.choosing import choose
from experiments.pruning.open_weights import prunable_tensors
from experiments.pruning.settings import Settings
from experiments.records.latency import LatencyRow
from experiments.speed.linear_maps import linear_maps
from experiments.speed.stopwatch import Clock, Lane, Timing, first_calls, time_rounds

PATTERN, LEVEL = "2:4", 0.5
CAPABILITY = (8, 0)  # Ampere, the first that has it
ROUNDS = 31
TOLERANCE = 1e-2  # of the largest output, in half precision
Inputs = Mapping[str, Tensor]


def missing() -> str:
    """Why 2:4 cannot be run here; empty where it can."""
    if not torch.cuda.is_available():
        return "it needs a GPU that CUDA knows, found none"
    if (found := torch.cuda.get_device_capability()) < CAPABILITY:
        return f"it needs compute capability 8.0, found {found[0]}.{found[1]}"
    return ""


def measure(
    opened: OpenModel,
    inputs: Mapping[tuple[int, int], Inputs],
    *,
    clock: Clock,
    on: str = "cuda",
    rounds: int = ROUNDS,
) -> tuple[list[LatencyRow], tuple[str, ...]]:
    """Time 2:4 against dense, both in half precision, at every (batch, tokens); or say why not.

    Raises:
        ReportError: where the outputs are not those of the same weights run densely.
    """
    reason = missing()
    try:
        masked = {} if reason else _masked(opened)
    except UsageError as error:  # an input dimension that is no multiple of four
        reason = str(error)
    if reason:
        return [], (f"{PATTERN}: {reason}",)
    model: Any = copy.deepcopy(opened.model)
    model = model.half().to(on)
    maps = linear_maps(model)
    for one in maps:
        if not products.plain(one.module):
            return [], (f"{PATTERN}: {one.name}, {products.own_forward(one.module)}",)
    rows: dict[str, Tensor] = {}
    for one in maps:
        weight = masked[one.name].half().to(on)
        rows[one.name] = weight.t().contiguous() if isinstance(one.module, Conv1D) else weight
    zeroed = {one.module: _product(one.module, rows[one.name]) for one in maps}
    packed: dict[nn.Module, Product] = {}
    for one in maps:
        try:
            held = to_sparse_semi_structured(rows[one.name])
        except (RuntimeError, ValueError) as error:  # a shape its kernels do not take
            why = (str(error).splitlines() or [type(error).__name__])[0]
            return [], (f"{PATTERN}: {one.name}, {why}",)
        packed[one.module] = _product(one.module, held)
    found = []
    with torch.inference_mode():
        for shape, asked in inputs.items():
            there = {name: tensor.to(on) for name, tensor in asked.items()}
            lanes = [_lane(model, own, there, on) for own in ({}, zeroed, packed)]
            first = first_calls(lanes, clock=clock)
            difference = _difference(opened, first[1][1], first[2][1])
            times = time_rounds(lanes, rounds=rounds, clock=clock)
            dense, _, sparse = (Timing(cold, some) for (cold, _), some in zip(first, times))
            found.append(_row(shape, sparse, dense, difference))
    return found, ()


def _masked(opened: OpenModel) -> dict[str, Tensor]:
    """The prunable weights, half of every four the smallest of them zero."""
    tensors = prunable_tensors(opened.model)
    (choice,) = choose(tensors, Settings(pattern=PATTERN), [LEVEL])
    return {tensor.entry.name: torch.from_numpy(choice.after(tensor)) for tensor in tensors}


def _product(module: nn.Module, weight: Tensor) -> Product:
    bias: Any = module.bias
    return lambda inputs: nn.functional.linear(inputs, weight, bias)


def _lane(model: nn.Module, own: Mapping[nn.Module, Product], inputs: Inputs, on: str) -> Lane:
    wait: Callable[[], object] = torch.cuda.synchronize if on == "cuda" else lambda: None

    def within() -> AbstractContextManager[None]:
        wait()
        return products.multiplying(own)

    def call() -> Any:
        outputs = model(**inputs)
        wait()
        return outputs

    return Lane(within, call)


def _difference(opened: OpenModel, theirs: Any, ours: Any) -> float:
    difference = float((ours[0] - theirs[0]).abs().max())
    if not difference <= TOLERANCE * float(theirs[0].abs().max()):
        raise ReportError(
            f"{opened.checkpoint.name}, {PATTERN} path",
            f"the outputs of the same weights run densely, found them {difference:.3g} apart",
            "do not trust its times; please report it",
        )
    return difference


def _row(shape: tuple[int, int], sparse: Timing, dense: Timing, difference: float) -> LatencyRow:
    ratio, interval = sparse.ratio(dense)
    return LatencyRow(
        level=LEVEL,
        path=PATTERN,
        batch=shape[0],
        tokens=shape[1],
        threads=torch.get_num_threads(),
        rounds=len(sparse.rounds),
        cold_ms=1000 * sparse.cold,
        median_ms=1000 * sparse.median,
        p10_ms=1000 * sparse.quantile(0.1),
        p90_ms=1000 * sparse.quantile(0.9),
        ratio=ratio,
        ratio_interval=interval,
        max_abs_difference=difference,
    )
