"""Whether a value of a config.json is one that the table of known architectures was made with. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

ACTIVATIONS = (
    "gelu",
    "gelu_fast",
    "gelu_new",
    "gelu_pytorch_tanh",
    "relu",
    "silu",
    "swish",
    "tanh",
)
ATTENTION = ("full_attention", "sliding_attention")
DTYPES = ("float16", "bfloat16", "float32", "float64")
ROTARY = re.compile(r"^(rope|rotary|partial_rotary)_")  # positions, as old and new files state them


def fits(value: Any, words: str, *, blocks: int) -> bool:
    """Whether a value is of one of these kinds, "size|null" say; lists of layers are `blocks` long.

    >>> [fits(value, "size|null", blocks=2) for value in (3, None, 0, True, 3.0)]
    [True, True, False, False, False]
    """
    return any(_is(value, word, blocks) for word in words.split("|"))


def _is(value: Any, word: str, blocks: int) -> bool:
    match word:
        case "size":
            return type(value) is int and value > 0
        case "float" | "number":  # of dropouts, epsilons and deviations
            return (
                type(value) in ((float,) if word == "float" else (float, int)) and 0 <= value <= 1
            )
        case "activation":
            return isinstance(value, str) and value in ACTIVATIONS
        case "dtype":
            return isinstance(value, str) and value in DTYPES
        case "labels":
            return isinstance(value, dict) and all(key.isdecimal() for key in value)
        case "ints" | "strs" | "sizes" | "layers":
            whole = word in ("ints", "strs") or (isinstance(value, list) and len(value) == blocks)
            return isinstance(value, list) and whole and all(_is_part(x, word) for x in value)
        case "null":
            return value is None
    return type(value).__name__ == word


def _is_part(value: Any, word: str) -> bool:
    match word:
        case "layers":
            return value in ATTENTION
        case "sizes":
            return type(value) is int and value > 0
    return type(value) is (str if word == "strs" else int)


def fits_rotary(name: str, value: Any, forms: Mapping[str, Sequence[str]]) -> bool:
    """Whether what is said of rotary positions is a number, none, or a known form with its numbers.

    >>> fits_rotary("rope_scaling", {"type": "linear", "factor": 2.0}, {"linear": ["factor"]})
    True
    """
    if not isinstance(value, dict):
        number = type(value) in (int, float) and name not in ("rope_parameters", "rope_scaling")
        return value is None or number
    rest = {key: x for key, x in value.items() if key not in ("rope_type", "type")}
    form = value.get("rope_type", value.get("type", "default"))
    usual = {"rope_theta", "partial_rotary_factor"}
    numbers = all(type(x) in (int, float) for x in rest.values())
    return isinstance(form, str) and numbers and {*rest} - usual == {*forms.get(form, ("",))}


def state(value: Any) -> Any:
    """What of a value can change names: whether a number is above 0, which words a list has.

    >>> state(2), state(0), state("p2c | c2p"), state(["c2p", "p2c"]), state(None)
    (True, False, 'c2p|p2c', 'c2p|p2c', None)
    """
    if isinstance(value, int | float):
        return value > 0
    if isinstance(value, str):
        value = [part.strip() for part in value.split("|")]
    return "|".join(sorted(value)) if isinstance(value, list) else value
