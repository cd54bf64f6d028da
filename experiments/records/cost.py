"""What choosing weights by calibration takes.

Pure data; touches neither disk, clock nor network.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What it took to prune a checkpoint by a text: processor time, and memory where the system tells it.

    `samples` windows of the text of `task` were shown, of `tokens` in all. `seconds` are those of one
    core, `peak_bytes` the most that the process held, with all it had read before.
    """

    kind: ClassVar[str] = "cost"
    task: str
    samples: int
    tokens: int
    seconds: float
    peak_bytes: int | None
