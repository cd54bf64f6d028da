"""What zeros buy: milliseconds by paths timed in turn, the sparse product, and bytes."""
