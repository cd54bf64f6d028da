"""Weights that are stored in pieces: put together, counted once, and the same for every command.

What they must be is computed by torch and numpy from the makers' definitions, never by our readers.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import torch
from numpy.typing import NDArray
from torch.nn.utils import prune

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.coverage import prunable_parameters
from experiments.models.opening import open_model
from experiments.pruning.export import prune_to_folder
from experiments.pruning.inspection import inspect
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel

Saved = Callable[..., Path]
Arrays = dict[str, NDArray[Any]]
Numbers = Mapping[str, NDArray[Any]]
FP8 = ml_dtypes.float8_e4m3fn


def replaced(folder: Path, arrays: Arrays, **config: Any) -> Checkpoint:
    """The folder with these tensors for its own, and these keys in its configuration."""
    safetensors.numpy.save_file(arrays, folder / "model.safetensors", {"format": "pt"})
    stated = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(stated))
    return Checkpoint("pieces", folder)


def maps_of(model: torch.nn.Module) -> dict[str, torch.nn.Linear]:
    """The linear maps of a tiny Llama's blocks."""
    return {
        name: part
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear) and ".layers." in name
    }


def holds_everywhere(checkpoint: Checkpoint, weights: Numbers, out: Path) -> None:
    """One verdict for all: the file, the open model and a pruned copy have these prunable weights."""
    found = inspect(StoredModel(checkpoint))
    rows = {row.name: row for row in found.tensors if row.prunable}
    assert set(rows) == set(weights)
    zeros = {name: int((weights[name] == 0).sum()) for name in weights}
    assert {name: row.zeros for name, row in rows.items()} == zeros
    assert found.packed_weights == 0
    opened = dict(prunable_parameters(open_model(checkpoint).model))
    assert {entry.name for entry in opened} == set(weights)
    for entry, tensor in opened.items():
        np.testing.assert_array_equal(tensor.numpy(), weights[entry.name].astype(np.float32))
    _pruned_alike(checkpoint, weights, out)


def _pruned_alike(checkpoint: Checkpoint, weights: Numbers, out: Path) -> None:
    told = prune_to_folder(checkpoint, Settings(), 0.75, out)
    sizes = np.sort(np.concatenate([np.abs(w.astype("f8")).ravel() for w in weights.values()]))
    assert told.prunable == sizes.size
    assert told.zeros == max(round(0.75 * sizes.size), int((sizes == 0).sum()))
    assert told.threshold == sizes[round(0.75 * sizes.size) - 1]
    written = safetensors.numpy.load_file(out / "model.safetensors")
    for name, weight in weights.items():
        kept = written[name] != 0
        assert (np.abs(weight[kept].astype("f8")) >= told.threshold).all()
        np.testing.assert_array_equal(written[name][kept], weight[kept])
    copied = open_model(Checkpoint("copy", out)).model  # plain transformers' class, nothing missing
    zeros = sum(int((tensor == 0).sum()) for _, tensor in prunable_parameters(copied))
    assert zeros == told.zeros
    assert "quantization_config" not in json.loads((out / "config.json").read_text())


@pytest.fixture
def llama(saved: Saved, tiny_model: Callable[..., Any]) -> tuple[Path, Any]:
    """A folder of a tiny Llama, and the model."""
    return saved("Llama"), tiny_model("Llama")


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_what_torch_pruned_is_the_product_of_weight_and_mask(
    file: str, llama: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, model = llama
    for part in maps_of(model).values():
        prune.l1_unstructured(part, "weight", amount=0.5)
    expected = {
        f"{name}.weight": part.weight.detach().numpy() for name, part in maps_of(model).items()
    }
    state = model.state_dict()
    assert any(name.endswith("weight_mask") for name in state)
    (folder / "model.safetensors").unlink()
    if file.endswith(".bin"):
        torch.save(state, folder / file)
    else:
        replaced(folder, {name: tensor.numpy() for name, tensor in state.items()})
    checkpoint = Checkpoint("pieces", folder)
    names = {row.name for row in inspect(StoredModel(checkpoint)).tensors}
    assert not any(name.endswith(("_orig", "_mask")) for name in names)
    holds_everywhere(checkpoint, expected, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a | {"weight_mask": a["weight_mask"][:2]}, r"the shape \(4, 6\) of"),
        (
            lambda a: {"weight": a["weight_orig"], "weight_mask": a["weight_mask"]},
            "beside it, found",
        ),
        (lambda a: a | {"weight": a["weight_orig"]}, "it whole or in pieces"),
    ],
)
def test_halves_of_a_torch_pruning_are_refused_by_name(
    change: Callable[[Arrays], Arrays], message: str, tmp_path: Path
) -> None:
    pieces = {"weight_orig": np.ones((4, 6), "f4"), "weight_mask": np.eye(4, 6, dtype="f4")}
    arrays = {f"h.0.fc.{end}": array for end, array in change(pieces).items()}
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    with pytest.raises(ReportError, match=message) as told:
        Checkpoint("half", tmp_path).check()
    assert "remove" in str(told.value)


def test_a_weight_that_torch_reparametrises_is_not_measured_and_nowhere_pruned(
    tmp_path: Path,
) -> None:
    module = torch.nn.Module()
    module.h = torch.nn.ModuleList([torch.nn.Module(), torch.nn.Module(), torch.nn.Module()])
    for block, change in zip(
        module.h,
        (
            torch.nn.utils.parametrizations.weight_norm,
            torch.nn.utils.spectral_norm,
            torch.nn.utils.parametrizations.orthogonal,
        ),
    ):
        block.fc = change(torch.nn.Linear(4, 4))
        block.up = torch.nn.Linear(4, 4)
    arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    checkpoint = Checkpoint("normed", tmp_path)
    found = inspect(StoredModel(checkpoint))
    packed = {row.name: row.packed for row in found.tensors if row.packed}
    assert set(packed) == {name for name in arrays if ".fc." in name and not name.endswith("bias")}
    assert found.packed_weights == 3 * 16
    for ask in (lambda: StoredModel(checkpoint).prunable, checkpoint.check_weights):
        with pytest.raises(ReportError, match="or what else undoes it"):
            ask()


def compressed(name: str, weight: NDArray[Any]) -> Arrays:
    """A matrix in the layout sparse-bitmask, by its definition: bits of each row in whole bytes."""
    kept = weight != 0
    counts = kept.sum(-1)
    return {
        f"{name}.shape": np.array(weight.shape, np.int64),
        f"{name}.compressed": weight[kept],
        f"{name}.bitmask": np.packbits(kept, axis=-1, bitorder="little"),
        f"{name}.row_offsets": (np.cumsum(counts) - counts).astype(np.int64),
    }


def compressed_24(name: str, weight: NDArray[Any]) -> Arrays:
    """A matrix in the layout sparse-24-bitmask: of every four the two largest, zeros among them."""
    groups = np.abs(weight).reshape(-1, 4)
    kept = np.zeros(groups.shape, bool)
    np.put_along_axis(kept, np.argsort(-groups, axis=1)[:, :2], True, axis=1)
    kept = kept.reshape(weight.shape)
    stem = name.removesuffix(".weight")
    return {
        f"{stem}.shape": np.array(weight.shape, np.int64).reshape(-1, 1),
        f"{stem}.compressed": weight[kept].reshape(len(weight), -1),
        f"{stem}.bitmask": np.packbits(kept, axis=-1, bitorder="little"),
    }


@pytest.mark.parametrize("layout", [compressed, compressed_24])
def test_bit_masks_of_compressed_tensors_keep_their_zeros(
    layout: Callable[[str, NDArray[Any]], Arrays], llama: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, model = llama
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    expected = {}
    for name in [f"{name}.weight" for name in maps_of(model)]:
        weight = arrays.pop(name).copy()
        groups = weight.reshape(-1, 4)
        np.put_along_axis(groups, np.argsort(np.abs(groups), 1)[:, :2], 0, 1)
        weight[0, :4] = 0
        expected[name] = weight
        arrays |= layout(name, weight)
    stated = {"quant_method": "compressed-tensors", "format": "dense"}
    checkpoint = replaced(folder, arrays, quantization_config=stated)
    holds_everywhere(checkpoint, expected, tmp_path / "out")


def test_a_mask_whose_rows_end_within_a_byte_is_read_from_any_place(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    weight = (draw.normal(size=(7, 13)) * (draw.random((7, 13)) < 0.4)).astype("f2")
    safetensors.numpy.save_file(compressed("w.weight", weight), tmp_path / "model.safetensors")
    (tensor,) = Checkpoint("odd", tmp_path).tensors()
    for start, stop in ((0, 91), (5, 6), (12, 40), (90, 91), (13, 26), (0, 0)):
        np.testing.assert_array_equal(tensor.span(start, stop), weight.ravel()[start:stop])


@pytest.mark.parametrize(
    ("piece", "array", "message"),
    [
        ("bitmask", np.zeros((4, 3), np.uint8), "bytes of the shape"),
        ("shape", np.array([-4, 6]), "a matrix's shape"),
        ("shape", np.array([4.0, 6.0]), "a matrix's shape"),
        ("compressed", np.ones(9, "f4"), "4 bits set beside 9 values"),
        ("bitmask", np.full((4, 1), 0xC0, np.uint8), "goes on behind its last weight"),
    ],
)
def test_bit_masks_that_contradict_their_shape_are_refused(
    piece: str, array: NDArray[Any], message: str, tmp_path: Path
) -> None:
    pieces = compressed("h.0.fc.weight", np.eye(4, 6, dtype="f4"))
    pieces[f"h.0.fc.weight.{piece}"] = array
    safetensors.numpy.save_file(pieces, tmp_path / "model.safetensors")
    with pytest.raises(ReportError, match=message):
        inspect(StoredModel(Checkpoint("damaged", tmp_path)))


def by_tensor(weight: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
    """Codes, scales and numbers: a scale for all."""
    scale = np.array([weight.max() / 448], np.float32)
    return scale, np.broadcast_to(scale, weight.shape), {"quant_method": "modelopt"}


def by_row(weight: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
    scale = (np.abs(weight).max(1, keepdims=True) / 448).astype(ml_dtypes.bfloat16)
    each = np.broadcast_to(scale.astype(np.float32), weight.shape)
    return scale, each, {"quant_method": "compressed-tensors"}


def by_block(weight: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], dict[str, Any]]:
    """Blocks of 6 rows and 12 columns, the last ones smaller; scales are powers of two."""
    rows, columns = -(-weight.shape[0] // 6), -(-weight.shape[1] // 12)
    powers = 2.0 ** np.arange(-4, rows * columns - 4).reshape(rows, columns)
    each = np.repeat(np.repeat(powers, 6, 0), 12, 1)[: weight.shape[0], : weight.shape[1]]
    return (
        powers.astype(np.float32), each.astype(np.float32),
        {"quant_method": "fp8", "weight_block_size": [6, 12]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scales", "end"), [(by_tensor, "_scale"), (by_row, "_scale"), (by_block, "_scale_inv")]
)
def test_fp8_codes_are_worth_their_scale_and_ranked_so(
    scales: Callable[[NDArray[Any]], tuple[NDArray[Any], NDArray[Any], dict[str, Any]]],
    end: str,
    llama: tuple[Path, Any],
    tmp_path: Path,
) -> None:
    folder, model = llama
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    expected, stated = {}, {}
    for size, name in enumerate(f"{name}.weight" for name in maps_of(model)):
        weight = arrays[name] * 4.0 ** (size % 3)  # the codes alone rank otherwise
        scale, each, stated = scales(weight)
        arrays[name] = (weight / each).clip(-448, 448).astype(FP8)
        arrays[f"{name}{end}"] = scale
        arrays[f"{name.removesuffix('weight')}input_scale"] = np.ones(1, np.float32)
        expected[name] = arrays[name].astype(np.float32) * each
    checkpoint = replaced(folder, arrays, quantization_config=stated)
    plain = {name: a for name, a in arrays.items() if "scale" not in name}
    totals = inspect(StoredModel(checkpoint)).totals
    assert totals.parameters.count == sum(array.size for array in plain.values())
    holds_everywhere(checkpoint, expected, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float32"


def test_integers_are_worth_their_scale_less_their_zero_point(
    llama: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, model = llama
    arrays = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    draw, expected = np.random.default_rng(0), {}
    for name in [f"{name}.weight" for name in maps_of(model)]:
        rows, columns = arrays[name].shape
        codes = draw.integers(-128, 128, (rows, columns)).astype(np.int8)
        scale = draw.random((rows, 2)).astype(np.float32)  # two groups a row
        zero = draw.integers(-9, 9, (rows, 2)).astype(np.int8)
        arrays |= {name: codes, f"{name}_scale": scale, f"{name}_zero_point": zero}
        each, less = (np.repeat(grid, columns // 2, 1) for grid in (scale, zero))
        expected[name] = (codes.astype(np.float32) - less) * each
    stated = {"quant_method": "compressed-tensors", "format": "int-quantized"}
    checkpoint = replaced(folder, arrays, quantization_config=stated)
    holds_everywhere(checkpoint, expected, tmp_path / "out")


def test_scales_that_are_exponents_are_powers_of_two(tmp_path: Path) -> None:
    """E8M0: 127 stands for 1, each step for a factor of two; MXFP8 has one for 32 codes of a row."""
    codes = np.arange(128, dtype=np.uint8).reshape(2, 64) % 0x7F
    arrays = {
        "h.0.fc.weight": codes.view(FP8),
        "h.0.fc.weight_scale": np.array([[127, 128], [126, 130]], np.uint8),
    }
    safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
    (tensor,) = Checkpoint("mx", tmp_path).tensors()
    powers = np.repeat(np.array([[1, 2], [0.5, 8]], np.float32), 32, 1)
    np.testing.assert_array_equal(tensor.read(), codes.view(FP8).astype(np.float32) * powers)


UNKNOWN: dict[str, Arrays] = {
    "scales of a shape that fits nothing": {
        "weight": np.ones((10, 6), FP8), "weight_scale_inv": np.ones((3, 5), np.float32),
    },
    "scales by another name": {
        "weight": np.ones((10, 6), FP8), "qscale_weight": np.ones(1, np.float32),
    },
    "values without their mask": {
        "compressed": np.ones(60, np.float32), "shape": np.array([10, 6]),
    },
    "a second scale": {
        "weight": np.ones((10, 6), FP8), "weight_scale": np.ones(1, np.float32),
        "weight_scale_2": np.ones(1, np.float32),
    },
    "two 4-bit floats in an integer": {
        "weight": np.ones((10, 6), np.int8), "weight_scale_inv": np.ones((10, 1), np.float32),
    },
    "integers and scales of some other make": {
        "weight": np.ones((10, 6), np.int8), "weight_scales": np.ones(6, np.float16),
    },
}  # fmt: skip


@pytest.mark.parametrize("case", UNKNOWN)
def test_codes_that_no_rule_decodes_are_not_measured_and_every_command_says_so(
    case: str, saved: Saved, gen: Callable[..., Any], tmp_path: Path
) -> None:
    folder = saved("Llama")
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    module = "model.layers.0.mlp.up_proj"
    del arrays[f"{module}.weight"]
    arrays |= {f"{module}.{end}": array for end, array in UNKNOWN[case].items()}
    replaced(folder, arrays)
    found = {row.name: row for row in inspect(StoredModel(Checkpoint("x", folder))).tensors}
    for end in UNKNOWN[case]:
        row = found[f"{module}.{end}"]
        assert row.zeros is None
        assert row.reason.endswith("not measured")
    assert sum(row.logical for row in found.values() if row.packed) == 60
    (tmp_path / "texts.tsv").write_text("sentence\tlabel\na film\tnegative\nit is\tpositive\n")
    lines = {
        gen(*words).err.splitlines()[-1]
        for words in (
            ("prune", folder, "--level", "0.5", "--out", tmp_path / "out"),
            ("evaluate", folder, "--data", tmp_path / "texts.tsv"),
            ("latency", folder, "--tokens", "8"),
            ("footprint", folder),
        )
    }
    (line,) = lines
    assert re.search(
        rf"tensor {module}\.(weight|compressed): expected weights that can be ranked", line
    )
    assert not (tmp_path / "out").exists()


@pytest.fixture
def every_make() -> Arrays:
    weight = np.eye(6, 10, dtype="f4")
    return {
        **compressed("h.0.a.weight", weight),
        "h.0.b.weight_orig": weight, "h.0.b.weight_mask": weight,
        "h.0.c.weight": weight.astype(FP8), "h.0.c.weight_scale": np.ones((6, 1), "f4"),
        "h.0.d.weight": weight.astype(np.int8), "h.0.d.weight_scale": np.ones(6, "f4"),
        "h.0.d.weight_zero_point": np.zeros(6, np.int8),
    }  # fmt: skip


def test_any_piece_may_be_of_any_dtype_and_shape_and_nothing_breaks(
    every_make: Arrays, tmp_path: Path
) -> None:
    """Each piece in turn is gone or another: the file is read, or refused in one line."""
    kinds: list[NDArray[Any]] = [
        np.ones((), "f4"), np.ones((0, 10), "f4"), np.ones((6, 10), "f8"), np.ones(7, np.int64),
        np.ones((6, 10), bool), np.full((6, 10), 255, np.uint8), np.ones((2, 3, 10), FP8),
    ]  # fmt: skip
    for name in every_make:
        rest = {other: array for other, array in every_make.items() if other != name}
        for arrays in [rest, *(rest | {name: kind} for kind in kinds)]:
            safetensors.numpy.save_file(arrays, tmp_path / "model.safetensors")
            try:
                inspect(StoredModel(Checkpoint("x", tmp_path)))
            except ReportError as error:
                assert "\n" not in str(error)  # noqa: PT017
