"""Data sets of the hub, through `datasets`. Nothing of a repository is ever run.

`datasets` refuses a repository that brings a script, and reads files of data only.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from experiments.errors import ReportError, notice
from experiments.hub_client import PATIENCE, why

INSTEAD = "give --glue DIR, or set GLUE_DIR"


def dataset_file(repository: str, configuration: str, split: str) -> Path:
    """The Arrow file in which one split is cached here, fetched first where it is not.

    Where no hub answers, or HF_HUB_OFFLINE is set, the cache is read and nothing is asked for.

    Raises:
        ReportError: where there is no such split, or none to be had.
    """
    given = f"data {repository} ({configuration})"
    commit, unanswered = _asked(repository)
    import datasets
    from huggingface_hub import constants

    with _quiet(), _offline() if unanswered else nullcontext():
        try:
            # The prefix says that a folder of this name is not meant.
            splits: dict[str, Any] = datasets.load_dataset(
                f"hf://datasets/{repository}",
                configuration,
                revision=commit,
                keep_in_memory=False,
            )
        except Exception as error:  # those of its client for HTTP too, another in each version
            expected = (
                f"it in the hub's cache, or a hub that answers ({unanswered})"
                if unanswered
                else f"what `datasets` can load ({why(error)})"
            )
            raise ReportError(given, expected, INSTEAD) from None
    if split not in splits:
        raise ReportError(given, f"a split of {', '.join(splits)}, found {split!r}", INSTEAD)
    files = [file["filename"] for file in splits[split].cache_files]
    if unanswered and not constants.HF_HUB_OFFLINE:
        notice(f"{given}: the hub gave no answer ({unanswered}); taken from its cache")
    if len(files) != 1:
        raise ReportError(f"{given}, {split}", f"one Arrow file, found {len(files)}", INSTEAD)
    return Path(files[0])


def _asked(repository: str) -> tuple[str | None, str]:
    """The commit a repository is at, or None and in a few words why the hub does not say.

    One request, not repeated: `datasets` by itself tries for half a minute. Told the commit, it asks
    no second server what it knows of the repository.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return None, "HF_HUB_OFFLINE is set"
    try:
        patience: Any = PATIENCE
        return HfApi().dataset_info(repository, timeout=patience).sha, ""
    except Exception as error:
        return None, why(error)


@contextmanager
def _offline() -> Iterator[None]:
    """Has `datasets` read its cache and ask for nothing."""
    from datasets import config

    before, config.HF_HUB_OFFLINE = config.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what `datasets` and the hub's client tell of their work off standard error."""
    import datasets
    import huggingface_hub.utils as hub

    bars = datasets.utils, hub
    shown = [each for each in bars if not each.are_progress_bars_disabled()]
    logs = datasets.logging, hub.logging
    levels = [log.get_verbosity() for log in logs]
    with warnings.catch_warnings(action="ignore"):  # the environment may insist on bars
        for each in shown:
            each.disable_progress_bars()
    for log in logs:
        log.set_verbosity(log.CRITICAL)
    try:
        yield
    finally:
        for each in shown:
            each.enable_progress_bars()
        for log, level in zip(logs, levels):
            log.set_verbosity(level)
