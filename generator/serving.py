"""The site in a browser: settings for mkdocs beside the pages, and a server on a port of this machine.

mkdocs takes its settings from a file outside the pages. Where none beside them shows them, this
repository's own are written there, with the study's title; a file that somebody else wrote, or changed
since, is never written again. Touches the network on that port alone.
"""

import hashlib
import itertools
import json
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

from experiments.errors import ReportError
from experiments.records.store import replace_if_changed
from generator.render import heading

HOST, PORT = "127.0.0.1", 8000
SETTINGS = Path(__file__).with_name(
    "mkdocs.yml"
)  # the repository's, which an installed package brings
MARK = "# By `gen build`, to show its pages; changed by hand, it is yours and kept"


def refuse_busy_port(port: int = PORT) -> None:
    """Refuse, before any work, to end in serving where something else listens."""
    import socket

    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise ReportError(
            f"{HOST}:{port} ({os.strerror(error.errno or 0)})",
            "a free port to serve the site on",
            "end what listens there, or build without serving",
        ) from error


def settings_beside(docs: Path, title: str) -> Path:
    """The settings by which mkdocs shows these pages: what stands beside them, or is written there.

    The first of `mkdocs.yml`, `mkdocs-NAME.yml`, `mkdocs-NAME-2.yml` … that is free, or shows them.
    """
    docs = Path(os.path.abspath(docs))  # noqa: PTH100  a link stays where it is
    others = (f"mkdocs-{docs.name}{f'-{n}' if n > 1 else ''}.yml" for n in itertools.count(1))
    places = map(docs.with_name, itertools.chain(["mkdocs.yml"], others))
    path = next(path for path in places if not _of_another(path, docs.name))
    if not os.path.lexists(path) or _as_written(_read(path)):
        html = path.stem.replace("mkdocs", "site", 1)
        replace_if_changed(path, _settings(docs.name, html, heading(title)).encode())
    return path


def _of_another(path: Path, name: str) -> bool:
    """Whether a file stands there that shows other pages than those in a folder of this name."""
    if not os.path.lexists(path):
        return False
    text = _read(path)
    if text == _read(SETTINGS):
        return name != "docs"
    return not (text.startswith(MARK) and f"docs_dir: {_quoted(name)}" in text.splitlines())


def _read(path: Path) -> str:
    """A file's text; empty where it has none, since then it is not ours."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _as_written(text: str) -> bool:
    """Whether these are settings that were written here, and no character of them is another."""
    first, _, rest = text.partition("\n")
    return first == _first_line(rest)


def _first_line(rest: str) -> str:
    return f"{MARK}; SHA-256 of what follows: {hashlib.sha256(rest.encode()).hexdigest()}"


def _settings(name: str, html: str, title: str) -> str:
    """The repository's settings, for pages in a folder of this name."""
    text = _read(SETTINGS).replace("# DOCS_DIR=path builds pages that stand elsewhere.\n", "")
    stated = {"site_name": title, "docs_dir": name, "site_dir": html}
    lines = []
    for line in text.splitlines():
        key = line.partition(":")[0]
        lines.append(f"{key}: {_quoted(stated[key])}" if key in stated else line)
    rest = "\n".join(lines) + "\n"
    return f"{_first_line(rest)}\n{rest}"


def _quoted(value: str) -> str:
    """A text as YAML has it between quotation marks."""
    return json.dumps(value, ensure_ascii=False)


def instructions(settings: Path) -> str:
    """How to read the pages that these settings show, in the words that are typed here."""
    here = os.path.relpath(settings)
    by = "" if here == "mkdocs.yml" else f" -f {shlex.quote(here)}"
    return f"to read them: mkdocs serve{by}; as HTML: mkdocs build --strict{by}"


def serve(settings: Path, docs: Path, *, port: int = PORT) -> NoReturn:
    """Serve these pages and open a browser: this process becomes mkdocs."""
    words = ["mkdocs", "serve", "--open", "-f", str(settings), "-a", f"{HOST}:{port}"]
    stated = os.environ | {"DOCS_DIR": str(docs.resolve())}  # the repository's settings read it
    os.execve(sys.executable, [sys.executable, "-m", *words], stated)
