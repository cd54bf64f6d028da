"""What people read is held to what there is: commands, modules, recipes, links, published pages."""

import re
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from experiments.checkpoint.formats import FORMATS
from experiments.checkpoint.locate import miniatures
from experiments.pruning.methods.table import METHODS
from experiments.quality.tasks.table import TASKS
from experiments.study.study import MODEL, TASK, TOP, load_study
from generator import cli, site
from generator.pages.table import PAGES

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md",
             "experiments/miniatures/README.md")  # fmt: skip
PACKAGES = ("experiments", "generator")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code(name: str) -> str:
    """What a document sets in a fixed-width face, in line or in blocks."""
    whole = text(name)
    blocks = re.findall(r"^```.*?^```", whole, re.M | re.S)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", whole, flags=re.M | re.S))
    return "\n".join([*blocks, *inline])


# ---- README -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_the_readme_lists_every_command(command: str) -> None:
    assert re.search(rf"^\| `gen {command}` \| \S", text("README.md"), re.M)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_and_option_in_a_document_exists(name: str) -> None:
    for line in code(name).splitlines():
        for words in re.findall(r"(?:^|&&\s*)gen +([^#&|]*)", line.strip()):
            command, *rest = words.split() or [""]
            if command in ("", "--debug", "--help", "…", "..."):
                continue
            assert command in cli.COMMANDS, line
            known = {o for p in cli.command(command).params for o in p.opts}
            known |= {"--help", "-h"}
            for word in rest:
                if word.startswith("--"):
                    assert word.split("=")[0] in known, line


def test_every_command_s_help_is_a_sentence() -> None:
    for name in cli.COMMANDS:
        assert (cli.command(name).help or "").splitlines()[0].endswith("."), name


def test_every_command_of_make_in_a_document_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.M))
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\bmake ([a-z-]+)", code(name)):
            assert target in targets, (name, target)
    assert {"site", "check"} <= set(re.findall(r"\bmake ([a-z-]+)", code("README.md")))


def test_the_test_command_of_the_readme_is_what_the_check_runs() -> None:
    script = ROOT / ".ci/run"
    assert "make check" in script.read_text(encoding="utf-8")
    assert script.stat().st_mode & 0o111
    assert "make check" in code("README.md")


def test_the_readme_s_study_is_one(tmp_path: Path) -> None:
    block, more = re.findall(r"^```toml\n(.*?)^```", text("README.md"), re.M | re.S)
    assert tomllib.loads(block)
    for file in re.findall(r'^file = "([^"]+)"', block, re.M):
        (tmp_path / file).write_text("sentence\tlabel\n", encoding="utf-8")
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n", encoding="utf-8")
    trained = block.replace('metric = "mcc"', 'metric = "mcc"\ntraining = "train.tsv"')
    for study in (block, f"{trained}\n{more}"):
        (tmp_path / "study.toml").write_text(study, encoding="utf-8")
        assert load_study(tmp_path / "study.toml").study.models


def test_the_default_study_and_the_readme_show_every_key_that_people_need() -> None:
    shown = text("report.toml") + text("README.md")
    for key in ("title", "levels", "methods", "tasks", "model", "task"):
        assert key in TOP
        assert re.search(rf"^(\[\[)?{key}\b", shown, re.M), key
    for key in ("name", "family", "checkpoint", "tasks", "measure", "why"):
        assert key in MODEL
        assert re.search(rf"^{key} = ", shown, re.M), key
    for key in ("name", "file", "metric"):
        assert key in TASK
        assert re.search(rf"^{key} = ", shown, re.M), key


def test_the_default_study_loads_and_names_every_bundled_task_and_method() -> None:
    study = load_study(ROOT / "report.toml").study
    assert {method.name for method in study.methods} == {
        name for name, one in METHODS.items() if not one.calibrated
    }
    assert {task.name for task in study.tasks} == set(TASKS)
    here = {model.checkpoint for model in study.models if model.measure == "here"}
    asked = here | {name for model in study.models for name in model.tasks.values()}
    assert {name for name in asked if name.startswith("mini/")} == set(miniatures())


# ---- ARCHITECTURE and CONTRIBUTING ------------------------------------------------------------


def top_modules(package: str) -> list[str]:
    folder = ROOT / package
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    packages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}
    return sorted(modules | packages)


@pytest.mark.parametrize(
    ("package", "module"),
    [(package, name) for package in PACKAGES for name in top_modules(package)],
)
def test_the_architecture_has_every_wing_in_its_table(package: str, module: str) -> None:
    parts = re.split(r"^## .*`(experiments|generator)/`$", text("ARCHITECTURE.md"), flags=re.M)
    (table,) = [after for name, after in zip(parts[1::2], parts[2::2]) if name == package]
    rows = re.findall(r"^\| (.+?) \| \S", table.split("\n## ")[0], re.M)
    assert f"`{module}`" in " ".join(rows)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_architecture_names_no_module_that_is_not_there(package: str) -> None:
    parts = re.split(r"^## .*`(experiments|generator)/`$", text("ARCHITECTURE.md"), flags=re.M)
    (table,) = [after for name, after in zip(parts[1::2], parts[2::2]) if name == package]
    rows = re.findall(r"^\| (`.+?) \| \S", table.split("\n## ")[0], re.M)
    for name in re.findall(r"`([^`]+)`", " ".join(rows)):
        place = ROOT / package / name
        assert place.is_dir() if name.endswith("/") else place.with_suffix(".py").is_file(), name


def test_the_architecture_is_one_screen() -> None:
    assert len(text("ARCHITECTURE.md").splitlines()) <= 120


@pytest.mark.parametrize(
    "table",
    [
        ("METHODS", "experiments/pruning/methods/table.py"),
        ("TASKS", "experiments/quality/tasks/table.py"),
        ("FORMATS", "experiments/checkpoint/formats.py"),
        ("PAGES", "generator/pages/table.py"),
        ("KINDS", "experiments/study/kinds.py"),
    ],
    ids=lambda table: table[0],
)
def test_contributing_has_the_recipe_of_every_table(table: tuple[str, str]) -> None:
    name, file = table
    assert f"`{name}`" in text("CONTRIBUTING.md")
    assert re.search(rf"^{name}\b", text(file), re.M)
    where = text("CONTRIBUTING.md")
    assert f"`{file}`" in where or f"`{Path(file).parent}/`" in where
    assert re.search(r"^To add (one|a \w+( \w+)?): ", text(file), re.M), file


def test_what_contributing_names_is_there() -> None:
    for name in re.findall(
        r"`((?:experiments|generator|tests|docs|recorded)/[^`]*)`", text("CONTRIBUTING.md")
    ):
        if "NAME" not in name:
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize(
    ("folder", "function", "listed"),
    [
        (
            "experiments/pruning/methods",
            "(keys|solve)",
            {method.file for method in METHODS.values()},
        ),
        (
            "experiments/checkpoint",
            "read_header",
            {*FORMATS.values(), "safetensors_file", "formats"},
        ),
        (
            "generator/pages",
            "context",
            {page.context.__module__.rpartition(".")[2] for page in PAGES} | {"model"},
        ),
    ],
    ids=["METHODS", "FORMATS", "PAGES"],
)
def test_a_file_that_a_table_is_to_list_has_its_line_there(
    folder: str, function: str, listed: set[str]
) -> None:
    """By what stands in the folder; plain safetensors files are read as those with bit masks, and
    `formats` reads by the table.
    """
    found = {
        path.stem
        for path in (ROOT / folder).glob("*.py")
        if re.search(rf"^def {function}\(", path.read_text(encoding="utf-8"), re.M)
    }
    assert found == listed


# ---- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_in_the_site_s_navigation(page: site.Any) -> None:
    assert re.search(rf"^ +- {page.title}: {page.name}\.md$", text("mkdocs.yml"), re.M)


# ---- links ------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """A Markdown file's headings as the anchors that a host makes of them."""
    headings = re.findall(r"^#+ +(.+?) *#*$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_relative_link_of_a_document_leads_somewhere(name: str) -> None:
    plain = re.sub(r"^```.*?^```|`[^`\n]+`", "", text(name), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", plain) + re.findall(r'(?:href|src)="([^"]+)"', plain)
    for link in links:
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme == "https", link
            continue
        goal = (ROOT / name).parent / unquote(parts.path) if parts.path else ROOT / name
        assert goal.exists(), link
        if parts.fragment:
            assert parts.fragment in anchors(goal), link


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_path_in_a_document_s_words_is_there(name: str) -> None:
    for path in re.findall(
        r"`((?:experiments|generator|tests|\.github|\.ci)/[\w./-]+)`", text(name)
    ):
        if "NAME" not in path:
            assert (ROOT / path).exists(), path
