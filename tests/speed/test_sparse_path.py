"""The sparse path: the model that plain torch has, layer by layer by what was measured faster."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given
from hypothesis import strategies as st
from stage import Stage
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from experiments.checkpoint.folder import Checkpoint
from experiments.models import products
from experiments.models.opening import OpenModel, open_model
from experiments.quality import answering
from experiments.quality.tasks.table import Task
from experiments.speed import sparse_linear, sparse_path
from experiments.speed.latency import pinned
from experiments.speed.linear_maps import LinearMap, linear_maps
from experiments.speed.sparse_path import Trial

Saved = Callable[..., Path]
AMD = "vendor_id : AuthenticAMD flags : avx512f"
WORDS = ["a", "film", "is", "good", "bad", "very", "it", "dull", "not"]


def prune(model: nn.Module, level: float = 0.9) -> list[nn.Module]:
    """Set the smallest weights of every linear map inside a block to zero: the maps."""
    parts = [
        part
        for name, part in model.named_modules()
        if isinstance(part, nn.Linear | Conv1D)
        and any(word.isdecimal() for word in name.split("."))
    ]
    with torch.no_grad():
        for part in parts:
            sizes = part.weight.abs().flatten()
            part.weight[part.weight.abs() <= sizes.kthvalue(round(level * sizes.numel()))[0]] = 0
    return parts


def asked_of(name: str) -> dict[str, Tensor]:
    """Two rows of seven tokens, and what a family needs beside them."""
    ids = torch.randint(4, 40, (2, 7), generator=torch.Generator().manual_seed(0))
    asked = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if name in ("T5", "LED"):
        asked["decoder_input_ids"] = torch.full((2, 1), 2)
    if name == "LED":
        asked["global_attention_mask"] = torch.zeros_like(ids)
        asked["global_attention_mask"][:, 0] = 1
    return asked


MODELS = [
    ("GPT-2", {"initializer_range": 0.3}),
    ("BERT", {"initializer_range": 0.3}),
    ("T5", {"initializer_factor": 3.0}),
    ("LED", {"init_std": 0.3}),
    ("Llama", {"initializer_range": 0.3}),
]


@pytest.mark.parametrize(("name", "settings"), MODELS, ids=[name for name, _ in MODELS])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_model_with_every_map_sparse_gives_what_plain_torch_gives(
    name: str, settings: dict[str, float], threads: int, tiny_model: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    model: PreTrainedModel = tiny_model(name, **settings)
    parts, asked = prune(model), asked_of(name)
    maps = linear_maps(model)
    sparse = sparse_path.sparse_products(maps)
    assert {one.module for one in maps} == set(parts)
    assert sorted(sparse) == sorted(one.name for one in maps)
    with torch.inference_mode():
        plain = model(**asked).logits
        for part in parts:  # whoever multiplied by them would show it
            part.weight.fill_(math.nan)
        own = {one.module: sparse[one.name] for one in maps}
        with pinned(threads), products.multiplying(own):
            found = model(**asked).logits
    assert plain.abs().max() > 0.1, "outputs of nothing would show nothing"
    assert (found - plain).abs().max() < 1e-4 * max(1.0, float(plain.abs().max()))
    assert not any("forward" in vars(part) for part in parts)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_a_sparse_product_takes_any_leading_shape(kind: type[nn.Module], bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    part = nn.Linear(5, 7, bias=bias) if kind is nn.Linear else Conv1D(7, 5)
    weight = torch.randn(part.weight.shape, generator=generator)
    weight[torch.rand(weight.shape, generator=generator) < 0.5] = 0
    if part.bias is not None:
        nn.init.normal_(part.bias, generator=generator)
    rows = weight if kind is nn.Linear else weight.t()
    known = scipy.sparse.csr_array(rows.numpy())
    product = sparse_path.sparse_product(part, weight)
    for shape in [(5,), (0, 5), (1, 5), (40, 5), (2, 3, 5), (2, 0, 5), (2, 3, 4, 5)]:
        inputs = torch.randn(shape, generator=generator)
        expected = torch.from_numpy(known @ inputs.reshape(-1, 5).numpy().T).t()
        if part.bias is not None:
            expected = expected + part.bias.detach()
        found = product(inputs)
        assert found.shape == (*shape[:-1], 7)
        assert torch.allclose(found, expected.reshape(found.shape), atol=1e-5)
    turned = torch.randn((4, 5, 3), generator=generator).transpose(1, 2)
    assert torch.allclose(product(turned), product(turned.contiguous()))


def test_inputs_of_another_dtype_are_refused_never_misread() -> None:
    product = sparse_path.sparse_product(nn.Linear(2, 1), torch.tensor([[0.0, 1.0]]))
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64):
        with pytest.raises(ValueError, match=f"{dtype} inputs to a sparse product of float32"):
            product(torch.ones((3, 2), dtype=dtype))


def test_maps_are_the_linear_maps_of_blocks_in_canonical_order(tiny_model: Callable) -> None:
    model = tiny_model("GPT-2")
    inside = {name: part for name, part in model.named_modules() if isinstance(part, Conv1D)}
    maps = linear_maps(model)
    assert [one.name for one in maps] == sorted(f"{name}.weight" for name in inside)
    assert [one.role for one in maps[:4]] == [
        "attention query-key-value", "attention output", "feed-forward in", "feed-forward out",
    ]  # fmt: skip
    for one in maps:
        assert one.module is inside[one.name.removesuffix(".weight")]
        assert one.weight.data_ptr() == one.module.weight.data_ptr()


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (torch.zeros(2, 2), ""),
        (torch.tensor([[0.0, math.nan]]), ""),
        (torch.ones(2, 2), "no weight is zero"),
        (torch.full((2, 2), math.nan), "no weight is zero"),
        (torch.zeros(2, 2).bfloat16(), "bfloat16, the sparse product is of float32"),
        (torch.zeros(2, 2).half(), "float16, the sparse product is of float32"),
        (torch.zeros(2), "of shape (2,), no matrix"),
        (torch.zeros(2, 2, 2), "of shape (2, 2, 2), no matrix"),
        (torch.zeros(0, 2), "of shape (0, 2), no matrix"),
        (torch.zeros((2, 2), device="meta"), "on meta, the sparse product is for processors"),
    ],
)
def test_what_cannot_be_sparse_says_why(weight: Tensor, reason: str) -> None:
    one = LinearMap("w", "weight", nn.Linear(2, 2), weight)
    assert sparse_path.unfit(one) == reason


def a_map(name: str, weight: Sequence[Sequence[float]] = ((0, 1), (1, 0))) -> LinearMap:
    held = torch.tensor(weight, dtype=torch.float32)
    return LinearMap(name, "linear map", nn.Linear(*held.shape[::-1]), held)


X = torch.ones(1, 2)


def tried(stage: Stage, dense: Sequence[float], sparse: Sequence[float]) -> Trial:
    """The trial of one map that takes so many seconds, pass by pass."""
    one = a_map("a")
    ways = {"a": stage.product("dense", *dense)}, {"a": stage.product("sparse", *sparse)}
    (found,) = sparse_path.trials(lambda: one.module(X), [one], *ways, clock=stage.clock)
    return found


def test_a_map_is_timed_by_the_second_worst_of_five_pairs_of_passes() -> None:
    """The first pair is not counted, and they take turns; sparse takes 1/5, 8, 3/4, 2/9 and 1/2."""
    stage = Stage()
    found = tried(stage, (100, 5, 1, 4, 9, 8), (200, 1, 8, 3, 2, 4))
    assert (found.name, found.dense, found.sparse, found.reason) == ("a", 4, 3, "")
    assert found.faster
    assert [name[0] for name in stage.played] == list("dssdsddsdssd")


def test_a_clock_that_slows_down_in_between_is_not_taken_for_a_gain() -> None:
    """Sparse takes 1.1 times as long, but the medians of the passes are 15 and 11."""
    found = tried(Stage(), (10, 10, 10, 15, 15, 15), (11, 11, 11, 11, 16.5, 16.5))
    assert not found.faster
    assert found.sparse == pytest.approx(1.1 * found.dense)


def test_a_map_called_several_times_in_a_pass_adds_up_and_one_not_called_takes_nothing() -> None:
    stage, twice, never = Stage(), a_map("twice"), a_map("never")
    found = sparse_path.trials(
        lambda: (twice.module(X), twice.module(X)),
        [twice, never],
        {"twice": stage.product("dense", 1), "never": stage.product("dense", 1)},
        {"twice": stage.product("sparse", 3, 4), "never": stage.product("sparse", 1)},
        passes=1,
        clock=stage.clock,
    )
    assert found == [Trial("twice", 2, 8), Trial("never", 0, None, "its module is not called")]
    assert not any(trial.faster for trial in found)


def test_maps_are_timed_apart_and_nothing_between_them_counts() -> None:
    stage, maps = Stage(), [a_map("a"), a_map("b")]

    def call() -> None:
        for one in maps:
            stage.now += 1000
            one.module(X)

    found = sparse_path.trials(
        call,
        maps,
        {"a": stage.product("", 1), "b": stage.product("", 2)},
        {"a": stage.product("", 3), "b": stage.product("", 4)},
        clock=stage.clock,
    )
    assert found == [Trial("a", 1, 3), Trial("b", 2, 4)]


def test_a_map_that_cannot_be_sparse_is_timed_dense_and_says_why() -> None:
    stage = Stage()
    maps = [a_map("full", [[1, 1], [1, 1]]), a_map("half", [[0, 1], [1, 0]])]
    sparse = sparse_path.sparse_products(maps)
    assert list(sparse) == ["half"]
    found = sparse_path.trials(
        lambda: [one.module(X) for one in maps],
        maps,
        {"full": stage.product("full", 2), "half": stage.product("half", 5)},
        {"half": stage.product("half, sparse", 1)},
        clock=stage.clock,
    )
    assert found == [Trial("full", 2, None, "no weight is zero"), Trial("half", 5, 1)]
    assert stage.played[::2] == ["full"] * 12
    assert stage.played[1:5:2] == ["half", "half, sparse"]
    assert sorted(stage.played[1::2]) == ["half"] * 6 + ["half, sparse"] * 6
    assert [trial.faster for trial in found] == [False, True]


@pytest.mark.parametrize(
    ("dense", "sparse", "faster"),
    [(1.0, 1.0, False), (1.0, 1.1, False), (1.0, 0.96, False), (1.0, 0.95, False),
     (1.0, 0.94, True), (0.0, 0.0, False), (1.0, None, False)],
)  # fmt: skip
def test_a_gain_within_the_scatter_of_trials_is_none(
    dense: float, sparse: float | None, faster: bool
) -> None:
    trial = Trial("a", dense, sparse)
    assert trial.faster is faster
    assert trial.fastest == (sparse if faster else dense)


SECONDS = st.floats(0, 1e6)


@given(st.lists(st.tuples(SECONDS, st.none() | SECONDS)))
def test_no_layer_takes_a_way_that_measured_slower(
    times: list[tuple[float, float | None]],
) -> None:
    for at, (dense, sparse) in enumerate(times):
        if Trial(f"{at}", dense, sparse).faster:
            assert sparse is not None
            assert sparse < dense
        else:
            assert sparse is None or sparse >= 0.95 * dense


def test_modules_are_as_before_after_trials_and_after_a_pass_that_fails() -> None:
    one = a_map("a")
    ways = {"a": lambda inputs: inputs}
    sparse_path.trials(lambda: one.module(X), [one], ways, ways)
    assert "forward" not in vars(one.module)
    with pytest.raises(ZeroDivisionError):
        sparse_path.trials(lambda: 1 / 0, [one], ways, ways)
    assert "forward" not in vars(one.module)


@pytest.fixture
def films(tmp_path: Path) -> Task:
    """Twenty labelled sentences of several lengths."""
    rows = [
        " ".join(WORDS[(at * step) % len(WORDS)] for step in range(1, 3 + at % 5))
        for at in range(20)
    ]
    path = tmp_path / "films.tsv"
    path.write_text("sentence\tlabel\n" + "".join(f"{row}\tpositive\n" for row in rows))
    labels = ("negative", "positive")
    return Task(name="films", question="?", file=path, metric="accuracy", labels=labels)


ASKED = [
    ("GPT-2", {"initializer_range": 0.5}),
    ("BERT", {"initializer_range": 0.5, "seed": 8}),
    ("T5", {"initializer_factor": 20.0, "seed": 7}),
]


@pytest.fixture(params=ASKED, ids=[name for name, _ in ASKED])
def opened(saved: Saved, request: pytest.FixtureRequest) -> OpenModel:
    name, settings = request.param
    opened = open_model(Checkpoint("tiny", saved(name, **settings)))
    prune(opened.model)
    return opened


def one_by_one(opened: OpenModel, films: Task) -> tuple[Task, list[int]]:
    """The answers of plain transformers, sentence by sentence, to a task that has labels for them."""
    asked = [opened.tokenizer(text, return_tensors="pt") for text in films.load().texts]
    if not opened.model.config.is_encoder_decoder:
        return films, [int(opened.model(**one).logits.argmax()) for one in asked]
    written = [
        opened.model.generate(**one, max_new_tokens=3, do_sample=False, num_beams=1)[0]
        for one in asked
    ]
    said = [opened.tokenizer.decode(ids, skip_special_tokens=True) for ids in written]
    labels = sorted({*said} - {""})
    films.file.write_text(
        "sentence\tlabel\n" + "".join(f"{text}\t{labels[0]}\n" for text in films.load().texts)
    )
    task = Task(name="films", question="?", file=films.file, metric="accuracy", labels=(*labels,))
    return task, [labels.index(word) if word else -1 for word in said]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every product that the sparse kernel makes."""
    made: list[int] = []
    multiply = sparse_linear.multiply

    def count(held: sparse_linear.SparseWeight, *given: object, **how: int) -> object:
        made.append(held.values.size)
        return multiply(held, *given, **how)

    monkeypatch.setattr(sparse_linear, "multiply", count)
    return made


@pytest.mark.parametrize("worth", [0.0, sparse_path.WORTH, math.inf], ids=str)
@pytest.mark.parametrize("processor", [AMD, "vendor_id : GenuineIntel"])
def test_answers_are_the_same_whatever_the_layers_take(
    worth: float, processor: str, opened: OpenModel, films: Task, counted: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A `worth` of nothing makes every layer dense, one without bounds makes every layer sparse."""
    monkeypatch.setattr(products, "cpuinfo", lambda: processor)
    monkeypatch.setattr(products, "WORTH", 1)
    monkeypatch.setattr(answering, "_longest_label", lambda *_: 3)
    monkeypatch.setattr(sparse_path, "WORTH", worth)
    monkeypatch.setattr(sparse_path, "PAYS", worth)
    films, expected = one_by_one(opened, films)
    assert len(set(expected)) > 1, "answers that are all alike would show nothing"
    question = answering.prepare(opened, films)
    maps = [one.module for one in linear_maps(opened.model)]
    assert answering.predict(opened, question).tolist() == expected
    assert not counted
    with sparse_path.faster(opened.model, answering.a_little(opened, question)):
        own = {part: vars(part).get("forward") for part in maps}
        if worth != sparse_path.WORTH:
            assert all((product is not None) is bool(worth) for product in own.values())
        with products.packed(opened.model):
            assert all(vars(part)["forward"] is own[part] for part in maps if own[part])
        counted.clear()
        assert answering.predict(opened, question).tolist() == expected
        assert bool(counted) is any(own.values())
    assert not any("forward" in vars(part) for part in opened.model.modules())


def test_the_faster_ways_hold_inside_the_block_alone_even_where_it_fails(
    tiny_model: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_path, "WORTH", math.inf)
    monkeypatch.setattr(sparse_path, "PAYS", math.inf)
    model = tiny_model("BERT")
    parts, asked = prune(model), asked_of("BERT")

    def fails() -> None:
        with sparse_path.faster(model, lambda: model(**asked)):
            assert all("forward" in vars(part) for part in parts)
            raise RuntimeError("stop")

    with torch.inference_mode(), pytest.raises(RuntimeError, match="stop"):
        fails()
    assert not any("forward" in vars(part) for part in parts)
    with pytest.raises(ZeroDivisionError), sparse_path.faster(model, lambda: 1 / 0):
        pass
    assert not any("forward" in vars(part) for part in parts)


def test_where_no_map_can_be_sparse_nothing_is_tried_and_each_says_why(
    tiny_model: Callable,
) -> None:
    model = tiny_model("BERT").to(torch.bfloat16)
    with sparse_path.faster(model, lambda: 1 / 0) as found:
        assert not any("forward" in vars(part) for part in model.modules())
    assert {(trial.faster, trial.sparse, trial.reason) for trial in found.last} == {
        (False, None, "bfloat16, the sparse product is of float32")
    }


def test_a_map_is_sparse_where_it_is_the_faster_on_every_piece(
    tiny_model: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the second piece one map is slower sparse: it stays dense, though on the first it won."""
    model = tiny_model("BERT")
    names = [one.name for one in linear_maps(model)]
    prune(model)
    pieces = [lambda: 1, lambda: 8]

    def tried(call: Callable, *_: object) -> list[Trial]:
        slower = 2.0 if call() == 8 else 0.5
        return [Trial(names[0], 1.0, slower), *(Trial(name, 1.0, 0.5) for name in names[1:])]

    monkeypatch.setattr(sparse_path, "trials", tried)
    monkeypatch.setattr(sparse_path, "pays", lambda *_, **__: False)
    with sparse_path.faster(model, *pieces) as found:
        assert found.sparse == set()
        assert {trial.reason for trial in found.last[1:]} == {sparse_path.NO_GAIN}
        assert not any("forward" in vars(part) for part in model.modules())
    monkeypatch.setattr(sparse_path, "pays", lambda *_, **__: True)
    with sparse_path.faster(model, *pieces) as found:
        assert found.sparse == set(names[1:])
        assert [trial.sparse for trial in found.last[:2]] == [2.0, 0.5]
        taken = {name for name, part in model.named_modules() if "forward" in vars(part)}
    assert {f"{name}.weight" for name in taken} == set(names[1:])


@pytest.mark.parametrize(
    ("sparse", "pays"),
    [(97, True), (98, False), (99, False), (120, False)],
)
def test_whole_passes_pay_from_two_per_cent_on(sparse: float, pays: bool) -> None:
    stage = Stage()
    lanes = stage.lane("dense", 100), stage.lane("sparse", sparse)
    assert sparse_path.pays(*lanes, clock=stage.clock) is pays


def test_three_of_four_pairs_of_whole_passes_must_be_the_faster() -> None:
    """Each round a pass to warm up, then one that counts; of five pairs as many are slower as said."""
    for slower, pays in ((1, True), (2, False), (3, False)):
        stage = Stage()
        seconds = [second for at in range(5) for second in (1, 200 if at < slower else 50)]
        lanes = stage.lane("dense", 100), stage.lane("sparse", *seconds)
        assert sparse_path.pays(*lanes, clock=stage.clock) is pays, slower


def test_a_product_placed_anew_is_the_same_of_other_memory() -> None:
    product = sparse_path.sparse_product(nn.Linear(2, 1), torch.tensor([[0.0, 3.0]]))
    placed = product.placed()
    assert placed(torch.ones(1, 2)).equal(product(torch.ones(1, 2)))
    for name in ("values", "columns", "starts", "order"):
        one, other = getattr(product.held, name), getattr(placed.held, name)
        assert (one == other).all()
        assert not np.shares_memory(one, other)


def test_a_gradient_through_a_sparse_product_is_refused() -> None:
    product = sparse_path.sparse_product(nn.Linear(2, 1), torch.tensor([[0.0, 1.0]]))
    asked = torch.ones(1, 2, requires_grad=True)
    with pytest.raises(ValueError, match="a gradient asked of a sparse product"):
        product(asked)
    with torch.no_grad():
        assert product(asked).shape == (1, 1)
