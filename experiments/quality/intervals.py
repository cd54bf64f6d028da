"""Intervals and comparisons at 95 %, by the sources named in each function. Pure.

Proportions have closed or score forms; everything else is bootstrapped. Examples that belong
together (minimal pairs) are resampled together.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, norm

Interval = tuple[float, float]
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]

CONFIDENCE = 0.95
RESAMPLES = 10_000
DRAWN_AT_ONCE = 100
FEWEST_UNITS = 10
ROUNDING = 1e-9  # a width below this share is that of float arithmetic, not of examples
SEED = 20_231_125
Z = float(norm.ppf(0.5 + CONFIDENCE / 2))


def wilson(right: int, n: int) -> Interval:
    """The score interval of a proportion (Wilson 1927).

    >>> [round(bound, 4) for bound in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    found = binomtest(right, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def paired_difference(gained: int, lost: int, n: int) -> Interval:
    """The score interval of a difference of paired proportions (Tango 1998).

    `gained` and `lost` count the examples that only the first, or only the second, had right, of
    `n` in all. Bounds lie in [-1, 1].

    >>> [round(bound, 3) for bound in paired_difference(1, 7, 21)]
    [-0.517, -0.026]
    """
    estimate = (gained - lost) / n

    def excess(delta: float, side: float) -> float:
        return _tango_score(gained, lost, n, delta) - side * Z

    low = -1.0 if estimate <= -1 else brentq(excess, -1 + 1e-12, estimate, args=(1.0,))
    high = 1.0 if estimate >= 1 else brentq(excess, estimate, 1 - 1e-12, args=(-1.0,))
    return float(low), float(high)


def _tango_score(gained: int, lost: int, n: int, delta: float) -> float:
    """How many standard errors the observed difference lies above `delta` (Tango 1998)."""
    a = 2.0 * n
    b = -gained - lost + (2.0 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    lost_rate = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * lost_rate + delta * (1 - delta))
    distance = gained - lost - n * delta
    if variance <= 0:
        return float(np.sign(distance) * np.inf) if distance else 0.0
    return float(distance / np.sqrt(variance))


def mcnemar(gained: int, lost: int) -> float:
    """The two-sided exact p-value of McNemar's test (McNemar 1947): 1 where nothing differs.

    >>> mcnemar(0, 6)
    0.03125
    """
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def smallest_detectable(disagreements: int, n: int) -> float:
    """The smallest net loss in accuracy that McNemar's exact test would call significant at 5 %.

    Given as many disagreements as were seen (at least six: with fewer none is significant) among
    `n` examples. A claim of "no loss" means no loss above this.

    >>> smallest_detectable(0, 1000)
    0.006
    """
    changed = max(disagreements, 6)
    gains = np.arange(changed // 2 + 1)
    significant = gains[2 * binom.cdf(gains, changed, 0.5) < 1 - CONFIDENCE]
    return float(changed - 2 * significant.max()) / n


class Bounds(NamedTuple):
    """An interval, or None and why there is none."""

    interval: Interval | None
    why: str | None = None


def bootstrap(
    categories: NDArray[np.intp],
    statistic: Statistic,
    *,
    values: NDArray[np.float64] | None = None,
    clusters: Sequence[object] | None = None,
) -> Bounds:
    """The percentile bootstrap interval of a statistic of sums over examples (Efron 1979).

    `categories` holds one category per example, shape (n,), and `values` what an example of each adds
    to the sums, shape (categories, k); without it the sums count the examples of each. `statistic`
    takes sums of shape (resamples, k) and gives one value a row. Examples of equal `clusters` are
    drawn together. 10,000 resamples with a fixed seed.

    >>> bootstrap(np.array([0, 0, 0]), lambda counts: counts[:, 0] / counts.sum(axis=1))
    Bounds(interval=None, why='every resample scores the same')
    """
    if values is None:
        values = np.eye(int(categories.max()) + 1)
    kinds = _cluster_kinds(categories, clusters)
    sums = np.array([values[list(kind)].sum(axis=0) for kind in kinds])
    how_many = np.array(list(kinds.values()))
    return _percentiles(sums, int(how_many.sum()), how_many / how_many.sum(), statistic)


def bootstrap_units(units: NDArray[np.float64], statistic: Statistic) -> Bounds:
    """The percentile bootstrap interval of a statistic of sums over units (Efron 1979).

    `units` has shape (n, k); `statistic` takes sums of drawn units, shape (resamples, k), and gives
    one value a row. None for fewer than ten units, of which draws say little. Resamples and seed as
    above.

    >>> bootstrap_units(np.ones((9, 2)), lambda sums: sums[:, 0] / sums[:, 1]).why
    'fewer than 10 windows: 9'
    """
    n = len(units)
    if n < FEWEST_UNITS:
        return Bounds(None, f"fewer than {FEWEST_UNITS} windows: {n}")
    return _percentiles(units, n, np.full(n, 1 / n), statistic)


def _percentiles(
    units: NDArray[np.float64], n: int, chances: NDArray[np.float64], statistic: Statistic
) -> Bounds:
    """The middle 95 % of a statistic of sums of `n` units, drawn by their chances.

    Memory does not grow with the number of resamples. Where all are alike the draws say nothing of
    what other examples would show: a width of nothing would claim to know it.
    """
    draw = np.random.default_rng(SEED)
    found = np.concatenate(
        [
            statistic(draw.multinomial(n, chances, size=DRAWN_AT_ONCE) @ units)
            for _ in range(RESAMPLES // DRAWN_AT_ONCE)
        ]
    )
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if math.isclose(low, high, rel_tol=ROUNDING, abs_tol=sys.float_info.epsilon):
        return Bounds(None, "every resample scores the same")
    return Bounds((float(low), float(high)))


def _cluster_kinds(
    categories: NDArray[np.intp], clusters: Sequence[object] | None
) -> dict[tuple[int, ...], int]:
    """The distinct kinds of cluster as the categories they hold, and how many there are of each.

    Drawing clusters with replacement is a multinomial draw over their kinds.
    """
    members: dict[object, list[int]] = {}
    for name, category in zip(clusters or range(len(categories)), categories.tolist()):
        members.setdefault(name, []).append(category)
    kinds = Counter(tuple(sorted(held)) for held in members.values())
    return {kind: kinds[kind] for kind in sorted(kinds, key=lambda kind: (*kind, math.inf))[::-1]}


def median_interval(values: Sequence[float]) -> Interval | None:
    """The order-statistic interval of a median, conservative: at least 95 %; None below six values.

    >>> median_interval([5, 1, 2, 4, 3, 6])
    (1.0, 6.0)
    """
    ordered, n = sorted(values), len(values)
    rank = int(binom.ppf((1 - CONFIDENCE) / 2, n, 0.5))
    if 2 * binom.cdf(rank, n, 0.5) > 1 - CONFIDENCE:
        rank -= 1
    return (float(ordered[rank]), float(ordered[n - 1 - rank])) if rank >= 0 else None
