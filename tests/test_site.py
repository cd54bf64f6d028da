"""The site: the same records give the same files, and no name that a record carries ever runs."""

import dataclasses
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jinja2
import pytest
import synthetic
from jinja2 import nodes
from mkdocs.utils.yaml import yaml_load

from experiments.record_json import encode
from experiments.records import Evaluation, Held, Study
from experiments.store import Recorded
from generator import site
from generator.pages.table import PAGES
from generator.render import TEMPLATES, Drawing, Table, environment, escape
from generator.report import Report

ROOT = Path(__file__).parent.parent
SETTINGS = yaml_load((ROOT / "mkdocs.yml").read_text())
NAV = {title: path for entry in SETTINGS["nav"] for title, path in entry.items()}
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
    return folder / "site"


@dataclasses.dataclass(frozen=True)
class Element:
    tag: str
    attributes: dict[str, str]


class Page(HTMLParser):
    """A page's elements, the text of each kind of element, and its ids."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.words: Counter[str] = Counter()
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {key: value or "" for key, value in attrs}))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            del self.open[len(self.open) - 1 - self.open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    @property
    def text(self) -> str:
        shown = [text for tag, texts in self.texts.items() if tag not in ("script", "style")
                 for text in texts]  # fmt: skip
        return " ".join(" ".join(shown).split())

    @property
    def ids(self) -> set[str]:
        return {element.attributes["id"] for element in self.elements if "id" in element.attributes}


def pages(folder: Path) -> dict[str, Page]:
    found = sorted(folder.rglob("*.html"))
    assert len(found) > len(NAV)
    return {str(path.relative_to(folder)): Page(path.read_text(encoding="utf-8")) for path in found}


# ---- the page contract ------------------------------------------------------------------------


def test_every_page_stands_in_the_navigation_under_its_own_title() -> None:
    listed = {page.title: f"{page.name}.md" for page in PAGES}
    assert list(NAV.items()) == [*listed.items(), ("References", "references.md")]


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
        (TEMPLATES / f"{page.name}.md.jinja").read_text(encoding="utf-8")
    )
    used = {
        node.attr
        for node in tree.find_all(nodes.Getattr)
        if isinstance(node.node, nodes.Name) and node.node.name == "page"
    }
    assert used == {field.name for field in dataclasses.fields(context)}


def test_every_template_belongs_to_a_page() -> None:
    templates = {path.name.removesuffix(".md.jinja") for path in TEMPLATES.iterdir()}
    assert templates == {page.name for page in PAGES} | {"references"}


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


def test_every_table_has_its_csv_and_every_figure_both_faces(files: dict[str, bytes]) -> None:
    report = Report(hostile(), GAPS)
    expected = set()
    for page in PAGES:
        for exhibit in site.exhibits(page.context(report)):
            if isinstance(exhibit, Table):
                expected.add(f"data/{exhibit.name}.csv")
            elif isinstance(exhibit, Drawing):
                expected |= {f"figures/{exhibit.name}-{face}.svg" for face in ("light", "dark")}
    made = {name for name in files if name.startswith(("data/", "figures/"))}
    assert made == expected
    assert {name for name in files if name.endswith(".md")} == set(NAV.values())


def test_no_two_tables_or_figures_share_a_name() -> None:
    report = Report(hostile(), GAPS)
    for page in PAGES:
        names = [(type(one), one.name) for one in site.exhibits(page.context(report))]
        assert len(names) == len(set(names))


def test_every_file_of_a_site_stands_below_its_folder_under_a_safe_name(
    files: dict[str, bytes],
) -> None:
    for name in files:
        assert re.fullmatch(r"((figures|data|assets)/)?[a-z0-9-]+\.[a-z]+", name), name


def test_every_table_and_figure_is_linked_from_a_page(files: dict[str, bytes]) -> None:
    text = b"\n".join(content for name, content in files.items() if name.endswith(".md")).decode()
    for name in files:
        if name.startswith("data/"):
            assert f"[CSV]({name}){{ .csv }}" in text
        elif name.startswith("figures/"):
            face = name.removesuffix(".svg").rpartition("-")[2]
            assert f"({name}#only-{face})" in text


# ---- the same bytes ---------------------------------------------------------------------------


def test_the_same_records_give_the_same_bytes(
    files: dict[str, bytes], drawn_once: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "_drawn", drawn_once)
    assert site.render(hostile(), GAPS) == files


def test_records_give_the_same_bytes_after_a_trip_to_disk(tmp_path: Path) -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",))
    recorded = Recorded(tmp_path)
    for one in held:
        recorded.put(one.record)
    again = site.published(recorded)
    assert {encode(one.record) for one in again} == {encode(one.record) for one in held}
    assert site.render(again) == site.render([Held(one.record, "recorded") for one in held])


def test_pages_end_lines_cleanly(files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if name.endswith((".md", ".svg", ".csv")):
            assert content.endswith(b"\n"), name
            assert b"\r" not in content, name
        if name.endswith((".md", ".svg")):
            assert not re.search(rb"[ \t]\n|\n\n\n|\n\n$", content), name


def small() -> list[Held]:
    return synthetic.held(("GPT-2",), tasks=("reviews",), levels=(0.5,), blocks=1)


@pytest.fixture(scope="module")
def written(drawn_once: Draw, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with docs/, their stamp, and the records they were made from; to be copied."""
    folder = tmp_path_factory.mktemp("written")
    for one in small():
        Recorded(folder / "recorded").put(one.record)
    held = site.published(Recorded(folder / "recorded"))
    changed = site.write(held, folder / "docs", stamp=folder / "site.json")
    assert changed == len(site.render(held))
    return folder


@pytest.fixture
def here(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "here")
    return tmp_path / "here"


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.stat().st_ino,
            path.read_bytes(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(folder: Path) -> int:
    held = site.published(Recorded(folder / "recorded"))
    return site.write(held, folder / "docs", stamp=folder / "site.json")


@pytest.fixture
def drawn_before(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the records come to is taken from the first drawing, to save the time of another."""
    docs = written / "docs"
    made = {str(p.relative_to(docs)): p.read_bytes() for p in docs.rglob("*") if p.is_file()}
    monkeypatch.setattr(site, "render", lambda held, failures: made)


def test_writing_again_touches_no_file_and_draws_nothing(here: Path) -> None:
    before = snapshot(here)
    program = (
        "import sys; from pathlib import Path; from experiments.store import Recorded\n"
        "from generator import site; folder = Path(sys.argv[1])\n"
        "held = site.published(Recorded(folder / 'recorded'))\n"
        "print(site.write(held, folder / 'docs', stamp=folder / 'site.json'))\n"
        "print(*sorted({'matplotlib', 'numpy', 'jinja2', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, here], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["0", ""]
    assert snapshot(here) == before


def test_without_a_stamp_everything_is_drawn_and_no_file_touched(here: Path) -> None:
    before = snapshot(here)
    (here / "site.json").unlink()
    assert write(here) == 0
    after = snapshot(here)
    after["site.json"] = before["site.json"]
    assert after == before


@pytest.mark.usefixtures("drawn_before")
@pytest.mark.parametrize("name", ["index.md", "data/models.csv", "figures/latency-ratio-dark.svg"])
def test_a_file_that_someone_changed_or_removed_is_made_again(here: Path, name: str) -> None:
    original = (here / "docs" / name).read_bytes()
    (here / "docs" / name).write_bytes(original + b"changed")
    assert write(here) == 1
    assert (here / "docs" / name).read_bytes() == original
    (here / "docs" / name).unlink()
    assert write(here) == 1
    assert (here / "docs" / name).read_bytes() == original


@pytest.mark.usefixtures("drawn_before")
def test_a_broken_stamp_is_no_stamp(here: Path) -> None:
    for text in ("", "[]", '{"source": 1}', "null", '{"source": 1, "files": 3}'):
        (here / "site.json").write_text(text)
        assert write(here) == 0


@pytest.mark.usefixtures("drawn_before")
def test_what_an_earlier_site_left_goes_and_the_reader_s_own_files_stay(here: Path) -> None:
    docs = here / "docs"
    stale = ["figures/size-model-9-dark.svg", "data/layers-model-9.csv"]
    own = ["notes.md", "figures/photo.svg", "data/raw.csv", "CNAME", "assets/own.css"]
    for name in [*stale, *own]:
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text("x")
    stamp = json.loads((here / "site.json").read_text())
    stamp["source"] = "an earlier one"
    stamp["files"] |= dict.fromkeys([*stale, "../outside.csv"], "")
    (here / "site.json").write_text(json.dumps(stamp))
    (here / "outside.csv").write_text("x")
    assert write(here) == len(stale)
    assert (here / "outside.csv").exists()
    assert not any((docs / name).exists() for name in stale)
    assert all((docs / name).read_text() == "x" for name in own)


# ---- what the pages say -----------------------------------------------------------------------


def test_no_records_still_give_a_site_that_says_so(tmp_path: Path) -> None:
    files = site.render([])
    assert "Nothing has been measured yet" in files["index.md"].decode()
    assert {name for name in files if name.endswith(".md")} == set(NAV.values())
    folder = build(files, tmp_path)
    assert "Nothing has been measured yet" in Page((folder / "index.html").read_text()).text


def test_a_study_without_answers_lists_only_its_later_rows_as_waiting() -> None:
    held = [one for one in synthetic.held() if one.record.cell.kind == "study"]
    text = site.render(held)["models.md"].decode()
    assert {name for name in ("GPT-2", "LED", "GPT-2 XL") if f"| {name} |" in text} == {"GPT-2 XL"}


KINDS = ("inspection", "pruning", "footprint", "latency", "evaluation", "comparison",
         "perplexity", "perplexity_change")  # fmt: skip


def everything() -> list[Held]:
    return synthetic.held(("GPT-2",), tasks=("reviews", "novel"), levels=(0.5,), blocks=1)


@pytest.mark.parametrize("missing", KINDS)
def test_a_site_is_made_whatever_kind_of_record_is_missing(missing: str) -> None:
    held = [one for one in everything() if one.record.cell.kind != missing]
    files = site.render(held)
    assert {name for name in files if name.endswith(".md")} == set(NAV.values())


@pytest.mark.parametrize("present", KINDS)
def test_a_site_is_made_of_one_kind_of_record_alone(present: str) -> None:
    kinds = ("study", "inspection", present)
    held = [one for one in everything() if one.record.cell.kind in kinds]
    files = site.render(held)
    assert {name for name in files if name.endswith(".md")} == set(NAV.values())


def test_a_model_without_prunable_weights_has_its_pages() -> None:
    """A packed checkpoint, say: nothing of it can be pruned, and every page must still be made."""
    held = [
        one
        for one in synthetic.held(("Packed", "LED"), tasks=("reviews",), blocks=0)
        if one.record.cell.kind in ("study", "inspection", "evaluation", "latency")
    ]
    files = site.render(held)
    assert "| Packed |" in files["models.md"].decode()
    assert {name for name in files if name.endswith(".md")} == set(NAV.values())


def test_a_report_of_one_model_one_task_and_one_level_is_made() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",), levels=(1.0,), blocks=1, waiting=())
    files = site.render(held)
    assert "100\u00a0%" in files["method.md"].decode()
    assert "Not measured here" not in files["models.md"].decode()


def test_a_report_of_many_layers_is_made_and_says_which_it_draws() -> None:
    files = site.render(synthetic.held(("GPT-2",), tasks=("reviews",), blocks=21))
    assert "the 20 most and the 20 least pruned layers" in files["method.md"].decode()


def test_each_gap_is_named_on_the_first_page_and_where_numbers_are_explained(built: Path) -> None:
    for name in ("index.html", "reproduce/index.html"):
        text = pages(built)[name].text
        for gap in GAPS:
            assert " ".join(gap.split()) in text


def test_a_report_without_gaps_warns_of_none(here: Path) -> None:
    for name in ("index.md", "reproduce.md"):
        assert "!!! warning" not in (here / "docs" / name).read_text()


def test_numbers_of_two_origins_are_told_apart(files: dict[str, bytes]) -> None:
    machines = files["data/machines.csv"].decode()
    assert {line.split(",")[0] for line in machines.splitlines()[1:]} == {
        "measured on the machine that built this site",
        "recorded",
    }
    models = files["models.md"].decode()
    assert models.count("numbers recorded elsewhere") == 1
    section = models.split("### ")[-1]
    assert "numbers recorded elsewhere" in section


def test_a_row_of_one_origin_is_never_said_to_be_of_the_other() -> None:
    held = synthetic.held(("GPT-2",), tasks=("reviews",))
    files = site.render(held)
    assert "recorded elsewhere" not in files["models.md"].decode()
    assert "\nrecorded," not in files["data/machines.csv"].decode()


MARK, NOTE = "&#40;recorded&#41;", "(recorded): published numbers"
ROWS = ("GPT-2", "LED", "DeBERTa")


def rows_of(csv: bytes) -> set[str]:
    return {line.split(",")[0] for line in csv.decode().splitlines()[1:]}


@pytest.fixture(scope="module")
def mixed() -> dict[str, bytes]:
    """A site of three rows, of which the second is recorded."""
    return site.render(
        synthetic.held(ROWS, tasks=("reviews", "novel"), origins={"LED": "recorded"})
    )


@pytest.mark.parametrize(
    "name", ["performance-task-1", "perplexity-task-2", "models", "near-zero", "sparsity-totals"]
)
def test_a_recorded_row_is_marked_beside_rows_measured_here(
    mixed: dict[str, bytes], name: str
) -> None:
    assert rows_of(mixed[f"data/{name}.csv"]) == {"GPT-2", "LED (recorded)", "DeBERTa"}


@pytest.mark.parametrize(
    "name", ["index", "models", "structure", "performance", "runtime", "challenges", "reproduce"]
)
def test_a_page_with_a_marked_row_says_what_the_mark_means(
    mixed: dict[str, bytes], name: str
) -> None:
    text = mixed[f"{name}.md"].decode()
    assert MARK in text
    assert NOTE in text.replace(MARK, "(recorded)").replace("&#58;", ":")


def test_every_table_with_a_marked_row_has_the_note_right_under_it(
    mixed: dict[str, bytes],
) -> None:
    told = 0
    for name in ("models", "structure", "performance", "reproduce"):
        blocks = mixed[f"{name}.md"].decode().split("\n\n")
        for table, link, after in zip(blocks, blocks[1:], blocks[2:]):
            if table.startswith("| ") and MARK in table:
                assert link.startswith("[CSV]")
                assert after.startswith(NOTE)
                told += 1
    assert told == 6


@pytest.mark.parametrize("origin", ["here", "recorded"])
def test_rows_of_one_origin_are_not_marked(origin: str) -> None:
    held = synthetic.held(ROWS, tasks=("reviews", "novel"), origins=dict.fromkeys(ROWS, origin))
    for name, content in site.render(held).items():
        if name.endswith((".md", ".csv")):
            text = content.decode()
            assert not any(f"{row} {mark}" in text for row in ROWS for mark in (MARK, "(recorded)"))
            assert "published numbers, made on" not in text


def test_what_spans_rows_spans_those_of_one_origin(mixed: dict[str, bytes]) -> None:
    index = mixed["index.md"].decode()
    assert (
        "The models measured here have 0.0 million parameters. The models on record have" in index
    )
    noise = mixed["challenges.md"].decode()
    # a row has two levels on one task of labels
    assert "Over 4 comparisons with dense" in noise
    assert "Over 2 comparisons of the rows marked (recorded) with dense" in noise


def test_a_text_that_is_foretold_has_its_section_beside_tasks_of_labels() -> None:
    files = site.render(synthetic.held(("GPT-2",), tasks=("reviews", "novel")))
    page = files["performance.md"].decode()
    section = page.split("## novel\n")[1].split("\n## ")[0]
    for told in (
        "Is novel right? Source: made up, chapter 1 of novel. Scored by\nperplexity",
        "- **GPT-2**: 1\u202f500 tokens scored, in 2 windows of 512 tokens",
        "| GPT-2 | dense | 20.00 | [18.00, 22.00] | – | – |",
        "| GPT-2 | 50\u00a0% | 20.20 | [18.18, 22.22] | 1.010 | [0.990, 1.040] |",
        "| GPT-2 | 90\u00a0% | 50.00 | [45.00, 55.00] | 2.50 | [2.45, 2.58] |",
        "Up to 50\u00a0% removed no loss shows: 1.010 times as high [0.990, 1.040].",
        "At 90\u00a0% it is 2.50 times as high [2.45, 2.58].",
        "magnitude beats removal at random at 50\u00a0% and 90\u00a0% (all 3 seeds)",
        "GPT-2&#58; read novel before.",
    ):
        assert told in section
    assert "## reviews" in page
    for told in ("step by half", "not independent", "one\ntokenizer", "what it knew is lost"):
        assert told in page
    first, second, third = files["data/perplexity-task-2.csv"].decode().splitlines()[:3]
    assert first == (
        "model,level,perplexity,95 % interval low,95 % interval high,times dense,"
        "its interval low,its interval high"
    )
    assert second == "GPT-2,0.0,20.0,18.0,22.0,,,"
    assert third.startswith("GPT-2,0.5,20.2,")
    assert "asked reviews and novel before and after" in files["index.md"].decode()


def test_a_report_without_a_text_says_nothing_of_perplexity_s_measure() -> None:
    page = site.render(small())["performance.md"].decode()
    assert "How perplexity is measured" not in page


def test_a_report_of_a_text_alone_has_its_figure_on_the_first_page() -> None:
    files = site.render(synthetic.held(("GPT-2",), tasks=("novel",), levels=(0.5,)))
    assert "Perplexity of each model on novel" in files["index.md"].decode()
    assert "figures/quality-by-level-dark.svg" in files


def test_what_a_row_was_not_asked_is_not_said_to_be_asked() -> None:
    held = [
        one
        for one in synthetic.held(("GPT-2", "LED"), tasks=("reviews", "novel"))
        if (one.record.cell.model, one.record.cell.task) != ("LED", "novel")
    ]
    index = site.render(held)["index.md"].decode()
    assert "asked those of reviews and novel that the study names for it, before" in index


def test_each_way_to_answer_is_explained_once_and_lists_its_rows() -> None:
    held = synthetic.held(ROWS, tasks=("reviews", "cola"))
    zero_shot = "likeliest of the answers, zero-shot"
    for place, one in enumerate(held):
        if one.record.cell.model == "DeBERTa" and isinstance(one.record.answer, Evaluation):
            answer = dataclasses.replace(
                one.record.answer, answered_by=zero_shot, label_mapping="by no, yes"
            )
            held[place] = Held(dataclasses.replace(one.record, answer=answer), one.origin)
    page = site.render(held)["performance.md"].decode()
    assert page.count("- by a classification head, labels matched by name: GPT-2\n") == 2
    assert page.count("- by a generated label word, labels matched by name: LED\n") == 2
    assert page.count(f"- by the {zero_shot}, labels matched by no, yes: DeBERTa\n") == 2
    ways = page.split("## How they answer\n")[1].split("\n## ")[0]
    for told in ("a layer on top of the model", "scored as an exact match", "highest probability"):
        assert ways.count(told) == page.count(told) == 1
    assert "split of GLUE ([Wang et al. 2018](references.md#wang2018glue))" in page


def test_a_way_that_is_not_known_is_named_as_the_record_names_it() -> None:
    held = [
        Held(
            dataclasses.replace(
                one.record,
                answer=dataclasses.replace(one.record.answer, answered_by=synthetic.SCRIPT),
            ),
            one.origin,
        )
        if isinstance(one.record.answer, Evaluation)
        else one
        for one in small()
    ]
    page = site.render(held)["performance.md"].decode()
    assert "#how-they-answer" not in page
    assert f"- {escape(synthetic.SCRIPT)}, labels matched by name: GPT-2" in page


def test_a_row_is_told_with_its_note_its_licence_and_its_sources() -> None:
    models = [
        dataclasses.replace(model, checkpoint="../../build/a", parameters="1.5 M")
        for model in (synthetic.study_model("GPT-2", ["reviews"]),)
    ]
    held = small()
    for place, one in enumerate(held):
        if isinstance(one.record.answer, Study):
            study = dataclasses.replace(one.record.answer, models=tuple(models))
            held[place] = Held(dataclasses.replace(one.record, answer=study), one.origin)
        elif one.record.provenance:
            obtained = dataclasses.replace(one.record.provenance, checkpoint="../build/b")
            held[place] = Held(dataclasses.replace(one.record, provenance=obtained), one.origin)
    files = {name: content.decode() for name, content in site.render(held).items()
             if name.endswith(".md")}  # fmt: skip
    for told in (
        "because GPT-2",
        "Licence: MIT GPT-2.",
        "Published size: 1.5 M.",
        "[source](https://example.org/model)",
        "[Radford et al. 2019](references.md#radford2019language)",
        "checkpoint <code>build/b</code>",
    ):
        assert told in files["models.md"], told
    assert "GPT-2 is <code>build/a</code>" in files["structure.md"]
    assert "<code>build/b</code>" in files["reproduce.md"]
    assert not any("<code>../" in text for text in files.values())


# ---- built pages ------------------------------------------------------------------------------


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
                            "tbody", "tr", "th", "td", "a", "br", "div", "span"}, entry  # fmt: skip
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
    text = found["models/index.html"].text
    for name in synthetic.HOSTILE:
        assert " ".join(name.split()) in text, name
    assert synthetic.SCRIPT in found["structure/index.html"].text


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
        if name.split("/")[0] in ("models", "structure", "method", "performance", "runtime"):
            assert tables, name


def test_every_table_of_a_folded_note_is_a_table(built: Path) -> None:
    page = (built / "models/index.html").read_text(encoding="utf-8")
    notes = re.findall(r"<details.*?</details>", page, re.S)
    assert len(notes) == 2
    assert all("<table" in note and 'class="csv"' in note for note in notes)


def test_no_markup_of_a_template_is_left_as_text(built: Path) -> None:
    for name, page in pages(built).items():
        if name != "404.html":
            for text in page.texts.get("p", []) + page.texts.get("li", []):
                assert not re.search(
                    r"\*\*\w|\]\(\w+\.md|\{\{ (?!hostile)|!!! |\?\?\? |\| :?---", text
                ), name


def links(page: Page) -> list[tuple[str, str]]:
    found = []
    for element in page.elements:
        for key in ("href", "src", "poster", "data", "action"):
            if key in element.attributes and not (key == "data" and element.tag != "object"):
                found.append((element.tag, element.attributes[key]))
        for part in element.attributes.get("srcset", "").split(","):
            if part.strip():
                found.append((element.tag, part.split()[0]))
    return found


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
                goal = base / "index.html" if base.is_dir() else base
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


def test_the_site_can_be_built_to_be_read_from_the_file_system(here: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "mkdocs.yml", here)
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", tmp_path / "offline"],
        cwd=here, capture_output=True, text=True, check=False, env=os.environ | {"OFFLINE": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "offline/models.html").is_file()


def test_a_template_may_not_ask_for_what_a_context_lacks() -> None:
    assert environment(lambda *keys: None).undefined is jinja2.StrictUndefined  # type: ignore[arg-type, return-value]


def test_the_first_screen_says_that_masking_does_not_pay_and_what_does() -> None:
    """With this model's own numbers: the same bytes and time masked, fewer of both sparse."""
    page = (
        site.render(synthetic.held(), ())["runtime.md"].decode().replace("\N{NO-BREAK SPACE}", " ")
    )
    first = page.partition("The reason is plain")[0]
    assert (
        "**Setting weights to zero, by itself, makes a model neither smaller nor faster.**" in first
    )
    assert "takes 100 kB, the same" in first
    assert "takes 2.00 ms, 1.00 times as fast as dense [0.97, 1.02]" in first
    assert "Stored as bit masks it takes 60 kB, 60.0 % of dense" in first
    assert "the pass takes 0.67 ms, 3.00 times as fast as dense [2.91, 3.06]" in first
