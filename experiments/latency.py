"""Latency: milliseconds of a forward pass, dense and masked.

Threads are pinned; a path's first call is kept apart and its outputs compared before the rounds that
are reported. Reads the clock; nothing else may run meanwhile.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from experiments.coverage import prunable_parameters
from experiments.errors import ReportError
from experiments.feeding import attention_to_first, position_tables
from experiments.models import OpenModel
from experiments.open_weights import prunable_tensors
from experiments.pruning import Settings, choose
from experiments.records import Latency, LatencyRow
from experiments.stopwatch import Clock, Lane, Timing, first_calls, time_rounds

ROUNDS = 31
SHAPES = ((1, 32), (8, 32))
Weights = Mapping[str, Tensor]


def measure(
    opened: OpenModel,
    settings: Settings,
    levels: Sequence[float],
    *,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    threads: int = 1,
    rounds: int = ROUNDS,
    clock: Clock = perf_counter,
) -> Latency:
    """Time dense and every level's masked weights at every (batch, tokens) shape.

    Leaves the model's weights as they were.
    """
    in_place = {entry.name: tensor for entry, tensor in prunable_parameters(opened.model)}
    dense = {name: tensor.clone() for name, tensor in in_place.items()}
    paths = [(0.0, dense), *_masked(opened, settings, [level for level in levels if level > 0])]
    rows: list[LatencyRow] = []
    with torch.inference_mode(), pinned(threads):
        for batch, tokens in shapes:
            inputs = random_inputs(opened, batch, tokens)
            call = partial(opened.model, **inputs)
            lanes = [Lane(partial(_put, in_place, weights), call) for _, weights in paths]
            first = first_calls(lanes, clock=clock)
            differences = [
                _difference(opened, inputs, weights, outputs)
                for (_, weights), (_, outputs) in zip(paths, first)
            ]
            times = time_rounds(lanes, rounds=rounds, clock=clock)
            timings = [Timing(cold, seconds) for (cold, _), seconds in zip(first, times)]
            for (level, _), timing, difference in zip(paths, timings, differences):
                ratio, interval = timing.ratio(timings[0])
                rows.append(
                    LatencyRow(
                        level=level,
                        path="masked" if level else "dense",
                        batch=batch,
                        tokens=tokens,
                        threads=threads,
                        rounds=rounds,
                        cold_ms=1000 * timing.cold,
                        median_ms=1000 * timing.median,
                        p10_ms=1000 * timing.quantile(0.1),
                        p90_ms=1000 * timing.quantile(0.9),
                        ratio=ratio,
                        ratio_interval=interval if level else None,
                        max_abs_difference=difference,
                    )
                )
    _put(in_place, dense)
    return Latency(method=settings.method, rows=tuple(rows))


def _masked(
    opened: OpenModel, settings: Settings, levels: Sequence[float]
) -> Sequence[tuple[float, Weights]]:
    """Each level's weights: dense storage with zeros where the level removes."""
    tensors = prunable_tensors(opened.model)
    weights = {entry.name: tensor for entry, tensor in prunable_parameters(opened.model)}
    found = []
    for level, choice in zip(levels, choose(tensors, settings, levels)):
        masks = {t.entry.name: torch.from_numpy(choice.mask(t)) for t in tensors}
        kept = {name: weights[name].masked_fill(~mask, 0) for name, mask in masks.items()}
        found.append((level, kept))
    return found


def _put(in_place: Weights, weights: Weights) -> None:
    for name, tensor in in_place.items():
        tensor.copy_(weights[name])


def _difference(
    opened: OpenModel, inputs: Mapping[str, Tensor], weights: Weights, outputs: Any
) -> float:
    """The largest difference between a path's outputs and the same weights' called functionally."""
    if not torch.isfinite(outputs[0]).all():
        raise ReportError(
            opened.checkpoint.name, "finite outputs, found NaN or infinity", "inspect its weights"
        )
    theirs = functional_call(opened.model, dict(weights), kwargs=dict(inputs))
    return float((outputs[0] - theirs[0]).abs().max())


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
        start = config.decoder_start_token_id
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
