"""What is left of a model at a level: first whether it answers at all, then whether less than dense."""

from dataclasses import replace

import pytest
import synthetic
from synthetic import (
    changed,
    comparison,
    evaluation,
    inspection,
    perplexity,
    study_model,
    study_task,
)

from experiments.records.record import Held
from experiments.records.study import Study
from generator.pages import challenges, concepts
from generator.pages.collapse import Pair, State, chosen, guessing, pairs, state, state_of_text
from generator.report import Report

FILMS, COLA, NOVEL = study_task("films"), study_task("cola"), study_task("novel")
NONE, WORSE = (
    comparison(FILMS, gain=0),
    replace(comparison(FILMS), difference_interval=(-0.2, -0.1)),
)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.56, 0.66), State.NO_LOSS),  # the commonest class is 55 of 100
        ((0.55, 0.65), State.FIXED),  # its value, 0.60, would still say that it answers
        ((0.40, 0.50), State.FIXED),
    ],
)
def test_a_score_whose_interval_reaches_the_commonest_class_is_a_fixed_answer(
    interval: tuple[float, float], expected: State
) -> None:
    given = replace(evaluation(FILMS), value=sum(interval) / 2, interval=interval)
    assert state(given, NONE) is expected


def test_the_fixed_answer_of_mcc_is_0_not_the_commonest_class() -> None:
    given = replace(evaluation(COLA), value=0.2, interval=(0.1, 0.3))
    assert state(given, NONE) is State.NO_LOSS
    assert state(replace(given, interval=(-0.1, 0.5)), NONE) is State.FIXED
    assert state(replace(given, interval=None), NONE) is State.NO_LOSS
    assert state(replace(given, value=0.0, interval=None), NONE) is State.FIXED


def test_one_answer_to_everything_is_a_fixed_answer_whatever_it_scores() -> None:
    right = replace(evaluation(FILMS), value=0.9, interval=(0.8, 0.95), constant_prediction=True)
    assert state(right, NONE) is State.FIXED


def test_no_label_at_all_is_said_before_anything_else() -> None:
    silent = replace(evaluation(FILMS), value=0.0, interval=(0.0, 0.04), not_a_label=100)
    assert state(silent, WORSE) is State.SILENT
    assert state(replace(silent, not_a_label=99), WORSE) is State.FIXED


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((-0.04, 0.0), State.NO_LOSS),  # it includes 0; half of it would not
        ((-0.04, -0.001), State.LOSS),
        ((0.01, 0.04), State.NO_LOSS),  # better is no loss: the interval need not include 0
    ],
)
def test_a_loss_is_an_interval_wholly_below_0(bounds: tuple[float, float], expected: State) -> None:
    assert state(evaluation(FILMS), replace(NONE, difference_interval=bounds)) is expected


def test_where_a_score_has_no_interval_accuracy_decides() -> None:
    loss = replace(NONE, difference_interval=None, accuracy_difference_interval=(-0.3, -0.2))
    assert state(evaluation(FILMS), loss) is State.LOSS


def test_a_text_is_guessed_from_the_size_of_the_vocabulary_on() -> None:
    given = inspection()  # a vocabulary of 100
    assert not guessing(perplexity(NOVEL, 99.9), given)
    assert guessing(perplexity(NOVEL, 100.0), given)
    assert not guessing(perplexity(NOVEL, 1e9), None)
    assert state_of_text(perplexity(NOVEL, 200.0), changed(NOVEL, 10.0), given) is State.FIXED
    assert state_of_text(perplexity(NOVEL, 50.0), changed(NOVEL, 2.5), given) is State.LOSS
    assert state_of_text(perplexity(NOVEL, 20.2), changed(NOVEL, 1.01), given) is State.NO_LOSS
    bare = replace(changed(NOVEL, 1.01), ratio_interval=None)
    assert state_of_text(perplexity(NOVEL, 20.2), bare, given) is State.LOSS


N, L, F = State.NO_LOSS, State.LOSS, State.FIXED


@pytest.mark.parametrize(
    ("states", "unharmed", "gone"),
    [
        ({0.1: N, 0.5: L, 0.9: F}, 0.1, 0.9),
        ({0.1: L, 0.5: N, 0.9: L}, 0.0, None),  # a level without a loss above one with a loss does not count
        ({0.1: N, 0.5: F, 0.9: L}, 0.1, None),  # nor does one gone below one that answers
        ({0.9: F, 0.1: F, 0.5: F}, 0.0, 0.1),
        ({0.1: N}, 0.1, None),
    ],
)  # fmt: skip
def test_levels_are_named_from_their_ends(
    states: dict[float, State], unharmed: float, gone: float | None
) -> None:
    pair = Pair(study_model("M", ["films"]), FILMS, states)
    assert (pair.unharmed, pair.gone) == (unharmed, gone)


def with_checkpoints(held: list[Held], **checkpoints: str) -> Report:
    """The same records, of models whose checkpoints are elsewhere."""
    for place, one in enumerate(held):
        if isinstance(study := one.record.answer, Study):
            rows = tuple(
                replace(row, checkpoint=checkpoints.get(row.name, row.checkpoint))
                for row in study.models
            )
            answer = replace(study, models=rows)
            held[place] = Held(replace(one.record, answer=answer), one.origin)
    return Report(held)


def test_pretrained_rows_are_chosen_before_miniatures() -> None:
    report = with_checkpoints(synthetic.held(("GPT-2", "LED")), LED="org/led")
    some = chosen(report)
    assert ([row.name for row in some.rows], some.noun) == (["LED"], "pretrained model")


def test_without_miniatures_beside_them_rows_are_models() -> None:
    assert chosen(Report(synthetic.held(("GPT-2", "LED")))).noun == "model"
    all_own = with_checkpoints(synthetic.held(("GPT-2", "LED")), **{"GPT-2": "a", "LED": "b"})
    assert (len(chosen(all_own).rows), chosen(all_own).noun) == (2, "model")


def test_rows_of_two_origins_never_meet() -> None:
    held = synthetic.held(("GPT-2", "LED", "DeBERTa"), origins={"GPT-2": "recorded"})
    assert [row.name for row in chosen(Report(held)).rows] == ["LED", "DeBERTa"]


def test_what_is_lost_unpruned_is_no_case() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews", "cola"))
    for place, one in enumerate(held):
        cell = one.cell
        if (cell.kind, cell.task, cell.level) == ("evaluation", "cola", 0.0):
            answer = replace(one.record.answer, interval=(-0.1, 0.1))  # type: ignore[type-var]
            held[place] = Held(replace(one.record, answer=answer), one.origin)
    report = Report(held)
    assert [pair.task.name for pair in pairs(report, report.measured)] == ["reviews"]


def test_recorded_rows_beside_rows_measured_here_are_marked_and_the_mark_is_explained() -> None:
    held = synthetic.held(("GPT-2", "LED"), origins={"LED": "recorded"})
    report = with_checkpoints(held, LED="org/led")
    assert challenges.context(report).same_file.startswith(
        "Nor do they save bytes: dense, LED &#40;recorded"
    )
    for page in (challenges.context(report), concepts.context(report)):
        assert page.note.startswith("(recorded): published numbers")
    assert challenges.context(Report(synthetic.held(("GPT-2", "LED")))).note == ""
