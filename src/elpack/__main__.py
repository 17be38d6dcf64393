"""Entry for ``python -m elpack``."""

from __future__ import annotations

from elpack.cli import main

main()
