"""The command line: the contract other programs rely on, on a tiny model and a tiny study."""

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from conftest import build_tiny_model, tiny_tokenizer

from experiments import questions, run
from experiments.record_json import decode
from experiments.store import Recorded
from experiments.study import DEFAULT_LEVELS
from generator import cli
from generator.pages.table import PAGES

ROOT = Path(__file__).parent.parent
SENTENCES = """sentence\tlabel
a good film\tpositive
a bad film\tnegative
it is fine\tpositive
it is dull\tnegative
a very good film\tpositive
it is not good\tnegative
"""
STUDY = """
title = "A tiny study"
levels = [0.5]
methods = ["magnitude"]

[[model]]
name = "Tiny"
family = "decoder-only"
checkpoint = "tiny"
tasks = { tickets = "tiny" }

[[model]]
name = "Huge"
family = "decoder-only"
checkpoint = "nobody/huge"
measure = "later"
why = "it is too large"

[[task]]
name = "tickets"
file = "tickets.tsv"
metric = "mcc"
"""


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document; anything else on it is an error."""
        return json.loads(self.out, parse_constant=self._no_constant)

    @staticmethod
    def _no_constant(name: str) -> None:
        raise AssertionError(f"{name} in JSON")

    @property
    def line(self) -> str:
        """The one line of an error, and nothing else anywhere."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        return line


Gen = Callable[..., Done]


@pytest.fixture
def gen(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gen:
    """Runs `gen` in this process, as its entry point does."""

    def call(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["gen", *map(str, words)])
        capfd.readouterr()
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else -1
        return Done(status, *capfd.readouterr())

    return call


def outside(*words: object, cwd: Path, **settings: str) -> Done:
    """Runs `gen` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", "from generator.cli import main; main()", *map(str, words)],
        cwd=cwd, capture_output=True, text=True, check=False, env=os.environ | settings,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def imported(*words: object, cwd: Path, missing: tuple[str, ...] = ()) -> tuple[Done, set[str]]:
    """Runs `gen` in a process of its own where some packages are missing; what it had imported."""
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name.split('.')[0] in {missing!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from generator.cli import main\n"
        "try: main()\n"
        "finally: print('imported:', *(n for n, m in sys.modules.items() if m), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told, _, names = done.stderr.rpartition("imported:")
    return Done(done.returncode, done.stdout, told), set(names.split())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny GPT-2, a file of sentences, and a study of both; to be copied."""
    folder = tmp_path_factory.mktemp("cli")
    build_tiny_model("GPT-2", n_positions=64).save_pretrained(folder / "tiny")
    tiny_tokenizer().save_pretrained(folder / "tiny")
    (folder / "tickets.tsv").write_text(SENTENCES)
    (folder / "report.toml").write_text(STUDY)
    return folder


@pytest.fixture
def here(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, in which commands run."""
    folder = tmp_path / "here"
    shutil.copytree(source, folder)
    monkeypatch.chdir(folder)
    return folder


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
    monkeypatch.setattr(run, "ProcessPoolExecutor", _Here)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ---- what there is ----------------------------------------------------------------------------

CONTRACT = {
    "build": "study docs results recorded fresh jobs dry-run open",
    "inspect": "threshold json",
    "prune": "level method scope pattern include format seed out force json",
    "unpack": "out force json",
    "evaluate": "task glue data text label metric limit against batch dtype path json",
    "finetune": "task glue epochs rate batch limit lora seed out force json",
    "latency": "level batch tokens threads json",
    "footprint": "level json",
    "list": "",
    "status": "study",
    "record": "study",
}
HEAVY = {"torch", "transformers", "matplotlib", "numpy", "scipy", "pyarrow", "jinja2", "mkdocs"}


@pytest.mark.parametrize("command", CONTRACT)
def test_every_command_of_the_contract_has_its_options_and_explains_each(command: str) -> None:
    made = cli.gen.commands[command]
    options = {name for p in made.params for name in p.opts if isinstance(p, click.Option)}
    assert options >= {f"--{name}" for name in CONTRACT[command].split()}
    assert made.help


def test_the_levels_that_help_names_are_those_taken() -> None:
    assert f"[default: {' '.join(f'{level:g}' for level in DEFAULT_LEVELS)}]" == cli.DEFAULTS


def test_the_contract_names_every_command() -> None:
    assert set(cli.gen.commands) == set(CONTRACT)


@pytest.mark.parametrize("words", [(), ("--help",), ("--version",), ("build", "--help")])
def test_help_imports_nothing_heavy(words: tuple[str, ...], tmp_path: Path) -> None:
    done, modules = imported(*words, cwd=tmp_path)
    assert done.status == (0 if words else 2)
    assert not HEAVY & modules
    assert "generator.cli" in modules


def test_every_command_has_a_help_that_fits_a_terminal(gen: Gen) -> None:
    for command in CONTRACT:
        done = gen(command, "--help")
        assert (done.status, done.err) == (0, "")
        assert all(len(line) <= 100 for line in done.out.splitlines())


def test_lists_name_what_there_is(gen: Gen) -> None:
    assert [row["name"] for row in gen("list", "pages", "--json").json] == [p.name for p in PAGES]
    assert [row["name"] for row in gen("list", "methods", "--json").json] == ["magnitude", "random"]
    assert {"reviews", "acceptability"} <= {r["name"] for r in gen("list", "tasks", "--json").json}
    for what in ("models", "methods", "tasks", "pages"):
        lines = gen("list", what).out.splitlines()
        rows = gen("list", what, "--json").json
        assert len(lines) == len(rows) + 1
        assert all(str(row["name"]) in line for row, line in zip(rows, lines[1:]))


# ---- answers ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_inspect_prints_the_contract_s_keys_in_one_document(gen: Gen, here: Path) -> None:
    done = gen("inspect", "tiny", "--threshold", "0.01", "--threshold", "0.1", "--json")
    size = (here / "tiny/model.safetensors").stat().st_size
    told = f"reading 8,288 numbers in 29 tensors, {size:,} bytes"
    assert (done.status, done.err.splitlines()) == (0, [told])
    answer = done.json
    assert set(answer) >= {"tensors", "totals"}
    assert set(answer["totals"]) == {
        "prunable", "all_weights", "parameters", "parameters_deduplicated", "integer",
    }  # fmt: skip
    assert all(set(total) == {"count", "zeros"} for total in answer["totals"].values())
    # Two GPT-2 blocks of width 16: attention 16·48 + 16·16, feed-forward 2·16·64.
    assert answer["totals"]["prunable"]["count"] == 2 * (16 * 48 + 16 * 16 + 2 * 16 * 64)
    for tensor in answer["tensors"]:
        assert set(tensor) >= {
            "name", "shape", "dtype", "role", "prunable", "reason", "count", "zeros", "nan",
            "inf", "near_zero", "l1", "l2", "max",
        }  # fmt: skip
        asked = [near for near in tensor["near_zero"] if near["relative_to"] == "absolute"]
        assert [near["threshold"] for near in asked] == [0.01, 0.1]
        for near in tensor["near_zero"]:
            assert set(near) == {"threshold", "relative_to", "count"}
            assert near["relative_to"] in ("absolute", "rms")


@pytest.mark.usefixtures("here")
def test_inspect_tells_people_of_every_tensor_whether_it_is_prunable_and_why(gen: Gen) -> None:
    answer = gen("inspect", "tiny", "--json").json
    done = gen("inspect", "tiny")
    assert done.status == 0
    for tensor in answer["tensors"]:
        (line,) = [line for line in done.out.splitlines() if line.startswith(tensor["name"] + " ")]
        assert tensor["reason"] in line
        assert ("prunable" if tensor["prunable"] else "skipped") in line


def test_prune_prints_the_contract_s_keys_and_writes_what_it_says(gen: Gen, here: Path) -> None:
    done = gen("prune", "tiny", "--level", "0.3", "--out", "pruned", "--json")
    told = "6,144 prunable weights; writing 33,152 bytes in one file to pruned/"
    assert (done.status, done.err.splitlines()) == (0, [told])
    answer = done.json
    assert set(answer) == {
        "level", "method", "scope", "pattern", "prunable", "zeros", "threshold", "layers", "format",
        "bytes",
    }  # fmt: skip
    assert all(set(layer) == {"name", "count", "zeros"} for layer in answer["layers"])
    assert (answer["level"], answer["method"], answer["scope"]) == (0.3, "magnitude", "global")
    assert answer["zeros"] >= round(0.3 * answer["prunable"])
    assert answer["zeros"] == sum(layer["zeros"] for layer in answer["layers"])
    written = gen("inspect", "pruned", "--json").json
    assert written["totals"]["prunable"]["zeros"] == answer["zeros"]
    assert {path.name for path in here.iterdir()} == {
        "tiny", "pruned", "tickets.tsv", "report.toml",
    }  # fmt: skip


@pytest.mark.usefixtures("here")
def test_a_compact_file_is_written_told_of_answers_alike_and_unpacks_to_the_dense_one(
    gen: Gen, here: Path
) -> None:
    small = gen("prune", "tiny", "--level", "0.9", "--format", "bitmask", "--out", "small")
    assert small.status == 0
    file = here / "small/model.bitmask.safetensors"
    left = 6144 - round(0.9 * 6144)
    lines = small.out.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert f"as bit masks: {6144 // 8 + 4 * left:,} bytes".replace(",", " ") in lines
    assert f"the whole file: {file.stat().st_size:,} bytes".replace(",", " ") in lines
    assert gen("prune", "tiny", "--level", "0.9", "--out", "dense").status == 0
    assert gen("unpack", "small", "--out", "back", "--json").json == {
        "bytes": (here / "dense/model.safetensors").stat().st_size
    }
    for path in (here / "dense").iterdir():
        assert (here / "back" / path.name).read_bytes() == path.read_bytes()
    asked = ("--data", "tickets.tsv", "--json")
    answers = [
        gen("evaluate", name, *asked, *path).json[0]
        for name, path in (("dense", ()), ("small", ()), ("small", ("--path", "sparse")))
    ]
    assert [answer.pop("path") for answer in answers] == ["dense", "dense", "sparse"]
    assert answers[0] == answers[1] == answers[2]
    told = gen("evaluate", "small", *asked, "--path", "sparse").err
    assert "linear maps are faster sparse, any others stay dense" in told
    before, after = map(
        float, re.findall(r"together they took (.*) ms in a trial, now (.*) ms", told)[0]
    )
    assert 0 < after <= before
    again = gen("prune", "small", "--level", "0.5", "--out", "again")
    assert f"{6144 - left:,} of 6,144 prunable weights are zero already" in again.err
    refused = gen("unpack", "tiny", "--out", "other")
    assert refused.status == 1
    assert "expected a checkpoint of bit masks, found none" in refused.err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("pattern", "level"), [("1:4", 0.75), ("3:4", 0.25), ("2:4", 0.5)])
def test_n_of_a_pattern_is_the_number_kept(gen: Gen, pattern: str, level: float) -> None:
    answer = gen("prune", "tiny", "--pattern", pattern, "--out", "pruned", "--json").json
    assert answer["level"] == level
    assert answer["zeros"] >= level * answer["prunable"]
    assert answer["threshold"] is None


EVALUATION = {
    "task", "split", "n", "metric", "value", "interval", "accuracy", "answered_by",
    "constant_prediction", "majority", "not_a_label", "truncated",
}  # fmt: skip


@pytest.mark.usefixtures("here")
def test_evaluate_prints_the_contract_s_keys_in_one_document(gen: Gen) -> None:
    done = gen("evaluate", "tiny", "--data", "tickets.tsv", "--metric", "mcc", "--json")
    assert (done.status, done.err) == (0, "")
    (row,) = done.json
    assert set(row) >= EVALUATION
    assert not {"difference", "difference_interval"} & set(row)
    assert (row["task"], row["n"], row["metric"], row["majority"]) == ("tickets", 6, "mcc", 0.5)


def test_evaluate_foretells_a_text_and_holds_it_against_another(gen: Gen, here: Path) -> None:
    build_tiny_model("GPT-2 with its language head").save_pretrained(here / "causal")
    tiny_tokenizer().save_pretrained(here / "causal")
    (here / "story.txt").write_text("a film is good it is fine " * 20)
    assert gen("prune", "causal", "--level", "0.5", "--out", "half").status == 0
    words = ("evaluate", "half", "--data", "story.txt", "--against", "causal")
    (row,) = gen(*words, "--json").json
    assert set(row) >= EVALUATION | {"difference", "difference_interval", "ratio", "ratio_interval"}
    assert (row["task"], row["metric"], row["n"], row["accuracy"]) == (
        "story",
        "perplexity",
        140,
        None,
    )
    assert row["interval"][0] <= row["value"] <= row["interval"][1]
    told = gen(*words).out
    assert "story, evaluation, 140 tokens: perplexity " in told
    assert " times the other model's [" in told
    assert gen(*words, "--metric", "mcc").status == 2


@pytest.mark.usefixtures("here")
def test_evaluate_reads_glue_from_a_folder(
    gen: Gen, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "SST-2").mkdir()
    (here / "SST-2" / "dev.tsv").write_text("sentence\tlabel\na good film \t1\na bad film \t0\n")
    (row,) = gen("evaluate", "tiny", "--task", "sst2", "--glue", ".", "--json").json
    assert (row["task"], row["split"], row["n"], row["majority"]) == ("sst2", "validation", 2, 0.5)
    monkeypatch.setenv("GLUE_DIR", str(here))
    done = gen("evaluate", "tiny", "--task", "cola")
    assert done.status == 1
    assert "expected a file CoLA/dev.tsv; check --glue or GLUE_DIR" in done.err


@pytest.mark.usefixtures("here")
def test_evaluate_in_bfloat16_or_says_why_not(gen: Gen, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("evaluate", "tiny", "--data", "tickets.tsv", "--dtype", "bfloat16")
    monkeypatch.setattr("experiments.devices.has_bfloat16", lambda: True)
    assert gen(*words, "--json").json[0]["n"] == 6
    monkeypatch.setattr("experiments.devices.has_bfloat16", lambda: False)
    done = gen(*words)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "--dtype bfloat16: expected a processor or GPU that has its products" in done.err


def test_finetune_writes_a_checkpoint_that_answers_the_task(gen: Gen, here: Path) -> None:
    (here / "CoLA").mkdir()
    rows = "".join(f"own\t{at % 2}\t\tit is {('bad', 'good')[at % 2]}\n" for at in range(40))
    for split in ("train", "dev"):
        (here / "CoLA" / f"{split}.tsv").write_text(rows)
    words = ("--task", "cola", "--glue", ".", "--epochs", "8", "--rate", "0.01", "--batch", "8")
    done = gen("finetune", "tiny", *words, "--out", "trained")
    assert (done.status, done.out.splitlines()[-1]) == (0, "written to trained/")
    assert done.out.startswith("tiny on 40 examples of cola, 8 epochs, mean loss ")
    assert "step 40 of 40, loss " in done.err
    (row,) = gen("evaluate", "trained", "--task", "cola", "--glue", ".", "--json").json
    assert (row["metric"], row["value"], row["label_mapping"]) == ("mcc", 1.0, "by name")
    again = gen("finetune", "tiny", *words, "--out", "trained")
    assert (again.status, "add --force" in again.err) == (1, True)
    assert gen("finetune", "tiny", "--task", "perplexity", "--out", "x").status == 1
    assert gen("finetune", "tiny", "--task", "cola", "--out", "x", "--rate", "2").status == 2


def test_evaluate_holds_a_pruned_copy_against_the_dense_one(gen: Gen, here: Path) -> None:
    assert gen("prune", "tiny", "--level", "1", "--out", "empty").status == 0
    words = ("--data", "tickets.tsv", "--limit", "4", "--against", "tiny")
    (row,) = gen("evaluate", "empty", *words, "--metric", "mcc", "--json").json
    assert set(row) >= EVALUATION | {"difference", "difference_interval"}
    assert row["n"] == 4
    assert row["constant_prediction"]
    assert (row["value"], row["interval"]) == (0, None)
    told = gen("evaluate", "empty", *words)
    assert told.status == 0
    assert "one answer to everything" in told.out
    assert "difference" in told.out
    assert (here / "empty/config.json").is_file()


@pytest.mark.usefixtures("here")
def test_evaluate_takes_several_tasks_and_no_task_is_wrong_usage(gen: Gen) -> None:
    words = ("--task", "reviews", "--data", "tickets.tsv", "--limit", "4")
    done = gen("evaluate", "tiny", *words, "--json")
    assert [(row["task"], row["n"]) for row in done.json] == [("reviews", 4), ("tickets", 4)]
    assert gen("evaluate", "tiny").status == 2


@pytest.mark.usefixtures("here")
def test_latency_prints_the_contract_s_keys_in_one_document(gen: Gen) -> None:
    words = ("--level", "0.5", "--batch", "1", "--tokens", "4", "--threads", "1", "--json")
    done = gen("latency", "tiny", *words)
    assert done.status == 0
    assert "linear maps sparse" in done.err
    assert "not timed: 2:4: it needs a GPU" in done.err
    assert [(row["level"], row["path"]) for row in done.json] == [
        (0, "dense"), (0.5, "masked"), (0.5, "sparse"),
    ]  # fmt: skip
    for row in done.json:
        assert set(row) >= {
            "level", "path", "batch", "tokens", "threads", "cold_ms", "median_ms", "p10_ms",
            "p90_ms", "ratio", "ratio_interval", "max_abs_difference",
        }  # fmt: skip
        assert row["path"] in ("dense", "masked", "sparse")
        assert (row["batch"], row["tokens"], row["threads"]) == (1, 4, 1)


@pytest.mark.usefixtures("here")
def test_footprint_prints_the_contract_s_keys_in_one_document(gen: Gen) -> None:
    done = gen("footprint", "tiny", "--level", "0.5", "--json")
    assert done.status == 0
    assert "bitmask of F32 pays once 3.1 % of the prunable weights are zero" in done.err
    for row in done.json:
        assert set(row) >= {"level", "format", "dtype", "of", "bytes", "ratio"}
        assert row["format"] in ("dense", "gzip", "zstd", "bitmask", "csr32", "csr64")
        assert row["of"] in ("file", "prunable")
        assert isinstance(row["bytes"], int)
    dense = [row for row in done.json if (row["of"], row["format"]) == ("file", "dense")]
    assert len({(row["dtype"], row["bytes"]) for row in dense}) == 2  # as stored, and rounded


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "words",
    [
        ("latency", "tiny", "--level", "0.5", "--batch", "1", "--tokens", "4", "--threads", "1"),
        ("footprint", "tiny", "--level", "0.5"),
        ("prune", "tiny", "--level", "0.5", "--out", "pruned"),
        ("status",),
    ],
)
def test_answers_for_people_are_lines_without_none_or_nan(gen: Gen, words: tuple[str, ...]) -> None:
    done = gen(*words)
    assert done.status == 0
    assert done.out.strip()
    assert "None" not in done.out
    assert "nan" not in done.out


def test_a_model_without_prunable_weights_is_told_in_one_line(gen: Gen, here: Path) -> None:
    build_tiny_model("GPT-2", n_layer=0).save_pretrained(here / "shallow")
    assert gen("inspect", "shallow").status == 0
    assert gen("inspect", "shallow", "--json").json["totals"]["prunable"] == {
        "count": 0,
        "zeros": 0,
    }
    for command in (("prune", "shallow", "--level", "0.5", "--out", "x"), ("footprint", "shallow")):
        done = gen(*command)
        assert done.status == 1
        assert "prunable" in done.line


# ---- wrong usage, and what failed -------------------------------------------------------------


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
        (("prune", "tiny", "--level", "0.5", "--out", "full"), 1, ["full", "--force"]),
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
    assert told in done.err
    assert "Traceback" not in done.err


def test_force_replaces_a_folder_and_a_failure_leaves_it_whole(
    gen: Gen, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "full").mkdir()
    (here / "full/kept.txt").write_text("x")
    done = gen("prune", "tiny", "--level", "0.5", "--out", "full", "--force")
    assert (done.status, files(here / "full")) == (1, {"kept.txt": b"x"})
    assert "expected a checkpoint to replace" in done.line  # somebody's folder, not ours to empty
    (here / "full/config.json").write_text("{}")
    with monkeypatch.context() as patched:
        patched.setattr("experiments.export._recount", _full_disk)
        done = gen("prune", "tiny", "--level", "0.5", "--out", "full", "--force")
        assert done.status == 1
        assert "No space left" in done.err.splitlines()[-1]
    assert files(here / "full") == {"kept.txt": b"x", "config.json": b"{}"}
    assert not [path for path in here.iterdir() if path.name.startswith(".")]
    assert gen("prune", "tiny", "--level", "0.5", "--out", "full", "--force").status == 0
    assert "kept.txt" not in files(here / "full")


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


def _full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _bug(*_: object, **__: object) -> None:
    raise RuntimeError("two\nlines")


def test_a_traceback_is_shown_only_when_asked_for(
    gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "inspect", _bug)
    done = gen("inspect", "mini/gpt2-reviews")
    assert done.status == 1
    assert done.line.startswith("error: RuntimeError: two lines; ")
    assert "--debug" in done.line
    with pytest.raises(RuntimeError, match="two"):
        gen("--debug", "inspect", "mini/gpt2-reviews")


def test_an_interrupt_is_status_130_and_one_line(gen: Gen, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(questions, "inspect", interrupt)
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


# ---- a study ----------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_measured_and_writes_nothing(gen: Gen, here: Path) -> None:
    before = files(here)
    done = gen("build", "--dry-run")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[-1] == "7 of 7 cells to measure here"
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
    assert len(files(folder / "results/records")) == 7
    assert "Tiny" in (folder / "docs/index.md").read_text()
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
        ("Tiny", 7, 7),
        ("Huge", 0, 0),
    ]
    assert not {"torch", "transformers", "matplotlib"} & modules
    after = files(built)
    after["results/digests.json"] = before["results/digests.json"]  # it knows files by their paths
    assert after == before


def test_a_status_before_any_build_answers_nothing(gen: Gen, here: Path) -> None:
    rows = gen("status", "--json").json
    assert [(row["model"], row["measure"], row["cells"], row["answered"]) for row in rows] == [
        ("Tiny", "here", 7, 0),
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
    assert gen("build", "--dry-run").out.splitlines()[-1] == "3 of 7 cells to measure here"
    done = gen("build")
    assert done.status == 0
    assert files(built / "results/records/inspection") == kept
    assert len(files(built / "results/records/evaluation")) == 4


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.usefixtures("in_process")
def test_a_full_disk_is_one_line_and_earlier_records_are_kept(
    gen: Gen, built: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (gone,) = (built / "results/records/inspection").iterdir()
    gone.unlink()
    before = files(built)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, _full_disk)
        done = gen("build")
    assert done.status == 1
    assert "No space left on device" in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    assert files(built) == before
    assert gen("build").status == 0
    assert set(files(built)) == {*before, str(gone.relative_to(built))}


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


def test_a_recorded_row_without_records_leaves_named_gaps_and_status_3(
    gen: Gen, here: Path
) -> None:
    (here / "report.toml").write_text(
        STUDY.replace('checkpoint = "tiny"', 'checkpoint = "tiny"\nmeasure = "recorded"')
    )
    done = gen("build")
    assert done.status == 3
    gaps = [line for line in done.err.splitlines() if line.startswith("not measured: Tiny, ")]
    assert len(gaps) == 7


def test_one_broken_cell_does_not_end_the_others(gen: Gen, built: Path, in_process: None) -> None:
    (built / "tickets.tsv").write_text("sentence\tlabel\na good film\t-1\n")
    done = gen("build")
    assert done.status == 3
    assert [line for line in done.err.splitlines() if "unlabelled" in line]
    assert "tickets" not in (built / "docs/performance.md").read_text().split("## How")[0]
    assert "Tiny" in (built / "docs/structure.md").read_text()


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
    assert len(files(odd / "results/records")) == 7
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
    assert len(files(built / "recorded")) == 8
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
    assert "numbers recorded elsewhere" in made[0]["models.md"].decode()
    stale = built / "recorded/pruning/stale.json"
    stale.write_bytes(next((built / "recorded/pruning").iterdir()).read_bytes())
    text = json.loads(stale.read_text())
    text["cell"]["model"] = "a row of an earlier study"
    record = decode(json.dumps(text))
    stale.unlink()
    Recorded(built / "recorded").put(record)
    assert gen("record").status == 0
    assert files(built / "recorded") == published  # what no study asks any more is gone


def test_a_study_that_is_not_all_measured_is_published_with_its_gaps_named(
    gen: Gen, built: Path
) -> None:
    for path in (built / "results/records/latency").iterdir():
        path.unlink()
    done = gen("record")
    assert done.status == 3
    assert "not measured: Tiny, latency, magnitude" in done.err
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
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process:
            found.add(int(entry.parent.name))
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


@pytest.fixture
def building(here: Path) -> Iterator[subprocess.Popen[bytes]]:
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
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for workers in /proc")
def test_an_interrupted_build_ends_with_130_and_leaves_no_worker(
    here: Path, building: subprocess.Popen[bytes]
) -> None:
    until(lambda: len(children(building.pid)) >= 3)  # two workers and Python's resource tracker
    workers = children(building.pid)
    os.killpg(building.pid, signal.SIGINT)
    out, err = building.communicate(timeout=60)
    assert (building.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    assert err.splitlines()[-1] == b"interrupted; what was measured is kept"
    until(lambda: not any(alive(worker) for worker in workers))
    assert not list(here.rglob("*.partial"))
    assert not (here / "results/records").exists()  # none of them went on to the end of its work
