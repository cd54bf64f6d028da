"""What a command costs before its work: a warm build, help, lists, errors, and to inspect.

    python -m bench.start [FOLDER]

Whole processes, turn by turn: the median of all rounds beside that of `python -c pass`, and of an
inspection beside `python -c "import torch"`. In FOLDER (build/bench by default, 3.5 GB while it runs)
stand two studies with about 870 and 8,700 records, whose rows are tiny checkpoints with identities of
their own and whose answers are those of a published row; each is built once, so that what is timed
finds nothing to do. A checkpoint of GPT-2 XL's shape stands there too. Ends with 1 where a limit is
missed, each named.
"""

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from bench.process import run
from bench.streaming import XL
from experiments.records.provenance import Digests
from experiments.records.store import Recorded, Results
from experiments.study.plan import make_plan
from experiments.study.study import load_study

GEN = Path(sys.executable).with_name("gen")
MODEL = "mini/gpt2-reviews"
SOURCE = f"experiments/miniatures/{MODEL.removeprefix('mini/')}"
PUBLISHED = "GPT-2 miniature"  # the row of recorded/ whose answers stand in for all
WARM = {
    870: 20.0,
    8_700: 60.0,
}  # records, and how many times `python -c pass` a warm build may take
TORCH = 1.3  # how many times `import torch` an inspection may take
LARGER = 4.0  # seconds more that 1.5 billion weights may take than a miniature
ROW = """
[[model]]
name = "{name}"
family = "decoder-only"
checkpoint = "{name}"
tasks = {tasks}
"""


@dataclass(frozen=True)
class Case:
    """A command, what it ends with and says, and its limit: how many times the unit it may take."""

    name: str
    command: Sequence[str | Path]
    limit: float | None = None
    status: int = 0
    said: str = ""


PASS = Case("python -c pass", [sys.executable, "-c", "pass"])
AGAIN = replace(PASS, name="the same again")
IMPORT = Case("import torch", [sys.executable, "-c", "import torch"])
LIGHT = (
    Case("gen --help", [GEN, "--help"], 4, said="Usage: gen"),
    Case("gen list methods", [GEN, "list", "methods"], 8, said="magnitude"),
)
ERRORS = {  # the words of a command that is wrong, its status, and what it says
    "no level": (f"prune {MODEL} --out x", 2, "no --level"),
    "no pattern": (f"prune {MODEL} --pattern 3:2 --out x", 2, "pattern '3:2'"),
    "threads": (f"latency {MODEL} --threads 99999", 2, "--threads 99999"),
    "onto its source": (f"finetune {SOURCE} --task reviews --out {SOURCE}", 2, "the source"),
    "no data": (f"evaluate {MODEL} --data none.tsv", 1, "none.tsv"),
    "no bit masks": (f"unpack {MODEL} --out x", 1, "a checkpoint of bit masks"),
    "tokens": (f"latency {MODEL} --tokens 99999", 1, "99999 tokens"),
    "method": (f"prune {MODEL} --level 0.5 --method magnitud --out x", 2, "'magnitud'"),
    "task": (f"evaluate {MODEL} --task revews", 2, "'revews'"),
    "level": (f"prune {MODEL} --level 1.5 --out x", 2, "from 0 to 1"),
    "study": ("build --study none.toml", 1, "none.toml"),
    "miniature": ("inspect mini/gpt2-review", 1, "'mini/gpt2-review'"),
}


def errors() -> Iterator[Case]:
    """Each command that is wrong."""
    for name, (words, status, said) in ERRORS.items():
        yield Case(f"error: {name}", [GEN, *words.split()], 8, status, said)


def warm(folder: Path, records: int, limit: float) -> Case:
    """A study with about so many records, all of them there and its pages written."""
    study = folder / "report.toml"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole, bare = rows_for(records)
    text = "".join(
        _row(folder, f"row-{at:03}", with_tasks=at < whole) for at in range(whole + bare)
    )
    study.write_text('title = "Warm"\n' + text, encoding="utf-8")
    count = _answer(study, Results(folder / "results"))
    command: list[str | Path] = [GEN, "build", "--study", study]
    command += ["--docs", folder / "docs", "--results", folder / "results"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return Case(f"warm build, {count:,} records", command, limit, said="is up to date")


def rows_for(records: int) -> tuple[int, int]:
    """How many rows with tasks, then without, have about so many records together.

    A row has 23 records of its structure and 56 a task: 1 dense, 20 pruned, 35 compared.

    >>> rows_for(870)
    (6, 3)
    """
    whole, rest = divmod(records, 23 + 2 * 56)
    return whole, -(-rest // 23)


def _row(folder: Path, name: str, *, with_tasks: bool) -> str:
    """A row of the study, and its checkpoint: a miniature's companions and a few weights of its own."""
    shutil.copytree(SOURCE, folder / name, ignore=shutil.ignore_patterns("*.safetensors"))
    entry = {"wte.weight": {"dtype": "U8", "shape": [len(name)], "data_offsets": [0, len(name)]}}
    header = json.dumps(entry).encode()
    content = len(header).to_bytes(8, "little") + header + name.encode()
    (folder / name / "model.safetensors").write_bytes(content)
    tasks = f'{{ reviews = "{name}", acceptability = "{name}" }}' if with_tasks else "{}"
    return ROW.format(name=name, tasks=tasks)


def _answer(study: Path, results: Results) -> int:
    """Keep a record for every cell of a study; how many."""
    published = Recorded(Path("recorded"))
    digests = Digests(results.folder / "digests.json")
    plan = make_plan(load_study(study), digests)
    digests.save()
    for one in plan.here:
        known = published.get(replace(one.cell, model=PUBLISHED))
        assert known is not None, one.cell
        results.put(replace(known, cell=one.cell, identity=one.identity))
    return len(plan.here)


def inspections(folder: Path) -> tuple[Case, Case]:
    """A miniature inspected, and a checkpoint of 1.56 billion weights."""
    shutil.rmtree(folder, ignore_errors=True)
    shape = [word for key, value in XL.items() for word in ("--set", f"{key}={value}")]
    run([sys.executable, "-m", "bench.make_checkpoint", folder, *shape, "--dtype", "F16"])
    small = Case("gen inspect, miniature", [GEN, "inspect", MODEL], said="prunable")
    return small, Case("gen inspect, 1.56 billion", [GEN, "inspect", folder], said="prunable")


def check(case: Case) -> None:
    """Run a case once, so that its files are in the page cache; it must say what it is to say."""
    command = [str(word) for word in case.command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != case.status or case.said not in done.stdout + done.stderr:
        sys.exit(
            f"{case.name} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}"
        )


def medians(cases: Sequence[Case], rounds: int) -> dict[str, float]:
    """Seconds of each case by name, all of them in turn in every round."""
    for case in cases:
        check(case)
    seconds: dict[str, list[float]] = {case.name: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            spent = run(case.command, stderr=subprocess.DEVNULL, status=case.status).seconds
            seconds[case.name].append(spent)
    return {name: statistics.median(spent) for name, spent in seconds.items()}


def judged(cases: Sequence[Case], small: Case, large: Case, found: dict[str, float]) -> list[str]:
    """Print every case beside its limit; the names of those that miss it."""
    missed = []
    unit = found[PASS.name]
    for case in cases:
        ratio = found[case.name] / unit
        limit = "" if case.limit is None else f", limit {case.limit:g}"
        print(f"  {case.name:28} {found[case.name]:7.3f} s, {ratio:7.2f} times{limit}")
        if case.limit is not None and ratio > case.limit:
            missed.append(case.name)
    times = found[small.name] / found[IMPORT.name]
    more = found[large.name] - found[small.name]
    print(f"  a miniature is inspected in {times:.2f} times `import torch`, limit {TORCH:g}")
    print(f"  1.56 billion weights take {more:.2f} s more, limit {LARGER:g}")
    return missed + [small.name] * (times > TORCH) + [large.name] * (more > LARGER)


@click.command(help=__doc__)
@click.argument(
    "folder", type=click.Path(file_okay=False, path_type=Path), default=Path("build/bench")
)
@click.option("--rounds", type=click.IntRange(min=1), default=7, show_default=True)
def main(folder: Path, rounds: int) -> None:
    """Every case, its seconds and ratio, and what misses its limit."""
    builds = [warm(folder / f"warm-{count}", count, limit) for count, limit in WARM.items()]
    small, large = inspections(folder / "large")
    cases = [PASS, AGAIN, *builds, *LIGHT, *errors(), IMPORT, small, large]
    found = medians(cases, rounds)
    print(f"whole processes, median of {rounds} rounds, and how many times `{PASS.name}`")
    missed = judged(cases, small, large, found)
    shutil.rmtree(folder)
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
