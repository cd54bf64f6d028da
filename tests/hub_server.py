"""A small hub on loopback: serves repositories from a folder tree to the hub's real clients.

`root/models/ORG/NAME/REVISION/...` holds the files of one named revision, `root/datasets/...` those
of data sets. A commit's hash follows from its files. Nothing is taken from outside the tree. It can
be told to misbehave, and counts what it is asked for.
"""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".gguf", ".parquet")  # told as Git LFS tells: named by SHA-256
API = re.compile(
    r"/api/(?P<kind>models|datasets)/(?P<name>[^/]+/[^/]+)"
    r"(/(?P<ask>revision|tree|paths-info)/(?P<revision>[^/]+)(/(?P<path>.+))?)?"
)
FILE = re.compile(
    r"/((?P<kind>datasets)/)?(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
)


class RefusedError(Exception):
    """An answer that is no success: a status and the hub's word for the reason."""

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(status, code)
        self.status, self.code = status, code


class Hub:
    """What is served, how it misbehaves, and what was asked for.

    `closed` gives the status with which every request for a repository is answered, `gated` holds
    those whose list of files is open and their files are not, `missing` the files that are listed
    and not there. The first transfers of a file, as many as `dropped` says, end with the connection
    closed in its middle; as many as `cut` says are answered with its first half as if that were
    all. `page`, where there is one, answers everything, as a network does that wants a password.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = ""
        self.requests: Counter[str] = Counter()
        self.closed: dict[str, int] = {}
        self.gated: set[str] = set()
        self.missing: set[str] = set()
        self.dropped: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.page = b""
        self.lock = threading.Lock()

    def count(self, request: str) -> None:
        with self.lock:
            self.requests[request] += 1

    def takes_one(self, counter: Counter[str], path: str) -> bool:
        """Whether a fault is still to happen to a file; it happens now."""
        with self.lock:
            counter[path] -= 1
            return counter[path] >= 0

    def fetched(self, ending: str) -> dict[str, int]:
        """How often each file of this ending was asked for, by its name."""
        counted: Counter[str] = Counter()
        with self.lock:
            for request, times in self.requests.items():
                if request.startswith("GET ") and request.endswith(ending):
                    counted[request.rpartition("/")[2]] += times
        return dict(counted)

    def commit(self, name: str, revision: str = "main", *, kind: str = "models") -> str:
        """The hash of what a revision holds."""
        folder = self.root / kind / name / revision
        digest = hashlib.sha1(f"{kind}/{name}".encode())
        for path in files_of(folder):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
        return digest.hexdigest()

    def revision(self, kind: str, name: str, wanted: str) -> tuple[Path, str]:
        """The folder and the commit of a revision, named or by its hash."""
        repository = self.root / kind / name
        if name in self.closed:
            raise RefusedError(self.closed[name])
        if not repository.is_dir():
            raise RefusedError(404, "RepoNotFound")
        for folder in sorted(repository.iterdir()):
            commit = self.commit(name, folder.name, kind=kind)
            if wanted in (folder.name, commit):
                return folder, commit
        raise RefusedError(404, "RevisionNotFound")


def files_of(folder: Path) -> list[Path]:
    """The files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def entry(path: Path, folder: Path) -> dict[str, Any]:
    """A file or a folder as the hub lists it."""
    name = path.relative_to(folder).as_posix()
    if path.is_dir():
        oid = hashlib.sha1(name.encode()).hexdigest()
        return {"type": "directory", "path": name, "oid": oid, "size": 0}
    content = path.read_bytes()
    told = {"type": "file", "path": name, "size": len(content)}
    told["oid"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if path.suffix in LARGE:
        oid = hashlib.sha256(content).hexdigest()
        told["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 134}
    return told


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = unquote(urlsplit(self.path).path)
        self.hub.count(f"{self.command} {path}")
        if self.hub.page:
            return self.reply(200, {"Content-Type": "text/html"}, self.hub.page)
        try:
            if (asked := API.fullmatch(urlsplit(self.path).path)) is not None:
                self.tell(**{key: unquote(value or "") for key, value in asked.groupdict().items()},
                          form=parse_qs(body))  # fmt: skip
            elif (asked := FILE.fullmatch(urlsplit(self.path).path)) is not None:
                self.give(**{key: unquote(value or "") for key, value in asked.groupdict().items()})
            else:
                raise RefusedError(404)
        except RefusedError as refused:
            self.reply(refused.status, {"X-Error-Code": refused.code} if refused.code else {})

    def tell(
        self, *, kind: str, name: str, ask: str, revision: str, path: str, form: dict[str, Any]
    ) -> None:
        """What a repository, a revision of it, or a folder in it holds."""
        folder, commit = self.hub.revision(kind, name, revision or "main")
        if ask == "tree":
            if not (folder / path).is_dir():
                raise RefusedError(404, "EntryNotFound")
            deep = "recursive=true" in urlsplit(self.path).query.lower()
            found = (folder / path).rglob("*") if deep else (folder / path).iterdir()
            self.reply_json([entry(path, folder) for path in sorted(found)])
        elif ask == "paths-info":
            asked = [folder / path for path in form.get("paths", [])]
            self.reply_json([entry(path, folder) for path in asked if path.exists()])
        else:
            names = [path.relative_to(folder).as_posix() for path in files_of(folder)]
            told = {"id": name, "sha": commit, "private": False, "gated": False, "tags": []}
            self.reply_json({**told, "siblings": [{"rfilename": name} for name in names]})

    def give(self, *, kind: str, name: str, revision: str, path: str) -> None:
        """A file, or the rest of it from a byte on."""
        folder, commit = self.hub.revision(kind or "models", name, revision)
        if name in self.hub.gated:
            raise RefusedError(401, "GatedRepo")
        if path in self.hub.missing or not (folder / path).is_file():
            raise RefusedError(404, "EntryNotFound")
        content, told = (folder / path).read_bytes(), entry(folder / path, folder)
        large = told.get("lfs", {})
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{large.get("oid") or told["oid"]}"',
            "Accept-Ranges": "bytes",
        }
        if large:
            headers |= {"X-Linked-ETag": headers["ETag"], "X-Linked-Size": str(len(content))}
        if self.command == "HEAD":
            self.reply(200, headers, content)
        elif self.hub.takes_one(self.hub.dropped, path):
            self.reply(200, headers, content, sent=len(content) // 2)
        elif self.hub.takes_one(self.hub.cut, path):
            self.reply(200, headers, content[: len(content) // 2])
        elif (asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")) is not None:
            begin, end = int(asked[1]), len(content)
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{end}"
            self.reply(206, headers, content[begin:])
        else:
            self.reply(200, headers, content)

    def reply_json(self, told: object) -> None:
        self.reply(200, {"Content-Type": "application/json"}, json.dumps(told).encode())

    def reply(
        self, status: int, headers: dict[str, str], content: bytes = b"", *, sent: int | None = None
    ) -> None:
        """Answer; with `sent`, close the connection after as many bytes of the content."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])
        if sent is not None:
            self.close_connection = True


@contextmanager
def serving(root: Path) -> Iterator[Hub]:
    """A hub that serves a folder tree on a free port of the loopback."""
    hub = Hub(root)
    handler = type("HandlerOfOneHub", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
