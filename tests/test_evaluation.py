"""Evaluation: answers are those of plain transformers, one sentence at a time, at any batch size."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertModel, LEDForConditionalGeneration

from experiments import answering, evaluation
from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate
from experiments.errors import ReportError
from experiments.labels import match_labels
from experiments.models import OpenModel, open_model
from experiments.records import Evaluation
from experiments.tasks.table import Task, task

Saved = Callable[..., Path]
Scored = Callable[..., Evaluation]
WORDS = ["a", "film", "is", "good", "bad", "very", "[SEP]", "it", "dull", "not"]


@pytest.fixture
def films(tmp_path: Path) -> Task:
    """Thirty labelled sentences of many lengths; some hold the text of the end mark."""
    path, generator = tmp_path / "films.tsv", np.random.default_rng(0)
    rows = [" ".join(generator.choice(WORDS, size=1 + at % 9)) + "\tpositive" for at in range(29)]
    path.write_text("\n".join(["sentence\tlabel", "dull\tnegative", *rows]))
    return Task(
        name="films", question="?", file=path, metric="accuracy", labels=("negative", "positive")
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


@pytest.mark.parametrize(
    ("own", "wanted", "outputs", "how"),
    [
        (["POSITIVE", "NEGATIVE"], ["negative", "positive"], [1, 0], "by name"),
        (["neutral", "Positive", "Negative"], ["negative", "positive"], [-1, 1, 0], "by name"),
        (["LABEL_0", "LABEL_1"], ["negative", "positive"], [0, 1], "by order"),
        (["bad", "good"], ["0", "1"], [0, 1], "by number"),
        (["LABEL_0", "LABEL_1"], ["0", "1"], [0, 1], "by order"),
    ],
)
def test_labels_are_matched_by_name_and_else_it_is_said_how(
    own: list[str], wanted: list[str], outputs: list[int], how: str
) -> None:
    found, said = match_labels(dict(enumerate(own)), wanted, model="m")
    assert (found, said.partition(":")[0]) == (outputs, how)


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        (["entailment", "contradiction"], ["negative", "positive"]),
        (["positive", "neutral"], ["negative", "positive"]),
        (["LABEL_0", "LABEL_1", "LABEL_2"], ["negative", "positive"]),
        (["bad", "good"], ["0", "1", "2"]),
    ],
)
def test_labels_that_do_not_match_are_refused(own: list[str], wanted: list[str]) -> None:
    with pytest.raises(ReportError, match="the task's labels"):
        match_labels(dict(enumerate(own)), wanted, model="m")


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
    question = answering.prepare(open_model(Checkpoint("tiny", saved())), films, limit=7)
    assert len(question.tokens) == len(question.examples.references) == 7
    assert question.examples.split == "evaluation, 7 of 30"


def test_a_constant_answer_is_flagged_and_its_mcc_has_no_interval(scored: Scored) -> None:
    found = scored([1, 0, 1, 1], [1, 1, 1, 1], metric="mcc")
    assert (found.value, found.interval, found.constant_prediction) == (0.0, None, True)
    assert (found.accuracy, found.majority, found.majority_label) == (0.75, 0.75, "positive")
    varied = scored([1, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 1], metric="mcc")
    assert (varied.constant_prediction, varied.interval is None) == (False, False)
    by_accuracy = scored([1, 0, 1, 1], [1, 1, 1, 1])
    assert (by_accuracy.constant_prediction, by_accuracy.interval is None) == (True, False)


def test_references_of_one_class_have_no_mcc_interval(scored: Scored) -> None:
    found = scored([1, 1, 1], [1, 0, 1], metric="mcc")
    assert (found.value, found.interval) == (0.0, None)


def test_an_answer_that_is_no_label_is_wrong_in_every_score(scored: Scored) -> None:
    found = scored([0, 1, 0, 1], [0, -1, -1, 1])
    assert (found.accuracy, found.value, found.not_a_label) == (0.5, 0.5, 2)
    assert found.predictions == (0, -1, -1, 1)
    # Wilson of 2 of 4: (2 + z²/2 ± z·√(1 + z²/4)) / (4 + z²)
    assert found.interval == pytest.approx((0.1500, 0.8500), abs=5e-5)


def test_accuracy_of_generated_words_is_called_exact_match(scored: Scored) -> None:
    generated = "generated label word"
    assert scored([0, 1], [0, 1], answered_by=generated).metric == "exact_match"
    assert scored([0, 1], [0, 1], answered_by=generated, metric="mcc").metric == "mcc"


def test_pairs_are_resampled_together(scored: Scored) -> None:
    generator = np.random.default_rng(0)
    references = np.repeat(generator.integers(0, 2, 60), 2)
    predictions = np.where(np.repeat(generator.random(60) < 0.7, 2), references, 1 - references)
    alone = scored(references.tolist(), predictions.tolist(), metric="mcc")
    clusters = [str(at // 2) for at in range(120)]
    paired = scored(references.tolist(), predictions.tolist(), metric="mcc", clusters=clusters)
    widths = [high - low for low, high in (alone.interval, paired.interval)]
    assert widths[1] / widths[0] == pytest.approx(2**0.5, abs=0.1)
    assert replace(paired, interval=None) == replace(alone, interval=None)
