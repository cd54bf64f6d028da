"""How well a causal model predicts a text, and how two such answers differ.

Pure data; touches neither disk, clock nor network.
"""

from dataclasses import dataclass
from typing import ClassVar

from experiments.records.cell import Interval


@dataclass(frozen=True, kw_only=True)
class Perplexity:
    """How well a causal model predicted a text: the exponential of the mean loss of a token.

    `n` tokens were scored, each once, in windows of `window` tokens; `losses` (nats) and `tokens`
    have one entry a window. Each window begins with the marks `begins`, as the tokenizer begins a
    text: "" where it sets none, null in records of windows of which only the first begins so.
    `digest` is that of the tokens read: perplexities of others are of another question. `interval` is
    null where there are too few windows for one or all resamples score the same; `no_interval` says.
    """

    kind: ClassVar[str] = "perplexity"
    task: str
    split: str
    n: int
    value: float
    interval: Interval | None
    window: int
    digest: str
    losses: tuple[float, ...]
    tokens: tuple[int, ...]
    prunable: int
    zeros: int
    warnings: tuple[str, ...]
    begins: str | None = None
    no_interval: str | None = None


@dataclass(frozen=True, kw_only=True)
class PerplexityChange:
    """Two perplexities of one origin on the same windows: the first against the other.

    `ratio` is the first over the other; above 1 is worse. `no_interval` says why an interval is null.
    """

    kind: ClassVar[str] = "perplexity_change"
    task: str
    n: int
    value: float
    other_value: float
    difference: float
    difference_interval: Interval | None
    ratio: float
    ratio_interval: Interval | None
    no_interval: str | None = None
