"""The first stage of training: a model learns to predict words before it is asked anything.

GPT-2 predicts each next word, DeBERTa the words that were masked, and LED writes a masked sentence
out in full. The words' own embeddings serve as output, so that the stage leaves no weight of its
own behind. Pure. Shapes: B sentences, T tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from experiments.recipes.miniatures import answers
from experiments.recipes.miniatures.examples import Example
from experiments.recipes.miniatures.tokenizer import MARKS, MASK, PAD

MASKED = 0.3
IGNORED = -100


def masked(ids: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) with a share of the words masked, and the words to be guessed (B, T),
    IGNORED elsewhere.
    """
    chosen = (torch.rand(ids.shape) < share) & (ids >= len(MARKS))
    return torch.where(chosen, MASK, ids), torch.where(chosen, ids, IGNORED)


def following(ids: Tensor) -> Tensor:
    """The token after each token (B, T): IGNORED after the last and where it is padding.

    >>> following(torch.tensor([[2, 9, 3, 0]])).tolist()
    [[9, 3, -100, -100]]
    """
    shifted = functional.pad(ids[:, 1:], (0, 1), value=PAD)
    return torch.where(shifted == PAD, IGNORED, shifted)


def restored(ids: Tensor) -> Tensor:
    """What LED's decoder writes of a sentence (B, T): all after the start mark, padding IGNORED.

    >>> restored(torch.tensor([[2, 9, 3, 0]])).tolist()
    [[9, 3, -100]]
    """
    return torch.where(ids[:, 1:] == PAD, IGNORED, ids[:, 1:])


def loss(model: PreTrainedModel, batch: Sequence[Example]) -> Tensor:
    """Cross-entropy over the words to be predicted, a scalar."""
    given = answers.inputs(model, batch)
    ids = given["input_ids"]
    if model.config.model_type == "gpt2":
        return guessing(model, given, following(ids))
    given["input_ids"], wanted = masked(ids, MASKED)
    if not model.config.is_encoder_decoder:
        return guessing(model, given, wanted)
    found: Tensor = model(**given, labels=restored(ids)).loss
    return found


def guessing(model: PreTrainedModel, given: dict[str, Tensor], wanted: Tensor) -> Tensor:
    """Cross-entropy, a scalar, of the tokens ``wanted`` (B, T) at the places that are not IGNORED."""
    asked, embedding = wanted != IGNORED, model.get_input_embeddings()
    assert isinstance(embedding, torch.nn.Embedding)
    states = model.base_model(**given).last_hidden_state[asked]
    return functional.cross_entropy(functional.linear(states, embedding.weight), wanted[asked])
