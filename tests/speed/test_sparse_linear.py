"""The sparse product: held against scipy's arrays and torch's own product, at every border it has."""

import itertools
from collections.abc import Callable, Iterator

import numba
import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from experiments.pruning import kernels
from experiments.speed import sparse_linear
from experiments.speed.sparse_linear import SparseWeight, multiply, shares, sparse_weight

Floats = NDArray[np.float32]
TOKENS = (0, 1, 7, 8, 9, 16, 17, 31, 32, 33, 40, 41, 48, 100)  # side by side stand 32, 16 or 8
DENSITIES = (0.0, 0.02, 0.3, 1.0)


@pytest.fixture(autouse=True, scope="module")
def as_many_threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()  # read first: numba's pool, when it is made, resets it
    before_in_numba = numba.get_num_threads()
    yield
    numba.set_num_threads(before_in_numba)
    torch.set_num_threads(before)


def drawn(seed: int, *shape: int, density: float = 1.0) -> Floats:
    """Numbers of which none is zero, but for the share that is to be."""
    generator = np.random.default_rng(seed)
    numbers = generator.uniform(0.5, 2, shape) * generator.choice([-1, 1], shape)
    return np.where(generator.random(shape) < density, numbers, 0).astype(np.float32)


def plain(features: Floats, weights: Floats, bias: Floats | None) -> NDArray[np.float64]:
    """Torch's own product in double precision."""
    given = (None if one is None else torch.from_numpy(one).double() for one in (weights, bias))
    return torch.nn.functional.linear(torch.from_numpy(features).double(), *given).numpy()


def close(found: Floats, features: Floats, weights: Floats, bias: Floats | None) -> bool:
    """Within 1e-5 of the numbers that were summed."""
    sizes = plain(np.abs(features), np.abs(weights), None if bias is None else np.abs(bias))
    return bool(np.all(np.abs(found - plain(features, weights, bias)) <= 1e-5 * sizes))


@given(
    tokens=st.sampled_from(TOKENS),
    inputs=st.integers(1, 70),
    outputs=st.integers(1, 300) | st.sampled_from([15, 16, 17, 127, 128, 129]),
    density=st.sampled_from(DENSITIES),
    biased=st.booleans(),
    laid=st.sampled_from(["row by row", "column by column", "every other", "backwards"]),
    width=st.sampled_from([None, 1, 7, 16, 64]),
    threads=st.sampled_from([2, 5]),
)
def test_products_are_those_of_torch_and_the_same_bits_on_any_number_of_threads(
    tokens: int, inputs: int, outputs: int, density: float, biased: bool, laid: str,
    width: int | None, threads: int,
) -> None:  # fmt: skip
    weights = drawn(inputs, outputs, inputs, density=density)
    bias = drawn(2, outputs) if biased else None
    features = {
        "row by row": lambda: drawn(3, tokens, inputs),
        "column by column": lambda: drawn(3, inputs, tokens).T,
        "every other": lambda: drawn(3, tokens, 2 * inputs)[:, ::2],
        "backwards": lambda: np.ascontiguousarray(drawn(3, tokens, inputs)[::-1])[::-1],
    }[laid]()
    held = sparse_weight(weights, width=width)
    found = multiply(held, features, bias)
    assert found.dtype == np.float32
    assert found.shape == (tokens, outputs)
    assert close(found, features.copy(), weights, bias)
    assert multiply(held, features, bias, threads=threads).tobytes() == found.tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_where_no_weight_is_left_outputs_are_the_bias_exactly(threads: int) -> None:
    nothing, bias = sparse_weight(np.zeros((150, 9), np.float32)), drawn(0, 150)
    assert nothing.values.size == 0
    found = multiply(nothing, drawn(1, 33, 9), bias, threads=threads)
    assert np.array_equal(found, np.broadcast_to(bias, (33, 150)))
    assert not multiply(nothing, drawn(1, 33, 9), threads=threads).any()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_a_matrix_of_no_rows_or_no_columns_is_multiplied_too(
    shape: tuple[int, int], threads: int
) -> None:
    bias = drawn(0, shape[0])
    found = multiply(
        sparse_weight(np.zeros(shape, np.float32)), drawn(1, 3, shape[1]), bias, threads=threads
    )
    assert np.array_equal(found, np.broadcast_to(bias, (3, shape[0])))


def test_a_product_by_hand() -> None:
    weights = np.array([[0, 2, 0], [3, 0, -1]], np.float32)
    features = np.array([[1, 10, 100], [2, 20, 200]], np.float32)
    found = multiply(sparse_weight(weights), features, np.array([0.5, -0.5], np.float32))
    assert found.tolist() == [[20.5, -97.5], [40.5, -194.5]]


def rows_in_order(found: SparseWeight, block: int) -> scipy.sparse.csr_array:
    """A block's rows back in the matrix' own order, groups being of 128 rows."""
    starts, columns = found.starts[block], min(found.width, found.inputs - block * found.width)
    here = slice(starts[0], starts[-1])
    stored = (found.values[here], found.columns[here].astype(np.int32), starts - starts[0])
    rows = [place // 128 * 128 + int(found.order[block, place]) for place in range(found.outputs)]
    assert sorted(rows) == list(range(found.outputs))
    kept = scipy.sparse.csr_array(stored, shape=(found.outputs, columns))
    return kept[np.argsort(rows)]


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("width", [1, 3, 64, 69, 70, 71, 1000])
@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (40, 1), (130, 70), (300, 70)])
def test_every_block_is_the_compressed_sparse_rows_of_its_columns_as_scipy_has_them(
    shape: tuple[int, int], width: int, density: float
) -> None:
    weights = drawn(5, *shape, density=density)
    found = sparse_weight(weights, width=width)
    assert (found.outputs, found.inputs) == shape
    assert found.values.size == np.count_nonzero(weights)
    assert len(found.starts) == -(-shape[1] // width)
    for block in range(len(found.starts)):
        columns = weights[:, block * width : (block + 1) * width]
        known, kept = scipy.sparse.csr_array(columns), rows_in_order(found, block)
        for mine, theirs in ((kept.data, known.data), (kept.indices, known.indices)):
            assert np.array_equal(mine, theirs)
        assert np.array_equal(kept.indptr, known.indptr)


def test_of_every_128_rows_the_shortest_stand_first_and_equals_as_they_were() -> None:
    weights = np.zeros((131, 3), np.float32)
    weights[[0, 128], :3], weights[[5, 130], 1] = 1, 1
    (order,) = sparse_weight(weights).order
    most = [row for row in range(128) if row not in (0, 5)]
    assert order.tolist() == [*most, 5, 0, 1, 2, 0]  # the rows 129, 130 and 128 at last


@pytest.mark.parametrize(
    ("density", "blocks"),
    [(1.0, 25), (0.2, 5), (0.01, 1)],  # about 40 weights a row
)
def test_blocks_are_the_wider_the_fewer_weights_are_left(density: float, blocks: int) -> None:
    weights = np.zeros((50, 1000), np.float32)
    weights.reshape(-1)[: int(density * weights.size)] = 1
    weights = np.random.default_rng(6).permuted(weights.reshape(-1)).reshape(weights.shape)
    features, found = drawn(7, 5, 1000), sparse_weight(weights)
    assert len(found.starts) == blocks
    assert close(multiply(found, features), features, weights, None)


def test_counts_have_64_bits_places_16_and_weights_are_of_float32() -> None:
    for dtype in (np.float32, np.float64, np.float16):
        found = sparse_weight(drawn(8, 30, 20, density=0.5).astype(dtype), width=8)
        kinds = (found.values.dtype, found.columns.dtype, found.starts.dtype, found.order.dtype)
        assert kinds == (np.float32, np.uint16, np.int64, np.uint8)


@pytest.mark.parametrize("width", [None, 70_000])
def test_columns_beyond_the_reach_of_16_bits_are_found(width: int | None) -> None:
    weights = np.zeros((2, 70_000), np.float32)
    weights[0, [0, 65_535, 65_536]], weights[1, 69_999] = [1, 2, 3], 5
    features = np.arange(70_000, dtype=np.float32)[None]
    found = sparse_weight(weights, width=width)
    assert multiply(found, features).tolist() == [[2 * 65_535 + 3 * 65_536, 5 * 69_999]]


def test_rows_beyond_two_thousand_million_weights_are_shared_out() -> None:
    """Without such a matrix: its starts alone, in two blocks."""
    thousand_million = 10**9
    lengths = np.zeros((2, 300), np.int64)
    lengths[:, [0, 128, 299]] = [3, 1, 2]  # groups of 6, 2 and 4 in both blocks
    starts = np.concatenate([[0], np.cumsum(lengths)]) * thousand_million
    starts = np.stack([starts[:301], starts[300:]])
    assert shares(starts, 2).tolist() == [0, 128, 300]
    assert shares(starts, 3).tolist() == [0, 128, 256, 300]
    assert shares(starts, 1).tolist() == [0, 300]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_weight_beyond_two_thousand_million_is_found(threads: int) -> None:
    """Memory that nothing is written to is not taken; a machine that refuses it shows nothing."""
    at = 2**31 + 1
    try:
        values, columns = np.zeros(at + 3, np.float32), np.zeros(at + 3, np.uint16)
    except MemoryError:
        pytest.skip("no address space for 13 GB")
    values[at:], columns[at:] = [2, 3, 5], [1, 0, 1]
    order = np.array([[0, 1]], np.uint8)
    held = SparseWeight(values, columns, np.array([[at, at + 1, at + 3]]), order, 2, 2)
    found = multiply(held, np.array([[10, 100]], np.float32), threads=threads)
    assert found.tolist() == [[200, 530]]


@given(
    counts=st.lists(st.integers(0, 50), min_size=1, max_size=700),
    parts=st.integers(1, 9),
)
def test_shares_hold_every_row_once_and_none_more_than_its_part_and_a_group(
    counts: list[int], parts: int
) -> None:
    found = shares(np.concatenate([[0], np.cumsum(counts)])[None], parts)
    assert (found.dtype, found[0], found[-1], len(found)) == (np.int64, 0, len(counts), parts + 1)
    assert np.all(np.diff(found) >= 0)
    held = [sum(counts[start:stop]) for start, stop in itertools.pairwise(found)]
    largest = max(sum(counts[start : start + 128]) for start in range(0, len(counts), 128))
    assert sum(held) == sum(counts)
    assert all(one <= sum(counts) / parts + largest for one in held)
    assert all(cut % 128 == 0 or cut == len(counts) for cut in found)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_weight_that_is_no_number_is_not_lost(threads: int) -> None:
    weights = np.array([[0, np.nan, 0], [1, 0, np.inf], [0, 2, 0]], np.float32)
    held = sparse_weight(weights)
    assert held.values.size == 4
    found = multiply(held, np.ones((2, 3), np.float32), threads=threads)
    assert np.isnan(found[:, 0]).all()
    assert found[:, 1:].tolist() == [[np.inf, 2.0]] * 2


@pytest.mark.parametrize("features", [0, 1, 2, 4, 6])
def test_another_number_of_features_than_of_columns_is_refused(features: int) -> None:
    held = sparse_weight(np.array([[0, 2, 3]], np.float32))
    with pytest.raises(ValueError, match=f"{features} features for weights of 3"):
        multiply(held, np.ones((2, features), np.float32))


def test_no_library_of_a_processors_maker_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a library for sparse matrices was asked")

    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    for name in ("mm", "addmm", "sampled_addmm", "to_sparse_semi_structured"):
        monkeypatch.setattr(torch.sparse, name, refuse)
    for name in ("sparse_csr_tensor", "sparse_coo_tensor", "sparse_compressed_tensor"):
        monkeypatch.setattr(torch, name, refuse)
    for name in ("to_sparse", "to_sparse_csr"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    for name in ("csr_array", "csr_matrix"):
        monkeypatch.setattr(scipy.sparse, name, refuse)
    weights, features = drawn(9, 40, 30, density=0.1), drawn(10, 7, 30)
    for threads in (1, 2):
        found = multiply(sparse_weight(weights), features, threads=threads)
        assert close(found, features, weights, None)


def test_a_machine_of_fewer_threads_than_asked_for_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, features = sparse_weight(drawn(11, 300, 60, density=0.3)), drawn(12, 5, 60)
    alone = multiply(held, features)
    monkeypatch.setattr(sparse_linear, "MOST_THREADS", 1)
    assert multiply(held, features, threads=64).tobytes() == alone.tobytes()
    assert numba.get_num_threads() == 1


def test_where_no_folder_can_be_written_the_compiled_loop_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def njit(**options: bool) -> Callable[[object], object]:
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: (function, options)

    monkeypatch.setattr(numba, "njit", njit)
    assert kernels.compiled(len, parallel=True) == (len, {"nogil": True, "parallel": True})


def test_other_dtypes_and_biases_of_another_length_are_refused_rather_than_misread() -> None:
    held, inputs = sparse_weight(np.eye(3, dtype=np.float32)), np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="float32"):
        multiply(held, inputs.astype(np.float64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="float32"):
        multiply(held, inputs, np.ones(3))
    with pytest.raises(ValueError, match=r"a bias of shape \(2,\) for 3 outputs"):
        multiply(held, inputs, np.ones(2, np.float32))
