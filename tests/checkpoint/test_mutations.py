"""Valid files of every format with some bytes changed: each is read whole or refused in one line.

Six changed files an example: 300 of each format in `make check`, 12,000 in `make check-deep`.
"""

import io
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import gguf
import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from experiments.checkpoint import bitmask_file, formats, safetensors_file
from experiments.checkpoint.tensor import StoredTensor
from experiments.errors import ReportError

TRIALS = 6
SECONDS, BYTES = 2, 200 << 20
NUMBERS = [0, 1, 2, 7, 127, 255, 1 << 16, (1 << 31) - 1, (1 << 32) - 1, 1 << 40, (1 << 63) - 1]
NUMBERS += [1 << 62, (1 << 64) - 1]
WEIGHTS = {
    "h.0.w.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "h.1.w.weight": np.ones((2, 32), np.float16),
    "n": np.array(3, np.int64),
}


def a_safetensors_file() -> bytes:
    return safetensors.numpy.save(WEIGHTS, {"format": "pt"})


def a_file_of_bit_masks(path: Path) -> bytes:
    stored = safetensors_file.read_header(path)[0]
    bitmask_file.write(path, stored, {"h.0.w.weight"}, content, {"format": "pt"})
    return path.read_bytes()


def content(tensor: StoredTensor) -> list[NDArray[np.generic]]:
    return [WEIGHTS[tensor.name].reshape(-1)]


def a_torch_file(*, zipped: bool) -> bytes:
    file = io.BytesIO()
    content = {name: torch.from_numpy(array) for name, array in WEIGHTS.items()}
    content["t"] = content["h.0.w.weight"].T
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def a_gguf_file(path: Path) -> bytes:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_head_count(1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "c"])
    writer.add_tensor("token_embd.weight", WEIGHTS["h.0.w.weight"])
    writer.add_tensor("blk.0.attn_q.weight", WEIGHTS["h.1.w.weight"])
    blocks = gguf.quants.quantize(np.ones((2, 32), np.float32), gguf.GGMLQuantizationType.Q4_1)
    writer.add_tensor("blk.0.ffn_up.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


Mutation = Callable[[random.Random, bytearray, int], None]


def flip(draw: random.Random, content: bytearray, at: int) -> None:
    content[at] ^= 1 << draw.randrange(8)


def replace(draw: random.Random, content: bytearray, at: int) -> None:
    content[at : at + 4] = draw.randbytes(4)


def insert(draw: random.Random, content: bytearray, at: int) -> None:
    content[at:at] = draw.randbytes(draw.randrange(1, 9))


def remove(draw: random.Random, content: bytearray, at: int) -> None:
    del content[at : at + draw.randrange(1, 9)]


def repeat(draw: random.Random, content: bytearray, at: int) -> None:
    content[at:at] = content[at : at + draw.randrange(1, 40)]


def number(draw: random.Random, content: bytearray, at: int) -> None:
    size = draw.choice([4, 8])
    content[at : at + size] = (draw.choice(NUMBERS) % (1 << 8 * size)).to_bytes(size, "little")


def digits(draw: random.Random, content: bytearray, at: int) -> None:
    places = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    place = draw.choice(places or [at])
    content[place : place + 1] = str(draw.choice(NUMBERS)).encode()


def cut(draw: random.Random, content: bytearray, at: int) -> None:
    del content[at:]


MUTATIONS: list[Mutation] = [flip, replace, insert, remove, repeat, number, digits, cut]


@cache
def valid(name: str) -> bytes:
    """A small valid file of a format."""
    if name in ("gguf", "bitmask.safetensors"):
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "w")
            if name == "gguf":
                return a_gguf_file(path)
            path.write_bytes(a_safetensors_file())
            return a_file_of_bit_masks(path)
    return {
        "safetensors": a_safetensors_file,
        "bin": lambda: a_torch_file(zipped=True),
        "pt": lambda: a_torch_file(zipped=False),
    }[name]()


def read(path: Path) -> int:
    """How many numbers the file's tensors give; each gives as many as it says."""
    total = 0
    for tensor in formats.read_header(path)[0]:
        assert tensor.name.isprintable()
        assert tensor.count <= 64 * max(path.stat().st_size, 1)
        assert sum(block.size for block in tensor.blocks()) == tensor.count
        total += tensor.count
    return total


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


@pytest.mark.parametrize("suffix", ["safetensors", "bitmask.safetensors", "bin", "pt", "gguf"])
def test_the_files_to_be_changed_are_valid(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(valid(suffix))
    assert read(path) >= 12 + 64


@pytest.mark.parametrize("suffix", ["safetensors", "bitmask.safetensors", "bin", "pt", "gguf"])
@given(seed=st.integers(0, 2**32))
def test_a_changed_file_is_read_whole_or_refused_in_one_line(
    suffix: str, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    draw = random.Random(seed)
    path = tmp_path_factory.getbasetemp() / f"changed.{suffix}"
    before, start, told = peak(), time.process_time(), []
    for _ in range(TRIALS):
        content = bytearray(valid(suffix))
        for _ in range(draw.choice([1, 1, 1, 2, 3, 6])):
            if content:
                draw.choice(MUTATIONS)(draw, content, draw.randrange(len(content)))
        path.write_bytes(content)
        try:
            read(path)
        except ReportError as error:
            told.append(str(error))
    assert all(len(line.splitlines()) == 1 and path.name in line for line in told)
    assert time.process_time() - start < SECONDS * TRIALS
    assert peak() - before < BYTES


@pytest.mark.parametrize("index", [None, [], {}, {"weight_map": {}}, {"weight_map": {"w": None}}])
def test_an_index_of_any_shape_is_refused_in_one_line(index: object, tmp_path: Path) -> None:
    (tmp_path / formats.INDEX).write_text(json.dumps(index))
    with pytest.raises(ReportError):
        formats.weight_files(tmp_path)
