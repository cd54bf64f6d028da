"""Perplexity: every token is scored once, as plain transformers scores it, at any batch size."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
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
    """A text of 150 words; with the start mark 151 tokens."""
    path = tmp_path / "story.txt"
    path.write_text(" ".join(np.random.default_rng(0).choice(WORDS, size=150)))
    return Task(name="story", question="?", file=path, metric="perplexity")


@given(st.integers(2, 200), st.integers(2, 40))
def test_windows_score_every_token_but_the_first_once_with_half_a_window_before_it(
    n: int, window: int
) -> None:
    scored = []
    for begin, count in perplexity.strided(n, window):
        end = min(begin + window, n)
        assert begin >= 0
        assert end - begin == min(window, n), "all windows are equally long"
        scored += list(range(end - count, end))
        assert begin == 0 or end - count - begin >= window // 2
    assert scored == list(range(1, n))


def test_losses_are_those_of_plain_transformers_one_window_at_a_time(
    saved: Saved, story: Task
) -> None:
    folder = saved(CAUSAL, initializer_range=0.5)
    plain = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    ids = AutoTokenizer.from_pretrained(folder)(story.text_of())["input_ids"][:-1]
    opened = open_model(Checkpoint("tiny", folder))
    text = perplexity.prepare(opened, story)
    assert text.tokens == tuple(ids)
    expected = []
    for begin, count in text.windows:
        window = torch.tensor([ids[begin : begin + text.window]])
        labels = window.clone()
        labels[0, : window.shape[1] - count] = -100
        with torch.no_grad():
            expected.append(float(plain(window, labels=labels).loss) * count)
    for batch in (1, 3, 16):
        found = perplexity.losses(opened, text, batch=batch)
        assert found == pytest.approx(np.array(expected), rel=1e-5)
    scored = perplexity.score(text, found, prunable=1, zeros=0)
    assert scored.n == len(ids) - 1 == 150
    assert scored.value == pytest.approx(math.exp(sum(expected) / 150), rel=1e-5)
    low, high = scored.interval
    assert low < scored.value < high


def test_a_limit_is_of_windows_and_is_said(saved: Saved, story: Task) -> None:
    """151 tokens in windows of 24 that step by 12: 23 are scored by the first, then 12 by each."""
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    whole, some = (perplexity.prepare(opened, story, limit=limit) for limit in (None, 3))
    assert (len(whole.windows), whole.split) == (12, "evaluation")
    assert (some.windows, some.split) == (
        ((0, 23), (12, 12), (24, 12)), "evaluation, the first 3 of 12 windows",
    )  # fmt: skip
    found = perplexity.score(some, np.ones(3), prunable=1, zeros=0)
    assert (found.n, found.split) == (47, some.split)


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
    assert found.interval == pytest.approx((size, size), rel=1e-6)


@pytest.mark.parametrize("name", ["BERT", "GPT-2", "LED"])
def test_only_a_causal_language_model_predicts_a_text(
    name: str, saved: Saved, story: Task
) -> None:
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
    assert found.ratio_interval == pytest.approx((2, 2))  # every window is twice as bad
    assert found.difference == pytest.approx(math.e)  # exp(1) more than exp(1)
    low, high = found.difference_interval or (0, 0)
    assert low < math.e < high


def test_of_a_few_windows_there_is_no_interval() -> None:
    found = compare_perplexity(answer(LOSSES[:9], TOKENS[:9]), answer(LOSSES[:9], TOKENS[:9]))
    assert (found.ratio, found.ratio_interval, found.difference_interval) == (1, None, None)


@pytest.mark.parametrize(
    "other",
    [answer(LOSSES[:9], TOKENS[:9]), answer(LOSSES, TOKENS, digest="of other tokens")],
    ids=["other windows", "other tokens in as many windows"],
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
