"""A second method on record: every page that speaks of the method shows both, each by its name."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import synthetic

from experiments.records.cell import FIXED
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.footprint import Footprint
from experiments.records.perplexity import Perplexity, PerplexityChange
from experiments.records.pruning import Pruning
from experiments.records.record import Answer, Held
from experiments.records.study import Study
from generator import site
from generator.exhibits import Drawing, exhibits
from generator.pages import findings, frontier, methods, quality, sizes, speed, strip
from generator.pages.table import every
from generator.render import Markdown
from generator.report import Report

TASKS = ("reviews", "novel")
BOTH = ("magnitude", "wanda")
SPEAKING = ("index.md", "quality.md", "time.md", "bytes.md")  # with a row a model and method
pytestmark = pytest.mark.usefixtures("drawn_once")


def one(methods: tuple[str, ...] = ("magnitude", "random")) -> list[Held]:
    """A report of two models in which magnitude alone is on record, with a control."""
    named = synthetic.study_methods(*methods)
    return [
        replace(x, source=replace(x.record, answer=replace(x.record.answer, methods=named)))
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
            answer = of_wanda(x.record.answer, fixed=cell.against == FIXED)
            held.append(replace(x, source=replace(x.record, cell=cell, answer=answer)))
    return held


def of_wanda(answer: Answer, *, fixed: bool) -> Answer:
    if isinstance(answer, Pruning):
        layers = tuple(replace(layer, zeros=layer.count) for layer in answer.layers)
        return replace(answer, method="wanda", scope="row", threshold=None, layers=layers)
    if isinstance(answer, Evaluation):
        return replace(answer, value=0.77, interval=(0.72, 0.82), constant_prediction=False)
    if isinstance(answer, Comparison) and fixed:
        return replace(answer, difference=0.22, difference_interval=(0.12, 0.32))
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


def test_the_first_page_says_by_what_the_models_were_pruned(files: dict[str, str]) -> None:
    assert "They were pruned in one shot by magnitude and wanda and timed on" in files["index.md"]


def test_the_first_page_has_a_finding_of_each_method_over_its_own_pairs(
    files: dict[str, str],
) -> None:
    """By magnitude a loss of labels at 50 % and of the text at 90 %, by wanda of the text alone, at 50 %."""
    text = files["index.md"].replace("\N{NO-BREAK SPACE}", " ")
    for method in BOTH:
        said = f"Pruned in one shot by {method}, 2 of 4 model-task pairs get faster before a loss is seen."
        assert said in text
    assert (
        "By magnitude: At 50 % zeros 2 of 4 model-task pairs show no loss. All models run" in text
    )
    assert "By wanda: At 90 % zeros 2 of 4 model-task pairs show no loss. All models run" in text
    assert "8 model-task pairs" not in text


def test_quality_says_of_each_method_where_it_ends(files: dict[str, str]) -> None:
    text = files["quality.md"].replace("\N{NO-BREAK SPACE}", " ")
    assert "By magnitude: At 90 % 2 of 4 model-task pairs do no better than a fixed answer." in text
    assert "By wanda: At 90 %, the highest level tried, 4 of 4 model-task pairs still beat" in text
    assert "of 8 " not in text.replace("of 8 cases", "")


def test_the_control_is_held_against_each_method_by_itself() -> None:
    """Magnitude beats it in all: two models, two tasks, two levels; wanda is held against it as recorded."""
    (shown,) = methods.context(Report(two())).labelled
    said = shown.control
    assert said == (
        "Against removal at random at the same level, magnitude is surely better in 8 of 8 cases; "
        "wanda is surely better in 0 of 8 cases, worse in 4."
    )


def test_methods_have_a_row_each_and_none_is_said_to_be_missing(files: dict[str, str]) -> None:
    rows = table(files, "methods")
    assert [(row["method"], row["50 % without"], row["90 % without"]) for row in rows] == [
        ("magnitude", "2", "0"), ("wanda", "2", "2"),
    ]  # fmt: skip
    assert {row[key] for row in rows for key in row if key.endswith("asked")} == {"4"}
    alone = site.render(one())["methods.md"].decode()
    missing = "none is on record here yet"
    assert [missing in " ".join(page.split()) for page in (files["methods.md"], alone)] == [
        False,
        True,
    ]


def test_the_frontier_has_a_row_and_a_sentence_a_method(files: dict[str, str]) -> None:
    techniques = {row["technique"]: row for row in table(files, "techniques")}
    for method in BOTH:
        row = techniques[f"{method}, last level without a loss seen"]
        assert row["pairs without a loss seen"] == "2 of 4"
        assert (
            f"By {method}: Where no loss is seen, zeros, in fewer bits too, make"
            in files["frontier.md"]
        )


def table(files: dict[str, str], name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(files[f"data/{name}.csv"])))


def test_a_table_has_dense_once_and_each_method_s_own_numbers(files: dict[str, str]) -> None:
    rows = [row for row in table(files, "quality") if row["model"] == "GPT-2"]
    assert [(row["method"], row["level"], row["score"]) for row in rows] == [
        ("", "0.0", "0.8"),
        ("magnitude", "0.5", "0.7"), ("magnitude", "0.9", "0.7"),
        ("wanda", "0.5", "0.77"), ("wanda", "0.9", "0.77"),
    ]  # fmt: skip
    differences = [row["difference from dense"] for row in rows]
    assert differences == ["", "-0.1", "-0.1", "-0.02", "-0.02"]
    texts = [row for row in table(files, "perplexity") if row["model"] == "GPT-2"]
    assert [(row["method"], row["perplexity"]) for row in texts] == [
        ("", "20.0"), ("magnitude", "20.2"), ("magnitude", "50.0"), ("wanda", "33.0"), ("wanda", "33.0"),
    ]  # fmt: skip
    for name in ("latency", "bytes"):
        assert {row["method"] for row in table(files, name)} == set(BOTH)


def test_a_verdict_is_of_one_method(files: dict[str, str]) -> None:
    """The text is lost by wanda at 50 % already, the labels never; by magnitude the labels first."""
    rows = {(row["model"], row["task"]): row for row in table(files, "quality-verdicts-miniatures")}
    assert {
        name: rows["GPT-2 by " + name[0], name[1]]["no loss seen up to"]
        for name in ((method, task) for method in BOTH for task in TASKS)
    } == {
        ("magnitude", "reviews"): "", ("magnitude", "novel"): "0.5",
        ("wanda", "reviews"): "0.9", ("wanda", "novel"): "",
    }  # fmt: skip


def test_exhibits_of_two_methods_have_names_of_their_own() -> None:
    report = Report(two())
    shown = [x for page in every(report) for x in exhibits(page.context(report))]
    names = [(type(x), x.name) for x in shown]
    assert len(names) == len(set(names))


def test_a_second_method_s_figure_repeats_no_bytes_and_has_its_own_where_they_differ() -> None:
    """As many zeros are as many bytes, whichever they are."""
    held = two()
    assert panels(held) == {"magnitude": True, "wanda": False}
    for at, x in enumerate(held):
        if x.record.cell.method == "wanda" and isinstance(answer := x.record.answer, Footprint):
            rows = tuple(replace(row, bytes=row.bytes + 1) for row in answer.rows)
            held[at] = replace(x, source=replace(x.record, answer=replace(answer, rows=rows)))
    assert panels(held) == {"magnitude": True, "wanda": True}


def panels(held: list[Held]) -> dict[str, bool]:
    """By method whether the figure of GPT-2 has its bytes, as its words say, and its panels."""
    report, found = Report(held), {}
    for view in map(report.under, report.methods):
        drawing = strip.drawing(view, report.measured[0], [], Markdown(""))
        assert drawing is not None
        assert isinstance(drawing.draw, partial)
        found[view.method] = bool(drawing.draw.args[0].sizes)
        assert ("bytes" in drawing.alt) == found[view.method]
    return found


def labels_of(drawing: Drawing | None) -> list[list[tuple[str, int]]]:
    """The lines of each panel of a figure, with their places."""
    assert drawing is not None
    assert isinstance(drawing.draw, partial)
    return [[(line.label, line.place) for line in panel.lines] for panel in drawing.draw.args[0]]


def test_figures_draw_a_line_a_model_and_method() -> None:
    report = Report(two())
    expected = [f"{row} by {method}" for row in ("GPT-2", "LED") for method in BOTH]
    (part,) = quality.context(report).parts
    (timed,) = speed.context(report).machines
    drawn = [part.figure, timed.figure, *frontier.context(report).figures]
    assert len(drawn) == 4
    for drawing in drawn:
        for panel in labels_of(drawing):
            assert [label for label, _ in panel] == expected
            assert len({place for _, place in panel}) == 4


def test_a_method_measured_for_one_row_alone_draws_no_line_for_the_other() -> None:
    held = [x for x in two() if (x.record.cell.model, x.record.cell.method) != ("LED", "wanda")]
    report = Report(held)
    expected = {"GPT-2 by magnitude", "GPT-2 by wanda", "LED by magnitude"}
    (part,) = quality.context(report).parts
    (timed,) = speed.context(report).machines
    for drawing in (part.figure, timed.figure, *frontier.context(report).figures):
        assert [{label for label, _ in panel} for panel in labels_of(drawing)] == [expected] * 2
    for table_ in (timed.tables[0], sizes.context(report).table):
        assert {row[0] for row in table_.rows} == expected


def test_a_method_that_another_machine_timed_stands_on_that_machine_s_figure_alone() -> None:
    held = [other_machine(x) if x.record.cell.method == "wanda" else x for x in two()]
    report = Report(held)
    first, second = speed.context(report).machines
    assert {row[0] for row in first.tables[0].rows} == {"GPT-2 by magnitude", "LED by magnitude"}
    assert {row[0] for row in second.tables[0].rows} == {"GPT-2 by wanda", "LED by wanda"}
    there = {row[0][0]: row[3] for row in findings.context(report).verdicts.rows}
    assert there == {
        "GPT-2 by magnitude": "no faster", "LED by magnitude": "no faster",
        "GPT-2 by wanda": None, "LED by wanda": None,
    }  # fmt: skip


def other_machine(held: Held) -> Held:
    record = held.record
    assert record.provenance
    machine = replace(record.provenance.machine, processor="Another processor")
    return replace(
        held, source=replace(record, provenance=replace(record.provenance, machine=machine))
    )
