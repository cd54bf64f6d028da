"""Ratios of time and memory against peers, measured in one run: `make bench`."""
