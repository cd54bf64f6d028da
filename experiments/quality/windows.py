"""Windows of a task's training text: what a model reads to show what its maps are given.

Full windows, drawn by a seed, of text that no model is scored on. Short sentences are joined. Computes only.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from experiments.errors import ReportError
from experiments.models.feeding import attention_to_first, longest_input, parted
from experiments.models.opening import OpenModel
from experiments.quality.tasks.examples import read_text
from experiments.quality.tasks.table import Task

PASSAGE = 80  # letters


@dataclass(frozen=True)
class Window:
    """A window in tokens with its marks, and what an encoder-decoder is to write of it."""

    tokens: tuple[int, ...]
    answer: str = ""

    def inputs(self, opened: OpenModel) -> dict[str, torch.Tensor]:
        """What the model is called with, as a batch of one."""
        ids = torch.tensor([self.tokens], device=opened.model.device)
        found = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            **attention_to_first(opened, ids),
        }
        if opened.model.config.is_encoder_decoder:
            written = opened.tokenizer(text_target=self.answer, return_tensors="pt").input_ids
            shifted = opened.model.prepare_decoder_input_ids_from_labels(written)  # type: ignore[operator]
            found["decoder_input_ids"] = shifted.to(ids.device)
        return found


def windows(
    opened: OpenModel, task: Task, *, samples: int, tokens: int, seed: int = 0
) -> list[Window]:
    """So many windows of at most so many tokens of a task's training file, its `file` here.

    Sentences that the task is scored on, too, are left out.

    Raises:
        ReportError: where the text has no more windows than fewer, or is one that the task is scored on.
    """
    width = min(tokens, longest_input(opened))
    made = _of_text if task.metric == "perplexity" else _of_sentences
    found = list(made(opened, task, width, samples, seed))
    if len(found) < samples:
        raise ReportError(
            f"--samples {samples} of {task.name}'s training text",
            f"at most {len(found)} windows of {width} tokens, which is all it has",
            "give fewer, or another --calibration",
        )
    return found


def _of_text(
    opened: OpenModel, task: Task, width: int, samples: int, seed: int
) -> Iterator[Window]:
    """Windows of a text, none over another, each begun as its tokenizer begins a text."""
    text = task.text_of()
    if task.scored is not None and (both := _passages(text) & _passages(read_text(task.scored))):
        raise ReportError(
            f"the training text of {task.name}",
            f"a text that is not scored, found {len(both)} of its passages in {task.scored.name}",
            "give another --calibration",
        )
    ((marks, own),) = parted(opened, [text])
    room = width - len(marks)
    starts = range(0, len(own) - room + 1, room)
    for place in by_chance(len(starts), seed)[:samples]:
        yield Window((*marks, *own[starts[place] : starts[place] + room]))


def _of_sentences(
    opened: OpenModel, task: Task, width: int, samples: int, seed: int
) -> Iterator[Window]:
    """Sentences in an order of chance, joined until a window is full; the last is cut at its end."""
    examples = task.load()
    scored = frozenset(replace(task, file=task.scored).load().texts if task.scored else ())
    order = [
        place
        for place in by_chance(len(examples.texts), seed)
        if examples.texts[place] not in scored
    ]
    lengths = [len(row) for row in opened.tokenizer(list(examples.texts))["input_ids"]]
    taken, count = list[int](), 0
    for place in order:
        taken, count = [*taken, place], count + lengths[place]
        if count < width:
            continue
        text = " ".join(examples.texts[one] for one in taken)
        row = opened.tokenizer([text], truncation=True, max_length=width)["input_ids"][0]
        if len(row) < width:  # joined, they may take fewer tokens
            continue
        labels = (examples.labels[examples.references[one]] for one in taken)
        yield Window(tuple(row), " ".join(labels))
        samples -= 1
        if not samples:
            return
        taken, count = [], 0


def _passages(text: str) -> frozenset[str]:
    """The paragraphs of a text that are too long to stand in two texts by chance."""
    paragraphs = (" ".join(one.split()) for one in text.split("\n\n"))
    return frozenset(one for one in paragraphs if len(one) >= PASSAGE)


def by_chance(count: int, seed: int) -> list[int]:
    """The places from 0 up to `count` in an order of chance, the same on every machine.

    >>> sorted(by_chance(5, 0)) == list(range(5)), by_chance(5, 0) == by_chance(5, 1)
    (True, False)
    """

    def draw(place: int) -> bytes:
        return hashlib.sha256(f"{seed} {place}".encode()).digest()

    return sorted(range(count), key=draw)
