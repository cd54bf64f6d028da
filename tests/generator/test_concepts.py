"""What Concepts says of its examples, beside records of which a near rule would say another thing."""

from dataclasses import replace

import pytest
import synthetic
from generator.pages.collapse import Pair, State
from synthetic import comparison, evaluation, inspection, study_model, study_task
from test_costs import LOST, WON, weighed

from experiments.records.inspection import Count, NearZero
from generator.pages import concepts
from generator.render import Markdown
from generator.report import Report

A = Markdown("A")
FILMS = study_task("sst2")
N, L, F = State.NO_LOSS, State.LOSS, State.FIXED


def test_zeros_are_counted_over_prunable_weights_and_near_ones_by_rms() -> None:
    """Of 4,000 in four matrices 80 each are below 0.1 RMS, so 8 %; below 0.1 absolute 90 % are."""
    below = NearZero(threshold=0.1, relative_to="absolute", count=900)
    tensors = [replace(one, near_zero=(below, *one.near_zero)) for one in inspection().tensors]
    assert concepts.zeros(A, replace(inspection(), tensors=tuple(tensors))) == (
        "Of the 4 thousand prunable weights of A, none is exactly zero as stored; 8 % are below a tenth "
        "of their matrix's RMS."
    )


def test_a_few_zeros_are_neither_none_nor_0_percent() -> None:
    given = inspection()
    some = replace(given.totals, prunable=Count(count=4000, zeros=1))
    assert "of A, <0.1 % are exactly zero as stored" in concepts.zeros(
        A, replace(given, totals=some)
    )
    none = replace(given.totals, prunable=Count(count=0, zeros=0))
    assert concepts.zeros(A, replace(given, totals=none)) == ""


def pair(**states: State) -> Pair:
    levels = {float(f"0.{name[1:]}"): state for name, state in states.items()}
    return Pair(study_model("M", ["sst2"]), FILMS, levels)


def test_the_best_case_has_a_bound_and_the_number_of_cases() -> None:
    """The bound is the interval's lower end, 1.91 points rounded outward, not the difference of 0.2."""
    loss = replace(comparison(FILMS, gain=0), accuracy_difference_interval=(-0.0191, 0.0147))
    said = concepts.best(A, pair(l1=N, l5=N, l9=F), evaluation(FILMS), loss, 7)
    assert said == (
        "At 50 % zeros A loses at most 2.0 points on film reviews (SST-2), the best of 7 cases."
    ).replace("(", "&#40;").replace(")", "&#41;")
    assert "cases" not in concepts.best(A, pair(l1=N), evaluation(FILMS), loss, 1)


def test_where_even_the_best_loses_at_once_that_is_said() -> None:
    said = concepts.best(A, pair(l1=L, l5=N), evaluation(FILMS), None, 3)
    assert said.startswith("Even A on film reviews")
    assert said.endswith("shows a loss at 10 %, the best of 3 cases.")


def test_a_text_has_no_points_to_lose() -> None:
    said = concepts.best(A, replace(pair(l1=N), task=study_task("novel")), None, None, 1)
    assert said == "At 10 % zeros A shows no loss on novel."


def test_the_end_of_the_example_is_from_where_on_it_never_answers() -> None:
    assert concepts.gone(pair(l1=N, l5=F, l7=L, l9=F)) == "From 90 % on it beats no fixed answer."
    assert concepts.gone(pair(l1=N, l5=F, l9=L)) == "It beats a fixed answer up to 90 %."


BLOCKS = weighed(dense_F32=(538_000_000, 538_000_000), dense_BF16=(269_000_000, 269_000_000),
                 bitmask_F32=(551_000_000, 90_000_000), bitmask_BF16=(282_000_000, 91_000_000))  # fmt: skip


LESS = " Zeros in bit masks take less only from 90 % on (91 MB)"


@pytest.mark.parametrize(
    ("file", "dead", "said"),
    [
        (98_000_000, 0.9, f"{LESS}, where it beats no fixed answer."),
        (98_000_000, 0.95, f"{LESS}."),  # at 90 % it answers still
        (98_000_000, None, f"{LESS}."),
        (90_500_000, 0.9, " No level of zeros in bit masks takes less."),  # in 32 bits one would
    ],
)  # fmt: skip
def test_blocks_are_held_against_16_bits_and_zeros_in_16_bits(
    file: int, dead: float | None, said: str
) -> None:
    given = concepts.blocks_of(A, file, 4, BLOCKS, dead)
    size = "98 MB" if file == 98_000_000 else "90 MB"
    assert given == f"A came in 4-bit blocks of {size}; in 16 bits it takes 270 MB.{said}"


def test_without_blocks_half_the_bits_are_the_example() -> None:
    assert (
        concepts.halved(A, WON) == "With half the bits to a weight, A takes 45 MB instead of 91 MB."
    )
    assert concepts.halved(A, LOST).endswith("270 MB instead of 540 MB.")
    assert concepts.halved(A, weighed(dense_F16=(40, 40), dense_BF16=(40, 40))) == ""


@pytest.mark.parametrize(
    ("stored", "bits"), [("Q4_1", 4), ("Q8_0", 8), ("IQ2_XS", 2), ("Q6_K", 6), ("BF16", None), ("", None)]
)  # fmt: skip
def test_the_bits_of_a_block_are_told_by_its_name(stored: str, bits: int | None) -> None:
    first, *rest = inspection().tensors
    given = replace(inspection(), tensors=(replace(first, stored_as=stored), *rest))
    assert concepts._blocks(given) == bits


def test_the_fewest_bits_of_a_mixed_file_name_it() -> None:
    kinds = ("Q8_0", "Q4_1", "", "F32")
    tensors = [replace(one, stored_as=kind) for one, kind in zip(inspection().tensors, kinds)]
    assert concepts._blocks(replace(inspection(), tensors=tuple(tensors))) == 4


def test_a_student_has_its_size_and_what_it_gets_right_unpruned() -> None:
    best = Markdown("films"), replace(evaluation(FILMS), accuracy=0.889)
    assert concepts.student(A, inspection(), best) == (
        "A, a student of 4.1 thousand parameters, gets 89 % of films right unpruned."
    )
    assert concepts.student(A, inspection(), None) == "A is a student of 4.1 thousand parameters."
    assert concepts.student(A, None, best) == ""


def test_feed_forward_layers_are_a_share_of_prunable_weights_alone() -> None:
    """Two of the four matrices of a thousand: half; of all weights with the embedding, 40 %."""
    assert concepts.feed_forward(A, inspection()) == (
        "In A, feed-forward layers hold 50 % of the prunable weights."
    )


def test_the_example_is_the_row_that_stands_pruning_best() -> None:
    """GPT-2 comes first in the study, LED loses nothing up to a higher level."""
    held = synthetic.held(("GPT-2", "LED"), tasks=("reviews",))
    for place, one in enumerate(held):
        cell = one.cell
        if (cell.kind, cell.model, cell.against) == ("comparison", "LED", "dense"):
            answer = replace(one.record.answer, difference_interval=(-0.01, 0.02))  # type: ignore[type-var]
            held[place] = replace(one, source=replace(one.record, answer=answer))
    given = concepts.context(Report(held))
    assert given.best.startswith("At 50 % zeros LED loses at most")
    assert "prunable weights of LED," in given.zeros
    assert given.cut is not None
    assert (
        given.cut.caption
        == "50 % of the prunable weights of LED lie below 0.01: there that level cuts."
    )


def test_only_what_cites_a_paper_of_students_is_one() -> None:
    assert concepts.context(Report(synthetic.small())).student == ""
