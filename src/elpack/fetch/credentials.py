"""Who the user is at a registry: out of the files that podman and docker write, and the helpers that those name."""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elpack.errors import CommandError, Problem, RegistryError, ToolMissingError
from elpack.run import CLEAN_ENV, Command
from elpack.strict import json_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from elpack.run import Runner

_LARGEST = 1 << 20
_HELPER = re.compile(r"[A-Za-z0-9._-]{1,64}")
_BY_TOKEN = "<token>"  # noqa: S105 - a name
"""What a helper calls the user of an identity token."""
_NONE_KNOWN = "credentials not found"
_HELPER_SECONDS = 60.0
_FROM_USER = ("PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY")
"""What a helper needs of the user's environment to open a key store."""
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password, or an identity token that an authorization service changes into others. Never shown."""

    user: str = ""
    secret: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may hold, in the forms in which it is sent."""
        return (self.secret, self.identity_token, self.basic.partition(" ")[2])

    @property
    def basic(self) -> str:
        """The value of a header for Basic authentication."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()


@dataclass(frozen=True, slots=True)
class User:
    """Whose credentials: environment and home folder, and what runs the helpers."""

    environment: Mapping[str, str]
    home: Path
    runner: Runner


def credentials_for(name: str, user: User) -> Credentials | None:
    """Return who the user is at a repository, ``host[:port]/path``; None where nobody is named.

    Raises `RegistryError` when a file or helper cannot be used; what they hold is never in a message.
    """
    for path in auth_files(user):
        if path.exists() and (found := _of_file(path, name, user)):
            return found
    return None


def auth_files(user: User) -> tuple[Path, ...]:
    """Return where credentials may lie, in their order: podman's files, then docker's. REGISTRY_AUTH_FILE rules alone.

    Raises `RegistryError` when that file is not there.
    """
    environment = user.environment
    if named := environment.get("REGISTRY_AUTH_FILE"):
        if not Path(named).is_file():
            fix = "podman login --authfile FILE HOST makes it; or unset REGISTRY_AUTH_FILE"
            raise RegistryError(Problem("REGISTRY_AUTH_FILE names no file", named, fix=fix))
        return (Path(named),)
    run_time = environment.get("XDG_RUNTIME_DIR")
    return (
        Path(run_time, "containers/auth.json") if run_time else Path(f"/run/containers/{os.getuid()}/auth.json"),
        Path(environment.get("XDG_CONFIG_HOME") or user.home / ".config", "containers/auth.json"),
        Path(environment.get("DOCKER_CONFIG") or user.home / ".docker", "config.json"),
    )


def _of_file(path: Path, name: str, user: User) -> Credentials | None:
    document = _read(path)
    host = name.partition("/")[0]
    hosts = (host, _DOCKER_HUB_KEY) if host == _DOCKER_HUB else (host,)
    helpers = _table(document.get("credHelpers", {}), path)
    entries = _table(document.get("auths", {}), path)
    for key in hosts:
        if (helper := helpers.get(key)) and (found := _of_helper(helper, key, path, user)):
            return found
    for key in (*_scopes(name), *hosts[1:]):
        for form in (key, f"https://{key}", f"https://{key}/", f"https://{key}/v2/"):
            if found := _of_entry(entries.get(form), path):
                return found
    if store := document.get("credsStore"):
        return _of_helper(store, hosts[-1], path, user)
    return None


def _scopes(name: str) -> Iterator[str]:
    """Yield the repository and what it lies in, down to the host: the most specific entry counts."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def _read(path: Path) -> Mapping[str, Any]:
    fix = "podman login writes it anew; REGISTRY_AUTH_FILE names another one"
    try:
        document = json_value(path.read_bytes()) if path.stat().st_size <= _LARGEST else None
    except OSError as error:
        raise RegistryError(Problem(f"the credentials cannot be read: {error.strerror}", str(path), fix=fix)) from None
    except ValueError:  # whose text may hold what it stumbled over
        raise RegistryError(Problem("the credentials cannot be read: it is no JSON", str(path), fix=fix)) from None
    return _table(document, path)


def _of_entry(entry: Any, path: Path) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    token, auth = entry.get("identitytoken", ""), entry.get("auth", "")
    try:
        user, colon, secret = base64.b64decode(auth, validate=True).decode().rstrip("\0").partition(":")
    except (TypeError, ValueError, binascii.Error):
        user, colon, secret = "", "", ""
    if not isinstance(token, str) or (auth and not colon):
        fix = "podman login writes it anew"
        raise RegistryError(Problem("an entry of it holds no credentials", str(path), fix=fix))
    return Credentials(user, secret, token) if secret or token else None


def _of_helper(name: Any, host: str, path: Path, user: User) -> Credentials | None:
    if not isinstance(name, str) or not _HELPER.fullmatch(name):
        raise RegistryError(Problem("it names a credential helper that cannot be one", str(path)))
    program, again = f"docker-credential-{name}", f"echo {host} | docker-credential-{name} get"
    kept = {key: user.environment[key] for key in _FROM_USER if key in user.environment}
    env = {**CLEAN_ENV, **kept, "HOME": str(user.home)}
    try:
        done = user.runner(Command((program, "get"), env=env, input=f"{host}\n", timeout=_HELPER_SECONDS))
    except (ToolMissingError, CommandError) as error:
        why = f"{path} names it for {host}"
        raise RegistryError(Problem(f"{program} cannot be asked", "", why, "install it, or podman login")) from error
    if done.returncode != 0:
        if _NONE_KNOWN in done.stdout + done.stderr:
            return None
        # what a helper prints may be a secret
        raise RegistryError(Problem(f"{program} failed with {done.returncode}", str(path), fix=again))
    try:
        answer = _table(json_value(done.stdout), path)
        named, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError):
        raise RegistryError(Problem(f"{program} gave no credentials", str(path), fix=again)) from None
    return Credentials(identity_token=secret) if named == _BY_TOKEN else Credentials(named, secret)


def _table(value: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RegistryError(Problem("the credentials are not of the form that podman and docker write", str(path)))
    return value
