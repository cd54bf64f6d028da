"""A folder that is written whole or not at all. Touches the disk only; to check a folder imports nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.errors import ReportError, UsageError

# One of these stands in every folder that is written here; no other folder is replaced.
OURS = (
    "config.json",
    "pruning.json",
    *(
        f"model.{form}safetensors{index}"
        for form in ("", "bitmask.")
        for index in ("", ".index.json")
    ),
)


def check_output(out: Path, source: Path, *, force: bool) -> None:
    """Refuse an output folder that is the source, or holds files and is not to be replaced.

    Raises:
        UsageError: where `out` is the source or holds it.
        ReportError: where it is no folder, or holds something and `force` is not given.
    """
    source = source.resolve()
    if out.resolve() == source or out.resolve() in source.parents:
        raise UsageError(f"--out {out}", "a folder other than the source", "choose another")
    if out.exists() and not out.is_dir():
        raise ReportError(f"--out {out}", "a folder, found a file", "choose another")
    if out.is_dir() and any(out.iterdir()):
        if not force:
            raise ReportError(
                f"--out {out}", "an empty or a new folder", "add --force to replace it"
            )
        if not any((out / name).is_file() for name in OURS):
            raise ReportError(f"--out {out}", "a checkpoint to replace", "choose another folder")


@contextmanager
def appearing_whole(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that takes its place when the block ends well."""
    import shutil
    import tempfile

    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        yield folder
        folder.chmod(0o755)
        _take_place(folder, out)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _take_place(folder: Path, out: Path) -> None:
    """Rename a folder to `out`; what stood there is moved aside first and removed last."""
    import shutil
    import tempfile

    if not out.exists():
        folder.replace(out)
        return
    aside = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.old.")) / out.name
    out.replace(aside)
    folder.replace(out)
    shutil.rmtree(aside.parent)
