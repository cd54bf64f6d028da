"""Concepts, Challenges and References as they are published: their limits, and one claim a sentence."""

import html
import re
from pathlib import Path

import pytest

from experiments.records.store import Recorded
from generator import bibliography, site

ROOT = Path(__file__).parents[2]
CITED = re.compile(r" ?\((?:\[[^\]]+\]\(references\.md#\w+\)(?:; )?)+\)")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The published pages of words, and what they offer for download."""
    held = site.published(Recorded(ROOT / "recorded"))
    files = site.render(held, each=lambda draw, drawings: [])
    return {name: made.decode() for name, made in files.items() if name.endswith((".md", ".bib"))}


def shown(text: str) -> str:
    """What a reader sees of a page, folded notes among it: no address, no markup, no picture."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)|<[^>]+>|^\| :.*$", " ", text, flags=re.M)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)(\{[^}]*\})?", r"\1", text)
    text = re.sub(r"[|*`]|^#+ |^\?\?\? note", " ", text, flags=re.M)
    return html.unescape(text).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("page", "words", "kilobytes"), [("concepts", 1000, 9), ("challenges", 700, 7)]
)
def test_a_page_keeps_its_limits(
    page: str, words: int, kilobytes: int, pages: dict[str, str]
) -> None:
    text = pages[f"{page}.md"]
    assert words / 2 < len(re.findall(r"\w\S*", shown(text))) <= words
    assert len(text.encode()) <= 1000 * kilobytes


def test_references_keep_their_limit_and_offer_all_sources(pages: dict[str, str]) -> None:
    text = pages["references.md"]
    assert len(text.encode()) <= 25_000
    assert "[BibTeX](data/references.bib)" in text
    assert pages["data/references.bib"] == bibliography.FILE.read_text(encoding="utf-8")
    assert "and others" not in text


def sentences(text: str) -> list[str]:
    """The sentences of a page's paragraphs and notes, without citations."""
    lines = [line.strip() for line in CITED.sub("", text).splitlines()]
    kept = " ".join(line for line in lines if not re.match(r"#|\||\?\?\?|<|!\[", line))
    return re.split(r"(?<=[.?!]) +(?=[A-Zl])", " ".join(shown(kept).split()))


def numbers(sentence: str) -> list[str]:
    """Its numbers, but for those in names."""
    return re.findall(r"(?<![\w.:-])\d+(?:[.,]\d+)*(?![\w:-])", sentence)


def test_numbers_in_names_are_none() -> None:
    said = "2:4 of LLaMA-7B at 70 % on SST-2, SQuAD and a 12-layer T5: 24.55, 3."
    assert numbers(said) == ["70", "24.55", "3"]


@pytest.mark.parametrize("page", ["concepts", "challenges"])
def test_a_sentence_has_at_most_25_words_and_3_numbers(page: str, pages: dict[str, str]) -> None:
    given = sentences(pages[f"{page}.md"])
    assert len(given) > 25
    assert [one for one in given if len(re.findall(r"\w\S*", one)) > 25] == []
    assert [one for one in given if len(numbers(one)) > 3] == []


def test_no_sentence_stands_twice(pages: dict[str, str]) -> None:
    given = sentences(pages["concepts.md"]) + sentences(pages["challenges.md"])
    assert [one for one in given if given.count(one) > 1] == []


def test_the_collapse_comes_first_on_challenges(pages: dict[str, str]) -> None:
    first = pages["challenges.md"].splitlines()[2].replace("\N{NO-BREAK SPACE}", " ")
    assert re.match(
        r"\*\*(From|At) \d+ % zeros.* \d+ pretrained model-task pairs? .*\*\*, pruned", first
    )


def test_what_is_not_on_record_is_said_not_to_be_measured(pages: dict[str, str]) -> None:
    for said in (
        "No distillation of our own is measured here.",
        "MoEfication is not measured here.",
    ):
        assert said in pages["concepts.md"]
