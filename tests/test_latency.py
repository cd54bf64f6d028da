"""Latency: with a clock that the test turns, so that every number is known beforehand."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from experiments.checkpoint.folder import Checkpoint
from experiments.latency import measure, pinned, random_inputs
from experiments.models import OpenModel, open_model
from experiments.open_weights import prunable_tensors
from experiments.provenance import usable_cores
from experiments.pruning import Settings
from experiments.stopwatch import Lane, Timing, first_calls, time_rounds

Saved = Callable[..., Path]


class Stage:
    """Lanes that take as long as they are told to, on a clock of their own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.played: list[str] = []

    def lane(self, name: str, *seconds: float) -> Lane:
        costs = itertools.chain(seconds, itertools.repeat(seconds[-1]))

        def prepare() -> None:
            self.played.append(f"prepare {name}")
            self.now += 100  # never timed

        def call() -> None:
            self.played.append(name)
            self.now += next(costs)

        return Lane(prepare, call)

    def time(self, *lanes: Lane, rounds: int) -> list[Timing]:
        first = first_calls(lanes, clock=lambda: self.now)
        later = time_rounds(lanes, rounds=rounds, clock=lambda: self.now)
        return [Timing(cold, seconds) for (cold, _), seconds in zip(first, later)]


def test_a_cold_first_call_is_shown_apart_from_the_median() -> None:
    stage = Stage()
    (timing,) = stage.time(stage.lane("a", 10, 1, 1, 1, 1), rounds=4)
    assert (timing.cold, timing.median) == (10, 1)
    assert timing.rounds == (1, 1, 1, 1)  # nor does the preparation count


def test_the_call_after_a_preparation_warms_up_and_is_not_timed() -> None:
    stage = Stage()
    (timing,) = stage.time(stage.lane("a", 9, 5, 1, 5, 1, 5, 1), rounds=3)
    assert timing.rounds == (1, 1, 1)


def test_lanes_take_turns_and_the_order_alternates() -> None:
    stage = Stage()
    stage.time(stage.lane("a", 1), stage.lane("b", 1), rounds=3)
    calls = [name for name in stage.played if not name.startswith("prepare")]
    assert calls == ["a", "b", *"aabb", *"bbaa", *"aabb"]
    prepared = [name[-1] for name in stage.played if name.startswith("prepare")]
    assert prepared == ["a", "b", *"ab", *"ba", *"ab"]


def test_a_ratio_is_the_median_of_rounds_not_the_ratio_of_medians() -> None:
    dense, ours = Timing(1, (2, 4, 9)), Timing(1, (1, 4, 3))
    assert ours.ratio(dense) == (2, None)  # of 2, 1 and 3; the medians' ratio is 4/3
    assert dense.ratio(ours)[0] == 0.5


def test_a_ratios_interval_is_of_order_statistics() -> None:
    dense = Timing(1, tuple(range(1, 21)))
    ratio, interval = Timing(1, (1,) * 20).ratio(dense)
    assert (ratio, interval) == (10.5, (6.0, 15.0))  # the 6th and 15th of 20


def test_quantiles_are_of_the_rounds() -> None:
    timing = Timing(99, tuple(range(11)))
    assert (timing.quantile(0.1), timing.median, timing.quantile(0.9)) == (1, 5, 9)


@pytest.fixture(params=["GPT-2", "LED"])
def opened(saved: Saved, request: pytest.FixtureRequest) -> OpenModel:
    return open_model(Checkpoint("tiny", saved(request.param)))


def test_every_path_runs_its_own_weights_and_dense_ones_are_put_back(opened: OpenModel) -> None:
    tensors = prunable_tensors(opened.model)
    before = {name: weight.clone() for name, weight in opened.model.state_dict().items()}
    count, seen = sum(tensor.weights.size for tensor in tensors), []

    def look(*_: object) -> None:
        seen.append(sum(int((tensor.weights == 0).sum()) for tensor in tensors))

    handle = opened.model.register_forward_pre_hook(look)
    ticks = itertools.count()
    found = measure(
        opened,
        Settings(),
        [0.0, 0.5, 0.9],
        shapes=[(1, 5), (3, 5)],
        rounds=7,
        clock=lambda: next(ticks),
    )
    handle.remove()
    zeros = [0, round(0.5 * count), round(0.9 * count)]
    compared = 3 * 2  # functional calls, while the last path's weights are in place
    calls = dict.fromkeys(zeros, (len(seen) - compared) // 3)
    calls[zeros[-1]] += compared
    assert {number: seen.count(number) for number in zeros} == calls
    after = opened.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [(row.level, row.path, row.batch, row.tokens) for row in found.rows] == [
        (level, "masked" if level else "dense", batch, 5)
        for batch in (1, 3)
        for level in (0, 0.5, 0.9)
    ]
    for row in found.rows:
        assert row.cold_ms == row.median_ms == row.p10_ms == row.p90_ms == 1000.0
        assert (row.ratio, row.rounds, row.threads) == (1.0, 7, 1)
        assert row.ratio_interval == ((1.0, 1.0) if row.level else None)
        assert row.max_abs_difference == 0.0


def test_first_calls_come_before_the_comparison_and_that_before_the_rounds(
    opened: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def clock() -> float:
        events.append("tick")
        return float(len(events))

    def compared(*_: object) -> float:
        events.append("compare")
        return 0.0

    monkeypatch.setattr("experiments.latency._difference", compared)
    measure(opened, Settings(), [0.5], shapes=[(1, 4)], rounds=2, clock=clock)
    paths, calls = 2, 2
    assert events == ["tick", "tick"] * paths + ["compare"] * paths + ["tick"] * 2 * paths * calls


def test_inputs_are_fixed_never_padding_and_start_a_decoder(opened: OpenModel) -> None:
    inputs = random_inputs(opened, 4, 20)
    again = random_inputs(opened, 4, 20)
    assert inputs["input_ids"].shape == (4, 20)
    assert all(torch.equal(inputs[name], again[name]) for name in inputs)
    assert int((inputs["input_ids"] == 0).sum()) == 0
    assert int(inputs["attention_mask"].sum()) == 80
    two_sided = opened.model.config.is_encoder_decoder
    assert ("decoder_input_ids" in inputs) is two_sided
    if two_sided:
        assert inputs["decoder_input_ids"].tolist() == [[2]] * 4
        assert inputs["global_attention_mask"].sum(dim=1).tolist() == [1] * 4


def test_threads_are_pinned_and_given_back_even_after_a_failure() -> None:
    before, inside = torch.get_num_threads(), []

    @pinned(before + 1)
    def fails() -> None:
        inside.append(torch.get_num_threads())
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    assert (inside, torch.get_num_threads()) == ([before + 1], before)


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("200000 100000\n", 2),  # a container's quota of two on a host of eight
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("max 100000\n", 8),
        ("nonsense", 8),
        (None, 8),
    ],
)
def test_usable_cores_are_those_of_the_containers_quota(
    content: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    if content is not None:
        (tmp_path / "cpu.max").write_text(content)
    assert usable_cores(tmp_path / "cpu.max") == cores
