"""Serving: the pages that were made, wherever they are, and never after work that a busy port makes vain."""

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from mkdocs.utils.yaml import yaml_load

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


def made(docs: Path, title: str = "A study") -> Path:
    """The settings beside a folder of pages, one page in it, as `gen build` leaves them."""
    docs.mkdir(parents=True, exist_ok=True)
    for name in NAV:
        (docs / name).write_text(f"# {name} in {docs.name}\n")
    return serving.settings_beside(docs, title)


def addresses(entries: list[dict[str, Any]]) -> Iterator[str]:
    """The pages of a navigation, tab by tab."""
    for entry in entries:
        for inside in entry.values():
            if isinstance(inside, str):
                yield inside
            else:
                yield from addresses(inside)


NAV = list(addresses(yaml_load(serving.SETTINGS.read_text())["nav"]))


def test_what_is_served_is_the_folder_that_was_named_wherever_one_stands(tmp_path: Path) -> None:
    made(tmp_path / "docs")
    made(tmp_path / "elsewhere/mine")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = (
        "from pathlib import Path; from generator import serving;"
        "docs = Path('../elsewhere/mine'); settings = serving.settings_beside(docs, 'A study');"
        f"serving.serve(settings, docs, port={port})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path / "docs", stderr=subprocess.PIPE, text=True,
        env=os.environ | {"BROWSER": "true", "PYTHONUNBUFFERED": "1", "DOCS_DIR": "other"},
    ) as server:  # fmt: skip
        try:
            assert server.stderr
            line = next(line for line in server.stderr if "Serving on" in line)
            assert f"http://127.0.0.1:{port}/" in line
            with urlopen(f"http://127.0.0.1:{port}/") as page:
                assert "index.md in mine" in page.read().decode()
        finally:
            server.terminate()


def test_the_last_line_s_command_makes_html_of_the_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two folders of pages side by side, each by the words that were told of it."""
    monkeypatch.chdir(tmp_path)
    for name, html in (("a b", "site"), ("mine", "site-mine")):
        told = serving.instructions(made(Path(name), "Tickets: a & b"))
        words = shlex.split(told.partition("as HTML: ")[2])
        assert words[:3] == ["mkdocs", "build", "--strict"]
        done = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        page = (tmp_path / html / "index.html").read_text()
        assert f"index.md in {name}" in page
        assert "<title>Tickets a b</title>" in page  # what themes repeat as markup is words alone


def test_settings_follow_the_title_until_they_are_changed_by_hand(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    path = made(docs, "One")
    assert (path, yaml_load(path.read_text())["site_name"]) == (tmp_path / "mkdocs.yml", "One")
    assert made(docs, 'Größe \\1 "x" 模型') == path
    assert yaml_load(path.read_text())["site_name"] == "Größe 1 x 模型"
    changed = path.read_text().replace("indigo", "teal")
    path.write_text(changed)
    assert made(docs, "Three") == path
    assert path.read_text() == changed


@pytest.mark.parametrize("theirs", ["site_name: Mine\n", "", "\xff", "link"])
def test_a_stranger_s_settings_are_left_and_ours_stand_beside(tmp_path: Path, theirs: str) -> None:
    path = tmp_path / "mkdocs.yml"
    if theirs == "link":
        path.symlink_to("nowhere")
    else:
        path.write_bytes(theirs.encode("latin-1"))
    ours = made(tmp_path / "docs")
    assert ours == tmp_path / "mkdocs-docs.yml"
    assert made(tmp_path / "docs") == ours
    if theirs == "link":
        assert path.is_symlink()
        assert not path.exists()
    else:
        assert path.read_bytes() == theirs.encode("latin-1")
    ours.write_text("site_name: Also mine\n")
    assert made(tmp_path / "docs") == tmp_path / "mkdocs-docs-2.yml"


def test_the_repository_s_own_settings_show_docs_and_nothing_is_written_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mkdocs.yml").write_bytes(serving.SETTINGS.read_bytes())
    monkeypatch.chdir(tmp_path)
    told = serving.instructions(made(Path("docs")))
    assert told == "to read them: mkdocs serve; as HTML: mkdocs build --strict"
    assert {path.name for path in tmp_path.iterdir()} == {"mkdocs.yml", "docs"}
    assert "-f mkdocs-mine.yml" in serving.instructions(made(Path("mine")))
    assert (tmp_path / "mkdocs.yml").read_bytes() == serving.SETTINGS.read_bytes()
