"""Methods side by side: who is held against whom, and what is said of it, by numbers made up here."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import synthetic

from experiments.records.cell import Cell
from experiments.records.cost import Cost
from experiments.records.perplexity import Perplexity
from experiments.records.record import Held
from experiments.records.study import Study, StudyMethod
from generator.contests import Asked, Contest, contenders_of, contests
from generator.pages import methods
from generator.render import environment
from generator.report import Report
from generator.sentences import contest as sentences

LEVELS = (0.5, 0.7)
RUNS = {
    "magnitude": ("magnitude", {}, {0.5: 447.0, 0.7: 9000.0}),
    "magnitude, repaired": ("magnitude", {"repair": True}, {0.5: 99.0}),
    "Wanda": ("wanda", {}, {0.5: 80.0, 0.7: 700.0}),
    "Wanda, repaired": ("wanda", {"repair": True}, {0.5: 79.0}),
    "Wanda 2:4": ("wanda", {"pattern": "2:4"}, {0.5: 160.0}),
    "Wanda, OWL": ("wanda", {"allocation": "owl"}, {0.7: 500.0}),
    "Wanda, rising": ("wanda", {"allocation": "arithmetic"}, {0.7: 800.0}),
    "SparseGPT": ("sparsegpt", {}, {0.5: 76.0}),
}


SCOPES = {"magnitude": "global", "wanda": "row", "sparsegpt": "layer"}


def compared(
    runs: Mapping[str, tuple[str, dict[str, object], dict[float, float]]] = RUNS,
) -> Report:
    """A model whose perplexity of a novel is 40 dense, and by each run what stands there."""
    held = synthetic.held(("GPT-2",), tasks=("novel",), levels=LEVELS, waiting=())
    study = held[0].record.answer
    assert isinstance(study, Study)
    asked = tuple(
        StudyMethod(
            name=name, method=method, scope=SCOPES[method],
            levels=tuple(values), samples=0 if name == "magnitude" else 32, **more,  # type: ignore[arg-type]
        )
        for name, (method, more, values) in runs.items()
    )  # fmt: skip
    asked = (replace(asked[0], levels=LEVELS), *asked[1:])
    made = [Held(replace(held[0].record, answer=replace(study, methods=asked)), "here")]
    made += [one for one in held[1:] if one.cell.kind == "inspection"]
    of_dense = next(one for one in held if one.cell.kind == "perplexity" and not one.cell.level)
    dense = of_dense.record.answer
    assert isinstance(dense, Perplexity)
    made.append(answered(of_dense, of_dense.cell, replace(dense, value=40.0)))
    for name, (_, _, values) in runs.items():
        for level, value in values.items():
            cell = replace(of_dense.cell, method=name, level=level)
            made.append(
                answered(of_dense, cell, replace(dense, value=value, interval=(value, value)))
            )
            change = next(
                one for one in held
                if one.cell.kind == "perplexity_change" and one.cell.method == "magnitude"
            )  # fmt: skip
            made.append(
                answered(
                    change, replace(change.cell, method=name, level=level), change.record.answer
                )
            )
    cost = Cost(task="novel", samples=32, tokens=16384, seconds=90.0, peak_bytes=2 * 10**9)
    for level in LEVELS:
        cell = Cell(kind="cost", model="GPT-2", method="Wanda", level=level)
        made.append(answered(of_dense, cell, replace(cost, seconds=90.0 + 60 * (level > 0.6))))
    return Report(made)


def answered(one: Held, cell: Cell, answer: object) -> Held:
    return Held(replace(one.record, cell=cell, answer=answer), "here")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def contest() -> Contest:
    (found,) = contests(compared())
    return found


def test_runs_that_differ_in_their_pattern_alone_are_one_contender() -> None:
    found = {one.name: one.runs for one in contenders_of(compared())}
    assert list(found) == [name for name in RUNS if name != "Wanda 2:4"]
    assert found["Wanda"] == {
        Asked(0.5): "Wanda", Asked(0.7): "Wanda", Asked(0.5, "2:4"): "Wanda 2:4",
    }  # fmt: skip


def test_a_contest_has_each_method_s_own_answer(contest: Contest) -> None:
    wanda = next(one for one in contest.contenders if one.name == "Wanda")
    assert contest.asked == [Asked(0.5), Asked(0.5, "2:4"), Asked(0.7)]
    values = [contest.answer(wanda, asked) for asked in contest.asked]
    assert [one.value for one in values if one] == [80.0, 160.0, 700.0]
    assert contest.cost(wanda) == Cost(
        task="novel", samples=32, tokens=16384, seconds=120.0, peak_bytes=2 * 10**9
    )
    found = contest.best(Asked(0.5))
    assert found is not None
    assert (found[0].name, found[1].value) == ("SparseGPT", 76.0)
    assert contest.cost(found[0]) is None


def test_what_is_said_of_it(contest: Contest) -> None:
    assert sentences.example(contest) == Asked(0.5)
    assert sentences.lead([contest]) == (
        "SparseGPT keeps most of GPT-2: at 50 % zeros 1.9 times dense perplexity, magnitude 11."
    )
    assert (
        sentences.best(contest)
        == "At 50 % SparseGPT leaves 1.9 times dense perplexity, magnitude 11"
    )
    assert sentences.order(contest) == (
        "The order at 50 %, the better first, is that of the papers: SparseGPT, Wanda and magnitude."
    )
    assert sentences.repaired(contest) == (
        "Repair of what is kept helps magnitude most: at 50 % 11 times dense becomes 2.5."
    )
    assert sentences.allocated(contest) == (
        "Of two allocations at 70 %, Wanda, OWL is best, better than one level everywhere: 12 against 18 "
        "times dense."
    )


def test_the_first_page_speaks_of_methods_that_have_no_row_there(contest: Contest) -> None:
    """Of those that keep more, else of those asked at fewer levels: none vanishes without a word."""
    assert sentences.beside(contest.report) == sentences.lead([contest])
    worse = {name: RUNS[name] for name in ("magnitude",)} | {
        "Wanda": ("wanda", {}, {0.7: 9999.0}), "ALPS": ("magnitude", {}, {0.7: 9998.0}),
    }  # fmt: skip
    assert sentences.beside(compared(worse)) == (
        "Wanda and ALPS were tried beside magnitude, at fewer levels or on fewer models."
    )
    assert sentences.beside(compared({"magnitude": RUNS["magnitude"]})) == ""


def test_another_order_is_said_to_be_another() -> None:
    runs = RUNS | {"Wanda": ("wanda", {}, {0.5: 70.0, 0.7: 700.0})}
    (found,) = contests(compared(runs))
    assert sentences.order(found) == (
        "The order at 50 %, the better first, is Wanda, SparseGPT and magnitude; papers have SparseGPT, "
        "Wanda and magnitude."
    )


def test_where_nothing_helps_that_is_said() -> None:
    runs = {
        "magnitude": ("magnitude", {}, {0.5: 60.0, 0.7: 90.0}),
        "Wanda": ("wanda", {}, {0.5: 80.0, 0.7: 100.0}),
        "Wanda, repaired": ("wanda", {"repair": True}, {0.5: 81.0}),
        "Wanda, OWL": ("wanda", {"allocation": "owl"}, {0.7: 110.0}),
    }
    (found,) = contests(compared(runs))
    assert sentences.lead([found]) == ""
    assert sentences.best(found) == "At 50 % no other method keeps more"
    assert sentences.order(found) == ""
    assert sentences.repaired(found) == "Repair of what is kept helps none of them at 50 %."
    assert "no better than one level everywhere" in sentences.allocated(found)
    alone = {"magnitude": RUNS["magnitude"]}
    assert contests(compared(alone)) == []


@pytest.mark.usefixtures("drawn_once")
def test_the_page_shows_at_most_eight_methods_and_the_csv_all(contest: Contest) -> None:
    found = methods.context(compared())
    (shown,) = found.shown
    assert shown.table.picked is not None
    assert len(shown.table.picked) == 7
    assert [row[0] for row in shown.table.rows] == [one.name for one in contest.contenders]
    scores = [(value, value, value) for value in (80.0, 160.0, 700.0)]  # no wider than a point here
    assert shown.table.rows[2] == ("Wanda", *scores, 2.0, 2 * 10**9)
    assert found.costs.rows == (("GPT-2", "Wanda", "novel", 32, 16384, 120.0, 2 * 10**9),)
    many = RUNS | {f"M{n}": ("wanda", {"samples": n}, {0.5: 1000.0 + n}) for n in range(1, 4)}
    for name in list(many)[8:]:
        many[name] = ("wanda", {}, many[name][2])
    picked = methods.context(compared(many)).shown[0].table
    assert picked.picked is not None
    assert len(picked.picked) <= 8
    assert 0 in picked.picked, "the report's own method is always there"


@pytest.mark.usefixtures("drawn_once")
def test_a_study_apart_is_compared_and_named(contest: Contest) -> None:
    apart = compared()
    report = Report(synthetic.held(tasks=("reviews",)), apart=[apart.held])
    found = methods.context(report)
    assert found.lead.startswith("SparseGPT keeps most of GPT-2")
    assert found.apart.startswith("A report, on A processor")
    assert found.apart.endswith(", 2026-01-02")
    text = (
        environment(lambda *keys: "").get_template("methods.md.jinja").render(title="M", page=found)
    )
    assert f"- Measured apart from the other pages: {found.apart}.\n" in text
    assert "*Wanda* ranks" in text
    assert "*ALPS* seeks" not in text
    assert "## Every model, against the control" in text
