"""Forward passes with some weights zero: dense in every mode, masked and sparse, in turn.

    python -m bench.latency [--rounds 21] [--shape 1 32 ...] [NAME ...]

Backbones without a language-model head, which would cap the gain, of GPT-2-small's and BERT-base's
shape with weights drawn at random as transformers does, GPT-2's once more with all layers drawn alike,
since it draws half of them so small that from 90 % on nothing is left there; SmolLM2-135M and MiniLM, as
`make reference` fetched them, where it did; and the bundled miniatures. All pruned globally by magnitude.
Of every model and shape there is printed

- dense as it is timed (`gen latency`'s) beside each mode for all maps: it is to be within 3 % of the best;
- masked against dense, the same arithmetic twice: at most one interval in ten may miss 1, none by 3 %;
- sparse against dense, which the targets are of, never above 1 / (1 - level), never below 0.98; the most
  there is to win, a pass in which pruned maps do nothing, and sparse against that; and how much of it there
  is to win at this level where each map took time by the weights it has left.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path as File
from time import perf_counter
from typing import Any

import click
import torch
from torch import nn
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model
from transformers.pytorch_utils import Conv1D

from experiments.checkpoint.folder import Checkpoint
from experiments.checkpoint.locate import locate
from experiments.models import opening, products
from experiments.models.opening import OpenModel
from experiments.pruning.choosing import choose
from experiments.pruning.open_weights import prunable_tensors
from experiments.pruning.settings import Settings
from experiments.records.provenance import processor
from experiments.speed import sparse_path
from experiments.speed.latency import pinned
from experiments.speed.linear_maps import linear_maps
from experiments.speed.paths import PrunedModel, TimedModel
from experiments.speed.stopwatch import Lane, Timing, first_calls, time_rounds

LEVELS = (0.01, 0.1, 0.33, 0.5, 0.9, 0.95, 0.99)
SHAPES = ((1, 1), (1, 32), (8, 32))
# The least ratios to dense at 90 and 95 %, and how much of what there is to win at 99 %.
TARGETS: Mapping[tuple[str, int, int], Mapping[float, float]] = {
    ("GPT-2 small", 1, 32): {0.9: 2.6, 0.95: 3.9},
}
OF_THE_MOST = {("GPT-2 small", 1, 32): 0.8}
NEVER_SLOWER = 0.98  # no sparse interval may lie below it, at any level and shape
BEST_DENSE = 1.03  # times the fastest mode's median at most
MISSES_DUE, FARTHEST = 0.1, 0.03  # of masked intervals, and how far their nearer end from 1
PATIENCE = 40.0  # seconds for the rounds of one level and shape
REFERENCE = File("build/reference")
TRAINED = {"SmolLM2-135M": "SmolLM2-135M-Instruct.Q4_1.gguf", "MiniLM-L6": "all-MiniLM-L6-v2"}
MINIATURES = ("gpt2-reviews", "deberta-reviews", "led-reviews")


@dataclass(frozen=True)
class Ratio:
    """How many times as fast one path is as another, with interval."""

    ratio: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """Of paired seconds."""
        ratio, interval = Timing(0, tuple(ours)).ratio(Timing(0, tuple(theirs)))
        return cls(ratio, *(interval or (ratio, ratio)))

    def __str__(self) -> str:
        return f"{self.ratio:5.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass
class Verdicts:
    """What missed its target, and every masked interval."""

    missed: list[str] = field(default_factory=list)
    masked: list[Ratio] = field(default_factory=list)

    def judge_masked(self) -> None:
        """Whether as many masked intervals hold 1 as should."""
        off = [max(one.low - 1, 1 - one.high) for one in self.masked]
        missing = [one for one in off if one > 0]
        print(
            f"masked against dense: {len(missing)} of {len(off)} intervals miss 1, "
            f"{0.05 * len(off):.1f} are due; the nearer end of none is farther from it than "
            f"{max([0.0, *missing]):.1%}"
        )
        if len(missing) > MISSES_DUE * len(off):
            self.missed.append(f"masked: {len(missing)} of {len(off)} intervals miss 1")
        if max([0.0, *missing]) > FARTHEST:
            self.missed.append(f"masked: an interval that ends {max(missing):.1%} from 1")


def models() -> Iterator[tuple[str, OpenModel]]:
    """The models, one open at a time."""
    torch.manual_seed(0)
    makers: dict[str, Callable[[], Any]] = {
        "GPT-2 small": lambda: GPT2Model(GPT2Config()),
        "BERT base": lambda: BertModel(BertConfig()),
    }
    for name, make in makers.items():
        yield name, opened(name, make())
    alike = makers["GPT-2 small"]()
    for one in linear_maps(alike):
        nn.init.normal_(one.weight, std=alike.config.initializer_range)
    yield "GPT-2 small, layers alike", opened("GPT-2 small, layers alike", alike)
    for name, file in TRAINED.items():
        if (REFERENCE / file).exists():
            there = opening.open_model(locate(str(REFERENCE / file), relative_to=File()))
            yield name, opened(name, there.model.base_model)
        else:
            print(f"{name} is left out: {REFERENCE / file} was not fetched, see `make reference`")
    for name in MINIATURES:
        yield name, opening.open_model(locate(f"mini/{name}", relative_to=File()))


def opened(name: str, model: Any) -> OpenModel:
    """A model that comes from no file."""
    return OpenModel(Checkpoint(name, File(name)), model.eval())


def idle(run: TimedModel, shape: tuple[int, int]) -> dict[nn.Module, products.Product]:
    """Products of pruned maps give zeros that lie ready, the same of a shape to all; others are dense."""
    made: dict[tuple[int, ...], torch.Tensor] = {}

    def zeros(size: int, inputs: torch.Tensor) -> torch.Tensor:
        shape = (*inputs.shape[:-1], size)
        if shape not in made:
            made[shape] = torch.zeros(shape)
        return made[shape]

    return run.products(shape) | {
        one.module: partial(zeros, one.weight.shape[1 if isinstance(one.module, Conv1D) else 0])
        for one in run.maps
    }


def affordable(lanes: Sequence[Lane], most: int) -> int:
    """Rounds for which PATIENCE suffices, judged by one more of each lane: 11 at least."""
    start = perf_counter()
    first_calls(lanes, clock=perf_counter)
    return max(11, min(most, round(PATIENCE / (2 * (perf_counter() - start)))))


def dense_modes(
    name: str, run: TimedModel, shape: tuple[int, int], rounds: int, verdicts: Verdicts
) -> None:
    """Print dense as it is timed, and every mode for all maps, in one turn."""
    paths = [run.path(shape), *run.mode_paths(shape)]
    names = [path.name for path in paths[1:]]
    lanes = run.lanes(paths, shape)
    times = time_rounds(lanes, rounds=affordable(lanes, rounds), clock=perf_counter)
    medians = [Timing(0, seconds).median for seconds in times]
    best = names[medians.index(min(medians[1:])) - 1]
    beside = Ratio.of(times[names.index(best) + 1], times[0])
    print(f"  {shape[0]} x {shape[1]:<3} dense takes {1000 * medians[0]:.2f} ms "
          f"({run.modes[shape]}); "
          + ", ".join(f"{mode} {1000 * each:.2f}" for mode, each in zip(names, medians[1:])))  # fmt: skip
    if beside.low > BEST_DENSE:
        verdicts.missed.append(f"{name}, {shape}: dense is {beside} times as slow as {best}")


def level(name: str, pruned: PrunedModel, rounds: int, verdicts: Verdicts) -> None:
    """Print one level at every shape."""
    run, at = pruned.model, pruned.level
    for shape in run.inputs:
        trials = pruned.trials(shape)
        dense = run.path(shape)
        rest = replace(dense, name="nothing", products=partial(idle, run, shape))
        paths = [dense, pruned.masked(shape), pruned.sparse(shape, trials), rest]
        lanes = run.lanes(paths, shape)
        times = time_rounds(lanes, rounds=affordable(lanes, rounds), clock=perf_counter)
        aa, gain, most = (Ratio.of(each, times[0]) for each in times[1:])
        share = Ratio.of(times[2], times[3])
        taken = sum(trial.faster for trial in trials)
        fell = any(trial.reason == sparse_path.NO_GAIN for trial in trials)
        limit = pruned.most
        print(
            f"  {at:4.0%}  {shape[0]} x {shape[1]:<3} sparse {gain} of {min(limit, most.ratio):5.2f} at "
            f"most (no map: {most.ratio:.2f}, of which {share}; zeros: {limit:.2f})  masked {aa}  {taken} of "
            f"{len(trials)} maps sparse{', fell back whole' if fell else ''}",
            flush=True,
        )
        verdicts.masked.append(aa)
        where = f"{name}, {at:.0%}, {shape[0]} x {shape[1]}"
        key = (name, *shape)
        wanted = TARGETS.get(key, {}).get(at, 0.0)
        if gain.ratio < wanted:
            verdicts.missed.append(f"{where}: {gain} where {wanted:.2f} was wanted")
        wanted = OF_THE_MOST.get(key, 0.0)
        if at == LEVELS[-1] and share.ratio < wanted:
            verdicts.missed.append(f"{where}: {share} of the most where {wanted:.2f} was wanted")
        if gain.low > limit:
            verdicts.missed.append(f"{where}: {gain} is more than arithmetic allows, {limit:.2f}")
        if gain.high < NEVER_SLOWER:
            verdicts.missed.append(f"{where}: slower than dense, {gain}")


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--rounds", type=click.IntRange(min=11), default=21, show_default=True)
@click.option(
    "--shape",
    "shapes",
    type=(int, int),
    multiple=True,
    default=SHAPES,
    show_default=True,
    help="Batch and tokens; repeat.",
)
def main(names: tuple[str, ...], rounds: int, shapes: tuple[tuple[int, int], ...]) -> None:
    """Every model at every level and shape, and what misses its target."""
    opening.be_quiet()
    verdicts = Verdicts()
    print(
        f"{processor()}, one thread, {rounds} rounds; median ratio to dense and its 95 % interval"
    )
    with torch.inference_mode(), pinned(1):
        sparse_path.compile_ahead()
        for name, there in models():
            if names and name not in names:
                continue
            print(name)
            run = TimedModel(there, shapes, clock=perf_counter)
            for shape in shapes:
                dense_modes(name, run, shape, rounds, verdicts)
            choices = choose(prunable_tensors(there.model), Settings(), LEVELS)
            for at, choice in zip(LEVELS, choices):
                level(name, PrunedModel(run, at, run.masked(choice)), rounds, verdicts)
    verdicts.judge_masked()
    for line in verdicts.missed:
        print(f"missed: {line}")
    if verdicts.missed:
        sys.exit(1)


if __name__ == "__main__":
    main()
