"""How an open model is fed: how much it takes, and what goes along with the words."""

from collections.abc import Iterable, Sequence

import torch

from experiments.checkpoint import positions
from experiments.errors import ReportError
from experiments.models.opening import OpenModel

Row = list[int]


def longest_input(opened: OpenModel) -> int:
    """How many tokens the model can take: its tokenizer's limit and its position table's.

    Raises:
        ReportError: where they leave room for none.
    """
    tables = positions.position_tables(opened.model.config.to_dict())
    longest = min([opened.tokenizer.model_max_length, *tables])
    if longest < 1:
        raise ReportError(
            f"{opened.checkpoint.name}",
            f"room for one token or more, found {longest}",
            "see its tokenizer's model_max_length and its config.json",
        )
    return int(longest)


def vocabulary(opened: OpenModel) -> int:
    """How many tokens the model has embeddings of, whichever part of it holds them."""
    weight = getattr(opened.model.get_input_embeddings(), "weight", None)
    if isinstance(weight, torch.Tensor):
        return int(weight.shape[0])
    return int(opened.model.config.get_text_config().vocab_size)


def fitted(opened: OpenModel, texts: Sequence[str]) -> tuple[list[Row], int]:
    """Texts in tokens, with all marks, and how many were cut at their end to what the model takes."""
    longest = longest_input(opened)
    rows: list[Row] = opened.tokenizer(list(texts))["input_ids"]
    cut = sum(len(row) > longest for row in rows)
    if cut:
        rows = opened.tokenizer(list(texts), truncation=True, max_length=longest)["input_ids"]
    _refuse_unknown(opened, rows)
    return rows, cut


def begun(opened: OpenModel, texts: Sequence[str]) -> list[Row]:
    """Texts in tokens, to be gone on with: with the start mark a tokenizer sets, no end mark."""
    return [marks + own for marks, own in parted(opened, texts)]


def parted(opened: OpenModel, texts: Sequence[str]) -> list[tuple[Row, Row]]:
    """Of each text the marks that the tokenizer begins it with, and its own tokens; no end mark.

    A text that begins with these marks itself has them once.
    """
    every: list[Row] = opened.tokenizer(list(texts))["input_ids"]
    bare: list[Row] = opened.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    _refuse_unknown(opened, every)
    found = []
    for row, own in zip(every, bare):
        marks = _before(own, row)
        found.append((marks, own[len(marks) :] if own[: len(marks)] == marks else own))
    return found


def _before(own: Row, row: Row) -> Row:
    """What stands in a row before a text's own tokens."""
    ends = range(len(own), len(row) + 1)
    start = next((end - len(own) for end in ends if row[end - len(own) : end] == own), 0)
    return row[:start]


def _refuse_unknown(opened: OpenModel, rows: Iterable[Row]) -> None:
    """Raise where a tokenizer makes tokens that the model has no embedding of."""
    highest, size = max((max(row) for row in rows if row), default=0), vocabulary(opened)
    if highest >= size:
        raise ReportError(
            f"{opened.checkpoint.name}",
            f"a tokenizer of the {size} tokens that the model has, found token {highest}",
            "copy the model's own tokenizer beside the weights",
        )


def attention_to_first(opened: OpenModel, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """LED's global attention on the first token, as it was trained; nothing for other models."""
    if opened.model.config.model_type != "led":
        return {}
    mask = torch.zeros_like(ids)
    mask[:, 0] = 1
    return {"global_attention_mask": mask}
