"""Reads the SBOMs that a wheel brings along (PEP 770): anybody's JSON, of which names, versions and purls count."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from elpack.model import Carried, Trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from elpack.model import Sha256

_NAME = re.compile(r"[A-Za-z0-9@][A-Za-z0-9@/._+-]{0,127}\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~^:!-]{0,63}\Z")
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:() -]{0,255}\Z")
_MOST = 5_000
_DEEPEST = 8


def read_sbom(path: str, data: bytes, sha256: Sha256, dist: str) -> Iterator[Carried]:
    """Yield the components of a CycloneDX document in JSON, without what is the dist itself.

    What is something else, broken, too deep or too large is yielded as one entry that says so.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        yield Carried(path.rsplit("/", 1)[-1], "", "", "", Trace.UNREAD, path, "", sha256)
        return
    for count, component in enumerate(_components(document, 0)):
        if count == _MOST:
            yield Carried(path.rsplit("/", 1)[-1], "", "", "", Trace.UNREAD, path, f"{_MOST} were read", sha256)
            return
        carried = _carried(component, path, sha256)
        if carried is not None and carried.purl.removeprefix("pkg:pypi/") != dist:
            yield carried


def _components(value: dict[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    inner = value.get("components")
    for component in inner if isinstance(inner, list) and depth < _DEEPEST else ():
        if isinstance(component, dict):
            yield component
            yield from _components(component, depth + 1)


def _carried(component: dict[str, Any], path: str, sha256: Sha256) -> Carried | None:
    name, version = _text(component, "name", _NAME), _text(component, "version", _VERSION)
    if not name:
        return None
    return Carried(name, version, _purl(component.get("purl")), _licence(component), Trace.SBOM, path, "", sha256)


def _purl(value: object) -> str:
    """Return a purl without version, qualifiers and path, which may tell of the machine that it was made on."""
    if not isinstance(value, str) or len(value) > 1000:  # noqa: PLR2004 - longer than any honest one
        return ""
    from packageurl import PackageURL

    try:
        purl = PackageURL.from_string(value)
        return PackageURL(purl.type, purl.namespace, purl.name).to_string()
    except ValueError:
        return ""


def _licence(component: dict[str, Any]) -> str:
    entries = component.get("licenses")
    if isinstance(entries, list) and len(entries) == 1 and isinstance(entries[0], dict):
        inner = entries[0].get("license")
        return _text(entries[0], "expression", _LICENCE) or (
            _text(inner, "id", _LICENCE) if isinstance(inner, dict) else ""
        )
    return ""


def _text(value: dict[str, Any], key: str, form: re.Pattern[str]) -> str:
    text = value.get(key)
    return text if isinstance(text, str) and form.match(text) else ""
