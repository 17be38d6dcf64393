"""The keys that sign as a table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from elpack.config.signing import Signing
    from elpack.errors import Problem
    from elpack.openpgp import Fingerprint
    from elpack.steps.images.image_keys import ShownKey
    from elpack.tools.gpg import Key


def keys_table(
    signing: Signing,
    known: Mapping[Fingerprint, Key],
    throwaway: Key,
    judged: Mapping[Fingerprint, Sequence[Problem]],
    of_images: ShownKey | None = None,
) -> Table:
    """Return the keys: the release's own, those trusted with it, the throwaway one, and that of images."""
    table = Table(box=None, header_style="bold")
    for heading in ("for", "fingerprint", "kind", "expires", "state", "user"):
        table.add_column(heading, overflow="fold")
    for fingerprint, problems in judged.items():
        use = "release" if fingerprint == signing.key else "trusted, too"
        _add(table, use, fingerprint, known.get(fingerprint), "refused" if problems else "good")
    use = "snapshots" if signing.key is None else "--unsigned, to install"
    _add(table, use, throwaway.fingerprint, throwaway, "THROWAWAY")
    if of_images:
        digest = f"sha256:{of_images.fingerprint}" if of_images.fingerprint else ""
        kind = "ECDSA P-256" if digest else ""
        table.add_row("images", digest, kind, "never", of_images.state, escape(of_images.path))
    return table


def _add(table: Table, use: str, fingerprint: Fingerprint, key: Key | None, state: str) -> None:
    kind = f"{key.algorithm} {key.bits}" if key else ""
    expires = time.strftime("%Y-%m-%d", time.gmtime(key.expires)) if key and key.expires else "never" if key else ""
    table.add_row(use, fingerprint, kind, expires, state, escape(key.user) if key else "")
