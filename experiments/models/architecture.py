"""What is known of a checkpoint's architecture without its weights: its outline and its shape.

A table and config.json say it of the families that the table holds; of others transformers is asked,
which takes seconds to import. Reads no weights, and never runs code that a checkpoint brings.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.tensor import StoredTensor
from experiments.errors import ReportError
from experiments.models import known
from experiments.models.names import Names, unwrapped
from experiments.models.outline import Outline
from experiments.records.inspection import Architecture

UNKNOWN = Architecture(
    name="unknown", blocks=None, width=None, heads=None, vocabulary=None, positions=None
)


def outline(checkpoint: Checkpoint) -> Outline | None:
    """The outline of the architecture that config.json names; None where nobody knows it."""
    if (found := _listed(checkpoint)) is not None:
        return found.outline()
    if _says_nothing(checkpoint):
        return None
    from experiments.models import opening
    from experiments.models.modules import outline_of

    model = opening.skeleton(checkpoint)
    if model is None:
        return None
    plain = outline_of(model)
    stated = checkpoint.config().get("architectures") or [plain.architecture]
    name = known.OLDER_NAMES.get(str(stated[0]), stated[0])
    return replace(plain, wrapped=name != plain.architecture)


def understood(checkpoint: Checkpoint) -> tuple[Outline | None, list[StoredTensor]]:
    """The outline, and the stored tensors under the names by which transformers knows them.

    Raises:
        ReportError: where two of them would have one name.
    """
    tensors, found = checkpoint.check(), outline(checkpoint)
    written = unwrapped if found is None else Names(found, [one.name for one in tensors]).written
    named: dict[str, StoredTensor] = {}
    for tensor in tensors:
        name = written(tensor.name)
        if (other := named.get(name)) is not None:
            raise two_of_one(checkpoint, (other.name, tensor.name), name)
        named[name] = tensor
    return found, [
        tensor if tensor.name == name else replace(tensor, name=name)
        for name, tensor in named.items()
    ]


def two_of_one(checkpoint: Checkpoint, names: Iterable[str], meant: str) -> ReportError:
    """The error for stored tensors that stand for one and the same of the architecture."""
    return ReportError(
        f"{checkpoint.name}, tensors {' and '.join(names)}",
        f"one tensor for {meant}",
        "remove the one that is not the model's",
    )


def architecture(checkpoint: Checkpoint) -> Architecture:
    """What the configuration says of the model's shape; nothing where there is none known."""
    if (found := _listed(checkpoint)) is not None:
        return shape(found.name, found.value)
    if _says_nothing(checkpoint):
        return UNKNOWN
    from experiments.models import opening

    config = opening.configuration(checkpoint)
    if config is None:
        return UNKNOWN
    return shape(opening.stated_name(config), lambda name: getattr(config, name, None))


def _listed(checkpoint: Checkpoint) -> known.Listed | None:
    try:
        return known.listed(checkpoint.config())
    except known.NotListedError:
        return None


def _says_nothing(checkpoint: Checkpoint) -> bool:
    """Whether there is neither a config.json nor a file whose metadata stand for one."""
    return not checkpoint.config() and checkpoint.gguf is None


def shape(name: str, value: Callable[[str], Any]) -> Architecture:
    """The shape of a model, from what its configuration holds under each name.

    >>> shape("GPT2Model", {"n_layer": 2, "n_embd": 16}.get).blocks
    2
    """

    def first(*names: str) -> int | None:
        return next((number for one in names if type(number := value(one)) is int), None)

    blocks = [first("num_hidden_layers", "n_layer", "num_layers", "encoder_layers")]
    if value("is_encoder_decoder"):
        blocks = [
            first("encoder_layers", "num_layers"),
            first("decoder_layers", "num_decoder_layers"),
        ]
    return Architecture(
        name=name,
        blocks=sum(block or 0 for block in blocks) or None,
        width=first("hidden_size", "d_model", "n_embd"),
        heads=first("num_attention_heads", "n_head", "encoder_attention_heads"),
        vocabulary=first("vocab_size"),
        positions=first(
            "max_position_embeddings", "n_positions", "max_encoder_position_embeddings"
        ),
    )
