"""The ways to answer: each gives what plain transformers gives for one sentence alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command import Gen
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    AutoTokenizer,
    BertModel,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    LEDForConditionalGeneration,
)

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate
from experiments.errors import ReportError
from experiments.models.opening import OpenModel, open_model
from experiments.quality import answering, evaluation
from experiments.quality.comparison import compare
from experiments.quality.tasks.table import Task, task

Saved = Callable[..., Path]
WORDS = ["a", "film", "is", "good", "bad", "very", "[SEP]", "it", "dull", "not"]
WIDE = {"initializer_range": 0.5}
CAUSAL = "GPT-2 with its language head"


@pytest.fixture
def films(tmp_path: Path) -> Task:
    """Thirty labelled sentences of many lengths; some hold the text of the end mark."""
    path, generator = tmp_path / "films.tsv", np.random.default_rng(0)
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


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("GPT-2", {"initializer_range": 0.5}),
        ("GPT-2", {"initializer_range": 0.5, "pad_token_id": None}),
        ("GPT-2", {"initializer_range": 0.5, "pad_token_id": 3}),  # padding and end are one mark
        ("Llama", {"initializer_range": 0.5, "pad_token_id": None}),
        ("BERT", {"initializer_range": 0.5, "seed": 3}),
        ("DeBERTa-v2", {"initializer_range": 0.5}),
        ("OPT", {"init_std": 0.5}),
        ("BART", {"init_std": 0.5}),  # refuses a batch whose rows differ in end marks
    ],
    ids=str,
)
def test_a_head_answers_at_any_batch_size_as_for_one_sentence_alone(
    name: str, settings: dict[str, float], saved: Saved, films: Task, tiny_model: Callable
) -> None:
    folder = saved(name, **settings)
    tokenizer, plain = AutoTokenizer.from_pretrained(folder), tiny_model(name, **settings)
    expected = [
        int(plain(**tokenizer(text, return_tensors="pt")).logits.argmax())
        for text in films.load().texts
    ]
    assert len(set(expected)) == 2, "answers that are all alike would show nothing"
    opened = open_model(Checkpoint("tiny", folder))
    for batch in (1, 7, 64):
        assert answers(opened, films, batch=batch) == expected


@pytest.mark.parametrize("model", ["mini/gpt2-reviews", "mini/led-reviews"])
def test_a_bundled_model_answers_alike_at_every_batch_size(model: str) -> None:
    opened = open_model(locate(model, relative_to=Path()))
    question = answering.prepare(opened, task("reviews"), limit=60)
    one, *others = [answering.predict(opened, question, batch=size).tolist() for size in (1, 7, 64)]
    assert len(question.tokens) == len(one) == 60
    assert len(set(one)) > 1
    assert others == [one, one]


def test_generated_words_are_those_of_plain_generation_one_by_one() -> None:
    checkpoint = locate("mini/led-reviews", relative_to=Path())
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder)
    model = LEDForConditionalGeneration.from_pretrained(checkpoint.folder, dtype=torch.float32)
    examples, expected = task("reviews").load().sample(15), []
    for text in examples.texts:
        inputs = tokenizer(text, return_tensors="pt")
        first = torch.zeros_like(inputs["input_ids"])
        first[0, 0] = 1  # trained with global attention on the first token
        said = model.generate(**inputs, global_attention_mask=first, do_sample=False)
        word = tokenizer.decode(said[0], skip_special_tokens=True)
        expected.append(examples.labels.index(word) if word in examples.labels else -1)
    opened = open_model(checkpoint)
    question = answering.prepare(opened, task("reviews"), limit=15)
    assert question.answered_by == "generated label word"
    assert answering.predict(opened, question).tolist() == expected


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 2))), st.integers(1, 5))
def test_every_sentence_is_in_one_batch_of_its_own_shape(
    shapes: list[tuple[int, int]], size: int
) -> None:
    found = list(answering.batches(shapes, size))
    assert sorted(row for rows in found for row in rows) == list(range(len(shapes)))
    assert all(len({shapes[row] for row in rows}) == 1 for rows in found)
    assert all(len(rows) <= size for rows in found)


def test_a_model_whose_labels_are_turned_round_answers_the_other_way(
    saved: Saved, films: Task
) -> None:
    """The order of the outputs, not of the names, would score such a model at 0 %."""
    opened = open_model(Checkpoint("tiny", saved("BERT", initializer_range=0.5)))
    before = answers(opened, films)
    opened.model.config.id2label = {0: "POSITIVE", 1: "NEGATIVE"}
    assert answers(opened, films) == [1 - answer for answer in before]


def test_an_answer_of_nonsense_is_no_label_and_is_counted(saved: Saved, films: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved("LED")))
    question = answering.prepare(opened, films)
    predictions = answering.predict(opened, question)
    found = evaluation.score(question, predictions, prunable=1, zeros=0)
    assert (found.not_a_label, found.n, found.value, found.metric) == (30, 30, 0.0, "exact_match")


def test_outputs_that_are_no_numbers_are_refused(saved: Saved, films: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved("BERT")))
    with torch.no_grad():
        opened.model.classifier.bias[0] = float("nan")
    with pytest.raises(ReportError, match="tiny on films: expected finite outputs, found NaN"):
        answers(opened, films)


def test_generated_outputs_that_are_no_numbers_are_refused(saved: Saved, films: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved("LED")))
    with torch.no_grad():
        opened.model.led.decoder.layernorm_embedding.weight[0] = float("nan")
    with pytest.raises(ReportError, match="tiny on films: expected finite outputs, found NaN"):
        answers(opened, films)


def test_a_head_that_was_never_trained_is_refused(saved: Saved) -> None:
    folder = saved("BERT")
    BertModel.from_pretrained(folder).save_pretrained(folder)  # the head is lost here
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ReportError, match=r"classifier\.bias is missing: untrained"):
        open_model(Checkpoint("tiny", folder))


@pytest.mark.parametrize(("name", "table"), [("GPT-2", "n_positions"), ("BERT", "max_position_embeddings"),
                                             ("LED", "max_encoder_position_embeddings")])  # fmt: skip
def test_what_is_longer_than_the_position_table_is_cut_and_counted(
    name: str, table: str, saved: Saved, films: Task
) -> None:
    """Lengths with both marks: 15, 16 and 17 tokens, where the table has 16 places."""
    films.file.write_text(
        "sentence\tlabel\n"
        + "\n".join(" ".join(["film"] * words) + "\tpositive" for words in (13, 14, 15))
    )
    opened = open_model(Checkpoint("tiny", saved(name, **{table: 16})))
    question = answering.prepare(opened, films)
    assert question.truncated == 1
    assert [len(tokens) for tokens in question.tokens] == [15, 16, 16]
    assert len(answering.predict(opened, question)) == 3


def test_led_answers_every_length_its_whole_windows_hold(saved: Saved, films: Task) -> None:
    """Padded to windows of 8, a table of 20 places holds 16 tokens: the 17th would be past its end."""
    lengths = (5, 8, 13, 16, 17, 20, 21)
    rows = [" ".join(["film"] * (length - 2)) + "\tpositive" for length in lengths]
    films.file.write_text("\n".join(["sentence\tlabel", *rows]))
    opened = open_model(Checkpoint("tiny", saved("LED", max_encoder_position_embeddings=20)))
    question = answering.prepare(opened, films)
    assert [len(tokens) for tokens in question.tokens] == [5, 8, 13, 16, 16, 16, 16]
    assert question.truncated == 3
    assert len(answering.predict(opened, question)) == 7


def test_a_limit_is_said_in_the_split(saved: Saved, films: Task) -> None:
    rows = [f"a film\t{('negative', 'positive')[at % 2]}" for at in range(30)]
    films.file.write_text("\n".join(["sentence\tlabel", *rows]))
    question = answering.prepare(open_model(Checkpoint("tiny", saved())), films, limit=7)
    assert len(question.tokens) == len(question.examples.references) == 7
    assert question.examples.split == "evaluation, 7 of 30 drawn by seed 0"


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


def test_a_checkpoint_s_own_taste_in_generating_changes_no_answer(
    saved: Saved, films: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved("LED", init_std=0.5)
    films = with_labels_it_writes(open_model(Checkpoint("tiny", folder)), films, monkeypatch)
    before = answers(open_model(Checkpoint("tiny", folder)), films)
    stated = json.loads((folder / "generation_config.json").read_text())
    taste = {"min_length": 20, "no_repeat_ngram_size": 1, "repetition_penalty": 3.0, "num_beams": 4}
    (folder / "generation_config.json").write_text(json.dumps(stated | taste))
    assert answers(open_model(Checkpoint("tiny", folder)), films) == before
    assert len(set(before)) > 1


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


def dropping_dots(folder: Path) -> Path:
    """A folder whose tokenizer sets no marks and drops "…": of a sentence of it alone nothing is left."""
    path = folder / "tokenizer.json"
    drop = {"type": "Replace", "pattern": {"String": "…"}, "content": ""}
    stated = json.loads(path.read_text()) | {"post_processor": None, "normalizer": drop}
    path.write_text(json.dumps(stated))
    return folder


SOME = ["good film", "…", "dull film", "… …", "not bad"]


def test_a_sentence_that_gives_no_token_is_left_out_counted_and_listed(
    saved: Saved, films: Task, gen: Gen
) -> None:
    folder = dropping_dots(saved("GPT-2", **WIDE))
    assert films.file is not None
    labels = ["negative", "positive"]
    rows = [f"{text}\t{labels[at % 2]}\t{at // 2}" for at, text in enumerate(SOME)]
    films.file.write_text("\n".join(["sentence\tlabel\tpair", *rows]))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain = GPT2ForSequenceClassification.from_pretrained(folder).eval()
    expected = [int(plain(**tokenizer(SOME[at], return_tensors="pt")).logits.argmax())
                for at in (0, 2, 4)]  # fmt: skip
    opened, asked = open_model(Checkpoint("tiny", folder)), replace(films, cluster="pair")
    question = answering.prepare(opened, asked)
    predictions = answering.predict(opened, question)
    assert predictions.tolist() == expected
    found = evaluation.score(question, predictions, prunable=1, zeros=0)
    assert (found.n, found.references, found.no_token) == (3, (0, 0, 0), (1, 3))
    assert question.examples.clusters == ("0", "1", "2")
    assert compare(found, found, clusters=asked.load().clusters).n == 3
    said = gen("evaluate", folder, "--data", films.file)
    assert "n = 3" in said.out
    assert "caution: left out, for they gave no token: 2, at 2, 4" in said.out
    (row,) = json.loads(gen("evaluate", folder, "--data", films.file, "--json").out)
    assert (row["n"], row["no_token"]) == (3, [1, 3])


def test_answers_to_other_sentences_of_as_many_are_told_apart(scored: Callable) -> None:
    """Two tokenizers that drop one sentence each, of like labels, were not asked the same."""
    one = replace(scored([0, 1, 1], [0, 1, 0]), no_token=(0,))
    with pytest.raises(ReportError, match="two evaluations of the same examples"):
        compare(one, replace(one, no_token=(1,)))


def test_sentences_that_all_give_no_token_are_refused(saved: Saved, films: Task) -> None:
    assert films.file is not None
    films.file.write_text("sentence\tlabel\n…\tnegative\n… …\tpositive\n")
    opened = open_model(Checkpoint("tiny", dropping_dots(saved("GPT-2"))))
    with pytest.raises(ReportError, match=r"tiny on films: expected sentences .* all gave none"):
        answering.prepare(opened, films)


def test_labels_that_differ_by_case_alone_are_answered_apart(saved: Saved, films: Task) -> None:
    opened = open_model(Checkpoint("tiny", saved("BERT", **WIDE)))
    opened.model.config.id2label = {0: "US", 1: "us"}
    assert films.file is not None
    films.file.write_text(
        films.file.read_text().replace("negative", "us").replace("positive", "US")
    )
    question = answering.prepare(opened, replace(films, labels=("us", "US")))
    assert (question.outputs, question.label_mapping) == ((1, 0), "by name")


def test_a_prompt_that_begins_with_the_start_mark_itself_has_it_once(
    saved: Saved, films: Task
) -> None:
    opened = open_model(Checkpoint("tiny", saved(CAUSAL, **WIDE)))
    marked = replace(films, prompt="[CLS] " + films.prompt)
    assert answering.prepare(opened, marked).tokens == answering.prepare(opened, films).tokens
