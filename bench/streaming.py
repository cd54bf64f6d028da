"""Inspecting and pruning a checkpoint from its files, beside `cat` and `cp` of the same files.

    python -m bench.streaming [FOLDER]

Two checkpoints of GPT-2 XL's shape (1.56 billion weights) are made in FOLDER (build/bench by default,
12 GB while it runs): float16 in four shards, and float32 in one file. Whole processes, median of
three, files in the page cache for both sides.
"""

import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.process import Run, run

XL = {"n_layer": 48, "n_embd": 1600, "n_head": 25}
CASES = {"float16, 4 shards": ("F16", 4), "float32, one file": ("F32", 1)}
TIMES = 3
GEN = Path(sys.executable).parent / "gen"


def main() -> None:
    """Both checkpoints, each command beside its peer."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    for title, (dtype, shards) in CASES.items():
        source, copy = folder / "source", folder / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        # In a process of its own: what this one held would count as its children's peak.
        shape = [word for key, value in XL.items() for word in ("--set", f"{key}={value}")]
        size = ["--dtype", dtype, "--shards", str(shards)]
        run([sys.executable, "-m", "bench.make_checkpoint", source, *shape, *size])
        weights = sorted(source.glob("*.safetensors"))
        bytes_ = sum(path.stat().st_size for path in weights)
        print(f"GPT-2 XL's shape, {title}: {bytes_ / 1e9:.2f} GB of weights")
        level = ["--level", "0.9"]
        beside("cat", weights, "inspect", [source], copy)
        beside("cp", ["-r", source, copy], "prune", [source, *level, "--out", copy], copy)
    shutil.rmtree(folder)


def beside(
    peer: str, given: Sequence[str | Path], own: str, arguments: Sequence[str | Path], copy: Path
) -> None:
    """One line: seconds of a peer and of `gen`, turn by turn, how they relate, and our peak."""
    theirs: list[Run] = []
    mine: list[Run] = []
    for _ in range(TIMES):
        for command, kept in (([peer, *given], theirs), ([GEN, own, *arguments], mine)):
            shutil.rmtree(copy, ignore_errors=True)
            kept.append(run(command))
    one, other = (statistics.median(r.seconds for r in runs) for runs in (theirs, mine))
    peak = max(found.peak for found in mine)
    print(
        f"  gen {own}: {other:.2f} s, peak {peak / 1e9:.2f} GB; {peer}: {one:.2f} s; "
        f"{other / one:.1f} times, {other - one:.1f} s more",
        flush=True,
    )


if __name__ == "__main__":
    main()
