"""What a checkpoint's stored names mean in an architecture, whatever training wrapped around the model.

Pure: an outline and names in, names out.
"""

import re
from collections import Counter
from collections.abc import Iterable

from experiments.models.outline import Outline, Place

# What torch puts among the names of a model: data parallel, compiled, sharded, recomputed.
WRAPPERS = re.compile(
    r"(?:(?<=\.)|^)(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
LEGACY = re.compile(r"(?<=\.)(gamma|beta)$")  # as TensorFlow called a norm's weight and bias
MODERN = {"gamma": "weight", "beta": "bias"}
DEEPEST = 3  # parts of a name that something around a model may put before it


def unwrapped(name: str) -> str:
    """A name without what torch's wrappers put into it.

    >>> unwrapped("module._orig_mod.h.0._orig_mod.attn.weight")
    'h.0.attn.weight'
    """
    return WRAPPERS.sub("", name)


class Names:
    """The names of an architecture's tensors, and of the stored ones what they stand for there.

    `wrapper` is what something else put before every stored name ("t5_encoder.", "model.").
    """

    def __init__(self, outline: Outline, stored: Iterable[str] = ()) -> None:
        self.known, self.prefix, self.wrapper = outline.kinds, f"{outline.prefix}.", ""
        self.wrapped, self._places = outline.wrapped, {}
        stored = list(stored)
        self.wrapper = self._found_wrapper(stored)
        self._places = dict(outline.places([self._bare(name) for name in stored]))

    def _found_wrapper(self, stored: Iterable[str]) -> str:
        """The first parts of the names that, taken away, make most of them this model's."""
        found: Counter[str] = Counter()
        for name in stored:
            parts = self._bare(name).split(".")
            some = (at for at in range(DEEPEST + 1) if self._own(".".join(parts[at:])))
            if (at := next(some, None)) is not None:
                found["".join(f"{part}." for part in parts[:at])] += 1
        return found.most_common(1)[0][0] if found else ""

    def of(self, stored: str) -> Place | None:
        """Where a stored tensor goes; None where the architecture has no place for it."""
        bare = self._bare(stored)
        if (place := self._places.get(bare)) is not None:
            return place
        name = self._own(bare)
        return Place(name=name) if name else None

    def beside(self, stored: str) -> bool:
        """Whether a tensor stands beside the model that something else was wrapped around."""
        return bool(self.wrapper) and not unwrapped(stored).startswith(self.wrapper)

    def has_block(self, stored: str) -> bool:
        """Whether the architecture has a block whose stored names begin so."""
        bare = self._bare(stored)
        starts = (bare, self.prefix + bare, bare.removeprefix(self.prefix))
        return any(name.startswith(starts) for name in self.known)

    def written(self, stored: str) -> str:
        """The name under which transformers finds a stored tensor, or code of the checkpoint's own."""
        if self._own(stored):
            return stored
        return unwrapped(stored) if self.wrapped else self._bare(stored)

    def _bare(self, stored: str) -> str:
        if stored in self.known:
            return stored
        bare = unwrapped(stored)
        return bare if self._own(bare) else bare.removeprefix(self.wrapper)

    def _own(self, name: str) -> str | None:
        """The architecture's name of a tensor, given with or without the backbone's prefix."""
        name = LEGACY.sub(lambda found: MODERN[found[1]], name)
        if name not in self.known:
            name = re.sub(r"^embed_out\.", "lm_head.", name)  # GPT-NeoX's head, as files call it
        candidates = (name, self.prefix + name, name.removeprefix(self.prefix))
        return next((one for one in candidates if one in self.known), None)
