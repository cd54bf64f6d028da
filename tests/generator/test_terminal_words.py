"""What a person at a terminal is told: an error in one line, an answer whole or in lines."""

import errno
import json
import os

import click
import pytest

from experiments.errors import ReportError
from generator.terminal import explained, say, show

WRONG = click.UsageError("No such option:\n  --lvel.", click.Context(click.Command("prune")))
WRONG.ctx.info_name = "gen prune"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ReportError("a", "b", "c"), "a: expected b; c"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/x"),
            "out/x: No space left on device; free some space and run again",
        ),
        (OSError(errno.EACCES, "Permission denied"), "writing: Permission denied"),
        (ValueError("one\n  two"), "ValueError: one two; `gen --debug …` shows where"),
        (OSError("odd"), "OSError: odd; `gen --debug …` shows where"),
        (WRONG, "No such option: --lvel; see `gen prune --help`"),
        (click.ClickException("It failed."), "It failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_error_is_one_line(error: Exception, line: str) -> None:
    assert explained(error) == [line]


def test_a_long_error_is_cut() -> None:
    assert len("".join(explained(RuntimeError("x" * 5000)))) < 400


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("half done")
    assert capsys.readouterr() == ("", "half done\n")


def test_an_answer_is_one_document_in_which_what_is_no_number_is_null(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show([{"name": "café", "value": float("nan")}], True, "rows")
    out, err = capsys.readouterr()
    assert (json.loads(out), err) == ([{"name": "café", "value": None}], "")
    assert "caf\\u00e9" in out, "by JSON's own escape: a locale may have no letter for it"


def test_an_answer_is_lines_of_columns_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"name": "a", "done": True}, {"name": "bcd", "done": False}], False, "rows")
    assert capsys.readouterr() == ("name  done\na     yes\nbcd   no\n", "")
