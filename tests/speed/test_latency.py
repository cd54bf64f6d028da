"""Latency: with a clock that the test turns, so that every number is known beforehand."""

import copy
import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from families import FAMILIES, MARKS
from stage import Stage
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models import products
from experiments.models.opening import OpenModel, open_model
from experiments.models.products import Product
from experiments.pruning.choosing import choose
from experiments.pruning.open_weights import prunable_tensors, prune_in_place
from experiments.pruning.settings import Settings
from experiments.quality.intervals import median_interval
from experiments.records.latency import LatencyRow
from experiments.speed import dense_path, paths, semi_structured, sparse_path
from experiments.speed.latency import measure, pinned
from experiments.speed.linear_maps import linear_maps
from experiments.speed.paths import random_inputs
from experiments.speed.sparse_path import Trial
from experiments.speed.stopwatch import time_rounds, turn

Saved = Callable[..., Path]


MODES = dict(products.MODES)
WIDE = {"GPT-2": {"initializer_range": 0.3}, "LED": {"init_std": 0.3}}
NO_GPU = "2:4: it needs a GPU that CUDA knows, found none"


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(params=["GPT-2", "LED"])
def opened(saved: Saved, request: pytest.FixtureRequest) -> OpenModel:
    return open_model(Checkpoint("tiny", saved(request.param, **WIDE[request.param])))


@pytest.fixture
def gpt2(saved: Saved) -> OpenModel:
    return open_model(Checkpoint("tiny", saved("GPT-2", **WIDE["GPT-2"])))


@pytest.fixture(autouse=True)
def one_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense products are torch's own, so that no passes are made to find the fastest."""
    monkeypatch.setattr(products, "MODES", {"torch": products.by_torch})


@pytest.fixture
def all_sparse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer that can be sparse takes the sparse product, however long it and whole passes took."""
    monkeypatch.setattr(sparse_path, "WORTH", math.inf)
    monkeypatch.setattr(sparse_path, "PAYS", math.inf)
    monkeypatch.setattr(sparse_path, "PAIRS", 2)


class Acting:
    """A sparse product that does something besides."""

    def __init__(self, multiply: Product) -> None:
        self.multiply = multiply

    def __call__(self, inputs: Tensor) -> Tensor:
        return self.multiply(inputs)

    def placed(self) -> "Acting":
        return self


def taking(stage: Stage, seconds: float, product: Product) -> Product:
    """The same product, for which so many seconds pass on a stage's clock."""

    def multiply(inputs: Tensor) -> Tensor:
        stage.now += seconds
        return product(inputs)

    return multiply


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Dense products take 2 seconds, 3 where weights are zero; sparse ones 1, those of 16 by 16 four.

    Whole passes count for nothing.
    """
    stage = Stage()
    monkeypatch.setattr(sparse_path, "PAYS", math.inf)
    sparse = sparse_path.sparse_product

    def dense_taking(part: nn.Module, tokens: int) -> Product:
        return taking(stage, 2 if part.weight.all() else 3, part.forward)

    def sparse_taking(part: nn.Module, weight: Tensor) -> Acting:
        return Acting(taking(stage, 4 if weight.shape == (16, 16) else 1, sparse(part, weight)))

    monkeypatch.setattr(paths, "plain_maps", linear_maps)  # heads take no time
    monkeypatch.setattr(products, "MODES", {"torch": dense_taking})
    monkeypatch.setattr(products, "by_torch", dense_taking)
    monkeypatch.setattr(sparse_path, "sparse_product", sparse_taking)
    return stage


def pruned(opened: OpenModel, level: float) -> nn.Module:
    """A model of its own with the smallest weights of all blocks zero, the first of equal ones first."""
    model = copy.deepcopy(opened.model)
    names = [
        f"{name}.weight"
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear | Conv1D)
        and any(word.isdecimal() for word in name.split("."))
    ]
    weights = [model.get_parameter(name).data for name in sorted(names)]
    flat = torch.cat([weight.flatten() for weight in weights])
    flat[flat.abs().argsort(stable=True)[: round(level * flat.numel())]] = 0
    for weight, part in zip(weights, flat.split([weight.numel() for weight in weights])):
        weight.copy_(part.view_as(weight))
    return model


class Untouched:
    """What a model must be like after it was measured."""

    def __init__(self, opened: OpenModel) -> None:
        self.model = opened.model
        self.before = {name: weight.clone() for name, weight in self.model.state_dict().items()}

    def check(self) -> None:
        after = self.model.state_dict()
        assert list(after) == list(self.before)
        assert all(torch.equal(after[name], self.before[name]) for name in after)
        assert not any("forward" in vars(part) for part in self.model.modules())


@pytest.mark.usefixtures("all_sparse")
def test_every_path_runs_its_own_weights_and_the_model_stays_as_it_was(opened: OpenModel) -> None:
    """Told by what every pass of the model gave: the outputs of plain torch at one level or another."""
    untouched, seen = Untouched(opened), []
    levels, shape = (0, 0.5, 0.9), (2, 8)
    inputs = random_inputs(opened, *shape)
    with torch.inference_mode():
        plain = [pruned(opened, level)(**inputs).logits for level in levels]
    for one, other in itertools.combinations(plain, 2):
        assert (one - other).abs().max() > 0.01, "outputs that are all alike would show nothing"
    handle = opened.model.register_forward_hook(lambda *given: seen.append(given[2][0].clone()))
    measure(opened, Settings(), levels, shapes=[shape], rounds=2)
    handle.remove()
    passes = [0, 1, 1]  # first calls: dense, masked, sparse
    passes += [1] * 2 * (1 + sparse_path.PASSES)  # trials: pruned, both ways
    passes += [0, 0, 1, 1, 1, 1, 0, 0]  # two pairs of whole passes, dense and sparse
    passes += [0, 0, 1, 1, 1, 1]  # each path, and plain torch to compare it with
    passes += [0, 0, 1, 1, 1, 1, *[1, 1, 1, 1, 0, 0]]  # two rounds of two calls, in turn and back
    expected = [plain[level * is_pruned] for level in (1, 2) for is_pruned in passes]
    assert len(seen) == len(expected)
    assert all(torch.allclose(*pair, atol=1e-4) for pair in zip(seen, expected))
    untouched.check()


@pytest.mark.parametrize(
    ("levels", "pruned_levels"),
    [([0.0, 0.5, 0.9], [0.5, 0.9]), ([0.9, 0.5], [0.9, 0.5]), ([0.5, 0.0], [0.5])],
)
def test_rows_stand_shape_by_shape_dense_first_then_level_by_level_masked_and_sparse(
    levels: list[float], pruned_levels: list[float], gpt2: OpenModel, staged: Stage
) -> None:
    shapes = [(3, 5), (1, 5)]
    found = measure(gpt2, Settings(), levels, shapes=shapes, rounds=2, clock=staged.clock)
    assert [(row.batch, row.tokens, row.level, row.path) for row in found.rows] == [
        (*shape, level, path)
        for shape in shapes
        for level, path in [
            (0.0, "dense"),
            *((level, path) for level in pruned_levels for path in ("masked", "sparse")),
        ]
    ]
    assert list(dict.fromkeys(trial.level for trial in found.trials)) == pruned_levels


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("GPT-2", [(1, 32), (8, 32), (1, 1)]),
        ("LED", [(1, 32), (8, 32)]),
        ("BERT", [(1, 32), (8, 32)]),
    ],
)
def test_only_a_model_that_writes_is_timed_on_one_token_where_no_shapes_are_asked(
    name: str, shapes: list[tuple[int, int]], saved: Saved
) -> None:
    longer = {
        "LED": {"max_encoder_position_embeddings": 64},
        "BERT": {"max_position_embeddings": 64},
    }
    opened = open_model(Checkpoint("tiny", saved(name, **longer.get(name, {"n_positions": 64}))))
    found = measure(opened, Settings(), [], rounds=1)
    assert [(row.batch, row.tokens) for row in found.rows] == shapes


@pytest.mark.parametrize(
    ("name", "dense", "masked", "sparse", "first"),
    [
        # Two blocks of four maps, of which the attention's output is small.
        ("GPT-2", 8 * 2, 8 * 3, 2 * (3 + 3 * 1), 2 * (4 + 3 * 1)),
        # Seven small maps in each of two blocks, eight in a third, and two others in every block.
        ("LED", 28 * 2, 28 * 3, 2 * (7 * 3 + 2 * 1) + (8 * 3 + 2 * 1),
         2 * (7 * 4 + 2 * 1) + (8 * 4 + 2 * 1)),
    ],
)  # fmt: skip
def test_a_pass_takes_what_its_layers_take_and_every_layer_its_faster_way(
    name: str, dense: int, masked: int, sparse: int, first: int, saved: Saved, staged: Stage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    opened = open_model(Checkpoint("tiny", saved(name, **WIDE[name])))
    untouched = Untouched(opened)
    found = measure(opened, Settings(), [0.5, 0.9], shapes=[(2, 8)], rounds=7, clock=staged.clock)
    untouched.check()
    seconds = {"dense": dense, "masked": masked, "sparse": sparse}
    assert len(found.rows) == 5
    for row in found.rows:
        expected = 1000 * seconds[row.path]
        assert row.median_ms == row.p10_ms == row.p90_ms == expected
        assert row.cold_ms == (1000 * first if row.path == "sparse" else expected)
        ratio = dense / seconds[row.path]
        assert row.ratio == ratio
        assert row.ratio_interval == ((ratio, ratio) if row.level else None)
        assert row.rounds == (7 if row.level else 14)  # dense of both levels' rounds
        assert 0 <= row.max_abs_difference < 1e-3
    assert (found.method, found.dense_by) == ("magnitude", "torch")


def test_where_whole_passes_are_no_faster_every_layer_is_dense_and_says_so(
    saved: Saved, staged: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sparse, two maps of a block are faster than masked ones, but dense ones are faster than all."""
    monkeypatch.setattr(sparse_path, "PAYS", 0.98)
    opened = open_model(Checkpoint("tiny", saved("LED", **WIDE["LED"])))
    found = measure(opened, Settings(), [0.5], shapes=[(2, 8)], rounds=7, clock=staged.clock)
    assert {trial.reason for trial in found.trials if trial.sparse_ms == 1000} == {
        "it was the faster, but whole passes were not"
    }
    assert not any(trial.sparse for trial in found.trials)
    dense, masked, sparse = found.rows
    assert (dense.median_ms, masked.median_ms, sparse.median_ms) == (56000, 84000, 84000)


def test_more_than_the_zeros_allow_is_timed_again_and_then_refused(
    gpt2: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the weights are zero, and sparse products take a third of the time."""
    stage, sparse, turns = Stage(), sparse_path.sparse_product, []

    def timed(*given: Any, **named: Any) -> list[tuple[float, ...]]:
        turns.append(len(given[0]))
        return time_rounds(*given, **named)

    monkeypatch.setattr(paths, "plain_maps", linear_maps)
    dense = {"torch": lambda part, tokens: taking(stage, 3, part.forward)}
    monkeypatch.setattr(products, "MODES", dense)
    monkeypatch.setattr("experiments.speed.latency.time_rounds", timed)
    for seconds in (1.5, 1):
        monkeypatch.setattr(
            sparse_path,
            "sparse_product",
            lambda part, weight: Acting(taking(stage, seconds, sparse(part, weight))),  # noqa: B023
        )
        ask = partial(measure, gpt2, Settings(), [0.5], shapes=[(1, 4)], rounds=7)
        if seconds == 1.5:
            assert ask(clock=stage.clock).rows[-1].ratio == 2.0
            assert turns == [3]
            continue
        with pytest.raises(ReportError, match=r"at most 2\.00 times dense's speed, found 3\.00"):
            ask(clock=stage.clock)
        assert turns == [3, 3, 3]


def test_every_layer_level_and_shape_has_a_trial_with_its_density(
    opened: OpenModel, staged: Stage
) -> None:
    levels, shapes = (0.5, 0.9), ((1, 8), (2, 8))
    found = measure(opened, Settings(), levels, shapes=shapes, rounds=1, clock=staged.clock)
    maps = [one.name for one in linear_maps(opened.model)]
    assert [(trial.level, trial.batch, trial.tokens, trial.name) for trial in found.trials] == [
        (level, *shape, name) for level in levels for shape in shapes for name in maps
    ]
    own = {level: dict(pruned(opened, level).named_parameters()) for level in levels}
    for trial in found.trials:
        weight = own[trial.level][trial.name]
        assert trial.density == int((weight != 0).sum()) / weight.numel()
        small = weight.shape == (16, 16)
        assert (trial.dense_ms, trial.sparse_ms) == (3000, 4000 if small else 1000)
        assert trial.sparse is not small
        assert trial.reason == ""
        assert trial.role


def test_a_level_within_each_layer_leaves_every_layer_the_same_density(gpt2: OpenModel) -> None:
    found = measure(gpt2, Settings(scope="layer"), [0.75], shapes=[(1, 5)], rounds=1)
    assert [trial.density for trial in found.trials] == [0.25] * 8


def test_a_layer_of_which_nothing_was_removed_is_dense_and_says_why(
    gpt2: OpenModel, staged: Stage
) -> None:
    """One layer's weights are all larger than those of the others: they are the last to go."""
    with torch.no_grad():
        largest = gpt2.model.transformer.h[0].mlp.c_fc.weight
        largest.copy_(torch.where(largest < 0, largest - 5, largest + 5))
    found = measure(gpt2, Settings(), [0.3], shapes=[(1, 5)], rounds=1, clock=staged.clock)
    by_name = {trial.name: trial for trial in found.trials}
    trial = by_name["transformer.h.0.mlp.c_fc.weight"]
    assert (trial.dense_ms, trial.sparse_ms, trial.sparse) == (2000, None, False)
    assert (trial.density, trial.reason) == (1.0, "no weight is zero")
    assert [row.median_ms for row in found.rows] == [16000, 23000, 13000]


@pytest.mark.parametrize("levels", [[], [0.0], [0.0, 0.0]])
def test_where_nothing_is_pruned_the_dense_row_stands_alone(
    levels: list[float], opened: OpenModel, staged: Stage
) -> None:
    untouched = Untouched(opened)
    found = measure(opened, Settings(), levels, shapes=[(1, 8)], rounds=7, clock=staged.clock)
    ((row,), seconds) = found.rows, {"gpt2": 16, "led": 56}[opened.model.config.model_type]
    assert (row.path, row.level, row.rounds, row.ratio) == ("dense", 0.0, 7, 1.0)
    assert (row.median_ms, row.ratio_interval) == (1000 * seconds, None)
    assert found.trials == ()
    untouched.check()


def test_a_ratio_is_of_its_own_levels_rounds_and_dense_times_are_of_all(
    gpt2: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine gets three times slower after the first level: no ratio may show it."""
    stage, speeds, tried = Stage(), iter([1.0, 3.0]), sparse_path.trials
    seconds = 1.0

    def trials(*given: Any, **named: Any) -> list[Trial]:
        nonlocal seconds
        found, seconds = tried(*given, **named), next(speeds)
        return found

    def work(*_: object) -> None:
        stage.now += seconds

    monkeypatch.setattr(sparse_path, "trials", trials)
    gpt2.model.register_forward_pre_hook(work)
    found = measure(gpt2, Settings(), [0.5, 0.9], shapes=[(1, 5)], rounds=7, clock=stage.clock)
    assert [row.ratio for row in found.rows] == [1.0] * 5
    assert [row.median_ms for row in found.rows] == [2000, 1000, 1000, 3000, 3000]
    dense = found.rows[0]
    assert (dense.rounds, dense.p10_ms, dense.p90_ms) == (14, 1000, 3000)
    assert dense.cold_ms == 1000
    assert [row.rounds for row in found.rows[1:]] == [7] * 4


def test_a_first_call_that_is_slow_is_shown_apart_from_the_median(
    gpt2: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass takes a second, and every dense product 50 more when it is first used."""
    stage = Stage()

    def warming(part: nn.Module, tokens: int) -> Product:
        product, costs = part.forward, iter([50])

        def multiply(inputs: Tensor) -> Tensor:
            stage.now += next(costs, 0)
            return product(inputs)

        return multiply

    def work(*_: object) -> None:
        stage.now += 1

    gpt2.model.register_forward_pre_hook(work)
    monkeypatch.setattr(products, "MODES", {"torch": warming})
    monkeypatch.setattr(products, "by_torch", warming)
    for levels in ([], [0.5]):
        found = measure(gpt2, Settings(), levels, shapes=[(1, 5)], rounds=7, clock=stage.clock)
        for row in found.rows:
            warmed = 1 if row.path == "sparse" else 9  # products of its blocks are others
            first = warmed * 50 + 1
            assert (row.cold_ms, row.median_ms) == (1000 * first, 1000)
            assert row.p10_ms == row.p90_ms == row.median_ms


def test_first_calls_come_before_the_comparison_and_that_before_the_rounds(
    opened: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    tried = sparse_path.trials

    def clock() -> float:
        events.append("tick")
        return float(len(events))

    def compared(*_: object) -> float:
        events.append("compare")
        return 0.0

    def trials(*given: Any, **named: Any) -> list[Trial]:
        assert events == ["tick", "tick"] * paths
        found = tried(*given, **named)
        events[:] = ["trials"]
        return found

    monkeypatch.setattr("experiments.speed.latency._difference", compared)
    monkeypatch.setattr(sparse_path, "trials", trials)
    paths, rounds = 3, 2
    found = measure(opened, Settings(), [0.5], shapes=[(1, 4)], rounds=rounds, clock=clock)
    assert not any(trial.sparse for trial in found.trials)  # by this clock all take alike
    paths = 2
    assert events == ["trials", *["compare"] * paths, *["tick", "tick"] * paths * rounds]
    _, masked, sparse = found.rows
    assert replace(sparse, path="masked", cold_ms=masked.cold_ms) == masked


@pytest.mark.usefixtures("all_sparse")
@pytest.mark.parametrize("path", ["dense", "masked", "sparse"])
def test_a_path_that_computes_something_else_is_refused_by_name_before_any_round(
    path: str, opened: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = sparse_path.sparse_product

    def wrong(product: Product) -> Product:
        return lambda inputs: 1.5 * product(inputs)

    def dense_or_wrong(part: nn.Module, tokens: int) -> Product:
        masked = not part.weight.all()
        return wrong(part.forward) if path == ("masked" if masked else "dense") else part.forward

    def sparse_or_wrong(part: nn.Module, weight: Tensor) -> Acting:
        product = sparse(part, weight)
        return Acting(wrong(product) if path == "sparse" else product)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("rounds were timed first")

    assert all(one.weight.all() for one in linear_maps(opened.model))
    monkeypatch.setattr(paths, "plain_maps", linear_maps)  # a head may have zeros of its own
    monkeypatch.setattr(products, "MODES", {"torch": dense_or_wrong})
    monkeypatch.setattr(products, "by_torch", dense_or_wrong)
    monkeypatch.setattr(sparse_path, "sparse_product", sparse_or_wrong)
    monkeypatch.setattr("experiments.speed.latency.time_rounds", refuse)
    untouched = Untouched(opened)
    with pytest.raises(
        ReportError,
        match=rf"tiny, {path} path: expected the outputs of plain torch, found them [0-9.]+ apart",
    ):
        measure(opened, Settings(), [0.9], shapes=[(2, 8)])
    untouched.check()


@pytest.mark.usefixtures("all_sparse")
def test_a_path_that_differs_in_its_last_bits_is_let_pass_and_the_difference_is_said(
    gpt2: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = sparse_path.sparse_product
    monkeypatch.setattr(
        sparse_path,
        "sparse_product",
        lambda part, weight: Acting(lambda inputs: sparse(part, weight)(inputs) * (1 + 1e-5)),
    )
    found = measure(gpt2, Settings(), [0.9], shapes=[(2, 8)], rounds=1)
    _, masked, ours = found.rows
    assert masked.max_abs_difference < ours.max_abs_difference < 1e-3


@pytest.mark.usefixtures("all_sparse")
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("levels", [[], [0.9]])
def test_outputs_that_are_no_numbers_are_refused(
    levels: list[float], value: float, gpt2: OpenModel
) -> None:
    with torch.no_grad():
        gpt2.model.transformer.ln_f.bias[0] = value
    with pytest.raises(ReportError, match="tiny: expected finite outputs, found NaN or infinity"):
        measure(gpt2, Settings(), levels, shapes=[(1, 5)], rounds=1)


@pytest.mark.usefixtures("all_sparse")
def test_a_sparse_product_that_gives_no_numbers_is_refused(
    gpt2: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = sparse_path.sparse_product
    monkeypatch.setattr(
        sparse_path,
        "sparse_product",
        lambda part, weight: Acting(lambda inputs: sparse(part, weight)(inputs) * math.nan),
    )
    untouched = Untouched(gpt2)
    with pytest.raises(ReportError, match="tiny: expected finite outputs, found NaN or infinity"):
        measure(gpt2, Settings(), [0.9], shapes=[(1, 5)], rounds=1)
    untouched.check()


def test_a_level_has_twelve_rounds_in_which_places_are_shared_out_alike(gpt2: OpenModel) -> None:
    """Of twelve the median's interval is from the third to the tenth: 1 - 2 * 79 / 4096 = 0.961."""
    stage = Stage()

    def work(*_: object) -> None:
        stage.now += 0.5

    gpt2.model.register_forward_pre_hook(work)
    for levels in ([], [0.5]):
        found = measure(gpt2, Settings(), levels, shapes=[(1, 4)], clock=stage.clock)
        assert {row.rounds for row in found.rows} == {12}
        assert {row.median_ms for row in found.rows} == {500}
    for lanes in (2, 3):
        turns = [turn(lanes, number) for number in range(12)]
        for place in range(lanes):
            there = Counter(one[place] for one in turns)
            assert set(there.values()) == {12 // lanes}
    assert median_interval(range(1, 13)) == (3, 10)


def test_what_cannot_be_measured_here_says_why(gpt2: OpenModel) -> None:
    found = measure(gpt2, Settings(), [0.5], shapes=[(1, 4)], rounds=1)
    assert found.skipped == (NO_GPU,)
    assert {row.path for row in found.rows} == {"dense", "masked", "sparse"}


def test_rows_of_a_gpu_stand_last(gpt2: OpenModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_gpu(
        opened: OpenModel, inputs: Mapping[tuple[int, int], Mapping[str, Tensor]], *, clock: Any
    ) -> tuple[list[LatencyRow], tuple[str, ...]]:
        assert opened is gpt2
        return [
            LatencyRow(
                level=0.5, path="2:4", batch=batch, tokens=tokens, threads=1, rounds=1, cold_ms=1,
                median_ms=1, p10_ms=1, p90_ms=1, ratio=1, ratio_interval=None,
                max_abs_difference=float(asked["input_ids"].numel()),
            )
            for (batch, tokens), asked in inputs.items()
        ], ()  # fmt: skip

    monkeypatch.setattr(semi_structured, "measure", on_gpu)
    found = measure(gpt2, Settings(), [], shapes=[(1, 4), (2, 3)], rounds=1)
    assert [
        (row.path, row.batch, row.tokens, row.max_abs_difference) for row in found.rows[2:]
    ] == [
        ("2:4", 1, 4, 4.0),
        ("2:4", 2, 3, 6.0),
    ]
    assert [row.path for row in found.rows[:2]] == ["dense", "dense"]
    assert found.skipped == ()


@pytest.mark.usefixtures("all_sparse")
@pytest.mark.parametrize("mode", products.modes(nn.Linear(1, 1)))
def test_by_a_clock_of_this_machine(
    mode: str, opened: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "MODES", {"torch": products.by_torch, mode: MODES[mode]})
    monkeypatch.setattr(dense_path, "fastest", lambda lanes, **_: mode)
    untouched = Untouched(opened)
    found = measure(opened, Settings(), [0.9], shapes=[(2, 8)], rounds=2)
    untouched.check()
    for row in found.rows:
        assert row.threads == 1
        assert 0 < row.p10_ms <= row.median_ms <= row.p90_ms
        assert row.cold_ms > 0
        assert row.max_abs_difference < 1e-3
    assert all(trial.sparse for trial in found.trials)
    assert found.dense_by == mode


@pytest.mark.usefixtures("all_sparse")
def test_every_pass_runs_on_as_many_threads_as_its_row_says(gpt2: OpenModel) -> None:
    before, seen = torch.get_num_threads(), set()
    gpt2.model.register_forward_pre_hook(lambda *_: seen.add(torch.get_num_threads()))
    for threads in (1, 2):
        seen.clear()
        found = measure(gpt2, Settings(), [0.9], shapes=[(1, 4)], threads=threads, rounds=1)
        assert seen == {row.threads for row in found.rows} == {threads}
        assert torch.get_num_threads() == before


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


@pytest.mark.parametrize(
    ("family", "name"),
    [("BART", "BartForSequenceClassification"), ("T5", "T5ForSequenceClassification")],
)
def test_a_classifier_that_reads_the_end_mark_is_timed(
    family: str, name: str, tmp_path: Path
) -> None:
    """It refuses rows that differ in end marks, and feeds its decoder itself."""
    kind = getattr(transformers, name)
    config = kind.config_class(**MARKS | FAMILIES[family].settings)
    torch.manual_seed(0)
    opened = OpenModel(Checkpoint(name, tmp_path), kind(config).eval())
    ids = random_inputs(opened, 5, 20)["input_ids"]
    assert (ids == 3).sum(dim=1).tolist() == [1] * 5
    assert (ids[:, -1].tolist(), int((ids == 0).sum())) == ([3] * 5, 0)
    found = measure(opened, Settings(), [0.5], shapes=[(2, 8)], rounds=2)
    assert [row.path for row in found.rows] == ["dense", "masked", "sparse"]


def test_threads_are_pinned_and_given_back_even_after_a_failure() -> None:
    before, inside = torch.get_num_threads(), []

    @pinned(before + 1)
    def fails() -> None:
        inside.append(torch.get_num_threads())
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    assert (inside, torch.get_num_threads()) == ([before + 1], before)


SMALL = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3,
}  # fmt: skip
# Models of transformers whose linear maps are not read by a plain forward alone: routers that derive
# from a linear map and give several outputs, a weight multiplied outside of its module, a block's
# weights shared by modules that differ.
UNUSUAL = {
    "PhimoeForCausalLM": ("PhimoeConfig", {"num_local_experts": 4}),
    "Llama4ForCausalLM": (
        "Llama4TextConfig", {"intermediate_size_mlp": 48, "head_dim": 8, "num_local_experts": 2}
    ),
    "FalconForCausalLM": ("FalconConfig", {}),
    "MambaForCausalLM": ("MambaConfig", {"state_size": 8}),
    "ZambaForCausalLM": (
        "ZambaConfig",
        {"num_hidden_layers": 6, "attn_layer_period": 3, "attn_layer_offset": 2,
         "mamba_d_state": 8, "n_mamba_heads": 2},
    ),
}  # fmt: skip


@pytest.mark.usefixtures("all_sparse")
@pytest.mark.filterwarnings("ignore")  # of kernels that are not installed
@pytest.mark.parametrize("name", UNUSUAL)
def test_every_path_runs_its_own_weights_however_a_model_reads_them(
    name: str, tmp_path: Path
) -> None:
    config, own = UNUSUAL[name]
    torch.manual_seed(0)
    model = getattr(transformers, name)(getattr(transformers, config)(**SMALL | own))
    for weight in model.parameters():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.3)
    opened = OpenModel(Checkpoint(name, tmp_path), model.eval())
    untouched, inputs, seen = Untouched(opened), random_inputs(opened, 2, 8), []
    tensors = prunable_tensors(model)
    (choice,) = choose(tensors, Settings(), [0.9])
    zeroed = copy.deepcopy(model)
    prune_in_place(prunable_tensors(zeroed), choice)
    with torch.inference_mode():
        plain = [one(**inputs).logits for one in (model, zeroed)]
    assert (plain[0] - plain[1]).abs().max() > 0.01, "outputs that are alike would show nothing"
    handle = model.register_forward_hook(lambda *given: seen.append(given[2][0].clone()))
    found = measure(opened, Settings(), [0.9], shapes=[(2, 8)], rounds=2)
    handle.remove()
    untouched.check()
    expected = [0, 1, 1, *[1] * 2 * (1 + sparse_path.PASSES)]
    if any(trial.sparse for trial in found.trials):
        expected += [0, 0, 1, 1, 1, 1, 0, 0]
        expected += [0, 0, 1, 1, 1, 1]
        expected += [0, 0, 1, 1, 1, 1, *[1, 1, 1, 1, 0, 0]]
    else:  # the sparse path is the masked one
        expected += [0, 0, 1, 1]
        expected += [0, 0, 1, 1, *[1, 1, 0, 0]]
    assert len(seen) == len(expected)
    for outputs, which in zip(seen, expected):
        assert torch.allclose(outputs, plain[which], atol=1e-3)
    for trial in found.trials:
        assert trial.sparse is (trial.sparse_ms is not None)
        if ".experts." in trial.name:
            assert (
                trial.reason == "a stack of experts, which stays dense and is not timed by itself"
            )
            continue
        assert trial.sparse or trial.reason.partition(" ")[2] in (
            "has a forward of its own",
            "module is not called",
        )
