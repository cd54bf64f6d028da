"""What is said of damage: each sentence beside records of which a near rule would say another thing."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from synthetic import comparison, evaluation, record, study_model, study_task

from experiments.records.cell import Cell
from experiments.records.evaluation import Comparison, Evaluation
from experiments.records.record import Held
from experiments.records.study import StudyTask
from generator.pairs import Pair
from generator.render import Markdown
from generator.report import Report
from generator.sentences.damage import (
    Answered,
    allowed,
    best,
    end,
    ended,
    fall,
    hidden,
    last_unharmed,
    rivals,
    unharmed,
)
from generator.verdicts import Course, State

FILMS, COLA = study_task("films"), study_task("cola")
N, L, F, S = State.NO_LOSS, State.LOSS, State.FLOOR, State.NO_LABEL
MINIATURE = study_model("M", ["films"])
PRETRAINED = replace(MINIATURE, checkpoint="org/m")


def pair(
    *states: State,
    levels: Sequence[float] = (0.1, 0.5, 0.9),
    own: bool = True,
    task: StudyTask = FILMS,
    loss: Comparison | None = None,
) -> Pair:
    """A pair of these states; with a loss, that is on record at every level."""
    asked = Cell(kind="comparison", model="M", method="magnitude", task=task.name, against="dense")
    found = [record(replace(asked, level=at), loss) for at in levels if loss]
    view = Report([Held(one, "here") for one in found]).under("magnitude")
    row = PRETRAINED if own else MINIATURE
    return Pair(view, row, task, Course(tuple(zip(levels, states))), weak=False)


def test_the_end_is_where_the_last_pair_goes_not_the_first() -> None:
    assert ended([pair(N, F, F), pair(N, L, S)], "magnitude") == (
        "**From 90 % zeros on, none of the 2 model-task pairs beats a fixed answer**, pruned in one "
        "shot by magnitude."
    )


def test_with_a_miniature_among_them_pairs_are_not_called_pretrained() -> None:
    assert "none of the 2 model-task pairs" in ended([pair(F), pair(F, own=False)], "x")


def test_where_one_still_answers_it_is_counted_at_the_last_level() -> None:
    given = [pair(N, F, F), pair(N, F, L), pair(N, N, N)]
    assert "**At 90 % zeros, 2 of the 3 model-task pairs still beat a fixed" in ended(given, "x")
    assert "1 of the 2 model-task pairs still beats a fixed" in ended(given[:2], "x")


def test_a_pair_that_answers_again_at_the_last_level_has_not_ended() -> None:
    assert "the one model-task pair still beats a fixed answer**" in ended([pair(N, F, L)], "x")


def test_a_level_that_not_all_were_asked_at_is_not_said_of_all() -> None:
    """The second was asked up to 50 % alone, and answered there."""
    given = [pair(N, F, F), pair(N, N, levels=(0.1, 0.5)), pair(N, L, F)]
    assert "At 90 % zeros, none of the 2 model-task pairs still beats" in ended(given, "x")


def test_a_method_s_name_is_text() -> None:
    assert "by &#60;b&#62;" in ended([pair(N, F, F)], "<b>")
    assert ended([pair(N, F, F)], "x").startswith(
        "**From 50 % zeros on, the one model-task pair beats no"
    )


def test_no_loss_is_said_up_to_the_level_below_the_first_loss() -> None:
    given = [pair(N, N, F), pair(N, L, N), pair(L, L, L)]
    assert unharmed(given) == "No loss is seen in 1 of 3 up to 50 %, in none beyond."
    assert last_unharmed(given) == 0.5


def test_at_the_last_level_nothing_is_said_to_lie_beyond() -> None:
    assert unharmed([pair(N, N, N), pair(N, L, L)]) == "No loss is seen in 1 of 2 up to 90 %."


def test_a_loss_at_the_lowest_level_everywhere_is_said() -> None:
    said = unharmed([pair(L, N, N)])
    assert said == "A loss is seen in each of them at the lowest level already."
    assert (unharmed([]), ended([], "x"), last_unharmed([pair(L, N)])) == ("", "", None)


def test_the_rival_is_the_method_that_keeps_the_largest_part_not_the_most() -> None:
    most = [pair(N, N, L), pair(N, N, N), pair(N, F, F), pair(N, F, F)]
    narrow = [pair(N, L, levels=(0.1, 0.7))]
    said = rivals({"wide": most, "narrow": narrow, "none": []})
    assert said == "By narrow, 1 of 1 still beat a fixed answer at 70 %."
    assert rivals({}) == rivals({"none": []}) == ""


def answered(
    level: float,
    value: float,
    *,
    name: str = "A",
    state: State = L,
    answers: Evaluation | None = None,
) -> Answered:
    given = replace(answers or evaluation(FILMS), value=value, accuracy=value)
    return Answered(Markdown(name), Markdown("films"), level, state, given)


def test_the_steepest_fall_is_between_neighbours_not_over_all_levels() -> None:
    steady = [answered(0.0, 0.95), answered(0.1, 0.8), answered(0.2, 0.65), answered(0.3, 0.5)]
    steep = [
        answered(0.0, 0.9, name="B"),
        answered(0.1, 0.89, name="B"),
        answered(0.2, 0.55, name="B"),
    ]
    assert fall([*steady, *steep]) == (
        "The steepest fall: from 10 to 20 % zeros B drops to 55 % right on films. It had 89 %; always "
        "naming one class has 55 %."
    )


def test_levels_far_apart_are_said_to_have_nothing_between() -> None:
    said = fall([answered(0.0, 0.9), answered(0.1, 0.89), answered(0.5, 0.5)])
    assert said.endswith("naming one class has 55 %. No level between was tried.")
    assert "from 0 to 10 % zeros" in fall([answered(0.0, 0.9), answered(0.1, 0.5)])


def test_one_model_s_last_level_is_no_neighbour_of_another_s_first() -> None:
    assert fall([answered(0.5, 0.9), answered(0.9, 0.95), answered(0.0, 0.6, name="B")]) == ""


def test_a_model_that_no_longer_writes_labels_has_no_score_to_fall_to() -> None:
    mute = [answered(0.0, 0.9), answered(0.1, 0.8), answered(0.2, 0.0, state=S)]
    assert "from 0 to 10 % zeros" in fall(mute)
    written = evaluation(FILMS, generated=True)
    assert fall([answered(0.0, 0.9, answers=written), answered(0.1, 0.2, answers=written)]) == ""


@pytest.mark.parametrize("metric", ["accuracy", "mcc"])
def test_damage_hides_in_accuracy_only_where_mcc_shows_it(metric: str) -> None:
    task = COLA if metric == "mcc" else FILMS
    constant = replace(evaluation(task, constant=True), accuracy=0.7)
    given = [
        Answered(Markdown("A"), Markdown("CoLA"), 0.5, F, replace(constant, accuracy=0.69)),
        Answered(Markdown("B"), Markdown("CoLA"), 0.9, F, constant),
        Answered(Markdown("C"), Markdown("CoLA"), 0.1, N, replace(evaluation(task), accuracy=0.9)),
    ]
    expected = "At 90 % B gives one answer to every sentence of CoLA and keeps 70 % accuracy; its MCC is 0."
    assert hidden(given) == (expected if metric == "mcc" else "")


def test_what_is_allowed_is_the_lower_end_of_each_interval_rounded_outward() -> None:
    """The worst is 3.21 points, so 4; the mean difference, its upper end or rounding would say less."""
    losses = [
        replace(comparison(FILMS), accuracy_difference_interval=bounds)
        for bounds in ((-0.0321, 0.09), (-0.004, 0.2), (-0.02, 0.01))
    ]
    assert allowed(losses) == (
        "Where no loss is seen, at 3 levels of tasks with labels, the interval still allows 1 to 4 points of "
        "accuracy to be lost."
    )
    assert "at one level of tasks with labels" in allowed(losses[:1])
    assert "allows up to 4 points" in allowed(losses[:1])
    assert allowed([]) == ""


def test_an_interval_wholly_above_0_allows_no_loss() -> None:
    gain = replace(comparison(FILMS), accuracy_difference_interval=(0.01, 0.05))
    assert "up to 0 points" in allowed([gain])


def test_the_best_pair_has_a_bound_and_the_number_of_pairs() -> None:
    """The bound is the interval's lower end, 1.21 points rounded outward, not the difference of 0."""
    loss = replace(comparison(FILMS, gain=0), difference_interval=(-0.0121, 0.0147))
    one = pair(N, N, F, loss=loss, task=replace(FILMS, source="socher2013sst"))
    assert best(one, 7) == (
        "At 50 % zeros M shows no loss on film reviews &#40;SST-2&#41;, with at most 2 points lost, the "
        "best of 7 pairs."
    )
    assert best(one, 1).endswith("with at most 2 points lost.")


def test_where_even_the_best_loses_at_once_that_is_said() -> None:
    assert best(pair(L, N, N), 3) == "Even M on films shows a loss at 10 %, the best of 3 pairs."


def test_a_text_has_no_points_to_lose() -> None:
    assert (
        best(pair(N, L, L, task=study_task("novel")), 1)
        == "At 10 % zeros M shows no loss on novel."
    )


def test_a_pair_ends_at_its_first_level_on_the_floor_not_at_its_first_loss() -> None:
    assert end(pair(N, L, F)) == "At 90 % it no longer beats a fixed answer."
    assert end(pair(N, F, L)) == "At 50 % it no longer beats a fixed answer."
    assert end(pair(N, L, L)) == "It beats a fixed answer up to 90 %."
