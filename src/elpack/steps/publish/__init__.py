"""Publishes finished results: stages them, verifies them as a customer would, then flips one pointer."""

from __future__ import annotations

from elpack.steps.publish.run import Published, Wish, listing, publish, roll_back

__all__ = ["Published", "Wish", "listing", "publish", "roll_back"]
