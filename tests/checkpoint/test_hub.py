"""The hub path, through the hub's real clients and a small hub on loopback (hub_server.py).

Each call runs in a process of its own: the clients read their environment when they are imported.
"""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import safetensors.numpy
import torch
import yaml
from conftest import SavedModel
from families import build_tiny_model
from hub_server import Hub, serving

LOCATE = """
import hashlib, json, sys
from pathlib import Path
from experiments.checkpoint.locate import locate
from experiments.errors import ReportError, listen
listen(lambda line: print(line, file=sys.stderr))
try:
    checkpoint = locate(sys.argv[1], relative_to=Path())
    digests = {t.name: hashlib.sha256(t.read().tobytes()).hexdigest() for t in checkpoint.tensors()}
    files = [path.name for path in checkpoint.weight_files()]
    print(json.dumps({"revision": checkpoint.revision, "files": files, "digests": digests}))
except ReportError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""
DATA = """
import json, sys
from dataclasses import replace
from experiments.errors import ReportError, listen
from experiments.quality.tasks import hub
from experiments.quality.tasks.located import located
from experiments.quality.tasks.table import task
listen(lambda line: print(line, file=sys.stderr))
try:
    repository, configuration, split = sys.argv[1:]
    asked = located(task("cola"))
    if (repository, configuration, split) != ("nyu-mll/glue", "cola", "validation"):
        asked = replace(asked, file=hub.dataset_file(repository, configuration, split))
    found = asked.load()
    print(json.dumps({"texts": found.texts, "labels": found.labels, "is": found.references}))
except ReportError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""
INSPECT = "from generator.cli import main; main()"
# The clients by themselves wait between tries, for 23 seconds in all.
NEVER_WAIT = """
import time
def wait(seconds): raise SystemExit(f"it waited {seconds} s to try again")
time.sleep = wait
"""
Weights = Mapping[str, Any]


class Done:
    """What a process left."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self) -> Any:
        assert (self.status, self.err) == (0, "")
        return json.loads(self.out)

    @property
    def line(self) -> str:
        """The one line of an error, and nothing else anywhere."""
        assert (self.status, self.out) == (1, "")
        (line,) = self.err.splitlines()
        return line


Ask = Callable[..., Done]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serving(tmp_path / "hub") as hub:
        yield hub


@pytest.fixture
def ask(hub: Hub, tmp_path: Path) -> Ask:
    """Runs a program in a process whose hub is ours and whose cache is the test's own."""
    (tmp_path / "elsewhere").mkdir()

    def call(program: str, *words: str, **settings: str) -> Done:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HF_", "GLUE_")) and not name.lower().endswith("_proxy")
        }
        ours = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "RES_OPTIONS": "attempts:1 timeout:1",  # a machine without a network has no names
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=False, timeout=60,
            env=kept | ours | settings,
        )  # fmt: skip
        return Done(done)

    return call


def nobody() -> str:
    """A hub's address at which none listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def repository(
    hub: Hub, weights: Weights, *, name: str = "org/tiny", revision: str = "main", **files: bytes
) -> Path:
    """A repository of a configuration, weights by their file and other files; its folder."""
    folder = hub.root / "models" / name / revision
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    for file, tensors in weights.items():
        if file.endswith(".safetensors"):
            safetensors.numpy.save_file(tensors, folder / file)
        else:
            torch.save({key: torch.tensor(value) for key, value in tensors.items()}, folder / file)
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_bytes(content)
    return folder


def drawn(seed: int = 0, *names: str) -> dict[str, Any]:
    """Tensors of random numbers."""
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=(8, 16)).astype("f4") for name in names or ("a", "b")}


def digests(*tensors: Weights) -> dict[str, str]:
    """The digest of each tensor's bytes."""
    every = {name: value for each in tensors for name, value in each.items()}
    return {name: hashlib.sha256(every[name].tobytes()).hexdigest() for name in every}


def sharded(hub: Hub, *, holding: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    """A repository whose index names two shards and that holds the first ones of them."""
    shards = {f"model-0000{part}-of-00002.safetensors": drawn(part, f"w{part}") for part in (1, 2)}
    where = {name: file for file, tensors in shards.items() for name in tensors}
    index = json.dumps({"metadata": {}, "weight_map": where}).encode()
    held = dict(list(shards.items())[:holding])
    repository(hub, held, model__safetensors__index__json=index)
    first, second = shards.values()
    return first, second


def test_the_default_branch_is_fetched_once_and_told_by_its_commit(hub: Hub, ask: Ask) -> None:
    companions = {"README__md": b"# A model\n", "bpe__codes": b"a b 1\n"}
    folder = repository(hub, {"model.safetensors": drawn()}, **companions)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    expected = {
        "revision": hub.commit("org/tiny"),
        "files": ["model.safetensors"],
        "digests": digests(drawn()),
    }
    assert ask(LOCATE, "org/tiny").json == expected
    assert hub.fetched("") == {
        "tiny": 1, hub.commit("org/tiny"): 1, "README.md": 1, "bpe.codes": 1, "config.json": 1,
        "model.safetensors": 1,
    }  # fmt: skip
    hub.requests.clear()
    assert ask(LOCATE, "org/tiny").json == expected
    assert hub.requests == {"GET /api/models/org/tiny": 1}


def test_what_was_fetched_is_found_offline_without_one_request(hub: Hub, ask: Ask) -> None:
    repository(hub, {"model.safetensors": drawn()})
    fetched = ask(LOCATE, "org/tiny").json
    hub.requests.clear()
    commit = hub.commit("org/tiny")
    for model in ("org/tiny", "org/tiny@main", f"org/tiny@{commit}"):
        assert ask(LOCATE, model, HF_HUB_OFFLINE="1").json == fetched
    assert not hub.requests


@pytest.mark.parametrize("status", [429, 500, 503, None])
def test_that_the_cache_answers_for_a_hub_that_does_not_is_said(
    status: int | None, hub: Hub, ask: Ask
) -> None:
    repository(hub, {"model.safetensors": drawn()})
    fetched = ask(LOCATE, "org/tiny").json
    if status:
        hub.closed["org/tiny"] = status
    settings = {} if status else {"HF_ENDPOINT": nobody()}
    done = ask(LOCATE, "org/tiny", **settings)
    assert (done.status, json.loads(done.out)) == (0, fetched)
    (line,) = done.err.splitlines()
    why = f"it answered {status}" if status else ".*"
    told = rf"org/tiny: the hub gave no answer \({why}\); taken from its cache, as it was at "
    assert re.fullmatch(told + fetched["revision"], line)


def test_a_revision_is_a_branch_a_tag_or_a_commit_with_weights_of_its_own(
    hub: Hub, ask: Ask
) -> None:
    repository(hub, {"model.safetensors": drawn(0)})
    repository(hub, {"model.safetensors": drawn(1)}, revision="v1.0")
    older = hub.commit("org/tiny", "v1.0")
    assert digests(drawn(0)) != digests(drawn(1))
    for model, offline in (
        (f"org/tiny@{older}", "0"),
        ("org/tiny@v1.0", "0"),
        ("org/tiny@v1.0", "1"),
    ):
        found = ask(LOCATE, model, HF_HUB_OFFLINE=offline).json
        assert (found["revision"], found["digests"]) == (older, digests(drawn(1)))
    assert ask(LOCATE, "org/tiny").json["digests"] == digests(drawn(0))
    assert hub.fetched(".safetensors") == {"model.safetensors": 2}
    line = ask(LOCATE, "org/tiny@v2").line
    assert line.startswith("model 'org/tiny@v2': expected a revision of org/tiny, found none named")


def test_shards_are_fetched_each_once_and_read_by_their_index(hub: Hub, ask: Ask) -> None:
    first, second = sharded(hub)
    found = ask(LOCATE, "org/tiny").json
    assert found["digests"] == digests(first, second)
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert found["files"] == names
    assert hub.fetched(".safetensors") == dict.fromkeys(names, 1)


def test_a_shard_that_is_missing_is_named(hub: Hub, ask: Ask) -> None:
    sharded(hub, holding=1)
    line = ask(LOCATE, "org/tiny").line
    assert line.startswith(
        "model 'org/tiny': expected model-00002-of-00002.safetensors, found none"
    )


def test_a_shard_that_is_listed_and_not_there_is_named(hub: Hub, ask: Ask) -> None:
    sharded(hub)
    hub.missing.add("model-00002-of-00002.safetensors")
    line = ask(LOCATE, "org/tiny").line
    assert line.startswith("model 'org/tiny': expected model-00002-of-00002.safetensors, which its")


def test_safetensors_are_preferred_and_torch_files_left_where_they_are(hub: Hub, ask: Ask) -> None:
    weights = {"model.safetensors": drawn(0), "pytorch_model.bin": drawn(1)}
    repository(hub, weights, tf_model__h5=b"no", model__fp16__safetensors=b"no")
    assert ask(LOCATE, "org/tiny").json["digests"] == digests(drawn(0))
    assert not {"pytorch_model.bin", "tf_model.h5", "model.fp16.safetensors"} & set(hub.fetched(""))


def test_torch_files_are_taken_where_there_are_no_safetensors(hub: Hub, ask: Ask) -> None:
    repository(hub, {"pytorch_model.bin": drawn(3)})
    for offline in ("0", "1"):
        assert ask(LOCATE, "org/tiny", HF_HUB_OFFLINE=offline).json["digests"] == digests(drawn(3))
    assert hub.fetched("tiny") == {"tiny": 1}
    assert hub.fetched(".bin") == {"pytorch_model.bin": 1}


def gguf_file(path: Path, tensors: Weights) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_the_one_gguf_file_of_a_repository_is_taken_and_of_several_none(hub: Hub, ask: Ask) -> None:
    folder = repository(hub, {})
    value = drawn()["a"]
    gguf_file(folder / "tiny-f32.gguf", {"output_norm.weight": value[0]})
    found = ask(LOCATE, "org/tiny").json
    assert found["files"] == ["tiny-f32.gguf"]
    assert list(found["digests"].values()) == [hashlib.sha256(value[0].tobytes()).hexdigest()]
    gguf_file(folder / "tiny-again.gguf", {"output_norm.weight": value[1]})
    hub.requests.clear()
    line = ask(LOCATE, "org/tiny").line
    assert "model 'org/tiny'" in line
    assert "found tiny-again.gguf, tiny-f32.gguf; download the one you mean" in line
    assert hub.requests == {"GET /api/models/org/tiny": 1}


def test_a_repository_without_weights_says_so(hub: Hub, ask: Ask) -> None:
    repository(hub, {}, tf_model__h5=b"no")
    assert "weights, found none in it" in ask(LOCATE, "org/tiny").line


def test_a_transfer_that_breaks_goes_on_where_it_broke(hub: Hub, ask: Ask) -> None:
    repository(hub, {"model.safetensors": drawn()})
    hub.dropped["model.safetensors"] = 1
    done = ask(LOCATE, "org/tiny")
    assert json.loads(done.out)["digests"] == digests(drawn())
    assert hub.fetched(".safetensors") == {"model.safetensors": 2}


def test_half_a_file_is_never_taken_for_a_whole_one_and_the_next_call_completes_it(
    hub: Hub, ask: Ask, tmp_path: Path
) -> None:
    first, second = sharded(hub)
    broken = "model-00002-of-00002.safetensors"
    hub.cut[broken] = 1
    line = ask(LOCATE, "org/tiny").line
    assert line.startswith(
        "model 'org/tiny': expected its files to arrive whole, the transfer broke"
    )
    assert not list((tmp_path / "cache").rglob(broken))
    half = f"org/tiny@{hub.commit('org/tiny')}"
    assert "(only a part of it there)" in ask(LOCATE, half, HF_HUB_OFFLINE="1").line
    assert ask(LOCATE, "org/tiny").json["digests"] == digests(first, second)
    assert hub.fetched(".safetensors") == {"model-00001-of-00002.safetensors": 1, broken: 2}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "open to you, the hub answered 401 (private, gated, or none there); check"),
        (403, "open to you, the hub answered 403 (private, gated, or none there); check"),
        (404, "a repository on the hub, found none of this name; check the spelling"),
        (503, "a hub that answers (it answered 503); check"),
    ],
)
def test_what_a_hub_refuses_is_told_as_it_is(status: int, message: str, hub: Hub, ask: Ask) -> None:
    hub.closed["org/tiny"] = status
    done = ask(NEVER_WAIT + LOCATE, "org/tiny")
    assert done.line.startswith("model 'org/tiny': expected")
    assert message in done.line
    assert hub.requests == {"GET /api/models/org/tiny": 1}


def test_a_repository_of_no_such_name_and_a_gated_one_are_told_apart(hub: Hub, ask: Ask) -> None:
    repository(hub, {"model.safetensors": drawn()})
    hub.gated.add("org/tiny")
    assert "the hub answered 401 (gated); check" in ask(LOCATE, "org/tiny").line
    assert "found none of this name" in ask(LOCATE, "org/other").line


def test_without_a_hub_or_offline_an_unknown_model_is_told_at_once(hub: Hub, ask: Ask) -> None:
    repository(hub, {"model.safetensors": drawn()})
    for settings, reason in (
        ({"HF_ENDPOINT": nobody()}, "Connection refused"),
        ({"HF_ENDPOINT": "http://hub.invalid"}, ""),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    ):
        done = ask(NEVER_WAIT + LOCATE, "org/tiny", **settings)
        assert done.line.startswith("model 'org/tiny': expected a local folder or file, the repo")
        assert "(none there), or a hub that answers" in done.line
        assert reason in done.line
    assert not hub.requests


def test_a_cache_that_cannot_be_written_to_is_read_all_the_same(
    hub: Hub, ask: Ask, tmp_path: Path
) -> None:
    repository(hub, {"model.safetensors": drawn()})
    fetched = ask(LOCATE, "org/tiny").json
    refs = tmp_path / "cache" / "hub" / "models--org--tiny" / "refs"
    shutil.rmtree(refs)
    refs.touch()  # no name can be noted in it
    assert ask(LOCATE, "org/tiny").json == fetched


def test_what_answers_and_is_no_hub_is_told_so(hub: Hub, ask: Ask) -> None:
    hub.page = b"<html>Sign in to use this network.</html>"
    for program, words in ((LOCATE, ["org/tiny"]), (DATA, [GLUE, "cola", "validation"])):
        assert "a hub that answers (what answered is no hub); " in ask(program, *words).line


def test_a_revision_that_leads_out_of_the_cache_is_no_hub_id(hub: Hub, ask: Ask) -> None:
    assert "a hub id org/name" in ask(LOCATE, "org/tiny@../../main").line
    assert not hub.requests


def test_gen_inspects_a_sharded_model_of_the_hub(
    hub: Hub, ask: Ask, save_tiny_model: SavedModel
) -> None:
    model = build_tiny_model("BERT")
    folder = save_tiny_model(hub.root / "models" / "org" / "tiny" / "main", "BERT")
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="10KB")
    shards = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(shards) > 1
    found = json.loads(ask(INSPECT, "inspect", "org/tiny", "--json").out)
    assert found["totals"]["parameters"]["count"] == sum(
        parameter.numel() for parameter in model.parameters()
    )
    assert hub.fetched(".safetensors") == dict.fromkeys(shards, 1)
    hub.requests.clear()
    assert (
        json.loads(ask(INSPECT, "inspect", "org/tiny", "--json", HF_HUB_OFFLINE="1").out) == found
    )
    assert not hub.requests


# --- data sets

SENTENCES = {
    "train": [("The kettle sang all morning.", 1), ("Kettle the sang morning all.", 0)],
    "validation": [
        ("She lent him the blue umbrella.", 1),
        ("She lent the blue him umbrella.", 0),
        ('He said "later" and\tleft.', 1),
    ],
    "test": [("Nobody has judged this sentence.", -1), ("Nor has anybody this one.", -1)],
}
GLUE = "nyu-mll/glue"


LABELS = {"cola": ("unacceptable", "acceptable"), "sst2": ("negative", "positive")}


def glue(hub: Hub) -> None:
    """A data set laid out as GLUE's is: a folder of parquet files a configuration."""
    folder = hub.root / "datasets" / GLUE / "main"
    for configuration in LABELS:
        (folder / configuration).mkdir(parents=True)
        for split, rows in SENTENCES.items():
            texts, answers = zip(*rows)
            columns = {
                "sentence": pa.array(texts),
                "label": pa.array(answers, pa.int64()),
                "idx": pa.array(range(len(rows)), pa.int32()),
            }
            path = folder / configuration / f"{split}-00000-of-00001.parquet"
            pyarrow.parquet.write_table(pa.table(columns), path)
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card())}---\n# GLUE\n")


def card() -> dict[str, Any]:
    """What the front matter of such a data set's card says of its configurations."""
    configs = [
        {
            "config_name": name,
            "data_files": [{"split": split, "path": f"{name}/{split}-*"} for split in SENTENCES],
        }
        for name in LABELS
    ]
    infos = [
        {
            "config_name": name,
            "features": [
                {"name": "sentence", "dtype": "string"},
                {
                    "name": "label",
                    "dtype": {
                        "class_label": {
                            "names": {str(place): label for place, label in enumerate(labels)}
                        }
                    },
                },
                {"name": "idx", "dtype": "int32"},
            ],
        }
        for name, labels in LABELS.items()
    ]
    return {"configs": configs, "dataset_info": infos}


def test_a_split_of_the_hub_becomes_the_texts_and_labels_it_holds(hub: Hub, ask: Ask) -> None:
    glue(hub)
    texts, answers = zip(*SENTENCES["validation"])
    expected = {
        "texts": list(texts), "labels": ["unacceptable", "acceptable"], "is": list(answers),
    }  # fmt: skip
    assert ask(DATA, GLUE, "cola", "validation").json == expected
    hub.requests.clear()
    assert ask(DATA, GLUE, "cola", "validation", HF_HUB_OFFLINE="1").json == expected
    assert not hub.requests
    done = ask(DATA, GLUE, "cola", "validation", HF_ENDPOINT=nobody())
    assert (done.status, json.loads(done.out)) == (0, expected)
    (line,) = done.err.splitlines()
    assert line.startswith(f"data {GLUE} (cola): the hub gave no answer (")
    line = ask(DATA, GLUE, "cola", "test", HF_HUB_OFFLINE="1").line
    assert "glue-test.arrow: expected labels, this split is unlabelled" in line
    line = ask(DATA, GLUE, "cola", "validated", HF_HUB_OFFLINE="1").line
    assert line.startswith(
        f"data {GLUE} (cola): expected a split of train, validation, test, found 'validated'; give"
    )


def test_an_unknown_configuration_and_a_repository_with_code_are_one_line(
    hub: Hub, ask: Ask, tmp_path: Path
) -> None:
    glue(hub)
    ask(DATA, GLUE, "cola", "validation")
    line = ask(DATA, GLUE, "koala", "validation").line
    assert line.startswith(f"data {GLUE} (koala): expected")
    assert "'koala' not found. Available: ['cola', 'sst2']" in line
    script = hub.root / "datasets" / "org" / "scripted" / "main" / "scripted.py"
    script.parent.mkdir(parents=True)
    ran = tmp_path / "ran"
    script.write_text(f"open({str(ran)!r}, 'w')\n")
    line = ask(DATA, "org/scripted", "cola", "validation").line
    assert "scripts are no longer supported" in line
    assert not ran.exists()
    (hub.root / "datasets" / GLUE / "main" / "sst2" / "train-00000-of-00001.parquet").write_bytes(
        b"PAR1"
    )
    line = ask(DATA, GLUE, "sst2", "validation").line
    assert line.startswith(f"data {GLUE} (sst2): expected what `datasets` can load (")
    assert "Parquet file size is 4 bytes" in line


def test_data_that_no_hub_gives_are_told_at_once(hub: Hub, ask: Ask) -> None:
    remedy = "give --glue DIR, or set GLUE_DIR"
    for settings, reason in (
        ({"HF_ENDPOINT": nobody()}, "Connection refused"),
        ({"HF_ENDPOINT": "http://hub.invalid"}, ""),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({}, "it answered 404"),
    ):
        done = ask(NEVER_WAIT + DATA, GLUE, "cola", "validation", **settings)
        start = f"data {GLUE} (cola): expected it in the hub's cache, or a hub that answers ("
        assert done.line.startswith(start)
        assert done.line.endswith(f"{reason}); {remedy}" if reason else f"; {remedy}")
    assert hub.requests == {f"GET /api/datasets/{GLUE}": 1}
