"""The pages as they are published: their limits, one claim a sentence, and no sentence twice."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.records.store import Recorded
from generator import bibliography, site

ROOT = Path(__file__).parents[2]
CITED = re.compile(r" ?\((?:\[[^\]]+\]\(references\.md#\w+\)(?:; )?)+\)")
# By page: how many words it shows, folded notes among them, and how many kilobytes its Markdown has.
LIMITS = {
    "index": (350, 8),  # nine levels in the grid of states, where five were planned
    "quality": (700, 14),
    "time": (600, 9),
    "bytes": (500, 8),
    "frontier": (400, 8),
    "methods": (700, 12),
    "concepts": (1000, 9),
    "challenges": (700, 7),
    "structure": (500, 8),
    "models": (350, 6),
    "how": (600, 8),
}
MODEL = (500, 25)
PAGES = (*LIMITS, "reproduce")
MOST_WORDS, MOST_NUMBERS, MOST_IN_TITLE = 25, 3, 15
LONG = 6  # words: up to there a sentence may stand again


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The published pages, and what they offer for download."""
    held = site.published(Recorded(ROOT / "recorded"))
    files = site.render(held, each=lambda draw, drawings: [])
    return {name: made.decode() for name, made in files.items() if name.endswith((".md", ".bib"))}


def shown(text: str) -> str:
    """What a reader sees of a page, folded notes among it: no address, no markup, no picture."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)|<[^>]+>|^\| :.*$", " ", text, flags=re.M)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)(\{[^}]*\})?", r"\1", text)
    text = re.sub(r"[|*`]|^#+ |^\?\?\? note", " ", text, flags=re.M)
    return html.unescape(text).replace("\N{NO-BREAK SPACE}", " ")


def words(text: str) -> list[str]:
    """The words of a text, numbers among them."""
    return re.findall(r"\w\S*", text)


def numbers(sentence: str) -> list[str]:
    """Its numbers, but for those in names."""
    return re.findall(r"(?<![\w.:-])\d+(?:[.,]\d+)*(?![\w:-])", sentence)


def sentences(text: str) -> list[str]:
    """The sentences of a page's paragraphs, lists and notes, without citations, tables and code."""
    text = re.sub(r"^ *```.*?^ *```$|<table>.*?</table>", "\n\n", text, flags=re.M | re.S)
    found = []
    for block in re.split(r"\n\s*\n|\n(?= *- )", CITED.sub("", text)):
        lines = [line.strip().removeprefix("- ") for line in block.splitlines()]
        kept = " ".join(one for one in lines if not re.match(r"#|\||\?\?\?|!!!|<|!\[", one))
        found += re.split(r"(?<=[.?!]) +(?=[A-Zl])", " ".join(shown(kept).split()))
    return [one for one in found if one]


def titles(text: str) -> list[str]:
    """What its figures' titles say."""
    found = re.findall(r"<figcaption><strong>(.*?)</strong>", text)
    return [shown(one) for one in found if one]


def lead(text: str) -> str:
    """What stands before the first heading, table or figure."""
    body = text.partition("\n\n")[2]
    return re.split(r"^(?:#|<|\||!)", body, maxsplit=1, flags=re.M)[0]


def bold(text: str) -> list[str]:
    """What is set in bold, but for the first words of a line of a list or of a sentence."""
    return [shown(one) for one in re.findall(r"\*\*(.+?)\*\*", text, flags=re.S)]


def too_long(given: list[str], most: int = MOST_WORDS) -> list[str]:
    """Those with more words or numbers than a reader takes in at once."""
    return [x for x in given if len(words(x)) > most or len(numbers(x)) > MOST_NUMBERS]


def test_numbers_in_names_are_none() -> None:
    said = "2:4 of LLaMA-7B at 70 % on SST-2, SQuAD and a 12-layer T5: 24.55, 3."
    assert numbers(said) == ["70", "24.55", "3"]


def test_a_page_is_taken_apart_into_what_it_says() -> None:
    page = (
        "# Title\n\n**One is said.** Two\nis ([A 2020](references.md#a2020)).\n\n<table><tr><td>Cell. Cell."
        '</td></tr></table>\n\n- Three is.\n- Four is.\n\n??? note "Head"\n\n    Five is.\n\n'
        "```sh\nno sentence. None\n```\n"
    )
    assert sentences(page) == ["One is said.", "Two is.", "Three is.", "Four is.", "Five is."]
    assert sentences(lead(page)) == ["One is said.", "Two is."]
    assert bold(page) == ["One is said."]
    assert titles("<figcaption><strong>A &#38; b</strong> <small>c</small></figcaption>") == [
        "A & b"
    ]


def test_a_sentence_is_too_long_by_its_words_or_by_its_numbers() -> None:
    assert too_long(["a " * 25, "a " * 26, "1 2 3", "1 2 3 4"]) == ["a " * 26, "1 2 3 4"]


@pytest.mark.parametrize("page", LIMITS)
def test_a_page_keeps_its_limits(page: str, pages: dict[str, str]) -> None:
    text = pages[f"{page}.md"]
    most, kilobytes = LIMITS[page]
    prose = re.sub(r"<tbody>.*?</tbody>", "", text, flags=re.S)  # a table's cells are data
    assert most / 5 < len(words(shown(prose))) <= most
    assert len(text.encode()) <= 1000 * kilobytes


def test_the_page_of_each_model_keeps_its_limits(pages: dict[str, str]) -> None:
    found = {name: text for name, text in pages.items() if name.startswith("models/")}
    assert len(found) > 5
    for name, text in found.items():
        prose = re.sub(r"<tbody>.*?</tbody>", "", text, flags=re.S)
        assert 50 < len(words(shown(prose))) <= MODEL[0], name
        assert len(text.encode()) <= 1000 * MODEL[1], name
        assert too_long([x for claim in bold(text) for x in sentences(claim)]) == [], name
        assert too_long(sentences(lead(text))) == [], name
        assert too_long(titles(text), MOST_IN_TITLE) == [], name


def test_no_published_figure_is_heavy() -> None:
    sizes = {path.name: path.stat().st_size for path in ROOT.glob("docs/figures/*.svg")}
    assert len(sizes) > 20
    assert {name: size for name, size in sizes.items() if size > 60_000} == {}


def test_references_keep_their_limit_and_offer_all_sources(pages: dict[str, str]) -> None:
    text = pages["references.md"]
    assert len(text.encode()) <= 25_000
    assert "[BibTeX](data/references.bib)" in text
    assert pages["data/references.bib"] == bibliography.FILE.read_text(encoding="utf-8")
    assert "and others" not in text


@pytest.mark.parametrize("page", LIMITS)
def test_what_a_page_says_first_is_short(page: str, pages: dict[str, str]) -> None:
    text = pages[f"{page}.md"]
    first = sentences(lead(text))
    assert first
    claims = [one for claim in bold(text) for one in sentences(claim)]
    assert too_long([*first, *claims]) == []
    assert too_long(titles(text), MOST_IN_TITLE) == []


@pytest.mark.parametrize("page", ["index", "concepts", "challenges"])
def test_every_sentence_of_a_page_of_words_is_short(page: str, pages: dict[str, str]) -> None:
    given = sentences(pages[f"{page}.md"])
    assert len(given) > 10
    assert too_long(given) == []


def said(pages: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each long sentence and title of the pages, with its page; a full stop tells none apart."""
    for page in PAGES:
        text = pages[f"{page}.md"]
        for one in (*sentences(text), *titles(text)):
            if len(words(one)) > LONG:
                yield one.rstrip("."), page


def test_no_sentence_stands_twice_on_the_site(pages: dict[str, str]) -> None:
    where: dict[str, list[str]] = {}
    for sentence, page in said(pages):
        where.setdefault(sentence, []).append(page)
    assert len(where) > 150
    assert {sentence: found for sentence, found in where.items() if len(found) > 1} == {}


def test_the_collapse_comes_first_on_challenges(pages: dict[str, str]) -> None:
    first = pages["challenges.md"].splitlines()[2].replace("\N{NO-BREAK SPACE}", " ")
    assert re.match(r"\*\*(From|At) \d+ % zeros.* \d+ pretrained pairs? .*\*\*, pruned", first)


def test_what_is_not_on_record_is_said_not_to_be_measured(pages: dict[str, str]) -> None:
    for one in (
        "No distillation of our own is measured here.",
        "MoEfication is not measured here.",
    ):
        assert one in pages["concepts.md"]
