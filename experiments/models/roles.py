"""What a tensor does in a model, told by its name. Pure."""

import re

from experiments.models.outline import Kind

# What a linear map inside a block does, by the end of its module's name, first match first.
ROLES: tuple[tuple[str, str], ...] = (
    (r"query_global$", "global attention query"),
    (r"key_global$", "global attention key"),
    (r"value_global$", "global attention value"),
    (r"pos_((key|query|q)_)?proj$", "attention position"),
    (r"(c_attn|query_key_value|qkv_proj|Wqkv|self\.in_proj)$", "attention query-key-value"),
    (r"(q_proj|query_proj|query|q_lin|q_attn|\.q)$", "attention query"),
    (r"(k_proj|key_proj|key|k_lin|\.k)$", "attention key"),
    (r"(v_proj|value_proj|value|v_lin|\.v)$", "attention value"),
    (r"(out_proj|o_proj|out_lin|attn\.c_proj|attention\.output\.dense|attention\.dense)$",
     "attention output"),
    (r"(attn\.output|[aA]ttention\.o)$", "attention output"),
    (r"(fc1|c_fc|wi|wi_1|lin1|fc_in|dense_h_to_4h|up_proj|intermediate\.dense)$",
     "feed-forward in"),
    (r"(wi_0|gate_proj)$", "feed-forward gate"),
    (r"(fc2|mlp\.c_proj|wo|lin2|fc_out|dense_4h_to_h|down_proj|output\.dense)$",
     "feed-forward out"),
)  # fmt: skip
CROSS = re.compile(r"encoder_attn|EncDecAttention|crossattention")

SKIPPED = {
    "embedding": "embedding",
    "position table": "position table",
    "norm": "norm",
    "bias": "bias",
    "buffer": "buffer",
    "router": "router: it chooses experts",
    "unclear": "linear maps in a layout that is not known here",
    "other": "no linear map",
}


def role_of(module: str, kind: Kind = "linear") -> str:
    """What a linear map does, by the name of its module, or of its tensor where it has none.

    >>> role_of("h.0.mlp.c_fc"), role_of("layers.0.mlp.experts.down_proj", "experts")
    ('feed-forward in', 'expert feed-forward out')
    """
    stacked = "expert " if kind in ("experts", "transposed experts") else ""
    for pattern, role in ROLES:
        if re.search(pattern, module):
            cross = CROSS.search(module) and role.startswith("attention")
            return f"cross-{role}" if cross else f"{stacked}{role}"
    return f"{stacked}linear map"


def other_role(name: str, kind: Kind) -> str:
    """What a tensor that is no linear map is; a key of SKIPPED."""
    if kind == "embedding":
        where = name.lower()
        return "position table" if re.search(r"posit|wpe|rel_emb|relative", where) else kind
    if kind == "other":
        return "bias" if name.rsplit(".", 1)[-1].endswith("bias") else kind
    return kind
