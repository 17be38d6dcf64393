"""What `elpack init` says: what it found, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elpack.steps.init import Written


def written_text(written: Written, file: str) -> str:
    """Return what was written, and what the user should know of it."""
    found = written.found
    kind = f"application, commands {', '.join(found.commands)}" if found.application else "library"
    targets = ", ".join(f"{target.name} with Python {target.python}" for target in found.targets)
    lines = [f"{file}: {found.name} {found.version} ({kind}) for {targets}"]
    lines += [f"note: {notice}" for notice in written.notices]
    return "\n".join(lines)


def next_text(folder: str, *, locked: bool) -> str:
    """Return the commands that come next."""
    commands = ["elpack check", "elpack rpm-all"] if locked else ["elpack lock", "elpack rpm-all"]
    where = f"cd {folder} && " if folder != "." else ""
    return "next:\n" + "\n".join(f"  {where}{command}" for command in commands)
