"""A checkpoint folder in the transformers layout: its configuration, weight files and digest.

Reads files. Imports no torch and runs nothing that a checkpoint brings; what only lists the folder and
reads its configuration imports next to nothing.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.checkpoint import formats
from experiments.checkpoint.safetensors_header import is_masked
from experiments.errors import ReportError

if TYPE_CHECKING:
    from experiments.checkpoint.tensor import StoredTensor
    from experiments.records.provenance import Digests

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
CARD = "README.md"
NAMED = (*COMPANIONS, CARD)  # what goes with a weights file that was named
TEMPLATES = "additional_chat_templates"  # the one folder in which transformers looks


@dataclass(frozen=True)
class Checkpoint:
    """One set of weights on disk. `name` is how it was asked for, with no folder of this machine.

    `weights` is None for a folder, or the one weights file that was named.
    """

    name: str
    folder: Path
    revision: str | None = None
    weights: Path | None = None

    @property
    def source(self) -> Path:
        """What was named: the folder, or the one weights file."""
        return self.weights or self.folder

    @property
    def gguf(self) -> Path | None:
        """The GGUF file that holds the weights, where one does: its metadata are the configuration."""
        file = self.weight_files()[0]
        return file if file.suffix == ".gguf" else None

    def config(self) -> dict[str, Any]:
        """What config.json states; empty where there is none.

        Raises:
            ReportError: where the file is no JSON object.
        """
        path = formats.there(self.folder, "config.json")
        if path is None:
            return {}
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ReportError(f"{path}", f"JSON ({error})", "fetch the file again") from None
        if not isinstance(config, dict):
            raise ReportError(f"{path}", "a JSON object", "fetch the file again")
        return config

    def trained_on(self) -> tuple[str, ...]:
        """The data sets its model card (README.md) names in its front matter."""
        path = formats.there(self.folder, CARD)
        try:
            card = path.read_text(encoding="utf-8", errors="replace") if path else ""
            front = card.split("---\n", 2)[1] if card.startswith("---\n") else ""
        except (OSError, IndexError):
            return ()
        if "datasets" not in front:
            return ()
        import yaml

        try:
            stated = yaml.safe_load(front)
        except (ValueError, yaml.YAMLError):
            return ()
        named = stated.get("datasets") if isinstance(stated, dict) else None
        listed = named if isinstance(named, list) else [named]
        return tuple(name for name in listed if isinstance(name, str) and name.isprintable())

    def check_folder(self) -> dict[str, Any]:
        """The configuration, what the folder lists and it states checked, and no weights file opened.

        No file of the folder may be a link that leads out of it: a library that opens the folder would
        follow any. Beside one weights file that was named, only those that go with it are looked at.

        Raises:
            ReportError: naming the file and the reason.
        """
        if (self.folder / ADAPTER).is_file():
            raise ReportError(
                f"{self.name}",
                f"weights without an adapter beside them, found {ADAPTER}",
                "merge the adapter into the weights first",
            )
        for name in NAMED if self.weights else self._opened():
            formats.there(self.folder, name)
        self.weight_files()
        config = self.config()
        if "auto_map" in config and not known_to_transformers(config):
            raise self.own_code()
        return config

    def _opened(self) -> Iterator[str]:
        """What a library that is given the folder may open of it."""
        for path in [*self.folder.iterdir(), *self.folder.glob(f"{TEMPLATES}/*")]:
            yield path.relative_to(self.folder).as_posix()

    def check(self) -> "list[StoredTensor]":
        """The stored tensors, headers and configuration checked and no weight read.

        What is damaged or hostile is told at once, before torch is imported.

        Raises:
            ReportError: naming the file and the reason.
        """
        config, tensors = self.check_folder(), self.tensors()
        for key, number in counts_of(config):
            if number > (most := len(tensors) if "layer" in key else MOST_EXPERTS):
                raise ReportError(
                    f"{self.folder / 'config.json'}",
                    f"{key} of at most {most} for {len(tensors)} stored tensors, found {number}",
                    "copy the model's own there",
                )
        return tensors

    def check_masked(self) -> None:
        """Raise where no weights file is one of bit masks."""
        if not any(map(is_masked, self.weight_files())):
            raise ReportError(
                f"{self.name}",
                "a checkpoint of bit masks, found none",
                "make one by `gen prune --format bitmask`",
            )

    def own_code(self) -> ReportError:
        """The error for an architecture that only code of the checkpoint's own would explain."""
        return ReportError(
            f"{self.name}",
            "an architecture that transformers knows; it asks to run its own code",
            "convert it to a known architecture, its code is never run",
        )

    def weight_files(self) -> list[Path]:
        """The files that hold the weights, in the order of their names."""
        return [self.weights] if self.weights else formats.weight_files(self.folder)

    def tensors(self) -> "list[StoredTensor]":
        """Every stored tensor, file by file."""
        index = None if self.weights else formats.index_of(self.folder)
        return formats.tensors(self.weight_files(), index)

    def companions(self) -> list[Path]:
        """The configuration and tokenizer files that are there."""
        return [path for name in COMPANIONS if (path := formats.there(self.folder, name))]

    def copied(self) -> list[Path]:
        """What a pruned copy takes along beside its weights: the companions and the model card."""
        card = formats.there(self.folder, CARD)
        return [*self.companions(), *([card] if card else [])]

    def digest(self, digests: "Digests") -> str:
        """One digest of weights, configuration and tokenizer, by content."""
        return digests.files([*self.weight_files(), *self.companions()])


ADAPTER = "adapter_config.json"  # transformers would put it on, and nothing here would tell
MOST_EXPERTS = 1 << 12
COUNTS = re.compile(
    r"^(num_|n_)(hidden_|encoder_|decoder_)?layers?$|^(encoder|decoder)_layers$|experts$"
)


def counts_of(config: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """The counts of layers and experts that a configuration states, those of its parts too.

    >>> list(counts_of({"n_layer": 2, "text_config": {"num_experts": 8}}))
    [('n_layer', 2), ('num_experts', 8)]
    """
    for key, value in config.items():
        if isinstance(value, dict) and key.endswith("config"):
            yield from counts_of(value)
        elif type(value) is int and COUNTS.search(key):
            yield key, value


def known_to_transformers(config: dict[str, Any]) -> bool:
    """Whether transformers itself has the model type or the class a configuration names.

    Reads its source where it must and imports nothing of it, which would take a second.
    """
    models = Path(getattr(find_spec("transformers"), "origin", "")).parent / "models"
    kind, stated = config.get("model_type"), config.get("architectures")
    plain = isinstance(kind, str) and re.fullmatch(r"[\w-]+", kind)
    if plain and (models / str(kind).replace("-", "_")).is_dir():
        return True
    names = [name for name in stated if isinstance(name, str)] if isinstance(stated, list) else []
    if not names or not names[0].isidentifier():
        return False
    listed = f'"{names[0]}"'.encode()  # in the file's __all__
    return any(listed in file.read_bytes() for file in models.glob("*/modeling_*.py"))
