"""What messages may show of text from outside: nothing that a terminal would follow, and no password."""

from __future__ import annotations

import re
import unicodedata

_UNSAFE = ("C", "Zl", "Zp")
_USER = re.compile(r"(?<=://)(?!git@)[^/\s@\"'<>]*@")


def plain(text: str, *, lines: bool = False) -> str:
    """Return the text as a terminal shows it as it is. With `lines` its line ends stay.

    Control characters, marks of direction and whatever else has no shape of its own stand there as Python writes them;
    user and password of a URL become an ellipsis.
    """
    if text.isascii() and text.isprintable():
        return without_users(text)
    return without_users("".join(char if _is_plain(char, lines) else _written(char) for char in text))


def without_users(text: str) -> str:
    """Return the text with an ellipsis for each user and password in a URL."""
    return _USER.sub("…@", text)


def _is_plain(char: str, lines: bool) -> bool:  # noqa: FBT001
    return (lines and char == "\n") or not unicodedata.category(char).startswith(_UNSAFE)


def _written(char: str) -> str:
    return "    " if char == "\t" else char.encode("unicode_escape").decode()
