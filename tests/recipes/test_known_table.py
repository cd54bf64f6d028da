"""The table of known architectures is the one that the recipe makes of the installed transformers.

`python -m experiments.recipes.known` writes it anew.
"""

import json

import pytest
import transformers

from experiments.models import known
from experiments.recipes.known.patterns import beside, conditional, lines
from experiments.recipes.known.settings import SWITCHES
from experiments.recipes.known.table import table


@pytest.mark.parametrize("model_type", SWITCHES)
def test_the_committed_row_is_the_one_made_now(model_type: str) -> None:
    made = json.loads(json.dumps(table([model_type])))
    committed = known.committed()
    assert made["configurations"] == {model_type: committed["configurations"][model_type]}
    assert made | {"configurations": {}} == {**committed, "configurations": {}}


def test_the_file_has_a_line_for_every_name_in_order() -> None:
    assert known.TABLE.read_text(encoding="utf-8") == lines(known.committed()) + "\n"
    assert {*known.committed()["configurations"]} == {*SWITCHES}


def test_the_installed_release_is_known_without_importing_it() -> None:
    assert transformers.__version__.startswith(f"{known.release()}.")


def test_a_name_that_needs_two_switches_has_both_as_its_condition() -> None:
    states = [{"a": a, "b": b} for a in (False, True) for b in (False, True)]
    variants = [{"w": "linear"} | ({"v": "norm"} if x["a"] and not x["b"] else {}) for x in states]
    assert conditional(variants, states) == {
        "w": "linear", "v": ["norm", {"a": [True], "b": [False]}],
    }  # fmt: skip
    either = [{"w": "linear"} if x["a"] or x["b"] else {} for x in states]
    with pytest.raises(AssertionError, match="more than one state"):
        conditional(either, states)


def test_a_class_with_a_head_holds_what_its_body_does_not() -> None:
    body = {"kinds": {"h.*.w": "linear", "u": "norm", "v": "norm"}, "prefix": "body"}
    own = {"body.h.*.w": "linear", "body.u": "norm", "head.w": "linear"}
    assert beside({"kinds": own, "prefix": "body"}, "Plain", body) == {
        "at": "body.", "body": "Plain", "kinds": {"head.w": "linear"}, "prefix": "body",
        "without": ["v"],
    }  # fmt: skip
