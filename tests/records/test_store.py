"""The store: files appear whole or not at all, are found by content, and are rewritten for a reason."""

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.errors import ReportError
from experiments.records import store
from experiments.records.cell import Cell
from experiments.records.evaluation import Evaluation
from experiments.records.record import Machine, Provenance, Record
from experiments.records.record_json import decode, encode
from experiments.records.store import Recorded, Results, file_name, replace_if_changed, slug

PROVENANCE = Provenance(
    date="2026-01-01",
    command="gen build",
    seconds=1.0,
    machine=Machine(processor="p", cores=2, threads=1, memory_bytes=8, system="Linux"),
    versions={"torch": "2"},
)


@pytest.fixture
def record(scored: Callable[..., Evaluation]) -> Record:
    """A record of a dense evaluation."""
    return Record(
        cell=Cell(kind="evaluation", model="GPT-2", level=0.0, task="films"),
        identity={"version": "1", "checkpoint": "aaa"},
        provenance=PROVENANCE,
        answer=scored([0, 1, 1], [0, 1, 0]),
    )


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path / "results")


def test_a_record_is_found_by_its_question_and_content(results: Results, record: Record) -> None:
    assert results.get(record.cell, record.identity) is None
    results.put(record)
    assert results.get(record.cell, record.identity) == record
    assert results.damaged == []


@pytest.mark.parametrize(
    "identity", [{"version": "1", "checkpoint": "bbb"}, {"version": "2", "checkpoint": "aaa"}, {}]
)
def test_the_same_name_with_other_weights_is_another_question(
    identity: dict[str, str], results: Results, record: Record
) -> None:
    results.put(record)
    assert results.get(record.cell, identity) is None


def test_a_file_that_answers_another_question_is_not_taken_for_this_one(
    results: Results, record: Record
) -> None:
    """As if two hashes had met, or a person had copied a file."""
    other = replace(record, identity={"version": "1", "checkpoint": "bbb"})
    results.put(record).rename(results.path(other.cell, other.identity))
    assert results.get(other.cell, other.identity) is None


def test_published_records_are_found_by_question_alone(tmp_path: Path, record: Record) -> None:
    recorded = Recorded(tmp_path / "recorded")
    recorded.put(record)
    newer = replace(record, identity={"version": "2"})
    recorded.put(newer)
    assert recorded.get(record.cell) == newer
    assert list(recorded.all()) == [newer]
    assert recorded.get(replace(record.cell, level=0.5)) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b"[]", b'{"schema": 99}', b"[" * 100_000])
def test_a_damaged_record_is_noted_and_measured_again(
    damage: bytes, results: Results, record: Record, tmp_path: Path
) -> None:
    path = results.put(record)
    path.write_bytes(damage)
    assert results.get(record.cell, record.identity) is None
    (noted,) = results.damaged
    assert str(noted).startswith(f"evaluation/{path.name}: expected a record, found ")
    assert str(noted).endswith("it counts as missing")
    assert "\n" not in str(noted)
    results.put(record)
    assert results.get(record.cell, record.identity) == record
    recorded = Recorded(tmp_path / "recorded")
    recorded.put(record)
    recorded.path(record.cell).with_name("a.json").write_bytes(damage)
    assert list(recorded.all()) == [record]
    assert len(recorded.damaged) == 1


def test_a_truncated_record_is_damaged_wherever_it_was_cut(
    results: Results, record: Record
) -> None:
    path, whole = results.put(record), encode(record).encode()
    for length in range(0, len(whole) - 2, 37):
        path.write_bytes(whole[:length])
        assert results.get(record.cell, record.identity) is None


def test_what_could_not_be_read_is_set_aside_and_its_neighbours_stay(
    results: Results, record: Record
) -> None:
    path = results.put(record)
    other = replace(record, cell=replace(record.cell, level=0.5))
    results.put(other)
    digit = path.read_bytes().replace(b'"references": [0,', b'"references": [1,')
    assert digit != path.read_bytes()
    path.write_bytes(digit)
    assert results.get(record.cell, record.identity) is None
    assert "bytes that are not those its checksum is of" in str(*results.damaged)
    results.put(record)
    assert results.get(record.cell, record.identity) == record
    assert results.get(other.cell, other.identity) == other
    assert path.with_suffix(".damaged").read_bytes() == digit
    results.put(replace(record, provenance=replace(PROVENANCE, seconds=3.0)))
    assert path.with_suffix(".damaged").read_bytes() == digit, "a good record is replaced"


def test_a_folder_in_a_records_place_is_set_aside_like_any_damage(
    results: Results, record: Record
) -> None:
    path = results.path(record.cell, record.identity)
    (path / "inside").mkdir(parents=True)
    assert results.get(record.cell, record.identity) is None
    assert "found what cannot be read (Is a directory)" in str(*results.damaged)
    results.put(record)
    assert results.get(record.cell, record.identity) == record
    assert (path.with_suffix(".damaged") / "inside").is_dir()


def test_a_memory_that_cannot_be_written_down_is_no_failure(
    results: Results, record: Record
) -> None:
    (results.folder / "sound.json").mkdir(parents=True)
    results.put(record)
    assert results.find(record.cell, record.identity)
    results.sound.save()
    assert {path.name for path in results.folder.iterdir()} == {"sound.json", "records"}


def test_a_newer_versions_record_is_refused_by_name_and_kept(
    results: Results, record: Record
) -> None:
    path = results.put(record)
    newer = path.read_bytes().replace(b'"schema": 2', b'"schema": 3')
    path.write_bytes(newer)
    assert results.get(record.cell, record.identity) is None
    assert "found schema 3, written by a newer version" in str(*results.damaged)
    results.put(record)
    assert path.with_suffix(".damaged").read_bytes() == newer


def test_a_record_of_the_schema_without_checksums_is_still_read(
    record: Record, tmp_path: Path
) -> None:
    recorded = Recorded(tmp_path / "recorded")
    document = {**json.loads(encode(record)), "schema": 1}
    del document["checksum"]
    path = recorded.put(record)
    path.write_text(json.dumps(document))
    assert recorded.get(record.cell) == record


LONG = ("/models/" + "x" * 292, "y" * 250 + "one", "y" * 250 + "two", "é" * 300, "模型")


def test_the_longest_names_give_short_files_that_differ(
    results: Results, record: Record, tmp_path: Path
) -> None:
    recorded = Recorded(tmp_path / "recorded")
    for name in LONG:
        task = replace(record, cell=replace(record.cell, task=name))
        model = replace(record, cell=replace(record.cell, model=name))
        for path in (results.put(task), recorded.put(model)):
            assert len(path.name.encode()) <= 120
    for folder in (results.folder, recorded.folder):
        assert len(list(folder.rglob("*.json"))) == 5
    for name in LONG:
        assert results.get(replace(record.cell, task=name), record.identity).cell.task == name
        assert recorded.get(replace(record.cell, model=name)).cell.model == name


def test_another_title_of_the_same_model_is_the_same_question(
    results: Results, record: Record
) -> None:
    results.put(record)
    renamed = replace(record.cell, model="GPT-2, the smallest")
    assert results.get(renamed, record.identity) == replace(record, cell=renamed)


@pytest.mark.parametrize("change", [{"level": 0.5}, {"task": "plays"}, {"model": "BERT"}])
def test_a_record_of_another_question_under_this_ones_name_is_damage(
    change: dict[str, object], results: Results, record: Record, tmp_path: Path
) -> None:
    other, recorded = replace(record.cell, **change), Recorded(tmp_path / "recorded")
    recorded.put(record).rename(recorded.path(other))
    assert recorded.get(other) is None
    if "model" not in change:  # whose title is free here
        results.put(record).rename(results.path(other, record.identity))
        assert results.get(other, record.identity) is None
    for noted in (*recorded.damaged, *results.damaged):
        assert "found the answer to another question" in str(noted)
    assert len(recorded.damaged) == 1


def test_a_file_is_decoded_once_and_again_when_its_bytes_change(
    results: Results, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = results.put(record)
    assert results.find(record.cell, record.identity)
    results.sound.save()
    later = Results(results.folder)
    decoded: list[bytes] = []
    monkeypatch.setattr(store, "decode", lambda text: decoded.append(text) or decode(text))
    found = later.find(record.cell, record.identity)
    assert (decoded, found.digest) == ([], hashlib.sha256(path.read_bytes()).hexdigest())
    assert found.record == record
    assert decoded == [path.read_bytes()]
    slower = replace(record, provenance=replace(PROVENANCE, seconds=2.0))
    path.write_text(encode(slower))
    assert later.get(record.cell, record.identity).provenance.seconds == 2.0
    path.write_bytes(path.read_bytes()[:-9])
    assert later.find(record.cell, record.identity) is None
    assert len(later.damaged) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"evaluation/NAME": 3}'])
def test_what_was_decoded_is_decoded_again_where_the_memory_of_it_is_damaged(
    content: str, results: Results, record: Record
) -> None:
    path = results.put(record)
    path.write_bytes(b"{}")
    (results.folder / "sound.json").write_text(content.replace("NAME", path.name))
    assert Results(results.folder).find(record.cell, record.identity) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("../../etc/passwd", "etc-passwd"), ("a|b  C", "a-b-c"), ("...", "unnamed"), ("", "unnamed"),
     ("caf\udce9", "caf"), ("GPT-2 XL", "gpt-2-xl"), ("0.5", "0.5")],
)  # fmt: skip
def test_a_slug_is_safe_in_a_file_name(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_every_part_of_a_question_is_in_its_file_name() -> None:
    cell = Cell(kind="comparison", model="m", task="t", method="random", level=0.5, seed=2)
    changes = [{"model": "n"}, {"task": "u"}, {"method": "magnitude"}, {"level": 0.9}, {"seed": None},
               {"against": "dense"}, {"kind": "evaluation"}]  # fmt: skip
    names = {file_name(replace(cell, **change), {}) for change in [{}, *changes]}
    assert len(names) == 8


def test_the_same_bytes_are_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert replace_if_changed(path, b"one")
    before = path.stat()
    assert not replace_if_changed(path, b"one")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert replace_if_changed(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("failing", ["replace", "fsync", "chmod"])
def test_a_write_that_fails_leaves_the_old_file_alone(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace_if_changed(path, b"old")

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "disk full", ".xyz.partial")

    monkeypatch.setattr(store.os, failing, fails)
    with pytest.raises(ReportError, match=f"^{path}: expected room for 3 bytes, no space left"):
        replace_if_changed(path, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]


WRITER = """
import sys
from pathlib import Path
from experiments.records.store import replace_if_changed
path, contents = Path(sys.argv[1]), [letter * 3_000_000 for letter in (b"a", b"b")]
print("ready", flush=True)
while True:
    for content in contents:
        replace_if_changed(path, content)
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path, moments = tmp_path / "file", random.Random(0)
    whole = {letter * 3_000_000 for letter in (b"a", b"b")}
    for _ in range(int(os.environ.get("KILLS", "12"))):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, path],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        writer.stdout.readline()
        time.sleep(moments.uniform(0.005, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert not path.exists() or path.read_bytes() in whole
    assert path.exists(), "the writer must have come to write"
    left = [each.name for each in tmp_path.iterdir() if each != path]
    assert all(name.startswith(".") and name.endswith(".partial") for name in left)


def test_what_a_killed_process_left_half_written_is_swept_and_no_other(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    folder = tmp_path / "inspection"
    folder.mkdir()
    kept = [f".{os.getpid()}-a.partial", f"{ended.pid}-a.partial", ".mine-a.partial", ".1-a.json"]
    for name in (f".{ended.pid}-a.partial", *kept):
        (folder / name).write_text("half")
    store.sweep(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == sorted(kept)


def test_records_are_text_a_person_can_read(results: Results, record: Record) -> None:
    text = results.put(record).read_text()
    assert '\n  "references": [0, 1, 1],\n' in text
    assert json.loads(text)["cell"]["model"] == "GPT-2"
