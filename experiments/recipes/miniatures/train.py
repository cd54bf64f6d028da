"""Trains the bundled miniatures: ``python -m experiments.recipes.miniatures.train [NAME ...]``.

CPU only, one thread a process, two processes side by side. Writes one folder a checkpoint and
``card.toml``, prints the scores beside their floors, and exits with 1 if a floor is missed. The
evaluation split is used for that last report and for nothing else.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from experiments.checkpoint.locate import MINIATURES
from experiments.recipes.miniatures import card
from experiments.recipes.miniatures.answers import FLOORS, METRICS
from experiments.recipes.miniatures.training import Recipe, Trained, train
from experiments.terminal import answer, guarded, say

RECIPES = {
    "led-acceptability": Recipe(
        "led", "acceptability", epochs=6, rate=4e-4, reading=20, dropout=0.05
    ),
    "deberta-acceptability": Recipe(
        "deberta", "acceptability", epochs=5, rate=6e-4, reading=20, dropout=0.05
    ),
    "led-reviews": Recipe("led", "reviews", epochs=8, rate=2e-4),
    "gpt2-acceptability": Recipe("gpt2", "acceptability", epochs=4, rate=6e-4, reading=6),
    "deberta-reviews": Recipe("deberta", "reviews", epochs=3, rate=6e-4),
    "gpt2-reviews": Recipe("gpt2", "reviews", epochs=3, rate=6e-4),
}


def run(names: Sequence[str], folder: Path, *, processes: int) -> dict[str, Trained]:
    """Train the named checkpoints, the longest first, and write each one's card as it comes."""
    context, found = multiprocessing.get_context("spawn"), {}
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        waiting = {
            pool.submit(train, RECIPES[name], folder / name): name
            for name in RECIPES
            if name in names
        }
        for done in as_completed(waiting):
            name = waiting[done]
            found[name] = done.result()
            card.update(folder / "card.toml", name, RECIPES[name], found[name])
            say(line(name, found[name]))
    return found


def reached(name: str, trained: Trained) -> bool:
    """Whether a checkpoint's score is at least its task's floor."""
    return trained.score >= FLOORS[RECIPES[name].task]


def line(name: str, trained: Trained) -> str:
    """One line of the table of results."""
    task, verdict = RECIPES[name].task, "reached" if reached(name, trained) else "MISSED"
    numbers = f"{trained.score:.3f}  floor {FLOORS[task]:.2f} {verdict}  {trained.seconds:.0f} s"
    return f"{name:24}{METRICS[task]:9} {numbers}"


def main() -> int:
    """Command line: which checkpoints, where to, how many at a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(RECIPES)}; all by default"
    )
    parser.add_argument("--out", type=Path, default=MINIATURES)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(RECIPES)):
        parser.error(
            f"no checkpoint is called {', '.join(unknown)}; there are {', '.join(RECIPES)}"
        )
    found = run(arguments.names or list(RECIPES), arguments.out, processes=arguments.processes)
    answer(line(name, found[name]) for name in sorted(found))
    return 0 if all(reached(name, trained) for name, trained in found.items()) else 1


if __name__ == "__main__":
    with guarded():
        sys.exit(main())
