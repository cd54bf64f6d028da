"""Pruning by calibration, ours beside the published loops rewritten plainly: time, memory, the same masks.

    python -m bench.methods [MODEL] [--samples 32] [--blocks N]

A decoder is shown windows of the bundled novel and pruned to 50 %, block by block: by Wanda's loop and
SparseGPT's as their authors published them (Sun et al. 2024; Frantar and Alistarh 2023), rewritten
here in plain torch, and by ours, Wanda twice. Each side has a process of its own with one thread;
windows and an open model are there before the clock runs. Below stands what no such method can do
without: two passes over the windows through the blocks, one to look and one to hand on.

MODEL is `make reference`'s SmolLM2 by default. Masks are compared weight by weight, and held to each
other in the first block: what later ones read differs in last bits where the weights before them do,
which SparseGPT's inverse makes larger. What all blocks have is said beside.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from bench.process import current_and_peak, forget_peak
from experiments.checkpoint.locate import locate
from experiments.models import opening
from experiments.models.opening import OpenModel
from experiments.pruning import layerwise
from experiments.pruning.calibrated import quota
from experiments.pruning.layerwise import Target
from experiments.pruning.methods.table import METHODS
from experiments.pruning.settings import TOKENS, Settings
from experiments.quality.tasks.located import located_training
from experiments.quality.tasks.table import task
from experiments.quality.windows import windows

MODEL = Path("build/reference/SmolLM2-135M-Instruct.Q4_1.gguf")
LEVEL = 0.5
COLUMNS, DAMPING = 128, 0.01  # as SparseGPT's authors have them
SAME = {"wanda": "wanda, plain", "sparsegpt": "sparsegpt, plain in double"}  # whose masks ours are
MOST_APART = {"wanda": 0.0, "sparsegpt": 1e-3}  # of all weights
LONGEST = 1.5  # times the two passes, for Wanda
Batch = dict[str, Tensor]
Gather = Callable[[dict[str, Any], str, Tensor], None]


class _CaughtError(Exception):
    """Ends a pass once the first block's inputs are there."""


def caught(blocks: nn.ModuleList, model: nn.Module, batches: Sequence[Batch]) -> list[Any]:
    """What the first block is called with in each window."""
    found: list[Any] = []

    def catch(module: nn.Module, args: Any, kwargs: Any) -> None:
        found.append((args[0] if args else kwargs.pop("hidden_states"), dict(kwargs)))
        raise _CaughtError

    hook = blocks[0].register_forward_pre_hook(catch, with_kwargs=True)
    for batch in batches:
        with suppress(_CaughtError):
            model(**batch, use_cache=False)
    hook.remove()
    return found


def block_by_block(
    opened: OpenModel,
    batches: Sequence[Batch],
    count: int,
    gather: Gather,
    prune: Callable[[nn.Linear, Any], None],
) -> None:
    """The loop that both papers' code has: look at a block, prune it, run it again to hand on."""
    blocks: nn.ModuleList = opened.model.model.layers
    states = caught(blocks, opened.model, batches)
    for block in list(blocks)[:count]:
        maps = {name: one for name, one in block.named_modules() if isinstance(one, nn.Linear)}
        sums: dict[str, Any] = {}
        hooks = [
            one.register_forward_pre_hook(partial(_look, gather, sums, name))
            for name, one in maps.items()
        ]
        for hidden, kwargs in states:
            block(hidden, **kwargs)
        for hook in hooks:
            hook.remove()
        for name, one in maps.items():
            prune(one, sums[name])
        states = [(_first(block(hidden, **kwargs)), kwargs) for hidden, kwargs in states]


def _look(gather: Gather, sums: dict[str, Any], name: str, module: nn.Module, args: Any) -> None:
    gather(sums, name, args[0])


def _first(out: Any) -> Tensor:
    hidden: Tensor = out[0] if isinstance(out, tuple) else out
    return hidden


def passes(opened: OpenModel, batches: Sequence[Batch], count: int) -> None:
    """Twice through the blocks, nothing looked at and nothing pruned."""
    block_by_block(
        opened, batches, count, lambda sums, name, read: sums.setdefault(name), lambda *_: None
    )


def wanda(opened: OpenModel, batches: Sequence[Batch], count: int) -> None:
    """Wanda's loop: rows ranked by |w| times the norm of the input."""

    def gather(sums: dict[str, Any], name: str, read: Tensor) -> None:
        rows = read.reshape(-1, read.shape[-1])
        sums[name] = sums.get(name, 0) + rows.double().square().sum(0)

    def prune(one: nn.Linear, squares: Tensor) -> None:
        scores = one.weight.double().abs() * squares.sqrt()
        order = torch.sort(scores, dim=-1, stable=True)[1]
        gone = order[:, : int(one.weight.shape[1] * LEVEL)]
        one.weight.scatter_(1, gone, 0.0)

    block_by_block(opened, batches, count, gather, prune)


def sparsegpt(
    opened: OpenModel,
    batches: Sequence[Batch],
    count: int,
    *,
    dtype: torch.dtype = torch.float32,
) -> None:
    """SparseGPT's loop: column by column in blocks, the rest made up for by the inverse Hessian.

    In float32 as its authors have it, which is timed; in double precision, as ours is, for the masks.
    """

    def gather(sums: dict[str, Any], name: str, read: Tensor) -> None:
        rows = read.reshape(-1, read.shape[-1])
        sums[name] = sums.get(name, 0) + (rows.T @ rows).to(dtype)

    def prune(one: nn.Linear, gram: Tensor) -> None:
        weight, hessian = one.weight.to(dtype, copy=True), gram.clone()
        dead = hessian.diagonal() == 0
        hessian[dead, dead] = 1
        weight[:, dead] = 0
        hessian.diagonal().add_(DAMPING * hessian.diagonal().mean())
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
        factor = torch.linalg.cholesky(inverse, upper=True)
        for start in range(0, weight.shape[1], COLUMNS):
            stop = min(start + COLUMNS, weight.shape[1])
            block, own = weight[:, start:stop].clone(), factor[start:stop, start:stop]
            scores = block**2 / own.diagonal() ** 2
            cut = scores.flatten().sort()[0][int(scores.numel() * LEVEL) - 1]
            gone, errors = scores <= cut, torch.zeros_like(block)
            for column in range(stop - start):
                kept = block[:, column].clone()
                kept[gone[:, column]] = 0
                error = (block[:, column] - kept) / own[column, column]
                block[:, column:] -= error[:, None] * own[column, column:]
                block[:, column] = kept
                errors[:, column] = error
            weight[:, start:stop] = block
            weight[:, stop:] -= errors @ factor[start:stop, stop:]
        one.weight.copy_(weight)

    block_by_block(opened, batches, count, gather, prune)


def ours(method: str) -> Callable[[OpenModel, Sequence[Batch], int], None]:
    """What `gen prune` does with an open model."""

    def run(opened: OpenModel, batches: Sequence[Batch], count: int) -> None:
        settings = Settings(method=method, scope=METHODS[method].scope)
        targets = {
            name: Target(
                quota(one.entry.input_axis, tuple(one.weight.shape), settings, LEVEL),
                np.dtype(np.float32),
            )
            for maps in layerwise.maps_by_block(opened.model).values()
            for name, one in maps.items()
        }
        layerwise.prune(opened.model, settings, targets, batches)

    return run


SIDES: dict[str, Callable[[OpenModel, Sequence[Batch], int], None]] = {
    "two passes": passes,
    "wanda, plain": wanda,
    "wanda, ours": ours("wanda"),
    "wanda, ours again": ours("wanda"),
    "sparsegpt, plain": sparsegpt,
    "sparsegpt, plain in double": partial(sparsegpt, dtype=torch.float64),
    "sparsegpt, ours": ours("sparsegpt"),
}


def measure(side: str, model: Path, samples: int, count: int, out: Path) -> None:
    """Run one side in this process, print its figures, and leave its mask in a file."""
    opening.be_quiet()
    torch.set_num_threads(1)
    opened = opening.open_model(locate(str(model), relative_to=Path()))
    blocks: nn.ModuleList = opened.model.model.layers
    del blocks[count:]
    shown = windows(opened, located_training(task("perplexity")), samples=samples, tokens=TOKENS)
    batches = [one.inputs(opened) for one in shown]
    forget_peak()
    before = current_and_peak()[0]
    start = time.perf_counter()
    with torch.inference_mode():
        SIDES[side](opened, batches, count)
    seconds = time.perf_counter() - start
    for part, file in ((blocks[0], first_of(out)), (blocks, out)):
        weights = [one.weight for one in part.modules() if isinstance(one, nn.Linear)]
        bits = [np.packbits(weight.detach().numpy() != 0) for weight in weights]
        np.concatenate(bits).tofile(file)
    print(json.dumps({"seconds": seconds, "above": current_and_peak()[1] - before}))


def first_of(file: Path) -> Path:
    """Where the mask of the first block alone is."""
    return file.with_name(f"{file.name}, first")


def apart(one: Path, other: Path) -> float:
    """The share of weights in which two masks differ."""
    both = np.fromfile(one, np.uint8) ^ np.fromfile(other, np.uint8)
    return float(np.unpackbits(both).mean())


@click.command()
@click.argument("model", type=click.Path(path_type=Path), default=MODEL)
@click.option("--samples", default=32)
@click.option("--blocks", default=30)
@click.option("--side", hidden=True)
@click.option("--out", type=click.Path(path_type=Path), hidden=True)
def main(model: Path, samples: int, blocks: int, side: str | None, out: Path | None) -> None:
    """Every side, what their masks have in common, and the ratios."""
    if side and out:
        measure(side, model, samples, blocks, out)
        return
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {one: folder / one.replace(" ", "-") for one in SIDES}
        for one, file in files.items():
            command = [sys.executable, "-m", "bench.methods", str(model), "--samples", str(samples),
                       "--blocks", str(blocks), "--side", one, "--out", str(file)]  # fmt: skip
            found[one] = json.loads(subprocess.check_output(command))
        pairs = {method: (files[same], files[f"{method}, ours"]) for method, same in SAME.items()}
        whole = {method: apart(*pair) for method, pair in pairs.items()}
        differing = {method: apart(*map(first_of, pair)) for method, pair in pairs.items()}
    least = found["two passes"]["seconds"]
    print(
        f"{model.name}, {blocks} blocks, {samples} windows of {TOKENS} tokens, level {LEVEL}, one thread"
    )
    for one, figures in found.items():
        print(
            f"  {one:26} {figures['seconds']:7.1f} s, {figures['seconds'] / least:5.2f} times two passes, "
            f"{figures['above'] / 1e9:.2f} GB above the model at its peak"
        )
    for method in MOST_APART:
        ratio = found[f"{method}, plain"]["seconds"] / found[f"{method}, ours"]["seconds"]
        print(
            f"  {method}: ours is {ratio:.2f} times as fast; masks differ in {differing[method]:.1e} of "
            f"the first block's weights, {whole[method]:.1e} of all"
        )
    again = found["wanda, ours again"]["seconds"] / found["wanda, ours"]["seconds"]
    print(f"  the same twice: {again:.2f}")
    missed = [method for method, share in differing.items() if share > MOST_APART[method]]
    if found["wanda, ours"]["seconds"] > LONGEST * least:
        missed.append(f"wanda within {LONGEST} times two passes")
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
