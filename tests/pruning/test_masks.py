"""Masks: exactly k go, ties in canonical order, whatever the dtypes, the order and the sharding.

The reference sorts (magnitude as a fraction, tensor name as bytes, position) and takes k.
"""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from experiments.models.coverage import Entry
from experiments.pruning.choosing import Prunable, choose
from experiments.pruning.magnitudes import magnitude_keys
from experiments.pruning.masks import Axis, below_cut, n_of_m, smallest_of_each_row
from experiments.pruning.settings import Settings

DTYPES = ["f2", "f4", "f8", ml_dtypes.bfloat16]
# 0.1 differs at every width; 1 does not; 6e-8 is subnormal or zero in float16, 1e-40 in bfloat16.
VALUES = [0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 6e-8, 1e-40, 60000.0, -60000.0]
LEVELS = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0]
NAMES = ["b.weight", "a.weight", "B.weight", "é.weight", "a.10.weight", "a.9.weight"]


def prunable(name: str, weights: NDArray[np.generic], *, input_axis: Axis = 1) -> Prunable:
    entry = Entry(
        name=name, role="linear map", prunable=True, reason="a test's", input_axis=input_axis
    )
    return Prunable(entry, weights)


@st.composite
def models(draw: st.DrawFn) -> list[Prunable]:
    """A few small tensors of mixed dtypes, in any order, many of their weights equal."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    found = []
    for name in names:
        rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        numbers = st.sampled_from(VALUES) | st.floats(-6e4, 6e4)
        values = draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns))
        weights = np.array(values).astype(draw(st.sampled_from(DTYPES))).reshape(rows, columns)
        found.append(prunable(name, weights))
    return found


def removed(tensors: list[Prunable], level: float) -> set[tuple[str, int]]:
    """The (name, row-major position) of every weight that global magnitude pruning takes."""
    (choice,) = choose(tensors, Settings(), [level])
    return {
        (tensor.entry.name, int(position))
        for tensor in tensors
        for position in np.flatnonzero(~choice.mask(tensor))
    }


def by_sorting(tensors: list[Prunable], level: float) -> set[tuple[str, int]]:
    ranked = sorted(
        (Fraction(abs(float(weight))), tensor.entry.name.encode(), position)
        for tensor in tensors
        for position, weight in enumerate(tensor.weights.reshape(-1))
    )
    k = round(level * len(ranked))
    return {(name.decode(), position) for _, name, position in ranked[:k]}


@given(models(), st.sampled_from(LEVELS) | st.floats(0, 1))
def test_exactly_the_k_smallest_go_with_ties_in_canonical_order(
    tensors: list[Prunable], level: float
) -> None:
    assert removed(tensors, level) == by_sorting(tensors, level)


@given(models(), st.sampled_from(LEVELS))
def test_the_order_of_the_shards_does_not_matter(tensors: list[Prunable], level: float) -> None:
    assert removed(tensors[::-1], level) == removed(tensors, level)


@given(models(), st.sampled_from(LEVELS), st.sampled_from(LEVELS))
def test_a_higher_level_removes_what_a_lower_one_did(
    tensors: list[Prunable], one: float, other: float
) -> None:
    assert removed(tensors, min(one, other)) <= removed(tensors, max(one, other))


@given(models())
def test_levels_asked_together_choose_as_each_alone(tensors: list[Prunable]) -> None:
    together = choose(tensors, Settings(), LEVELS)
    for level, choice in zip(LEVELS, together):
        (alone,) = choose(tensors, Settings(), [level])
        for tensor in tensors:
            assert np.array_equal(choice.mask(tensor), alone.mask(tensor))


def test_mixed_dtypes_compare_as_real_numbers() -> None:
    """0.1 is 0.0999755859375 in float16 and 0.1000000015 in float32; only 64 bits have 0.1 itself."""
    tensors = [
        prunable("a", np.array([[0.1]], np.float32)),
        prunable("b", np.array([[0.1]], np.float64)),
        prunable("c", np.array([[0.1]], np.float16)),
    ]
    assert removed(tensors, 1 / 3) == {("c", 0)}
    assert removed(tensors, 2 / 3) == {("c", 0), ("b", 0)}


def test_ties_at_the_threshold_go_in_canonical_order() -> None:
    """Bytewise: capitals first, 10 before 9, and é after every ASCII letter."""
    tensors = [prunable(name, np.ones((1, 1), np.float32)) for name in NAMES]
    order = ["B.weight", "a.10.weight", "a.9.weight", "a.weight", "b.weight", "é.weight"]
    for count in range(len(order) + 1):
        assert removed(tensors, count / 6) == {(name, 0) for name in order[:count]}


def test_ties_go_row_by_row_even_where_memory_lies_column_by_column() -> None:
    keys = np.ones((2, 3), np.uint32, order="F")
    mask, went = below_cut(keys, 1, 4)
    assert went == 4
    assert mask.tolist() == [[False, False, False], [False, True, True]]


def test_the_smallest_of_each_row_are_not_the_smallest_of_the_matrix() -> None:
    keys = np.array([[1, 2, 3, 4], [10, 40, 20, 30]], np.uint32)
    by_row = smallest_of_each_row(keys, 0.5, input_axis=1)
    assert by_row.tolist() == [[False, False, True, True], [False, True, False, True]]


def test_a_transposed_matrix_is_ranked_down_its_columns() -> None:
    keys = np.array([[1, 10], [2, 40], [3, 20], [4, 30]], np.uint32)
    mask = smallest_of_each_row(keys, 0.5, input_axis=0)
    assert mask.T.tolist() == [[False, False, True, True], [False, True, False, True]]
    assert mask.flags["C_CONTIGUOUS"]


def test_k_of_a_row_is_rounded_by_the_rows_length() -> None:
    keys = np.arange(10, dtype=np.uint32).reshape(2, 5)
    assert (~smallest_of_each_row(keys, 0.5, input_axis=1)).sum(axis=1).tolist() == [2, 2]
    assert (~smallest_of_each_row(keys, 0.7, input_axis=1)).sum(axis=1).tolist() == [4, 4]


@pytest.mark.parametrize(
    ("kept", "expected"),
    # 2:4 alone would not show whether N is kept or removed.
    [(1, [[0, 0, 0, 1, 1, 0, 0, 0]]), (2, [[0, 1, 0, 1, 1, 1, 0, 0]]),
     (3, [[0, 1, 1, 1, 1, 1, 1, 0]]), (4, [[1] * 8])],
)  # fmt: skip
def test_n_of_m_keeps_n_of_every_m_consecutive_weights(
    kept: int, expected: list[list[int]]
) -> None:
    keys = np.array([[1, 3, 2, 4, 80, 70, 60, 50]], np.uint32)
    assert n_of_m(keys, kept, 4, input_axis=1).astype(int).tolist() == expected
    assert n_of_m(keys.T.copy(), kept, 4, input_axis=0).astype(int).T.tolist() == expected


def test_ties_within_a_group_go_from_its_start() -> None:
    keys = np.full((1, 8), 5, np.uint32)
    assert n_of_m(keys, 1, 4, input_axis=1).astype(int).tolist() == [[0, 0, 0, 1] * 2]
    assert smallest_of_each_row(keys, 0.25, input_axis=1).astype(int).tolist() == [[0, 0] + [1] * 6]


def test_infinity_ranks_above_every_number() -> None:
    keys = magnitude_keys(np.array([[-np.inf, 3e38, np.inf, 1]], np.float32))
    assert smallest_of_each_row(keys, 0.5, input_axis=1).tolist() == [[True, False, True, False]]
