"""What stands beside the weights in a copy of a checkpoint: configuration, tokenizer and model card."""

import json
import shutil
from pathlib import Path

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.scaled import ScaledTensor
from experiments.models.plain_config import QUANTISED, of_numbers


def copy_companions(checkpoint: Checkpoint, folder: Path, *, tokenizer: bool = True) -> None:
    """Copy configuration, tokenizer and model card; of a GGUF file, make them from its metadata.

    Of quantised weights the copy has the numbers, and its configuration no word of the codes.
    """
    for path in checkpoint.copied():
        shutil.copyfile(path, folder / path.name)
    if any(key in (stated := checkpoint.config()) for key in QUANTISED):
        widened = any(isinstance(tensor, ScaledTensor) for tensor in checkpoint.tensors())
        text = json.dumps(of_numbers(stated, widened=widened), indent=2)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    if checkpoint.gguf is not None:
        from experiments.models import opening

        opening.write_companions(checkpoint, checkpoint.gguf, folder, tokenizer=tokenizer)
