"""How the table of known architectures is made, `experiments/models/known.json`."""
