"""Builds wheels for every interpreter, judges them and tries them."""
