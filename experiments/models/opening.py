"""Opening a model: whole, for training, or as a skeleton without weights.

Reads files, never the network, and never runs code that a checkpoint brings.
"""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_MAPPING,
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from experiments.checkpoint import formats
from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.safetensors_file import write
from experiments.checkpoint.safetensors_header import is_masked
from experiments.checkpoint.tensor import StoredTensor
from experiments.errors import ReportError
from experiments.models.architecture import understood
from experiments.models.bounds import bounded
from experiments.models.companions import copy_companions
from experiments.models.known import OLDER_NAMES
from experiments.models.plain_config import plain
from experiments.output import scratch

NOT_UTF8 = re.compile("[\udc80-\udcff]")  # how Python holds a byte of a path that is no UTF-8
MARKS = (
    "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id",
    "forced_bos_token_id", "forced_eos_token_id",
)  # fmt: skip
SAFE: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}


@dataclass(frozen=True)
class OpenModel:
    """A model ready to answer: its weights in memory or on a GPU, and its tokenizer."""

    checkpoint: Checkpoint
    model: PreTrainedModel

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """What makes tokens of its texts, opened when it is first asked for: to time a model takes none.

        Raises:
            ReportError: where there is none.
        """
        return _tokenizer(self.checkpoint)


def be_quiet() -> None:
    """Keep transformers' progress bars and advice off this program's stderr."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("transformers").setLevel(logging.ERROR)


def skeleton(checkpoint: Checkpoint) -> PreTrainedModel | None:
    """The architecture on the meta device: names, shapes and kinds of modules, no weights.

    None where transformers does not know it. A class it does not know, of a model type it does (a
    backbone in a wrapper of its own), stands for that type's plain model.
    """
    config = configuration(checkpoint)
    kind: Any = _class_of(config) or MODEL_MAPPING.get(type(config), None)
    if kind is None:
        return None
    try:
        with torch.device("meta"), bounded(checkpoint):
            model: PreTrainedModel = kind(config)
            return model
    except ReportError:
        raise
    except Exception as error:  # whatever the configuration lacks; transformers has no common error
        raise _unreadable(checkpoint, error) from None


def open_model(checkpoint: Checkpoint, *, dtype: str = "float32", on: str = "cpu") -> OpenModel:
    """The model with its own weights in `dtype`, on a device, in evaluation mode.

    Raises:
        ReportError: where the file lacks a weight of its architecture (a head never trained).
    """
    checkpoint.check_weights()  # a damaged file is told as such, before transformers meets it
    config = configuration(checkpoint)
    kind: Any = _class_of(config)
    if kind is None and not getattr(config, "architectures", None):
        kind = MODEL_MAPPING.get(type(config), None)  # it names no class: the plain model
    if kind is None:
        if not (stated := checkpoint.config()):
            raise ReportError(
                f"{checkpoint.name}",
                "a config.json beside the weights",
                "copy the model's own there",
            )
        found = (stated.get("architectures") or ["none"])[0]
        if "model_type" in stated and config is None:
            found = f"model_type {stated['model_type']}"
        raise ReportError(
            f"{checkpoint.name}",
            f"an architecture that transformers knows, found {found!r} in config.json",
            "set config.json's architectures to the class it was saved from",
        )
    model, lacking = _load(checkpoint, kind, config, getattr(torch, dtype))
    if model.can_generate():
        model.generation_config = _marks_alone(model.generation_config)
    if lacking:
        raise ReportError(
            f"{checkpoint.name}",
            f"every weight of {kind.__name__} in the file, {lacking[0]} is missing: untrained",
            "give a checkpoint fine-tuned for the task",
        )
    if getattr(model.config, "pad_token_id", None) is None:
        # Nothing is ever padded, yet classifiers refuse a batch without the mark: one no token has.
        model.config.pad_token_id = -1
    return OpenModel(checkpoint, model.eval().to(on))


def open_for_training(checkpoint: Checkpoint, labels: Sequence[str]) -> OpenModel:
    """The model in the class that is trained for a task: with a head of `labels`, or as it writes.

    A head it lacks is new, and drawn at random, and so may be what pools for it; nothing else may be
    missing or of another shape.

    Raises:
        ReportError: where its architecture cannot be trained for a task, or weights are missing.
    """
    checkpoint.check_weights()
    config = configuration(checkpoint)
    table = (
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
        if config is not None and config.is_encoder_decoder
        else MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    )
    kind: Any = table.get(type(config), None)
    if kind is None:
        raise ReportError(
            f"{checkpoint.name}",
            "a model that transformers can give a classification head, or an encoder-decoder",
            "choose another checkpoint",
        )
    if not config.is_encoder_decoder:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
        config.problem_type = "single_label_classification"
    model, missing = _load(checkpoint, kind, config, torch.float32, ignore_mismatched_sizes=True)
    body = "" if config.is_encoder_decoder else f"{model.base_model_prefix}."
    lacking = [name for name in missing if name.startswith(body) and "pooler" not in name]
    if lacking:
        raise ReportError(
            f"{checkpoint.name}",
            f"every weight of {kind.__name__}'s body in the file, {lacking[0]} is not or has another shape",
            "fetch the checkpoint again, with its own config.json",
        )
    opened = OpenModel(checkpoint, model)
    if model.config.pad_token_id is None:
        marks = [opened.tokenizer.pad_token_id, *end_marks(model.config), 0]
        model.config.pad_token_id = next(mark for mark in marks if mark is not None)
    return opened


def end_marks(config: Any) -> list[int]:
    """The tokens that end a text: none, one, or where a configuration lists them, several."""
    stated = config.eos_token_id
    return [] if stated is None else stated if isinstance(stated, list) else [stated]


def _marks_alone(stated: Any) -> GenerationConfig:
    """How to generate, with nothing of a checkpoint's own taste: no least length, no penalties."""
    return GenerationConfig(  # type: ignore[no-untyped-call]
        **{name: getattr(stated, name, None) for name in MARKS}
    )


def _load(
    checkpoint: Checkpoint, kind: Any, config: Any, dtype: torch.dtype, **how: Any
) -> tuple[Any, list[str]]:
    """A model in a class, and the weights of the class that the checkpoint lacks or, where such are
    let pass, has in another shape.
    """
    try:
        with _as_folder(checkpoint) as folder, bounded(checkpoint):
            model, info = kind.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                output_loading_info=True,
                **how,
                **SAFE,
            )
    except ReportError:
        raise
    except Exception as error:
        raise _unreadable(checkpoint, error) from None
    reshaped = (key if isinstance(key, str) else key[0] for key in info["mismatched_keys"])
    return model, sorted({*info["missing_keys"], *reshaped})


def _tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    try:
        with _as_folder(checkpoint, weights=False) as folder:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, **SAFE)
            _check_tokenizer(checkpoint, folder, tokenizer)
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreadable(checkpoint, error) from None
    return tokenizer


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
def _as_folder(checkpoint: Checkpoint, *, weights: bool = True) -> Iterator[Path]:
    """A folder that transformers can open: the checkpoint's own, or a temporary one, with what is
    asked for: the weights, or else the tokenizer.

    It takes a temporary one of links where one weights file was named, or where the path is no
    UTF-8, which the readers of weights and tokenizers refuse; and one with the weights written anew
    where they are no safetensors, or in pieces, or something was wrapped around the model:
    transformers never meets another's pickle, codes or names.
    """
    files = checkpoint.weight_files()
    ready = all(path.suffix == ".safetensors" and not is_masked(path) for path in files)
    tensors = understood(checkpoint)[1] if weights else []
    if ready and weights:  # and every tensor is one of the model's, as it lies there
        stored = checkpoint.tensors()
        ready = all(type(one) is StoredTensor for one in stored)
        ready &= {one.name for one in tensors} == {one.name for one in stored}
    if ready and checkpoint.weights is None and not NOT_UTF8.search(str(checkpoint.folder)):
        yield checkpoint.folder
        return
    size = 0 if ready else sum(tensor.nbytes for tensor in tensors)
    with scratch(f"what transformers reads of {checkpoint.name}", size or None) as folder:
        if weights and ready:
            _link_weights(checkpoint, folder)
        elif weights:
            file = folder / "model.safetensors"
            write(file, tensors, StoredTensor.blocks, {"format": "pt"})
        copy_companions(checkpoint, folder, tokenizer=not weights)
        yield folder


def _link_weights(checkpoint: Checkpoint, folder: Path) -> None:
    files, index = checkpoint.weight_files(), formats.index_of(checkpoint.folder)
    names = ["model.safetensors"] if checkpoint.weights else [path.name for path in files]
    for name, path in zip(names, files):
        (folder / name).symlink_to(path.resolve())
    if index and not checkpoint.weights:
        (folder / index.name).symlink_to(index.resolve())


def write_companions(
    checkpoint: Checkpoint, file: Path, folder: Path, *, tokenizer: bool = True
) -> None:
    """Write the configuration and the tokenizer that a GGUF file's metadata state, where none is."""
    config = configuration(checkpoint)
    if not (folder / "config.json").is_file():
        config.dtype = "float32"
        config.save_pretrained(folder)
    if tokenizer and not (folder / "tokenizer.json").is_file():
        try:
            made = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, **SAFE)
        except Exception as error:  # whatever its metadata lack; transformers has no common error
            raise _unreadable(checkpoint, error) from None
        made.save_pretrained(folder)


def configuration(checkpoint: Checkpoint) -> Any:
    """The configuration as transformers has it; None where there is none that it knows."""
    stated, file = checkpoint.config(), checkpoint.gguf
    if not stated and file is None:
        return None
    try:
        if not stated and file is not None:
            return _from_gguf(checkpoint, file)
        if stated.get("model_type") not in CONFIG_MAPPING:
            if "auto_map" in stated:
                raise checkpoint.own_code()
            return None
        with scratch(f"opening {checkpoint.name}") as folder:
            (folder / "config.json").write_text(json.dumps(plain(stated)), encoding="utf-8")
            return AutoConfig.from_pretrained(folder, **SAFE)
    except ReportError:
        raise
    except Exception as error:
        raise _unreadable(checkpoint, error) from None


def _from_gguf(checkpoint: Checkpoint, file: Path) -> Any:
    """The configuration that a GGUF file's metadata state, with what transformers passes over."""
    config = AutoConfig.from_pretrained(file.parent, gguf_file=file.name, **SAFE)
    if not config.architectures:
        writers = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING
        kinds: list[Any] = [table.get(type(config), None) for table in writers]
        config.architectures = [kind.__name__ for kind in kinds if kind][:1]
    if config.model_type == "gpt2":  # it files the number of positions under an older name
        config.n_positions = config.n_ctx
    names = {tensor.name for tensor in checkpoint.tensors()}
    if config.model_type == "t5" and not any(".wi_1." in name for name in names):
        config.feed_forward_proj, config.dense_act_fn = "relu", "relu"  # T5's first version
        config.is_gated_act = False
    return config


def _class_of(config: Any) -> type[PreTrainedModel] | None:
    """The transformers class that a configuration names, if there is one."""
    name = (getattr(config, "architectures", None) or [""])[0]
    known = OLDER_NAMES.get(name, name) if isinstance(name, str) else ""
    kind = getattr(transformers, known, None) if known else None
    return kind if isinstance(kind, type) and issubclass(kind, PreTrainedModel) else None


def stated_name(config: Any) -> str:
    """The class as a configuration names it."""
    return str((getattr(config, "architectures", None) or ["unnamed"])[0])


def _unreadable(checkpoint: Checkpoint, error: Exception) -> ReportError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ReportError(
        f"{checkpoint.name}", f"a checkpoint transformers can open ({lines[0][:160]})", "repair it"
    )
