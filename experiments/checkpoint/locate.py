"""Finding the checkpoint that a word means: a folder, a weights file, mini/NAME, or a hub id.

Looks at the disk; asks the network only for what is none of the first three, and never while
HF_HUB_OFFLINE=1.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError, hint, notice

MINIATURES = Path(__file__).parent.parent / "miniatures"
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*(@\w[\w.-]*(/\w[\w.-]*)*)?")


def locate(model: str, *, relative_to: Path) -> Checkpoint:
    """The checkpoint named `model`; relative paths start at `relative_to`.

    A notice tells of weights beside those that it means.

    Raises:
        ReportError: where nothing of that name is found.
    """
    found = _named(model, relative_to)
    with suppress(ReportError):  # told where its weights are asked for
        if others := found.left_aside():
            read = [path.name for path in found.weight_files()]
            notice(f"{found.name}: read from {_few(read)}; left aside: {_few(others)}")
    return found


def _few(names: Sequence[str]) -> str:
    """Names, or the first and how many more.

    >>> _few(["a", "b"]), _few(["a", "b", "c", "d"])
    ('a, b', 'a and 3 more')
    """
    shown = [name if name.isprintable() else ascii(name) for name in names]
    return ", ".join(shown) if len(shown) < 4 else f"{shown[0]} and {len(shown) - 1} more"


def _named(model: str, relative_to: Path) -> Checkpoint:
    path = relative_to / model
    if path.is_dir():
        return Checkpoint(without_folder(model), path)
    if path.is_file():
        return Checkpoint(without_folder(model), path.parent, weights=path)
    if model.startswith("mini/"):
        return _miniature(model)
    if HUB_ID.fullmatch(model):
        from experiments.checkpoint.repository import from_hub

        return from_hub(model)
    raise ReportError(
        f"model {model!r}",
        "a folder, a weights file, mini/NAME or a hub id org/name",
        "check the path, or see `gen list models`",
    )


def miniatures() -> list[str]:
    """The bundled checkpoints, as `mini/NAME`."""
    return sorted(f"mini/{path.parent.name}" for path in MINIATURES.glob("*/config.json"))


def without_folder(model: str) -> str:
    """A model's name with no folder of this machine in it."""
    return Path(model).name if Path(model).is_absolute() else model


def _miniature(model: str) -> Checkpoint:
    folder = MINIATURES / model.removeprefix("mini/")
    if model not in (names := miniatures()):
        raise ReportError(f"model {model!r}", f"one of {', '.join(names)}", hint(model, names))
    return Checkpoint(model, folder)
