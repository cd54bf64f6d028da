"""Products by oneDNN: the same float32 numbers but for the last bits, and only inside the block."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from experiments.models import products

AMD = "vendor_id : AuthenticAMD flags : avx2 avx512f"
AMD_OF_OLD = "vendor_id : AuthenticAMD flags : avx2"
INTEL = "vendor_id : GenuineIntel flags : avx2 avx512f"
SHAPES = [(5,), (1, 5), (33, 5), (2, 3, 5), (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("BERT", {"initializer_range": 0.2}), ("Llama", {"initializer_range": 0.2}), ("T5", {})],
    ids=["BERT", "Llama", "T5"],
)
def test_outputs_are_the_same_but_for_rounding_and_pruned_weights_are_followed(
    name: str, settings: dict[str, float], tiny_model: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: AMD)
    model = tiny_model(name, **settings)
    ids = torch.randint(4, 16, (3, 9), generator=torch.Generator().manual_seed(0))
    asked = {"input_ids": ids} | ({"decoder_input_ids": ids} if name == "T5" else {})
    linear = [part for part in model.modules() if type(part) is torch.nn.Linear]
    with torch.inference_mode():
        plain = model(**asked).logits
        with products.by_onednn(model):
            assert all("forward" in vars(part) for part in linear)
            assert torch.allclose(model(**asked).logits, plain, atol=1e-5)
            linear[0].weight.data[::2] = 0
            pruned = model(**asked).logits
        assert not any("forward" in vars(part) for part in linear)
        assert torch.allclose(model(**asked).logits, pruned, atol=1e-5)
    assert not torch.allclose(pruned, plain, atol=1e-5)


@pytest.mark.parametrize(
    ("processor", "dtype", "worth"),
    [(AMD, torch.float32, True), (AMD, torch.bfloat16, False), (AMD_OF_OLD, torch.float32, False),
     (INTEL, torch.float32, False), ("", torch.float32, False)],
)  # fmt: skip
def test_the_processor_decides(
    processor: str, dtype: torch.dtype, worth: bool, tiny_model: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(products, "cpuinfo", lambda: processor)
    model = tiny_model("BERT").to(dtype)
    assert products.worth(model) is worth
    assert products.name(model) == ("oneDNN" if worth else "torch's default")


def test_where_torch_has_no_product_of_weights_that_stay_its_default_is_named_and_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: AMD)
    monkeypatch.setattr(products, "ONEDNN", object())
    part = nn.Linear(5, 7)
    assert products.name(part) == "torch's default"
    with torch.inference_mode():
        inputs = torch.ones(2, 5)
        assert torch.equal(products.fixed(part, part.weight, tokens=2)(inputs), part(inputs))


def drawn(kind: str) -> nn.Module:
    """A map from 5 features to 7, with weights and bias that tell rows from columns."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        part = Conv1D(7, 5) if kind == "Conv1D" else nn.Linear(5, 7, bias=kind != "no bias")
        for parameter in part.parameters():
            nn.init.normal_(parameter)
    return part


@pytest.mark.parametrize("processor", [AMD, INTEL])
@pytest.mark.parametrize("kind", ["Linear", "no bias", "Conv1D"])
def test_a_product_of_weights_that_stay_is_the_modules_own_at_any_leading_shape(
    kind: str, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: processor)
    part, generator = drawn(kind), torch.Generator().manual_seed(1)
    with torch.inference_mode():
        fixed = products.fixed(part, part.weight, tokens=6)
        for shape in SHAPES:
            inputs = torch.randn(shape, generator=generator)
            own = part(inputs)
            assert fixed(inputs).shape == (*shape[:-1], 7)
            assert torch.allclose(fixed(inputs), own, atol=1e-5)
        turned = torch.randn((5, 3), generator=generator).t()
        assert torch.allclose(fixed(turned), part(turned), atol=1e-5)


@pytest.mark.parametrize("processor", [AMD, INTEL])
@pytest.mark.parametrize("kind", ["Linear", "no bias", "Conv1D"])
def test_a_product_of_given_weights_leaves_those_of_the_module_alone(
    kind: str, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: processor)
    part, before = drawn(kind), drawn(kind)
    with torch.inference_mode():
        given = part.weight * (part.weight > 0)
        fixed, inputs = products.fixed(part, given, tokens=6), torch.ones(2, 5)
        assert torch.equal(part.weight, before.weight)
        before.weight.copy_(given)
        assert torch.allclose(fixed(inputs), before(inputs), atol=1e-5)
        assert not torch.allclose(part(inputs), before(inputs), atol=1e-5)


@pytest.mark.parametrize("processor", [AMD, INTEL])
@pytest.mark.parametrize("kind", ["Linear", "no bias", "Conv1D"])
def test_a_product_of_weights_that_change_follows_them(
    kind: str, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: processor)
    part = drawn(kind)
    with torch.inference_mode():
        product, inputs = products.of(part), torch.ones(2, 3, 5)
        assert torch.allclose(product(inputs), part(inputs), atol=1e-5)
        part.weight.data[::2] = 0
        assert torch.allclose(product(inputs), part(inputs), atol=1e-5)


def test_modules_multiply_as_they_are_told_inside_the_block_alone_and_after_a_failure() -> None:
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


def test_a_map_that_multiplies_in_its_own_way_already_is_let_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: AMD)
    model = nn.Sequential(drawn("Linear"), nn.Linear(5, 5))
    told, other = model[0], model[1]

    def own(inputs: torch.Tensor) -> torch.Tensor:
        return 2 * inputs

    with products.multiplying({told: own}):
        with products.by_onednn(model):
            assert vars(told)["forward"] is own
            assert "forward" in vars(other)
        assert vars(told)["forward"] is own
        assert "forward" not in vars(other)
    assert "forward" not in vars(told)


def test_a_forward_of_the_modules_own_comes_back_after_the_block() -> None:
    part = torch.nn.Linear(2, 2)
    part.forward = own = lambda inputs: inputs  # type: ignore[method-assign, assignment]
    with products.multiplying({part: torch.zeros_like}), products.multiplying({part: torch.abs}):
        assert part(torch.full((1, 2), -2.0)).tolist() == [[2.0, 2.0]]
    assert part.forward is own


def test_no_tokens_at_all_give_no_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: "vendor_id : GenuineIntel")
    for part in (torch.nn.Linear(3, 5), Conv1D(5, 3)):
        product = products.fixed(part, part.weight.detach(), tokens=1)
        assert product(torch.empty(0, 3)).shape == (0, 5)
