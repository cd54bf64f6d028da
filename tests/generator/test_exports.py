"""What the site gives to other programs: records.csv, the Data Package, model cards, commands as shown."""

import csv
import hashlib
import html
import io
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
import yaml
from synthetic import HOSTILE, held

from experiments.records.cell import Cell
from experiments.records.command import asked
from experiments.records.record import Held
from experiments.records.store import Recorded
from generator import site
from generator.exhibits import Column, Table, exhibits
from generator.exports import cards, ledger, package
from generator.exports.glossary import MEANINGS, meaning
from generator.pages.table import every
from generator.report import Report

ROOT = Path(__file__).parents[2]
# Tables of which a row is made of many records, or of none.
OF_MANY = {
    "checkpoints", "data", "kinds", "machines", "methods", "models", "models-waiting", "rms-curve",
    "states", "techniques", "verdicts", "versions",
}  # fmt: skip
# A row of these is made of several records: a level of a model, of answers, times and bytes.
SEVERAL = ("by-level-", "levels-", "layers-pruned-", "obtained-")


@pytest.fixture(scope="module")
def report() -> Report:
    """The published report."""
    return Report(site.published(Recorded(ROOT / "recorded")))


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The published site, without its figures."""
    held_ = site.published(Recorded(ROOT / "recorded"))
    return site.render(held_, each=lambda draw, drawings: [])


@pytest.fixture(scope="module")
def described(files: dict[str, bytes]) -> dict[str, Any]:
    """Its Data Package."""
    found: dict[str, Any] = json.loads(files[package.NAME])
    return found


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


# ---- every record, a row a number ---------------------------------------------------------------


def test_a_row_is_a_number_with_its_interval_and_what_it_depends_on(report: Report) -> None:
    """Read again from the file that the row names, by json."""
    found = rows(ledger.table(report).csv().encode())
    (row,) = [
        one
        for one in found
        if (one["kind"], one["model"], one["task"]) == ("evaluation", "all-MiniLM-L6-v2", "cola")
        and (one["method"], one["level"], one["measure"]) == ("magnitude", "0.5", "mcc")
    ]  # fmt: skip
    (file,) = (ROOT / "recorded/evaluation").glob(f"*-{row['record']}.json")
    kept = json.loads(file.read_text())
    assert kept["answer"]["metric"] == "mcc"
    assert [float(row[name]) for name in ("value", "low", "high")] == [
        float(f"{exact:.10g}") for exact in (kept["answer"]["value"], *kept["answer"]["interval"])
    ]
    assert (row["n"], row["date"]) == (str(kept["answer"]["n"]), kept["provenance"]["date"])


def test_every_record_but_the_study_is_there_and_names_one_file(report: Report) -> None:
    found = rows(ledger.table(report).csv().encode())
    named = {(one["kind"], one["record"]) for one in found}
    files = {
        (path.parent.name, path.stem.rpartition("-")[2]) for path in ROOT.glob("recorded/*/*.json")
    }
    assert named == {one for one in files if one[0] != "study"}


def test_no_prediction_and_no_layer_is_there_and_all_is_at_most_a_megabyte(
    files: dict[str, bytes],
) -> None:
    content = files["data/records.csv"]
    assert 300_000 < len(content) <= 1_000_000
    measures = {one["measure"] for one in rows(content)}
    assert {"accuracy", "mcc", "p_value", "bytes", "median_ms", "perplexity_ratio"} <= measures
    assert not measures & {"predictions", "references", "losses", "value", "dense_ms", "interval"}
    assert "layers" not in content.decode().split("\n", 1)[0]


def test_an_interval_stands_by_its_own_number(report: Report) -> None:
    """A rule that takes the one interval there is for every number would give accuracy that of MCC."""
    (answer,) = [
        one.record.answer
        for one in report.held
        if one.cell == Cell(kind="evaluation", model="all-MiniLM-L6-v2", level=0.0, task="cola")
    ]
    by_name = {one.measure: one for one in ledger.scalars(answer)}
    assert by_name["mcc"].bounds == answer.interval  # type: ignore[union-attr]
    assert by_name["accuracy"].bounds == answer.accuracy_interval  # type: ignore[union-attr]
    assert by_name["truncated"].bounds is None


def test_where_the_metric_is_accuracy_it_stands_once(report: Report) -> None:
    for one in report.held:
        names = [scalar.measure for scalar in ledger.scalars(one.record.answer) if not scalar.part]
        assert len(names) == len(set(names)), one.cell


def test_the_level_of_a_part_is_the_part_s_own() -> None:
    found = rows(ledger.table(Report(held(["GPT-2"]))).csv().encode())
    footprints = {one["level"] for one in found if one["measure"] == "bytes"}
    assert footprints == {"0.0", "0.5", "0.9"}
    assert {one["level"] for one in found if one["kind"] == "inspection"} == {""}


def test_the_order_is_that_of_questions_whatever_the_order_of_records() -> None:
    some = held()
    table = ledger.table(Report(some))
    assert ledger.table(Report(list(reversed(some)))) == table
    levels = [float(row[3]) for row in table.rows if row[:2] == ("pruning", "GPT-2")]
    assert levels == sorted(levels)
    assert len(set(levels)) > 1


def test_machines_of_two_origins_have_numbers_of_their_own() -> None:
    both = Report(held(origins={"LED": "recorded"}))
    found = rows(ledger.table(both).csv().encode())
    numbers = {(one["model"], one["machine"]) for one in found}
    assert numbers == {("GPT-2", "1"), ("LED", "2")}
    assert [origin for origin, _ in ledger.machines_of(both)] == ["here", "recorded"]


# ---- the Data Package ---------------------------------------------------------------------------


def test_every_csv_is_described_and_nothing_else(
    files: dict[str, bytes], described: dict[str, Any]
) -> None:
    paths = [f"data/{one['path']}" for one in described["resources"]]
    assert sorted(paths) == sorted(name for name in files if name.endswith(".csv"))
    assert len(paths) == len(set(paths))
    assert described["$schema"].startswith("https://datapackage.org/profiles/2.0/")


def test_a_file_s_digest_and_size_are_those_said(
    files: dict[str, bytes], described: dict[str, Any]
) -> None:
    for one in described["resources"]:
        content = files[f"data/{one['path']}"]
        assert one["bytes"] == len(content)
        assert one["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert one["rows"] == len(rows(content))


def test_every_column_is_named_as_in_the_file_and_described(
    files: dict[str, bytes], described: dict[str, Any]
) -> None:
    bare = []
    for one in described["resources"]:
        head = next(csv.reader(io.StringIO(files[f"data/{one['path']}"].decode())))
        fields = one["schema"]["fields"]
        assert [field["name"] for field in fields] == head, one["name"]
        bare += [(one["name"], field["name"]) for field in fields if not field.get("description")]
    assert bare == []  # a column says it by `about`, or a line in the glossary does


TYPES = {
    "integer": re.compile(r"-?\d+"),
    "number": re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?"),
    "boolean": re.compile("True|False"),
    "any": re.compile("(?!)"),
    "string": re.compile(".*", re.S),
}


def test_every_cell_is_of_its_column_s_type(
    files: dict[str, bytes], described: dict[str, Any]
) -> None:
    """By Table Schema's lexical forms; an empty cell is a missing value."""
    for one in described["resources"]:
        for field in one["schema"]["fields"]:
            cells = [row[field["name"]] for row in rows(files[f"data/{one['path']}"])]
            form = TYPES[field["type"]]
            wrong = [cell for cell in cells if cell and not form.fullmatch(cell)]
            assert wrong == [], (one["name"], field["name"])


def test_a_key_leads_to_a_row_of_the_other_table(
    files: dict[str, bytes], described: dict[str, Any]
) -> None:
    (records,) = [one for one in described["resources"] if one["name"] == "records"]
    keys = records["schema"]["foreignKeys"]
    assert [key["reference"]["resource"] for key in keys] == ["machines", "versions"]
    for key in keys:
        (name,), other = key["fields"], key["reference"]["resource"]
        there = {row[name] for row in rows(files[f"data/{other}.csv"])}
        assert {row[name] for row in rows(files["data/records.csv"])} <= there


def test_what_asked_names_no_folder_of_somebody_s_machine(described: dict[str, Any]) -> None:
    assert described["measured"]["commands"] == [
        "gen build",
        "gen build --study studies/reference.toml",
    ]


def test_a_table_of_own_records_has_their_day_and_command_alone() -> None:
    some = held(["GPT-2", "LED"])
    report = Report(some)
    own = report.record(kind="inspection", model="LED")
    table = Table("one", (Column("level"),), ((0.5,),)).of(own)
    (one,) = json.loads(package.content(report, [table]))["resources"]
    assert one["measured"]["commands"] == ["gen build --study LED.toml"]
    assert [field["name"] for field in one["schema"]["fields"]] == ["level", "record"]


def test_a_column_s_own_words_go_before_the_glossary_s() -> None:
    column = Column("level", about="of the sea", unit="m")
    (field,) = package.fields(Table("one", (column,), ()))
    assert field == {"name": "level", "type": "any", "description": "of the sea", "unit": "m"}
    (plain,) = package.fields(Table("one", (Column("level"),), ((0.5,),)))
    known = meaning("one", "level")
    assert known
    assert plain["description"] == known.about


def test_a_table_s_own_meaning_goes_before_the_general_one() -> None:
    patterns = [pattern for pattern, _ in MEANINGS]
    assert len(patterns) == len(set(patterns))
    assert meaning("layers-timed", "dense") != meaning("any", "dense")


def test_hostile_names_are_text_in_every_file() -> None:
    some = held(HOSTILE[:3], tasks=HOSTILE[3:5], layer="=cmd", waiting=())
    made = site.render(some, each=lambda draw, drawings: [])
    document = json.loads(made[package.NAME])
    assert len(document["resources"]) > 10
    for name, content in made.items():
        if name.endswith(".csv"):
            for row in csv.reader(io.StringIO(content.decode())):
                assert not any(re.match(r"\s*[=+@]", cell) for cell in row), name


def test_no_heading_of_a_csv_is_run_by_a_spreadsheet() -> None:
    table = Table("one", (Column("=1+1"),), ((1,),))
    assert table.csv() == "'=1+1\n1\n"
    assert next(package.fields(table))["name"] == "'=1+1"


def test_a_row_of_one_record_names_it(described: dict[str, Any]) -> None:
    without = {
        one["name"]
        for one in described["resources"]
        if "record" not in [field["name"].split()[-1] for field in one["schema"]["fields"]]
    }
    assert {name for name in without - OF_MANY if not name.startswith(SEVERAL)} == set()


# ---- model cards --------------------------------------------------------------------------------


def test_the_hub_s_own_reader_gives_the_numbers_back(report: Report) -> None:
    from huggingface_hub.repocard_data import model_index_to_eval_results

    (row,) = [one for one in report.measured if one.name == "all-MiniLM-L6-v2"]
    index = yaml.safe_load(cards.content(report, row))["model-index"]
    name, results = model_index_to_eval_results(index)
    assert name == "all-MiniLM-L6-v2"
    named = {(one.dataset_type, one.metric_name): one for one in results}
    assert (
        len(named) == len(results) == 10 * 3
    )  # dense and nine levels; CoLA with MCC and accuracy, SST-2 with one
    one = named["sst2", "accuracy, magnitude, 50 % zeros"]
    (file,) = (ROOT / "recorded/evaluation").glob("all-minilm-l6-v2--sst2--magnitude--0.5--*.json")
    kept = json.loads(file.read_text())["answer"]
    assert one.metric_value == kept["value"]
    assert one.metric_args == {
        "method": "magnitude", "level": 0.5, "n": 872, "interval_95": kept["interval"],
    }  # fmt: skip
    assert one.task_type == "text-classification"
    assert named["cola", "mcc, unpruned"].metric_type == "matthews_correlation"
    assert "method" not in (named["cola", "mcc, unpruned"].metric_args or {})


def test_a_model_card_with_it_is_read_as_one(report: Report, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard, metadata_load

    (row,) = [one for one in report.measured if one.name == "SmolLM2-135M-Instruct"]
    card = tmp_path / "README.md"
    card.write_text(f"---\n{cards.content(report, row).decode()}---\n\n# A model\n")
    (entry,) = metadata_load(card)["model-index"]  # type: ignore[index]
    assert entry["name"] == "SmolLM2-135M-Instruct"
    kinds = {one.task_type for one in ModelCard.load(card).data.eval_results or ()}
    assert kinds == {"text-classification", "text-generation"}


def test_every_card_is_linked_from_its_model_s_page(files: dict[str, bytes]) -> None:
    made = {name for name in files if name.endswith("-model-index.yml")}
    pages = {name: text.decode() for name, text in files.items() if name.startswith("models/")}
    linked = {
        one for text in pages.values() for one in re.findall(r"\(\.\./(data/\S+\.yml)\)", text)
    }
    assert linked == made
    assert len(made) == 6


def test_a_card_holds_hostile_names_as_text_and_is_absent_where_nothing_was_answered() -> None:
    report = Report(held([HOSTILE[0]], tasks=[HOSTILE[1]]))
    (row,) = report.measured
    (entry,) = yaml.safe_load(cards.content(report, row))["model-index"]
    assert entry["name"] == HOSTILE[0]
    assert entry["results"][0]["dataset"]["name"] == HOSTILE[1]
    none = Report(held(["GPT-2"], tasks=()))
    assert cards.files(none) == {}
    assert cards.link(none, none.measured[0]) == ""


# ---- Reproduce ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("gen build --docs refdocs --fresh", "gen build --fresh"),
        ("gen build --docs=a --results 'b c'", "gen build"),
        ("gen build --study 'my --docs.toml'", "gen build --study 'my --docs.toml'"),
        ("gen build --docs-like x", "gen build --docs-like x"),
        ("gen build --docs", "gen build"),
    ],
)
def test_a_command_is_shown_without_the_folders_of_its_answers(given: str, shown: str) -> None:
    assert asked(given) == shown


def words(text: str) -> int:
    """What a reader sees, without code, counted."""
    text = re.sub(r"```.*?```", " ", text, flags=re.S)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)(\{[^}]*\})?|<[^>]+>", r" \1 ", text)
    return len(re.findall(r"\w\S*", html.unescape(text)))


def test_reproduce_keeps_its_limits_and_begins_with_three_commands(files: dict[str, bytes]) -> None:
    text = files["reproduce.md"].decode()
    assert len(files["reproduce.md"]) <= 7000
    assert 100 < words(text) <= 400
    first = text.split("```")[1].splitlines()
    assert [line.split("#")[0].split() for line in first[1:]] == [
        ["make", "site"], ["make", "reference"], ["make", "check"],
    ]  # fmt: skip
    assert "--docs" not in text
    assert "--results" not in text
    assert "[Your own model](publish.md)" in text


def test_reproduce_of_a_large_study_keeps_its_limit() -> None:
    names = [f"model {number} with a long name" for number in range(40)]
    page = site.render(large(names), each=lambda draw, drawings: [])["reproduce.md"]
    assert len(page) <= 7000
    assert "[All 40 rows, CSV](data/checkpoints.csv)" in page.decode()


def large(names: list[str]) -> list[Held]:
    """Records of many checkpoints, of which each was inspected."""
    study, *others = held(["GPT-2"])
    (one,) = [each for each in others if each.cell.kind == "inspection"]
    record = one.record
    return [
        study,
        *(
            Held(synthetic.record(replace(record.cell, model=name), record.answer), "here")
            for name in names
        ),
    ]


def test_records_by_kind_are_a_small_table(report: Report) -> None:
    (page,) = [one for one in every(report) if one.name == "reproduce"]
    (kinds,) = [one for one in exhibits(page.context(report)) if one.name == "kinds"]
    assert isinstance(kinds, Table)
    assert len(kinds.rows) <= 8
    counted = Counter(path.parent.name for path in ROOT.glob("recorded/*/*.json"))
    del counted["study"]
    assert {row[0]: row[1] for row in kinds.rows} == counted


def test_versions_are_a_row_a_set() -> None:
    some = held(["GPT-2"])
    first = some[1].record
    assert first.provenance is not None
    newer = replace(first.provenance, versions={"torch": "2.8.0", "python": "3.12.0"})
    some[1] = Held(replace(first, provenance=newer), "here")
    (page,) = [one for one in every(Report(some)) if one.name == "reproduce"]
    table = page.context(Report(some)).versions
    assert table.headings() == ["versions", "python", "torch", "records"]
    assert table.rows == ((1, "3.11.0", "2.7.0", len(some) - 2), (2, "3.12.0", "2.8.0", 1))


def test_pages_on_paper_have_their_style() -> None:
    settings = (ROOT / "mkdocs.yml").read_text()
    assert re.search(r"^extra_css:\n(  - .*\n)*  - assets/print\.css$", settings, re.M)
    style = (ROOT / "generator/assets/print.css").read_text()
    outside = re.sub(r"/\*.*?\*/", "", style, flags=re.S).strip()
    assert outside.startswith("@media print {")
    assert outside.count("@media") == 1
