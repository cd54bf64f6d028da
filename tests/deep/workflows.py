"""Runs every `run:` step of the GitHub workflows as written, each job in a clone and environment of its own.

All of them, or those named: `python tests/deep/workflows.py pages`. A clone holds what is committed. Of a
matrix this machine's system and Python are tried. `check` is the whole gate once more: on two cores three
minutes to install and five to check.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github/workflows"
# What stands in for them here; an action, key or expression that stands in no table is refused.
ACTIONS = {
    "actions/checkout": "the clone",
    "actions/setup-python": "the environment",
    "actions/configure-pages": "an address made up",
    "actions/upload-pages-artifact": "nothing",
    "actions/deploy-pages": "nothing",
}
EXPRESSIONS = {"steps.pages.outputs.base_url": "https://example.org/sparsity-report"}
WORKFLOW_KEYS = (
    "name",
    True,
    "permissions",
    "concurrency",
    "env",
    "jobs",
)  # YAML reads "on" as true
JOB_KEYS = ("needs", "runs-on", "strategy", "environment", "env", "steps")
STEP_KEYS = ("id", "name", "uses", "with", "run", "env")
# What the `make` and the environment that call this leave behind, and a runner has not.
LEFT_BEHIND = ("MAKE", "MFLAGS", "NO_MKDOCS", "PYTHON", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Step:
    """A step that runs a script, or that calls an action and is left out."""

    name: str
    script: str
    settings: dict[str, str]
    instead: str = ""


def main(names: Sequence[str]) -> None:
    """Run the workflows of these names, or all."""
    for name in names or sorted(path.stem for path in WORKFLOWS.glob("*.yml")):
        for steps in jobs(f"{name}.yml", (WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8")):
            if any(step.script for step in steps):
                run(steps)


def jobs(name: str, text: str) -> Iterator[list[Step]]:
    """The steps of every job of a workflow."""
    workflow = known(yaml.safe_load(text), WORKFLOW_KEYS, name)
    for job, content in workflow["jobs"].items():
        where = f"{name}, {job}"
        known(content, JOB_KEYS, where)
        outer = workflow.get("env", {}) | content.get("env", {})
        yield [step(known(one, STEP_KEYS, where), outer, where) for one in content["steps"]]


def step(content: dict[str, Any], outer: dict[str, str], where: str) -> Step:
    """One step; `outer` is the environment of its job."""
    if "uses" in content:
        action = content["uses"].partition("@")[0]
        known([action], ACTIONS, where)
        return Step(f"{where}: {content['uses']}", "", {}, ACTIONS[action])
    settings = {
        name: filled(str(value), where) for name, value in (outer | content.get("env", {})).items()
    }
    script = filled(content["run"], where)
    return Step(f"{where}: {content.get('name') or script.strip()}", script, settings)


def known(content: Any, names: Collection[Any], where: str) -> Any:
    """The content, all of whose names are among these."""
    for name in content:
        if name not in names:
            sys.exit(
                f"{where}: {name!r} is unknown here; say in {Path(__file__).name} what it does"
            )
    return content


def filled(text: str, where: str) -> str:
    """A text with a stand-in for each of GitHub's expressions."""
    asked = re.findall(r"\$\{\{ *(.*?) *\}\}", text)
    known(asked, EXPRESSIONS, where)
    return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda match: EXPRESSIONS[match[1]], text)


def run(steps: Sequence[Step]) -> None:
    """Run the steps of a job in a clone and an environment of their own."""
    with tempfile.TemporaryDirectory() as folder:
        clone, environment = Path(folder, "clone"), Path(folder, "environment")
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(LEFT_BEHIND)}
        run_in(clone, steps, inherited | {"PATH": f"{environment}/bin:{os.defpath}"})


def run_in(folder: Path, steps: Sequence[Step], environment: dict[str, str]) -> None:
    """Run steps in turn, as GitHub does by `bash -e`; the first that fails ends all, named."""
    for one in steps:
        print(f"== {one.name}{f' (here: {one.instead})' if one.instead else ''}", flush=True)
        done = subprocess.run(
            ["bash", "-e", "-c", one.script],
            cwd=folder,
            env=environment | one.settings,
            check=False,
        )
        if done.returncode:
            sys.exit(f"failed with exit status {done.returncode}: {one.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
