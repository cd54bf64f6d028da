"""One reader a file format, all giving the same stream of named tensors; listed in `formats.py`."""
