"""How the miniatures are asked and how their answers are scored: class logits, or for LED a
generated word.

Touches disk only in ``score``, which loads a saved checkpoint. Shapes: B sentences, T tokens, V
words.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from sklearn.metrics import accuracy_score, matthews_corrcoef
from torch import Tensor
from transformers import (
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationMixin,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from experiments.recipes.miniatures import examples
from experiments.recipes.miniatures.architectures import ANSWER
from experiments.recipes.miniatures.examples import Example
from experiments.recipes.miniatures.tokenizer import END, LABELS

METRICS = {"reviews": "accuracy", "acceptability": "mcc"}
FLOORS = {"reviews": 0.77, "acceptability": 0.60}
NO_LABEL = -1
BATCH = 50


def first_token(mask: Tensor) -> Tensor:
    """LED's global attention mask (B, T): one at the first token of each sentence, zero elsewhere.

    >>> first_token(torch.ones(1, 3, dtype=torch.long)).tolist()
    [[1, 0, 0]]
    """
    found = torch.zeros_like(mask)
    found[:, 0] = 1
    return found


def inputs(model: PreTrainedModel, batch: Sequence[Example]) -> dict[str, Tensor]:
    """What the model reads: padded ids and mask, and for LED where it attends globally."""
    found = examples.padded(batch)
    if model.config.is_encoder_decoder:
        found["global_attention_mask"] = first_token(found["attention_mask"])
    return found


def words(tokenizer: PreTrainedTokenizerBase, task: str) -> list[int]:
    """The token id of each label word of a task."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[name] for name in LABELS[task]]


def targets(batch: Sequence[Example], answers: Sequence[int]) -> Tensor:
    """What LED learns to generate, (B, 2): the label word and the end mark."""
    return torch.tensor([[answers[example.label], END] for example in batch])


def read(generated: Sequence[int], answers: Sequence[int]) -> int:
    """The label that generated tokens (start mark taken off) spell exactly, else NO_LABEL.

    >>> [read(tokens, [7, 8]) for tokens in ([8, 3, 0, 0], [8, 8, 3], [3])]
    [1, -1, -1]
    """
    word = list(generated[: list(generated).index(END)]) if END in generated else list(generated)
    return answers.index(word[0]) if len(word) == 1 and word[0] in answers else NO_LABEL


@torch.no_grad()
def predict(model: PreTrainedModel, batch: Sequence[Example], answers: Sequence[int]) -> list[int]:
    """The label index of each sentence, or NO_LABEL."""
    given = inputs(model, batch)
    if not model.config.is_encoder_decoder:
        found: list[int] = model(**given).logits.argmax(dim=-1).tolist()
        return found
    assert isinstance(model, GenerationMixin)
    generated = model.generate(**given, max_new_tokens=ANSWER, do_sample=False, num_beams=1)
    return [read(row[1:], answers) for row in generated.tolist()]


def measure(task: str, truth: Sequence[int], predicted: Sequence[int]) -> float:
    """The task's metric: accuracy (for LED, exact match), or Matthews' correlation with NO_LABEL a
    class of its own.
    """
    metric = matthews_corrcoef if METRICS[task] == "mcc" else accuracy_score
    return float(metric(truth, predicted))


def ask(
    model: PreTrainedModel, task: str, tokenizer: PreTrainedTokenizerBase, given: Sequence[Example]
) -> float:
    """The metric of a model on some examples."""
    answers = words(tokenizer, task)
    model.train(mode=False)
    groups = [given[start : start + BATCH] for start in range(0, len(given), BATCH)]
    predicted = [label for group in groups for label in predict(model, group, answers)]
    return measure(task, [example.label for example in given], predicted)


def score(folder: Path, task: str) -> float:
    """The metric on the evaluation split of a saved checkpoint, its weights widened to float32."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    opener = AutoModelForSeq2SeqLM if "led" in folder.name else AutoModelForSequenceClassification
    model = opener.from_pretrained(folder, dtype=torch.float32)
    return ask(model, task, tokenizer, examples.load(task, "evaluation", tokenizer))
