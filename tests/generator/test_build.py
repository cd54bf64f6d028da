"""A study built, published, and interrupted, through the command."""

import csv
import html
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command import SENTENCES, STUDY, Done, Gen, files, full_disk, imported, outside

from experiments.errors import ReportError
from experiments.records.record_json import decode
from experiments.records.store import Recorded
from experiments.study import workers
from generator import serving
from generator.pages.table import PAGES

pytestmark = pytest.mark.usefixtures("drawn_once")


@pytest.fixture(scope="module")
def measured(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The study once built, in processes of its own, and what the command said."""
    folder = tmp_path_factory.mktemp("measured") / "here"
    shutil.copytree(source, folder)
    return folder, outside("build", "--jobs", "1", cwd=folder)


@pytest.fixture
def built(measured: tuple[Path, Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the built study's folder, its digests still known."""
    folder = tmp_path / "built"
    shutil.copytree(measured[0], folder)
    monkeypatch.chdir(folder)
    return folder


class _Here:
    """A pool whose work is done at once, in this process."""

    def __init__(self, *_: object, **__: object) -> None:
        self.failed = None

    def submit(self, work: Callable[..., Any], *given: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*given))
        return future

    def shutdown(self, **_: object) -> None:
        """Nothing waits."""


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells are answered in this process, where a test can make the disk full."""
    monkeypatch.setattr(workers, "ProcessPoolExecutor", _Here)


# The study's cells: structure, pruning, bytes and times; two evaluations, and their three comparisons, of
# the pruned answers with dense and of both with a fixed answer.
CELLS, ANSWERS = 9, 5

# ---- a study ----------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_measured_and_writes_nothing(gen: Gen, here: Path) -> None:
    before = files(here)
    done = gen("build", "--dry-run")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[-1] == f"{CELLS} of {CELLS} cells to measure here"
    assert lines[0] == "measure  Tiny, inspection"
    assert [line for line in lines if line.startswith("later ")] == [
        "later    Huge: it is too large"
    ]
    assert files(here) == before


def test_a_build_measures_what_is_asked_and_writes_the_pages(measured: tuple[Path, Done]) -> None:
    folder, done = measured
    assert (done.status, done.out) == (0, "")
    assert "Traceback" not in done.err
    assert "not measured" not in done.err
    assert {f"{page.name}.md" for page in PAGES} <= set(files(folder / "docs"))
    assert len(files(folder / "results/records")) == CELLS
    index = (folder / "docs/index.md").read_text()
    assert "Tiny" in index
    assert "ask again with <code>gen build</code>" in index
    assert done.err.splitlines()[-1] == "to read them: mkdocs serve; as HTML: mkdocs build --strict"
    assert "it is too large" in (folder / "docs/models.md").read_text()
    for name, content in (files(folder / "docs") | files(folder / "results/records")).items():
        assert str(folder).encode() not in content, name


def test_an_unchanged_build_and_its_status_import_no_torch_and_change_no_file(built: Path) -> None:
    before = files(built)
    done, modules = imported("build", cwd=built)
    assert done.status == 0
    assert "docs/ is up to date" in done.err
    assert not {"torch", "transformers", "matplotlib"} & modules
    done, modules = imported("status", "--json", cwd=built)
    assert [(row["model"], row["cells"], row["answered"]) for row in done.json] == [
        ("Tiny", CELLS, CELLS),
        ("Huge", 0, 0),
    ]
    assert not {"torch", "transformers", "matplotlib"} & modules
    after = files(built)
    for known in (before, after):
        known.pop("results/digests.json", None)  # it knows files by their paths, and none too young
    assert after == before


def test_a_status_before_any_build_answers_nothing(gen: Gen, here: Path) -> None:
    rows = gen("status", "--json").json
    assert [(row["model"], row["measure"], row["cells"], row["answered"]) for row in rows] == [
        ("Tiny", "here", CELLS, 0),
        ("Huge", "later", 0, 0),
    ]
    assert gen("status").out.splitlines()[0].split() == [
        "model", "measure", "cells", "answered", "why"
    ]  # fmt: skip
    assert not (here / "docs").exists()


@pytest.mark.usefixtures("in_process")
def test_a_damaged_record_is_named_and_measured_again(gen: Gen, built: Path) -> None:
    (path,) = (built / "results/records/inspection").iterdir()
    whole = path.read_bytes()
    for damage in (
        whole[: len(whole) // 2],
        b"",
        b'{"schema": 1}',
        whole.replace(b'"count": ', b'"count": "x"', 1),
    ):
        path.write_bytes(damage)
        done = gen("build")
        assert done.status == 0
        assert f"inspection/{path.name}" in done.err
        assert "expected a record" in done.err
        assert "[1/1] Tiny: structure" in done.err
        again = json.loads(path.read_text())
        assert again["answer"] == json.loads(whole)["answer"]


@pytest.mark.usefixtures("in_process")
def test_what_changed_is_measured_again_and_the_rest_is_not(gen: Gen, built: Path) -> None:
    kept = files(built / "results/records/inspection")
    (built / "tickets.tsv").write_text(SENTENCES + "not good\tnegative\n")
    assert (
        gen("build", "--dry-run").out.splitlines()[-1]
        == f"{ANSWERS} of {CELLS} cells to measure here"
    )
    done = gen("build")
    assert done.status == 0
    assert files(built / "results/records/inspection") == kept
    assert len(files(built / "results/records/evaluation")) == 4


def test_a_folder_with_somebody_s_pages_is_refused_before_anything_is_measured(
    gen: Gen, here: Path
) -> None:
    (here / "notes").mkdir()
    (here / "notes/index.md").write_text("a thesis")
    before = files(here)
    done = gen("build", "--docs", "notes")
    assert (done.status, done.out) == (1, "")
    assert "--docs notes: expected no file there but those that gen wrote" in done.line
    assert "found index.md; name another folder" in done.line
    assert files(here) == before


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.usefixtures("in_process")
def test_a_full_disk_is_one_line_and_earlier_records_are_kept(
    gen: Gen, built: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (gone,) = (built / "results/records/inspection").iterdir()
    gone.unlink()
    before = files(built)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full_disk)
        done = gen("build")
    assert done.status == 1
    told = r"docs/.*\.json: expected room for [\d,]+ bytes, no space left on its disk"
    assert re.search(told, done.err.splitlines()[-1])
    assert "Traceback" not in done.err
    after = files(built)
    assert after.pop("results/failures.log", None) is not None
    assert after == before
    assert gen("build").status == 0
    known = {"results/digests.json"}  # it knows files by their paths, and none too young
    assert set(files(built)) - known == {*before, str(gone.relative_to(built))} - known


@pytest.mark.usefixtures("in_process")
def test_a_row_that_cannot_be_measured_leaves_a_named_gap_and_status_3(
    gen: Gen, here: Path
) -> None:
    broken = STUDY.replace('checkpoint = "tiny"', 'checkpoint = "gone"').replace(
        '{ tickets = "tiny" }', "{}"
    )
    (here / "report.toml").write_text(broken)
    done = gen("build")
    assert (done.status, done.out) == (3, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("not measured: ")]
    assert "Tiny" in line
    assert "'gone'" in line
    assert "gone" in (here / "docs/index.md").read_text()


def test_a_dry_run_names_what_is_not_there_and_ends_with_status_3(gen: Gen, here: Path) -> None:
    whole = (here / "report.toml").read_text()
    (here / "report.toml").write_text(
        whole.replace('checkpoint = "tiny"', 'checkpoint = "gone"', 1)
    )
    done = gen("build", "--dry-run")
    (line,) = [line for line in done.out.splitlines() if line.startswith("failed ")]
    assert (done.status, "Tiny: model 'gone'" in line) == (3, True)
    (here / "report.toml").write_text(
        whole.replace('checkpoint = "tiny"', 'checkpoint = "tiny"\nmeasure = "recorded"')
    )
    done = gen("build", "--dry-run")
    lines = [line for line in done.out.splitlines() if line.startswith("missing ")]
    assert (done.status, len(lines)) == (3, CELLS)


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_study_of_a_model_that_cannot_be_read_imports_no_torch_and_starts_no_worker(
    here: Path, damage: str
) -> None:
    if damage == "gone":
        shutil.rmtree(here / "tiny")
    else:
        with (here / "tiny/model.safetensors").open("r+b") as file:
            file.truncate(1000)
    done, modules = imported("build", cwd=here)
    assert done.status == 3
    first = done.err.splitlines()[0]
    assert first.startswith("cannot be measured: Tiny")
    assert "tiny" in first
    assert "[1/" not in done.err
    assert not {"torch", "transformers"} & modules


def test_a_recorded_row_without_records_leaves_named_gaps_and_status_3(
    gen: Gen, here: Path
) -> None:
    (here / "report.toml").write_text(
        STUDY.replace('checkpoint = "tiny"', 'checkpoint = "tiny"\nmeasure = "recorded"')
    )
    done = gen("build")
    assert done.status == 3
    gaps = [line for line in done.err.splitlines() if line.startswith("not measured: Tiny, ")]
    assert len(gaps) == CELLS


def test_one_broken_cell_does_not_end_the_others(gen: Gen, built: Path, in_process: None) -> None:
    (built / "tickets.tsv").write_text("sentence\tlabel\na good film\t-1\n")
    done = gen("build")
    assert done.status == 3
    assert [line for line in done.err.splitlines() if "unlabelled" in line]
    quality = (built / "docs/quality.md").read_text()
    assert "No model of this report has answered a task." in quality
    assert "tickets" not in quality
    assert "Tiny" in (built / "docs/structure.md").read_text()


@pytest.mark.usefixtures("in_process")
def test_a_broken_model_does_not_end_the_others(gen: Gen, here: Path) -> None:
    (here / "broken").mkdir()
    (here / "broken/config.json").write_bytes((here / "tiny/config.json").read_bytes())
    (here / "broken/model.safetensors").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 944\n"
    )
    row = '[[model]]\nname = "Broken"\nfamily = "decoder-only"\ncheckpoint = "broken"\n\n'
    (here / "report.toml").write_text(STUDY.replace("[[model]]", row + "[[model]]", 1))
    done = gen("build")
    assert done.status == 3
    gaps = [line for line in done.err.splitlines() if line.startswith("not measured: ")]
    assert gaps
    assert all("Broken" in gap and "Git LFS pointer" in gap for gap in gaps)
    assert len(files(here / "results/records")) == CELLS  # all of Tiny's


@pytest.mark.usefixtures("in_process")
def test_a_study_elsewhere_is_asked_again_by_the_command_that_its_pages_name(
    gen: Gen, here: Path, tmp_path: Path
) -> None:
    """Its folder, that of its pages and the current one are three; rows that are recorded measure nothing."""
    (here / "my studies").mkdir()
    (here / "my studies/mine.toml").write_text(
        STUDY.replace('checkpoint = "tiny"', 'checkpoint = "tiny"\nmeasure = "recorded"').replace(
            '"tickets.tsv"', '"../tickets.tsv"'
        )
    )
    (here / "report.toml").unlink()
    words = ("--study", "my studies/mine.toml", "--docs", "out/pages", "--results", tmp_path / "r")
    done = gen("build", *words)
    assert done.status == 3
    again = "gen build --study 'my studies/mine.toml'"
    whole = f"{again} --docs out/pages --results r"
    for page, command in (("index.md", whole), ("reproduce.md", again)):
        assert command in html.unescape((here / "out/pages" / page).read_text()), page
    index = here / "out/pages/index.md"
    assert "Asked by <code>my studies/mine.toml</code>" in index.read_text()
    assert done.err.splitlines()[-1].endswith("mkdocs build --strict -f out/mkdocs.yml")
    assert 'site_name: "A tiny study"' in (here / "out/mkdocs.yml").read_text()
    assert not (here / "docs").exists()
    done = gen("build", "--recorded", *words)
    first = "nothing is recorded; `gen build --study 'my studies/mine.toml'`"
    assert f"{first}, then `gen record --study 'my studies/mine.toml'`" in done.err
    gen("record", "--study", "my studies/mine.toml", "--results", tmp_path / "r")
    gen("build", "--recorded", *words)
    assert "gen build --study 'my studies/mine.toml'" in html.unescape(index.read_text())


def test_a_family_that_is_not_the_checkpoint_s_ends_every_command_in_one_line(
    gen: Gen, here: Path
) -> None:
    whole = (here / "report.toml").read_text()
    (here / "report.toml").write_text(whole.replace("decoder-only", "encoder-only", 1))
    for words in (("build",), ("build", "--dry-run"), ("status",), ("record",)):
        done = gen(*words)
        assert done.status == 1
        assert "model 'Tiny' of family 'encoder-only': expected decoder-only" in done.line
    assert not (here / "docs").exists()


FAULTY = """
titel = "A study"
levels = [0.9, 0.5]
methods = ["magnitud"]
tasks = ["revews"]

[[model]]
name = "One"
family = "decoder"
checkpoint = 3

[[model]]
name = "One"
famly = "decoder-only"
checkpoint = "tiny"
measure = "later"

[[model]]
name = "a\\u0007b"
family = "encoder-only"
checkpoint = "tiny"

[[task]]
name = "reviews"
file = "none.tsv"
metric = "f1"
"""


@pytest.mark.parametrize("command", ["build", "status", "record"])
def test_every_fault_of_a_study_is_told_at_once_with_its_line(
    gen: Gen, here: Path, command: str
) -> None:
    (here / "report.toml").write_text(FAULTY)
    done = gen(command)
    assert (done.status, done.out) == (1, "")
    lines = FAULTY.splitlines()
    for told, key in (
        ("did you mean title?", "titel"),
        ("rising order", "levels"),
        ("did you mean magnitude?", "methods"),
        ("did you mean reviews?", "tasks"),
        ("did you mean decoder-only?", 'family = "decoder"'),
        ("expected a text", "checkpoint = 3"),
        ("did you mean family?", "famly"),
        ("printable", 'name = "a'),
        ("none.tsv", "file"),
        ("accuracy", "metric"),
    ):
        number = next(i for i, line in enumerate(lines, start=1) if line.startswith(key))
        assert [x for x in done.err.splitlines() if f"report.toml:{number}:" in x and told in x], (
            told,
            done.err,
        )
    for told in ("why is missing", "'One' stands twice", "'reviews' stands twice"):
        assert told in done.err
    assert not (here / "docs").exists()


@pytest.mark.parametrize("text", ["title = ", "\xff", "[[model]]", "model = 3", "levels = []"])
def test_a_study_that_is_none_is_told_without_a_traceback(gen: Gen, here: Path, text: str) -> None:
    (here / "report.toml").write_bytes(text.encode("latin-1"))
    done = gen("status")
    assert (done.status, done.out) == (1, "")
    assert all("report.toml" in line for line in done.err.splitlines())


@pytest.fixture
def odd(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The study in a folder whose name is no UTF-8."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        shutil.copytree(source, folder)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    monkeypatch.chdir(tmp_path)
    return Path(folder.name)


@pytest.mark.usefixtures("in_process")
def test_a_folder_whose_name_is_no_utf_8_is_measured_and_shown_with_a_mark(
    gen: Gen, odd: Path
) -> None:
    assert gen("inspect", odd / "tiny").status == 0
    done = gen(
        "build",
        "--study",
        odd / "report.toml",
        "--docs",
        odd / "docs",
        "--results",
        odd / "results",
    )
    assert (done.status, done.out) == (0, ""), done.err
    assert len(files(odd / "results/records")) == CELLS
    assert "gen build --study caf\ufffd/report.toml" in (odd / "docs/reproduce.md").read_text()
    assert gen("prune", odd / "tiny", "--level", "0.5", "--out", odd / "pruned").status == 0
    lost = gen("inspect", odd / "lost")
    assert lost.status == 1
    assert "lost" in lost.line


# ---- publishing -------------------------------------------------------------------------------


def test_records_are_published_and_rendered_to_the_same_bytes_without_torch(
    gen: Gen, built: Path
) -> None:
    done = gen("record")
    assert (done.status, done.out) == (0, "")
    assert len(files(built / "recorded")) == CELLS + 1  # and the study
    published = files(built / "recorded")
    made = []
    for docs in ("once", "twice"):
        done, modules = imported(
            "build", "--recorded", "--docs", docs, "--results", f"results-{docs}", cwd=built,
            missing=("torch", "transformers", "tokenizers", "huggingface_hub", "pyarrow", "sklearn"),
        )  # fmt: skip
        assert done.status == 0, done.err
        assert not {"torch", "transformers"} & modules
        made.append(files(built / docs))
    assert made[0] == made[1]
    (machine,) = csv.DictReader(io.StringIO(made[0]["data/machines.csv"].decode()))
    assert machine["numbers"] == "recorded"
    stale = built / "recorded/pruning/stale.json"
    stale.write_bytes(next((built / "recorded/pruning").iterdir()).read_bytes())
    text = json.loads(stale.read_text())
    text["cell"]["model"] = "a row of an earlier study"
    text["schema"], _ = 1, text.pop("checksum")
    record = decode(json.dumps(text))
    stale.unlink()
    Recorded(built / "recorded").put(record)
    assert gen("record").status == 0
    assert files(built / "recorded") == published  # what no study asks any more is gone


def test_a_study_that_is_not_all_measured_is_not_published_and_a_gap_in_what_is_is_named(
    gen: Gen, built: Path
) -> None:
    assert gen("record").status == 0
    for path in (
        *(built / "results/records/latency").iterdir(),
        *(built / "recorded/latency").iterdir(),
    ):
        path.unlink()
    published = files(built / "recorded")
    done = gen("record")
    assert done.status == 1
    assert "the first: Tiny, latency, magnitude; run `gen build` first" in done.line
    assert files(built / "recorded") == published
    done = gen("build", "--recorded")
    assert done.status == 3
    assert "not measured: Tiny, latency, magnitude: not recorded" in done.err
    assert "Tiny, latency, magnitude" in (built / "docs/index.md").read_text()


def test_nothing_recorded_is_a_site_that_says_so_and_status_3(gen: Gen, here: Path) -> None:
    done = gen("build", "--recorded")
    assert done.status == 3
    assert "not measured: nothing is recorded" in done.err
    assert "There is nothing to show yet" in (here / "docs/index.md").read_text()


def test_a_damaged_published_record_is_named_and_left_out(gen: Gen, built: Path) -> None:
    assert gen("record").status == 0
    (path,) = (built / "recorded/footprint").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    done = gen("build", "--recorded")
    assert done.status == 3
    assert f"footprint/{path.name}: expected a record" in done.err
    assert "Traceback" not in done.err


# ---- an interrupt -----------------------------------------------------------------------------


def children(process: int) -> set[int]:
    """A process's children, theirs among them."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found |= {child := int(entry.parent.name), *children(child)}
    return found


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def until(happened: Callable[[], object]) -> None:
    for _ in range(600):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within a minute")


@contextmanager
def built_in(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A build under way, with a session of its own and interrupts heeded, as a terminal gives it.

    A shell starts what stands before an "&" with interrupts ignored, and so would be all below it.
    """
    program = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from generator.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "build", "--jobs", "2"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.fixture
def building(here: Path) -> Iterator[subprocess.Popen[bytes]]:
    with built_in(here) as process:
        yield process


IN_PROC = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks for workers in /proc"
)


@IN_PROC
def test_a_build_interrupted_while_its_processes_begin_to_draw_ends_in_one_line(
    built: Path,
) -> None:
    (built / "results/site.json").unlink()
    before = files(built / "docs")
    with built_in(built) as drawing:
        until(lambda: len(children(drawing.pid)) >= 2)  # one that draws, and Python's tracker
        os.killpg(drawing.pid, signal.SIGINT)
        out, err = drawing.communicate(timeout=60)
    assert (drawing.returncode, out) == (130, b"")
    assert err.splitlines() == [b"interrupted; what was measured is kept"]
    assert files(built / "docs") == before


@IN_PROC
def test_an_interrupted_build_ends_with_130_and_leaves_no_worker(
    here: Path, building: subprocess.Popen[bytes]
) -> None:
    until(
        lambda: len(children(building.pid)) >= 4
    )  # two workers, what they are copies of, Python's tracker
    workers = children(building.pid)
    os.killpg(building.pid, signal.SIGINT)
    out, err = building.communicate(timeout=60)
    assert (building.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    assert err.splitlines()[-1] == b"interrupted; what was measured is kept"
    until(lambda: not any(alive(worker) for worker in workers))
    assert not list(here.rglob("*.partial"))
    assert not (
        here / "results/records/latency"
    ).exists()  # none of them went on to the end of its work


def test_open_asks_for_its_port_before_any_work_and_serves_the_pages_it_made(
    here: Path, gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy() -> None:
        raise ReportError("127.0.0.1:8000", "a free port", "end what listens there")

    served: list[tuple[Path, Path]] = []
    monkeypatch.setattr(serving, "refuse_busy_port", busy)
    assert gen("build", "--open").status == 1
    assert not (here / "docs").exists()
    assert not (here / "results").exists()
    monkeypatch.setattr(serving, "refuse_busy_port", lambda: None)
    monkeypatch.setattr(serving, "serve", lambda *given: served.append(given))
    done = gen("build", "--open", "--recorded", "--docs", "elsewhere")
    assert served == [(here / "mkdocs.yml", Path("elsewhere"))]
    assert 'docs_dir: "elsewhere"' in (here / "mkdocs.yml").read_text()
    assert done.status == 3  # nothing is recorded here


@pytest.mark.usefixtures("in_process")
def test_a_failed_build_says_where_its_tracebacks_are_and_shows_them_when_asked(
    gen: Gen, here: Path
) -> None:
    """They name folders of this machine: what is published of the same failure names none."""
    (here / "tiny/model.safetensors").write_bytes(b"\x00" * 9)
    study = (here / "report.toml").read_text().replace('"tiny"', f'"{here}/tiny"')
    (here / "report.toml").write_text(study)
    done = gen("build")
    assert done.status == 3
    assert "tracebacks of what failed: results/failures.log" in done.err.splitlines()
    assert "Traceback" not in done.err
    log = (here / "results/failures.log").read_text()
    assert "Traceback (most recent call last):" in log
    for name, content in files(here / "docs").items():
        assert str(here).encode() not in content, name
    done = gen("--debug", "build")
    assert done.status == 3
    assert "Traceback (most recent call last):" in done.err.splitlines()
