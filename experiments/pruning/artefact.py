"""Weights that calibration left, kept: pruned checkpoints of bit masks, made once, read by whoever asks.

`FOLDER/IDENTITY` holds one, whole or not at all. Who asks for one that another process is making waits
for it. Reads and writes files.
"""

import fcntl
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.checkpoint.folder import Checkpoint
from experiments.pruning import export
from experiments.pruning.calibrated import Calibration
from experiments.pruning.choosing import Place, Prunable
from experiments.pruning.magnitudes import Weights
from experiments.pruning.settings import Settings
from experiments.pruning.solved import Solved
from experiments.pruning.stored_model import StoredModel
from experiments.records import manifest
from experiments.records.cost import Cost


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How weights are made: the settings and level of a pruning, and the text that it looks at them with.

    `identity` is a digest of all that they depend on.
    """

    settings: Settings
    level: float
    calibration: Calibration
    identity: str


@dataclass(frozen=True)
class Artefact:
    """A pruned checkpoint that is kept."""

    recipe: Recipe
    checkpoint: Checkpoint

    @property
    def solved(self) -> Solved:
        """Its weights as a choice, each tensor's read from its file when it is asked for."""
        stored = StoredModel(self.checkpoint)
        kept = {one.place: one for one in stored.prunable.values()}
        return Solved(self.recipe.settings, self.recipe.level, _Read(kept))

    @property
    def cost(self) -> Cost:
        """What it took to make it."""
        return Cost(**export.document_of(self.checkpoint.folder)["cost"])


def artefact(checkpoint: Checkpoint, recipe: Recipe, folder: Path) -> Artefact:
    """What a recipe leaves of a checkpoint: as it is kept below a folder, or made now and kept there.

    What is kept and no longer stands as it was written is made anew.

    Raises:
        ReportError: where it cannot be made, or the disk is full.
    """
    place = folder / recipe.identity
    if not _stands(place):
        with _alone(folder, recipe.identity):
            if not _stands(place):
                shutil.rmtree(place, ignore_errors=True)
                export.prune_to_folder(
                    checkpoint,
                    recipe.settings,
                    recipe.level,
                    place,
                    form="bitmask",
                    calibration=recipe.calibration,
                )
    return Artefact(recipe, Checkpoint(recipe.identity, place))


def _stands(place: Path) -> bool:
    """Whether a folder holds what its manifest says, every byte of it."""
    made = manifest.read(place)
    return made is not None and all(made.holds(place, name) for name in made.files)


@contextmanager
def _alone(folder: Path, identity: str) -> Iterator[None]:
    """Inside the block no other process is; a lock goes with its owner, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{identity}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Read(Mapping[Place, Weights]):
    """The weights of stored tensors by place, read anew whenever one is asked for."""

    def __init__(self, kept: Mapping[Place, Prunable]) -> None:
        self._kept = kept

    def __getitem__(self, place: Place) -> Weights:
        tensor = self._kept[place]
        return tensor.span(0, tensor.count).reshape(tensor.shape)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
