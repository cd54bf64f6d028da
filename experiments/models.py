"""Opening a model: its skeleton without weights, or the whole of it, from a checkpoint on disk.

Reads files, never the network, and never runs code that a checkpoint brings.
"""

import logging
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from experiments.checkpoint.folder import Checkpoint
from experiments.errors import ReportError
from experiments.records import Architecture

SAFE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}


@dataclass(frozen=True)
class OpenModel:
    """A model ready to answer: its float32 weights in memory, and its tokenizer."""

    checkpoint: Checkpoint
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def be_quiet() -> None:
    """Keep transformers' progress bars and advice off this program's stderr."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("transformers").setLevel(logging.ERROR)


def skeleton(checkpoint: Checkpoint) -> PreTrainedModel:
    """The architecture on the meta device: names, shapes and kinds of modules, no weights."""
    config = _config(checkpoint)
    with torch.device("meta"):
        return _architecture(checkpoint, config)(config)


def open_model(checkpoint: Checkpoint) -> OpenModel:
    """The model with its own weights as float32, in evaluation mode.

    Raises:
        ReportError: where the file lacks a weight of its architecture (a head never trained), or
            the tokenizer is missing.
    """
    config = _config(checkpoint)
    kind = _architecture(checkpoint, config)
    try:
        loaded: Any = kind.from_pretrained(
            checkpoint.folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **SAFE,
        )
        tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, **SAFE)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(checkpoint, error) from None
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ReportError(
            f"{checkpoint.name}",
            f"every weight of {kind.__name__} in the file, {missing[0]} is missing: untrained",
            "give a checkpoint fine-tuned for the task",
        )
    return OpenModel(checkpoint, model.eval(), tokenizer)


def architecture(checkpoint: Checkpoint) -> Architecture:
    """What the configuration says of the model's shape."""
    config = _config(checkpoint)

    def first(*names: str) -> int | None:
        values = [getattr(config, name, None) for name in names]
        return next((value for value in values if type(value) is int), None)

    blocks = [first("num_hidden_layers", "n_layer", "num_layers", "encoder_layers")]
    if config.is_encoder_decoder:
        blocks = [
            first("encoder_layers", "num_layers"),
            first("decoder_layers", "num_decoder_layers"),
        ]
    return Architecture(
        name=(config.architectures or ["unnamed"])[0],
        blocks=sum(block or 0 for block in blocks) or None,
        width=first("hidden_size", "d_model", "n_embd"),
        heads=first("num_attention_heads", "n_head", "encoder_attention_heads"),
        vocabulary=first("vocab_size"),
        positions=first(
            "max_position_embeddings", "n_positions", "max_encoder_position_embeddings"
        ),
    )


def _config(checkpoint: Checkpoint) -> Any:
    stated = checkpoint.config()
    try:
        return AutoConfig.from_pretrained(checkpoint.folder, **SAFE)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if "auto_map" in stated:
            raise ReportError(
                f"{checkpoint.name}",
                "an architecture that transformers knows; it asks to run its own code",
                "convert it to a known architecture, its code is never run",
            ) from None
        raise _unreadable(checkpoint, error) from None


def _architecture(checkpoint: Checkpoint, config: Any) -> type[PreTrainedModel]:
    name = (config.architectures or [""])[0]
    kind = getattr(transformers, name, None) if name else None
    if not (isinstance(kind, type) and issubclass(kind, PreTrainedModel)):
        raise ReportError(
            f"{checkpoint.name}",
            f"an architecture that transformers knows, found {name or 'none'!r} in config.json",
            "set config.json's architectures to the class it was saved from",
        )
    return kind


def _unreadable(checkpoint: Checkpoint, error: Exception) -> ReportError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ReportError(
        f"{checkpoint.name}", f"a checkpoint transformers can open ({lines[0][:160]})", "repair it"
    )
