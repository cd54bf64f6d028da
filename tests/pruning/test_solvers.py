"""Methods that choose weights and mend the rest together, held to slow forms of their equations."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.pruning.methods import alps, sparsegpt
from experiments.pruning.methods.block import Block
from experiments.pruning.methods.table import METHODS
from experiments.pruning.methods.wanda import keys
from experiments.pruning.patterns import UNSTRUCTURED
from experiments.pruning.quota import Quota, largest_remainder
from experiments.pruning.repair import conjugate_gradients, error

Matrix = NDArray[np.float64]
LEVELS = (0.0, 0.1, 0.5, 0.9, 0.95, 0.99, 1.0)


def layer(
    rows: int = 8, width: int = 24, tokens: int = 400, seed: int = 0
) -> tuple[Matrix, Matrix]:
    """Weights, and the Gram matrix of correlated inputs of unequal scale: a quarter as many causes."""
    draw = np.random.default_rng(seed)
    causes = draw.normal(size=(tokens, width // 4)) @ draw.normal(size=(width // 4, width))
    mixed = 2 * causes / np.sqrt(width) + 0.3 * draw.normal(size=(tokens, width))
    read = mixed * np.exp(0.7 * draw.normal(size=width))
    return draw.normal(size=(rows, width)), read.T @ read


def wanda_mask(weights: Matrix, gram: Matrix, quota: Quota) -> NDArray[np.bool_]:
    return quota.kept(np.abs(weights) * np.sqrt(np.diag(gram)))


def least_squares(dense: Matrix, kept: NDArray[np.bool_], gram: Matrix) -> Matrix:
    """The best weights on a mask, row by row, by solving each row's equations."""
    found = np.zeros_like(dense)
    for row, (own, stays) in enumerate(zip(dense, kept)):
        some = np.flatnonzero(stays)
        right = (gram @ own)[some]
        found[row, some] = np.linalg.solve(gram[np.ix_(some, some)], right)
    return found


def slow_sparsegpt(
    weights: Matrix, gram: Matrix, removed: int, columns: int
) -> tuple[Matrix, NDArray[np.bool_]]:
    """Optimal brain surgeon, column by column, the inverse of what is left taken anew each time."""
    left, width = weights.copy(), weights.shape[1]
    damped = gram + 0.01 * np.mean(np.diag(gram)) * np.eye(width)
    inverses = [np.linalg.inv(damped[at:, at:]) for at in range(width)]
    kept = np.ones(weights.shape, bool)
    starts = list(range(0, width, columns))
    shares = largest_remainder(removed, [min(columns, width - start) for start in starts])
    for start, share in zip(starts, shares):
        stop = min(start + columns, width)
        scores = np.array([left[:, at] ** 2 / inverses[at][0, 0] for at in range(start, stop)]).T
        order = np.argsort(scores, axis=None, kind="stable")[:share]
        part = np.ones(scores.shape, bool)
        part.flat[order] = False
        kept[:, start:stop] = part
        for at in range(start, stop):
            gone = ~kept[:, at]
            step = np.where(gone, left[:, at], 0) / inverses[at][0, 0]
            left[:, at:] -= np.outer(step, inverses[at][0])
    return np.where(kept, left, 0), kept


def test_every_method_that_looks_at_inputs_is_held_to_a_reference_here() -> None:
    assert {name for name, one in METHODS.items() if one.calibrated} == {
        "wanda",
        "sparsegpt",
        "alps",
    }


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("columns", [7, 24, 128])
def test_sparsegpt_is_optimal_brain_surgeon_column_by_column(
    level: float, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparsegpt, "COLUMNS", columns)
    weights, gram = layer()
    quota = Quota.of(level, weights.shape, "layer", UNSTRUCTURED)
    found, kept = sparsegpt.solve(weights, gram, quota)
    expected, stays = slow_sparsegpt(weights, gram, quota.removed, columns)
    assert (kept == stays).all()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_wanda_multiplies_by_the_norm_and_not_by_its_square() -> None:
    """Scores 1·3 and 2·1: by squared norms 9 and 2, so the other of the second row would go."""
    weights = np.array([[1.0, 2.0], [1.0, 4.0]])
    norms = np.broadcast_to([3.0, 1.0], weights.shape)
    order = keys(Block(name="a", start=0, weights=weights, inputs=norms)).argsort(axis=1)
    assert order.tolist() == [[1, 0], [0, 1]]


def test_alps_comes_near_to_the_best_of_all_masks() -> None:
    weights, gram = layer(rows=1, width=8, seed=3)
    quota = Quota(4)
    found, kept = alps.solve(weights, gram, quota)
    assert kept.sum() == 4
    best = min(
        error(weights, least_squares(weights, mask, gram), gram)
        for some in combinations(range(8), 4)
        for mask in [np.isin(np.arange(8), some)[None]]
    )
    assert error(weights, found, gram) <= 1.2 * best


@pytest.mark.parametrize("scope", ["layer", "row"])
def test_errors_fall_from_magnitude_over_wanda_and_sparsegpt_to_alps(scope: str) -> None:
    weights, gram = layer(rows=64, width=96, tokens=2000)
    quota = Quota.of(0.6, weights.shape, scope, UNSTRUCTURED)
    by_magnitude = np.where(quota.kept(np.abs(weights)), weights, 0)
    by_wanda = np.where(wanda_mask(weights, gram, quota), weights, 0)
    errors = [
        error(weights, found, gram)
        for found in (
            alps.solve(weights, gram, quota)[0],
            sparsegpt.solve(weights, gram, quota)[0],
            by_wanda,
            by_magnitude,
        )
    ]
    assert errors == sorted(errors)


def test_repair_halves_what_magnitude_loses_and_comes_near_the_exact_solution() -> None:
    weights, gram = layer(rows=64, width=96, tokens=2000)
    kept = Quota.of(0.7, weights.shape, "layer", UNSTRUCTURED).kept(np.abs(weights))
    start = np.where(kept, weights, 0)
    mended = conjugate_gradients(weights, start, kept, gram)
    before, after = (error(weights, one, gram) for one in (start, mended))
    exact = error(weights, least_squares(weights, kept, gram), gram)
    assert after <= 0.5 * before
    assert exact <= after <= 1.1 * exact
    assert not mended[~kept].any()


@pytest.mark.parametrize("solve", [sparsegpt.solve, alps.solve])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("scope", ["layer", "row"])
def test_exactly_as_many_go_as_the_quota_says(solve, level: float, scope: str) -> None:
    weights, gram = layer(rows=5, width=13)
    quota = Quota.of(level, weights.shape, scope, UNSTRUCTURED)
    found, kept = solve(weights, gram, quota)
    gone = round(level * 13) * 5 if scope == "row" else round(level * 65)
    assert (kept.size - kept.sum(), np.count_nonzero(found == 0)) == (gone, gone)


@pytest.mark.parametrize("solve", [sparsegpt.solve, alps.solve])
@pytest.mark.parametrize(("kept_of_each", "group"), [(2, 4), (1, 4), (3, 4), (1, 3), (5, 12)])
def test_of_every_group_of_a_pattern_so_many_are_kept(
    solve, kept_of_each: int, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where groups do not fill a block of columns."""
    monkeypatch.setattr(sparsegpt, "COLUMNS", 8)
    weights, gram = layer(rows=5, width=24)
    found, kept = solve(weights, gram, Quota(pattern=f"{kept_of_each}:{group}"))
    assert (kept.reshape(5, -1, group).sum(axis=2) == kept_of_each).all()
    assert ((found != 0) == kept).all()


@pytest.mark.parametrize("solve", [sparsegpt.solve, alps.solve])
def test_zeros_that_were_there_go_first_and_stay(solve) -> None:
    weights, gram = layer(rows=5, width=16)
    weights[:, ::2] = 0
    few, _ = solve(weights, gram, Quota(10))
    assert not few[:, ::2].any()
    assert few[:, 1::2].all()
    more, _ = solve(weights, gram, Quota(50))
    assert np.count_nonzero(more == 0) == 50


@pytest.mark.parametrize("solve", [sparsegpt.solve, alps.solve])
def test_inputs_that_are_always_zero_go_first(solve) -> None:
    weights, gram = layer(rows=5, width=16)
    gram[3, :] = gram[:, 3] = 0
    found, _ = solve(weights, gram, Quota(5))
    assert not found[:, 3].any()
    assert np.isfinite(found).all()
