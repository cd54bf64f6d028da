"""Left of the wall: asking questions of models and keeping the answers. Nothing here draws."""
