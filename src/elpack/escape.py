"""Text from outside, made harmless: one line, printable, and without meaning to rpm."""

from __future__ import annotations

import re
import unicodedata

_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=-]+\Z")
_UNSAFE_CATEGORIES = ("C", "Zl", "Zp")


def one_line(text: str, limit: int) -> str:
    """Return the text as one printable line of at most `limit` characters, cut at a word.

    Control characters, line ends and Unicode's direction marks become spaces; runs of white space become one.
    """
    # a megabyte of summary needs no look beyond its first lines
    head = text[: limit * 8]
    plain = "".join(" " if unicodedata.category(char).startswith(_UNSAFE_CATEGORIES) else char for char in head)
    words = " ".join(plain.split())
    if len(words) <= limit:
        return words
    return words[: limit + 1].rpartition(" ")[0] or words[:limit]


def safe_url(text: str) -> str:
    """Return the text if it is a plain http(s) URL, else an empty string."""
    return text if _URL.match(text) and len(text) < 500 else ""  # noqa: PLR2004 - longer than any home page


def for_spec(value: object) -> str:
    """Return a value as text that rpm takes literally. Raises ValueError for what one line of a spec cannot hold."""
    text = str(value)
    if any(unicodedata.category(char).startswith(_UNSAFE_CATEGORIES) for char in text):
        raise ValueError(f"{text!r} holds line ends or control characters and cannot stand in a spec")
    return text.replace("%", "%%")
