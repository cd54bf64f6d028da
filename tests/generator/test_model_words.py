"""What is said of one model: cases in which the neighbouring wrong rule says another thing."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from synthetic import footprint, inspection, latency, pruning, tensor

from experiments.records.pruning import Layer
from generator import verdicts
from generator.pairs import Timed
from generator.sentences import model, structure
from generator.sentences.model import Asked
from generator.verdicts import Course, Sizes, Speed, State

STATES = {one.sign: one for one in State}
LEVELS = (0.1, 0.5, 0.9)


def asked(name: str, signs: str, *, weak: bool = False) -> Asked:
    """A task with a state a level: "=−×" at 10, 50 and 90 %."""
    course = Course(tuple(zip(LEVELS, (STATES[sign] for sign in signs))))
    return Asked(name, course, weak)


@pytest.mark.parametrize(
    ("tasks", "unharmed", "dead"),
    [
        ({"a": "==×"}, "No loss is seen up to 50 % on a.",
         "From 90 % on it does no better than a fixed answer."),
        ({"a": "==×", "b": "==×"}, "No loss is seen up to 50 % on both tasks.",
         "From 90 % on it does no better than a fixed answer."),
        ({"a": "==−", "b": "=−×", "c": "=−×"},
         "No loss is seen up to 10 % on any task, and up to 50 % on a.",
         "From 90 % on it does no better than a fixed answer on 2 of 3 tasks."),
        ({"a": "=××", "b": "−−×"}, "A loss is seen at 10 % already on b.",
         "From 50 to 90 % on, by task, it does no better than a fixed answer."),
        ({"a": "−−−", "b": "−−−"}, "A loss is seen at 10 % already on both tasks.",
         "At 90 %, the highest level tried, it still answers better than a fixed answer."),
        # What loses at 10 % and at 50 % not has lost: no level after a loss is without one.
        ({"a": "−=×"}, "A loss is seen at 10 % already on a.",
         "From 90 % on it does no better than a fixed answer."),
    ],
)  # fmt: skip
def test_a_verdict_names_the_last_level_without_loss_and_the_first_without_answers(
    tasks: Mapping[str, str], unharmed: str, dead: str
) -> None:
    assert model.verdict([asked(*one) for one in tasks.items()]) == f"{unharmed} {dead}"


def test_a_task_that_dense_does_badly_decides_nothing() -> None:
    every = [asked("a", "=−×"), asked("b", "===", weak=True)]
    assert model.verdict(every).startswith("No loss is seen up to 10 % on a.")
    assert model.weak(every) == "It is weak to begin with on b: no loss there says little."
    assert "weak to begin with on b, so" in model.verdict(every[1:])
    assert model.weak(every[1:]) == model.weak(every[:1]) == ""
    assert "No answers of it are on record" in model.verdict([])


def test_a_name_is_no_markup_in_a_verdict() -> None:
    said = model.verdict([asked("<b>*x*", "=−×")])
    assert "<b>" not in said
    assert "*" not in said


@pytest.mark.parametrize(
    ("tasks", "faster", "expected"),
    [
        (["==×"], [0.9], "No loss up to 50 %, at chance from 90 %, faster from 90 %"),
        (["==×", "=×−"], [], "No loss up to 10 %, at chance on all tasks from 90 %, never faster"),
        (["==×", "−−−"], None, "A loss from 10 %, at chance on some tasks from 90 %"),
        (["==="], None, "No loss up to 90 %"),
        ([], [0.5], "Faster from 50 %"),
        ([], None, "What it weighs at each level"),
    ],
)
def test_a_title_says_the_same_of_the_worst_task(
    tasks: list[str], faster: list[float] | None, expected: str
) -> None:
    assert model.title([asked(f"{at}", one) for at, one in enumerate(tasks)], faster) == expected


def speeds(ratios: Mapping[float, float], noise: float = 0.02) -> dict[float, Timed]:
    """Timed rows with intervals of 1 % on both sides."""
    row = next(one for one in latency((0.5,)).rows if one.path == "sparse")
    rows = {
        level: replace(row, level=level, ratio=ratio, ratio_interval=(0.99 * ratio, 1.01 * ratio))
        for level, ratio in ratios.items()
    }
    return {level: Timed(one, verdicts.speed(one, noise)) for level, one in rows.items()}


@pytest.mark.parametrize(
    ("tasks", "ratios", "expected"),
    [
        (["==×"], {0.1: 1.0, 0.5: 1.0, 0.9: 1.5},
         "A sentence at a time it is faster only from 90 % on: 1.5 times as fast. There it does no "
         "better than a fixed answer."),
        (["==−"], {0.1: 1.0, 0.5: 1.0, 0.9: 1.5},
         "A sentence at a time it is faster only from 90 % on: 1.5 times as fast. There every task has "
         "lost."),
        # The gain without a loss is that of the fastest such level, not of the first.
        (["==×", "==×"], {0.1: 1.1, 0.5: 1.4, 0.9: 3.0},
         "At 50 % it runs a sentence 1.4 times as fast, and no loss is seen on any task."),
        (["==×", "=−×"], {0.1: 1.0, 0.5: 1.4, 0.9: 3.0},
         "At 50 % it runs a sentence 1.4 times as fast, and no loss is seen on 0."),
        (["==="], {0.1: 1.01, 0.5: 1.015, 0.9: 0.99},
         "A sentence at a time, it runs no faster than dense at any level."),
        ([], {0.1: 1.0, 0.5: 1.0, 0.9: 1.5},
         "A sentence at a time it is faster only from 90 % on: 1.5 times as fast."),
        (["==="], {}, ""),
    ],
)  # fmt: skip
def test_a_gain_is_said_with_the_quality_at_its_level(
    tasks: list[str], ratios: Mapping[float, float], expected: str
) -> None:
    every = [asked(f"{at}", one) for at, one in enumerate(tasks)]
    assert model.gain(every, speeds(ratios)) == expected


def test_a_slow_down_beyond_the_noise_is_said_and_one_within_is_not() -> None:
    found = speeds({0.1: 0.97, 0.5: 0.9, 0.9: 2.0})
    assert found[0.1].verdict is Speed.SLOWER
    assert model.slower(found) == "It is slower than dense at 50 %: 0.90 times as fast."
    assert model.slower(speeds({0.1: 0.97, 0.5: 1.0}, noise=0.05)) == ""


def test_a_size_is_held_against_the_file_as_it_came_and_half_the_bits() -> None:
    """100 kB dense in 32 bits, 50 kB in 16; with bit masks 0.6 times as much, in the made-up records."""
    weighed = footprint((0.1, 0.5, 0.9))
    rivals = Sizes(dense=100_000, as_came=100_000, half=50_000)
    assert model.bytes_kept([asked("a", "==×")], weighed, rivals) == (
        "Without a loss bit masks in half precision take 30 kB at 50 %, against 50 kB dense."
    )
    # A loss on one of two tasks: what is left without one is not pruned at all.
    both = [asked("a", "==×"), asked("b", "−−×")]
    pruned = replace(weighed, rows=tuple(x for x in weighed.rows if x.level or x.format == "dense"))
    assert model.bytes_kept(both, pruned, rivals) == (
        "Its smallest file without a loss is unpruned, in half precision: 50 kB."
    )
    # A checkpoint with zeros of its own may be smaller as bit masks, unpruned.
    assert model.bytes_kept(both, weighed, rivals).endswith("unpruned, in half precision: 30 kB.")
    small = replace(rivals, as_came=25_000)  # 4-bit blocks, say
    assert model.bytes_kept([asked("a", "==×")], weighed, small) == (
        "No file without a loss is smaller than the one that came, 25 kB."
    )
    assert model.bytes_kept([], weighed, rivals) == ""


def test_what_recovers_is_an_open_question() -> None:
    assert model.odd([asked("a", "=−×")]) == ()
    (said,) = model.odd([asked("a", "−=×")])
    assert "On a less is lost at 50 % than at a lower level" in said


# ---- structure ----------------------------------------------------------------------------------


def test_the_finding_has_the_range_of_layers_and_no_shape_that_is_not_there() -> None:
    """In the made-up records 8 % are below 0.1 RMS; mean over RMS is (8 / 1000) / (0.3 / √1000) = 0.84."""
    bell = replace(tensor("a", "attention query", 0), l1=0.8 * 1000 * 0.01, l2=0.01 * 1000**0.5)
    near = bell.near_zero[-1]
    other = replace(bell, near_zero=(replace(near, count=160),))
    assert structure.finding([[bell], [other]]) == (
        "88 % of weights are not near zero, by layer from 84 to 92 %; each matrix is bell-shaped, so "
        "nothing says where to cut."
    )
    flat = replace(bell, l1=0.87 * 1000 * 0.01)
    assert structure.finding([[bell, flat]]).endswith("; not every matrix is bell-shaped.")
    cut = replace(bell, zeros=500)
    assert structure.finding([[bell, cut]]).endswith("; 25 % are exactly zero already.")
    assert structure.title([[bell, cut]]) != structure.title([[bell]])
    assert "not on record" in structure.finding([[replace(bell, near_zero=())]])
    assert structure.finding([]) == "No prunable weight is on record."


@pytest.mark.parametrize(
    ("name", "architecture", "miniature", "method", "expected"),
    [
        ("h.1.attn.c_proj.weight", "GPT2LMHeadModel", True, "magnitude", True),
        ("h.1.attn.c_proj.weight", "GPT2LMHeadModel", False, "magnitude", False),  # trained long enough
        ("h.1.attn.c_attn.weight", "GPT2LMHeadModel", True, "magnitude", False),
        ("h.1.attn.c_proj.weight", "LlamaForCausalLM", True, "magnitude", False),
        ("h.1.attn.c_proj.weight", "GPT2LMHeadModel", True, "wanda", False),  # ranks by row
    ],
)  # fmt: skip
def test_the_initialiser_is_blamed_where_it_is_to_blame(
    name: str, architecture: str, miniature: bool, method: str, expected: bool
) -> None:
    made = pruning(0.9)
    one = replace(made, layers=(*made.layers, Layer(name=name, count=100, zeros=99)))
    found = inspection()
    found = replace(found, architecture=replace(found.architecture, name=architecture))
    said = structure.uneven([pruning(0.5), one], found, method=method, miniature=miniature)
    assert said.startswith(
        "At 90 % <code>h.0.query</code> loses 90 % of its weights, <code>h.1.attn."
    )
    assert ("initialiser" in said) is expected


def test_layers_alike_are_not_ranked() -> None:
    assert structure.uneven([pruning(0.9)], inspection(), method="magnitude") == (
        "At 90 % every layer loses 90 %."
    )
    assert structure.ends(pruning(0.9)) == structure.uneven([], inspection(), method="x") == ""


def test_the_first_emptied_layer_is_said_with_its_level_and_its_model() -> None:
    made = pruning(0.9)
    gone = replace(made, layers=(replace(made.layers[0], zeros=1000), *made.layers[1:]))
    later = replace(gone, level=0.99)
    assert structure.emptied([("a", [pruning(0.5), later]), ("b", [gone, later])]) == (
        "A layer is first emptied at 90 %: in b."
    )
    assert structure.emptied([("a", [made])]) == "Up to 90 % no layer of any model is emptied."
    assert structure.emptied([]) == ""
