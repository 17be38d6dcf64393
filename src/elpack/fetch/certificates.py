"""Whom to trust as a registry: the system's authorities, and those in podman's certs.d folders for this host."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from elpack.errors import Problem, RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping


def context_for(host: str, environment: Mapping[str, str], home: Path) -> ssl.SSLContext:
    """Return how to verify a registry, ``host[:port]``: its certificate always is.

    As containers-certs.d(5) has it: ``*.crt`` are more authorities, ``*.cert`` with ``*.key`` the user's own
    certificate. Raises `RegistryError` when one of them cannot be used.
    """
    context = ssl.create_default_context()
    for folder in folders(host, environment, home):
        try:
            for path in sorted(folder.iterdir()) if folder.is_dir() else ():
                if path.suffix == ".crt":
                    context.load_verify_locations(path)
                elif path.suffix == ".cert":
                    # never ask at the terminal for the passphrase of a key
                    context.load_cert_chain(path, path.with_suffix(".key"), password="")
        except (OSError, ValueError) as error:
            what = "a certificate or key in it cannot be read"
            raise RegistryError(Problem(what, str(folder), str(error))) from error
    return context


def folders(host: str, environment: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """Return where certificates for a host may lie: the user's folder and the system's."""
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    places = (config / "containers", Path("/etc/containers"), Path("/etc/docker"))
    return tuple(place / "certs.d" / host for place in places)
