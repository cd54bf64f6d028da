"""GGUF files: the names and numbers are those of transformers' own loading."""

import itertools
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray

from experiments.checkpoint import gguf_file, gguf_header
from experiments.checkpoint.gguf_file import read_header
from experiments.checkpoint.gguf_names import TABLES, mapped, transformers_names
from experiments.checkpoint.tensor import StoredTensor

WIDTH, INNER, HEADS, KEY_HEADS, HEAD, VOCABULARY = 64, 96, 4, 2, 16, 48
PLAIN = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# transformers does not take the number of positions from the file, so it is that of GPT-2 itself.
SIZES = {
    "vocab_size": VOCABULARY,
    "n_positions": 1024,
    "n_embd": WIDTH,
    "n_layer": 2,
    "n_head": HEADS,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
T5 = {
    "vocab_size": VOCABULARY,
    "d_model": WIDTH,
    "d_kv": HEAD,
    "d_ff": INNER,
    "num_layers": 2,
    "num_heads": HEADS,
    "feed_forward_proj": "gated-gelu",
    "decoder_start_token_id": 0,
}
# GGUF's architecture: the class of the model, that of its configuration, and what is set in it.
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", {}),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", {}),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", {}),
    "gemma2": ("Gemma2ForCausalLM", "Gemma2Config", {"head_dim": HEAD}),
    "gemma3": ("Gemma3ForCausalLM", "Gemma3TextConfig", {"head_dim": HEAD}),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", {}),
    "stablelm": ("StableLmForCausalLM", "StableLmConfig", {"use_qkv_bias": True}),
    "starcoder2": ("Starcoder2ForCausalLM", "Starcoder2Config", {}),
    "nemotron": ("NemotronForCausalLM", "NemotronConfig", {}),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", SIZES),
    "bloom": ("BloomForCausalLM", "BloomConfig", {"n_layer": 2, "n_head": HEADS}),
    "t5": ("T5ForConditionalGeneration", "T5Config", T5),
    "t5encoder": ("T5EncoderModel", "T5Config", T5),
}
# Every tensor of several dimensions takes the next of these; rows of 64 and 96 are whole blocks.
SMALL_BLOCKS = [Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1, Kind.Q8_0, Kind.F16, Kind.BF16]
READABLE = {Kind[encoding.name] for encoding in gguf_header.ENCODINGS.values()}
QUANTISED = [kind for kind in Kind if gguf.GGML_QUANT_SIZES[kind][0] > 1 and kind in READABLE]

Array = NDArray[Any]
Tensors = Mapping[str, tuple[Array, Kind]]


# --- writing files with the gguf package


def encoded(numbers: Array, kind: Kind) -> tuple[Array, Kind]:
    """Numbers as a file holds them, in a type that `gguf` can write."""
    return np.ascontiguousarray(quantize(np.ascontiguousarray(numbers), kind)), kind


def random_blocks(shape: tuple[int, ...], kind: Kind, seed: int = 0) -> tuple[Array, Kind]:
    """A tensor of any bytes: every combination of bits is a block of every type."""
    size, nbytes = gguf.GGML_QUANT_SIZES[kind]
    stored = (*shape[:-1], shape[-1] // size * nbytes)
    return np.random.default_rng(seed).integers(256, size=stored, dtype=np.uint8), kind


def written(path: Path, architecture: str, tensors: Tensors, **values: float) -> Path:
    """A file that llama.cpp's converter might have written."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_file_type(3)
    writer.add_token_list([f"word {number}" for number in range(VOCABULARY)])
    for name, value in values.items():
        key = f"{architecture}.{name}" if "__" not in name else name.replace("__", ".")
        if isinstance(value, int):
            writer.add_uint32(key.replace("_in_", "."), value)
        else:
            writer.add_float32(key.replace("_in_", "."), value)
    for name, (stored, kind) in tensors.items():
        writer.add_tensor(name, stored, raw_dtype=None if kind in (Kind.F32, Kind.F16) else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


SHAPE = {
    "block_count": 2,
    "context_length": 32,
    "embedding_length": WIDTH,
    "feed_forward_length": INNER,
    "vocab_size": VOCABULARY,
    "attention_in_head_count": HEADS,
    "attention_in_head_count_kv": KEY_HEADS,
    "attention_in_key_length": HEAD,
    "attention_in_layer_norm_rms_epsilon": 1e-6,
    "attention_in_layer_norm_epsilon": 1e-5,
    "attention_in_relative_buckets_count": 32,
    "rope_in_dimension_count": HEAD,
    "rope_in_freq_base": 10000.0,
    "tokenizer__ggml__padding_token_id": 0,
    "tokenizer__ggml__bos_token_id": 1,
    "tokenizer__ggml__eos_token_id": 2,
}


def paired(rows: Array, heads: int) -> Array:
    """llama.cpp's order for Llama: in each head, row i of its first half, then row i of its second."""
    size = len(rows) // heads
    order = [
        head * size + half * size // 2 + row
        for head in range(heads)
        for row in range(size // 2)
        for half in (0, 1)
    ]
    return rows[order]


def apart(rows: Array) -> Array:
    """llama.cpp's order for BLOOM: every head's queries, then all keys, then all values."""
    size = len(rows) // HEADS // 3
    order = [
        (head * 3 + part) * size + row
        for part in range(3)
        for head in range(HEADS)
        for row in range(size)
    ]
    return rows[order]


def converted(architecture: str, name: str, numbers: Array, key_heads: int) -> Array:
    """What llama.cpp's converter makes of one tensor of transformers."""
    if architecture == "llama" and ("attn_q." in name or "attn_k." in name):
        return paired(numbers, HEADS if "attn_q." in name else key_heads)
    if architecture == "bloom" and "attn_qkv" in name:
        return apart(numbers)
    if architecture == "gpt2" and ".attn_norm" not in name and ".ffn_norm" not in name:
        return numbers.T if name.startswith("blk.") else numbers
    if architecture in ("gemma2", "gemma3", "nemotron") and name.endswith("norm.weight"):
        return numbers + 1
    return numbers


def tiny_model(architecture: str, **settings: Any) -> Any:
    model_class, config_class, own = MODELS[architecture]
    base = {} if own in (SIZES, T5) else PLAIN
    config = getattr(transformers, config_class)(**base | own | settings)
    torch.manual_seed(0)
    return getattr(transformers, model_class)(config)


def gguf_tensors(architecture: str, model: Any, kinds: Iterator[Kind]) -> dict[str, Any]:
    """A model's tensors under the names that `gguf` gives them, converted and quantised."""
    arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, 2)
    found: dict[str, Any] = {}
    for own_name, tensor in model.state_dict().items():
        stem, _, suffix = own_name.rpartition(".")
        name = names.get_name(stem) or names.get_name(stem.removeprefix("transformer."))
        tied = own_name == "lm_head.weight" and model.config.tie_word_embeddings
        if name is None or tied:
            continue
        key_heads = getattr(model.config, "num_key_value_heads", HEADS)
        numbers = converted(architecture, f"{name}.{suffix}", tensor.float().numpy(), key_heads)
        small = tensor.dim() < 2 or numbers.shape[-1] % 32
        found[f"{name}.{suffix}"] = encoded(numbers, Kind.F32 if small else next(kinds))
    return found


def loaded(path: Path, model_class: str) -> dict[str, Array]:
    """The tensors as transformers itself reads the file."""
    kind = getattr(transformers, model_class)
    with np.errstate(all="ignore"):
        model = kind.from_pretrained(path.parent, gguf_file=path.name)
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def bits(numbers: Array) -> tuple[tuple[int, ...], bytes]:
    """For comparing what may hold what is no number."""
    return numbers.shape, np.ascontiguousarray(numbers).tobytes()


def by_name(path: Path) -> dict[str, StoredTensor]:
    return {tensor.name: tensor for tensor in read_header(path)[0]}


def same_as_transformers(
    path: Path, architecture: str, model_class: str
) -> dict[str, StoredTensor]:
    """Asserts that names and numbers are those of transformers' own loading, bit for bit."""
    tensors, expected = by_name(path), loaded(path, model_class)
    assert set(tensors) <= set(expected)
    for name, tensor in tensors.items():
        assert tensor.dtype == "F32"
        assert bits(tensor.read()) == bits(expected[name]), name
    return tensors


# --- names and numbers


@pytest.mark.parametrize("architecture", sorted(MODELS))
def test_names_and_numbers_are_those_of_transformers(architecture: str, tmp_path: Path) -> None:
    model = tiny_model(architecture)
    own = gguf_tensors(architecture, model, itertools.cycle(SMALL_BLOCKS))
    path = written(tmp_path / "tiny.gguf", architecture, own, **SHAPE)
    tensors = same_as_transformers(path, architecture, MODELS[architecture][0])
    assert len(tensors) == len(own)
    assert {tensor.stored_as for tensor in tensors.values()} >= {"", "Q4_0", "Q8_0", "F16", "BF16"}
    tied = {"lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    assert set(model.state_dict()) - set(tensors) <= tied
    metadata = read_header(path)[1]
    assert metadata["names"] == "transformers"
    assert metadata["general.architecture"] == architecture
    assert (metadata["general.name"], metadata["general.file_type"]) == ("tiny", "3")


def test_every_architecture_with_a_table_is_compared_with_transformers() -> None:
    assert set(TABLES) == set(MODELS)
    assert all(mapped(architecture) for architecture in MODELS)
    assert not mapped("gptneox")
    assert not mapped("")


@pytest.mark.parametrize("key_heads", [1, 4])
def test_rows_of_llama_are_put_back_whatever_heads_share_a_key(
    key_heads: int, tmp_path: Path
) -> None:
    model = tiny_model("llama", num_key_value_heads=key_heads, attention_bias=True)
    own = gguf_tensors("llama", model, itertools.repeat(Kind.Q8_0))
    shape = SHAPE | {"attention_in_head_count_kv": key_heads}
    tensors = by_name(written(tmp_path / "tiny.gguf", "llama", own, **shape))
    for name, tensor in model.state_dict().items():
        if "_proj" in name:
            kind = Kind.Q8_0 if tensor.dim() == 2 else Kind.F32
            expected = dequantize(*encoded(tensor.numpy(), kind))
            assert bits(tensors[name].read()) == bits(expected), name


def test_without_a_count_of_key_heads_every_head_has_its_own(tmp_path: Path) -> None:
    rows = np.arange(16 * 32, dtype=np.float32).reshape(16, 32)
    own = {"blk.0.attn_k.weight": encoded(paired(rows, 4), Kind.F32)}
    path = written(tmp_path / "a.gguf", "llama", own, attention_in_head_count=4)
    (tensor,), _ = read_header(path)
    assert tensor.name == "model.layers.0.self_attn.k_proj.weight"
    assert np.array_equal(tensor.read(), rows)


@pytest.mark.parametrize("kind", QUANTISED, ids=lambda kind: kind.name)
def test_every_type_that_gguf_decodes_reads_as_gguf_decodes_it(kind: Kind, tmp_path: Path) -> None:
    own = {"a": random_blocks((3, 5, 512), kind), "b": random_blocks((512,), kind, seed=1)}
    tensors = by_name(written(tmp_path / "a.gguf", "none", own))
    for name, (stored, _) in own.items():
        with np.errstate(all="ignore"):
            expected = dequantize(stored, kind)
        assert tensors[name].stored_as == kind.name
        assert bits(tensors[name].read()) == bits(expected)


def test_blocks_of_256_are_those_of_transformers(tmp_path: Path) -> None:
    large = dict.fromkeys(("hidden_size", "intermediate_size"), 256)
    model = tiny_model("llama", **large, head_dim=64)
    kinds = (kind for kind in itertools.cycle(QUANTISED) if gguf.GGML_QUANT_SIZES[kind][0] == 256)
    own = gguf_tensors("llama", model, itertools.repeat(Kind.F32))
    for number, (name, (numbers, _)) in enumerate(own.items()):
        if numbers.ndim == 2:
            own[name] = random_blocks(numbers.shape, next(kinds), seed=number)
    sizes = {"embedding_length": 256, "feed_forward_length": 256, "rope_in_dimension_count": 64}
    path = written(tmp_path / "tiny.gguf", "llama", own, **SHAPE | sizes)
    tensors = same_as_transformers(path, "llama", "LlamaForCausalLM")
    assert {tensor.stored_as for tensor in tensors.values()} >= {"Q4_K", "Q6_K", "IQ2_XS"}


def test_a_block_of_q8_0_and_one_of_q4_1_as_computed_by_hand(tmp_path: Path) -> None:
    signed = [-128, 127, 0, 1, -1] + [2] * 27
    q8_0 = np.frombuffer(struct.pack("<e32b", 0.5, *signed), np.uint8)
    # the low halves of the sixteen bytes are the first sixteen numbers, the high halves the others
    q4_1 = np.frombuffer(struct.pack("<ee16B", 0.25, -1.0, 0xF0, 0x21, *[0x33] * 14), np.uint8)
    own = {"a": (q8_0.reshape(1, -1), Kind.Q8_0), "b": (q4_1.reshape(1, -1), Kind.Q4_1)}
    tensors = by_name(written(tmp_path / "a.gguf", "none", own))
    assert tensors["a"].read().tolist() == [[-64, 63.5, 0, 0.5, -0.5] + [1] * 27]
    lows, highs = [-1.0, -0.75] + [-0.25] * 14, [2.75, -0.5] + [-0.25] * 14
    assert tensors["b"].read().tolist() == [lows + highs]


def test_whole_numbers_stay_what_they_are_and_doubles_read_as_floats(tmp_path: Path) -> None:
    own = {name: (np.arange(-4, 4).astype(name), Kind.F32) for name in ("int8", "int16", "int32")}
    own |= {"int64": (np.arange(-4, 4) << 40, Kind.F32), "float64": (np.ones(8) / 3, Kind.F32)}
    tensors = by_name(written(tmp_path / "a.gguf", "none", own))
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {
        "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "float64": "F32"
    }  # fmt: skip
    for name in ("int8", "int16", "int32", "int64"):
        assert np.array_equal(tensors[name].read(), own[name][0])
        assert tensors[name].stored_as == ""
    assert tensors["float64"].stored_as == "F64"
    assert tensors["float64"].read().tolist() == [float(np.float32(1 / 3))] * 8


@pytest.mark.parametrize("architecture", ["llama", "bloom", "gpt2", "gemma3"])
def test_any_span_is_that_part_of_the_whole(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_file, "BLOCK_BYTES", 1000)  # so that a span is read in several steps
    model = tiny_model(architecture)
    own = gguf_tensors(architecture, model, itertools.cycle(SMALL_BLOCKS))
    generator = np.random.default_rng(0)
    for tensor in read_header(written(tmp_path / "a.gguf", architecture, own, **SHAPE))[0]:
        whole = tensor.read().reshape(-1)
        cuts = [(0, 0), (0, 1), (tensor.count - 1, tensor.count), (tensor.count, tensor.count)]
        cuts += [tuple(sorted(generator.integers(tensor.count + 1, size=2))) for _ in range(12)]
        for start, stop in cuts:
            span = tensor.span(int(start), int(stop))
            assert span.flags.writeable
            assert bits(span) == bits(whole[start:stop])
        assert bits(np.concatenate([tensor.span(*span) for span in tensor.spans(7)])) == bits(whole)


def test_a_span_decodes_its_own_blocks_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    decode = gguf_file._decode

    def counted(blocks: Array, *settings: Any) -> Array:
        asked.append(len(blocks))
        return decode(blocks, *settings)

    monkeypatch.setattr(gguf_file, "_decode", counted)
    own = {"blk.0.attn_q.weight": random_blocks((512, 4096), Kind.Q8_0)}
    path = written(tmp_path / "a.gguf", "llama", own, attention_in_head_count=8)
    (tensor,), _ = read_header(path)
    tensor.span(4096 * 5 + 31, 4096 * 5 + 33)
    assert asked == [2 * 34]
    asked.clear()
    tensor.read()
    assert sum(asked) == 512 * 4096 // 32 * 34
    assert max(asked) == tensor.block // 32 * 34


# --- what has no table


def test_an_unknown_architecture_and_an_unknown_tensor_keep_their_names(tmp_path: Path) -> None:
    ones = (np.ones((4, 2), np.float32), Kind.F32)
    names = ["blk.0.attn_v.weight", "rope_freqs.weight", "blk.0.ffn_gate_exps.weight"]
    path = written(tmp_path / "a.gguf", "mystery", dict.fromkeys(names, ones))
    tensors, metadata = read_header(path)
    assert ([tensor.name for tensor in tensors], metadata["names"]) == (names, "GGUF")
    path = written(tmp_path / "b.gguf", "llama", dict.fromkeys(names, ones))
    tensors, metadata = read_header(path)
    assert metadata["names"] == "transformers"
    assert [tensor.name for tensor in tensors] == [
        "model.layers.0.self_attn.v_proj.weight", *names[1:]
    ]  # fmt: skip


def test_what_no_table_names_is_left_as_it_is() -> None:
    names = ["blk.*.attn_q.weight", "blk.0.attn_q", "blk.0.attn_q.scale", "xblk.0.attn_q.weight"]
    assert transformers_names("llama", [*names, "weight", ".weight", "blk.0.weight", ""]) == {}


def test_a_t5_without_gate_has_one_matrix_before_its_activation() -> None:
    name = "dec.blk.3.ffn_up.weight"
    assert transformers_names("t5", [name]) == {
        name: "decoder.block.3.layer.2.DenseReluDense.wi.weight"
    }


# --- the table of types


def test_the_types_are_those_of_the_gguf_package() -> None:
    for number, encoding in gguf_header.ENCODINGS.items():
        assert Kind(number).name == encoding.name
        assert gguf.GGML_QUANT_SIZES[Kind(number)] == (encoding.numbers, encoding.nbytes)


def test_what_is_not_in_the_table_cannot_be_decoded() -> None:
    for kind in set(Kind) - READABLE:
        with pytest.raises(NotImplementedError):
            dequantize(*random_blocks((1, 256), kind))
