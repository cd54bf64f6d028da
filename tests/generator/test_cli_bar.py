"""How far a long work has come, on one line of a terminal."""

import pytest
from watched import looking

from generator.terminal import Bar, say


def test_a_stage_is_one_line_redrawn_when_its_percents_change() -> None:
    with looking() as terminal, Bar() as bar:
        bar.stage("reading", 300)
        for done in (1, 1, 1, 147, 150):  # 0.3, 0.7, 1, 50 and 100 %
            bar.add(done)
        bar.stage("writing", 1)
        bar.add(1)
        say("done")
    assert terminal.getvalue() == (
        "\rreading   0 %\rreading   1 %\rreading  50 %\rreading 100 %\n\rwriting 100 %\ndone\n"
    )


def _cut_short() -> None:
    with Bar() as bar:
        bar.stage("reading", 100)
        bar.add(43)
        raise ValueError("no")


def test_what_ends_a_work_short_stands_on_a_line_of_its_own() -> None:
    with looking() as terminal:
        with pytest.raises(ValueError, match="no"):
            _cut_short()
        say("error: no")
    assert terminal.getvalue() == "\rreading  43 %\nerror: no\n"


def test_a_stage_that_stops_short_ends_its_line_before_the_next() -> None:
    with looking() as terminal, Bar() as bar:
        bar.stage("ranking", 4)
        bar.add(3)
        bar.stage("writing", 2)
        bar.add(1)
    assert terminal.getvalue() == "\rranking  75 %\n\rwriting  50 %\n"


def test_nothing_is_drawn_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar() as bar:
        bar.stage("reading", 2)
        bar.add(1)
    assert capsys.readouterr() == ("", "")
