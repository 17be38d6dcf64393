"""Says which of its dependencies are there."""

from __future__ import annotations

import attrs
import six  # type: ignore[import-untyped]


def main() -> None:
    """Print a line."""
    print(attrs.__name__, six.__version__)  # noqa: T201
