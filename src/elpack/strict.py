"""Text of formats that libraries read, where each of them has inputs that it chokes on: one error for all of those.

Nesting exhausts the stack, numbers of thousands of digits are refused by Python itself, and a TOML key of many parts
takes time that grows with their square.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]{0,99}"|'[^'\n]{0,99}')[ \t]*+\.[ \t]*+){100}""")
_DIGITS = re.compile(r"[0-9]{1000}")
_DEEPEST = 30
_LONGEST = 2000
"""Characters; specifiers are compared in pairs."""
_LONGEST_MARKER = 50_000
"""uv writes long ones where a lock forks and extras conflict."""


def toml(text: str | bytes) -> dict[str, Any]:
    """Return the table. Raises ValueError with line and column when the text is no TOML, and for bytes not in UTF-8."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"not valid TOML: byte {error.start} is not UTF-8") from error
    if _LONG_KEY.search(text):
        raise ValueError("not valid TOML: a key of more than 100 parts")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("not valid TOML: nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"not valid TOML: {error}") from error


def json_value(text: str | bytes) -> Any:
    """Return the value. Raises ValueError when the text is no JSON."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def requirement(text: str) -> Requirement:
    """Return the PEP 508 requirement. Raises `InvalidRequirement` when it is none, whatever is wrong."""
    if reason := fault(text):
        raise InvalidRequirement(reason)
    try:
        return Requirement(text)
    except RecursionError as error:
        raise InvalidRequirement("nested too deeply") from error


def marker(text: str) -> Marker:
    """Return the PEP 508 marker. Raises `InvalidMarker` when it is none."""
    if reason := fault(text, _LONGEST_MARKER):
        raise InvalidMarker(reason)
    try:
        return Marker(text)
    except RecursionError as error:
        raise InvalidMarker("nested too deeply") from error


def specifiers(text: str) -> SpecifierSet:
    """Return the PEP 440 version specifiers. Raises `InvalidSpecifier` when they are none."""
    if reason := fault(text):
        raise InvalidSpecifier(reason)
    return SpecifierSet(text)


def fault(text: str, longest: int = _LONGEST) -> str:
    """Return why no parser should see a requirement, marker or specifier, or "" if it may."""
    if len(text) > longest:
        return f"more than {longest} characters"
    if _DIGITS.search(text):
        return "a number of more than 1000 digits"
    depth = 0
    for bracket in re.findall(r"[()]", text):
        depth += 1 if bracket == "(" else -1
        if depth > _DEEPEST:
            return "nested too deeply"
    return ""
