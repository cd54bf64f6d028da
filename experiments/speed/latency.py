"""Latency: milliseconds of a forward pass, dense, masked and sparse.

Threads are pinned; a path's first call, of the sparse path with every layer sparse, is kept apart, and
its outputs are compared before the rounds that are reported; the trials that choose a layer's way supply
no number of the model. Reads the clock; nothing else may run meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from experiments.errors import ReportError
from experiments.models import products
from experiments.models.feeding import attention_to_first, position_tables
from experiments.models.opening import OpenModel
from experiments.models.products import Product
from experiments.pruning.choosing import Choice, Settings, choose
from experiments.pruning.open_weights import prunable_tensors
from experiments.records.latency import Latency, LatencyRow, LayerTrial
from experiments.speed import semi_structured, sparse_path
from experiments.speed.sparse_path import LinearMap, Trial
from experiments.speed.stopwatch import Clock, Lane, Timing, first_calls, time_rounds

ROUNDS = 31
LEAST_ROUNDS = 11  # the fewest whose median has an interval of order statistics with some room
PATIENCE = (
    30.0  # seconds for the rounds of one level and shape, where fewer than ROUNDS take longer
)
TOLERANCE = 1e-3  # of the largest output: a path that differs by more computes something else
SHAPES = ((1, 32), (8, 32))
PATHS = ("dense", "masked", "sparse")
Own = Mapping[nn.Module, Product]
Way = tuple[float, str, Own]  # level, name, and how the linear maps multiply


@dataclass(frozen=True)
class Timed:
    """What one path took at one level and shape."""

    level: float
    path: str
    shape: tuple[int, int]
    timing: Timing
    dense: Timing
    difference: float


def measure(
    opened: OpenModel,
    settings: Settings,
    levels: Sequence[float],
    *,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    threads: int = 1,
    rounds: int | None = None,
    clock: Clock = perf_counter,
) -> Latency:
    """Time dense, masked and sparse in turn, level by level, at every (batch, tokens) shape.

    Leaves the model as it was. Holds one level's weights at a time beside the model's own.

    Raises:
        ReportError: where a path's outputs are no numbers, or not those of the same weights in torch.
    """
    maps = sparse_path.linear_maps(opened.model)
    timed: list[Timed] = []
    trials: list[LayerTrial] = []
    run = partial(_level, opened, maps, shapes=shapes, rounds=rounds, clock=clock)
    pruned = [level for level in levels if level > 0]
    with torch.inference_mode(), pinned(threads):
        if not pruned:
            timed += run(0.0, {one.name: one.weight for one in maps})[0]
        else:
            sparse_path.compile_ahead()  # no part of a first call, as torch's own loops are none
        tensors = prunable_tensors(opened.model)
        for level, choice in zip(pruned, choose(tensors, settings, pruned) if pruned else []):
            some, tried = run(level, _masked(opened, maps, choice))
            timed += some
            trials += tried
        inputs = {shape: random_inputs(opened, *shape) for shape in shapes}
        on_gpu, skipped = semi_structured.measure(opened, inputs, clock=clock)
    rows = [_row(shape, path, level, timed, threads) for shape in shapes
            for level, path in _order(levels)]  # fmt: skip
    return Latency(
        method=settings.method,
        dense_by=products.name(opened.model),
        rows=(*rows, *on_gpu),
        trials=tuple(trials),
        skipped=skipped,
    )


def _order(levels: Sequence[float]) -> Iterator[tuple[float, str]]:
    """(level, path) as rows stand: dense, then every level masked and sparse."""
    yield 0.0, "dense"
    for level in levels:
        if level > 0:
            yield level, "masked"
            yield level, "sparse"


def _masked(opened: OpenModel, maps: Sequence[LinearMap], choice: Choice) -> dict[str, Tensor]:
    """A level's weights: dense storage with zeros where the level removes."""
    masks = {t.entry.name: torch.from_numpy(choice.mask(t)) for t in prunable_tensors(opened.model)}
    return {one.name: one.weight.masked_fill(~masks[one.name], 0) for one in maps}


def _level(
    opened: OpenModel,
    maps: Sequence[LinearMap],
    level: float,
    weights: Mapping[str, Tensor],
    *,
    shapes: Sequence[tuple[int, int]],
    rounds: int | None,
    clock: Clock,
) -> tuple[list[Timed], list[LayerTrial]]:
    """One level at every shape: every path's times, and what the layers were tried at."""
    pruned = [replace(one, weight=weights[one.name]) for one in maps]
    held = sparse_path.sparse_products(pruned) if level else {}
    timed: list[Timed] = []
    tried: list[LayerTrial] = []
    for shape in shapes:
        inputs = random_inputs(opened, *shape)
        call: Callable[[], Any] = partial(opened.model, **inputs)
        dense = {one.module: _fixed(one, shape) for one in maps}
        paths: list[Way] = [(0.0, "dense", dense)]
        if level:
            masked = {one.module: _fixed(one, shape) for one in pruned}
            every = {one.module: held[one.name] for one in pruned if one.name in held}
            paths += [(level, "masked", masked), (level, "sparse", masked | every)]
        lanes = _lanes(opened, weights, paths, inputs)
        cold = [seconds for seconds, _ in first_calls(lanes, clock=clock)]
        if level:
            by_name = {one.name: masked[one.module] for one in pruned}
            with _holding(opened.model, weights):
                found = sparse_path.trials(call, pruned, by_name, held, clock=clock)
            tried += [_trial(one, trial, level, shape) for one, trial in zip(pruned, found)]
            paths[-1] = level, "sparse", masked | sparse_path.chosen(pruned, found, held)
        differences, times = _time(opened, maps, weights, paths, inputs, rounds, clock)
        timings = [Timing(first, seconds) for first, seconds in zip(cold, times)]
        timed += [
            Timed(at, path, shape, timing, timings[0], difference)
            for (at, path, _), timing, difference in zip(paths, timings, differences)
        ]
    return timed, tried


def _fixed(one: LinearMap, shape: tuple[int, int]) -> Product:
    return products.fixed(one.module, one.weight, tokens=shape[0] * shape[1])


@contextmanager
def _holding(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the model's parameters of these names hold these weights, after it as before.

    A level's weights are so in force wherever the model reads them, not in a module's product alone.
    """
    parameters = {name: model.get_parameter(name) for name in weights}
    before = {name: parameter.data for name, parameter in parameters.items()}
    try:
        for name, parameter in parameters.items():
            parameter.data = weights[name]
        yield
    finally:
        for name, parameter in parameters.items():
            parameter.data = before[name]


@contextmanager
def _within(model: nn.Module, weights: Mapping[str, Tensor], own: Own) -> Iterator[None]:
    with _holding(model, weights), products.multiplying(own):
        yield


def _lanes(
    opened: OpenModel,
    weights: Mapping[str, Tensor],
    paths: Sequence[Way],
    inputs: Mapping[str, Tensor],
) -> list[Lane]:
    """What runs the model by each path: dense with its own weights, the others with the level's."""
    call = partial(opened.model, **inputs)
    return [
        Lane(partial(_within, opened.model, weights if level else {}, own), call)
        for level, _, own in paths
    ]


def _time(
    opened: OpenModel,
    maps: Sequence[LinearMap],
    weights: Mapping[str, Tensor],
    paths: Sequence[Way],
    inputs: Mapping[str, Tensor],
    rounds: int | None,
    clock: Clock,
) -> tuple[list[float], list[tuple[float, ...]]]:
    """How far the paths' outputs are from plain torch's, then their seconds in turn."""
    lanes = _lanes(opened, weights, paths, inputs)
    own = {one.name: one.weight for one in maps}
    differences = []
    for (level, path, _), lane in zip(paths, lanes):
        with lane.within():
            outputs = lane.call()
        differences.append(_difference(opened, inputs, weights if level else own, path, outputs))
    rounds = rounds or _affordable(lanes, clock)
    return differences, time_rounds(lanes, rounds=rounds, clock=clock)


def _affordable(lanes: Sequence[Lane], clock: Clock) -> int:
    """How many rounds there is patience for, judged by one more call of each lane."""
    seconds = sum(seconds for seconds, _ in first_calls(lanes, clock=clock))
    return int(np.clip(PATIENCE / max(2 * seconds, 1e-9), LEAST_ROUNDS, ROUNDS))


def _difference(
    opened: OpenModel,
    inputs: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    path: str,
    outputs: Any,
) -> float:
    """The largest difference between a path's outputs and the same weights' in plain torch."""
    if not torch.isfinite(outputs[0]).all():
        raise ReportError(
            opened.checkpoint.name, "finite outputs, found NaN or infinity", "inspect its weights"
        )
    theirs = functional_call(opened.model, dict(weights), kwargs=dict(inputs))
    difference = float((outputs[0] - theirs[0]).abs().max())
    if not difference <= TOLERANCE * float(theirs[0].abs().max()):
        raise ReportError(
            f"{opened.checkpoint.name}, {path} path",
            f"the outputs of plain torch, found them {difference:.3g} apart",
            "do not trust its times; please report it",
        )
    return difference


def _trial(one: LinearMap, trial: Trial, level: float, shape: tuple[int, int]) -> LayerTrial:
    return LayerTrial(
        name=one.name,
        role=one.role,
        level=level,
        batch=shape[0],
        tokens=shape[1],
        density=int(torch.count_nonzero(one.weight)) / one.weight.numel(),
        dense_ms=round(1000 * trial.dense, 4),
        sparse_ms=None if trial.sparse is None else round(1000 * trial.sparse, 4),
        sparse=trial.faster,
        reason=trial.reason,
    )


def _row(
    shape: tuple[int, int], path: str, level: float, timed: Sequence[Timed], threads: int
) -> LatencyRow:
    """A path's row: of its own level's rounds, dense of all there are."""
    some = [one for one in timed if (one.shape, one.path, one.level) == (shape, path, level)]
    together = Timing(
        some[0].timing.cold, tuple(time for one in some for time in one.timing.rounds)
    )
    ratio, interval = some[0].timing.ratio(some[0].dense)
    return LatencyRow(
        level=level,
        path=path,
        batch=shape[0],
        tokens=shape[1],
        threads=threads,
        rounds=len(together.rounds),
        cold_ms=1000 * together.cold,
        median_ms=1000 * together.median,
        p10_ms=1000 * together.quantile(0.1),
        p90_ms=1000 * together.quantile(0.9),
        ratio=ratio,
        ratio_interval=interval if level else None,
        max_abs_difference=max(one.difference for one in some),
    )


def random_inputs(opened: OpenModel, batch: int, tokens: int) -> dict[str, Tensor]:
    """Token ids drawn with a fixed seed, shape (batch, tokens); a decoder gets one start token.

    Raises:
        ReportError: where the model has no place for so many tokens.
    """
    config = opened.model.config
    if tokens > (most := min(position_tables(opened), default=tokens)):
        raise ReportError(
            f"{opened.checkpoint.name}, {tokens} tokens", f"at most {most}", "ask for fewer"
        )
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, config.vocab_size, (batch, tokens), generator=generator)
    ids[ids == config.pad_token_id] = 0 if config.pad_token_id else 1
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if config.is_encoder_decoder:
        start = getattr(config, "decoder_start_token_id", None) or 0
        inputs["decoder_input_ids"] = torch.full((batch, 1), start)
    return inputs | attention_to_first(opened, ids)


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Run with this many torch threads, then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
