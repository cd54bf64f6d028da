"""Labelled sentences: every format gives the same examples, and what is amiss is told by its row."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from experiments.errors import ReportError, UsageError
from experiments.quality.tasks.examples import Examples, read_examples, read_rows
from experiments.quality.tasks.table import TASKS, task

SENTENCES = ["a good film", "it is , dull\u2028very", 'not "bad', "fine"]
LABELS = ["positive", "negative", "positive", "positive"]


def write_tsv(path: Path) -> None:
    lines = [f"{text}\t{label}" for text, label in zip(SENTENCES, LABELS)]
    path.write_text("\n".join(["sentence\tlabel", *lines]) + "\n", encoding="utf-8")


def write_csv(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("sentence", "label"), *zip(SENTENCES, LABELS)])


def write_jsonl(path: Path) -> None:
    rows = [{"sentence": text, "label": label} for text, label in zip(SENTENCES, LABELS)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")


def write_parquet(path: Path) -> None:
    pa.parquet.write_table(pa.table({"sentence": SENTENCES, "label": LABELS}), path)


WRITERS = {"tsv": write_tsv, "csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_examples(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"films.{suffix}"
    WRITERS[suffix](path)
    found = read_examples(path, text="sentence", label="label")
    assert found == Examples(
        split="evaluation",
        labels=("negative", "positive"),
        texts=tuple(SENTENCES),
        references=(1, 0, 1, 1),
    )


Read = Callable[..., Examples]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """A function that reads a file of the given content."""

    def reader(content: str | bytes, *, suffix: str = "tsv", **columns: object) -> Examples:
        path = tmp_path / f"films.{suffix}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_examples(path, **{"text": "sentence", "label": "label", **columns})

    return reader


def test_a_stray_quotation_mark_swallows_no_row(read: Read) -> None:
    rows = '"a film\tpositive\nit is\tnegative\na "good film\tpositive\nfine\tpositive\n'
    default = csv.reader(rows.splitlines(keepends=True), delimiter="\t")
    assert len(list(default)) == 2, "the vector must be one that a csv reader gets wrong"
    found = read("sentence\tlabel\n" + rows)
    assert found.texts == ('"a film', "it is", 'a "good film', "fine")


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(suffix: str, read: Read) -> None:
    between = {"tsv": "\t", "csv": ","}[suffix]
    lines = [between.join(pair) for pair in (("sentence", "label"), ("a", "x"), ("b", "y"))]
    content = "\r\n".join(lines).encode("utf-8-sig")
    assert read(content, suffix=suffix).texts == ("a", "b")


def test_labels_given_fix_their_order(read: Read) -> None:
    content = "sentence\tlabel\na\tyes\nb\tno\n"
    assert read(content).labels == ("no", "yes")
    found = read(content, labels=("yes", "no"))
    assert (found.labels, found.references) == (("yes", "no"), (0, 1))


def test_numbers_and_booleans_are_labels_named_by_their_digits(read: Read) -> None:
    lines = [json.dumps({"sentence": "a", "label": label}) for label in (1, 0.0, True, "0")]
    found = read("\n".join(lines), suffix="jsonl")
    assert (found.labels, found.references) == (("0", "1"), (1, 0, 1, 0))


def test_labels_that_are_numbers_stand_in_the_order_of_their_value(read: Read) -> None:
    rows = "".join(f"a\t{number}\n" for number in reversed(range(12)))
    found = read(f"sentence\tlabel\n{rows}")
    assert found.labels == tuple(map(str, range(12)))  # by name 10 and 11 would stand before 2
    assert found.references == tuple(reversed(range(12)))


def test_minimal_pairs_are_clusters(read: Read) -> None:
    content = "pair\tsentence\tlabel\np1\ta\tx\np1\tb\ty\np2\tc\tx\n"
    assert read(content, cluster="pair").clusters == ("p1", "p1", "p2")
    assert read(content).clusters is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\tlabel\na\tx\n", "a column 'sentence', found text, label"),
        ("sentence\tlabel\n", "a column 'sentence', found no rows"),
        ("", "no rows"),
        ("sentence\tlabel\na\tx\n \ty\n", "row 2: expected a text, found none"),
        ("sentence\tlabel\na\t-1\nb\t-1\n", "this split is unlabelled"),
        ("sentence\tlabel\na\t\nb\t\n", "this split is unlabelled"),
        ("sentence\tlabel\na\tx\nb\t\nc\ty\n", "row 2: expected a label, found none"),
        ("sentence\tlabel\na\tx\nb\tx\n", "two labels or more"),
        ("sentence\tlabel\na\tx\nb, c\ty\tz\n", "line 3 has 3 fields for 2 columns"),
        ("other\tlabel\na\tx\ty\n", "line 2 has 3 fields for 2 columns"),
        (b"sentence\tlabel\n\xff\tx\n", "a tsv file"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_refused(
    content: str | bytes, message: str, read: Read
) -> None:
    with pytest.raises(ReportError, match=message):
        read(content)


def test_a_label_the_task_does_not_have_is_told_by_its_row(read: Read) -> None:
    content = "sentence\tlabel\na\tno\nb\tyes\nc\tYes\n"
    with pytest.raises(ReportError, match=r"row 3: expected a label of no, yes, found 'Yes'"):
        read(content, labels=("no", "yes"))


@pytest.mark.parametrize(
    ("suffix", "content"),
    [("jsonl", "[1]\n"), ("jsonl", "{"), ("parquet", "PAR1"), ("csv", 'a,b\n"c,d\n')],
)
def test_a_damaged_file_is_named(suffix: str, content: str, read: Read) -> None:
    with pytest.raises(ReportError, match=rf"films\.{suffix}: expected a {suffix} file"):
        read(content, suffix=suffix)


def test_a_missing_file_and_an_unknown_suffix_are_told(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="a labelled file"):
        read_rows(tmp_path / "none.tsv")
    with pytest.raises(ReportError, match=r"a file of \.tsv, \.csv, \.jsonl, \.parquet"):
        read_rows(tmp_path / "films.xlsx")


def test_a_sample_is_spread_over_a_file_sorted_by_label(read: Read) -> None:
    rows = [f"s{at}\t{'no' if at < 5 else 'yes'}\tp{at}" for at in range(10)]
    whole = read("\n".join(["sentence\tlabel\tpair", *rows]), cluster="pair")
    found = whole.sample(4)
    assert found.texts == ("s0", "s2", "s5", "s7")
    assert (found.references, found.clusters) == ((0, 0, 1, 1), ("p0", "p2", "p5", "p7"))
    assert found.split == "evaluation, 4 of 10"
    assert whole.sample(10) is whole.sample(99) is whole.sample(None) is whole


@pytest.mark.parametrize("name", ["reviews", "acceptability"])
def test_a_bundled_task_loads_with_all_its_labels(name: str) -> None:
    found = TASKS[name].load()
    assert len(found.texts) == 1000
    assert found.labels == TASKS[name].labels
    assert set(found.references) == {0, 1}


def test_an_unknown_task_lists_the_near_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean reviews\?"):
        task("review")
