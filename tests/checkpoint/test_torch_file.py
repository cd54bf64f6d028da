"""PyTorch weight files: what torch saved is read without torch, and what is damaged is refused."""

import collections
import io
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import torch
from dtypes import TORCH, every_kind, raw
from hypothesis import given
from hypothesis import strategies as st
from torch_bytes import (
    CONTAINERS,
    DATA,
    MAGIC,
    NUMBERS,
    PKL,
    PLAIN,
    STORAGE,
    FileOf,
    Inside,
    archive,
    in_legacy,
    in_zip,
    name_of,
    state_dict,
    tensor,
    text,
)

from experiments.checkpoint.tensor import DTYPES, StoredTensor, same_bytes
from experiments.checkpoint.torch_file import StridedTensor, read_header
from experiments.errors import ReportError

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])

Saved = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Saved:
    """A function that saves an object with torch: `save({"w": tensor}, zipped=False)`."""

    def save(content: object, *, zipped: bool = True, protocol: int = 2) -> Path:
        path = tmp_path / "weights.bin"
        torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
        return path

    return save


def read(path: Path) -> dict[str, StoredTensor]:
    tensors, metadata = read_header(path)
    assert metadata == {}
    return {tensor.name: tensor for tensor in tensors}


def assert_read(path: Path, expected: dict[str, torch.Tensor]) -> None:
    found = read(path)
    assert list(found) == list(expected)
    for name, saved in expected.items():
        assert TORCH[found[name].dtype] == saved.dtype
        assert found[name].shape == found[name].read().shape == tuple(saved.shape)
        assert found[name].read().tobytes() == raw(saved)


# What torch saves.


@FORMATS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_torch_saves_is_read_byte_for_byte(zipped: bool, protocol: int, save: Saved) -> None:
    assert set(TORCH) == set(DTYPES)
    tensors = every_kind()
    assert_read(save(tensors, zipped=zipped, protocol=protocol), tensors)
    assert_read(save(collections.OrderedDict(tensors), zipped=zipped, protocol=protocol), tensors)


@FORMATS
def test_a_state_dict_is_read_and_its_versions_ignored(zipped: bool, save: Saved) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    assert model.state_dict()._metadata
    assert_read(save(model.state_dict(), zipped=zipped), model.state_dict())


@FORMATS
def test_parameters_are_tensors(zipped: bool, save: Saved) -> None:
    parameters = dict(torch.nn.Linear(3, 4).named_parameters())
    parameters["weight"].note = "an attribute"  # type: ignore[attr-defined]
    assert_read(save(parameters, zipped=zipped), parameters)


@FORMATS
def test_values_that_are_no_tensors_are_ignored(zipped: bool, save: Saved) -> None:
    others = {"step": 3, "rate": 0.5, "note": "é", "none": None, "yes": True, "raw": [b"x", (1,)]}
    others |= {"size": torch.zeros(2).shape, "device": torch.device("cpu"), "dtype": torch.bool}
    tensors = {"w": torch.ones(2)}
    assert_read(save(others | tensors, zipped=zipped, protocol=4), tensors)


@FORMATS
def test_tensors_of_one_storage_lie_at_one_offset(zipped: bool, save: Saved) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    found = read(
        save({"a": weight, "b": weight[1], "c": weight.view(2, 3), "d": weight * 1}, zipped=zipped)
    )
    assert found["a"].offset == found["c"].offset
    assert found["b"].offset == found["a"].offset + 12
    assert found["d"].offset != found["a"].offset
    assert same_bytes(found["a"], found["c"])


VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "transposed": lambda w: w.T,
    "transposed again": lambda w: w.T.T,
    "rows": lambda w: w[2:5],
    "every other row": lambda w: w[1::2],
    "columns": lambda w: w[:, 1:3],
    "one column": lambda w: w[:, 2],
    "one number": lambda w: w[3, 2],
    "none of them": lambda w: w[6:],
    "one row on its side": lambda w: w[4:5].T,
    "permuted": lambda w: w.reshape(2, 3, 4).permute(2, 0, 1),
    "channels last": lambda w: w.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
    "overlapping": lambda w: w.as_strided((4, 4), (1, 1), 2),
}


@FORMATS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint16])
def test_views_hold_the_numbers_that_torch_sees(
    zipped: bool, dtype: torch.dtype, save: Saved
) -> None:
    weight = torch.arange(24).to(dtype).reshape(6, 4)
    views = {name: view(weight) for name, view in VIEWS.items()}
    path = save(views, zipped=zipped)
    assert_read(path, views)
    found = read(path)
    for name, stored in found.items():
        assert isinstance(stored, StridedTensor) != views[name].is_contiguous()
        whole = stored.span(0, stored.count).tobytes()
        size = DTYPES[stored.dtype].itemsize
        for start, stop in [(0, 0), (1, 3), (stored.count - 1, stored.count)]:
            if 0 <= start <= stop <= stored.count:
                part = stored.span(start, stop)
                assert part.tobytes() == whole[start * size : stop * size]
                assert part.flags.c_contiguous
        for multiple in (1, 3, 8, 1000):
            assert list(stored.spans(multiple)) == ([(0, stored.count)] if stored.count else [])


def test_a_square_matrix_is_not_the_same_as_its_transpose(save: Saved) -> None:
    weight = torch.arange(4.0).reshape(2, 2)
    found = read(save({"w": weight, "t": weight.T, "u": weight.T}))
    assert found["w"].offset == found["t"].offset
    assert found["w"].shape == found["t"].shape
    assert not same_bytes(found["w"], found["t"])
    assert same_bytes(found["u"], found["t"])
    assert found["t"].strides == (1, 2)


@FORMATS
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "module"])
def test_a_state_dict_within_a_checkpoint_of_training_is_found(
    wrapper: str, zipped: bool, save: Saved
) -> None:
    weights = torch.nn.Linear(3, 4).state_dict()
    moments = {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(4, 3)}}
    optimizer = {"state": moments, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}
    content = {"epoch": 3, wrapper: weights, "optimizer": optimizer}
    assert_read(save(content, zipped=zipped), weights)


TENSORS = {"w": torch.ones(2)}
NOT_FLAT: dict[str, tuple[object, str]] = {
    "two state dicts": ({"model": TENSORS, "module": TENSORS}, "several dicts of tensors"),
    "one under another name": ({"generator": TENSORS}, "tensors in dicts or lists"),
    "one two levels down": ({"model": {"state_dict": TENSORS}}, "tensors in dicts or lists"),
    "one beside a tensor": (TENSORS | {"model": TENSORS}, "tensors in dicts or lists"),
    "a list of tensors": (TENSORS | {"more": [(torch.ones(1),)]}, "tensors in dicts or lists"),
    "a tensor alone": (torch.ones(2), "no dict of tensors"),
    "a list": ([torch.ones(2)], "no dict of tensors"),
    "nothing": ({}, "no tensor in it"),
    "numbers": ({"model": {"w": 1}}, "no tensor in it"),
    "a number for a name": ({0: torch.ones(2)}, "name 0 cannot be printed"),
    "a name of two lines": ({"w\n": torch.ones(2)}, r"name 'w\\n' cannot be printed"),
    "a tuple for a key": ({(1, 2): 0, "w": torch.ones(2)}, "a key that is neither"),
}  # fmt: skip


@FORMATS
@pytest.mark.parametrize("case", NOT_FLAT)
def test_what_is_no_flat_state_dict_is_refused(case: str, zipped: bool, save: Saved) -> None:
    content, message = NOT_FLAT[case]
    with pytest.raises(ReportError, match=message):
        read_header(save(content, zipped=zipped))


def test_a_list_that_holds_itself_is_searched_for_tensors_once(save: Saved) -> None:
    endless: list[object] = []
    endless.append(endless)
    assert list(read(save(TENSORS | {"endless": endless}))) == ["w"]


ODD: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "complex": (lambda: torch.zeros(2, dtype=torch.complex128), "of torch.ComplexDoubleStorage"),
    "half complex": (lambda: torch.zeros(2, dtype=torch.complex32), "of torch.complex32"),
    "sparse": (lambda: torch.eye(3).to_sparse(), "sparse"),
    "compressed": (lambda: torch.eye(3).to_sparse_csr(), "sparse"),
    "meta": (lambda: torch.zeros(2, device="meta"), "a meta tensor"),
    "quantised": (lambda: torch.quantize_per_tensor(torch.ones(3), 1, 0, torch.qint8), "quantised"),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(2)]), "nested"),
    "negative": (lambda: torch.ones(2, dtype=torch.complex64).conj().imag, "a conjugate or negative"),
    "expanded": (lambda: torch.zeros(3).expand(10**9, 3), "expanded"),
    "17 dimensions": (lambda: torch.zeros((1,) * 17), "a shape, strides or offset that none can"),
}  # fmt: skip


@FORMATS
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ODD)
def test_tensors_of_another_make_are_refused_by_name(case: str, zipped: bool, save: Saved) -> None:
    make, message = ODD[case]
    with pytest.raises(ReportError, match=rf"tensor 'w' (that is|with) {message}"):
        read_header(save({"w": make(), "x": torch.ones(1)}, zipped=zipped))


@FORMATS
def test_a_whole_model_is_refused_by_its_class(zipped: bool, save: Saved) -> None:
    with pytest.raises(ReportError, match=r"uses torch\.nn\.modules\.linear\.Linear.*state_dict"):
        read_header(save(torch.nn.Linear(3, 4), zipped=zipped))
    with pytest.raises(ReportError, match=r"uses torch\.nn\.modules\.linear\.Linear"):
        read_header(save({"model": torch.nn.Linear(3, 4)}, zipped=zipped))


def test_reading_imports_no_torch() -> None:
    script = "import sys, experiments.checkpoint.torch_file; print('torch' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"


# Files made by hand.


@CONTAINERS
def test_files_made_by_hand_are_read(inside: Inside, file_of: FileOf) -> None:
    found = read(file_of(inside(state_dict(tensor(PLAIN), b"N", tensor(PLAIN)))))
    assert [found[name].read().tolist() for name in "ac"] == [[0, 1, 2, 3]] * 2


@CONTAINERS
def test_a_view_of_a_storage_begins_within_it(inside: Inside, file_of: FileOf) -> None:
    def view(begin: int, count: int) -> bytes:
        part = b"(" + text("1") + bytes([75, begin, 75, count]) + b"t"
        return tensor(b"K\1K\1\x85K\1\x85", storage=STORAGE + b"K\4" + part + b"tQ")

    found = read(file_of(inside(state_dict(view(2, 2)))))
    assert found["a"].read().tolist() == [3]
    for begin, count in [(3, 2), (5, 0)]:
        with pytest.raises(ReportError, match="a view that is not inside storage '0'"):
            read_header(file_of(inside(state_dict(view(begin, count)))))
    with pytest.raises(ReportError, match="'a' that reaches beyond its storage"):
        read_header(file_of(inside(state_dict(view(2, 1)))))


@CONTAINERS
def test_what_python_2_pickled_is_read(inside: Inside, file_of: FileOf) -> None:
    """Strings of bytes, and an ordered dict made from a list of pairs."""
    storage = STORAGE.replace(text("storage"), b"U\7storage").replace(text("0"), b"U\0010")
    made = name_of("torch._utils", "_rebuild_tensor") + b"(" + storage + b"K\4tQ" + PLAIN + b"tR"
    pairs = b"](](U\1a" + made + b"e](U\1bK\1ee"
    content = b"\x80\2" + name_of("collections", "OrderedDict") + pairs + b"\x85R}U\1xK\1sb."
    assert read(file_of(inside(content)))["a"].read().tolist() == [0, 1, 2, 3]


LAYOUTS = {
    "beyond the end": (b"K\1K\4\x85K\1\x85", "reaches beyond its storage"),
    "beyond by its strides": (b"K\0K\2\x85K\4\x85", "reaches beyond its storage"),
    "beyond by far": (b"K\0\x8a\7\0\0\0\0\0\0\1\x85K\1\x85", "reaches beyond its storage"),
    "expanded": (b"K\0\x8a\7\0\0\0\0\0\0\1\x85K\0\x85", "is expanded"),
    "expanded by one": (b"K\0K\5\x85K\0\x85", "is expanded"),
    "no numbers of much": (b"K\0K\0\x8a\x08" + b"\x08" * 8 + b"\x86K\0K\0\x86", "with a shape"),
    "below nothing": (b"J\xff\xff\xff\xffK\4\x85K\1\x85", "with a shape, strides or offset"),
    "backwards": (b"K\3K\4\x85J\xff\xff\xff\xff\x85", "with a shape, strides or offset"),
    "a truth for a size": (b"K\0\x88\x85K\1\x85", "with a shape, strides or offset"),
    "text for a size": (b"K\0" + text("4") + b"\x85K\1\x85", "with a shape, strides or offset"),
    "a list for a shape": (b"K\0]K\4aK\1\x85", "with a shape, strides or offset"),
    "a stride too few": (b"K\0K\2K\2\x86K\1\x85", "with a shape, strides or offset"),
}


@CONTAINERS
@pytest.mark.parametrize("case", LAYOUTS)
def test_tensors_must_lie_in_their_storage(case: str, inside: Inside, file_of: FileOf) -> None:
    layout, message = LAYOUTS[case]
    with pytest.raises(ReportError, match=f"tensor 'a' .*{message}"):
        read_header(file_of(inside(state_dict(tensor(layout)))))


@CONTAINERS
def test_a_tensor_of_no_numbers_may_be_of_any_width(inside: Inside, file_of: FileOf) -> None:
    wide = b"\x8a\x08" + b"\7" * 8
    layout = b"K\4" + wide + b"K\0" + wide + b"\x87" + wide + wide + b"K\1\x87"
    with pytest.raises(ReportError, match="tensor 'a' with a shape"):
        read_header(file_of(inside(state_dict(tensor(layout)))))
    layout = b"K\4" + wide + b"K\0\x86" + b"K\0K\1\x86"
    found = read(file_of(inside(state_dict(tensor(layout)))))
    assert found["a"].read().shape == found["a"].shape == (0x0707070707070707, 0)


# Files that are cut, changed or something else.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "run git lfs pull"),
        (b"", "neither a zip archive nor a pickle"),
        (b"{}", "neither a zip archive nor a pickle"),
        (b"PK\3\4", "an end of the file before 22 bytes"),
        (b"PK\3\4" + bytes(40), "a zip archive without its end"),
        (archive([PKL, DATA], header=0xFFFFFFFF), "list of entries is damaged"),
        (pickle.dumps({"w": 1}), "a pickle that torch did not write"),
        (pickle.dumps(MAGIC, 2) + pickle.dumps(1002, 2), "a pickle that torch did not write"),
        (in_legacy(b"", little=False), "not little-endian"),
        (in_zip(state_dict(), byteorder=b"big"), "not little-endian"),
        (in_zip(state_dict(), byteorder=b"little-endian"), "not little-endian"),
    ],
)
def test_other_files_are_refused_in_one_line(content: bytes, message: str, file_of: FileOf) -> None:
    with pytest.raises(ReportError, match=message) as refused:
        read_header(file_of(content))
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(str(file_of(content)))


def test_the_tar_format_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("storages"))
    with pytest.raises(ReportError, match=r"the tar archive of torch before 0\.1\.10"):
        read_header(path)


def test_a_file_that_shrinks_afterwards_gives_an_error_and_no_numbers(file_of: FileOf) -> None:
    path = file_of(in_legacy(state_dict(tensor(PLAIN), tensor(b"K\0K\2\x85K\3\x85"))))
    found = read(path)
    path.write_bytes(path.read_bytes()[:-1])
    for stored in found.values():
        with pytest.raises(ReportError, match="the file ends before"):
            stored.read()


@CONTAINERS
def test_a_file_cut_at_any_byte_is_refused(inside: Inside, file_of: FileOf) -> None:
    content = inside(state_dict(tensor(PLAIN)))
    for end in range(len(content)):
        with pytest.raises(ReportError):
            read_header(file_of(content[:end]))
    for more in (b"\0", content):
        with pytest.raises(ReportError):
            read_header(file_of(content + more))


@pytest.mark.parametrize(
    ("keys", "data", "message"),
    [
        ((), b"", "storages that are not those of its pickle"),
        (("0", "1"), None, "storages that are not those of its pickle"),
        (("0", "0"), None, "storages that are not those of its pickle"),
        (({},), None, "no list of storages"),
        ({"0": 1}, None, "no list of storages"),
        (("0",), struct.pack("<Q", 5) + NUMBERS, "storage '0' of 5 numbers, not of 4"),
        (("0",), struct.pack("<Q", 1 << 63) + NUMBERS, "not of 4"),
        (("0",), struct.pack("<Q", 4) + NUMBERS[1:], "bytes where its storages end at"),
        (("0",), struct.pack("<Q", 4) + NUMBERS + b"\0", "bytes where its storages end at"),
    ],
)
def test_storages_behind_the_pickles_must_be_those_stated(
    keys: object, data: bytes | None, message: str, file_of: FileOf
) -> None:
    with pytest.raises(ReportError, match=message):
        read_header(file_of(in_legacy(state_dict(tensor(PLAIN)), keys=keys, data=data)))


@pytest.mark.parametrize("wide", [False, True])
def test_archives_made_by_hand_are_read(wide: bool, file_of: FileOf) -> None:
    found = read(file_of(archive([PKL, (b"a/other", b""), DATA], wide=wide)))
    assert found["a"].read().tolist() == [0, 1, 2, 3]
    assert found["a"].offset % 4 == 3


BAD_ARCHIVES: list[tuple[list[tuple[bytes, bytes]], dict[str, int], str]] = [
    ([PKL, DATA], {"method": 8}, "a compressed or encrypted entry"),
    ([PKL, DATA], {"flags": 1}, "a compressed or encrypted entry"),
    ([PKL, DATA], {"size": 17}, "a compressed or encrypted entry"),
    ([PKL, DATA], {"header": 1 << 31}, "an end of the file before"),
    ([PKL, DATA], {"header": 0}, "entries are not as it lists them"),
    ([PKL, DATA], {"header": 1}, "entries are not as it lists them"),
    ([PKL, DATA], {"name": 7}, "entries are not as it lists them"),
    ([PKL, DATA], {"extra": 4}, "entries overlap"),
    ([PKL, DATA], {"extra": 65535}, "entries overlap"),
    ([PKL, DATA, DATA], {}, "entries are not as it lists them"),
    ([PKL, DATA], {"count": -1}, "more entries than it says"),
    ([PKL, DATA], {"count": 1}, "list of entries is damaged"),
    ([PKL, DATA], {"count": 60_000}, "list of entries is damaged"),
    ([PKL, DATA], {"length": 1}, "end is damaged"),
    ([PKL, DATA], {"start": 1}, "end is damaged"),
    ([PKL], {}, "tensor 'a' whose storage is not in the file"),
    ([PKL, (b"a/data/0", NUMBERS[1:])], {}, "tensor 'a' whose storage is not in the file"),
    ([PKL, (b"b/data/0", NUMBERS)], {}, "tensor 'a' whose storage is not in the file"),
    ([DATA], {}, "0 data.pkl"),
    ([(b"data.pkl", PKL[1]), DATA], {}, "0 data.pkl"),
    ([(b"a" * 256 + b"/data.pkl", PKL[1]), DATA], {}, "0 data.pkl"),
    ([PKL, DATA, (b"b/data.pkl", PKL[1])], {}, "2 data.pkl"),
    ([(PKL[0], PKL[1] + b"N"), DATA], {}, "something behind its end"),
    ([(PKL[0], bytes((8 << 20) + 1)), DATA], {}, "a data.pkl of 8388609 bytes"),
]


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(("entries", "forged", "message"), BAD_ARCHIVES)
def test_archives_that_are_not_what_they_list_are_refused(
    entries: list[tuple[bytes, bytes]], forged: dict[str, int], message: str, wide: bool,
    file_of: FileOf,
) -> None:  # fmt: skip
    with pytest.raises(ReportError, match=message):
        read_header(file_of(archive(entries, wide=wide, **forged)))


@pytest.mark.parametrize("field", ["count", "length", "start", "header", "size"])
def test_archives_of_absurd_numbers_are_refused_at_once(field: str, file_of: FileOf) -> None:
    for number in (1 << 31, 1 << 40, (1 << 63) + 5, (1 << 64) - 100_000):
        with pytest.raises(ReportError):
            read_header(file_of(archive([PKL, DATA], wide=True, **{field: number})))


def test_archives_of_too_many_entries_are_refused_at_once(file_of: FileOf) -> None:
    path = file_of(archive([PKL, DATA, *[(b"%x" % n, b"") for n in range(1 << 16)]], wide=True))
    with pytest.raises(ReportError, match="a zip archive of 65538 entries"):
        read_header(path)


# Valid files with something changed, whatever it be.


@cache
def valid() -> dict[str, bytes]:
    """Files as torch writes them, with storages under the same keys each time; and their pickle."""
    weight = torch.arange(6.0).reshape(2, 3)
    content = {"w": weight, "t": weight.T, "h": weight.half(), "u": torch.ones(2).to(torch.uint16)}
    found = {}
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"model": content}, file, _use_new_zipfile_serialization=zipped)
        found["zip" if zipped else "legacy"] = file.getvalue()
    addresses = sorted({f"{t.untyped_storage()._cdata}" for t in content.values()})
    for key, address in enumerate(addresses):
        found["legacy"] = found["legacy"].replace(text(address), text(f"{key}"))
    with zipfile.ZipFile(io.BytesIO(found["zip"])) as file:
        found["pickle"] = file.read("archive/data.pkl")
    return found


INTEGERS = [0, 1, 127, 255, 1 << 16, (1 << 31) - 1, (1 << 32) - 1, 1 << 62, (1 << 64) - 1]
PIECES = st.one_of(
    st.binary(min_size=1, max_size=3),
    st.sampled_from([struct.pack("<Q", n)[:size] for n in INTEGERS for size in (1, 2, 4, 8)]),
    st.sampled_from([bytes([code]) for code in b"\x85\x86\x87\x93\x94()}]tQRbeuashqjrXKMJGcN."]),
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["flip", "insert", "delete", "replace"]), st.integers(0), PIECES),
    min_size=1,
    max_size=3,
)


def changed(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, where, piece in changes:
        place = where % (len(content) + 1)
        after = place + (0 if kind == "insert" else len(piece))
        if kind == "delete":
            piece = b""
        elif kind == "flip":
            piece = bytes(old ^ new for old, new in zip(content[place:after], piece))
        content = content[:place] + piece + content[after:]
    return content


@given(which=st.sampled_from(["zip", "legacy", "pickle"]), trials=st.lists(CHANGES, max_size=8))
def test_a_changed_file_is_read_or_refused(
    which: str, trials: list[list[tuple[str, int, bytes]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.bin"
    for changes in trials:
        content = changed(valid()[which], changes)
        if which == "pickle":
            content = in_zip(content, **{f"data/{key}": NUMBERS * 2 for key in range(3)})
        path.write_bytes(content)
        with suppress(ReportError):
            for stored in read_header(path)[0]:
                assert len(stored.span(0, stored.count)) == stored.count
                assert stored.count <= len(content)


def test_the_files_to_be_changed_are_valid(file_of: FileOf) -> None:
    for which in ("zip", "legacy"):
        assert list(read(file_of(valid()[which]))) == ["w", "t", "h", "u"]
