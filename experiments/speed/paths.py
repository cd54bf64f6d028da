"""The paths by which an open model is timed: dense, masked and sparse, each with weights placed anew.

Dense and masked multiply in the modes that tried fastest here. Reads the clock for the trials.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from experiments.checkpoint.positions import refuse_longer
from experiments.models import products
from experiments.models.feeding import attention_to_first, vocabulary
from experiments.models.opening import OpenModel, end_marks
from experiments.models.products import Product
from experiments.pruning.choosing import Choice
from experiments.pruning.open_weights import prunable_tensors
from experiments.speed import dense_path, sparse_path
from experiments.speed.linear_maps import linear_maps, plain_maps
from experiments.speed.placement import Placement, holding
from experiments.speed.sparse_path import SparseProduct, Trial
from experiments.speed.stopwatch import Clock, Lane

Own = dict[nn.Module, Product]
Weights = Mapping[str, Tensor]
Shape = tuple[int, int]


@dataclass(frozen=True)
class Path:
    """How the model is run: with which prunable weights, and by which products, made of them in place."""

    level: float
    name: str
    weights: Weights
    products: Callable[[], Own]


class TimedModel:
    """An open model with its inputs, (batch, tokens), and for each the mode its maps multiply fastest in.

    `maps` are prunable and `dense` their weights, `every` are all that multiply as linear maps do.
    """

    def __init__(self, opened: OpenModel, shapes: Sequence[Shape], *, clock: Clock) -> None:
        self.opened, self.clock = opened, clock
        self.maps, self.every = linear_maps(opened.model), plain_maps(opened.model)
        self.dense: Weights = {one.name: one.weight for one in self.maps}
        self.inputs = {shape: random_inputs(opened, *shape) for shape in shapes}
        self._placement = Placement()
        self.modes = {shape: self._fastest(shape) for shape in shapes}

    def call(self, shape: Shape) -> Callable[[], object]:
        """A pass of the model."""
        return partial(self.opened.model, **self.inputs[shape])

    def path(self, shape: Shape) -> Path:
        """The dense one."""
        return Path(0.0, "dense", self.dense, partial(self.products, shape))

    def mode_paths(self, shape: Shape) -> list[Path]:
        """The dense path in every mode that there is, by the mode's name."""
        tokens = shape[0] * shape[1]
        return [
            Path(0.0, mode, self.dense, partial(dense_path.products_of, self.every, mode, tokens))
            for mode in dense_path.known(self.every)
        ]

    def _fastest(self, shape: Shape) -> str:
        paths = self.mode_paths(shape)
        lanes = zip((path.name for path in paths), self.lanes(paths, shape))
        return dense_path.fastest(dict(lanes), clock=self.clock)

    def products(self, shape: Shape, sparse: Mapping[str, SparseProduct] | None = None) -> Own:
        """Every map's product of the weights its module has now: sparse where one is given."""
        sparse = sparse or {}
        dense = [one for one in self.every if one.name not in sparse]
        own = dense_path.products_of(dense, self.modes[shape], shape[0] * shape[1])
        for one in self.maps:
            if one.name in sparse:
                own[one.module] = sparse[one.name].placed()
        return own

    def lanes(self, paths: Sequence[Path], shape: Shape) -> list[Lane]:
        """What runs the model by each path."""
        return [Lane(partial(self.within, path), self.call(shape)) for path in paths]

    @contextmanager
    def within(self, path: Path) -> Iterator[None]:
        """Inside the block the model runs by a path, its weights placed anew."""
        weights = self._placement.copies(path.weights)
        with holding(self.opened.model, weights), products.multiplying(path.products()):
            yield

    def masked(self, choice: Choice) -> Weights:
        """The prunable weights at a level: dense storage with zeros where the level removes."""
        tensors = prunable_tensors(self.opened.model)
        return {tensor.entry.name: torch.from_numpy(choice.after(tensor)) for tensor in tensors}


class PrunedModel:
    """A timed model at one level, whose sparse products lie ready."""

    def __init__(self, model: TimedModel, level: float, weights: Weights) -> None:
        self.model, self.level, self.weights = model, level, weights
        self.maps = [replace(one, weight=weights[one.name]) for one in model.maps]
        self.sparse_products = sparse_path.sparse_products(self.maps)

    @property
    def most(self) -> float:
        """How many times as fast skipping all zeros could be: weights over those that are left.

        Of stacks of experts, which stay dense, a pass takes a part only: they do not count.
        """
        weights = [one.weight for one in self.maps if not one.stacked]
        left = sum(int(torch.count_nonzero(weight)) for weight in weights)
        return sum(weight.numel() for weight in weights) / left if left else torch.inf

    def masked(self, shape: Shape) -> Path:
        """Dense arithmetic on the level's weights."""
        return replace(
            self.model.path(shape), level=self.level, name="masked", weights=self.weights
        )

    def sparse(self, shape: Shape, trials: Sequence[Trial] | None = None) -> Path:
        """The path on which the maps that won their trials, without trials all that can, skip zeros."""
        won = None if trials is None else {trial.name for trial in trials if trial.faster}
        taken = {
            name: product
            for name, product in self.sparse_products.items()
            if won is None or name in won
        }
        return replace(
            self.masked(shape), name="sparse", products=partial(self.model.products, shape, taken)
        )

    def trials(self, shape: Shape) -> list[Trial]:
        """Every map tried dense and sparse; all stay dense where whole passes are no faster."""
        model, masked = self.model, self.masked(shape)
        with model.within(masked):
            dense = {one.name: one.module.forward for one in self.maps}
            found = sparse_path.trials(
                model.call(shape), self.maps, dense, self.sparse_products, clock=model.clock
            )
        if not any(trial.faster for trial in found):
            return found
        lanes = model.lanes([model.path(shape), self.sparse(shape, found)], shape)
        pays = sparse_path.pays(*lanes, clock=model.clock)
        return found if pays else sparse_path.fallen_back(found)


def random_inputs(opened: OpenModel, batch: int, tokens: int) -> dict[str, Tensor]:
    """Token ids drawn with a fixed seed, shape (batch, tokens); a decoder that writes gets its start mark.

    An encoder-decoder's classifier feeds its decoder itself, and reads its answer off the one end
    mark of each row: the last token.

    Raises:
        ReportError: where the model has no place for so many tokens.
    """
    config = opened.model.config
    refuse_longer(opened.checkpoint.name, tokens, config.to_dict())
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, vocabulary(opened), (batch, tokens), generator=generator)
    classifies = type(opened.model).__name__.endswith("ForSequenceClassification")
    ends = end_marks(config) if config.is_encoder_decoder and classifies else []
    marks = {config.pad_token_id, *ends}
    for mark in marks - {None}:
        ids[ids == mark] = next(token for token in range(len(marks) + 1) if token not in marks)
    for end in ends[:1]:
        ids[:, -1] = end
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if config.is_encoder_decoder and not classifies:
        start = getattr(config, "decoder_start_token_id", None) or 0
        inputs["decoder_input_ids"] = torch.full((batch, 1), start)
    return inputs | attention_to_first(opened, ids)
