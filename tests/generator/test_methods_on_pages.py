"""A second method on record: every page that speaks of the method shows both, each by its name."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace

import pytest
import synthetic

from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.pruning import Pruning
from experiments.records.record import Answer, Held
from experiments.records.study import Study
from generator import site
from generator.exhibits import Drawing
from generator.pages import frontier, quality, speed
from generator.pages.table import PAGES
from generator.report import Report

TASKS = ("reviews", "novel")
BOTH = ("magnitude", "wanda")
SPEAKING = ("index.md", "method.md", "performance.md", "runtime.md")
pytestmark = pytest.mark.usefixtures("drawn_once")


def one(methods: tuple[str, ...] = ("magnitude", "random")) -> list[Held]:
    """A report of two models in which magnitude alone is on record, with a control."""
    return [
        replace(x, source=replace(x.record, answer=replace(x.record.answer, methods=methods)))
        if isinstance(x.record.answer, Study)
        else x
        for x in synthetic.held(tasks=TASKS)
    ]


def two() -> list[Held]:
    """The same with every answer of magnitude also one of wanda, its numbers others."""
    held = one((*BOTH, "random"))
    for x in list(held):
        if x.record.cell.method == "magnitude":
            cell = replace(x.record.cell, method="wanda")
            held.append(
                replace(x, source=replace(x.record, cell=cell, answer=of_wanda(x.record.answer)))
            )
    return held


def of_wanda(answer: Answer) -> Answer:
    if isinstance(answer, Pruning):
        layers = tuple(replace(layer, zeros=layer.count) for layer in answer.layers)
        return replace(answer, method="wanda", scope="row", threshold=None, layers=layers)
    if isinstance(answer, Evaluation):
        return replace(answer, value=0.77, interval=(0.72, 0.82), constant_prediction=False)
    if isinstance(answer, Comparison):
        return replace(answer, difference=-0.02, difference_interval=(-0.05, 0.01))
    if isinstance(answer, Perplexity):
        return replace(answer, value=33.0, interval=(32.0, 34.0))
    if isinstance(answer, PerplexityChange):
        return replace(answer, ratio=1.65, ratio_interval=(1.6, 1.7))
    return replace(answer, method="wanda")


@pytest.fixture(scope="module")
def files(drawn_once: Callable[[Drawing], dict[str, bytes]]) -> dict[str, str]:
    made = site.render(two())
    return {name: content.decode() for name, content in made.items() if name[-3:] in (".md", "csv")}


def test_the_control_is_what_has_seeds_and_is_no_method_of_the_report() -> None:
    assert Report(one()).methods == ("magnitude",)
    assert Report(two()).methods == BOTH
    report = Report(two()).under("wanda")
    assert [x.accuracy for x in report.control("GPT-2", "reviews", 0.5)] == [0.55] * 3
    assert len(report.against_control("GPT-2", "reviews", 0.5)) == 3
    assert len(report.perplexity_control("GPT-2", "novel", 0.5)) == 3


def test_a_view_answers_for_its_method_and_leaves_the_report_as_it_was() -> None:
    report = Report(two())
    view = report.under("wanda")
    for level in synthetic.LEVELS:
        found, other = (x.evaluation("GPT-2", "reviews", level) for x in (view, report))
        assert found is not None
        assert other is not None
        assert (found.value, other.value) == (0.77, 0.7)
    assert view.dense("GPT-2", "reviews") == report.dense("GPT-2", "reviews")
    assert (report.method, view.method) == BOTH


def test_a_method_that_is_not_on_record_changes_nothing() -> None:
    assert site.render(one(("magnitude", "wanda", "random"))) == site.render(one())


def test_with_one_method_no_row_is_named_by_it() -> None:
    pages = site.render(one())
    assert not any(b"GPT-2 by magnitude" in pages[name] for name in pages if name.endswith(".md"))


@pytest.mark.parametrize("page", SPEAKING)
@pytest.mark.parametrize("method", BOTH)
def test_a_page_that_speaks_of_the_method_names_both(
    page: str, method: str, files: dict[str, str]
) -> None:
    for row in ("GPT-2", "LED"):
        assert f"{row} by {method}" in files[page]


def test_challenges_say_what_the_best_other_method_keeps(files: dict[str, str]) -> None:
    """By magnitude two of four pairs give one answer to everything at the last level, by wanda none does."""
    text = files["challenges.md"].replace("\N{NO-BREAK SPACE}", " ")
    assert "**At 90 % zeros, 2 of the 4 model-task pairs still beat a fixed answer**" in text
    assert "pruned in one shot by magnitude." in text
    assert "By wanda, 4 of 4 still beat a fixed answer at 90 %." in text


def test_no_other_page_tells_rows_apart_by_method(files: dict[str, str]) -> None:
    others = {f"{page.name}.md" for page in PAGES} - set(SPEAKING)
    assert not [page for page in others if " by wanda" in files[page]]


def test_the_overview_says_by_what_the_models_were_pruned(files: dict[str, str]) -> None:
    assert "each is pruned by magnitude and wanda to" in files["index.md"]


def table(files: dict[str, str], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[f"data/{name}.csv"])))


def test_a_table_has_dense_once_and_each_method_s_own_numbers(files: dict[str, str]) -> None:
    rows = [row for row in table(files, "performance-task-1") if row["model"].startswith("GPT-2")]
    assert [(row["model"], row["level"], row["score"]) for row in rows] == [
        ("GPT-2", "0.0", "0.8"),
        ("GPT-2 by magnitude", "0.5", "0.7"), ("GPT-2 by magnitude", "0.9", "0.7"),
        ("GPT-2 by wanda", "0.5", "0.77"), ("GPT-2 by wanda", "0.9", "0.77"),
    ]  # fmt: skip
    assert [row["difference"] for row in rows] == ["", "-0.1", "-0.1", "-0.02", "-0.02"]
    texts = [row for row in table(files, "perplexity-task-2") if row["model"].startswith("GPT-2")]
    assert [(row["model"], row["perplexity"]) for row in texts] == [
        ("GPT-2", "20.0"), ("GPT-2 by magnitude", "20.2"), ("GPT-2 by magnitude", "50.0"),
        ("GPT-2 by wanda", "33.0"), ("GPT-2 by wanda", "33.0"),
    ]  # fmt: skip


def test_what_is_found_is_said_of_each_method(files: dict[str, str]) -> None:
    page = files["performance.md"].replace("\u00a0", " ")
    assert "**GPT-2 by wanda**, reviews: accuracy 80.0 % [75.0, 85.0] unpruned. Up to 90" in page
    assert "**GPT-2 by magnitude**, reviews: accuracy 80.0 % [75.0, 85.0] unpruned. Already" in page
    assert (
        "**GPT-2 by wanda**, novel: perplexity 20.00 [18.00, 22.00] unpruned. Already at 50" in page
    )


def test_exhibits_of_two_methods_have_names_of_their_own() -> None:
    report = Report(two())
    for page in PAGES:
        names = [(type(x), x.name) for x in site.exhibits(page.context(report))]
        assert len(names) == len(set(names))
    assert {"cuts-model-1", "cuts-model-1-method-2"} <= {
        x.name for page in PAGES for x in site.exhibits(page.context(report))
    }


def test_figures_draw_a_line_a_model_and_method_and_the_control_once() -> None:
    report = Report(two())
    reviews, novel = report.study.tasks
    drawn = [quality.panel(report, reviews), perplexity._panel(report, novel)]
    for panel in drawn:
        assert [line.label for line in panel.lines] == [
            f"{row} by {method}" for row in ("GPT-2", "LED") for method in BOTH
        ]
        assert len({line.place for line in panel.lines}) == 4
        assert [bool(line.control) for line in panel.lines] == [True, False, True, False]
    assert [line.points[1][1] for line in drawn[0].lines] == [0.7, 0.77, 0.7, 0.77]


def test_a_method_measured_for_one_row_alone_draws_no_line_for_the_other() -> None:
    held = [x for x in two() if (x.record.cell.model, x.record.cell.method) != ("LED", "wanda")]
    report = Report(held)
    labels = ["GPT-2 by magnitude", "GPT-2 by wanda", "LED by magnitude"]
    reviews, novel = report.study.tasks
    for panel in (quality.panel(report, reviews), perplexity._panel(report, novel)):
        assert [line.label for line in panel.lines] == labels
    assert [section.name for section in speed.context(report).timed] == labels
    assert frontier.drawings(report)
