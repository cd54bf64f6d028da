"""Provenance: digests are of bytes, remembered no longer than they hold, and name no one's folder."""

import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from experiments.errors import ReportError
from experiments.records import provenance
from experiments.records.command import command
from experiments.records.provenance import (
    Digests,
    digest_text,
    gpus,
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
    monkeypatch.setattr(provenance, "YOUNG", -1)
    first = Digests(memory)
    first.file(path)
    first.save()
    monkeypatch.setattr(hashlib, "file_digest", no_reading)
    assert first.file(path) == Digests(memory).file(path) == ABC


def test_a_file_that_was_just_changed_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that ticks every two seconds would give a change right after it the same time."""
    path, digests = tmp_path / "file", Digests()
    path.write_bytes(b"abc")
    change, read = path.stat().st_ctime_ns, []
    monkeypatch.setattr(hashlib, "file_digest", lambda file, _: read.append(1) or sha_of(file))
    for since, times in ((0.1, 1), (1.9, 2), (2.1, 3), (0.0, 3)):
        monkeypatch.setattr(provenance.time, "time_ns", lambda s=since: change + int(s * 1e9))
        assert (digests.file(path), len(read)) == (ABC, times)


def sha_of(file: BinaryIO) -> Any:
    return hashlib.sha256(file.read())


def test_a_file_that_changes_while_it_is_read_has_no_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")

    def overtaken(file: BinaryIO, _: str) -> Any:
        found = sha_of(file)
        path.write_bytes(b"abcd")
        return found

    monkeypatch.setattr(hashlib, "file_digest", overtaken)
    with pytest.raises(ReportError, match="file: expected to stay as it is while it is read"):
        Digests().file(path)


def test_what_is_remembered_is_not_believed_where_all_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "YOUNG", -1)
    path, memory = tmp_path / "file", tmp_path / "digests.json"
    path.write_bytes(b"abc")
    stamp = provenance.stamp_of(path)
    memory.write_text(json.dumps({str(path): [*stamp, "a lie"]}))
    assert Digests(memory).file(path) == "a lie"
    anew = Digests(memory, anew=True)
    assert anew.file(path) == ABC
    anew.save()
    assert Digests(memory).file(path) == ABC


@pytest.mark.parametrize(
    "change", ["content", "content under its old time", "size", "another file"]
)
def test_a_file_that_changed_is_read_again(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "YOUNG", -1)
    path, digests = tmp_path / "file", Digests()
    path.write_bytes(b"xyz")
    before, status = digests.file(path), path.stat()
    if change == "another file":  # of the same size and time, moved into its place
        (tmp_path / "other").write_bytes(b"abc")
        os.utime(tmp_path / "other", ns=(status.st_atime_ns, status.st_mtime_ns))
        (tmp_path / "other").replace(path)
    else:
        time.sleep(0.02)  # a tick of the system's clock, which the change time is told by
        path.write_bytes(b"abcd" if change == "size" else b"abc")
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


@pytest.mark.parametrize("epoch", ["yesterday", "1e9", "99999999999999"])
def test_a_clock_that_is_set_wrongly_is_told(epoch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(ReportError, match=f"SOURCE_DATE_EPOCH={epoch}: expected seconds since"):
        today()


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
        ("model name\t: X\nflags\t: avx2 avx512f avx512_vnni\n", "X (AVX-512, VNNI)"),
        ("model name\t: X\nflags\t: avx2 avx_vnni\n", "X (AVX2, AVX-VNNI)"),
        (
            "model name\t: X\nflags\t: avx512f avx512_vnni avx512_bf16 amx_bf16 amx_tile\n",
            "X (AVX-512, VNNI, BF16, AMX)",
        ),
        (  # Graviton 2 as its kernel tells of it, and a phone with two kinds of cores
            "Features\t: fp asimd asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
            "plain, implementer 0x41, part 0xd0c",
        ),
        (
            "Features\t: fp sve sve2 bf16 i8mm\nCPU implementer\t: 0x41\n"
            "CPU part\t: 0xd81\nCPU part\t: 0xd4d\n",
            "plain, implementer 0x41, part 0xd4d and 0xd81 (SVE2, BF16, I8MM)",
        ),
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


@pytest.fixture(autouse=True)
def unheld(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever instructions the environment of these tests holds libraries to."""
    for name in provenance.HOLDING:
        monkeypatch.delenv(name, raising=False)


def test_libraries_held_to_older_instructions_are_another_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provenance, "cpuinfo", lambda: "model name\t: X\nflags\t: avx2 avx512f\n")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    assert processor() == "X (AVX-512) ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Apple M2 Pro\n", "Apple M2 Pro"),
        (
            "Intel(R) Xeon(R) W-3223 CPU\nFPU SSE4.2 AVX1.0\nAVX2 AVX512F AVX512VNNI\n",
            "Intel(R) Xeon(R) W-3223 CPU (AVX-512)",
        ),
        ("", "arm"),
        (None, "arm"),
    ],
)
def test_a_macs_processor_has_its_own_name(
    told: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every Mac of Apple's own chips calls its processor "arm" where Python asks."""

    def sysctl(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if told is None:
            raise FileNotFoundError(words[0])
        assert words[:3] == ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.CompletedProcess(words, 1, told)  # it has not every name asked for

    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.setattr(subprocess, "run", sysctl)
    monkeypatch.setattr(provenance, "cpuinfo", provenance.cpuinfo.__wrapped__)
    assert processor() == expected


@pytest.mark.parametrize(
    ("models", "visible", "torch", "expected"),
    [
        ([], None, "2.13.0", ""),
        (["NVIDIA H200"], None, "2.13.0", "NVIDIA H200"),
        (["NVIDIA H200"], "0", "2.13.0+cu130", "NVIDIA H200"),
        (["NVIDIA H200", "NVIDIA H200"], None, "2.13.0", "NVIDIA H200, all of 2"),
        (["NVIDIA H200", "Tesla T4"], "1", "2.13.0", "NVIDIA H200 and Tesla T4, 1 of 2"),
        (["NVIDIA H200"], "", "2.13.0", ""),
        (["NVIDIA H200"], "-1", "2.13.0", ""),
        (["NVIDIA H200"], None, "2.13.0+cpu", ""),
    ],
)
def test_gpus_are_those_that_the_driver_tells_of_and_torch_may_see(
    models: list[str],
    visible: str | None,
    torch: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(provenance, "version_of", lambda _: torch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for at, model in enumerate(models):
        (tmp_path / f"0000:{at:02}:00.0").mkdir()
        text = f"Model: \t\t {model}\nIRQ:   \t\t 34\n"
        (tmp_path / f"0000:{at:02}:00.0/information").write_text(text)
    assert gpus.__wrapped__(tmp_path) == expected


def test_versions_are_found_without_importing_what_they_are_of() -> None:
    code = (
        "import sys; from experiments.records.provenance import versions; found = versions();"
        "assert 'torch' in found and 'python' in found;"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert set(versions()) <= {"python", *provenance.PACKAGES}
