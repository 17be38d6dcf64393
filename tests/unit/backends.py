"""What tests share that play a build backend: everything but the packing itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from elpack.run import Command


def packs(command: Command) -> bool:
    """Tell whether the command is to make an sdist; answer a question for more requirements with none."""
    if "/elpack/ask.py" in command.argv:
        answer = Path(command.argv[command.argv.index("/answer") - 1])
        (answer / "answer.json").write_text("[]")
    return "--out-dir" in command.argv


def seen(command: Command) -> Path:
    """Return the copy of the checkout that the backend of `packs` sees in its place."""
    tree = command.argv[-1]
    return Path(command.argv[command.argv.index(tree) - 1])
