"""The site in a browser: served by mkdocs on a port of this machine. Touches the network there alone."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from experiments.errors import ReportError

HOST, PORT = "127.0.0.1", 8000
SETTINGS = Path(__file__).with_name(
    "mkdocs.yml"
)  # the repository's, which an installed package brings


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


def serve(docs: Path, *, port: int = PORT) -> NoReturn:
    """Serve these pages and open a browser: this process becomes mkdocs."""
    words = ["mkdocs", "serve", "--open", "-f", str(SETTINGS), "-a", f"{HOST}:{port}"]
    settings = os.environ | {"DOCS_DIR": str(docs.resolve())}
    os.execve(sys.executable, [sys.executable, "-m", *words], settings)
