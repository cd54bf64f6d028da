"""Damaged and hostile checkpoints: one clear line each, at little cost, with nothing run and nothing lost.

Every refusal goes through the command itself in a process of its own. Limits are of processor time, not of
the clock on the wall, so that a busy machine is no fault.
"""

import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from command import Gen

from experiments.checkpoint.folder import Checkpoint

SECONDS, MEGABYTES = 2.0, 200
COMMAND = """
import atexit, pathlib
status = pathlib.Path("/proc/self/status")
if status.exists():
    atexit.register(lambda: pathlib.Path("status.txt").write_text(status.read_text()))
from generator.cli import main
main()
"""
WEIGHTS = {
    "transformer.h.0.mlp.c_fc.weight": np.ones((4, 16), np.float32),
    "transformer.h.0.mlp.c_proj.weight": np.ones((16, 4), np.float32),
    "transformer.wte.weight": np.ones((8, 4), np.float32),
}


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it cost."""

    status: int
    out: str
    err: str
    seconds: float
    megabytes: float


def alone(folder: Path, *words: str) -> Ended:
    """Run the command in a folder. Its memory is its own: `ru_maxrss` has that of its parent in it."""
    out, err, status_file = (folder / f"{name}.txt" for name in ("out", "err", "status"))
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words],
            stdout=stdout, stderr=stderr, cwd=folder,
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    lines = status_file.read_text().splitlines() if status_file.exists() else []
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    status_file.unlink(missing_ok=True)
    return Ended(
        process.returncode,
        out.read_text(),
        err.read_text(),
        used.ru_utime + used.ru_stime,
        max(kilobytes, default=0) / 1024,
    )


def checkpoint(folder: Path, **config: object) -> Path:
    """A small GPT-2 in a folder `model`."""
    model = folder / "model"
    model.mkdir()
    stated = {"model_type": "gpt2", "architectures": ["GPT2Model"], "n_embd": 4, "n_layer": 1,
              "n_head": 2, "n_positions": 8, "vocab_size": 8}  # fmt: skip
    (model / "config.json").write_text(json.dumps(stated | config))
    safetensors.numpy.save_file(WEIGHTS, model / "model.safetensors", {"format": "pt"})
    return model


Damage = Callable[[Path], object]
HOSTILE: dict[str, tuple[Damage, str]] = {}


def hostile(message: str) -> Callable[[Damage], Damage]:
    """A way to damage a checkpoint, and what its one line has to say."""

    def keep(damage: Damage) -> Damage:
        HOSTILE[damage.__name__.replace("_", " ")] = (damage, message)
        return damage

    return keep


def header_of(path: Path) -> tuple[dict[str, dict[str, object]], bytes]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def rewrite(path: Path, header: object, data: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@hostile(
    "model.safetensors: expected a safetensors file, found 937 bytes where its header says 944"
)
def truncated(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


@hostile("bytes where its header says")
def trailing(model: Path) -> None:
    with (model / "model.safetensors").open("ab") as file:
        file.write(b"more")


@hostile("tensor 'transformer.h.0.mlp.c_fc.weight' at 327, not at 455")
def overlapping(model: Path) -> None:
    header, data = header_of(model / "model.safetensors")
    header["transformer.wte.weight"]["data_offsets"] = [0, 128]
    rewrite(model / "model.safetensors", header, data)


@hostile("a name stands twice")
def duplicated(model: Path) -> None:
    header, data = header_of(model / "model.safetensors")
    text = json.dumps(header)[:-1] + ', "transformer.wte.weight": {}}'
    rewrite(model / "model.safetensors", text.encode(), data)


@hostile("a header of 1000000000000 bytes")
def a_header_longer_than_the_file(model: Path) -> None:
    path = model / "model.safetensors"
    path.write_bytes((10**12).to_bytes(8, "little") + path.read_bytes()[8:])


@hostile("4000000 bytes by its shape, 4 in the file")
def a_shape_beyond_the_data(model: Path) -> None:
    header = {"h.0.w.weight": {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 4]}}
    rewrite(model / "model.safetensors", header, bytes(4))


@hostile("not JSON")
def a_header_nested_a_million_deep(model: Path) -> None:
    rewrite(model / "model.safetensors", b"[" * 1_000_000, b"")


@hostile("Git LFS pointer, not the weights; run git lfs pull")
def a_git_lfs_pointer(model: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548105171\n"
    (model / "model.safetensors").write_text(pointer)


def sharded(model: Path) -> dict[str, str]:
    """The weights in three shards with their index; which tensor lies in which."""
    (model / "model.safetensors").unlink()
    places = {}
    for number, (name, weights) in enumerate(WEIGHTS.items(), 1):
        places[name] = f"model-{number:05}-of-00003.safetensors"
        safetensors.numpy.save_file({name: weights}, model / places[name], {"format": "pt"})
    write_index(model, places)
    return places


def write_index(model: Path, places: dict[str, str]) -> None:
    text = json.dumps({"metadata": {}, "weight_map": places})
    (model / "model.safetensors.index.json").write_text(text)


@hostile("expected model-00002-of-00003.safetensors, found none")
def a_shard_missing(model: Path) -> None:
    sharded(model)
    (model / "model-00002-of-00003.safetensors").unlink()


@hostile("in model-00001-of-00003.safetensors, found it in model-00002-of-00003.safetensors")
def two_shards_swapped(model: Path) -> None:
    sharded(model)
    one, other = (model / f"model-0000{number}-of-00003.safetensors" for number in (1, 2))
    one.rename(model / "aside")
    other.rename(one)
    (model / "aside").rename(other)


@hostile("'transformer.h.0.ln_1.weight' in model-00001-of-00003.safetensors, found it in none")
def a_stale_index(model: Path) -> None:
    places = sharded(model)
    write_index(model, places | {"transformer.h.0.ln_1.weight": min(places.values())})


@hostile("'transformer.wte.weight' in no shard, found it in model-00003-of-00003.safetensors")
def a_tensor_the_index_does_not_name(model: Path) -> None:
    places = sharded(model)
    write_index(model, places | {"transformer.wte.weight": "model-00001-of-00003.safetensors"})
    places.pop("transformer.wte.weight")
    write_index(model, places | {"x": "model-00003-of-00003.safetensors"})
    header, data = header_of(model / "model-00003-of-00003.safetensors")
    header["x"] = {"dtype": "F32", "shape": [0], "data_offsets": [len(data), len(data)]}
    rewrite(model / "model-00003-of-00003.safetensors", header, data)


@pytest.mark.parametrize("name", ["../out.safetensors", "/etc/passwd", "C:\\w.safetensors", ".."])
def test_an_index_that_points_out_of_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    model = checkpoint(tmp_path)
    (model / "model.safetensors").rename(tmp_path / "out.safetensors")
    write_index(model, dict.fromkeys(WEIGHTS, name))
    told_in_one_line(tmp_path, f"shards inside the folder, found {name!r}")


@pytest.mark.parametrize("shared", [False, True])
def test_links_of_the_hub_clients_cache_are_followed(shared: bool, tmp_path: Path) -> None:
    """The client keeps a file among the repository's blobs, or among those that repositories share."""
    repository = tmp_path / "models--nobody--tiny"
    snapshot, blobs = repository / "snapshots" / ("0" * 40), repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    source = checkpoint(tmp_path)
    for path in source.iterdir():
        (blobs / path.name).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    if shared:
        kept = tmp_path / "blobs" / "ab" / ("ab" * 32)
        kept.parent.mkdir(parents=True)
        (blobs / "model.safetensors").rename(kept)
        (blobs / "model.safetensors").symlink_to(kept)
    names = {tensor.name for tensor in Checkpoint("hub", snapshot).check()}
    assert names == {tensor.name for tensor in Checkpoint("own", source).check()}
    assert names


@hostile("weights without an adapter beside them")
def an_adapter_that_would_be_put_on_unseen(model: Path) -> None:
    (model / "adapter_config.json").write_text("{}")


@hostile("found a link that leads out")
def a_link_out_of_the_folder(model: Path) -> None:
    (model / "model.safetensors").rename(model.parent / "elsewhere.safetensors")
    (model / "model.safetensors").symlink_to(model.parent / "elsewhere.safetensors")


@hostile("found a link that leads out")
def a_configuration_that_is_a_link_out(model: Path) -> None:
    (model / "config.json").rename(model.parent / "elsewhere.json")
    (model / "config.json").symlink_to(model.parent / "elsewhere.json")


@hostile("n_layer of at most 3 for 3 stored tensors, found 1000000000")
def a_billion_layers(model: Path) -> None:
    stated = json.loads((model / "config.json").read_text()) | {"n_layer": 10**9}
    (model / "config.json").write_text(json.dumps(stated))


@hostile("it asks to run its own code")
def an_architecture_of_its_own(model: Path) -> None:
    code = f"open({str(model.parent / 'ran')!r}, 'w').close()\nclass Own: pass\n"
    (model / "own.py").write_text(code)
    own = {"model_type": "own", "architectures": ["Own"]}
    mapped = {"auto_map": {"AutoConfig": "own.Own", "AutoModel": "own.Own"}}
    (model / "config.json").write_text(json.dumps(own | mapped))


class Harm:
    """Unpickled, it would leave a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.marker}",)


@hostile("system")
def a_pickle_that_would_run_code(model: Path) -> None:
    (model / "model.safetensors").unlink()
    with zipfile.ZipFile(model / "pytorch_model.bin", "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"w": Harm(model.parent / "ran")}))


@hostile("pytorch_model.bin")
def a_pickle_that_claims_gigabytes(model: Path) -> None:
    (model / "model.safetensors").unlink()
    huge = b"\x80\x02}r" + struct.pack("<I", 0x7FFFFFFF) + b"."
    with zipfile.ZipFile(model / "pytorch_model.bin", "w") as file:
        file.writestr("archive/data.pkl", huge)


@hostile("model.gguf")
def a_gguf_of_absurd_counts(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**62, 2**62) + bytes(64))


INSPECT = ("inspect", "model")
PRUNE = ("prune", "model", "--level", "0.5", "--out", "pruned")


def told_in_one_line(folder: Path, message: str, words: tuple[str, ...] = INSPECT) -> None:
    """The command refuses at once, cheaply, and changes nothing."""
    before = sorted(str(path) for path in folder.rglob("*"))
    ended = alone(folder, *words)
    (line,) = ended.err.splitlines()
    assert (ended.status, ended.out) == (1, "")
    assert message in line, line
    assert "model" in line
    assert ended.seconds < SECONDS
    assert ended.megabytes < MEGABYTES
    left = sorted(str(path) for path in folder.rglob("*"))
    assert [name for name in left if not name.endswith(("out.txt", "err.txt"))] == before


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_damaged_or_hostile_is_told_in_one_line(case: str, tmp_path: Path) -> None:
    damage, message = HOSTILE[case]
    damage(checkpoint(tmp_path))
    told_in_one_line(tmp_path, message)


@pytest.mark.parametrize("case", ["truncated", "a pickle that would run code"])
def test_pruning_refuses_it_too_and_writes_nothing(case: str, tmp_path: Path) -> None:
    damage, message = HOSTILE[case]
    damage(checkpoint(tmp_path))
    told_in_one_line(tmp_path, message, PRUNE)


def test_an_empty_tensor_one_without_dimensions_and_bad_numbers_are_counted(
    gen: Gen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = checkpoint(tmp_path)
    bad = WEIGHTS["transformer.h.0.mlp.c_fc.weight"].copy()
    bad[0, :3] = np.nan, np.inf, -np.inf
    more = {"transformer.h.0.mlp.c_fc.weight": bad, "empty": np.empty((0, 4), np.float32),
            "single": np.array(0.0, np.float32)}  # fmt: skip
    safetensors.numpy.save_file(WEIGHTS | more, model / "model.safetensors", {"format": "pt"})
    ended = gen("inspect", "model", "--json")
    assert ended.status == 0, ended.err
    rows = {row["name"]: row for row in json.loads(ended.out)["tensors"]}
    found = rows["transformer.h.0.mlp.c_fc.weight"]
    assert (found["nan"], found["inf"], found["zeros"], found["l1"]) == (1, 2, 0, 61.0)
    assert (rows["empty"]["count"], rows["single"]["count"], rows["single"]["zeros"]) == (0, 1, 1)
    refused = gen("prune", "model", "--level", "0.5", "--out", "pruned")
    assert refused.status == 1
    assert "tensor h.0.mlp.c_fc.weight: expected finite weights" in refused.err.splitlines()[-1]
    assert not (tmp_path / "pruned").exists()
