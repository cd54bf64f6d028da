"""A report of one's own: what its pages say where there is little to say, and how it is asked again."""

import html
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import pytest
import synthetic

from experiments.records.record import Held
from experiments.records.study import Asking, Study
from generator import site

pytestmark = pytest.mark.usefixtures("drawn_once")

COMMAND = "gen build --study mine.toml --docs pages"
MADE_BY = "gen build --study My classifier.toml"  # in the records that synthetic makes
ASKED = "gen build --study mine.toml"  # wherever the pages go
ASKING = Asking(file="mine.toml", command=COMMAND)


def own(
    names: Sequence[str] = ("My classifier",),
    *,
    tasks: Sequence[str] = ("tickets",),
    levels: Sequence[float] = (0.9,),
    without: Collection[str] = (),
    waiting: Sequence[str] = (),
    asking: Asking | None = ASKING,
    control: bool = True,
) -> list[Held]:
    """The records of a study that is not the repository's, of some kinds none."""
    held = synthetic.held(names, tasks=tasks, levels=levels, blocks=1, waiting=waiting)
    kept = [
        one for one in held if one.cell.kind not in without and (control or one.cell.seed is None)
    ]
    return [_asked(one, asking) for one in kept]


def _asked(one: Held, asking: Asking | None) -> Held:
    answer = one.record.answer
    if not isinstance(answer, Study):
        return one
    return replace(one, source=replace(one.record, answer=replace(answer, asking=asking)))


def pages(held: Sequence[Held], gaps: Sequence[str] = ()) -> dict[str, str]:
    """The pages of these records, by name, a line of text where it was wrapped."""
    files = site.render(held, gaps)
    return {name: files[name].decode() for name in files if name.endswith(".md")}


def in_line(text: str) -> str:
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


LITTLE = {
    "one model, one task, one level": own(),
    "no task": own(tasks=()),
    "no level": own(levels=()),
    "two models, one low level": own(("One", "Two"), levels=(0.1,)),
    "everything removed": own(levels=(1.0,)),
    "answers alone": own(without=("latency", "footprint", "pruning")),
    "a text beside labels": own(tasks=("tickets", "novel"), levels=(0.5, 0.9)),
    "no control": own(control=False),
    "no time": own(without=("latency",)),
    "no bytes": own(without=("footprint",)),
    "no comparison": own(without=("comparison",)),
    "nothing pruned": own(tasks=(), without=("pruning", "footprint", "latency")),
    "a text alone": own(tasks=("novel",)),
    "a name of another script, and one of a page": own(("Überblick – ß", "Overview")),
    "only rows that wait": own((), waiting=("Huge",)),
    "nothing": own(()),
}


@pytest.mark.parametrize("what", LITTLE)
def test_no_page_has_a_table_or_a_list_of_nothing_or_half_a_sentence(what: str) -> None:
    for name, text in pages(LITTLE[what]).items():
        for fault in faults(re.sub(r"^```.*?^```$|<math.*?</math>", "", text, flags=re.M | re.S)):
            pytest.fail(f"{name}: {fault}")


UNFINISHED = r"\b(of|to|and|from|at|by|for) ?[.,:]|\basked (before|and)\b|\bat –"
MISCOUNTED = (  # as if there were many, or none
    r"\b0 of 0\b|\b[01] of 1\b|\b(?:none|one|all) of one\b|\bthese one\b|\ball 1\b"
    r"|\b1 (?!is\b|was\b|has\b|runs\b|misses\b)[a-z-]+s\b"
)


def faults(page: str) -> Iterator[str]:
    """What is on a page for nothing to stand in it, and sentences that end before they say it."""
    yield from re.findall(r"<table>(?:(?!<td)(?!</table>).)*</table>", page, re.S)
    yield from re.findall(r"<(?:strong|figcaption|caption|th[^>]*)></", page)
    for before, after in re.findall(r"^([^\n#|>-][^\n]*:)\n\n([^\n]*)", page, re.M):
        if not re.match(r"[|\-*<`{]|\d\. |$|!!!|    |Nothing of this", after):
            yield f"{before} {after}"
    page = re.sub(r"<table>.*?</table>", "", page, flags=re.S)
    page = re.sub(r"</?(?:a|code|small|strong)\b[^>]*>", "", page)
    page = re.sub(r"!\[[^\]]*\]\([^)]*\)|<[^>]*>", " ", page)
    yield from re.findall(r"^\|(?: *\|)+$", page, re.M)
    yield from re.findall(r"^(.*)\n *\|[ :|-]+\|\n\s*\n", page, re.M)
    for block in map(in_line, re.split(r"\n\s*\n", page)):
        if re.search(r"(?<!\S)[,.;:](?!\S)|(?<!\w)\(\)|,\s*,|\*\*\*\*", block):
            yield block
        for pattern in (UNFINISHED, MISCOUNTED):
            if found := re.search(pattern, block):
                yield f"{found[0]!r} in: {block}"


def test_the_first_page_names_the_study_and_its_command_and_no_other() -> None:
    found = pages(own())
    for name in ("index.md", "reproduce.md"):
        assert ASKED in found[name], name
        for words in re.findall(r"gen build[^\n`]*", found[name]):
            assert words.startswith(ASKED) or words == MADE_BY, (name, words)
        assert "report.toml" not in found[name]
        assert "make site" not in found[name]
    assert "<code>mine.toml</code>" in found["index.md"]


def test_a_page_without_records_says_which_command_measures() -> None:
    assert (
        f"Nothing has been measured yet: run <code>{COMMAND}</code>." in pages(own(()))["index.md"]
    )


def test_the_repository_s_own_report_says_gen_build() -> None:
    found = pages(own((), asking=None))
    assert "Nothing has been measured yet: run <code>gen build</code>." in found["index.md"]
    assert "make site" in found["reproduce.md"]


MACHINE = "A processor <b>hostile</b>, 1 thread"
NONE = "Pruned in one shot by magnitude, no level tried is both faster and without loss"
LOST = f"{NONE}, on the one task asked."


@pytest.mark.parametrize(
    ("held", "headline", "done"),
    [
        (own(), LOST,
         f"This model has 2.1 k parameters. It was pruned in one shot by magnitude and timed on {MACHINE}."),
        (own(("One", "Two")),
         LOST.replace("on the one task asked", "for both model-task pairs"),
         "These models have 2.1 k parameters. They were pruned in one shot by magnitude and timed on"),
        (own(tasks=()),
         "What pruning does to answers is not measured here: no comparison of answers is on record.",
         "It was pruned in one shot by magnitude and timed on"),
        (own(without=("latency",)),
         "Pruned in one shot by magnitude, this model shows a loss at the lowest level.",
         "This model has 2.1 k parameters. It was pruned in one shot by magnitude."),
        (own(tasks=(), without=("pruning", "footprint", "latency")),
         "What pruning does to answers is not measured here: no comparison of answers is on record.",
         "This model has 2.1 k parameters. Asked by"),
    ],
    ids=["one model", "two models", "no task", "no time", "nothing pruned"],
)  # fmt: skip
def test_the_first_page_says_what_was_done_and_no_more(
    held: list[Held], headline: str, done: str
) -> None:
    """2 prunable tensors of 1000 weights and 100 others: 2.1 k; at 90 % one answer to everything."""
    text = html.unescape(in_line(pages(held)["index.md"]))
    assert f"**{headline}**" in text
    assert done in text


def test_without_a_task_the_first_page_still_shows_what_was_measured() -> None:
    text = pages(own(tasks=()), ("Mine, cola: no file",))["index.md"]
    assert '<a href="models/my-classifier.html">My classifier</a>' in text
    assert "[Time](time.md)" in text
    assert "[Bytes](bytes.md)" in text
    assert "[Quality](quality.md)" not in text
    assert "nothing to show" not in text


def test_bytes_are_shown_where_no_time_is() -> None:
    found = pages(own(without=("latency",)))
    assert "In 16 bits My classifier takes 50 kB, with those zeros at full width 60 kB." in in_line(
        found["bytes.md"]
    )
    assert "No model of this report has been timed." in found["time.md"]


def test_answers_that_nothing_is_held_against_are_not_said_to_be_missing() -> None:
    page = pages(own(without=("comparison",)))["quality.md"]
    assert "has answered a task" not in page
    assert "Answers are on record, but not what they would be held against." in page
    assert "[all scores](data/quality.csv)" in page
    assert "No model of this report has answered a task." in pages(own(tasks=()))["quality.md"]


def test_what_was_not_asked_stands_on_the_page_of_answers_with_its_reason() -> None:
    held = own()
    study = held[0].record.answer
    assert isinstance(study, Study)
    row = replace(study.models[0], skipped={"reviews": "its labels <bug> are other ones"})
    asked = replace(held[0].record, answer=replace(study, models=(row,)))
    page = pages([replace(held[0], source=asked), *held[1:]])["quality.md"]
    assert "- My classifier, reviews: its labels &#60;bug&#62; are other ones" in page


def test_what_is_said_of_the_bundled_reviews_stands_where_they_are_asked() -> None:
    title = "## The test text may be in the training text"
    assert title not in pages(own())["challenges.md"]
    assert title in pages(own(tasks=("reviews",)))["challenges.md"]
