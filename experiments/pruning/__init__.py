"""Which weights go: magnitudes read once, methods, exact choices, and a checkpoint inspected and written anew."""
