"""The classes of a model type, built without weights to see what their tensors are called.

Every class is built under all values of its switches together, then under other values of every key
alone: what is then built otherwise than the table says is taken out of it. Reads no checkpoint.
"""

import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from types import NoneType
from typing import Any, get_args

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
    PreTrainedConfig,
)
from transformers.initialization import no_init_weights

from experiments.models import known
from experiments.models.known_values import ACTIVATIONS, ATTENTION, state
from experiments.models.modules import outline_of
from experiments.models.outline import Outline
from experiments.recipes.known.patterns import beside, conditional, general
from experiments.recipes.known.settings import (
    BOTH,
    COMMON,
    COUNTS,
    HEADS,
    IN_NO_MAPPING,
    SWITCHES,
    UNDECLARED,
    WIDTHS,
    Rule,
)

Settings = Mapping[str, Any]

MAPPINGS = (
    MODEL_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
)
SHORT = {int: "int", float: "float", bool: "bool", str: "str", NoneType: "null"}
SHORT |= {list[int]: "ints", list[str]: "strs"}
READ = {"int": "size", "ints": "sizes", "strs": "layers"}  # what must be above 0 to be built with


class Family:
    """The classes of a model type, built without weights to see what their tensors are called."""

    def __init__(self, model_type: str) -> None:
        self.model_type = model_type
        self.config: Any = CONFIG_MAPPING[model_type]
        kinds: list[Any] = [mapping.get(self.config, None) for mapping in MAPPINGS]
        kinds += [getattr(transformers, name) for name in IN_NO_MAPPING.get(model_type, [])]
        self.kinds = {kind.__name__: kind for kind in kinds if kind is not None}
        self.rules = fields(self.config) | UNDECLARED.get(model_type, {})
        self.counts = {key: count for key, count in COUNTS.items() if key in self.rules}
        self.switches = SWITCHES[model_type] | {"tie_word_embeddings": BOTH}
        self.read: set[str] = set()

    def into(self, made: dict[str, Any]) -> None:
        """Add this model type to a table, without the values under which the table would err."""
        variants = [dict(zip(self.switches, chosen)) for chosen in product(*self.switches.values())]
        classes = {kind: self._class(kind, variants) for kind in self.kinds}
        plain = next(iter(self.kinds))
        row = made["configurations"][self.model_type] = {
            "absent": self._absent(),
            "aliases": dict(self.config.attribute_map),
            "classes": {
                kind: beside(said, plain, classes[plain]) for kind, said in classes.items()
            },
            "heads": sorted(key for key in self._named(HEADS) if self._must_divide(key)),
            "implied": {key: said for key in self.switches if (said := self._implied(key))},
            "instead": {
                key: next(iter(self.counts)) for key in self.counts if self.rules[key][1] is None
            },
            "keys": {key: self._rule(key) for key in self.rules},
            "plain": plain,
        }
        for key, rule in row["keys"].items():
            if len(rule) == 2:
                words = [word for word in rule[0].split("|") if self._foreseen(made, key, word)]
                rule[0] = "|".join(words)

    def built(self, kind: str, settings: Settings) -> Outline:
        """The outline of a class under these settings, with few blocks; what it reads is noted."""
        config = self.config(**{**self.counts, **settings})
        plain = self.config.__getattribute__

        def noted(this: Any, name: str) -> Any:
            if sys._getframe(1).f_globals["__name__"].startswith("transformers.models."):
                self.read.add(self.config.attribute_map.get(name, name))
            return plain(this, name)

        self.config.__getattribute__ = noted
        try:
            with torch.device("meta"), no_init_weights():
                model = self.kinds[kind](config)
            model.tie_weights()
            return outline_of(model)
        finally:
            self.config.__getattribute__ = plain

    def _class(self, kind: str, variants: Sequence[Settings]) -> dict[str, Any]:
        """The row of a class: its names under all variants, each with the states that it needs."""
        outlines = [self.built(kind, variant) for variant in variants]
        blocks = {stack: self._count(outlines[0], stack) for stack in outlines[0].stacks}
        kinds = [general(outline.kinds, blocks) for outline in outlines]
        states = [{key: self._state(key, x) for key, x in variant.items()} for variant in variants]
        return {
            "blocks": blocks,
            "kinds": conditional(kinds, states),
            "prefix": outlines[0].prefix,
            "tied": conditional([dict(outline.tied) for outline in outlines], states),
        }

    def _state(self, key: str, value: Any) -> Any:
        """What of a switch's value decides: of a width, whether it is one of its own."""
        return value is not None if key in WIDTHS else state(value)

    def _count(self, outline: Outline, stack: str) -> str:
        """The key that counts the blocks of a stack."""
        inside = [name for name in outline.kinds if name.startswith(f"{stack}.")]
        blocks = {name.removeprefix(f"{stack}.").split(".")[0] for name in inside}
        (key,) = (key for key, count in self.counts.items() if count == len(blocks))
        return key

    def _rule(self, key: str) -> Rule:
        """What a key may hold: what is built with must be a size, a known activation, or a state."""
        words, default = self.rules[key][:2]
        if key in self.switches:
            states = dict.fromkeys(self._state(key, value) for value in self.switches[key])
            return [words, default, [*states], *([WIDTHS[key]] if key in WIDTHS else [])]
        if key in self.read and key != "pad_token_id":  # a token, which may be the first
            words = "|".join(READ.get(word, word) for word in words.split("|"))
            words = words.replace("str", "activation")
        return [words, default]

    def _other(self, key: str, word: str) -> Any:
        """A value of a kind that is not the key's default."""
        default: Any = self.counts.get(key, self.rules[key][1])
        several = next(iter(self.counts.values()))
        match word:
            case "size":
                return 2 * default if type(default) is int and default > 0 else 2
            case "float" | "number":
                return 0.0 if default else 0.5
            case "bool":
                return not default
            case "activation":
                return next(name for name in ACTIVATIONS if name != default)
            case "sizes":
                return [default] * several
            case "layers":
                return [*ATTENTION]
        return None if word == "null" else default  # what nothing reads needs no other

    def _foreseen(self, made: Mapping[str, Any], key: str, word: str) -> bool:
        """Whether every class is what the table says of it where a key has another value of a kind."""
        stated = {"model_type": self.model_type, **self.counts, key: self._other(key, word)}
        try:
            return all(
                known.listed({"architectures": [kind], **stated}, made).outline()
                == self.built(kind, stated)
                for kind in self.kinds
            )
        except (ValueError, TypeError, KeyError, StrictDataclassError, known.NotListedError):
            return False

    def _named(self, names: Iterable[str]) -> set[str]:
        """The keys that these are names of here."""
        return {self.config.attribute_map.get(name, name) for name in names} & {*self.rules}

    def _must_divide(self, key: str) -> bool:
        """Whether so many heads must divide the width."""
        try:
            self.built(next(iter(self.kinds)), {key: 7})
        except (ValueError, StrictDataclassError):
            return True
        return False

    def _implied(self, key: str) -> dict[str, dict[str, Any]]:
        """What a configuration derives from a switch in words, and a file may state beside it."""
        said = {}
        for value in self.switches[key]:
            if isinstance(value, str) and self.rules[key][0] == "str":
                held = vars(self.config(**{key: value}))
                derived = self.read & {*held} - {*self.rules}
                said[state(value)] = {
                    name: held[name] for name in sorted(derived) if name != "id2label"
                }
        return {value: names for value, names in said.items() if names}

    def _absent(self) -> list[str]:
        """What models read if it is there, though their configuration has nothing of that name."""
        derived = {
            name for key in self.switches for said in self._implied(key).values() for name in said
        }
        known_of = {*self.rules, *COMMON, *derived, *dir(self.config)}
        return sorted(name for name in self.read - known_of if not name.startswith("_"))


def fields(config: type[PreTrainedConfig]) -> dict[str, Rule]:
    """The keys that a configuration has beside those of all, with their kinds and defaults."""
    common = {field.name: field.type for field in dataclasses.fields(PreTrainedConfig)}
    return {
        field.name: ["|".join(_words(field.type)), field.default]
        for field in dataclasses.fields(config)
        if common.get(field.name) != field.type
    }


def _words(annotation: Any) -> list[str]:
    kinds = [annotation] if annotation in SHORT else get_args(annotation)
    words = [SHORT[kind] for kind in kinds if kind in SHORT]
    if {"int", "float"} <= {*words}:
        return ["number", *(word for word in words if word not in ("int", "float"))]
    return words
