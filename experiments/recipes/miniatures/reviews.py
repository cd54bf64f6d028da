"""Prepares the reviews task: film-review sentences, positive or negative, from the VADER paper's
ratings.

Run as ``python -m experiments.recipes.miniatures.reviews ARCHIVE`` with the source distribution of
vaderSentiment 2.5 (``pip download --no-deps --no-binary :all: vaderSentiment==2.5``). Reads
that archive, writes ``train.tsv``, ``evaluation.tsv`` and ``LICENSE``; unpacks nothing to disk
and runs nothing that is in it.
"""

import argparse
import io
import random
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.checkpoint.locate import MINIATURES
from experiments.recipes.miniatures import tables

SEED = 20140
EVALUATION = 1000
NEUTRAL = 0.5
FOLDER = MINIATURES / "data" / "reviews"
COLUMNS = ("id", "sentence", "label", "rating")


class Review(NamedTuple):
    """One line of the task: ``rating`` is the mean of 20 people's ratings, -4 to 4, as the source
    writes it.
    """

    id: str
    sentence: str
    label: str
    rating: str


def key(sentence: str) -> str:
    """What two copies of a sentence share: its letters a-z and digits, in lower case, and nothing
    else.

    >>> key("It 's a charming journey .") == key("It's a charming journey.")
    True
    """
    return re.sub(r"[^a-z0-9]", "", sentence.lower())


def member(archive: tarfile.TarFile, ending: str) -> bytes:
    """The content of the archive's only file whose path ends so."""
    (found,) = (
        entry for entry in archive.getmembers() if entry.isfile() and entry.name.endswith(ending)
    )
    stream = archive.extractfile(found)
    assert stream is not None, found.name
    return stream.read()


def rated(text: str) -> Iterator[Review]:
    r"""Every sentence whose mean rating is at least NEUTRAL away from zero, with the sign as its label.

    >>> [review.label for review in rated("1\t-2.5\tDull.\n2\t0.3\tSo so.\n3\t2.0\tFine.\n")]
    ['negative', 'positive']
    """
    for line in text.splitlines():
        number, rating, sentence = line.split("\t")
        if abs(float(rating)) >= NEUTRAL:
            yield Review(
                f"m{int(number):05d}",
                sentence.strip(),
                "positive" if float(rating) > 0 else "negative",
                rating,
            )


def split(reviews: Sequence[Review], *, seed: int = SEED) -> dict[str, list[Review]]:
    """EVALUATION sentences drawn from those that occur once, and the rest, each in the source's order."""
    copies = [key(review.sentence) for review in reviews]
    once = [review for review, copy in zip(reviews, copies, strict=True) if copies.count(copy) == 1]
    chosen = set(random.Random(seed).sample(once, EVALUATION))
    return {
        "evaluation": [review for review in reviews if review in chosen],
        "train": [review for review in reviews if review not in chosen],
    }


def prepare(archive: Path, folder: Path) -> None:
    """Read the source distribution and write the task's folder."""
    with tarfile.open(archive) as outer:
        licence = member(outer, "/LICENSE.txt")
        data = member(outer, "/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(data)) as inner:
        text = member(inner, "/movieReviewSnippets_GroundTruth.txt").decode("utf-8")
    for name, reviews in split(list(rated(text))).items():
        tables.write(folder / f"{name}.tsv", COLUMNS, reviews)
    (folder / "LICENSE").write_bytes(licence.replace(b"\r\n", b"\n"))


def main() -> None:
    """Command line: the archive, and where to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path, help="vaderSentiment-2.5.tar.gz")
    parser.add_argument("--out", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    prepare(arguments.archive, arguments.out)


if __name__ == "__main__":
    main()
