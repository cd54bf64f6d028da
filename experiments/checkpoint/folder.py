"""A checkpoint folder in the transformers layout: its configuration, weight files and digest.

Reads files. Imports no torch and runs nothing that a checkpoint brings.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.checkpoint import formats
from experiments.checkpoint.tensor import StoredTensor
from experiments.errors import ReportError
from experiments.provenance import Digests

# Files beside the weights that decide what a checkpoint answers, or that a copy of it needs.
COMPANIONS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
    "sentencepiece.model",
    "sentencepiece.bpe.model",
    "bpe.codes",
    "chat_template.jinja",
)


@dataclass(frozen=True)
class Checkpoint:
    """One set of weights on disk. `name` is how it was asked for, with no folder of this machine.

    `weights` is None for a folder, or the one weights file that was named.
    """

    name: str
    folder: Path
    revision: str | None = None
    weights: Path | None = None

    def config(self) -> dict[str, Any]:
        """The configuration; a file that is missing or no JSON object is an error."""
        path = self.folder / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ReportError(
                f"{self.name}", "a config.json beside the weights", "copy the model's own there"
            ) from None
        except (ValueError, RecursionError) as error:
            raise ReportError(f"{path}", f"JSON ({error})", "fetch the file again") from None
        if not isinstance(config, dict):
            raise ReportError(f"{path}", "a JSON object", "fetch the file again")
        return config

    def trained_on(self) -> tuple[str, ...]:
        """The data sets its model card (README.md) names in its front matter."""
        try:
            card = (self.folder / "README.md").read_text(encoding="utf-8", errors="replace")
            front = card.split("---\n", 2)[1] if card.startswith("---\n") else ""
            stated = yaml.safe_load(front)
        except (OSError, IndexError, ValueError, yaml.YAMLError):
            return ()
        named = stated.get("datasets") if isinstance(stated, dict) else None
        listed = named if isinstance(named, list) else [named]
        return tuple(name for name in listed if isinstance(name, str))

    def weight_files(self) -> list[Path]:
        """The files that hold the weights, in the order of their names."""
        return [self.weights] if self.weights else formats.weight_files(self.folder)

    def tensors(self) -> list[StoredTensor]:
        """Every stored tensor, file by file."""
        return formats.tensors(self.weight_files())

    def companions(self) -> list[Path]:
        """The configuration and tokenizer files that are there."""
        return [self.folder / name for name in COMPANIONS if (self.folder / name).is_file()]

    def copied(self) -> list[Path]:
        """What a pruned copy takes along beside its weights: the companions and the model card."""
        card = self.folder / "README.md"
        return [*self.companions(), *([card] if card.is_file() else [])]

    def digest(self, digests: Digests) -> str:
        """One digest of weights, configuration and tokenizer, by content."""
        return digests.files([*self.weight_files(), *self.companions()])
