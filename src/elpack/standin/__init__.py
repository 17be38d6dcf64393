"""Debian's packages under EL9's names: the pure half of the stand-in. `elpack.steps.standin` carries it out."""
