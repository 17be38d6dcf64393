"""Core metadata and entry points: parsed leniently into values, which stay untrusted text."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

from packaging.metadata import RawMetadata, parse_email
from packaging.utils import canonicalize_name
from packaging.version import Version

from elpack import strict
from elpack.model import CoreMetadata, EntryPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from elpack.archives.members import Refusals

_HOME_LABELS = ("homepage", "home", "source", "sourcecode", "repository", "github", "documentation")
# Entry points specification; scripts need a function, as pip demands, and the long deprecated extras are dropped.
_OBJECT = re.compile(r"(?P<module>\w+(?:\.\w+)*)\s*:\s*(?P<attr>\w+(?:\.\w+)*)\s*(?:\[[^\]]*\])?", re.ASCII)
_COMMAND = re.compile(r"\w[\w.+-]*", re.ASCII)
_SHOWN = 60


def parse_metadata(data: bytes, member: str, refusals: Refusals) -> CoreMetadata:
    """Return core metadata from METADATA or PKG-INFO. Name and Version must be there once; all else may be missing."""
    raw, _ = parse_email(data)
    for field in ("name", "version"):
        if not raw.get(field):
            refusals.add(f"lacks the field {field.title()}, or has it twice", member)
    for text in (*raw.get("requires_dist", ()), raw.get("requires_python", "")):
        if reason := strict.fault(text):
            refusals.add(f"has a requirement that no parser is given, {reason}: {text[:_SHOWN]!a}…", member)
    return CoreMetadata(
        name=raw.get("name", ""),
        version=raw.get("version", "").strip(),
        summary=_known(raw.get("summary", "")),
        licence_expression=raw.get("license_expression", ""),
        licence_text=_known(raw.get("license", "")),
        classifiers=tuple(raw.get("classifiers", ())),
        home_page=_home_page(raw),
        requires_python=raw.get("requires_python", ""),
        licence_files=tuple(raw.get("license_files", ())),
        requires_dist=tuple(raw.get("requires_dist", ())),
        extras=tuple(raw.get("provides_extra", ())),
        author=_author(raw),
    )


def same_dist(name: str, version: str, expected_name: str, expected_version: Version) -> bool:
    """Say whether two spellings mean one dist (PEP 503 and 440)."""
    try:
        return canonicalize_name(name) == expected_name and Version(version) == expected_version
    except ValueError:  # InvalidVersion, or a number of thousands of digits
        return False


def parse_entry_points(text: str, member: str, refusals: Refusals) -> dict[str, tuple[EntryPoint, ...]]:
    """Return the scripts of an entry_points.txt by group: console_scripts and gui_scripts, each sorted by name."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, default_section="\n")
    parser.optionxform = str  # type: ignore[method-assign, assignment]  # names keep their case
    try:
        parser.read_string(text)
    except configparser.Error as error:
        refusals.add(f"is not in the form of entry points: {error.message!a}", member)
        return {}
    return {
        group: scripts(parser.items(group), member, refusals)
        for group in ("console_scripts", "gui_scripts")
        if parser.has_section(group)
    }


def scripts(
    items: Iterable[tuple[str, str]] | Mapping[str, str], member: str, refusals: Refusals
) -> tuple[EntryPoint, ...]:
    """Return command names and their objects, checked, sorted by name."""
    found = []
    for name, value in sorted(dict(items).items()):
        match = _OBJECT.fullmatch(value.strip())
        if not _COMMAND.fullmatch(name):
            refusals.add(f"names a script {name!a}, which is no name of a command", member)
        elif not match:
            refusals.add(f"gives the script {name} the object {value!a}, not 'module:function'", member)
        else:
            found.append(EntryPoint(name, f"{match['module']}:{match['attr']}"))
    return tuple(found)


def _home_page(raw: RawMetadata) -> str:
    if home := _known(raw.get("home_page", "")):
        return home
    # Labels are compared as PEP 753 says: without punctuation, spaces and case.
    urls = {re.sub(r"[\W_]", "", label).lower(): url for label, url in raw.get("project_urls", {}).items()}
    return next((urls[label] for label in _HOME_LABELS if label in urls), "")


def _author(raw: RawMetadata) -> str:
    """Return who made it, as they write it; addresses alone where there is no name."""
    fields = (raw.get("author"), raw.get("author_email"), raw.get("maintainer"), raw.get("maintainer_email"))
    return next((text for text in map(_known, filter(None, fields)) if text.strip()), "")


def _known(text: str) -> str:
    # Old setuptools and distutils wrote this where nothing was given.
    return "" if text.strip() == "UNKNOWN" else text
