"""A method that changes what it keeps: what is written, pruned in place and weighed is what it leaves."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from experiments.checkpoint.folder import Checkpoint
from experiments.models.coverage import Entry
from experiments.pruning.choosing import Prunable, Settings, choose, describe
from experiments.pruning.export import prune_to_folder, sizes
from experiments.pruning.magnitudes import magnitude_keys
from experiments.pruning.methods import table
from experiments.pruning.methods.block import Block
from experiments.pruning.methods.table import METHODS, Method
from experiments.pruning.open_weights import prune_in_place
from experiments.pruning.stored_model import StoredModel
from experiments.speed.footprint import footprint

DOUBLING = Settings(method="doubling")
SHAPE, NAME = (48, 64), "h.0.fc.weight"


def doubled(block: Block, keep: NDArray[np.bool_]) -> NDArray[np.generic]:
    """Every weight twice as large, but for those above 1: they are zero, kept or not."""
    assert keep.shape == block.weights.shape
    return np.where(block.weights > 1, 0, 2 * block.weights).astype(block.weights.dtype)


@pytest.fixture(autouse=True)
def doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Magnitude pruning that repairs, in the table of methods."""
    row = Method(
        file="doubling", summary="a test's", scope="global", nested=False, seeds=1, cite=""
    )
    file = SimpleNamespace(keys=lambda block: magnitude_keys(block.weights), repair=doubled)
    monkeypatch.setitem(sys.modules, f"{table.__package__}.doubling", file)
    monkeypatch.setitem(METHODS, "doubling", row)


@pytest.fixture
def before() -> NDArray[np.float32]:
    weights = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    weights[0, :2] = 0.0, -0.0
    return weights


@pytest.fixture
def after(before: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half of the weights gone, those that are above 1 too, the others twice as large."""
    median = np.sort(np.abs(before), axis=None)[before.size // 2 - 1]
    gone = (np.abs(before) <= median) | (before > 1)
    assert before.size // 2 < gone.sum() < before.size
    return np.where(gone, np.float32(0), 2 * before)


@pytest.fixture
def stored(before: NDArray[np.float32], tmp_path: Path) -> StoredModel:
    """The same weights in a file."""
    (tmp_path / "source").mkdir()
    path = tmp_path / "source" / "model.safetensors"
    safetensors.numpy.save_file({NAME: before}, path)
    return StoredModel(Checkpoint("alone", path.parent))


def in_memory(weights: NDArray[np.float32]) -> Prunable:
    entry = Entry(name=NAME, role="linear map", prunable=True, reason="a test's")
    return Prunable(entry, weights.copy())


@pytest.mark.parametrize("form", ["dense", "bitmask"])
def test_a_file_holds_what_the_method_leaves(
    form: str, stored: StoredModel, after: NDArray[np.float32], tmp_path: Path
) -> None:
    out = tmp_path / form
    outcome = prune_to_folder(stored.checkpoint, DOUBLING, 0.5, out, form=form)
    (written,) = Checkpoint("written", out).tensors()
    assert written.read().tobytes() == after.tobytes()
    assert outcome.zeros == int((after == 0).sum()) > outcome.prunable // 2
    assert outcome.zeros_before == 2


def test_weights_in_place_are_what_the_method_leaves(
    before: NDArray[np.float32], after: NDArray[np.float32]
) -> None:
    tensor = in_memory(before)
    (choice,) = choose([tensor], DOUBLING, [0.5])
    assert choice.after(tensor).tobytes() == after.tobytes()
    assert describe([tensor], choice).zeros == int((after == 0).sum())
    assert tensor.weights.tobytes() == before.tobytes(), "only looked at"
    assert prune_in_place([tensor], choice) == (2, int((after == 0).sum()))
    assert tensor.weights.tobytes() == after.tobytes()


@pytest.mark.parametrize("settings", [DOUBLING, Settings()], ids=["repaired", "not repaired"])
def test_bytes_are_of_what_the_method_leaves(
    settings: Settings, stored: StoredModel, after: NDArray[np.float32], tmp_path: Path
) -> None:
    choices = choose(list(stored.prunable.values()), settings, [0.5])
    found = footprint(stored, choices, method=settings.method)
    weighed = {
        row.format: row.bytes
        for row in found.rows
        if (row.level, row.of, row.dtype) == (0.5, "prunable", "F32")
    }
    left = int((after != 0).sum()) if settings is DOUBLING else after.size // 2
    assert weighed["bitmask"] == after.size // 8 + 4 * left
    assert weighed["csr32"] == 4 * left + 4 * left + 4 * (SHAPE[0] + 1)
    prune_to_folder(stored.checkpoint, settings, 0.5, tmp_path / "out", form="bitmask")
    assert sizes(tmp_path / "out")["masked"] == weighed["bitmask"]


def test_what_repairs_nothing_keeps_its_bits(before: NDArray[np.float32]) -> None:
    before[1, 1] = -0.0  # a weight of -0.0 is zero already, and stays as it is where it is kept
    tensor = in_memory(before)
    (choice,) = choose([tensor], Settings(), [0.0])
    assert choice.after(tensor).tobytes() == before.tobytes()
    assert describe([tensor], choice).zeros == 3
