"""What a model is asked: one file a task family, listed in `table.py`."""
