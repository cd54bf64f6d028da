"""The dtypes that safetensors knows and numpy does not: opened, measured or not, and copied as they are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.torch
import torch

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.tensor import BITS, OPAQUE
from experiments.errors import ReportError
from experiments.pruning.export import prune_to_folder
from experiments.pruning.inspection import inspect
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel

WIDE = {"F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz}
TORCH = {
    "F8_E8M0": torch.float8_e8m0fnu, "C64": torch.complex64, "F4": torch.float4_e2m1fn_x2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz, "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}  # fmt: skip


def written(path: Path, dtype: str, shape: list[int], size: int) -> Path:
    """A file of one tensor, `h.0.fc.weight`, of so many bytes, all of them counted on from 0."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"h.0.fc.weight": entry}).encode()
    path.write_bytes(
        len(header).to_bytes(8, "little") + header + bytes(i % 256 for i in range(size))
    )
    return path


def test_every_dtype_that_the_safetensors_library_knows_is_known(tmp_path: Path) -> None:
    """It lists them itself where it meets one it does not know."""
    path = written(tmp_path / "w.safetensors", "NONE", [1], 1)
    with pytest.raises(Exception, match="unknown variant") as told:
        safetensors.torch.load_file(path)
    listed = str(told.value).partition("expected one of ")[2].partition(" at line")[0]
    assert {name.strip("`") for name in listed.split(", ")} == set(BITS)


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [("F4", [4, 6], 12), ("F6_E2M3", [4, 6], 18), ("F6_E3M2", [2, 4], 6), ("F8_E8M0", [4, 6], 24),
     ("C64", [4, 6], 192)],
)  # fmt: skip
def test_a_dtype_whose_numbers_are_not_told_is_open_not_measured_and_not_pruned(
    dtype: str, shape: list[int], size: int, tmp_path: Path
) -> None:
    written(tmp_path / "model.safetensors", dtype, shape, size)
    checkpoint = Checkpoint("x", tmp_path)
    found = inspect(StoredModel(checkpoint))
    (row,) = found.tensors
    assert (row.dtype, row.count, row.zeros) == (dtype, shape[0] * shape[1], None)
    assert row.reason == f"numbers of {dtype}: not measured"
    assert found.totals.parameters.count == 0
    for ask in (lambda: StoredModel(checkpoint).prunable, checkpoint.check_weights):
        with pytest.raises(ReportError, match=f"can be ranked, found numbers of {dtype}; deq"):
            ask()


@pytest.mark.parametrize(
    ("dtype", "shape", "size", "message"),
    [("F4", [4, 6], 24, "12 bytes by its shape, 24 in the file"),
     ("F4", [3, 3], 5, "36 bits by its shape, 5 in the file"),
     ("F4", [1], 0, "4 bits by its shape, 0 in the file"),
     ("F6_E2M3", [2, 3], 4, "36 bits by its shape, 4 in the file"),
     ("F8_E4M3FNUZ", [4, 6], 48, "24 bytes by its shape, 48 in the file"),
     ("C64", [2], 8, "16 bytes by its shape, 8 in the file"),
     ("F8_E9M0", [2], 2, "of unknown dtype 'F8_E9M0'")],
)  # fmt: skip
def test_a_size_that_does_not_fit_its_shape_is_refused_as_that(
    dtype: str, shape: list[int], size: int, message: str, tmp_path: Path
) -> None:
    written(tmp_path / "model.safetensors", dtype, shape, size)
    with pytest.raises(ReportError, match=message):
        Checkpoint("x", tmp_path).tensors()


@pytest.mark.parametrize("dtype", WIDE)
def test_floats_without_a_negative_zero_are_counted_and_ranked_as_numbers(
    dtype: str, tmp_path: Path
) -> None:
    """All 256 codes once: one zero, one NaN (where others have -0), and the sums that ml_dtypes gives."""
    written(tmp_path / "model.safetensors", dtype, [16, 16], 256)
    (row,) = inspect(StoredModel(Checkpoint("x", tmp_path))).tensors
    numbers = np.arange(256, dtype=np.uint8).view(WIDE[dtype]).astype(np.float64)
    assert (row.zeros, row.nan, row.inf, row.prunable) == (1, 1, 0, True)
    assert row.l1 == np.nansum(np.abs(numbers))
    assert (row.max, row.stored_as) == (np.nanmax(numbers), dtype)


def test_floats_without_a_negative_zero_are_pruned_into_numbers_of_16_bits(tmp_path: Path) -> None:
    codes = torch.arange(1, 128, dtype=torch.uint8)[:120].reshape(10, 12)
    state = {"h.0.fc.weight": codes.view(torch.float8_e4m3fnuz)}
    torch.save(state | {"t": state["h.0.fc.weight"].t()}, tmp_path / "pytorch_model.bin")
    checkpoint = Checkpoint("x", tmp_path)
    turned = {tensor.name: tensor for tensor in checkpoint.tensors()}["t"]
    values = codes.numpy().view(WIDE["F8_E4M3FNUZ"]).astype(np.float16)
    np.testing.assert_array_equal(turned.read(), values.T)
    told = prune_to_folder(checkpoint, Settings(), 0.5, beside(tmp_path))
    kept = np.where(values > np.sort(values.ravel())[59], values, 0)
    assert told.zeros == 60
    copy = safetensors.torch.load_file(beside(tmp_path) / "model.safetensors")
    np.testing.assert_array_equal(copy["h.0.fc.weight"].numpy(), kept)


@pytest.mark.parametrize("dtype", TORCH)
@pytest.mark.parametrize("save", ["torch", "safetensors"])
def test_what_torch_saves_of_them_is_copied_byte_for_byte(
    dtype: str, save: str, tmp_path: Path
) -> None:
    """Beside a matrix that is pruned: a buffer of each, which is no weight, is as it was."""
    buffer = torch.arange(1, 49, dtype=torch.uint8).reshape(2, 24).view(TORCH[dtype])
    state = {"h.0.fc.weight": torch.arange(1.0, 25).reshape(4, 6), "table": buffer}
    if save == "torch":
        torch.save(state, tmp_path / "pytorch_model.bin")
    else:
        safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    prune_to_folder(Checkpoint("x", tmp_path), Settings(), 0.5, beside(tmp_path))
    copy = safetensors.torch.load_file(beside(tmp_path) / "model.safetensors")["table"]
    if dtype in OPAQUE:
        assert copy.dtype == buffer.dtype
        assert torch.equal(copy.view(torch.uint8), buffer.view(torch.uint8))
    else:
        np.testing.assert_array_equal(copy.float().numpy(), buffer.float().numpy())


def test_a_turned_matrix_of_them_is_refused_not_copied_in_another_order(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2, 3, dtype=torch.complex64).t()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ReportError, match=r"tensor 'w' of C64 that is turned; save its contig"):
        Checkpoint("x", tmp_path).tensors()


@pytest.mark.parametrize("dtype", sorted(BITS))
def test_a_header_of_any_dtype_and_size_is_read_or_refused_in_one_line(
    dtype: str, tmp_path: Path, gen: Callable[..., Any]
) -> None:
    for shape, size in (([3, 5], 7), ([], 1), ([0, 4], 0), ([8, 8], BITS[dtype] * 8)):
        written(tmp_path / "model.safetensors", dtype, shape, size)
        done = gen("inspect", tmp_path / "model.safetensors")
        assert "gen --debug" not in done.err
        assert done.status == 0 or len(done.err.splitlines()) == 1


def beside(folder: Path) -> Path:
    """A place for a pruned copy, which does not go into its source."""
    return folder.with_name(f"{folder.name}-pruned")
