"""elpack turns Python projects and their locks into Enterprise Linux packages."""

from __future__ import annotations

__version__ = "0.1.0"
