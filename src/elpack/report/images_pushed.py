"""What was pushed, or would be, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elpack.steps.images.push import Outlook, Pushed


def pushed_lines(done: Pushed) -> str:
    """Return tag and digest as users name them, and the key that signed."""
    platforms = [f"  {platform}: {digest}" for platform, digest in sorted(done.platforms.items())]
    lines = (done.reference, f"  {done.pinned}", *platforms, f"  signed by sha256:{done.fingerprint}")
    return "\n".join(lines)


def outlook_line(one: Outlook) -> str:
    """Return what a push would do."""
    what = "would be pushed" if one.fresh else "is there; missing signatures would be added"
    return f"{one.reference} {what}: {one.digest}, {one.missing} blobs with {one.size} bytes to send"
