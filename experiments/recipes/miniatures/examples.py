"""Turns the tables of a task into batches of token ids.

Reads the training and evaluation tables from disk; otherwise pure. Shapes: B sentences, T
tokens.
"""

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from experiments.recipes.miniatures import tables
from experiments.recipes.miniatures.tokenizer import DATA, LABELS, PAD

NEIGHBOURS = 40  # batches that are sorted by length together


class Example(NamedTuple):
    """One sentence: its token ids, the index of its label, and what it shares with its minimal
    partner.
    """

    ids: list[int]
    label: int
    group: str = ""


def load(task: str, split: str, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
    """A split, tokenized and cut at the tokenizer's longest."""
    rows = tables.read(DATA / task / f"{split}.tsv")
    ids = tokenizer([row["sentence"] for row in rows], truncation=True)["input_ids"]
    return [
        Example(tokens, LABELS[task].index(row["label"]), row.get("pair", row["id"]))
        for tokens, row in zip(ids, rows, strict=True)
    ]


def padded(examples: Sequence[Example]) -> dict[str, Tensor]:
    """``input_ids`` and ``attention_mask`` (B, T), padded on the right to the longest sentence.

    >>> padded([Example([2, 9, 3], 0), Example([2, 3], 1)])["attention_mask"].tolist()
    [[1, 1, 1], [1, 1, 0]]
    """
    longest = max(len(example.ids) for example in examples)
    ids = torch.tensor([example.ids + [PAD] * (longest - len(example.ids)) for example in examples])
    mask = torch.tensor(
        [[1] * len(example.ids) + [0] * (longest - len(example.ids)) for example in examples]
    )
    return {"input_ids": ids, "attention_mask": mask}


def batches(examples: Sequence[Example], size: int, rng: random.Random) -> Iterator[list[Example]]:
    """Every example once, in random batches of like length; minimal partners stand side by side."""
    draw = {group: rng.random() for group in sorted({example.group for example in examples})}
    order = sorted(examples, key=lambda example: draw[example.group])
    longest = {
        example.group: len(example.ids)
        for example in sorted(order, key=lambda example: len(example.ids))
    }
    span, found = size * NEIGHBOURS, []
    for start in range(0, len(order), span):
        near = sorted(order[start : start + span], key=lambda example: longest[example.group])
        found += [near[first : first + size] for first in range(0, len(near), size)]
    rng.shuffle(found)
    yield from found
