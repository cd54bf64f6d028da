"""How many weights of a matrix go, and which by their scores. Pure: arrays in, boolean arrays out.

Matrices are out × in, scores not negative; the smallest scores go, equal ones in row-major order. True
is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from experiments.pruning import masks
from experiments.pruning.magnitudes import Keys, magnitude_keys, removed_count
from experiments.pruning.masks import Mask
from experiments.pruning.patterns import UNSTRUCTURED, parse_pattern

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Quota:
    """What a matrix gives: `removed` weights of the whole of it, or of each row; or by an N:M pattern.

    By row, the first `more` rows give one more each.

    >>> scores = np.array([[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]])
    >>> Quota(4).kept(scores).sum(axis=1).tolist(), Quota(2, by_row=True).kept(scores)[1].tolist()
    ([0, 4], [True, True, False, False])
    >>> Quota(pattern="1:2").kept(scores)[0].tolist()
    [False, True, False, True]
    """

    removed: int = 0
    by_row: bool = False
    pattern: str = UNSTRUCTURED
    more: int = 0

    @classmethod
    def of(cls, level: float, shape: tuple[int, int], scope: str, pattern: str) -> "Quota":
        """The quota of a level of a matrix that is ranked as a whole ("layer") or row by row ("row").

        >>> Quota.of(0.5, (2, 5), "row", UNSTRUCTURED), Quota.of(0.5, (2, 5), "layer", UNSTRUCTURED).removed
        (Quota(removed=2, by_row=True, pattern='unstructured', more=0), 5)
        """
        rows, width = shape
        by_row = scope == "row"
        count = width if by_row else rows * width
        return cls(removed_count(level, count), by_row, pattern)

    @classmethod
    def of_count(cls, count: int, rows: int, scope: str) -> "Quota":
        """The quota of a matrix of so many rows that gives so many weights in all.

        >>> Quota.of_count(7, 3, "row")
        Quota(removed=2, by_row=True, pattern='unstructured', more=1)
        """
        if scope != "row":
            return cls(count)
        removed, more = divmod(count, max(rows, 1))
        return cls(removed, by_row=True, more=more)

    def kept(self, scores: Scores) -> Mask:
        """Which of a matrix's weights stay, by their scores."""
        return self.kept_by_keys(magnitude_keys(np.ascontiguousarray(scores)))

    def kept_by_keys(self, keys: Keys) -> Mask:
        """The same by a method's keys."""
        if self.pattern != UNSTRUCTURED:
            kept, group = parse_pattern(self.pattern)
            return masks.n_of_m(keys, kept, group, input_axis=1)
        groups = keys if self.by_row else keys.reshape(1, -1)
        mask = masks.without_first(groups, self.removed)
        if self.more:
            mask[: self.more] = masks.without_first(groups[: self.more], self.removed + 1)
        return mask.reshape(keys.shape)

    def shared(self, widths: Sequence[int]) -> "list[Quota]":
        """The quota handed out to blocks of columns, by their widths, so that they give as many together.

        The remainder goes to the largest fractions, the first of equal ones first; what some rows give more,
        to the block with most left.

        >>> [one.removed for one in Quota(5).shared([4, 4, 2])]
        [2, 2, 1]
        """
        given = largest_remainder(self.removed, widths)
        roomiest = max(range(len(widths)), key=lambda place: widths[place] - given[place])
        return [
            replace(self, removed=count, more=self.more if place == roomiest else 0)
            for place, count in enumerate(given)
        ]


def largest_remainder(total: int, weights: Sequence[float]) -> list[int]:
    """A count handed out in proportion to weights, exactly: floors, then the largest fractions first.

    >>> largest_remainder(10, [1, 1, 1]), largest_remainder(0, [2, 1])
    ([4, 3, 3], [0, 0])
    """
    together = sum(weights)
    shares = [total * weight / together if together else 0.0 for weight in weights]
    given = [int(share) for share in shares]
    order = sorted(range(len(shares)), key=lambda place: given[place] - shares[place])
    for place in order[: total - sum(given)]:
        given[place] += 1
    return given
