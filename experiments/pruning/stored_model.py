"""A checkpoint as it is stored: its tensors, and what is prunable among them.

Reads headers; weights only when they are asked for. Builds no model but a skeleton without weights.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from experiments.checkpoint import bitmask_file
from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.packed import packings, refuse_packed
from experiments.checkpoint.tensor import StoredTensor, same_bytes
from experiments.errors import ReportError, UsageError
from experiments.models.architecture import two_of_one, understood
from experiments.models.by_name import NameCoverage
from experiments.models.coverage import Coverage, Entry
from experiments.models.names import Names
from experiments.models.outline import Outline
from experiments.pruning import masks
from experiments.pruning.choosing import Chosen, Prunable
from experiments.pruning.magnitudes import Weights


class StoredModel:
    """A checkpoint's stored tensors with their coverage, and the prunable ones by stored name.

    The names are those by which transformers knows them, without what was wrapped around the model.
    """

    def __init__(self, checkpoint: Checkpoint, *, include_head: bool = False) -> None:
        self.checkpoint = checkpoint
        known, self.tensors = understood(checkpoint)
        self.packed = packings(self.tensors, checkpoint.config())
        if known is None and include_head:
            raise UsageError(
                f"{checkpoint.name} with --include head",
                "an architecture that transformers knows, to tell its head",
                "put the model's config.json beside the weights",
            )
        self.coverage: Coverage | NameCoverage = NameCoverage(self.tensors)
        if known is not None:
            stored = [tensor.name for tensor in self.tensors]
            self.coverage = Coverage(known, include_head=include_head, stored=stored)
            if apart := _apart(known, self.coverage.names, self.tensors):
                self.coverage = Coverage(
                    known, include_head=include_head, stored=stored, apart=apart
                )

    def entry(self, tensor: StoredTensor) -> Entry:
        """The verdict on a stored tensor."""
        packing = self.packed.get(tensor.name)
        if packing is None:
            return self.coverage.of(tensor)
        weight = self.coverage.of(replace(tensor, name=packing.of))
        reason = f"{packing.how}: not measured"
        return replace(
            weight, name=tensor.name, prunable=False, reason=reason, order=(), unclear=False
        )

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """The verdicts on all stored tensors, by stored name."""
        found = {tensor.name: self.entry(tensor) for tensor in self.tensors}
        return found | _begun({t.name: t.count for t in self.tensors}, found)

    @cached_property
    def repeats(self) -> dict[str, str]:
        """Stored tensors that repeat an earlier one: tied, or in one place, with the same bytes."""
        first: dict[tuple[str, int], StoredTensor] = {}
        places: dict[tuple[object, ...], StoredTensor] = {}
        found: dict[str, str] = {}
        owners = sorted(self.tensors, key=lambda t: self.entries[t.name].tied_to is not None)
        for tensor in owners:
            entry = self.entries[tensor.name]
            shared = places.setdefault(tensor.place, tensor) if tensor.count else tensor
            owner = first.setdefault((entry.tied_to or entry.name, entry.start), tensor)
            for other in (owner, shared):
                if other is not tensor and same_bytes(other, tensor):
                    found[tensor.name] = other.name
                    break
        return found

    @property
    def partial(self) -> bool:
        """Whether some linear maps are packed, or in a layout that is not known: not all can be pruned."""
        return bool(self.packed) or any(entry.unclear for entry in self.entries.values())

    @cached_property
    def prunable(self) -> dict[str, Prunable]:
        """The prunable tensors by stored name, repeated ones once.

        Raises:
            ReportError: where two that differ are the same tensor of the architecture, or some of the
                weights are packed, or of a layout that nothing tells: the others alone would be half a
                pruning.
        """
        refuse_packed(self.checkpoint.name, self.packed)
        found: dict[str, Prunable] = {}
        meant: dict[tuple[str, int], str] = {}
        for tensor in self.tensors:
            entry = self.entries[tensor.name]
            if entry.unclear:
                raise ReportError(
                    f"{self.checkpoint.name}, tensor {tensor.name}",
                    f"linear maps of known layout, found {entry.reason}",
                    "choose a model of another family",
                )
            if entry.role == "unknown" or tensor.name in self.repeats:
                continue
            other = meant.setdefault((entry.name, entry.start), tensor.name)
            if other != tensor.name:
                raise two_of_one(self.checkpoint, (other, tensor.name), entry.name)
            if entry.prunable:
                found[tensor.name] = Prunable(entry, tensor)
        return found

    def zeros(self) -> int:
        """How many of the prunable weights are zero as they are stored; reads them."""
        return sum(
            block.weights.size - masks.left(block.weights)
            for tensor in self.prunable.values()
            for block in tensor.blocks()
        )

    def pruned(self, tensor: StoredTensor, choice: Chosen | None) -> Iterator[tuple[Weights, int]]:
        """A stored tensor's numbers block by block, as a choice leaves them, and the zeros before."""
        prunable = self.prunable.get(self.repeats.get(tensor.name, tensor.name))
        if prunable is None or choice is None:
            for weights in tensor.blocks():
                yield weights, weights.size - masks.left(weights)
            return
        for change in choice.blocks(prunable):
            before = change.zeros_before
            yield change.after(out=change.before), before  # they are fresh from the file

    def output_files(self) -> dict[str, list[StoredTensor]]:
        """The safetensors files that a pruned copy has, sharded like the source; what each holds.

        Left out is what the architecture ties to another tensor with the same bytes, so that it is
        one tensor on disk, and of a GGUF file what is no tensor of the architecture.

        Raises:
            ReportError: where two files of the source would be written under one name.
        """
        gguf = self.checkpoint.gguf is not None
        files = self.checkpoint.weight_files()
        found: dict[str, list[StoredTensor]] = {}
        for path in files:
            name = _written_name(path, len(files))
            if name in found:
                raise ReportError(
                    f"{path}", f"one file to be written as {name}, found two", "rename one of them"
                )
            found[name] = [
                tensor
                for tensor in self.tensors
                if tensor.path == path
                and not (tensor.name in self.repeats and self.entries[tensor.name].tied_to)
                and not (gguf and self.entries[tensor.name].role == "unknown")
            ]
        return found


def _apart(outline: Outline, names: Names, tensors: list[StoredTensor]) -> set[str]:
    """Names that the architecture ties to another and the checkpoint holds with other bytes."""
    held = {place.name: tensor for tensor in tensors if (place := names.of(tensor.name))}
    return {
        name
        for name, owner in outline.tied.items()
        if name in held and owner in held and not same_bytes(held[name], held[owner])
    }


def _begun(counts: Mapping[str, int], entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The verdicts on experts that are stored one by one, each with where it begins in their stack."""
    found, begun = {}, Counter[str]()
    for name, entry in sorted(entries.items(), key=lambda one: one[1].order):
        if entry.order:
            found[name] = replace(entry, start=begun[entry.name])
            begun[entry.name] += counts[name]
    return found


def _written_name(path: Path, files: int) -> str:
    """A shard keeps its number; a single file gets the name that transformers looks for."""
    if files == 1:
        return "model.safetensors"
    stem = path.stem.removesuffix(Path(bitmask_file.SUFFIX).stem)
    return re.sub(r"^pytorch_model", "model", stem) + ".safetensors"
