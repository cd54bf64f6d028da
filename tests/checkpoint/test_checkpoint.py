"""Checkpoints: a file is believed only when header and bytes agree, whoever wrote it."""

import json
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.torch
import transformers
from dtypes import TORCH, every_kind, raw
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)

from experiments.checkpoint import formats
from experiments.checkpoint.folder import Checkpoint, known_to_transformers
from experiments.checkpoint.locate import locate, miniatures
from experiments.checkpoint.safetensors_file import read_header, write
from experiments.checkpoint.tensor import DTYPES, StoredTensor
from experiments.errors import ReportError
from experiments.pruning.magnitudes import summarise


def file_of(path: Path, header: object, data: bytes = b"") -> Path:
    """A file of this header, as it is, and these bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(begin: int, end: int, *, shape: Any = (1,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_what_the_safetensors_library_writes_is_read_byte_for_byte(tmp_path: Path) -> None:
    tensors, path = every_kind(), tmp_path / "theirs.safetensors"
    safetensors.torch.save_file(tensors, path, {"format": "pt"})
    found, metadata = read_header(path)
    assert metadata == {"format": "pt"}
    assert set(TORCH) == set(DTYPES)
    assert {tensor.name for tensor in found} == set(tensors)
    for tensor in found:
        assert tensor.read().shape == tuple(tensors[tensor.name].shape) == tensor.shape
        assert tensor.read().tobytes() == raw(tensors[tensor.name])


def test_what_we_write_is_read_by_us_and_by_the_safetensors_library(tmp_path: Path) -> None:
    tensors, path = every_kind(), tmp_path / "ours.safetensors"
    stored = [
        StoredTensor(name=name, shape=tuple(t.shape), dtype=name.split()[0], path=path, offset=0)
        for name, t in tensors.items()
    ]
    write(
        path,
        stored,
        lambda tensor: [np.frombuffer(raw(tensors[tensor.name]), np.uint8)],
        {"a": "é"},
    )
    theirs = safetensors.torch.load_file(path)
    assert {name: raw(tensor) for name, tensor in theirs.items()} == {
        name: raw(tensor) for name, tensor in tensors.items()
    }
    found, metadata = read_header(path)
    assert [tensor.name for tensor in found if tensor.count] == [t.name for t in stored if t.count]
    assert metadata == {"a": "é"}
    assert all(tensor.read().tobytes() == raw(tensors[tensor.name]) for tensor in found)
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"a": "é"}


def test_data_that_starts_at_an_odd_byte_is_read_all_the_same(tmp_path: Path) -> None:
    text = json.dumps({"w": entry(0, 8, shape=[2])}).encode()
    text += b" " * (1 - len(text) % 2)  # 8 bytes of length and an odd header
    values = np.array([1.5, -2.0], np.float32)
    ((tensor,), _) = read_header(file_of(tmp_path / "odd.safetensors", text, values.tobytes()))
    assert tensor.offset % 2 == 1
    assert summarise(tensor.blocks, np.dtype("f4")).l1 == 3.5


def test_bfloat16_bits_are_numbers_zeros_and_nan(tmp_path: Path) -> None:
    bits = np.array([0x3F80, 0x8000, 0x7FC0, 0x0000], np.uint16)
    header = {"w": entry(0, 8, shape=[4], dtype="BF16")}
    ((tensor,), _) = read_header(file_of(tmp_path / "w.safetensors", header, bits.tobytes()))
    assert tensor.read().dtype == ml_dtypes.bfloat16
    found = summarise(tensor.blocks, tensor.read().dtype)
    assert (found.zeros, found.nan, found.count) == (2, 1, 4)


@pytest.mark.parametrize("metadata", [{}, None])
def test_empty_metadata_is_no_fault(metadata: object, tmp_path: Path) -> None:
    header = {"__metadata__": metadata, "w": entry(0, 4)}
    found, told = read_header(file_of(tmp_path / "w.safetensors", header, bytes(4)))
    assert ([tensor.name for tensor in found], told) == (["w"], {})


def test_integers_are_counted_apart_from_floats(tmp_path: Path) -> None:
    """278,043,648 floats and 514 integers, read from the header alone: the file is a hole."""
    floats, integers = 278_043_648, 514
    header = {
        "table": entry(0, 4 * floats, shape=[floats]),
        "positions": entry(4 * floats, 4 * floats + 8 * integers, shape=[1, 514], dtype="I64"),
    }
    path = file_of(tmp_path / "m.safetensors", header)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 4 * floats + 8 * integers)
    found, _ = read_header(path)
    assert sum(tensor.count for tensor in found) == 278_044_162
    assert sum(tensor.count for tensor in found if tensor.floating) == floats


TWO = {"a": entry(0, 4), "b": entry(4, 8)}
DAMAGED = {
    "more data than the header says": (TWO, 9, "bytes where its header says"),
    "less data than the header says": (TWO, 7, "bytes where its header says"),
    "an overlap": ({"a": entry(0, 4), "b": entry(2, 6)}, 6, "tensor 'b' at"),
    "two tensors of the same bytes": ({"a": entry(0, 4), "b": entry(0, 4)}, 4, "tensor 'b' at"),
    "a gap": ({"a": entry(0, 4), "b": entry(5, 9)}, 9, "tensor 'b' at"),
    "a million numbers in four bytes": (
        {"w": entry(0, 4, shape=[1000, 1000])}, 4, "4000000 bytes by its shape, 4 in the file",
    ),
    "a shape whose product passes 64 bits": (
        {"w": entry(0, 4, shape=[2**40, 2**40])}, 4, "bytes by its shape",
    ),
    "more bytes than a shape needs": ({"w": entry(0, 8)}, 8, "4 bytes by its shape, 8 in the file"),
    "end before begin": ({"w": entry(4, 0)}, 4, "by its shape, -4 in the file"),
    "a negative size": ({"w": entry(0, 4, shape=[-1, -1])}, 4, "no count"),
    "a size that is no whole number": ({"w": entry(0, 4, shape=[1.0])}, 4, "no count"),
    "a truth for a size": ({"w": entry(0, 4, shape=[True])}, 4, "no count"),
    "an unknown dtype": ({"w": entry(0, 4, dtype="F7")}, 4, "unknown dtype 'F7'"),
    "a dtype that is no word": ({"w": entry(0, 4, dtype=[])}, 4, "unknown dtype"),
    "no offsets": ({"w": {"dtype": "F32", "shape": [1]}}, 4, "without dtype, shape"),
    "a list": ([], 0, "not a table of tensors"),
    "metadata that is no table": ({"__metadata__": 3}, 0, "not a table of tensors"),
    "a name that stands twice": (
        b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4, "a name stands twice",
    ),
    "no JSON": (b"{", 0, "a header that is not JSON"),
    "brackets without end": (b"[" * 100_000, 0, "a header that is not JSON"),
    "no UTF-8": (b'{"\xff":1}', 0, "a header that is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("fault", DAMAGED)
def test_a_file_that_contradicts_itself_is_refused(fault: str, tmp_path: Path) -> None:
    header, size, message = DAMAGED[fault]
    with pytest.raises(ReportError, match=message):
        read_header(file_of(tmp_path / "w.safetensors", header, bytes(size)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a header of 0 bytes in a file of 0"),
        (b"\x02\0\0", "in a file of 3"),
        ((2**62).to_bytes(8, "little") + b"{}", f"a header of {2**62} bytes in a file of 10"),
        ((3).to_bytes(8, "little") + b"{}", "a header of 3 bytes in a file of 10"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n",
         "it is a Git LFS pointer, not the weights; run git lfs pull"),
    ],
)  # fmt: skip
def test_a_file_without_a_header_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(ReportError, match=message):
        read_header(tmp_path / "w.safetensors")


WORD = st.sampled_from(["w", "dtype", "F32", "__metadata__"]) | st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 5) | st.floats() | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
)
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.just("F32") | JSON,
        "shape": st.lists(st.integers(-1, 2), max_size=2) | JSON,
        "data_offsets": st.just([0, 4]) | st.lists(st.integers(-1, 5), max_size=3) | JSON,
    }
)


@given(header=st.dictionaries(WORD, ENTRY, max_size=2) | JSON)
def test_any_json_for_a_header_is_read_or_refused(
    header: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = file_of(tmp_path_factory.getbasetemp() / "any.safetensors", header, bytes(4))
    with suppress(ReportError):
        assert sum(tensor.nbytes for tensor in read_header(path)[0]) == 4


Saved = Callable[..., Path]


@pytest.fixture
def shards(saved: Saved, tiny_model: Callable[..., Any]) -> Path:
    """A folder of at least three shards."""
    folder = saved()
    tiny_model("GPT-2").save_pretrained(folder, max_shard_size="12KB")
    (folder / "model.safetensors").unlink()
    assert len(list(folder.glob("model-*.safetensors"))) >= 3
    return folder


def test_shards_hold_what_the_single_file_held(shards: Path, tiny_model: Callable) -> None:
    found = {tensor.name: tensor.read() for tensor in Checkpoint("tiny", shards).tensors()}
    expected = tiny_model("GPT-2").state_dict()
    assert set(found) == set(expected)
    assert all(np.array_equal(found[name], expected[name].numpy()) for name in expected)


def test_a_missing_shard_is_named(shards: Path) -> None:
    (gone := sorted(shards.glob("model-*"))[1]).unlink()
    with pytest.raises(ReportError, match=f"expected {gone.name}, found none"):
        Checkpoint("tiny", shards).tensors()


def test_a_name_in_two_shards_is_refused(shards: Path) -> None:
    first, second, *_ = sorted(shards.glob("model-*"))
    second.write_bytes(first.read_bytes())
    with pytest.raises(ReportError, match="in one shard only"):
        Checkpoint("tiny", shards).tensors()


@pytest.mark.parametrize(
    "name",
    [
        "../w.safetensors",
        "/tmp/w.safetensors",
        "a/w.safetensors",
        "..\\w.safetensors",
        "C:w.safetensors",
    ],
)
def test_a_shard_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    file_of(tmp_path / "w.safetensors", {})
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / formats.INDEX).write_text(json.dumps({"weight_map": {"w": name}}))
    with pytest.raises(ReportError, match="shards inside the folder"):
        formats.weight_files(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"weight_map": 1}', '{"weight_map": {"a": []}}',
     '{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}'],
)  # fmt: skip
def test_a_damaged_index_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / formats.INDEX).write_text(text)
    with pytest.raises(ReportError, match="a JSON weight_map"):
        formats.weight_files(tmp_path)


class Marker:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", ["bin", "pt", "pth"])
def test_a_pickle_is_refused_and_never_opened(suffix: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    pickle_file = tmp_path / f"pytorch_model.{suffix}"
    pickle_file.write_bytes(pickle.dumps(Marker(marker)))
    with pytest.raises(ReportError, match=r"pathlib\.Path\.touch"):
        locate(str(pickle_file), relative_to=Path()).tensors()
    assert not marker.exists()
    pickle.loads(pickle_file.read_bytes())
    assert marker.exists(), "the pickle must be one that does harm when opened"


def test_a_folder_a_file_and_a_miniature_are_found(saved: Saved, tmp_path: Path) -> None:
    folder = saved(folder="tiny")
    by_folder = locate("tiny", relative_to=tmp_path)
    by_file = locate(str(folder / "model.safetensors"), relative_to=Path())
    assert (by_folder.name, by_file.name) == ("tiny", "model.safetensors")  # no folder of ours
    assert by_folder.weight_files() == by_file.weight_files() == [folder / "model.safetensors"]
    assert by_file.companions() == by_folder.companions() != []
    assert all(locate(name, relative_to=tmp_path).config() for name in miniatures())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("mini/gpt2-review", "did you mean mini/gpt2-reviews"),
        ("no such thing", "a folder, a weights file, mini/NAME or a hub id"),
        ("../../etc/nothing", "a folder, a weights file"),
    ],
)
def test_a_name_that_means_nothing_is_told(model: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=message):
        locate(model, relative_to=tmp_path).config()


def test_a_hub_id_that_is_not_here_fails_at_once_when_offline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    start = time.monotonic()
    with pytest.raises(ReportError, match="HF_HUB_OFFLINE is set"):
        locate("nobody/nothing@main", relative_to=Path())
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    ("files", "fetched"),
    [
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (["pytorch_model-00001-of-00001.bin"], ["pytorch_model-00001-of-00001.bin"]),
    ],
)
def test_of_a_hub_repository_one_kind_of_weights_is_fetched(
    files: list[str], fetched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def snapshot(repository: str, *, allow_patterns: list[str], **_: object) -> str:
        for name in ("config.json", "flax_model.msgpack", *files):
            if any(fnmatch(name, pattern) for pattern in allow_patterns):
                (tmp_path / name).touch()
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert locate("org/name@main", relative_to=tmp_path).folder == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", *fetched]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "JSON"), ("[]", "a JSON object"), ("[" * 100_000, "JSON"), ("\udcff", "JSON")],
)
def test_a_damaged_configuration_is_told(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content, errors="surrogateescape")
    with pytest.raises(ReportError, match=message):
        Checkpoint("tiny", tmp_path).config()


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (
            "---\ndatasets:\n- stanfordnlp/sst2\n- glue\n---\n# A model\n",
            ("stanfordnlp/sst2", "glue"),
        ),
        ("---\ndatasets: imdb\n---\n", ("imdb",)),
        ("---\nlicense: mit\n---\ndatasets: no\n", ()),
        ("---\n[\n---\n", ()),
        ("---\ndate: 2024-02-30\ndatasets: imdb\n---\n", ()),  # YAML reads it as a date, and fails
        ("---\na: &a [x, x]\ndatasets: [*a, *a, imdb]\n---\n", ("imdb",)),  # aliases may multiply
        ("---\ndatasets: " + 1000 * "[" + "\n---\n", ()),  # deeper than Python recurses
        ("---\ndatasets: " + 100_000 * "{a: " + "\n---\n", ()),
        ('---\na: !!int ""\ndatasets: imdb\n---\n', ()),
        ("---\na: 0b\nb: " + 5000 * "9" + "\ndatasets: imdb\n---\n", ()),
        ("---\n? {a: [b]}\n: c\ndatasets: imdb\n---\n", ()),
        ("---\n- datasets\n---\n", ()),
        ("# A model\n", ()),
        ("", ()),
    ],
)
def test_training_data_is_read_from_the_cards_front_matter(
    card: str, expected: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text(card)
    assert Checkpoint("tiny", tmp_path).trained_on() == expected


@pytest.mark.parametrize(
    ("config", "known"),
    [
        ({"model_type": "gpt2"}, True),
        ({"model_type": "xlm-roberta"}, True),
        ({"model_type": "no-such"}, False),
        ({"model_type": "../bert"}, False),
        ({"model_type": 7, "architectures": "BertModel"}, False),
        ({"architectures": ["LlamaForCausalLM"]}, True),
        ({"model_type": "no-such", "architectures": ["T5ForConditionalGeneration"]}, True),
        ({"architectures": ["NoSuchModel", "BertModel"]}, False),  # the first is what it is
        ({"architectures": ['"], ["']}, False),
        ({"architectures": []}, False),
        ({}, False),
    ],
)
def test_what_transformers_knows_is_found_in_its_source(
    config: dict[str, object], known: bool
) -> None:
    assert known_to_transformers(config) is known


def test_every_architecture_that_transformers_lists_stands_in_its_source_as_is_looked_for() -> None:
    """Asked of the library: the classes of its automatic models."""
    source = Path(transformers.__file__).parent / "models"
    listed = b"".join(file.read_bytes() for file in source.glob("*/modeling_*.py"))
    found = {
        one
        for names in (MODEL_MAPPING_NAMES, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        for name in names.values()
        for one in ([name] if isinstance(name, str) else name)
    }
    assert all(f'"{one}"'.encode() in listed for one in found)
    for one in sorted(found)[::40]:
        assert known_to_transformers({"architectures": [one]})
        assert not known_to_transformers({"architectures": [f"{one}OfMine"]})
