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
VISIBLE = {f"experiments.{name}" for name in ("errors", "records", "record_json", "store")}
CALLED = {
    "experiments.catalogue",
    "experiments.questions",
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


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("*.safetensors", "*.tsv", "*.json", "__pycache__"),
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "line", "broken", "told"),
    [
        ("experiments/records/store.py", "from generator import cli", "Imports point down",
         "experiments.records.store -> generator.cli"),
        ("experiments/records.py", "from experiments import store", "Imports point down",
         "experiments.records -> experiments.records.store"),
        ("experiments/pruning/choosing.py", "from experiments import latency", "Imports point down",
         "experiments.pruning.choosing -> experiments.speed.latency"),
        ("experiments/study/plan.py", "from experiments import run", "Imports point down",
         "experiments.study.plan -> experiments.study.run"),
        ("experiments/study/run.py", "from experiments import questions", "Imports point down",
         "experiments.study.run -> experiments.questions"),
        ("experiments/study/plan.py", "from experiments.miniatures import train", "Imports point down",
         "experiments.study.plan -> experiments.miniatures.train"),
        ("generator/render.py", "from generator import report", "Imports point down",
         "generator.render -> generator.report"),
        ("generator/site.py", "import torch", "Only records cross the wall",
         "generator.site -> torch"),
        ("generator/pages/models.py", "from experiments import coverage",
         "Only records cross the wall", "generator.pages.models -> experiments.models.coverage"),
        ("generator/site.py", "from experiments import run", "Only records cross the wall",
         "generator.site -> experiments.study.run"),
        ("generator/cli.py", "from experiments import models", "Only records cross the wall",
         "generator.cli -> experiments.models.opening"),
        ("experiments/quality/evaluation.py", "from experiments import store",
         "An experiment returns its answer and never keeps it",
         "experiments.quality.evaluation -> experiments.records.store"),
        ("experiments/records/store.py", "import numpy", "Keeping records takes the standard library alone",
         "experiments.records.store -> numpy"),
        ("experiments/quality/metrics.py", "import torch", "Arithmetic knows arrays, not models",
         "experiments.quality.metrics -> torch"),
    ],
)  # fmt: skip
def test_an_import_against_the_order_is_found_and_named(
    copied: Path, file: str, line: str, broken: str, told: str
) -> None:
    path = copied / file
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = lint(copied)
    assert done.returncode == 1
    assert f"{broken} BROKEN" in done.stdout
    assert told in " ".join(done.stdout.split())


def test_every_module_has_its_place_in_the_order() -> None:
    layers = {
        name.strip()
        for layer in CONTRACTS["Imports point down"]["layers"]
        for name in re.split(r"[|:]", layer)
    }
    assert layers == top_modules("experiments") | top_modules("generator")


def test_the_wall_hides_every_module_but_errors_records_and_store() -> None:
    wall = CONTRACTS["Only records cross the wall"]
    hidden = {name for name in wall["forbidden_modules"] if name.startswith("experiments.")}
    assert hidden == top_modules("experiments") - VISIBLE
    assert {"torch", "transformers"} <= set(wall["forbidden_modules"])
    assert wall["ignore_imports"] == [f"generator.cli -> {name}" for name in sorted(CALLED)]


@pytest.mark.parametrize("path", sources("generator"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_generator_sees_records_alone_and_commands_import_inside(path: Path) -> None:
    for name, inside in imports(path):
        assert name.split(".")[0] not in ("torch", "transformers", "safetensors", "tokenizers")
        if name.split(".")[0] == "experiments" and top(name) not in VISIBLE:
            assert (path.name, top(name) in CALLED, inside) == ("cli.py", True, True), name


def test_the_command_line_imports_light_modules_alone_at_its_top() -> None:
    light = {"click", "generator", *sys.stdlib_module_names}
    for name, inside in imports(ROOT / "generator/cli.py"):
        assert inside or name.split(".")[0] in light or top(name) == "experiments.errors", name


@pytest.mark.parametrize("name", ["errors", "records", "record_json", "store", "provenance"])
def test_keeping_records_takes_the_standard_library_alone(name: str) -> None:
    for imported, _ in imports(ROOT / f"experiments/{name}.py"):
        first = imported.split(".")[0]
        assert first in sys.stdlib_module_names or first == "experiments", imported


@pytest.mark.parametrize("name", ["run", "plan", "study"])
def test_planning_and_running_import_no_torch_at_their_top(name: str) -> None:
    for imported, inside in imports(ROOT / f"experiments/{name}.py"):
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
