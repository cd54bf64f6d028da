"""Explore: what the script draws is what the CSV and the records say, and no name of a stranger runs."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import synthetic

from experiments.records.evaluation import Evaluation
from experiments.records.footprint import Footprint
from experiments.records.latency import Latency
from experiments.records.record import Held
from experiments.records.store import Recorded
from generator import explorer, site
from generator.curves import curves
from generator.exhibits import Drawing
from generator.pages import explore
from generator.report import Report

ROOT = Path(__file__).parents[2]
START = f"window.{explorer.GLOBAL}="
MODEL, METHOD, PLACE = range(3)
POINTS = 9
LEVEL, VALUE = range(2)


def shipped(report: Report) -> dict[str, Any]:
    """The data as a browser has it: the script without its assignment."""
    text = explorer.script(report).decode()
    assert text.startswith(START)
    found: dict[str, Any] = json.loads(text.removeprefix(START))
    return found


@pytest.fixture(scope="module")
def published() -> Report:
    return Report(site.published(Recorded(ROOT / "recorded")))


def test_every_number_of_the_script_is_the_csv_s_to_five_digits(published: Report) -> None:
    data = shipped(published)
    table = list(csv.DictReader(io.StringIO(explorer.table(curves(published)).csv())))
    whole = [
        float(row["value"])
        for measure in data["curves"]
        for row in table
        if row["measure"] == measure
    ]
    drawn = [
        point[VALUE] for some in data["curves"].values() for one in some for point in one[POINTS]
    ]
    assert len(drawn) == len(whole) > 150
    assert drawn == pytest.approx(whole, rel=5e-5)


def test_a_point_is_what_its_record_says(published: Report) -> None:
    """Read past the code under test: from the records by their questions."""
    data = shipped(published)
    names = [name for _, name, _ in data["models"]]
    tasks = [key for key, *_ in data["tasks"]]
    levels = [float(key) for key, *_ in data["levels"]]
    checked = 0
    for held in published.held:
        answer, cell = held.record.answer, held.cell
        if isinstance(answer, Evaluation) and cell.seed is None and cell.level:
            key = published.stem(next(x for x in published.study.tasks if x.name == cell.task))
            (one,) = [
                curve
                for curve in data["curves"]["quality"]
                if (curve[MODEL], curve[PLACE]) == (names.index(cell.model), tasks.index(key))
            ]
            (point,) = [x for x in one[POINTS] if levels[x[LEVEL]] == cell.level]
            assert point[VALUE] == pytest.approx(answer.value, rel=5e-5, abs=1e-12)
            checked += 1
    assert checked > 40


def test_the_published_data_is_small(published: Report) -> None:
    assert len(explorer.script(published)) <= 60_000
    assert len((ROOT / "generator/assets/explorer.js").read_bytes()) <= 20_000


def hostile() -> list[Held]:
    names = (synthetic.HOSTILE[0], "</script><script>alert(1)</script>", "\u2028x\u2029")
    found: list[Held] = synthetic.held(names, tasks=("reviews", "</script>"), levels=(0.5,))
    return found


def test_no_name_ends_the_script_or_a_line_of_it() -> None:
    text = explorer.script(Report(hostile())).decode()
    assert not any(sign in text for sign in "<>&\u2028\u2029")
    assert text.count("\n") == 1
    named = [name for _, name, _ in shipped(Report(hostile()))["models"]]
    assert "</script><script>alert(1)</script>" in named  # shown as it is, by textContent


def test_the_page_s_script_makes_no_markup_of_text() -> None:
    script = (ROOT / "generator/assets/explorer.js").read_text()
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert word not in script
    assert "fetch(" not in script
    assert "http" not in script.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("kinds", "measures"),
    [
        ((Evaluation.kind, "comparison"), {"quality"}),
        ((Latency.kind,), {"speed"}),
        ((Footprint.kind,), {"bytes"}),
        ((), set()),
    ],
)
def test_what_was_not_measured_has_no_curve(
    kinds: tuple[str, ...], measures: set[str], drawn_once: Callable[[Drawing], dict[str, bytes]]
) -> None:
    del drawn_once
    held = [
        one
        for one in synthetic.held(("GPT-2",), tasks=("reviews",), levels=(0.5,), blocks=1)
        if one.cell.kind in ("study", "inspection", *kinds)
    ]
    data = shipped(Report(held))
    assert {measure for measure, some in data["curves"].items() if some} == measures
    context = explore.context(Report(held))
    assert (context.data is not None) == bool(measures)


def test_without_scripts_the_page_has_a_row_a_pair() -> None:
    report = Report(synthetic.held(("GPT-2", "LED"), tasks=("reviews", "novel"), levels=(0.5, 0.9)))
    states = explore.context(report).states
    assert states.count('<th scope="row">') == 4
    assert "70.0 %&nbsp;−" in states  # 10 points lost at 50 %, as synthetic has it
    assert "70.0 %&nbsp;×" in states  # one answer to everything at 90 %


def test_of_many_levels_a_few_have_a_column_and_dense_is_one() -> None:
    levels = [step / 20 for step in range(20)]
    shown = explore.shown_levels(levels)
    assert (len(shown), shown[0], shown[-1]) == (explore.MOST_LEVELS, 0.0, 0.95)
