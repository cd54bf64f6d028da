"""Serving: the pages that were made, wherever they are, and never after work that a busy port makes vain."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from experiments.errors import ReportError
from generator import serving


def test_a_busy_port_is_refused_in_one_line_and_a_free_one_is_left_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ReportError) as refused:
            serving.refuse_busy_port(port)
    assert re.fullmatch(
        rf"127\.0\.0\.1:{port} \(Address already in use\): expected a free port to serve the site on; .+",
        str(refused.value),
    )
    serving.refuse_busy_port(port)
    serving.refuse_busy_port(port)


def test_what_is_served_is_the_folder_that_was_named_wherever_one_stands(tmp_path: Path) -> None:
    for folder in ("docs", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.md").write_text(f"# Pages in {folder}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = (
        "from pathlib import Path; from generator import serving;"
        f"serving.serve(Path('mine'), port={port})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"BROWSER": "true", "PYTHONUNBUFFERED": "1"},
    ) as server:  # fmt: skip
        try:
            assert server.stderr
            line = next(line for line in server.stderr if "Serving on" in line)
            assert f"http://127.0.0.1:{port}/" in line
            with urlopen(f"http://127.0.0.1:{port}/") as page:
                assert "Pages in mine" in page.read().decode()
        finally:
            server.terminate()
