"""The page on a report of one's own: what it tells people to type and to choose is there, and it is short."""

import re
from pathlib import Path

import pytest
import synthetic

from experiments.study.study import load_study
from generator import cli, site

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("drawn_once")


@pytest.fixture(scope="module")
def page() -> str:
    return site.render(synthetic.small())["publish.md"].decode()


def test_it_is_read_in_two_minutes(page: str) -> None:
    assert len(page) <= 7_000
    prose = re.sub(r"^```.*?^```", "", page, flags=re.M | re.S)
    assert len(prose.split()) <= 400


def test_its_study_is_one(page: str, tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.M | re.S)
    (tmp_path / "tickets.tsv").write_text("sentence\tlabel\n")
    for text in (block, block.replace("# tasks", "tasks")):
        (tmp_path / "mine.toml").write_text(text)
        study = load_study(tmp_path / "mine.toml").study
        assert [model.name for model in study.models] == ["Ticket classifier"]
        assert "tickets" in {task.name for task in study.tasks}
    assert "# tasks" in block


def test_every_command_on_it_exists_with_its_options(page: str) -> None:
    lines = re.findall(r"(?:^|`)gen ([a-z]+)([^#`\n]*)", page, re.M)
    assert {name for name, _ in lines} == {"build", "prune", "record"}
    for name, rest in lines:
        known = {option for one in cli.command(name).params for option in one.opts}
        assert set(re.findall(r"--[a-z][a-z-]*", rest)) <= known, (name, rest)


def test_the_line_that_a_fork_lengthens_stands_once_in_its_workflow(page: str) -> None:
    workflow = (ROOT / ".github/workflows/pages.yml").read_text(encoding="utf-8")
    assert "lengthen `gen build --recorded` to `gen build --recorded --study mine.toml`" in page
    assert len(re.findall(r"run: gen build --recorded$", workflow, re.M)) == 1
    assert re.search(r"^name: pages$", workflow, re.M)
    assert "workflow_dispatch" in workflow  # so that it can be run by hand
