"""2:4 without a GPU: the reason where there is none, and the logic with products that only pretend."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.opening import OpenModel, open_model
from experiments.models.products import Product
from experiments.records.latency import LatencyRow
from experiments.speed import semi_structured
from experiments.speed.paths import random_inputs

Saved = Callable[..., Path]
NO_GPU = "it needs a GPU that CUDA knows, found none"


class Packed(Tensor):
    """A weight whose linear map takes a second, on a clock of its own."""

    now = 0.0

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], kinds: object, given: Any = (), named: Any = None
    ) -> Any:
        if function is nn.functional.linear:
            Packed.now += 1
        with torch._C.DisableTorchFunctionSubclass():
            return function(*given, **(named or {}))


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """A machine that can: what is packed there, in order."""
    seen: list[Tensor] = []

    def pack(weight: Tensor) -> Tensor:
        seen.append(weight)
        return weight.as_subclass(Packed)

    monkeypatch.setattr(semi_structured, "missing", lambda: "")
    monkeypatch.setattr(semi_structured, "to_sparse_semi_structured", pack)
    monkeypatch.setattr(Packed, "now", 0.0)
    return seen


@pytest.fixture
def opened(saved: Saved) -> OpenModel:
    return open_model(Checkpoint("tiny", saved("GPT-2", initializer_range=0.2)))


def measured(
    opened: OpenModel, *, rounds: int = 7, shapes: tuple[tuple[int, int], ...] = ((2, 5),)
) -> tuple[list[LatencyRow], tuple[str, ...]]:
    """The rows and reasons where a pass takes 4 seconds, and every packed product one more."""

    def work(*_: object) -> None:
        Packed.now += 4

    inputs = {shape: random_inputs(opened, *shape) for shape in shapes}
    handle = opened.model.register_forward_pre_hook(work)
    try:
        return semi_structured.measure(
            opened, inputs, clock=lambda: Packed.now, on="cpu", rounds=rounds
        )
    finally:
        handle.remove()


@pytest.mark.parametrize(
    ("capability", "reason"),
    [
        (None, NO_GPU),
        ((7, 5), "it needs compute capability 8.0, found 7.5"),
        ((8, 0), ""),
        ((8, 9), ""),
        ((9, 0), ""),
        ((12, 0), ""),
    ],
)
def test_a_gpu_can_from_ampere_on(
    capability: tuple[int, int] | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert semi_structured.missing() == reason


def test_without_a_gpu_nothing_runs_and_the_reason_is_said(
    opened: OpenModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it ran")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("choose", "to_sparse_semi_structured", "first_calls", "time_rounds"):
        monkeypatch.setattr(semi_structured, name, refuse)
    opened.model.register_forward_pre_hook(refuse)
    assert semi_structured.measure(opened, {}, clock=refuse) == ([], (f"2:4: {NO_GPU}",))
    assert measured(opened) == ([], (f"2:4: {NO_GPU}",))


def test_an_input_dimension_that_is_no_multiple_of_four_is_said(
    saved: Saved, packed: list[Tensor]
) -> None:
    opened = open_model(Checkpoint("tiny", saved("GPT-2", n_embd=18)))
    rows, (reason,) = measured(opened)
    assert rows == packed == []
    assert reason.startswith("2:4: pattern 2:4: expected input dimensions divisible by 4, ")
    assert "has 18" in reason


def test_a_shape_that_the_kernels_do_not_take_is_said_with_its_layer(
    opened: OpenModel, packed: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (RuntimeError, ValueError):

        def fails(weight: Tensor, error: type[Exception] = error) -> Tensor:
            if weight.shape == (64, 16):
                raise error("Only dimensions divisible by 32\nand a long advice")
            return weight

        monkeypatch.setattr(semi_structured, "to_sparse_semi_structured", fails)
        assert measured(opened) == (
            [],
            ("2:4: transformer.h.0.mlp.c_fc.weight, Only dimensions divisible by 32",),
        )


@pytest.mark.parametrize(
    ("name", "settings", "start"),
    [
        ("GPT-2", {"initializer_range": 0.2}, "transformer.h."),
        ("BERT", {"initializer_range": 0.2}, "bert.encoder.layer."),
        ("T5", {}, ("encoder.block.", "decoder.block.")),
    ],
)
def test_the_two_largest_of_every_four_along_the_input_are_packed_in_half_precision(
    name: str, settings: dict[str, float], start: Any, saved: Saved, packed: list[Tensor]
) -> None:
    opened = open_model(Checkpoint("tiny", saved(name, **settings)))
    found, skipped = measured(opened, rounds=1)
    assert (len(found), skipped) == (1, ())
    maps = {
        place: part
        for place, part in opened.model.named_modules()
        if isinstance(part, nn.Linear | Conv1D) and place.startswith(start)
    }
    assert len(packed) == len(maps)
    for place, weight in zip(sorted(maps), packed):
        own = maps[place].weight.detach()
        own = own.t() if isinstance(maps[place], Conv1D) else own  # outputs × inputs
        assert weight.dtype == torch.float16
        assert weight.is_contiguous()
        assert weight.shape == own.shape
        fours, kept = own.reshape(-1, 4), weight.float().reshape(-1, 4)
        assert (kept == 0).sum(dim=1).tolist() == [2] * len(fours)
        assert torch.equal(kept[kept != 0], fours[kept != 0])  # tiny weights are of float16
        two_largest = fours.abs().topk(2).values
        assert torch.equal(kept.abs().topk(2).values, two_largest)


def test_rows_stand_for_every_shape_with_dense_time_over_its_own(
    opened: OpenModel, packed: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four seconds of a dense pass, and eight packed products; those of masked weights take long."""
    product = semi_structured._product

    def long_unless_packed(module: nn.Module, weight: Tensor) -> Product:
        def multiply(inputs: Tensor) -> Tensor:
            Packed.now += 0 if isinstance(weight, Packed) else 1000
            return product(module, weight)(inputs)

        return multiply

    monkeypatch.setattr(semi_structured, "_product", long_unless_packed)
    found, skipped = measured(opened, shapes=((1, 5), (3, 4)))
    assert skipped == ()
    assert [(row.path, row.level, row.batch, row.tokens) for row in found] == [
        ("2:4", 0.5, 1, 5),
        ("2:4", 0.5, 3, 4),
    ]
    for row in found:
        assert row.cold_ms == row.median_ms == row.p10_ms == row.p90_ms == 12000
        assert (row.rounds, row.threads) == (7, torch.get_num_threads())
        assert row.ratio == pytest.approx(4 / 12)
        assert row.ratio_interval == pytest.approx((4 / 12, 4 / 12))
        assert row.max_abs_difference == 0


def in_half(opened: OpenModel, inputs: dict[str, Tensor], *, pruned: bool) -> Tensor:
    """The outputs of plain torch in half precision, half of every four weights zero or none."""
    model = copy.deepcopy(opened.model).half()
    with torch.inference_mode():
        for part in model.modules():
            if pruned and isinstance(part, Conv1D):  # inputs × outputs
                fours = part.weight.t().reshape(-1, 4)
                fours = fours.scatter(1, fours.abs().topk(2, largest=False).indices, 0)
                part.weight.copy_(fours.view(*part.weight.shape[::-1]).t())
        return model(**inputs).logits


def test_every_path_runs_its_own_weights_in_a_copy_and_the_model_stays_as_it_was(
    opened: OpenModel, packed: list[Tensor]
) -> None:
    before = {name: weight.clone() for name, weight in opened.model.state_dict().items()}
    inputs = random_inputs(opened, 2, 5)
    dense, pruned = (in_half(opened, inputs, pruned=which) for which in (False, True))
    seen: list[Tensor] = []

    def look(model: nn.Module, _: object, outputs: Any) -> None:
        assert model is not opened.model
        seen.append(outputs.logits.clone())

    handle = opened.model.register_forward_hook(look)
    measured(opened, rounds=2)
    handle.remove()
    assert not torch.allclose(dense, pruned, atol=0.1)
    lanes = [dense, pruned, pruned]
    rounds = [lane for lane in (*lanes, *lanes[::-1]) for _ in range(2)]  # in turn, and back
    assert len(seen) == len(lanes + rounds)
    assert all(torch.allclose(*pair, atol=0.01) for pair in zip(seen, lanes + rounds))
    after = opened.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any("forward" in vars(part) for part in opened.model.modules())


@pytest.mark.parametrize(("factor", "told"), [(1.5, r"[0-9.]+ apart"), (float("nan"), "nan apart")])
def test_outputs_that_are_not_those_of_the_same_weights_are_refused(
    factor: float, told: str, opened: OpenModel, packed: list[Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(
        semi_structured, "to_sparse_semi_structured", lambda weight: weight * factor
    )
    with pytest.raises(
        ReportError,
        match=f"tiny, 2:4 path: expected the outputs of the same weights run densely, .*{told}",
    ):
        measured(opened)


def test_outputs_are_compared_before_the_rounds(
    opened: OpenModel, packed: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("rounds were timed first")

    monkeypatch.setattr(semi_structured, "time_rounds", refuse)
    monkeypatch.setattr(semi_structured, "to_sparse_semi_structured", lambda weight: weight * 2)
    with pytest.raises(ReportError, match="2:4 path"):
        measured(opened)


def test_outputs_a_little_apart_are_let_pass_and_the_difference_is_said(
    opened: OpenModel, packed: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(semi_structured, "to_sparse_semi_structured", lambda weight: weight * 1.001)
    ((row,), skipped) = measured(opened)
    assert skipped == ()
    assert row.max_abs_difference > 0


def test_a_map_with_a_forward_of_its_own_is_named_and_nothing_timed(
    opened: OpenModel, packed: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Router(Conv1D):
        def forward(self, inputs: Tensor) -> Tensor:
            return super().forward(inputs)

    opened.model.transformer.h[0].mlp.c_fc.__class__ = Router
    name = "transformer.h.0.mlp.c_fc.weight"
    assert measured(opened) == ([], (f"2:4: {name}, Router has a forward of its own",))
    assert not packed
