"""How weights are chosen: one file a pruning method, listed in `table.py`."""
