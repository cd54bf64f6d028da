"""A folder that is written whole or not at all, and replaced only where its manifest says that it is ours.

Touches the disk only; to check a folder imports next to nothing.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiments.errors import FULL, ReportError, UsageError, no_room
from experiments.records import manifest

FULL_WORDS = ("No space left on device", "os error 28")  # as libraries say it that raise their own
NONE_LEFT = 1 << 16  # bytes
BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
OWNER = "owner"  # a file that a living process keeps locked, in every temporary folder of ours
PARTS = {OWNER, "new", "old"}
SCRATCH = "gen-scratch-"


def check_output(out: Path, source: Path, *, force: bool) -> None:
    """Refuse an output folder that could not take its place in the end, before anything is read.

    `source` is a folder, or the one weights file that was named.

    Raises:
        UsageError: where `out` is the source, holds it or lies in it, or holds this process.
        ReportError: where it is no folder, cannot be written or replaced, or holds what is not ours.
    """
    place, source = out.resolve(), source.resolve()
    if any(_same(place, held) for held in (source, *source.parents)):
        raise UsageError(f"--out {out}", "a folder other than the source", "choose another")
    if any(_same(held, source) for held in place.parents):
        raise UsageError(f"--out {out}", "a folder outside the source", "choose another")
    if any(_same(place, held) for held in (Path.cwd(), *Path.cwd().parents)):
        raise UsageError(
            f"--out {out}", "a folder below the one you are in, or beside it", "name a new one"
        )
    if os.path.lexists(out) and not out.is_dir():
        found = "a link that leads nowhere" if out.is_symlink() and not out.exists() else "a file"
        raise ReportError(f"--out {out}", f"a folder, found {found}", "choose another")
    if _is_mount(place):
        raise ReportError(
            f"--out {out}", "a folder that can be replaced, found a mount", "name a folder in it"
        )
    above = next(path for path in place.parents if os.path.lexists(path))
    for path in (above, *([place] if place.exists() else [])):
        if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
            raise ReportError(
                f"--out {out}",
                f"to write in the folder {path.name or path}, which cannot be",
                "choose another",
            )
    _refuse_content(out, place, force=force)


def room(out: Path, size: int) -> None:
    """Raise where the disk that `out` will stand on has less than `size` bytes left."""
    import shutil

    place = next(parent for parent in (out.resolve(), *out.resolve().parents) if parent.is_dir())
    free = shutil.disk_usage(place).free
    if size > free:
        raise ReportError(
            f"--out {out}", f"{size:,} bytes of room, found {free:,}", "free some space"
        )


@contextmanager
def naming_a_full_disk(where: str, place: Path, size: int | None) -> Iterator[None]:
    """Say of a full disk which one it is, and how much was to be written to it.

    To be entered last: what is removed after an error makes room.

    Raises:
        ReportError: where the disk is full.
    """
    try:
        yield
    except Exception as error:
        if _is_full(place, error):
            raise no_room(where, size) from error
        raise


@contextmanager
def appearing_whole(out: Path, *, force: bool = False, size: int | None = None) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well.

    It is this process's alone: another that writes to the same `out` meanwhile is refused. What one
    that was killed left there is put back or removed. `size` is about how many bytes it will take.

    Raises:
        ReportError: where something of another's is in the way, or the disk is full.
    """
    place = out.resolve()
    naming = naming_a_full_disk(f"--out {out}", place, size)
    with _below(place.parent), _claimed(place) as work, naming:
        _refuse_content(out, place, force=force)
        folder = work / "new"
        folder.mkdir()
        yield folder
        folder.chmod(0o755)
        (folder / manifest.NAME).write_bytes(manifest.manifest_of(folder).content())
        _refuse_content(out, place, force=force)
        _take_place(folder, place, work / "old")


@contextmanager
def scratch(what: str, size: int | None = None) -> Iterator[Path]:
    """A folder among the system's temporary ones, for `what`; those that killed processes left go first.

    Raises:
        ReportError: where the disk is full.
    """
    import shutil
    import tempfile

    above = Path(tempfile.gettempdir())
    for owner in above.glob(f"{SCRATCH}*/{OWNER}"):
        with suppress(OSError):
            handle = _locked(owner, os.O_RDWR)
            if os.fstat(handle).st_uid == os.geteuid():
                shutil.rmtree(owner.parent, ignore_errors=True)
            os.close(handle)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH))
    # locked before it has its name: none that sweeps meanwhile finds it without an owner
    handle = _locked(folder / f"{OWNER}.new", os.O_RDWR | os.O_CREAT, alone=True)
    try:
        (folder / f"{OWNER}.new").rename(folder / OWNER)
        (folder / "files").mkdir()
        where = f"the system's temporary folder (TMPDIR), for {what}"
        with naming_a_full_disk(where, above, size):
            yield folder / "files"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one folder, also where the disk takes two spellings of a name for one."""
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def _is_mount(place: Path) -> bool:
    """Whether something is mounted there; of what comes from the same disk Linux alone tells."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        mounts = ""
    points = (line.split(" ")[4] for line in mounts.splitlines())
    plain = (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point) for point in points)
    return os.path.ismount(place) or str(place) in plain


def _refuse_content(out: Path, place: Path, *, force: bool) -> None:
    """Raise where a folder holds something that is not ours, or is not to be replaced."""
    first = next(place.iterdir(), None) if place.is_dir() else None
    if first is None:
        return
    if manifest.read(place) is None:
        raise ReportError(
            f"--out {out}",
            "an empty or a new folder, or one with the manifest of what gen wrote there, "
            f"found {manifest.foreign(place)} and no manifest",
            "choose another, or remove by hand what an earlier version of gen wrote",
        )
    if not force:
        raise ReportError(f"--out {out}", "an empty or a new folder", "add --force to replace it")
    if (found := manifest.foreign(place)) is not None:
        raise ReportError(
            f"--out {out}",
            f"nothing but what gen wrote there, found {found}",
            "move that away, or choose another folder",
        )


def _is_full(place: Path, error: Exception) -> bool:
    """Whether the disk of a folder was full; of torch's own errors, which do not say so, the disk does."""
    import shutil

    said = str(error)
    if getattr(error, "errno", None) in FULL or any(words in said for words in FULL_WORDS):
        return True
    there = next(path for path in (place, *place.parents) if path.is_dir())
    return isinstance(error, RuntimeError) and shutil.disk_usage(there).free < NONE_LEFT


@contextmanager
def _below(parent: Path) -> Iterator[None]:
    """The folder is there; where the block fails, what was made of the path to it goes again."""
    made = [path for path in (parent, *parent.parents) if not path.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise


@contextmanager
def _claimed(place: Path) -> Iterator[Path]:
    """A folder beside `place` that this process alone writes in: all that is not finished is there."""
    import shutil

    work = place.parent / f".{place.name}.writing"
    fresh = not os.path.lexists(work)
    with suppress(FileExistsError):
        work.mkdir()
    if (
        work.is_symlink()
        or not work.is_dir()
        or not {path.name for path in work.iterdir()} <= PARTS
    ):
        raise ReportError(f"{work.name}", "a folder that gen writes in", "move it away")
    try:
        handle = _locked(work / OWNER, os.O_RDWR | os.O_CREAT, alone=fresh)
    except OSError:
        raise ReportError(
            f"--out {place.name}",
            "no other command to write to it at the same time",
            "wait until that has ended, or choose another folder",
        ) from None
    try:
        _put_back(work / "old", place)
        shutil.rmtree(work / "new", ignore_errors=True)
        yield work
    finally:
        shutil.rmtree(work / "new", ignore_errors=True)
        (work / OWNER).unlink()
        with suppress(OSError):  # what could not be put back stays where it is
            work.rmdir()
        os.close(handle)


def _locked(path: Path, flags: int, *, alone: bool = False) -> int:
    """A file's descriptor, locked until it is closed or its process ends, however it ends.

    A disk that knows no locks holds up no one who is `alone`, as the first to have made the folder.

    Raises:
        OSError: where another process holds it, or has just removed it.
    """
    import fcntl

    handle = os.open(path, flags | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in BUSY or not alone:
                raise
        if not os.fstat(handle).st_nlink:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _put_back(old: Path, place: Path) -> None:
    """Finish what a killed process had begun: put the folder before back, or remove what is left of it."""
    if not old.exists():
        return
    if not os.path.lexists(place):
        old.rename(place)
        return
    manifest.remove(old)
    if old.exists():
        raise ReportError(
            f"{old.parent.name}/{old.name}", "nothing but what gen wrote", "move that away"
        )


def _take_place(folder: Path, place: Path, old: Path) -> None:
    """Rename a folder to `place`; what stood there is moved aside first and removed last."""
    if not place.exists() or not any(place.iterdir()):
        folder.rename(place)  # in one step, over an empty folder too
        return
    try:
        place.rename(old)
        if (found := manifest.foreign(old)) is not None:
            raise ReportError(
                f"--out {place.name}", f"nothing new in it, found {found}", "move that away"
            )
        folder.rename(place)
    except BaseException:
        if old.exists() and not os.path.lexists(place):
            old.rename(place)
        raise
    manifest.remove(old)
