"""Plain values as YAML. Strings are quoted, unless they are plain words, or stand as blocks of lines."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Value = str | int | bool | list["Value"] | dict[str, "Value"]

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._-]*(?::[A-Za-z0-9/._-]+)*\Z")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"})
_LINES = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?\n|\n| +[!-~](?:[ -~]*[!-~])?\n)+\Z")


def yaml(documents: list[dict[str, Value]]) -> str:
    """Return documents as one text, keys in the order that they have. A list holds no lists."""
    return "---\n".join("".join(f"{line}\n" for line in _mapping(document, "")) for document in documents)


def _mapping(values: dict[str, Value], indent: str) -> Iterator[str]:
    for key, value in values.items():
        yield from _entry(f"{indent}{_scalar(key)}:", value, indent)


def _entry(head: str, value: Value, indent: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield head
        yield from _mapping(value, f"{indent}  ")
    elif isinstance(value, list) and value:
        yield head
        for item in value:
            yield from _item(item, indent)
    elif isinstance(value, str) and _is_block(value):
        yield f"{head} |"
        yield from (f"{indent}  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_scalar(value)}"


def _item(item: Value, indent: str) -> Iterator[str]:
    if isinstance(item, dict) and item:
        first, *rest = _mapping(item, f"{indent}  ")
        yield f"{indent}- {first.lstrip()}"
        yield from rest
    else:
        yield f"{indent}- {_scalar(item)}"


def _is_block(text: str) -> bool:
    """Tell whether lines can stand as they are: ASCII, no blank at an end, and the first line is not indented."""
    return text.count("\n") > 1 and text[0] not in " \n" and not text.endswith("\n\n") and bool(_LINES.match(text))


def _scalar(value: Value) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """Quote a string. JSON's own way has two escapes for what YAML wants one for."""
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if " " <= char <= "~" else {"\n": "\\n", "\t": "\\t"}.get(char, f"\\U{ord(char):08x}")
