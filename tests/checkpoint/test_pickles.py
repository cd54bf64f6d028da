"""Hostile pickles in weight files: none is run, none takes long, each is refused by its name."""

import pickle
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from pace import soon
from torch_bytes import (
    CONTAINERS,
    PLAIN,
    REBUILD,
    STORAGE,
    FileOf,
    Inside,
    in_legacy,
    in_zip,
    name_of,
    state_dict,
    tensor,
    text,
)

from experiments.checkpoint.plain_pickle import STEP_LIMIT
from experiments.checkpoint.torch_file import read_header
from experiments.errors import ReportError

# Pickles that would run something.


def arguments(*values: str) -> bytes:
    return b"".join(text(value) for value in values)


ATTACKS = {
    "os.system": "touch {}",
    "posix.system": "touch {}",
    "builtins.eval": "open({!r}, 'w').close()",
    "builtins.exec": "open({!r}, 'w').close()",
    "builtins.__import__": "os",
    "pip.main": "--log={}",
    "torch.utils.collect_env.run": "touch {}",
    "torch.hub.load": "{}",
    "torch.load": "{}",
    "pkgutil.resolve_name": "os:system",
    "subprocess.Popen": "touch {}",
    "numpy.load": "{}",
}
# How a pickle comes to call a global with arguments.
STYLES: dict[str, Callable[[str, str, bytes], bytes]] = {
    "GLOBAL": lambda module, name, values: name_of(module, name) + b"(" + values + b"tR",
    "STACK_GLOBAL": lambda module, name, values: (
        text(module) + text(name) + b"\x93(" + values + b"tR"
    ),
    "INST": lambda module, name, values: b"(" + values + f"i{module}\n{name}\n".encode(),
    "OBJ": lambda module, name, values: b"(" + name_of(module, name) + values + b"o",
    "NEWOBJ": lambda module, name, values: name_of(module, name) + b"(" + values + b"t\x81",
    "NEWOBJ_EX": lambda module, name, values: name_of(module, name) + b"(" + values + b"t}\x92",
    "BUILD": lambda module, name, values: name_of(module, name) + b"}" + values + values + b"sb",
    "BINPERSID": lambda module, name, values: (
        b"(" + text("module") + name_of(module, name) + values + values + b"tQ"
    ),
    "storage": lambda module, name, values: tensor(
        PLAIN, storage=STORAGE.replace(name_of("torch", "FloatStorage"), name_of(module, name))
    ),
}


@CONTAINERS
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("style", STYLES)
def test_a_pickle_that_would_run_something_is_refused_by_its_name(
    style: str, attack: str, inside: Inside, tmp_path: Path, file_of: FileOf
) -> None:
    marker = tmp_path / "marker"
    module, _, name = attack.rpartition(".")
    bad = STYLES[style](module, name, arguments(ATTACKS[attack].format(marker)))
    for content in (b"\x80\4" + bad + b".", state_dict(tensor(PLAIN), bad)):
        with pytest.raises(ReportError) as refused:
            read_header(file_of(inside(content)))
        assert f"a pickle that uses {attack}; do not use this file" in str(refused.value)
    assert not marker.exists()


@pytest.mark.parametrize("style", ["GLOBAL", "STACK_GLOBAL", "INST", "OBJ"])
def test_these_pickles_do_run_when_python_loads_them(style: str, tmp_path: Path) -> None:
    """Without this the test above could pass on pickles that no one need fear."""
    marker = tmp_path / "marker"
    pickle.loads(STYLES[style]("os", "system", arguments(f"touch {marker}")) + b".")
    assert marker.exists()


@pytest.mark.parametrize("attack", ["os.system", "builtins.eval"])
def test_a_pickle_that_is_no_torch_file_is_refused_by_its_name_too(
    attack: str, tmp_path: Path, file_of: FileOf
) -> None:
    module, _, name = attack.rpartition(".")
    bad = b"\x80\2" + STYLES["GLOBAL"](module, name, arguments(f"touch {tmp_path / 'marker'}"))
    for place in range(4):
        content = in_legacy(state_dict(tensor(PLAIN))).split(b".\x80", place)
        with pytest.raises(ReportError, match=f"uses {attack}"):
            read_header(file_of(b".\x80".join(content[:place]) + b"."[:place] + bad + b"."))
    assert not (tmp_path / "marker").exists()


REFUSED_OPCODES = {
    "EXT1": b"\x82\5", "EXT2": b"\x83\5\0", "EXT4": b"\x84\5\0\0\0", "PERSID": b"P0\n",
    "POP": b"N0", "DUP": b"N2", "INT": b"I" + b"9" * 1_000_000 + b"\n",
    "LONG": b"L" + b"9" * 1_000_000 + b"L\n", "LONG4": b"\x8b\xff\xff\xff\x7f",
    "BINUNICODE8": b"\x8d" + b"\xff" * 7 + b"\x0f", "EMPTY_SET": b"\x8f",
    "BINBYTES8": b"\x8e\0\0\0\0\0\0\0\x10", "BYTEARRAY8": b"\x96\0\0\0\0\0\0\0\x10",
    "NEXT_BUFFER": b"\x97",
}  # fmt: skip


@CONTAINERS
@pytest.mark.parametrize("opcode", REFUSED_OPCODES)
def test_other_opcodes_are_refused_by_their_name(
    opcode: str, inside: Inside, file_of: FileOf
) -> None:
    with pytest.raises(ReportError, match=rf"with the opcode {opcode};"):
        read_header(file_of(inside(state_dict(tensor(PLAIN), REFUSED_OPCODES[opcode]))))


OD = name_of("collections", "OrderedDict")
BAD_PICKLES: dict[str, tuple[bytes, str]] = {
    "an unknown opcode": (b"\xff", "unknown opcode 255"),
    "protocol 1": (b"\x80\1", "protocol 1, not 2 to 5"),
    "protocol 6": (b"\x80\6", "protocol 6, not 2 to 5"),
    "two values": (b"NN.", "other than one value"),
    "no value": (b".", "other than one value"),
    "an open mark": (b"(N.", "other than one value"),
    "an empty stack": (b"a", "makes no sense at byte"),
    "no mark": (b"Nt", "makes no sense at byte"),
    "nothing remembered": (b"h\7", "makes no sense at byte"),
    "no UTF-8": (b"X\1\0\0\0\xff", "makes no sense at byte"),
    "a surrogate": (b"X\3\0\0\0\xed\xa0\x80", "makes no sense at byte"),
    "items of no dict": (b"](NNu", "lacks a dict"),
    "an item of no list": (b"}Na", "lacks a list"),
    "an odd key": (b"}(Nu", "a key that has no value"),
    "a list for a key": (b"}]Ns", "a key that is neither"),
    "a large key": (b"}\x8a\5\0\0\0\0\1Ns", "a key that is neither"),
    "a key twice": (b"}" + (text("w") + b"N") .join([b"(", b"", b"u"]), "key 'w' stands twice"),
    "a global of tuples": (b"))\x93", "lacks a str"),
    "a global of much text": (text("o" * 10_000) + text("s") + b"\x93", r"uses o{200};"),
    "a dtype of much text": (text("torch") + text("float" + "1" * 300) + b"\x93", r"uses torch\.f"),
    "a global of odd text": (text("os\n\x1b") + text("s") + b"\x93", r"uses os\\n\\x1b\.s;"),
    "a call of no global": (b"N)R", "lacks a Global"),
    "a call of a dtype": (name_of("torch", "float32") + b")R", r"uses torch\.float32"),
    "a call without arguments": (OD + b"NR", "lacks a tuple"),
    "too many arguments": (OD + b"NN\x86R", "calls collections.OrderedDict with other"),
    "pairs that are none": (OD + b"](NNe\x85R", "a key that has no value"),
    "a tensor of nothing": (REBUILD + b")R", "calls torch._utils._rebuild_tensor_v2 with other"),
    "attributes of a list": (b"]}b", "lacks a dict"),
    "an id that is text": (text("0") + b"Q", "an object stored elsewhere"),
    "an id of no storage": (b"))\x86Q", "an object stored elsewhere"),
    "a storage too large": (STORAGE + b"\x8a\x0a" + b"\1" * 10 + b"tQ", "a storage that no file"),
    "a storage below nothing": (STORAGE + b"J\xff\xff\xff\xfftQ", "a storage that no file has"),
    "a storage of a dtype that is none": (
        STORAGE.replace(b"FloatStorage", b"float_Storage") + b"K\4tQ", "a storage that no file has"
    ),
    "a storage of a long key": (
        STORAGE.replace(text("0"), text("0" * 1025)) + b"K\4tQ", "a storage that no file has"
    ),
    "a storage in two ways": (STORAGE + b"K\4tQ" + STORAGE + b"K\5tQ", "states storage '0' in two"),
}  # fmt: skip


@CONTAINERS
@pytest.mark.parametrize("case", BAD_PICKLES)
def test_pickles_that_nothing_writes_are_refused(
    case: str, inside: Inside, file_of: FileOf
) -> None:
    content, message = BAD_PICKLES[case]
    with pytest.raises(ReportError, match=message):
        read_header(file_of(inside(b"\x80\2" + content)))


# Sizes that would take all time or memory.

FULL = STEP_LIMIT - 1000
LARGE = b"X" + struct.pack("<I", 1 << 22) + b"a" * (1 << 22)
GREEDY = {
    "one far memo": b"Nr\xff\xff\xff\x7f" * 2,
    "many far memos": b"N" + b"".join(b"r" + struct.pack("<I", n << 11) for n in range(FULL)),
    "text of two gigabytes": b"X\xff\xff\xff\x7f",
    "nested tuples": b")" + b"\x85" * FULL + b".",
    "more nested tuples": b")" + b"\x85" * (FULL * 4),
    "open marks": b"(" * FULL,
    "dicts": b"}" * FULL,
    "remembered lists": b"]\x94" * (FULL // 2),
    "tuples of tuples twice": b")q\0" + b"h\0h\0\x86q\0" * (FULL // 4) + b".",
    "a long global": b"c" + b"a" * (1 << 22),
    "a long global often": LARGE + b"q\0" + b"h\0h\0\x93" * (FULL // 3),
    "a storage often": STORAGE + b"K\4tq\0" + b"h\0Q" * (FULL // 2),
    "one list of pairs often": (
        OD + b"q\0](" + b"".join(b"M" + struct.pack("<H", n) + b"N\x86" for n in range(1000))
        + b"e\x85q\1" + b"h\0h\1R" * (FULL // 4)
    ),
    "many arguments often": (
        REBUILD + b"q\0(" + STORAGE + b"K\4tQ" + b"N" * (FULL // 4) + b"tq\1" + b"h\0h\1R" * 10**5
    ),
    "numbers that hash alike": (
        b"}(" + b"".join(b"J" + struct.pack("<i", n << 12) + b"N" for n in range(1 << 18)) + b"u."
    ),
    "a tensor under many names": (
        b"}(" + text("w") + tensor(b"K\0(" + b"K\1" * 15 + b"K\4tq\0h\0") + b"q\1"
        + b"".join(text(f"{n:x}") + b"h\1" for n in range(65_000)) + b"u."
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GREEDY)
def test_greedy_pickles_end_soon(case: str, file_of: FileOf) -> None:
    path = file_of(in_zip(b"\x80\2" + GREEDY[case]))
    with soon(4), pytest.raises(ReportError):  # 1 at most
        read_header(path)


def test_the_pickles_of_a_file_share_one_limit(file_of: FileOf) -> None:
    half = b"](" + b"N" * (STEP_LIMIT // 2) + b"e."
    with pytest.raises(ReportError, match=f"of more than {STEP_LIMIT} steps"):
        read_header(file_of(in_legacy(half + half)))


def test_a_count_of_gigabytes_takes_no_memory(file_of: FileOf) -> None:
    paths = [
        file_of(inside(b"\x80\4" + GREEDY[case]))
        for inside in (in_zip, in_legacy)
        for case in ("one far memo", "text of two gigabytes")
    ]
    tracemalloc.start()
    for path in paths:
        with pytest.raises(ReportError):
            read_header(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
