"""Magnitudes: order, cuts, counts and norms against torch, exact fractions and hand arithmetic."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn.utils import prune

from experiments.pruning.magnitudes import (
    Cut,
    Summary,
    _descend,
    common_dtype,
    cuts,
    magnitude_keys,
    magnitude_of_key,
    removed_count,
    summarise,
)

BFLOAT16, FLOAT8 = np.dtype(ml_dtypes.bfloat16), np.dtype(ml_dtypes.float8_e5m2)
SMALLEST = {"float16": 2**-24, "bfloat16": 2**-133, "float32": 2**-149, "float64": 2**-1074}
LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_all_65536_patterns_of_a_16_bit_float_rank_by_their_magnitude(dtype: torch.dtype) -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16)
    real = torch.from_numpy(patterns.view(np.int16)).view(dtype).double().abs().numpy()
    number = ~np.isnan(real)
    weights = patterns.view(BFLOAT16 if dtype == torch.bfloat16 else np.float16)
    order = np.argsort(real[number], kind="stable")
    key_steps = np.diff(magnitude_keys(weights[number])[order].astype(np.int64))
    assert np.array_equal(key_steps > 0, real[number][order][1:] > real[number][order][:-1])
    assert (key_steps >= 0).all()


@pytest.mark.parametrize("dtype", SMALLEST)
def test_the_smallest_subnormal_is_above_both_zeros_and_is_none(dtype: str) -> None:
    weights = np.array([-SMALLEST[dtype], -0.0, 0.0], np.float64).astype(dtype)
    assert magnitude_keys(weights).argsort(kind="stable").tolist() == [1, 2, 0]
    assert summary(weights).zeros == 2


def test_a_key_of_64_bits_gives_its_magnitude_back() -> None:
    assert magnitude_of_key(int(magnitude_keys(np.array([-1 / 3]))[0]), np.dtype("f8")) == 1 / 3


@pytest.mark.parametrize(
    ("level", "count", "removed"),
    # Halves go to the even side: neither floor, nor ceiling, nor half up.
    [(0.5, 5, 2), (0.5, 7, 4), (0.25, 10, 2), (0.75, 10, 8), (0.1, 1, 0), (0.9, 1, 1)],
)
def test_halves_round_to_the_even_neighbour(level: float, count: int, removed: int) -> None:
    assert removed_count(level, count) == removed


@pytest.mark.parametrize(
    ("level", "count", "removed"),
    # In decimals these are 60.5 and 13.5, which round to 60 and 14; in doubles they are a little
    # above and below.
    [(0.55, 110, 61), (0.009, 1500, 13)],
)
def test_the_product_is_taken_in_double_precision(level: float, count: int, removed: int) -> None:
    assert removed_count(level, count) == removed


@given(st.floats(0, 1), st.integers(0, 10**12))
def test_k_is_the_one_torch_prunes(level: float, count: int) -> None:
    assert removed_count(level, count) == prune._compute_nparams_toprune(level, count)


def test_of_three_equal_weights_half_a_tensor_takes_two() -> None:
    keys = magnitude_keys(np.array([1, 1, 1, 2], np.float16))
    (cut,) = cuts([lambda: [keys]], [2], bits=16)
    assert cut == Cut(key=int(keys[0]), ties=2, tied=3)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1), st.data())
@example([1 << 16, 1 << 32, 1 << 48, 1, 0, (1 << 16) - 1], None)
def test_a_cut_lies_at_the_kth_smallest_key(values: list[int], data: st.DataObject | None) -> None:
    counts = [1, 4, 6] if data is None else data.draw(st.lists(st.integers(0, len(values))))
    middle = len(values) // 2
    parts = [np.array(part, np.uint64) for part in (values[:middle], values[middle:])]
    stretches = [lambda part=part: [part] for part in parts]
    for count, cut in zip(counts, cuts(stretches, counts, bits=64)):
        below = sum(value < cut.key for value in values)
        assert below + cut.ties == count
        if count:
            assert cut.key == sorted(values)[count - 1]
            assert cut.tied == values.count(cut.key)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", BFLOAT16, FLOAT8], ids=str)
def test_the_cut_of_every_dtype_is_torchs_kth_value(dtype: str) -> None:
    weights = np.random.default_rng(0).standard_normal(20_000).astype(dtype)
    counts = [1, 2_000, 10_000, 19_800, 20_000]
    parts = [magnitude_keys(part) for part in np.array_split(weights, 7)]
    found = cuts([lambda: parts[:3], lambda: parts[3:]], counts, bits=8 * weights.dtype.itemsize)
    real = torch.from_numpy(weights.astype(np.float64)).abs()
    for count, cut in zip(counts, found):
        assert magnitude_of_key(cut.key, weights.dtype) == real.kthvalue(count).values.item()


def test_two_to_the_31_weights_do_not_overflow_a_histogram() -> None:
    histogram = np.zeros(1 << 16, np.int64)
    histogram[[3, 7]] = 2**31
    assert _descend(histogram, 0, 2**31 + 5, 16) == Cut(key=7, ties=5, tied=2**31)
    assert _descend(histogram, 0, 2**32, 16) == Cut(key=7, ties=2**31, tied=2**31)


def test_dtypes_meet_in_the_narrowest_that_holds_both() -> None:
    half, single, double = np.dtype("f2"), np.dtype("f4"), np.dtype("f8")
    assert common_dtype([half, half]) == half
    assert common_dtype([half, BFLOAT16]) == single  # neither holds the other
    assert common_dtype([single, half, double]) == double


def summary(weights: np.ndarray, **thresholds: list[float]) -> Summary:
    """Of an array given in blocks that split it unevenly."""
    flat = weights.reshape(-1)
    blocks = [flat[:3], flat[3:]] if flat.size > 3 else [flat]
    return summarise(lambda: blocks, weights.dtype, **thresholds)


def count_below(weights: np.ndarray, threshold: float) -> int:
    return summary(weights, absolute=[threshold]).below[0]


def at_each_width(values: list[float]) -> list[np.ndarray]:
    """The numbers at every width; what is too large for one becomes infinite there."""
    with np.errstate(over="ignore"):
        return [np.array(values).astype(dtype) for dtype in ("f2", "f4", "f8", BFLOAT16, FLOAT8)]


@given(st.lists(st.floats(), max_size=20), st.floats(0, allow_nan=False), st.integers(-1, 20))
@example([0.1, -0.1], 0.1, -1)
@example([2**-149, 0.0], 2**-150, -1)
@example([LARGEST, math.inf], LARGEST, -1)
@example([LARGEST, math.inf], LARGEST * (1 + 2**-50), -1)
@example([LARGEST, math.inf], 1e300, -1)
@example([1.0, math.inf, math.nan], math.inf, -1)
@example([2.0**1023, 2.0**1023], 1.0, -1)
def test_counting_below_a_threshold_compares_real_numbers(
    values: list[float], threshold: float, at: int
) -> None:
    for weights in at_each_width(values):
        if 0 <= at < len(weights) and np.isfinite(weights[at]):
            threshold = abs(float(weights[at]))  # the threshold itself is not below it
        numbers = [abs(float(weight)) for weight in weights if not np.isnan(weight)]
        assert count_below(weights, threshold) == sum(below(n, threshold) for n in numbers)


def below(number: float, threshold: float) -> bool:
    """Whether one real number is below another, as fractions where they are finite."""
    if math.isinf(number) or math.isinf(threshold):
        return number < threshold
    return Fraction(number) < Fraction(threshold)


def test_bfloat16_bits_hold_two_zeros_and_a_nan() -> None:
    weights = np.array([0x3F80, 0x8000, 0x7FC0, 0x0000], np.uint16).view(BFLOAT16)
    found = summary(weights)
    assert (found.count, found.zeros, found.nan, found.inf, found.l1) == (4, 2, 1, 0, 1.0)


def test_norms_leave_out_what_is_not_finite() -> None:
    found = summary(np.array([3, -4, math.nan, -math.inf], np.float32))
    assert (found.nan, found.inf, found.l1, found.l2, found.max) == (1, 1, 7.0, 5.0, 4.0)
    assert found.rms == pytest.approx(math.sqrt(12.5))  # 25 over the two finite ones, not over four


@pytest.mark.parametrize(
    ("values", "dtype", "l1", "l2"),
    # Sums of float16 would be infinite, of float32 would lose the ones or overflow when squared.
    [
        ([60000, 60000], "f2", 120000, math.sqrt(2) * 60000),
        ([2**24, 1, 1], "f4", 2**24 + 2, math.sqrt(2**48 + 2)),
        ([3 * 2.0**100, 4 * 2.0**100], "f4", 7 * 2.0**100, 5 * 2.0**100),
        ([3 * 2.0**1000, 4 * 2.0**1000], "f8", 7 * 2.0**1000, 5 * 2.0**1000),
        ([3 * 2.0**-1000, 4 * 2.0**-1000], "f8", 7 * 2.0**-1000, 5 * 2.0**-1000),
        ([2.0**1023, 2.0**1023], "f8", math.inf, math.sqrt(2) * 2.0**1023),
    ],
)
def test_norms_are_summed_in_double_precision(
    values: list[float], dtype: str, l1: float, l2: float
) -> None:
    found = summary(np.array(values).astype(dtype))
    assert (found.l1, found.l2) == (l1, pytest.approx(l2, rel=1e-15))


def test_a_tensor_without_weights_and_one_without_dimensions_have_summaries() -> None:
    nothing, single = summary(np.empty((0, 4), np.float32)), summary(np.array(-2, np.float16))
    assert (nothing.count, nothing.zeros, nothing.rms, nothing.max) == (0, 0, 0.0, 0.0)
    assert (single.count, single.l2, single.rms, single.max) == (1, 2.0, 2.0, 2.0)
