"""Make a checkpoint of a given shape and size, its weights drawn at random: nothing is downloaded.

    python -m bench.make_checkpoint build/xl --architecture GPT2LMHeadModel \\
        --set n_layer=48 --set n_embd=1600 --set n_head=25 --dtype F16 --shards 4

Weights are normal with a standard deviation of 0.02, the same for the same seed. Memory is that of a
block, whatever the size.
"""

import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from experiments.checkpoint.formats import INDEX
from experiments.checkpoint.safetensors_file import write
from experiments.checkpoint.tensor import DTYPES, StoredTensor


def make(
    out: Path,
    architecture: str,
    settings: dict[str, Any],
    *,
    dtype: str = "F32",
    shards: int = 1,
    seed: int = 0,
) -> int:
    """Write config.json and the weights into `out`; how many bytes of weights."""
    kind = getattr(transformers, architecture)
    config = kind.config_class(architectures=[architecture], **settings)
    with torch.device("meta"):
        model = kind(config)
    tied = set(model._tied_weights_keys or ())
    shapes = [(k, tuple(v.shape)) for k, v in model.state_dict().items() if k not in tied]
    out.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(out)
    parts = split([int(np.prod(shape)) for _, shape in shapes], shards)
    places: dict[str, str] = {}
    total = 0
    for number, part in enumerate(parts, 1):
        name = f"model-{number:05}-of-{len(parts):05}.safetensors"
        name = name if len(parts) > 1 else "model.safetensors"
        tensors = [
            StoredTensor(name=k, shape=shape, dtype=dtype, path=out / name, offset=0)
            for k, shape in (shapes[index] for index in part)
        ]
        write(out / name, tensors, lambda tensor: drawn(tensor, seed), {"format": "pt"})
        places |= {tensor.name: name for tensor in tensors}
        total += sum(tensor.nbytes for tensor in tensors)
    if len(parts) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (out / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return total


def split(sizes: Sequence[int], parts: int) -> list[list[int]]:
    """Indices in their order, in so many parts of about the same sum.

    >>> split([1, 1, 2], 2)
    [[0, 1], [2]]
    """
    found: list[list[int]] = [[] for _ in range(parts)]
    total, before = sum(sizes), 0
    for index, size in enumerate(sizes):
        found[min(before * parts // max(total, 1), parts - 1)].append(index)
        before += size
    return [part for part in found if part]


def drawn(tensor: StoredTensor, seed: int) -> Iterator[NDArray[np.generic]]:
    """A tensor's random weights, block by block."""
    generator = np.random.default_rng([seed, zlib.crc32(tensor.name.encode())])
    for start, stop in tensor.spans():
        numbers = generator.standard_normal(stop - start, np.float32) * np.float32(0.02)
        yield numbers.astype(DTYPES[tensor.dtype])


def setting(text: str) -> tuple[str, Any]:
    """A configuration's key and value; the value is JSON, else text.

    >>> setting("n_layer=2")
    ('n_layer', 2)
    """
    key, _, value = text.partition("=")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


@click.command(help=__doc__)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--architecture", default="GPT2LMHeadModel", show_default=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Of its configuration.")
@click.option("--dtype", type=click.Choice(["F32", "F16", "BF16"]), default="F32")
@click.option("--shards", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
def main(
    out: Path, architecture: str, settings: tuple[str, ...], dtype: str, shards: int, seed: int
) -> None:
    """Make a checkpoint."""
    chosen = dict(setting(text) for text in settings)
    size = make(out, architecture, chosen, dtype=dtype, shards=shards, seed=seed)
    click.echo(f"{size:,} bytes of weights in {out}/")


if __name__ == "__main__":
    main()
