"""How long a forward pass takes. Reads the clock; nothing else may run meanwhile."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.positions import refuse_longer
from experiments.cores import usable_cores
from experiments.errors import UsageError

if TYPE_CHECKING:
    from experiments.records.latency import Latency

Say = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to time, in the words of a command; no levels are the usual ones, no threads all there are.

    Raises:
        UsageError: where there are not so many threads.
    """

    levels: Sequence[float] = ()
    batches: Sequence[int]
    tokens: Sequence[int]
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads > (most := most_threads()):
            raise UsageError(
                f"--threads {self.threads}",
                f"at most {most}, the cores this process may use",
                "ask for fewer",
            )


def most_threads() -> int:
    """The cores this process may use; fewer where numba, which multiplies sparsely, is held to fewer."""
    stated = os.environ.get("NUMBA_NUM_THREADS", "")
    return min(usable_cores(), int(stated)) if stated.isdecimal() else usable_cores()


def time(model: Checkpoint, request: Request, *, say: Say) -> list[dict[str, Any]]:
    """Milliseconds of a forward pass at every batch and length."""
    for tokens in request.tokens:
        refuse_longer(model.name, tokens, model.config())
    model.check_weights()
    from experiments.questions.pruning import already_zero

    found, count, zeros = _measured(model, request)
    if zeros:
        say(already_zero(zeros, count))
    for line in _summary(found):
        say(line)
    own = zeros / count if count else 0.0
    return [asdict(row) | {"limit": limit(max(row.level, own), row.path)} for row in found.rows]


def _measured(model: Checkpoint, request: Request) -> "tuple[Latency, int, int]":
    """The times, how many prunable weights the model has, and how many of them are zero."""
    from experiments.models import opening
    from experiments.models.coverage import prunable_parameters
    from experiments.pruning.open_weights import open_to_prune
    from experiments.pruning.settings import Settings
    from experiments.speed import latency
    from experiments.study.reading import DEFAULT_LEVELS

    opening.be_quiet()
    opened = open_to_prune(model)
    shapes = dict.fromkeys(
        (batch, length) for batch in request.batches for length in request.tokens
    )
    found = latency.measure(
        opened,
        Settings(),
        tuple(dict.fromkeys(request.levels or DEFAULT_LEVELS)),
        shapes=list(shapes),
        threads=request.threads or most_threads(),
    )
    weights = [tensor for _, tensor in prunable_parameters(opened.model)]
    count = sum(tensor.numel() for tensor in weights)
    return found, count, sum(int((tensor == 0).sum()) for tensor in weights)


def _summary(found: "Latency") -> Iterator[str]:
    """What the rows alone do not tell."""
    yield f"dense and masked multiply by {found.dense_by}"
    yield (
        "a level's speed is of rounds in which dense ran beside it, the dense row of all levels' rounds"
    )
    for level, batch, length in dict.fromkeys((x.level, x.batch, x.tokens) for x in found.trials):
        tried = [x for x in found.trials if (x.level, x.batch, x.tokens) == (level, batch, length)]
        sparse = sum(one.sparse for one in tried)
        taken = f"{sparse} of {len(tried)} linear maps sparse"
        same = "" if sparse else ": its times are masked's"
        yield f"level {level:g}, {batch} × {length}: {taken}{same}"
    for batch, length in dict.fromkeys((x.batch, x.tokens) for x in found.trials):
        start = found.break_even(batch, length)
        what = (
            "not surely faster than dense at the highest level"
            if start is None
            else f"faster than dense from level {start:g} on"
        )
        yield f"{batch} × {length}: sparse is {what}"
    yield from (f"not timed: {reason}" for reason in found.skipped)


def limit(sparsity: float, path: str) -> float | None:
    """The most that skipping zeros could be worth, 1 / (1 - sparsity); of paths that skip none, 1.

    None where nothing is left.

    >>> limit(0.75, "sparse"), limit(0.75, "masked"), limit(1.0, "sparse")
    (4.0, 1.0, None)
    """
    if path in ("dense", "masked"):
        return 1.0
    return None if sparsity >= 1 else 1 / (1 - sparsity)
