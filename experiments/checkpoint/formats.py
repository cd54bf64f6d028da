"""Which file formats can be read: one reader a format, all giving the same stored tensors.

To add a format: write a module beside this one with `read_header(path)`, and add its suffix to
FORMATS. A reader is imported when it reads, so that finding files costs nothing. Nothing here builds
a model or imports torch.
"""

import json
from importlib import import_module
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from experiments.checkpoint.safetensors_header import unique
from experiments.errors import ReportError

if TYPE_CHECKING:
    from experiments.checkpoint.tensor import StoredTensor

FORMATS = {  # the module beside this one that reads files of a suffix
    ".safetensors": "bitmask_file",  # plain ones too
    ".bin": "torch_file",
    ".pt": "torch_file",
    ".pth": "torch_file",
    ".gguf": "gguf_file",
}
INDEX = "model.safetensors.index.json"
MASKED_INDEX = "model.bitmask.safetensors.index.json"
# What may be in a folder, the preferred first: an index of shards, or one file. Bit masks have names
# of their own, so that transformers finds no weights there instead of drawing some at random.
INDEXES = (INDEX, MASKED_INDEX, "pytorch_model.bin.index.json")
# Weights that other programs write, and PyTorch's under other names.
OTHERS = {
    ".h5", ".keras", ".msgpack", ".npz", ".onnx", ".ckpt", ".tflite", ".safetensors", ".pt", ".pth", ".bin",
}  # fmt: skip
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*", "*.gguf")
WHOLE = ("model.safetensors", "model.bitmask.safetensors", "pytorch_model.bin")


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a folder: the one file there is, or the shards its index names.

    Of both the one file is taken, as transformers does.

    Raises:
        ReportError: where there is none, or a shard is missing or stands outside the folder.
    """
    for index, whole in zip(INDEXES, WHOLE):
        if path := there(folder, whole):
            return [path]
        if path := there(folder, index):
            return [inside(folder, name) for name in sorted(set(_weight_map(path).values()))]
    found = sorted(path.name for path in folder.glob("*.gguf"))
    if len(found) == 1:
        return [inside(folder, found[0])]
    if found:
        raise ReportError(
            f"{folder}", f"one weights file, found {', '.join(found)}", "name the one you mean"
        )
    others = sorted(path.name for path in folder.glob("*") if path.suffix in OTHERS)
    beside = f", found {others[0]!a} alone" if others else ""
    raise ReportError(
        f"{folder}",
        f"{' or '.join(WHOLE)}, an index of shards, or a .gguf file in the folder{beside}",
        "save the model with transformers' save_pretrained",
    )


def index_of(folder: Path) -> Path | None:
    """The index that says in which shard each tensor lies; None where the weights are one file."""
    for index, whole in zip(INDEXES, WHOLE):
        if there(folder, whole):
            return None
        if path := there(folder, index):
            return path
    return None


def left_aside(folder: Path, files: list[Path]) -> list[str]:
    """The names of weights in a folder, or indexes of them, beside the files that are read."""
    read = {path.name for path in files}
    if (index := index_of(folder)) is not None:
        read.add(index.name)
    found = {path.name for pattern in WEIGHTS for path in folder.glob(pattern)}
    return sorted(found - read)


def _weight_map(index: Path) -> dict[str, str]:
    """The shard of each tensor, as the index says; its names are those of files and nothing else."""
    try:
        text = index.read_text(encoding="utf-8")
        stated = json.loads(text, object_pairs_hook=unique)["weight_map"]
        pairs = dict(stated.items())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ReportError(f"{index}", "a JSON weight_map", "fetch the index again") from None
    if not pairs or not all(isinstance(name, str) for name in pairs.values()):
        raise ReportError(f"{index}", "a JSON weight_map of names", "fetch the index again")
    for name in pairs.values():
        if not _plain(name):
            raise ReportError(
                f"{index}",
                f"shards inside the folder, found {name!r}",
                "do not use this checkpoint",
            )
    return pairs


def _plain(name: str) -> bool:
    """Whether a name is a file's and leads nowhere, on any system.

    >>> [_plain(name) for name in ("a.bin", "../a.bin", "/a.bin", "C:a.bin", "..")]
    [True, False, False, False, False]
    """
    return PureWindowsPath(name).name == name and name not in ("", ".", "..") and name.isprintable()


def inside(folder: Path, name: str) -> Path:
    """A file of the folder, which must be there.

    Raises:
        ReportError: where it is missing, or a link that leads out.
    """
    path = there(folder, name)
    if path is None:
        raise ReportError(f"{folder}", f"{name}, found none", "fetch the missing file")
    return path


def there(folder: Path, name: str) -> Path | None:
    """A file of the folder, None where there is none. Whatever is read of a checkpoint is found here.

    No link on the way may lead out of the folder, but into the hub client's own cache.

    Raises:
        ReportError: where it does.
    """
    path = folder / name
    if not path.is_file():
        return None
    if not any(path.resolve().is_relative_to(home) for home in homes(folder)):
        raise ReportError(
            f"{path}", "a file of its folder, found a link that leads out", "copy the file there"
        )
    return path


def homes(folder: Path) -> list[Path]:
    """Where links in a checkpoint's folder may lead."""
    home = folder.resolve()
    if home.parent.name != "snapshots":
        return [home]
    # models--ORG--NAME/snapshots/REVISION links to ../../blobs, or to what repositories share
    return [home, home.parent.parent / "blobs", home.parents[2] / "blobs"]


def read_header(file: Path) -> "tuple[list[StoredTensor], dict[str, str]]":
    """The tensors of one file, in the order of their bytes, and its metadata.

    Raises:
        ReportError: where its suffix is no known format's, or what is wrong with the file.
    """
    if file.suffix not in FORMATS:
        raise ReportError(
            f"{file}", f"a weights file of {', '.join(FORMATS)}", "convert it with transformers"
        )
    reader = import_module(f"{__package__}.{FORMATS[file.suffix]}")
    header: tuple[list[StoredTensor], dict[str, str]] = reader.read_header(file)
    return header


def tensors(files: list[Path], index: Path | None = None) -> "list[StoredTensor]":
    """Every tensor of the files, in their order; a name may stand in one file only.

    With an index, each file must hold the tensors that it says, and no other.
    """
    found: dict[str, StoredTensor] = {}
    for file in files:
        for tensor in read_header(file)[0]:
            if tensor.name in found:
                raise ReportError(
                    f"{file}", f"tensor {tensor.name!r} in one shard only", "fetch the shards again"
                )
            found[tensor.name] = tensor
    if index is not None:
        _check_index(index, found)
    return list(found.values())


def _check_index(index: Path, found: "dict[str, StoredTensor]") -> None:
    """The index and the shards must tell the same: else one of them is stale, or two are swapped."""
    stated = _weight_map(index)
    held = {name: tensor.path.name for name, tensor in found.items()}
    if stated == held:
        return
    name = min(name for name in {*stated, *held} if stated.get(name) != held.get(name))
    raise ReportError(
        f"{index}",
        f"tensor {name!r} in {stated.get(name, 'no shard')}, found it in {held.get(name, 'none')}",
        "fetch the shards and their index again",
    )
