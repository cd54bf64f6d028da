"""How well a model answers: tasks, answers and labels, scores with intervals, and how two answers differ."""
