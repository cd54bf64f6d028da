"""How many tokens a model has places for, as a configuration states. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

from experiments.errors import ReportError

NAMES = ("max_position_embeddings", "n_positions", "max_encoder_position_embeddings")


def position_tables(stated: Callable[[str, Any], Any]) -> list[int]:
    """How many positions the tables offer, `stated(key, default)` being what a configuration says.

    None where positions are relative. LED pads its input to whole attention windows, so only whole
    windows of its table are of use.

    >>> position_tables({"n_positions": 1030, "attention_window": [256, 512]}.get)
    [1024]
    """
    sizes = [stated(name, None) for name in NAMES]
    windows = stated("attention_window", 1)
    window = max(windows) if isinstance(windows, list) else windows
    return [size - size % window for size in sizes if type(size) is int and size > 0]


def refuse_longer(model: str, tokens: int, tables: Sequence[int]) -> None:
    """Raise where a model has no place for so many tokens."""
    if tokens > (most := min(tables, default=tokens)):
        raise ReportError(f"{model}, {tokens} tokens", f"at most {most}", "ask for fewer")
