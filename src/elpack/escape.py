"""Text from outside, made harmless: printable, within its line, and without meaning to rpm or the shell."""

from __future__ import annotations

import re
import unicodedata

_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=-]+\Z")
_UNSAFE_CATEGORIES = ("C", "Zl", "Zp")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=:@/-]*\Z")
_PATH = re.compile(r"/[A-Za-z0-9._+@/-]*\Z")
_PATTERN = re.compile(r"(?!-)[A-Za-z0-9_./+*?=-]+\Z")
_DANGLING = re.compile(
    r"(\s(and|or|of|the|an?|with|for|to|in|on|by|from|that|which|as|e\.g\.?|i\.e\.?|especially|including)|[\s.,;:(-])+\Z"
)
_LONGEST_URL = 500
LINE_WIDTH = 79
"""What rpmlint and a terminal take in a description."""
COMMENT_WIDTH = 100


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


def summary_line(text: str, name: str, limit: int) -> str:
    """Return a summary as Fedora's guidelines want it: no name in front, a capital first, no full stop.

    What has to be cut ends before an open parenthesis and not in an "and". The result is empty when nothing is left.
    """
    whole = one_line(text, limit * 4).rstrip(". ")
    spelling = "[-_. ]".join(map(re.escape, re.split(r"[-_.]+", name)))
    whole = re.sub(rf"\A{spelling}\s?(:|--?)\s", "", whole, flags=re.IGNORECASE)
    line = one_line(whole, limit)
    if line != whole:
        if line.count("(") > line.count(")"):
            line = line.rpartition("(")[0]
        line = _DANGLING.sub("", line)
    first = line.partition(" ")[0]
    return line[:1].upper() + line[1:] if first.isalpha() and first.islower() else line


def safe_url(text: str) -> str:
    """Return the text if it is a plain http(s) URL, else an empty string."""
    return text if _URL.match(text) and len(text) < _LONGEST_URL else ""


def quoted_pattern(text: str) -> str:
    """Return a pattern of paths in quotes, so that no shell expands it. Raises ValueError for anything else."""
    if not _PATTERN.match(text) or ".." in text.split("/"):
        raise ValueError(f"{text!r} is not a plain pattern of paths")
    return f"'{text}'"


def for_spec(value: object) -> str:
    """Return a value as text that rpm takes literally. Raises ValueError for what one line of a spec cannot hold."""
    text = str(value)
    if any(unicodedata.category(char).startswith(_UNSAFE_CATEGORIES) for char in text):
        raise ValueError(f"{_shown(text)} holds line ends or control characters and cannot stand in a spec")
    return text.replace("%", "%%")


def word(value: object) -> str:
    """Return a value that stands in shell or a file list unquoted. Raises ValueError when it could not."""
    text = str(value)
    if not _WORD.match(text):
        raise ValueError(f"{_shown(text)} cannot stand unquoted in a shell line of a spec")
    return text


def is_word(text: str) -> bool:
    """Tell whether `word` would take the text."""
    return bool(_WORD.match(text))


def absolute(value: object) -> str:
    """Return an absolute path that stands in shell or a file list unquoted. Raises ValueError when it could not."""
    text = str(value)
    if not _PATH.match(text) or ".." in text.split("/"):
        raise ValueError(f"{_shown(text)} is no absolute path that can stand unquoted in a spec")
    return text


def pattern(text: str) -> str:
    """Return an extended regular expression for the literal text, without a backslash, which macros would eat."""
    return for_spec(re.sub(r"([^A-Za-z0-9_-])", r"[\1]", text))


def paragraph(text: str) -> str:
    """Return the text as lines for %description.

    rpm looks for sections and conditions after it has expanded macros, so an escaped ``%%files`` at the start of a
    line would begin a section: a word that starts with a percent sign stays on the line of the word before it.
    Raises ValueError when there is none.
    """
    units: list[str] = []
    for piece in text.split():
        if not piece.startswith(("%", "#")):
            units.append(piece)
        elif units:
            units[-1] += f" {piece}"
        else:
            raise ValueError(f"{_shown(text)} cannot begin a description")
    return "\n".join(map(for_spec, _fill(units, LINE_WIDTH)))


def comment(text: str) -> str:
    """Return the text as comment lines."""
    return "\n".join(f"# {for_spec(line)}" for line in _fill(text.split(), COMMENT_WIDTH - 2))


def _fill(units: list[str], width: int) -> list[str]:
    # textwrap would cut a long word, and what follows the cut could be anything
    lines: list[str] = []
    for unit in units:
        if lines and len(lines[-1]) + 1 + len(unit) <= width:
            lines[-1] += f" {unit}"
        else:
            lines.append(unit)
    return lines


def _shown(text: str) -> str:
    return repr(text if len(text) <= LINE_WIDTH else f"{text[:LINE_WIDTH]}…")
