"""Where a built site may stand: at the root of a host, below a path of it, in the file system.

Each is built by mkdocs with the repository's settings and served on a free port of this machine.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUIET = {"NO_MKDOCS_2_WARNING": "1"}


@dataclass(frozen=True)
class Place:
    """A built site and the address of its first page's folder, which ends with a slash."""

    name: str
    site: Path
    address: str

    def pages(self) -> dict[str, str]:
        """Every page by its name, with its address; over HTTP also one that is not there."""
        files = sorted(self.site.rglob("*.html"))
        names = [
            path.relative_to(self.site).as_posix() for path in files if path.name != "404.html"
        ]
        found = {name.removesuffix(".html").removesuffix("/index"): name for name in names}
        if self.address.startswith("file:"):
            return {name: self.address + file for name, file in found.items()}
        missing = {"404": f"{self.address}not/there/"}
        return {
            name: self.address + file.removesuffix("index.html") for name, file in found.items()
        } | missing

    def file(self, address: str) -> Path:
        """The file that an address of this site is answered with."""
        path = self.site / address.removeprefix(self.address).partition("?")[0].partition("#")[0]
        return path / "index.html" if path.is_dir() else path


def build(docs: Path, site: Path, settings: Mapping[str, str] = {}) -> None:
    """The pages as HTML, by the repository's settings."""
    words = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", site]
    stated = os.environ | QUIET | {"DOCS_DIR": str(docs)} | settings
    subprocess.run(words, cwd=ROOT, env=stated, check=True)


@contextmanager
def places(docs: Path, folder: Path) -> Iterator[tuple[Place, Place, Place]]:
    """The same pages in all three places, their HTML below `folder`."""
    with served(folder / "root") as root, served(folder / "path", "/repo/") as path:
        disk = f"{(folder / 'disk').resolve().as_uri()}/"
        found = (
            Place("root", folder / "root", root),
            Place("path", folder / "path", path),
            Place("disk", folder / "disk", disk),
        )
        for place in found:
            stated = {"OFFLINE": "true"} if place.name == "disk" else {"SITE_URL": place.address}
            build(docs, place.site, stated)
        yield found


@contextmanager
def served(site: Path, below: str = "/") -> Iterator[str]:
    """The address at which a folder is served, as GitHub Pages does: 404.html for what is not there."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(site))  # type: ignore[arg-type]

        def translate_path(self, path: str) -> str:
            if not path.startswith(below):
                return str(site / "outside")
            return super().translate_path(path.removeprefix(below.rstrip("/")))

        def send_error(
            self, code: int, message: str | None = None, explain: str | None = None
        ) -> None:
            page = site / "404.html"
            content = page.read_bytes() if page.is_file() else b""
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{below}"
    finally:
        server.shutdown()
        server.server_close()
