"""One file a page: records become a frozen dataclass. Listed in `table.py`."""
