"""How an open model is fed: how much it takes, and what goes along with the words."""

from collections.abc import Sequence
from functools import partial

import torch

from experiments.checkpoint import positions
from experiments.models.opening import OpenModel


def longest_input(opened: OpenModel) -> int:
    """How many tokens the model can take: its tokenizer's limit and its position table's."""
    return min([opened.tokenizer.model_max_length, *position_tables(opened)])


def position_tables(opened: OpenModel) -> list[int]:
    """How many positions the model's tables offer: none where positions are relative."""
    return positions.position_tables(partial(getattr, opened.model.config))


def fitted(opened: OpenModel, texts: Sequence[str]) -> tuple[list[list[int]], int]:
    """Texts in tokens, with all marks, and how many were cut at their end to what the model takes."""
    longest = longest_input(opened)
    rows: list[list[int]] = opened.tokenizer(list(texts))["input_ids"]
    cut = sum(len(row) > longest for row in rows)
    if cut:
        rows = opened.tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
    return rows, cut


def begun(opened: OpenModel, texts: Sequence[str]) -> list[list[int]]:
    """Texts in tokens, to be gone on with: with the start mark a tokenizer sets, no end mark."""
    ends = {opened.tokenizer.eos_token_id, opened.tokenizer.sep_token_id}
    rows: list[list[int]] = opened.tokenizer(list(texts))["input_ids"]
    return [row[:-1] if row and row[-1] in ends else row for row in rows]


def attention_to_first(opened: OpenModel, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """LED's global attention on the first token, as it was trained; nothing for other models."""
    if opened.model.config.model_type != "led":
        return {}
    mask = torch.zeros_like(ids)
    mask[:, 0] = 1
    return {"global_attention_mask": mask}
