"""Export: a checkpoint pruned from file to file, dense as plain transformers loads it, or as bit masks.

Reads and writes files. The output appears whole or not at all, and the zeros it reports are counted
again from what was written.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import cores
from experiments.checkpoint import bitmask_file, formats, safetensors_file
from experiments.checkpoint.bitmask_file import BitmaskTensor
from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.tensor import StoredTensor
from experiments.errors import ReportError
from experiments.models.companions import copy_companions
from experiments.output import appearing_whole, check_output, room
from experiments.progress import SILENT, Progress
from experiments.pruning import choosing
from experiments.pruning.choosing import Chosen, Prunable
from experiments.pruning.magnitudes import Weights
from experiments.pruning.masks import left
from experiments.pruning.settings import Settings
from experiments.pruning.solved import Solved
from experiments.pruning.stored_model import StoredModel
from experiments.records.cost import Cost
from experiments.records.pruning import Pruning
from experiments.records.record_json import to_json

if TYPE_CHECKING:
    from experiments.pruning.calibrated import Calibration

FORMS = ("dense", "bitmask")
PRUNED = "pruning.json"
Files = Mapping[str, Sequence[StoredTensor]]


def prune_to_folder(
    checkpoint: Checkpoint,
    settings: Settings,
    level: float,
    out: Path,
    *,
    form: str = "dense",
    include_head: bool = False,
    calibration: "Calibration | None" = None,
    force: bool = False,
    say: Callable[[str], object] = lambda line: None,
    progress: Progress = SILENT,
) -> Pruning:
    """Prune a checkpoint into `out` and say what went, as recounted from the written files.

    `say` is given the forecast before anything is read. `calibration` is the text of a method that looks
    at what weights multiply, and of a repair.

    Raises:
        UsageError: where `out` is the source.
        ReportError: where `out` cannot be written or replaced, or the disk is too full.
    """
    check_output(out, checkpoint.source, force=force)
    stored = StoredModel(checkpoint, include_head=include_head)
    prunable = list(stored.prunable.values())
    if not prunable:
        raise ReportError(
            f"{checkpoint.name}", "prunable weights, found none", "see `gen inspect` for why"
        )
    choosing.check(prunable, settings, [level])
    files = stored.output_files()
    size = largest(files, prunable, form)
    say(forecast(files, prunable, out, form))
    with appearing_whole(out, force=force, size=size) as folder:
        choice: Chosen
        if calibration:
            # Opens the model, which nothing else here does.
            from experiments.pruning import calibrated

            need = calibrated.memory(stored, settings, calibration)
            say(
                f"looking at {calibration.samples} windows of at most {calibration.tokens} tokens, which "
                f"takes about {max(need / 1e9, 0.1):.1f} GB of memory beside Python's own"
            )
            choice = calibrated.solve(stored, settings, level, calibration, progress=progress)
        else:
            (choice,) = choosing.choose(prunable, settings, [level], progress=progress)
        told = _write(stored, files, choice, folder, form, progress)
        _recount(told, stored, folder)
        cost = choice.cost if isinstance(choice, Solved) else None
        document = _document(told, settings, calibration, cost)
        (folder / PRUNED).write_text(to_json(document) + "\n", encoding="utf-8")
    return told


def unpack(checkpoint: Checkpoint, out: Path, *, force: bool = False) -> int:
    """Write the dense files that a checkpoint of bit masks stands for; their bytes.

    They are those that pruning to dense files would have written, bit for bit.

    Raises:
        UsageError: where `out` is the source.
        ReportError: where nothing is masked, or `out` cannot be written or replaced.
    """
    check_output(out, checkpoint.source, force=force)
    checkpoint.check_masked()
    files = StoredModel(checkpoint).output_files()
    size = largest(files)
    room(out, size)
    with appearing_whole(out, force=force, size=size) as folder:
        for path, (name, tensors) in zip(checkpoint.weight_files(), files.items()):
            metadata = bitmask_file.read_header(path)[1]
            safetensors_file.write(folder / name, tensors, StoredTensor.blocks, metadata)
        _write_index(checkpoint, files, folder / formats.INDEX)
        copy_companions(checkpoint, folder)
        if told := formats.there(checkpoint.folder, PRUNED):
            shutil.copyfile(told, folder / PRUNED)
        return sum((folder / name).stat().st_size for name in files)


def forecast(files: Files, prunable: Sequence[Prunable], out: Path, form: str) -> str:
    """What will be read and written, in bytes of tensors; of bit masks, at most.

    Raises:
        ReportError: where the disk has no room for it.
    """
    size = largest(files, prunable, form)
    room(out, size)
    most = "at most " if form == "bitmask" else ""
    many = f"{len(files)} files" if len(files) > 1 else "one file"
    return (
        f"{choosing.sum_of(prunable):,} prunable weights; writing {most}{size:,} bytes of tensors in "
        f"{many} to {out}/"
    )


def largest(files: Files, prunable: Sequence[Prunable] = (), form: str = "dense") -> int:
    """The bytes of all tensors as they will be written; of bit masks, at most."""
    size = sum(tensor.nbytes for tensors in files.values() for tensor in tensors)
    masks = prunable if form == "bitmask" else ()
    return size + sum(bitmask_file.mask_bytes(tensor.count) for tensor in masks)


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of a folder's weight files and of the masked tensors in them, and what dense ones take."""
    found = dict.fromkeys(("file", "dense_file", "masked", "dense_masked"), 0)
    for path in Checkpoint("written", folder).weight_files():
        tensors, metadata = bitmask_file.read_header(path)
        masked = [tensor for tensor in tensors if isinstance(tensor, BitmaskTensor)]
        found["file"] += path.stat().st_size
        found["dense_file"] += safetensors_file.size_of(tensors, metadata)
        found["masked"] += sum(tensor.mask.nbytes + tensor.values.nbytes for tensor in masked)
        found["dense_masked"] += sum(tensor.nbytes for tensor in masked)
    return found


def _write(
    stored: StoredModel,
    files: Files,
    choice: Chosen,
    folder: Path,
    form: str,
    progress: Progress,
) -> Pruning:
    """Write every weight file with the chosen weights zero, and copy the rest."""
    counted: dict[str, tuple[int, int]] = {}

    def content(tensor: StoredTensor) -> Iterator[Weights]:
        before = after = 0
        for weights, zeros in stored.pruned(tensor, choice):
            before, after = before + zeros, after + weights.size - left(weights)
            progress.add(weights.size)
            yield weights
        counted[tensor.name] = before, after

    masked = stored.prunable if form == "bitmask" else {}
    every = [tensor for tensors in files.values() for tensor in tensors]
    again = sum(tensor.count for tensor in every if tensor.name in masked)  # twice more
    progress.stage("writing", sum(tensor.count for tensor in every) + 2 * again)
    names = {}
    for path, (name, tensors) in zip(stored.checkpoint.weight_files(), files.items()):
        plain = path.suffix == ".safetensors"
        metadata = (bitmask_file.read_header(path)[1] if plain else {}) or {"format": "pt"}
        names[name] = name.removesuffix(".safetensors") + bitmask_file.SUFFIX if masked else name
        bitmask_file.write(folder / names[name], tensors, masked, content, metadata)
    index = formats.MASKED_INDEX if masked else formats.INDEX
    _write_index(stored.checkpoint, {names[name]: files[name] for name in files}, folder / index)
    copy_companions(stored.checkpoint, folder)
    prunable = list(stored.prunable.values())
    return choosing.summary(prunable, choice, [counted[name] for name in stored.prunable])


def _write_index(source: Checkpoint, files: Files, path: Path) -> None:
    """The index of the shards, in the form and with the metadata that the source's has."""
    index = formats.index_of(source.folder)
    if len(files) == 1 or index is None:
        return
    stated = json.loads(index.read_text(encoding="utf-8"))
    size = sum(tensor.nbytes for tensors in files.values() for tensor in tensors)
    written = stated | {
        "metadata": (stated.get("metadata") or {}) | {"total_size": size},
        "weight_map": {tensor.name: name for name, tensors in files.items() for tensor in tensors},
    }
    path.write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _recount(told: Pruning, stored: StoredModel, folder: Path) -> None:
    """Count the zeros of the written files: they must be those that were told."""

    def count(tensor: StoredTensor) -> tuple[str, int]:
        zeros = sum(block.size - left(block) for block in tensor.blocks())
        return stored.entries[tensor.name].name, zeros

    written = Checkpoint("written", folder).tensors()
    counted = Counter[str]()
    for name, zeros in cores.each(count, [t for t in written if t.name in stored.prunable]):
        counted[name] += zeros
    if counted != {layer.name: layer.zeros for layer in told.layers}:
        raise AssertionError("the written file's zeros differ from those that were to be written")


def document_of(folder: Path) -> dict[str, Any]:
    """What a pruned folder's own file says of its pruning."""
    document: dict[str, Any] = json.loads((folder / PRUNED).read_text(encoding="utf-8"))
    return document


def _document(
    told: Pruning, settings: Settings, calibration: "Calibration | None", cost: Cost | None
) -> dict[str, Any]:
    """The same, to be written; of a calibration what was shown and what it took, too."""
    found = {
        "level": told.level,
        "method": told.method,
        "scope": told.scope,
        "pattern": told.pattern,
        "prunable": told.prunable,
        "zeros": told.zeros,
        "threshold": told.threshold,
        "layers": [{"name": x.name, "count": x.count, "zeros": x.zeros} for x in told.layers],
    }
    if calibration is None or cost is None:
        return found
    shown = {
        "task": calibration.task.name,
        "split": calibration.task.split,
        "samples": calibration.samples,
        "tokens": cost.tokens // cost.samples,
        "seed": calibration.seed,
    }
    return found | {
        "repair": settings.repair,
        "allocation": settings.allocation,
        "calibration": shown,
        "cost": asdict(cost),
    }
