"""A bound on what transformers builds of a configuration: about the model that the files hold, no more.

Counted as modules and parameters come to be, so that a configuration which asks for a million of them, by
whatever key, ends in one line long before memory does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules import module as modules

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError

# A model's parts to its stored tensors, and numbers to numbers: ties and what is set anew when loaded
# are counted twice, packed words stand for eight weights. So many more are always let pass.
TIMES, PARTS, NUMBERS = 16, 1 << 12, 1 << 24


@contextmanager
def bounded(checkpoint: Checkpoint) -> Iterator[None]:
    """Inside the block a model of this checkpoint may be built.

    Raises:
        ReportError: as soon as there is far more of it than is stored.
    """
    stored = checkpoint.tensors()
    parts = TIMES * len(stored) + PARTS
    numbers = TIMES * sum(tensor.count for tensor in stored) + NUMBERS

    def count(owner: Any, name: str, part: Any) -> None:
        nonlocal parts, numbers
        parts -= 1
        numbers -= part.numel() if hasattr(part, "numel") else 0
        if min(parts, numbers) < 0:
            raise ReportError(
                f"{checkpoint.name}",
                f"a configuration of the {len(stored)} stored tensors, found one of a far larger model",
                "copy the model's own config.json there",
            )

    hooks: list[Any] = [
        modules.register_module_module_registration_hook(count),
        modules.register_module_parameter_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
