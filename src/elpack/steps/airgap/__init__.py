"""Makes air-gap deliveries: one archive that a host without network can verify and install from."""

from __future__ import annotations

from elpack.steps.airgap.make import Made, Wish, deliver

__all__ = ["Made", "Wish", "deliver"]
