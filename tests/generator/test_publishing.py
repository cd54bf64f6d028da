"""Publishing: what rendering takes is declared once and suffices, and gives the pages that are committed."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from importlib.metadata import distributions, packages_distributions, requires
from pathlib import Path

import pytest
from command import Done, files, imported
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SITE = SETTINGS["dependency-groups"]["site"]
BUILD = "build --recorded"
NAMED = {  # a command, and what its answer names
    "--help": "build",
    "list pages": "challenges",
    "list models": "gpt2-reviews",
    "list methods": "magnitude",
    "list tasks": "sst2",
    "status": "SmolLM2-135M-Instruct",
}


def brought(requirements: Iterable[str]) -> set[str]:
    """The names of the distributions that these requirements install here, and of those they ask for."""
    waiting = [Requirement(one) for one in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        one = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if one not in seen:
            seen.add(one)
            waiting += [
                asked
                for asked in map(Requirement, requires(wanted.name) or ())
                if not asked.marker
                or any(asked.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras))
            ]
    return {name for name, _ in seen}


def elsewhere() -> set[str]:
    """Every package of this environment that the group `site` does not install."""
    there = brought(SITE) | {SETTINGS["project"]["name"]}
    return {
        package
        for package, owners in packages_distributions().items()
        if not there & {canonicalize_name(owner) for owner in owners}
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the published records are rendered to, and results kept."""
    return tmp_path_factory.mktemp("rendered")


@pytest.fixture(scope="module")
def done(rendered: Path) -> dict[str, tuple[Done, set[str]]]:
    """Every command that a machine with the group `site` alone runs, and what it imported."""
    missing, results = elsewhere(), ("--results", rendered / "results")
    assert {"numba", "scipy", "torch", "pytest"} <= missing
    more = {BUILD: ("--docs", rendered / "docs", *results), "status": results}
    return {
        command: imported(*command.split(), *more.get(command, ()), cwd=ROOT, missing=missing)
        for command in (BUILD, *NAMED)
    }


def test_what_a_site_takes_stands_with_its_reason_among_what_the_project_takes() -> None:
    assert set(SITE) <= set(SETTINGS["project"]["dependencies"])


@pytest.mark.parametrize("command", [BUILD, *NAMED])
def test_what_a_site_takes_suffices(command: str, done: dict[str, tuple[Done, set[str]]]) -> None:
    answer, _ = done[command]
    assert answer.status == 0, answer.err
    assert NAMED.get(command, "") in answer.out


def test_nothing_is_among_it_that_no_command_imports(
    done: dict[str, tuple[Done, set[str]]],
) -> None:
    owners = packages_distributions()
    tops = {name.split(".")[0] for _, modules in done.values() for name in modules}
    used = {canonicalize_name(owner) for top in tops for owner in owners.get(top, ())}
    named = {canonicalize_name(Requirement(one).name) for one in SITE}
    assert named - used == {"mkdocs", "mkdocs-material"}


def test_every_pinned_version_runs_on_the_oldest_python_that_the_project_takes() -> None:
    oldest = SETTINGS["project"]["requires-python"].removeprefix(">=") + ".0"
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {canonicalize_name(name) for name in re.findall(r"^([\w-]+)==", text, re.M)}
    asked = {
        one.name: one.metadata.get("Requires-Python") or ""
        for one in distributions()
        if canonicalize_name(one.name) in pinned
    }
    assert {"mkdocs", "torch"} <= set(asked)
    assert not {name for name, some in asked.items() if oldest not in SpecifierSet(some)}


# ---- the pages that are committed -------------------------------------------------------------


def committed(folder: str) -> dict[str, bytes]:
    """The files of a folder as the last commit has them."""
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "-z", "--name-only", "HEAD", f"{folder}/"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    names = [name.decode() for name in listed.stdout.split(b"\0") if name]
    asked = "".join(f"HEAD:{name}\n" for name in names).encode()
    found = subprocess.run(
        ["git", "cat-file", "--batch"], cwd=ROOT, input=asked, capture_output=True, check=True
    ).stdout
    contents = {}
    for name in names:
        header, _, rest = found.partition(b"\n")
        length = int(header.split()[2])
        contents[name.removeprefix(f"{folder}/")] = rest[:length]
        found = rest[length + 1 :]
    return contents


def in_a_checkout() -> bool:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return False
    head = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
    return subprocess.run(head, cwd=ROOT, capture_output=True, check=False).returncode == 0


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> set[str]:
    """The names of files that are not the same in both."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


@pytest.mark.skipif(
    not in_a_checkout(), reason="no git checkout: nothing committed to compare with"
)
@pytest.mark.usefixtures("done")
def test_the_published_pages_are_what_the_published_records_render_to(rendered: Path) -> None:
    """Records and code as they stand here render to the pages as they stand here, or as last committed.

    Here: so that it can be seen before a commit whether it would hold, and holds for what was
    committed once nothing else stands here. As last committed: `gen build` writes this machine's
    numbers over the pages here, which says nothing against those that are published.
    """
    made = files(rendered / "docs")
    assert "index.md" in made
    assert not differing(made, files(ROOT / "docs")) or not differing(made, committed("docs"))
