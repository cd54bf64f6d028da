"""The reference models: real pretrained weights that the package index carries, and their recipe."""
