"""The table of kinds: each row is whole, its identities are spelled out, and a line is all a kind takes."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from experiments.records.provenance import Digests
from experiments.records.record import ANSWERS
from experiments.records.study import Study
from experiments.study.kinds import KINDS, Kind
from experiments.study.plan import make_plan
from experiments.study.study import LoadedStudy, load_study

STUDY = """
levels = [0.5]
methods = ["magnitude"]
tasks = ["films", "novel"]

[[model]]
name = "Tiny"
family = "decoder-only"
checkpoint = "tiny"
tasks = { films = "tiny", novel = "tiny" }

[[task]]
name = "films"
file = "films.tsv"

[[task]]
name = "novel"
file = "novel.txt"
"""

# What an answer of each kind hangs on, dense (None) and pruned: a key more or less asks for all again.
COUNTED = {"version", "checkpoint", "transformers"}
COMPUTED = {"processor", "gpu", "threads", "torch", "numpy"}
ASKED = {
    *COUNTED,
    *COMPUTED,
    "data",
    "metric",
    "trained on",
    "columns",
    "tokenizers",
    "scikit-learn",
}
TIMED = {*COUNTED, *COMPUTED, "scope", "levels", "cores", "numba"}
JOINED = {"version", "joins", "numpy", "scipy"}
IDENTITIES = {
    ("inspection", None): COUNTED,
    ("pruning", "magnitude"): {*COUNTED, "scope"},
    ("footprint", "magnitude"): {*COUNTED, "scope", "levels", "zlib", "zstandard"},
    ("latency", "magnitude"): TIMED,
    ("evaluation", None): ASKED,
    ("evaluation", "magnitude"): {*ASKED, "scope"},
    ("perplexity", None): ASKED,
    ("perplexity", "magnitude"): {*ASKED, "scope"},
    ("comparison", None): JOINED,
    ("comparison", "magnitude"): JOINED,
    ("perplexity_change", "magnitude"): JOINED,
}


@pytest.fixture
def study(saved: Callable[..., Path]) -> LoadedStudy:
    """A study of one tiny model, of sentences and of a text."""
    folder = saved(folder="study/tiny").parent
    (folder / "films.tsv").write_text("sentence\tlabel\na good film\tpositive\ndull\tnegative\n")
    (folder / "novel.txt").write_text("a good film is not dull\n")
    (folder / "study.toml").write_text(STUDY)
    return load_study(folder / "study.toml")


def test_every_answer_but_the_study_has_its_kind_and_every_kind_somebody_who_answers() -> None:
    assert {name: kind.answer for name, kind in KINDS.items()} == {
        name: answer for name, answer in ANSWERS.items() if answer is not Study
    }
    for kind in KINDS.values():
        assert kind.version >= 1
        assert callable(kind.function)


def test_a_kind_without_a_version_is_no_kind() -> None:
    for kind in KINDS.values():
        row = {one.name: getattr(kind, one.name) for one in fields(Kind)}
        del row["version"]
        with pytest.raises(TypeError, match="version"):
            Kind(**row)


def test_what_joins_others_stands_after_them() -> None:
    order = list(KINDS)
    joins = {name: kind.joins for name, kind in KINDS.items() if kind.joins}
    assert joins == {"comparison": "evaluation", "perplexity_change": "perplexity"}
    assert all(order.index(of) < order.index(name) for name, of in joins.items())


def test_an_identity_says_what_its_kind_hangs_on(study: LoadedStudy) -> None:
    plan = make_plan(study, Digests())
    assert plan.failures == []
    found = {(one.cell.kind, one.cell.method): set(one.identity) for one in plan.here}
    assert found == IDENTITIES
    timed = {one.cell.kind: one.identity for one in plan.here}["latency"]
    assert (timed["levels"], timed["threads"], timed["torch"]) == ("0.5", "1", torch.__version__)


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [("kinds", {"numpy", "scipy", "torch", "transformers"}), ("plan", {"scipy", "torch", "numba"}),
     ("run", {"scipy", "torch", "numba"})],
)  # fmt: skip
def test_planning_imports_nothing_that_measures(module: str, unwanted: set[str]) -> None:
    code = f"import sys, experiments.study.{module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert unwanted & set(loaded.stdout.split()) == set()
