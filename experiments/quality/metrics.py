"""Matthews correlation from sums over examples, as the bootstrap takes it ten thousand times. Pure.

An answer that is no label, index -1, is a class of its own.
"""

import numpy as np
from numpy.typing import NDArray

# Why there is none: by convention it is 0, which no examples could change.
ONE_LABEL = "MCC is not defined where all sentences have one label"
ONE_ANSWER = "MCC is not defined of one answer to everything"


def marginals(
    references: NDArray[np.intp], predictions: NDArray[np.intp], labels: int
) -> NDArray[np.float64]:
    """What each example adds to the sums that Matthews correlation is made of.

    Shape (n, 1 + 2 (labels + 1)): whether it is right, then a one at its reference, and at its
    prediction. They stand for the confusion matrix, whose size is the square of theirs.

    >>> marginals(np.array([1]), np.array([-1]), 2).tolist()
    [[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]]
    """
    one = np.eye(labels + 1)
    right = np.equal(references, predictions).astype(np.float64)
    return np.concatenate([right[:, None], one[references], one[predictions]], axis=1)


def matthews(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matthews correlation for any number of classes, of sums of `marginals` along the last axis.

    -1 to 1; 0 by convention where references or predictions have one class only. Source: Matthews
    1975; Gorodkin 2004 for more than two classes.

    >>> references, predictions = np.array([1, 1, 1, 0]), np.array([1, 0, 1, 1])
    >>> float(matthews(marginals(references, predictions, 2).sum(axis=0)).round(6))
    -0.333333
    """
    actual, answered = np.split(sums[..., 1:].astype(np.float64), 2, axis=-1)
    total = actual.sum(axis=-1)
    covariance = sums[..., 0] * total - (actual * answered).sum(axis=-1)
    spread_actual = total**2 - (actual**2).sum(axis=-1)
    spread_answered = total**2 - (answered**2).sum(axis=-1)
    spread = np.sqrt(spread_actual * spread_answered)
    return np.asarray(np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0))
