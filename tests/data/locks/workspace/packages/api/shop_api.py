from __future__ import annotations

__version__ = "3.1.4"
