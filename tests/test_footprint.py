"""Footprint: bytes by hand arithmetic, by scipy's own arrays, and of the files on disk."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.safetensors_file import write
from experiments.checkpoint.tensor import StoredTensor
from experiments.export import prune_to_folder
from experiments.footprint import bitmask_bytes, footprint
from experiments.masks import Axis
from experiments.pruning import Settings, choose
from experiments.records import Footprint, FootprintRow
from experiments.stored_model import StoredModel

Saved = Callable[..., Path]


def one_matrix(
    folder: Path, shape: tuple[int, int], *, axis: Axis = 1, dtype: str = "F32"
) -> StoredModel:
    """A file with a single matrix in it, of a linear map by its name."""
    kind = {"F32": np.float32, "F16": np.float16}[dtype]
    weights = np.random.default_rng(0).standard_normal(shape).astype(kind)
    path, name = folder / "alone.safetensors", {1: "h.0.fc.weight", 0: "h.0.c_fc.weight"}[axis]
    made = StoredTensor(name=name, shape=shape, dtype=dtype, path=path, offset=0)
    write(path, [made], lambda _: [weights], {})
    return StoredModel(Checkpoint("alone", folder, weights=path))


def weighed(stored: StoredModel, *levels: float) -> Footprint:
    choices = choose(list(stored.prunable.values()), Settings(), levels)
    return footprint(stored, choices, method="magnitude")


def row_of(found: Footprint, level: float, name: str, of: str = "prunable") -> FootprintRow:
    key = (level, name, of)
    return next(row for row in found.rows if (row.level, row.format, row.of) == key)


def test_a_768_by_768_matrix_weighs_what_hand_arithmetic_says(tmp_path: Path) -> None:
    """589,824 weights, of which 90 % are 530,842 and 58,982 remain."""
    found = weighed(one_matrix(tmp_path, (768, 768)), 0.9)
    assert row_of(found, 0.9, "dense").bytes == 2_359_296
    assert row_of(found, 0.9, "bitmask").bytes == 589_824 // 8 + 4 * 58_982 == 309_656
    assert row_of(found, 0.9, "csr32").bytes == 8 * 58_982 + 4 * 769 == 474_932
    assert row_of(found, 0.9, "csr64").bytes == 12 * 58_982 + 8 * 769 == 713_936
    assert row_of(found, 0.9, "csr32").ratio == 474_932 / 2_359_296


def test_formats_that_index_are_larger_than_dense_where_nothing_is_zero(tmp_path: Path) -> None:
    found = weighed(one_matrix(tmp_path, (768, 768)))
    assert row_of(found, 0.0, "bitmask").ratio == 1 + 1 / 32
    assert row_of(found, 0.0, "csr32").ratio > 2
    assert row_of(found, 0.0, "csr64").ratio > 3


@pytest.mark.parametrize(("shape", "axis"), [((5, 9), 1), ((5, 9), 0)])
def test_csr_is_as_large_as_scipys_arrays_of_outputs_by_inputs(
    shape: tuple[int, int], axis: Axis, tmp_path: Path
) -> None:
    stored = one_matrix(tmp_path, shape, axis=axis, dtype="F16")
    found = weighed(stored, 0.6)
    (prunable,) = stored.prunable.values()
    (choice,) = choose([prunable], Settings(), [0.6])
    left = np.where(choice.mask(prunable), stored.tensors[0].read(), 0)
    by_output = scipy.sparse.csr_array((left if axis == 1 else left.T).astype(np.float32))
    assert by_output.nnz == 45 - 27
    indices = by_output.indices.astype(np.int32).nbytes + by_output.indptr.astype(np.int32).nbytes
    assert row_of(found, 0.6, "csr32").bytes == 2 * by_output.nnz + indices
    assert row_of(found, 0.6, "csr64").bytes == 2 * by_output.nnz + 2 * indices


def test_a_bit_mask_is_rounded_up_to_whole_bytes() -> None:
    assert [bitmask_bytes(count, 0, 4) for count in (0, 1, 8, 9)] == [0, 1, 1, 2]
    assert bitmask_bytes(2**40, 2**31, 2) == 2**37 + 2**32


def test_file_sizes_are_those_of_the_files_that_pruning_writes(
    saved: Saved, tmp_path: Path
) -> None:
    checkpoint = Checkpoint("tiny", saved())
    stored = StoredModel(checkpoint)
    choices = choose(list(stored.prunable.values()), Settings(), [0.5, 0.9])
    found = footprint(stored, choices, method="magnitude")
    for level in (0.0, 0.5, 0.9):
        out = tmp_path / f"out-{level}"
        prune_to_folder(checkpoint, Settings(), level, out)
        written = (out / "model.safetensors").read_bytes()
        dense, packed = (row_of(found, level, name, "file") for name in ("dense", "gzip"))
        assert (dense.bytes, dense.ratio) == (len(written), 1.0)
        assert packed.bytes == len(gzip.compress(written, compresslevel=6))
        assert packed.ratio == packed.bytes / len(written)
        assert row_of(found, level, "dense").bytes == 4 * 6144
    assert row_of(found, 0.9, "gzip", "file").bytes < row_of(found, 0.5, "gzip", "file").bytes


def test_weights_already_zero_are_not_stored_twice(saved: Saved, tmp_path: Path) -> None:
    """At a level below the sparsity there is, the formats hold what is left, not what k leaves."""
    prune_to_folder(Checkpoint("tiny", saved()), Settings(), 0.9, tmp_path / "sparse")
    stored = StoredModel(Checkpoint("sparse", tmp_path / "sparse"))
    choices = choose(list(stored.prunable.values()), Settings(), [0.5])
    found = footprint(stored, choices, method="magnitude")
    left = 6144 - round(0.9 * 6144)
    for level in (0.0, 0.5):
        assert row_of(found, level, "bitmask").bytes == 6144 // 8 + 4 * left


def test_nothing_is_left_in_the_temporary_folder(
    saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    weighed(one_matrix(tmp_path, (4, 4)), 0.5)
    assert list(scratch.iterdir()) == []
