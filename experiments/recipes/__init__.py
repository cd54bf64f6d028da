"""How the bundled miniatures and the reference models are made."""
