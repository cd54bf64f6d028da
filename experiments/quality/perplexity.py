"""Perplexity: how well a causal model predicts a text, pooled over its tokens.

Windows of the text overlap so that every token is scored once, with at least half a window before
it but at the start. Each begins with the marks that the tokenizer begins a text with, once, or with
none where it sets none. All windows are equally long, so nothing is ever padded. Computes only.
"""

import json
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.errors import ReportError
from experiments.models import activations, products
from experiments.models.feeding import longest_input, parted
from experiments.models.opening import OpenModel
from experiments.quality.answering import refuse_non_finite
from experiments.quality.asking import refuse_unless_causal
from experiments.quality.intervals import bootstrap_units
from experiments.quality.tasks.table import Task
from experiments.records.perplexity import Perplexity
from experiments.records.provenance import digest_text

WINDOW = 512
BATCH = 4
HIGHEST = 300  # nats, with room for intervals; knowing nothing of 50,000 tokens is 11


@dataclass(frozen=True)
class Text:
    """A text made ready for one model: its tokens, and the windows in which they are scored.

    Each of `windows` is where in `tokens` it begins and how many of its last tokens are scored; `marks`
    stand before each, and `window` is how many tokens it has with them.
    """

    task: Task
    split: str
    tokens: tuple[int, ...]
    window: int
    windows: tuple[tuple[int, int], ...]
    marks: tuple[int, ...]
    begins: str

    @property
    def room(self) -> int:
        """How many of the text's own tokens a window holds."""
        return self.window - len(self.marks)


def prepare(opened: OpenModel, task: Task, *, limit: int | None = None) -> Text:
    """Tokenise a text for a model. `limit` is how many windows, from the start, are scored.

    Raises:
        ReportError: where the model is not causal, or the text is no two tokens long.
    """
    refuse_unless_causal(opened, task)
    ((marks, tokens),) = parted(opened, [task.text_of()])
    unscored = 0 if marks else 1  # with nothing before it, a token is not predicted
    if len(tokens) <= unscored:
        raise ReportError(f"{task.file}", "a text of two tokens or more", "give a longer one")
    window = min(WINDOW, longest_input(opened))
    if window - len(marks) <= unscored:
        raise ReportError(
            f"{opened.checkpoint.name}",
            f"windows of two tokens or more, found {window}",
            "see its tokenizer's model_max_length",
        )
    whole = strided(len(tokens), window - len(marks), unscored=unscored)
    some = whole[:limit]
    cut = "" if len(some) == len(whole) else f", the first {len(some)} of {len(whole)} windows"
    return Text(
        task=task,
        split=task.split + cut,
        tokens=tuple(tokens),
        window=window,
        windows=tuple(some),
        marks=tuple(marks),
        begins=str(opened.tokenizer.decode(marks)) if marks else "",
    )


def strided(n: int, window: int, *, unscored: int) -> list[tuple[int, int]]:
    """Where windows over `n` tokens begin, and how many of their last tokens each scores.

    They step by half a window; the last is moved back to be as long as the others. Of the text the
    first token is `unscored` (1) where no mark stands before it.

    >>> strided(10, 4, unscored=1)
    [(0, 3), (2, 2), (4, 2), (6, 2)]
    >>> strided(7, 4, unscored=0), strided(3, 4, unscored=1)
    ([(0, 4), (2, 2), (3, 1)], [(0, 2)])
    """
    found: list[tuple[int, int]] = []
    step, scored = max(1, window // 2), unscored
    while scored < n:
        end = min(n, scored + step if found else window)
        found.append((max(0, end - window), end - scored))
        scored = end
    return found


def losses(opened: OpenModel, text: Text, *, batch: int = BATCH) -> NDArray[np.float64]:
    """The negative log-likelihood in nats of what each window scores, shape (windows,).

    Raises:
        ReportError: where the model's outputs are not numbers.
    """
    found: list[float] = []
    with torch.inference_mode(), products.packed(opened.model), activations.fused(opened.model):
        for start in range(0, len(text.windows), batch):
            windows = text.windows[start : start + batch]
            rows = [[*text.marks, *text.tokens[begin : begin + text.room]] for begin, _ in windows]
            ids = torch.tensor(rows, device=opened.model.device)
            logits = opened.model(
                input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False
            ).logits
            refuse_non_finite(opened, text.task, logits)
            for row, scores, (_, scored) in zip(ids, logits, windows):
                each = torch.nn.functional.cross_entropy(
                    scores[-scored - 1 : -1].float(), row[-scored:], reduction="none"
                )
                found.append(float(each.double().sum()))
    return np.array(found)


def score(
    text: Text,
    found: NDArray[np.float64],
    *,
    prunable: int,
    zeros: int,
    warnings: tuple[str, ...] = (),
) -> Perplexity:
    """Perplexity with its interval, windows drawn as units."""
    counts = np.array([scored for _, scored in text.windows])
    units = np.stack([found, counts], axis=1)
    read = text.tokens[: text.windows[-1][0] + text.room]
    bounds = bootstrap_units(units, lambda sums: np.exp(sums[:, 0] / sums[:, 1]))
    return Perplexity(
        task=text.task.name,
        split=text.split,
        n=int(counts.sum()),
        value=perplexity_of(float(found.sum()), int(counts.sum())),
        interval=bounds.interval,
        no_interval=bounds.why,
        begins=text.begins,
        window=text.window,
        digest=digest_text(json.dumps(read)),
        losses=tuple(found.tolist()),
        tokens=tuple(counts.tolist()),
        prunable=prunable,
        zeros=zeros,
        warnings=warnings,
    )


def perplexity_of(loss: float, n: int) -> float:
    """The exponential of the mean loss of a token; one that no double could hold is an error.

    >>> round(perplexity_of(3 * math.log(10), 3), 6)
    10.0
    """
    if loss / n > HIGHEST:
        raise ReportError(
            f"a loss of {loss / n:.0f} nats a token",
            f"one of at most {HIGHEST}, what a double holds the exponential of",
            "inspect its weights",
        )
    return math.exp(loss / n)
