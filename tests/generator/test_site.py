"""The site: the same records give the same files, and no name that a record carries ever runs."""

import csv
import dataclasses
import inspect
import io
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jinja2
import pytest
import synthetic
from html_page import Page, links, pages
from jinja2 import nodes
from mkdocs.utils.yaml import yaml_load

from experiments.records.record import Held
from generator import site
from generator.exhibits import Drawing, exhibits
from generator.pages.table import PAGES, every
from generator.render import TEMPLATES, environment
from generator.report import Report

ROOT = Path(__file__).parents[2]
SETTINGS = yaml_load((ROOT / "mkdocs.yml").read_text())
ORIGINS = {synthetic.HOSTILE[1]: "recorded"}
Draw = Callable[[Drawing], dict[str, bytes]]
NOVEL = f"novel {synthetic.SCRIPT} $a|b"


def hostile() -> list[Held]:
    """A report in which every name that comes from outside tries to be more than a name."""
    return synthetic.held(
        synthetic.HOSTILE[:2],
        tasks=("acceptability", synthetic.HOSTILE[7], synthetic.HOSTILE[3], NOVEL),
        title=synthetic.SCRIPT,
        layer=synthetic.SCRIPT,
        waiting=synthetic.HOSTILE[2:],
        origins=ORIGINS,
    )


GAPS = (f"{synthetic.SCRIPT}: it failed", "- 1. x", "    indented | gap")


pytestmark = pytest.mark.usefixtures("drawn_once")


def navigation(entries: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Every page of the navigation with its title, tab by tab."""
    for entry in entries:
        for title, inside in entry.items():
            if isinstance(inside, str):
                yield title, inside
            else:
                yield from navigation(inside)


NAV = dict(navigation(SETTINGS["nav"]))
WRITTEN = {f"{page.name}.md" for page in PAGES} | {"references.md"}  # but for a page a model


@pytest.fixture(scope="module")
def files(drawn_once: Draw) -> dict[str, bytes]:
    """Every file of the hostile report's site."""
    return site.render(hostile(), GAPS)


@pytest.fixture(scope="module")
def built(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile report as HTML: `mkdocs build --strict` with the repository's own settings."""
    return build(files, tmp_path_factory.mktemp("hostile"))


def build(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    shutil.copy(ROOT / "mkdocs.yml", folder)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "site").rglob("*.html"))) > len(NAV)
    return folder / "site"


# ---- the page contract ------------------------------------------------------------------------


def test_every_page_stands_in_the_navigation_under_its_own_title() -> None:
    listed = {f"{page.name}.md": page.title for page in PAGES}
    shown = {path: title for title, path in NAV.items()}
    assert shown == {**listed, "references.md": "References"}
    assert [path for path in shown if path in listed] == list(listed)
    assert SETTINGS["not_in_nav"].split() == ["models/*"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_a_template_and_a_frozen_context_and_each_uses_all_of_the_other(
    page: site.Any,
) -> None:
    module = sys.modules[page.context.__module__]
    context = module.Context
    assert inspect.signature(page.context).return_annotation is context
    assert dataclasses.is_dataclass(context)
    assert context.__dataclass_params__.frozen  # type: ignore[attr-defined]
    tree = environment(lambda *keys: None).parse(  # type: ignore[arg-type, return-value]
        (TEMPLATES / page.file).read_text(encoding="utf-8")
    )
    used = {
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == "page"
    }
    assert used == {field.name for field in dataclasses.fields(context)}


def test_every_template_belongs_to_a_page() -> None:
    """A page a model has one for all."""
    pages_ = {page.file for page in every(Report(synthetic.held()))}
    templates = {path.name for path in TEMPLATES.iterdir()}
    assert templates == pages_ | {"references.md.jinja"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_context_holds_only_data_that_cannot_change(page: site.Any) -> None:
    def check(value: object) -> None:
        assert not isinstance(value, list | dict | set)
        if isinstance(value, tuple):
            for item in value:
                check(item)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            assert type(value).__dataclass_params__.frozen  # type: ignore[attr-defined]
            if not type(value).__module__.startswith("experiments"):
                for field in dataclasses.fields(value):
                    check(getattr(value, field.name))

    check(page.context(Report(synthetic.held())))


TABLE = re.compile(r"<table>.*?</table>", re.S)
CSV = re.compile(r"\]\(((?:\.\./)?data/.+?\.csv)\)")


def tables_of(text: str) -> list[tuple[int, str]]:
    """Of each table of a page how many rows it has, and what is linked to after it as its CSV."""
    tables = list(TABLE.finditer(text))
    ends = [table.start() for table in tables[1:]] + [len(text)]
    found = []
    for table, end in zip(tables, ends):
        after = CSV.search(text, table.end(), end)
        found.append((table[0].count("<tr") - 1, after[1].removeprefix("../") if after else ""))
    return found


def test_every_table_of_a_page_has_its_rows_in_a_csv_and_every_figure_both_faces(
    files: dict[str, bytes],
) -> None:
    """As the pages are written: what they show and link to, and what files there are."""
    text = {name: made.decode() for name, made in files.items() if name.endswith(".md")}
    tables = [table for page in text.values() for table in tables_of(page)]
    assert len(tables) > len(PAGES)
    for rows, name in tables:
        assert len(list(csv.reader(io.StringIO(files[name].decode())))) >= rows + 1, name
    whole = "".join(text.values()).replace("(../", "(")
    shown = re.findall(r"\]\((figures/.+?)-(light|dark)\.svg#only-\2\)", whole)
    faces = {f"{name}-{face}.svg" for name, face in shown}
    assert faces == {f"{name}-{face}.svg" for name, _ in shown for face in ("light", "dark")}
    linked = faces | set(re.findall(r"\]\((data/.+?)\)", whole))
    assert linked == {name for name in files if name.startswith(("data/", "figures/"))}
    assert {name for name in text if "/" not in name} == WRITTEN
    assert {name for name in text if "/" in name} == {
        f"{page.name}.md" for page in every(Report(hostile())) if "/" in page.name
    }


def test_every_table_of_records_has_a_caption_and_every_heading_a_scope(built: Path) -> None:
    found = pages(built)
    for name in ("index", "quality", "time", "bytes", "frontier", "methods"):
        elements = found[f"{name}.html"].elements
        tags = [element.tag for element in elements]
        assert 0 < tags.count("caption") == tags.count("table"), name
        scopes = {e.attributes.get("scope") for e in elements if e.tag == "th"}
        assert scopes == {"col", "row"}, name


def test_no_two_tables_or_figures_share_a_name() -> None:
    """Over all pages: a file has one content."""
    report = Report(hostile(), GAPS)
    shown = [one for page in every(report) for one in exhibits(page.context(report))]
    names = [(type(one), one.name) for one in shown]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_file_of_a_site_stands_below_its_folder_under_a_safe_name(
    files: dict[str, bytes],
) -> None:
    for name in files:
        assert re.fullmatch(r"((figures|data|assets|models)/)?[a-z0-9.-]+\.[a-z]+", name), name
        assert ".." not in name


# ---- the same bytes ---------------------------------------------------------------------------


def test_the_same_records_give_the_same_bytes(
    files: dict[str, bytes], drawn_once: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "_drawn", drawn_once)
    assert site.render(hostile(), GAPS) == files


def test_pages_end_lines_cleanly(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name.endswith((".md", ".svg", ".csv")):
            assert content.endswith(b"\n"), name
            assert b"\r" not in content, name
        if name.endswith((".md", ".svg")):
            assert not re.search(rb"[ \t]\n|\n\n\n|\n\n$", content), name


# ---- built pages ------------------------------------------------------------------------------


def test_no_records_still_give_a_site_that_says_so(tmp_path: Path) -> None:
    files = site.render([])
    assert "Nothing has been measured yet" in files["index.md"].decode()
    assert {name for name in files if name.endswith(".md")} == WRITTEN
    folder = build(files, tmp_path)
    assert "Nothing has been measured yet" in Page((folder / "index.html").read_text()).text


def test_each_gap_is_named_on_the_first_page_and_where_numbers_are_explained(built: Path) -> None:
    for name in ("index.html", "reproduce.html"):
        text = pages(built)[name].text
        for gap in GAPS:
            assert " ".join(gap.split()) in text


def test_numbers_of_two_origins_are_told_apart(files: dict[str, bytes]) -> None:
    machines = files["data/machines.csv"].decode()
    assert {line.split(",")[1] for line in machines.splitlines()[1:]} == {
        "measured on the machine that built this site",
        "recorded",
    }


def test_no_element_of_a_hostile_name_lives_in_any_page(built: Path) -> None:
    for name, page in pages(built).items():
        for element in page.elements:
            for key, value in element.attributes.items():
                assert not key.startswith("on"), (name, element)
                assert not re.match(r"\s*(javascript|data|vbscript):", value, re.I), (name, element)
            for key in ("href", "src", "style"):
                assert "hostile.example" not in element.attributes.get(key, ""), (name, element)
            assert element.attributes.get("src") != "x", (name, element)
            assert "hostile" not in element.attributes.get("class", "").split(), (name, element)
        for tag in ("script", "style"):
            assert not any("hostile" in text for text in page.texts.get(tag, [])), name
        raw = (built / name).read_text(encoding="utf-8")
        for element in ("<script>alert(", "<img src=x", "<b>hostile", "<![CDATA["):
            assert element not in raw, (name, element)


def test_no_element_of_a_hostile_name_lives_in_any_figure(files: dict[str, bytes]) -> None:
    figures = {name: content for name, content in files.items() if name.endswith(".svg")}
    assert figures
    for name, content in figures.items():
        tags = {
            element.tag.rpartition("}")[2] for element in ElementTree.fromstring(content).iter()
        }
        assert not tags & {"script", "img", "image", "a", "title", "foreignObject"}, name
        assert b"<script" not in content, name


def test_a_page_s_title_holds_words_alone(built: Path) -> None:
    for name, page in pages(built).items():
        titles = [e for e in page.elements if e.tag == "title"]
        assert len(titles) == 1, name
        raw = (built / name).read_text(encoding="utf-8")
        title = re.search(r"<title>(.*?)</title>", raw, re.S)
        assert title
        assert "<" not in title[1], name


def test_the_search_index_holds_no_element_of_a_hostile_name(built: Path) -> None:
    index = json.loads((built / "search/search_index.json").read_text(encoding="utf-8"))
    assert len(index["docs"]) > len(NAV)
    for entry in index["docs"]:
        for key in ("title", "text", "location"):
            found = Page(entry[key])
            tags = {element.tag for element in found.elements}
            assert tags <= {"p", "ul", "ol", "li", "code", "pre", "strong", "em", "table", "thead",
                            "tbody", "tr", "th", "td", "a", "br", "div", "span", "caption", "small",
                            "figure", "figcaption", "math", "mrow", "mi", "mo", "mn", "msub", "msup",
                            "mfrac", "msqrt", "munder", "mover", "munderover", "mtext"}, entry  # fmt: skip
            assert not [a for e in found.elements for a in e.attributes if a.startswith("on")]


def test_the_navigation_and_the_contents_hold_words_alone(built: Path) -> None:
    for name, page in pages(built).items():
        raw = (built / name).read_text(encoding="utf-8")
        for block in re.findall(r'<nav class="md-nav\b.*?</nav>', raw, re.S):
            tags = {element.tag for element in Page(block).elements}
            assert not tags & {"script", "img", "b", "iframe", "object", "style"}, name
        assert page.texts


def test_hostile_names_are_shown_as_they_are(built: Path) -> None:
    found = pages(built)
    every_text = " ".join(page.text for page in found.values())
    for name in synthetic.HOSTILE:
        assert " ".join(name.split()) in every_text, name
    for page in ("index", "quality", "time", "bytes"):
        text = found[f"{page}.html"].text
        for name in synthetic.HOSTILE[:2]:
            assert " ".join(name.split()) in text, (page, name)
    for page in ("index", "quality", "frontier"):
        assert synthetic.HOSTILE[7] in found[f"{page}.html"].text, page


def test_no_name_is_escaped_twice(built: Path, files: dict[str, bytes]) -> None:
    """What was text already would be shown as its own letters' numbers."""
    for name, page in pages(built).items():
        shown = [page.text, *(value for one in page.elements for value in one.attributes.values())]
        assert not [
            text for text in shown if re.search(r"&#x?[0-9a-f]+;|&amp;|&lt;", _but_own(text))
        ], name
    for name, content in files.items():
        if name.endswith((".csv", ".svg")):
            assert b"&#" not in content.replace(b"&#160;", b""), name


def _but_own(text: str) -> str:
    """A text without the name that has an entity of its own."""
    return text.replace("&lt;script&gt;hostile&lt;/script&gt;", "")


def test_every_row_of_a_table_has_as_many_cells_as_its_head(built: Path) -> None:
    for name, page in pages(built).items():
        rows: list[int] = []
        tables: list[list[int]] = []
        for element in page.elements:
            if element.tag == "table":
                tables.append(rows := [])
            elif element.tag == "tr":
                rows.append(0)
            elif element.tag in ("td", "th"):
                rows[-1] += 1
        assert all(len(set(rows)) == 1 for rows in tables), name
        if name in (
            "index.html",
            "quality.html",
            "time.html",
            "bytes.html",
            "frontier.html",
            "methods.html",
        ):
            assert tables, name


def test_no_markup_of_a_template_is_left_as_text(built: Path) -> None:
    for name, page in pages(built).items():
        if name != "404.html":
            for text in page.texts.get("p", []) + page.texts.get("li", []):
                assert not re.search(
                    r"\*\*\w|\]\(\w+\.md|\{\{ (?!hostile)|\{ \.csv|!!! |\?\?\? |\| :?---", text
                ), name


def test_every_link_and_image_in_a_built_page_leads_somewhere(built: Path) -> None:
    found = pages(built)
    for name, page in found.items():
        assert links(page), name
        for tag, target in links(page):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            path = unquote(parts.path)
            if name == "404.html" or path.startswith("/"):
                base = built / path.removeprefix("/")
            else:
                base = (built / name).parent / path
            if path:
                goal = base / "index.html" if base.is_dir() else base  # as a server has it
                assert goal.resolve().is_relative_to(built.resolve()), (name, tag, target)
                assert goal.is_file(), (name, tag, target)
            else:
                goal = built / name
            anchor = unquote(parts.fragment)
            if anchor and goal.suffix == ".html" and not anchor.startswith("__"):
                there = found[str(goal.resolve().relative_to(built.resolve()))]
                assert anchor in there.ids, (name, tag, target)


def test_no_page_loads_anything_from_elsewhere(built: Path) -> None:
    loading = {
        "script",
        "img",
        "source",
        "iframe",
        "embed",
        "object",
        "video",
        "audio",
        "track",
        "input",
    }
    for name, page in pages(built).items():
        for element in page.elements:
            where = [element.attributes.get(key, "") for key in ("src", "srcset", "data", "poster")]
            if element.tag in loading:
                assert not [x for x in where if re.match(r"\s*(https?:)?//", x)], (name, element)
            if element.tag == "link" and element.attributes.get("rel") not in (
                "canonical",
                "prev",
                "next",
            ):
                assert not re.match(r"(https?:)?//", element.attributes["href"]), (name, element)
            style = element.attributes.get("style", "")
            assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", style), (name, element)
        for text in page.texts.get("style", []):
            assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", text), name


def test_no_style_sheet_loads_anything_from_elsewhere(built: Path) -> None:
    sheets = list(built.rglob("*.css"))
    assert any(sheet.name == "report.css" for sheet in sheets)
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", text), sheet.name


def test_every_figure_of_a_page_is_shown_once_a_theme_and_has_words(built: Path) -> None:
    images = 0
    for name, page in pages(built).items():
        faces: Counter[str] = Counter()
        for element in page.elements:
            if element.tag == "img" and "figures/" in element.attributes["src"]:
                faces[element.attributes["src"].rpartition("#")[2]] += 1
                assert element.attributes["alt"].strip(), name
                images += 1
        assert faces["only-light"] == faces["only-dark"] == sum(faces.values()) / 2, name
    assert images


def test_a_template_may_not_ask_for_what_a_context_lacks() -> None:
    assert environment(lambda *keys: None).undefined is jinja2.StrictUndefined  # type: ignore[arg-type, return-value]
