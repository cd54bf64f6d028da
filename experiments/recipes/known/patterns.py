"""Names of tensors as patterns: general over blocks, with the states that they need. Pure."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any


def general(kinds: Mapping[str, str], stacks: Collection[str]) -> dict[str, str]:
    """The names of a class, those that every block has as one with `*` for its number.

    >>> general({"h.0.w": "linear", "h.1.w": "linear", "h.0.b": "other", "u": "norm"}, ["h"])
    {'h.*.w': 'linear', 'h.0.b': 'other', 'u': 'norm'}
    """
    found: dict[str, str] = {}
    for stack in stacks:
        inside = [name.removeprefix(f"{stack}.") for name in kinds if name.startswith(f"{stack}.")]
        numbers = {name.partition(".")[0] for name in inside}
        for number, _, rest in (name.partition(".") for name in inside):
            kind = kinds[f"{stack}.{number}.{rest}"]
            everywhere = all(kinds.get(f"{stack}.{other}.{rest}") == kind for other in numbers)
            assert everywhere or number == "0", f"{rest} of {stack} is in some blocks only"
            found[f"{stack}.{'*' if everywhere else number}.{rest}"] = kind
    outside = tuple(f"{stack}." for stack in stacks)
    return found | {name: kind for name, kind in kinds.items() if not name.startswith(outside)}


def conditional(
    variants: Sequence[Mapping[str, Any]], states: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Names with what all variants say of them, and the states in which they are there."""
    found: dict[str, Any] = {}
    for name in sorted({name for variant in variants for name in variant}):
        there = [state for state, variant in zip(states, variants) if name in variant]
        (said,) = {variant[name] for variant in variants if name in variant}
        needed = {}
        for key in states[0]:
            met = list(dict.fromkeys(state[key] for state in there))
            if len(met) < len({state[key] for state in states}):
                needed[key] = met
        meeting = [s for s in states if all(s[key] in met for key, met in needed.items())]
        assert meeting == there, f"{name} needs more than one state of each key"
        found[name] = [said, needed] if needed else said
    return found


def beside(row: dict[str, Any], plain: str, body: dict[str, Any]) -> dict[str, Any]:
    """The row of a class with a head, its body's names left out where the plain model has them."""
    at = f"{row['prefix']}." if any(x.startswith(f"{row['prefix']}.") for x in row["kinds"]) else ""
    kinds = row["kinds"]
    own = {
        name: said
        for name, said in kinds.items()
        if body["kinds"].get(name.removeprefix(at)) != said
    }
    without = [name for name in body["kinds"] if at + name not in kinds]
    if row is body or len(own) + len(without) >= len(kinds):
        return row
    return row | {"at": at, "body": plain, "kinds": own, "without": without}


def lines(value: Any, depth: int = 0) -> str:
    """A table as JSON with a line for every name, sorted.

    >>> print(lines({"b": [1, 2], "a": {}}))
    {
     "a": {},
     "b": [1, 2]
    }
    """
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    space = " " * (depth + 1)
    rows = [f"{space}{json.dumps(key)}: {lines(value[key], depth + 1)}" for key in sorted(value)]
    return "{\n" + ",\n".join(rows) + f"\n{' ' * depth}}}"
