"""Footprint: bytes by hand arithmetic, by scipy's own arrays, and of the files on disk."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import scipy.sparse
import zstandard
from command import full_disk

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.safetensors_file import write
from experiments.checkpoint.tensor import StoredTensor
from experiments.pruning.choosing import choose
from experiments.pruning.export import prune_to_folder
from experiments.pruning.masks import Axis
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.records.footprint import Footprint, FootprintRow
from experiments.speed import footprint as weighing
from experiments.speed.footprint import (
    bitmask_bytes,
    break_evens,
    csr_bytes,
    footprint,
)

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


def row_of(
    found: Footprint, level: float, name: str, of: str = "prunable", dtype: str = ""
) -> FootprintRow:
    key = (level, name, of, dtype or found.rows[0].dtype)
    return next(row for row in found.rows if (row.level, row.format, row.of, row.dtype) == key)


LEFT = {0.1: 530_842, 0.5: 294_912, 0.9: 58_982, 0.95: 29_491, 0.99: 5_898}


def test_a_768_by_768_matrix_weighs_what_hand_arithmetic_says(tmp_path: Path) -> None:
    """589,824 weights; round-half-even of the level times them go, the rest are left."""
    stored = one_matrix(tmp_path, (768, 768))
    found = weighed(stored, *LEFT)
    names = len("h.0.fc.weight")
    assert row_of(found, 0, "dense").bytes == 2_359_296
    for level, left in LEFT.items():
        assert left == 589_824 - round(level * 589_824)
        assert row_of(found, level, "dense").bytes == 2_359_296
        assert row_of(found, level, "bitmask").bytes == 73_728 + 4 * left
        assert row_of(found, level, "csr32").bytes == 8 * left + 4 * 769
        assert row_of(found, level, "csr64").bytes == 12 * left + 8 * 769
        assert row_of(found, level, "csr32").ratio == (8 * left + 3_076) / 2_359_296
        assert row_of(found, level, "bitmask", dtype="BF16").bytes == 73_728 + 2 * left
        assert row_of(found, level, "csr32", dtype="BF16").bytes == 6 * left + 4 * 769
    assert row_of(found, 0.9, "bitmask").bytes == 309_656
    assert row_of(found, 0.9, "csr32").bytes == 474_932
    assert row_of(found, 0.9, "csr64").bytes == 713_936
    for name in ("dense", "bitmask", "csr32", "csr64"):  # a header of some hundred bytes, no more
        file, held = (row_of(found, 0.9, name, of).bytes for of in ("file", "prunable"))
        assert 8 + names < file - held < 600


@pytest.mark.parametrize("name", ["bitmask", "csr32", "csr64"])
def test_the_formulas_are_the_files(name: str, saved: Saved) -> None:
    """Of a whole model: what the formulas add up to is what the files hold beside their headers."""
    stored = StoredModel(Checkpoint("tiny", saved("GPT-2")))
    found = weighed(stored, 0.1, 0.9)
    (choice,) = choose(list(stored.prunable.values()), Settings(), [0.9])
    index = {"csr32": 4, "csr64": 8}
    total = 0
    for prunable in stored.prunable.values():
        left = int(choice.mask(prunable).sum())
        size = (
            bitmask_bytes(prunable.count, left, 4)
            if name == "bitmask"
            else csr_bytes(prunable.shape[0], left, 4, index[name])
        )
        total += size
    assert row_of(found, 0.9, name).bytes == total
    others = row_of(found, 0.9, "dense", "file").bytes - row_of(found, 0.9, "dense").bytes
    assert 0 < row_of(found, 0.9, name, "file").bytes - total - others < 3_000  # longer headers


def test_a_csr_file_is_as_long_as_one_that_holds_scipys_arrays(tmp_path: Path) -> None:
    """A safetensors file: 8 bytes of length, a JSON header padded to 8, then the arrays."""
    stored = one_matrix(tmp_path, (5, 9))
    found = weighed(stored, 0.6)
    (choice,) = choose(list(stored.prunable.values()), Settings(), [0.6])
    (prunable,) = stored.prunable.values()
    theirs = scipy.sparse.csr_array(choice.mask(prunable).astype(np.float32))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for part, array, dtype in (
        ("values", theirs.data, "F32"),
        ("columns", theirs.indices.astype(np.int32), "I32"),
        ("rows", theirs.indptr.astype(np.int32), "I32"),
    ):
        header[f"h.0.fc.weight.{part}"] = {
            "dtype": dtype,
            "shape": list(array.shape),
            "data_offsets": [end, end := end + array.nbytes],
        }
    text = json.dumps(header, separators=(",", ":"))
    assert row_of(found, 0.6, "csr32", "file").bytes == 8 + -(-len(text) // 8) * 8 + end


@pytest.mark.parametrize("dtype", ["F32", "F16"])
def test_a_format_pays_from_its_break_even_on(dtype: str, tmp_path: Path) -> None:
    """One weight more left than at the break-even, and the format is as large as dense, or larger."""
    stored = one_matrix(tmp_path, (40, 50), dtype=dtype)
    evens = {(e.format, e.dtype): e.sparsity for e in break_evens(stored)}
    assert {name for name, _ in evens} == {"bitmask", "csr32", "csr64"}
    for (name, kind), sparsity in evens.items():
        assert sparsity is not None
        zeros = round(sparsity * 2000)
        pays, not_yet = weighed(stored, zeros / 2000), weighed(stored, (zeros - 1) / 2000)
        dense = row_of(pays, 0.0, "dense", dtype=kind).bytes
        assert row_of(pays, zeros / 2000, name, dtype=kind).bytes < dense
        assert row_of(not_yet, (zeros - 1) / 2000, name, dtype=kind).bytes >= dense


def test_a_format_whose_fixed_bytes_are_as_many_as_dense_never_pays(tmp_path: Path) -> None:
    """40 x 3 halves: 240 bytes dense, 41 places of rows take 164 of 32 bits, 328 of 64."""
    stored = one_matrix(tmp_path, (40, 3), dtype="F16")
    evens = {e.format: e.sparsity for e in break_evens(stored)}
    assert evens["csr64"] is None
    assert row_of(weighed(stored, 1.0), 1.0, "csr64").bytes == 328
    # (240 - 164) / 6 is 12.7: twelve values of 120 may be left; 15 bytes of mask leave 112 halves
    assert evens["csr32"] == 1 - 12 / 120
    assert evens["bitmask"] == 1 - 112 / 120


def test_a_format_pays_from_its_break_even_on_whichever_dtype_is_left(tmp_path: Path) -> None:
    """16 halves and 16 floats, 96 bytes dense; 29 values may be left at worst."""
    draw = np.random.default_rng(0)
    matrices = {
        "h.0.fc.weight": draw.normal(0, 1, (4, 4)).astype(np.float16),
        "h.1.fc.weight": draw.normal(9, 1, (4, 4)).astype(np.float32),
    }
    safetensors.numpy.save_file(matrices, tmp_path / "model.safetensors")
    stored = StoredModel(Checkpoint("mixed", tmp_path))
    even = next(e for e in break_evens(stored) if (e.format, e.dtype) == ("bitmask", "F16, F32"))
    # all 16 floats, 64 bytes, and 13 halves, 26, with the masks' 4 are 94; with 14 as many as dense
    assert even.sparsity == 1 - 29 / 32
    found = weighed(stored, 2 / 32, 3 / 32)
    assert row_of(found, 2 / 32, "bitmask", dtype="F16, F32").bytes == 96
    assert row_of(found, 3 / 32, "bitmask", dtype="F16, F32").bytes == 94


def test_formats_that_index_are_larger_than_dense_where_nothing_is_zero(tmp_path: Path) -> None:
    found = weighed(one_matrix(tmp_path, (768, 768)))
    assert row_of(found, 0.0, "bitmask").ratio == 1 + 1 / 32
    assert row_of(found, 0.0, "csr32").ratio > 2
    assert row_of(found, 0.0, "csr64").ratio > 3


@pytest.mark.parametrize(("shape", "axis"), [((5, 9), 1), ((5, 9), 0)])
def test_csr_is_as_large_as_scipys_arrays_of_the_matrix_as_stored(
    shape: tuple[int, int], axis: Axis, tmp_path: Path
) -> None:
    stored = one_matrix(tmp_path, shape, axis=axis, dtype="F16")
    found = weighed(stored, 0.6)
    (prunable,) = stored.prunable.values()
    (choice,) = choose([prunable], Settings(), [0.6])
    left = np.where(choice.mask(prunable), stored.tensors[0].read(), 0)
    theirs = scipy.sparse.csr_array(left.astype(np.float32))
    assert theirs.nnz == 45 - 27
    indices = theirs.indices.astype(np.int32).nbytes + theirs.indptr.astype(np.int32).nbytes
    assert row_of(found, 0.6, "csr32").bytes == 2 * theirs.nnz + indices
    assert row_of(found, 0.6, "csr64").bytes == 2 * theirs.nnz + 2 * indices


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
        quick = zstandard.ZstdCompressor(3).compressobj()
        theirs = len(quick.compress(written)) + len(quick.flush())
        assert abs(row_of(found, level, "zstd", "file").bytes - theirs) <= 8  # fed in other pieces
        out = tmp_path / f"masked-{level}"
        prune_to_folder(checkpoint, Settings(), level, out, form="bitmask")
        masked = (out / "model.bitmask.safetensors").stat().st_size
        assert row_of(found, level, "bitmask", "file").bytes == masked
        assert row_of(found, level, "dense").bytes == 4 * 6144
    assert row_of(found, 0.9, "gzip", "file").bytes < row_of(found, 0.5, "gzip", "file").bytes


def test_stretches_stand_for_a_very_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of a quarter of a file's eighth each, evenly spread: compressed apart, they count twofold."""
    draw = np.random.default_rng(0)
    numbers = draw.standard_normal(1 << 19).astype(np.float32)
    numbers[::2] = 0
    content, part = numbers.tobytes(), 1 << 18
    blocks = [memoryview(content)[at : at + 70_000] for at in range(0, len(content), 70_000)]
    whole = weighing.packed_sizes(blocks, len(content))
    monkeypatch.setattr(weighing, "WHOLE", len(content) - 1)
    monkeypatch.setattr(weighing, "STRETCHES", 4)
    monkeypatch.setattr(weighing, "STRETCH", part)
    about = weighing.packed_sizes(blocks, len(content))
    starts = [at * (len(content) - part) // 3 for at in range(4)]
    some = [len(gzip.compress(content[at : at + part], compresslevel=6)) for at in starts]
    assert about["gzip"] == 2 * sum(some)
    for name in weighing.PACKERS:
        assert about[name] == pytest.approx(whole[name], rel=0.01)


def test_weights_already_zero_are_not_stored_twice(saved: Saved, tmp_path: Path) -> None:
    """At a level below the sparsity there is, the formats hold what is left, not what k leaves."""
    prune_to_folder(Checkpoint("tiny", saved()), Settings(), 0.9, tmp_path / "sparse")
    stored = StoredModel(Checkpoint("sparse", tmp_path / "sparse"))
    choices = choose(list(stored.prunable.values()), Settings(), [0.5])
    found = footprint(stored, choices, method="magnitude")
    left = 6144 - round(0.9 * 6144)
    for level in (0.0, 0.5):
        assert row_of(found, level, "bitmask").bytes == 6144 // 8 + 4 * left


def test_nothing_is_written(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, opened = StoredModel(Checkpoint("tiny", saved())), Path.open

    def reading(path: Path, mode: str = "r", *rest: Any, **how: Any) -> Any:
        assert mode in ("r", "rb"), f"{path} opened for {mode}"
        return opened(path, mode, *rest, **how)

    monkeypatch.setattr(Path, "open", reading)
    monkeypatch.setattr("tempfile.mkdtemp", full_disk)
    assert weighed(stored, 0.5).rows
