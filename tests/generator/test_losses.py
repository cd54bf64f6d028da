"""What is said of quality: each sentence beside records of which a near rule would say another thing."""

from dataclasses import replace

import pytest
from synthetic import comparison, evaluation, study_model, study_task

from experiments.records.evaluation import Evaluation
from generator.pages.collapse import Pair, State
from generator.pages.losses import (
    Answered,
    bound,
    collapse,
    fall,
    hidden,
    last_unharmed,
    rivals,
    unharmed,
)
from generator.render import Markdown

FILMS, COLA = study_task("films"), study_task("cola")
N, L, F, S = State.NO_LOSS, State.LOSS, State.FIXED, State.SILENT


def pair(*states: State, levels: tuple[float, ...] = (0.1, 0.5, 0.9)) -> Pair:
    return Pair(study_model("M", ["films"]), FILMS, dict(zip(levels, states)))


def test_the_collapse_is_where_the_last_pair_goes_not_the_first() -> None:
    said = collapse([pair(N, F, F), pair(N, L, S)], "pretrained model", "magnitude")
    assert said == (
        "**From 90 % zeros on, none of the 2 pretrained model-task pairs beats a fixed answer**, "
        "pruned in one shot by magnitude."
    )


def test_where_one_still_answers_it_is_counted_at_the_last_level() -> None:
    given = [pair(N, F, F), pair(N, F, L), pair(N, N, N)]
    assert "**At 90 % zeros, 2 of the 3 model-task pairs still beat a fixed" in collapse(
        given, "model", "x"
    )
    assert "1 of the 2 model-task pairs still beats a fixed" in collapse(given[:2], "model", "x")


def test_a_pair_that_answers_again_at_the_last_level_has_not_collapsed() -> None:
    assert "1 of the 1 model-task pair still beats" in collapse([pair(N, F, L)], "model", "x")


def test_a_method_s_name_is_text() -> None:
    assert "by &#60;b&#62;" in collapse([pair(N, F, F)], "model", "<b>")


def test_no_loss_is_said_up_to_the_level_below_the_first_loss() -> None:
    given = [pair(N, N, F), pair(N, L, N), pair(L, L, L)]
    assert unharmed(given) == "No loss is seen in 1 of 3 up to 50 %, in none beyond."
    assert last_unharmed(given) == 0.5


def test_at_the_last_level_nothing_is_said_to_lie_beyond() -> None:
    assert unharmed([pair(N, N, N), pair(N, L, L)]) == "No loss is seen in 1 of 2 up to 90 %."


def test_a_loss_at_the_lowest_level_everywhere_is_said() -> None:
    assert unharmed([pair(L, N, N)]) == "Each of them shows a loss at the lowest level already."
    assert (unharmed([]), collapse([], "model", "x"), last_unharmed([])) == ("", "", 0.0)


def test_the_rival_is_the_method_that_keeps_the_largest_part_not_the_most() -> None:
    most = [pair(N, N, L), pair(N, N, N), pair(N, F, F), pair(N, F, F)]
    best = [pair(N, L, levels=(0.1, 0.7))]
    said = rivals({"wide": most, "narrow": best, "none": []})
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


def test_a_bound_is_the_lower_end_of_each_interval_rounded_outward() -> None:
    """The worst is 3.51 points, so 3.6; the mean difference, its upper end or rounding would say less."""
    losses = [
        replace(comparison(FILMS), accuracy_difference_interval=bounds)
        for bounds in ((-0.0351, 0.09), (-0.004, 0.2), (-0.02, 0.01))
    ]
    assert bound(losses) == (
        "In the 3 cases with no loss seen, the interval still allows 0.4 to 3.6 points of accuracy "
        "to be lost."
    )
    assert "In the one case" in bound(losses[:1])
    assert "allows up to 3.6 points" in bound(losses[:1])
    assert bound([]) == ""


def test_an_interval_wholly_above_0_allows_no_loss() -> None:
    gain = replace(comparison(FILMS), accuracy_difference_interval=(0.01, 0.05))
    assert "up to 0.0 points" in bound([gain])
