"""`gen prune` by what weights multiply: from a checkpoint and a task's training text to a file."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from command import Gen
from families import LONGEST

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.feeding import parted
from experiments.models.opening import open_model
from experiments.pruning.allocation import SPREAD
from experiments.pruning.calibrated import Calibration, memory, solve
from experiments.pruning.choosing import choose, describe
from experiments.pruning.magnitudes import removed_count
from experiments.pruning.settings import Settings
from experiments.pruning.stored_model import StoredModel
from experiments.quality.tasks.table import TASKS, Task
from experiments.quality.windows import by_chance, windows

Saved = Callable[..., Path]
SENTENCES = "sentence\tlabel\n" + "".join(
    f"a {one} {two} film\t{label}\n"
    for one in ("good", "bad", "dull", "fine", "very", "not")
    for two in ("good", "bad", "dull", "fine")
    for label in ("positive", "negative")
)


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task of a few words, whose training sentences stand for those of `reviews`."""
    file = tmp_path / "train.tsv"
    file.write_text(SENTENCES)
    task = replace(TASKS["reviews"], training=file)
    monkeypatch.setitem(TASKS, "reviews", task)
    return replace(task, file=file, split="train")


@pytest.mark.parametrize("family", ["GPT-2", "BERT", "LED"])
@pytest.mark.parametrize("method", ["wanda", "sparsegpt", "alps"])
def test_a_pruned_copy_has_exactly_so_many_zeros_and_loads(
    family: str, method: str, saved: Saved, shown: Task, tmp_path: Path, gen: Gen
) -> None:
    source, out = saved(family), tmp_path / "out"
    done = gen("prune", source, "--level", 0.75, "--method", method, "--calibration", "reviews",
               "--samples", 3, "--out", out, "--json")  # fmt: skip
    assert done.status == 0, done.err
    looked = {"task": "reviews", "split": "train", "samples": 3, "tokens": LONGEST, "seed": 0}
    assert (done.json["calibration"], done.json["repair"]) == (looked, False)
    assert json.loads((out / "pruning.json").read_text())["calibration"] == looked
    assert all(
        round(layer["zeros"] / layer["count"], 9) == 0.75 for layer in done.json["layers"]
    )  # every width here is a multiple of four
    before = {one.entry.name for one in StoredModel(Checkpoint("a", source)).prunable.values()}
    after = open_model(Checkpoint("b", out))
    zeros = {
        name: int((tensor == 0).sum())
        for name, tensor in after.model.named_parameters()
        if name in before
    }
    assert zeros == {layer["name"]: layer["zeros"] for layer in done.json["layers"]}


def test_repair_changes_what_magnitude_keeps_and_not_which(
    saved: Saved, shown: Task, tmp_path: Path
) -> None:
    stored = StoredModel(Checkpoint("a", saved("GPT-2")))
    settings = Settings(repair=True)
    solved = solve(stored, settings, 0.5, Calibration(task=shown, samples=3))
    tensors = list(stored.prunable.values())
    (choice,) = choose(tensors, Settings(), [0.5])
    changed = 0
    for tensor in tensors:
        after = np.concatenate([change.after() for change in solved.blocks(tensor)])
        mask = choice.mask(tensor).reshape(-1)
        assert not after[~mask].any()
        changed += np.count_nonzero(after != choice.after(tensor).reshape(-1))
    assert changed > 0
    assert all(0 <= error < 1 for error in solved.errors.values())


def test_weights_of_16_bits_are_rounded_as_the_file_holds_them(
    saved: Saved, shown: Task, tmp_path: Path, gen: Gen
) -> None:
    source = saved("GPT-2")
    file = source / "model.safetensors"
    halves = {name: one.half() for name, one in safetensors.torch.load_file(file).items()}
    safetensors.torch.save_file(halves, file, {"format": "pt"})
    done = gen("prune", source, "--level", 0.5, "--method", "alps", "--calibration", "reviews",
               "--samples", 3, "--out", tmp_path / "out", "--json")  # fmt: skip
    assert done.status == 0, done.err
    written = safetensors.torch.load_file(tmp_path / "out/model.safetensors")
    assert {one.dtype for one in written.values()} == {torch.float16}
    assert done.json["zeros"] == sum(
        int((written[layer["name"]] == 0).sum()) for layer in done.json["layers"]
    )


def test_a_weight_that_is_no_number_is_refused_by_its_tensor_before_the_model_is_opened(
    saved: Saved, shown: Task, tmp_path: Path, gen: Gen
) -> None:
    source = saved("GPT-2")
    file = source / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    name = next(one for one in weights if one.endswith("h.1.mlp.c_fc.weight"))
    weights[name][2, 3] = float("nan")
    safetensors.torch.save_file(weights, file, {"format": "pt"})
    done = gen("prune", source, "--level", 0.5, "--method", "wanda", "--calibration", "reviews",
               "--samples", 3, "--out", tmp_path / "out")  # fmt: skip
    assert done.status == 1
    assert "h.1.mlp.c_fc.weight" in done.err
    assert "found NaN" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "wanda"], "--method wanda without --calibration"),
        (["--repair"], "--repair without --calibration"),
        (["--calibration", "reviews"], "a method that looks at what weights multiply"),
        (["--method", "alps", "--calibration", "reviews", "--scope", "global"], "layer or row"),
        (["--method", "alps", "--calibration", "reviews", "--include", "head"], "maps of blocks"),
        (["--method", "wanda", "--allocation", "owl"], "--method wanda without --calibration"),
        (["--allocation", "owl", "--calibration", "reviews"], "give --scope layer"),
        (["--allocation", "owl", "--scope", "row"], "--allocation owl without --calibration"),
        (["--method", "wanda", "--allocation", "owl", "--pattern", "2:4"], "one level everywhere"),
        (["--allocation", "best"], "one of arithmetic, error, error-inverse, owl, uniform"),
        (["--method", "wanda", "--calibration", "rewiews"], "did you mean reviews?"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(
    words: list[str], said: str, saved: Saved, tmp_path: Path, gen: Gen
) -> None:
    done = gen("prune", saved("GPT-2"), "--level", 0.5, "--out", tmp_path / "out", *words)
    assert done.status in (1, 2)
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_windows_are_full_the_same_each_time_and_no_more_than_the_text_has(
    saved: Saved, shown: Task
) -> None:
    opened = open_model(Checkpoint("a", saved("GPT-2")))
    some = windows(opened, shown, samples=3, tokens=12)
    assert [len(one.tokens) for one in some] == [12, 12, 12]
    assert windows(opened, shown, samples=3, tokens=12) == some
    assert windows(opened, shown, samples=3, tokens=12, seed=1) != some
    with pytest.raises(ReportError, match=r"at most \d+ windows of 12 tokens"):
        windows(opened, shown, samples=500, tokens=12)


def test_no_window_has_a_sentence_that_is_scored(saved: Saved, shown: Task, tmp_path: Path) -> None:
    opened = open_model(Checkpoint("a", saved("GPT-2")))
    lines = SENTENCES.splitlines(keepends=True)
    scored = tmp_path / "evaluation.tsv"
    scored.write_text("".join(line for line in lines if "good" not in line))
    left = replace(shown, scored=scored)
    allowed = {text for text in left.load().texts if "good" in text}
    words = {word for one in windows(opened, left, samples=2, tokens=12) for word in one.tokens}
    only = opened.tokenizer([" ".join(sorted(allowed))])["input_ids"][0]
    assert words <= set(only)
    scored.write_text(SENTENCES)
    with pytest.raises(ReportError, match="at most 0 windows"):
        windows(opened, left, samples=1, tokens=12)


def test_a_text_that_shares_a_passage_with_what_is_scored_is_refused(
    saved: Saved, tmp_path: Path
) -> None:
    opened = open_model(Checkpoint("a", saved("GPT-2")))
    passage = "a good film is fine and it is dull " * 3
    (tmp_path / "train.txt").write_text(f"{passage}\n\n{'very fine ' * 99}\n")
    (tmp_path / "scored.txt").write_text(f"it is bad\n\n{passage.replace(' it', chr(10) + 'it')}\n")
    task = Task(name="novel", question="?", metric="perplexity", file=tmp_path / "train.txt",
                scored=tmp_path / "scored.txt")  # fmt: skip
    with pytest.raises(ReportError, match=r"found 1 of its passages in scored\.txt"):
        windows(opened, task, samples=1, tokens=12)
    (tmp_path / "scored.txt").write_text("it is bad\n\nvery fine\n")
    assert len(windows(opened, task, samples=1, tokens=12)) == 1


def test_the_novels_chapters_that_are_shown_are_not_those_that_are_scored() -> None:
    novel = TASKS["perplexity"]
    assert novel.file is not None
    assert novel.training is not None
    scored, shown = (path.read_text() for path in (novel.file, novel.training))
    assert [re.findall(r"^Chapter (\d+)$", text, re.M) for text in (scored, shown)] == [
        [str(number) for number in range(1, 5)],
        [str(number) for number in range(5, 25)],
    ]
    assert not set(scored.split("\n\n")) & set(shown.split("\n\n"))


def test_windows_of_a_text_do_not_overlap(saved: Saved, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a good film is fine and it is dull " * 30)
    task = Task(name="novel", question="?", metric="perplexity", file=tmp_path / "text.txt")
    opened = open_model(Checkpoint("a", saved("GPT-2")))
    ((marks, own),) = parted(opened, [task.text_of()])
    room = 10 - len(marks)
    count = len(own) // room
    found = windows(opened, task, samples=count, tokens=10)
    assert [list(one.tokens) for one in found] == [
        marks + own[room * place : room * place + room] for place in by_chance(count, 0)
    ]


def test_memory_is_told_before_the_first_block(
    saved: Saved, shown: Task, tmp_path: Path, gen: Gen
) -> None:
    """Twice the weights, or once with what waits and the largest map's sums, whichever is more."""
    stored = StoredModel(Checkpoint("a", saved("GPT-2")))
    weights = 4 * sum(tensor.count for tensor in stored.tensors)
    some = Calibration(task=shown, samples=100, tokens=512)
    width = min(one.shape[0] for one in stored.prunable.values())  # Conv1D: inputs come first
    waiting = 2 * 4 * 100 * 512 * width
    largest = max(one.count for one in stored.prunable.values())
    few = Calibration(task=shown, samples=1, tokens=1)
    assert memory(stored, Settings(), few) == max(
        2 * weights, weights + 8 * width + 8 * 3 * largest
    )
    for method, matrices, grams in (("magnitude", 3, 0), ("wanda", 4, 0), ("alps", 9, 5)):
        held = max(
            8 * (matrices * rows * columns + grams * rows**2)
            for rows, columns in (one.shape for one in stored.prunable.values())
        )
        found = memory(stored, Settings(method=method, scope="layer"), some)
        assert found == max(2 * weights, weights + waiting + held)
    done = gen("prune", saved("GPT-2"), "--level", 0.5, "--method", "wanda", "--calibration", "reviews",
               "--samples", 2, "--out", tmp_path / "out")  # fmt: skip
    assert (
        "looking at 2 windows of at most 512 tokens, which takes about 0.1 GB of memory" in done.err
    )


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
def test_a_file_of_ones_own_shows_the_same_as_a_task_made_of_it(
    method: str, saved: Saved, shown: Task, tmp_path: Path, gen: Gen
) -> None:
    """Its columns are named as they are to `gen evaluate`; what is not there is told as it is there."""
    own = tmp_path / "meine Sätze.tsv"
    own.write_text(SENTENCES.replace("sentence\tlabel", "Satz\tArt"))
    columns = ("--text", "Satz", "--label", "Art")
    digests = []
    for name, more in (("reviews", ()), (own, columns)):
        out = tmp_path / f"out {len(digests)}"
        done = gen("prune", saved("GPT-2"), "--level", 0.5, "--method", method, "--samples", 2,
                   "--calibration", name, *more, "--out", out, "--json")  # fmt: skip
        assert done.status == 0, done.err
        digests.append((out / "model.safetensors").read_bytes())
    assert digests[0] == digests[1]
    assert done.json["calibration"]["task"] == "meine Sätze"
    for wrong, said in (
        ((own,), "expected a column 'sentence', found Satz, Art"),
        ((tmp_path / "no.tsv",), "no.tsv: expected"),
    ):
        done = gen("prune", saved("GPT-2"), "--level", 0.5, "--method", method, "--samples", 2,
                   "--calibration", *wrong, "--out", tmp_path / "none")  # fmt: skip
        assert (done.status, said in done.err.splitlines()[-1]) == (1, True), done.err


def test_a_plain_text_of_ones_own_shows_what_weights_multiply(
    saved: Saved, tmp_path: Path, gen: Gen
) -> None:
    (tmp_path / "novel.txt").write_text("a good film and a dull one, not bad. " * 40)
    done = gen("prune", saved("GPT-2"), "--level", 0.5, "--method", "wanda", "--samples", 2,
               "--calibration", tmp_path / "novel.txt", "--out", tmp_path / "out", "--json")  # fmt: skip
    assert done.status == 0, done.err
    looked = done.json["calibration"]
    assert (looked["task"], looked["samples"], looked["tokens"]) == ("novel", 2, LONGEST)
    assert done.json["zeros"] * 2 == done.json["prunable"]


@pytest.mark.parametrize("allocation", ["arithmetic", "owl", "error", "error-inverse"])
@pytest.mark.parametrize("family", ["Llama", "LED"])
def test_a_level_shared_out_to_layers_removes_exactly_as_many_in_all(
    family: str, allocation: str, saved: Saved, shown: Task
) -> None:
    stored = StoredModel(Checkpoint("a", saved(family)))
    tensors = list(stored.prunable.values())
    for method, scope in (("wanda", "row"), ("sparsegpt", "layer"), ("magnitude", "layer")):
        settings = Settings(method=method, scope=scope, allocation=allocation)
        solved = solve(stored, settings, 0.6, Calibration(task=shown, samples=3))
        pruning = describe(tensors, solved)
        assert pruning.zeros == removed_count(0.6, pruning.prunable)
        shares = {layer.zeros / layer.count for layer in pruning.layers}
        assert len(shares) > 1, "some give more than others"
        assert max(shares) <= 0.6 + 2 * SPREAD + 0.1


@pytest.mark.parametrize("family", ["GPT-2", "Llama"])
def test_owl_gives_the_less_the_more_outliers_a_block_has(
    family: str, saved: Saved, shown: Task
) -> None:
    """Each block's share of |w|·‖x‖ above five times its mean, by plain passes with hooks."""
    checkpoint = Checkpoint("a", saved(family))
    stored, opened = StoredModel(checkpoint), open_model(checkpoint)
    names = {one.entry.name: one.entry.depth for one in stored.prunable.values()}
    squares: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Any:
        def add(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            read = args[0].reshape(-1, args[0].shape[-1]).double()
            squares[name] = squares.get(name, 0) + (read**2).sum(0)

        return add

    for name in names:
        opened.model.get_submodule(name.removesuffix(".weight")).register_forward_pre_hook(
            hook(name)
        )
    with torch.no_grad():
        for window in windows(opened, shown, samples=3, tokens=512):
            opened.model(**window.inputs(opened))
    scores: dict[int, list[torch.Tensor]] = {}
    for name, depth in names.items():
        weight = opened.model.get_parameter(name).double().abs()
        norm = squares[name].sqrt()
        score = weight * (norm[:, None] if family == "GPT-2" else norm)
        assert depth is not None
        scores.setdefault(depth, []).append(score.flatten())
    together = {depth: torch.cat(parts) for depth, parts in scores.items()}
    outlying = {depth: (all_ > 5 * all_.mean()).double().mean() for depth, all_ in together.items()}
    few, many = sorted(outlying, key=lambda depth: float(outlying[depth]))
    assert outlying[few] < outlying[many]
    settings = Settings(method="wanda", scope="row", allocation="owl")
    solved = solve(stored, settings, 0.5, Calibration(task=shown, samples=3))
    zeros: dict[int, list[int]] = {few: [0, 0], many: [0, 0]}
    for layer in describe(list(stored.prunable.values()), solved).layers:
        count = zeros[names[layer.name] or 0]
        count[0], count[1] = count[0] + layer.zeros, count[1] + layer.count
    assert zeros[many][0] / zeros[many][1] == pytest.approx(0.5 - SPREAD, abs=0.001)
    assert zeros[few][0] / zeros[few][1] == pytest.approx(0.5 + SPREAD, abs=0.001)
