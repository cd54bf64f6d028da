"""What the command says of wrong usage and of what failed: one line, a status, and nothing lost."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import Gen, files, full_disk
from safetensors.numpy import load_file

from experiments.questions import inspection


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("inspect", "mini/gpt2-review"), 1, ["'mini/gpt2-review'", "mini/gpt2-reviews"]),
        (("inspect", "no-such-folder"), 1, ["'no-such-folder'", "gen list models"]),
        (("evaluate", "tiny", "--task", "revews"), 2, ["'revews'", "did you mean reviews?"]),
        (
            ("prune", "tiny", "--level", "0.5", "--method", "magnitud", "--out", "x"),
            2,
            ["'magnitud'", "did you mean magnitude?"],
        ),
        (
            ("evaluate", "tiny", "--data", "tickets.tsv", "--metric", "mc"),
            2,
            ["'mc'", "did you mean mcc?"],
        ),
        (
            ("evaluate", "tiny", "--data", "tickets.tsv", "--metric", "zzzzzz"),
            2,
            ["'zzzzzz'", "accuracy", "mcc", "name one of these"],
        ),
        (("evaluate", "tiny", "--data", "none.tsv"), 1, ["none.tsv", "check the path"]),
        (("evaluate", "tiny", "--data", "tickets.tsv", "--text", "x"), 1, ["'x'", "sentence, label"]),
        (("prune", "tiny", "--out", "x"), 2, ["--level"]),
        (("prune", "tiny", "--pattern", "2:4", "--level", "0.9", "--out", "x"), 2, ["0.5", "2:4"]),
        (("prune", "tiny", "--pattern", "5:4", "--out", "x"), 2, ["'5:4'", "N:M"]),
        (("prune", "tiny", "--pattern", "2:5", "--out", "x"), 2, ["2:5", "divisible by 5"]),
        (("prune", "tiny", "--level", "0.5", "--out", "tiny"), 2, ["the source"]),
        (("prune", "tiny", "--level", "0.5", "--out", "."), 2, ["the source"]),
        (("prune", "tiny", "--level", "0.5", "--out", "full"), 1, ["full", "kept.txt"]),
        (("build", "--study", "none.toml"), 1, ["none.toml", "give --study FILE"]),
        (("status", "--study", "none.toml"), 1, ["none.toml", "give --study FILE"]),
    ],
)  # fmt: skip
def test_what_a_person_can_mend_is_told_in_one_line(
    gen: Gen, here: Path, words: tuple[str, ...], status: int, told: list[str]
) -> None:
    (here / "full").mkdir()
    (here / "full/kept.txt").write_text("x")
    before = files(here)
    done = gen(*words)
    assert done.status == status
    assert all(part in done.line for part in told), done.line
    assert "Traceback" not in done.err
    assert str(here) not in done.err
    assert files(here) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("prun",), "No such command 'prun'"),
        (("prun",), "Did you mean 'prune'"),
        (("prun",), "see `gen --help`"),
        (("inspect", "tiny", "--jsn"), "No such option '--jsn'"),
        (("inspect", "tiny", "--jsn"), "see `gen inspect --help`"),
        (("list",), "models, methods, tasks, pages"),
        (("prune", "tiny", "--level", "1.5", "--out", "x"), "expected a level from 0 to 1"),
        (("prune", "tiny", "--level", "nan", "--out", "x"), "expected a level from 0 to 1"),
        (("prune", "tiny", "--level", "-0.1", "--out", "x"), "expected a level from 0 to 1"),
        (("prune", "tiny", "--level", "half", "--out", "x"), "expected a level from 0 to 1"),
        (("prune", "tiny", "--level", "0.5"), "Missing option '--out'"),
        (("prune", "tiny", "--level", "0.5", "--scope", "all", "--out", "x"), "'global', 'layer', 'row'"),
        (("evaluate", "tiny"), "give --task NAME or --data FILE"),
        (("evaluate", "tiny", "--limit", "0"), "'--limit'"),
        (("inspect",), "Missing argument 'MODEL'"),
        (("inspect", "tiny", "--threshold", "x"), "'--threshold'"),
        (("list", "things"), "'models', 'methods', 'tasks', 'pages'"),
        (("build", "--recorded", "--dry-run"), "--recorded measures nothing"),
        (("build", "--jobs", "0"), "'--jobs'"),
    ],
)  # fmt: skip
def test_wrong_usage_is_status_2_and_says_what_is_expected(
    gen: Gen, words: tuple[str, ...], told: str
) -> None:
    done = gen(*words)
    assert (done.status, done.out) == (2, "")
    assert told in done.line
    assert done.line.startswith("error: ")
    assert "Traceback" not in done.err


def test_force_replaces_what_gen_wrote_and_a_failure_leaves_it_whole(
    gen: Gen, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("prune", "tiny", "--level", "0.5", "--out", "made/full")
    with monkeypatch.context() as patched:
        patched.setattr("experiments.pruning.export._recount", full_disk)
        done = gen(*words)
        assert done.status == 1
        # a tiny GPT-2's tensors, each once, as its own file holds them
        size = sum(x.nbytes for x in load_file(here / "tiny/model.safetensors").values())
        assert f"--out made/full: expected room for {size:,} bytes, no space left" in done.err
        assert not (here / "made").exists()
    assert gen(*words).status == 0
    before = files(here)
    assert "add --force" in gen(*words).line
    with monkeypatch.context() as patched:
        patched.setattr("experiments.pruning.export._recount", full_disk)
        assert gen(*words, "--force").status == 1
    assert files(here) == before
    assert [path.name for path in (here / "made").iterdir()] == ["full"]
    assert gen(*words, "--force", "--seed", "1").status == 0
    assert [path.name for path in (here / "made").iterdir()] == ["full"]


@pytest.mark.parametrize("name", ["thesis.txt", ".git/HEAD", "config.json", "empty", "link"])
def test_force_deletes_nothing_that_gen_did_not_write(gen: Gen, here: Path, name: str) -> None:
    """A file that somebody put there or changed, a folder and a link: each is named and stays."""
    words = ("prune", "tiny", "--level", "0.5", "--out", "out", "--force")
    assert gen(*words).status == 0
    if name == "empty":
        (here / "out/empty").mkdir()
    elif name == "link":
        (here / "out/link").symlink_to(here / "tiny")
    else:
        (here / "out" / name).parent.mkdir(exist_ok=True)
        (here / "out" / name).write_text("mine")
    before = files(here)
    done = gen(*words)
    assert done.status == 1
    assert f"--out out: expected nothing but what gen wrote there, found {name}" in done.line
    assert files(here) == before
    assert os.path.lexists(here / "out" / name)


def test_a_folder_that_has_no_manifest_is_not_replaced(gen: Gen, here: Path) -> None:
    """Somebody's, or one that a version before the manifest wrote: to be removed by hand."""
    shutil.copytree(here / "tiny", here / "out")
    before = files(here)
    for words in ((), ("--force",)):
        done = gen("prune", "tiny", "--level", "0.5", "--out", "out", *words)
        assert done.status == 1
        assert "found config.json and no manifest" in done.line
        assert "remove by hand" in done.line
    assert files(here) == before


def test_a_hub_id_while_offline_is_one_line_and_asks_no_network(
    gen: Gen, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it asked the network")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(here / "cache"))
    monkeypatch.setattr(time, "sleep", refuse)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    done = gen("inspect", "nobody/no-such-model")
    assert done.status == 1
    assert "'nobody/no-such-model'" in done.line
    assert "HF_HUB_OFFLINE" in done.line


def _bug(*_: object, **__: object) -> None:
    raise RuntimeError("two\nlines")


def test_a_traceback_is_shown_only_when_asked_for(
    gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "inspect", _bug)
    done = gen("inspect", "mini/gpt2-reviews")
    assert done.status == 1
    assert done.line.startswith("error: RuntimeError: two lines; ")
    assert "--debug" in done.line
    assert "Traceback" not in done.err
    done = gen("--debug", "inspect", "mini/gpt2-reviews")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("Traceback (most recent call last):\n")
    assert done.err.endswith("RuntimeError: two\nlines\n")


def test_an_interrupt_is_status_130_and_one_line(gen: Gen, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspection, "inspect", interrupt)
    done = gen("inspect", "mini/gpt2-reviews")
    assert done.status == 130
    assert done.line == "interrupted; what was measured is kept"


@pytest.mark.parametrize("words", [("list", "pages"), ("list", "pages", "--json"), ("--help",)])
def test_a_reader_who_goes_away_is_no_failure(words: tuple[str, ...], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from generator.cli import main; main()", *words],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), told) == (0, b"")
