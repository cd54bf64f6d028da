"""Finding the checkpoint that a word means: a folder, a weights file, mini/NAME, or a hub id.

Looks at the disk; asks the network only for what is none of the first three, and never while
HF_HUB_OFFLINE=1.
"""

import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError

MINIATURES = Path(__file__).parent.parent / "miniatures"
HUB_COMPANIONS = ("*.json", "*.txt", "*.model", "*.jinja", "bpe.codes", "README.md")
# One kind of weights a line, each as one file or as shards; of a repository the first that it has.
HUB_WEIGHTS = (
    ("model.safetensors", "model[-_]*.safetensors"),
    ("pytorch_model.bin", "pytorch_model[-_]*.bin"),
    ("*.gguf",),
)
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*(@\w[\w.-]*(/\w[\w.-]*)*)?")
PATIENCE = (2, 10, 10, 2)  # seconds to connect to a hub, to read, to write, to wait for a turn
ERROR_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
REFUSALS = (401, 403, 404)  # what a hub that answers says of a thing that it does not give


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
    """A repository's configuration, tokenizer and weights, fetched into the hub client's cache.

    Where no hub answers, or HF_HUB_OFFLINE is set, they are what the cache holds.
    """
    from huggingface_hub import HfApi, constants

    repository, _, revision = model.partition("@")
    if constants.HF_HUB_OFFLINE:
        return _cached(model, "HF_HUB_OFFLINE is set")
    try:
        patience: Any = PATIENCE
        listed = HfApi().model_info(repository, revision=revision or None, timeout=patience)
    except Exception as error:  # those of its client for HTTP too, another from version to version
        if _status(error) in REFUSALS:
            raise _refusal(model, error) from None
        return _cached(model, _why(error))
    weights = _kind_of_weights(model, [file.rfilename for file in listed.siblings or ()])
    try:
        folder = _snapshot(repository, listed.sha, weights)
    except Exception as error:
        if _status(error) in REFUSALS:
            raise _refusal(model, error) from None
        raise ReportError(
            f"model {model!r}",
            f"its files to arrive whole, the transfer broke ({_why(error)})",
            "run it again, files that did arrive are kept",
        ) from None
    checkpoint = _whole(Checkpoint(model, folder, revision=folder.name))
    _remember(folder, revision or "main")
    return checkpoint


def _cached(model: str, why: str) -> Checkpoint:
    """What the hub client's cache holds of a repository; `why` says why the hub is not asked."""
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    repository, _, revision = model.partition("@")
    state = "none there"
    for weights in HUB_WEIGHTS:
        try:
            folder = _snapshot(repository, revision or None, weights, cached=True)
        except IncompleteSnapshotError:
            state = "only a part of it there"
        except (LocalEntryNotFoundError, ValueError):
            break
        else:
            if any(any(folder.glob(pattern)) for pattern in weights):
                return Checkpoint(model, folder, revision=folder.name)
            state = "only a part of it there"
    raise ReportError(
        f"model {model!r}",
        f"a local folder or file, the repository in the hub's cache ({state}), "
        f"or a hub that answers ({why})",
        "check the spelling and the network, or give a folder",
    )


def _snapshot(
    repository: str, revision: str | None, weights: Sequence[str], *, cached: bool = False
) -> Path:
    """The folder of one revision in the hub client's cache, what it lacks fetched first."""
    from huggingface_hub import snapshot_download

    with _quiet():
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=[*HUB_COMPANIONS, *weights],
            ignore_patterns=["*/*"],
            local_files_only=cached,
        )
    return Path(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the hub client's log off standard error, and its bars too unless a person looks."""
    from huggingface_hub.utils import logging as log
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    level = log.get_verbosity()
    hidden = not sys.stderr.isatty() and not are_progress_bars_disabled()
    log.set_verbosity(logging.CRITICAL)
    if hidden:
        with warnings.catch_warnings(action="ignore"):  # the environment may insist on bars
            disable_progress_bars()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if hidden:
            enable_progress_bars()


def _kind_of_weights(model: str, names: Sequence[str]) -> Sequence[str]:
    """The patterns of the weights to fetch: the first kind that a repository has."""
    for patterns in HUB_WEIGHTS:
        found = [
            name
            for name in names
            if "/" not in name and any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        if found and found[0].endswith(".gguf") and len(found) > 1:
            raise ReportError(
                f"model {model!r}",
                f"a repository of one weights file, found {', '.join(sorted(found))}",
                "download the one you mean and give its path",
            )
        if found:
            return patterns
    raise ReportError(
        f"model {model!r}",
        "a repository with safetensors, PyTorch or GGUF weights, found none in it",
        "name one that transformers can load",
    )


def _whole(checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint, if its repository holds every shard that its index names."""
    try:
        checkpoint.weight_files()
    except ReportError as error:
        raise ReportError(
            f"model {checkpoint.name!r}",
            f"{error.expected} in its repository",
            "name another revision, or give a folder",
        ) from None
    return checkpoint


def _remember(folder: Path, revision: str) -> None:
    """Note in the hub client's cache what a branch or tag stands for, so that it is found offline.

    The client does so itself, but only for the names that it is asked for, and here it is asked for
    a commit. A cache that cannot be written to is left as it is.
    """
    if revision != folder.name:
        ref = folder.parent.parent / "refs" / revision
        new = ref.with_name(f"{ref.name}.{os.getpid()}")
        with suppress(OSError):
            ref.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(folder.name, encoding="utf-8")
            new.replace(ref)


def _refusal(model: str, error: Exception) -> ReportError:
    """The error for what a hub that answers does not give."""
    from huggingface_hub import errors

    repository, _, revision = model.partition("@")
    given, status = f"model {model!r}", _status(error)
    if isinstance(error, errors.RevisionNotFoundError):
        return ReportError(
            given, f"a revision of {repository}, found none named {revision!r}", "check its name"
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        file = unquote(str(_answer(error).url).rpartition("/")[2])
        return ReportError(
            given,
            f"{file}, which its repository lists but does not give",
            "name another revision, or give a folder",
        )
    if status == 404:
        return ReportError(
            given,
            "a repository on the hub, found none of this name",
            "check the spelling, or give a folder",
        )
    gated = "gated" if isinstance(error, errors.GatedRepoError) else "private, gated, or none there"
    return ReportError(
        given,
        f"a repository that is open to you, the hub answered {status} ({gated})",
        "check the spelling, ask for access on its page and set HF_TOKEN",
    )


def _answer(error: BaseException) -> Any:
    """The hub's answer that an error tells of, None where there was none."""
    return getattr(error, "response", None) or getattr(error.__cause__, "response", None)


def _status(error: BaseException) -> int | None:
    return getattr(_answer(error), "status_code", None)


def _why(error: BaseException) -> str:
    """Why something was not to be had, in a few words.

    >>> _why(OSError(111, "Connection refused"))
    'Connection refused'
    """
    if status := _status(error):
        return f"it answered {status}"
    if isinstance(error, json.JSONDecodeError):
        return "what answered is no hub"
    while error.__cause__ is not None:
        error = error.__cause__
    said = ERROR_NUMBER.sub("", str(error).strip())
    return said.partition("\n")[0] or type(error).__name__
