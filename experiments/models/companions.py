"""What stands beside the weights in a copy of a checkpoint: configuration, tokenizer and model card."""

import shutil
from pathlib import Path

from experiments.checkpoint.folder import Checkpoint


def copy_companions(checkpoint: Checkpoint, folder: Path, *, tokenizer: bool = True) -> None:
    """Copy configuration, tokenizer and model card; of a GGUF file, make them from its metadata."""
    for path in checkpoint.copied():
        shutil.copyfile(path, folder / path.name)
    if checkpoint.gguf is not None:
        from experiments.models import opening

        opening.write_companions(checkpoint, checkpoint.gguf, folder, tokenizer=tokenizer)
