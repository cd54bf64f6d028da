"""Right of the wall: records become pages. Nothing here imports torch or computes a result."""
