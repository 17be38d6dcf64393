"""The mock builder and its configurations; mock's own package ships the distributions' templates."""

from __future__ import annotations

from elpack.builders.mock.builder import MockBuilder

__all__ = ["MockBuilder"]
