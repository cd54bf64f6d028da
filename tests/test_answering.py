"""The ways to answer: each gives what plain transformers gives for one sentence alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertModel, GPT2LMHeadModel

from experiments import answering
from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.models import OpenModel, open_model
from experiments.tasks.table import Task

Saved = Callable[..., Path]
WORDS = ["a", "film", "is", "good", "bad", "very", "[SEP]", "it", "dull", "not"]
WIDE = {"initializer_range": 0.5}
CAUSAL = "GPT-2 with its language head"


@pytest.fixture
def films(tmp_path: Path) -> Task:
    """Thirty labelled sentences of many lengths; some hold the text of the end mark."""
    path, generator = tmp_path / "films.tsv", np.random.default_rng(1)
    rows = [" ".join(generator.choice(WORDS, size=1 + at % 9)) + "\tpositive" for at in range(29)]
    path.write_text("\n".join(["sentence\tlabel", "dull\tnegative", *rows]))
    return Task(
        name="films",
        question="?",
        file=path,
        metric="accuracy",
        labels=("negative", "positive"),
        prompt="{sentence} is it good",
        choices=("bad", "very good"),
    )


def answers(opened: OpenModel, asked: Task, **how: int) -> list[int]:
    return answering.predict(opened, answering.prepare(opened, asked), **how).tolist()


ASKED = [
    ("GPT-2", WIDE | {"pad_token_id": None}),
    ("Llama", WIDE | {"pad_token_id": None}),
    ("BERT", WIDE | {"seed": 3}),
    ("DeBERTa-v2", WIDE),
    (CAUSAL, WIDE | {"seed": 2}),
    ("T5", {"initializer_factor": 20.0}),
    ("LED", {"init_std": 0.5}),
    ("BART", {"init_std": 0.5}),
    ("BlenderbotSmall", {"init_std": 0.5, "seed": 1}),  # BART's layers, and it writes
]


@pytest.mark.parametrize(("name", "settings"), ASKED, ids=[name for name, _ in ASKED])
def test_answers_are_alike_at_any_batch_size_padding_side_and_order(
    name: str,
    settings: dict[str, float],
    saved: Saved,
    films: Task,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = open_model(Checkpoint("tiny", saved(name, **settings)))
    films = replace(films, choices=("bad", "good"))
    if answering.way(opened, films) == answering.GENERATED:
        films = with_labels_it_writes(opened, films, monkeypatch)
    alone = answers(opened, films, batch=1)
    assert len(set(alone)) > 1, "answers that are all alike would show nothing"
    for side in ("left", "right"):
        opened.tokenizer.padding_side = side
        for batch in (7, 32):
            assert answers(opened, films, batch=batch) == alone
    head, *rows = films.file.read_text().splitlines()
    films.file.write_text("\n".join([head, *rows[::-1]]))
    assert answers(opened, films, batch=7) == alone[::-1]


def with_labels_it_writes(opened: OpenModel, films: Task, monkeypatch: pytest.MonkeyPatch) -> Task:
    """An untrained model writes nonsense: the task asks for the nonsense, found one by one."""
    monkeypatch.setattr(answering, "_longest_label", lambda *_: 3)
    said = []
    for ids in answering.prepare(opened, films).tokens:
        written = opened.model.generate(
            input_ids=torch.tensor([ids]), max_new_tokens=3, do_sample=False, num_beams=1
        )
        said.append(opened.tokenizer.decode(written[0], skip_special_tokens=True))
    labels = tuple(sorted({word for word in said if word}))
    films.file.write_text(
        "sentence\tlabel\n" + "\n".join(f"{text}\t{labels[0]}" for text in films.load().texts)
    )
    return replace(films, labels=labels)


def test_a_causal_model_answers_with_what_it_finds_likeliest(saved: Saved, films: Task) -> None:
    folder = saved(CAUSAL, **WIDE)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()

    def likelihood(text: str, answer: str) -> float:
        """The sum over the answer's tokens, one forward pass of its own."""
        start = tokenizer(f"{text} is it good")["input_ids"][:-1]  # without the end mark
        whole = tokenizer(f"{text} is it good {answer}")["input_ids"][:-1]
        with torch.no_grad():
            shares = plain(torch.tensor([whole])).logits[0].log_softmax(-1)
        return sum(float(shares[at - 1, whole[at]]) for at in range(len(start), len(whole)))

    opened = open_model(Checkpoint("tiny", folder))
    question = answering.prepare(opened, films)
    assert question.answered_by == "likeliest of the answers, zero-shot"
    expected = [
        [likelihood(text, answer) for answer in ("bad", "very good")] for text in films.load().texts
    ]
    found = answering.log_likelihoods(opened, question, batch=7)
    assert found == pytest.approx(np.array(expected), abs=1e-4)
    assert answers(opened, films) == np.argmax(expected, axis=1).tolist()


def test_an_over_long_prompt_loses_its_beginning_and_is_counted(saved: Saved, films: Task) -> None:
    """A table of 16 places: the prompt's 4 words and both words of the longer answer but its last."""
    opened = open_model(Checkpoint("tiny", saved(CAUSAL, **WIDE, n_positions=16)))
    rows = [" ".join(["film"] * n) + "\tpositive" for n in (10, 11, 12)]  # with [CLS] 14, 15, 16
    films.file.write_text("\n".join(["sentence\tlabel", *rows]))
    question = answering.prepare(opened, films)
    assert [len(tokens) for tokens in question.tokens] == [14, 15, 15]
    assert question.truncated == 1
    assert len(answering.predict(opened, question)) == 3


def test_a_causal_model_trained_to_write_the_label_is_asked_to(saved: Saved, films: Task) -> None:
    folder = saved(CAUSAL, **WIDE)
    config = json.loads((folder / "config.json").read_text())
    config["task_specific_params"] = {"films": {"prompt": "{sentence} is it"}}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32).eval()
    texts, first = films.load().texts, []
    for text in texts:
        ids = torch.tensor([tokenizer(f"{text} is it")["input_ids"][:-1]])
        first.append(tokenizer.decode(int(plain(ids).logits[0, -1].argmax())))
    opened = open_model(Checkpoint("tiny", folder))
    question = answering.prepare(opened, films)
    assert question.answered_by == "generated label word"
    for row, text in enumerate(texts):
        ids = torch.tensor([question.tokens[row]])
        written = plain.generate(ids, max_new_tokens=3, do_sample=False)
        assert tokenizer.decode(written[0, ids.shape[1]]) == first[row], text
    assert answers(opened, films) == [-1] * 30


def test_t5_is_told_its_task_by_a_prefix(saved: Saved, films: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved("T5")))
    question = answering.prepare(opened, replace(films, prefix="not very "))
    plain = answering.prepare(opened, films)
    words = opened.tokenizer("not very", add_special_tokens=False)["input_ids"]
    assert [row[1:3] for row in question.tokens] == [tuple(words)] * 30
    assert [row[:1] + row[3:] for row in question.tokens] == list(plain.tokens)
    other = open_model(Checkpoint("tiny", saved("LED")))
    same = [answering.prepare(other, replace(films, prefix=p)).tokens for p in ("not very ", "")]
    assert same[0] == same[1], "only T5 was trained with prefixes"


def test_a_task_without_answers_cannot_be_put_to_a_causal_model(saved: Saved, films: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    with pytest.raises(
        ReportError, match="films: expected answers that a causal model can be asked"
    ):
        answering.prepare(opened, replace(films, choices=()))


def test_a_base_model_is_refused_as_untrained(saved: Saved, films: Task) -> None:
    folder = saved("BERT")
    BertModel.from_pretrained(folder).save_pretrained(folder)
    opened = open_model(Checkpoint("tiny", folder))
    with pytest.raises(ReportError, match=r"\(BertModel\): expected a trained way .* untrained"):
        answering.prepare(opened, films)


def test_likelihoods_that_are_no_numbers_are_refused(saved: Saved, films: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved(CAUSAL)))
    with torch.no_grad():
        opened.model.transformer.ln_f.weight[0] = float("nan")
    with pytest.raises(ReportError, match="tiny on films: expected finite outputs, found NaN"):
        answers(opened, films)
