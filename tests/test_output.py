"""Output folders: whole or not at all, in a place that is judged first, and replaced only where ours."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from command import files

from experiments import output
from experiments.errors import ReportError
from experiments.output import appearing_whole, check_output, scratch
from experiments.records import manifest


def write(out: Path, *, force: bool = False, **contents: str) -> None:
    with appearing_whole(out, force=force) as folder:
        for name, content in contents.items():
            (folder / name).write_text(content)


def below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ---- what is ours -----------------------------------------------------------------------------


def test_the_manifest_lists_what_was_written_with_its_sha_256(tmp_path: Path) -> None:
    write(tmp_path / "out", a="one", b="two")
    stated = json.loads((tmp_path / "out/.gen-manifest.json").read_text())
    assert stated["files"] == {
        name: hashlib.sha256(text).hexdigest() for name, text in (("a", b"one"), ("b", b"two"))
    }
    assert manifest.foreign(tmp_path / "out") is None


def test_a_long_file_is_known_by_the_digest_of_its_pieces_digests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "PIECE", 4)
    (tmp_path / "long").write_bytes(b"abcdefghij")
    pieces = b"".join(hashlib.sha256(piece).digest() for piece in (b"abcd", b"efgh", b"ij"))
    assert manifest.digest_of(tmp_path / "long") == hashlib.sha256(pieces).hexdigest()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"files": 3}', '{"files": {"a": 1}}', "[" * 9999]
)
def test_a_damaged_manifest_makes_nothing_ours(tmp_path: Path, text: str) -> None:
    write(tmp_path / "out", a="one")
    (tmp_path / "out/.gen-manifest.json").write_text(text)
    with pytest.raises(ReportError, match="expected"):
        write(tmp_path / "out", force=True, a="two")
    assert (tmp_path / "out/a").read_text() == "one"


def test_nothing_outside_a_folder_is_removed_whatever_its_manifest_says(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine").write_text("x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to(tmp_path / "elsewhere")
    digest = hashlib.sha256(b"x").hexdigest()
    names = ("../mine", str(tmp_path / "mine"), "link/mine", "link")
    stated = manifest.Manifest(dict.fromkeys(names, digest))
    (tmp_path / "out/.gen-manifest.json").write_bytes(stated.content())
    manifest.remove(tmp_path / "out")
    assert (tmp_path / "mine").exists()
    assert (tmp_path / "elsewhere/mine").exists()
    assert below(tmp_path / "out") == [".gen-manifest.json", "link"]


# ---- where -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("source", "a folder other than the source"),
        ("SOURCE", "a folder other than the source"),
        ("source/pruned", "a folder outside the source"),
        ("source/deep/pruned", "a folder outside the source"),
        (".", "a folder other than the source"),
        ("here", "a folder below the one you are in"),
        ("here/..", "a folder other than the source"),
        ("letter.txt", "a folder, found a file"),
        ("letter.txt/out", "to write in the folder letter.txt, which cannot be"),
        ("gone", "a folder, found a link that leads nowhere"),
        ("/proc", "found a mount"),
        ("locked", "to write in the folder locked, which cannot be"),
        ("locked/out", "to write in the folder locked, which cannot be"),
    ],
)
def test_a_place_that_no_output_can_take_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, told: str
) -> None:
    for name in ("source", "here", "locked"):
        (tmp_path / name).mkdir()
    (tmp_path / "letter.txt").write_text("x")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    if out == "SOURCE":  # a disk that takes both spellings for one name, as macOS has it
        if not (tmp_path / "SOURCE").exists():
            (tmp_path / "SOURCE").symlink_to(tmp_path / "source")
        monkeypatch.setattr(Path, "resolve", Path.absolute)
    if out == "/proc" and not os.path.ismount("/proc"):
        pytest.skip("no /proc is mounted")
    may = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "locked" and may(path, mode)
    )
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ReportError, match=told):
        check_output(tmp_path / out, tmp_path / "source", force=True)


def test_beside_a_weights_file_that_was_named_there_is_room_for_its_pruned_copy(
    tmp_path: Path,
) -> None:
    """The file is the source, not everything that stands in its folder."""
    (tmp_path / "model.gguf").write_bytes(b"")
    check_output(tmp_path / "pruned", tmp_path / "model.gguf", force=False)


def test_of_what_is_mounted_from_the_same_disk_linux_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of mountinfo: number, parent, device, root, then where, its spaces written in octal."""
    line = f"36 35 98:0 /x {tmp_path}/my\\040out rw - ext4 /dev/root rw\n"
    monkeypatch.setattr(Path, "read_text", lambda path, **_: line)
    (tmp_path / "my out").mkdir()
    with pytest.raises(ReportError, match="found a mount"):
        check_output(tmp_path / "my out", tmp_path / "source", force=True)


# ---- whole or not at all -----------------------------------------------------------------------


@pytest.mark.parametrize("last", [1, 2])
def test_a_failure_at_either_rename_leaves_the_folder_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    write(tmp_path / "out", a="old")
    before, rename, calls = files(tmp_path), Path.rename, []

    def fails(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == last:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="busy"):
        write(tmp_path / "out", force=True, a="new")
    assert files(tmp_path) == before
    assert below(tmp_path) == ["out"]


KILLED = """
import os, sys
from pathlib import Path
from experiments.output import appearing_whole, scratch
rename, calls = Path.rename, []
def killed(path, target):
    calls.append(path)
    if len(calls) > int(sys.argv[1]):
        os._exit(9)
    return rename(path, target)
Path.rename = killed
with appearing_whole(Path("out"), force=True) as folder:
    (folder / "a").write_text("new")
    if sys.argv[1] == "0":
        os._exit(9)
"""


@pytest.mark.parametrize("renames", [0, 1])
def test_after_a_kill_at_any_moment_the_next_run_puts_back_what_was(
    tmp_path: Path, renames: int
) -> None:
    """Killed while it writes, or between the renames, when nothing stands in the place."""
    write(tmp_path / "out", a="old")
    before = files(tmp_path / "out")
    done = subprocess.run([sys.executable, "-c", KILLED, str(renames)], cwd=tmp_path, check=False)
    assert done.returncode == 9
    assert below(tmp_path) == [".out.writing", *["out"] * (renames == 0)]
    with pytest.raises(ReportError, match="add --force to replace it"):
        write(tmp_path / "out", a="newer")
    assert files(tmp_path / "out") == before
    assert below(tmp_path) == ["out"]


def test_what_a_kill_left_of_the_folder_before_is_removed_if_it_is_ours(tmp_path: Path) -> None:
    write(tmp_path / "out", a="new")
    write(tmp_path / ".out.writing/old", a="old", b="old")
    (tmp_path / ".out.writing/owner").touch()
    (tmp_path / ".out.writing/old/a").unlink()  # killed after the first of two
    write(tmp_path / "out", force=True, a="newer")
    assert below(tmp_path) == ["out"]


def test_two_commands_do_not_write_to_one_folder_at_once(tmp_path: Path) -> None:
    with appearing_whole(tmp_path / "out") as folder:
        (folder / "a").write_text("first")
        with pytest.raises(ReportError, match="no other command to write to it"):
            write(tmp_path / "out", a="second")
    assert (tmp_path / "out/a").read_text() == "first"
    assert below(tmp_path) == ["out"]


def test_what_somebody_puts_into_the_folder_meanwhile_stays(tmp_path: Path) -> None:
    write(tmp_path / "out", a="old")

    def meanwhile() -> None:
        with appearing_whole(tmp_path / "out", force=True) as folder:
            (folder / "a").write_text("new")
            (tmp_path / "out/letter.txt").write_text("mine")

    with pytest.raises(ReportError, match=r"found letter\.txt"):
        meanwhile()
    assert {name: text for name, text in files(tmp_path / "out").items() if name[0] != "."} == {
        "a": b"old", "letter.txt": b"mine",
    }  # fmt: skip
    assert below(tmp_path) == ["out"]


def test_a_folder_of_that_name_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".out.writing").mkdir()
    (tmp_path / ".out.writing/novel.txt").write_text("mine")
    with pytest.raises(ReportError, match=r"\.out\.writing: expected a folder that gen writes in"):
        write(tmp_path / "out", a="x")
    assert files(tmp_path) == {".out.writing/novel.txt": b"mine"}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_told_with_the_target_and_the_bytes(
    tmp_path: Path, error: Exception
) -> None:
    told = "--out .*deep/out: expected room for 1,234,567 bytes, no space left on its disk"
    with (
        pytest.raises(ReportError, match=told),
        appearing_whole(tmp_path / "deep/out", size=1_234_567),
    ):
        raise error
    assert below(tmp_path) == []


@pytest.mark.parametrize(("free", "told"), [(4096, "no space left"), (1 << 30, "unexpected pos")])
def test_an_error_of_torch_s_writer_is_a_full_disk_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, told: str
) -> None:
    """It says of a full disk "unexpected pos", as of much else."""
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free))
    with pytest.raises((ReportError, RuntimeError), match=told), appearing_whole(tmp_path / "out"):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 9 vs 8")


# ---- the system's temporary folder -----------------------------------------------------------


def test_temporary_folders_that_killed_processes_left_are_swept_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = "import os\nfrom experiments.output import scratch\nwith scratch('x'): os._exit(9)"
    subprocess.run(
        [sys.executable, "-c", program], check=False, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    (left,) = tmp_path.iterdir()
    (tmp_path / f"{output.SCRATCH}mine").mkdir()
    (tmp_path / f"{output.SCRATCH}mine/letter.txt").write_text("x")
    with scratch("one") as living, scratch("another") as other:
        assert not left.exists()
        assert living.is_dir()
        assert other.is_dir()
    assert below(tmp_path) == [f"{output.SCRATCH}mine"]


def test_a_full_temporary_folder_is_told_as_that() -> None:
    told = r"temporary folder \(TMPDIR\), for a model: expected room for 12 bytes"
    with pytest.raises(ReportError, match=told), scratch("a model", 12):
        raise OSError(errno.ENOSPC, "No space left on device")
