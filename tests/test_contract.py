"""The house's order: imports point down, and only records cross the wall."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("experiments", "generator")
VISIBLE = {"experiments.errors", "experiments.records", "experiments.terminal"}
CALLED = {
    "experiments.catalogue",
    "experiments.cores",
    "experiments.questions.*",
    "experiments.study.run",
    "experiments.study.study",
}
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = {
    contract["name"]: contract for contract in SETTINGS["tool"]["importlinter"]["contracts"]
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def top_modules(package: str) -> set[str]:
    """The modules and packages that stand directly in a package."""
    folder = ROOT / package
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    return {
        f"{package}.{name}"
        for name in modules | {p.parent.name for p in folder.glob("*/__init__.py")}
    }


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, `from a import b` as a.b, and whether inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, id(node) in inside) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} imports by dots"
            yield from ((f"{node.module}.{name.name}", id(node) in inside) for name in node.names)


def top(name: str) -> str:
    return ".".join(name.split(".")[:2])


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [lint_imports, "--config", "pyproject.toml", "--no-cache"],
        cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip


def test_imports_point_down() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in done.stdout


AGAINST = (  # file, a line that it must not hold, the contract that it breaks, what is said of it
    ("experiments/records/store.py", "from generator import render", "Imports point down",
     "experiments.records.store -> generator.render"),
    ("experiments/errors.py", "from experiments.records import store", "Imports point down",
     "experiments.errors -> experiments.records.store"),
    ("experiments/pruning/choosing.py", "from experiments.speed import latency", "Imports point down",
     "experiments.pruning.choosing -> experiments.speed.latency"),
    ("experiments/quality/metrics.py", "from experiments.pruning import masks", "Imports point down",
     "experiments.quality.metrics -> experiments.pruning.masks"),
    ("experiments/study/run.py", "from experiments import questions", "Imports point down",
     "experiments.study.run -> experiments.questions"),
    ("experiments/study/plan.py", "from experiments.recipes.miniatures import train",
     "Imports point down", "experiments.study.plan -> experiments.recipes.miniatures.train"),
    ("generator/render.py", "from generator import report", "Imports point down",
     "generator.render -> generator.report"),
    ("generator/site.py", "import torch", "Only records cross the wall", "generator.site -> torch"),
    ("generator/pages/models.py", "from experiments.models import coverage",
     "Only records cross the wall", "generator.pages.models -> experiments.models.coverage"),
    ("generator/site.py", "from experiments.study import run", "Only records cross the wall",
     "generator.site -> experiments.study.run"),
    ("generator/cli.py", "from experiments.models import opening", "Only records cross the wall",
     "generator.cli -> experiments.models.opening"),
    ("generator/terminal.py", "from experiments import catalogue", "Only records cross the wall",
     "generator.terminal -> experiments.catalogue"),
    ("generator/commands/pruning.py", "from experiments.pruning import export",
     "Only records cross the wall", "generator.commands.pruning -> experiments.pruning.export"),
    ("experiments/quality/evaluation.py", "from experiments.records import store",
     "An experiment returns its answer and never keeps it",
     "experiments.quality.evaluation -> experiments.records.store"),
    ("experiments/records/store.py", "import numpy", "Keeping records takes next to nothing",
     "experiments.records.store -> numpy"),
    ("experiments/checkpoint/folder.py", "import torch", "Reading takes no model",
     "experiments.checkpoint.folder -> torch"),
    ("experiments/quality/metrics.py", "import torch", "Arithmetic knows arrays, not models",
     "experiments.quality.metrics -> torch"),
)  # fmt: skip


@pytest.fixture(scope="module")
def against(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What import-linter says of a copy of both packages that holds every one of these lines."""
    folder = tmp_path_factory.mktemp("against")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            folder / package,
            ignore=shutil.ignore_patterns("*.safetensors", "*.tsv", "*.json", "__pycache__"),
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    for file, line, *_ in AGAINST:
        with (folder / file).open("a", encoding="utf-8") as source:
            source.write(f"\n{line}\n")
    done = lint(folder)
    assert done.returncode == 1
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(("file", "line", "broken", "told"), AGAINST)
def test_an_import_against_the_order_is_found_and_named(
    against: str, file: str, line: str, broken: str, told: str
) -> None:
    assert f"{broken} BROKEN" in against
    assert told in against


def test_every_module_has_its_place_in_the_order() -> None:
    layers = {
        name.strip()
        for layer in CONTRACTS["Imports point down"]["layers"]
        for name in layer.split("|")
    }
    assert layers == top_modules("experiments") | top_modules("generator")


def test_the_wall_hides_every_module_but_errors_records_and_the_terminal() -> None:
    wall = CONTRACTS["Only records cross the wall"]
    hidden = {name for name in wall["forbidden_modules"] if name.startswith("experiments.")}
    assert hidden == top_modules("experiments") - VISIBLE
    assert {"torch", "transformers"} <= set(wall["forbidden_modules"])
    assert wall["ignore_imports"] == [f"generator.commands.* -> {name}" for name in sorted(CALLED)]


@pytest.mark.parametrize("path", sources("generator"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_generator_sees_records_alone_and_commands_what_they_ask(path: Path) -> None:
    for name, inside in imports(path):
        assert name.split(".")[0] not in ("torch", "transformers", "safetensors", "tokenizers")
        if name.split(".")[0] == "experiments" and top(name) not in VISIBLE:
            module = next((called for called in CALLED if name.startswith(called.strip("*"))), "")
            assert (path.parent.name, bool(module)) == ("commands", True), name
            assert inside or module != "experiments.study.run", name


def test_the_command_line_imports_light_modules_alone_at_its_top() -> None:
    light = {"click", "generator", *sys.stdlib_module_names}
    for name, inside in imports(ROOT / "generator/cli.py"):
        assert inside or name.split(".")[0] in light or top(name) == "experiments.errors", name


def test_what_commands_import_at_their_top_is_light() -> None:
    names = [f"generator.commands.{path.stem}" for path in sources("generator/commands")]
    program = f"import sys, {', '.join(names)}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    light = {"click", "experiments", "generator", "__main__", *sys.stdlib_module_names}
    imported = {name.split(".")[0] for name in done.stdout.split()}
    before = {name.split(".")[0] for name in subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()}  # fmt: skip
    assert imported - before <= light


@pytest.mark.parametrize("path", sources("experiments/records"), ids=lambda path: path.name)
def test_keeping_records_takes_the_standard_library_and_reading_them_msgspec(path: Path) -> None:
    """msgspec has no dependencies of its own, and is imported where a record is decoded."""
    for imported, inside in imports(path):
        first = imported.split(".")[0]
        reads = (path.name, first, inside) == ("record_json.py", "msgspec", True)
        assert reads or first in sys.stdlib_module_names or first == "experiments", imported


@pytest.mark.parametrize("name", ["run", "plan", "study"])
def test_planning_and_running_import_no_torch_at_their_top(name: str) -> None:
    for imported, inside in imports(ROOT / f"experiments/study/{name}.py"):
        assert inside or imported.split(".")[0] not in ("torch", "transformers"), imported


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_named_for_what_is_left_over(package: str) -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc", "tools"}
    names = {path.stem for path in sources(package)} | {
        path.parent.name for path in sources(package)
    }
    assert not names & vague


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_s_front_door_is_empty(package: str) -> None:
    for path in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert len(body) == 1, path
        assert ast.get_docstring(ast.Module(body, [])), path


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_first_what_it_is(package: str) -> None:
    for path in sources(package):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert said, path
        assert re.search(r"[.:](\s|$)", said), path
