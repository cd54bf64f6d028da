"""Bit masks: the layout by hand, every number back bit for bit, and damage told in one line."""

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from families import load
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from experiments.catalogue import task_from_file
from experiments.checkpoint import bitmask_file, formats, safetensors_file
from experiments.checkpoint.bitmask_file import BitmaskTensor
from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.tensor import DTYPES, StoredTensor
from experiments.errors import ReportError, UsageError
from experiments.models.opening import open_model
from experiments.pruning import export
from experiments.pruning.export import prune_to_folder
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.quality import answering

Saved = Callable[..., Path]
Array = NDArray[np.generic]
NAME = "h.0.fc.weight"


def masked(path: Path, array: Array, *, block: int = 1 << 18) -> BitmaskTensor:
    """The matrix written as a bit mask, in blocks of a length, and found again."""
    kind = next(name for name, dtype in DTYPES.items() if dtype == array.dtype)
    made = StoredTensor(name=NAME, shape=array.shape, dtype=kind, path=path, offset=0)

    def content(_: StoredTensor) -> Iterator[Array]:
        flat = array.reshape(-1)
        return (flat[at : at + block].copy() for at in range(0, flat.size, block))

    bitmask_file.write(path, [made], {NAME}, content, {"format": "pt"})
    ((found,), metadata) = bitmask_file.read_header(path)
    assert metadata == {"format": "pt"}
    assert isinstance(found, BitmaskTensor)
    return found


def test_the_layout_is_the_documented_one(tmp_path: Path) -> None:
    """Eleven weights, three left: bits 1, 7 and 8, so the bytes 130 and 1."""
    path = tmp_path / "model.bitmask.safetensors"
    array = np.zeros((1, 11), np.float32)
    array[0, [1, 7, 8]] = [0.5, -0.0, np.nan]
    found = masked(path, array)
    held = safetensors.numpy.load_file(path)
    assert held[f"{NAME}.bitmask"].tolist() == [0b10000010, 0b1]
    assert held[f"{NAME}.bitmask"].dtype == np.uint8
    assert held[f"{NAME}.values"].tobytes() == array[0, [1, 7, 8]].tobytes()
    assert safetensors_file.read_header(path)[1]["bitmask"] == f'{{"{NAME}":[1,11]}}'
    assert (found.name, found.shape, found.dtype, found.count) == (NAME, (1, 11), "F32", 11)
    assert found.read().tobytes() == array.tobytes()


@given(data=st.data())
def test_any_span_of_any_matrix_comes_back_bit_for_bit(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dtype = DTYPES[data.draw(st.sampled_from(["F64", "F32", "F16", "BF16", "F8_E4M3"]))]
    count = data.draw(st.integers(0, 70))
    words = data.draw(
        st.lists(st.sampled_from([0, 0, 0, 1, 0x7F, 0x80, 0xFF]), min_size=count, max_size=count)
    )
    array = np.array(words, f"u{dtype.itemsize}").view(dtype).reshape(1, -1)
    path = tmp_path_factory.mktemp("masked") / "a.safetensors"
    found = masked(path, array, block=data.draw(st.integers(1, 40)))
    start = data.draw(st.integers(0, count))
    stop = data.draw(st.integers(start, count))
    assert found.span(start, stop).tobytes() == array[0, start:stop].tobytes()


def test_spans_far_into_a_large_matrix_find_their_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    array = generator.standard_normal((300, 1000)).astype(np.float32)
    array[generator.random(array.shape) < 0.9] = 0
    found, flat = masked(tmp_path / "a.safetensors", array), array.reshape(-1)
    for start, stop in [(0, 300_000), (65_535, 65_537), (65_536, 131_072), (299_999, 300_000)]:
        assert found.span(start, stop).tobytes() == flat[start:stop].tobytes()
    assert b"".join(block.tobytes() for block in found.blocks()) == array.tobytes()


@pytest.mark.parametrize("name", ["GPT-2", "BERT", "T5", "LED"])
@pytest.mark.parametrize("level", [0.0, 0.9, 1.0])
def test_unpacking_gives_the_files_that_dense_pruning_writes(
    name: str, level: float, saved: Saved, tmp_path: Path
) -> None:
    source = Checkpoint("tiny", saved(name))
    dense, small, back = (tmp_path / word for word in ("dense", "small", "back"))
    told = prune_to_folder(source, Settings(), level, dense)
    assert prune_to_folder(source, Settings(), level, small, form="bitmask") == told
    size = export.unpack(Checkpoint("small", small), back)
    assert size == (dense / "model.safetensors").stat().st_size
    assert sorted(path.name for path in back.iterdir()) == sorted(
        path.name for path in dense.iterdir()
    )
    for path in dense.iterdir():
        assert (back / path.name).read_bytes() == path.read_bytes()


def test_shards_stay_shards(saved: Saved, tmp_path: Path) -> None:
    load(saved("GPT-2")).save_pretrained(tmp_path / "shards", max_shard_size="30KB")
    source = Checkpoint("tiny", tmp_path / "shards")
    assert len(source.weight_files()) > 1
    prune_to_folder(source, Settings(), 0.9, tmp_path / "dense")
    prune_to_folder(source, Settings(), 0.9, tmp_path / "small", form="bitmask")
    names = {path.name for path in (tmp_path / "small").glob("*safetensors*")}
    assert "model.bitmask.safetensors.index.json" in names
    assert all(".bitmask.safetensors" in name for name in names)
    export.unpack(Checkpoint("small", tmp_path / "small"), tmp_path / "back")
    for path in (tmp_path / "dense").glob("*"):
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()


def test_a_checkpoint_of_bit_masks_is_one_like_any_other(saved: Saved, tmp_path: Path) -> None:
    """It opens, answers as the dense one does, is inspected, pruned further, and masked again."""
    dense, small = tmp_path / "dense", tmp_path / "small"
    source = Checkpoint("tiny", saved("BERT"))
    prune_to_folder(source, Settings(), 0.5, dense)
    prune_to_folder(source, Settings(), 0.5, small, form="bitmask")
    (tmp_path / "films.tsv").write_text("sentence\tlabel\na film\tpositive\nit is bad\tnegative\n")
    task = task_from_file(tmp_path / "films.tsv", text="sentence", label="label", metric=None)
    answers = []
    for folder in (dense, small):
        opened = open_model(Checkpoint("tiny", folder))
        question = answering.prepare(opened, task)
        answers.append((opened.model.state_dict(), answering.predict(opened, question).tolist()))
    assert answers[0][1] == answers[1][1]
    assert all(torch.equal(one, answers[1][0][name]) for name, one in answers[0][0].items())
    further = [
        prune_to_folder(Checkpoint("tiny", folder), Settings(), 0.9, tmp_path / f"more-{form}")
        for folder, form in ((dense, "dense"), (small, "bitmask"))
    ]
    assert further[0] == further[1]
    again = prune_to_folder(
        Checkpoint("tiny", small), Settings(), 0.9, tmp_path / "again", form="bitmask"
    )
    assert again == further[0]


def test_plain_transformers_refuses_a_folder_of_bit_masks(saved: Saved, tmp_path: Path) -> None:
    """Under the usual name it would draw the missing weights at random and only warn."""
    prune_to_folder(
        Checkpoint("tiny", saved("GPT-2")), Settings(), 0.9, tmp_path / "small", form="bitmask"
    )
    with pytest.raises(OSError, match="no file named"):
        load(tmp_path / "small")


def test_at_90_percent_a_matrix_takes_an_eighth_and_the_file_is_told_beside(
    tmp_path: Path,
) -> None:
    """589,824 weights, 58,982 left: a bit each and four bytes each, 13.1 % of dense."""
    weights = np.random.default_rng(0).standard_normal((768, 768)).astype(np.float32)
    folder = tmp_path / "one"
    folder.mkdir()
    held = {NAME: weights, "wte.weight": np.ones((100, 768), np.float32)}
    safetensors.numpy.save_file(held, folder / "model.safetensors")
    out = tmp_path / "out"
    prune_to_folder(Checkpoint("one", folder), Settings(), 0.9, out, form="bitmask")
    sizes = export.sizes(out)
    assert sizes["masked"] == 768 * 768 // 8 + 4 * 58_982 == 309_656
    assert sizes["dense_masked"] == 2_359_296
    file = (out / "model.bitmask.safetensors").read_bytes()
    header = 8 + int.from_bytes(file[:8], "little")
    assert sizes["file"] == len(file) == header + 309_656 + 307_200
    prune_to_folder(Checkpoint("one", folder), Settings(), 0.9, tmp_path / "dense")
    assert sizes["dense_file"] == (tmp_path / "dense" / "model.safetensors").stat().st_size


@pytest.mark.parametrize("name", ["Llama", "OPT", "T5"])
@pytest.mark.parametrize("level", [0.9, 1.0])
def test_bit_masks_hold_as_many_prunable_weights_as_dense_files_however_many_are_gone(
    name: str, level: float, saved: Saved, tmp_path: Path
) -> None:
    """Emptied neighbours have their values, none, at one place: they are still two matrices."""
    held = []
    for form in export.FORMS:
        out = tmp_path / form
        prune_to_folder(Checkpoint("tiny", saved(name)), Settings(), level, out, form=form)
        stored = StoredModel(Checkpoint(form, out))
        held.append(({n: p.count for n, p in stored.prunable.items()}, stored.repeats))
    assert held[0] == held[1]


def test_masks_pruned_further_are_those_of_dense_files_pruned_further(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    matrices = {
        f"h.{i}.fc.weight": draw.normal(0, scale, (8, 8)).astype(np.float32)
        for i, scale in enumerate([0.001, 0.001, 1, 1])
    }
    source = tmp_path / "source"
    source.mkdir()
    safetensors.numpy.save_file(matrices, source / "model.safetensors")
    files = []
    for form in export.FORMS:
        first, second = tmp_path / form, tmp_path / f"{form} further"
        prune_to_folder(Checkpoint("source", source), Settings(), 0.5, first, form=form)
        told = prune_to_folder(Checkpoint(form, first), Settings(), 0.75, second, form="bitmask")
        assert (told.prunable, told.zeros) == (256, 192)
        files.append((second / "model.bitmask.safetensors").read_bytes())
    assert files[0] == files[1]


def test_shards_that_would_be_written_under_one_name_are_refused(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    masked(source / "x.bitmask.safetensors", np.eye(2, dtype=np.float32))
    other = {"h.1.fc.weight": np.ones((2, 2), np.float32)}
    safetensors.numpy.save_file(other, source / "x.safetensors")
    files = {NAME: "x.bitmask.safetensors", "h.1.fc.weight": "x.safetensors"}
    (source / formats.MASKED_INDEX).write_text(json.dumps({"weight_map": files}))
    with pytest.raises(ReportError, match=r"one file to be written as x\.safetensors, found two"):
        export.unpack(Checkpoint("source", source), out)
    assert not out.exists()


def test_folders_without_a_configuration_are_replaced_by_force_all_the_same(
    tmp_path: Path,
) -> None:
    source, masks, dense = (tmp_path / name for name in ("source", "masks", "dense"))
    source.mkdir()
    matrix = {NAME: np.arange(64, dtype=np.float32).reshape(8, 8)}
    safetensors.numpy.save_file(matrix, source / "model.safetensors")
    for level in (0.25, 0.5):
        prune_to_folder(
            Checkpoint("source", source), Settings(), level, masks, form="bitmask", force=True
        )
        (masks / export.PRUNED).unlink()
        export.unpack(Checkpoint("masks", masks), dense, force=True)
        zeros = int((safetensors.numpy.load_file(dense / "model.safetensors")[NAME] == 0).sum())
        assert zeros == 64 * level


def test_bit_masks_are_forecast_as_no_larger_than_their_tensors_are(tmp_path: Path) -> None:
    source, out, said = tmp_path / "source", tmp_path / "out", []
    source.mkdir()
    matrix = {NAME: np.ones((256, 257), np.float16)}
    safetensors.numpy.save_file(matrix, source / "model.safetensors")
    prune_to_folder(
        Checkpoint("source", source), Settings(), 0.0, out, form="bitmask", say=said.append
    )
    size = 2 * 256 * 257 + 256 * 257 // 8
    assert said[0].startswith(f"65,792 prunable weights; writing at most {size:,} bytes of tensors")
    held = safetensors.numpy.load_file(out / "model.bitmask.safetensors")
    assert sum(array.nbytes for array in held.values()) == size


def test_what_is_not_masked_is_not_unpacked(saved: Saved, tmp_path: Path) -> None:
    source = saved("GPT-2")
    with pytest.raises(ReportError, match="expected a checkpoint of bit masks, found none"):
        export.unpack(Checkpoint("tiny", source), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="a folder other than the source"):
        export.unpack(Checkpoint("tiny", source), source)


def written_with(path: Path, arrays: dict[str, Array], table: str) -> Path:
    safetensors.numpy.save_file(arrays, path, {"bitmask": table})
    return path


BITS, VALUES = np.array([7], np.uint8), np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("arrays", "table", "found"),
    [
        ({}, "[1]", "without a table of their shapes"),
        ({}, "{", "without a table of their shapes"),
        ({}, '{"w": 3}', "without a table of their shapes"),
        ({}, '{"w": [-1]}', "a shape that is no shape"),
        ({}, '{"w": [true]}', "a shape that is no shape"),
        ({}, json.dumps({"w": [1 << 70]}), "a shape that is no shape"),
        ({}, '{"\\u001b[2J": [1]}', "a shape that is no shape"),
        ({"w.bitmask": BITS}, '{"w": [1, 4]}', "no bit mask and values of 'w'"),
        ({"w.bitmask": BITS, "w.values": VALUES}, '{"w": [3, 4]}', "does not fit its shape"),
        ({"w.bitmask": BITS.view(np.int8), "w.values": VALUES}, '{"w": [1, 4]}', "does not fit"),
        ({"w.bitmask": BITS, "w.values": VALUES[None]}, '{"w": [1, 4]}', "does not fit"),
        (
            {"w.bitmask": BITS, "w.values": VALUES, "w": VALUES},
            '{"w": [1, 4]}',
            "a name that stands twice",
        ),
    ],
)
def test_a_damaged_file_is_refused_by_its_header(
    arrays: dict[str, Array], table: str, found: str, tmp_path: Path
) -> None:
    path = written_with(tmp_path / "a.safetensors", arrays, table)
    with pytest.raises(ReportError, match=found):
        formats.tensors([path])


@pytest.mark.parametrize("bits", [0b1, 0b1111])
def test_a_mask_with_more_or_fewer_bits_than_values_is_refused(bits: int, tmp_path: Path) -> None:
    arrays = {"w.bitmask": np.array([bits], np.uint8), "w.values": VALUES}
    path = written_with(tmp_path / "a.safetensors", arrays, '{"w": [1, 4]}')
    (tensor,) = formats.tensors([path])
    with pytest.raises(ReportError, match=f"with {bits.bit_count()} bits set beside 3 values"):
        tensor.read()


def test_the_checksums_are_those_of_values_and_mask_as_they_lie_in_the_file(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.bitmask.safetensors"
    array = np.random.default_rng(0).integers(0, 3, (7, 11)).astype(np.float32)
    masked(path, array, block=13)
    held = safetensors.numpy.load_file(path)
    stated = json.loads(safetensors_file.read_header(path)[1]["bitmask_crc32"])
    assert stated == {
        NAME: [zlib.crc32(held[f"{NAME}.{part}"].tobytes()) for part in ("values", "bitmask")]
    }


def test_any_flipped_byte_of_values_or_mask_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.bitmask.safetensors"
    array = np.random.default_rng(0).integers(0, 2, (3, 8)).astype(np.float32)
    found = masked(path, array)
    content = path.read_bytes()
    for piece in (found.values, found.mask):
        for at in range(piece.offset, piece.offset + piece.nbytes):
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            ((damaged,), _) = bitmask_file.read_header(path)
            with pytest.raises(ReportError, match=r"checksum|bits set"):
                damaged.read()


def test_a_file_without_checksums_is_read_all_the_same(tmp_path: Path) -> None:
    """As such files were written at first."""
    path = tmp_path / "model.bitmask.safetensors"
    array = np.random.default_rng(0).integers(0, 2, (3, 8)).astype(np.float32)
    masked(path, array)
    tensors, metadata = safetensors_file.read_header(path)
    del metadata["bitmask_crc32"]
    older = tmp_path / "older.bitmask.safetensors"
    safetensors_file.write(older, tensors, StoredTensor.blocks, metadata)
    ((found,), _) = bitmask_file.read_header(older)
    assert found.read().tobytes() == array.tobytes()


def test_a_mask_with_bits_behind_its_last_weight_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bitmask.safetensors"
    held = {
        f"{NAME}.bitmask": np.array([0b11110111], np.uint8),
        f"{NAME}.values": np.ones(3, np.float32),
    }
    for shape, message in (([1, 8], "7 bits set"), ([1, 4], "goes on behind its last weight")):
        safetensors.numpy.save_file(held, path, {"bitmask": json.dumps({NAME: shape})})
        ((tensor,), _) = bitmask_file.read_header(path)
        with pytest.raises(ReportError, match=message):
            tensor.read()


def test_a_table_of_shapes_that_names_a_matrix_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bitmask.safetensors"
    held = {f"{NAME}.bitmask": np.ones(1, np.uint8), f"{NAME}.values": np.ones(1, np.float32)}
    twice = f'{{"{NAME}": [1, 4], "{NAME}": [4, 1]}}'
    safetensors.numpy.save_file(held, path, {"bitmask": twice})
    with pytest.raises(ReportError, match="without a table of their shapes"):
        bitmask_file.read_header(path)


def test_a_name_that_a_mask_would_take_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    held = {NAME: np.ones((4, 4), np.float32), f"{NAME}.values": np.ones(4, np.float32)}
    safetensors.numpy.save_file(held, folder / "model.safetensors")
    with pytest.raises(ReportError, match="two tensors of one name"):
        prune_to_folder(
            Checkpoint("one", folder), Settings(), 0.5, tmp_path / "out", form="bitmask"
        )
    assert not (tmp_path / "out").exists()
    assert StoredModel(Checkpoint("one", folder)).prunable.keys() == {NAME}
