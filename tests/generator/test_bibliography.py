"""The bibliography: whatever is cited is there, whole, and nothing in it can run."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from jinja2 import nodes
from pybtex.database import Entry, Person

from experiments.pruning.methods.table import METHODS
from experiments.study.study import load_study
from generator import bibliography
from generator.bibliography import Citations, Source, link, listing, sources
from generator.pages.table import PAGES
from generator.render import TEMPLATES, Markdown, environment

ROOT = Path(__file__).parents[2]


def cited() -> set[str]:
    """Every key that a template or a page cites, a method's and a study's among them."""
    keys = {row.cite for row in METHODS.values()}
    keys |= {row.cite for row in load_study(ROOT / "report.toml").study.models}
    jinja = environment(lambda *keys: Markdown(""))
    for path in TEMPLATES.glob("*.jinja"):
        for call in jinja.parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "cite":
                keys |= {arg.value for arg in call.args if isinstance(arg, nodes.Const)}
    for path in (ROOT / "generator").rglob("*.py"):
        for call in re.findall(r"\bcite\(([^)]*)\)", path.read_text(encoding="utf-8")):
            keys |= set(re.findall(r'"(\w+)"', call))
    return keys - {""}


def test_something_is_cited_on_most_pages() -> None:
    assert len(cited()) > 30
    assert len(PAGES) > 5


@pytest.mark.parametrize("key", sorted(cited()))
def test_every_key_that_is_cited_is_in_the_bibliography(key: str) -> None:
    assert key in sources()


@pytest.mark.parametrize("key", sorted(sources()))
def test_every_source_has_authors_title_year_venue_and_a_safe_address(key: str) -> None:
    source = sources()[key]
    assert source.thread is not bool(source.authors)  # whoever opened a thread goes by a user name
    assert all(author.strip() for author in source.authors)
    assert source.title.strip()
    assert re.fullmatch(r"(19|20)\d\d", source.year)
    assert source.venue.strip(" ,")
    assert re.fullmatch(r"https://[\w.-]+/[^\s<>\"'`]*", source.url)
    assert re.fullmatch(r"[a-z]+\d{4}\w*", key)


@pytest.mark.parametrize("key", sorted(sources()))
def test_no_latex_is_left_in_a_source(key: str) -> None:
    source = sources()[key]
    for text in (*source.authors, source.title, source.venue, source.url):
        assert not re.search(r"[{}\\]|--|~", text), text
        assert text == " ".join(text.split())


def test_no_address_and_no_title_stands_twice() -> None:
    found = sorted((source.title, source.url) for source in sources().values())
    assert len(found) == len(set(found))


# Works that neither have a DOI that could be confirmed nor are on arXiv.
ELSEWHERE = {"lecun1990optimal", "hassibi1993second", "socher2013sst", "radford2019language"}


@pytest.mark.parametrize("key", sorted(sources()))
def test_a_work_is_linked_by_its_doi_or_to_arxiv(key: str) -> None:
    source = sources()[key]
    lasting = re.match(r"https://(doi\.org/10\.\d{4,}/|arxiv\.org/abs/\d{4}\.\d{5}$)", source.url)
    hosted = re.match(r"(GitHub|Hugging Face) ", source.venue)
    assert bool(lasting) is not (bool(hosted) or key in ELSEWHERE)


def test_many_authors_and_those_not_named_are_et_al() -> None:
    nine = [f"A{place}" for place in range(9)]
    assert source(*nine).people == "A0, A1, A2, A3, A4, A5 et al."
    assert source(*nine[:8]).people == ", ".join(nine[:8])
    assert source("Allal", "Lozhkov", "others").people == "Allal, Lozhkov et al."
    assert not any("others" in one.authors for one in sources().values())
    assert sources()["allal2025smollm2"].people.startswith("Allal, Lozhkov, Bakouch, Blázquez,")


# Published numbers that the pages print, by the words they must stand with: read once in their sources.
PUBLISHED = {
    "concepts": (
        "with both, soft movement leaves BERT-base an F1 of 82.3 on SQuAD, with 3 % of the weights",
        "Movement leaves it 78.0, magnitude 59.6; dense it has 88.1.",
        "Over 30 epochs, with distillation, oBERT leaves BERT-base at 90 % an F1 of 88.31 on SQuAD",
        "Dense it has 88.54; in one shot, oBERT leaves it 14.57 at 90 %.",
        "Where the curvature is estimated 32 times on the way, that is 47.67.",
        "SparseGPT brings OPT-175B to 60 % in under 4.5 hours,",
        "T5-large keeps 95.9 % accuracy on SST-2 while each input uses 20 % of these neurons",
    ),
    "challenges": (
        "Wanda leaves LLaMA-7B at 70 % a WikiText perplexity of 24.55 in place of 85.77",
        "LLaMA2-7B at 80 % with a WikiText-2 perplexity of 52 ",
    ),
}
WRONG = ("85.98", "one GPU node", "61.22", "breaks it")


@pytest.mark.parametrize("page", sorted(PUBLISHED))
def test_a_published_number_stands_with_its_model_level_and_method(page: str) -> None:
    text = (TEMPLATES / f"{page}.md.jinja").read_text(encoding="utf-8")
    assert [one for one in PUBLISHED[page] if one not in text] == []
    assert [one for one in WRONG if one in text] == []


def test_what_models_of_the_report_were_made_from_is_in_the_bibliography() -> None:
    """The student of 12 layers, its half, and what that was tuned by."""
    made = {"wang2020minilm", "reimers2021minilm", "reimers2019sentencebert"}
    assert made <= cited()
    assert sources()["reimers2019sentencebert"].short == "Reimers and Gurevych 2019"


def test_the_citation_file_names_this_project_as_its_settings_do() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (said["title"], said["version"]) == (project["name"], project["version"])
    assert (said["license"], said["abstract"]) == (project["license"], project["description"])
    (author,) = said["authors"]
    assert f"Copyright (c) 2026 {author['name']}" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def source(*authors: str, venue: str = "A journal") -> Source:
    return Source("k2024", authors, "Title", "2024", venue, "https://example.org/")


@pytest.mark.parametrize(
    ("made", "short"),
    [
        (source("Hinton"), "Hinton 2024"),
        (source("Efron", "Tibshirani"), "Efron and Tibshirani 2024"),
        (source("Sun", "Liu", "Bair"), "Sun et al. 2024"),
        (source("x", venue="GitHub issue pytorch/pytorch#36214"), "pytorch/pytorch#36214"),
        (source("x", venue="GitHub issue pytorch/ao#1460 (comments)"), "pytorch/ao#1460"),
        (source("x", venue="GitHub pull request vllm-project/vllm#36799"), "vllm-project/vllm#36799"),
        (source("Kurtic", venue="GitHub repository neuralmagic/sparseml"), "Kurtic 2024"),
    ],
)  # fmt: skip
def test_a_source_is_cited_by_its_authors_and_year_and_a_thread_by_its_number(
    made: Source, short: str
) -> None:
    assert made.short == short


def test_names_keep_their_particles_and_accents() -> None:
    person = [Person("van der Berg, Jan"), Person(r"L{\'e}vi, {\O}rn"), Person("{Neural Magic}")]
    fields = {"title": r"{GPT} \& more", "year": "2024", "url": "https://example.org/a\\_b"}
    fields |= {"journal": "J", "volume": "3", "number": "5--6", "pages": "1--9"}
    found = bibliography._source("k2024", Entry("article", fields, {"author": person}))
    assert found.authors == ("van der Berg", "Lévi", "Neural Magic")
    assert found.title == "GPT & more"
    assert found.venue == "J 3(5–6), 1–9"
    assert found.url == "https://example.org/a_b"


def test_citing_gives_links_to_the_references_and_remembers_the_keys() -> None:
    cite = Citations()
    first, other = "han2015learning", "sun2024wanda"
    assert cite(first, other) == (
        f"([Han et al. 2015](references.md#{first}); [Sun et al. 2024](references.md#{other}))"
    )
    assert cite.cited == {first, other}
    with pytest.raises(KeyError):
        cite("nobody2024")


def test_only_cited_sources_are_listed_by_author_and_year() -> None:
    found = listing(["sun2024wanda", "han2015learning", "frantar2023sparsegpt", "frantar2023gptq"])
    assert [one.authors[0] for one in found] == ["Frantar", "Frantar", "Han", "Sun"]
    assert len(listing([])) == 0


def test_threads_stand_last_by_their_number() -> None:
    found = listing(["vllm2026pr36799", "sun2024wanda", "wanda2023issue9"])
    assert [one.short for one in found] == [
        "Sun et al. 2024",
        "locuslab/wanda#9",
        "vllm-project/vllm#36799",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        " https://example.org",
        "https://example.org/ onclick=x",
        'https://example.org/"onclick="x',
        "https://example.org/<script>",
        "https://",
        "//example.org",
        "file:///etc/passwd",
        "https://example.org/\njavascript:alert(1)",
        "",
    ],
)
def test_an_address_that_a_browser_should_not_follow_is_no_link(url: str) -> None:
    assert link(url, "a|b") == "a&#124;b"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://example.org/a_b?c=d&e=f#g", "https://example.org/a_b?c=d&e=f#g"),
        ("http://example.org/", "http://example.org/"),
        ("https://doi.org/10.1002/(SICI)17:8", "https://doi.org/10.1002/%28SICI%2917:8"),
        ("https://example.org/a|b", "https://example.org/a%7Cb"),
    ],
)
def test_an_address_stays_whole_in_a_link(url: str, address: str) -> None:
    assert link(url, "<i>") == f"[&#60;i&#62;]({address})"
