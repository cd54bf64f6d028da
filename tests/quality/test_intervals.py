"""Intervals: printed values of the literature, exact enumeration, and brute-force resampling."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from experiments.quality.intervals import (
    bootstrap,
    bootstrap_units,
    mcnemar,
    median_interval,
    paired_difference,
    smallest_detectable,
    wilson,
)

Z = 1.959963984540054


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I,
        # the score method without continuity correction.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # The R package of Fagerland, Lydersen & Laake, "Statistical Analysis of Contingency
        # Tables" (github.com/ocbe-uio/contingencytables, tests).
        (13, 16, 0.5699, 0.9341),
    ],
)
def test_wilsons_interval_is_as_printed(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_wilsons_bounds_are_the_roots_of_the_score(n: int) -> None:
    for right in {0, n // 3, n}:
        for bound in wilson(right, n):
            distance = abs(right / n - bound)
            assert distance == pytest.approx(Z * math.sqrt(bound * (1 - bound) / n), abs=1e-9)


@pytest.mark.parametrize(
    ("gained", "lost", "n", "low", "high"),
    [
        # Cavo et al. 2012, as printed in the same R package's tests: Tango's interval, neither
        # Wald's (-0.1184, -0.0058) nor Newcombe's (-0.1186, -0.0046).
        (6, 16, 161, -0.1240, -0.0054),
        # Bentur et al. 2009; data in Fagerland, Lydersen & Laake 2014, table II.
        (1, 7, 21, -0.5172, -0.0260),
    ],
)
def test_tangos_interval_is_that_of_the_sources_beside_each(
    gained: int, lost: int, n: int, low: float, high: float
) -> None:
    expected = (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    assert paired_difference(gained, lost, n) == expected


def score(gained: int, lost: int, n: int, delta: float) -> float:
    """Standard errors between the difference seen and `delta`, by maximum likelihood.

    The rate of losses q is free, that of gains is q + delta: the likelihood is maximised by search.
    """

    def minus_log_likelihood(q: float) -> float:
        terms = [(gained, q + delta), (lost, q), (n - gained - lost, 1 - 2 * q - delta)]
        return -sum(count * math.log(rate) for count, rate in terms if count)

    lowest, highest = max(0.0, -delta), (1 - delta) / 2
    q = minimize_scalar(
        minus_log_likelihood, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-12}
    ).x
    return (gained - lost - n * delta) / math.sqrt(n * (2 * q + delta - delta**2))


@pytest.mark.parametrize(
    ("gained", "lost", "n"), [(0, 1, 44), (5, 5, 100), (3, 7, 200), (0, 5, 50), (30, 2, 60)]
)
def test_tangos_bounds_lie_196_standard_errors_from_the_difference(
    gained: int, lost: int, n: int
) -> None:
    low, high = paired_difference(gained, lost, n)
    assert score(gained, lost, n, low) == pytest.approx(Z, abs=1e-4)
    assert score(gained, lost, n, high) == pytest.approx(-Z, abs=1e-4)


def test_a_difference_of_the_same_answers_turned_round_has_the_other_sign() -> None:
    low, high = paired_difference(6, 16, 161)
    assert paired_difference(16, 6, 161) == (pytest.approx(-high), pytest.approx(-low))


def test_bounds_stay_in_range_where_all_or_nothing_changed() -> None:
    assert paired_difference(5, 0, 5)[1] == 1.0
    assert paired_difference(0, 5, 5)[0] == -1.0
    low, high = paired_difference(0, 0, 50)
    # (0 - 50 delta)² = z² · 50 · |delta| (1 - |delta|): delta = z² / (50 + z²)
    assert (low, high) == (pytest.approx(-high), pytest.approx(Z**2 / (50 + Z**2)))


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [
        # Cavo and Bentur as above: the exact conditional test, neither mid-P (0.0347, 0.0391)
        # nor the asymptotic one (0.0330, 0.0339).
        (6, 16, 0.052479),
        (1, 7, 0.070312),
        (3, 7, 0.34375),
        (0, 5, 0.0625),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_mcnemars_p_value_is_the_exact_one(gained: int, lost: int, p: float) -> None:
    assert mcnemar(gained, lost) == mcnemar(lost, gained) == pytest.approx(p, abs=6e-7)


@pytest.mark.parametrize("disagreements", [0, 3, 5, 6, 7, 8, 9, 20, 137])
def test_the_smallest_detectable_loss_is_the_first_that_is_significant(disagreements: int) -> None:
    changed = max(disagreements, 6)  # of five no split is significant: 2 · 2^-5 is 6 %

    def p_value(gained: int) -> float:
        return 2 * sum(math.comb(changed, k) for k in range(gained + 1)) / 2**changed

    losses = [changed - 2 * gained for gained in range(changed // 2) if p_value(gained) < 0.05]
    assert smallest_detectable(disagreements, 1000) == min(losses) / 1000


def first_share(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return counts[:, 0] / counts.sum(axis=1)


def by_brute_force(
    categories: Sequence[int], clusters: Sequence[object], statistic: Callable[..., NDArray]
) -> tuple[float, float]:
    """Draw clusters with replacement, gather their examples, and take the middle 95 %."""
    generator, groups = np.random.default_rng(7), {}
    for category, cluster in zip(categories, clusters):
        groups.setdefault(cluster, []).append(category)
    members, values = list(groups.values()), []
    for _ in range(4000):
        drawn = [members[at] for at in generator.integers(len(members), size=len(members))]
        counts = np.bincount(np.concatenate(drawn), minlength=max(categories) + 1)
        values.append(statistic(counts[None])[0])
    return tuple(np.quantile(values, [0.025, 0.975]))


def test_the_bootstrap_agrees_with_resampling_by_brute_force() -> None:
    """To half of what 90 % instead of 95 % would make."""
    categories = [0] * 180 + [1] * 72 + [2] * 48
    expected = by_brute_force(categories, range(300), first_share)
    found = bootstrap(np.array(categories), first_share)
    assert found.interval == pytest.approx(expected, abs=0.0045)


def test_examples_that_belong_together_are_drawn_together() -> None:
    """Pairs that are right or wrong together carry half the information: √2 times the width."""
    categories = [0] * 60 + [1] * 40
    pairs = [at // 2 for at in range(100)]
    low, high = bootstrap(np.array(categories), first_share).interval
    low_paired, high_paired = bootstrap(np.array(categories), first_share, clusters=pairs).interval
    assert (high_paired - low_paired) / (high - low) == pytest.approx(math.sqrt(2), abs=0.1)
    expected = by_brute_force(categories, pairs, first_share)
    assert (low_paired, high_paired) == pytest.approx(expected, abs=0.021)


def test_clusters_of_unequal_size_are_drawn_whole() -> None:
    categories, clusters = [0] * 9 + [1] * 8, ["a"] * 9 + list("bcdefghi")
    expected = by_brute_force(categories, clusters, first_share)
    found = bootstrap(np.array(categories), first_share, clusters=clusters).interval
    assert found == pytest.approx(expected, abs=0.05)
    assert found[0] == 0.0  # cluster a is left out of more than a third of the resamples


def test_the_bootstrap_is_the_same_each_time() -> None:
    categories = np.arange(40) % 3
    assert bootstrap(categories, first_share) == bootstrap(categories, first_share)


def mean(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return sums[:, 0] / sums[:, 1]


@pytest.mark.parametrize("n", [40, 400])
def test_a_mean_of_units_has_the_width_that_its_standard_error_gives(n: int) -> None:
    """Twice 1.96 standard errors, s/√n: drawing four times as many would halve it."""
    values = np.random.default_rng(n).normal(size=n)
    found = bootstrap_units(np.stack([values, np.ones(n)], axis=1), mean).interval
    assert found is not None
    assert found[1] - found[0] == pytest.approx(2 * Z * values.std() / math.sqrt(n), rel=0.05)
    assert sum(found) / 2 == pytest.approx(values.mean(), abs=0.1 * values.std() / math.sqrt(n))


def test_a_mean_of_examples_has_the_width_that_its_standard_error_gives() -> None:
    """The same of 30 % in 500 examples: the standard error is √(0.3 · 0.7 / 500)."""
    low, high = bootstrap(np.array([0] * 150 + [1] * 350), first_share).interval
    assert high - low == pytest.approx(2 * Z * math.sqrt(0.3 * 0.7 / 500), rel=0.05)


@pytest.mark.parametrize("value", [0.0, 1.0, 40.0, 1e6 / 3])
def test_an_interval_of_no_width_is_none_and_says_why(value: float) -> None:
    """Of units all alike every draw gives the same, whatever other units would have given."""
    units = np.stack([value * np.arange(1, 31), np.arange(1, 31)], axis=1)
    assert bootstrap_units(units, mean) == (None, "every resample scores the same")
    assert bootstrap(np.zeros(30, np.intp), first_share).interval is None


def test_an_interval_of_very_small_values_has_a_width_of_its_own() -> None:
    """As of a perplexity that pruning at random makes 1e10 times as high."""
    values = 1e-10 * np.random.default_rng(0).uniform(1, 5, size=40)
    low, high = bootstrap_units(np.stack([values, np.ones(40)], axis=1), mean).interval
    assert high - low == pytest.approx(2 * Z * values.std() / math.sqrt(40), rel=0.05)


def test_of_fewer_than_ten_units_there_is_no_interval_and_it_is_said() -> None:
    units = np.stack([np.arange(9.0), np.ones(9)], axis=1)
    assert bootstrap_units(units, mean) == (None, "fewer than 10 windows: 9")
    assert bootstrap_units(np.concatenate([units, units[:1]]), mean).interval is not None


def test_a_medians_interval_covers_95_percent_and_none_narrower_does() -> None:
    def coverage(n: int, rank: int) -> float:
        """The chance that the true median lies between the order statistics rank and n-1-rank."""
        return sum(math.comb(n, k) for k in range(rank + 1, n - rank)) / 2**n

    for n in range(6, 80):
        found = median_interval([float(value) for value in reversed(range(n))])
        rank = int(found[0])
        assert found == (rank, n - 1 - rank)
        assert coverage(n, rank) >= 0.95 > coverage(n, rank + 1)


def test_fewer_than_six_values_have_no_interval_of_their_median() -> None:
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert median_interval([]) is None


def test_of_20_values_the_6th_and_15th_bound_the_median() -> None:
    """As tables of the sign test have it (Conover, "Practical Nonparametric Statistics")."""
    assert median_interval(range(1, 21)) == (6.0, 15.0)
