"""`mkdocs serve` beside `gen build`: without a change it rebuilds nothing, and no build begins a loop.

mkdocs looks twice a second. Where it looks while files are being replaced it rebuilds once more, so that a
change is followed by one rebuild or two.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from places import QUIET, ROOT

BEGUN, DONE = "Detected file changes", "Reloading browsers"
LONG = 2.0  # seconds: mkdocs looks twice a second


def main() -> None:
    """Serve the published report in a folder of its own and build it again and again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "recorded", folder / "recorded")
        shutil.copy(ROOT / "report.toml", folder)
        build(folder)
        with serving(folder) as log:
            unchanged = [rebuilds(folder, log), rebuilds(folder, log)]
            next((folder / "recorded/latency").glob("*.json")).unlink()
            changed = rebuilds(folder, log)
            unchanged.append(rebuilds(folder, log))
            if any(unchanged) or changed not in (1, 2):
                sys.exit(
                    f"rebuilds: {unchanged} without a change, {changed} after one\n{log.read_text()}"
                )
    print(f"mkdocs serve rebuilds: {unchanged} without a change, {changed} after one")


def rebuilds(folder: Path, log: Path) -> int:
    """How often mkdocs rebuilds after one more build."""
    before = log.read_text().count(BEGUN)
    build(folder)
    said = ""
    while said != (said := log.read_text()) or said.count(BEGUN) > said.count(DONE):
        time.sleep(LONG)
    return said.count(BEGUN) - before


def build(folder: Path) -> None:
    """The published records rendered, with or without gaps."""
    gen = Path(sys.executable).parent / "gen"
    words = [gen, "build", "--recorded", "--study", "report.toml"]
    done = subprocess.run(
        words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    assert done.returncode in (0, 3), done.returncode


@contextmanager
def serving(folder: Path) -> Iterator[Path]:
    """`mkdocs serve` while the block runs; where it says what it does."""
    log = folder / "serve.log"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "mkdocs", "serve", "-a", f"127.0.0.1:{port}"]
    stated = os.environ | QUIET | {"PYTHONUNBUFFERED": "1"}
    with (
        log.open("w") as out,
        subprocess.Popen(words, cwd=folder, env=stated, stdout=out, stderr=out) as server,
    ):
        try:
            while "Serving on" not in log.read_text():
                assert server.poll() is None, log.read_text()
                time.sleep(0.2)
            time.sleep(LONG)
            yield log
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
