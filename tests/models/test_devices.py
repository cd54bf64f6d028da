"""What the arithmetic where models run is fast at."""

import pytest

from experiments.models import devices

ZEN4 = "flags\t: avx2 avx512f avx512_bf16\n"


@pytest.mark.parametrize(
    ("told", "most", "expected"),
    [
        (ZEN4, None, True),
        ("flags\t: avx2 avx512f\n", None, False),
        ("Features\t: asimd bf16\n", None, True),
        # oneDNN's own names of what it may use: below these it has no products of bfloat16.
        (ZEN4, "AVX2", False),
        (ZEN4, "avx512_core_vnni", False),
        (ZEN4, "AVX512_CORE_BF16", True),
        (ZEN4, "AVX512_CORE_AMX_FP16", True),
        (ZEN4, "DEFAULT", True),
        ("flags\t: avx2\n", "AVX512_CORE_BF16", False),
    ],
)
def test_bfloat16_is_fast_where_the_processor_has_it_and_onednn_may_use_it(
    told: str, most: str | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "cpuinfo", lambda: told)
    monkeypatch.setattr(devices, "device", lambda: "cpu")
    for name in devices.MOST:
        monkeypatch.delenv(name, raising=False)
    if most:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    assert devices.has_bfloat16() is expected
