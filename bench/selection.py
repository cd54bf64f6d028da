"""Global magnitude pruning in memory, ours beside torch's: time, peak memory, and the same product.

    python -m bench.selection

Both start from the same 104,857,600 float32 weights and end, level after level, in a model whose
weights are masked: five in all. Each runs in a process of its own with as many threads as there are
cores. Ours counts once for all levels and prunes in place; torch's `global_unstructured` is called once
a level on dense weights, which are put back outside the clock. Masks are compared bit by bit.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import prune

from bench.process import current_and_peak, forget_peak
from experiments.pruning.choosing import choose
from experiments.pruning.open_weights import prunable_tensors, prune_in_place
from experiments.pruning.settings import Settings

LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)
WIDTH, BLOCKS = 2048, 25
Keep = Callable[[float], None]


class Stack(nn.Module):
    """Nothing but linear maps in numbered blocks."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = [nn.Linear(width, width, bias=False) for _ in range(blocks)]
        self.h = nn.ModuleList(self.layers)

    def draw(self) -> None:
        """The same random weights each time."""
        generator = torch.Generator().manual_seed(0)
        for layer in self.layers:
            nn.init.normal_(layer.weight, 0, 0.02, generator=generator)


def ours(model: Stack, keep: Keep) -> float:
    """Seconds of five levels by us."""
    start = time.perf_counter()
    tensors = prunable_tensors(model)
    choices = choose(tensors, Settings(), LEVELS)
    spent = time.perf_counter() - start
    for level, choice in zip(LEVELS, choices):
        start = time.perf_counter()
        prune_in_place(tensors, choice)
        spent += time.perf_counter() - start
        keep(level)
    return spent


def torchs(model: Stack, keep: Keep) -> float:
    """Seconds of five levels by torch, each from dense."""
    spent = 0.0
    for level in LEVELS:
        model.draw()
        start = time.perf_counter()
        parameters = [(layer, "weight") for layer in model.layers]
        prune.global_unstructured(parameters, pruning_method=prune.L1Unstructured, amount=level)
        for layer in model.layers:
            prune.remove(layer, "weight")  # type: ignore[no-untyped-call]
        spent += time.perf_counter() - start
        keep(level)
    return spent


def measure(which: str, folder: Path) -> None:
    """Run one side in this process, print its figures, and leave its masks in the folder."""
    small = Stack(64, 2)
    small.draw()
    run = {"ours": ours, "torch": torchs}[which]
    run(small, lambda level: None)  # compiled and warm
    model = Stack(WIDTH, BLOCKS)
    model.draw()
    peaks = []

    def keep(level: float) -> None:
        peaks.append(current_and_peak()[1])
        bits = [np.packbits(layer.weight.detach().numpy() != 0) for layer in model.layers]
        np.concatenate(bits).tofile(folder / f"{which}-{level}")
        forget_peak()

    forget_peak()
    before = current_and_peak()[0]
    seconds = run(model, keep)
    print(json.dumps({"seconds": seconds, "above": max(peaks) - before}))


def difference(folder: Path, level: float) -> int:
    """In how many weights the two masks of a level differ; all of them must be equal in magnitude."""
    ours, theirs = (np.fromfile(folder / f"{name}-{level}", np.uint8) for name in ("ours", "torch"))
    places = np.flatnonzero(np.unpackbits(ours ^ theirs))
    model = Stack(WIDTH, BLOCKS)
    model.draw()
    layers = [layer.weight.detach().reshape(-1) for layer in model.layers]
    magnitudes = {abs(float(layers[p // WIDTH**2][p % WIDTH**2])) for p in places}
    if len(magnitudes) > 1:
        sys.exit(f"level {level}: the masks differ in weights that do not tie: {magnitudes}")
    return len(places)


def main() -> None:
    """Both sides, the comparison of their masks, and the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), {}
        for which in ("ours", "torch"):
            command = [sys.executable, "-m", "bench.selection", which, name]
            found[which] = json.loads(subprocess.check_output(command))
        differing = {level: difference(folder, level) for level in LEVELS}
    count = WIDTH * WIDTH * BLOCKS
    print(f"global magnitude, {count:,} float32 weights in memory, levels {LEVELS}")
    for which, figures in found.items():
        print(
            f"  {which:5} {figures['seconds']:8.2f} s, "
            f"{figures['above'] / 1e9:.2f} GB above the model at its peak"
        )
    ratio = found["torch"]["seconds"] / found["ours"]["seconds"]
    print(f"  ours is {ratio:.0f} times as fast; weights in which the masks differ: {differing}")
    print("  each of them ties with the others at its level's threshold")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
