"""A choice that changes what it keeps: what is written, pruned in place and weighed is what it leaves."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from experiments.checkpoint.folder import Checkpoint
from experiments.models.coverage import Entry
from experiments.pruning import calibrated
from experiments.pruning.calibrated import Calibration
from experiments.pruning.choosing import Prunable, choose, describe
from experiments.pruning.export import prune_to_folder, sizes
from experiments.pruning.open_weights import prune_in_place
from experiments.pruning.settings import Settings
from experiments.pruning.solved import Solved
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import TASKS
from experiments.speed.footprint import footprint

REPAIRED = Settings(repair=True)
SHAPE, NAME = (48, 64), "h.0.fc.weight"


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
def solved(after: NDArray[np.float32]) -> Solved:
    """The choice that leaves these."""
    return Solved(REPAIRED, 0.5, {(NAME, 0): after})


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
def test_a_file_holds_what_the_choice_leaves(
    form: str,
    stored: StoredModel,
    solved: Solved,
    after: NDArray[np.float32],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibrated, "solve", lambda *words, **named: solved)
    out, shown = tmp_path / form, Calibration(task=TASKS["reviews"])
    outcome = prune_to_folder(stored.checkpoint, REPAIRED, 0.5, out, form=form, calibration=shown)
    (written,) = Checkpoint("written", out).tensors()
    assert written.read().tobytes() == after.tobytes()
    assert outcome.zeros == int((after == 0).sum()) > outcome.prunable // 2
    assert outcome.zeros_before == 2
    if form == "bitmask":
        assert sizes(out)["masked"] == after.size // 8 + 4 * int((after != 0).sum())


def test_weights_in_place_are_what_the_choice_leaves(
    before: NDArray[np.float32], after: NDArray[np.float32], solved: Solved
) -> None:
    tensor, choice = in_memory(before), solved
    assert describe([tensor], choice).zeros == int((after == 0).sum())
    assert tensor.weights.tobytes() == before.tobytes(), "only looked at"
    assert prune_in_place([tensor], choice) == (2, int((after == 0).sum()))
    assert tensor.weights.tobytes() == after.tobytes()


@pytest.mark.parametrize("repaired", [True, False])
def test_bytes_are_of_what_the_choice_leaves(
    repaired: bool, stored: StoredModel, solved: Solved, after: NDArray[np.float32]
) -> None:
    choices = choose(list(stored.prunable.values()), Settings(), [0.5])
    found = footprint(stored, [solved] if repaired else choices, method="magnitude")
    weighed = {
        row.format: row.bytes
        for row in found.rows
        if (row.level, row.of, row.dtype) == (0.5, "prunable", "F32")
    }
    left = int((after != 0).sum()) if repaired else after.size // 2
    assert weighed["bitmask"] == after.size // 8 + 4 * left
    assert weighed["csr32"] == 4 * left + 4 * left + 4 * (SHAPE[0] + 1)


def test_a_file_of_bit_masks_takes_what_was_weighed(stored: StoredModel, tmp_path: Path) -> None:
    choices = choose(list(stored.prunable.values()), Settings(), [0.5])
    found = footprint(stored, choices, method="magnitude")
    (weighed,) = (
        row.bytes
        for row in found.rows
        if (row.format, row.level, row.of, row.dtype) == ("bitmask", 0.5, "prunable", "F32")
    )
    prune_to_folder(stored.checkpoint, Settings(), 0.5, tmp_path / "out", form="bitmask")
    assert sizes(tmp_path / "out")["masked"] == weighed


def test_what_repairs_nothing_keeps_its_bits(before: NDArray[np.float32]) -> None:
    before[1, 1] = -0.0  # a weight of -0.0 is zero already, and stays as it is where it is kept
    tensor = in_memory(before)
    (choice,) = choose([tensor], Settings(), [0.0])
    assert choice.after(tensor).tobytes() == before.tobytes()
    assert describe([tensor], choice).zeros == 3
