"""A study: its file, its plan of cells, the jobs that answer them, and the run that keeps every answer."""
