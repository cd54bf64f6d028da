"""What the records say, in sentences: a file a subject. Pure; every number comes from a record."""
