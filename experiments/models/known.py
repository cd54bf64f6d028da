"""Architectures known by their names: outlines from a table and config.json, no model built.

`known.json` is made of transformers' own modules by `experiments.recipes.known`. A configuration is
taken only where the table is sure of every value that could change a name; of any other it says why
not, and the modules themselves must be asked. Reads that table; imports no torch, no transformers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from experiments.models.known_values import ROTARY, fits, fits_rotary, state
from experiments.models.outline import Outline

OLDER_NAMES = {"T5WithLMHeadModel": "T5ForConditionalGeneration"}  # still in google-t5/t5-3b
TABLE = Path(__file__).with_suffix(".json")
Table = Mapping[str, Any]


class NotListedError(Exception):
    """What of a configuration the table does not cover."""


@cache
def committed() -> Table:
    """The table that stands beside this file."""
    table: Table = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


@cache
def release() -> str:
    """The installed release of transformers, 5.24 of 5.24.0; to import it would take seconds."""
    source = Path(getattr(find_spec("transformers"), "origin", "")).read_text(encoding="utf-8")
    stated = re.search(r'^__version__ = "(\d+\.\d+)', source, re.MULTILINE)
    return stated[1] if stated else "none"


def listed(stated: Mapping[str, Any], table: Table | None = None) -> "Listed":
    """A configuration that the table covers: what config.json states, with its class's defaults.

    Raises:
        NotListedError: with the reason, where the table is not sure of it.
    """
    table = committed() if table is None else table
    if table["transformers"] != release():
        raise NotListedError(f"transformers {release()}, the table is of {table['transformers']}")
    model_type, names = stated.get("model_type"), stated.get("architectures") or [""]
    if "auto_map" in stated:
        raise NotListedError("code of its own")
    if not isinstance(model_type, str) or model_type not in table["configurations"]:
        raise NotListedError(f"model_type {model_type!r}")
    if not isinstance(names, list) or not isinstance(names[0], str):
        raise NotListedError(f"architectures {names!r}")
    configuration = table["configurations"][model_type]
    kind = OLDER_NAMES.get(names[0], names[0]) or configuration["plain"]
    if kind not in configuration["classes"]:
        raise NotListedError(f"class {kind} of {model_type}")
    found = Listed(stated, names[0] or "unnamed", kind, table)
    found.check()
    return found


class Listed:
    """A configuration of a class that the table holds; `name` is the class as config.json has it."""

    def __init__(self, stated: Mapping[str, Any], name: str, kind: str, table: Table) -> None:
        self.stated, self.name, self.kind, self.table = stated, name, kind, table
        self.configuration = table["configurations"][stated["model_type"]]
        self.row = self.configuration["classes"][kind]
        self.aliases = self.configuration["aliases"]
        self.rules: dict[str, list[Any]] = table["keys"] | self.configuration["keys"]
        defaults = {key: rule[1] for key, rule in self.rules.items()}
        self.values = defaults | {self.aliases.get(key, key): stated[key] for key in stated}

    def value(self, name: str) -> Any:
        """What the configuration holds under a name or what it is an alias of; None for nothing."""
        key = self.aliases.get(name, name)
        value = self.values.get(key)
        other = self.configuration["instead"].get(key)
        return self.value(other) if value is None and other else value

    def state(self, key: str) -> Any:
        """What of a key's value can change names."""
        match self.rules[key]:
            case [_, _, _, other]:  # a width, which matters where it is not that of the model
                return self.value(key) not in (None, self.value(other))
        return state(self.value(key))

    def check(self) -> None:
        """Raise NotListedError where a value is none that the table was made with."""
        names = [self.aliases.get(key, key) for key in self.stated]
        for key, name in zip(self.stated, names):
            if names.count(name) > 1 or not self._fits(name, self.stated[key]):
                raise NotListedError(f"{key} {self.stated[key]!r}")
        for key, rule in self.rules.items():
            if len(rule) > 2 and self.state(key) not in rule[2]:
                raise NotListedError(f"{key} {self.value(key)!r}")
        for key, implied in self.configuration["implied"].items():
            for name, value in implied[self.state(key)].items():
                if self.values.get(name, value) != value:
                    raise NotListedError(f"{name} beside {key} {self.value(key)!r}")
        if self.value("hidden_size") < self.value("num_attention_heads"):
            raise NotListedError(f"a width of {self.value('hidden_size')}")
        for heads in self.configuration["heads"]:
            if self.value("hidden_size") % self.value(heads):
                raise NotListedError(f"{heads} {self.value(heads)!r}")
        labels = self.value("id2label") or range(self.value("num_labels"))
        if len(labels) == 1 and "single" in (self.value("problem_type") or ""):
            raise NotListedError("one label alone")
        if (self.value("pad_token_id") or 0) not in range(self.value("vocab_size")):
            raise NotListedError(f"pad_token_id {self.value('pad_token_id')!r}")

    def _fits(self, name: str, value: Any) -> bool:
        if ROTARY.search(name):
            turned = "rope_parameters" in self.rules
            return fits_rotary(name, value, self.table["rotary"] if turned else {})
        if name not in self.rules:  # transformers keeps it, and no model of these reads it
            taken = name in self.table["reserved"] or name in self.configuration["absent"]
            parts = value if isinstance(value, list) else [value]
            plain = name == "task_specific_params" or not any(isinstance(x, dict) for x in parts)
            return plain and not taken and not name.startswith("_")
        words, default = self.rules[name][:2]
        if type(value) is type(default) and value == default:
            return True
        return fits(value, words, blocks=self.value("num_hidden_layers"))

    def outline(self) -> Outline:
        """The outline of the class with the blocks that the configuration states."""
        stacks = {stack: self.value(key) for stack, key in self.row["blocks"].items()}
        kinds = {
            name: kind
            for pattern, kind in self._met(patterns(self.configuration, self.kind))
            for name in expanded(pattern, stacks)
        }
        tied = dict(self._met(self.row["tied"]))
        prefix = self.row["prefix"]
        return Outline(
            architecture=self.kind, prefix=prefix, kinds=kinds, stacks=tuple(stacks), tied=tied
        )

    def _met(self, rows: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """The rows whose conditions the configuration meets: name, what it says."""
        for name, said in rows.items():
            what, needed = said if isinstance(said, list) else (said, {})
            if all(self.state(key) in states for key, states in needed.items()):
                yield name, what


def patterns(configuration: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The names of a class and what holds them, `*` for a block's number: its body's, then its own."""
    row = configuration["classes"][kind]
    if "body" not in row:
        return dict(row["kinds"])
    body = patterns(configuration, row["body"])
    shared = {row["at"] + name: said for name, said in body.items() if name not in row["without"]}
    return {**shared, **row["kinds"]}


def expanded(pattern: str, stacks: Mapping[str, int]) -> list[str]:
    """The names that a pattern stands for.

    >>> expanded("h.*.ln.weight", {"h": 2})
    ['h.0.ln.weight', 'h.1.ln.weight']
    """
    for stack, blocks in stacks.items():
        if pattern.startswith(f"{stack}.*."):
            rest = pattern.removeprefix(f"{stack}.*.")
            return [f"{stack}.{block}.{rest}" for block in range(blocks)]
    return [pattern]
