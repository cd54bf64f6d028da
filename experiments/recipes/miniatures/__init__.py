"""How the bundled miniatures are made: three small models and their data, in `experiments/miniatures/`."""
