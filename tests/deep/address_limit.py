"""Four gigabytes of shards are pruned by a process that may address two: nothing is held whole.

The files are holes but for a thousand ones, so that they cost no disk; zeros after are counted by hand.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SIDE, MATRICES, ONES, LIMIT = 16_384, 8, 1_000, 2 << 30
SIZE = 2 * SIDE * SIDE


def make(folder: Path) -> None:
    """Eight float16 matrices in four shards; the first begins with ones."""
    places: dict[str, str] = {}
    for shard in range(4):
        names = [f"h.{2 * shard + offset}.fc.weight" for offset in (0, 1)]
        file = f"model-{shard + 1:05}-of-00004.safetensors"
        places |= dict.fromkeys(names, file)
        header = {
            name: {
                "dtype": "F16",
                "shape": [SIDE, SIDE],
                "data_offsets": [at * SIZE, (at + 1) * SIZE],
            }
            for at, name in enumerate(names)
        }
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            if not shard:
                out.write(np.ones(ONES, np.float16).tobytes())
            out.truncate(8 + len(text) + 2 * SIZE)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def main() -> None:
    """Prune under the limit and count."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "source")
        source.mkdir()
        make(source)
        gen = Path(sys.executable).parent / "gen"
        words = [gen, "prune", source, "--level", "0.5", "--out", Path(name, "out"), "--json"]
        done = subprocess.run(
            words,
            stdout=subprocess.PIPE,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT)),
        )
        told = json.loads(done.stdout)
    count = MATRICES * SIDE * SIDE
    assert (told["prunable"], told["zeros"]) == (count, count - ONES), told
    print(f"{count:,} weights pruned in {LIMIT >> 30} GB of addresses")


if __name__ == "__main__":
    main()
