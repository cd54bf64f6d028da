"""Labelled sentences: every format gives the same examples, and what is amiss is told by its row."""

import csv
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from experiments.errors import ReportError, UsageError
from experiments.quality.labels import match_labels
from experiments.quality.tasks.examples import Examples, read_examples, read_text
from experiments.quality.tasks.rows import read_rows
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
        ("sentence\tlabel\n", "rows below its header, found none"),
        ("", "rows, found an empty file; give another"),
        ("\ufeff\n", "rows, found an empty file; give another"),
        ("sentence\tlabel\n\tx\n\ty\n", "rows with a text and a label, found none"),
        ("sentence\tlabel\tlabel\na\tx\ty\n", "a column 'label', found 2 of that name"),
        ("sentence\tlabel\na\t-1\nb\t-1\n", "this split is unlabelled"),
        ("sentence\tlabel\na\t\nb\t\n", "this split is unlabelled"),
        ("sentence\tlabel\na\tx\nb\tx\n", "two labels or more"),
        ("sentence\tlabel\na\tx\nb, c\ty\tz\n", "line 3 has 3 fields for 2 columns"),
        ("other\tlabel\na\tx\ty\n", "line 2 has 3 fields for 2 columns"),
        ("sentence\tlabel\na\tx\nb\n", "line 3 has 1 field for 2 columns"),
        ("sentence,label\na,x\n", "tabs between the columns, found commas; save it with tabs"),
        ("sentence\tlabel\na\tx\nb\0\ty\n", "found a NUL byte in line 3"),
        ("sentence\tlabel\na\tx\n".encode("utf-16"), "text in UTF-8, found UTF-16; save it as"),
        ("sentence\tlabel\na\tx\n".encode("utf-16-be"), "a NUL byte in line 1; save it as UTF-8"),
        (
            gzip.compress(b"sentence\tlabel\na\tx\n", mtime=0),
            "text in UTF-8, found gzip; unpack it",
        ),
        (b"sentence\tlabel\n\xff\tx\n", "a tsv file"),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_refused(
    content: str | bytes, message: str, read: Read
) -> None:
    with pytest.raises(ReportError, match=message):
        read(content)


def test_semicolons_between_columns_are_named_though_texts_hold_commas(read: Read) -> None:
    content = "sentence;label\na, b;x\nc;y\n"
    with pytest.raises(ReportError, match="commas between the columns, found semicolons"):
        read(content, suffix="csv")


@pytest.mark.parametrize("suffix", ["tsv", "csv"])
def test_a_cell_may_be_of_any_length(suffix: str, read: Read) -> None:
    long, between = "word " * 40_000, {"tsv": "\t", "csv": ","}[suffix]
    lines = [between.join(pair) for pair in (("sentence", "label"), (long, "x"), ("b", "y"))]
    assert read("\n".join(lines), suffix=suffix).texts == (long, "b")


def test_a_quoted_cell_of_a_csv_holds_line_ends_and_commas(read: Read) -> None:
    content = 'sentence,label\r\n"a,\r\nb ""c""",x\r\nd,y\r\n\r\n'
    assert read(content, suffix="csv").texts == ('a,\r\nb "c"', "d")


def test_rows_without_a_text_or_a_label_are_skipped_and_counted(read: Read) -> None:
    rows = "a\tx\tp1\n \ty\tp1\nb\t\tp2\nc\ty\tp2\n\t\tp3\nd\t-1\tp3\n"
    found = read(f"sentence\tlabel\tpair\n{rows}", cluster="pair")
    assert (found.texts, found.references, found.skipped) == (("a", "c"), (0, 1), 4)
    assert found.clusters == ("p1", "p2")
    null = [{"sentence": "a", "label": 0}, {"sentence": None, "label": 1}, {"label": 1}]
    lines = [json.dumps(row) for row in [*null, {"sentence": "b", "label": 1}]]
    found = read("\n".join(lines), suffix="jsonl")
    assert (found.texts, found.skipped) == (("a", "b"), 2)


def test_whole_numbers_written_as_floats_are_the_same_labels(read: Read, tmp_path: Path) -> None:
    """As pandas writes a column of 0 and 1 in which one cell is missing."""
    found = read("sentence,label\na,1.0\nb,0.0\nc,\n", suffix="csv")
    assert (found.labels, found.references, found.skipped) == (("0", "1"), (1, 0), 1)
    table = pa.table({"sentence": ["a", "b", "c"], "label": [1.0, 0.0, float("nan")]})
    pa.parquet.write_table(table, tmp_path / "floats.parquet")
    found = read_examples(tmp_path / "floats.parquet", text="sentence", label="label")
    assert (found.labels, found.references, found.skipped) == (("0", "1"), (1, 0), 1)
    assert read("sentence\tlabel\na\t1.0\nb\t0.5\n").labels == ("0.5", "1.0")


NAMED = ("positive", "negative")  # 0 is positive: the other way round than by the alphabet


def write_named(path: Path, references: Sequence[int | None]) -> None:
    """A table whose schema names its labels, written by `datasets` itself."""
    import datasets

    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=list(NAMED))}
    )
    rows = {"sentence": [f"s{at}" for at in range(len(references))], "label": references}
    made = datasets.Dataset.from_dict(rows, features=features)
    if path.suffix == ".parquet":
        made.to_parquet(path)
    else:
        made.save_to_disk(path.with_suffix(""))
        next(path.with_suffix("").glob("*.arrow")).rename(path)


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_labels_that_a_schema_names_are_matched_by_their_names(
    suffix: str, tmp_path: Path, scored: Callable
) -> None:
    """A model that answers 159 of 200 rightly has 79.5 %, whatever its outputs' order; not 20.5 %."""
    stored = [at % 2 for at in range(200)]
    write_named(tmp_path / f"films.{suffix}", stored)
    found = read_examples(tmp_path / f"films.{suffix}", text="sentence", label="label")
    outputs, how = match_labels({0: "NEGATIVE", 1: "POSITIVE"}, found.labels, model="m")
    said = [1 - one if at < 159 else one for at, one in enumerate(stored)]  # its output 1: positive
    predictions = [outputs[one] for one in said]
    assert how == "by name"
    assert scored(found.references, predictions, labels=found.labels).accuracy == 0.795


def test_a_schema_s_names_give_the_labels_their_order_and_null_has_none(tmp_path: Path) -> None:
    write_named(tmp_path / "films.parquet", [1, None, 0, 1])
    found = read_examples(tmp_path / "films.parquet", text="sentence", label="label")
    assert (found.labels, found.references, found.skipped) == (NAMED, (1, 0, 1), 1)


def test_a_dictionary_s_values_are_labels_by_their_names(tmp_path: Path) -> None:
    labels = pa.array(["yes", "no", "yes"]).dictionary_encode()  # yes is number 0
    table = pa.table({"sentence": ["a", "b", "c"], "label": labels})
    pa.parquet.write_table(table, tmp_path / "films.parquet")
    with pa.ipc.new_file(str(tmp_path / "films.arrow"), table.schema) as file:
        file.write_table(table)
    for suffix in ("parquet", "arrow"):
        found = read_examples(tmp_path / f"films.{suffix}", text="sentence", label="label")
        assert (found.labels, found.references) == (("no", "yes"), (1, 0, 1))


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
    with pytest.raises(ReportError, match=r"films\.tsv\.gz: .*; unpack it"):
        read_rows(tmp_path / "films.tsv.gz")


def test_a_text_in_utf_16_is_named_and_its_line_ends_are_one_character(tmp_path: Path) -> None:
    path = tmp_path / "novel.txt"
    path.write_bytes("\ufeffone\r\ntwo\n".encode())
    assert read_text(path) == "one\ntwo\n"
    path.write_bytes("one\ntwo\n".encode("utf-16"))
    with pytest.raises(ReportError, match="text in UTF-8, found UTF-16; save it as UTF-8"):
        read_text(path)


def alternating(read: Read, n: int = 40, **columns: object) -> Examples:
    """Labels in turn, of which every second row has one and the same; two rows a pair."""
    rows = [f"s{at}\t{('no', 'yes')[at % 2]}\tp{at // 2}" for at in range(n)]
    return read("\n".join(["sentence\tlabel\tpair", *rows]), **columns)


def test_a_sample_is_drawn_by_a_fixed_seed_in_the_order_of_the_file(read: Read) -> None:
    whole = alternating(read)
    found = whole.sample(10)
    places = sorted(range(40), key=lambda at: hashlib.sha256(f"0 {at}".encode()).digest())[:10]
    assert found.texts == tuple(f"s{at}" for at in sorted(places))
    assert found.references == tuple(at % 2 for at in sorted(places))
    assert found.split == "evaluation, 10 of 40 drawn by seed 0"
    assert found == alternating(read).sample(10)
    assert set(found.texts) < set(whole.sample(20).texts), "a larger sample holds a smaller one"
    assert whole.sample(40) is whole.sample(99) is whole.sample(None) is whole


@pytest.mark.parametrize("every", [2, 4, 5])
def test_labels_in_turn_are_no_reason_for_a_sample_of_one(every: int, read: Read) -> None:
    shares = alternating(read, 400).sample(400 // every).references
    assert 0.3 < sum(shares) / len(shares) < 0.7


@pytest.mark.parametrize("limit", [2, 9, 10])
def test_a_pair_is_drawn_whole_or_not_at_all(limit: int, read: Read) -> None:
    found = alternating(read, cluster="pair").sample(limit)
    assert found.clusters is not None
    assert len(found.texts) == limit // 2 * 2
    assert set(Counter(found.clusters).values()) == {2}


def test_a_sample_of_one_label_is_refused(read: Read) -> None:
    rows = "".join(f"s{at}\t{'yes' if at == 3 else 'no'}\n" for at in range(40))
    with pytest.raises(ReportError, match=r"5 of the 40 examples .* drew no alone; give a higher"):
        read(f"sentence\tlabel\n{rows}").sample(5)
    with pytest.raises(ReportError, match="drew none alone"):
        alternating(read, cluster="pair").sample(1)


@pytest.mark.parametrize("name", ["reviews", "acceptability"])
def test_a_bundled_task_loads_with_all_its_labels(name: str) -> None:
    found = TASKS[name].load()
    assert len(found.texts) == 1000
    assert found.labels == TASKS[name].labels
    assert set(found.references) == {0, 1}


def test_an_unknown_task_lists_the_near_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean reviews\?"):
        task("review")
