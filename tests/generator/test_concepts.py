"""What Concepts says of its examples, beside records of which a near rule would say another thing."""

from dataclasses import replace

import synthetic
from synthetic import comparison, evaluation, inspection, study_task

from experiments.records.cell import FIXED
from experiments.records.evaluation import Comparison
from experiments.records.record import Held
from generator.pages import challenges, concepts
from generator.render import Markdown
from generator.report import Report

A = Markdown("A")
FILMS = study_task("sst2")


def against_fixed(held: list[Held], unable: tuple[str, str] = ("", "")) -> list[Held]:
    """The same records with each answer held against a fixed one, and 20 points better than it.

    But `unable`, a model and a task, is 20 points worse unpruned.
    """
    found = list(held)
    for one in held:
        cell = one.cell
        if cell.kind == "evaluation" and cell.seed is None:
            where = (cell.model, cell.task)
            gain = -20 if not cell.level and where == unable else 20
            of = replace(cell, kind="comparison", against=FIXED)
            answer = comparison(study_task(cell.task or ""), gain=gain)
            found.append(Held(synthetic.record(of, answer), one.origin))
    return found


def test_a_student_has_its_size_and_what_it_gets_right_unpruned() -> None:
    best = Markdown("films"), replace(evaluation(FILMS), accuracy=0.889)
    assert concepts.student(A, inspection(), best) == (
        "A, a student of 4.1 k parameters, gets 89 % of films right unpruned."
    )
    assert concepts.student(A, inspection(), None) == "A is a student of 4.1 k parameters."
    assert concepts.student(A, None, best) == ""


def test_the_example_is_the_row_that_stands_pruning_best() -> None:
    """GPT-2 comes first in the study, LED loses nothing at 50 %."""
    held = synthetic.held(("GPT-2", "LED"), tasks=("reviews",))
    for place, one in enumerate(held):
        cell, answer = one.cell, one.record.answer
        if (cell.model, cell.against) == ("LED", "dense") and isinstance(answer, Comparison):
            kept = replace(answer, difference_interval=(-0.011, 0.02))
            held[place] = Held(replace(one.record, answer=kept), one.origin)
    given = concepts.context(Report(against_fixed(held)))
    assert given.best == (
        "At 50 % zeros LED shows no loss on reviews, with at most 2 points lost, the best of 2 pairs."
    )
    assert given.gone == "At 90 % it no longer beats a fixed answer."
    assert "prunable weights of LED," in given.zeros
    assert given.cut is not None
    assert given.cut.title == "50 % of the prunable weights of LED lie below 0.01"


def test_only_what_cites_a_paper_of_students_is_one() -> None:
    assert concepts.context(Report(synthetic.small())).student == ""


def test_what_is_lost_unpruned_is_no_pair_of_which_pruning_takes_something() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews", "cola"))
    every = challenges.context(Report(against_fixed(held)))
    assert "none of the 2 model-task pairs" in every.collapse
    some = challenges.context(Report(against_fixed(held, unable=("GPT-2", "cola"))))
    assert "the one model-task pair" in some.collapse


def test_a_page_of_rows_measured_here_alone_explains_no_mark() -> None:
    report = Report(synthetic.held(("GPT-2", "LED"), origins={"LED": "recorded"}))
    for page in (challenges.context(report), concepts.context(report)):
        assert page.note == ""
    assert challenges.context(report).same_file == "Dense, GPT-2 takes 100 kB at every level."
