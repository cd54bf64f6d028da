"""Finding the checkpoint that a word means: a folder, a weights file, mini/NAME, or a hub id.

Looks at the disk; asks the network only for what is none of the first three, and never while
HF_HUB_OFFLINE=1.
"""

import os
import re
from difflib import get_close_matches
from pathlib import Path

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError

MINIATURES = Path(__file__).parent.parent / "miniatures"
HUB_COMPANIONS = ("*.json", "*.txt", "*.model", "*.jinja", "README.md")
HUB_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # the first that a repository has
HUB_ID = re.compile(r"[\w][\w.-]*/[\w][\w.-]*(@[\w./-]+)?")


def locate(model: str, *, relative_to: Path) -> Checkpoint:
    """The checkpoint named `model`; relative paths start at `relative_to`.

    Raises:
        ReportError: where nothing of that name is found.
    """
    path = relative_to / model
    if path.is_dir():
        return Checkpoint(_shown(model), path)
    if path.is_file():
        return Checkpoint(_shown(model), path.parent, weights=path)
    if model.startswith("mini/"):
        return _miniature(model)
    if HUB_ID.fullmatch(model):
        return _from_hub(model)
    raise ReportError(
        f"model {model!r}",
        "a folder, a weights file, mini/NAME or a hub id org/name",
        "check the path, or see `gen list models`",
    )


def miniatures() -> list[str]:
    """The bundled checkpoints, as `mini/NAME`."""
    return sorted(f"mini/{path.parent.name}" for path in MINIATURES.glob("*/config.json"))


def _shown(model: str) -> str:
    """A model's name with no folder of this machine in it."""
    return Path(model).name if Path(model).is_absolute() else model


def _miniature(model: str) -> Checkpoint:
    folder = MINIATURES / model.removeprefix("mini/")
    if model not in (names := miniatures()):
        near = get_close_matches(model, names, n=1, cutoff=0.4) or names
        raise ReportError(
            f"model {model!r}", f"one of {', '.join(names)}", f"did you mean {near[0]}?"
        )
    return Checkpoint(model, folder)


def _from_hub(model: str) -> Checkpoint:
    """Fetch a repository's configuration, tokenizer and weights into the hub client's cache.

    Of weights the safetensors are fetched, or where there are none the PyTorch files.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository, _, revision = model.partition("@")
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    try:
        for weights in HUB_WEIGHTS:
            folder = Path(
                snapshot_download(
                    repository,
                    revision=revision or None,
                    allow_patterns=[*HUB_COMPANIONS, weights],
                    local_files_only=offline,
                )
            )
            if any(folder.glob(weights)):
                break
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ValueError):
        reason = "HF_HUB_OFFLINE is set" if offline else "none there, or no answer"
        raise ReportError(
            f"model {model!r}",
            f"a local folder or file, or a repository on the hub ({reason})",
            "check the spelling and the network, or give a folder",
        ) from None
    return Checkpoint(model, folder, revision=folder.name)
