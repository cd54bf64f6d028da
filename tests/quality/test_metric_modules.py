"""The metric modules: scikit-learn's arithmetic, held to our own and to numbers worked out by hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.quality.metric_modules import score
from experiments.quality.metrics import marginals, matthews


@pytest.mark.parametrize(
    ("metric", "references", "predictions", "value"),
    [
        ("mcc", [1, 0, 1, 1, 0], [0, 0, 0, 0, 0], 0.0),
        ("mcc", [1, 1, 1], [1, 1, 1], 0.0),
        ("mcc", [1, 1, 1, 0], [1, 0, 1, 1], -1 / 3),
        ("accuracy", [1, 1, 1, 0], [1, 0, 1, 1], 0.5),
        ("exact_match", [1, 0], [-1, 0], 0.5),
    ],
)
def test_scores_worked_out_by_hand(
    metric: str, references: list[int], predictions: list[int], value: float
) -> None:
    found = score(metric, np.array(references), np.array(predictions))
    assert found == pytest.approx(value, abs=1e-15)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2)), min_size=1, max_size=30))
def test_the_module_agrees_with_the_arithmetic_that_is_bootstrapped(
    pairs: list[tuple[int, int]],
) -> None:
    references, predictions = (np.array(side) for side in zip(*pairs))
    expected = float(matthews(marginals(references, predictions, 3).sum(axis=0)))
    assert score("mcc", references, predictions) == pytest.approx(expected, abs=1e-12)


def test_no_network_and_no_cache_is_needed(tmp_path: Path) -> None:
    program = (
        "import socket, numpy as np\n"
        "def refuse(*_): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from experiments.quality.metric_modules import score\n"
        "print(score('mcc', np.array([1, 1, 1, 0]), np.array([1, 0, 1, 1])))\n"
    )
    environment = {"HF_HOME": str(tmp_path / "empty"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True,
        cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert (done.returncode, float(done.stdout or "nan")) == (0, pytest.approx(-1 / 3)), done.stderr
