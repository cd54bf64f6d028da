"""The whole table: a row for each model type, and what all of them share."""

from collections.abc import Iterable
from typing import Any

from transformers import PreTrainedConfig

from experiments.models import known
from experiments.recipes.known.family import Family
from experiments.recipes.known.settings import COMMON, RESERVED, ROTARY, SWITCHES


def table(model_types: Iterable[str] = SWITCHES) -> dict[str, Any]:
    """The table of the transformers that is installed."""
    made: dict[str, Any] = {
        "configurations": {},
        "keys": COMMON,
        "reserved": [*RESERVED, *(name for name in dir(PreTrainedConfig) if name[0] != "_")],
        "rotary": ROTARY,
        "transformers": known.release(),
    }
    for model_type in model_types:
        Family(model_type).into(made)
    return made
