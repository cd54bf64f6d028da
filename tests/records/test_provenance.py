"""Provenance: digests are of bytes, remembered no longer than they hold, and name no one's folder."""

import hashlib
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.cores import usable_cores
from experiments.records import provenance
from experiments.records.command import command
from experiments.records.provenance import (
    Digests,
    digest_text,
    machine,
    processor,
    today,
    versions,
)

# FIPS 180-4's example: SHA-256 of "abc".
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def no_reading(*_: object) -> None:
    raise AssertionError("the file was read again")


def test_a_digest_is_the_sha_256_of_a_files_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert Digests().file(tmp_path / "file") == digest_text("abc") == ABC


def test_a_file_is_read_once_and_remembered_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, memory = tmp_path / "file", tmp_path / "results" / "digests.json"
    path.write_bytes(b"abc")
    first = Digests(memory)
    first.file(path)
    first.save()
    monkeypatch.setattr(hashlib, "file_digest", no_reading)
    assert first.file(path) == Digests(memory).file(path) == ABC


@pytest.mark.parametrize("change", ["content", "size", "another file"])
def test_a_file_that_changed_is_read_again(change: str, tmp_path: Path) -> None:
    path, digests = tmp_path / "file", Digests()
    path.write_bytes(b"xyz")
    before, status = digests.file(path), path.stat()
    if change == "another file":  # of the same size and time, moved into its place
        (tmp_path / "other").write_bytes(b"abc")
        os.utime(tmp_path / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
        (tmp_path / "other").replace(path)
    else:
        path.write_bytes(b"abc" if change == "content" else b"abcd")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + (change == "content")))
    assert digests.file(path) == hashlib.sha256(path.read_bytes()).hexdigest() != before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"PATH": 3}', '{"PATH": [3, 1, 1]}'])
def test_a_damaged_memory_is_forgotten(content: str, tmp_path: Path) -> None:
    path, memory = tmp_path / "file", tmp_path / "digests.json"
    path.write_bytes(b"abc")
    memory.write_text(content.replace("PATH", str(path.resolve())))
    assert Digests(memory).file(path) == ABC


def test_a_digest_of_files_hangs_on_names_and_bytes_but_not_on_order_or_folder(
    tmp_path: Path,
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one").write_bytes(b"1")
        (tmp_path / folder / "two").write_bytes(b"2")
    one, two = tmp_path / "a" / "one", tmp_path / "a" / "two"
    digests = Digests()
    whole = digests.files([one, two])
    assert digests.files([two, one]) == whole
    assert digests.files([tmp_path / "b" / "two", tmp_path / "b" / "one"]) == whole
    assert digests.files([one]) != whole
    two.rename(tmp_path / "a" / "three")
    assert digests.files([one, tmp_path / "a" / "three"]) != whole
    (tmp_path / "b" / "one").write_bytes(b"2")
    (tmp_path / "b" / "two").write_bytes(b"1")  # the same bytes under exchanged names
    assert digests.files([tmp_path / "b" / "one", tmp_path / "b" / "two"]) != whole


def test_the_date_is_that_of_utc_or_of_the_stubbed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    for epoch, date in (("0", "1970-01-01"), ("1700000000", "2023-11-14")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        assert today() == date
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert len(today()) == len("2026-01-01")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["build", "--jobs", "2"], "gen build --jobs 2"),
        (["inspect", "/home/someone/models/tiny"], "gen inspect tiny"),
        (["prune", "m", "--out=/home/someone/out"], "gen prune m --out=out"),
        (["build", "--docs", "HERE/site/docs"], "gen build --docs site/docs"),
        (["build", "--docs=HERE"], "gen build --docs=."),
        (["inspect", "mini/gpt2-reviews"], "gen inspect mini/gpt2-reviews"),
        (["inspect", "caf\udce9"], "gen inspect caf\ufffd"),
        (["build", "--study", "my files/a.toml"], "gen build --study 'my files/a.toml'"),
        (["inspect", "模型/é"], "gen inspect 模型/é"),
    ],
)
def test_a_command_is_told_without_folders_of_this_machine(words: list[str], expected: str) -> None:
    found = command([word.replace("HERE", str(Path.cwd())) for word in words])
    assert found == expected
    assert found.encode()


def test_a_machine_is_described_without_naming_its_user_or_host() -> None:
    found = vars(machine(3))
    assert set(found) == {"processor", "cores", "threads", "memory_bytes", "system", "gpu"}
    assert (found["threads"], found["cores"] >= 1, found["memory_bytes"] > 2**28) == (3, True, True)
    words = f"{found['processor']} {found['system']}".split()
    assert socket.gethostname() not in words
    assert not any(word.startswith(str(Path.home() / "")) for word in words)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("model name\t: AMD  EPYC\nflags\t: fma avx avx2\n", "AMD EPYC (AVX2)"),
        ("model name\t: AMD EPYC\nflags\t: avx2 avx512f avx512bw\n", "AMD EPYC (AVX-512)"),
        ("model name\t: Old\nflags\t: sse4_2 avx\n", "Old"),
        ("Features\t: fp asimd sve\n", "plain (SVE)"),
        ("", "plain"),
    ],
)
def test_processors_of_one_name_are_told_apart_by_their_vectors(
    told: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "cpuinfo", lambda: told)
    monkeypatch.setattr(platform, "processor", lambda: "plain")
    assert processor() == expected


def test_versions_are_found_without_importing_what_they_are_of() -> None:
    code = (
        "import sys; from experiments.records.provenance import versions; found = versions();"
        "assert 'torch' in found and 'python' in found;"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert set(versions()) <= {"python", *provenance.PACKAGES}


@pytest.mark.parametrize(
    ("content", "cores"),
    [
        ("200000 100000\n", 2),  # a container's quota of two on a host of eight
        ("150000 100000\n", 2),
        ("50000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("max 100000\n", 8),
        ("nonsense", 8),
        (None, 8),
    ],
)
def test_usable_cores_are_those_of_the_containers_quota(
    content: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    if content is not None:
        (tmp_path / "cpu.max").write_text(content)
    assert usable_cores(tmp_path / "cpu.max") == cores
