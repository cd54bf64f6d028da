"""Which of the three families a checkpoint's architecture is of, by names alone. Imports no transformers.

The table holds model types as transformers and GGUF call them. One that it does not hold is judged by
what its configuration and the name of its class say, or not at all.
"""

import re
from collections.abc import Mapping
from typing import Any

from experiments.checkpoint.folder import Checkpoint

ENCODER, DECODER, TWO_SIDED = "encoder-only", "decoder-only", "encoder-decoder"
FAMILIES = (ENCODER, DECODER, TWO_SIDED)
TYPES = {
    kind: family
    for family, kinds in {
        ENCODER: """
            albert bert big_bird camembert convbert data2vec-text deberta deberta-v2 distilbert
            electra ernie esm eurobert flaubert fnet funnel ibert longformer luke megatron-bert
            mobilebert modernbert mpnet mra nomic_bert nystromformer rembert roberta
            roberta-prelayernorm roc_bert roformer squeezebert xlm-roberta xlm-roberta-xl xmod yoso
        """,
        DECODER: """
            biogpt bloom codegen cohere cohere2 ctrl deepseek_v2 deepseek_v3 falcon falcon_mamba
            gemma gemma2 gemma3_text glm glm4 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_oss gptj granite
            granitemoe jamba llama mamba mamba2 ministral mistral mixtral mpt nemotron olmo olmo2
            olmoe openai-gpt opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_moe rwkv
            smollm3 stablelm starcoder2 xglm
        """,
        TWO_SIDED: """
            bart bigbird_pegasus blenderbot blenderbot-small encoder-decoder fsmt led longt5 m2m_100
            marian mbart mt5 mvp nllb-moe pegasus pegasus_x plbart prophetnet switch_transformers t5
            umt5
        """,
    }.items()
    for kind in kinds.split()
}
GGUF_TYPES = {"gemma3": DECODER, "gptneox": DECODER, "t5encoder": ENCODER}  # GGUF's own words
WRITES = ("ForCausalLM", "LMHeadModel")


def family(checkpoint: Checkpoint) -> tuple[str, str]:
    """The family of a checkpoint, empty where nothing tells, and what its architecture is called.

    Raises:
        ReportError: where its configuration, or its GGUF file's header, cannot be read.
    """
    if config := checkpoint.config():
        return family_of(config), class_name(config) or str(config.get("model_type", "unnamed"))
    if checkpoint.gguf is None:
        return "", "unnamed"
    from experiments.checkpoint.gguf_header import header_of

    kind = str(header_of(checkpoint.gguf).values.get("general.architecture", "unnamed"))
    return TYPES.get(kind) or GGUF_TYPES.get(kind, ""), kind


def family_of(config: Mapping[str, Any]) -> str:
    """The same of what a config.json states.

    >>> family_of({"model_type": "t5"}), family_of({"model_type": "bert", "is_decoder": True})
    ('encoder-decoder', 'decoder-only')
    """
    name, stated = class_name(config), str(config.get("model_type"))
    known = TYPES.get(stated, "")
    if re.search("Encoder(?!Decoder)", name):  # one side of a model of two, such as T5EncoderModel
        return ENCODER
    if config.get("is_decoder") is True:
        return DECODER
    if known == ENCODER and name.endswith(WRITES):
        return ""  # made to write, but it sees what comes after: it is neither
    if known == TWO_SIDED and name.endswith("ForCausalLM"):
        return DECODER
    return known or _by_name(config, name)


def _by_name(config: Mapping[str, Any], name: str) -> str:
    if config.get("is_encoder_decoder") is True:
        return TWO_SIDED
    if name.endswith("ForMaskedLM"):
        return ENCODER
    return DECODER if name.endswith(WRITES) else ""


def class_name(config: Mapping[str, Any]) -> str:
    """The transformers class that a config.json names; empty where it names none."""
    stated = config.get("architectures")
    first = stated[0] if isinstance(stated, list) and stated else ""
    return first if isinstance(first, str) else ""
