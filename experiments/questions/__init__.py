"""One question about one checkpoint, as a command puts it: checked first, then answered by what is heavy."""
