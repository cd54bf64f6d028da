"""Products of every mode: the same float32 numbers but for the last bits, and only inside the block."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from experiments.models import products

AMD = "vendor_id : AuthenticAMD flags : avx2 avx512f"
AMD_WITHOUT = "vendor_id : AuthenticAMD flags : avx"
INTEL = "vendor_id : GenuineIntel flags : avx2 avx512f"
SHAPES = [(5,), (1, 5), (33, 5), (2, 3, 5), (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("BERT", {"initializer_range": 0.2}), ("Llama", {"initializer_range": 0.2}), ("T5", {})],
    ids=["BERT", "Llama", "T5"],
)
def test_outputs_are_the_same_but_for_rounding_and_follow_what_was_pruned_before(
    name: str, settings: dict[str, float], tiny_model: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: AMD)
    monkeypatch.setattr(products, "WORTH", 1)
    model = tiny_model(name, **settings)
    ids = torch.randint(4, 16, (3, 9), generator=torch.Generator().manual_seed(0))
    asked = {"input_ids": ids} | ({"decoder_input_ids": ids} if name == "T5" else {})
    linear = [part for part in model.modules() if type(part) is torch.nn.Linear]
    with torch.inference_mode():
        plain = model(**asked).logits
        with products.packed(model):
            assert all("forward" in vars(part) for part in linear)
            assert torch.allclose(model(**asked).logits, plain, atol=1e-5)
        linear[0].weight.data[::2] = 0
        with products.packed(model):
            pruned = model(**asked).logits
        assert not any("forward" in vars(part) for part in linear)
        assert torch.allclose(model(**asked).logits, pruned, atol=1e-5)
    assert not torch.allclose(pruned, plain, atol=1e-5)


@pytest.mark.parametrize(
    ("processor", "dtype", "packs"),
    [(AMD, torch.float32, True), (AMD, torch.bfloat16, False), (AMD_WITHOUT, torch.float32, False),
     (INTEL, torch.float32, True), ("", torch.float32, False)],
)  # fmt: skip
def test_the_processor_decides_what_answers_come_from(
    processor: str, dtype: torch.dtype, packs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: processor)
    monkeypatch.setattr(products, "WORTH", 5 * 7)
    assert products.usual(small := nn.Linear(5, 6)) == small.forward
    part = nn.Linear(5, 7).to(dtype)
    assert (products.usual(part) != part.forward) is packs


def test_a_model_too_large_to_be_held_twice_multiplies_as_torch_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: AMD)
    monkeypatch.setattr(products, "WORTH", 1)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))  # 128 bytes of weights
    for most, packs in ((127, False), (128, True)):
        monkeypatch.setattr(products, "MOST_PACKED", most)
        with products.packed(model), torch.inference_mode():
            for part in model:
                assert (part.forward != type(part).forward.__get__(part)) is packs


def test_a_mode_that_torch_was_not_built_with_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    part = nn.Linear(5, 7)
    monkeypatch.setattr(products, "ONEDNN", object())
    monkeypatch.setattr(products, "MKL", object())
    left = ["torch", "torch, weights turned", "numpy's BLAS"]
    assert list(products.modes(part)) == left
    assert list(products.modes(part.half())) == ["torch"]


def drawn(kind: str) -> nn.Module:
    """A map from 5 features to 7, with weights and bias that tell rows from columns."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        part = Conv1D(7, 5) if kind == "Conv1D" else nn.Linear(5, 7, bias=kind != "no bias")
        for parameter in part.parameters():
            nn.init.normal_(parameter)
    return part


@pytest.mark.parametrize("mode", products.modes(nn.Linear(5, 7)))
@pytest.mark.parametrize("kind", ["Linear", "no bias", "Conv1D"])
def test_a_product_is_the_modules_own_at_any_leading_shape(kind: str, mode: str) -> None:
    part, generator = drawn(kind), torch.Generator().manual_seed(1)
    with torch.inference_mode():
        product = products.MODES[mode](part, 6)
        for shape in SHAPES:
            inputs = torch.randn(shape, generator=generator)
            own = part(inputs)
            assert product(inputs).shape == (*shape[:-1], 7)
            assert torch.allclose(product(inputs), own, atol=1e-5)
        turned = torch.randn((5, 3), generator=generator).t()
        assert torch.allclose(product(turned), part(turned), atol=1e-5)


@pytest.mark.parametrize("mode", products.modes(nn.Linear(5, 7)))
@pytest.mark.parametrize("kind", ["Linear", "no bias", "Conv1D"])
def test_a_product_is_of_the_weights_that_the_module_has_when_it_is_made(
    kind: str, mode: str
) -> None:
    part, before = drawn(kind), drawn(kind)
    with torch.inference_mode():
        part.weight.data = before.weight * (before.weight > 0)
        product, inputs = products.MODES[mode](part, 6), torch.ones(2, 5)
        assert torch.allclose(product(inputs), part(inputs), atol=1e-5)
        assert not torch.allclose(product(inputs), before(inputs), atol=1e-5)


def test_modules_multiply_as_given_inside_the_block_alone_and_after_a_failure() -> None:
    part, inputs = drawn("Linear"), torch.ones(1, 5)
    with products.multiplying({part: lambda given: 10 * given}):
        assert part(inputs).tolist() == [[10.0] * 5]
    assert "forward" not in vars(part)
    assert part(inputs).shape == (1, 7)

    def fails() -> None:
        with products.multiplying({part: lambda given: given}):
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    assert "forward" not in vars(part)


def test_a_map_that_multiplies_otherwise_already_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: AMD)
    monkeypatch.setattr(products, "WORTH", 1)
    model = nn.Sequential(drawn("Linear"), nn.Linear(5, 5))
    given, other = model[0], model[1]

    def own(inputs: torch.Tensor) -> torch.Tensor:
        return 2 * inputs

    with products.multiplying({given: own}):
        with products.packed(model):
            assert vars(given)["forward"] is own
            assert "forward" in vars(other)
        assert vars(given)["forward"] is own
        assert "forward" not in vars(other)
    assert "forward" not in vars(given)


def test_a_forward_of_the_modules_own_comes_back_after_the_block() -> None:
    part = torch.nn.Linear(2, 2)
    part.forward = own = lambda inputs: inputs  # type: ignore[method-assign, assignment]
    with products.multiplying({part: torch.zeros_like}), products.multiplying({part: torch.abs}):
        assert part(torch.full((1, 2), -2.0)).tolist() == [[2.0, 2.0]]
    assert part.forward is own


@pytest.mark.parametrize("mode", products.modes(nn.Linear(5, 7)))
def test_no_tokens_at_all_give_no_outputs(mode: str) -> None:
    with torch.inference_mode():
        for part in (torch.nn.Linear(3, 5), Conv1D(5, 3)):
            assert products.MODES[mode](part, 1)(torch.empty(0, 3)).shape == (0, 5)
