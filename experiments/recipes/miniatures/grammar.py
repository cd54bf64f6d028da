"""Writes the acceptability task: sentences drawn from a small grammar, acceptable or not, many in
minimal pairs.

Run as ``python -m experiments.recipes.miniatures.grammar``. Writes ``train.tsv`` and
``evaluation.tsv``; the seed is fixed, so the files are always the same bytes. The sentences of
a pair are always on the same side of the split.
"""

import argparse
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from experiments.checkpoint.locate import MINIATURES
from experiments.recipes.miniatures import phrases, tables
from experiments.recipes.miniatures.constructions import CONSTRUCTIONS

SEED = 20260
FOLDER = MINIATURES / "data" / "acceptability"
SIZES = {
    "evaluation": (300, 400),
    "train": (3600, 4800),
}  # pairs, acceptable sentences without a partner
COLUMNS = ("id", "sentence", "label", "kind", "pair")


class Sentence(NamedTuple):
    """One line of the task: ``pair`` is shared by minimal partners, and is the line's own id where
    there is none.
    """

    id: str
    sentence: str
    label: str
    kind: str
    pair: str


def contrast(rng: random.Random, kind: str) -> tuple[str, str]:
    """One acceptable sentence of the kind and its unacceptable partner, both framed alike."""
    good, bad, question = CONSTRUCTIONS[kind](rng)
    if question:
        return phrases.written(good, mark="?"), phrases.written(bad, mark="?")
    before, after = phrases.frame(rng)
    return phrases.written(before + good + after), phrases.written(before + bad + after)


def units(rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """Endless (kind, acceptable, unacceptable), the kinds in turn, no sentence ever given twice."""
    seen: set[str] = set()
    while True:
        for kind in CONSTRUCTIONS:
            both = contrast(rng, kind)
            while both[0] == both[1] or not seen.isdisjoint(both):
                both = contrast(rng, kind)
            seen.update(both)
            yield kind, *both


def split(
    source: Iterator[tuple[str, str, str]], *, prefix: str, pairs: int, alone: int
) -> list[Sentence]:
    """The next ``pairs`` units as minimal pairs and ``alone`` units as acceptable sentences
    without a partner.
    """
    found = []
    for number in range(pairs + alone):
        kind, good, bad = next(source)
        name = f"{prefix}{number:05d}"
        if number < pairs:
            found.append(Sentence(name + "a", good, "acceptable", kind, name))
            found.append(Sentence(name + "b", bad, "unacceptable", kind, name))
        else:
            found.append(Sentence(name, good, "acceptable", kind, name))
    return found


def generate(*, seed: int = SEED) -> dict[str, list[Sentence]]:
    """Both splits, each in random order: 2 * pairs + alone lines, 70 % of them acceptable."""
    rng = random.Random(seed)
    source, found = units(rng), {}
    for name, (pairs, alone) in SIZES.items():
        found[name] = split(source, prefix=name[0], pairs=pairs, alone=alone)
        rng.shuffle(found[name])
    return found


def write(folder: Path, splits: dict[str, Iterable[Sentence]]) -> None:
    """Write one tsv file a split."""
    for name, sentences in splits.items():
        tables.write(folder / f"{name}.tsv", COLUMNS, sentences)


def main() -> None:
    """Command line: where to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    write(parser.parse_args().out, dict(generate()))


if __name__ == "__main__":
    main()
