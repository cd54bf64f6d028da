"""Which weights go: magnitudes read once, methods, exact choices, checkpoints inspected and written."""
