"""How the table of known architectures is made: `python -m experiments.recipes.known`.

Every class is built without weights under all values of its switches together, then under other values
of every key alone: what is then built otherwise than the table says is taken out of it. Writes
`experiments/models/known.json`; reads no checkpoint.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
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
from experiments.models.opening import be_quiet
from experiments.models.outline import Outline

Rule = list[Any]  # words of its kinds, default, states that are known, the width it must equal
Settings = Mapping[str, Any]

MAPPINGS = (
    MODEL_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
)
IN_NO_MAPPING = {"mt5": ["MT5EncoderModel"], "t5": ["T5EncoderModel"]}
COUNTS = {  # unlike, so that a stack of blocks shows which key counts it
    "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "encoder_layers": 2,
    "decoder_layers": 3, "num_decoder_layers": 3,
}  # fmt: skip
HEADS = ("num_attention_heads", "encoder_attention_heads", "decoder_attention_heads")
BOTH = (False, True)
FORWARD = ("relu", "gated-gelu", "gated-relu", "gated-silu")
# What decides by its value which tensors there are, and the values that are known.
SWITCHES: dict[str, dict[str, Sequence[Any]]] = {
    "bart": {},
    "bert": {},
    "blenderbot": {},
    "blenderbot-small": {},
    "deberta": {
        "pos_att_type": (None, "c2p|p2c"),
        "position_biased_input": BOTH,
        "relative_attention": BOTH,
        "type_vocab_size": (0, 2),
    },
    "deberta-v2": {
        "conv_kernel_size": (0, 3),
        "norm_rel_ebd": ("none", "layer_norm"),
        "pos_att_type": (None, "c2p|p2c"),
        "position_biased_input": BOTH,
        "relative_attention": BOTH,
        "share_att_key": BOTH,
        "type_vocab_size": (0, 2),
    },
    "distilbert": {},
    "gpt2": {"add_cross_attention": BOTH},
    "gpt_neox": {"attention_bias": BOTH},
    "gptj": {},
    "led": {},
    "llama": {"attention_bias": BOTH, "mlp_bias": BOTH},
    "mt5": {"feed_forward_proj": FORWARD},
    "opt": {
        "_remove_final_layer_norm": BOTH,
        "do_layer_norm_before": BOTH,
        "enable_bias": BOTH,
        "layer_norm_elementwise_affine": BOTH,
        "word_embed_proj_dim": (None, 512),
    },
    "qwen2": {},
    "qwen3": {"attention_bias": BOTH},
    "roberta": {},
    "t5": {"feed_forward_proj": FORWARD},
}
WIDTHS = {"word_embed_proj_dim": "hidden_size"}  # matter where they are other than this
# What models read that their configurations have no field for, and what they take where it is not.
UNDECLARED: dict[str, dict[str, Rule]] = {
    "deberta": {"pooler_hidden_size": ["size", 0]},
    "deberta-v2": {
        "conv_act": ["activation", "tanh"],
        "conv_groups": ["size", 1],
        "conv_kernel_size": ["size", 0],
        "norm_rel_ebd": ["str", "none"],
        "pooler_hidden_size": ["size", 0],
        "position_buckets": ["size", -1],
        "share_att_key": ["bool", False],
    },
}
PROBLEMS = [None, "multi_label_classification", "regression", "single_label_classification"]
# What any configuration may state.
COMMON: dict[str, Rule] = {
    "architectures": ["strs|null", None],
    "attn_implementation": ["null", None],
    "chunk_size_feed_forward": ["int", 0],
    "dtype": ["dtype|null", None],
    "experts_implementation": ["null", None],
    "id2label": ["labels|null", None],
    "is_encoder_decoder": ["bool", False],
    "label2id": ["dict|null", None],
    "model_type": ["str", ""],
    "num_labels": ["size", 2],
    "output_attentions": ["bool", False],
    "output_hidden_states": ["bool|null", False],
    "problem_type": ["null|str", None, PROBLEMS],
    "return_dict": ["bool|null", True],
    "torch_dtype": ["dtype|null", None],
    "transformers_version": ["str|null", None],
}
ROTARY = {  # forms of rotary positions, and the numbers that they need
    "default": [],
    "dynamic": ["factor"],
    "linear": ["factor"],
    "llama3": [
        "factor", "high_freq_factor", "low_freq_factor", "original_max_position_embeddings",
    ],
}  # fmt: skip
SHORT = {int: "int", float: "float", bool: "bool", str: "str", NoneType: "null"}
SHORT |= {list[int]: "ints", list[str]: "strs"}
READ = {"int": "size", "ints": "sizes", "strs": "layers"}  # what must be above 0 to be built with


def table() -> dict[str, Any]:
    """The table of the transformers that is installed."""
    be_quiet()
    made: dict[str, Any] = {
        "configurations": {},
        "keys": COMMON,
        "rotary": ROTARY,
        "transformers": known.release(),
    }
    for model_type in SWITCHES:
        Family(model_type).into(made)
    return made


class Family:
    """The classes of a model type, built without weights to see what their tensors are called."""

    def __init__(self, model_type: str) -> None:
        self.model_type = model_type
        self.config: Any = CONFIG_MAPPING[model_type]
        kinds = [mapping.get(self.config, None) for mapping in MAPPINGS]
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
                kind: _beside(said, plain, classes[plain]) for kind, said in classes.items()
            },
            "heads": [key for key in HEADS if key in self.rules and self._must_divide(key)],
            "implied": {key: said for key in self.switches if (said := self._implied(key))},
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
        general = [_general(outline.kinds, blocks) for outline in outlines]
        states = [{key: self._state(key, x) for key, x in variant.items()} for variant in variants]
        return {
            "blocks": blocks,
            "kinds": _conditional(general, states),
            "prefix": outlines[0].prefix,
            "tied": _conditional([dict(outline.tied) for outline in outlines], states),
        }

    def _state(self, key: str, value: Any) -> Any:
        """What of a switch's value decides: of a width, whether it is one of its own."""
        return value is not None if key in WIDTHS else state(value)

    def _count(self, outline: Outline, stack: str) -> list[str]:
        """The key that counts the blocks of a stack, then the one that it stands for if not given."""
        starts = {name.removeprefix(f"{stack}.").split(".")[0] for name in outline.kinds
                  if name.startswith(f"{stack}.")}  # fmt: skip
        (key,) = (key for key, count in self.counts.items() if count == len(starts))
        first = next(iter(self.counts))
        return [key, first] if self.rules[key][1] is None else [key]

    def _rule(self, key: str) -> Rule:
        """What a key may hold: what is built with must be a size, a known activation, or a state."""
        words, default = self.rules[key][:2]
        if key in self.switches:
            states = dict.fromkeys(self._state(key, value) for value in self.switches[key])
            return [words, default, [*states], *([WIDTHS[key]] if key in WIDTHS else [])]
        if key in self.read and key != "pad_token_id":  # a token, which may be the first
            words = "|".join(READ.get(word, word) for word in words.split("|"))
            if default in ACTIVATIONS:
                words = words.replace("str", "activation")
        return [words, default]

    def _other(self, key: str, word: str) -> Any:
        """A value of a kind that is not the key's default."""
        default = self.counts.get(key, self.rules[key][1])
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
        return (
            None if word == "null" else default
        )  # of other kinds any is as good: nothing reads it

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
        known_of = {*self.rules, *COMMON, *vars(self.config()), *dir(self.config)}
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
        words = ["number", *(word for word in words if word not in ("int", "float"))]
    return words


def _general(kinds: Mapping[str, str], blocks: Settings) -> dict[str, str]:
    """The names of a class, those that every block has as one with `*` for its number."""
    found = {}
    for name, kind in kinds.items():
        stack = next((stack for stack in blocks if name.startswith(f"{stack}.")), None)
        if stack is None:
            found[name] = kind
            continue
        number, _, rest = name.removeprefix(f"{stack}.").partition(".")
        numbers = {
            name.removeprefix(f"{stack}.").split(".")[0]
            for name in kinds
            if name.startswith(f"{stack}.")
        }
        if all(kinds.get(f"{stack}.{other}.{rest}") == kind for other in numbers):
            found[f"{stack}.*.{rest}"] = kind
        else:
            assert number == "0", f"{name} is in some blocks only"
            found[name] = kind
    return found


def _conditional(variants: Sequence[Settings], states: Sequence[Settings]) -> dict[str, Any]:
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


def _beside(row: dict[str, Any], plain: str, body: dict[str, Any]) -> dict[str, Any]:
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


if __name__ == "__main__":
    known.TABLE.write_text(lines(table()) + "\n", encoding="utf-8")
    print(f"{known.TABLE}: {known.TABLE.stat().st_size:,} bytes")
