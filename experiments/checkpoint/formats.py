"""Which file formats can be read: one reader a format, all giving the same stored tensors.

To add a format: write a module beside this one with `read_header(path)`, and add its suffix to
FORMATS.
"""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from experiments.checkpoint import safetensors_file
from experiments.checkpoint.tensor import StoredTensor
from experiments.errors import ReportError

Reader = Callable[[Path], tuple[list[StoredTensor], dict[str, str]]]

FORMATS: dict[str, Reader] = {
    ".safetensors": safetensors_file.read_header,
}
INDEX = "model.safetensors.index.json"


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a folder: the shards its index names, or model.safetensors.

    Raises:
        ReportError: where there is none, or a shard is missing or stands outside the folder.
    """
    if (folder / INDEX).is_file():
        return _shards(folder)
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    raise ReportError(
        f"{folder}",
        "model.safetensors or its index in the folder",
        "save the model with transformers' save_pretrained",
    )


def _shards(folder: Path) -> list[Path]:
    index = folder / INDEX
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ReportError(f"{index}", "a JSON weight_map", "fetch the index again") from None
    for name in names:
        if not isinstance(name, str) or PurePosixPath(name).name != name or "\\" in name:
            raise ReportError(
                f"{index}",
                f"shards inside the folder, found {name!r}",
                "do not use this checkpoint",
            )
        if not (folder / name).is_file():
            raise ReportError(f"{folder}", f"shard {name}", "fetch the missing file")
    return [folder / name for name in names]


def tensors(files: list[Path]) -> list[StoredTensor]:
    """Every tensor of the files, in their order; a name may stand in one file only."""
    found: dict[str, StoredTensor] = {}
    for file in files:
        reader = FORMATS.get(file.suffix)
        if reader is None:
            raise ReportError(
                f"{file}", f"a weights file of {', '.join(FORMATS)}", "convert it with transformers"
            )
        for tensor in reader(file)[0]:
            if tensor.name in found:
                raise ReportError(
                    f"{file}", f"tensor {tensor.name!r} in one shard only", "fetch the shards again"
                )
            found[tensor.name] = tensor
    return list(found.values())
