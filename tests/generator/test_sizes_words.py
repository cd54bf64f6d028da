"""What is said of bytes: cases in which a near rule would pass a rival over, or a level that is dead."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from synthetic import footprint, inspection, record, study_model, study_task

from experiments.records.cell import Cell
from experiments.records.footprint import Footprint, FootprintRow
from experiments.records.record import Held
from generator.pairs import Pair
from generator.render import Markdown
from generator.report import Report
from generator.sentences import bits, sizes
from generator.sentences.sizes import Weighed, alive_up_to, example, fewer_bits, main_point
from generator.verdicts import Course, Sizes, State

A, B = Markdown("A"), Markdown("B")
M = 1_000_000
ROW = study_model("A", ["films"])
N, L, F = State.NO_LOSS, State.LOSS, State.FLOOR


def weighed(
    dense: int, as_came: int, half: int | None, masks: Mapping[float, int],
    halves: Mapping[float, int] | None = None,
) -> Weighed:  # fmt: skip
    """A row in megabytes."""
    made = {"F32": masks} | ({"BF16": halves} if halves else {})
    return Weighed(
        ROW,
        Sizes(dense * M, as_came * M, half and half * M),
        {dtype: {at: one * M for at, one in rows.items()} for dtype, rows in made.items()},
    )


# MiniLM: 54 MB of bit masks are fewer than 91 dense, and more than 45 in 16 bits.
MINILM = weighed(91, 91, 45, {0.0: 92, 0.5: 73, 0.9: 54}, {0.0: 46, 0.5: 36, 0.9: 28})
# SmolLM2: masks are fewer than dense and than 16 bits, and more than the file of 4-bit blocks.
SMOLLM = weighed(538, 98, 269, {0.0: 551, 0.5: 360, 0.9: 169}, {0.0: 282, 0.5: 186, 0.9: 91})
LED = weighed(160, 160, 79, {0.0: 163, 0.9: 63}, {0.0: 82, 0.9: 33})
PLAIN = weighed(4, 4, 4, {0.0: 5, 0.9: 2})  # stored in 16 bits: nothing of fewer bits to beat


@pytest.mark.parametrize(
    ("one", "dtype", "level"),
    [
        (MINILM, "F32", None),  # smaller than its own dense file from 50 % on
        (MINILM, "BF16", 0.5),
        (SMOLLM, "F32", None),  # smaller than 16 bits at 90 %, but not than as it came
        (SMOLLM, "BF16", 0.9),
        (LED, "F32", 0.9),
        (PLAIN, "F32", 0.9),
        (PLAIN, "BF16", None),  # not weighed
    ],
)
def test_masks_are_smaller_from_where_they_beat_every_rival(
    one: Weighed, dtype: str, level: float | None
) -> None:
    assert one.smaller_from(dtype) == level


def test_level_0_is_no_pruned_file() -> None:
    assert weighed(9, 9, None, {0.0: 1, 0.9: 10}).smaller_from("F32") is None


@pytest.mark.parametrize(
    ("one", "said"),
    [
        # Whichever takes less: both are said, in one order.
        (MINILM, "In 16 bits A takes 45 MB, with those zeros at full width 54 MB."),
        (LED, "In 16 bits A takes 79 MB, with those zeros at full width 63 MB."),
        (SMOLLM, "In 16 bits A takes 270 MB, with those zeros at full width 170 MB."),
        (PLAIN, ""),
        (weighed(91, 91, 45, {0.5: 73}), ""),  # not weighed at 90 %
        (weighed(50, 50, None, {0.9: 54}), ""),  # no 16 bits to hold it against
    ],
)
def test_an_example_has_16_bits_beside_90_percent_zeros(one: Weighed, said: str) -> None:
    assert example(one) == said


def at(one: Weighed, unharmed: float | None) -> Weighed:
    """A row whose last level without a loss is this one."""
    return replace(one, unharmed=unharmed)


MORE = (
    "Fewer bits save more than zeros do: where no loss is seen, 16 bits make the smaller file for"
)
THERE = "At 90 %, zeros in bit masks are smaller than 16 bits for"
LESS = "Zeros save more than 16 bits do, where no loss is seen, for"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        # At 90 % zeros are smaller for two of the three; no loss is seen at 50 and 10 % alone.
        ([at(MINILM, 0.5), at(SMOLLM, 0.5), at(LED, 0.0), at(PLAIN, 0.9)], f"{MORE} three of three models."),
        ([at(MINILM, 0.5), at(SMOLLM, 0.9), at(LED, 0.9)], f"{LESS} two of three models."),
        ([at(LED, 0.9)], f"{LESS} the one model."),
        # What nothing was asked of has no level without a loss: 90 % is said of 90 %.
        ([MINILM, SMOLLM, LED, PLAIN], f"{THERE} two of three models."),
        ([MINILM], f"{THERE} none."),
        ([at(PLAIN, 0.5)], ""),
        ([], ""),
        ([at(weighed(91, 91, 45, {0.5: 73}), 0.9)], ""),  # not weighed there
    ],
)  # fmt: skip
def test_16_bits_and_zeros_are_held_together_where_no_loss_is_seen(
    found: list[Weighed], said: str
) -> None:
    assert fewer_bits(found) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        # SmolLM2's are smaller than its dense file from 50 % on, and never than the file as it came.
        ([MINILM, SMOLLM, LED, PLAIN], "Masks beat every unpruned file of two of four models, first at 90 %"),
        ([LED, weighed(4, 4, 4, {0.1: 3, 0.9: 2})], "Masks beat every unpruned file first at 10 to 90 %"),
        ([MINILM], "Masks beat every unpruned file at no level"),
    ],
)  # fmt: skip
def test_the_level_from_which_masks_win_is_that_of_the_models_of_which_they_do(
    found: list[Weighed], said: str
) -> None:
    assert sizes.from_where(found) == said


def test_what_to_take_from_it_turns_with_the_majority() -> None:
    smaller = "without a loss they make the smaller file for"
    kept, lost = at(MINILM, 0.5), at(LED, 0.9)
    assert main_point([kept, lost]) == (
        "Try 16 bits before zeros: the smaller file for one of two models. What "
        "rounding costs is not measured."
    )
    assert main_point([lost, lost, kept]) == (
        f"Hold zeros against 16 bits: {smaller} two of three models."
    )
    assert main_point([PLAIN]) == ""


def pair(*states: State) -> Pair:
    course = Course(tuple(zip((0.1, 0.5, 0.9), states)))
    return Pair(Report([]), ROW, study_task("films"), course, weak=False)


@pytest.mark.parametrize(
    ("some", "level"),
    [
        ([pair(N, L, F)], 0.5),  # a loss is no end
        ([pair(N, L, F), pair(N, F, F)], 0.1),  # the least over tasks
        ([pair(N, F, L)], 0.1),  # answering again above a level that did not is no limit
        ([pair(F, F, F), pair(N, N, N)], 0.0),
        ([pair(N, N, N)], 0.9),
        ([], 0.0),
    ],
)
def test_a_model_is_alive_up_to_where_its_first_task_ends(some: list[Pair], level: float) -> None:
    assert alive_up_to(some) == level


def files(levels: Sequence[float] = (0.0, 0.9), **rows: tuple[int, ...]) -> Footprint:
    """Megabytes of files by format and dtype, like `bitmask_F32`, at these levels."""
    made = [
        FootprintRow(level=level, format=form, dtype=dtype, of="file", bytes=one * M, ratio=1.0)
        for name, each in rows.items()
        for form, dtype in [name.split("_")]
        for level, one in zip(levels, each)
    ]
    return Footprint(method="magnitude", rows=tuple(made), break_even=())


def report(found: Footprint, file_bytes: int) -> Report:
    """One row weighed under magnitude."""
    weighed, inspected = (Cell(kind=kind, model="A") for kind in ("footprint", "inspection"))
    records = [
        record(replace(weighed, method="magnitude"), found),
        record(inspected, replace(inspection(), file_bytes=file_bytes)),
    ]
    return Report([Held(one, "here") for one in records]).under("magnitude")


@pytest.mark.parametrize(
    ("some", "came", "own", "said"),
    [
        # At 90 % there are 15 MB, and a loss; on one of two tasks there is one at 50 % too.
        ([pair(N, N, L)], 100, True, "30 MB, 50 % zeros, 16 bits"),
        ([pair(N, N, F), pair(N, L, F)], 100, True, "50 MB, unpruned, 16 bits"),
        (
            [],
            100,
            True,
            "50 MB, unpruned, 16 bits",
        ),  # nothing was asked: nothing is known to answer
        ([pair(F, F, F)], 100, True, "50 MB, unpruned, 16 bits"),
        ([pair(N, N, F)], 20, True, "20 MB, as it came"),
        (
            [pair(N, N, F)],
            20,
            False,
            "30 MB, 50 % zeros, 16 bits; it came as 20 MB",
        ),  # another checkpoint answered
        ([pair(N, N, F)], 40, True, "30 MB, 50 % zeros, 16 bits"),
    ],
)
def test_the_smallest_file_is_that_of_a_level_without_a_loss(
    some: list[Pair], came: int, own: bool, said: str
) -> None:
    row = replace(ROW, tasks={"films": ROW.checkpoint if own else "tuned"})
    found = files(
        (0.0, 0.5, 0.9),
        dense_F32=(100, 100, 100), bitmask_F32=(103, 60, 25), gzip_F32=(90, 20, 5),
        dense_BF16=(50, 50, 50), bitmask_BF16=(53, 30, 15),
    )  # fmt: skip
    assert sizes.smallest(report(found, came * M), row, some) == said


def test_a_row_that_was_not_weighed_has_no_smallest_file() -> None:
    assert sizes.smallest(Report([]), ROW, [pair(N)]) is None


def test_a_dense_file_that_keeps_its_size_is_named_the_largest_one() -> None:
    given = {
        A: files(dense_F32=(91, 91), dense_BF16=(45, 45)),
        B: files(dense_F32=(538, 538)),
        Markdown("C"): files(dense_F32=(900, 800)),
    }
    assert sizes.same_file(given) == "Dense, B takes 540 MB at every level."
    assert sizes.same_file({A: files(dense_F32=(2, 1))}) == ""
    once = files(dense_F32=(91, 91))
    assert sizes.same_file({A: replace(once, rows=once.rows[:1])}) == ""  # of one level


def test_what_is_stored_in_16_bits_has_no_half() -> None:
    stored = files(dense_F16=(40, 40), bitmask_F16=(42, 20), dense_BF16=(40, 40))
    assert bits.halves(stored, "dense") == {}
    assert bits.halved(A, stored) == ""
    assert bits.halves(footprint(), "dense")[0.0] == 50_000


def test_without_blocks_half_the_bits_are_the_example() -> None:
    both = files(dense_F32=(91, 91), dense_BF16=(45, 45))
    assert bits.halved(A, both) == "With half the bits to a weight, A takes 45 MB instead of 91 MB."


BLOCKS = files(
    dense_F32=(538, 538), dense_BF16=(269, 269), bitmask_F32=(551, 90), bitmask_BF16=(282, 91)
)
LESS = " Zeros in bit masks take less than the file that came only from 90 % on (91 MB)"
DEAD, ALIVE = Course(((0.9, F),)), Course(((0.9, L),))


@pytest.mark.parametrize(
    ("file", "courses", "said"),
    [
        (98, [DEAD, DEAD], f"{LESS}, where it beats no fixed answer."),
        (98, [DEAD, ALIVE], f"{LESS}."),  # one task is answered still
        (98, [DEAD, Course(((0.5, F),))], f"{LESS}."),  # dead below is not known to be dead there
        (98, [], f"{LESS}."),
        (90, [DEAD], " No level of zeros in bit masks takes less."),  # 90 in 32 bits does not count
    ],
)
def test_blocks_are_held_against_16_bits_and_zeros_in_16_bits(
    file: int, courses: list[Course], said: str
) -> None:
    given = bits.blocks(A, file * M, 4, BLOCKS, courses)
    assert given == f"A came in 4-bit blocks of {file} MB; in 16 bits it takes 270 MB.{said}"


@pytest.mark.parametrize(
    ("stored", "fewest"), [("Q4_1", 4), ("Q8_0", 8), ("IQ2_XS", 2), ("Q6_K", 6), ("BF16", None), ("", None)]
)  # fmt: skip
def test_the_bits_of_a_block_stand_in_its_name(stored: str, fewest: int | None) -> None:
    first, *rest = inspection().tensors
    given = replace(inspection(), tensors=(replace(first, stored_as=stored), *rest))
    assert bits.fewest(given) == fewest


def test_the_fewest_bits_of_a_mixed_file_name_it() -> None:
    kinds = ("Q8_0", "Q4_1", "", "F32")
    tensors = [replace(one, stored_as=kind) for one, kind in zip(inspection().tensors, kinds)]
    assert bits.fewest(replace(inspection(), tensors=tuple(tensors))) == 4


def test_bits_and_zeros_compete_at_the_last_level_that_answers_not_at_90_percent() -> None:
    """LED's masks win at 90 %, where it is dead; at 10 % they were not weighed: as large as dense."""
    given = [
        (LED, [pair(N, F, F)]),
        (MINILM, [pair(N, N, F)]),
        (PLAIN, [pair(N, N, N)]),
        (SMOLLM, []),
    ]
    assert bits.compete(given) == (
        "While a model answers all it was asked, fewer bits take less than zeros at full width, for two of "
        "two models."
    )
    assert "for no model" in bits.compete([(LED, [pair(N, N, N)])])
    assert bits.compete([(PLAIN, [pair(N, N, N)])]) == ""
