"""The bundled miniatures: three small trained models, their data, and the recipe."""
