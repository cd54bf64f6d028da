"""Opening a model, whole or as a skeleton without weights, and how it has to be fed.

Reads files, never the network, and never runs code that a checkpoint brings.
"""

import logging
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.formats import INDEX
from experiments.errors import ReportError
from experiments.records import Architecture

NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how Python holds a byte of a path that is no UTF-8
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
    checkpoint.tensors()  # a damaged file is told as such, before transformers meets it
    try:
        with _as_folder(checkpoint) as folder:
            loaded: Any = kind.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                **SAFE,
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, **SAFE)
            _check_tokenizer(checkpoint, folder, tokenizer)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(checkpoint, error) from None
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ReportError(
            f"{checkpoint.name}",
            f"every weight of {kind.__name__} in the file, {missing[0]} is missing: untrained",
            "give a checkpoint fine-tuned for the task",
        )
    if model.config.pad_token_id is None:
        # Nothing is ever padded, yet classifiers refuse a batch without the mark: one no token has.
        model.config.pad_token_id = -1
    return OpenModel(checkpoint, model.eval(), tokenizer)


def _check_tokenizer(checkpoint: Checkpoint, folder: Path, tokenizer: Any) -> None:
    """Refuse the empty tokenizer that transformers makes up where a folder has none."""
    names = {*tokenizer.vocab_files_names.values(), "tokenizer.json"}
    if tokenizer.vocab_files_names and not any((folder / name).is_file() for name in names):
        raise ReportError(
            f"{checkpoint.name}",
            f"a tokenizer beside the weights, one of {', '.join(sorted(names))}",
            "copy the model's own there",
        )


@contextmanager
def _as_folder(checkpoint: Checkpoint) -> Iterator[Path]:
    """A folder that transformers can open: the checkpoint's own, or one of links to its files.

    It takes links where one weights file was named, or where the path is no UTF-8, which the readers
    of weights and tokenizers refuse.
    """
    if checkpoint.weights is None and not NOT_UTF8.search(str(checkpoint.folder)):
        yield checkpoint.folder
        return
    files = {path.name: path for path in [*checkpoint.weight_files(), *checkpoint.companions()]}
    if checkpoint.weights is not None:
        files["model.safetensors"] = files.pop(checkpoint.weights.name)
    elif (index := checkpoint.folder / INDEX).is_file():
        files[INDEX] = index
    with tempfile.TemporaryDirectory() as name:
        for link, path in files.items():
            Path(name, link).symlink_to(path.resolve())
        yield Path(name)


def longest_input(opened: OpenModel) -> int:
    """How many tokens the model can take: its tokenizer's limit and its position table's."""
    return min([opened.tokenizer.model_max_length, *position_tables(opened)])


def position_tables(opened: OpenModel) -> list[int]:
    """How many positions the model's tables offer: none where positions are relative.

    LED pads its input to whole attention windows, so only whole windows of its table are of use.
    """
    config = opened.model.config
    names = ("max_position_embeddings", "n_positions", "max_encoder_position_embeddings")
    sizes = [getattr(config, name, None) for name in names]
    stated = getattr(config, "attention_window", 1)
    window = max(stated) if isinstance(stated, list) else stated
    return [size - size % window for size in sizes if type(size) is int and size > 0]


def attention_to_first(opened: OpenModel, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """LED's global attention on the first token, as it was trained; nothing for other models."""
    if opened.model.config.model_type != "led":
        return {}
    mask = torch.zeros_like(ids)
    mask[:, 0] = 1
    return {"global_attention_mask": mask}


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
