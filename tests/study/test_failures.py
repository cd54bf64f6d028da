"""Why work failed: lines that are published name no place of this machine, nor who works on it."""

import platform
from pathlib import Path

import pytest

from experiments.errors import ReportError
from experiments.study.failures import LOG, Places, noted, reason
from experiments.study.study import load_study

STUDY = """
[[model]]
name = "Tiny"
family = "decoder-only"
checkpoint = "ROOT/Jane Doe/models/tiny"
tasks = { films = "tiny" }

[[task]]
name = "films"
file = "films.tsv"
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of its own: a study, GLUE, the hub's cache, somebody's home."""
    for name in ("study", "glue", "home/jane"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "study/films.tsv").write_text("sentence\tlabel\n")
    (tmp_path / "study/report.toml").write_text(STUDY.replace("ROOT", str(tmp_path)))
    monkeypatch.setenv("GLUE_DIR", str(tmp_path / "glue"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "else where/hub"))
    monkeypatch.setenv("HOME", str(tmp_path / "home/jane"))
    monkeypatch.setattr(platform, "node", lambda: "gpu-7.lab")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "published"),
    [
        ("ROOT/study/tiny/w.bin: expected", "tiny/w.bin: expected"),
        ("study ROOT/study: expected", "study .: expected"),
        ("GLUE folder ROOT/glue: expected a file", "GLUE folder <GLUE_DIR>: expected a file"),
        ("ROOT/glue/CoLA/dev.tsv, row 3", "<GLUE_DIR>/CoLA/dev.tsv, row 3"),
        ("(ROOT/hub/hub/models--a--b/x)", "(<hub cache>/hub/models--a--b/x)"),
        ("ROOT/else where/hub/models--a--b", "<hub cache>/models--a--b"),
        ("ROOT/Jane Doe/models/tiny/w.bin: none", "…/tiny/w.bin: none"),
        ("denied ('ROOT/home/jane/a b/w.bin')", "denied ('<home>/a b/w.bin')"),
        ("denied: '/mnt/Jane Doe/secret/w.bin'", "denied: '…/w.bin'"),
        ("ROOT/home/janet/w.bin: none", "…/w.bin: none"),
        ("/scratch/jane/w.bin: none", "…/w.bin: none"),
        ("/mntROOT/study/w.bin: none", "…/w.bin: none"),
        ("cache:/scratch/jane/w.bin", "cache:…/w.bin"),
        ("file:///scratch/jane/w.bin", "…/w.bin"),
        ("~/models/w.bin, ~jane/w.bin", "…/w.bin, …/w.bin"),
        ("rank 0 of jane on gpu-7.lab died", "rank 0 of <user> on <host> died"),
        ("https://hub.org/jane/a answered 500", "https://hub.org/<user>/a answered 500"),
        ("3 / 4, and/or, N/A, 160×480, </s>, 2/s", "3 / 4, and/or, N/A, 160×480, </s>, 2/s"),
        ("org/name, mini/gpt2-reviews, a/b.tsv:3", "org/name, mini/gpt2-reviews, a/b.tsv:3"),
        ("'/' and \"/\" alone", "'/' and \"/\" alone"),
    ],
)
def test_a_published_line_names_no_place_of_this_machine(
    line: str, published: str, root: Path
) -> None:
    places = Places(load_study(root / "study/report.toml"))
    assert places.hidden(line.replace("ROOT", str(root))) == published


def test_a_word_of_the_study_is_no_secret(root: Path) -> None:
    study = root / "study/report.toml"
    study.write_text(study.read_text().replace('"Tiny"', '"jane 7B"'))
    assert Places(load_study(study)).hidden("jane 7B: films: no") == "jane 7B: films: no"


def test_a_study_named_by_a_relative_path_hides_the_absolute_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "study")
    places = Places(load_study(Path("report.toml")))
    assert places.hidden(f"{root}/study/tiny/w.bin: none") == "tiny/w.bin: none"


def test_a_disk_that_is_full_costs_the_log_and_not_the_reason(root: Path) -> None:
    (root / "results").mkdir()
    (root / "results" / LOG).symlink_to("/dev/full")
    assert noted(OSError(28, "No space left on device"), "Tiny", root / "results") == (
        "No space left on device (no file named)"
    )


def test_a_reason_is_one_line_and_the_log_holds_the_whole_story(root: Path) -> None:
    reasons: list[str] = []
    told: list[str] = []
    for error in (
        ReportError("a\nb", "c", "d"),
        PermissionError(13, "Permission denied", f"{root}/w\x1b.bin"),
        RuntimeError("first\nsecond"),
        RuntimeError(),
    ):
        try:
            raise error
        except Exception as caught:
            reasons.append(noted(caught, "Tiny: films", root / "results"))
            told.append(reason(caught))
    assert (
        reasons
        == told
        == [
            r"a\nb: expected c; d",
            rf"Permission denied ('{root}/w\x1b.bin')",
            "RuntimeError: first",
            "RuntimeError",
        ]
    )
    log = (root / "results" / LOG).read_text()
    assert log.count("Tiny: films:\nTraceback (most recent call last):\n") == 4
    assert "second" in log
    assert str(Path(__file__)) in log
    assert "\x1b" not in log
