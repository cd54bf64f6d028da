"""One file a figure: records become a matplotlib Figure."""
