"""Checkpoints trained on a task."""
