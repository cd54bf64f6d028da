"""Where transformers puts the tensors of a checkpoint when it opens a model: its own table is asked.

It renames some, and joins experts that a file holds one by one to a stack. Touches neither disk nor
network.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    Concatenate,
    MergeModulelist,
    WeightConverter,
    WeightRenaming,
    dot_natural_key,
    rename_source_key,
)

from experiments.models.outline import Place


def places(model: PreTrainedModel, names: Iterable[str]) -> dict[str, Place]:
    """The place of every stored name that the model has one for."""
    table = get_model_conversion_mapping(model)
    renamings = [one for one in table if isinstance(one, WeightRenaming)]
    converters = [one for one in table if isinstance(one, WeightConverter)]
    made_by = {pattern: one for one in converters for pattern in one.source_patterns}
    tensors, prefix = model.state_dict(), model.base_model_prefix
    joined: Counter[tuple[str, str]] = Counter()
    found = {}
    for stored in sorted(names, key=dot_natural_key):  # the order in which transformers joins
        name, pattern = rename_source_key(stored, renamings, converters, prefix, tensors)
        if name not in tensors:
            continue
        if pattern is None:
            found[stored] = Place(name=name)
            continue
        converter = made_by[pattern]
        order = (joined[name, pattern], converter.source_patterns.index(pattern))
        found[stored] = Place(name=name, order=order, remade=not _joins(converter))
        joined[name, pattern] += 1
    return found


def _joins(converter: Any) -> bool:
    """Whether experts are laid one behind the other, and of each its parts, outputs behind outputs."""
    merge, *rest = converter.operations
    if not isinstance(merge, MergeModulelist) or merge.dim != 0:
        return False
    many = len(converter.source_patterns) > 1
    return [(type(one), one.dim) for one in rest] == ([(Concatenate, 1)] if many else [])
