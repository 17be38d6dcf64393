"""The [signing] table of the release file: by which key what is handed over is signed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elpack.openpgp import Fingerprint

if TYPE_CHECKING:
    from elpack.tables import Table

_HEX = re.compile(r"[0-9A-F]+\Z")
_LENGTH = 40
_LONGEST = 3650


@dataclass(frozen=True, slots=True)
class Signing:
    """Who signs.

    key: the release key, None for snapshots by a throwaway key. also_trusted: other keys that customers get together
    with it. metadata_expires: days after which the signature on a repository's metadata counts no more.
    """

    key: Fingerprint | None = None
    also_trusted: tuple[Fingerprint, ...] = ()
    metadata_expires: int | None = None


def read_signing(table: Table) -> Signing:
    """Return how the release is signed, by a throwaway key where it does not say; mistakes are noted at their keys."""
    signing = Signing(
        key=table.parsed("key", fingerprint) if table.has("key") else None,
        also_trusted=_trusted(table),
        metadata_expires=_days(table) if table.has("metadata-expires") else None,
    )
    if signing.key in signing.also_trusted:
        table.problem("also-trusted", f"{signing.key} is the key itself", fix="name it once, as key")
    if signing.also_trusted and not table.has("key"):
        table.problem("also-trusted", "a snapshot's key is trusted together with no other", fix="set key")
    table.done()
    return signing


def fingerprint(text: str) -> Fingerprint:
    """Return a full fingerprint of a v4 key; blanks between its digits are left out. Raises ValueError."""
    digits = text.replace(" ", "").upper().removeprefix("0X")
    if not _HEX.match(digits):
        raise ValueError(f"{text!r} is no fingerprint: 40 hexadecimal digits, as gpg --fingerprint shows them")
    if len(digits) != _LENGTH:
        raise ValueError(
            f"{text!r} has {len(digits)} digits, a fingerprint 40: anybody can make a key with a given shorter id"
        )
    return Fingerprint(digits)


def _trusted(table: Table) -> tuple[Fingerprint, ...]:
    found: list[Fingerprint] = []
    for position, text in enumerate(table.strings("also-trusted")):
        try:
            one = fingerprint(text)
        except ValueError as error:
            table.problem(f"also-trusted[{position}]", str(error))
            continue
        if one in found:
            table.problem(f"also-trusted[{position}]", f"{one} is there twice")
        found.append(one)
    return tuple(found)


def _days(table: Table) -> int | None:
    before = len(table.problems)
    value = table.get("metadata-expires", int)
    if len(table.problems) == before and not 1 <= value <= _LONGEST:
        table.problem("metadata-expires", f"expected 1 to {_LONGEST} days, found {value}")
    return value or None
