"""What leaves to a terminal: strangers' text never steers one, and one module alone writes there."""

import ast
import json
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Done, Gen, outside
from watched import looking

from experiments import terminal
from experiments.terminal import guarded, say, visible

ROOT = Path(__file__).parent.parent
DOOR = ROOT / "experiments/terminal.py"

# A text and what is to be seen of it, by the definition of each character in Unicode's table and ECMA-48.
HOSTILE = [
    ("a\x1b[31mb", r"a\x1b[31mb"),  # colour
    ("a\x1b]0;b\x07", r"a\x1b]0;b\x07"),  # the window's title
    ("a\x1b[2J\x1b[Hb", r"a\x1b[2J\x1b[Hb"),  # an empty screen
    ("a\x9b2Jb", r"a\x9b2Jb"),  # the same in one byte of C1
    ("a\x90b\x9c", r"a\x90b\x9c"),  # a device control string
    ("a\u202eb", r"a\u202eb"),  # right to left
    ("a\u202ab\u202c", r"a\u202ab\u202c"),
    ("a\u2066b\u2069", r"a\u2066b\u2069"),
    ("a\u200bb", r"a\u200bb"),  # no width
    ("a\u200db", r"a\u200db"),
    ("a\ufeffb", r"a\ufeffb"),
    ("a\u2028b", r"a\u2028b"),  # an end of a line
    ("a\u2029b", r"a\u2029b"),
    ("a\x85b", r"a\x85b"),
    ("a\rb", r"a\rb"),
    ("a\nb", r"a\nb"),
    ("a\x08b", r"a\x08b"),
    ("a\x7fb", r"a\x7fb"),
    ("a\udce9b", r"a\udce9b"),  # a byte that is no UTF-8, as Python holds it
    ("a\U000e0041b", r"a\U000e0041b"),  # a tag
]
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
TEXTS = [text for text, _ in HOSTILE]
FILES = [text for text in TEXTS if "\udce9" not in text]


def unsteered(done: Done) -> Done:
    """What a command said, in which nothing steers."""
    assert not CONTROLS.search(done.out + done.err), repr(done.out + done.err)
    return done


@pytest.mark.parametrize(("text", "seen"), HOSTILE)
def test_what_steers_is_seen_as_an_escape_and_nothing_is_dropped(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible(seen) == seen


def test_letters_of_the_world_stay_as_they_are() -> None:
    for text in ("模型甲", "naïve café", "Модель", "160×480", "76\u202f800 %", "🙂", "नमस्ते"):
        assert visible(text) == text


@pytest.mark.parametrize(("text", "seen"), HOSTILE)
@pytest.mark.usefixtures("here")
def test_no_argument_of_a_command_steers(gen: Gen, text: str, seen: str) -> None:
    """A model, a task, a method, a column, a file, an option, a command, a pattern of such a name."""
    for words in (
        ("inspect", text),
        ("inspect", f"no/{text}"),
        ("prune", text, "--level", "0.5", "--out", "x"),
        ("prune", "tiny", "--level", "0.5", "--method", text, "--out", "x"),
        ("prune", "tiny", "--level", text, "--out", "x"),
        ("prune", "tiny", "--pattern", text, "--out", "x"),
        ("evaluate", "tiny", "--task", text),
        ("evaluate", "tiny", "--data", text),
        ("evaluate", "tiny", "--data", "tickets.tsv", "--text", text),
        ("evaluate", "tiny", "--data", "tickets.tsv", "--metric", text),
        ("finetune", "tiny", "--task", text, "--out", "x"),
        ("footprint", text),
        ("latency", text),
        ("unpack", text, "--out", "x"),
        ("list", text),
        ("build", "--study", text),
        ("status", "--study", text),
        ("record", "--study", text),
        ("inspect", "tiny", f"--{text}"),
        (text,),
    ):
        done = unsteered(gen(*words))
        assert done.status in (1, 2)
        assert done.line.startswith("error: ")
        bare = seen.removeprefix("a")
        assert bare in done.line or repr(bare)[1:-1] in done.line, done.line


@pytest.mark.parametrize("text", FILES)
def test_no_name_of_a_folder_steers_nor_breaks_a_line(gen: Gen, here: Path, text: str) -> None:
    (here / "tiny").rename(here / text)
    assert unsteered(gen("inspect", text)).status == 0
    done = unsteered(gen("prune", text, "--level", "0.5", "--out", f"{text}-pruned"))
    assert done.out.splitlines()[-1] == f"written to {visible(text)}-pruned/"
    done = unsteered(gen("prune", text, "--level", "0.5", "--out", f"{text}-pruned"))
    assert f"{visible(text)}-pruned" in done.line
    (here / text / "model.safetensors").write_bytes(b"\x00" * 9)
    assert visible(text) in unsteered(gen("inspect", text)).line


@pytest.mark.parametrize("text", FILES)
def test_no_configuration_card_or_label_steers(gen: Gen, here: Path, text: str) -> None:
    config = json.loads((here / "tiny/config.json").read_text())
    for changed in (
        {"dtype": text, "torch_dtype": text},
        {"architectures": [text], "model_type": text},
        {"architectures": [text]},
        {"id2label": {"0": text, "1": "x"}, "label2id": {text: 0, "x": 1}},
        {"activation_function": text},
        {"quantization_config": {"quant_method": text}},
    ):
        (here / "tiny/config.json").write_text(json.dumps(config | changed))
        unsteered(gen("inspect", "tiny"))
        unsteered(gen("evaluate", "tiny", "--data", "tickets.tsv"))
    (here / "tiny/config.json").write_text(f'{{"{text}')
    assert unsteered(gen("inspect", "tiny")).status == 1


@pytest.mark.parametrize("text", FILES)
def test_no_study_steers_and_its_faults_are_a_line_each(gen: Gen, here: Path, text: str) -> None:
    told = json.dumps(text).replace("\\udb40\\udc41", "\\U000E0041")
    (here / "report.toml").write_text(
        f"title = {told}\nmethods = [{told}]\n{told} = 1\n[[model]]\nname = {told}\nfamily = {told}\n"
        f"checkpoint = {told}\n[[task]]\nname = {told}\nfile = {told}\nmetric = {told}\n"
    )
    for words in (("build",), ("build", "--dry-run"), ("status", "--json"), ("record",)):
        done = unsteered(gen(*words))
        assert (done.status, done.out) == (1, "")
        assert len(done.err.splitlines()) == 7


@pytest.mark.parametrize("text", FILES)
def test_json_stays_json_and_holds_what_it_held(gen: Gen, here: Path, text: str) -> None:
    why = json.dumps(text).replace("\\udb40\\udc41", "\\U000E0041")
    study = (here / "report.toml").read_text().replace('"it is too large"', why)
    (here / "report.toml").write_text(study)
    done = unsteered(gen("status", "--json"))
    assert done.out.isascii()
    assert done.json[1]["why"] == text
    (line,) = [x for x in unsteered(gen("status")).out.splitlines() if x.startswith("Huge")]
    assert line.endswith(visible(text))


def test_arguments_that_are_no_utf_8_are_shown_and_no_command_ends_in_a_traceback(
    here: Path,
) -> None:
    (here / "tiny").rename(here / "caf\udce9")
    program = [sys.executable, "-c", "from generator.cli import main; main()"]
    for words, status in (
        ([b"inspect", b"none\xe9"], 1),
        ([b"list", b"\xff\xfe"], 2),
        ([b"prune", b"caf\xe9", b"--level", b"0.5", b"--out", b"out\xe9"], 0),
    ):
        done = subprocess.run([*program, *words], cwd=here, capture_output=True, check=False)
        assert done.returncode == status, done.stderr
        assert b"Traceback" not in done.stderr
        (done.stdout + done.stderr).decode("utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_locale_without_our_signs_gets_plainer_ones(here: Path, encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from generator.cli import main; main()", "inspect", "tiny"],
        cwd=here, capture_output=True, check=True, env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    line = next(x for x in done.stdout.decode(encoding).splitlines() if "c_attn.weight" in x)
    assert ("16×48" if encoding == "utf-8" else "16x48") in line  # no other has our narrow spaces
    assert "\\" not in line


@pytest.mark.parametrize(
    "settings",
    [{"LC_ALL": "C"}, {"LANG": "C", "LC_ALL": ""}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"},
     {"COLUMNS": "1"}, {"COLUMNS": "20"}, {"TERM": "dumb"}],
)  # fmt: skip
def test_no_setting_of_a_terminal_brings_colour_or_an_error(
    here: Path, settings: dict[str, str]
) -> None:
    for words, status in ((("list", "methods"), 0), (("--help",), 0), (("list", "x"), 2)):
        assert unsteered(outside(*words, cwd=here, **settings)).status == status


@pytest.mark.parametrize("unbuffered", ["", "1"])  # as Python has it, and as some machines set it
def test_a_full_disk_behind_standard_output_is_one_line(unbuffered: str, here: Path) -> None:
    program = "from generator.cli import main; main()"
    settings = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program, "list", "methods"],
            cwd=here, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=settings,
        )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: writing: No space left")


@pytest.mark.parametrize(("text", "seen"), HOSTILE)
def test_what_libraries_warn_and_log_of_does_not_steer(text: str, seen: str) -> None:
    """A line's end may be the library's own."""
    broken = seen.replace(r"\n", "\n")
    with looking() as watched, guarded():
        logging.StreamHandler().emit(logging.LogRecord("x", 40, "x", 1, f"log {text}", None, None))
        sys.stderr.write(warnings.formatwarning(f"of {text}", UserWarning, "x.py", 1, ""))
    assert watched.getvalue() == f"log {broken}\nx.py:1: UserWarning: of {broken}\n"


def test_a_librarys_bar_moves_and_its_name_does_not_steer() -> None:
    from tqdm import tqdm

    with looking() as watched, guarded(), tqdm(total=2, desc="a\x1b]0;b\x07", position=1) as bar:
        bar.update(2)
    told = watched.getvalue()
    assert r"a\x1b]0;b\x07: 100%" in told
    assert not CONTROLS.search(told.replace("\r", "").replace("\x1b[A", ""))


def test_a_closed_stream_takes_nothing_and_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "stdout", None)
    with guarded():
        say("nobody hears it")
        terminal.answer(["nor this"])
    assert not terminal.watched()


STREAMS = re.compile(
    r"sys\.(__)?(stdout|stderr)(__)?|click\.(echo\w*|secho|progressbar|pause|edit|prompt|confirm)"
    r"|print|input|pprint\w*(\.\w+)?|traceback\.print_\w+|warnings\.(warn|showwarning)"
    r"|logging\.(basicConfig|StreamHandler|warning|error)|os\.write|\w+\.show"
)


def writes(tree: ast.AST) -> Iterator[str]:
    """Each place of a module that takes a standard stream, or calls what writes to one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and STREAMS.fullmatch(ast.unparse(node)):
            yield ast.unparse(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "SystemExit"):
            texts = [x for x in node.args if isinstance(x, ast.JoinedStr)]
            texts += [x for x in node.args if isinstance(x, ast.Constant) and type(x.value) is str]
            yield from map(ast.unparse, texts)


def test_no_module_but_the_door_writes_to_a_terminal() -> None:
    assert list(writes(ast.parse(DOOR.read_text()))), "the test finds what it looks for"
    for package in ("experiments", "generator"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path != DOOR:
                assert list(writes(ast.parse(path.read_text()))) == [], path
