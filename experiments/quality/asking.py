"""How a task is put to a model, and to which it cannot be."""

import torch

from experiments.errors import ReportError
from experiments.models.feeding import longest_input, vocabulary
from experiments.models.opening import OpenModel
from experiments.quality.tasks.table import Task


def prefix_of(opened: OpenModel, task: Task) -> str:
    """What stands before a sentence: T5 is told its task so (Raffel et al. 2020)."""
    return task.prefix if opened.model.config.model_type == "t5" else ""


def refuse_unless_causal(opened: OpenModel, task: Task) -> None:
    """Raise for a model that does not predict: that sees the token it is asked for.

    Tried out: what it says of the first tokens must not move when the last one is another.
    """
    config, model = opened.model.config, opened.model
    causal = model.can_generate() and not config.is_encoder_decoder
    if causal:
        count = max(2, min(8, longest_input(opened)))
        ids = torch.arange(1, count + 1, device=model.device) % vocabulary(opened)
        other = ids.clone()
        other[-1] = 0
        with torch.inference_mode():
            said, also = (model(input_ids=row[None]).logits[0, :-1].float() for row in (ids, other))
        # What is no number is told where it is met.
        causal = not torch.isfinite(said).all() or torch.allclose(said, also, rtol=1e-4, atol=1e-5)
    if not causal:
        raise ReportError(
            f"{opened.checkpoint.name} ({type(model).__name__}) on {task.name}",
            "a causal language model, which predicts the next token",
            "choose one, or another task",
        )
