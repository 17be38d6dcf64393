"""Compiling for another architecture by a compiler of this one: the pure half. `elpack.builders.cross` carries it out."""
