"""Nobody waits for an error: what words, folder, configuration and headers show takes no heavy import."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import files, imported

START = "import sys; print(*sys.modules)"  # what an interpreter holds before it is told anything
READING = {"numpy", "ml_dtypes"}  # what headers of weights take


@pytest.fixture(scope="module")
def light() -> set[str]:
    """The packages that an error may cost: the standard library, ours, and click."""
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    own = {"__main__", "click", "experiments", "generator"}
    return own | set(sys.stdlib_module_names) | packages(done.stdout.split())


def packages(modules: list[str] | set[str]) -> set[str]:
    return {name.split(".")[0] for name in modules}


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("prune", "tiny", "--out", "x"), 2, "no --level"),
        (("prune", "tiny", "--pattern", "3:2", "--out", "x"), 2, "pattern '3:2'"),
        (("prune", "tiny", "--pattern", "2:4", "--level", "0.9", "--out", "x"), 2, "level 0.5"),
        (("prune", "tiny", "--level", "1.5", "--out", "x"), 2, "a level from 0 to 1"),
        (("prune", "tiny", "--level", "1", "--method", "magnitud", "--out", "x"), 2, "'magnitud'"),
        (("prune", "tiny", "--level", "0.5", "--out", "tiny"), 2, "the source"),
        (("prune", "tiny", "--level", "0.5", "--out", "."), 2, "the source"),
        (("prune", "nosuch", "--level", "0.5", "--out", "x"), 1, "model 'nosuch'"),
        (("unpack", "tiny", "--out", "x"), 1, "a checkpoint of bit masks, found none"),
        (("unpack", "tiny", "--out", "tiny"), 2, "the source"),
        (("latency", "tiny", "--threads", "99999"), 2, "--threads 99999: expected at most"),
        (("latency", "nosuch", "--threads", "99999"), 2, "--threads 99999: expected at most"),
        (("latency", "tiny", "--tokens", "8", "--tokens", "65"), 1, "65 tokens: expected at most 64"),
        (("finetune", "tiny", "--task", "reviews", "--out", "tiny"), 2, "the source"),
        (("finetune", "tiny", "--task", "sst2", "--out", "tiny"), 2, "the source"),
        (("finetune", "tiny", "--task", "revews", "--out", "x"), 2, "did you mean reviews?"),
        (("evaluate", "tiny", "--data", "none.tsv"), 1, "none.tsv: expected a labelled file"),
        (("evaluate", "tiny", "--data", "none.txt"), 1, "none.txt: expected a text file"),
        (("evaluate", "tiny", "--data", "tickets.tsv", "--text", "x"), 1, "a column 'x'"),
        (("evaluate", "tiny", "--data", "tickets.tsv", "--metric", "mc"), 2, "did you mean mcc?"),
        (("evaluate", "tiny", "--task", "revews"), 2, "did you mean reviews?"),
        (("evaluate", "tiny"), 2, "give --task NAME or --data FILE"),
        (("evaluate", "nosuch", "--task", "sst2"), 1, "model 'nosuch'"),
        (("evaluate", "tiny", "--task", "sst2", "--against", "nosuch"), 1, "model 'nosuch'"),
        (("inspect", "mini/gpt2-review"), 1, "did you mean mini/gpt2-reviews?"),
        (("inspect", "adapted"), 1, "weights without an adapter beside them"),
        (("inspect", "empty"), 1, "expected model.safetensors or"),
        (("inspect", "unparsed"), 1, "expected JSON"),
        (("footprint", "unparsed"), 1, "expected JSON"),
        (("list", "thing"), 2, "'models', 'methods', 'tasks', 'pages'"),
        (("build", "--study", "none.toml"), 1, "study none.toml: expected a TOML file"),
        (("status", "--study", "none.toml"), 1, "study none.toml: expected a TOML file"),
        (("build", "--recorded", "--fresh"), 2, "--recorded measures nothing"),
        (("prun",), 2, "No such command 'prun'"),
    ],
)  # fmt: skip
def test_an_error_that_nothing_heavy_is_needed_for_imports_nothing_heavy(
    here: Path, light: set[str], words: tuple[str, ...], status: int, told: str
) -> None:
    for name in ("adapted", "unparsed"):
        shutil.copytree(here / "tiny", here / name)
    (here / "adapted/adapter_config.json").write_text("{}")
    (here / "unparsed/config.json").write_text("{")
    (here / "empty").mkdir()
    before = files(here)
    done, modules = imported(*words, cwd=here)
    assert (done.status, done.out) == (status, "")
    assert told in done.line
    assert packages(modules) <= light
    assert files(here) == before


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "cut"),
        ("prune", "cut", "--level", "0.5", "--out", "x"),
        ("evaluate", "cut", "--data", "tickets.tsv"),
        ("evaluate", "tiny", "--data", "tickets.tsv", "--against", "cut"),
        ("evaluate", "cut", "--task", "sst2"),
        ("finetune", "cut", "--task", "sst2", "--out", "x"),
        ("latency", "cut"),
        ("footprint", "cut"),
    ],
)
def test_damaged_headers_are_told_with_what_reads_them_alone(
    here: Path, light: set[str], words: tuple[str, ...]
) -> None:
    shutil.copytree(here / "tiny", here / "cut")
    with (here / "cut/model.safetensors").open("r+b") as file:
        file.truncate(5000)
    done, modules = imported(*words, cwd=here)
    assert done.status == 1
    assert "cut/model.safetensors: expected a safetensors file, found 5000 bytes" in done.line
    assert packages(modules) <= light | READING


@pytest.mark.parametrize("words", [("list", "methods"), ("list", "tasks"), ("list", "models")])
def test_what_there_is_to_name_takes_nothing_heavy(
    tmp_path: Path, light: set[str], words: tuple[str, ...]
) -> None:
    done, modules = imported(*words, cwd=tmp_path)
    assert done.status == 0
    assert packages(modules) <= light
