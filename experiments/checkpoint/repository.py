"""A checkpoint in a repository of the hub: its files fetched into the hub client's cache.

What goes wrong is told apart in one line. Asks the network, and never while HF_HUB_OFFLINE=1.
"""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError, notice
from experiments.hub_client import PATIENCE, REFUSALS, answer_of, status_of, why
from experiments.terminal import watched

COMPANIONS = ("*.json", "*.txt", "*.model", "*.jinja", "bpe.codes", "README.md")
# One kind of weights a line, each as one file or as shards; of a repository the first that it has.
WEIGHTS = (
    ("model.safetensors", "model[-_]*.safetensors"),
    ("pytorch_model.bin", "pytorch_model[-_]*.bin"),
    ("*.gguf",),
)


def from_hub(model: str) -> Checkpoint:
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
        if status_of(error) in REFUSALS:
            raise _refusal(model, error) from None
        return _cached(model, why(error))
    weights = _kind_of_weights(model, [file.rfilename for file in listed.siblings or ()])
    try:
        folder = _snapshot(repository, listed.sha, weights)
    except Exception as error:
        if status_of(error) in REFUSALS:
            raise _refusal(model, error) from None
        raise ReportError(
            f"model {model!r}",
            f"its files to arrive whole, the transfer broke ({why(error)})",
            "run it again, files that did arrive are kept",
        ) from None
    checkpoint = _whole(Checkpoint(model, folder, revision=folder.name))
    _remember(folder, revision or "main")
    return checkpoint


def _cached(model: str, reason: str) -> Checkpoint:
    """What the hub client's cache holds of a repository; `reason` says why the hub is not asked.

    A notice says so, but where the hub was not to be asked.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError

    repository, _, revision = model.partition("@")
    state = "none there"
    for weights in WEIGHTS:
        try:
            folder = _snapshot(repository, revision or None, weights, cached=True)
        except IncompleteSnapshotError:
            state = "only a part of it there"
        except (LocalEntryNotFoundError, ValueError):
            break
        else:
            if any(any(folder.glob(pattern)) for pattern in weights):
                if not constants.HF_HUB_OFFLINE:
                    notice(
                        f"{model}: the hub gave no answer ({reason}); taken from its cache, as it "
                        f"was at {folder.name}"
                    )
                return Checkpoint(model, folder, revision=folder.name)
            state = "only a part of it there"
    raise ReportError(
        f"model {model!r}",
        f"a local folder or file, the repository in the hub's cache ({state}), "
        f"or a hub that answers ({reason})",
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
            allow_patterns=[*COMPANIONS, *weights],
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
    hidden = not watched() and not are_progress_bars_disabled()
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
    for patterns in WEIGHTS:
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
    given, status = f"model {model!r}", status_of(error)
    if isinstance(error, errors.RevisionNotFoundError):
        return ReportError(
            given, f"a revision of {repository}, found none named {revision!r}", "check its name"
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        file = unquote(str(answer_of(error).url).rpartition("/")[2])
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
