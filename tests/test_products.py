"""Products by oneDNN: the same float32 numbers but for the last bits, and only inside the block."""

from collections.abc import Callable

import pytest
import torch

from experiments import products


@pytest.mark.parametrize(
    ("name", "settings"),
    [("BERT", {"initializer_range": 0.2}), ("Llama", {"initializer_range": 0.2}), ("T5", {})],
    ids=["BERT", "Llama", "T5"],
)
def test_outputs_are_the_same_but_for_rounding_and_pruned_weights_are_followed(
    name: str, settings: dict[str, float], tiny_model: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "cpuinfo", lambda: "vendor_id : AuthenticAMD")
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
    [("AuthenticAMD", torch.float32, True), ("AuthenticAMD", torch.bfloat16, False),
     ("GenuineIntel", torch.float32, False), ("", torch.float32, False)],
)  # fmt: skip
def test_the_processor_decides(
    processor: str, dtype: torch.dtype, worth: bool, tiny_model: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(products, "cpuinfo", lambda: processor)
    assert products.worth(tiny_model("BERT").to(dtype)) is worth
