"""Allocation: one level shared out to layers, some giving more and some less. Pure: numbers in, counts out.

Whatever the rule, as many weights go in all as at one level everywhere. A rule gives each part of a model
an offset of at most SPREAD from the level; a shift brings the sum to the budget, rates staying in [0, 1].
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.models.coverage import Entry
from experiments.pruning.magnitudes import removed_count
from experiments.pruning.quota import largest_remainder

SPREAD = 0.08  # OWL's own; error-based rules stand more, and are held to the same here
OUTLIER = 5.0  # times the mean score of a block, above which OWL calls a weight an outlier
Matrix = NDArray[np.float64]
Part = tuple[
    str, int, str
]  # a stack, a block's depth in it, and where they are apart the kind of map


@dataclass(frozen=True)
class Rule:
    """How a level is shared out: by what statistics of calibration, and whether kinds of maps are apart.

    `offsets` are those of the parts, in the order of the scores given, each in [-1, 1] times SPREAD; where
    all parts are alike, all are 0.
    """

    summary: str
    cite: str
    offsets: Callable[[Sequence[float]], list[float]]
    needs: str = "weights"
    by_kind: bool = False


def rising(scores: Sequence[float]) -> list[float]:
    """From -1 at the first part to 1 at the last, in equal steps, whatever the scores.

    >>> rising([5.0, 5.0, 5.0])
    [-1.0, 0.0, 1.0]
    """
    last = len(scores) - 1
    return [2 * place / last - 1 if last else 0.0 for place in range(len(scores))]


def more_where_high(scores: Sequence[float]) -> list[float]:
    """From -1 at the lowest score to 1 at the highest; all 0 where they are equal.

    >>> more_where_high([2.0, 4.0, 3.0]), more_where_high([1.0, 1.0])
    ([-1.0, 1.0, 0.0], [0.0, 0.0])
    """
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    if not high > low:
        return [0.0 for _ in scores]
    return [2 * (score - low) / (high - low) - 1 for score in scores]


def less_where_high(scores: Sequence[float]) -> list[float]:
    """The other sign.

    >>> less_where_high([2.0, 4.0, 3.0])
    [1.0, -1.0, -0.0]
    """
    return [-offset for offset in more_where_high(scores)]


RULES: dict[str, Rule] = {
    "arithmetic": Rule(
        summary="later blocks give more, in equal steps",
        cite="huang2025atp",
        offsets=rising,
    ),
    "owl": Rule(
        summary="blocks with many outliers among |w|·‖x‖ give less",
        cite="yin2024owl",
        offsets=less_where_high,
        needs="norms",
    ),
    "error": Rule(
        summary="maps whose outputs half their weights move much give less",
        cite="",
        offsets=less_where_high,
        needs="gram",
        by_kind=True,
    ),
    "error-inverse": Rule(
        summary="maps whose outputs half their weights move much give more",
        cite="",
        offsets=more_where_high,
        needs="gram",
        by_kind=True,
    ),
}


def part_of(entry: Entry, *, by_kind: bool) -> Part:
    """The part of a model that a prunable map belongs to.

    >>> entry = Entry(name="h.3.mlp.c_fc.weight", role="feed-forward in", prunable=True, reason="", depth=3)
    >>> part_of(entry, by_kind=True), part_of(entry, by_kind=False)
    (('', 3, 'feed-forward'), ('', 3, ''))
    """
    kind = next((kind for kind in ("feed-forward", "attention") if kind in entry.role), "")
    return entry.stack, -1 if entry.depth is None else entry.depth, kind if by_kind else ""


def outliers(scores: Sequence[Matrix]) -> float:
    """The share of a block's scores |w|·‖x‖ above OUTLIER times their mean (Yin et al. 2024, eq. 2).

    >>> outliers([np.array([[1.0, 1.0, 1.0]]), np.full((1, 6), 1.0), np.array([[41.0]])])
    0.1
    """
    together = np.concatenate([np.empty(0), *(one.reshape(-1) for one in scores)])
    return float(np.mean(together > OUTLIER * np.mean(together))) if together.size else 0.0


def counts(
    rule: Rule, level: float, sizes: Mapping[str, int], parts: Mapping[str, Part],
    scores: Mapping[Part, float],
) -> dict[str, int]:  # fmt: skip
    """How many weights each map gives, by name: together as many as the level asks of them all.

    `sizes` are the maps' weights, `scores` those of the parts by their order in the model.

    >>> sizes, parts = {"a": 100, "b": 100}, {"a": ("", 0, ""), "b": ("", 1, "")}
    >>> counts(RULES["arithmetic"], 0.5, sizes, parts, {("", 0, ""): 0.0, ("", 1, ""): 0.0})
    {'a': 42, 'b': 58}
    """
    offsets = dict(zip(scores, rule.offsets(list(scores.values()))))
    wanted = np.array([level + SPREAD * offsets[parts[name]] for name in sizes])
    weights = np.array(list(sizes.values()), np.float64)
    total = removed_count(level, sum(sizes.values()))
    rates = _shifted(wanted, weights, total)
    given = largest_remainder(total, list(rates * weights))
    return dict(zip(sizes, given))


def _shifted(wanted: Matrix, weights: Matrix, total: int) -> Matrix:
    """Rates in [0, 1] that are the wanted ones and one shift, and together remove `total` of the weights."""
    low, high = -1.0 - SPREAD, 1.0 + SPREAD
    for _ in range(100):
        middle = (low + high) / 2
        if np.clip(wanted + middle, 0, 1) @ weights < total:
            low = middle
        else:
            high = middle
    return np.clip(wanted + high, 0, 1)
