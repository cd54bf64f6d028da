"""Perplexity: every token is scored once, as plain transformers scores it, at any batch size."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command import Gen
from families import LONGEST
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, GPT2LMHeadModel, XLNetConfig, XLNetLMHeadModel

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models.opening import open_model
from experiments.quality import perplexity
from experiments.quality.comparison import compare_perplexity
from experiments.quality.tasks.table import Task, task
from experiments.records.perplexity import Perplexity

Saved = Callable[..., Path]
CAUSAL = "GPT-2 with its language head"
WORDS = ["a", "film", "is", "it", "good", "bad", "dull", "fine", "very", "not"]


@pytest.fixture
def story(tmp_path: Path) -> Task:
    """A text of 150 words, each a token."""
    path = tmp_path / "story.txt"
    path.write_text(" ".join(np.random.default_rng(0).choice(WORDS, size=150)))
    return Task(name="story", question="?", file=path, metric="perplexity")


@given(st.integers(2, 200), st.integers(2, 40), st.booleans())
def test_windows_score_every_token_once_with_half_a_window_before_it(
    n: int, window: int, marked: bool
) -> None:
    """But for the first token of a text that no mark stands before, which nothing predicts."""
    scored, unscored = [], 0 if marked else 1
    for begin, count in perplexity.strided(n, window, unscored=unscored):
        end = min(begin + window, n)
        assert begin >= 0
        assert end - begin == min(window, n), "all windows are equally long"
        scored += list(range(end - count, end))
        assert begin == 0 or end - count - begin >= window // 2
    assert scored == list(range(unscored, n))


def by_a_plain_loop(folder: Path, words: list[int], marks: list[int], window: int) -> float:
    """The mean loss of a token: each window run alone, begun with the marks, summed in float64."""
    plain = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    room, total = window - len(marks), 0.0
    done = first = 0 if marks else 1
    while done < len(words):
        end = min(len(words), room if done == first else done + room // 2)
        row = [*marks, *words[max(0, end - room) : end]]
        with torch.no_grad():
            shares = plain(torch.tensor([row])).logits[0].double().log_softmax(-1)
        total -= sum(
            float(shares[at - 1, row[at]]) for at in range(len(row) - end + done, len(row))
        )
        done = end
    return total / (len(words) - first)


def without_marks(folder: Path) -> None:
    """As if the tokenizer set no marks, as GPT-2's own sets none."""
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": None}))


@pytest.mark.parametrize("marked", [True, False], ids=["start mark", "no mark"])
def test_a_perplexity_is_that_of_a_plain_loop_over_windows_each_begun_alike(
    marked: bool, saved: Saved, story: Task
) -> None:
    folder = saved(CAUSAL, initializer_range=0.5)
    if not marked:
        without_marks(folder)
    words = AutoTokenizer.from_pretrained(folder)(story.text_of(), add_special_tokens=False)
    loss = by_a_plain_loop(folder, words["input_ids"], [2] if marked else [], LONGEST)
    opened = open_model(Checkpoint("tiny", folder))
    text = perplexity.prepare(opened, story)
    for batch in (1, 3, 16):
        losses = perplexity.losses(opened, text, batch=batch)
        scored = perplexity.score(text, losses, prunable=1, zeros=0)
        assert scored.value == pytest.approx(math.exp(loss), rel=1e-6)
    assert (scored.n, scored.window) == (150 if marked else 149, LONGEST)
    assert scored.begins == ("[CLS]" if marked else "")
    low, high = scored.interval
    assert low < scored.value < high


def test_a_text_that_begins_with_the_mark_itself_has_it_once(saved: Saved, story: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    plain = perplexity.prepare(opened, story)
    assert story.file is not None
    story.file.write_text("[CLS] " + story.file.read_text())
    assert perplexity.prepare(opened, story) == plain


def test_a_text_whose_tokenizer_sets_no_mark_keeps_one_of_its_own(
    saved: Saved, story: Task
) -> None:
    """It is a word of that text, and of its first window alone."""
    folder = saved(CAUSAL)
    without_marks(folder)
    opened = open_model(Checkpoint("tiny", folder))
    plain = perplexity.prepare(opened, story)
    assert story.file is not None
    story.file.write_text("[CLS] " + story.file.read_text())
    found = perplexity.prepare(opened, story)
    assert (found.tokens, found.marks) == ((2, *plain.tokens), ())


def test_what_a_text_ends_with_is_its_own(saved: Saved, story: Task) -> None:
    """An end mark in the text is a token to predict; the one a tokenizer adds is none."""
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    assert story.file is not None
    story.file.write_text("a film [SEP]")
    assert perplexity.prepare(opened, story).tokens == (6, 7, 3)


def test_how_windows_begin_stands_beside_the_number(saved: Saved, story: Task, gen: Gen) -> None:
    folder = saved(CAUSAL)
    said = gen("evaluate", folder, "--data", story.file).out
    assert "windows of up to 24 tokens: 13, each begun with [CLS]" in said
    without_marks(folder)
    said = gen("evaluate", folder, "--data", story.file).out
    assert "windows of up to 24 tokens: 12, begun with no mark" in said
    (row,) = json.loads(gen("evaluate", folder, "--data", story.file, "--json").out)
    assert (row["window"], row["windows"], row["begins"]) == (24, 12, "")


def test_a_short_text_says_why_it_has_no_interval(saved: Saved, story: Task, gen: Gen) -> None:
    """60 words with the mark before each window of 23: 23 are scored by the first, then 11 by each."""
    assert story.file is not None
    story.file.write_text(" ".join(["film"] * 60))
    folder = saved(CAUSAL)
    (row,) = json.loads(gen("evaluate", folder, "--data", story.file, "--json").out)
    assert (row["windows"], row["interval"]) == (5, None)
    assert row["no_interval"] == "fewer than 10 windows: 5"
    said = gen("evaluate", folder, "--data", story.file).out
    assert "no interval: fewer than 10 windows: 5" in said


def test_a_limit_is_of_windows_and_is_said(saved: Saved, story: Task) -> None:
    """150 tokens in windows of 23 and the mark: 23 are scored by the first, 11 by each of 12 others."""
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    whole, some = (perplexity.prepare(opened, story, limit=limit) for limit in (None, 3))
    assert (len(whole.windows), whole.split) == (13, "evaluation")
    assert (some.windows, some.split) == (
        ((0, 23), (11, 11), (22, 11)), "evaluation, the first 3 of 13 windows",
    )  # fmt: skip
    found = perplexity.score(some, np.ones(3), prunable=1, zeros=0)
    assert (found.n, found.split) == (45, some.split)


def test_a_model_that_knows_nothing_has_the_size_of_its_vocabulary(
    saved: Saved, story: Task
) -> None:
    folder = saved(CAUSAL)
    opened = open_model(Checkpoint("tiny", folder))
    with torch.no_grad():
        opened.model.transformer.wte.weight.zero_()  # tied to the head: every token as likely
    text = perplexity.prepare(opened, story)
    found = perplexity.score(text, perplexity.losses(opened, text), prunable=1, zeros=0)
    size = opened.model.config.vocab_size
    assert found.value == pytest.approx(size, rel=1e-6)
    assert (found.interval, found.no_interval) == (None, "every resample scores the same")


@pytest.mark.parametrize("name", ["BERT", "GPT-2", "LED"])
def test_only_a_causal_language_model_predicts_a_text(name: str, saved: Saved, story: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved(name)))
    with pytest.raises(ReportError, match="on story: expected a causal language model"):
        perplexity.prepare(opened, story)


def test_outputs_that_are_no_numbers_are_refused(saved: Saved, story: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    with torch.no_grad():
        opened.model.transformer.ln_f.weight[0] = float("nan")
    with pytest.raises(ReportError, match="tiny on story: expected finite outputs, found NaN"):
        perplexity.losses(opened, perplexity.prepare(opened, story))


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "a text, found none"), (b"\xff\xfe", "text in UTF-8"), (None, "a text file")],
)
def test_a_text_that_is_none_is_told(content: bytes | None, what: str, story: Task) -> None:
    assert story.file is not None
    story.file.unlink()
    if content is not None:
        story.file.write_bytes(content)
    with pytest.raises(ReportError, match=what):
        story.text_of()


def test_the_bundled_text_is_the_beginning_of_a_novel_in_ascii() -> None:
    text = task("perplexity").text_of()
    assert text.startswith("Chapter 1\n\nSir Walter Elliot, of Kellynch Hall, in Somersetshire,")
    assert (len(text), text.isascii(), text.count("\nChapter ")) == (52_575, True, 3)


def answer(losses: list[float], tokens: list[int], *, digest: str = "") -> Perplexity:
    total = sum(tokens)
    return Perplexity(
        task="story", split="all", n=total, value=math.exp(sum(losses) / total), interval=(1, 2),
        window=8, digest=digest, losses=tuple(losses), tokens=tuple(tokens), prunable=1, zeros=0,
        warnings=(),
    )  # fmt: skip


TOKENS = [7, *[4] * 9]
LOSSES = [7.0, *[5.0, 3.0] * 4, 4.0]  # 43 nats of 43 tokens


def test_a_change_is_the_ratio_on_the_same_windows() -> None:
    dense = answer(LOSSES, TOKENS)
    worse = answer([x + n * math.log(2) for x, n in zip(LOSSES, TOKENS)], TOKENS)
    found = compare_perplexity(worse, dense)
    assert found.ratio == pytest.approx(2)
    # Every window is twice as bad: [2, 2] would be sure of windows that nobody read.
    assert (found.ratio_interval, found.no_interval) == (None, "every resample scores the same")
    assert found.difference == pytest.approx(math.e)  # exp(1) more than exp(1)
    low, high = found.difference_interval or (0, 0)
    assert low < math.e < high


def test_of_a_few_windows_there_is_no_interval() -> None:
    found = compare_perplexity(answer(LOSSES[:9], TOKENS[:9]), answer(LOSSES[:9], TOKENS[:9]))
    assert (found.ratio, found.ratio_interval, found.difference_interval) == (1, None, None)
    assert found.no_interval == "fewer than 10 windows: 9"


@pytest.mark.parametrize(
    "other",
    [
        answer(LOSSES[:9], TOKENS[:9]),
        answer(LOSSES, TOKENS, digest="of other tokens"),
        replace(answer(LOSSES, TOKENS), window=9),
        replace(answer(LOSSES, TOKENS), begins="<s>"),
    ],
    ids=["other windows", "other tokens", "longer windows", "windows begun otherwise"],
)
def test_other_tokens_cannot_be_compared(other: Perplexity) -> None:
    with pytest.raises(ReportError, match="cut the same text into the same tokens"):
        compare_perplexity(answer(LOSSES, TOKENS), other)


def test_two_tokenizers_of_one_text_are_told_apart(saved: Saved, story: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    text = perplexity.prepare(opened, story, limit=10)
    turned = replace(text, tokens=text.tokens[::-1])
    one, other = (perplexity.score(x, np.ones(10), prunable=1, zeros=0) for x in (text, turned))
    assert one.tokens == other.tokens
    with pytest.raises(ReportError, match="compare models with one tokenizer"):
        compare_perplexity(one, other)


def test_a_model_that_sees_the_token_it_is_asked_for_is_refused(
    saved: Saved, story: Task, tmp_path: Path
) -> None:
    """XLNet attends to both sides, and generates all the same."""
    folder = saved("BERT")
    settings = {"vocab_size": 40, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32}
    settings |= {"initializer_range": 0.5}  # else nothing moves much
    XLNetLMHeadModel(XLNetConfig(**settings)).save_pretrained(tmp_path / "xlnet")
    for path in folder.glob("tokenizer*"):
        shutil.copyfile(path, tmp_path / "xlnet" / path.name)
    opened = open_model(Checkpoint("tiny", tmp_path / "xlnet"))
    with pytest.raises(ReportError, match=r"\(XLNetLMHeadModel\) on story: expected a causal"):
        perplexity.prepare(opened, story)


def test_a_loss_that_no_double_holds_the_exponential_of_is_refused() -> None:
    assert perplexity.perplexity_of(300.0, 1) == pytest.approx(math.exp(300))
    with pytest.raises(
        ReportError, match="a loss of 301 nats a token: expected one of at most 300"
    ):
        perplexity.perplexity_of(602.0, 2)


def test_a_window_that_scores_nothing_is_refused(saved: Saved, story: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    opened.tokenizer.model_max_length = 1
    with pytest.raises(ReportError, match="windows of two tokens or more, found 1"):
        perplexity.prepare(opened, story)
