"""The bundled miniatures: what their data, their folders and their card promise."""

import functools
import random
import tomllib
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from experiments.checkpoint.locate import MINIATURES
from experiments.recipes.miniatures import (
    answers,
    card,
    examples,
    grammar,
    reviews,
    tables,
    tokenizer,
    train,
)
from experiments.recipes.miniatures.constructions import CONSTRUCTIONS
from experiments.recipes.miniatures.examples import Example

NAMES = sorted(train.RECIPES)
SPLITS = ("train", "evaluation")
MEGABYTE = 1_000_000


@functools.cache
def rows(task: str) -> dict[str, list[dict[str, str]]]:
    """Both splits of a task."""
    return {split: tables.read(MINIATURES / "data" / task / f"{split}.tsv") for split in SPLITS}


@functools.cache
def opened(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, dict[str, set[str]]]:
    """A checkpoint in float32, its tokenizer, and what loading it had to say."""
    opener = AutoModelForSeq2SeqLM if name.startswith("led") else AutoModelForSequenceClassification
    model, info = opener.from_pretrained(
        MINIATURES / name, dtype=torch.float32, output_loading_info=True
    )
    return model.eval(), AutoTokenizer.from_pretrained(MINIATURES / name), info


@pytest.mark.parametrize("task", tokenizer.LABELS)
def test_no_sentence_is_on_both_sides_of_a_split(task: str) -> None:
    train_keys, evaluation_keys = (
        {reviews.key(row["sentence"]) for row in rows(task)[split]} for split in SPLITS
    )
    assert not train_keys & evaluation_keys


@pytest.mark.parametrize("task", tokenizer.LABELS)
def test_every_id_is_used_once_and_every_label_is_known(task: str) -> None:
    everything = [row for split in rows(task).values() for row in split]
    assert len({row["id"] for row in everything}) == len(everything)
    assert {row["label"] for row in everything} == set(tokenizer.LABELS[task])


def test_reviews_have_ten_thousand_and_seventy_two_sentences_half_of_them_positive() -> None:
    splits = rows("reviews")
    assert (len(splits["train"]), len(splits["evaluation"])) == (9072, 1000)
    for split in splits.values():
        assert sum(row["label"] == "positive" for row in split) / len(split) == pytest.approx(
            0.5, abs=0.02
        )


def test_a_review_is_labelled_by_the_sign_of_a_rating_that_is_not_near_zero() -> None:
    for row in rows("reviews")["train"] + rows("reviews")["evaluation"]:
        assert abs(float(row["rating"])) >= reviews.NEUTRAL
        assert (float(row["rating"]) > 0) == (row["label"] == "positive")


def test_the_review_ratings_keep_their_licence() -> None:
    assert "Copyright (c) 2014 cjhutto" in (MINIATURES / "data" / "reviews" / "LICENSE").read_text(
        encoding="utf-8"
    )


def test_the_committed_acceptability_data_is_what_the_grammar_writes(tmp_path: Path) -> None:
    grammar.write(tmp_path, dict(grammar.generate()))
    for split in SPLITS:
        assert (tmp_path / f"{split}.tsv").read_bytes() == (
            grammar.FOLDER / f"{split}.tsv"
        ).read_bytes()


def test_no_pair_is_on_both_sides_of_the_split() -> None:
    train_pairs, evaluation_pairs = (
        {row["pair"] for row in rows("acceptability")[split]} for split in SPLITS
    )
    assert not train_pairs & evaluation_pairs


def test_no_sentence_is_written_twice_by_the_grammar() -> None:
    sentences = [
        row["sentence"].lower() for split in rows("acceptability").values() for row in split
    ]
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize("split", SPLITS)
def test_a_pair_is_one_acceptable_and_one_unacceptable_sentence_of_the_same_kind(
    split: str,
) -> None:
    groups: dict[str, list[dict[str, str]]] = {}
    for row in rows("acceptability")[split]:
        groups.setdefault(row["pair"], []).append(row)
    pairs = [group for group in groups.values() if len(group) > 1]
    assert (len(pairs), len(groups) - len(pairs)) == grammar.SIZES[split]
    assert all(
        sorted(row["label"] for row in pair) == ["acceptable", "unacceptable"] for pair in pairs
    )
    assert all(pair[0]["kind"] == pair[1]["kind"] for pair in pairs)
    assert all(
        row["id"] == row["pair"] and row["label"] == "acceptable"
        for [row, *rest] in groups.values()
        if not rest
    )


def test_every_construction_occurs_as_an_error_on_both_sides() -> None:
    for split in rows("acceptability").values():
        assert {row["kind"] for row in split if row["label"] == "unacceptable"} == set(
            CONSTRUCTIONS
        )


def test_a_table_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(ValueError, match="tab or line break"):
        tables.line(["1", "two\twords"])


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_loads_whole_and_fits_its_limit(name: str) -> None:
    model, words, info = opened(name)
    assert not any(info.values()), info
    assert (MINIATURES / name / "model.safetensors").stat().st_size <= 6 * MEGABYTE
    assert (words.model_max_length, len(words)) == (tokenizer.LONGEST, tokenizer.VOCABULARY)
    assert (
        tuple(dict(model.config.id2label or {}).values())
        == tokenizer.LABELS[train.RECIPES[name].task]
    )
    assert words.pad_token_id == model.config.pad_token_id != model.config.eos_token_id


def test_all_miniatures_together_stay_under_32_megabytes() -> None:
    files = [
        path for path in MINIATURES.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert sum(path.stat().st_size for path in files) <= 32 * MEGABYTE


@pytest.mark.parametrize("name", NAMES)
def test_the_two_checkpoints_of_a_model_have_one_shape(name: str) -> None:
    other = name.split("-")[0] + "-reviews"
    shapes = [
        {key: value.shape for key, value in opened(each)[0].state_dict().items()}
        for each in (name, other)
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_does_not_depend_on_the_batch(name: str) -> None:
    model, words, _ = opened(name)
    texts = [
        "Dull.",
        "A warm, funny and moving film.",
        "The keys near the old cabinet is still very dirty.",
    ]
    given = [Example(ids, 0) for ids in words(texts)["input_ids"]]
    labels = answers.words(words, train.RECIPES[name].task)
    alone = [label for example in given for label in answers.predict(model, [example], labels)]
    assert answers.predict(model, given, labels) == alone
    assert answers.NO_LABEL not in alone


def test_the_led_feed_forward_is_relu() -> None:
    assert opened("led-reviews")[0].config.activation_function == "relu"


def test_each_label_word_is_one_token() -> None:
    words = opened("led-reviews")[1]
    for names in tokenizer.LABELS.values():
        assert [words.tokenize(name) for name in names] == [[name] for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_the_card_knows_every_checkpoint_and_its_score_reaches_the_floor(name: str) -> None:
    entry = tomllib.loads((MINIATURES / "card.toml").read_text(encoding="utf-8"))[name]
    recipe = train.RECIPES[name]
    assert (entry["model"], entry["family"]) == card.MODELS[recipe.model]
    assert (entry["epochs"], entry["learning_rate"], entry["seed"]) == (
        recipe.epochs,
        recipe.rate,
        recipe.seed,
    )
    assert entry["score"] >= answers.FLOORS[recipe.task]


def test_batches_hold_every_example_once_and_keep_partners_together() -> None:
    given = [Example([2] * (3 + number % 5), number % 2, f"p{number // 2}") for number in range(64)]
    found = list(examples.batches(given, 8, random.Random(0)))
    assert sorted(example.group for batch in found for example in batch) == sorted(
        example.group for example in given
    )
    assert all(
        first.group == second.group
        for batch in found
        for first, second in zip(batch[::2], batch[1::2], strict=True)
    )
