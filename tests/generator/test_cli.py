"""What each command answers, on a tiny model: the contract other programs rely on."""

import inspect
import json
import math
import re
from pathlib import Path
from typing import get_args

import click
import pytest
from command import Gen, imported
from conftest import build_tiny_model, tiny_tokenizer

from experiments.pruning.methods.table import METHODS
from experiments.study.reading import DEFAULT_LEVELS
from generator import cli, listing
from generator.commands.cost import DEFAULTS
from generator.pages.table import PAGES
from generator.terminal import Listing

CONTRACT = {
    "build": "study docs results recorded fresh jobs dry-run open",
    "inspect": "threshold json",
    "prune": "level method scope pattern include format seed out force json",
    "unpack": "out force json",
    "evaluate": "task glue data text label metric limit against batch dtype path json",
    "finetune": "task glue epochs rate batch limit lora dense seed out force json",
    "latency": "level batch tokens threads json",
    "footprint": "level json",
    "list": "",
    "status": "study",
    "record": "study",
}
HEAVY = {"torch", "transformers", "matplotlib", "numpy", "scipy", "pyarrow", "jinja2", "mkdocs"}


@pytest.mark.parametrize("command", CONTRACT)
def test_every_command_of_the_contract_has_its_options_and_explains_each(command: str) -> None:
    made = cli.command(command)
    options = {name for p in made.params for name in p.opts if isinstance(p, click.Option)}
    assert options >= {f"--{name}" for name in CONTRACT[command].split()}
    assert made.help


def test_the_levels_that_help_names_are_those_taken() -> None:
    assert f"[default: {' '.join(f'{level:g}' for level in DEFAULT_LEVELS)}]" == DEFAULTS


@pytest.mark.parametrize("name", get_args(Listing))
def test_what_commands_print_for_people_has_a_function_that_makes_its_lines(name: str) -> None:
    made = getattr(listing, name)
    assert inspect.signature(made).return_annotation == list[str]


def test_the_contract_names_every_command_and_help_says_of_each_what_its_docstring_says() -> None:
    assert set(cli.COMMANDS) == set(CONTRACT)
    for name, (_, summary) in cli.COMMANDS.items():
        made = cli.command(name)
        assert (made.name, summary) == (name, (made.help or "").splitlines()[0])


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
    assert [row["name"] for row in gen("list", "methods", "--json").json] == list(METHODS)
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
    told = "6,144 prunable weights; writing 33,152 bytes of tensors in one file to pruned/"
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
    assert "linear maps skip zeros" in told
    before, after = map(
        float, re.findall(r"together they took (.*) ms in a trial, now (.*) ms", told)[0]
    )
    assert 0 < after <= before
    again = gen("prune", "small", "--level", "0.5", "--out", "again")
    assert f"{6144 - left:,} of 6,144 prunable weights are zero already" in again.err
    refused = gen("unpack", "tiny", "--out", "other")
    assert refused.status == 1
    assert "expected a checkpoint of bit masks, found none" in refused.err


def test_maps_that_won_for_nothing_are_said_to_stay_dense(
    here: Path, gen: Gen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every map is the faster sparse, but whole passes are not."""
    monkeypatch.setattr("experiments.speed.sparse_path.WORTH", math.inf)
    monkeypatch.setattr("experiments.speed.sparse_path.PAYS", 0.0)
    assert gen("prune", "tiny", "--level", "0.9", "--out", "pruned").status == 0
    said = gen("evaluate", "pruned", "--data", "tickets.tsv", "--path", "sparse").err
    assert "0 of 8 linear maps skip zeros" in said
    assert "some alone were faster so, but whole passes were not" in said
    assert "not tried sparse" not in said


def test_a_pruned_checkpoint_is_weighed_as_what_it_is(here: Path, gen: Gen) -> None:
    """Level 0 is the checkpoint as it stands, nine tenths of it zero: bit masks are small there already."""
    assert gen("prune", "tiny", "--level", "0.9", "--out", "pruned").status == 0
    done = gen("footprint", "pruned", "--level", "0.5", "--json")
    assert "of 6,144 prunable weights are zero already" in done.err
    assert "level 0 is the checkpoint as it is stored" in done.err
    masked = {row["level"]: row["bytes"] for row in done.json
              if (row["format"], row["of"], row["dtype"]) == ("bitmask", "prunable", "F32")}  # fmt: skip
    assert masked[0.0] == masked[0.5] == 6144 // 8 + 4 * (6144 - round(0.9 * 6144))
    assert "zero already" not in gen("footprint", "tiny", "--level", "0.5").err


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


def test_evaluate_predicts_a_text_and_holds_it_against_another(gen: Gen, here: Path) -> None:
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
    monkeypatch.setattr("experiments.models.devices.has_bfloat16", lambda: True)
    assert gen(*words, "--json").json[0]["n"] == 6
    monkeypatch.setattr("experiments.models.devices.has_bfloat16", lambda: False)
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
    assert (done.status, done.out.splitlines()[-1]) == (
        0,
        "written to trained/; 0 of 6 144 prunable weights were zero, now 0",
    )
    assert done.out.startswith("tiny on 40 examples of cola, 8 epochs, mean loss ")
    assert "step 40 of 40, loss " in done.err
    (row,) = gen("evaluate", "trained", "--task", "cola", "--glue", ".", "--json").json
    assert (row["metric"], row["value"], row["label_mapping"]) == ("mcc", 1.0, "by name")
    again = gen("finetune", "tiny", *words, "--out", "trained")
    assert (again.status, "add --force" in again.err) == (1, True)
    assert gen("finetune", "tiny", "--task", "perplexity", "--out", "x").status == 1
    assert gen("finetune", "tiny", "--task", "cola", "--out", "x", "--rate", "2").status == 2


def test_evaluate_says_how_many_rows_were_left_out_and_which_label_a_number_was_taken_for(
    gen: Gen, here: Path
) -> None:
    config = json.loads((here / "tiny" / "config.json").read_text())
    config |= {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    (here / "tiny" / "config.json").write_text(json.dumps(config | {"label2id": {}}))
    with (here / "tickets.tsv").open("a") as file:
        file.write(" \tpositive\na film\t\n")
    done = gen("evaluate", "tiny", "--data", "tickets.tsv")
    assert "tickets, evaluation, n = 6: " in done.out
    assert "labels matched by order: 0 = negative, 1 = positive\n" in done.out
    assert "caution: 2 rows were left out, without a text or a label" in done.out


def test_a_sample_of_one_label_is_refused_in_one_line(gen: Gen, here: Path) -> None:
    done = gen("evaluate", "tiny", "--data", "tickets.tsv", "--limit", "1")
    assert (done.status, "two labels or more" in done.line) == (1, True)
    (here / "SST-2").mkdir()
    rows = "".join(f"it is good\t{int(at == 0)}\n" for at in range(40))
    (here / "SST-2" / "train.tsv").write_text(f"sentence\tlabel\n{rows}")
    words = ("finetune", "tiny", "--task", "sst2", "--glue", ".", "--out", "x")
    done = gen(*words, "--limit", "3")
    assert (done.status, "drew negative alone; give a higher --limit" in done.line) == (1, True)


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
    for metric in ("accuracy", "mcc"):
        lines = gen("evaluate", "empty", *words, "--metric", metric).out.splitlines()
        (line,) = [one for one in lines if "difference from the other model" in one]
        assert (" points " in line) is (metric == "accuracy")  # a correlation has no unit


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
            "p90_ms", "ratio", "ratio_interval", "limit", "max_abs_difference",
        }  # fmt: skip
        assert row["path"] in ("dense", "masked", "sparse")
        assert (row["batch"], row["tokens"], row["threads"]) == (1, 4, 1)
        assert row["limit"] == (2.0 if row["path"] == "sparse" else 1.0)
    assert "1 × 4: sparse is " in done.err


def test_latency_takes_no_tokenizer(gen: Gen, here: Path) -> None:
    for path in (here / "tiny").glob("tokenizer*"):
        path.unlink()
    words = ("--level", "0.5", "--batch", "1", "--tokens", "4", "--threads", "1", "--json")
    done = gen("latency", "tiny", *words)
    assert (done.status, len(done.json)) == (0, 3)
    refused = gen("evaluate", "tiny", "--data", "tickets.tsv")
    assert (refused.status, "expected a tokenizer beside the weights" in refused.err) == (1, True)


@pytest.mark.usefixtures("here")
def test_what_is_asked_twice_is_answered_once_and_more_threads_than_cores_are_refused(
    gen: Gen,
) -> None:
    twice = ["--level", "0.5"] * 2
    done = gen("latency", "tiny", *twice, *["--batch", "1"] * 2, "--tokens", "4", "--json")
    assert [row["path"] for row in done.json] == ["dense", "masked", "sparse"]
    done = gen("footprint", "tiny", *twice, "--json")
    asked = [(row["level"], row["of"], row["format"], row["dtype"]) for row in done.json]
    assert len(set(asked)) == len(asked)
    done = gen("latency", "tiny", "--threads", "100000")
    assert done.status == 2
    assert "--threads 100000: expected at most" in done.err


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
