"""Evaluating a classifier, ours beside `transformers.pipeline`: time, and the same predictions.

    python -m bench.evaluation [MODEL]

From texts to label indices, tokenising included: ours as `gen evaluate` does it, in float32 and in
bfloat16, and the pipeline in batches of 32 in float32. All turn by turn in this process, models open
and a whole turn done before the clock runs. Ours has the number of threads that was fastest on a few
sentences; the pipeline is timed on one and on all cores, and its faster median counts.

MODEL is `make reference`'s MiniLM by default. Where that was not made, a model of BERT-base's shape
stands in, its weights drawn at random and its head moved so that both answers occur; it is given
fewer sentences.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import MINIATURES, locate
from experiments.cores import usable_cores
from experiments.errors import ReportError
from experiments.models import devices, opening, threads
from experiments.quality import answering
from experiments.quality.tasks.located import located
from experiments.quality.tasks.table import Task, task

REFERENCE = Path("build/reference/minilm-sst2")
WORDS = MINIATURES / "deberta-reviews"  # whose tokenizer the stand-in has
BATCH = 32
FEW = 300  # sentences for the stand-in, which is slow
TARGETS = {"float32": 1.8, "bfloat16": 4.0}
Answers = NDArray[np.intp]


@dataclass(frozen=True)
class Side:
    """One way from texts to answers, and how many threads it has."""

    name: str
    threads: int
    answer: Callable[[], Answers]


def ours(checkpoint: Checkpoint, asked: Task, dtype: str, limit: int | None) -> Side:
    """The way of `gen evaluate`."""
    opened = opening.open_model(checkpoint, dtype=dtype, on=devices.device())
    question = answering.prepare(opened, asked, limit=limit)
    count = threads.choose(
        answering.a_little(opened, question), pieces=len(question.tokens) / answering.LITTLE
    )

    def answer() -> Answers:
        return answering.predict(opened, answering.prepare(opened, asked, limit=limit))

    return Side(f"ours, {dtype}, {count} threads", count, answer)


def theirs(checkpoint: Checkpoint, asked: Task, count: int, limit: int | None) -> Side:
    """The pipeline's, its labels turned into the task's indices."""
    opened = opening.open_model(checkpoint, on=devices.device())
    question = answering.prepare(opened, asked, limit=limit)
    texts = list(question.examples.texts)
    names: dict[int, str] = dict(opened.model.config.id2label or {})  # type: ignore[assignment]
    places = {names[output]: label for output, label in enumerate(question.outputs)}
    make: Any = transformers.pipeline
    classify = make(
        "text-classification",
        model=opened.model,
        tokenizer=opened.tokenizer,
        device=devices.device(),
        batch_size=BATCH,
    )

    def answer() -> Answers:
        return np.array([places[found["label"]] for found in classify(texts)], np.intp)

    return Side(f"pipeline, float32, {count} threads", count, answer)


def measure(sides: Sequence[Side], rounds: int) -> tuple[list[Answers], list[list[float]]]:
    """What each side answers, and its seconds of every round, after one that is not timed."""
    answers = [np.empty(0, np.intp) for _ in sides]
    seconds: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds + 1):
        for place, side in enumerate(sides):
            torch.set_num_threads(side.threads)
            start = perf_counter()
            answers[place] = side.answer()
            spent = perf_counter() - start
            if turn:
                seconds[place].append(spent)
    return answers, seconds


def stand_in(folder: Path, texts: Sequence[str]) -> None:
    """Write a classifier of BERT-base's shape; its head's bias lies amid its answers to texts."""
    torch.manual_seed(0)
    tokenizer = transformers.AutoTokenizer.from_pretrained(WORDS)
    labels = {0: "negative", 1: "positive"}
    config: Any = transformers.BertConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id
    )
    config.id2label, config.label2id = labels, {name: index for index, name in labels.items()}
    model: Any = transformers.BertForSequenceClassification(config)
    model.eval()
    with torch.inference_mode():
        logits = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
        model.classifier.bias -= torch.stack(logits).median(dim=0).values
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def judged(sides: Sequence[Side], answers: Sequence[Answers], seconds: list[list[float]]) -> bool:
    """Print how ours compare with the faster pipeline; whether every target is met."""
    medians = {side.name: statistics.median(spent) for side, spent in zip(sides, seconds)}
    peer = min((side for side in sides if "pipeline" in side.name), key=lambda s: medians[s.name])
    found = dict(zip((side.name for side in sides), answers))
    met = True
    for side in sides:
        dtype = next((dtype for dtype in TARGETS if f"ours, {dtype}" in side.name), None)
        if dtype is None:
            continue
        ratio = medians[peer.name] / medians[side.name]
        differing = int((found[side.name] != found[peer.name]).sum())
        met &= ratio >= TARGETS[dtype] and (dtype != "float32" or not differing)
        print(
            f"  ours in {dtype} is {ratio:.2f} times as fast as the pipeline (target "
            f"{TARGETS[dtype]}); predictions that differ: {differing} of {len(found[peer.name])}"
        )
    return met


@click.command(help=__doc__)
@click.argument("model", required=False)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option("--limit", type=click.IntRange(min=1), help="Sentences; all without it.")
def main(model: str | None, rounds: int, limit: int | None) -> None:
    """Both sides, their seconds, and the ratios."""
    opening.be_quiet()
    # The pipeline would set it to false, and ours would tokenise on one core from then on.
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    name = "sst2" if os.environ.get("GLUE_DIR") else "reviews"
    try:
        asked = located(task(name))
        with tempfile.TemporaryDirectory() as spare:
            if model is None and not REFERENCE.is_dir():
                stand_in(Path(spare), asked.load().sample(100).texts)
                limit = limit or FEW
                print(f"{REFERENCE} was not made: random weights of BERT-base's shape stand in")
                checkpoint = Checkpoint("a stand-in of BERT-base's shape", Path(spare))
            else:
                checkpoint = locate(model or str(REFERENCE), relative_to=Path.cwd())
            dtypes = [dtype for dtype in TARGETS if dtype == "float32" or devices.has_bfloat16()]
            sides = [ours(checkpoint, asked, dtype, limit) for dtype in dtypes]
            sides += [
                theirs(checkpoint, asked, count, limit) for count in sorted({1, usable_cores()})
            ]
    except ReportError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    answers, seconds = measure(sides, rounds)
    shares = [f"{share:.0%}" for share in np.bincount(answers[0]) / len(answers[0])]
    print(f"{name}, {asked.split}, {len(answers[0])} sentences by {checkpoint.name}")
    print(f"  rounds: {rounds}; answered with each label: {', '.join(shares)}")
    for side, spent in zip(sides, seconds):
        middle = statistics.median(spent)
        print(f"  {side.name}: {middle:.2f} s ({min(spent):.2f} to {max(spent):.2f})")
    if "bfloat16" not in dtypes:
        print("  bfloat16 is left out: this processor or GPU has no products of it")
    if not judged(sides, answers, seconds):
        sys.exit(1)


if __name__ == "__main__":
    main()
