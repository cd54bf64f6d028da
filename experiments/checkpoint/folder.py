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
from experiments.checkpoint.counts import excess
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
        if (size := path.stat().st_size) > CONFIG_LIMIT:
            raise ReportError(
                f"{path}", f"at most {CONFIG_LIMIT:,} bytes, found {size:,}", "fetch the file again"
            )
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise ReportError(f"{path}", f"JSON ({error})", "fetch the file again") from None
        if not isinstance(config, dict):
            raise ReportError(f"{path}", "a JSON object", "fetch the file again")
        return config

    def trained_on(self) -> tuple[str, ...]:
        """The data sets its model card (README.md) names in its front matter; of a path its last part.

        None where that is no YAML.
        """
        path = formats.there(self.folder, CARD)
        if path is None:
            return ()
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                card = file.read(CARD_LIMIT)
            front = card.split("---\n", 2)[1] if card.startswith("---\n") else ""
        except (OSError, IndexError):
            return ()
        if "datasets" not in front:
            return ()
        import yaml

        try:
            stated = yaml.safe_load(front)
        except Exception:  # whatever the parser makes of a stranger's text, RecursionError too
            return ()
        named = stated.get("datasets") if isinstance(stated, dict) else None
        listed = named if isinstance(named, list) else [named]
        names = [name for name in listed if isinstance(name, str) and name.isprintable()]
        return tuple(Path(name).name if Path(name).is_absolute() else name for name in names)

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
        widest = max((max(tensor.shape, default=0) for tensor in tensors), default=0)
        for key, number, most in excess(config, tensors=len(tensors), widest=widest):
            raise ReportError(
                f"{self.folder / 'config.json'}",
                f"{key} of at most {most} for {len(tensors)} stored tensors, found {number}",
                "copy the model's own there",
            )
        return tensors

    def check_weights(self) -> "list[StoredTensor]":
        """The same, of a checkpoint whose weights are numbers that can be ranked and multiplied with.

        Raises:
            ReportError: naming what is packed too.
        """
        from experiments.checkpoint.packed import packings, refuse_packed

        tensors = self.check()
        refuse_packed(self.name, packings(tensors, self.config()))
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
        """Every stored tensor, file by file; a weight that is stored in pieces as one."""
        from experiments.checkpoint.packed import quantization_of
        from experiments.checkpoint.pieces import put_together

        index = None if self.weights else formats.index_of(self.folder)
        stored = formats.tensors(self.weight_files(), index)
        return put_together(stored, quantization_of(self.config()))

    def left_aside(self) -> list[str]:
        """The names of weights in the folder that are not read; none where one file was named."""
        return [] if self.weights else formats.left_aside(self.folder, self.weight_files())

    def companions(self) -> list[Path]:
        """The configuration and tokenizer files that are there."""
        return [path for name in COMPANIONS if (path := formats.there(self.folder, name))]

    def copied(self) -> list[Path]:
        """What a pruned copy takes along beside its weights: the companions and the model card."""
        card = formats.there(self.folder, CARD)
        return [*self.companions(), *([card] if card else [])]

    def digested(self) -> list[Path]:
        """What an answer about it depends on: weights, configuration and tokenizer."""
        return [*self.weight_files(), *self.companions()]

    def digest(self, digests: "Digests") -> str:
        """One digest of these, by content."""
        return digests.files(self.digested())


CONFIG_LIMIT = 1 << 24  # bytes; the names of a hundred thousand labels take a third of it
CARD_LIMIT = 1 << 20  # characters; front matter that lists a model's scores takes half of it
ADAPTER = "adapter_config.json"  # transformers would put it on, and nothing here would tell


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
