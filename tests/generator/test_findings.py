"""The finding in sentences: tables of cases in which a neighbouring wrong rule says another thing."""

from collections.abc import Sequence

import pytest

from generator.sentences import findings
from generator.sentences.findings import Outcome, Ran
from generator.verdicts import Course, Speed, State

LEVELS = (0.1, 0.5, 0.9)
BY_SIGN = {one.sign: one for one in State}
BY_LETTER = {"f": Speed.FASTER, "s": Speed.SAME, "w": Speed.SLOWER}


def asked(
    signs: str, faster: Sequence[float] | None = (), *, pretrained: bool = True,
    levels: Sequence[float] = LEVELS,
) -> Outcome:  # fmt: skip
    """A pair by the signs of its states at these levels, and the levels at which its model is faster."""
    course = Course(tuple(zip(levels, (BY_SIGN[sign] for sign in signs))))
    return Outcome(course, None if faster is None else tuple(faster), pretrained)


def ran(letters: str, *ratios: float) -> list[Ran]:
    """A model by its verdicts and ratios at these levels."""
    return [Ran(at, ratio, BY_LETTER[one]) for at, ratio, one in zip(LEVELS, ratios, letters)]


@pytest.mark.parametrize(
    ("signs", "faster", "pays"),
    [
        ("==×", (0.5, 0.9), True),
        ("==×", (0.9,), False),  # faster, but where it is dead
        ("=×=", (0.9,), False),  # faster and without a loss there, but above a level that is dead
        ("=−×", (0.1,), True),
        ("−=×", (0.5,), False),  # a loss at the first level: nothing is unharmed
        ("===", (), False),
        ("===", None, False),
    ],
)
def test_a_level_pays_that_is_both_unharmed_and_faster(
    signs: str, faster: Sequence[float] | None, pays: bool
) -> None:
    assert asked(signs, faster).pays is pays


HEADLINES = [
    # No task, or none timed.
    (2, [], "What pruning does to answers is not measured here: no comparison of answers is on record."),
    (1, [asked("=−×", None)], "this model shows no loss at the lowest level."),
    (2, [asked("=−×", None), asked("−−×", None)],
     "1 of 2 model-task pairs shows no loss at the lowest level."),
    # One model, one level, one task.
    (1, [asked("−", (0.1,), levels=(0.1,))],
     "no level tried is both faster and without loss, on the one task asked."),
    (1, [asked("==×", (0.5,))], "this model gets faster before a loss is seen."),
    # Faster where it is dead is no gain: the loss comes first.
    (2, [asked("=−×", (0.9,)), asked("−−×", (0.9,))],
     "no level tried is both faster and without loss, for both model-task pairs."),
    # Two of four pay: half is enough, and the two are counted, not the losers.
    (2, [asked("==×", (0.5,)), asked("=−−", (0.1,)), asked("−××", (0.9,)), asked("×××", (0.9,))],
     "2 of 4 model-task pairs get faster before a loss is seen."),
    # One of three pays: the others are counted.
    (3, [asked("==×", (0.5,)), asked("=−×", (0.9,)), asked("−−×", (0.9,))],
     "no level tried is both faster and without loss, for 2 of 3 model-task pairs."),
    # What was not timed is not counted among those that lose first.
    (3, [asked("=−×", (0.9,)), asked("−−×", (0.9,)), asked("−−×", None), asked("−−×", (0.9,))],
     "no level tried is both faster and without loss, for all 3 model-task pairs."),
    # Never faster and never a loss: nothing is lost first.
    (2, [asked("===", ()), asked("===", ())],
     "these two models show no loss and run no faster, at any level tried."),
    # One loses, one neither loses nor gains: neither has a level that is both.
    (2, [asked("===", ()), asked("=−−", ())],
     "no level tried is both faster and without loss, for both model-task pairs."),
]  # fmt: skip


@pytest.mark.parametrize(("models", "outcomes", "said"), HEADLINES)
def test_the_headline_says_which_comes_first(
    models: int, outcomes: list[Outcome], said: str
) -> None:
    by = "Pruned in one shot by magnitude, " if outcomes else ""
    assert findings.headline("magnitude", models, outcomes) == by + said


def test_a_method_s_name_is_text() -> None:
    assert "by &#60;b&#62;, " in findings.headline("<b>", 1, [asked("==×", (0.5,))])


@pytest.mark.parametrize(
    ("outcomes", "level"),
    [
        ([asked("=−×"), asked("==×")], 0.5),  # one of two is half
        ([asked("=−×"), asked("==×"), asked("=−×")], 0.1),
        ([asked("−−×"), asked("−−×")], None),
        (
            [asked("==="), asked("×", levels=(0.1,))],
            0.9,
        ),  # only who was asked at a level counts there
        ([], None),
    ],
)
def test_half_of_the_pairs_bear_a_level(outcomes: list[Outcome], level: float | None) -> None:
    assert findings.half_kept(outcomes) == level


@pytest.mark.parametrize(
    ("models", "level"),
    [
        ([ran("sff", 1.0, 1.2, 2.0), ran("ssf", 1.0, 1.0, 1.3)], 0.9),  # 0.5 is one model's alone
        ([ran("ssf", 1.0, 1.0, 2.0), ran("sss", 1.0, 1.0, 1.0)], None),
        # Significant, but within the noise: the verdict decides, not the ratio.
        ([ran("sss", 1.01, 1.01, 1.02)], None),
        ([ran("sff", 1.0, 1.2, 2.0), ran("sff", 1.0, 1.2, 2.0)[:2]], 0.5),
        (
            [ran("ssf", 1.0, 1.0, 2.0), ran("sff", 1.0, 1.2, 2.0)[:2]],
            None,
        ),  # 0.9 is not on record of both
        ([], None),
    ],
)
def test_all_are_faster_where_every_timed_model_is(
    models: list[list[Ran]], level: float | None
) -> None:
    assert findings.all_faster(models) == level


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([], ""),
        ([ran("sss", 1.0, 1.01, 1.0), ran("sss", 1.0, 1.0, 1.0)], " No model runs faster there."),
        ([ran("sws", 1.0, 0.9, 1.0), ran("sss", 1.0, 1.0, 1.0)],
         " No model runs faster there, one model slower."),
        ([ran("sff", 1.0, 1.04, 2.0), ran("sff", 1.0, 1.06, 1.2)],
         " All models run faster there, 1.04 to 1.06 times as fast."),
        # The gain is of those that gain, at that level: not 0.99, nor the 2.0 of a higher one.
        ([ran("sff", 1.0, 1.04, 2.0), ran("ssf", 1.0, 1.09, 1.2), ran("swf", 1.0, 0.9, 2.0)],
         " One of three models runs faster there, 1.04 times as fast."),
    ],
)  # fmt: skip
def test_at_a_level_both_what_is_kept_and_what_is_gained_is_said(
    models: list[list[Ran]], said: str
) -> None:
    outcomes = [asked("==×"), asked("=−×"), asked("=××", levels=(0.1, 0.9, 0.95))]
    start = "At 50 % zeros 1 of 2 model-task pairs show no loss."
    assert findings.kept(outcomes, models, 0.5) == f"{start}{said}"


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([], ""),
        # A loss still beats an answer without reading; only pretrained pairs are judged where there are any.
        ([asked("=−×"), asked("=−−"), asked("===", pretrained=False)],
         " There 1 of the 2 pretrained pairs beats a fixed answer."),
        ([asked("=−×"), asked("==∅"), asked("===", pretrained=False)],
         " There none of the 2 pretrained pairs beats a fixed answer."),
        ([asked("==−"), asked("===")],
         " There every one of the 2 model-task pairs beats a fixed answer."),
        ([asked("==−", pretrained=False), asked("==×", pretrained=False), asked("===", pretrained=False)],
         " There 2 of the 3 model-task pairs beat a fixed answer."),
        ([asked("=−", levels=(0.1, 0.5))], ""),  # not asked at 90 %
        ([asked("==×")], " There the one model-task pair does not beat a fixed answer."),
        ([asked("==−")], " There the one model-task pair beats a fixed answer."),
    ],
)  # fmt: skip
def test_speed_is_said_with_what_still_answers_there(outcomes: list[Outcome], said: str) -> None:
    models = [ran("sff", 1.0, 1.2, 2.31), ran("ssf", 1.0, 1.0, 1.24)]
    start = "At 90 % the models run 1.2 to 2.3 times as fast, by skipping zeros."
    assert findings.gained(outcomes, models, 0.9) == f"{start}{said}"


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([0.5, 0.1, 0.9], "10 to 90 %"),
        ([0.5, 0.5], "50 %"),
        ([None, 0.1, 0.5], "none to 50 %"),
        ([None, None], "none"),
        ([0.975, 0.1], "10 to 97.5 %"),
    ],
)
def test_levels_span_from_the_least_to_the_greatest(levels: list[float | None], said: str) -> None:
    assert findings.level_span(levels) == said


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([0.9, None, 0.5], "50 % to never"),  # what is never reached lies above all, not below
        ([None], "never"),
        ([0.5, 0.9], "50 to 90 %"),
    ],
)
def test_what_is_never_reached_is_the_far_end(levels: list[float | None], said: str) -> None:
    assert findings.level_span(levels, "never") == said


@pytest.mark.parametrize(
    ("some", "every", "said"),
    [
        (0, 6, "none of six models"),
        (1, 1, "the one model"),
        (12, 12, "twelve of twelve models"),
        (3, 13, "3 of 13 models"),  # both in words or both in digits
        (13, 13, "13 of 13 models"),
    ],
)
def test_some_of_many_is_in_words_where_both_are_small(some: int, every: int, said: str) -> None:
    assert findings.some_of(some, every) == said
