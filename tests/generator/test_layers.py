"""Layers by their own scale: cases in which the neighbouring wrong rule says another thing."""

import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic import inspection, pruning, tensor

from experiments.records.inspection import NearZero, TensorRow
from experiments.records.pruning import Layer
from generator import layers


def drawn(values: np.ndarray) -> TensorRow:
    """A tensor of these weights, summed by numpy."""
    size = np.abs(values)
    return replace(
        tensor("h.0.a.weight", "attention query", 0),
        count=values.size,
        zeros=int((size == 0).sum()),
        l1=float(size.sum()),
        l2=float(np.sqrt((size**2).sum())),
        near_zero=(
            NearZero(
                threshold=0.1,
                relative_to="rms",
                count=int((size < 0.1 * np.sqrt((size**2).mean())).sum()),
            ),
        ),
    )


def test_a_normal_distribution_has_the_ratio_and_the_near_zeros_of_one() -> None:
    normal = drawn(np.random.default_rng(1).normal(0, 0.02, 200_000))
    assert layers.mean_to_rms(normal) == pytest.approx(math.sqrt(2 / math.pi), abs=0.003)
    assert layers.near_zero([normal]) == pytest.approx(0.0797, abs=0.003)  # erf(0.1 / √2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("normal", True), ("laplace", True), ("uniform", False), ("signs", False), ("spikes", False)],
)
def test_one_bell_is_told_from_what_is_flat_or_two_valued_or_mostly_nothing(
    name: str, expected: bool
) -> None:
    chance = np.random.default_rng(2)
    values = {
        "normal": chance.normal(size=50_000),
        "laplace": chance.laplace(size=50_000),
        "uniform": chance.uniform(-1, 1, 50_000),  # √3 / 2 = 0.87
        "signs": chance.choice([-1.0, 1.0], 50_000),  # 1
        "spikes": np.where(chance.random(50_000) < 0.9, 0.0, chance.normal(size=50_000)),  # 0.25
    }
    bell = drawn(chance.normal(size=50_000))
    assert layers.bell_shaped([bell, drawn(values[name])]) is expected
    assert layers.bell_shaped([replace(bell, l2=None)]) is None


def test_the_least_normal_layer_is_the_farthest_on_either_side_not_the_least_ratio() -> None:
    chance = np.random.default_rng(3)
    laplace = replace(drawn(chance.laplace(size=50_000)), name="laplace")  # 0.71: 0.09 below
    signs = replace(drawn(chance.choice([-1.0, 1.0], 50_000)), name="signs")  # 1: 0.20 above
    found = layers.least_normal([laplace, signs])
    assert found is not None
    assert found[0].name == "signs"
    assert found[1] == pytest.approx(1.0)
    assert layers.least_normal([replace(laplace, l1=None)]) is None


def test_near_zeros_are_shares_of_weights_not_means_of_shares() -> None:
    some = [
        replace(tensor(name, "a", 0), count=count, near_zero=(NearZero(threshold=0.1, relative_to="rms",
                count=near),))
        for name, count, near in (("a", 100, 50), ("b", 900, 90))
    ]  # fmt: skip
    assert layers.near_zero(some) == pytest.approx(0.14)  # the mean of 50 % and 10 % is 30 %
    absolute = replace(
        some[0], near_zero=(NearZero(threshold=0.1, relative_to="absolute", count=5),)
    )
    assert layers.near_zero([absolute, some[1]]) is None  # not on record is not none


def test_layers_come_by_depth_with_numbers_as_numbers() -> None:
    names = [f"h.{depth}.{name}.weight" for depth in (10, 2, 0, 1) for name in ("b", "a")]
    some = [tensor(name, "attention query", int(name.split(".")[1])) for name in names]
    found = layers.prunable(replace(inspection(), tensors=tuple(some)))
    assert [one.name[:-7] for one in found] == [
        "h.0.a", "h.0.b", "h.1.a", "h.1.b", "h.2.a", "h.2.b", "h.10.a", "h.10.b"
    ]  # fmt: skip
    both = [replace(some[0], stack="decoder", depth=0), replace(some[0], stack="encoder", depth=1)]
    found = layers.prunable(replace(inspection(), tensors=tuple(both)))
    assert [layers.block(one) for one in found] == ["encoder 1", "decoder 0"]


def test_a_number_of_any_length_sorts() -> None:
    """`int` refuses more than 4300 digits, and a checkpoint may call a tensor as it likes."""
    long = f"h.{'1' * 5000}.a"
    assert sorted([long, "h.2.a", "h.٣.a"], key=layers.natural)[-2:] != []
    assert sorted([long, "h.2.a"], key=layers.natural) == ["h.2.a", long]
    assert sorted(["h.010", "h.9"], key=layers.natural) == ["h.9", "h.010"]


def test_a_layer_of_no_weights_is_neither_emptied_nor_an_extreme() -> None:
    made = pruning(0.9)
    odd = (Layer(name="none", count=0, zeros=0), Layer(name="all", count=5, zeros=5), *made.layers)
    one = replace(made, layers=odd)
    assert [layer.name for layer in layers.emptied(one)] == ["all"]
    found = layers.extremes(one)
    assert found is not None
    assert (found[0].sparsity, found[1].name) == (0.9, "all")
    assert layers.extremes(replace(made, layers=odd[:1])) is None
