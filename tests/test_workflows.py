"""The workflows of GitHub: read whole, refused where they are not understood, run as they are written."""

import shlex
from pathlib import Path

import pytest
from deep import workflows

ROOT = Path(__file__).parent.parent
WORKFLOW = """
on: [push]
env: {{WHO: outer, WHERE: here}}
jobs:
  one:
    runs-on: ubuntu-latest
    steps:
      - uses: {action}@v4
      - {key}: echo "$WHO $WHERE ${{{{ {expression} }}}}" >> written
        env: {{WHO: inner}}
      - name: What fails
        run: |
          false
          echo "went on" >> written
      - run: echo "went on" >> written
"""
UNDERSTOOD = {
    "action": "actions/checkout", "key": "run", "expression": "steps.pages.outputs.base_url",
}  # fmt: skip


def scripts(name: str) -> list[str]:
    """What a workflow of this repository runs, step by step."""
    text = (ROOT / ".github/workflows" / name).read_text(encoding="utf-8")
    return [step.script for steps in workflows.jobs(name, text) for step in steps if step.script]


def test_what_is_checked_is_what_people_type() -> None:
    assert scripts("check.yml") == ["make check"]


def test_the_published_site_takes_what_pyproject_names_and_no_list_of_its_own() -> None:
    words = [shlex.split(script) for script in scripts("pages.yml")]
    installs = [line[4:] for line in words if line[:4] == ["python", "-m", "pip", "install"]]
    assert installs == [
        ["--upgrade", "pip>=25.1"],
        ["--constraint", "constraints.txt", "--group", "site"],
        ["--no-deps", "."],
    ]
    assert words[3:] == [["gen", "build", "--recorded"], ["mkdocs", "build", "--strict"]]


def test_steps_run_in_turn_and_the_first_that_fails_ends_all_by_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (steps,) = workflows.jobs("some.yml", WORKFLOW.format(**UNDERSTOOD))
    with pytest.raises(SystemExit) as ended:
        workflows.run_in(tmp_path, steps, {"PATH": "/usr/bin:/bin"})
    assert ended.value.code == "failed with exit status 1: some.yml, one: What fails"
    address = "https://example.org/sparsity-report"
    assert (tmp_path / "written").read_text() == f"inner here {address}\n"
    assert capfd.readouterr().out.splitlines() == [
        "== some.yml, one: actions/checkout@v4 (here: the clone)",
        f'== some.yml, one: echo "$WHO $WHERE {address}" >> written',
        "== some.yml, one: What fails",
    ]


@pytest.mark.parametrize(
    ("key", "strange"),
    [("action", "someone/cache"), ("key", "shell"), ("expression", "secrets.TOKEN")],
)
def test_what_is_not_understood_is_refused_by_name(key: str, strange: str) -> None:
    with pytest.raises(SystemExit) as refused:
        list(workflows.jobs("some.yml", WORKFLOW.format(**UNDERSTOOD | {key: strange})))
    assert (
        refused.value.code
        == f"some.yml, one: {strange!r} is unknown here; say in workflows.py what it does"
    )
