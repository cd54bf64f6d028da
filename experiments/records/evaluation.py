"""How a model answered a task, and how two answers to it differ.

Pure data; touches neither disk, clock nor network.
"""

from dataclasses import dataclass
from typing import ClassVar

from experiments.records.cell import Interval


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a model answered one task. `value` is in the metric's own unit, fractions not percent.

    `references` and `predictions` are indices into `labels`; a prediction of -1 is an answer that
    is no label. `interval` is null where it is undefined (MCC with one predicted class) or all
    resamples score the same, and `no_interval` says which; records made before it have neither.
    `no_token` are the places, from 0, of sentences asked for that gave no token, and are not of the `n`.
    """

    kind: ClassVar[str] = "evaluation"
    task: str
    split: str
    n: int
    metric: str
    value: float
    interval: Interval | None
    accuracy: float
    accuracy_interval: Interval
    answered_by: str
    label_mapping: str
    constant_prediction: bool
    majority: float
    majority_label: str
    not_a_label: int
    truncated: int
    prunable: int
    zeros: int
    labels: tuple[str, ...]
    references: tuple[int, ...]
    predictions: tuple[int, ...]
    warnings: tuple[str, ...]
    no_interval: str | None = None
    no_token: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two cells of one origin on the same examples: the first minus the one it is held against.

    `gained` and `lost` count examples only the first, or only the other, answered right. `p_value`
    is McNemar's exact test on them. `smallest_detectable` is the smallest net loss in accuracy
    that this many examples and disagreements could have shown at 5 %. `no_interval` says why
    `difference_interval` is null.
    """

    kind: ClassVar[str] = "comparison"
    task: str
    n: int
    metric: str
    value: float
    other_value: float
    difference: float
    difference_interval: Interval | None
    accuracy_difference: float
    accuracy_difference_interval: Interval
    gained: int
    lost: int
    p_value: float
    smallest_detectable: float
    no_interval: str | None = None
