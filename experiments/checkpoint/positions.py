"""How many tokens a model has places for, as its configuration states. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.errors import ReportError

NAMES = (
    "max_position_embeddings", "n_positions", "max_encoder_position_embeddings", "max_seq_len",
)  # fmt: skip
# Model types that count positions from the padding mark + 1, as RoBERTa does: those before stay unused.
AFTER_PAD = {
    "altclip_text_model", "bridgetower_text_model", "camembert", "clap_text_model", "data2vec-text",
    "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mpnet", "roberta",
    "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip
USUAL_PAD = 1
# Model types without a table, whatever a number in their configuration was once used for.
RELATIVE = {"bloom", "longt5", "mt5", "switch_transformers", "t5", "umt5"}
PADS_TO_WINDOWS = {"led"}  # its encoder looks up places for the padding as well
PARTS = ("text_config", "encoder")  # what reads a text, in a configuration made of several


def position_tables(stated: Mapping[str, Any]) -> list[int]:
    """How many tokens the tables have places for, by what a configuration states: none without any.

    >>> position_tables({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1})
    [512]
    >>> position_tables({"model_type": "led", "n_positions": 1030, "attention_window": [256, 512]})
    [1024]
    >>> position_tables({"model_type": "t5", "n_positions": 512})
    []
    """
    inner = [stated[part] for part in PARTS if isinstance(stated.get(part), Mapping)]
    return [*_own_tables(stated), *(size for part in inner for size in position_tables(part))]


def _own_tables(stated: Mapping[str, Any]) -> Iterator[int]:
    kind = stated.get("model_type")
    if kind in RELATIVE or stated.get("alibi") is True:
        return
    unused, window = 0, 1
    if kind in AFTER_PAD:
        pad = USUAL_PAD if kind == "mpnet" else stated.get("pad_token_id", USUAL_PAD)
        unused = pad + 1 if type(pad) is int and pad >= 0 else 0
    if kind in PADS_TO_WINDOWS:
        windows = stated.get("attention_window", 1)
        window = max(windows) if isinstance(windows, list) else windows
    for name in NAMES:
        size = stated.get(name)
        if type(size) is int and size > 0:
            yield size - unused - (size - unused) % window


def refuse_longer(model: str, tokens: int, stated: Mapping[str, Any]) -> None:
    """Raise where a model has no place for so many tokens.

    >>> refuse_longer("gpt2", 2048, {"n_positions": 1024})
    Traceback (most recent call last):
    experiments.errors.ReportError: gpt2, 2048 tokens: expected at most 1024; ask for fewer
    """
    if tokens > (most := min(position_tables(stated), default=tokens)):
        raise ReportError(f"{model}, {tokens} tokens", f"at most {most}", "ask for fewer")
