"""Latency: milliseconds of a forward pass, dense, masked and sparse.

Threads are pinned, and every path's weights placed in memory anew for every round. Dense and masked
multiply in the modes that tried fastest here; a path's first call, of the sparse path with every layer
sparse, is kept apart, and its outputs are compared before the rounds that are reported; no trial supplies
a number of the model. Reads the clock; nothing else may run meanwhile.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.func import functional_call

from experiments.errors import ReportError
from experiments.models.family import DECODER, family
from experiments.models.opening import OpenModel
from experiments.pruning.choosing import choose
from experiments.pruning.open_weights import prunable_tensors
from experiments.pruning.settings import Settings
from experiments.records.latency import Latency, LatencyRow, LayerTrial
from experiments.speed import semi_structured, sparse_path
from experiments.speed.linear_maps import LinearMap
from experiments.speed.paths import Path, PrunedModel, Shape, TimedModel
from experiments.speed.sparse_path import Trial
from experiments.speed.stopwatch import Clock, Timing, first_calls, time_rounds

ROUNDS = 12  # in which each of three paths has had every place in the turn alike often
TOLERANCE = 1e-3  # of the largest output: a path that differs by more computes something else
SENTENCES = ((1, 32), (8, 32))
A_TOKEN = (1, 1)  # as a model that writes is given it, but for the attention to what came before


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
    shapes: Sequence[tuple[int, int]] = (),
    threads: int = 1,
    rounds: int = ROUNDS,
    clock: Clock = perf_counter,
) -> Latency:
    """Time dense, masked and sparse in turn, level by level, at every (batch, tokens) shape.

    Where no shapes are asked they are the usual ones: sentences, and of a model that writes one token.
    Leaves the model as it was. Holds one level's weights at a time beside the model's own.

    Raises:
        ReportError: where a path's outputs are no numbers, or not those of the same weights in torch.
    """
    shapes = shapes or usual_shapes(opened)
    timed: list[Timed] = []
    trials: list[LayerTrial] = []
    pruned = [level for level in levels if level > 0]
    with torch.inference_mode(), pinned(threads):
        if pruned:
            sparse_path.compile_ahead()  # no part of a first call, as torch's own loops are none
        model = TimedModel(opened, shapes, clock=clock)
        if not pruned:
            for shape in shapes:
                timed += _time(model, [model.path(shape)], shape, rounds)
        tensors = prunable_tensors(opened.model)
        for level, choice in zip(pruned, choose(tensors, settings, pruned) if pruned else []):
            at = PrunedModel(model, level, model.masked(choice))
            for shape in shapes:
                times, tried = _level(at, shape, rounds)
                timed += times
                trials += tried
        on_gpu, skipped = semi_structured.measure(opened, model.inputs, clock=clock)
    rows = [_row(shape, path, level, timed, threads) for shape in shapes
            for level, path in _order(levels)]  # fmt: skip
    return Latency(
        method=settings.method,
        dense_by="; ".join(dict.fromkeys(model.modes.values())),
        rows=(*rows, *on_gpu),
        trials=tuple(trials),
        skipped=skipped,
    )


def usual_shapes(opened: OpenModel) -> tuple[tuple[int, int], ...]:
    """A sentence alone and eight together; of a decoder one token too."""
    writes = family(opened.checkpoint)[0] == DECODER
    return (*SENTENCES, A_TOKEN) if writes else SENTENCES


def _order(levels: Sequence[float]) -> Iterator[tuple[float, str]]:
    """(level, path) as rows stand: dense, then every level masked and sparse."""
    yield 0.0, "dense"
    for level in levels:
        if level > 0:
            yield level, "masked"
            yield level, "sparse"


def _level(at: PrunedModel, shape: Shape, rounds: int) -> tuple[list[Timed], list[LayerTrial]]:
    """One level at one shape: every path's times, and what the layers were tried at.

    A sparse path on which no map skips its zeros is the masked one, whose rounds then stand for both.

    Raises:
        ReportError: where the sparse path gained twice in turn more than its zeros allow.
    """
    model = at.model
    first = [model.path(shape), at.masked(shape), at.sparse(shape)]
    cold = [seconds for seconds, _ in first_calls(model.lanes(first, shape), clock=model.clock)]
    trials = at.trials(shape)
    taken = any(trial.faster for trial in trials)
    paths = [*first[:2], *([at.sparse(shape, trials)] if taken else [])]
    for again in (True, False):
        timed = _time(model, paths, shape, rounds, cold)
        if not taken:
            masked = timed[1]
            timing = replace(masked.timing, cold=cold[2])
            timed.append(replace(masked, path="sparse", timing=timing))
        ratio, interval = timed[2].timing.ratio(timed[0].timing)
        if interval is None or interval[0] <= at.most:
            break
        if not again:
            raise ReportError(
                f"{model.opened.checkpoint.name}, sparse path at level {at.level:g}",
                f"at most {at.most:.2f} times dense's speed, found {ratio:.2f}",
                "some dense arithmetic is faster here than those that were tried; please report it",
            )
    return timed, [_trial(one, trial, at.level, shape) for one, trial in zip(at.maps, trials)]


def _time(
    model: TimedModel,
    paths: Sequence[Path],
    shape: Shape,
    rounds: int,
    cold: Sequence[float] = (),
) -> list[Timed]:
    """The paths' times in turn, after their outputs were compared with plain torch's."""
    lanes = model.lanes(paths, shape)
    cold = cold or [seconds for seconds, _ in first_calls(lanes, clock=model.clock)]
    differences = []
    for path, lane in zip(paths, lanes):
        with lane.within():
            outputs = lane.call()
        inputs = model.inputs[shape]
        differences.append(_difference(model.opened, inputs, path.weights, path.name, outputs))
    times = time_rounds(lanes, rounds=rounds, clock=model.clock)
    timings = [Timing(first, seconds) for first, seconds in zip(cold, times)]
    return [
        Timed(path.level, path.name, shape, timing, timings[0], difference)
        for path, timing, difference in zip(paths, timings, differences)
    ]


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


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Run with this many threads, torch's and those of numpy's BLAS, then with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
