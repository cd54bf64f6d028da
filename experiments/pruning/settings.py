"""How to prune, in words: what a method is told beside its level. The standard library alone."""

from dataclasses import dataclass

from experiments.pruning.patterns import UNSTRUCTURED

MAGNITUDE = "magnitude"
SCOPES = ("global", "layer", "row")
UNIFORM = "uniform"
ALLOCATIONS = ("arithmetic", "owl", "error", "error-inverse")  # `allocation` has each one's rule
SAMPLES, TOKENS = 32, 512  # windows of calibration text, and tokens in each


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to prune: a method, the scope over which it ranks, a pattern, a seed, how the level is shared
    out to layers; and whether what is kept makes up for what went.
    """

    method: str = MAGNITUDE
    scope: str = "global"
    pattern: str = UNSTRUCTURED
    seed: int = 0
    repair: bool = False
    allocation: str = UNIFORM
