"""The site's files: written where they changed, drawn only when the records did, others left alone."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import synthetic
from command import files

from experiments.errors import ReportError
from experiments.records.record import Held
from experiments.records.record_json import encode
from experiments.records.store import Recorded
from generator import site
from generator.exhibits import Drawing

ROOT = Path(__file__).parents[2]
DRAWING = site._drawing  # the program's own: these tests draw in this process
Draw = Callable[[Drawing], dict[str, bytes]]

pytestmark = pytest.mark.usefixtures("drawn_once")


def test_records_give_the_same_bytes_after_a_trip_to_disk(tmp_path: Path) -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",))
    recorded = Recorded(tmp_path)
    for one in held:
        recorded.put(one.record)
    again = site.published(recorded)
    assert {encode(one.record) for one in again} == {encode(one.record) for one in held}
    assert site.render(again) == site.render([Held(one.record, "recorded") for one in held])


def test_a_study_is_published_without_the_records_of_another(tmp_path: Path) -> None:
    recorded = Recorded(tmp_path)
    studies = {"report": ("GPT-2",), "mine": ("My classifier",)}
    for study, names in studies.items():
        for one in synthetic.held(names, tasks=("reviews",), levels=(0.5,), blocks=1):
            cell = replace(one.cell, model=study) if one.cell.kind == "study" else one.cell
            recorded.put(replace(one.record, cell=cell))
    for study, names in studies.items():
        held = site.published(recorded, study)
        assert {one.cell.model for one in held} == {study, *names}
    assert {one.cell.model for one in site.published(recorded, "another")} == {
        "GPT-2",
        "My classifier",
    }


@pytest.fixture(scope="module")
def written(drawn_once: Draw, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with docs/, their stamp, and the records they were made from; to be copied."""
    folder = tmp_path_factory.mktemp("written")
    for one in synthetic.small():
        Recorded(folder / "recorded").put(one.record)
    held = site.published(Recorded(folder / "recorded"))
    changed = site.write(held, folder / "docs", stamp=folder / "site.json")
    assert changed == len(site.render(held))
    return folder


@pytest.fixture
def here(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "here")
    return tmp_path / "here"


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.stat().st_ino,
            path.read_bytes(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(folder: Path, docs: str = "docs") -> int:
    held = site.published(Recorded(folder / "recorded"))
    return site.write(held, folder / docs, stamp=folder / "site.json")


def listed(docs: Path, *names: str) -> None:
    """The manifest lists these files too, each with an `x` in it, as an earlier site's."""
    path = docs / ".gen-manifest.json"
    stated = json.loads(path.read_text())
    stated["files"] |= dict.fromkeys(names, sha256(b"x").hexdigest())
    path.write_text(json.dumps(stated))


@pytest.fixture
def drawn_before(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the records come to is taken from the first drawing, to save the time of another."""
    docs = written / "docs"
    made = {str(p.relative_to(docs)): p.read_bytes() for p in docs.rglob("*.*") if p.name[0] != "."}
    monkeypatch.setattr(site, "render", lambda held, failures, each, apart=(): made)


def test_figures_drawn_in_other_processes_are_the_same(here: Path) -> None:
    (here / "program.py").write_text(
        "from pathlib import Path; from experiments.records.store import Recorded\n"
        "from generator import site\n"
        "if __name__ == '__main__':\n"
        "    held = site.published(Recorded(Path('recorded')))\n"
        "    print(site.write(held, Path('other'), workers=2))\n"
        "    import sys; print('matplotlib.backends.backend_svg' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=here, capture_output=True, text=True, check=True
    )
    made, other = (
        {str(p.relative_to(here / name)): p.read_bytes() for p in (here / name).rglob("*.*")}
        for name in ("docs", "other")
    )
    assert made == other
    assert done.stdout.splitlines() == [
        str(len(made) - 1),  # the manifest is none of them
        "False",
    ]  # nothing was drawn in this one


def test_a_process_that_draws_and_is_killed_is_said_in_a_line() -> None:
    line = r"found it killed .*; build again with --jobs 1"
    with pytest.raises(ReportError, match=line), DRAWING(2) as each:
        list(each(os._exit, [1]))


def test_writing_again_touches_no_file_and_draws_nothing(here: Path) -> None:
    before = snapshot(here)
    program = (
        "import sys; from pathlib import Path; from experiments.records.store import Recorded\n"
        "from generator import site; folder = Path(sys.argv[1])\n"
        "held = site.published(Recorded(folder / 'recorded'))\n"
        "print(site.write(held, folder / 'docs', stamp=folder / 'site.json'))\n"
        "print(*sorted({'matplotlib', 'numpy', 'jinja2', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, here], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["0", ""]
    assert snapshot(here) == before


def test_without_a_stamp_everything_is_drawn_and_no_file_touched(here: Path) -> None:
    before = snapshot(here)
    (here / "site.json").unlink()
    assert write(here) == 0
    after = snapshot(here)
    after["site.json"] = before["site.json"]
    assert after == before


PLACES = ["index.md", "data/models.csv", "figures/speed-dark.svg"]


@pytest.mark.usefixtures("drawn_before")
@pytest.mark.parametrize("name", PLACES)
def test_a_file_that_someone_removed_is_made_again(here: Path, name: str) -> None:
    original = (here / "docs" / name).read_bytes()
    (here / "docs" / name).unlink()
    assert write(here) == 1
    assert (here / "docs" / name).read_bytes() == original


@pytest.mark.usefixtures("drawn_before")
@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("name", PLACES)
def test_a_file_that_someone_changed_is_named_and_stays(
    here: Path, name: str, stamped: bool
) -> None:
    (here / "docs" / name).write_text("my own words")
    (here / "docs/how.md").unlink()  # would be made again
    if not stamped:
        (here / "site.json").unlink()
    before = files(here)
    with pytest.raises(ReportError, match=f"nobody changed, found {name}; name another folder"):
        write(here)
    assert files(here) == before


@pytest.mark.usefixtures("drawn_before")
@pytest.mark.parametrize("name", ["index.md", "assets/report.css", "figures", "data/models.csv"])
def test_nothing_is_written_among_somebody_else_s_files_of_the_same_names(
    here: Path, name: str
) -> None:
    (here / "theirs" / name).parent.mkdir(parents=True)
    (here / "theirs" / name).write_text("a thesis")
    before = files(here)
    with pytest.raises(ReportError, match=f"--docs .*theirs: .* found {name}"):
        write(here, "theirs")
    assert files(here) == before
    assert not list((here / "theirs").rglob(".*"))


@pytest.mark.usefixtures("drawn_before")
def test_nothing_is_written_through_a_link_inside_the_folder(here: Path) -> None:
    (here / "elsewhere").mkdir()
    (here / "theirs").mkdir()
    (here / "theirs/data").symlink_to(here / "elsewhere")
    with pytest.raises(ReportError, match="found data/"):
        write(here, "theirs")
    assert not list((here / "elsewhere").iterdir())
    (here / "linked").symlink_to(here / "docs")  # the folder itself may be one
    assert write(here, "linked") == 0


@pytest.mark.usefixtures("drawn_before")
def test_a_site_that_an_earlier_version_wrote_is_taken_over(here: Path) -> None:
    """It wrote no manifest: its files are known by its stamp, or as those that would be written."""
    made = files(here / "docs")
    manifest = made.pop(".gen-manifest.json")
    (here / "docs/.gen-manifest.json").unlink()
    (here / "site.json").unlink()
    assert write(here) == 0
    assert (here / "docs/.gen-manifest.json").read_bytes() == manifest
    (here / "docs/.gen-manifest.json").unlink()
    (here / "docs/index.md").write_text("of an earlier version")
    old = {name: sha256(content).hexdigest() for name, content in files(here / "docs").items()}
    (here / "site.json").write_text(json.dumps({"docs": {"source": "earlier", "files": old}}))
    site.refuse_strangers(here / "docs", stamp=here / "site.json")
    assert write(here) == 1
    assert files(here / "docs") == made | {".gen-manifest.json": manifest}
    assert write(here) == 0


@pytest.mark.usefixtures("drawn_before")
def test_after_a_kill_between_two_files_all_of_them_are_ours(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the old site some files stand, of the new one others; the next run changes all to its own."""
    first = site.render([], [], map)
    second = {name: content + b"2" for name, content in first.items()}
    third = {name: content + b"3" for name, content in first.items()}
    replace, calls = site.replace_if_changed, []

    def killed(path: Path, content: bytes) -> bool:
        calls.append(path)
        if len(calls) > len(first) // 2:
            raise KeyboardInterrupt
        return replace(path, content)

    monkeypatch.setattr(site, "render", lambda held, failures, each, apart=(): second)
    monkeypatch.setattr(site, "replace_if_changed", killed)
    with pytest.raises(KeyboardInterrupt):
        site.write([], here / "docs", failures=["another"])
    monkeypatch.setattr(site, "replace_if_changed", replace)
    mixed = files(here / "docs")
    assert any(mixed[name] == first[name] for name in first)
    assert any(mixed[name] == second[name] for name in first)
    monkeypatch.setattr(site, "render", lambda held, failures, each, apart=(): third)
    site.write([], here / "docs", failures=["a third"])
    made = files(here / "docs")
    stated = json.loads(made.pop(".gen-manifest.json"))
    assert made == third
    assert stated == {
        "written_by": "gen",
        "files": {name: sha256(content).hexdigest() for name, content in third.items()},
    }


@pytest.mark.usefixtures("drawn_before")
def test_a_broken_stamp_is_no_stamp(here: Path) -> None:
    for text in (
        "",
        "[]",
        '{"source": 1}',
        "null",
        '{"docs": 3}',
        '{"docs": {"source": 1, "files": 3}}',
        '{"docs": {"source": 1, "manifest": [], "files": []}}',
    ):
        (here / "site.json").write_text(text)
        assert write(here) == 0


@pytest.mark.usefixtures("drawn_before")
def test_what_an_earlier_site_left_goes_and_the_reader_s_own_files_stay(here: Path) -> None:
    docs = here / "docs"
    stale = ["figures/size-model-9-dark.svg", "data/layers-model-9.csv"]
    own = ["notes.md", "figures/photo.svg", "data/raw.csv", "CNAME", "assets/own.css"]
    for name in [*stale, *own]:
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text("x")
    listed(docs, *stale, "../outside.csv")
    (here / "outside.csv").write_text("x")
    assert write(here) == len(stale)
    assert (here / "outside.csv").exists()
    assert not any((docs / name).exists() for name in stale)
    assert all((docs / name).read_text() == "x" for name in own)


@pytest.mark.usefixtures("drawn_before")
def test_sites_in_two_folders_are_remembered_apart(here: Path) -> None:
    for folder in ("docs", "mine"):
        (here / folder).mkdir(exist_ok=True)
        (here / folder / "notes.md").write_text("x")
    listed(here / "docs", "notes.md")
    assert write(here, "mine") == len(site.render([], [], map))
    assert (here / "mine/notes.md").exists()
    assert write(here) == 1
    assert not (here / "docs/notes.md").exists()
    assert write(here) == write(here, "mine") == 0


def test_a_report_without_gaps_warns_of_none(here: Path) -> None:
    for name in ("index.md", "reproduce.md"):
        assert "!!! warning" not in (here / "docs" / name).read_text()


def test_the_site_can_be_built_to_be_read_from_the_file_system(here: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "mkdocs.yml", here)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", tmp_path / "offline"],
        cwd=here, capture_output=True, text=True, check=False, env=os.environ | {"OFFLINE": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "offline/models.html").is_file()
    assert (here / "docs/.gen-manifest.json").is_file()
    assert not list((tmp_path / "offline").rglob(".*"))  # it is no page
