"""Export: a checkpoint pruned from file to file, as a folder that plain transformers loads.

Reads and writes files. The output appears whole or not at all, and the zeros it reports are counted
again from what was written.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from experiments import models, pruning
from experiments.checkpoint import safetensors_file
from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.formats import INDEX
from experiments.checkpoint.tensor import StoredTensor, as_bytes, same_bytes
from experiments.coverage import Coverage
from experiments.errors import ReportError, UsageError
from experiments.pruning import Choice, Prunable, Settings, masked
from experiments.record_json import to_json
from experiments.records import Pruning


class StoredModel:
    """A checkpoint's stored tensors with their coverage, and the prunable ones by stored name."""

    def __init__(self, checkpoint: Checkpoint, *, include_head: bool = False) -> None:
        self.checkpoint = checkpoint
        self.tensors: list[StoredTensor] = checkpoint.tensors()
        self.coverage = Coverage(models.skeleton(checkpoint), include_head=include_head)

    @cached_property
    def counted_as(self) -> dict[str, str]:
        """Stored name to stored name of every prunable tensor: of tied, equal ones the file's first."""
        first: dict[str, StoredTensor] = {}
        found: dict[str, str] = {}
        for tensor in self.tensors:
            entry = self.coverage.of(tensor)
            if entry.prunable:
                owner = first.setdefault(entry.tied_to or entry.name, tensor)
                found[tensor.name] = owner.name if same_bytes(owner, tensor) else tensor.name
        return found

    @cached_property
    def prunable(self) -> dict[str, Prunable]:
        """The prunable tensors by stored name, tied ones once."""
        return {
            tensor.name: Prunable(self.coverage.of(tensor), tensor.read())
            for tensor in self.tensors
            if self.counted_as.get(tensor.name) == tensor.name
        }


def prune_to_folder(
    checkpoint: Checkpoint,
    settings: Settings,
    level: float,
    out: Path,
    *,
    include_head: bool = False,
    force: bool = False,
) -> Pruning:
    """Prune a checkpoint into `out` and say what went, as recounted from the written files.

    Raises:
        UsageError: where `out` is the source.
        ReportError: where `out` holds something and `force` is not given.
    """
    check_output(out, checkpoint, force=force)
    stored = StoredModel(checkpoint, include_head=include_head)
    prunable = list(stored.prunable.values())
    if not prunable:
        raise ReportError(
            f"{checkpoint.name}", "prunable weights, found none", "see `gen inspect` for why"
        )
    (choice,) = pruning.choose(prunable, settings, [level])
    with appearing_whole(out) as folder:
        _write(stored, choice, folder)
        told = pruning.describe(prunable, choice)
        _recount(told, stored, folder)
        (folder / "pruning.json").write_text(to_json(document(told)) + "\n", encoding="utf-8")
    return told


def check_output(out: Path, checkpoint: Checkpoint, *, force: bool) -> None:
    """Refuse an output folder that is the source, or holds files and is not to be replaced."""
    source = checkpoint.folder.resolve()
    if out.resolve() == source or out.resolve() in source.parents:
        raise UsageError(f"--out {out}", "a folder other than the source", "choose another")
    if out.exists() and not out.is_dir():
        raise ReportError(f"--out {out}", "a folder, found a file", "choose another")
    if out.is_dir() and any(out.iterdir()):
        if not force:
            raise ReportError(
                f"--out {out}", "an empty or a new folder", "add --force to replace it"
            )
        if not (out / "config.json").is_file():
            raise ReportError(f"--out {out}", "a checkpoint to replace", "choose another folder")


@contextmanager
def appearing_whole(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        yield folder
        folder.chmod(0o755)
        _take_place(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _take_place(folder: Path, out: Path) -> None:
    """Rename a folder to `out`; what stood there is moved aside first and removed last."""
    if not out.exists():
        folder.replace(out)
        return
    aside = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old.")) / out.name
    out.replace(aside)
    folder.replace(out)
    shutil.rmtree(aside.parent)


def written_name(source: Checkpoint, path: Path) -> str:
    """A shard keeps its name; a file that was named by itself gets the one transformers looks for."""
    return "model.safetensors" if source.weights else path.name


def _write(stored: StoredModel, choice: Choice, folder: Path) -> None:
    """Write every weight file with the chosen weights zero, and copy the rest."""
    source = stored.checkpoint

    def content(tensor: StoredTensor) -> memoryview:
        owner = stored.counted_as.get(tensor.name)
        weights = tensor.read() if owner is None else masked(stored.prunable[owner], choice)
        return as_bytes(weights)

    for path in source.weight_files():
        inside = [tensor for tensor in stored.tensors if tensor.path == path]
        metadata = safetensors_file.read_header(path)[1] or {"format": "pt"}
        safetensors_file.write(folder / written_name(source, path), inside, content, metadata)
    index = source.folder / INDEX
    for path in [
        *source.copied(),
        *([index] if index.is_file() and not source.weights else []),
    ]:
        shutil.copyfile(path, folder / path.name)


def _recount(told: Pruning, stored: StoredModel, folder: Path) -> None:
    """Count the zeros of the written files: they must be those that were told."""
    source = stored.checkpoint
    names = {tensor.name: stored.coverage.of(tensor).name for tensor in stored.tensors}
    written = {
        names[tensor.name]: tensor.count - int(np.count_nonzero(tensor.read()))
        for path in source.weight_files()
        for tensor in safetensors_file.read_header(folder / written_name(source, path))[0]
        if tensor.name in stored.prunable
    }
    if written != {layer.name: layer.zeros for layer in told.layers}:
        raise AssertionError("the written file's zeros differ from those that were to be written")


def document(told: Pruning) -> dict[str, Any]:
    """What `gen prune --json` prints and pruning.json holds."""
    return {
        "level": told.level,
        "method": told.method,
        "scope": told.scope,
        "pattern": told.pattern,
        "prunable": told.prunable,
        "zeros": told.zeros,
        "threshold": told.threshold,
        "layers": [{"name": x.name, "count": x.count, "zeros": x.zeros} for x in told.layers],
    }
