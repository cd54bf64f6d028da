"""Forward passes with most weights zero: the sparse path beside dense, one thread, in turn.

    python -m bench.latency [--rounds 21]

Backbones without a language-model head, which would cap the gain, of GPT-2-small's and BERT-base's
shape with weights drawn at random as transformers does, GPT-2's once more with all layers drawn alike,
since it draws half of them so small that from 90 % on nothing is left there; and SmolLM2-135M and
MiniLM, as `make reference` fetched them, where it did. All pruned globally by magnitude. Dense twice:
as plain torch runs the model, which the targets are of, and by the fastest dense products known for
this processor. Every layer of the sparse path was tried both ways before, and takes the sparse way only
if that was the faster. The most there is to win is plain torch's time beside a pass in which linear maps
do nothing: what is left is attention, norms and Python, which no sparsity makes faster.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import torch
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model
from transformers.pytorch_utils import Conv1D

from experiments.checkpoint.locate import locate
from experiments.models import opening, products
from experiments.pruning.choosing import Settings, choose
from experiments.pruning.open_weights import prunable_tensors, prune_in_place
from experiments.records.provenance import processor
from experiments.speed import sparse_path
from experiments.speed.sparse_path import LinearMap
from experiments.speed.stopwatch import Lane, Timing, first_calls, time_rounds

LEVELS = (0.1, 0.5, 0.9, 0.95, 0.99)
SHAPES = ((1, 1), (1, 32), (8, 32))
# The least ratios to plain torch at 90, 95 and 99 %, by name and (batch, tokens).
TARGETS: Mapping[tuple[str, int, int], tuple[float, ...]] = {
    ("GPT-2 small", 1, 32): (2.6, 3.9, 6.3),
    ("GPT-2 small", 8, 32): (1.8, 2.9, 5.0),
    ("BERT base", 1, 32): (3.0, 4.6, 8.0),
}
NEVER_SLOWER = 0.95  # no interval may lie below it, at any level and shape
TOLERANCE = 1e-3  # between outputs, of the largest
REFERENCE = Path("build/reference")
TRAINED = {"SmolLM2-135M": "SmolLM2-135M-Instruct.Q4_1.gguf", "MiniLM-L6": "all-MiniLM-L6-v2"}


@dataclass(frozen=True)
class Found:
    """How many times as fast one way of running a model is as another, with interval."""

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.ratio:5.2f} [{self.low:.2f}, {self.high:.2f}]"


def backbones() -> Iterator[tuple[str, nn.Module]]:
    """The models, one open at a time."""
    torch.manual_seed(0)
    makers: dict[str, Callable[[], Any]] = {
        "GPT-2 small": lambda: GPT2Model(GPT2Config()),
        "BERT base": lambda: BertModel(BertConfig()),
    }
    for name, make in makers.items():
        yield name, make().eval()
    alike = makers["GPT-2 small"]().eval()
    for one in sparse_path.linear_maps(alike):
        nn.init.normal_(one.weight, std=alike.config.initializer_range)
    yield "GPT-2 small, layers alike", alike
    for name, file in TRAINED.items():
        if (REFERENCE / file).exists():
            model = opening.open_model(locate(str(REFERENCE / file), relative_to=Path())).model
            yield name, model.base_model
        else:
            print(f"{name} is left out: {REFERENCE / file} was not fetched, see `make reference`")


def compared(
    model: nn.Module,
    maps: Sequence[LinearMap],
    sparse: Mapping[str, products.Product],
    shape: tuple[int, int],
    rounds: int,
) -> tuple[dict[str, Found], int, float]:
    """The sparse path's ratio to each dense and the most there is, layers sparse, outputs' difference.

    The difference is the largest between outputs, as a fraction of the largest output.
    """
    ids = torch.randint(5, 1000, shape, generator=torch.Generator().manual_seed(0))
    call = partial(model, input_ids=ids)
    dense = {one.name: products.fixed(one.module, one.weight, tokens=ids.numel()) for one in maps}
    fastest = {one.module: dense[one.name] for one in maps}
    taken = sparse_path.chosen(maps, sparse_path.trials(call, maps, dense, sparse), sparse)
    ways = [{}, fastest, fastest | taken, nothing_done(maps)]
    lanes = [Lane(partial(products.multiplying, own), lambda: call()[0]) for own in ways]
    outputs: list[Any] = [output for _, output in first_calls(lanes, clock=perf_counter)]
    times = time_rounds(lanes, rounds=rounds, clock=perf_counter)
    plain, other, ours, rest = (Timing(0, seconds) for seconds in times)
    found = {}
    for name, one, peer in (
        ("plain torch", ours, plain),
        ("fastest dense", ours, other),
        ("most", rest, plain),
    ):
        ratio, interval = one.ratio(peer)
        found[name] = Found(ratio, *(interval or (ratio, ratio)))
    apart = (outputs[2] - outputs[0]).abs().max() / outputs[0].abs().max()
    return found, len(taken), float(apart)


def nothing_done(maps: Sequence[LinearMap]) -> dict[nn.Module, products.Product]:
    """Products that give zeros which lie ready, the same of a shape to all."""
    made: dict[tuple[int, ...], torch.Tensor] = {}

    def zeros(size: int, inputs: torch.Tensor) -> torch.Tensor:
        shape = (*inputs.shape[:-1], size)
        if shape not in made:
            made[shape] = torch.zeros(shape)
        return made[shape]

    return {
        one.module: partial(zeros, one.weight.shape[1 if isinstance(one.module, Conv1D) else 0])
        for one in maps
    }


def judged(
    name: str, level: float, shape: tuple[int, int], found: Mapping[str, Found], difference: float
) -> Iterator[str]:
    """What of one level and shape misses its target."""
    targets = dict(zip(LEVELS[2:], TARGETS.get((name, *shape), ())))
    if (target := targets.get(level)) and found["plain torch"].ratio < target:
        most = found["most"].ratio
        yield f"{found['plain torch']} where {target} was wanted, of {most:.1f} at most"
    for peer in ("plain torch", "fastest dense"):
        if found[peer].high < NEVER_SLOWER:
            yield f"slower than {peer}, {found[peer]}"
    if difference > TOLERANCE:
        yield f"outputs {difference:.2g} of the largest apart"


@click.command(help=__doc__)
@click.option("--rounds", type=click.IntRange(min=6), default=21, show_default=True)
def main(rounds: int) -> None:
    """Every model at every level and shape, and what misses its target."""
    opening.be_quiet()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    missed = []
    print(f"{processor()}, one thread, {rounds} rounds; median ratio and its 95 % interval")
    for name, model in backbones():
        print(f"{name}: fastest dense by {products.name(model)}")
        tensors = prunable_tensors(model)
        for level, choice in zip(LEVELS, choose(tensors, Settings(), LEVELS)):
            prune_in_place(tensors, choice)
            maps = sparse_path.linear_maps(model)
            sparse = sparse_path.sparse_products(maps)
            for shape in SHAPES:
                found, taken, difference = compared(model, maps, sparse, shape, rounds)
                print(
                    f"  {level:4.0%}  {shape[0]} x {shape[1]:<3} times plain torch "
                    f"{found['plain torch']} of {found['most'].ratio:4.1f} at most  "
                    f"times fastest dense {found['fastest dense']}  "
                    f"{taken} of {len(maps)} layers sparse, outputs within {difference:.1e}",
                    flush=True,
                )
                missed += [
                    f"{name}, {level:.0%}, {shape[0]} x {shape[1]}: {what}"
                    for what in judged(name, level, shape, found, difference)
                ]
    for line in missed:
        print(f"missed: {line}")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
