"""One question about one checkpoint, as a command puts it: checked before anything heavy is imported, then answered."""
